/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for eighty columns: in colour on a terminal, plain elsewhere.
 */
#ifndef DEMO_TERM_H
#define DEMO_TERM_H

#include <stddef.h>
#include <stdint.h>

enum { TERM_COLUMNS = 80, TERM_NUMBER_BYTES = 32 };

enum term_style { TERM_PLAIN = 0, TERM_BOLD = 1, TERM_DIM = 2, TERM_HUE = 3 };

/* printf in a style. */
void term_print(enum term_style style, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A heading under a rule, with a remark after it (NULL: none). */
void term_heading(const char *heading, const char *remark);

/* 1234567 as "1,234,567". */
const char *term_count(uint64_t number, char out[TERM_NUMBER_BYTES]);

/* Text in at most `width` columns, cut between words with "..." at the end. */
const char *term_cut(const char *text, size_t size, size_t width, char *out,
		     size_t room);

#endif
