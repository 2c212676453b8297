/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in the store's folder: made whole or not at all, and owned as the
 * store is.  All return 0 or an errno.
 */
#ifndef CORE_FOLDER_H
#define CORE_FOLDER_H

#include <sys/types.h>

/* The mode of a folder that holds files of `mode`: x where they have r. */
mode_t folder_mode(mode_t mode);

/* Sets mode, and group unless (gid_t)-1. */
int folder_own(int folder_fd, const char *name, mode_t mode, gid_t group);

/* Makes a folder for a generation's files. */
int folder_make(int folder_fd, const char *name, mode_t mode, gid_t group);

/* The names in a folder are on disk when it returns. */
int folder_sync(int folder_fd, const char *name);

/*
 * Makes CURRENT name a generation's folder; on disk when it returns.  A death
 * leaves the old one or the new one.
 */
int folder_current_write(int folder_fd, const char *generation, mode_t mode,
			 gid_t group);

#endif
