/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever has the writer lock; holder.c. */
#ifndef TOOLS_HOLDER_H
#define TOOLS_HOLDER_H

#include "coppice.h"

enum { HOLDER_NAME_BYTES = 32 };

struct holder {
	uint32_t pid; /* 0: nobody has it */
	uint32_t tid;
	int32_t is_foreign; /* 1: pid is not one of this PID namespace */
	uint64_t count;	    /* times that the lock was had, by anybody */
	char name[HOLDER_NAME_BYTES];
};

/* Looks; nothing to be released.  Returns what cop_readers does. */
cop_err holder_look(cop_store *store, struct holder *out);

/* Whether it has had the lock since the look before; 0 if nobody has it. */
int holder_is_same(const struct holder *now, const struct holder *before);

/* Whether its process is stopped, or traced; 0 if that is not to be known. */
int holder_is_stopped(const struct holder *holder);

#endif
