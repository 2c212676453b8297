/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: a folder, and the handles that this process has on it.
 *
 * idea
 *	LMDB must not be opened twice in a process, so handles are kept in a
 *	registry by the identity of the lock file and counted.
 *
 * layout	(the folder)
 *	lock		four bytes to lock; see ipc/lock.h
 *	CURRENT		"coppice FORMAT\nFOLDER\n": the generation in use
 *	gen-000001/	data.mdb and lock.mdb
 *
 * crash
 *	create	CURRENT is renamed into place last, when all other names are
 *		on disk: a folder without it is no store, and can be removed.
 *
 * fork		(process.h)
 *	A child attaches an inherited store when it is first used, in one
 *	function: what is the parent's is let go, LMDB's environment first,
 *	since closing it later would drop the child's own lock; then all is
 *	opened anew, by path, and must be the same store.
 *
 * pids
 *	LMDB keys its readers by pid number, so an attached process holds the
 *	byte of its pid in the lock file.  Who finds it taken has the number
 *	of a live process of another PID namespace, and is refused.
 */
#include "store.h"
#include "checkpoint.h"
#include "generation.h"
#include "folder.h"
#include "lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GENERATION_FIRST "gen-000001"

/* A process that was killed may take a moment to be gone. */
enum { PID_WAIT_MS = 500 };

/* ---- create ------------------------------------------------------------- */

static cop_err options_check(const struct cop_options *options)
{
	struct stat st;

	if (options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	if (options->dim &&
	    (options->dim < COP_DIM_MIN || options->dim > COP_DIM_MAX))
		return error_set(COP_INVALID,
				 "dimension %u; vectors may have %d to %d",
				 options->dim, COP_DIM_MIN, COP_DIM_MAX);
	if (options->metric < 0 || options->metric > COP_IP)
		return error_set(COP_INVALID,
				 "metric %d; there are cosine 1, "
				 "L2 2, inner product 3",
				 options->metric);
	if (options->rows < 0 || options->rows > COP_ROWS_F32)
		return error_set(COP_INVALID, "rows %d; there are f16 0, f32 1",
				 options->rows);
	if (options->mode & ~0666u ||
	    (options->mode && (options->mode & 0600) != 0600))
		return error_set(COP_INVALID,
				 "mode %04o; give read and write permissions "
				 "such as 0600 or 0660, the owner's both",
				 options->mode);
	if (!(options->bloom_rate >= 0 && options->bloom_rate < 0.5))
		return error_set(COP_INVALID,
				 "bloom rate %g; it must be "
				 "below 0.5",
				 options->bloom_rate);
	if (options->record_bytes > COP_RECORD_BYTES &&
	    options->record_bytes != UINT32_MAX)
		return error_set(COP_INVALID,
				 "records of up to %u bytes in shared memory; "
				 "at most %d can be kept there",
				 options->record_bytes, COP_RECORD_BYTES);
	if (options->reserved)
		return error_set(COP_INVALID, "the options' reserved word is "
					      "not 0; clear what is not set");
	if (options->shm_dir &&
	    (options->shm_dir[0] != '/' || strlen(options->shm_dir) > 200))
		return error_set(COP_INVALID,
				 "shared memory folder '%s'; give an absolute "
				 "path of at most 200 bytes",
				 options->shm_dir);
	if (options->shm_dir &&
	    (stat(options->shm_dir, &st) || !S_ISDIR(st.st_mode)))
		return error_set(COP_INVALID,
				 "shared memory folder '%s' is not a folder; "
				 "make it first, on a tmpfs",
				 options->shm_dir);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static cop_err config_fill(struct disk_store *config,
			   const struct cop_options *options)
{
	*config = (struct disk_store){
	    .magic = FORMAT_MAGIC,
	    .format = FORMAT_VERSION,
	    .dim = options->dim,
	    .metric = options->metric ? options->metric : COP_COSINE,
	    .rows = options->rows,
	    .mode = options->mode ? options->mode : 0600,
	    .expected_entities = options->expected_entities
				     ? options->expected_entities
				     : 100000,
	    .bloom_rate =
		options->bloom_rate > 1e-9 ? options->bloom_rate : 0.01,
	    .created_ns = now_ns(),
	    .record_bytes = options->record_bytes,
	};
	snprintf(config->shm_dir, sizeof config->shm_dir, "%s",
		 options->shm_dir ? options->shm_dir : "/dev/shm");
	if (getrandom(config->uuid, sizeof config->uuid, 0) < 0)
		return error_system(errno, "cannot draw random numbers");
	return 0;
}

/* What cop_create has made so far, to be taken back. */
struct creation {
	const char *path;
	int made_folder;
	int folder_fd;
	int lock_fd;
	uint32_t mode;
	gid_t group;
};

static int owned(struct creation *creation, const char *name, mode_t mode)
{
	if (fchmodat(creation->folder_fd, name, mode, 0))
		return errno;
	if (creation->group != (gid_t)-1 &&
	    fchownat(creation->folder_fd, name, (uid_t)-1, creation->group, 0))
		return errno;
	return 0;
}

static int folder_is_empty(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int empty = 1;

	if (!folder)
		return 0;
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			empty = 0;
	closedir(folder);
	return empty;
}

static cop_err store_folder_make(struct creation *creation)
{
	const char *path = creation->path;

	if (!mkdir(path, 0700)) {
		creation->made_folder = 1;
	} else if (errno != EEXIST) {
		return error_system(errno, "cannot make the folder %s", path);
	} else if (!folder_is_empty(path)) {
		return error_set(COP_EXISTS,
				 "%s is there already and is not an empty "
				 "folder; choose another path",
				 path);
	}
	creation->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (creation->folder_fd < 0)
		return error_system(errno, "cannot open the folder %s", path);
	return 0;
}

static cop_err files_make(struct creation *creation)
{
	int folder = creation->folder_fd;
	int err;

	creation->lock_fd =
	    openat(folder, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (creation->lock_fd < 0)
		return error_system(errno, "cannot make %s/lock",
				    creation->path);
	err = mkdirat(folder, GENERATION_FIRST, 0700) ? errno : 0;
	if (!err)
		err = owned(creation, "lock", creation->mode);
	if (!err)
		err = owned(creation, GENERATION_FIRST,
			    folder_mode(creation->mode));
	return err ? error_system(err, "cannot make %s/%s", creation->path,
				  GENERATION_FIRST)
		   : 0;
}

static int records_put(struct env *env, const struct disk_store *config)
{
	struct disk_state state = {
	    .time_ns = config->created_ns, .next_entity = 1, .next_name = 1};
	env_txn *txn;
	int err = env_write_begin(env, 0, &txn);

	if (err)
		return err;
	err = env_put(env, txn, DB_META, bytes_of("store", 5),
		      bytes_of(config, sizeof *config));
	if (!err)
		err = env_put(env, txn, DB_META, bytes_of("state", 5),
			      bytes_of(&state, sizeof state));
	if (!err)
		return env_write_commit(txn);
	env_write_abort(txn);
	return err;
}

static cop_err data_make(struct creation *creation,
			 const struct disk_store *config)
{
	char path[PATH_MAX];
	struct env env;
	int err;

	snprintf(path, sizeof path, "%s/%s", creation->path, GENERATION_FIRST);
	err = env_open(&env, path, creation->lock_fd, LOCK_FOREVER,
		       config->mode, 1);
	if (!err) {
		err = records_put(&env, config);
		env_close(&env);
	}
	if (!err)
		err =
		    owned(creation, GENERATION_FIRST "/data.mdb", config->mode);
	if (!err)
		err =
		    owned(creation, GENERATION_FIRST "/lock.mdb", config->mode);
	return err ? error_system(err, "cannot make the data file in %s", path)
		   : 0;
}

static cop_err current_write(struct creation *creation)
{
	char text[64];
	int folder = creation->folder_fd;
	int bytes = snprintf(text, sizeof text, "coppice %d\n%s\n",
			     FORMAT_VERSION, GENERATION_FIRST);
	int fd = openat(folder, "CURRENT.new",
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = fd < 0 ? errno : 0;
	ssize_t written = err ? 0 : write(fd, text, (size_t)bytes);

	if (!err && written != bytes)
		err = written < 0 ? errno : ENOSPC;
	if (!err && fsync(fd))
		err = errno;
	if (fd >= 0)
		close(fd);
	if (!err)
		err = owned(creation, "CURRENT.new", creation->mode);
	if (!err)
		err = owned(creation, ".", folder_mode(creation->mode));
	if (!err)
		err = folder_sync(folder, GENERATION_FIRST);
	if (!err)
		err = folder_sync(folder, ".");
	if (!err && creation->made_folder)
		err = folder_sync(folder, "..");
	if (!err && renameat(folder, "CURRENT.new", folder, "CURRENT"))
		err = errno;
	if (!err && fsync(folder))
		err = errno;
	return err ? error_system(err, "cannot write %s/CURRENT",
				  creation->path)
		   : 0;
}

static void creation_undo(struct creation *creation)
{
	static const char *const files[] = {
	    "CURRENT", "CURRENT.new", GENERATION_FIRST "/data.mdb",
	    GENERATION_FIRST "/lock.mdb", "lock"};

	if (creation->folder_fd < 0)
		return;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlinkat(creation->folder_fd, files[i], 0);
	unlinkat(creation->folder_fd, GENERATION_FIRST, AT_REMOVEDIR);
	if (creation->made_folder)
		rmdir(creation->path);
}

cop_err cop_create(const char *path, const struct cop_options *options)
{
	struct cop_options defaults = {.size = sizeof defaults};
	struct creation creation = {
	    .path = path, .folder_fd = -1, .lock_fd = -1};
	struct disk_store config;
	cop_err err;

	error_clear();
	if (!path || !*path)
		return error_set(COP_INVALID, "no path was given");
	if (!options)
		options = &defaults;
	err = options_check(options);
	if (!err)
		err = config_fill(&config, options);
	if (err)
		return err;
	creation.mode = config.mode;
	creation.group = options->group ? options->group - 1 : (gid_t)-1;
	err = store_folder_make(&creation);
	if (err)
		goto out;
	err = files_make(&creation);
	if (!err)
		err = data_make(&creation, &config);
	if (!err)
		err = current_write(&creation);
	if (err)
		creation_undo(&creation);
out:
	if (creation.lock_fd >= 0)
		close(creation.lock_fd);
	if (creation.folder_fd >= 0)
		close(creation.folder_fd);
	else if (creation.made_folder)
		rmdir(path);
	return err;
}

/* ---- open --------------------------------------------------------------- */

static cop_err store_moved(const cop_store *store)
{
	return error_set(COP_NOT_A_STORE,
			 "%s was moved or replaced since the parent process "
			 "opened it; close the handle and open the store "
			 "where it is now",
			 store->path);
}

/* Notes whose lock file it is; in a child it must be the parent's. */
static cop_err identity_take(cop_store *store)
{
	struct stat st;

	if (fstat(store->lock_fd, &st))
		return error_system(errno, "cannot stat %s/lock", store->path);
	if (store->inode &&
	    (store->device != st.st_dev || store->inode != st.st_ino))
		return store_moved(store);
	store->device = st.st_dev;
	store->inode = st.st_ino;
	store->group = st.st_gid;
	return 0;
}

static cop_err lock_open(cop_store *store)
{
	int err;

	store->folder_fd =
	    open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->folder_fd < 0) {
		err = errno;
		if (store->inode && (err == ENOENT || err == ENOTDIR))
			return store_moved(store);
		return err == ENOTDIR || err == ENOENT
			   ? error_set(COP_NOT_A_STORE,
				       "%s is not a folder; make a store "
				       "there with `coppice init`",
				       store->path)
			   : error_system(err, "cannot open the store %s",
					  store->path);
	}
	store->lock_fd =
	    openat(store->folder_fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (store->lock_fd < 0 && errno == ENOENT)
		return store->inode
			   ? store_moved(store)
			   : error_set(COP_NOT_A_STORE,
				       "%s is not a store: it has no file "
				       "`lock`; check the path, or make a "
				       "store there with `coppice init`",
				       store->path);
	if (store->lock_fd < 0)
		return error_system(errno,
				    "cannot write to %s/lock, which every "
				    "process that attaches must; ask for "
				    "permission on the store's files",
				    store->path);
	return identity_take(store);
}

static cop_err pid_claim(const cop_store *store)
{
	int pid = (int)getpid();
	int err = lock_take(store->lock_fd, LOCK_PIDS + (uint64_t)pid,
			    LOCK_EXCLUSIVE, PID_WAIT_MS);

	if (err == EAGAIN)
		return error_set(COP_BUSY,
				 "%s: a process of another PID namespace that "
				 "has this one's pid, %d, is attached, and "
				 "LMDB would take one for the other; let the "
				 "containers share a PID namespace, or start "
				 "them with distinct pids",
				 store->path, pid);
	return err ? error_system(err, "cannot lock %s/lock", store->path) : 0;
}

static cop_err config_read(cop_store *store)
{
	struct bytes value;
	env_txn *txn;
	int err = env_read_begin(store->env, &txn);

	if (err)
		return error_system(err, "cannot read %s", store->path);
	err = env_get(store->env, txn, DB_META, bytes_of("store", 5), &value);
	if (!err && value.size == sizeof store->config)
		memcpy(&store->config, value.data, sizeof store->config);
	env_read_abort(txn);
	if (err || store->config.magic != FORMAT_MAGIC)
		return error_set(COP_CORRUPT,
				 "%s has no description of itself; restore a "
				 "backup",
				 store->path);
	if (store->config.format > FORMAT_VERSION)
		return error_set(COP_VERSION,
				 "%s is of format %u and this coppice reads "
				 "up to %d; install a newer one",
				 store->path, store->config.format,
				 FORMAT_VERSION);
	if (store->config.dim > COP_DIM_MAX || store->config.rows < 0 ||
	    store->config.rows > COP_ROWS_F32 ||
	    store->config.metric < COP_COSINE || store->config.metric > COP_IP)
		return error_set(COP_CORRUPT,
				 "%s describes itself with "
				 "numbers out of range; restore "
				 "a backup",
				 store->path);
	store->config.shm_dir[sizeof store->config.shm_dir - 1] = 0;
	store->mode = (mode_t)store->config.mode & 0666;
	return 0;
}

static cop_err data_open(cop_store *store)
{
	cop_err err = generation_open(store);

	return err ? err : config_read(store);
}

static void data_close(cop_store *store)
{
	if (store->generation)
		generation_drop(store, store->generation);
	store->generation = NULL;
	store->env = NULL;
}

void store_mutexes_init(cop_store *store)
{
	pthread_mutexattr_t recursive;

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&store->mutex, NULL);
	pthread_mutex_init(&store->moving_mutex, NULL);
	pthread_mutex_init(&store->write_mutex, NULL);
	pthread_mutex_init(&store->commit_mutex, &recursive);
	pthread_mutexattr_destroy(&recursive);
}

static void store_free(cop_store *store)
{
	dict_release(&store->dict);
	pthread_mutex_destroy(&store->mutex);
	pthread_mutex_destroy(&store->moving_mutex);
	pthread_mutex_destroy(&store->write_mutex);
	pthread_mutex_destroy(&store->commit_mutex);
	free(store->path);
	free(store);
}

static cop_err store_make(const char *path, cop_store **out)
{
	cop_store *store = calloc(1, sizeof *store);

	if (!store || !(store->path = realpath(path, NULL))) {
		int code = store ? errno : ENOMEM;

		free(store);
		if (code == ENOENT || code == ENOTDIR)
			return error_set(COP_NOT_A_STORE,
					 "%s does not exist; check the path, "
					 "or make a store there with `coppice "
					 "init`",
					 path);
		return error_system(code, "cannot open the store %s", path);
	}
	store->timeout_ms = LOCK_FOREVER;
	store->folder_fd = -1;
	store->lock_fd = -1;
	store->shm_fd = -1;
	store->image_fd = -1;
	store->slots.fd = -1;
	store_mutexes_init(store);
	*out = store;
	return 0;
}

int store_is_inherited(const cop_store *store)
{
	return !process_is(
	    atomic_load_explicit(&store->process, memory_order_acquire));
}

/*
 * Closing an environment of the parent's clears the readers that have this
 * process's pid; if that may be another's (pid_claim), it is left as it is.
 */
static void env_disown(cop_store *store)
{
	if (store->generation && store->env->handle &&
	    ((store->lock_fd < 0 && lock_open(store)) || pid_claim(store)))
		store->env->handle = NULL;
}

/*
 * LMDB first: closed later, perhaps when an inherited read is ended, it would
 * drop the lock of another environment.
 */
static void store_let_go(cop_store *store)
{
	read_pool_clear(store);
	if (store->generation)
		env_close(&store->generation->env);
	data_close(store);
	attach_close(store);
	dict_clear(&store->dict);
}

/* Lets go of all that the process has of a store but the handle. */
static void store_unbind(cop_store *store)
{
	if (store_is_inherited(store))
		env_disown(store);
	store_let_go(store);
	process_drop(store);
}

/* With the lock file open: opens LMDB and attaches the segments. */
static cop_err store_bind(cop_store *store,
			  const struct cop_open_options *options)
{
	cop_err err = data_open(store);

	if (!err)
		err = attach_open(store, options);
	if (!err)
		atomic_store_explicit(&store->process, process_stamp(),
				      memory_order_release);
	return err;
}

/*
 * In a child: closes what is inherited and opens anew.  On error the store
 * stays an inherited one, and the next use tries again.
 */
static cop_err store_rebind(cop_store *store)
{
	cop_err err;

	process_pass(store);
	err = lock_open(store);
	if (!err)
		err = pid_claim(store);
	if (!err) {
		store_let_go(store);
		err = store_bind(store, NULL);
		if (err)
			store_let_go(store);
	}
	if (!err) {
		process_enter(store);
		return 0;
	}
	process_drop(store);
	process_pass(NULL);
	return err;
}

cop_err store_attach_again(cop_store *store)
{
	cop_err err;

	process_begin();
	err = process_watch();
	if (!err && store_is_inherited(store))
		err = store_rebind(store);
	process_end();
	return err;
}

static cop_err kernel_pick(cop_store *store)
{
	const char *wanted = getenv("COPPICE_CPU");

	store->kernel = kernel_choose(wanted && *wanted ? wanted : NULL);
	if (store->kernel)
		return 0;
	return error_set(COP_INVALID,
			 "COPPICE_CPU=%s: this processor or build has no such "
			 "kernels; there are avx512, avx2 and scalar, or unset "
			 "it for the best",
			 wanted);
}

static cop_err open_first(cop_store *store,
			  const struct cop_open_options *options)
{
	cop_err err = pid_claim(store);

	store->references = 1;
	store->timeout_ms =
	    options && options->timeout_ms ? options->timeout_ms : LOCK_FOREVER;
	if (options && options->name)
		strncpy(store->name, options->name, sizeof store->name - 1);
	if (!err)
		err = kernel_pick(store);
	return err ? err : store_bind(store, options);
}

/*
 * One more handle of a store that is open, or inherited: then by the path that
 * it has now.  The parent's is not freed, other threads may print it.
 */
static cop_err open_known(cop_store *known, cop_store *found)
{
	cop_err err = 0;

	if (store_is_inherited(known)) {
		if (strcmp(known->path, found->path) != 0) {
			known->path = found->path;
			found->path = NULL;
		}
		err = store_rebind(known);
	}
	if (!err)
		known->references++;
	return err;
}

static cop_err open_locked(const char *path,
			   const struct cop_open_options *options,
			   cop_store **out)
{
	cop_store *known = NULL;
	cop_store *store;
	cop_err err = store_make(path, &store);

	if (err)
		return err;
	process_pass(store);
	err = lock_open(store);
	if (!err)
		known = process_find(store->device, store->inode);
	if (!err && !known)
		err = open_first(store, options);
	if (!err && !known) {
		process_enter(store);
		*out = store;
		return 0;
	}
	store_unbind(store);
	process_pass(NULL);
	if (!err)
		err = open_known(known, store);
	store_free(store);
	if (!err)
		*out = known;
	return err;
}

cop_err cop_open(const char *path, const struct cop_open_options *options,
		 cop_store **out)
{
	cop_err err;

	error_clear();
	if (!path || !out)
		return error_set(COP_INVALID, "no path, or nowhere to put the "
					      "handle");
	if (options && options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	process_begin();
	err = process_watch();
	if (!err)
		err = open_locked(path, options, out);
	process_end();
	return err;
}

void cop_close(cop_store *store)
{
	int last;

	if (!store)
		return;
	process_begin();
	last = store->references == 1;
	process_end();
	if (last)
		checkpoint_close(store);
	/* nobody opens LMDB again before it is closed */
	process_begin();
	if (!--store->references) {
		process_leave(store);
		store_unbind(store);
		process_pass(NULL);
		store_free(store);
	}
	process_end();
}

static cop_err detach_locked(cop_store *store)
{
	const cop_store *known;
	cop_err err = lock_open(store);

	if (err)
		return err;
	known = process_find(store->device, store->inode);
	if (known && !store_is_inherited(known))
		return error_set(COP_BUSY,
				 "%s is open in this process; close it first",
				 store->path);
	err = pid_claim(store);
	if (!err)
		err = data_open(store);
	return err ? err : attach_remove(store);
}

cop_err cop_detach(const char *path)
{
	cop_store *store;
	cop_err err;

	error_clear();
	if (!path)
		return error_set(COP_INVALID, "no path was given");
	process_begin();
	err = process_watch();
	if (!err)
		err = store_make(path, &store);
	if (!err) {
		process_pass(store);
		atomic_store_explicit(&store->process, process_stamp(),
				      memory_order_relaxed);
		err = detach_locked(store);
		store_unbind(store);
		process_pass(NULL);
		store_free(store);
	}
	process_end();
	return err;
}

uint32_t cop_dim(const cop_store *store)
{
	return store->config.dim;
}

int32_t cop_metric(const cop_store *store)
{
	return store->config.metric;
}

const char *cop_cpu(void)
{
	const struct kernel *kernel = kernel_choose(getenv("COPPICE_CPU"));

	return kernel ? kernel->name : "scalar";
}
