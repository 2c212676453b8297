/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: small entities' records, kept in shared memory as LMDB has them.
 *
 * idea
 *	The id map leads to an entity's head in two cache misses; its record in
 *	LMDB is a B-tree away.  So a record of at most the store's limit is
 *	copied into a block that the head names, and a read by key is three
 *	lines in all.  A block is written once, before its head names it, and
 *	never changed: a changed record is a new block, and the old one goes to
 *	limbo.  The copy is a cache like all of the segment: a reader that may
 *	not trust the head, or finds no block, asks LMDB.
 *
 * layout
 *	REGION_RECORDS in units of 64 bytes; unit 0 is none.  A block has as
 *	many units as its record takes, and is found by walking from unit 1
 *	on, since its size says where the next one is, in use or free.
 *
 *	0      4        8
 *	size   entity   the record ...
 *
 *	A free block's entity is 0; its size stays, and its first four bytes
 *	are the next free block of as many units.
 *
 * ordering
 *	H2 (head.h)	a block is filled before the head that names it is
 *			finished; head_read acquires it.
 *	Its end of life is limbo's: a block that commit N replaced is used
 *	again when no slot publishes less than N, so what a reader borrows
 *	stays as it is for as long as its snapshot is published.
 *
 * progress
 *	record_peek: wait-free.  The rest: writer lock held.
 *
 * crash
 *	A block is in use if the head of its entity names it.  Recovery clears
 *	the records out of limbo and records_collect walks all blocks: the free
 *	ones are listed anew, those that no head names go to limbo.  A block's
 *	size is stored before unit_count takes it in, and never changes its
 *	number of units, so the walk finds every block whatever was cut off.
 *
 * limits
 *	Records of at most RECORD_BYTES_MAX.  Blocks are neither split nor
 *	joined: what is free of one size serves records of that size, until
 *	the segment is built again.
 */
#ifndef SHM_RECORD_H
#define SHM_RECORD_H

#include "prefetch.h"
#include "region.h"

struct segment;

enum {
	RECORD_UNIT = 64,
	RECORD_HEADER = 8,
	RECORD_BYTES_MAX = 4096,
	RECORD_UNITS_MAX =
	    (RECORD_HEADER + RECORD_BYTES_MAX + RECORD_UNIT - 1) / RECORD_UNIT
};

struct record_block {
	_Atomic uint32_t size;
	_Atomic uint32_t entity; /* 0: the block is free */
	unsigned char bytes[];
};

static_assert(sizeof(struct record_block) == RECORD_HEADER, "block header");

/* Writer lock held to change; the counts are read by any process. */
struct records {
	_Atomic uint64_t unit_count; /* units in blocks, and unit 0 */
	_Atomic uint64_t used;	     /* blocks not free, in limbo or not */
	uint32_t free_units[RECORD_UNITS_MAX + 1]; /* by units of a block */
};

/* What a walk over the blocks sees of one. */
struct record_seen {
	uint32_t unit;
	uint32_t entity; /* 0: it is free */
	uint32_t size;
};

static inline uint32_t record_units(uint32_t size)
{
	return (size + RECORD_HEADER + RECORD_UNIT - 1) / RECORD_UNIT;
}

/* Starts to fetch the first line of a block. */
PREFETCHES record_prefetch(const void *map, const struct region_view *records,
			   uint32_t unit)
{
	const unsigned char *at =
	    region_at(map, records, (uint64_t)unit * RECORD_UNIT, RECORD_UNIT);

	if (!at)
		return;
	__builtin_prefetch(at);
}

/*
 * The record in a block that a head named, NULL if it is not that entity's or
 * out of range.
 * Lifetime	while the snapshot at which the head was read is published
 */
static inline const void *record_peek(const void *map,
				      const struct region_view *records,
				      uint32_t unit, uint32_t entity,
				      uint32_t *size)
{
	uint64_t at = (uint64_t)unit * RECORD_UNIT;
	const struct record_block *block =
	    unit ? region_at(map, records, at, RECORD_UNIT) : NULL;
	uint32_t bytes;

	if (!block)
		return NULL;
	/* relaxed: H2 was acquired with the head */
	bytes = atomic_load_explicit(&block->size, memory_order_relaxed);
	if (atomic_load_explicit(&block->entity, memory_order_relaxed) !=
		entity ||
	    bytes > RECORD_BYTES_MAX ||
	    !region_at(map, records, at, RECORD_HEADER + (uint64_t)bytes))
		return NULL;
	*size = bytes;
	return block->bytes;
}

/* The rest is for who holds the writer lock. */

/*
 * Copies a record into a block of its own, which no head names yet.
 * size		1 to RECORD_BYTES_MAX
 * Returns	0, or ENOSPC and the like.
 */
int record_keep(struct segment *segment, uint32_t entity, const void *record,
		uint32_t size, uint32_t *unit);

/* The room that a block takes; 0 if there is none. */
uint64_t record_block_bytes(const struct segment *segment, uint32_t unit);

/* Puts a block that left limbo on its free list. */
void record_free(struct segment *segment, uint32_t unit);

/*
 * The next block of a walk over all of them.
 * next		where it is; 1 at first
 * Returns	1, 0 at the end, -1 if there is no block where one must be.
 */
int record_next(const struct segment *segment, uint64_t *next,
		struct record_seen *seen);

/* Blocks on the free lists, by following them. */
uint64_t record_free_length(const struct segment *segment);

/*
 * After a death: makes the free lists anew and sends every block that is in
 * no head to limbo, out of reach from `commit` on.  Room is made in limbo,
 * from which the records were taken before.
 * Returns	0, EINVAL if the blocks are damaged, or as limbo_reserve.
 */
int records_collect(struct segment *segment, uint64_t commit);

#endif
