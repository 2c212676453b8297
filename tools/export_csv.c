/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv: as neo4j-admin imports it, in two files: PREFIX-nodes.csv and
 * PREFIX-relationships.csv.
 *
 * layout
 *	:ID,:LABEL,NAME:TYPE..,content,vector:float[]
 *	:START_ID,:END_ID,:TYPE,NAME:TYPE..
 *	:LABEL is the type, then the tags, with `;` between; so are the items of
 *	lists.  A column has the type that all of its values have, of numbers
 *	the wider one, unless a whole one is over 2^53; else it is a string, and
 *	what is no text in it is JSON.  So are all lists of a column where some
 *	have items of several types or that are none, or a `;` in an item:
 *	nothing can stand before that.
 *
 * limits
 *	Types and tags that have a `;`, texts that have a NUL, properties whose
 *	name begins with `~`, validities and discriminators, and content that is
 *	no text, are left out, and counted; so are entities whose key is no
 *	text, with their edges.  Empty texts and lists are empty cells, which
 *	are none.
 */
#include "export.h"
#include "out.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A cell that is put together; and the cells of a row, by column. */
struct cell {
	char *data;
	size_t size, room;
};

static struct {
	struct cell *cells;
	struct cell *now;
	int of_edges;
	int failed; /* memory is out */
} row;

static void cell_add(const void *data, size_t size)
{
	struct cell *cell = row.now;

	if (cell->room - cell->size < size) {
		size_t room = (cell->size + size) * 2;
		char *grown = realloc(cell->data, room);

		if (!grown) {
			row.failed = 1;
			return;
		}
		cell->data = grown;
		cell->room = room;
	}
	if (size)
		memcpy(cell->data + cell->size, data, size);
	cell->size += size;
}

static void cell_write(const void *data, size_t size)
{
	const char *text = data;
	int plain = 1;

	for (size_t i = 0; i < size && plain; i++)
		plain = text[i] != '"' && text[i] != ',' && text[i] != '\n' &&
			text[i] != '\r';
	if (!plain)
		putchar('"');
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"')
			putchar('"');
		putchar(text[i]);
	}
	if (!plain)
		putchar('"');
}

/* ---- columns ------------------------------------------------------------ */

static const char *scalar_word(int kind)
{
	switch (kind) {
	case COP_BOOL: return "boolean";
	case COP_INT: return "long";
	case COP_FLOAT: return "double";
	default: return "string";
	}
}

static int is_list(const struct export_field *field)
{
	int kind = export_kind_of(field->item_kinds);

	return export_kind_of(field->kinds) == COP_LIST && !field->is_cut &&
	       !(field->item_kinds & 1U << COP_NULL) &&
	       (kind != COP_STRING || field->item_kinds == 1U << COP_STRING) &&
	       kind != COP_LIST;
}

static void header_write(const struct exporter *run, int of_edges)
{
	for (size_t i = 0; i < run->fields.count; i++) {
		const struct export_field *field = &run->fields.fields[i];
		char tail[24];

		if (field->of_edges != of_edges)
			continue;
		snprintf(tail, sizeof tail, ":%s%s",
			 scalar_word(export_kind_of(is_list(field)
							? field->item_kinds
							: field->kinds)),
			 is_list(field) ? "[]" : "");
		putchar(',');
		row.now = &row.cells[i];
		row.now->size = 0;
		cell_add(field->name, field->size);
		cell_add(tail, strlen(tail));
		cell_write(row.now->data, row.now->size);
	}
}

/* ---- rows --------------------------------------------------------------- */

static cop_err list_add(const struct cop_value *value)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < value->count && !err; i++) {
		struct cop_value item;

		if (i)
			cell_add(";", 1);
		err = cop_value_item(value, i, NULL, NULL, &item);
		if (!err)
			err = export_plain(&item, cell_add);
	}
	return err;
}

static cop_err property_note(struct exporter *run, const char *name,
			     size_t size, const struct cop_value *value)
{
	struct export_field *field =
	    export_field_find(&run->fields, name, size, row.of_edges);

	if (!field)
		return 0;
	if (value->kind == COP_STRING && memchr(value->data, 0, value->count)) {
		run->left_out++;
		return 0;
	}
	row.now = &row.cells[field - run->fields.fields];
	return is_list(field) ? list_add(value) : export_plain(value, cell_add);
}

static void row_begin(const struct exporter *run, int of_edges)
{
	for (size_t i = 0; i < run->fields.count; i++)
		row.cells[i].size = 0;
	row.of_edges = of_edges;
}

static cop_err row_end(const struct exporter *run)
{
	for (size_t i = 0; i < run->fields.count; i++)
		if (run->fields.fields[i].of_edges == row.of_edges) {
			putchar(',');
			cell_write(row.cells[i].data, row.cells[i].size);
		}
	return row.failed ? ENOMEM : 0;
}

static cop_err label_add(struct exporter *run, const char *text, size_t size,
			 int is_type)
{
	cell_add(";", !is_type);
	if (memchr(text, ';', size))
		run->left_out++;
	else
		cell_add(text, size);
	return 0;
}

static cop_err labels_write(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	struct cell *labels = &row.cells[run->fields.count];
	cop_err err;

	row.now = labels;
	labels->size = 0;
	err = export_labels(run, read, entity, label_add);
	cell_write(labels->data, labels->size);
	return err;
}

static cop_err content_write(struct exporter *run, cop_read *read,
			     const struct cop_entity *entity)
{
	const void *data;
	size_t size;
	cop_err err = out_content(read, entity, &data, &size);

	putchar(',');
	if (!err && data && !memchr(data, 0, size))
		cell_write(data, size);
	else
		run->left_out += size != 0;
	return err;
}

static cop_err vector_write(const struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	const float *vector;
	cop_err err = cop_vector(read, entity->id, &vector);

	putchar(',');
	for (uint32_t i = 0; !err && vector && i < cop_dim(run->cli->store);
	     i++)
		printf("%s%.9g", i ? ";" : "", (double)vector[i]);
	return err;
}

static cop_err entity_write(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	cop_err err;

	run->entities++;
	cell_write(entity->key, entity->key_size);
	putchar(',');
	err = labels_write(run, read, entity);
	row_begin(run, 0);
	if (!err)
		err =
		    export_entity_properties(run, read, entity, property_note);
	if (!err)
		err = row_end(run);
	if (!err && run->fields.has_content)
		err = content_write(run, read, entity);
	if (!err && run->fields.has_vector)
		err = vector_write(run, read, entity);
	putchar('\n');
	return err;
}

static cop_err edge_write(struct exporter *run, cop_read *read,
			  const struct cop_edge *edge)
{
	cop_err err = export_key(read, edge->source, cell_write);

	run->edges++;
	run->left_out += edge->discriminator != 0;
	putchar(',');
	if (!err)
		err = export_key(read, edge->target, cell_write);
	putchar(',');
	if (!err)
		err = export_name(read, edge->relation, cell_write);
	row_begin(run, 1);
	if (!err)
		err = export_edge_properties(run, read, edge, property_note);
	if (!err)
		err = row_end(run);
	putchar('\n');
	return err;
}

static int nodes_write(struct exporter *run)
{
	int code = export_begin(run, "-nodes.csv");

	if (code)
		return code;
	fputs(":ID,:LABEL", stdout);
	header_write(run, 0);
	fputs(run->fields.has_content ? ",content:string" : "", stdout);
	fputs(run->fields.has_vector ? ",vector:float[]" : "", stdout);
	putchar('\n');
	return export_end(run, export_entities(run, entity_write));
}

static int edges_write(struct exporter *run)
{
	int code = export_begin(run, "-relationships.csv");

	if (code)
		return code;
	fputs(":START_ID,:END_ID,:TYPE", stdout);
	header_write(run, 1);
	putchar('\n');
	return export_end(run, export_edges(run, edge_write));
}

/* Tables are UTF-8 without NUL. */
static int key_fits(const void *key, size_t size)
{
	return words_utf8(key, size) == size && !memchr(key, 0, size);
}

int export_csv(struct exporter *run)
{
	static const char *const taken[] = {"content", NULL};
	int code;

	run->taken[0] = taken;
	run->taken_first = '~'; /* a word of Gremlin's */
	run->key_fits = key_fits;
	code = export_survey(run);
	row.cells = calloc(run->fields.count + 1, sizeof *row.cells);
	if (!code && !row.cells)
		code =
		    fault_set(&run->cli->fault, EXIT_NO_SPACE, "out of memory");
	if (!code)
		code = nodes_write(run);
	if (!code)
		code = edges_write(run);
	for (size_t i = 0; row.cells && i <= run->fields.count; i++)
		free(row.cells[i].data);
	free(row.cells);
	return code;
}
