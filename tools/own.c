/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own: copies of what is to be put, and of what was read, to be put.
 *
 * idea
 *	A put borrows from wherever its record was read, and a value that was
 *	read borrows from the store.  Who needs a put later has it copied into a
 *	scratch; who puts what was read has its lists and maps laid out as the
 *	library takes them.
 *
 * limits
 *	Goes down into lists and maps by calling itself, as deep as the store
 *	lets values nest, COP_NESTING.
 */
#include "own.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Bytes of an array into *out, NULL for NULL; 0 or ENOMEM. */
static int copy(struct scratch *scratch, const void *data, size_t count,
		size_t item_size, const void **out)
{
	void *own;

	*out = NULL;
	if (!data)
		return 0;
	own = scratch_take(scratch, count, item_size);
	if (!own)
		return ENOMEM;
	if (count)
		memcpy(own, data, count * item_size);
	*out = own;
	return 0;
}

const char *own_text(struct scratch *scratch, const void *text, size_t size)
{
	const void *own;

	return copy(scratch, text, size, 1, &own) ? NULL : own;
}

static int copy_text(struct scratch *scratch, const char **text, size_t size)
{
	const void *own;
	int err = copy(scratch, *text, size, 1, &own);

	if (!err)
		*text = own;
	return err;
}

/* ---- what is to be put -------------------------------------------------- */

static int copy_value(struct scratch *scratch, struct cop_value *value);

static int copy_properties(struct scratch *scratch,
			   const struct cop_property **properties,
			   uint32_t count)
{
	struct cop_property *own;
	int err = 0;

	if (!count)
		return 0;
	own = scratch_take(scratch, count, sizeof *own);
	if (!own)
		return ENOMEM;
	memcpy(own, *properties, count * sizeof *own);
	for (uint32_t i = 0; i < count && !err; i++) {
		err = copy_text(scratch, &own[i].name, own[i].name_size);
		if (!err)
			err = copy_value(scratch, &own[i].value);
	}
	*properties = own;
	return err;
}

static int copy_value(struct scratch *scratch, struct cop_value *value)
{
	const struct cop_property *members = value->data;
	struct cop_value *items;
	int err = 0;

	switch (value->kind) {
	case COP_STRING:
		return copy(scratch, value->data, value->count, 1,
			    &value->data);
	case COP_MAP:
		err = copy_properties(scratch, &members, value->count);
		value->data = members;
		return err;
	case COP_LIST: break;
	default: return 0;
	}
	items = scratch_take(scratch, value->count, sizeof *items);
	if (!items)
		return ENOMEM;
	if (value->count)
		memcpy(items, value->data, value->count * sizeof *items);
	for (uint32_t i = 0; i < value->count && !err; i++)
		err = copy_value(scratch, &items[i]);
	value->data = items;
	return err;
}

static int copy_tags(struct scratch *scratch, struct cop_put *put)
{
	const char **tags;
	size_t *sizes;
	int err = 0;

	if (!put->tag_count)
		return 0;
	tags = scratch_take(scratch, put->tag_count, sizeof *tags);
	sizes = scratch_take(scratch, put->tag_count, sizeof *sizes);
	if (!tags || !sizes)
		return ENOMEM;
	for (uint32_t i = 0; i < put->tag_count && !err; i++) {
		tags[i] = put->tags[i];
		sizes[i] =
		    put->tag_sizes ? put->tag_sizes[i] : strlen(put->tags[i]);
		err = copy_text(scratch, &tags[i], sizes[i]);
	}
	put->tags = tags;
	put->tag_sizes = sizes;
	return err;
}

int own_put(struct scratch *scratch, const struct cop_put *put,
	    struct cop_put *out)
{
	struct cop_put own = *put;
	const void *valid[2];
	const void *vector;
	int err = copy(scratch, put->key, put->key_size, 1, &own.key);

	if (!err)
		err = copy_text(scratch, &own.type, own.type_size);
	if (!err)
		err = copy(scratch, put->content, put->content_size, 1,
			   &own.content);
	if (!err)
		err = copy(scratch, put->vector, put->dim, sizeof *put->vector,
			   &vector);
	if (!err)
		err = copy_tags(scratch, &own);
	if (!err)
		err = copy(scratch, put->tag_valid, put->tag_count,
			   sizeof *put->tag_valid, &valid[0]);
	if (!err)
		err = copy(scratch, put->property_valid, put->property_count,
			   sizeof *put->property_valid, &valid[1]);
	if (!err)
		err = copy_properties(scratch, &own.properties,
				      own.property_count);
	if (err)
		return err;
	own.vector = vector;
	own.tag_valid = valid[0];
	own.property_valid = valid[1];
	*out = own;
	return 0;
}

int own_edge(struct scratch *scratch, const struct cop_put_edge *edge,
	     struct cop_put_edge *out)
{
	struct cop_put_edge own = *edge;
	const void *valid;
	int err =
	    copy(scratch, edge->source, edge->source_size, 1, &own.source);

	if (!err)
		err = copy(scratch, edge->target, edge->target_size, 1,
			   &own.target);
	if (!err)
		err = copy_text(scratch, &own.relation, own.relation_size);
	if (!err)
		err = copy_properties(scratch, &own.properties,
				      own.property_count);
	if (!err)
		err =
		    copy(scratch, edge->valid, 1, sizeof *edge->valid, &valid);
	if (err)
		return err;
	own.valid = valid;
	*out = own;
	return 0;
}

/* ---- what was read ------------------------------------------------------ */

/* A list or a map, with all its members. */
static cop_err own_members(struct scratch *scratch,
			   const struct cop_value *value, struct cop_value *out)
{
	size_t count = value->count;
	struct cop_property *members =
	    scratch_take(scratch, count, sizeof *members);
	struct cop_value *items = scratch_take(scratch, count, sizeof *items);
	struct cop_value member;
	cop_err err = members && items ? 0 : ENOMEM;

	for (uint32_t i = 0; i < count && !err; i++) {
		err = cop_value_item(value, i, &members[i].name,
				     &members[i].name_size, &member);
		if (!err)
			err = own_value(scratch, &member, &items[i]);
		if (!err)
			members[i].value = items[i];
	}
	*out = *value;
	out->data = value->kind == COP_LIST ? (void *)items : (void *)members;
	return err;
}

cop_err own_value(struct scratch *scratch, const struct cop_value *value,
		  struct cop_value *out)
{
	if (value->kind == COP_LIST || value->kind == COP_MAP)
		return own_members(scratch, value, out);
	*out = *value;
	return 0;
}

static cop_err own_tags(struct scratch *scratch, cop_read *read,
			const struct cop_entity *entity, struct cop_put *out)
{
	size_t count = entity->tag_count;
	const char **tags = scratch_take(scratch, count, sizeof *tags);
	size_t *sizes = scratch_take(scratch, count, sizeof *sizes);
	struct cop_validity *valid =
	    scratch_take(scratch, count, sizeof *valid);
	cop_err err = tags && sizes && valid ? 0 : ENOMEM;

	for (uint32_t i = 0; i < count && !err; i++) {
		err = cop_entity_tag(read, entity, i, &tags[i], &sizes[i]);
		if (!err)
			err = cop_entity_tag_valid(read, entity, i, &valid[i]);
	}
	out->tags = tags;
	out->tag_sizes = sizes;
	out->tag_valid = valid;
	out->tag_count = (uint32_t)count;
	return err;
}

static cop_err own_properties(struct scratch *scratch, cop_read *read,
			      const struct cop_entity *entity,
			      struct cop_put *out)
{
	size_t count = entity->property_count;
	struct cop_property *items =
	    scratch_take(scratch, count, sizeof *items);
	struct cop_validity *valid =
	    scratch_take(scratch, count, sizeof *valid);
	cop_err err = items && valid ? 0 : ENOMEM;
	struct cop_value value;

	for (uint32_t i = 0; i < count && !err; i++) {
		err = cop_entity_property_at(read, entity, i, &items[i].name,
					     &items[i].name_size, &value);
		if (!err)
			err = own_value(scratch, &value, &items[i].value);
		if (!err)
			err = cop_entity_property_valid(read, entity, i,
							&valid[i]);
	}
	out->properties = items;
	out->property_valid = valid;
	out->property_count = (uint32_t)count;
	return err;
}

cop_err own_entity(struct scratch *scratch, cop_read *read,
		   const struct cop_entity *entity, struct cop_put *out)
{
	struct cop_put put = {.size = sizeof put,
			      .key = entity->key,
			      .key_size = entity->key_size,
			      .content_change = COP_CONTENT_KEEP};
	cop_err err = 0;

	if (entity->type)
		err = cop_name(read, entity->type, &put.type, &put.type_size);
	if (!err)
		err = own_tags(scratch, read, entity, &put);
	if (!err)
		err = own_properties(scratch, read, entity, &put);
	if (!err)
		*out = put;
	return err;
}

cop_err own_edge_read(struct scratch *scratch, cop_read *read,
		      const struct cop_edge *edge, struct cop_put_edge *out)
{
	size_t count = edge->property_count;
	struct cop_property *items =
	    scratch_take(scratch, count, sizeof *items);
	struct cop_validity *valid = scratch_take(scratch, 1, sizeof *valid);
	cop_err err = items && valid ? 0 : ENOMEM;
	struct cop_value value;

	for (uint32_t i = 0; i < count && !err; i++) {
		err = cop_edge_property_at(read, edge, i, &items[i].name,
					   &items[i].name_size, &value);
		if (!err)
			err = own_value(scratch, &value, &items[i].value);
	}
	if (err)
		return err;
	*valid = edge->valid;
	out->properties = items;
	out->property_count = (uint32_t)count;
	out->valid = valid;
	return 0;
}
