/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: edges, one a record (csv.c reads the records).
 *
 * layout
 *	source,type,target[,more...]
 *	The first line names the columns, in any order; `relation` stands for
 *	`type`; `valid_from` and `valid_to` are times,
 *	`discriminator` a number.  Every further column is
 *	a property of the edge, a string; an
 *	empty cell is no property.
 */
#include "csv.h"
#include "import.h"
#include "instant.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct columns {
	char **names; /* each ends in NUL */
	size_t count;
	size_t source, relation, target;
	size_t valid_from, valid_to, discriminator; /* SIZE_MAX: none */
	struct cop_property *properties;	    /* room for all columns */
};

static void columns_release(struct columns *columns)
{
	for (size_t i = 0; i < columns->count; i++)
		free(columns->names[i]);
	free(columns->names);
	free(columns->properties);
}

/* The index of a column, or SIZE_MAX. */
static size_t columns_find(const struct columns *columns, const char *name)
{
	for (size_t i = 0; i < columns->count; i++)
		if (!strcmp(columns->names[i], name))
			return i;
	return SIZE_MAX;
}

static int columns_copy(struct columns *columns, const struct csv *csv,
			struct fault *fault)
{
	columns->names = calloc(csv->field_count + 1, sizeof(char *));
	columns->properties =
	    calloc(csv->field_count + 1, sizeof *columns->properties);
	if (!columns->names || !columns->properties)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	for (size_t i = 0; i < csv->field_count; i++) {
		size_t size;
		const char *text = csv_field(csv, i, &size);
		char *name = strndup(text, size);

		if (!name)
			return fault_set(fault, EXIT_NO_SPACE, "out of memory");
		if (columns_find(columns, name) != SIZE_MAX ||
		    strlen(name) != size || words_utf8(text, size) != size) {
			fault_set(fault, EXIT_BAD_INPUT,
				  "%s:%llu: column %zu, '%.80s', is there "
				  "twice or is not UTF-8",
				  csv->reader->name,
				  (unsigned long long)csv->line, i + 1, name);
			free(name);
			return fault->code;
		}
		columns->names[columns->count++] = name;
	}
	return 0;
}

static int columns_read(struct columns *columns, struct csv *csv,
			struct fault *fault)
{
	const char *missing = NULL;

	if (csv_next(csv, fault))
		return fault->code;
	if (csv->mistake)
		return fault_set(fault, EXIT_BAD_INPUT, "%s:%llu: %s",
				 csv->reader->name,
				 (unsigned long long)csv->line, csv->mistake);
	if (columns_copy(columns, csv, fault))
		return fault->code;
	columns->source = columns_find(columns, "source");
	columns->target = columns_find(columns, "target");
	columns->relation = columns_find(columns, "relation");
	if (columns->relation == SIZE_MAX)
		columns->relation = columns_find(columns, "type");
	columns->valid_from = columns_find(columns, "valid_from");
	columns->valid_to = columns_find(columns, "valid_to");
	columns->discriminator = columns_find(columns, "discriminator");
	if (columns->target == SIZE_MAX)
		missing = "'target'";
	if (columns->relation == SIZE_MAX)
		missing = "'type' or 'relation'";
	if (columns->source == SIZE_MAX)
		missing = "'source'";
	if (!missing)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s:%llu: the first line has no column %s; an edge "
			 "file begins with source,type,target",
			 csv->reader->name, (unsigned long long)csv->line,
			 missing);
}

static int csv_check(const struct csv *csv, const struct columns *columns,
		     struct fault *fault)
{
	if (csv->mistake)
		return fault_set(fault, EXIT_BAD_INPUT, "%s", csv->mistake);
	if (csv->field_count != columns->count)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%zu fields, the first line has %zu",
				 csv->field_count, columns->count);
	for (size_t i = 0; i < csv->field_count; i++) {
		size_t size;
		const char *text = csv_field(csv, i, &size);
		size_t valid = words_utf8(text, size);

		if (valid < size)
			return fault_set(fault, EXIT_BAD_INPUT,
					 "column '%.80s': byte %zu (0x%02x) is "
					 "not UTF-8",
					 columns->names[i], valid + 1,
					 (unsigned char)text[valid]);
	}
	return 0;
}

/* The further columns of a record; returns how many are not empty. */
static uint32_t csv_properties(const struct csv *csv,
			       const struct columns *columns)
{
	uint32_t count = 0;

	for (size_t i = 0; i < columns->count; i++) {
		struct cop_property *property = &columns->properties[count];
		size_t size;
		const char *text = csv_field(csv, i, &size);

		if (i == columns->source || i == columns->relation ||
		    i == columns->target || i == columns->valid_from ||
		    i == columns->valid_to || i == columns->discriminator ||
		    size == 0)
			continue;
		memset(property, 0, sizeof *property);
		property->name = columns->names[i];
		property->name_size = strlen(property->name);
		property->value.kind = COP_STRING;
		property->value.data = text;
		property->value.count = (uint32_t)size;
		count++;
	}
	return count;
}

/* A time in a column; one that is not there, or empty, leaves it open. */
static int csv_instant(const struct csv *csv, const struct columns *columns,
		       size_t column, struct cop_instant *out,
		       struct fault *fault)
{
	char text[INSTANT_ROOM];
	const char *field;
	size_t size;

	if (column == SIZE_MAX)
		return 0;
	field = csv_field(csv, column, &size);
	if (!size)
		return 0;
	snprintf(text, sizeof text, "%.*s", (int)size, field);
	return size < sizeof text && strlen(text) == size &&
		       !instant_parse(text, out)
		   ? 0
		   : fault_set(fault, EXIT_BAD_INPUT,
			       "column '%s': '%.80s' is not a time, such as "
			       "1815 or 2026-11-27T10:00Z",
			       columns->names[column], text);
}

/* A number in its column; none is 0. */
static int csv_discriminator(const struct csv *csv,
			     const struct columns *columns, uint32_t *out,
			     struct fault *fault)
{
	char text[16];
	uint64_t number = 0;
	const char *field = "";
	size_t size = 0;

	if (columns->discriminator != SIZE_MAX)
		field = csv_field(csv, columns->discriminator, &size);
	snprintf(text, sizeof text, "%.*s", (int)size, field);
	if (size && (size >= sizeof text || strlen(text) != size ||
		     words_u64(text, 10, &number) || number > UINT32_MAX))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "column 'discriminator': '%.40s' is not a "
				 "whole number of 0 to 4294967295",
				 text);
	*out = (uint32_t)number;
	return 0;
}

/* What a record is, with its place; 0 or an exit status. */
static int csv_edge(const struct csv *csv, const struct columns *columns,
		    struct cop_validity *valid, struct cop_put_edge *edge,
		    struct fault *fault)
{
	*valid = (struct cop_validity){{INT64_MIN, 0, 0}, {INT64_MAX, 0, 0}};
	*edge = (struct cop_put_edge){.size = sizeof *edge};
	if (csv_check(csv, columns, fault) ||
	    csv_instant(csv, columns, columns->valid_from, &valid->from,
			fault) ||
	    csv_instant(csv, columns, columns->valid_to, &valid->to, fault) ||
	    csv_discriminator(csv, columns, &edge->discriminator, fault))
		return fault->code;
	if (valid->from.seconds != INT64_MIN || valid->to.seconds != INT64_MAX)
		edge->valid = valid;
	edge->source = csv_field(csv, columns->source, &edge->source_size);
	edge->relation =
	    csv_field(csv, columns->relation, &edge->relation_size);
	edge->target = csv_field(csv, columns->target, &edge->target_size);
	edge->property_count = csv_properties(csv, columns);
	edge->properties = columns->properties;
	return 0;
}

static int csv_records(struct import *import, struct csv *csv,
		       const struct columns *columns)
{
	struct fault *fault = &import->cli->fault;
	struct place place = {.file = import->reader.name};
	struct cop_validity valid;
	struct cop_put_edge edge;
	int code;

	for (;;) {
		if (csv_next(csv, fault))
			return fault->code;
		if (csv->field_count == 0)
			return 0;
		place.number = csv->line;
		if (csv_edge(csv, columns, &valid, &edge, fault))
			code = import_bad(import, &place);
		else
			code = import_edge(import, &place, &edge);
		if (code)
			return code;
	}
}

int csv_import(struct import *import)
{
	struct fault *fault = &import->cli->fault;
	struct columns columns = {0};
	struct csv csv;
	int code;

	code = csv_begin(&csv, &import->reader, fault);
	if (!code)
		code = columns_read(&columns, &csv, fault);
	if (!code)
		code = csv_records(import, &csv, &columns);
	columns_release(&columns);
	csv_release(&csv);
	return code;
}
