/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All paths from one entity to another, up to a length.
 *
 * idea
 *	First backwards from the target, level by level: how far each entity
 *	is from it.  Then forth from the source, depth first, only to whom the
 *	target is near enough for the hops that are left, and to nobody twice
 *	on one path.  So every step taken leads on, unless all ways on from it
 *	cross the path itself.
 *
 * order
 *	In that of the lists; a path and its beginnings' others in turn.
 */
#include "graph.h"
#include "span.h"
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* An edge that may be the path's next. */
struct branch {
	uint32_t id;
	uint32_t relation;
	int32_t direction;
};

struct paths {
	cop_read *read;
	struct graph_way way;
	const struct cop_path *wanted;
	unsigned char *far; /* hops to the target plus 1, by id; 0: too far */
	uint64_t ids;
	struct buffer queue;	/* u32, whom the target is near to */
	struct buffer branches; /* of all levels, one behind the other */
	struct cop_step steps[COP_HOPS_MAX + 1];
	cop_paths_visit *visit;
	void *user;
	uint64_t told;
};

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for paths");
}

/* ---- backwards ---------------------------------------------------------- */

static int32_t turned(int32_t direction)
{
	return direction == COP_BOTH  ? COP_BOTH
	       : direction == COP_OUT ? COP_IN
				      : COP_OUT;
}

static cop_err far_set(struct paths *paths, uint32_t id, uint32_t hops)
{
	if (id >= paths->ids || paths->far[id])
		return 0;
	paths->far[id] = (unsigned char)(hops + 1);
	return buffer_put(&paths->queue, &id, sizeof id) ? no_memory() : 0;
}

static cop_err list_back(struct paths *paths, uint32_t id, int32_t direction)
{
	struct edge_cursor cursor;
	struct edge_name entry;
	uint32_t hops = paths->far[id];
	cop_err err;

	if (!(turned(paths->way.direction) & direction))
		return 0;
	err = graph_edges(paths->read, id, direction, &cursor);
	while (!err && edge_cursor_next(&cursor, &entry))
		if (!paths->way.relation ||
		    entry.relation == paths->way.relation)
			err = far_set(paths, entry.peer, hops);
	return err;
}

static cop_err far_learn(struct paths *paths)
{
	cop_err err = far_set(paths, (uint32_t)paths->wanted->target, 0);

	for (size_t at = 0; !err && at < paths->queue.size;
	     at += sizeof(uint32_t)) {
		uint32_t id;

		memcpy(&id, paths->queue.data + at, sizeof id);
		if (paths->far[id] > paths->wanted->hops)
			break;
		err = list_back(paths, id, COP_OUT);
		if (!err)
			err = list_back(paths, id, COP_IN);
	}
	return err;
}

/* ---- forth -------------------------------------------------------------- */

static int is_on_path(const struct paths *paths, uint32_t hops, uint32_t id)
{
	for (uint32_t i = 0; i <= hops; i++)
		if (paths->steps[i].id == id)
			return 1;
	return 0;
}

/* Adds where the path may go on to from its entity at `hops`. */
static cop_err list_branch(struct paths *paths, uint32_t hops,
			   int32_t direction)
{
	uint32_t left = paths->wanted->hops - hops - 1;
	struct edge_cursor cursor;
	struct edge_name entry;
	cop_err err;

	if (!(paths->way.direction & direction))
		return 0;
	err =
	    graph_edges(paths->read, paths->steps[hops].id, direction, &cursor);
	while (!err && edge_cursor_next(&cursor, &entry)) {
		struct branch branch = {entry.peer, entry.relation, direction};

		if ((paths->way.relation &&
		     entry.relation != paths->way.relation) ||
		    entry.peer >= paths->ids || !paths->far[entry.peer] ||
		    paths->far[entry.peer] - 1u > left ||
		    is_on_path(paths, hops, entry.peer))
			continue;
		if (buffer_put(&paths->branches, &branch, sizeof branch))
			err = no_memory();
	}
	return err;
}

static cop_err path_tell(struct paths *paths, uint32_t hops)
{
	paths->told++;
	error_clear();
	return error_answer(paths->visit(paths->user, paths->read, paths->steps,
					 hops + (size_t)1));
}

/* Branches of one level: where they begin, and which is next. */
struct level {
	size_t begin;
	size_t next;
};

static cop_err level_open(struct paths *paths, uint32_t hops,
			  struct level *level)
{
	cop_err err = 0;

	level->begin = paths->branches.size;
	level->next = level->begin;
	if (paths->steps[hops].id == paths->wanted->target ||
	    hops == paths->wanted->hops)
		return 0; /* it ends here */
	err = list_branch(paths, hops, COP_OUT);
	return err ? err : list_branch(paths, hops, COP_IN);
}

/* Depth first, with a level of branches for each step of the path. */
static cop_err paths_walk(struct paths *paths)
{
	struct level levels[COP_HOPS_MAX + 1];
	uint32_t hops = 0;
	cop_err err;

	paths->steps[0] = (struct cop_step){.id = paths->wanted->source};
	err = level_open(paths, 0, &levels[0]);
	while (!err) {
		struct level *level = &levels[hops];
		struct branch branch;

		if (level->next >= paths->branches.size) {
			paths->branches.size = level->begin;
			if (!hops--)
				break;
			continue;
		}
		memcpy(&branch, paths->branches.data + level->next,
		       sizeof branch);
		level->next += sizeof branch;
		hops++;
		paths->steps[hops] =
		    (struct cop_step){branch.id, hops - 1, branch.relation,
				      hops, branch.direction};
		if (branch.id == paths->wanted->target)
			err = path_tell(paths, hops);
		if (!err)
			err = level_open(paths, hops, &levels[hops]);
	}
	return err;
}

/* ---- the call ----------------------------------------------------------- */

static cop_err paths_run(struct paths *paths)
{
	cop_err err;
	void *far;

	paths->ids = graph_ids(paths->read);
	far = mmap(NULL, paths->ids, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (far == MAP_FAILED)
		return no_memory();
	paths->far = far;
	err = far_learn(paths);
	if (!err && paths->wanted->source == paths->wanted->target) {
		paths->steps[0] =
		    (struct cop_step){.id = paths->wanted->source};
		err = path_tell(paths, 0);
	} else if (!err) {
		err = paths_walk(paths);
	}
	munmap(far, paths->ids);
	buffer_release(&paths->queue);
	buffer_release(&paths->branches);
	return err;
}

static cop_err paths_make(struct paths *paths)
{
	const struct cop_path *path = paths->wanted;
	cop_read *read = paths->read;
	uint64_t since = span_walk(read);
	int from = 0;
	int to = 0;
	cop_err err =
	    graph_way_make(read, path->relation, path->direction, &paths->way);

	if (!err)
		err = graph_is_there(read, path->source, &from);
	if (!err)
		err = graph_is_there(read, path->target, &to);
	if (!err && from && to)
		err = paths_run(paths);
	span_end(read->store, TIMING_WALK, since, 1);
	return err;
}

static void paths_trace(const struct paths *paths, uint64_t begin_ns)
{
	const struct cop_path *path = paths->wanted;
	cop_store *store = paths->read->store;
	uint64_t took_ns;

	if (trace_due(store, COP_TRACE_WALK, begin_ns, &took_ns))
		trace_tell(store, COP_TRACE_WALK, took_ns,
			   "paths from %llu to %llu of up to %u hops: %llu",
			   (unsigned long long)path->source,
			   (unsigned long long)path->target, path->hops,
			   (unsigned long long)paths->told);
}

cop_err cop_paths(cop_read *read, const struct cop_path *path,
		  cop_paths_visit *visit, void *user)
{
	struct paths *paths;
	uint64_t begin_ns;
	cop_err err = read_check_idle(read);

	if (!err && (!path || path->size != sizeof *path))
		err = error_set(COP_INVALID, "the path is of another size; "
					     "set .size to its sizeof");
	if (!err && (!path->hops || path->hops > COP_HOPS_MAX))
		err = error_set(COP_INVALID,
				"all paths of up to %u hops; there may be 1 to "
				"%d",
				path->hops, COP_HOPS_MAX);
	if (!err && path->weight)
		err = error_set(COP_INVALID, "all paths have no order by "
					     "weight; leave it out");
	if (err)
		return err;
	paths = calloc(1, sizeof *paths);
	if (!paths)
		return no_memory();
	paths->read = read;
	paths->wanted = path;
	paths->visit = visit;
	paths->user = user;
	begin_ns = trace_begin(read->store, COP_TRACE_WALK);
	err = paths_make(paths);
	if (!err || err == COP_STOPPED)
		paths_trace(paths, begin_ns);
	free(paths);
	return err;
}
