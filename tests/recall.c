/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit of the vector graph: what codes cannot tell apart is no fault of
 * the graph's, and a graph that leads astray is found.
 */
#include "fixture.h"
#include "store.h"

enum { DIM = 32, COUNT = 12000, FEW = 50 };

static uint64_t seed;

typedef void vector_make(uint64_t *random, uint32_t i, float *out);

/* Any directions, of which signs tell little. */
static void any_vector(uint64_t *random, uint32_t i, float *out)
{
	(void)i;
	for (int d = 0; d < DIM; d++)
		out[d] = (float)test_uniform(random) - 0.5f;
}

/* All of one code, if that is the signs. */
static void positive_vector(uint64_t *random, uint32_t i, float *out)
{
	(void)i;
	for (int d = 0; d < DIM; d++)
		out[d] = 0.1f + (float)test_uniform(random);
}

/* Each of FEW has many that are the same. */
static void repeated_vector(uint64_t *random, uint32_t i, float *out)
{
	uint64_t own = i % FEW + 1;

	(void)random;
	any_vector(&own, i, out);
}

/* Little spread around each of FEW, so that they share codes. */
static void clustered_vector(uint64_t *random, uint32_t i, float *out)
{
	repeated_vector(random, i, out);
	for (int d = 0; d < DIM; d++)
		out[d] += 0.01f * (float)test_uniform(random);
}

static void store_make(struct fixture *f, int32_t codes, vector_make *make)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_COSINE,
				      .codes = codes};
	uint64_t random = seed;
	cop_write *write;

	fixture_make(f, &options);
	write = write_of(f);
	for (uint32_t i = 0; i < COUNT; i++) {
		float vector[DIM];
		char key[24];

		snprintf(key, sizeof key, "e%u", i);
		make(&random, i, vector);
		put_simple(write, key, NULL, vector, DIM);
	}
	commit_of(write);
}

static char said[1024]; /* by the last check */

static void finding_note(void *user, int32_t place, const char *text)
{
	(void)user;
	(void)place;
	diag("%s", text);
	snprintf(said, sizeof said, "%s", text);
}

static uint64_t findings_deep(struct fixture *f)
{
	struct cop_check_options options = {.size = sizeof options,
					    .depth = COP_CHECK_DEEP,
					    .found = finding_note};
	struct cop_check_result result = {.size = sizeof result};

	*said = 0;
	must(cop_check_with(f->store, &options, &result), "check");
	return result.left;
}

static struct cop_recall recall_of(struct fixture *f)
{
	struct cop_recall recall = {.size = sizeof recall};
	cop_read *read = read_of(f);

	must(cop_recall(read, 0, 0, &recall), "recall");
	cop_read_end(read);
	return recall;
}

static void is_sound(int32_t codes, vector_make *make, const char *what)
{
	struct cop_recall recall;
	struct fixture f;

	store_make(&f, codes, make);
	recall = recall_of(&f);
	is_int((int64_t)findings_deep(&f), 0, "a sound store %s passes a check",
	       what);
	ok(recall.recall_coded >= recall.recall && recall.recall_coded > 0.9,
	   "walks find what codes tell: %.2f, of the nearest %.2f",
	   recall.recall_coded, recall.recall);
	fixture_release(&f);
}

static void link_both(const struct segment *segment, uint32_t a, uint32_t b)
{
	_Atomic uint32_t *of_a = hnsw_links(segment, a, 0);
	_Atomic uint32_t *of_b = hnsw_links(segment, b, 0);

	atomic_store(&of_a[atomic_load(&of_a[0]) != 0], b);
	atomic_store(&of_b[0], a);
}

/* Each node leads to the one before and the one after it, and nowhere else. */
static void chain_make(struct fixture *f)
{
	const struct segment *segment;
	cop_write *write = write_of(f);
	uint32_t last = 0;

	put_simple(write, "one more", NULL, NULL, 0);
	commit_of(write); /* the segment is mapped for writing */
	segment = &f->store->writable;
	for (uint32_t row = 1; row <= COUNT; row++) {
		_Atomic uint32_t *links = hnsw_links(segment, row, 0);

		if (!hnsw_is_linked(segment, row))
			continue;
		for (uint32_t i = 0; i < HNSW_LINKS; i++)
			atomic_store(&links[i], 0);
		if (last)
			link_both(segment, last, row);
		last = row;
	}
}

static void a_graph_that_leads_astray_is_found(int32_t codes, const char *name)
{
	struct fixture f;

	store_make(&f, codes, any_vector);
	is_int((int64_t)findings_deep(&f), 0, "a graph over %s is sound", name);
	chain_make(&f);
	is_int((int64_t)findings_deep(&f), 1, "made a chain, it is found");
	ok(strstr(said, "walks find") && strstr(said, "coppice rebuild"),
	   "in words, with what mends it");
	must(cop_rebuild(f.store, NULL, 0, NULL), "rebuild");
	is_int((int64_t)findings_deep(&f), 0, "which it does");
	fixture_release(&f);
}

int main(void)
{
	test_begin(TEST_SLOW * 120);
	seed = test_seed();
	is_sound(COP_CODES_B1, any_vector, "whose signs tell little");
	is_sound(COP_CODES_B1, positive_vector, "whose signs tell nothing");
	is_sound(COP_CODES_B1, clustered_vector,
		 "of clusters that share signs");
	is_sound(COP_CODES_B1, repeated_vector, "of few distinct vectors");
	is_sound(COP_CODES_U8, repeated_vector,
		 "of few that 8 bits tell apart");
	a_graph_that_leads_astray_is_found(COP_CODES_U8, "8-bit codes");
	a_graph_that_leads_astray_is_found(COP_CODES_B1, "signs");
	return done_testing();
}
