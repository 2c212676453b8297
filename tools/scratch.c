/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch: memory for one record, given back at once.
 *
 * idea
 *	A record's lists and maps need arrays that live until the put has
 *	copied them.  They are cut from blocks in a list; the reset after each
 *	record keeps the newest ordinary block, so that an import of millions of
 *	records allocates a handful of times.
 *
 * limits
 *	A block has 64 KiB, or what a single larger request needs.
 */
#include "scratch.h"

#include <stdint.h>
#include <stdlib.h>

enum { SCRATCH_BLOCK_BYTES = 65536 };

struct scratch_block {
	struct scratch_block *next;
	size_t used;
	size_t room;
	max_align_t data[];
};

static struct scratch_block *scratch_grow(struct scratch *scratch, size_t bytes)
{
	size_t room = bytes > SCRATCH_BLOCK_BYTES ? bytes : SCRATCH_BLOCK_BYTES;
	struct scratch_block *block = malloc(sizeof *block + room);

	if (!block)
		return NULL;
	block->next = scratch->first;
	block->used = 0;
	block->room = room;
	scratch->first = block;
	return block;
}

void *scratch_take(struct scratch *scratch, size_t count, size_t item_size)
{
	struct scratch_block *block = scratch->first;
	size_t align = sizeof(max_align_t);
	size_t bytes;
	void *out;

	if (count > SIZE_MAX / 4 / item_size)
		return NULL;
	bytes = (count * item_size + align - 1) / align * align;
	if (!bytes)
		bytes = align;
	if (!block || block->room - block->used < bytes)
		block = scratch_grow(scratch, bytes);
	if (!block)
		return NULL;
	out = (char *)block->data + block->used;
	block->used += bytes;
	return out;
}

void scratch_reset(struct scratch *scratch)
{
	struct scratch_block *block = scratch->first, *kept = NULL, *next;

	for (; block; block = next) {
		next = block->next;
		if (!kept && block->room == SCRATCH_BLOCK_BYTES)
			kept = block;
		else
			free(block);
	}
	if (kept) {
		kept->next = NULL;
		kept->used = 0;
	}
	scratch->first = kept;
}

void scratch_release(struct scratch *scratch)
{
	scratch_reset(scratch);
	free(scratch->first);
	scratch->first = NULL;
}
