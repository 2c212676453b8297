/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed, seeded amount of work, for counting instructions.
 *
 * idea
 *	A store of 5,000 entities with 64 dimensions and about 20,000 edges.
 *	`counts MODE` does the same work each time, all of it in one function
 *	that is not inlined, so that
 *
 *	  valgrind --tool=callgrind --toggle-collect=measured_search \
 *		build/release/bench/counts search
 *
 *	counts it and nothing else.
 *
 *	measured_search	100 searches of all, k = 10
 *	measured_get	10,000 entities by key
 *	measured_walk	500 walks of two hops
 *	measured_put	1,000 entities with vectors, in one commit
 *
 *	`counts figures` prints what depends on the layout alone, one
 *	"name<TAB>value" a line: bytes a vector and an edge.  As a benchmark
 *	(`counts OUTDIR`) it reports time an operation, and those bytes.
 *
 * limits
 *	Address space is kept small (COPPICE_RESERVE, COPPICE_MAP_SIZE), so that
 *	it runs under valgrind; the environment may say otherwise.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_graph.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum {
	ENTITIES = 5000,
	EDGES = 20000,
	DIM = 64,
	K = 10,
	SEARCHES = 100,
	GETS = 10000,
	WALKS = 500,
	PUTS = 1000,
	KEY_SIZE = 10
};

struct counted {
	char folder[256];
	char path[300];
	cop_store *store;
	cop_read *read;
	cop_write *write;
	float *vectors; /* ENTITIES + PUTS */
	uint64_t *ids;
	char (*keys)[BENCH_KEY_BYTES]; /* ENTITIES + PUTS */
	struct cop_step *steps;
	uint64_t sum; /* of the answers: the same each time */
};

struct mode {
	const char *name;
	void (*measured)(struct counted *counted);
	uint32_t operations;
};

/* measured_*: external, so that no compiler renames or clones them. */
void measured_search(struct counted *counted);
void measured_get(struct counted *counted);
void measured_walk(struct counted *counted);
void measured_put(struct counted *counted);

__attribute__((noinline)) void measured_search(struct counted *counted)
{
	struct cop_hit hits[K];
	uint32_t index;

	for (index = 0; index < SEARCHES; index++) {
		struct cop_search search = {.size = sizeof search,
					    .k = K,
					    .vector = counted->vectors +
						      (size_t)index * 49 * DIM};
		uint32_t count = 0;

		bench_check("cop_search",
			    cop_search(counted->read, &search, hits, &count));
		counted->sum += hits[count - 1].id;
	}
}

__attribute__((noinline)) void measured_get(struct counted *counted)
{
	uint32_t index;

	for (index = 0; index < GETS; index++) {
		struct cop_entity entity;
		const char *key = counted->keys[index * 7 % ENTITIES];

		bench_check("cop_get",
			    cop_get(counted->read, key, KEY_SIZE, &entity));
		counted->sum += entity.id;
	}
}

__attribute__((noinline)) void measured_walk(struct counted *counted)
{
	uint32_t index;

	for (index = 0; index < WALKS; index++) {
		struct cop_walk walk = {.size = sizeof walk,
					.hops = 2,
					.start = counted->ids[index * 9]};
		size_t count = 0;

		bench_check("cop_walk",
			    cop_walk(counted->read, &walk, counted->steps,
				     ENTITIES, &count, NULL));
		counted->sum += count;
	}
}

__attribute__((noinline)) void measured_put(struct counted *counted)
{
	uint32_t index;

	for (index = ENTITIES; index < ENTITIES + PUTS; index++) {
		struct cop_put put = {.size = sizeof put,
				      .key = counted->keys[index],
				      .key_size = KEY_SIZE};

		put.vector = counted->vectors + (size_t)index * DIM;
		put.dim = DIM;
		bench_check("cop_put", cop_put(counted->write, &put));
	}
	bench_check("cop_commit", cop_commit(counted->write, NULL));
}

static const struct mode modes[] = {
    {"search", measured_search, SEARCHES},
    {"get", measured_get, GETS},
    {"walk", measured_walk, WALKS},
    {"put", measured_put, PUTS},
};

enum { MODES = sizeof modes / sizeof modes[0] };

static void counted_init(struct counted *counted)
{
	struct bench_graph graph;
	struct bench_filling filling = {.entities = ENTITIES,
					.content_bytes = 100,
					.type = "thing",
					.graph = &graph};
	uint32_t index;

	counted->keys = bench_alloc((ENTITIES + PUTS) * sizeof *counted->keys);
	for (index = 0; index < ENTITIES + PUTS; index++)
		bench_key(index, counted->keys[index]);
	bench_graph_init(&graph, 6, ENTITIES, EDGES);
	counted->vectors = bench_random_mixture(7, ENTITIES + PUTS, DIM, 50);
	filling.vectors = counted->vectors;
	counted->store =
	    bench_store_create(counted->path, DIM, COP_L2, ENTITIES + PUTS);
	bench_store_fill(counted->store, &filling);
	bench_graph_release(&graph);
	bench_check("cop_read_begin",
		    cop_read_begin(counted->store, &counted->read));
	bench_check("cop_write_begin",
		    cop_write_begin(counted->store, &counted->write));
	counted->ids = bench_store_ids(counted->read, ENTITIES);
	counted->steps = bench_alloc(ENTITIES * sizeof *counted->steps);
}

static void counted_release(struct counted *counted)
{
	cop_abort(counted->write);
	cop_read_end(counted->read);
	cop_close(counted->store);
	bench_check("cop_detach", cop_detach(counted->path));
	free(counted->vectors);
	free(counted->ids);
	free(counted->keys);
	free(counted->steps);
}

static int remove_entry(const char *path, const struct stat *status, int kind,
			struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static void figures_of(struct counted *counted, struct cop_stats *stats)
{
	stats->size = sizeof *stats;
	bench_check("cop_stat", cop_stat(counted->read, stats));
	if (stats->vectors == 0 || stats->edges == 0)
		bench_fail("the store is empty");
}

static void print_figures(struct counted *counted)
{
	struct cop_stats stats;

	figures_of(counted, &stats);
	printf("row_bytes\t%llu\n", (unsigned long long)stats.row_bytes);
	printf("bank_bytes_a_vector\t%.1f\n",
	       (double)stats.bank_bytes / (double)stats.vectors);
	printf("edge_bytes_an_edge\t%.1f\n",
	       (double)stats.edge_bytes / (double)stats.edges);
}

/* In one process, without the frame of a benchmark: valgrind looks on. */
static int count_main(const char *name)
{
	static struct counted counted;
	const char *temporary = getenv("TMPDIR");
	size_t mode;

	snprintf(counted.folder, sizeof counted.folder,
		 "%s/coppice-counts.XXXXXX",
		 temporary != NULL && *temporary != '\0' ? temporary : "/tmp");
	if (mkdtemp(counted.folder) == NULL)
		bench_fail("cannot make %s", counted.folder);
	snprintf(counted.path, sizeof counted.path, "%s/store", counted.folder);
	counted_init(&counted);
	for (mode = 0; mode < MODES; mode++)
		if (strcmp(modes[mode].name, name) == 0)
			modes[mode].measured(&counted);
	if (strcmp(name, "figures") == 0)
		print_figures(&counted);
	else
		printf("sum\t%llu\n", (unsigned long long)counted.sum);
	counted_release(&counted);
	nftw(counted.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void run(struct bench *bench)
{
	static struct counted counted;
	struct cop_stats stats;
	const char *subject = "5,000 entities x 64, 20,000 edges";
	size_t mode;

	bench_path(bench, "store", counted.path, sizeof counted.path);
	counted_init(&counted);
	for (mode = 0; mode < MODES; mode++) {
		uint64_t start_ns = bench_now_ns();

		modes[mode].measured(&counted);
		bench_add(bench, subject, modes[mode].name, "an operation",
			  bench_seconds_since(start_ns) * 1e6 /
			      modes[mode].operations,
			  "us");
	}
	figures_of(&counted, &stats);
	bench_add(bench, subject, "a vector's row", "shared memory",
		  (double)stats.row_bytes, "bytes");
	bench_add(bench, subject, "bank, a vector", "shared memory",
		  (double)stats.bank_bytes / (double)stats.vectors, "bytes");
	bench_add(bench, subject, "adjacency, an edge", "shared memory",
		  (double)stats.edge_bytes / (double)stats.edges, "bytes");
	counted_release(&counted);
}

int main(int argument_count, char **arguments)
{
	size_t mode;

	setenv("COPPICE_RESERVE", "4G", 0);
	setenv("COPPICE_MAP_SIZE", "1G", 0);
	for (mode = 0; mode < MODES && argument_count == 2; mode++)
		if (strcmp(arguments[1], modes[mode].name) == 0)
			return count_main(arguments[1]);
	if (argument_count == 2 && strcmp(arguments[1], "figures") == 0)
		return count_main(arguments[1]);
	return bench_main("counts", argument_count, arguments, run);
}
