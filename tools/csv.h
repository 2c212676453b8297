/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a CSV file; csv.c. */
#ifndef TOOLS_CSV_H
#define TOOLS_CSV_H

#include "reader.h"

enum { CSV_NONE = -1 };

/* Which bytes mean what. */
struct csv_dialect {
	int delimiter; /* 0: found in the first record */
	int quote;     /* CSV_NONE: none */
	int escape;    /* in quotes, before a quote or itself; CSV_NONE: none */
};

struct csv_field {
	size_t begin; /* in csv->text */
	size_t size;
};

struct csv {
	struct reader *reader;
	struct csv_dialect dialect;
	int state;
	int returned;	     /* the last record ended in a carriage return */
	uint64_t line;	     /* where the record begins */
	uint64_t next_line;  /* where the reader is */
	const char *mistake; /* in the record's quotes, NULL: none */
	char *text;
	size_t size, room;
	int keeps_raw; /* the record as it stands in the file: */
	char *raw;
	size_t raw_size, raw_room;
	struct csv_field *fields;
	size_t field_count, field_room;
	unsigned char stops[256]; /* where the text of a field is interrupted */
};

int csv_begin(struct csv *csv, struct reader *reader,
	      const struct csv_dialect *dialect, struct fault *fault);

/* Has the file that was just begun read with a delimiter; 0: to be found. */
void csv_take_delimiter(struct csv *csv, int delimiter);

/*
 * Reads the next record that is not an empty line; csv->field_count is 0 at
 * the end of the file.  Lifetime of the fields: until the next call.
 */
int csv_next(struct csv *csv, struct fault *fault);

/*
 * Whether the record has `count` fields; a delimiter behind the last one is
 * allowed.
 */
int csv_has_fields(const struct csv *csv, size_t count);

const char *csv_field(const struct csv *csv, size_t index, size_t *size);

/*
 * The record as it stands in the file, without the end of its line; NULL unless
 * csv->keeps_raw was set before it was read.  Lifetime as of the fields.
 */
const char *csv_raw(const struct csv *csv, size_t *size);

void csv_release(struct csv *csv);

#endif
