/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building an index segment from LMDB, and changing it entity by entity.
 *
 * idea
 *	Four passes in the order of the databases: keys give the id map, the
 *	text and the first bloom filter; entities, each with its vector,
 *	give heads, rows and copies of small records; each index of edges
 *	gives one list an entity, in blocks that fit.
 */
#ifndef CORE_BUILD_H
#define CORE_BUILD_H

#include "store.h"

/* Whether others may commit meanwhile. */
enum build_when {
	BUILD_STILL,
	/* what is read is of `state` or of a later commit: all that was
	   touched since `state` is to be brought over (forward.c) */
	BUILD_LIVE
};

/*
 * Fills an empty segment as of the read transaction.
 * txn		is reset when all is read; of BUILD_LIVE it is renewed now and
 *		then, so that the data file does not grow by what others commit
 * segment	laid out by segment_create
 * Returns	COP_NO_SPACE, COP_CORRUPT, COP_STOPPED and so on.
 */
cop_err build_run(cop_store *store, env_txn *txn,
		  const struct disk_state *state, struct segment *segment,
		  enum build_when when, const struct cop_open_options *options);

/* Keys that a filter is made for, where there are some already. */
uint64_t build_expected(uint64_t configured, uint64_t there);

/* An edge's hash in the bloom filter. */
uint64_t build_edge_hash(uint64_t source, uint32_t relation, uint64_t target);

/* A key's hash everywhere. */
uint64_t build_key_hash(const void *key, size_t key_size);

/* The largest record that shared memory keeps, 0: none. */
uint32_t build_record_limit(const cop_store *store);

/*
 * Copies a record into a block of the segment if it is small enough; else
 * *unit is 0.  Returns 0, ENOSPC or an errno.
 */
int build_record(const cop_store *store, struct segment *segment, uint64_t id,
		 struct bytes record, uint32_t *unit);

/*
 * Writes a row that was taken, and has it wait to be linked.  Returns 0,
 * ENOSPC or an errno.
 */
int build_row(struct segment *segment, uint32_t row,
	      const struct bank_entry *entry, const float *vector);

/* Tells a new segment of what kind the store's vectors are. */
void build_describe(const cop_store *store, struct segment *segment);

/* Whether an attached one was told the same. */
int build_is_described(const cop_store *store, const struct segment *segment);

/* The error of growing the segment, in words. */
cop_err build_error(const cop_store *store, int err);

#endif
