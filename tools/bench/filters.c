/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filtered search: recall and rate by how much a filter lets through, and by
 * where that lies.
 *
 * idea
 *	Tags on 50, 10, 1 and 0.1 % of the rows, in two orders of the rows:
 *	a random one, and that of their distance from one row, the centre.  A
 *	filter by the latter is correlated with the vectors, and how depends on
 *	the query:
 *	random	any queries, matches all over the set
 *	near	the queries nearest to the centre: what they look for matches
 *	far	the queries furthest from it: nothing near them does
 *	And 10 % of each by a test of the caller's instead of a tag.  k is 10.
 *	Targets: a recall of 0.95 in every case, ten hits wherever ten match,
 *	and 0.9 of the rate of the fastest strategy that reaches that recall.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_random.h"
#include "bench_sets.h"
#include "bench_ways.h"

enum { QUERIES = 200, ORDERS = 2, SHARES = 4, PICKS = 3, ACCEPT = 1 };

static const double shares[SHARES] = {0.5, 0.1, 0.01, 0.001};
static const char *const tags[ORDERS][SHARES] = {
    {"random_50", "random_10", "random_1", "random_0.1"},
    {"centre_50", "centre_10", "centre_1", "centre_0.1"}};

/* Which queries are asked about which order. */
static const struct pick {
	const char *name;
	int order;   /* of the rows */
	int is_last; /* of the queries, by their distance from the centre */
} picks[PICKS] = {{"random", 0, 0}, {"near", 1, 0}, {"far", 1, 1}};

struct place {
	double distance;
	uint32_t index;
};

static struct ann ann;
static uint32_t *rank_of[ORDERS]; /* a row's */

/* ---- orders ------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
	const struct place *a = left;
	const struct place *b = right;

	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static const float *centre(void)
{
	return ann.rows.data + ann.rows.rows / 2 * ann.rows.columns;
}

/* A matrix's rows by their distance from the centre; the caller frees it. */
static struct place *places_of(const struct bench_matrix *matrix)
{
	struct place *out = bench_alloc(matrix->rows * sizeof *out);
	size_t row;
	size_t at;

	for (row = 0; row < matrix->rows; row++) {
		const float *vector = matrix->data + row * matrix->columns;

		out[row] = (struct place){0, (uint32_t)row};
		for (at = 0; at < matrix->columns; at++) {
			double gap = (double)vector[at] - (double)centre()[at];

			out[row].distance += gap * gap;
		}
	}
	qsort(out, matrix->rows, sizeof *out, compare);
	return out;
}

static void find_ranks(void)
{
	struct place *places = places_of(&ann.rows);
	size_t rows = ann.rows.rows;
	struct bench_random random = {17};
	int order;
	size_t at;

	for (order = 0; order < ORDERS; order++)
		rank_of[order] = bench_alloc(rows * sizeof(uint32_t));
	for (at = 0; at < rows; at++)
		rank_of[1][places[at].index] = (uint32_t)at;
	for (at = 0; at < rows; at++)
		places[at].distance = bench_random_unit(&random);
	qsort(places, rows, sizeof *places, compare);
	for (at = 0; at < rows; at++)
		rank_of[0][places[at].index] = (uint32_t)at;
	free(places);
}

static int has_tag(int order, int share, size_t row)
{
	return rank_of[order][row] < shares[share] * (double)ann.rows.rows;
}

static void dress(const struct ann *set, uint32_t row, struct cop_put *put)
{
	static const char *names[ORDERS * SHARES];
	int order;
	int share;

	(void)set;
	put->tags = names;
	for (order = 0; order < ORDERS; order++)
		for (share = 0; share < SHARES; share++)
			if (has_tag(order, share, row))
				names[put->tag_count++] = tags[order][share];
}

/* ---- cases -------------------------------------------------------------- */

/* The queries of a case, copied out of the set's. */
static void pick_queries(const struct pick *pick, struct bench_matrix *queries,
			 uint32_t *self)
{
	struct place *places = places_of(&ann.queries);
	size_t most = ann.queries.rows;
	size_t dim = ann.queries.columns;
	size_t count = most < 2 * QUERIES ? most / 2 : QUERIES;
	size_t at;

	*queries = (struct bench_matrix){
	    bench_alloc(count * dim * sizeof(float)), count, dim};
	for (at = 0; at < count; at++) {
		size_t from = pick->order == 0 ? at * (most / count)
			      : pick->is_last  ? most - 1 - at
					       : at;
		uint32_t query = places[from].index;

		memcpy(queries->data + at * dim, ann.queries.data + query * dim,
		       dim * sizeof(float));
		if (ann.self != NULL)
			self[at] = ann.self[query];
	}
	free(places);
}

static int32_t accept_row(void *user, cop_read *read, uint64_t id)
{
	const unsigned char *passes = user;

	(void)read;
	return passes[ann.row_of[id]];
}

static void measure(const struct pick *pick, int share, int by_accept,
		    struct tally *tally)
{
	unsigned char *passes = bench_alloc(ann.rows.rows);
	uint32_t self[QUERIES];
	struct bench_matrix queries;
	char subject[BENCH_TEXT_BYTES];
	struct trial trial = {.ann = &ann,
			      .subject = subject,
			      .queries = &queries,
			      .self = ann.self == NULL ? NULL : self,
			      .passes = passes,
			      .search = {.k = ANN_K}};
	size_t row;

	snprintf(subject, sizeof subject, "%s, %s %g %%%s", ann.name,
		 pick->name, shares[share] * 100, by_accept ? ", accept" : "");
	pick_queries(pick, &queries, self);
	for (row = 0; row < ann.rows.rows; row++)
		passes[row] = (unsigned char)has_tag(pick->order, share, row);
	if (by_accept) {
		trial.search.accept = accept_row;
		trial.search.user = passes;
	} else {
		trial.search.tag = tags[pick->order][share];
	}
	trial_run(&trial);
	tally_add(tally, &trial);
	free(queries.data);
	free(passes);
}

static void measure_set(void)
{
	struct tally tally;
	const struct pick *pick;
	int share;
	int order;

	find_ranks();
	ann.dress = dress;
	ann_fill(&ann);
	ann_pin(0);
	tally_begin(&tally);
	for (pick = picks; pick < picks + PICKS; pick++) {
		for (share = 0; share < SHARES; share++)
			measure(pick, share, 0, &tally);
		measure(pick, ACCEPT, 1, &tally);
	}
	ann_pin(-1);
	tally_report(&tally, &ann);
	ann_close(&ann);
	set_release(&ann);
	for (order = 0; order < ORDERS; order++)
		free(rank_of[order]);
}

static void run(struct bench *bench)
{
	setenv("BENCH_SIGNS", "1", 0);
	if (set_fashion(&ann, bench) != 0)
		set_generated(&ann, bench, bench->quick ? 4000 : 60000, 64,
			      2 * QUERIES);
	measure_set();
	if (set_lsa(&ann, bench) == 0)
		measure_set();
}

int main(int argument_count, char **arguments)
{
	return bench_main("filters", argument_count, arguments, run);
}
