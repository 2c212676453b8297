/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_neon: AArch64, four rows at a time, compiled twice.
 *
 * idea
 *	What every AArch64 processor has multiplies bytes to 16 bits and adds
 *	pairs of those to 32; most since 2018 have an instruction, sdot, that
 *	does four products and their sum at once.  All else is the same, so
 *	kernel_neon_dot.c is this file once more, with that instruction.
 *
 * scan
 *	Neither form multiplies u8 by s8.  With a flipped top bit a row's code
 *	u is the signed byte u - 128, and
 *
 *		sum(u q) = sum((u - 128) q) + 128 sum(q)
 *
 *	where sum(q) is the query's code_sum.  Behind a row's last component q
 *	is zero, so what the row has there does not matter.  A product is at
 *	most 2^14, which 16 bits hold; of two products the sum may not fit,
 *	so each is widened before it is added.
 *
 *	Rows are read one after the other, as they lie, see kernel_avx512.c;
 *	the four 16-byte parts of a line have a sum each, since an sdot waits
 *	for the one before it.  Pairwise adds make the sums of four rows one
 *	register, in order, and zips make their headers one register a field.
 *	What remains below four rows is filled up with the first of them.
 *
 * limits
 *	row16 sums in float in 32 places, so that with 4096 components none
 *	takes more than 128 additions: below 2^-16 with what rounds besides.
 *	The conversion of halves is in every AArch64 processor, arithmetic of
 *	halves is not and is not used.
 */
#include "kernel_kinds.h"

#if KERNEL_NEON

#include <arm_neon.h>
#include <float.h>
#include <string.h>

enum { BLOCK = 4, PART = 16 };

_Static_assert(CODE_LINE_BYTES == 4 * PART, "four parts of a line");

/* The sums of the products of bytes are added to `sum`, in any order. */
#ifdef NEON_DOT
#define NEON_KERNEL kernel_neon_dot
#define NEON_NAME   "neon-dot"

static inline int32x4_t signed_add(int32x4_t sum, int8x16_t x, int8x16_t y)
{
	return vdotq_s32(sum, x, y);
}

static inline uint32x4_t unsigned_add(uint32x4_t sum, uint8x16_t x,
				      uint8x16_t y)
{
	return vdotq_u32(sum, x, y);
}
#else
#define NEON_KERNEL kernel_neon
#define NEON_NAME   "neon"

static inline int32x4_t signed_add(int32x4_t sum, int8x16_t x, int8x16_t y)
{
	sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
	return vpadalq_s16(sum, vmull_high_s8(x, y));
}

static inline uint32x4_t unsigned_add(uint32x4_t sum, uint8x16_t x,
				      uint8x16_t y)
{
	sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(x), vget_low_u8(y)));
	return vpadalq_u16(sum, vmull_high_u8(x, y));
}
#endif

/* ---- codes -------------------------------------------------------------- */

KERNEL_TORN static inline uint8x16_t bytes_get(const unsigned char *at)
{
	return vld1q_u8(at);
}

/* A row's codes with their top bits flipped, times the query's. */
KERNEL_TORN static inline int32x4_t row_dots(const struct query_code *query,
					     const unsigned char *row)
{
	const unsigned char *codes = row + ROW_CODES_OFFSET;
	uint8x16_t top = vdupq_n_u8(0x80);
	size_t end = (size_t)query->line_count * CODE_LINE_BYTES;
	int32x4_t sums[4];

	for (int i = 0; i < 4; i++)
		sums[i] = vdupq_n_s32(0);
	for (size_t at = 0; at < end; at += CODE_LINE_BYTES)
		for (size_t i = 0; i < 4; i++) {
			uint8x16_t c = bytes_get(codes + at + i * PART);

			sums[i] = signed_add(
			    sums[i], vreinterpretq_s8_u8(veorq_u8(c, top)),
			    vld1q_s8(query->codes + at + i * PART));
		}
	return vaddq_s32(vaddq_s32(sums[0], sums[1]),
			 vaddq_s32(sums[2], sums[3]));
}

/* What flipping took away. */
static inline int32_t query_lift(const struct query_code *query)
{
	return 128 * (int32_t)query->code_sum;
}

KERNEL_TORN static int32_t neon_dot(const struct query_code *query,
				    const unsigned char *row)
{
	return vaddvq_s32(row_dots(query, row)) + query_lift(query);
}

KERNEL_TORN static inline float32x4_t quad_get(const unsigned char *at)
{
	return vreinterpretq_f32_u8(bytes_get(at));
}

KERNEL_TORN static inline void row_code_get(const unsigned char *row,
					    struct row_code *out)
{
	float32x4_t tail = quad_get(row + ROW_CODE_OFFSET + PART);

	vst1q_f32(&out->scale, quad_get(row + ROW_CODE_OFFSET));
	vst1_f32(&out->error, vget_low_f32(tail));
}

/* What is read of four rows: their dot products and a field a register. */
struct block {
	int32x4_t dots;
	float32x4_t scale;
	float32x4_t offset;
	float32x4_t norm;
	float32x4_t sum;
	float32x4_t error;
};

KERNEL_TORN static inline void block_get(const struct query_code *query,
					 const unsigned char *const *row,
					 struct block *out)
{
	int32x4_t dots[BLOCK];
	float32x4_t head[BLOCK];
	float32x4_t tail[BLOCK];
	float32x4_t even;
	float32x4_t odd;

	for (int i = 0; i < BLOCK; i++) {
		head[i] = quad_get(row[i] + ROW_CODE_OFFSET);
		tail[i] = quad_get(row[i] + ROW_CODE_OFFSET + PART);
		dots[i] = row_dots(query, row[i]);
	}
	out->dots = vpaddq_s32(vpaddq_s32(dots[0], dots[1]),
			       vpaddq_s32(dots[2], dots[3]));
	out->dots = vaddq_s32(out->dots, vdupq_n_s32(query_lift(query)));
	even = vzip1q_f32(head[0], head[2]);
	odd = vzip1q_f32(head[1], head[3]);
	out->scale = vzip1q_f32(even, odd);
	out->offset = vzip2q_f32(even, odd);
	even = vzip2q_f32(head[0], head[2]);
	odd = vzip2q_f32(head[1], head[3]);
	out->norm = vzip1q_f32(even, odd);
	out->sum = vzip2q_f32(even, odd);
	even = vzip1q_f32(tail[0], tail[2]);
	odd = vzip1q_f32(tail[1], tail[3]);
	out->error = vzip1q_f32(even, odd);
}

/* query_prunes() for four rows: a bit for each that is kept. */
static inline unsigned int block_kept(const struct query_limit *l,
				      const struct block *b)
{
	static const uint32_t bits[BLOCK] = {1, 2, 4, 8};
	float32x4_t product = vmulq_n_f32(
	    vmulq_f32(b->scale, vcvtq_f32_s32(b->dots)), l->product);
	float32x4_t shift = vmulq_n_f32(b->offset, l->shift);
	float32x4_t total = vmulq_n_f32(b->sum, l->total);
	float32x4_t bound =
	    vfmaq_n_f32(vdupq_n_f32(l->base), b->norm, l->weight);
	float32x4_t size = vaddq_f32(vabsq_f32(shift), vabsq_f32(total));
	float32x4_t far = vfmaq_n_f32(vdupq_n_f32(l->far), b->error, l->square);
	float32x4_t reach =
	    vmulq_f32(vaddq_f32(vdupq_n_f32(l->near), b->error), far);
	uint32x4_t pruned;

	size = vaddq_f32(size, vabsq_f32(product));
	bound = vaddq_f32(bound, vaddq_f32(shift, total));
	bound = vaddq_f32(bound, product);
	bound = vfmsq_n_f32(bound, size, l->slack);
	pruned = vandq_u32(vcgtq_f32(bound, reach),
			   vcleq_f32(bound, vdupq_n_f32(FLT_MAX)));
	return vaddvq_u32(vbicq_u32(vld1q_u32(bits), pruned));
}

KERNEL_TORN static size_t neon_scan(const struct query_code *query,
				    const unsigned char *rows, size_t stride,
				    size_t count, double limit,
				    uint32_t *survivors)
{
	struct query_limit folded;
	size_t found = 0;

	query_limit(query, limit, &folded);
	for (size_t at = 0; at < count; at += BLOCK) {
		size_t left = count - at < BLOCK ? count - at : BLOCK;
		const unsigned char *row[BLOCK];
		struct block block;
		unsigned int kept;

		for (size_t i = 0; i < BLOCK; i++)
			row[i] = rows + (i < left ? at + i : at) * stride;
		block_get(query, row, &block);
		kept = block_kept(&folded, &block);
		for (kept &= (1U << left) - 1; kept; kept &= kept - 1)
			survivors[found++] =
			    (uint32_t)at + (uint32_t)__builtin_ctz(kept);
	}
	return found;
}

KERNEL_TORN static float neon_coded(const struct query_code *query,
				    const unsigned char *row)
{
	struct row_code code;

	row_code_get(row, &code);
	return query_coded(query, &code, neon_dot(query, row));
}

KERNEL_TORN static inline void four_distances(const struct query_code *query,
					      const unsigned char *const *row,
					      float *distances)
{
	struct block b;
	float32x4_t inner;
	float32x4_t out;

	block_get(query, row, &b);
	/* in this order: both scales may be small */
	inner = vmulq_f32(b.scale, vcvtq_f32_s32(b.dots));
	out = vfmaq_n_f32(vdupq_n_f32(query->base), b.norm, query->weight);
	out = vfmaq_n_f32(out, inner, query->product);
	out = vfmaq_n_f32(out, b.offset, query->shift);
	vst1q_f32(distances, vfmaq_n_f32(out, b.sum, query->total));
}

KERNEL_GATHER(neon_gather, four_distances)

KERNEL_TORN static int32_t nibble_dot(const struct query_code *query,
				      const unsigned char *row)
{
	uint8x16_t low = vdupq_n_u8(0x0f);
	size_t end = (query->line_count + 1) / 2 * (size_t)CODE_LINE_BYTES;
	int32x4_t even = vdupq_n_s32(0);
	int32x4_t odd = even;

	for (size_t at = 0; at < end; at += PART) {
		const int8_t *codes = query->codes + at + (at & ~(size_t)63);
		uint8x16_t pair = bytes_get(row + at);
		int8x16_t x = vreinterpretq_s8_u8(vandq_u8(pair, low));
		int8x16_t y = vreinterpretq_s8_u8(vshrq_n_u8(pair, 4));

		even = signed_add(even, x, vld1q_s8(codes));
		odd = signed_add(odd, y, vld1q_s8(codes + CODE_LINE_BYTES));
	}
	return vaddvq_s32(vaddq_s32(even, odd));
}

KERNEL_NIBBLES(neon)

KERNEL_TORN static float neon_between(int32_t metric, uint32_t dim,
				      const unsigned char *a,
				      const unsigned char *b)
{
	const unsigned char *x = a + ROW_CODES_OFFSET;
	const unsigned char *y = b + ROW_CODES_OFFSET;
	uint32x4_t even = vdupq_n_u32(0);
	uint32x4_t odd = even;
	uint32_t end = code_bytes(CODES_U8, dim);
	struct row_code code_a;
	struct row_code code_b;

	for (uint32_t at = 0; at < end; at += 2 * PART) {
		even = unsigned_add(even, bytes_get(x + at), bytes_get(y + at));
		odd = unsigned_add(odd, bytes_get(x + at + PART),
				   bytes_get(y + at + PART));
	}
	row_code_get(a, &code_a);
	row_code_get(b, &code_b);
	return kernel_between(metric, dim, &code_a, &code_b,
			      (int32_t)vaddvq_u32(vaddq_u32(even, odd)));
}

/* ---- full rows ---------------------------------------------------------- */

static double row_distance(const struct query_code *query, double sum)
{
	if (query->metric == METRIC_IP)
		return -sum;
	return query->metric == METRIC_COSINE ? sum * 0.5 : sum;
}

/* Eight components from `at`, zeros where the row has ended. */
KERNEL_TORN static inline float32x4x2_t halves_get(const uint16_t *row,
						   uint32_t at, uint32_t dim)
{
	uint16_t last[8] = {0};
	float32x4x2_t out;
	float16x8_t x;

	if (dim - at < 8) {
		for (uint32_t i = 0; i < dim - at; i++)
			last[i] = row[at + i];
		x = vreinterpretq_f16_u16(vld1q_u16(last));
	} else {
		x = vreinterpretq_f16_u16(vld1q_u16(row + at));
	}
	out.val[0] = vcvt_f32_f16(vget_low_f16(x));
	out.val[1] = vcvt_high_f32_f16(x);
	return out;
}

KERNEL_TORN static inline float32x4x2_t brains_get(const uint16_t *row,
						   uint32_t at, uint32_t dim)
{
	uint16_t last[8] = {0};
	float32x4x2_t out;
	uint16x8_t x;

	if (dim - at < 8) {
		for (uint32_t i = 0; i < dim - at; i++)
			last[i] = row[at + i];
		x = vld1q_u16(last);
	} else {
		x = vld1q_u16(row + at);
	}
	out.val[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(x), 16));
	out.val[1] = vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(x), 16));
	return out;
}

/* The same of floats at any address; byte by byte, see kernel_scalar.c. */
KERNEL_TORN static inline float32x4x2_t floats_get(const void *row, uint32_t at,
						   uint32_t dim)
{
	const unsigned char *from = (const unsigned char *)row + at * 4;
	unsigned char last[8 * 4] = {0};
	float32x4x2_t out;

	if (dim - at < 8) {
		for (uint32_t i = 0; i < (dim - at) * 4; i++)
			last[i] = from[i];
		from = last;
	}
	out.val[0] = quad_get(from);
	out.val[1] = quad_get(from + PART);
	return out;
}

static inline float32x4x2_t query_get(const struct query_code *query,
				      uint32_t at)
{
	float32x4x2_t out;

	out.val[0] = vld1q_f32(query->vector + at);
	out.val[1] = vld1q_f32(query->vector + at + 4);
	return out;
}

/* Sums in double of eight components more, two a register. */
struct wide {
	float64x2_t two[4];
};

static inline struct wide wide_zero(void)
{
	struct wide out;

	for (int i = 0; i < 4; i++)
		out.two[i] = vdupq_n_f64(0);
	return out;
}

static inline struct wide wide_get(float32x4x2_t x)
{
	struct wide out;

	out.two[0] = vcvt_f64_f32(vget_low_f32(x.val[0]));
	out.two[1] = vcvt_high_f64_f32(x.val[0]);
	out.two[2] = vcvt_f64_f32(vget_low_f32(x.val[1]));
	out.two[3] = vcvt_high_f64_f32(x.val[1]);
	return out;
}

static inline double wide_sum(const struct wide *x)
{
	return vaddvq_f64(vaddq_f64(vaddq_f64(x->two[0], x->two[1]),
				    vaddq_f64(x->two[2], x->two[3])));
}

/* *sums += x y */
static inline void wide_multiply(struct wide *sums, const struct wide *x,
				 const struct wide *y)
{
	for (int i = 0; i < 4; i++)
		sums->two[i] = vfmaq_f64(sums->two[i], x->two[i], y->two[i]);
}

/* *x -= factor y */
static inline void wide_reduce(struct wide *x, double factor,
			       const struct wide *y)
{
	for (int i = 0; i < 4; i++)
		x->two[i] = vfmsq_n_f64(x->two[i], y->two[i], factor);
}

/* What eight components add to an inner product, or a squared distance. */
static inline void wide_add(struct wide *sums, int32_t metric, float32x4x2_t q,
			    float32x4x2_t x, double scale)
{
	struct wide a = wide_get(q);
	struct wide b = wide_get(x);

	if (metric == METRIC_IP) {
		for (int i = 0; i < 4; i++)
			b.two[i] = vmulq_n_f64(b.two[i], scale);
		wide_multiply(sums, &a, &b);
		return;
	}
	wide_reduce(&a, scale, &b);
	wide_multiply(sums, &a, &a);
}

/* Magnitudes that a sum of squares in float takes. */
KERNEL_TORN static double row16_single(const struct query_code *query,
				       const uint16_t *row, float row_scale)
{
	float32x4x2_t sums[4];
	uint32_t dim = query->dim;
	double sum = 0;

	for (int i = 0; i < 4; i++)
		sums[i].val[0] = sums[i].val[1] = vdupq_n_f32(0);
	for (uint32_t at = 0; at < dim; at += 32)
		for (uint32_t i = 0; i < 4 && at + 8 * i < dim; i++) {
			float32x4x2_t x = halves_get(row, at + 8 * i, dim);
			float32x4x2_t q = query_get(query, at + 8 * i);

			for (int h = 0; h < 2; h++) {
				float32x4_t y = x.val[h];

				if (query->metric != METRIC_IP) {
					y = vfmsq_n_f32(q.val[h], y, row_scale);
					q.val[h] = y;
				}
				sums[i].val[h] =
				    vfmaq_f32(sums[i].val[h], q.val[h], y);
			}
		}
	for (int i = 0; i < 4; i++) {
		struct wide eight = wide_get(sums[i]);

		sum += wide_sum(&eight);
	}
	if (query->metric == METRIC_IP)
		sum *= (double)row_scale;
	return row_distance(query, sum);
}

KERNEL_TORN static double neon_row16(const struct query_code *query,
				     const uint16_t *row, float row_scale)
{
	struct wide sums = wide_zero();

	if (query->is_moderate && row_scale >= 0x1p-40f && row_scale <= 0x1p40f)
		return row16_single(query, row, row_scale);
	for (uint32_t at = 0; at < query->dim; at += 8)
		wide_add(&sums, query->metric, query_get(query, at),
			 halves_get(row, at, query->dim), (double)row_scale);
	return row_distance(query, wide_sum(&sums));
}

KERNEL_TORN static double neon_row32(const struct query_code *query,
				     const float *row)
{
	struct wide sums = wide_zero();

	for (uint32_t at = 0; at < query->dim; at += 8)
		wide_add(&sums, query->metric, query_get(query, at),
			 floats_get(row, at, query->dim), 1);
	return row_distance(query, wide_sum(&sums));
}

KERNEL_TORN static double neon_rowb16(const struct query_code *query,
				      const uint16_t *row)
{
	struct wide sums = wide_zero();

	for (uint32_t at = 0; at < query->dim; at += 8)
		wide_add(&sums, query->metric, query_get(query, at),
			 brains_get(row, at, query->dim), 1);
	return row_distance(query, wide_sum(&sums));
}

/* ---- codes that are rows, and bits -------------------------------------- */

/* Eight components; behind the last one there are zeros. */
KERNEL_TORN static inline float32x4x2_t part_get(const struct parts *from,
						 uint32_t at)
{
	float32x4x2_t out;

	if (from->kind == CODES_F32)
		return floats_get(from->at, at, at + 8);
	if (from->kind == CODES_BF16)
		return brains_get(from->at, at, at + 8);
	out = halves_get(from->at, at, at + 8);
	out.val[0] = vmulq_n_f32(out.val[0], from->scale);
	out.val[1] = vmulq_n_f32(out.val[1], from->scale);
	return out;
}

KERNEL_TORN static inline __attribute__((always_inline)) float
parts_distance(int32_t metric, uint32_t dim, const struct parts *a,
	       const struct parts *b)
{
	float32x4x2_t sums[4];

	for (int i = 0; i < 4; i++)
		sums[i].val[0] = sums[i].val[1] = vdupq_n_f32(0);
	for (uint32_t at = 0; at < dim; at += 32)
		for (uint32_t i = 0; i < 4 && at + 8 * i < dim; i++) {
			float32x4x2_t x = part_get(a, at + 8 * i);
			float32x4x2_t y = part_get(b, at + 8 * i);

			for (int h = 0; h < 2; h++) {
				if (metric != METRIC_IP)
					x.val[h] = y.val[h] =
					    vsubq_f32(x.val[h], y.val[h]);
				sums[i].val[h] = vfmaq_f32(sums[i].val[h],
							   x.val[h], y.val[h]);
			}
		}
	for (int i = 0; i < 4; i++)
		sums[0].val[0] =
		    i ? vaddq_f32(sums[0].val[0],
				  vaddq_f32(sums[i].val[0], sums[i].val[1]))
		      : vaddq_f32(sums[0].val[0], sums[0].val[1]);
	return kernel_distance(metric, vaddvq_f32(sums[0].val[0]));
}

KERNEL_KINDS

/* ---- vectors ------------------------------------------------------------ */

static double neon_cosine(const float *query, const float *vector, uint32_t dim)
{
	struct wide a = wide_zero();
	struct wide b = a;
	struct wide c = a;
	struct kernel_cosine s;
	double distance;

	for (uint32_t at = 0; at < dim; at += 8) {
		struct wide x = wide_get(floats_get(query, at, dim));
		struct wide y = wide_get(floats_get(vector, at, dim));

		wide_multiply(&a, &x, &x);
		wide_multiply(&b, &y, &y);
		wide_multiply(&c, &x, &y);
	}
	s.a = wide_sum(&a);
	s.b = wide_sum(&b);
	s.c = wide_sum(&c);
	if (!kernel_cosine_split(&s, &distance))
		return distance;
	a = b = wide_zero();
	for (uint32_t at = 0; at < dim; at += 8) {
		struct wide x = wide_get(floats_get(query, at, dim));
		struct wide r = wide_get(floats_get(vector, at, dim));

		wide_reduce(&r, s.t_high, &x);
		wide_reduce(&r, s.t_low, &x);
		wide_multiply(&a, &r, &r);
		wide_multiply(&b, &x, &r);
	}
	s.r = wide_sum(&a);
	s.p = wide_sum(&b);
	return kernel_cosine_join(&s);
}

static double neon_exact(int32_t metric, const float *query,
			 const float *vector, uint32_t dim)
{
	struct wide sums = wide_zero();

	if (metric == METRIC_COSINE)
		return neon_cosine(query, vector, dim);
	for (uint32_t at = 0; at < dim; at += 8)
		wide_add(&sums, metric, floats_get(query, at, dim),
			 floats_get(vector, at, dim), 1);
	return metric == METRIC_IP ? -wide_sum(&sums) : wide_sum(&sums);
}

static void neon_hamming(const uint64_t *query, const _Atomic uint64_t *signs,
			 size_t count, uint16_t *distances)
{
	kernel_hamming(query, signs, count, distances);
}

const struct kernel NEON_KERNEL = {
    .name = NEON_NAME,
    .codes = KERNEL_CODES(neon),
    .coded = neon_coded,
    .nibbles = neon_nibbles,
    .unmarked = kernel_unmarked,
    .hamming = neon_hamming,
    .row16 = neon_row16,
    .row32 = neon_row32,
    .rowb16 = neon_rowb16,
    .exact = neon_exact,
};

#endif
