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
	size_t contents; /* of those, for an entity that another one puts */
};

enum { BATCH_PARTS = 37 };

/* What is passed at once: a commit of each part that has something. */
struct loads {
	struct load parts[BATCH_PARTS];
	size_t count;	   /* of all parts */
	struct place last; /* in the order of the input */
	/* of its commits */
	struct cop_result total;
	uint64_t commits;
	struct fault fault;
};

struct batch {
	/* chosen by the caller, the rest zero */
	cop_store *store; /* of which batch_begin() begins writes */
	cop_write *write; /* the one that is filled: the caller's, or those */
	int ahead;	  /* it is filled while another is committed */
	/* operations of a part, and bytes of all of them, when it is time to
	   commit; SIZE_MAX: all in one */
	size_t record_max;
	size_t byte_max;
	int lazy; /* commits are COP_LAZY */
	/* called before each commit is begun, to add to `write`, its write;
	   `follows`: it is of a pass of which more commits come; NULL: nothing
	   is */
	int (*seal)(void *user, int follows, struct fault *fault);
	void *user;
	uint32_t threads; /* that link vectors, 0: 1 */
	/* the batch's own */
	struct loads filling;
	uint32_t part;		/* whose write `write` is, as a rule 0 */
	struct loads under_way; /* being committed by the thread */
	int is_under_way;	/* there is something */
	pthread_t thread;
	struct place done; /* the last one that was committed */
	int is_torn;	   /* of the pass that failed some commits were made */
	uint64_t commit;   /* the newest commit's number */
	uint64_t commits;
	struct cop_result total; /* sums over all commits */
};

/* Begins the first write of batch->store, NULL: the caller's is there. */
int batch_begin(struct batch *batch, struct fault *fault);

/* Drops what no commit was begun for, and begins that write anew. */
int batch_restart(struct batch *batch, struct fault *fault);

/*
 * Has operations added to a part: those of a lower one are committed first.
 * Returns 0 or an exit status.
 */
int batch_turn(struct batch *batch, uint32_t part, struct fault *fault);

/* Drops the first `parts` parts, which are in the store already. */
int batch_skip(struct batch *batch, uint32_t parts, struct fault *fault);

/* Says where the operation stands that has just been added to the write. */
int batch_add(struct batch *batch, const struct place *place,
	      struct fault *fault);

/* The same if it gives content to an entity that another one puts. */
int batch_add_content(struct batch *batch, const struct place *place,
		      struct fault *fault);

/* Operations that no commit was begun for. */
size_t batch_count(const struct batch *batch);

/* Whether it is time to commit, by the part that is added to. */
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
