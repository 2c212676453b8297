/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: who is reading, how long a slot is waited for, and what becomes of
 * writers when a reader stands still.
 */
#include "fixture.h"
#include "lock.h"
#include "store.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>

enum { DIM = 64, PATIENCE_S = 60, MANY = COP_THREAD_MAX + 44 };

static struct {
	_Atomic int ready;
	_Atomic int go;
} * shared;

static void wait_for(_Atomic int *word, int count)
{
	while (*word < count)
		sched_yield();
}

static cop_err put_one(cop_store *store, const char *key, int number)
{
	float vector[DIM] = {(float)number, 1};
	struct cop_put put = {
	    .size = sizeof put, .key = key, .key_size = (uint32_t)strlen(key)};
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (cop_dim(store)) {
		put.vector = vector;
		put.dim = DIM;
	}
	if (!err)
		err = cop_put(write, &put);
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static cop_err delete_one(cop_store *store, const char *key)
{
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (!err)
		err = cop_delete(write, key, strlen(key));
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static void store_make(struct fixture *f, uint32_t dim)
{
	shared->ready = 0;
	shared->go = 0;
	fixture_init(f, dim, COP_L2);
	must(put_one(f->store, "first", 0), "put");
}

/* ---- a reader that is a process ----------------------------------------- */

/* Refreshes its read whenever `go` grows. */
static int read_and_wait(const struct fixture *f, const char *name)
{
	struct cop_open_options options = {.size = sizeof options,
					   .name = name};
	cop_store *store;
	cop_read *read;
	uint64_t id;

	alarm(PATIENCE_S);
	cop_close(f->store);
	if (cop_open(f->path, &options, &store) || cop_read_begin(store, &read))
		return 1;
	for (int round = 1;; round++) {
		shared->ready = round;
		wait_for(&shared->go, round);
		if (cop_lookup(read, "first", 5, &id) || !id ||
		    cop_read_refresh(read))
			return 2;
	}
}

static pid_t reader_start(const struct fixture *f, const char *name)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid)
		_exit(read_and_wait(f, name));
	wait_for(&shared->ready, 1);
	return pid;
}

static void reader_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	child_wait(pid);
}

/* ---- listing ------------------------------------------------------------ */

struct listed {
	uint32_t pid; /* looked for */
	uint32_t found;
	uint32_t count;
	struct cop_reader reader;
	char name[64];
};

static int32_t list_one(void *user, const struct cop_reader *reader)
{
	struct listed *listed = user;

	listed->count++;
	if (reader->pid != listed->pid)
		return 0;
	listed->found++;
	listed->reader = *reader;
	snprintf(listed->name, sizeof listed->name, "%s", reader->name);
	return 0;
}

static struct listed listed_of(cop_store *store, uint32_t pid)
{
	struct listed listed = {.pid = pid};

	must(cop_readers(store, list_one, &listed), "readers");
	return listed;
}

static int32_t stop_at_once(void *user, const struct cop_reader *reader)
{
	(void)reader;
	++*(int *)user;
	return 1;
}

static void a_reader_says_who_it_is(void)
{
	struct cop_stats stats = {.size = sizeof stats};
	struct fixture f;
	struct listed l;
	cop_read *read;
	int visits = 0;
	pid_t pid;

	store_make(&f, DIM);
	is_u64(listed_of(f.store, 0).count, 0,
	       "nobody reads but the one who asks, who is left out");
	pid = reader_start(&f, "worker-7 of the pool with a name too long");
	l = listed_of(f.store, (uint32_t)pid);
	is_u64(l.found, 1, "a reader is listed");
	is_str(l.name, "worker-7 of the pool with a nam",
	       "by the name it gave, cut to 31 bytes");
	ok(l.reader.tid == (uint32_t)pid && l.reader.role == COP_ROLE_READ &&
	       l.reader.state == COP_READER_OPEN && !l.reader.is_foreign,
	   "with its thread, as an open read");
	ok(l.reader.commit == 1 && !l.reader.behind && !l.reader.age_ns,
	   "at the newest commit");
	for (int i = 0; i < 5; i++)
		must(put_one(f.store, "more", i), "put");
	l = listed_of(f.store, (uint32_t)pid);
	ok(l.reader.commit == 1 && l.reader.behind == 5 && l.reader.age_ns,
	   "which grows old");
	setenv("COPPICE_STALL_SECONDS", "0", 1);
	l = listed_of(f.store, (uint32_t)pid);
	is_int(l.reader.state, COP_READER_STALLED,
	       "and stalled, after a time that can be set");
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	ok(stats.oldest_snapshot == 1 && stats.stalled == 1 &&
	       stats.readers == 2 && stats.held_bytes,
	   "the figures say so, too");
	cop_read_end(read);
	unsetenv("COPPICE_STALL_SECONDS");
	shared->go = 1;
	wait_for(&shared->ready, 2);
	l = listed_of(f.store, (uint32_t)pid);
	ok(l.reader.commit == 6 && !l.reader.behind && l.reader.reads >= 2,
	   "refreshed, it is young again, and has read more");
	is_int(cop_readers(f.store, stop_at_once, &visits), COP_STOPPED,
	       "a callback may stop the list");
	reader_kill(pid);
	l = listed_of(f.store, (uint32_t)pid);
	is_int(l.reader.state, COP_READER_DEAD, "killed, it is listed as dead");
	must(put_one(f.store, "more", 9), "put");
	must(put_one(f.store, "more", 10), "put");
	is_u64(listed_of(f.store, (uint32_t)pid).found, 0,
	       "until a commit that it would hold back clears it");
	fixture_release(&f);
}

static void a_name_of_rubbish_is_cleaned(void)
{
	struct fixture f;
	struct listed l;
	cop_read *read;
	int wrong = 0;

	store_make(&f, 0);
	read = read_of(&f);
	for (size_t i = 0; i < SLOT_NAME_BYTES / 8; i++)
		f.store->slots.table[read->slot].name[i] =
		    UINT64_C(0xff0a1b097f80c361);
	f.store->slots.table[read->slot].role = 12345;
	l = listed_of(f.store, (uint32_t)getpid());
	is_u64(l.found, 1, "a slot with rubbish in it is listed");
	for (const char *c = l.name; *c; c++)
		wrong += (unsigned char)*c < ' ' || *c == 127;
	is_int(wrong, 0, "without control characters");
	is_u64(text_valid_bytes(l.name, strlen(l.name)), strlen(l.name),
	       "as UTF-8");
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- slots -------------------------------------------------------------- */

/* All slots that are free, taken by another attachment. */
static uint32_t slots_fill(const struct fixture *f, struct slots *other)
{
	char path[300];
	uint32_t index;
	uint32_t last = SLOT_NONE;
	int fd;

	snprintf(path, sizeof path, "%s/control", f->store->shm_path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || slots_attach(other, fd))
		bail_out("%s", path);
	while (!slot_take(other, &index))
		last = index;
	return last;
}

static void *begin_one(void *user)
{
	cop_store *store = user;
	cop_read *read = NULL;
	cop_err err;

	shared->ready = 1;
	err = cop_read_begin(store, &read);
	cop_read_end(read);
	return err ? user : NULL;
}

/* A thread that waits for a slot, had when `give` was done. */
static void a_waiter_gets(struct fixture *f, struct slots *other, uint32_t give,
			  cop_read *end, const char *claim)
{
	pthread_t thread;
	void *failed = NULL;

	shared->ready = 0;
	if (pthread_create(&thread, NULL, begin_one, f->store))
		bail_out("no thread");
	wait_for(&shared->ready, 1);
	usleep(30000);
	if (end)
		cop_read_end(end);
	else
		slot_give(other, give);
	pthread_join(thread, &failed);
	ok(!failed, "%s", claim);
}

static void a_slot_is_waited_for_and_no_longer_than_told(void)
{
	struct cop_open_options options = {.size = sizeof options,
					   .timeout_ms = 100};
	static struct slots other;
	struct fixture f;
	cop_read *read;
	cop_read *none = NULL;
	uint32_t last;

	store_make(&f, 0);
	fixture_close(&f);
	must(cop_open(f.path, &options, &f.store), "open");
	read = read_of(&f);
	last = slots_fill(&f, &other);
	is_int(cop_read_begin(f.store, &none), COP_BUSY,
	       "all slots are taken: busy, when the timeout is over");
	ok(strstr(cop_last_error(), "16384"), "it says how many there are");
	ok(!put_one(f.store, "more", 1), "who has none may write");
	f.store->timeout_ms = 20000;
	a_waiter_gets(&f, &other, last, NULL,
		      "a slot given back by another process is had");
	read_pool_clear(f.store);
	must(slot_take(&other, &last), "take");
	a_waiter_gets(&f, &other, 0, read,
		      "a read ended by another thread is had");
	slots_detach(&other);
	fixture_release(&f);
}

static void a_process_keeps_no_more_slots_than_it_may(void)
{
	static cop_read *reads[MANY];
	struct fixture f;
	struct listed l;

	store_make(&f, 0);
	for (int i = 0; i < MANY; i++)
		reads[i] = read_of(&f);
	l = listed_of(f.store, (uint32_t)getpid());
	is_u64(l.found, MANY, "%d reads are open", MANY);
	for (int i = 0; i < MANY; i++)
		cop_read_end(reads[i]);
	l = listed_of(f.store, (uint32_t)getpid());
	is_u64(l.found, COP_THREAD_MAX - 1,
	       "ended, some slots are kept at hand");
	is_int(l.reader.state, COP_READER_IDLE, "as idle ones");
	fixture_release(&f);
}

static void *begin_and_end(void *user)
{
	cop_store *store = user;

	for (int i = 0; i < 200; i++) {
		cop_read *read;

		if (cop_read_begin(store, &read))
			return user;
		sched_yield();
		cop_read_end(read);
	}
	return NULL;
}

static void many_threads_share_slots(void)
{
	enum { THREADS = 24 };
	pthread_t threads[THREADS];
	struct fixture f;
	int bad = 0;

	store_make(&f, 0);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, begin_and_end, f.store))
			bail_out("no thread");
	for (int i = 0; i < 50; i++)
		must(put_one(f.store, "more", i), "put");
	for (int i = 0; i < THREADS; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		bad += failed != NULL;
	}
	is_int(bad, 0, "%d threads begin and end reads while one writes",
	       THREADS);
	ok(listed_of(f.store, (uint32_t)getpid()).found <= THREADS,
	   "with no more slots than threads");
	is_u64(slot_oldest(&f.store->slots, 999), 999, "none is held");
	fixture_release(&f);
}

/* ---- stalled readers ---------------------------------------------------- */

/* In one commit, as its rows are to be held back before its pages are. */
static cop_err put_rows(cop_store *store, int number)
{
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	for (int i = 0; i < 1000 && !err; i++) {
		float vector[DIM] = {(float)number, 1, (float)i};
		char key[16];
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .vector = vector,
				      .dim = DIM};

		put.key_size = (uint32_t)snprintf(key, sizeof key, "r%d", i);
		err = cop_put(write, &put);
	}
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

/* Commits until one is refused; how many were not. */
static int commits_until_stalled(struct fixture *f, cop_err *err)
{
	int done = 0;

	do
		*err = done && cop_dim(f->store)
			   ? put_rows(f->store, done)
			   : put_one(f->store, "again", done);
	while (!*err && ++done < 5000);
	return done;
}

static void a_stalled_reader_stops_writers_by_name(uint32_t dim,
						   const char *what)
{
	char pid_text[32];
	struct fixture f;
	uint64_t before;
	cop_read *read;
	cop_err err;
	pid_t pid;
	int status;
	int done;

	setenv("COPPICE_STALL_BYTES", "200K", 1);
	store_make(&f, dim);
	pid = reader_start(&f, "sleeper");
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	done = commits_until_stalled(&f, &err);
	is_int(err, COP_STALLED, "%s: a commit is refused, after %d", what,
	       done);
	diag("%s", cop_last_error());
	snprintf(pid_text, sizeof pid_text, "sleeper (pid %d)", (int)pid);
	ok(strstr(cop_last_error(), pid_text), "%s: it says for whom", what);
	ok(strstr(cop_last_error(), what), "and what is held back");
	is_int(delete_one(f.store, "again"), COP_STALLED, "so is a delete");
	read = read_of(&f);
	before = cop_read_commit(read);
	ok(before == (uint64_t)done + 1 && lookup(read, "again"),
	   "reads go on, and nothing of it took place");
	cop_read_end(read);
	kill(pid, SIGCONT);
	shared->go = 1;
	wait_for(&shared->ready, 2);
	is_int(put_one(f.store, "again", 1), 0,
	       "the reader goes on: so do "
	       "commits");
	is_int(delete_one(f.store, "again"), 0, "and deletes");
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	(void)commits_until_stalled(&f, &err);
	is_int(err, COP_STALLED, "it is stopped once more");
	reader_kill(pid);
	is_int(put_one(f.store, "again", 1), 0, "and killed: commits go on");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	unsetenv("COPPICE_STALL_BYTES");
	fixture_release(&f);
}

static void a_process_is_in_its_own_way_too(void)
{
	struct fixture f;
	cop_read *read;
	cop_err err;

	setenv("COPPICE_STALL_BYTES", "100K", 1);
	store_make(&f, DIM);
	read = read_of(&f);
	(void)commits_until_stalled(&f, &err);
	is_int(err, COP_STALLED, "a read of the writer's own");
	must(cop_read_refresh(read), "refresh");
	is_int(put_one(f.store, "again", 1), 0,
	       "refreshed, it is no hindrance");
	cop_read_end(read);
	unsetenv("COPPICE_STALL_BYTES");
	fixture_release(&f);
}

static void a_slow_reader_is_no_stalled_one(void)
{
	struct fixture f;
	cop_read *read;
	int failed = 0;

	store_make(&f, DIM);
	read = read_of(&f);
	for (int i = 0; i < 300; i++)
		failed += put_one(f.store, "again", i) != 0;
	is_int(failed, 0, "300 commits beside an old read are no trouble");
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- the writer --------------------------------------------------------- */

static int write_and_stop(const struct fixture *f)
{
	struct cop_open_options options = {.size = sizeof options,
					   .name = "slow writer"};
	cop_store *store;

	alarm(PATIENCE_S);
	cop_close(f->store);
	if (cop_open(f->path, &options, &store) ||
	    writer_lock(store, LOCK_FOREVER))
		return 1;
	shared->ready = 1;
	wait_for(&shared->go, 1);
	writer_unlock(store);
	cop_close(store);
	return 0;
}

static void a_writer_that_stands_still_is_named(void)
{
	struct cop_open_options options = {.size = sizeof options,
					   .timeout_ms = 50};
	char pid_text[48];
	struct fixture f;
	struct listed l;
	pid_t pid;

	store_make(&f, 0);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(write_and_stop(&f));
	wait_for(&shared->ready, 1);
	fixture_close(&f);
	must(cop_open(f.path, &options, &f.store), "open");
	is_int(put_one(f.store, "more", 1), COP_BUSY,
	       "a commit does not wait longer than told");
	snprintf(pid_text, sizeof pid_text, "slow writer (pid %d)", (int)pid);
	ok(strstr(cop_last_error(), pid_text), "and says for whom it waited");
	l = listed_of(f.store, (uint32_t)pid);
	ok(l.found == 1 && l.reader.role == COP_ROLE_WRITE,
	   "who is listed as the writer");
	shared->go = 1;
	is_int(child_wait(pid), 0, "it goes on");
	is_int(put_one(f.store, "more", 1), 0, "and so do others");
	is_u64(listed_of(f.store, (uint32_t)pid).found, 0,
	       "who writes no more is not listed");
	fixture_release(&f);
}

int main(void)
{
	test_begin(240);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	a_reader_says_who_it_is();
	a_name_of_rubbish_is_cleaned();
	a_slot_is_waited_for_and_no_longer_than_told();
	a_process_keeps_no_more_slots_than_it_may();
	many_threads_share_slots();
	a_stalled_reader_stops_writers_by_name(DIM, "shared memory");
	a_stalled_reader_stops_writers_by_name(0, "the data file");
	a_process_is_in_its_own_way_too();
	a_slow_reader_is_no_stalled_one();
	a_writer_that_stands_still_is_named();
	return done_testing();
}
