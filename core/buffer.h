/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes in private memory, and a map from hashes to numbers:
 * the two containers that writing needs.
 */
#ifndef CORE_BUFFER_H
#define CORE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	unsigned char *data;
	size_t size;
	size_t capacity;
};

void buffer_release(struct buffer *buffer);

/*
 * Room for `bytes` more bytes, zeroed and counted in; NULL if there is no
 * memory.  Lifetime: until the next call.
 */
void *buffer_add(struct buffer *buffer, size_t bytes);

/* Copies bytes in.  Returns 0 or ENOMEM. */
int buffer_put(struct buffer *buffer, const void *data, size_t bytes);

/* Pads with zeros to a multiple of `unit`, a power of two. */
int buffer_align(struct buffer *buffer, size_t unit);

/* Makes sure the next `bytes` bytes need no memory.  0 or ENOMEM. */
int buffer_reserve(struct buffer *buffer, size_t bytes);

/*
 * Numbers by hash, open addressing; equal hashes are told apart by the
 * caller: hashmap_next gives one candidate after the other.
 */
struct hashmap {
	uint64_t *hashes;
	uint32_t *numbers; /* plus 1; 0: empty */
	uint32_t mask;
	uint32_t count;
};

struct hashmap_cursor {
	uint64_t hash;
	uint32_t at;
	uint32_t started;
};

void hashmap_release(struct hashmap *map);
void hashmap_clear(struct hashmap *map);

/* Adds a number.  0 or ENOMEM. */
int hashmap_put(struct hashmap *map, uint64_t hash, uint32_t number);

/* The next number with the cursor's hash; 0 when there is no more. */
int hashmap_next(const struct hashmap *map, struct hashmap_cursor *cursor,
		 uint32_t *number);

#endif
