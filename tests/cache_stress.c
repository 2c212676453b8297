/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_stress: whoever asks, while others store and die, is told the right
 * answer or none.
 *
 * idea
 *	Everybody asks and stores, at a commit that moves on, in a cache too
 *	small for what is asked.  At the points of a store threads sometimes
 *	sleep, so that claims are struck and taken from who is still at work.
 *	Later, children that do the same are killed, at any instruction or at
 *	one of those points.
 */
#include "cache_fixture.h"
#include "point.h"

#include <sched.h>

enum {
	SEATS = 4,
	QUESTIONS = 60,
	ROUNDS = 240000 / TEST_SLOW,
	COMMIT_ROUNDS = 3000,
	DEATHS = 300 / TEST_SLOW,
	SIZE = 30000
};

struct world {
	_Atomic uint64_t commit;
	_Atomic uint64_t wrong;
	_Atomic uint64_t found;
	_Atomic uint64_t missed;
	_Atomic uint64_t refused; /* stores that found no place, or lost it */
	uint64_t seed;
	int fd;
	unsigned char *memory; /* of the test itself */
};

static uint64_t bytes(void)
{
	return cache_bytes(SIZE);
}

static void *map(int fd)
{
	void *at =
	    mmap(NULL, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	return at;
}

static struct world *world_make(uint64_t seed)
{
	struct world *world = shm_anonymous(sizeof *world);

	world->seed = seed;
	world->fd = shm_file();
	if (ftruncate(world->fd, (off_t)bytes()))
		bail_out("ftruncate: %s", strerror(errno));
	world->memory = map(world->fd);
	cache_init(world->memory, bytes());
	return world;
}

static void world_drop(struct world *world)
{
	munmap(world->memory, bytes());
	close(world->fd);
	munmap(world, sizeof *world);
}

/* ---- what everybody does ------------------------------------------------ */

static _Thread_local uint64_t sleeps;

static void sleep_there(const char *name)
{
	(void)name;
	sleeps++;
	if (sleeps % 2000 == 0)
		usleep(1000);
	else if (sleeps % 16 == 0)
		sched_yield();
}

static void ask(struct world *world, const struct cache_view *view,
		uint64_t *state, uint64_t commit)
{
	/* some are asked more often than others */
	uint64_t number = test_below(state, 1 + test_below(state, QUESTIONS));
	int asked = cache_fixture_ask(view, number, commit);

	/* relaxed, all: figures */
	if (asked == ASKED_WRONG)
		atomic_fetch_add_explicit(&world->wrong, 1,
					  memory_order_relaxed);
	if (asked == ASKED_HIT) {
		atomic_fetch_add_explicit(&world->found, 1,
					  memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&world->missed, 1, memory_order_relaxed);
	if (!cache_fixture_store(view, number, commit))
		atomic_fetch_add_explicit(&world->refused, 1,
					  memory_order_relaxed);
}

static void role(struct seat *seat, const struct cache_view *view)
{
	struct world *world = seat->shared;
	uint64_t state = world->seed + seat->index;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t commit = atomic_load(&world->commit);

		if (test_below(&state, 8) == 0 && commit)
			commit--; /* an older read's */
		ask(world, view, &state, commit);
		if (!seat->index && i % COMMIT_ROUNDS == 0)
			atomic_fetch_add(&world->commit, 1);
		if (seat->index == 1 && i % (COMMIT_ROUNDS * 4) == 1)
			cache_clear(view);
	}
}

static void one_mapping(struct seat *seat)
{
	struct world *world = seat->shared;
	struct cache_view view;

	must_be(cache_view_init(&view, world->memory, bytes()), "view");
	role(seat, &view);
}

static void own_mapping(struct seat *seat)
{
	struct world *world = seat->shared;
	struct cache_view view;
	void *memory = map(world->fd);

	must_be(cache_view_init(&view, memory, bytes()), "view");
	role(seat, &view);
	munmap(memory, bytes());
}

/* Every question can be answered, and answers stay right. */
static int does_not_work(const struct world *world)
{
	struct cache_view view;
	int wrong = 0;

	must_be(cache_view_init(&view, world->memory, bytes()), "view");
	for (uint64_t i = 0; i < QUESTIONS * CACHE_STRIKES; i++)
		(void)cache_fixture_store(&view, i % QUESTIONS, 1 << 20);
	for (uint64_t i = 0; i < QUESTIONS; i++)
		wrong += !cache_fixture_store(&view, i, 1 << 20) ||
			 cache_fixture_ask(&view, i, 1 << 20) != ASKED_HIT;
	for (uint32_t i = 0; i < view.set_count; i++)
		for (int way = 0; way < CACHE_WAYS; way++)
			wrong += (view.sets[i].word[way] & 1) != 0;
	return wrong;
}

static void who_asks_is_told_right_or_nothing(enum stress_way way,
					      uint64_t seed)
{
	struct world *world = world_make(seed);
	struct cache_figures figures;
	struct cache_view view;
	struct shm_fixture none;

	shm_fixture_init(&none, SHM_RESERVE, 8, METRIC_L2, 0);
	point_hook = sleep_there;
	is_u64(stress_run(&none, way,
			  way == STRESS_THREADS ? one_mapping : own_mapping,
			  world, SEATS),
	       0, "%s: nobody died", stress_name(way));
	point_hook = NULL;
	is_u64(world->wrong, 0,
	       "of %" PRIu64 " answers found none is another's or torn",
	       world->found);
	must_be(cache_view_init(&view, world->memory, bytes()), "view");
	cache_figures(&view, &figures);
	ok(figures.hits == world->found && figures.misses == world->missed &&
	       figures.stores == world->missed - world->refused,
	   "%" PRIu64 " hits, %" PRIu64 " misses and %" PRIu64
	   " stores are what was counted",
	   figures.hits, figures.misses, figures.stores);
	diag("%" PRIu64 " were not kept, %" PRIu64 " were evicted",
	     world->refused, figures.evictions);
	is_int(does_not_work(world), 0, "in the end every answer can be kept");
	shm_fixture_release(&none);
	world_drop(world);
}

/* ---- deaths ------------------------------------------------------------- */

static uint64_t point_left;

static void die_at_point(const char *name)
{
	(void)name;
	if (!point_left--)
		kill(getpid(), SIGKILL);
}

static pid_t mortal_start(struct world *world, uint64_t seed, int at_point)
{
	pid_t pid = child_fork();
	struct cache_view view;
	void *memory;

	if (pid)
		return pid;
	memory = map(world->fd);
	must_be(cache_view_init(&view, memory, bytes()), "view");
	if (at_point) {
		point_left = test_below(&seed, 40);
		point_hook = die_at_point;
	}
	for (;;)
		ask(world, &view, &seed, world->commit);
}

static void a_death_costs_no_more_than_its_answer(uint64_t seed)
{
	struct world *world = world_make(seed);
	int killed = 0;
	uint32_t claims = 0;
	struct cache_view view;

	must_be(cache_view_init(&view, world->memory, bytes()), "view");
	for (int i = 0; i < DEATHS; i++) {
		pid_t a = mortal_start(world, test_random(&seed), 1);
		pid_t b = mortal_start(world, test_random(&seed), 0);

		usleep((useconds_t)test_below(&seed, 2000));
		kill(b, SIGKILL);
		atomic_fetch_add(&world->commit, 1); /* all are stale */
		killed += (child_wait(a) == 128 + SIGKILL) +
			  (child_wait(b) == 128 + SIGKILL);
		for (uint64_t number = 0; number < 20; number++)
			ask(world, &view, &seed, world->commit);
		for (uint32_t set = 0; set < view.set_count; set++)
			for (int way = 0; way < CACHE_WAYS; way++)
				claims +=
				    (uint32_t)(view.sets[set].word[way] & 1);
	}
	is_int(killed, 2 * DEATHS, "%d processes were killed at work", killed);
	is_u64(world->wrong, 0,
	       "of %" PRIu64 " answers found none is another's or torn",
	       world->found);
	ok(claims, "claims were left and seen %u times", claims);
	is_int(does_not_work(world), 0, "in the end every answer can be kept");
	world_drop(world);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	seed = test_seed();
	for (int way = STRESS_THREADS; way <= STRESS_TWO_MAPPINGS; way++)
		who_asks_is_told_right_or_nothing((enum stress_way)way, seed);
	a_death_costs_no_more_than_its_answer(seed);
	return done_testing();
}
