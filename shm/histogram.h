/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms of spans and sizes, in shared memory.
 *
 * idea
 *	Numbers are counted in buckets whose width grows with them: below 8
 *	each has its own, above there are eight to a power of two, so that a
 *	quantile is off by at most an eighth.  Any thread may add, and a sum of
 *	several histograms is one.
 *
 * source
 *	The log-linear layout of HdrHistogram (Tene 2012), at three bits.
 *
 * progress
 *	histogram_add: wait-free, two atomic additions.
 *
 * crash
 *	Between the two the sum lacks one number.  Nothing ever goes back.
 *
 * limits
 *	From 2^HISTOGRAM_BITS on, 18 minutes in nanoseconds, all are counted in
 *	the last bucket.
 */
#ifndef SHM_HISTOGRAM_H
#define SHM_HISTOGRAM_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
	HISTOGRAM_FINE = 3, /* bits of a number that tell its bucket */
	HISTOGRAM_BITS = 40,
	HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_FINE + 1)
			    << HISTOGRAM_FINE
};

struct histogram {
	/* atomic, any thread */
	_Atomic uint64_t sum;
	_Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Where a number is counted. */
static inline uint32_t histogram_bucket(uint64_t number)
{
	uint32_t octave;

	if (number < 1 << HISTOGRAM_FINE)
		return (uint32_t)number;
	if (number >> HISTOGRAM_BITS)
		return HISTOGRAM_BUCKETS - 1;
	octave = 63 - HISTOGRAM_FINE - (uint32_t)__builtin_clzll(number);
	return (octave << HISTOGRAM_FINE) + (uint32_t)(number >> octave);
}

/* The smallest number that is counted in a bucket. */
static inline uint64_t histogram_least(uint32_t bucket)
{
	uint32_t octave = bucket >> HISTOGRAM_FINE;
	uint64_t fine = bucket & ((1 << HISTOGRAM_FINE) - 1);

	return octave ? (fine | 1 << HISTOGRAM_FINE) << (octave - 1) : fine;
}

/* Counts a number `times` times; relaxed, as all here: they are figures. */
static inline void histogram_add(struct histogram *histogram, uint64_t number,
				 uint64_t times)
{
	atomic_fetch_add_explicit(&histogram->buckets[histogram_bucket(number)],
				  times, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum, number * times,
				  memory_order_relaxed);
}

#endif
