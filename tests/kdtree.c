/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kdtree: in whatever order rows come and go, the tree's invariants hold and
 * a search gives what looking at every row gives; a death at any point leaves
 * what recovery mends; and no garbage in it makes a search or a change fall.
 */
#include "shm_fixture.h"
#include "point.h"

enum { K_MAX = 100 };

enum draw { UNIFORM, SORTED, CLUSTERED, EQUAL };

static const char *const draw_names[] = {"anywhere", "in order", "in clusters",
					 "all the same"};

/* The writer's side of a tree. */
struct world {
	struct shm_fixture f;
	struct hnsw_room room;
	enum draw draw;
	uint32_t dim;
	uint32_t drawn;
	uint64_t seed;
};

static struct query_code query;

/* ---- making ------------------------------------------------------------- */

static void world_init(struct world *w, uint32_t dim, int32_t metric,
		       int32_t rows)
{
	memset(w, 0, sizeof *w);
	w->dim = dim;
	w->seed = test_seed();
	shm_fixture_init(&w->f, SHM_RESERVE * 4, dim, metric, rows);
	shm_room_init(&w->room, &w->f.segment);
}

static void world_release(struct world *w)
{
	shm_room_release(&w->room, &w->f.segment);
	shm_fixture_release(&w->f);
}

/* Never zero, which has no direction. */
static void vector_draw(struct world *w, float *vector)
{
	uint64_t centre = test_below(&w->seed, 7) * 977 + 5;

	w->drawn++;
	for (uint32_t i = 0; i < w->dim; i++)
		switch (w->draw) {
		case UNIFORM:
			vector[i] = (float)test_uniform(&w->seed) + 0.01f;
			break;
		case SORTED:
			vector[i] = (float)w->drawn * (float)(i + 1) + (float)i;
			break;
		case CLUSTERED:
			vector[i] = (float)(10 * test_gaussian(&centre) +
					    0.01 * test_gaussian(&w->seed) + 1);
			break;
		default: vector[i] = 3;
		}
}

static uint32_t row_draw(struct world *w)
{
	float vector[KD_DIM_MAX];

	vector_draw(w, vector);
	return shm_row_make(&w->f.segment, vector);
}

/* Takes a living row out for good; 0: there was none. */
static int row_remove(struct world *w)
{
	uint32_t count = bank_count(&w->f.segment);
	uint32_t first = (uint32_t)test_below(&w->seed, count);

	/* of those that came first the first, too, so that one side empties */
	if (test_below(&w->seed, 2))
		first = 1;
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

/* ---- looking ------------------------------------------------------------ */

/* A tree that is there, and whole. */
static int tree_holds(const struct world *w)
{
	struct kd_figures figures;

	return !kd_validate(&w->f.segment, &figures) && figures.is_there;
}

/* The nearest, in order of distance. */
struct nearest {
	const struct segment *segment;
	double distances[K_MAX];
	uint32_t count;
	uint32_t k;
	uint32_t visits;
	uint32_t within; /* rows within the limit, if it is fixed */
	double fixed;
	uint64_t *seen;
	uint32_t twice;
};

static void nearest_add(struct nearest *nearest, double distance)
{
	uint32_t at = nearest->count;

	if (at == nearest->k && distance >= nearest->distances[at - 1])
		return;
	if (at == nearest->k)
		at--;
	for (; at && nearest->distances[at - 1] > distance; at--)
		nearest->distances[at] = nearest->distances[at - 1];
	nearest->distances[at] = distance;
	nearest->count += nearest->count < nearest->k;
}

static int row_visit(void *user, uint32_t row, double *limit)
{
	struct nearest *nearest = user;
	struct bank_seen seen;
	double distance;

	nearest->visits++;
	if (nearest->seen) {
		nearest->twice +=
		    (uint32_t)(nearest->seen[row / 64] >> (row & 63) & 1);
		nearest->seen[row / 64] |= UINT64_C(1) << (row & 63);
	}
	if (row_accept(nearest->segment, &query, row, 1, &seen, &distance) != 1)
		return 0;
	nearest->within += distance <= nearest->fixed;
	nearest_add(nearest, distance);
	if (nearest->count == nearest->k &&
	    nearest->distances[nearest->k - 1] < *limit)
		*limit = nearest->distances[nearest->k - 1];
	return 0;
}

static void brute_force(const struct world *w, struct nearest *nearest)
{
	uint32_t count = bank_count(&w->f.segment);
	double limit = INFINITY;

	for (uint32_t row = 1; row < count; row++)
		(void)row_visit(nearest, row, &limit);
}

static int nearest_same(const struct nearest *a, const struct nearest *b)
{
	return a->count == b->count && !memcmp(a->distances, b->distances,
					       a->count * sizeof *a->distances);
}

/* Searches that do not give what looking at every row gives. */
static uint32_t search_wrong(const struct world *w, uint32_t k)
{
	const struct segment *segment = &w->f.segment;
	uint64_t *seen = calloc(bank_count(segment) / 64 + 1, sizeof *seen);
	struct nearest all = {.segment = segment, .k = k};
	struct nearest found = {.segment = segment, .k = k, .seen = seen};
	struct nearest range = {.segment = segment, .k = 1};
	uint32_t wrong;

	brute_force(w, &all);
	wrong =
	    kd_search(segment, &query, INFINITY, row_visit, &found) != KD_DONE;
	wrong += !nearest_same(&all, &found) || found.twice;
	if (all.count) { /* as far as the k-th, all of them */
		all.fixed = all.distances[all.count - 1];
		range.fixed = all.fixed;
		all.within = 0;
		brute_force(w, &all);
		range.k = K_MAX; /* and no limit of its own */
		range.count = 0;
		wrong += kd_search(segment, &query, all.fixed, row_visit,
				   &range) != KD_DONE;
		wrong += range.within != all.within &&
			 !(range.count == K_MAX && all.within >= K_MAX);
	}
	free(seen);
	return wrong;
}

static uint32_t searches_wrong(struct world *w)
{
	static const uint32_t ks[] = {1, 10, 100};
	float vector[KD_DIM_MAX];
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < 3; i++) {
		vector_draw(w, vector);
		for (uint32_t d = 0; d < w->dim && i == 2; d++)
			vector[d] = (float)test_gaussian(&w->seed) * 100;
		query_encode(CODES_U8, w->f.segment.bank.metric, vector, w->dim,
			     &query);
		wrong += search_wrong(w, ks[i]);
	}
	return wrong;
}

/* ---- sequences ---------------------------------------------------------- */

static void batch_run(struct world *w, uint32_t steps, uint32_t of_ten)
{
	for (uint32_t i = 0; i < steps; i++) {
		if (test_below(&w->seed, 10) < of_ten)
			(void)row_draw(w);
		else
			(void)row_remove(w);
		if (test_below(&w->seed, 2))
			shm_rows_link(&w->f.segment, &w->room);
	}
}

static void sequences_keep_the_tree_whole(enum draw draw, uint32_t dim,
					  int32_t metric, int32_t rows)
{
	enum { BATCHES = 12, STEPS = 120 / TEST_SLOW };
	struct world w;
	uint32_t broken = 0;
	uint32_t wrong = 0;

	world_init(&w, dim, metric, rows);
	w.draw = draw;
	for (uint32_t i = 0; i < BATCHES; i++) {
		batch_run(&w, STEPS, i < 5 ? 9 : i < 8 ? 5 : 3);
		wrong += searches_wrong(&w);
		broken += !tree_holds(&w);
	}
	is_u64(broken, 0,
	       "%u-d, metric %d, %s, rows %d: after each of %d batches it is "
	       "whole",
	       dim, metric, draw_names[draw], rows, BATCHES);
	is_u64(wrong, 0, "and searches give what looking at every row gives");
	shm_rows_link(&w.f.segment, &w.room);
	while (row_remove(&w))
		broken += !tree_holds(&w);
	is_u64(broken, 0, "nor does it break while it is emptied");
	is_u64(searches_wrong(&w), 0, "and an empty one has nothing");
	world_release(&w);
}

static void depth_stays_low(enum draw draw)
{
	enum { ROWS = 6000 / TEST_SLOW };
	struct kd_figures figures;
	struct world w;
	int holds;

	world_init(&w, 2, METRIC_L2, 1);
	w.draw = draw;
	for (int i = 0; i < ROWS; i++) {
		(void)row_draw(&w);
		shm_rows_link(&w.f.segment, &w.room);
	}
	holds = !kd_validate(&w.f.segment, &figures);
	ok(holds && figures.rows == ROWS && figures.depth <= 18,
	   "%d rows one by one, %s: %u nodes above the lowest leaf, %" PRIu64
	   " leaves",
	   ROWS, draw_names[draw], figures.depth, figures.leaves);
	ok(figures.leaves <= ROWS / 8, "and leaves are half full at least");
	world_release(&w);
}

/* ---- special cases ------------------------------------------------------ */

static void others_pay_nothing(void)
{
	static const struct {
		uint32_t dim;
		int32_t metric;
	} others[] = {{9, METRIC_L2}, {128, METRIC_COSINE}, {3, METRIC_IP}};

	for (int i = 0; i < 3; i++) {
		struct shm_fixture f;
		uint32_t row;

		shm_fixture_init(&f, SHM_RESERVE * 4, others[i].dim,
				 others[i].metric, 0);
		must_be(bank_take(&f.segment, &row), "take");
		ok(!region_bytes(segment_region(&f.segment, REGION_TREE)) &&
		       !region_bytes(
			   segment_region(&f.segment, REGION_LEAVES)) &&
		       kd_search(&f.segment, &query, 1, row_visit, NULL) ==
			   KD_ABSENT,
		   "%u-d, metric %d has no tree, nor room for one",
		   others[i].dim, others[i].metric);
		shm_fixture_release(&f);
	}
}

static void extremes_are_found(int32_t metric, int32_t rows)
{
	static const float sizes[] = {1e-42f, 1e-20f, 1, 1e19f, 3.4e38f};
	struct world w;
	uint32_t wrong = 0;

	world_init(&w, 3, metric, rows);
	for (int i = 0; i < 400; i++) {
		float vector[KD_DIM_MAX];

		for (uint32_t d = 0; d < w.dim; d++)
			vector[d] = sizes[i % 5] *
				    ((float)test_below(&w.seed, 5) - 2.5f) / 3;
		(void)shm_row_make(&w.f.segment, vector);
		shm_rows_link(&w.f.segment, &w.room);
		if (i % 10)
			continue;
		query_encode(CODES_U8, metric, vector, w.dim, &query);
		wrong += search_wrong(&w, 10);
	}
	ok(tree_holds(&w) && !wrong,
	   "metric %d, rows %d: 1e-42 and 3e38 are found as any", metric, rows);
	world_release(&w);
}

static int visit_once(void *user, uint32_t row, double *limit)
{
	(void)row;
	(void)limit;
	return ++*(int *)user == 3;
}

static void a_visitor_may_stop(void)
{
	struct world w;
	int visits = 0;

	world_init(&w, 2, METRIC_L2, 0);
	for (int i = 0; i < 100; i++)
		(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	ok(kd_search(&w.f.segment, &query, INFINITY, visit_once, &visits) ==
		   KD_STOPPED &&
	       visits == 3,
	   "a visitor that has enough is told no more");
	world_release(&w);
}

/* Where the segment cannot grow any more, what is reserved is enough. */
static void what_is_reserved_is_enough(void)
{
	enum { ROWS = 3000 / TEST_SLOW };
	struct world w;
	struct region_view *region;

	world_init(&w, 2, METRIC_L2, 1);
	w.draw = SORTED;
	for (int i = 0; i < ROWS; i++)
		(void)row_draw(&w);
	region = &w.f.segment.regions[REGION_TREE];
	region->reserved = region_bytes(region);
	shm_rows_link(&w.f.segment, &w.room);
	ok(tree_holds(&w) && kd_has(&w.f.segment, ROWS),
	   "%d rows in order are a tree in the room that was reserved", ROWS);
	while (row_remove(&w))
		;
	ok(tree_holds(&w), "and when they are gone");
	world_release(&w);
}

static void bulk_run(struct world *w)
{
	struct hnsw_bulk bulk;

	must_be(hnsw_bulk_begin(&bulk, &w->f.segment, &w->room), "begin");
	while (hnsw_link_part(&bulk, &w->room, 7))
		;
	hnsw_bulk_end(&bulk);
}

static void bulks_come_into_it(void)
{
	struct world w;
	int holds = 1;

	world_init(&w, 3, METRIC_COSINE, 0);
	for (int i = 0; i < 12; i++) {
		for (int j = i ? 20 : 500; j; j--)
			(void)row_draw(&w);
		bulk_run(&w);
		holds &= tree_holds(&w) && !searches_wrong(&w);
	}
	ok(holds, "many rows and few come into the tree with a bulk");
	(void)kd_derive(&w.f.segment);
	ok(tree_holds(&w) && !searches_wrong(&w), "or are derived");
	world_release(&w);
}

/* ---- deaths ------------------------------------------------------------- */

static uint64_t points_left;
static const char *point_name; /* NULL: any of the tree's and the graph's */

static void die_at_point(const char *name)
{
	if (point_name ? strcmp(name, point_name) != 0
		       : strncmp(name, "kd-", 3) && strncmp(name, "hnsw-", 5))
		return;
	if (!points_left--)
		_exit(42);
}

/* In the child: rows come and go, enough for much to be laid out anew. */
static void change_and_die(void *user)
{
	struct world *w = user;

	point_hook = die_at_point;
	shm_rows_link(&w->f.segment, &w->room);
	for (int i = 0; i < 60; i++)
		(void)row_remove(w);
	for (int i = 0; i < 60; i++)
		(void)row_draw(w);
	bulk_run(w);
	(void)hnsw_mend(&w->f.segment, &w->room);
	(void)kd_build(&w->f.segment);
}

/* Has a child die at a point; returns its status. */
static int die_once(struct world *w, uint64_t n, uint32_t *broken,
		    uint32_t *wrong)
{
	int status;
	pid_t pid;

	for (int i = 0; i < 150; i++)
		(void)row_draw(w);
	w->seed++;
	points_left = n;
	pid = child_fork();
	if (!pid) {
		change_and_die(w);
		_exit(0);
	}
	status = child_wait(pid);
	hnsw_recover(&w->f.segment);
	*broken += !tree_holds(w);
	*wrong += searches_wrong(w);
	shm_rows_link(&w->f.segment, &w->room);
	*broken += !tree_holds(w);
	while (hnsw_linked(&w->f.segment) > 300 && row_remove(w))
		;
	return status;
}

static void a_death_at_each_point_is_mended(enum draw draw)
{
	static const char *const names[] = {
	    "kd-insert", "kd-half-appended", "kd-appended",    "kd-counted",
	    "kd-laid",	 "kd-half-swapped",  "kd-swapped",     "kd-freed",
	    "kd-remove", "kd-uncounted",     "kd-half-closed", "kd-taken-out",
	    "kd-build",	 "kd-dropped",	     "kd-published"};
	enum { NAMES = sizeof names / sizeof *names };
	struct world w;
	uint32_t deaths = 0;
	uint32_t broken = 0;
	uint32_t wrong = 0;

	world_init(&w, 2, METRIC_L2, 1);
	w.draw = draw;
	for (uint32_t i = 0; i < NAMES; i++) {
		uint32_t here = 0;

		point_name = names[i];
		for (uint64_t n = 0; n < 30; n += 1 + n / 2)
			here += die_once(&w, n, &broken, &wrong) == 42;
		deaths += here != 0;
		if (!here)
			diag("nobody died at %s", names[i]);
	}
	is_u64(deaths, NAMES, "%s: a writer dies at each of the tree's points",
	       draw_names[draw]);
	is_u64(broken, 0, "after recovery the tree is whole each time");
	is_u64(wrong, 0, "and searches give what is there");
	world_release(&w);
}

static void a_death_anywhere_is_mended(void)
{
	struct world w;
	uint32_t deaths = 0;
	uint32_t broken = 0;
	uint32_t wrong = 0;
	int status = 42;

	world_init(&w, 2, METRIC_L2, 1);
	point_name = NULL;
	for (uint64_t n = 0; status == 42; n += 1 + n / 16) {
		status = die_once(&w, n, &broken, &wrong);
		deaths += status == 42;
	}
	ok(deaths > 30 && status == 0,
	   "a writer dies at %u points of graph and tree", deaths);
	is_u64(broken, 0, "after recovery the tree is whole each time");
	is_u64(wrong, 0, "and searches give what is there");
	world_release(&w);
}

static void searches_wait_for_recovery(void)
{
	struct world w;
	struct kdtree *tree;
	struct nearest found = {.k = 1};

	world_init(&w, 2, METRIC_L2, 0);
	(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	tree = &w.f.segment.header->kdtree;
	found.segment = &w.f.segment;
	kd_doing_begin(tree);
	kd_change_begin(tree);
	ok(kd_search(&w.f.segment, &query, 1, row_visit, &found) == KD_CHANGED,
	   "a change that nobody ends is said to a search, which ends");
	hnsw_recover(&w.f.segment);
	ok(tree_holds(&w) && !searches_wrong(&w), "until somebody recovers");
	world_release(&w);
}

/* ---- rubbish ------------------------------------------------------------ */

static void spoil(struct world *w)
{
	struct segment *segment = &w->f.segment;
	struct kdtree *tree = &segment->header->kdtree;
	enum region_id place =
	    test_below(&w->seed, 8) ? REGION_TREE : REGION_LEAVES;
	const struct region_view *region = segment_region(segment, place);
	uint64_t used = place == REGION_LEAVES ? 2000 : 40 * 448;
	uint32_t word = (uint32_t)test_random(&w->seed);
	uint32_t *at = region_at(segment->header, region,
				 test_below(&w->seed, used / 4) * 4, 4);

	word >>= test_below(&w->seed, 32);
	if (at)
		__atomic_store_n(at, word, __ATOMIC_RELAXED);
	if (test_below(&w->seed, 8))
		return;
	at = (uint32_t *)(void *)tree +
	     test_below(&w->seed, sizeof *tree / sizeof *at);
	__atomic_store_n(at, word, __ATOMIC_RELAXED);
}

static void work_in_rubbish(void *user)
{
	struct world *w = user;
	struct kd_figures figures;
	struct nearest found = {.segment = &w->f.segment, .k = 10};
	float vector[KD_DIM_MAX];

	for (int i = 0; i < 6000 / TEST_SLOW; i++) {
		spoil(w);
		vector_draw(w, vector);
		query_encode(CODES_U8, METRIC_L2, vector, w->dim, &query);
		(void)kd_search(&w->f.segment, &query, INFINITY, row_visit,
				&found);
		found.count = 0;
		switch (test_below(&w->seed, 8)) {
		case 0: hnsw_recover(&w->f.segment); break;
		case 1: kd_mend(&w->f.segment); break;
		case 2: (void)kd_validate(&w->f.segment, &figures); break;
		case 3: /* a tree that is whole again, now and then */
			if (!test_below(&w->seed, 8))
				(void)kd_build(&w->f.segment);
			break;
		case 4: (void)row_remove(w); break;
		default:
			(void)row_draw(w);
			shm_rows_link(&w->f.segment, &w->room);
		}
	}
}

static void rubbish_makes_nothing_fall(void)
{
	struct world w;

	world_init(&w, 2, METRIC_L2, 1);
	for (int i = 0; i < 250; i++)
		(void)row_draw(&w);
	shm_rows_link(&w.f.segment, &w.room);
	is_int(child_survives(60, work_in_rubbish, &w), 0,
	       "words of the tree may be anything (COPPICE_TEST_SEED=%llu)",
	       (unsigned long long)w.seed);
	world_release(&w);
}

int main(void)
{
	static const uint32_t dims[] = {2, 3, 8};

	test_begin(300);
	for (int draw = UNIFORM; draw <= EQUAL; draw++)
		for (int i = 0; i < 3; i++) {
			sequences_keep_the_tree_whole((enum draw)draw, dims[i],
						      METRIC_L2, draw % 2);
			sequences_keep_the_tree_whole((enum draw)draw, dims[i],
						      METRIC_COSINE,
						      !(draw % 2));
		}
	sequences_keep_the_tree_whole(UNIFORM, 5, METRIC_L2, 0);
	depth_stays_low(UNIFORM);
	depth_stays_low(SORTED);
	depth_stays_low(EQUAL);
	others_pay_nothing();
	for (int rows = 0; rows < 2; rows++) {
		extremes_are_found(METRIC_L2, rows);
		extremes_are_found(METRIC_COSINE, rows);
	}
	a_visitor_may_stop();
	what_is_reserved_is_enough();
	bulks_come_into_it();
	a_death_at_each_point_is_mended(UNIFORM);
	a_death_at_each_point_is_mended(SORTED);
	a_death_anywhere_is_mended();
	searches_wait_for_recovery();
	rubbish_makes_nothing_fall();
	return done_testing();
}
