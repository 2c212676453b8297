/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under a small limit of the process's nothing is lost, nobody dies, and the
 * error says which limit it was.
 *
 * idea
 *	A child runs the script (faults/script.h) stage by stage: it makes a
 *	store, opens it, commits, asks, takes images, compacts, links, detaches
 *	and attaches, runs a transaction.  Each stage is tried under the limit
 *	first; if that fails, the error must be of the limit's kind and name
 *	it as a shell does (ulimit -f), and the same stage is run again without
 *	the limit, where it must succeed.  In the end the state is the one that
 *	all commits make.  The limit goes through sizes from none at all to one
 *	that is no hindrance.
 *
 * limits that are tried
 *	RLIMIT_FSIZE, with its signal as a program finds it and ignored;
 *	RLIMIT_NOFILE; RLIMIT_AS and RLIMIT_DATA; and, where no stage may fail,
 *	RLIMIT_MEMLOCK (nothing is locked in memory), RLIMIT_NPROC (work is
 *	done without the threads it may have) and RLIMIT_STACK (also of
 *	threads: the program starts itself again with it).
 *	Who leads a group under a limit fails alone: the others do it again.
 */
#include "faults/script.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum { NOBODY = 65534, TEXT_BYTES = 1024 };

enum end {
	END_DONE = 0,
	END_WRONG_CLASS = 10, /* an error that the limit does not explain */
	END_NO_WORDS,	      /* or does not name */
	END_STAYS,	      /* without the limit there is an error, too */
	END_WRONG_ANSWER,
	END_SKIP
};

static struct {
	_Atomic uint32_t ready; /* two processes' */
	_Atomic uint32_t done;
	uint32_t refused; /* stages under the limit */
	uint32_t passed;
	cop_err err;
	char stage[32];
	char text[TEXT_BYTES];
} * shared;

static char root[64];
static char store_path[80];
static char shm_path[80];

/* ---- stages ------------------------------------------------------------- */

static cop_store *store;

static cop_err create(int step)
{
	(void)step;
	return script_create(store_path, shm_path);
}

static cop_err open_store(int step)
{
	(void)step;
	return cop_open(store_path, NULL, &store);
}

static cop_err commit(int step)
{
	return script_commit(store, step);
}

static cop_err ask(int step)
{
	uint64_t there = 0;
	uint64_t sum = 0;
	cop_err err = script_sum(store, &there, &sum);

	if (!err && (there != (uint64_t)step || sum != script_sums[step]))
		_exit(END_WRONG_ANSWER);
	return err;
}

static cop_err checkpoint(int step)
{
	(void)step;
	return cop_checkpoint(store, NULL);
}

static cop_err compact(int step)
{
	(void)step;
	return cop_compact(store, NULL, NULL);
}

static cop_err maintain(int step)
{
	struct cop_maintain_options options = {.size = sizeof options,
					       .threads = 4};

	(void)step;
	return cop_maintain(store, &options, NULL);
}

static cop_err check(int step)
{
	uint64_t findings = 0;
	cop_err err = cop_check(store, finding_tell, NULL, &findings);

	(void)step;
	if (findings)
		_exit(END_WRONG_ANSWER);
	return err;
}

static cop_err detach(int step)
{
	(void)step;
	cop_close(store);
	store = NULL;
	return cop_detach(store_path);
}

static cop_err rival_commit(void *user)
{
	(void)user;
	return script_commit(store, SCRIPT_RIVAL);
}

static cop_err transact(int step)
{
	struct script_txn script = {store, rival_commit, NULL, 0};

	(void)step;
	return script_transact(&script);
}

static const struct stage {
	const char *name;
	cop_err (*run)(int step);
	int step;
} stages[] = {
    {"create", create, 0},	   {"open", open_store, 0},
    {"commit", commit, 0},	   {"commit", commit, 1},
    {"commit", commit, 2},	   {"ask", ask, 3},
    {"commit", commit, 3},	   {"checkpoint", checkpoint, 4},
    {"commit", commit, 4},	   {"detach", detach, 5},
    {"open", open_store, 5},	   {"ask", ask, 5},
    {"compact", compact, 5},	   {"ask", ask, 5},
    {"commit", commit, 5},	   {"commit", commit, 6},
    {"maintain", maintain, 7},	   {"commit", commit, 7},
    {"checkpoint", checkpoint, 8}, {"check", check, 8},
    {"transact", transact, 8},	   {"ask", ask, SCRIPT_STEPS},
    {"detach", detach, 10},	   {"open", open_store, 10},
};

/* ---- a limit ------------------------------------------------------------ */

struct limit {
	const char *name;
	unsigned resource; /* of setrlimit */
	cop_err want;	   /* 0: none may fail */
	const char *word;
	int ignore; /* SIGXFSZ is ignored */
	uint64_t from;
	uint64_t to; /* sizes are added to or multiplied */
	uint64_t add;
	uint64_t factor;
};

static const struct limit limits[] = {
    {"the size of files", RLIMIT_FSIZE, COP_NO_SPACE, "ulimit -f", 0, 0,
     UINT64_C(4) << 30, 1000, 3},
    {"the size of files, its signal ignored", RLIMIT_FSIZE, COP_NO_SPACE,
     "ulimit -f", 1, 0, UINT64_C(4) << 30, 4096, 4},
    {"open files", RLIMIT_NOFILE, EMFILE, "ulimit -n", 0, 0, 40, 1, 1},
    {"address space", RLIMIT_AS, ENOMEM, "ulimit -v", 0, 1 << 20,
     UINT64_C(4) << 40, 0, 2},
    {"private memory", RLIMIT_DATA, ENOMEM, "ulimit -v", 0, 0, 64 << 20, 10000,
     2},
    {"locked memory", RLIMIT_MEMLOCK, 0, "", 0, 0, 0, 1, 1},
    {"processes", RLIMIT_NPROC, 0, "", 0, 1, 1, 1, 1},
};

static void limit_set(const struct limit *limit, uint64_t size)
{
	struct rlimit now;

	getrlimit(limit->resource, &now);
	now.rlim_cur = size < now.rlim_max ? size : now.rlim_max;
	setrlimit(limit->resource, &now);
}

static _Noreturn void leave(const char *stage, enum end end)
{
	snprintf(shared->stage, sizeof shared->stage, "%s", stage);
	_exit((int)end);
}

static void stage_run(const struct stage *stage, const struct limit *limit,
		      uint64_t size)
{
	const char *words;
	cop_err err;

	limit_set(limit, size);
	err = stage->run(stage->step);
	limit_set(limit, UINT64_MAX);
	shared->passed += !err;
	if (!err)
		return;
	shared->refused++;
	words = stage->run == ask ? script_words : cop_last_error();
	shared->err = err;
	snprintf(shared->text, sizeof shared->text, "%s", words);
	if (!limit->want || err != limit->want)
		leave(stage->name, END_WRONG_CLASS);
	if (!strstr(words, limit->word))
		leave(stage->name, END_NO_WORDS);
	err = stage->run == detach ? cop_detach(store_path)
				   : stage->run(stage->step);
	if (!err)
		return;
	shared->err = err;
	snprintf(shared->text, sizeof shared->text, "%s", cop_last_error());
	leave(stage->name, END_STAYS);
}

/* A process with a limit of processes must be somebody. */
static int is_nobody(const struct limit *limit)
{
	if (limit->resource != RLIMIT_NPROC || geteuid())
		return 1;
	return !chown(root, NOBODY, NOBODY) &&
	       !chown(shm_path, NOBODY, NOBODY) && !setgid(NOBODY) &&
	       !setuid(NOBODY);
}

static void child_run(const struct limit *limit, uint64_t size)
{
	alarm(60);
	signal(SIGXFSZ, limit->ignore ? SIG_IGN : SIG_DFL);
	if (!is_nobody(limit))
		_exit(END_SKIP);
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		stage_run(&stages[i], limit, size);
	if (!script_is_right(store, SCRIPT_STEPS))
		leave("at last", END_WRONG_ANSWER);
	cop_close(store);
	must(cop_detach(store_path), "detach");
	_exit(END_DONE);
}

/* 1: right, 0: wrong, -1: this process cannot try it. */
static int one_size(const struct limit *limit, uint64_t size)
{
	int status;
	pid_t pid;

	memset(shared, 0, sizeof *shared);
	mkdir(shm_path, 0700);
	fflush(stdout);
	pid = fork();
	if (!pid)
		child_run(limit, size);
	status = child_wait(pid);
	script_clear(store_path);
	script_clear(shm_path);
	if (status == END_SKIP)
		return -1;
	if (status)
		diag("%s limited to %" PRIu64 ": ended %d at %s: %d, %s",
		     limit->name, size, status, shared->stage, shared->err,
		     shared->text);
	return !status;
}

static void a_small_limit_is_told(const struct limit *limit)
{
	uint32_t refused = 0;
	uint32_t passed = 0;
	int wrong = 0;
	int right = 0;

	for (uint64_t size = limit->from; size <= limit->to && right >= 0;
	     size = size * limit->factor + limit->add) {
		right = one_size(limit, size);
		wrong += !right;
		refused += shared->refused;
		passed += shared->passed;
	}
	if (right < 0) {
		skip("%s: this process cannot be limited so", limit->name);
		return;
	}
	ok(!wrong && passed && (refused || !limit->want),
	   "%s limited: %u stages are refused in words and %u done, nothing is "
	   "lost",
	   limit->name, refused, passed);
}

/* ---- whose limit it is -------------------------------------------------- */

enum { COMMITS = 200 };

static cop_err key_commit(int i)
{
	char key[16];
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (err)
		return err;
	script_key(key, i);
	put_simple(write, key, "one", NULL, 0);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

/* Leads groups, which it cannot write, until the other is done. */
static void child_limited(void)
{
	alarm(60);
	must(cop_open(store_path, NULL, &store), "open");
	limit_set(&limits[0], 4096);
	shared->ready = 1;
	while (!shared->done) {
		cop_err err = key_commit(0); /* another may do it for him */

		if (err && err != COP_NO_SPACE)
			_exit(END_WRONG_ANSWER);
		shared->refused += err != 0;
	}
	cop_close(store);
	_exit(END_DONE);
}

static void a_leaders_limit_is_its_own(void)
{
	struct cop_stats stats = {.size = sizeof stats};
	uint64_t findings = 9;
	cop_read *read;
	int done = 0;
	pid_t pid;

	memset(shared, 0, sizeof *shared);
	mkdir(shm_path, 0700);
	must(script_create(store_path, shm_path), "create");
	fflush(stdout);
	pid = fork();
	if (!pid)
		child_limited();
	must(cop_open(store_path, NULL, &store), "open");
	while (!shared->ready && !waitpid(pid, NULL, WNOHANG))
		usleep(100);
	while (done < COMMITS && !key_commit(done))
		done++;
	shared->done = 1;
	ok(child_wait(pid) == END_DONE && shared->refused,
	   "who may not write is told, %u times", shared->refused);
	must(cop_read_begin(store, &read), "read");
	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	must(cop_check(store, finding_tell, NULL, &findings), "check");
	ok(done == COMMITS && stats.entities == COMMITS && !findings,
	   "and what others posted to it they commit themselves");
	cop_close(store);
	must(cop_detach(store_path), "detach");
	script_clear(store_path);
	script_clear(shm_path);
}

/* ---- the stack ---------------------------------------------------------- */

/* Threads have stacks of the size that is the limit when a program starts. */
static void a_small_stack_is_enough(char **argv, uint64_t bytes)
{
	struct rlimit stack = {bytes, bytes};
	int status;
	pid_t pid;

	mkdir(shm_path, 0700);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setenv("COPPICE_ULIMIT_ROOT", root, 1);
		if (setrlimit(RLIMIT_STACK, &stack))
			_exit(END_SKIP);
		execv("/proc/self/exe", argv);
		_exit(END_SKIP);
	}
	status = child_wait(pid);
	script_clear(store_path);
	script_clear(shm_path);
	if (status == END_SKIP)
		skip("no program with a small stack can be started");
	else
		is_int(status, END_DONE,
		       "stacks of %" PRIu64 " bytes, of threads, too, are "
		       "enough",
		       bytes);
}

static void paths_set(void)
{
	snprintf(store_path, sizeof store_path, "%.60s/store", root);
	snprintf(shm_path, sizeof shm_path, "%.60s/shm", root);
}

static int started_again(const char *folder)
{
	static const struct limit none = {"no limit", RLIMIT_CORE, 0, "", 0,
					  0,	      0,	   0, 0};

	snprintf(root, sizeof root, "%s", folder);
	paths_set();
	script_learn(store_path, shm_path);
	script_clear(store_path);
	child_run(&none, 0);
	return END_WRONG_ANSWER;
}

int main(int argc, char **argv)
{
	const char *folder = getenv("COPPICE_ULIMIT_ROOT");

	(void)argc;
	test_begin(300);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (folder)
		return started_again(folder);
	strcpy(root, "/dev/shm/coppice-test-XXXXXX");
	if (!mkdtemp(root))
		bail_out("mkdtemp: %s", strerror(errno));
	paths_set();
	mkdir(shm_path, 0700);
	script_learn(store_path, shm_path);
	script_clear(store_path);
	script_clear(shm_path);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		if (TEST_SANITIZED && limits[i].want == ENOMEM)
			skip("a sanitizer needs %s", limits[i].name);
		else
			a_small_limit_is_told(&limits[i]);
	}
	a_leaders_limit_is_its_own();
	if (!TEST_SANITIZED)
		a_small_stack_is_enough(argv, 64 << 10);
	script_clear(root);
	return done_testing();
}
