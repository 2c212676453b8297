/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations: the data file and its segment, replaced while in use.
 *
 * idea
 *	The store's folder has a folder for each generation; CURRENT names the
 *	one in use.  The next one is built beside it, from a snapshot, without
 *	a lock that readers or writers want; what is committed meanwhile is
 *	brought over (copy.c), the last of it with W held.  Commit numbers,
 *	ids and the chain go on, so segment, slots and snapshots stay good.
 *
 * the switch
 *	1	the successor is complete and on disk
 *	2	the old LMDB names it: this commit is the switch
 *	3	it has the images of the segment, and CURRENT names it
 *	4	the control segment has the number: others move there
 *	5	CURRENT is on disk, and the old folder removed, without W; who
 *		would open it reads CURRENT again
 *	Whoever takes W looks at 2 first and finishes 3 to 5, so that after a
 *	death anywhere nobody writes to the old generation any more: before 2
 *	there is no successor, after it there is no other.  A process that
 *	opens the store by an old CURRENT finds 2, too.
 *
 * readers
 *	The commit of 2 is none of the store's, so LMDB's transaction number
 *	does not fit the commit number any more: a reader that begins on the
 *	old generation notices, and moves.  One that has begun stays: its
 *	files are unlinked, and there until it ends.  Who compacts is the last
 *	to close them if he can, for whoever is waits until their blocks are
 *	freed, 350 ms a GB, and would with W held.
 *
 * limits
 *	A process that makes no call keeps the old generation open, and the
 *	room of its file on the disk; the segment's memory is given back
 *	(relic.h).  Punching the file likewise (never cutting it: a look past
 *	its end is a signal) would need that whoever reads it without a slot
 *	(opening, describe, backup, retain.c's age) looked, with a fence after
 *	his LMDB transaction began, at the control segment's number, and began
 *	again if that is another; LMDB's table of readers would then say when
 *	nobody reads the old file.
 *
 * crash
 *	before 2	a folder that nobody names; the next who opens the
 *			store or builds removes it
 *	after 2		see above
 */
#include "generation.h"
#include "clock.h"
#include "copy.h"
#include "create.h"
#include "folder.h"
#include "imagefile.h"

#include "lock.h"
#include "log.h"
#include "pages.h"
#include "point.h"
#include "renew.h"
#include "rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GENERATION_MAX UINT64_C(999999999)

enum { NAME_BYTES = 32, DATA_NAME_BYTES = 64, TIDY_WAIT_MS = 500 };

static struct bytes successor_key(void)
{
	return bytes_of("successor", 9);
}

static void name_of(char *name, uint64_t number)
{
	snprintf(name, NAME_BYTES, "gen-%06" PRIu64, number);
}

/* Its data file, within the store's folder. */
static void data_name(char path[DATA_NAME_BYTES], uint64_t number)
{
	snprintf(path, DATA_NAME_BYTES, "gen-%06" PRIu64 "/data.mdb", number);
}

static uint64_t control_generation(const cop_store *store)
{
	return store->slots.control
		   ? atomic_load_explicit(&store->slots.control->generation,
					  memory_order_acquire)
		   : 0;
}

/* ---- CURRENT ------------------------------------------------------------ */

/* Calls `visit` for each folder of a generation. */
static void folders_each(int folder_fd,
			 void (*visit)(void *user, uint64_t number), void *user)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t number;

	while (folder && (entry = readdir(folder)))
		if (sscanf(entry->d_name, "gen-%" SCNu64, &number) == 1)
			visit(user, number);
	if (folder)
		closedir(folder);
	else if (fd >= 0)
		close(fd);
}

struct oldest {
	int folder_fd;
	uint64_t number; /* 0: none */
};

static void oldest_visit(void *user, uint64_t number)
{
	struct oldest *oldest = user;
	char path[DATA_NAME_BYTES];

	if (!number || number > GENERATION_MAX)
		return;
	data_name(path, number);
	if (!faccessat(oldest->folder_fd, path, F_OK, 0) &&
	    (!oldest->number || number < oldest->number))
		oldest->number = number;
}

/*
 * If there is a data file, the store is not to be thrown away.
 * err		of a store of which that is so
 */
static cop_err current_unknown(int folder_fd, const char *path, cop_err err)
{
	struct oldest oldest = {.folder_fd = folder_fd};

	folders_each(folder_fd, oldest_visit, &oldest);
	if (oldest.number)
		return error_set(
		    err,
		    "%s/CURRENT is missing, or names no "
		    "generation that is there; if the store was used, "
		    "its data is there: write the two lines "
		    "`coppice %d` and `gen-%06llu` into it; if its "
		    "creation was cut off, remove it and run "
		    "`coppice init` again",
		    path, FORMAT_VERSION, (unsigned long long)oldest.number);
	return error_set(COP_NOT_A_STORE,
			 "%s is not a store: its file CURRENT is missing or "
			 "damaged, and no data file is there; its creation may "
			 "have been cut off, then remove it and run `coppice "
			 "init` again",
			 path);
}

cop_err generation_named(int folder_fd, const char *path, uint32_t *format,
			 uint64_t *number)
{
	char text[128];
	int fd = openat(folder_fd, "CURRENT", O_RDONLY | O_CLOEXEC);
	ssize_t bytes;
	int err;

	if (fd < 0 && errno == ENOENT)
		return current_unknown(folder_fd, path, COP_NOT_A_STORE);
	if (fd < 0)
		return error_system(errno, "cannot read %s/CURRENT", path);
	bytes = read(fd, text, sizeof text - 1);
	err = errno;
	close(fd);
	if (bytes < 0)
		return error_system(err, "cannot read %s/CURRENT", path);
	text[bytes] = 0;
	if (sscanf(text, "coppice %" SCNu32 "\ngen-%" SCNu64 "\n", format,
		   number) != 2 ||
	    !*number || *number > GENERATION_MAX)
		return current_unknown(folder_fd, path, COP_CORRUPT);
	return 0;
}

static int data_is_there(int folder_fd, uint64_t number)
{
	char path[DATA_NAME_BYTES];

	data_name(path, number);
	return !faccessat(folder_fd, path, F_OK, 0) || errno != ENOENT;
}

/* Whether it names one that is not there, while another is. */
static int is_astray(int folder_fd, uint64_t number)
{
	struct oldest oldest = {.folder_fd = folder_fd};

	if (data_is_there(folder_fd, number))
		return 0;
	folders_each(folder_fd, oldest_visit, &oldest);
	return oldest.number != 0;
}

/* The number of the generation that CURRENT names. */
static cop_err current_read(const cop_store *store, uint64_t *number)
{
	uint32_t format = 0;
	uint64_t before = 0;
	cop_err err;

	do { /* again if it was replaced between two looks */
		*number = before;
		err = generation_named(store->folder_fd, store->path, &format,
				       &before);
	} while (!err && *number != before &&
		 is_astray(store->folder_fd, before));
	if (!err && *number == before)
		return current_unknown(store->folder_fd, store->path,
				       COP_CORRUPT);
	*number = before;
	if (!err && format != FORMAT_VERSION)
		return error_set(COP_VERSION,
				 "%s is of format %u and this coppice reads "
				 "%d; %s",
				 store->path, format, FORMAT_VERSION,
				 format > FORMAT_VERSION
				     ? "install a newer one"
				     : "make the store anew from its sources");
	return err;
}

/* ---- opening ------------------------------------------------------------ */

/* The number of the successor that a data file names, 0 if none. */
static cop_err successor_read(struct env *env, uint64_t *number)
{
	struct bytes value;
	env_txn *txn;
	int code = env_read_begin(env, &txn);

	*number = 0;
	if (code)
		return error_system(code, "cannot read the data file");
	code = env_get(env, txn, DB_META, successor_key(), &value);
	if (!code && value.size == sizeof *number)
		memcpy(number, value.data, sizeof *number);
	env_read_abort(txn);
	return code && code != ENV_ABSENT
		   ? error_system(code, "cannot read the data file")
		   : 0;
}

static cop_err env_error(const cop_store *store, const char *folder, int code)
{
	if (code == ENV_ABSENT || code == ENOENT)
		return error_set(COP_CORRUPT,
				 "the data file in %s is missing "
				 "or empty; restore a backup",
				 folder);
	if (code == COP_CORRUPT) { /* said already */
		error_prefix("%s: ", folder);
		return code;
	}
	if (code == EAGAIN)
		return error_set(COP_BUSY,
				 "cannot begin in %s: another process holds "
				 "its lock, perhaps stopped; or one with this "
				 "one's pid has it open from another PID "
				 "namespace: let the containers share one, or "
				 "start them with distinct pids",
				 folder);
	(void)store;
	return error_system(code, "cannot open the data file in %s", folder);
}

/* LMDB's transaction number less our commit number. */
static cop_err base_find(struct env *env)
{
	struct disk_state state = {0};
	env_txn *txn;
	cop_err err;
	int code = env_read_begin(env, &txn);

	if (code)
		return error_system(code, "cannot read the data file");
	err = read_state(env, txn, &state);
	env->base = env_txn_id(txn) - state.commit;
	env_read_abort(txn);
	return err;
}

static cop_err generation_make(cop_store *store, uint64_t number, int how,
			       struct generation **out)
{
	struct generation *generation = calloc(1, sizeof *generation);
	char folder[PATH_MAX];
	cop_err err;
	int code;

	if (!generation)
		return error_system(ENOMEM, "no memory to open a store");
	snprintf(folder, sizeof folder, "%s/gen-%06" PRIu64, store->path,
		 number);
	code = env_open(&generation->env, folder, store->lock_fd,
			store->timeout_ms, store->mode, how);
	if (code) {
		free(generation);
		return env_error(store, folder, code);
	}
	generation->number = number;
	generation->references = 1;
	err = how & ENV_CREATE ? 0 : base_find(&generation->env);
	if (err) {
		env_close(&generation->env);
		free(generation);
		return err;
	}
	*out = generation;
	return 0;
}

static void generation_install(cop_store *store, struct generation *generation)
{
	struct generation *old;

	pthread_mutex_lock(&store->mutex);
	old = store->generation;
	store->generation = generation;
	store->env = &generation->env;
	pthread_mutex_unlock(&store->mutex);
	if (old) {
		log_tell(store, COP_LOG_NOTE,
			 "%s: generation %llu of the data file is used from "
			 "here on",
			 store->path, (unsigned long long)generation->number);
		read_pool_clear(store);
		generation_drop(store, old);
	}
}

struct generation *generation_hold(cop_store *store)
{
	struct generation *generation;

	pthread_mutex_lock(&store->mutex);
	generation = store->generation;
	generation->references++;
	pthread_mutex_unlock(&store->mutex);
	return generation;
}

void generation_drop(cop_store *store, struct generation *generation)
{
	uint32_t left;

	pthread_mutex_lock(&store->mutex);
	left = --generation->references;
	pthread_mutex_unlock(&store->mutex);
	if (left)
		return;
	env_close(&generation->env);
	free(generation);
}

/* ---- finishing a switch ------------------------------------------------- */

static void folder_remove(const cop_store *store, uint64_t number)
{
	char name[NAME_BYTES];
	int fd;
	DIR *folder;
	struct dirent *entry;

	name_of(name, number);
	fd = openat(store->folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, 0);
	closedir(folder);
	unlinkat(store->folder_fd, name, AT_REMOVEDIR);
}

struct folders {
	const cop_store *store;
	uint64_t first;
	uint64_t last;
	int is_removing;
	uint32_t count;
};

static void folder_visit(void *user, uint64_t number)
{
	struct folders *folders = user;

	if (number < folders->first || number > folders->last)
		return;
	folders->count++;
	if (folders->is_removing)
		folder_remove(folders->store, number);
}

/* How many folders of generations from one up to another there are. */
static uint32_t folders_visit(const cop_store *store, uint64_t first,
			      uint64_t last, int is_removing)
{
	struct folders folders = {.store = store,
				  .first = first,
				  .last = last,
				  .is_removing = is_removing};

	folders_each(store->folder_fd, folder_visit, &folders);
	return folders.count;
}

/*
 * Older folders are nobody's: who has one open needs no name for it.  They
 * stay until CURRENT is on disk, and so is the name of what came along.
 */
static void older_remove(const cop_store *store, uint64_t number)
{
	char name[NAME_BYTES];

	if (!folders_visit(store, 0, number - 1, 0))
		return;
	name_of(name, number);
	if (!folder_sync(store->folder_fd, name) &&
	    !folder_sync(store->folder_fd, "."))
		(void)folders_visit(store, 0, number - 1, 1);
}

/*
 * Images are of the segment, which goes on: they come along.  Before CURRENT
 * does, since who opens by that removes the old folder with what is in it.
 */
static void images_move(const cop_store *store, uint64_t to)
{
	char old[NAME_BYTES];
	char new[NAME_BYTES];
	char image[IMAGEFILE_NAME_BYTES];
	uint64_t commits[2];
	uint32_t count;
	int from_fd;
	int to_fd;

	name_of(old, to - 1);
	name_of(new, to);
	from_fd =
	    openat(store->folder_fd, old, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to_fd =
	    openat(store->folder_fd, new, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	count =
	    from_fd < 0 || to_fd < 0 ? 0 : imagefile_list(from_fd, commits, 2);
	for (uint32_t i = 0; i < count; i++) {
		imagefile_name(image, commits[i]);
		/* one that stays behind is missed by nobody */
		(void)renameat(from_fd, image, to_fd, image);
	}
	if (count)
		(void)fsync(to_fd);
	point("switch-images");
	if (from_fd >= 0)
		close(from_fd);
	if (to_fd >= 0)
		close(to_fd);
}

static cop_err current_failed(const cop_store *store, int code)
{
	return code ? error_system(code, "cannot write %s/CURRENT", store->path)
		    : 0;
}

/*
 * At open the store's mode is not read yet: all its files have that of its
 * lock file.
 */
static cop_err current_ready(const cop_store *store, uint64_t to)
{
	char name[NAME_BYTES];
	struct folder_owner owner;
	int code = folder_owner_of(store->lock_fd, &owner);

	name_of(name, to);
	if (!code)
		code = folder_current_ready(store->folder_fd, name, &owner);
	return current_failed(store, code);
}

/* Step 3 of the essay, with CURRENT.new written; W held. */
static cop_err current_install(const cop_store *store, uint64_t to)
{
	cop_err err;

	images_move(store, to);
	err = current_failed(store, folder_current_install(store->folder_fd));
	point("switch-current");
	return err;
}

static void switch_remove(const cop_store *store, uint64_t to)
{
	older_remove(store, to);
	point("switch-removed");
}

/* Steps 3 and 5 for one who died; W held. */
static cop_err switch_finish(cop_store *store, uint64_t to)
{
	cop_err err = current_ready(store, to);

	if (!err)
		err = current_install(store, to);
	if (!err)
		switch_remove(store, to);
	return err;
}

static void generation_close(struct generation *generation)
{
	env_close(&generation->env);
	free(generation);
}

/* Opens what CURRENT names; *next is the successor that it names. */
static cop_err current_open(cop_store *store, struct generation **out,
			    uint64_t *next)
{
	struct generation *generation = NULL;
	uint64_t number = 0;
	uint64_t before = 0;
	cop_err err;

	do { /* again if it was replaced between two looks */
		before = number;
		err = current_read(store, &number);
		if (!err && before && before == number)
			err = COP_CORRUPT; /* its words are there still */
		if (err)
			return err;
		err = generation_make(store, number, 0, &generation);
	} while (err == COP_CORRUPT);
	if (!err)
		err = successor_read(&generation->env, next);
	if (err && generation)
		generation_close(generation);
	if (!err)
		*out = generation;
	return err;
}

/* Finishes a switch, unless others did while W was waited for. */
static cop_err switch_finish_late(cop_store *store, uint64_t to)
{
	uint64_t number;
	cop_err err;

	if (lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE,
		      store->timeout_ms))
		return error_set(COP_BUSY,
				 "%s: the writer lock was not had in time; try "
				 "again",
				 store->path);
	err = current_read(store, &number);
	if (!err && number < to)
		err = switch_finish(store, to);
	lock_release(store->lock_fd, LOCK_W);
	return err;
}

cop_err generation_open(cop_store *store)
{
	struct generation *generation;
	uint64_t next;
	cop_err err = current_open(store, &generation, &next);

	while (!err && next) { /* its maker died before CURRENT named it */
		generation_close(generation);
		point("successor-found");
		err = switch_finish_late(store, next);
		if (!err)
			err = current_open(store, &generation, &next);
	}
	if (err)
		return err;
	older_remove(store, generation->number);
	generation_install(store, generation);
	return 0;
}

/*
 * cop_configure() commits what is no commit of the store's, a repair puts
 * another data file in place, and a builder may have died who named one.
 */
cop_err generation_again(cop_store *store)
{
	uint64_t number = 0;
	uint64_t next = 0;
	cop_err err = current_read(store, &number);

	if (!err && number != store->generation->number)
		return generation_open(store);
	if (!err)
		err = successor_read(store->env, &next);
	if (err)
		return err;
	if (!next)
		return base_find(store->env);
	err = switch_finish_late(store, next);
	return err ? err : generation_open(store);
}

/* Whether there is something that nobody names. */
static int litter_there(const cop_store *store, uint64_t number)
{
	return folders_visit(store, number + 1, GENERATION_MAX, 0) ||
	       attach_next_there(store);
}

/*
 * With GENERATION held nobody builds; if CURRENT and the data file name no
 * other generation than this, later folders are nobody's.  What a builder that
 * died had begun to name LMDB may not show yet: who takes W next settles it.
 */
void generation_tidy(cop_store *store)
{
	uint64_t number = store->generation->number;
	uint64_t current = 0;
	uint64_t next = 0;

	unlinkat(store->folder_fd, CREATE_MARK, 0); /* it has its name */
	if (!litter_there(store, number) ||
	    lock_take(store->lock_fd, LOCK_GENERATION, LOCK_EXCLUSIVE, 0))
		return;
	if (!atomic_load_explicit(&store->slots.control->switching,
				  memory_order_acquire) &&
	    !current_read(store, &current) && current == number &&
	    !successor_read(store->env, &next) && !next) {
		(void)folders_visit(store, number + 1, GENERATION_MAX, 1);
		attach_next_remove(store);
	}
	lock_release(store->lock_fd, LOCK_GENERATION);
	error_clear();
}

/* ---- moving ------------------------------------------------------------- */

int generation_outdated(const cop_store *store,
			const struct generation *generation)
{
	return control_generation(store) > generation->number;
}

/* LMDB must not be opened twice, so one thread looks and opens. */
static cop_err move_to(cop_store *store, uint64_t number)
{
	struct generation *generation;
	uint64_t current;
	cop_err err = 0;

	pthread_mutex_lock(&store->moving_mutex);
	while (!err && store->generation->number < number) {
		err = generation_make(store, number, ENV_WHOLE, &generation);
		if (!err) {
			generation_install(store, generation);
		} else if (err == COP_CORRUPT &&
			   !current_read(store, &current) && current > number) {
			number = current; /* it was replaced meanwhile */
			err = 0;
		}
	}
	pthread_mutex_unlock(&store->moving_mutex);
	return err;
}

cop_err generation_refresh(cop_store *store)
{
	return move_to(store, control_generation(store));
}

/* Says the number, once everything else is in place. */
static void control_say(cop_store *store, uint64_t number)
{
	struct control *control = store->slots.control;

	if (control_generation(store) < number)
		atomic_store_explicit(&control->generation, number,
				      memory_order_release);
	point("switch-said");
	atomic_store_explicit(&control->switching, 0, memory_order_release);
}

cop_err generation_settle(cop_store *store)
{
	struct control *control = store->slots.control;
	uint64_t next = 0;
	cop_err err = generation_refresh(store);
	int code;

	if (err ||
	    !atomic_load_explicit(&control->switching, memory_order_acquire)) {
		if (!err &&
		    control_generation(store) < store->generation->number)
			control_say(store, store->generation->number);
		return err;
	}
	/* its commit may be on disk, and LMDB not say so yet */
	code = env_write_repair(store->env);
	if (code)
		return error_system(code, "%s: cannot write", store->path);
	err = successor_read(store->env, &next);
	if (!err && next)
		err = switch_finish(store, next);
	if (!err && next)
		err = move_to(store, next);
	if (!err)
		control_say(store, store->generation->number);
	return err;
}

/* ---- building the next -------------------------------------------------- */

struct building {
	cop_store *store;
	struct generation *from; /* held */
	struct generation *next;
	env_txn *txn;
	struct copy copy;
	int is_made;	     /* the next one's folder */
	int is_named;	     /* it is the successor, or it may be */
	uint64_t started_ns; /* W taken */
	struct cop_compact_result *out;
};

static uint64_t next_number(const struct building *building)
{
	return building->from->number + 1;
}

cop_err generation_keep(const struct cop_compact_options *options,
			struct disk_retention *keep)
{
	struct cop_retention wanted = {.size = sizeof wanted,
				       .history = COP_HISTORY_ALL};

	if (options && options->size != sizeof *options)
		return error_set(COP_INVALID, "the options are of another "
					      "size; set .size to their "
					      "sizeof");
	if (options &&
	    (options->history != COP_HISTORY_AGE || options->history_ms)) {
		wanted.history = options->history;
		wanted.history_ms = options->history_ms;
	}
	return rules_of(&wanted, keep);
}

cop_err generation_disk(const cop_store *store, uint64_t number,
			uint64_t *bytes)
{
	char path[DATA_NAME_BYTES];
	struct stat st;

	data_name(path, number);
	if (fstatat(store->folder_fd, path, &st, 0))
		return error_system(errno, "cannot stat %s/%s", store->path,
				    path);
	*bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

/* The files LMDB made belong to whom the store does. */
static int files_own(const cop_store *store, const char *name,
		     const struct folder_owner *owner)
{
	static const char *const files[] = {"data.mdb", "lock.mdb"};
	char path[NAME_BYTES + 16];
	int code = 0;

	for (size_t i = 0; !code && i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", name, files[i]);
		code = folder_own(store->folder_fd, path, owner);
	}
	return code;
}

/* What is to be copied, its pages looked through. */
static cop_err snapshot_begin(struct building *building)
{
	struct env *env = &building->from->env;
	int code = env_read_begin(env, &building->txn);

	if (code)
		return error_system(code, "cannot copy %s",
				    building->store->path);
	building->copy.from = env;
	building->copy.from_txn = building->txn;
	return pages_check(env, building->txn, PAGES_ALL, NULL);
}

/* A folder with nothing in it but databases. */
static cop_err next_make(cop_store *store, uint64_t number,
			 struct generation **next)
{
	char name[NAME_BYTES];
	struct folder_owner owner;
	cop_err err;
	int code;

	name_of(name, number);
	folder_remove(store, number); /* a dead builder's */
	code = folder_owner_of(store->lock_fd, &owner);
	if (!code)
		code = folder_make(store->folder_fd, name, &owner);
	if (code)
		return error_system(code, "cannot make %s/%s", store->path,
				    name);
	point("switch-folder");
	err = generation_make(store, number, ENV_CREATE | ENV_WHOLE, next);
	if (err) { /* perhaps for want of the room that it takes */
		folder_remove(store, number);
		return err;
	}
	code = files_own(store, name, &owner);
	return code ? error_system(code, "cannot copy %s", store->path) : 0;
}

static cop_err forward(struct building *building)
{
	int code = env_read_newest(building->txn);

	if (code)
		return error_system(code, "cannot copy %s",
				    building->store->path);
	return copy_forward(&building->copy);
}

/*
 * Has what is there so far on disk, with its name, so that little is to be
 * synced with W held.
 */
static cop_err next_sync(const cop_store *store, struct generation *next)
{
	char name[NAME_BYTES];
	int code = env_sync(&next->env);

	name_of(name, next->number);
	if (!code)
		code = folder_sync(store->folder_fd, name);
	if (!code)
		code = folder_sync(store->folder_fd, ".");
	return code ? error_system(code, "%s: cannot sync the next generation",
				   store->path)
		    : 0;
}

/* Brings over what was committed, until that is little; without W. */
static cop_err forward_most(struct building *building)
{
	cop_err err = forward(building);

	for (int i = 1; i < CATCH_UP_ROUNDS && !err &&
			building->copy.commits > CATCH_UP_COMMITS;
	     i++)
		err = forward(building);
	if (!err)
		err = next_sync(building->store, building->next);
	if (!err)
		err = current_ready(building->store, building->next->number);
	return err ? err : forward(building);
}

static void next_close(struct building *building)
{
	if (building->next)
		generation_close(building->next);
	building->next = NULL;
}

/* Steps 1 and 2 of the essay; W held. */
static cop_err successor_name(struct building *building)
{
	cop_store *store = building->store;
	struct control *control = store->slots.control;
	uint64_t number = building->next->number;
	env_txn *txn;
	int code = env_sync(&building->next->env);

	point("switch-complete");
	building->is_named = 1;
	atomic_store_explicit(&control->switching, 1, memory_order_release);
	if (!code)
		code = env_write_begin(store->env, 0, &txn);
	if (!code) {
		code = env_put(store->env, txn, DB_META, successor_key(),
			       bytes_of(&number, sizeof number));
		if (code)
			env_write_abort(txn);
		else
			code = env_write_commit(txn);
	}
	point("switch-named");
	return code ? error_system(code, "%s: cannot name the next generation",
				   store->path)
		    : 0;
}

/* The end of it, W held: writers wait from here on. */
static cop_err switch_locked(struct building *building)
{
	cop_store *store = building->store;
	uint64_t to = building->next->number;
	cop_err err = writer_settle(store, NULL);

	if (!err && store->generation != building->from)
		err = error_set(COP_BUSY,
				"%s: another process replaced the data file "
				"meanwhile",
				store->path);
	if (!err)
		err = forward(building);
	if (!err)
		err = successor_name(building);
	if (err)
		return err;
	err = base_find(&building->next->env);
	if (!err)
		err = current_install(store, to);
	if (!err) {
		pthread_mutex_lock(&store->moving_mutex);
		generation_install(store, building->next);
		pthread_mutex_unlock(&store->moving_mutex);
		building->next = NULL;
		control_say(store, to);
	}
	return err;
}

static cop_err building_run(struct building *building)
{
	cop_store *store = building->store;
	cop_err err = snapshot_begin(building);

	if (!err)
		err = next_make(store, next_number(building), &building->next);
	building->is_made = building->next != NULL;
	if (!err)
		err = generation_disk(store, building->from->number,
				      &building->out->bytes_before);
	if (!err) {
		building->copy.to = &building->next->env;
		err = copy_all(&building->copy);
	}
	building->out->versions_dropped = building->copy.versions_dropped;
	building->out->names_dropped = building->copy.names_dropped;
	point("switch-copied");
	if (!err)
		err = forward_most(building);
	point("switch-forward");
	if (!err)
		err = writer_lock(store, store->timeout_ms);
	if (err)
		return err;
	building->started_ns = clock_ns(CLOCK_MONOTONIC);
	err = switch_locked(building);
	building->out->pause_ns =
	    clock_ns(CLOCK_MONOTONIC) - building->started_ns;
	building->out->pause_longest_ns = building->out->pause_ns;
	/* without W another thread may end the switch and open it, too */
	next_close(building);
	writer_unlock(store);
	point("switch-unlocked");
	if (!err)
		switch_remove(store, store->generation->number);
	return err;
}

static void building_end(struct building *building, cop_err err)
{
	cop_store *store = building->store;
	char words[768];

	snprintf(words, sizeof words, "%s", cop_last_error());
	if (building->txn)
		env_read_abort(building->txn);
	next_close(building);
	/* one that is named others may have ended the switch to meanwhile */
	if (building->is_made && !building->is_named) {
		folder_remove(store, next_number(building));
		unlinkat(store->folder_fd, "CURRENT.new", 0);
	}
	copy_release(&building->copy);
	if (err)
		(void)error_set(err, "%s", words);
}

/* ---- in place of a damaged one ------------------------------------------- */

static cop_err next_fill(cop_store *store, uint64_t from, generation_fill *fill,
			 void *user, struct generation *next)
{
	char path[DATA_NAME_BYTES];
	cop_err err;
	int fd;

	data_name(path, from);
	fd = openat(store->folder_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_system(errno, "cannot open %s/%s", store->path,
				    path);
	err = fill(user, fd, &next->env);
	close(fd);
	return err ? err : next_sync(store, next);
}

cop_err generation_replace(cop_store *store, generation_fill *fill, void *user)
{
	struct generation *next = NULL;
	uint64_t number;
	uint64_t to;
	cop_err err = current_read(store, &number);

	if (err)
		return err;
	to = number + 1;
	err = next_make(store, to, &next);
	if (!err)
		err = next_fill(store, number, fill, user, next);
	if (next)
		generation_close(next);
	point("replace-filled");
	if (!err)
		err = current_ready(store, to);
	if (!err)
		err = current_install(store, to);
	if (!err)
		switch_remove(store, to);
	else if (next)
		folder_remove(store, to);
	return err;
}

/* ---- compaction --------------------------------------------------------- */

static int32_t copy_progress(void *user, uint64_t done, uint64_t total)
{
	const struct cop_open_options *options = user;

	return options && options->progress
		   ? options->progress(options->user, "copying", done, total)
		   : 0;
}

/* The segment, too; where it cannot be, the old one serves. */
static cop_err segment_renew(cop_store *store,
			     const struct cop_open_options *options,
			     struct cop_compact_result *out)
{
	uint64_t pause_ns = 0;
	cop_err err = renew_run(store, options, &pause_ns);

	out->renewed = !err;
	out->pause_ns += pause_ns;
	if (pause_ns > out->pause_longest_ns)
		out->pause_longest_ns = pause_ns;
	if (err != COP_NO_SPACE && err != COP_BUSY && err != COP_STOPPED)
		return err;
	error_clear();
	return 0;
}

/*
 * What a dead process named is finished first, or its successor, which by
 * then is the store, would be built over.  From here on operation records are
 * kept: they say what the copies lack.
 */
static cop_err begin_settled(cop_store *store)
{
	cop_err err = writer_lock(store, store->timeout_ms);

	if (err)
		return err;
	err = writer_settle(store, NULL);
	if (!err)
		atomic_store_explicit(
		    &store->slots.control->keep,
		    atomic_load_explicit(&store->writable.header->committed,
					 memory_order_relaxed) +
			1,
		    memory_order_release);
	writer_unlock(store);
	return err;
}

/* One at a time: of this process's threads, then of all processes. */
static cop_err compact_lock(cop_store *store)
{
	uint32_t idle = 0;
	int code = atomic_compare_exchange_strong_explicit(
		       &store->compacting, &idle, 1, memory_order_acq_rel,
		       memory_order_relaxed)
		       ? 0
		       : EBUSY;

	if (!code) {
		/* who has just opened the store tidies up under it */
		code = lock_take(store->lock_fd, LOCK_GENERATION,
				 LOCK_EXCLUSIVE, TIDY_WAIT_MS);
		if (code)
			atomic_store_explicit(&store->compacting, 0,
					      memory_order_release);
	}
	if (code == EAGAIN || code == EBUSY)
		return error_set(COP_BUSY,
				 "%s is being compacted or rebuilt by another "
				 "%s; let it finish",
				 store->path,
				 code == EBUSY ? "thread" : "process");
	return code ? error_system(code, "cannot lock %s/lock", store->path)
		    : 0;
}

cop_err generation_begin(cop_store *store)
{
	cop_err err = compact_lock(store);

	if (err)
		return err;
	err = begin_settled(store);
	if (err)
		generation_end(store);
	return err;
}

void generation_end(cop_store *store)
{
	atomic_store_explicit(&store->slots.control->keep, 0,
			      memory_order_release);
	lock_release(store->lock_fd, LOCK_GENERATION);
	atomic_store_explicit(&store->compacting, 0, memory_order_release);
}

static uint64_t shared_bytes(cop_store *store)
{
	struct index *index = index_hold(store);
	uint64_t bytes = segment_bytes(&index->segment);

	index_drop(store, index);
	return bytes;
}

static cop_err compact_run(cop_store *store,
			   const struct cop_open_options *options,
			   const struct disk_retention *keep,
			   struct cop_compact_result *out)
{
	struct building building = {.store = store, .out = out};
	cop_err err;

	out->shared_before = shared_bytes(store);
	building.from = generation_hold(store);
	building.copy.progress = copy_progress;
	building.copy.user = (void *)(uintptr_t)options;
	building.copy.keep = keep;
	err = building_run(&building);
	building_end(&building, err);
	if (!err)
		err = segment_renew(store, options, out);
	generation_drop(store, building.from);
	return err;
}

/* What there is now; the segment is the one that commits go to. */
static cop_err result_end(cop_store *store, struct cop_compact_result *out)
{
	cop_err err = attach_refresh(store);

	out->generation = store->generation->number;
	out->shared_after = shared_bytes(store);
	return err ? err
		   : generation_disk(store, out->generation, &out->bytes_after);
}

cop_err cop_compact_with(cop_store *store,
			 const struct cop_compact_options *options,
			 struct cop_compact_result *result)
{
	struct cop_compact_result out = {.size = sizeof out};
	struct cop_open_options telling = {.size = sizeof telling};
	struct disk_retention keep;
	struct limit limit;
	cop_err err = store_use(store);

	if (!err)
		err = generation_keep(options, &keep);
	if (err)
		return err;
	if (result && result->size != sizeof *result)
		return error_set(COP_INVALID, "the result is of another size; "
					      "set .size to its sizeof");
	if (options) {
		telling.progress = options->progress;
		telling.user = options->user;
	}
	limit_enter(&limit);
	err = generation_begin(store);
	if (!err) {
		err = compact_run(store, &telling, &keep, &out);
		generation_end(store);
	}
	limit_leave(&limit);
	if (!err)
		err = result_end(store, &out);
	if (!err && result)
		*result = out;
	return err;
}

cop_err cop_compact(cop_store *store, const struct cop_open_options *options,
		    struct cop_compact_result *result)
{
	struct cop_compact_options own = {.size = sizeof own};

	if (options) {
		own.progress = options->progress;
		own.user = options->user;
	}
	return cop_compact_with(store, &own, result);
}
