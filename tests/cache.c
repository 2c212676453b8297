/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of results: what is kept is found and right, what is stale,
 * damaged or half written is not found.
 *
 * idea
 *	The cache ends where a page begins that nobody may touch.  Answers are
 *	functions of question and commit (cache_fixture.h).
 */
#include "cache_fixture.h"
#include "point.h"

enum { QUESTIONS = 400, PAGE = 4096 };

struct table {
	struct cache_view view;
	unsigned char *memory;
	uint64_t bytes;
	unsigned char *map;
	size_t map_bytes;
};

static void table_make(struct table *table, uint64_t size)
{
	uint64_t bytes = cache_bytes(size);
	size_t room = (bytes + PAGE - 1) / PAGE * PAGE;

	table->bytes = bytes;
	table->map_bytes = room + 2 * (size_t)PAGE;
	table->map = shm_anonymous(table->map_bytes);
	table->memory = table->map + PAGE + room - bytes;
	if (mprotect(table->map, PAGE, PROT_NONE) ||
	    mprotect(table->map + PAGE + room, PAGE, PROT_NONE))
		bail_out("mprotect: %s", strerror(errno));
	cache_init(table->memory, bytes);
	must_be(cache_view_init(&table->view, table->memory, bytes), "view");
}

static void table_drop(struct table *table)
{
	munmap(table->map, table->map_bytes);
}

static int is_found(const struct table *table, uint64_t number)
{
	return cache_fixture_ask(&table->view, number, 1) == ASKED_HIT;
}

static int put(const struct table *table, uint64_t number)
{
	return cache_fixture_store(&table->view, number, 1);
}

/* ---- what is found ------------------------------------------------------ */

static void what_is_stored_is_found(void)
{
	struct table table;
	int stored = 0;
	int found = 0;
	int others = 0;

	table_make(&table, 16 << 20);
	for (uint64_t i = 0; i < QUESTIONS; i++)
		stored += put(&table, i);
	for (uint64_t i = 0; i < QUESTIONS; i++) {
		found += is_found(&table, i);
		others += cache_fixture_ask(&table.view, i, 2) != ASKED_MISS ||
			  cache_fixture_ask(&table.view, i, 0) != ASKED_MISS;
	}
	is_int(stored, QUESTIONS, "%d answers of 0 to %d hits are kept", stored,
	       CACHE_HITS);
	is_int(found, QUESTIONS, "all are found as they were");
	is_int(others, 0, "at another commit none is");
	table_drop(&table);
}

static void half_a_key_finds_nothing(void)
{
	struct cache_hit hits[CACHE_HITS];
	struct table table;
	uint32_t count;
	int found = 0;

	table_make(&table, 1);
	(void)put(&table, 1);
	for (int bit = 0; bit < 128; bit++) {
		struct cache_ask ask = cache_fixture_key(1, 1);

		ask.key[bit / 64] ^= UINT64_C(1) << bit % 64;
		found +=
		    cache_find(&table.view, &ask, hits, CACHE_HITS, &count);
	}
	is_int(found, 0, "a key that differs in any one bit finds nothing");
	ok(is_found(&table, 1), "and harms nothing");
	table_drop(&table);
}

static void what_is_too_large_is_not_kept(void)
{
	struct cache_ask ask = cache_fixture_key(1, 1);
	struct cache_hit hits[CACHE_HITS + 1] = {{5, 0.5}};
	struct cache_hit one = {7, 0.25};
	struct table table;
	uint32_t count = 9;

	table_make(&table, 1);
	is_int(cache_store(&table.view, &ask, hits, CACHE_HITS + 1, 0), 0,
	       "%d hits are refused", CACHE_HITS + 1);
	is_int(cache_find(&table.view, &ask, hits, CACHE_HITS, &count), 0,
	       "and not found");
	is_int(cache_store(&table.view, &ask, hits, CACHE_HITS, 0), 1,
	       "%d are kept", CACHE_HITS);
	ok(!cache_find(&table.view, &ask, &one, 1, &count) && !count &&
	       one.id == 7,
	   "without room for them there is no answer, and nothing is touched");
	ok(cache_find(&table.view, &ask, hits, CACHE_HITS, &count) &&
	       count == CACHE_HITS && hits[0].id == 5,
	   "with room there is");
	table_drop(&table);
}

/* ---- time --------------------------------------------------------------- */

static const uint64_t second = 1000000000;

static int found_at(const struct table *table, uint64_t now, uint64_t live,
		    uint64_t idle)
{
	struct cache_ask ask = cache_fixture_key(1, 1);
	struct cache_hit hits[CACHE_HITS];
	uint32_t count;

	ask.now_ns = now;
	ask.live_ns = live;
	ask.idle_ns = idle;
	return cache_find(&table->view, &ask, hits, CACHE_HITS, &count);
}

static void stored_at(const struct table *table, uint64_t now)
{
	struct cache_ask ask = cache_fixture_key(1, 1);
	struct cache_hit hit = {1, 1};

	ask.now_ns = now;
	must_be(!cache_store(&table->view, &ask, &hit, 1, 0), "store");
}

static void an_answer_lives_as_long_as_it_may(void)
{
	struct table table;

	table_make(&table, 1);
	stored_at(&table, 100 * second);
	ok(found_at(&table, 109 * second, 10 * second, 0),
	   "it is found before its time to live has passed");
	ok(!found_at(&table, 110 * second, 10 * second, 0), "but not after");
	ok(found_at(&table, 999 * second, 0, 0), "without limit it is");
	ok(found_at(&table, 100 * second - 1, 10 * second, 0),
	   "a clock that is a little behind finds it");
	ok(!found_at(&table, 50 * second, 10 * second, 0),
	   "another clock's does not");
	stored_at(&table, 200 * second);
	ok(found_at(&table, 209 * second, 0, 10 * second) &&
	       found_at(&table, 218 * second, 0, 10 * second) &&
	       found_at(&table, 227 * second, 0, 10 * second),
	   "each time it is found its time to idle begins anew");
	ok(!found_at(&table, 237 * second, 0, 10 * second),
	   "not found for so long, it is gone");
	stored_at(&table, 300 * second);
	ok(found_at(&table, 309 * second, 15 * second, 10 * second) &&
	       !found_at(&table, 315 * second, 15 * second, 10 * second),
	   "finding it does not make it live longer");
	table_drop(&table);
}

/* ---- which goes --------------------------------------------------------- */

/* Which of the first `count` questions are found, a bit each. */
static uint64_t found_of(const struct table *table, uint64_t count)
{
	uint64_t found = 0;

	for (uint64_t i = 0; i < count; i++)
		found |= (uint64_t)is_found(table, i) << i;
	return found;
}

static void what_was_not_found_lately_goes_first(void)
{
	struct table table;

	table_make(&table, 1);
	for (uint64_t i = 0; i < CACHE_WAYS; i++)
		(void)put(&table, i);
	ok(is_found(&table, 0) && is_found(&table, 3), "0 and 3 are asked for");
	for (uint64_t i = 8; i < 11; i++)
		(void)put(&table, i);
	is_u64(found_of(&table, 11), 0x7e9,
	       "the set being full, 8 to 10 take the places of 1, 2 and 4");
	(void)put(&table, 11);
	is_u64(found_of(&table, 12), 0xfc9,
	       "all found since, the clock goes round once and takes 5");
	table_drop(&table);
}

static void what_is_stale_goes_before_what_is_not(void)
{
	struct cache_ask ask = cache_fixture_key(20, 1);
	struct cache_figures figures;
	struct cache_hit hit = {1, 1};
	struct table table;

	table_make(&table, 1);
	for (uint64_t i = 0; i < CACHE_WAYS; i++)
		(void)cache_fixture_store(&table.view, i, i == 5 ? 0 : 1);
	(void)put(&table, 8);
	is_u64(found_of(&table, 9), 0x1df, "an older commit's goes first");
	(void)put(&table, 2);
	is_u64(found_of(&table, 9), 0x1df, "an answer replaces its own");
	(void)cache_fixture_store(&table.view, 8, 2);
	is_u64(found_of(&table, 9), 0xdf, "that of an older commit, too");
	(void)put(&table, 8);
	cache_figures(&table.view, &figures);
	is_u64(figures.evictions, 0, "none of this is an eviction");
	ask.live_ns = 10 * second;
	ask.now_ns = 5 * second;
	(void)cache_store(&table.view, &ask, &hit, 1, 0); /* evicts one */
	ask = cache_fixture_key(21, 1);
	ask.live_ns = 10 * second;
	ask.now_ns = 12 * second; /* those stored at 0 are over */
	(void)cache_store(&table.view, &ask, &hit, 1, 0);
	cache_figures(&table.view, &figures);
	is_u64(figures.evictions, 1,
	       "what has lived long enough goes, and is no eviction");
	table_drop(&table);
}

/* ---- claims ------------------------------------------------------------- */

static const char *point_wanted;

static void die_there(const char *name)
{
	if (!strcmp(name, point_wanted))
		kill(getpid(), SIGKILL);
}

static int claims_of(const struct table *table)
{
	int claims = 0;

	for (int way = 0; way < CACHE_WAYS; way++)
		claims += (table->view.sets[0].word[way] & 1) != 0;
	return claims;
}

static int wrong_of(const struct table *table, uint64_t count)
{
	int wrong = 0;

	for (uint64_t i = 0; i < count; i++)
		wrong += cache_fixture_ask(&table->view, i, 1) == ASKED_WRONG;
	return wrong;
}

static void an_abandoned_claim_is_taken_over(const char *where)
{
	struct table table;
	int wrong = 0;
	int early = 0;
	pid_t pid;

	table_make(&table, 1);
	for (uint64_t i = 0; i < CACHE_WAYS; i++)
		(void)put(&table, i);
	point_wanted = where;
	pid = child_fork();
	if (!pid) {
		point_hook = die_there;
		(void)put(&table, 8);
		_exit(0);
	}
	is_int(child_wait(pid), 128 + SIGKILL, "killed at %s", where);
	is_int(claims_of(&table), 1, "a death leaves one claim");
	is_int(wrong_of(&table, 9), 0, "no answer is wrong");
	for (uint64_t i = 0; i < CACHE_STRIKES - 1; i++) {
		(void)put(&table, 10 + i);
		early += claims_of(&table) != 1;
		wrong += !is_found(&table, 10 + i);
	}
	is_int(early + wrong, 0, "%d stores find another place",
	       CACHE_STRIKES - 1);
	(void)put(&table, 8);
	ok(!claims_of(&table) && is_found(&table, 8),
	   "the next one takes the claim over");
	is_int(wrong_of(&table, 10 + CACHE_STRIKES), 0, "none is wrong");
	table_drop(&table);
}

static struct table *stalled_in;

/* As if the owner of the claim slept there while others store. */
static void others_store(const char *name)
{
	if (strcmp(name, point_wanted) != 0)
		return;
	point_hook = NULL;
	for (uint64_t i = 0; i < CACHE_STRIKES; i++)
		(void)put(stalled_in, 10 + i);
	if (claims_of(stalled_in))
		bail_out("the claim was not taken");
}

static void a_claim_that_was_taken_is_not_published(const char *where)
{
	struct table table;
	struct cache_figures figures;
	uint32_t stored;

	table_make(&table, 1);
	stalled_in = &table;
	point_wanted = where;
	point_hook = others_store;
	is_int(put(&table, 1), 0, "stopped at %s too long: not kept", where);
	is_int(wrong_of(&table, 10 + CACHE_STRIKES), 0,
	       "what is found is right all the same");
	cache_figures(&table.view, &figures);
	is_u64(figures.stores, CACHE_STRIKES, "only the others' are counted");
	stored = (uint32_t)put(&table, 1);
	ok(stored && is_found(&table, 1), "then it is kept");
	table_drop(&table);
}

/* As if somebody had taken the claim, and were still at work. */
static void another_claims(const char *name)
{
	_Atomic uint64_t *word = &stalled_in->view.sets[0].word[0];

	(void)name;
	point_hook = NULL;
	*word += 256;
}

static void another_claim_is_not_published(void)
{
	struct table table;

	table_make(&table, 1);
	stalled_in = &table;
	point_hook = another_claims;
	ok(!put(&table, 1) && claims_of(&table) == 1 && !is_found(&table, 1),
	   "a claim under another sequence is left to its owner");
	table_drop(&table);
}

static void all_claimed_is_no_place(void)
{
	struct table table;
	int stored = 0;

	table_make(&table, 1);
	for (int way = 0; way < CACHE_WAYS; way++)
		table.view.sets[0].word[way] = 1;
	for (uint64_t i = 0; i < CACHE_STRIKES - 1; i++)
		stored += put(&table, i);
	is_int(stored, 0, "a set whose entries are all claimed keeps nothing");
	for (uint64_t i = 0; i < CACHE_WAYS; i++)
		stored += put(&table, i);
	ok(stored == CACHE_WAYS && !claims_of(&table),
	   "until the claims are old");
	table_drop(&table);
}

/* ---- figures ------------------------------------------------------------ */

static void the_figures_add_up(void)
{
	struct cache_hit hits[CACHE_HITS] = {{1, 1}};
	struct cache_figures figures;
	struct table table;
	uint64_t hit_bytes = 0;
	uint32_t count;

	table_make(&table, 400000);
	cache_figures(&table.view, &figures);
	ok(figures.bytes == table.bytes && table.bytes <= 400000 &&
	       figures.bytes > 390000 && !figures.entries && !figures.hits,
	   "an empty cache takes up what it may, and has nothing");
	for (uint32_t i = 0; i < 30; i++) {
		struct cache_ask ask = cache_fixture_key(i, 1);

		ask.seat = i;
		(void)cache_find(&table.view, &ask, hits, CACHE_HITS, &count);
		if (cache_store(&table.view, &ask, hits, i % 5,
				i % 3 ? 0 : CACHE_WARM))
			hit_bytes += 64 + 16 * (i % 5);
		(void)cache_find(&table.view, &ask, hits, CACHE_HITS, &count);
		(void)cache_find(&table.view, &ask, hits, CACHE_HITS, &count);
	}
	cache_figures(&table.view, &figures);
	is_u64(figures.misses, 30, "30 questions, each asked before,");
	is_u64(figures.stores, 30, "answered once,");
	is_u64(figures.precomputed, 10, "ten of them before anybody asked,");
	is_u64(figures.hits, 60, "and asked twice more");
	is_u64(figures.entries + figures.evictions, 30,
	       "an answer is there, or was evicted");
	ok(!figures.evictions && figures.entry_bytes == hit_bytes,
	   "%" PRIu64 " bytes are in use", hit_bytes);
	cache_clear(&table.view);
	cache_figures(&table.view, &figures);
	ok(!figures.entries && !figures.entry_bytes && figures.stores == 30 &&
	       !found_of(&table, 30),
	   "cleared, it has no answers; what was counted stays");
	ok(put(&table, 3) && is_found(&table, 3), "and is used as before");
	table_drop(&table);
}

/* ---- rubbish ------------------------------------------------------------ */

static void what_is_no_cache_is_refused(void)
{
	struct cache_view view;
	struct table table;
	struct cache *cache;
	struct cache_figures figures;

	table_make(&table, 100000);
	cache = (struct cache *)(void *)table.memory;
	cache->set_count++;
	is_int(cache_view_init(&view, cache, table.bytes), EBADMSG,
	       "more sets than there is room for are refused");
	cache->set_count--;
	cache->layout++;
	is_int(cache_view_init(&view, cache, table.bytes), EBADMSG,
	       "so is another layout");
	cache->layout--;
	is_int(cache_view_init(&view, cache, 100), EBADMSG, "and a torn one");
	cache->magic = 0;
	is_int(cache_view_init(&view, cache, table.bytes), EBADMSG,
	       "and what is none");
	cache_clear(&view);
	cache_figures(&view, &figures);
	ok(!cache_fixture_store(&view, 1, 1) &&
	       !cache_fixture_ask(&view, 1, 1) && !figures.bytes,
	   "a view of none keeps and finds nothing");
	table_drop(&table);
}

static void a_changed_byte_gives_no_wrong_answer(uint64_t seed)
{
	struct table table;
	int wrong = 0;
	uint64_t missed = 0;

	table_make(&table, 1);
	for (uint64_t i = 0; i < CACHE_WAYS; i++)
		(void)put(&table, i);
	for (uint64_t at = 0; at < table.bytes; at++) {
		struct cache_view view;
		unsigned char kept = table.memory[at];

		table.memory[at] ^= (unsigned char)(1 + test_below(&seed, 255));
		(void)cache_view_init(&view, table.memory, table.bytes);
		for (uint64_t i = 0; i < CACHE_WAYS; i++) {
			int asked = cache_fixture_ask(&table.view, i, 1);

			wrong += asked == ASKED_WRONG ||
				 cache_fixture_ask(&view, i, 1) == ASKED_WRONG;
			missed += asked == ASKED_MISS;
		}
		table.memory[at] = kept;
	}
	is_int(wrong, 0,
	       "each of %" PRIu64 " bytes changed: no answer is wrong, %" PRIu64
	       " are missed",
	       table.bytes, missed);
	is_u64(found_of(&table, CACHE_WAYS), 0xff, "put back, all are found");
	table_drop(&table);
}

struct rubbish {
	struct table table;
	uint64_t seed;
};

static void spoil(struct rubbish *rubbish)
{
	uint64_t *seed = &rubbish->seed;
	unsigned char *memory = rubbish->table.memory;
	uint64_t words = rubbish->table.bytes / 8;
	uint64_t word = test_random(seed);

	word >>= test_below(seed, 64);
	switch (test_below(seed, 4)) {
	case 0:
		memory[test_below(seed, rubbish->table.bytes)] =
		    (unsigned char)word;
		break;
	case 1: memcpy(memory + test_below(seed, words) * 8, &word, 8); break;
	case 2: /* words and tags */
		memcpy(memory + sizeof(struct cache) +
			   CACHE_SEATS * sizeof(struct cache_counts) +
			   test_below(seed, 32) * 8,
		       &word, 8);
		break;
	default:
		for (uint64_t i = test_below(seed, 40); i; i--)
			memcpy(memory + test_below(seed, words) * 8, &word, 8);
		break;
	}
}

/* Ends with 3 if an answer was wrong. */
static void work_in_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	struct table *table = &rubbish->table;
	struct cache_figures figures;
	uint64_t found = 0;

	for (uint64_t i = 0; i < 300000 / TEST_SLOW; i++) {
		uint64_t number = test_below(&rubbish->seed, 30);
		struct cache_view view;
		int asked;

		spoil(rubbish);
		if (!cache_view_init(&view, table->memory, table->bytes))
			cache_figures(&view, &figures);
		if (i % 1000 == 0)
			cache_init(table->memory, table->bytes);
		(void)put(table, number);
		asked = cache_fixture_ask(
		    i % 2 && view.set_count ? &view : &table->view,
		    number % 2 ? number : i % 30, 1);
		if (asked == ASKED_WRONG)
			_exit(3);
		found += asked == ASKED_HIT;
	}
	if (found < 1000)
		_exit(4);
}

static void rubbish_gives_no_wrong_answer(uint64_t seed)
{
	struct rubbish rubbish = {.seed = seed};

	table_make(&rubbish.table, 30000);
	is_int(child_survives(60, work_in_rubbish, &rubbish), 0,
	       "in a cache that is spoiled all the time, no access is wild and "
	       "no answer is wrong");
	table_drop(&rubbish.table);
}

int main(void)
{
	static const char *const points[] = {"cache-claimed", "cache-writing",
					     "cache-written"};
	uint64_t seed;

	test_begin(120);
	seed = test_seed();
	what_is_stored_is_found();
	half_a_key_finds_nothing();
	what_is_too_large_is_not_kept();
	an_answer_lives_as_long_as_it_may();
	what_was_not_found_lately_goes_first();
	what_is_stale_goes_before_what_is_not();
	for (int i = 0; i < 3; i++) {
		an_abandoned_claim_is_taken_over(points[i]);
		a_claim_that_was_taken_is_not_published(points[i]);
	}
	another_claim_is_not_published();
	all_claimed_is_no_place();
	the_figures_add_up();
	what_is_no_cache_is_refused();
	a_changed_byte_gives_no_wrong_answer(seed);
	rubbish_gives_no_wrong_answer(seed);
	return done_testing();
}
