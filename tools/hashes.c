/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hashes: a table of hashes, a number with each.
 *
 * idea
 *	Open addressing, a slot behind the other, at most half full.  What a
 *	hash is of is for the caller to know: who must be sure compares.
 *
 * limits
 *	32 to 64 bytes an entry.
 */
#include "hashes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { HASHES_START = 64 };

/* 0 stands for a free slot. */
static uint64_t hash_of(uint64_t hash)
{
	return hash ? hash : 1;
}

static void hashes_put(struct hashes *hashes, const struct hashes_slot *slot)
{
	size_t at = slot->hash & (hashes->room - 1);

	while (hashes->slots[at].hash)
		at = (at + 1) & (hashes->room - 1);
	hashes->slots[at] = *slot;
}

static int hashes_grow(struct hashes *hashes)
{
	struct hashes next = {.room = hashes->room ? hashes->room * 2
						   : HASHES_START,
			      .count = hashes->count};

	next.slots = calloc(next.room, sizeof *next.slots);
	if (!next.slots)
		return ENOMEM;
	for (size_t i = 0; i < hashes->room; i++)
		if (hashes->slots[i].hash)
			hashes_put(&next, &hashes->slots[i]);
	free(hashes->slots);
	*hashes = next;
	return 0;
}

int hashes_add(struct hashes *hashes, uint64_t hash, uint64_t value)
{
	struct hashes_slot slot = {hash_of(hash), value};

	if ((hashes->count + 1) * 2 > hashes->room && hashes_grow(hashes))
		return ENOMEM;
	hashes_put(hashes, &slot);
	hashes->count++;
	return 0;
}

/* *at is how many slots behind the hash's own have been looked at. */
uint64_t *hashes_next(const struct hashes *hashes, uint64_t hash, size_t *at)
{
	size_t mask = hashes->room - 1;

	hash = hash_of(hash);
	while (*at < hashes->room) {
		struct hashes_slot *slot =
		    &hashes->slots[(hash + (*at)++) & mask];

		if (!slot->hash)
			return NULL;
		if (slot->hash == hash)
			return &slot->value;
	}
	return NULL;
}

uint64_t hashes_edge(const struct cop_put_edge *edge, uint64_t seed)
{
	uint64_t hash =
	    XXH3_64bits_withSeed(edge->source, edge->source_size, seed);

	hash = XXH3_64bits_withSeed(edge->relation, edge->relation_size, hash);
	return XXH3_64bits_withSeed(edge->target, edge->target_size, hash);
}

uint64_t hashes_value(const struct cop_value *value, uint64_t seed)
{
	seed ^= (uint64_t)value->kind << 56;
	switch (value->kind) {
	case COP_STRING:
		return XXH3_64bits_withSeed(value->data, value->count, seed);
	case COP_FLOAT:
		return XXH3_64bits_withSeed(&value->real, sizeof value->real,
					    seed);
	default:
		return XXH3_64bits_withSeed(&value->integer,
					    sizeof value->integer, seed);
	}
}

void hashes_clear(struct hashes *hashes)
{
	if (hashes->count)
		memset(hashes->slots, 0, hashes->room * sizeof *hashes->slots);
	hashes->count = 0;
}

void hashes_release(struct hashes *hashes)
{
	free(hashes->slots);
	*hashes = (struct hashes){0};
}
