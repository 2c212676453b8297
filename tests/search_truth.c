/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact search against ground truth that others computed: 120,066 text
 * vectors of Open English WordNet, 1,000 queries, their 100 nearest by
 * cosine.  Some queries tie at the last rank, so distances are compared, not
 * ids; the query itself is left out.
 */
#include "code.h"
#include "data.h"

/* The truth was ranked in single precision: ours may be nearer by so much. */
#define TRUTH_ERROR 1e-6

enum { DIM = 128, TRUTH = 100, K = 10 };

static float *vectors_load(size_t *rows)
{
	size_t bytes;
	uint16_t *halves = data_npy("oewn/oewn2022_lsa128_f16.npy", &bytes);
	float *vectors = malloc(bytes * 2);

	if (!vectors)
		bail_out("no memory");
	for (size_t i = 0; i < bytes / 2; i++)
		vectors[i] = half_decode(halves[i]);
	*rows = bytes / 2 / DIM;
	free(halves);
	return vectors;
}

static void store_fill(struct fixture *f, const float *vectors, size_t rows)
{
	cop_write *write = write_of(f);

	for (size_t i = 0; i < rows; i++) {
		char key[24];

		snprintf(key, sizeof key, "%zu", i);
		put_simple(write, key, NULL, vectors + i * DIM, DIM);
	}
	commit_of(write);
}

static double cosine(const float *a, const float *b)
{
	double ab = 0;
	double aa = 0;
	double bb = 0;

	for (int d = 0; d < DIM; d++) {
		ab += (double)a[d] * (double)b[d];
		aa += (double)a[d] * (double)a[d];
		bb += (double)b[d] * (double)b[d];
	}
	return 1 - ab / sqrt(aa * bb);
}

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void searches_agree(struct fixture *f, const float *vectors, int exact,
			   double tolerance)
{
	size_t query_bytes;
	size_t truth_bytes;
	int32_t *queries =
	    data_npy("oewn/oewn2022_lsa128_query_rows_i32.npy", &query_bytes);
	int32_t *truth = data_npy("oewn/oewn2022_lsa128_gt_cos_top100_i32.npy",
				  &truth_bytes);
	size_t count = query_bytes / sizeof *queries;
	cop_read *read = read_of(f);
	size_t agree = 0;
	double worst = 0;

	for (size_t i = 0; i < count; i++) {
		const float *query = vectors + (size_t)queries[i] * DIM;
		struct cop_search search = {.size = sizeof search,
					    .k = K,
					    .vector = query,
					    .exact = exact,
					    .strategy = COP_SCAN,
					    .exclude =
						(uint64_t)queries[i] + 1};
		struct cop_hit hits[K];
		uint32_t found;
		int same = 1;

		double wants[K];

		must(cop_search(read, &search, hits, &found), "search");
		for (int k = 0; k < K; k++) {
			size_t row = (size_t)truth[i * TRUTH + (size_t)k];

			wants[k] = cosine(query, vectors + row * DIM);
		}
		qsort(wants, K, sizeof *wants, double_compare);
		for (uint32_t k = 0; k < K; k++) {
			double off = hits[k].distance - wants[k];

			worst = fabs(off) > worst ? fabs(off) : worst;
			same &= found == K && off <= tolerance &&
				off >= -tolerance - TRUTH_ERROR;
		}
		agree += (size_t)same;
	}
	ok(count == 1000 && agree == count,
	   "%zu of %zu queries agree with the truth %s, worst difference %.2g",
	   agree, count, exact ? "by the float32 in LMDB" : "by the rows",
	   worst);
	cop_read_end(read);
	free(queries);
	free(truth);
}

int main(void)
{
	struct fixture f;
	size_t rows;
	float *vectors;

	test_begin(300);
	vectors = vectors_load(&rows);
	fixture_init(&f, DIM, COP_COSINE);
	store_fill(&f, vectors, rows);
	searches_agree(&f, vectors, 1, 1e-12);
	searches_agree(&f, vectors, 0, 1e-4);
	fixture_release(&f);
	free(vectors);
	return done_testing();
}
