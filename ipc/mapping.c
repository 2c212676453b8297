/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

void *mapping_apart(int fd, uint64_t at, uint64_t bytes)
{
	char path[32];
	void *map;
	int apart;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	apart = open(path, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   apart < 0 ? fd : apart, (off_t)at);
	if (apart >= 0) {
		int err = errno;

		close(apart);
		errno = err;
	}
	if (map == MAP_FAILED)
		return NULL;
	(void)madvise(map, bytes, MADV_DONTDUMP);
	return map;
}

int mapping_allocate(int fd, uint64_t at, uint64_t bytes)
{
	int err;

	do
		err = posix_fallocate(fd, (off_t)at, (off_t)bytes);
	while (err == EINTR);
	return err;
}
