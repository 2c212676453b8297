/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bit that flipped, put back: each is tried, until what has it is sound.
 */
#ifndef CORE_FLIP_H
#define CORE_FLIP_H

#include "buffer.h"
#include "env.h"

/* Whether numbers differ by one bit at most. */
static inline int flip_is_near(uint64_t a, uint64_t b)
{
	uint64_t differ = a ^ b;

	return !(differ & (differ - 1));
}

/*
 * Turns over one bit after the other until `is_sound` says so, and leaves it
 * so.
 * Returns	0 if no bit will do: the bytes are as they were
 */
int flip_any(void *bytes, size_t size, int (*is_sound)(void *user), void *user);

/*
 * The same of an entry, by its checksum (env.h), of up to 64 KiB.
 * key, value	are changed
 * stored	the checksum that it was read with, of which a bit may be wrong,
 *		too
 */
int flip_back(enum env_db db, struct buffer *key, struct buffer *value,
	      uint64_t stored);

#endif
