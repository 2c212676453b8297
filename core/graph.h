/* SPDX-License-Identifier: Apache-2.0 */
/* What walks and paths have in common: where they may go. */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include "store.h"

/* Over which edges. */
struct graph_way {
	uint32_t relation; /* 0: any */
	int32_t direction; /* enum cop_direction */
};

/*
 * relation	NUL-terminated, NULL: any
 * direction	enum cop_direction, 0: out
 * Returns	COP_NO_NAME, COP_INVALID.
 */
cop_err graph_way_make(cop_read *read, const char *relation, int32_t direction,
		       struct graph_way *out);

struct head *graph_head(const cop_read *read, uint64_t id);

/* Whether an entity is there in the snapshot. */
cop_err graph_is_there(cop_read *read, uint64_t id, int *there);

/* Sets out over the edges of one direction that the snapshot sees. */
static inline void graph_edges(const cop_read *read, const struct head *head,
			       int32_t direction, struct edge_cursor *cursor)
{
	const struct segment *segment = read_segment(read);

	edge_cursor_init(
	    cursor, segment->header, segment_region(segment, REGION_EDGES),
	    direction == COP_OUT ? &head->out : &head->in, read->stamp);
}

#endif
