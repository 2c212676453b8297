/* SPDX-License-Identifier: Apache-2.0 */
#include "look.h"
#include "oracle.h"
#include "../tap.h"

enum { PAST_COMMITS = 2000 }; /* that a look goes back at most */

struct expected { /* a vector in the snapshot */
	uint64_t id;
	uint32_t thing;
	uint32_t type; /* TYPES: none */
	uint32_t tags;
	float vector[DIM];
	double distance;
};

void look_must(cop_err err, const char *what)
{
	if (err)
		oracle_fail("%s: %s (%s)", what, cop_strerror(err),
			    cop_last_error());
}

void look_floor(struct look_floor *floor)
{
	for (uint32_t g = 0; g < GROUPS; g++) {
		struct group *group = &oracle->groups[g];
		uint64_t seen = atomic_load(&group->seen);

		floor->stamps[g] = atomic_load(&group->acked);
		if (floor->stamps[g] < seen)
			floor->stamps[g] = seen;
	}
	floor->commit = atomic_load(&oracle->committed);
	if (floor->commit < atomic_load(&oracle->seen))
		floor->commit = atomic_load(&oracle->seen);
	floor->called = oracle_now();
}

/* ---- entities ----------------------------------------------------------- */

static struct cop_entity entity_of(cop_read *read, const char *key, size_t size)
{
	struct cop_entity entity;

	look_must(cop_get(read, key, size, &entity), "get");
	return entity;
}

static uint64_t number_of(cop_read *read, const struct cop_entity *entity,
			  const char *name)
{
	struct cop_value value = {0};
	int found = 0;

	look_must(cop_entity_property(read, entity, name, strlen(name), &found,
				      &value),
		  "property");
	if (!found || value.kind != COP_INT)
		oracle_fail("commit %" PRIu64 ": entity %.*s has no number %s",
			    cop_read_commit(read), (int)entity->key_size,
			    (const char *)entity->key, name);
	return (uint64_t)value.integer;
}

uint64_t look_stamp(cop_read *read, uint32_t group)
{
	char key[32];
	struct cop_entity entity =
	    entity_of(read, key, model_key(key, group, 0, 0));

	return entity.id ? number_of(read, &entity, "n") : 0;
}

uint64_t look_register(cop_read *read, uint32_t index, uint64_t *version)
{
	char key[32];
	struct cop_entity entity =
	    entity_of(read, key, model_register_key(key, index));

	*version = entity.id ? entity.version : 0;
	return entity.id ? number_of(read, &entity, "n") : 0;
}

static void root_take(struct look *look, uint32_t group)
{
	char key[32];
	struct cop_entity entity =
	    entity_of(look->read, key, model_key(key, group, 0, 0));

	if (!entity.id)
		oracle_fail("commit %" PRIu64 ": the root of group %u is not "
			    "there",
			    look->commit, group);
	look->ids[group][0] = entity.id;
	look->stamps[group] = number_of(look->read, &entity, "n");
	look->pairs[group] = number_of(look->read, &entity, "pair");
	look->versions[group] = entity.version;
	model_name(key, group, look->stamps[group]);
	if (number_of(look->read, &entity, key) != look->stamps[group])
		oracle_fail("commit %" PRIu64 ", group %u at stamp %" PRIu64
			    ": property %s is %" PRIu64,
			    look->commit, group, look->stamps[group], key,
			    number_of(look->read, &entity, key));
}

static void registers_take(struct look *look)
{
	for (uint32_t i = 0; i < REGISTERS; i++) {
		char key[32];
		struct cop_entity entity =
		    entity_of(look->read, key, model_register_key(key, i));

		look->register_ids[i] = entity.id;
		look->registers[i] =
		    entity.id ? number_of(look->read, &entity, "n") : 0;
	}
}

static void look_take(struct look *look, cop_read *read)
{
	struct cop_entity hub;

	memset(look, 0, sizeof *look);
	look->read = read;
	look->commit = cop_read_commit(read);
	hub = entity_of(read, "hub", 3);
	look->hub = hub.id;
	for (uint32_t g = 0; g < GROUPS; g++)
		root_take(look, g);
	registers_take(look);
}

__attribute__((noreturn)) static void differs(const struct look *look,
					      uint32_t group, uint32_t member,
					      const char *what, uint64_t found,
					      uint64_t expected)
{
	oracle_fail("commit %" PRIu64 ", group %u at stamp %" PRIu64
		    ", member %u: %s is %" PRIu64 ", expected %" PRIu64,
		    look->commit, group, look->stamps[group], member, what,
		    found, expected);
}

static void text_check(const struct look *look, uint32_t group, uint32_t member,
		       uint32_t salt, const void *data, size_t size)
{
	static _Thread_local char text[TEXT_MAX];
	size_t expected =
	    model_text(text, group, member, look->stamps[group], salt);

	if (size != expected)
		differs(look, group, member,
			salt ? "content size" : "text size", size, expected);
	if (size && memcmp(data, text, size) != 0)
		differs(look, group, member,
			salt ? "the content's hash" : "the text's hash", 0, 1);
}

static uint32_t tags_of(cop_read *read, const struct cop_entity *entity)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < entity->tag_count; i++) {
		const char *tag;
		size_t size;

		look_must(cop_entity_tag(read, entity, i, &tag, &size), "tag");
		for (uint32_t t = 0; t < TAGS; t++)
			if (strlen(model_tags[t]) == size &&
			    !memcmp(tag, model_tags[t], size))
				mask |= 1u << t;
	}
	return mask;
}

static uint32_t type_of(cop_read *read, const struct cop_entity *entity)
{
	const char *type;
	size_t size;

	look_must(cop_name(read, entity->type, &type, &size), "type");
	for (uint32_t t = 0; t < TYPES; t++)
		if (strlen(model_types[t]) == size &&
		    !memcmp(type, model_types[t], size))
			return t;
	return TYPES;
}

static void record_check(const struct look *look, uint32_t group,
			 uint32_t member, const struct cop_entity *entity)
{
	uint64_t stamp = look->stamps[group];
	struct model_record record = model_record(group, member, stamp);
	struct cop_value text = {0};
	const void *content;
	size_t size;
	int found;

	if (number_of(look->read, entity, "n") != record.stamp)
		differs(look, group, member, "n",
			number_of(look->read, entity, "n"), record.stamp);
	if ((entity->version == look->versions[group]) !=
	    (record.stamp == stamp))
		differs(look, group, member, "version", entity->version,
			look->versions[group]);
	if (type_of(look->read, entity) != record.type)
		differs(look, group, member, "type",
			type_of(look->read, entity), record.type);
	if (tags_of(look->read, entity) != record.tags)
		differs(look, group, member, "tags",
			tags_of(look->read, entity), record.tags);
	look_must(
	    cop_entity_property(look->read, entity, "text", 4, &found, &text),
	    "text");
	text_check(look, group, member, 0, text.data, found ? text.count : 0);
	look_must(cop_entity_content(look->read, entity, &content, &size),
		  "content");
	text_check(look, group, member, 1, content, size);
}

static void vector_check(const struct look *look, uint32_t group,
			 uint32_t member, uint64_t id)
{
	uint64_t stamp = look->stamps[group];
	const float *vector;
	float expected[DIM];

	look_must(cop_vector(look->read, id, &vector), "vector");
	if ((vector != NULL) != model_has_vector(group, member, stamp))
		differs(look, group, member, "having a vector", vector != NULL,
			vector == NULL);
	model_vector(expected, group * MEMBERS + member,
		     model_vector_stamp(stamp));
	if (vector && memcmp(vector, expected, sizeof expected) != 0)
		differs(look, group, member, "the vector's stamp",
			(uint64_t)vector[1] + 512 * (uint64_t)vector[2],
			model_vector_stamp(stamp));
}

/* The last member of the era before, and of the one to come. */
static void eras_check(const struct look *look, uint32_t group)
{
	uint64_t stamp = look->stamps[group];
	char key[32];
	size_t size = model_key(key, group, MEMBERS - 1, stamp + ERA);

	if (entity_of(look->read, key, size).id)
		oracle_fail("commit %" PRIu64 ", group %u at stamp %" PRIu64
			    ": %s is there",
			    look->commit, group, stamp, key);
	if (stamp < ERA)
		return;
	size = model_key(key, group, MEMBERS - 1, stamp - ERA);
	if (entity_of(look->read, key, size).id)
		oracle_fail("commit %" PRIu64 ", group %u at stamp %" PRIu64
			    ": %s is there still",
			    look->commit, group, stamp, key);
}

static void group_check(struct look *look, uint32_t group)
{
	eras_check(look, group);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		char key[32];
		struct cop_entity entity =
		    entity_of(look->read, key,
			      model_key(key, group, i, look->stamps[group]));
		int there = model_is_there(group, i, look->stamps[group]);

		if ((entity.id != 0) != there)
			differs(look, group, i, "being there", entity.id != 0,
				(uint64_t)there);
		look->ids[group][i] = entity.id;
		if (!there)
			continue;
		record_check(look, group, i, &entity);
		vector_check(look, group, i, entity.id);
	}
}

/* What is moved from one to another is in one of them. */
static void accounts_check(const struct look *look)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		char key[32];
		struct cop_entity entity =
		    entity_of(look->read, key, model_account_key(key, i));
		uint64_t balance =
		    entity.id ? number_of(look->read, &entity, "n") : 0;

		sum += balance;
		if (balance > ACCOUNTS * BALANCE)
			oracle_fail("commit %" PRIu64 ": account %u has "
				    "%" PRIu64,
				    look->commit, i, balance);
	}
	if (sum != ACCOUNTS * BALANCE)
		oracle_fail("commit %" PRIu64 ": the accounts hold %" PRIu64
			    ", expected %d",
			    look->commit, sum, ACCOUNTS * BALANCE);
}

/* A joint change is seen with both its halves. */
static void pair_check(const struct look *look, uint32_t group)
{
	uint32_t partner = model_partner(group);
	uint64_t pair = look->pairs[group];

	if (!pair)
		return;
	if (look->stamps[partner] < pair)
		differs(look, partner, 0, "the stamp, of half a change,",
			look->stamps[partner], pair);
	if (look->stamps[partner] == pair &&
	    look->versions[partner] != look->versions[group])
		differs(look, partner, 0, "the version",
			look->versions[partner], look->versions[group]);
}

/* ---- edges -------------------------------------------------------------- */

struct edges {
	const struct look *look;
	uint32_t group;
	uint32_t near;	/* a bit a member */
	uint64_t roots; /* a bit a group's root, over any other relation */
	uint32_t strangers;
};

static int32_t edge_note(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct edges *edges = user;
	const struct look *look = edges->look;
	uint64_t stamp = model_edge_stamp(look->stamps[edges->group]);
	struct cop_value value = {0};
	const char *name;
	size_t size;
	int known = 0;

	look_must(cop_edge_property_at(read, edge, 0, &name, &size, &value),
		  "property of an edge");
	if ((uint64_t)value.integer != stamp)
		differs(look, edges->group, 0, "an edge's n",
			(uint64_t)value.integer, stamp);
	for (uint32_t i = 0; i < MEMBERS; i++)
		if (edge->target &&
		    edge->target == look->ids[edges->group][i]) {
			edges->near |= 1u << i;
			known = 1;
		}
	for (uint32_t g = 0; g < GROUPS && !known; g++)
		if (edge->target == look->ids[g][0]) {
			edges->roots |= UINT64_C(1) << g;
			known = 1;
		}
	if (edge->target == look->hub) {
		edges->roots |= UINT64_C(1) << GROUPS;
		known = 1;
	}
	edges->strangers += !known;
	return 0;
}

static uint32_t near_expected(const struct look *look, uint32_t group,
			      uint32_t from)
{
	uint32_t mask = 0;

	for (uint32_t to = 0; to < MEMBERS; to++)
		if (model_edge(group, from, to, look->stamps[group]))
			mask |= 1u << to;
	return mask;
}

static void edges_check(const struct look *look, uint32_t group)
{
	uint64_t stamp = look->stamps[group];
	uint32_t peer = model_peer(group, stamp);
	uint64_t roots = peer == group ? 0 : UINT64_C(1) << peer;

	if (model_at_hub(group, stamp))
		roots |= UINT64_C(1) << GROUPS;
	for (uint32_t i = 0; i < MEMBERS; i++) {
		struct edges edges = {.look = look, .group = group};

		if (!look->ids[group][i])
			continue;
		look_must(cop_edges(look->read, look->ids[group][i], COP_OUT,
				    edge_note, &edges),
			  "edges");
		if (edges.near != near_expected(look, group, i))
			differs(look, group, i, "the set of edges in the group",
				edges.near, near_expected(look, group, i));
		if (edges.roots != (i ? 0 : roots) || edges.strangers)
			differs(look, group, i, "the set of edges elsewhere",
				edges.roots, i ? 0 : roots);
	}
}

/* ---- walks -------------------------------------------------------------- */

/* Members within `hops` of the root over edges of the group. */
static uint32_t reach_expected(const struct look *look, uint32_t group,
			       uint32_t hops, int32_t direction)
{
	uint32_t reach = 1;

	for (uint32_t hop = 0; hop < hops; hop++) {
		uint32_t now = reach;

		for (uint32_t a = 0; a < MEMBERS; a++)
			for (uint32_t b = 0; b < MEMBERS; b++) {
				if (!model_edge(group, a, b,
						look->stamps[group]))
					continue;
				if (direction & COP_OUT && now >> a & 1)
					reach |= 1u << b;
				if (direction & COP_IN && now >> b & 1)
					reach |= 1u << a;
			}
	}
	return reach;
}

static void walk_check(const struct look *look, uint32_t group, uint64_t *seed)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = 1 + (uint32_t)test_below(seed, 4),
				.start = look->ids[group][0],
				.relation = "near",
				.direction = 1 + (int32_t)test_below(seed, 3)};
	uint32_t expected =
	    reach_expected(look, group, walk.hops, walk.direction);
	struct cop_step steps[MEMBERS + 2];
	uint32_t reach = 0;
	size_t count = 0;

	look_must(cop_walk(look->read, &walk, steps, MEMBERS + 2, &count, NULL),
		  "walk");
	for (size_t s = 0; s < count; s++)
		for (uint32_t i = 0; i < MEMBERS; i++)
			if (steps[s].id == look->ids[group][i])
				reach |= 1u << i;
	if (reach != expected || count != (size_t)__builtin_popcount(expected))
		differs(look, group, 0, "what a walk reached", reach, expected);
}

static void hub_check(const struct look *look)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = 1,
				.start = look->hub,
				.relation = "at",
				.direction = COP_IN};
	struct cop_step steps[GROUPS + 2];
	uint64_t expected = 0;
	uint64_t found = 0;
	size_t count = 0;

	for (uint32_t g = 0; g < GROUPS; g++)
		if (model_at_hub(g, look->stamps[g]))
			expected |= UINT64_C(1) << g;
	look_must(cop_walk(look->read, &walk, steps, GROUPS + 2, &count, NULL),
		  "walk");
	for (size_t s = 1; s < count; s++)
		for (uint32_t g = 0; g < GROUPS; g++)
			if (steps[s].id == look->ids[g][0])
				found |= UINT64_C(1) << g;
	if (found != expected ||
	    count != 1 + (size_t)__builtin_popcountll(expected))
		oracle_fail("commit %" PRIu64 ": groups at the hub are %" PRIx64
			    " (%zu steps), expected %" PRIx64,
			    look->commit, found, count, expected);
}

/* ---- searches ----------------------------------------------------------- */

static uint32_t vectors_expected(const struct look *look,
				 struct expected *expected)
{
	uint32_t n = 0;

	for (uint32_t thing = 0; thing < GROUPS * MEMBERS; thing++) {
		uint32_t g = thing / MEMBERS;
		uint32_t i = thing % MEMBERS;
		uint64_t stamp = look->stamps[g];
		struct model_record record = model_record(g, i, stamp);

		if (!model_has_vector(g, i, stamp))
			continue;
		expected[n] = (struct expected){.id = look->ids[g][i],
						.thing = thing,
						.type = record.type,
						.tags = record.tags};
		model_vector(expected[n++].vector, thing,
			     model_vector_stamp(stamp));
	}
	for (uint32_t i = 0; i < REGISTERS; i++) {
		uint32_t thing = GROUPS * MEMBERS + i;

		if (!look->register_ids[i])
			continue;
		expected[n] = (struct expected){
		    .id = look->register_ids[i], .thing = thing, .type = TYPES};
		model_vector(expected[n++].vector, thing, look->registers[i]);
	}
	return n;
}

static int expected_compare(const void *a, const void *b)
{
	const struct expected *x = a;
	const struct expected *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* What is left of them under the search's filters, nearest first. */
static uint32_t expected_rank(struct expected *expected, uint32_t count,
			      const float *query, uint32_t type, uint32_t tag)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		if ((type < TYPES && expected[i].type != type) ||
		    (tag < TAGS && !(expected[i].tags >> tag & 1)))
			continue;
		expected[n] = expected[i];
		expected[n].distance =
		    model_distance(expected[n].vector, query);
		n++;
	}
	qsort(expected, n, sizeof *expected, expected_compare);
	return n;
}

static void search_check(const struct look *look, uint64_t *seed)
{
	struct expected expected[THINGS];
	struct cop_hit hits[THINGS + 1];
	uint32_t n = vectors_expected(look, expected);
	uint32_t type = (uint32_t)test_below(seed, 2 * TYPES);
	uint32_t tag = (uint32_t)test_below(seed, 2 * TAGS);
	float query[DIM];
	struct cop_search search = {
	    .size = sizeof search,
	    .k = test_below(seed, 4) ? THINGS + 1
				     : 1 + (uint32_t)test_below(seed, 6),
	    .vector = query,
	    .type = type < TYPES ? model_types[type] : NULL,
	    .tag = tag < TAGS ? model_tags[tag] : NULL,
	    .exact = (int32_t)test_below(seed, 2)};
	uint32_t count = 0;

	model_vector(query, (uint32_t)test_below(seed, THINGS),
		     test_below(seed, 4000));
	if (n && test_below(seed, 2))
		memcpy(query, expected[test_below(seed, n)].vector,
		       sizeof query);
	n = expected_rank(expected, n, query, type, tag);
	if (n > search.k)
		n = search.k;
	look_must(cop_search(look->read, &search, hits, &count), "search");
	for (uint32_t i = 0; i < n && i < count; i++)
		if (hits[i].id != expected[i].id ||
		    hits[i].distance != expected[i].distance)
			oracle_fail("commit %" PRIu64
				    ": hit %u of %u is entity %" PRIu64
				    " at %g, expected entity %" PRIu64
				    " (thing %u) at %g; k %u, type %s, tag %s, "
				    "exact %d",
				    look->commit, i, count, hits[i].id,
				    hits[i].distance, expected[i].id,
				    expected[i].thing, expected[i].distance,
				    search.k, search.type ? search.type : "any",
				    search.tag ? search.tag : "any",
				    search.exact);
	if (count != n)
		oracle_fail("commit %" PRIu64 ": a search has %u hits, "
			    "expected %u; k %u, type %s, tag %s, exact %d",
			    look->commit, count, n, search.k,
			    search.type ? search.type : "any",
			    search.tag ? search.tag : "any", search.exact);
}

/* ---- scans -------------------------------------------------------------- */

static int32_t scan_note(void *user, uint32_t thread, cop_read *read,
			 const struct cop_entity *entity)
{
	uint64_t *count = user;

	(void)thread;
	(void)read;
	(void)entity;
	++*count;
	return 0;
}

static void scan_check(const struct look *look, uint32_t type, uint32_t tag)
{
	uint64_t expected = 0;
	uint64_t count = 0;

	for (uint32_t g = 0; g < GROUPS; g++)
		for (uint32_t i = 0; i < MEMBERS; i++) {
			struct model_record record =
			    model_record(g, i, look->stamps[g]);

			expected += model_is_there(g, i, look->stamps[g]) &&
				    (type == TYPES || record.type == type) &&
				    (tag == TAGS || record.tags >> tag & 1);
		}
	if (type == TYPES && tag == TAGS) {
		expected += 2 + ACCOUNTS; /* the hub, the barrier */
		for (uint32_t i = 0; i < REGISTERS; i++)
			expected += look->register_ids[i] != 0;
	}
	look_must(cop_scan(look->read, type < TYPES ? model_types[type] : NULL,
			   tag < TAGS ? model_tags[tag] : NULL, 1, scan_note,
			   &count),
		  "scan");
	if (count != expected)
		oracle_fail("commit %" PRIu64 ": a scan of type %u, tag %u "
			    "finds %" PRIu64 " entities, expected %" PRIu64,
			    look->commit, type, tag, count, expected);
}

/* ---- all ---------------------------------------------------------------- */

static void bounds_check(const struct look *look,
			 const struct look_floor *floor)
{
	if (look->commit < floor->commit)
		oracle_fail("a read sees commit %" PRIu64 ", and %" PRIu64
			    " had returned or been seen before it began",
			    look->commit, floor->commit);
	for (uint32_t g = 0; g < GROUPS; g++) {
		struct group *group = &oracle->groups[g];
		uint64_t pending = atomic_load(&group->pending);

		if (look->stamps[g] < floor->stamps[g])
			oracle_fail(
			    "commit %" PRIu64 ": group %u is at stamp "
			    "%" PRIu64 ", and %" PRIu64 " had been "
			    "acknowledged or seen before the read began",
			    look->commit, g, look->stamps[g], floor->stamps[g]);
		if (look->stamps[g] > pending)
			oracle_fail("commit %" PRIu64 ": group %u is at stamp "
				    "%" PRIu64 ", and no more than %" PRIu64
				    " was ever begun",
				    look->commit, g, look->stamps[g], pending);
		oracle_raise(&group->seen, look->stamps[g]);
	}
	oracle_raise(&oracle->seen, look->commit);
}

static void look_check(struct look *look, enum look_depth depth, uint64_t *seed)
{
	int searches = depth == LOOK_ALL ? 30 : 2;

	for (uint32_t g = 0; g < GROUPS; g++) {
		group_check(look, g);
		pair_check(look, g);
	}
	for (uint32_t g = 0; g < GROUPS; g++) {
		if (depth == LOOK_SOME && test_below(seed, 3))
			continue;
		edges_check(look, g);
		walk_check(look, g, seed);
	}
	hub_check(look);
	accounts_check(look);
	for (int i = 0; i < searches; i++)
		search_check(look, seed);
	if (depth == LOOK_SOME)
		scan_check(look, (uint32_t)test_below(seed, TYPES + 1),
			   (uint32_t)test_below(seed, TAGS + 1));
	for (uint32_t t = 0; depth == LOOK_ALL && t <= TYPES; t++)
		for (uint32_t a = 0; a <= TAGS; a++)
			scan_check(look, t, a);
	oracle_count(COUNT_READS);
}

void look_at(struct look *look, cop_read *read, const struct look_floor *floor,
	     enum look_depth depth, uint64_t *seed)
{
	uint32_t index = (uint32_t)test_below(seed, REGISTERS);

	look_take(look, read);
	for (uint32_t i = 0; i < REGISTERS; i++)
		if (depth == LOOK_ALL || i == index)
			log_read(floor->called, i, look->registers[i]);
	bounds_check(look, floor);
	look_check(look, depth, seed);
}

void look_again(const struct look *before, enum look_depth depth,
		uint64_t *seed)
{
	struct look look;

	look_take(&look, before->read);
	if (look.commit != before->commit ||
	    memcmp(look.stamps, before->stamps, sizeof look.stamps) != 0 ||
	    memcmp(look.registers, before->registers, sizeof look.registers) !=
		0)
		oracle_fail("commit %" PRIu64 ": a read that is still open "
			    "does not see what it saw",
			    before->commit);
	look_check(&look, depth, seed);
}

void look_past(cop_read *read, uint64_t *seed)
{
	uint64_t newest = cop_read_commit(read);
	uint64_t back = test_below(seed, PAST_COMMITS);
	struct look look;
	cop_err err;

	if (back >= newest)
		return;
	err = cop_read_as_of(read, newest - back);
	if (err == COP_TOO_OLD)
		return; /* retention was faster */
	look_must(err, "read as of the past");
	look_take(&look, read);
	look_check(&look, LOOK_SOME, seed);
	oracle_count(COUNT_PAST);
	look_must(cop_read_as_of(read, newest), "read as of the newest");
}
