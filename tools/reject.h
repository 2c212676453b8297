/* SPDX-License-Identifier: Apache-2.0 */
/* Records that an import refused, in a file; reject.c. */
#ifndef TOOLS_REJECT_H
#define TOOLS_REJECT_H

#include "batch.h"

#include <stdio.h>

struct reject {
	FILE *file; /* NULL: nobody wants them */
	const char *name;
};

/* Opens a file to append to.  Returns 0 or an exit status. */
int reject_open(struct reject *reject, const char *name, struct fault *fault);

/* Whether a file that is there is the one that is written. */
int reject_is(const struct reject *reject, const char *path);

/*
 * Adds a record: where it stands, what is wrong with it, and its text as it
 * was, NULL if its format has none.  Returns 0 or an exit status.
 */
int reject_put(struct reject *reject, const struct place *place,
	       const char *error, const char *text, size_t size,
	       struct fault *fault);

/* Allowed on one that is all zero.  Returns 0 or an exit status. */
int reject_close(struct reject *reject, struct fault *fault);

#endif
