/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers and the writer as unrelated programs.
 *
 * idea
 *	Each is this program executed anew with an argument that says what it
 *	is to be.  It inherits one descriptor, the board, and no state: it
 *	opens the store by its path as any other program does.
 *
 * crash
 *	A process that ends before it was dismissed, in whatever way, ends the
 *	demonstration with a line that names it.  They die with their parent
 *	(PR_SET_PDEATHSIG).
 */
#include "crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"
#include "worker.h"

enum { START_MS = 30000, SLACK_MS = 10000, STEP_MS = 20 };

static void crew_name(const struct crew *crew, uint32_t index, char out[32])
{
	if (index == crew->board->worker_count)
		snprintf(out, 32, "the writer");
	else
		snprintf(out, 32, "worker %u", index + 1);
}

/* In the child: becomes the program.  Nothing but system calls until then. */
static void become(const struct crew *crew, uint32_t index, pid_t parent)
{
	int is_writer = index == crew->board->worker_count;
	char fd[16];
	char number[16];

	snprintf(fd, sizeof fd, "%d", crew->board_fd);
	snprintf(number, sizeof number, "%u", index);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		execl("/proc/self/exe", "coppice-demo",
		      is_writer ? "writer" : "worker", fd, number, crew->path,
		      (char *)NULL);
	_exit(127);
}

static int crew_start(struct crew *crew)
{
	pid_t parent = getpid();
	uint32_t index;

	fflush(NULL);
	for (index = 0; index <= crew->board->worker_count; index++) {
		pid_t pid = fork();

		if (pid < 0)
			return complain("fork: %s", strerror(errno));
		if (pid == 0)
			become(crew, index, parent);
		crew->pid[index] = pid;
		crew->count = index + 1;
	}
	return 0;
}

static int crew_mourn(const struct crew *crew, uint32_t index, int status)
{
	char name[32];

	crew_name(crew, index, name);
	if (WIFSIGNALED(status))
		return complain("%s was killed by signal %d (%s)", name,
				WTERMSIG(status), strsignal(WTERMSIG(status)));
	return complain("%s ended with status %d", name, WEXITSTATUS(status));
}

/* Whether all are alive.  Returns 0, or -1 after saying who is not. */
static int crew_watch(struct crew *crew)
{
	uint32_t index;

	if (signals_caught())
		return complain("interrupted");
	for (index = 0; index < crew->count; index++) {
		int status;

		if (crew->pid[index] == 0 ||
		    waitpid(crew->pid[index], &status, WNOHANG) == 0)
			continue;
		crew->pid[index] = 0;
		return crew_mourn(crew, index, status);
	}
	return 0;
}

static void crew_progress(const struct crew *crew, uint64_t start_ns)
{
	uint32_t news = crew->board->news_count;
	uint32_t low = 0;
	uint32_t written = 0;
	double seconds = (double)(board_clock_ns() - start_ns) / 1e9;

	if (!isatty(STDERR_FILENO))
		return;
	for (low = 0; low < news; low++)
		written += board_commit_ns(crew->board, low) != 0;
	fprintf(stderr, "\r  %4.1f s  %3u of %u new entities committed ",
		seconds, written, news);
}

/* Waits until `count` has reached the size of the crew. */
static int crew_await(struct crew *crew, uint32_t (*count)(struct board *board),
		      uint32_t limit_ms, const char *what)
{
	uint64_t start_ns = board_clock_ns();

	while (count(crew->board) < crew->count) {
		if (crew_watch(crew) != 0)
			return -1;
		if (board_clock_ns() - start_ns > limit_ms * 1000000ULL)
			return complain("only %u of %u processes %s in %u s",
					count(crew->board), crew->count, what,
					limit_ms / 1000);
		if (count == board_done_count)
			crew_progress(crew, start_ns);
		nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L},
			  NULL);
	}
	return 0;
}

/* Waits for all that are left; killed first if something failed. */
static int crew_reap(struct crew *crew, int failed)
{
	int result = failed;
	uint32_t index;

	for (index = 0; index < crew->count; index++) {
		int status = 0;

		if (crew->pid[index] == 0)
			continue;
		if (failed)
			kill(crew->pid[index], SIGKILL);
		while (waitpid(crew->pid[index], &status, 0) < 0 &&
		       errno == EINTR)
			;
		crew->pid[index] = 0;
		if (!failed && status != 0)
			result = crew_mourn(crew, index, status);
	}
	return result;
}

static int crew_lead(struct crew *crew)
{
	if (crew_start(crew) != 0)
		return -1;
	if (crew_await(crew, board_ready_count, START_MS, "opened it") != 0)
		return -1;
	board_go(crew->board);
	if (crew_await(crew, board_done_count,
		       crew->board->run_ms + NEWS_GRACE_MS + SLACK_MS,
		       "were done") != 0)
		return -1;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%*s\r", 60, "");
	board_dismiss(crew->board);
	return 0;
}

int crew_run(struct crew *crew)
{
	return crew_reap(crew, crew_lead(crew));
}
