/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target: a file that is written whole or not at all.
 *
 * idea
 *	It is written as NAME.partial, synced, renamed, and the folder synced,
 *	so under NAME there is the old file or all of the new one.  The file is
 *	locked meanwhile: two that write to the same NAME do not mix.
 *
 * crash
 *	NAME.partial is left, and the next to write NAME begins it anew.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TARGET_TRIES = 100 };

static int stream_open(struct target *target, struct fault *fault)
{
	target->fd = open(target->name, O_WRONLY | O_CLOEXEC);
	return target->fd < 0 ? fault_errno(fault, target->name, errno) : 0;
}

static int output_open(struct target *target, struct fault *fault)
{
	if (isatty(STDOUT_FILENO))
		return fault_set(fault, EXIT_USAGE,
				 "standard output is a terminal, and this is "
				 "nothing to read: name a file, or a pipe to "
				 "something");
	target->fd = STDOUT_FILENO;
	return 0;
}

/* Opens the file to write and locks it.  EAGAIN: it got its name meanwhile. */
static int fresh_lock(struct target *target)
{
	struct stat named;
	struct stat st;
	int fd = open(target->fresh,
		      O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return errno;
	if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &st))
		err = errno == EWOULDBLOCK ? EBUSY : errno;
	else if (lstat(target->fresh, &named) || named.st_dev != st.st_dev ||
		 named.st_ino != st.st_ino)
		err = EAGAIN;
	else if (fchmod(fd, 0600) || ftruncate(fd, 0))
		err = errno;
	if (err)
		close(fd);
	else
		target->fd = fd;
	return err;
}

static int fresh_open(struct target *target, struct fault *fault)
{
	int err = EAGAIN;

	if (snprintf(target->fresh, sizeof target->fresh, "%s.partial",
		     target->name) >= (int)sizeof target->fresh)
		return fault_errno(fault, target->name, ENAMETOOLONG);
	for (int i = 0; err == EAGAIN && i < TARGET_TRIES; i++)
		err = fresh_lock(target);
	if (!err)
		return 0;
	if (err == EBUSY || err == EAGAIN)
		fault_set(fault, EXIT_BUSY,
			  "another process writes to %s; let it finish",
			  target->fresh);
	else
		fault_errno(fault, target->fresh, err);
	target->fresh[0] = '\0';
	return fault->code;
}

static int there_already(const struct target *target, struct fault *fault)
{
	return fault_set(fault, EXIT_USAGE,
			 "%s is there already; --force replaces it",
			 target->name);
}

int target_open(struct target *target, const char *name, int replaces,
		struct fault *fault)
{
	struct stat st;

	*target = (struct target){.name = name, .fd = -1, .replaces = replaces};
	if (!strcmp(name, "-"))
		return output_open(target, fault);
	if (stat(name, &st))
		return errno == ENOENT ? fresh_open(target, fault)
				       : fault_errno(fault, name, errno);
	if (S_ISDIR(st.st_mode))
		return fault_set(fault, EXIT_USAGE,
				 "%s is a folder; name a file in it", name);
	if (!S_ISREG(st.st_mode))
		return stream_open(target, fault);
	return replaces ? fresh_open(target, fault)
			: there_already(target, fault);
}

/* The folder that the name is in; 0 or an errno. */
static int folder_sync(const char *name)
{
	const char *slash = strrchr(name, '/');
	char *folder =
	    slash ? strndup(name, (size_t)(slash - name) + 1) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int err = fd < 0 || fsync(fd) ? errno : 0;

	if (fd >= 0)
		close(fd);
	free(folder);
	return err;
}

static int fresh_name(const struct target *target)
{
	if (!target->replaces && !renameat2(AT_FDCWD, target->fresh, AT_FDCWD,
					    target->name, RENAME_NOREPLACE))
		return 0;
	if (!target->replaces && errno != EINVAL)
		return errno;
	return rename(target->fresh, target->name) ? errno : 0;
}

int target_keep(struct target *target, struct fault *fault)
{
	int err = 0;

	if (!target->fresh[0]) { /* not all that can be written can be synced */
		if (fsync(target->fd) && errno != EINVAL && errno != EROFS)
			err = errno;
		return err ? fault_errno(fault, target->name, err) : 0;
	}
	if (fsync(target->fd))
		err = errno;
	if (!err)
		err = fresh_name(target);
	if (err == EEXIST)
		return there_already(target, fault);
	if (!err) {
		target->fresh[0] = '\0';
		err = folder_sync(target->name);
	}
	return err ? fault_errno(fault, target->name, err) : 0;
}

void target_close(struct target *target)
{
	if (target->fresh[0])
		unlink(target->fresh);
	if (target->fd > STDERR_FILENO)
		close(target->fd);
	target->fresh[0] = '\0';
	target->fd = -1;
}
