/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: a vector in few bytes, and a proven bound on what that loses.
 *
 * idea
 *	A vector is coded as u8 with a scale and an offset of its own, taken
 *	from its least and greatest component: component i decodes to
 *	scale * code[i] + offset.  A scan reads the codes only, a quarter of
 *	the bytes of the floats, and throws out every row that cannot be
 *	within a limit; the few that remain are ranked by their full rows.
 *
 *	What is stored with the code is the norm of the DECODED vector, not of
 *	the original: then the distance that is computed is exactly one
 *	between two decoded vectors, its errors cancel for near pairs, and the
 *	triangle inequality applies to it.
 *
 *	Other kinds of code keep more, or less:
 *	f16, bf16, f32	the components themselves, of the unit vector for
 *			cosine.  The code is the row: a walk, a scan and the
 *			ranking all read it, and there is no other.
 *	b1		a bit a component, set if it is above zero; it decodes
 *			to +-|x| / sqrt(dim), which keeps the length.  The
 *			codes differ in h places: D = dim - 2 h, and
 *			<q^,x^> = s_q s_x D / 4.
 *
 * layout
 *	A row of the bank is a line of 64 bytes, then the codes, padded with
 *	zeros to whole lines.  These fields lie in the first line:
 *
 *	byte	16	20	24	28	32	36
 *		scale	offset	norm	sum	error	row_scale
 *
 * bound
 *	Let q^ and x^ be the decoded query and row, e_q >= ||q - q^|| and
 *	e_x >= ||x - x^||.  Twice the triangle inequality:
 *
 *	    ||q - x|| >= ||q^ - x^|| - ||q - q^|| - ||x - x^||
 *	              >= ||q^ - x^|| - e_q - e_x			(1)
 *
 *	L2 compares squares: a row whose ||q^ - x^||^2 is greater than
 *	(sqrt(limit) + e_q + e_x)^2 is farther than the limit.  For cosine
 *	both vectors are divided by their lengths before coding, and
 *	1 - cos = ||u - v||^2 / 2 for unit vectors, so (1) holds with
 *	sqrt(2 limit).  For the inner product
 *
 *	    <q,x> = <q^,x^> + <q, x - x^> + <q - q^, x^>
 *	    -<q,x> >= -<q^,x^> - |q| e_x - e_q |x^|			(2)
 *
 *	by Cauchy and Schwarz.  Both are evaluated in float, from the integer
 *	dot product D of the codes:
 *
 *	    <q^,x^> = s_q s_x D + (s_q sum(codes_q)) o_x + o_q sum(x^)
 *
 *	One operation errs by u = 2^-24 of its result.  The first term takes
 *	four roundings (D to float, its scale, the coefficient, the product),
 *	the second two, the third three (the stored sum is one), a norm one,
 *	and every one of the six sums at most u of M = the sum of the terms'
 *	magnitudes: below 10 u M in all.  2^-20 M = 16 u M is subtracted, which
 *	covers the rounding of M as well.  What underflows loses less than
 *	2^-126 an operation, even where the process flushes denormals to zero:
 *	2^-118 is subtracted for all of them.
 *
 *	The limit itself comes out of a kernel that rounds, row16 in float
 *	above all: it errs by less than 2^-16 of the value (of |q| |x| for the
 *	inner product).  The limit is widened by twice that, so the promise is
 *	about numbers as computed: no row whose row16, row32 or exact distance
 *	is computed as <= limit is ever pruned.
 *
 *	For the other kinds the distance comes first, as a walk has it.  That
 *	of a row, summed in float in at least 16 places, errs by less than
 *	2^-16 of its value as row16 does, for which twice that is taken off.
 *	Of squares that underflow too little is added, which prunes less; for
 *	an inner product a query that is not moderate prunes nothing, and of a
 *	moderate one the 4096 products that may each lose 2^-126 are covered by
 *	2^-112 and by 2^-16 |q| |x|.  That of bits is a sum of three terms,
 *	whose magnitudes are together at most twice both norms: 2^-18 of the
 *	norms is more than ten roundings of them.
 *
 *	A row is pruned only if its bound is finite and above the limit.  Any
 *	NaN or infinity, from a torn row too, keeps it.  Where a field leaves
 *	the range of normal floats the error is +infinity: never pruned.
 *
 * source
 *	Affine codes with the decoded norm: measured against symmetric codes,
 *	codes a dimension and one global scale; see the note on errors that
 *	cancel above, which decides it.
 *
 * limits
 *	dim 2 to 4096.  D is at most 4096 * 255 * 128 < 2^27.
 */
#ifndef SHM_CODE_H
#define SHM_CODE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum vector_metric { METRIC_COSINE = 1, METRIC_L2 = 2, METRIC_IP = 3 };

enum vector_codes {
	CODES_U8 = 0,
	CODES_F16 = 1, /* from here on the code is the row */
	CODES_BF16 = 2,
	CODES_F32 = 3, /* to here */
	CODES_B1 = 4,
	CODES_KINDS = 5
};

enum {
	ROW_CODE_OFFSET = 16,  /* of struct row_code in a row's header */
	ROW_CODES_OFFSET = 64, /* of the codes in a row */
	CODE_LINE_BYTES = 64,
	NIBBLE_HEAD_BYTES = 16, /* scale, offset, norm and sum */
	CODE_DIM_MAX = 4096,
	NIBBLE_DIM = 192 /* from so many components on they pay */
};

/* Part of a row's header. */
struct row_code {
	float scale;	 /* component = scale * code + offset */
	float offset;	 /* these and sum are 0 where the code is the row */
	float norm;	 /* of the decoded vector: squared for L2 and cosine,
			    the norm itself, rounded up, for IP */
	float sum;	 /* of the decoded components */
	float error;	 /* >= ||x - decoded|| and >= ||row - decoded||, with
			    2^-20 to spare; +infinity: not known */
	float row_scale; /* power of two: component = half * row_scale; 1 for
			    a row of floats */
};

/*
 * A query prepared for scanning.  About 21 KB, on the caller's stack.
 *
 * The codes are signed, code - 128, and `offset` says so: component =
 * scale * code + offset.  Zeros follow the last component: a line, sixteen
 * floats.  Bits are as in a row, with scale * D * row's scale for the inner
 * product.  For a code that is the row there are no codes but the vector.
 */
struct query_code {
	_Alignas(64) int8_t codes[CODE_DIM_MAX + 64];
	_Alignas(64) float vector[CODE_DIM_MAX + 16]; /* unit for cosine */
	double scale;
	double offset;
	double code_sum; /* of the signed codes */
	double norm;	 /* squared, of the decoded query, every metric */
	double error;	 /* as in struct row_code */
	double length;	 /* >= |vector| */
	uint32_t dim;
	uint32_t coded;	      /* components that are, from the first on */
	uint32_t line_count;  /* lines of codes */
	int32_t metric;	      /* enum vector_metric */
	int32_t kind;	      /* enum vector_codes */
	uint32_t is_moderate; /* squares of its components fit a float well */
	/* a coded distance in float is base + norm * weight +
	   scale * D * product + offset * shift + sum * total */
	float base;
	float weight;
	float product;
	float shift;
	float total;
};

/*
 * The bound with everything folded that is the same for all rows.  For u8, with
 * p = scale * D * product, o = offset * shift and s = sum * total of a row it
 * is pruned when
 *
 *	base + norm * weight + (p + o + s) - slack * (|p| + |o| + |s|)
 *
 * is finite and greater than (near + error) * (far + error * square); for other
 * kinds when that is so of base + norm * weight + distance * product.
 */
struct query_limit {
	float product;
	float shift;
	float total;
	float base;
	float weight;
	float slack;
	float near;
	float far;
	float square;
};

static inline int code_is_row(int32_t kind)
{
	return kind >= CODES_F16 && kind <= CODES_F32;
}

/* Whole lines. */
static inline uint32_t code_padded(uint32_t bytes)
{
	return (bytes + CODE_LINE_BYTES - 1) / CODE_LINE_BYTES *
	       CODE_LINE_BYTES;
}

/* Bytes of a vector's codes with their padding. */
static inline uint32_t code_bytes(int32_t kind, uint32_t dim)
{
	switch (kind) {
	case CODES_F16:
	case CODES_BF16: return code_padded(dim * 2);
	case CODES_F32: return code_padded(dim * 4);
	case CODES_B1: return code_padded((dim + 7) / 8);
	default: return code_padded(dim);
	}
}

/* Bytes of a row of nibbles: whole lines, the last 16 bytes say how to read
   them. */
static inline uint32_t code_nibble_bytes(uint32_t coded)
{
	uint32_t rest = coded % (2 * CODE_LINE_BYTES);

	if (rest > CODE_LINE_BYTES)
		rest = CODE_LINE_BYTES;
	return code_padded(coded / (2 * CODE_LINE_BYTES) * CODE_LINE_BYTES +
			   rest + NIBBLE_HEAD_BYTES);
}

/*
 * The upper halves of codes of u8, two of them in a byte: of each two lines of
 * codes the first one's are the lower halves.
 * codes	with their padding
 * out		code_nibble_bytes(coded)
 */
void code_nibbles(const struct row_code *code, const uint8_t *codes,
		  uint32_t coded, unsigned char *out);

/*
 * Codes a vector, everything in double inside.
 * kind		enum vector_codes
 * vector	dim floats, finite; for cosine not all zero (then, as for NaN,
 *		the error is +infinity and the row is never pruned).
 * codes	code_bytes() bytes, padding set to zero; aligned to 8.
 * row16	dim halves, or NULL; row32 dim floats, or NULL: the full row,
 *		of the unit vector for cosine.  At most one of them, and none
 *		where the code is the row.
 * coded	components from the first on that are coded; all, where the
 *		code is the row.  The distance of some is at most that of all,
 *		for cosine and L2, so the bound holds; for the inner product
 *		there is none then.
 */
void code_encode_first(int32_t kind, int32_t metric, const float *vector,
		       uint32_t dim, uint32_t coded, struct row_code *out,
		       uint8_t *codes, uint16_t *row16, float *row32);

/* All components are coded. */
static inline void code_encode(int32_t kind, int32_t metric,
			       const float *vector, uint32_t dim,
			       struct row_code *out, uint8_t *codes,
			       uint16_t *row16, float *row32)
{
	code_encode_first(kind, metric, vector, dim, dim, out, codes, row16,
			  row32);
}

/*
 * The components of a full row.
 * kind		CODES_F16, CODES_BF16 or CODES_F32
 */
void code_floats(int32_t kind, const void *row, float row_scale, uint32_t dim,
		 float *out);

/* Whether all components are finite; *is_zero: whether none is anything. */
int vector_is_finite(const float *vector, uint32_t dim, int *is_zero);

/* Prepares a query; the same conditions on the vector. */
void query_encode_first(int32_t kind, int32_t metric, const float *vector,
			uint32_t dim, uint32_t coded, struct query_code *out);

/* Of all components. */
static inline void query_encode(int32_t kind, int32_t metric,
				const float *vector, uint32_t dim,
				struct query_code *out)
{
	query_encode_first(kind, metric, vector, dim, dim, out);
}

/*
 * A query from a row's codes, as if its decoded vector had been encoded; for
 * coded distances alone.
 */
void query_from_row(int32_t kind, int32_t metric, uint32_t dim,
		    const unsigned char *row, struct query_code *out);

/*
 * Folds a limit: the largest distance that still matters, in the metric's
 * own measure.  Below zero for cosine and L2 counts as zero, NaN as no limit.
 */
void query_limit(const struct query_code *query, double limit,
		 struct query_limit *out);

/*
 * Whether a row of u8 may be left out, `dot` being the integer dot product of
 * its codes with the query's.  The bytes of `row` may be anything.
 */
int query_prunes(const struct query_limit *limit, const struct row_code *row,
		 int32_t dot);

/* The same of another kind than u8, `distance` being the coded one. */
int query_leaves(const struct query_limit *limit, const struct row_code *row,
		 float distance);

/* The distance between the decoded query and the decoded row, of u8. */
float query_coded(const struct query_code *query, const struct row_code *row,
		  int32_t dot);

/*
 * How far a full row may be from its vector: ||x - x_row|| <= value * |x|.
 *
 * A half has 11 bits: a normal one errs by 2^-11 of itself, one below 2^-14 by
 * 2^-25.  row_scale is 1 only if the largest magnitude is at least 2^-4, else
 * it brings it to [1, 2): so 2^-25 row_scale <= 2^-21 max|x_i|, in the norm
 * over dim components at most sqrt(4096) 2^-21 |x| = 2^-15 |x|.  A cosine
 * row is first rounded to float, 2^-24, which is all a row of floats loses.
 */
double code_row16_error(int32_t metric);
double code_row32_error(int32_t metric);

/*
 * Where the true distance must be, given the one that row16 (or row32, with
 * its error) has computed.  relative: code_row16_error or code_row32_error;
 * where the code is the row, its own error is known and taken instead.
 * *low and *high may be infinite; true means on the exact vectors.
 */
void query_range(const struct query_code *query, const struct row_code *row,
		 double relative, double distance, double *low, double *high);

/* IEEE half precision, rounding to even, as F16C does it. */
uint16_t half_encode(float value);
float half_decode(uint16_t half);

/*
 * bfloat16, the upper half of a float, rounding to even.  What would round to
 * infinity is the largest there is.
 */
uint16_t brain_encode(float value);

static inline float brain_decode(uint16_t brain)
{
	uint32_t bits = (uint32_t)brain << 16;
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

#endif
