/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the sequence at s, 0 if it is none. */
static size_t sequence_bytes(const unsigned char *s, size_t left)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t bytes;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	bytes = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (left < bytes)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0; /* no overlong form */
	else if (s[0] == 0xed)
		high = 0x9f; /* no surrogate */
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return bytes;
}

size_t text_valid_bytes(const void *data, size_t size)
{
	const unsigned char *s = data;
	size_t at = 0;

	while (at < size) {
		size_t bytes;
		uint64_t word;

		if (size - at >= 8) { /* eight of ASCII at a time */
			memcpy(&word, s + at, 8);
			if (!(word & UINT64_C(0x8080808080808080))) {
				at += 8;
				continue;
			}
		}
		bytes = sequence_bytes(s + at, size - at);
		if (!bytes)
			return at;
		at += bytes;
	}
	return size;
}
