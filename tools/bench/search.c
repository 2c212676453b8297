/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approximate search: cop_search through the vector graph against hnswlib.
 *
 * idea
 *	Four sets, three of them real (bench_sets.c); generated is one of
 *	20,000 x 64.
 *	For each: building, recall against throughput (bench_sweep.c), several
 *	processes and a writer (bench_share.c), vectors that come and go
 *	(bench_upkeep.c), memory.  Targets: hnswlib's rate at a recall of 0.99,
 *	and no more than its time to build.
 *
 * settings
 *	BENCH_CASE=NAME		one set alone
 *	BENCH_EXACT		see bench_ann.c
 *	BENCH_SIGNS=1		the store keeps signs
 *	BENCH_CODES=NUMBER	the store's codes, as in enum cop_codes
 */
#include <stdlib.h>
#include <string.h>

#include "bench_ann.h"
#include "bench_curve.h"
#include "bench_sets.h"
#include "bench_share.h"
#include "bench_sweep.h"
#include "bench_upkeep.h"
#include "bench_witness.h"

static struct ann ann;

static int is_wanted(const char *name)
{
	const char *wanted = getenv("BENCH_CASE");

	return wanted == NULL || *wanted == '\0' || strcmp(wanted, name) == 0;
}

/* A set that was loaded. */
static void measure(void)
{
	ann_open(&ann);
	ann_sweep(&ann);
	ann_share(&ann);
	ann_upkeep(&ann);
	ann_close(&ann);
	set_release(&ann);
}

static void measure_generated(struct bench *bench)
{
	if (bench->quick)
		set_generated(&ann, bench, 4000, 64, 200);
	else
		set_generated(&ann, bench, 20000, 64, 1000);
	measure();
}

static void run(struct bench *bench)
{
	if (&bench_peer == NULL)
		bench_note("hnswlib left out: not installed");
	if (is_wanted("generated"))
		measure_generated(bench);
	if (is_wanted("fashion_mnist") && set_fashion(&ann, bench) == 0)
		measure();
	if (is_wanted("lsa128") && set_lsa(&ann, bench) == 0)
		measure();
	if (is_wanted("brief100k") && set_brief(&ann, bench) == 0)
		measure();
	if (bench_curve_write(bench) != 0)
		bench_fail("cannot write the curves");
}

int main(int argument_count, char **arguments)
{
	witness_main(argument_count, arguments);
	return bench_main("search", argument_count, arguments, run);
}
