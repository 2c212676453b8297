/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of searches, kept for all processes in the control segment.
 *
 * idea
 *	A search is asked for by a hash over its query, all its parameters and
 *	the history up to its snapshot; shm/cache.h has what was answered.  A
 *	store is made with a cache or without; without, nothing here costs more
 *	than a look at a number.
 *
 * key
 *	The query's floats, k, the filters, the threshold, what is left
 *	out, the strategy and its width, and whether it is exact; the kernels,
 *	since theirs differ in the last bits; and the chain hash of the
 *	snapshot's commit.  Commit numbers alone repeat, when a backup is
 *	restored while the control segment stays; chain hashes do not.
 *
 * what is kept
 *	Answers of up to CACHE_HITS hits, for k up to that.  A read that is
 *	behind the newest commit is answered, but keeps nothing: its answers
 *	would push out those that are wanted.
 *
 * progress
 *	No system call.  The clock, which a filter of system calls may take
 *	from the process, is looked at only in a store with a time to live or
 *	to idle.
 *
 * crash
 *	The cache is made with the control segment and is worth nothing without
 *	it.  One whose first bytes were written over is not used.
 */
#ifndef CORE_RESULTS_H
#define CORE_RESULTS_H

#include "store.h"

/* A search as the cache knows it. */
struct results_ask {
	struct cache_ask ask;
	uint32_t k;
	int is_wanted; /* 0: it is neither looked for nor kept */
};

/* Bytes of the control file that the store's cache takes up; 0: none. */
uint64_t results_bytes(const cop_store *store);

/*
 * Makes the cache in a new control file, and maps it; or maps what is there.
 * Returns	0; EBADMSG if the file is too short, ENOSPC, or an errno.
 */
int results_create(cop_store *store, int fd);
int results_attach(cop_store *store, int fd);
void results_detach(cop_store *store);

/* Nothing that was answered so far is to be found any more. */
void results_clear(cop_store *store);

void results_stat(const cop_store *store, struct cop_stats *out);

/*
 * Says what is asked for; the search was checked.
 * vector, exclude	the query's, instead of the search's
 */
void results_ask(const cop_read *read, const struct cop_search *wanted,
		 const float *vector, uint64_t exclude,
		 struct results_ask *ask);

/*
 * hits		room for the search's k; touched only with the answer
 * Returns	1 if the answer was there
 */
int results_find(const cop_read *read, const struct results_ask *ask,
		 struct cop_hit *hits, uint32_t *count);

/*
 * Keeps an answer, unless there is a reason not to.
 * flags	CACHE_WARM if nobody has asked for it yet
 * Returns	1 if it was kept
 */
int results_put(const cop_read *read, const struct results_ask *ask,
		const struct cop_hit *hits, uint32_t count, uint32_t flags);

#endif
