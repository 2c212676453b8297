/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: records of a CSV file.
 *
 * source
 *	RFC 4180, and what files do beyond it: LF or CRLF, a byte order mark, no
 *	end of line after the last record, empty lines (skipped).  The
 *	delimiter is the first of `,` tab `;` `|` in the first line outside
 *	quotes.  A quote inside of a field that does not begin with one is an
 *	ordinary character.
 *
 * idea
 *	A state machine, a byte at a time, into one buffer.  A mistake in the
 *	quotes is noted and the record read on to its end, so that an import
 *	which skips bad records finds the next one.
 *
 * limits
 *	A record has READER_LINE_BYTES at most; memory is one record.
 */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

enum csv_state {
	CSV_START, /* of a field */
	CSV_PLAIN,
	CSV_QUOTED,
	CSV_QUOTE, /* after a quote in a quoted field */
	CSV_RETURN /* after that and a carriage return */
};

enum csv_step { CSV_MORE, CSV_RECORD, CSV_MEMORY };

int csv_begin(struct csv *csv, struct reader *reader, struct fault *fault)
{
	memset(csv, 0, sizeof *csv);
	csv->reader = reader;
	csv->next_line = 1;
	return reader_skip_mark(reader, fault);
}

void csv_release(struct csv *csv)
{
	free(csv->text);
	free(csv->fields);
	memset(csv, 0, sizeof *csv);
}

const char *csv_field(const struct csv *csv, size_t index, size_t *size)
{
	*size = csv->fields[index].size;
	return csv->text + csv->fields[index].begin;
}

static int csv_append(struct csv *csv, unsigned char c)
{
	if (csv->size == csv->room) {
		size_t room = csv->room ? csv->room * 2 : 4096;
		char *text = realloc(csv->text, room);

		if (!text)
			return CSV_MEMORY;
		csv->text = text;
		csv->room = room;
	}
	csv->text[csv->size++] = (char)c;
	return CSV_MORE;
}

/* Opens a field at the end of the text. */
static int csv_open(struct csv *csv)
{
	if (csv->field_count == csv->field_room) {
		size_t room = csv->field_room ? csv->field_room * 2 : 16;
		struct csv_field *fields;

		fields = realloc(csv->fields, room * sizeof *fields);
		if (!fields)
			return CSV_MEMORY;
		csv->fields = fields;
		csv->field_room = room;
	}
	csv->fields[csv->field_count++] = (struct csv_field){csv->size, 0};
	csv->state = CSV_START;
	return CSV_MORE;
}

static void csv_shut(struct csv *csv)
{
	struct csv_field *field = &csv->fields[csv->field_count - 1];

	field->size = csv->size - field->begin;
}

/* Ends the record: an unquoted field may have a carriage return too many. */
static int csv_end(struct csv *csv)
{
	csv_shut(csv);
	if (csv->state == CSV_PLAIN && csv->fields[csv->field_count - 1].size &&
	    csv->text[csv->size - 1] == '\r')
		csv->fields[csv->field_count - 1].size--;
	return CSV_RECORD;
}

static int csv_is_delimiter(struct csv *csv, unsigned char c)
{
	if (!csv->delimiter && c && strchr(",\t;|", c))
		csv->delimiter = c;
	return c == csv->delimiter && c;
}

static int csv_unquoted(struct csv *csv, unsigned char c)
{
	if (c == '\n')
		return csv_end(csv);
	if (csv_is_delimiter(csv, c)) {
		csv_shut(csv);
		return csv_open(csv);
	}
	if (csv->state == CSV_START && c == '"') {
		csv->state = CSV_QUOTED;
		return CSV_MORE;
	}
	csv->state = CSV_PLAIN;
	return csv_append(csv, c);
}

static int csv_after_quote(struct csv *csv, unsigned char c)
{
	if (c == '\n')
		return csv_end(csv);
	if (csv->state == CSV_QUOTE && c == '"') {
		csv->state = CSV_QUOTED;
		return csv_append(csv, c);
	}
	if (csv->state == CSV_QUOTE && c == '\r') {
		csv->state = CSV_RETURN;
		return CSV_MORE;
	}
	if (csv->state == CSV_QUOTE && csv_is_delimiter(csv, c)) {
		csv_shut(csv);
		return csv_open(csv);
	}
	csv->mistake = "text follows after a closing quote";
	csv->state = CSV_PLAIN;
	return csv_append(csv, c);
}

static int csv_byte(struct csv *csv, unsigned char c)
{
	if (c == '\n')
		csv->next_line++;
	switch (csv->state) {
	case CSV_START:
	case CSV_PLAIN: return csv_unquoted(csv, c);
	case CSV_QUOTE:
	case CSV_RETURN: return csv_after_quote(csv, c);
	default: break;
	}
	if (c != '"')
		return csv_append(csv, c);
	csv->state = CSV_QUOTE;
	return CSV_MORE;
}

/* At the end of the file: what was begun is a record. */
static int csv_end_of_file(struct csv *csv)
{
	if (csv->state == CSV_QUOTED)
		csv->mistake = "a quote is never closed";
	if (csv->state == CSV_START && csv->field_count == 1)
		csv->field_count = 0;
	else
		csv_end(csv);
	return 0;
}

/* Reads one record, which may be an empty line: a single empty field. */
static int csv_record(struct csv *csv, struct fault *fault)
{
	const unsigned char *data;
	size_t have, at;
	int step;

	csv->field_count = csv->size = 0;
	csv->mistake = NULL;
	csv->line = csv->next_line;
	step = csv_open(csv);
	while (step == CSV_MORE) {
		if (reader_need(csv->reader, 1, fault))
			return fault->code;
		have = reader_peek(csv->reader, &data);
		if (have == 0)
			return csv_end_of_file(csv);
		for (at = 0; at < have && step == CSV_MORE; at++)
			step = csv_byte(csv, data[at]);
		reader_take(csv->reader, at);
		if (csv->size > READER_LINE_BYTES)
			return fault_set(fault, EXIT_BAD_INPUT,
					 "%s:%llu: the record is longer than "
					 "64 MiB; is a quote not closed?",
					 csv->reader->name,
					 (unsigned long long)csv->line);
	}
	if (step == CSV_MEMORY)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	return 0;
}

int csv_next(struct csv *csv, struct fault *fault)
{
	do {
		if (csv_record(csv, fault))
			return fault->code;
	} while (csv->field_count == 1 && csv->size <= 1 &&
		 csv->fields[0].size == 0 && csv->state < CSV_QUOTED);
	return 0;
}
