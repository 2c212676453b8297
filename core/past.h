/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The past: what a read sees that is as of an earlier commit.
 *
 * idea
 *	Such a read has the newest snapshot S of LMDB, which has all of history
 *	in it, and a moment T before it.  A living record that is T or older
 *	was the same at T; otherwise the versions that ended are asked
 *	(history.h).  A range is the living records of it that are T or older,
 *	and the versions of it that T saw, merged by key.
 *	With T = S, which is nearly always, the versions are not looked at.
 *
 *	Shared memory answers for whatever has not changed since T: a head says
 *	when it did.
 */
#ifndef CORE_PAST_H
#define CORE_PAST_H

#include "store.h"
#include "version.h"

/* A transaction of LMDB's, and the commit as of which it is read. */
struct past {
	const struct env *env;
	env_txn *txn;
	uint64_t moment;
	uint64_t newest; /* commit that the transaction sees */
	uint64_t whole;	 /* history lacks nothing from this one on */
};

static inline int past_is(const struct past *past)
{
	return past->moment != past->newest;
}

static inline struct past past_of(const cop_read *read)
{
	return (struct past){read->env, read->txn, read->moment,
			     read->state.commit, read->state.whole};
}

/*
 * What a key of a living database had; value->data is NULL if nothing.
 * Returns	0, COP_TOO_OLD if retention has let go of what would tell, or
 *		LMDB's code.
 */
int past_get(const struct past *past, enum env_db db, struct bytes key,
	     struct bytes *value);

/*
 * Calls `each` for every version of a key that was born by the moment, newest
 * first.
 * died		the commit that ended it, 0: none had by the moment
 * Returns	what `each` did, if that is not 0.
 */
cop_err past_history(const struct past *past, enum env_db db, struct bytes key,
		     cop_err (*each)(void *user, uint64_t born, uint64_t died,
				     struct bytes record),
		     void *user);

/* One of the two runs that a range is merged from. */
struct past_run {
	env_cursor *cursor; /* NULL: at its end */
	struct bytes key;
	struct bytes value;
};

struct past_range {
	struct past past;
	enum env_db db;
	struct past_run now;
	struct past_run then;
	size_t prefix_size;
	unsigned char prefix[sizeof(struct disk_edge_key)];
	uint64_t id; /* a key of an id, in the machine's order */
};

/*
 * A range of a living database, as of the read.
 * from		its first key, as in `db`; at most sizeof(struct disk_edge_key)
 * prefix_size	all of its keys begin with so many bytes of `from`; 0: to the
 *		end.  Of a database by id 0 or all.
 * Returns	0, or as past_get; then there is nothing to close.
 */
int past_open(struct past_range *range, const struct past *past, enum env_db db,
	      struct bytes from, size_t prefix_size);

/* The next entry: 0, ENV_ABSENT at the end, or LMDB's code. */
int past_next(struct past_range *range, struct bytes *key, struct bytes *value);

void past_close(struct past_range *range);

#endif
