/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a search should have found.  See bench_truth.c.
 */
#ifndef BENCH_TRUTH_H
#define BENCH_TRUTH_H

#include <stdint.h>

#include "bench_npy.h"

enum { BENCH_TRUTH_K_MAX = 1000 };

struct bench_truth {
	const struct bench_matrix *rows; /* borrowed, as are the next two */
	const struct bench_matrix *queries;
	const uint32_t *self; /* a row left out of each query's answer; NULL:
				 none */
	int is_cosine;	      /* rows and queries are of unit length; else L2 */
	size_t k;	      /* up to BENCH_TRUTH_K_MAX */
	double *limit;	      /* a query: up to where a row is a hit */
};

/* Fills in limit, by `threads` threads; the other members are set. */
void bench_truth_init(struct bench_truth *truth, uint32_t threads);
void bench_truth_release(struct bench_truth *truth);

/* How many of the rows, which are distinct, are hits. */
size_t bench_truth_hits(const struct bench_truth *truth, size_t query,
			const uint32_t *rows, size_t count);

#endif
