/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes on one store, and what is left of those that are killed.
 *
 * idea
 *	The whole state of the store follows from the number of its newest
 *	commit: every entity says that number, vectors and one edge are
 *	functions of it.  So any process can tell, from its own read alone,
 *	whether it sees one commit whole.  The writer puts the number of each
 *	commit that has returned into memory shared with all; a read begun
 *	after that must see it, and what was acknowledged must be there after
 *	any kill.
 */
#include "fixture.h"
#include "link.h"

#include <sched.h>
#include <sys/mman.h>

enum {
	DIM = 8,
	KEYS = 24,
	READERS = TEST_ASAN ? 20 : 60,
	ROUNDS = TEST_ASAN ? 10 : 60
};

static struct {
	_Atomic uint64_t returned; /* newest commit whose call has returned */
	_Atomic uint32_t ready;
	_Atomic uint32_t go;
	_Atomic uint32_t stop;
	_Atomic uint32_t failed;
	_Atomic uint64_t rounds[READERS];
} * shared;

/* ---- a state, from its number ------------------------------------------- */

static void key_of(char *key, uint64_t i)
{
	snprintf(key, 16, "key-%u", (unsigned)i);
}

/* Whole numbers below 2048, which a half holds exactly. */
static void vector_of(float *vector, uint64_t i, uint64_t commit)
{
	for (uint64_t d = 0; d < DIM; d++)
		vector[d] = (float)((commit * 7 + d) % 50);
	vector[0] += (float)i;
}

static uint64_t hub_of(uint64_t commit)
{
	return 1 + commit % (KEYS - 1);
}

static cop_err state_put(cop_write *write, uint64_t commit)
{
	cop_err err = 0;
	char key[16];

	for (uint64_t i = 0; i < KEYS && !err; i++) {
		float vector[DIM];
		struct cop_property number = {
		    "n", 1, {.kind = COP_INT, .integer = (int64_t)commit}};
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .properties = &number,
				      .property_count = 1,
				      .vector = vector,
				      .dim = DIM};

		key_of(key, i);
		vector_of(vector, i, commit);
		put.key_size = (uint32_t)strlen(key);
		put.type = commit / 3 % 2 ? "odd" : "even";
		put.type_size = strlen(put.type);
		err = cop_put(write, &put);
	}
	key_of(key, hub_of(commit - 1));
	if (!err)
		err = cop_delete_edge(write, "key-0", 5, "at", 2, key,
				      strlen(key));
	key_of(key, hub_of(commit));
	if (!err)
		err = link_simple(write, "key-0", "at", key);
	if (!err && commit % 2)
		err = cop_delete(write, "even", 4);
	else if (!err)
		put_simple(write, "even", NULL, NULL, 0);
	return err;
}

/* Commits state `commit`, the store being at the one before. */
static cop_err state_commit(cop_store *store, uint64_t commit)
{
	struct cop_result result = {.size = sizeof result};
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (err)
		return err;
	err = state_put(write, commit);
	if (!err)
		err = cop_commit(write, &result);
	cop_abort(write);
	if (!err && result.commit != commit)
		err = COP_CORRUPT;
	if (!err)
		shared->returned = commit;
	return err;
}

/* 1 if the read sees all of its commit and nothing else. */
static int search_is_right(cop_read *read, uint64_t commit, int exact)
{
	struct cop_search search = {
	    .size = sizeof search, .k = KEYS + 3, .exact = exact};
	struct cop_hit hits[KEYS + 3];
	float query[DIM];
	uint32_t count;
	int right;

	vector_of(query, 0, commit);
	search.vector = query;
	must(cop_search(read, &search, hits, &count), "search");
	right = count == KEYS;
	for (uint32_t i = 0; i < count; i++)
		right &=
		    hits[i].id == i + 1 && hits[i].distance == (double)i * i;
	search.type = commit / 3 % 2 ? "even" : "odd"; /* the other one */
	must(cop_search(read, &search, hits, &count), "search");
	return right && !count;
}

static int state_is_right(cop_read *read)
{
	uint64_t commit = cop_read_commit(read);
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 1, .start = 1, .relation = "at"};
	struct cop_step steps[4];
	size_t n;
	int right = 1;

	for (uint64_t i = 0; i < KEYS; i++) {
		struct cop_entity entity;
		struct cop_value value;
		char key[16];
		int found = 0;

		key_of(key, i);
		must(cop_get(read, key, strlen(key), &entity), "get");
		if (entity.id)
			must(cop_entity_property(read, &entity, "n", 1, &found,
						 &value),
			     "property");
		right &= entity.id == i + 1 && entity.version == commit &&
			 found && value.integer == (int64_t)commit;
	}
	right &= (lookup(read, "even") != 0) == (commit % 2 == 0);
	must(cop_walk(read, &walk, steps, 4, &n, NULL), "walk");
	right &= n == 2 && steps[1].id == hub_of(commit) + 1;
	return right && search_is_right(read, commit, 0) &&
	       search_is_right(read, commit, 1);
}

static void store_make(struct fixture *f)
{
	fixture_init(f, DIM, COP_L2);
	must(state_commit(f->store, 1), "commit");
	must(state_commit(f->store, 2), "commit");
}

static void shared_clear(void)
{
	shared->ready = 0;
	shared->go = 0;
	shared->stop = 0;
	fflush(stdout);
}

/* ---- sixty --------------------------------------------------------------- */

/* Says what an error was; 0. */
static int told(const char *what)
{
	diag("%s: %s", what, cop_last_error());
	return 0;
}

/* One round: 1 if a read begun now sees what has returned, and it whole. */
static int round_is_right(cop_store *store)
{
	uint64_t returned = shared->returned;
	cop_read *read;
	int right;

	if (cop_read_begin(store, &read))
		return told("a read is refused");
	right = cop_read_commit(read) >= returned;
	if (!right)
		diag("commit %" PRIu64 " has returned, a read sees %" PRIu64,
		     returned, cop_read_commit(read));
	if (right && !state_is_right(read)) {
		right = 0;
		diag("commit %" PRIu64 " is not seen whole",
		     cop_read_commit(read));
	}
	returned = shared->returned;
	if (cop_read_refresh(read))
		right = told("a refresh is refused");
	else
		right &=
		    cop_read_commit(read) >= returned && state_is_right(read);
	cop_read_end(read);
	return right;
}

static int reader_body(const struct fixture *f, uint32_t index)
{
	cop_store *store;

	alarm(100);
	shared->ready++;
	while (!shared->go)
		sched_yield();
	must(cop_open(f->path, NULL, &store), "open");
	shared->ready++;
	while (!shared->stop) {
		if (!round_is_right(store)) {
			shared->failed = 1;
			return 1;
		}
		shared->rounds[index]++;
	}
	if (!round_is_right(store)) /* the last commit of all */
		return 1;
	cop_close(store);
	return 0;
}

static int rounds_of_all(uint64_t at_least)
{
	for (int i = 0; i < READERS; i++)
		if (shared->rounds[i] < at_least)
			return 0;
	return 1;
}

static void sixty_processes_see_every_commit_whole(void)
{
	struct fixture f;
	pid_t pids[READERS];
	uint64_t commit = 2;
	int right = 0;

	store_make(&f);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	shared_clear();
	for (uint32_t i = 0; i < READERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(reader_body(&f, i));
	}
	while (shared->ready < READERS)
		sched_yield();
	shared->go = 1; /* all of them attach now, and this one */
	fixture_open(&f);
	for (int i = 0; i < ROUNDS; i++)
		must(state_commit(f.store, ++commit), "commit");
	while (shared->ready < 2 * READERS)
		sched_yield();
	for (int i = 0; i < ROUNDS; i++)
		must(state_commit(f.store, ++commit), "commit");
	while (!rounds_of_all(1) && !shared->failed)
		must(state_commit(f.store, ++commit), "commit");
	shared->stop = 1;
	for (int i = 0; i < READERS; i++)
		right += child_wait(pids[i]) == 0;
	is_int(right, READERS,
	       "%d processes attach at once and see each of %" PRIu64
	       " commits whole, as soon as it has returned",
	       READERS, commit);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* Every process writes in its turn; each sees what the one before wrote. */
static int writer_in_turn(const struct fixture *f, uint32_t index,
			  uint32_t count)
{
	cop_store *store;

	alarm(100);
	must(cop_open(f->path, NULL, &store), "open");
	for (uint64_t at = 3 + index; at < 3 + count * 3; at += count) {
		while (shared->returned < at - 1)
			sched_yield();
		if (!round_is_right(store) || state_commit(store, at))
			return 1;
	}
	cop_close(store);
	return 0;
}

static void processes_write_in_turn(void)
{
	enum { WRITERS = TEST_ASAN ? 8 : 16 };
	struct fixture f;
	pid_t pids[WRITERS];
	int right = 0;

	store_make(&f);
	shared_clear();
	for (uint32_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(writer_in_turn(&f, i, WRITERS));
	}
	for (int i = 0; i < WRITERS; i++)
		right += child_wait(pids[i]) == 0;
	is_int(right, WRITERS,
	       "%d processes commit in turn, each seeing the "
	       "one before",
	       WRITERS);
	ok(round_is_right(f.store), "and this one sees the last");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* All at once: every commit of each is there, and numbers are all used. */
static int writer_at_once(const struct fixture *f, uint32_t index,
			  uint32_t count)
{
	struct cop_result result = {.size = sizeof result};
	uint64_t before = 0;
	cop_store *store;

	alarm(100);
	must(cop_open(f->path, NULL, &store), "open");
	for (uint32_t i = 0; i < count; i++) {
		cop_write *write;
		char key[32];

		snprintf(key, sizeof key, "w%u-%u", index, i);
		must(cop_write_begin(store, &write), "write");
		put_simple(write, key, "w", NULL, 0);
		must(link_simple(write, key, "to", "key-0"), "link");
		must(cop_commit(write, &result), "commit");
		cop_abort(write);
		if (result.commit <= before)
			return 1;
		before = result.commit;
	}
	cop_close(store);
	return 0;
}

static int32_t edge_count(void *user, cop_read *read,
			  const struct cop_edge *edge)
{
	(void)read;
	(void)edge;
	++*(uint64_t *)user;
	return 0;
}

static void processes_write_at_once(void)
{
	enum { WRITERS = 8, EACH = TEST_ASAN ? 10 : 25 };
	struct fixture f;
	pid_t pids[WRITERS];
	uint64_t edges = 0;
	int right = 0;
	int there = 0;
	cop_read *read;

	store_make(&f);
	fflush(stdout);
	for (uint32_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(writer_at_once(&f, i, EACH));
	}
	for (int i = 0; i < WRITERS; i++)
		right += child_wait(pids[i]) == 0;
	is_int(right, WRITERS, "eight processes commit at once");
	read = read_of(&f);
	ok(cop_read_commit(read) > 2 &&
	       cop_read_commit(read) <= 2 + WRITERS * EACH,
	   "in as many commits of the store, or fewer");
	for (uint32_t i = 0; i < WRITERS * EACH; i++) {
		char key[32];

		snprintf(key, sizeof key, "w%u-%u", i / EACH, i % EACH);
		there += lookup(read, key) != 0;
	}
	must(cop_edges(read, 1, COP_IN, edge_count, &edges), "edges");
	ok(there == WRITERS * EACH && edges == WRITERS * EACH,
	   "and what each of them put is there");
	cop_read_end(read);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- killed readers ------------------------------------------------------ */

static int reader_that_waits(const struct fixture *f)
{
	cop_store *store;
	cop_read *read;

	must(cop_open(f->path, NULL, &store), "open");
	must(cop_read_begin(store, &read), "read");
	if (!state_is_right(read))
		return 1;
	shared->ready = 1;
	while (!shared->stop)
		usleep(1000);
	return state_is_right(read) ? 0 : 2;
}

static void a_killed_reader_holds_no_memory_back(void)
{
	/* a commit in a hurry leaves LINK_LIMBO to free, of link.h */
	enum { COMMITS = TEST_ASAN ? 30 : 100, LEFT = LINK_LIMBO + 2 * KEYS };
	struct fixture f;
	struct cop_stats held;
	struct cop_stats freed;
	struct cop_stats later;
	uint64_t commit = 2;
	pid_t pid;

	store_make(&f);
	shared_clear();
	pid = fork();
	if (!pid)
		_exit(reader_that_waits(&f));
	while (!shared->ready && !waitpid(pid, NULL, WNOHANG))
		sched_yield();
	if (!shared->ready)
		bail_out("the reader did not come up");
	for (int i = 0; i < COMMITS; i++)
		must(state_commit(f.store, ++commit), "commit");
	held = stats_of(f.store);
	ok(held.limbo >= (uint64_t)KEYS * (COMMITS - 1) &&
	       held.bank_rows >= (uint64_t)KEYS * COMMITS,
	   "an open read holds back the rows of %d commits", COMMITS);
	kill(pid, SIGKILL);
	is_int(child_wait(pid), 128 + SIGKILL, "it is killed");
	for (int i = 0; i < 5; i++)
		must(state_commit(f.store, ++commit), "commit");
	freed = stats_of(f.store);
	ok(freed.limbo <= LEFT && freed.bank_rows <= LEFT + 3 * KEYS,
	   "a few commits later all but a few of its rows are free");
	if (freed.limbo > LEFT || freed.bank_rows > LEFT + 3 * KEYS)
		diag("limbo %" PRIu64 ", rows %" PRIu64, freed.limbo,
		     freed.bank_rows);
	for (int i = 0; i < COMMITS; i++)
		must(state_commit(f.store, ++commit), "commit");
	later = stats_of(f.store);
	is_u64(later.bank_bytes, held.bank_bytes,
	       "%d more commits need no more shared memory", COMMITS);
	ok(later.limbo <= LEFT, "and leave little in limbo");
	ok(later.disk_bytes <= freed.disk_bytes * 2,
	   "nor does the data file grow on and on");
	if (later.disk_bytes > freed.disk_bytes * 2)
		diag("%" PRIu64 " bytes, then %" PRIu64, freed.disk_bytes,
		     later.disk_bytes);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* A reader that only lags is never robbed of what it sees. */
static void a_slow_reader_is_waited_for(void)
{
	struct fixture f;
	uint64_t commit = 2;
	pid_t pid;

	store_make(&f);
	shared_clear();
	pid = fork();
	if (!pid)
		_exit(reader_that_waits(&f));
	while (!shared->ready && !waitpid(pid, NULL, WNOHANG))
		sched_yield();
	if (!shared->ready)
		bail_out("the reader did not come up");
	kill(pid, SIGSTOP);
	for (int i = 0; i < ROUNDS; i++)
		must(state_commit(f.store, ++commit), "commit");
	kill(pid, SIGCONT);
	shared->stop = 1;
	is_int(child_wait(pid), 0,
	       "a reader that was stopped for %d commits still sees its own",
	       ROUNDS);
	fixture_release(&f);
}

/* ---- killed writers ------------------------------------------------------ */

static int writer_on_and_on(const struct fixture *f)
{
	cop_store *store;
	cop_read *read;
	uint64_t commit;

	must(cop_open(f->path, NULL, &store), "open");
	must(cop_read_begin(store, &read), "read");
	commit = cop_read_commit(read);
	cop_read_end(read);
	shared->ready = 1;
	for (;;)
		if (state_commit(store, ++commit))
			return 1;
}

static int reader_on_and_on(const struct fixture *f)
{
	cop_store *store;

	must(cop_open(f->path, NULL, &store), "open");
	for (;;)
		if (!round_is_right(store))
			return 1;
}

struct aftermath {
	int lost; /* what had returned is not there, or something by halves */
	int refused; /* a commit or a read is, though nothing is wrong */
};

/*
 * A commit of nothing: it takes the writer lock, and so repairs.  The commit
 * that was under way at the kill may show only now.  1 if it was refused.
 */
static int write_nothing(cop_store *store)
{
	cop_write *write;
	int refused = 0;

	must(cop_write_begin(store, &write), "write");
	if (cop_commit(write, NULL))
		refused = !told("a commit of nothing after a kill");
	cop_abort(write);
	return refused;
}

/* A read's commit, or 0 if it is refused; *right if it is seen whole. */
static uint64_t commit_seen(cop_store *store, int *right)
{
	cop_read *read;
	uint64_t commit;

	if (cop_read_begin(store, &read)) {
		(void)told("a read after a kill");
		return 0;
	}
	commit = cop_read_commit(read);
	*right = state_is_right(read);
	if (!*right)
		diag("commit %" PRIu64 " is not seen whole", commit);
	cop_read_end(read);
	return commit;
}

/* What must hold after a kill, whatever the moment. */
static void aftermath_look(cop_store *store, int check, struct aftermath *after)
{
	uint64_t returned = shared->returned;
	int right = 1;
	uint64_t before = commit_seen(store, &right);
	uint64_t commit;

	after->lost += !right;
	after->refused += !before;
	/* twice: should the first be refused, the second has to work */
	if (write_nothing(store)) {
		after->refused++;
		(void)write_nothing(store);
	}
	commit = commit_seen(store, &right);
	after->lost += !right;
	if (commit < returned || commit > returned + 1 || commit < before) {
		after->lost++;
		diag("%" PRIu64 " returned, a read saw %" PRIu64
		     ", then %" PRIu64,
		     returned, before, commit);
	}
	if (check)
		after->lost += findings_of(store) != 0;
	if (state_commit(store, commit + 1))
		after->refused += !told("a commit after a kill");
	after->lost += !round_is_right(store);
}

static void pause_random(uint64_t *state)
{
	static const uint64_t most[] = {10, 300, 3000, 10000};

	usleep((useconds_t)test_below(state, most[test_below(state, 4)]) + 1);
}

/* Kills are after a random time; in some rounds nobody else is attached. */
static void writers_are_killed_at_any_time(uint64_t seed)
{
	enum { KILLS = TEST_ASAN ? 30 : 100 };
	struct fixture f;
	uint64_t state = seed;
	uint64_t first;
	struct aftermath after = {0, 0};
	int wrong = 0;
	int early = 0;

	store_make(&f);
	first = shared->returned;
	for (int i = 0; i < KILLS; i++) {
		int alone = test_below(&state, 3) == 0;
		pid_t reader = 0;
		pid_t pid;

		if (alone)
			fixture_close(&f);
		shared_clear();
		pid = fork();
		if (!pid)
			_exit(writer_on_and_on(&f));
		if (test_below(&state, 4) == 0) {
			reader = fork();
			if (!reader)
				_exit(reader_on_and_on(&f));
		}
		while (!shared->ready && test_below(&state, 50))
			usleep(100);
		early += !shared->ready;
		pause_random(&state);
		kill(pid, SIGKILL);
		wrong += child_wait(pid) != 128 + SIGKILL;
		if (reader) {
			kill(reader, SIGKILL);
			wrong += child_wait(reader) != 128 + SIGKILL;
		}
		if (alone)
			fixture_open(&f);
		aftermath_look(f.store, i % 5 == 0, &after);
	}
	is_int(wrong + after.lost, 0,
	       "%d writers are killed, %d of them while attaching, after "
	       "%" PRIu64 " commits in all: what had returned is there, and "
	       "nothing by halves",
	       KILLS, early, shared->returned - first);
	is_int(after.refused, 0, "and whoever comes next reads and commits");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	ok(round_is_right(f.store), "and a segment built anew says the same");
	is_u64(findings_of(f.store), 0, "the check finds nothing in it");
	fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(300);
	seed = test_seed();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sixty_processes_see_every_commit_whole();
	processes_write_in_turn();
	processes_write_at_once();
	a_killed_reader_holds_no_memory_back();
	a_slow_reader_is_waited_for();
	writers_are_killed_at_any_time(seed);
	return done_testing();
}
