/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bank_stress: rows are rewritten while others read them.
 *
 * idea
 *	First without any rule: a writer rewrites a few rows without end, with
 *	vectors of a small set.  A row's entity says which of them it is, so a
 *	reader knows what type, signature and distance must go with it; a
 *	kernel gives the same value for the same bytes, so distances are
 *	compared for equality.  What is accepted must be of one version.
 *
 *	Then with the rules of limbo.h: commit c writes a new row for entity
 *	c mod ENTITIES and kills its old one, and rows are used again when no
 *	slot needs them.  A reader at snapshot S must see every entity once,
 *	as commit c wrote it, c being the last one up to S.
 */
#include "shm_fixture.h"

enum {
	DIM = 200,
	SEATS = 3,
	ROWS = 4,
	VERSIONS = 16,
	WRITES = 150000 / TEST_SLOW,
	ENTITIES = 40,
	COMMITS = 40000 / TEST_SLOW
};

struct versions {
	_Atomic uint32_t done;
	_Atomic uint64_t torn;
	_Atomic uint64_t accepted;
	_Atomic uint64_t scanned_wrong;
	float vectors[VERSIONS][DIM];
	double distances[VERSIONS];
	struct query_code query;
	const struct kernel *kernel;
	uint64_t seed;
};

static uint64_t signature_of(uint32_t version)
{
	uint64_t state = version;

	return test_random(&state);
}

static void version_write(struct segment *segment,
			  const struct versions *versions, uint32_t row,
			  uint32_t version)
{
	struct bank_entry entry = {.entity = version,
				   .type = version * 1001,
				   .signature = signature_of(version),
				   .born = version};

	must_be(bank_write(segment, row, &entry, versions->vectors[version]),
		"write");
}

/* Vectors at distances that are easily told, and what a kernel makes of them */
static void versions_init(struct versions *versions, struct segment *segment,
			  uint64_t seed)
{
	struct bank_seen seen;
	uint32_t row;

	versions->seed = seed;
	versions->kernel = kernel_choose(NULL);
	for (uint32_t v = 0; v < VERSIONS; v++)
		for (uint32_t i = 0; i < DIM; i++)
			versions->vectors[v][i] =
			    (float)(test_gaussian(&seed) * (v + 1));
	query_encode(segment->bank.codes, segment->bank.metric,
		     versions->vectors[0], DIM, &versions->query);
	must_be(bank_take(segment, &row), "take");
	for (uint32_t v = 0; v < VERSIONS; v++) {
		version_write(segment, versions, row, v);
		if (row_accept(segment, &versions->query, row, v, &seen,
			       &versions->distances[v]) != 1)
			bail_out("a row at rest is not accepted");
	}
	for (uint32_t i = 1; i < ROWS; i++) {
		must_be(bank_take(segment, &row), "take");
		version_write(segment, versions, row, i);
	}
}

static void rows_rewrite(struct seat *seat)
{
	struct versions *versions = seat->shared;
	uint64_t state = versions->seed;

	for (uint32_t i = 0; i < WRITES; i++)
		version_write(seat->segment, versions,
			      1 + (uint32_t)test_below(&state, ROWS),
			      (uint32_t)test_below(&state, VERSIONS));
	atomic_store(&versions->done, 1);
}

static uint64_t row_is_torn(const struct versions *versions,
			    const struct bank_seen *seen, double distance)
{
	uint32_t version = seen->entity;

	return version >= VERSIONS || seen->type != version * 1001 ||
	       seen->signature != signature_of(version) ||
	       seen->born != version || seen->died != COMMIT_NEVER ||
	       distance != versions->distances[version];
}

/* A scan of torn rows keeps to its word: ascending, below count. */
static uint64_t scan_is_wrong(const struct segment *segment,
			      const struct versions *versions)
{
	uint32_t survivors[ROWS];
	size_t count = bank_count(segment) - 1;
	const unsigned char *lines = (const void *)bank_line_at(segment, 1);
	size_t left;
	uint64_t wrong = 0;

	if (count > ROWS || !lines)
		return 1;
	left = versions->kernel->codes[segment->bank.codes].scan(
	    &versions->query, lines, segment->bank.line_bytes, count,
	    versions->distances[VERSIONS / 2], survivors);
	wrong += left > count;
	for (size_t i = 0; i < left && i < count; i++)
		wrong += survivors[i] >= count ||
			 (i && survivors[i] <= survivors[i - 1]);
	return wrong;
}

static void rows_read(struct seat *seat)
{
	struct versions *versions = seat->shared;
	uint64_t state = versions->seed + seat->index;
	uint64_t accepted = 0;
	uint64_t torn = 0;
	uint64_t wrong = 0;

	while (!atomic_load(&versions->done)) {
		struct bank_seen seen;
		double distance;
		uint32_t row = 1 + (uint32_t)test_below(&state, ROWS);

		wrong += scan_is_wrong(seat->segment, versions);
		if (row_accept(seat->segment, &versions->query, row,
			       COMMIT_NEVER - 1, &seen, &distance) != 1)
			continue;
		accepted++;
		torn += row_is_torn(versions, &seen, distance);
	}
	atomic_fetch_add(&versions->accepted, accepted);
	atomic_fetch_add(&versions->torn, torn);
	atomic_fetch_add(&versions->scanned_wrong, wrong);
}

static void versions_role(struct seat *seat)
{
	if (seat->index)
		rows_read(seat);
	else
		rows_rewrite(seat);
}

static void a_row_half_written_is_never_accepted(enum stress_way way,
						 int32_t codes, int32_t rows,
						 uint64_t seed)
{
	struct versions *versions = shm_anonymous(sizeof *versions);
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, DIM, METRIC_L2, rows);
	shm_fixture_codes(&f, codes);
	versions_init(versions, &f.segment, seed);
	is_u64(stress_run(&f, way, versions_role, versions, SEATS), 0,
	       "%s, codes %d, rows of %s: nobody died", stress_name(way), codes,
	       rows ? "floats" : "halves");
	diag("%" PRIu64 " rows accepted", versions->accepted);
	is_u64(versions->torn, 0, "what is accepted is of one version");
	is_u64(versions->scanned_wrong, 0, "a scan keeps to its word");
	munmap(versions, sizeof *versions);
	shm_fixture_release(&f);
}

/* ---- snapshots ---------------------------------------------------------- */

struct world {
	_Atomic uint64_t committed;
	_Atomic uint32_t done;
	_Atomic uint64_t wrong;
	_Atomic uint64_t looks;
	_Atomic uint64_t rows_most;
	uint32_t row[ENTITIES]; /* the writer's */
};

static void commit_vector(float *vector, uint64_t commit)
{
	uint64_t state = commit;
	float value = (float)(int)test_below(&state, 1000) - 500;

	for (uint32_t i = 0; i < DIM; i++)
		vector[i] = value + (float)(i % 8);
}

/* The distance from a query of zeros that a row of halves is read at. */
static int distance_fits(uint64_t commit, double distance)
{
	float vector[DIM];
	double sum = 0;

	commit_vector(vector, commit);
	for (uint32_t i = 0; i < DIM; i++)
		sum += (double)vector[i] * (double)vector[i];
	return fabs(distance - sum) <= sum / 4096;
}

static void commit_run(struct seat *seat, uint64_t commit)
{
	struct world *world = seat->shared;
	struct segment *segment = seat->segment;
	uint32_t entity = (uint32_t)(commit % ENTITIES);
	struct bank_entry entry = {.entity = entity,
				   .type = (uint32_t)commit,
				   .signature = commit,
				   .born = commit};
	uint32_t old = world->row[entity];
	float vector[DIM];

	commit_vector(vector, commit);
	must_be(bank_take(segment, &world->row[entity]), "take");
	must_be(limbo_reserve(segment, 1), "reserve");
	must_be(bank_write(segment, world->row[entity], &entry, vector),
		"write");
	bank_kill(segment, old, commit);
	/* as LMDB's commit */
	atomic_store_explicit(&world->committed, commit, memory_order_release);
	if (old)
		limbo_push(segment, commit, LIMBO_ROW, old);
	limbo_drain(segment, slot_oldest(seat->slots, commit), 4);
}

static void commits_make(struct seat *seat)
{
	struct world *world = seat->shared;

	for (uint64_t commit = 1; commit <= COMMITS; commit++)
		commit_run(seat, commit);
	atomic_store(&world->rows_most, bank_count(seat->segment));
	atomic_store(&world->done, 1);
}

/* What is wrong with all rows at one snapshot. */
static uint64_t snapshot_wrong(const struct segment *segment,
			       const struct query_code *query,
			       uint64_t snapshot)
{
	unsigned char times[ENTITIES] = {0};
	uint32_t count = bank_count(segment);
	uint64_t wrong = 0;

	for (uint32_t row = 1; row < count; row++) {
		struct bank_seen seen;
		double distance;
		uint64_t commit;

		if (row_accept(segment, query, row, snapshot, &seen,
			       &distance) != 1)
			continue;
		if (seen.entity >= ENTITIES || times[seen.entity]++) {
			wrong++;
			continue;
		}
		commit = version_at(seen.entity, ENTITIES, snapshot);
		wrong += seen.born != commit || seen.signature != commit ||
			 seen.type != (uint32_t)commit ||
			 !distance_fits(commit, distance);
	}
	for (uint32_t i = 0; i < ENTITIES; i++)
		wrong += times[i] != (version_at(i, ENTITIES, snapshot) != 0);
	return wrong;
}

static void snapshots_read(struct seat *seat)
{
	static const float zeros[DIM];
	static _Thread_local struct query_code query;
	struct world *world = seat->shared;
	uint64_t state = seat->index;
	uint64_t wrong = 0;
	uint64_t looks = 0;
	uint32_t slot;

	query_encode(CODES_U8, METRIC_L2, zeros, DIM, &query);
	must_be(slot_take(seat->slots, &slot), "slot");
	while (!atomic_load(&world->done)) {
		uint64_t snapshot = seat_enter(seat, slot, &world->committed);

		for (uint64_t i = 1 + test_below(&state, 20); i; i--) {
			wrong +=
			    snapshot_wrong(seat->segment, &query, snapshot);
			looks++;
		}
		slot_leave(seat->slots, slot);
	}
	slot_give(seat->slots, slot);
	atomic_fetch_add(&world->wrong, wrong);
	atomic_fetch_add(&world->looks, looks);
}

static void world_role(struct seat *seat)
{
	if (seat->index)
		snapshots_read(seat);
	else
		commits_make(seat);
}

static void a_snapshot_sees_every_entity_once(enum stress_way way)
{
	struct world *world = shm_anonymous(sizeof *world);
	struct shm_fixture f;
	const struct segment *segment = &f.segment;

	shm_fixture_init(&f, SHM_RESERVE * 4, DIM, METRIC_L2, 0);
	shm_fixture_slots(&f);
	is_u64(stress_run(&f, way, world_role, world, SEATS), 0,
	       "%s: nobody died", stress_name(way));
	is_u64(world->wrong, 0,
	       "%" PRIu64 " looks at all rows: every entity is there once, as "
	       "its last commit made it",
	       world->looks);
	is_u64(slot_used(&f.slots), 0, "no slot is in use in the end");
	limbo_drain(&f.segment, COMMITS, UINT64_MAX);
	is_u64(ENTITIES + bank_free_length(segment), bank_count(segment) - 1,
	       "and every other row is free");
	diag("%" PRIu64 " rows for %d entities", world->rows_most, ENTITIES);
	munmap(world, sizeof *world);
	shm_fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	seed = test_seed();
	for (int way = STRESS_THREADS; way <= STRESS_TWO_MAPPINGS; way++) {
		for (int32_t codes = CODES_U8; codes < CODES_KINDS; codes++)
			a_row_half_written_is_never_accepted(
			    (enum stress_way)way, codes, 0, seed);
		a_row_half_written_is_never_accepted((enum stress_way)way,
						     CODES_U8, 1, seed);
		a_snapshot_sees_every_entity_once((enum stress_way)way);
	}
	return done_testing();
}
