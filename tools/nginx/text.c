/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON.
 *
 * idea
 *	Answers are written from what a read lends, straight into one buffer,
 *	as the command writes them: the same text for the same entity.  The
 *	buffer doubles; what it outgrew goes back to the pool at once.  Want of
 *	memory is noted and looked at once, when the answer is sent.
 *
 * limits
 *	A tag or property that holds at some time only is left out, as it is
 *	from "properties" of `coppice get --json`.
 */
#include "web.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_ROOM = 4096 };

/* ---- the buffer --------------------------------------------------------- */

static void text_grow(struct web_text *text, size_t size)
{
	size_t room = text->room ? text->room : TEXT_ROOM;
	u_char *data;

	while (room - text->size < size)
		room *= 2;
	data = ngx_palloc(text->pool, room);
	if (!data) {
		text->is_lost = 1;
		return;
	}
	if (text->data) {
		memcpy(data, text->data, text->size);
		ngx_pfree(text->pool, text->data);
	}
	text->data = data;
	text->room = room;
}

static void text_add(struct web_text *text, const void *data, size_t size)
{
	if (text->room - text->size < size)
		text_grow(text, size);
	if (text->is_lost)
		return;
	memcpy(text->data + text->size, data, size);
	text->size += size;
}

void web_words(struct web_text *text, const char *words)
{
	text_add(text, words, strlen(words));
}

/* ---- strings ------------------------------------------------------------ */

/* The bytes of the UTF-8 character at `at`, 0 if there is none. */
static size_t char_size(const u_char *at, size_t size)
{
	u_char *end = (u_char *)(uintptr_t)at;
	uint32_t code;

	if (*at < 0x80)
		return 1;
	code = ngx_utf8_decode(&end, size);
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return (size_t)(end - at);
}

/* How many bytes can stand in a string as they are. */
static size_t clean_size(const u_char *data, size_t size)
{
	size_t at = 0;
	size_t step = 1;

	while (at < size && step) {
		u_char c = data[at];

		step = c < 0x20 || c == '"' || c == '\\' || c == 0x7f
			   ? 0
			   : char_size(data + at, size - at);
		at += step;
	}
	return at;
}

static void text_escape(struct web_text *text, u_char c)
{
	char escaped[8];

	switch (c) {
	case '"': web_words(text, "\\\""); return;
	case '\\': web_words(text, "\\\\"); return;
	case '\n': web_words(text, "\\n"); return;
	case '\r': web_words(text, "\\r"); return;
	case '\t': web_words(text, "\\t"); return;
	default: break;
	}
	snprintf(escaped, sizeof escaped, "\\u%04x", c < 0x80 ? c : 0xfffdu);
	web_words(text, escaped);
}

void web_string(struct web_text *text, const void *data, size_t size)
{
	const u_char *bytes = data;
	size_t at = 0;

	web_words(text, "\"");
	while (at < size) {
		size_t clean = clean_size(bytes + at, size - at);

		text_add(text, bytes + at, clean);
		at += clean;
		if (at < size)
			text_escape(text, bytes[at++]);
	}
	web_words(text, "\"");
}

/* ---- values ------------------------------------------------------------- */

void web_double(struct web_text *text, double value)
{
	char digits[40];

	if (!isfinite(value)) {
		web_words(text, "null");
		return;
	}
	snprintf(digits, sizeof digits, "%.15g", value);
	if (strtod(digits, NULL) != value)
		snprintf(digits, sizeof digits, "%.17g", value);
	web_words(text, digits);
	if (!strpbrk(digits, ".e"))
		web_words(text, ".0");
}

static void text_integer(struct web_text *text, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRId64, value);
	web_words(text, digits);
}

static cop_err text_nested(struct web_text *text, const struct cop_value *value,
			   int depth);

static cop_err text_members(struct web_text *text,
			    const struct cop_value *value, int depth)
{
	int is_map = value->kind == COP_MAP;

	if (depth >= COP_NESTING)
		return COP_CORRUPT;
	web_words(text, is_map ? "{" : "[");
	for (uint32_t i = 0; i < value->count; i++) {
		struct cop_value item;
		const char *name;
		size_t size;
		cop_err err = cop_value_item(value, i, &name, &size, &item);

		if (err)
			return err;
		if (i)
			web_words(text, ",");
		if (is_map) {
			web_string(text, name, size);
			web_words(text, ":");
		}
		err = text_nested(text, &item, depth + 1);
		if (err)
			return err;
	}
	web_words(text, is_map ? "}" : "]");
	return 0;
}

/* Recurses into lists and maps, at most COP_NESTING deep. */
static cop_err text_nested(struct web_text *text, const struct cop_value *value,
			   int depth)
{
	switch (value->kind) {
	case COP_NULL: web_words(text, "null"); return 0;
	case COP_BOOL:
		web_words(text, value->integer ? "true" : "false");
		return 0;
	case COP_INT: text_integer(text, value->integer); return 0;
	case COP_FLOAT: web_double(text, value->real); return 0;
	case COP_STRING: web_string(text, value->data, value->count); return 0;
	case COP_LIST:
	case COP_MAP: return text_members(text, value, depth);
	default: return COP_CORRUPT;
	}
}

cop_err web_value(struct web_text *text, const struct cop_value *value)
{
	return text_nested(text, value, 0);
}

/* ---- parts of entities -------------------------------------------------- */

cop_err web_name(struct web_text *text, cop_read *read, uint32_t name)
{
	const char *data;
	size_t size;
	cop_err err;

	if (!name) {
		web_words(text, "null");
		return 0;
	}
	err = cop_name(read, name, &data, &size);
	if (!err)
		web_string(text, data, size);
	return err;
}

cop_err web_key(struct web_text *text, cop_read *read, uint64_t id)
{
	const void *key;
	size_t size;
	cop_err err = cop_key(read, id, &key, &size);

	if (!err)
		web_string(text, key, size);
	return err;
}

int web_is_always(const struct cop_validity *valid)
{
	return valid->from.seconds == INT64_MIN &&
	       valid->to.seconds == INT64_MAX;
}

static cop_err text_property(struct web_text *text, cop_read *read,
			     const struct cop_entity *entity, uint32_t index,
			     uint32_t *count)
{
	struct cop_validity valid;
	struct cop_value value;
	const char *name;
	size_t size;
	cop_err err;

	err = cop_entity_property_at(read, entity, index, &name, &size, &value);
	if (!err)
		err = cop_entity_property_valid(read, entity, index, &valid);
	if (err || !web_is_always(&valid))
		return err;
	if ((*count)++)
		web_words(text, ",");
	web_string(text, name, size);
	web_words(text, ":");
	return web_value(text, &value);
}

cop_err web_properties(struct web_text *text, cop_read *read,
		       const struct cop_entity *entity)
{
	uint32_t count = 0;
	cop_err err = 0;

	web_words(text, "{");
	for (uint32_t i = 0; i < entity->property_count && !err; i++)
		err = text_property(text, read, entity, i, &count);
	web_words(text, "}");
	return err;
}
