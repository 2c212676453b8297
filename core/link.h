/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linking vectors into the graph, and freeing what is dead: what commits
 * leave for later.
 *
 * idea
 *	A committed vector waits in the graph's tail, where every search looks
 *	at it.  Whoever has just led a group links, with W still held, for a
 *	millisecond, if nobody waits for W; but as many rows as its group has
 *	put, however long that takes, so that the tail does not grow beyond
 *	LINK_TAIL and searches stay fast.  What a writer left that was killed
 *	is worked off by those that come after it, LINK_BACKLOG rows with each
 *	commit.  Dead rows are unlinked and freed in the same slices, once no
 *	read can see them, to LINK_LIMBO at most.
 *
 *	All of it is derived work: it can be left at any point and gone on
 *	with by anybody who has W.
 */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include "store.h"

enum {
	LINK_TAIL = 256,    /* rows */
	LINK_BACKLOG = 256, /* rows of others, a commit: some 20 ms */
	LINK_LIMBO = 64	    /* things that could be freed */
};

/*
 * A slice after a commit; W held.
 * before	how many rows waited before it
 * threads	that may link if it has put many
 */
void link_slice(cop_store *store, uint32_t before, uint32_t threads);

/* How many rows wait; W held. */
uint32_t link_waiting(const cop_store *store);

/*
 * Links everything that waits in a segment; W held, or nobody else has it.
 * Returns	an error of memory; what was linked stays.
 */
cop_err link_all(struct segment *segment, uint32_t threads);

/*
 * The same for a new segment, with an audit after it.
 * options	for progress, may be NULL
 * Returns	COP_STOPPED by progress, too.
 */
cop_err link_build(struct segment *segment, uint32_t threads,
		   const struct cop_open_options *options);

/* The memory of the process's writer; released with its mapping. */
void link_release(cop_store *store);

#endif
