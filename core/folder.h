/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in the store's folder: made whole or not at all, and owned as the
 * store is.  All return 0 or an errno.
 */
#ifndef CORE_FOLDER_H
#define CORE_FOLDER_H

#include <sys/types.h>

/* Whose the files are. */
struct folder_owner {
	mode_t mode; /* of files; folders have x where they have r */
	uid_t user;  /* (uid_t)-1: who makes them */
	gid_t group; /* (gid_t)-1: his */
};

/* As the store's lock file says; what only root may set is left to root. */
int folder_owner_of(int lock_fd, struct folder_owner *owner);

/* Sets mode, user and group of a file, or of a folder. */
int folder_own(int folder_fd, const char *name,
	       const struct folder_owner *owner);
int folder_own_folder(int folder_fd, const char *name,
		      const struct folder_owner *owner);

/* Makes a folder for a generation's files. */
int folder_make(int folder_fd, const char *name,
		const struct folder_owner *owner);

/* The names in a folder are on disk when it returns. */
int folder_sync(int folder_fd, const char *name);

/*
 * Makes CURRENT name a generation's folder; on disk when it returns.  A death
 * leaves the old one or the new one.
 */
int folder_current_write(int folder_fd, const char *generation,
			 const struct folder_owner *owner);

/*
 * The same in two steps: CURRENT.new, on disk; and in its place, which is not
 * synced, by who removes what it named before at the latest.
 */
int folder_current_ready(int folder_fd, const char *generation,
			 const struct folder_owner *owner);
int folder_current_install(int folder_fd);

#endif
