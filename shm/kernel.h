/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: distances and the pruning scan, one set an instruction set.
 *
 * idea
 *	A scan is a filter: from the coded rows it finds those that a proven
 *	bound (see code.h) cannot exclude.  The caller reads the full row of
 *	each survivor under the row's sequence lock.  So a scan may run while
 *	writers rewrite rows, without any order: a torn row is kept or left
 *	out, its new state belongs to a later snapshot or is looked at by the
 *	caller's own check.  What a scan promises whatever the bytes are: it
 *	reads inside the rows only, writes at most `count` indices, each below
 *	count, ascending, and never traps.
 *
 *	One u8 * s8 multiply-add takes 64 dimensions (AVX-512 VNNI); AVX2
 *	widens to 16 bits, since its byte multiply saturates; AArch64 multiplies
 *	s8 by s8 and corrects.  Sixteen rows at a time, or four: their sums are
 *	brought into one register by transposing adds, their headers by 4 x 4
 *	transposes, and the bound is computed for all of them at once, without
 *	a square root.
 *
 *	Of the other kinds of code (see code.h) a row's distance is computed
 *	first, one row after the other, and compared with a bound: how a row is
 *	measured is all that differs, so their functions are written once, in
 *	kernel_kinds.h, and compiled for each instruction set and kind.
 *
 * limits
 *	The full-row kernels give the same value for the same bytes, whatever
 *	the address.  Two kernels may differ by rounding: row16 by less than
 *	2^-16 of the value (for IP: of |q| |x|), row32, rowb16 and exact by
 *	1e-12.
 */
#ifndef SHM_KERNEL_H
#define SHM_KERNEL_H

#include "code.h"
#include "prefetch.h"

#include <stdatomic.h>

enum {
	KERNEL_SCAN_MAX = 4096,
	KERNEL_AHEAD = 8,      /* rows that a gather prefetches */
	KERNEL_AHEAD_LINES = 4 /* lines of each; the processor goes on */
};

/*
 * The coded distances of rows here and there, in float: a hint for a walk,
 * which may be anything, NaN too, where a row is torn.
 * numbers	of rows, each to be multiplied by `stride`
 * distances	room for `count`
 */
typedef void kernel_gatherer(const struct query_code *query,
			     const unsigned char *rows, size_t stride,
			     const uint32_t *numbers, size_t count,
			     float *distances);

/* What is done with rows of one kind of code. */
struct kernel_codes {
	/*
	 * Finds the rows that cannot be left out.
	 * rows		the first row's header; `stride` bytes a row, at least
	 *		64 + code_bytes().
	 * count	up to KERNEL_SCAN_MAX.
	 * limit	the largest distance that still matters, in the
	 *		store's metric (1 - cos, squared L2, -ip); +infinity
	 *		keeps everything.
	 * survivors	room for `count`; their indices, ascending.
	 * Returns	how many.
	 */
	size_t (*scan)(const struct query_code *query,
		       const unsigned char *rows, size_t stride, size_t count,
		       double limit, uint32_t *survivors);

	kernel_gatherer *gather;

	/* The coded distance of two rows. */
	float (*between)(int32_t metric, uint32_t dim, const unsigned char *a,
			 const unsigned char *b);
};

struct kernel {
	const char *name; /* "avx512", "avx2", "neon-dot", "neon", "scalar" */
	struct kernel_codes codes[CODES_KINDS];

	/* The coded, approximate, distance of one row of u8. */
	float (*coded)(const struct query_code *query,
		       const unsigned char *row);

	/* The same from the upper halves of codes alone, see code_nibbles(). */
	kernel_gatherer *nibbles;

	/*
	 * Marks a node's neighbours, and says which were not marked before.
	 * links	numbers in any order, 0: none; a multiple of 16 of them
	 * limit	numbers from it on are left out
	 * marks	a bit a number, `limit` of them
	 * fresh	room for `count` and 16 more
	 * Returns	how many.
	 */
	size_t (*unmarked)(const _Atomic uint32_t *links, size_t count,
			   uint32_t limit, uint64_t *marks, uint32_t *fresh);

	/*
	 * In how many of 256 bits rows differ from a query; see signs.h.
	 * signs	four words a row, which may change meanwhile
	 */
	void (*hamming)(const uint64_t *query, const _Atomic uint64_t *signs,
			size_t count, uint16_t *distances);

	/*
	 * The distance from a row of the bank.  For cosine it is
	 * ||q - x||^2 / 2, which does not cancel for near pairs.
	 * row		dim halves, floats or bfloat16, any alignment of their
	 *		own size.
	 */
	double (*row16)(const struct query_code *query, const uint16_t *row,
			float row_scale);
	double (*row32)(const struct query_code *query, const float *row);
	double (*rowb16)(const struct query_code *query, const uint16_t *row);

	/*
	 * The distance of two float vectors, in double: good to 1e-12 of the
	 * value, for IP of |q| |x|, and for cosine near 0 too.  Any alignment.
	 * A zero vector is at cosine distance 1 from all.
	 */
	double (*exact)(int32_t metric, const float *query, const float *vector,
			uint32_t dim);
};

/*
 * The kernels of that name, or the best that this processor has if `wanted`
 * is NULL.  NULL if the name is unknown, or neither built nor runnable here.
 */
const struct kernel *kernel_choose(const char *wanted);

/* ---- for the kernels' own files ----------------------------------------- */

#if defined(__x86_64__) && !defined(COP_SCALAR_ONLY)
#define KERNEL_X86 1
#else
#define KERNEL_X86 0
#endif
#if defined(__aarch64__) && !defined(COP_SCALAR_ONLY)
#define KERNEL_NEON 1
#else
#define KERNEL_NEON 0
#endif

/* Rows may change while they are read: see the essay. */
#define KERNEL_TORN __attribute__((no_sanitize("thread")))

extern const struct kernel kernel_scalar;
#if KERNEL_X86
extern const struct kernel kernel_avx2;
extern const struct kernel kernel_avx512;
#endif
#if KERNEL_NEON
extern const struct kernel kernel_neon;
extern const struct kernel kernel_neon_dot;
#endif

/* Sets the marks of numbers; returns how many of them were not set. */
static inline size_t kernel_mark(uint64_t *marks, uint32_t *numbers,
				 size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t number = numbers[i];
		uint64_t bit = UINT64_C(1) << (number & 63);
		uint64_t word = marks[number / 64];

		marks[number / 64] = word | bit;
		numbers[kept] = number;
		kept += !(word & bit);
	}
	return kept;
}

/* A `hamming`, to be inlined where there is an instruction that counts. */
KERNEL_TORN static inline __attribute__((always_inline)) void
kernel_hamming(const uint64_t *query, const _Atomic uint64_t *signs,
	       size_t count, uint16_t *distances)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t sum = 0;

		for (size_t j = 0; j < 4; j++) /* relaxed: a hint */
			sum += (uint32_t)__builtin_popcountll(
			    query[j] ^
			    atomic_load_explicit(&signs[i * 4 + j],
						 memory_order_relaxed));
		distances[i] = (uint16_t)sum;
	}
}

/* The plain `unmarked`. */
size_t kernel_unmarked(const _Atomic uint32_t *links, size_t count,
		       uint32_t limit, uint64_t *marks, uint32_t *fresh);

/* Asks for the lines that a gather will read of a row. */
PREFETCHES kernel_ahead(const unsigned char *row, uint32_t lines)
{
	uint32_t count =
	    lines < KERNEL_AHEAD_LINES ? lines + 1 : KERNEL_AHEAD_LINES + 1;

	for (uint32_t i = 0; i < count; i++)
		__builtin_prefetch(row + i * CODE_LINE_BYTES);
}

/*
 * A gather, four rows at a time; what is missing of the last four is filled
 * up with the first of them.
 * four		the distances of four rows; it is to be inlined
 */
typedef void kernel_four(const struct query_code *query,
			 const unsigned char *const *row, float *distances);

KERNEL_TORN static inline __attribute__((always_inline)) void
kernel_gather(const struct query_code *query, const unsigned char *rows,
	      size_t stride, const uint32_t *numbers, size_t count,
	      float *distances, kernel_four *four)
{
	const unsigned char *row[4];
	uint32_t lines = (uint32_t)(stride / CODE_LINE_BYTES) - 1;
	float last[4] = {0};

	for (size_t i = 0; i < count && i < KERNEL_AHEAD; i++)
		kernel_ahead(rows + numbers[i] * stride, lines);
	for (size_t at = 0; at < count; at += 4) {
		size_t left = count - at < 4 ? count - at : 4;

		for (size_t i = 0; i < 4; i++)
			row[i] =
			    rows + numbers[i < left ? at + i : at] * stride;
		for (size_t i = at + KERNEL_AHEAD;
		     i < at + KERNEL_AHEAD + 4 && i < count; i++)
			kernel_ahead(rows + numbers[i] * stride, lines);
		four(query, row, left == 4 ? distances + at : last);
		for (size_t i = 0; left < 4 && i < left; i++)
			distances[at + i] = last[i];
	}
}

/* Where in a row of nibbles its head is. */
static inline uint32_t kernel_nibble_head(const struct query_code *query)
{
	return code_nibble_bytes(query->coded) - NIBBLE_HEAD_BYTES;
}

/* The distance of a row of nibbles from the product with the query's codes. */
KERNEL_TORN static inline float
kernel_nibble_distance(const struct query_code *query, const unsigned char *row,
		       int32_t dot)
{
	const float *head = (const void *)(row + kernel_nibble_head(query));

	/* in this order: both scales may be small */
	return query->base + head[2] * query->weight +
	       head[0] * (float)dot * query->product + head[1] * query->shift +
	       head[3] * query->total;
}

/* The coded distance of two rows from the integer product of their codes. */
float kernel_between(int32_t metric, uint32_t dim, const struct row_code *a,
		     const struct row_code *b, int32_t dot);

/*
 * What the two passes of an exact cosine have summed up: A = |a|^2,
 * B = |b|^2, C = <a,b>; then, with r = b - t a, R = |r|^2 and P = <a,r>.
 */
struct kernel_cosine {
	double a;
	double b;
	double c;
	double r;
	double p;
	double t_high; /* t in two parts of 24 bits: products with a float */
	double t_low;  /* are exact in double */
};

/*
 * Between the passes: 0 if *distance is known already, else 1 with t set.
 */
int kernel_cosine_split(struct kernel_cosine *sums, double *distance);

/* After the second pass. */
double kernel_cosine_join(const struct kernel_cosine *sums);

#endif
