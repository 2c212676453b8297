/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether walks go by the upper halves of the codes.
 *
 * idea
 *	A walk is bound by the bytes it reads.  The upper four bits of each
 *	code lie by themselves as well, so that it reads half as many; what it
 *	ends with is put into order by the codes.  That serves where neighbours
 *	differ by more than four bits can lose, and fails among vectors that
 *	are nearly alike, whose order then is chance.
 *
 *	So it is measured, on what every new node meets: of its ten nearest by
 *	their codes, how many are among the twenty nearest by nibbles.  Every
 *	sixteenth node asks, old answers lose their weight, and as long as they
 *	are nearly all the walks go by nibbles, those that link too.
 */
#include "hnsw.h"
#include "kernel.h"
#include "segment.h"

enum {
	NEAREST = 10,
	AMONG = 20,
	POOL_LEAST = 50, /* or the question is too easy */
	EVERY = 16,
	ASKED_LEAST = 64 * NEAREST,
	ASKED_MOST = 1024 * NEAREST
};

/* Of so many so many must be found. */
enum { SHARE_OF = 1000, SHARE_FOUND = 985 };

/* The word: asked above, found below. */
static uint64_t word_of(uint64_t asked, uint64_t found)
{
	return asked << 32 | found;
}

int hnsw_by_nibbles(const struct segment *segment)
{
	/* relaxed: nothing depends on it but time */
	uint64_t word = atomic_load_explicit(&segment->header->hnsw.nibbles,
					     memory_order_relaxed);
	uint64_t asked = word >> 32;
	uint64_t found = word & UINT32_MAX;

	return segment->bank.nibble_bytes && asked >= ASKED_LEAST &&
	       found * SHARE_OF >= asked * SHARE_FOUND;
}

/* How many of the first are among the nearest by these distances. */
static uint32_t found_of(const float *distances, uint32_t count)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < NEAREST; i++) {
		uint32_t nearer = 0;

		for (uint32_t j = 0; j < count; j++)
			nearer += distances[j] < distances[i];
		found += nearer < AMONG;
	}
	return found;
}

static void answer_add(_Atomic uint64_t *at, uint32_t found)
{
	uint64_t seen = atomic_load_explicit(at, memory_order_relaxed);
	uint64_t next;

	do {
		next = seen + word_of(NEAREST, found);
		if (next >> 32 >= ASKED_MOST)
			next =
			    word_of((next >> 32) / 2, (next & UINT32_MAX) / 2);
	} while (!atomic_compare_exchange_weak_explicit(
	    at, &seen, next, memory_order_relaxed, memory_order_relaxed));
}

void hnsw_nibbles_judge(const struct segment *segment, uint32_t row,
			const struct hnsw_search *search)
{
	const struct hnsw_room *room = search->room;
	uint32_t bytes = segment->bank.nibble_bytes;
	float distances[HNSW_EF_BUILD];
	uint32_t rows[HNSW_EF_BUILD];
	const void *nibbles;
	uint32_t count = 0;

	if (!bytes || row % EVERY)
		return;
	for (uint32_t i = 0; i < room->pool_count && i < HNSW_EF_BUILD; i++) {
		rows[count] = hnsw_row_of(room->pool[i]);
		count += rows[count] != row;
	}
	nibbles =
	    region_at(segment->header, segment_region(segment, REGION_NIBBLES),
		      0, (uint64_t)hnsw_limit(segment) * bytes);
	if (!nibbles || count < POOL_LEAST)
		return;
	segment->kernel->nibbles(search->query, nibbles, bytes, rows, count,
				 distances);
	answer_add(&segment->header->hnsw.nibbles, found_of(distances, count));
}
