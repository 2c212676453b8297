/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: a path is made of edges that the snapshot has, none is shorter by a
 * plain search of the same graph, and none is found where there is none; an
 * entity's neighbours are those that it has there, also when many ask at once.
 */
#include "fixture.h"

enum { NODES = 60, RELATIONS = 3, STATES = 12, PAIRS = 150 };

static const char *const relations[] = {"a", "b", "c"};

struct world {
	struct fixture f;
	uint64_t seed;
	unsigned char has[NODES][NODES][RELATIONS];
	unsigned char there[NODES];
	uint64_t ids[NODES];
};

/* What a path may go over. */
struct wish {
	int relation; /* RELATIONS: any */
	int32_t direction;
	uint32_t hops;
};

static const char *name_of(int node)
{
	static char name[16];

	snprintf(name, sizeof name, "n%d", node);
	return name;
}

static void edge_flip(struct world *w, cop_write *write, int from, int to,
		      int relation)
{
	char source[16];
	unsigned char *has = &w->has[from][to][relation];

	snprintf(source, sizeof source, "%s", name_of(from));
	if (!w->there[from] || !w->there[to])
		return;
	if (*has)
		must(cop_delete_edge(write, source, strlen(source),
				     relations[relation], 1, name_of(to),
				     strlen(name_of(to))),
		     "delete edge");
	else
		must(link_simple(write, source, relations[relation],
				 name_of(to)),
		     "edge");
	*has = !*has;
}

static void node_delete(struct world *w, cop_write *write, int node)
{
	must(cop_delete(write, name_of(node), strlen(name_of(node))), "delete");
	w->there[node] = 0;
	for (int i = 0; i < NODES; i++)
		for (int r = 0; r < RELATIONS; r++)
			w->has[node][i][r] = w->has[i][node][r] = 0;
}

static void state_change(struct world *w, int edges)
{
	cop_write *write = write_of(&w->f);
	cop_read *read;

	for (int i = 0; i < NODES; i++)
		if (!w->there[i]) {
			put_simple(write, name_of(i), NULL, NULL, 0);
			w->there[i] = 1;
		}
	for (int i = 0; i < edges; i++)
		edge_flip(w, write, (int)test_below(&w->seed, NODES),
			  (int)test_below(&w->seed, NODES),
			  (int)test_below(&w->seed, RELATIONS));
	node_delete(w, write, (int)test_below(&w->seed, NODES));
	commit_of(write);
	read = read_of(&w->f);
	for (int i = 0; i < NODES; i++)
		w->ids[i] = lookup(read, name_of(i));
	cop_read_end(read);
}

/* Whether one step may lead from one node to another. */
static int leads(const struct world *w, const struct wish *wish, int from,
		 int to)
{
	for (int r = 0; r < RELATIONS; r++) {
		if (wish->relation < RELATIONS && r != wish->relation)
			continue;
		if ((wish->direction & COP_OUT && w->has[from][to][r]) ||
		    (wish->direction & COP_IN && w->has[to][from][r]))
			return 1;
	}
	return 0;
}

/* Edges of a shortest path, NODES if there is none. */
static uint32_t distance_of(const struct world *w, const struct wish *wish,
			    int from, int to)
{
	int queue[NODES] = {from};
	uint32_t far[NODES];
	int count = 1;

	for (int i = 0; i < NODES; i++)
		far[i] = NODES;
	if (!w->there[from] || !w->there[to])
		return NODES;
	far[from] = 0;
	for (int at = 0; at < count; at++)
		for (int i = 0; i < NODES; i++)
			if (far[i] == NODES && leads(w, wish, queue[at], i)) {
				far[i] = far[queue[at]] + 1;
				queue[count++] = i;
			}
	return wish->hops && far[to] > wish->hops ? NODES : far[to];
}

static int node_of(const struct world *w, uint64_t id)
{
	int node = 0;

	while (node < NODES && w->ids[node] != id)
		node++;
	return node;
}

/* Whether a step's edge is there, of the relation that it tells. */
static int step_holds(const struct world *w, cop_read *read,
		      const struct cop_step *steps, size_t at,
		      const struct wish *wish)
{
	const struct cop_step *step = &steps[at];
	int from = node_of(w, steps[at - 1].id);
	int to = node_of(w, step->id);
	const char *name;
	size_t size;

	must(cop_name(read, step->relation, &name, &size), "name");
	return from < NODES && to < NODES && step->from == at - 1 &&
	       step->hops == at && step->direction & wish->direction &&
	       (wish->relation == RELATIONS || *name == 'a' + wish->relation) &&
	       (step->direction == COP_OUT ? w->has[from][to][*name - 'a']
					   : w->has[to][from][*name - 'a']);
}

/* Asks for a path and compares; returns whether something is wrong. */
static int path_is_wrong(const struct world *w, cop_read *read, int from,
			 int to, const struct wish *wish)
{
	struct cop_path path = {.size = sizeof path,
				.hops = wish->hops,
				.source = w->ids[from],
				.target = w->ids[to],
				.relation = wish->relation < RELATIONS
						? relations[wish->relation]
						: NULL,
				.direction = wish->direction};
	struct cop_step steps[NODES + 1];
	uint32_t want = distance_of(w, wish, from, to);
	size_t count = 4711;
	size_t again = 0;

	must(cop_path(read, &path, steps, NODES + 1, &count), "path");
	if (want == NODES)
		return count != 0;
	if (count != want + 1 || steps[0].id != w->ids[from] ||
	    steps[want].id != w->ids[to])
		return 1;
	for (size_t i = 1; i < count; i++)
		if (!step_holds(w, read, steps, i, wish))
			return 1;
	/* room for less is told, and what is beyond it is not touched */
	steps[count / 2].id = 4711;
	must(cop_path(read, &path, steps, count / 2, &again), "path");
	return again != count || steps[count / 2].id != 4711;
}

/* Edges of a node by the plain graph, and whether the list has just these. */
static int neighbors_are_wrong(const struct world *w, cop_read *read, int node,
			       const struct wish *wish)
{
	enum { MOST = 2 * NODES * RELATIONS };
	static struct cop_neighbor list[MOST];
	unsigned char left[2][NODES][RELATIONS] = {0};
	size_t want = 0;
	size_t count = 0;
	size_t again = 0;

	for (int i = 0; i < NODES; i++)
		for (int r = 0; r < RELATIONS; r++) {
			if (wish->relation < RELATIONS && r != wish->relation)
				continue;
			left[0][i][r] =
			    wish->direction & COP_OUT ? w->has[node][i][r] : 0;
			left[1][i][r] =
			    wish->direction & COP_IN ? w->has[i][node][r] : 0;
			want += left[0][i][r] + (size_t)left[1][i][r];
		}
	must(cop_neighbors(
		 read, w->ids[node],
		 wish->relation < RELATIONS ? relations[wish->relation] : NULL,
		 wish->direction, list, MOST, &count),
	     "neighbors");
	must(cop_neighbors(
		 read, w->ids[node],
		 wish->relation < RELATIONS ? relations[wish->relation] : NULL,
		 wish->direction, NULL, 0, &again),
	     "neighbors");
	for (size_t i = 0; i < count && i < MOST; i++) {
		int other = node_of(w, list[i].id);
		const char *name;
		size_t size;

		must(cop_name(read, list[i].relation, &name, &size), "name");
		if (other == NODES ||
		    !left[list[i].direction == COP_IN][other][*name - 'a']--)
			return 1;
	}
	return count != want || again != want;
}

/* Whether lists asked for together are those asked for one by one. */
static int many_are_wrong(struct world *w, cop_read *read,
			  const struct wish *wish)
{
	enum { IDS = 40, MOST = 2 * NODES * RELATIONS, ALL = IDS * MOST + 1 };
	static struct cop_neighbor list[ALL];
	static struct cop_neighbor one[MOST];
	const char *relation =
	    wish->relation < RELATIONS ? relations[wish->relation] : NULL;
	size_t count = test_below(&w->seed, IDS + 1);
	size_t starts[IDS + 1];
	size_t again[IDS + 1];
	uint64_t ids[IDS] = {0};
	size_t some;
	size_t end = 0;

	for (size_t i = 0; i < count; i++) /* one of nobody among them */
		ids[i] = test_below(&w->seed, 20)
			     ? w->ids[test_below(&w->seed, NODES)]
			     : test_below(&w->seed, UINT64_MAX) >>
				   test_below(&w->seed, 64);
	must(cop_neighbors_many(read, ids, count, relation, wish->direction,
				list, ALL, starts),
	     "many");
	for (size_t i = 0; i < count; i++) {
		size_t wanted;

		must(cop_neighbors(read, ids[i], relation, wish->direction, one,
				   MOST, &wanted),
		     "neighbors");
		if (starts[i] != end || starts[i + 1] - end != wanted ||
		    memcmp(list + end, one, wanted * sizeof *one) != 0)
			return 1;
		end += wanted;
	}
	/* room for less is told, and what is beyond it is not touched */
	some = test_below(&w->seed, end + 1);
	memcpy(one, list, some < MOST ? some * sizeof *one : sizeof one);
	memset(list, 0xee, sizeof list);
	must(cop_neighbors_many(read, ids, count, relation, wish->direction,
				list, some, again),
	     "many");
	return starts[count] != end ||
	       memcmp(starts, again, (count + 1) * sizeof *starts) != 0 ||
	       memcmp(one, list,
		      some < MOST ? some * sizeof *one : sizeof one) != 0 ||
	       list[some].direction != (int32_t)0xeeeeeeee;
}

static uint32_t pairs_ask(struct world *w, cop_read *read)
{
	uint32_t wrong = 0;

	for (int i = 0; i < PAIRS; i++) {
		struct wish wish = {
		    .relation = (int)test_below(&w->seed, RELATIONS + 1),
		    .direction = (int32_t)test_below(&w->seed, 3) + 1,
		    .hops = (uint32_t)test_below(&w->seed, 4)};

		wrong += (uint32_t)neighbors_are_wrong(
		    w, read, (int)test_below(&w->seed, NODES), &wish);
		wrong += (uint32_t)many_are_wrong(w, read, &wish);
		wrong += (uint32_t)path_is_wrong(
		    w, read, (int)test_below(&w->seed, NODES),
		    (int)test_below(&w->seed, NODES), &wish);
	}
	return wrong;
}

static void paths_are_the_shortest(int edges)
{
	static struct world w;
	static struct world before;
	cop_read *old = NULL;
	uint32_t wrong = 0;
	uint32_t stale = 0;

	memset(&w, 0, sizeof w);
	w.seed = test_seed();
	fixture_init(&w.f, 0, COP_COSINE);
	for (int i = 0; i < STATES; i++) {
		cop_read *read;

		state_change(&w, edges);
		read = read_of(&w.f);
		wrong += pairs_ask(&w, read);
		if (old) {
			before.seed = w.seed;
			stale += pairs_ask(&before, old);
			cop_read_end(old);
		}
		old = read;
		before = w;
	}
	cop_read_end(old);
	is_u64(wrong, 0,
	       "%d edges changed at a time: paths are the shortest, "
	       "neighbours all that there are",
	       edges);
	is_u64(stale, 0, "and those of an older snapshot are its own");
	fixture_release(&w.f);
}

static void what_cannot_be_is_refused(void)
{
	struct cop_path path = {.size = sizeof path};
	struct cop_step step;
	struct fixture f;
	cop_write *write;
	cop_read *read;
	size_t starts[1];
	size_t count = 1;

	fixture_init(&f, 0, COP_COSINE);
	write = write_of(&f);
	put_simple(write, "alone", NULL, NULL, 0);
	commit_of(write);
	read = read_of(&f);
	path.source = path.target = lookup(read, "alone");
	ok(!cop_path(read, &path, &step, 1, &count) && count == 1 &&
	       step.id == path.source && !step.hops,
	   "the path to oneself has one step");
	path.target = 999;
	ok(!cop_path(read, &path, &step, 1, &count) && !count,
	   "to nobody there is none");
	path.direction = 4;
	is_int(cop_path(read, &path, &step, 1, &count), COP_INVALID,
	       "a fourth direction is refused: %s", cop_last_error());
	starts[0] = 7;
	is_int(cop_neighbors_many(read, NULL, 0, NULL, 4, NULL, 0, starts),
	       COP_INVALID, "of neighbours, too");
	is_u64(starts[0], 7, "which says nothing");
	is_int(
	    cop_neighbors_many(read, NULL, SIZE_MAX, NULL, 0, NULL, 0, starts),
	    COP_INVALID, "so are more entities than there can be");
	is_u64(starts[0], 7, "which says nothing either");
	is_int(cop_neighbors_many(read, NULL, 0, NULL, 0, NULL, 0, starts), 0,
	       "of nobody");
	is_u64(starts[0], 0, "there are none");
	path.direction = 0;
	path.relation = "unheard of";
	is_int(cop_path(read, &path, &step, 1, &count), COP_NO_NAME,
	       "so is a relation there never was");
	path.size = 1;
	is_int(cop_path(read, &path, &step, 1, &count), COP_INVALID,
	       "and a path of another size");
	cop_read_end(read);
	fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	paths_are_the_shortest(25);
	paths_are_the_shortest(80);
	paths_are_the_shortest(300);
	what_cannot_be_is_refused();
	return done_testing();
}
