/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of all kinds of code but u8: written once, compiled for each
 * instruction set and kind.
 *
 * idea
 *	A file of kernels includes this, defines how it measures two runs of
 *	components,
 *
 *		float parts_distance(int32_t metric, uint32_t dim,
 *				     const struct parts *a,
 *				     const struct parts *b);
 *
 *	in float, one of them perhaps the query's, and says KERNEL_KINDS.  It
 *	is inlined, so that the kinds are known in it and no loop asks for
 *	them.  Sums are kept in 16 places or more: see the bound in code.h.
 *
 *	Bits are counted by the instruction that each set has for 64 of them.
 */
#ifndef SHM_KERNEL_KINDS_H
#define SHM_KERNEL_KINDS_H

#include "kernel.h"

/* The fields of a row that a bound is made of. */
KERNEL_TORN static inline void kernel_head(const unsigned char *row,
					   struct row_code *out)
{
	const float *from = (const void *)(row + ROW_CODE_OFFSET);

	out->scale = from[0];
	out->offset = from[1];
	out->norm = from[2];
	out->sum = from[3];
	out->error = from[4];
	out->row_scale = from[5];
}

/* A scan of a kind other than u8, four rows at a time. */
KERNEL_TORN static inline __attribute__((always_inline)) size_t
kernel_scan(const struct query_code *query, const unsigned char *rows,
	    size_t stride, size_t count, double limit, uint32_t *survivors,
	    kernel_four *four)
{
	struct query_limit folded;
	size_t found = 0;

	query_limit(query, limit, &folded);
	for (size_t at = 0; at < count; at += 4) {
		size_t left = count - at < 4 ? count - at : 4;
		const unsigned char *row[4];
		float distances[4];

		for (size_t i = 0; i < 4; i++)
			row[i] = rows + (i < left ? at + i : at) * stride;
		four(query, row, distances);
		for (size_t i = 0; i < left; i++) {
			struct row_code code;

			kernel_head(row[i], &code);
			survivors[found] = (uint32_t)(at + i);
			found += !query_leaves(&folded, &code, distances[i]);
		}
	}
	return found;
}

/* In how many places two rows of bits differ. */
KERNEL_TORN static inline uint32_t
kernel_differing(const void *a, const void *b, uint32_t lines)
{
	const uint64_t *x = a;
	const uint64_t *y = b;
	uint32_t count = 0;

	for (uint32_t i = 0; i < lines * CODE_LINE_BYTES / 8; i++)
		count += (uint32_t)__builtin_popcountll(x[i] ^ y[i]);
	return count;
}

KERNEL_TORN static inline float kernel_bits(const struct query_code *query,
					    const unsigned char *row)
{
	uint32_t differing = kernel_differing(
	    query->codes, row + ROW_CODES_OFFSET, query->line_count);
	float dot = (float)query->coded - 2 * (float)differing;
	struct row_code code;

	kernel_head(row, &code);
	/* in this order: both scales may be small */
	return query->base + code.norm * query->weight +
	       code.scale * dot * query->product;
}

KERNEL_TORN static inline float kernel_bits_between(int32_t metric,
						    uint32_t dim,
						    const unsigned char *a,
						    const unsigned char *b)
{
	uint32_t lines = code_bytes(CODES_B1, dim) / CODE_LINE_BYTES;
	uint32_t differing =
	    kernel_differing(a + ROW_CODES_OFFSET, b + ROW_CODES_OFFSET, lines);
	float dot = (float)dim - 2 * (float)differing;
	struct row_code x;
	struct row_code y;
	float inner;

	kernel_head(a, &x);
	kernel_head(b, &y);
	inner = x.scale * dot * 0.25f * y.scale;
	if (metric == METRIC_IP)
		return -inner;
	if (metric == METRIC_COSINE)
		return (x.norm + y.norm) * 0.5f - inner;
	return x.norm + y.norm - 2 * inner;
}

static inline float kernel_distance(int32_t metric, float sum)
{
	if (metric == METRIC_IP)
		return -sum;
	return metric == METRIC_COSINE ? sum * 0.5f : sum;
}

/* A run of components. */
struct parts {
	const void *at; /* padded with zeros to a whole line */
	int32_t kind;	/* CODES_F16, CODES_BF16 or CODES_F32 */
	float scale;	/* of halves */
};

/* Those of a row. */
KERNEL_TORN static inline struct parts kernel_parts(const unsigned char *row,
						    int32_t kind)
{
	struct row_code code;

	kernel_head(row, &code);
	return (struct parts){row + ROW_CODES_OFFSET, kind, code.row_scale};
}

/* A kernel_gatherer, from the distances of four rows. */
#define KERNEL_GATHER(function, four)                                          \
	KERNEL_TORN static void function(                                      \
	    const struct query_code *query, const unsigned char *rows,         \
	    size_t stride, const uint32_t *numbers, size_t count,              \
	    float *distances)                                                  \
	{                                                                      \
		kernel_gather(query, rows, stride, numbers, count, distances,  \
			      four);                                           \
	}

/* The functions of a kind. */
#define KERNEL_KIND(name, kind)                                                \
	KERNEL_TORN static inline float name##_coded(                          \
	    const struct query_code *query, const unsigned char *row)          \
	{                                                                      \
		struct parts q = {query->vector, CODES_F32, 1};                \
		struct parts x = kernel_parts(row, kind);                      \
                                                                               \
		if (kind == CODES_B1)                                          \
			return kernel_bits(query, row);                        \
		return parts_distance(query->metric, query->dim, &q, &x);      \
	}                                                                      \
                                                                               \
	KERNEL_TORN static inline void name##_four(                            \
	    const struct query_code *query, const unsigned char *const *row,   \
	    float *distances)                                                  \
	{                                                                      \
		for (int i = 0; i < 4; i++)                                    \
			distances[i] = name##_coded(query, row[i]);            \
	}                                                                      \
                                                                               \
	KERNEL_GATHER(name##_gather, name##_four)                              \
                                                                               \
	KERNEL_TORN static size_t name##_scan(                                 \
	    const struct query_code *query, const unsigned char *rows,         \
	    size_t stride, size_t count, double limit, uint32_t *survivors)    \
	{                                                                      \
		return kernel_scan(query, rows, stride, count, limit,          \
				   survivors, name##_four);                    \
	}                                                                      \
                                                                               \
	KERNEL_TORN static float name##_between(int32_t metric, uint32_t dim,  \
						const unsigned char *a,        \
						const unsigned char *b)        \
	{                                                                      \
		struct parts x = kernel_parts(a, kind);                        \
		struct parts y = kernel_parts(b, kind);                        \
                                                                               \
		if (kind == CODES_B1)                                          \
			return kernel_bits_between(metric, dim, a, b);         \
		return parts_distance(metric, dim, &x, &y);                    \
	}

#define KERNEL_KINDS                                                           \
	KERNEL_KIND(f16, CODES_F16)                                            \
	KERNEL_KIND(bf16, CODES_BF16)                                          \
	KERNEL_KIND(f32, CODES_F32)                                            \
	KERNEL_KIND(b1, CODES_B1)

/* The `nibbles` of a set from its nibble_dot(), the product with a query. */
#define KERNEL_NIBBLES(set)                                                    \
	KERNEL_TORN static inline void nibble_four(                            \
	    const struct query_code *query, const unsigned char *const *row,   \
	    float *distances)                                                  \
	{                                                                      \
		for (int i = 0; i < 4; i++)                                    \
			distances[i] = kernel_nibble_distance(                 \
			    query, row[i], nibble_dot(query, row[i]));         \
	}                                                                      \
                                                                               \
	KERNEL_GATHER(set##_nibbles, nibble_four)

#define KERNEL_CODES(set)                                                      \
	{                                                                      \
		[CODES_U8] = {set##_scan, set##_gather, set##_between},        \
		[CODES_F16] = {f16_scan, f16_gather, f16_between},             \
		[CODES_BF16] = {bf16_scan, bf16_gather, bf16_between},         \
		[CODES_F32] = {f32_scan, f32_gather, f32_between},             \
		[CODES_B1] = {b1_scan, b1_gather, b1_between},                 \
	}

#endif
