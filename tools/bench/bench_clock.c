/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, and series of measured values.
 *
 * idea
 *	A shared machine's speed wanders by tens of percent.  What is compared
 *	is therefore measured in alternating rounds, and medians over the
 *	rounds are reported.
 */
#include "bench_clock.h"

#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_seconds_since(uint64_t start_ns)
{
	return (double)(bench_now_ns() - start_ns) / 1e9;
}

void bench_series_add(struct bench_series *series, double value)
{
	if (series->count < BENCH_SERIES_MAX)
		series->value[series->count++] = value;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return a < b ? -1 : a > b;
}

double bench_series_quantile(struct bench_series *series, double quantile)
{
	size_t index;

	if (series->count == 0)
		return 0;
	qsort(series->value, series->count, sizeof series->value[0], compare);
	index = (size_t)(quantile * (double)series->count);
	return series->value[index < series->count ? index : series->count - 1];
}

double bench_series_median(struct bench_series *series)
{
	return bench_series_quantile(series, 0.5);
}
