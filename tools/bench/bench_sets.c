/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sets of vectors that searches are measured with.
 *
 * idea
 *	generated	a seeded mixture, L2; needs no data
 *	fashion_mnist	60,000 x 784, L2, 10,000 queries
 *	lsa128		120,066 x 128, cosine; 1,000 of the rows are the
 *			queries, each left out of its own answer
 *	brief100k	100,000 descriptors of 256 bits as vectors of +-1,
 *			cosine; many equal distances
 *	With --quick, the first rows and queries alone.
 */
#include "bench_sets.h"

#include <stdlib.h>
#include <string.h>

#include "bench_random.h"
#include "bench_scan.h"

enum { PLANE = 16, CLUSTERS = 100, QUICK_QUERIES = 200 };

static void begin(struct ann *ann, struct bench *bench, const char *name,
		  int32_t metric)
{
	memset(ann, 0, sizeof *ann);
	ann->bench = bench;
	ann->name = name;
	ann->metric = metric;
}

static void cut(const struct bench *bench, struct bench_matrix *matrix,
		size_t rows)
{
	if (bench->quick && matrix->rows > rows)
		matrix->rows = rows;
}

static int is_missing(const struct ann *ann)
{
	bench_note("%s left out: no test data", ann->name);
	return -1;
}

void set_generated(struct ann *ann, struct bench *bench, size_t rows,
		   size_t dim, size_t queries)
{
	float *vectors =
	    bench_random_plane(3, rows + queries, dim, PLANE, CLUSTERS);

	begin(ann, bench, "generated", COP_L2);
	ann->rows = (struct bench_matrix){vectors, rows, dim};
	ann->queries = (struct bench_matrix){
	    bench_alloc(queries * dim * sizeof *vectors), queries, dim};
	memcpy(ann->queries.data, vectors + rows * dim,
	       queries * dim * sizeof *vectors);
}

int set_fashion(struct ann *ann, struct bench *bench)
{
	begin(ann, bench, "fashion_mnist", COP_L2);
	if (bench_npy_load("fashion_mnist/base_u8_60000x784.npy.gz",
			   &ann->rows) != 0 ||
	    bench_npy_load("fashion_mnist/query_u8_10000x784.npy.gz",
			   &ann->queries) != 0)
		return is_missing(ann);
	cut(bench, &ann->rows, 3000);
	cut(bench, &ann->queries, QUICK_QUERIES);
	return 0;
}

int set_lsa(struct ann *ann, struct bench *bench)
{
	struct bench_matrix numbers;
	uint32_t *self;
	size_t dim;
	size_t query;

	begin(ann, bench, "lsa128", COP_COSINE);
	if (bench_npy_load("oewn/oewn2022_lsa128_f16.npy", &ann->rows) != 0 ||
	    bench_npy_load("oewn/oewn2022_lsa128_query_rows_i32.npy",
			   &numbers) != 0)
		return is_missing(ann);
	dim = ann->rows.columns;
	cut(bench, &ann->rows, 8000);
	cut(bench, &numbers, QUICK_QUERIES);
	bench_scan_normalize(ann->rows.data, ann->rows.rows, dim);
	ann->queries = (struct bench_matrix){
	    bench_alloc(numbers.rows * dim * sizeof(float)), numbers.rows, dim};
	self = bench_alloc(numbers.rows * sizeof *self);
	for (query = 0; query < numbers.rows; query++) {
		/* float32 holds these row numbers exactly */
		self[query] =
		    (uint32_t)numbers.data[query] % (uint32_t)ann->rows.rows;
		memcpy(ann->queries.data + query * dim,
		       ann->rows.data + self[query] * dim, dim * sizeof(float));
	}
	ann->self = self;
	free(numbers.data);
	return 0;
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

int set_brief(struct ann *ann, struct bench *bench)
{
	begin(ann, bench, "brief100k", COP_COSINE);
	if (bench_npy_load("brief100k/base_u8bits_100000x32.npy", &ann->rows) !=
		0 ||
	    bench_npy_load("brief100k/query_u8bits_1000x32.npy",
			   &ann->queries) != 0)
		return is_missing(ann);
	cut(bench, &ann->rows, 5000);
	cut(bench, &ann->queries, QUICK_QUERIES);
	unpack(&ann->rows);
	unpack(&ann->queries);
	return 0;
}

void set_release(struct ann *ann)
{
	free(ann->rows.data);
	free(ann->queries.data);
	free((void *)ann->self);
}
