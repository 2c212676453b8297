/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"
#include "point.h"
#include "segment.h"

#include <errno.h>
#include <string.h>

static struct records *records_of(const struct segment *segment)
{
	return &segment->header->records;
}

static struct record_block *block_at(const struct segment *segment,
				     uint32_t unit)
{
	return unit ? region_at(segment->header,
				segment_region(segment, REGION_RECORDS),
				(uint64_t)unit * RECORD_UNIT, RECORD_UNIT)
		    : NULL;
}

/* Relaxed: only the holder of the writer lock stores what it reads here. */
static uint32_t size_of(const struct record_block *block)
{
	return atomic_load_explicit(&block->size, memory_order_relaxed);
}

uint64_t record_block_bytes(const struct segment *segment, uint32_t unit)
{
	const struct record_block *block = block_at(segment, unit);

	return block ? (uint64_t)record_units(size_of(block)) * RECORD_UNIT : 0;
}

static uint32_t entity_of(const struct record_block *block)
{
	return atomic_load_explicit(&block->entity, memory_order_relaxed);
}

static uint32_t next_of(const struct record_block *block)
{
	uint32_t next;

	memcpy(&next, block->bytes, sizeof next);
	return next;
}

static uint64_t units_get(const struct segment *segment)
{
	uint64_t units = atomic_load_explicit(&records_of(segment)->unit_count,
					      memory_order_relaxed);

	return units ? units : 1;
}

static int block_fresh(struct segment *segment, uint32_t size, uint32_t *unit)
{
	uint64_t at = units_get(segment);
	uint64_t after = at + record_units(size);
	struct record_block *block;
	int err;

	if (after > UINT32_MAX)
		return ENOSPC;
	err = segment_grow(segment, REGION_RECORDS, after * RECORD_UNIT);
	if (err)
		return err;
	block = block_at(segment, (uint32_t)at);
	if (!block)
		return EINVAL;
	/* left by an attempt that died here, perhaps */
	atomic_store_explicit(&block->entity, 0, memory_order_relaxed);
	atomic_store_explicit(&block->size, size, memory_order_relaxed);
	/* release: a walk after a death finds a block in what is counted */
	atomic_store_explicit(&records_of(segment)->unit_count, after,
			      memory_order_release);
	*unit = (uint32_t)at;
	return 0;
}

/* A block of the right number of units, still marked as free. */
static int block_take(struct segment *segment, uint32_t size, uint32_t *unit)
{
	uint32_t units = record_units(size);
	uint32_t *list = &records_of(segment)->free_units[units];
	const struct record_block *block = block_at(segment, *list);

	if (!block || entity_of(block) || record_units(size_of(block)) != units)
		return block_fresh(segment, size, unit); /* none, or damage */
	*unit = *list;
	*list = next_of(block);
	point("record-taken");
	return 0;
}

int record_keep(struct segment *segment, uint32_t entity, const void *record,
		uint32_t size, uint32_t *unit)
{
	struct record_block *block;
	int err;

	if (!entity || !size || size > RECORD_BYTES_MAX)
		return EINVAL;
	err = block_take(segment, size, unit);
	if (err)
		return err;
	block = region_at(
	    segment->header, segment_region(segment, REGION_RECORDS),
	    (uint64_t)*unit * RECORD_UNIT, RECORD_HEADER + (uint64_t)size);
	if (!block)
		return EINVAL;
	memcpy(block->bytes, record, size);
	atomic_store_explicit(&block->size, size, memory_order_relaxed);
	atomic_store_explicit(&block->entity, entity, memory_order_relaxed);
	atomic_fetch_add_explicit(&records_of(segment)->used, 1,
				  memory_order_relaxed);
	point("record-written");
	return 0;
}

static void block_list(struct segment *segment, struct record_block *block,
		       uint32_t unit)
{
	uint32_t *list =
	    &records_of(segment)->free_units[record_units(size_of(block))];

	memcpy(block->bytes, list, sizeof *list);
	atomic_store_explicit(&block->entity, 0, memory_order_relaxed);
	*list = unit;
}

void record_free(struct segment *segment, uint32_t unit)
{
	struct record_block *block = block_at(segment, unit);

	if (!block || !entity_of(block) || size_of(block) > RECORD_BYTES_MAX)
		return;
	block_list(segment, block, unit);
	atomic_fetch_sub_explicit(&records_of(segment)->used, 1,
				  memory_order_relaxed);
}

int record_next(const struct segment *segment, uint64_t *next,
		struct record_seen *seen)
{
	uint64_t end = units_get(segment);
	const struct record_block *block;
	uint64_t after;

	if (*next == end)
		return 0;
	block = *next <= UINT32_MAX ? block_at(segment, (uint32_t)*next) : NULL;
	if (!block || !size_of(block) || size_of(block) > RECORD_BYTES_MAX)
		return -1;
	*seen = (struct record_seen){(uint32_t)*next, entity_of(block),
				     size_of(block)};
	after = *next + record_units(seen->size);
	if (after > end)
		return -1;
	*next = after;
	return 1;
}

uint64_t record_free_length(const struct segment *segment)
{
	uint64_t most = units_get(segment);
	uint64_t length = 0;

	for (uint32_t units = 1; units <= RECORD_UNITS_MAX; units++) {
		uint32_t unit = records_of(segment)->free_units[units];
		const struct record_block *block;

		while (length < most && (block = block_at(segment, unit))) {
			length++;
			unit = next_of(block);
		}
	}
	return length;
}

/* Whether a block is the one that its entity's head names. */
static int is_named(const struct segment *segment,
		    const struct record_seen *seen)
{
	const struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS),
		    seen->entity);

	return head && head_peek_locked(head).record == seen->unit;
}

int records_collect(struct segment *segment, uint64_t commit)
{
	struct records *records = records_of(segment);
	struct record_seen seen;
	uint64_t next = 1;
	uint64_t used = 0;
	int more;

	memset(records->free_units, 0, sizeof records->free_units);
	point("records-unlisted");
	while ((more = record_next(segment, &next, &seen)) > 0) {
		int err = 0;

		if (!seen.entity) {
			block_list(segment, block_at(segment, seen.unit),
				   seen.unit);
			continue;
		}
		used++;
		if (is_named(segment, &seen))
			continue;
		err = limbo_reserve(segment, 1);
		if (err)
			return err;
		limbo_push(segment, commit, LIMBO_RECORD, seen.unit);
		point("record-collected");
	}
	atomic_store_explicit(&records->used, used, memory_order_relaxed);
	return more ? EINVAL : 0;
}
