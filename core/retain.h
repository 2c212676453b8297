/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention: how long history is kept, and letting go of it.
 *
 * idea
 *	The store has rules in LMDB (rules.h), so that all who commit keep to
 *	the same ones: how old an ended version may be, and how many of one
 *	thing there may be.  state.oldest is the first commit that can still be
 *	read as of; it moves up as commits come of the longest age.  What died
 *	at it or before is no reading's any more, and the index by death lists
 *	that first: each commit lets go of a few more than it adds, so history
 *	never grows beyond its setting, and no commit waits long for it.
 *	Shorter ages of types, and counts, are the business of compaction, which
 *	leaves out what they do not keep (cull.h).
 *
 * limits
 *	A store to which nobody commits keeps what it has until cop_maintain or
 *	cop_compact.
 */
#ifndef CORE_RETAIN_H
#define CORE_RETAIN_H

#include "history.h"

/* Reads the rules for a transaction: whether it keeps what it replaces. */
cop_err retain_begin(struct apply *apply);

/*
 * Lets go of all that is too old, by a commit of its own; nothing happens if
 * nothing is.
 */
cop_err retain_now(cop_store *store);

/* Moves state.oldest, and lets go of some of what it leaves behind. */
cop_err retain_slice(struct apply *apply);

/*
 * Lets go of `most` versions, or a few more, that ended at `oldest` or before,
 * oldest first.
 * ends		notes the content that they named; NULL: nobody asks
 * Returns	0 or LMDB's code
 */
int retain_drop(const struct env *env, env_txn *txn, uint64_t oldest,
		uint64_t most, struct buffer *ends);

#endif
