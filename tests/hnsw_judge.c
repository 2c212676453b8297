/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hnsw_judge: walks go by the upper halves of the codes where these tell
 * neighbours apart, and there alone; what is found is found all the same, and
 * what is dead is no answer.
 */
#include "shm_fixture.h"

#include <math.h>

enum {
	DIM = 300, /* whole lines it is not, of codes or of nibbles */
	PLANE = 12,
	K = 10,
	EF = 60,
	QUERIES = 60 / TEST_SLOW,
	ROWS = 2400 /* for 128 answers */
};

struct world {
	struct shm_fixture f;
	struct hnsw_room room;
	uint64_t seed;
	float spread; /* of what is drawn around one centre */
	void (*draw)(struct world *w, float *vector);
};

static struct query_code query;

/* Near a plane, as ordinary vectors are, around one centre. */
static void plane_draw(struct world *w, float *vector)
{
	double plane[PLANE];
	uint64_t fixed = 7;

	for (int i = 0; i < PLANE; i++)
		plane[i] = test_gaussian(&w->seed);
	for (int i = 0; i < DIM; i++) {
		double sum = 0;

		for (int j = 0; j < PLANE; j++)
			sum += plane[j] * test_gaussian(&fixed);
		vector[i] =
		    (float)test_gaussian(&fixed) + w->spread * (float)sum;
	}
}

static void alike_draw(struct world *w, float *vector)
{
	uint64_t centre = 99;

	for (int i = 0; i < DIM; i++)
		vector[i] = (float)(test_gaussian(&centre) +
				    0.002 * test_gaussian(&w->seed));
}

/* One in a hundred is like others. */
static void mixed_draw(struct world *w, float *vector)
{
	if (test_below(&w->seed, 100))
		plane_draw(w, vector);
	else
		alike_draw(w, vector);
}

static void outlier_draw(struct world *w, float *vector)
{
	plane_draw(w, vector);
	for (int i = 0; i < DIM; i++)
		vector[i] = fminf(fmaxf(0.5f + vector[i] / 8, 0), 1);
	vector[3] = 20;
	vector[5] = 0;
}

static void world_draw(struct world *w, int32_t metric, float spread,
		       void (*draw)(struct world *w, float *vector))
{
	float vector[DIM];

	memset(w, 0, sizeof *w);
	w->seed = test_seed();
	w->spread = spread;
	w->draw = draw;
	shm_fixture_init(&w->f, SHM_RESERVE * 4, DIM, metric, 0);
	shm_room_init(&w->room, &w->f.segment);
	for (int i = 0; i < ROWS; i++) {
		draw(w, vector);
		shm_row_make(&w->f.segment, vector);
	}
	shm_rows_link(&w->f.segment, &w->room);
}

static void world_init(struct world *w, int32_t metric, float spread)
{
	world_draw(w, metric, spread, plane_draw);
}

static void world_release(struct world *w)
{
	shm_room_release(&w->room, &w->f.segment);
	shm_fixture_release(&w->f);
}

static float coded_of(const struct segment *segment, uint32_t row)
{
	return segment->kernel->coded(&query,
				      (const void *)bank_line_at(segment, row));
}

/* How many of the living are nearer than the last of K, but not found. */
static uint32_t missed(const struct world *w)
{
	const struct segment *segment = &w->f.segment;
	uint32_t count = 0;
	uint32_t nearer = 0;
	float last = 0;

	for (uint32_t i = 0; i < w->room.pool_count && count < K; i++)
		if (hnsw_passes(w->room.pool[i])) {
			last = hnsw_distance_of(w->room.pool[i]);
			count++;
		}
	if (count < K)
		return K;
	for (uint32_t row = 1; row < bank_count(segment); row++)
		nearer += shm_row_is_alive(segment, row) &&
			  coded_of(segment, row) < last * (1 - 1e-5f);
	return nearer < K ? 0 : nearer - (K - 1);
}

struct tally {
	uint32_t missed;
	uint32_t passing; /* in pools */
	uint32_t dead;	  /* of them */
	uint32_t unsorted;
};

static void pool_look(const struct world *w, struct tally *tally)
{
	const uint64_t *pool = w->room.pool;

	for (uint32_t i = 0; i < w->room.pool_count; i++) {
		int alive =
		    shm_row_is_alive(&w->f.segment, hnsw_row_of(pool[i]));

		tally->passing += hnsw_passes(pool[i]) != 0;
		tally->dead += hnsw_passes(pool[i]) && !alive;
		tally->unsorted += i && pool[i - 1] > pool[i];
	}
}

static struct tally search(struct world *w, const struct hnsw_sieve *sieve,
			   uint32_t ef)
{
	const struct segment *segment = &w->f.segment;
	struct tally tally = {0};

	for (int i = 0; i < QUERIES; i++) {
		struct hnsw_search search = {.query = &query,
					     .room = &w->room,
					     .sieve = sieve,
					     .ef = ef};
		float vector[DIM];

		w->draw(w, vector);
		query_encode(CODES_U8, segment->bank.metric, vector, DIM,
			     &query);
		hnsw_walk(segment, &search);
		tally.missed += missed(w);
		pool_look(w, &tally);
		hnsw_room_clear(&w->room, segment);
	}
	return tally;
}

static void ordinary_vectors_are_told_by_nibbles(int32_t metric)
{
	struct hnsw_sieve sieve = {.snapshot = 5};
	struct tally tally;
	struct world w;
	double recall;

	world_init(&w, metric, 0.3f);
	ok(hnsw_by_nibbles(&w.f.segment), "walks go by nibbles");
	ok(hnsw_ends_early(&w.f.segment), "new nodes do not look long");
	tally = search(&w, &sieve, EF);
	recall = 1 - tally.missed / (double)(K * QUERIES);
	ok(recall > 0.95, "and find what is near: %.3f", recall);
	is_u64(tally.unsorted, 0, "in the order of the codes");
	is_u64(tally.passing, EF * QUERIES, "and as many as were asked for");
	tally = search(&w, &sieve, ROWS);
	ok(!tally.missed && !tally.unsorted &&
	       tally.passing > ROWS * QUERIES * 0.99,
	   "all of them in order, too");

	for (uint32_t row = 1; row <= ROWS; row++)
		if (row % 3)
			bank_kill(&w.f.segment, row, 4);
	tally = search(&w, &sieve, EF);
	recall = 1 - tally.missed / (double)(K * QUERIES);
	ok(recall > 0.95, "also among many that are dead: %.3f", recall);
	is_u64(tally.dead, 0, "which are no answers");
	is_u64(tally.passing, EF * QUERIES, "and as many as were asked for");

	sieve.snapshot = 3; /* they lived then */
	tally = search(&w, &sieve, EF);
	is_u64(tally.passing, EF * QUERIES, "a reader of before has them");
	world_release(&w);
}

/*
 * One component is so large that it has the range of the codes, another is
 * always the least: all nibbles are the same, and tell nothing.
 */
static void nibbles_that_are_all_alike_are_left(void)
{
	struct hnsw_sieve sieve = {.snapshot = 5};
	struct tally tally;
	struct world w;

	world_draw(&w, METRIC_L2, 0.01f, outlier_draw);
	ok(!hnsw_by_nibbles(&w.f.segment),
	   "nibbles that are all alike find nothing");
	w.draw = outlier_draw;
	tally = search(&w, &sieve, EF);
	ok(tally.missed < K * QUERIES / 2, "and walks do (%u are missed)",
	   tally.missed);
	world_release(&w);
}

/* Some near copies among many vectors that nibbles serve. */
static void few_that_are_alike_are_told_by_codes(void)
{
	struct hnsw_sieve sieve = {.snapshot = 5};
	struct tally tally;
	struct world w;

	world_draw(&w, METRIC_L2, 0.3f, mixed_draw);
	ok(hnsw_by_nibbles(&w.f.segment),
	   "nibbles serve where few vectors are alike");
	w.draw = alike_draw;
	tally = search(&w, &sieve, EF);
	ok(tally.missed < K * QUERIES / 2,
	   "these are found by codes (%u are missed)", tally.missed);
	world_release(&w);
}

static void vectors_that_are_alike_are_told_by_codes(void)
{
	struct world w;

	world_init(&w, METRIC_L2, 0.003f);
	ok(!hnsw_by_nibbles(&w.f.segment),
	   "where neighbours differ by less than nibbles tell walks do not go "
	   "by them");
	world_release(&w);
}

static void what_served_once_is_given_up(void)
{
	float vector[DIM];
	struct world w;

	world_init(&w, METRIC_L2, 0.3f);
	ok(hnsw_by_nibbles(&w.f.segment), "walks go by nibbles");
	w.spread = 0.003f;
	for (int i = 0; i < 2 * ROWS && hnsw_by_nibbles(&w.f.segment); i++) {
		plane_draw(&w, vector);
		shm_row_make(&w.f.segment, vector);
		shm_rows_link(&w.f.segment, &w.room);
	}
	ok(!hnsw_by_nibbles(&w.f.segment),
	   "until vectors come that they do not tell apart");
	world_release(&w);
}

/* Small clusters, each far from all others. */
static void clusters_are_searched_to_the_end(void)
{
	enum { CLUSTERS = 400, EACH = 10 };
	float vector[DIM];
	struct world w;

	memset(&w, 0, sizeof w);
	w.seed = test_seed();
	shm_fixture_init(&w.f, SHM_RESERVE * 4, DIM, METRIC_L2, 0);
	shm_room_init(&w.room, &w.f.segment);
	for (int i = 0; i < CLUSTERS * EACH; i++) {
		uint64_t centre = test_below(&w.seed, CLUSTERS) * 977 + 3;

		for (int j = 0; j < DIM; j++)
			vector[j] = (float)(test_gaussian(&centre) +
					    0.005 * test_gaussian(&w.seed));
		shm_row_make(&w.f.segment, vector);
	}
	shm_rows_link(&w.f.segment, &w.room);
	ok(!hnsw_ends_early(&w.f.segment),
	   "among clusters a new node looks to the end (%u of %u found)",
	   (uint32_t)w.f.segment.header->hnsw.quiet,
	   (uint32_t)(w.f.segment.header->hnsw.quiet >> 32));
	world_release(&w);
}

static void a_bank_has_them_where_they_pay(void)
{
	struct shm_fixture f;

	shm_fixture_init(&f, SHM_RESERVE, NIBBLE_DIM - 1, METRIC_L2, 0);
	is_u64(f.segment.bank.nibble_bytes, 0,
	       "a bank of few dimensions has no nibbles");
	shm_fixture_release(&f);
	shm_fixture_init(&f, SHM_RESERVE, 784, METRIC_L2, 0);
	is_u64(f.segment.bank.nibble_bytes, 448,
	       "of 784 they are seven lines, their head among them");
	shm_fixture_codes(&f, CODES_F16);
	is_u64(f.segment.bank.nibble_bytes, 0, "halves have none");
	shm_fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	ordinary_vectors_are_told_by_nibbles(METRIC_L2);
	ordinary_vectors_are_told_by_nibbles(METRIC_COSINE);
	vectors_that_are_alike_are_told_by_codes();
	nibbles_that_are_all_alike_are_left();
	few_that_are_alike_are_told_by_codes();
	what_served_once_is_given_up();
	clusters_are_searched_to_the_end();
	a_bank_has_them_where_they_pay();
	return done_testing();
}
