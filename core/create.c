/* SPDX-License-Identifier: Apache-2.0 */
/* Making a new store. */
#include "create.h"
#include "clock.h"
#include "env.h"
#include "error.h"
#include "limit.h"
#include "lock.h"
#include "point.h"
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

cop_err create_owner_check(uint32_t mode, const char *shm_dir)
{
	struct stat st;

	if (mode & ~0666u || (mode && (mode & 0600) != 0600))
		return error_set(COP_INVALID,
				 "mode %04o; give read and write permissions "
				 "such as 0600 or 0660, the owner's both",
				 mode);
	if (shm_dir && (shm_dir[0] != '/' || strlen(shm_dir) > 200))
		return error_set(COP_INVALID,
				 "shared memory folder '%s'; give an absolute "
				 "path of at most 200 bytes",
				 shm_dir);
	if (shm_dir && (stat(shm_dir, &st) || !S_ISDIR(st.st_mode)))
		return error_set(COP_INVALID,
				 "shared memory folder '%s' is not a folder; "
				 "make it first, on a tmpfs",
				 shm_dir);
	return 0;
}

static cop_err options_check(const struct cop_options *options)
{
	cop_err err;

	if (options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	err = vectors_check(options);
	if (err)
		return err;
	err = create_owner_check(options->mode, options->shm_dir);
	if (err)
		return err;
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
	return 0;
}

/* Of its shared memory. */
static const char *folder_of(const struct cop_options *options)
{
	return options->shm_dir ? options->shm_dir : "/dev/shm";
}

cop_err create_cache_check(uint64_t cache_bytes, const char *shm_dir)
{
	struct statvfs fs;
	uint64_t all;

	if (!cache_bytes || statvfs(shm_dir, &fs))
		return 0;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (cache_bytes <= all / 2)
		return 0;
	return error_set(COP_INVALID,
			 "a cache of %" PRIu64 " bytes; %s has %" PRIu64
			 " in all: give it half of that at most, or another "
			 "folder",
			 cache_bytes, shm_dir, all);
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

cop_err create_config(const struct cop_options *options,
		      struct disk_store *config)
{
	cop_err err = options_check(options);

	if (!err)
		err = create_cache_check(options->cache_bytes,
					 folder_of(options));
	return err ? err : config_fill(config, options);
}

int create_is_empty(const char *path)
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

cop_err create_folder_failed(const char *path, int code)
{
	return code == ENOENT || code == ENOTDIR
		   ? error_set(COP_INVALID,
			       "cannot make the folder %s: there is no folder "
			       "for it to be in; make that first",
			       path)
		   : error_system(code, "cannot make the folder %s", path);
}

static cop_err store_folder_make(struct creation *creation)
{
	const char *path = creation->path;

	if (!mkdir(path, 0700)) {
		creation->made_folder = 1;
	} else if (errno != EEXIST) {
		return create_folder_failed(path, errno);
	} else if (!create_is_empty(path)) {
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

cop_err create_files(struct creation *creation)
{
	int folder = creation->folder_fd;
	int err;

	creation->lock_fd =
	    openat(folder, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (creation->lock_fd < 0 && errno == EEXIST)
		return error_set(COP_EXISTS,
				 "%s: another process makes a store there; "
				 "open that, or choose another path",
				 creation->path);
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

struct records {
	const struct disk_store *config;
	struct disk_retention *retention;
};

static int records_put(const struct records *records, struct env *env)
{
	const struct disk_store *config = records->config;
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
		err = rules_put(env, txn,
				&(struct retain_rules){records->retention, 1});
	if (!err)
		return env_write_commit(txn);
	env_write_abort(txn);
	return err;
}

static cop_err records_fill(void *user, struct env *env)
{
	int code = records_put(user, env);

	return code ? error_system(code, "cannot write the data file") : 0;
}

cop_err create_data(struct creation *creation, uint32_t mode,
		    cop_err (*fill)(void *user, struct env *env), void *user)
{
	char path[PATH_MAX];
	cop_err failed = 0;
	struct env env;
	int err;

	snprintf(path, sizeof path, "%s/%s", creation->path, GENERATION_FIRST);
	err = env_open(&env, path, creation->lock_fd, LOCK_FOREVER, mode,
		       ENV_CREATE);
	if (!err) {
		failed = fill(user, &env);
		env_close(&env);
	}
	if (failed)
		return failed;
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

cop_err create_current(struct creation *creation)
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

void create_clear(int folder_fd)
{
	static const char *const files[] = {
	    "CURRENT", "CURRENT.new", GENERATION_FIRST "/data.mdb",
	    GENERATION_FIRST "/lock.mdb", "lock"};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlinkat(folder_fd, files[i], 0);
	unlinkat(folder_fd, GENERATION_FIRST, AT_REMOVEDIR);
	unlinkat(folder_fd, CREATE_MARK, 0); /* last: a death may be next */
}

/* Without a lock file of ours what is in the folder is another's. */
static void create_undo(struct creation *creation)
{
	if (creation->lock_fd >= 0)
		create_clear(creation->folder_fd);
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
	err = create_config(options, &config);
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
	point("create-folder");
	err = create_files(&creation);
	if (!err)
		err = create_data(&creation, config.mode, records_fill,
				  &(struct records){&config, &retention});
	if (!err)
		err = create_current(&creation);
out:
	if (err)
		create_undo(&creation);
	if (creation.lock_fd >= 0)
		close(creation.lock_fd);
	if (creation.folder_fd >= 0)
		close(creation.folder_fd);
	limit_leave(&limit);
	return err;
}
