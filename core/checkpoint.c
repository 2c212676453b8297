/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint.h"
#include "clock.h"
#include "generation.h"
#include "lock.h"
#include "point.h"
#include "setting.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLOSE_WAIT_MS = 100, TRIM_MOST = 32, KEEP_LOOK = 8 };

/* relaxed, here and below: figures, or W is held */
static uint64_t word_get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void word_set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static int folder_open(cop_store *store, uint64_t *number)
{
	struct generation *generation = generation_hold(store);
	char name[32];

	*number = generation->number;
	snprintf(name, sizeof name, "gen-%06" PRIu64, *number);
	generation_drop(store, generation);
	return openat(store->folder_fd, name,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int checkpoint_folder(cop_store *store)
{
	uint64_t number;

	return folder_open(store, &number);
}

uint32_t checkpoint_threads(uint64_t chunks)
{
	cpu_set_t cpus;
	uint32_t count = 1;

	if (!sched_getaffinity(0, sizeof cpus, &cpus))
		count = (uint32_t)CPU_COUNT(&cpus);
	return threads_for(
	    count < CHECKPOINT_THREADS ? count : CHECKPOINT_THREADS, chunks);
}

int checkpoint_fits(const cop_store *store, env_txn *txn,
		    const struct image_header *header)
{
	const struct disk_store *config = &store->config;
	struct disk_op op = {0};
	struct bytes value;

	if (memcmp(header->uuid, config->uuid, sizeof header->uuid) != 0 ||
	    header->dim != config->dim || header->metric != config->metric ||
	    header->rows != config->rows || header->codes != config->codes)
		return 0;
	if (!header->committed)
		return !header->chain;
	if (env_get(store->env, txn, DB_OPS,
		    bytes_of(&header->committed, sizeof header->committed),
		    &value) ||
	    value.size < sizeof op)
		return 0;
	memcpy(&op, value.data, sizeof op);
	return op.chain == header->chain;
}

/* ---- taking an image ---------------------------------------------------- */

struct take {
	cop_store *store;
	struct imagefile file;
	const struct segment *segment; /* that chunks are read from */
	struct index *index;	       /* held: the segment of pass 1 */
	uint32_t timeout_ms;
	int folder;
	int locked; /* pass 2: W is held */
	_Atomic uint64_t next;
	_Atomic uint64_t packed; /* chunks, in this pass */
	uint64_t turns;
	uint64_t generation; /* whose folder the image goes to */
	uint64_t touched;    /* the segment's count when the image was of it */
	struct cop_checkpoint_result result;
};

static cop_err chunk_take(struct take *take, uint64_t chunk, void *copy,
			  void *room)
{
	const void *at = image_chunk_at(take->segment, &take->file.plan, chunk);
	uint32_t bytes = image_chunk_bytes(&take->file.plan, chunk);
	const struct image_entry *entry = &take->file.table[chunk];
	const void *data;
	uint32_t stored;
	uint64_t hash;

	if (!at)
		return error_set(COP_CORRUPT,
				 "the index segment of %s says that it is "
				 "larger than it is; run `coppice detach`",
				 take->store->path);
	if (take->locked && entry->bytes == bytes &&
	    entry->hash == image_hash(at, bytes))
		return 0;
	stored = image_pack(at, bytes, take->locked ? NULL : copy, room, &data,
			    &hash);
	atomic_fetch_add_explicit(&take->packed, 1, memory_order_relaxed);
	return imagefile_write(&take->file, chunk, data, stored, hash);
}

static cop_err chunks_take(void *user, uint32_t thread)
{
	struct take *take = user;
	void *copy = malloc(IMAGE_CHUNK_BYTES);
	void *room = malloc(image_room());
	cop_err err = copy && room ? 0 : ENOMEM;

	(void)thread;
	while (!err) {
		uint64_t chunk = atomic_fetch_add_explicit(
		    &take->next, 1, memory_order_relaxed);

		if (chunk >= image_chunk_count(&take->file.plan))
			break;
		err = chunk_take(take, chunk, copy, room);
		point("image-chunk");
	}
	free(copy);
	free(room);
	return err;
}

static cop_err pass_run(struct take *take, const struct segment *segment)
{
	take->segment = segment;
	word_set(&take->next, 0);
	word_set(&take->packed, 0);
	return threads_run(
	    checkpoint_threads(image_chunk_count(&take->file.plan)),
	    chunks_take, take);
}

static cop_err take_error(const struct take *take, cop_err err)
{
	/* what has words of its own is negative or was set by who met it */
	if (err < 0)
		return err;
	return error_system(err, "%s: cannot write an image of the segment",
			    take->store->path);
}

static cop_err take_moved(const cop_store *store)
{
	return error_set(
	    COP_MOVED,
	    "%s: the store was compacted, or its segment replaced, "
	    "while an image was taken; try again",
	    store->path);
}

static cop_err take_allowed(const cop_store *store)
{
	if (!word_get(&store->writable.header->images.barred))
		return 0;
	return error_set(COP_CORRUPT,
			 "%s: a check found damage in the index segment; run "
			 "`coppice detach` when no process is attached, the "
			 "next one builds it from the data file",
			 store->path);
}

/* Which segment, and how much of it there is. */
static cop_err take_plan(struct take *take)
{
	cop_store *store = take->store;
	struct image_plan plan;
	uint64_t start_ns;
	cop_err err = writer_lock(store, take->timeout_ms);
	int code;

	if (err)
		return err;
	start_ns = clock_ns(CLOCK_MONOTONIC);
	err = writer_settle(store, NULL);
	if (!err)
		err = attach_refresh(store);
	if (!err)
		err = take_allowed(store);
	if (!err && store->generation->number != take->generation)
		err = take_moved(store);
	if (!err) {
		take->turns = word_get(&store->writable.header->images.turns);
		take->index = index_hold(store);
		image_plan_of(&store->writable, &plan);
		code = imagefile_plan(&take->file, &plan);
		err = code ? take_error(take, code) : 0;
	}
	take->result.locked_ns += clock_ns(CLOCK_MONOTONIC) - start_ns;
	writer_unlock(store);
	return err;
}

/* What LMDB says of the commit that the image is of. */
static cop_err header_take(struct take *take)
{
	cop_store *store = take->store;
	const struct segment_header *segment = store->writable.header;
	struct image_header *header = &take->file.header;
	struct disk_state state;
	env_txn *txn;
	cop_err err;
	int code = env_read_begin(store->env, &txn);

	if (code)
		return error_system(code, "%s: cannot read", store->path);
	err = read_state(store->env, txn, &state);
	env_read_abort(txn);
	if (err)
		return err;
	*header = (struct image_header){.dim = store->config.dim,
					.metric = store->config.metric,
					.rows = store->config.rows,
					.codes = store->config.codes,
					.reserve = segment->reserve,
					.base_commit = segment->base_commit,
					.committed = state.commit,
					.chain = state.chain,
					.next_entity = state.next_entity,
					.next_name = state.next_name};
	memcpy(header->uuid, store->config.uuid, sizeof header->uuid);
	take->touched = word_get(&segment->images.touched);
	return 0;
}

/* Pass 2: W is held. */
static cop_err take_rest(struct take *take)
{
	cop_store *store = take->store;
	struct image_plan plan;
	cop_err err = writer_settle(store, NULL);
	int code = 0;

	point("image-locked");
	if (!err && (store->writable_number != take->index->number ||
		     store->generation->number != take->generation))
		err = take_moved(store);
	if (!err)
		err = take_allowed(store);
	if (!err)
		err = header_take(take);
	if (err ||
	    word_get(&store->writable.header->images.turns) == take->turns + 1)
		return err;
	image_plan_of(&store->writable, &plan);
	code = imagefile_plan(&take->file, &plan);
	if (code)
		return take_error(take, code);
	take->locked = 1;
	err = pass_run(take, &store->writable);
	take->result.chunks_locked = word_get(&take->packed);
	return err ? take_error(take, err) : 0;
}

static cop_err take_passes(struct take *take)
{
	cop_store *store = take->store;
	uint64_t start_ns;
	cop_err err = take_plan(take);

	if (err)
		return err;
	err = pass_run(take, &take->index->segment);
	point("image-copied");
	if (err)
		return take_error(take, err);
	err = writer_lock(store, take->timeout_ms);
	if (err)
		return err;
	start_ns = clock_ns(CLOCK_MONOTONIC);
	err = take_rest(take);
	take->result.locked_ns += clock_ns(CLOCK_MONOTONIC) - start_ns;
	writer_unlock(store);
	return err;
}

/* ---- keeping two -------------------------------------------------------- */

/* The newest image before `commit` that is of this history, 0: none. */
static uint64_t older_find(const cop_store *store, env_txn *txn, int folder,
			   uint64_t commit)
{
	uint64_t commits[KEEP_LOOK];
	uint32_t count = imagefile_list(folder, commits, KEEP_LOOK);

	for (uint32_t i = 0; i < count; i++) {
		struct imagefile file;
		int fits;

		if (commits[i] >= commit ||
		    imagefile_open(&file, folder, commits[i]))
			continue;
		fits = checkpoint_fits(store, txn, &file.header);
		imagefile_close(&file);
		if (fits)
			return commits[i];
	}
	return 0;
}

/* Of the images that there are now two are kept, and the segment is told. */
static cop_err images_settle(struct take *take)
{
	cop_store *store = take->store;
	uint64_t commit = take->file.header.committed;
	struct image_words *words;
	uint64_t older;
	env_txn *txn;
	cop_err err = writer_settle(store, NULL);

	if (err || store->generation->number != take->generation)
		return err;
	if (env_read_begin(store->env, &txn))
		return 0;
	older = older_find(store, txn, take->folder, commit);
	env_read_abort(txn);
	(void)imagefile_keep(take->folder, commit, older ? older : commit);
	point("image-pruned");
	if (store->writable_number != take->index->number)
		return 0;
	words = &store->writable.header->images;
	word_set(&words->newest, commit);
	word_set(&words->older, older);
	word_set(&words->touched, word_get(&words->touched) - take->touched);
	return 0;
}

/* If W is not had, the next one does it: the image is there. */
static void images_keep(struct take *take)
{
	cop_store *store = take->store;
	uint64_t start_ns;

	if (writer_lock(store, take->timeout_ms))
		return;
	start_ns = clock_ns(CLOCK_MONOTONIC);
	(void)images_settle(take);
	take->result.locked_ns += clock_ns(CLOCK_MONOTONIC) - start_ns;
	writer_unlock(store);
	error_clear();
}

/* ---- a checkpoint ------------------------------------------------------- */

static cop_err take_busy(const cop_store *store)
{
	return error_set(COP_BUSY,
			 "%s: another image is being taken; try again",
			 store->path);
}

/* A description of its own, so that it excludes this process's threads. */
static cop_err image_lock(cop_store *store)
{
	int fd = -1;
	int err;

	/* no child inherits one that it does not know of */
	pthread_mutex_lock(&store->mutex);
	err = store->image_fd >= 0 ? EAGAIN : 0;
	if (!err) {
		fd = openat(store->folder_fd, "lock",
			    O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		err = fd < 0 ? errno
			     : lock_take(fd, LOCK_IMAGE, LOCK_EXCLUSIVE, 0);
	}
	if (!err)
		store->image_fd = fd;
	else if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&store->mutex);
	if (!err)
		return 0;
	return err == EAGAIN
		   ? take_busy(store)
		   : error_system(err, "cannot lock %s/lock", store->path);
}

static void image_unlock(cop_store *store)
{
	pthread_mutex_lock(&store->mutex);
	lock_release(store->image_fd, LOCK_IMAGE);
	close(store->image_fd);
	store->image_fd = -1;
	pthread_mutex_unlock(&store->mutex);
}

static cop_err take_file(struct take *take)
{
	cop_store *store = take->store;
	cop_err err;
	int code;

	code = imagefile_create(&take->file, take->folder, store->mode,
				store->lock_fd);
	if (code)
		return take_error(take, code);
	err = take_passes(take);
	if (!err) {
		code = imagefile_seal(&take->file);
		if (code == ENOENT)
			err = take_moved(store);
		else
			err = code ? take_error(take, code) : 0;
	}
	if (!err) {
		const struct image_header *header = &take->file.header;

		take->result.commit = header->committed;
		take->result.chunks = header->chunk_count;
		take->result.bytes =
		    imagefile_bytes(take->folder, header->committed);
		for (uint64_t i = 0; i < header->chunk_count; i++)
			take->result.segment_bytes += take->file.table[i].bytes;
		images_keep(take);
	}
	imagefile_close(&take->file);
	if (take->index)
		index_drop(store, take->index);
	return err;
}

static cop_err take_run(cop_store *store, uint32_t timeout_ms,
			struct cop_checkpoint_result *result)
{
	struct take take = {.store = store, .timeout_ms = timeout_ms};
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	cop_err err = generation_refresh(store);

	if (!err)
		err = image_lock(store);
	if (err)
		return err;
	take.folder = folder_open(store, &take.generation);
	if (take.folder < 0)
		err = error_system(errno, "%s: cannot open its data folder",
				   store->path);
	if (!err) {
		err = take_file(&take);
		close(take.folder);
	}
	image_unlock(store);
	take.result.ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
	take.result.size = sizeof take.result;
	if (!err && result)
		*result = take.result;
	return err;
}

cop_err cop_checkpoint(cop_store *store, struct cop_checkpoint_result *result)
{
	cop_err err = store_use(store);

	if (err)
		return err;
	if (result && result->size != sizeof *result)
		return error_set(COP_INVALID, "the result is of another size; "
					      "set .size to its sizeof");
	return take_run(store, store->timeout_ms, result);
}

/* ---- by policy ---------------------------------------------------------- */

/* Compaction leaves the images behind. */
static int image_is_there(cop_store *store, uint64_t commit)
{
	int folder = checkpoint_folder(store);
	int there = folder >= 0 && imagefile_bytes(folder, commit);

	if (folder >= 0)
		close(folder);
	return there;
}

static int is_due(cop_store *store)
{
	const struct segment_header *header;
	struct index *index;
	uint64_t ids;
	int due;

	if (attach_refresh(store))
		return 0;
	index = index_hold(store);
	header = index->segment.header;
	ids = word_get(&header->heads.count);
	due = ids > CHECKPOINT_IDS && !word_get(&header->images.barred) &&
	      (!word_get(&header->images.newest) ||
	       !image_is_there(store, word_get(&header->images.newest)) ||
	       word_get(&header->images.touched) > ids / 10);
	index_drop(store, index);
	return due;
}

void checkpoint_close(cop_store *store)
{
	const char *setting = setting_text("COPPICE_CHECKPOINT");

	if ((setting && !strcmp(setting, "0")) || store_is_inherited(store) ||
	    lock_is_held(store->lock_fd, LOCK_ATTACH) || !is_due(store))
		return;
	(void)take_run(store, CLOSE_WAIT_MS, NULL);
}

void checkpoint_note(cop_store *store, uint64_t touched)
{
	atomic_fetch_add_explicit(&store->writable.header->images.touched,
				  touched, memory_order_relaxed);
}

/* Keys of the oldest records that are below `limit`. */
static int records_find(const cop_store *store, env_txn *txn, uint64_t limit,
			uint64_t *commits, uint32_t *count)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(store->env, txn, DB_OPS, &cursor);

	*count = 0;
	if (err)
		return err;
	while (*count < TRIM_MOST &&
	       !(err = env_cursor_move(cursor, ENV_NEXT, &key, &value))) {
		if (key.size != sizeof *commits)
			break;
		memcpy(&commits[*count], key.data, sizeof *commits);
		if (commits[*count] >= limit)
			break;
		++*count;
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : err;
}

/*
 * The commit whose record, and all later ones, must stay: `older`, or what a
 * compaction under way wants.  What a dead one wanted is forgotten.
 */
static uint64_t records_wanted(const cop_store *store, uint64_t older)
{
	_Atomic uint64_t *word = &store->slots.control->keep;
	uint64_t keep = atomic_load_explicit(word, memory_order_acquire);

	if (!keep || keep >= older)
		return older;
	if (atomic_load_explicit(&store->compacting, memory_order_relaxed) ||
	    lock_is_held(store->lock_fd, LOCK_GENERATION))
		return keep;
	atomic_store_explicit(word, 0, memory_order_relaxed);
	return older;
}

int checkpoint_trim(cop_store *store, env_txn *txn, uint64_t oldest)
{
	uint64_t older = records_wanted(
	    store, word_get(&store->writable.header->images.older));
	uint64_t limit = older < oldest ? older : oldest;
	uint64_t commits[TRIM_MOST];
	uint32_t count = 0;
	int err = limit ? records_find(store, txn, limit, commits, &count) : 0;

	for (uint32_t i = 0; !err && i < count; i++)
		err = env_delete(store->env, txn, DB_OPS,
				 bytes_of(&commits[i], sizeof commits[i]));
	return err;
}

cop_err checkpoint_forget(cop_store *store)
{
	struct image_words *words = &store->writable.header->images;

	word_set(&words->barred, 1);
	word_set(&words->newest, 0);
	word_set(&words->older, 0);
	return checkpoint_remove(store);
}

void checkpoint_allow(cop_store *store)
{
	word_set(&store->writable.header->images.barred, 0);
}

cop_err checkpoint_remove(cop_store *store)
{
	int folder = checkpoint_folder(store);
	int err = folder < 0 ? errno : 0;

	if (!err)
		err = imagefile_keep(folder, UINT64_MAX, UINT64_MAX);
	if (!err && fsync(folder))
		err = errno;
	if (folder >= 0)
		close(folder);
	return err ? error_system(err, "%s: cannot remove its images",
				  store->path)
		   : 0;
}
