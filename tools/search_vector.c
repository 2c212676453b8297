/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_vector: the vector that a search asks for, from a file.
 *
 * idea
 *	Text may be a JSON list or bare numbers: both are numbers between
 *	characters that are no part of one, so one reader takes both.  It is
 *	strict where it matters: the list's brackets must match and nothing
 *	but white space and single commas may stand between numbers.
 *
 * limits
 *	A text has 1 MiB at most.
 */
#include "search_vector.h"
#include "format.h"
#include "rows.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUERY_TEXT_BYTES = 1048576 };

static int query_count(const struct reader *reader, uint32_t got, uint32_t dim,
		       struct fault *fault)
{
	if (got == dim)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: has %u numbers%s, this store's vectors have %u",
			 reader->name, got, got > dim ? " or more" : "", dim);
}

static void query_space(const char **at)
{
	while (isspace((unsigned char)**at))
		(*at)++;
}

static int query_mistake(const struct reader *reader, const char *text,
			 const char *at, struct fault *fault)
{
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: byte %zu: a number is expected, not '%.20s'",
			 reader->name, (size_t)(at - text) + 1, at);
}

/* `text` ends in NUL. */
static int query_parse(const struct reader *reader, const char *text,
		       uint32_t dim, float *vector, struct fault *fault)
{
	const char *at = text;
	uint32_t count = 0;
	int is_list;

	query_space(&at);
	is_list = *at == '[';
	at += is_list;
	query_space(&at);
	while (*at && *at != ']') {
		char *end;
		double value = strtod(at, &end);

		if (end == at || (!isspace((unsigned char)*end) && *end &&
				  *end != ',' && *end != ']'))
			return query_mistake(reader, text, at, fault);
		if (!isfinite(value) || fabs(value) > (double)FLT_MAX)
			return query_mistake(reader, text, at, fault);
		if (count == dim)
			return query_count(reader, count + 1, dim, fault);
		vector[count++] = (float)value;
		at = end;
		query_space(&at);
		if (*at != ',')
			continue;
		at++;
		query_space(&at);
		if (!*at || *at == ']' || *at == ',')
			return query_mistake(reader, text, at, fault);
	}
	if (is_list != (*at == ']'))
		return query_mistake(reader, text, at, fault);
	at += is_list;
	query_space(&at);
	if (*at)
		return query_mistake(reader, text, at, fault);
	return query_count(reader, count, dim, fault);
}

static int query_text(struct reader *reader, uint32_t dim, float *vector,
		      struct fault *fault)
{
	const unsigned char *data;
	size_t size;
	char *text;
	int code;

	if (reader_need(reader, QUERY_TEXT_BYTES + 1, fault))
		return fault->code;
	size = reader_peek(reader, &data);
	if (size > QUERY_TEXT_BYTES || memchr(data, '\0', size))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is longer than 1 MiB, or no text",
				 reader->name);
	text = malloc(size + 1);
	if (!text)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	memcpy(text, data, size);
	text[size] = '\0';
	code = query_parse(reader, text, dim, vector, fault);
	free(text);
	return code;
}

static int query_row(struct reader *reader, int format, uint32_t dim,
		     float *vector, struct fault *fault)
{
	const float *row = NULL;
	struct rows rows;
	int code;

	code = rows_open(&rows, reader, format, dim, fault);
	if (!code)
		code = rows_next(&rows, &row, fault);
	if (!code && row) {
		memcpy(vector, row, dim * sizeof *vector);
		code = rows_next(&rows, &row, fault);
	}
	if (!code && (row || rows.index != 1))
		code = fault_set(fault, EXIT_BAD_INPUT,
				 "%s: has not exactly one row. Try: --queries",
				 reader->name);
	rows_close(&rows);
	return code;
}

int search_vector_read(const char *path, uint32_t dim, float *vector,
		       struct fault *fault)
{
	const unsigned char *data;
	struct reader reader;
	uint32_t first = 0;
	size_t size;
	int code;

	code = reader_open(&reader, path, fault);
	if (!code)
		code = reader_need(&reader, 8, fault);
	if (code)
		goto out;
	size = reader_peek(&reader, &data);
	if (size >= sizeof first)
		memcpy(&first, data, sizeof first);
	if (size >= 6 && !memcmp(data, "\x93NUMPY", 6))
		code = query_row(&reader, FORMAT_NPY, dim, vector, fault);
	else if (size >= 8 && first >= COP_DIM_MIN && first <= COP_DIM_MAX)
		code = query_row(&reader, FORMAT_FVECS, dim, vector, fault);
	else
		code = query_text(&reader, dim, vector, fault);
out:
	reader_close(&reader);
	return code;
}
