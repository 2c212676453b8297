/* SPDX-License-Identifier: Apache-2.0 */
/* Edges one behind the other in memory; edgepack.c. */
#ifndef TOOLS_EDGEPACK_H
#define TOOLS_EDGEPACK_H

#include "batch.h"
#include "scratch.h"

/* Allowed to be all zero. */
struct edgepack {
	unsigned char *data;
	size_t used, room;
};

/*
 * Adds an edge, a copy of all that it points to but the file of its place.
 * Returns 0 or ENOMEM.
 */
int edgepack_put(struct edgepack *pack, const struct place *place,
		 const struct cop_put_edge *edge);

/* How many bytes the edge has that begins there. */
size_t edgepack_bytes(const unsigned char *at);

/*
 * The edge that begins there; edgepack_ends() leaves out its properties.
 * Lifetime of what it points to: that of the bytes, and of what is in the
 * scratch.  Return 0 or ENOMEM.
 */
int edgepack_ends(const unsigned char *at, struct scratch *scratch,
		  struct place *place, struct cop_put_edge *edge);
int edgepack_edge(const unsigned char *at, struct scratch *scratch,
		  struct place *place, struct cop_put_edge *edge);

void edgepack_release(struct edgepack *pack);

#endif
