/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part: large content in lines of its own, in front of its record.
 *
 * layout
 *	{"content":{"key":"k","offset":0,"text":".."}}
 *	{"content":{"key":"k","offset":1048576,"base64":".."}}
 *	{"key":"k",..,"content":null,"content_bytes":1500000}
 *	Parts of PART_BYTES, but the last one, and one of text that is cut back
 *	to a whole character.  One that is no text is in base64.  What they
 *	look like depends on the bytes alone, however those are stored.
 *
 * idea
 *	A line with all of a content would be as long as that, and so would be
 *	the memory of whoever writes or reads it.  Here both have one part at a
 *	time: a content streams out of the store (cop_content_read) and into
 *	another one (cop_upload), out of sight until its record is there.
 *	A part is no record: it is not counted, and no commit of an import comes
 *	between it and its record, so that one that resumes finds all of them.
 *
 * faults
 *	A part that is damaged, missing, or of another entity is the fault of
 *	the record behind it, which is bad then; parts without a record are
 *	astray.  So what is left out and told of is the same as without parts.
 */
#include "part.h"
#include "base64.h"
#include "json_scan.h"
#include "out.h"
#include "words.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- out ---------------------------------------------------------------- */

/* How many of the bytes are written as text; 0: they are no text. */
static size_t part_text(const char *data, size_t size, int is_last)
{
	enum { CHARACTER_BYTES = 4 };
	size_t text = words_utf8(data, size);

	if (text < size && (is_last || size - text >= CHARACTER_BYTES))
		return 0;
	return text;
}

static cop_err part_line(cop_read *read, const struct cop_entity *entity,
			 uint64_t offset, const char *data, size_t size,
			 int is_text)
{
	cop_err err;

	fputs("{\"content\":{", stdout);
	err = out_key_json(read, "key", entity->id);
	printf(",\"offset\":%" PRIu64, offset);
	if (is_text) {
		fputs(",\"text\":", stdout);
		out_string(data, size);
	} else {
		fputs(",\"base64\":\"", stdout);
		out_base64(data, size);
		putchar('"');
	}
	fputs("}}\n", stdout);
	return err;
}

cop_err part_write(cop_read *read, const struct cop_entity *entity)
{
	uint64_t size = entity->content_size;
	uint64_t offset = 0;
	size_t got = 1;
	cop_err err = 0;
	char *data;

	if (size <= PART_BYTES)
		return 0;
	data = malloc(PART_BYTES);
	if (!data)
		return ENOMEM;
	while (!err && got && offset < size && !out_failed()) {
		size_t text;

		err = cop_content_read(read, entity, offset, data, PART_BYTES,
				       &got);
		if (err || !got)
			break;
		text = part_text(data, got, offset + got == size);
		got = text ? text : got;
		err = part_line(read, entity, offset, data, got, text != 0);
		offset += got;
	}
	free(data);
	return err;
}

cop_err part_compare(cop_read *a_read, const struct cop_entity *a,
		     cop_read *b_read, const struct cop_entity *b, int *is_same)
{
	uint64_t offset = 0, size = a->content_size;
	char *data = malloc(2 * PART_BYTES);
	size_t got, other;
	cop_err err = data ? 0 : ENOMEM;

	*is_same = size == b->content_size;
	while (!err && *is_same && offset < size) {
		err =
		    cop_content_read(a_read, a, offset, data, PART_BYTES, &got);
		if (!err)
			err = cop_content_read(b_read, b, offset,
					       data + PART_BYTES, PART_BYTES,
					       &other);
		*is_same = !err && got && got == other &&
			   !memcmp(data, data + PART_BYTES, got);
		offset += got;
	}
	free(data);
	return err;
}

/* ---- in ----------------------------------------------------------------- */

/* Passes white space and then `word`; NULL if something else is there. */
static const char *pass(const char *at, const char *end, const char *word)
{
	size_t size = strlen(word);

	if (!at)
		return NULL;
	at += json_scan_space(at, (size_t)(end - at));
	return (size_t)(end - at) >= size && !memcmp(at, word, size) ? at + size
								     : NULL;
}

int part_is(const char *line, size_t size)
{
	const char *end = line + size;
	const char *at = pass(line, end, "{");

	at = pass(at, end, "\"content\"");
	at = pass(at, end, ":");
	at = pass(at, end, "{");
	return pass(at, end, "\"key") != NULL; /* or key_hex */
}

static void parts_forget(struct parts *parts)
{
	cop_upload_end(parts->upload);
	parts->upload = NULL;
	parts->size = parts->lines = 0;
	parts->reason[0] = '\0';
}

void parts_drop(struct parts *parts)
{
	parts->astray += parts->lines;
	parts_forget(parts);
}

/* What came is of no use; the first reason counts. */
static int parts_spoil(struct parts *parts, const char *reason)
{
	if (!parts->reason[0])
		snprintf(parts->reason, sizeof parts->reason, "%s", reason);
	return 0;
}

/* Sets *size to 0 if there is no key. */
static void part_key(const json_t *part, unsigned char key[COP_KEY_BYTES],
		     size_t *size)
{
	const json_t *json = json_object_get(part, "key");
	const json_t *hex = json_object_get(part, "key_hex");
	const char *text = json_string_value(hex ? hex : json);
	size_t length = json_string_length(hex ? hex : json);

	*size = hex ? length / 2 : length;
	if (*size > COP_KEY_BYTES || (hex && words_unhex(text, length, key)))
		*size = 0;
	else if (!hex && length)
		memcpy(key, text, length);
}

/* Begins with another entity's if these are those, or begin anew. */
static int parts_turn(struct parts *parts, const json_t *part,
		      struct fault *fault)
{
	unsigned char key[COP_KEY_BYTES];
	cop_err err;
	size_t size;

	part_key(part, key, &size);
	if (parts->lines && size == parts->key_size &&
	    !memcmp(key, parts->key, size) &&
	    json_integer_value(json_object_get(part, "offset")))
		return 0;
	parts_drop(parts);
	memcpy(parts->key, key, size);
	parts->key_size = size;
	err =
	    parts->is_dry ? 0 : cop_upload_begin(parts->store, &parts->upload);
	return err ? fault_cop(fault, err) : 0;
}

static int parts_append(struct parts *parts, const void *data, size_t size,
			struct fault *fault)
{
	cop_err err =
	    parts->is_dry ? 0 : cop_upload_add(parts->upload, data, size);

	parts->size += size;
	return err ? fault_cop(fault, err) : 0;
}

static int parts_base64(struct parts *parts, const json_t *json,
			struct fault *fault)
{
	const char *text = json_string_value(json);
	size_t length = json_string_length(json);
	size_t size = text ? base64_size(text, length) : 0;
	unsigned char *data = malloc(size + 1);
	int code = 0;

	if (!data)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	if (!size || base64_get(text, length, data))
		parts_spoil(parts, "a line of it is neither text nor base64");
	else
		code = parts_append(parts, data, size, fault);
	free(data);
	return code;
}

static int parts_read(struct parts *parts, const json_t *part,
		      struct fault *fault)
{
	const json_t *offset = json_object_get(part, "offset");
	const json_t *text = json_object_get(part, "text");
	char reason[sizeof parts->reason];

	if (parts_turn(parts, part, fault))
		return fault->code;
	parts->lines++;
	if (parts->reason[0])
		return 0;
	if (!json_is_integer(offset) ||
	    (uint64_t)json_integer_value(offset) != parts->size) {
		snprintf(reason, sizeof reason,
			 "the line of its byte %" PRIu64 " is not there",
			 parts->size);
		return parts_spoil(parts, reason);
	}
	return json_is_string(text)
		   ? parts_append(parts, json_string_value(text),
				  json_string_length(text), fault)
		   : parts_base64(parts, json_object_get(part, "base64"),
				  fault);
}

int parts_add(struct parts *parts, const char *line, size_t size,
	      struct fault *fault)
{
	json_error_t error;
	json_t *json = json_loadb(
	    line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	int code = 0;

	if (json) {
		code =
		    parts_read(parts, json_object_get(json, "content"), fault);
	} else {
		parts->lines++;
		parts_spoil(parts, "a line of it is no valid JSON");
	}
	json_decref(json);
	return code;
}

int parts_take(struct parts *parts, const void *key, size_t key_size,
	       uint64_t bytes, int *has, cop_upload **upload,
	       struct fault *fault)
{
	*has = parts->lines != 0;
	*upload = NULL;
	if (!*has)
		return 0;
	if (key_size != parts->key_size || memcmp(key, parts->key, key_size))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "the lines of content before it are another "
				 "entity's");
	if (parts->reason[0])
		fault_set(fault, EXIT_BAD_INPUT, "its content is not whole: %s",
			  parts->reason);
	else if (parts->size != bytes)
		fault_set(fault, EXIT_BAD_INPUT,
			  "the lines with its content have %" PRIu64
			  " bytes, and \"content_bytes\" says %" PRIu64,
			  parts->size, bytes);
	if (!fault->code) {
		*upload = parts->upload;
		parts->upload = NULL;
	}
	parts_forget(parts);
	return fault->code;
}
