/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches in batches: what a query costs in a call of many.
 *
 * idea
 *	cop_search_many of 1, 10 and 100 queries, over one thread and two,
 *	beside cop_search.  A scan takes a chunk of the codes for eight queries
 *	while the cache has it; walks have nothing to share but the threads.
 *	By turns, a slice of time each, in rounds; medians of the time that
 *	passed, and of processor time, which a busy machine leaves alone.  k is
 *	10.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_clock.h"
#include "bench_sets.h"

enum { SIZE_MOST = 100, MANNERS = 7, ROUNDS = 9 };

static const double slice_seconds = 0.1;

static const struct manner {
	const char *name;
	uint32_t size; /* queries a call, of which SIZE_MOST is a multiple; 0:
			  cop_search */
	uint32_t threads;
} manners[MANNERS] = {
    {"cop_search", 0, 1},
    {"1 a call", 1, 1},
    {"10 a call", 10, 1},
    {"100 a call", 100, 1},
    {"1 a call, two threads", 1, 2},
    {"10 a call, two threads", 10, 2},
    {"100 a call, two threads", 100, 2},
};

struct costs {
	struct bench_series passed; /* us a query */
	struct bench_series cpu;
};

static struct ann ann;

static void ask(const struct manner *manner, struct cop_search *search,
		const float *vectors)
{
	static struct cop_hit hits[SIZE_MOST * ANN_K];
	static uint32_t counts[SIZE_MOST];

	search->vector = vectors;
	if (manner->size == 0)
		bench_check("cop_search",
			    cop_search(ann.read, search, hits, counts));
	else
		bench_check("cop_search_many",
			    cop_search_many(ann.read, search, vectors,
					    manner->size, manner->threads, hits,
					    counts));
}

/* Asks for a slice of time. */
static void costs_add(struct costs *costs, const struct manner *manner,
		      int32_t strategy, double seconds)
{
	struct cop_search search = {
	    .size = sizeof search, .k = ANN_K, .strategy = strategy};
	size_t most = ann.queries.rows / SIZE_MOST * SIZE_MOST;
	size_t step = manner->size == 0 ? 1 : manner->size;
	uint64_t start_ns = bench_now_ns();
	uint64_t cpu_ns = bench_cpu_ns();
	size_t count = 0;
	double passed;

	do {
		ask(manner, &search,
		    ann.queries.data + count % most * ann.queries.columns);
		count += step;
		passed = bench_seconds_since(start_ns);
	} while (passed < seconds);
	cpu_ns = bench_cpu_ns() - cpu_ns;
	bench_series_add(&costs->passed, passed * 1e6 / (double)count);
	bench_series_add(&costs->cpu, (double)cpu_ns / 1e3 / (double)count);
}

static void measure(int32_t strategy, const char *name)
{
	static struct costs costs[MANNERS];
	int is_quick = ann.bench->quick;
	double seconds = is_quick ? slice_seconds / 10 : slice_seconds;
	char subject[BENCH_TEXT_BYTES];
	size_t round;
	size_t index;

	snprintf(subject, sizeof subject, "%s, %s", ann.name, name);
	for (index = 0; index < MANNERS; index++)
		costs[index].passed.count = costs[index].cpu.count = 0;
	for (round = 0; round < (is_quick ? 3 : ROUNDS); round++)
		for (index = 0; index < MANNERS; index++)
			costs_add(&costs[index], &manners[index], strategy,
				  seconds);
	for (index = 0; index < MANNERS; index++) {
		bench_add(ann.bench, subject, manners[index].name, "a query",
			  bench_series_median(&costs[index].passed), "us");
		bench_add(ann.bench, subject, manners[index].name,
			  "a query, processor",
			  bench_series_median(&costs[index].cpu), "us");
	}
}

static void measure_set(void)
{
	ann_fill(&ann);
	measure(COP_SCAN, "scan");
	measure(COP_HNSW, "hnsw");
	ann_close(&ann);
	set_release(&ann);
}

static void run(struct bench *bench)
{
	set_generated(&ann, bench, bench->quick ? 4000 : 100000, 64, 1000);
	measure_set();
	if (set_fashion(&ann, bench) == 0)
		measure_set();
}

int main(int argument_count, char **arguments)
{
	return bench_main("batches", argument_count, arguments, run);
}
