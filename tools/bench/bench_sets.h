/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sets of vectors that searches are measured with.  See bench_sets.c.
 */
#ifndef BENCH_SETS_H
#define BENCH_SETS_H

#include "bench_ann.h"

/* rows x dim near a plane of 16 dimensions, and queries drawn with them; L2 */
void set_generated(struct ann *ann, struct bench *bench, size_t rows,
		   size_t dim, size_t queries);

/*
 * Sets of the test data.
 * Returns	0, or -1 where the data is missing; a note says so
 */
int set_fashion(struct ann *ann, struct bench *bench);
int set_lsa(struct ann *ann, struct bench *bench);
int set_brief(struct ann *ann, struct bench *bench);

/* Frees what ann's rows, queries and self point to. */
void set_release(struct ann *ann);

#endif
