/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch: records on their way into the store, some commits at a time.
 *
 * idea
 *	A write is filled while another one, filled before, is committed by a
 *	thread; so reading and encoding cost no time of the store's, and memory
 *	is two writes.  Where it pays to bring them into another order, there
 *	are several writes in place of one, the parts, each of them a commit.
 *	Beside each operation the batch keeps where in the input it came from,
 *	because some faults (an edge to nowhere) show only at the commit, which
 *	names the operation by its index.
 *
 * crash
 *	What was committed is in the store, in the order of the input but for
 *	parts; `done` says up to where all is.  Putting the same records again
 *	does no harm, so an import that broke off may simply be run again;
 *	`seal` can have each commit keep how far it goes, to go on from there.
 */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_LOOKS = 64 }; /* operations, until all parts are looked at */

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
	struct load *load = &batch->filling.parts[batch->part];

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
	batch->filling.count++;
	batch->filling.last = *place;
	return 0;
}

int batch_add_content(struct batch *batch, const struct place *place,
		      struct fault *fault)
{
	batch->filling.parts[batch->part].contents++;
	return batch_add(batch, place, fault);
}

size_t batch_count(const struct batch *batch)
{
	return batch->filling.count;
}

int batch_is_full(const struct batch *batch)
{
	size_t bytes = 0;

	if (batch->filling.parts[batch->part].count >= batch->record_max)
		return 1;
	if (!batch->part)
		return cop_write_bytes(batch->write) >= batch->byte_max;
	if (batch->filling.count % BATCH_LOOKS)
		return 0;
	for (size_t i = 0; i < BATCH_PARTS; i++)
		if (batch->filling.parts[i].count)
			bytes += cop_write_bytes(batch->filling.parts[i].write);
	return bytes >= batch->byte_max;
}

/* ---- parts -------------------------------------------------------------- */

int batch_turn(struct batch *batch, uint32_t part, struct fault *fault)
{
	struct load *load = &batch->filling.parts[part];
	cop_err err = 0;

	batch->filling.parts[batch->part].write = batch->write;
	if (!load->write)
		err = cop_write_begin(batch->store, &load->write);
	if (err)
		return fault_cop(fault, err);
	batch->part = part;
	batch->write = load->write;
	return 0;
}

int batch_skip(struct batch *batch, uint32_t parts, struct fault *fault)
{
	for (uint32_t i = 0; i < parts && i < BATCH_PARTS; i++) {
		struct load *load = &batch->filling.parts[i];

		if (batch_turn(batch, i, fault))
			return fault->code;
		batch->total.edges_put += load->count;
		if (load->count && batch_restart(batch, fault))
			return fault->code;
	}
	return batch_turn(batch, 0, fault);
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

/* A commit of each part, or of the first one if there is nothing at all. */
static void loads_commit(const struct batch *batch, struct loads *loads)
{
	struct cop_result result;

	loads->total = (struct cop_result){0};
	loads->commits = 0;
	loads->fault.code = 0;
	for (size_t i = 0; i < BATCH_PARTS; i++) {
		struct load *load = &loads->parts[i];

		if (!load->count && (i || loads->count))
			continue;
		if (load_commit(batch, load, &result, &loads->fault))
			return;
		result.entities_put -= load->contents;
		load->count = load->contents = 0;
		result_add(&loads->total, &result);
		loads->commits++;
	}
}

static int loads_count(struct batch *batch, struct loads *loads,
		       struct fault *fault)
{
	if (loads->fault.code) {
		if (loads->commits) {
			batch->is_torn = 1;
			batch->commit = loads->total.commit;
		}
		*fault = loads->fault;
		return fault->code;
	}
	result_add(&batch->total, &loads->total);
	batch->commit = loads->total.commit;
	batch->commits += loads->commits;
	if (loads->count)
		batch->done = loads->last;
	loads->count = 0;
	return 0;
}

static void *commit_run(void *user)
{
	struct batch *batch = user;

	loads_commit(batch, &batch->under_way);
	return NULL;
}

int batch_settle(struct batch *batch, struct fault *fault)
{
	if (!batch->is_under_way)
		return 0;
	pthread_join(batch->thread, NULL);
	batch->is_under_way = 0;
	return loads_count(batch, &batch->under_way, fault);
}

/* Has the other writes, which are empty by now, filled. */
static int loads_swap(struct batch *batch, struct fault *fault)
{
	struct loads filled;

	if (batch_turn(batch, 0, fault))
		return fault->code;
	filled = batch->filling;
	batch->filling = batch->under_way;
	batch->under_way = filled;
	batch->write = batch->filling.parts[0].write;
	return batch_turn(batch, 0, fault);
}

/* Of each part; the part that is added to is the first one then. */
static int batch_seal(struct batch *batch, struct fault *fault)
{
	size_t left = batch->filling.count;

	if (!batch->seal)
		return 0;
	for (uint32_t i = 0; i < BATCH_PARTS; i++) {
		size_t count = batch->filling.parts[i].count;

		left -= count;
		if (!count && (i || batch->filling.count))
			continue;
		if (batch_turn(batch, i, fault) ||
		    batch->seal(batch->user, left != 0, fault))
			return fault->code;
	}
	return batch_turn(batch, 0, fault);
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
	if (batch_settle(batch, fault) || batch_seal(batch, fault))
		return fault->code;
	batch->filling.parts[batch->part].write = batch->write;
	loads_commit(batch, &batch->filling);
	return loads_count(batch, &batch->filling, fault);
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
	struct load *load = &batch->filling.parts[batch->part];

	cop_abort(batch->write);
	batch->write = NULL;
	batch->filling.count -= load->count;
	load->count = load->contents = 0;
	return batch_begin(batch, fault);
}

static void loads_release(struct loads *loads)
{
	for (size_t i = 0; i < BATCH_PARTS; i++) {
		cop_abort(loads->parts[i].write);
		free(loads->parts[i].places);
	}
	*loads = (struct loads){0};
}

void batch_release(struct batch *batch)
{
	/* of a caller who has no store the write is the caller's, too */
	batch->filling.parts[batch->part].write =
	    batch->store ? batch->write : NULL;
	loads_release(&batch->filling);
	loads_release(&batch->under_way);
}
