/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for commits: whoever waits is told of each, by whichever process,
 * through deaths, compaction and a segment that is built anew; and while there
 * are none it sleeps.
 *
 * idea
 *	Writers and watchers are processes.  A writer notes each commit that was
 *	acknowledged in shared memory; a watcher notes each that it was told
 *	of.  Then the lists are compared.
 */
#include "fixture.h"
#include "point.h"

#include <sys/mman.h>
#include <time.h>

enum { WRITERS = 8, WATCHERS = 4, COMMITS = 4096, EACH = 120 };

static struct shared {
	_Atomic uint32_t acknowledged[COMMITS];
	_Atomic uint64_t seen[WATCHERS][COMMITS]; /* what it saw n-th */
	_Atomic uint32_t seen_count[WATCHERS];
	_Atomic uint32_t owner[WATCHERS][COMMITS]; /* entities of a commit */
	_Atomic uint64_t over;			   /* the last commit, if so */
	_Atomic uint32_t ready;
} * shared;

static void nap(void)
{
	usleep(500);
}

static uint64_t put_one(struct fixture *f, const char *key)
{
	cop_write *write = write_of(f);

	put_simple(write, key, "t", NULL, 0);
	return commit_of(write);
}

/* ---- watchers ----------------------------------------------------------- */

static int32_t count_one(void *user, cop_read *read, uint64_t id)
{
	(void)read;
	(void)id;
	++*(uint32_t *)user;
	return 0;
}

static void watcher_note(cop_read *read, uint32_t watcher, uint64_t commit)
{
	uint32_t count = 0;

	must(cop_touched(read, commit, NULL, count_one, &count), "touched");
	shared->owner[watcher][commit] = count;
	shared->seen[watcher][shared->seen_count[watcher]++] = commit;
}

static void watcher_run(struct fixture *f, uint32_t watcher)
{
	uint64_t told = 0;
	uint64_t newest = 0;

	fixture_open(f);
	shared->ready++;
	while (!shared->over || told < shared->over) {
		cop_read *read;

		must(cop_wait(f->store, told, 500, &newest), "wait");
		read = read_of(f);
		while (told < newest)
			watcher_note(read, watcher, ++told);
		cop_read_end(read);
	}
	fixture_close(f);
	_exit(0);
}

static void writer_run(struct fixture *f, uint32_t writer)
{
	char key[32];

	fixture_open(f);
	for (uint32_t i = 0; i < EACH; i++) {
		snprintf(key, sizeof key, "w%u-%u", writer, i);
		shared->acknowledged[put_one(f, key)]++;
	}
	fixture_close(f);
	_exit(0);
}

static pid_t start(struct fixture *f, void (*run)(struct fixture *, uint32_t),
		   uint32_t number)
{
	pid_t pid = fork();

	if (!pid)
		run(f, number);
	return pid;
}

static void kill_now(pid_t pid)
{
	kill(pid, SIGKILL);
	child_wait(pid);
}

static void lists_compare(uint64_t newest)
{
	uint32_t missing = 0, disordered = 0, empty = 0;

	for (uint32_t w = 0; w < WATCHERS - 1; w++) {
		disordered += shared->seen_count[w] != newest;
		for (uint64_t i = 0; i < newest; i++)
			disordered += shared->seen[w][i] != i + 1;
		for (uint64_t i = 1; i <= newest; i++) {
			missing +=
			    shared->acknowledged[i] && !shared->owner[w][i];
			empty += !shared->owner[w][i];
		}
	}
	is_int(disordered, 0,
	       "every watcher is told of each of %u commits once, in order",
	       (unsigned)newest);
	is_int(missing, 0, "of every one that was acknowledged");
	is_int(empty, 0, "and whom it touched");
}

/* ---- tests -------------------------------------------------------------- */

static void every_watcher_sees_every_commit_in_order(void)
{
	struct fixture f;
	pid_t writers[WRITERS];
	pid_t watchers[WATCHERS];
	uint64_t newest;

	memset(shared, 0, sizeof *shared);
	fixture_folder(&f);
	must(cop_create(f.path, NULL), "create");
	for (uint32_t i = 0; i < WATCHERS; i++)
		watchers[i] = start(&f, watcher_run, i);
	while (shared->ready < WATCHERS)
		nap();
	for (uint32_t i = 0; i < WRITERS; i++)
		writers[i] = start(&f, writer_run, i);
	fixture_open(&f);
	while (shared->seen_count[0] < 100)
		nap();
	kill_now(watchers[WATCHERS - 1]);
	for (uint32_t i = 0; i < 3; i++) {
		kill_now(writers[i]);
		usleep(20000);
	}
	must(cop_compact(f.store, NULL, NULL), "compact");
	for (uint32_t i = 3; i < WRITERS; i++)
		is_int(child_wait(writers[i]), 0, "a writer is done");
	newest = put_one(&f, "last");
	shared->over = newest;
	for (uint32_t i = 0; i < WATCHERS - 1; i++)
		is_int(child_wait(watchers[i]), 0, "a watcher is done");
	lists_compare(newest);
	is_u64(findings_of(f.store), 0, "the store is whole");
	fixture_release(&f);
}

/* Voluntary context switches of this process. */
static uint64_t switches_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long count = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1)
			break;
	if (file)
		fclose(file);
	return count;
}

/* Ticks of processor time. */
static uint64_t ticks_of(pid_t pid)
{
	char path[64];
	unsigned long user = 0, kernel = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file ||
	    fscanf(file,
		   "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
		   "%*u %lu %lu",
		   &user, &kernel) != 2)
		user = UINT32_MAX;
	if (file)
		fclose(file);
	return user + kernel;
}

static void who_waits_sleeps(void)
{
	struct fixture f;
	uint64_t before, ticks;
	pid_t watcher;

	memset(shared, 0, sizeof *shared);
	fixture_folder(&f);
	must(cop_create(f.path, NULL), "create");
	fixture_open(&f);
	put_one(&f, "first");
	watcher = start(&f, watcher_run, 0);
	while (shared->seen_count[0] < 1)
		nap();
	usleep(100000);
	before = switches_of(watcher);
	ticks = ticks_of(watcher);
	sleep(2);
	ok(switches_of(watcher) - before <= 12 && before,
	   "who waits two seconds goes to sleep a few times (%u)",
	   (unsigned)(switches_of(watcher) - before));
	ok(ticks_of(watcher) - ticks <= 1, "and computes nothing");
	shared->over = put_one(&f, "last");
	is_int(child_wait(watcher), 0, "it wakes at another process's commit");
	is_int(shared->seen_count[0], 2, "and is told of it once");
	fixture_release(&f);
}

static const char *die_at;

static void die_there(const char *name)
{
	if (!strcmp(name, die_at))
		raise(SIGKILL);
}

/* A writer that dies after its commit, before it says so. */
static void a_dead_writers_commit_is_told(const char *where)
{
	struct fixture f;
	uint64_t newest = 0;
	pid_t pid;

	fixture_folder(&f);
	must(cop_create(f.path, NULL), "create");
	fixture_open(&f);
	pid = fork();
	if (!pid) {
		die_at = where;
		point_hook = die_there;
		put_one(&f, "dead");
		_exit(1);
	}
	must(cop_wait(f.store, 0, UINT32_MAX, &newest), "wait");
	is_u64(newest, 1, "the commit of who died at %s is told", where);
	is_int(child_wait(pid), 128 + SIGKILL, "he was killed");
	must(cop_wait(f.store, 1, 50, &newest), "wait");
	is_u64(newest, 1, "without another one the time-out is no error");
	fixture_release(&f);
}

static void handle(int number)
{
	(void)number;
}

static void a_signal_ends_a_wait(void)
{
	struct sigaction action = {.sa_handler = handle};
	struct fixture f;
	uint64_t newest = 77;
	pid_t parent = getpid();
	pid_t pid;

	fixture_folder(&f);
	must(cop_create(f.path, NULL), "create");
	fixture_open(&f);
	sigaction(SIGUSR1, &action, NULL);
	pid = fork();
	if (!pid) {
		for (;;) {
			nap();
			kill(parent, SIGUSR1);
		}
	}
	is_int(cop_wait(f.store, 0, UINT32_MAX, &newest), EINTR,
	       "a signal ends a wait");
	kill_now(pid);
	is_u64(newest, 77, "and leaves the output alone");
	is_int(cop_wait(f.store, 0, 0, NULL), COP_INVALID, "no output");
	is_int(cop_wait(f.store, 0, 0, &newest), 0, "no time: a look");
	is_u64(newest, 0, "at an empty store");
	fixture_release(&f);
}

static void touched_is_refused_what_is_not_there(void)
{
	struct cop_commit_info info = {.size = 1};
	struct fixture f;
	uint32_t count = 0;
	cop_read *read;

	fixture_folder(&f);
	must(cop_create(f.path, NULL), "create");
	fixture_open(&f);
	put_one(&f, "a");
	read = read_of(&f);
	is_int(cop_touched(read, 0, NULL, count_one, &count), COP_INVALID,
	       "no commit 0");
	is_int(cop_touched(read, 2, NULL, count_one, &count), COP_INVALID,
	       "none that is to come");
	is_int(cop_touched(read, 1, &info, count_one, &count), COP_INVALID,
	       "no figures of another size");
	info.size = sizeof info;
	is_int(cop_touched(read, 1, &info, count_one, &count), 0, "commit 1");
	ok(count == 1 && info.commit == 1 && info.entities == 1,
	   "touched one entity");
	cop_read_end(read);
	fixture_release(&f);
}

int main(void)
{
	test_begin(300);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail_out("mmap");
	every_watcher_sees_every_commit_in_order();
	who_waits_sleeps();
	a_dead_writers_commit_is_told("commit-after");
	a_dead_writers_commit_is_told("group-unlocked");
	a_signal_ends_a_wait();
	touched_is_refused_what_is_not_there();
	return done_testing();
}
