/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target: a file that is written whole or not at all.
 *
 * idea
 *	It is written as NAME.partial, synced, renamed, and the folder synced,
 *	so under NAME there is the old file or all of the new one.  The file is
 *	locked meanwhile: two that write to the same NAME do not mix.
 *
 *	A wrong word must not cost anybody a file.  What is replaced, and what
 *	is found as NAME.partial, must be empty or begin as such files do; what
 *	lies in a store is not written to (place.h).
 *
 * crash
 *	NAME.partial is left, and the next to write NAME begins it anew.
 */
#include "target.h"
#include "out.h"
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TARGET_TRIES = 100, TARGET_BEGIN = 64 };

int target_fault(const struct target *target, int number, struct fault *fault)
{
	return fault_errno(fault, target->name, number);
}

/* ---- what is there ------------------------------------------------------ */

static int there_already(const struct target *target, struct fault *fault)
{
	return fault_set(fault, EXIT_USAGE,
			 "%s is there already; --force replaces it",
			 target->name);
}

/* Whether a file is of the kind, as far as it goes: 0 or an errno. */
static int kind_check(const struct target *target, int fd)
{
	const char *begins = target->kind->begins;
	char text[TARGET_BEGIN];
	struct stat st;
	ssize_t size;

	if (fstat(fd, &st))
		return errno;
	if (!S_ISREG(st.st_mode))
		return EEXIST;
	size = pread(fd, text, strlen(begins), 0);
	if (size < 0)
		return errno;
	return memcmp(text, begins, (size_t)size) ? EEXIST : 0;
}

static int other_there(const struct target *target, const char *name,
		       struct fault *fault)
{
	return fault_set(fault, EXIT_USAGE,
			 "%s is there and is not %s, which alone would be "
			 "replaced; name another file, or remove that one",
			 name, target->kind->what);
}

/* A file that is there gives way to one of its own kind. */
static int replace_check(const struct target *target, struct fault *fault)
{
	int fd =
	    open(target->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int err = fd < 0 ? errno : kind_check(target, fd);

	if (fd >= 0)
		close(fd);
	if (err == EEXIST)
		return other_there(target, target->name, fault);
	return err ? target_fault(target, err, fault) : 0;
}

/* ---- opening ------------------------------------------------------------ */

static int output_closed(struct fault *fault)
{
	return fault_set(fault, EXIT_USAGE,
			 "standard output is closed; name a file, or a pipe to "
			 "something");
}

/* Whether it is another name of standard output, /dev/stdout perhaps. */
static int is_output(const struct stat *st)
{
	struct stat output;

	return !fstat(STDOUT_FILENO, &output) && output.st_dev == st->st_dev &&
	       output.st_ino == st->st_ino;
}

/* A disk that is mounted is in use, and cannot be had so. */
static int stream_open(struct target *target, const struct stat *st,
		       struct fault *fault)
{
	int how = O_WRONLY | O_CLOEXEC | (S_ISBLK(st->st_mode) ? O_EXCL : 0);

	if (S_ISSOCK(st->st_mode))
		return fault_set(fault, EXIT_USAGE,
				 "%s is a socket, which is not opened like a "
				 "file; name a file or a named pipe",
				 target->name);
	if (S_ISBLK(st->st_mode) && !target->replaces)
		return there_already(target, fault);
	if (is_output(st) && !out_is_open())
		return output_closed(fault);
	target->fd = open(target->name, how);
	return target->fd < 0 ? target_fault(target, errno, fault) : 0;
}

static int output_open(struct target *target, struct fault *fault)
{
	if (!out_is_open())
		return output_closed(fault);
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
	int fd =
	    open(target->fresh,
		 O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return errno == ELOOP ? EEXIST : errno;
	if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &st))
		err = errno == EWOULDBLOCK ? EBUSY : errno;
	else if (lstat(target->fresh, &named) || named.st_dev != st.st_dev ||
		 named.st_ino != st.st_ino)
		err = EAGAIN;
	else
		err = kind_check(target, fd);
	if (!err && (fchmod(fd, target->kind->mode) || ftruncate(fd, 0)))
		err = errno;
	if (err)
		close(fd);
	else
		target->fd = fd;
	return err;
}

static int fresh_fault(const struct target *target, int err,
		       struct fault *fault)
{
	switch (err) {
	case EBUSY:
	case EAGAIN:
		return fault_set(fault, EXIT_BUSY,
				 "another process writes to %s; let it finish",
				 target->fresh);
	case EEXIST:
	case EISDIR: return other_there(target, target->fresh, fault);
	default: return fault_errno(fault, target->fresh, err);
	}
}

static int fresh_open(struct target *target, struct fault *fault)
{
	int err = EAGAIN;

	if (snprintf(target->fresh, sizeof target->fresh, "%s.partial",
		     target->path) >= (int)sizeof target->fresh)
		return target_fault(target, ENAMETOOLONG, fault);
	for (int i = 0; err == EAGAIN && i < TARGET_TRIES; i++)
		err = fresh_lock(target);
	if (!err)
		return 0;
	fresh_fault(target, err, fault);
	target->fresh[0] = '\0';
	return fault->code;
}

int target_open(struct target *target, const char *name,
		const struct target_kind *kind, int replaces,
		struct fault *fault)
{
	struct stat st;
	int is_there;

	*target = (struct target){
	    .name = name, .kind = kind, .fd = -1, .replaces = replaces};
	if (!strcmp(name, "-"))
		return output_open(target, fault);
	if (!*name)
		return fault_set(fault, EXIT_USAGE,
				 "the name of a file is "
				 "empty; name one");
	is_there = !stat(name, &st);
	if (!is_there && errno != ENOENT && errno != ENOTDIR)
		return target_fault(target, errno, fault);
	if (is_there ? S_ISDIR(st.st_mode) : name[strlen(name) - 1] == '/')
		return fault_set(fault, EXIT_USAGE,
				 "%s is a folder; name a file in it", name);
	if (is_there && !S_ISREG(st.st_mode))
		return stream_open(target, &st, fault);
	if (place_find(name, target->path, fault) ||
	    place_refuse(name, target->path, fault))
		return fault->code;
	if (is_there && !replaces)
		return there_already(target, fault);
	if (is_there && replace_check(target, fault))
		return fault->code;
	return fresh_open(target, fault);
}

/* ---- its end ------------------------------------------------------------ */

/* The folder that the file is in; 0 or an errno. */
static int folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = strndup(path, (size_t)(slash - path) + 1);
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
					    target->path, RENAME_NOREPLACE))
		return 0;
	if (!target->replaces && errno != EINVAL)
		return errno;
	return rename(target->fresh, target->path) ? errno : 0;
}

int target_keep(struct target *target, struct fault *fault)
{
	int err = 0;

	if (!target->fresh[0]) { /* not all that can be written can be synced */
		if (fsync(target->fd) && errno != EINVAL && errno != EROFS)
			err = errno;
		return err ? target_fault(target, err, fault) : 0;
	}
	if (fsync(target->fd))
		err = errno;
	if (!err)
		err = fresh_name(target);
	if (err == EEXIST)
		return there_already(target, fault);
	if (!err) {
		target->fresh[0] = '\0';
		err = folder_sync(target->path);
	}
	return err ? target_fault(target, err, fault) : 0;
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
