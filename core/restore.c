/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint.h"
#include "log.h"
#include "build.h"
#include "point.h"
#include "telling.h"
#include "trust.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Images that are looked at: there are two, and perhaps some of a backup. */
enum { CANDIDATES = 8 };

struct restore {
	cop_store *store;
	struct segment *segment;
	struct imagefile file;
	struct segment_header *kept; /* chunk 0 */
	struct telling telling;
	uint32_t threads;
	_Atomic uint64_t next;
	_Atomic int stop;
	struct trust trust;
};

/* ---- chunks ------------------------------------------------------------- */

/* By the calling thread alone. */
static cop_err restore_tell(struct restore *restore, uint64_t done)
{
	return telling_tell(&restore->telling, "loading image", done,
			    restore->file.header.chunk_count,
			    "the index segment was loaded");
}

static int chunk_restore(struct restore *restore, uint64_t chunk, void *room)
{
	void *at =
	    chunk ? image_chunk_at(restore->segment, &restore->file.plan, chunk)
		  : restore->kept;

	point("image-chunk-restored");
	return at ? imagefile_read(&restore->file, chunk, at, room) : EINVAL;
}

static cop_err chunks_work(void *user, uint32_t thread)
{
	struct restore *restore = user;
	void *room = malloc(image_room());
	cop_err err = room ? 0 : ENOMEM;

	while (!err &&
	       !atomic_load_explicit(&restore->stop, memory_order_relaxed)) {
		uint64_t chunk = atomic_fetch_add_explicit(
		    &restore->next, 1, memory_order_relaxed);

		if (chunk >= restore->file.header.chunk_count)
			break;
		err = chunk_restore(restore, chunk, room);
		if (!err && thread + 1 == restore->threads)
			err = restore_tell(restore, chunk);
	}
	if (err)
		atomic_store_explicit(&restore->stop, 1, memory_order_relaxed);
	free(room);
	return err;
}

static cop_err trust_work(void *user, uint32_t thread)
{
	struct restore *restore = user;

	return trust_part(&restore->trust, thread, restore->threads);
}

/* ---- one image ---------------------------------------------------------- */

static cop_err chunks_restore(struct restore *restore)
{
	const struct image_header *header = &restore->file.header;
	int err;

	build_describe(restore->store, restore->segment);
	err = bank_init(restore->segment);
	if (!err)
		err = image_grow(restore->segment, &restore->file.plan);
	if (err)
		return err;
	point("image-grown");
	err = restore_tell(restore, 0);
	if (err)
		return err;
	restore->threads = checkpoint_threads(header->chunk_count);
	err = threads_run(restore->threads, chunks_work, restore);
	if (err)
		return err;
	return restore->kept->base_commit == header->base_commit
		   ? image_words_take(restore->segment, restore->kept,
				      &restore->file.plan)
		   : EBADMSG;
}

static cop_err image_trust(struct restore *restore)
{
	const struct image_header *header = &restore->file.header;
	int err;

	restore->trust = (struct trust){.segment = restore->segment,
					.commit = header->committed,
					.next_entity = header->next_entity,
					.next_name = header->next_name};
	err = trust_init(&restore->trust);
	if (!err)
		err = threads_run(restore->threads, trust_work, restore);
	if (!err)
		err = trust_finish(&restore->trust);
	trust_release(&restore->trust);
	return err;
}

/* The image is in place: the words that make it the segment of `state`. */
static void segment_finish(const struct forward *forward, uint64_t older)
{
	struct segment_header *header = forward->segment->header;
	const struct disk_state *state = forward->state;

	/* relaxed: nobody else has it before `ready` */
	atomic_store_explicit(&header->images.newest,
			      forward->header->committed, memory_order_relaxed);
	atomic_store_explicit(&header->images.older, older,
			      memory_order_relaxed);
	atomic_store_explicit(&header->images.touched, forward->total,
			      memory_order_relaxed);
	atomic_store_explicit(&header->prepared, state->commit,
			      memory_order_relaxed);
	atomic_store_explicit(&header->chain, state->chain,
			      memory_order_relaxed);
	atomic_store_explicit(&header->committed, state->commit,
			      memory_order_relaxed);
	point("image-ready");
	/* the file gets its name only after this */
	atomic_store_explicit(&header->ready, 1, memory_order_release);
}

static cop_err image_restore(struct restore *restore, struct forward *forward)
{
	cop_err err;

	restore->kept = calloc(1, sizeof *restore->kept);
	if (!restore->kept)
		return ENOMEM;
	err = chunks_restore(restore);
	point("image-restored");
	if (!err)
		err = image_trust(restore);
	point("image-trusted");
	if (!err)
		err = forward_run(forward);
	point("image-forwarded");
	free(restore->kept);
	return err;
}

/* Stamps count from the image's base and must reach to `state`. */
static int numbers_fit(const struct image_header *header,
		       const struct disk_state *state)
{
	return header->base_commit <= header->committed &&
	       header->committed <= state->commit &&
	       state->commit - header->base_commit < STAMP_NEVER - 1 &&
	       header->next_entity && header->next_name &&
	       header->next_entity <= state->next_entity &&
	       header->next_name <= state->next_name;
}

/* ---- which image -------------------------------------------------------- */

struct candidates {
	int folder;
	uint32_t count;
	uint64_t commits[CANDIDATES];
};

/* The commit of the next image of this history, 0 if there is none. */
static uint64_t older_of(const cop_store *store, env_txn *txn,
			 const struct candidates *candidates, uint32_t index)
{
	while (++index < candidates->count) {
		struct imagefile file;
		int fits;

		if (imagefile_open(&file, candidates->folder,
				   candidates->commits[index]))
			continue;
		fits = checkpoint_fits(store, txn, &file.header);
		imagefile_close(&file);
		if (fits)
			return candidates->commits[index];
	}
	return 0;
}

/*
 * 0 and the segment is ready; ERANGE if images are of no use any more; any
 * other error is a doubt about this one.
 */
static cop_err candidate_try(struct restore *restore, env_txn *txn,
			     const struct disk_state *state,
			     const struct candidates *candidates,
			     uint32_t index, int *touched)
{
	cop_store *store = restore->store;
	struct forward forward = {.store = store,
				  .txn = txn,
				  .state = state,
				  .segment = restore->segment};
	struct imagefile *file = &restore->file;
	cop_err err = imagefile_open(file, candidates->folder,
				     candidates->commits[index]);

	if (err)
		return err;
	forward.header = &file->header;
	if (!numbers_fit(&file->header, state) ||
	    !checkpoint_fits(store, txn, &file->header))
		err = ESTALE;
	if (!err)
		err = forward_collect(&forward);
	if (!err) {
		*touched = 1;
		err = image_restore(restore, &forward);
	}
	if (!err)
		segment_finish(&forward,
			       older_of(store, txn, candidates, index));
	forward_release(&forward);
	imagefile_close(file);
	return err;
}

/* After a doubt: the segment as it was given. */
static cop_err segment_empty(struct segment *segment)
{
	unsigned char uuid[SEGMENT_UUID_BYTES];
	int err;

	memcpy(uuid, segment->header->uuid, sizeof uuid);
	err = segment_reset(segment);
	if (err)
		return error_system(err, "cannot empty the index segment");
	memcpy(segment->header->uuid, uuid, sizeof uuid);
	return 0;
}

cop_err restore_run(cop_store *store, env_txn *txn,
		    const struct disk_state *state, struct segment *segment,
		    const struct cop_open_options *options, int *restored)
{
	struct candidates candidates = {.folder = checkpoint_folder(store)};
	cop_err err = ENOENT;

	*restored = 0;
	if (candidates.folder < 0)
		return 0;
	candidates.count =
	    imagefile_list(candidates.folder, candidates.commits, CANDIDATES);
	for (uint32_t i = 0;
	     err && err != ERANGE && err != COP_STOPPED && i < candidates.count;
	     i++) {
		struct restore restore = {.store = store,
					  .segment = segment,
					  .telling = {options, 0}};
		int touched = 0;

		err = candidate_try(&restore, txn, state, &candidates, i,
				    &touched);
		if (err && err != COP_STOPPED)
			log_tell(store, COP_LOG_WARN,
				 "%s: the image of commit %llu is of no use: "
				 "%s",
				 store->path,
				 (unsigned long long)candidates.commits[i],
				 err == ESTALE ? "it is of another history"
					       : cop_strerror(err));
		if (err && touched) {
			cop_err again = segment_empty(segment);

			if (again)
				err = again;
			if (again)
				break;
		}
	}
	close(candidates.folder);
	*restored = !err;
	if (err == COP_STOPPED)
		return err;
	error_clear();
	return 0;
}
