/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way into the store, some commits at a time; batch.c. */
#ifndef TOOLS_BATCH_H
#define TOOLS_BATCH_H

#include "fault.h"

#include <pthread.h>

/* Where a record stands: a line of a text file or a row of vectors. */
struct place {
	const char *file; /* NULL: nowhere */
	uint64_t number;
	int is_row;
};

/* What goes into one commit, and where each of its operations stands. */
struct load {
	cop_write *write;
	struct place *places;
	size_t count, room;
	size_t contents;   /* of those, for an entity that another one puts */
	int follows;	   /* more commits come of what was read by then */
	struct place last; /* up to which all is in the store then */
	/* of its commit */
	struct cop_result result;
	struct fault fault;
};

struct batch {
	/* chosen by the caller, the rest zero */
	cop_store *store; /* of which batch_begin() begins writes */
	cop_write *write; /* the one that is filled: the caller's, or those */
	int ahead;	  /* it is filled while another is committed */
	/* operations and their bytes, when it is time to commit; SIZE_MAX: all
	   in one */
	size_t record_max;
	size_t byte_max;
	int lazy; /* commits are COP_LAZY */
	/* called before each commit is begun, to add to `write`, its write;
	   NULL: nothing is */
	int (*seal)(void *user, struct fault *fault);
	void *user;
	uint32_t threads; /* that link vectors, 0: 1 */
	/* changed by a caller who adds in another order than the input's: more
	   of the same comes in another commit; and what batch_add() says last
	 */
	int follows;
	struct place last;
	/* the batch's own */
	struct load filling;
	struct load under_way; /* being committed by the thread */
	int is_under_way;      /* there is something */
	pthread_t thread;
	struct place done; /* the last one up to which all is committed */
	int is_torn;	   /* some of what comes next is, too */
	uint64_t commit;   /* the newest commit's number */
	uint64_t commits;
	struct cop_result total; /* sums over all commits */
};

/* Begins the first write of batch->store, NULL: the caller's is there. */
int batch_begin(struct batch *batch, struct fault *fault);

/* Drops what no commit was begun for, and begins that write anew. */
int batch_restart(struct batch *batch, struct fault *fault);

/* Says where the operation stands that has just been added to the write. */
int batch_add(struct batch *batch, const struct place *place,
	      struct fault *fault);

/* The same if it gives content to an entity that another one puts. */
int batch_add_content(struct batch *batch, const struct place *place,
		      struct fault *fault);

/* Operations that no commit was begun for. */
size_t batch_count(const struct batch *batch);

/* Whether it is time to commit. */
int batch_is_full(const struct batch *batch);

/*
 * Has what was added committed, ahead by a thread, after what was passed
 * before is: a fault may be of that.
 */
int batch_pass(struct batch *batch, struct fault *fault);

/*
 * Commits all there is, and waits for it; a fault names the place of the
 * operation that caused it.
 */
int batch_commit(struct batch *batch, struct fault *fault);

/* The same, unless there is nothing to commit. */
int batch_finish(struct batch *batch, struct fault *fault);

/* Waits for what was passed; the rest is dropped with the batch. */
int batch_settle(struct batch *batch, struct fault *fault);

/* After batch_commit or batch_settle. */
void batch_release(struct batch *batch);

/* "FILE:LINE" or "FILE: row N" into `out`. */
void place_text(const struct place *place, char *out, size_t room);

#endif
