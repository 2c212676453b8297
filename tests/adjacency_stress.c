/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adjacency_stress: one appends, kills and compacts; others must see, at their
 * snapshots, exactly their lists.
 *
 * idea
 *	Commit c works on list c mod LISTS: its n-th commit appends peer n and
 *	kills peer n - WINDOW.  So the list at snapshot S is known: the last
 *	WINDOW peers up to the commits that it had by then.  Some commits are
 *	first tried and taken back, with other peers.  Blocks go through limbo
 *	as core/commit.c sends them, and are used again for other lists.
 *
 *	A list is compacted when something in it can have gone since the last
 *	time, and the writer waits for a reader that lags far behind: how much
 *	room a list takes is not the question here, see adjacency.c.
 *
 *	Every other reader goes on to newer snapshots as cop_read_refresh does,
 *	without ever leaving its slot; the others leave it in between.
 */
#include "shm_fixture.h"

#include <sched.h>

enum {
	SEATS = 3,
	LISTS = 5,
	WINDOW = 40,
	COMMITS = 300000 / TEST_SLOW,
	RELATION = 77,
	LAG = 4000
};

struct world {
	_Atomic uint64_t committed;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t looks;
	uint64_t seed;
	uint64_t compacted; /* the writer's */
	uint64_t undone;
	uint64_t compacted_at[LISTS];
};

static struct head *head_of(const struct segment *segment, uint64_t list)
{
	return head_at(segment->header, segment_region(segment, REGION_HEADS),
		       list + 1);
}

static uint32_t relation_of(uint32_t peer)
{
	return peer * RELATION;
}

/* How many commits list `list` has had at a snapshot. */
static uint32_t commits_of(uint64_t list, uint64_t snapshot)
{
	uint64_t all = snapshot / LISTS;

	/* list 0 has commits LISTS, 2 LISTS, ...; the others begin at once */
	return (uint32_t)(all + (list && snapshot % LISTS >= list));
}

/* ---- the writer --------------------------------------------------------- */

static void operate(struct segment *segment, const struct edge_list *list,
		    uint32_t n, uint32_t stamp)
{
	must_be(edges_append(segment, list, n, relation_of(n), stamp),
		"append");
	if (n > WINDOW && !edges_kill(segment, list, n - WINDOW,
				      relation_of(n - WINDOW), stamp))
		bail_out("peer %u of a list is not there", n - WINDOW);
}

static void list_compact(struct seat *seat, const struct edge_list *list,
			 uint64_t commit)
{
	struct world *world = seat->shared;
	uint64_t oldest = slot_oldest(seat->slots, commit - 1);

	must_be(limbo_reserve(seat->segment, edges_blocks(seat->segment, list)),
		"reserve");
	must_be(edges_compact(seat->segment, list, (uint32_t)oldest, commit),
		"compact");
	world->compacted++;
}

/* An attempt with a peer of no list, taken back as recovery does. */
static void attempt_fail(struct seat *seat, const struct edge_list *list,
			 uint64_t commit)
{
	struct world *world = seat->shared;
	uint32_t n = UINT32_MAX - (uint32_t)commit;

	must_be(edges_append(seat->segment, list, n, relation_of(n),
			     (uint32_t)commit),
		"append");
	if (commit % 3 == 0)
		edges_kill_all(seat->segment, list, (uint32_t)commit);
	if (commit % 2 == 0)
		list_compact(seat, list, commit);
	edges_undo(seat->segment, list, (uint32_t)commit);
	limbo_clear_rows(seat->segment);
	world->undone++;
}

static void commits_make(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t state = world->seed;

	for (uint64_t commit = 1; commit <= COMMITS; commit++) {
		uint64_t index = commit % LISTS;
		struct head *head = head_of(seat->segment, index);
		struct edge_list list = edges_of(seat->segment, head, 1);

		if (test_below(&state, 1000) == 0)
			attempt_fail(seat, &list, commit);
		operate(seat->segment, &list, commits_of(index, commit),
			(uint32_t)commit);
		if (edges_mostly_dead(&list) &&
		    slot_oldest(seat->slots, commit - 1) >=
			world->compacted_at[index]) {
			list_compact(seat, &list, commit);
			world->compacted_at[index] = commit;
		}
		/* as LMDB's commit */
		atomic_store_explicit(&world->committed, commit,
				      memory_order_release);
		limbo_drain(seat->segment, slot_oldest(seat->slots, commit),
			    64);
		while (slot_oldest(seat->slots, commit) + LAG < commit)
			sched_yield();
	}
	atomic_store(&world->done, 1);
}

/* ---- the readers -------------------------------------------------------- */

static uint64_t list_wrong(const struct segment *segment, uint64_t index,
			   uint64_t snapshot)
{
	uint32_t last = commits_of(index, snapshot);
	uint32_t first = last > WINDOW ? last - WINDOW + 1 : 1;
	struct edge_cursor cursor;
	struct edge_name entry;
	uint64_t seen = 0;
	uint32_t count = 0;
	uint64_t wrong = 0;

	edge_cursor_init(&cursor, segment->header,
			 segment_region(segment, REGION_EDGES),
			 edges_of(segment, head_of(segment, index), 1).first,
			 (uint32_t)snapshot);
	while (edge_cursor_next(&cursor, &entry)) {
		uint32_t peer = entry.peer;

		if (peer < first || peer > last || seen >> (peer - first) & 1 ||
		    entry.relation != relation_of(peer)) {
			wrong++;
			continue;
		}
		seen |= UINT64_C(1) << (peer - first);
		count++;
	}
	return wrong + (count != last - first + 1);
}

static void lists_read(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t state = world->seed + seat->index;
	uint64_t wrong = 0;
	uint64_t looks = 0;
	uint32_t slot;

	must_be(slot_take(seat->slots, &slot), "slot");
	while (!atomic_load(&world->done)) {
		uint64_t snapshot = seat_enter(seat, slot, &world->committed);

		for (uint64_t i = test_below(&state, 300); i; i--) {
			wrong += list_wrong(
			    seat->segment, test_below(&state, LISTS), snapshot);
			looks++;
		}
		if (seat->index % 2)
			slot_leave(seat->slots, slot);
	}
	slot_leave(seat->slots, slot);
	slot_give(seat->slots, slot);
	atomic_fetch_add(&world->wrong, wrong);
	atomic_fetch_add(&world->looks, looks);
}

static void role(struct seat *seat)
{
	if (seat->index)
		lists_read(seat);
	else
		commits_make(seat);
}

static void a_snapshot_sees_exactly_its_lists(enum stress_way way,
					      uint64_t seed)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct shm_fixture f;
	uint64_t wrong = 0;

	world->seed = seed;
	shm_fixture_init(&f, SHM_RESERVE * 4, 8, METRIC_L2, 0);
	shm_fixture_slots(&f);
	must_be(segment_grow(&f.segment, REGION_HEADS,
			     (LISTS + 1) * sizeof(struct head)),
		"heads");
	must_be(segment_grow(&f.segment, REGION_LISTS,
			     (LISTS + 1) * sizeof(struct head_lists)),
		"lists");
	is_u64(stress_run(&f, way, role, world, SEATS), 0, "%s: nobody died",
	       stress_name(way));
	is_u64(world->wrong, 0,
	       "%" PRIu64 " looks at a list: it is its snapshot's",
	       world->looks);
	for (uint64_t i = 0; i < LISTS; i++)
		wrong += list_wrong(&f.segment, i, COMMITS);
	is_u64(wrong, 0, "so it is in the end");
	ok(world->compacted > 10 && world->undone,
	   "%" PRIu64 " times compacted, %" PRIu64 " attempts taken back",
	   world->compacted, world->undone);
	diag("%" PRIu64 " KiB of blocks, %" PRIu64 " of them free",
	     f.segment.header->adjacency.unit_count / 16,
	     f.segment.header->adjacency.free_bytes / 1024);
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	seed = test_seed();
	a_snapshot_sees_exactly_its_lists(STRESS_THREADS, seed);
	a_snapshot_sees_exactly_its_lists(STRESS_PROCESSES, seed);
	a_snapshot_sees_exactly_its_lists(STRESS_TWO_MAPPINGS, seed);
	return done_testing();
}
