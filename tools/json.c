/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: what is in a store as jansson's values.
 *
 * idea
 *	For answers that are put together before they are written; what is
 *	written as it comes is out.c's.  The shape is that of record.c: such an
 *	object, written in a line, is read by import.
 */
#include "json.h"
#include "instant.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENT_BYTES = 65536 }; /* more is told by its size */

json_t *json_text(const void *data, size_t size)
{
	const char *bytes = data;
	size_t good = words_utf8(bytes, size);
	json_t *text;
	char *copy;
	size_t at = 0;

	if (good == size)
		return json_stringn(bytes, size);
	copy = malloc(size * 3);
	for (size_t i = 0; copy && i < size;) {
		size_t step = words_utf8_char(bytes + i, size - i);

		memcpy(copy + at, step ? bytes + i : "\xef\xbf\xbd",
		       step ? step : 3);
		at += step ? step : 3;
		i += step ? step : 1;
	}
	text = copy ? json_stringn(copy, at) : NULL;
	free(copy);
	return text;
}

cop_err json_member(json_t *object, const char *name, json_t *value)
{
	return value && !json_object_set_new_nocheck(object, name, value)
		   ? 0
		   : ENOMEM;
}

static cop_err append(json_t *array, json_t *value)
{
	return value && !json_array_append_new(array, value) ? 0 : ENOMEM;
}

cop_err json_name(cop_read *read, uint32_t name, json_t **out)
{
	const char *text = NULL;
	size_t size = 0;
	cop_err err = name ? cop_name(read, name, &text, &size) : 0;

	if (!err)
		*out = text ? json_text(text, size) : json_null();
	return !err && !*out ? ENOMEM : err;
}

static cop_err key_member(json_t *object, const char *name, const void *key,
			  size_t size)
{
	char hex[2 * COP_KEY_BYTES + 1];
	char hex_name[16];
	cop_err err = json_member(object, name, json_text(key, size));

	if (err || words_utf8(key, size) == size || size > COP_KEY_BYTES)
		return err;
	words_hex(hex, key, size);
	snprintf(hex_name, sizeof hex_name, "%s_hex", name);
	return json_member(object, hex_name, json_string(hex));
}

cop_err json_key(json_t *object, const char *name, cop_read *read, uint64_t id)
{
	const void *key = NULL;
	size_t size = 0;
	cop_err err = cop_key(read, id, &key, &size);

	return err ? err : key_member(object, name, key, size);
}

/* ---- values ------------------------------------------------------------- */

static cop_err value_json(const struct cop_value *value, json_t **out);

/* Its depth is that of the store: COP_NESTING at most. */
static cop_err members_json(const struct cop_value *value, json_t *out)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < value->count && !err; i++) {
		struct cop_value member;
		const char *name = NULL;
		size_t size = 0;
		json_t *json = NULL;
		json_t *key;

		err = cop_value_item(value, i, &name, &size, &member);
		if (!err)
			err = value_json(&member, &json);
		if (!err && value->kind == COP_LIST)
			err = append(out, json);
		else if (!err) {
			key = json_text(name, size);
			err =
			    key ? json_member(out, json_string_value(key), json)
				: ENOMEM;
			json_decref(key);
		}
	}
	return err;
}

static cop_err value_json(const struct cop_value *value, json_t **out)
{
	cop_err err = 0;

	switch (value->kind) {
	case COP_BOOL: *out = json_boolean(value->integer); break;
	case COP_INT: *out = json_integer(value->integer); break;
	case COP_FLOAT: *out = json_real(value->real); break;
	case COP_STRING: *out = json_text(value->data, value->count); break;
	case COP_LIST: *out = json_array(); break;
	case COP_MAP: *out = json_object(); break;
	default: *out = json_null();
	}
	if (*out && (value->kind == COP_LIST || value->kind == COP_MAP))
		err = members_json(value, *out);
	return *out ? err : ENOMEM;
}

/* ---- times -------------------------------------------------------------- */

static int is_always(const struct cop_validity *valid)
{
	return valid->from.seconds == INT64_MIN &&
	       valid->to.seconds == INT64_MAX;
}

static cop_err valid_json(const struct cop_validity *valid, json_t *object)
{
	char text[INSTANT_ROOM];
	cop_err err = 0;

	if (valid->from.seconds != INT64_MIN)
		err =
		    json_member(object, "valid_from",
				json_string(instant_text(text, &valid->from)));
	if (!err && valid->to.seconds != INT64_MAX)
		err = json_member(object, "valid_to",
				  json_string(instant_text(text, &valid->to)));
	return err;
}

/* ---- entities ----------------------------------------------------------- */

/* Adds {"tag" or "property": .., "valid_from": ..} to "timed". */
static cop_err timed_add(json_t *object, json_t *item,
			 const struct cop_validity *valid)
{
	json_t *timed = json_object_get(object, "timed");
	cop_err err = valid_json(valid, item);

	if (!err && !timed) {
		err = json_member(object, "timed", json_array());
		timed = json_object_get(object, "timed");
	}
	if (!err)
		return append(timed, item);
	json_decref(item);
	return err;
}

static cop_err tags_json(cop_read *read, const struct cop_entity *entity,
			 int parts, json_t *object)
{
	json_t *tags = json_array();
	cop_err err = json_member(object, "tags", tags);

	for (uint32_t i = 0; i < entity->tag_count && !err; i++) {
		struct cop_validity valid;
		const char *tag = NULL;
		size_t size = 0;
		json_t *text;

		err = cop_entity_tag(read, entity, i, &tag, &size);
		if (!err)
			err = cop_entity_tag_valid(read, entity, i, &valid);
		if (err)
			break;
		text = json_text(tag, size);
		if (is_always(&valid) || parts & JSON_BRIEF)
			err = append(tags, text);
		else
			err = timed_add(object, json_pack("{so}", "tag", text),
					&valid);
	}
	return err;
}

static cop_err properties_json(cop_read *read, const struct cop_entity *entity,
			       int parts, json_t *object)
{
	json_t *properties = json_object();
	cop_err err = json_member(object, "properties", properties);

	for (uint32_t i = 0; i < entity->property_count && !err; i++) {
		struct cop_validity valid;
		struct cop_value value;
		const char *name = NULL;
		size_t size = 0;
		json_t *json = NULL;
		json_t *text;

		err = cop_entity_property_at(read, entity, i, &name, &size,
					     &value);
		if (!err)
			err =
			    cop_entity_property_valid(read, entity, i, &valid);
		if (!err)
			err = value_json(&value, &json);
		if (err)
			break;
		text = json_text(name, size);
		if (!text)
			err = ENOMEM;
		else if (is_always(&valid) || parts & JSON_BRIEF)
			err = json_member(properties, json_string_value(text),
					  json);
		else
			err = timed_add(object,
					json_pack("{sOso}", "property", text,
						  "value", json),
					&valid);
		json_decref(text);
	}
	return err;
}

static cop_err content_json(cop_read *read, const struct cop_entity *entity,
			    int parts, json_t *object)
{
	uint64_t whole = entity->content_size;
	const void *data = NULL;
	size_t size = 0;
	cop_err err = 0;

	if (!whole)
		return 0;
	if (whole <= CONTENT_BYTES && !(parts & JSON_BYTES))
		err = cop_entity_content(read, entity, &data, &size);
	if (err)
		return err;
	if (data && words_utf8(data, size) == size)
		return json_member(object, "content", json_text(data, size));
	return json_member(object, "content_bytes",
			   json_integer((json_int_t)whole));
}

static cop_err vector_json(cop_read *read, const struct cop_entity *entity,
			   uint32_t dim, json_t *object)
{
	const float *vector = NULL;
	cop_err err = cop_vector(read, entity->id, &vector);
	json_t *list;

	if (err || !vector)
		return err;
	list = json_array();
	err = json_member(object, "vector", list);
	for (uint32_t i = 0; i < dim && !err; i++)
		err = append(list, json_real((double)vector[i]));
	return err;
}

static uint32_t dim_of(cop_read *read)
{
	struct cop_stats stats = {.size = sizeof stats};

	return cop_stat(read, &stats) ? 0 : stats.dim;
}

cop_err json_entity(cop_read *read, const struct cop_entity *entity, int parts,
		    json_t **out)
{
	json_t *object = json_object();
	json_t *type = NULL;
	cop_err err = object ? 0 : ENOMEM;

	if (!err)
		err = key_member(object, "key", entity->key, entity->key_size);
	if (!err && entity->type)
		err = json_name(read, entity->type, &type);
	if (!err && type)
		err = json_member(object, "type", type);
	if (!err && entity->tag_count)
		err = tags_json(read, entity, parts, object);
	if (!err && entity->property_count)
		err = properties_json(read, entity, parts, object);
	if (!err && !(parts & JSON_BRIEF))
		err = content_json(read, entity, parts, object);
	if (!err && parts & JSON_VECTOR)
		err = vector_json(read, entity, dim_of(read), object);
	if (!err && parts & JSON_VERSION)
		err = json_member(object, "version",
				  json_integer((json_int_t)entity->version));
	if (err)
		json_decref(object);
	else
		*out = object;
	return err;
}

/* ---- edges -------------------------------------------------------------- */

static cop_err edge_properties_json(cop_read *read, const struct cop_edge *edge,
				    json_t *object)
{
	json_t *properties = json_object();
	cop_err err = json_member(object, "properties", properties);

	for (uint32_t i = 0; i < edge->property_count && !err; i++) {
		struct cop_value value;
		const char *name = NULL;
		size_t size = 0;
		json_t *json = NULL;
		json_t *text;

		err = cop_edge_property_at(read, edge, i, &name, &size, &value);
		if (!err)
			err = value_json(&value, &json);
		if (err)
			break;
		text = json_text(name, size);
		err = text ? json_member(properties, json_string_value(text),
					 json)
			   : ENOMEM;
		json_decref(text);
	}
	return err;
}

cop_err json_edge(cop_read *read, const struct cop_edge *edge, json_t **out)
{
	json_t *object = json_object();
	json_t *part = NULL;
	cop_err err =
	    object ? json_key(object, "source", read, edge->source) : ENOMEM;

	if (!err)
		err = json_name(read, edge->relation, &part);
	if (!err)
		err = json_member(object, "relation", part);
	if (!err)
		err = json_key(object, "target", read, edge->target);
	if (!err && edge->discriminator)
		err = json_member(object, "discriminator",
				  json_integer(edge->discriminator));
	if (!err)
		err = valid_json(&edge->valid, object);
	if (!err && edge->property_count)
		err = edge_properties_json(read, edge, object);
	if (err)
		json_decref(object);
	else
		*out = object;
	return err;
}
