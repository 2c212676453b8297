/* SPDX-License-Identifier: Apache-2.0 */
#include "flip.h"

enum { TRIED_BYTES = 64 << 10 };

struct entry {
	enum env_db db;
	const struct buffer *key;
	const struct buffer *value;
	uint64_t stored;
};

int flip_any(void *bytes, size_t size, int (*is_sound)(void *user), void *user)
{
	unsigned char *at = bytes;

	for (size_t bit = 0; bit < size * 8; bit++) {
		unsigned char mask = (unsigned char)(1 << bit % 8);

		at[bit / 8] ^= mask;
		if (is_sound(user))
			return 1;
		at[bit / 8] ^= mask;
	}
	return 0;
}

static uint64_t sum_of(const struct entry *entry)
{
	return env_sum(entry->db, bytes_of(entry->key->data, entry->key->size),
		       bytes_of(entry->value->data, entry->value->size));
}

static int entry_is_sound(void *user)
{
	const struct entry *entry = user;

	return sum_of(entry) == entry->stored;
}

int flip_back(enum env_db db, struct buffer *key, struct buffer *value,
	      uint64_t stored)
{
	struct entry entry = {db, key, value, stored};

	if (value->size > TRIED_BYTES)
		return 0;
	return flip_is_near(sum_of(&entry), stored) ||
	       flip_any(key->data, key->size, entry_is_sound, &entry) ||
	       flip_any(value->data, value->size, entry_is_sound, &entry);
}
