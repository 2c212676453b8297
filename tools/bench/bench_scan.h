/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exact search over float32 rows, for comparison.  See bench_scan.c.
 */
#ifndef BENCH_SCAN_H
#define BENCH_SCAN_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_SCAN_K_MAX = 1024 };

struct bench_scan_hit {
	float distance;
	uint32_t row;
};

struct bench_scan {
	const float *rows; /* count x dim, 64-byte aligned */
	size_t count;
	size_t dim;
	int is_dot; /* distance 1 - dot: cosine if all are of unit length */
};

/* The k nearest rows, nearest first, ties by lowest row. */
void bench_scan_run(const struct bench_scan *scan, const float *query, size_t k,
		    struct bench_scan_hit *out);

/* "AVX-512", "plain C" */
const char *bench_scan_kernel(void);

/* Scales rows to unit length. */
void bench_scan_normalize(float *rows, size_t count, size_t dim);

#endif
