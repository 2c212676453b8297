/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdtree under stress: readers search while the writer renews every row over
 * and over, links some at once, lets others wait, takes the dead out, and
 * lays out the whole tree now and then.
 *
 * idea
 *	Commit c gives entity c mod ENTITIES a new row.  What a snapshot shows
 *	of an entity follows from its number alone, so a reader knows the
 *	nearest of its snapshot.  A search that says that nothing changed must
 *	have come to every one of them, each once.
 */
#include "shm_fixture.h"

enum {
	DIM = 3,
	ENTITIES = 400,
	COMMITS = 16000 / TEST_SLOW,
	SEATS = 4,
	K = 10,
	TRIES = 64
};

struct world {
	_Atomic uint64_t committed;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t missed;
	_Atomic uint64_t searches;
	_Atomic uint64_t changed; /* searches that were in vain */
	uint32_t row[ENTITIES];	  /* the writer's */
};

/* Small integers, which a half holds; they wander in one direction. */
static void commit_vector(float *vector, uint64_t commit)
{
	uint64_t state = commit;

	for (uint32_t i = 0; i < DIM; i++)
		vector[i] = (float)(int)test_below(&state, 200) - 100;
	vector[0] += (float)(commit / 50 % 800);
}

static double distance_of(const float *query, uint64_t commit)
{
	float vector[DIM];
	double sum = 0;

	commit_vector(vector, commit);
	for (uint32_t i = 0; i < DIM; i++)
		sum += ((double)vector[i] - (double)query[i]) *
		       ((double)vector[i] - (double)query[i]);
	return sum;
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
	if (commit % 1024 == 0)
		must_be(kd_build(segment), "build");
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

struct found {
	struct seat *seat;
	struct query_code query;
	float vector[DIM];
	uint64_t snapshot;
	uint32_t k; /* ENTITIES: all are wanted */
	uint32_t count;
	uint32_t entities[ENTITIES];
	double distances[ENTITIES]; /* in order */
	uint64_t wrong;
};

static int row_visit(void *user, uint32_t row, double *limit)
{
	struct found *found = user;
	const struct segment *segment = found->seat->segment;
	struct bank_seen seen;
	double distance;
	uint32_t at;

	if (row_accept(segment, &found->query, row, found->snapshot, &seen,
		       &distance) != 1)
		return 0;
	found->wrong +=
	    seen.born != version_at(seen.entity, ENTITIES, found->snapshot) ||
	    distance != distance_of(found->vector, seen.born);
	at = found->count;
	if (at == found->k && distance >= found->distances[at - 1])
		return 0;
	if (at == found->k)
		at--;
	for (; at && found->distances[at - 1] > distance; at--) {
		found->distances[at] = found->distances[at - 1];
		found->entities[at] = found->entities[at - 1];
	}
	found->distances[at] = distance;
	found->entities[at] = seen.entity;
	found->count += found->count < found->k;
	if (found->count == found->k && found->k < ENTITIES)
		*limit = found->distances[found->k - 1];
	return 0;
}

static int double_compare(const void *a, const void *b)
{
	double x;
	double y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

/* How many of the nearest are not what the snapshot has. */
static uint64_t missed_of(const struct found *found)
{
	double distances[ENTITIES];
	uint32_t count = 0;
	uint64_t missed = 0;
	unsigned char times[ENTITIES] = {0};

	for (uint32_t i = 0; i < ENTITIES; i++) {
		uint64_t commit = version_at(i, ENTITIES, found->snapshot);

		if (commit)
			distances[count++] = distance_of(found->vector, commit);
	}
	qsort(distances, count, sizeof *distances, double_compare);
	for (uint32_t i = 0; i < count && i < found->k; i++)
		missed +=
		    i >= found->count || found->distances[i] != distances[i];
	for (uint32_t i = 0; i < found->count; i++)
		missed += times[found->entities[i]]++;
	return missed;
}

static void search_once(struct found *found, uint64_t *state)
{
	struct world *world = found->seat->shared;
	enum kd_outcome outcome = KD_CHANGED;

	commit_vector(found->vector, test_random(state));
	query_encode(CODES_U8, METRIC_L2, found->vector, DIM, &found->query);
	found->k = test_below(state, 2) ? K : ENTITIES;
	for (int i = 0; i < TRIES && outcome != KD_DONE; i++) {
		found->count = 0;
		found->wrong = 0;
		outcome = kd_search(found->seat->segment, &found->query,
				    INFINITY, row_visit, found);
		atomic_fetch_add(&world->changed, outcome != KD_DONE);
	}
	atomic_fetch_add(&world->wrong, found->wrong);
	if (outcome != KD_DONE)
		return;
	atomic_fetch_add(&world->missed, missed_of(found));
	atomic_fetch_add(&world->searches, 1);
}

static void searches_make(struct seat *seat)
{
	struct world *world = seat->shared;
	struct found *found = aligned_alloc(64, sizeof *found);
	uint64_t state = seat->index;
	uint32_t slot;

	if (!found)
		bail_out("no memory");
	*found = (struct found){.seat = seat};
	must_be(slot_take(seat->slots, &slot), "slot");
	while (!atomic_load(&world->done)) {
		found->snapshot = seat_enter(seat, slot, &world->committed);
		for (uint64_t i = 1 + test_below(&state, 8); i; i--)
			search_once(found, &state);
		slot_leave(seat->slots, slot);
	}
	slot_give(seat->slots, slot);
	free(found);
}

static void world_role(struct seat *seat)
{
	if (seat->index)
		searches_make(seat);
	else
		commits_make(seat);
}

static void searches_see_snapshots(enum stress_way way)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct kd_figures figures;
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE * 4, DIM, METRIC_L2, 0);
	shm_fixture_slots(&f);
	is_u64(stress_run(&f, way, world_role, world, SEATS), 0,
	       "%s: nobody died", stress_name(way));
	is_u64(world->wrong, 0,
	       "what is visited is of the snapshot, at the distance it was "
	       "written with");
	ok(world->searches && !world->missed,
	   "%" PRIu64 " searches miss none of the nearest and give each once; "
	   "%" PRIu64 " were in vain",
	   world->searches, world->changed);
	limbo_drain(&f.segment, COMMITS, UINT64_MAX);
	ok(!kd_validate(&f.segment, &figures) && figures.rows == ENTITIES,
	   "in the end the tree is whole, and of the living alone");
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

int main(void)
{
	test_begin(240);
	for (int way = STRESS_THREADS; way <= STRESS_TWO_MAPPINGS; way++)
		searches_see_snapshots((enum stress_way)way);
	return done_testing();
}
