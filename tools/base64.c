/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <stdint.h>

/* A digit's six bits, or 64. */
static uint32_t digit_bits(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return (uint32_t)(digit - 'A');
	if (digit >= 'a' && digit <= 'z')
		return (uint32_t)(digit - 'a') + 26;
	if (digit >= '0' && digit <= '9')
		return (uint32_t)(digit - '0') + 52;
	return digit == '+' ? 62 : digit == '/' ? 63 : 64;
}

static size_t pads_of(const char *text, size_t size)
{
	size_t pads = size && text[size - 1] == '=';

	return pads + (pads && size > 1 && text[size - 2] == '=');
}

size_t base64_size(const char *text, size_t size)
{
	return size % 4 ? 0 : size / 4 * 3 - pads_of(text, size);
}

int base64_get(const char *text, size_t size, unsigned char *out)
{
	size_t digits = size - pads_of(text, size);
	uint32_t bits = 0;

	for (size_t i = 0; i < size; i++) {
		uint32_t six = i < digits ? digit_bits(text[i]) : 0;

		if (six > 63)
			return -1;
		bits = bits << 6 | six;
		if (i % 4 == 1)
			*out++ = (unsigned char)(bits >> 4);
		else if (i % 4 == 2 && i < digits)
			*out++ = (unsigned char)(bits >> 2);
		else if (i % 4 == 3 && i < digits)
			*out++ = (unsigned char)bits;
	}
	return 0;
}

void base64_put(const unsigned char *data, size_t size, char out[4])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = (uint32_t)data[0] << 16;

	bits |= size > 1 ? (uint32_t)data[1] << 8 : 0;
	bits |= size > 2 ? data[2] : 0;
	out[0] = digits[bits >> 18];
	out[1] = digits[bits >> 12 & 63];
	out[2] = size > 1 ? digits[bits >> 6 & 63] : '=';
	out[3] = size > 2 ? digits[bits & 63] : '=';
}
