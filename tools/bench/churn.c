/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Churn: a store whose vectors are all deleted and put again, ten times over.
 *
 * idea
 *	In random order, a hundred a commit, while another process searches.
 *	Then, after upkeep, against a store that was filled once: recall at
 *	the same width is within 0.01, no node is unreachable, the shared
 *	memory is at most 1.3 times as much, nothing waits to be freed.  What
 *	does not hold ends the program with a failure: `make soak` runs it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_npy.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_scan.h"
#include "bench_store.h"

enum { BATCH = 100, ROUNDS = 10, SAMPLES = 1000, EF = 64, K = 10 };

struct set {
	const char *name;
	struct bench_matrix rows;
	int32_t metric;
};

struct figures {
	struct cop_recall recall;
	struct cop_stats stats;
};

/* What the searching process tells. */
struct searcher {
	uint64_t searches;
	uint64_t short_ones;
	double longest;
};

static void figures_take(cop_store *store, struct figures *out)
{
	struct cop_maintain_options options = {.size = sizeof options,
					       .threads = 2};
	cop_read *read;

	bench_check("cop_maintain", cop_maintain(store, &options, NULL));
	bench_check("cop_read_begin", cop_read_begin(store, &read));
	out->recall = (struct cop_recall){.size = sizeof out->recall};
	out->stats = (struct cop_stats){.size = sizeof out->stats};
	bench_check("cop_recall", cop_recall(read, SAMPLES, EF, &out->recall));
	bench_check("cop_stat", cop_stat(read, &out->stats));
	cop_read_end(read);
}

/* ---- the searching process ---------------------------------------------- */

static void search_on(const char *path, const struct set *set,
		      struct searcher *told)
{
	struct cop_search search = {.size = sizeof search, .k = K};
	struct bench_random random = {7};
	struct cop_hit hits[K];
	cop_store *store;

	bench_check("cop_open", cop_open(path, NULL, &store));
	for (;;) {
		uint64_t start_ns = bench_now_ns();
		uint32_t count = 0;
		cop_read *read;
		double passed;

		search.vector = set->rows.data +
				bench_random_below(&random, set->rows.rows) *
				    set->rows.columns;
		bench_check("cop_read_begin", cop_read_begin(store, &read));
		bench_check("cop_search",
			    cop_search(read, &search, hits, &count));
		cop_read_end(read);
		passed = bench_seconds_since(start_ns);
		told->searches++;
		told->short_ones += count != K;
		if (passed > told->longest)
			told->longest = passed;
	}
}

static int searcher_start(const char *path, const struct set *set,
			  struct searcher *told)
{
	int pid = bench_fork();

	if (!pid) {
		search_on(path, set, told);
		_exit(0);
	}
	return pid;
}

/* ---- churn -------------------------------------------------------------- */

static void order_shuffle(uint32_t *order, uint32_t count,
			  struct bench_random *random)
{
	for (uint32_t i = count; i > 1; i--) {
		uint32_t j = (uint32_t)bench_random_below(random, i);
		uint32_t kept = order[i - 1];

		order[i - 1] = order[j];
		order[j] = kept;
	}
}

static void batch_renew(cop_write *write, const struct set *set,
			const uint32_t *order, uint32_t count)
{
	char key[BENCH_KEY_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		size_t size = bench_key(order[i], key);

		bench_check("cop_delete", cop_delete(write, key, size));
	}
	bench_check("cop_commit", cop_commit(write, NULL));
	for (uint32_t i = 0; i < count; i++) {
		struct cop_put put = {
		    .size = sizeof put,
		    .key = key,
		    .key_size = (uint32_t)bench_key(order[i], key),
		    .vector = set->rows.data + order[i] * set->rows.columns,
		    .dim = (uint32_t)set->rows.columns};

		bench_check("cop_put", cop_put(write, &put));
	}
	bench_check("cop_commit", cop_commit(write, NULL));
}

static void churn(struct bench *bench, cop_store *store, const struct set *set)
{
	uint32_t count = (uint32_t)set->rows.rows;
	uint32_t *order = bench_alloc(count * sizeof *order);
	struct bench_random random = {11};
	cop_write *write;

	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	bench_check("cop_write_begin", cop_write_begin(store, &write));
	for (int round = 0; round < (bench->quick ? 2 : ROUNDS); round++) {
		order_shuffle(order, count, &random);
		for (uint32_t at = 0; at < count; at += BATCH)
			batch_renew(write, set, order + at,
				    count - at < BATCH ? count - at : BATCH);
		bench_note("%s: round %d of %d", set->name, round + 1,
			   bench->quick ? 2 : ROUNDS);
	}
	cop_abort(write);
	free(order);
}

static void judge(const struct set *set, const struct figures *fresh,
		  const struct figures *worn)
{
	if (worn->recall.recall < fresh->recall.recall - 0.01)
		bench_fail("%s: recall fell from %.4f to %.4f", set->name,
			   fresh->recall.recall, worn->recall.recall);
	if (worn->recall.unreachable || worn->recall.one_way ||
	    worn->recall.broken)
		bench_fail("%s: %lu nodes are unreachable, %lu links broken",
			   set->name, (unsigned long)worn->recall.unreachable,
			   (unsigned long)(worn->recall.one_way +
					   worn->recall.broken));
	if ((double)worn->stats.index_bytes >
	    (double)fresh->stats.index_bytes * 1.3)
		bench_fail("%s: %lu bytes, and %lu when it was new", set->name,
			   (unsigned long)worn->stats.index_bytes,
			   (unsigned long)fresh->stats.index_bytes);
	if (worn->stats.limbo)
		bench_fail("%s: %lu things wait to be freed", set->name,
			   (unsigned long)worn->stats.limbo);
}

static void tell(struct bench *bench, const struct set *set,
		 const struct figures *fresh, const struct figures *worn,
		 const struct searcher *told, double seconds)
{
	bench_add(bench, set->name, "filled once", "recall at ef 64",
		  fresh->recall.recall, "");
	bench_add(bench, set->name, "after churn", "recall at ef 64",
		  worn->recall.recall, "");
	bench_add(bench, set->name, "after churn", "memory",
		  (double)worn->stats.index_bytes /
		      (double)fresh->stats.index_bytes,
		  "x");
	bench_add(bench, set->name, "after churn",
		  "delete and insert, a vector", seconds * 1e6, "us");
	bench_add(bench, set->name, "searches meanwhile", "longest",
		  told->longest * 1e3, "ms");
	bench_add(bench, set->name, "searches meanwhile", "fewer than 10 hits",
		  (double)told->short_ones, "");
}

static void run_set(struct bench *bench, struct set *set)
{
	struct bench_filling filling = {.entities = (uint32_t)set->rows.rows,
					.vectors = set->rows.data};
	struct searcher *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct figures fresh;
	struct figures worn;
	uint64_t start_ns;
	double seconds;
	char path[4096];
	char name[64];
	cop_store *store;
	int pid;

	if (told == MAP_FAILED)
		bench_fail("no memory");
	snprintf(name, sizeof name, "store-%s", set->name);
	bench_path(bench, name, path, sizeof path);
	store = bench_store_create(path, (uint32_t)set->rows.columns,
				   set->metric, filling.entities);
	bench_store_fill(store, &filling);
	figures_take(store, &fresh);
	pid = searcher_start(path, set, told);
	start_ns = bench_now_ns();
	churn(bench, store, set);
	seconds = bench_seconds_since(start_ns) / (double)set->rows.rows /
		  (bench->quick ? 2 : ROUNDS);
	kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	figures_take(store, &worn);
	tell(bench, set, &fresh, &worn, told, seconds);
	judge(set, &fresh, &worn);
	cop_close(store);
	munmap(told, 4096);
	free(set->rows.data);
}

static void run(struct bench *bench)
{
	struct set set = {"generated", {NULL, 0, 0}, COP_L2};
	size_t rows = bench->quick ? 5000 : 30000;

	set.rows = (struct bench_matrix){bench_random_mixture(1, rows, 64, 300),
					 rows, 64};
	run_set(bench, &set);
	if (bench->quick)
		return;
	set.name = "lsa128";
	set.metric = COP_COSINE;
	if (!bench_npy_load("oewn/oewn2022_lsa128_f16.npy", &set.rows)) {
		bench_scan_normalize(set.rows.data, set.rows.rows,
				     set.rows.columns);
		run_set(bench, &set);
	}
	set.name = "fashion_mnist";
	set.metric = COP_L2;
	if (!bench_npy_load("fashion_mnist/base_u8_60000x784.npy.gz",
			    &set.rows))
		run_set(bench, &set);
}

int main(int argument_count, char **arguments)
{
	/* what is renewed is the graph; versions of vectors would fill a disk
	 */
	setenv("BENCH_HISTORY", "none", 0);
	return bench_main("churn", argument_count, arguments, run);
}
