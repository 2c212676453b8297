/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way into the store, a commit at a time; batch.c. */
#ifndef TOOLS_BATCH_H
#define TOOLS_BATCH_H

#include "fault.h"

/* Where a record stands: a line of a text file or a row of vectors. */
struct place {
	const char *file; /* NULL: nowhere */
	uint64_t number;
	int is_row;
};

struct batch {
	/* chosen by the caller, the rest zero */
	cop_write *write;
	size_t record_max; /* operations of a commit, SIZE_MAX: all in one */
	size_t byte_max;
	int lazy;	  /* commits are COP_LAZY */
	uint32_t threads; /* that link vectors, 0: 1 */
	/* the batch's own */
	struct place *places; /* of each operation in the write */
	size_t count, room;
	struct place done; /* the last one that was committed */
	uint64_t commit;   /* the newest commit's number */
	uint64_t commits;
	struct cop_result total; /* sums over all commits */
};

/* Says where the operation stands that has just been added to the write. */
int batch_add(struct batch *batch, const struct place *place,
	      struct fault *fault);

/* Whether it is time to commit. */
int batch_is_full(const struct batch *batch);

/* Commits; a fault names the place of the operation that caused it. */
int batch_commit(struct batch *batch, struct fault *fault);

void batch_release(struct batch *batch);

/* "FILE:LINE" or "FILE: row N" into `out`. */
void place_text(const struct place *place, char *out, size_t room);

#endif
