/* SPDX-License-Identifier: Apache-2.0 */
/*
 * corpus: the real data that tests read, where it is, its lines, and its
 * entities as jansson parses them: {"id", "type", "tags", "name",
 * "properties", "content"}, whose properties are strings or lists of them.
 *
 * idea
 *	An entity keeps its name as the property "name", before the others,
 *	unless these have one.  The JSON object itself is what a test compares
 *	with: nothing is converted on the way to what is expected.
 */
#ifndef TESTS_CORPUS_H
#define TESTS_CORPUS_H

#include "data.h"

#include <jansson.h>
#include <zlib.h>

enum {
	CORPUS_LINE_BYTES = 1 << 20,
	CORPUS_PROPERTIES = 64, /* of an entity, and members of its lists */
	CORPUS_TEXTS = 4096
};

/* An array with room for one more than `count`: the same, or another. */
static inline void *corpus_grown(void *array, size_t count, size_t size)
{
	/* at each power of two, twice the room */
	if (count & (count - 1))
		return array;
	array = realloc(array, (count ? count * 2 : 1) * size);
	if (!array)
		bail_out("no memory");
	return array;
}

/* ---- lines -------------------------------------------------------------- */

struct corpus_file {
	gzFile file;
	char *line;
	char path[DATA_PATH_BYTES];
};

/* `name` is below the folder; skips the whole test where it is not there. */
static inline void corpus_open(struct corpus_file *file, const char *name)
{
	snprintf(file->path, sizeof file->path, "%s/%s", data_folder(), name);
	if (access(file->path, R_OK))
		skip_all("no test data; set COPPICE_TEST_DATA");
	file->file = gzopen(file->path, "rb");
	file->line = malloc(CORPUS_LINE_BYTES);
	if (!file->file || !file->line)
		bail_out("cannot open %s", file->path);
	gzbuffer(file->file, 1 << 17);
}

/* The next line without its end, the caller's to change; NULL at the end. */
static inline char *corpus_line(struct corpus_file *file)
{
	size_t size;
	int code;

	if (!gzgets(file->file, file->line, CORPUS_LINE_BYTES)) {
		gzerror(file->file, &code);
		if (code != Z_OK && code != Z_STREAM_END)
			bail_out("cannot read %s", file->path);
		return NULL;
	}
	size = strlen(file->line);
	if (size == CORPUS_LINE_BYTES - 1)
		bail_out("a line of %s is too long", file->path);
	while (size && strchr("\r\n", file->line[size - 1]))
		file->line[--size] = '\0';
	return file->line;
}

static inline void corpus_close(struct corpus_file *file)
{
	gzclose(file->file);
	free(file->line);
}

/* The next line's JSON, the caller's; NULL at the end. */
static inline json_t *corpus_json(struct corpus_file *file)
{
	char *line = corpus_line(file);
	json_error_t error;
	json_t *json;

	if (!line)
		return NULL;
	json = json_loads(line, 0, &error);
	if (!json)
		bail_out("%s: %s", file->path, error.text);
	return json;
}

/* ---- entities ----------------------------------------------------------- */

/* A member that is a string; "" if there is none. */
static inline const char *corpus_text(const json_t *json, const char *member)
{
	const json_t *text = json_object_get(json, member);

	return json_is_string(text) ? json_string_value(text) : "";
}

static inline const char *corpus_key(const json_t *entity)
{
	return corpus_text(entity, "id");
}

/* The properties that it is put with, the caller's reference. */
static inline json_t *corpus_properties(const json_t *entity)
{
	json_t *all = json_object();

	json_object_set(all, "name", json_object_get(entity, "name"));
	json_object_update(all, json_object_get(entity, "properties"));
	return all;
}

static inline struct cop_value corpus_string(const json_t *text)
{
	if (!json_is_string(text))
		bail_out("a property is no text");
	return (struct cop_value){.kind = COP_STRING,
				  .count = (uint32_t)json_string_length(text),
				  .data = json_string_value(text)};
}

/* Texts of lists go to `items`, of which `*used` are taken. */
static inline struct cop_value
corpus_value(const json_t *json, struct cop_value *items, size_t *used)
{
	struct cop_value list = {.kind = COP_LIST,
				 .count = (uint32_t)json_array_size(json),
				 .data = items + *used};

	if (!json_is_array(json))
		return corpus_string(json);
	if (*used + list.count > CORPUS_TEXTS)
		bail_out("an entity has too many texts");
	for (size_t i = 0; i < list.count; i++)
		items[(*used)++] = corpus_string(json_array_get(json, i));
	return list;
}

/* vector	NULL: it has none, or keeps what it has */
static inline void corpus_put(cop_write *write, const json_t *entity,
			      const float *vector, uint32_t dim)
{
	static struct cop_value items[CORPUS_TEXTS];
	struct cop_property properties[CORPUS_PROPERTIES];
	const char *tags[CORPUS_TEXTS];
	const json_t *listed = json_object_get(entity, "tags");
	json_t *all = corpus_properties(entity);
	struct cop_put put = {.size = sizeof put,
			      .key = corpus_key(entity),
			      .type = corpus_text(entity, "type"),
			      .properties = properties,
			      .tag_count = (uint32_t)json_array_size(listed),
			      .tags = tags,
			      .content = corpus_text(entity, "content"),
			      .vector = vector,
			      .dim = vector ? dim : 0};
	const char *name;
	json_t *value;
	size_t used = 0;

	put.key_size = (uint32_t)strlen(put.key);
	put.type_size = strlen(put.type);
	put.content_size = strlen(put.content);
	if (json_object_size(all) > CORPUS_PROPERTIES ||
	    put.tag_count > CORPUS_TEXTS)
		bail_out("an entity has too much of everything");
	for (uint32_t i = 0; i < put.tag_count; i++)
		tags[i] = json_string_value(json_array_get(listed, i));
	json_object_foreach(all, name, value)
	{
		properties[put.property_count++] = (struct cop_property){
		    name, strlen(name), corpus_value(value, items, &used)};
	}
	must(cop_put(write, &put), "put");
	json_decref(all);
}

/* ---- comparing ---------------------------------------------------------- */

static inline int corpus_bytes_are(const void *data, size_t size,
				   const char *text)
{
	return size == strlen(text) && !memcmp(data, text, size);
}

static inline int corpus_value_is(const struct cop_value *value,
				  const json_t *json)
{
	struct cop_value item;

	if (json_is_string(json))
		return value->kind == COP_STRING &&
		       corpus_bytes_are(value->data, value->count,
					json_string_value(json));
	if (value->kind != COP_LIST || value->count != json_array_size(json))
		return 0;
	for (uint32_t i = 0; i < value->count; i++) {
		must(cop_value_item(value, i, NULL, NULL, &item), "item");
		if (item.kind != COP_STRING ||
		    !corpus_value_is(&item, json_array_get(json, i)))
			return 0;
	}
	return 1;
}

static inline int corpus_properties_are(cop_read *read,
					const struct cop_entity *entity,
					const json_t *json)
{
	json_t *all = corpus_properties(json);
	struct cop_value value;
	const char *name;
	json_t *member;
	int same = entity->property_count == json_object_size(all);
	int found;

	json_object_foreach(all, name, member)
	{
		must(cop_entity_property(read, entity, name, strlen(name),
					 &found, &value),
		     "property");
		same = same && found && corpus_value_is(&value, member);
	}
	json_decref(all);
	return same;
}

static inline int corpus_has(const json_t *list, const char *text, size_t size)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (corpus_bytes_are(
			text, size, json_string_value(json_array_get(list, i))))
			return 1;
	return 0;
}

/* As sets; the data has no tag twice. */
static inline int corpus_tags_are(cop_read *read,
				  const struct cop_entity *entity,
				  const json_t *json)
{
	const json_t *list = json_object_get(json, "tags");
	const char *tag;
	size_t size;

	if (entity->tag_count != json_array_size(list))
		return 0;
	for (uint32_t i = 0; i < entity->tag_count; i++) {
		must(cop_entity_tag(read, entity, i, &tag, &size), "tag");
		if (!corpus_has(list, tag, size))
			return 0;
	}
	return 1;
}

/* Whether the store's entity is the line's: all that it says. */
static inline int corpus_is(cop_read *read, const struct cop_entity *entity,
			    const json_t *json)
{
	const char *type;
	const void *content;
	size_t type_size;
	size_t content_size;

	must(cop_name(read, entity->type, &type, &type_size), "name");
	must(cop_entity_content(read, entity, &content, &content_size),
	     "content");
	return corpus_bytes_are(entity->key, entity->key_size,
				corpus_key(json)) &&
	       corpus_bytes_are(type, type_size, corpus_text(json, "type")) &&
	       corpus_bytes_are(content ? content : "", content_size,
				corpus_text(json, "content")) &&
	       corpus_tags_are(read, entity, json) &&
	       corpus_properties_are(read, entity, json);
}

#endif
