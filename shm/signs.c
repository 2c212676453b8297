/* SPDX-License-Identifier: Apache-2.0 */
#include "signs.h"
#include "kernel.h"
#include "point.h"
#include "segment.h"

#include <string.h>

enum {
	ROW_BYTES = SIGNS_WORDS * 8,
	CHUNK = 512, /* rows whose distances are computed at once */
	ROUNDS = 2,  /* of a rotation */
	SEEDS = 4    /* of so many candidates one is a seed of a walk */
};

static struct signs_head *head_of(const struct segment *segment)
{
	return region_at(segment->header, segment_region(segment, REGION_SIGNS),
			 0, sizeof(struct signs_head));
}

/* The bits of `count` rows, NULL if they are not all there. */
static _Atomic uint64_t *signs_at(const struct segment *segment, uint32_t row,
				  uint32_t count)
{
	return region_at(segment->header, segment_region(segment, REGION_SIGNS),
			 sizeof(struct signs_head) + (uint64_t)row * ROW_BYTES,
			 (uint64_t)count * ROW_BYTES);
}

int signs_kept(const struct segment *segment)
{
	return segment->header->signs && segment->bank.dim >= SIGNS_DIM;
}

int signs_ready(const struct segment *segment)
{
	const struct signs_head *head =
	    signs_kept(segment) ? head_of(segment) : NULL;

	/* SI1: acquires thresholds and bits */
	return head &&
	       atomic_load_explicit(&head->sampled, memory_order_acquire) != 0;
}

int signs_reserve(struct segment *segment, uint32_t row)
{
	if (!signs_kept(segment))
		return 0;
	return segment_grow(segment, REGION_SIGNS,
			    sizeof(struct signs_head) +
				(row + UINT64_C(1)) * ROW_BYTES);
}

uint64_t signs_bytes(const struct segment *segment)
{
	return signs_kept(segment)
		   ? sizeof(struct signs_head) +
			 (uint64_t)bank_count(segment) * ROW_BYTES
		   : 0;
}

/* ---- projections -------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void signs_flip(float *x, uint32_t size, uint64_t seed)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < size; i++) {
		if (i % 64 == 0)
			bits = mix(seed + i);
		x[i] = bits >> (i % 64) & 1 ? -x[i] : x[i];
	}
}

/* The fast Walsh-Hadamard transform; size is a power of two. */
static void hadamard(float *x, uint32_t size)
{
	for (uint32_t half = 1; half < size; half *= 2)
		for (uint32_t at = 0; at < size; at += 2 * half)
			for (uint32_t i = at; i < at + half; i++) {
				float sum = x[i] + x[i + half];

				x[i + half] = x[i] - x[i + half];
				x[i] = sum;
			}
}

/* Coordinates of a vector in SIGNS_BITS directions. */
static void project(const float *vector, uint32_t dim, float out[SIGNS_BITS])
{
	float x[CODE_DIM_MAX];
	uint32_t size = SIGNS_DIM;

	while (size < dim)
		size *= 2;
	for (uint32_t at = 0; at < SIGNS_BITS; at += size) {
		uint32_t count =
		    size < SIGNS_BITS - at ? size : SIGNS_BITS - at;

		memcpy(x, vector, dim * sizeof *x);
		memset(x + dim, 0, (size - dim) * sizeof *x);
		for (uint64_t round = 0; round < ROUNDS; round++) {
			signs_flip(x, size,
				   (round * SIGNS_BITS + at + 1) << 32);
			hadamard(x, size);
		}
		memcpy(out + at, x, count * sizeof *x);
	}
}

static void signs_make(const struct signs_head *head, const float *vector,
		       uint32_t dim, uint64_t bits[SIGNS_WORDS])
{
	float along[SIGNS_BITS];

	project(vector, dim, along);
	memset(bits, 0, SIGNS_WORDS * sizeof *bits);
	for (uint32_t i = 0; i < SIGNS_BITS; i++) {
		/* relaxed: SI1 has them, or none is searched by yet */
		float threshold = atomic_load_explicit(&head->thresholds[i],
						       memory_order_relaxed);

		bits[i / 64] |= (uint64_t)(along[i] > threshold) << i % 64;
	}
}

/* ---- signing ------------------------------------------------------------ */

static void row_sign(const struct segment *segment,
		     const struct signs_head *head, uint32_t row)
{
	_Atomic uint64_t *at = signs_at(segment, row, 1);
	float vector[CODE_DIM_MAX];
	uint64_t bits[SIGNS_WORDS];

	if (!at || !bank_floats(segment, row, vector))
		return;
	signs_make(head, vector, segment->bank.dim, bits);
	for (uint32_t i = 0; i < SIGNS_WORDS; i++) /* relaxed: a hint */
		atomic_store_explicit(&at[i], bits[i], memory_order_relaxed);
}

void signs_put(const struct segment *segment, uint32_t row)
{
	if (signs_ready(segment))
		row_sign(segment, head_of(segment), row);
}

/* Means of the projections of rows spread over the bank. */
static void thresholds_learn(const struct segment *segment,
			     struct signs_head *head)
{
	uint32_t rows = bank_count(segment) - 1;
	double sums[SIGNS_BITS] = {0};
	float vector[CODE_DIM_MAX];
	float along[SIGNS_BITS];
	uint32_t count = 0;

	for (uint32_t i = 0; i < SIGNS_SAMPLE; i++) {
		uint32_t row =
		    1 + (uint32_t)((uint64_t)rows * i / SIGNS_SAMPLE);

		if (!bank_is_used(segment, row) ||
		    !bank_floats(segment, row, vector))
			continue;
		project(vector, segment->bank.dim, along);
		for (uint32_t j = 0; j < SIGNS_BITS; j++)
			sums[j] += (double)along[j];
		count++;
	}
	for (uint32_t j = 0; j < SIGNS_BITS; j++) /* relaxed: SI1 */
		atomic_store_explicit(&head->thresholds[j],
				      count ? (float)(sums[j] / count) : 0,
				      memory_order_relaxed);
}

void signs_learn(struct segment *segment)
{
	struct signs_head *head = signs_kept(segment) ? head_of(segment) : NULL;
	uint32_t rows = bank_count(segment);

	if (!head || rows <= SIGNS_SAMPLE || signs_ready(segment))
		return;
	thresholds_learn(segment, head);
	point("signs-learned");
	for (uint32_t row = 1; row < rows; row++)
		if (hnsw_is_linked(segment, row))
			row_sign(segment, head, row);
	point("signs-signed");
	/* SI1: publishes thresholds and bits */
	atomic_store_explicit(&head->sampled, rows - 1, memory_order_release);
}

/* ---- searching ---------------------------------------------------------- */

/* Those of the least distance so far; see pick_add. */
struct pick {
	uint64_t *rows; /* distance << 32 | row, in no order */
	uint32_t count;
	uint32_t wanted;
	uint32_t room;
	uint32_t cutoff; /* nothing beyond it is needed */
	uint32_t within; /* how many there are up to it */
	uint32_t counts[SIGNS_BITS + 1];
};

/* Drops what is beyond the cutoff. */
static void pick_compact(struct pick *pick)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < pick->count; i++) {
		pick->rows[kept] = pick->rows[i];
		kept += pick->rows[i] >> 32 <= pick->cutoff;
	}
	pick->count = kept;
}

static void pick_add(struct pick *pick, uint32_t row, uint32_t distance)
{
	if (pick->count == pick->room)
		pick_compact(pick);
	if (pick->count == pick->room)
		return; /* as many at the same distance */
	pick->rows[pick->count++] = (uint64_t)distance << 32 | row;
	pick->counts[distance]++;
	pick->within++;
	while (pick->within - pick->counts[pick->cutoff] >= pick->wanted)
		pick->within -= pick->counts[pick->cutoff--];
}

/* Filters are asked early, or those that pass would be crowded out. */
static int is_early(const struct hnsw_sieve *sieve)
{
	return sieve && (sieve->all || sieve->any || sieve->entities ||
			 sieve->passes || sieve->type);
}

static void pick_scan(const struct segment *segment,
		      const struct hnsw_search *search, struct pick *pick,
		      const uint64_t query[SIGNS_WORDS])
{
	uint32_t limit = hnsw_limit(segment);
	int early = is_early(search->sieve);
	uint16_t distances[CHUNK];

	for (uint32_t first = 1; first < limit; first += CHUNK) {
		uint32_t count = limit - first < CHUNK ? limit - first : CHUNK;
		const _Atomic uint64_t *signs = signs_at(segment, first, count);

		if (!signs)
			break;
		segment->kernel->hamming(query, signs, count, distances);
		for (uint32_t i = 0; i < count; i++) {
			if (distances[i] > pick->cutoff ||
			    (early && !hnsw_sieve_passes(
					  search->sieve,
					  bank_line_at(segment, first + i))))
				continue;
			pick_add(pick, first + i, distances[i]);
		}
	}
	pick_compact(pick);
}

/* Rows of the least distance, into the room's memory; returns how many. */
static uint32_t pick_make(const struct segment *segment,
			  const struct hnsw_search *search, uint32_t wanted)
{
	struct pick pick = {.rows = search->room->picked,
			    .wanted = wanted,
			    .room = HNSW_PICK_MAX,
			    .cutoff = SIGNS_BITS};
	uint32_t *rows = (uint32_t *)(void *)search->room->picked;
	uint64_t query[SIGNS_WORDS];

	signs_make(head_of(segment), search->query->vector, segment->bank.dim,
		   query);
	pick_scan(segment, search, &pick, query);
	for (uint32_t i = 0; i < pick.count; i++)
		rows[i] = (uint32_t)pick.rows[i];
	return pick.count;
}

void signs_walk(const struct segment *segment, struct hnsw_search *search,
		int on)
{
	const uint32_t *rows = (const void *)search->room->picked;
	uint32_t wanted = on ? search->ef / SEEDS + 1 : search->ef;
	uint32_t waiting;

	search->room->pool_count = 0;
	if (on)
		(void)hnsw_descend(segment, search, 0);
	waiting = hnsw_tail_weigh(segment, search); /* G1: before the scan */
	if (signs_ready(segment))
		hnsw_weigh(segment, search, rows,
			   pick_make(segment, search, wanted));
	if (on)
		hnsw_walk_level(segment, search, 0);
	hnsw_tail_merge(search, waiting);
}
