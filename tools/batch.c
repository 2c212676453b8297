/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch: records on their way into the store, a commit at a time.
 *
 * idea
 *	A write is filled while another one, filled before, is committed by a
 *	thread; so reading and encoding cost no time of the store's, and memory
 *	is two writes.  Beside each operation the batch keeps where in the input
 *	it came from, because some faults (an edge to nowhere) show only at the
 *	commit, which names the operation by its index.
 *
 * crash
 *	What was committed is in the store, in the order of the input; `done`
 *	says up to where.  Putting the same records again does no harm, so an
 *	import that broke off may simply be run again; `seal` can have each
 *	commit keep how far it goes, to go on from there.
 */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>

void place_text(const struct place *place, char *out, size_t room)
{
	snprintf(out, room, place->is_row ? "%s: row %llu" : "%s:%llu",
		 place->file, (unsigned long long)place->number);
}

static int no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

int batch_add(struct batch *batch, const struct place *place,
	      struct fault *fault)
{
	struct load *load = &batch->filling;

	if (load->count == load->room) {
		size_t room = load->room ? load->room * 2 : 1024;
		struct place *places;

		places = realloc(load->places, room * sizeof *places);
		if (!places)
			return no_memory(fault);
		load->places = places;
		load->room = room;
	}
	load->places[load->count++] = *place;
	return 0;
}

int batch_add_content(struct batch *batch, const struct place *place,
		      struct fault *fault)
{
	batch->filling.contents++;
	return batch_add(batch, place, fault);
}

size_t batch_count(const struct batch *batch)
{
	return batch->filling.count;
}

int batch_is_full(const struct batch *batch)
{
	return batch->filling.count >= batch->record_max ||
	       cop_write_bytes(batch->write) >= batch->byte_max;
}

/* ---- committing --------------------------------------------------------- */

static int load_fault(const struct load *load, cop_err err, uint32_t failed,
		      struct fault *fault)
{
	char text[1024];

	fault_input(fault, err);
	if (failed >= load->count)
		return fault->code;
	place_text(&load->places[failed], text, sizeof text);
	return fault_prefix(fault, "%s: ", text);
}

/* By whoever commits: nothing of the batch is touched but what is asked for. */
static int load_commit(const struct batch *batch, const struct load *load,
		       struct cop_result *result, struct fault *fault)
{
	struct cop_commit_options options = {
	    .size = sizeof options,
	    .durability = batch->lazy ? COP_LAZY : COP_DURABLE,
	    .threads = batch->threads};
	cop_err err;

	*result =
	    (struct cop_result){.size = sizeof *result, .failed = UINT32_MAX};
	err = cop_commit_with(load->write, &options, result);
	return err ? load_fault(load, err, result->failed, fault) : 0;
}

static void load_count(struct batch *batch, struct load *load,
		       const struct cop_result *result)
{
	struct cop_result *total = &batch->total;

	total->entities_put += result->entities_put - load->contents;
	total->entities_deleted += result->entities_deleted;
	total->edges_put += result->edges_put;
	total->edges_deleted += result->edges_deleted;
	total->edges_skipped += result->edges_skipped;
	total->stubs_put += result->stubs_put;
	batch->commit = result->commit;
	batch->commits++;
	if (load->count)
		batch->done = load->places[load->count - 1];
	load->count = load->contents = 0;
}

static void *commit_run(void *user)
{
	struct batch *batch = user;

	(void)load_commit(batch, &batch->under_way, &batch->result,
			  &batch->fault);
	return NULL;
}

int batch_settle(struct batch *batch, struct fault *fault)
{
	if (!batch->is_under_way)
		return 0;
	pthread_join(batch->thread, NULL);
	batch->is_under_way = 0;
	if (batch->fault.code) {
		*fault = batch->fault;
		return fault->code;
	}
	load_count(batch, &batch->under_way, &batch->result);
	return 0;
}

/* Has the other write, which is empty by now, filled. */
static int loads_swap(struct batch *batch, struct fault *fault)
{
	struct load filled = batch->filling;
	cop_err err = 0;

	filled.write = batch->write;
	if (!batch->under_way.write)
		err = cop_write_begin(batch->store, &batch->under_way.write);
	if (err)
		return fault_cop(fault, err);
	batch->filling = batch->under_way;
	batch->write = batch->filling.write;
	batch->under_way = filled;
	return 0;
}

static int batch_seal(struct batch *batch, struct fault *fault)
{
	return batch->seal ? batch->seal(batch->user, fault) : 0;
}

int batch_pass(struct batch *batch, struct fault *fault)
{
	if (!batch->ahead)
		return batch_commit(batch, fault);
	if (batch_settle(batch, fault) || batch_seal(batch, fault) ||
	    loads_swap(batch, fault))
		return fault->code;
	if (pthread_create(&batch->thread, NULL, commit_run, batch))
		return fault_set(fault, EXIT_NO_SPACE,
				 "cannot start a thread that commits");
	batch->is_under_way = 1;
	return 0;
}

int batch_commit(struct batch *batch, struct fault *fault)
{
	struct cop_result result;

	if (batch_settle(batch, fault) || batch_seal(batch, fault))
		return fault->code;
	batch->filling.write = batch->write;
	if (load_commit(batch, &batch->filling, &result, fault))
		return fault->code;
	load_count(batch, &batch->filling, &result);
	return 0;
}

int batch_finish(struct batch *batch, struct fault *fault)
{
	return batch->filling.count ? batch_commit(batch, fault)
				    : batch_settle(batch, fault);
}

int batch_begin(struct batch *batch, struct fault *fault)
{
	cop_err err =
	    batch->store ? cop_write_begin(batch->store, &batch->write) : 0;

	return err ? fault_cop(fault, err) : 0;
}

int batch_restart(struct batch *batch, struct fault *fault)
{
	cop_abort(batch->write);
	batch->write = NULL;
	batch->filling.count = batch->filling.contents = 0;
	return batch_begin(batch, fault);
}

void batch_release(struct batch *batch)
{
	if (batch->store)
		cop_abort(batch->write);
	cop_abort(batch->under_way.write);
	free(batch->filling.places);
	free(batch->under_way.places);
	batch->filling = batch->under_way = (struct load){0};
}
