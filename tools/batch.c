/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch: records on their way into the store, some commits at a time.
 *
 * idea
 *	A write is filled while another one, filled before, is committed by a
 *	thread; so reading and encoding cost no time of the store's, and memory
 *	is two writes.  Beside each operation the batch keeps where in the input
 *	it came from, because some faults (an edge to nowhere) show only at the
 *	commit, which names the operation by its index.
 *
 * crash
 *	What was committed is in the store, in the order of the input unless the
 *	caller says that more `follows`; `done` says up to where all is.
 *	Putting the same records again does no harm, so an import that broke off
 *	may simply be run again; `seal` can have each commit keep how far it
 *	goes, to go on from there.
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
	batch->last = *place;
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
static void load_commit(const struct batch *batch, struct load *load)
{
	struct cop_commit_options options = {
	    .size = sizeof options,
	    .durability = batch->lazy ? COP_LAZY : COP_DURABLE,
	    .threads = batch->threads};
	cop_err err;

	load->fault.code = 0;
	load->result = (struct cop_result){.size = sizeof load->result,
					   .failed = UINT32_MAX};
	err = cop_commit_with(load->write, &options, &load->result);
	if (err)
		load_fault(load, err, load->result.failed, &load->fault);
}

static void result_add(struct cop_result *total,
		       const struct cop_result *result)
{
	total->entities_put += result->entities_put;
	total->entities_deleted += result->entities_deleted;
	total->edges_put += result->edges_put;
	total->edges_deleted += result->edges_deleted;
	total->edges_skipped += result->edges_skipped;
	total->stubs_put += result->stubs_put;
	total->commit = result->commit;
}

static int load_count(struct batch *batch, struct load *load,
		      struct fault *fault)
{
	if (load->fault.code) {
		*fault = load->fault;
		return fault->code;
	}
	load->result.entities_put -= load->contents;
	result_add(&batch->total, &load->result);
	batch->commit = load->result.commit;
	batch->commits++;
	batch->is_torn = load->follows;
	if (!load->follows)
		batch->done = load->last;
	load->count = load->contents = 0;
	return 0;
}

static void *commit_run(void *user)
{
	struct batch *batch = user;

	load_commit(batch, &batch->under_way);
	return NULL;
}

int batch_settle(struct batch *batch, struct fault *fault)
{
	if (!batch->is_under_way)
		return 0;
	pthread_join(batch->thread, NULL);
	batch->is_under_way = 0;
	return load_count(batch, &batch->under_way, fault);
}

/* Adds what the caller has to each commit. */
static int load_seal(struct batch *batch, struct fault *fault)
{
	struct load *load = &batch->filling;

	load->write = batch->write;
	load->follows = batch->follows;
	load->last = batch->last;
	return batch->seal ? batch->seal(batch->user, fault) : 0;
}

/* Has the other write, which is empty by now, filled. */
static int load_swap(struct batch *batch, struct fault *fault)
{
	struct load filled = batch->filling;
	cop_err err = 0;

	batch->filling = batch->under_way;
	batch->under_way = filled;
	if (!batch->filling.write)
		err = cop_write_begin(batch->store, &batch->filling.write);
	batch->write = batch->filling.write;
	return err ? fault_cop(fault, err) : 0;
}

int batch_pass(struct batch *batch, struct fault *fault)
{
	if (!batch->ahead)
		return batch_commit(batch, fault);
	if (batch_settle(batch, fault) || load_seal(batch, fault) ||
	    load_swap(batch, fault))
		return fault->code;
	if (pthread_create(&batch->thread, NULL, commit_run, batch))
		return fault_set(fault, EXIT_NO_SPACE,
				 "cannot start a thread that commits");
	batch->is_under_way = 1;
	return 0;
}

int batch_commit(struct batch *batch, struct fault *fault)
{
	if (batch_settle(batch, fault) || load_seal(batch, fault))
		return fault->code;
	load_commit(batch, &batch->filling);
	return load_count(batch, &batch->filling, fault);
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

static void load_release(struct load *load)
{
	cop_abort(load->write);
	free(load->places);
	*load = (struct load){0};
}

void batch_release(struct batch *batch)
{
	/* of a caller who has no store the write is the caller's, too */
	batch->filling.write = batch->store ? batch->write : NULL;
	load_release(&batch->filling);
	load_release(&batch->under_way);
}
