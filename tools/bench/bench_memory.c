/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process holds alone.  The resident set counts shared pages too, in
 * each process that maps them, and says nothing about what one more costs.
 * Private pages count a page of a file or a segment as well while only one
 * process has touched it; anonymous ones never do.
 */
#include "bench_memory.h"

#include <stdio.h>
#include <string.h>

/* The sum of all lines that start with `field`. */
static uint64_t sum_of(int pid, const char *field)
{
	char line[256];
	unsigned long long kilobytes;
	uint64_t bytes = 0;
	FILE *file;

	snprintf(line, sizeof line, "/proc/%d/smaps_rollup", pid);
	file = fopen(line, "r");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, field, strlen(field)) == 0 &&
		    sscanf(line, "%*[^:]: %llu", &kilobytes) == 1)
			bytes += kilobytes * 1024;
	fclose(file);
	return bytes;
}

uint64_t bench_anonymous_bytes(int pid)
{
	return sum_of(pid, "Anonymous:");
}

uint64_t bench_private_bytes(int pid)
{
	return sum_of(pid, "Private_Clean:") + sum_of(pid, "Private_Dirty:");
}
