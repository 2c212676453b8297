/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap_stress: one enters keys, the others look for those that they were
 * told of, through all the tables that it grows.
 */
#include "shm_fixture.h"

enum { KEYS = 100000 / TEST_SLOW, SEATS = 3 };

struct told {
	_Atomic uint32_t told; /* keys 1 to told are entered */
	_Atomic uint64_t missed;
	_Atomic uint64_t strange;
	_Atomic uint64_t looks;
	uint64_t seed;
};

static uint64_t key_of(uint64_t seed, char *key, uint32_t number)
{
	uint64_t state = seed + number;

	snprintf(key, 24, "%u-%u", number, (uint32_t)seed & 0xff);
	return test_random(&state);
}

static uint32_t find(const struct segment *segment, uint64_t seed,
		     uint32_t number)
{
	char key[24];
	uint64_t hash = key_of(seed, key, number);

	(void)idmap_prefetch(segment, hash);
	return idmap_find(segment, hash, key, strlen(key));
}

static void keys_enter(struct seat *seat)
{
	struct told *told = seat->shared;
	char key[24];

	for (uint32_t i = 1; i <= KEYS; i++) {
		uint64_t hash = key_of(told->seed, key, i);

		must_be(idmap_insert(seat->segment, hash, key, strlen(key), i),
			"insert");
		/* as LMDB's commit tells readers of a key */
		atomic_store_explicit(&told->told, i, memory_order_release);
	}
}

static void keys_look_for(struct seat *seat)
{
	struct told *told = seat->shared;
	uint64_t state = told->seed ^ seat->index;
	uint64_t missed = 0;
	uint64_t strange = 0;
	uint64_t looks = 0;
	uint32_t there;

	do {
		uint32_t other = (uint32_t)test_below(&state, KEYS * 2) + 1;
		uint32_t found;

		there = atomic_load_explicit(&told->told, memory_order_acquire);
		found = find(seat->segment, told->seed, other);
		strange += found && (found != other || other > KEYS);
		missed += other <= there && !found;
		if (!there)
			continue;
		other = there -
			(uint32_t)test_below(&state, there < 64 ? there : 64);
		missed += find(seat->segment, told->seed, other) != other;
		looks++;
	} while (there < KEYS);
	atomic_fetch_add(&told->missed, missed);
	atomic_fetch_add(&told->strange, strange);
	atomic_fetch_add(&told->looks, looks);
}

static void role(struct seat *seat)
{
	if (seat->index)
		keys_look_for(seat);
	else
		keys_enter(seat);
}

static void a_key_told_of_is_never_missed(enum stress_way way, uint64_t seed)
{
	struct told *told = shm_anonymous(sizeof *told);
	struct shm_fixture f;
	uint32_t missed = 0;

	told->seed = seed;
	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	is_u64(stress_run(&f, way, role, told, SEATS), 0, "%s: nobody died",
	       stress_name(way));
	is_u64(told->missed, 0,
	       "a key that was told of is found, %" PRIu64 " times",
	       told->looks);
	is_u64(told->strange, 0, "no key is found under another id");
	for (uint32_t i = 1; i <= KEYS; i++)
		missed += find(&f.segment, seed, i) != i;
	is_u64(missed, 0, "all are there in the end");
	is_u64(idmap_validate(&f.segment), 0, "and the map is in order");
	munmap(told, sizeof *told);
	shm_fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(180);
	seed = test_seed();
	a_key_told_of_is_never_missed(STRESS_THREADS, seed);
	a_key_told_of_is_never_missed(STRESS_PROCESSES, seed);
	a_key_told_of_is_never_missed(STRESS_TWO_MAPPINGS, seed);
	return done_testing();
}
