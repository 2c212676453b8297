/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signs: rows are found by their signs wherever their vectors lie, while they
 * wait, and after a death while the thresholds were learned; and no garbage in
 * the signs makes a search fall.
 */
#include "shm_fixture.h"
#include "point.h"

enum { DIM = 40, ROWS = 3000, K = 10 };

struct world {
	struct shm_fixture f;
	struct hnsw_room room;
	float (*vectors)[DIM]; /* by row */
	uint64_t seed;
};

static struct query_code query;

static void vector_draw(struct world *w, float *vector)
{
	uint64_t centre = test_below(&w->seed, 30) * 977 + 5;

	for (uint32_t i = 0; i < DIM; i++) /* far from the origin */
		vector[i] = (float)(100 + test_gaussian(&centre) +
				    0.5 * test_gaussian(&w->seed));
}

static uint32_t row_draw(struct world *w)
{
	float vector[DIM];
	uint32_t row;

	vector_draw(w, vector);
	row = shm_row_make(&w->f.segment, vector);
	memcpy(w->vectors[row], vector, sizeof vector);
	return row;
}

static void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->seed = test_seed();
	w->vectors = calloc(2 * ROWS, sizeof *w->vectors);
	shm_fixture_init(&w->f, SHM_RESERVE, DIM, METRIC_L2, 0);
	w->f.segment.header->signs = 1;
	shm_room_init(&w->room, &w->f.segment);
}

static void world_release(struct world *w)
{
	shm_room_release(&w->room, &w->f.segment);
	free(w->vectors);
	shm_fixture_release(&w->f);
}

static void ask(struct world *w, const float *vector, uint32_t ef, int on)
{
	struct hnsw_sieve sieve = {.snapshot = 1};
	struct hnsw_search search = {
	    .query = &query, .room = &w->room, .sieve = &sieve, .ef = ef};

	query_encode(CODES_U8, METRIC_L2, vector, DIM, &query);
	signs_walk(&w->f.segment, &search, on);
	hnsw_room_clear(&w->room, &w->f.segment);
}

static double distance(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += ((double)a[i] - (double)b[i]) *
		       ((double)a[i] - (double)b[i]);
	return sum;
}

/* How many of the K nearest are in the pool. */
static uint32_t found(const struct world *w, const float *vector)
{
	uint32_t rows = bank_count(&w->f.segment);
	uint32_t hits = 0;

	for (uint32_t i = 0; i < w->room.pool_count; i++) {
		const float *at = w->vectors[hnsw_row_of(w->room.pool[i])];
		double mine = distance(vector, at);
		uint32_t nearer = 0;

		for (uint32_t row = 1; row < rows; row++)
			nearer += distance(vector, w->vectors[row]) < mine;
		hits += nearer < K;
	}
	return hits;
}

static void rows_are_found(struct world *w, const char *when)
{
	for (int on = 0; on < 2; on++) {
		uint32_t hits = 0;

		for (int i = 0; i < 40; i++) {
			float vector[DIM];

			vector_draw(w, vector);
			ask(w, vector, 200, on);
			hits += found(w, vector);
		}
		ok(hits > 380, "%s: %u of 400 nearest %s", when, hits,
		   on ? "by a walk from them" : "by signs alone");
	}
}

static void rows_are_found_wherever_they_lie(struct world *w)
{
	float vector[DIM];

	for (uint32_t i = 1; i < SIGNS_SAMPLE; i++)
		(void)row_draw(w);
	shm_rows_link(&w->f.segment, &w->room);
	ok(!signs_ready(&w->f.segment), "of few rows nothing is learned");
	for (uint32_t i = SIGNS_SAMPLE; i < ROWS; i++) {
		(void)row_draw(w);
		shm_rows_link(&w->f.segment, &w->room);
	}
	ok(signs_ready(&w->f.segment), "of more the thresholds are");
	rows_are_found(w, "linked one by one");
	vector_draw(w, vector);
	memcpy(w->vectors[row_draw(w)], vector, sizeof vector);
	(void)row_draw(w);
	ask(w, w->vectors[bank_count(&w->f.segment) - 1], 1, 0);
	is_u64(hnsw_row_of(w->room.pool[0]), bank_count(&w->f.segment) - 1,
	       "what waits to be linked is found, too");
	shm_rows_link(&w->f.segment, &w->room);
}

static void die_when_learned(const char *name)
{
	if (!strcmp(name, "signs-learned"))
		(void)raise(SIGKILL);
}

static void learn(void *user)
{
	struct world *w = user;

	point_hook = die_when_learned;
	signs_learn(&w->f.segment);
}

static void a_death_while_learning_is_no_harm(void)
{
	struct world w;

	world_init(&w);
	for (uint32_t i = 0; i < ROWS; i++)
		(void)row_draw(&w);
	is_int(child_survives(60, learn, &w), 128 + SIGKILL,
	       "killed when the thresholds are there, but no signs");
	ok(!signs_ready(&w.f.segment), "nothing is searched by them");
	shm_rows_link(&w.f.segment, &w.room);
	rows_are_found(&w, "learned again");
	world_release(&w);
}

static void search_in_rubbish(void *user)
{
	struct world *w = user;
	struct segment *segment = &w->f.segment;
	uint64_t words = signs_bytes(segment) / 8;

	for (int i = 0; i < 2000 / TEST_SLOW; i++) {
		uint64_t *at = region_at(segment->header,
					 segment_region(segment, REGION_SIGNS),
					 test_below(&w->seed, words) * 8, 8);

		__atomic_store_n(at, test_random(&w->seed), __ATOMIC_RELAXED);
		ask(w, w->vectors[1 + test_below(&w->seed, ROWS)],
		    1 + (uint32_t)test_below(&w->seed, 300), i % 2);
	}
}

int main(void)
{
	struct world w;

	test_begin(300);
	world_init(&w);
	rows_are_found_wherever_they_lie(&w);
	is_int(child_survives(60, search_in_rubbish, &w), 0,
	       "signs may be anything");
	world_release(&w);
	a_death_while_learning_is_no_harm();
	return done_testing();
}
