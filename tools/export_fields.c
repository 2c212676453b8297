/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_fields: properties, and what of them a format must know beforehand:
 * the names and types of all, for the columns of CSV and the keys of GraphML.
 *
 * limits
 *	What has a validity is left out and counted: these formats have no place
 *	for it.  So is a property of a name that the format has for something
 *	else, as `content`.
 */
#include "export.h"
#include "out.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_always(const struct cop_validity *valid)
{
	return valid->from.seconds == INT64_MIN &&
	       valid->to.seconds == INT64_MAX;
}

/* Whether something else of the format's has the name. */
static int is_taken(const struct exporter *run, int of_edges, const char *name,
		    size_t size)
{
	const char *const *taken = run->taken[of_edges];

	if (run->taken_first && size && *name == run->taken_first)
		return 1;
	while (taken && *taken &&
	       (strlen(*taken) != size || memcmp(*taken, name, size) != 0))
		taken++;
	return taken && *taken;
}

cop_err export_entity_properties(struct exporter *run, cop_read *read,
				 const struct cop_entity *entity,
				 export_property_visit *visit)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < entity->property_count && !err; i++) {
		struct cop_validity valid;
		struct cop_value value;
		const char *name;
		size_t size;

		err = cop_entity_property_at(read, entity, i, &name, &size,
					     &value);
		if (!err)
			err =
			    cop_entity_property_valid(read, entity, i, &valid);
		if (!err && is_always(&valid) && !is_taken(run, 0, name, size))
			err = visit(run, name, size, &value);
		else if (!err)
			run->left_out++;
	}
	return err;
}

cop_err export_edge_properties(struct exporter *run, cop_read *read,
			       const struct cop_edge *edge,
			       export_property_visit *visit)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < edge->property_count && !err; i++) {
		struct cop_value value;
		const char *name;
		size_t size;

		err = cop_edge_property_at(read, edge, i, &name, &size, &value);
		if (!err && is_taken(run, 1, name, size))
			run->left_out++;
		else if (!err)
			err = visit(run, name, size, &value);
	}
	return err;
}

cop_err export_labels(struct exporter *run, cop_read *read,
		      const struct cop_entity *entity,
		      export_label_visit *visit)
{
	struct out_tag *tags;
	uint32_t count;
	uint32_t timed = 0;
	const char *text = "";
	size_t size = 0;
	cop_err err =
	    entity->type ? cop_name(read, entity->type, &text, &size) : 0;

	if (err)
		return err;
	err = visit(run, text, size, 1);
	if (err)
		return err;
	err = out_tags(read, entity, &tags, &count, &timed);
	for (uint32_t i = 0; i < count && !err; i++)
		err = visit(run, tags[i].text, tags[i].size, 0);
	run->left_out += timed;
	free(tags);
	return err;
}

cop_err export_key(cop_read *read, uint64_t id,
		   void (*text)(const void *data, size_t size))
{
	const void *key;
	size_t size;
	cop_err err = cop_key(read, id, &key, &size);

	if (!err)
		text(key, size);
	return err;
}

cop_err export_name(cop_read *read, uint32_t number,
		    void (*text)(const void *data, size_t size))
{
	const char *name;
	size_t size;
	cop_err err = cop_name(read, number, &name, &size);

	if (!err)
		text(name, size);
	return err;
}

/* ---- the survey --------------------------------------------------------- */

struct export_field *export_field_find(struct export_fields *fields,
				       const char *name, size_t size,
				       int of_edges)
{
	for (size_t i = 0; i < fields->count; i++) {
		struct export_field *field = &fields->fields[i];

		if (field->of_edges == of_edges && field->size == size &&
		    !memcmp(field->name, name, size))
			return field;
	}
	return NULL;
}

static struct export_field *field_add(struct export_fields *fields,
				      const char *name, size_t size,
				      int of_edges)
{
	struct export_field *field;

	if (fields->count == fields->room) {
		size_t room = fields->room ? fields->room * 2 : 32;

		field = realloc(fields->fields, room * sizeof *field);
		if (!field)
			return NULL;
		fields->fields = field;
		fields->room = room;
	}
	field = &fields->fields[fields->count];
	*field = (struct export_field){
	    .name = malloc(size + 1), .size = size, .of_edges = of_edges};
	if (!field->name)
		return NULL;
	memcpy(field->name, name, size);
	field->name[size] = 0;
	fields->count++;
	return field;
}

/* Its kind as a bit; and whether it is itself in a column of doubles. */
static unsigned kind_bit(const struct cop_value *value)
{
	const int64_t most = INT64_C(1) << DBL_MANT_DIG;
	int is_long = value->kind == COP_INT &&
		      (value->integer > most || value->integer < -most);

	return 1U << value->kind | (is_long ? KIND_LONG : 0);
}

/* Of an item whether it is itself where lists are texts between `;`. */
static void item_note(struct export_field *field, const struct cop_value *item,
		      uint32_t count)
{
	field->item_kinds |= kind_bit(item);
	if (item->kind == COP_STRING)
		field->is_cut |= (count == 1 && !item->count) ||
				 memchr(item->data, ';', item->count) ||
				 memchr(item->data, '\0', item->count);
}

static cop_err field_note(struct exporter *run, const char *name, size_t size,
			  const struct cop_value *value, int of_edges)
{
	struct export_field *field =
	    export_field_find(&run->fields, name, size, of_edges);
	cop_err err = 0;

	if (!field)
		field = field_add(&run->fields, name, size, of_edges);
	if (!field)
		return ENOMEM;
	field->kinds |= kind_bit(value);
	for (uint32_t i = 0;
	     value->kind == COP_LIST && i < value->count && !err; i++) {
		struct cop_value item;

		err = cop_value_item(value, i, NULL, NULL, &item);
		if (!err)
			item_note(field, &item, value->count);
	}
	return err;
}

static cop_err entity_field(struct exporter *run, const char *name, size_t size,
			    const struct cop_value *value)
{
	return field_note(run, name, size, value, 0);
}

static cop_err edge_field(struct exporter *run, const char *name, size_t size,
			  const struct cop_value *value)
{
	return field_note(run, name, size, value, 1);
}

static cop_err entity_survey(struct exporter *run, cop_read *read,
			     const struct cop_entity *entity)
{
	const float *vector = NULL;
	cop_err err = export_entity_properties(run, read, entity, entity_field);

	run->fields.has_content |= entity->content_size != 0;
	if (!err && run->vectors && !run->fields.has_vector)
		err = cop_vector(read, entity->id, &vector);
	run->fields.has_vector |= vector != NULL;
	return err;
}

static cop_err edge_survey(struct exporter *run, cop_read *read,
			   const struct cop_edge *edge)
{
	return export_edge_properties(run, read, edge, edge_field);
}

static int field_compare(const void *a, const void *b)
{
	const struct export_field *x = a;
	const struct export_field *y = b;

	return strcmp(x->name, y->name);
}

int export_survey(struct exporter *run)
{
	int code = export_entities(run, entity_survey);

	if (!code)
		code = export_edges(run, edge_survey);
	if (!code && run->fields.count)
		qsort(run->fields.fields, run->fields.count,
		      sizeof *run->fields.fields, field_compare);
	run->left_out = run->keys_out = 0;
	return code;
}

void export_fields_release(struct export_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++)
		free(fields->fields[i].name);
	free(fields->fields);
	*fields = (struct export_fields){0};
}

/* ---- values as text ----------------------------------------------------- */

/*
 * The kind that all values have, of any that are numbers the wider one, unless
 * whole ones are too long for it.
 */
int export_kind_of(unsigned kinds)
{
	const unsigned numbers = 1U << COP_INT | 1U << COP_FLOAT;

	if (kinds & KIND_LONG && kinds & 1U << COP_FLOAT)
		return COP_STRING;
	kinds &= ~(1U << COP_NULL | KIND_LONG);
	if (kinds == 1U << COP_BOOL)
		return COP_BOOL;
	if (kinds == 1U << COP_INT)
		return COP_INT;
	if (kinds && !(kinds & ~numbers))
		return COP_FLOAT;
	return kinds == 1U << COP_LIST ? COP_LIST : COP_STRING;
}

cop_err export_plain(const struct cop_value *value,
		     void (*text)(const void *data, size_t size))
{
	char number[32];
	size_t size = 0;

	switch (value->kind) {
	case COP_NULL: return 0;
	case COP_STRING: text(value->data, value->count); return 0;
	case COP_BOOL:
		size = (size_t)snprintf(number, sizeof number, "%s",
					value->integer ? "true" : "false");
		break;
	case COP_INT:
		size = (size_t)snprintf(number, sizeof number, "%" PRId64,
					value->integer);
		break;
	default: break;
	}
	if (size) {
		text(number, size);
		return 0;
	}
	return export_json(value, text);
}

cop_err export_json(const struct cop_value *value,
		    void (*text)(const void *data, size_t size))
{
	char *data = NULL;
	size_t size = 0;
	cop_err err = out_value_text(value, &data, &size);

	if (!err)
		text(data, size);
	free(data);
	return err;
}
