/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relic: the index segment that was in use until another took its place.
 *
 * idea
 *	A process goes over to the new one with its next read.  One that makes
 *	no call, as the master of a pre-fork server, has the old one mapped for
 *	as long as it stands, and the kernel keeps its memory.  So whoever
 *	replaces a segment empties the old one's file, all but its header, when
 *	nobody can be reading it.
 *
 * ordering
 *	S3	(slot.h) The number of the new segment is stored, then slots are
 *		waited for; a reader enters its slot, and then looks at the
 *		number, before anything of the segment but its header.
 *	Who is no reader has the writer lock and then the new segment, or has
 *	an image to write and the lock for that, which is had here, too.
 *
 * crash
 *	Then the memory goes when the last process does.
 *
 * limits
 *	A read that lasts longer than a moment keeps it, too.
 */
#ifndef CORE_RELIC_H
#define CORE_RELIC_H

#include "store.h"

struct relic {
	int fd;	       /* -1: none */
	uint64_t from; /* what is before it stays */
};

/* The segment in use, which is about to be replaced. */
struct relic relic_of(cop_store *store);

/* Once it was replaced: gives its memory back, if nobody reads it. */
void relic_empty(cop_store *store, const struct relic *relic);

void relic_release(struct relic *relic);

#endif
