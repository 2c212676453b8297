/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of few dimensions: a search goes through the tree and finds exactly
 * what is nearest, or within a distance, with filters, while places come, move
 * and go, and after the shared memory was lost.
 */
#include "fixture.h"

enum { DIM = 3, PLACES = 4000, K = 10, QUERIES = 60 };

struct world {
	struct fixture f;
	float at[PLACES + 1][DIM]; /* by id */
	int is_there[PLACES + 1];
	int32_t metric;
	uint64_t seed;
};

static struct world w;

static void place_draw(float *at)
{
	for (int i = 0; i < DIM; i++) /* as of a map, to six decimals */
		at[i] = (float)(100 + test_gaussian(&w.seed));
}

static size_t key_of(uint32_t id, char key[24])
{
	return (size_t)snprintf(key, 24, "place-%u", id);
}

static void place_put(cop_write *write, uint32_t id)
{
	static const char *const tags[] = {"cafe"};
	char key[24];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)key_of(id, key),
			      .tags = tags,
			      .tag_count = id % 4 != 0,
			      .vector = w.at[id],
			      .dim = DIM};

	place_draw(w.at[id]);
	w.is_there[id] = 1;
	must(cop_put(write, &put), "put");
}

static void world_init(int32_t metric)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .metric = metric};
	cop_write *write;

	memset(&w, 0, sizeof w);
	w.seed = test_seed();
	w.metric = metric;
	fixture_make(&w.f, &options);
	must(cop_write_begin(w.f.store, &write), "write");
	for (uint32_t id = 1; id <= PLACES; id++)
		place_put(write, id);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

/* Some move, some go; each tenth commit is made at once. */
static void places_change(void)
{
	cop_write *write;
	char key[24];

	must(cop_write_begin(w.f.store, &write), "write");
	for (int i = 0; i < 1000; i++) {
		uint32_t id = 1 + (uint32_t)test_below(&w.seed, PLACES);

		if (test_below(&w.seed, 3)) {
			place_put(write, id);
		} else if (w.is_there[id]) {
			must(cop_delete(write, key, key_of(id, key)), "delete");
			w.is_there[id] = 0;
			w.at[id][0] = NAN;
		}
		if (i % 10 == 9)
			must(cop_commit(write, NULL), "commit");
	}
	cop_abort(write);
}

static double distance(const float *a, const float *b)
{
	double sum = 0;
	double aa = 0;
	double bb = 0;

	for (int i = 0; i < DIM; i++) {
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	if (w.metric == COP_L2)
		aa = bb = 1;
	for (int i = 0; i < DIM; i++) {
		double off = (double)a[i] / sqrt(aa) - (double)b[i] / sqrt(bb);

		sum += off * off;
	}
	return w.metric == COP_L2 ? sum : sum / 2;
}

/*
 * How many places are nearer than one that was found last.  By float32 unit
 * vectors a cosine of near places is off by a hundredth.
 */
static uint32_t nearer_than(const float *query, double limit, int cafes)
{
	uint32_t count = 0;

	for (uint32_t id = 1; id <= PLACES; id++)
		count += w.is_there[id] && (!cafes || id % 4 != 0) &&
			 distance(query, w.at[id]) < limit;
	return count;
}

struct tally {
	uint32_t wrong;
	uint32_t trees;
};

static void ask(cop_read *read, struct cop_search *search, struct tally *tally)
{
	static struct cop_hit hits[PLACES];
	struct cop_search_report report = {.size = sizeof report};
	int cafes = search->tag != NULL;
	float query[DIM];
	uint32_t count = 0;
	double last;

	place_draw(query);
	search->size = sizeof *search;
	search->vector = query;
	search->report = &report;
	must(cop_search(read, search, hits, &count), "search");
	tally->trees += report.strategy == COP_KDTREE;
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < i && i < 2 * K; j++)
			tally->wrong += hits[i].id == hits[j].id;
		tally->wrong +=
		    !w.is_there[hits[i].id] || (cafes && hits[i].id % 4 == 0);
	}
	if (search->has_threshold) {
		tally->wrong +=
		    count < nearer_than(query, search->threshold * 0.99, cafes);
		tally->wrong +=
		    count > nearer_than(query, search->threshold * 1.01, cafes);
		return;
	}
	last = count ? distance(query, w.at[hits[count - 1].id]) : 0;
	tally->wrong += count != search->k ||
			nearer_than(query, last * 0.98, cafes) >= search->k;
}

static void searches_are_exact(const char *when)
{
	struct cop_search kinds[] = {
	    {.k = K},
	    {.k = K, .exact = 1},
	    {.k = K, .tag = "cafe"},
	    {.k = PLACES,
	     .has_threshold = 1,
	     .threshold = w.metric == COP_L2 ? 0.25 : 1e-5},
	};
	static const char *const names[] = {"the nearest", "by the float32",
					    "of those with a tag",
					    "all within a distance"};
	cop_read *read = read_of(&w.f);

	for (int kind = 0; kind < 4; kind++) {
		struct tally tally = {0};

		for (int i = 0; i < QUERIES; i++)
			ask(read, &kinds[kind], &tally);
		ok(!tally.wrong && (tally.trees || kind == 1),
		   "%s, %s: %u of %d by the tree", when, names[kind],
		   tally.trees, QUERIES);
		if (tally.wrong)
			diag("%u wrong (COPPICE_TEST_SEED=%llu)", tally.wrong,
			     (unsigned long long)w.seed);
	}
	cop_read_end(read);
}

static void a_tree_is_for_few_dimensions(void)
{
	float east[16] = {1};
	struct cop_search search = {.size = sizeof search,
				    .k = 1,
				    .vector = east,
				    .strategy = COP_KDTREE};
	struct fixture f;
	struct cop_hit hit;
	uint32_t count;
	cop_read *read;

	fixture_init(&f, 16, COP_L2);
	read = read_of(&f);
	is_int(cop_search(read, &search, &hit, &count), COP_INVALID,
	       "a store of many dimensions says that it has no tree");
	cop_read_end(read);
	fixture_release(&f);
}

int main(void)
{
	test_begin(300);
	for (int32_t metric = COP_COSINE; metric <= COP_L2; metric++) {
		world_init(metric);
		searches_are_exact("put at once");
		for (int i = 0; i < 3; i++)
			places_change();
		searches_are_exact("after changes");
		must(cop_checkpoint(w.f.store, NULL), "checkpoint");
		fixture_close(&w.f);
		must(cop_detach(w.f.path), "detach");
		fixture_open(&w.f);
		searches_are_exact("out of an image");
		places_change();
		searches_are_exact("and on from there");
		fixture_release(&w.f);
	}
	a_tree_is_for_few_dimensions();
	return done_testing();
}
