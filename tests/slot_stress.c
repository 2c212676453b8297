/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot_stress: slots are taken and given, published and reaped by many.
 *
 * idea
 *	Taking: whoever has a slot writes its number into a word of its own
 *	for that slot, which must have been 0.
 *
 *	S1: the writer makes a commit, asks for the oldest snapshot and says
 *	that everything up to it is freed.  A reader publishes, then asks for
 *	the newest commit, which is its snapshot, and must never see the
 *	writer pass it, until it leaves.
 *
 *	S2: the writer spoils what it has freed.  Commit c stores c in cell
 *	c mod CELLS, and spoils the cells of commits that are out of reach; a
 *	reader at S reads the cells of commits S to S - 2.
 *
 *	Deaths: readers are killed and begin again while the writer works;
 *	once all are dead nothing holds it back.
 */
#include "shm_fixture.h"

#include <sched.h>

enum {
	SEATS = 4,
	TAKES = 8000 / TEST_SLOW,
	COMMITS = 300000 / TEST_SLOW,
	CELLS = 1 << 14,
	DEATHS = 60
};

/* ---- taking ------------------------------------------------------------- */

struct owners {
	_Atomic uint32_t owner[SLOT_COUNT];
	_Atomic uint64_t wrong;
	_Atomic uint64_t highest;
};

static void slots_take_and_give(struct seat *seat)
{
	struct owners *owners = seat->shared;
	uint64_t state = seat->index;
	uint32_t held[4];
	uint32_t count = 0;
	uint64_t wrong = 0;

	for (int i = 0; i < TAKES || count; i++) {
		uint32_t none = 0;

		if (i < TAKES && count < 4 && test_below(&state, 2)) {
			uint32_t slot;

			must_be(slot_take(seat->slots, &slot), "take");
			wrong += !atomic_compare_exchange_strong(
			    &owners->owner[slot], &none, seat->index + 1);
			if (slot > atomic_load(&owners->highest))
				atomic_store(&owners->highest, slot);
			held[count++] = slot;
		} else if (count) {
			uint32_t slot = held[--count];

			wrong += atomic_exchange(&owners->owner[slot], 0) !=
				 seat->index + 1;
			slot_give(seat->slots, slot);
		}
	}
	atomic_fetch_add(&owners->wrong, wrong);
}

static void two_never_get_one_slot(enum stress_way way)
{
	struct owners *owners = shm_anonymous(sizeof *owners);
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_fixture_slots(&f);
	is_u64(stress_run(&f, way, slots_take_and_give, owners, SEATS), 0,
	       "%s: nobody died", stress_name(way));
	is_u64(owners->wrong, 0, "no slot has two owners");
	ok(owners->highest < SEATS * 4 * 4,
	   "slots that are given back are taken again: up to %" PRIu64,
	   owners->highest);
	munmap(owners, sizeof *owners);
	shm_fixture_release(&f);
}

/* ---- publishing --------------------------------------------------------- */

struct world {
	_Atomic uint64_t committed;
	_Atomic uint64_t freed_to;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t looks;
	_Atomic uint64_t cells[CELLS];
};

#define SPOILT UINT64_MAX

/* Nothing that a read at `oldest` needs, and not much at once. */
static uint64_t spoil(struct world *world, uint64_t from, uint64_t oldest)
{
	for (; from + 2 < oldest; from++)
		atomic_store_explicit(&world->cells[from % CELLS], SPOILT,
				      memory_order_relaxed);
	return from;
}

static void commits_make(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t spoilt = 0;

	for (uint64_t commit = 1; commit <= COMMITS; commit++) {
		uint64_t oldest;

		atomic_store_explicit(&world->cells[commit % CELLS], commit,
				      memory_order_relaxed);
		/* as LMDB's commit */
		atomic_store_explicit(&world->committed, commit,
				      memory_order_release);
		oldest = slot_oldest(seat->slots, commit);
		atomic_store_explicit(&world->freed_to, oldest,
				      memory_order_release);
		spoilt = spoil(world, spoilt, oldest);
		while (slot_oldest(seat->slots, commit) + CELLS / 2 < commit)
			sched_yield();
	}
	atomic_store(&world->done, 1);
}

/* One snapshot's worth of reading. */
static uint64_t snapshot_wrong(struct world *world, uint64_t snapshot)
{
	uint64_t wrong = 0;

	for (uint64_t commit = snapshot; commit && commit + 2 >= snapshot;
	     commit--)
		wrong += atomic_load_explicit(&world->cells[commit % CELLS],
					      memory_order_relaxed) != commit;
	return wrong + (atomic_load_explicit(&world->freed_to,
					     memory_order_acquire) > snapshot);
}

static void read_some(struct world *world, struct slots *slots, uint32_t slot,
		      uint64_t *state)
{
	uint64_t wrong = 0;
	uint64_t looks = 0;
	uint64_t snapshot;

	slot_enter(
	    slots, slot,
	    atomic_load_explicit(&world->committed, memory_order_acquire));
	snapshot =
	    atomic_load_explicit(&world->committed, memory_order_acquire);
	for (uint64_t i = 1 + test_below(state, 50); i; i--) {
		wrong += snapshot_wrong(world, snapshot);
		looks++;
	}
	if (test_below(state, 4)) /* else as cop_read_refresh: on to the next */
		slot_leave(slots, slot);
	if (wrong)
		atomic_fetch_add(&world->wrong, wrong);
	atomic_fetch_add(&world->looks, looks);
}

static void snapshots_read(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t state = seat->index;
	uint32_t slot;

	must_be(slot_take(seat->slots, &slot), "take");
	while (!atomic_load(&world->done)) {
		read_some(world, seat->slots, slot, &state);
		if (test_below(&state, 100) == 0) {
			slot_give(seat->slots, slot);
			must_be(slot_take(seat->slots, &slot), "take");
		}
	}
	slot_give(seat->slots, slot);
}

static void world_role(struct seat *seat)
{
	if (seat->index)
		snapshots_read(seat);
	else
		commits_make(seat);
}

static void what_a_published_snapshot_needs_is_not_freed(enum stress_way way)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_fixture_slots(&f);
	is_u64(stress_run(&f, way, world_role, world, SEATS), 0,
	       "%s: nobody died", stress_name(way));
	is_u64(world->wrong, 0,
	       "%" PRIu64 " looks: the writer never passes a snapshot that is "
	       "published, nor spoils what it needs",
	       world->looks);
	is_u64(slot_oldest(&f.slots, COMMITS), COMMITS,
	       "in the end nothing holds it back");
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

struct mortal {
	struct shm_fixture *f;
	struct world *world;
};

static pid_t mortal_start(const struct mortal *mortal, uint64_t seed)
{
	static struct slots own;
	uint32_t slot;
	pid_t pid = child_fork();

	if (pid)
		return pid;
	must_be(slots_attach(&own, shm_reopen(mortal->f->control_fd, O_RDWR)),
		"attach");
	must_be(slot_take(&own, &slot), "take");
	for (;;)
		read_some(mortal->world, &own, slot, &seed);
}

static void writer_run(struct mortal *mortal)
{
	struct seat seat = {.slots = &mortal->f->slots,
			    .shared = mortal->world};

	commits_make(&seat);
}

/* The writer is a process of its own, so that no thread is there at a fork. */
static void the_dead_hold_nobody_back(uint64_t seed)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct shm_fixture f;
	struct mortal mortal = {&f, world};
	struct timespec pause = {0, 1000000};
	pid_t readers[SEATS];
	pid_t writer;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_fixture_slots(&f);
	writer = child_fork();
	if (!writer) {
		writer_run(&mortal);
		_exit(0);
	}
	for (int i = 0; i < SEATS; i++)
		readers[i] = mortal_start(&mortal, seed + (uint64_t)i);
	for (int i = 0; i < DEATHS; i++) {
		nanosleep(&pause, NULL);
		kill(readers[i % SEATS], SIGKILL);
		child_wait(readers[i % SEATS]);
		readers[i % SEATS] = mortal_start(&mortal, test_random(&seed));
	}
	for (int i = 0; i < SEATS; i++) {
		kill(readers[i], SIGKILL);
		child_wait(readers[i]);
	}
	is_int(child_wait(writer), 0,
	       "a writer is done, though %d readers died", DEATHS + SEATS);
	is_u64(world->wrong, 0, "%" PRIu64 " looks: the living were not passed",
	       world->looks);
	/* one more than the newest: those that lag by nothing are left alone */
	is_u64(slot_oldest(&f.slots, COMMITS + 1), COMMITS + 1,
	       "the dead are reaped");
	is_u64(slot_used(&f.slots), 0, "all of them");
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	seed = test_seed();
	for (int way = STRESS_THREADS; way <= STRESS_TWO_MAPPINGS; way++) {
		two_never_get_one_slot((enum stress_way)way);
		what_a_published_snapshot_needs_is_not_freed(
		    (enum stress_way)way);
	}
	the_dead_hold_nobody_back(seed);
	return done_testing();
}
