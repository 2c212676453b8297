/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool: edges that wait in a file of no name, to be put in another order.
 *
 * idea
 *	Millions of edges are more than an import may hold in memory, so they
 *	are written to a file, one after the other, and of each memory holds 16
 *	bytes: where it comes, and where it is.  Sorted, they are read through
 *	a mapping of the file.
 *
 * thread
 *	A block of some thousand edges is filled while a thread finds out where
 *	each of the one before it comes, and writes that to the file.
 *
 * the file
 *	Has no name, so whatever ends the process, it is gone.  Nobody else
 *	reads it: first comes what has a size that is known, as this process has
 *	it in memory, then texts and properties.
 *
 * limits
 *	Room on the disk beside the store, some 100 bytes an edge.  Goes down
 *	into lists and maps by calling itself, as deep as the store lets values
 *	nest, COP_NESTING.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SPOOL_BLOCK = 1048576 };

/* How an edge begins in the file; then its validity, texts and properties. */
struct spool_head {
	const char *file; /* of its place */
	uint64_t number;
	uint32_t bytes; /* of all of it */
	uint32_t source_size, target_size, relation_size;
	uint32_t property_count;
	uint32_t discriminator;
	uint8_t dangling, is_row, has_validity;
};

static int no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

static int failed(const struct spool *spool, struct fault *fault)
{
	char what[PATH_MAX + 64];

	snprintf(what, sizeof what, "%s: the file in which edges wait",
		 spool->folder);
	return fault_errno(fault, what, errno);
}

/* ---- filling a block ---------------------------------------------------- */

/* Room for further bytes of the block, NULL: no memory. */
static void *block_take(struct spool_block *block, size_t size)
{
	void *out;

	if (block->room - block->used < size) {
		size_t room = block->used + size + SPOOL_BLOCK / 4;
		unsigned char *data;

		if (room < SPOOL_BLOCK + SPOOL_BLOCK / 4)
			room = SPOOL_BLOCK + SPOOL_BLOCK / 4;
		data = realloc(block->data, room);
		if (!data)
			return NULL;
		block->data = data;
		block->room = room;
	}
	out = block->data + block->used;
	block->used += size;
	return out;
}

static int put(struct spool_block *block, const void *data, size_t size)
{
	void *to = block_take(block, size);

	if (to && size)
		memcpy(to, data, size);
	return to ? 0 : ENOMEM;
}

static int put_value(struct spool_block *block, const struct cop_value *value);

static int put_property(struct spool_block *block,
			const struct cop_property *item)
{
	uint32_t size = (uint32_t)item->name_size;
	int err = put(block, &size, sizeof size);

	if (!err)
		err = put(block, item->name, size);
	return err ? err : put_value(block, &item->value);
}

static int put_members(struct spool_block *block, const struct cop_value *value)
{
	const struct cop_value *items = value->data;
	const struct cop_property *members = value->data;
	int err = put(block, &value->count, sizeof value->count);

	for (uint32_t i = 0; i < value->count && !err; i++)
		err = value->kind == COP_LIST
			  ? put_value(block, &items[i])
			  : put_property(block, &members[i]);
	return err;
}

static int put_value(struct spool_block *block, const struct cop_value *value)
{
	unsigned char kind = (unsigned char)value->kind;
	int err = put(block, &kind, 1);

	if (err)
		return err;
	switch (value->kind) {
	case COP_LIST:
	case COP_MAP: return put_members(block, value);
	case COP_FLOAT: return put(block, &value->real, sizeof value->real);
	case COP_STRING:
		err = put(block, &value->count, sizeof value->count);
		return err ? err : put(block, value->data, value->count);
	default: return put(block, &value->integer, sizeof value->integer);
	}
}

static int put_edge(struct spool_block *block, const struct place *place,
		    const struct cop_put_edge *edge)
{
	struct spool_head head = {
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
	size_t begin = block->used;
	int err = put(block, &head, sizeof head);

	if (!err && edge->valid)
		err = put(block, edge->valid, sizeof *edge->valid);
	if (!err)
		err = put(block, edge->source, edge->source_size);
	if (!err)
		err = put(block, edge->target, edge->target_size);
	if (!err)
		err = put(block, edge->relation, edge->relation_size);
	for (uint32_t i = 0; i < edge->property_count && !err; i++)
		err = put_property(block, &edge->properties[i]);
	head.bytes = (uint32_t)(block->used - begin);
	if (!err)
		memcpy(block->data + begin, &head, sizeof head);
	return err;
}

/* ---- reading an edge ---------------------------------------------------- */

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

/* All but the properties; and the place. */
static int take_edge(struct scratch *scratch, const unsigned char **at,
		     struct place *place, struct cop_put_edge *edge)
{
	struct spool_head head;

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

/* ---- the thread --------------------------------------------------------- */

static int spool_open(struct spool *spool, struct fault *fault)
{
	char path[PATH_MAX];

	spool->fd = open(spool->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool->fd < 0) {
		/* not every file system has files without a name */
		snprintf(path, sizeof path, "%s/.edges-XXXXXX", spool->folder);
		spool->fd = mkostemp(path, O_CLOEXEC);
		if (spool->fd >= 0)
			unlink(path);
	}
	spool->is_open = spool->fd >= 0;
	return spool->is_open ? 0 : failed(spool, fault);
}

static int entry_add(struct spool *spool, struct spool_entry entry)
{
	if (spool->count == spool->room) {
		size_t room = spool->room ? spool->room * 2 : 65536;
		struct spool_entry *entries =
		    realloc(spool->entries, room * sizeof *entries);

		if (!entries)
			return no_memory(&spool->fault);
		spool->entries = entries;
		spool->room = room;
	}
	spool->entries[spool->count++] = entry;
	return 0;
}

/* Where the edges of the block come. */
static int block_order(struct spool *spool)
{
	const struct spool_block *block = &spool->under_way;
	struct spool_head head;

	for (size_t done = 0; done < block->used; done += head.bytes) {
		const unsigned char *at = block->data + done;
		struct spool_entry entry = {.at = block->at + done};
		struct cop_put_edge edge;
		struct place place;

		memcpy(&head, at, sizeof head);
		if (take_edge(&spool->scratch, &at, &place, &edge))
			return no_memory(&spool->fault);
		if (spool->order(spool->user, &edge, &entry.order,
				 &spool->fault) ||
		    entry_add(spool, entry))
			return spool->fault.code;
		scratch_reset(&spool->scratch);
	}
	return 0;
}

static int block_write(struct spool *spool)
{
	const struct spool_block *block = &spool->under_way;
	size_t done = 0;

	while (done < block->used) {
		ssize_t got =
		    pwrite(spool->fd, block->data + done, block->used - done,
			   (off_t)(block->at + done));

		if (got < 0 && errno != EINTR)
			return failed(spool, &spool->fault);
		done += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static void *block_run(void *user)
{
	struct spool *spool = user;
	int code = spool->is_open ? 0 : spool_open(spool, &spool->fault);

	if (!code)
		code = block_order(spool);
	spool->ordered(spool->user);
	if (!code)
		block_write(spool);
	return NULL;
}

static int spool_settle(struct spool *spool, struct fault *fault)
{
	if (spool->is_under_way)
		pthread_join(spool->thread, NULL);
	spool->is_under_way = 0;
	if (spool->fault.code)
		*fault = spool->fault;
	return spool->fault.code;
}

static int spool_pass(struct spool *spool, struct fault *fault)
{
	struct spool_block filled = spool->filling;

	if (spool_settle(spool, fault))
		return fault->code;
	spool->filling = spool->under_way;
	spool->filling.used = 0;
	spool->filling.at = filled.at + filled.used;
	spool->under_way = filled;
	if (pthread_create(&spool->thread, NULL, block_run, spool))
		return fault_set(fault, EXIT_NO_SPACE,
				 "cannot start a thread that sorts edges");
	spool->is_under_way = 1;
	return 0;
}

/* ---- what the caller calls ---------------------------------------------- */

int spool_add(struct spool *spool, const struct place *place,
	      const struct cop_put_edge *edge, struct fault *fault)
{
	if (put_edge(&spool->filling, place, edge))
		return no_memory(fault);
	return spool->filling.used >= SPOOL_BLOCK ? spool_pass(spool, fault)
						  : 0;
}

uint64_t spool_bytes(const struct spool *spool)
{
	return spool->filling.at + spool->filling.used;
}

static int by_order(const void *a, const void *b)
{
	const struct spool_entry *x = a;
	const struct spool_entry *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

int spool_sort(struct spool *spool, struct fault *fault)
{
	uint64_t bytes = spool_bytes(spool);
	void *map;

	if (spool->map || !bytes)
		return 0;
	if (spool_pass(spool, fault) || spool_settle(spool, fault))
		return fault->code;
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, spool->fd, 0);
	if (map == MAP_FAILED)
		return failed(spool, fault);
	spool->map = map;
	qsort(spool->entries, spool->count, sizeof *spool->entries, by_order);
	return 0;
}

int spool_read(struct spool *spool, size_t index, struct place *place,
	       struct cop_put_edge *edge, struct fault *fault)
{
	const unsigned char *at = spool->map + spool->entries[index].at;

	scratch_reset(&spool->scratch);
	return take_edge(&spool->scratch, &at, place, edge) ||
		       take_properties(&spool->scratch, &at,
				       edge->property_count, &edge->properties)
		   ? no_memory(fault)
		   : 0;
}

static void unmap(struct spool *spool)
{
	if (spool->map)
		munmap((void *)(uintptr_t)spool->map, spool_bytes(spool));
	spool->map = NULL;
}

int spool_clear(struct spool *spool, struct fault *fault)
{
	unmap(spool);
	spool->count = spool->filling.used = spool->filling.at = 0;
	return spool->is_open && ftruncate(spool->fd, 0) ? failed(spool, fault)
							 : 0;
}

void spool_release(struct spool *spool)
{
	(void)spool_settle(spool, &(struct fault){0});
	unmap(spool);
	if (spool->is_open)
		close(spool->fd);
	free(spool->filling.data);
	free(spool->under_way.data);
	free(spool->entries);
	scratch_release(&spool->scratch);
	*spool = (struct spool){0};
}
