/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same searches by every strategy.
 *
 * idea
 *	What a store chooses by itself, COP_AUTO, is worth as much as the best
 *	of what it could have chosen.  So each strategy is told to answer the
 *	same queries: recall against the truth among the rows that the filters
 *	let through, then rates, in rounds of small slices by turns, each round
 *	from another query on.  Medians are reported, and of auto's rate to
 *	each strategy's the median of the rounds' quotients.  Searches make no
 *	system call, so the time that counts is the processor's.
 *
 *	A strategy that a store refuses, since it was made without what that
 *	takes, is left out.
 */
#include "bench_ways.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_clock.h"

const struct way ways[] = {
    {"auto", COP_AUTO},
    {"scan", COP_SCAN},
    {"hnsw", COP_HNSW},
    {"lsh", COP_LSH},
    {"hierarchical", COP_HIERARCHICAL},
    {"kdtree", COP_KDTREE},
};
const size_t way_count = sizeof ways / sizeof ways[0];
static_assert(sizeof ways / sizeof ways[0] <= WAYS_MAX, "a trial has room");

static const double recall_wanted = 0.95;
static const double factor_wanted = 0.9;

/* ---- truth -------------------------------------------------------------- */

static int row_passes(const struct trial *trial, size_t row)
{
	return trial->passes == NULL || trial->passes[row];
}

/* Rows that pass, one after the other; place: of each in there. */
static struct bench_matrix passing_rows(const struct trial *trial,
					uint32_t *place)
{
	const struct bench_matrix *all = &trial->ann->rows;
	struct bench_matrix out = {NULL, 0, all->columns};
	size_t row;

	for (row = 0; row < all->rows; row++)
		out.rows += (size_t)row_passes(trial, row);
	out.data = bench_alloc((out.rows + 1) * out.columns * sizeof(float));
	out.rows = 0;
	for (row = 0; row < all->rows; row++) {
		place[row] = UINT32_MAX;
		if (!row_passes(trial, row))
			continue;
		memcpy(out.data + out.rows * out.columns,
		       all->data + row * out.columns,
		       out.columns * sizeof(float));
		place[row] = (uint32_t)out.rows++;
	}
	return out;
}

static void find_truth(struct trial *trial)
{
	const struct ann *ann = trial->ann;
	uint32_t *place = bench_alloc(ann->rows.rows * sizeof *place);
	uint32_t *self = bench_alloc(trial->queries->rows * sizeof *self);
	struct bench_matrix passing = passing_rows(trial, place);
	size_t most = passing.rows - (trial->self != NULL);
	size_t query;

	for (query = 0; query < trial->queries->rows; query++)
		self[query] = trial->self == NULL ? UINT32_MAX
						  : place[trial->self[query]];
	trial->hits_wanted = trial->search.k < most ? trial->search.k : most;
	trial->truth =
	    (struct bench_truth){.rows = &passing,
				 .queries = trial->queries,
				 .self = self,
				 .is_cosine = ann->metric == COP_COSINE,
				 .k = trial->hits_wanted};
	bench_truth_init(&trial->truth, ANN_THREADS);
	trial->truth.rows = &ann->rows; /* whose numbers answers are */
	trial->truth.self = NULL;
	free(passing.data);
	free(self);
	free(place);
}

/* ---- asking ------------------------------------------------------------- */

struct asking {
	const struct trial *trial;
	struct cop_search search;
	struct cop_hit *hits;
};

static void asking_open(struct asking *asking, const struct trial *trial,
			size_t way)
{
	asking->trial = trial;
	asking->search = trial->search;
	asking->search.size = sizeof asking->search;
	asking->search.strategy = ways[way].strategy;
	asking->hits = bench_alloc(trial->search.k * sizeof *asking->hits);
}

static cop_err ask(struct asking *asking, size_t query, uint32_t *count)
{
	const struct trial *trial = asking->trial;

	asking->search.vector =
	    trial->queries->data + query * trial->queries->columns;
	if (trial->self != NULL)
		asking->search.exclude = trial->ann->id_of[trial->self[query]];
	return cop_search(trial->ann->read, &asking->search, asking->hits,
			  count);
}

/* ---- recall ------------------------------------------------------------- */

static void note_way(struct trial *trial,
		     const struct cop_search_report *report)
{
	size_t way;

	for (way = WAY_AUTO + 1; way < way_count; way++)
		trial->took[way] += report->strategy == ways[way].strategy;
	trial->listed += report->listed != 0;
}

/* Hits that the filters do not let through end the benchmark. */
static size_t count_hits(const struct trial *trial, const struct asking *asking,
			 size_t query, uint32_t count, uint32_t *rows)
{
	uint32_t at;

	for (at = 0; at < count; at++) {
		rows[at] = trial->ann->row_of[asking->hits[at].id];
		if (!row_passes(trial, rows[at]))
			bench_fail("%s: a hit that does not match",
				   trial->subject);
	}
	return bench_truth_hits(&trial->truth, query, rows, count);
}

static double recall_of(struct trial *trial, size_t way)
{
	uint32_t *rows = bench_alloc(trial->search.k * sizeof *rows);
	struct cop_search_report report = {.size = sizeof report};
	struct asking asking;
	size_t hits = 0;
	size_t query;
	cop_err error = 0;

	asking_open(&asking, trial, way);
	asking.search.report = &report;
	for (query = 0; query < trial->queries->rows; query++) {
		uint32_t count = 0;

		error = ask(&asking, query, &count);
		if (error == COP_INVALID && way != WAY_AUTO)
			break; /* not of this store */
		bench_check("cop_search", error);
		trial->short_ones += count < trial->hits_wanted;
		if (way == WAY_AUTO)
			note_way(trial, &report);
		hits += count_hits(trial, &asking, query, count, rows);
	}
	free(asking.hits);
	free(rows);
	return error ? NAN
		     : (double)hits /
			   (double)(trial->queries->rows * trial->hits_wanted);
}

/* ---- rates -------------------------------------------------------------- */

static double median_of(const double *values, size_t count)
{
	static struct bench_series series;
	size_t index;

	series.count = 0;
	for (index = 0; index < count; index++)
		bench_series_add(&series, values[index]);
	return bench_series_median(&series);
}

/* Queries a second of processor time. */
static double rate_of(const struct trial *trial, size_t way, size_t first,
		      double seconds)
{
	struct asking asking;
	uint64_t start_ns;
	uint64_t cpu_ns;
	size_t number = 0;

	asking_open(&asking, trial, way);
	start_ns = bench_now_ns();
	cpu_ns = bench_cpu_ns();
	do {
		uint32_t count = 0;

		bench_check("cop_search",
			    ask(&asking,
				(first + number++) % trial->queries->rows,
				&count));
	} while (bench_seconds_since(start_ns) < seconds);
	cpu_ns = bench_cpu_ns() - cpu_ns;
	free(asking.hits);
	return (double)number * 1e9 / (double)cpu_ns;
}

static void measure_rates(struct trial *trial, double seconds)
{
	double rates[WAYS_MAX][WAYS_ROUNDS];
	double factors[WAYS_ROUNDS];
	size_t round;
	size_t turn;
	size_t way;

	for (round = 0; round < trial->round_count; round++)
		for (turn = 0; turn < way_count; turn++) {
			way = (turn + round) % way_count;
			if (!isnan(trial->recall[way]))
				rates[way][round] =
				    rate_of(trial, way, round * 7919, seconds);
		}
	for (way = 0; way < way_count; way++) {
		if (isnan(trial->recall[way]))
			continue;
		for (round = 0; round < trial->round_count; round++)
			factors[round] =
			    rates[WAY_AUTO][round] / rates[way][round];
		trial->rate[way] = median_of(rates[way], trial->round_count);
		trial->factor[way] = median_of(factors, trial->round_count);
	}
}

void trial_run(struct trial *trial)
{
	int is_quick = trial->ann->bench->quick;
	size_t way;

	find_truth(trial);
	for (way = 0; way < way_count; way++)
		trial->recall[way] = recall_of(trial, way);
	trial->round_count = is_quick ? 3 : WAYS_ROUNDS;
	measure_rates(trial, is_quick ? 0.003 : 0.03);
	bench_truth_release(&trial->truth);
}

/* ---- judging ------------------------------------------------------------ */

/* The fastest of what is as good as is wanted, or as auto. */
static size_t fastest(const struct trial *trial)
{
	size_t best = WAY_AUTO;
	size_t way;

	for (way = 0; way < way_count; way++) {
		double recall = trial->recall[way];

		if (isnan(recall) || (recall < recall_wanted &&
				      recall < trial->recall[WAY_AUTO]))
			continue;
		if (trial->factor[way] < trial->factor[best])
			best = way;
	}
	return best;
}

static int is_slow(const struct trial *trial)
{
	return trial->factor[fastest(trial)] < factor_wanted;
}

static int is_poor(const struct trial *trial)
{
	return trial->recall[WAY_AUTO] < recall_wanted;
}

/* ---- telling ------------------------------------------------------------ */

/* The way that auto took, most often; "78 % hnsw" if not always. */
static void tell_way(const struct trial *trial, char out[32])
{
	size_t queries = trial->queries->rows;
	size_t most = WAY_AUTO + 1;
	const char *name;
	size_t way;

	for (way = most; way < way_count; way++)
		if (trial->took[way] > trial->took[most])
			most = way;
	name = ways[most].strategy == COP_SCAN && trial->listed != 0
		   ? "list"
		   : ways[most].name;
	if (trial->took[most] == queries)
		snprintf(out, 32, "%s", name);
	else
		snprintf(out, 32, "%zu %% %s",
			 trial->took[most] * 100 / queries, name);
}

void tally_begin(struct tally *tally)
{
	size_t way;

	*tally = (struct tally){0};
	printf("  %-38s %9s", "", "auto took");
	for (way = 0; way < way_count; way++)
		printf(" %9s %6s", ways[way].name, "recall");
	printf("  %s\n", "auto to the best");
}

static void print(const struct trial *trial)
{
	char text[32];
	size_t way;

	tell_way(trial, text);
	printf("  %-38s %9s", trial->subject, text);
	for (way = 0; way < way_count; way++)
		if (isnan(trial->recall[way]))
			printf(" %9s %6s", "-", "-");
		else
			printf(" %9s %6.4f",
			       bench_number(trial->rate[way], text),
			       trial->recall[way]);
	printf("  %.2f%s%s%s\n", trial->factor[fastest(trial)],
	       is_slow(trial) ? " SLOW" : "", is_poor(trial) ? " POOR" : "",
	       trial->short_ones ? " SHORT" : "");
	fflush(stdout);
}

static void add(const struct trial *trial, const char *what, size_t way,
		double value, const char *unit)
{
	char metric[BENCH_TEXT_BYTES];

	snprintf(metric, sizeof metric, "%s_%s", what, ways[way].name);
	bench_add_point(trial->ann->bench, trial->subject, "coppice", metric,
			value, unit);
}

static void add_all(const struct trial *trial)
{
	size_t way;

	for (way = 0; way < way_count; way++) {
		if (isnan(trial->recall[way]))
			continue;
		add(trial, "recall", way, trial->recall[way], "");
		add(trial, "qps", way, trial->rate[way], "1/s");
		if (way != WAY_AUTO)
			add(trial, "took", way,
			    (double)trial->took[way] /
				(double)trial->queries->rows,
			    "");
	}
	bench_add_point(trial->ann->bench, trial->subject, "coppice",
			"auto_to_best", trial->factor[fastest(trial)], "x");
	bench_add_point(trial->ann->bench, trial->subject, "coppice",
			"short_answers", (double)trial->short_ones, "");
}

void tally_add(struct tally *tally, const struct trial *trial)
{
	print(trial);
	add_all(trial);
	tally->count++;
	tally->slow += (size_t)is_slow(trial);
	tally->poor += (size_t)is_poor(trial);
	tally->with_short += trial->short_ones != 0;
}

void tally_report(const struct tally *tally, const struct ann *ann)
{
	ann_add(ann, ANN_COPPICE, "cases", (double)tally->count, "");
	ann_add(ann, ANN_COPPICE, "cases_10_percent_slower",
		(double)tally->slow, "");
	ann_add(ann, ANN_COPPICE, "cases_below_recall_0.95",
		(double)tally->poor, "");
	ann_add(ann, ANN_COPPICE, "cases_with_too_few_hits",
		(double)tally->with_short, "");
}
