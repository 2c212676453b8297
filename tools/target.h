/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is written whole or not at all; target.c. */
#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include "fault.h"

#include <limits.h>

/* What is written. */
struct target_kind {
	const char *what;   /* as people call it */
	const char *begins; /* what every file of it begins with */
	unsigned mode;	    /* permissions of the file */
};

struct target {
	const char *name; /* "-": standard output */
	const struct target_kind *kind;
	char path[PATH_MAX];  /* what the name leads to */
	char fresh[PATH_MAX]; /* where it is written; "": at its own name */
	int fd;
	int replaces; /* a file of that name may be replaced */
};

/*
 * Begins a file.  "-" is standard output; what is there and is no file (a
 * device, a named pipe) is written to as it is.  A file that is there is
 * replaced if that is wanted and it is of that kind, or empty; where the name
 * is a link, what it leads to is.  What lies in a store is refused.
 * Returns 0 or an exit status.
 */
int target_open(struct target *target, const char *name,
		const struct target_kind *kind, int replaces,
		struct fault *fault);

/* Sets the fault from an errno met while it was written; its exit status. */
int target_fault(const struct target *target, int number, struct fault *fault);

/* It is complete: on disk and under its name when this returns. */
int target_keep(struct target *target, struct fault *fault);

/* Closes it; what was not kept is removed. */
void target_close(struct target *target);

#endif
