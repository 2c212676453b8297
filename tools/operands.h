/* SPDX-License-Identifier: Apache-2.0 */
/* The files that an import is given; operands.c. */
#ifndef TOOLS_OPERANDS_H
#define TOOLS_OPERANDS_H

#include "fault.h"

struct operands {
	char **items; /* a file each, or HEADER,FILE,... */
	int count;
};

/*
 * What the words name: a pattern that is no file, those that it matches, in
 * order of their names.  A folder is refused.  Returns 0 or an exit status.
 */
int operands_find(struct operands *operands, char *const *words, int count,
		  struct fault *fault);

/* Whether an operand is HEADER,FILE,... */
int operands_is_list(const char *operand);

/* Calls `visit` for each file, until it returns non-zero; returns that. */
int operands_each(const struct operands *operands,
		  int (*visit)(void *user, const char *path), void *user);

/* The bytes of all of them, 0 if that is not known. */
uint64_t operands_bytes(const struct operands *operands);

/* Allowed on one that is all zero. */
void operands_release(struct operands *operands);

#endif
