/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept results, as the searches of a store use them: what counts as the same
 * question, whose answers are kept, and that a store without a cache, with a
 * damaged one or of an older format works as ever.
 *
 * idea
 *	Answers are made up: one hit whose id says which question it is of.
 */
#include "fixture.h"
#include "results.h"

enum { DIM = 4, CACHE = 1 << 20 };

static const float east[DIM] = {1, 0, 0, 0};

static void open_with(struct fixture *f, uint64_t bytes, uint32_t ttl_ms,
		      uint32_t idle_ms)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .cache_bytes = bytes,
				      .cache_ttl_ms = ttl_ms,
				      .cache_idle_ms = idle_ms};

	fixture_folder(f);
	must(cop_create(f->path, &options), "create");
	fixture_open(f);
}

static uint64_t commit_one(struct fixture *f, const char *key)
{
	cop_write *write = write_of(f);

	put_simple(write, key, NULL, east, DIM);
	return commit_of(write);
}

static struct cop_search plain(void)
{
	return (struct cop_search){
	    .size = sizeof(struct cop_search), .k = 5, .vector = east};
}

static int put(const cop_read *read, const struct cop_search *wanted,
	       uint64_t id)
{
	struct cop_hit hit = {id, 0.5};
	struct results_ask ask;

	results_ask(read, wanted, wanted->vector, wanted->exclude, &ask);
	return results_put(read, &ask, &hit, 1, 0);
}

/* The id in the answer, 0: there is none. */
static uint64_t find(const cop_read *read, const struct cop_search *wanted)
{
	struct cop_hit hits[COP_DIM_MAX];
	struct results_ask ask;
	uint32_t count = 77;

	results_ask(read, wanted, wanted->vector, wanted->exclude, &ask);
	if (results_find(read, &ask, hits, &count))
		return count == 1 ? hits[0].id : UINT64_MAX;
	return count == 77 ? 0 : UINT64_MAX;
}

/* ---- questions ---------------------------------------------------------- */

static int32_t all_pass(void *user, cop_read *read, uint64_t id)
{
	(void)user;
	(void)read;
	(void)id;
	return 1;
}

static void what_differs_is_another_question(void)
{
	static const float west[DIM] = {-1, 0, 0, 0};
	static const float minus[DIM] = {1, -0.0f, 0, 0};
	static const char *const tags[] = {"b", "c"};
	struct cop_search all[25];
	struct cop_search same = plain();
	struct fixture f;
	uint64_t count = 0;
	uint64_t wrong = 0;
	cop_read *read;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		all[i] = plain();
	all[count++].k = 5;
	all[count++].k = 6;
	all[count++].vector = west;
	all[count++].vector = minus;
	all[count++].type = "a";
	all[count++].tag = "a";
	all[count++].type = "";
	all[count++].tag = "";
	all[count++].exact = 1;
	all[count].has_threshold = 1;
	all[count++].threshold = 0;
	all[count].has_threshold = 1;
	all[count++].threshold = 0.5;
	all[count++].exclude = 1;
	all[count++].strategy = COP_SCAN;
	all[count++].strategy = COP_HNSW;
	all[count++].ef = 5;
	all[count].type = "a";
	all[count++].tag = "a";
	all[count].tags = tags;
	all[count++].tag_count = 1;
	all[count].tags = tags;
	all[count++].tag_count = 2;
	all[count].tags = tags;
	all[count].tag_mode = COP_TAGS_ANY;
	all[count++].tag_count = 2;
	all[count].prefix = "ab";
	all[count++].prefix_size = 1;
	all[count].prefix = "ab";
	all[count++].prefix_size = 2;
	all[count++].near = 1;
	all[count].near = 1;
	all[count++].hops = 2;
	all[count].near = 1;
	all[count++].direction = COP_OUT;
	open_with(&f, CACHE, 0, 0);
	read = read_of(&f);
	for (uint64_t i = 0; i < count; i++) {
		wrong += find(read, &all[i]) != 0;
		wrong += !put(read, &all[i], i + 1);
	}
	for (uint64_t i = 0; i < count; i++)
		wrong += find(read, &all[i]) != i + 1;
	is_u64(wrong, 0, "%" PRIu64 " searches that differ in one thing each",
	       count);
	same.threshold = 3;
	is_u64(find(read, &same), 1,
	       "a threshold that is not asked for is none");
	same.accept = all_pass;
	is_int(put(read, &same, 77), 0, "the caller's own test is not known");
	same.accept = NULL;
	same.exclude = 9;
	is_u64(find(read, &same), 0, "another that is left out is another");
	cop_read_end(read);
	fixture_release(&f);
}

static void large_answers_are_not_looked_for(void)
{
	struct cop_search large = plain();
	struct fixture f;
	cop_read *read;

	open_with(&f, CACHE, 0, 0);
	large.k = CACHE_HITS + 1;
	read = read_of(&f);
	ok(!put(read, &large, 1) && !find(read, &large),
	   "%u hits are more than are kept", large.k);
	large.k = CACHE_HITS;
	ok(put(read, &large, 1) && find(read, &large) == 1, "%u are not",
	   large.k);
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- commits ------------------------------------------------------------ */

static void an_answer_is_its_commits(void)
{
	struct cop_search wanted = plain();
	struct cop_search other = plain();
	struct fixture f;
	cop_read *old;
	cop_read *new;

	other.k = 3;
	open_with(&f, CACHE, 0, 0);
	(void)commit_one(&f, "a");
	old = read_of(&f);
	ok(put(old, &wanted, 1) && find(old, &wanted) == 1, "kept at commit 1");
	(void)commit_one(&f, "b");
	new = read_of(&f);
	is_u64(find(new, &wanted), 0, "commit 2 has none");
	is_u64(find(old, &wanted), 1, "a read at 1 still has it");
	ok(put(new, &wanted, 2) && find(new, &wanted) == 2, "2 gets its own");
	ok(!put(old, &other, 3) && !find(old, &other),
	   "a read that is behind keeps nothing");
	cop_read_end(old);
	cop_read_end(new);
	fixture_release(&f);
}

static void another_history_is_not_mistaken(void)
{
	struct cop_search wanted = plain();
	struct fixture f;
	cop_read *read;

	open_with(&f, CACHE, 0, 0);
	(void)commit_one(&f, "a");
	read = read_of(&f);
	(void)put(read, &wanted, 1);
	read->state.chain++;
	is_u64(find(read, &wanted), 0,
	       "a commit of the same number and another history has none");
	read->state.chain--;
	is_u64(find(read, &wanted), 1, "its own has it");
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- time --------------------------------------------------------------- */

static void time_passes(uint32_t ttl_ms, uint32_t idle_ms, const char *what)
{
	struct cop_search wanted = plain();
	struct fixture f;
	cop_read *read;

	open_with(&f, CACHE, ttl_ms, idle_ms);
	read = read_of(&f);
	(void)put(read, &wanted, 1);
	is_u64(find(read, &wanted), 1, "%s: it is found at once", what);
	usleep(2300000);
	is_u64(find(read, &wanted), 0, "and not when its time is over");
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- processes ---------------------------------------------------------- */

static void all_processes_share_it(void)
{
	struct cop_search wanted = plain();
	struct cop_search other = plain();
	struct fixture f;
	cop_read *read;
	pid_t pid;

	other.k = 3;
	open_with(&f, CACHE, 0, 0);
	(void)commit_one(&f, "a");
	read = read_of(&f);
	(void)put(read, &wanted, 1);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		cop_read *mine = read_of(&f);
		int right = find(mine, &wanted) == 1 && put(mine, &other, 2);

		cop_read_end(mine);
		_exit(right ? 0 : 1);
	}
	is_int(child_wait(pid), 0, "a child finds what its parent kept");
	is_u64(find(read, &other), 2, "and the parent what the child kept");
	cop_read_end(read);
	fixture_release(&f);
}

/* Through the public calls. */
static void searches_are_answered_from_it(void)
{
	struct cop_search wanted = plain();
	struct cop_hit first[5];
	struct cop_hit again[5];
	uint32_t count = 0;
	uint32_t recount = 0;
	struct cop_stats stats;
	struct fixture f;
	cop_write *write;
	cop_read *read;

	open_with(&f, CACHE, 0, 0);
	write = write_of(&f);
	put_simple(write, "one", NULL, east, DIM);
	(void)commit_of(write);
	read = read_of(&f);
	must(cop_search_warm(read, &wanted, east, 1), "warm");
	must(cop_search(read, &wanted, first, &count), "search");
	must(cop_search(read, &wanted, again, &recount), "search");
	cop_read_end(read);
	stats = stats_of(f.store);
	ok(stats.cache_hits == 2 && stats.cache_precomputed == 1,
	   "a search that was asked for before it came is in the cache");
	ok(count == 1 && recount == 1 && first[0].id == again[0].id,
	   "and says what it would have said");
	write = write_of(&f);
	put_simple(write, "two", NULL, east, DIM);
	(void)commit_of(write);
	read = read_of(&f);
	must(cop_search(read, &wanted, first, &count), "search");
	is_u64(count, 2, "after a commit it is made anew");
	cop_read_end(read);
	fixture_release(&f);
}

static void the_figures_are_told(void)
{
	struct cop_search wanted = plain();
	struct results_ask ask;
	struct cop_hit hit = {1, 1};
	struct cop_stats stats;
	struct fixture f;
	cop_read *read;

	open_with(&f, CACHE, 0, 0);
	read = read_of(&f);
	(void)find(read, &wanted);
	(void)put(read, &wanted, 1);
	(void)find(read, &wanted);
	(void)find(read, &wanted);
	wanted.k = 7;
	results_ask(read, &wanted, east, 0, &ask);
	(void)results_put(read, &ask, &hit, 1, CACHE_WARM);
	cop_read_end(read);
	stats = stats_of(f.store);
	ok(stats.cache_bytes <= CACHE && stats.cache_bytes > CACHE / 2,
	   "it has %" PRIu64 " bytes", stats.cache_bytes);
	ok(stats.cache_hits == 2 && stats.cache_misses == 1,
	   "two were found and one was not");
	ok(stats.cache_stores == 2 && stats.cache_precomputed == 1 &&
	       stats.cache_entries == 2,
	   "two were kept, one of them before it was asked for");
	fixture_close(&f);
	fixture_open(&f);
	is_u64(stats_of(f.store).cache_entries, 2,
	       "they outlive the last process, as shared memory does");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	stats = stats_of(f.store);
	ok(!stats.cache_entries && !stats.cache_hits && stats.cache_bytes,
	   "detached, it is made anew");
	fixture_release(&f);
}

/* ---- without ------------------------------------------------------------ */

static void a_store_without_has_none(void)
{
	struct cop_search wanted = plain();
	struct fixture f;
	cop_read *read;

	fixture_init(&f, DIM, COP_COSINE);
	read = read_of(&f);
	ok(!put(read, &wanted, 1) && !find(read, &wanted),
	   "a store made without a cache keeps nothing");
	cop_read_end(read);
	is_u64(stats_of(f.store).cache_bytes, 0, "and says so");
	fixture_release(&f);
}

static void a_damaged_one_is_not_used(void)
{
	struct cop_search wanted = plain();
	struct fixture f;
	struct cop_hit hit[5];
	uint32_t count;
	cop_read *read;

	open_with(&f, CACHE, 0, 0);
	(void)commit_one(&f, "a");
	memset(f.store->results.memory, 0xa5, f.store->results.bytes);
	read = read_of(&f);
	is_u64(find(read, &wanted), 0, "written over, it has no answers");
	ok(put(read, &wanted, 1) == 0 || find(read, &wanted) == 1,
	   "and keeps them, or not");
	cop_read_end(read);
	fixture_close(&f);
	fixture_open(&f);
	read = read_of(&f);
	ok(!put(read, &wanted, 1) && !find(read, &wanted),
	   "who attaches then does without");
	must(cop_search(read, &wanted, hit, &count), "search");
	is_u64(count, 1, "and searches");
	cop_read_end(read);
	fixture_release(&f);
}

static void a_rebuilt_index_begins_anew(void)
{
	struct cop_search wanted = plain();
	struct fixture f;
	cop_read *read;

	open_with(&f, CACHE, 0, 0);
	(void)commit_one(&f, "a");
	read = read_of(&f);
	(void)put(read, &wanted, 1);
	cop_read_end(read);
	must(writer_lock(f.store, 1000), "lock");
	must(attach_rebuild(f.store, NULL), "rebuild");
	writer_unlock(f.store);
	read = read_of(&f);
	is_u64(find(read, &wanted), 0,
	       "what an index answered goes when it is built anew");
	cop_read_end(read);
	fixture_release(&f);
}

/* Gives the store the description that it is to have, of any size. */
static void describe(struct fixture *f, const void *data, size_t size)
{
	env_txn *txn;

	must(writer_lock(f->store, 1000), "lock");
	must(env_write_begin(f->store->env, 0, &txn), "write");
	must(env_put(f->store->env, txn, DB_META, bytes_of("store", 5),
		     bytes_of(data, size)),
	     "put");
	must(env_write_commit(txn), "commit");
	writer_unlock(f->store);
}

static void a_cache_of_any_size_is_not_believed(void)
{
	struct disk_store store;
	char segments[sizeof((cop_store *)NULL)->shm_path];
	struct fixture f;

	open_with(&f, CACHE, 0, 0);
	store = f.store->config;
	store.cache_bytes = COP_CACHE_MAX + 1;
	describe(&f, &store, sizeof store);
	memcpy(segments, f.store->shm_path, sizeof segments);
	fixture_close(&f);
	is_int(cop_open(f.path, NULL, &f.store), COP_CORRUPT,
	       "a cache of any size is not believed");
	f.store = NULL;
	nftw(segments, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	nftw(f.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static void options_out_of_range_are_refused(void)
{
	static const struct cop_options bad[] = {
	    {.size = sizeof *bad, .cache_bytes = COP_CACHE_MIN - 1},
	    {.size = sizeof *bad, .cache_bytes = COP_CACHE_MAX + 1},
	    {.size = sizeof *bad, .cache_ttl_ms = 1},
	    {.size = sizeof *bad, .cache_idle_ms = 1},
	};
	struct fixture f;
	int refused = 0;

	fixture_folder(&f);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused += cop_create(f.path, &bad[i]) == COP_INVALID;
	is_int(refused, 4,
	       "a cache too small or too large, and times without one");
	fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	what_differs_is_another_question();
	large_answers_are_not_looked_for();
	an_answer_is_its_commits();
	another_history_is_not_mistaken();
	time_passes(2000, 0, "a time to live");
	time_passes(0, 2000, "a time to idle");
	all_processes_share_it();
	searches_are_answered_from_it();
	the_figures_are_told();
	a_store_without_has_none();
	a_damaged_one_is_not_used();
	a_rebuilt_index_begins_anew();
	a_cache_of_any_size_is_not_believed();
	options_out_of_range_are_refused();
	return done_testing();
}
