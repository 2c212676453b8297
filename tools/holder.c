/* SPDX-License-Identifier: Apache-2.0 */
#include "holder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int holder_is_same(const struct cop_lock *now, const struct cop_lock *before)
{
	return now->is_held && before->is_held && now->times == before->times;
}

int holder_is_stopped(const struct cop_lock *lock)
{
	char path[64], line[512];
	const char *end;
	size_t size;
	FILE *file;

	if (!lock->is_held || lock->is_foreign)
		return 0;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", lock->pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	size = fread(line, 1, sizeof line - 1, file);
	fclose(file);
	line[size] = 0;
	end = strrchr(line, ')'); /* a name may have anything in it */
	return end && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}
