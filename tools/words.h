/* SPDX-License-Identifier: Apache-2.0 */
/* Small things about text: UTF-8, numbers, likeness; words.c. */
#ifndef TOOLS_WORDS_H
#define TOOLS_WORDS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of the valid UTF-8 character at `data`, 0 if there is none
 * (`size`, at least 1, bytes are there).
 */
size_t words_utf8_char(const void *data, size_t size);

/* How many bytes at the start are UTF-8; `size` if all are. */
size_t words_utf8(const void *data, size_t size);

/*
 * At most `size` bytes, cut back to whole characters and, if that leaves
 * something, to whole words.
 */
size_t words_cut(const void *data, size_t data_size, size_t size);

/* A whole number in base 8 or 10 from `text`, all of it; 0 if it is one. */
int words_u64(const char *text, int base, uint64_t *out);

/* The same in base 10, with a suffix K, M, G or T: times 2^10, 2^20, ... */
int words_size(const char *text, uint64_t *out);

/* A finite number from `text`, all of it; 0 if it is one. */
int words_double(const char *text, double *out);

/* "1,234,567" into `out`, which has room for 32 bytes; returns `out`. */
char *words_count(char *out, uint64_t count);

/* "1 edge", "2,000 edges"; out has room for 64 bytes. */
char *words_things(char *out, uint64_t count, const char *one,
		   const char *many);

/* "12.3 MiB" into `out`, which has room for 32 bytes; returns `out`. */
char *words_bytes(char *out, uint64_t bytes);

/*
 * "512ns", "8.12us", "45.1ms", "3.02s"; "0", "0.5", "18.2k", "1.25M": as short
 * as can be, "-" for what is not a number.  Room as above.
 */
char *words_span(char *out, double ns);
char *words_rate(char *out, double rate);

/* The bytes in hex and a NUL: `out` has room for 2 * size + 1. */
void words_hex(char *out, const void *data, size_t size);

/* Bytes from hex, all of `text`, into half its size; 0 if it is that. */
int words_unhex(const char *text, size_t size, void *out);

/* How many letters to change, add or drop to make a into b; up to 63 each. */
size_t words_distance(const char *a, const char *b);

/* Whether `name` ends in `tail`, without regard to case. */
int words_ends(const char *name, const char *tail);

#endif
