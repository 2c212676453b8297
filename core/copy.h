/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying the durable data into another environment, while it changes.
 *
 * idea
 *	copy_all copies one snapshot, database by database in the order of
 *	keys, so that the copy's pages are full.  What was committed meanwhile
 *	is brought over by copy_forward, as often as it takes: the operation
 *	records name the entities that commits touched, and whatever hangs on
 *	such an entity is made the same in the copy.  The last time is with
 *	the writer lock held and has little to do.
 *
 * limits
 *	Operation records since the copy's commit must be there.
 */
#ifndef CORE_COPY_H
#define CORE_COPY_H

#include "coppice.h"
#include "env.h"
#include "format.h"

struct copy {
	struct env *from;
	env_txn *from_txn; /* the snapshot to copy */
	struct env *to;
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void *user; /* non-zero from progress: COP_STOPPED */
};

/* Into a new, empty environment with its databases made. */
cop_err copy_all(struct copy *copy);

/* From the commit that the copy has to the one that from_txn sees. */
cop_err copy_forward(struct copy *copy);

#endif
