/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million searches and walks make no system call.
 *
 * A child opens the store, makes each call once, and then installs a filter
 * of the kernel's that allows write and exit_group and kills for anything
 * else.  It counts its work and leaves; if it lives, it made none.
 */
#include "fixture.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum {
	DIM = 16,
	ENTITIES = 300,
	SEARCHES = 1000000,
	TRACED = 50000,
	BATCH = 64
};

static int confine(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		     offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void key_of(char *key, uint64_t i)
{
	snprintf(key, 16, "k%u", (unsigned)(i % ENTITIES));
}

static void store_fill(struct fixture *f)
{
	uint64_t random = 7;
	cop_write *write = write_of(f);

	for (uint64_t i = 0; i < ENTITIES; i++) {
		float vector[DIM];
		char key[16];

		for (int d = 0; d < DIM; d++)
			vector[d] = (float)test_gaussian(&random);
		key_of(key, i);
		put_simple(write, key, i % 2 ? "odd" : "even", vector, DIM);
	}
	for (uint64_t i = 0; i < ENTITIES; i++) {
		char a[16];
		char b[16];

		key_of(a, i);
		key_of(b, i * 7 + 1);
		must(link_simple(write, a, "to", b), "link");
	}
	commit_of(write);
}

struct work {
	cop_store *store;
	cop_read *read;
	float queries[BATCH][DIM];
	char keys[BATCH][16];
	uint64_t hits;
	uint64_t steps;
	uint64_t found;
};

/* One of everything that promises to make no system call. */
static int work_once(struct work *work, uint64_t i)
{
	struct cop_search search = {.size = sizeof search,
				    .k = 5,
				    .vector = work->queries[i % BATCH],
				    .type = i % 3 ? NULL : "odd",
				    .strategy =
					i % 16 && i & 1 ? COP_HNSW : COP_AUTO,
				    .exact = i % 16 == 0};
	struct cop_walk walk = {.size = sizeof walk,
				.hops = 2,
				.start = i % ENTITIES + 1,
				.relation = "to",
				.direction = COP_BOTH};
	const char *key = work->keys[i % BATCH];
	struct cop_entity entity;
	struct cop_step steps[64];
	struct cop_hit hits[5];
	const float *vector;
	uint32_t count;
	uint64_t id;
	size_t n;

	if (i % 8 == 0 && cop_read_refresh(work->read))
		return 1;
	if (i % 1024 == 0) {
		cop_read_end(work->read);
		if (cop_read_begin(work->store, &work->read))
			return 1;
	}
	if (cop_search(work->read, &search, hits, &count) ||
	    cop_walk(work->read, &walk, steps, 64, &n, NULL) ||
	    cop_lookup(work->read, key, strlen(key), &id) ||
	    cop_get(work->read, key, strlen(key), &entity) ||
	    cop_vector(work->read, id, &vector))
		return 1;
	work->hits += count;
	work->steps += n;
	work->found += entity.id == id && vector;
	return 0;
}

/* subjects: traced, and then everything is slow, too */
static void child_work(const char *path, uint64_t rounds, uint32_t subjects)
{
	static struct work work;
	uint64_t random = 11;

	for (int i = 0; i < BATCH; i++) {
		for (int d = 0; d < DIM; d++)
			work.queries[i][d] = (float)test_gaussian(&random);
		key_of(work.keys[i], (uint64_t)i * 5);
	}
	if (cop_open(path, NULL, &work.store) ||
	    cop_trace_set(work.store, subjects) ||
	    (subjects && cop_slow_set(work.store, 1)) ||
	    cop_read_begin(work.store, &work.read) || work_once(&work, 0))
		_exit(2);
	work.hits = work.steps = work.found = 0;
	if (confine())
		_exit(3);
	for (uint64_t i = 0; i < rounds; i++)
		if (work_once(&work, i))
			_exit(4);
	if (work.hits != rounds * 5 || work.found != rounds ||
	    work.steps < rounds * 2)
		_exit(work.hits != rounds * 5 ? 5
		      : work.found != rounds  ? 6
					      : 7);
	_exit(0);
}

static void no_system_call_in_a_million(void)
{
	struct fixture f;
	pid_t pid;
	int status;

	fixture_init(&f, DIM, COP_L2);
	store_fill(&f);
	fixture_close(&f);
	pid = fork();
	if (!pid)
		child_work(f.path, SEARCHES, 0);
	status = child_wait(pid);
	ok(status == 0,
	   "%d searches, walks, lookups, gets and vectors, and reads begun and "
	   "refreshed, under a filter that allows write and exit_group "
	   "(status %d)",
	   SEARCHES, status);
	pid = fork();
	if (!pid)
		child_work(f.path, TRACED, COP_TRACE_SEARCH | COP_TRACE_WALK);
	status = child_wait(pid);
	ok(status == 0,
	   "%d while each search and walk is traced, and slow (status %d)",
	   TRACED, status);
	fixture_release(&f);
}

int main(void)
{
	test_begin(300);
	if (TEST_SANITIZED)
		skip_all("a sanitizer makes system calls of its own");
	no_system_call_in_a_million();
	return done_testing();
}
