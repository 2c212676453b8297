/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approximate search: cop_search through the vector graph against hnswlib.
 *
 * idea
 *	Four sets, three of them real:
 *	generated	a seeded mixture, 20,000 x 64, L2; needs no data
 *	fashion_mnist	60,000 x 784, L2, 10,000 queries
 *	lsa128		120,066 x 128, cosine; 1,000 of the rows are the
 *			queries, each left out of its own answer
 *	brief100k	100,000 descriptors of 256 bits as vectors of +-1,
 *			cosine; many equal distances
 *	For each: building, recall against throughput (bench_sweep.c), several
 *	processes and a writer (bench_share.c), vectors that come and go
 *	(bench_upkeep.c), memory.  Targets: hnswlib's rate at a recall of 0.99,
 *	and no more than its time to build.
 *
 * settings
 *	BENCH_CASE=NAME		one set alone
 *	BENCH_EXACT, BENCH_F32	see bench_ann.c
 *	BENCH_CODES=NUMBER	the store's codes, as in enum cop_codes
 */
#include <stdlib.h>
#include <string.h>

#include "bench_ann.h"
#include "bench_curve.h"
#include "bench_random.h"
#include "bench_scan.h"
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

/* --quick: the first rows and queries alone. */
static void cut(const struct bench *bench, struct bench_matrix *matrix,
		size_t rows)
{
	if (bench->quick && matrix->rows > rows)
		matrix->rows = rows;
}

/* Owns what ann.rows, ann.queries and ann.self point to. */
static void measure(void)
{
	ann_open(&ann);
	ann_sweep(&ann);
	ann_share(&ann);
	ann_upkeep(&ann);
	ann_close(&ann);
	free(ann.rows.data);
	free(ann.queries.data);
	free((void *)ann.self);
}

static void begin(struct bench *bench, const char *name, int32_t metric)
{
	memset(&ann, 0, sizeof ann);
	ann.bench = bench;
	ann.name = name;
	ann.metric = metric;
}

static void measure_generated(struct bench *bench)
{
	size_t rows = bench->quick ? 4000 : 20000;
	size_t queries = bench->quick ? 200 : 1000;
	size_t dim = 64;
	float *vectors = bench_random_plane(3, rows + queries, dim, 16, 100);

	begin(bench, "generated", COP_L2);
	ann.rows = (struct bench_matrix){vectors, rows, dim};
	ann.queries = (struct bench_matrix){
	    bench_alloc(queries * dim * sizeof *vectors), queries, dim};
	memcpy(ann.queries.data, vectors + rows * dim,
	       queries * dim * sizeof *vectors);
	measure();
}

static void measure_fashion(struct bench *bench)
{
	begin(bench, "fashion_mnist", COP_L2);
	if (bench_npy_load("fashion_mnist/base_u8_60000x784.npy.gz",
			   &ann.rows) != 0 ||
	    bench_npy_load("fashion_mnist/query_u8_10000x784.npy.gz",
			   &ann.queries) != 0) {
		bench_note("fashion_mnist left out: no test data");
		return;
	}
	cut(bench, &ann.rows, 3000);
	cut(bench, &ann.queries, 200);
	measure();
}

static void measure_lsa(struct bench *bench)
{
	struct bench_matrix numbers;
	uint32_t *self;
	size_t dim;
	size_t query;

	begin(bench, "lsa128", COP_COSINE);
	if (bench_npy_load("oewn/oewn2022_lsa128_f16.npy", &ann.rows) != 0 ||
	    bench_npy_load("oewn/oewn2022_lsa128_query_rows_i32.npy",
			   &numbers) != 0) {
		bench_note("lsa128 left out: no test data");
		return;
	}
	dim = ann.rows.columns;
	cut(bench, &ann.rows, 8000);
	cut(bench, &numbers, 200);
	bench_scan_normalize(ann.rows.data, ann.rows.rows, dim);
	ann.queries = (struct bench_matrix){
	    bench_alloc(numbers.rows * dim * sizeof(float)), numbers.rows, dim};
	self = bench_alloc(numbers.rows * sizeof *self);
	for (query = 0; query < numbers.rows; query++) {
		/* float32 holds these row numbers exactly */
		self[query] =
		    (uint32_t)numbers.data[query] % (uint32_t)ann.rows.rows;
		memcpy(ann.queries.data + query * dim,
		       ann.rows.data + self[query] * dim, dim * sizeof(float));
	}
	ann.self = self;
	free(numbers.data);
	measure();
}

/* Bits become +-1, of unit length together. */
static void unpack(struct bench_matrix *matrix)
{
	size_t bytes = matrix->columns;
	size_t dim = bytes * 8;
	float *out = bench_alloc(matrix->rows * dim * sizeof *out);
	size_t at;
	size_t bit;

	for (at = 0; at < matrix->rows * bytes; at++)
		for (bit = 0; bit < 8; bit++)
			out[at * 8 + bit] =
			    (uint32_t)matrix->data[at] >> bit & 1 ? 1 : -1;
	bench_scan_normalize(out, matrix->rows, dim);
	free(matrix->data);
	*matrix = (struct bench_matrix){out, matrix->rows, dim};
}

static void measure_brief(struct bench *bench)
{
	begin(bench, "brief100k", COP_COSINE);
	if (bench_npy_load("brief100k/base_u8bits_100000x32.npy", &ann.rows) !=
		0 ||
	    bench_npy_load("brief100k/query_u8bits_1000x32.npy",
			   &ann.queries) != 0) {
		bench_note("brief100k left out: no test data");
		return;
	}
	cut(bench, &ann.rows, 5000);
	cut(bench, &ann.queries, 200);
	unpack(&ann.rows);
	unpack(&ann.queries);
	measure();
}

static void run(struct bench *bench)
{
	if (&bench_peer == NULL)
		bench_note("hnswlib left out: not installed");
	if (is_wanted("generated"))
		measure_generated(bench);
	if (is_wanted("fashion_mnist"))
		measure_fashion(bench);
	if (is_wanted("lsa128"))
		measure_lsa(bench);
	if (is_wanted("brief100k"))
		measure_brief(bench);
	if (bench_curve_write(bench) != 0)
		bench_fail("cannot write the curves");
}

int main(int argument_count, char **arguments)
{
	witness_main(argument_count, arguments);
	return bench_main("search", argument_count, arguments, run);
}
