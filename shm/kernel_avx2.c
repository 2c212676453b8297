/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_avx2: four rows at a time without VNNI.
 *
 * scan
 *	vpmaddubsw would multiply u8 by s8, but it adds two products in 16
 *	bits and saturates: 2 * 255 * 127 does not fit.  So the codes are
 *	split in even and odd bytes, which takes a mask and a shift, and
 *	vpmaddwd multiplies 16 bits with sums of 32.  The query is split once
 *	a scan, into the same order.  Rows are read in the order they lie.
 *	The rest is as in kernel_avx512.c, four rows wide.
 */
#include "kernel_kinds.h"

#if KERNEL_X86

#include <float.h>
#include <immintrin.h>
#include <string.h>

enum {
	BLOCK = 4,
	HALF_LINE = 32,
	HEAD_BYTES = 32 /* of a header that are copied, from ROW_CODE_OFFSET */
};

/* The query's codes in 16 bits: sixteen even ones, then sixteen odd ones. */
struct split_query {
	_Alignas(32) int16_t codes[CODE_DIM_MAX + 64];
};

static inline __m256i even_codes(__m256i q)
{
	return _mm256_srai_epi16(_mm256_slli_epi16(q, 8), 8);
}

static inline __m256i odd_codes(__m256i q)
{
	return _mm256_srai_epi16(q, 8);
}

static void query_split(const struct query_code *query, struct split_query *out)
{
	uint32_t end = query->line_count * CODE_LINE_BYTES;

	for (uint32_t at = 0; at < end; at += HALF_LINE) {
		__m256i q =
		    _mm256_load_si256((const void *)(query->codes + at));

		_mm256_store_si256((void *)(out->codes + at), even_codes(q));
		_mm256_store_si256((void *)(out->codes + at + 16),
				   odd_codes(q));
	}
}

KERNEL_TORN static inline __m256i bytes_get(const unsigned char *at)
{
	return _mm256_loadu_si256((const void *)at);
}

/* A row's partial sums; its header goes to `head` on the way. */
KERNEL_TORN static inline __m256i row_dots(const struct split_query *query,
					   const unsigned char *row,
					   uint32_t lines, unsigned char *head)
{
	const unsigned char *codes = row + ROW_CODES_OFFSET;
	__m256i low_bytes = _mm256_set1_epi16(0xff);
	__m256i even = _mm256_setzero_si256();
	__m256i odd = even;
	size_t end = (size_t)lines * CODE_LINE_BYTES;

	_mm256_store_si256((void *)head, bytes_get(row + ROW_CODE_OFFSET));
	for (size_t at = 0; at < end; at += HALF_LINE) {
		__m256i c = bytes_get(codes + at);
		__m256i low = _mm256_and_si256(c, low_bytes);
		__m256i high = _mm256_srli_epi16(c, 8);
		const int16_t *q = query->codes + at;

		low =
		    _mm256_madd_epi16(low, _mm256_load_si256((const void *)q));
		high = _mm256_madd_epi16(
		    high, _mm256_load_si256((const void *)(q + 16)));
		even = _mm256_add_epi32(even, low);
		odd = _mm256_add_epi32(odd, high);
	}
	return _mm256_add_epi32(even, odd);
}

/* Four rows' dot products, in order. */
KERNEL_TORN static inline __m128i block_dots(const struct split_query *query,
					     const unsigned char *rows,
					     size_t stride, uint32_t lines,
					     unsigned char *heads)
{
	__m256i r0 = row_dots(query, rows, lines, heads);
	__m256i r1 = row_dots(query, rows + stride, lines, heads + HEAD_BYTES);
	__m256i r2 =
	    row_dots(query, rows + 2 * stride, lines, heads + 2 * HEAD_BYTES);
	__m256i r3 =
	    row_dots(query, rows + 3 * stride, lines, heads + 3 * HEAD_BYTES);

	r0 = _mm256_hadd_epi32(_mm256_hadd_epi32(r0, r1),
			       _mm256_hadd_epi32(r2, r3));
	return _mm_add_epi32(_mm256_castsi256_si128(r0),
			     _mm256_extracti128_si256(r0, 1));
}

struct block_codes {
	__m128 scale;
	__m128 offset;
	__m128 norm;
	__m128 sum;
	__m128 error;
};

static inline __m128 quad_get(const unsigned char *at)
{
	return _mm_load_ps((const void *)at);
}

static inline void block_codes_get(const unsigned char *heads,
				   struct block_codes *out)
{
	const unsigned char *tails = heads + offsetof(struct row_code, error);
	__m128 a = quad_get(heads);
	__m128 b = quad_get(heads + HEAD_BYTES);
	__m128 c = quad_get(heads + 2 * HEAD_BYTES);
	__m128 d = quad_get(heads + 3 * HEAD_BYTES);
	__m128 ab = _mm_unpacklo_ps(a, b);
	__m128 cd = _mm_unpacklo_ps(c, d);

	out->scale = _mm_movelh_ps(ab, cd);
	out->offset = _mm_movehl_ps(cd, ab);
	ab = _mm_unpackhi_ps(a, b);
	cd = _mm_unpackhi_ps(c, d);
	out->norm = _mm_movelh_ps(ab, cd);
	out->sum = _mm_movehl_ps(cd, ab);
	ab = _mm_unpacklo_ps(quad_get(tails), quad_get(tails + HEAD_BYTES));
	cd = _mm_unpacklo_ps(quad_get(tails + 2 * HEAD_BYTES),
			     quad_get(tails + 3 * HEAD_BYTES));
	out->error = _mm_movelh_ps(ab, cd);
}

static inline __m128 magnitude(__m128 x)
{
	return _mm_andnot_ps(_mm_set1_ps(-0.0f), x);
}

/* query_prunes() for four rows: a bit for each that is kept. */
static inline unsigned int block_kept(const struct query_limit *l,
				      const struct block_codes *c, __m128i dots)
{
	__m128 product = _mm_mul_ps(_mm_mul_ps(c->scale, _mm_cvtepi32_ps(dots)),
				    _mm_set1_ps(l->product));
	__m128 shift = _mm_mul_ps(c->offset, _mm_set1_ps(l->shift));
	__m128 total = _mm_mul_ps(c->sum, _mm_set1_ps(l->total));
	__m128 bound =
	    _mm_fmadd_ps(c->norm, _mm_set1_ps(l->weight), _mm_set1_ps(l->base));
	__m128 size = _mm_add_ps(magnitude(shift), magnitude(total));
	__m128 reach = _mm_mul_ps(_mm_add_ps(_mm_set1_ps(l->near), c->error),
				  _mm_fmadd_ps(c->error, _mm_set1_ps(l->square),
					       _mm_set1_ps(l->far)));
	__m128 pruned;

	size = _mm_add_ps(size, magnitude(product));
	bound = _mm_add_ps(bound, _mm_add_ps(shift, total));
	bound = _mm_add_ps(bound, product);
	bound = _mm_fnmadd_ps(_mm_set1_ps(l->slack), size, bound);
	pruned = _mm_and_ps(_mm_cmpgt_ps(bound, reach),
			    _mm_cmple_ps(bound, _mm_set1_ps(FLT_MAX)));
	return (unsigned int)_mm_movemask_ps(pruned) ^ 0xf;
}

/* Sums of products of the bytes of `c` and the signed bytes of `q`. */
static inline __m256i line_products(__m256i c, __m256i q)
{
	__m256i low = _mm256_and_si256(c, _mm256_set1_epi16(0xff));
	__m256i high = _mm256_srli_epi16(c, 8);

	return _mm256_add_epi32(_mm256_madd_epi16(low, even_codes(q)),
				_mm256_madd_epi16(high, odd_codes(q)));
}

KERNEL_TORN static inline __m256i line_dots(const struct query_code *query,
					    const unsigned char *row)
{
	const unsigned char *codes = row + ROW_CODES_OFFSET;
	__m256i sum = _mm256_setzero_si256();
	size_t end = (size_t)query->line_count * CODE_LINE_BYTES;

	for (size_t at = 0; at < end; at += HALF_LINE)
		sum = _mm256_add_epi32(
		    sum, line_products(bytes_get(codes + at),
				       _mm256_load_si256(
					   (const void *)(query->codes + at))));
	return sum;
}

static inline int32_t dots_sum(__m256i dots)
{
	__m128i four = _mm_add_epi32(_mm256_castsi256_si128(dots),
				     _mm256_extracti128_si256(dots, 1));

	four = _mm_hadd_epi32(four, four);
	return _mm_cvtsi128_si32(_mm_hadd_epi32(four, four));
}

KERNEL_TORN static int32_t avx2_dot(const struct query_code *query,
				    const unsigned char *row)
{
	return dots_sum(line_dots(query, row));
}

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
		found += !query_prunes(limit, &code, avx2_dot(query, row));
	}
	return found;
}

KERNEL_TORN static size_t avx2_scan(const struct query_code *query,
				    const unsigned char *rows, size_t stride,
				    size_t count, double limit,
				    uint32_t *survivors)
{
	_Alignas(32) unsigned char heads[BLOCK * HEAD_BYTES];
	struct split_query split;
	struct query_limit folded;
	struct block_codes codes;
	size_t found = 0;
	size_t at = 0;

	query_limit(query, limit, &folded);
	if (count < BLOCK)
		return few_scan(query, rows, stride, count, &folded, survivors);
	query_split(query, &split);
	while (at < count) {
		size_t first = at + BLOCK <= count ? at : count - BLOCK;
		__m128i dots = block_dots(&split, rows + first * stride, stride,
					  query->line_count, heads);
		unsigned int kept;

		block_codes_get(heads, &codes);
		kept = block_kept(&folded, &codes, dots);
		for (kept &= 0xfu << (at - first); kept; kept &= kept - 1)
			survivors[found++] =
			    (uint32_t)first + (uint32_t)__builtin_ctz(kept);
		at = first + BLOCK;
	}
	return found;
}

KERNEL_TORN static float avx2_coded(const struct query_code *query,
				    const unsigned char *row)
{
	struct row_code code;

	row_code_get(row, &code);
	return query_coded(query, &code, avx2_dot(query, row));
}

KERNEL_TORN static inline __m128 code_quad(const unsigned char *row)
{
	return _mm_loadu_ps((const void *)(row + ROW_CODE_OFFSET));
}

KERNEL_TORN static inline void four_distances(const struct query_code *query,
					      const unsigned char *const *row,
					      float *distances)
{
	__m256i sums =
	    _mm256_hadd_epi32(_mm256_hadd_epi32(line_dots(query, row[0]),
						line_dots(query, row[1])),
			      _mm256_hadd_epi32(line_dots(query, row[2]),
						line_dots(query, row[3])));
	__m128i dots = _mm_add_epi32(_mm256_castsi256_si128(sums),
				     _mm256_extracti128_si256(sums, 1));
	__m128 scale = code_quad(row[0]);
	__m128 offset = code_quad(row[1]);
	__m128 norm = code_quad(row[2]);
	__m128 sum = code_quad(row[3]);
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

KERNEL_GATHER(avx2_gather, four_distances)

/* Nibbles are too small for their products' sums not to fit 16 bits. */
KERNEL_TORN static int32_t nibble_dot(const struct query_code *query,
				      const unsigned char *row)
{
	__m256i low = _mm256_set1_epi8(0x0f);
	__m256i ones = _mm256_set1_epi16(1);
	__m256i sum = _mm256_setzero_si256();
	size_t end = (query->line_count + 1) / 2 * (size_t)CODE_LINE_BYTES;

	for (size_t at = 0; at < end; at += HALF_LINE) {
		const int8_t *codes = query->codes + at + (at & ~(size_t)63);
		__m256i pair = bytes_get(row + at);
		__m256i x = _mm256_and_si256(pair, low);
		__m256i y = _mm256_and_si256(_mm256_srli_epi16(pair, 4), low);

		x = _mm256_maddubs_epi16(
		    x, _mm256_load_si256((const void *)codes));
		y = _mm256_maddubs_epi16(
		    y,
		    _mm256_load_si256((const void *)(codes + CODE_LINE_BYTES)));
		sum = _mm256_add_epi32(
		    sum, _mm256_madd_epi16(_mm256_add_epi16(x, y), ones));
	}
	return dots_sum(sum);
}

KERNEL_NIBBLES(avx2)

KERNEL_TORN static float avx2_between(int32_t metric, uint32_t dim,
				      const unsigned char *a,
				      const unsigned char *b)
{
	__m256i low_bytes = _mm256_set1_epi16(0xff);
	__m256i sum = _mm256_setzero_si256();
	uint32_t end = code_bytes(CODES_U8, dim);
	struct row_code code_a;
	struct row_code code_b;

	for (uint32_t at = 0; at < end; at += HALF_LINE) {
		__m256i x = bytes_get(a + ROW_CODES_OFFSET + at);
		__m256i y = bytes_get(b + ROW_CODES_OFFSET + at);

		sum = _mm256_add_epi32(
		    sum, _mm256_madd_epi16(_mm256_and_si256(x, low_bytes),
					   _mm256_and_si256(y, low_bytes)));
		sum = _mm256_add_epi32(
		    sum, _mm256_madd_epi16(_mm256_srli_epi16(x, 8),
					   _mm256_srli_epi16(y, 8)));
	}
	row_code_get(a, &code_a);
	row_code_get(b, &code_b);
	return kernel_between(metric, dim, &code_a, &code_b, dots_sum(sum));
}

static double row_distance(const struct query_code *query, double sum)
{
	if (query->metric == METRIC_IP)
		return -sum;
	return query->metric == METRIC_COSINE ? sum * 0.5 : sum;
}

/* Eight components from `at`, zeros where the row has ended. */
KERNEL_TORN static inline __m256 halves_get(const uint16_t *row, uint32_t at,
					    uint32_t dim)
{
	uint16_t last[8] = {0};

	if (dim - at >= 8)
		return _mm256_cvtph_ps(
		    _mm_loadu_si128((const void *)(row + at)));
	for (uint32_t i = 0; i < dim - at; i++)
		last[i] = row[at + i];
	return _mm256_cvtph_ps(_mm_loadu_si128((const void *)last));
}

/* Eight bfloat16 at the address. */
KERNEL_TORN static inline __m256 brains_at(const uint16_t *at)
{
	__m256i x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)at));

	return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
}

KERNEL_TORN static inline __m256 brains_get(const uint16_t *row, uint32_t at,
					    uint32_t dim)
{
	uint16_t last[8] = {0};

	if (dim - at >= 8)
		return brains_at(row + at);
	for (uint32_t i = 0; i < dim - at; i++)
		last[i] = row[at + i];
	return brains_at(last);
}

KERNEL_TORN static inline __m256 floats_get(const void *row, uint32_t at,
					    uint32_t dim)
{
	const char *from = (const char *)row + at * sizeof(float);
	__m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

	if (dim - at >= 8)
		return _mm256_loadu_ps((const void *)from);
	lanes = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(dim - at)), lanes);
	return _mm256_maskload_ps((const void *)from, lanes);
}

static inline __m256d low_half(__m256 x)
{
	return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
}

static inline __m256d high_half(__m256 x)
{
	return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}

static inline double sum_get(__m256d x)
{
	__m128d two =
	    _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

	return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Magnitudes that a sum of squares in float takes. */
KERNEL_TORN static double row16_single(const struct query_code *query,
				       const uint16_t *row, float row_scale)
{
	__m256 scale = _mm256_set1_ps(row_scale);
	__m256 sums[4];
	uint32_t dim = query->dim;
	double sum;

	for (int i = 0; i < 4; i++)
		sums[i] = _mm256_setzero_ps();
	for (uint32_t at = 0; at < dim; at += 32) {
		for (uint32_t i = 0; i < 4 && at + 8 * i < dim; i++) {
			__m256 x = halves_get(row, at + 8 * i, dim);
			__m256 q = _mm256_load_ps(query->vector + at + 8 * i);

			if (query->metric == METRIC_IP) {
				sums[i] = _mm256_fmadd_ps(q, x, sums[i]);
				continue;
			}
			q = _mm256_fnmadd_ps(x, scale, q);
			sums[i] = _mm256_fmadd_ps(q, q, sums[i]);
		}
	}
	sums[0] = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]),
				_mm256_add_ps(sums[2], sums[3]));
	sum = sum_get(_mm256_add_pd(low_half(sums[0]), high_half(sums[0])));
	if (query->metric == METRIC_IP)
		sum *= (double)row_scale;
	return row_distance(query, sum);
}

/* Sums in double of eight components more. */
struct wide_sums {
	__m256d low;
	__m256d high;
};

static inline void wide_add(struct wide_sums *sums, int32_t metric, __m256 q,
			    __m256 x, __m256d scale)
{
	__m256d low = _mm256_mul_pd(low_half(x), scale);
	__m256d high = _mm256_mul_pd(high_half(x), scale);

	if (metric == METRIC_IP) {
		sums->low = _mm256_fmadd_pd(low_half(q), low, sums->low);
		sums->high = _mm256_fmadd_pd(high_half(q), high, sums->high);
		return;
	}
	low = _mm256_sub_pd(low_half(q), low);
	high = _mm256_sub_pd(high_half(q), high);
	sums->low = _mm256_fmadd_pd(low, low, sums->low);
	sums->high = _mm256_fmadd_pd(high, high, sums->high);
}

KERNEL_TORN static double avx2_row16(const struct query_code *query,
				     const uint16_t *row, float row_scale)
{
	struct wide_sums sums = {_mm256_setzero_pd(), _mm256_setzero_pd()};
	__m256d scale = _mm256_set1_pd((double)row_scale);

	if (query->is_moderate && row_scale >= 0x1p-40f && row_scale <= 0x1p40f)
		return row16_single(query, row, row_scale);
	for (uint32_t at = 0; at < query->dim; at += 8)
		wide_add(&sums, query->metric,
			 _mm256_load_ps(query->vector + at),
			 halves_get(row, at, query->dim), scale);
	return row_distance(query, sum_get(_mm256_add_pd(sums.low, sums.high)));
}

KERNEL_TORN static double avx2_row32(const struct query_code *query,
				     const float *row)
{
	struct wide_sums sums = {_mm256_setzero_pd(), _mm256_setzero_pd()};
	__m256d one = _mm256_set1_pd(1);

	for (uint32_t at = 0; at < query->dim; at += 8)
		wide_add(&sums, query->metric,
			 _mm256_load_ps(query->vector + at),
			 floats_get(row, at, query->dim), one);
	return row_distance(query, sum_get(_mm256_add_pd(sums.low, sums.high)));
}

KERNEL_TORN static double avx2_rowb16(const struct query_code *query,
				      const uint16_t *row)
{
	struct wide_sums sums = {_mm256_setzero_pd(), _mm256_setzero_pd()};
	__m256d one = _mm256_set1_pd(1);

	for (uint32_t at = 0; at < query->dim; at += 8)
		wide_add(&sums, query->metric,
			 _mm256_load_ps(query->vector + at),
			 brains_get(row, at, query->dim), one);
	return row_distance(query, sum_get(_mm256_add_pd(sums.low, sums.high)));
}

/* ---- codes that are rows, and bits -------------------------------------- */

/* Eight components; behind the last one there are zeros. */
KERNEL_TORN static inline __m256 part_get(const struct parts *from, uint32_t at)
{
	const char *parts = from->at;

	if (from->kind == CODES_F32)
		return _mm256_loadu_ps(
		    (const void *)(parts + at * sizeof(float)));
	if (from->kind == CODES_BF16)
		return brains_get(from->at, at, at + 8);
	return _mm256_mul_ps(halves_get(from->at, at, at + 8),
			     _mm256_set1_ps(from->scale));
}

KERNEL_TORN static inline __attribute__((always_inline)) float
parts_distance(int32_t metric, uint32_t dim, const struct parts *a,
	       const struct parts *b)
{
	__m256 sums[4];
	__m128 four;

	for (int i = 0; i < 4; i++)
		sums[i] = _mm256_setzero_ps();
	for (uint32_t at = 0; at < dim; at += 32) {
		for (uint32_t i = 0; i < 4 && at + 8 * i < dim; i++) {
			__m256 x = part_get(a, at + 8 * i);
			__m256 y = part_get(b, at + 8 * i);

			if (metric != METRIC_IP)
				x = y = _mm256_sub_ps(x, y);
			sums[i] = _mm256_fmadd_ps(x, y, sums[i]);
		}
	}
	sums[0] = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]),
				_mm256_add_ps(sums[2], sums[3]));
	four = _mm_add_ps(_mm256_castps256_ps128(sums[0]),
			  _mm256_extractf128_ps(sums[0], 1));
	four = _mm_add_ps(four, _mm_movehl_ps(four, four));
	four = _mm_add_ss(four, _mm_movehdup_ps(four));
	return kernel_distance(metric, _mm_cvtss_f32(four));
}

KERNEL_KINDS

/* ---- vectors ------------------------------------------------------------ */

/* The first pass of an exact cosine. */
static void cosine_sums(const float *query, const float *vector, uint32_t dim,
			struct kernel_cosine *out)
{
	__m256d a = _mm256_setzero_pd();
	__m256d b = a;
	__m256d c = a;

	for (uint32_t at = 0; at < dim; at += 8) {
		__m256 x = floats_get(query, at, dim);
		__m256 y = floats_get(vector, at, dim);
		__m256d x0 = low_half(x);
		__m256d x1 = high_half(x);
		__m256d y0 = low_half(y);
		__m256d y1 = high_half(y);

		a = _mm256_fmadd_pd(x1, x1, _mm256_fmadd_pd(x0, x0, a));
		b = _mm256_fmadd_pd(y1, y1, _mm256_fmadd_pd(y0, y0, b));
		c = _mm256_fmadd_pd(x1, y1, _mm256_fmadd_pd(x0, y0, c));
	}
	out->a = sum_get(a);
	out->b = sum_get(b);
	out->c = sum_get(c);
}

static double avx2_cosine(const float *query, const float *vector, uint32_t dim)
{
	struct kernel_cosine s;
	__m256d squares = _mm256_setzero_pd();
	__m256d products = squares;
	__m256d high;
	__m256d low;
	double distance;

	cosine_sums(query, vector, dim, &s);
	if (!kernel_cosine_split(&s, &distance))
		return distance;
	high = _mm256_set1_pd(s.t_high);
	low = _mm256_set1_pd(s.t_low);
	for (uint32_t at = 0; at < dim; at += 8) {
		__m256 x = floats_get(query, at, dim);
		__m256 y = floats_get(vector, at, dim);
		__m256d x0 = low_half(x);
		__m256d x1 = high_half(x);
		__m256d r0 = _mm256_fnmadd_pd(high, x0, low_half(y));
		__m256d r1 = _mm256_fnmadd_pd(high, x1, high_half(y));

		r0 = _mm256_fnmadd_pd(low, x0, r0);
		r1 = _mm256_fnmadd_pd(low, x1, r1);
		squares = _mm256_fmadd_pd(r0, r0, squares);
		squares = _mm256_fmadd_pd(r1, r1, squares);
		products = _mm256_fmadd_pd(x0, r0, products);
		products = _mm256_fmadd_pd(x1, r1, products);
	}
	s.r = sum_get(squares);
	s.p = sum_get(products);
	return kernel_cosine_join(&s);
}

static double avx2_exact(int32_t metric, const float *query,
			 const float *vector, uint32_t dim)
{
	struct wide_sums sums = {_mm256_setzero_pd(), _mm256_setzero_pd()};
	__m256d one = _mm256_set1_pd(1);
	double sum;

	if (metric == METRIC_COSINE)
		return avx2_cosine(query, vector, dim);
	for (uint32_t at = 0; at < dim; at += 8)
		wide_add(&sums, metric, floats_get(query, at, dim),
			 floats_get(vector, at, dim), one);
	sum = sum_get(_mm256_add_pd(sums.low, sums.high));
	return metric == METRIC_IP ? -sum : sum;
}

static void avx2_hamming(const uint64_t *query, const _Atomic uint64_t *signs,
			 size_t count, uint16_t *distances)
{
	kernel_hamming(query, signs, count, distances);
}

const struct kernel kernel_avx2 = {
    .name = "avx2",
    .codes = KERNEL_CODES(avx2),
    .coded = avx2_coded,
    .nibbles = avx2_nibbles,
    .unmarked = kernel_unmarked,
    .hamming = avx2_hamming,
    .row16 = avx2_row16,
    .row32 = avx2_row32,
    .rowb16 = avx2_rowb16,
    .exact = avx2_exact,
};

#endif
