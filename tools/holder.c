/* SPDX-License-Identifier: Apache-2.0 */
#include "holder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int32_t holder_take(void *user, const struct cop_reader *reader)
{
	struct holder *holder = user;

	if (reader->role == COP_ROLE_WRITE) {
		*holder = (struct holder){.pid = reader->pid,
					  .tid = reader->tid,
					  .is_foreign = reader->is_foreign,
					  .count = reader->reads};
		snprintf(holder->name, sizeof holder->name, "%s", reader->name);
	}
	return 1; /* the writer comes first */
}

cop_err holder_look(cop_store *store, struct holder *out)
{
	cop_err err;

	*out = (struct holder){.pid = 0};
	err = cop_readers(store, holder_take, out);
	return err == COP_STOPPED ? 0 : err;
}

int holder_is_same(const struct holder *now, const struct holder *before)
{
	return now->pid && now->pid == before->pid && now->tid == before->tid &&
	       now->count == before->count;
}

int holder_is_stopped(const struct holder *holder)
{
	char path[64], line[512];
	const char *end;
	size_t size;
	FILE *file;

	if (!holder->pid || holder->is_foreign)
		return 0;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", holder->pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	size = fread(line, 1, sizeof line - 1, file);
	fclose(file);
	line[size] = 0;
	end = strrchr(line, ')'); /* a name may have anything in it */
	return end && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}
