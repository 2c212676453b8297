/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recall by distance.
 *
 * idea
 *	Of equal distances any one is as good as another, and sets of bits or
 *	of duplicate rows are full of them.  So a row counts as found if its
 *	true distance is at most that of the k-th true neighbour, give or take
 *	a millionth, whichever row it is.
 *
 *	Candidates come from the plain scan (bench_scan.c), more of them than
 *	k, since float32 may order those in the middle wrongly; their distances
 *	are then taken in double, and so are those of rows that were found.
 *	The scan goes over a block of rows that the cache holds for all queries
 *	of a thread before it goes on to the next.
 *
 * limits
 *	Queries x rows x dim multiplications: 10,000 queries of 60,000 x 784
 *	take a core about 20 seconds.
 */
#include "bench_truth.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench_run.h"
#include "bench_scan.h"

enum {
	SLACK = 22, /* candidates beyond k */
	BEST_MAX = BENCH_TRUTH_K_MAX + SLACK,
	BLOCK_BYTES = 512 * 1024,
	THREADS_MAX = 64
};

static_assert((int)BEST_MAX <= (int)BENCH_SCAN_K_MAX, "the scan keeps them");

/* Queries from `first` up to `end`, of one thread. */
struct part {
	struct bench_truth *truth;
	size_t first;
	size_t end;
	size_t keep; /* candidates a query */
	struct bench_scan_hit *best;
	pthread_t thread;
};

static double distance_of(const struct bench_truth *truth, size_t query,
			  size_t row)
{
	size_t dim = truth->rows->columns;
	const float *a = truth->queries->data + query * dim;
	const float *b = truth->rows->data + row * dim;
	double gap = 0;
	double dot = 0;
	double aa = 0;
	double bb = 0;
	size_t index;

	if (!truth->is_cosine) {
		for (index = 0; index < dim; index++) {
			double along = (double)a[index] - (double)b[index];

			gap += along * along;
		}
		return gap;
	}
	for (index = 0; index < dim; index++) {
		dot += (double)a[index] * (double)b[index];
		aa += (double)a[index] * (double)a[index];
		bb += (double)b[index] * (double)b[index];
	}
	return 1 - dot / sqrt(aa * bb);
}

/* Merges a block's hits into the best so far; both are sorted. */
static void best_merge(struct bench_scan_hit *best, size_t keep,
		       const struct bench_scan_hit *found, size_t first_row)
{
	struct bench_scan_hit merged[BEST_MAX];
	size_t left = 0;
	size_t right = 0;
	size_t at;

	if (found[0].distance >= best[keep - 1].distance)
		return;
	for (at = 0; at < keep; at++) {
		if (best[left].distance <= found[right].distance) {
			merged[at] = best[left++];
			continue;
		}
		merged[at] = found[right++];
		merged[at].row += (uint32_t)first_row;
	}
	memcpy(best, merged, keep * sizeof *best);
}

static void clear(struct bench_scan_hit *hits, size_t count)
{
	size_t at;

	for (at = 0; at < count; at++)
		hits[at] = (struct bench_scan_hit){INFINITY, 0};
}

static void scan_block(struct part *part, size_t first, size_t rows)
{
	const struct bench_truth *truth = part->truth;
	size_t dim = truth->rows->columns;
	struct bench_scan scan = {truth->rows->data + first * dim, rows, dim,
				  truth->is_cosine};
	struct bench_scan_hit found[BEST_MAX];
	size_t query;

	for (query = part->first; query < part->end; query++) {
		clear(found, part->keep);
		bench_scan_run(&scan, truth->queries->data + query * dim,
			       part->keep, found);
		best_merge(part->best + (query - part->first) * part->keep,
			   part->keep, found, first);
	}
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return a < b ? -1 : a > b;
}

static void set_limit(const struct part *part, size_t query)
{
	struct bench_truth *truth = part->truth;
	const struct bench_scan_hit *best =
	    part->best + (query - part->first) * part->keep;
	double distance[BEST_MAX] = {0};
	size_t count = 0;
	size_t at;
	double last;

	for (at = 0; at < part->keep && isfinite(best[at].distance); at++)
		if (truth->self == NULL || truth->self[query] != best[at].row)
			distance[count++] =
			    distance_of(truth, query, best[at].row);
	if (count < truth->k)
		bench_fail("fewer rows than neighbours wanted");
	qsort(distance, count, sizeof distance[0], compare);
	last = distance[truth->k - 1];
	/* a cosine's distance may be 0, or what is left of 1 - 1 */
	truth->limit[query] =
	    last + fabs(last) * 1e-6 + (truth->is_cosine ? 1e-9 : 0);
}

static void *part_run(void *user)
{
	struct part *part = user;
	size_t rows = part->truth->rows->rows;
	size_t step =
	    BLOCK_BYTES / (part->truth->rows->columns * sizeof(float)) + 1;
	size_t first;
	size_t query;

	part->best = bench_alloc((part->end - part->first) * part->keep *
				 sizeof *part->best);
	clear(part->best, (part->end - part->first) * part->keep);
	for (first = 0; first < rows; first += step)
		scan_block(part, first,
			   rows - first < step ? rows - first : step);
	for (query = part->first; query < part->end; query++)
		set_limit(part, query);
	free(part->best);
	return NULL;
}

void bench_truth_init(struct bench_truth *truth, uint32_t threads)
{
	struct part parts[THREADS_MAX];
	size_t queries = truth->queries->rows;
	uint32_t index;

	threads = threads < 1 ? 1 : threads;
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	threads = threads > queries ? (uint32_t)queries : threads;
	truth->limit = bench_alloc(queries * sizeof *truth->limit);
	for (index = 0; index < threads; index++) {
		struct part *part = &parts[index];

		*part = (struct part){.truth = truth,
				      .first = queries * index / threads,
				      .end = queries * (index + 1) / threads,
				      .keep = truth->k + SLACK};
		if (pthread_create(&part->thread, NULL, part_run, part) != 0)
			bench_fail("no thread");
	}
	for (index = 0; index < threads; index++)
		pthread_join(parts[index].thread, NULL);
}

void bench_truth_release(struct bench_truth *truth)
{
	free(truth->limit);
	truth->limit = NULL;
}

size_t bench_truth_hits(const struct bench_truth *truth, size_t query,
			const uint32_t *rows, size_t count)
{
	size_t hits = 0;
	size_t index;

	for (index = 0; index < count && index < truth->k; index++)
		hits += distance_of(truth, query, rows[index]) <=
			truth->limit[query];
	return hits;
}
