/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seeded power-law graph.  See bench_graph.c.
 */
#ifndef BENCH_GRAPH_H
#define BENCH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

/* Compressed sparse rows: targets of node n from start[n] to start[n + 1]. */
struct bench_graph {
	uint32_t node_count;
	uint32_t edge_count; /* distinct */
	uint32_t *start;
	uint32_t *target;
};

/* edges are drawn, a few less remain when doubles are dropped */
void bench_graph_init(struct bench_graph *graph, uint64_t seed, uint32_t nodes,
		      uint32_t edges);
void bench_graph_release(struct bench_graph *graph);

/* Breadth-first search in plain C, for comparison. */
struct bench_bfs {
	uint32_t *queue; /* node_count */
	uint32_t *stamp; /* node_count: the search that met the node last */
	uint32_t search;
};

void bench_bfs_init(struct bench_bfs *bfs, const struct bench_graph *graph);
void bench_bfs_release(struct bench_bfs *bfs);

/*
 * Nodes within `hops` of the start, the start included.
 * edges	the edges that were looked at are added to it
 */
size_t bench_bfs_run(struct bench_bfs *bfs, const struct bench_graph *graph,
		     uint32_t start, uint32_t hops, uint64_t *edges);

#endif
