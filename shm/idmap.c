/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap.h"
#include "point.h"
#include "segment.h"

#include <errno.h>
#include <string.h>

enum { BUCKET_ENTRIES = 8, BUCKET_BYTES = 64, LOG2_MIN = 4 };

struct bucket {
	_Atomic uint64_t entries[BUCKET_ENTRIES];
};

struct table {
	struct bucket *buckets;
	uint64_t mask; /* buckets - 1 */
};

static int table_at(const struct segment *segment, uint64_t word,
		    struct table *out)
{
	uint64_t buckets = word & 0xff ? UINT64_C(1) << (word & 0x1f) : 0;

	if (!buckets)
		return 0;
	out->buckets =
	    region_at(segment->header, segment_region(segment, REGION_IDMAP),
		      (word >> 8) * 64, buckets * BUCKET_BYTES);
	out->mask = buckets - 1;
	return out->buckets != NULL;
}

static int table_now(const struct segment *segment, struct table *out)
{
	/* K2: acquires the filled table */
	return table_at(segment,
			atomic_load_explicit(&segment->header->idmap.table,
					     memory_order_acquire),
			out);
}

static int key_is(const struct segment *segment, uint32_t id, const void *key,
		  size_t key_size)
{
	const void *map = segment->header;
	const struct head *head =
	    head_at(map, segment_region(segment, REGION_HEADS), id);
	uint32_t size;
	const void *at;

	if (!head)
		return 0;
	at = head_key(map, segment_region(segment, REGION_TEXT), head, &size);
	return at && size == key_size && !memcmp(at, key, size);
}

uint32_t idmap_find(const struct segment *segment, uint64_t hash,
		    const void *key, size_t key_size)
{
	uint32_t tag = (uint32_t)hash;
	struct table table;

	if (!table_now(segment, &table))
		return 0;
	for (uint64_t i = 0; i <= table.mask; i++) {
		struct bucket *bucket = &table.buckets[(tag + i) & table.mask];

		for (int j = 0; j < BUCKET_ENTRIES; j++) {
			/* K1: acquires the head's key */
			uint64_t entry = atomic_load_explicit(
			    &bucket->entries[j], memory_order_acquire);
			uint32_t id = (uint32_t)entry;

			if (!entry)
				return 0;
			if (entry >> 32 == tag &&
			    key_is(segment, id, key, key_size))
				return id;
		}
	}
	return 0;
}

struct idmap_place idmap_prefetch(const struct segment *segment, uint64_t hash)
{
	struct idmap_place place = {.tag = (uint32_t)hash};
	struct table table;

	if (!table_now(segment, &table))
		return place;
	place.buckets = table.buckets;
	place.mask = table.mask;
	__builtin_prefetch(&table.buckets[place.tag & table.mask]);
	return place;
}

uint32_t idmap_guess(const struct idmap_place *place)
{
	const struct bucket *buckets = place->buckets;

	for (uint64_t i = 0; buckets && i <= place->mask; i++) {
		const struct bucket *bucket =
		    &buckets[(place->tag + i) & place->mask];

		for (int j = 0; j < BUCKET_ENTRIES; j++) {
			/* K1: acquires the head's key */
			uint64_t entry = atomic_load_explicit(
			    &bucket->entries[j], memory_order_acquire);

			if (entry >> 32 == place->tag || !entry)
				return (uint32_t)entry;
		}
	}
	return 0;
}

/*
 * Relaxed: only the holder of the writer lock stores entries.  0 if there is
 * no empty word, which only damage can bring about.
 */
static int table_put(struct table *table, uint64_t entry, memory_order order)
{
	uint32_t tag = (uint32_t)(entry >> 32);

	for (uint64_t i = 0; i <= table->mask; i++) {
		struct bucket *bucket =
		    &table->buckets[(tag + i) & table->mask];

		for (int j = 0; j < BUCKET_ENTRIES; j++) {
			_Atomic uint64_t *word = &bucket->entries[j];

			if (atomic_load_explicit(word, memory_order_relaxed))
				continue;
			atomic_store_explicit(word, entry, order);
			return 1;
		}
	}
	return 0;
}

static void table_copy(struct table *to, const struct table *from)
{
	for (uint64_t i = 0; i <= from->mask; i++) {
		for (int j = 0; j < BUCKET_ENTRIES; j++) {
			uint64_t entry = atomic_load_explicit(
			    &from->buckets[i].entries[j], memory_order_relaxed);

			if (entry)
				(void)table_put(to, entry,
						memory_order_relaxed);
		}
	}
}

static int table_grow(struct segment *segment, uint32_t log2)
{
	struct idmap *idmap = &segment->header->idmap;
	uint64_t bytes = (UINT64_C(1) << log2) * BUCKET_BYTES;
	uint64_t word = (idmap->end / 64) << 8 | log2;
	struct table from;
	struct table to;
	int err;

	err = segment_grow(segment, REGION_IDMAP, idmap->end + bytes);
	if (err)
		return err;
	if (!table_at(segment, word, &to))
		return EINVAL;
	/* an attempt that died may have left words here */
	memset((void *)to.buckets, 0, bytes);
	if (table_now(segment, &from))
		table_copy(&to, &from);
	point("table-filled");
	/* K2: names the filled table */
	atomic_store_explicit(&idmap->table, word, memory_order_release);
	idmap->end += bytes;
	return 0;
}

static int table_reserve(struct segment *segment)
{
	struct idmap *idmap = &segment->header->idmap;
	uint64_t word =
	    atomic_load_explicit(&idmap->table, memory_order_relaxed);
	uint32_t log2 = (uint32_t)(word & 0x1f);
	uint64_t entries = word ? (UINT64_C(8) << log2) : 0;

	if (word && idmap->count + 1 <= entries / 4 * 3)
		return 0;
	return table_grow(segment, word ? log2 + 1 : LOG2_MIN);
}

static int key_store(struct segment *segment, uint32_t id, const void *key,
		     size_t key_size)
{
	struct head_table *heads = &segment->header->heads;
	struct head *head;
	void *at;
	int err;

	err = segment_grow(segment, REGION_TEXT, heads->text_bytes + key_size);
	if (!err)
		err = segment_grow(segment, REGION_HEADS,
				   (id + UINT64_C(1)) * sizeof *head);
	if (!err)
		err = segment_grow(segment, REGION_LISTS,
				   (id + UINT64_C(1)) *
				       sizeof(struct head_lists));
	if (err)
		return err;
	at = region_at(segment->header, segment_region(segment, REGION_TEXT),
		       heads->text_bytes, key_size);
	head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	if (!at || !head)
		return EINVAL;
	memcpy(at, key, key_size);
	head_set_key(head, heads->text_bytes, (uint32_t)key_size);
	heads->text_bytes += key_size;
	if (atomic_load_explicit(&heads->count, memory_order_relaxed) <= id)
		atomic_store_explicit(&heads->count, id + UINT64_C(1),
				      memory_order_release);
	return 0;
}

static void key_forget(struct segment *segment, uint32_t id)
{
	struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);

	if (head)
		head_set_key(head, 0, 0);
}

int idmap_insert(struct segment *segment, uint64_t hash, const void *key,
		 size_t key_size, uint32_t id)
{
	struct table table;
	uint32_t other;
	int err;

	while ((other = idmap_find(segment, hash, key, key_size))) {
		if (other == id)
			return 0;
		key_forget(segment, other); /* an attempt that failed gave it */
	}
	err = table_reserve(segment);
	if (!err)
		err = key_store(segment, id, key, key_size);
	if (err)
		return err;
	if (!table_now(segment, &table))
		return EINVAL;
	point("key-stored");
	/* K1: publishes the head's key */
	if (!table_put(&table, hash << 32 | id, memory_order_release))
		return EINVAL;
	segment->header->idmap.count++;
	return 0;
}

uint64_t idmap_validate(const struct segment *segment)
{
	uint64_t bad = 0;
	struct table table;

	if (!table_now(segment, &table))
		return 0;
	for (uint64_t i = 0; i <= table.mask; i++) {
		for (int j = 0; j < BUCKET_ENTRIES; j++) {
			uint64_t entry = atomic_load_explicit(
			    &table.buckets[i].entries[j], memory_order_acquire);

			if (entry &&
			    !head_at(segment->header,
				     segment_region(segment, REGION_HEADS),
				     (uint32_t)entry))
				bad++;
		}
	}
	return bad;
}
