/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters of a search: which entities may be hits.
 *
 * idea
 *	A row's header has its type and a signature of its tags, so most rows
 *	are told by a look at a line that is read anyway; a tag is then asked
 *	of LMDB, which knows it exactly, for what would become a hit.  What a
 *	header cannot tell, the beginning of a key or a neighbourhood in the
 *	graph of edges, is worked out first, as a bit for each entity.
 *
 *	How many match decides how a search goes: few are listed and ranked
 *	one by one, for many the vector graph is walked.  Their share is
 *	estimated from rows spread over the bank.
 *
 * progress
 *	Type, tags and the caller's own test: no allocation, no system call.
 *	A prefix or a neighbourhood allocates.
 *
 * past
 *	A row is of the newest, so a read of the past lets pass only rows of
 *	entities that were not touched since its moment; the others are asked
 *	about one by one (rank.h).
 *
 * limits
 *	SIFT_LIST matches are listed at most; beyond that walking is cheaper,
 *	measured.
 */
#ifndef CORE_SIFT_H
#define CORE_SIFT_H

#include "store.h"

struct sift {
	struct hnsw_sieve sieve;
	cop_read *read;
	const struct cop_search *wanted;
	uint32_t tags[COP_FILTER_TAGS];
	uint32_t tag_count;
	uint32_t is_any;       /* one of the tags is enough */
	uint32_t is_filtered;  /* not every row may be a hit */
	uint32_t is_listed;    /* read->listed has all that match */
	uint32_t listed_count; /* and perhaps more */
	double share;	       /* of the rows, estimated, if not listed */
	uint64_t *entities;    /* the sieve's */
	uint64_t *allowed;     /* of a read of the past: entities, those
				  touched since too; NULL: any */
};

/*
 * Works out the filters of a search.
 * none		set to 1 if nothing can match
 */
cop_err sift_init(struct sift *sift, cop_read *read,
		  const struct cop_search *wanted, int *none);
void sift_release(struct sift *sift);

/*
 * Whether an entity passes all filters by what it was at the read's moment:
 * of a read of the past, for what was touched since.
 */
cop_err sift_entity(const struct sift *sift, uint64_t id, int *passes);

/* Whether an entity whose row has passed the sieve has the tags. */
cop_err sift_tags(const struct sift *sift, uint64_t id, int *has);

#endif
