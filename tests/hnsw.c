/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hnsw: whatever is linked and unlinked in whatever order, the graph's
 * invariants hold and it leads to what is near; a death at any point leaves
 * what recovery mends; and no garbage in it makes a search or a change fall.
 */
#include "shm_fixture.h"
#include "point.h"

enum { DIM_MAX = 64, K = 10 };

/* The writer's side of a graph, and where its vectors are. */
struct world {
	struct shm_fixture f;
	struct hnsw_room room;
	float *vectors; /* by row, DIM_MAX each */
	uint32_t dim;
	uint64_t seed;
};

static struct query_code query;

/* ---- making ------------------------------------------------------------- */

static void world_init(struct world *w, uint32_t dim, int32_t metric)
{
	memset(w, 0, sizeof *w);
	w->dim = dim;
	w->seed = test_seed();
	w->vectors = calloc(65536, DIM_MAX * sizeof(float));
	shm_fixture_init(&w->f, SHM_RESERVE * 4, dim, metric, 0);
	shm_room_init(&w->room, &w->f.segment);
}

static void world_codes_init(struct world *w, uint32_t dim, int32_t metric,
			     int32_t codes)
{
	world_init(w, dim, metric);
	shm_fixture_codes(&w->f, codes);
}

static void world_release(struct world *w)
{
	shm_room_release(&w->room, &w->f.segment);
	free(w->vectors);
	shm_fixture_release(&w->f);
}

static float *vector_at(const struct world *w, uint32_t row)
{
	return w->vectors + (size_t)row * DIM_MAX;
}

/* Clusters, so that lists overflow; every eighth repeats another. */
static void vector_draw(struct world *w, float *vector)
{
	uint64_t cluster = test_below(&w->seed, 12);
	uint64_t centre = cluster * 977 + 5;
	int repeats = !test_below(&w->seed, 8);

	for (uint32_t i = 0; i < w->dim; i++)
		vector[i] =
		    (float)(test_gaussian(&centre) +
			    (repeats ? 0 : 0.3 * test_gaussian(&w->seed)));
}

/* A row with a vector of its own, in the tail. */
static uint32_t row_make(struct world *w, const float *vector)
{
	uint32_t row = shm_row_make(&w->f.segment, vector);

	memcpy(vector_at(w, row), vector, w->dim * sizeof *vector);
	return row;
}

static uint32_t row_draw(struct world *w)
{
	float vector[DIM_MAX];

	vector_draw(w, vector);
	return row_make(w, vector);
}

/* ---- looking ------------------------------------------------------------ */

static int graph_holds(const struct world *w)
{
	struct hnsw_figures figures;

	return !hnsw_validate(&w->f.segment, &figures);
}

static void walk(struct world *w, const float *vector, uint32_t ef)
{
	struct hnsw_sieve sieve = {.snapshot = 1};
	struct hnsw_search search = {
	    .query = &query, .room = &w->room, .sieve = &sieve, .ef = ef};

	query_encode(w->f.segment.bank.codes, w->f.segment.bank.metric, vector,
		     w->dim, &query);
	hnsw_walk(&w->f.segment, &search);
	hnsw_room_clear(&w->room, &w->f.segment);
}

static float coded_of(const struct world *w, uint32_t row)
{
	const struct segment *segment = &w->f.segment;
	const uint32_t first = 0;
	float distance;

	segment->kernel->codes[segment->bank.codes].gather(
	    &query, (const void *)bank_line_at(segment, row), 0, &first, 1,
	    &distance);
	return distance;
}

static int is_found(const struct world *w, uint32_t row)
{
	for (uint32_t i = 0; i < K && i < w->room.pool_count; i++)
		if (hnsw_row_of(w->room.pool[i]) == row)
			return 1;
	return 0;
}

/* Rows nearer than the K-th that the walk has, which it has not. */
static uint32_t missed(struct world *w)
{
	uint32_t count = bank_count(&w->f.segment);
	uint32_t alive = 0;
	uint32_t nearer = 0;
	float last;

	for (uint32_t row = 1; row < count; row++)
		alive += (uint32_t)shm_row_is_alive(&w->f.segment, row);
	if (w->room.pool_count < (alive < K ? alive : K))
		return K;
	if (!alive)
		return 0;
	last = hnsw_distance_of(w->room.pool[(alive < K ? alive : K) - 1]);
	for (uint32_t row = 1; row < count; row++)
		nearer += shm_row_is_alive(&w->f.segment, row) &&
			  !is_found(w, row) &&
			  coded_of(w, row) < last - fabsf(last) * 1e-5f - 1e-5f;
	return nearer < K ? nearer : K;
}

static double recall(struct world *w, uint32_t ef, int queries)
{
	float vector[DIM_MAX];
	uint32_t lost = 0;

	for (int i = 0; i < queries; i++) {
		vector_draw(w, vector);
		walk(w, vector, ef);
		lost += missed(w);
	}
	return 1 - (double)lost / (K * queries);
}

/* ---- levels ------------------------------------------------------------- */

static void every_row_has_its_own_links(void)
{
	enum { ROWS = 70000 };
	struct world w;
	const unsigned char *base;
	unsigned char *used;
	uint32_t twice = 0;
	uint32_t wrong = 0;
	uint32_t counts[HNSW_LEVEL_MAX + 1] = {0};

	world_init(&w, 2, METRIC_L2);
	must_be(hnsw_reserve(&w.f.segment, ROWS), "reserve");
	used = calloc(ROWS, 1);
	base = (const void *)hnsw_links(&w.f.segment, 0, 1);
	base -= (uintptr_t)base % 4096;
	for (uint32_t row = 0; row < ROWS; row++) {
		uint32_t level = hnsw_level(row);

		counts[level]++;
		for (uint32_t i = 1; i <= level; i++) {
			const unsigned char *at =
			    (const void *)hnsw_links(&w.f.segment, row, i);
			size_t unit = at ? (size_t)(at - base) / 64 : 0;

			wrong += !at || unit >= ROWS;
			wrong += hnsw_row_at(row >> (4 * i), i) != row;
			if (at && unit < ROWS)
				twice += used[unit]++;
		}
	}
	is_u64(wrong, 0, "a level's links are where its slot is");
	is_u64(twice, 0, "no two lists share their place");
	ok(counts[1] + counts[2] + counts[3] + counts[4] == ROWS / 16 &&
	       counts[2] + counts[3] + counts[4] >= ROWS / 256,
	   "of sixteen nodes of a level one is on the next");
	free(used);
	world_release(&w);
}

/* ---- sequences ---------------------------------------------------------- */

/* Takes a living row out for good; 0: there was none. */
static int row_remove(struct world *w)
{
	uint32_t count = bank_count(&w->f.segment);

	uint32_t first = (uint32_t)test_below(&w->seed, count);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = (first + i) % count;

		if (!row || !shm_row_is_alive(&w->f.segment, row) ||
		    !hnsw_is_linked(&w->f.segment, row))
			continue;
		bank_kill(&w->f.segment, row, 1);
		hnsw_drop(&w->f.segment, row);
		return 1;
	}
	return 0;
}

static void sequences_keep_the_graph_whole(uint32_t dim, int32_t metric,
					   int32_t codes)
{
	enum { STEPS = 1200 / TEST_SLOW };
	struct world w;
	uint32_t broken = 0;
	double found;

	world_codes_init(&w, dim, metric, codes);
	for (int i = 0; i < STEPS; i++) {
		if (test_below(&w.seed, 10) < (i < STEPS / 2 ? 8 : 5))
			(void)row_draw(&w);
		else
			(void)row_remove(&w);
		if (test_below(&w.seed, 3))
			shm_rows_link(&w.f.segment, &w.room);
		broken += !graph_holds(&w);
	}
	is_u64(broken, 0,
	       "%u-d, metric %d, codes %d: after each of %d steps it is whole",
	       dim, metric, codes, STEPS);
	found = recall(&w, 64, 100);
	ok(found > 0.95, "and 64 wide finds %.3f of the nearest", found);
	while (row_remove(&w))
		;
	shm_rows_link(&w.f.segment, &w.room);
	while (row_remove(&w))
		;
	ok(graph_holds(&w) && hnsw_linked(&w.f.segment) == 0,
	   "when all are gone it is empty");
	world_release(&w);
}

static void churn_loses_nothing(void)
{
	enum { ROWS = 2000 / TEST_SLOW, ROUNDS = 5 };
	struct hnsw_figures figures;
	struct world w;
	double before;
	double after;

	world_init(&w, 16, METRIC_L2);
	for (int i = 0; i < ROWS; i++)
		(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	before = recall(&w, 40, 200);
	for (int i = 0; i < ROWS * ROUNDS; i++) {
		(void)row_remove(&w);
		(void)row_draw(&w);
		shm_rows_link(&w.f.segment, &w.room);
	}
	(void)hnsw_mend(&w.f.segment, &w.room);
	after = recall(&w, 40, 200);
	ok(after > before - 0.02,
	   "after %d times all anew and an audit, 40 wide finds %.3f, and %.3f "
	   "before",
	   ROUNDS, after, before);
	ok(!hnsw_validate(&w.f.segment, &figures) && !figures.unreachable,
	   "all is whole and within reach");
	is_u64(bank_count(&w.f.segment), ROWS + 1, "rows are used again");
	world_release(&w);
}

/* Each cluster's rows find but one another, wherever the entry goes. */
static void clusters_stay_within_reach(void)
{
	enum { CLUSTERS = 5, ROWS = 1500 / TEST_SLOW, ROUNDS = 12 };
	struct hnsw_figures figures = {0};
	float vector[DIM_MAX];
	uint64_t mended = 0;
	uint64_t wrong = 0;
	struct world w;

	world_init(&w, 16, METRIC_L2);
	for (int i = 0; i < ROWS * ROUNDS; i++) {
		uint64_t centre = test_below(&w.seed, CLUSTERS) * 977 + 3;

		if (i >= ROWS)
			(void)row_remove(&w);
		for (int j = 0; j < 16; j++)
			vector[j] = (float)(test_gaussian(&centre) +
					    0.001 * test_gaussian(&w.seed));
		(void)row_make(&w, vector);
		shm_rows_link(&w.f.segment, &w.room);
		if ((i + 1) % ROWS)
			continue;
		mended += hnsw_mend(&w.f.segment, &w.room);
		wrong += hnsw_validate(&w.f.segment, &figures) != 0 ||
			 figures.unreachable;
	}
	is_u64(wrong, 0,
	       "clusters whose rows come and go are all within reach after an "
	       "audit (%llu rows were linked again)",
	       (unsigned long long)mended);
	world_release(&w);
}

/* ---- special cases ------------------------------------------------------ */

static void what_is_equal_is_all_found(void)
{
	enum { ROWS = 200 };
	float vector[DIM_MAX] = {1, 2, 3};
	struct world w;
	uint32_t rows = 0;

	world_init(&w, 3, METRIC_L2);
	walk(&w, vector, K);
	is_u64(w.room.pool_count, 0, "an empty graph has no neighbours");
	for (int i = 0; i < ROWS; i++)
		(void)row_make(&w, vector);
	shm_rows_link(&w.f.segment, &w.room);
	ok(graph_holds(&w), "%d times the same vector is a graph", ROWS);
	walk(&w, vector, ROWS);
	for (uint32_t i = 0; i < w.room.pool_count; i++)
		rows += (uint32_t)hnsw_passes(w.room.pool[i]);
	is_u64(rows, ROWS, "each of them is found, once");
	walk(&w, vector, ROWS * 2);
	is_u64(w.room.pool_count, ROWS, "more than there are gives all");
	world_release(&w);
}

static void extremes_are_linked(int32_t metric, int32_t codes)
{
	static const float sizes[] = {0, 1e-20f, 1, 1e20f, 3e38f};
	struct world w;

	world_codes_init(&w, 5, metric, codes);
	for (int i = 0; i < 200; i++) {
		float vector[DIM_MAX];

		for (uint32_t d = 0; d < w.dim; d++)
			vector[d] =
			    sizes[i % 5] * (float)test_gaussian(&w.seed) / 8;
		(void)row_make(&w, vector);
		shm_rows_link(&w.f.segment, &w.room);
	}
	ok(graph_holds(&w) && hnsw_linked(&w.f.segment) == 200,
	   "metric %d: zeros, 1e-20 and 3e38 are linked", metric);
	for (int i = 0; i < 100; i++)
		(void)row_remove(&w);
	ok(graph_holds(&w), "and unlinked");
	world_release(&w);
}

static void what_waits_is_found(void)
{
	struct world w;
	double found;

	world_init(&w, 8, METRIC_L2);
	for (int i = 0; i < 500; i++) {
		(void)row_draw(&w);
		if (i % 2)
			(void)hnsw_link_next(&w.f.segment, &w.room);
	}
	is_u64(hnsw_tail_count(&w.f.segment), 250, "half of them wait");
	found = recall(&w, 64, 100);
	ok(found > 0.98, "and %.3f are found, linked or not", found);
	world_release(&w);
}

static void a_snapshot_passes_through_what_it_does_not_see(void)
{
	struct bank_seen seen;
	struct world w;
	float vector[DIM_MAX];
	uint32_t wrong = 0;

	world_init(&w, 8, METRIC_L2);
	for (int i = 0; i < 600; i++)
		(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	for (uint32_t row = 1; row <= 600; row++)
		if (row % 3)
			bank_kill(&w.f.segment, row, 1);
	for (int i = 0; i < 50; i++) {
		uint32_t passing = 0;

		vector_draw(&w, vector);
		walk(&w, vector, 20);
		for (uint32_t j = 0; j < w.room.pool_count; j++) {
			uint32_t row = hnsw_row_of(w.room.pool[j]);

			if (!hnsw_passes(w.room.pool[j]))
				continue;
			seen = bank_peek(bank_line_at(&w.f.segment, row));
			wrong += seen.died <= 1;
			passing++;
		}
		wrong += passing != 20;
	}
	is_u64(wrong, 0, "two of three rows are dead: 20 wide gives 20 alive");
	world_release(&w);
}

/* ---- threads ------------------------------------------------------------ */

struct part {
	struct world *world;
	struct hnsw_bulk *bulk;
};

static void *part_link(void *user)
{
	struct part *part = user;
	struct world own = *part->world;

	shm_room_init(&own.room, &own.f.segment);
	while (hnsw_link_part(part->bulk, &own.room, 7))
		;
	shm_room_release(&own.room, &own.f.segment);
	return NULL;
}

static void threads_link_together(void)
{
	enum { ROWS = 3000 / TEST_SLOW, THREADS = 4 };
	struct hnsw_figures figures;
	struct hnsw_bulk bulk;
	pthread_t threads[THREADS];
	struct world w;
	struct part part = {&w, &bulk};
	double found;

	world_init(&w, 12, METRIC_COSINE);
	for (int i = 0; i < ROWS; i++)
		(void)row_draw(&w);
	must_be(hnsw_bulk_begin(&bulk, &w.f.segment, &w.room), "begin");
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, part_link, &part);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	hnsw_bulk_end(&bulk);
	ok(!hnsw_validate(&w.f.segment, &figures) && figures.linked == ROWS,
	   "%d threads link %d rows, and every link is answered", THREADS,
	   ROWS);
	is_u64(hnsw_tail_count(&w.f.segment), 0, "none waits");
	(void)hnsw_mend(&w.f.segment, &w.room);
	found = recall(&w, 64, 100);
	ok(found > 0.9, "and 64 wide finds %.3f of the nearest", found);
	world_release(&w);
}

/* ---- deaths ------------------------------------------------------------- */

static uint64_t points_left;

static void die_at_point(const char *name)
{
	if (strncmp(name, "hnsw-", 5) || points_left--)
		return;
	_exit(42);
}

/* Links one row and drops one, in the child; both in a crowd. */
static void change_and_die(void *user)
{
	struct world *w = user;

	point_hook = die_at_point;
	(void)hnsw_link_next(&w->f.segment, &w->room);
	(void)row_remove(w);
	(void)hnsw_mend(&w->f.segment, &w->room);
}

/* Every living row is a node or waits. */
static uint32_t lost_rows(const struct world *w)
{
	uint32_t count = bank_count(&w->f.segment);
	uint32_t waiting = hnsw_tail_count(&w->f.segment);
	uint32_t lost = 0;

	for (uint32_t row = 1; row < count; row++) {
		int is_there = hnsw_is_linked(&w->f.segment, row);

		for (uint32_t i = 0; i < waiting && !is_there; i++)
			is_there = hnsw_tail_at(&w->f.segment, i) == row;
		lost += shm_row_is_alive(&w->f.segment, row) && !is_there;
	}
	return lost;
}

static void a_death_anywhere_is_mended(void)
{
	enum { ROWS = 300 };
	struct world w;
	uint32_t deaths = 0;
	uint32_t broken = 0;
	uint32_t lost = 0;
	uint32_t stuck = 0;
	int status = 42;

	world_init(&w, 6, METRIC_L2);
	for (int i = 0; i < ROWS; i++)
		(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	for (uint64_t n = 0; status == 42; n += 1 + n / 64) {
		pid_t pid;

		(void)row_draw(&w);
		w.seed++;
		points_left = n;
		pid = child_fork();
		if (!pid) {
			change_and_die(&w);
			_exit(0);
		}
		status = child_wait(pid);
		deaths += status == 42;
		hnsw_recover(&w.f.segment);
		broken += !graph_holds(&w);
		lost += lost_rows(&w);
		shm_rows_link(&w.f.segment, &w.room);
		stuck += lost_rows(&w) + !graph_holds(&w);
	}
	ok(deaths > 30 && status == 0, "a writer dies at %u points", deaths);
	is_u64(broken, 0, "after recovery the graph is whole each time");
	is_u64(lost, 0, "every living row is in it, or waits");
	is_u64(stuck, 0, "and can be linked");
	world_release(&w);
}

/* ---- rubbish ------------------------------------------------------------ */

static void spoil(struct world *w)
{
	static const enum region_id places[] = {REGION_LINKS, REGION_UPPER,
						REGION_NODES, REGION_TAIL};
	struct segment *segment = &w->f.segment;
	struct hnsw *hnsw = &segment->header->hnsw;
	uint32_t word = (uint32_t)test_random(&w->seed);
	uint64_t place = test_below(&w->seed, 8);
	const struct region_view *region;
	uint64_t used;
	uint32_t *at;

	word >>= test_below(&w->seed, 32);
	switch (place) {
	case 4: hnsw->entry = (uint64_t)word << 32 | word % 300; return;
	case 5: hnsw->doing = word; return;
	case 6: hnsw->beside = word; return;
	case 7: hnsw->tail_count = word % 2000; return;
	default: break;
	}
	region = segment_region(segment, places[place]);
	used = place == 1 ? 4096 : place == 0 ? 300 * 128 : 1200;
	at = region_at(segment->header, region,
		       test_below(&w->seed, used / 4) * 4, 4);
	if (at)
		__atomic_store_n(at, word, __ATOMIC_RELAXED);
}

static void work_in_rubbish(void *user)
{
	struct world *w = user;
	struct hnsw_figures figures;
	float vector[DIM_MAX];

	for (int i = 0; i < 3000 / TEST_SLOW; i++) {
		spoil(w);
		vector_draw(w, vector);
		walk(w, vector, 1 + (uint32_t)test_below(&w->seed, 50));
		switch (test_below(&w->seed, 6)) {
		case 0: (void)row_draw(w); break;
		case 1: (void)hnsw_link_next(&w->f.segment, &w->room); break;
		case 2: (void)row_remove(w); break;
		case 3: hnsw_recover(&w->f.segment); break;
		case 4: (void)hnsw_mend(&w->f.segment, &w->room); break;
		default: (void)hnsw_validate(&w->f.segment, &figures);
		}
	}
}

static void rubbish_makes_nothing_fall(void)
{
	struct world w;

	world_init(&w, 4, METRIC_L2);
	for (int i = 0; i < 250; i++)
		(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	is_int(child_survives(60, work_in_rubbish, &w), 0,
	       "words of the graph may be anything (COPPICE_TEST_SEED=%llu)",
	       (unsigned long long)w.seed);
	world_release(&w);
}

int main(void)
{
	test_begin(300);
	every_row_has_its_own_links();
	for (int32_t codes = CODES_U8; codes < CODES_KINDS; codes++) {
		sequences_keep_the_graph_whole(2, METRIC_L2, codes);
		sequences_keep_the_graph_whole(24, METRIC_COSINE, codes);
		sequences_keep_the_graph_whole(24, METRIC_IP, codes);
	}
	churn_loses_nothing();
	clusters_stay_within_reach();
	what_is_equal_is_all_found();
	for (int32_t codes = CODES_U8; codes < CODES_KINDS; codes++) {
		extremes_are_linked(METRIC_COSINE, codes);
		extremes_are_linked(METRIC_L2, codes);
		extremes_are_linked(METRIC_IP, codes);
	}
	what_waits_is_found();
	a_snapshot_passes_through_what_it_does_not_see();
	threads_link_together();
	a_death_anywhere_is_mended();
	rubbish_makes_nothing_fall();
	return done_testing();
}
