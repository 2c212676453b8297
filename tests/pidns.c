/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of several PID namespaces, as in containers that share a store:
 * distinct pids work, an equal pid is refused, the dead are told from the
 * living whatever their pids.
 *
 * A container is a process that is 1, or the second of two, in a namespace of
 * its own.  Its body makes no claims: it returns 0 or fails.
 */
#include "fixture.h"
#include "store.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

enum { COMMITS = 40, PATIENCE_S = 60 };

static struct {
	_Atomic int ready;
	_Atomic int go;
} * shared;

#define need(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("# %s:%d: %s (%s)\n", __FILE__, __LINE__,       \
			       #condition, cop_last_error());                  \
			fflush(stdout);                                        \
			return 1;                                              \
		}                                                              \
	} while (0)

struct container {
	struct fixture *f;
	int (*body)(struct container *container);
	int pid; /* 1 or 2, there */
	const char *key;
	pid_t outside; /* of the body, where the test is */
};

static void wait_for(_Atomic int *word, int count)
{
	while (*word < count)
		sched_yield();
}

/* A container's /proc says pids as they are there; without it, no matter. */
static void proc_mount(void)
{
	if (!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		(void)mount("proc", "/proc", "proc", 0, NULL);
}

static int body_run(struct container *container)
{
	alarm(PATIENCE_S);
	need(getpid() == container->pid);
	return container->body(container);
}

/* The first process: the body, or the parent of the one that has it. */
static int first_run(struct container *container)
{
	pid_t pid;

	proc_mount();
	if (container->pid == 1)
		return body_run(container);
	pid = fork();
	if (!pid)
		_exit(body_run(container));
	return child_wait(pid);
}

/* A process of this namespace that waits for the container. */
static pid_t container_start(struct container *container)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	if (unshare(CLONE_NEWPID | CLONE_NEWNS))
		_exit(2);
	pid = fork();
	if (!pid)
		_exit(first_run(container));
	_exit(child_wait(pid));
}

static int container_run(struct fixture *f, int pid, const char *key,
			 int (*body)(struct container *container))
{
	struct container container = {
	    .f = f, .body = body, .pid = pid, .key = key};

	return child_wait(container_start(&container));
}

static int is_permitted(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWPID | CLONE_NEWNS) ? 1 : 0);
	return !child_wait(pid);
}

/* ---- work --------------------------------------------------------------- */

static cop_err put_one(cop_store *store, const char *key, int number)
{
	char name[32];
	struct cop_put put = {.size = sizeof put, .key = name};
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	put.key_size =
	    (uint32_t)snprintf(name, sizeof name, "%s%d", key, number);
	if (!err)
		err = cop_put(write, &put);
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

/* How many of the keys there are. */
static int keys_found(cop_read *read, const char *key)
{
	int found = 0;

	for (int i = 0; i < COMMITS; i++) {
		char name[32];
		uint64_t id = 0;

		snprintf(name, sizeof name, "%s%d", key, i);
		found += !cop_lookup(read, name, strlen(name), &id) && id;
	}
	return found;
}

static int found_now(cop_store *store, const char *key)
{
	cop_read *read = NULL;
	int found = -1;

	if (!cop_read_begin(store, &read))
		found = keys_found(read, key);
	cop_read_end(read);
	return found;
}

static void store_make(struct fixture *f)
{
	memset(shared, 0, sizeof *shared);
	fixture_init(f, 0, 0);
	must(put_one(f->store, "first", 0), "put");
	fixture_close(f);
}

/* ---- bodies ------------------------------------------------------------- */

static int write_beside_another(struct container *container)
{
	const char *key = container->key;
	cop_store *store;

	need(!cop_open(container->f->path, NULL, &store));
	shared->ready++;
	wait_for(&shared->ready, 2);
	for (int i = 0; i < COMMITS; i++) {
		need(!put_one(store, key, i));
		need(found_now(store, key) == i + 1);
	}
	shared->ready++;
	wait_for(&shared->ready, 4);
	need(found_now(store, "a") == COMMITS);
	need(found_now(store, "b") == COMMITS);
	cop_close(store);
	return 0;
}

/* Stays with a read open till told; the read must not have changed. */
static int hold_a_read(struct container *container)
{
	cop_store *store;
	cop_read *read;
	uint64_t id;

	need(!cop_open(container->f->path, NULL, &store));
	need(!cop_read_begin(store, &read));
	shared->ready = 1;
	wait_for(&shared->go, 1);
	need(!cop_lookup(read, "first0", 6, &id) && id);
	need(keys_found(read, "late") == 0);
	for (int i = 1; i < COMMITS; i++) {
		struct cop_entity entity;

		need(!cop_get_id(read, (uint64_t)i, &entity));
		need(!entity.id == (i > 1));
	}
	cop_read_end(read);
	cop_close(store);
	return 0;
}

static int be_refused(struct container *container)
{
	cop_store *store;

	need(cop_open(container->f->path, NULL, &store) == COP_BUSY);
	need(strstr(cop_last_error(), "PID namespace"));
	need(strstr(cop_last_error(), ": pid 1 is attached"));
	need(cop_detach(container->f->path) == COP_BUSY);
	return 0;
}

static int write_many(struct container *container)
{
	cop_store *store;

	need(!cop_open(container->f->path, NULL, &store));
	for (int i = 0; i < COMMITS; i++)
		need(!put_one(store, container->key, i));
	cop_close(store);
	return 0;
}

/* Puts the same again and again, which needs no room for long. */
static int write_without_growth(struct container *container)
{
	uint64_t before;
	cop_store *store;

	need(!cop_open(container->f->path, NULL, &store));
	need(slot_oldest(&store->slots, 1000) == 1000);
	for (int i = 0; i < COMMITS; i++)
		need(!put_one(store, "same", 0));
	before = stats_of(store).disk_bytes;
	for (int i = 0; i < 3 * COMMITS; i++)
		need(!put_one(store, "same", 0));
	need(stats_of(store).disk_bytes < before + COMMITS * UINT64_C(4096));
	cop_close(store);
	return 0;
}

/* ---- claims ------------------------------------------------------------- */

static void distinct_pids_write_and_read_at_once(void)
{
	struct fixture f;
	struct container a = {
	    .f = &f, .body = write_beside_another, .pid = 1, .key = "a"};
	struct container b = a;
	pid_t pids[2];
	int bad;

	b.pid = 2;
	b.key = "b";
	store_make(&f);
	pids[0] = container_start(&a);
	pids[1] = container_start(&b);
	bad = child_wait(pids[0]);
	bad += child_wait(pids[1]);
	is_int(bad, 0, "1 in one namespace and 2 in another write and read");
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static void an_equal_pid_is_refused(void)
{
	struct fixture f;
	struct container holder = {.f = &f, .body = hold_a_read, .pid = 1};
	pid_t pid;

	store_make(&f);
	pid = container_start(&holder);
	wait_for(&shared->ready, 1);
	is_int(container_run(&f, 1, "late", be_refused), 0,
	       "1 is refused while another namespace's 1 is attached");
	is_int(container_run(&f, 2, "late", write_many), 0, "2 is not");
	shared->go = 1;
	is_int(child_wait(pid), 0, "the first one's read is untouched");
	is_int(container_run(&f, 1, "late", write_many), 0,
	       "and when it has closed, another 1 may open");
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* The process behind a namespace's first, seen from here. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	long child = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent,
		 (int)parent);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return (pid_t)child;
}

/* LMDB empties its table of readers when it is opened by who is alone. */
static int keep_open(const struct fixture *f)
{
	cop_store *store;

	alarm(PATIENCE_S);
	need(!cop_open(f->path, NULL, &store));
	shared->ready = 1;
	wait_for(&shared->go, 1);
	cop_close(store);
	return 0;
}

static void a_killed_one_is_cleared_by_the_next_of_its_pid(void)
{
	struct fixture f;
	struct container holder = {.f = &f, .body = hold_a_read, .pid = 1};
	pid_t keeper;
	pid_t pid;

	store_make(&f);
	keeper = fork();
	if (!keeper)
		_exit(keep_open(&f));
	wait_for(&shared->ready, 1);
	for (int again = 1; again < 3; again++) {
		shared->ready = 0;
		pid = container_start(&holder);
		wait_for(&shared->ready, 1);
		kill(child_of(pid), SIGKILL);
		is_int(child_wait(pid), 128 + SIGKILL, "a 1 is killed");
		is_int(container_run(&f, again, NULL, write_without_growth), 0,
		       "a %d of another namespace reaps its slot, and the "
		       "data file does not grow for its read",
		       again);
	}
	shared->go = 1;
	is_int(child_wait(keeper), 0, "others were attached all the time");
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- fork into a namespace ---------------------------------------------- */

static int use_as_one(struct fixture *f)
{
	cop_read *read;

	alarm(PATIENCE_S);
	need(getpid() == 1);
	need(cop_read_begin(f->store, &read) == COP_BUSY);
	need(strstr(cop_last_error(), "PID namespace"));
	cop_close(f->store);
	return 0;
}

/* Opens, and has a child that is 1 in a namespace. */
static int fork_a_one(struct fixture *f)
{
	pid_t pid;

	fixture_open(f);
	/* LMDB's table is known to its end, the other 1 included */
	need(found_now(f->store, "none") == 0);
	need(!unshare(CLONE_NEWPID));
	pid = fork();
	if (!pid)
		_exit(use_as_one(f));
	need(!child_wait(pid));
	for (int i = 0; i < COMMITS; i++)
		need(!put_one(f->store, "late", i));
	for (int i = 0; i < 4 * COMMITS; i++)
		need(!put_one(f->store, "same", 0));
	fixture_close(f);
	return 0;
}

static void a_child_of_an_equal_pid_leaves_the_other_s_readers_alone(void)
{
	struct fixture f;
	struct container holder = {.f = &f, .body = hold_a_read, .pid = 1};
	pid_t pid;
	pid_t forker;

	store_make(&f);
	pid = container_start(&holder);
	wait_for(&shared->ready, 1);
	fflush(stdout);
	forker = fork();
	if (!forker)
		_exit(fork_a_one(&f));
	is_int(child_wait(forker), 0,
	       "a child that is a 1 is refused, and closes");
	shared->go = 1;
	is_int(child_wait(pid), 0, "the other 1's read is untouched");
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	if (!is_permitted())
		skip_all("PID namespaces may not be made here");
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	distinct_pids_write_and_read_at_once();
	an_equal_pid_is_refused();
	a_killed_one_is_cleared_by_the_next_of_its_pid();
	a_child_of_an_equal_pid_leaves_the_other_s_readers_alone();
	return done_testing();
}
