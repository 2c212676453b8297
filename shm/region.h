/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions of a segment and pointers into them.
 *
 * idea
 *	What is stored in a segment names its neighbours by numbers: a row, an
 *	entity, a block of 64 bytes.  region_at is the one way from a number to
 *	a pointer, and it checks the number against what is published, since
 *	any number in shared memory may be another process's mistake.
 */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum region_id {
	REGION_IDMAP = 0, /* tables of the id map */
	REGION_TEXT = 1,  /* keys' bytes */
	REGION_HEADS = 2, /* a head for each entity id */
	REGION_CODES = 3, /* the bank: header lines and codes */
	REGION_ROWS = 4,  /* the bank: full rows */
	REGION_EDGES = 5, /* blocks of adjacency lists */
	REGION_BLOOM = 6, /* layers of the bloom filters */
	REGION_INTENT = 7,
	REGION_LIMBO = 8,
	REGION_RECORDS = 9,  /* copies of small records */
	REGION_LINKS = 10,   /* the graph: links of each row, lowest level */
	REGION_UPPER = 11,   /* and of the higher levels */
	REGION_NODES = 12,   /* a word for each row */
	REGION_TAIL = 13,    /* rows that wait to be linked */
	REGION_SIGNS = 14,   /* signatures of rows, see signs.h */
	REGION_TREE = 15,    /* the tree's leaves and nodes */
	REGION_LEAVES = 16,  /* the leaf of each row */
	REGION_NIBBLES = 17, /* the bank: the upper halves of the codes */
	REGION_LISTS = 18,   /* where each entity's adjacency lists begin */
	REGION_COUNT = 19
};

/* In the segment. */
struct region {
	uint64_t offset;	    /* fixed after create */
	uint64_t reserved;	    /* fixed after create */
	_Atomic uint64_t published; /* writer lock to change */
};

static_assert(sizeof(struct region) == 24, "region is 24 bytes");

/*
 * In this process: where the region is was checked once and is kept here,
 * so that a scribble over the segment cannot lead a reader out of its map.
 */
struct region_view {
	uint64_t offset;
	uint64_t reserved;
	_Atomic uint64_t *published;
};

/* Bytes that may be touched.  P1: acquires what segment_grow published. */
static inline uint64_t region_bytes(const struct region_view *region)
{
	uint64_t bytes =
	    atomic_load_explicit(region->published, memory_order_acquire);

	return bytes <= region->reserved ? bytes : 0;
}

/*
 * Pointer to `bytes` bytes at `offset` of a region of the segment mapped at
 * `map`; NULL if they are not all published.
 */
static inline void *region_at(const void *map, const struct region_view *region,
			      uint64_t offset, uint64_t bytes)
{
	uint64_t have = region_bytes(region);

	if (offset > have || bytes > have - offset)
		return NULL;
	return (unsigned char *)(uintptr_t)map + region->offset + offset;
}

#endif
