/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same searches by every strategy.  See bench_ways.c.
 */
#ifndef BENCH_WAYS_H
#define BENCH_WAYS_H

#include "bench_ann.h"

enum { WAYS_MAX = 8, WAY_AUTO = 0, WAYS_ROUNDS = 9 };

struct way {
	const char *name;
	int32_t strategy;
};

/* The first is what a store chooses by itself, then all it can be told. */
extern const struct way ways[];
extern const size_t way_count; /* up to WAYS_MAX */

struct trial {
	/* set by the caller */
	const struct ann *ann; /* filled */
	const char *subject;   /* the case */
	const struct bench_matrix *queries;
	const uint32_t *self;	     /* as of struct ann */
	struct cop_search search;    /* k, the filters */
	const unsigned char *passes; /* a row, 1: the filters let it; NULL:
					all */

	/* set by trial_run */
	struct bench_truth truth;
	size_t round_count;
	size_t hits_wanted;    /* a query: k, or all that pass */
	size_t short_ones;     /* queries with fewer hits than that */
	size_t took[WAYS_MAX]; /* queries that auto answered this way */
	size_t listed;	       /* by ranking a list of matches */
	double recall[WAYS_MAX];
	double rate[WAYS_MAX]; /* queries a second */
	double
	    factor[WAYS_MAX]; /* auto's rate to this one's, of equal rounds */
};

void trial_run(struct trial *trial);

/* Over the trials of a set. */
struct tally {
	size_t count;
	size_t slow;	   /* auto is 10 % slower than the best */
	size_t poor;	   /* its recall is below 0.95 */
	size_t with_short; /* some answer had fewer hits than there are */
};

/* Prints a trial as a line, and adds its figures to the benchmark's rows. */
void tally_begin(struct tally *tally);
void tally_add(struct tally *tally, const struct trial *trial);
void tally_report(const struct tally *tally, const struct ann *ann);

#endif
