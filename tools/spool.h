/* SPDX-License-Identifier: Apache-2.0 */
/* Edges that wait in a file of no name, to be put in another order; spool.c. */
#ifndef TOOLS_SPOOL_H
#define TOOLS_SPOOL_H

#include "edgepack.h"

struct spool_entry {
	uint64_t order;
	uint64_t at; /* in the file */
};

/* A part of the file, before it is written. */
struct spool_block {
	struct edgepack edges;
	uint64_t at;
};

struct spool {
	/* chosen by the caller, the rest zero */
	const char *folder; /* of the file */
	/* Where an edge comes, of which nothing but the ends is known.  Called
	   by a thread, of which there is one at a time. */
	int (*order)(void *user, const struct cop_put_edge *edge, uint64_t *out,
		     struct fault *fault);
	/* no more come for now; by the same thread */
	void (*ordered)(void *user);
	void *user;
	/* the spool's own */
	int is_open;
	int fd;
	struct spool_block filling;
	struct spool_block under_way; /* the thread writes it */
	int is_under_way;
	pthread_t thread;
	struct fault fault; /* the thread's */
	struct spool_entry *entries;
	size_t count, room;	  /* without what is being filled */
	const unsigned char *map; /* of the file; NULL: not sorted yet */
	struct scratch scratch;
};

/*
 * Adds an edge, a copy of all that it points to, to a spool that is not sorted
 * yet.  A fault may be of one that was added before.  Returns 0 or an exit
 * status.
 */
int spool_add(struct spool *spool, const struct place *place,
	      const struct cop_put_edge *edge, struct fault *fault);

/* Bytes that the edges take in the file. */
uint64_t spool_bytes(const struct spool *spool);

/*
 * Waits for the thread and sorts; those of the same order stay as they came.
 * Returns 0 or an exit status.
 */
int spool_sort(struct spool *spool, struct fault *fault);

/*
 * Number `index` of a sorted one.  Lifetime of what the edge points to: until
 * the next call for any.  Returns 0 or an exit status.
 */
int spool_read(struct spool *spool, size_t index, struct place *place,
	       struct cop_put_edge *edge, struct fault *fault);

/* Drops all that is in it. */
int spool_clear(struct spool *spool, struct fault *fault);

void spool_release(struct spool *spool);

#endif
