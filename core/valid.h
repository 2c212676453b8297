/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Valid time: when an edge is so in the world, whenever it was put.
 *
 * idea
 *	An edge's record may say from when to when it is valid, and so does what
 *	the index of incoming edges has of it.  A read that was given a point in
 *	time sees the edges that are valid then; those that say nothing always
 *	are.  It reads lists from LMDB, where the validity is; shared memory has
 *	none.
 */
#ifndef CORE_VALID_H
#define CORE_VALID_H

#include "store.h"

static inline int valid_is_before(int64_t a, uint32_t a_nanos, int64_t b,
				  uint32_t b_nanos)
{
	return a < b || (a == b && a_nanos < b_nanos);
}

/* Whether a validity, NULL: always, holds at a point in time. */
static inline int valid_holds(const struct disk_validity *valid,
			      const struct cop_instant *at)
{
	if (!valid)
		return 1;
	return !valid_is_before(at->seconds, at->nanos, valid->from,
				valid->from_nanos) &&
	       (valid->to == INT64_MAX ||
		valid_is_before(at->seconds, at->nanos, valid->to,
				valid->to_nanos));
}

/* The validity in a value of DB_EDGES, checked, or of DB_EDGES_IN. */
static inline const struct disk_validity *valid_of(enum env_db db,
						   struct bytes value)
{
	const struct disk_edge_in *in = value.data;

	if (db == DB_EDGES)
		return codec_edge_validity(value.data);
	return value.size >= sizeof *in ? &in->valid : NULL;
}

/* Whether a read sees an edge by such a value. */
static inline cop_err valid_is_seen(const cop_read *read, enum env_db db,
				    struct bytes value, int *seen)
{
	cop_err err = 0;

	*seen = 1;
	if (!read->is_timed)
		return 0;
	if (db == DB_EDGES)
		err = codec_edge_check(value);
	if (!err)
		*seen = valid_holds(valid_of(db, value), &read->valid_at);
	return err;
}

#endif
