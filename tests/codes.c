/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of every kind of code: a search finds what brute force finds, an exact
 * one all of it in its order, whatever the vectors' sizes; and what is found is
 * the same after a commit, from an image and built anew.
 */
#include "checkpoint.h"
#include "fixture.h"

enum {
	DIM_MOST = 300,
	ROWS = 4000,
	QUERIES = 30,
	K = 10,
	KINDS = COP_CODES_B1 + 1
};

static const char *const code_names[] = {"", "u8", "f16", "bf16", "f32", "b1"};
static const char *const metric_names[] = {"", "cosine", "l2", "ip"};

struct world {
	struct fixture f;
	float *vectors; /* DIM_MOST apart */
	uint32_t rows;
	uint32_t dim;
	int32_t metric;
	int32_t codes;
	uint64_t seed;
};

/* ---- making ------------------------------------------------------------- */

typedef void draw_fn(struct world *w, uint32_t row, float *vector);

/* Around twenty centres. */
static void near_draw(struct world *w, uint32_t row, float *vector)
{
	uint64_t centre = test_below(&w->seed, 20) * 977 + 5;

	(void)row;
	for (uint32_t i = 0; i < w->dim; i++)
		vector[i] = (float)(test_gaussian(&centre) +
				    0.7 * test_gaussian(&w->seed));
}

/* The first components say most. */
static void fading_draw(struct world *w, uint32_t i, float *vector)
{
	float size = 1;

	near_draw(w, i, vector);
	for (uint32_t j = 0; j < w->dim; j++) {
		vector[j] *= size;
		size *= 0.94f;
	}
}

/* Signs alone, of which neighbours share seven in eight. */
static void sign_draw(struct world *w, uint32_t row, float *vector)
{
	uint64_t centre = test_below(&w->seed, 20) * 977 + 5;

	(void)row;
	for (uint32_t i = 0; i < w->dim; i++) {
		float sign = test_below(&centre, 2) ? 1 : -1;

		vector[i] = test_below(&w->seed, 8) ? sign : -sign;
	}
}

/* Of all magnitudes, and now and then nothing, where that has a distance. */
static void wide_draw(struct world *w, uint32_t row, float *vector)
{
	static const double sizes[] = {1e-20, 1, 1e20, 1e-42, 3e37};
	double size = sizes[row % 5];

	if (row % 7 == 3 && w->metric != COP_COSINE)
		size = 0;
	for (uint32_t i = 0; i < w->dim; i++)
		vector[i] = (float)(size * test_gaussian(&w->seed));
	if (w->metric == COP_COSINE && vector[0] == 0)
		vector[0] = (float)size;
}

static float *vector_at(const struct world *w, uint32_t row)
{
	return w->vectors + (size_t)row * DIM_MOST;
}

static void rows_put(struct world *w, draw_fn *draw)
{
	cop_write *write = write_of(&w->f);
	char key[16];

	for (uint32_t row = 0; row < w->rows; row++) {
		draw(w, row, vector_at(w, row));
		snprintf(key, sizeof key, "%u", row);
		put_simple(write, key, NULL, vector_at(w, row), w->dim);
		if (row % 500 == 499)
			must(cop_commit(write, NULL), "commit");
	}
	commit_of(write);
	must(cop_maintain(w->f.store, NULL, NULL), "maintain");
}

/* first	components that are coded, 0: all */
static void world_init(struct world *w, int32_t codes, int32_t metric,
		       uint32_t dim, uint32_t first, uint32_t rows,
		       draw_fn *draw)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = dim,
				      .metric = metric,
				      .codes = codes,
				      .codes_dim = first};

	*w = (struct world){.rows = rows,
			    .dim = dim,
			    .metric = metric,
			    .codes = codes,
			    .seed = test_seed()};
	w->vectors = calloc(rows, DIM_MOST * sizeof(float));
	fixture_folder(&w->f);
	must(cop_create(w->f.path, &options), "create");
	fixture_open(&w->f);
	rows_put(w, draw);
}

static void world_release(struct world *w)
{
	fixture_release(&w->f);
	free(w->vectors);
}

/* ---- asking ------------------------------------------------------------- */

static double distance_of(const struct world *w, const float *a, const float *b)
{
	long double x = 0;
	long double y = 0;
	long double z = 0;
	long double apart = 0;

	for (uint32_t i = 0; i < w->dim; i++) {
		long double away = (long double)a[i] - (long double)b[i];

		x += (long double)a[i] * (long double)a[i];
		y += (long double)b[i] * (long double)b[i];
		z += (long double)a[i] * (long double)b[i];
		apart += away * away;
	}
	if (w->metric == COP_IP)
		return (double)-z;
	return (double)(w->metric == COP_L2 ? apart : 1 - z / sqrtl(x * y));
}

static int double_compare(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

/* The K smallest distances. */
static void truth_of(const struct world *w, const float *query, double *out)
{
	double *all = calloc(w->rows, sizeof *all);

	for (uint32_t row = 0; row < w->rows; row++)
		all[row] = distance_of(w, query, vector_at(w, row));
	qsort(all, w->rows, sizeof *all, double_compare);
	memcpy(out, all, K * sizeof *out);
	free(all);
}

static double length_of(const struct world *w, const float *vector)
{
	double sum = 0;

	for (uint32_t i = 0; i < w->dim; i++)
		sum += (double)vector[i] * (double)vector[i];
	return sqrt(sum);
}

struct tally {
	uint32_t wanted;
	uint32_t found;
	uint32_t wrong; /* hits that are none, or said to be elsewhere */
	double sum;	/* of ids and distances: what was answered */
};

/* Whether a hit's distance is its vector's, as well as its row tells. */
static int hit_is_true(const struct world *w, const float *query,
		       const struct cop_hit *hit, int exact)
{
	const float *vector = vector_at(w, (uint32_t)hit->id - 1);
	double distance = distance_of(w, query, vector);
	double size = length_of(w, query) * length_of(w, vector);
	double rounding = exact			       ? 1e-12
			  : w->codes == COP_CODES_BF16 ? 0x1p-7
			  : w->codes == COP_CODES_F32  ? 1e-6
						       : 0x1p-9;

	if (w->metric == COP_COSINE)
		size = 1;
	if (w->metric == COP_L2)
		size = pow(length_of(w, query) + length_of(w, vector), 2);
	return hit->id && hit->id <= w->rows &&
	       fabs(hit->distance - distance) <= rounding * size;
}

static void query_ask(const struct world *w, cop_read *read,
		      struct cop_search *search, const float *query,
		      struct tally *tally)
{
	struct cop_hit hits[K] = {{0}};
	double truth[K];
	uint32_t count = 0;
	double least;

	search->vector = query;
	must(cop_search(read, search, hits, &count), "search");
	truth_of(w, query, truth);
	tally->wanted += K;
	tally->wrong += count != K;
	least = truth[K - 1] + fabs(truth[K - 1]) * 1e-9 + 1e-18;
	for (uint32_t i = 0; i < count; i++) {
		const float *vector = vector_at(w, (uint32_t)hits[i].id - 1);

		tally->wrong += !hit_is_true(w, query, &hits[i], search->exact);
		tally->found += distance_of(w, query, vector) <= least;
		tally->sum += (double)hits[i].id * (i + 1) + hits[i].distance;
	}
}

/* Queries are drawn as rows are; the same ones for the same seed. */
static struct tally ask(struct world *w, draw_fn *draw, int32_t strategy,
			uint32_t ef, int32_t exact)
{
	struct cop_search search = {.size = sizeof search,
				    .k = K,
				    .ef = ef,
				    .strategy = strategy,
				    .exact = exact};
	uint64_t seed = w->seed;
	cop_read *read = read_of(&w->f);
	struct tally tally = {0};
	float query[DIM_MOST];

	for (uint32_t i = 0; i < QUERIES; i++) {
		draw(w, i, query);
		query_ask(w, read, &search, query, &tally);
	}
	cop_read_end(read);
	w->seed = seed;
	return tally;
}

/* ---- what is claimed ---------------------------------------------------- */

static int is_same(const struct tally *a, const struct tally *b)
{
	return a->found == b->found && fabs(a->sum - b->sum) < 1e-9;
}

/* A segment from an image and one built from LMDB hold the same. */
static void what_is_kept_is_the_same(struct world *w, const char *name,
				     draw_fn *draw)
{
	struct cop_checkpoint_result result = {.size = sizeof result};
	struct tally before = ask(w, draw, COP_SCAN, 0, 0);
	struct tally after;
	uint64_t newest;
	int fd;

	must(cop_checkpoint(w->f.store, &result), "checkpoint");
	fixture_close(&w->f);
	must(cop_detach(w->f.path), "detach");
	fixture_open(&w->f);
	newest = atomic_load(&w->f.store->index->segment.header->images.newest);
	after = ask(w, draw, COP_SCAN, 0, 0);
	ok(newest && is_same(&before, &after) && !findings_of(w->f.store),
	   "%s: the same from an image", name);
	fd = checkpoint_folder(w->f.store);
	imagefile_keep(fd, UINT64_MAX, UINT64_MAX);
	close(fd);
	fixture_close(&w->f);
	must(cop_detach(w->f.path), "detach");
	fixture_open(&w->f);
	after = ask(w, draw, COP_SCAN, 0, 0);
	ok(is_same(&before, &after) && !findings_of(w->f.store),
	   "%s: and built anew", name);
}

static void a_store_finds(int32_t codes, int32_t metric, uint32_t dim,
			  uint32_t first)
{
	/* the few bits of so short a vector tell next to nothing */
	uint32_t ef = codes == COP_CODES_B1 ? ROWS / 2 : 100;
	draw_fn *draw = first ? fading_draw : near_draw;
	struct world w;
	struct tally tally;
	char name[48];

	world_init(&w, codes, metric, dim, first, ROWS, draw);
	snprintf(name, sizeof name, "%s of %u, %s, %u-d", code_names[codes],
		 first ? first : dim, metric_names[metric], dim);
	tally = ask(&w, draw, COP_HNSW, ef, 0);
	ok(!tally.wrong && tally.found >= tally.wanted * 0.9,
	   "%s: a walk finds %u of %u", name, tally.found, tally.wanted);
	if (tally.wrong)
		diag("%u are wrong", tally.wrong);
	tally = ask(&w, draw, COP_SCAN, 0, 0);
	ok(!tally.wrong && tally.found >= tally.wanted * 0.97, "%s: a scan %u",
	   name, tally.found);
	tally = ask(&w, draw, COP_AUTO, 0, 1);
	ok(!tally.wrong && tally.found == tally.wanted,
	   "%s: an exact search all", name);
	tally = ask(&w, draw, COP_HNSW, ef, 1);
	ok(!tally.wrong && tally.found >= tally.wanted * 0.9,
	   "%s: an exact walk %u", name, tally.found);
	is_u64(findings_of(w.f.store), 0, "%s: the store is whole", name);
	what_is_kept_is_the_same(&w, name, draw);
	world_release(&w);
}

static void sizes_do_not_matter(int32_t codes, int32_t metric)
{
	struct world w;
	struct tally tally;

	world_init(&w, codes, metric, 19, 0, 600, wide_draw);
	tally = ask(&w, wide_draw, COP_SCAN, 0, 1);
	ok(!tally.wrong && tally.found == tally.wanted &&
	       !findings_of(w.f.store),
	   "%s, %s: exact from 1e-42 to 3e37, and of zeros", code_names[codes],
	   metric_names[metric]);
	world_release(&w);
}

static void huge_draw(struct world *w, uint32_t row, float *vector)
{
	near_draw(w, row, vector);
	for (uint32_t i = 0; i < w->dim; i++)
		vector[i] *= 1e20f;
}

static void tiny_draw(struct world *w, uint32_t row, float *vector)
{
	near_draw(w, row, vector);
	for (uint32_t i = 0; i < w->dim; i++)
		vector[i] *= 1e-25f;
}

/* Their squares overflow, or are nothing. */
static void numbers_beyond_floats_are_found(draw_fn *draw, const char *name)
{
	struct tally tally;
	struct world w;

	world_init(&w, COP_CODES_U8, COP_L2, 16, 0, 3 * ROWS, draw);
	tally = ask(&w, draw, COP_AUTO, 0, 0);
	ok(tally.found >= tally.wanted * 0.97, "%s: %u of %u are found", name,
	   tally.found, tally.wanted);
	world_release(&w);
}

static void signs_are_all_that_a_vector_of_them_is(void)
{
	struct world w;
	struct tally tally;

	for (int32_t metric = COP_COSINE; metric <= COP_IP; metric++) {
		world_init(&w, COP_CODES_B1, metric, 129, 0, ROWS, sign_draw);
		tally = ask(&w, sign_draw, COP_HNSW, 100, 0);
		ok(!tally.wrong && tally.found >= tally.wanted * 0.97,
		   "b1 of +-1, %s: a walk finds %u of %u", metric_names[metric],
		   tally.found, tally.wanted);
		tally = ask(&w, sign_draw, COP_SCAN, 0, 1);
		ok(!tally.wrong && tally.found == tally.wanted,
		   "and an exact search all");
		world_release(&w);
	}
}

/* ---- options ------------------------------------------------------------ */

static void few_dimensions_are_kept_as_they_are(void)
{
	struct cop_options options = {.size = sizeof options, .dim = 16};
	struct cop_stats stats = {.size = sizeof stats};
	struct fixture f;
	cop_read *read;

	fixture_make(&f, &options);
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	ok(stats.codes == COP_CODES_F32 && stats.row_bytes == 64 + 64,
	   "sixteen numbers are a line, and the row");
	cop_read_end(read);
	fixture_release(&f);
}

static void what_cannot_be_is_refused(void)
{
	struct fixture f;
	struct cop_options options = {.size = sizeof options, .dim = 17};
	struct cop_stats stats = {.size = sizeof stats};
	uint32_t refused = 0;
	cop_read *read;

	fixture_folder(&f);
	options.codes = -1;
	refused += cop_create(f.path, &options) == COP_INVALID;
	options.codes = KINDS;
	refused += cop_create(f.path, &options) == COP_INVALID;
	options.rows = COP_ROWS_F32;
	for (int32_t codes = COP_CODES_F16; codes <= COP_CODES_F32; codes++) {
		options.codes = codes;
		refused += cop_create(f.path, &options) == COP_INVALID;
	}
	options.rows = COP_ROWS_F16;
	options.codes_dim = 8; /* with codes that are the row */
	refused += cop_create(f.path, &options) == COP_INVALID;
	options.codes = COP_CODES_U8;
	options.codes_dim = 18;
	refused += cop_create(f.path, &options) == COP_INVALID;
	options.codes_dim = 8;
	options.metric = COP_IP;
	refused += cop_create(f.path, &options) == COP_INVALID;
	options.metric = 0;
	options.codes_dim = 0;
	options.rows = COP_ROWS_F32;
	is_u64(refused, 8, "codes there are not, and rows beside the codes: %s",
	       cop_last_error());
	options.codes = COP_CODES_B1;
	must(cop_create(f.path, &options), "create");
	fixture_open(&f);
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	ok(stats.codes == COP_CODES_B1 && stats.rows == COP_ROWS_F32 &&
	       stats.row_bytes == 64 + 64 + 128,
	   "bits have rows of their own");
	cop_read_end(read);
	fixture_release(&f);
}

int main(void)
{
	test_begin(300);
	for (int32_t codes = COP_CODES_U8; codes < KINDS; codes++) {
		for (int32_t metric = COP_COSINE; metric <= COP_IP; metric++)
			sizes_do_not_matter(codes, metric);
		a_store_finds(codes, COP_COSINE, 33, 0);
		a_store_finds(codes, COP_L2, 130, 0);
		a_store_finds(codes, COP_IP, 64, 0);
	}
	a_store_finds(COP_CODES_U8, COP_L2, 300, 0);
	a_store_finds(COP_CODES_U8, COP_COSINE, 130, 40);
	a_store_finds(COP_CODES_U8, COP_L2, 33, 10);
	a_store_finds(COP_CODES_B1, COP_L2, 130, 100);
	numbers_beyond_floats_are_found(huge_draw, "numbers of 1e20");
	numbers_beyond_floats_are_found(tiny_draw, "numbers of 1e-25");
	signs_are_all_that_a_vector_of_them_is();
	few_dimensions_are_kept_as_they_are();
	what_cannot_be_is_refused();
	return done_testing();
}
