/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures: what each process has done, counted in shared memory.
 *
 * idea
 *	A file of its own, `figures`, has a block of counters and histograms
 *	for each process.  A process owns its block by an OFD lock on a byte of
 *	the file and goes on counting where its last owner, who is dead, left
 *	off.  So the sum over all blocks is what all processes did, the dead
 *	ones included: nothing is folded together, nothing is counted twice, and
 *	no total ever goes back.
 *	Whoever wants to know what one process does looks twice.
 *	Look-ups are so short that they are counted in the read's slot
 *	(slot.h), and some at a time.
 *	A block also says how many threads wait for the writer lock.  The
 *	kernel does not: it has no pid for a lock of an open file description,
 *	and who waits up to a time limit asks again and again.
 *
 * layout
 *	0		struct figures_head
 *	4096 + n i	struct figures_block i, n its size in whole pages
 *	byte FIGURES_LOCK + i is block i's lock, far past the end of the file
 *
 * ordering
 *	G1	figures_open allocates a block before it raises `limit`
 *		(release); whoever sums up acquires `limit` and looks at blocks
 *		below it alone: to read a hole of a full tmpfs is death.
 *
 * progress
 *	figures_count, figures_time: wait-free, no system call.
 *
 * crash
 *	A block's owner is who has its byte; nothing is to be repaired.
 *
 * limits
 *	FIGURES_COUNT processes; those beyond, and those for whose block there
 *	is no room, do their work uncounted.
 */
#ifndef IPC_FIGURES_H
#define IPC_FIGURES_H

#include "histogram.h"
#include "slot.h"

enum { FIGURES_COUNT = 1024, FIGURES_LAYOUT = 1, FIGURES_PAGE = 4096 };

#define FIGURES_MAGIC UINT64_C(0x5547494645504f43) /* "COPEFIGU" */
#define FIGURES_LOCK  (UINT64_C(1) << 40)

/* Counters; times and sizes are histograms. */
enum figure {
	FIGURE_WRITES,	    /* that were acknowledged */
	FIGURE_CONFLICTS,   /* writes refused for what they had read */
	FIGURE_REFUSED,	    /* writes refused for anything else */
	FIGURE_RETRIES,	    /* transactions begun again */
	FIGURE_WRITE_BYTES, /* of the acknowledged, as they were asked */
	FIGURE_ENTITIES_PUT,
	FIGURE_ENTITIES_DELETED,
	FIGURE_EDGES_PUT,
	FIGURE_EDGES_DELETED,
	FIGURE_SEARCHES,
	FIGURE_LINKED,	  /* vectors linked into the graph */
	FIGURE_RECOVERED, /* attempts of the dead that were settled */
	FIGURE_COUNT
};

enum figure_timing {
	TIMING_SEARCH,
	TIMING_WALK,   /* one in WALKS_TIMED, and paths */
	TIMING_COMMIT, /* as who asked for it waited */
	TIMING_WAIT,   /* for the writer lock */
	TIMING_HOLD,   /* of the writer lock */
	TIMING_SYNC,   /* LMDB's commit, mostly fsync */
	TIMING_GROUP,  /* requests of a commit: a size, no span */
	TIMING_COUNT
};

struct figures_block {
	/* atomic, stored by the owner's threads alone */
	_Alignas(128) _Atomic uint64_t since_ns; /* owned, since 1970 */
	_Atomic uint64_t pid_namespace;
	_Atomic uint32_t pid;
	_Atomic uint32_t waiting; /* threads, for the writer lock */
	_Atomic uint64_t name[SLOT_NAME_BYTES / 8];
	_Alignas(128) _Atomic uint64_t counts[FIGURE_COUNT];
	_Alignas(128) struct histogram timings[TIMING_COUNT];
};

static_assert(sizeof(struct figures_block) % 128 == 0, "blocks are lines");

struct figures_head {
	/* fixed after create */
	uint64_t magic;
	uint32_t layout;
	uint32_t block_bytes;
	/* atomic, any process */
	_Alignas(128) _Atomic uint32_t limit; /* blocks ever taken */
	_Atomic uint64_t uncounted; /* processes that found no block */
};

/* This process's side. */
struct figures {
	struct figures_head *head; /* NULL: nothing is counted */
	struct figures_block *own; /* NULL: as well */
	int fd;
	uint32_t index; /* of its own */
	int is_timed;	/* 0: the clock costs a system call here */
};

/* Whose a block is, copied out of it. */
struct figures_owner {
	uint64_t since_ns;
	uint64_t pid_namespace;
	uint32_t pid;
	uint32_t is_held; /* by a living process */
	char name[SLOT_NAME_BYTES];
};

/* The sums of all blocks, or what one has. */
struct figures_sum {
	uint64_t counts[FIGURE_COUNT];
	struct {
		uint64_t sum;
		uint64_t buckets[HISTOGRAM_BUCKETS];
	} timings[TIMING_COUNT];
};

/*
 * Makes the file's head, if fd is an empty file, and takes a block, signed
 * with the name that slots are.  fd is figures_close's from here on, whatever
 * is returned; nobody else may be making it.
 * Returns	0; ENFILE or ENOSPC: attached, but uncounted; EPROTO if another
 *		layout's; or an errno.
 */
int figures_open(struct figures *figures, const struct slots *slots, int fd);

/* Unmaps and closes; the block is free then. */
void figures_close(struct figures *figures);

/* Blocks that were ever taken. */
uint32_t figures_limit(const struct figures *figures);

/* Processes that found no block, ever. */
uint64_t figures_uncounted(const struct figures *figures);

/* Adds a block's figures to a sum. */
void figures_add(const struct figures *figures, uint32_t index,
		 struct figures_sum *sum);

/* Makes a system call. */
void figures_peek(const struct figures *figures, uint32_t index,
		  struct figures_owner *out);

/*
 * The pid of a living process that waits for the writer lock, 0 if the
 * block's does not.  Makes a system call for one that seems to.
 */
uint32_t figures_waiting(const struct figures *figures, uint32_t index);

/* A thread waits for the writer lock; it does no more. */
static inline void figures_wait_begin(const struct figures *figures)
{
	if (figures->own) /* relaxed: for people */
		atomic_fetch_add_explicit(&figures->own->waiting, 1,
					  memory_order_relaxed);
}

static inline void figures_wait_end(const struct figures *figures)
{
	if (figures->own)
		atomic_fetch_sub_explicit(&figures->own->waiting, 1,
					  memory_order_relaxed);
}

static inline void figures_count(const struct figures *figures,
				 enum figure figure, uint64_t times)
{
	if (figures->own) /* relaxed: a figure */
		atomic_fetch_add_explicit(&figures->own->counts[figure], times,
					  memory_order_relaxed);
}

static inline void figures_time(const struct figures *figures,
				enum figure_timing timing, uint64_t number,
				uint64_t times)
{
	if (figures->own)
		histogram_add(&figures->own->timings[timing], number, times);
}

#endif
