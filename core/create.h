/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps in which a store's folder is made: from options, create.c, or from
 * a backup, reinstate.c.
 *
 * crash
 *	CURRENT is renamed into place last, when all other names are on disk: a
 *	folder without it is no store, and can be removed.
 */
#ifndef CORE_CREATE_H
#define CORE_CREATE_H

#include "coppice.h"
#include "env.h"
#include "folder.h"
#include "format.h"

/*
 * A file in a store's folder that does not have its name yet: whatever else is
 * in there may be removed.
 */
#define CREATE_MARK "restoring"

/* What has been made so far, to be taken back. */
struct creation {
	const char *path;
	int made_folder;
	int folder_fd;
	int lock_fd;
	struct folder_owner owner;
};

/* COP_INVALID for permissions and a folder of segments out of range. */
cop_err create_owner_check(uint32_t mode, const char *shm_dir);

/* COP_INVALID for a cache so large that the store could not be opened. */
cop_err create_cache_check(uint64_t cache_bytes, const char *shm_dir);

/* The description of a store made with such options; COP_INVALID. */
cop_err create_config(const struct cop_options *options,
		      struct disk_store *config);

/* The store's folder, or the one that it is made in, could not be made. */
cop_err create_folder_failed(const char *path, int code);

int create_is_empty(const char *path);

/*
 * The lock file, and the first generation's folder.  COP_EXISTS: somebody else
 * has made that file, and whatever comes is his.
 */
cop_err create_files(struct creation *creation);

/* The data file; `fill` puts its records. */
cop_err create_data(struct creation *creation, uint32_t mode,
		    cop_err (*fill)(void *user, struct env *env), void *user);

/* The last step. */
cop_err create_current(struct creation *creation);

/* Removes what may have been made, but for the store's folder itself. */
void create_clear(int folder_fd);

#endif
