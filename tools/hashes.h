/* SPDX-License-Identifier: Apache-2.0 */
/* A table of hashes, a number with each; hashes.c. */
#ifndef TOOLS_HASHES_H
#define TOOLS_HASHES_H

#include "coppice.h"

#include <stddef.h>
#include <stdint.h>

struct hashes_slot {
	uint64_t hash; /* 0: free */
	uint64_t value;
};

struct hashes {
	struct hashes_slot *slots;
	size_t room, count;
};

/* Adds one, beside others of the same hash.  Returns 0 or ENOMEM. */
int hashes_add(struct hashes *hashes, uint64_t hash, uint64_t value);

/*
 * The value of the next entry of a hash, NULL: there are no more.  *at is 0
 * for the first.
 */
uint64_t *hashes_next(const struct hashes *hashes, uint64_t hash, size_t *at);

/* Of an edge's ends and relation. */
uint64_t hashes_edge(const struct cop_put_edge *edge, uint64_t seed);

/* Of a value that is no list and no map, and of its kind. */
uint64_t hashes_value(const struct cop_value *value, uint64_t seed);

/* Empties it and keeps its memory. */
void hashes_clear(struct hashes *hashes);

void hashes_release(struct hashes *hashes);

#endif
