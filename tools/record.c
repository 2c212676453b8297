/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: one record in JSON, such as a line of NDJSON, put into a write.
 *
 * layout
 *	An entity:
 *	  {"key": "k", "type": "T", "tags": ["a"], "properties": {"p": 1},
 *	   "content": "text", "vector": [0.5, 1]}
 *	An edge, known by its source and target:
 *	  {"source": "k", "relation": "R", "target": "l", "properties": {}}
 *	`id` stands for `key` where there is no `key`, `type` for `relation` in
 *	an edge that has no `relation`; an edge may have a `discriminator`,
 *	`valid_from` and `valid_to`.  Every other member is a property, as if
 *	it stood in `properties`.  Keys are strings, or whole numbers taken as
 *	their decimal text; one that is no UTF-8 is told by its bytes, in hex,
 *	beside it: `key_hex`, `source_hex`, `target_hex`; content that is no
 *	text is in `content_base64`, and a large one in lines before (part.c),
 *	of which `content_bytes` tells the size.  null is the same as
 *	absent, but `"vector": null` drops the vector that an absent one keeps.
 *	Of a dump with history there are {"set": ..} and {"delete": ..}, too.
 *	Lines of an assistant's memory.jsonl are taken, too, and points as
 *	Qdrant and Pinecone write them: see record_of_memory() and
 *	record_of_point().
 *
 * idea
 *	jansson reads the line; the put borrows its strings and a scratch's
 *	arrays, and both are given back when the library has copied them.  The
 *	line's UTF-8 is checked first because that gives the byte's position.
 *	A vector's numbers would cost jansson an allocation each, so they are
 *	read before (number.c), and jansson is given the line with an empty list
 *	in their place (record_cuts).  So it is with a long content without
 *	escapes, which it would read byte by byte.  If it turns out that they
 *	are no vector and no content, but properties, or if anything is odd
 *	about them, it reads all.
 *	Members given twice in one object are refused: one of them would be
 *	lost.  Where a line has a property itself and again in `properties` (as
 *	real files do with `name`), the line's is taken and `doubled` counts.
 *
 * limits
 *	Values nest COP_NESTING deep (the conversion recurses no further).
 *	Whole numbers are of 64 bits; larger ones are refused by jansson, not
 *	rounded.  Vectors must be within float32's range.
 */
#include "record.h"
#include "base64.h"
#include "instant.h"
#include "json_scan.h"
#include "number.h"
#include "words.h"

#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORD_KEY_TEXT = 24,
	RECORD_CUT_LEAST = 64 /* bytes of content that are worth it */
};

/* A key as it is in the line: a string, or a number written into `digits`. */
struct record_key {
	const char *data;
	size_t size;
	char digits[RECORD_KEY_TEXT];
};

static int record_bad(struct fault *fault, const char *member,
		      const char *reason)
{
	return fault_set(fault, EXIT_BAD_INPUT, "\"%s\" %s", member, reason);
}

static int record_no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

/* The bytes of a key that its text could not tell. */
static int record_key_unhex(struct record *record, struct record_key *key,
			    const char *member, const json_t *hex,
			    struct fault *fault)
{
	size_t size = json_string_length(hex);
	char *bytes = scratch_take(&record->scratch, size / 2 + 1, 1);

	if (!bytes)
		return record_no_memory(fault);
	if (!json_is_string(hex) ||
	    words_unhex(json_string_value(hex), size, bytes))
		return record_bad(fault, member,
				  "is not bytes in hex, two digits each");
	key->data = bytes;
	key->size = size / 2;
	return 0;
}

static int record_key_from(struct record *record, struct record_key *key,
			   const char *member, const json_t *line,
			   struct fault *fault)
{
	const json_t *json = json_object_get(line, member);
	const json_t *hex;
	char hex_name[16];

	snprintf(hex_name, sizeof hex_name, "%s_hex", member);
	hex = json ? json_object_get(line, hex_name) : NULL;
	if (hex && !json_is_null(hex) && strcmp(member, "id") != 0)
		return record_key_unhex(record, key, hex_name, hex, fault);
	if (json_is_string(json)) {
		key->data = json_string_value(json);
		key->size = json_string_length(json);
		return 0;
	}
	if (!json_is_integer(json))
		return record_bad(fault, member,
				  json ? "is neither a string nor a whole "
					 "number"
				       : "is missing");
	key->size =
	    (size_t)snprintf(key->digits, sizeof key->digits,
			     "%" JSON_INTEGER_FORMAT, json_integer_value(json));
	key->data = key->digits;
	return 0;
}

/* A string that may be null or absent. */
static int record_text_from(const char **text, size_t *size, const char *member,
			    const json_t *json, struct fault *fault)
{
	*text = NULL;
	*size = 0;
	if (!json || json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return record_bad(fault, member, "is not a string");
	*text = json_string_value(json);
	*size = json_string_length(json);
	return 0;
}

static int record_value(struct record *record, const json_t *json,
			struct cop_value *out, int depth, struct fault *fault);

static int record_list(struct record *record, const json_t *json,
		       struct cop_value *out, int depth, struct fault *fault)
{
	size_t count = json_array_size(json);
	struct cop_value *items;

	items = scratch_take(&record->scratch, count, sizeof *items);
	if (!items)
		return record_no_memory(fault);
	for (size_t i = 0; i < count; i++)
		if (record_value(record, json_array_get(json, i), &items[i],
				 depth, fault))
			return fault->code;
	out->kind = COP_LIST;
	out->count = (uint32_t)count;
	out->data = items;
	return 0;
}

static int record_map(struct record *record, json_t *json,
		      struct cop_value *out, int depth, struct fault *fault)
{
	size_t count = json_object_size(json), i = 0;
	struct cop_property *items;
	const char *name;
	json_t *member;

	items = scratch_take(&record->scratch, count, sizeof *items);
	if (!items)
		return record_no_memory(fault);
	json_object_foreach(json, name, member)
	{
		items[i].name = name;
		items[i].name_size = strlen(name);
		if (record_value(record, member, &items[i].value, depth, fault))
			return fault->code;
		i++;
	}
	out->kind = COP_MAP;
	out->count = (uint32_t)count;
	out->data = items;
	return 0;
}

/* Recurses into lists and maps, at most COP_NESTING deep. */
static int record_value(struct record *record, const json_t *json,
			struct cop_value *out, int depth, struct fault *fault)
{
	memset(out, 0, sizeof *out);
	switch (json_typeof(json)) {
	case JSON_NULL: out->kind = COP_NULL; return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		out->kind = COP_BOOL;
		out->integer = json_is_true(json);
		return 0;
	case JSON_INTEGER:
		out->kind = COP_INT;
		out->integer = json_integer_value(json);
		return 0;
	case JSON_REAL:
		out->kind = COP_FLOAT;
		out->real = json_real_value(json);
		return 0;
	case JSON_STRING:
		out->kind = COP_STRING;
		out->data = json_string_value(json);
		out->count = (uint32_t)json_string_length(json);
		return 0;
	default: break;
	}
	if (depth >= COP_NESTING)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "lists and maps nest more than %d deep",
				 COP_NESTING);
	if (json_is_array(json))
		return record_list(record, json, out, depth + 1, fault);
	return record_map(record, (json_t *)(uintptr_t)json, out, depth + 1,
			  fault);
}

/* ---- properties --------------------------------------------------------- */

struct record_properties {
	struct cop_property *items;
	size_t count;
};

static int record_add(struct record *record, struct record_properties *to,
		      const char *name, const json_t *json, struct fault *fault)
{
	struct cop_property *item = &to->items[to->count];

	item->name = name;
	item->name_size = strlen(name);
	if (record_value(record, json, &item->value, 0, fault))
		return fault_prefix(fault, "property \"%.80s\": ", name);
	to->count++;
	return 0;
}

static int record_is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return 1;
	return 0;
}

/* Whether a member of the line is a property, and not a part of the record. */
static int record_is_property(const char *name, const char *const *taken)
{
	return !record_is_one_of(name, taken) &&
	       strcmp(name, "properties") != 0;
}

/* The members of "properties", but those that the line itself has too. */
static int record_collect_given(struct record *record, json_t *line,
				const char *const *taken,
				struct record_properties *to,
				struct fault *fault)
{
	json_t *given = json_object_get(line, "properties"), *member;
	const char *name;

	json_object_foreach(given, name, member)
	{
		if (json_object_get(line, name) &&
		    record_is_property(name, taken)) {
			record->doubled++;
			continue;
		}
		if (record_add(record, to, name, member, fault))
			return fault->code;
	}
	return 0;
}

/*
 * All properties of a line in its order: the members of "properties", and the
 * members of the line that are not among `taken`.
 */
static int record_collect(struct record *record, json_t *line,
			  const char *const *taken,
			  struct record_properties *to, struct fault *fault)
{
	json_t *given = json_object_get(line, "properties"), *member;
	const char *name;

	if (given && !json_is_object(given) && !json_is_null(given))
		return record_bad(fault, "properties", "is not an object");
	to->count = 0;
	to->items = scratch_take(
	    &record->scratch, json_object_size(line) + json_object_size(given),
	    sizeof *to->items);
	if (!to->items)
		return record_no_memory(fault);
	json_object_foreach(line, name, member)
	{
		int code = 0;

		if (member == given)
			code = record_collect_given(record, line, taken, to,
						    fault);
		else if (record_is_property(name, taken))
			code = record_add(record, to, name, member, fault);
		if (code)
			return code;
	}
	return 0;
}

/* ---- times -------------------------------------------------------------- */

/* A string, or nanoseconds since 1970; null and nothing leave it open. */
static int record_instant(const json_t *line, const char *member,
			  struct cop_instant *out, struct fault *fault)
{
	enum { NANOS = 1000000000 };
	const json_t *json = json_object_get(line, member);
	int64_t ns;

	if (!json || json_is_null(json))
		return 0;
	if (json_is_string(json) &&
	    strlen(json_string_value(json)) == json_string_length(json) &&
	    !instant_parse(json_string_value(json), out))
		return 0;
	if (!json_is_integer(json))
		return record_bad(fault, member,
				  "is neither a time, such as \"1815\" or "
				  "\"2026-11-27T10:00Z\", nor nanoseconds "
				  "since 1970");
	ns = json_integer_value(json);
	out->seconds = ns / NANOS - (ns % NANOS < 0);
	out->nanos = (uint32_t)(ns - out->seconds * NANOS);
	return 0;
}

/* *out is set to `valid` if the line says when it is. */
static int record_valid(const json_t *line, struct cop_validity *valid,
			const struct cop_validity **out, struct fault *fault)
{
	*valid = (struct cop_validity){{INT64_MIN, 0, 0}, {INT64_MAX, 0, 0}};
	if (record_instant(line, "valid_from", &valid->from, fault) ||
	    record_instant(line, "valid_to", &valid->to, fault))
		return fault->code;
	if (valid->from.seconds != INT64_MIN || valid->to.seconds != INT64_MAX)
		*out = valid;
	return instant_order(valid, fault);
}

/* ---- entities ----------------------------------------------------------- */

static int record_tags(struct record *record, const json_t *json,
		       struct cop_put *put, struct fault *fault)
{
	size_t count = json_array_size(json);
	const char **tags;
	size_t *sizes;

	if (!json || json_is_null(json))
		return 0;
	if (!json_is_array(json))
		return record_bad(fault, "tags", "is not a list");
	tags = scratch_take(&record->scratch, count, sizeof *tags);
	sizes = scratch_take(&record->scratch, count, sizeof *sizes);
	if (!tags || !sizes)
		return record_no_memory(fault);
	for (size_t i = 0; i < count; i++) {
		const json_t *tag = json_array_get(json, i);

		if (!json_is_string(tag))
			return record_bad(fault, "tags",
					  "has a member that is not a string");
		tags[i] = json_string_value(tag);
		sizes[i] = json_string_length(tag);
	}
	put->tags = tags;
	put->tag_sizes = sizes;
	put->tag_count = (uint32_t)count;
	return 0;
}

static int record_vector(struct record *record, const json_t *json,
			 struct cop_put *put, struct fault *fault)
{
	size_t count = json_array_size(json);
	float *vector;

	record->has_vector = 0;
	if (json_is_null(json))
		put->vector_change = COP_VECTOR_DROP;
	if (!json || json_is_null(json))
		return 0;
	if (!json_is_array(json))
		return record_bad(fault, "vector",
				  "is neither a list nor null");
	record->has_vector = 1;
	if (record->number_count) {
		put->vector = record->numbers;
		put->dim = record->number_count;
		return 0;
	}
	vector = scratch_take(&record->scratch, count, sizeof *vector);
	if (!vector)
		return record_no_memory(fault);
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(json, i);
		double value = json_number_value(item);

		if (!json_is_number(item) || fabs(value) > (double)FLT_MAX)
			return fault_set(fault, EXIT_BAD_INPUT,
					 "\"vector\": member %zu is no number "
					 "of float32's range",
					 i);
		vector[i] = (float)value;
	}
	put->vector = vector;
	put->dim = (uint32_t)count;
	return 0;
}

/* What an entity's tags and properties grow by: those with times. */
struct record_timed {
	struct cop_put *put;
	struct record_properties *properties;
	const char **tags;
	size_t *tag_sizes;
	struct cop_validity *tag_valid;
	struct cop_validity *property_valid;
};

/* Room for `count` more of each; those that there are, are so always. */
static int record_timed_begin(struct record *record, struct record_timed *timed,
			      size_t count, struct fault *fault)
{
	struct scratch *scratch = &record->scratch;
	struct cop_put *put = timed->put;
	struct record_properties *properties = timed->properties;
	size_t tags = put->tag_count + count;
	size_t items = properties->count + count;
	struct cop_property *old = properties->items;
	const struct cop_validity always = {{INT64_MIN, 0, 0},
					    {INT64_MAX, 0, 0}};

	timed->tags = scratch_take(scratch, tags, sizeof *timed->tags);
	timed->tag_sizes =
	    scratch_take(scratch, tags, sizeof *timed->tag_sizes);
	timed->tag_valid =
	    scratch_take(scratch, tags, sizeof *timed->tag_valid);
	timed->property_valid =
	    scratch_take(scratch, items, sizeof *timed->property_valid);
	properties->items =
	    scratch_take(scratch, items, sizeof *properties->items);
	if (!timed->tags || !timed->tag_sizes || !timed->tag_valid ||
	    !timed->property_valid || !properties->items)
		return record_no_memory(fault);
	for (size_t i = 0; i < put->tag_count; i++) {
		timed->tags[i] = put->tags[i];
		timed->tag_sizes[i] = put->tag_sizes[i];
		timed->tag_valid[i] = always;
	}
	for (size_t i = 0; i < properties->count; i++) {
		properties->items[i] = old[i];
		timed->property_valid[i] = always;
	}
	return 0;
}

static int record_timed_add(struct record *record, struct record_timed *timed,
			    const json_t *json, struct fault *fault)
{
	const json_t *tag = json_object_get(json, "tag");
	const json_t *name = json_object_get(json, "property");
	const json_t *value = json_object_get(json, "value");
	const struct cop_validity *given = NULL;
	struct cop_validity valid;
	uint32_t at = timed->put->tag_count;

	if (record_valid(json, &valid, &given, fault))
		return fault->code;
	if (json_is_string(tag) && !name) {
		timed->tags[at] = json_string_value(tag);
		timed->tag_sizes[at] = json_string_length(tag);
		timed->tag_valid[at] = valid;
		timed->put->tag_count++;
		return 0;
	}
	if (!json_is_string(name) || tag || !value)
		return record_bad(fault, "timed",
				  "has a member that is neither a tag nor a "
				  "property with its value");
	timed->property_valid[timed->properties->count] = valid;
	return record_add(record, timed->properties, json_string_value(name),
			  value, fault);
}

/* Adds the tags and properties of "timed", each with when it is valid. */
static int record_timed(struct record *record, const json_t *json,
			struct cop_put *put,
			struct record_properties *properties,
			struct fault *fault)
{
	struct record_timed timed = {.put = put, .properties = properties};
	size_t count = json_array_size(json);

	if (!json || json_is_null(json))
		return 0;
	if (!json_is_array(json))
		return record_bad(fault, "timed", "is not a list");
	if (record_timed_begin(record, &timed, count, fault))
		return fault->code;
	for (size_t i = 0; i < count; i++)
		if (record_timed_add(record, &timed, json_array_get(json, i),
				     fault))
			return fault->code;
	put->tags = timed.tags;
	put->tag_sizes = timed.tag_sizes;
	put->tag_valid = timed.tag_valid;
	put->property_valid = timed.property_valid;
	return 0;
}

/* Of content that is not in the line: how much there is. */
static int record_kept(const json_t *bytes, struct cop_put *put,
		       struct fault *fault)
{
	if (!bytes || json_is_null(bytes))
		return 0;
	if (!json_is_integer(bytes) || json_integer_value(bytes) <= 0 ||
	    put->content)
		return record_bad(fault, "content_bytes",
				  "is not the size of a content that is not in "
				  "the line");
	put->content_change = COP_CONTENT_KEEP;
	put->content_size = (size_t)json_integer_value(bytes);
	return 0;
}

/* Content that is no text. */
static int record_base64(struct record *record, const json_t *json,
			 struct cop_put *put, struct fault *fault)
{
	const char *text = json_string_value(json);
	size_t size = json_string_length(json);
	size_t bytes = text ? base64_size(text, size) : 0;
	unsigned char *out;

	if (!json || json_is_null(json))
		return 0;
	if (!bytes || put->content)
		return record_bad(fault, "content_base64",
				  "is not base64 of a content that is not in "
				  "the line as text");
	out = scratch_take(&record->scratch, bytes, 1);
	if (!out)
		return record_no_memory(fault);
	if (base64_get(text, size, out))
		return record_bad(fault, "content_base64",
				  "has a byte that is no digit of base64");
	put->content = out;
	put->content_size = bytes;
	return 0;
}

/* Puts an entity, and the content that came in parts before its line. */
static int record_give(struct record *record, cop_write *write,
		       struct cop_put *put, struct fault *fault)
{
	cop_upload *upload = NULL;
	cop_err err = 0;
	int code = 0;

	if (put->content_change == COP_CONTENT_KEEP &&
	    parts_take(&record->parts, put->key, put->key_size,
		       put->content_size, &record->has_parts, &upload, fault))
		return fault->code;
	if (record->has_parts)
		put->content_size = 0;
	if (record->conditional)
		err =
		    cop_expect(write, put->key, put->key_size, record->version);
	if (!err)
		err = cop_put(write, put);
	if (!err && upload)
		err = cop_put_content(write, put->key, put->key_size, upload);
	if (err)
		code = fault_input(fault, err);
	else if (record->taken)
		code = record->taken(record->user, put, NULL, &upload);
	cop_upload_end(upload);
	return code;
}

static int record_put_entity(struct record *record, cop_write *write,
			     json_t *line, struct fault *fault)
{
	static const char *const with_key[] = {
	    "key",	     "key_hex",	       "type",	 "tags",  "content",
	    "content_bytes", "content_base64", "vector", "timed", NULL};
	static const char *const with_id[] = {
	    "id",      "type",		"tags",
	    "content", "content_bytes", "content_base64",
	    "vector",  "timed",		NULL};
	int has_key = json_object_get(line, "key") != NULL;
	const char *member = has_key ? "key" : "id", *content;
	struct record_properties properties;
	struct record_key key;
	struct cop_put put;

	memset(&put, 0, sizeof put);
	put.size = sizeof put;
	if (record_key_from(record, &key, member, line, fault) ||
	    record_text_from(&put.type, &put.type_size, "type",
			     json_object_get(line, "type"), fault) ||
	    record_text_from(&content, &put.content_size, "content",
			     json_object_get(line, "content"), fault) ||
	    record_tags(record, json_object_get(line, "tags"), &put, fault) ||
	    record_vector(record, json_object_get(line, "vector"), &put,
			  fault) ||
	    record_collect(record, line, has_key ? with_key : with_id,
			   &properties, fault) ||
	    record_timed(record, json_object_get(line, "timed"), &put,
			 &properties, fault))
		return fault->code;
	if (!put.type && record->type) {
		put.type = record->type;
		put.type_size = strlen(record->type);
	}
	put.key = key.data;
	put.key_size = key.size > UINT32_MAX ? UINT32_MAX : (uint32_t)key.size;
	put.content = content;
	if (record->content && json_object_get(line, "content")) {
		put.content = record->content;
		put.content_size = record->content_size;
	}
	if (record_base64(record, json_object_get(line, "content_base64"), &put,
			  fault) ||
	    record_kept(json_object_get(line, "content_bytes"), &put, fault))
		return fault->code;
	put.properties = properties.items;
	put.property_count = (uint32_t)properties.count;
	record->kind = RECORD_ENTITY;
	return record_give(record, write, &put, fault);
}

/* ---- edges -------------------------------------------------------------- */

/* 0 if there is none. */
static int record_discriminator(const json_t *line, uint32_t *out,
				struct fault *fault)
{
	const json_t *number = json_object_get(line, "discriminator");

	*out = 0;
	if (number &&
	    (!json_is_integer(number) || json_integer_value(number) < 0 ||
	     json_integer_value(number) > UINT32_MAX))
		return record_bad(fault, "discriminator",
				  "is not a whole number of 0 to 4294967295");
	*out = (uint32_t)json_integer_value(number);
	return 0;
}

/* The keys that an edge borrows. */
struct record_ends {
	struct record_key source, target;
};

/* member: what the relation is called in the line */
static int record_edge_ends(struct record *record, const json_t *line,
			    const char *member, struct record_ends *ends,
			    struct cop_put_edge *edge, struct fault *fault)
{
	const json_t *relation = json_object_get(line, member);

	if (!json_is_string(relation))
		return record_bad(fault, "relation",
				  relation ? "is not a string" : "is missing");
	if (record_key_from(record, &ends->source, "source", line, fault) ||
	    record_key_from(record, &ends->target, "target", line, fault))
		return fault->code;
	edge->source = ends->source.data;
	edge->source_size = ends->source.size;
	edge->relation = json_string_value(relation);
	edge->relation_size = json_string_length(relation);
	edge->target = ends->target.data;
	edge->target_size = ends->target.size;
	return 0;
}

static int record_put_edge(struct record *record, cop_write *write,
			   json_t *line, struct fault *fault)
{
	static const char *const with_relation[] = {
	    "source",	     "source_hex", "relation", "target", "target_hex",
	    "discriminator", "valid_from", "valid_to", NULL};
	static const char *const with_type[] = {
	    "source",	     "source_hex", "type",     "target", "target_hex",
	    "discriminator", "valid_from", "valid_to", NULL};
	struct cop_validity valid;
	int has_relation = json_object_get(line, "relation") != NULL;
	struct record_ends ends;
	struct record_properties properties;
	struct cop_put_edge edge;
	cop_err err;

	memset(&edge, 0, sizeof edge);
	edge.size = sizeof edge;
	if (record_edge_ends(record, line, has_relation ? "relation" : "type",
			     &ends, &edge, fault) ||
	    record_collect(record, line,
			   has_relation ? with_relation : with_type,
			   &properties, fault) ||
	    record_discriminator(line, &edge.discriminator, fault) ||
	    record_valid(line, &valid, &edge.valid, fault))
		return fault->code;
	edge.dangling = record->dangling;
	edge.properties = properties.items;
	edge.property_count = (uint32_t)properties.count;
	record->has_vector = 0;
	record->kind = 0;
	if (record_is_endless(record, &edge))
		return 0;
	record->kind = RECORD_EDGE;
	err = cop_put_edge(write, &edge);
	if (err)
		return fault_input(fault, err);
	return record->taken ? record->taken(record->user, NULL, &edge, NULL)
			     : 0;
}

int record_is_endless(struct record *record, const struct cop_put_edge *edge)
{
	if (edge->dangling != COP_DANGLING_SKIP ||
	    (edge->source_size && edge->target_size))
		return 0;
	record->endless++;
	return 1;
}

/* ---- a line ------------------------------------------------------------- */

/*
 * Lines of the reference memory server's memory.jsonl, in the names of here:
 *	{"type": "entity", "name": "n", "entityType": "T", "observations": []}
 *	{"type": "relation", "from": "n", "to": "m", "relationType": "R"}
 * NULL for any other; to be released.
 */
static json_t *record_of_memory(const json_t *line)
{
	const json_t *type = json_object_get(line, "type");
	const char *word = json_is_string(type) ? json_string_value(type) : "";

	if (json_object_get(line, "key") || json_object_get(line, "source"))
		return NULL;
	if (!strcmp(word, "entity") && json_object_get(line, "entityType"))
		return json_pack(
		    "{sO*sO*s{sO*}}", "key", json_object_get(line, "name"),
		    "type", json_object_get(line, "entityType"), "properties",
		    "observations", json_object_get(line, "observations"));
	if (!strcmp(word, "relation") && json_object_get(line, "relationType"))
		return json_pack("{sO*sO*sO*}", "source",
				 json_object_get(line, "from"), "target",
				 json_object_get(line, "to"), "relation",
				 json_object_get(line, "relationType"));
	return NULL;
}

/* Whether all members of an object are among those named. */
static int record_has_only(json_t *line, const char *const *names)
{
	json_t *member;
	const char *name;

	json_object_foreach(line, name, member)
	{
		if (!record_is_one_of(name, names))
			return 0;
	}
	return 1;
}

/* Qdrant's named vectors: the one that there is, NULL if there is not one. */
static json_t *record_named_vector(json_t *vector)
{
	json_t *named = json_object_iter_value(json_object_iter(vector));

	if (json_is_object(vector) && json_object_size(vector) == 1 &&
	    json_is_array(named))
		return named;
	return vector;
}

/*
 * Points of databases of vectors, in the names of here:
 *	{"id": 1, "vector": [], "payload": {}}		Qdrant
 *	{"id": "a", "values": [], "metadata": {}}	Pinecone
 * NULL for any other; to be released.
 */
static json_t *record_of_point(const struct record *record, json_t *line)
{
	static const char *const qdrant[] = {
	    "id",	   "vector",	"payload", "version",
	    "order_value", "shard_key", "score",   NULL};
	static const char *const pinecone[] = {
	    "id",    "values", "metadata", "sparseValues", "sparse_values",
	    "score", NULL};
	json_t *payload = json_object_get(line, "payload");
	json_t *metadata = json_object_get(line, "metadata");
	json_t *values = json_object_get(line, "values");

	if (!json_object_get(line, "id"))
		return NULL;
	if (payload && (json_is_object(payload) || json_is_null(payload)) &&
	    record_has_only(line, qdrant))
		return json_pack(
		    "{sOsO*sO}", "id", json_object_get(line, "id"), "vector",
		    record_named_vector(json_object_get(line, "vector")),
		    "properties", payload);
	if (json_is_array(values) &&
	    (record->is_point || json_is_object(metadata)) &&
	    record_has_only(line, pinecone))
		return json_pack("{sOsOsO*}", "id", json_object_get(line, "id"),
				 "vector", values, "properties", metadata);
	return NULL;
}

/* What a dump with history has besides: {"set":{"key", "vector"}}. */
static int record_set(struct record *record, cop_write *write,
		      const json_t *set, struct fault *fault)
{
	struct cop_put put = {.size = sizeof put};
	struct record_key key;
	cop_err err;

	if (record_key_from(record, &key, "key", set, fault) ||
	    record_vector(record, json_object_get(set, "vector"), &put, fault))
		return fault->code;
	if (!put.vector && put.vector_change != COP_VECTOR_DROP)
		return record_bad(fault, "set", "lacks a vector or null");
	record->kind = RECORD_ENTITY;
	err = cop_put_vector(write, key.data, key.size, put.vector, put.dim);
	return err ? fault_input(fault, err) : 0;
}

/* {"delete":{"source", "relation", "target", "discriminator"}} */
static int record_unlink(struct record *record, cop_write *write,
			 const json_t *line, struct fault *fault)
{
	struct cop_put_edge edge = {.size = sizeof edge};
	struct record_ends ends;
	cop_err err;

	if (record_edge_ends(record, line, "relation", &ends, &edge, fault) ||
	    record_discriminator(line, &edge.discriminator, fault))
		return fault->code;
	err = cop_unlink(write, &edge);
	return err ? fault_input(fault, err) : 0;
}

/* The same, or {"delete":{"key"}}. */
static int record_delete(struct record *record, cop_write *write,
			 const json_t *line, struct fault *fault)
{
	struct record_key key;
	cop_err err;

	record->kind = RECORD_DELETE;
	record->has_vector = 0;
	if (json_object_get(line, "source"))
		return record_unlink(record, write, line, fault);
	if (record_key_from(record, &key, "key", line, fault))
		return fault->code;
	err = cop_delete(write, key.data, key.size);
	return err ? fault_input(fault, err) : 0;
}

/* What a line that is neither lacks. */
static int record_neither(const json_t *line, struct fault *fault)
{
	static const char *const members[] = {"key", "source", "target"};
	char hex[16];

	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		snprintf(hex, sizeof hex, "%s_hex", members[i]);
		if (json_object_get(line, hex) &&
		    !json_object_get(line, members[i]))
			return fault_set(fault, EXIT_BAD_INPUT,
					 "\"%s\" stands beside \"%s\", which "
					 "is missing; put it there, with any "
					 "text",
					 hex, members[i]);
	}
	if (json_is_object(json_object_get(line, "set")) ||
	    json_is_object(json_object_get(line, "delete")))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "\"set\" and \"delete\" are of a dump with "
				 "history, where {\"commit\":N} comes before "
				 "them, and none does");
	return fault_set(fault, EXIT_BAD_INPUT,
			 "neither an entity (it has no \"key\" or \"id\") nor "
			 "an edge (it lacks \"source\" or \"target\")");
}

static int record_put_json(struct record *record, cop_write *write,
			   json_t *line, struct fault *fault)
{
	const json_t *set = json_object_get(line, "set");
	const json_t *delete = json_object_get(line, "delete");
	int has_ends =
	    json_object_get(line, "source") && json_object_get(line, "target");

	if (has_ends && json_object_get(line, "key"))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "\"key\", \"source\" and \"target\" in one "
				 "line: an entity or an edge? Move what is a "
				 "property into \"properties\"");
	if (has_ends)
		return record_put_edge(record, write, line, fault);
	if (json_object_get(line, "key") || json_object_get(line, "id"))
		return record_put_entity(record, write, line, fault);
	if (record->has_history && json_is_object(set))
		return record_set(record, write, set, fault);
	if (record->has_history && json_is_object(delete))
		return record_delete(record, write, delete, fault);
	return record_neither(line, fault);
}

/* ---- what is cut out of a line ------------------------------------------ */

/* The inside of a list or a string. */
struct record_cut {
	size_t begin, end; /* in the line */
};

struct record_cuts {
	struct record_cut list[2]; /* as they come in the line */
	int count;
	int is_values; /* the numbers are Pinecone's */
};

static void record_cut(struct record_cuts *cuts, const char *line,
		       const char *begin, size_t size)
{
	struct record_cut *cut = &cuts->list[cuts->count++];

	cut->begin = (size_t)(begin - line);
	cut->end = cut->begin + size;
}

/* The numbers up to a bracket; returns the bytes, 0 if it is odd. */
static size_t record_numbers(struct record *record, const char *text,
			     size_t size)
{
	uint32_t count = 0;
	size_t at = json_scan_space(text, size), used;
	float value;

	for (;;) {
		used = number_float(text + at, size - at, NUMBER_JSON, &value);
		if (!used || !isfinite(value) || count == COP_DIM_MAX)
			return 0;
		record->numbers[count++] = value;
		at += used;
		at += json_scan_space(text + at, size - at);
		if (at == size || (text[at] != ',' && text[at] != ']'))
			return 0;
		if (text[at] == ']')
			break;
		at++;
		at += json_scan_space(text + at, size - at);
	}
	record->number_count = count;
	return at;
}

/* A string's bytes up to its end, if they stand for themselves; or 0. */
static size_t record_plain(const char *text, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		if (text[at] == '"')
			return at;
		if (text[at] == '\\' || (unsigned char)text[at] < 0x20)
			return 0;
	}
	return 0;
}

static void record_cut_numbers(struct record *record, struct record_cuts *cuts,
			       const char *line, struct json_members *member)
{
	const char *inside = member->value + 1;
	size_t used;

	if (!record->numbers)
		record->numbers = malloc(COP_DIM_MAX * sizeof *record->numbers);
	if (!record->numbers)
		return;
	used = record_numbers(record, inside, (size_t)(member->end - inside));
	if (!used)
		return;
	cuts->is_values = json_members_is(member, "values");
	record_cut(cuts, line, inside, used);
	json_members_pass(member, inside + used + 1);
}

static void record_cut_content(struct record *record, struct record_cuts *cuts,
			       const char *line, struct json_members *member)
{
	const char *inside = member->value + 1;
	size_t size = record_plain(inside, (size_t)(member->end - inside));

	if (size < RECORD_CUT_LEAST)
		return;
	record->content = inside;
	record->content_size = size;
	record_cut(cuts, line, inside, size);
	json_members_pass(member, inside + size + 1);
}

static void record_find_cuts(struct record *record, const char *line,
			     size_t size, struct record_cuts *cuts)
{
	struct json_members member;
	size_t space = json_scan_space(line, size);

	if (space == size || line[space] != '{')
		return;
	json_members_begin(&member, line + space, size - space);
	while (json_members_next(&member)) {
		if (*member.value == '[' && !record->number_count &&
		    (json_members_is(&member, "vector") ||
		     json_members_is(&member, "values")))
			record_cut_numbers(record, cuts, line, &member);
		else if (*member.value == '"' && !record->content &&
			 json_members_is(&member, "content"))
			record_cut_content(record, cuts, line, &member);
	}
}

/* Says where in the line the parser stopped. */
static int record_syntax(const json_error_t *error, const char *line,
			 size_t size, const struct record_cuts *cuts,
			 struct fault *fault)
{
	size_t position = (size_t)(error->position < 0 ? 0 : error->position);
	size_t row = 1, column = 0;

	for (int i = 0; i < cuts->count; i++)
		if (position > cuts->list[i].begin)
			position += cuts->list[i].end - cuts->list[i].begin;
	for (size_t at = 0; at < position && at < size; at++) {
		column += ((unsigned char)line[at] & 0xc0) != 0x80;
		if (line[at] == '\n') {
			row++;
			column = 0;
		}
	}
	if (row == 1)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "no valid JSON at column %zu: %s", column,
				 error->text);
	return fault_set(fault, EXIT_BAD_INPUT,
			 "no valid JSON in its line %zu at column %zu: %s", row,
			 column, error->text);
}

/* The line without what is cut out; *size is less then.  NULL: no memory. */
static const char *record_text(struct record *record, const char *line,
			       size_t *size, const struct record_cuts *cuts)
{
	size_t from = 0, length = 0;
	char *text;

	if (!cuts->count)
		return line;
	text = scratch_take(&record->scratch, *size, 1);
	if (!text)
		return NULL;
	for (int i = 0; i < cuts->count; i++) {
		const struct record_cut *cut = &cuts->list[i];

		memcpy(text + length, line + from, cut->begin - from);
		length += cut->begin - from;
		from = cut->end;
	}
	memcpy(text + length, line + from, *size - from);
	*size = length + *size - from;
	return text;
}

static json_t *record_load(struct record *record, const char *line, size_t size,
			   const struct record_cuts *cuts, struct fault *fault)
{
	size_t less = size;
	const char *text = record_text(record, line, &less, cuts);
	json_error_t error;
	json_t *json;

	if (!text) {
		record_no_memory(fault);
		return NULL;
	}
	json = json_loadb(text, less, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
			  &error);
	if (!json)
		record_syntax(&error, line, size, cuts, fault);
	return json;
}

/* Whether what was cut out is the vector and the content of the record. */
static int record_needs_cuts(const json_t *json, const json_t *other,
			     const struct record_cuts *cuts)
{
	if (other || !json_is_object(json))
		return other != NULL;
	return !cuts->is_values && !(json_object_get(json, "source") &&
				     json_object_get(json, "target"));
}

static int record_put_line(struct record *record, cop_write *write,
			   const char *line, size_t size,
			   const struct record_cuts *cuts, struct fault *fault)
{
	json_t *json = record_load(record, line, size, cuts, fault), *other;
	int code;

	if (!json)
		return fault->code;
	other = record_of_memory(json);
	if (!other)
		other = record_of_point(record, json);
	if (cuts->count && !record_needs_cuts(json, other, cuts)) {
		json_decref(other);
		json_decref(json);
		return -1;
	}
	if (json_is_object(json))
		code =
		    record_put_json(record, write, other ? other : json, fault);
	else
		code = fault_set(fault, EXIT_BAD_INPUT,
				 "a record is one JSON object, this is a list");
	json_decref(other);
	json_decref(json);
	return code;
}

static void record_forget_cuts(struct record *record, struct record_cuts *cuts)
{
	memset(cuts, 0, sizeof *cuts);
	record->number_count = 0;
	record->content = NULL;
	record->content_size = 0;
}

int record_put(struct record *record, cop_write *write, const char *line,
	       size_t size, struct fault *fault)
{
	size_t valid = words_utf8(line, size);
	struct record_cuts cuts;
	int code;

	record->has_parts = 0;
	/* jansson passes over a NUL that follows a number. */
	if (memchr(line, '\0', size))
		return fault_set(fault, EXIT_BAD_INPUT, "byte %zu is NUL",
				 strnlen(line, size) + 1);
	if (valid < size)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "byte %zu (0x%02x) is not UTF-8", valid + 1,
				 (unsigned char)line[valid]);
	record_forget_cuts(record, &cuts);
	record_find_cuts(record, line, size, &cuts);
	code = record_put_line(record, write, line, size, &cuts, fault);
	if (code < 0) {
		record_forget_cuts(record, &cuts);
		code = record_put_line(record, write, line, size, &cuts, fault);
	}
	scratch_reset(&record->scratch);
	parts_drop(&record->parts);
	return code;
}

int record_is_empty(const char *line, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!memchr(" \t\r", line[i], 3))
			return 0;
	return 1;
}

void record_release(struct record *record)
{
	scratch_release(&record->scratch);
	parts_drop(&record->parts);
	free(record->numbers);
	record->numbers = NULL;
}
