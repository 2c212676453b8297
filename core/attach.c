/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching: the segments' files, found or made.
 *
 * idea
 *	The two segments live in a folder of their own on a tmpfs, named after
 *	the identity of the store's lock file, so that a copy of a store gets
 *	segments of its own.  `control` is made once; `index-N` is replaced by
 *	index-N+1 when it has to be built anew, and control says which N is in
 *	use: readers look at that number when they begin.  A link, `store`,
 *	says whose the folder is.
 *
 * who may build
 *	BUILD is held from the first look to the last, so of all processes that
 *	arrive together one builds and the others wait.  Every attached
 *	process holds ATTACH shared; the first control segment is made by who
 *	can have it alone.  If somebody has ATTACH and there is no segment to
 *	be seen, that somebody uses one elsewhere (another container's
 *	/dev/shm, or one whose files were removed): COP_FOREIGN, since two
 *	segments of one store would not see each other's writes.
 *
 * trust
 *	An index is used if its layout is ours and its history is LMDB's: the
 *	chain hash that it holds for its newest commit is the one in LMDB's
 *	operation record of that number, and LMDB's newest commit was prepared
 *	in it.  Anything else is a restored backup or another machine's work,
 *	and the index is built anew.  One of another layout is built anew, too,
 *	unless processes of that version are attached: COP_VERSION.
 *
 * crash
 *	Files are made under a name that ends in .new and renamed when
 *	complete; a leftover is removed by the next builder.
 */
#include "build.h"
#include "link.h"
#include "checkpoint.h"
#include "clock.h"
#include "generation.h"
#include "lock.h"
#include "log.h"
#include "pages.h"
#include "point.h"
#include "results.h"
#include "setting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define RESERVE_DEFAULT (UINT64_C(256) << 30)

#define NEXT_NAME    "next"
#define FIGURES_NAME "figures"
#define LABEL_NAME   "store"

enum { NAME_BYTES = 48, TRUST_TRIES = 8, DETACH_WAIT_MS = 1000 };

/* ---- the folder --------------------------------------------------------- */

void attach_name(cop_store *store)
{
	struct {
		uint64_t device;
		uint64_t inode;
		unsigned char uuid[FORMAT_UUID_BYTES];
	} identity = {store->device, store->inode, {0}};

	memcpy(identity.uuid, store->config.uuid, sizeof identity.uuid);
	snprintf(store->shm_path, sizeof store->shm_path,
		 "%.200s/coppice-%016" PRIx64, store->config.shm_dir,
		 (uint64_t)XXH3_64bits(&identity, sizeof identity));
}

static mode_t folder_mode(mode_t mode)
{
	return mode | (mode & 0444) >> 2;
}

/* As the store's own files: mode, and group where that can be had. */
static int owned(const cop_store *store, int fd, mode_t mode)
{
	struct stat lock;

	if (fchmod(fd, mode) || fstat(store->lock_fd, &lock))
		return errno;
	if (fchown(fd, geteuid() ? (uid_t)-1 : lock.st_uid, lock.st_gid) &&
	    errno != EPERM)
		return errno;
	return 0;
}

static cop_err folder_trust(const cop_store *store)
{
	struct stat lock;
	struct stat st;

	if (fstat(store->shm_fd, &st) || fstat(store->lock_fd, &lock))
		return error_system(errno, "cannot stat %s", store->shm_path);
	if (st.st_uid == lock.st_uid || st.st_uid == geteuid() || !st.st_uid ||
	    (store->mode & 0060 && st.st_gid == lock.st_gid) ||
	    store->mode & 0006)
		return 0;
	return error_set(COP_DENIED,
			 "%s belongs to user %u, the store to user %u: "
			 "somebody else made it; remove it",
			 store->shm_path, st.st_uid, lock.st_uid);
}

static cop_err folder_open(cop_store *store, int create)
{
	struct stat st;
	int made;
	int err = 0;

	attach_name(store);
	made = create && !mkdir(store->shm_path, 0700);
	if (create && !made && errno != EEXIST)
		return error_system(errno,
				    "cannot make the folder %s for shared "
				    "memory; is %s a tmpfs that this user may "
				    "write to? `init --shm-dir` chooses "
				    "another",
				    store->shm_path, store->config.shm_dir);
	store->shm_fd = open(store->shm_path,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store->shm_fd < 0)
		return error_system(errno, "cannot open %s", store->shm_path);
	/* its maker may have died before it said whose the folder is */
	if (made ||
	    (create && !fstat(store->shm_fd, &st) && st.st_uid == geteuid() &&
	     (st.st_mode & 0777) != folder_mode(store->mode)))
		err = owned(store, store->shm_fd, folder_mode(store->mode));
	if (err)
		return error_system(err, "cannot set the owner of %s",
				    store->shm_path);
	return folder_trust(store);
}

static cop_err detached(const cop_store *store)
{
	return error_set(COP_DETACHED,
			 "%s has no shared memory yet, or none that can be "
			 "used: the next process that opens it makes it; "
			 "`coppice attach` does just that",
			 store->path);
}

/* Others are attached to a control segment that is not where ours would be. */
static cop_err elsewhere(const cop_store *store)
{
	return error_set(COP_FOREIGN,
			 "%s is attached by processes whose shared memory is "
			 "not in %s: another container's, or its files were "
			 "removed (logind's RemoveIPC does that); share that "
			 "folder, or stop those processes (`coppice doctor` "
			 "looks for them)",
			 store->path, store->shm_path);
}

/* There is no control segment, and none is to be made. */
static cop_err absent(const cop_store *store)
{
	return lock_is_held(store->lock_fd, LOCK_ATTACH) ? elsewhere(store)
							 : detached(store);
}

static cop_err removed(const cop_store *store)
{
	return error_set(COP_FOREIGN,
			 "the shared memory files in %s were removed while in "
			 "use (logind's RemoveIPC does that); close the store "
			 "in every process and open it again",
			 store->shm_path);
}

cop_err attach_check(const cop_store *store)
{
	struct stat st;

	return fstat(store->slots.fd, &st) || st.st_nlink ? 0 : removed(store);
}

cop_err cop_attached_check(cop_store *store)
{
	cop_err err = store_use(store);

	return err ? err : attach_check(store);
}

/*
 * What the folder is of: nobody follows it, `coppice doctor` tells by it whose
 * shared memory is left over.
 */
static void folder_label(const cop_store *store)
{
	char text[PATH_MAX];
	ssize_t size =
	    readlinkat(store->shm_fd, LABEL_NAME, text, sizeof text - 1);

	if (size >= 0) {
		text[size] = 0;
		if (!strcmp(text, store->path))
			return;
		unlinkat(store->shm_fd, LABEL_NAME, 0); /* it was moved */
	}
	(void)!symlinkat(store->path, store->shm_fd, LABEL_NAME);
}

/* The folder, made unless it has to be there. */
static cop_err folder_find(cop_store *store)
{
	cop_err err = folder_open(store, !store->must_exist);

	if (store->must_exist && store->shm_fd < 0 && err == ENOENT)
		return absent(store);
	if (!err && !store->must_exist)
		folder_label(store);
	return err;
}

static void index_name(char *name, uint64_t number)
{
	snprintf(name, NAME_BYTES, "index-%" PRIu64, number);
}

static int file_remove(const cop_store *store, const char *name)
{
	return unlinkat(store->shm_fd, name, 0) && errno != ENOENT ? errno : 0;
}

/*
 * Removes the files of older indexes, and what a dead builder left.
 * Returns	0, or the errno of the first that could not be removed
 */
static int folder_clean(const cop_store *store, uint64_t keep)
{
	int fd = openat(store->shm_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	char kept[NAME_BYTES];
	struct dirent *entry;
	int err = folder ? 0 : errno;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	index_name(kept, keep);
	while ((entry = readdir(folder)))
		if (!strncmp(entry->d_name, "index-", 6) &&
		    strcmp(entry->d_name, kept) != 0) {
			int code = file_remove(store, entry->d_name);

			err = err ? err : code;
		}
	closedir(folder);
	return err;
}

/* Opens a file that is about to be made, in place of any leftover. */
static int file_new(const cop_store *store, const char *name, int *fd)
{
	int err;

	unlinkat(store->shm_fd, name, 0);
	*fd = openat(store->shm_fd, name,
		     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return errno;
	err = owned(store, *fd, store->mode);
	if (err)
		close(*fd);
	return err;
}

static int file_name(const cop_store *store, const char *from, const char *to)
{
	return renameat(store->shm_fd, from, store->shm_fd, to) ? errno : 0;
}

/* ---- the index ---------------------------------------------------------- */

static uint64_t index_number(const cop_store *store)
{
	return atomic_load_explicit(&store->slots.control->index,
				    memory_order_acquire);
}

static int index_open(const cop_store *store, uint64_t number, int writable,
		      struct segment *segment)
{
	char name[NAME_BYTES];
	int fd;
	int err;

	index_name(name, number);
	fd = openat(store->shm_fd, name,
		    (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = segment_attach(segment, fd, writable);
	if (!err)
		segment->kernel = store->kernel;
	if (err || !writable)
		close(fd);
	if (!err && (!build_is_described(store, segment) ||
		     !atomic_load_explicit(&segment->header->ready,
					   memory_order_acquire))) {
		segment_detach(segment);
		if (writable)
			close(fd);
		err = EBADMSG;
	}
	return err;
}

int attach_index_file(const cop_store *store, uint64_t number)
{
	char name[NAME_BYTES];

	index_name(name, number);
	return openat(store->shm_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

static cop_err index_error(const cop_store *store, int err)
{
	if (err == ENOMEM)
		return error_system(err,
				    "cannot reserve address space for the "
				    "index segment of %s; raise the limit "
				    "(ulimit -v), or make it smaller: set "
				    "COPPICE_RESERVE, run `coppice detach`, "
				    "open again",
				    store->path);
	if (err == ENOENT)
		return removed(store);
	return error_system(err, "cannot map the index segment in %s",
			    store->shm_path);
}

/* Makes `index` current if it is newer; the old one goes with its reads. */
static cop_err index_install(cop_store *store, uint64_t number)
{
	struct index *index = calloc(1, sizeof *index);
	struct index *old = NULL;
	int err =
	    index ? index_open(store, number, 0, &index->segment) : ENOMEM;

	if (err) {
		free(index);
		return index_error(store, err);
	}
	index->number = number;
	index->references = 1;
	pthread_mutex_lock(&store->mutex);
	old = store->index;
	store->index = index;
	pthread_mutex_unlock(&store->mutex);
	if (old)
		index_drop(store, old);
	return 0;
}

struct index *index_hold(cop_store *store)
{
	struct index *index;

	pthread_mutex_lock(&store->mutex);
	index = store->index;
	index->references++;
	pthread_mutex_unlock(&store->mutex);
	return index;
}

void index_drop(cop_store *store, struct index *index)
{
	uint32_t left;

	pthread_mutex_lock(&store->mutex);
	left = --index->references;
	pthread_mutex_unlock(&store->mutex);
	if (left)
		return;
	segment_detach(&index->segment);
	free(index);
}

cop_err attach_refresh(cop_store *store)
{
	uint64_t number;
	int current;
	cop_err err;

	do {
		number = index_number(store);
		pthread_mutex_lock(&store->mutex);
		current = store->index && store->index->number == number;
		pthread_mutex_unlock(&store->mutex);
		err = current ? 0 : index_install(store, number);
	} while (err && number != index_number(store)); /* replaced meanwhile */
	return err;
}

static void writable_close(cop_store *store)
{
	link_release(store);
	if (!store->writable.header)
		return;
	segment_detach(&store->writable);
	if (store->writable.fd >= 0)
		close(store->writable.fd);
}

cop_err attach_writable(cop_store *store)
{
	uint64_t number = index_number(store);
	int err;

	if (store->writable.header && store->writable_number == number)
		return 0;
	writable_close(store);
	err = index_open(store, number, 1, &store->writable);
	if (err)
		return index_error(store, err);
	store->writable_number = number;
	return 0;
}

/* ---- building ----------------------------------------------------------- */

/* Lays out an empty segment in a file. */
static cop_err index_lay_out(const cop_store *store, int fd,
			     struct segment *segment)
{
	uint64_t reserve = setting_bytes("COPPICE_RESERVE", RESERVE_DEFAULT);
	int code;

	if (reserve < SEGMENT_RESERVE_MIN)
		reserve = SEGMENT_RESERVE_MIN;
	code = segment_create(segment, fd, reserve);
	if (code)
		return build_error(store, code);
	segment->kernel = store->kernel;
	if (getrandom(segment->header->uuid, SEGMENT_UUID_BYTES, 0) >= 0)
		return 0;
	code = errno;
	segment_detach(segment);
	return error_system(code, "cannot draw random numbers");
}

static cop_err index_fill(cop_store *store, int fd,
			  const struct cop_open_options *options)
{
	struct segment segment;
	struct disk_state state;
	int restored = 0;
	env_txn *txn;
	cop_err err = index_lay_out(store, fd, &segment);
	int code;

	if (err)
		return err;
	code = env_read_begin(store->env, &txn);
	if (code) {
		segment_detach(&segment);
		return error_system(code, "cannot read %s", store->path);
	}
	store->had_ns = clock_ns(CLOCK_MONOTONIC);
	err = read_state(store->env, txn, &state);
	/* W is held: the snapshot stays that of `state` */
	if (!err)
		err = pages_check(store->env, txn, PAGES_TREES, NULL);
	if (!err)
		err = restore_run(store, txn, &state, &segment, options,
				  &restored);
	if (!err && !restored)
		err = build_run(store, txn, &state, &segment, BUILD_STILL,
				options);
	env_read_abort(txn);
	segment_detach(&segment);
	store->had = restored ? COP_HAD_LOADED : COP_HAD_BUILT;
	store->had_ns = clock_ns(CLOCK_MONOTONIC) - store->had_ns;
	if (!err)
		log_tell(store, COP_LOG_NOTE,
			 "%s: shared memory was %s, as of commit %" PRIu64
			 ", in %.1f ms",
			 store->path,
			 restored ? "loaded from an image"
				  : "built from the data file",
			 state.commit, (double)store->had_ns / 1e6);
	return err;
}

/* A complete segment gets its number: readers go over to it. */
static cop_err index_name_it(cop_store *store, const char *fresh,
			     uint64_t number)
{
	char name[NAME_BYTES];
	int code;

	index_name(name, number);
	code = file_name(store, fresh, name);
	if (code)
		return error_system(code, "cannot name %s/%s", store->shm_path,
				    name);
	point("index-named");
	atomic_store_explicit(&store->slots.control->index, number,
			      memory_order_release);
	point("index-current");
	(void)folder_clean(store, number);
	return 0;
}

cop_err attach_rebuild(cop_store *store, const struct cop_open_options *options)
{
	uint64_t number = index_number(store) + 1;
	char fresh[NAME_BYTES + 8];
	cop_err err;
	int code;
	int fd;

	code = env_write_repair(store->env);
	if (code)
		return error_system(code, "%s: cannot write", store->path);
	(void)folder_clean(store, number - 1);
	snprintf(fresh, sizeof fresh, "index-%" PRIu64 ".new", number);
	code = file_new(store, fresh, &fd);
	if (code)
		return error_system(code, "cannot make %s/%s", store->shm_path,
				    fresh);
	point("index-made");
	err = index_fill(store, fd, options);
	close(fd);
	point("index-built");
	if (number > 1) /* what an index answered that is no longer trusted */
		results_clear(store);
	if (!err)
		err = index_name_it(store, fresh, number);
	if (err)
		unlinkat(store->shm_fd, fresh, 0);
	return err;
}

cop_err attach_next_make(cop_store *store, struct segment *segment)
{
	cop_err err;
	int fd;
	int code = file_new(store, NEXT_NAME, &fd);

	if (code)
		return error_system(code, "cannot make %s/%s", store->shm_path,
				    NEXT_NAME);
	err = index_lay_out(store, fd, segment);
	if (!err)
		return 0;
	close(fd);
	unlinkat(store->shm_fd, NEXT_NAME, 0);
	return err;
}

cop_err attach_next_install(cop_store *store)
{
	return index_name_it(store, NEXT_NAME, index_number(store) + 1);
}

void attach_next_drop(cop_store *store, const struct segment *segment)
{
	close(segment->fd);
	attach_next_remove(store);
}

int attach_next_there(const cop_store *store)
{
	return !faccessat(store->shm_fd, NEXT_NAME, F_OK, AT_EACCESS);
}

void attach_next_remove(const cop_store *store)
{
	unlinkat(store->shm_fd, NEXT_NAME, 0);
}

static int index_opens(const cop_store *store)
{
	struct segment segment;

	if (!index_number(store) ||
	    index_open(store, index_number(store), 0, &segment))
		return 0;
	segment_detach(&segment);
	return 1;
}

/* An index that is there may only lack the end of somebody's last commit. */
static cop_err build_locked(cop_store *store,
			    const struct cop_open_options *options)
{
	cop_err err = writer_lock(store, store->timeout_ms);

	if (err)
		return err;
	err = generation_settle(store);
	if (!err)
		err = index_opens(store) ? writer_settle(store, options)
					 : attach_rebuild(store, options);
	writer_unlock(store);
	return err;
}

/*
 * Another version of this library has laid out a segment.  Nobody but it can
 * use that; if it is attached, two segments would not see each other's writes.
 */
static cop_err version_alone(const cop_store *store)
{
	int err = lock_take(store->lock_fd, LOCK_ATTACH, LOCK_EXCLUSIVE, 0);

	if (!err)
		lock_release(store->lock_fd, LOCK_ATTACH);
	if (err == EAGAIN)
		return error_set(
		    COP_VERSION,
		    "%s is attached by processes of another version of this "
		    "library, which lays its shared memory out differently; "
		    "stop those processes, or use their version (this is %s)",
		    store->path, cop_version());
	return err ? error_system(err, "cannot lock %s/lock", store->path) : 0;
}

/* ---- trust -------------------------------------------------------------- */

/* 1 if the index has LMDB's history; see the essay. */
static int history_fits(cop_store *store, const struct segment_header *header,
			env_txn *txn)
{
	struct disk_state state;
	struct disk_op op = {0};
	struct bytes value;
	uint64_t committed;
	uint64_t chain;

	do { /* until both are of one commit */
		committed = atomic_load_explicit(&header->committed,
						 memory_order_acquire);
		chain =
		    atomic_load_explicit(&header->chain, memory_order_acquire);
	} while (committed != atomic_load_explicit(&header->committed,
						   memory_order_acquire));
	if (env_read_renew(txn) || read_state(store->env, txn, &state))
		return 0;
	if (committed &&
	    (env_get(store->env, txn, DB_OPS,
		     bytes_of(&committed, sizeof committed), &value) ||
	     value.size < sizeof op))
		return 0;
	if (committed)
		memcpy(&op, value.data, sizeof op);
	return op.chain == chain && state.commit >= committed &&
	       state.commit <= atomic_load_explicit(&header->prepared,
						    memory_order_acquire);
}

static cop_err index_trusted(cop_store *store, int *trusted)
{
	struct segment segment;
	env_txn *txn;
	int err = index_open(store, index_number(store), 0, &segment);

	*trusted = 0;
	if (err == EPROTO)
		return version_alone(store);
	if (err == ENOMEM)
		return index_error(store, err);
	if (err)
		return 0;
	err = env_read_begin(store->env, &txn);
	if (!err) {
		/* a commit between two loads looks like a misfit: look again */
		for (int i = 0; i < TRUST_TRIES && !*trusted; i++) {
			env_read_reset(txn);
			*trusted = history_fits(store, segment.header, txn);
		}
		env_read_abort(txn);
	}
	segment_detach(&segment);
	return err ? error_system(err, "cannot read %s", store->path) : 0;
}

/* ---- control ------------------------------------------------------------ */

static void control_close(cop_store *store)
{
	figures_close(&store->figures);
	results_detach(store);
	mailboxes_detach(&store->mailboxes);
	slots_detach(&store->slots);
}

static int control_open(cop_store *store)
{
	int fd =
	    openat(store->shm_fd, "control", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (fd < 0)
		return errno;
	err = slots_attach(&store->slots, fd);
	if (err) {
		close(fd);
		return err;
	}
	err = mailboxes_attach(&store->mailboxes, fd, slots_bytes());
	if (!err)
		err = results_attach(store, fd);
	if (!err && memcmp(store->slots.control->uuid, store->config.uuid,
			   sizeof store->config.uuid) != 0)
		err = EBADMSG;
	if (err)
		control_close(store);
	return err;
}

static cop_err control_make(cop_store *store)
{
	int fd;
	int err = lock_take(store->lock_fd, LOCK_ATTACH, LOCK_EXCLUSIVE, 0);

	if (err && err != EAGAIN)
		return error_system(err, "cannot lock %s/lock", store->path);
	if (err)
		return elsewhere(store);
	err = file_new(store, "control.new", &fd);
	if (err)
		return error_system(err, "cannot make %s/control",
				    store->shm_path);
	err = mailboxes_create(fd, slots_bytes());
	if (!err)
		err = slots_create(&store->slots, fd, store->config.uuid);
	if (!err)
		err = mailboxes_attach(&store->mailboxes, fd, slots_bytes());
	if (!err)
		err = results_create(store, fd);
	if (!err) {
		atomic_store_explicit(&store->slots.control->generation,
				      store->generation->number,
				      memory_order_release);
		/* as one that went may have said: who takes W looks */
		atomic_store_explicit(&store->slots.control->switching, 1,
				      memory_order_release);
	}
	point("control-made");
	if (err) {
		store->slots.fd = -1; /* closed here */
		control_close(store);
		close(fd);
	} else {
		err = file_name(store, "control.new", "control");
	}
	if (!err)
		return 0;
	unlinkat(store->shm_fd, "control.new", 0);
	return err == ENOSPC ? build_error(store, err)
			     : error_system(err, "cannot make %s/control",
					    store->shm_path);
}

static cop_err control_find(cop_store *store)
{
	int err = control_open(store);
	cop_err alone;

	switch (err) {
	case 0: return 0;
	case EPROTO:
		alone = version_alone(store);
		if (!alone && store->must_exist)
			alone = detached(store);
		return alone ? alone : control_make(store);
	case ENOENT:
	case EBADMSG:
		return store->must_exist ? absent(store) : control_make(store);
	case EACCES:
		return error_system(err,
				    "cannot write to %s/control, where every "
				    "process that attaches has its slot",
				    store->shm_path);
	default:
		return error_system(err, "cannot map %s/control",
				    store->shm_path);
	}
}

/*
 * Figures are nothing to fail for: without a file, or a place in it, what the
 * process does is not counted.
 */
static void figures_find(cop_store *store)
{
	int fd = openat(store->shm_fd, FIGURES_NAME,
			O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int err =
	    fd < 0 ? errno : figures_open(&store->figures, &store->slots, fd);

	/* another version's, and of that nobody is attached */
	if ((err == ENOENT || err == EPROTO) &&
	    !file_new(store, FIGURES_NAME, &fd))
		(void)figures_open(&store->figures, &store->slots, fd);
	if (!store->figures.own)
		log_tell(store, COP_LOG_NOTE,
			 "%s: there is no room, or no permission, for this "
			 "process's figures: what it does is not counted",
			 store->path);
}

/* ---- all ---------------------------------------------------------------- */

static cop_err attach_locked(cop_store *store,
			     const struct cop_open_options *options)
{
	int trusted = 0;
	cop_err err = control_find(store);
	int code;

	point("control-found");
	if (!err && *store->name)
		slots_name(&store->slots, store->name);
	if (!err && index_number(store))
		err = index_trusted(store, &trusted);
	if (!err && !trusted && index_number(store))
		log_tell(store, COP_LOG_WARN,
			 "%s: the shared memory that was there has not this "
			 "store's history, or is damaged, and is not used",
			 store->path);
	if (!err && !trusted)
		err = store->must_exist ? detached(store)
					: build_locked(store, options);
	if (!err)
		err = attach_refresh(store);
	if (err)
		return err;
	code = lock_take(store->lock_fd, LOCK_ATTACH, LOCK_SHARED, 0);
	if (code == EAGAIN)
		return error_set(COP_BUSY, "%s is being detached; try again",
				 store->path);
	if (code)
		return error_system(code, "cannot lock %s/lock", store->path);
	figures_find(store);
	return 0;
}

cop_err attach_open(cop_store *store, const struct cop_open_options *options)
{
	cop_err err = 0;
	int code = lock_take(store->lock_fd, LOCK_BUILD, LOCK_EXCLUSIVE,
			     store->timeout_ms);

	if (code == EAGAIN)
		return error_set(COP_BUSY,
				 "%s: another process is attaching or building "
				 "the index segment, or is stopped while it "
				 "does; try again",
				 store->path);
	if (code)
		return error_system(code, "cannot lock %s/lock", store->path);
	if (lock_file_check(store->lock_fd, store->folder_fd, "lock"))
		err = error_set(COP_NOT_A_STORE,
				"%s was replaced while it was opened; open it "
				"again",
				store->path);
	if (!err)
		err = generation_again(store);
	if (!err)
		err = store_config_read(store);
	if (!err)
		err = folder_find(store);
	if (!err)
		err = attach_locked(store, options);
	lock_release(store->lock_fd, LOCK_BUILD);
	return err;
}

void attach_close(cop_store *store)
{
	writable_close(store);
	if (store->index)
		index_drop(store, store->index);
	store->index = NULL;
	control_close(store);
}

cop_err attach_exclude(cop_store *store)
{
	int code = lock_take(store->lock_fd, LOCK_BUILD, LOCK_EXCLUSIVE,
			     DETACH_WAIT_MS);

	if (!code)
		code =
		    lock_take(store->lock_fd, LOCK_ATTACH, LOCK_EXCLUSIVE, 0);
	if (code == EAGAIN)
		return error_set(COP_BUSY,
				 "%s: processes are attached; stop them first",
				 store->path);
	return code ? error_system(code, "cannot lock %s/lock", store->path)
		    : 0;
}

cop_err attach_remove(cop_store *store)
{
	cop_err err = attach_exclude(store);
	int code;

	if (err)
		return err;
	err = folder_open(store, 0);
	if (store->shm_fd < 0 && err == ENOENT) {
		error_clear();
		return 0; /* there is none */
	}
	if (store->shm_fd < 0)
		return err;
	if (!err) {
		code = folder_clean(store, 0);
		if (!code)
			code = file_remove(store, "control");
		if (!code)
			code = file_remove(store, "control.new");
		if (!code)
			code = file_remove(store, FIGURES_NAME);
		if (!code)
			code = file_remove(store, NEXT_NAME);
		if (!code)
			code = file_remove(store, LABEL_NAME);
		if (!code && rmdir(store->shm_path))
			code = errno;
		if (code)
			err = error_system(code, "cannot remove %s",
					   store->shm_path);
	}
	return err;
}
