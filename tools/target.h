/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is written whole or not at all; target.c. */
#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include "fault.h"

#include <limits.h>

struct target {
	const char *name;     /* "-": standard output */
	char fresh[PATH_MAX]; /* where it is written; "": at its own name */
	int fd;
	int replaces; /* a file of that name may be replaced */
};

/*
 * Begins a file.  "-" is standard output; what is there and is no file (a
 * device, a named pipe) is written to as it is.
 * Returns 0 or an exit status.
 */
int target_open(struct target *target, const char *name, int replaces,
		struct fault *fault);

/* It is complete: on disk and under its name when this returns. */
int target_keep(struct target *target, struct fault *fault);

/* Closes it; what was not kept is removed. */
void target_close(struct target *target);

#endif
