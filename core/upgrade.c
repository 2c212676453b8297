/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a store of an older format to this one.
 *
 * idea
 *	The store's folder says its format.  There is one that a release ever
 *	had, so there is nothing to do yet: a step from each format to the next
 *	will be called here, in cop_upgrade(), where the store is known to be
 *	older than FORMAT_VERSION.
 */
#include "generation.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

cop_err cop_upgrade(const char *path, uint32_t *from, uint32_t *to)
{
	uint32_t format = 0;
	uint64_t number = 0;
	cop_err err;
	int fd;

	error_clear();
	if (!path || !*path)
		return error_set(COP_INVALID, "no path was given");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			   ? error_set(COP_NOT_A_STORE,
				       "%s is not a folder; there is no store",
				       path)
			   : error_system(errno, "cannot open the store %s",
					  path);
	err = generation_named(fd, path, &format, &number);
	close(fd);
	if (err)
		return err;
	if (format != FORMAT_VERSION)
		return error_set(
		    COP_VERSION,
		    "%s is of format %u, and this coppice upgrades to %d; %s",
		    path, format, FORMAT_VERSION,
		    format > FORMAT_VERSION
			? "install a newer one"
			: "from that one it cannot: make the store anew from "
			  "its sources");
	if (from)
		*from = format;
	if (to)
		*to = FORMAT_VERSION;
	return 0;
}
