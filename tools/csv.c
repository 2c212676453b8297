/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: records of a CSV file.
 *
 * source
 *	RFC 4180, and what files do beyond it: LF, CRLF or CR, a byte order
 *	mark, no end of line after the last record, empty lines (skipped).  The
 *	delimiter, unless it is given, is the first of `,` tab `;` `|` in the
 *	file outside quotes.  A quote inside of a field that does not begin with
 *	one is an ordinary character.  An escape, where there is one, stands in
 *	quotes, before a quote or itself; in a file without quotes it stands
 *	before anything.
 *
 * idea
 *	A state machine; runs of bytes that mean nothing to it are copied at
 *	once into one buffer.  A mistake in the quotes is noted and the record
 *	read on to its end, so that an import which skips bad records finds the
 *	next one.
 *
 * limits
 *	A record has READER_LINE_BYTES and CSV_FIELDS fields at most; memory is
 *	one record.
 */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

enum csv_state {
	CSV_START, /* of a field */
	CSV_PLAIN,
	CSV_PLAIN_ESCAPE, /* after an escape */
	CSV_QUOTED,
	CSV_QUOTED_ESCAPE,
	CSV_QUOTE /* after a quote in a quoted field */
};

enum { CSV_FIELDS = 65536 };

enum csv_step { CSV_MORE, CSV_RECORD, CSV_MEMORY };

/* In csv->stops: a byte that ends a run outside and inside of quotes. */
enum csv_stop { CSV_STOPS_PLAIN = 1, CSV_STOPS_QUOTED = 2 };

static void csv_set_stops(struct csv *csv)
{
	const struct csv_dialect *dialect = &csv->dialect;
	const char *found = ",\t;|";

	memset(csv->stops, 0, sizeof csv->stops);
	csv->stops['\n'] = CSV_STOPS_PLAIN | CSV_STOPS_QUOTED;
	csv->stops['\r'] = CSV_STOPS_PLAIN;
	if (dialect->delimiter)
		csv->stops[dialect->delimiter] |= CSV_STOPS_PLAIN;
	for (; !dialect->delimiter && *found; found++)
		csv->stops[(unsigned char)*found] |= CSV_STOPS_PLAIN;
	if (dialect->quote != CSV_NONE)
		csv->stops[dialect->quote] |= CSV_STOPS_QUOTED;
	if (dialect->escape != CSV_NONE)
		csv->stops[dialect->escape] |= dialect->quote == CSV_NONE
						   ? CSV_STOPS_PLAIN
						   : CSV_STOPS_QUOTED;
}

int csv_begin(struct csv *csv, struct reader *reader,
	      const struct csv_dialect *dialect, struct fault *fault)
{
	memset(csv, 0, sizeof *csv);
	csv->reader = reader;
	csv->dialect = *dialect;
	csv->next_line = 1;
	csv_set_stops(csv);
	return reader_skip_mark(reader, fault);
}

void csv_take_delimiter(struct csv *csv, int delimiter)
{
	csv->dialect.delimiter = delimiter;
	csv_set_stops(csv);
}

void csv_release(struct csv *csv)
{
	free(csv->text);
	free(csv->raw);
	free(csv->fields);
	memset(csv, 0, sizeof *csv);
}

const char *csv_raw(const struct csv *csv, size_t *size)
{
	*size = csv->raw_size;
	while (*size &&
	       (csv->raw[*size - 1] == '\n' || csv->raw[*size - 1] == '\r'))
		--*size;
	return csv->keeps_raw ? csv->raw : NULL;
}

const char *csv_field(const struct csv *csv, size_t index, size_t *size)
{
	*size = csv->fields[index].size;
	/* without a byte in any of them there is no text yet */
	return csv->text ? csv->text + csv->fields[index].begin : "";
}

int csv_has_fields(const struct csv *csv, size_t count)
{
	return csv->field_count == count ||
	       (count && csv->field_count == count + 1 &&
		csv->fields[count].size == 0);
}

static int csv_grow(char **text, size_t size, size_t *room, size_t more)
{
	size_t next = *room ? *room * 2 : 4096;
	char *grown;

	if (more <= *room - size)
		return CSV_MORE;
	while (next - size < more)
		next *= 2;
	grown = realloc(*text, next);
	if (!grown)
		return CSV_MEMORY;
	*text = grown;
	*room = next;
	return CSV_MORE;
}

static int csv_append(struct csv *csv, const unsigned char *data, size_t size)
{
	if (csv_grow(&csv->text, csv->size, &csv->room, size))
		return CSV_MEMORY;
	memcpy(csv->text + csv->size, data, size);
	csv->size += size;
	return CSV_MORE;
}

/* Bytes of the record as they stand in the file. */
static int csv_keep(struct csv *csv, const unsigned char *data, size_t size)
{
	if (!csv->keeps_raw)
		return CSV_MORE;
	if (csv_grow(&csv->raw, csv->raw_size, &csv->raw_room, size))
		return CSV_MEMORY;
	memcpy(csv->raw + csv->raw_size, data, size);
	csv->raw_size += size;
	return CSV_MORE;
}

/* Opens a field at the end of the text; one too many is the last one again. */
static int csv_open(struct csv *csv)
{
	csv->state = CSV_START;
	if (csv->field_count == CSV_FIELDS) {
		csv->mistake = "the record has more than 65,536 fields";
		return CSV_MORE;
	}
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
	return CSV_MORE;
}

static void csv_shut(struct csv *csv)
{
	struct csv_field *field = &csv->fields[csv->field_count - 1];

	field->size = csv->size - field->begin;
}

/* Whether a byte ends the field or the record; *step says what is next. */
static int csv_is_end(struct csv *csv, unsigned char c, int *step)
{
	if (c != '\n' && c != '\r') {
		if (!csv->dialect.delimiter && c && strchr(",\t;|", c)) {
			csv->dialect.delimiter = c;
			csv_set_stops(csv);
		}
		if (c != csv->dialect.delimiter || !c)
			return 0;
		csv_shut(csv);
		*step = csv_open(csv);
		return 1;
	}
	csv->next_line++;
	csv->returned = c == '\r';
	csv_shut(csv);
	*step = CSV_RECORD;
	return 1;
}

/* After an escape in quotes. */
static int csv_escaped(struct csv *csv, const unsigned char *c)
{
	if (*c != csv->dialect.quote && *c != csv->dialect.escape)
		csv->mistake = "an escape stands before what is neither a "
			       "quote nor an escape";
	csv->next_line += *c == '\n';
	csv->state = CSV_QUOTED;
	return csv_append(csv, c, 1);
}

/* A byte that ends a run, or the one after it. */
static int csv_byte(struct csv *csv, const unsigned char *c)
{
	int step = CSV_MORE;

	switch (csv->state) {
	case CSV_PLAIN_ESCAPE:
		csv->next_line += *c == '\n';
		csv->state = CSV_PLAIN;
		return csv_append(csv, c, 1);
	case CSV_QUOTED_ESCAPE: return csv_escaped(csv, c);
	case CSV_QUOTED:
		if (*c != csv->dialect.escape && *c != csv->dialect.quote) {
			csv->next_line++;
			return csv_append(csv, c, 1);
		}
		csv->state =
		    *c == csv->dialect.escape ? CSV_QUOTED_ESCAPE : CSV_QUOTE;
		return CSV_MORE;
	case CSV_QUOTE:
		if (csv_is_end(csv, *c, &step))
			return step;
		if (*c == csv->dialect.quote) {
			csv->state = CSV_QUOTED;
			return csv_append(csv, c, 1);
		}
		csv->mistake = "text follows after a closing quote";
		csv->state = CSV_PLAIN;
		return csv_append(csv, c, 1);
	default: break;
	}
	if (!csv_is_end(csv, *c, &step))
		csv->state = CSV_PLAIN_ESCAPE;
	return step;
}

/* Takes bytes up to the end of the record; *at is after the last one taken. */
static int csv_take(struct csv *csv, const unsigned char *data, size_t have,
		    size_t *at)
{
	size_t i = 0;
	int step = CSV_MORE;

	while (i < have && step == CSV_MORE) {
		size_t from = i;
		int stop = csv->state == CSV_QUOTED ? CSV_STOPS_QUOTED
						    : CSV_STOPS_PLAIN;

		if (csv->state == CSV_START && data[i] == csv->dialect.quote) {
			csv->state = CSV_QUOTED;
			i++;
			continue;
		}
		if (csv->state <= CSV_PLAIN || csv->state == CSV_QUOTED)
			while (i < have && !(csv->stops[data[i]] & stop))
				i++;
		if (i == from) {
			step = csv_byte(csv, &data[i++]);
			continue;
		}
		if (csv->state == CSV_START)
			csv->state = CSV_PLAIN;
		step = csv_append(csv, data + from, i - from);
	}
	*at = i;
	return step;
}

/* At the end of the file: what was begun is a record. */
static int csv_end_of_file(struct csv *csv)
{
	if (csv->state == CSV_QUOTED)
		csv->mistake = "a quote is never closed";
	if (csv->state == CSV_QUOTED_ESCAPE || csv->state == CSV_PLAIN_ESCAPE)
		csv->mistake = "the file ends after an escape";
	if (csv->state == CSV_START && csv->field_count == 1)
		csv->field_count = 0;
	else
		csv_shut(csv);
	return 0;
}

/* Reads one record, which may be an empty line: a single empty field. */
static int csv_record(struct csv *csv, struct fault *fault)
{
	const unsigned char *data;
	size_t have, at;
	int step;

	csv->field_count = csv->size = csv->raw_size = 0;
	csv->mistake = NULL;
	csv->line = csv->next_line;
	step = csv_open(csv);
	while (step == CSV_MORE) {
		if (reader_need(csv->reader, 1, fault))
			return fault->code;
		have = reader_peek(csv->reader, &data);
		if (have == 0)
			return csv_end_of_file(csv);
		if (csv->returned && *data == '\n') {
			csv->returned = 0;
			reader_take(csv->reader, 1);
			continue;
		}
		csv->returned = 0;
		step = csv_take(csv, data, have, &at);
		if (csv_keep(csv, data, at))
			step = CSV_MEMORY;
		reader_take(csv->reader, at);
		if (csv->size > READER_LINE_BYTES)
			return fault_set(fault, EXIT_BAD_INPUT,
					 "%s:%llu: the record is longer than "
					 "128 MiB; is a quote not closed?",
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
	} while (csv->field_count == 1 && csv->state == CSV_START);
	return 0;
}
