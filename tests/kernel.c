/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: all kernels of this processor agree with the plain one, exact is
 * exact, and a scan never leaves out a row that matters, whatever the vectors.
 *
 *	COPPICE_TEST_STRIDE: every so manieth set of vectors, where the
 *	processor is emulated; 11 has no factor in common with the numbers of
 *	dimensions and of kinds, so that each of them has its turn.
 */
#include "kernel.h"
#include "tap.h"

#include <float.h>
#include <sys/mman.h>

/* Of the other kinds of code only every fifth set is looked at, too. */
enum { DIM = CODE_DIM_MAX, ROWS = 61, OTHER_STRIDE = 5 };

static const uint32_t dims[] = {2,   3,	  5,   15,   16,   17,	 31,
				63,  64,  65,  100,  127,  128,	 129,
				200, 768, 784, 1000, 1536, 4095, 4096};
enum { DIMS = sizeof(dims) / sizeof(dims[0]) };

static const char *const metric_names[] = {"", "cosine", "l2", "ip"};

static const char *const code_names[] = {"u8", "f16", "bf16", "f32", "b1"};

enum kind {
	KIND_RANDOM,
	KIND_CLUSTERED,
	KIND_TINY,
	KIND_HUGE,
	KIND_CONSTANT,
	KIND_OFFSET,
	KIND_BYTES,
	KIND_SPARSE,
	KIND_MIXED,
	KIND_ZEROS,
	KIND_EXTREME,
	KIND_DUPLICATES,
	KINDS
};

static const char *const kind_names[] = {"random",
					 "near duplicates",
					 "around 1e-20",
					 "around 1e20",
					 "constant",
					 "around 1000",
					 "bytes",
					 "mostly zero",
					 "of all magnitudes",
					 "zeros between others",
					 "at the limits of float",
					 "repeated"};

/* Memory that ends where a page that cannot be touched begins. */
struct fence {
	unsigned char *map;
	size_t bytes;
	unsigned char *end;
};

static void fence_init(struct fence *f, size_t bytes)
{
	f->bytes = (bytes + 8191) / 4096 * 4096;
	f->map = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->map == MAP_FAILED ||
	    mprotect(f->map + f->bytes - 4096, 4096, PROT_NONE))
		bail_out("no memory");
	f->end = f->map + f->bytes - 4096;
}

static void fence_release(struct fence *f)
{
	munmap(f->map, f->bytes);
}

/* One bank's worth of rows, the vectors they are of, and a query. */
struct bank {
	struct fence rows; /* codes */
	struct fence halves;
	struct fence floats;
	struct query_code query;
	int32_t codes;		      /* the kind that the rows are of */
	float vectors[ROWS + 1][DIM]; /* the last is the query */
	double exact[ROWS];
	double row16[ROWS];
	double row32[ROWS];
	double tried16[ROWS]; /* by the kernel under test */
	float row_scale[ROWS];
	size_t stride;
	uint32_t dim;
	int32_t metric;
};

static struct bank bank;

static unsigned int stride = 1;

static int is_left_out(void)
{
	static unsigned int turn;

	return turn++ % stride != 0;
}

static unsigned char *bank_row(uint32_t index)
{
	return bank.rows.end - (ROWS - index) * bank.stride;
}

static uint16_t *bank_row16(uint32_t index)
{
	size_t bytes = (size_t)(ROWS - index) * bank.dim * 2;

	return (void *)(bank.halves.end - bytes);
}

static float *bank_row32(uint32_t index)
{
	size_t bytes = (size_t)(ROWS - index) * bank.dim * 4;

	return (void *)(bank.floats.end - bytes);
}

static double component_make(uint64_t *state, enum kind kind, double x,
			     double center, double scale)
{
	switch (kind) {
	case KIND_CLUSTERED: return center + x * 1e-6;
	case KIND_TINY: return x * 1e-20;
	case KIND_HUGE: return x * 1e20;
	case KIND_CONSTANT: return scale;
	case KIND_OFFSET: return 1000 + x;
	case KIND_BYTES: return (double)test_below(state, 256);
	case KIND_SPARSE: return test_below(state, 20) ? 0 : x;
	case KIND_MIXED: return x * scale;
	case KIND_EXTREME: return x > 0 ? (double)FLT_MAX : 1e-44;
	case KIND_DUPLICATES: return center;
	default: return x;
	}
}

static void vectors_make(uint64_t *state, enum kind kind)
{
	static double center[4][DIM];

	for (int c = 0; c < 4; c++)
		for (uint32_t i = 0; i < bank.dim; i++)
			center[c][i] = test_gaussian(state);
	for (uint32_t r = 0; r <= ROWS; r++) {
		double scale = pow(10, test_uniform(state) * 40 - 20);
		uint64_t c = test_below(state, 4);
		int is_zero = kind == KIND_ZEROS && r % 3 == 1 &&
			      bank.metric != METRIC_COSINE;

		for (uint32_t i = 0; i < bank.dim; i++) {
			double x = test_gaussian(state);

			bank.vectors[r][i] = (float)component_make(
			    state, kind, x, center[c][i], scale);
			if (is_zero)
				bank.vectors[r][i] = 0;
		}
		if (kind == KIND_SPARSE || kind == KIND_BYTES)
			bank.vectors[r][r % bank.dim] = 1;
	}
}

/* The codes, and where they are not the row both forms of one. */
static void row_fill(uint32_t r, struct row_code *code)
{
	unsigned char *codes = bank_row(r) + ROW_CODES_OFFSET;
	int has_rows = !code_is_row(bank.codes);

	if (has_rows)
		code_encode(bank.codes, bank.metric, bank.vectors[r], bank.dim,
			    code, codes, NULL, bank_row32(r));
	code_encode(bank.codes, bank.metric, bank.vectors[r], bank.dim, code,
		    codes, has_rows ? bank_row16(r) : NULL, NULL);
}

/* The distance that a row is ranked by. */
static double row_ranked(const struct kernel *kernel, uint32_t r)
{
	const void *codes = bank_row(r) + ROW_CODES_OFFSET;

	switch (bank.codes) {
	case CODES_F16:
		return kernel->row16(&bank.query, codes, bank.row_scale[r]);
	case CODES_BF16: return kernel->rowb16(&bank.query, codes);
	case CODES_F32: return kernel->row32(&bank.query, codes);
	default:
		return kernel->row16(&bank.query, bank_row16(r),
				     bank.row_scale[r]);
	}
}

/* Header fields that are not the code's are noise, as in a real bank. */
static void bank_fill(uint64_t *state)
{
	for (uint32_t r = 0; r < ROWS; r++) {
		unsigned char *row = bank_row(r);
		struct row_code code;

		for (size_t i = 0; i < 64; i++)
			row[i] = (unsigned char)test_random(state);
		row_fill(r, &code);
		memcpy(row + ROW_CODE_OFFSET, &code, sizeof(code));
		bank.row_scale[r] = code.row_scale;
	}
	query_encode(bank.codes, bank.metric, bank.vectors[ROWS], bank.dim,
		     &bank.query);
	for (uint32_t r = 0; r < ROWS; r++) {
		bank.exact[r] = kernel_scalar.exact(
		    bank.metric, bank.vectors[ROWS], bank.vectors[r], bank.dim);
		bank.row16[r] = row_ranked(&kernel_scalar, r);
		bank.row32[r] =
		    code_is_row(bank.codes)
			? bank.row16[r]
			: kernel_scalar.row32(&bank.query, bank_row32(r));
	}
}

static void bank_make(uint64_t *state, int32_t metric, uint32_t dim,
		      enum kind kind)
{
	bank.metric = metric;
	bank.dim = dim;
	bank.stride = ROW_CODES_OFFSET + code_bytes(bank.codes, dim);
	/* sometimes with the full row, or anything else, behind the codes */
	bank.stride += 64 * test_below(state, 3);
	fence_init(&bank.rows, ROWS * bank.stride);
	fence_init(&bank.halves, (size_t)ROWS * dim * 2);
	fence_init(&bank.floats, (size_t)ROWS * dim * 4);
	vectors_make(state, kind);
	bank_fill(state);
}

static void bank_release(void)
{
	fence_release(&bank.rows);
	fence_release(&bank.halves);
	fence_release(&bank.floats);
}

/* |q| |x|, what rounding of an inner product is relative to. */
static double product_size(const float *a, const float *b, uint32_t dim)
{
	double x = 0;
	double y = 0;

	for (uint32_t i = 0; i < dim; i++) {
		x += (double)a[i] * (double)a[i];
		y += (double)b[i] * (double)b[i];
	}
	return sqrt(x) * sqrt(y);
}

static int is_near(double got, double want, double relative, double size)
{
	return fabs(got - want) <= relative * fmax(fabs(want), size);
}

struct survivors {
	uint32_t index[KERNEL_SCAN_MAX];
	unsigned char is_kept[ROWS];
	size_t count;
};

/* Indices ascend and are below count, or *bad counts. */
static void survivors_get(const struct kernel *kernel, uint32_t first,
			  uint32_t count, double limit, struct survivors *out,
			  unsigned int *bad)
{
	memset(out->is_kept, 0, sizeof(out->is_kept));
	out->index[count] = 0xa5a5a5a5;
	out->count = kernel->codes[bank.codes].scan(
	    &bank.query, bank_row(first), bank.stride, count, limit,
	    out->index);
	*bad += out->count > count || out->index[count] != 0xa5a5a5a5;
	for (size_t i = 0; i < out->count && i < count; i++) {
		*bad += out->index[i] >= count ||
			(i && out->index[i] <= out->index[i - 1]);
		if (out->index[i] < count)
			out->is_kept[first + out->index[i]] = 1;
	}
}

static void limit_check(const struct kernel *kernel, double limit,
			unsigned int *lost, unsigned int *bad)
{
	struct survivors kept;

	survivors_get(kernel, 0, ROWS, limit, &kept, bad);
	for (uint32_t r = 0; r < ROWS; r++)
		*lost += !kept.is_kept[r] &&
			 (bank.exact[r] <= limit || bank.row16[r] <= limit ||
			  bank.row32[r] <= limit || bank.tried16[r] <= limit);
}

static void no_row_that_matters_is_pruned(const struct kernel *kernel,
					  uint64_t *state)
{
	for (int kind = 0; kind < KINDS; kind++) {
		unsigned int lost = 0;
		unsigned int bad = 0;

		for (int round = 0; round < 3 * DIMS; round++) {
			uint32_t dim = dims[round % DIMS];

			if (is_left_out())
				continue;
			bank_make(state, 1 + (round + round / DIMS) % 3, dim,
				  (enum kind)kind);
			for (uint32_t r = 0; r < ROWS; r++)
				bank.tried16[r] = row_ranked(kernel, r);
			for (uint32_t r = 0; r < ROWS; r += 3) {
				limit_check(kernel, bank.exact[r], &lost, &bad);
				limit_check(kernel, bank.row16[r], &lost, &bad);
				limit_check(kernel, bank.row32[r], &lost, &bad);
			}
			limit_check(kernel, INFINITY, &lost, &bad);
			limit_check(kernel, NAN, &lost, &bad);
			limit_check(kernel, 0, &lost, &bad);
			bank_release();
		}
		is_u64(lost, 0, "%s, %s: no row within a limit is lost, %s",
		       kernel->name, code_names[bank.codes], kind_names[kind]);
		is_u64(bad, 0, "%s, %s: the indices are in order, %s",
		       kernel->name, code_names[bank.codes], kind_names[kind]);
	}
}

static void no_limit_keeps_everything(const struct kernel *kernel,
				      uint64_t *state)
{
	struct survivors kept;
	unsigned int bad = 0;

	bank_make(state, METRIC_L2, 100, KIND_RANDOM);
	survivors_get(kernel, 0, ROWS, INFINITY, &kept, &bad);
	is_u64(kept.count, ROWS, "%s, %s: an infinite limit keeps every row",
	       kernel->name, code_names[bank.codes]);
	survivors_get(kernel, 0, ROWS, NAN, &kept, &bad);
	is_u64(kept.count, ROWS, "%s: and so does NaN", kernel->name);
	survivors_get(kernel, 0, ROWS, -1, &kept, &bad);
	ok(kept.count == 0 || bank.codes == CODES_B1,
	   "%s: one below zero keeps none of them", kernel->name);
	is_u64(bad, 0, "%s: in order", kernel->name);
	bank_release();
}

/* Each row alone must be kept exactly when it is in a longer scan. */
static void any_count_of_rows_gives_the_same(const struct kernel *kernel,
					     uint64_t *state)
{
	unsigned int differs = 0;
	unsigned int bad = 0;

	for (int round = 0; round < 12; round++) {
		struct survivors all;

		bank_make(state, 1 + round % 3, dims[round + 8], KIND_RANDOM);
		survivors_get(kernel, 0, ROWS, bank.exact[round], &all, &bad);
		for (uint32_t first = 0; first < ROWS; first++) {
			struct survivors part;
			uint32_t count =
			    (uint32_t)test_below(state, ROWS - first + 1);

			survivors_get(kernel, first, count, bank.exact[round],
				      &part, &bad);
			for (uint32_t i = first; i < first + count; i++)
				differs += part.is_kept[i] != all.is_kept[i];
		}
		bank_release();
	}
	/* the plain form of the bound and the wide one round apart */
	ok(differs <= 2,
	   "%s, %s: a row is judged alike in a scan of any length",
	   kernel->name, code_names[bank.codes]);
	is_u64(bad, 0, "%s: in order", kernel->name);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void most_rows_that_are_far_are_pruned(const struct kernel *kernel,
					      uint64_t *state)
{
	static const uint32_t wide[] = {64, 128, 784};

	for (int32_t metric = METRIC_COSINE; metric <= METRIC_IP; metric++)
		for (int d = 0; d < 3; d++) {
			size_t kept = 0;
			unsigned int bad = 0;

			if (is_left_out())
				continue;
			for (int round = 0; round < 40; round++) {
				struct survivors some;
				double sorted[ROWS];

				bank_make(state, metric, wide[d], KIND_RANDOM);
				memcpy(sorted, bank.exact, sizeof(sorted));
				qsort(sorted, ROWS, sizeof(sorted[0]), compare);
				survivors_get(kernel, 0, ROWS, sorted[4], &some,
					      &bad);
				kept += some.count;
				bank_release();
			}
			ok(kept < 40 * 5 * 3,
			   "%s, %s: %s, dim %u: %.1f of %d rows are kept for "
			   "the nearest 5",
			   kernel->name, code_names[bank.codes],
			   metric_names[metric], wide[d], (double)kept / 40,
			   ROWS);
		}
}

/* Scale must not matter where floats can hold the squares. */
static void pruning_works_at_other_scales(const struct kernel *kernel,
					  uint64_t *state)
{
	static const double scales[] = {1e-12, 1e-6, 1e6, 1e12};

	for (int s = 0; s < 4; s++) {
		struct survivors some;
		unsigned int bad = 0;
		double sorted[ROWS];

		bank_make(state, METRIC_L2, 128, KIND_RANDOM);
		for (uint32_t r = 0; r <= ROWS; r++)
			for (uint32_t i = 0; i < bank.dim; i++)
				bank.vectors[r][i] =
				    (float)((double)bank.vectors[r][i] *
					    scales[s]);
		bank_fill(state);
		memcpy(sorted, bank.exact, sizeof(sorted));
		qsort(sorted, ROWS, sizeof(sorted[0]), compare);
		survivors_get(kernel, 0, ROWS, sorted[4], &some, &bad);
		ok(some.count < 25, "%s: rows around %g are pruned too",
		   kernel->name, scales[s]);
		bank_release();
	}
}

static void torn_rows_do_no_harm(const struct kernel *kernel, uint64_t *state)
{
	static const float odd[] = {NAN,    INFINITY, -INFINITY, 0,
				    -1e38f, FLT_MAX,  1e-45f};
	unsigned int bad = 0;
	unsigned int lost = 0;
	float hint;

	for (int round = 0; round < 200; round++) {
		struct survivors some;

		if (is_left_out())
			continue;
		bank_make(state, 1 + round % 3, dims[round % DIMS],
			  KIND_RANDOM);
		for (unsigned char *at = bank_row(0); at < bank.rows.end; at++)
			*at = (unsigned char)test_random(state);
		survivors_get(kernel, 0, ROWS, bank.exact[0], &some, &bad);
		bank_fill(state);
		for (uint32_t r = 0; r < ROWS; r++) {
			float field = odd[test_below(state, 7)];

			memcpy(bank_row(r) + ROW_CODE_OFFSET +
				   4 * test_below(state, 5),
			       &field, sizeof(field));
			if (bank.codes == CODES_U8)
				kernel->coded(&bank.query, bank_row(r));
			kernel->codes[bank.codes].gather(
			    &bank.query, bank_row(0), bank.stride, &r, 1,
			    &hint);
			kernel->codes[bank.codes].between(
			    bank.metric, bank.dim, bank_row(0), bank_row(r));
			kernel->row16(&bank.query, bank_row16(r), field);
			(void)row_ranked(kernel, r);
		}
		survivors_get(kernel, 0, ROWS, bank.exact[0], &some, &bad);
		for (uint32_t r = 0; r < ROWS; r++) {
			struct row_code code;

			memcpy(&code, bank_row(r) + ROW_CODE_OFFSET,
			       sizeof(code));
			/* which fields matter to others is theirs */
			lost +=
			    bank.codes == CODES_U8 && !some.is_kept[r] &&
			    (!isfinite(code.scale) || !isfinite(code.offset) ||
			     !isfinite(code.norm) || !isfinite(code.sum) ||
			     !isfinite(code.error));
		}
		bank_release();
	}
	is_u64(bad, 0, "%s, %s: torn rows give indices in order", kernel->name,
	       code_names[bank.codes]);
	is_u64(lost, 0, "%s: a row with a field that is no number is kept",
	       kernel->name);
}

struct differences {
	unsigned int coded;
	unsigned int row16;
	unsigned int row32;
	unsigned int exact;
	unsigned int moved;
	unsigned int kept;
	unsigned int gather;
	unsigned int between;
	unsigned int nibbles;
};

static void row_compare(const struct kernel *kernel, uint32_t r,
			struct differences *bad)
{
	static uint16_t moved16[DIM + 1];
	static float moved32[DIM + 1];
	int is_ip = bank.metric == METRIC_IP;
	double size =
	    is_ip ? product_size(bank.vectors[r], bank.vectors[ROWS], bank.dim)
		  : 0;
	double mine;
	float coded = kernel->coded(&bank.query, bank_row(r));
	float plain = kernel_scalar.coded(&bank.query, bank_row(r));

	bad->coded += memcmp(&coded, &plain, sizeof(coded)) != 0;
	mine = kernel->row16(&bank.query, bank_row16(r), bank.row_scale[r]);
	bad->row16 += !is_near(mine, bank.row16[r], 0x1p-16, size);
	memcpy(moved16 + 1, bank_row16(r), bank.dim * 2);
	bad->moved +=
	    kernel->row16(&bank.query, moved16 + 1, bank.row_scale[r]) != mine;
	mine = kernel->row32(&bank.query, bank_row32(r));
	bad->row32 += !is_near(mine, bank.row32[r], 1e-12, size);
	memcpy(moved32 + 1, bank_row32(r), bank.dim * 4);
	bad->moved += kernel->row32(&bank.query, moved32 + 1) != mine;
	mine = kernel->exact(bank.metric, bank.vectors[ROWS], bank.vectors[r],
			     bank.dim);
	/* of parallel vectors only noise is left */
	size = bank.metric == METRIC_COSINE ? 1e-20 : size;
	bad->exact += !is_near(mine, bank.exact[r], 2e-12, size);
}

static void survivors_compare(const struct kernel *kernel, double limit,
			      struct differences *bad)
{
	struct survivors mine;
	struct survivors plain;
	unsigned int wrong = 0;

	survivors_get(kernel, 0, ROWS, limit, &mine, &wrong);
	survivors_get(&kernel_scalar, 0, ROWS, limit, &plain, &wrong);
	for (uint32_t r = 0; r < ROWS; r++)
		bad->kept += mine.is_kept[r] != plain.is_kept[r];
}

static void row_code_of(uint32_t r, struct row_code *out)
{
	memcpy(out, bank_row(r) + ROW_CODE_OFFSET, sizeof(*out));
}

/* Of products, or of squares, of which many may be lost below a float. */
static double components_size(const struct query_code *query, uint32_t r)
{
	static struct query_code row;
	double sum = 0x1p-118;

	query_from_row(bank.codes, bank.metric, bank.dim, bank_row(r), &row);
	for (uint32_t i = 0; i < bank.dim; i++) {
		double q = (double)query->vector[i];
		double x = (double)row.vector[i];

		sum +=
		    bank.metric == METRIC_IP ? fabs(q * x) : (q - x) * (q - x);
	}
	return sum;
}

/* The magnitudes of what a gathered distance is the sum of. */
static double gather_size(uint32_t r)
{
	const struct query_code *query = &bank.query;
	const unsigned char *codes = bank_row(r) + ROW_CODES_OFFSET;
	struct row_code c;
	double dot = 0;

	row_code_of(r, &c);
	if (code_is_row(bank.codes))
		return components_size(&bank.query, r);
	for (uint32_t i = 0; i < bank.dim && bank.codes == CODES_U8; i++)
		dot += (double)codes[i] * query->codes[i];
	if (bank.codes == CODES_B1)
		dot = bank.dim;
	return fabs((double)query->base) +
	       fabs((double)c.norm * (double)query->weight) +
	       fabs((double)c.scale * dot * (double)query->product) +
	       fabs((double)c.offset * (double)query->shift) +
	       fabs((double)c.sum * (double)query->total);
}

/* What overflows in one order of additions may not in another. */
static int is_alike(float got, float want, double size)
{
	if (!isfinite(got) || !isfinite(want))
		return isfinite(got) == isfinite(want) ||
		       size > (double)FLT_MAX / 16;
	return is_near((double)got, (double)want, 1e-5,
		       fmax(size, (double)FLT_MIN));
}

/* Any number of rows in any order, some of them twice. */
static void gather_compare(const struct kernel *kernel, uint64_t *state,
			   struct differences *bad)
{
	uint32_t numbers[ROWS] = {0};
	float mine[ROWS + 1];
	float plain[ROWS + 1];
	size_t count = test_below(state, ROWS + 1);

	for (size_t i = 0; i < count; i++)
		numbers[i] = (uint32_t)test_below(state, ROWS);
	mine[count] = 4711;
	kernel->codes[bank.codes].gather(&bank.query, bank_row(0), bank.stride,
					 numbers, count, mine);
	kernel_scalar.codes[bank.codes].gather(
	    &bank.query, bank_row(0), bank.stride, numbers, count, plain);
	for (size_t i = 0; i < count; i++)
		bad->gather +=
		    !is_alike(mine[i], plain[i], gather_size(numbers[i]));
	bad->gather += mine[count] != 4711;
}

/* Rows of nibbles from the bank's codes. */
static unsigned char *nibbles_make(void)
{
	uint32_t bytes = code_nibble_bytes(bank.dim);
	unsigned char *out = aligned_alloc(64, (size_t)ROWS * bytes);

	for (uint32_t r = 0; r < ROWS; r++) {
		struct row_code code;

		row_code_of(r, &code);
		code_nibbles(&code, bank_row(r) + ROW_CODES_OFFSET, bank.dim,
			     out + r * bytes);
	}
	return out;
}

/* Nibbles are small, their sums exact: all kernels agree but for rounding. */
static void nibbles_compare(const struct kernel *kernel, uint64_t *state,
			    struct differences *bad)
{
	uint32_t bytes = code_nibble_bytes(bank.dim);
	unsigned char *nibbles;
	uint32_t numbers[ROWS] = {0};
	float mine[ROWS + 1];
	float plain[ROWS + 1];
	size_t count = test_below(state, ROWS + 1);

	if (bank.codes != CODES_U8)
		return;
	nibbles = nibbles_make();
	for (size_t i = 0; i < count; i++)
		numbers[i] = (uint32_t)test_below(state, ROWS);
	mine[count] = 4711;
	kernel->nibbles(&bank.query, nibbles, bytes, numbers, count, mine);
	kernel_scalar.nibbles(&bank.query, nibbles, bytes, numbers, count,
			      plain);
	for (size_t i = 0; i < count; i++)
		bad->nibbles +=
		    !is_alike(mine[i], plain[i], 2 * gather_size(numbers[i]));
	bad->nibbles += mine[count] != 4711;
	free(nibbles);
}

static double pair_size(uint32_t a, uint32_t b)
{
	static struct query_code query;
	struct row_code x;
	struct row_code y;

	if (bank.codes == CODES_B1) {
		row_code_of(a, &x);
		row_code_of(b, &y);
		return fabs((double)x.norm) + fabs((double)y.norm);
	}
	query_from_row(bank.codes, bank.metric, bank.dim, bank_row(a), &query);
	return components_size(&query, b);
}

static void hints_compare(const struct kernel *kernel, uint64_t *state,
			  struct differences *bad)
{
	gather_compare(kernel, state, bad);
	nibbles_compare(kernel, state, bad);
	for (uint32_t r = 0; r < ROWS; r++) {
		const unsigned char *a = bank_row(r);
		uint32_t other = (uint32_t)test_below(state, ROWS);
		const unsigned char *b = bank_row(other);
		float mine = kernel->codes[bank.codes].between(bank.metric,
							       bank.dim, a, b);
		float plain = kernel_scalar.codes[bank.codes].between(
		    bank.metric, bank.dim, a, b);

		/* the integer product is, and the rest is shared by u8 */
		if (bank.codes == CODES_U8)
			bad->between +=
			    memcmp(&mine, &plain, sizeof(mine)) != 0;
		else
			bad->between +=
			    !is_alike(mine, plain, pair_size(r, other));
	}
}

static void a_kernel_agrees_with_the_plain_one(const struct kernel *kernel,
					       uint64_t *state)
{
	for (int32_t metric = METRIC_COSINE; metric <= METRIC_IP; metric++) {
		struct differences bad = {0};

		for (int d = 0; d < DIMS; d++)
			for (int kind = 0; kind < KINDS; kind++) {
				if (is_left_out())
					continue;
				bank_make(state, metric, dims[d],
					  (enum kind)kind);
				for (uint32_t r = 0; r < ROWS; r++)
					row_compare(kernel, r, &bad);
				survivors_compare(kernel, bank.exact[d], &bad);
				hints_compare(kernel, state, &bad);
				bank_release();
			}
		is_u64(bad.coded, 0, "%s, %s: coded distances are the same",
		       kernel->name, metric_names[metric]);
		is_u64(bad.row16, 0,
		       "%s, %s: rows of halves differ by rounding",
		       kernel->name, metric_names[metric]);
		is_u64(bad.row32, 0,
		       "%s, %s: rows of floats differ by rounding",
		       kernel->name, metric_names[metric]);
		is_u64(bad.exact, 0, "%s, %s: exact distances are the same",
		       kernel->name, metric_names[metric]);
		is_u64(bad.moved, 0, "%s, %s: a row's place does not matter",
		       kernel->name, metric_names[metric]);
		is_u64(bad.gather, 0,
		       "%s, %s: gathered distances differ by rounding",
		       kernel->name, metric_names[metric]);
		is_u64(bad.nibbles, 0,
		       "%s, %s: distances by nibbles differ by rounding",
		       kernel->name, metric_names[metric]);
		is_u64(bad.between, 0,
		       "%s, %s: distances of two rows are the same",
		       kernel->name, metric_names[metric]);
		ok(bad.kept <= DIMS * KINDS / 20,
		   "%s, %s: the same rows survive, but for rounding (%u)",
		   kernel->name, metric_names[metric], bad.kept);
	}
}

/* Rows of the other kinds, by whatever reads them. */
static void a_kernel_codes_as_the_plain_one(const struct kernel *kernel,
					    uint64_t *state)
{
	for (int32_t metric = METRIC_COSINE; metric <= METRIC_IP; metric++) {
		struct differences bad = {0};

		for (int round = 0; round < DIMS * KINDS; round++) {
			if (is_left_out())
				continue;
			bank_make(state, metric, dims[round % DIMS],
				  (enum kind)(round % KINDS));
			survivors_compare(kernel, bank.exact[round % DIMS],
					  &bad);
			hints_compare(kernel, state, &bad);
			for (uint32_t r = 0; r < ROWS; r++)
				bad.row16 += !is_near(
				    row_ranked(kernel, r), bank.row16[r],
				    0x1p-16,
				    metric == METRIC_IP
					? product_size(bank.vectors[r],
						       bank.vectors[ROWS],
						       bank.dim)
					: 0);
			bank_release();
		}
		is_u64(bad.row16, 0, "%s, %s, %s: rows differ by rounding",
		       kernel->name, code_names[bank.codes],
		       metric_names[metric]);
		is_u64(bad.gather, 0,
		       "%s, %s, %s: gathered distances differ by rounding",
		       kernel->name, code_names[bank.codes],
		       metric_names[metric]);
		is_u64(bad.between, 0,
		       "%s, %s, %s: distances of two rows differ by rounding",
		       kernel->name, code_names[bank.codes],
		       metric_names[metric]);
		ok(bad.kept <= DIMS * KINDS / 20,
		   "%s, %s, %s: the same rows survive, but for rounding (%u)",
		   kernel->name, code_names[bank.codes], metric_names[metric],
		   bad.kept);
	}
}

/* Lagrange's identity, where nothing cancels: products of floats are exact. */
static long double cosine_truth(const float *a, const float *b, uint32_t dim)
{
	long double x = 0;
	long double y = 0;
	long double z = 0;
	long double cross = 0;
	long double cosine;

	for (uint32_t i = 0; i < dim; i++) {
		x += (long double)a[i] * (long double)a[i];
		y += (long double)b[i] * (long double)b[i];
		z += (long double)a[i] * (long double)b[i];
		for (uint32_t j = i + 1; j < dim; j++) {
			long double c = (long double)a[i] * (long double)b[j] -
					(long double)a[j] * (long double)b[i];

			cross += c * c;
		}
	}
	if (!(x > 0 && y > 0))
		return 1;
	cosine = z / (sqrtl(x) * sqrtl(y));
	if (cosine < 0.5L)
		return 1 - cosine;
	return cross / x / y / (1 + cosine);
}

static long double distance_truth(int32_t metric, const float *a,
				  const float *b, uint32_t dim)
{
	long double sum = 0;

	if (metric == METRIC_COSINE)
		return cosine_truth(a, b, dim);
	for (uint32_t i = 0; i < dim; i++) {
		long double x = (long double)a[i];
		long double y = (long double)b[i];

		sum += metric == METRIC_IP ? x * y : (x - y) * (x - y);
	}
	return metric == METRIC_IP ? -sum : sum;
}

/* How two vectors are related: apart, near, nearer, scaled, the same. */
static void pair_make(uint64_t *state, int how, float *a, float *b,
		      uint32_t dim)
{
	static const double noise[] = {1, 1e-3, 1e-6, 3e-8};
	double factor = how == 4 || how == 5 ? 3.7 : 1;

	for (uint32_t i = 0; i < dim; i++) {
		double x = test_gaussian(state);
		double y = test_gaussian(state);

		a[i] = (float)x;
		b[i] = (float)(factor * (double)a[i]);
		if (how < 4)
			b[i] = (float)((double)a[i] + noise[how] * y);
		if (how == 5)
			b[i] = (float)(-(double)b[i]);
		if (how == 6)
			b[i] = i == dim / 2 ? a[i] * (1 + 0x1p-20f) : a[i];
	}
}

static void exact_is_exact(const struct kernel *kernel, uint64_t *state)
{
	static float a[DIM];
	static float b[DIM];
	static unsigned char bytes[2][DIM * 4 + 8];

	for (int32_t metric = METRIC_COSINE; metric <= METRIC_IP; metric++) {
		unsigned int bad = 0;
		unsigned int moved = 0;

		for (int round = 0; round < DIMS * 8; round++) {
			uint32_t dim = dims[round % DIMS];
			int how = round / DIMS;
			size_t at = 1 + test_below(state, 3);
			double size;
			double mine;

			if (is_left_out())
				continue;
			if (dim > 1000 && metric == METRIC_COSINE)
				dim = 257;
			pair_make(state, how, a, b, dim);
			size =
			    metric == METRIC_IP ? product_size(a, b, dim) : 0;
			mine = kernel->exact(metric, a, b, dim);
			bad += !is_near(
			    mine, (double)distance_truth(metric, a, b, dim),
			    1e-12, size);
			memcpy(bytes[0] + at, a, dim * 4);
			memcpy(bytes[1] + 4 - at, b, dim * 4);
			moved +=
			    kernel->exact(metric, (const void *)(bytes[0] + at),
					  (const void *)(bytes[1] + 4 - at),
					  dim) != mine;
		}
		is_u64(bad, 0, "%s, %s: exact is good to 1e-12", kernel->name,
		       metric_names[metric]);
		is_u64(moved, 0, "%s, %s: at any address", kernel->name,
		       metric_names[metric]);
	}
	memset(a, 0, sizeof(a));
	ok(kernel->exact(METRIC_COSINE, a, b, 17) == 1,
	   "%s: nothing is at distance 1 from all", kernel->name);
	ok(kernel->exact(METRIC_COSINE, b, b, 4096) == 0,
	   "%s: a vector is at distance 0 from itself", kernel->name);
}

static void reads_end_where_the_vectors_end(const struct kernel *kernel,
					    uint64_t *state)
{
	const uint32_t last = ROWS - 1;
	struct fence a;
	struct fence b;
	float distance;

	fence_init(&a, DIM * 4);
	fence_init(&b, DIM * 4);
	for (uint32_t dim = 2; dim <= 130; dim++) {
		float *x = (void *)(a.end - dim * 4);
		float *y = (void *)(b.end - dim * 4);

		pair_make(state, 0, x, y, dim);
		for (int32_t metric = 1; metric <= 3; metric++)
			kernel->exact(metric, x, y, dim);
	}
	for (uint32_t dim = 2; dim <= 130; dim++) {
		bank_make(state, 1 + (int32_t)dim % 3, dim, KIND_RANDOM);
		(void)row_ranked(kernel, ROWS - 1);
		kernel->row16(&bank.query, bank_row16(ROWS - 1), 1);
		kernel->row16(&bank.query, bank_row16(ROWS - 1), 0x1p60f);
		kernel->row32(&bank.query, bank_row32(ROWS - 1));
		if (bank.codes == CODES_U8)
			kernel->coded(&bank.query, bank_row(ROWS - 1));
		kernel->codes[bank.codes].gather(
		    &bank.query, bank_row(0), bank.stride, &last, 1, &distance);
		kernel->codes[bank.codes].between(
		    bank.metric, dim, bank_row(ROWS - 1), bank_row(ROWS - 1));
		bank_release();
	}
	ok(1, "%s, %s: nothing is read behind a row or a vector", kernel->name,
	   code_names[bank.codes]);
	fence_release(&a);
	fence_release(&b);
}

static void the_true_distance_is_in_its_range(const struct kernel *kernel,
					      uint64_t *state)
{
	unsigned int outside = 0;
	unsigned int wide = 0;

	for (int round = 0; round < 6 * DIMS; round++) {
		int32_t metric = 1 + round % 3;

		if (is_left_out())
			continue;
		bank_make(state, metric, dims[round % DIMS],
			  (enum kind)(round % KINDS));
		for (uint32_t r = 0; r < ROWS; r++) {
			struct row_code code;
			double low;
			double high;
			double had = row_ranked(kernel, r);

			memcpy(&code, bank_row(r) + ROW_CODE_OFFSET,
			       sizeof(code));
			query_range(&bank.query, &code,
				    code_row16_error(metric), had, &low, &high);
			outside +=
			    !(bank.exact[r] >= low && bank.exact[r] <= high);
			wide += round % KINDS == KIND_RANDOM &&
				!(high - low <= 0.02 * (double)bank.dim);
			if (code_is_row(bank.codes))
				continue;
			had = kernel->row32(&bank.query, bank_row32(r));
			query_range(&bank.query, &code,
				    code_row32_error(metric), had, &low, &high);
			outside +=
			    !(bank.exact[r] >= low && bank.exact[r] <= high);
		}
		bank_release();
	}
	is_u64(outside, 0, "%s, %s: the true distance is in the range given",
	       kernel->name, code_names[bank.codes]);
	is_u64(wide, 0, "%s: and the range is narrow", kernel->name);
}

/* Links in runs, repeated, zero and out of range, as a torn node may have. */
static void unmarked_is_the_same(const struct kernel *kernel, uint64_t *state)
{
	enum { LINKS = 256, LIMIT = 1000, WORDS = LIMIT / 64 + 1 };
	static _Atomic uint32_t links[LINKS];
	static uint32_t fresh[2][LINKS + 17];
	uint64_t marks[2][WORDS];
	unsigned int found = 0;
	unsigned int marked = 0;
	unsigned int over = 0;

	for (int round = 0; round < 400; round++) {
		size_t count = 16 * test_below(state, LINKS / 16 + 1);
		uint32_t limit = 1 + (uint32_t)test_below(state, LIMIT);
		uint64_t reach = round % 4 ? LIMIT + 50 : UINT64_C(1) << 32;
		size_t had[2];

		if (round % 8 == 0)
			memset(marks, 0, sizeof(marks));
		for (size_t i = 0; i < count; i++)
			atomic_store_explicit(
			    &links[i],
			    test_below(state, 9)
				? (uint32_t)test_below(state, reach)
				: 0,
			    memory_order_relaxed);
		fresh[0][count + 16] = 4711;
		had[0] =
		    kernel->unmarked(links, count, limit, marks[0], fresh[0]);
		had[1] = kernel_scalar.unmarked(links, count, limit, marks[1],
						fresh[1]);
		found += had[0] != had[1] ||
			 memcmp(fresh[0], fresh[1], had[1] * 4) != 0;
		marked += memcmp(marks[0], marks[1], sizeof(marks[0])) != 0;
		over += fresh[0][count + 16] != 4711;
	}
	is_u64(found, 0, "%s: the unmarked links are the same, in order",
	       kernel->name);
	is_u64(marked, 0, "%s: and so are the marks", kernel->name);
	is_u64(over, 0, "%s: nothing is written behind the room for them",
	       kernel->name);
}

static void hamming_counts_bits(const struct kernel *kernel, uint64_t *state)
{
	enum { SIGNED = 67 };
	static _Atomic uint64_t signs[SIGNED * 4];
	uint16_t distances[SIGNED + 1];
	uint64_t query[4];
	unsigned int wrong = 0;

	for (int round = 0; round < 100; round++) {
		size_t count = test_below(state, SIGNED + 1);

		for (size_t i = 0; i < SIGNED * 4; i++)
			atomic_store_explicit(&signs[i], test_random(state),
					      memory_order_relaxed);
		for (size_t i = 0; i < 4; i++)
			query[i] = test_random(state);
		distances[count] = 4711;
		kernel->hamming(query, signs, count, distances);
		wrong += distances[count] != 4711;
		for (size_t i = 0; i < count; i++) {
			uint32_t bits = 0;

			for (size_t j = 0; j < 256; j++)
				bits += (query[j / 64] >> (j % 64) & 1) !=
					(signs[i * 4 + j / 64] >> (j % 64) & 1);
			wrong += distances[i] != bits;
		}
	}
	is_u64(wrong, 0, "%s: bits that differ are counted", kernel->name);
}

static void a_kernel_is_chosen_by_name(void)
{
	const struct kernel *best = kernel_choose(NULL);

	ok(best, "there is a best kernel");
	is_str(kernel_choose("scalar")->name, "scalar",
	       "scalar is always there");
	ok(!kernel_choose("mmx") && !kernel_choose(""),
	   "an unknown name is no kernel");
	ok(kernel_choose(best->name) == best, "the best one is had by name: %s",
	   best->name);
}

/* All but what is of u8, or of no kind. */
static void codes_test(const struct kernel *kernel, uint64_t *state,
		       int32_t codes)
{
	bank.codes = codes;
	a_kernel_codes_as_the_plain_one(kernel, state);
	reads_end_where_the_vectors_end(kernel, state);
	no_limit_keeps_everything(kernel, state);
	no_row_that_matters_is_pruned(kernel, state);
	any_count_of_rows_gives_the_same(kernel, state);
	if (codes != CODES_B1) {
		most_rows_that_are_far_are_pruned(kernel, state);
		pruning_works_at_other_scales(kernel, state);
	}
	torn_rows_do_no_harm(kernel, state);
	the_true_distance_is_in_its_range(kernel, state);
	bank.codes = CODES_U8;
}

int main(void)
{
	static const char *const names[] = {"scalar", "avx2", "avx512", "neon",
					    "neon-dot"};
	const char *text = getenv("COPPICE_TEST_STRIDE");
	uint64_t state;

	test_begin(600);
	state = test_seed();
	if (text && atoi(text) > 1)
		stride = (unsigned int)atoi(text);
	a_kernel_is_chosen_by_name();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct kernel *kernel = kernel_choose(names[i]);

		if (!kernel) {
			skip("%s is not built or not runnable here", names[i]);
			continue;
		}
		a_kernel_agrees_with_the_plain_one(kernel, &state);
		unmarked_is_the_same(kernel, &state);
		hamming_counts_bits(kernel, &state);
		exact_is_exact(kernel, &state);
		reads_end_where_the_vectors_end(kernel, &state);
		no_limit_keeps_everything(kernel, &state);
		no_row_that_matters_is_pruned(kernel, &state);
		any_count_of_rows_gives_the_same(kernel, &state);
		most_rows_that_are_far_are_pruned(kernel, &state);
		pruning_works_at_other_scales(kernel, &state);
		torn_rows_do_no_harm(kernel, &state);
		the_true_distance_is_in_its_range(kernel, &state);
		stride *= OTHER_STRIDE;
		for (int32_t codes = CODES_F16; codes < CODES_KINDS; codes++)
			codes_test(kernel, &state, codes);
		stride /= OTHER_STRIDE;
	}
	return done_testing();
}
