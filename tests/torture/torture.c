/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torture: processes work on one store, and are killed.
 *
 * idea
 *	Rounds of a second or two.  In each, writers, readers, processes that
 *	fork and PID namespaces work on the store (work.h) while this process,
 *	which never opens it, kills, stops and continues them at random
 *	instants, and starts what is missing again: sometimes one of them,
 *	sometimes one after another as fast as they come, so that recoveries
 *	and attaches are hit, sometimes all at once.  Then all are killed, or
 *	asked to end; nobody may be left; and a fresh process verifies
 *	(verify.h) against what the oracle knows (oracle.h).
 *
 * who is killed
 *	All processes of the storm are of one process group, so that all can
 *	be killed at once, whatever they fork meanwhile.  A victim is drawn
 *	from the list in the oracle; a pid from that list is trusted only
 *	while a pidfd of it is open and it is of that group.  Orphans come to
 *	this process (PR_SET_CHILD_SUBREAPER).
 *
 * usage
 *	torture [--seconds N] [--folder FOLDER]
 *	COPPICE_TEST_SEED repeats a run's choices; the instants are the
 *	scheduler's.
 */
#include "oracle.h"
#include "../tap.h"
#include "verify.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	CAST = 8, /* processes that are started again */
	STOPPED_MAX = 8,
	STOP_MS = 300,	  /* longest */
	END_SECONDS = 60, /* to end in good order, or to verify */
	MS = 1000000
};

static const enum role cast_roles[CAST] = {
    ROLE_WRITER, ROLE_WRITER, ROLE_WRITER, ROLE_WRITER,
    ROLE_READER, ROLE_READER, ROLE_FORKER, ROLE_NAMESPACE};

/* A process that is stopped, until an instant. */
struct stopped {
	int pidfd;
	uint64_t until;
};

static struct {
	uint64_t seed;
	uint64_t ends;
	char folder[192];
	pid_t anchor;	  /* leads the process group, and does nothing */
	pid_t cast[CAST]; /* 0: is to be started, at the instant */
	uint64_t starts[CAST];
	struct stopped stopped[STOPPED_MAX];
	uint64_t pause; /* mean, between deeds */
	uint64_t hunt;	/* until when the newest are killed at once */
} boss;

static void nap(uint64_t ns)
{
	struct timespec time = {(time_t)(ns / 1000000000),
				(long)(ns % 1000000000)};

	nanosleep(&time, NULL);
}

/* ---- starting and ending ------------------------------------------------ */

/* Somebody does not end, whatever he waits for. */
static void on_alarm(int signal)
{
	static const char words[] = "a process of the round hung: it did not "
				    "end when it was asked to";
	uint32_t none = 0;

	(void)signal;
	if (atomic_compare_exchange_strong(&oracle->failed, &none,
					   FAILED_WRITTEN))
		memcpy(oracle->failure, words, sizeof words);
	kill(-boss.anchor, SIGKILL);
}

/* Of this program: an interrupt takes all others with it. */
static void on_end(int signal)
{
	if (boss.anchor > 0)
		kill(-boss.anchor, SIGKILL);
	_exit(128 + signal);
}

static void anchor_start(void)
{
	boss.anchor = fork();
	if (!boss.anchor) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		setpgid(0, 0);
		for (;;)
			pause();
	}
	if (boss.anchor < 0)
		bail_out("fork: %s", strerror(errno));
	setpgid(boss.anchor, boss.anchor);
	oracle->process_group = boss.anchor;
}

static void cast_start(int i)
{
	pid_t pid = fork();

	if (!pid) {
		setpgid(0, boss.anchor);
		work_run(cast_roles[i]);
	}
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	setpgid(pid, boss.anchor);
	boss.cast[i] = pid;
}

static int status_is_good(int status)
{
	return WIFEXITED(status) ? !WEXITSTATUS(status)
				 : WTERMSIG(status) == SIGKILL;
}

/* Keeps the failure of one that could not tell of it. */
static void status_fail(pid_t pid, int status)
{
	uint32_t none = 0;

	if (!atomic_compare_exchange_strong(&oracle->failed, &none,
					    FAILED_WRITTEN))
		return;
	snprintf(oracle->failure, sizeof oracle->failure,
		 WIFEXITED(status) ? "process %d ended with status %d"
				   : "process %d was ended by signal %d",
		 pid,
		 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void ended(pid_t pid, int status)
{
	if (!status_is_good(status))
		status_fail(pid, status);
	for (int i = 0; i < CAST; i++)
		if (boss.cast[i] == pid) {
			boss.cast[i] = 0;
			boss.starts[i] =
			    oracle_now() +
			    (oracle_now() < boss.hunt
				 ? 0
				 : test_below(&boss.seed, 20 * MS));
		}
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid != boss.anchor)
			ended(pid, status);
}

static void reap_all(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
		if (pid > 0 && pid != boss.anchor)
			ended(pid, status);
	for (int i = 0; i < STOPPED_MAX; i++) {
		if (boss.stopped[i].pidfd >= 0)
			close(boss.stopped[i].pidfd);
		boss.stopped[i].pidfd = -1;
	}
	for (int i = 0; i < PROCESS_MAX; i++)
		atomic_store(&oracle->processes[i], 0);
}

static void kill_all(void)
{
	kill(-boss.anchor, SIGKILL);
	reap_all();
}

/* All end in good order, as soon as they see that they should. */
static void end_all(void)
{
	atomic_store(&oracle->stop, 1);
	kill(-boss.anchor, SIGCONT);
	kill(boss.anchor, SIGKILL);
	reap_all();
}

/* ---- victims ------------------------------------------------------------ */

/* A pidfd of process i of the list, -1 if it is none of the storm's. */
static int victim_open(uint32_t i)
{
	int32_t pid = atomic_load(&oracle->processes[i]);
	int fd;

	if (!pid)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0 && getpgid(pid) == boss.anchor &&
	    !syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0))
		return fd;
	if (fd >= 0)
		close(fd);
	atomic_compare_exchange_strong(&oracle->processes[i], &pid, 0);
	return -1;
}

static int victim_any(void)
{
	uint32_t first = (uint32_t)test_below(&boss.seed, PROCESS_MAX);

	for (uint32_t i = 0; i < PROCESS_MAX; i++) {
		int fd = victim_open((first + i) % PROCESS_MAX);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static void victim_signal(int fd, int signal)
{
	(void)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}

static void kill_one(void)
{
	int fd = victim_any();

	if (fd < 0)
		return;
	victim_signal(fd, SIGKILL);
	close(fd);
	oracle_count(COUNT_KILLS);
}

static void stop_one(void)
{
	int fd = victim_any();

	for (int i = 0; i < STOPPED_MAX && fd >= 0; i++) {
		if (boss.stopped[i].pidfd >= 0)
			continue;
		victim_signal(fd, SIGSTOP);
		boss.stopped[i] = (struct stopped){
		    fd, oracle_now() + test_below(&boss.seed, STOP_MS) * MS};
		oracle_count(COUNT_STOPS);
		return;
	}
	if (fd >= 0)
		close(fd);
}

static void continue_due(void)
{
	for (int i = 0; i < STOPPED_MAX; i++) {
		struct stopped *stopped = &boss.stopped[i];

		if (stopped->pidfd < 0 || oracle_now() < stopped->until)
			continue;
		victim_signal(stopped->pidfd, SIGCONT);
		close(stopped->pidfd);
		stopped->pidfd = -1;
	}
}

/* ---- a round ------------------------------------------------------------ */

static void deed(void)
{
	uint64_t dice = test_below(&boss.seed, 100);

	if (dice < 60) {
		kill_one();
	} else if (dice < 85) {
		stop_one();
	} else if (dice < 93) {
		for (uint64_t n = test_below(&boss.seed, CAST); n; n--)
			kill_one();
	} else if (dice < 98) {
		boss.hunt = oracle_now() + test_below(&boss.seed, 150) * MS;
	} else {
		kill_all();
		anchor_start();
		oracle_count(COUNT_KILL_ALLS);
		boss.hunt = oracle_now();
	}
}

static void storm(uint64_t until)
{
	uint64_t next = oracle_now();

	while (oracle_now() < until && !oracle_has_failed()) {
		uint64_t now = oracle_now();

		reap();
		for (int i = 0; i < CAST; i++)
			if (!boss.cast[i] && boss.starts[i] <= now)
				cast_start(i);
		continue_due();
		if (now >= next) {
			deed();
			next = now + test_below(&boss.seed, 2 * boss.pause);
		}
		if (now < boss.hunt)
			kill_one();
		nap(test_below(&boss.seed, 2 * MS));
	}
}

/* Runs a step in a process of its own, which is to end well. */
static void step(void (*body)(void *), void *user)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		alarm(END_SECONDS);
		body(user);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		status_fail(pid, status);
}

struct verification {
	enum verify_end end;
	uint64_t seed;
};

static void step_create(void *user)
{
	(void)user;
	verify_create();
}

static void step_verify(void *user)
{
	const struct verification *verification = user;

	verify_store(verification->end, verification->seed);
}

static void step_detach(void *user)
{
	(void)user;
	verify_detached();
}

static void round_run(void)
{
	static const uint64_t pauses[] = {3, 10, 40, 150};
	struct verification verification = {
	    (enum verify_end)test_below(&boss.seed, VERIFY_ENDS),
	    test_random(&boss.seed)};
	uint64_t until =
	    oracle_now() + (500 + test_below(&boss.seed, 1500)) * MS;

	boss.pause = pauses[test_below(&boss.seed, 4)] * MS;
	boss.hunt = 0;
	atomic_store(&oracle->stop, 0);
	anchor_start();
	for (int i = 0; i < CAST; i++) {
		boss.cast[i] = 0;
		boss.starts[i] = 0;
	}
	storm(until < boss.ends ? until : boss.ends);
	alarm(END_SECONDS);
	if (test_below(&boss.seed, 2))
		end_all();
	else
		kill_all();
	alarm(0);
	boss.anchor = 0;
	if (oracle_has_failed())
		return;
	atomic_store(&oracle->stop, 0);
	step(step_verify, &verification);
	oracle_count(COUNT_ROUNDS);
}

/* ---- the program -------------------------------------------------------- */

static void counts_tell(void)
{
	static const char *const words[COUNT_MAX] = {
	    [COUNT_ROUNDS] = "rounds",
	    [COUNT_STARTS] = "processes started",
	    [COUNT_KILLS] = "killed",
	    [COUNT_KILL_ALLS] = "times all killed",
	    [COUNT_POINT_KILLS] = "killed inside a protocol",
	    [COUNT_STOPS] = "stopped",
	    [COUNT_FORKS] = "forked from a store",
	    [COUNT_EXECS] = "of them execed",
	    [COUNT_NAMESPACES] = "PID namespaces",
	    [COUNT_COMMITS] = "commits",
	    [COUNT_BUSY] = "busy",
	    [COUNT_CONFLICTS] = "conflicts",
	    [COUNT_UNKNOWN] = "of unknown outcome",
	    [COUNT_OUTCOMES] = "of them told when asked",
	    [COUNT_SWAPS] = "registers swapped",
	    [COUNT_TRANSFERS] = "transfers",
	    [COUNT_LOST] = "changes cut off, not done",
	    [COUNT_LOST_DONE] = "changes cut off, done",
	    [COUNT_READS] = "snapshots looked at",
	    [COUNT_PAST] = "moments of the past looked at",
	    [COUNT_RECOVERIES] = "recoveries",
	    [COUNT_BUILDS] = "segments built",
	    [COUNT_COMPACTIONS] = "data files built anew",
	    [COUNT_IMAGES] = "images of the segment written",
	    [COUNT_DETACHES] = "segments removed",
	    [COUNT_JUDGED] = "operations judged linearizable",
	    [COUNT_TIRED] = "histories too long to judge"};

	for (int i = 0; i < COUNT_MAX; i++)
		diag("%8" PRIu64 " %s", oracle_counted((enum count)i),
		     words[i]);
}

static int entry_remove(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void arguments(int count, char **words, uint64_t *seconds)
{
	const char *temporary = getenv("TMPDIR");

	*seconds = 20;
	snprintf(boss.folder, sizeof boss.folder, "%.150s",
		 temporary ? temporary : "/tmp");
	for (int i = 1; i + 1 < count; i += 2) {
		if (!strcmp(words[i], "--seconds"))
			*seconds = strtoull(words[i + 1], NULL, 10);
		else if (!strcmp(words[i], "--folder"))
			snprintf(boss.folder, sizeof boss.folder, "%.150s",
				 words[i + 1]);
		else
			count = 0;
	}
	if (count % 2 != 1) {
		fputs("usage: torture [--seconds N] [--folder FOLDER]\n",
		      stderr);
		exit(2);
	}
	strcat(boss.folder, "/coppice-torture-XXXXXX");
	if (!mkdtemp(boss.folder))
		bail_out("mkdtemp: %s", strerror(errno));
}

static int verdict(void)
{
	counts_tell();
	if (!oracle_has_failed()) {
		nftw(boss.folder, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
		diag("nothing was lost, nothing was seen that was not so");
		return 0;
	}
	diag("FAILED with COPPICE_TEST_SEED=%" PRIu64 " after %" PRIu64
	     " rounds",
	     oracle->seed, oracle_counted(COUNT_ROUNDS));
	if (atomic_load(&oracle->failed) == FAILED_WRITTEN)
		diag("%s", oracle->failure);
	else
		diag("the process that failed was killed before it said why");
	diag("the store is kept: %s", oracle->path);
	diag("remove it: coppice detach %s; rm -r %s", oracle->path,
	     boss.folder);
	return 1;
}

int main(int count, char **words)
{
	uint64_t seconds;

	if (count == 4 && !strcmp(words[1], "--join")) {
		oracle_attach((int)strtol(words[2], NULL, 10));
		work_run((enum role)(words[3][0] - '0'));
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	arguments(count, words, &seconds);
	boss.seed = test_seed();
	fflush(stdout);
	oracle_create(boss.seed, boss.folder);
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGALRM, on_alarm);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	for (int i = 0; i < STOPPED_MAX; i++)
		boss.stopped[i].pidfd = -1;
	step(step_create, NULL);
	boss.ends = oracle_now() + seconds * 1000 * MS;
	while (oracle_now() < boss.ends && !oracle_has_failed())
		round_run();
	if (!oracle_has_failed())
		step(step_detach, NULL);
	return verdict();
}
