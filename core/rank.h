/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranking: the hits of one query, and how a row becomes one.
 *
 * idea
 *	However a row was found, its coded distance is a hint.  Here it is read
 *	whole under its own lock, asked whether the snapshot sees it and the
 *	filters let it pass, and measured by its full row; with `exact`, by the
 *	float32 in LMDB.  The caller's array of hits is the heap, so nothing is
 *	allocated.
 *
 * order
 *	Hits are ordered by distance, then by id.
 *
 * progress
 *	No allocation, no system call.  A row that is being written is, by the
 *	rule of limbo.h, visible to no open snapshot: after a few tries it is
 *	passed over.
 */
#ifndef CORE_RANK_H
#define CORE_RANK_H

#include "sift.h"

/* What is the same for all queries of a call. */
struct search {
	cop_read *read;
	const struct cop_search *wanted;
	const struct kernel *kernel;
	struct sift *sift;
	double relative; /* how far a full row may be from its vector */
};

/* One query's part. */
struct ranking {
	const struct search *search;
	struct query_code query;
	const float *vector;
	uint64_t exclude;
	struct cop_hit *hits;
	uint32_t count;
	double limit; /* nothing beyond it can become a hit */
};

/* Empty, for a query; see cop_search for the vector and the hits. */
void ranking_init(struct ranking *ranking, const struct search *search,
		  const float *vector, uint64_t exclude, struct cop_hit *hits);

/* Empty once more, for the same query. */
void ranking_again(struct ranking *ranking);

/* Makes a row a hit, if it is one. */
cop_err ranking_row(struct ranking *ranking, uint32_t row,
		    const struct bank_line *line);

/*
 * Of a read of the past: what was touched since its moment, as it was then.
 * Exact, whatever the search; costs a look at each of these.
 */
cop_err ranking_past(struct ranking *ranking);

/* The pool of a walk, as far as it may hold hits. */
cop_err ranking_pool(struct ranking *ranking, const struct hnsw_room *room);

/* The hits in their order; at the end. */
void ranking_sort(struct ranking *ranking);

#endif
