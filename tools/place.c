/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place: where a path leads, and whether that is in a store.
 *
 * idea
 *	Every verb that makes a file or a folder asks here first.  Links and
 *	`..` are followed to the end, and each folder on the way up from there
 *	is looked at: what lies in a store, in any store and however deep, is
 *	not written to.
 *
 * what a folder is known by
 *	a store			CURRENT, which begins with "coppice "
 *	a generation of one	its name, gen-*, and data.mdb
 *	its shared memory	its name, coppice-*, and the link `store`
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { TMPFS_TYPE = 0x01021994 };

/* The folder of what is not there yet, and its last word behind it. */
static int place_new(const char *name, char path[PATH_MAX])
{
	char folder_words[PATH_MAX];
	char last_words[PATH_MAX];
	char folder[PATH_MAX];
	const char *last;

	if (snprintf(folder_words, PATH_MAX, "%s", name) >= PATH_MAX)
		return ENAMETOOLONG;
	memcpy(last_words, folder_words, PATH_MAX);
	if (!realpath(dirname(folder_words), folder))
		return errno;
	last = basename(last_words);
	return snprintf(path, PATH_MAX, "%s/%s", folder, last) >= PATH_MAX
		   ? ENAMETOOLONG
		   : 0;
}

/* What is to be under a name cannot be there. */
static int place_fault(const char *name, int err, struct fault *fault)
{
	if (err != ENOENT && err != ENOTDIR)
		return fault_errno(fault, name, err);
	return fault_set(fault, EXIT_USAGE,
			 "%s: there is no folder for it; make one, or name "
			 "another file",
			 name);
}

int place_find(const char *name, char path[PATH_MAX], struct fault *fault)
{
	char link[PATH_MAX];
	ssize_t size;
	int err;

	if (realpath(name, path))
		return 0;
	if (errno != ENOENT)
		return place_fault(name, errno, fault);
	size = readlink(name, link, sizeof link);
	if (size > 0)
		return fault_set(fault, EXIT_USAGE,
				 "%s is a link to %.*s, which is not there; "
				 "remove the link, or name what it is to be",
				 name, (int)size, link);
	err = place_new(name, path);
	return err ? place_fault(name, err, fault) : 0;
}

/* ---- stores ------------------------------------------------------------- */

static int has_current(int folder)
{
	static const char begins[] = "coppice ";
	char text[sizeof begins - 1];
	int fd = openat(folder, "CURRENT",
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (fd >= 0)
		close(fd);
	return size == sizeof text && !memcmp(text, begins, sizeof text);
}

/* What a folder of coppice's is, NULL: it is none. */
static const char *kind_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	const char *kind = NULL;

	if (folder < 0)
		return NULL;
	if (has_current(folder))
		kind = "a store";
	else if (!fnmatch("gen-*", name, 0) &&
		 !fstatat(folder, "data.mdb", &st, AT_SYMLINK_NOFOLLOW))
		kind = "a generation of a store";
	else if (!fnmatch("coppice-*", name, 0) &&
		 !fstatat(folder, "store", &st, AT_SYMLINK_NOFOLLOW) &&
		 S_ISLNK(st.st_mode))
		kind = "the shared memory of a store";
	close(folder);
	return kind;
}

int place_refuse(const char *name, const char *path, struct fault *fault)
{
	char folder[PATH_MAX];
	const char *kind;
	char *slash;

	snprintf(folder, sizeof folder, "%s", path);
	while ((slash = strrchr(folder, '/')) && slash != folder) {
		*slash = '\0';
		kind = kind_of(folder);
		if (kind)
			return fault_set(fault, EXIT_USAGE,
					 "%s lies in %s, %s, where all files "
					 "are coppice's own; name a place "
					 "elsewhere",
					 name, folder, kind);
	}
	return 0;
}

int place_check(const char *name, struct fault *fault)
{
	char path[PATH_MAX];

	if (!place_find(name, path, fault))
		return place_refuse(name, path, fault);
	fault_clear(fault); /* who makes it says why that fails */
	return 0;
}

void place_shm_tell(const char *path)
{
	struct statfs fs;

	if (!statfs(path, &fs) && fs.f_type != TMPFS_TYPE)
		fault_note("%s is not on a tmpfs: shared memory there is "
			   "written to a disk over and over; mount a tmpfs "
			   "there, or name a folder on one: `coppice config "
			   "STORE shm-dir=DIR`",
			   path);
}
