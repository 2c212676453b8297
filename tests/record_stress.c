/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_stress: what a reader has borrowed stays as it was while its snapshot
 * is published.
 *
 * idea
 *	Commit c gives entity c mod ENTITIES another record, of a size and
 *	bytes that are a function of both, as core/prepare.c does.  A reader
 *	takes a snapshot, looks at heads in any order and borrows what they
 *	name; each record must be that of the head's newest commit at the
 *	snapshot, at once and again when the reader is about to move on.
 *	Blocks go through limbo and serve other entities after that.  Some
 *	commits are first tried and taken back as recovery does.
 */
#include "shm_fixture.h"

#include <sched.h>

enum {
	SEATS = 3,
	ENTITIES = 7,
	BORROWED = 40,
	COMMITS = 400000 / TEST_SLOW,
	SIZE_MAX_HERE = 300,
	LAG = 2000
};

struct world {
	_Atomic uint64_t committed;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t borrowed;
	_Atomic uint64_t sent_away;
	uint64_t seed;
	uint64_t undone; /* the writer's */
};

struct borrowed {
	const uint64_t *words;
	uint32_t size;
	uint64_t entity;
	uint64_t commit;
};

static struct head *head_of(const struct segment *segment, uint64_t entity)
{
	return head_at(segment->header, segment_region(segment, REGION_HEADS),
		       entity);
}

/* Entities are 1 to ENTITIES; commit c changes this one. */
static uint32_t entity_of(uint64_t commit)
{
	return 1 + (uint32_t)(commit % ENTITIES);
}

/* The newest commit up to a snapshot that changed an entity; 0: none. */
static uint64_t commit_of(uint64_t entity, uint64_t snapshot)
{
	uint64_t back = (snapshot + ENTITIES + 1 - entity) % ENTITIES;

	return snapshot > back ? snapshot - back : 0;
}

static uint32_t words_of(uint64_t entity, uint64_t commit)
{
	uint64_t state = entity << 48 ^ commit;

	return 1 + (uint32_t)test_below(&state, SIZE_MAX_HERE / 8);
}

static uint64_t word_of(uint64_t entity, uint64_t commit, uint32_t index)
{
	return (entity << 48 ^ commit) * UINT64_C(0x9e3779b97f4a7c15) + index;
}

/* ---- the writer --------------------------------------------------------- */

static uint32_t keep(struct segment *segment, uint32_t entity, uint64_t commit)
{
	uint64_t words[SIZE_MAX_HERE / 8 + 1];
	uint32_t count = words_of(entity, commit);
	uint32_t unit;

	for (uint32_t i = 0; i < count; i++)
		words[i] = word_of(entity, commit, i);
	must_be(record_keep(segment, entity, words, count * 8, &unit), "keep");
	return unit;
}

/* An attempt that comes to nothing: the head as it was, the block gone. */
static void attempt_fail(struct seat *seat, uint64_t commit)
{
	struct world *world = seat->shared;
	uint32_t entity = entity_of(commit);
	struct head *head = head_of(seat->segment, entity);
	struct head_state state = head_peek_locked(head);

	(void)keep(seat->segment, entity, ~commit);
	head_mark(head, commit);
	head_finish(head, commit - 1, &state);
	limbo_clear_rows(seat->segment);
	must_be(records_collect(seat->segment, commit - 1), "collect");
	world->undone++;
}

static void commit_make(struct seat *seat, uint64_t commit)
{
	struct world *world = seat->shared;
	uint32_t entity = entity_of(commit);
	struct head *head = head_of(seat->segment, entity);
	struct head_state state = {.alive = 1};
	uint32_t old = head_peek_locked(head).record;

	must_be(limbo_reserve(seat->segment, 1), "reserve");
	state.record = keep(seat->segment, entity, commit);
	head_mark(head, commit);
	/* as LMDB's commit */
	atomic_store_explicit(&world->committed, commit, memory_order_release);
	head_finish(head, commit, &state);
	if (old)
		limbo_push(seat->segment, commit, LIMBO_RECORD, old);
}

static void commits_make(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t state = world->seed;

	for (uint64_t commit = 1; commit <= COMMITS; commit++) {
		if (commit > 1 && test_below(&state, 1000) == 0)
			attempt_fail(seat, commit);
		commit_make(seat, commit);
		limbo_drain(seat->segment, slot_oldest(seat->slots, commit),
			    64);
		while (slot_oldest(seat->slots, commit) + LAG < commit)
			sched_yield();
	}
	atomic_store(&world->done, 1);
}

/* ---- the readers -------------------------------------------------------- */

static uint64_t is_wrong(const struct borrowed *record)
{
	uint32_t count = words_of(record->entity, record->commit);
	uint64_t wrong = record->size != count * 8;

	for (uint32_t i = 0; !wrong && i < count; i++)
		wrong += record->words[i] !=
			 word_of(record->entity, record->commit, i);
	return wrong;
}

/* 1 if it was borrowed, 0 if LMDB would be asked. */
static int borrow(const struct segment *segment, uint64_t entity,
		  uint64_t snapshot, struct borrowed *out)
{
	struct head_state state;

	if (!head_read(head_of(segment, entity), snapshot, &state))
		return 0;
	*out = (struct borrowed){.entity = entity,
				 .commit = commit_of(entity, snapshot)};
	out->words = record_peek(segment->header,
				 segment_region(segment, REGION_RECORDS),
				 state.record, (uint32_t)entity, &out->size);
	return 1;
}

/* One snapshot: borrows, looks, and looks again at the end. */
static void snapshot_read(struct seat *seat, uint64_t *state)
{
	struct world *world = seat->shared;
	uint64_t snapshot =
	    atomic_load_explicit(&world->committed, memory_order_acquire);
	struct borrowed records[BORROWED];
	uint32_t count = 0;
	uint64_t wrong = 0;
	uint64_t away = 0;

	for (uint64_t i = 1 + test_below(state, BORROWED - 1); i; i--) {
		struct borrowed *record = &records[count];
		uint64_t entity = 1 + test_below(state, ENTITIES);

		if (!commit_of(entity, snapshot))
			continue;
		if (!borrow(seat->segment, entity, snapshot, record)) {
			away++;
		} else if (!record->words || is_wrong(record)) {
			wrong++;
		} else {
			count++;
		}
	}
	if (test_below(state, 20) == 0)
		sched_yield();
	for (uint32_t i = 0; i < count; i++)
		wrong += is_wrong(&records[i]);
	atomic_fetch_add(&world->wrong, wrong);
	atomic_fetch_add(&world->borrowed, count);
	atomic_fetch_add(&world->sent_away, away);
}

static void records_read(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t state = world->seed + seat->index;
	uint32_t slot;

	must_be(slot_take(seat->slots, &slot), "slot");
	while (!atomic_load(&world->done)) {
		slot_enter(seat->slots, slot,
			   atomic_load_explicit(&world->committed,
						memory_order_acquire));
		snapshot_read(seat, &state);
		if (seat->index % 2)
			slot_leave(seat->slots, slot);
	}
	slot_leave(seat->slots, slot);
	slot_give(seat->slots, slot);
}

static void role(struct seat *seat)
{
	if (seat->index)
		records_read(seat);
	else
		commits_make(seat);
}

static void what_is_borrowed_stays_as_it_was(enum stress_way way, uint64_t seed)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct shm_fixture f;
	uint64_t wrong = 0;

	world->seed = seed;
	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_fixture_slots(&f);
	must_be(segment_grow(&f.segment, REGION_HEADS,
			     (ENTITIES + 1) * sizeof(struct head)),
		"heads");
	is_u64(stress_run(&f, way, role, world, SEATS), 0, "%s: nobody died",
	       stress_name(way));
	is_u64(world->wrong, 0,
	       "%" PRIu64 " records borrowed stay their snapshot's",
	       world->borrowed);
	for (uint64_t i = 1; i <= ENTITIES; i++) {
		struct borrowed record;

		wrong += !borrow(&f.segment, i, COMMITS, &record) ||
			 !record.words || is_wrong(&record);
	}
	is_u64(wrong, 0, "in the end every head names its newest record");
	ok(world->undone && world->borrowed,
	   "%" PRIu64 " attempts were taken back", world->undone);
	diag("%" PRIu64 " KiB of blocks, %" PRIu64 " times sent to LMDB",
	     f.segment.header->records.unit_count / 16, world->sent_away);
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	seed = test_seed();
	what_is_borrowed_stays_as_it_was(STRESS_THREADS, seed);
	what_is_borrowed_stays_as_it_was(STRESS_PROCESSES, seed);
	what_is_borrowed_stays_as_it_was(STRESS_TWO_MAPPINGS, seed);
	return done_testing();
}
