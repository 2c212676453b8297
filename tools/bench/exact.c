/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact search: cop_search against a plain scan of float32 rows.
 *
 * idea
 *	The ten nearest of all, one thread, three systems by turns:
 *	coppice		cop_search, ranked by the rows of the bank
 *	coppice exact	cop_search with exact = 1, ranked by the float32 in LMDB
 *	float32 scan	bench_scan.c over the same vectors in private memory
 *	The target is at least twice the scan's rate.  Then the same with two
 *	processes at once: each opens the store itself, and the rate of both
 *	together is compared with that of one.
 *
 *	All distances are compared: coppice exact must agree with the scan to
 *	float32's rounding, coppice to half precision's.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_npy.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_scan.h"
#include "bench_store.h"

enum { K = 10, ROUNDS = 9, SYSTEMS = 3, PAIR_ROUNDS = 3 };

static const double slice_seconds = 0.25;
static const char *const system_names[SYSTEMS] = {"coppice", "coppice exact",
						  "float32 scan"};

struct subject {
	char name[96];
	char path[4096];
	struct bench_matrix rows;
	struct bench_matrix queries;
	int32_t metric;
};

/* One process's means to ask all three systems. */
struct asker {
	const struct subject *subject;
	cop_read *read;
	struct bench_scan scan;
	size_t next; /* query */
};

static void ask_store(const struct asker *asker, const float *query, int exact,
		      struct cop_hit hits[K])
{
	struct cop_search search = {.size = sizeof search,
				    .k = K,
				    .vector = query,
				    .strategy = COP_SCAN,
				    .exact = exact};
	uint32_t count = 0;

	bench_check("cop_search",
		    cop_search(asker->read, &search, hits, &count));
	if (count != K)
		bench_fail("a search gave %u hits instead of %d", count, K);
}

static void ask(struct asker *asker, int system)
{
	const struct bench_matrix *queries = &asker->subject->queries;
	const float *query =
	    queries->data + asker->next++ % queries->rows * queries->columns;
	struct bench_scan_hit scan_hits[K];
	struct cop_hit hits[K];

	if (system == 2)
		bench_scan_run(&asker->scan, query, K, scan_hits);
	else
		ask_store(asker, query, system, hits);
}

/* Queries a second over a slice of time. */
static double rate(struct asker *asker, int system, double seconds)
{
	uint64_t start_ns = bench_now_ns();
	uint64_t count = 0;
	double passed;

	do {
		ask(asker, system);
		count++;
		passed = bench_seconds_since(start_ns);
	} while (passed < seconds);
	return (double)count / passed;
}

static void asker_init(struct asker *asker, const struct subject *subject,
		       cop_store *store)
{
	asker->subject = subject;
	asker->next = 0;
	asker->scan = (struct bench_scan){
	    subject->rows.data, subject->rows.rows, subject->rows.columns,
	    subject->metric == COP_COSINE};
	bench_check("cop_read_begin", cop_read_begin(store, &asker->read));
}

/* The greatest difference, relative to 1 plus the distance. */
static double worst_gap(const struct asker *asker, int exact, size_t queries)
{
	const struct bench_matrix *from = &asker->subject->queries;
	double worst = 0;
	size_t query;
	int index;

	for (query = 0; query < queries && query < from->rows; query++) {
		const float *vector = from->data + query * from->columns;
		struct bench_scan_hit scan_hits[K];
		struct cop_hit hits[K];

		bench_scan_run(&asker->scan, vector, K, scan_hits);
		ask_store(asker, vector, exact, hits);
		for (index = 0; index < K; index++) {
			double right = (double)scan_hits[index].distance;
			double gap = fabs(hits[index].distance - right) /
				     (1 + fabs(right));

			worst = gap > worst ? gap : worst;
		}
	}
	return worst;
}

static void verify(struct bench *bench, const struct asker *asker)
{
	const struct subject *subject = asker->subject;
	double exact = worst_gap(asker, 1, 100);
	double rows = worst_gap(asker, 0, 100);

	bench_add(bench, subject->name, system_names[0], "largest difference",
		  rows, "relative");
	bench_add(bench, subject->name, system_names[1], "largest difference",
		  exact, "relative");
	if (exact > 1e-4)
		bench_fail("%s: an exact distance is off by %g", subject->name,
			   exact);
	if (rows > 1e-2)
		bench_fail("%s: a distance is off by %g", subject->name, rows);
}

static void measure_alone(struct bench *bench, struct asker *asker)
{
	static struct bench_series series[SYSTEMS];
	const char *subject = asker->subject->name;
	double medians[SYSTEMS];
	int round;
	int system;

	memset(series, 0, sizeof series);
	for (round = 0; round < (bench->quick ? 3 : ROUNDS); round++)
		for (system = 0; system < SYSTEMS; system++)
			bench_series_add(&series[system],
					 rate(asker, system, slice_seconds));
	for (system = 0; system < SYSTEMS; system++) {
		medians[system] = bench_series_median(&series[system]);
		bench_add(bench, subject, system_names[system],
			  "searches, one thread", medians[system], "1/s");
	}
	for (system = 0; system < 2; system++)
		bench_add(bench, subject, system_names[system],
			  "ratio to the scan", medians[system] / medians[2],
			  "x");
}

/* In a child: opens the store, waits for the word, measures. */
static void measure_child(const struct subject *subject, int system,
			  const int *word, double *out)
{
	cop_store *store = NULL;
	struct asker asker;
	char byte;

	bench_check("cop_open", cop_open(subject->path, NULL, &store));
	asker_init(&asker, subject, store);
	(void)rate(&asker, system, 0.05); /* faults its pages in */
	close(word[1]);
	if (read(word[0], &byte, 1) != 0)
		bench_fail("the word is wrong");
	*out = rate(&asker, system, slice_seconds * 2);
	cop_read_end(asker.read);
	cop_close(store);
}

/* The rate of `count` processes together. */
static double measure_processes(const struct subject *subject, int system,
				int count)
{
	double *rates = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pid[4];
	int word[2]; /* closed: go */
	double sum = 0;
	int index;

	if (rates == MAP_FAILED || pipe(word) != 0)
		bench_fail("no memory or pipe");
	for (index = 0; index < count; index++) {
		pid[index] = bench_fork();
		if (pid[index] == 0) {
			measure_child(subject, system, word, &rates[index]);
			_exit(0);
		}
	}
	usleep(200000);
	close(word[0]);
	close(word[1]);
	for (index = 0; index < count; index++) {
		bench_await(pid[index], "a searching process");
		sum += rates[index];
	}
	munmap(rates, 4096);
	return sum;
}

static void measure_pair(struct bench *bench, const struct subject *subject)
{
	static struct bench_series one;
	static struct bench_series two;
	int system;
	int round;

	for (system = 0; system < SYSTEMS; system += 2) {
		one.count = 0;
		two.count = 0;
		for (round = 0; round < (bench->quick ? 1 : PAIR_ROUNDS);
		     round++) {
			bench_series_add(&one,
					 measure_processes(subject, system, 1));
			bench_series_add(&two,
					 measure_processes(subject, system, 2));
		}
		bench_add(bench, subject->name, system_names[system],
			  "searches, two processes", bench_series_median(&two),
			  "1/s");
		bench_add(bench, subject->name, system_names[system],
			  "two processes to one",
			  bench_series_median(&two) / bench_series_median(&one),
			  "x");
	}
}

static void measure(struct bench *bench, struct subject *subject,
		    const char *name)
{
	struct bench_filling filling = {.entities =
					    (uint32_t)subject->rows.rows,
					.vectors = subject->rows.data};
	struct asker asker;
	char file[64];
	cop_store *store;

	snprintf(subject->name, sizeof subject->name, "%s, %zu x %zu, %s", name,
		 subject->rows.rows, subject->rows.columns,
		 subject->metric == COP_L2 ? "L2" : "cosine");
	snprintf(file, sizeof file, "store-%s", name);
	bench_path(bench, file, subject->path, sizeof subject->path);
	store =
	    bench_store_create(subject->path, (uint32_t)subject->rows.columns,
			       subject->metric, filling.entities);
	bench_store_fill(store, &filling);
	asker_init(&asker, subject, store);
	verify(bench, &asker);
	measure_alone(bench, &asker);
	measure_pair(bench, subject);
	cop_read_end(asker.read);
	cop_close(store);
	free(subject->rows.data);
	free(subject->queries.data);
}

/* A thousand rows, evenly spread, as queries. */
static void take_queries(struct subject *subject)
{
	size_t dim = subject->rows.columns;
	size_t query;

	subject->queries = (struct bench_matrix){
	    bench_alloc(1000 * dim * sizeof(float)), 1000, dim};
	for (query = 0; query < 1000; query++)
		memcpy(subject->queries.data + query * dim,
		       subject->rows.data +
			   query * subject->rows.rows / 1000 * dim,
		       dim * sizeof(float));
}

static void run(struct bench *bench)
{
	static struct subject subject;
	size_t rows = bench->quick ? 10000 : 100000;

	bench_note("float32 scan: %s", bench_scan_kernel());
	subject.metric = COP_L2;
	subject.rows = (struct bench_matrix){
	    bench_random_mixture(1, rows, 128, 100), rows, 128};
	take_queries(&subject);
	measure(bench, &subject, "generated");
	subject.metric = COP_COSINE;
	if (bench_npy_load("oewn/oewn2022_lsa128_f16.npy", &subject.rows) ==
	    0) {
		bench_scan_normalize(subject.rows.data, subject.rows.rows,
				     subject.rows.columns);
		take_queries(&subject);
		measure(bench, &subject, "oewn");
	} else {
		bench_note("oewn left out: no test data");
	}
	subject.metric = COP_L2;
	if (!bench->quick &&
	    bench_npy_load("fashion_mnist/base_u8_60000x784.npy.gz",
			   &subject.rows) == 0) {
		if (bench_npy_load("fashion_mnist/query_u8_10000x784.npy.gz",
				   &subject.queries) != 0)
			bench_fail("fashion_mnist has no queries");
		measure(bench, &subject, "fashion_mnist");
	} else {
		bench_note("fashion_mnist left out: --quick or no test data");
	}
}

int main(int argument_count, char **arguments)
{
	return bench_main("exact", argument_count, arguments, run);
}
