/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hnsw under stress: readers walk while the writer renews every row over and
 * over, links some at once, lets others wait, and takes the dead out.
 *
 * idea
 *	Commit c gives entity c mod ENTITIES a new row.  What a snapshot shows
 *	of an entity follows from its number alone, so every row that passes a
 *	walk can be judged; and a walk as wide as the store must come back
 *	with nearly all entities, each once.
 */
#include "shm_fixture.h"

#include <math.h>

enum {
	DIM = 16,
	ENTITIES = 120,
	COMMITS = 12000 / TEST_SLOW,
	SEATS = 4,
	WIDE = 4 * ENTITIES
};

struct world {
	_Atomic uint64_t committed;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t walks;
	_Atomic uint64_t missed;
	uint32_t row[ENTITIES]; /* the writer's */
};

static void commit_vector(float *vector, uint64_t commit)
{
	uint64_t state = commit;

	for (uint32_t i = 0; i < DIM; i++)
		vector[i] = (float)(int)test_below(&state, 200) - 100;
}

/* ---- the writer --------------------------------------------------------- */

static void commit_run(struct seat *seat, struct hnsw_room *room,
		       uint64_t commit)
{
	struct world *world = seat->shared;
	struct segment *segment = seat->segment;
	uint32_t entity = (uint32_t)(commit % ENTITIES);
	struct bank_entry entry = {.entity = entity, .type = 1, .born = commit};
	uint32_t old = world->row[entity];
	float vector[DIM];

	commit_vector(vector, commit);
	must_be(bank_take(segment, &world->row[entity]), "take");
	must_be(limbo_reserve(segment, 1), "reserve");
	must_be(bank_write(segment, world->row[entity], &entry, vector),
		"write");
	must_be(hnsw_await(segment, world->row[entity]), "await");
	bank_kill(segment, old, commit);
	/* as LMDB's commit */
	atomic_store_explicit(&world->committed, commit, memory_order_release);
	if (old)
		limbo_push(segment, commit, LIMBO_ROW, old);
	limbo_drain(segment, slot_oldest(seat->slots, commit), 4);
	while (commit % 16 > 10 && hnsw_link_next(segment, room))
		;
}

static void commits_make(struct seat *seat)
{
	struct world *world = seat->shared;
	struct hnsw_room room;

	shm_room_init(&room, seat->segment);
	for (uint64_t commit = 1; commit <= COMMITS; commit++)
		commit_run(seat, &room, commit);
	shm_rows_link(seat->segment, &room);
	atomic_store(&world->done, 1);
	shm_room_release(&room, seat->segment);
}

/* ---- a reader ----------------------------------------------------------- */

/* What a row of halves may differ in: nothing, as all are small integers. */
static int distance_fits(uint64_t commit, const float *query, double distance)
{
	float vector[DIM];
	double sum = 0;

	commit_vector(vector, commit);
	for (uint32_t i = 0; i < DIM; i++)
		sum += ((double)vector[i] - (double)query[i]) *
		       ((double)vector[i] - (double)query[i]);
	return fabs(distance - sum) <= sum * 1e-6;
}

static void pool_judge(struct seat *seat, const struct query_code *query,
		       const float *vector, const struct hnsw_room *room,
		       uint64_t snapshot)
{
	struct world *world = seat->shared;
	unsigned char times[ENTITIES] = {0};
	uint64_t wrong = 0;
	uint64_t missed = 0;

	for (uint32_t i = 0; i < room->pool_count; i++) {
		struct bank_seen seen;
		double distance;
		uint64_t commit;

		/* a row that is linked just now may be there once more, as
		   what a walk began with */
		if (!hnsw_passes(room->pool[i]))
			continue;
		if (row_accept(seat->segment, query, hnsw_row_of(room->pool[i]),
			       snapshot, &seen, &distance) != 1)
			continue;
		if (seen.entity >= ENTITIES || times[seen.entity]++) {
			wrong++;
			continue;
		}
		commit = version_at(seen.entity, ENTITIES, snapshot);
		wrong += seen.born != commit ||
			 !distance_fits(commit, vector, distance);
	}
	for (uint32_t i = 0; i < ENTITIES; i++)
		missed += !times[i] && version_at(i, ENTITIES, snapshot);
	atomic_fetch_add(&world->wrong, wrong);
	atomic_fetch_add(&world->missed, missed);
	atomic_fetch_add(&world->walks, 1);
}

static void walk_once(struct seat *seat, struct hnsw_room *room,
		      uint64_t *state, uint64_t snapshot)
{
	static _Thread_local struct query_code query;
	struct hnsw_sieve sieve = {.snapshot = snapshot};
	struct hnsw_search search = {
	    .query = &query, .room = room, .sieve = &sieve, .ef = WIDE};
	float vector[DIM];

	commit_vector(vector, test_random(state));
	query_encode(CODES_U8, METRIC_L2, vector, DIM, &query);
	hnsw_walk(seat->segment, &search);
	pool_judge(seat, &query, vector, room, snapshot);
	hnsw_room_clear(room, seat->segment);
}

static void walks_make(struct seat *seat)
{
	struct world *world = seat->shared;
	uint64_t state = seat->index;
	struct hnsw_room room;
	uint32_t slot;

	shm_room_init(&room, seat->segment);
	must_be(slot_take(seat->slots, &slot), "slot");
	while (!atomic_load(&world->done)) {
		uint64_t snapshot = seat_enter(seat, slot, &world->committed);

		for (uint64_t i = 1 + test_below(&state, 8); i; i--)
			walk_once(seat, &room, &state, snapshot);
		slot_leave(seat->slots, slot);
	}
	slot_give(seat->slots, slot);
	shm_room_release(&room, seat->segment);
}

static void world_role(struct seat *seat)
{
	if (seat->index)
		walks_make(seat);
	else
		commits_make(seat);
}

static void walks_see_snapshots(enum stress_way way)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct hnsw_figures figures;
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE * 4, DIM, METRIC_L2, 0);
	shm_fixture_slots(&f);
	is_u64(stress_run(&f, way, world_role, world, SEATS), 0,
	       "%s: nobody died", stress_name(way));
	is_u64(world->wrong, 0,
	       "%" PRIu64 " walks give rows of their snapshot, each once, at "
	       "the distance they were written with",
	       world->walks);
	ok(world->walks && world->missed <= world->walks * ENTITIES / 100,
	   "and miss %" PRIu64 " of %" PRIu64, world->missed,
	   world->walks * ENTITIES);
	limbo_drain(&f.segment, COMMITS, UINT64_MAX);
	ok(!hnsw_validate(&f.segment, &figures) && figures.linked == ENTITIES,
	   "in the end the graph is whole, and of the living alone");
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

int main(void)
{
	test_begin(240);
	for (int way = STRESS_THREADS; way <= STRESS_TWO_MAPPINGS; way++)
		walks_see_snapshots((enum stress_way)way);
	return done_testing();
}
