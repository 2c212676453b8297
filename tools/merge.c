/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge: a record and what is there already, as one.
 *
 * idea
 *	What the record does not name stays.  A property that it names is the
 *	record's alone, at whatever times it was there; a tag is there at the
 *	times of both.
 *
 * limits
 *	Compares each name with each, at most COP_PROPERTY_COUNT and
 *	COP_TAG_COUNT of them.
 */
#include "merge.h"

#include <errno.h>
#include <string.h>

static const struct cop_validity always = {{INT64_MIN, 0, 0},
					   {INT64_MAX, 0, 0}};

static int is_same(const struct cop_validity *a, const struct cop_validity *b)
{
	return a->from.seconds == b->from.seconds &&
	       a->from.nanos == b->from.nanos &&
	       a->to.seconds == b->to.seconds && a->to.nanos == b->to.nanos;
}

/* ---- properties --------------------------------------------------------- */

/* Properties with their times, NULL: always. */
struct fields {
	const struct cop_property *items;
	const struct cop_validity *valid;
	uint32_t count;
};

static int has_name(const struct fields *fields, const struct cop_property *one)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->items[i].name_size == one->name_size &&
		    !memcmp(fields->items[i].name, one->name, one->name_size))
			return 1;
	return 0;
}

static int merge_fields(struct scratch *scratch, const struct fields *there,
			const struct fields *record, struct fields *out)
{
	size_t room = (size_t)there->count + record->count;
	struct cop_property *items = scratch_take(scratch, room, sizeof *items);
	struct cop_validity *valid = scratch_take(scratch, room, sizeof *valid);
	uint32_t count = 0;

	if (!items || !valid)
		return ENOMEM;
	for (uint32_t i = 0; i < there->count; i++) {
		if (has_name(record, &there->items[i]))
			continue;
		valid[count] = there->valid ? there->valid[i] : always;
		items[count++] = there->items[i];
	}
	for (uint32_t i = 0; i < record->count; i++) {
		valid[count] = record->valid ? record->valid[i] : always;
		items[count++] = record->items[i];
	}
	out->items = items;
	out->count = count;
	out->valid = there->valid || record->valid ? valid : NULL;
	return 0;
}

/* ---- tags --------------------------------------------------------------- */

static const struct cop_validity *tag_valid(const struct cop_put *put,
					    uint32_t index)
{
	return put->tag_valid ? &put->tag_valid[index] : &always;
}

static int has_tag(const struct cop_put *put, const char *tag, size_t size,
		   const struct cop_validity *valid)
{
	for (uint32_t i = 0; i < put->tag_count; i++)
		if (put->tag_sizes[i] == size &&
		    !memcmp(put->tags[i], tag, size) &&
		    is_same(tag_valid(put, i), valid))
			return 1;
	return 0;
}

static int merge_tags(struct scratch *scratch, const struct cop_put *there,
		      const struct cop_put *record, struct cop_put *out)
{
	size_t room = (size_t)there->tag_count + record->tag_count;
	const char **tags = scratch_take(scratch, room, sizeof *tags);
	size_t *sizes = scratch_take(scratch, room, sizeof *sizes);
	struct cop_validity *valid = scratch_take(scratch, room, sizeof *valid);
	const struct cop_put *from[] = {there, record};
	uint32_t count = 0;

	if (!tags || !sizes || !valid)
		return ENOMEM;
	for (int part = 0; part < 2; part++)
		for (uint32_t i = 0; i < from[part]->tag_count; i++) {
			const char *tag = from[part]->tags[i];
			size_t size = from[part]->tag_sizes[i];

			if (part &&
			    has_tag(there, tag, size, tag_valid(record, i)))
				continue;
			tags[count] = tag;
			sizes[count] = size;
			valid[count++] = *tag_valid(from[part], i);
		}
	out->tags = tags;
	out->tag_sizes = sizes;
	out->tag_count = count;
	out->tag_valid = there->tag_valid || record->tag_valid ? valid : NULL;
	return 0;
}

/* ---- records ------------------------------------------------------------ */

int merge_put(struct scratch *scratch, const struct cop_put *there,
	      const struct cop_put *record, int has_type, struct cop_put *out)
{
	struct fields old = {there->properties, there->property_valid,
			     there->property_count};
	struct fields fresh = {record->properties, record->property_valid,
			       record->property_count};
	struct cop_put put = *record;

	if (merge_fields(scratch, &old, &fresh, &fresh) ||
	    merge_tags(scratch, there, record, &put))
		return ENOMEM;
	put.properties = fresh.items;
	put.property_valid = fresh.valid;
	put.property_count = fresh.count;
	if (!has_type && there->type_size) {
		put.type = there->type;
		put.type_size = there->type_size;
	}
	if (!record->content)
		put.content_change = COP_CONTENT_KEEP;
	*out = put;
	return 0;
}

int merge_edge(struct scratch *scratch, const struct cop_put_edge *there,
	       const struct cop_put_edge *record, struct cop_put_edge *out)
{
	struct fields old = {there->properties, NULL, there->property_count};
	struct fields fresh = {record->properties, NULL,
			       record->property_count};
	struct cop_put_edge edge = *record;

	if (merge_fields(scratch, &old, &fresh, &fresh))
		return ENOMEM;
	edge.properties = fresh.items;
	edge.property_count = fresh.count;
	if (!record->valid)
		edge.valid = there->valid;
	*out = edge;
	return 0;
}
