/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process is killed at every point, at every hit, and nothing is lost.
 *
 * idea
 *	A script of commits is run by a child that reports each commit when it
 *	has returned, and is killed at a point that it passes.  The parent,
 *	attached all the while, then runs the rest of the script: what was
 *	reported must be there, the commit under way wholly there or not at
 *	all, and the check of the store against its segment must find
 *	nothing.  In a second pass the process that recovers is killed, too.
 *
 *	The state after i commits is known from a run that nobody disturbed;
 *	so are the points, by name, commit and how often each is hit in it.
 *
 * limits
 *	COPPICE_TEST_STRIDE=1: killed at every hit (make faults).  Without it
 *	at every point in every commit, but where one is hit often, at some
 *	hits only, others in every run, and at one in the second pass;
 *	COPPICE_TEST_SEED repeats it.
 */
#include "content.h"
#include "fixture.h"
#include "point.h"

#include <sys/mman.h>

enum { DIM = 8, STEPS = 12, KEYS = 24, PLACES = 512, HITS = 5 };

/* A point as it is hit between two commits. */
struct place {
	char name[32];
	uint32_t step; /* commits that have returned */
	uint32_t hits;
};

static struct {
	_Atomic uint32_t reported; /* commits that a child saw return */
	uint32_t place_count;
	struct place places[PLACES];
} * shared;

/* A death: at this place, when so many hits of it have passed. */
static struct place target;

static void kill_at_place(const char *name)
{
	if (shared->reported == target.step && !strcmp(name, target.name) &&
	    !target.hits--)
		kill(getpid(), SIGKILL);
}

static void note_place(const char *name)
{
	struct place *place = shared->places;
	struct place *end = place + shared->place_count;

	while (place < end && (place->step != shared->reported ||
			       strcmp(place->name, name) != 0))
		place++;
	if (place == shared->places + PLACES)
		_exit(4);
	if (place == end) {
		snprintf(place->name, sizeof place->name, "%s", name);
		place->step = shared->reported;
		place->hits = 0;
		shared->place_count++;
	}
	place->hits++;
}

static uint64_t point_left; /* points of recovery to pass before death */

static void kill_in_recovery(const char *name)
{
	if (!strncmp(name, "recover", 7) && !point_left--)
		kill(getpid(), SIGKILL);
}

/* ---- the script --------------------------------------------------------- */

static void key_of(char *key, int i)
{
	snprintf(key, 16, "key-%d", i);
}

static void vector_of(float *vector, int i, int step)
{
	for (int d = 0; d < DIM; d++)
		vector[d] = (float)((i * 31 + d * 17 + step * 7) % 23) - 11.5f;
}

/* Records of all sizes, so that some have a copy in the segment and some not.
 */
static void put_sized(cop_write *write, const char *key, const char *type,
		      int i, int step, const float *vector)
{
	uint64_t state = (uint64_t)(i * 64 + step);
	unsigned char content[900];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = type,
			      .type_size = strlen(type),
			      .vector = vector,
			      .dim = DIM,
			      .content = content};

	put.content_size = test_below(&state, sizeof content);
	for (size_t at = 0; at < put.content_size; at++)
		content[at] = (unsigned char)test_random(&state);
	must(cop_put(write, &put), "put");
}

static void put_range(cop_write *write, int from, int to, int step,
		      const char *type)
{
	for (int i = from; i < to; i++) {
		float vector[DIM];
		char key[16];

		key_of(key, i);
		vector_of(vector, i, step);
		put_sized(write, key, type, i, step, i % 5 ? vector : NULL);
	}
}

static void link_range(cop_write *write, int from, int to, int by,
		       const char *relation)
{
	for (int i = from; i < to; i++) {
		char a[16];
		char b[16];

		key_of(a, i);
		key_of(b, from + (i - from + by) % (to - from));
		must(link_simple(write, a, relation, b), "link");
	}
}

static void delete_range(cop_write *write, int from, int to)
{
	for (int i = from; i < to; i++) {
		char key[16];

		key_of(key, i);
		must(cop_delete(write, key, strlen(key)), "delete");
	}
}

/* Many edges of one entity come and go, so that its list is compacted. */
static void unlink_hub(cop_write *write, int from, int to)
{
	for (int i = from; i < to; i++) {
		char key[16];

		key_of(key, i);
		must(cop_delete_edge(write, "key-0", 5, "hub", 3, key,
				     strlen(key)),
		     "unlink");
	}
}

static void link_hub(cop_write *write, int from, int to)
{
	for (int i = from; i < to; i++) {
		char key[16];

		key_of(key, i);
		must(link_simple(write, "key-0", "hub", key), "link");
	}
}

/* Terms of one relation between the same two; then tags, and what was there. */
static void link_terms(cop_write *write, int from, int to, int unlink)
{
	for (int i = from; i < to; i++) {
		struct cop_validity term = {{i * 100, 0, 0},
					    {i * 100 + 50, 0, 0}};
		struct cop_put_edge edge = {.size = sizeof edge,
					    .source = "key-5",
					    .source_size = 5,
					    .relation = "term",
					    .relation_size = 4,
					    .target = "key-6",
					    .target_size = 5,
					    .discriminator = (uint32_t)i,
					    .valid = &term};

		must(unlink ? cop_unlink(write, &edge)
			    : cop_put_edge(write, &edge),
		     "term");
	}
}

static void bring_back(cop_write *write)
{
	static const char *const tags[] = {"red", "green"};

	must(cop_undelete(write, "key-10", 6, 0), "undelete");
	must(cop_undelete(write, "key-11", 6, 2), "undelete");
	for (int i = 3; i < 9; i++) {
		char key[16];

		key_of(key, i);
		must(cop_tag(write, key, strlen(key), tags[i % 2],
			     strlen(tags[i % 2])),
		     "tag");
	}
	link_terms(write, 0, 9, 0);
}

/* Content in a chunk, as an upload sends and gives it, by one commit. */
static void stream_in(cop_write *write, const char *key, const char *text)
{
	size_t size = strlen(text);
	struct disk_content content = {
	    .size = size, .hash = {size, (unsigned char)text[0]}, .chunks = 1};
	struct chunk_op body;

	memcpy(content.id, text, sizeof content.id);
	body = (struct chunk_op){.key = content_key(&content, 1)};
	must(write_chunk(write, &body, text, size), "chunk");
	must(write_content_named(write, key, strlen(key), &content), "content");
}

static void times_and_content(cop_write *write)
{
	struct cop_validity term = {{2001, 0, 0}, {2005, 0, 0}};

	stream_in(write, "key-5", "what was streamed into the fifth");
	stream_in(write, "key-6", "the sixth has something of its own");
	stream_in(write, "key-5", "and the fifth has another one now");
	must(cop_tag_valid(write, "key-3", 5, "green", 5, &term), "tag");
	must(cop_tag_valid(write, "key-4", 5, "grey", 4, &term), "tag");
}

static void step_fill(cop_write *write, int step)
{
	switch (step) {
	case 0: put_range(write, 0, 12, 0, "first"); break;
	case 1: link_range(write, 0, 12, 1, "next"); break;
	case 2: put_range(write, 4, KEYS, 1, "second"); break;
	case 3: link_hub(write, 1, KEYS); break;
	case 4: put_range(write, 8, 10, 2, "third"); break;
	case 5: unlink_hub(write, 2, KEYS); break;
	case 6: delete_range(write, 0, 3); break;
	case 7:
		put_range(write, 0, 3, 4, "again");
		link_range(write, 0, 6, 2, "next");
		break;
	case 8:
		delete_range(write, 10, 14);
		put_range(write, 12, 13, 5, "last");
		break;
	case 9: bring_back(write); break;
	case 10:
		link_terms(write, 2, 5, 1);
		must(cop_untag(write, "key-4", 5, "red", 3), "untag");
		delete_range(write, 7, 9);
		break;
	case 11: times_and_content(write); break;
	}
}

static cop_err step_run(cop_store *store, int step)
{
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (err)
		return err;
	step_fill(write, step);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

/* ---- a state as one number ---------------------------------------------- */

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static int32_t edge_sum(void *user, cop_read *read, const struct cop_edge *edge)
{
	uint64_t *sum = user;

	(void)read;
	*sum = mix(*sum, edge->target * 64 + edge->relation);
	return 0;
}

/* Of all keys: presence, type, vector, edges; and of a search and a walk. */
static uint64_t state_sum(cop_read *read)
{
	uint64_t sum = cop_read_commit(read);
	struct cop_search search = {.size = sizeof search, .k = KEYS};
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 3, .direction = COP_BOTH};
	struct cop_step steps[KEYS];
	struct cop_hit hits[KEYS];
	float query[DIM];
	uint32_t count;
	size_t n;

	for (int i = 0; i < KEYS; i++) {
		struct cop_entity entity;
		const void *content;
		const float *vector;
		size_t bytes;
		uint64_t id;
		char key[16];

		key_of(key, i);
		id = lookup(read, key);
		must(cop_get(read, key, strlen(key), &entity), "get");
		sum = mix(sum, (id ? 1u : 0) + (entity.id ? 2u : 0));
		sum = mix(sum, entity.id == id);
		if (!id)
			continue;
		sum = mix(sum, entity.type);
		sum = mix(sum, entity.tag_count);
		must(cop_entity_content(read, &entity, &content, &bytes),
		     "content");
		for (size_t at = 0; at < bytes; at += 8)
			sum = mix(sum, ((const unsigned char *)content)[at]);
		must(cop_vector(read, id, &vector), "vector");
		for (int d = 0; vector && d < DIM; d++)
			sum = mix(sum, (uint64_t)(int64_t)(vector[d] * 2));
		must(cop_edges(read, id, COP_OUT, edge_sum, &sum), "edges");
		walk.start = id;
		must(cop_walk(read, &walk, steps, KEYS, &n, NULL), "walk");
		sum = mix(sum, n);
	}
	vector_of(query, 3, 9);
	search.vector = query;
	must(cop_search(read, &search, hits, &count), "search");
	for (uint32_t i = 0; i < count; i++)
		sum = mix(sum, hits[i].id);
	return mix(sum, count);
}

static uint64_t store_sum(cop_store *store)
{
	cop_read *read;
	uint64_t sum;

	must(cop_read_begin(store, &read), "read");
	sum = state_sum(read);
	cop_read_end(read);
	return sum;
}

/* ---- runs --------------------------------------------------------------- */

static uint64_t sums[STEPS + 1]; /* after i commits, undisturbed */

static void learn(void)
{
	struct fixture f;

	fixture_init(&f, DIM, COP_L2);
	sums[0] = store_sum(f.store);
	for (int i = 0; i < STEPS; i++) {
		must(step_run(f.store, i), "step");
		sums[i + 1] = store_sum(f.store);
	}
	fixture_release(&f);
}

/* Runs the script from `from` on in a child, with a hook at its points. */
static int child_run(const struct fixture *f, int from,
		     void (*hook)(const char *name))
{
	pid_t pid = fork();

	if (!pid) {
		cop_store *store;

		point_hook = hook;
		if (cop_open(f->path, NULL, &store))
			_exit(2);
		for (int i = from; i < STEPS; i++) {
			if (step_run(store, i))
				_exit(3);
			shared->reported = (uint32_t)i + 1;
		}
		cop_close(store);
		_exit(0);
	}
	return child_wait(pid);
}

/* 1 if every commit up to the newest reads as it did when it was. */
static int past_is_right(cop_read *read)
{
	uint64_t newest = cop_read_commit(read);
	int right = 1;

	for (uint64_t commit = 0; commit <= newest; commit++) {
		must(cop_read_as_of(read, commit), "as of");
		right &= state_sum(read) == sums[commit];
	}
	must(cop_read_as_of(read, newest), "as of");
	return right;
}

/* 1 if all is as it must be after a death. */
static int aftermath_is_right(struct fixture *f)
{
	cop_read *read = read_of(f);
	uint64_t commit = cop_read_commit(read);
	uint64_t sum = state_sum(read);
	int right = past_is_right(read);

	cop_read_end(read);
	if (commit < shared->reported || commit > shared->reported + 1) {
		diag("%u commits returned, %" PRIu64 " are there",
		     shared->reported, commit);
		return 0;
	}
	if (sum != sums[commit]) {
		diag("before recovery the state of commit %" PRIu64 " is wrong",
		     commit);
		right = 0;
	}
	if (findings_of(f->store))
		right = 0;
	for (uint64_t i = commit; i < STEPS; i++) {
		must(step_run(f->store, (int)i), "step");
		if (store_sum(f->store) != sums[i + 1]) {
			diag("after recovery commit %" PRIu64 " is wrong",
			     i + 1);
			right = 0;
		}
	}
	return right && !findings_of(f->store);
}

static uint32_t commits_there(struct fixture *f)
{
	cop_read *read = read_of(f);
	uint64_t commit = cop_read_commit(read);

	cop_read_end(read);
	return (uint32_t)commit;
}

/* ---- where to die ------------------------------------------------------- */

static uint64_t seed;
static uint32_t hits_most; /* of a place, at which to die */

/* Which hit of a place is the i-th to die at: the first, the last, others. */
static uint32_t hit_of(const struct place *place, uint32_t most, uint32_t i)
{
	uint32_t inner = place->hits - 2; /* if there are more than most */
	uint32_t from;
	uint32_t to;

	if (place->hits <= most)
		return i;
	if (most == 1)
		return (uint32_t)test_below(&seed, place->hits);
	if (!i || i + 1 == most)
		return i ? place->hits - 1 : 0;
	from = inner * (i - 1) / (most - 2);
	to = inner * i / (most - 2);
	return 1 + from + (uint32_t)test_below(&seed, to - from);
}

struct tally {
	uint64_t deaths;
	uint64_t wrong;
	uint64_t missed; /* what is done in the time there is was done sooner */
};

/* Dies at each place; `one_death`: 1: right, 0: wrong, -1: not hit. */
static struct tally die_everywhere(uint32_t most, int (*one_death)(void))
{
	struct tally tally = {0};

	for (uint32_t i = 0; i < shared->place_count; i++) {
		const struct place *place = &shared->places[i];

		for (uint32_t n = 0; n < most && n < place->hits; n++) {
			uint32_t hit = hit_of(place, most, n);
			int right;

			target = *place;
			target.hits = hit;
			right = one_death();
			tally.deaths += right >= 0;
			tally.missed += right < 0;
			tally.wrong += !right;
			if (!right)
				diag("death at %s, commit %u, hit %u",
				     place->name, place->step + 1, hit + 1);
		}
	}
	if (tally.missed)
		diag("%" PRIu64 " places were not hit again", tally.missed);
	return tally;
}

/* ---- deaths ------------------------------------------------------------- */

/* The parent stays attached, and has a read that must not change. */
static cop_read *store_begin(struct fixture *f)
{
	fixture_init(f, DIM, COP_L2);
	must(step_run(f->store, 0), "step");
	shared->reported = 1;
	return read_of(f);
}

static void places_learn(void)
{
	struct fixture f;
	cop_read *old = store_begin(&f);
	int status;

	shared->place_count = 0;
	status = child_run(&f, 1, note_place);
	is_int(status, 0, "%u places of the script are known",
	       shared->place_count);
	cop_read_end(old);
	fixture_release(&f);
}

static int die_and_recover(int recovery_dies)
{
	struct fixture f;
	cop_read *old = store_begin(&f);
	uint64_t old_sum = state_sum(old);
	int status = child_run(&f, 1, kill_at_place);
	int right;

	for (point_left = 0;
	     recovery_dies && status == 128 + SIGKILL && point_left < 3;
	     point_left++) {
		shared->reported = commits_there(&f);
		if (shared->reported < STEPS)
			child_run(&f, (int)shared->reported, kill_in_recovery);
		shared->reported = commits_there(&f);
	}
	right = status == 128 + SIGKILL ? aftermath_is_right(&f)
		: status == 0		? -1
					: 0;
	if (state_sum(old) != old_sum) {
		diag("the old read changed");
		right = 0;
	}
	cop_read_end(old);
	fixture_release(&f);
	return right;
}

static int one_death(void)
{
	return die_and_recover(0);
}

static int two_deaths(void)
{
	return die_and_recover(1);
}

static void a_death_at_any_point_loses_nothing(void)
{
	struct tally tally = die_everywhere(hits_most, one_death);

	ok(tally.deaths > 20 && !tally.wrong,
	   "%" PRIu64 " deaths at a point, after all of which the store is "
	   "whole",
	   tally.deaths);
	tally = die_everywhere(hits_most > HITS ? hits_most : 1, two_deaths);
	ok(tally.deaths > 20 && !tally.wrong,
	   "%" PRIu64 " deaths at a point and again while recovering, after "
	   "all of which the store is whole",
	   tally.deaths);
}

/* A store with five commits, of which there is no segment. */
static void store_begin_detached(struct fixture *f)
{
	fixture_init(f, DIM, COP_L2);
	for (int i = 0; i < 5; i++)
		must(step_run(f->store, i), "step");
	fixture_close(f);
	must(cop_detach(f->path), "detach");
	shared->reported = 0;
}

static int death_while_attaching(void)
{
	struct fixture f;
	int status;
	int right;

	store_begin_detached(&f);
	status = child_run(&f, STEPS, kill_at_place);
	fixture_open(&f);
	right = store_sum(f.store) == sums[5] && !findings_of(f.store);
	fixture_release(&f);
	return right && !status ? -1 : right && status == 128 + SIGKILL;
}

/* Deaths while the first process of all builds the segments. */
static void a_death_while_attaching_is_no_harm(void)
{
	struct fixture f;
	struct tally tally;
	int status;

	store_begin_detached(&f);
	shared->place_count = 0;
	status = child_run(&f, STEPS, note_place);
	is_int(status, 0, "%u places of an attach are known",
	       shared->place_count);
	fixture_release(&f);
	tally = die_everywhere(hits_most, death_while_attaching);
	ok(tally.deaths > 5 && !tally.wrong,
	   "%" PRIu64 " deaths while attaching, and the next attach is right",
	   tally.deaths);
}

int main(void)
{
	const char *stride = getenv("COPPICE_TEST_STRIDE");

	test_begin(3000);
	seed = test_seed();
	hits_most = stride && !strcmp(stride, "1") ? UINT32_MAX : HITS;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	learn();
	places_learn();
	a_death_at_any_point_loses_nothing();
	a_death_while_attaching_is_no_harm();
	return done_testing();
}
