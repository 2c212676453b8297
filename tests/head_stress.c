/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_stress: a half-changed head is never taken.
 *
 * idea
 *	Commit c changes the heads whose number divides it, to a state that is
 *	a function of both.  So what a head says at snapshot S is known; a
 *	reader gets that, or is sent to LMDB.  The writer stops between mark
 *	and finish as long as it takes to commit.
 */
#include "shm_fixture.h"

enum { SEATS = 3, HEADS = 6, COMMITS = 2000000 / TEST_SLOW };

struct world {
	_Atomic uint64_t committed;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t taken;
	_Atomic uint64_t sent_away;
};

static struct head *head_of(const struct segment *segment, uint64_t id)
{
	return head_at(segment->header, segment_region(segment, REGION_HEADS),
		       id);
}

static struct head_state state_of(uint64_t id, uint64_t commit)
{
	uint64_t state = id << 48 ^ commit;
	uint64_t word = commit ? test_random(&state) : 0;

	return (struct head_state){
	    (uint32_t)word >> 1, (uint32_t)(word >> 32) & 1,
	    (uint32_t)(word >> 16), (uint32_t)(word >> 20)};
}

static int same(struct head_state a, struct head_state b)
{
	return a.type == b.type && a.alive == b.alive && a.row == b.row &&
	       a.record == b.record;
}

static void heads_change(struct seat *seat)
{
	struct world *world = seat->shared;

	for (uint64_t commit = 1; commit <= COMMITS; commit++) {
		for (uint64_t id = 1; id <= HEADS; id++)
			if (commit % id == 0)
				head_mark(head_of(seat->segment, id), commit);
		/* as LMDB's commit */
		atomic_store_explicit(&world->committed, commit,
				      memory_order_release);
		for (uint64_t id = 1; id <= HEADS; id++) {
			struct head_state state = state_of(id, commit);

			if (commit % id == 0)
				head_finish(head_of(seat->segment, id), commit,
					    &state);
		}
	}
	atomic_store(&world->done, 1);
}

static void heads_read(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t random = seat->index;
	uint64_t wrong = 0;
	uint64_t taken = 0;
	uint64_t away = 0;

	while (!atomic_load(&world->done)) {
		uint64_t snapshot = atomic_load_explicit(&world->committed,
							 memory_order_acquire);
		uint64_t back = test_below(&random, 3);

		snapshot -= back <= snapshot ? back : 0;
		for (uint64_t id = 1; id <= HEADS; id++) {
			struct head_state state;

			if (!head_read(head_of(seat->segment, id), snapshot,
				       &state)) {
				away++;
				continue;
			}
			taken++;
			wrong += !same(state,
				       state_of(id, snapshot - snapshot % id));
		}
	}
	atomic_fetch_add(&world->wrong, wrong);
	atomic_fetch_add(&world->taken, taken);
	atomic_fetch_add(&world->sent_away, away);
}

static void role(struct seat *seat)
{
	if (seat->index)
		heads_read(seat);
	else
		heads_change(seat);
}

static void heads_make(struct shm_fixture *f)
{
	shm_fixture_init(f, SHM_RESERVE, 8, METRIC_L2, 0);
	must_be(segment_grow(&f->segment, REGION_HEADS,
			     (HEADS + 1) * sizeof(struct head)),
		"heads");
}

static void a_half_changed_head_is_never_taken(enum stress_way way)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct shm_fixture f;
	uint64_t wrong = 0;

	heads_make(&f);
	is_u64(stress_run(&f, way, role, world, SEATS), 0, "%s: nobody died",
	       stress_name(way));
	diag("%" PRIu64 " taken, %" PRIu64 " sent to LMDB", world->taken,
	     world->sent_away);
	is_u64(world->wrong, 0, "what is taken is the snapshot's");
	for (uint64_t id = 1; id <= HEADS; id++) {
		struct head_state state;

		wrong += !head_read(head_of(&f.segment, id), COMMITS, &state) ||
			 !same(state, state_of(id, COMMITS - COMMITS % id));
	}
	is_u64(wrong, 0, "in the end every head can be taken");
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

/* ---- at rest ------------------------------------------------------------ */

static void a_head_answers_for_snapshots_from_its_change_on(void)
{
	struct shm_fixture f;
	struct head_state state = {7, 1, 9, 11};
	struct head_state seen = {1, 2, 3, 4};
	struct head *head;

	heads_make(&f);
	head = head_of(&f.segment, 1);
	ok(head_read(head, 0, &seen) && same(seen, (struct head_state){0}),
	   "a new head is nobody, at any snapshot");
	head_mark(head, 5);
	ok(!head_read(head, 4, &seen) && !head_read(head, 5, &seen),
	   "a pending one sends every reader to LMDB");
	head_finish(head, 5, &state);
	ok(!head_read(head, 4, &seen), "finished, it does with the older ones");
	ok(head_read(head, 5, &seen) && same(seen, state) &&
	       head_read(head, UINT64_MAX >> 1, &seen),
	   "and answers from its commit on");
	ok(same(head_peek_locked(head), state), "and the writer");
	shm_fixture_release(&f);
}

static void ids_out_of_range_have_no_head(void)
{
	struct shm_fixture f;
	struct segment reader;
	const struct region_view *heads;
	uint32_t size = 7;

	heads_make(&f);
	heads = segment_region(&f.segment, REGION_HEADS);
	ok(!head_of(&f.segment, 0), "0 is no id");
	ok(!head_of(&f.segment, region_bytes(heads) / sizeof(struct head)),
	   "nor is one past the region");
	ok(!head_of(&f.segment, UINT32_MAX) &&
	       !head_of(&f.segment, UINT64_C(1) << 32) &&
	       !head_of(&f.segment, UINT64_MAX / sizeof(struct head) + 2),
	   "nor any that wraps around");
	shm_reader(&f, &reader);
	ok(!head_key(reader.header, segment_region(&reader, REGION_TEXT),
		     head_of(&reader, 1), &size) &&
	       size == 0,
	   "a new head has no key");
	head_set_key(head_of(&f.segment, 1), (UINT64_C(1) << 48) - 1, 65535);
	size = 7;
	ok(!head_key(reader.header, segment_region(&reader, REGION_TEXT),
		     head_of(&reader, 1), &size) &&
	       size == 0,
	   "nor one whose key is out of range");
	ok(a_write_dies(head_of(&reader, 1)), "a reader cannot write to it");
	segment_detach(&reader);
	shm_fixture_release(&f);
}

int main(void)
{
	test_begin(180);
	a_head_answers_for_snapshots_from_its_change_on();
	ids_out_of_range_have_no_head();
	a_half_changed_head_is_never_taken(STRESS_THREADS);
	a_half_changed_head_is_never_taken(STRESS_PROCESSES);
	a_half_changed_head_is_never_taken(STRESS_TWO_MAPPINGS);
	return done_testing();
}
