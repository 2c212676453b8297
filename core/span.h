/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long something took, for the figures.
 *
 * A clock costs 20 to 30 ns, so what takes less than a microsecond is timed
 * one in several; where a clock is a system call, nothing is.
 */
#ifndef CORE_SPAN_H
#define CORE_SPAN_H

#include "clock.h"
#include "store.h"

enum { WALKS_TIMED = 16 }; /* one in */

/* 0: it is not to be timed. */
static inline uint64_t span_begin(const cop_store *store)
{
	return store->figures.is_timed ? clock_ns(CLOCK_MONOTONIC) : 0;
}

/* It was done `times` times. */
static inline void span_end(const cop_store *store, enum figure_timing timing,
			    uint64_t since, uint64_t times)
{
	if (since && times)
		figures_time(&store->figures, timing,
			     (clock_ns(CLOCK_MONOTONIC) - since) / times,
			     times);
}

/* A walk or a path is counted, and perhaps timed. */
static inline uint64_t span_walk(cop_read *read)
{
	read_tally(read, TALLY_WALKS, 1);
	return ++read->walks % WALKS_TIMED ? 0 : span_begin(read->store);
}

#endif
