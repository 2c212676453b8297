/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"
#include "error.h"
#include "text.h"
#include "timed.h"

#include <errno.h>
#include <lz4.h>
#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

enum { COMPRESS_FROM = 1024 };

/* ---- names -------------------------------------------------------------- */

void names_release(struct names *names)
{
	buffer_release(&names->text);
	buffer_release(&names->entries);
	hashmap_release(&names->map);
}

struct name_list names_list(const struct names *names)
{
	return (struct name_list){
	    .entries = (const struct name_entry *)(void *)names->entries.data,
	    .text = names->text.data,
	    .text_bytes = names->text.size,
	    .uses = names->uses,
	    .count = names_count(names)};
}

void names_clear(struct names *names)
{
	names->text.size = 0;
	names->entries.size = 0;
	names->uses = 0;
	hashmap_clear(&names->map);
}

uint32_t names_count(const struct names *names)
{
	return (uint32_t)(names->entries.size / sizeof(struct name_entry));
}

static struct name_entry *entry_at(const struct names *names, uint32_t index)
{
	return (struct name_entry *)(void *)names->entries.data + index;
}

const struct name_entry *names_entry(const struct names *names, uint32_t number)
{
	return entry_at(names, number - 1);
}

uint64_t name_hash(enum name_space space, const char *text, size_t size)
{
	return XXH3_64bits_withSeed(text, size, space);
}

static cop_err name_check(const char *text, size_t size)
{
	size_t valid;

	if (!size)
		return error_set(COP_BAD_TEXT,
				 "a type, relation, tag or property has an "
				 "empty name; give it one");
	if (size > COP_NAME_BYTES)
		return error_set(COP_TOO_LARGE,
				 "the name '%.40s...' has %zu bytes; a name "
				 "may have %d",
				 text, size, COP_NAME_BYTES);
	valid = text_valid_bytes(text, size);
	if (valid != size)
		return error_set(COP_BAD_TEXT,
				 "the name '%.*s' is not UTF-8 from byte %zu "
				 "on; names are text",
				 (int)valid, text, valid);
	return 0;
}

static cop_err no_memory(void)
{
	return error_system(ENOMEM,
			    "no memory for the write; commit in smaller "
			    "parts");
}

cop_err names_intern(struct names *names, enum name_space space,
		     const char *text, size_t size, uint32_t *number)
{
	uint64_t hash = name_hash(space, text, size);
	struct hashmap_cursor cursor = {.hash = hash};
	struct name_entry entry = {.hash = hash,
				   .text_at = (uint32_t)names->text.size,
				   .space = (uint8_t)space,
				   .size = (uint8_t)size};
	uint32_t index;
	cop_err err;

	names->uses++;
	while (hashmap_next(&names->map, &cursor, &index)) {
		const struct name_entry *known = entry_at(names, index);

		if (known->space == space && known->size == size &&
		    !memcmp(names->text.data + known->text_at, text, size)) {
			*number = index + 1;
			return 0;
		}
	}
	err = name_check(text, size);
	if (err)
		return err;
	index = names_count(names);
	if (buffer_put(&names->text, text, size) ||
	    buffer_put(&names->entries, &entry, sizeof entry) ||
	    hashmap_put(&names->map, hash, index))
		return no_memory();
	*number = index + 1;
	return 0;
}

void names_back(struct names *names, uint32_t count)
{
	if (names_count(names) == count)
		return;
	names->text.size = entry_at(names, count)->text_at;
	names->entries.size = count * sizeof(struct name_entry);
	hashmap_clear(&names->map);
	/* they fitted before, so this needs no memory */
	for (uint32_t i = 0; i < count; i++)
		(void)hashmap_put(&names->map, entry_at(names, i)->hash, i);
}

/* Starts to watch for names that come twice. */
static void marks_begin(struct names *names)
{
	names->marking++;
}

static int mark_twice(struct names *names, uint32_t number)
{
	struct name_entry *entry = entry_at(names, number - 1);
	int twice = entry->mark == names->marking;

	entry->mark = names->marking;
	return twice;
}

/* ---- encoding values ---------------------------------------------------- */

static cop_err string_check(const void *data, size_t size)
{
	size_t valid = text_valid_bytes(data, size);

	if (valid == size)
		return 0;
	return error_set(COP_BAD_TEXT,
			 "a string of %zu bytes is not UTF-8 from byte %zu on; "
			 "put bytes that are no text into the content",
			 size, valid);
}

static cop_err value_put(struct buffer *out, const struct cop_value *value,
			 uint32_t depth);

static void offset_set(struct buffer *out, size_t at, size_t start)
{
	uint32_t offset = (uint32_t)(out->size - start);

	memcpy(out->data + at, &offset, sizeof offset);
}

static cop_err list_put(struct buffer *out, const struct cop_value *value,
			size_t start, uint32_t depth)
{
	const struct cop_value *items = value->data;
	size_t table = out->size;

	if (!buffer_add(out, (size_t)value->count * 4))
		return no_memory();
	for (uint32_t i = 0; i < value->count; i++) {
		cop_err err;

		offset_set(out, table + (size_t)i * 4, start);
		err = value_put(out, &items[i], depth + 1);
		if (err)
			return err;
	}
	return 0;
}

static cop_err member_name_put(struct buffer *out,
			       const struct cop_property *member)
{
	uint32_t size = (uint32_t)member->name_size;
	cop_err err = 0;

	if (member->name_size > COP_PROPERTY_BYTES)
		return error_set(COP_TOO_LARGE, "the name of a map's member is "
						"too long");
	err = string_check(member->name, member->name_size);
	if (err)
		return err;
	if (buffer_put(out, &size, sizeof size) ||
	    buffer_put(out, member->name, size) || buffer_align(out, 4))
		return no_memory();
	return 0;
}

static cop_err map_put(struct buffer *out, const struct cop_value *value,
		       size_t start, uint32_t depth)
{
	const struct cop_property *members = value->data;
	size_t table = out->size;

	if (!buffer_add(out, (size_t)value->count * 8))
		return no_memory();
	for (uint32_t i = 0; i < value->count; i++) {
		cop_err err;

		offset_set(out, table + (size_t)i * 8 + 4, start);
		err = member_name_put(out, &members[i]);
		if (err)
			return err;
		offset_set(out, table + (size_t)i * 8, start);
		err = value_put(out, &members[i].value, depth + 1);
		if (err)
			return err;
	}
	return 0;
}

static cop_err string_put(struct buffer *out, const struct cop_value *value)
{
	cop_err err = string_check(value->data, value->count);

	if (err)
		return err;
	if (buffer_put(out, value->data, value->count) || buffer_align(out, 4))
		return no_memory();
	return 0;
}

static cop_err real_put(struct buffer *out, double real)
{
	if (!isfinite(real))
		return error_set(COP_INVALID,
				 "it is not a finite number; put null or text "
				 "instead");
	return buffer_put(out, &real, sizeof real) ? no_memory() : 0;
}

static cop_err size_check(const struct buffer *out, size_t start)
{
	if (out->size - start <= COP_PROPERTY_BYTES)
		return 0;
	return error_set(COP_TOO_LARGE,
			 "properties have over %d bytes; put what is large "
			 "into the content",
			 COP_PROPERTY_BYTES);
}

static cop_err value_put(struct buffer *out, const struct cop_value *value,
			 uint32_t depth)
{
	struct disk_value head = {.kind = (uint8_t)value->kind,
				  .count = value->count};
	size_t start = out->size;
	cop_err err;

	if (value->kind < COP_NULL || value->kind > COP_MAP)
		return error_set(COP_INVALID,
				 "a property is of kind %d; see "
				 "enum cop_kind",
				 value->kind);
	if (value->kind >= COP_LIST && depth > COP_NESTING)
		return error_set(COP_TOO_LARGE,
				 "a property is nested deeper than %d levels",
				 COP_NESTING);
	if ((size_t)value->count > COP_PROPERTY_BYTES)
		return error_set(COP_TOO_LARGE, "a property has %u members",
				 value->count);
	if (value->kind < COP_STRING)
		head.count = value->kind == COP_BOOL && value->integer;
	if (buffer_put(out, &head, sizeof head))
		return no_memory();
	switch (value->kind) {
	case COP_INT:
		err = buffer_put(out, &value->integer, 8) ? no_memory() : 0;
		break;
	case COP_FLOAT: err = real_put(out, value->real); break;
	case COP_STRING: err = string_put(out, value); break;
	case COP_LIST: err = list_put(out, value, start, depth); break;
	case COP_MAP: err = map_put(out, value, start, depth); break;
	default: err = 0;
	}
	return err ? err : size_check(out, start);
}

/*
 * Compresses out->data from `start` on in place of itself, behind `room`
 * bytes of header, if that saves an eighth.  1 if it did.
 */
static int compress_from(struct buffer *out, size_t start, size_t room,
			 uint32_t *stored)
{
	size_t size = out->size - start;
	int bound = LZ4_compressBound((int)size);
	char *packed;
	int bytes;

	if (size < COMPRESS_FROM || bound <= 0)
		return 0;
	packed = malloc((size_t)bound);
	if (!packed)
		return 0;
	bytes = LZ4_compress_default((const char *)out->data + start, packed,
				     (int)size, bound);
	if (bytes <= 0 || (size_t)bytes + room > size - size / 8) {
		free(packed);
		return 0;
	}
	memcpy(out->data + start + room, packed, (size_t)bytes);
	free(packed);
	out->size = start + room + (size_t)bytes;
	*stored = (uint32_t)bytes;
	return 1;
}

cop_err codec_validity(const struct cop_validity *valid, const char *what,
		       struct disk_validity *out)
{
	*out = (struct disk_validity){valid->from.seconds, valid->to.seconds,
				      valid->from.nanos, valid->to.nanos};
	if (!codec_validity_is(out))
		return error_set(
		    COP_INVALID,
		    "%s is valid from %lld s to %lld s since 1970; "
		    "it must begin before it ends, and "
		    "nanoseconds are below 1,000,000,000",
		    what, (long long)out->from, (long long)out->to);
	return 0;
}

static cop_err validity_put(struct buffer *out,
			    const struct cop_validity *valid, const char *what)
{
	struct disk_validity disk;
	cop_err err = codec_validity(valid, what, &disk);

	if (!err && buffer_put(out, &disk, sizeof disk))
		err = no_memory();
	return err;
}

/* A property's value; its validity is there already. */
static cop_err value_put_packed(struct buffer *out,
				const struct cop_value *value, uint8_t timed)
{
	size_t start = out->size;
	struct disk_value head = {.kind = (uint8_t)value->kind,
				  .flags = VALUE_LZ4 | timed};
	cop_err err = value_put(out, value, 1);
	uint32_t stored;

	if (err)
		return err;
	head.count = (uint32_t)(out->size - start);
	if (!compress_from(out, start, sizeof head + 4, &stored)) {
		out->data[start + offsetof(struct disk_value, flags)] |= timed;
		return 0;
	}
	memcpy(out->data + start, &head, sizeof head);
	memcpy(out->data + start + sizeof head, &stored, 4);
	return buffer_align(out, 4) ? no_memory() : 0;
}

static int is_before(const struct cop_instant *a, const struct cop_instant *b)
{
	return a->seconds < b->seconds ||
	       (a->seconds == b->seconds && a->nanos < b->nanos);
}

/* Of those before, none of that name may be valid when the last one is. */
static cop_err properties_apart(const struct cop_property *properties,
				const struct cop_validity *valid, uint32_t last)
{
	const struct cop_property *fresh = &properties[last];

	for (uint32_t i = 0; i < last; i++) {
		const struct cop_property *old = &properties[i];

		if (old->name_size != fresh->name_size ||
		    memcmp(old->name, fresh->name, old->name_size) != 0)
			continue;
		if (!valid || (is_before(&valid[i].from, &valid[last].to) &&
			       is_before(&valid[last].from, &valid[i].to)))
			return error_set(COP_INVALID, "it is there twice%s",
					 valid ? ", at times that meet" : "");
	}
	return 0;
}

/*
 * Writes directory and values; record starts at `start`.
 * valid	of each, NULL: always
 */
static cop_err properties_put(struct buffer *out, struct names *names,
			      const struct cop_property *properties,
			      const struct cop_validity *valid, uint32_t count,
			      size_t start)
{
	size_t directory = out->size;

	if (count > COP_PROPERTY_COUNT)
		return error_set(COP_TOO_LARGE,
				 "%u properties; one record may have %d", count,
				 COP_PROPERTY_COUNT);
	if (!buffer_add(out, count * sizeof(struct disk_property)))
		return no_memory();
	marks_begin(names);
	for (uint32_t i = 0; i < count; i++) {
		const struct cop_property *property = &properties[i];
		struct disk_property entry;
		cop_err err = names_intern(names, NAME_PROPERTY, property->name,
					   property->name_size, &entry.name);

		if (err)
			return err;
		if (mark_twice(names, entry.name))
			err = properties_apart(properties, valid, i);
		if (!err && valid)
			err = validity_put(out, &valid[i], "it");
		entry.value_at = (uint32_t)(out->size - start);
		memcpy(out->data + directory + i * sizeof entry, &entry,
		       sizeof entry);
		if (!err)
			err = value_put_packed(out, &property->value,
					       valid ? VALUE_TIMED : 0);
		if (!err)
			err = size_check(out, start);
		if (err) {
			error_prefix("property '%.*s': ",
				     (int)property->name_size, property->name);
			return err;
		}
	}
	return 0;
}

static cop_err tag_number(struct names *names, const struct cop_put *put,
			  uint32_t index, uint32_t *out)
{
	size_t size =
	    put->tag_sizes ? put->tag_sizes[index] : strlen(put->tags[index]);

	return names_intern(names, NAME_TAG, put->tags[index], size, out);
}

/* A tag may be there several times, at other times. */
static cop_err terms_put(struct buffer *out, struct names *names,
			 const struct cop_put *put, struct disk_entity *head)
{
	struct timed_tag *tags =
	    malloc((put->tag_count + (size_t)1) * sizeof *tags);
	cop_err err = tags ? 0 : no_memory();
	int timed = 0;

	for (uint32_t i = 0; i < put->tag_count && !err; i++) {
		struct timed_tag tag = {0};

		err = tag_number(names, put, i, &tag.tag);
		if (!err)
			err = codec_validity(&put->tag_valid[i], "a tag",
					     &tag.valid);
		if (!err)
			(void)timed_tags_add(tags, &head->tag_count, &tag);
	}
	if (!err && timed_tags_put(out, tags, head->tag_count, &timed))
		err = no_memory();
	head->flags |= timed ? ENTITY_TAGS_TIMED : 0;
	free(tags);
	return err;
}

static cop_err tags_put(struct buffer *out, struct names *names,
			const struct cop_put *put, struct disk_entity *head)
{
	if (put->tag_count > COP_TAG_COUNT)
		return error_set(COP_TOO_LARGE,
				 "%u tags; an entity may have %d",
				 put->tag_count, COP_TAG_COUNT);
	if (put->tag_valid)
		return terms_put(out, names, put, head);
	marks_begin(names);
	for (uint32_t i = 0; i < put->tag_count; i++) {
		uint32_t number;
		cop_err err = tag_number(names, put, i, &number);

		if (err)
			return err;
		if (mark_twice(names, number))
			continue;
		if (buffer_put(out, &number, sizeof number))
			return no_memory();
		head->tag_count++;
	}
	return 0;
}

uint16_t codec_content_pack(struct buffer *out, size_t start)
{
	uint32_t stored;

	return compress_from(out, start, 0, &stored) ? ENTITY_CONTENT_LZ4 : 0;
}

static cop_err content_put(struct buffer *out, const struct cop_put *put,
			   struct disk_entity *head, size_t start)
{
	size_t at = out->size;

	head->content_at = (uint32_t)(at - start);
	if (!put->content || !put->content_size)
		return 0;
	if (put->content_size > COP_CONTENT_BYTES)
		return error_set(COP_TOO_LARGE,
				 "content of %zu bytes in one piece, where %d "
				 "may be; stream it in",
				 put->content_size, COP_CONTENT_BYTES);
	if (buffer_put(out, put->content, put->content_size))
		return no_memory();
	head->content_size = (uint32_t)put->content_size;
	head->flags |= codec_content_pack(out, at);
	head->content_stored = (uint32_t)(out->size - at);
	return 0;
}

cop_err codec_entity(struct buffer *out, struct names *names,
		     const struct cop_put *put)
{
	struct disk_entity head = {.key_size = (uint16_t)put->key_size,
				   .property_count = put->property_count};
	size_t start = out->size;
	cop_err err = 0;

	if (!buffer_add(out, sizeof head) ||
	    buffer_put(out, put->key, put->key_size) || buffer_align(out, 4))
		return no_memory();
	if (put->type && put->type_size)
		err = names_intern(names, NAME_TYPE, put->type, put->type_size,
				   &head.type);
	if (!err)
		err = tags_put(out, names, put, &head);
	head.directory_at = (uint32_t)(out->size - start);
	if (!err)
		err = properties_put(out, names, put->properties,
				     put->property_valid, put->property_count,
				     start);
	if (put->property_valid && put->property_count)
		head.flags |= ENTITY_PROPERTIES_TIMED;
	if (!err)
		err = content_put(out, put, &head, start);
	if (!err && buffer_align(out, 8))
		err = no_memory();
	if (!err)
		memcpy(out->data + start, &head, sizeof head);
	return err;
}

int codec_validity_is(const struct disk_validity *valid)
{
	enum { NANOS = 1000000000 };

	return valid->from_nanos < NANOS && valid->to_nanos < NANOS &&
	       (valid->from < valid->to ||
		(valid->from == valid->to &&
		 valid->from_nanos < valid->to_nanos));
}

cop_err codec_edge(struct buffer *out, struct names *names,
		   const struct cop_put_edge *edge)
{
	struct disk_edge head = {.property_count = edge->property_count,
				 .flags = edge->valid ? EDGE_TIMED : 0};
	size_t start = out->size;
	cop_err err = 0;

	if (buffer_put(out, &head, sizeof head))
		return no_memory();
	if (edge->valid)
		err = validity_put(out, edge->valid, "an edge");
	if (!err)
		err = properties_put(out, names, edge->properties, NULL,
				     edge->property_count, start);
	return !err && buffer_align(out, 8) ? no_memory() : err;
}

/* ---- patching ----------------------------------------------------------- */

static void directory_patch(void *at, uint32_t count, const uint32_t *numbers)
{
	struct disk_property *directory = at;

	for (uint32_t i = 0; i < count; i++)
		directory[i].name = numbers[directory[i].name - 1];
}

static uint32_t tags_at(const struct disk_entity *head)
{
	return (uint32_t)(sizeof *head + head->key_size + 3) & ~UINT32_C(3);
}

void codec_entity_patch(void *record, uint64_t version, const uint32_t *numbers)
{
	struct disk_entity *head = record;
	unsigned char *bytes = record;
	uint32_t *tags = (uint32_t *)(void *)(bytes + tags_at(head));

	head->version = version;
	if (head->type)
		head->type = numbers[head->type - 1];
	for (uint32_t i = 0; i < head->tag_count; i++)
		tags[i] = numbers[tags[i] - 1];
	directory_patch(bytes + head->directory_at, head->property_count,
			numbers);
}

static size_t edge_directory_at(const struct disk_edge *edge)
{
	return sizeof *edge +
	       (edge->flags & EDGE_TIMED ? sizeof(struct disk_validity) : 0);
}

const struct disk_property *codec_edge_directory(const struct disk_edge *edge)
{
	return (const struct disk_property
		    *)(const void *)((const unsigned char *)edge +
				     edge_directory_at(edge));
}

const struct disk_validity *codec_edge_validity(const struct disk_edge *edge)
{
	return edge->flags & EDGE_TIMED
		   ? (const struct disk_validity *)(const void *)(edge + 1)
		   : NULL;
}

void codec_edge_patch(void *record, uint64_t version, const uint32_t *numbers)
{
	struct disk_edge *head = record;

	head->version = version;
	if (numbers)
		directory_patch((unsigned char *)record +
				    edge_directory_at(head),
				head->property_count, numbers);
}

const uint32_t *codec_tags(const struct disk_entity *record)
{
	return (const uint32_t *)(const void *)((const unsigned char *)record +
						tags_at(record));
}

int codec_has_tag(const struct disk_entity *record, uint32_t tag)
{
	const uint32_t *tags = codec_tags(record);

	for (uint32_t i = 0; i < record->tag_count; i++)
		if (tags[i] == tag)
			return 1;
	return 0;
}

const struct disk_property *codec_directory(const struct disk_entity *record)
{
	return (
	    const struct disk_property *)(const void *)((const unsigned char *)
							    record +
							record->directory_at);
}

struct content_part codec_content_part(const struct disk_entity *record)
{
	return (struct content_part){
	    .stored = bytes_of((const char *)record + record->content_at,
			       record->content_stored),
	    .size = record->content_size,
	    .flags = record->flags & ENTITY_CONTENT};
}

cop_err codec_recontent(struct buffer *out, struct bytes record,
			const struct content_part *content)
{
	uint32_t end = ((const struct disk_entity *)record.data)->content_at;
	struct disk_entity *head;

	out->size = 0;
	if (buffer_put(out, record.data, end) ||
	    buffer_put(out, content->stored.data, content->stored.size) ||
	    buffer_align(out, 8))
		return no_memory();
	head = (struct disk_entity *)(void *)out->data;
	head->content_stored = (uint32_t)content->stored.size;
	head->content_size = content->size;
	head->flags =
	    (uint16_t)((head->flags & ~ENTITY_CONTENT) | content->flags);
	return 0;
}

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int tags_same(const struct disk_entity *a, const struct disk_entity *b)
{
	size_t bytes = a->tag_count * sizeof(uint32_t);
	uint32_t *sorted;
	int same;

	if (a->flags & ENTITY_TAGS_TIMED) /* in that order, with the times */
		return !memcmp(codec_tags(a), codec_tags(b),
			       a->directory_at - tags_at(a));
	if (!memcmp(codec_tags(a), codec_tags(b), bytes))
		return 1;
	if (codec_signature(codec_tags(a), a->tag_count) !=
	    codec_signature(codec_tags(b), b->tag_count))
		return 0;
	sorted = malloc(2 * bytes);
	if (!sorted)
		return -1;
	memcpy(sorted, codec_tags(a), bytes);
	memcpy(sorted + a->tag_count, codec_tags(b), bytes);
	qsort(sorted, a->tag_count, sizeof *sorted, number_compare);
	qsort(sorted + a->tag_count, a->tag_count, sizeof *sorted,
	      number_compare);
	same = !memcmp(sorted, sorted + a->tag_count, bytes);
	free(sorted);
	return same;
}

int codec_entity_same(struct bytes a, struct bytes b)
{
	const struct disk_entity *x = a.data;
	const struct disk_entity *y = b.data;
	uint32_t from = x->directory_at;
	uint32_t end = x->content_at + x->content_stored;

	/* a version, then what says how long each part is */
	if (memcmp((const char *)a.data + sizeof x->version,
		   (const char *)b.data + sizeof y->version,
		   sizeof *x - sizeof x->version) != 0 ||
	    end < from ||
	    memcmp((const char *)a.data + from, (const char *)b.data + from,
		   end - from) != 0)
		return 0;
	return tags_same(x, y);
}

uint64_t codec_signature(const uint32_t *tags, uint32_t count)
{
	uint64_t signature = 0;

	for (uint32_t i = 0; i < count; i++) /* Fibonacci hashing to 6 bits */
		signature |= UINT64_C(1)
			     << (tags[i] * UINT64_C(0x9e3779b97f4a7c15) >> 58);
	return signature;
}

/* ---- decoding ----------------------------------------------------------- */

static cop_err corrupt(const char *what)
{
	return error_set(COP_CORRUPT,
			 "a record's %s is out of range; the store's data file "
			 "is damaged: restore a backup",
			 what);
}

/* What follows the tags, and content that lies elsewhere. */
static const char *entity_parts_fault(const struct disk_entity *head)
{
	uint64_t each = sizeof(uint32_t) + sizeof(struct disk_validity);

	if (head->flags & ENTITY_TAGS_TIMED &&
	    tags_at(head) + head->tag_count * each > head->directory_at)
		return "tags";
	if (head->flags & ENTITY_CONTENT_CHUNKS &&
	    head->content_stored != sizeof(struct disk_content))
		return "content";
	return NULL;
}

/* One that is not was found through a page that is damaged. */
static int is_aligned(struct bytes record)
{
	return !((uintptr_t)record.data & 7);
}

const char *codec_entity_fault(struct bytes record)
{
	const struct disk_entity *head = record.data;
	uint64_t tags_end;
	uint64_t directory_end;

	if (!is_aligned(record))
		return "place";
	if (record.size < sizeof *head || record.size > UINT32_MAX)
		return "size";
	tags_end = tags_at(head) + (uint64_t)head->tag_count * 4;
	directory_end = head->directory_at + (uint64_t)head->property_count *
						 sizeof(struct disk_property);
	if (!head->key_size || head->directory_at % 4 ||
	    tags_end > head->directory_at || directory_end > record.size)
		return "directory";
	if (head->content_at < directory_end ||
	    head->content_at + (uint64_t)head->content_stored > record.size ||
	    head->content_size > COP_CONTENT_BYTES)
		return "content";
	return __builtin_expect(
		   head->flags & (ENTITY_TAGS_TIMED | ENTITY_CONTENT_CHUNKS), 0)
		   ? entity_parts_fault(head)
		   : NULL;
}

cop_err codec_entity_check(struct bytes record)
{
	const char *fault = codec_entity_fault(record);

	return fault ? corrupt(fault) : 0;
}

cop_err codec_edge_check(struct bytes record)
{
	const struct disk_edge *head = record.data;

	if (!is_aligned(record) || record.size < sizeof *head ||
	    record.size > UINT32_MAX || head->flags & ~(uint32_t)EDGE_TIMED ||
	    edge_directory_at(head) + (uint64_t)head->property_count *
					  sizeof(struct disk_property) >
		record.size)
		return corrupt("directory");
	if (head->flags & EDGE_TIMED &&
	    !codec_validity_is(codec_edge_validity(head)))
		return corrupt("validity");
	return 0;
}

struct arena_block {
	struct arena_block *next;
	_Alignas(16) unsigned char bytes[];
};

void *arena_take(struct arena *arena, size_t bytes)
{
	struct arena_block *block = malloc(sizeof *block + bytes);

	if (!block)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	return block->bytes;
}

void arena_release(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
}

static cop_err unpack(struct arena *arena, struct bytes packed, uint32_t size,
		      struct bytes *out)
{
	void *room;

	if (size > COP_CONTENT_BYTES + COMPRESS_FROM)
		return corrupt("compressed size");
	room = arena_take(arena, size);
	if (!room)
		return error_system(ENOMEM, "no memory to decompress %u bytes",
				    size);
	if (LZ4_decompress_safe(packed.data, room, (int)packed.size,
				(int)size) != (int)size)
		return corrupt("compressed value");
	arena->inflated += size;
	*out = bytes_of(room, size);
	return 0;
}

/* bytes: from the value's first on, as far as the record goes. */
static cop_err value_view(struct bytes bytes, struct cop_value *out)
{
	struct disk_value head;
	const unsigned char *rest;
	uint64_t need = 0;

	if (bytes.size < sizeof head)
		return corrupt("value");
	memcpy(&head, bytes.data, sizeof head);
	rest = (const unsigned char *)bytes.data + sizeof head;
	*out = (struct cop_value){.kind = head.kind, .count = head.count};
	switch (head.kind) {
	case COP_NULL: break;
	case COP_BOOL: out->integer = head.count != 0; break;
	case COP_INT:
	case COP_FLOAT: need = 8; break;
	case COP_STRING: need = head.count; break;
	case COP_LIST: need = (uint64_t)head.count * 4; break;
	case COP_MAP: need = (uint64_t)head.count * 8; break;
	default: return corrupt("kind of value");
	}
	if (need > bytes.size - sizeof head)
		return corrupt("value");
	if (head.kind == COP_INT)
		memcpy(&out->integer, rest, 8);
	else if (head.kind == COP_FLOAT)
		memcpy(&out->real, rest, 8);
	else if (head.kind == COP_STRING)
		out->data = rest;
	if (head.kind < COP_STRING)
		out->count = 0;
	if (head.kind >= COP_LIST) { /* for cop_value_item: where and how far */
		out->data = bytes.data;
		out->integer = (int64_t)bytes.size;
	}
	return 0;
}

cop_err codec_value(struct arena *arena, struct bytes record, uint32_t value_at,
		    struct cop_value *out)
{
	const unsigned char *at = (const unsigned char *)record.data + value_at;
	struct bytes bytes;
	struct disk_value head;
	uint32_t stored;
	cop_err err;

	if (value_at % 4 || record.size < value_at ||
	    record.size - value_at < sizeof head)
		return corrupt("value");
	bytes = bytes_of(at, record.size - value_at);
	memcpy(&head, at, sizeof head);
	if (!(head.flags & VALUE_LZ4))
		return value_view(bytes, out);
	if (bytes.size < sizeof head + sizeof stored)
		return corrupt("value");
	memcpy(&stored, at + sizeof head, sizeof stored);
	if (stored > bytes.size - sizeof head - sizeof stored)
		return corrupt("value");
	err = unpack(arena, bytes_of(at + sizeof head + sizeof stored, stored),
		     head.count, &bytes);
	return err ? err : value_view(bytes, out);
}

cop_err codec_content(struct arena *arena, struct bytes record,
		      struct bytes *out)
{
	const struct disk_entity *head = record.data;
	struct bytes stored =
	    bytes_of((const unsigned char *)record.data + head->content_at,
		     head->content_stored);

	if (!head->content_size) {
		*out = bytes_of(NULL, 0);
		return 0;
	}
	if (head->flags & ENTITY_CONTENT_LZ4)
		return unpack(arena, stored, head->content_size, out);
	if (head->content_size != head->content_stored)
		return corrupt("content");
	*out = stored;
	return 0;
}

const float *codec_vector(struct bytes record, uint32_t dim)
{
	const char *bytes = record.data;

	if (record.size < DISK_VECTOR_HEADER + dim * sizeof(float))
		return NULL;
	return (const float *)(const void *)(bytes + DISK_VECTOR_HEADER);
}

static cop_err member_name(const unsigned char *start, uint64_t have,
			   uint32_t name_at, const char **name, size_t *size)
{
	uint32_t bytes;

	if (name_at > have || have - name_at < sizeof bytes)
		return corrupt("map");
	memcpy(&bytes, start + name_at, sizeof bytes);
	if (bytes > have - name_at - sizeof bytes)
		return corrupt("map");
	*name = (const char *)start + name_at + sizeof bytes;
	*size = bytes;
	return 0;
}

cop_err cop_value_item(const struct cop_value *value, uint32_t index,
		       const char **name, size_t *name_size,
		       struct cop_value *out)
{
	const unsigned char *start = value->data;
	uint64_t have = (uint64_t)value->integer;
	uint64_t width = value->kind == COP_MAP ? 8 : 4;
	const char *text = NULL;
	size_t text_size = 0;
	uint32_t at[2] = {0, 0};
	cop_err err = 0;

	if (value->kind < COP_LIST || value->kind > COP_MAP ||
	    index >= value->count)
		return error_set(COP_INVALID,
				 "value has no member %u; it is of kind %d "
				 "and has %u",
				 index, value->kind, value->count);
	memcpy(at, start + sizeof(struct disk_value) + index * width, width);
	if (at[0] > have)
		return corrupt("list");
	if (value->kind == COP_MAP)
		err = member_name(start, have, at[1], &text, &text_size);
	if (!err)
		err = value_view(bytes_of(start + at[0], have - at[0]), out);
	if (err)
		return err;
	if (name)
		*name = text;
	if (name_size)
		*name_size = text_size;
	return 0;
}
