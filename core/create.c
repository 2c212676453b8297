/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a new store.
 *
 * crash
 *	CURRENT is renamed into place last, when all other names are on disk: a
 *	folder without it is no store, and can be removed.
 */
#include "env.h"
#include "clock.h"
#include "error.h"
#include "folder.h"
#include "format.h"
#include "limit.h"
#include "lock.h"
#include "rules.h"
#include "signs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define GENERATION_FIRST "gen-000001"

/* As the store's description has them, enum vector_codes. */
static int32_t codes_choose(const struct cop_options *options)
{
	if (options->codes)
		return options->codes - COP_CODES_U8;
	return options->dim && !options->codes_dim &&
		       options->dim * sizeof(float) <= CODE_LINE_BYTES
		   ? CODES_F32
		   : CODES_U8;
}

/* What they say of vectors. */
static cop_err vectors_check(const struct cop_options *options)
{
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
	if (options->codes < 0 || options->codes > COP_CODES_B1)
		return error_set(COP_INVALID,
				 "codes %d; there are u8 1, f16 2, bf16 3, "
				 "f32 4, b1 5, and 0, by the dimension",
				 options->codes);
	if (options->rows && options->codes >= COP_CODES_F16 &&
	    options->codes <= COP_CODES_F32)
		return error_set(COP_INVALID,
				 "codes of f16, bf16 or f32 are the rows, too; "
				 "rows are chosen with codes u8 or b1");
	if (options->signs && options->dim < SIGNS_DIM)
		return error_set(COP_INVALID,
				 "signs of vectors of %u dimensions; they are "
				 "kept of %d or more",
				 options->dim, SIGNS_DIM);
	if (options->codes_dim &&
	    (options->codes_dim < COP_DIM_MIN ||
	     options->codes_dim > options->dim ||
	     code_is_row(codes_choose(options)) || options->metric == COP_IP))
		return error_set(COP_INVALID,
				 "codes of %u dimensions; they may be of 2 to "
				 "%u, with codes u8 or b1 and cosine or L2",
				 options->codes_dim, options->dim);
	return 0;
}

static cop_err options_check(const struct cop_options *options)
{
	struct stat st;
	cop_err err;

	if (options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	err = vectors_check(options);
	if (err)
		return err;
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
	if (options->cache_bytes && (options->cache_bytes < COP_CACHE_MIN ||
				     options->cache_bytes > COP_CACHE_MAX))
		return error_set(COP_INVALID,
				 "a cache of %" PRIu64 " bytes; it may have "
				 "%" PRIu64 " to %" PRIu64 ", or none",
				 options->cache_bytes, COP_CACHE_MIN,
				 COP_CACHE_MAX);
	if (!options->cache_bytes &&
	    (options->cache_ttl_ms || options->cache_idle_ms))
		return error_set(COP_INVALID,
				 "a time to live or to idle, but no cache; "
				 "set cache_bytes, too");
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

/* Of its shared memory. */
static const char *folder_of(const struct cop_options *options)
{
	return options->shm_dir ? options->shm_dir : "/dev/shm";
}

/* A store whose cache has no room could not be opened. */
static cop_err cache_fits(const struct cop_options *options)
{
	const char *folder = folder_of(options);
	struct statvfs fs;
	uint64_t all;

	if (!options->cache_bytes || statvfs(folder, &fs))
		return 0;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (options->cache_bytes <= all / 2)
		return 0;
	return error_set(COP_INVALID,
			 "a cache of %" PRIu64 " bytes; %s has %" PRIu64
			 " in all: give it half of that at most, or another "
			 "folder",
			 options->cache_bytes, folder, all);
}

static cop_err config_fill(struct disk_store *config,
			   const struct cop_options *options)
{
	int32_t codes = codes_choose(options);
	uint32_t coded =
	    options->codes_dim < options->dim ? options->codes_dim : 0;

	*config = (struct disk_store){
	    .magic = FORMAT_MAGIC,
	    .format = FORMAT_VERSION,
	    .dim = options->dim,
	    .metric = options->metric ? options->metric : COP_COSINE,
	    .rows = code_is_row(codes) ? COP_ROWS_F16 : options->rows,
	    .codes = codes,
	    .mode = options->mode ? options->mode : 0600,
	    .expected_entities = options->expected_entities
				     ? options->expected_entities
				     : 100000,
	    .bloom_rate =
		options->bloom_rate > 1e-9 ? options->bloom_rate : 0.01,
	    .created_ns = clock_ns(CLOCK_REALTIME),
	    .record_bytes = options->record_bytes,
	    .cache_bytes = options->cache_bytes,
	    .cache_ttl_ms = options->cache_ttl_ms,
	    .cache_idle_ms = options->cache_idle_ms,
	    .signs = options->signs != 0,
	    .coded = coded,
	};
	snprintf(config->shm_dir, sizeof config->shm_dir, "%s",
		 folder_of(options));
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
	struct folder_owner owner;
};

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
	err = folder_make(folder, GENERATION_FIRST, &creation->owner);
	if (!err)
		err = folder_own(folder, "lock", &creation->owner);
	return err ? error_system(err, "cannot make %s/%s", creation->path,
				  GENERATION_FIRST)
		   : 0;
}

static int records_put(struct env *env, const struct disk_store *config,
		       struct disk_retention *retention)
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
		err = rules_put(env, txn, &(struct retain_rules){retention, 1});
	if (!err)
		return env_write_commit(txn);
	env_write_abort(txn);
	return err;
}

static cop_err data_make(struct creation *creation,
			 const struct disk_store *config,
			 struct disk_retention *retention)
{
	char path[PATH_MAX];
	struct env env;
	int err;

	snprintf(path, sizeof path, "%s/%s", creation->path, GENERATION_FIRST);
	err = env_open(&env, path, creation->lock_fd, LOCK_FOREVER,
		       config->mode, ENV_CREATE);
	if (!err) {
		err = records_put(&env, config, retention);
		env_close(&env);
	}
	if (!err)
		err =
		    folder_own(creation->folder_fd,
			       GENERATION_FIRST "/data.mdb", &creation->owner);
	if (!err)
		err =
		    folder_own(creation->folder_fd,
			       GENERATION_FIRST "/lock.mdb", &creation->owner);
	return err ? error_system(err, "cannot make the data file in %s", path)
		   : 0;
}

/* The last step, when all other names are on disk. */
static cop_err current_write(struct creation *creation)
{
	int folder = creation->folder_fd;
	int err = folder_own_folder(folder, ".", &creation->owner);

	if (!err)
		err = folder_sync(folder, GENERATION_FIRST);
	if (!err)
		err = folder_sync(folder, ".");
	if (!err && creation->made_folder)
		err = folder_sync(folder, "..");
	if (!err)
		err = folder_current_write(folder, GENERATION_FIRST,
					   &creation->owner);
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
	struct disk_retention retention;
	struct disk_store config;
	struct limit limit;
	cop_err err;

	error_clear();
	if (!path || !*path)
		return error_set(COP_INVALID, "no path was given");
	if (!options)
		options = &defaults;
	err = options_check(options);
	if (!err)
		err = cache_fits(options);
	if (!err)
		err = config_fill(&config, options);
	if (err)
		return err;
	err = rules_of(
	    &(struct cop_retention){.history = options->history,
				    .history_ms = options->history_ms,
				    .history_count = options->history_count},
	    &retention);
	if (err)
		return err;
	creation.owner.mode = config.mode;
	creation.owner.user = (uid_t)-1;
	creation.owner.group = options->group ? options->group - 1 : (gid_t)-1;
	limit_enter(&limit);
	err = store_folder_make(&creation);
	if (err)
		goto out;
	err = files_make(&creation);
	if (!err)
		err = data_make(&creation, &config, &retention);
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
	limit_leave(&limit);
	return err;
}
