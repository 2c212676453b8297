/* SPDX-License-Identifier: Apache-2.0 */
/* What walks and paths have in common: where they may go. */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include "past.h"
#include "prefetch.h"

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

/* Where the lists of an id begin, NULL if there never was one. */
static inline struct head_lists *graph_lists(const cop_read *read, uint64_t id)
{
	const struct segment *segment = read_segment(read);

	return head_lists_at(segment->header,
			     segment_region(segment, REGION_LISTS), id);
}

enum {
	GRAPH_AHEAD = 8,      /* lists: a miss takes as long as reading some */
	GRAPH_AHEAD_LINES = 3 /* of a block: a dozen entries */
};

/* Fetches the word that a list begins with; nothing but a hint. */
PREFETCHES graph_lists_fetch(const cop_read *read, uint64_t id)
{
	__builtin_prefetch(graph_lists(read, id));
}

/* Then, when that has come, the block behind it. */
PREFETCHES graph_block_fetch(const cop_read *read, uint64_t id,
			     int32_t direction)
{
	const struct segment *segment = read_segment(read);
	const struct head_lists *lists = graph_lists(read, id);
	const char *block;
	uint32_t unit;

	if (!lists)
		return;
	/* relaxed: who reads the block asks again */
	unit =
	    atomic_load_explicit(direction & COP_OUT ? &lists->out : &lists->in,
				 memory_order_relaxed);
	block = (const char *)segment->header +
		segment_region(segment, REGION_EDGES)->offset +
		(uint64_t)unit * EDGE_UNIT;
	for (int line = 0; line < GRAPH_AHEAD_LINES; line++)
		__builtin_prefetch(block + line * EDGE_UNIT);
}

/* Ids that there may ever be are below it: a multiple of 64. */
uint64_t graph_ids(const cop_read *read);

/* Whether an entity is there in the snapshot. */
cop_err graph_is_there(cop_read *read, uint64_t id, int *there);

/*
 * A list as of a moment that the segment does not have any more, or of edges
 * valid at a point in time, as one block of the read's own.
 */
cop_err graph_past_edges(cop_read *read, uint64_t id, int32_t direction,
			 struct edge_cursor *cursor);

/*
 * Whether a list has to be had from there: one that has not been relisted since
 * the moment is the same still, but for what is valid when.
 */
static inline int graph_is_past(const cop_read *read, uint64_t id)
{
	const struct head *head;

	if (read->is_timed || !read_is_past(read))
		return read->is_timed;
	head = graph_head(read, id);
	return !head ||
	       head_relisted(head, read_segment(read)->header->base_commit) >
		   read->moment;
}

/*
 * Sets out over the edges of one direction that the read sees.
 * Lifetime	of a read as of the past: until the next call
 */
static inline cop_err graph_edges(cop_read *read, uint64_t id,
				  int32_t direction, struct edge_cursor *cursor)
{
	const struct segment *segment = read_segment(read);
	const struct head_lists *lists = graph_lists(read, id);

	if (!lists) {
		*cursor = (struct edge_cursor){0};
		return 0;
	}
	if (__builtin_expect(graph_is_past(read, id), 0))
		return graph_past_edges(read, id, direction, cursor);
	edge_cursor_init(
	    cursor, segment->header, segment_region(segment, REGION_EDGES),
	    direction == COP_OUT ? &lists->out : &lists->in, read->stamp);
	return 0;
}

#endif
