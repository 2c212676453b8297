/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"
#include "coppice.h"
#include "lock.h"
#include "setting.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(ENV_ABSENT == MDB_NOTFOUND, "LMDB's number for not found");

enum { OPEN_TRIES = 50, READERS = 16384, PAGES_MISSING = 4096 };

#define MAP_DEFAULT (UINT64_C(256) << 30)
#define MAP_MIN	    (UINT64_C(64) << 20)

static const struct {
	const char *name;
	unsigned flags;
} databases[DB_COUNT] = {
    [DB_META] = {NULL, 0}, /* the main one: found without a look-up */
    [DB_KEYS] = {"keys", 0},
    [DB_ENTITIES] = {"entities", MDB_INTEGERKEY},
    [DB_VECTORS] = {"vectors", MDB_INTEGERKEY},
    [DB_EDGES] = {"edges", 0},
    [DB_EDGES_IN] = {"edges_in", 0},
    [DB_MEMBERS] = {"members", 0},
    [DB_NAMES] = {"names", MDB_INTEGERKEY},
    [DB_SYMBOLS] = {"symbols", 0},
    [DB_OPS] = {"ops", MDB_INTEGERKEY},
};

int env_is_error(int error)
{
	return error >= MDB_KEYEXIST && error <= MDB_LAST_ERRCODE;
}

const char *env_strerror(int error)
{
	return mdb_strerror(error);
}

int env_public_error(int error)
{
	switch (error) {
	case MDB_MAP_FULL: return COP_NO_SPACE;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID: return COP_CORRUPT;
	case MDB_VERSION_MISMATCH: return COP_VERSION;
	default: return error;
	}
}

static MDB_val val_of(struct bytes bytes)
{
	return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data};
}

/* The map is address space, not memory; take less where that is scarce. */
static int open_sized(struct env *env, const char *path, unsigned mode)
{
	for (;;) {
		int err = mdb_env_create(&env->handle);

		if (err)
			return err;
		(void)mdb_env_set_maxdbs(env->handle, 32);
		(void)mdb_env_set_maxreaders(env->handle, READERS);
		err = mdb_env_set_mapsize(env->handle, env->map_bytes);
		if (!err)
			err = mdb_env_open(env->handle, path, MDB_NOTLS, mode);
		if (!err)
			return 0;
		mdb_env_close(env->handle);
		env->handle = NULL;
		if (err != ENOMEM || env->map_bytes / 2 < MAP_MIN)
			return err;
		env->map_bytes /= 2;
	}
}

/* An open may meet a peer that is just closing: try again for a while. */
static int open_patient(struct env *env, const char *path, unsigned mode)
{
	const struct timespec pause = {0, 2000000};
	int err = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		err = lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE,
				env->timeout_ms);
		if (err)
			return err;
		err = open_sized(env, path, mode);
		lock_release(env->lock_fd, LOCK_R);
		if (err != EAGAIN && err != EINVAL)
			return err;
		nanosleep(&pause, NULL);
	}
	return err;
}

static _Thread_local jmp_buf *assertion_exit;

static void assertion_leave(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	if (assertion_exit)
		longjmp(*assertion_exit, 1);
}

/* How many of the pages from `first` on LMDB's list of free pages names. */
static uint64_t free_pages_from(MDB_cursor *cursor, uint64_t first)
{
	uint64_t count = 0;
	MDB_val key;
	MDB_val value;

	while (!mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		const size_t *pages =
		    value.mv_data; /* a length, then numbers */
		size_t most = value.mv_size / sizeof *pages;

		for (size_t i = 1; i < most && i <= pages[0]; i++)
			count += pages[i] >= first;
	}
	return count;
}

/*
 * Runs over pages that may be damaged: an assertion of LMDB's counts as such.
 * *listed becomes how many of the pages from `first` on are free.
 */
static void missing_count(const struct env *env, uint64_t first,
			  uint64_t *listed)
{
	jmp_buf out;
	MDB_txn *txn;
	MDB_cursor *cursor;

	if (mdb_txn_begin(env->handle, NULL, MDB_RDONLY, &txn))
		return;
	(void)mdb_env_set_assert(env->handle, assertion_leave);
	assertion_exit = &out;
	if (!setjmp(out) && !mdb_cursor_open(txn, 0, &cursor)) {
		*listed = free_pages_from(cursor, first);
		mdb_cursor_close(cursor);
	}
	assertion_exit = NULL;
	(void)mdb_env_set_assert(env->handle, NULL);
	mdb_txn_abort(txn);
}

/* Makes the pages that are missing; takes that back if they are not free. */
static int missing_make(const struct env *env, int fd, off_t was, off_t full,
			uint64_t first, uint64_t count)
{
	struct stat st;
	uint64_t listed = 0;
	int err = posix_fallocate(fd, full - 1, 1);

	if (err)
		return err;
	err = lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE, env->timeout_ms);
	if (err)
		return err;
	missing_count(env, first, &listed);
	lock_release(env->lock_fd, LOCK_R);
	if (listed == count)
		return 0;
	if (!fstat(fd, &st) && st.st_size == full && ftruncate(fd, was))
		return errno;
	return MDB_CORRUPTED;
}

/*
 * A data file shorter than LMDB believes is a signal at the first look past
 * its end.  A few pages may be missing by right: LMDB does not write what it
 * took and gave back in one transaction; they are on its list of free pages,
 * and are made.
 */
static int length_check(const struct env *env)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	uint64_t need;
	uint64_t have;
	int fd;
	int err = mdb_env_info(env->handle, &info);

	if (!err)
		err = mdb_env_stat(env->handle, &stat);
	if (!err)
		err = mdb_env_get_fd(env->handle, &fd);
	if (!err && fstat(fd, &st))
		err = errno;
	if (err)
		return err;
	need = (uint64_t)info.me_last_pgno + 1;
	have = (uint64_t)st.st_size / stat.ms_psize;
	if (have >= need)
		return 0;
	if (need - have > PAGES_MISSING)
		return MDB_CORRUPTED;
	return missing_make(env, fd, st.st_size, (off_t)(need * stat.ms_psize),
			    have, need - have);
}

static int databases_open(struct env *env, int create)
{
	MDB_txn *txn;
	int err =
	    lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE, env->timeout_ms);

	if (err)
		return err;
	err = mdb_txn_begin(env->handle, NULL, create ? 0 : MDB_RDONLY, &txn);
	for (int i = 0; !err && i < DB_COUNT; i++) {
		err =
		    mdb_dbi_open(txn, databases[i].name,
				 databases[i].flags | (create ? MDB_CREATE : 0),
				 &env->dbs[i]);
		if (err)
			mdb_txn_abort(txn);
	}
	if (!err)
		err = mdb_txn_commit(txn);
	lock_release(env->lock_fd, LOCK_R);
	return err;
}

int env_open(struct env *env, const char *path, int lock_fd,
	     uint32_t timeout_ms, uint32_t mode, int create)
{
	int err;

	*env = (struct env){.lock_fd = lock_fd, .timeout_ms = timeout_ms};
	env->map_bytes = setting_bytes("COPPICE_MAP_SIZE", MAP_DEFAULT);
	if (env->map_bytes < MAP_MIN)
		env->map_bytes = MAP_MIN;
	err = open_patient(env, path, mode);
	if (err)
		return err;
	err = length_check(env);
	if (!err)
		err = databases_open(env, create);
	if (err)
		env_close(env);
	return err;
}

void env_close(struct env *env)
{
	if (env->handle)
		mdb_env_close(env->handle);
	env->handle = NULL;
}

int env_read_begin(struct env *env, env_txn **out)
{
	int cleared;
	int err =
	    lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE, env->timeout_ms);

	if (err)
		return err;
	err = mdb_txn_begin(env->handle, NULL, MDB_RDONLY, out);
	if (err == MDB_READERS_FULL) {
		(void)mdb_reader_check(env->handle, &cleared);
		err = mdb_txn_begin(env->handle, NULL, MDB_RDONLY, out);
	}
	lock_release(env->lock_fd, LOCK_R);
	return err;
}

void env_read_reset(env_txn *txn)
{
	mdb_txn_reset(txn);
}

int env_read_renew(env_txn *txn)
{
	return mdb_txn_renew(txn);
}

void env_read_abort(env_txn *txn)
{
	mdb_txn_abort(txn);
}

uint64_t env_txn_id(env_txn *txn)
{
	return mdb_txn_id(txn);
}

int env_read_warm(struct env *env, env_txn *txn)
{
	MDB_stat stat;
	int err = 0;

	for (int i = 0; !err && i < DB_COUNT; i++)
		err = mdb_stat(txn, env->dbs[i], &stat);
	return err;
}

int env_write_begin(struct env *env, env_txn **out)
{
	int cleared;
	int err =
	    lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE, env->timeout_ms);

	if (err)
		return err;
	(void)mdb_reader_check(env->handle, &cleared);
	lock_release(env->lock_fd, LOCK_R);
	return mdb_txn_begin(env->handle, NULL, 0, out);
}

int env_write_repair(struct env *env)
{
	env_txn *txn;
	int err = env_write_begin(env, &txn);

	if (!err)
		env_write_abort(txn);
	return err;
}

int env_write_commit(env_txn *txn)
{
	return mdb_txn_commit(txn);
}

void env_write_abort(env_txn *txn)
{
	mdb_txn_abort(txn);
}

int env_get(const struct env *env, env_txn *txn, enum env_db db,
	    struct bytes key, struct bytes *value)
{
	MDB_val k = val_of(key);
	MDB_val v;
	int err = mdb_get(txn, env->dbs[db], &k, &v);

	if (!err)
		*value = bytes_of(v.mv_data, v.mv_size);
	return err;
}

int env_put(const struct env *env, env_txn *txn, enum env_db db,
	    struct bytes key, struct bytes value)
{
	MDB_val k = val_of(key);
	MDB_val v = val_of(value);

	return mdb_put(txn, env->dbs[db], &k, &v, 0);
}

static int put_reserve(const struct env *env, env_txn *txn, enum env_db db,
		       struct bytes key, size_t size, void **room,
		       unsigned flags)
{
	MDB_val k = val_of(key);
	MDB_val v = {size, NULL};
	int err = mdb_put(txn, env->dbs[db], &k, &v, MDB_RESERVE | flags);

	if (!err)
		*room = v.mv_data;
	return err;
}

int env_put_reserve(const struct env *env, env_txn *txn, enum env_db db,
		    struct bytes key, size_t size, void **room)
{
	return put_reserve(env, txn, db, key, size, room, 0);
}

int env_append(const struct env *env, env_txn *txn, enum env_db db,
	       struct bytes key, size_t size, void **room)
{
	int err = put_reserve(env, txn, db, key, size, room, MDB_APPEND);

	return err == MDB_KEYEXIST
		   ? put_reserve(env, txn, db, key, size, room, 0)
		   : err;
}

int env_delete(const struct env *env, env_txn *txn, enum env_db db,
	       struct bytes key)
{
	MDB_val k = val_of(key);

	return mdb_del(txn, env->dbs[db], &k, NULL);
}

int env_cursor_open(const struct env *env, env_txn *txn, enum env_db db,
		    env_cursor **out)
{
	return mdb_cursor_open(txn, env->dbs[db], out);
}

void env_cursor_close(env_cursor *cursor)
{
	mdb_cursor_close(cursor);
}

int env_cursor_move(env_cursor *cursor, enum env_move move, struct bytes *key,
		    struct bytes *value)
{
	static const MDB_cursor_op ops[] = {
	    [ENV_SEEK] = MDB_SET_RANGE,
	    [ENV_NEXT] = MDB_NEXT,
	    [ENV_LAST] = MDB_LAST,
	};
	MDB_val k = val_of(*key);
	MDB_val v;
	int err = mdb_cursor_get(cursor, &k, &v, ops[move]);

	if (err)
		return err;
	*key = bytes_of(k.mv_data, k.mv_size);
	*value = bytes_of(v.mv_data, v.mv_size);
	return 0;
}

int env_count(const struct env *env, env_txn *txn, enum env_db db,
	      uint64_t *count)
{
	MDB_stat stat;
	int err = mdb_stat(txn, env->dbs[db], &stat);

	if (!err)
		*count = stat.ms_entries;
	return err;
}
