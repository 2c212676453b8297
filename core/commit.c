/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committing: the one place that orders LMDB's commit against the segment.
 *
 * idea
 *	With W held: begin in LMDB, validate and apply the requests there,
 *	prepare the segment so that nobody sees it, commit in LMDB, finish the
 *	segment.  LMDB's commit is the moment at which everything happens.
 *	A request that is refused by right leaves no trace in the transaction;
 *	if putting one fails, the transaction is given up, and each request
 *	has one of its own.
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
#include "commit.h"
#include "checkpoint.h"
#include "generation.h"
#include "lock.h"
#include "point.h"
#include "prepare.h"
#include "result.h"
#include "retain.h"
#include "probe.h"
#include "span.h"
#include "trace.h"
#include "validate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

void writer_name(cop_store *store, char *name, size_t room)
{
	struct slot_owner owner = {0};
	char who[128];

	if (store->slots.control)
		slot_peek(&store->slots, SLOT_NONE, &owner);
	if (owner.pid)
		stall_words(&store->slots, &owner, who, sizeof who);
	snprintf(name, room, "%s", owner.pid ? who : "another process");
}

/* Waits for the other threads, then for the other processes. */
static int writer_wait(cop_store *store, uint32_t timeout_ms)
{
	int err = mutex_take(&store->write_mutex, timeout_ms);

	if (err)
		return err;
	err = lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE, timeout_ms);
	if (err)
		pthread_mutex_unlock(&store->write_mutex);
	else /* from here to writer_unlock a fork waits */
		pthread_mutex_lock(&store->commit_mutex);
	return err;
}

cop_err writer_lock(cop_store *store, uint32_t timeout_ms)
{
	char name[80];
	uint64_t since = span_begin(store);
	int err;

	figures_wait_begin(&store->figures);
	err = writer_wait(store, timeout_ms);
	figures_wait_end(&store->figures);
	if (!err)
		limit_enter(&store->limit);
	if (err == EAGAIN || err == ETIMEDOUT) {
		writer_name(store, name, sizeof name);
		return error_set(COP_BUSY,
				 "%s: the writer lock was not had in %u ms; %s "
				 "has it, and commits or is stopped; try again",
				 store->path, timeout_ms, name);
	}
	if (err)
		return error_system(err, "%s: cannot take the writer lock",
				    store->path);
	if (!lock_file_check(store->lock_fd, store->folder_fd, "lock")) {
		slots_writer_enter(&store->slots);
		span_end(store, TIMING_WAIT, since, 1);
		PROBE1(lock__held, store->slots.pid);
		return 0;
	}
	writer_unlock(store);
	return error_set(COP_NOT_A_STORE,
			 "%s was moved or replaced since it was opened; close "
			 "the handle and open the store again",
			 store->path);
}

int writer_try(cop_store *store)
{
	int err;

	if (pthread_mutex_trylock(&store->write_mutex))
		return 0;
	err = lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE, 0);
	if (!err) {
		err = lock_file_check(store->lock_fd, store->folder_fd, "lock");
		if (!err) {
			pthread_mutex_lock(&store->commit_mutex);
			limit_enter(&store->limit);
			slots_writer_enter(&store->slots);
			PROBE1(lock__held, store->slots.pid);
			return 1;
		}
		lock_release(store->lock_fd, LOCK_W);
	}
	pthread_mutex_unlock(&store->write_mutex);
	return err == EAGAIN ? 0 : -1;
}

void writer_unlock(cop_store *store)
{
	struct limit limit = store->limit;
	uint64_t since_ns = slots_writer_since(&store->slots);
	uint64_t took_ns;

	if (trace_due(store, COP_TRACE_LOCK, since_ns, &took_ns))
		trace_tell(store, COP_TRACE_LOCK, took_ns, "held by a writer");
	span_end(store, TIMING_HOLD, since_ns, 1);
	PROBE1(lock__released, store->slots.pid);
	slots_writer_leave(&store->slots);
	lock_release(store->lock_fd, LOCK_W);
	pthread_mutex_unlock(&store->commit_mutex);
	pthread_mutex_unlock(&store->write_mutex);
	limit_leave(&limit);
}

static cop_err state_now(cop_store *store, struct disk_state *state)
{
	env_txn *txn;
	cop_err err;
	int code = env_read_begin(store->env, &txn);

	if (code)
		return error_system(code, "%s: cannot read", store->path);
	err = read_state(store->env, txn, state);
	env_read_abort(txn);
	return err;
}

/* A commit, or a repair, was begun and not ended: LMDB may have it unseen. */
static int died_within(const struct segment_header *header)
{
	return atomic_load_explicit(&header->intent.attempt,
				    memory_order_acquire) ||
	       atomic_load_explicit(&header->prepared, memory_order_acquire) !=
		   atomic_load_explicit(&header->committed,
					memory_order_acquire);
}

cop_err writer_settle(cop_store *store, const struct cop_open_options *options)
{
	struct segment_header *header;
	struct disk_state state;
	int code = 0;
	cop_err err = generation_settle(store);

	if (!err)
		err = attach_writable(store);
	if (err)
		return err;
	/* whoever takes an image sees that somebody was here */
	atomic_fetch_add_explicit(&store->writable.header->images.turns, 1,
				  memory_order_relaxed);
	if (died_within(store->writable.header))
		code = env_write_repair(store->env);
	if (code)
		return error_system(code, "%s: cannot write", store->path);
	err = state_now(store, &state);
	if (!err)
		hnsw_recover(&store->writable);
	if (!err)
		err = recover_run(store, &state);
	if (err)
		return err;
	header = store->writable.header;
	/* of a commit whose maker died before he could */
	bell_ring(&store->slots.control->commits);
	if (atomic_load_explicit(&header->committed, memory_order_relaxed) ==
		state.commit &&
	    atomic_load_explicit(&header->chain, memory_order_relaxed) ==
		state.chain &&
	    state.commit - header->base_commit < STAMP_NEVER - 1)
		return 0;
	err = attach_rebuild(store, options);
	return err ? err : attach_writable(store);
}

cop_err writer_ready(cop_store *store)
{
	cop_err err = attach_check(store);

	if (!err)
		err = writer_settle(store, NULL);
	point("settled");
	return err;
}

/* ---- one transaction ---------------------------------------------------- */

static cop_err state_read(struct apply *apply)
{
	cop_store *store = apply->store;
	cop_err err = read_state(store->env, apply->txn, &apply->state);

	if (err || apply->state.commit == apply->commit - 1)
		return err;
	return error_set(COP_CORRUPT,
			 "%s: its commit number is %llu and its segment's %llu",
			 store->path, (unsigned long long)apply->state.commit,
			 (unsigned long long)apply->commit - 1);
}

static cop_err commit_error(const cop_store *store, int code)
{
	return error_system(code, "%s: nothing of this commit took place",
			    store->path);
}

/* The page that makes it happen may have reached the disk all the same. */
static cop_err commit_unknown(const cop_store *store, int code)
{
	return error_set(COP_UNKNOWN,
			 "%s: whether the commit took place is not known, its "
			 "last page could not be written (%s); close the store "
			 "in this process, open it again and look",
			 store->path, cop_strerror(code));
}

/*
 * Puts what is not refused.  An error is about the transaction as a whole,
 * and to be taken back; request->err is about one request, of which nothing
 * was put.
 */
static cop_err requests_apply(struct apply *apply, struct request **requests,
			      uint32_t count)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		struct request *request = requests[i];

		err = validate_run(apply, request, count > 1);
		if (err == COP_CONFLICT || err == COP_DANGLING) {
			request_fail(request, err);
			err = 0;
			continue;
		}
		if (!err)
			err = apply_run(apply, request);
		if (!err && request->number && result_note(apply, request))
			err = error_system(ENOMEM, "no memory to commit");
	}
	return err;
}

static cop_err records_trim(const struct apply *apply)
{
	int code =
	    checkpoint_trim(apply->store, apply->txn, apply->state.oldest);

	return code ? commit_error(apply->store, code) : 0;
}

/* The requests' work in LMDB and in the segment, up to the commit. */
static cop_err commit_prepare(struct apply *apply, struct request **requests,
			      uint32_t count)
{
	cop_store *store = apply->store;
	cop_err err = state_read(apply);

	if (!err)
		err = retain_begin(apply);
	if (!err)
		err = requests_apply(apply, requests, count);
	if (err || apply_is_empty(apply))
		return err;
	err = retain_slice(apply);
	if (!err)
		err = apply_seal(apply, store->writable.header->uuid);
	if (!err)
		err = records_trim(apply);
	return err ? err
		   : prepare_run(apply,
				 slot_oldest(&store->slots, apply->commit - 1));
}

/*
 * Takes a failed attempt back: this process does what recovery would.
 * Returns	ENV_PANIC if LMDB cannot say whether it is on disk
 */
static int attempt_abandon(struct apply *apply)
{
	struct disk_state state;
	char words[768];
	int code;

	memcpy(words, cop_last_error(), strlen(cop_last_error()) + 1);
	dict_clear(&apply->store->dict);
	/* if this fails, the next holder of W does it */
	code = env_write_repair(apply->store->env);
	if (!code && !state_now(apply->store, &state))
		(void)recover_run(apply->store, &state);
	(void)error_set(0, "%s", words);
	return code;
}

/* One LMDB transaction with all requests that are not refused. */
static cop_err commit_try(struct apply *apply, struct request **requests,
			  uint32_t count, int lazy)
{
	cop_store *store = apply->store;
	uint64_t since;
	cop_err err;
	int code = env_write_begin(store->env, lazy, &apply->txn);

	if (code)
		return error_system(code, "%s: cannot write", store->path);
	point("commit-begun");
	err = commit_prepare(apply, requests, count);
	if (err || apply_is_empty(apply)) {
		env_write_abort(apply->txn);
		if (err)
			(void)attempt_abandon(apply);
		else
			dict_clear(&store->dict);
		apply->commit--;
		return err;
	}
	point("commit-before");
	/* before it: whoever dies after it has counted his group */
	figures_time(&store->figures, TIMING_GROUP, count, 1);
	since = span_begin(store);
	code = env_write_commit(apply->txn); /* C1: makes it happen */
	span_end(store, TIMING_SYNC, since, 1);
	point("commit-after");
	if (code) {
		err = commit_error(store, code);
		return attempt_abandon(apply) == ENV_PANIC
			   ? commit_unknown(store, code)
			   : err;
	}
	prepare_finish(apply);
	checkpoint_note(store, apply_change_count(apply));
	prepare_close(apply);
	return 0;
}

static cop_err commit_once(cop_store *store, struct request **requests,
			   uint32_t count)
{
	struct apply apply = {.store = store};
	int lazy = 1;
	cop_err err;

	for (uint32_t i = 0; i < count; i++)
		lazy &= requests[i]->durability == COP_LAZY;
	apply.commit =
	    1 + atomic_load_explicit(&store->writable.header->committed,
				     memory_order_relaxed);
	err = stall_check(store, apply.commit - 1);
	if (!err)
		err = commit_try(&apply, requests, count, lazy);
	for (uint32_t i = 0; i < count && !err; i++)
		requests[i]->result.commit = apply.commit;
	apply_release(&apply);
	return err;
}

void commit_run(cop_store *store, struct request **requests, uint32_t count)
{
	uint64_t begin_ns = trace_begin(store, COP_TRACE_COMMIT);
	uint64_t took_ns;
	cop_err err;
	int again;

	PROBE1(commit__begin, count);
	err = commit_once(store, requests, count);
	PROBE3(commit__end, requests[0]->result.commit, count, err);
	/* giving up looked for dead readers, which may have held room back */
	again = count > 1 || (err == COP_NO_SPACE && store->env->cleared);
	if (trace_due(store, COP_TRACE_COMMIT, begin_ns, &took_ns))
		trace_tell(store, COP_TRACE_COMMIT, took_ns,
			   "commit %llu of %u requests: %s",
			   (unsigned long long)requests[0]->result.commit,
			   count, err ? cop_strerror(err) : "done");
	if (err == COP_UNKNOWN)
		again = 0;
	for (uint32_t i = 0; i < count && err && !again; i++)
		request_fail(requests[i], err);
	if (!err || !again)
		return;
	/* one of them cannot be done, or all cannot be done at once */
	for (uint32_t i = 0; i < count; i++) {
		requests[i]->err = 0;
		err = writer_settle(store, NULL);
		if (!err)
			err = commit_once(store, &requests[i], 1);
		if (err)
			request_fail(requests[i], err);
	}
}
