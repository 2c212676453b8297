/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork: a store that was opened before is used in the children, by them and
 * by their parent at once, whoever of them dies or closes first.
 *
 * A child's body makes no claims: it returns 0, or the line that failed.
 */
#include "fixture.h"
#include "lock.h"
#include "point.h"
#include "store.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The sanitizers' allocators of these days do not outlive such a fork. */
static int no_fork_beside_threads(void)
{
	if (TEST_SANITIZED)
		ok(1, "forks beside busy threads # SKIP under a sanitizer its "
		      "allocator may be locked in the child");
	return TEST_SANITIZED;
}

enum {
	DIM = 4,
	CHILDREN = TEST_SANITIZED ? 4 : 8,
	THREADS = 4,
	FORKS = 40,
	PATIENCE_S = 60
};

static struct {
	_Atomic int ready;
	_Atomic int go;
	_Atomic pid_t pid;
} * shared;

/* In a child: the line is its exit status, and told. */
#define need(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("# %s:%d: %s (%s)\n", __FILE__, __LINE__,       \
			       #condition, cop_last_error());                  \
			fflush(stdout);                                        \
			return 1;                                              \
		}                                                              \
	} while (0)

typedef int child_body(struct fixture *f, void *user);

static pid_t child_start(child_body *body, struct fixture *f, void *user)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (pid)
		return pid;
	point_hook = NULL;
	alarm(PATIENCE_S);
	_exit(body(f, user));
}

static int child_run(child_body *body, struct fixture *f, void *user)
{
	return child_wait(child_start(body, f, user));
}

static void wait_for(_Atomic int *word, int count)
{
	while (*word < count)
		sched_yield();
}

/* ---- a store in which a commit is a pair of entities -------------------- */

static cop_err pair_put(cop_store *store, const char *key)
{
	static const char *const ends[2] = {"-a", "-b"};
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	for (int i = 0; i < 2 && !err; i++) {
		float vector[DIM] = {1, (float)i, 2, 3};
		char name[64];
		struct cop_put put = {.size = sizeof put,
				      .key = name,
				      .type = "pair",
				      .type_size = 4,
				      .vector = vector,
				      .dim = DIM};

		put.key_size =
		    (uint32_t)snprintf(name, sizeof name, "%s%s", key, ends[i]);
		err = cop_put(write, &put);
	}
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static int has(cop_read *read, const char *key)
{
	uint64_t id = 0;
	char name[64];

	snprintf(name, sizeof name, "%s-b", key);
	return !cop_lookup(read, name, strlen(name), &id) && id;
}

static int has_now(cop_store *store, const char *key)
{
	cop_read *read;
	int found;

	if (cop_read_begin(store, &read))
		return 0;
	found = has(read, key);
	cop_read_end(read);
	return found;
}

/* What the snapshot has, counted in LMDB and found in the segment. */
static int is_whole(cop_read *read, uint64_t *entities)
{
	struct cop_stats stats = {.size = sizeof stats};
	float query[DIM] = {1, 0, 2, 3};
	struct cop_search search = {
	    .size = sizeof search, .k = 4000, .vector = query};
	static _Thread_local struct cop_hit hits[4000];
	uint32_t count;

	if (cop_stat(read, &stats) || cop_search(read, &search, hits, &count))
		return 0;
	*entities = stats.entities;
	return stats.entities % 2 == 0 && count == stats.entities;
}

static int is_whole_now(cop_store *store)
{
	uint64_t entities;
	cop_read *read;
	int whole;

	if (cop_read_begin(store, &read))
		return 0;
	whole = is_whole(read, &entities);
	cop_read_end(read);
	return whole;
}

static void store_make(struct fixture *f)
{
	memset(shared, 0, sizeof *shared);
	fixture_init(f, DIM, COP_L2);
	must(pair_put(f->store, "first"), "put");
}

/* ---- what a child may do ------------------------------------------------ */

static int use(struct fixture *f, void *key)
{
	need(has_now(f->store, "first"));
	need(!pair_put(f->store, key));
	need(has_now(f->store, key));
	need(is_whole_now(f->store));
	return 0;
}

static void a_child_uses_what_it_inherited(void)
{
	struct fixture f;

	store_make(&f);
	is_int(child_run(use, &f, "child"), 0,
	       "a child reads and writes through its parent's handle");
	ok(has_now(f.store, "child"), "the parent sees what it wrote");
	must(pair_put(f.store, "parent"), "put");
	is_int(child_run(use, &f, "second"), 0, "so does the next");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static int end_what_is_not_its_own(struct fixture *f, void *user)
{
	cop_read *read = ((void **)user)[0];
	cop_write *write = ((void **)user)[1];
	uint64_t id = 77;

	for (int used = 0; used < 2; used++) {
		need(cop_lookup(read, "first-a", 7, &id) == COP_FORKED);
		need(strstr(cop_last_error(), "begin a new read"));
		need(cop_read_refresh(read) == COP_FORKED);
		need(cop_delete(write, "first-a", 7) == COP_FORKED);
		need(cop_commit(write, NULL) == COP_FORKED);
		need(strstr(cop_last_error(), "abort it here"));
		need(has_now(f->store, "first"));
	}
	need(id == 77 && cop_read_commit(read) == 1);
	cop_read_end(read);
	cop_abort(write);
	for (int i = 0; i < 30; i++)
		need(!pair_put(f->store, "again"));
	need(is_whole_now(f->store));
	return 0;
}

static void what_was_begun_before_a_fork_is_the_parent_s(void)
{
	struct fixture f;
	void *begun[2];
	uint64_t entities;
	cop_read *read;

	store_make(&f);
	read = read_of(&f);
	cop_read_end(read_of(&f)); /* one in the pool */
	begun[0] = read;
	begun[1] = write_of(&f);
	put_simple(begun[1], "late-a", NULL, NULL, 0);
	is_int(child_run(end_what_is_not_its_own, &f, begun), 0,
	       "a child is told so, and ends it");
	for (int i = 0; i < 30; i++)
		must(pair_put(f.store, "and again"), "put");
	ok(is_whole(read, &entities) && entities == 2 && !has(read, "again"),
	   "the parent's read keeps its snapshot");
	cop_read_end(read);
	commit_of(begun[1]);
	ok(has_now(f.store, "again"), "the parent reads what the child wrote");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* Ends an inherited read when LMDB is open anew, and has a read of its own. */
static int end_late(struct fixture *f, void *inherited)
{
	uint64_t entities;
	cop_read *read;

	need(!cop_read_begin(f->store, &read));
	cop_read_end(inherited);
	shared->ready = 1;
	wait_for(&shared->go, 1);
	need(is_whole(read, &entities) && entities == 2);
	need(!cop_get_id(read, 1, &(struct cop_entity){0}));
	cop_read_end(read);
	return use(f, "child");
}

static void an_inherited_read_takes_no_lock_with_it(void)
{
	struct fixture f;
	cop_read *read;
	pid_t pid;

	store_make(&f);
	read = read_of(&f);
	pid = child_start(end_late, &f, read);
	wait_for(&shared->ready, 1);
	cop_read_end(read);
	for (int i = 0; i < 60; i++) /* each looks for dead readers */
		must(pair_put(f.store, "first"), "put");
	for (int i = 0; i < 20; i++)
		must(pair_put(f.store, "new"), "put");
	shared->go = 1;
	is_int(child_wait(pid), 0,
	       "ended after the child has attached, it leaves the child's own "
	       "read alone");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static int use_after_compaction(struct fixture *f, void *inherited)
{
	shared->ready = 1;
	wait_for(&shared->go, 1);
	need(!use(f, "child"));
	need(cop_read_refresh(inherited) == COP_FORKED);
	cop_read_end(inherited);
	need(!use(f, "child again"));
	cop_close(f->store);
	return 0;
}

static void a_child_finds_another_generation(void)
{
	struct fixture f;
	cop_read *read;
	pid_t pid;

	store_make(&f);
	read = read_of(&f);
	pid = child_start(use_after_compaction, &f, read);
	wait_for(&shared->ready, 1);
	must(cop_compact(f.store, NULL, NULL), "compact");
	must(pair_put(f.store, "parent"), "put");
	shared->go = 1;
	is_int(child_wait(pid), 0,
	       "a child whose parent has compacted the store meanwhile uses "
	       "it");
	ok(has_now(f.store, "child again"), "as the parent sees");
	cop_read_end(read);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- many at once ------------------------------------------------------- */

struct arrival {
	struct fixture *f;
	char key[32];
	int failed;
	pthread_t thread;
};

static void *arrive(void *argument)
{
	struct arrival *arrival = argument;

	shared->ready++;
	while (!shared->go)
		sched_yield();
	arrival->failed = use(arrival->f, arrival->key);
	return NULL;
}

static int arrive_in_threads(struct fixture *f, void *user)
{
	struct arrival arrivals[THREADS];
	int failed = 0;

	for (int i = 0; i < THREADS; i++) {
		arrivals[i] = (struct arrival){.f = f};
		snprintf(arrivals[i].key, sizeof arrivals[i].key, "%d.%d",
			 *(int *)user, i);
		need(!pthread_create(&arrivals[i].thread, NULL, arrive,
				     &arrivals[i]));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(arrivals[i].thread, NULL);
		failed += arrivals[i].failed;
	}
	need(!failed);
	need(is_whole_now(f->store));
	return 0;
}

static void many_threads_of_many_children_come_at_once(void)
{
	struct fixture f;
	pid_t pids[CHILDREN];
	uint64_t entities = 0;
	cop_read *read;
	int bad = 0;

	store_make(&f);
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = child_start(arrive_in_threads, &f, &i);
	wait_for(&shared->ready, CHILDREN * THREADS);
	shared->go = 1;
	for (int i = 0; i < CHILDREN; i++)
		bad += child_wait(pids[i]) != 0;
	is_int(bad, 0, "%d threads of each of %d children work at once",
	       THREADS, CHILDREN);
	read = read_of(&f);
	ok(is_whole(read, &entities), "the store is whole");
	is_u64(entities, 2 + 2 * CHILDREN * THREADS, "with all they wrote");
	cop_read_end(read);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static void *commit_on_and_on(void *argument)
{
	struct arrival *arrival = argument;

	while (!shared->go && !arrival->failed)
		arrival->failed = pair_put(arrival->f->store, arrival->key);
	return NULL;
}

static void *read_on_and_on(void *argument)
{
	struct arrival *arrival = argument;

	while (!shared->go && !arrival->failed)
		arrival->failed = !is_whole_now(arrival->f->store);
	return NULL;
}

static void a_process_forks_while_its_threads_commit_and_read(void)
{
	struct arrival arrivals[3] = {{.key = "x"}, {.key = "y"}, {.key = "z"}};
	struct fixture f;
	pid_t pids[FORKS];
	int bad = 0;

	if (no_fork_beside_threads())
		return;
	store_make(&f);
	for (int i = 0; i < 3; i++) {
		arrivals[i].f = &f;
		if (pthread_create(&arrivals[i].thread, NULL,
				   i < 2 ? commit_on_and_on : read_on_and_on,
				   &arrivals[i]))
			bail_out("no thread");
	}
	for (int i = 0; i < FORKS; i++) {
		pids[i] = child_start(use, &f, "child");
		if (i % 4 == 3)
			for (int j = i - 3; j <= i; j++)
				bad += child_wait(pids[j]) != 0;
	}
	shared->go = 1;
	for (int i = 0; i < 3; i++) {
		pthread_join(arrivals[i].thread, NULL);
		bad += arrivals[i].failed != 0;
	}
	is_int(bad, 0,
	       "%d children work that were forked while two threads committed "
	       "and one read",
	       FORKS);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- generations -------------------------------------------------------- */

static int use_and_fork(struct fixture *f, void *user)
{
	uint64_t before;
	cop_read *read;

	if (user)
		need(!use(f, "child"));
	need(!child_run(use, f, "grandchild"));
	need(!use(f, "late child"));
	need(!cop_read_begin(f->store, &read));
	before = cop_read_commit(read);
	need(!child_run(use, f, "second grandchild"));
	need(has(read, "late child") && cop_read_commit(read) == before);
	cop_read_end(read);
	return 0;
}

static void *use_in_thread(void *argument)
{
	struct arrival *arrival = argument;

	shared->ready++;
	arrival->failed = use(arrival->f, "thread");
	return NULL;
}

/* Forks while another thread of the child attaches. */
static int fork_while_attaching(struct fixture *f, void *user)
{
	struct arrival arrival = {.f = f};
	int pauses = *(int *)user;
	int status;

	shared->ready = 0;
	need(!pthread_create(&arrival.thread, NULL, use_in_thread, &arrival));
	wait_for(&shared->ready, 1);
	for (int i = 0; i < pauses * 1000; i++)
		(void)process_stamp();
	status = child_run(use, f, "grandchild");
	pthread_join(arrival.thread, NULL);
	need(!status && !arrival.failed);
	return use(f, "child");
}

static struct fixture *point_fixture;
static pid_t point_pids[32];
static int point_count;

static void fork_at_point(const char *name)
{
	char key[32];

	(void)name;
	if (point_count == 32)
		return;
	snprintf(key, sizeof key, "at point %d", point_count);
	point_pids[point_count] = child_start(use, point_fixture, key);
	point_count++;
}

/* Every grandchild inherits a store that is attached by halves. */
static int fork_at_every_point(struct fixture *f, void *user)
{
	int bad = 0;

	(void)user;
	point_fixture = f;
	shared->ready = 1;
	wait_for(&shared->go, 1);
	point_hook = fork_at_point;
	need(has_now(f->store, "first"));
	point_hook = NULL;
	need(point_count > 4);
	for (int i = 0; i < point_count; i++)
		bad += child_wait(point_pids[i]) != 0;
	need(!bad);
	return use(f, "child");
}

static void a_child_that_attaches_is_forked_at_every_point(void)
{
	struct fixture f;
	pid_t pid;

	store_make(&f);
	pid = child_start(fork_at_every_point, &f, NULL);
	wait_for(&shared->ready, 1);
	fixture_close(&f);
	must(cop_detach(f.path), "detach"); /* so the child has to build */
	shared->go = 1;
	is_int(child_wait(pid), 0,
	       "a child that builds the segment forks at every point of it, "
	       "and all work");
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static void grandchildren_work_too(void)
{
	struct fixture f;
	int bad = 0;

	store_make(&f);
	is_int(child_run(use_and_fork, &f, &f), 0,
	       "a child that has used the store has children that do");
	is_int(child_run(use_and_fork, &f, NULL), 0,
	       "and one that has not, too");
	for (int i = 0; i < FORKS && !no_fork_beside_threads(); i++)
		bad += child_run(fork_while_attaching, &f, &i) != 0;
	is_int(bad, 0,
	       "%d children fork while another thread of theirs attaches",
	       FORKS);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- closing, dying ----------------------------------------------------- */

static int close_only(struct fixture *f, void *user)
{
	(void)user;
	cop_close(f->store);
	return 0;
}

static int use_then_close(struct fixture *f, void *user)
{
	need(!use(f, user));
	cop_close(f->store);
	return 0;
}

static int open_again(struct fixture *f, void *user)
{
	cop_store *store;

	(void)user;
	need(!cop_open(f->path, NULL, &store));
	need(store == f->store);
	cop_close(store);
	need(!use(f, "once more"));
	cop_close(f->store);
	need(!cop_open(f->path, NULL, &f->store));
	need(!use(f, "anew"));
	cop_close(f->store);
	return 0;
}

static int use_when_told(struct fixture *f, void *user)
{
	shared->ready++;
	wait_for(&shared->go, 1);
	need(!use(f, user));
	cop_close(f->store);
	return 0;
}

static void parent_and_child_close_in_any_order(void)
{
	struct fixture f;
	pid_t pid;

	store_make(&f);
	is_int(child_run(close_only, &f, NULL), 0,
	       "a child closes what it never used");
	is_int(child_run(use_then_close, &f, "child"), 0, "or has used");
	is_int(child_run(open_again, &f, NULL), 0, "or has opened once more");
	must(pair_put(f.store, "parent"), "put");
	ok(has_now(f.store, "once more"), "the parent's goes on");
	pid = child_start(use_when_told, &f, "orphan");
	wait_for(&shared->ready, 1);
	fixture_close(&f);
	shared->go = 1;
	is_int(child_wait(pid), 0, "a child works when its parent has closed");
	fixture_open(&f);
	ok(has_now(f.store, "orphan"), "as is seen later");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* A master that opens, has a child, and then dies as asked. */
enum death { DEATH_EXIT, DEATH_KILL, DEATH_WITH_LOCK };

static int master(struct fixture *f, void *user)
{
	enum death death = *(enum death *)user;
	cop_read *read;

	need(!cop_open(f->path, NULL, &f->store));
	need(!cop_read_begin(f->store, &read)); /* its slot dies with it */
	if (death == DEATH_WITH_LOCK)
		need(!lock_take(f->store->lock_fd, LOCK_W, LOCK_EXCLUSIVE, 0));
	shared->pid = child_start(use_when_told, f, "orphan");
	wait_for(&shared->ready, 1);
	if (death == DEATH_EXIT)
		return 0;
	kill(getpid(), SIGKILL);
	return 1;
}

static void a_child_outlives_its_parent(enum death death, const char *how)
{
	struct cop_open_options options = {.size = sizeof options,
					   .timeout_ms = 10000};
	struct fixture f;
	cop_err err;

	store_make(&f);
	fixture_close(&f);
	(void)child_run(master, &f, &death);
	must(cop_open(f.path, &options, &f.store), "open");
	err = pair_put(f.store, "other");
	ok(!err, "%s: its idle child keeps no lock of its", how);
	if (err)
		diag("%s", cop_last_error());
	is_u64(slot_oldest(&f.store->slots, UINT64_MAX), UINT64_MAX,
	       "nor a slot");
	shared->go = 1;
	is_int(child_wait(shared->pid), 0, "and works on its own");
	ok(has_now(f.store, "orphan"), "as is seen");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static void a_child_finds_another_segment(void)
{
	enum death death = DEATH_KILL;
	struct fixture f;

	store_make(&f);
	fixture_close(&f);
	(void)child_run(master, &f, &death);
	is_int(cop_detach(f.path), 0, "an idle child is not attached");
	fixture_open(&f);
	must(pair_put(f.store, "other"), "put");
	shared->go = 1;
	is_int(child_wait(shared->pid), 0,
	       "when used it attaches what is there now");
	ok(has_now(f.store, "orphan"), "and writes there");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- the writer lock ---------------------------------------------------- */

static int hold_writer_lock(struct fixture *f, void *user)
{
	cop_store *store;

	(void)user;
	cop_close(f->store);
	need(!cop_open(f->path, NULL, &store));
	need(!lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE, 0));
	shared->ready = 1;
	wait_for(&shared->go, 1);
	lock_release(store->lock_fd, LOCK_W);
	return 0;
}

static void *commit_once(void *argument)
{
	struct arrival *arrival = argument;

	shared->ready = 2;
	arrival->failed = pair_put(arrival->f->store, arrival->key);
	return NULL;
}

static int read_only(struct fixture *f, void *user)
{
	(void)user;
	need(has_now(f->store, "first"));
	return 0;
}

static void a_fork_does_not_wait_for_a_commit_that_waits(void)
{
	struct arrival arrival = {.key = "waited"};
	struct fixture f;
	pid_t holder;

	store_make(&f);
	arrival.f = &f;
	holder = child_start(hold_writer_lock, &f, NULL);
	wait_for(&shared->ready, 1);
	if (pthread_create(&arrival.thread, NULL, commit_once, &arrival))
		bail_out("no thread");
	wait_for(&shared->ready, 2);
	usleep(20000);
	is_int(child_run(read_only, &f, NULL), 0,
	       "while another process holds the writer lock and a thread waits "
	       "for it, a child is forked, and reads");
	shared->go = 1;
	is_int(child_wait(holder), 0, "the lock is released");
	pthread_join(arrival.thread, NULL);
	is_int(arrival.failed, 0, "and the commit done");
	fixture_release(&f);
}

/* ---- descriptors -------------------------------------------------------- */

/* Descriptors of this process whose file is in the store or its segments. */
static int descriptors_open(const struct fixture *f, const char *except)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	while (folder && (entry = readdir(folder))) {
		char to[512] = "";
		ssize_t size =
		    readlinkat(dirfd(folder), entry->d_name, to, sizeof to - 1);

		if (size <= 0 || (!strstr(to, f->folder) &&
				  !strstr(to, "/dev/shm/coppice-")))
			continue;
		if (!strstr(to, except))
			count++;
	}
	if (folder)
		closedir(folder);
	return count;
}

static int count_unused(struct fixture *f, void *user)
{
	(void)user;
	/* LMDB's and the index's hold no lock of the parent's */
	need(descriptors_open(f, ".mdb") <= 1);
	cop_close(f->store);
	need(descriptors_open(f, "nothing") == 0);
	return 0;
}

static int use_close_and_count(struct fixture *f, void *user)
{
	need(!use(f, user));
	cop_close(f->store);
	need(descriptors_open(f, "nothing") == 0);
	return 0;
}

static int program_lists(struct fixture *f, const char *when)
{
	FILE *list = popen("exec ls -l /proc/self/fd", "r");
	char line[1024];
	int bad = 0;
	int lines = 0;

	while (list && fgets(line, sizeof line, list)) {
		lines++;
		if (!strstr(line, f->folder) &&
		    !strstr(line, "/dev/shm/coppice-"))
			continue;
		bad++;
		diag("%s: %s", when, line);
	}
	if (list)
		pclose(list);
	return bad + (lines < 3);
}

static int become(struct fixture *f, void *user)
{
	(void)user;
	need(!use(f, "before exec"));
	need(program_lists(f, "in a child") == 0);
	return 0;
}

static void descriptors_go_where_they_should(void)
{
	struct fixture f;

	store_make(&f);
	is_int(child_run(count_unused, &f, NULL), 0,
	       "an idle child has no descriptor that holds a lock, and closed "
	       "has none at all");
	is_int(child_run(use_close_and_count, &f, "child"), 0,
	       "nor has one that used the store and closed it");
	is_int(program_lists(&f, "exec"), 0, "a program that is run gets none");
	is_int(child_run(become, &f, NULL), 0, "nor one that a child runs");
	ok(has_now(f.store, "before exec"), "the parent reads on");
	fixture_release(&f);
}

/* ---- what may have changed ---------------------------------------------- */

static int refused_until_opened(struct fixture *f, void *moved)
{
	cop_store *store;
	cop_read *read;

	wait_for(&shared->go, 1);
	for (int i = 0; i < 2; i++) {
		need(cop_read_begin(f->store, &read) == COP_NOT_A_STORE);
		need(strstr(cop_last_error(), "moved"));
	}
	need(!cop_open(moved, NULL, &store));
	need(store == f->store);
	return use(f, "child");
}

static int refused(struct fixture *f, void *user)
{
	cop_read *read;

	(void)user;
	wait_for(&shared->go, 1);
	need(cop_read_begin(f->store, &read) == COP_NOT_A_STORE);
	need(strstr(cop_last_error(), "replaced"));
	cop_close(f->store);
	return 0;
}

static void a_store_that_was_moved_is_not_found(void)
{
	struct cop_options plain = {.size = sizeof plain};
	struct fixture f;
	char moved[96];
	pid_t pid;

	store_make(&f);
	snprintf(moved, sizeof moved, "%s/moved", f.folder);
	pid = child_start(refused_until_opened, &f, moved);
	if (rename(f.path, moved))
		bail_out("rename: %s", strerror(errno));
	shared->go = 1;
	is_int(child_wait(pid), 0,
	       "a child is told, and opens it where it is now");
	ok(has_now(f.store, "child"), "which the parent sees");
	shared->go = 0;
	pid = child_start(refused, &f, NULL);
	must(cop_create(f.path, &plain), "create");
	shared->go = 1;
	is_int(child_wait(pid), 0, "another store in its place is refused");
	must(pair_put(f.store, "late"), "put");
	strcpy(f.path, moved);
	fixture_release(&f);
}

static int as_nobody(struct fixture *f, void *user)
{
	cop_read *read;

	(void)user;
	need(!setgid(65534) && !setuid(65534));
	need(cop_read_begin(f->store, &read) == COP_DENIED);
	cop_close(f->store);
	return 0;
}

static void a_child_that_gave_up_its_rights_is_denied(void)
{
	struct fixture f;

	if (geteuid()) {
		ok(1, "only root can give up rights # SKIP not root");
		return;
	}
	store_make(&f);
	is_int(child_run(as_nobody, &f, NULL), 0,
	       "a child that became another user is denied, and may close");
	must(pair_put(f.store, "late"), "put");
	fixture_release(&f);
}

/* ---- no system call ----------------------------------------------------- */

static int confine(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		     offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int read_confined(struct fixture *f, void *user)
{
	uint64_t id = 0;
	cop_read *read;

	(void)user;
	need(is_whole_now(f->store));
	need(!confine());
	for (int i = 0; i < 10000; i++) {
		if (cop_read_begin(f->store, &read) ||
		    cop_lookup(read, "first-a", 7, &id) || !id ||
		    cop_read_refresh(read))
			return 2;
		cop_read_end(read);
	}
	return 0;
}

static void an_attached_child_reads_without_a_system_call(void)
{
	struct fixture f;

	if (TEST_SANITIZED) {
		ok(1, "no system call # SKIP a sanitizer makes its own");
		return;
	}
	store_make(&f);
	is_int(child_run(read_confined, &f, NULL), 0,
	       "a child reads under a filter that allows exit_group alone");
	fixture_release(&f);
}

int main(void)
{
	test_begin(240);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	/* the children of a dead child are waited for here */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	a_child_uses_what_it_inherited();
	what_was_begun_before_a_fork_is_the_parent_s();
	an_inherited_read_takes_no_lock_with_it();
	a_child_finds_another_generation();
	many_threads_of_many_children_come_at_once();
	a_process_forks_while_its_threads_commit_and_read();
	grandchildren_work_too();
	a_child_that_attaches_is_forked_at_every_point();
	parent_and_child_close_in_any_order();
	a_child_outlives_its_parent(DEATH_EXIT, "a parent ends");
	a_child_outlives_its_parent(DEATH_KILL, "a parent is killed");
	a_child_outlives_its_parent(DEATH_WITH_LOCK,
				    "a parent is killed with the writer lock");
	a_child_finds_another_segment();
	a_fork_does_not_wait_for_a_commit_that_waits();
	descriptors_go_where_they_should();
	a_store_that_was_moved_is_not_found();
	a_child_that_gave_up_its_rights_is_denied();
	an_attached_child_reads_without_a_system_call();
	return done_testing();
}
