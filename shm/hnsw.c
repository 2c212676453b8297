/* SPDX-License-Identifier: Apache-2.0 */
#include "hnsw.h"
#include "segment.h"

#include <errno.h>
#include <string.h>

enum {
	GROUP_BITS = 4, /* sixteen nodes of a level have one on the next */
	GROUP_MASK = 15,
	LIST_BYTES = HNSW_LINKS * 4,
	UNIT_BYTES = HNSW_M * 4
};

/* ---- levels ------------------------------------------------------------- */

/* Which of the sixteen in a slot is on the level. */
static uint32_t slot_choice(uint32_t slot, uint32_t level)
{
	uint64_t mixed =
	    (slot * UINT64_C(8) + level) * UINT64_C(0x9e3779b97f4a7c15);

	mixed ^= mixed >> 32;
	mixed *= UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(mixed >> 60);
}

uint32_t hnsw_level(uint32_t row)
{
	uint32_t level = 0;

	while (level < HNSW_LEVEL_MAX) {
		uint32_t slot = row >> GROUP_BITS;

		if ((row & GROUP_MASK) != slot_choice(slot, level + 1))
			break;
		row = slot;
		level++;
	}
	return level;
}

uint32_t hnsw_row_at(uint32_t slot, uint32_t level)
{
	for (; level; level--)
		slot = slot << GROUP_BITS | slot_choice(slot, level);
	return slot;
}

/*
 * Units are laid out as a tree is written down, parents first: a slot of a
 * level, then the sixteen slots below it.
 */
static uint64_t upper_unit(uint32_t row, uint32_t level)
{
	uint32_t first = row >> (GROUP_BITS * level)
				    << (GROUP_BITS * (level - 1));
	uint64_t unit = first;

	/* slots above that begin before, and for lower ones here as well */
	for (uint32_t i = 2; i <= HNSW_LEVEL_MAX; i++) {
		uint32_t shift = GROUP_BITS * (i - 1);
		uint32_t begun = (first + (1u << shift) - 1) >> shift;
		int here = !(first & ((1u << shift) - 1));

		unit += begun + (uint32_t)(here && i > level);
	}
	return unit;
}

_Atomic uint32_t *hnsw_links(const struct segment *segment, uint32_t row,
			     uint32_t level)
{
	if (!level)
		return region_at(segment->header,
				 segment_region(segment, REGION_LINKS),
				 (uint64_t)row * LIST_BYTES, LIST_BYTES);
	return region_at(segment->header, segment_region(segment, REGION_UPPER),
			 upper_unit(row, level) * UNIT_BYTES, UNIT_BYTES);
}

uint32_t hnsw_limit(const struct segment *segment)
{
	uint64_t lists =
	    region_bytes(segment_region(segment, REGION_LINKS)) / LIST_BYTES;
	uint64_t nodes =
	    region_bytes(segment_region(segment, REGION_NODES)) / 4;
	uint32_t rows = bank_count(segment);

	if (lists > nodes)
		lists = nodes;
	return rows < lists ? rows : (uint32_t)lists;
}

_Atomic uint32_t *hnsw_node(const struct segment *segment, uint32_t row)
{
	return region_at(segment->header, segment_region(segment, REGION_NODES),
			 row * UINT64_C(4), 4);
}

int hnsw_is_linked(const struct segment *segment, uint32_t row)
{
	const _Atomic uint32_t *node = hnsw_node(segment, row);

	/* G3: acquires the links of a row that is */
	return node &&
	       atomic_load_explicit(node, memory_order_acquire) == HNSW_LINKED;
}

uint64_t hnsw_linked(const struct segment *segment)
{
	return atomic_load_explicit(&segment->header->hnsw.linked,
				    memory_order_relaxed);
}

/* ---- the tail ----------------------------------------------------------- */

static _Atomic uint32_t *tail_at(const struct segment *segment, uint32_t index)
{
	return region_at(segment->header, segment_region(segment, REGION_TAIL),
			 index * UINT64_C(4), 4);
}

uint32_t hnsw_tail_count(const struct segment *segment)
{
	/* G1, G2: acquires what was linked, and the rows counted */
	return atomic_load_explicit(&segment->header->hnsw.tail_count,
				    memory_order_acquire);
}

uint32_t hnsw_tail_at(const struct segment *segment, uint32_t index)
{
	const _Atomic uint32_t *at = tail_at(segment, index);

	/* G1: another row here was put after the first one was linked */
	return at ? atomic_load_explicit(at, memory_order_acquire) : 0;
}

void hnsw_tail_put(const struct segment *segment, uint32_t index, uint32_t row)
{
	_Atomic uint32_t *at = tail_at(segment, index);

	if (at) /* G1: what was there before is linked */
		atomic_store_explicit(at, row, memory_order_release);
}

int hnsw_reserve(struct segment *segment, uint32_t row)
{
	uint64_t rows = row + UINT64_C(1);
	uint64_t units = upper_unit(row, 1) + 1;
	int err = segment_grow(segment, REGION_LINKS, rows * LIST_BYTES);

	if (!err)
		err = segment_grow(segment, REGION_UPPER, units * UNIT_BYTES);
	if (!err)
		err = segment_grow(segment, REGION_NODES, rows * 4);
	if (!err)
		err = segment_grow(segment, REGION_TAIL, rows * 4);
	return err;
}

uint64_t hnsw_region_bytes(const struct segment *segment, enum region_id region)
{
	uint64_t rows = hnsw_limit(segment);

	switch (region) {
	case REGION_LINKS: return rows * LIST_BYTES;
	case REGION_NODES: return rows * 4;
	case REGION_UPPER:
		return rows > 1 ? (upper_unit((uint32_t)rows - 1, 1) + 1) *
				      UNIT_BYTES
				: 0;
	default: return 0;
	}
}

int hnsw_await(struct segment *segment, uint32_t row)
{
	struct hnsw *hnsw = &segment->header->hnsw;
	uint32_t count =
	    atomic_load_explicit(&hnsw->tail_count, memory_order_relaxed);
	int err = hnsw_reserve(segment, row);

	if (!err)
		err = segment_grow(segment, REGION_TAIL,
				   (count + UINT64_C(1)) * 4);
	if (err)
		return err;
	hnsw_tail_put(segment, count, row);
	/* G2: publishes the entry */
	atomic_store_explicit(&hnsw->tail_count, count + 1,
			      memory_order_release);
	return 0;
}
