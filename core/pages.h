/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data file's pages, looked through before LMDB trusts them.
 *
 * idea
 *	LMDB believes every number that it reads: one flipped bit in a page's
 *	header or in where its entries lie, and it ends the process.  So
 *	whoever is to read all of the file has its pages looked at first, as of
 *	the snapshot that he reads: each tree from its root to its leaves, and
 *	the list of free pages.  What an entry says is its checksum's matter
 *	(env.h).
 *
 * layout
 *	of the file, as LMDB 0.9 has it with 64 bits, numbers as the machine has
 *	them; behind each name its offset:
 *
 *	page	number 0 u64, flags 10 u16 (1 branch, 2 leaf, 4 run, 8 meta),
 *		lower 12 u16, upper 14 u16; of a run 12 u32, its pages
 *
 *	branch, leaf	from 16 to lower u16, where each node begins, in the
 *		order of keys; from upper to the end the nodes, with no gap
 *
 *	node	low 0 u16, high 2 u16, flags 4 u16, key's size 6 u16, key,
 *		value; in a branch low, high and flags are the child's number,
 *		and the first key does not count; in a leaf low and high are
 *		the value's size, flags 1: it is in a run, whose number is
 *		here, 2: a tree.  Each takes an even number of bytes
 *
 *	run	a value in pages of its own, of which the first has a header
 *
 *	meta	pages 0 and 1, by a transaction's last bit: magic 16 u32,
 *		version u32, address u64, map u64, the list's tree, the main
 *		tree, last page u64, transaction u64
 *
 *	tree	page's size u32 (the list's), flags u16 (8: keys are numbers),
 *		depth u16, branches u64, leaves u64, pages of runs u64, entries
 *		u64, root u64
 *
 *	list	by the transaction that freed them: how many u64, the pages'
 *		numbers, the highest first
 *
 * snapshot
 *	Two commits after a snapshot's own its meta page is overwritten; then
 *	the read is begun anew.  The trees' pages stay as long as the read.
 *
 * limits
 *	What changes between the look and LMDB's read is not seen.  A bit a page
 *	of memory.  A third of a second a gigabyte, of what is in memory.
 */
#ifndef CORE_PAGES_H
#define CORE_PAGES_H

#include "coppice.h"
#include "env.h"

/* Bytes of LMDB's header of a page. */
enum { PAGES_HEADER = 16 };

enum pages_what {
	PAGES_MAIN = 1,	 /* the main tree, which names the others */
	PAGES_NAMED = 2, /* those, with the main one */
	PAGES_FREE = 4,	 /* the list of free pages */
	PAGES_TREES = PAGES_MAIN | PAGES_NAMED,
	PAGES_ALL = PAGES_TREES | PAGES_FREE
};

/* One of those that are named; with PAGES_MAIN. */
#define PAGES_ONE(db) (8 << (db))

struct pages {
	/* told of each finding; NULL: the first one is the error */
	void (*found)(void *user, const char *text);
	void *user;
	/* what there was; 0 before */
	uint64_t in_trees; /* findings */
	uint64_t in_list;
	uint64_t need;	       /* bytes that the snapshot's pages take */
	uint64_t missing;      /* pages of those that the file lacks */
	uint64_t missing_free; /* and that are listed as free */
};

/*
 * Looks the pages of a read's snapshot through.
 * txn		begun anew if commits came between: nothing was read with it
 * what		of enum pages_what, and PAGES_ONE()
 * pages	may be NULL
 * Returns	0 also with findings that were told; COP_CORRUPT.
 */
cop_err pages_check(const struct env *env, env_txn *txn, int what,
		    struct pages *pages);

/*
 * Bytes that a value in pages of its own has there, by its page's header.
 * value	that follows a header
 * Returns	0 if that is of another page
 */
uint64_t pages_run_room(const void *value, uint32_t page_bytes);

/*
 * The meta pages of a file that LMDB is to open: what it believes before
 * anything can be asked.  An empty file, and what it refuses itself, is fine.
 * fd		of the data file
 */
cop_err pages_metas_check(int fd);

#endif
