/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is committed while a compaction copies the data file, and while it
 * builds the segment anew.
 *
 * idea
 *	Points in the building and in the bringing over commit, in this very
 *	thread, so that each test meets the same interleavings every time: both
 *	before and behind what was read so far.
 */
#include "digest.h"
#include "point.h"

enum { DIM = 16, KEYS = 3000 };

static struct {
	cop_store *store; /* NULL: writers will have to wait */
	void (*change)(cop_store *store, int round);
	int round;
	uint64_t every; /* entities brought over there is a change */
	uint64_t entities;
	uint64_t digest;     /* of what the copy is to have */
	uint64_t disk_bytes; /* of the copy when it took over */
} hooked;

/* ---- a store ------------------------------------------------------------ */

static void key_put(cop_write *write, const char *key, int seed,
		    const char *tag)
{
	uint64_t state = (uint64_t)seed + 1;
	float vector[DIM];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = "thing",
			      .type_size = 5,
			      .tags = &tag,
			      .tag_count = 1,
			      .vector = vector,
			      .dim = DIM};

	for (int i = 0; i < DIM; i++)
		vector[i] = (float)(test_random(&state) % 1000);
	must(cop_put(write, &put), "put");
}

static const char *key_of(char *key, const char *kind, int number)
{
	snprintf(key, 24, "%s-%d", kind, number);
	return key;
}

static void store_make(struct fixture *f, int32_t history)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .history = history};
	cop_write *write;
	char a[24];
	char b[24];

	fixture_make(f, &options);
	write = write_of(f);
	for (int i = 0; i < KEYS; i++)
		key_put(write, key_of(a, "k", i), i, i % 2 ? "odd" : "even");
	must(cop_commit(write, NULL), "commit");
	for (int i = 0; i < KEYS; i++)
		must(link_simple(write, key_of(a, "k", i), "next",
				 key_of(b, "k", (i + 1) % KEYS)),
		     "link");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	must(cop_maintain(f->store, NULL, NULL), "maintain");
}

static uint64_t digest_now(struct fixture *f)
{
	cop_read *read = read_of(f);
	uint64_t digest = digest_all(read, DIM);

	cop_read_end(read);
	return digest;
}

static struct cop_recall recall_now(struct fixture *f)
{
	struct cop_recall recall = {.size = sizeof recall};
	cop_read *read = read_of(f);

	must(cop_recall(read, 0, 0, &recall), "recall");
	cop_read_end(read);
	return recall;
}

/* ---- changes meanwhile -------------------------------------------------- */

static void point_met(const char *name)
{
	if (!strcmp(name, "switch-removed")) {
		struct cop_slack slack = {.size = sizeof slack};

		must(cop_compact_look(hooked.store, NULL, &slack), "look");
		hooked.disk_bytes = slack.disk_bytes;
	}
	if (!strcmp(name, "renew-forward"))
		hooked.store = NULL;
	if (!hooked.store)
		return;
	if (!strcmp(name, "build-renewing") ||
	    (!strcmp(name, "forward-entity") &&
	     ++hooked.entities % hooked.every == 0))
		hooked.change(hooked.store, hooked.round++);
}

static struct cop_compact_result
compact_beside(struct fixture *f, void (*change)(cop_store *store, int round),
	       uint64_t every)
{
	struct cop_compact_result result = {.size = sizeof result};

	hooked.store = f->store;
	hooked.change = change;
	hooked.every = every;
	hooked.round = 0;
	point_hook = point_met;
	must(cop_compact(f->store, NULL, &result), "compact");
	point_hook = NULL;
	return result;
}

/* Of everything there is something new, something changed, something gone. */
static void something_change(cop_store *store, int round)
{
	int at = round * 397 % (KEYS - 8);
	cop_write *write;
	char a[24];
	char b[24];

	must(cop_write_begin(store, &write), "write");
	for (int i = at; i < at + 2; i++)
		key_put(write, key_of(a, "k", i), KEYS + round, "changed");
	must(cop_delete(write, key_of(a, "k", at + 3), strlen(a)), "delete");
	key_put(write, key_of(a, "new", round), round, "new");
	key_put(write, key_of(a, "gone", round), round, "new");
	must(link_simple(write, key_of(a, "new", round), "of",
			 key_of(b, "k", at)),
	     "link");
	must(link_simple(write, key_of(a, "k", at + 5), "to",
			 key_of(b, "new", round)),
	     "link");
	must(cop_commit(write, NULL), "commit");
	must(cop_delete(write, key_of(a, "gone", round), strlen(a)), "delete");
	must(cop_delete_edge(write, key_of(a, "k", at + 6), strlen(a), "next",
			     4, key_of(b, "k", at + 7), strlen(b)),
	     "unlink");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static void what_comes_while_it_is_built_is_in_the_segment(void)
{
	struct cop_compact_result result;
	struct cop_recall recall;
	struct fixture f;
	uint64_t digest;

	store_make(&f, COP_HISTORY_NONE);
	result = compact_beside(&f, something_change, 8);
	is_u64(result.renewed, 1,
	       "the segment of a store that changes is "
	       "renewed");
	ok(hooked.round >= 12, "it changed %d times meanwhile", hooked.round);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	recall = recall_now(&f);
	is_u64(recall.unreachable + recall.broken + recall.one_way, 0,
	       "the graph of the vectors is whole");
	digest = digest_now(&f);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	is_u64(digest, digest_now(&f),
	       "it holds what one that is built while nobody writes holds");
	fixture_release(&f);
}

/* Far more than is committed to the copy at a time. */
static void much_change(const char *name)
{
	struct fixture f = {.store = hooked.store};

	if (strcmp(name, "switch-copied") != 0)
		return;
	while (hooked.round < 150)
		something_change(hooked.store, hooked.round++);
	hooked.digest = digest_now(&f);
}

static void what_comes_while_it_is_copied_is_in_the_data_file(void)
{
	struct fixture f;
	uint64_t before;
	cop_read *read;

	store_make(&f, COP_HISTORY_ALL);
	before = digest_now(&f);
	hooked.store = f.store;
	hooked.round = 0;
	point_hook = much_change;
	must(cop_compact(f.store, NULL, NULL), "compact");
	point_hook = NULL;
	is_int(hooked.round, 150, "much changes while a data file is copied");
	is_u64(digest_now(&f), hooked.digest, "it is in the copy");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	read = read_of(&f);
	must(cop_read_as_of(read, 2), "as of");
	is_u64(digest_all(read, DIM), before, "and so is what was before");
	cop_read_end(read);
	fixture_release(&f);
}

static void rebuild_met(const char *name)
{
	if (!strcmp(name, "switch-removed"))
		return;
	point_met(name);
}

static void a_rebuild_is_the_same(void)
{
	struct cop_rebuild_result result = {.size = sizeof result};
	struct fixture f;

	store_make(&f, COP_HISTORY_NONE);
	hooked.store = f.store;
	hooked.change = something_change;
	hooked.every = 8;
	hooked.round = 0;
	point_hook = rebuild_met;
	must(cop_rebuild(f.store, NULL, 0, &result), "rebuild");
	point_hook = NULL;
	is_int(result.beside, 1, "a segment is rebuilt beside its changes");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- room --------------------------------------------------------------- */

static void vectors_replace(cop_store *store, int round)
{
	enum { COMMITS = 20 };
	cop_write *write;
	char key[24];

	must(cop_write_begin(store, &write), "write");
	for (int i = round * COMMITS; i < (round + 1) * COMMITS; i++) {
		key_put(write, key_of(key, "k", i * 7 % KEYS), i, "even");
		must(cop_commit(write, NULL), "commit");
	}
	cop_abort(write);
}

static void the_file_does_not_grow_while_a_segment_is_built(void)
{
	struct cop_compact_result result;
	struct fixture f;

	store_make(&f, COP_HISTORY_NONE);
	result = compact_beside(&f, vectors_replace, 64);
	ok(hooked.round >= 15, "%d commits come meanwhile", hooked.round * 20);
	ok(result.bytes_after < 3 * hooked.disk_bytes,
	   "what they replace is used again: %llu bytes, %llu after the switch",
	   (unsigned long long)result.bytes_after,
	   (unsigned long long)hooked.disk_bytes);
	fixture_release(&f);
}

/* ---- likeness ----------------------------------------------------------- */

enum { QUERIES = 50, K = 10 };

/* The exact answers, as one number. */
static uint64_t answers_of(struct fixture *f)
{
	uint64_t state = 7;
	uint64_t digest = 0;
	cop_read *read = read_of(f);

	for (int i = 0; i < QUERIES; i++) {
		struct cop_search search = {
		    .size = sizeof search, .k = K, .strategy = COP_SCAN};
		struct cop_hit hits[K];
		float query[DIM];
		uint32_t count = 0;

		for (int d = 0; d < DIM; d++)
			query[d] = (float)(test_random(&state) % 1000);
		search.vector = query;
		must(cop_search(read, &search, hits, &count), "search");
		for (uint32_t h = 0; h < count; h++)
			digest = digest * 31 + hits[h].id;
	}
	cop_read_end(read);
	return digest;
}

static void a_compaction_finds_the_same(void)
{
	struct cop_compact_result result = {.size = sizeof result};
	struct cop_recall before;
	struct cop_recall after;
	struct fixture f;
	uint64_t answers;
	uint64_t digest;

	store_make(&f, COP_HISTORY_NONE);
	for (int round = 0; round < 60; round++)
		something_change(f.store, round);
	must(cop_maintain(f.store, NULL, NULL), "maintain");
	before = recall_now(&f);
	answers = answers_of(&f);
	digest = digest_now(&f);
	must(cop_compact(f.store, NULL, &result), "compact");
	after = recall_now(&f);
	is_u64(result.renewed, 1, "the graph of the vectors is made anew");
	is_u64(after.nodes, before.nodes, "of as many nodes");
	ok(before.recall >= 0.95, "before it recall was %.3f", before.recall);
	ok(after.recall >= before.recall - 0.02, "after it %.3f", after.recall);
	is_u64(after.unreachable + after.broken + after.one_way, 0,
	       "and no node is lost");
	is_u64(answers_of(&f), answers,
	       "exact answers are the same, by the same ids");
	is_u64(digest_now(&f), digest, "all entities have the ids they had");
	fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	plan_none();
	what_comes_while_it_is_built_is_in_the_segment();
	what_comes_while_it_is_copied_is_in_the_data_file();
	a_rebuild_is_the_same();
	the_file_does_not_grow_while_a_segment_is_built();
	a_compaction_finds_the_same();
	return done_testing();
}
