/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"
#include "format.h"
#include "point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

mode_t folder_mode(mode_t mode)
{
	return mode | (mode & 0444) >> 2;
}

int folder_own(int folder_fd, const char *name, mode_t mode, gid_t group)
{
	if (fchmodat(folder_fd, name, mode, 0))
		return errno;
	if (group != (gid_t)-1 &&
	    fchownat(folder_fd, name, (uid_t)-1, group, 0) && errno != EPERM)
		return errno;
	return 0;
}

int folder_make(int folder_fd, const char *name, mode_t mode, gid_t group)
{
	if (mkdirat(folder_fd, name, 0700))
		return errno;
	return folder_own(folder_fd, name, folder_mode(mode), group);
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

static int text_write(int fd, const char *text, size_t bytes)
{
	ssize_t done = write(fd, text, bytes);

	if (done < 0)
		return errno;
	if ((size_t)done != bytes)
		return ENOSPC;
	return fsync(fd) ? errno : 0;
}

int folder_current_write(int folder_fd, const char *generation, mode_t mode,
			 gid_t group)
{
	char text[64];
	int bytes = snprintf(text, sizeof text, "coppice %d\n%s\n",
			     FORMAT_VERSION, generation);
	int fd =
	    openat(folder_fd, "CURRENT.new",
		   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err = fd < 0 ? errno : 0;

	if (!err)
		err = text_write(fd, text, (size_t)bytes);
	if (fd >= 0)
		close(fd);
	point("current-written");
	if (!err)
		err = folder_own(folder_fd, "CURRENT.new", mode, group);
	if (!err && renameat(folder_fd, "CURRENT.new", folder_fd, "CURRENT"))
		err = errno;
	point("current-renamed");
	if (!err && fsync(folder_fd))
		err = errno;
	return err;
}
