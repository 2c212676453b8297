/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust: whether a segment that came out of a file may be believed, and the
 * lists that are derived from it.
 *
 * idea
 *	An image's hashes tell random damage.  Whatever else it says is
 *	followed here once, with nobody else on the segment: every id, row,
 *	block, key and stamp must be in range, every block belong to one list,
 *	every living row and every record's copy to one head.  One doubt and the
 *image is not used.  In passing it is noted which rows and blocks are in use;
 *all others go to the free lists, dead rows and blocks that waited in limbo
 *	too, since no read is older than the segment.
 *
 *	It is not asked whether a key, a code or an edge is the one that the
 *	data file has: who can write images can write the data file.
 *
 * progress
 *	trust_part: any number of threads, each with a part.
 */
#ifndef SHM_TRUST_H
#define SHM_TRUST_H

#include "segment.h"

struct trust {
	/* given */
	struct segment *segment;
	uint64_t commit;      /* that the segment is as of */
	uint64_t next_entity; /* as of then: ids below it are given */
	uint64_t next_name;
	/* worked out */
	_Atomic uint64_t *units;  /* a bit each: of a block in a list */
	_Atomic uint64_t *rows;	  /* a bit each: alive */
	_Atomic uint64_t entries; /* of the id map */
	_Atomic uint64_t records; /* that heads name */
};

/* Allocates what the parts note.  0 or ENOMEM; release all the same. */
int trust_init(struct trust *trust);
void trust_release(struct trust *trust);

/* Looks at a part of `parts`.  0, or EBADMSG if there is a doubt. */
int trust_part(struct trust *trust, uint32_t part, uint32_t parts);

/* After all parts: the free lists and counts.  0, EBADMSG or an errno. */
int trust_finish(struct trust *trust);

#endif
