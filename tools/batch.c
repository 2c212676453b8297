/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch: records on their way into the store, a commit at a time.
 *
 * idea
 *	One write is filled and committed over and over.  Beside each of its
 *	operations the batch keeps where in the input it came from, because
 *	some faults (an edge to nowhere) show only at the commit, which names
 *	the operation by its index.
 *
 * crash
 *	What was committed is in the store, in the order of the input; `done`
 *	says up to where.  Putting the same records again does no harm, so an
 *	import that broke off is simply run again.
 */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>

void place_text(const struct place *place, char *out, size_t room)
{
	snprintf(out, room, place->is_row ? "%s: row %llu" : "%s:%llu",
		 place->file, (unsigned long long)place->number);
}

int batch_add(struct batch *batch, const struct place *place,
	      struct fault *fault)
{
	if (batch->count == batch->room) {
		size_t room = batch->room ? batch->room * 2 : 1024;
		struct place *places;

		places = realloc(batch->places, room * sizeof *places);
		if (!places)
			return fault_set(fault, EXIT_NO_SPACE, "out of memory");
		batch->places = places;
		batch->room = room;
	}
	batch->places[batch->count++] = *place;
	return 0;
}

int batch_is_full(const struct batch *batch)
{
	return batch->count >= batch->record_max ||
	       cop_write_bytes(batch->write) >= batch->byte_max;
}

static int batch_fault(const struct batch *batch, cop_err err, uint32_t failed,
		       struct fault *fault)
{
	char text[1024];

	fault_input(fault, err);
	if (failed >= batch->count)
		return fault->code;
	place_text(&batch->places[failed], text, sizeof text);
	return fault_prefix(fault, "%s: ", text);
}

int batch_commit(struct batch *batch, struct fault *fault)
{
	struct cop_result *total = &batch->total;
	struct cop_result result = {.size = sizeof result,
				    .failed = UINT32_MAX};
	struct cop_commit_options options = {
	    .size = sizeof options,
	    .durability = batch->lazy ? COP_LAZY : COP_DURABLE,
	    .threads = batch->threads};
	cop_err err;

	err = cop_commit_with(batch->write, &options, &result);
	if (err)
		return batch_fault(batch, err, result.failed, fault);
	total->entities_put += result.entities_put;
	total->entities_deleted += result.entities_deleted;
	total->edges_put += result.edges_put;
	total->edges_deleted += result.edges_deleted;
	total->edges_skipped += result.edges_skipped;
	total->stubs_put += result.stubs_put;
	batch->commit = result.commit;
	batch->commits++;
	if (batch->count)
		batch->done = batch->places[batch->count - 1];
	batch->count = 0;
	return 0;
}

void batch_release(struct batch *batch)
{
	free(batch->places);
	batch->places = NULL;
	batch->count = batch->room = 0;
}
