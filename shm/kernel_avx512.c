/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_avx512: sixteen rows at a time with VNNI.
 *
 * scan
 *	Rows are read strictly in the order they lie: the header's fields are
 *	copied aside, then the codes, one vpdpbusd a line.  The processor's
 *	own prefetcher then follows; touching headers first, several rows in
 *	turn, or prefetching by hand all cost a third of the bandwidth or
 *	more, measured.
 *
 *	Four rows' registers of sixteen partial sums become one with four
 *	values a 128-bit lane; four of those become the sixteen dot products,
 *	in the rows' order.  A merge of two registers is a blend of the halves
 *	that stay, a shuffle of those that move, and an add: one shuffle where
 *	two would be needed without the blend.
 *
 *	The headers' first four fields are one 128-bit load; lane L of
 *	register i takes row 4 L + i, so that transposing inside the lanes
 *	gives a field of all rows in order.
 *
 *	What remains below sixteen rows is the last sixteen once more, with
 *	the known ones masked out; fewer than sixteen in all go one by one.
 */
#include "kernel_kinds.h"

#if KERNEL_X86

#include <float.h>
#include <immintrin.h>
#include <string.h>

enum {
	BLOCK = 16,
	HEAD_BYTES = 32 /* of a header that are copied, from ROW_CODE_OFFSET */
};

KERNEL_TORN static inline __m512i line_get(const void *at)
{
	return _mm512_loadu_si512(at);
}

/* Four rows' partial sums to one: lane L has (r0, r1, r2, r3) of its own. */
static inline __m512i merge_rows(__m512i r0, __m512i r1, __m512i r2, __m512i r3)
{
	__m512i s0 = _mm512_castpd_si512(_mm512_shuffle_pd(
	    _mm512_castsi512_pd(r0), _mm512_castsi512_pd(r1), 0x55));
	__m512i s1 = _mm512_castpd_si512(_mm512_shuffle_pd(
	    _mm512_castsi512_pd(r2), _mm512_castsi512_pd(r3), 0x55));
	__m512 even;
	__m512 odd;

	s0 = _mm512_add_epi32(s0, _mm512_mask_blend_epi64(0xaa, r0, r1));
	s1 = _mm512_add_epi32(s1, _mm512_mask_blend_epi64(0xaa, r2, r3));
	even = _mm512_shuffle_ps(_mm512_castsi512_ps(s0),
				 _mm512_castsi512_ps(s1), 0x88);
	odd = _mm512_shuffle_ps(_mm512_castsi512_ps(s0),
				_mm512_castsi512_ps(s1), 0xdd);
	return _mm512_add_epi32(_mm512_castps_si512(even),
				_mm512_castps_si512(odd));
}

/* Four of those to sixteen sums: lane L from argument L. */
static inline __m512i merge_lanes(__m512i u0, __m512i u1, __m512i u2,
				  __m512i u3)
{
	__m512i v0 = _mm512_shuffle_i64x2(u0, u1, 0x4e);
	__m512i v1 = _mm512_shuffle_i64x2(u2, u3, 0x4e);

	v0 = _mm512_add_epi32(v0, _mm512_mask_blend_epi64(0xf0, u0, u1));
	v1 = _mm512_add_epi32(v1, _mm512_mask_blend_epi64(0xf0, u2, u3));
	return _mm512_add_epi32(_mm512_shuffle_i64x2(v0, v1, 0x88),
				_mm512_shuffle_i64x2(v0, v1, 0xdd));
}

/* A row's partial sums. */
KERNEL_TORN static inline __m512i line_dots(const struct query_code *query,
					    const unsigned char *row,
					    uint32_t lines)
{
	const unsigned char *codes = row + ROW_CODES_OFFSET;
	__m512i even = _mm512_setzero_si512();
	__m512i odd = even;
	size_t end = (size_t)lines * CODE_LINE_BYTES;
	size_t at;

	for (at = 0; at + 2 * CODE_LINE_BYTES <= end;
	     at += 2 * CODE_LINE_BYTES) {
		even = _mm512_dpbusd_epi32(even, line_get(codes + at),
					   line_get(query->codes + at));
		odd = _mm512_dpbusd_epi32(
		    odd, line_get(codes + at + CODE_LINE_BYTES),
		    line_get(query->codes + at + CODE_LINE_BYTES));
	}
	if (at < end)
		even = _mm512_dpbusd_epi32(even, line_get(codes + at),
					   line_get(query->codes + at));
	return _mm512_add_epi32(even, odd);
}

/* The same; its header goes to `head` on the way. */
KERNEL_TORN static inline __m512i row_dots(const struct query_code *query,
					   const unsigned char *row,
					   uint32_t lines, unsigned char *head)
{
	_mm256_store_si256(
	    (void *)head,
	    _mm256_loadu_si256((const void *)(row + ROW_CODE_OFFSET)));
	return line_dots(query, row, lines);
}

KERNEL_TORN static inline __m512i four_dots(const struct query_code *query,
					    const unsigned char *rows,
					    size_t stride, uint32_t lines,
					    unsigned char *heads)
{
	__m512i r0 = row_dots(query, rows, lines, heads);
	__m512i r1 = row_dots(query, rows + stride, lines, heads + HEAD_BYTES);
	__m512i r2 =
	    row_dots(query, rows + 2 * stride, lines, heads + 2 * HEAD_BYTES);
	__m512i r3 =
	    row_dots(query, rows + 3 * stride, lines, heads + 3 * HEAD_BYTES);

	return merge_rows(r0, r1, r2, r3);
}

KERNEL_TORN static inline __m512i block_dots(const struct query_code *query,
					     const unsigned char *rows,
					     size_t stride, uint32_t lines,
					     unsigned char *heads)
{
	__m512i u0 = four_dots(query, rows, stride, lines, heads);
	__m512i u1 = four_dots(query, rows + 4 * stride, stride, lines,
			       heads + 4 * HEAD_BYTES);
	__m512i u2 = four_dots(query, rows + 8 * stride, stride, lines,
			       heads + 8 * HEAD_BYTES);
	__m512i u3 = four_dots(query, rows + 12 * stride, stride, lines,
			       heads + 12 * HEAD_BYTES);

	return merge_lanes(u0, u1, u2, u3);
}

/* 128 bits of headers 0, 4, 8 and 12 from `at`. */
static inline __m512 quads_get(const unsigned char *at)
{
	const unsigned char *next = at + 4 * HEAD_BYTES;
	__m512 all = _mm512_castps128_ps512(_mm_load_ps((const void *)at));

	all = _mm512_mask_broadcast_f32x4(all, 0x00f0,
					  _mm_load_ps((const void *)next));
	next += 4 * HEAD_BYTES;
	all = _mm512_mask_broadcast_f32x4(all, 0x0f00,
					  _mm_load_ps((const void *)next));
	next += 4 * HEAD_BYTES;
	return _mm512_mask_broadcast_f32x4(all, 0xf000,
					   _mm_load_ps((const void *)next));
}

struct block_codes {
	__m512 scale;
	__m512 offset;
	__m512 norm;
	__m512 sum;
	__m512 error;
};

static inline void block_codes_get(const unsigned char *heads,
				   struct block_codes *out)
{
	__m512 a = quads_get(heads);
	__m512 b = quads_get(heads + HEAD_BYTES);
	__m512 c = quads_get(heads + 2 * HEAD_BYTES);
	__m512 d = quads_get(heads + 3 * HEAD_BYTES);
	__m512 ab = _mm512_unpacklo_ps(a, b);
	__m512 cd = _mm512_unpacklo_ps(c, d);

	out->scale = _mm512_shuffle_ps(ab, cd, 0x44);
	out->offset = _mm512_shuffle_ps(ab, cd, 0xee);
	ab = _mm512_unpackhi_ps(a, b);
	cd = _mm512_unpackhi_ps(c, d);
	out->norm = _mm512_shuffle_ps(ab, cd, 0x44);
	out->sum = _mm512_shuffle_ps(ab, cd, 0xee);
	heads += offsetof(struct row_code, error);
	a = quads_get(heads);
	b = quads_get(heads + HEAD_BYTES);
	c = quads_get(heads + 2 * HEAD_BYTES);
	d = quads_get(heads + 3 * HEAD_BYTES);
	ab = _mm512_unpacklo_ps(a, b);
	cd = _mm512_unpacklo_ps(c, d);
	out->error = _mm512_shuffle_ps(ab, cd, 0x44);
}

/* The limit in registers. */
struct block_limit {
	__m512 product;
	__m512 shift;
	__m512 total;
	__m512 base;
	__m512 weight;
	__m512 slack;
	__m512 near;
	__m512 far;
	__m512 square;
};

static inline void block_limit_make(const struct query_limit *limit,
				    struct block_limit *out)
{
	out->product = _mm512_set1_ps(limit->product);
	out->shift = _mm512_set1_ps(limit->shift);
	out->total = _mm512_set1_ps(limit->total);
	out->base = _mm512_set1_ps(limit->base);
	out->weight = _mm512_set1_ps(limit->weight);
	out->slack = _mm512_set1_ps(limit->slack);
	out->near = _mm512_set1_ps(limit->near);
	out->far = _mm512_set1_ps(limit->far);
	out->square = _mm512_set1_ps(limit->square);
}

/* query_prunes() for sixteen rows: a bit for each that is kept. */
static inline __mmask16 block_kept(const struct block_limit *l,
				   const struct block_codes *c, __m512i dots)
{
	__m512 product = _mm512_mul_ps(
	    _mm512_mul_ps(c->scale, _mm512_cvtepi32_ps(dots)), l->product);
	__m512 shift = _mm512_mul_ps(c->offset, l->shift);
	__m512 total = _mm512_mul_ps(c->sum, l->total);
	__m512 bound = _mm512_fmadd_ps(c->norm, l->weight, l->base);
	__m512 size = _mm512_add_ps(_mm512_abs_ps(shift), _mm512_abs_ps(total));
	__m512 reach =
	    _mm512_mul_ps(_mm512_add_ps(l->near, c->error),
			  _mm512_fmadd_ps(c->error, l->square, l->far));
	__mmask16 pruned;

	size = _mm512_add_ps(size, _mm512_abs_ps(product));
	bound = _mm512_add_ps(bound, _mm512_add_ps(shift, total));
	bound = _mm512_add_ps(bound, product);
	bound = _mm512_fnmadd_ps(l->slack, size, bound);
	pruned = _mm512_cmp_ps_mask(bound, reach, _CMP_GT_OQ);
	pruned = _mm512_mask_cmp_ps_mask(pruned, bound, _mm512_set1_ps(FLT_MAX),
					 _CMP_LE_OQ);
	return (__mmask16)~pruned;
}

KERNEL_TORN static int32_t avx512_dot(const struct query_code *query,
				      const unsigned char *row)
{
	return _mm512_reduce_add_epi32(
	    line_dots(query, row, query->line_count));
}

/* Two whole stores: what follows a masked one would wait for it. */
KERNEL_TORN static inline void row_code_get(const unsigned char *row,
					    struct row_code *out)
{
	__m128i quad = _mm_loadu_si128((const void *)(row + ROW_CODE_OFFSET));
	__m128i pair =
	    _mm_loadl_epi64((const void *)(row + ROW_CODE_OFFSET + 16));

	_mm_storeu_si128((void *)out, quad);
	_mm_storel_epi64((void *)&out->error, pair);
}

KERNEL_TORN static size_t few_scan(const struct query_code *query,
				   const unsigned char *rows, size_t stride,
				   size_t count,
				   const struct query_limit *limit,
				   uint32_t *survivors)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		const unsigned char *row = rows + i * stride;
		struct row_code code;

		row_code_get(row, &code);
		survivors[found] = (uint32_t)i;
		found += !query_prunes(limit, &code, avx512_dot(query, row));
	}
	return found;
}

KERNEL_TORN static size_t avx512_scan(const struct query_code *query,
				      const unsigned char *rows, size_t stride,
				      size_t count, double limit,
				      uint32_t *survivors)
{
	_Alignas(64) unsigned char heads[BLOCK * HEAD_BYTES];
	struct query_limit folded;
	struct block_limit wide;
	struct block_codes codes;
	size_t found = 0;
	size_t at = 0;

	query_limit(query, limit, &folded);
	if (count < BLOCK)
		return few_scan(query, rows, stride, count, &folded, survivors);
	block_limit_make(&folded, &wide);
	while (at < count) {
		size_t first = at + BLOCK <= count ? at : count - BLOCK;
		__m512i dots = block_dots(query, rows + first * stride, stride,
					  query->line_count, heads);
		unsigned int kept;

		block_codes_get(heads, &codes);
		kept = block_kept(&wide, &codes, dots);
		for (kept &= 0xffffu << (at - first); kept; kept &= kept - 1)
			survivors[found++] =
			    (uint32_t)first + (uint32_t)__builtin_ctz(kept);
		at = first + BLOCK;
	}
	return found;
}

KERNEL_TORN static float avx512_coded(const struct query_code *query,
				      const unsigned char *row)
{
	struct row_code code;

	row_code_get(row, &code);
	return query_coded(query, &code, avx512_dot(query, row));
}

/* Distances from four rows' merged sums; their heads are at `head`. */
KERNEL_TORN static inline void sums_distances(const struct query_code *query,
					      __m512i sums,
					      const unsigned char *const *row,
					      uint32_t head, float *distances)
{
	__m256i halves = _mm256_add_epi32(_mm512_castsi512_si256(sums),
					  _mm512_extracti64x4_epi64(sums, 1));
	__m128i dots = _mm_add_epi32(_mm256_castsi256_si128(halves),
				     _mm256_extracti128_si256(halves, 1));
	__m128 scale = _mm_loadu_ps((const void *)(row[0] + head));
	__m128 offset = _mm_loadu_ps((const void *)(row[1] + head));
	__m128 norm = _mm_loadu_ps((const void *)(row[2] + head));
	__m128 sum = _mm_loadu_ps((const void *)(row[3] + head));
	__m128 out;

	_MM_TRANSPOSE4_PS(scale, offset, norm, sum);
	out = _mm_fmadd_ps(norm, _mm_set1_ps(query->weight),
			   _mm_set1_ps(query->base));
	/* in this order: both scales may be small */
	scale = _mm_mul_ps(scale, _mm_cvtepi32_ps(dots));
	out = _mm_fmadd_ps(scale, _mm_set1_ps(query->product), out);
	out = _mm_fmadd_ps(offset, _mm_set1_ps(query->shift), out);
	out = _mm_fmadd_ps(sum, _mm_set1_ps(query->total), out);
	_mm_storeu_ps(distances, out);
}

KERNEL_TORN static inline void four_distances(const struct query_code *query,
					      const unsigned char *const *row,
					      float *distances)
{
	uint32_t lines = query->line_count;
	__m512i sums = merge_rows(
	    line_dots(query, row[0], lines), line_dots(query, row[1], lines),
	    line_dots(query, row[2], lines), line_dots(query, row[3], lines));

	sums_distances(query, sums, row, ROW_CODE_OFFSET, distances);
}

KERNEL_GATHER(avx512_gather, four_distances)

KERNEL_TORN static inline __m512i nibble_dots(const struct query_code *query,
					      const unsigned char *row)
{
	__m512i low = _mm512_set1_epi8(0x0f);
	__m512i even = _mm512_setzero_si512();
	__m512i odd = even;
	size_t end = (query->line_count + 1) / 2 * (size_t)CODE_LINE_BYTES;

	for (size_t at = 0; at < end; at += CODE_LINE_BYTES) {
		__m512i pair = line_get(row + at);
		const int8_t *codes = query->codes + 2 * at;

		even = _mm512_dpbusd_epi32(even, _mm512_and_si512(pair, low),
					   line_get(codes));
		pair = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low);
		odd = _mm512_dpbusd_epi32(odd, pair,
					  line_get(codes + CODE_LINE_BYTES));
	}
	return _mm512_add_epi32(even, odd);
}

KERNEL_TORN static inline void nibble_four(const struct query_code *query,
					   const unsigned char *const *row,
					   float *distances)
{
	__m512i sums =
	    merge_rows(nibble_dots(query, row[0]), nibble_dots(query, row[1]),
		       nibble_dots(query, row[2]), nibble_dots(query, row[3]));

	sums_distances(query, sums, row, kernel_nibble_head(query), distances);
}

KERNEL_GATHER(avx512_nibbles, nibble_four)

/* Adds a line's products, of x and y - 128, and the sum of x. */
KERNEL_TORN static inline void line_products(const unsigned char *x_at,
					     const unsigned char *y_at,
					     __m512i *dots, __m512i *sums)
{
	__m512i flip = _mm512_set1_epi8((char)0x80);
	__m512i x = line_get(x_at);

	*dots = _mm512_dpbusd_epi32(*dots, x,
				    _mm512_xor_si512(line_get(y_at), flip));
	*sums = _mm512_dpbusd_epi32(*sums, x, _mm512_set1_epi8(1));
}

KERNEL_TORN static float avx512_between(int32_t metric, uint32_t dim,
					const unsigned char *a,
					const unsigned char *b)
{
	__m512i dots = _mm512_setzero_si512();
	__m512i sums = dots;
	__m512i dots_too = dots; /* of every other line: neither waits */
	__m512i sums_too = dots;
	uint32_t end = code_bytes(CODES_U8, dim);
	uint32_t at = ROW_CODES_OFFSET;
	struct row_code code_a;
	struct row_code code_b;
	int32_t dot;

	end += at;
	if ((end - at) % (2 * CODE_LINE_BYTES)) {
		line_products(a + at, b + at, &dots, &sums);
		at += CODE_LINE_BYTES;
	}
	for (; at < end; at += 2 * CODE_LINE_BYTES) {
		line_products(a + at, b + at, &dots, &sums);
		line_products(a + at + CODE_LINE_BYTES,
			      b + at + CODE_LINE_BYTES, &dots_too, &sums_too);
	}
	dots = _mm512_add_epi32(dots, dots_too);
	sums = _mm512_add_epi32(sums, sums_too);
	dots = _mm512_add_epi32(dots, _mm512_slli_epi32(sums, 7));
	dot = _mm512_reduce_add_epi32(dots);
	row_code_get(a, &code_a);
	row_code_get(b, &code_b);
	return kernel_between(metric, dim, &code_a, &code_b, dot);
}

/* Words of the links may change: each lane is one of its values. */
KERNEL_TORN static size_t avx512_unmarked(const _Atomic uint32_t *links,
					  size_t count, uint32_t limit,
					  uint64_t *marks, uint32_t *fresh)
{
	__m512i top = _mm512_set1_epi32((int)limit);
	__m512i one = _mm512_set1_epi32(1);
	__m512i low = _mm512_set1_epi32(31);
	size_t found = 0;

	for (size_t at = 0; at < count; at += 16) {
		__m512i number = line_get((const void *)(links + at));
		__m512i bit =
		    _mm512_sllv_epi32(one, _mm512_and_si512(number, low));
		__mmask16 there = _mm512_test_epi32_mask(number, number);
		__m512i word;

		there = _mm512_mask_cmplt_epu32_mask(there, number, top);
		word = _mm512_mask_i32gather_epi32(
		    _mm512_setzero_si512(), there, _mm512_srli_epi32(number, 5),
		    (const void *)marks, 4);
		there = _mm512_mask_testn_epi32_mask(there, word, bit);
		_mm512_storeu_si512(fresh + found,
				    _mm512_maskz_compress_epi32(there, number));
		found += (size_t)__builtin_popcount(there);
	}
	return kernel_mark(marks, fresh, found);
}

static double row_distance(const struct query_code *query, double sum)
{
	if (query->metric == METRIC_IP)
		return -sum;
	return query->metric == METRIC_COSINE ? sum * 0.5 : sum;
}

/* Which of sixteen components from `at` are there. */
static inline __mmask16 there(uint32_t at, uint32_t dim)
{
	uint32_t count = dim - at;

	return _cvtu32_mask16(count < 16 ? (1u << count) - 1 : 0xffffu);
}

/* Sixteen components from `at`, zeros where the row has ended. */
KERNEL_TORN static inline __m512 halves_get(const uint16_t *row, uint32_t at,
					    uint32_t dim)
{
	return _mm512_cvtph_ps(
	    _mm256_maskz_loadu_epi16(there(at, dim), row + at));
}

KERNEL_TORN static inline __m512 floats_get(const void *row, uint32_t at,
					    uint32_t dim)
{
	return _mm512_maskz_loadu_ps(there(at, dim),
				     (const char *)row + at * sizeof(float));
}

KERNEL_TORN static inline __m512 brains_get(const uint16_t *row, uint32_t at,
					    uint32_t dim)
{
	__m256i x = _mm256_maskz_loadu_epi16(there(at, dim), row + at);

	return _mm512_castsi512_ps(
	    _mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

static inline __m512d low_half(__m512 x)
{
	return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

static inline __m512d high_half(__m512 x)
{
	return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

/* Magnitudes that a sum of squares in float takes. */
KERNEL_TORN static double row16_single(const struct query_code *query,
				       const uint16_t *row, float row_scale)
{
	__m512 scale = _mm512_set1_ps(row_scale);
	__m512 sums[4];
	uint32_t dim = query->dim;
	double sum;

	for (int i = 0; i < 4; i++)
		sums[i] = _mm512_setzero_ps();
	for (uint32_t at = 0; at < dim; at += 64) {
		for (uint32_t i = 0; i < 4 && at + 16 * i < dim; i++) {
			__m512 x = halves_get(row, at + 16 * i, dim);
			__m512 q = _mm512_load_ps(query->vector + at + 16 * i);

			if (query->metric == METRIC_IP) {
				sums[i] = _mm512_fmadd_ps(q, x, sums[i]);
				continue;
			}
			q = _mm512_fnmadd_ps(x, scale, q);
			sums[i] = _mm512_fmadd_ps(q, q, sums[i]);
		}
	}
	sums[0] = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]),
				_mm512_add_ps(sums[2], sums[3]));
	sum = (double)_mm512_reduce_add_ps(sums[0]);
	if (query->metric == METRIC_IP)
		sum *= (double)row_scale;
	return row_distance(query, sum);
}

/* Sums in double of sixteen components more. */
struct wide_sums {
	__m512d low;
	__m512d high;
};

static inline void wide_add(struct wide_sums *sums, int32_t metric, __m512 q,
			    __m512 x, __m512d scale)
{
	__m512d low = _mm512_mul_pd(low_half(x), scale);
	__m512d high = _mm512_mul_pd(high_half(x), scale);

	if (metric == METRIC_IP) {
		sums->low = _mm512_fmadd_pd(low_half(q), low, sums->low);
		sums->high = _mm512_fmadd_pd(high_half(q), high, sums->high);
		return;
	}
	low = _mm512_sub_pd(low_half(q), low);
	high = _mm512_sub_pd(high_half(q), high);
	sums->low = _mm512_fmadd_pd(low, low, sums->low);
	sums->high = _mm512_fmadd_pd(high, high, sums->high);
}

KERNEL_TORN static double avx512_row16(const struct query_code *query,
				       const uint16_t *row, float row_scale)
{
	struct wide_sums sums = {_mm512_setzero_pd(), _mm512_setzero_pd()};
	__m512d scale = _mm512_set1_pd((double)row_scale);

	if (query->is_moderate && row_scale >= 0x1p-40f && row_scale <= 0x1p40f)
		return row16_single(query, row, row_scale);
	for (uint32_t at = 0; at < query->dim; at += 16)
		wide_add(&sums, query->metric,
			 _mm512_load_ps(query->vector + at),
			 halves_get(row, at, query->dim), scale);
	return row_distance(
	    query, _mm512_reduce_add_pd(_mm512_add_pd(sums.low, sums.high)));
}

KERNEL_TORN static double avx512_row32(const struct query_code *query,
				       const float *row)
{
	struct wide_sums sums = {_mm512_setzero_pd(), _mm512_setzero_pd()};
	__m512d one = _mm512_set1_pd(1);

	for (uint32_t at = 0; at < query->dim; at += 16)
		wide_add(&sums, query->metric,
			 _mm512_load_ps(query->vector + at),
			 floats_get(row, at, query->dim), one);
	return row_distance(
	    query, _mm512_reduce_add_pd(_mm512_add_pd(sums.low, sums.high)));
}

KERNEL_TORN static double avx512_rowb16(const struct query_code *query,
					const uint16_t *row)
{
	struct wide_sums sums = {_mm512_setzero_pd(), _mm512_setzero_pd()};
	__m512d one = _mm512_set1_pd(1);

	for (uint32_t at = 0; at < query->dim; at += 16)
		wide_add(&sums, query->metric,
			 _mm512_load_ps(query->vector + at),
			 brains_get(row, at, query->dim), one);
	return row_distance(
	    query, _mm512_reduce_add_pd(_mm512_add_pd(sums.low, sums.high)));
}

/* ---- codes that are rows, and bits -------------------------------------- */

/* Sixteen components; behind the last one there are zeros. */
KERNEL_TORN static inline __m512 part_get(const struct parts *from, uint32_t at)
{
	const char *parts = from->at;

	if (from->kind == CODES_F32)
		return _mm512_loadu_ps(parts + at * sizeof(float));
	if (from->kind == CODES_BF16)
		return brains_get(from->at, at, at + 16);
	return _mm512_mul_ps(halves_get(from->at, at, at + 16),
			     _mm512_set1_ps(from->scale));
}

KERNEL_TORN static inline __attribute__((always_inline)) float
parts_distance(int32_t metric, uint32_t dim, const struct parts *a,
	       const struct parts *b)
{
	__m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};

	for (uint32_t at = 0; at < dim; at += 32) {
		for (uint32_t i = 0; i < 2 && at + 16 * i < dim; i++) {
			__m512 x = part_get(a, at + 16 * i);
			__m512 y = part_get(b, at + 16 * i);

			if (metric != METRIC_IP)
				x = y = _mm512_sub_ps(x, y);
			sums[i] = _mm512_fmadd_ps(x, y, sums[i]);
		}
	}
	return kernel_distance(
	    metric, _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1])));
}

KERNEL_KINDS

/* ---- vectors ------------------------------------------------------------ */

/* The first pass of an exact cosine. */
static void cosine_sums(const float *query, const float *vector, uint32_t dim,
			struct kernel_cosine *out)
{
	__m512d a = _mm512_setzero_pd();
	__m512d b = a;
	__m512d c = a;

	for (uint32_t at = 0; at < dim; at += 16) {
		__m512 x = floats_get(query, at, dim);
		__m512 y = floats_get(vector, at, dim);
		__m512d x0 = low_half(x);
		__m512d x1 = high_half(x);
		__m512d y0 = low_half(y);
		__m512d y1 = high_half(y);

		a = _mm512_fmadd_pd(x1, x1, _mm512_fmadd_pd(x0, x0, a));
		b = _mm512_fmadd_pd(y1, y1, _mm512_fmadd_pd(y0, y0, b));
		c = _mm512_fmadd_pd(x1, y1, _mm512_fmadd_pd(x0, y0, c));
	}
	out->a = _mm512_reduce_add_pd(a);
	out->b = _mm512_reduce_add_pd(b);
	out->c = _mm512_reduce_add_pd(c);
}

static double avx512_cosine(const float *query, const float *vector,
			    uint32_t dim)
{
	struct kernel_cosine s;
	__m512d squares = _mm512_setzero_pd();
	__m512d products = squares;
	__m512d high;
	__m512d low;
	double distance;

	cosine_sums(query, vector, dim, &s);
	if (!kernel_cosine_split(&s, &distance))
		return distance;
	high = _mm512_set1_pd(s.t_high);
	low = _mm512_set1_pd(s.t_low);
	for (uint32_t at = 0; at < dim; at += 16) {
		__m512 x = floats_get(query, at, dim);
		__m512 y = floats_get(vector, at, dim);
		__m512d x0 = low_half(x);
		__m512d x1 = high_half(x);
		__m512d r0 = _mm512_fnmadd_pd(high, x0, low_half(y));
		__m512d r1 = _mm512_fnmadd_pd(high, x1, high_half(y));

		r0 = _mm512_fnmadd_pd(low, x0, r0);
		r1 = _mm512_fnmadd_pd(low, x1, r1);
		squares = _mm512_fmadd_pd(r0, r0, squares);
		squares = _mm512_fmadd_pd(r1, r1, squares);
		products = _mm512_fmadd_pd(x0, r0, products);
		products = _mm512_fmadd_pd(x1, r1, products);
	}
	s.r = _mm512_reduce_add_pd(squares);
	s.p = _mm512_reduce_add_pd(products);
	return kernel_cosine_join(&s);
}

static double avx512_exact(int32_t metric, const float *query,
			   const float *vector, uint32_t dim)
{
	struct wide_sums sums = {_mm512_setzero_pd(), _mm512_setzero_pd()};
	__m512d one = _mm512_set1_pd(1);
	double sum;

	if (metric == METRIC_COSINE)
		return avx512_cosine(query, vector, dim);
	for (uint32_t at = 0; at < dim; at += 16)
		wide_add(&sums, metric, floats_get(query, at, dim),
			 floats_get(vector, at, dim), one);
	sum = _mm512_reduce_add_pd(_mm512_add_pd(sums.low, sums.high));
	return metric == METRIC_IP ? -sum : sum;
}

static void avx512_hamming(const uint64_t *query, const _Atomic uint64_t *signs,
			   size_t count, uint16_t *distances)
{
	kernel_hamming(query, signs, count, distances);
}

const struct kernel kernel_avx512 = {
    .name = "avx512",
    .codes = KERNEL_CODES(avx512),
    .coded = avx512_coded,
    .nibbles = avx512_nibbles,
    .unmarked = avx512_unmarked,
    .hamming = avx512_hamming,
    .row16 = avx512_row16,
    .row32 = avx512_row32,
    .rowb16 = avx512_rowb16,
    .exact = avx512_exact,
};

#endif
