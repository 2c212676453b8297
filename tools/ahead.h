/* SPDX-License-Identifier: Apache-2.0 */
/* A packed file, read and unpacked by a thread; ahead.c. */
#ifndef TOOLS_AHEAD_H
#define TOOLS_AHEAD_H

#include "fault.h"

struct ahead;

/*
 * Begins to unpack (enum unpack_kind) a file, from which `size` bytes were
 * read already; at most `limit` further ones are read.  `name` is for messages
 * and stays the caller's.  Returns 0 or an exit status.
 */
int ahead_start(struct ahead **out, int fd, int kind, uint64_t limit,
		const unsigned char *data, size_t size, const char *name,
		struct fault *fault);

/*
 * Waits for the next bytes, none at the end; *raw_bytes were read from the
 * file for all so far.  A fault comes when what was unpacked before it has
 * been taken.  Lifetime: until the next call.
 */
int ahead_next(struct ahead *ahead, const unsigned char **data, size_t *size,
	       uint64_t *raw_bytes, struct fault *fault);

/* At any time; allowed on NULL. */
void ahead_stop(struct ahead *ahead);

#endif
