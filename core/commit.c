/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committing: the one place that orders LMDB's commit against the segment.
 *
 * idea
 *	With W held: begin in LMDB, apply the operations there, prepare the
 *	segment so that nobody sees it, commit in LMDB, finish the segment.
 *	LMDB's commit is the moment at which everything happens.
 *
 * ordering
 *	C1	all that prepare_run stores precedes LMDB's commit; a reader
 *		whose LMDB snapshot has the commit, and that fenced after
 *		renewing it (read.c), sees all of it.
 *
 * crash
 *	before the intent is set	nothing happened
 *	before LMDB's commit		recovery takes the attempt back
 *	after it			recovery finishes the heads
 *	Whoever takes W next runs recovery before anything else.
 */
#include "lock.h"
#include "point.h"
#include "prepare.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

enum { DRAIN_BUDGET = 4096, DISK_FULL_BYTES = 1 << 20 };

static int mutex_take(pthread_mutex_t *mutex, uint32_t timeout_ms)
{
	struct timespec until;

	if (timeout_ms == LOCK_FOREVER)
		return pthread_mutex_lock(mutex);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return pthread_mutex_timedlock(mutex, &until);
}

cop_err writer_lock(cop_store *store, uint32_t timeout_ms)
{
	int err = mutex_take(&store->write_mutex, timeout_ms);

	if (!err) {
		err = lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE,
				timeout_ms);
		if (err)
			pthread_mutex_unlock(&store->write_mutex);
	}
	if (err == EAGAIN || err == ETIMEDOUT)
		return error_set(COP_BUSY,
				 "%s: the writer lock was not had in %u ms; "
				 "another process commits, or is stopped; try "
				 "again",
				 store->path, timeout_ms);
	if (err)
		return error_system(err, "%s: cannot take the writer lock",
				    store->path);
	if (!lock_file_check(store->lock_fd, store->folder_fd, "lock"))
		return 0;
	writer_unlock(store);
	return error_set(COP_NOT_A_STORE,
			 "%s was moved or replaced since it was opened; close "
			 "the handle and open the store again",
			 store->path);
}

void writer_unlock(cop_store *store)
{
	lock_release(store->lock_fd, LOCK_W);
	pthread_mutex_unlock(&store->write_mutex);
}

/* The segment's files may have been removed under us (RemoveIPC). */
static cop_err segment_still_named(const cop_store *store)
{
	struct stat st;

	if (fstat(store->slots.fd, &st) || st.st_nlink)
		return 0;
	return error_set(COP_FOREIGN,
			 "the shared memory files in %s were removed while in "
			 "use (logind's RemoveIPC does that); close the store "
			 "in every process and open it again",
			 store->shm_path);
}

static cop_err state_now(cop_store *store, struct disk_state *state)
{
	env_txn *txn;
	cop_err err;
	int code = env_read_begin(&store->env, &txn);

	if (code)
		return error_system(code, "%s: cannot read", store->path);
	err = read_state(&store->env, txn, state);
	env_read_abort(txn);
	return err;
}

cop_err writer_settle(cop_store *store, const struct cop_open_options *options)
{
	struct segment_header *header;
	struct disk_state state;
	int code = 0;
	cop_err err = attach_writable(store);

	if (err)
		return err;
	if (atomic_load_explicit(&store->writable.header->intent.attempt,
				 memory_order_acquire))
		code = env_write_repair(&store->env);
	if (code)
		return error_system(code, "%s: cannot write", store->path);
	err = state_now(store, &state);
	if (!err)
		err = recover_run(store, &state);
	if (err)
		return err;
	header = store->writable.header;
	if (atomic_load_explicit(&header->committed, memory_order_relaxed) ==
		state.commit &&
	    atomic_load_explicit(&header->chain, memory_order_relaxed) ==
		state.chain &&
	    state.commit - header->base_commit < STAMP_NEVER - 1)
		return 0;
	err = attach_rebuild(store, options);
	return err ? err : attach_writable(store);
}

/* The group's work in LMDB and in the segment, up to the commit. */
static cop_err commit_prepare(struct apply *apply)
{
	cop_store *store = apply->store;
	struct segment_header *header = store->writable.header;
	uint64_t newest = apply->commit - 1;
	cop_err err = read_state(&store->env, apply->txn, &apply->state);

	if (!err && apply->state.commit != newest)
		err = error_set(COP_CORRUPT,
				"%s: its commit number is %llu "
				"and its segment's %llu",
				store->path,
				(unsigned long long)apply->state.commit,
				(unsigned long long)newest);
	if (!err)
		err = apply_run(apply);
	if (err || apply_is_empty(apply))
		return err;
	err = apply_seal(apply, header->uuid);
	return err ? err
		   : prepare_run(apply, slot_oldest(&store->slots, newest));
}

/* Takes a failed attempt back: this process does what recovery would. */
static void attempt_abandon(struct apply *apply)
{
	struct disk_state state;
	char words[768];

	memcpy(words, cop_last_error(), strlen(cop_last_error()) + 1);
	dict_clear(&apply->store->dict);
	/* if this fails, the next holder of W does it */
	if (!env_write_repair(&apply->store->env) &&
	    !state_now(apply->store, &state))
		(void)recover_run(apply->store, &state);
	(void)error_set(0, "%s", words);
}

/* LMDB calls a write that came out short an input/output error. */
static cop_err commit_error(const cop_store *store, int code)
{
	struct statvfs disk;

	if (code == EIO && !fstatvfs(store->folder_fd, &disk) &&
	    disk.f_bavail * disk.f_frsize < DISK_FULL_BYTES)
		code = ENOSPC;
	if (error_public(code) == COP_NO_SPACE)
		return error_system(code,
				    "%s: the disk is full; nothing of this "
				    "commit took place: free room and commit "
				    "again",
				    store->path);
	return error_system(code, "%s: cannot commit", store->path);
}

static cop_err commit_locked(struct apply *apply)
{
	cop_store *store = apply->store;
	uint64_t newest;
	cop_err err = segment_still_named(store);
	int code;

	if (!err)
		err = writer_settle(store, NULL);
	if (err)
		return err;
	point("settled");
	newest = atomic_load_explicit(&store->writable.header->committed,
				      memory_order_relaxed);
	apply->commit = newest + 1;
	code = env_write_begin(&store->env, &apply->txn);
	if (code)
		return error_system(code, "%s: cannot write", store->path);
	point("commit-begun");
	err = commit_prepare(apply);
	if (err || apply_is_empty(apply)) {
		env_write_abort(apply->txn);
		apply->commit = newest;
		if (err)
			attempt_abandon(apply);
		else
			dict_clear(&store->dict);
		return err;
	}
	point("commit-before");
	code = env_write_commit(apply->txn); /* C1: makes it happen */
	point("commit-after");
	if (code) {
		err = commit_error(store, code);
		attempt_abandon(apply);
		return err;
	}
	prepare_finish(apply);
	limbo_drain(&store->writable, slot_oldest(&store->slots, apply->commit),
		    DRAIN_BUDGET + 2 * (uint64_t)apply_change_count(apply));
	prepare_close(apply);
	return 0;
}

static void write_empty(cop_write *write)
{
	write->ops.size = 0;
	write->count = 0;
	names_clear(&write->names);
}

cop_err cop_commit(cop_write *write, struct cop_result *result)
{
	cop_store *store = write->store;
	struct apply apply = {.store = store, .write = write};
	cop_err err = store_check(store);

	if (err)
		return err;
	if (result && result->size != sizeof *result)
		return error_set(COP_INVALID, "the result is of another size; "
					      "set .size to its sizeof");
	apply.result.failed = UINT32_MAX;
	err = writer_lock(store, store->timeout_ms);
	if (!err) {
		err = commit_locked(&apply);
		writer_unlock(store);
	}
	apply_release(&apply);
	if (result) {
		apply.result.size = sizeof *result;
		apply.result.commit = apply.commit;
		if (err)
			result->failed = apply.result.failed;
		else
			*result = apply.result;
	}
	if (!err)
		write_empty(write);
	return err;
}
