/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches through the vector graph: with and without filters, whichever way
 * is taken, the hits are among what may be a hit, never fewer than there are,
 * and nearly always the nearest.
 */
#include "fixture.h"
#include "point.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	DIM = 16,
	ROWS = 12000,
	K = 10,
	QUERIES = 60,
	CLUSTERS = 40,
	BULK = 4000
};

struct world {
	struct fixture f;
	float *vectors;
	uint8_t *types;	 /* 0 to 2 */
	uint8_t *tenths; /* 0 to 9 */
	uint64_t seed;
};

static void vector_draw(struct world *w, float *vector, uint64_t cluster)
{
	uint64_t centre = cluster * 7919 + 3;

	for (int i = 0; i < DIM; i++)
		vector[i] = (float)(test_gaussian(&centre) +
				    0.7 * test_gaussian(&w->seed));
}

/*
 * type-0 to type-2 by number; tag one-N for every tenth, tag rare for every
 * five hundredth, tag corner for whole clusters, which lie together.
 */
static void entity_put(struct world *w, cop_write *write, uint32_t i)
{
	const char *tags[3] = {NULL};
	char key[24];
	char type[16];
	char tenth[16];
	uint64_t cluster = test_below(&w->seed, CLUSTERS);
	float *vector = w->vectors + (size_t)i * DIM;
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .type = type,
			      .tags = tags,
			      .vector = vector,
			      .dim = DIM};

	vector_draw(w, vector, cluster);
	w->types[i] = (uint8_t)(i % 3);
	w->tenths[i] = (uint8_t)(i % 10 + (cluster < 2 ? 100 : 0));
	put.key_size = (uint32_t)snprintf(key, sizeof key, "%s-%u",
					  i < ROWS / 20 ? "early" : "late", i);
	put.type_size = (size_t)snprintf(type, sizeof type, "type-%u", i % 3);
	snprintf(tenth, sizeof tenth, "one-%u", i % 10);
	tags[put.tag_count++] = tenth;
	if (i % 500 == 0)
		tags[put.tag_count++] = "rare";
	if (cluster < 2)
		tags[put.tag_count++] = "corner";
	must(cop_put(write, &put), "put");
}

static void world_init(struct world *w)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .codes = COP_CODES_U8,
				      .signs = 1};
	cop_write *write;

	memset(w, 0, sizeof *w);
	w->seed = test_seed();
	fixture_make(&w->f, &options);
	w->vectors = calloc(ROWS, DIM * sizeof(float));
	w->types = calloc(ROWS, 1);
	w->tenths = calloc(ROWS, 1);
	must(cop_write_begin(w->f.store, &write), "write");
	for (uint32_t i = 0; i < ROWS; i++) {
		entity_put(w, write, i);
		if (i % 1000 == 999)
			must(cop_commit(write, NULL), "commit");
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static void world_release(struct world *w)
{
	fixture_release(&w->f);
	free(w->vectors);
	free(w->types);
	free(w->tenths);
}

/* Ids are given in order, from 1. */
static uint32_t row_of(uint64_t id)
{
	return (uint32_t)id - 1;
}

static double distance(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += ((double)a[i] - (double)b[i]) *
		       ((double)a[i] - (double)b[i]);
	return sum;
}

/* ---- filters ------------------------------------------------------------ */

typedef int matches_fn(const struct world *w, uint32_t row);

static int all_match(const struct world *w, uint32_t row)
{
	(void)w;
	(void)row;
	return 1;
}

static int type_one(const struct world *w, uint32_t row)
{
	return w->types[row] == 1;
}

static int third_tenth(const struct world *w, uint32_t row)
{
	return w->tenths[row] % 100 == 3;
}

static int third_and_type_one(const struct world *w, uint32_t row)
{
	return third_tenth(w, row) && type_one(w, row);
}

static int some_tenths(const struct world *w, uint32_t row)
{
	return w->tenths[row] % 100 == 3 || w->tenths[row] % 100 == 7 ||
	       row % 500 == 0;
}

static int rare(const struct world *w, uint32_t row)
{
	(void)w;
	return row % 500 == 0;
}

static int corner(const struct world *w, uint32_t row)
{
	return w->tenths[row] >= 100;
}

static int early(const struct world *w, uint32_t row)
{
	(void)w;
	return row < ROWS / 20;
}

static int odd(const struct world *w, uint32_t row)
{
	(void)w;
	return row % 2;
}

static int32_t accept_odd(void *user, cop_read *read, uint64_t id)
{
	(void)user;
	(void)read;
	return row_of(id) % 2 != 0;
}

static int hundredth(const struct world *w, uint32_t row)
{
	(void)w;
	return row % 100 == 1;
}

static int32_t accept_hundredth(void *user, cop_read *read, uint64_t id)
{
	(void)user;
	(void)read;
	return row_of(id) % 100 == 1;
}

/* ---- asking ------------------------------------------------------------- */

static int double_compare(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

/* The true distances, nearest first; returns how many match. */
static uint32_t truth(const struct world *w, const float *query,
		      matches_fn *matches, double *out)
{
	uint32_t count = 0;

	for (uint32_t row = 0; row < ROWS; row++)
		if (matches(w, row))
			out[count++] =
			    distance(query, w->vectors + (size_t)row * DIM);
	qsort(out, count, sizeof *out, double_compare);
	return count;
}

struct tally {
	uint32_t wanted;
	uint32_t found;
	uint32_t wrong;
	uint32_t walks;
};

static void query_ask(struct world *w, cop_read *read,
		      struct cop_search *search, matches_fn *matches,
		      double *distances, struct tally *tally)
{
	struct cop_search_report report = {.size = sizeof report};
	struct cop_hit hits[K];
	float query[DIM];
	uint32_t count = 0;
	uint32_t there;

	vector_draw(w, query, test_below(&w->seed, CLUSTERS));
	search->vector = query;
	search->report = &report;
	must(cop_search(read, search, hits, &count), "search");
	there = truth(w, query, matches, distances);
	if (there > K)
		there = K;
	tally->wanted += there;
	tally->wrong += count != there;
	tally->walks += report.strategy != COP_SCAN;
	for (uint32_t i = 0; i < count; i++) {
		tally->wrong += !matches(w, row_of(hits[i].id));
		for (uint32_t j = 0; j < i; j++)
			tally->wrong += hits[i].id == hits[j].id;
		tally->found +=
		    there && hits[i].distance <= distances[there - 1] * 1.001;
	}
}

static void searches_find(struct world *w, const char *what,
			  struct cop_search *search, matches_fn *matches)
{
	double *distances = calloc(ROWS, sizeof *distances);
	cop_read *read = read_of(&w->f);
	struct tally tally = {0};

	search->size = sizeof *search;
	search->k = K;
	for (int i = 0; i < QUERIES; i++)
		query_ask(w, read, search, matches, distances, &tally);
	ok(!tally.wrong && tally.found >= tally.wanted * 0.95,
	   "%s: %u of the %u nearest, %u of %d times by a walk", what,
	   tally.found, tally.wanted, tally.walks, QUERIES);
	if (tally.wrong)
		diag("%u hits are none, or the wrong number", tally.wrong);
	cop_read_end(read);
	free(distances);
}

static void every_filter_returns_k(struct world *w, int32_t strategy)
{
	static const char *const tenth[] = {"one-3"};
	static const char *const several[] = {"one-3", "one-7", "rare"};
	static const char *const both[] = {"one-0", "rare"};
	static const char *const corners[] = {"corner"};

	diag("strategy %d", strategy);
	searches_find(w, "no filter",
		      &(struct cop_search){.strategy = strategy}, all_match);
	searches_find(
	    w, "a type",
	    &(struct cop_search){.strategy = strategy, .type = "type-1"},
	    type_one);
	searches_find(w, "a tag",
		      &(struct cop_search){
			  .strategy = strategy, .tags = tenth, .tag_count = 1},
		      third_tenth);
	searches_find(w, "a tag and a type",
		      &(struct cop_search){.strategy = strategy,
					   .tag = "one-3",
					   .type = "type-1"},
		      third_and_type_one);
	searches_find(w, "any of three tags",
		      &(struct cop_search){.strategy = strategy,
					   .tags = several,
					   .tag_count = 3,
					   .tag_mode = COP_TAGS_ANY},
		      some_tenths);
	searches_find(w, "two tags together",
		      &(struct cop_search){
			  .strategy = strategy, .tags = both, .tag_count = 2},
		      rare);
	searches_find(w, "a tag whose vectors lie together",
		      &(struct cop_search){.strategy = strategy,
					   .tags = corners,
					   .tag_count = 1},
		      corner);
	searches_find(w, "a prefix",
		      &(struct cop_search){.strategy = strategy,
					   .prefix = "early-",
					   .prefix_size = 6},
		      early);
	searches_find(
	    w, "every second by the caller's test",
	    &(struct cop_search){.strategy = strategy, .accept = accept_odd},
	    odd);
	searches_find(w, "every hundredth by the caller's test",
		      &(struct cop_search){.strategy = strategy,
					   .accept = accept_hundredth},
		      hundredth);
}

static int none_match(const struct world *w, uint32_t row)
{
	(void)w;
	(void)row;
	return 0;
}

static void prefixes_may_be_of_any_size(struct world *w)
{
	static char longest[COP_KEY_BYTES + 2];

	memset(longest, 'e', sizeof longest);
	searches_find(w, "a prefix of nothing lets all through",
		      &(struct cop_search){.prefix = "early-"}, all_match);
	searches_find(w, "a prefix as long as a key may be",
		      &(struct cop_search){.prefix = longest,
					   .prefix_size = COP_KEY_BYTES},
		      none_match);
	searches_find(w, "a longer one",
		      &(struct cop_search){.prefix = longest,
					   .prefix_size = COP_KEY_BYTES + 1},
		      none_match);
}

/* ---- a neighbourhood ---------------------------------------------------- */

static int first_ten(const struct world *w, uint32_t row)
{
	(void)w;
	return row < 10;
}

static void a_neighbourhood_is_a_filter(struct world *w)
{
	cop_write *write;
	char a[24];
	char b[24];

	must(cop_write_begin(w->f.store, &write), "write");
	for (int i = 0; i < 9; i++) {
		snprintf(a, sizeof a, "early-%d", i);
		snprintf(b, sizeof b, "early-%d", i + 1);
		must(link_simple(write, a, "next", b), "edge");
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	searches_find(w, "within nine edges of an entity",
		      &(struct cop_search){.near = 1, .hops = 9}, first_ten);
	searches_find(
	    w, "within nine edges, of a key that has the prefix",
	    &(struct cop_search){
		.near = 5, .hops = 9, .prefix = "early-", .prefix_size = 6},
	    first_ten);
}

static void what_cannot_be_is_refused(struct world *w)
{
	static const char *const tags[] = {"a", "b"};
	float query[DIM] = {1};
	struct cop_search good = {.size = sizeof good, .k = 1, .vector = query};
	struct cop_search bad[6] = {good, good, good, good, good, good};
	struct cop_search_report report = {.size = 3};
	cop_read *read = read_of(&w->f);
	struct cop_hit hit;
	uint32_t count = 77;
	uint32_t refused = 0;

	bad[0].strategy = 99;
	bad[1].ef = COP_EF_MAX + 1;
	bad[2].tag_count = 2;
	bad[3].tags = tags;
	bad[3].tag_count = COP_FILTER_TAGS + 1;
	bad[4].report = &report;
	bad[5].tags = tags;
	bad[5].tag_count = 2;
	bad[5].tag = "c";
	bad[5].tag_mode = COP_TAGS_ANY;
	for (int i = 0; i < 6; i++)
		refused += cop_search(read, &bad[i], &hit, &count) < 0;
	ok(refused == 6 && count == 77, "what makes no sense is refused");
	good.tags = tags;
	good.tag_count = 2;
	ok(!cop_search(read, &good, &hit, &count) && !count,
	   "tags that nobody ever had give no hit");
	cop_read_end(read);
}

/* ---- signs -------------------------------------------------------------- */

static void signs_come_back_with_an_image(struct world *w)
{
	must(cop_checkpoint(w->f.store, NULL), "checkpoint");
	fixture_close(&w->f);
	must(cop_detach(w->f.path), "detach");
	fixture_open(&w->f);
	searches_find(w, "signs out of an image",
		      &(struct cop_search){.strategy = COP_LSH}, all_match);
}

static void signs_are_there_or_refused(void)
{
	float east[DIM] = {1};
	struct cop_search search = {
	    .size = sizeof search, .k = 1, .vector = east, .strategy = COP_LSH};
	struct cop_options options = {
	    .size = sizeof options, .dim = 15, .signs = 1};
	struct fixture f;
	struct cop_hit hit;
	uint32_t count;
	cop_read *read;

	fixture_init(&f, DIM, COP_L2);
	read = read_of(&f);
	is_int(cop_search(read, &search, &hit, &count), COP_INVALID,
	       "a store that keeps no signs says so");
	cop_read_end(read);
	fixture_release(&f);
	fixture_folder(&f);
	is_int(cop_create(f.path, &options), COP_INVALID,
	       "there are none of few dimensions");
	fixture_release(&f);
}

/* ---- upkeep ------------------------------------------------------------- */

static void maintenance_leaves_nothing_waiting(struct world *w)
{
	struct cop_maintain_options options = {.size = sizeof options,
					       .threads = 2};
	struct cop_maintain_result result = {.size = sizeof result};
	uint64_t findings = 0;
	cop_write *write;
	char key[24];

	must(cop_write_begin(w->f.store, &write), "write");
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "early-%d", i);
		must(cop_delete(write, key, strlen(key)), "delete");
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	must(cop_maintain(w->f.store, &options, &result), "maintain");
	ok(!result.unlinked && !result.waiting && result.audited,
	   "after upkeep nothing waits to be linked or freed");
	must(cop_check(w->f.store, NULL, NULL, &findings), "check");
	is_u64(findings, 0, "and the store is whole");
}

static void die_linking(const char *name)
{
	if (!strncmp(name, "hnsw-", 5))
		_exit(42);
}

/* As many vectors as a commit that dies before they are linked. */
static int bulk_die(struct world *w)
{
	float vector[DIM];
	char key[24];
	struct cop_put put = {
	    .size = sizeof put, .key = key, .vector = vector, .dim = DIM};
	cop_write *write;

	must(cop_write_begin(w->f.store, &write), "write");
	for (int i = 0; i < BULK; i++) {
		put.key_size =
		    (uint32_t)snprintf(key, sizeof key, "bulk-%d", i);
		vector_draw(w, vector, (uint64_t)i % CLUSTERS);
		must(cop_put(write, &put), "put");
	}
	point_hook = die_linking;
	must(cop_commit(write, NULL), "commit");
	return 0;
}

static uint64_t waiting_of(struct world *w)
{
	struct cop_recall recall = {.size = sizeof recall};
	cop_read *read = read_of(&w->f);

	must(cop_recall(read, 1, 0, &recall), "recall");
	cop_read_end(read);
	return recall.waiting;
}

static void a_dead_writer_s_backlog_is_shared(struct world *w)
{
	struct cop_search search = {.size = sizeof search, .k = 1};
	struct cop_maintain_result result = {.size = sizeof result};
	const float *vector = NULL;
	struct cop_hit hit = {0};
	uint32_t count = 0;
	uint64_t before;
	cop_write *write;
	cop_read *read;
	pid_t pid = fork();

	if (!pid)
		_exit(bulk_die(w));
	is_int(child_wait(pid), 42, "a writer dies before it links");
	before = waiting_of(w);
	ok(before >= BULK, "its vectors wait");
	write = write_of(&w->f);
	put_simple(write, "small", "thing", NULL, 0);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	ok(waiting_of(w) > before / 2, "the next commit links a part of them");
	read = read_of(&w->f);
	must(cop_vector(read, lookup(read, "bulk-7"), &vector), "vector");
	search.vector = vector;
	must(cop_search(read, &search, &hit, &count), "search");
	ok(count == 1 && hit.id == lookup(read, "bulk-7"),
	   "and they are found meanwhile");
	cop_read_end(read);
	must(cop_maintain(w->f.store, NULL, &result), "maintain");
	ok(!result.unlinked && result.linked >= BULK / 2,
	   "maintenance links the rest");
}

struct churn {
	struct world *w;
	_Atomic int commits;
	_Atomic int stop;
};

/* Puts and deletes the same few entities, with a new vector each time. */
static void *churn_run(void *user)
{
	enum { KEYS = 500, EACH = 20 };
	struct churn *churn = user;
	struct world *w = churn->w;
	float vector[DIM];
	char key[24];
	struct cop_put put = {
	    .size = sizeof put, .key = key, .vector = vector, .dim = DIM};
	cop_write *write;

	must(cop_write_begin(w->f.store, &write), "write");
	while (!atomic_load(&churn->stop)) {
		for (int i = 0; i < EACH; i++) {
			uint64_t number = test_below(&w->seed, KEYS);

			put.key_size = (uint32_t)snprintf(
			    key, sizeof key, "churn-%d", (int)number);
			vector_draw(w, vector, number % CLUSTERS);
			if (number % 3)
				must(cop_put(write, &put), "put");
			else
				must(cop_delete(write, key, put.key_size),
				     "delete");
		}
		must(cop_commit(write, NULL), "commit");
		atomic_fetch_add(&churn->commits, 1);
	}
	cop_abort(write);
	return NULL;
}

static void upkeep_goes_on_beside_commits(struct world *w)
{
	enum { ROUNDS = 40 };
	struct cop_maintain_result result = {.size = sizeof result};
	struct cop_recall recall = {.size = sizeof recall};
	struct churn churn = {.w = w};
	uint64_t findings = 0;
	int audits = 0;
	pthread_t thread;
	cop_read *read;

	pthread_create(&thread, NULL, churn_run, &churn);
	for (int i = 0; i < ROUNDS || atomic_load(&churn.commits) < ROUNDS;
	     i++) {
		must(cop_maintain(w->f.store, NULL, &result), "maintain");
		audits += result.audited != 0;
	}
	atomic_store(&churn.stop, 1);
	pthread_join(thread, NULL);
	ok(audits >= ROUNDS, "the graph is looked at beside a writer");
	must(cop_maintain(w->f.store, NULL, &result), "maintain");
	read = read_of(&w->f);
	must(cop_recall(read, 10, 0, &recall), "recall");
	cop_read_end(read);
	ok(!recall.unreachable && !recall.broken && !recall.one_way,
	   "and afterwards all nodes are in reach, by links both ways");
	must(cop_check(w->f.store, NULL, NULL, &findings), "check");
	is_u64(findings, 0, "of a store that is whole");
}

int main(void)
{
	struct world w;

	test_begin(300);
	world_init(&w);
	every_filter_returns_k(&w, COP_AUTO);
	every_filter_returns_k(&w, COP_HNSW);
	every_filter_returns_k(&w, COP_SCAN);
	every_filter_returns_k(&w, COP_LSH);
	every_filter_returns_k(&w, COP_HIERARCHICAL);
	signs_come_back_with_an_image(&w);
	signs_are_there_or_refused();
	prefixes_may_be_of_any_size(&w);
	a_neighbourhood_is_a_filter(&w);
	what_cannot_be_is_refused(&w);
	maintenance_leaves_nothing_waiting(&w);
	upkeep_goes_on_beside_commits(&w);
	a_dead_writer_s_backlog_is_shared(&w);
	world_release(&w);
	return done_testing();
}
