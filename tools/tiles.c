/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiles: edges of an import in an order in which they cost less.
 *
 * idea
 *	An edge is in two indexes, by its source and by its target.  Where edges
 *	come in any order, each of a commit falls upon pages of its own of both,
 *	and a commit of 50,000 writes 90,000 pages.  So edges wait, by millions,
 *	in a file (spool.c), and are put in the order of a curve that fills the
 *	plane of sources and targets.  A stretch of it is a tile, as wide as it
 *	is high or nearly so, and a commit: it meets few pages of either index,
 *	the fewer the more edges wait.
 *
 * when
 *	When a whole commit had nothing but edges, until something else comes.
 *	Edges with an end that is not there, which the commit decides on, are
 *	put before the others.  An edge that comes twice is at one place of the
 *	curve both times, in order.  So the store has what it would have had, by
 *	other commits.
 *
 * crash
 *	Some tiles are in the store and others not; resume.c goes on from there.
 *
 * source
 *	Hilbert, "Ueber die stetige Abbildung einer Linie auf ein
 *	Flaechenstueck", 1891.  Z-order, which is simpler, writes a tenth more
 *	pages.
 *
 * limits
 *	16 bytes of memory and some 100 of the disk for each edge that waits,
 *	TILES_EDGES of them, TILES_BYTES, a quarter of what is free on the disk,
 *	or TILES_NS: while they wait nobody sees them, which matters if they
 *	come by a pipe from who has time.
 */
#include "tiles.h"
#include "import.h"
#include "steady.h"
#include "stop.h"

#include <sys/statvfs.h>

enum {
	TILES_EDGES = 5242880,
	TILES_COMMIT = 80000,	 /* edges, if nothing is said */
	TILES_CHECKED = 4194304, /* bytes of edges that were found good */
	TILES_DISK = 4,		 /* a part of what is free */
	TILES_CLOCK = 512	 /* edges, until the time is looked at */
};

#define TILES_BYTES UINT64_C(1073741824)
#define TILES_NS    UINT64_C(60000000000)

/* ---- what waits --------------------------------------------------------- */

/* Where the curve meets a point, counted from its beginning at 0, 0. */
static uint64_t curve(uint32_t x, uint32_t y)
{
	uint64_t length = 0;

	for (int bit = 31; bit >= 0; bit--) {
		uint32_t right = x >> bit & 1;
		uint32_t above = y >> bit & 1;
		uint32_t old = x;

		length = length << 2 | (3 * right ^ above);
		if (above)
			continue;
		x = right ? ~y : y;
		y = right ? ~old : old;
	}
	return length;
}

/*
 * By the spool's thread, as is what follows.  Ids begin at 1, so that nothing
 * but an end that is not there makes it 0.
 */
static int edge_order(void *user, const struct cop_put_edge *edge,
		      uint64_t *out, struct fault *fault)
{
	struct import *import = user;
	struct tiles *tiles = &import->tiles;
	uint64_t source = 0, target = 0;
	cop_err err =
	    tiles->read ? 0 : cop_read_begin(import->cli->store, &tiles->read);

	if (!err)
		err = cop_id(tiles->read, edge->source, edge->source_size,
			     &source);
	if (!err)
		err = cop_id(tiles->read, edge->target, edge->target_size,
			     &target);
	*out = source && target ? curve((uint32_t)source, (uint32_t)target) : 0;
	return err ? fault_cop(fault, err) : 0;
}

/* Who waits for further edges has no read, which would hold pages back. */
static void read_end(void *user)
{
	struct import *import = user;

	cop_read_end(import->tiles.read);
	import->tiles.read = NULL;
}

void tiles_begin(struct import *import)
{
	struct spool *spool = &import->tiles.spool;

	spool->folder = import->cli->path;
	spool->order = edge_order;
	spool->ordered = read_end;
	spool->user = import;
}

int tiles_wants(const struct import *import)
{
	return import->tiles.is_on && !resume_is_passing(import);
}

/* What they are put into takes room on the same disk. */
static uint64_t bytes_most(const char *folder)
{
	struct statvfs disk;
	uint64_t part;

	if (statvfs(folder, &disk))
		return TILES_BYTES;
	part = (uint64_t)disk.f_bavail * disk.f_frsize / TILES_DISK;
	return part < TILES_BYTES ? part : TILES_BYTES;
}

int tiles_edge(struct import *import, const struct place *place,
	       const struct cop_put_edge *edge)
{
	struct tiles *tiles = &import->tiles;
	struct fault *fault = &import->cli->fault;

	if (cop_write_bytes(import->batch.write) >= TILES_CHECKED &&
	    batch_restart(&import->batch, fault))
		return fault->code;
	if (!tiles->count++) {
		tiles->begin_ns = steady_ns();
		tiles->byte_max = bytes_most(import->cli->path);
	}
	tiles->last = *place;
	return spool_add(&tiles->spool, place, edge, fault);
}

int tiles_is_time(const struct import *import)
{
	const struct tiles *tiles = &import->tiles;

	if (!tiles->is_on)
		return batch_is_full(&import->batch);
	if (import->resume.before.until)
		return !resume_is_cut(import);
	return tiles->count >= TILES_EDGES ||
	       spool_bytes(&tiles->spool) >= tiles->byte_max ||
	       (tiles->count % TILES_CLOCK == 0 &&
		steady_ns() - tiles->begin_ns >= TILES_NS);
}

/* ---- putting it --------------------------------------------------------- */

/* Those that were in the store when the import broke off; returns how many. */
static size_t pass_over(struct import *import)
{
	struct tiles *tiles = &import->tiles;
	struct resume_point *before = &import->resume.before;
	const struct spool_entry *entries = tiles->spool.entries;
	size_t count = 0;

	if (!before->until)
		return 0;
	before->until = 0;
	tiles->order = before->order;
	tiles->same = before->same;
	while (count < tiles->spool.count &&
	       entries[count].order < before->order)
		count++;
	for (uint64_t i = 0; i < before->same && count < tiles->spool.count &&
			     entries[count].order == before->order;
	     i++)
		count++;
	import->batch.total.edges_put += count;
	return count;
}

static int edge_put(struct import *import, size_t index)
{
	struct tiles *tiles = &import->tiles;
	struct fault *fault = &import->cli->fault;
	uint64_t order = tiles->spool.entries[index].order;
	struct cop_put_edge edge;
	struct place place;
	cop_err err;

	if (spool_read(&tiles->spool, index, &place, &edge, fault))
		return fault->code;
	err = cop_put_edge(import->batch.write, &edge);
	if (err)
		return fault_input(fault, err);
	tiles->same = order == tiles->order ? tiles->same + 1 : 1;
	tiles->order = order;
	import->resume.edges++;
	return batch_add(&import->batch, &place, fault);
}

static int is_full(const struct import *import)
{
	const struct batch *batch = &import->batch;

	return cop_write_bytes(batch->write) >= batch->byte_max ||
	       batch_count(batch) >=
		   (import->tiles.is_exact ? batch->record_max : TILES_COMMIT);
}

/* A commit of each tile but the last one. */
static int tiles_put(struct import *import)
{
	struct tiles *tiles = &import->tiles;
	struct batch *batch = &import->batch;
	struct fault *fault = &import->cli->fault;

	batch->follows = 1;
	tiles->order = tiles->same = 0;
	for (size_t i = pass_over(import); i < tiles->spool.count; i++) {
		if (is_full(import) && batch_pass(batch, fault))
			return fault->code;
		if (stop_signal())
			return cli_stopped(import->cli);
		if (edge_put(import, i))
			return fault->code;
		progress_put(&import->progress, i, tiles->spool.count);
	}
	batch->follows = 0;
	batch->last = tiles->last;
	return 0;
}

static int pass(struct import *import)
{
	struct tiles *tiles = &import->tiles;
	struct fault *fault = &import->cli->fault;

	if (spool_sort(&tiles->spool, fault))
		return fault->code;
	tiles->count = 0;
	return batch_restart(&import->batch, fault) || tiles_put(import) ||
		       batch_pass(&import->batch, fault) ||
		       spool_clear(&tiles->spool, fault)
		   ? fault->code
		   : 0;
}

int tiles_pass(struct import *import)
{
	struct tiles *tiles = &import->tiles;
	struct batch *batch = &import->batch;

	if (tiles->is_on)
		return pass(import);
	tiles->is_on = import->resume.edges == batch_count(batch) &&
		       batch->ahead && import->dangling != COP_DANGLING_STUB;
	return batch_pass(batch, &import->cli->fault);
}

void tiles_resume(struct import *import)
{
	struct resume_point *before = &import->resume.before;

	/* Whose options are others now puts again what was cut up. */
	if (!import->batch.ahead)
		before->cuts = before->until = 0;
	import->tiles.is_on = before->cuts != 0;
}

int tiles_end(struct import *import)
{
	struct tiles *tiles = &import->tiles;
	int code = 0;

	if (resume_is_passing(import))
		return 0;
	if (tiles->is_on) {
		tiles->is_on = 0;
		/* if nothing waits, what comes now has been put too early */
		code = tiles->count
			   ? pass(import)
			   : batch_restart(&import->batch, &import->cli->fault);
	}
	/* that which resumes is not what waited */
	import->resume.before.until = 0;
	return code;
}

void tiles_release(struct tiles *tiles)
{
	spool_release(&tiles->spool);
}
