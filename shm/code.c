/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: how vectors are coded.  The idea and the proof are in code.h; here is
 * how the numbers are kept honest.
 *
 *	- Components are floats, all sums are in double: a float times an u8
 *	  is exact there, the decoded component is off by 2^-53 of itself.
 *	  2^-50 of both lengths is added to every error for that.  A length
 *	  is a sum of up to 4096 squares, each addition off by 2^-53, so unit
 *	  vectors are off by less than 2^-41: for cosine it is 2^-40.
 *	- Errors are stored 2^-20 too large and rounded up, so that
 *	  (near + error)^2 in float is never below the true value.
 *	- A stored field is zero or a normal float, else the error is infinite.
 */
#include "code.h"

#include <float.h>
#include <math.h>

_Static_assert(sizeof(struct row_code) == 24, "fields of a row's header");
_Static_assert(offsetof(struct row_code, error) == 16, "layout of a header");
_Static_assert(ROW_CODE_OFFSET + sizeof(struct row_code) <= ROW_CODES_OFFSET,
	       "fields lie before the codes");
_Static_assert(offsetof(struct query_code, vector) % 64 == 0, "aligned");

static const double HALF_ERROR = 0x1p-11 + 0x1p-15;
static const double FLOAT_ERROR = 0x1p-23;
static const double NIBBLE_MIDDLE = 7.5; /* of what its lower half may be */
static const double SPARE = 1 + 0x1p-20;
static const double KERNEL_ERROR = 0x1p-15; /* twice what a kernel may err */

/* What the passes over a vector find out, in double. */
struct encoding {
	double factor;	 /* component = input * factor */
	double rounding; /* what double precision may lose of a length */
	double length;	 /* of the vector after that */
	double low;	 /* of what is coded */
	double high;
	double magnitude; /* the largest of all */
	double norm;	  /* squared, decoded */
	double code_sum;
	double error; /* >= both distances, unrounded */
	float scale;
	float offset;
	float row_scale;
	int is_broken; /* NaN, infinity, or a direction of nothing */
};

/* The least float that is not below the value. */
static float float_up(double value)
{
	float result;
	uint32_t bits;

	if (!(value <= (double)FLT_MAX))
		return value < 0 ? -INFINITY : INFINITY;
	result = (float)value;
	if ((double)result >= value)
		return result;
	memcpy(&bits, &result, sizeof(bits));
	bits = result < 0 ? bits - 1 : bits + 1;
	memcpy(&result, &bits, sizeof(bits));
	return result;
}

/* The nearest float; infinite outside their range. */
static float float_near(double value)
{
	if (!(fabs(value) <= (double)FLT_MAX))
		return value < 0 ? -INFINITY : INFINITY;
	return (float)value;
}

/* Zero or normal: a kernel's relative errors hold for it. */
static int float_fits(double value)
{
	double magnitude = fabs(value);

	return magnitude <= (double)FLT_MAX &&
	       (magnitude >= (double)FLT_MIN || magnitude == 0);
}

uint16_t half_encode(float value)
{
	uint32_t bits;
	uint32_t sign;
	float shifted;

	memcpy(&bits, &value, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	bits &= 0x7fffffff;
	if (bits > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
	if (bits >= 0x47800000)
		return (uint16_t)(sign | 0x7c00);
	if (bits >= 0x38800000) {
		/* to even: a half of the last place, less one if it is even */
		bits += 0xfff + (bits >> 13 & 1);
		return (uint16_t)(sign | (bits - 0x38000000) >> 13);
	}
	/* subnormal: adding 1/2 rounds to units of 2^-24 */
	memcpy(&shifted, &bits, sizeof(bits));
	shifted += 0.5f;
	memcpy(&bits, &shifted, sizeof(bits));
	return (uint16_t)(sign | (bits - 0x3f000000));
}

float half_decode(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t rest = half & 0x7fff;
	uint32_t bits;
	float value;

	if (rest < 0x400) {
		value = (float)rest * 0x1p-24f;
		memcpy(&bits, &value, sizeof(bits));
	} else if (rest < 0x7c00) {
		bits = (rest << 13) + 0x38000000;
	} else {
		bits = 0x7f800000 | (rest & 0x3ff) << 13;
		bits |= rest > 0x7c00 ? 0x400000 : 0;
	}
	bits |= sign;
	memcpy(&value, &bits, sizeof(bits));
	return value;
}

/* By their bits: these the compiler tests many at a time. */
int vector_is_finite(const float *vector, uint32_t dim, int *is_zero)
{
	uint32_t odd = 0;
	uint32_t any = 0;

	for (uint32_t i = 0; i < dim; i++) {
		uint32_t bits;

		memcpy(&bits, &vector[i], sizeof(bits));
		bits <<= 1; /* without the sign */
		odd |= bits >= UINT32_C(0xff000000);
		any |= bits;
	}
	*is_zero = !any;
	return !odd;
}

uint16_t brain_encode(float value)
{
	uint32_t bits;
	uint32_t up;

	memcpy(&bits, &value, sizeof(bits));
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	/* to even: a half of the last place, less one if it is even */
	up = bits + 0x7fff + (bits >> 16 & 1);
	if ((up & 0x7fffffff) >= 0x7f800000 && (bits & 0x7fffffff) < 0x7f800000)
		up = (bits & 0x80000000) | 0x7f7f0000;
	return (uint16_t)(up >> 16);
}

enum { LANES = 4 };

typedef float lane_floats __attribute__((vector_size(LANES * 4)));
typedef double lane_doubles __attribute__((vector_size(LANES * 8)));
typedef int32_t lane_ints __attribute__((vector_size(LANES * 4)));

/* a where the mask is -1, b where it is 0. */
static inline lane_floats lanes_choose(lane_ints mask, lane_floats a,
				       lane_floats b)
{
	return (lane_floats)(((lane_ints)a & mask) | ((lane_ints)b & ~mask));
}

/* The sum of squares of whole LANES, and the range. */
static uint32_t lanes_measure(const float *vector, uint32_t dim, double *sum,
			      float *low, float *high)
{
	uint32_t whole = dim / LANES * LANES;
	lane_doubles sums = {0};
	lane_floats least;
	lane_floats most;

	for (uint32_t at = 0; at < whole; at += LANES) {
		lane_floats in;
		lane_doubles x;

		memcpy(&in, vector + at, sizeof(in));
		if (!at) {
			least = in;
			most = in;
		}
		x = __builtin_convertvector(in, lane_doubles);
		sums += x * x;
		least = lanes_choose(in < least, in, least);
		most = lanes_choose(in > most, in, most);
	}
	for (int i = 0; whole && i < LANES; i++) {
		*sum += sums[i];
		*low = least[i] < *low ? least[i] : *low;
		*high = most[i] > *high ? most[i] : *high;
	}
	return whole;
}

/* First pass: length and range. */
static void range_measure(const float *vector, uint32_t dim, double *sum,
			  float *low, float *high)
{
	for (uint32_t i = lanes_measure(vector, dim, sum, low, high); i < dim;
	     i++) {
		float x = vector[i];

		*sum += (double)x * (double)x;
		*low = x < *low ? x : *low;
		*high = x > *high ? x : *high;
	}
}

static void encoding_measure(struct encoding *e, int32_t metric,
			     const float *vector, uint32_t dim, uint32_t coded)
{
	double sum = 0;
	float low = vector[0];
	float high = vector[0];
	float least;
	float most;

	range_measure(vector, coded, &sum, &low, &high);
	least = low;
	most = high;
	if (coded < dim)
		range_measure(vector + coded, dim - coded, &sum, &least, &most);
	/* any NaN or infinity has made the sum one */
	e->is_broken = !(sum <= DBL_MAX);
	e->rounding = metric == METRIC_COSINE ? 0x1p-40 : 0x1p-50;
	e->factor = e->is_broken ? 0 : 1;
	e->length = e->is_broken ? 0 : sqrt(sum);
	if (metric == METRIC_COSINE) {
		e->is_broken |= !(sum > 0);
		e->factor = e->is_broken ? 0 : 1 / e->length;
		e->length = e->is_broken ? 0 : 1;
	}
	e->low = e->is_broken ? 0 : (double)low * e->factor;
	e->high = e->is_broken ? 0 : (double)high * e->factor;
	e->magnitude =
	    e->is_broken
		? 0
		: fmax(fabs((double)least), fabs((double)most)) * e->factor;
}

/* Where the codes and a full row go. */
struct encoded {
	uint8_t *codes;
	void *row;
	int32_t kind;	  /* of the codes */
	int32_t row_kind; /* CODES_F16 to CODES_F32, or ROW_NONE */
	uint32_t coded;	  /* components that are */
};

enum { ROW_NONE = -1 };

/* Of the codes, from the range or, of bits, from the length. */
static void scale_codes(struct encoding *e, int32_t kind, uint32_t dim)
{
	e->scale = float_near((e->high - e->low) / 255);
	e->offset = (float)e->low;
	if (kind == CODES_B1) {
		e->scale = float_near(2 * e->length / sqrt(dim));
		e->offset = e->scale < FLT_MIN ? 0 : -e->scale / 2;
	} else if (e->scale < FLT_MIN) {
		e->offset = (float)((e->low + e->high) / 2);
	}
	if (e->scale < FLT_MIN)
		e->scale = 0;
	if (code_is_row(kind))
		e->scale = e->offset = 0;
}

/* Of halves, from the magnitude. */
static void scale_row(struct encoding *e, int32_t row_kind)
{
	double magnitude = e->magnitude;
	int exponent;

	e->row_scale = 1;
	if (row_kind == CODES_F16 && magnitude > 0 &&
	    (magnitude < 0x1p-4 || magnitude > 0x1p15)) {
		frexp(magnitude, &exponent);
		e->row_scale =
		    (float)ldexp(1, exponent < -125 ? -126 : exponent - 1);
	}
}

/* One component: its code, and what it decodes to. */
static uint8_t component_code(double x, double inverse,
			      const struct encoding *e, double *decoded)
{
	double place = (x - (double)e->offset) * inverse + 0.5;
	uint8_t code = 0;

	if (place >= 255)
		code = 255;
	else if (place > 0)
		code = (uint8_t)place;
	*decoded = (double)e->scale * code + (double)e->offset;
	return code;
}

/* The same of a bit. */
static uint8_t component_bit(double x, uint32_t i, uint8_t *codes,
			     const struct encoding *e, double *decoded)
{
	uint8_t bit = x > 0;

	codes[i / 8] |= (uint8_t)(bit << (i & 7));
	*decoded = (double)e->scale * bit + (double)e->offset;
	return bit;
}

/* One component of a full row: what is kept of it. */
static inline double component_row(double x, uint32_t i, double inverse,
				   const struct encoding *e, struct encoded to)
{
	uint16_t *shorts = to.row;
	float *floats = to.row;

	switch (to.row_kind) {
	case CODES_F32: floats[i] = (float)x; return (double)floats[i];
	case CODES_F16:
		shorts[i] = half_encode((float)(x * inverse));
		return (double)half_decode(shorts[i]) * (double)e->row_scale;
	case CODES_BF16:
		shorts[i] = brain_encode((float)x);
		return (double)brain_decode(shorts[i]);
	default: return x;
	}
}

/* What the second pass sums up. */
struct sums {
	double norm;
	double from_vector;
	double from_row;
	uint32_t code_sum;
};

/* Second pass: codes, row, and how far both are from the vector. */
static inline __attribute__((always_inline)) void
components_code(const struct encoding *e, const float *vector, uint32_t from,
		uint32_t dim, struct encoded to, int32_t kind,
		struct sums *sums)
{
	double inverse = e->scale > 0 ? 1 / (double)e->scale : 0;
	double row_inverse = 1 / (double)e->row_scale;

	for (uint32_t i = from; i < dim; i++) {
		double x = e->is_broken ? 0 : (double)vector[i] * e->factor;
		double row = component_row(x, i, row_inverse, e, to);
		double decoded = row;

		if (kind == CODES_U8) {
			to.codes[i] = component_code(x, inverse, e, &decoded);
			sums->code_sum += to.codes[i];
		} else if (kind == CODES_B1) {
			sums->code_sum +=
			    component_bit(x, i, to.codes, e, &decoded);
		}
		sums->norm += decoded * decoded;
		sums->from_vector += (x - decoded) * (x - decoded);
		sums->from_row += (row - decoded) * (row - decoded);
	}
}

/* What follows the coded components is in the row alone. */
static void rest_code(const struct encoding *e, const float *vector,
		      uint32_t dim, const struct encoded *to)
{
	double row_inverse = 1 / (double)e->row_scale;

	for (uint32_t i = to->coded; i < dim; i++)
		(void)component_row(
		    e->is_broken ? 0 : (double)vector[i] * e->factor, i,
		    row_inverse, e, *to);
}

/*
 * As many components of u8 and floats as there are whole vectors, which the
 * compiler has instructions for; returns how many.
 */
static uint32_t lanes_code(const struct encoding *e, const float *vector,
			   uint32_t dim, const struct encoded *to,
			   struct sums *sums)
{
	double inverse = e->scale > 0 ? 1 / (double)e->scale : 0;
	double scale = (double)e->scale;
	double offset = (double)e->offset;
	uint32_t whole = dim / LANES * LANES;
	lane_doubles norm = {0};
	lane_doubles from_vector = {0};
	lane_doubles from_row = {0};
	lane_ints code_sum = {0};
	double factor = e->factor;
	uint8_t *codes = to->codes;
	float *row = to->row;

	for (uint32_t at = 0; at < whole; at += LANES) {
		lane_floats in;
		lane_doubles x;
		lane_doubles decoded;
		lane_doubles off;
		lane_ints code;
		lane_ints over;

		memcpy(&in, vector + at, sizeof(in));
		x = __builtin_convertvector(in, lane_doubles) * factor;
		in = __builtin_convertvector(x, lane_floats);
		memcpy(row + at, &in, sizeof(in));
		code = __builtin_convertvector((x - offset) * inverse + 0.5,
					       lane_ints);
		code &= code > 0;
		over = code > 255;
		code = (code & ~over) | (over & 255);
		for (int i = 0; i < LANES; i++)
			codes[at + (uint32_t)i] = (uint8_t)code[i];
		decoded = __builtin_convertvector(code, lane_doubles) * scale +
			  offset;
		code_sum += code;
		norm += decoded * decoded;
		off = x - decoded;
		from_vector += off * off;
		off = __builtin_convertvector(in, lane_doubles) - decoded;
		from_row += off * off;
	}
	for (int i = 0; i < LANES; i++) {
		sums->norm += norm[i];
		sums->from_vector += from_vector[i];
		sums->from_row += from_row[i];
		sums->code_sum += (uint32_t)code_sum[i];
	}
	return whole;
}

static void encoding_code(struct encoding *e, const float *vector, uint32_t all,
			  const struct encoded *to)
{
	uint32_t dim = to->coded;
	uint32_t bytes = code_bytes(to->kind, dim);
	struct sums sums = {0, 0, 0, 0};
	uint32_t done = 0;
	double slack;

	switch (to->kind) {
	case CODES_U8:
		memset(to->codes + dim, 0, bytes - dim);
		if (to->row_kind == CODES_F32 && !e->is_broken)
			done = lanes_code(e, vector, dim, to, &sums);
		components_code(e, vector, done, dim, *to, CODES_U8, &sums);
		break;
	case CODES_B1:
		memset(to->codes, 0, bytes);
		components_code(e, vector, 0, dim, *to, CODES_B1, &sums);
		break;
	default:
		components_code(e, vector, 0, dim, *to, CODES_F32, &sums);
		break;
	}
	rest_code(e, vector, all, to);
	e->norm = sums.norm;
	e->code_sum = sums.code_sum;
	slack = (e->length + sqrt(sums.norm)) * e->rounding;
	e->error =
	    (sqrt(fmax(sums.from_vector, sums.from_row)) + slack) * SPARE;
}

static void encoding_make(struct encoding *e, int32_t metric,
			  const float *vector, uint32_t dim,
			  const struct encoded *to)
{
	encoding_measure(e, metric, vector, dim, to->coded);
	scale_codes(e, to->kind, to->coded);
	scale_row(e, to->row_kind);
	encoding_code(e, vector, dim, to);
	if (e->is_broken || !float_fits((double)e->scale) ||
	    !float_fits((double)e->offset) ||
	    !float_fits(metric == METRIC_IP ? sqrt(e->norm) : e->norm) ||
	    (metric == METRIC_IP && to->coded < dim))
		e->error = (double)INFINITY;
}

void code_encode_first(int32_t kind, int32_t metric, const float *vector,
		       uint32_t dim, uint32_t coded, struct row_code *out,
		       uint8_t *codes, uint16_t *row16, float *row32)
{
	struct encoded to = {codes, row16, kind, CODES_F16, coded};
	struct encoding e;
	double sum;

	if (code_is_row(kind)) {
		memset(codes, 0, code_bytes(kind, dim));
		to.row = codes;
		to.row_kind = kind;
	} else if (!row16) {
		to.row = row32;
		to.row_kind = row32 ? CODES_F32 : ROW_NONE;
	}
	encoding_make(&e, metric, vector, dim, &to);
	sum = (double)e.scale * e.code_sum + (double)e.offset * coded;
	out->scale = e.scale;
	out->offset = e.offset;
	out->norm = metric == METRIC_IP ? float_up(sqrt(e.norm) * (1 + 0x1p-40))
					: float_near(e.norm);
	out->sum = float_near(sum);
	out->error = float_fits(sum) ? float_up(e.error) : INFINITY;
	if (out->error > 0 && out->error < FLT_MIN)
		out->error = FLT_MIN;
	out->row_scale = e.row_scale;
}

void code_nibbles(const struct row_code *code, const uint8_t *codes,
		  uint32_t coded, unsigned char *out)
{
	uint32_t bytes = code_nibble_bytes(coded);
	double scale = (double)code->scale;
	double offset = (double)code->offset + NIBBLE_MIDDLE * scale;
	double norm = 0;
	double sum = 0;
	float head[4];

	memset(out, 0, bytes);
	for (uint32_t i = 0; i < coded; i++) {
		uint32_t pair = i / (2 * CODE_LINE_BYTES);
		uint32_t nibble = codes[i] >> 4;
		double x = 16 * scale * nibble + offset;

		out[pair * CODE_LINE_BYTES + i % CODE_LINE_BYTES] |=
		    (unsigned char)(i & CODE_LINE_BYTES ? nibble << 4 : nibble);
		norm += x * x;
		sum += x;
	}
	head[0] = float_near(16 * scale);
	head[1] = float_near(offset);
	head[2] = float_near(norm);
	head[3] = float_near(sum);
	memcpy(out + bytes - NIBBLE_HEAD_BYTES, head, sizeof head);
}

/* What is the same for all rows in a coded distance. */
static void query_fold(struct query_code *query)
{
	double sign = query->metric == METRIC_L2 ? -2 : -1;

	query->product = float_near(sign * query->scale);
	query->shift = float_near(sign * query->scale * query->code_sum);
	query->total = float_near(sign * query->offset);
	query->weight = 1;
	query->base = float_near(query->norm);
	if (query->metric == METRIC_COSINE) {
		query->weight = 0.5f;
		query->base = float_near(query->norm / 2);
	} else if (query->metric == METRIC_IP) {
		query->weight = 0;
		query->base = 0;
	}
}

static void query_shape(int32_t kind, int32_t metric, uint32_t dim,
			uint32_t coded, struct query_code *out)
{
	out->dim = dim;
	out->coded = coded;
	out->line_count = code_bytes(kind, coded) / CODE_LINE_BYTES;
	out->metric = metric;
	out->kind = kind;
}

/* The inner product of bits is scale * D * the row's scale alone. */
static void query_bits(double scale, struct query_code *out)
{
	out->scale = scale / 4;
	out->offset = 0;
	out->code_sum = 0;
}

/* From what unsigned codes decode with, and their sum. */
static void query_bytes(float scale, float offset, double sum,
			struct query_code *out)
{
	out->scale = (double)scale;
	out->offset = (double)offset + 128 * (double)scale;
	out->code_sum = sum - 128.0 * out->coded;
}

void code_floats(int32_t kind, const void *row, float row_scale, uint32_t dim,
		 float *out)
{
	const uint16_t *shorts = row;

	if (kind == CODES_F32)
		memcpy(out, row, dim * sizeof(float));
	else if (kind == CODES_F16)
		for (uint32_t i = 0; i < dim; i++)
			out[i] = half_decode(shorts[i]) * row_scale;
	else
		for (uint32_t i = 0; i < dim; i++)
			out[i] = brain_decode(shorts[i]);
}

/* Codes without a sign to codes with one; returns the sum of the former. */
static uint32_t bytes_flip(const unsigned char *codes, uint32_t bytes,
			   int8_t *out)
{
	uint32_t total = 0;

	for (uint32_t at = 0; at < bytes; at += CODE_LINE_BYTES) {
		uint64_t sums = 0; /* four, of at most 16 bytes each */

		for (uint32_t i = 0; i < CODE_LINE_BYTES; i += 8) {
			uint64_t word;

			memcpy(&word, codes + at + i, sizeof word);
			sums += (word & UINT64_C(0x00ff00ff00ff00ff)) +
				(word >> 8 & UINT64_C(0x00ff00ff00ff00ff));
			word ^= UINT64_C(0x8080808080808080);
			memcpy(out + at + i, &word, sizeof word);
		}
		total += (uint32_t)(sums * UINT64_C(0x0001000100010001) >> 48);
	}
	return total;
}

void query_from_row(int32_t kind, int32_t metric, uint32_t dim,
		    const unsigned char *row, struct query_code *out)
{
	const unsigned char *codes = row + ROW_CODES_OFFSET;
	struct row_code code;
	uint32_t bytes = code_bytes(kind, dim);
	uint32_t sum = 0;

	memcpy(&code, row + ROW_CODE_OFFSET, sizeof(code));
	query_shape(kind, metric, dim, dim, out);
	query_bits((double)code.scale, out);
	if (kind == CODES_B1) {
		memcpy(out->codes, codes, bytes);
	} else if (code_is_row(kind)) {
		code_floats(kind, codes, code.row_scale, dim, out->vector);
		memset(out->vector + dim, 0, 16 * sizeof(float));
	} else {
		sum = bytes_flip(codes, bytes, out->codes);
		memset(out->codes + dim, 0, bytes - dim + CODE_LINE_BYTES);
		query_bytes(code.scale, code.offset, sum, out);
	}
	out->norm = (double)code.norm;
	if (metric == METRIC_IP)
		out->norm *= out->norm;
	query_fold(out);
}

void query_encode_first(int32_t kind, int32_t metric, const float *vector,
			uint32_t dim, uint32_t coded, struct query_code *out)
{
	uint8_t *codes = (uint8_t *)out->codes;
	uint32_t bytes = code_is_row(kind) ? 0 : code_bytes(kind, coded);
	/* a query's vector is not rounded to what a row is */
	struct encoded to = {codes, out->vector,
			     bytes ? kind : (int32_t)CODES_F32, CODES_F32,
			     coded};
	struct encoding e;

	query_shape(kind, metric, dim, coded, out);
	encoding_make(&e, metric, vector, dim, &to);
	query_bits((double)e.scale, out);
	if (kind == CODES_U8) {
		for (uint32_t i = 0; i < coded; i++)
			codes[i] ^= 0x80;
		query_bytes(e.scale, e.offset, e.code_sum, out);
	}
	memset(codes + bytes, 0, CODE_LINE_BYTES);
	memset(out->vector + dim, 0, 16 * sizeof(float));
	out->norm = e.norm;
	out->error = e.error;
	/* a unit vector of floats may be longer than 1 */
	out->length = e.length * (1 + FLOAT_ERROR);
	out->is_moderate = e.magnitude == 0 ||
			   (e.magnitude >= 0x1p-60 && e.magnitude <= 0x1p50);
	if (e.is_broken)
		out->is_moderate = 0;
	query_fold(out);
}

/* Of kinds other than u8: see the essay of code.h. */
static void query_limit_plain(const struct query_code *query, double limit,
			      struct query_limit *out)
{
	const double tiny = 0x1p-112;
	double square = query->metric == METRIC_COSINE ? 2 * limit : limit;
	int is_bits = query->kind == CODES_B1;

	square = square > 0 ? square * (1 + KERNEL_ERROR) : 0;
	*out = (struct query_limit){.product = 1};
	if (query->metric == METRIC_IP) {
		out->base = -float_up(limit + fabs(limit) * 0x1p-19 + tiny);
		out->weight =
		    -float_up((query->error +
			       query->length * 2 * (0x1p-19 + KERNEL_ERROR)) *
			      SPARE);
		out->far = float_up(query->length * (SPARE + KERNEL_ERROR));
	} else {
		out->base =
		    is_bits ? -float_up(query->norm * 0x1p-18 + tiny) : 0;
		out->weight = is_bits ? -0x1p-18f : 0;
		out->product = 1 - 0x1p-14f;
		if (query->metric == METRIC_COSINE)
			out->product *= 2;
		out->near = float_up((sqrt(square) + query->error) * SPARE);
		out->far = out->near;
		out->square = 1;
	}
	/* nothing is proven where a sum of products may have lost its parts */
	if (!(query->error <= DBL_MAX) ||
	    (is_bits ? !float_fits((double)query->product)
		     : query->metric == METRIC_IP && !query->is_moderate))
		out->base = -INFINITY;
}

void query_limit(const struct query_code *query, double limit,
		 struct query_limit *out)
{
	const double tiny = 0x1p-118;
	double sign = query->metric == METRIC_IP ? -1 : -2;
	double square;

	if (isnan(limit))
		limit = (double)INFINITY;
	if (query->kind != CODES_U8) {
		query_limit_plain(query, limit, out);
		return;
	}
	out->product = float_near(sign * query->scale);
	out->shift = float_near(sign * query->scale * query->code_sum);
	out->total = float_near(sign * query->offset);
	out->slack = 0x1p-20f;
	if (query->metric == METRIC_IP) {
		out->base = -float_up(limit + fabs(limit) * 0x1p-19 + tiny);
		out->weight = -float_up(
		    (query->error + query->length * (0x1p-19 + KERNEL_ERROR)) *
		    SPARE);
		out->near = 0;
		out->far = float_up(query->length * (SPARE + KERNEL_ERROR));
		out->square = 0;
	} else {
		square = query->metric == METRIC_COSINE ? 2 * limit : limit;
		square = square > 0 ? square * (1 + KERNEL_ERROR) : 0;
		out->base = -float_up(-(query->norm * (1 - 0x1p-19) - tiny));
		out->weight = 1 - 0x1p-19f;
		out->near = float_up((sqrt(square) + query->error) * SPARE);
		out->far = out->near;
		out->square = 1;
	}
	/* nothing is proven when a coefficient does not fit */
	if (!(query->error <= DBL_MAX) || !float_fits((double)out->product) ||
	    !float_fits((double)out->shift) || !float_fits((double)out->total))
		out->base = -INFINITY;
}

int query_prunes(const struct query_limit *limit, const struct row_code *row,
		 int32_t dot)
{
	float product = row->scale * (float)dot * limit->product;
	float shift = row->offset * limit->shift;
	float total = row->sum * limit->total;
	float bound = limit->base + row->norm * limit->weight;
	float reach = (limit->near + row->error) *
		      (limit->far + row->error * limit->square);

	bound += product + shift + total;
	bound -= limit->slack * (fabsf(product) + fabsf(shift) + fabsf(total));
	return bound > reach && bound <= FLT_MAX;
}

int query_leaves(const struct query_limit *limit, const struct row_code *row,
		 float distance)
{
	float bound = limit->base + row->norm * limit->weight;
	float reach = (limit->near + row->error) *
		      (limit->far + row->error * limit->square);

	bound += distance * limit->product;
	return bound > reach && bound <= FLT_MAX;
}

float query_coded(const struct query_code *query, const struct row_code *row,
		  int32_t dot)
{
	double inner = query->scale * (double)row->scale * dot +
		       query->scale * query->code_sum * (double)row->offset +
		       query->offset * (double)row->sum;
	double square;

	if (query->metric == METRIC_IP)
		return float_near(-inner);
	square = query->norm + (double)row->norm - 2 * inner;
	if (query->metric == METRIC_COSINE)
		square *= 0.5;
	return float_near(square < 0 ? 0 : square);
}

double code_row16_error(int32_t metric)
{
	return metric == METRIC_COSINE ? HALF_ERROR + FLOAT_ERROR : HALF_ERROR;
}

double code_row32_error(int32_t metric)
{
	return metric == METRIC_COSINE ? FLOAT_ERROR : 0;
}

void query_range(const struct query_code *query, const struct row_code *row,
		 double relative, double distance, double *low, double *high)
{
	double length = (double)row->error;
	double factor = query->metric == METRIC_COSINE ? 2 : 1;
	double off;
	double away;
	double root;

	length += query->metric == METRIC_IP ? (double)row->norm
					     : sqrt((double)row->norm) * SPARE;
	if (query->metric == METRIC_COSINE)
		length = row->error <= FLT_MAX ? 1 : (double)INFINITY;
	else if (query->coded < query->dim) /* |x| <= |q| + |q - x| */
		length = (query->length + sqrt(distance)) * (1 + 0x1p-8);
	if (!(length <= DBL_MAX) || isnan(distance)) {
		*low = query->metric == METRIC_IP ? -(double)INFINITY : 0;
		*high = (double)INFINITY;
		return;
	}
	off = code_is_row(query->kind) ? (double)row->error : relative * length;
	if (query->metric == METRIC_IP) {
		away = (off + KERNEL_ERROR * length) * query->length;
		*low = distance - away;
		*high = distance + away;
		return;
	}
	/* the query is a unit vector of floats: what that is off counts too */
	away = off + (factor > 1 ? FLOAT_ERROR : 0);
	root = sqrt(distance * factor * (1 - KERNEL_ERROR)) - away;
	*low = root > 0 ? root * root / factor * (1 - 0x1p-40) : 0;
	root = sqrt(distance * factor * (1 + KERNEL_ERROR)) + away;
	*high = root * root / factor * (1 + 0x1p-40);
}
