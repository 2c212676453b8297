/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timed: tags and properties with times of their own are what a plain model
 * says they are, at any point in time, as of any commit: on entities, in
 * selections, counts, walks and searches.  What makes no sense is refused.
 */
#include "fixture.h"

enum { KEYS = 40, TAGS = 4, SPANS = 3, STATES = 60, DIM = 4, YEARS = 20 };

static const char *const tag_names[TAGS] = {"red", "green", "blue", "grey"};

struct span {
	int64_t from;
	int64_t to;
};

#define EVER ((struct span){INT64_MIN, INT64_MAX})

struct thing {
	int there;
	uint32_t tag_count;
	int tags[TAGS * SPANS];
	struct span tag_spans[TAGS * SPANS];
	uint32_t value_count; /* of the property "v": value i at spans i */
	struct span value_spans[SPANS];
	int64_t values[SPANS];
};

static struct thing model[STATES + 1][KEYS];

static struct cop_validity validity_of(struct span span)
{
	return (struct cop_validity){{span.from, 0, 0}, {span.to, 0, 0}};
}

static const char *key_of(int key)
{
	static char names[4][8];
	static int turn;
	char *name = names[turn++ % 4];

	snprintf(name, 8, "k%02d", key);
	return name;
}

static struct span span_random(uint64_t *seed)
{
	int64_t from = (int64_t)(test_random(seed) % YEARS);
	struct span span = {from, from + 1 + (int64_t)(test_random(seed) % 8)};

	if (test_random(seed) % 5 == 0)
		span.from = INT64_MIN;
	if (test_random(seed) % 5 == 0)
		span.to = INT64_MAX;
	return test_random(seed) % 6 ? span : EVER;
}

static int holds(struct span span, int64_t at)
{
	return span.from <= at && (at < span.to || span.to == INT64_MAX);
}

static int has_tag(const struct thing *thing, int tag, int64_t at)
{
	for (uint32_t i = 0; thing->there && i < thing->tag_count; i++)
		if (thing->tags[i] == tag && holds(thing->tag_spans[i], at))
			return 1;
	return 0;
}

/* ---- commits ------------------------------------------------------------ */

static void thing_random(struct thing *thing, uint64_t *seed)
{
	int64_t next = 0;

	*thing = (struct thing){.there = 1};
	thing->tag_count = (uint32_t)(test_random(seed) % (TAGS + 2));
	for (uint32_t i = 0; i < thing->tag_count; i++) {
		thing->tags[i] = (int)(test_random(seed) % TAGS);
		thing->tag_spans[i] = span_random(seed);
	}
	thing->value_count = (uint32_t)(test_random(seed) % (SPANS + 1));
	for (uint32_t i = 0; i < thing->value_count; i++) {
		int64_t from = next + (int64_t)(test_random(seed) % 4);

		next = from + 1 + (int64_t)(test_random(seed) % 4);
		thing->value_spans[i] = (struct span){from, next};
		thing->values[i] = (int64_t)(test_random(seed) % 1000);
	}
}

static void vector_of(int key, float *vector)
{
	for (int i = 0; i < DIM; i++)
		vector[i] = (float)((key * 7 + i * 13) % 31);
}

static void thing_put(cop_write *write, int key, const struct thing *thing)
{
	const char *tags[TAGS * SPANS];
	struct cop_validity tag_valid[TAGS * SPANS];
	struct cop_property properties[SPANS];
	struct cop_validity valid[SPANS];
	float vector[DIM];
	struct cop_put put = {.size = sizeof put,
			      .key = key_of(key),
			      .key_size = 3,
			      .tags = tags,
			      .tag_count = thing->tag_count,
			      .tag_valid = tag_valid,
			      .properties = properties,
			      .property_count = thing->value_count,
			      .property_valid = valid,
			      .vector = vector,
			      .dim = DIM};

	for (uint32_t i = 0; i < thing->tag_count; i++) {
		tags[i] = tag_names[thing->tags[i]];
		tag_valid[i] = validity_of(thing->tag_spans[i]);
	}
	for (uint32_t i = 0; i < thing->value_count; i++) {
		properties[i] = (struct cop_property){
		    "v", 1, {.kind = COP_INT, .integer = thing->values[i]}};
		valid[i] = validity_of(thing->value_spans[i]);
	}
	vector_of(key, vector);
	must(cop_put(write, &put), "put");
}

/* A tag more or one less, as the store is told and as the model has it. */
static void tag_random(cop_write *write, int key, struct thing *thing,
		       uint64_t *seed)
{
	int tag = (int)(test_random(seed) % TAGS);
	struct span span = span_random(seed);
	struct cop_validity valid = validity_of(span);
	uint32_t kept = 0;

	if (thing->tag_count + 1 > TAGS * SPANS || test_random(seed) % 3 == 0) {
		for (uint32_t i = 0; i < thing->tag_count; i++)
			if (thing->tags[i] != tag) {
				thing->tags[kept] = thing->tags[i];
				thing->tag_spans[kept++] = thing->tag_spans[i];
			}
		thing->tag_count = kept;
		must(cop_untag(write, key_of(key), 3, tag_names[tag],
			       strlen(tag_names[tag])),
		     "untag");
		return;
	}
	thing->tags[thing->tag_count] = tag;
	thing->tag_spans[thing->tag_count++] = span;
	must(cop_tag_valid(write, key_of(key), 3, tag_names[tag],
			   strlen(tag_names[tag]), &valid),
	     "tag");
}

static uint64_t change_four(struct fixture *f, struct thing *things,
			    uint64_t *seed)
{
	cop_write *write = write_of(f);

	for (int i = 0; i < 4; i++) {
		int key = (int)(test_random(seed) % KEYS);
		struct thing *thing = &things[key];

		if (!thing->there || test_random(seed) % 3 == 0) {
			thing_random(thing, seed);
			thing_put(write, key, thing);
		} else if (test_random(seed) % 8 == 0) {
			thing->there = 0;
			must(cop_delete(write, key_of(key), 3), "delete");
		} else {
			tag_random(write, key, thing, seed);
		}
	}
	return commit_of(write);
}

/* Four that change nothing, such as tags that are there, are no commit. */
static void commit_random(struct fixture *f, int state, uint64_t *seed)
{
	uint64_t commit = 0;

	memcpy(model[state], model[state - 1], sizeof model[state]);
	for (int i = 0; i < 10 && commit != (uint64_t)state; i++)
		commit = change_four(f, model[state], seed);
	is_u64(commit, (uint64_t)state, "commit %d", state);
}

/* ---- what is seen ------------------------------------------------------- */

struct seen {
	uint32_t keys[KEYS];
	uint32_t count;
	int wrong;
};

static void seen_add(struct seen *seen, const void *key)
{
	int number = atoi((const char *)key + 1);

	seen->count++;
	seen->keys[number]++;
}

static int32_t select_visit(void *user, uint32_t thread, cop_read *read,
			    const struct cop_entity *entity)
{
	(void)thread;
	(void)read;
	seen_add(user, entity->key);
	return 0;
}

static int seen_same(const struct seen *a, const struct seen *b)
{
	return !memcmp(a->keys, b->keys, sizeof a->keys);
}

/* Each entity: its tags, and the one value that its property has. */
static int entities_agree(cop_read *read, const struct thing *things,
			  int64_t at)
{
	int wrong = 0;

	for (int key = 0; key < KEYS; key++) {
		const struct thing *thing = &things[key];
		struct cop_entity entity;
		struct cop_value value;
		int64_t want = -1;
		int found = 0;
		uint32_t tags = 0;

		must(cop_get(read, key_of(key), 3, &entity), "get");
		wrong += (entity.id != 0) != thing->there;
		if (!entity.id || !thing->there)
			continue;
		for (int tag = 0; tag < TAGS; tag++)
			tags += (uint32_t)has_tag(thing, tag, at);
		wrong += entity.tag_count != tags;
		for (uint32_t i = 0; i < thing->value_count; i++)
			if (holds(thing->value_spans[i], at))
				want = thing->values[i];
		must(cop_entity_property(read, &entity, "v", 1, &found, &value),
		     "property");
		wrong += (found ? value.integer : -1) != want;
	}
	return !wrong;
}

/* All of one tag, any of two, none of one; and the counts of names. */
static int selections_agree(cop_read *read, const struct thing *things,
			    int64_t at, uint64_t *seed)
{
	int all = (int)(test_random(seed) % TAGS);
	int any[2] = {(int)(test_random(seed) % TAGS),
		      (int)(test_random(seed) % TAGS)};
	int none = (int)(test_random(seed) % TAGS);
	const char *words[4] = {tag_names[all], tag_names[any[0]],
				tag_names[any[1]], tag_names[none]};
	uint32_t parts = (uint32_t)(test_random(seed) % 7) + 1;
	struct cop_select select = {.size = sizeof select,
				    .all = words,
				    .any = words + 1,
				    .none = words + 3,
				    .all_count = parts & 1,
				    .any_count = parts & 2,
				    .none_count = parts >> 2};
	struct seen got = {.count = 0};
	struct seen want = {.count = 0};

	for (int key = 0; key < KEYS; key++) {
		const struct thing *thing = &things[key];

		if (thing->there && (!(parts & 1) || has_tag(thing, all, at)) &&
		    (!(parts & 2) || has_tag(thing, any[0], at) ||
		     has_tag(thing, any[1], at)) &&
		    (!(parts >> 2) || !has_tag(thing, none, at)))
			seen_add(&want, key_of(key));
	}
	must(cop_select(read, &select, select_visit, &got), "select");
	return seen_same(&got, &want);
}

struct tally {
	uint64_t of[TAGS];
};

static int32_t name_visit(void *user, cop_read *read,
			  const struct cop_name_count *name)
{
	struct tally *tally = user;

	(void)read;
	for (int tag = 0; tag < TAGS; tag++)
		if (name->size == strlen(tag_names[tag]) &&
		    !memcmp(name->text, tag_names[tag], name->size))
			tally->of[tag] = name->count;
	return 0;
}

static int counts_agree(cop_read *read, const struct thing *things, int64_t at)
{
	struct tally got = {{0}};
	struct tally want = {{0}};

	for (int key = 0; key < KEYS; key++)
		for (int tag = 0; tag < TAGS; tag++)
			want.of[tag] +=
			    (uint64_t)has_tag(&things[key], tag, at);
	must(cop_names(read, COP_SPACE_TAG, NULL, 0, name_visit, &got),
	     "names");
	return !memcmp(&got, &want, sizeof got);
}

/* A search for more than there are finds those that have the tags. */
static int search_agrees(cop_read *read, const struct thing *things, int64_t at,
			 uint64_t *seed)
{
	int tags[2] = {(int)(test_random(seed) % TAGS),
		       (int)(test_random(seed) % TAGS)};
	const char *words[2] = {tag_names[tags[0]], tag_names[tags[1]]};
	int is_any = (int)(test_random(seed) % 2);
	float query[DIM] = {1, 2, 3, 4};
	struct cop_hit hits[KEYS];
	uint32_t count = 0;
	struct cop_search search = {
	    .size = sizeof search,
	    .vector = query,
	    .k = KEYS,
	    .tags = words,
	    .tag_count = 2,
	    .tag_mode = is_any ? COP_TAGS_ANY : COP_TAGS_ALL,
	    .strategy = test_random(seed) % 2 ? COP_AUTO : COP_HNSW};
	struct seen got = {.count = 0};
	struct seen want = {.count = 0};

	for (int key = 0; key < KEYS; key++) {
		int first = has_tag(&things[key], tags[0], at);
		int second = has_tag(&things[key], tags[1], at);

		if (is_any ? first || second : first && second)
			seen_add(&want, key_of(key));
	}
	must(cop_search(read, &search, hits, &count), "search");
	for (uint32_t i = 0; i < count; i++) {
		const void *key;
		size_t size;

		must(cop_key(read, hits[i].id, &key, &size), "key");
		seen_add(&got, key);
	}
	return seen_same(&got, &want);
}

static void time_is_what_it_was(struct fixture *f, uint64_t *seed,
				const char *how)
{
	cop_read *read = read_of(f);
	int wrong[4] = {0};

	for (int i = 0; i < 400; i++) {
		int state =
		    i % 3 ? STATES : (int)(test_random(seed) % STATES) + 1;
		struct cop_instant at = {
		    .seconds = (int64_t)(test_random(seed) % (YEARS + 12)) - 2};

		must(cop_read_as_of(read, (uint64_t)state), "as of");
		must(cop_read_valid_at(read, &at), "valid at");
		wrong[0] += !entities_agree(read, model[state], at.seconds);
		wrong[1] +=
		    !selections_agree(read, model[state], at.seconds, seed);
		wrong[2] += !counts_agree(read, model[state], at.seconds);
		wrong[3] +=
		    !search_agrees(read, model[state], at.seconds, seed);
		must(cop_read_refresh(read), "refresh");
	}
	is_int(wrong[0], 0, "%s: entities at 400 points in time", how);
	is_int(wrong[1], 0, "%s: selections", how);
	is_int(wrong[2], 0, "%s: counts", how);
	is_int(wrong[3], 0, "%s: searches", how);
	cop_read_end(read);
}

/* ---- what a reader is told ---------------------------------------------- */

static void times_are_told(struct fixture *f)
{
	struct cop_validity term = validity_of((struct span){2001, 2005});
	struct cop_validity valid;
	struct cop_entity entity;
	cop_write *write = write_of(f);
	cop_read *read;

	put_simple(write, "ada", NULL, NULL, 0);
	must(cop_tag(write, "ada", 3, "red", 3), "tag");
	must(cop_tag_valid(write, "ada", 3, "blue", 4, &term), "tag");
	must(cop_tag_valid(write, "ada", 3, "red", 3, &term), "tag");
	commit_of(write);
	read = read_of(f);
	must(cop_get(read, "ada", 3, &entity), "get");
	is_u64(entity.tag_count, 2, "what it always has is not said twice");
	must(cop_entity_tag_valid(read, &entity, 1, &valid), "valid");
	ok(valid.from.seconds == 2001 && valid.to.seconds == 2005,
	   "a tag's time is told");
	must(cop_entity_tag_valid(read, &entity, 0, &valid), "valid");
	ok(valid.from.seconds == INT64_MIN && valid.to.seconds == INT64_MAX,
	   "and that another has none");
	is_int(cop_entity_tag_valid(read, &entity, 2, &valid), COP_INVALID,
	       "of a third nothing is");
	cop_read_end(read);
	write = write_of(f);
	must(cop_tag(write, "ada", 3, "blue", 4), "tag");
	commit_of(write);
	read = read_of(f);
	must(cop_get(read, "ada", 3, &entity), "get");
	is_u64(entity.tag_count, 2, "a tag for ever takes the place of terms");
	must(cop_entity_tag_valid(read, &entity, 1, &valid), "valid");
	ok(valid.to.seconds == INT64_MAX, "and has no end");
	cop_read_end(read);
}

/* One put says a tag three times, twice for ever: it has it once. */
static void once_is_enough(struct fixture *f)
{
	const char *tags[3] = {"red", "red", "red"};
	struct cop_validity valid[3] = {validity_of((struct span){1, 2}),
					validity_of(EVER), validity_of(EVER)};
	struct cop_put put = {.size = sizeof put,
			      .key = "eve",
			      .key_size = 3,
			      .tags = tags,
			      .tag_valid = valid,
			      .tag_count = 3};
	struct cop_entity entity;
	cop_write *write = write_of(f);
	cop_read *read;

	must(cop_put(write, &put), "put");
	commit_of(write);
	read = read_of(f);
	must(cop_get(read, "eve", 3, &entity), "get");
	is_u64(entity.tag_count, 1, "what a put says twice is so once");
	cop_read_end(read);
}

static void nonsense_is_refused(struct fixture *f)
{
	struct cop_validity valid[2] = {
	    {{10, 0, 0}, {20, 0, 0}},
	    {{19, 0, 0}, {30, 0, 0}},
	};
	struct cop_validity backwards = {{20, 0, 0}, {10, 0, 0}};
	struct cop_property properties[2] = {
	    {"p", 1, {.kind = COP_INT, .integer = 1}},
	    {"p", 1, {.kind = COP_INT, .integer = 2}},
	};
	struct cop_put put = {.size = sizeof put,
			      .key = "bob",
			      .key_size = 3,
			      .properties = properties,
			      .property_valid = valid,
			      .property_count = 2};
	cop_write *write = write_of(f);

	is_int(cop_put(write, &put), COP_INVALID,
	       "one property twice at the same time");
	put.property_valid = NULL;
	is_int(cop_put(write, &put), COP_INVALID, "or without times");
	put.property_valid = valid;
	valid[1].from.seconds = 20;
	is_int(cop_put(write, &put), 0, "after one another they may be");
	is_int(cop_tag_valid(write, "bob", 3, "red", 3, &backwards),
	       COP_INVALID, "a tag that ends before it begins");
	put.property_count = 1;
	put.property_valid = &backwards;
	is_int(cop_put(write, &put), COP_INVALID, "and such a property");
	cop_abort(write);
}

int main(void)
{
	struct fixture f;
	uint64_t seed;

	test_begin(240);
	plan_none();
	seed = test_seed();
	fixture_init(&f, DIM, COP_L2);
	for (int state = 1; state <= STATES; state++)
		commit_random(&f, state, &seed);
	time_is_what_it_was(&f, &seed, "at once");
	is_u64(findings_of(f.store), 0, "the store is whole");
	must(cop_maintain(f.store, NULL, NULL), "maintain");
	must(cop_compact(f.store, NULL, NULL), "compact");
	time_is_what_it_was(&f, &seed, "compacted");
	is_u64(findings_of(f.store), 0, "the store is whole");
	times_are_told(&f);
	once_is_enough(&f);
	nonsense_is_refused(&f);
	fixture_release(&f);
	return done_testing();
}
