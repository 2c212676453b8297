/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a graph learns about its vectors while they are linked: which short
 * cuts serve.
 *
 * idea
 *	nibbles	A walk is bound by the bytes it reads.  The upper four bits of
 *		each code lie by themselves as well, so that it reads half as
 *		many; what it ends with is put into order by the codes.  That
 *		serves where neighbours differ by more than four bits can
 *		lose, and fails among vectors that are nearly alike, whose
 *		order then is chance.
 *	quiet	A new node's search for neighbours may end when the nearest
 *		have not changed for a while, at half the cost.  Among vectors
 *		in clusters it would miss what lies behind others.
 *
 *	So both are measured, on every sixteenth node: of its ten nearest by
 *	their codes, how many are among the twenty nearest by nibbles; and
 *	whether most of the nearest that a whole search finds were there when
 *	it might have ended.  It is no harm if a few were not, but where one
 *	search in fifty misses most of them, a cluster out of sight, as many
 *	nodes are hard to find.  Old answers lose their weight, half of it with
 *	some eight thousand nodes.
 *
 *	A few vectors that nibbles do not tell apart may be among many that
 *	they do.  So each walk looks at what it ends with: if distances by
 *	nibbles say little of those by codes there, it is made again by codes.
 */
#include "hnsw.h"
#include "kernel.h"
#include "segment.h"

enum {
	NEAREST = 10,
	WEIGHT = NEAREST, /* of a node's answer */
	AMONG = 20,
	POOL_LEAST = 100, /* or the question is too easy */
	EVERY = 16,
	MOST = 12,	  /* of HNSW_NOTED */
	ASKED_LEAST = 64, /* nodes, before their answers count */
	ASKED_MOST = 512,
	SHARE_OF = 1000,
	SHARE_BY_NIBBLES = 985, /* of so many */
	SHARE_QUIET = 990
};

/* A word: asked above, found below. */
static uint64_t word_of(uint64_t asked, uint64_t found)
{
	return asked << 32 | found;
}

static int word_agrees(const _Atomic uint64_t *at, uint64_t share)
{
	/* relaxed: nothing depends on it but time */
	uint64_t word = atomic_load_explicit(at, memory_order_relaxed);
	uint64_t asked = word >> 32;
	uint64_t found = word & UINT32_MAX;

	return asked >= ASKED_LEAST * WEIGHT &&
	       found * SHARE_OF >= asked * share;
}

/* found	of WEIGHT */
static void word_add(_Atomic uint64_t *at, uint64_t found)
{
	uint64_t seen = atomic_load_explicit(at, memory_order_relaxed);
	uint64_t next;

	do {
		next = seen + word_of(WEIGHT, found);
		if (next >> 32 >= ASKED_MOST * WEIGHT)
			next =
			    word_of((next >> 32) / 2, (next & UINT32_MAX) / 2);
	} while (!atomic_compare_exchange_weak_explicit(
	    at, &seen, next, memory_order_relaxed, memory_order_relaxed));
}

int hnsw_by_nibbles(const struct segment *segment)
{
	return segment->bank.nibble_bytes &&
	       word_agrees(&segment->header->hnsw.nibbles, SHARE_BY_NIBBLES);
}

int hnsw_ends_early(const struct segment *segment)
{
	return word_agrees(&segment->header->hnsw.quiet, SHARE_QUIET);
}

int hnsw_judges(uint32_t row)
{
	return row % EVERY == 0;
}

/* ---- by nibbles --------------------------------------------------------- */

/*
 * How many as near as the tenth are among the nearest by these distances.  Of
 * those that are as far by nibbles the farthest count as the first: what tells
 * nothing apart finds nothing.
 */
static uint32_t found_of(const uint64_t *pool, const float *distances,
			 uint32_t count)
{
	uint64_t last = pool[NEAREST - 1] >> 32;
	uint32_t found = 0;

	for (uint32_t i = 0; i < count && pool[i] >> 32 <= last; i++) {
		uint32_t before = 0;

		for (uint32_t j = 0; j < count; j++)
			before += distances[j] < distances[i] ||
				  (j > i && distances[j] == distances[i]);
		found += before < AMONG;
	}
	return found < NEAREST ? found : NEAREST;
}

static void judge_nibbles(const struct segment *segment,
			  const struct hnsw_search *search)
{
	const struct hnsw_room *room = search->room;
	uint32_t bytes = segment->bank.nibble_bytes;
	uint32_t count = room->pool_count;
	float distances[HNSW_EF_BUILD];
	uint32_t rows[HNSW_EF_BUILD];
	const void *nibbles;

	if (count > HNSW_EF_BUILD)
		count = HNSW_EF_BUILD;
	for (uint32_t i = 0; i < count; i++)
		rows[i] = hnsw_row_of(room->pool[i]);
	nibbles =
	    region_at(segment->header, segment_region(segment, REGION_NIBBLES),
		      0, (uint64_t)hnsw_limit(segment) * bytes);
	if (!nibbles || count < POOL_LEAST)
		return;
	segment->kernel->nibbles(search->query, nibbles, bytes, rows, count,
				 distances);
	word_add(&segment->header->hnsw.nibbles,
		 found_of(room->pool, distances, count));
}

/* ---- an early end ------------------------------------------------------- */

static int is_noted(const struct hnsw_note *note, uint32_t row)
{
	for (uint32_t i = 0; i < HNSW_NOTED; i++)
		if (hnsw_row_of(note->entries[i]) == row)
			return 1;
	return 0;
}

static void judge_quiet(const struct segment *segment,
			const struct hnsw_search *search)
{
	const struct hnsw_room *room = search->room;
	uint32_t found = 0;

	if (room->pool_count < POOL_LEAST)
		return;
	for (uint32_t i = 0; i < HNSW_NOTED; i++)
		found += !search->note->is_made ||
			 is_noted(search->note, hnsw_row_of(room->pool[i]));
	word_add(&segment->header->hnsw.quiet, found >= MOST ? WEIGHT : 0);
}

void hnsw_judge(const struct segment *segment, const struct hnsw_search *search)
{
	judge_quiet(segment, search);
	if (segment->bank.nibble_bytes)
		judge_nibbles(segment, search);
}
