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
 *	The copy lacks what nobody asks for: history that is over, content that
 *	no record names, and names that no record has (used.h).
 *
 * snapshots
 *	One is held as long as copy_all takes, and the file that is copied
 *	grows by what commits replace in that time: by a quarter, of a million
 *	entities beside four writers.  It goes with that file.  With several
 *	snapshots records and the lists they are in would not fit each other,
 *	and copy_forward finds the lists by the records.
 *
 * damage
 *	An entity's or an edge's record that makes no sense and a chunk of
 *	content that is not what was written end the copy with COP_CORRUPT: what
 *	is damaged stays where it is, for a repair to find.
 *
 * limits
 *	Operation records since the copy's commit must be there.
 */
#ifndef CORE_COPY_H
#define CORE_COPY_H

#include "coppice.h"
#include "env.h"
#include "format.h"
#include "used.h"

struct copy {
	struct env *from;
	env_txn *from_txn; /* the snapshot to copy */
	struct env *to;
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void *user; /* non-zero from progress: COP_STOPPED */
	const struct disk_retention *keep; /* history, at most; NULL: the rules
					      alone say */
	struct used used;		   /* names of what was copied */
	uint64_t versions_dropped;	   /* of history */
	uint64_t names_dropped;
	uint64_t commits; /* that copy_forward brought over last */
};

/* Into a new, empty environment with its databases made. */
cop_err copy_all(struct copy *copy);

/*
 * From the commit that the copy has to the one that from_txn sees, which
 * is `commits` later.
 */
cop_err copy_forward(struct copy *copy);

void copy_release(struct copy *copy);

#endif
