/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain exact search that others are compared with.
 *
 * idea
 *	Rows of float32, one after the other, the query beside them: what a
 *	process with its own copy of the vectors would do.  512-bit FMA with
 *	four accumulators, so that the multiply-add's latency is hidden; the
 *	rows are read in order, which the hardware prefetches.  The k best are
 *	kept in a sorted array: after the first few hundred rows hardly any row
 *	gets in, and one comparison a row turns the others away.  Cosine is
 *	measured over rows of unit length, so that it costs no more than a dot
 *	product.
 *
 *	Without AVX-512, plain loops with sixteen accumulators that a compiler
 *	can turn into what vectors there are.
 */
#include "bench_scan.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { LANES = 16 };

typedef float (*distance_function)(const float *left, const float *right,
				   size_t dim);

static float l2_plain(const float *left, const float *right, size_t dim)
{
	float sums[LANES] = {0};
	float sum = 0;
	size_t index;
	size_t lane;

	for (index = 0; index + LANES <= dim; index += LANES) {
		for (lane = 0; lane < LANES; lane++) {
			float gap = left[index + lane] - right[index + lane];

			sums[lane] += gap * gap;
		}
	}
	for (; index < dim; index++)
		sum +=
		    (left[index] - right[index]) * (left[index] - right[index]);
	for (lane = 0; lane < LANES; lane++)
		sum += sums[lane];
	return sum;
}

static float dot_plain(const float *left, const float *right, size_t dim)
{
	float sums[LANES] = {0};
	float sum = 0;
	size_t index;
	size_t lane;

	for (index = 0; index + LANES <= dim; index += LANES)
		for (lane = 0; lane < LANES; lane++)
			sums[lane] += left[index + lane] * right[index + lane];
	for (; index < dim; index++)
		sum += left[index] * right[index];
	for (lane = 0; lane < LANES; lane++)
		sum += sums[lane];
	return 1 - sum;
}

#if defined(__x86_64__)

__attribute__((target("avx512f"))) static __mmask16 tail_mask(size_t left)
{
	return (__mmask16)(left >= LANES ? 0xffffU : (1U << left) - 1);
}

__attribute__((target("avx512f"))) static float
l2_avx512(const float *left, const float *right, size_t dim)
{
	__m512 sum[4];
	size_t at;
	int lane;

	for (lane = 0; lane < 4; lane++)
		sum[lane] = _mm512_setzero_ps();
	for (at = 0; at + 64 <= dim; at += 64) {
#pragma GCC unroll 4
		for (lane = 0; lane < 4; lane++) {
			size_t from = at + (size_t)lane * LANES;
			__m512 gap =
			    _mm512_sub_ps(_mm512_loadu_ps(left + from),
					  _mm512_loadu_ps(right + from));

			sum[lane] = _mm512_fmadd_ps(gap, gap, sum[lane]);
		}
	}
	for (; at < dim; at += LANES) {
		__mmask16 mask = tail_mask(dim - at);
		__m512 gap =
		    _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, left + at),
				  _mm512_maskz_loadu_ps(mask, right + at));

		sum[0] = _mm512_fmadd_ps(gap, gap, sum[0]);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(
	    _mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

__attribute__((target("avx512f"))) static float
dot_avx512(const float *left, const float *right, size_t dim)
{
	__m512 sum[4];
	size_t at;
	int lane;

	for (lane = 0; lane < 4; lane++)
		sum[lane] = _mm512_setzero_ps();
	for (at = 0; at + 64 <= dim; at += 64) {
#pragma GCC unroll 4
		for (lane = 0; lane < 4; lane++) {
			size_t from = at + (size_t)lane * LANES;

			sum[lane] = _mm512_fmadd_ps(
			    _mm512_loadu_ps(left + from),
			    _mm512_loadu_ps(right + from), sum[lane]);
		}
	}
	for (; at < dim; at += LANES) {
		__mmask16 mask = tail_mask(dim - at);

		sum[0] = _mm512_fmadd_ps(
		    _mm512_maskz_loadu_ps(mask, left + at),
		    _mm512_maskz_loadu_ps(mask, right + at), sum[0]);
	}
	return 1 - _mm512_reduce_add_ps(
		       _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]),
				     _mm512_add_ps(sum[2], sum[3])));
}

static int has_avx512(void)
{
	return __builtin_cpu_supports("avx512f");
}

#else

static int has_avx512(void)
{
	return 0;
}

#define l2_avx512  l2_plain
#define dot_avx512 dot_plain

#endif

const char *bench_scan_kernel(void)
{
	return has_avx512() ? "AVX-512" : "plain C";
}

/* Puts a row among the `count` best, of which there are at most k. */
static size_t hits_insert(struct bench_scan_hit *hits, size_t count, size_t k,
			  struct bench_scan_hit hit)
{
	size_t at = count < k ? count : k - 1;

	for (; at > 0 && hits[at - 1].distance > hit.distance; at--)
		hits[at] = hits[at - 1];
	hits[at] = hit;
	return count < k ? count + 1 : k;
}

void bench_scan_run(const struct bench_scan *scan, const float *query, size_t k,
		    struct bench_scan_hit *out)
{
	distance_function distance = l2_plain;
	size_t count = 0;
	float limit = INFINITY;
	size_t row;

	if (has_avx512())
		distance = scan->is_dot ? dot_avx512 : l2_avx512;
	else if (scan->is_dot)
		distance = dot_plain;
	for (row = 0; row < scan->count; row++) {
		float gap =
		    distance(query, scan->rows + row * scan->dim, scan->dim);

		if (gap < limit) {
			count = hits_insert(
			    out, count, k,
			    (struct bench_scan_hit){gap, (uint32_t)row});
			limit = count < k ? INFINITY : out[k - 1].distance;
		}
	}
}

void bench_scan_normalize(float *rows, size_t count, size_t dim)
{
	size_t row;
	size_t index;

	for (row = 0; row < count; row++) {
		float *at = rows + row * dim;
		double sum = 0;

		for (index = 0; index < dim; index++)
			sum += (double)at[index] * (double)at[index];
		for (index = 0; sum > 0 && index < dim; index++)
			at[index] = (float)(at[index] / sqrt(sum));
	}
}
