/* SPDX-License-Identifier: Apache-2.0 */
#include "limbo.h"
#include "point.h"
#include "segment.h"

#include <errno.h>

enum {
	CAPACITY_MIN = 1024,
	ROW_COST = 255 /* entries that unlinking a row counts for besides */
};

static struct limbo_entry *entry_at(struct segment *segment, uint64_t index,
				    uint64_t capacity)
{
	return region_at(segment->header, segment_region(segment, REGION_LIMBO),
			 (index & (capacity - 1)) * sizeof(struct limbo_entry),
			 sizeof(struct limbo_entry));
}

static uint64_t first_get(const struct limbo *limbo)
{
	/* relaxed: the writer's own word, or a figure */
	return atomic_load_explicit(&limbo->first, memory_order_relaxed);
}

static uint64_t last_get(const struct limbo *limbo)
{
	return atomic_load_explicit(&limbo->last, memory_order_relaxed);
}

/* What an entry holds back; a block's class stays while it waits. */
static uint64_t entry_bytes(const struct segment *segment,
			    const struct limbo_entry *entry)
{
	const struct edge_block *block;

	if (entry->kind == LIMBO_ROW)
		return (uint64_t)segment->bank.line_bytes +
		       segment->bank.row_bytes;
	if (entry->kind == LIMBO_RECORD)
		return record_block_bytes(segment, entry->index);
	block =
	    edge_block_at(segment->header,
			  segment_region(segment, REGION_EDGES), entry->index);
	return block ? (uint64_t)EDGE_UNIT << block->class_index : 0;
}

static uint64_t bytes_get(const struct limbo *limbo)
{
	return atomic_load_explicit(&limbo->bytes, memory_order_relaxed);
}

static void bytes_set(struct limbo *limbo, uint64_t bytes)
{
	if (first_get(limbo) == last_get(limbo))
		bytes = 0;
	atomic_store_explicit(&limbo->bytes, bytes, memory_order_relaxed);
}

static void bytes_take(struct limbo *limbo, uint64_t bytes)
{
	uint64_t have = bytes_get(limbo);

	bytes_set(limbo, have > bytes ? have - bytes : 0);
}

static int ring_double(struct segment *segment)
{
	struct limbo *limbo = &segment->header->limbo;
	uint64_t old = limbo->capacity;
	uint64_t capacity = old ? old * 2 : CAPACITY_MIN;
	int err = segment_grow(segment, REGION_LIMBO,
			       capacity * sizeof(struct limbo_entry));

	if (err)
		return err;
	/* entries whose index has the new bit set move up by the old size */
	for (uint64_t i = first_get(limbo); old && i < last_get(limbo); i++) {
		struct limbo_entry *from = entry_at(segment, i, old);
		struct limbo_entry *to = entry_at(segment, i, capacity);

		if (!from || !to)
			return EINVAL;
		*to = *from;
	}
	point("limbo-grown");
	limbo->capacity = capacity;
	return 0;
}

int limbo_reserve(struct segment *segment, uint64_t count)
{
	struct limbo *limbo = &segment->header->limbo;
	uint64_t waiting = last_get(limbo) - first_get(limbo);
	int err = waiting > limbo->capacity ? EINVAL : 0; /* damaged */

	while (!err && waiting + count > limbo->capacity)
		err = ring_double(segment);
	return err;
}

void limbo_push(struct segment *segment, uint64_t commit, enum limbo_kind kind,
		uint32_t index)
{
	struct limbo *limbo = &segment->header->limbo;
	uint64_t last = last_get(limbo);
	struct limbo_entry *entry = entry_at(segment, last, limbo->capacity);

	if (!entry)
		return;
	*entry = (struct limbo_entry){commit, kind, index};
	atomic_store_explicit(&limbo->last, last + 1, memory_order_relaxed);
	bytes_set(limbo, bytes_get(limbo) + entry_bytes(segment, entry));
}

/* Frees a row; returns 0 if it had to be taken out of the graph. */
static int row_drop(struct segment *segment, const struct limbo_entry *entry)
{
	int is_loose = !hnsw_is_linked(segment, entry->index);

	hnsw_drop(segment, entry->index);
	return is_loose;
}

void limbo_drain(struct segment *segment, uint64_t oldest, uint64_t budget)
{
	struct limbo *limbo = &segment->header->limbo;
	uint64_t first = first_get(limbo);

	while (budget-- && first < last_get(limbo)) {
		struct limbo_entry *entry =
		    entry_at(segment, first, limbo->capacity);
		uint64_t bytes;

		if (!entry || entry->commit > oldest)
			return;
		bytes = entry_bytes(segment, entry);
		/* the ring moves on first: a death here leaks, never frees
		   twice */
		atomic_store_explicit(&limbo->first, ++first,
				      memory_order_relaxed);
		bytes_take(limbo, bytes);
		point("limbo-taken");
		if (entry->kind == LIMBO_ROW && !row_drop(segment, entry))
			budget = budget > ROW_COST ? budget - ROW_COST : 0;
		else if (entry->kind == LIMBO_BLOCK)
			edges_free(segment, entry->index);
		else if (entry->kind == LIMBO_RECORD)
			record_free(segment, entry->index);
	}
}

uint64_t limbo_count(const struct segment *segment)
{
	const struct limbo *limbo = &segment->header->limbo;
	uint64_t first = first_get(limbo);
	uint64_t last = last_get(limbo);

	return last > first ? last - first : 0;
}

uint64_t limbo_count_kind(struct segment *segment, enum limbo_kind kind)
{
	const struct limbo *limbo = &segment->header->limbo;
	uint64_t count = 0;

	for (uint64_t i = first_get(limbo); i < last_get(limbo); i++) {
		const struct limbo_entry *entry =
		    entry_at(segment, i, limbo->capacity);

		if (!entry)
			break;
		count += entry->kind == (uint32_t)kind;
	}
	return count;
}

uint64_t limbo_bytes(const struct segment *segment)
{
	return bytes_get(&segment->header->limbo);
}

void limbo_clear_rows(struct segment *segment)
{
	struct limbo *limbo = &segment->header->limbo;
	uint64_t first = first_get(limbo);
	uint64_t last = last_get(limbo);

	atomic_store_explicit(&limbo->bytes, 0, memory_order_relaxed);
	while (first < last) {
		struct limbo_entry *entry =
		    entry_at(segment, first, limbo->capacity);
		struct limbo_entry kept;

		if (!entry)
			return;
		kept = *entry;
		atomic_store_explicit(&limbo->first, ++first,
				      memory_order_relaxed);
		point("limbo-turned");
		if (kept.kind == LIMBO_BLOCK)
			limbo_push(segment, kept.commit, LIMBO_BLOCK,
				   kept.index);
	}
}
