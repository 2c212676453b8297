/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: what is stored about a coded vector is true of it: the decoding error,
 * the norm and the sum of the decoded vector, the row, the half floats.
 */
#include "code.h"
#include "tap.h"

#include <float.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { DIM = CODE_DIM_MAX };

static const char *const metric_names[] = {"", "cosine", "l2", "ip"};

static const char *const kind_names[] = {"u8", "f16", "bf16", "f32", "b1"};

struct coded {
	struct row_code code;
	_Alignas(64) uint8_t codes[DIM * 4];
	uint16_t row16[DIM];
	float row32[DIM];
};

/* Vectors of every kind that a user may have. */
enum { KINDS = 12 };

static void vector_fill(uint64_t *state, uint32_t kind, float *out,
			uint32_t dim)
{
	double scale = pow(10, test_uniform(state) * 40 - 20);
	double base = test_gaussian(state);

	for (uint32_t i = 0; i < dim; i++) {
		double x = test_gaussian(state);

		switch (kind) {
		case 1: x *= 1e-20; break;
		case 2: x *= 1e20; break;
		case 3: x = base; break;
		case 4: x = 1000 + x; break;
		case 5: x = (double)test_below(state, 256); break;
		case 6: x = test_below(state, 10) ? 0 : x; break;
		case 7: x *= scale; break;
		case 8: x = i == dim / 2 ? 1 : 0; break;
		case 9: x *= pow(10, test_uniform(state) * 12 - 6); break;
		case 10: x = (i & 1 ? 1 : -1) * (double)FLT_MAX; break;
		case 11: x *= 1e-42; break;
		default: break;
		}
		out[i] = (float)x;
	}
	out[0] = kind == 11 ? FLT_TRUE_MIN : out[0];
}

/* The vector that is coded: the unit vector for cosine. */
static void truth_fill(int32_t metric, const float *vector, uint32_t dim,
		       long double *out)
{
	long double sum = 0;

	for (uint32_t i = 0; i < dim; i++)
		sum += (long double)vector[i] * (long double)vector[i];
	sum = metric == METRIC_COSINE ? sqrtl(sum) : 1;
	for (uint32_t i = 0; i < dim; i++)
		out[i] = (long double)vector[i] / sum;
}

struct checks {
	unsigned int error;
	unsigned int norm;
	unsigned int sum;
	unsigned int row;
	unsigned int padding;
	unsigned int useless; /* error infinite though the vector is ordinary */
};

/* What component i decodes to. */
static long double decoded(const struct coded *c, int32_t kind, uint32_t i)
{
	uint16_t brief;
	float full;

	memcpy(&brief, c->codes + (i * 2) % (DIM * 4), sizeof(brief));
	memcpy(&full, c->codes + (i * 4) % (DIM * 4), sizeof(full));
	switch (kind) {
	case CODES_F16:
		return (long double)half_decode(brief) *
		       (long double)c->code.row_scale;
	case CODES_BF16: return (long double)brain_decode(brief);
	case CODES_F32: return (long double)full;
	case CODES_B1:
		return (long double)c->code.scale *
			   (c->codes[i / 8] >> (i & 7) & 1) +
		       (long double)c->code.offset;
	default:
		return (long double)c->code.scale * c->codes[i] +
		       (long double)c->code.offset;
	}
}

/* Where the codes have ended there are zeros. */
static unsigned int padding_dirt(const struct coded *c, int32_t kind,
				 uint32_t dim)
{
	static const uint32_t bits[] = {8, 16, 16, 32, 1};
	unsigned int dirt = 0;

	for (uint32_t i = dim * bits[kind]; i < code_bytes(kind, dim) * 8; i++)
		dirt += c->codes[i / 8] >> (i & 7) & 1;
	return dirt;
}

/* row_kind 0: none, 1: halves, 2: floats. */
static void coded_check(struct checks *bad, int32_t kind, int32_t metric,
			const float *vector, uint32_t dim, int row_kind,
			int is_ordinary)
{
	static const long double roundings[] = {0, 0x1.1p-11L, 0x1.01p-8L,
						0x1.1p-24L};
	static struct coded c;
	static long double truth[DIM];
	long double error = 0;
	long double row_error = 0;
	long double off = 0;
	long double norm = 0;
	long double sum = 0;
	long double size = 0;
	long double length = 0;
	double relative =
	    row_kind == 1 ? code_row16_error(metric) : code_row32_error(metric);

	memset(c.codes, 0xa5, sizeof(c.codes));
	code_encode(kind, metric, vector, dim, &c.code, c.codes,
		    row_kind == 1 ? c.row16 : NULL,
		    row_kind == 2 ? c.row32 : NULL);
	truth_fill(metric, vector, dim, truth);
	for (uint32_t i = 0; i < dim; i++) {
		long double x = decoded(&c, kind, i);
		long double row = truth[i];

		if (row_kind == 1)
			row = (long double)half_decode(c.row16[i]) *
			      (long double)c.code.row_scale;
		if (row_kind == 2)
			row = (long double)c.row32[i];
		error += (x - truth[i]) * (x - truth[i]);
		row_error += (x - row) * (x - row);
		off += (row - truth[i]) * (row - truth[i]);
		norm += x * x;
		sum += x;
		size += fabsl(x);
		length += truth[i] * truth[i];
	}
	bad->padding += padding_dirt(&c, kind, dim) != 0;
	bad->useless += is_ordinary && !(c.code.error <= FLT_MAX);
	if (!(c.code.error <= FLT_MAX))
		return;
	bad->error += !(sqrtl(error) <= (long double)c.code.error) ||
		      !(sqrtl(row_error) <= (long double)c.code.error);
	bad->row += !(sqrtl(off) <= (long double)relative * sqrtl(length));
	norm = metric == METRIC_IP ? sqrtl(norm) : norm;
	bad->norm +=
	    !(fabsl(norm - (long double)c.code.norm) <= norm * 0x1p-22L);
	bad->norm += metric == METRIC_IP && (long double)c.code.norm < norm;
	if (code_is_row(kind)) {
		bad->sum += c.code.sum != 0;
		/* halves of tiny and huge vectors, too */
		bad->useless += is_ordinary &&
				c.code.error > roundings[kind] * sqrtl(length);
		return;
	}
	bad->sum += !(fabsl(sum - (long double)c.code.sum) <=
		      fabsl(sum) * 0x1p-23L + size * 0x1p-45L);
}

static void vectors_check(struct checks *bad, uint64_t *state, int32_t kind,
			  int32_t metric, uint32_t dim)
{
	static float vector[DIM];

	for (uint32_t i = 0; i < KINDS * (kind ? 3u : 9u); i++) {
		uint32_t like = i % KINDS;
		int row_kind = code_is_row(kind) ? 0 : (int)(i / KINDS % 3);
		int is_ordinary = like == 0 || (like >= 3 && like <= 6) ||
				  like == 8 ||
				  (metric == METRIC_COSINE && like < 10);

		vector_fill(state, like, vector, dim);
		if (like == 6)
			vector[0] = 1;
		coded_check(bad, kind, metric, vector, dim, row_kind,
			    is_ordinary);
	}
}

static void what_is_stored_is_true_of_the_decoded_vector(uint64_t *state,
							 int32_t kind)
{
	static const uint32_t dims[] = {2,   3,	   15,	 16,   17,
					63,  64,   65,	 128,  200,
					784, 1000, 1536, 4095, 4096};

	for (int32_t metric = METRIC_COSINE; metric <= METRIC_IP; metric++) {
		struct checks bad = {0};
		char name[16];

		snprintf(name, sizeof name, "%s, %s", kind_names[kind],
			 metric_names[metric]);
		for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
			vectors_check(&bad, state, kind, metric, dims[d]);
		is_u64(bad.error, 0, "%s: the error is never understated",
		       name);
		is_u64(bad.norm, 0, "%s: the norm is the decoded vector's",
		       name);
		is_u64(bad.sum, 0, "%s: the sum is the decoded vector's", name);
		is_u64(bad.row, 0, "%s: a row is as near as promised", name);
		is_u64(bad.padding, 0, "%s: codes are padded with zeros", name);
		is_u64(bad.useless, 0, "%s: ordinary vectors have a bound",
		       name);
	}
}

static void the_error_is_about_a_step_of_the_code(uint64_t *state)
{
	static float vector[DIM];
	static uint8_t codes[DIM];
	struct row_code code;
	double worst = 0;

	for (int i = 0; i < 100; i++) {
		double step;

		vector_fill(state, 0, vector, 128);
		code_encode(CODES_U8, METRIC_L2, vector, 128, &code, codes,
			    NULL, NULL);
		/* components are off by at most half a step, on average by
		   a step / sqrt(12) */
		step = (double)code.scale * sqrt(128.0 / 12);
		worst = fmax(worst, (double)code.error / step);
	}
	ok(worst < 1.25, "the error is what rounding to steps makes it: %.3f",
	   worst);
}

static uint32_t nibble_of(const unsigned char *row, uint32_t i)
{
	unsigned char pair = row[i / 128 * 64 + i % 64];

	return i % 128 < 64 ? pair & 15 : pair >> 4;
}

/* Where components end there are zeros, but for the head. */
static uint32_t nibble_dirt(const unsigned char *row, uint32_t dim)
{
	uint32_t bytes = code_nibble_bytes(dim) - NIBBLE_HEAD_BYTES;
	uint32_t dirt = 0;

	for (uint32_t i = dim; i / 128 * 64 + i % 64 < bytes; i++)
		dirt += nibble_of(row, i) != 0;
	return dirt;
}

static void nibbles_are_the_upper_halves_of_codes(uint64_t *state)
{
	static const uint32_t dims[] = {2,   47,  48,  49,  64,	  65,
					128, 175, 177, 784, 1536, 4096};
	static float vector[DIM];
	static unsigned char row[DIM];
	static struct coded c;
	uint32_t wrong = 0;
	uint32_t dirty = 0;
	uint32_t far = 0;
	uint32_t untrue = 0;

	for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
		uint32_t dim = dims[d];
		long double norm = 0;
		long double sum = 0;
		float head[4];

		vector_fill(state, 0, vector, dim);
		memset(row, 0xff, sizeof row);
		code_encode(CODES_U8, METRIC_L2, vector, dim, &c.code, c.codes,
			    NULL, NULL);
		code_nibbles(&c.code, c.codes, dim, row);
		memcpy(head, row + code_nibble_bytes(dim) - NIBBLE_HEAD_BYTES,
		       sizeof head);
		for (uint32_t i = 0; i < dim; i++) {
			uint32_t nibble = nibble_of(row, i);
			long double x = (long double)head[0] * nibble +
					(long double)head[1];

			wrong += nibble != c.codes[i] / 16u;
			far += fabsl(x - decoded(&c, CODES_U8, i)) >
			       7.6L * (long double)c.code.scale;
			norm += x * x;
			sum += x;
		}
		dirty += nibble_dirt(row, dim);
		untrue += fabsl(norm - (long double)head[2]) > 1e-5L * norm;
		untrue += fabsl(sum - (long double)head[3]) >
			  1e-5L * sqrtl(norm * dim);
	}
	is_u64(wrong, 0, "nibbles are the upper halves of the codes");
	is_u64(far, 0, "and decode to the middle of what they may be");
	is_u64(untrue, 0, "their norm and sum are the decoded vector's");
	is_u64(dirty, 0, "they are padded with zeros");
}

static void bytes_are_coded_without_loss(uint64_t *state)
{
	static float vector[DIM];
	static uint8_t codes[DIM];
	struct row_code code;
	unsigned int wrong = 0;

	vector_fill(state, 5, vector, 784);
	vector[3] = 0;
	vector[4] = 255;
	code_encode(CODES_U8, METRIC_L2, vector, 784, &code, codes, NULL, NULL);
	for (int i = 0; i < 784; i++)
		wrong += codes[i] != (uint8_t)vector[i];
	is_u64(wrong, 0, "components 0 to 255 are their own codes");
	ok(code.error < 1e-9f, "and nothing is lost");
}

static void nonsense_is_never_pruned(void)
{
	float vector[4] = {1, NAN, 2, 3};
	struct row_code code;
	uint8_t codes[64];
	uint16_t row[4];
	static struct query_code query;

	code_encode(CODES_U8, METRIC_L2, vector, 4, &code, codes, row, NULL);
	ok(isinf(code.error), "NaN: the error is infinite");
	vector[1] = INFINITY;
	code_encode(CODES_U8, METRIC_IP, vector, 4, &code, codes, row, NULL);
	ok(isinf(code.error), "infinity: the error is infinite");
	memset(vector, 0, sizeof(vector));
	code_encode(CODES_U8, METRIC_COSINE, vector, 4, &code, codes, NULL,
		    vector);
	ok(isinf(code.error), "cosine of nothing: the error is infinite");
	code_encode(CODES_U8, METRIC_L2, vector, 4, &code, codes, row, NULL);
	ok(!(code.error > 0) && !(code.norm > 0), "zeros are exact for L2");
	vector[2] = NAN;
	query_encode(CODES_U8, METRIC_L2, vector, 4, &query);
	ok(isinf(query.error), "a query with NaN has an infinite error");
}

/* What component j of a query decodes to. */
static long double query_decoded(const struct query_code *q, uint32_t j)
{
	int bit = q->codes[j / 8] >> (j & 7) & 1;

	if (q->kind == CODES_B1)
		return (long double)q->scale * (bit ? 2 : -2);
	if (code_is_row(q->kind))
		return (long double)q->vector[j];
	return (long double)q->scale * q->codes[j] + (long double)q->offset;
}

static void the_query_decodes_as_it_says(uint64_t *state, int32_t kind)
{
	static const uint32_t dims[] = {2, 63, 64, 65, 784, 4096};
	static struct query_code query;
	static float vector[DIM];
	static long double truth[DIM];
	unsigned int bad = 0;
	unsigned int dirty = 0;

	for (int32_t metric = METRIC_COSINE; metric <= METRIC_IP; metric++)
		for (uint32_t i = 0; i < 6 * KINDS; i++) {
			uint32_t dim = dims[i % 6];
			long double error = 0;
			long double float_error = 0;
			long double length = 0;
			uint32_t bytes;

			memset(&query, 0xa5, sizeof(query));
			vector_fill(state, i / 6, vector, dim);
			vector[1] = vector[1] != 0 ? vector[1] : 1;
			query_encode(kind, metric, vector, dim, &query);
			truth_fill(metric, vector, dim, truth);
			for (uint32_t j = 0; j < dim; j++) {
				long double x = query_decoded(&query, j);
				long double f = (long double)query.vector[j];

				error += (x - truth[j]) * (x - truth[j]);
				float_error += (x - f) * (x - f);
				length += f * f;
			}
			bad += !(sqrtl(error) <= (long double)query.error);
			bad +=
			    !(sqrtl(float_error) <= (long double)query.error);
			bad += !(sqrtl(length) <=
				 (long double)query.length * (1 + 0x1p-50L));
			bytes = code_is_row(kind) ? 0 : code_bytes(kind, dim);
			for (uint32_t j = code_is_row(kind) ? 0 : dim;
			     j < bytes + CODE_LINE_BYTES; j++)
				dirty += query.codes[j] != 0;
			for (uint32_t j = dim; j < dim + 16; j++)
				dirty += query.vector[j] != 0;
		}
	is_u64(bad, 0, "%s: error and length of a query are never understated",
	       kind_names[kind]);
	is_u64(dirty, 0, "%s: zeros follow a query's components",
	       kind_names[kind]);
}

#if defined(__x86_64__)
static int cpu_has_f16c(void)
{
	unsigned int a;
	unsigned int b;
	unsigned int c;
	unsigned int d;

	__builtin_cpu_init();
	return __builtin_cpu_supports("avx") &&
	       __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

__attribute__((target("avx,f16c"))) static uint16_t cpu_half(float value)
{
	return (uint16_t)_mm_extract_epi16(
	    _mm_cvtps_ph(_mm_set_ss(value), _MM_FROUND_TO_NEAREST_INT), 0);
}

__attribute__((target("avx,f16c"))) static float cpu_unhalf(uint16_t half)
{
	return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
}

static float float_of(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void halves_are_what_the_processor_makes_them(uint64_t *state)
{
	unsigned int decoded = 0;
	unsigned int encoded = 0;
	unsigned int random = 0;

	if (!cpu_has_f16c()) {
		skip("this processor has no F16C");
		return;
	}
	for (uint32_t h = 0; h < 65536; h++) {
		float mine = half_decode((uint16_t)h);
		float its = cpu_unhalf((uint16_t)h);
		float next = half_decode((uint16_t)(h + 1));
		uint32_t bits;

		decoded += memcmp(&mine, &its, sizeof(mine)) != 0;
		/* the middle between two halves, and just beside it */
		mine = (mine + next) / 2;
		memcpy(&bits, &mine, sizeof(bits));
		for (uint32_t b = bits - 1; b != bits + 2; b++)
			encoded +=
			    half_encode(float_of(b)) != cpu_half(float_of(b));
		encoded += half_encode(its) != cpu_half(its);
	}
	for (int i = 0; i < 4000000; i++) {
		float x = float_of((uint32_t)test_random(state));

		random += half_encode(x) != cpu_half(x);
	}
	is_u64(decoded, 0, "all 65536 halves decode as F16C decodes them");
	is_u64(encoded, 0, "halves, middles and what is beside them encode so");
	is_u64(random, 0, "four million random floats encode so");
}
#else
static void halves_are_what_the_processor_makes_them(uint64_t *state)
{
	(void)state;
	skip("this processor has no F16C");
}
#endif

static void halves_keep_known_values(void)
{
	is_int(half_encode(1.0f), 0x3c00, "1");
	is_int(half_encode(-2.0f), 0xc000, "-2");
	is_int(half_encode(65504.0f), 0x7bff, "the largest half");
	is_int(half_encode(65519.9f), 0x7bff, "what rounds to it");
	is_int(half_encode(65520.0f), 0x7c00, "what does not is infinite");
	is_int(half_encode(0x1p-24f), 1, "the least subnormal");
	is_int(half_encode(0x1p-25f), 0, "half of it rounds to even");
	is_int(half_encode(0x1.8p-24f), 2, "one and a half of it, too");
	is_int(half_encode(-0.0f), 0x8000, "minus zero");
	ok(half_decode(1) == 0x1p-24f && half_decode(0x3ff) == 0x1.ff8p-15f,
	   "subnormals decode");
	ok(isinf(half_decode(0xfc00)) && isnan(half_decode(0x7c01)),
	   "infinity and NaN decode");
}

static void brains_are_floats_cut_in_half(uint64_t *state)
{
	unsigned int apart = 0;
	unsigned int far = 0;

	for (uint32_t b = 0; b < 65536; b++) {
		float x = brain_decode((uint16_t)b);

		apart += !isnan(x) && brain_encode(x) != b;
	}
	for (int i = 0; i < 1000000; i++) {
		float x = (float)ldexp(test_gaussian(state),
				       (int)test_below(state, 200) - 100);
		float y = brain_decode(brain_encode(x));

		far += fabsf(x - y) > fabsf(x) * 0x1p-8f;
	}
	is_u64(apart, 0, "all bfloat16 are coded as themselves");
	is_u64(far, 0, "a million floats by the nearest");
	is_int(brain_encode(0x1.01p0f), 0x3f80, "the middle goes to even");
	is_int(brain_encode(0x1.03p0f), 0x3f82, "up, too");
	is_int(brain_encode(-FLT_MAX), 0xff7f,
	       "the greatest float is not infinite");
	ok(isinf(brain_decode(brain_encode(INFINITY))) &&
	       isnan(brain_decode(brain_encode(NAN))),
	   "infinity and NaN stay what they are");
}

int main(void)
{
	uint64_t state;

	test_begin(300);
	state = test_seed();
	for (int32_t kind = CODES_U8; kind < CODES_KINDS; kind++)
		what_is_stored_is_true_of_the_decoded_vector(&state, kind);
	nibbles_are_the_upper_halves_of_codes(&state);
	the_error_is_about_a_step_of_the_code(&state);
	bytes_are_coded_without_loss(&state);
	nonsense_is_never_pruned();
	for (int32_t kind = CODES_U8; kind < CODES_KINDS; kind++)
		the_query_decodes_as_it_says(&state, kind);
	halves_keep_known_values();
	brains_are_floats_cut_in_half(&state);
	halves_are_what_the_processor_makes_them(&state);
	return done_testing();
}
