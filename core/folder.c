/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"
#include "format.h"
#include "point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_owner_of(int lock_fd, struct folder_owner *owner)
{
	struct stat lock;

	if (fstat(lock_fd, &lock))
		return errno;
	owner->mode = lock.st_mode & 0666;
	owner->user = geteuid() ? (uid_t)-1 : lock.st_uid;
	/* one that opens nothing need not be had */
	owner->group =
	    owner->mode & 0060 || !geteuid() ? lock.st_gid : (gid_t)-1;
	return 0;
}

static int own(int folder_fd, const char *name, mode_t mode,
	       const struct folder_owner *owner)
{
	if (fchmodat(folder_fd, name, mode, 0))
		return errno;
	if ((owner->user != (uid_t)-1 || owner->group != (gid_t)-1) &&
	    fchownat(folder_fd, name, owner->user, owner->group, 0))
		return errno;
	return 0;
}

int folder_own(int folder_fd, const char *name,
	       const struct folder_owner *owner)
{
	return own(folder_fd, name, owner->mode, owner);
}

int folder_own_folder(int folder_fd, const char *name,
		      const struct folder_owner *owner)
{
	return own(folder_fd, name, owner->mode | (owner->mode & 0444) >> 2,
		   owner);
}

int folder_make(int folder_fd, const char *name,
		const struct folder_owner *owner)
{
	int err;

	if (mkdirat(folder_fd, name, 0700))
		return errno;
	err = folder_own_folder(folder_fd, name, owner);
	if (err)
		(void)unlinkat(folder_fd, name, AT_REMOVEDIR);
	return err;
}

int folder_sync(int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0 && errno == EACCES) /* who may write there need not read */
		return syncfs(folder_fd) ? errno : 0;
	if (fd < 0)
		return errno;
	if (fsync(fd))
		err = errno;
	close(fd);
	return err;
}

static int text_is(int fd, const char *text, size_t bytes)
{
	char there[64];

	return pread(fd, there, sizeof there, 0) == (ssize_t)bytes &&
	       !memcmp(there, text, bytes);
}

/* One that is there as it is to be stays: it takes no room of a full disk. */
static int text_write(int fd, const char *text, size_t bytes)
{
	ssize_t done = (ssize_t)bytes;

	if (!text_is(fd, text, bytes)) {
		if (ftruncate(fd, 0))
			return errno;
		done = pwrite(fd, text, bytes, 0);
	}
	if (done < 0)
		return errno;
	if ((size_t)done != bytes)
		return ENOSPC;
	return fsync(fd) ? errno : 0;
}

int folder_current_ready(int folder_fd, const char *generation,
			 const struct folder_owner *owner)
{
	char text[64];
	int bytes = snprintf(text, sizeof text, "coppice %d\n%s\n",
			     FORMAT_VERSION, generation);
	int fd = openat(folder_fd, "CURRENT.new",
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err = fd < 0 ? errno : 0;

	if (!err)
		err = text_write(fd, text, (size_t)bytes);
	if (fd >= 0)
		close(fd);
	point("current-written");
	return err ? err : folder_own(folder_fd, "CURRENT.new", owner);
}

int folder_current_install(int folder_fd)
{
	int err = renameat(folder_fd, "CURRENT.new", folder_fd, "CURRENT")
		      ? errno
		      : 0;

	point("current-renamed");
	return err;
}

int folder_current_write(int folder_fd, const char *generation,
			 const struct folder_owner *owner)
{
	int err = folder_current_ready(folder_fd, generation, owner);

	if (!err)
		err = folder_current_install(folder_fd);
	if (!err && fsync(folder_fd))
		err = errno;
	return err;
}
