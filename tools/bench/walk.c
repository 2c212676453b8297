/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks against breadth-first search over compressed sparse rows.
 *
 * idea
 *	A seeded power-law graph, 100,000 nodes and 1.2 million edges
 *	(BENCH_LARGE=1: ten times that), in a store and as plain arrays in this
 *	process.  From 1,000 random nodes, everything within one, two and three
 *	hops, by turns; the counts must be the same.  The arrays can do nothing
 *	but this: no keys, no relations, no other writer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_clock.h"
#include "bench_graph.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum { STARTS = 1000, HOPS = 3, ROUNDS = 5 };

struct walker {
	struct bench_graph graph;
	struct bench_bfs bfs;
	cop_read *read;
	uint64_t *ids;
	struct cop_step *steps;
	uint32_t start[STARTS];
	size_t expected[STARTS];
};

static size_t walk_store(struct walker *walker, uint32_t start, uint32_t hops)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = hops,
				.start = walker->ids[start],
				.direction = COP_OUT};
	size_t count = 0;
	int32_t more = 0;

	bench_check("cop_walk",
		    cop_walk(walker->read, &walk, walker->steps,
			     walker->graph.node_count, &count, &more));
	if (more != 0)
		bench_fail("a walk was cut off at %zu", count);
	return count;
}

/* Microseconds a walk of the plain search; fills what is expected. */
static double round_plain(struct walker *walker, uint32_t hops, uint64_t *nodes,
			  uint64_t *edges)
{
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	*nodes = 0;
	*edges = 0;
	for (index = 0; index < STARTS; index++) {
		walker->expected[index] =
		    bench_bfs_run(&walker->bfs, &walker->graph,
				  walker->start[index], hops, edges);
		*nodes += walker->expected[index];
	}
	return bench_seconds_since(start_ns) * 1e6 / STARTS;
}

static double round_store(struct walker *walker, uint32_t hops)
{
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	for (index = 0; index < STARTS; index++) {
		size_t count = walk_store(walker, walker->start[index], hops);

		if (count != walker->expected[index])
			bench_fail("a walk of %u hops found %zu instead of %zu",
				   hops, count, walker->expected[index]);
	}
	return bench_seconds_since(start_ns) * 1e6 / STARTS;
}

static void measure(struct bench *bench, struct walker *walker, uint32_t hops)
{
	static struct bench_series plain;
	static struct bench_series store;
	char subject[96];
	uint64_t nodes = 0;
	uint64_t edges = 0;
	double medians[2];
	int round;

	plain.count = 0;
	store.count = 0;
	for (round = 0; round < ROUNDS; round++) {
		bench_series_add(&plain,
				 round_plain(walker, hops, &nodes, &edges));
		bench_series_add(&store, round_store(walker, hops));
	}
	medians[0] = bench_series_median(&plain);
	medians[1] = bench_series_median(&store);
	snprintf(subject, sizeof subject,
		 "%u hop%s: %.1f nodes, %.1f edges a walk", hops,
		 hops == 1 ? "" : "s", (double)nodes / STARTS,
		 (double)edges / STARTS);
	bench_add(bench, subject, "coppice", "a walk", medians[1], "us");
	bench_add(bench, subject, "CSR in C", "a walk", medians[0], "us");
	bench_add(bench, subject, "coppice", "an edge",
		  medians[1] * 1e3 * STARTS / (double)edges, "ns");
	bench_add(bench, subject, "CSR in C", "an edge",
		  medians[0] * 1e3 * STARTS / (double)edges, "ns");
	bench_add(bench, subject, "coppice", "ratio to CSR",
		  medians[1] / medians[0], "x");
}

static void run(struct bench *bench)
{
	static struct walker walker;
	const char *large = getenv("BENCH_LARGE");
	uint32_t nodes = large != NULL && *large == '1' ? 1000000 : 100000;
	struct bench_filling filling = {.graph = &walker.graph};
	struct bench_random random = {5};
	char path[4096];
	cop_store *store;
	uint64_t start_ns;
	uint32_t hops;
	uint32_t index;

	nodes = bench->quick ? nodes / 10 : nodes;
	bench_graph_init(&walker.graph, 4, nodes, nodes * 12);
	bench_bfs_init(&walker.bfs, &walker.graph);
	bench_path(bench, "store", path, sizeof path);
	store = bench_store_create(path, 0, 0, nodes);
	filling.entities = nodes;
	start_ns = bench_now_ns();
	bench_store_fill(store, &filling);
	bench_note("%u nodes, %u edges put in %.1f s", nodes,
		   walker.graph.edge_count, bench_seconds_since(start_ns));
	bench_check("cop_read_begin", cop_read_begin(store, &walker.read));
	walker.ids = bench_store_ids(walker.read, nodes);
	walker.steps = bench_alloc(nodes * sizeof *walker.steps);
	for (index = 0; index < STARTS; index++)
		walker.start[index] =
		    (uint32_t)bench_random_below(&random, nodes);
	for (hops = 1; hops <= HOPS; hops++)
		measure(bench, &walker, hops);
	cop_read_end(walker.read);
	cop_close(store);
}

int main(int argument_count, char **arguments)
{
	return bench_main("walk", argument_count, arguments, run);
}
