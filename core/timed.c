/* SPDX-License-Identifier: Apache-2.0 */
#include "timed.h"
#include "error.h"
#include "valid.h"

#include <errno.h>
#include <stdlib.h>

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for a record");
}

static cop_err damaged(void)
{
	return error_set(COP_CORRUPT, "a record's times are out of range; the "
				      "store's data file is damaged: restore a "
				      "backup");
}

static int is_always(const struct disk_validity *valid)
{
	return valid->from == INT64_MIN && valid->to == INT64_MAX;
}

/* ---- tags --------------------------------------------------------------- */

struct timed_tag timed_tag_at(const struct disk_entity *record, uint32_t index)
{
	const uint32_t *tags = codec_tags(record);
	struct timed_tag tag = {.tag = tags[index], .valid = timed_always()};
	const unsigned char *times =
	    (const unsigned char *)(tags + record->tag_count);

	if (record->flags & ENTITY_TAGS_TIMED)
		memcpy(&tag.valid, times + index * sizeof tag.valid,
		       sizeof tag.valid);
	return tag;
}

int timed_tag_same(const struct timed_tag *a, const struct timed_tag *b)
{
	return a->tag == b->tag &&
	       !memcmp(&a->valid, &b->valid, sizeof a->valid);
}

int timed_has_tag(const struct disk_entity *record, uint32_t tag,
		  const struct cop_instant *at)
{
	for (uint32_t i = 0; i < record->tag_count; i++) {
		struct timed_tag one = timed_tag_at(record, i);

		if (one.tag == tag && valid_holds(&one.valid, at))
			return 1;
	}
	return 0;
}

int timed_tags_remove(struct timed_tag *tags, uint32_t *count, uint32_t tag)
{
	uint32_t kept = 0;
	uint32_t had = *count;

	for (uint32_t i = 0; i < had; i++)
		if (tags[i].tag != tag)
			tags[kept++] = tags[i];
	*count = kept;
	return kept != had;
}

int timed_tags_add(struct timed_tag *tags, uint32_t *count,
		   const struct timed_tag *fresh)
{
	for (uint32_t i = 0; i < *count; i++)
		if (tags[i].tag == fresh->tag &&
		    (is_always(&tags[i].valid) ||
		     timed_tag_same(&tags[i], fresh)))
			return 0;
	if (is_always(&fresh->valid)) /* that has all its times in it */
		(void)timed_tags_remove(tags, count, fresh->tag);
	tags[(*count)++] = *fresh;
	return 1;
}

int timed_tags_put(struct buffer *out, const struct timed_tag *tags,
		   uint32_t count, int *timed)
{
	int err = 0;

	*timed = 0;
	for (uint32_t i = 0; i < count && !err; i++) {
		*timed |= !is_always(&tags[i].valid);
		err = buffer_put(out, &tags[i].tag, sizeof tags[i].tag);
	}
	for (uint32_t i = 0; i < count && *timed && !err; i++)
		err = buffer_put(out, &tags[i].valid, sizeof tags[i].valid);
	return err;
}

cop_err timed_retag(struct buffer *out, struct bytes record,
		    const struct timed_tag *tags, uint32_t count)
{
	const struct disk_entity *old = record.data;
	const unsigned char *bytes = record.data;
	size_t tags_at =
	    (size_t)((const unsigned char *)codec_tags(old) - bytes);
	uint32_t end = old->content_at + old->content_stored;
	uint32_t shift;
	struct disk_property *directory;
	struct disk_entity *head;
	int timed;

	out->size = 0;
	if (buffer_put(out, bytes, tags_at) ||
	    timed_tags_put(out, tags, count, &timed))
		return no_memory();
	shift = (uint32_t)out->size - old->directory_at;
	if (buffer_put(out, bytes + old->directory_at,
		       end - old->directory_at) ||
	    buffer_align(out, 8))
		return no_memory();
	head = (struct disk_entity *)(void *)out->data;
	head->tag_count = count;
	head->flags = (uint16_t)((head->flags & ~ENTITY_TAGS_TIMED) |
				 (timed ? ENTITY_TAGS_TIMED : 0));
	head->directory_at += shift;
	head->content_at += shift;
	directory = (void *)(out->data + head->directory_at);
	for (uint32_t i = 0; i < head->property_count; i++)
		directory[i].value_at += shift;
	return 0;
}

/* ---- properties --------------------------------------------------------- */

/* The header of a value that has a time; 0 if it has none. */
static int value_timed(struct bytes record, uint32_t value_at,
		       struct disk_value *head)
{
	*head = (struct disk_value){0};
	if (value_at <= record.size && record.size - value_at >= sizeof *head)
		memcpy(head, (const char *)record.data + value_at,
		       sizeof *head);
	return head->flags & VALUE_TIMED;
}

cop_err timed_property(struct bytes record,
		       const struct disk_property *property,
		       struct disk_validity *out)
{
	uint32_t at = property->value_at;
	struct disk_value head;

	*out = timed_always();
	if (!value_timed(record, at, &head))
		return 0;
	if (at < sizeof *out)
		return damaged();
	memcpy(out, (const char *)record.data + at - sizeof *out, sizeof *out);
	return 0;
}

/* Leaves out of a record of its own what is not valid. */
static cop_err properties_narrow(struct bytes record,
				 const struct cop_instant *at)
{
	struct disk_entity *head = (void *)(uintptr_t)record.data;
	struct disk_property *directory =
	    (void *)((unsigned char *)head + head->directory_at);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < head->property_count; i++) {
		struct disk_property one = directory[i];
		struct disk_validity valid;
		struct disk_value value;
		cop_err err = timed_property(record, &one, &valid);

		if (err)
			return err;
		if (!valid_holds(&valid, at))
			continue;
		if (value_timed(record, one.value_at, &value)) {
			value.flags &= (uint8_t)~VALUE_TIMED;
			memcpy((unsigned char *)head + one.value_at, &value,
			       sizeof value);
		}
		directory[kept++] = one;
	}
	head->property_count = kept;
	head->flags &= (uint16_t)~ENTITY_PROPERTIES_TIMED;
	return 0;
}

/* ---- both --------------------------------------------------------------- */

int timed_is_sound(struct bytes record)
{
	const struct disk_entity *head = record.data;

	for (uint32_t i = 0; i < head->tag_count; i++) {
		struct timed_tag tag = timed_tag_at(head, i);

		if (!codec_validity_is(&tag.valid))
			return 0;
	}
	for (uint32_t i = 0; i < head->property_count; i++) {
		struct disk_validity valid;

		if (timed_property(record, &codec_directory(head)[i], &valid) ||
		    !codec_validity_is(&valid))
			return 0;
	}
	return 1;
}

/* The record with the tags that are valid, which then are so always. */
static cop_err tags_narrow(struct buffer *out, struct bytes record,
			   const struct cop_instant *at)
{
	const struct disk_entity *head = record.data;
	struct timed_tag *tags =
	    malloc((head->tag_count + (size_t)1) * sizeof *tags);
	uint32_t count = 0;
	cop_err err;

	if (!tags)
		return no_memory();
	for (uint32_t i = 0; i < head->tag_count; i++) {
		struct timed_tag tag = timed_tag_at(head, i);

		if (!valid_holds(&tag.valid, at))
			continue;
		tag.valid = timed_always();
		(void)timed_tags_add(tags, &count, &tag);
	}
	err = timed_retag(out, record, tags, count);
	free(tags);
	return err;
}

cop_err timed_view(struct arena *arena, struct bytes *record,
		   const struct cop_instant *at)
{
	struct buffer narrow = {0};
	void *copy;
	cop_err err;

	if (!timed_is(record->data))
		return 0;
	err = tags_narrow(&narrow, *record, at);
	copy = err ? NULL : arena_take(arena, narrow.size);
	if (!err && !copy)
		err = no_memory();
	if (!err) {
		memcpy(copy, narrow.data, narrow.size);
		*record = bytes_of(copy, narrow.size);
		err = properties_narrow(*record, at);
	}
	buffer_release(&narrow);
	return err;
}
