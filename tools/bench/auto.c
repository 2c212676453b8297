/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store chooses by itself, over a grid of cases.
 *
 * idea
 *	Stores of 1,000 rows, 10,000 and all of a set; k of 1, 10, 100 and
 *	1,000; no filter, and tags that a tenth and a hundredth of the rows
 *	have, at random.  Queries one by one, by COP_AUTO and by each strategy
 *	(bench_ways.c).  Two sets: 100,000 generated rows of 64 dimensions, and
 *	fashion_mnist, 60,000 of 784.
 *	Target: in every case 0.9 of the rate of the fastest strategy that has
 *	a recall of 0.95, or auto's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_random.h"
#include "bench_sets.h"
#include "bench_ways.h"

enum { QUERIES = 100, LEAST = 1000, MIDDLE = 10000, KS = 4, FILTERS = 3 };

static const uint32_t ks[KS] = {1, 10, 100, 1000};

static const struct filter {
	const char *name;
	const char *tag; /* NULL: no filter */
	uint64_t part;	 /* one row of so many has it */
} filters[FILTERS] = {
    {"all", NULL, 1}, {"10 %", "tenth", 10}, {"1 %", "hundredth", 100}};

static int has_tag(const struct filter *filter, size_t row)
{
	struct bench_random random = {row * filter->part};

	return bench_random_below(&random, filter->part) == 0;
}

static void dress(const struct ann *ann, uint32_t row, struct cop_put *put)
{
	static const char *names[FILTERS];
	int index;

	(void)ann;
	put->tags = names;
	for (index = 0; index < FILTERS; index++)
		if (filters[index].tag != NULL && has_tag(&filters[index], row))
			names[put->tag_count++] = filters[index].tag;
}

static void measure(const struct ann *ann, const struct filter *filter,
		    uint32_t k, struct tally *tally)
{
	unsigned char *passes = bench_alloc(ann->rows.rows);
	char subject[BENCH_TEXT_BYTES];
	struct trial trial = {.ann = ann,
			      .subject = subject,
			      .queries = &ann->queries,
			      .passes = passes,
			      .search = {.k = k, .tag = filter->tag}};
	size_t row;

	snprintf(subject, sizeof subject, "%zu x %zu, %s, k %u", ann->rows.rows,
		 ann->rows.columns, filter->name, k);
	for (row = 0; row < ann->rows.rows; row++)
		passes[row] = (unsigned char)has_tag(filter, row);
	trial_run(&trial);
	tally_add(tally, &trial);
	free(passes);
}

/* The first rows of a set. */
static void measure_size(const struct ann *set, size_t rows,
			 struct tally *tally)
{
	struct ann ann = *set;
	char name[64];
	int filter;
	int k;

	snprintf(name, sizeof name, "%s-%zu", set->name, rows);
	ann.name = name;
	ann.rows.rows = rows;
	ann.dress = dress;
	ann_fill(&ann);
	ann_pin(0);
	for (filter = 0; filter < FILTERS; filter++)
		for (k = 0; k < KS; k++)
			measure(&ann, &filters[filter], ks[k], tally);
	ann_pin(-1);
	ann_close(&ann);
}

static void measure_set(struct ann *set)
{
	struct tally tally;
	size_t rows;

	if (set->queries.rows > QUERIES)
		set->queries.rows = QUERIES;
	tally_begin(&tally);
	for (rows = LEAST; rows < set->rows.rows && rows <= MIDDLE; rows *= 10)
		measure_size(set, rows, &tally);
	measure_size(set, set->rows.rows, &tally);
	tally_report(&tally, set);
	set_release(set);
}

static void run(struct bench *bench)
{
	static struct ann set;

	setenv("BENCH_SIGNS", "1", 0);
	set_generated(&set, bench, bench->quick ? 4000 : 100000, 64, QUERIES);
	measure_set(&set);
	if (set_fashion(&set, bench) == 0)
		measure_set(&set);
}

int main(int argument_count, char **arguments)
{
	return bench_main("auto", argument_count, arguments, run);
}
