/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: cheapest paths cost what a plain search of the same graph says, all
 * paths are all that there are, walks go only where their filters let them, and
 * a search's context is what walks from its hits find; now, and as of before.
 */
#include "fixture.h"

#include <math.h>

enum { NODES = 40, EDGES = 110, DIM = 2, HOPS = 4 };

static const char *const types[] = {"a", "b"};
static const char *const relations[] = {"r", "s"};

struct edge {
	int from;
	int to;
	int relation;
	double weight; /* negative: it has none */
};

struct graph {
	struct edge edges[EDGES];
	int count;
};

struct world {
	struct fixture f;
	uint64_t seed;
	struct graph graph;
	uint64_t ids[NODES];
	float vectors[NODES][DIM];
	int wrong;
};

static const char *name_of(int node)
{
	static char names[2][8];
	static int turn;
	char *name = names[turn++ % 2];

	snprintf(name, sizeof names[0], "n%02d", node);
	return name;
}

static int type_of(int node)
{
	return node % 3 == 0;
}

static int has_tag(int node)
{
	return node % 4 != 1;
}

static int node_of(const struct world *w, uint64_t id)
{
	for (int i = 0; i < NODES; i++)
		if (w->ids[i] == id)
			return i;
	return NODES;
}

/* ---- the graph ---------------------------------------------------------- */

static void nodes_put(struct world *w, cop_write *write)
{
	static const char *const tags[] = {"t"};

	for (int i = 0; i < NODES; i++) {
		struct cop_put put = {.size = sizeof put,
				      .key = name_of(i),
				      .key_size = 3,
				      .type = types[type_of(i)],
				      .type_size = 1,
				      .tags = tags,
				      .tag_count = (uint32_t)has_tag(i),
				      .vector = w->vectors[i],
				      .dim = DIM};

		for (int k = 0; k < DIM; k++)
			w->vectors[i][k] = (float)test_gaussian(&w->seed);
		must(cop_put(write, &put), "put");
	}
}

/* Some weights are whole numbers, some are none. */
static void edge_put(cop_write *write, const struct edge *edge)
{
	struct cop_property property = {
	    "w", 1, {.kind = COP_FLOAT, .real = edge->weight}};
	struct cop_put_edge put = {.size = sizeof put,
				   .source = name_of(edge->from),
				   .source_size = 3,
				   .relation = relations[edge->relation],
				   .relation_size = 1,
				   .target = name_of(edge->to),
				   .target_size = 3,
				   .properties = &property,
				   .property_count = edge->weight >= 0};

	if (edge->weight == floor(edge->weight)) {
		property.value.kind = COP_INT;
		property.value.integer = (int64_t)edge->weight;
	}
	must(cop_put_edge(write, &put), "edge");
}

static int is_there(const struct graph *graph, const struct edge *edge)
{
	for (int i = 0; i < graph->count; i++)
		if (graph->edges[i].from == edge->from &&
		    graph->edges[i].to == edge->to &&
		    graph->edges[i].relation == edge->relation)
			return 1;
	return 0;
}

static void edges_put(struct world *w, cop_write *write)
{
	while (w->graph.count < EDGES) {
		struct edge *edge = &w->graph.edges[w->graph.count];
		uint64_t kind = test_below(&w->seed, 4);

		edge->from = (int)test_below(&w->seed, NODES);
		edge->to = (int)test_below(&w->seed, NODES);
		edge->relation = (int)test_below(&w->seed, 2);
		edge->weight = kind == 0   ? -1
			       : kind == 1 ? (double)test_below(&w->seed, 5)
					   : test_uniform(&w->seed) * 3;
		if (is_there(&w->graph, edge))
			continue;
		edge_put(write, edge);
		w->graph.count++;
	}
}

/* Half of the edges go. */
static void edges_delete(struct world *w, cop_write *write)
{
	int kept = 0;

	for (int i = 0; i < w->graph.count; i++) {
		struct edge edge = w->graph.edges[i];

		if (test_below(&w->seed, 2)) {
			w->graph.edges[kept++] = edge;
			continue;
		}
		must(cop_delete_edge(write, name_of(edge.from), 3,
				     relations[edge.relation], 1,
				     name_of(edge.to), 3),
		     "delete edge");
	}
	w->graph.count = kept;
}

/* ---- cheapest ----------------------------------------------------------- */

/* What a path may go over: relation 2 is any. */
struct wish {
	int relation;
	int32_t direction;
};

static double cost_of(const struct edge *edge)
{
	return edge->weight < 0 ? 1 : edge->weight;
}

/* Costs from a node to all, by as many rounds as it takes. */
static void costs_from(const struct graph *graph, const struct wish *wish,
		       int from, double *costs)
{
	int changed = 1;

	for (int i = 0; i < NODES; i++)
		costs[i] = i == from ? 0 : INFINITY;
	while (changed) {
		changed = 0;
		for (int i = 0; i < graph->count; i++) {
			const struct edge *edge = &graph->edges[i];
			double cost = cost_of(edge);
			double *a = &costs[edge->from];
			double *b = &costs[edge->to];

			if (wish->relation < 2 &&
			    wish->relation != edge->relation)
				continue;
			if (wish->direction & COP_OUT && *a + cost < *b) {
				*b = *a + cost;
				changed = 1;
			}
			if (wish->direction & COP_IN && *b + cost < *a) {
				*a = *b + cost;
				changed = 1;
			}
		}
	}
}

/* The cheapest edge that a step may have gone over; infinite if none. */
static double step_cost(struct world *w, cop_read *read,
			const struct graph *graph, const struct wish *wish,
			uint64_t from, const struct cop_step *step)
{
	int a = node_of(w, step->direction == COP_OUT ? from : step->id);
	int b = node_of(w, step->direction == COP_OUT ? step->id : from);
	double cost = INFINITY;
	const char *name;
	size_t size;

	must(cop_name(read, step->relation, &name, &size), "name");
	for (int i = 0; i < graph->count; i++) {
		const struct edge *edge = &graph->edges[i];

		if (edge->from == a && edge->to == b &&
		    relations[edge->relation][0] == name[0] &&
		    step->direction & wish->direction &&
		    (wish->relation == 2 || wish->relation == edge->relation))
			cost = fmin(cost, cost_of(edge));
	}
	return cost;
}

static void cheapest_compare(struct world *w, cop_read *read,
			     const struct graph *graph)
{
	for (int round = 0; round < 300; round++) {
		int from = (int)test_below(&w->seed, NODES);
		int to = (int)test_below(&w->seed, NODES);
		struct wish wish = {(int)test_below(&w->seed, 3),
				    1 + (int32_t)test_below(&w->seed, 3)};
		double cost = -1;
		struct cop_path path = {
		    .size = sizeof path,
		    .source = w->ids[from],
		    .target = w->ids[to],
		    .relation =
			wish.relation < 2 ? relations[wish.relation] : NULL,
		    .direction = wish.direction,
		    .weight = "w",
		    .cost = &cost};
		struct cop_step steps[NODES];
		double costs[NODES];
		double sum = 0;
		size_t count;

		costs_from(graph, &wish, from, costs);
		must(cop_path(read, &path, steps, NODES, &count), "path");
		for (size_t i = 1; i < count; i++)
			sum += step_cost(w, read, graph, &wish, steps[i - 1].id,
					 &steps[i]);
		if (!count && isinf(costs[to]))
			continue;
		w->wrong += !count || fabs(cost - costs[to]) > 1e-9 ||
			    fabs(sum - cost) > 1e-9 ||
			    steps[0].id != w->ids[from] ||
			    steps[count - 1].id != w->ids[to];
	}
}

/* ---- all paths ---------------------------------------------------------- */

struct listing {
	struct world *w;
	cop_read *read;
	const struct graph *graph;
	struct wish wish;
	int from;
	int to;
	int count;
};

/* Each is a path, and none comes twice in a row. */
static int32_t path_seen(void *user, cop_read *read,
			 const struct cop_step *steps, size_t count)
{
	struct listing *listing = user;
	struct world *w = listing->w;
	int wrong = count > HOPS + 1 || steps[0].id != w->ids[listing->from] ||
		    steps[count - 1].id != w->ids[listing->to];

	for (size_t i = 1; i < count; i++) {
		wrong |=
		    isinf(step_cost(w, read, listing->graph, &listing->wish,
				    steps[i - 1].id, &steps[i]));
		for (size_t k = 0; k < i; k++)
			wrong |= steps[k].id == steps[i].id;
	}
	w->wrong += wrong;
	listing->count++;
	return 0;
}

/* Counts by going everywhere. */
static int paths_count(const struct listing *listing, int at, int left,
		       uint64_t on_path)
{
	int count = 0;

	if (at == listing->to)
		return 1;
	for (int i = 0; left && i < listing->graph->count; i++) {
		const struct edge *edge = &listing->graph->edges[i];

		if (listing->wish.relation < 2 &&
		    listing->wish.relation != edge->relation)
			continue;
		if (listing->wish.direction & COP_OUT && edge->from == at &&
		    !(on_path >> edge->to & 1))
			count += paths_count(listing, edge->to, left - 1,
					     on_path | UINT64_C(1) << edge->to);
		if (listing->wish.direction & COP_IN && edge->to == at &&
		    !(on_path >> edge->from & 1))
			count +=
			    paths_count(listing, edge->from, left - 1,
					on_path | UINT64_C(1) << edge->from);
	}
	return count;
}

static void all_compare(struct world *w, cop_read *read,
			const struct graph *graph)
{
	for (int round = 0; round < 60; round++) {
		struct listing listing = {
		    .w = w,
		    .read = read,
		    .graph = graph,
		    .wish = {(int)test_below(&w->seed, 3),
			     1 + (int32_t)test_below(&w->seed, 3)},
		    .from = (int)test_below(&w->seed, NODES),
		    .to = (int)test_below(&w->seed, NODES)};
		struct cop_path path = {
		    .size = sizeof path,
		    .hops = HOPS,
		    .source = w->ids[listing.from],
		    .target = w->ids[listing.to],
		    .relation = listing.wish.relation < 2
				    ? relations[listing.wish.relation]
				    : NULL,
		    .direction = listing.wish.direction};
		int want = paths_count(&listing, listing.from, HOPS,
				       UINT64_C(1) << listing.from);

		must(cop_paths(read, &path, path_seen, &listing), "paths");
		w->wrong += listing.count != want;
	}
}

/* ---- walks -------------------------------------------------------------- */

static int32_t is_even(void *user, cop_read *read, const struct cop_step *step,
		       uint64_t from)
{
	const struct world *w = user;

	(void)read;
	(void)from;
	return node_of(w, step->id) % 2 == 0;
}

static int passes(int node, int filter)
{
	switch (filter) {
	case 1: return type_of(node) == 0;
	case 2: return has_tag(node);
	case 3: return node % 2 == 0;
	case 4: return type_of(node) == 0 && has_tag(node);
	default: return 1;
	}
}

static int reached(const struct graph *graph, int start, uint32_t hops,
		   int filter, int *far)
{
	int count = 1;

	for (int i = 0; i < NODES; i++)
		far[i] = i == start ? 0 : -1;
	for (uint32_t round = 0; round < hops && round < NODES; round++)
		for (int i = 0; i < graph->count; i++)
			for (int way = 0; way < 2; way++) {
				const struct edge *edge = &graph->edges[i];
				int a = way ? edge->to : edge->from;
				int b = way ? edge->from : edge->to;

				if (far[a] != (int)round || far[b] >= 0 ||
				    !passes(b, filter))
					continue;
				far[b] = (int)round + 1;
				count++;
			}
	return count;
}

static void walks_compare(struct world *w, cop_read *read,
			  const struct graph *graph)
{
	for (int round = 0; round < 100; round++) {
		int start = (int)test_below(&w->seed, NODES);
		int filter = round % 5;
		uint32_t hops = round % 2 ? COP_HOPS_ALL : 3;
		struct cop_walk walk = {
		    .size = sizeof walk,
		    .hops = hops,
		    .start = w->ids[start],
		    .direction = COP_BOTH,
		    .type = filter == 1 || filter == 4 ? "a" : NULL,
		    .tag = filter == 2 || filter == 4 ? "t" : NULL,
		    .accept = filter == 3 ? is_even : NULL,
		    .user = w};
		struct cop_step steps[NODES];
		int far[NODES];
		size_t count;

		must(cop_walk(read, &walk, steps, NODES, &count, NULL), "walk");
		w->wrong +=
		    (int)count != reached(graph, start, hops, filter, far);
		for (size_t i = 0; i < count; i++)
			w->wrong +=
			    far[node_of(w, steps[i].id)] != (int)steps[i].hops;
	}
}

/* ---- context ------------------------------------------------------------ */

static void context_compare(struct world *w, cop_read *read)
{
	enum { K = 5 };
	struct cop_search search = {
	    .size = sizeof search, .k = K, .vector = w->vectors[3], .exact = 1};
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 2, .direction = COP_BOTH};
	struct cop_hit hits[K];
	struct cop_step steps[NODES * K];
	struct cop_step alone[NODES];
	size_t starts[K + 1];
	uint32_t count;
	size_t found;
	int32_t more;

	must(cop_search_context(read, &search, &walk, hits, &count, steps,
				NODES * K, starts, &more),
	     "context");
	w->wrong += count != K || more || starts[0] != 0;
	for (uint32_t i = 0; i < count; i++) {
		walk.start = hits[i].id;
		must(cop_walk(read, &walk, alone, NODES, &found, NULL), "walk");
		w->wrong += starts[i + 1] - starts[i] != found ||
			    memcmp(alone, steps + starts[i],
				   found * sizeof *alone) != 0;
	}
	must(cop_search_context(read, &search, &walk, hits, &count, steps, 3,
				starts, &more),
	     "context");
	w->wrong += !more || starts[K] > 3;
}

/* ---- all ---------------------------------------------------------------- */

static void everything(struct world *w, cop_read *read,
		       const struct graph *graph, const char *when)
{
	w->wrong = 0;
	cheapest_compare(w, read, graph);
	is_int(w->wrong, 0, "%s: 300 cheapest paths", when);
	w->wrong = 0;
	all_compare(w, read, graph);
	is_int(w->wrong, 0, "%s: all paths of 60 pairs", when);
	w->wrong = 0;
	walks_compare(w, read, graph);
	is_int(w->wrong, 0, "%s: 100 walks with filters", when);
	w->wrong = 0;
	context_compare(w, read);
	is_int(w->wrong, 0, "%s: the context of a search", when);
}

static void what_is_refused(struct world *w)
{
	cop_read *read = read_of(&w->f);
	struct cop_path path = {.size = sizeof path,
				.source = w->ids[0],
				.target = w->ids[1],
				.weight = "w",
				.hops = 2};
	struct cop_step steps[NODES];
	size_t count;

	is_int(cop_path(read, &path, steps, NODES, &count), COP_INVALID,
	       "a path by weight has no limit of hops");
	is_int(cop_paths(read, &path, path_seen, NULL), COP_INVALID,
	       "all paths have no weight");
	path.weight = NULL;
	path.hops = 0;
	is_int(cop_paths(read, &path, path_seen, NULL), COP_INVALID,
	       "and need a limit");
	cop_read_end(read);
}

static void a_negative_weight_is_refused(struct world *w)
{
	struct edge edge = {0, 1, 0, -0.5};
	struct cop_path path = {.size = sizeof path,
				.source = w->ids[0],
				.target = w->ids[1],
				.weight = "v"};
	struct cop_property property = {
	    "v", 1, {.kind = COP_FLOAT, .real = -0.5}};
	struct cop_put_edge put = {.size = sizeof put,
				   .source = name_of(edge.from),
				   .source_size = 3,
				   .relation = "r",
				   .relation_size = 1,
				   .target = name_of(edge.to),
				   .target_size = 3,
				   .properties = &property,
				   .property_count = 1};
	struct cop_step steps[NODES];
	cop_write *write = write_of(&w->f);
	cop_read *read;
	size_t count;

	must(cop_put_edge(write, &put), "edge");
	commit_of(write);
	read = read_of(&w->f);
	is_int(cop_path(read, &path, steps, NODES, &count), COP_INVALID,
	       "a weight below 0 on the way is refused");
	cop_read_end(read);
}

/* ---- many threads ------------------------------------------------------- */

enum { CROWD = 30000, CROWD_EDGES = 4 };

static void crowd_put(struct fixture *f, uint64_t *seed)
{
	cop_write *write = write_of(f);

	for (uint32_t i = 0; i < CROWD; i++) {
		char key[16];

		snprintf(key, sizeof key, "c%u", i);
		put_simple(write, key, types[i % 5 == 0], NULL, 0);
	}
	for (uint32_t i = 0; i < CROWD * CROWD_EDGES; i++) {
		char from[16];
		char to[16];

		snprintf(from, sizeof from, "c%u", i % CROWD);
		snprintf(to, sizeof to, "c%u",
			 (uint32_t)test_below(seed, CROWD));
		must(link_simple(write, from, "r", to), "edge");
	}
	commit_of(write);
}

/* Hops of everybody by id, 255: not reached; and how many were. */
static size_t crowd_walk(cop_read *read, uint32_t threads, const char *type,
			 size_t capacity, unsigned char *hops, int32_t *more)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = COP_HOPS_ALL,
				.start = lookup(read, "c1"),
				.direction = COP_BOTH,
				.type = type,
				.threads = threads};
	struct cop_step *steps = calloc(capacity, sizeof *steps);
	size_t count = 0;

	if (!steps)
		bail_out("no memory");
	memset(hops, 255, CROWD + 1);
	must(cop_walk(read, &walk, steps, capacity, &count, more), "walk");
	for (size_t i = 0; i < count; i++) {
		if (hops[steps[i].id] != 255 ||
		    (i && steps[steps[i].from].hops + 1 != steps[i].hops))
			bail_out("a walk met somebody twice, or out of turn");
		hops[steps[i].id] = (unsigned char)steps[i].hops;
	}
	free(steps);
	return count;
}

static void threads_find_what_one_finds(uint64_t seed)
{
	static unsigned char one[CROWD + 1];
	static unsigned char many[CROWD + 1];
	struct fixture f;
	uint64_t commit;
	int32_t more;
	size_t count;
	cop_read *read;
	cop_write *write;

	fixture_init(&f, 0, 0);
	crowd_put(&f, &seed);
	read = read_of(&f);
	commit = cop_read_commit(read);
	count = crowd_walk(read, 1, NULL, CROWD, one, &more);
	ok(count > CROWD / 2 &&
	       crowd_walk(read, 3, NULL, CROWD, many, &more) == count &&
	       !more && !memcmp(one, many, sizeof one),
	   "three threads reach the %zu that one does, in as many hops", count);
	count = crowd_walk(read, 1, "a", CROWD, one, &more);
	ok(crowd_walk(read, 3, "a", CROWD, many, &more) == count &&
	       !memcmp(one, many, sizeof one),
	   "and with a filter the same %zu", count);
	ok(crowd_walk(read, 3, NULL, CROWD / 2, many, &more) == CROWD / 2 &&
	       more,
	   "where there is room for fewer, that is said");
	ok(crowd_walk(read, 3, NULL, CROWD, many, &more) ==
	       crowd_walk(read, 1, NULL, CROWD, one, &more),
	   "and the next walk begins anew");
	cop_read_end(read);
	write = write_of(&f);
	for (int i = 100; i < 2000; i++) {
		char key[16];

		snprintf(key, sizeof key, "c%d", i);
		must(cop_delete(write, key, strlen(key)), "delete");
	}
	commit_of(write);
	read = read_of(&f);
	must(cop_read_as_of(read, commit), "as of");
	count = crowd_walk(read, 1, NULL, CROWD, one, &more);
	ok(crowd_walk(read, 3, NULL, CROWD, many, &more) == count &&
	       !memcmp(one, many, sizeof one),
	   "and as of before: %zu", count);
	cop_read_end(read);
	fixture_release(&f);
}

int main(void)
{
	struct world w = {.wrong = 0};
	struct graph first;
	uint64_t commit;
	cop_write *write;
	cop_read *read;

	test_begin(120);
	plan_none();
	w.seed = test_seed();
	fixture_init(&w.f, DIM, COP_L2);
	write = write_of(&w.f);
	nodes_put(&w, write);
	edges_put(&w, write);
	commit = commit_of(write);
	first = w.graph;
	read = read_of(&w.f);
	for (int i = 0; i < NODES; i++)
		w.ids[i] = lookup(read, name_of(i));
	everything(&w, read, &first, "a graph");
	cop_read_end(read);
	write = write_of(&w.f);
	edges_delete(&w, write);
	edges_put(&w, write);
	commit_of(write);
	read = read_of(&w.f);
	everything(&w, read, &w.graph, "another one");
	must(cop_read_as_of(read, commit), "as of");
	everything(&w, read, &first, "the first one, of the past");
	cop_read_end(read);
	what_is_refused(&w);
	a_negative_weight_is_refused(&w);
	fixture_release(&w.f);
	threads_find_what_one_finds(w.seed);
	return done_testing();
}
