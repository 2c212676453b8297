/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_GENERATION_H
#define CORE_GENERATION_H

#include "store.h"

/* The format that a store's folder says it is of, and its generation. */
cop_err generation_named(int folder_fd, const char *path, uint32_t *format,
			 uint64_t *number);

/*
 * Opens the generation in use and makes it the store's; finishes a switch
 * whose maker died.
 */
cop_err generation_open(cop_store *store);

/* Looks again at what may have changed before BUILD was had; BUILD held. */
cop_err generation_again(cop_store *store);

/*
 * Puts a data file in place of one that is damaged.  Nobody has the store
 * attached, this process has no data file of its open; BUILD, ATTACH and W
 * held.
 * fill		puts what the old file has, by its descriptor, into an empty
 *		environment; if it fails the old one stays
 */
typedef cop_err generation_fill(void *user, int fd, struct env *to);
cop_err generation_replace(cop_store *store, generation_fill *fill, void *user);

/*
 * One process at a time builds anew what is in use: its data file, its
 * segment.  From here to the end operation records are kept, which say what
 * copies lack.
 * Returns	COP_BUSY if another one does
 */
cop_err generation_begin(cop_store *store);
void generation_end(cop_store *store);

/*
 * Once the store is attached: removes what a dead process was building.  Not
 * while a live one builds.
 */
void generation_tidy(cop_store *store);

/* Bytes on disk of the data file of a generation. */
cop_err generation_disk(const cop_store *store, uint64_t number,
			uint64_t *bytes);

/* What is kept of history at most, in a compaction with these options. */
cop_err generation_keep(const struct cop_compact_options *options,
			struct disk_retention *keep);

/* The store's, until it is dropped. */
struct generation *generation_hold(cop_store *store);
void generation_drop(cop_store *store, struct generation *generation);

/* Whether the store has moved on from it. */
int generation_outdated(const cop_store *store,
			const struct generation *generation);

/* Moves this process to the newest one; without W. */
cop_err generation_refresh(cop_store *store);

/* With W held: moves, and finishes what a dead process began. */
cop_err generation_settle(cop_store *store);

#endif
