/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: after any sequence of commits, a read as of each of them sees what
 * a plain model saw then: entities, tags, properties, vectors, edges, walks,
 * lists and searches; and so it does when the segment was built anew, when the
 * data file was compacted, and when retention has let go of the beginning.
 * Versions and differences are those that the model has.
 */
#include "fixture.h"
#include "store.h"

#include <math.h>

enum {
	KEYS = 24,
	TAGS = 5,
	TYPES = 3,
	RELATIONS = 3,
	DIM = 4,
	STATES = 160,
	OPS = 6
};

static const char *const tags[TAGS] = {"t0", "t1", "t2", "t3", "t4"};
static const char *const types[TYPES] = {NULL, "a", "b"};
static const char *const relations[RELATIONS] = {"r", "s", "r"};
static const uint32_t discriminators[RELATIONS] = {0, 0, 7};

struct thing {
	uint64_t born; /* 0: it is not there */
	uint32_t tags; /* a bit each */
	int type;
	int64_t number; /* its property */
	uint64_t vector_born;
	float vector[DIM];
};

struct link {
	uint64_t born;
	int64_t weight;
	int64_t from; /* valid from and to; both 0: always */
	int64_t to;
};

struct state {
	struct thing things[KEYS];
	struct link links[KEYS][KEYS][RELATIONS];
};

struct world {
	struct fixture f;
	uint64_t seed;
	uint64_t ids[KEYS];
	uint64_t newest;
	int forgets;	      /* history is not kept whole */
	struct state *states; /* states[i]: as of commit i */
	int64_t at;	      /* at which edges are to be valid; ANY: all */
	int wrong;
};

#define ANY INT64_MIN

static const char *key_of(int key)
{
	static char names[4][16];
	static int turn;
	char *name = names[turn++ % 4];

	snprintf(name, 16, "%c%02d", key % 2 ? 'x' : 'y', key);
	return name;
}

#define note(w, ...)                                                           \
	do {                                                                   \
		if ((w)->wrong++ < 5)                                          \
			diag(__VA_ARGS__);                                     \
	} while (0)

/* ---- commits ------------------------------------------------------------ */

static void vector_draw(struct world *w, float *vector)
{
	for (int i = 0; i < DIM; i++)
		vector[i] = (float)test_gaussian(&w->seed);
}

static void thing_put(struct world *w, cop_write *write, struct state *now,
		      int key)
{
	struct thing *thing = &now->things[key];
	const char *chosen[TAGS];
	struct cop_property property = {
	    "n", 1, {.kind = COP_INT, .integer = 0}};
	struct cop_put put = {.size = sizeof put,
			      .key = key_of(key),
			      .key_size = 3,
			      .properties = &property,
			      .property_count = 1,
			      .tags = chosen};

	thing->born = w->newest + 1;
	if (test_below(&w->seed, 2))
		thing->type = (int)test_below(&w->seed, TYPES);
	if (test_below(&w->seed, 2))
		thing->tags = (uint32_t)test_below(&w->seed, 1 << TAGS);
	thing->number = (int64_t)test_below(&w->seed, 4);
	property.value.integer = thing->number;
	for (int i = 0; i < TAGS; i++)
		if (thing->tags >> i & 1)
			chosen[put.tag_count++] = tags[i];
	put.type = types[thing->type];
	put.type_size = put.type ? 1 : 0;
	if (test_below(&w->seed, 3) == 0) {
		vector_draw(w, thing->vector);
		thing->vector_born = w->newest + 1;
		put.vector = thing->vector;
		put.dim = DIM;
	} else if (test_below(&w->seed, 4) == 0) {
		thing->vector_born = 0;
		put.vector_change = COP_VECTOR_DROP;
	}
	must(cop_put(write, &put), "put");
}

static void thing_delete(cop_write *write, struct state *now, int key)
{
	must(cop_delete(write, key_of(key), 3), "delete");
	now->things[key] = (struct thing){0};
	for (int i = 0; i < KEYS; i++)
		for (int r = 0; r < RELATIONS; r++) {
			now->links[key][i][r] = (struct link){0};
			now->links[i][key][r] = (struct link){0};
		}
}

static void link_change(struct world *w, cop_write *write, struct state *now)
{
	int from = (int)test_below(&w->seed, KEYS);
	int to = (int)test_below(&w->seed, KEYS);
	int relation = (int)test_below(&w->seed, RELATIONS);
	struct link *link = &now->links[from][to][relation];
	struct cop_property property = {"w", 1, {.kind = COP_INT}};
	struct cop_validity valid = {{0, 0, 0}, {0, 0, 0}};
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = key_of(from),
				    .source_size = 3,
				    .relation = relations[relation],
				    .relation_size = 1,
				    .target = key_of(to),
				    .target_size = 3,
				    .properties = &property,
				    .property_count = 1,
				    .discriminator = discriminators[relation]};

	if (!now->things[from].born || !now->things[to].born)
		return;
	*link = (struct link){.born = link->born};
	if (link->born && test_below(&w->seed, 2)) {
		must(cop_unlink(write, &edge), "unlink");
		*link = (struct link){0};
		return;
	}
	link->born = w->newest + 1;
	link->weight = (int64_t)test_below(&w->seed, 3);
	property.value.integer = link->weight;
	if (test_below(&w->seed, 2)) {
		link->from = (int64_t)test_below(&w->seed, 20) - 10;
		link->to = link->from + 1 + (int64_t)test_below(&w->seed, 9);
		valid.from.seconds = link->from;
		valid.to.seconds = link->to;
		edge.valid = &valid;
	}
	must(cop_put_edge(write, &edge), "edge");
}

static void vector_change(struct world *w, cop_write *write, struct state *now)
{
	int key = (int)test_below(&w->seed, KEYS);
	struct thing *thing = &now->things[key];

	if (!thing->born)
		return;
	vector_draw(w, thing->vector);
	thing->vector_born = w->newest + 1;
	must(cop_put_vector(write, key_of(key), 3, thing->vector, DIM),
	     "vector");
}

/* One that is not there, as it was at some commit when it was. */
static void thing_undelete(struct world *w, cop_write *write, struct state *now)
{
	int key = (int)test_below(&w->seed, KEYS);
	int is_last = (int)test_below(&w->seed, 2);
	uint64_t commit = w->newest;
	const struct state *then;

	if (now->things[key].born || w->forgets)
		return;
	/* what this commit deletes it cannot know */
	if (is_last && w->states[w->newest].things[key].born)
		return;
	if (!is_last)
		commit = test_below(&w->seed, w->newest + 1);
	while (commit && !w->states[commit].things[key].born)
		commit--;
	if (!commit)
		return;
	then = &w->states[commit];
	must(cop_undelete(write, key_of(key), 3, is_last ? 0 : commit),
	     "undelete");
	now->things[key] = then->things[key];
	now->things[key].born = w->newest + 1;
	if (then->things[key].vector_born)
		now->things[key].vector_born = w->newest + 1;
	for (int i = 0; i < KEYS; i++)
		for (int r = 0; r < RELATIONS && now->things[i].born; r++) {
			now->links[key][i][r] = then->links[key][i][r];
			now->links[i][key][r] = then->links[i][key][r];
			if (now->links[key][i][r].born)
				now->links[key][i][r].born = w->newest + 1;
			if (now->links[i][key][r].born)
				now->links[i][key][r].born = w->newest + 1;
		}
}

static void tag_change(struct world *w, cop_write *write, struct state *now)
{
	int key = (int)test_below(&w->seed, KEYS);
	uint32_t tag = (uint32_t)test_below(&w->seed, TAGS);
	struct thing *thing = &now->things[key];
	uint32_t bits = thing->tags;

	if (!thing->born)
		return;
	if (test_below(&w->seed, 2)) {
		must(cop_tag(write, key_of(key), 3, tags[tag], 2), "tag");
		thing->tags |= 1u << tag;
	} else {
		must(cop_untag(write, key_of(key), 3, tags[tag], 2), "untag");
		thing->tags &= ~(1u << tag);
	}
	if (thing->tags != bits)
		thing->born = w->newest + 1;
}

static void state_next(struct world *w)
{
	struct state *now = &w->states[w->newest + 1];
	cop_write *write = write_of(&w->f);
	uint64_t ops = 1 + test_below(&w->seed, OPS);
	int key = (int)test_below(&w->seed, KEYS);

	*now = w->states[w->newest];
	/* something happens in each */
	thing_put(w, write, now, key);
	while (ops--)
		switch (test_below(&w->seed, 11)) {
		case 0:
			thing_delete(write, now,
				     (int)test_below(&w->seed, KEYS));
			break;
		case 1: vector_change(w, write, now); break;
		case 8: thing_undelete(w, write, now); break;
		case 9:
		case 10: tag_change(w, write, now); break;
		case 2:
		case 3:
			thing_put(w, write, now,
				  (int)test_below(&w->seed, KEYS));
			break;
		default: link_change(w, write, now);
		}
	w->newest++;
	if (commit_of(write) != w->newest)
		bail_out("a commit has another number");
}

static void ids_learn(struct world *w, cop_read *read)
{
	for (int i = 0; i < KEYS; i++)
		must(cop_id(read, key_of(i), 3, &w->ids[i]), "id");
}

static int key_with(const struct world *w, uint64_t id)
{
	for (int i = 0; i < KEYS; i++)
		if (w->ids[i] == id)
			return i;
	return KEYS;
}

/* ---- entities ----------------------------------------------------------- */

static int64_t number_of(cop_read *read, const struct cop_entity *entity)
{
	struct cop_value value;
	int found;

	must(cop_entity_property(read, entity, "n", 1, &found, &value),
	     "property");
	return found ? value.integer : -1;
}

static uint32_t tags_of(cop_read *read, const struct cop_entity *entity)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < entity->tag_count; i++) {
		const char *text;
		size_t size;

		must(cop_entity_tag(read, entity, i, &text, &size), "tag");
		bits |= 1u << (text[1] - '0');
	}
	return bits;
}

static int type_of(cop_read *read, const struct cop_entity *entity)
{
	const char *text;
	size_t size;

	if (!entity->type)
		return 0;
	must(cop_name(read, entity->type, &text, &size), "name");
	return text[0] == 'a' ? 1 : 2;
}

static int entity_is(cop_read *read, const struct cop_entity *entity,
		     const struct thing *thing)
{
	return entity->version == thing->born &&
	       tags_of(read, entity) == thing->tags &&
	       type_of(read, entity) == thing->type &&
	       number_of(read, entity) == thing->number;
}

static void things_compare(struct world *w, cop_read *read,
			   const struct state *then)
{
	for (int key = 0; key < KEYS; key++) {
		const struct thing *thing = &then->things[key];
		struct cop_entity entity;
		const float *vector;
		uint64_t id;

		must(cop_get(read, key_of(key), 3, &entity), "get");
		must(cop_lookup(read, key_of(key), 3, &id), "lookup");
		if ((entity.id != 0) != (thing->born != 0) || id != entity.id ||
		    (entity.id && !entity_is(read, &entity, thing)))
			note(w, "%s as of %llu is not as it was", key_of(key),
			     (unsigned long long)cop_read_commit(read));
		must(cop_vector(read, w->ids[key], &vector), "vector");
		if ((vector != NULL) != (thing->vector_born != 0) ||
		    (vector &&
		     memcmp(vector, thing->vector, sizeof thing->vector) != 0))
			note(w, "the vector of %s as of %llu is another",
			     key_of(key),
			     (unsigned long long)cop_read_commit(read));
	}
}

/* ---- lists -------------------------------------------------------------- */

struct listing {
	struct world *w;
	const struct state *then;
	int count;
	uint64_t last;
};

static int32_t listed(void *user, uint32_t thread, cop_read *read,
		      const struct cop_entity *entity)
{
	struct listing *listing = user;
	int key = key_with(listing->w, entity->id);

	(void)thread;
	if (key == KEYS || entity->id <= listing->last ||
	    !entity_is(read, entity, &listing->then->things[key]))
		note(listing->w, "a list as of %llu has a wrong entity",
		     (unsigned long long)cop_read_commit(read));
	listing->last = entity->id;
	listing->count++;
	return 0;
}

static void lists_compare(struct world *w, cop_read *read,
			  const struct state *then)
{
	for (int type = 0; type < TYPES; type++)
		for (int tag = -1; tag < TAGS; tag++) {
			struct listing listing = {w, then, 0, 0};
			int want = 0;

			for (int i = 0; i < KEYS; i++)
				want +=
				    then->things[i].born &&
				    (!type || then->things[i].type == type) &&
				    (tag < 0 ||
				     then->things[i].tags >> tag & 1);
			must(cop_scan(read, types[type],
				      tag < 0 ? NULL : tags[tag], 1, listed,
				      &listing),
			     "scan");
			if (listing.count != want)
				note(w,
				     "a list as of %llu has %d entities of %d",
				     (unsigned long long)cop_read_commit(read),
				     listing.count, want);
		}
}

static int32_t selected(void *user, uint32_t thread, cop_read *read,
			const struct cop_entity *entity)
{
	struct listing *listing = user;

	(void)thread;
	(void)read;
	listing->last += (uint64_t)1 << key_with(listing->w, entity->id);
	listing->count++;
	return 0;
}

/* Tags of a set, at random; returns their bits. */
static uint32_t tags_draw(struct world *w, const char **chosen, uint32_t *count)
{
	uint32_t bits = 0;

	*count = (uint32_t)test_below(&w->seed, 3);
	for (uint32_t i = 0; i < *count; i++) {
		uint32_t tag = (uint32_t)test_below(&w->seed, TAGS);

		chosen[i] = tags[tag];
		bits |= 1u << tag;
	}
	return bits;
}

static void selection_compare(struct world *w, cop_read *read,
			      const struct state *then)
{
	const char *all[3];
	const char *any[3];
	const char *none[3];
	int type = (int)test_below(&w->seed, TYPES);
	int odd = test_below(&w->seed, 3) == 0;
	struct cop_select select = {.size = sizeof select,
				    .threads =
					(uint32_t)test_below(&w->seed, 3),
				    .type = types[type],
				    .all = all,
				    .any = any,
				    .none = none,
				    .prefix = odd ? "x" : NULL,
				    .prefix_size = (uint32_t)odd};
	uint32_t has = tags_draw(w, all, &select.all_count);
	uint32_t some = tags_draw(w, any, &select.any_count);
	uint32_t not = tags_draw(w, none, &select.none_count);
	struct listing listing = {w, then, 0, 0};
	uint64_t want = 0;

	select.threads = 1;
	for (int i = 0; i < KEYS; i++) {
		const struct thing *thing = &then->things[i];

		if (thing->born && (!type || thing->type == type) &&
		    (thing->tags & has) == has &&
		    (!select.any_count || thing->tags & some) &&
		    !(thing->tags & not ) && (!odd || i % 2))
			want += (uint64_t)1 << i;
	}
	must(cop_select(read, &select, selected, &listing), "select");
	if (listing.last != want)
		note(w, "a selection as of %llu has others",
		     (unsigned long long)cop_read_commit(read));
}

struct naming {
	struct world *w;
	const struct state *then;
	int32_t space;
	int names;
};

static uint64_t uses_of(const struct state *then, int32_t space, char name)
{
	uint64_t count = 0;

	for (int i = 0; i < KEYS; i++) {
		const struct thing *thing = &then->things[i];

		if (space == COP_SPACE_TYPE)
			count += thing->born && thing->type == name - 'a' + 1;
		if (space == COP_SPACE_TAG)
			count += thing->born && thing->tags >> (name - '0') & 1;
		for (int k = 0; space == COP_SPACE_RELATION && k < KEYS; k++)
			for (int r = 0; r < RELATIONS; r++)
				count += then->links[i][k][r].born &&
					 relations[r][0] == name;
	}
	return count;
}

static int32_t named(void *user, cop_read *read,
		     const struct cop_name_count *name)
{
	struct naming *naming = user;

	if (!name->count || name->count != uses_of(naming->then, naming->space,
						   name->text[name->size - 1]))
		note(naming->w, "as of %llu %.*s is used otherwise",
		     (unsigned long long)cop_read_commit(read), (int)name->size,
		     name->text);
	naming->names++;
	return 0;
}

static void names_compare(struct world *w, cop_read *read,
			  const struct state *then)
{
	static const char *const all[] = {"ab", "rs", "01234"};

	for (int32_t space = COP_SPACE_TYPE; space <= COP_SPACE_TAG; space++) {
		struct naming naming = {w, then, space, 0};
		int want = 0;

		for (const char *name = all[space - 1]; *name; name++)
			want += uses_of(then, space, *name) != 0;
		must(cop_names(read, space, space == COP_SPACE_TAG ? "t" : NULL,
			       space == COP_SPACE_TAG, named, &naming),
		     "names");
		if (naming.names != want)
			note(w, "as of %llu there are %d names of %d",
			     (unsigned long long)cop_read_commit(read),
			     naming.names, want);
	}
}

static int32_t prefixed(void *user, cop_read *read,
			const struct cop_entity *entity)
{
	struct listing *listing = user;

	(void)read;
	listing->count += ((const char *)entity->key)[0] == 'x';
	return 0;
}

static void keys_compare(struct world *w, cop_read *read,
			 const struct state *then)
{
	struct listing listing = {w, then, 0, 0};
	int want = 0;

	for (int i = 1; i < KEYS; i += 2)
		want += then->things[i].born != 0;
	must(cop_keys(read, "x", 1, prefixed, &listing), "keys");
	if (listing.count != want)
		note(w, "as of %llu %d keys begin with x, not %d",
		     (unsigned long long)cop_read_commit(read), listing.count,
		     want);
}

/* ---- edges -------------------------------------------------------------- */

/* Whether it is there, and valid when it is asked about. */
static int is_seen(const struct world *w, const struct link *link)
{
	return link->born && (w->at == ANY || link->from == link->to ||
			      (link->from <= w->at && w->at < link->to));
}

/* Which of the relations an edge is of. */
static int relation_of(cop_read *read, uint32_t number, uint32_t discriminator)
{
	const char *name;
	size_t size;

	must(cop_name(read, number, &name, &size), "name");
	return name[0] == 's' ? 1 : discriminator ? 2 : 0;
}

struct edges {
	struct world *w;
	const struct state *then;
	int count;
};

static int32_t edge_seen(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct edges *edges = user;
	int from = key_with(edges->w, edge->source);
	int to = key_with(edges->w, edge->target);
	const struct link *link;
	struct cop_value value;
	const char *name;
	size_t size;
	int relation;

	relation = relation_of(read, edge->relation, edge->discriminator);
	must(cop_edge_property_at(read, edge, 0, &name, &size, &value), "w");
	if (from == KEYS || to == KEYS)
		bail_out("an edge of nobody");
	link = &edges->then->links[from][to][relation];
	if (link->born != edge->version || link->weight != value.integer ||
	    !is_seen(edges->w, link) ||
	    (link->from != link->to ? edge->valid.from.seconds != link->from ||
					  edge->valid.to.seconds != link->to
				    : edge->valid.from.seconds != INT64_MIN))
		note(edges->w, "an edge as of %llu is another",
		     (unsigned long long)cop_read_commit(read));
	edges->count++;
	return 0;
}

static int degree(const struct world *w, const struct state *then, int key,
		  int32_t direction)
{
	int count = 0;

	for (int i = 0; i < KEYS; i++)
		for (int r = 0; r < RELATIONS; r++)
			count += direction == COP_OUT
				     ? is_seen(w, &then->links[key][i][r])
				     : is_seen(w, &then->links[i][key][r]);
	return count;
}

static void edges_compare(struct world *w, cop_read *read,
			  const struct state *then)
{
	for (int key = 0; key < KEYS; key++)
		for (int32_t way = COP_OUT; way <= COP_IN; way++) {
			struct edges edges = {w, then, 0};
			size_t count = 0;

			if (!w->ids[key])
				continue;
			must(cop_edges(read, w->ids[key], way, edge_seen,
				       &edges),
			     "edges");
			must(cop_neighbors(read, w->ids[key], NULL, way, NULL,
					   0, &count),
			     "neighbors");
			if (edges.count != degree(w, then, key, way) ||
			    (int)count != edges.count)
				note(w, "%s as of %llu has %d and %zu edges",
				     key_of(key),
				     (unsigned long long)cop_read_commit(read),
				     edges.count, count);
		}
	for (int i = 0; i < 20; i++) {
		int from = (int)test_below(&w->seed, KEYS);
		int to = (int)test_below(&w->seed, KEYS);
		struct cop_edge edge;

		must(
		    cop_get_edge(read, w->ids[from], "r", 1, w->ids[to], &edge),
		    "edge");
		if (edge.version != (is_seen(w, &then->links[from][to][0])
					 ? then->links[from][to][0].born
					 : 0))
			note(w, "an edge as of %llu is of %llu",
			     (unsigned long long)cop_read_commit(read),
			     (unsigned long long)edge.version);
	}
}

/* Whom a walk reaches, and in how few steps. */
static void walk_compare(struct world *w, cop_read *read,
			 const struct state *then)
{
	int start = (int)test_below(&w->seed, KEYS);
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 3, .start = w->ids[start]};
	struct cop_step steps[KEYS + 1];
	size_t count;
	int hops[KEYS];
	int want = 0;

	for (int i = 0; i < KEYS; i++)
		hops[i] = i == start && then->things[i].born ? 0 : 9;
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < KEYS; i++)
			for (int k = 0; hops[i] == round && k < KEYS; k++)
				if (hops[k] == 9 &&
				    (is_seen(w, &then->links[i][k][0]) ||
				     is_seen(w, &then->links[i][k][1]) ||
				     is_seen(w, &then->links[i][k][2])))
					hops[k] = round + 1;
	for (int i = 0; i < KEYS; i++)
		want += hops[i] < 9;
	must(cop_walk(read, &walk, steps, KEYS + 1, &count, NULL), "walk");
	for (size_t i = 0; i < count; i++)
		if (hops[key_with(w, steps[i].id)] != (int)steps[i].hops)
			want = -1;
	if ((int)count != want)
		note(w, "a walk as of %llu reaches %zu, not %d",
		     (unsigned long long)cop_read_commit(read), count, want);
}

/* ---- search ------------------------------------------------------------- */

static double distance_of(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
	return sum;
}

static int32_t is_odd(void *user, cop_read *read, uint64_t id)
{
	struct cop_entity entity;

	(void)user;
	must(cop_get_id(read, id, &entity), "get");
	return (int32_t)(number_of(read, &entity) & 1);
}

/* By number of the query: which filter it has. */
static int qualifies(const struct thing *thing, int key, int filter)
{
	if (!thing->vector_born)
		return 0;
	switch (filter) {
	case 1: return thing->type == 1;
	case 2: return (int)(thing->tags >> 2 & 1);
	case 3: return key % 2 == 1;
	case 4: return (int)(thing->number & 1);
	default: return 1;
	}
}

static void search_compare(struct world *w, cop_read *read,
			   const struct state *then, int filter)
{
	float query[DIM];
	struct cop_search search = {.size = sizeof search,
				    .k = 5,
				    .vector = query,
				    .exact = 1,
				    .type = filter == 1 ? "a" : NULL,
				    .tag = filter == 2 ? "t2" : NULL,
				    .prefix = filter == 3 ? "x" : NULL,
				    .prefix_size = filter == 3,
				    .accept = filter == 4 ? is_odd : NULL};
	struct cop_hit hits[5];
	uint32_t count;
	double last = -1;
	int better = 0;
	int all = 0;

	vector_draw(w, query);
	must(cop_search(read, &search, hits, &count), "search");
	for (uint32_t i = 0; i < count; i++) {
		int key = key_with(w, hits[i].id);
		const struct thing *thing = &then->things[key];
		double d = distance_of(query, thing->vector);

		if (key == KEYS || !qualifies(thing, key, filter) ||
		    fabs(d - hits[i].distance) > 1e-4 * (1 + d) ||
		    hits[i].distance < last)
			note(w, "a search as of %llu has a wrong hit",
			     (unsigned long long)cop_read_commit(read));
		last = hits[i].distance;
	}
	for (int i = 0; i < KEYS; i++) {
		const struct thing *thing = &then->things[i];

		all += qualifies(thing, i, filter);
		better += qualifies(thing, i, filter) &&
			  distance_of(query, thing->vector) < last - 1e-3;
	}
	if ((int)count != (all < 5 ? all : 5) || better >= 5)
		note(w, "a search as of %llu has %u hits, %d are better",
		     (unsigned long long)cop_read_commit(read), count, better);
}

/* ---- moments ------------------------------------------------------------ */

static void info_compare(struct world *w, cop_read *read, uint64_t commit)
{
	struct cop_commit_info info = {.size = sizeof info};
	struct cop_stats stats = {.size = sizeof stats};
	const struct state *then = &w->states[commit];
	uint64_t entities = 0;
	uint64_t vectors = 0;
	uint64_t edges = 0;
	uint64_t found;

	for (int i = 0; i < KEYS; i++) {
		entities += then->things[i].born != 0;
		vectors += then->things[i].vector_born != 0;
		edges += (uint64_t)degree(w, then, i, COP_OUT);
	}
	must(cop_commit_info(read, commit, &info), "info");
	must(cop_stat(read, &stats), "stat");
	must(cop_commit_at(read, info.time_ns, &found), "at");
	if (info.entities != entities || info.vectors != vectors ||
	    info.edges != edges || stats.entities != entities ||
	    stats.edges != edges || stats.vectors != vectors || found < commit)
		note(w, "the figures of commit %llu are others",
		     (unsigned long long)commit);
}

static void moment_compare(struct world *w, cop_read *read, uint64_t commit)
{
	const struct state *then = &w->states[commit];

	must(cop_read_as_of(read, commit), "as of");
	if (cop_read_commit(read) != commit)
		note(w, "a read is as of another commit");
	things_compare(w, read, then);
	lists_compare(w, read, then);
	keys_compare(w, read, then);
	selection_compare(w, read, then);
	names_compare(w, read, then);
	for (int i = 0; i < 3; i++) {
		struct cop_instant at = {(int64_t)test_below(&w->seed, 24) - 12,
					 0, 0};

		w->at = i ? at.seconds : ANY;
		must(cop_read_valid_at(read, i ? &at : NULL), "valid at");
		edges_compare(w, read, then);
		walk_compare(w, read, then);
	}
	w->at = ANY;
	must(cop_read_valid_at(read, NULL), "valid at");
	for (int filter = 0; filter < 5; filter++)
		search_compare(w, read, then, filter);
	info_compare(w, read, commit);
}

static void all_compare(struct world *w, uint64_t from, const char *what)
{
	cop_read *read = read_of(&w->f);

	w->wrong = 0;
	ids_learn(w, read);
	for (uint64_t commit = from; commit <= w->newest; commit++)
		moment_compare(w, read, commit);
	for (uint64_t commit = w->newest + 1; commit-- > from;)
		moment_compare(w, read, commit);
	cop_read_end(read);
	is_int(w->wrong, 0, "%s: each of %llu moments is as it was", what,
	       (unsigned long long)(w->newest - from + 1));
}

/* ---- versions ----------------------------------------------------------- */

struct life {
	struct world *w;
	int key;
	uint64_t before; /* when the version told last was born */
	uint64_t oldest; /* history is whole from here on */
	int count;
};

/* Whether it was so from its birth to its death, and no longer. */
static int32_t version_seen(void *user, cop_read *read,
			    const struct cop_version *version,
			    const struct cop_entity *entity)
{
	struct life *life = user;
	struct world *w = life->w;
	uint64_t end = version->died ? version->died : w->newest + 1;

	if (end > life->before || version->born >= end)
		note(w, "a version of %s overlaps the next", key_of(life->key));
	for (uint64_t i = version->born < life->oldest ? life->oldest
						       : version->born;
	     i < end; i++)
		if (!entity_is(read, entity, &w->states[i].things[life->key]) ||
		    w->states[i].things[life->key].born != version->born)
			note(w, "a version of %s was not so at %llu",
			     key_of(life->key), (unsigned long long)i);
	life->before = version->born;
	life->count++;
	return 0;
}

static int versions_wanted(const struct world *w, int key, uint64_t oldest)
{
	uint64_t last = 0;
	int count = 0;

	for (uint64_t i = oldest; i <= w->newest; i++) {
		uint64_t born = w->states[i].things[key].born;

		count += born && born != last;
		last = born;
	}
	return count;
}

static void versions_compare(struct world *w, uint64_t oldest, const char *what)
{
	cop_read *read = read_of(&w->f);

	w->wrong = 0;
	for (int key = 0; key < KEYS; key++) {
		struct life life = {w, key, UINT64_MAX, oldest, 0};

		if (!w->ids[key])
			continue;
		must(cop_history(read, w->ids[key], version_seen, &life),
		     "history");
		if (life.count != versions_wanted(w, key, oldest))
			note(w, "%s has %d versions, not %d", key_of(key),
			     life.count, versions_wanted(w, key, oldest));
	}
	cop_read_end(read);
	is_int(w->wrong, 0, "%s: versions are those that there were", what);
}

/* ---- differences -------------------------------------------------------- */

struct differing {
	struct world *w;
	const struct state *from;
	const struct state *to;
	int count;
};

static int things_same(const struct thing *a, const struct thing *b)
{
	return a->tags == b->tags && a->type == b->type &&
	       a->number == b->number;
}

/* 0, or enum cop_difference_how. */
static int how_differs(int before, int after, int same)
{
	if (before && after)
		return same ? 0 : COP_CHANGED;
	return before ? COP_REMOVED : after ? COP_ADDED : 0;
}

static int thing_differs(const struct differing *d, int key)
{
	const struct thing *a = &d->from->things[key];
	const struct thing *b = &d->to->things[key];

	return how_differs(a->born != 0, b->born != 0, things_same(a, b));
}

static int vector_differs(const struct differing *d, int key)
{
	const struct thing *a = &d->from->things[key];
	const struct thing *b = &d->to->things[key];

	return how_differs(a->vector_born != 0, b->vector_born != 0,
			   !memcmp(a->vector, b->vector, sizeof a->vector));
}

static int link_differs(const struct differing *d, int from, int to, int r)
{
	const struct link *a = &d->from->links[from][to][r];
	const struct link *b = &d->to->links[from][to][r];

	return how_differs(a->born != 0, b->born != 0,
			   a->weight == b->weight && a->from == b->from &&
			       a->to == b->to);
}

static int32_t difference_seen(void *user, cop_read *read,
			       const struct cop_difference *difference)
{
	struct differing *d = user;
	int key = key_with(d->w, difference->id);
	int want = 0;

	if (difference->what == COP_ENTITY)
		want = thing_differs(d, key);
	if (difference->what == COP_VECTOR)
		want = vector_differs(d, key);
	if (difference->what == COP_EDGE)
		want = link_differs(d, key, key_with(d->w, difference->target),
				    relation_of(read, difference->relation,
						difference->discriminator));
	if (!want || want != difference->how)
		note(d->w, "a difference that there is not");
	d->count++;
	return 0;
}

static int differences_wanted(const struct differing *d)
{
	int count = 0;

	for (int i = 0; i < KEYS; i++) {
		count += thing_differs(d, i) != 0;
		count += vector_differs(d, i) != 0;
		for (int k = 0; k < KEYS; k++)
			for (int r = 0; r < RELATIONS; r++)
				count += link_differs(d, i, k, r) != 0;
	}
	return count;
}

static void differences_compare(struct world *w, uint64_t oldest,
				const char *what)
{
	cop_read *read = read_of(&w->f);

	w->wrong = 0;
	for (int i = 0; i < 200; i++) {
		uint64_t from =
		    oldest + test_below(&w->seed, w->newest - oldest + 1);
		uint64_t to = from + test_below(&w->seed, w->newest - from + 1);
		struct differing d = {w, &w->states[from], &w->states[to], 0};

		must(cop_diff(read, from, to, difference_seen, &d), "diff");
		if (d.count != differences_wanted(&d))
			note(w, "%d differences, not %d", d.count,
			     differences_wanted(&d));
	}
	cop_read_end(read);
	is_int(w->wrong, 0, "%s: what differs between moments is told", what);
}

/* ---- all ---------------------------------------------------------------- */

static void everything(struct world *w, uint64_t oldest, const char *what)
{
	all_compare(w, oldest, what);
	versions_compare(w, oldest, what);
	differences_compare(w, oldest, what);
	is_u64(findings_of(w->f.store), 0, "%s: the store is whole", what);
}

static void world_grow(struct world *w, int commits)
{
	while (commits--)
		state_next(w);
}

static void world_begin(struct world *w, struct cop_options *options)
{
	w->at = ANY;
	options->size = sizeof *options;
	options->dim = DIM;
	options->metric = COP_L2;
	fixture_make(&w->f, options);
	w->newest = 0;
	w->states = calloc(STATES * 4, sizeof *w->states);
	if (!w->states)
		bail_out("no memory");
}

static void world_end(struct world *w)
{
	fixture_release(&w->f);
	free(w->states);
}

static void segment_drop(struct world *w)
{
	fixture_close(&w->f);
	must(cop_detach(w->f.path), "detach");
	fixture_open(&w->f);
}

static void every_moment_stays(uint64_t seed, uint32_t record_bytes)
{
	struct cop_options options = {.record_bytes = record_bytes};
	struct world w = {.seed = seed};

	world_begin(&w, &options);
	world_grow(&w, STATES);
	everything(&w, 0, "as committed");
	segment_drop(&w);
	everything(&w, 0, "with a segment built anew");
	world_grow(&w, STATES / 2);
	must(cop_checkpoint(w.f.store, NULL), "checkpoint");
	world_grow(&w, STATES / 2);
	segment_drop(&w);
	world_grow(&w, STATES / 2);
	everything(&w, 0, "with one loaded from an image");
	must(cop_compact(w.f.store, NULL, NULL), "compact");
	everything(&w, 0, "compacted");
	world_grow(&w, STATES / 2);
	everything(&w, 0, "and committed to again");
	world_end(&w);
}

static void a_read_keeps_its_moments(uint64_t seed)
{
	struct cop_options options = {.codes = COP_CODES_U8};
	struct world w = {.seed = seed};
	cop_read *read;

	world_begin(&w, &options);
	world_grow(&w, STATES);
	read = read_of(&w.f);
	ids_learn(&w, read);
	world_grow(&w, STATES);
	for (uint64_t commit = 0; commit <= STATES; commit++)
		moment_compare(&w, read, commit);
	is_int(w.wrong, 0, "a read that others have overtaken does, too");
	is_int(cop_read_as_of(read, STATES + 1), COP_INVALID,
	       "but sees none that came after its snapshot");
	must(cop_read_refresh(read), "refresh");
	is_u64(cop_read_commit(read), w.newest,
	       "refreshed, it is as of the newest");
	cop_read_end(read);
	world_end(&w);
}

static void without_history_there_is_none(uint64_t seed)
{
	struct cop_options options = {.history = COP_HISTORY_NONE};
	struct world w = {.seed = seed, .forgets = 1};
	cop_read *read;

	world_begin(&w, &options);
	world_grow(&w, STATES);
	read = read_of(&w.f);
	is_int(cop_read_as_of(read, w.newest - 1), COP_TOO_OLD,
	       "a store without history has no moment but the newest");
	cop_read_end(read);
	all_compare(&w, w.newest, "without history");
	is_u64(findings_of(w.f.store), 0, "without history the store is whole");
	world_end(&w);
}

static uint64_t oldest_of(struct world *w)
{
	uint64_t oldest = 0;
	cop_read *read = read_of(&w->f);

	while (cop_read_as_of(read, oldest) == COP_TOO_OLD)
		oldest++;
	cop_read_end(read);
	return oldest;
}

static void retention_lets_go(uint64_t seed)
{
	struct cop_options options = {.history_ms = 1};
	struct world w = {.seed = seed, .forgets = 1};
	struct timespec pause = {0, 3000000};
	uint64_t oldest;

	world_begin(&w, &options);
	world_grow(&w, STATES);
	nanosleep(&pause, NULL);
	world_grow(&w, STATES / 2);
	oldest = oldest_of(&w);
	ok(oldest >= STATES && oldest <= w.newest,
	   "what is older than it may be is gone, from commit %llu on it stays",
	   (unsigned long long)oldest);
	everything(&w, oldest, "the rest");
	must(cop_compact(w.f.store, NULL, NULL), "compact");
	everything(&w, oldest_of(&w), "the rest, compacted");
	nanosleep(&pause, NULL);
	must(cop_maintain(w.f.store, NULL, NULL), "maintain");
	is_u64(oldest_of(&w), w.newest,
	       "maintenance lets go of all that is old, by a commit");
	is_u64(findings_of(w.f.store), 0, "and the store is whole");
	world_end(&w);
}

static void an_undelete_knows_no_delete_of_its_own_write(void)
{
	struct fixture f;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, DIM, COP_L2);
	write = write_of(&f);
	put_simple(write, "a", "old", NULL, 0);
	commit_of(write);
	write = write_of(&f);
	put_simple(write, "a", "new", NULL, 0);
	must(cop_delete(write, "a", 1), "delete");
	must(cop_undelete(write, "a", 1, 0), "undelete");
	is_int(cop_commit(write, NULL), COP_INVALID,
	       "what a write itself deletes it cannot undelete");
	cop_abort(write);
	read = read_of(&f);
	ok(lookup(read, "a") && cop_read_commit(read) == 1,
	   "and nothing of it took place");
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- rules of types, and counts ----------------------------------------- */

/* Whether what a model says of a moment is said, or is said to be gone. */
static void some_compare(struct world *w, cop_read *read, uint64_t commit,
			 int *known, int *gone)
{
	const struct state *then = &w->states[commit];

	must(cop_read_as_of(read, commit), "as of");
	for (int key = 0; key < KEYS; key++) {
		const struct thing *thing = &then->things[key];
		struct edges edges = {w, then, 0};
		struct cop_entity entity;
		const float *vector;
		cop_err err = cop_get(read, key_of(key), 3, &entity);

		*known += !err;
		*gone += err == COP_TOO_OLD;
		if ((err && err != COP_TOO_OLD) ||
		    (!err && ((entity.id != 0) != (thing->born != 0) ||
			      (entity.id && !entity_is(read, &entity, thing)))))
			note(w, "%s as of %llu is not as it was", key_of(key),
			     (unsigned long long)commit);
		err = cop_vector(read, w->ids[key], &vector);
		if ((err && err != COP_TOO_OLD) ||
		    (!err && (vector != NULL) != (thing->vector_born != 0)))
			note(w, "a vector as of %llu is another",
			     (unsigned long long)commit);
		err = cop_edges(read, w->ids[key], COP_BOTH, edge_seen, &edges);
		if ((err && err != COP_TOO_OLD) ||
		    (!err && edges.count != degree(w, then, key, COP_OUT) +
						degree(w, then, key, COP_IN)))
			note(w, "edges as of %llu are others",
			     (unsigned long long)commit);
	}
	for (int tag = 0; tag < TAGS; tag++) {
		struct listing listing = {w, then, 0, 0};
		cop_err err =
		    cop_scan(read, NULL, tags[tag], 1, listed, &listing);
		int want = 0;

		for (int i = 0; i < KEYS; i++)
			want += then->things[i].born &&
				then->things[i].tags >> tag & 1;
		if ((err && err != COP_TOO_OLD) ||
		    (!err && listing.count != want))
			note(w, "a list as of %llu is another",
			     (unsigned long long)commit);
	}
}

static void all_of_some(struct world *w, const char *what, int *known,
			int *gone)
{
	uint64_t oldest = oldest_of(w);
	cop_read *read = read_of(&w->f);

	*known = *gone = 0;
	w->wrong = 0;
	ids_learn(w, read);
	for (uint64_t commit = oldest; commit <= w->newest; commit++)
		some_compare(w, read, commit, known, gone);
	cop_read_end(read);
	is_int(w->wrong, 0, "%s: what is told is so, what is gone is said",
	       what);
	is_u64(findings_of(w->f.store), 0, "%s: the store is whole", what);
}

static void retain(struct world *w, const char *type, int32_t history,
		   uint64_t ms, uint64_t count)
{
	struct cop_retention retention = {.size = sizeof retention,
					  .history = history,
					  .history_ms = ms,
					  .history_count = count,
					  .type = type};
	cop_write *write = write_of(&w->f);

	must(cop_retain(write, &retention), "retain");
	commit_of(write);
	w->newest++;
	w->states[w->newest] = w->states[w->newest - 1];
}

static void types_and_counts_are_kept_to(uint64_t seed)
{
	struct cop_options options = {.history = COP_HISTORY_ALL};
	struct world w = {.seed = seed, .forgets = 1};
	int known;
	int gone;
	int before;

	world_begin(&w, &options);
	world_grow(&w, STATES);
	retain(&w, "a", COP_HISTORY_ALL, 0, 2);
	retain(&w, "b", COP_HISTORY_NONE, 0, 0);
	world_grow(&w, STATES / 2);
	all_of_some(&w, "before compaction", &known, &gone);
	is_int(gone, 0, "nothing is gone yet");
	before = known;
	must(cop_compact(w.f.store, NULL, NULL), "compact");
	all_of_some(&w, "after it", &known, &gone);
	ok(gone > 0 && known > before / 8 && known + gone == before,
	   "%d answers are gone, %d stay", gone, known);
	world_grow(&w, STATES / 4);
	must(cop_compact(w.f.store, NULL, NULL), "compact");
	segment_drop(&w);
	all_of_some(&w, "after another one", &known, &gone);
	retain(&w, NULL, COP_HISTORY_ALL, 0, 1);
	must(cop_compact(w.f.store, NULL, NULL), "compact");
	world_grow(&w, STATES / 4);
	all_of_some(&w, "with one version of everything", &known, &gone);
	ok(gone > 0, "and more is gone: %d", gone);
	world_end(&w);
}

/* ---- the clock ---------------------------------------------------------- */

/* As if the newest commit had been made when the clock was a day ahead. */
static int64_t clock_was_ahead(struct world *w)
{
	const uint64_t day = UINT64_C(86400000000000);
	struct disk_state state;
	struct bytes value;
	env_txn *txn;

	must(writer_lock(w->f.store, 1000), "lock");
	must(env_write_begin(w->f.store->env, 0, &txn), "begin");
	must(env_get(w->f.store->env, txn, DB_META, bytes_of("state", 5),
		     &value),
	     "state");
	memcpy(&state, value.data, sizeof state);
	state.time_ns += day;
	must(env_put(w->f.store->env, txn, DB_META, bytes_of("state", 5),
		     bytes_of(&state, sizeof state)),
	     "put");
	must(env_write_commit(txn), "commit");
	writer_unlock(w->f.store);
	segment_drop(w);
	return (int64_t)state.time_ns;
}

static void commit_times_never_go_back(uint64_t seed)
{
	struct cop_options options = {.codes = COP_CODES_U8};
	struct world w = {.seed = seed};
	struct cop_commit_info info = {.size = sizeof info};
	int64_t before = 0;
	int64_t ahead;
	uint64_t found;
	int wrong = 0;
	cop_read *read;

	world_begin(&w, &options);
	world_grow(&w, 20);
	ahead = clock_was_ahead(&w);
	world_grow(&w, 20);
	read = read_of(&w.f);
	for (uint64_t commit = 1; commit <= w.newest; commit++) {
		must(cop_commit_info(read, commit, &info), "info");
		wrong += info.time_ns < before ||
			 (commit > 20 && info.time_ns < ahead);
		before = info.time_ns;
	}
	is_int(wrong, 0, "with a clock that goes back, commit times do not");
	must(cop_commit_at(read, ahead - 1, &found), "at");
	is_u64(found, 20, "and a time before finds the commit before");
	cop_read_end(read);
	world_end(&w);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	plan_none();
	seed = test_seed();
	every_moment_stays(seed, 0);
	every_moment_stays(seed + 1, UINT32_MAX);
	a_read_keeps_its_moments(seed + 2);
	without_history_there_is_none(seed + 3);
	retention_lets_go(seed + 4);
	types_and_counts_are_kept_to(seed + 5);
	commit_times_never_go_back(seed + 6);
	an_undelete_knows_no_delete_of_its_own_write();
	return done_testing();
}
