/* SPDX-License-Identifier: Apache-2.0 */
/* Edges of an import in an order in which they cost less; tiles.c. */
#ifndef TOOLS_TILES_H
#define TOOLS_TILES_H

#include "spool.h"

struct import;

struct tiles {
	int is_exact; /* no commit has more records than is said */
	/* the tiles' own */
	int is_on;	/* edges that come now wait, to be cut up */
	cop_read *read; /* to look for ends; the spool's thread has it */
	struct spool spool;
	size_t count;	   /* of what waits */
	struct place last; /* of that */
	uint64_t begin_ns; /* when it began to */
	uint64_t byte_max; /* of it, in the file */
	uint64_t order;	   /* of the newest edge that was put */
	uint64_t same;	   /* edges of that order that were, of the pass */
};

/* Before the first record. */
void tiles_begin(struct import *import);

/* Whether tiles_edge() is to have an edge that batch.write took, a good one. */
int tiles_wants(const struct import *import);

/*
 * Has an edge wait, a copy of all that it points to.  Returns 0 or an exit
 * status.
 */
int tiles_edge(struct import *import, const struct place *place,
	       const struct cop_put_edge *edge);

/* Whether it is time to pass what waits, or what the batch has. */
int tiles_is_time(const struct import *import);

/* Passes it, and sees whether edges wait that come now. */
int tiles_pass(struct import *import);

/* What was passed over ends here: edges wait as they did. */
void tiles_resume(struct import *import);

/*
 * Before something that is no edge of tiles_edge(), or that is to see those:
 * passes what waits.
 */
int tiles_end(struct import *import);

void tiles_release(struct tiles *tiles);

#endif
