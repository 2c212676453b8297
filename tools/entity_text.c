/* SPDX-License-Identifier: Apache-2.0 */
#include "entity_text.h"
#include "instant.h"
#include "out.h"
#include "words.h"

#include <stdio.h>

/* Of content a person is shown so many. */
enum { TEXT_CONTENT_BYTES = 2048 };

static void text_field(const char *name, size_t size)
{
	int room = size < 12 ? 12 - (int)size : 0;

	fputs("  ", stdout);
	out_plain(name, size);
	printf("%*s", room + 1, "");
}

void entity_text_valid(const struct cop_validity *valid)
{
	int since = valid->from.seconds != INT64_MIN;
	int until = valid->to.seconds != INT64_MAX;
	char text[INSTANT_ROOM];

	if (!since && !until)
		return;
	fputs(" (", stdout);
	if (since)
		fputs(instant_text(text, &valid->from), stdout);
	if (until)
		printf("%sto %s", since ? " " : "",
		       instant_text(text, &valid->to));
	else
		fputs(" on", stdout);
	fputs(")", stdout);
}

/* valid: NULL, or when */
static cop_err text_property(const char *name, size_t size,
			     const struct cop_value *value,
			     const struct cop_validity *valid)
{
	cop_err err = 0;

	text_field(name, size);
	if (value->kind == COP_STRING)
		out_plain(value->data, value->count);
	else
		err = out_value(value);
	if (valid)
		entity_text_valid(valid);
	putchar('\n');
	return err;
}

static cop_err text_properties(cop_read *read, const struct cop_entity *entity)
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
		if (!err)
			err = text_property(name, size, &value, &valid);
	}
	return err;
}

cop_err edge_text_fields(cop_read *read, const struct cop_edge *edge)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < edge->property_count && !err; i++) {
		struct cop_value value;
		const char *name;
		size_t size;

		err = cop_edge_property_at(read, edge, i, &name, &size, &value);
		if (!err)
			err = text_property(name, size, &value, NULL);
	}
	return err;
}

static cop_err text_tags(cop_read *read, const struct cop_entity *entity)
{
	if (!entity->tag_count)
		return 0;
	text_field("tags", 4);
	for (uint32_t i = 0; i < entity->tag_count; i++) {
		struct cop_validity valid;
		const char *tag;
		size_t size;
		cop_err err = cop_entity_tag(read, entity, i, &tag, &size);

		if (!err)
			err = cop_entity_tag_valid(read, entity, i, &valid);
		if (err)
			return err;
		fputs(i ? ", " : "", stdout);
		out_plain(tag, size);
		entity_text_valid(&valid);
	}
	putchar('\n');
	return 0;
}

static cop_err text_content(cop_read *read, const struct cop_entity *entity)
{
	const void *data;
	size_t size;
	cop_err err = out_content(read, entity, &data, &size);

	if (err || !size)
		return err;
	text_field("content", 7);
	if (data)
		out_plain(data, words_cut(data, size, TEXT_CONTENT_BYTES));
	if (!data || size > TEXT_CONTENT_BYTES)
		printf("%s%zu bytes; `coppice content get` writes them",
		       data ? " ... " : "", size);
	putchar('\n');
	return 0;
}

cop_err entity_text_fields(cop_read *read, const struct cop_entity *entity)
{
	cop_err err = 0;

	if (entity->type) {
		text_field("type", 4);
		err = out_name_text(read, entity->type);
		putchar('\n');
	}
	if (!err)
		err = text_tags(read, entity);
	if (!err)
		err = text_properties(read, entity);
	return err ? err : text_content(read, entity);
}

static cop_err text_vector(cop_store *store, cop_read *read,
			   const struct cop_entity *entity)
{
	const float *vector;
	cop_err err = cop_vector(read, entity->id, &vector);

	if (err || !vector)
		return err;
	text_field("vector", 6);
	out_vector(vector, cop_dim(store));
	putchar('\n');
	return 0;
}

cop_err entity_text(cop_store *store, cop_read *read,
		    const struct cop_entity *entity, int parts)
{
	cop_err err;

	out_plain(entity->key, entity->key_size);
	putchar('\n');
	err = entity_text_fields(read, entity);
	if (!err && parts & OUT_VECTOR)
		err = text_vector(store, read, entity);
	if (!err && parts & OUT_VERSION) {
		text_field("version", 7);
		printf("%llu\n", (unsigned long long)entity->version);
	}
	return err;
}
