/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a segment that was replaced is given back though processes
 * that make no call have it mapped; and not while one reads it.
 *
 * idea
 *	A child opens the store, searches, and then waits at a pipe for a word:
 *	an idle one between two reads, a reading one in the middle of a read.
 *	The old segment's file is held open here, so how much of it there is can
 *	be asked after its name is gone.
 */
#include "fixture.h"
#include "point.h"
#include "store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { DIM = 32, KEYS = 4000, HITS = 10, ROUNDS = 24, READERS = 3 };

static struct {
	_Atomic uint32_t stop;
	_Atomic uint64_t searches;
} * shared;

static void vector_of(float *vector, uint64_t i)
{
	uint64_t state = i + 1;

	for (uint64_t d = 0; d < DIM; d++)
		vector[d] = (float)(test_random(&state) % 1000);
}

static void key_of(char *key, uint64_t i)
{
	snprintf(key, 16, "k%u", (unsigned)i);
}

static void store_make(struct fixture *f)
{
	cop_write *write;
	float vector[DIM];
	char key[16];

	fixture_init(f, DIM, COP_L2);
	write = write_of(f);
	for (uint64_t i = 0; i < KEYS; i++) {
		key_of(key, i);
		vector_of(vector, i);
		put_simple(write, key, "T", vector, DIM);
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	must(cop_maintain(f->store, NULL, NULL), "maintain");
}

/* Whether the nearest of an entity's vector is that entity. */
static int finds(cop_read *read, uint64_t i)
{
	struct cop_search search = {.size = sizeof search, .k = HITS};
	struct cop_entity entity = {0};
	struct cop_hit hits[HITS];
	float vector[DIM];
	uint32_t count = 0;
	char key[16];

	key_of(key, i);
	vector_of(vector, i);
	search.vector = vector;
	return !cop_search(read, &search, hits, &count) && count == HITS &&
	       !cop_get(read, key, strlen(key), &entity) &&
	       entity.id == hits[0].id;
}

static int store_finds(cop_store *store, uint64_t i)
{
	cop_read *read;
	int found;

	if (cop_read_begin(store, &read))
		return 0;
	found = finds(read, i);
	cop_read_end(read);
	return found;
}

/* ---- children ----------------------------------------------------------- */

struct child {
	pid_t pid;
	int said; /* a byte comes when it is where it is to be */
	int tell;
};

static void word_wait(int fd)
{
	char word;

	if (read(fd, &word, 1) != 1)
		_exit(9);
}

static void word_say(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(9);
}

/* Searches, idles until it is told to, and searches again. */
static int idle_run(const struct fixture *f, int said, int told)
{
	cop_store *store;
	int right;

	if (cop_open(f->path, NULL, &store))
		return 2;
	right = store_finds(store, 1) && store_finds(store, 2);
	word_say(said);
	word_wait(told);
	right = right && store_finds(store, 3) && store_finds(store, 4);
	cop_close(store);
	return !right;
}

/* The same in the middle of a read. */
static int reading_run(const struct fixture *f, int said, int told)
{
	cop_store *store;
	cop_read *read;
	int right;

	if (cop_open(f->path, NULL, &store) || cop_read_begin(store, &read))
		return 2;
	right = finds(read, 1);
	word_say(said);
	word_wait(told);
	for (uint64_t i = 0; right && i < KEYS; i += 7)
		right = finds(read, i);
	cop_read_end(read);
	right = right && store_finds(store, 4);
	cop_close(store);
	return !right;
}

static struct child child_start(const struct fixture *f,
				int (*run)(const struct fixture *f, int said,
					   int told))
{
	struct child child;
	int said[2];
	int told[2];

	if (pipe(said) || pipe(told))
		bail_out("pipe: %s", strerror(errno));
	fflush(stdout);
	child.pid = fork();
	if (!child.pid) {
		alarm(120);
		_exit(run(f, said[1], told[0]));
	}
	close(said[1]);
	close(told[0]);
	child.said = said[0];
	child.tell = told[1];
	word_wait(child.said);
	return child;
}

static int child_end(const struct child *child)
{
	word_say(child->tell);
	close(child->said);
	close(child->tell);
	return child_wait(child->pid);
}

/* ---- claims ------------------------------------------------------------- */

static int segment_file(const struct fixture *f)
{
	struct index *index = index_hold(f->store);
	int fd = attach_index_file(f->store, index->number);

	index_drop(f->store, index);
	if (fd < 0)
		bail_out("the segment's file: %s", strerror(errno));
	return fd;
}

static int64_t bytes_of_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		bail_out("fstat: %s", strerror(errno));
	return (int64_t)st.st_blocks * 512;
}

static void replace(struct fixture *f, int compacts)
{
	struct cop_rebuild_result result = {.size = sizeof result};

	if (compacts)
		must(cop_compact(f->store, NULL, NULL), "compact");
	else
		must(cop_rebuild(f->store, NULL, 0, &result), "rebuild");
}

static void memory_goes_while_processes_idle(int compacts)
{
	const char *what = compacts ? "a compaction" : "a rebuild";
	struct child children[2];
	struct fixture f;
	int64_t before;
	int file;

	store_make(&f);
	children[0] = child_start(&f, idle_run);
	children[1] = child_start(&f, idle_run);
	file = segment_file(&f);
	before = bytes_of_file(file);
	replace(&f, compacts);
	ok(before > 1 << 20 && bytes_of_file(file) <= 1 << 16,
	   "%s gives back the memory that idle processes have mapped "
	   "(%lld KiB, then %lld)",
	   what, (long long)before / 1024,
	   (long long)bytes_of_file(file) / 1024);
	is_int(child_end(&children[0]), 0, "one of them goes on");
	is_int(child_end(&children[1]), 0, "and the other");
	ok(store_finds(f.store, 5), "so does who replaced it");
	close(file);
	fixture_release(&f);
}

static void memory_stays_while_it_is_read(void)
{
	struct child child;
	struct fixture f;
	int64_t before;
	int file;

	store_make(&f);
	child = child_start(&f, reading_run);
	file = segment_file(&f);
	before = bytes_of_file(file);
	replace(&f, 0);
	is_int(bytes_of_file(file), before, "what is read stays");
	is_int(child_end(&child), 0, "and is right");
	close(file);
	fixture_release(&f);
}

static void memory_goes_after_a_reader_was_killed(void)
{
	struct child child;
	struct fixture f;
	int file;

	store_make(&f);
	child = child_start(&f, reading_run);
	kill(child.pid, SIGKILL);
	(void)child_wait(child.pid);
	file = segment_file(&f);
	replace(&f, 0);
	ok(bytes_of_file(file) <= 1 << 16, "a dead reader holds nothing");
	close(child.said);
	close(child.tell);
	close(file);
	fixture_release(&f);
}

static void reader_run(const struct fixture *f)
{
	cop_store *store;
	uint64_t i = 0;

	if (cop_open(f->path, NULL, &store))
		_exit(2);
	while (!shared->stop) {
		if (!store_finds(store, i++ % KEYS))
			_exit(1);
		shared->searches++;
	}
	cop_close(store);
	_exit(0);
}

static void readers_never_see_it_go(void)
{
	pid_t pids[READERS];
	struct fixture f;
	int wrong = 0;

	store_make(&f);
	fflush(stdout);
	for (int i = 0; i < READERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			alarm(240);
			reader_run(&f);
		}
	}
	for (int i = 0; i < ROUNDS; i++)
		replace(&f, i % 8 == 7);
	shared->stop = 1;
	for (int i = 0; i < READERS; i++)
		wrong += child_wait(pids[i]) != 0;
	is_int(wrong, 0,
	       "readers find all while %d segments go (%llu searches)", ROUNDS,
	       (unsigned long long)shared->searches);
	fixture_release(&f);
}

int main(void)
{
	test_begin(TEST_ASAN ? 900 : 300);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory_goes_while_processes_idle(0);
	memory_goes_while_processes_idle(1);
	memory_stays_while_it_is_read();
	memory_goes_after_a_reader_was_killed();
	readers_never_see_it_go();
	return done_testing();
}
