/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_scalar: plain C, for any machine, and the reference for the others.
 */
#include "kernel_kinds.h"

#include <string.h>

/* The bytes of a row may be torn, those of the query not. */
KERNEL_TORN static int32_t scalar_dot(const struct query_code *query,
				      const unsigned char *row)
{
	const unsigned char *codes = row + ROW_CODES_OFFSET;
	int32_t sum = 0;

	for (uint32_t i = 0; i < query->coded; i++)
		sum += (int32_t)codes[i] * query->codes[i];
	return sum;
}

/* Byte by byte, since a libc copy is watched by the sanitizer. */
KERNEL_TORN static void row_code_get(const unsigned char *row,
				     struct row_code *out)
{
	unsigned char *to = (unsigned char *)out;

	for (size_t i = 0; i < sizeof(*out); i++)
		to[i] = row[ROW_CODE_OFFSET + i];
}

KERNEL_TORN static size_t scalar_scan(const struct query_code *query,
				      const unsigned char *rows, size_t stride,
				      size_t count, double limit,
				      uint32_t *survivors)
{
	struct query_limit folded;
	struct row_code code;
	size_t found = 0;

	query_limit(query, limit, &folded);
	for (size_t i = 0; i < count; i++) {
		const unsigned char *row = rows + i * stride;

		row_code_get(row, &code);
		survivors[found] = (uint32_t)i;
		found += !query_prunes(&folded, &code, scalar_dot(query, row));
	}
	return found;
}

KERNEL_TORN static float scalar_coded(const struct query_code *query,
				      const unsigned char *row)
{
	struct row_code code;

	row_code_get(row, &code);
	return query_coded(query, &code, scalar_dot(query, row));
}

KERNEL_TORN static void scalar_gather(const struct query_code *query,
				      const unsigned char *rows, size_t stride,
				      const uint32_t *numbers, size_t count,
				      float *distances)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned char *row = rows + numbers[i] * stride;
		struct row_code code;

		row_code_get(row, &code);
		distances[i] = query->base + code.norm * query->weight +
			       code.scale * (float)scalar_dot(query, row) *
				   query->product +
			       code.offset * query->shift +
			       code.sum * query->total;
	}
}

KERNEL_TORN static int32_t nibble_dot(const struct query_code *query,
				      const unsigned char *row)
{
	int32_t dot = 0;

	for (uint32_t i = 0; i < query->coded; i++) {
		uint32_t at = i / (2 * CODE_LINE_BYTES) * CODE_LINE_BYTES +
			      i % CODE_LINE_BYTES;
		int32_t pair = row[at];

		dot += (i & CODE_LINE_BYTES ? pair >> 4 : pair & 15) *
		       query->codes[i];
	}
	return dot;
}

KERNEL_TORN static void scalar_nibbles(const struct query_code *query,
				       const unsigned char *rows, size_t stride,
				       const uint32_t *numbers, size_t count,
				       float *distances)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned char *row = rows + numbers[i] * stride;

		distances[i] =
		    kernel_nibble_distance(query, row, nibble_dot(query, row));
	}
}

KERNEL_TORN static float scalar_between(int32_t metric, uint32_t dim,
					const unsigned char *a,
					const unsigned char *b)
{
	struct row_code code_a;
	struct row_code code_b;
	int32_t dot = 0;

	for (uint32_t i = 0; i < dim; i++)
		dot += a[ROW_CODES_OFFSET + i] * b[ROW_CODES_OFFSET + i];
	row_code_get(a, &code_a);
	row_code_get(b, &code_b);
	return kernel_between(metric, dim, &code_a, &code_b, dot);
}

static double row_distance(const struct query_code *query, double sum)
{
	if (query->metric == METRIC_IP)
		return -sum;
	return query->metric == METRIC_COSINE ? sum * 0.5 : sum;
}

KERNEL_TORN static double scalar_row16(const struct query_code *query,
				       const uint16_t *row, float row_scale)
{
	double sum = 0;

	for (uint32_t i = 0; i < query->dim; i++) {
		double x = (double)half_decode(row[i]) * (double)row_scale;
		double q = (double)query->vector[i];

		sum += query->metric == METRIC_IP ? q * x : (q - x) * (q - x);
	}
	return row_distance(query, sum);
}

KERNEL_TORN static double scalar_row32(const struct query_code *query,
				       const float *row)
{
	double sum = 0;

	for (uint32_t i = 0; i < query->dim; i++) {
		double x = (double)row[i];
		double q = (double)query->vector[i];

		sum += query->metric == METRIC_IP ? q * x : (q - x) * (q - x);
	}
	return row_distance(query, sum);
}

KERNEL_TORN static double scalar_rowb16(const struct query_code *query,
					const uint16_t *row)
{
	double sum = 0;

	for (uint32_t i = 0; i < query->dim; i++) {
		double x = (double)brain_decode(row[i]);
		double q = (double)query->vector[i];

		sum += query->metric == METRIC_IP ? q * x : (q - x) * (q - x);
	}
	return row_distance(query, sum);
}

/* ---- codes that are rows, and bits -------------------------------------- */

KERNEL_TORN static inline float part_get(const struct parts *from, uint32_t i)
{
	const uint16_t *shorts = from->at;
	const float *floats = from->at;

	if (from->kind == CODES_F32)
		return floats[i];
	if (from->kind == CODES_BF16)
		return brain_decode(shorts[i]);
	return half_decode(shorts[i]) * from->scale;
}

KERNEL_TORN static inline __attribute__((always_inline)) float
parts_distance(int32_t metric, uint32_t dim, const struct parts *a,
	       const struct parts *b)
{
	double sum = 0;

	for (uint32_t i = 0; i < dim; i++) {
		float x = part_get(a, i);
		float y = part_get(b, i);

		x = metric == METRIC_IP ? x : x - y;
		y = metric == METRIC_IP ? y : x;
		sum += (double)x * (double)y;
	}
	return kernel_distance(metric, (float)sum);
}

KERNEL_KINDS

/* ---- vectors ------------------------------------------------------------ */

static double component(const float *vector, uint32_t index)
{
	float value;

	memcpy(&value, (const char *)vector + index * sizeof(value),
	       sizeof(value));
	return (double)value;
}

static double scalar_cosine(const float *query, const float *vector,
			    uint32_t dim)
{
	struct kernel_cosine s = {0};
	double distance;

	for (uint32_t i = 0; i < dim; i++) {
		double a = component(query, i);
		double b = component(vector, i);

		s.a += a * a;
		s.b += b * b;
		s.c += a * b;
	}
	if (!kernel_cosine_split(&s, &distance))
		return distance;
	for (uint32_t i = 0; i < dim; i++) {
		double a = component(query, i);
		double r = component(vector, i) - s.t_high * a - s.t_low * a;

		s.r += r * r;
		s.p += a * r;
	}
	return kernel_cosine_join(&s);
}

static double scalar_exact(int32_t metric, const float *query,
			   const float *vector, uint32_t dim)
{
	double sum = 0;

	if (metric == METRIC_COSINE)
		return scalar_cosine(query, vector, dim);
	for (uint32_t i = 0; i < dim; i++) {
		double a = component(query, i);
		double b = component(vector, i);

		sum += metric == METRIC_IP ? a * b : (a - b) * (a - b);
	}
	return metric == METRIC_IP ? -sum : sum;
}

static void scalar_hamming(const uint64_t *query, const _Atomic uint64_t *signs,
			   size_t count, uint16_t *distances)
{
	kernel_hamming(query, signs, count, distances);
}

const struct kernel kernel_scalar = {
    .name = "scalar",
    .codes = KERNEL_CODES(scalar),
    .coded = scalar_coded,
    .nibbles = scalar_nibbles,
    .unmarked = kernel_unmarked,
    .hamming = scalar_hamming,
    .row16 = scalar_row16,
    .row32 = scalar_row32,
    .rowb16 = scalar_rowb16,
    .exact = scalar_exact,
};
