/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wordvec: vectors of words, which are the keys: word2vec and GloVe.
 *
 * layout
 *	word2vec, text (fastText's .vec, too)	word2vec, binary
 *	  2 3					  2 3
 *	  queen 0.5 -1 0.25			  queen <3 float32>
 *	  king 0.5 1 0.25			  king <3 float32>
 *	The first line is the number of words and of numbers.  GloVe is the
 *	text without that line.  In the binary form a line's end may stand in
 *	front of a word.
 *
 * idea
 *	A word may have spaces in it, as some of GloVe's have, so numbers are
 *	counted from the end of the line: as many as the header says, or as the
 *	store's vectors have, or else all fields of the first line but one.
 *	Whether what follows a first line is text shows in its first row.
 *
 * limits
 *	A word of the binary form has WORDVEC_BYTES at most.  Words may be any
 *	bytes that a key may be.
 */
#include "format.h"
#include "number.h"
#include "rows.h"
#include "words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WORDVEC_BYTES = 4096 };

static int wordvec_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The begin of the last field before `end`, which is moved to its end. */
static const char *wordvec_last(const char *line, const char **end)
{
	const char *at;

	while (*end > line && wordvec_is_space((*end)[-1]))
		(*end)--;
	for (at = *end; at > line && !wordvec_is_space(at[-1]);)
		at--;
	return at;
}

static int wordvec_number(const char *at, const char *end, float *out)
{
	size_t size = (size_t)(end - at);

	return size && number_float(at, size, NUMBER_FREE, out) == size;
}

/* How many fields a line has. */
static uint32_t wordvec_fields(const char *line, size_t size)
{
	const char *end = line + size;
	uint32_t count = 0;

	for (;;) {
		const char *at = wordvec_last(line, &end);

		if (at == end)
			return count;
		count++;
		end = at;
	}
}

static size_t wordvec_u32(const char *text, size_t size, uint64_t *out)
{
	size_t at = 0;

	*out = 0;
	for (; at < size && at < 10 && text[at] >= '0' && text[at] <= '9'; at++)
		*out = *out * 10 + (uint64_t)(text[at] - '0');
	return at;
}

size_t wordvec_header(const char *text, size_t size, uint64_t *count,
		      uint64_t *dim)
{
	size_t at = wordvec_u32(text, size, count), more;

	if (at == 0 || at == size || text[at] != ' ')
		return 0;
	at++;
	more = wordvec_u32(text + at, size - at, dim);
	at += more;
	while (at < size && wordvec_is_space(text[at]))
		at++;
	return more && at < size && text[at] == '\n' ? at + 1 : 0;
}

/* Whether numbers, as text, follow a word in the first line of `text`. */
static int wordvec_is_text(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);
	const char *at = memchr(text, ' ', size);

	if (end == text) /* in front of a binary word */
		return 0;
	if (!end)
		end = text + size;
	for (; at && at < end; at++)
		if (!*at || !strchr("0123456789+-.eE \t\r", *at))
			return 0;
	return at != NULL;
}

int wordvec_is_glove(const char *text, size_t size, size_t field_min)
{
	const char *end = memchr(text, '\n', size);
	const char *at;
	uint32_t count = 0;
	float value;

	if (!end) /* the last field may be cut off */
		for (end = text + size; end > text && end[-1] != ' ';)
			end--;
	while ((at = wordvec_last(text, &end)) < end && at > text) {
		if (!wordvec_number(at, end, &value))
			return 0;
		count++;
		end = at;
	}
	return count >= field_min;
}

/* word2vec's first line, and what follows it. */
static int wordvec_begin_header(struct rows *rows, struct fault *fault)
{
	const unsigned char *data;
	uint64_t dim = 0;
	size_t size;

	if (reader_need(rows->reader, WORDVEC_BYTES, fault))
		return fault->code;
	size = reader_peek(rows->reader, &data);
	size = wordvec_header((const char *)data, size, &rows->count, &dim);
	if (!size || dim == 0 || dim > COP_DIM_MAX)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s:1: word2vec begins with the number of "
				 "words and of numbers, up to %d. Try: "
				 "--format glove, if there is no such line",
				 rows->reader->name, COP_DIM_MAX);
	rows->dim = (uint32_t)dim;
	reader_take(rows->reader, size);
	rows->reader->line = 1;
	if (reader_need(rows->reader, WORDVEC_BYTES, fault))
		return fault->code;
	size = reader_peek(rows->reader, &data);
	rows->words = wordvec_is_text((const char *)data, size) ? WORDS_TEXT
								: WORDS_BINARY;
	return 0;
}

int wordvec_begin(struct rows *rows, int format, uint32_t dim,
		  struct fault *fault)
{
	const unsigned char *data, *end = NULL;
	size_t size = 0, wanted = WORDVEC_BYTES;

	rows->kind = ROW_F32;
	if (reader_skip_mark(rows->reader, fault))
		return fault->code;
	if (format == FORMAT_WORD2VEC)
		return wordvec_begin_header(rows, fault);
	rows->words = WORDS_TEXT;
	rows->dim = dim;
	while (!dim && !end && wanted <= READER_LINE_BYTES) {
		if (reader_need(rows->reader, wanted, fault))
			return fault->code;
		size = reader_peek(rows->reader, &data);
		end = memchr(data, '\n', size);
		if (end || size < wanted) {
			size = end ? (size_t)(end - data) : size;
			rows->dim = wordvec_fields((const char *)data, size);
			rows->dim -= rows->dim > 0;
			break;
		}
		wanted *= 2;
	}
	return 0;
}

/* A row that is not taken; the next one can be. */
static int wordvec_bad(struct rows *rows, struct fault *fault)
{
	rows->is_bad = 1;
	return fault->code;
}

static int wordvec_line(struct rows *rows, const char *line, size_t size,
			struct fault *fault)
{
	const char *end = line + size, *at;
	float value;

	for (uint32_t i = rows->dim; i-- > 0; end = at) {
		at = wordvec_last(line, &end);
		if (at == line)
			return fault_set(fault, EXIT_BAD_INPUT,
					 "%u numbers after the word, %u are "
					 "wanted",
					 at == end ? 0 : rows->dim - 1 - i,
					 rows->dim);
		if (!wordvec_number(at, end, &rows->row[i]) ||
		    !isfinite(rows->row[i]))
			return fault_set(
			    fault, EXIT_BAD_INPUT,
			    "number %u, '%.*s', is no number of "
			    "float32's range",
			    i + 1, end - at < 40 ? (int)(end - at) : 40, at);
	}
	at = wordvec_last(line, &end);
	if (at == end || (at > line && wordvec_number(at, end, &value)))
		return fault_set(fault, EXIT_BAD_INPUT, "%s %u numbers",
				 at == end ? "no word stands before the"
					   : "after the word are more than",
				 rows->dim);
	rows->key = line;
	rows->key_size = (size_t)(end - line);
	return 0;
}

static int wordvec_end(const struct rows *rows, struct fault *fault)
{
	char words[64];

	if (rows->count == UINT64_MAX || rows->index == rows->count)
		return 0;
	return fault_set(
	    fault, EXIT_BAD_INPUT,
	    "%s: has %s, its first line promises %" PRIu64 ". Is it complete?",
	    rows->reader->name,
	    words_things(words, rows->index, "word", "words"), rows->count);
}

static int wordvec_next_line(struct rows *rows, const float **row,
			     struct fault *fault)
{
	const char *line;
	size_t size;

	do {
		if (reader_line(rows->reader, &line, &size, fault))
			return fault->code;
		if (!line)
			return wordvec_end(rows, fault);
	} while (wordvec_fields(line, size < 8 ? size : 8) == 0);
	rows->line = rows->reader->line;
	rows->index++;
	if (rows->index > rows->count) {
		fault_set(fault, EXIT_BAD_INPUT,
			  "more words than the first line promises, %" PRIu64,
			  rows->count);
		return wordvec_bad(rows, fault);
	}
	if (wordvec_line(rows, line, size, fault))
		return wordvec_bad(rows, fault);
	*row = rows->row;
	return 0;
}

static int wordvec_next_binary(struct rows *rows, const float **row,
			       struct fault *fault)
{
	size_t bytes = rows->dim * sizeof(float), have, skip = 0;
	const unsigned char *data, *space;

	if (reader_need(rows->reader, WORDVEC_BYTES + 1 + bytes, fault))
		return fault->code;
	have = reader_peek(rows->reader, &data);
	while (skip < have && data[skip] == '\n')
		skip++;
	if (skip == have)
		return wordvec_end(rows, fault);
	if (rows->index == rows->count)
		return fault_set(
		    fault, EXIT_BAD_INPUT,
		    "%s: bytes follow after the last row, %" PRIu64,
		    rows->reader->name, rows->index);
	space =
	    memchr(data + skip, ' ',
		   have - skip < WORDVEC_BYTES ? have - skip : WORDVEC_BYTES);
	if (!space || (size_t)(data + have - space - 1) < bytes)
		return fault_set(fault, EXIT_BAD_INPUT, "%s: %s row %" PRIu64,
				 rows->reader->name,
				 space || have < WORDVEC_BYTES
				     ? "breaks off in"
				     : "no word is at the begin of",
				 rows->index);
	memcpy(rows->row, space + 1, bytes);
	rows->key = (const char *)data + skip;
	rows->key_size = (size_t)(space - data) - skip;
	reader_take(rows->reader, (size_t)(space - data) + 1 + bytes);
	rows->index++;
	*row = rows->row;
	return 0;
}

int wordvec_next(struct rows *rows, const float **row, struct fault *fault)
{
	return rows->words == WORDS_TEXT
		   ? wordvec_next_line(rows, row, fault)
		   : wordvec_next_binary(rows, row, fault);
}
