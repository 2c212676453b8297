/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data file is replaced while processes read and write.
 *
 * The segment stays as it is over a switch, so the check, which compares it
 * with the data file, tells whether the copy is the same as what was copied; a
 * digest of all records, vectors and edges tells the rest.
 */
#include "digest.h"
#include "lock.h"
#include "point.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

enum { DIM = 4, KEYS = 400 };

/* ---- what a store holds, as a number ------------------------------------ */

static int32_t entity_member(void *user, uint32_t thread, cop_read *read,
			     const struct cop_entity *entity)
{
	uint64_t *digest = user;

	(void)thread;
	(void)read;
	*digest = *digest * 31 + entity->id;
	return 0;
}

static uint64_t digest_of(cop_read *read)
{
	uint64_t digest = cop_read_commit(read) + digest_all(read, DIM);

	must(cop_scan(read, "even", NULL, 1, entity_member, &digest), "scan");
	must(cop_scan(read, NULL, "three", 1, entity_member, &digest), "scan");
	return digest;
}

static uint64_t digest_now(const struct fixture *f)
{
	cop_read *read = read_of((struct fixture *)(uintptr_t)f);
	uint64_t digest = digest_of(read);

	cop_read_end(read);
	return digest;
}

/* ---- a store with something of everything ------------------------------- */

static void number_put(cop_write *write, int i, int round)
{
	const char *tags[2] = {"three", "all"};
	float vector[DIM] = {(float)i, (float)round, 1, 2};
	char key[24];
	struct cop_property property = {
	    "n", 1, {.kind = COP_INT, .integer = round}};
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .properties = &property,
			      .property_count = 1,
			      .tags = i % 3 ? tags + 1 : tags,
			      .tag_count = i % 3 ? 1 : 2,
			      .type = (i + round) % 2 ? "odd" : "even",
			      .vector = i % 5 ? vector : NULL,
			      .dim = DIM,
			      .vector_change = COP_VECTOR_DROP};

	snprintf(key, sizeof key, "number-%d", i);
	put.key_size = (uint32_t)strlen(key);
	put.type_size = strlen(put.type);
	must(cop_put(write, &put), "put");
}

static void numbers_link(cop_write *write, int from, int to, int step)
{
	for (int i = from; i < to; i++) {
		char a[24];
		char b[24];

		snprintf(a, sizeof a, "number-%d", i);
		snprintf(b, sizeof b, "number-%d",
			 from + (i - from + step) % (to - from));
		must(link_simple(write, a, "next", b), "link");
	}
}

static void store_fill(struct fixture *f)
{
	cop_write *write = write_of(f);

	for (int i = 0; i < KEYS; i++)
		number_put(write, i, 0);
	must(cop_commit(write, NULL), "commit");
	numbers_link(write, 0, KEYS, 1);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

/* Something of everything changes. */
static void store_change(cop_store *store, int round)
{
	cop_write *write;
	char key[24];
	int at = round * 20;

	must(cop_write_begin(store, &write), "write");
	for (int i = at; i < at + 10; i++)
		number_put(write, i, round + 1);
	for (int i = at + 10; i < at + 15; i++) {
		snprintf(key, sizeof key, "number-%d", i);
		must(cop_delete(write, key, strlen(key)), "delete");
	}
	for (int i = 0; i < 10; i++)
		number_put(write, KEYS + round * 10 + i, round);
	must(cop_commit(write, NULL), "commit");
	numbers_link(write, at, at + 10, 3);
	must(cop_delete_edge(write, "number-399", 10, "next", 4, "number-0", 8),
	     "unlink");
	snprintf(key, sizeof key, "number-%d", KEYS + round * 10);
	must(cop_delete(write, key, strlen(key)), "delete"); /* new, and gone */
	number_put(write, at + 11, round + 7); /* gone, and back */
	put_simple(write, "a type of its own", round % 2 ? "t1" : "t2", NULL,
		   0);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static int generation_there(const struct fixture *f, int number)
{
	char path[4200];
	struct stat st;

	snprintf(path, sizeof path, "%s/gen-%06d/data.mdb", f->path, number);
	return !stat(path, &st);
}

/* ---- claims ------------------------------------------------------------- */

static uint64_t image_commit(struct fixture *f)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read = read_of(f);

	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	return stats.image_commit;
}

/* Takes an image; its commit. */
static uint64_t image_take(struct fixture *f)
{
	struct cop_checkpoint_result result = {.size = sizeof result};

	must(cop_checkpoint(f->store, &result), "checkpoint");
	return result.commit;
}

/* 1 if the segment's newest image is of that commit, and has a file. */
static int image_there(struct fixture *f, uint64_t commit)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read = read_of(f);

	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	return stats.image_commit == commit && stats.image_bytes;
}

static void a_copy_is_the_same_and_smaller(struct fixture *f)
{
	uint64_t image;
	struct cop_compact_result result = {.size = sizeof result};
	uint64_t before;
	cop_read *old;

	for (int round = 0; round < 8; round++)
		store_change(f->store, round);
	before = digest_now(f);
	must(cop_checkpoint(f->store, NULL), "checkpoint");
	image = image_commit(f);
	old = read_of(f);
	is_int(cop_compact(f->store, NULL, &result), 0, "a store is compacted");
	ok(result.bytes_after < result.bytes_before, "it is smaller");
	is_u64(result.generation, 2, "its generation is the second");
	ok(generation_there(f, 2) && !generation_there(f, 1),
	   "whose folder is there alone");
	is_u64(digest_now(f), before, "it holds the same");
	ok(image && image_commit(f) == image,
	   "and the image of its segment came along");
	is_u64(findings_of(f->store), 0, "the check finds nothing");
	store_change(f->store, 9);
	is_u64(digest_of(old), before,
	       "a read begun before the switch sees what it saw");
	ok(digest_now(f) != before, "a new one what was committed since");
	must(cop_read_refresh(old), "refresh");
	is_u64(digest_of(old), digest_now(f), "refreshed, the old one too");
	cop_read_end(old);
	fixture_close(f);
	fixture_open(f);
	is_u64(findings_of(f->store), 0, "opened again, the check is content");
	(void)!cop_detach(f->path);
}

static cop_store *hook_store;
static int hook_round;

static void change_after_copy(const char *name)
{
	int from = hook_round;

	if (strcmp(name, "switch-copied") && strcmp(name, "renew-built"))
		return;
	for (hook_round += 3; from < hook_round; from++)
		store_change(hook_store, from);
}

static void what_is_committed_meanwhile_comes_along(struct fixture *f)
{
	struct cop_compact_result result = {.size = sizeof result};
	cop_err err;

	hook_store = f->store;

	point_hook = change_after_copy;
	err = cop_compact(f->store, NULL, &result);
	point_hook = NULL;
	is_int(err, 0, "a store that changes is compacted");
	is_int(hook_round, 6, "it changed after each of the two copies");
	is_u64(findings_of(f->store), 0,
	       "what changed meanwhile is in them: the check is content");
	fixture_close(f);
	(void)!cop_detach(f->path);
	fixture_open(f);
	is_u64(findings_of(f->store), 0, "with a segment built from it, too");
}

static void files_belong_to_whom_they_did(void)
{
	static const char *const files[] = {"gen-000002", "gen-000002/data.mdb",
					    "gen-000002/lock.mdb", "CURRENT"};
	struct cop_options options = {
	    .size = sizeof options, .mode = 0660, .group = 1 + 4};
	enum { owner = 65534 };
	char lock[4300];
	struct fixture f;
	int right = 0;

	fixture_folder(&f);
	if (cop_create(f.path, &options)) { /* may not give files away */
		options.group = 0;
		must(cop_create(f.path, &options), "create");
	}
	snprintf(lock, sizeof lock, "%s/lock", f.path);
	if (!geteuid() && chown(lock, owner, (gid_t)-1))
		bail_out("cannot give the store away");
	fixture_open(&f);
	must(cop_compact(f.store, NULL, NULL), "compact");
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[4300];
		struct stat st;

		snprintf(path, sizeof path, "%s/%s", f.path, files[i]);
		right += !stat(path, &st) &&
			 (st.st_mode & 0777) == (i ? 0660u : 0770u) &&
			 (geteuid() || st.st_uid == owner) &&
			 (!options.group || st.st_gid == options.group - 1);
	}
	is_int(right, sizeof files / sizeof *files,
	       "mode, owner and group of the next generation are the store's");
	fixture_release(&f);
}

static void checkpoint_after_copy(const char *name)
{
	if (strcmp(name, "switch-copied") && strcmp(name, "renew-built"))
		return;
	for (int i = 0; i < 4; i++) {
		store_change(hook_store, hook_round++ % 12);
		must(cop_checkpoint(hook_store, NULL), "checkpoint");
	}
	for (int i = 0; i < 10; i++)
		store_change(hook_store, hook_round++ % 12);
	is_int(cop_compact(hook_store, NULL, NULL), COP_BUSY,
	       "one compaction at a time, in one process, too");
}

/* Images taken meanwhile would have the records trimmed that it needs. */
static void records_are_kept_for_a_compaction(struct fixture *f)
{
	struct cop_compact_result result = {.size = sizeof result};
	cop_err err;

	hook_store = f->store;
	point_hook = checkpoint_after_copy;
	err = cop_compact(f->store, NULL, &result);
	point_hook = NULL;
	is_int(err, 0, "images are taken while a store is compacted");
	is_u64(result.renewed, 1, "and its segment renewed");
	is_u64(findings_of(f->store), 0, "the check is content");
}

/* ---- other processes ---------------------------------------------------- */

static struct {
	_Atomic uint32_t stop;
	_Atomic uint64_t acknowledged[4];
	_Atomic uint64_t moved;
} * shared;

static int writer(const struct fixture *f, int index)
{
	cop_store *store;
	cop_write *write;
	uint64_t number = 0;

	alarm(100);
	must(cop_open(f->path, NULL, &store), "open");
	must(cop_write_begin(store, &write), "write");
	while (!shared->stop) {
		char key[40];

		snprintf(key, sizeof key, "w%d-%llu", index,
			 (unsigned long long)number);
		put_simple(write, key, "written", NULL, 0);
		must(cop_commit(write, NULL), "commit");
		shared->acknowledged[index] = ++number;
	}
	cop_abort(write);
	cop_close(store);
	return 0;
}

static int reader(const struct fixture *f)
{
	cop_store *store;
	cop_read *read;
	uint64_t last = 0;

	alarm(100);
	must(cop_open(f->path, NULL, &store), "open");
	must(cop_read_begin(store, &read), "read");
	while (!shared->stop) {
		struct cop_entity entity;
		uint64_t newest = shared->acknowledged[0];
		char key[40];

		must(cop_read_refresh(read), "refresh");
		if (cop_read_commit(read) < last)
			return 1;
		last = cop_read_commit(read);
		if (!newest)
			continue;
		snprintf(key, sizeof key, "w0-%llu",
			 (unsigned long long)newest - 1);
		must(cop_get(read, key, strlen(key), &entity), "get");
		if (!entity.id)
			return 2;
	}
	cop_read_end(read);
	cop_close(store);
	return 0;
}

static void processes_go_over_without_noticing(struct fixture *f)
{
	enum { WRITERS = 2, READERS = 2, SWITCHES = 5 };
	pid_t pids[WRITERS + READERS];
	int right = 0;
	uint64_t lost = 0;
	cop_read *read;

	memset(shared, 0, sizeof *shared);
	fflush(stdout);
	for (int i = 0; i < WRITERS + READERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(i < WRITERS ? writer(f, i) : reader(f));
	}
	for (int i = 0; i < SWITCHES; i++) {
		uint64_t at = shared->acknowledged[0];

		while (shared->acknowledged[0] < at + 20)
			usleep(1000);
		must(cop_compact(f->store, NULL, NULL), "compact");
	}
	usleep(50000);
	shared->stop = 1;
	for (int i = 0; i < WRITERS + READERS; i++)
		right += child_wait(pids[i]) == 0;
	is_int(right, WRITERS + READERS,
	       "writers and readers go on over five switches");
	read = read_of(f);
	for (int i = 0; i < WRITERS; i++)
		for (uint64_t n = 0; n < shared->acknowledged[i]; n++) {
			char key[40];

			snprintf(key, sizeof key, "w%d-%llu", i,
				 (unsigned long long)n);
			lost += !lookup(read, key);
		}
	cop_read_end(read);
	is_u64(lost, 0, "and nothing that was acknowledged is lost");
	is_u64(findings_of(f->store), 0, "the check finds nothing");
}

/* ---- deaths ------------------------------------------------------------- */

static int points_left;

static void die_at_point(const char *name)
{
	if (strncmp(name, "switch-", 7) && strncmp(name, "current-", 8) &&
	    strncmp(name, "renew-", 6) && strncmp(name, "index-", 6))
		return;
	if (!points_left--)
		kill(getpid(), SIGKILL);
}

static int compact_and_die(const struct fixture *f, int n)
{
	cop_store *store;

	alarm(60);
	must(cop_open(f->path, NULL, &store), "open");
	points_left = n;
	point_hook = die_at_point;
	must(cop_compact(store, NULL, NULL), "compact");
	return 0;
}

/* attached: the survivors stay attached; else the store is opened anew */
static void deaths_leave_one_generation(struct fixture *f, int attached)
{
	int status;
	int deaths = 0;
	int findings = 0;
	int different = 0;
	int folders = 0;
	int images = 0;

	for (int n = 0;; n++) {
		uint64_t before = digest_now(f);
		uint64_t image = image_take(f);
		pid_t pid;
		cop_write *write;

		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(compact_and_die(f, n));
		if (!attached) {
			fixture_close(f);
			status = child_wait(pid);
			(void)!cop_detach(f->path);
			fixture_open(f);
		} else {
			status = child_wait(pid);
		}
		different += digest_now(f) != before;
		images += !attached && !image_there(f, image);
		write = write_of(f);
		put_simple(write, "after a death", NULL, NULL, 0);
		must(cop_commit(write, NULL), "commit after a death");
		cop_abort(write);
		findings += findings_of(f->store) != 0;
		must(cop_compact(f->store, NULL, NULL), "compact");
		images += !image_there(f, image);
		different += digest_now(f) == before;
		for (int i = 1, there = 0; i < 200; i++)
			folders += generation_there(f, i) && there++;
		if (status == 0)
			break;
		deaths++;
	}
	ok(deaths >= 11, "killed at each of %d points of a switch", deaths);
	is_int(different, 0, "the store holds what it held, and goes on%s",
	       attached ? " in who is attached" : " in who opens it");
	is_int(findings, 0, "the check finds nothing");
	is_int(folders, 0, "and no folder is left over");
	is_int(images, 0, "the image comes along%s",
	       attached ? "" : ", and is loaded");
}

static const char *die_name;

static void die_by_name(const char *name)
{
	if (!strcmp(name, die_name))
		kill(getpid(), SIGKILL);
}

/* Another process compacts, and is killed at a point, if it gets there. */
static int compact_elsewhere(const struct fixture *f, const char *name)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		cop_store *store;

		alarm(60);
		must(cop_open(f->path, NULL, &store), "open");
		die_name = name;
		point_hook = die_by_name;
		must(cop_compact(store, NULL, NULL), "compact");
		_exit(0);
	}
	return child_wait(pid);
}

/* Another process opens the store and closes it. */
static int open_elsewhere(const struct fixture *f)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		cop_store *store;

		alarm(60);
		must(cop_open(f->path, NULL, &store), "open");
		cop_close(store);
		_exit(0);
	}
	return child_wait(pid);
}

/* A process is killed that has named a successor, and done no more. */
static void successor_leave(const struct fixture *f)
{
	is_int(compact_elsewhere(f, "switch-named"), 128 + SIGKILL,
	       "a process has named a successor, and is killed");
}

/* Has the writer lock for a while; the pipe says when. */
static void writer_lock_hold(const struct fixture *f, int say)
{
	char path[4200];
	int fd;

	alarm(60);
	snprintf(path, sizeof path, "%s/lock", f->path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (lock_take(fd, LOCK_W, LOCK_EXCLUSIVE, 10000) ||
	    write(say, "", 1) != 1)
		_exit(1);
	usleep(300000);
	_exit(0);
}

static void what_was_named_is_not_built_over(struct fixture *f)
{
	uint64_t before = digest_now(f);
	int pipes[2];
	char byte;
	pid_t pid;

	successor_leave(f);
	if (pipe(pipes))
		bail_out("no pipe");
	fflush(stdout);
	pid = fork();
	if (!pid)
		writer_lock_hold(f, pipes[1]);
	if (read(pipes[0], &byte, 1) != 1)
		bail_out("no writer lock");
	is_int(cop_compact(f->store, NULL, NULL), 0,
	       "another compacts, while somebody has the writer lock");
	child_wait(pid);
	close(pipes[0]);
	close(pipes[1]);
	fixture_close(f);
	fixture_open(f);
	is_u64(digest_now(f), before, "the store holds what it held");
	is_u64(findings_of(f->store), 0, "the check finds nothing");
}

/* ---- two who make a store in one folder ---------------------------------- */

static char made_path[4200];

/* Another makes it meanwhile, and puts something. */
static void make_meanwhile(const char *name)
{
	struct fixture f = {0};
	cop_write *write;

	if (strcmp(name, "create-folder") != 0)
		return;
	point_hook = NULL;
	must(cop_create(made_path, NULL), "create");
	must(cop_open(made_path, NULL, &f.store), "open");
	write = write_of(&f);
	put_simple(write, "mine", NULL, NULL, 0);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	cop_close(f.store);
}

static void who_makes_a_store_late_removes_none(struct fixture *f)
{
	struct fixture made = {0};
	uint64_t id = 0;
	cop_read *read;

	snprintf(made_path, sizeof made_path, "%s-made", f->path);
	point_hook = make_meanwhile;
	is_int(cop_create(made_path, NULL), COP_EXISTS,
	       "who makes a store where another does is told so");
	point_hook = NULL;
	is_int(cop_open(made_path, NULL, &made.store), 0,
	       "the other's is there");
	read = read_of(&made);
	ok(!cop_lookup(read, "mine", 4, &id) && id, "with what he put");
	cop_read_end(read);
	cop_close(made.store);
	(void)!cop_detach(made_path);
	nftw(made_path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- what LMDB does not show yet ---------------------------------------- */

/*
 * LMDB's lock file: a header, the readers' mutex, the newest number; on a line
 * of the cache of its own the writers' mutex.
 */
enum {
	LINE = 64,
	NEWEST_AT = 8 + sizeof(pthread_mutex_t),
	WRITERS_AT = (NEWEST_AT + 12 + LINE - 1) / LINE * LINE
};

static void lock_file_of(char path[4200], const struct fixture *f)
{
	int number = 1;

	while (number < 200 && !generation_there(f, number))
		number++;
	snprintf(path, 4200, "%s/gen-%06d/lock.mdb", f->path, number);
}

/*
 * As if who wrote last had died before LMDB showed it: the number is one less,
 * and he had the mutex.  A child, since who closes that file gives up LMDB's
 * locks in it.
 */
static int newest_hide(const struct fixture *f)
{
	char path[4200];
	char *file;
	pid_t pid = fork();

	if (pid)
		return child_wait(pid);
	lock_file_of(path, f);
	file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		    open(path, O_RDWR | O_CLOEXEC), 0);
	if (file == MAP_FAILED ||
	    pthread_mutex_lock((pthread_mutex_t *)(void *)(file + WRITERS_AT)))
		_exit(1);
	--*(uint64_t *)(void *)(file + NEWEST_AT);
	_exit(0);
}

/* Killed between the page on disk that names it and the number in memory. */
static void what_is_named_unseen_stays(struct fixture *f)
{
	uint64_t before = digest_now(f);
	cop_write *write;

	successor_leave(f);
	is_int(newest_hide(f), 0, "LMDB does not show that yet");
	is_int(open_elsewhere(f), 0, "another process opens the store");
	is_u64(digest_now(f), before, "the store holds what it held");
	write = write_of(f);
	put_simple(write, "after what was unseen", NULL, NULL, 0);
	is_int(cop_commit(write, NULL), 0, "and is written to");
	cop_abort(write);
	is_u64(findings_of(f->store), 0, "the check finds nothing");
}

/* ---- a switch that fails in the middle ----------------------------------- */

static struct fixture *failing;

/* CURRENT cannot be put in place; who commits next does what is left. */
static void fail_when_named(const char *name)
{
	char path[4200];
	cop_write *write;

	if (!strcmp(name, "switch-named")) {
		snprintf(path, sizeof path, "%s/CURRENT.new", failing->path);
		unlink(path);
	}
	if (strcmp(name, "switch-unlocked") != 0)
		return;
	point_hook = NULL;
	write = write_of(failing);
	put_simple(write, "by who goes on", NULL, NULL, 0);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

/* Whether another process sees that this one has LMDB's lock file locked. */
static int lmdb_is_locked(const struct fixture *f)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[4200];
	pid_t pid;

	lock_file_of(path, f);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(fcntl(open(path, O_RDWR | O_CLOEXEC), F_GETLK, &lock) ||
		      lock.l_type == F_UNLCK);
	return !child_wait(pid);
}

static void who_fails_in_the_middle_leaves_the_rest(struct fixture *f)
{
	failing = f;
	point_hook = fail_when_named;
	ok(cop_compact(f->store, NULL, NULL) != 0, "a switch fails midway");
	point_hook = NULL;
	ok(lmdb_is_locked(f), "who goes on has LMDB's locks");
	is_u64(findings_of(f->store), 0, "the check finds nothing");
	fixture_close(f);
	fixture_open(f);
	is_u64(findings_of(f->store), 0, "nor when it is opened again");
}

/* ---- one who opens late ------------------------------------------------- */

static const char *late_at;
static int late_say;
static int late_wait;

static void wait_when_late(const char *name)
{
	char byte;

	if (strcmp(name, late_at) != 0)
		return;
	point_hook = NULL;
	if (write(late_say, "", 1) != 1 || read(late_wait, &byte, 1) != 1)
		_exit(1);
}

/* Opens the store, with a stop at a point, and puts a key if there is one. */
static int open_late(const struct fixture *f, const char *at, const char *key)
{
	struct fixture own = {0};
	cop_write *write;

	alarm(60);
	late_at = at;
	point_hook = wait_when_late;
	must(cop_open(f->path, NULL, &own.store), "open");
	if (key) {
		write = write_of(&own);
		put_simple(write, key, NULL, NULL, 0);
		must(cop_commit(write, NULL), "commit");
		cop_abort(write);
	}
	cop_close(own.store);
	return 0;
}

static void who_opens_late_finishes_nothing_old(struct fixture *f)
{
	uint64_t before = digest_now(f);
	int there[2];
	int back[2];
	char byte;
	pid_t pid;

	successor_leave(f);
	if (pipe(there) || pipe(back))
		bail_out("no pipe");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		late_say = there[1];
		late_wait = back[0];
		_exit(open_late(f, "successor-found", NULL));
	}
	if (read(there[0], &byte, 1) != 1)
		bail_out("nobody found the successor");
	must(cop_compact(f->store, NULL, NULL), "compact");
	if (write(back[1], "", 1) != 1)
		bail_out("nobody waits");
	is_int(child_wait(pid), 0,
	       "a process found a successor, and opens when there is another");
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	fixture_close(f);
	fixture_open(f);
	is_u64(digest_now(f), before, "the store holds what it held");
	is_u64(findings_of(f->store), 0, "the check finds nothing");
}

/* What the control segment said of a switch goes with it. */
static void a_switch_is_ended_without_the_control_segment(struct fixture *f)
{
	struct cop_description about = {.size = sizeof about};
	cop_read *now;
	uint64_t id = 0;
	int there[2];
	int back[2];
	char byte;
	pid_t pid;

	if (pipe(there) || pipe(back))
		bail_out("no pipe");
	fixture_close(f);
	must(cop_describe(f->path, &about), "describe");
	fixture_open(f);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		late_say = there[1];
		late_wait = back[0];
		_exit(open_late(f, "data-opened", "by who was late"));
	}
	if (read(there[0], &byte, 1) != 1)
		bail_out("nobody opens the store");
	successor_leave(f);
	fixture_close(f);
	nftw(about.segment, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	if (write(back[1], "", 1) != 1)
		bail_out("nobody waits");
	is_int(child_wait(pid), 0,
	       "who opened the old data file writes, and there is no shared "
	       "memory any more");
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	fixture_open(f);
	now = read_of(f);
	ok(!cop_lookup(now, "by who was late", 15, &id) && id,
	   "what was acknowledged is there");
	cop_read_end(now);
	is_u64(findings_of(f->store), 0, "the check finds nothing");
}

/* ---- one who was away --------------------------------------------------- */

static void who_is_two_switches_behind_finds_the_way(struct fixture *f)
{
	uint64_t before = digest_now(f);

	is_int(compact_elsewhere(f, "no such point"), 0,
	       "another process compacts");
	is_int(compact_elsewhere(f, "switch-current"), 128 + SIGKILL,
	       "a second is killed when CURRENT names its successor");
	is_int(open_elsewhere(f), 0, "a third opens the store and closes it");
	is_u64(digest_now(f), before, "who slept through both goes over");
	is_u64(findings_of(f->store), 0, "the check finds nothing");
}

int main(void)
{
	struct fixture f;

	alarm(200);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fixture_init(&f, DIM, COP_L2);
	store_fill(&f);
	a_copy_is_the_same_and_smaller(&f);
	what_is_committed_meanwhile_comes_along(&f);
	records_are_kept_for_a_compaction(&f);
	files_belong_to_whom_they_did();
	processes_go_over_without_noticing(&f);
	deaths_leave_one_generation(&f, 1);
	deaths_leave_one_generation(&f, 0);
	what_was_named_is_not_built_over(&f);
	what_is_named_unseen_stays(&f);
	who_fails_in_the_middle_leaves_the_rest(&f);
	who_opens_late_finishes_nothing_old(&f);
	a_switch_is_ended_without_the_control_segment(&f);
	who_is_two_switches_behind_finds_the_way(&f);
	who_makes_a_store_late_removes_none(&f);
	fixture_release(&f);
	return done_testing();
}
