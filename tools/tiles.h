/* SPDX-License-Identifier: Apache-2.0 */
/* Edges of an import in an order in which they cost less; tiles.c. */
#ifndef TOOLS_TILES_H
#define TOOLS_TILES_H

#include "coppice.h"

struct import;

struct tiles {
	int is_exact; /* no commit has more records than is said */
	/* the tiles' own */
	int is_on;		     /* edges are cut up */
	int is_next;		     /* those of the next pass are */
	size_t edges;		     /* since the last pass */
	size_t record_max, byte_max; /* of the batch while they are not */
	uint64_t ids;	 /* ends have such ids, from 1, as far as is known */
	cop_read *read;	 /* to look for ends */
	uint32_t looked; /* for so many, since it was refreshed */
};

/*
 * Has the batch's part taken that an edge belongs to, if edges are cut up.
 * Returns 0 or an exit status.
 */
int tiles_edge(struct import *import, const struct cop_put_edge *edge);

/* Whether it is time to pass what the batch has. */
int tiles_is_time(const struct import *import);

/* Passes it, and sees whether edges are cut up that come now. */
int tiles_pass(struct import *import);

/* What was passed over ends here: edges are cut up as they were. */
void tiles_resume(struct import *import);

/* Before something that is no edge of tiles_edge(): it comes after those. */
int tiles_end(struct import *import);

/*
 * Before what the batch has is committed: of edges that an import resumed with,
 * those are dropped that are in the store already.
 */
int tiles_ready(struct import *import);

/* No more edges come. */
void tiles_release(struct tiles *tiles);

#endif
