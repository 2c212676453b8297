/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seeded power-law graph, and breadth-first search over it.
 *
 * idea
 *	Both ends of an edge are drawn with probability proportional to
 *	(rank + 1)^-0.6, each by a ranking of its own, so that out-degrees and
 *	in-degrees follow power laws with exponent 1 + 1 / 0.6 = 2.67 and hubs
 *	are spread over all ids.  Self loops and doubles are dropped.
 */
#include "bench_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_random.h"
#include "bench_run.h"

static const double skew = 0.6;

/* A rank with density proportional to x^-skew, by its inverse. */
static uint32_t draw_rank(struct bench_random *random, uint32_t nodes)
{
	double unit = bench_random_unit(random);
	double rank = (double)nodes * pow(unit, 1 / (1 - skew));

	return rank < (double)nodes ? (uint32_t)rank : nodes - 1;
}

static uint32_t *shuffled(struct bench_random *random, uint32_t count)
{
	uint32_t *order = bench_alloc(count * sizeof *order);
	uint32_t index;

	for (index = 0; index < count; index++)
		order[index] = index;
	for (index = count - 1; index > 0; index--) {
		uint32_t other =
		    (uint32_t)bench_random_below(random, index + 1);
		uint32_t swap = order[index];

		order[index] = order[other];
		order[other] = swap;
	}
	return order;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* Sorted pairs, source in the upper half; returns how many are distinct. */
static uint32_t draw_pairs(uint64_t seed, uint32_t nodes, uint32_t edges,
			   uint64_t *pairs)
{
	struct bench_random random = {seed};
	uint32_t *sources = shuffled(&random, nodes);
	uint32_t *targets = shuffled(&random, nodes);
	uint32_t kept = 0;
	uint32_t index;

	for (index = 0; index < edges; index++) {
		uint64_t source = sources[draw_rank(&random, nodes)];
		uint64_t target = targets[draw_rank(&random, nodes)];

		pairs[index] = source << 32 | target;
	}
	qsort(pairs, edges, sizeof *pairs, compare);
	for (index = 0; index < edges; index++)
		if ((pairs[index] >> 32) != (pairs[index] & UINT32_MAX) &&
		    (kept == 0 || pairs[kept - 1] != pairs[index]))
			pairs[kept++] = pairs[index];
	free(sources);
	free(targets);
	return kept;
}

void bench_graph_init(struct bench_graph *graph, uint64_t seed, uint32_t nodes,
		      uint32_t edges)
{
	uint64_t *pairs = bench_alloc(edges * sizeof *pairs);
	uint32_t index;
	uint32_t node = 0;

	graph->node_count = nodes;
	graph->edge_count = draw_pairs(seed, nodes, edges, pairs);
	graph->start = bench_alloc((nodes + 1) * sizeof *graph->start);
	graph->target = bench_alloc(graph->edge_count * sizeof *graph->target);
	for (index = 0; index < graph->edge_count; index++) {
		uint32_t source = (uint32_t)(pairs[index] >> 32);

		while (node <= source)
			graph->start[node++] = index;
		graph->target[index] = (uint32_t)pairs[index];
	}
	while (node <= nodes)
		graph->start[node++] = graph->edge_count;
	free(pairs);
}

void bench_graph_release(struct bench_graph *graph)
{
	free(graph->start);
	free(graph->target);
}

void bench_bfs_init(struct bench_bfs *bfs, const struct bench_graph *graph)
{
	bfs->queue = bench_alloc(graph->node_count * sizeof *bfs->queue);
	bfs->stamp = bench_alloc(graph->node_count * sizeof *bfs->stamp);
	memset(bfs->stamp, 0, graph->node_count * sizeof *bfs->stamp);
	bfs->search = 0;
}

void bench_bfs_release(struct bench_bfs *bfs)
{
	free(bfs->queue);
	free(bfs->stamp);
}

size_t bench_bfs_run(struct bench_bfs *bfs, const struct bench_graph *graph,
		     uint32_t start, uint32_t hops, uint64_t *edges)
{
	uint32_t search = ++bfs->search;
	size_t count = 1;
	size_t at = 0;
	size_t level_end = 1;
	uint32_t hop;

	bfs->queue[0] = start;
	bfs->stamp[start] = search;
	for (hop = 0; hop < hops; hop++, level_end = count) {
		for (; at < level_end; at++) {
			uint32_t node = bfs->queue[at];
			uint32_t edge = graph->start[node];
			uint32_t end = graph->start[node + 1];

			*edges += end - edge;
			for (; edge < end; edge++) {
				uint32_t next = graph->target[edge];

				if (bfs->stamp[next] == search)
					continue;
				bfs->stamp[next] = search;
				bfs->queue[count++] = next;
			}
		}
	}
	return count;
}
