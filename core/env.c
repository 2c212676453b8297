/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"
#include "coppice.h"
#include "lock.h"
#include "pages.h"
#include "setting.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static_assert(ENV_ABSENT == MDB_NOTFOUND, "LMDB's number for not found");
static_assert(ENV_PANIC == MDB_PANIC, "LMDB's number for a failed meta page");

/* Readers: one for each slot, and some for the library's own looks. */
enum {
	OPEN_TRIES = 50,
	READERS = 16384 + 256,
	READERS_BYTES = READERS * 64 + 4096, /* no less than LMDB asks for */
	READER_LOOKS = 64,
	DISK_FULL_BYTES = 1 << 20,
	META_PAGES = 2,
	FREE_TREE = 0, /* LMDB's numbers of its own two */
	MAIN_TREE = 1
};

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
    [DB_ENTITY_VERSIONS] = {"entity_versions", 0},
    [DB_VECTOR_VERSIONS] = {"vector_versions", 0},
    [DB_EDGE_VERSIONS] = {"edge_versions", 0},
    [DB_EDGE_IN_VERSIONS] = {"edge_in_versions", 0},
    [DB_MEMBER_VERSIONS] = {"member_versions", 0},
    [DB_DEATHS] = {"deaths", 0},
    [DB_FLOORS] = {"floors", 0},
    [DB_CONTENT] = {"content", 0},
};

const char *env_version(void)
{
	static _Thread_local char text[32];
	int major;
	int minor;
	int patch;

	mdb_version(&major, &minor, &patch);
	snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
	return text;
}

int env_is_error(int error)
{
	return error == ENV_DAMAGED ||
	       (error >= MDB_KEYEXIST && error <= MDB_LAST_ERRCODE);
}

const char *env_strerror(int error)
{
	return error == ENV_DAMAGED
		   ? "an entry of the data file is not what was written there"
		   : mdb_strerror(error);
}

int env_public_error(int error)
{
	switch (error) {
	case MDB_MAP_FULL:
	case MDB_MAP_RESIZED: return COP_NO_SPACE;
	case ENV_DAMAGED:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID: return COP_CORRUPT;
	case MDB_VERSION_MISMATCH: return COP_VERSION;
	default: return error;
	}
}

/* The map is address space, not memory; take less where that is scarce. */
static int open_sized(struct env *env, const char *path, unsigned mode)
{
	MDB_envinfo info;

	for (;;) {
		int err = mdb_env_create(&env->handle);

		if (err)
			return err;
		(void)mdb_env_set_maxdbs(env->handle, 32);
		(void)mdb_env_set_maxreaders(env->handle, READERS);
		err = mdb_env_set_mapsize(env->handle, env->map_bytes);
		if (!err)
			err = mdb_env_open(env->handle, path, MDB_NOTLS, mode);
		if (!err) /* more than that, if another process asked for it */
			err = mdb_env_info(env->handle, &info);
		if (!err) {
			env->map_bytes = info.me_mapsize;
			return 0;
		}
		mdb_env_close(env->handle);
		env->handle = NULL;
		if (err != ENOMEM || env->map_bytes / 2 < MAP_MIN)
			return err;
		env->map_bytes /= 2;
	}
}

/*
 * LMDB maps the table of its readers, and who writes to a hole of a file on a
 * full disk gets a signal: let there be none.  A table that is there keeps its
 * size, others have it mapped.  R held, and not open in this process, whose
 * locks on it a close drops.
 */
static int readers_allocate(const char *path, unsigned mode)
{
	char name[PATH_MAX];
	struct stat st;
	int err = 0;
	int fd;

	if (snprintf(name, sizeof name, "%s/lock.mdb", path) >= PATH_MAX)
		return ENAMETOOLONG;
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, mode);
	if (fd < 0)
		return errno;
	if (fstat(fd, &st))
		err = errno;
	else if (!st.st_size || st.st_size > READERS_BYTES)
		st.st_size = READERS_BYTES;
	while (!err && st.st_blocks * 512 < st.st_size &&
	       fallocate(fd, 0, 0, st.st_size) && errno != EOPNOTSUPP)
		err = errno == EINTR ? 0 : errno;
	close(fd);
	return err;
}

/* Where LMDB has mapped a file, from /proc; 0 if that is not to be had. */
static uintptr_t map_find(const struct stat *file, uint64_t bytes)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	uintptr_t found = 0;

	while (maps && !found && fgets(line, sizeof line, maps)) {
		uintptr_t from;
		uintptr_t to;
		unsigned major_number;
		unsigned minor_number;
		uint64_t offset;
		uint64_t inode;

		if (sscanf(line,
			   "%" SCNxPTR "-%" SCNxPTR " r--s %" SCNx64
			   " %x:%x %" SCNu64,
			   &from, &to, &offset, &major_number, &minor_number,
			   &inode) == 6 &&
		    !offset && to - from >= bytes && inode == file->st_ino &&
		    major_number == major(file->st_dev) &&
		    minor_number == minor(file->st_dev))
			found = from;
	}
	if (maps)
		fclose(maps);
	return found;
}

/*
 * LMDB maps its file through the descriptor it writes with, so the kernel takes
 * every process's map for one that pages could be dirtied through, and at each
 * commit looks for every page in the tables of every process.  The same map
 * through a descriptor that cannot write spares that; LMDB only reads it.
 * Where it cannot be done, commits cost more the more processes there are.
 * Returns	0, or why the map is gone.
 */
static int map_read_only(struct env *env, const char *path)
{
	char name[PATH_MAX];
	struct stat st;
	uintptr_t at;
	int err = 0;
	int fd;

	if (snprintf(name, sizeof name, "%s/data.mdb", path) >= PATH_MAX)
		return 0;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	at = fstat(fd, &st) ? 0 : map_find(&st, env->map_bytes);
	env->map_at = at;
	if (at && mmap((void *)at, env->map_bytes, PROT_READ,
		       MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		err = errno;
	close(fd);
	return err;
}

/* What LMDB believes before anything can be asked; R held. */
static int metas_check(const char *path, int how)
{
	char name[PATH_MAX];
	struct stat st;
	int err = 0;
	int fd;

	if (snprintf(name, sizeof name, "%s/data.mdb", path) >= PATH_MAX)
		return ENAMETOOLONG;
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT && how & ENV_CREATE ? 0 : errno;
	if (fstat(fd, &st))
		err = errno;
	else if (!S_ISREG(st.st_mode) || (!st.st_size && !(how & ENV_CREATE)))
		err = ENOENT; /* LMDB would make one */
	if (!err)
		err = pages_metas_check(fd);
	close(fd);
	return err;
}

/* An open may meet a peer that is just closing: try again for a while. */
static int open_patient(struct env *env, const char *path, unsigned mode,
			int how)
{
	const struct timespec pause = {0, 2000000};
	int err = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		err = lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE,
				env->timeout_ms);
		if (err)
			return err;
		err = metas_check(path, how);
		if (!err)
			err = readers_allocate(path, mode);
		if (!err)
			err = open_sized(env, path, mode);
		lock_release(env->lock_fd, LOCK_R);
		/*
		 * EINTR is left over from a call that was made again; a lock
		 * that was refused once leaves an empty reader table.
		 */
		if (err != EAGAIN && err != EINVAL && err != EINTR &&
		    (err != MDB_INVALID || i))
			return err;
		nanosleep(&pause, NULL);
	}
	return err;
}

/* The data file's pages that LMDB reads before it can be asked. */
static int main_look(struct env *env, int writer_held, int *is_short)
{
	const int what = writer_held ? PAGES_MAIN | PAGES_FREE : PAGES_MAIN;
	struct pages pages = {0};
	MDB_txn *txn;
	int err =
	    lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE, env->timeout_ms);

	if (err)
		return err;
	err = mdb_txn_begin(env->handle, NULL, MDB_RDONLY, &txn);
	lock_release(env->lock_fd, LOCK_R);
	if (err)
		return err;
	err = pages_check(env, txn, what, &pages);
	*is_short = pages.missing != 0;
	if (!err && writer_held && pages.missing != pages.missing_free)
		err = MDB_CORRUPTED;
	/* a hole, so that looking there is no signal */
	if (!err && writer_held && pages.missing &&
	    ftruncate(env_data_fd(env), (off_t)pages.need))
		err = errno;
	mdb_txn_abort(txn);
	return err;
}

/*
 * A data file shorter than LMDB believes is a signal at the first look past
 * its end.  Pages may be missing by right: LMDB does not write what it took
 * and gave back in one transaction, but it lists them as free.  Whether that
 * is so is found out with W held, so that nobody writes there meanwhile.
 */
static int main_check(struct env *env, int how)
{
	int is_short = 0;
	int err = main_look(env, 0, &is_short);

	if (err || !is_short || how & ENV_WHOLE)
		return err;
	err = lock_take(env->lock_fd, LOCK_W, LOCK_EXCLUSIVE, env->timeout_ms);
	if (err)
		return err;
	err = env_write_repair(env);
	if (!err)
		err = main_look(env, 1, &is_short);
	lock_release(env->lock_fd, LOCK_W);
	return err;
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
		/* LMDB's numbers are part of what entries' sums are of */
		if (!err && env->dbs[i] != MAIN_TREE + (unsigned)i)
			err = EINVAL;
		if (err)
			mdb_txn_abort(txn);
	}
	if (!err)
		err = mdb_txn_commit(txn);
	lock_release(env->lock_fd, LOCK_R);
	return err;
}

static int reader_count(const char *line, void *context)
{
	int *count = context;
	int pid;

	*count += sscanf(line, "%d", &pid) == 1 && pid == (int)getpid();
	return 0;
}

/*
 * A dead process may have had this one's pid: a container that is started
 * again often does.  LMDB never clears readers of one's own pid while it is
 * in use, and closing clears them all.  A read was begun, and with it LMDB's
 * lock for this pid was had: whatever has it now is dead.
 */
static int readers_clear(struct env *env, const char *path, unsigned mode)
{
	int count = 0;
	int err = mdb_reader_list(env->handle, reader_count, &count);

	if (err < 0 || !count)
		return err < 0 ? EIO : 0;
	env_close(env);
	return open_patient(env, path, mode, 0);
}

/* Entries' own functions get from a cursor to the environment, and no more. */
static int entries_prepare(struct env *env)
{
	MDB_stat stat;
	int err = mdb_env_stat(env->handle, &stat);

	if (err)
		return err;
	env->page_bytes = stat.ms_psize;
	return mdb_env_set_userctx(env->handle, env);
}

int env_data_fd(const struct env *env)
{
	int fd;

	return mdb_env_get_fd(env->handle, &fd) ? -1 : fd;
}

/* LMDB leaves its data file open in a program that the process becomes. */
static int descriptor_mark(const struct env *env)
{
	return fcntl(env_data_fd(env), F_SETFD, FD_CLOEXEC) ? errno : 0;
}

int env_open(struct env *env, const char *path, int lock_fd,
	     uint32_t timeout_ms, uint32_t mode, int how)
{
	int err;

	*env = (struct env){.lock_fd = lock_fd, .timeout_ms = timeout_ms};
	env->map_bytes = setting_bytes("COPPICE_MAP_SIZE", MAP_DEFAULT);
	if (env->map_bytes < MAP_MIN)
		env->map_bytes = MAP_MIN;
	err = open_patient(env, path, mode, how);
	if (err)
		return err;
	err = main_check(env, how);
	if (!err) /* it may open the environment again, elsewhere */
		err = readers_clear(env, path, mode);
	if (!err)
		err = map_read_only(env, path);
	if (!err)
		err = descriptor_mark(env);
	if (!err)
		err = entries_prepare(env);
	if (!err)
		err = databases_open(env, how & ENV_CREATE);
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

/* Whoever stands still with R: the caller may try again. */
static int readers_lock(const struct env *env)
{
	int err =
	    lock_take(env->lock_fd, LOCK_R, LOCK_EXCLUSIVE, env->timeout_ms);

	return err == EAGAIN ? COP_BUSY : err;
}

/*
 * LMDB calls it a file that grew past this map, as another process's setting
 * can let it; so is one whose last page's number is damaged.
 */
static int map_error(MDB_env *handle, int err)
{
	int fd;

	if (err != MDB_MAP_RESIZED || mdb_env_get_fd(handle, &fd))
		return err;
	return pages_metas_check(fd) == COP_CORRUPT ? MDB_CORRUPTED : err;
}

int env_read_begin(struct env *env, env_txn **out)
{
	int cleared;
	int err = readers_lock(env);

	if (err)
		return err;
	err = mdb_txn_begin(env->handle, NULL, MDB_RDONLY, out);
	if (err == MDB_READERS_FULL) {
		(void)mdb_reader_check(env->handle, &cleared);
		err = mdb_txn_begin(env->handle, NULL, MDB_RDONLY, out);
	}
	lock_release(env->lock_fd, LOCK_R);
	return map_error(env->handle, err);
}

void env_read_reset(env_txn *txn)
{
	if (txn)
		mdb_txn_reset(txn);
}

int env_read_renew(env_txn *txn)
{
	return map_error(mdb_txn_env(txn), mdb_txn_renew(txn));
}

int env_read_newest(env_txn *txn)
{
	env_read_reset(txn);
	return env_read_renew(txn);
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

uint64_t env_map_room(const struct env *env)
{
	MDB_envinfo info;
	MDB_stat stat;
	uint64_t used;

	if (mdb_env_info(env->handle, &info) ||
	    mdb_env_stat(env->handle, &stat))
		return 0;
	used = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	return info.me_mapsize > used ? info.me_mapsize - used : 0;
}

/* Pages of a tree, its root's included. */
static int tree_pages(MDB_txn *txn, unsigned db, uint64_t *pages)
{
	MDB_stat stat;
	int err = mdb_stat(txn, db, &stat);

	if (!err)
		*pages += (uint64_t)stat.ms_branch_pages + stat.ms_leaf_pages +
			  stat.ms_overflow_pages;
	return err;
}

int env_pages(const struct env *env, env_txn *txn, uint64_t *bytes,
	      uint64_t *free_bytes)
{
	uint64_t used = META_PAGES;
	uint64_t all;
	MDB_envinfo info;
	MDB_stat stat;
	int err = tree_pages(txn, FREE_TREE, &used);

	if (!err)
		err = tree_pages(txn, MAIN_TREE, &used);
	for (int i = 0; !err && i < DB_COUNT; i++)
		if (env->dbs[i] != MAIN_TREE)
			err = tree_pages(txn, env->dbs[i], &used);
	if (!err) /* afterwards: the file only grows */
		err = mdb_env_info(env->handle, &info);
	if (!err)
		err = mdb_env_stat(env->handle, &stat);
	if (err)
		return err;
	all = (uint64_t)info.me_last_pgno + 1;
	*bytes = all * stat.ms_psize;
	*free_bytes = all > used ? (all - used) * stat.ms_psize : 0;
	return 0;
}

static int reader_oldest(const char *line, void *context)
{
	uint64_t *oldest = context;
	unsigned long long id;

	if (sscanf(line, "%*d %*s %llu", &id) == 1 && id < *oldest)
		*oldest = id;
	return 0;
}

static int readers_check(struct env *env)
{
	int err = readers_lock(env);

	if (err)
		return err;
	(void)mdb_reader_check(env->handle, &env->cleared);
	lock_release(env->lock_fd, LOCK_R);
	return 0;
}

int env_held_since(const struct env *env, env_txn *txn, uint64_t id,
		   uint64_t *bytes)
{
	MDB_val key = {sizeof id, &id};
	MDB_cursor *cursor;
	MDB_val value;
	size_t pages = 0;
	int err = mdb_cursor_open(txn, 0, &cursor);

	if (err)
		return err;
	err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (!err) {
		size_t count = 0;

		if (value.mv_size >= sizeof count) /* a list's length first */
			memcpy(&count, value.mv_data, sizeof count);
		if (count < value.mv_size / sizeof count)
			pages += count;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	*bytes = (uint64_t)pages * env->page_bytes;
	return err == MDB_NOTFOUND ? 0 : err;
}

int env_held(struct env *env, env_txn *txn, uint64_t *bytes)
{
	uint64_t from = mdb_txn_id(txn);
	int err = readers_check(env); /* what a dead one holds is not held */

	if (!err && mdb_reader_list(env->handle, reader_oldest, &from) < 0)
		err = EIO;
	return err ? err : env_held_since(env, txn, from, bytes);
}

/* The list that LMDB takes pages from, before it first does. */
static int list_check(struct env *env)
{
	env_txn *txn;
	int err;

	if (env->is_sound)
		return 0;
	err = env_read_begin(env, &txn);
	if (err)
		return err;
	err = pages_check(env, txn, PAGES_FREE, NULL);
	env_read_abort(txn);
	env->is_sound = !err;
	return err;
}

int env_write_begin(struct env *env, int lazy, env_txn **out)
{
	int err = env->begun++ % READER_LOOKS ? 0 : readers_check(env);

	if (!err)
		err = list_check(env);
	if (!err)
		err = mdb_txn_begin(env->handle, NULL,
				    lazy ? MDB_NOMETASYNC : 0, out);
	return map_error(env->handle, err);
}

int env_write_repair(struct env *env)
{
	env_txn *txn;
	int err = readers_check(env);

	if (!err)
		err = mdb_txn_begin(env->handle, NULL, 0, &txn);
	if (!err)
		env_write_abort(txn);
	return map_error(env->handle, err);
}

int env_sync(struct env *env)
{
	return mdb_env_sync(env->handle, 1);
}

/*
 * A write that comes out short, at a file's limit or on a full disk, LMDB calls
 * an input/output error.
 */
static int short_error(MDB_env *env)
{
	struct statvfs disk;
	struct rlimit limit;
	struct stat st;
	int fd;

	if (mdb_env_get_fd(env, &fd) || fstat(fd, &st))
		return EIO;
	if (!getrlimit(RLIMIT_FSIZE, &limit) &&
	    limit.rlim_cur != RLIM_INFINITY &&
	    (uint64_t)st.st_size >= limit.rlim_cur)
		return EFBIG;
	return !fstatvfs(fd, &disk) &&
		       disk.f_bavail * disk.f_frsize < DISK_FULL_BYTES
		   ? ENOSPC
		   : EIO;
}

int env_write_commit(env_txn *txn)
{
	MDB_env *env = mdb_txn_env(txn);
	int err = mdb_txn_commit(txn);

	return err == EIO ? short_error(env) : err;
}

void env_write_abort(env_txn *txn)
{
	mdb_txn_abort(txn);
}

const char *env_db_name(enum env_db db)
{
	return databases[db].name ? databases[db].name : "main";
}

int env_db_named(struct bytes name)
{
	int db = DB_META + 1;

	while (db < DB_COUNT &&
	       (strlen(databases[db].name) != name.size ||
		memcmp(databases[db].name, name.data, name.size)))
		db++;
	return db;
}

int env_key_is_id(enum env_db db)
{
	return databases[db].flags & MDB_INTEGERKEY;
}

int env_key_fits(enum env_db db, size_t bytes)
{
	if (env_key_is_id(db))
		return bytes == sizeof(uint64_t);
	return bytes && bytes <= ENV_KEY_BYTES;
}

int env_key_compare(enum env_db db, struct bytes a, struct bytes b)
{
	uint64_t x;
	uint64_t y;
	int order;

	if (env_key_is_id(db)) {
		memcpy(&x, a.data, sizeof x);
		memcpy(&y, b.data, sizeof y);
		return x < y ? -1 : x > y;
	}
	order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
	return order ? order : a.size < b.size ? -1 : a.size > b.size;
}
