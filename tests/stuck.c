/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that died or stand still at an awkward place hold nobody up.
 *
 * idea
 *	LMDB's commit is a write of its meta page, then a word in lock.mdb
 *	that tells readers of it.  pwrite() is this program's own, so that a
 *	process dies between the two.
 */
#include "fixture.h"
#include "lock.h"
#include "point.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { META_BYTES = 512 }; /* LMDB writes less than this of a meta page */

static int dies_after_meta;

/* LMDB's pwrite, whose offsets are of 64 bits under either name. */
ssize_t told_pwrite(int fd, const void *data, size_t size,
		    off_t at) __asm__("pwrite")
    __attribute__((visibility("default")));

ssize_t told_pwrite(int fd, const void *data, size_t size, off_t at)
{
	ssize_t done = syscall(SYS_pwrite64, fd, data, size, at);

	if (dies_after_meta && size < META_BYTES)
		raise(SIGKILL);
	return done;
}

/* In a child: a commit that LMDB has and nobody was told of. */
static int untold_commit(const struct fixture *f)
{
	struct fixture own = *f;
	cop_write *write;

	alarm(30);
	fixture_open(&own);
	write = write_of(&own);
	put_simple(write, "untold", NULL, NULL, 0);
	dies_after_meta = 1;
	(void)!cop_commit(write, NULL);
	return 0;
}

static int opens_and_writes(const struct fixture *f)
{
	struct fixture own = *f;
	cop_read *read;
	cop_write *write;
	int there;

	alarm(30); /* it may wait for ever */
	fixture_open(&own);
	write = write_of(&own);
	put_simple(write, "after", NULL, NULL, 0);
	commit_of(write);
	read = read_of(&own);
	there = lookup(read, "untold") && lookup(read, "after");
	cop_read_end(read);
	there &= !findings_of(own.store);
	fixture_close(&own);
	return !there;
}

static int in_child(int (*body)(const struct fixture *),
		    const struct fixture *f)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(body(f));
	return child_wait(pid);
}

static void a_death_before_readers_were_told_holds_no_open_up(void)
{
	struct fixture f;

	fixture_init(&f, 0, 0); /* attached: LMDB does not start afresh */
	is_int(in_child(untold_commit, &f), 128 + SIGKILL,
	       "a writer dies between its commit and telling readers");
	is_int(in_child(opens_and_writes, &f), 0,
	       "the next one opens, and what was committed is there");
	fixture_release(&f);
}

static void a_peer_that_stands_still_is_busy(void)
{
	struct cop_open_options patience = {.size = sizeof patience,
					    .timeout_ms = 50};
	struct fixture f;
	cop_read *reads[2] = {NULL, NULL};
	cop_write *write;
	char path[128];
	int fd;

	fixture_init(&f, 0, 0);
	fixture_close(&f);
	must(cop_open(f.path, &patience, &f.store), "open");
	reads[0] = read_of(&f);
	write = write_of(&f);
	put_simple(write, "a", NULL, NULL, 0);
	snprintf(path, sizeof path, "%s/lock", f.path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ok(fd >= 0 && !lock_take(fd, LOCK_R, LOCK_EXCLUSIVE, 0),
	   "somebody holds the lock of LMDB's readers");
	is_int(cop_read_begin(f.store, &reads[1]), COP_BUSY,
	       "a read that needs it is told that it is busy");
	is_int(cop_commit(write, NULL), COP_BUSY, "a commit, too");
	close(fd);
	is_int(cop_commit(write, NULL), 0, "and takes place afterwards");
	cop_abort(write);
	cop_read_end(reads[0]);
	fixture_release(&f);
}

/* ---- a switch of generations that was cut off ---------------------------- */

static void die_at_switch(const char *name)
{
	if (!strcmp(name, "switch-named"))
		raise(SIGKILL);
}

/* In a child: the data file names its successor, CURRENT does not yet. */
static int switch_cut_off(const struct fixture *f)
{
	struct fixture own = *f;

	fixture_open(&own);
	point_hook = die_at_switch;
	(void)!cop_compact(own.store, NULL, NULL);
	return 0;
}

static int opens_and_finds(const struct fixture *f)
{
	struct fixture own = *f;
	cop_read *read;
	int there;

	alarm(30);
	if (cop_open(own.path, NULL, &own.store)) {
		diag("open: %s", cop_last_error());
		return 2;
	}
	read = read_of(&own);
	there = lookup(read, "a") != 0;
	cop_read_end(read);
	fixture_close(&own);
	return !there;
}

static void switch_half_made(struct fixture *f)
{
	cop_write *write;

	fixture_init(f, 0, 0);
	write = write_of(f);
	put_simple(write, "a", NULL, NULL, 0);
	commit_of(write);
	fixture_close(f);
	is_int(in_child(switch_cut_off, f), 128 + SIGKILL,
	       "a process dies in a switch");
}

static mode_t mode_of(const struct fixture *f, const char *name)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", f->path, name);
	return stat(path, &st) ? 0 : st.st_mode & 0777;
}

static void a_switch_that_was_cut_off_is_finished_by_who_opens(void)
{
	struct fixture f;

	switch_half_made(&f);
	is_int(in_child(opens_and_finds, &f), 0, "the next one finishes it");
	is_int(mode_of(&f, "CURRENT"), 0600, "CURRENT has the store's mode");
	is_int(mode_of(&f, "gen-000002"), 0700, "its folder can be entered");
	is_int(mode_of(&f, "gen-000001"), 0, "and the old one is gone");
	fixture_release(&f);
}

/* While one waits to finish a switch, others finish it and make another. */
static void a_switch_is_not_finished_twice(void)
{
	static const struct timespec pause = {0, 300000000};
	struct fixture f;
	char command[600];
	pid_t late;
	int fd;

	switch_half_made(&f);
	snprintf(command, sizeof command, "%s/lock", f.path);
	fd = open(command, O_RDWR | O_CLOEXEC);
	ok(fd >= 0 && !lock_take(fd, LOCK_W, LOCK_EXCLUSIVE, 0),
	   "the writer lock is held");
	fflush(stdout);
	late = fork();
	if (!late) {
		close(fd);
		_exit(opens_and_finds(&f));
	}
	nanosleep(&pause, NULL); /* it waits by now, or comes later */
	snprintf(command, sizeof command,
		 "cd %s && rm -r gen-000001 && mv gen-000002 gen-000003 && "
		 "printf 'coppice 4\ngen-000003\n' >CURRENT",
		 f.path);
	is_int(system(command), 0, "two switches take place meanwhile");
	close(fd);
	is_int(child_wait(late), 0, "who was late opens the newest one");
	is_int(mode_of(&f, "gen-000003"), 0700, "which is there");
	fixture_release(&f);
}

/* ---- an outcome that is asked for after a switch ------------------------- */

static struct {
	_Atomic int leads; /* the leader has the writer lock, and gathers */
	_Atomic int given_up;
	_Atomic int is_over;
} * shared;

static void wait_for(const _Atomic int *flag)
{
	while (!*flag)
		sched_yield();
}

static void slow_leader(const char *name)
{
	if (!strcmp(name, "settled"))
		shared->leads = 1;
	if (!strcmp(name, "commit-before"))
		wait_for(&shared->given_up);
}

/* Replaces the data file, commits for two, and keeps the writer lock. */
static int leads_and_compacts(const struct fixture *f)
{
	struct cop_commit_options gather = {.size = sizeof gather,
					    .gather_us = 1000000};
	struct fixture own = *f;
	cop_write *write;
	char path[128];
	int fd;

	alarm(60);
	fixture_open(&own);
	must(cop_compact(own.store, NULL, NULL), "compact");
	write = write_of(&own);
	put_simple(write, "own", NULL, NULL, 0);
	point_hook = slow_leader;
	must(cop_commit_with(write, &gather, NULL), "commit");
	point_hook = NULL;
	cop_abort(write);
	snprintf(path, sizeof path, "%s/lock", f->path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || lock_take(fd, LOCK_W, LOCK_EXCLUSIVE, LOCK_FOREVER))
		return 1;
	shared->is_over = 1;
	pause();
	return 0;
}

static void an_outcome_is_told_after_a_switch(void)
{
	struct cop_commit_options hurry = {.size = sizeof hurry,
					   .timeout_ms = 3000};
	struct cop_result result = {.size = sizeof result};
	struct fixture f;
	cop_write *write;
	int32_t happened = -1;
	pid_t leader;
	cop_err err;

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	put_simple(write, "posted", NULL, NULL, 0);
	fflush(stdout);
	leader = fork();
	if (!leader)
		_exit(leads_and_compacts(&f));
	wait_for(&shared->leads);
	err = cop_commit_with(write, &hurry, &result);
	shared->given_up = 1;
	wait_for(&shared->is_over);
	cop_abort(write);
	if (err != COP_UNKNOWN) { /* it came too late to be gathered */
		skip("the commit's outcome is known: %d", err);
	} else {
		must(cop_outcome(f.store, &result.ticket, &happened, NULL),
		     "outcome");
		is_int(happened, 1,
		       "a write that another process executed is known to have "
		       "happened, in whichever data file that is");
	}
	kill(leader, SIGKILL);
	child_wait(leader);
	fixture_release(&f);
}

int main(void)
{
	test_begin(100);
	a_death_before_readers_were_told_holds_no_open_up();
	a_peer_that_stands_still_is_busy();
	a_switch_that_was_cut_off_is_finished_by_who_opens();
	a_switch_is_not_finished_twice();
	an_outcome_is_told_after_a_switch();
	return done_testing();
}
