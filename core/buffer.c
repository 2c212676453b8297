/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_MIN = 256, HASHMAP_MIN = 64 };

void buffer_release(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

int buffer_reserve(struct buffer *buffer, size_t bytes)
{
	size_t want = buffer->size + bytes;
	size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_MIN;
	unsigned char *data;

	if (want < bytes)
		return ENOMEM;
	if (want <= buffer->capacity)
		return 0;
	while (capacity < want)
		capacity += capacity / 2;
	data = realloc(buffer->data, capacity);
	if (!data)
		return ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

void *buffer_add(struct buffer *buffer, size_t bytes)
{
	void *at;

	if (buffer_reserve(buffer, bytes))
		return NULL;
	at = buffer->data + buffer->size;
	memset(at, 0, bytes);
	buffer->size += bytes;
	return at;
}

int buffer_put(struct buffer *buffer, const void *data, size_t bytes)
{
	int err = buffer_reserve(buffer, bytes);

	if (err)
		return err;
	if (bytes)
		memcpy(buffer->data + buffer->size, data, bytes);
	buffer->size += bytes;
	return 0;
}

int buffer_align(struct buffer *buffer, size_t unit)
{
	size_t over = buffer->size & (unit - 1);

	return !over || buffer_add(buffer, unit - over) ? 0 : ENOMEM;
}

void hashmap_release(struct hashmap *map)
{
	free(map->hashes);
	free(map->numbers);
	*map = (struct hashmap){0};
}

void hashmap_clear(struct hashmap *map)
{
	if (map->count)
		memset(map->numbers, 0,
		       (map->mask + (size_t)1) * sizeof *map->numbers);
	map->count = 0;
}

static void hashmap_set(struct hashmap *map, uint64_t hash, uint32_t number)
{
	uint32_t at = (uint32_t)(hash >> 32) & map->mask;

	while (map->numbers[at])
		at = (at + 1) & map->mask;
	map->hashes[at] = hash;
	map->numbers[at] = number + 1;
}

static int hashmap_grow(struct hashmap *map)
{
	size_t room = map->numbers ? ((size_t)map->mask + 1) * 2 : HASHMAP_MIN;
	struct hashmap to = {.mask = (uint32_t)(room - 1), .count = map->count};

	to.hashes = calloc(room, sizeof *to.hashes);
	to.numbers = calloc(room, sizeof *to.numbers);
	if (!to.hashes || !to.numbers) {
		hashmap_release(&to);
		return ENOMEM;
	}
	for (size_t i = 0; map->numbers && i <= map->mask; i++)
		if (map->numbers[i])
			hashmap_set(&to, map->hashes[i], map->numbers[i] - 1);
	hashmap_release(map);
	*map = to;
	return 0;
}

int hashmap_put(struct hashmap *map, uint64_t hash, uint32_t number)
{
	int err = 0;

	if (!map->numbers || map->count >= map->mask / 4 * 3)
		err = hashmap_grow(map);
	if (err)
		return err;
	hashmap_set(map, hash, number);
	map->count++;
	return 0;
}

int hashmap_next(const struct hashmap *map, struct hashmap_cursor *cursor,
		 uint32_t *number)
{
	if (!map->numbers)
		return 0;
	if (!cursor->started) {
		cursor->at = (uint32_t)(cursor->hash >> 32) & map->mask;
		cursor->started = 1;
	}
	while (map->numbers[cursor->at]) {
		uint32_t at = cursor->at;

		cursor->at = (at + 1) & map->mask;
		if (map->hashes[at] != cursor->hash)
			continue;
		*number = map->numbers[at] - 1;
		return 1;
	}
	return 0;
}
