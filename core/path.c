/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shortest paths: breadth first from both ends at once.
 *
 * idea
 *	Each end has a queue of what it has seen, in the order of hops, and a
 *	bit for each id.  The end whose newest level has fewer entities goes
 *	on by one level, until it meets what the other end has seen.  If the
 *	two have come L and M hops far and not met, every path is longer than
 *	L + M: on a shorter one some entity would have been seen from both.
 *	So the first meeting is on a shortest path.
 *
 *	By weight it is another search (route.c).
 *
 *	In a graph of mean degree d it sees some 2 d^(n/2) entities for a path
 *	of n hops, and not d^n.
 *
 * progress
 *	No locks; edges are read in shared memory as a walk reads them.  The
 *	queues are allocated.
 */
#include "route.h"
#include "span.h"
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct trail {
	uint32_t id;
	uint32_t from; /* index in its queue */
	uint32_t relation;
	int32_t direction; /* of the edge, as this end went over it */
};

/* What one end has seen. */
struct end {
	struct trail *trails;
	size_t count;
	size_t room;
	size_t level;	/* where its newest level begins */
	uint64_t *seen; /* a bit an id */
	int32_t way;	/* enum cop_direction */
};

struct search {
	cop_read *read;
	struct graph_way way;
	struct end ends[2];
	uint64_t ids; /* bits there are */
	cop_err err;
	/* where the two have met: an edge from a trail of `near` */
	const struct end *near;
	struct trail
	    bridge; /* from: of near's trails; id: one of the other's */
};

static int seen_test(const struct end *end, uint64_t id)
{
	return (int)(end->seen[id / 64] >> (id % 64) & 1);
}

static int trail_push(struct end *end, struct trail trail)
{
	if (end->count == end->room) {
		size_t room = end->room ? end->room * 2 : 64;
		struct trail *more = realloc(end->trails, room * sizeof *more);

		if (!more)
			return ENOMEM;
		end->trails = more;
		end->room = room;
	}
	end->seen[trail.id / 64] |= UINT64_C(1) << (trail.id % 64);
	end->trails[end->count++] = trail;
	return 0;
}

/*
 * Over one of the lists of a trail; EEXIST if that meets the other end,
 * ECANCELED for search->err.
 */
static int list_follow(struct search *search, struct end *end, size_t at,
		       int32_t direction)
{
	const struct end *other =
	    end == search->ends ? &search->ends[1] : &search->ends[0];
	struct edge_cursor cursor;
	struct edge_name entry;
	int err = 0;

	if (!(end->way & direction))
		return 0;
	search->err =
	    graph_edges(search->read, end->trails[at].id, direction, &cursor);
	if (search->err)
		return ECANCELED;
	while (!err && edge_cursor_next(&cursor, &entry)) {
		struct trail trail = {entry.peer, (uint32_t)at, entry.relation,
				      direction};

		if ((search->way.relation &&
		     trail.relation != search->way.relation) ||
		    trail.id >= search->ids || seen_test(end, trail.id))
			continue;
		if (seen_test(other, trail.id)) {
			search->near = end;
			search->bridge = trail;
			return EEXIST;
		}
		err = trail_push(end, trail);
	}
	return err;
}

/* Goes on by one level. */
static int level_follow(struct search *search, struct end *end)
{
	size_t last = end->count;
	int err = 0;

	for (size_t at = end->level; at < last && !err; at++) {
		err = list_follow(search, end, at, COP_OUT);
		if (!err)
			err = list_follow(search, end, at, COP_IN);
	}
	end->level = last;
	return err;
}

/* EEXIST when the ends have met, 0 if they never will; or an error. */
static int ends_meet(struct search *search, uint64_t hops)
{
	struct end *ends = search->ends;
	int err = 0;

	while (!err && hops--) {
		size_t mine = ends[0].count - ends[0].level;
		size_t theirs = ends[1].count - ends[1].level;

		if (!mine || !theirs)
			return 0;
		err =
		    level_follow(search, mine <= theirs ? &ends[0] : &ends[1]);
	}
	return err;
}

/* ---- the path ----------------------------------------------------------- */

static uint32_t depth_of(const struct end *end, uint32_t at)
{
	uint32_t depth = 0;

	for (; at; at = end->trails[at].from)
		depth++;
	return depth;
}

static uint32_t trail_of(const struct end *end, uint64_t id)
{
	uint32_t at = 0;

	while (end->trails[at].id != id)
		at++;
	return at;
}

static void step_put(struct cop_step *steps, size_t capacity, uint32_t hops,
		     uint64_t id, uint32_t relation, int32_t direction)
{
	if (hops < capacity)
		steps[hops] =
		    (struct cop_step){id, hops - 1, relation, hops, direction};
}

static int32_t turned(int32_t direction)
{
	return direction == COP_OUT ? COP_IN : COP_OUT;
}

/* From the source's end to the bridge, over it, and on to the target. */
static size_t path_write(const struct search *search, struct cop_step *steps,
			 size_t capacity)
{
	const struct end *source = &search->ends[0];
	const struct end *target = &search->ends[1];
	struct trail bridge = search->bridge;
	int forth = search->near == source;
	uint32_t left = forth ? bridge.from : trail_of(source, bridge.id);
	uint32_t right = forth ? trail_of(target, bridge.id) : bridge.from;
	uint32_t hops = depth_of(source, left);
	uint32_t middle = hops + 1;

	for (uint32_t at = left; at; at = source->trails[at].from)
		step_put(steps, capacity, hops--, source->trails[at].id,
			 source->trails[at].relation,
			 source->trails[at].direction);
	step_put(steps, capacity, middle, target->trails[right].id,
		 bridge.relation,
		 forth ? bridge.direction : turned(bridge.direction));
	for (; right; right = target->trails[right].from) {
		const struct trail *trail = &target->trails[right];

		step_put(steps, capacity, ++middle,
			 target->trails[trail->from].id, trail->relation,
			 turned(trail->direction));
	}
	if (capacity)
		steps[0] = (struct cop_step){.id = source->trails[0].id};
	return middle + (size_t)1;
}

/* ---- the call ----------------------------------------------------------- */

static int end_open(struct end *end, uint64_t id, int32_t way, uint64_t ids)
{
	void *seen = mmap(NULL, ids / 8, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (seen == MAP_FAILED)
		return ENOMEM;
	end->seen = seen;
	end->way = way;
	return trail_push(end, (struct trail){.id = (uint32_t)id});
}

static void end_close(struct end *end, uint64_t ids)
{
	if (end->seen)
		munmap(end->seen, ids / 8);
	free(end->trails);
}

static cop_err path_find(struct search *search, const struct cop_path *path,
			 struct cop_step *steps, size_t capacity, size_t *count)
{
	int32_t way = search->way.direction;
	int err;

	search->ids = graph_ids(search->read);
	err = end_open(&search->ends[0], path->source, way, search->ids);
	if (!err)
		err =
		    end_open(&search->ends[1], path->target,
			     way == COP_BOTH ? way : turned(way), search->ids);
	if (!err)
		err = ends_meet(search, path->hops ? path->hops : UINT64_MAX);
	if (err == EEXIST)
		*count = path_write(search, steps, capacity);
	end_close(&search->ends[0], search->ids);
	end_close(&search->ends[1], search->ids);
	return err == ENOMEM ? error_system(err, "no memory for a path")
			     : search->err;
}

static cop_err path_run(cop_read *read, const struct cop_path *path,
			struct cop_step *steps, size_t capacity, size_t *count)
{
	struct search search = {.read = read};
	int from = 0;
	int to = 0;
	cop_err err;

	if (!path || path->size != sizeof *path)
		return error_set(COP_INVALID, "the path is of another size; "
					      "set .size to its sizeof");
	if (path->weight && path->hops)
		return error_set(COP_INVALID,
				 "a path by weight has as many hops as it is "
				 "cheapest with; leave hops at 0");
	err =
	    graph_way_make(read, path->relation, path->direction, &search.way);
	if (!err)
		err = graph_is_there(read, path->source, &from);
	if (!err)
		err = graph_is_there(read, path->target, &to);
	if (err)
		return err;
	*count = 0;
	if (!from || !to)
		return 0;
	if (path->weight)
		return route_find(read, &search.way, path, steps, capacity,
				  count);
	if (path->source == path->target) {
		*count = 1;
		if (capacity)
			steps[0] = (struct cop_step){.id = path->source};
		return 0;
	}
	return path_find(&search, path, steps, capacity, count);
}

cop_err cop_path(cop_read *read, const struct cop_path *path,
		 struct cop_step *steps, size_t capacity, size_t *count)
{
	cop_err err = read_check_idle(read);
	uint64_t begin_ns, since, took_ns;

	if (err)
		return err;
	begin_ns = trace_begin(read->store, COP_TRACE_WALK);
	since = span_walk(read);
	err = path_run(read, path, steps, capacity, count);
	span_end(read->store, TIMING_WALK, since, 1);
	if (!err && trace_due(read->store, COP_TRACE_WALK, begin_ns, &took_ns))
		trace_tell(read->store, COP_TRACE_WALK, took_ns,
			   "%s path from %llu to %llu: %zu steps",
			   path->weight ? "cheapest" : "shortest",
			   (unsigned long long)path->source,
			   (unsigned long long)path->target, *count);
	return err;
}
