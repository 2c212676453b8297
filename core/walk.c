/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks: breadth-first over the adjacency in the segment.
 *
 * idea
 *	The caller's array of steps is the queue.  A bit an id says who was
 *	seen; it belongs to the read and is cleared step by step afterwards,
 *	so a walk costs what it finds and not what the store holds.
 *	Edges carry the commits between which they live, so the lists are
 *	read at the snapshot without asking LMDB; an entity that is deleted
 *	takes its edges with it.  A read as of the past asks LMDB for the lists
 *	that have changed since.
 *
 * progress
 *	No allocation, no system call; the bits' pages are touched as needed.
 */
#include "walk.h"
#include "probe.h"
#include "span.h"
#include "trace.h"

#include <errno.h>

enum { QUICK_HOPS = 2 };

static void seen_clear(const struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		walk->read->visited[walk->steps[i].id / 64] = 0;
}

int walk_may_go(struct walk *walk, const struct cop_step *to)
{
	const struct cop_walk *wanted = walk->wanted;
	const struct disk_entity *head;
	struct bytes record;
	int32_t answer;

	if (walk->nobody)
		return 0;
	if (walk->type || walk->tag) {
		walk->err = read_entity_record(walk->read, to->id, &record);
		head = record.data;
		if (walk->err || !head ||
		    (walk->type && head->type != walk->type) ||
		    (walk->tag && !codec_has_tag(head, walk->tag)))
			return 0;
	}
	if (!wanted->accept)
		return 1;
	walk->read->testing++;
	answer = wanted->accept(wanted->user, walk->read, to,
				walk->steps[to->from].id);
	walk->read->testing--;
	return answer != 0;
}

/* Goes from one step over one of its lists; 0: no further. */
static int list_walk(struct walk *walk, size_t at, int32_t direction,
		     uint32_t *looked)
{
	uint32_t hops = walk->steps[at].hops + 1;
	uint64_t ids = walk->read->visited_bytes * 8;
	struct edge_cursor cursor;
	struct edge_name entry;

	walk->err =
	    graph_edges(walk->read, walk->steps[at].id, direction, &cursor);
	if (walk->err)
		return 0;
	while (edge_cursor_next(&cursor, &entry)) {
		if (walk->way.relation && entry.relation != walk->way.relation)
			continue;
		if (walk->wanted->degree_limit &&
		    *looked >= walk->wanted->degree_limit) {
			walk->more = 1;
			return 1;
		}
		++*looked;
		if (entry.peer >= ids || seen_set(walk, entry.peer))
			continue;
		if (walk->is_filtered &&
		    !walk_may_go(walk, &(struct cop_step){
					   entry.peer, (uint32_t)at,
					   entry.relation, hops, direction})) {
			seen_unset(walk, entry.peer);
			if (walk->err)
				return 0;
			continue;
		}
		if (walk->count == walk->capacity) {
			seen_unset(walk, entry.peer);
			walk->more = 1;
			return 0;
		}
		walk->steps[walk->count++] = (struct cop_step){
		    entry.peer, (uint32_t)at, entry.relation, hops, direction};
	}
	return 1;
}

/* The steps of one level, one after the other; 0: no further. */
static int level_walk(struct walk *walk, size_t from, size_t to)
{
	for (size_t at = from; at < to; at++) {
		uint32_t looked = 0;

		walk_prefetch(walk, at);
		if (walk->way.direction & COP_OUT &&
		    !list_walk(walk, at, COP_OUT, &looked))
			return 0;
		if (walk->way.direction & COP_IN &&
		    !list_walk(walk, at, COP_IN, &looked))
			return 0;
	}
	return 1;
}

static void steps_walk(struct walk *walk)
{
	size_t from = 0;
	int more = 1;

	for (uint32_t hops = 0;
	     more && from < walk->count && hops < walk->wanted->hops; hops++) {
		size_t to = walk->count;

		more = walk->threads > 1 && to - from >= SPREAD_LEAST
			   ? spread_level(walk, from, to)
			   : level_walk(walk, from, to);
		from = to;
	}
}

static cop_err walk_check(struct walk *walk)
{
	const struct cop_walk *wanted = walk->wanted;

	if (!wanted || wanted->size != sizeof *wanted)
		return error_set(COP_INVALID, "the walk is of another size; "
					      "set .size to its sizeof");
	if (wanted->hops > COP_HOPS_MAX && wanted->hops != COP_HOPS_ALL)
		return error_set(COP_INVALID, "%u hops; there may be %d",
				 wanted->hops, COP_HOPS_MAX);
	if (!walk->capacity || walk->capacity > UINT32_MAX)
		return error_set(COP_INVALID,
				 "room for %zu steps; it may be for 1 to "
				 "4,294,967,295",
				 walk->capacity);
	return graph_way_make(walk->read, wanted->relation, wanted->direction,
			      &walk->way);
}

/* *number stays 0 for no name; one never seen: nobody has it. */
static cop_err name_want(struct walk *walk, enum name_space space,
			 const char *name, uint32_t *number)
{
	cop_err err;

	if (!name)
		return 0;
	err = read_symbol(walk->read, space, name, strlen(name), number);
	walk->nobody |= !*number;
	return err;
}

static cop_err filters_init(struct walk *walk)
{
	const struct cop_walk *wanted = walk->wanted;
	cop_err err = name_want(walk, NAME_TYPE, wanted->type, &walk->type);

	walk->is_filtered = wanted->type || wanted->tag || wanted->accept;
	/* the caller's test is for the calling thread */
	walk->threads =
	    wanted->accept ? 1 : threads_for(wanted->threads, COP_THREAD_MAX);
	return err ? err : name_want(walk, NAME_TAG, wanted->tag, &walk->tag);
}

/* A clock takes as long as a short walk, which is never slow. */
static uint64_t walk_begin(const cop_store *store,
			   const struct cop_walk *wanted)
{
	return wanted->hops > QUICK_HOPS || trace_is_on(store, COP_TRACE_WALK)
		   ? trace_begin(store, COP_TRACE_WALK)
		   : 0;
}

static cop_err walk_run(cop_read *read, const struct cop_walk *wanted,
			struct cop_step *steps, size_t capacity, size_t *count,
			int32_t *more)
{
	struct walk walk = {.read = read,
			    .wanted = wanted,
			    .steps = steps,
			    .capacity = capacity};
	uint64_t begin_ns, took_ns;
	int there;
	cop_err err = walk_check(&walk);

	if (err)
		return err;
	begin_ns = walk_begin(read->store, wanted);
	err = filters_init(&walk);
	if (!err)
		err = graph_is_there(read, wanted->start, &there);
	if (err)
		return err;
	if (there && !read->visited && read_rooms_map(read))
		return error_system(ENOMEM, "no memory for a walk");
	if (there) {
		steps[0] = (struct cop_step){.id = wanted->start};
		walk.count = 1;
		(void)seen_set(&walk, wanted->start);
		steps_walk(&walk);
		seen_clear(&walk);
	}
	if (walk.err)
		return walk.err;
	if (trace_due(read->store, COP_TRACE_WALK, begin_ns, &took_ns))
		trace_tell(read->store, COP_TRACE_WALK, took_ns,
			   "%u hops from %llu: %zu steps", wanted->hops,
			   (unsigned long long)wanted->start, walk.count);
	PROBE2(walk, wanted->hops, walk.count);
	*count = walk.count;
	if (more)
		*more = walk.more;
	return 0;
}

cop_err cop_walk(cop_read *read, const struct cop_walk *wanted,
		 struct cop_step *steps, size_t capacity, size_t *count,
		 int32_t *more)
{
	cop_err err = read_check_idle(read);
	uint64_t since;

	if (err)
		return err;
	since = span_walk(read);
	err = walk_run(read, wanted, steps, capacity, count, more);
	span_end(read->store, TIMING_WALK, since, 1);
	return err;
}
