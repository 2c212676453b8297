/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: copies against what was copied, and blocks that none is lost of.
 *
 * idea
 *	A commit gives one entity a new record as core/prepare.c does: a block,
 *	the head finished, the old block to limbo.  What a record must be is a
 *	function of its entity and its commit, and its size too.
 */
#include "shm_fixture.h"
#include "point.h"

enum { ENTITIES = 40 };

/* ---- an entity's record ------------------------------------------------- */

static uint32_t size_of(uint64_t entity, uint64_t commit)
{
	uint64_t state = entity << 32 ^ commit;

	return 1 + (uint32_t)test_below(
		       &state, test_below(&state, 8) ? 600 : RECORD_BYTES_MAX);
}

static uint32_t fill(unsigned char *bytes, uint64_t entity, uint64_t commit)
{
	uint64_t state = entity << 40 ^ commit;
	uint32_t size = size_of(entity, commit);

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)test_random(&state);
	return size;
}

static struct head *head_of(const struct segment *segment, uint64_t id)
{
	return head_at(segment->header, segment_region(segment, REGION_HEADS),
		       id);
}

static const void *peek(const struct segment *segment, uint32_t unit,
			uint32_t entity, uint32_t *size)
{
	return record_peek(segment->header,
			   segment_region(segment, REGION_RECORDS), unit,
			   entity, size);
}

/* 1 if a block does not have an entity's record of a commit. */
static int differs(const struct segment *segment, uint32_t unit,
		   uint32_t entity, uint64_t commit)
{
	unsigned char want[RECORD_BYTES_MAX];
	uint32_t size = 0;
	const void *at = peek(segment, unit, entity, &size);

	return !at || size != fill(want, entity, commit) ||
	       memcmp(at, want, size) != 0;
}

static void heads_make(struct shm_fixture *f, uint64_t reserve)
{
	shm_fixture_init(f, reserve, 8, METRIC_L2, 0);
	must_be(segment_grow(&f->segment, REGION_HEADS,
			     (ENTITIES + 1) * sizeof(struct head)),
		"heads");
}

static uint32_t keep(struct segment *segment, uint32_t entity, uint64_t commit)
{
	unsigned char bytes[RECORD_BYTES_MAX];
	uint32_t size = fill(bytes, entity, commit);
	uint32_t unit = 0;

	must_be(record_keep(segment, entity, bytes, size, &unit), "keep");
	return unit;
}

/* A commit that gives an entity a record, or takes it (commit's fifth). */
static void commit_make(struct segment *segment, uint32_t entity,
			uint64_t commit)
{
	struct head *head = head_of(segment, entity);
	struct head_state old = head_peek_locked(head);
	struct head_state state = {.alive = commit % 5 != 0};

	must_be(limbo_reserve(segment, 1), "reserve");
	if (state.alive)
		state.record = keep(segment, entity, commit);
	head_mark(head, commit);
	point("test-prepared");
	head_finish(head, commit, &state);
	point("test-finished");
	if (old.record)
		limbo_push(segment, commit, LIMBO_RECORD, old.record);
	point("test-pushed");
}

/* Blocks that are not accounted for: in a head, in limbo or on a list. */
static uint64_t lost(struct segment *segment)
{
	struct record_seen seen;
	uint64_t named = 0;
	uint64_t used = 0;
	uint64_t unused = 0;
	uint64_t next = 1;
	uint64_t wrong = 0;
	int more;

	while ((more = record_next(segment, &next, &seen)) > 0) {
		const struct head *head = head_of(segment, seen.entity);

		used += seen.entity != 0;
		unused += seen.entity == 0;
		named += head && head_peek_locked(head).record == seen.unit;
	}
	for (uint64_t id = 1; id <= ENTITIES; id++)
		wrong +=
		    head_peek_locked(head_of(segment, id)).record != 0 &&
		    differs(segment,
			    head_peek_locked(head_of(segment, id)).record,
			    (uint32_t)id, head_of(segment, id)->changed >> 1);
	return wrong + (more != 0) +
	       (used != named + limbo_count_kind(segment, LIMBO_RECORD)) +
	       (unused != record_free_length(segment)) +
	       (used != segment->header->records.used);
}

/* ---- what it is for ----------------------------------------------------- */

static void a_record_comes_back_as_it_was(void)
{
	struct shm_fixture f;
	struct segment reader;
	uint32_t units[RECORD_BYTES_MAX + 1];
	unsigned char bytes[RECORD_BYTES_MAX + 1];
	uint32_t wrong = 0;
	uint32_t size = 7;

	heads_make(&f, SHM_RESERVE);
	shm_reader(&f, &reader);
	ok(!peek(&reader, 0, 1, &size) && !peek(&reader, 1, 1, &size),
	   "in an empty region there is no record");
	for (uint32_t i = 1; i <= RECORD_BYTES_MAX; i += 1 + i / 40) {
		memset(bytes, (int)(i & 0xff), sizeof bytes);
		must_be(record_keep(&f.segment, i, bytes, i, &units[i]),
			"keep");
	}
	for (uint32_t i = 1; i <= RECORD_BYTES_MAX; i += 1 + i / 40) {
		const unsigned char *at = peek(&reader, units[i], i, &size);

		memset(bytes, (int)(i & 0xff), sizeof bytes);
		wrong += !at || size != i || memcmp(at, bytes, i) ||
			 (uintptr_t)at % 8;
		wrong += peek(&reader, units[i], i + 1, &size) != NULL;
	}
	is_u64(wrong, 0,
	       "records of all sizes come back, aligned to 8, and are nobody "
	       "else's");
	is_int(record_keep(&f.segment, 1, bytes, RECORD_BYTES_MAX + 1, &size),
	       EINVAL, "one that is too large is refused");
	is_int(record_keep(&f.segment, 1, bytes, 0, &size), EINVAL,
	       "so is one of nothing");
	is_int(record_keep(&f.segment, 0, bytes, 8, &size), EINVAL,
	       "and one of nobody");
	ok(a_write_dies((void *)(uintptr_t)peek(&reader, units[1], 1, &size)),
	   "a reader cannot write to it");
	segment_detach(&reader);
	shm_fixture_release(&f);
}

static void a_free_block_serves_its_size_again(void)
{
	struct shm_fixture f;
	unsigned char bytes[300] = {0};
	uint32_t first;
	uint32_t other;
	uint32_t again;
	uint64_t units;

	heads_make(&f, SHM_RESERVE);
	must_be(record_keep(&f.segment, 1, bytes, 100, &first), "keep");
	record_free(&f.segment, first);
	is_u64(f.segment.header->records.used, 0, "a freed block is not used");
	record_free(&f.segment, first);
	is_u64(record_free_length(&f.segment), 1, "nor free twice");
	must_be(record_keep(&f.segment, 2, bytes, 300, &other), "keep");
	must_be(record_keep(&f.segment, 3, bytes, 120, &again), "keep");
	ok(again == first && other != first,
	   "it is taken again for as many units, for no others");
	units = f.segment.header->records.unit_count;
	for (int i = 0; i < 1000; i++) {
		record_free(&f.segment, other);
		must_be(record_keep(&f.segment, 2, bytes,
				    257 + (uint32_t)i % 40, &other),
			"keep");
	}
	is_u64(f.segment.header->records.unit_count, units,
	       "so the region does not grow");
	shm_fixture_release(&f);
}

static void no_block_is_lost(uint64_t seed)
{
	struct shm_fixture f;
	uint64_t wrong = 0;

	heads_make(&f, SHM_RESERVE);
	for (uint64_t commit = 1; commit <= 6000 / TEST_SLOW; commit++) {
		uint64_t lag = test_below(&seed, 50);

		commit_make(&f.segment, 1 + (uint32_t)test_below(&seed, 40),
			    commit);
		limbo_drain(&f.segment, commit > lag ? commit - lag : 0, 5);
		if (commit % 20 == 0)
			wrong += lost(&f.segment);
		if (test_below(&seed, 100) == 0) {
			limbo_clear_rows(&f.segment);
			must_be(records_collect(&f.segment, commit), "collect");
			wrong += lost(&f.segment);
		}
	}
	is_u64(wrong, 0,
	       "at any time a block is a head's, free or in limbo, and a "
	       "head's is its record");
	diag("%" PRIu64 " KiB of blocks",
	     f.segment.header->records.unit_count / 16);
	shm_fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

static uint64_t point_left;

static void die_at_point(const char *name)
{
	(void)name;
	if (!point_left--)
		kill(getpid(), SIGKILL);
}

static void commits_make(struct segment *segment, uint64_t seed,
			 uint64_t commit)
{
	for (int i = 0; i < 3; i++)
		commit_make(segment, 1 + (uint32_t)test_below(&seed, 40),
			    commit + (uint64_t)i);
	limbo_drain(segment, commit + 1, 10);
}

/* What core/recover.c does with the records. */
static void recover(struct segment *segment, uint64_t commit)
{
	limbo_clear_rows(segment);
	must_be(records_collect(segment, commit), "collect");
}

/* Runs a body in a child that dies at some point; 1 if it did. */
static int dies(void (*body)(struct segment *, uint64_t, uint64_t),
		struct segment *segment, uint64_t seed, uint64_t commit,
		uint64_t points)
{
	pid_t pid;

	point_left = test_below(&seed, points);
	pid = child_fork();
	if (!pid) {
		point_hook = die_at_point;
		body(segment, seed, commit);
		_exit(0);
	}
	return child_wait(pid) == 128 + SIGKILL;
}

static void recover_in_a_child(struct segment *segment, uint64_t seed,
			       uint64_t commit)
{
	(void)seed;
	recover(segment, commit);
}

static void a_death_loses_no_block(uint64_t seed)
{
	struct shm_fixture f;
	uint64_t wrong = 0;
	int deaths = 0;
	int again = 0;

	heads_make(&f, SHM_RESERVE);
	for (uint64_t commit = 1; commit <= 1500 / TEST_SLOW; commit += 3) {
		deaths +=
		    dies(commits_make, &f.segment, seed + commit, commit, 30);
		again += dies(recover_in_a_child, &f.segment, seed ^ commit,
			      commit + 2, 8);
		recover(&f.segment, commit + 2);
		for (uint64_t id = 1; id <= ENTITIES; id++) {
			struct head *head = head_of(&f.segment, id);
			struct head_state state = head_peek_locked(head);

			if (head->changed & 1) /* as entry_recover, old state */
				state.record = 0;
			if (head->changed & 1)
				head_finish(head, commit + 2, &state);
		}
		recover(&f.segment, commit + 2);
		wrong += lost(&f.segment);
	}
	ok(deaths > 20 && again > 5 && !wrong,
	   "after %d deaths, and %d while recovering, none is lost", deaths,
	   again);
	shm_fixture_release(&f);
}

/* ---- without room ------------------------------------------------------- */

static void without_room_nothing_is_kept(void)
{
	struct shm_fixture f;
	unsigned char bytes[RECORD_BYTES_MAX] = {1};
	uint32_t kept = 0;
	uint32_t unit = 0;
	uint32_t last = 0;
	uint32_t size = 0;
	int err;

	heads_make(&f, SHM_RESERVE);
	while (!(err = record_keep(&f.segment, 1, bytes, sizeof bytes, &unit)))
		kept++, last = unit;
	is_int(err, ENOSPC, "the region is full after %u records", kept);
	is_u64(f.segment.header->records.used, kept,
	       "what was not kept is not counted");
	record_free(&f.segment, last);
	is_int(record_keep(&f.segment, 2, bytes, sizeof bytes, &unit), 0,
	       "what is given back can be taken");
	ok(unit == last && peek(&f.segment, unit, 2, &size) &&
	       !peek(&f.segment, unit, 1, &size),
	   "it is that very block, and the other's no more");
	shm_fixture_release(&f);
}

/* ---- rubbish ------------------------------------------------------------ */

struct rubbish {
	struct shm_fixture f;
	struct segment reader;
	uint64_t seed;
};

static uint32_t any_number(uint64_t *seed)
{
	uint32_t word = (uint32_t)test_random(seed);

	return word >> test_below(seed, 32);
}

static void spoil(struct rubbish *rubbish)
{
	struct records *records = &rubbish->f.segment.header->records;
	uint32_t unit = 1 + (uint32_t)test_below(&rubbish->seed, 500);
	struct record_block *block =
	    region_at(rubbish->f.segment.header,
		      segment_region(&rubbish->f.segment, REGION_RECORDS),
		      (uint64_t)unit * RECORD_UNIT, RECORD_UNIT);
	uint32_t number = any_number(&rubbish->seed);

	switch (test_below(&rubbish->seed, 6)) {
	case 0: block->size = number; break;
	case 1: block->entity = number % 64; break;
	case 2: memcpy(block->bytes, &number, sizeof number); break;
	case 3: records->unit_count = number; break;
	case 4: head_of(&rubbish->f.segment, 1 + unit % 40)->record = number;
	/* fall through */
	default:
		records->free_units[test_below(&rubbish->seed,
					       RECORD_UNITS_MAX + 1)] = number;
		break;
	}
}

static void look_at_rubbish(void *user)
{
	struct rubbish *rubbish = user;

	shm_fence(&rubbish->reader);
	for (int i = 0; i < 300000 / TEST_SLOW; i++) {
		uint32_t number = any_number(&rubbish->seed);
		uint32_t size = 0;
		const unsigned char *at;

		spoil(rubbish);
		record_prefetch(
		    rubbish->reader.header,
		    segment_region(&rubbish->reader, REGION_RECORDS), number);
		at = peek(&rubbish->reader, number, number % 64, &size);
		if (at)
			rubbish->seed += at[0] + at[size ? size - 1 : 0];
	}
}

static void work_in_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *segment = &rubbish->f.segment;
	uint64_t units = segment->header->records.unit_count;

	for (int i = 0; i < 20000 / TEST_SLOW; i++) {
		uint32_t number = any_number(&rubbish->seed);
		unsigned char bytes[RECORD_BYTES_MAX] = {0};
		uint32_t unit;

		spoil(rubbish);
		if (i % 50 == 0)
			segment->header->records.unit_count = units;
		switch (i % 4) {
		case 0: record_free(segment, number); break;
		case 1: (void)record_free_length(segment); break;
		case 2: (void)records_collect(segment, 9); break;
		default:
			(void)record_keep(segment, 1 + number % 64, bytes,
					  1 + number % RECORD_BYTES_MAX, &unit);
			break;
		}
	}
}

static void rubbish_run(uint64_t seed, void (*body)(void *user),
			const char *claim)
{
	struct rubbish rubbish = {.seed = seed};

	heads_make(&rubbish.f, SHM_RESERVE);
	for (uint64_t commit = 1; commit <= 200; commit++)
		commit_make(&rubbish.f.segment, 1 + (uint32_t)commit % ENTITIES,
			    commit);
	limbo_drain(&rubbish.f.segment, 100, 1000);
	shm_reader(&rubbish.f, &rubbish.reader);
	is_int(child_survives(20, body, &rubbish), 0, "%s", claim);
	segment_detach(&rubbish.reader);
	shm_fixture_release(&rubbish.f);
}

static void rubbish_never_leads_astray(uint64_t seed)
{
	rubbish_run(seed, look_at_rubbish,
		    "a reader among spoiled blocks reads what is published "
		    "only");
	rubbish_run(seed, work_in_rubbish,
		    "a writer among them comes to an end");
}

int main(void)
{
	uint64_t seed;

	test_begin(120);
	seed = test_seed();
	a_record_comes_back_as_it_was();
	a_free_block_serves_its_size_again();
	no_block_is_lost(seed);
	a_death_loses_no_block(seed);
	without_room_nothing_is_kept();
	rubbish_never_leads_astray(seed);
	return done_testing();
}
