/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits against plain LMDB.
 *
 * idea
 *	A plain LMDB environment, synced at every commit as it is by default,
 *	and a store lie on one file system.  1, 2, 8 and 64 processes each
 *	commit one small thing after the other: a value of 100 bytes there, an
 *	entity with a content of 100 bytes here, by turns in rounds.  Requests
 *	that got one commit number are a group.  A request is in one of the
 *	next two groups if its commit's number is at most two over the newest
 *	one that was visible before the call; not so if the process was put
 *	aside between that look and the call's beginning.
 *	Then: how long after a commit has returned another process sees it;
 *	many entities a transaction; and many transactions open at once.
 *	Targets: 64 writers at least 10 times LMDB's rate, 100,000 entities a
 *	second in bulk.
 */
#include <lmdb.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_memory.h"
#include "bench_run.h"
#include "bench_store.h"

enum {
	VALUE_BYTES = 100,
	ROUNDS = 3,
	WRITERS_MAX = 64,
	SAMPLES = 65536, /* of one writer, the first ones */
	SEEN = 300,
	OPEN = 10000
};

enum system { LMDB, DURABLE, LAZY, SYSTEMS };

static const char *const system_names[SYSTEMS] = {"LMDB", "coppice",
						  "coppice, lazy"};

/* What one writer measured of one system. */
struct samples {
	uint64_t count;
	uint64_t soon; /* those in one of the next two groups */
	uint32_t kept;
	uint64_t longest_ns;
	uint32_t ns[SAMPLES];	  /* cut to 4 seconds */
	uint32_t commit[SAMPLES]; /* its number; 0 for LMDB */
};

struct pen {
	_Atomic uint32_t ready;
	_Atomic uint32_t round; /* grows; the writers begin it */
	_Atomic uint32_t system;
	_Atomic uint32_t stop;
	_Atomic uint32_t done;
	_Atomic uint64_t returned_ns[SEEN]; /* for sight_measure */
	uint64_t seen_ns[SEEN];
	struct samples samples[WRITERS_MAX][SYSTEMS];
};

struct writer {
	struct pen *pen;
	uint32_t index;
	uint32_t next; /* number of its next key */
	MDB_env *env;
	MDB_dbi dbi;
	cop_store *store;
	cop_read *read;
	cop_write *write;
	char value[VALUE_BYTES];
};

static void nap_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void check_mdb(const char *what, int error)
{
	if (error != 0)
		bench_fail("%s: %s", what, mdb_strerror(error));
}

static void *shared_memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		bench_fail("no memory for %zu bytes", bytes);
	return at;
}

/* ---- one commit --------------------------------------------------------- */

static void lmdb_open(struct writer *writer, const char *path, unsigned create)
{
	MDB_txn *txn;

	if (create != 0)
		(void)mkdir(path, 0700);
	check_mdb("mdb_env_create", mdb_env_create(&writer->env));
	check_mdb("mdb_env_set_mapsize",
		  mdb_env_set_mapsize(writer->env, (size_t)4 << 30));
	check_mdb("mdb_env_open", mdb_env_open(writer->env, path, 0, 0600));
	check_mdb("mdb_txn_begin", mdb_txn_begin(writer->env, NULL, 0, &txn));
	check_mdb("mdb_dbi_open", mdb_dbi_open(txn, NULL, 0, &writer->dbi));
	check_mdb("mdb_txn_commit", mdb_txn_commit(txn));
}

static size_t key_of(const struct writer *writer, uint32_t number, char key[24])
{
	return (size_t)snprintf(key, 24, "w%02u-%08u", writer->index, number);
}

static void lmdb_commit(struct writer *writer)
{
	char name[24];
	MDB_val key = {key_of(writer, writer->next++, name), name};
	MDB_val value = {VALUE_BYTES, writer->value};
	MDB_txn *txn;

	check_mdb("mdb_txn_begin", mdb_txn_begin(writer->env, NULL, 0, &txn));
	check_mdb("mdb_put", mdb_put(txn, writer->dbi, &key, &value, 0));
	check_mdb("mdb_txn_commit", mdb_txn_commit(txn));
}

static void put_one(struct writer *writer)
{
	char name[24];
	struct cop_put put = {.size = sizeof put,
			      .content = writer->value,
			      .content_size = VALUE_BYTES};

	put.key_size = (uint32_t)key_of(writer, writer->next++, name);
	put.key = name;
	bench_check("cop_put", cop_put(writer->write, &put));
}

static uint64_t store_commit(struct writer *writer, int32_t durability)
{
	struct cop_commit_options options = {.size = sizeof options,
					     .durability = durability};
	struct cop_result result = {.size = sizeof result};

	put_one(writer);
	bench_check("cop_commit_with",
		    cop_commit_with(writer->write, &options, &result));
	return result.commit;
}

static uint64_t newest_commit(struct writer *writer)
{
	bench_check("cop_read_refresh", cop_read_refresh(writer->read));
	return cop_read_commit(writer->read);
}

/* ---- writers ------------------------------------------------------------ */

static void commit_timed(struct writer *writer, enum system system,
			 struct samples *samples)
{
	uint64_t newest = system == LMDB ? 0 : newest_commit(writer);
	uint64_t start_ns = bench_now_ns();
	uint64_t commit = 0;
	uint64_t ns;

	if (system == LMDB)
		lmdb_commit(writer);
	else
		commit = store_commit(writer,
				      system == LAZY ? COP_LAZY : COP_DURABLE);
	ns = bench_now_ns() - start_ns;
	if (ns > samples->longest_ns)
		samples->longest_ns = ns;
	samples->soon += commit - newest <= 2;
	samples->count++;
	if (samples->kept == SAMPLES)
		return;
	samples->ns[samples->kept] =
	    ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
	samples->commit[samples->kept++] = (uint32_t)commit;
}

static void writer_run(struct writer *writer)
{
	struct pen *pen = writer->pen;
	uint32_t round = 0;

	atomic_fetch_add(&pen->ready, 1);
	for (;;) {
		enum system system;

		while (atomic_load(&pen->round) == round)
			nap_us(500);
		round++;
		system = (enum system)atomic_load(&pen->system);
		if (system == SYSTEMS)
			return;
		while (atomic_load(&pen->stop) < round)
			commit_timed(writer, system,
				     &pen->samples[writer->index][system]);
		atomic_fetch_add(&pen->done, 1);
	}
}

static void writer_open(struct writer *writer, const struct bench *bench)
{
	char path[4096];

	memset(writer->value, 'x', sizeof writer->value);
	bench_path(bench, "lmdb", path, sizeof path);
	lmdb_open(writer, path, 0);
	bench_path(bench, "store", path, sizeof path);
	bench_check("cop_open", cop_open(path, NULL, &writer->store));
	bench_check("cop_write_begin",
		    cop_write_begin(writer->store, &writer->write));
	bench_check("cop_read_begin",
		    cop_read_begin(writer->store, &writer->read));
}

static int writer_start(const struct bench *bench, struct pen *pen,
			uint32_t index, uint32_t first_key)
{
	struct writer writer = {.pen = pen, .index = index, .next = first_key};
	int pid = bench_fork();

	if (pid != 0)
		return pid;
	writer_open(&writer, bench);
	writer_run(&writer);
	_exit(0);
}

/* ---- rounds ------------------------------------------------------------- */

/* All writers commit to one system for so long; the seconds it took. */
static double round_run(struct pen *pen, uint32_t writers, enum system system,
			double seconds)
{
	uint64_t start_ns = bench_now_ns();

	atomic_store(&pen->done, 0);
	atomic_store(&pen->system, system);
	atomic_fetch_add(&pen->round, 1);
	if (system == SYSTEMS)
		return 0;
	while (bench_seconds_since(start_ns) < seconds)
		nap_us(1000);
	atomic_store(&pen->stop, atomic_load(&pen->round));
	while (atomic_load(&pen->done) < writers) {
		if (waitpid(-1, NULL, WNOHANG) > 0)
			bench_fail("a writer has ended");
		nap_us(200);
	}
	return bench_seconds_since(start_ns);
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left;
	uint32_t b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

/* All writers' samples of one kind, sorted; the caller frees them. */
static uint32_t *samples_gather(const struct pen *pen, uint32_t writers,
				enum system system, int commits, size_t *count)
{
	uint32_t *all;
	uint32_t writer;

	*count = 0;
	for (writer = 0; writer < writers; writer++)
		*count += pen->samples[writer][system].kept;
	all = bench_alloc((*count + 1) * sizeof *all);
	*count = 0;
	for (writer = 0; writer < writers; writer++) {
		const struct samples *samples = &pen->samples[writer][system];

		memcpy(all + *count, commits ? samples->commit : samples->ns,
		       samples->kept * sizeof *all);
		*count += samples->kept;
	}
	qsort(all, *count, sizeof *all, compare);
	return all;
}

static void groups_add(struct bench *bench, const char *subject,
		       const struct pen *pen, uint32_t writers,
		       enum system system)
{
	size_t count;
	uint32_t *commits = samples_gather(pen, writers, system, 1, &count);
	size_t groups = 0;
	size_t largest = 0;
	size_t run = 0;
	size_t index;
	uint64_t soon = 0;
	uint64_t all = 0;

	for (index = 0; index < count; index++) {
		run = index > 0 && commits[index] == commits[index - 1]
			  ? run + 1
			  : 1;
		groups += run == 1;
		largest = run > largest ? run : largest;
	}
	for (index = 0; index < writers; index++) {
		soon += pen->samples[index][system].soon;
		all += pen->samples[index][system].count;
	}
	bench_add(bench, subject, system_names[system], "a group, mean",
		  (double)count / (double)groups, "requests");
	bench_add(bench, subject, system_names[system], "a group, largest",
		  (double)largest, "requests");
	bench_add(bench, subject, system_names[system],
		  "in one of the next 2 groups",
		  (double)soon * 100 / (double)all, "%");
	free(commits);
}

static double system_add(struct bench *bench, const char *subject,
			 const struct pen *pen, uint32_t writers,
			 enum system system, double seconds)
{
	size_t count;
	uint32_t *ns = samples_gather(pen, writers, system, 0, &count);
	const char *name = system_names[system];
	double total = 0;
	uint64_t longest = 0;
	uint32_t index;

	for (index = 0; index < writers; index++) {
		total += (double)pen->samples[index][system].count;
		if (pen->samples[index][system].longest_ns > longest)
			longest = pen->samples[index][system].longest_ns;
	}
	bench_add(bench, subject, name, "commits a second", total / seconds,
		  "1/s");
	bench_add(bench, subject, name, "a commit, median", ns[count / 2] / 1e6,
		  "ms");
	bench_add(bench, subject, name, "a commit, 99 of 100",
		  ns[count - 1 - count / 100] / 1e6, "ms");
	bench_add(bench, subject, name, "a commit, longest",
		  (double)longest / 1e6, "ms");
	free(ns);
	if (system != LMDB)
		groups_add(bench, subject, pen, writers, system);
	return total / seconds;
}

static void writers_measure(struct bench *bench, uint32_t writers)
{
	static uint32_t first_key;
	struct pen *pen = shared_memory(sizeof *pen);
	double seconds[SYSTEMS] = {0};
	double rates[SYSTEMS];
	double long_enough = bench->quick ? 0.3 : 1.5;
	int pids[WRITERS_MAX];
	char subject[64];
	uint32_t index;
	int round;

	for (index = 0; index < writers; index++)
		pids[index] = writer_start(bench, pen, index, first_key);
	first_key += 10000000;
	while (atomic_load(&pen->ready) < writers)
		nap_us(1000);
	for (round = 0; round < ROUNDS; round++)
		for (index = 0; index < SYSTEMS; index++)
			seconds[index] += round_run(
			    pen, writers, (enum system)index, long_enough);
	round_run(pen, writers, SYSTEMS, 0);
	for (index = 0; index < writers; index++)
		bench_await(pids[index], "a writer");
	snprintf(subject, sizeof subject, "%u writer%s", writers,
		 writers == 1 ? "" : "s");
	for (index = 0; index < SYSTEMS; index++)
		rates[index] = system_add(bench, subject, pen, writers,
					  (enum system)index, seconds[index]);
	bench_add(bench, subject, "coppice", "ratio to LMDB",
		  rates[DURABLE] / rates[LMDB], "x");
	munmap(pen, sizeof *pen);
}

/* ---- how soon others see it --------------------------------------------- */

static void sight_watch(const struct bench *bench, struct pen *pen,
			uint64_t before)
{
	struct writer watcher = {.pen = pen};
	uint64_t seen = before;

	/* short sleeps: who only spins gets no processor when they are busy */
	prctl(PR_SET_TIMERSLACK, 1);
	writer_open(&watcher, bench);
	atomic_store(&pen->ready, 1);
	while (seen < before + SEEN) {
		uint64_t newest = newest_commit(&watcher);
		uint64_t now_ns = bench_now_ns();

		if (newest == seen)
			nap_us(2);

		while (seen < newest && seen < before + SEEN)
			pen->seen_ns[seen++ - before] = now_ns;
	}
	_exit(0);
}

static void sight_add(struct bench *bench, const struct pen *pen,
		      const char *system)
{
	static struct bench_series after;
	const char *subject = "seen by another process";
	uint32_t before = 0;
	uint32_t index;

	after.count = 0;
	for (index = 0; index < SEEN; index++) {
		uint64_t returned_ns = atomic_load(&pen->returned_ns[index]);
		uint64_t seen_ns = pen->seen_ns[index];

		before += seen_ns < returned_ns;
		bench_series_add(&after,
				 seen_ns < returned_ns
				     ? 0
				     : (double)(seen_ns - returned_ns) / 1e3);
	}
	bench_add(bench, subject, system, "before it returned",
		  before * 100.0 / SEEN, "%");
	bench_add(bench, subject, system, "after it returned, median",
		  bench_series_median(&after), "us");
	bench_add(bench, subject, system, "after it returned, 99 of 100",
		  bench_series_quantile(&after, 0.99), "us");
}

static void sight_measure(struct bench *bench, enum system system)
{
	struct pen *pen = shared_memory(sizeof *pen);
	struct writer writer = {.pen = pen, .index = 98, .next = 0};
	uint64_t before;
	uint32_t index;
	int pid;

	writer_open(&writer, bench);
	writer.next = (uint32_t)system * 1000000;
	before = newest_commit(&writer);
	pid = bench_fork();
	if (pid == 0)
		sight_watch(bench, pen, before);
	while (atomic_load(&pen->ready) == 0)
		nap_us(1000);
	for (index = 0; index < SEEN; index++) {
		store_commit(&writer, system == LAZY ? COP_LAZY : COP_DURABLE);
		atomic_store(&pen->returned_ns[index], bench_now_ns());
		nap_us(200);
	}
	bench_await(pid, "the watcher");
	sight_add(bench, pen, system_names[system]);
	cop_read_end(writer.read);
	cop_abort(writer.write);
	cop_close(writer.store);
	mdb_env_close(writer.env);
	munmap(pen, sizeof *pen);
}

/* ---- bulk --------------------------------------------------------------- */

static double bulk_store(struct writer *writer, uint32_t total, uint32_t each)
{
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	for (index = 1; index <= total; index++) {
		put_one(writer);
		if (index % each == 0)
			bench_check("cop_commit",
				    cop_commit(writer->write, NULL));
	}
	return total / bench_seconds_since(start_ns);
}

static double bulk_lmdb(struct writer *writer, uint32_t total, uint32_t each)
{
	uint64_t start_ns = bench_now_ns();
	MDB_val value = {VALUE_BYTES, writer->value};
	MDB_txn *txn = NULL;
	uint32_t index;

	for (index = 1; index <= total; index++) {
		char name[24];
		MDB_val key = {key_of(writer, writer->next++, name), name};

		if (txn == NULL)
			check_mdb("mdb_txn_begin",
				  mdb_txn_begin(writer->env, NULL, 0, &txn));
		check_mdb("mdb_put",
			  mdb_put(txn, writer->dbi, &key, &value, 0));
		if (index % each != 0)
			continue;
		check_mdb("mdb_txn_commit", mdb_txn_commit(txn));
		txn = NULL;
	}
	return total / bench_seconds_since(start_ns);
}

static void bulk_measure(struct bench *bench, struct writer *writer,
			 uint32_t each)
{
	static struct bench_series store;
	static struct bench_series lmdb;
	uint32_t total = bench->quick ? 20000 : 100000;
	char subject[64];
	int round;

	store.count = 0;
	lmdb.count = 0;
	for (round = 0; round < ROUNDS; round++) {
		bench_series_add(&lmdb, bulk_lmdb(writer, total, each));
		bench_series_add(&store, bulk_store(writer, total, each));
	}
	snprintf(subject, sizeof subject, "%u entities a transaction", each);
	bench_add(bench, subject, "LMDB", "entities a second",
		  bench_series_median(&lmdb), "1/s");
	bench_add(bench, subject, "coppice", "entities a second",
		  bench_series_median(&store), "1/s");
}

/* ---- many open transactions --------------------------------------------- */

static void open_one(cop_store *store, uint32_t index, cop_txn **out)
{
	char key[24];
	struct cop_entity entity;
	struct cop_put put = {.size = sizeof put, .key = key};

	/* each a key of its own, so that none conflicts */
	put.key_size = (uint32_t)snprintf(key, sizeof key, "open-%u", index);
	bench_check("cop_txn_begin", cop_txn_begin(store, out));
	bench_check("cop_txn_get",
		    cop_txn_get(*out, key, put.key_size, &entity));
	bench_check("cop_put", cop_put(cop_txn_write(*out), &put));
}

static void open_measure(struct bench *bench, cop_store *store)
{
	const char *subject = "10,000 transactions open at once";
	static cop_txn *txns[OPEN];
	uint64_t before = bench_anonymous_bytes(getpid());
	uint64_t start_ns = bench_now_ns();
	struct cop_commit_options lazy = {.size = sizeof lazy,
					  .durability = COP_LAZY};
	uint32_t count = bench->quick ? OPEN / 10 : OPEN;
	uint32_t commits = count / 10;
	uint32_t index;

	for (index = 0; index < count; index++)
		open_one(store, index, &txns[index]);
	bench_add(bench, subject, "coppice", "begun, one read, one put",
		  bench_seconds_since(start_ns) * 1e6 / count, "us");
	bench_add(bench, subject, "coppice", "memory each",
		  (double)(bench_anonymous_bytes(getpid()) - before) / count,
		  "bytes");
	start_ns = bench_now_ns();
	for (index = 0; index < commits; index++)
		bench_check(
		    "cop_txn_commit_with",
		    cop_commit_with(cop_txn_write(txns[index]), &lazy, NULL));
	bench_add(bench, subject, "coppice", "a lazy commit of one",
		  bench_seconds_since(start_ns) * 1e6 / commits, "us");
	for (index = 0; index < count; index++)
		cop_txn_end(txns[index]);
}

static void run(struct bench *bench)
{
	static const uint32_t counts[] = {1, 2, 8, 64};
	struct writer writer = {.index = 99};
	char path[4096];
	size_t index;

	bench_path(bench, "lmdb", path, sizeof path);
	lmdb_open(&writer, path, 1);
	mdb_env_close(writer.env);
	bench_path(bench, "store", path, sizeof path);
	cop_close(bench_store_create(path, 0, 0, 1000000));
	for (index = 0; index < sizeof counts / sizeof *counts; index++)
		writers_measure(bench, counts[index]);
	sight_measure(bench, DURABLE);
	sight_measure(bench, LAZY);
	writer_open(&writer, bench);
	bulk_measure(bench, &writer, 1000);
	bulk_measure(bench, &writer, 10000);
	open_measure(bench, writer.store);
	cop_abort(writer.write);
	cop_read_end(writer.read);
	cop_close(writer.store);
	mdb_env_close(writer.env);
}

int main(int argument_count, char **arguments)
{
	return bench_main("commit", argument_count, arguments, run);
}
