/* SPDX-License-Identifier: Apache-2.0 */
/* A walk under way, as its one thread and its many work on it. */
#ifndef CORE_WALK_H
#define CORE_WALK_H

#include "graph.h"

/* Steps of a level that are worth being followed by several threads. */
enum { SPREAD_LEAST = 2048 };

struct walk {
	cop_read *read;
	const struct cop_walk *wanted;
	struct graph_way way;
	uint32_t type;
	uint32_t tag;
	int is_filtered;
	int nobody; /* a type or tag that the store has never seen */
	uint32_t threads;
	struct cop_step *steps;
	size_t capacity;
	size_t count;
	int32_t more;
	cop_err err;
};

static inline int seen_set(const struct walk *walk, uint64_t id)
{
	uint64_t *word = &walk->read->visited[id / 64];
	uint64_t bit = UINT64_C(1) << (id % 64);
	int seen = (*word & bit) != 0;

	*word |= bit;
	return seen;
}

static inline void seen_unset(const struct walk *walk, uint64_t id)
{
	walk->read->visited[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

/* Fetches the head, and the first block, of steps that are coming up. */
PREFETCHES walk_prefetch(const struct walk *walk, size_t at)
{
	if (at + GRAPH_AHEAD * 2 < walk->count)
		graph_lists_fetch(walk->read,
				  walk->steps[at + GRAPH_AHEAD * 2].id);
	if (at + GRAPH_AHEAD < walk->count)
		graph_block_fetch(walk->read, walk->steps[at + GRAPH_AHEAD].id,
				  walk->way.direction);
}

/* Whether the walk may go to a step; walk->err if that is not known. */
int walk_may_go(struct walk *walk, const struct cop_step *to);

/*
 * Follows steps[from] to steps[to - 1], all of one level, by several threads.
 * Returns	0: no further; the steps are full, or walk->err
 */
int spread_level(struct walk *walk, size_t from, size_t to);

#endif
