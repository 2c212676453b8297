/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a store from a backup.
 *
 * idea
 *	The folder PATH.restoring is filled beside where the store is to be and
 *	renamed to it last, so at PATH there is nothing or all of it.  The
 *	backup comes in the order of keys, so LMDB's pages are filled to the end
 *	as they are by a compaction, and the new data file is smaller than the
 *	old one; its entries are put while they are read, and checked just
 *	before.
 *
 * another store
 *	Entities keep their ids, commits their numbers, times and chain, so what
 *	was asked as of a commit is answered as before.  But it has a uuid of
 *	its own: segments are named after it and have it in them, so a segment
 *	of the old store's in memory, of later commits perhaps, is none of this
 *	one's, though the path and even the inode are the same.  Were the uuid
 *	the same, the chain would tell (attach.c).
 *
 * two at once
 *	The folder being filled is locked (flock, which goes with its holder);
 *	who cannot have it is told so.
 *
 * crash
 *	before the rename	PATH.restoring, which the next one to restore to
 *				PATH empties if it has CREATE_MARK, the first
 *				file that is made and the last to go; else it
 *				may be somebody's
 *	after it		the store; whoever opens it removes the mark
 */
#include "backupfile.h"
#include "create.h"
#include "limit.h"
#include "point.h"
#include "marks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes put before they are committed; LMDB keeps them in memory. */
#define BATCH_BYTES (UINT64_C(64) << 20)

enum { PLACE_TRIES = 100, COUNTER_MOST = 16777216, COUNTER_TIMES = 64 };

struct restoring {
	const struct cop_restore_options *options;
	struct backup_in in;
	struct disk_store config;
	struct creation creation;
	char target[PATH_MAX];
	char place[PATH_MAX]; /* where it is made */
	struct env *env;
	env_txn *txn;
	uint64_t batch_bytes;
	uint64_t chunks; /* when progress was told last */
	uint64_t entries;
	uint64_t keys, edges; /* of these */
	int has_retention;
};

/* ---- the folder --------------------------------------------------------- */

static cop_err path_take(struct restoring *restoring, const char *path)
{
	size_t size = path ? strlen(path) : 0;

	while (size > 1 && path[size - 1] == '/')
		size--;
	if (!size)
		return error_set(COP_INVALID, "no path was given");
	if (snprintf(restoring->target, PATH_MAX, "%.*s", (int)size, path) >=
		PATH_MAX ||
	    snprintf(restoring->place, PATH_MAX, "%s.restoring",
		     restoring->target) >= PATH_MAX)
		return error_system(ENAMETOOLONG, "cannot restore to %.200s",
				    path);
	return 0;
}

static cop_err target_check(const char *target)
{
	struct stat st;

	if (lstat(target, &st))
		return errno == ENOENT
			   ? 0
			   : error_system(errno, "cannot restore to %s",
					  target);
	if (S_ISDIR(st.st_mode) && create_is_empty(target))
		return 0;
	return error_set(COP_EXISTS,
			 "%s is there already and is not an empty folder; "
			 "choose another path",
			 target);
}

/* The folder to fill, locked; or errno.  EAGAIN: it was removed meanwhile. */
static int place_lock(const char *place, int *fd)
{
	struct stat named;
	struct stat st;
	int err = 0;

	if (mkdir(place, 0700) && errno != EEXIST)
		return errno;
	*fd = open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return errno == ENOENT ? EAGAIN : errno;
	if (flock(*fd, LOCK_EX | LOCK_NB) || fstat(*fd, &st))
		err = errno == EWOULDBLOCK ? EBUSY : errno;
	else if (lstat(place, &named) || named.st_dev != st.st_dev ||
		 named.st_ino != st.st_ino)
		err = EAGAIN;
	if (err)
		close(*fd);
	return err;
}

static cop_err place_busy(const struct restoring *restoring)
{
	return error_set(COP_BUSY,
			 "another process restores to %s, in %s; let it finish",
			 restoring->target, restoring->place);
}

/* What a death has left is removed. */
static cop_err place_empty(struct restoring *restoring, int fd)
{
	if (!faccessat(fd, CREATE_MARK, F_OK, AT_SYMLINK_NOFOLLOW))
		create_clear(fd);
	return create_is_empty(restoring->place)
		   ? 0
		   : error_set(COP_EXISTS,
			       "%s is in the way: restoring makes the store "
			       "there first; look what it is, and move or "
			       "remove it",
			       restoring->place);
}

static cop_err place_mark(struct restoring *restoring)
{
	int fd = openat(restoring->creation.folder_fd, CREATE_MARK,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_system(errno, "cannot make %s/" CREATE_MARK,
				    restoring->place);
	close(fd);
	return 0;
}

static cop_err place_make(struct restoring *restoring)
{
	struct creation *creation = &restoring->creation;
	int err = EAGAIN;
	int fd = -1;
	cop_err failed;

	for (int i = 0; err == EAGAIN && i < PLACE_TRIES; i++)
		err = place_lock(restoring->place, &fd);
	if (err == EBUSY || err == EAGAIN)
		return place_busy(restoring);
	if (err)
		return create_folder_failed(restoring->place, err);
	failed = place_empty(restoring, fd);
	if (failed) {
		close(fd);
		return failed;
	}
	creation->path = restoring->place;
	creation->made_folder = 1;
	creation->folder_fd = fd;
	failed = place_mark(restoring);
	point("restore-placed");
	return failed;
}

/* The store gets its name; its folder's, and what is in it, is on disk. */
static cop_err place_name(struct restoring *restoring)
{
	int err;

	point("restore-made");
	if (rename(restoring->place, restoring->target)) {
		err = errno;
		if (err == ENOTEMPTY || err == EEXIST || err == ENOTDIR)
			return error_set(COP_EXISTS,
					 "%s was made by somebody else "
					 "meanwhile; choose another path",
					 restoring->target);
		return error_system(err, "cannot name the store %s",
				    restoring->target);
	}
	point("restore-named");
	unlinkat(restoring->creation.folder_fd, CREATE_MARK, 0);
	err = folder_sync(restoring->creation.folder_fd, "..");
	restoring->creation.made_folder = 0; /* it stays */
	return err ? error_system(err, "cannot sync the folder of %s",
				  restoring->target)
		   : 0;
}

/* ---- the data ----------------------------------------------------------- */

static cop_err unwritten(const struct restoring *restoring, int code)
{
	return error_system(code, "cannot write the data file of %s",
			    restoring->target);
}

static cop_err batch_next(struct restoring *restoring)
{
	int code = env_write_commit(restoring->txn);

	restoring->batch_bytes = 0;
	restoring->txn = NULL;
	if (!code)
		code = env_write_begin(restoring->env, 1, &restoring->txn);
	point("restore-batch");
	return code ? unwritten(restoring, code) : 0;
}

static cop_err restoring_tell(void *user)
{
	struct restoring *restoring = user;
	const struct cop_restore_options *options = restoring->options;

	error_clear();
	return options->progress
		   ? error_answer(options->progress(
			 options->user, "restoring", restoring->entries,
			 restoring->in.header.entries))
		   : 0;
}

/* Whether a store's backup has such an entry of the main database. */
static int is_meta(struct restoring *restoring, struct bytes key)
{
	int is_retention = key.size == 9 && !memcmp(key.data, "retention", 9);

	restoring->has_retention |= is_retention;
	return is_retention || !env_key_compare(DB_META, key, marks_key());
}

static cop_err entry_put(struct restoring *restoring)
{
	struct backup_in *in = &restoring->in;
	struct bytes key = bytes_of(in->key, in->entry.key_bytes);
	cop_err err;
	size_t size;
	void *room;
	int code;

	if (in->entry.db == DB_META && !is_meta(restoring, key))
		return error_set(COP_CORRUPT,
				 "the backup has an entry that no store's "
				 "backup has; use another one");
	code = env_append_room(restoring->env, restoring->txn,
			       (enum env_db)in->entry.db, key, in->value_left,
			       &room);
	if (code)
		return unwritten(restoring, code);
	restoring->batch_bytes += key.size + in->value_left;
	restoring->entries++;
	restoring->keys += in->entry.db == DB_KEYS;
	restoring->edges += in->entry.db == DB_EDGES;
	size = in->value_left;
	err = backup_in_value(in, room);
	if (!err)
		env_filled((enum env_db)in->entry.db, key, room, size);
	if (!err && restoring->chunks != in->totals.chunks) {
		restoring->chunks = in->totals.chunks;
		err = restoring_tell(restoring);
	}
	return err || restoring->batch_bytes < BATCH_BYTES
		   ? err
		   : batch_next(restoring);
}

/* What the header has. */
static int header_put(struct restoring *restoring)
{
	int code = env_put(
	    restoring->env, restoring->txn, DB_META, bytes_of("store", 5),
	    bytes_of(&restoring->config, sizeof restoring->config));

	return code ? code
		    : env_put(restoring->env, restoring->txn, DB_META,
			      bytes_of("state", 5),
			      bytes_of(&restoring->in.header.state,
				       sizeof restoring->in.header.state));
}

/*
 * Whether the state's counters, by which memory is taken, can be those of so
 * many entries.  A repair may have left a store with fewer.
 */
static int is_plausible(uint64_t counter, uint64_t entries)
{
	return counter <= COUNTER_MOST + entries * COUNTER_TIMES;
}

static cop_err state_check(const struct restoring *restoring)
{
	const struct disk_state *state = &restoring->in.header.state;

	if (is_plausible(state->next_entity, restoring->keys) &&
	    is_plausible(state->edges, restoring->edges))
		return 0;
	return error_set(
	    COP_CORRUPT,
	    "the backup has %llu keys and %llu edges, and counters "
	    "of %llu and %llu, which no store has; use another one",
	    (unsigned long long)restoring->keys,
	    (unsigned long long)restoring->edges,
	    (unsigned long long)state->next_entity,
	    (unsigned long long)state->edges);
}

static cop_err entries_put(struct restoring *restoring)
{
	struct backup_in *in = &restoring->in;
	int code = env_write_begin(restoring->env, 1, &restoring->txn);
	cop_err err = 0;

	if (!code)
		code = header_put(restoring);
	if (code)
		return unwritten(restoring, code);
	for (;;) {
		err = backup_in_entry(in);
		if (err || in->is_ended)
			break;
		err = entry_put(restoring);
		if (err)
			break;
	}
	if (!err && !restoring->has_retention)
		err = error_set(COP_CORRUPT, "the backup lacks the rules of "
					     "retention; use another one");
	return err ? err : state_check(restoring);
}

static cop_err data_fill(void *user, struct env *env)
{
	struct restoring *restoring = user;
	cop_err err;
	int code;

	restoring->env = env;
	err = entries_put(restoring);
	if (err) {
		if (restoring->txn)
			env_write_abort(restoring->txn);
		return err;
	}
	code = env_write_commit(restoring->txn);
	if (!code)
		code = env_sync(env);
	return code ? unwritten(restoring, code) : 0;
}

/* ---- all ---------------------------------------------------------------- */

/* The old store's description, of another store. */
static cop_err config_take(struct restoring *restoring)
{
	const struct cop_restore_options *options = restoring->options;
	struct disk_store *config = &restoring->config;
	cop_err err;

	*config = restoring->in.header.store;
	config->shm_dir[sizeof config->shm_dir - 1] = 0;
	if (options->mode)
		config->mode = options->mode;
	if (options->shm_dir)
		snprintf(config->shm_dir, sizeof config->shm_dir, "%s",
			 options->shm_dir);
	err = create_owner_check(config->mode, config->shm_dir);
	if (!err)
		err = create_cache_check(config->cache_bytes, config->shm_dir);
	if (!err && getrandom(config->uuid, sizeof config->uuid, 0) < 0)
		err = error_system(errno, "cannot draw random numbers");
	restoring->creation.owner = (struct folder_owner){
	    .mode = config->mode,
	    .user = (uid_t)-1,
	    .group = options->group ? options->group - 1 : (gid_t)-1};
	return err;
}

static cop_err store_make(struct restoring *restoring)
{
	struct creation *creation = &restoring->creation;
	cop_err err = place_make(restoring);

	if (!err)
		err = create_files(creation);
	point("restore-files");
	if (!err)
		err = create_data(creation, restoring->config.mode, data_fill,
				  restoring);
	point("restore-filled");
	if (!err)
		err = create_current(creation);
	if (!err)
		err = place_name(restoring);
	if (creation->made_folder && err) {
		create_clear(creation->folder_fd);
		rmdir(restoring->place);
	}
	if (creation->lock_fd >= 0)
		close(creation->lock_fd);
	if (creation->folder_fd >= 0)
		close(creation->folder_fd);
	return err;
}

cop_err cop_restore(int32_t fd, const char *path,
		    const struct cop_restore_options *options,
		    struct cop_backup_info *info)
{
	struct cop_restore_options defaults = {.size = sizeof defaults};
	struct restoring restoring = {
	    .options = options ? options : &defaults,
	    .in = {.fd = fd, .wait = restoring_tell, .user = &restoring},
	    .creation = {.folder_fd = -1, .lock_fd = -1}};
	struct limit limit;
	cop_err err;

	error_clear();
	if (restoring.options->size != sizeof *options ||
	    (info && info->size != sizeof *info))
		return error_set(COP_INVALID,
				 "options, or what is told of a backup, are of "
				 "another size; set .size to their sizeof");
	err = path_take(&restoring, path);
	if (!err)
		err = target_check(restoring.target);
	if (err)
		return err;
	limit_enter(&limit);
	err = backup_in_begin(&restoring.in);
	if (!err)
		err = config_take(&restoring);
	if (!err)
		err = store_make(&restoring);
	limit_leave(&limit);
	if (!err && info)
		*info = backup_info(&restoring.in.header, &restoring.in.totals,
				    restoring.in.offset);
	backup_in_release(&restoring.in);
	return err;
}
