/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limbo: nothing is freed while a snapshot can see it, all is freed in the
 * end, once.
 */
#include "shm_fixture.h"
#include "point.h"

enum { ROWS = 6000 };

/* A segment with rows and blocks that can be freed. */
static void fixture_make(struct shm_fixture *f)
{
	uint32_t row;

	shm_fixture_init(f, SHM_RESERVE, 2, METRIC_L2, 0);
	for (uint32_t i = 1; i <= ROWS; i++)
		must_be(bank_take(&f->segment, &row), "take");
}

static uint64_t freed(const struct segment *segment)
{
	return segment->header->bank.free_count;
}

/* The row that was freed last. */
static uint32_t freed_last(const struct segment *segment)
{
	return segment->header->bank.free_row;
}

static void push_row(struct segment *segment, uint64_t commit, uint32_t row)
{
	must_be(limbo_reserve(segment, 1), "reserve");
	limbo_push(segment, commit, LIMBO_ROW, row);
}

/* ---- when --------------------------------------------------------------- */

static void an_entry_waits_for_its_commit(void)
{
	struct shm_fixture f;
	struct segment *s = &f.segment;

	fixture_make(&f);
	is_u64(limbo_count(s), 0, "a new limbo is empty");
	limbo_drain(s, UINT64_MAX, 100);
	is_u64(freed(s), 0, "and gives nothing");
	push_row(s, 10, 3);
	is_u64(limbo_count(s), 1, "a row that died at 10 waits");
	limbo_drain(s, 0, 100);
	limbo_drain(s, 9, 100);
	is_u64(freed(s), 0, "while a snapshot at 9 is open");
	limbo_drain(s, 10, 0);
	is_u64(freed(s), 0, "or no budget is given");
	limbo_drain(s, 10, 1);
	ok(freed(s) == 1 && freed_last(s) == 3, "and is free when all are at "
						"10");
	limbo_drain(s, 10, 100);
	is_u64(freed(s), 1, "once");
	is_u64(limbo_count(s), 0, "and limbo is empty");
	shm_fixture_release(&f);
}

static void blocks_wait_as_rows_do(void)
{
	struct shm_fixture f;
	struct segment *s = &f.segment;
	struct head head = {0};
	_Atomic uint32_t first = 0;
	struct edge_list list = {&first, &head.out_live, &head.out_dead,
				 &head.out_kept};

	fixture_make(&f);
	must_be(edges_append(s, &list, 1, 1, 1), "append");
	must_be(limbo_reserve(s, 2), "reserve");
	limbo_push(s, 5, LIMBO_BLOCK, first);
	limbo_push(s, 6, LIMBO_ROW, 4);
	limbo_drain(s, 4, 100);
	is_u64(s->header->adjacency.free_bytes, 0, "a block waits");
	limbo_drain(s, 5, 100);
	is_u64(s->header->adjacency.free_bytes, EDGE_UNIT, "and is free");
	is_u64(freed(s), 0, "the row after it waits for its own commit");
	limbo_drain(s, 6, 100);
	is_u64(freed(s), 1, "and is free then");
	shm_fixture_release(&f);
}

/* Entry i is row i mod ROWS + 1; a model knows which are out of reach. */
static void nothing_is_freed_too_early_or_too_late(uint64_t seed)
{
	static uint64_t commits[200000];
	struct shm_fixture f;
	struct segment *s = &f.segment;
	uint64_t pushed = 0;
	uint64_t gone = 0;
	uint64_t commit = 1;
	uint64_t oldest = 0;
	uint64_t most = 0;
	int wrong = 0;

	fixture_make(&f);
	for (int i = 0; i < 20000 / TEST_SLOW + 1400; i++) {
		uint64_t count = test_below(&seed, 9);
		uint64_t budget =
		    test_below(&seed, 3) ? test_below(&seed, 20) : UINT64_MAX;

		commit += test_below(&seed, 3);
		must_be(limbo_reserve(s, count), "reserve");
		for (; count && pushed - gone < ROWS; count--) {
			limbo_push(s, commit, LIMBO_ROW,
				   (uint32_t)(pushed % ROWS) + 1);
			commits[pushed++] = commit;
		}
		/* now and then a snapshot stays open for long */
		if (i / 700 % 2 == 0 || pushed - gone > ROWS - 9)
			oldest += test_below(&seed, commit - oldest + 1);
		limbo_drain(s, oldest, budget);
		for (; gone < pushed && budget && commits[gone] <= oldest;
		     budget--)
			gone++;
		wrong += limbo_count(s) != pushed - gone;
		wrong += freed(s) != gone;
		wrong += gone && freed_last(s) != (gone - 1) % ROWS + 1;
		if (pushed - gone > most)
			most = pushed - gone;
	}
	is_int(wrong, 0,
	       "of %" PRIu64 " entries, up to %" PRIu64 " at a time, each is "
	       "freed when its commit is out of reach, in order",
	       pushed, most);
	shm_fixture_release(&f);
}

/* ---- the ring ----------------------------------------------------------- */

static void the_ring_grows_and_keeps_its_order(void)
{
	int wrong = 0;

	for (uint64_t start = 0; start < 5000; start += 613) {
		struct shm_fixture f;
		struct segment *s = &f.segment;

		fixture_make(&f);
		/* so that the ring's beginning is anywhere */
		for (uint64_t i = 0; i < start; i++) {
			push_row(s, 1, 1);
			limbo_drain(s, 1, 1);
		}
		s->header->bank.free_row = 0;
		for (uint32_t row = 1; row <= ROWS; row++)
			push_row(s, row, row);
		wrong += s->header->limbo.capacity < ROWS;
		wrong += limbo_count(s) != ROWS;
		for (uint32_t row = 1; row <= ROWS; row++) {
			limbo_drain(s, row, 1);
			wrong += freed_last(s) != row;
		}
		wrong += limbo_count(s) != 0;
		shm_fixture_release(&f);
	}
	is_int(wrong, 0,
	       "a ring that begins anywhere is doubled with its "
	       "entries in order");
}

static void without_room_the_ring_stays_as_it_is(void)
{
	struct shm_fixture f;
	struct segment *s = &f.segment;
	uint64_t count = 0;
	int err;

	fixture_make(&f);
	while (!(err = limbo_reserve(s, 1))) {
		limbo_push(s, 1 + count, LIMBO_ROW, 1);
		count++;
	}
	is_int(err, ENOSPC, "after %" PRIu64 " entries there is no room",
	       count);
	is_u64(limbo_count(s), count, "all wait");
	is_int(limbo_reserve(s, UINT64_C(1) << 40), ENOSPC,
	       "nor is there for more");
	limbo_drain(s, 100, UINT64_MAX);
	is_u64(limbo_count(s), count - 100, "they are freed all the same");
	is_int(limbo_reserve(s, 100), 0, "and make room for others");
	shm_fixture_release(&f);
}

static void a_cleared_limbo_frees_nothing(void)
{
	struct shm_fixture f;
	struct segment *s = &f.segment;

	fixture_make(&f);
	for (uint32_t row = 1; row <= 100; row++)
		push_row(s, row, row);
	limbo_clear_rows(s);
	is_u64(limbo_count(s), 0, "a limbo of rows is empty when cleared");
	must_be(limbo_reserve(s, 3), "reserve");
	limbo_push(s, 300, LIMBO_ROW, 1);
	limbo_push(s, 301, LIMBO_BLOCK, 1);
	limbo_push(s, 302, LIMBO_ROW, 2);
	limbo_clear_rows(s);
	is_u64(limbo_count(s), 1, "and one with a block keeps that");
	limbo_drain(s, 301, 1);
	is_u64(limbo_count(s), 0, "until its commit is reached");
	limbo_drain(s, UINT64_MAX, 1000);
	is_u64(freed(s), 0, "and frees nothing");
	push_row(s, 200, 7);
	limbo_drain(s, 200, 1000);
	ok(freed(s) == 1 && freed_last(s) == 7, "but what is pushed then");
	shm_fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

static void die_at_point(const char *name)
{
	if (!strcmp(name, "limbo-taken"))
		kill(getpid(), SIGKILL);
}

static void a_death_while_draining_frees_nothing_twice(void)
{
	struct shm_fixture f;
	struct segment *s = &f.segment;
	int deaths = 0;

	fixture_make(&f);
	for (uint32_t row = 1; row <= 100; row++)
		push_row(s, row, row);
	for (int i = 0; i < 20; i++) {
		pid_t pid = child_fork();

		if (!pid) {
			point_hook = die_at_point;
			limbo_drain(s, 100, 1);
			_exit(0);
		}
		deaths += child_wait(pid) == 128 + SIGKILL;
		limbo_drain(s, 100, 1);
	}
	is_int(deaths, 20, "a process dies while it drains, 20 times");
	is_u64(limbo_count(s), 60, "each took one entry with it");
	is_u64(freed(s), 20, "and the others were freed");
	is_u64(bank_free_length(s), 20, "once");
	shm_fixture_release(&f);
}

static _Atomic uint64_t *grown;

static void die_when_grown(const char *name)
{
	if (!strcmp(name, "limbo-grown") && atomic_fetch_add(grown, 1) == 0)
		kill(getpid(), SIGKILL);
}

/* The entries were copied up and down; the capacity is still the old one. */
static void a_death_while_the_ring_grows_loses_nothing(void)
{
	struct shm_fixture f;
	struct segment *s = &f.segment;
	int wrong = 0;
	pid_t pid;

	grown = shm_anonymous(4096);
	fixture_make(&f);
	for (uint32_t i = 0; i < 700; i++) {
		push_row(s, 1, 1);
		limbo_drain(s, 1, 1);
	}
	s->header->bank.free_row = 0;
	for (uint32_t row = 1; row <= 1024; row++)
		push_row(s, row, row);
	pid = child_fork();
	if (!pid) {
		point_hook = die_when_grown;
		(void)limbo_reserve(s, 1);
		_exit(0);
	}
	is_int(child_wait(pid), 128 + SIGKILL, "a process dies in growing it");
	for (uint32_t row = 1025; row <= 1500; row++)
		push_row(s, row, row);
	for (uint32_t row = 1; row <= 1500; row++) {
		limbo_drain(s, row, 1);
		wrong += freed_last(s) != row;
	}
	is_int(wrong, 0, "and no entry is lost or out of order");
	munmap(grown, 4096);
	shm_fixture_release(&f);
}

/* ---- rubbish ------------------------------------------------------------ */

struct rubbish {
	struct shm_fixture f;
	uint64_t seed;
};

static uint64_t any_number(uint64_t *seed)
{
	uint64_t word = test_random(seed);

	return word >> test_below(seed, 64);
}

static void more_than_fits_is_damage(void)
{
	struct shm_fixture f;
	struct limbo *limbo;
	uint64_t bytes;

	fixture_make(&f);
	limbo = &f.segment.header->limbo;
	push_row(&f.segment, 1, 1);
	bytes = region_bytes(segment_region(&f.segment, REGION_LIMBO));
	atomic_store(&limbo->last, atomic_load(&limbo->last) + 100000);
	is_int(limbo_reserve(&f.segment, 1), EINVAL,
	       "more entries than the ring has are damage");
	is_u64(region_bytes(segment_region(&f.segment, REGION_LIMBO)), bytes,
	       "and no reason to make room for them");
	shm_fixture_release(&f);
}

static void work_in_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *s = &rubbish->f.segment;
	struct limbo *limbo = &s->header->limbo;

	for (int i = 0; i < 20000 / TEST_SLOW; i++) {
		uint64_t number = any_number(&rubbish->seed);

		switch (i % 4) {
		case 0: limbo->first = number; break;
		case 1: limbo->last = number; break;
		case 2: limbo->capacity = number; break;
		default:
			limbo->first = 0;
			limbo->last = 0;
			limbo->capacity = 1024;
			limbo_push(s, 1, i % 8 == 3 ? LIMBO_ROW : LIMBO_BLOCK,
				   (uint32_t)number);
			break;
		}
		limbo_push(s, 2, (enum limbo_kind)(number & 7),
			   (uint32_t)number);
		limbo_drain(s, UINT64_MAX, 4096);
		(void)limbo_count(s);
	}
}

static void rubbish_never_leads_out_of_what_is_published(uint64_t seed)
{
	struct rubbish rubbish = {.seed = seed};

	fixture_make(&rubbish.f);
	must_be(limbo_reserve(&rubbish.f.segment, 1000), "reserve");
	must_be(segment_grow(&rubbish.f.segment, REGION_EDGES, 1 << 16),
		"grow");
	shm_fence(&rubbish.f.segment);
	is_int(child_survives(30, work_in_rubbish, &rubbish), 0,
	       "a limbo of rubbish is drained without a wild access");
	shm_fixture_release(&rubbish.f);
}

int main(void)
{
	uint64_t seed;

	test_begin(120);
	seed = test_seed();
	an_entry_waits_for_its_commit();
	blocks_wait_as_rows_do();
	nothing_is_freed_too_early_or_too_late(seed);
	the_ring_grows_and_keeps_its_order();
	without_room_the_ring_stays_as_it_is();
	a_cleared_limbo_frees_nothing();
	more_than_fits_is_damage();
	a_death_while_draining_frees_nothing_twice();
	a_death_while_the_ring_grows_loses_nothing();
	rubbish_never_leads_out_of_what_is_published(seed);
	return done_testing();
}
