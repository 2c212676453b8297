/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Culling: what of history a compaction leaves out, by the rules of types.
 *
 * idea
 *	Versions come by key, newest first, so how many there are of one thing
 *	is counted as they come, and what rule holds is that of the type which
 *	the entity has, or had last.  What is left out is remembered by whom it
 *	belongs to: an entity, both ends of an edge, the list of a name.  Each
 *	of them gets a floor, the commit from which on its history lacks
 *	nothing, and the newest of all floors is what the store's state says.
 */
#ifndef CORE_CULL_H
#define CORE_CULL_H

#include "rules.h"
#include "store.h"
#include "version.h"

struct cull {
	const struct env *env; /* that is read */
	env_txn *txn;
	struct retain_rules rules;
	uint64_t *horizons; /* of each rule: what ended by it is too old */
	int is_needed;	    /* some rule may leave something out */
	/* the version before */
	enum env_db db;
	struct version_key key;
	uint64_t count; /* of its key so far */
	/* what was left out */
	struct buffer floors; /* struct cull_floor, as they come */
};

struct cull_floor {
	struct disk_floor_key key;
	uint32_t reserved;
	uint64_t commit;
};

/*
 * keep		what is kept at most, whatever the rules say, for this once;
 *		NULL: they alone say.  Of it, type is not looked at.
 * state	as of the transaction; its `oldest` moves up as far as the
 *		longest age lets it
 * Returns	0 or an error; released with cull_release in any case.
 */
cop_err cull_begin(struct cull *cull, const struct env *env, env_txn *txn,
		   const struct disk_retention *keep, struct disk_state *state);

/*
 * Whether a version is kept; called for each in the order of its database.
 * key, value	as there
 */
cop_err cull_version(struct cull *cull, enum env_db db, struct bytes key,
		     struct bytes value, int *kept);

/* The floors, one each, by key; cull->floors. */
void cull_floors(struct cull *cull);

void cull_release(struct cull *cull);

#endif
