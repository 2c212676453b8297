/* SPDX-License-Identifier: Apache-2.0 */
#include "flip.h"

enum { TRIED_BYTES = 64 << 10 };

static uint64_t sum_of(enum env_db db, const struct buffer *key,
		       const struct buffer *value)
{
	return env_sum(db, bytes_of(key->data, key->size),
		       bytes_of(value->data, value->size));
}

/* Whether a checksum is another one but for one bit at most. */
static int sum_is_near(uint64_t sum, uint64_t stored)
{
	uint64_t differ = sum ^ stored;

	return !(differ & (differ - 1));
}

static int part_flip(enum env_db db, struct buffer *key, struct buffer *value,
		     struct buffer *part, uint64_t stored)
{
	for (size_t bit = 0; bit < part->size * 8; bit++) {
		unsigned char *byte = part->data + bit / 8;
		unsigned char mask = (unsigned char)(1 << bit % 8);

		*byte ^= mask;
		if (sum_of(db, key, value) == stored)
			return 1;
		*byte ^= mask;
	}
	return 0;
}

int flip_back(enum env_db db, struct buffer *key, struct buffer *value,
	      uint64_t stored)
{
	if (value->size > TRIED_BYTES)
		return 0;
	return sum_is_near(sum_of(db, key, value), stored) ||
	       part_flip(db, key, value, key, stored) ||
	       part_flip(db, key, value, value, stored);
}
