/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: waits for a child of a test, and tells what one is at that hangs.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

/* A file of /proc about a thread, each line a diagnostic. */
static inline void thread_tell(const char *folder, const char *thread,
			       const char *name)
{
	char path[400];
	char line[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s/%s", folder, thread, name);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		diag("%s %s: %s", thread, name, line);
	}
	if (file)
		fclose(file);
}

/* What the threads of a process wait for, and which signals they let in. */
static inline void process_tell(pid_t pid)
{
	static const char *const names[] = {"wchan", "syscall", "stack",
					    "status"};
	char folder[64];
	struct dirent *entry;
	DIR *threads;

	snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
	threads = opendir(folder);
	while (threads && (entry = readdir(threads)))
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (entry->d_name[0] != '.')
				thread_tell(folder, entry->d_name, names[i]);
	if (threads)
		closedir(threads);
}

enum { CHILD_PATIENCE = 310 }; /* seconds, beyond the alarm of any child */

/*
 * Waits for a child; its exit status, or 128 plus its signal.  One that does
 * not end is told about and killed, so that a hang can be explained.
 */
static inline int child_wait(pid_t pid)
{
	struct pollfd ends = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	int status = 0;

	if (ends.fd >= 0 && !poll(&ends, 1, CHILD_PATIENCE * 1000)) {
		diag("process %d does not end", (int)pid);
		process_tell(pid);
		kill(pid, SIGKILL);
	}
	if (ends.fd >= 0)
		close(ends.fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
