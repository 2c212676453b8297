/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbours and walks against compressed sparse rows.
 *
 * idea
 *	A seeded power-law graph, a million nodes and 12 million edges, in a
 *	store and as plain arrays in this process.  The neighbours of random
 *	nodes, where which comes next hangs on what was found, and where the
 *	processor may look ahead, as it does in a loop as short as the arrays',
 *	asked for one by one and a hundred at once; from 1,000 of them
 *	everything within one, two and three hops; and within three hops while
 *	another process adds edges, a commit of ten after the other, which the
 *	snapshot does not see.  By turns; the counts must be the same.  The
 *	arrays can do nothing but this: no keys, no relations, no snapshots, no
 *	other writer.
 *
 * settings
 *	BENCH_NODES=N	entities; BENCH_EDGES=N edges: ten million and a hundred
 *			million take an hour, 9 GB of /dev/shm and 14 of disk
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_graph.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum { STARTS = 1000, HOPS = 3, ROUNDS = 5, NEIGHBORS = 100000 };
enum { MANY = 100 };
enum { WRITES = 10, WRITE_PAUSE_US = 1000 };

/* How neighbours are asked for. */
enum asking { CHAINED, IN_A_LOOP, MANY_AT_ONCE };

static const char *const asking_name[] = {"one after the other", "in a loop",
					  "many at once"};

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

static void measure(struct bench *bench, struct walker *walker, uint32_t hops,
		    const char *beside)
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
		 "%u hop%s%s: %.1f nodes, %.1f edges a walk", hops,
		 hops == 1 ? "" : "s", beside, (double)nodes / STARTS,
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

/* ---- neighbours --------------------------------------------------------- */

/*
 * Which node's neighbours are asked for next.  In a chain that hangs on those
 * found before, so that the processor cannot look ahead; else it asks for
 * several at once.
 */
static uint32_t node_next(const struct walker *walker,
			  struct bench_random *random, int is_chained,
			  uint64_t sum)
{
	uint64_t next = bench_random_below(random, walker->graph.node_count);

	if (is_chained) /* a branch: the other way may not hang on it */
		next = (next + sum) % walker->graph.node_count;
	return (uint32_t)next;
}

/* Nanoseconds for the neighbours of one, by the arrays: a sum of them. */
static double neighbors_plain(const struct walker *walker, uint32_t seed,
			      int is_chained, uint64_t *sum)
{
	struct bench_random random = {seed};
	const struct bench_graph *graph = &walker->graph;
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	for (index = 0; index < NEIGHBORS; index++) {
		uint32_t node = node_next(walker, &random, is_chained, *sum);
		uint32_t edge;

		for (edge = graph->start[node]; edge < graph->start[node + 1];
		     edge++)
			*sum += graph->target[edge] > 0;
	}
	return bench_seconds_since(start_ns) * 1e9 / NEIGHBORS;
}

static double neighbors_store(const struct walker *walker, uint32_t seed,
			      int is_chained, struct cop_neighbor *list,
			      uint64_t *sum)
{
	struct bench_random random = {seed};
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	for (index = 0; index < NEIGHBORS; index++) {
		uint64_t id = walker->ids[0] +
			      node_next(walker, &random, is_chained, *sum);
		size_t count;
		size_t i;

		bench_check("cop_neighbors",
			    cop_neighbors(walker->read, id, NULL, COP_OUT, list,
					  walker->graph.node_count, &count));
		for (i = 0; i < count; i++)
			*sum +=
			    list[i].id > 1; /* ids are from 1, nodes from 0 */
	}
	return bench_seconds_since(start_ns) * 1e9 / NEIGHBORS;
}

/* The same of MANY at a time. */
static double neighbors_many(const struct walker *walker, uint32_t seed,
			     struct cop_neighbor *list, uint64_t *sum)
{
	struct bench_random random = {seed};
	uint64_t start_ns = bench_now_ns();
	uint64_t ids[MANY];
	size_t starts[MANY + 1];
	uint32_t index;
	size_t i;

	for (index = 0; index < NEIGHBORS; index += MANY) {
		for (i = 0; i < MANY; i++)
			ids[i] = walker->ids[0] +
				 node_next(walker, &random, 0, *sum);
		bench_check(
		    "cop_neighbors_many",
		    cop_neighbors_many(walker->read, ids, MANY, NULL, COP_OUT,
				       list, walker->graph.node_count, starts));
		if (starts[MANY] > walker->graph.node_count)
			bench_fail("no room for %zu edges", starts[MANY]);
		for (i = 0; i < starts[MANY]; i++)
			*sum += list[i].id > 1;
	}
	return bench_seconds_since(start_ns) * 1e9 / NEIGHBORS;
}

static void measure_neighbors(struct bench *bench, struct walker *walker,
			      enum asking asking)
{
	static struct bench_series plain;
	static struct bench_series store;
	struct cop_neighbor *list =
	    bench_alloc(walker->graph.node_count * sizeof *list);
	int is_chained = asking == CHAINED;
	char subject[96];
	uint64_t sums[2] = {0, 0};
	double medians[2];
	uint32_t round;

	plain.count = 0;
	store.count = 0;
	for (round = 0; round < ROUNDS; round++) {
		bench_series_add(&plain, neighbors_plain(walker, round,
							 is_chained, &sums[0]));
		bench_series_add(
		    &store, asking == MANY_AT_ONCE
				? neighbors_many(walker, round, list, &sums[1])
				: neighbors_store(walker, round, is_chained,
						  list, &sums[1]));
	}
	if (sums[0] != sums[1])
		bench_fail("neighbours sum up to %llu instead of %llu",
			   (unsigned long long)sums[1],
			   (unsigned long long)sums[0]);
	medians[0] = bench_series_median(&plain);
	medians[1] = bench_series_median(&store);
	snprintf(subject, sizeof subject, "neighbours of one, %s: %.1f",
		 asking_name[asking],
		 (double)walker->graph.edge_count / walker->graph.node_count);
	bench_add(bench, subject, "coppice", "an entity", medians[1], "ns");
	bench_add(bench, subject, "CSR in C", "an entity", medians[0], "ns");
	bench_add(bench, subject, "coppice", "ratio to CSR",
		  medians[1] / medians[0], "x");
	free(list);
}

/* ---- a writer ----------------------------------------------------------- */

static _Noreturn void edges_add(const char *path, uint32_t nodes)
{
	struct bench_random random = {99};
	cop_store *store;
	cop_write *write;

	bench_check("cop_open", cop_open(path, NULL, &store));
	bench_check("cop_write_begin", cop_write_begin(store, &write));
	for (;;) {
		char source[BENCH_KEY_BYTES];
		char target[BENCH_KEY_BYTES];
		struct cop_put_edge put = {.size = sizeof put,
					   .source = source,
					   .target = target,
					   .relation = "more",
					   .relation_size = 4};
		int i;

		for (i = 0; i < WRITES; i++) {
			put.source_size = bench_key(
			    (uint32_t)bench_random_below(&random, nodes),
			    source);
			put.target_size = bench_key(
			    (uint32_t)bench_random_below(&random, nodes),
			    target);
			bench_check("cop_put_edge", cop_put_edge(write, &put));
		}
		bench_check("cop_commit", cop_commit(write, NULL));
		usleep(WRITE_PAUSE_US);
	}
}

static void measure_beside(struct bench *bench, struct walker *walker,
			   const char *path)
{
	int pid = bench_fork();

	if (pid == 0)
		edges_add(path, walker->graph.node_count);
	measure(bench, walker, HOPS, " beside a writer");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- bytes -------------------------------------------------------------- */

static void bytes_tell(struct bench *bench, const struct walker *walker,
		       const struct cop_stats *before)
{
	struct cop_stats stats = {.size = sizeof stats};
	const char *subject = "bytes";
	double edges = walker->graph.edge_count;
	double nodes = walker->graph.node_count;

	bench_check("cop_stat", cop_stat(walker->read, &stats));
	bench_add(bench, subject, "coppice", "an edge in shared memory",
		  (double)(stats.index_bytes - before->index_bytes) / edges,
		  "bytes");
	bench_add(bench, subject, "coppice", "an edge on disk",
		  (double)(stats.disk_bytes - before->disk_bytes) / edges,
		  "bytes");
	bench_add(bench, subject, "coppice", "an entity in shared memory",
		  (double)before->index_bytes / nodes, "bytes");
	bench_add(bench, subject, "coppice", "an entity on disk",
		  (double)before->disk_bytes / nodes, "bytes");
}

static void stat_of(cop_store *store, struct cop_stats *stats)
{
	cop_read *read;

	*stats = (struct cop_stats){.size = sizeof *stats};
	bench_check("cop_read_begin", cop_read_begin(store, &read));
	bench_check("cop_stat", cop_stat(read, stats));
	cop_read_end(read);
}

static uint32_t size_of(const char *setting, uint32_t otherwise)
{
	const char *value = getenv(setting);
	unsigned long size = value ? strtoul(value, NULL, 10) : otherwise;

	if (size == 0 || size > UINT32_MAX / 4)
		bench_fail("%s is not a number from 1 to a billion", setting);
	return (uint32_t)size;
}

static void run(struct bench *bench)
{
	static struct walker walker;
	uint32_t nodes =
	    size_of("BENCH_NODES", bench->quick ? 100000 : 1000000);
	struct bench_filling entities = {.entities = nodes};
	struct bench_filling edges = {.graph = &walker.graph};
	struct bench_random random = {5};
	struct cop_stats before;
	char path[4096];
	cop_store *store;
	uint64_t start_ns;
	uint32_t hops;
	uint32_t index;

	bench_graph_init(&walker.graph, 4, nodes,
			 size_of("BENCH_EDGES", nodes * 12));
	bench_bfs_init(&walker.bfs, &walker.graph);
	bench_path(bench, "store", path, sizeof path);
	store = bench_store_create(path, 0, 0, nodes);
	bench_store_fill(store, &entities);
	stat_of(store, &before);
	start_ns = bench_now_ns();
	bench_store_fill(store, &edges);
	bench_add(bench, "put in bulk", "coppice", "edges a second",
		  walker.graph.edge_count / bench_seconds_since(start_ns),
		  "1/s");
	bench_check("cop_read_begin", cop_read_begin(store, &walker.read));
	bytes_tell(bench, &walker, &before);
	walker.ids = bench_store_ids(walker.read, nodes);
	for (index = 0; index < nodes; index++)
		if (walker.ids[index] != walker.ids[0] + index)
			bench_fail("ids are not in the order of the nodes");
	walker.steps = bench_alloc(nodes * sizeof *walker.steps);
	for (index = 0; index < STARTS; index++)
		walker.start[index] =
		    (uint32_t)bench_random_below(&random, nodes);
	measure_neighbors(bench, &walker, CHAINED);
	measure_neighbors(bench, &walker, IN_A_LOOP);
	measure_neighbors(bench, &walker, MANY_AT_ONCE);
	for (hops = 1; hops <= HOPS; hops++)
		measure(bench, &walker, hops, "");
	measure_beside(bench, &walker, path);
	cop_read_end(walker.read);
	cop_close(store);
}

int main(int argument_count, char **arguments)
{
	return bench_main("graph", argument_count, arguments, run);
}
