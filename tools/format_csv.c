/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: entities, or edges, one a record.
 *
 * idea
 *	csv.c reads the records, columns.c says what the columns are, cell.c
 *	makes values of cells.  An empty cell is no property; one that its
 *	column's type does not fit makes the record a bad one.  A column without
 *	a type is of strings.
 *
 * parallel edges
 *	In neo4j-admin's and Gremlin's files two edges with the same ends and
 *	relation are two (parallel.c tells them apart, over all files of one
 *	import).  In ours the second one replaces the first, unless a column
 *	`discriminator` keeps them apart; so it is in triples.
 *
 * without names
 *	--header FILE has the names for all files; of several files with commas
 *	between, as neo4j-admin takes them, the first one has those of the
 *	others.  With --no-header the columns are source and target, or source,
 *	relation and target.  `triples` is the latter, between tabs and without
 *	quotes.
 *
 * what is bad
 *	More or fewer cells than columns (but for a delimiter behind the last
 *	one), a mistake in the quotes, what is not UTF-8 or has a NUL in it, an
 *	entity without a key.
 */
#include "columns.h"
#include "import.h"
#include "instant.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHEET_SHOWN = 80 };

/* A table on its way in, and the record at hand. */
struct sheet {
	struct import *import;
	struct csv csv;
	struct columns columns;
	struct cell_list list;
	struct scratch scratch;
	struct cop_property *properties; /* room for all columns */
	uint32_t property_count;
	struct cop_put put;
	struct cop_put_edge edge;
	struct cop_validity valid;
};

static struct fault *sheet_fault(const struct sheet *sheet)
{
	return &sheet->import->cli->fault;
}

static int sheet_memory(const struct sheet *sheet)
{
	return fault_set(sheet_fault(sheet), EXIT_NO_SPACE, "out of memory");
}

/* ---- cells -------------------------------------------------------------- */

static int sheet_property(struct sheet *sheet, const struct column *column,
			  const char *text, size_t size)
{
	struct cop_property *property =
	    &sheet->properties[sheet->property_count++];

	property->name = column->name;
	property->name_size = column->name_size;
	return cell_value(&column->type, &sheet->list, text, size,
			  &sheet->scratch, &property->value,
			  sheet_fault(sheet));
}

/* An id, with its space before it if it has one. */
static int sheet_key(struct sheet *sheet, const struct column *column,
		     const char *text, size_t size, const void **key,
		     size_t *key_size)
{
	char *out;

	*key = text;
	*key_size = size;
	if (!column->space)
		return 0;
	out = scratch_take(&sheet->scratch, column->space_size + 1 + size, 1);
	if (!out)
		return sheet_memory(sheet);
	memcpy(out, column->space, column->space_size);
	out[column->space_size] = ':';
	memcpy(out + column->space_size + 1, text, size);
	*key = out;
	*key_size = column->space_size + 1 + size;
	return 0;
}

/* Tags; of labels the first is the type, or none if it is empty. */
static int sheet_tags(struct sheet *sheet, const struct column *column,
		      const char *text, size_t size)
{
	size_t most = 1, at = 0, tag_size;
	struct cop_put *put = &sheet->put;
	const char **tags, *tag;
	size_t *sizes;

	for (size_t i = 0; i < size; i++)
		most += text[i] == sheet->list.delimiter;
	tags = scratch_take(&sheet->scratch, most, sizeof *tags);
	sizes = scratch_take(&sheet->scratch, most, sizeof *sizes);
	if (!tags || !sizes)
		return sheet_memory(sheet);
	if (column->role == ROLE_LABELS &&
	    cell_member(&sheet->list, text, size, &at, &tag, &tag_size) &&
	    tag_size) {
		put->type = tag;
		put->type_size = tag_size;
	}
	while (cell_member(&sheet->list, text, size, &at, &tag, &tag_size)) {
		if (!tag_size)
			continue;
		tags[put->tag_count] = tag;
		sizes[put->tag_count++] = tag_size;
	}
	put->tags = tags;
	put->tag_sizes = sizes;
	return 0;
}

static int sheet_instant(struct sheet *sheet, const char *text, size_t size,
			 struct cop_instant *out)
{
	char copy[INSTANT_ROOM];

	if (size < sizeof copy) {
		memcpy(copy, text, size);
		copy[size] = '\0';
		if (!instant_parse(copy, out)) {
			sheet->edge.valid = &sheet->valid;
			return instant_order(&sheet->valid, sheet_fault(sheet));
		}
	}
	return fault_set(sheet_fault(sheet), EXIT_BAD_INPUT,
			 "'%.*s' is not a time, such as 1815 or "
			 "2026-11-27T10:00Z",
			 (int)words_cut(text, size, SHEET_SHOWN), text);
}

static int sheet_discriminator(struct sheet *sheet, const char *text,
			       size_t size)
{
	char copy[16];
	uint64_t number;

	if (size < sizeof copy) {
		memcpy(copy, text, size);
		copy[size] = '\0';
		if (!words_u64(copy, 10, &number) && number <= UINT32_MAX) {
			sheet->edge.discriminator = (uint32_t)number;
			return 0;
		}
	}
	return fault_set(sheet_fault(sheet), EXIT_BAD_INPUT,
			 "'%.*s' is not a whole number of 0 to 4294967295",
			 (int)words_cut(text, size, SHEET_SHOWN), text);
}

static int sheet_entity_key(struct sheet *sheet, const struct column *column,
			    const char *text, size_t size)
{
	size_t key_size;

	if (sheet_key(sheet, column, text, size, &sheet->put.key, &key_size))
		return sheet_fault(sheet)->code;
	sheet->put.key_size =
	    key_size > UINT32_MAX ? UINT32_MAX : (uint32_t)key_size;
	return column->name ? sheet_property(sheet, column, text, size) : 0;
}

/* What a cell, which is not empty, adds to the record; 0 or an exit status. */
static int sheet_cell(struct sheet *sheet, const struct column *column,
		      const char *text, size_t size)
{
	struct cop_put_edge *edge = &sheet->edge;
	struct cop_put *put = &sheet->put;

	switch (column->role) {
	case ROLE_PROPERTY: return sheet_property(sheet, column, text, size);
	case ROLE_KEY: return sheet_entity_key(sheet, column, text, size);
	case ROLE_TYPE:
		put->type = text;
		put->type_size = size;
		return 0;
	case ROLE_LABELS:
	case ROLE_TAGS: return sheet_tags(sheet, column, text, size);
	case ROLE_CONTENT:
		put->content = text;
		put->content_size = size;
		return 0;
	case ROLE_VECTOR:
		return cell_vector(&sheet->list, text, size, &sheet->scratch,
				   &put->vector, &put->dim, sheet_fault(sheet));
	case ROLE_SOURCE:
		return sheet_key(sheet, column, text, size, &edge->source,
				 &edge->source_size);
	case ROLE_RELATION:
		edge->relation = text;
		edge->relation_size = size;
		return 0;
	case ROLE_TARGET:
		return sheet_key(sheet, column, text, size, &edge->target,
				 &edge->target_size);
	case ROLE_VALID_FROM:
		return sheet_instant(sheet, text, size, &sheet->valid.from);
	case ROLE_VALID_TO:
		return sheet_instant(sheet, text, size, &sheet->valid.to);
	case ROLE_DISCRIMINATOR: return sheet_discriminator(sheet, text, size);
	default: return 0;
	}
}

/* ---- records ------------------------------------------------------------ */

static int sheet_check(const struct sheet *sheet)
{
	const struct csv *csv = &sheet->csv;
	size_t columns = sheet->columns.count;
	char fields[64];

	if (csv->mistake)
		return fault_set(sheet_fault(sheet), EXIT_BAD_INPUT, "%s",
				 csv->mistake);
	if (!csv_has_fields(csv, columns))
		return fault_set(
		    sheet_fault(sheet), EXIT_BAD_INPUT,
		    "%s, the first line has %zu",
		    words_things(fields, csv->field_count, "field", "fields"),
		    columns);
	return 0;
}

static int sheet_utf8(const struct sheet *sheet, const char *text, size_t size)
{
	size_t valid = words_utf8(text, size);

	if (valid < size)
		return fault_set(sheet_fault(sheet), EXIT_BAD_INPUT,
				 "byte %zu (0x%02x) is not UTF-8", valid + 1,
				 (unsigned char)text[valid]);
	if (memchr(text, '\0', size))
		return fault_set(sheet_fault(sheet), EXIT_BAD_INPUT,
				 "byte %zu is NUL", strnlen(text, size) + 1);
	return 0;
}

static int sheet_cells(struct sheet *sheet)
{
	const struct columns *columns = &sheet->columns;

	for (size_t i = 0; i < columns->count; i++) {
		const struct column *column = &columns->items[i];
		size_t size;
		const char *text = csv_field(&sheet->csv, i, &size);

		if (!size || column->role == ROLE_IGNORED)
			continue;
		if (sheet_utf8(sheet, text, size) ||
		    sheet_cell(sheet, column, text, size))
			return fault_prefix(sheet_fault(sheet),
					    "column '%.80s': ", column->title);
	}
	return 0;
}

/* Makes an entity or an edge of the record; 0 or an exit status. */
static int sheet_record(struct sheet *sheet)
{
	const struct columns *columns = &sheet->columns;
	const struct import *import = sheet->import;
	struct cop_put_edge *edge = &sheet->edge;
	struct cop_put *put = &sheet->put;

	*put = (struct cop_put){.size = sizeof *put};
	*edge = (struct cop_put_edge){.size = sizeof *edge};
	sheet->valid =
	    (struct cop_validity){{INT64_MIN, 0, 0}, {INT64_MAX, 0, 0}};
	sheet->property_count = 0;
	scratch_reset(&sheet->scratch);
	if (sheet_check(sheet) || sheet_cells(sheet))
		return sheet_fault(sheet)->code;
	if (!columns->is_edges && !put->key)
		return fault_set(sheet_fault(sheet), EXIT_BAD_INPUT,
				 "column '%.80s' is empty, so the entity has "
				 "no key",
				 columns->items[columns->at[ROLE_KEY]].title);
	if (!put->type && import->type) {
		put->type = import->type;
		put->type_size = strlen(import->type);
	}
	if (!edge->relation && import->relation) {
		edge->relation = import->relation;
		edge->relation_size = strlen(import->relation);
	}
	put->properties = edge->properties = sheet->properties;
	put->property_count = edge->property_count = sheet->property_count;
	return 0;
}

/* Whether edges that are otherwise the same are told apart. */
static int sheet_is_parallel(const struct sheet *sheet)
{
	return sheet->columns.is_edges &&
	       (sheet->columns.is_neo4j || sheet->columns.is_gremlin);
}

static int sheet_edge(struct sheet *sheet, const struct place *place)
{
	struct import *import = sheet->import;

	if (sheet_is_parallel(sheet) &&
	    parallel_next(&import->parallel, &sheet->edge))
		return sheet_memory(sheet);
	return import_edge(import, place, &sheet->edge);
}

/* The record at hand, and those that follow. */
static int sheet_records(struct sheet *sheet)
{
	struct import *import = sheet->import;
	struct place place = {.file = import->reader.name};
	int code = 0;

	while (!code && sheet->csv.field_count) {
		place.number = sheet->csv.line;
		import->text = csv_raw(&sheet->csv, &import->text_size);
		if (resume_is_passing(import) && !sheet_is_parallel(sheet))
			code = import_step(import);
		else if (sheet_record(sheet))
			code = import_bad(import, &place);
		else if (sheet->columns.is_edges)
			code = sheet_edge(sheet, &place);
		else
			code = import_entity(import, &place, &sheet->put);
		if (!code)
			code = csv_next(&sheet->csv, sheet_fault(sheet));
	}
	return code;
}

/* ---- files -------------------------------------------------------------- */

/* The columns from the file with their names, and the delimiter it has. */
static int sheet_header(struct sheet *sheet, const char *path)
{
	struct fault *fault = sheet_fault(sheet);
	struct reader reader;
	struct csv csv;
	int code;

	memset(&csv, 0, sizeof csv);
	code = reader_open(&reader, path, fault);
	if (!code)
		code = csv_begin(&csv, &reader, &sheet->csv.dialect, fault);
	if (!code)
		code = columns_read(&sheet->columns, &csv,
				    sheet->import->relation != NULL, fault);
	if (!code)
		csv_take_delimiter(&sheet->csv, csv.dialect.delimiter);
	csv_release(&csv);
	reader_close(&reader);
	return code;
}

/* Finds the columns, and reads the first record that is not their names. */
static int sheet_begin(struct sheet *sheet, const struct table *table)
{
	struct fault *fault = sheet_fault(sheet);
	int has_relation = sheet->import->relation != NULL;

	if (csv_begin(&sheet->csv, &sheet->import->reader, &table->dialect,
		      fault))
		return fault->code;
	sheet->csv.keeps_raw = sheet->import->reject.file != NULL;
	if (table->header && sheet_header(sheet, table->header))
		return fault->code;
	if (!table->header && !table->has_no_header &&
	    columns_read(&sheet->columns, &sheet->csv, has_relation, fault))
		return fault->code;
	if (sheet->columns.count == 1 && !sheet->csv.dialect.delimiter)
		csv_take_delimiter(&sheet->csv, ',');
	if (csv_next(&sheet->csv, fault))
		return fault->code;
	if (!table->header && table->has_no_header && sheet->csv.field_count &&
	    columns_guess(&sheet->columns, &sheet->csv, has_relation, fault))
		return fault->code;
	sheet->list.delimiter = table->array_delimiter;
	sheet->list.is_escaped = sheet->columns.is_gremlin;
	sheet->properties =
	    calloc(sheet->columns.count + 1, sizeof *sheet->properties);
	return sheet->properties ? 0 : sheet_memory(sheet);
}

static int table_import(struct import *import, const struct table *table)
{
	struct sheet sheet = {.import = import};
	int code = sheet_begin(&sheet, table);

	if (!code)
		code = sheet_records(&sheet);
	free(sheet.properties);
	scratch_release(&sheet.scratch);
	columns_release(&sheet.columns);
	csv_release(&sheet.csv);
	return code;
}

int csv_import(struct import *import)
{
	return table_import(import, &import->table);
}

int csv_import_triples(struct import *import)
{
	struct table table = import->table;

	if (!table.dialect.delimiter)
		table.dialect.delimiter = '\t';
	table.dialect.quote = table.dialect.escape = CSV_NONE;
	table.has_no_header = 1;
	return table_import(import, &table);
}
