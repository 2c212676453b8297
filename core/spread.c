/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One level of a walk, by several threads.
 *
 * idea
 *	The threads take portions of the level as they get done with others.
 *	Who is seen first is settled by an atomic bit an id; each thread keeps
 *	what it has found, and when all are done that is put behind one
 *	another.  So the entities and their hops are those of one thread; which
 *	of several shortest ways leads to one is chance.
 *
 * ordering
 *	The bits are relaxed: nothing is published by them.  Threads are joined
 *	before what they found is read.
 */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>

enum { PORTION = 256 };

struct part {
	struct walk walk; /* with a copy of the read */
	cop_read read;
	struct buffer found; /* struct cop_step */
};

struct spread {
	struct walk *walk;
	struct part *parts;
	size_t to;
	_Atomic size_t next;
};

static _Atomic uint64_t *seen_word(const struct spread *spread, uint64_t id)
{
	return (_Atomic uint64_t *)&spread->walk->read->visited[id / 64];
}

static int seen_first(const struct spread *spread, uint64_t id)
{
	uint64_t bit = UINT64_C(1) << (id % 64);

	return !(atomic_load_explicit(seen_word(spread, id),
				      memory_order_relaxed) &
		 bit) &&
	       !(atomic_fetch_or_explicit(seen_word(spread, id), bit,
					  memory_order_relaxed) &
		 bit);
}

static void seen_not(const struct spread *spread, uint64_t id)
{
	atomic_fetch_and_explicit(seen_word(spread, id),
				  ~(UINT64_C(1) << (id % 64)),
				  memory_order_relaxed);
}

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for a walk");
}

static cop_err list_spread(const struct spread *spread, struct part *part,
			   size_t at, int32_t direction, uint32_t *looked)
{
	struct walk *walk = &part->walk;
	uint64_t ids = spread->walk->read->visited_bytes * 8;
	struct edge_cursor cursor;
	struct edge_name entry;
	cop_err err;

	if (!(walk->way.direction & direction))
		return 0;
	err = graph_edges(&part->read, walk->steps[at].id, direction, &cursor);
	while (!err && edge_cursor_next(&cursor, &entry)) {
		struct cop_step step = {entry.peer, (uint32_t)at,
					entry.relation,
					walk->steps[at].hops + 1, direction};

		if (walk->way.relation && entry.relation != walk->way.relation)
			continue;
		if (walk->wanted->degree_limit &&
		    *looked >= walk->wanted->degree_limit) {
			walk->more = 1;
			return 0;
		}
		++*looked;
		if (entry.peer >= ids || !seen_first(spread, entry.peer))
			continue;
		if (walk->is_filtered && !walk_may_go(walk, &step)) {
			seen_not(spread, entry.peer);
			err = walk->err;
		} else if (buffer_put(&part->found, &step, sizeof step)) {
			seen_not(spread, entry.peer);
			err = no_memory();
		}
	}
	return err;
}

static cop_err part_spread(void *user, uint32_t thread)
{
	struct spread *spread = user;
	struct part *part = &spread->parts[thread];
	cop_err err = 0;

	while (!err) {
		size_t from = atomic_fetch_add_explicit(&spread->next, PORTION,
							memory_order_relaxed);
		size_t end =
		    spread->to - from < PORTION ? spread->to : from + PORTION;

		if (from >= spread->to)
			break;
		for (size_t at = from; at < end && !err; at++) {
			uint32_t looked = 0;

			walk_prefetch(&part->walk, at);
			err = list_spread(spread, part, at, COP_OUT, &looked);
			if (!err)
				err = list_spread(spread, part, at, COP_IN,
						  &looked);
		}
	}
	return err;
}

/* Puts what a thread has found behind the rest, as far as there is room. */
static void part_take(const struct spread *spread, const struct part *part,
		      int keep)
{
	struct walk *walk = spread->walk;
	const struct cop_step *found = (const void *)part->found.data;
	size_t count = part->found.size / sizeof *found;

	walk->more |= part->walk.more;
	for (size_t i = 0; i < count; i++) {
		if (keep && walk->count < walk->capacity) {
			walk->steps[walk->count++] = found[i];
			continue;
		}
		seen_unset(walk, found[i].id);
		walk->more = 1;
	}
}

int spread_level(struct walk *walk, size_t from, size_t to)
{
	struct spread spread = {.walk = walk, .to = to};
	int code = env_read_warm(walk->read->env, walk->read->txn);

	if (code) {
		walk->err = error_system(code, "%s: cannot read",
					 walk->read->store->path);
		return 0;
	}
	spread.parts = calloc(walk->threads, sizeof *spread.parts);
	if (!spread.parts) {
		walk->err = no_memory();
		return 0;
	}
	atomic_store_explicit(&spread.next, from, memory_order_relaxed);
	for (uint32_t i = 0; i < walk->threads; i++) {
		read_copy(walk->read, &spread.parts[i].read);
		spread.parts[i].walk = *walk;
		spread.parts[i].walk.read = &spread.parts[i].read;
	}
	walk->err = threads_run(walk->threads, part_spread, &spread);
	for (uint32_t i = 0; i < walk->threads; i++) {
		part_take(&spread, &spread.parts[i], !walk->err);
		buffer_release(&spread.parts[i].found);
		read_copy_end(&spread.parts[i].read);
	}
	free(spread.parts);
	return !walk->err && !(walk->more && walk->count == walk->capacity);
}
