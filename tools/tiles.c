/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiles: edges of an import in an order in which they cost less.
 *
 * idea
 *	An edge is in two indexes, by its source and by its target.  Where edges
 *	come in any order, each of a commit falls upon pages of its own of both,
 *	and a commit of 50,000 writes 90,000 pages.  So edges wait until there
 *	are many of them, and are cut up into tiles, by ranges of sources and of
 *	targets: each tile is a commit, which meets a sixth of the pages of
 *	either index.  Edges whose ends are near each other by number, as many
 *	graphs have them, mostly fall into the six tiles of the diagonal.
 *
 * when
 *	When a whole commit had nothing but edges, until something else comes.
 *	Only edges whose ends have ids are cut up, so none of them makes an
 *	entity; others are committed before them.  An edge that comes twice is
 *	in the same tile both times, in order.  So the store has what it would
 *	have had, by other commits.  With --batch a tile has no more edges than
 *	that; else it may have twice as many, since what it costs are the pages.
 *
 * crash
 *	Some tiles are in the store and others not; resume.c goes on from there.
 *
 * limits
 *	Lines of JSON are put as they come: their edges stand among all else.
 *	Twice TILES_BYTES of memory, since tiles are filled while others are
 *	committed.  Of an index of a million pages a sixth is more than the
 *	edges of a commit, so that it is as without tiles.
 */
#include "tiles.h"
#include "import.h"

#include <assert.h>

enum {
	TILES_SIDE = 6, /* BATCH_PARTS - 1 are its square */
	TILES_LARGER = 2,
	TILES_BYTES = 83886080,
	TILES_LOOKS = 512 /* ends; a read holds pages back */
};

static_assert(TILES_SIDE * TILES_SIDE + 1 == BATCH_PARTS, "a part a tile");

static void tiles_switch(struct import *import, int is_on)
{
	struct tiles *tiles = &import->tiles;
	struct batch *batch = &import->batch;

	if (tiles->is_on == is_on)
		return;
	tiles->is_on = is_on;
	if (is_on) {
		tiles->record_max = batch->record_max;
		tiles->byte_max = batch->byte_max;
		batch->record_max *= tiles->is_exact ? 1 : TILES_LARGER;
		batch->byte_max = TILES_BYTES;
	} else {
		batch->record_max = tiles->record_max;
		batch->byte_max = tiles->byte_max;
	}
}

/* Ids are given one after the other: as many as there are entities. */
static cop_err ids_count(struct tiles *tiles)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_err err = cop_stat(tiles->read, &stats);

	tiles->ids = stats.entities ? stats.entities : 1;
	return err;
}

static cop_err read_begin(struct import *import)
{
	struct tiles *tiles = &import->tiles;

	if (tiles->read && tiles->looked++ < TILES_LOOKS)
		return 0;
	tiles->looked = 0;
	return tiles->read ? cop_read_refresh(tiles->read)
			   : cop_read_begin(import->cli->store, &tiles->read);
}

/* Whoever waits for commits has none, or they could not use pages again. */
static void read_end(struct tiles *tiles)
{
	cop_read_end(tiles->read);
	tiles->read = NULL;
}

static uint32_t range_of(const struct tiles *tiles, uint64_t id)
{
	uint64_t range = (id - 1) * TILES_SIDE / tiles->ids;

	return range < TILES_SIDE ? (uint32_t)range : TILES_SIDE - 1;
}

int tiles_edge(struct import *import, const struct cop_put_edge *edge)
{
	struct tiles *tiles = &import->tiles;
	struct fault *fault = &import->cli->fault;
	uint64_t source = 0, target = 0;
	cop_err err;

	if (resume_is_passing(import))
		return 0;
	tiles->edges++;
	if (!tiles->is_on)
		return 0;
	err = read_begin(import);
	if (!err && !tiles->ids)
		err = ids_count(tiles);
	if (!err)
		err = cop_id(tiles->read, edge->source, edge->source_size,
			     &source);
	if (!err)
		err = cop_id(tiles->read, edge->target, edge->target_size,
			     &target);
	if (err && err != COP_BAD_KEY)
		return fault_cop(fault, err);
	return batch_turn(&import->batch,
			  !source || !target
			      ? 0
			      : 1 + range_of(tiles, source) * TILES_SIDE +
				    range_of(tiles, target),
			  fault);
}

int tiles_is_time(const struct import *import)
{
	return import->resume.before.parts ? !resume_is_cut(import)
					   : batch_is_full(&import->batch);
}

int tiles_ready(struct import *import)
{
	struct resume_point *before = &import->resume.before;
	size_t count = batch_count(&import->batch);
	uint32_t parts = (uint32_t)before->parts;

	read_end(&import->tiles);
	if (!parts || resume_is_passing(import))
		return 0;
	before->parts = before->until = 0;
	if (batch_skip(&import->batch, parts, &import->cli->fault))
		return import->cli->fault.code;
	import->resume.edges -= count - batch_count(&import->batch);
	return 0;
}

static int pass(struct import *import)
{
	struct fault *fault = &import->cli->fault;

	if (tiles_ready(import) || batch_pass(&import->batch, fault))
		return fault->code;
	import->tiles.edges = 0;
	import->tiles.ids = 0;
	return 0;
}

int tiles_pass(struct import *import)
{
	struct tiles *tiles = &import->tiles;

	tiles->is_next = tiles->edges >= batch_count(&import->batch) &&
			 import->batch.ahead &&
			 import->dangling != COP_DANGLING_STUB;
	if (pass(import))
		return import->cli->fault.code;
	tiles_switch(import, tiles->is_next);
	return 0;
}

void tiles_resume(struct import *import)
{
	struct resume_point *before = &import->resume.before;

	/* Whose options are others now puts again what was cut up. */
	if (!import->batch.ahead)
		before->cuts = before->until = before->parts = 0;
	tiles_switch(import, before->cuts != 0);
	import->tiles.ids = before->ids;
}

int tiles_end(struct import *import)
{
	struct tiles *tiles = &import->tiles;

	if (resume_is_passing(import))
		return 0;
	tiles->is_next = 0;
	if (!tiles->is_on) /* that which resumes is not what was cut up */
		import->resume.before.parts = import->resume.before.until = 0;
	else if (batch_count(&import->batch) && pass(import))
		return import->cli->fault.code;
	tiles_switch(import, 0);
	return batch_turn(&import->batch, 0, &import->cli->fault);
}

void tiles_release(struct tiles *tiles)
{
	read_end(tiles);
}
