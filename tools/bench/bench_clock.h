/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, and series of measured values.  See bench_clock.c.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_SERIES_MAX = 4096 };

/* Values of one quantity, one a round. */
struct bench_series {
	size_t count;
	double value[BENCH_SERIES_MAX];
};

/* CLOCK_MONOTONIC */
uint64_t bench_now_ns(void);
double bench_seconds_since(uint64_t start_ns);
/* CLOCK_PROCESS_CPUTIME_ID: what others take of the machine is not in it. */
uint64_t bench_cpu_ns(void);

/* Keeps the first BENCH_SERIES_MAX. */
void bench_series_add(struct bench_series *series, double value);
/* A quantile from 0 to 1; 0 of an empty series.  Sorts the series. */
double bench_series_quantile(struct bench_series *series, double quantile);
double bench_series_median(struct bench_series *series);

#endif
