/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recall against throughput.
 *
 * idea
 *	The width of a walk, ef, buys recall with time, and means something
 *	else in each system; so systems are compared at equal recall.  Recall
 *	is measured once a width, over all queries.  Rates are measured in
 *	rounds: in each, every width, and at each width both systems one right
 *	after the other, so that both see the same noise; the process is bound
 *	to one processor.
 *
 *	The rate at a given recall lies on a straight line between two widths,
 *	log rate over log (1 - recall), in each round by itself; so does the
 *	ratio, of the two systems' rates of one round.  Medians are reported.
 *	A recall that the narrowest width exceeds is given that width's rate,
 *	one that the widest does not reach is left out.
 */
#include "bench_sweep.h"

#include <math.h>
#include <stdio.h>

#include "bench_clock.h"

enum { ROUNDS = 3 };

static const double slice_seconds = 0.3;
static const double targets[] = {0.95, 0.99, 0.999};

static double recall_at(const struct ann *ann, enum ann_system system,
			uint32_t ef)
{
	uint32_t rows[ANN_K];
	size_t hits = 0;
	size_t query;

	if (system == ANN_HNSWLIB)
		bench_peer.set_ef(ann->peer, ef);
	for (query = 0; query < ann->queries.rows; query++) {
		size_t count = ann_ask(ann, system, ef, query, rows);

		hits += bench_truth_hits(&ann->truth, query, rows, count);
	}
	return (double)hits / (double)(ann->queries.rows * ANN_K);
}

static double median_of(const double *values, size_t count)
{
	static struct bench_series series;
	size_t index;

	series.count = 0;
	for (index = 0; index < count; index++)
		bench_series_add(&series, values[index]);
	return bench_series_median(&series);
}

static void measure_recall(struct ann *ann, enum ann_system system)
{
	size_t point;

	ann->ef_good[system] = 0;
	for (point = 0; point < ann->point_count; point++) {
		double recall = recall_at(ann, system, ann_efs[point]);

		ann->recall[system][point] = recall;
		if (recall >= 0.99 && ann->ef_good[system] == 0)
			ann->ef_good[system] = ann_efs[point];
	}
	if (ann->ef_good[system] == 0)
		ann->ef_good[system] = ann_efs[ann->point_count - 1];
}

static void measure_round(struct ann *ann, size_t round, double seconds)
{
	size_t point;
	int turn;

	for (point = 0; point < ann->point_count; point++)
		for (turn = 0; turn < ANN_SYSTEMS; turn++) {
			/* who goes first changes with the round */
			enum ann_system system = (enum ann_system)(
			    (turn + (int)(round % 2)) % ANN_SYSTEMS);
			size_t first = (round * 31 + point) * 7919;

			if (ann_has(ann, system))
				ann->rate[system][point][round] =
				    ann_rate(ann, system, ann_efs[point], first,
					     seconds);
		}
}

/* The rate at a recall, in one round; NAN if it is not reached. */
static double rate_at(const struct ann *ann, enum ann_system system,
		      size_t round, double target)
{
	const double *recall = ann->recall[system];
	double least = 0.5 / (double)(ann->queries.rows * ANN_K);
	size_t point;

	if (recall[0] >= target)
		return ann->rate[system][0][round];
	for (point = 1; point < ann->point_count; point++)
		if (recall[point] >= target)
			break;
	if (point == ann->point_count)
		return NAN;
	{
		double from = log(1 - recall[point - 1]);
		double to = log(fmax(1 - recall[point], least));
		double share = (log(1 - target) - from) / (to - from);
		double low = log(ann->rate[system][point - 1][round]);
		double high = log(ann->rate[system][point][round]);

		return exp(low + share * (high - low));
	}
}

static void report_target(const struct ann *ann, double target)
{
	double rates[ANN_SYSTEMS][ANN_ROUNDS];
	double ratios[ANN_ROUNDS];
	char metric[BENCH_TEXT_BYTES];
	size_t round;
	int index;

	for (index = 0; index < ANN_SYSTEMS; index++) {
		enum ann_system system = (enum ann_system)index;

		for (round = 0; round < ann->round_count; round++)
			rates[system][round] =
			    ann_has(ann, system)
				? rate_at(ann, system, round, target)
				: NAN;
		if (isnan(rates[system][0]))
			continue;
		if (ann->recall[system][0] >= target)
			bench_note("%s, %s: %g is below its least recall",
				   ann->name, ann_names[system], target);
		snprintf(metric, sizeof metric, "qps_at_recall_%g", target);
		ann_add(ann, system, metric,
			median_of(rates[system], ann->round_count), "1/s");
	}
	for (round = 0; round < ann->round_count; round++)
		ratios[round] =
		    rates[ANN_COPPICE][round] / rates[ANN_HNSWLIB][round];
	if (isnan(ratios[0]))
		return;
	snprintf(metric, sizeof metric, "ratio_at_recall_%g", target);
	ann_add(ann, ANN_COPPICE, metric, median_of(ratios, ann->round_count),
		"x");
}

static void report_points(const struct ann *ann, enum ann_system system)
{
	size_t point;

	for (point = 0; point < ann->point_count; point++) {
		double recall = ann->recall[system][point];
		double rate =
		    median_of(ann->rate[system][point], ann->round_count);
		char metric[BENCH_TEXT_BYTES];

		bench_note("%s, %s, ef %u: recall %.4f, %.0f a second",
			   ann->name, ann_names[system], ann_efs[point], recall,
			   rate);
		snprintf(metric, sizeof metric, "recall_ef_%u", ann_efs[point]);
		bench_add_point(ann->bench, ann->name, ann_names[system],
				metric, recall, "");
		snprintf(metric, sizeof metric, "qps_ef_%u", ann_efs[point]);
		bench_add_point(ann->bench, ann->name, ann_names[system],
				metric, rate, "1/s");
	}
}

void ann_sweep(struct ann *ann)
{
	double seconds = ann->bench->quick ? slice_seconds / 6 : slice_seconds;
	size_t round;
	size_t index;

	ann->point_count = ANN_POINTS;
	ann->round_count = ann->bench->quick ? 1 : ROUNDS;
	ann_pin(0);
	for (index = 0; index < ANN_SYSTEMS; index++)
		if (ann_has(ann, (enum ann_system)index))
			measure_recall(ann, (enum ann_system)index);
	for (round = 0; round < ann->round_count; round++)
		measure_round(ann, round, seconds);
	ann_pin(-1);
	for (index = 0; index < ANN_SYSTEMS; index++)
		if (ann_has(ann, (enum ann_system)index)) {
			report_points(ann, (enum ann_system)index);
			ann_add(ann, (enum ann_system)index,
				"ef_at_recall_0.99",
				(double)ann->ef_good[index], "");
		}
	for (index = 0; index < sizeof targets / sizeof targets[0]; index++)
		report_target(ann, targets[index]);
}
