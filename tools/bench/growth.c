/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approximate search as a store grows to a million vectors.
 *
 * idea
 *	Points near a plane of 16 dimensions in 128, drawn around 10,000
 *	centres (bench_random_plane), and 1,000 queries drawn with them that no
 *	store holds; L2.  The first 10,000, 100,000 and 1,000,000 of the same
 *	points, each built and searched: what a vector costs to build
 *	(build_a_vector) and the rate at a recall of 0.99 may grow with the
 *	logarithm of their number.  The largest is then measured as are the sets
 *	of search.c.
 *
 * settings
 *	BENCH_ROWS=N	the largest set; the others are a tenth and a hundredth
 *	BENCH_EXACT, BENCH_F32	see bench_ann.c
 *
 * limits
 *	A million take some 3 GB of memory, and 2 GB of disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_ann.h"
#include "bench_curve.h"
#include "bench_random.h"
#include "bench_share.h"
#include "bench_sweep.h"
#include "bench_upkeep.h"
#include "bench_witness.h"

enum { DIM = 128, PLANE = 16, CLUSTERS = 10000 };

static struct ann ann;

static size_t rows_most(const struct bench *bench)
{
	const char *wanted = getenv("BENCH_ROWS");

	if (wanted != NULL && *wanted != '\0')
		return strtoul(wanted, NULL, 10);
	return bench->quick ? 20000 : 1000000;
}

static void measure(struct bench *bench, float *vectors, size_t rows,
		    const struct bench_matrix *queries, int is_largest)
{
	char name[64];

	snprintf(name, sizeof name, "mixture_%zu", rows);
	memset(&ann, 0, sizeof ann);
	ann.bench = bench;
	ann.name = name;
	ann.metric = COP_L2;
	ann.rows = (struct bench_matrix){vectors, rows, DIM};
	ann.queries = *queries;
	ann_open(&ann);
	ann_sweep(&ann);
	if (is_largest) {
		ann_share(&ann);
		ann_upkeep(&ann);
	}
	ann_close(&ann);
}

static void run(struct bench *bench)
{
	size_t most = rows_most(bench);
	struct bench_matrix queries = {.rows = bench->quick ? 200 : 1000,
				       .columns = DIM};
	float *vectors;
	size_t part;

	if (most < 1000)
		bench_fail("BENCH_ROWS is below 1,000");
	if (&bench_peer == NULL)
		bench_note("hnswlib left out: not installed");
	vectors =
	    bench_random_plane(5, most + queries.rows, DIM, PLANE, CLUSTERS);
	queries.data = vectors + most * DIM;
	for (part = 100; part >= 1; part /= 10)
		measure(bench, vectors, most / part, &queries, part == 1);
	free(vectors);
	if (bench_curve_write(bench) != 0)
		bench_fail("cannot write the curves");
}

int main(int argument_count, char **arguments)
{
	witness_main(argument_count, arguments);
	return bench_main("search1m", argument_count, arguments, run);
}
