/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: images of the index segment on disk, so that a segment that is
 * gone need not be built from LMDB entity by entity.
 *
 * idea
 *	An image is taken in two passes.  The first packs every chunk while
 *	commits go on, and notes the hash of what it packed.  The second, with
 *	W held, hashes again what is there and packs only what has changed, so
 *	the image is of one commit; if nobody took W in between (a counter in
 *	the segment's header tells) there is nothing to hash.  The file is
 *	forced to disk after W was released.
 *
 *	At attach the newest image that is whole and of this history (its
 *	commit's operation record in LMDB has its chain) is put back, followed
 *	to its last id (trust.h), and brought forward: every id that the
 *	operation records of later commits name is made to agree with LMDB.
 *	Whatever is doubtful: the next older image; then LMDB.
 *
 *	Two images are kept.  Operation records older than the older one are
 *	of no more use, and go a few with each commit.
 *
 * when
 *	cop_checkpoint(), and by policy when the last process closes a store
 *	of CHECKPOINT_IDS ids or more of which there is no image, or a tenth
 *	of whose ids have changed since.  Not after a commit: the process that
 *	happens to commit would wait for a disk that it did not ask for.
 *
 * locks
 *	IMAGE, a byte of the lock file, is held by whoever takes an image from
 *	the first byte to the last; W three times within it.  Order: IMAGE, W.
 *
 * crash
 *	While an image is taken: a file named .new, removed by the next.
 *	While one is put back: as while a segment is built.
 *
 * trust
 *	Hashes find random damage, trust.h what would mislead a reader.
 *	Damage that was in the segment when the image was taken is in the
 *	image, so a check with findings in the segment removes the images
 *	and bars new ones until the segment is built again.
 */
#ifndef CORE_CHECKPOINT_H
#define CORE_CHECKPOINT_H

#include "build.h"
#include "imagefile.h"
#include "store.h"

enum { CHECKPOINT_IDS = 10000, CHECKPOINT_THREADS = 8 };

/* The generation's folder, where images are; -1 and errno. */
int checkpoint_folder(cop_store *store);

/* Threads that work on so many chunks. */
uint32_t checkpoint_threads(uint64_t chunks);

/*
 * Whether an image is of the history that a transaction sees: its store and
 * shape are ours, and LMDB's record of its commit has its chain.
 */
int checkpoint_fits(const cop_store *store, env_txn *txn,
		    const struct image_header *header);

/* By policy, when a process closes the store; says nothing if it fails. */
void checkpoint_close(cop_store *store);

/* A commit has touched so many ids; W held. */
void checkpoint_note(cop_store *store, uint64_t touched);

/*
 * Deletes a few operation records that neither an image needs nor a reading as
 * of `oldest` or later.  0 or LMDB's code.
 */
int checkpoint_trim(cop_store *store, env_txn *txn, uint64_t oldest);

/* Removes all images: their segment is damaged; W held. */
cop_err checkpoint_forget(cop_store *store);

/* Their segment is another one now: images may be taken again; W held. */
void checkpoint_allow(cop_store *store);

/*
 * The files alone, when no segment knows of them.  On error some are there
 * still, or may be again after the power was cut.
 */
cop_err checkpoint_remove(cop_store *store);

/* ---- restore.c ---------------------------------------------------------- */

/*
 * Puts an image back into a segment that is new and empty, as of `state`.
 * restored	set to 1 if the segment is ready, else 0 and it is empty
 * Returns	COP_STOPPED from the caller's progress; an errno or
 *		COP_NO_SPACE if the segment cannot be emptied again.
 */
cop_err restore_run(cop_store *store, env_txn *txn,
		    const struct disk_state *state, struct segment *segment,
		    const struct cop_open_options *options, int *restored);

/* ---- forward.c ---------------------------------------------------------- */

/* Ids that commits after an image touched. */
struct forward {
	cop_store *store;
	env_txn *txn;
	const struct disk_state *state;
	struct segment *segment;
	const struct image_header *header;
	enum build_when when;
	uint64_t *ids;	/* a bit each, up to state->next_entity */
	uint64_t count; /* bits set */
	uint64_t total; /* named by all records together */
};

/*
 * Collects them from the operation records.
 * Returns	0, or ENOENT if a record is missing or says nothing sensible,
 *		or ERANGE if the touched are so many that building is cheaper.
 */
int forward_collect(struct forward *forward);

/*
 * Makes each of them agree with LMDB, in a segment that nobody reads yet.
 * txn		of BUILD_LIVE is renewed for each, and reset at the end
 * Returns	0, or an error: the segment is then of no use.
 */
cop_err forward_run(struct forward *forward);

void forward_release(struct forward *forward);

#endif
