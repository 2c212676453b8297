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
#include "lock.h"
#include "point.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A process that was killed may take a moment to be gone. */
enum { PID_WAIT_MS = 500 };

/* Who does not attach waits so long for LMDB to be opened. */
enum { ASIDE_WAIT_MS = 10000 };

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

/* Two files of that name would let two processes write at once. */
static cop_err lock_missing(const cop_store *store)
{
	if (faccessat(store->folder_fd, "CURRENT", F_OK, 0))
		return error_set(COP_NOT_A_STORE,
				 "%s is not a store: it has no file `lock`; "
				 "check the path, or make a store there with "
				 "`coppice init`",
				 store->path);
	return error_set(COP_NOT_A_STORE,
			 "%s has no file `lock`, but the rest of a store; end "
			 "every process that has it open, then make it again, "
			 "empty and of the mode and the owner of CURRENT",
			 store->path);
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
		return store->inode ? store_moved(store) : lock_missing(store);
	if (store->lock_fd < 0)
		return error_system(errno,
				    "cannot write to %s/lock, which every "
				    "process that attaches must",
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
				 "%s: pid %d is attached already, by another "
				 "copy of this library in this process or by a "
				 "process of another PID namespace, and LMDB "
				 "would take one for the other; load one copy "
				 "only, and let containers share a PID "
				 "namespace or start them with distinct pids",
				 store->path, pid);
	return err ? error_system(err, "cannot lock %s/lock", store->path) : 0;
}

cop_err store_config_read(cop_store *store)
{
	struct bytes value;
	env_txn *txn;
	int err = env_read_begin(store->env, &txn);

	if (err)
		return error_system(err, "cannot read %s", store->path);
	err = env_get(store->env, txn, DB_META, bytes_of("store", 5), &value);
	memset(&store->config, 0, sizeof store->config);
	if (!err && value.size == sizeof store->config)
		memcpy(&store->config, value.data, value.size);
	env_read_abort(txn);
	if (err || store->config.magic != FORMAT_MAGIC)
		return error_set(COP_CORRUPT,
				 "%s has no description of itself; restore a "
				 "backup",
				 store->path);
	if (store->config.format != FORMAT_VERSION)
		return error_set(COP_VERSION,
				 "%s is of format %u and this coppice reads "
				 "%d; install one that does",
				 store->path, store->config.format,
				 FORMAT_VERSION);
	if (store->config.dim > COP_DIM_MAX || store->config.rows < 0 ||
	    store->config.rows > COP_ROWS_F32 || store->config.codes < 0 ||
	    store->config.codes >= CODES_KINDS || store->config.signs > 1 ||
	    store->config.coded > store->config.dim ||
	    (store->config.coded && code_is_row(store->config.codes)) ||
	    store->config.metric < COP_COSINE ||
	    store->config.metric > COP_IP ||
	    store->config.cache_bytes > COP_CACHE_MAX)
		return error_set(COP_CORRUPT,
				 "%s describes itself with "
				 "numbers out of range; restore "
				 "a backup",
				 store->path);
	store->config.shm_dir[sizeof store->config.shm_dir - 1] = 0;
	store->mode = (mode_t)store->config.mode & 0666;
	return 0;
}

cop_err store_data_open(cop_store *store)
{
	cop_err err = generation_open(store);

	return err ? err : store_config_read(store);
}

void store_data_close(cop_store *store)
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
	store->figures.fd = -1;
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
	store_data_close(store);
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
	cop_err err = store_data_open(store);

	point("data-opened");
	if (!err)
		err = attach_open(store, options);
	if (err)
		return err;
	generation_tidy(store);
	atomic_store_explicit(&store->process, process_stamp(),
			      memory_order_release);
	return 0;
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
		atomic_store_explicit(&store->compacting, 0,
				      memory_order_relaxed);
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
	struct limit limit;
	cop_err err;

	process_begin();
	limit_enter(&limit);
	err = process_watch();
	if (!err && store_is_inherited(store))
		err = store_rebind(store);
	limit_leave(&limit);
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
			 "kernels; there are avx512, avx2, neon-dot, neon and "
			 "scalar, or unset it for the best",
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
	if (options && options->log) {
		store->log = options->log;
		store->log_user = options->log_user;
		store->log_level =
		    options->log_level ? options->log_level : COP_LOG_NOTE;
	}
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
			   int must_exist, cop_store **out)
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
	store->must_exist = must_exist;
	if (!err && !known)
		err = open_first(store, options);
	store->must_exist = 0;
	if (!err && !known) {
		process_enter(store);
		*out = store;
		return 0;
	}
	store_unbind(store);
	process_pass(NULL);
	if (!err) {
		known->must_exist = must_exist;
		err = open_known(known, store);
		known->must_exist = 0;
	}
	store_free(store);
	if (!err)
		*out = known;
	return err;
}

/* must_exist: a segment that is not there is not made */
static cop_err open_store(const char *path,
			  const struct cop_open_options *options,
			  int must_exist, cop_store **out)
{
	struct limit limit;
	cop_err err;

	error_clear();
	if (!path || !out)
		return error_set(COP_INVALID, "no path, or nowhere to put the "
					      "handle");
	if (options && options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	process_begin();
	limit_enter(&limit);
	err = process_watch();
	if (!err)
		err = open_locked(path, options, must_exist, out);
	limit_leave(&limit);
	process_end();
	return err;
}

cop_err cop_open(const char *path, const struct cop_open_options *options,
		 cop_store **out)
{
	return open_store(path, options, 0, out);
}

cop_err cop_open_attached(const char *path,
			  const struct cop_open_options *options,
			  cop_store **out)
{
	return open_store(path, options, 1, out);
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

static cop_err aside_open(cop_store *store, int opens)
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
	return err || !opens ? err : store_data_open(store);
}

static cop_err aside_run(const char *path, int opens, store_work *work,
			 void *user)
{
	struct limit limit;
	cop_store *store;
	cop_err err;

	error_clear();
	if (!path)
		return error_set(COP_INVALID, "no path was given");
	process_begin();
	limit_enter(&limit);
	err = process_watch();
	if (!err)
		err = store_make(path, &store);
	if (!err) {
		process_pass(store);
		store->timeout_ms = ASIDE_WAIT_MS;
		atomic_store_explicit(&store->process, process_stamp(),
				      memory_order_relaxed);
		err = aside_open(store, opens);
		if (!err)
			err = work(store, user);
		store_unbind(store);
		process_pass(NULL);
		store_free(store);
	}
	limit_leave(&limit);
	process_end();
	return err;
}

cop_err store_aside(const char *path, store_work *work, void *user)
{
	return aside_run(path, 1, work, user);
}

cop_err store_aside_closed(const char *path, store_work *work, void *user)
{
	return aside_run(path, 0, work, user);
}

int32_t cop_had(const cop_store *store, uint64_t *ns)
{
	if (ns)
		*ns = store->had_ns;
	return store->had;
}

static cop_err detach_work(cop_store *store, void *user)
{
	(void)user;
	return attach_remove(store);
}

cop_err cop_detach(const char *path)
{
	return store_aside(path, detach_work, NULL);
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

/* ---- vectors ------------------------------------------------------------ */

cop_err store_vector_check(const cop_store *store, const float *vector,
			   const char *what, const char *advice)
{
	uint32_t at = 0;
	int is_zero;

	if (!vector_is_finite(vector, store->config.dim, &is_zero)) {
		while (isfinite(vector[at]))
			at++;
		return error_set(COP_BAD_VECTOR,
				 "component %u of the %s is %f; all must be "
				 "finite",
				 at, what, (double)vector[at]);
	}
	if (is_zero && store->config.metric == COP_COSINE)
		return error_set(COP_BAD_VECTOR,
				 "the %s is zero, which has no cosine%s", what,
				 advice);
	return 0;
}
