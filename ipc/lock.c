/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POLL_FIRST_NS = 50000, POLL_LAST_NS = 2000000 };

static struct flock range_of(uint64_t byte, short type)
{
	return (struct flock){.l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)byte,
			      .l_len = 1};
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int take_polling(int fd, struct flock *range, uint32_t timeout_ms)
{
	uint64_t until = now_ms() + timeout_ms;
	struct timespec pause = {0, POLL_FIRST_NS};

	while (fcntl(fd, F_OFD_SETLK, range)) {
		if (errno == EINTR) /* by a file system that may wait */
			continue;
		if (errno != EAGAIN && errno != EACCES)
			return errno;
		if (now_ms() >= until)
			return EAGAIN;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < POLL_LAST_NS)
			pause.tv_nsec *= 2;
	}
	return 0;
}

int lock_take(int fd, uint64_t byte, enum lock_mode mode, uint32_t timeout_ms)
{
	struct flock range =
	    range_of(byte, mode == LOCK_SHARED ? F_RDLCK : F_WRLCK);

	if (timeout_ms != LOCK_FOREVER)
		return take_polling(fd, &range, timeout_ms);
	while (fcntl(fd, F_OFD_SETLKW, &range))
		if (errno != EINTR)
			return errno;
	return 0;
}

void lock_release(int fd, uint64_t byte)
{
	struct flock range = range_of(byte, F_UNLCK);

	(void)fcntl(fd, F_OFD_SETLK, &range);
}

int lock_is_held(int fd, uint64_t byte)
{
	struct flock range = range_of(byte, F_WRLCK);

	return !fcntl(fd, F_OFD_GETLK, &range) && range.l_type != F_UNLCK;
}

int lock_file_check(int fd, int folder_fd, const char *name)
{
	struct stat held;
	struct stat named;

	if (fstat(fd, &held) || fstatat(folder_fd, name, &named, 0))
		return errno == ENOENT ? ESTALE : errno;
	return held.st_dev == named.st_dev && held.st_ino == named.st_ino
		   ? 0
		   : ESTALE;
}
