/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words: UTF-8, numbers, likeness.
 *
 * idea
 *	Plain functions without state.  The program never calls setlocale(), so
 *	strtod() and printf() speak the "C" locale, where the point is a point.
 *
 * source
 *	UTF-8 as Unicode 15, table 3-7: no surrogates, nothing overlong,
 *	nothing above U+10FFFF.  Likeness: Levenshtein's distance by rows
 *	(Wagner and Fischer 1974).
 */
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORDS_MAX = 63 };

static int words_is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t words_utf8_char(const void *data, size_t size)
{
	const unsigned char *p = data;
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (size < length)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (!words_is_tail(p[i]))
			return 0;
	return length;
}

size_t words_utf8(const void *data, size_t size)
{
	const unsigned char *p = data;
	size_t at = 0;

	while (at < size) {
		uint64_t word;
		size_t step;

		if (size - at >= sizeof word) {
			memcpy(&word, p + at, sizeof word);
			if (!(word & 0x8080808080808080u)) {
				at += sizeof word;
				continue;
			}
		}
		step = words_utf8_char(p + at, size - at);
		if (!step)
			break;
		at += step;
	}
	return at;
}

size_t words_cut(const void *data, size_t data_size, size_t size)
{
	const unsigned char *p = data;
	size_t cut = size;

	if (data_size <= size)
		return data_size;
	while (cut > 0 && words_is_tail(p[cut]))
		cut--;
	for (size_t word = cut; word > cut / 2; word--)
		if (p[word] == ' ')
			return word;
	return cut;
}

int words_u64(const char *text, int base, uint64_t *out)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	value = strtoull(text, &end, base);
	if (errno || *end)
		return -1;
	*out = value;
	return 0;
}

int words_size(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *suffix = text[digits] ? strchr(suffixes, text[digits]) : "";
	unsigned shift = 0;
	char number[24];
	uint64_t value;

	if (digits >= sizeof number || !suffix ||
	    (text[digits] && text[digits + 1]))
		return -1;
	memcpy(number, text, digits);
	number[digits] = 0;
	if (*suffix)
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	if (words_u64(number, 10, &value) || value > UINT64_MAX >> shift)
		return -1;
	*out = value << shift;
	return 0;
}

int words_double(const char *text, double *out)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !isfinite(value))
		return -1;
	*out = value;
	return 0;
}

char *words_things(char *out, uint64_t count, const char *one, const char *many)
{
	char number[32];

	sprintf(out, "%s %s", words_count(number, count),
		count == 1 ? one : many);
	return out;
}

char *words_count(char *out, uint64_t count)
{
	char digits[24];
	size_t size =
	    (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
	size_t to = 0;

	for (size_t i = 0; i < size; i++) {
		if (i && (size - i) % 3 == 0)
			out[to++] = ',';
		out[to++] = digits[i];
	}
	out[to] = '\0';
	return out;
}

char *words_bytes(char *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

/* Three digits and what they are of, by the factors between units. */
static char *words_unit(char *out, double value, const char *const *units,
			double factor, int places)
{
	while (value >= factor - 0.5 && units[1]) {
		value /= factor;
		units++;
		places = 2;
	}
	if (places && value >= 9.995)
		places = value < 99.95;
	snprintf(out, 32, "%.*f%s", places, value, *units);
	return out;
}

char *words_span(char *out, double ns)
{
	static const char *const units[] = {"ns", "us", "ms", NULL};

	if (isnan(ns))
		return strcpy(out, "-");
	if (ns < 999.5e6)
		return words_unit(out, ns, units, 1000, 0);
	snprintf(out, 32, ns < 9.995e9 ? "%.2fs" : "%.1fs", ns / 1e9);
	return out;
}

char *words_rate(char *out, double rate)
{
	static const char *const units[] = {"", "k", "M", "G", "T", NULL};

	if (isnan(rate))
		return strcpy(out, "-");
	return words_unit(out, rate, units, 1000, rate < 9.95 && rate > 0);
}

void words_hex(char *out, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
	out[2 * size] = '\0';
}

/* 16: it is no digit. */
static unsigned hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";

	return (unsigned)(strchrnul(digits, c | (c > '9' ? 0x20 : 0)) - digits);
}

int words_unhex(const char *text, size_t size, void *out)
{
	unsigned char *bytes = out;

	for (size_t i = 0; i + 1 < size; i += 2) {
		unsigned high = hex_digit(text[i]);
		unsigned low = hex_digit(text[i + 1]);

		if (high > 15 || low > 15)
			return -1;
		bytes[i / 2] = (unsigned char)(high << 4 | low);
	}
	return size % 2 ? -1 : 0;
}

size_t words_distance(const char *a, const char *b)
{
	size_t row[WORDS_MAX + 1];
	size_t a_size = strnlen(a, WORDS_MAX);
	size_t b_size = strnlen(b, WORDS_MAX);

	for (size_t j = 0; j <= b_size; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_size];
}

int words_ends(const char *name, const char *tail)
{
	size_t size = strlen(name), tail_size = strlen(tail);

	return size >= tail_size && !strcasecmp(name + size - tail_size, tail);
}
