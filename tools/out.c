/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out: what the command writes to stdout.
 *
 * idea
 *	Entities and edges are written as the lines that import reads, so that
 *	`scan --vector --edges` is a copy of a store.  The writer is our own
 *	because it streams from borrowed memory, and because numbers have to
 *	come back as they were: a double with 17 digits and always a point or an
 *	exponent (1.0 stays a real), a float32 with 9.
 *
 * limits
 *	Lists and maps nest COP_NESTING deep; a value that nests deeper was not
 *	written by coppice and is COP_CORRUPT.
 */
#include "out.h"
#include "base64.h"
#include "fault.h"
#include "instant.h"
#include "part.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { OUT_LABEL_BYTES = 60 };

static int out_lost; /* the errno with which writing failed */

int out_is_open(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

int out_closed(void)
{
	struct pollfd poller = {.fd = STDOUT_FILENO};

	return poll(&poller, 1, 0) > 0 && poller.revents & POLLERR;
}

/* Why a write failed: errno may have been set again since. */
static int out_reason(int number)
{
	if (!out_is_open())
		return EBADF;
	if (out_closed())
		return EPIPE;
	return number ? number : EIO;
}

int out_failed(void)
{
	if (!out_lost && ferror_unlocked(stdout))
		out_lost = out_reason(errno);
	return out_lost != 0;
}

int out_end(int code)
{
	if (fflush(stdout) && !out_lost)
		out_lost = out_reason(errno);
	if (!out_failed() || out_lost == EPIPE)
		return code;
	if (out_lost == EBADF)
		fault_note("standard output is closed: what was to be printed "
			   "is lost");
	else
		fault_note("standard output: %s", strerror(out_lost));
	if (code && code != EXIT_NO_RESULT)
		return code;
	return out_lost == EBADF ? EXIT_USAGE : EXIT_NO_SPACE;
}

static void out_raw(const void *data, size_t size)
{
	fwrite_unlocked(data, 1, size, stdout);
}

static void out_words(const char *text)
{
	out_raw(text, strlen(text));
}

static void out_byte(int c)
{
	putchar_unlocked(c);
}

/* How many bytes can go into a JSON string as they are. */
static size_t out_clean(const unsigned char *p, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t step;

		if (p[at] < 0x20 || p[at] == '"' || p[at] == '\\' ||
		    p[at] == 0x7f)
			break;
		step = words_utf8_char(p + at, size - at);
		if (!step)
			break;
		at += step;
	}
	return at;
}

static void out_escape(unsigned char c)
{
	switch (c) {
	case '"': out_words("\\\""); break;
	case '\\': out_words("\\\\"); break;
	case '\n': out_words("\\n"); break;
	case '\r': out_words("\\r"); break;
	case '\t': out_words("\\t"); break;
	default:
		if (c >= 0x80)
			out_words("\\ufffd");
		else
			printf("\\u%04x", c);
	}
}

void out_string(const void *data, size_t size)
{
	const unsigned char *p = data;
	size_t at = 0;

	out_byte('"');
	while (at < size) {
		size_t clean = out_clean(p + at, size - at);

		out_raw(p + at, clean);
		at += clean;
		if (at < size)
			out_escape(p[at++]);
	}
	out_byte('"');
}

void out_plain(const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t at = 0; at < size;) {
		size_t step = words_utf8_char(p + at, size - at);

		if (!step || p[at] < 0x20 || p[at] == 0x7f ||
		    (p[at] == 0xc2 && p[at + 1] < 0xa0))
			out_byte(p[at] == '\n' || p[at] == '\t' ? ' ' : '?');
		else
			out_raw(p + at, step);
		at += step ? step : 1;
	}
}

void out_double(double value)
{
	char text[40];

	if (!isfinite(value)) {
		out_words("null");
		return;
	}
	snprintf(text, sizeof text, "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof text, "%.17g", value);
	out_words(text);
	if (!strpbrk(text, ".e"))
		out_words(".0");
}

void out_vector(const float *vector, uint32_t dim)
{
	char text[32];

	out_byte('[');
	for (uint32_t i = 0; i < dim; i++) {
		int size;

		if (i)
			out_byte(',');
		/* "-0" would be read as a whole number, which has no sign */
		if (vector[i] == 0 && signbit(vector[i])) {
			out_words("-0.0");
			continue;
		}
		size = snprintf(text, sizeof text, "%.9g", (double)vector[i]);
		out_raw(text, (size_t)size);
	}
	out_byte(']');
}

static cop_err out_nested(const struct cop_value *value, int depth);

static cop_err out_members(const struct cop_value *value, int depth)
{
	int is_map = value->kind == COP_MAP;

	if (depth >= COP_NESTING)
		return COP_CORRUPT;
	out_byte(is_map ? '{' : '[');
	for (uint32_t i = 0; i < value->count; i++) {
		struct cop_value item;
		const char *name;
		size_t name_size;
		cop_err err;

		err = cop_value_item(value, i, &name, &name_size, &item);
		if (err)
			return err;
		if (i)
			out_byte(',');
		if (is_map) {
			out_string(name, name_size);
			out_byte(':');
		}
		err = out_nested(&item, depth + 1);
		if (err)
			return err;
	}
	out_byte(is_map ? '}' : ']');
	return 0;
}

/* Recurses into lists and maps, at most COP_NESTING deep. */
static cop_err out_nested(const struct cop_value *value, int depth)
{
	switch (value->kind) {
	case COP_NULL: out_words("null"); return 0;
	case COP_BOOL: out_words(value->integer ? "true" : "false"); return 0;
	case COP_INT: printf("%" PRId64, value->integer); return 0;
	case COP_FLOAT: out_double(value->real); return 0;
	case COP_STRING: out_string(value->data, value->count); return 0;
	case COP_LIST:
	case COP_MAP: return out_members(value, depth);
	default: return COP_CORRUPT;
	}
}

cop_err out_value(const struct cop_value *value)
{
	return out_nested(value, 0);
}

/* glibc's stdout is a variable, for such ends. */
cop_err out_value_text(const struct cop_value *value, char **text, size_t *size)
{
	FILE *memory = open_memstream(text, size);
	FILE *before = stdout;
	cop_err err;

	if (!memory)
		return ENOMEM;
	stdout = memory;
	err = out_value(value);
	stdout = before;
	return fclose(memory) && !err ? ENOMEM : err;
}

cop_err out_name_json(cop_read *read, uint32_t name)
{
	const char *text;
	size_t size;
	cop_err err;

	if (!name) {
		out_words("null");
		return 0;
	}
	err = cop_name(read, name, &text, &size);
	if (!err)
		out_string(text, size);
	return err;
}

cop_err out_name_text(cop_read *read, uint32_t name)
{
	const char *text;
	size_t size;
	cop_err err = cop_name(read, name, &text, &size);

	if (!err)
		out_plain(text, size);
	return err;
}

static void out_key(const char *name, const void *key, size_t size)
{
	char hex[2 * COP_KEY_BYTES + 1];

	printf("\"%s\":", name);
	out_string(key, size);
	if (words_utf8(key, size) == size || size > COP_KEY_BYTES)
		return;
	words_hex(hex, key, size);
	printf(",\"%s_hex\":\"%s\"", name, hex);
}

cop_err out_key_json(cop_read *read, const char *name, uint64_t id)
{
	const void *key;
	size_t size;
	cop_err err = cop_key(read, id, &key, &size);

	if (!err)
		out_key(name, key, size);
	return err;
}

cop_err out_key_text(cop_read *read, uint64_t id)
{
	const void *key;
	size_t size;
	cop_err err = cop_key(read, id, &key, &size);

	if (!err)
		out_plain(key, size);
	return err;
}

/* Writes one member of "properties"; `index` 0 is the first. */
static cop_err out_property(uint32_t index, const char *name, size_t name_size,
			    const struct cop_value *value)
{
	if (index)
		out_byte(',');
	out_string(name, name_size);
	out_byte(':');
	return out_value(value);
}

static int out_is_always(const struct cop_validity *valid)
{
	return valid->from.seconds == INT64_MIN &&
	       valid->to.seconds == INT64_MAX;
}

/* `,"valid_from":..` and to, what of them there is. */
static void out_valid(const struct cop_validity *valid)
{
	char text[INSTANT_ROOM];

	if (valid->from.seconds != INT64_MIN)
		printf(",\"valid_from\":\"%s\"",
		       instant_text(text, &valid->from));
	if (valid->to.seconds != INT64_MAX)
		printf(",\"valid_to\":\"%s\"", instant_text(text, &valid->to));
}

/* Those that are so always; *timed counts the others. */
static cop_err out_entity_properties(cop_read *read,
				     const struct cop_entity *entity,
				     uint32_t *timed)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < entity->property_count; i++) {
		struct cop_validity valid;
		struct cop_value value;
		const char *name;
		size_t name_size;
		cop_err err;

		err = cop_entity_property_at(read, entity, i, &name, &name_size,
					     &value);
		if (!err)
			err =
			    cop_entity_property_valid(read, entity, i, &valid);
		if (!err && !out_is_always(&valid))
			++*timed;
		else if (!err)
			err = out_property(count++, name, name_size, &value);
		if (err)
			return err;
	}
	return 0;
}

static int tag_compare(const void *a, const void *b)
{
	const struct out_tag *x = a;
	const struct out_tag *y = b;
	int order =
	    memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);

	return order ? order : x->size < y->size ? -1 : x->size > y->size;
}

/* By their texts: a store has them in the order of its own numbers. */
cop_err out_tags(cop_read *read, const struct cop_entity *entity,
		 struct out_tag **tags, uint32_t *count, uint32_t *timed)
{
	cop_err err = 0;

	*count = 0;
	*tags = malloc((entity->tag_count + (size_t)1) * sizeof **tags);
	if (!*tags)
		return ENOMEM;
	for (uint32_t i = 0; i < entity->tag_count && !err; i++) {
		struct out_tag *tag = &(*tags)[*count];
		struct cop_validity valid;

		err = cop_entity_tag(read, entity, i, &tag->text, &tag->size);
		if (!err)
			err = cop_entity_tag_valid(read, entity, i, &valid);
		if (!err && out_is_always(&valid))
			++*count;
		else if (!err)
			++*timed;
	}
	if (!err)
		qsort(*tags, *count, sizeof **tags, tag_compare);
	return err;
}

static cop_err out_entity_tags(cop_read *read, const struct cop_entity *entity,
			       uint32_t *timed)
{
	struct out_tag *tags;
	uint32_t count;
	cop_err err = out_tags(read, entity, &tags, &count, timed);

	for (uint32_t i = 0; i < count && !err; i++) {
		if (i)
			out_byte(',');
		out_string(tags[i].text, tags[i].size);
	}
	free(tags);
	return err;
}

/* A member of "timed", up to its validity. */
static cop_err out_timed_tag(cop_read *read, const struct cop_entity *entity,
			     uint32_t index)
{
	const char *tag;
	size_t size;
	cop_err err = cop_entity_tag(read, entity, index, &tag, &size);

	if (err)
		return err;
	out_words("{\"tag\":");
	out_string(tag, size);
	return 0;
}

static cop_err out_timed_property(cop_read *read,
				  const struct cop_entity *entity,
				  uint32_t index)
{
	struct cop_value value;
	const char *name;
	size_t size;
	cop_err err =
	    cop_entity_property_at(read, entity, index, &name, &size, &value);

	if (err)
		return err;
	out_words("{\"property\":");
	out_string(name, size);
	out_words(",\"value\":");
	return out_value(&value);
}

/* The tags, then the properties, that have times. */
static cop_err out_entity_timed(cop_read *read, const struct cop_entity *entity)
{
	uint32_t tags = entity->tag_count;
	uint32_t count = 0;

	out_words(",\"timed\":[");
	for (uint32_t i = 0; i < tags + entity->property_count; i++) {
		struct cop_validity valid;
		cop_err err =
		    i < tags ? cop_entity_tag_valid(read, entity, i, &valid)
			     : cop_entity_property_valid(read, entity, i - tags,
							 &valid);

		if (!err && out_is_always(&valid))
			continue;
		if (count++)
			out_byte(',');
		if (!err)
			err = i < tags
				  ? out_timed_tag(read, entity, i)
				  : out_timed_property(read, entity, i - tags);
		if (err)
			return err;
		out_valid(&valid);
		out_byte('}');
	}
	out_byte(']');
	return 0;
}

cop_err out_content(cop_read *read, const struct cop_entity *entity,
		    const void **data, size_t *size)
{
	cop_err err;

	*data = NULL;
	*size = entity->content_size;
	if (*size > COP_CONTENT_BYTES)
		return 0;
	err = cop_entity_content(read, entity, data, size);
	if (!err && *data && words_utf8(*data, *size) < *size)
		*data = NULL;
	return err;
}

void out_base64(const void *data, size_t size)
{
	const unsigned char *p = data;
	char text[4];

	for (size_t i = 0; i < size; i += 3) {
		base64_put(p + i, size - i, text);
		out_raw(text, sizeof text);
	}
}

static cop_err out_content_base64(cop_read *read,
				  const struct cop_entity *entity)
{
	const void *data;
	size_t size;
	cop_err err = cop_entity_content(read, entity, &data, &size);

	if (err)
		return err;
	out_words(",\"content_base64\":\"");
	out_base64(data, size);
	out_byte('"');
	return 0;
}

/* What can be damaged by itself, and is looked at before a line is begun. */
struct out_found {
	const void *content;
	size_t content_size;
	const float *vector;
};

static cop_err out_find(cop_read *read, const struct cop_entity *entity,
			int parts, struct out_found *found)
{
	int is_parted = parts & OUT_DUMP && entity->content_size > PART_BYTES;
	cop_err err = 0;

	found->content = NULL;
	found->content_size = entity->content_size;
	found->vector = NULL;
	if (!is_parted)
		err = out_content(read, entity, &found->content,
				  &found->content_size);
	if (!err && parts & OUT_VECTOR)
		err = cop_vector(read, entity->id, &found->vector);
	return err;
}

static cop_err out_entity_content(cop_read *read,
				  const struct cop_entity *entity, int parts,
				  const struct out_found *found)
{
	size_t size = found->content_size;

	if (found->content)
		out_string(found->content, size);
	else
		out_words("null");
	if (found->content || !size)
		return 0;
	if (parts & OUT_DUMP && size <= PART_BYTES)
		return out_content_base64(read, entity);
	printf(",\"content_bytes\":%zu", size);
	return 0;
}

static cop_err out_entity_members(cop_read *read,
				  const struct cop_entity *entity)
{
	uint32_t timed = 0;
	cop_err err;

	out_byte('{');
	out_key("key", entity->key, entity->key_size);
	out_words(",\"type\":");
	err = out_name_json(read, entity->type);
	out_words(",\"tags\":[");
	if (!err)
		err = out_entity_tags(read, entity, &timed);
	out_words("],\"properties\":{");
	if (!err)
		err = out_entity_properties(read, entity, &timed);
	out_byte('}');
	return !err && timed ? out_entity_timed(read, entity) : err;
}

cop_err out_entity_object(cop_store *store, cop_read *read,
			  const struct cop_entity *entity, int parts)
{
	struct out_found found;
	cop_err err = out_find(read, entity, parts, &found);

	if (err)
		return err;
	err = out_entity_members(read, entity);
	out_words(",\"content\":");
	if (!err)
		err = out_entity_content(read, entity, parts, &found);
	if (parts & OUT_VECTOR)
		out_words(",\"vector\":");
	if (found.vector)
		out_vector(found.vector, cop_dim(store));
	else if (parts & OUT_VECTOR)
		out_words("null");
	if (parts & OUT_VERSION)
		printf(",\"version\":%llu",
		       (unsigned long long)entity->version);
	out_byte('}');
	return err;
}

cop_err out_entity(cop_store *store, cop_read *read,
		   const struct cop_entity *entity, int parts)
{
	cop_err err = out_entity_object(store, read, entity, parts);

	if (!err)
		out_byte('\n');
	return err;
}

cop_err out_edge_object(cop_read *read, const struct cop_edge *edge)
{
	cop_err err;

	out_byte('{');
	err = out_key_json(read, "source", edge->source);
	out_words(",\"relation\":");
	if (!err)
		err = out_name_json(read, edge->relation);
	out_byte(',');
	if (!err)
		err = out_key_json(read, "target", edge->target);
	if (edge->discriminator)
		printf(",\"discriminator\":%" PRIu32, edge->discriminator);
	out_valid(&edge->valid);
	out_words(",\"properties\":{");
	for (uint32_t i = 0; !err && i < edge->property_count; i++) {
		struct cop_value value;
		const char *name;
		size_t name_size;

		err = cop_edge_property_at(read, edge, i, &name, &name_size,
					   &value);
		if (!err)
			err = out_property(i, name, name_size, &value);
	}
	out_words("}}");
	return err;
}

cop_err out_edge(cop_read *read, const struct cop_edge *edge)
{
	cop_err err = out_edge_object(read, edge);

	out_byte('\n');
	return err;
}

/* The property "name", or how the content starts; *size 0: neither. */
static cop_err out_label(cop_read *read, const struct cop_entity *entity,
			 const void **data, size_t *size)
{
	static char begin[OUT_LABEL_BYTES + 4]; /* a character may begin in
						   the last one */
	struct cop_value value;
	int found;
	cop_err err;

	err = cop_entity_property(read, entity, "name", 4, &found, &value);
	if (err)
		return err;
	if (found && value.kind == COP_STRING && value.count) {
		*data = value.data;
		*size = words_cut(*data, value.count, OUT_LABEL_BYTES);
		return 0;
	}
	err = cop_content_read(read, entity, 0, begin, sizeof begin, size);
	*data = begin;
	if (!err && *size)
		*size = words_cut(begin, *size, OUT_LABEL_BYTES);
	return err;
}

cop_err out_label_json(cop_read *read, uint64_t id)
{
	struct cop_entity entity;
	const void *data;
	size_t size;
	cop_err err = cop_get_id(read, id, &entity);

	if (err || !entity.id)
		return err;
	out_words(",\"type\":");
	err = out_name_json(read, entity.type);
	if (!err)
		err = out_label(read, &entity, &data, &size);
	if (err)
		return err;
	out_words(",\"label\":");
	out_string(data ? data : "", size);
	return 0;
}

cop_err out_label_text(cop_read *read, uint64_t id)
{
	struct cop_entity entity;
	const void *data;
	size_t size;
	cop_err err = cop_get_id(read, id, &entity);

	if (err || !entity.id)
		return err;
	err = out_label(read, &entity, &data, &size);
	if (err || !size)
		return err;
	out_byte('\t');
	out_plain(data, size);
	return 0;
}

const char *out_metric(int32_t metric)
{
	switch (metric) {
	case COP_COSINE: return "cosine";
	case COP_L2: return "l2";
	case COP_IP: return "ip";
	default: return "unknown";
	}
}

const char *out_codes(int32_t codes)
{
	switch (codes) {
	case COP_CODES_U8: return "u8";
	case COP_CODES_F16: return "f16";
	case COP_CODES_BF16: return "bf16";
	case COP_CODES_F32: return "f32";
	case COP_CODES_B1: return "b1";
	default: return "unknown";
	}
}
