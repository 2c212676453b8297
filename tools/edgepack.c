/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edgepack: edges one behind the other, to be read again by this process.
 *
 * layout
 *	First comes what has a size that is known, as this process has it in
 *	memory, then texts and properties.
 *
 * limits
 *	Goes down into lists and maps by calling itself, as deep as the store
 *	lets values nest, COP_NESTING.
 */
#include "edgepack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PACK_STEP = 65536 };

/* How an edge begins; then its validity, texts and properties. */
struct edgepack_head {
	const char *file; /* of its place */
	uint64_t number;
	uint32_t bytes; /* of all of it */
	uint32_t source_size, target_size, relation_size;
	uint32_t property_count;
	uint32_t discriminator;
	uint8_t dangling, is_row, has_validity;
};

/* ---- packing ------------------------------------------------------------ */

/* Room for further bytes, NULL: no memory. */
static void *room_take(struct edgepack *pack, size_t size)
{
	void *out;

	if (pack->room - pack->used < size) {
		size_t room = (pack->used + size) / 4 * 5 + PACK_STEP;
		unsigned char *data = realloc(pack->data, room);

		if (!data)
			return NULL;
		pack->data = data;
		pack->room = room;
	}
	out = pack->data + pack->used;
	pack->used += size;
	return out;
}

static int put(struct edgepack *pack, const void *data, size_t size)
{
	void *to = room_take(pack, size);

	if (to && size)
		memcpy(to, data, size);
	return to ? 0 : ENOMEM;
}

static int put_value(struct edgepack *pack, const struct cop_value *value);

static int put_property(struct edgepack *pack, const struct cop_property *item)
{
	uint32_t size = (uint32_t)item->name_size;
	int err = put(pack, &size, sizeof size);

	if (!err)
		err = put(pack, item->name, size);
	return err ? err : put_value(pack, &item->value);
}

static int put_members(struct edgepack *pack, const struct cop_value *value)
{
	const struct cop_value *items = value->data;
	const struct cop_property *members = value->data;
	int err = put(pack, &value->count, sizeof value->count);

	for (uint32_t i = 0; i < value->count && !err; i++)
		err = value->kind == COP_LIST ? put_value(pack, &items[i])
					      : put_property(pack, &members[i]);
	return err;
}

static int put_value(struct edgepack *pack, const struct cop_value *value)
{
	unsigned char kind = (unsigned char)value->kind;
	int err = put(pack, &kind, 1);

	if (err)
		return err;
	switch (value->kind) {
	case COP_LIST:
	case COP_MAP: return put_members(pack, value);
	case COP_FLOAT: return put(pack, &value->real, sizeof value->real);
	case COP_STRING:
		err = put(pack, &value->count, sizeof value->count);
		return err ? err : put(pack, value->data, value->count);
	default: return put(pack, &value->integer, sizeof value->integer);
	}
}

int edgepack_put(struct edgepack *pack, const struct place *place,
		 const struct cop_put_edge *edge)
{
	struct edgepack_head head = {
	    .file = place->file,
	    .number = place->number,
	    .source_size = (uint32_t)edge->source_size,
	    .target_size = (uint32_t)edge->target_size,
	    .relation_size = (uint32_t)edge->relation_size,
	    .property_count = edge->property_count,
	    .discriminator = edge->discriminator,
	    .dangling = (uint8_t)edge->dangling,
	    .is_row = (uint8_t)place->is_row,
	    .has_validity = edge->valid != NULL,
	};
	size_t begin = pack->used;
	int err = put(pack, &head, sizeof head);

	if (!err && edge->valid)
		err = put(pack, edge->valid, sizeof *edge->valid);
	if (!err)
		err = put(pack, edge->source, edge->source_size);
	if (!err)
		err = put(pack, edge->target, edge->target_size);
	if (!err)
		err = put(pack, edge->relation, edge->relation_size);
	for (uint32_t i = 0; i < edge->property_count && !err; i++)
		err = put_property(pack, &edge->properties[i]);
	head.bytes = (uint32_t)(pack->used - begin);
	if (!err)
		memcpy(pack->data + begin, &head, sizeof head);
	return err;
}

/* ---- unpacking ---------------------------------------------------------- */

static const void *take(const unsigned char **at, size_t size)
{
	const void *data = *at;

	*at += size;
	return data;
}

static void take_copy(const unsigned char **at, void *to, size_t size)
{
	memcpy(to, take(at, size), size);
}

static int take_properties(struct scratch *scratch, const unsigned char **at,
			   uint32_t count, const struct cop_property **out);

static int take_value(struct scratch *scratch, const unsigned char **at,
		      struct cop_value *out);

static int take_list(struct scratch *scratch, const unsigned char **at,
		     struct cop_value *out)
{
	struct cop_value *items =
	    scratch_take(scratch, out->count, sizeof *items);
	int err = items ? 0 : ENOMEM;

	for (uint32_t i = 0; i < out->count && !err; i++)
		err = take_value(scratch, at, &items[i]);
	out->data = items;
	return err;
}

static int take_value(struct scratch *scratch, const unsigned char **at,
		      struct cop_value *out)
{
	const struct cop_property *members;
	int err;

	*out = (struct cop_value){.kind = *(const unsigned char *)take(at, 1)};
	if (out->kind == COP_FLOAT)
		take_copy(at, &out->real, sizeof out->real);
	else if (out->kind < COP_STRING)
		take_copy(at, &out->integer, sizeof out->integer);
	if (out->kind < COP_STRING)
		return 0;
	take_copy(at, &out->count, sizeof out->count);
	if (out->kind == COP_LIST)
		return take_list(scratch, at, out);
	if (out->kind == COP_STRING) {
		out->data = take(at, out->count);
		return 0;
	}
	err = take_properties(scratch, at, out->count, &members);
	out->data = members;
	return err;
}

static int take_properties(struct scratch *scratch, const unsigned char **at,
			   uint32_t count, const struct cop_property **out)
{
	struct cop_property *items =
	    scratch_take(scratch, count, sizeof *items);
	int err = items ? 0 : ENOMEM;

	for (uint32_t i = 0; i < count && !err; i++) {
		uint32_t size;

		take_copy(at, &size, sizeof size);
		items[i].name_size = size;
		items[i].name = take(at, size);
		err = take_value(scratch, at, &items[i].value);
	}
	*out = items;
	return err;
}

static int take_validity(struct scratch *scratch, const unsigned char **at,
			 struct cop_put_edge *edge)
{
	struct cop_validity *valid = scratch_take(scratch, 1, sizeof *valid);

	if (valid)
		take_copy(at, valid, sizeof *valid);
	edge->valid = valid;
	return valid ? 0 : ENOMEM;
}

/* All but the properties. */
static int take_ends(struct scratch *scratch, const unsigned char **at,
		     struct place *place, struct cop_put_edge *edge)
{
	struct edgepack_head head;

	take_copy(at, &head, sizeof head);
	*place = (struct place){head.file, head.number, head.is_row};
	*edge = (struct cop_put_edge){
	    .size = sizeof *edge,
	    .dangling = head.dangling,
	    .source_size = head.source_size,
	    .relation_size = head.relation_size,
	    .target_size = head.target_size,
	    .property_count = head.property_count,
	    .discriminator = head.discriminator,
	};
	if (head.has_validity && take_validity(scratch, at, edge))
		return ENOMEM;
	edge->source = take(at, edge->source_size);
	edge->target = take(at, edge->target_size);
	edge->relation = take(at, edge->relation_size);
	return 0;
}

size_t edgepack_bytes(const unsigned char *at)
{
	struct edgepack_head head;

	memcpy(&head, at, sizeof head);
	return head.bytes;
}

int edgepack_ends(const unsigned char *at, struct scratch *scratch,
		  struct place *place, struct cop_put_edge *edge)
{
	return take_ends(scratch, &at, place, edge);
}

int edgepack_edge(const unsigned char *at, struct scratch *scratch,
		  struct place *place, struct cop_put_edge *edge)
{
	int err = take_ends(scratch, &at, place, edge);

	return err ? err
		   : take_properties(scratch, &at, edge->property_count,
				     &edge->properties);
}

void edgepack_release(struct edgepack *pack)
{
	free(pack->data);
	*pack = (struct edgepack){0};
}
