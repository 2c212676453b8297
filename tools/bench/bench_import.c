/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command as a child process: what it takes.
 *
 * idea
 *	Beside the wall time, three figures of memory:
 *	peak resident	ru_maxrss of wait4(); it counts the pages of the shared
 *			segment and of LMDB's map that the child touched
 *	peak private	Private_* of its smaps_rollup, looked at every 20 ms;
 *			while it is the only process, pages of the segment and
 *			of LMDB that it touched are among them
 *	peak allocated	Anonymous there: what the import itself needs
 */
#include "bench_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_memory.h"

enum { SAMPLE_MS = 20 };

/* COPPICE, or coppice in the folder above this program's. */
void bench_import_find(struct importer *importer)
{
	const char *given = getenv("COPPICE");
	ssize_t size;
	int level;

	if (given != NULL && *given != '\0') {
		snprintf(importer->command, sizeof importer->command, "%s",
			 given);
		return;
	}
	size = readlink("/proc/self/exe", importer->command,
			sizeof importer->command - 16);
	if (size <= 0)
		bench_fail("/proc/self/exe cannot be read");
	importer->command[size] = '\0';
	for (level = 0; level < 2; level++)
		*strrchr(importer->command, '/') = '\0';
	strcat(importer->command, "/coppice");
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void await(int pid, const char *what, struct outcome *outcome)
{
	struct rusage usage;
	int status;
	uint64_t start_ns = bench_now_ns();
	uint64_t most = 0;
	uint64_t most_own = 0;

	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		uint64_t bytes = bench_private_bytes(pid);
		uint64_t own = bench_anonymous_bytes(pid);

		most = bytes > most ? bytes : most;
		most_own = own > most_own ? own : most_own;
		nanosleep(&(struct timespec){.tv_nsec = SAMPLE_MS * 1000000L},
			  NULL);
	}
	if (status != 0)
		bench_fail("%s failed: status 0x%x", what, (unsigned)status);
	outcome->seconds = bench_seconds_since(start_ns);
	outcome->cpu_seconds =
	    seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
	outcome->resident_mb = (double)usage.ru_maxrss / 1e3;
	outcome->private_mb = (double)most / 1e6;
	outcome->allocated_mb = (double)most_own / 1e6;
}

struct outcome bench_import_run(const struct importer *importer,
				char *const arguments[])
{
	struct outcome outcome;
	int pid = bench_fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		execv(importer->command, arguments);
		fprintf(stderr, "%s: %s\n", importer->command, strerror(errno));
		_exit(127);
	}
	await(pid, arguments[1], &outcome);
	return outcome;
}

void bench_import_add(struct bench *bench, const char *subject, double records,
		      const struct outcome *outcome)
{
	bench_add(bench, subject, "coppice import", "wall time",
		  outcome->seconds, "s");
	bench_add(bench, subject, "coppice import", "processor time",
		  outcome->cpu_seconds, "s");
	bench_add(bench, subject, "coppice import", "records a second",
		  records / outcome->seconds, "1/s");
	bench_add(bench, subject, "coppice import", "peak allocated memory",
		  outcome->allocated_mb, "MB");
	bench_add(bench, subject, "coppice import", "peak private memory",
		  outcome->private_mb, "MB");
	bench_add(bench, subject, "coppice import", "peak resident memory",
		  outcome->resident_mb, "MB");
}
