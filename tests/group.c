/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: many processes' writes share a transaction, and whoever dies
 * or is refused harms nobody else.
 *
 * idea
 *	A group is made at will: whoever is to lead takes the writer lock,
 *	stops at the point "settled" until as many requests wait as are wanted,
 *	and goes on.  There it may be killed or stopped, at this point or at
 *	any later one.
 *	Every poster puts a key of its own, and expects that it is not there
 *	yet: a request that were executed twice would be COP_CONFLICT.
 *
 *	The stores are on a tmpfs: what is tested is processes, not disks.
 */
#include "commit.h"
#include "fixture.h"
#include "lock.h"
#include "mailbox.h"
#include "point.h"
#include "request.h"
#include "write.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { DIM = 4, REPORTS = 64, RESULTS = 16, GROUP = 256 };

/* What a poster says of its commit. */
struct report {
	int32_t returned;
	int32_t err;
	uint32_t failed;
	uint64_t commit;
	struct cop_ticket ticket;
	char words[256];
};

static struct shared {
	_Atomic uint32_t ready;
	_Atomic uint32_t go;
	_Atomic uint32_t leading;
	_Atomic uint32_t over; /* waits of more groups than there may be */
	_Atomic uint64_t posted;
	_Atomic uint64_t waits[4]; /* requests by groups waited for */
	struct report reports[REPORTS];
} * shared;

static void store_make(struct fixture *f)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .history = COP_HISTORY_NONE};

	strcpy(f->folder, "/dev/shm/cop-group-XXXXXX");
	if (!mkdtemp(f->folder))
		bail_out("mkdtemp: %s", strerror(errno));
	snprintf(f->path, sizeof f->path, "%s/store", f->folder);
	must(cop_create(f->path, &options), "create");
	fixture_open(f);
}

static void shared_clear(void)
{
	memset(shared, 0, sizeof *shared);
}

static void nap(void)
{
	usleep(200);
}

static uint32_t waiting_now(cop_store *store)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < mailbox_limit(&store->mailboxes); i++)
		count +=
		    mailbox_look(&store->mailboxes, i, MAILBOX_POSTED) != 0;
	return count;
}

static void posted_await(cop_store *store, uint32_t count)
{
	while (waiting_now(store) < count)
		nap();
}

static uint64_t version_of(struct fixture *f, const char *key)
{
	cop_read *read = read_of(f);
	struct cop_entity entity;
	uint64_t version;

	must(cop_get(read, key, strlen(key), &entity), "get");
	version = entity.id ? entity.version : 0;
	cop_read_end(read);
	return version;
}

/* ---- posters ------------------------------------------------------------ */

enum kind {
	PUT,	  /* a key that must not be there yet */
	DANGLING, /* a put, then an edge whose target is not there */
	CONFLICT, /* what was read has changed since */
	EDGE,	  /* a put and an edge */
	BULKY,	  /* a put that fills most of a mailbox */
	LARGE	  /* a put that does not fit in one */
};

struct job {
	enum kind kind;
	int round; /* makes the keys new */
	int32_t durability;
	void (*hook)(const char *name); /* from the commit on */
};

static void key_of(char key[32], const struct job *job, int i)
{
	snprintf(key, 32, "r%d-%d", job->round, i);
}

static void bulk_put(cop_write *write, const char *key, size_t bytes)
{
	unsigned char *content = malloc(bytes);
	uint64_t seed = bytes ^ (uint64_t)getpid() << 20;
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .content = content,
			      .content_size = bytes};

	if (!content)
		bail_out("no memory");
	for (size_t i = 0; i < bytes; i++)
		content[i] = (unsigned char)test_random(&seed);
	must(cop_put(write, &put), "put");
	free(content);
}

static void job_fill(const struct job *job, int i, cop_write *write)
{
	char key[32];

	key_of(key, job, i);
	must(cop_expect(write, key, strlen(key), 0), "expect");
	if (job->kind == BULKY || job->kind == LARGE)
		bulk_put(write, key, job->kind == BULKY ? 30000 : 100000);
	else
		put_simple(write, key, "thing", NULL, 0);
	if (job->kind == DANGLING)
		must(link_simple(write, key, "to", "nowhere"), "link");
	if (job->kind == EDGE)
		must(link_simple(write, key, "to", key), "link");
}

/* Reads a key in a transaction, and changes it behind its back. */
static cop_txn *conflict_make(cop_store *store, const char *key)
{
	struct cop_entity entity;
	cop_write *write;
	cop_txn *txn;

	must(cop_txn_begin(store, &txn), "begin");
	must(cop_txn_get(txn, key, strlen(key), &entity), "get");
	must(cop_write_begin(store, &write), "write");
	put_simple(write, key, "other", NULL, 0);
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	put_simple(cop_txn_write(txn), "never", NULL, NULL, 0);
	return txn;
}

static void report_fill(struct report *report, cop_err err,
			const struct cop_result *result)
{
	report->err = err;
	report->failed = result->failed;
	report->commit = result->commit;
	report->ticket = result->ticket;
	snprintf(report->words, sizeof report->words, "%s", cop_last_error());
	report->returned = 1;
}

/* Commits job i of a store that is open; the caller sees how it went. */
static void job_commit(cop_store *store, const struct job *job, int i,
		       uint32_t timeout_ms)
{
	struct cop_commit_options options = {.size = sizeof options,
					     .timeout_ms = timeout_ms,
					     .durability = job->durability};
	struct cop_result result = {.size = sizeof result};
	cop_txn *txn = NULL;
	cop_write *write = NULL;
	cop_err err;

	if (job->kind == CONFLICT) {
		txn = conflict_make(store, "contended");
		write = cop_txn_write(txn);
	} else {
		must(cop_write_begin(store, &write), "write");
		job_fill(job, i, write);
	}
	shared->ready++;
	while (!shared->go)
		nap();
	point_hook = job->hook;
	err = cop_commit_with(write, &options, &result);
	report_fill(&shared->reports[i], err, &result);
	if (txn)
		cop_txn_end(txn);
	else
		cop_abort(write);
}

static cop_store *own; /* a child's, for its hook */

static pid_t child_start(const struct fixture *f)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cop_open(f->path, NULL, &own))
		_exit(2);
	return 0;
}

static pid_t poster_start(const struct fixture *f, const struct job *job, int i)
{
	pid_t pid = child_start(f);

	if (pid)
		return pid;
	job_commit(own, job, i, 0);
	_exit(0);
}

static void ready_await(uint32_t count)
{
	while (shared->ready < count)
		nap();
}

/* ---- groups ------------------------------------------------------------- */

struct thread_job {
	cop_store *store;
	const struct job *job;
	int i;
};

static void *thread_run(void *user)
{
	const struct thread_job *thread = user;

	job_commit(thread->store, thread->job, thread->i, 0);
	return NULL;
}

static void threads_and_processes_share_a_commit(struct fixture *f)
{
	enum { PROCESSES = 6, THREADS = 4, ALL = PROCESSES + THREADS };
	struct post_office *office = f->store->mailboxes.office;
	struct job job = {.round = 1};
	struct thread_job jobs[THREADS];
	pthread_t threads[THREADS];
	pid_t pids[PROCESSES];
	uint64_t groups = office->groups;
	uint64_t requests = office->requests;
	uint32_t same = 0;

	shared_clear();
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = poster_start(f, &job, i);
	for (int i = 0; i < THREADS; i++) {
		jobs[i] = (struct thread_job){f->store, &job, PROCESSES + i};
		pthread_create(&threads[i], NULL, thread_run, &jobs[i]);
	}
	ready_await(ALL);
	must(writer_lock(f->store, LOCK_FOREVER), "lock");
	shared->go = 1;
	posted_await(f->store, ALL);
	writer_unlock(f->store);
	for (int i = 0; i < PROCESSES; i++)
		child_wait(pids[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < ALL; i++)
		same += !shared->reports[i].err &&
			shared->reports[i].commit == shared->reports[0].commit;
	is_int(same, ALL, "%d processes and %d threads share one commit",
	       PROCESSES, THREADS);
	is_u64(office->groups - groups, 1, "that is one group");
	is_u64(office->requests - requests, ALL, "of as many requests");
	is_u64(findings_of(f->store), 0, "and the store is whole");
}

/* Posters of jobs, in one group. */
static void group_make(struct fixture *f, const struct job *jobs, int count)
{
	pid_t pids[REPORTS];

	shared_clear();
	for (int i = 0; i < count; i++)
		pids[i] = poster_start(f, &jobs[i], i);
	ready_await((uint32_t)count);
	must(writer_lock(f->store, LOCK_FOREVER), "lock");
	shared->go = 1;
	posted_await(f->store, (uint32_t)count);
	writer_unlock(f->store);
	for (int i = 0; i < count; i++)
		child_wait(pids[i]);
}

static void a_refused_request_harms_no_other(struct fixture *f)
{
	enum { ALL = 8 };
	struct job jobs[ALL];
	uint64_t commit;
	int good = 0;

	for (int i = 0; i < ALL; i++)
		jobs[i] = (struct job){.round = 2};
	jobs[2].kind = DANGLING;
	jobs[5].kind = CONFLICT;
	group_make(f, jobs, ALL);
	commit = shared->reports[0].commit;
	for (int i = 0; i < ALL; i++)
		good += jobs[i].kind == PUT && !shared->reports[i].err &&
			shared->reports[i].commit == commit;
	is_int(good, ALL - 2, "the good ones share a commit");
	is_int(shared->reports[2].err, COP_DANGLING,
	       "an edge to nothing is refused");
	ok(strstr(shared->reports[2].words, "nowhere"), "in words: %s",
	   shared->reports[2].words);
	is_int(shared->reports[2].failed, 2, "by its operation");
	ok(!version_of(f, "r2-2"), "and nothing of it was put");
	is_int(shared->reports[5].err, COP_CONFLICT,
	       "what was read has changed: refused, too");
	ok(strstr(shared->reports[5].words, "contended"), "in words: %s",
	   shared->reports[5].words);
	is_int(shared->reports[5].failed, 0, "by its expectation");
	is_u64(findings_of(f->store), 0, "and the store is whole");
}

static cop_err fill_one(struct fixture *f, int i, size_t bytes)
{
	cop_write *write = write_of(f);
	char key[32];
	cop_err err;

	snprintf(key, sizeof key, "fill-%d", i);
	bulk_put(write, key, bytes);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

/* Fills the data file but for less than two thirds of a megabyte. */
static void fill(struct fixture *f)
{
	cop_write *write;
	int i = 0;

	while (!fill_one(f, i, 1 << 18))
		i++;
	write = write_of(f);
	must(cop_delete(write, "fill-0", 6), "delete");
	commit_of(write);
	for (i = 0; i < 4; i++) { /* pages are free when they are old */
		write = write_of(f);
		put_simple(write, "small", i % 2 ? "a" : "b", NULL, 0);
		commit_of(write);
	}
}

static void what_does_not_fit_fails_alone(void)
{
	enum { ALL = 30 };
	struct fixture f;
	struct job jobs[ALL];
	int put = 0;
	int full = 0;
	int lies = 0;

	setenv("COPPICE_MAP_SIZE", "64M", 1);
	store_make(&f);
	fill(&f);
	for (int i = 0; i < ALL; i++)
		jobs[i] = (struct job){.kind = i % 5 ? BULKY : PUT, .round = 3};
	group_make(&f, jobs, ALL);
	for (int i = 0; i < ALL; i++) {
		const struct report *report = &shared->reports[i];
		char key[32];

		key_of(key, &jobs[i], i);
		put += !report->err;
		full += report->err == COP_NO_SPACE &&
			strstr(report->words, "COPPICE_MAP_SIZE");
		lies +=
		    version_of(&f, key) != (report->err ? 0 : report->commit);
	}
	ok(put > 0 && full > 0 && put + full == ALL,
	   "of a group that does not fit, %d requests do, %d do not", put,
	   full);
	is_int(lies, 0, "and each poster was told the truth");
	is_u64(findings_of(f.store), 0, "the store is whole");
	fixture_release(&f);
	unsetenv("COPPICE_MAP_SIZE");
}

/* A process reads and is killed; the pages of its snapshot stay. */
static void reader_kill(const struct fixture *f)
{
	pid_t pid = child_start(f);

	if (!pid) {
		cop_read *read;

		must(cop_read_begin(own, &read), "read");
		kill(getpid(), SIGKILL);
	}
	child_wait(pid);
}

static void a_dead_reader_leaves_no_data_file_full(void)
{
	enum { WRITES = 60, BYTES = 2 << 20 };
	struct fixture f;
	int failed = 0;

	setenv("COPPICE_MAP_SIZE", "64M", 1);
	store_make(&f);
	for (int i = 0; i < 5; i++)
		failed += fill_one(&f, 0, BYTES) != 0;
	reader_kill(&f);
	for (int i = 0; i < WRITES; i++)
		failed += fill_one(&f, 0, BYTES) != 0;
	is_int(failed, 0,
	       "what a dead reader holds back is freed when it is needed");
	fixture_release(&f);
	unsetenv("COPPICE_MAP_SIZE");
}

/* ---- posting by hand ---------------------------------------------------- */

struct letter {
	uint32_t box;
	uint64_t number;
};

static struct letter letter_post_in(struct fixture *f, uint32_t box,
				    const char *key)
{
	struct letter letter = {.box = box};
	cop_write *write = write_of(f);
	struct buffer packed = {0};
	struct request request;

	put_simple(write, key, NULL, NULL, 0);
	request = request_of(write);
	if (request_pack(&request, &packed))
		bail_out("no memory");
	letter.number = mailbox_post(&f->store->mailboxes, box, packed.data,
				     (uint32_t)packed.size);
	buffer_release(&packed);
	cop_abort(write);
	return letter;
}

static struct letter letter_post(struct fixture *f, const char *key)
{
	uint32_t box;

	must(mailbox_take(&f->store->mailboxes, &box), "take");
	return letter_post_in(f, box, key);
}

/* 1 if it was answered well; the box is empty then. */
static int letter_done(struct fixture *f, const struct letter *letter)
{
	unsigned char answer[MAILBOX_ANSWER_BYTES];
	int32_t err;

	if (mailbox_phase(&f->store->mailboxes, letter->box, letter->number) !=
	    MAILBOX_DONE)
		return 0;
	mailbox_read(&f->store->mailboxes, letter->box, answer);
	memcpy(&err, answer, sizeof err);
	return !err;
}

static void a_large_write_takes_the_waiting_along(struct fixture *f)
{
	struct job job = {.kind = LARGE, .round = 4};
	struct letter letters[3];
	pid_t pid;
	int done = 0;

	shared_clear();
	pid = poster_start(f, &job, 0);
	ready_await(1);
	must(writer_lock(f->store, LOCK_FOREVER), "lock");
	letters[0] = letter_post(f, "small-0");
	letters[1] = letter_post(f, "small-1");
	letters[2] = letter_post(f, "small-2");
	shared->go = 1;
	usleep(5000); /* it waits for the lock, most times */
	is_int(waiting_now(f->store), 3, "a large write is in no mailbox");
	writer_unlock(f->store);
	child_wait(pid);
	for (int i = 0; i < 3; i++) {
		done += letter_done(f, &letters[i]);
		mailbox_give(&f->store->mailboxes, letters[i].box);
	}
	is_int(shared->reports[0].err, 0, "it is committed");
	is_int(done, 3, "and so are three that waited");
	ok(version_of(f, "r4-0") == shared->reports[0].commit &&
	       version_of(f, "small-2") == shared->reports[0].commit,
	   "together");
}

static void more_than_a_group_holds_wait_their_turn(struct fixture *f)
{
	enum { MANY = 1000, POKES = 24 };
	static struct letter letters[MANY];
	static int since[MANY];
	int longest = 0;
	int bad = 0;

	for (int i = 0; i < MANY; i++)
		letters[i] = letter_post(f, "crowd");
	for (int poke = 0; poke < POKES; poke++) {
		must(cop_poke(f->store), "poke");
		for (int i = 0; i < MANY; i++) {
			since[i]++;
			if (letter_done(f, &letters[i])) {
				longest =
				    since[i] > longest ? since[i] : longest;
				since[i] = 0;
				letters[i] =
				    letter_post_in(f, letters[i].box, "crowd");
			}
		}
	}
	must(cop_poke(f->store), "poke");
	for (int i = 0; i < MANY; i++)
		bad += since[i] > (MANY + GROUP - 1) / GROUP;
	ok(longest == (MANY + GROUP - 1) / GROUP && !bad,
	   "of %d that wait and wait again, each is in one of the next %d "
	   "groups",
	   MANY, longest);
	for (int poke = 0; poke < 5; poke++)
		must(cop_poke(f->store), "poke");
	for (int i = 0; i < MANY; i++) {
		bad += !letter_done(f, &letters[i]);
		mailbox_give(&f->store->mailboxes, letters[i].box);
	}
	is_int(bad, 0, "and all are done in the end");
}

/* ---- fairness ----------------------------------------------------------- */

static _Thread_local cop_store *posting; /* set by who commits */
static _Thread_local uint64_t newest;	 /* when it was posted; 0: it was not */

static void note_post(const char *name)
{
	if (strcmp(name, "posted") != 0)
		return;
	newest = 1 + atomic_load(&posting->index->segment.header->committed);
}

static void writer_note(uint64_t commit)
{
	uint64_t waited;

	if (!newest)
		return;
	waited = commit - (newest - 1);
	shared->posted++;
	if (waited < 4)
		shared->waits[waited]++;
	if (waited > 2)
		shared->over++;
	newest = 0;
}

struct writer {
	cop_store *store;
	int process;
	int thread;
	int commits;
};

static void *writer_run(void *user)
{
	const struct writer *writer = user;

	posting = writer->store;
	for (int i = 0; i < writer->commits; i++) {
		struct cop_result result = {.size = sizeof result};
		cop_write *write;
		char key[32];

		snprintf(key, sizeof key, "w-%d-%d-%d", writer->process,
			 writer->thread, i);
		must(cop_write_begin(writer->store, &write), "write");
		must(cop_expect(write, key, strlen(key), 0), "expect");
		put_simple(write, key, NULL, NULL, 0);
		must(cop_commit(write, &result), "commit");
		cop_abort(write);
		writer_note(result.commit);
	}
	return NULL;
}

enum { WRITERS = 8, THREADS = 2, COMMITS = TEST_SANITIZED ? 40 : 150 };

static void writers_run(const struct fixture *f, pid_t pids[WRITERS])
{
	for (int i = 0; i < WRITERS; i++) {
		struct writer writers[THREADS];
		pthread_t threads[THREADS];

		pids[i] = child_start(f);
		if (pids[i])
			continue;
		point_hook = note_post;
		for (int t = 0; t < THREADS; t++) {
			writers[t] = (struct writer){own, i, t, COMMITS};
			pthread_create(&threads[t], NULL, writer_run,
				       &writers[t]);
		}
		for (int t = 0; t < THREADS; t++)
			pthread_join(threads[t], NULL);
		_exit(0);
	}
}

static void no_request_waits_for_more_than_two_groups(struct fixture *f)
{
	struct post_office *office = f->store->mailboxes.office;
	uint64_t groups = office->groups;
	uint64_t requests = office->requests;
	pid_t pids[WRITERS];
	int bad = 0;

	shared_clear();
	writers_run(f, pids);
	for (int i = 0; i < WRITERS; i++)
		bad += child_wait(pids[i]) != 0;
	groups = office->groups - groups;
	requests = office->requests - requests;
	ok(!bad && requests == WRITERS * THREADS * COMMITS,
	   "%d writers commit %" PRIu64 " requests, each once",
	   WRITERS * THREADS, requests);
	ok(groups < requests, "in %" PRIu64 " groups", groups);
	ok(!shared->over && shared->posted,
	   "of %" PRIu64 " that waited, %" PRIu64
	   " were in the next group, %" PRIu64 " in the one after it, none "
	   "later",
	   shared->posted, shared->waits[1], shared->waits[2]);
	is_u64(findings_of(f->store), 0, "and the store is whole");
}

/* ---- leaders that die --------------------------------------------------- */

static uint64_t points_left;
static uint32_t wanted;	       /* requests that are to wait before it goes on */
static const char *last_words; /* the point to die at; NULL: by number */
static int leads;

/* Leads when `wanted` wait, and dies at a point after that. */
static void lead_and_die(const char *name)
{
	if (!leads) {
		if (strcmp(name, "settled") != 0)
			return;
		leads = 1;
		shared->leading = 1;
		posted_await(own, wanted);
	}
	if (last_words ? !strcmp(name, last_words) : !points_left--)
		kill(getpid(), SIGKILL);
}

/* A leader whose own request is key `i`; the posters are told to go. */
static pid_t leader_start(const struct fixture *f, int round, int i)
{
	struct job job = {.round = round, .hook = lead_and_die};
	pid_t pid = child_start(f);

	if (pid)
		return pid;
	leads = 0;
	shared->go = 1;
	job_commit(own, &job, i, 0);
	_exit(0);
}

static void leading_await(void)
{
	while (!shared->leading)
		nap();
}

enum { POSTERS = 3 };

/* Posters that begin to commit once the leader has the lock. */
static void posters_start(const struct fixture *f, const struct job *jobs,
			  pid_t *pids, int count)
{
	for (int i = 0; i < count; i++) {
		pids[i] = child_start(f);
		if (pids[i])
			continue;
		leading_await();
		shared->go = 1;
		job_commit(own, &jobs[i], i, 0);
		_exit(0);
	}
}

static struct {
	uint64_t deaths;
	uint64_t wrong;
	uint64_t together; /* the dead leader's commit was theirs */
	uint64_t alone;
} toll;

static void posters_check(struct fixture *f, const struct job *jobs, int from,
			  uint64_t n)
{
	uint64_t first = shared->reports[from].commit;
	int same = 1;

	for (int i = from; i < POSTERS; i++) {
		const struct report *report = &shared->reports[i];
		char key[32];

		key_of(key, &jobs[i], i);
		same &= report->commit == first;
		if (report->returned && !report->err &&
		    version_of(f, key) == report->commit)
			continue;
		toll.wrong++;
		diag("point %" PRIu64 ", poster %d: returned %d, %d (%s)", n, i,
		     report->returned, report->err, report->words);
	}
	toll.together += (uint64_t)same;
	toll.alone += (uint64_t)!same;
}

/* 0 if the leader came through; second: poster 0 dies, too. */
static int leader_death(struct fixture *f, uint64_t n, int second)
{
	struct job jobs[POSTERS];
	pid_t pids[POSTERS];
	pid_t leader;
	int status;

	shared_clear();
	for (int i = 0; i < POSTERS; i++)
		jobs[i] = (struct job){.kind = i == 1 ? EDGE : PUT,
				       .round = second * 1000 + 100 + (int)n};
	if (second) {
		jobs[0].hook = lead_and_die;
		wanted = 0;
		points_left = n % 17;
		last_words = NULL;
	}
	posters_start(f, jobs, pids, POSTERS);
	wanted = POSTERS;
	points_left = n;
	last_words = NULL;
	leader = leader_start(f, jobs[0].round, POSTERS);
	status = child_wait(leader);
	for (int i = 0; i < POSTERS; i++)
		child_wait(pids[i]);
	toll.deaths += status == 128 + SIGKILL;
	posters_check(f, jobs, second && !shared->reports[0].returned, n);
	if (findings_of(f->store)) {
		toll.wrong++;
		diag("findings after a death at point %" PRIu64, n);
	}
	return status != 0;
}

static void a_leaders_death_loses_and_doubles_nothing(struct fixture *f)
{
	const uint64_t stride = TEST_SANITIZED ? 5 : 1;
	uint64_t orphans = f->store->mailboxes.office->orphans;
	uint64_t n = 0;

	memset(&toll, 0, sizeof toll);
	while (leader_death(f, n, 0))
		n += stride;
	ok(!toll.wrong && toll.deaths > 40 / stride,
	   "%" PRIu64 " deaths of a leader, one at each point: every poster "
	   "returns, its write done once",
	   toll.deaths);
	ok(toll.together && toll.alone,
	   "answered %" PRIu64 " times for the dead, %" PRIu64
	   " times each on its own",
	   toll.together, toll.alone);
	ok(f->store->mailboxes.office->orphans - orphans > 0,
	   "%" PRIu64 " requests were left by the dead",
	   f->store->mailboxes.office->orphans - orphans);
	memset(&toll, 0, sizeof toll);
	for (n = 0; leader_death(f, n, 1);)
		n += TEST_SANITIZED ? 11 : 4;
	ok(!toll.wrong && toll.deaths > 3,
	   "%" PRIu64 " more, and one of its posters dies while it mends",
	   toll.deaths);
}

static void poison_die(const char *name)
{
	if (!strcmp(name, "edge-written"))
		kill(getpid(), SIGKILL);
}

/* Whoever executes the edge dies of it. */
static void poison_kills_its_leader_once_and_its_poster(struct fixture *f)
{
	enum { ALL = 5 };
	struct job jobs[ALL];
	pid_t pids[ALL];
	int survived = 0;
	int status;

	shared_clear();
	for (int i = 0; i < ALL; i++)
		jobs[i] = (struct job){.kind = i == 2 ? EDGE : PUT,
				       .round = 5,
				       .hook = poison_die};
	posters_start(f, jobs, pids, ALL);
	wanted = ALL;
	last_words = "edge-written";
	status = child_wait(leader_start(f, 5, ALL));
	is_int(status, 128 + SIGKILL, "a poisonous request kills its leader");
	for (int i = 0; i < ALL; i++) {
		status = child_wait(pids[i]);
		if (i == 2)
			is_int(status, 128 + SIGKILL, "and its own poster");
		else
			survived += !status && shared->reports[i].returned &&
				    !shared->reports[i].err;
	}
	is_int(survived, ALL - 1, "and nobody else");
	ok(!version_of(f, "r5-2"), "it never happened");
	is_u64(findings_of(f->store), 0, "and the store is whole");
}

/* ---- posters that die --------------------------------------------------- */

static void die_posting(const char *name)
{
	if (!strcmp(name, last_words))
		kill(getpid(), SIGKILL);
}

static pid_t victim;

static void kill_the_poster(const char *name)
{
	if (!leads && !strcmp(name, "settled")) {
		leads = 1;
		shared->leading = 1;
		posted_await(own, 1);
	}
	if (victim && leads && !strcmp(name, last_words)) {
		kill(victim, SIGKILL);
		child_wait(victim);
		victim = 0;
	}
}

static void a_posters_death_harms_nobody(struct fixture *f)
{
	static const char *const early[] = {"post-before", "posted"};
	static const char *const late[] = {"collecting",    "taken",
					   "commit-before", "commit-after",
					   "answering",	    "answered"};
	struct job job = {.round = 6};
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		last_words = early[i];
		job.hook = die_posting;
		shared_clear();
		pid = poster_start(f, &job, i);
		ready_await(1);
		must(writer_lock(f->store, LOCK_FOREVER), "lock");
		shared->go = 1;
		is_int(child_wait(pid), 128 + SIGKILL, "a poster dies at %s",
		       early[i]);
		writer_unlock(f->store);
		must(cop_poke(f->store), "poke");
	}
	job.hook = NULL;
	own = f->store;
	for (int i = 0; i < 6; i++) {
		shared_clear();
		last_words = late[i];
		leads = 0;
		posters_start(f, &job, &victim, 1);
		job.round++;
		point_hook = kill_the_poster;
		must(cop_poke(f->store), "poke");
		point_hook = NULL;
		ok(!victim, "a poster dies, its leader at %s", late[i]);
		is_int(waiting_now(f->store), 0, "nothing is left waiting");
	}
	for (int i = 0; i < 2; i++) { /* their boxes are used again */
		shared_clear();
		shared->go = 1;
		job.round = 20 + i;
		is_int(child_wait(poster_start(f, &job, 0)), 0, "the next");
		is_int(shared->reports[0].err, 0, "is committed");
	}
	is_u64(findings_of(f->store), 0, "the store is whole");
}

/* ---- time --------------------------------------------------------------- */

static const char *stop_at;

static void lead_and_stop(const char *name)
{
	if (!leads && !strcmp(name, "settled")) {
		leads = 1;
		shared->leading = 1;
		posted_await(own, wanted);
	}
	if (leads == 1 && !strcmp(name, stop_at)) {
		leads = 2;
		raise(SIGSTOP);
	}
}

static pid_t stopper_start(const struct fixture *f, const char *at,
			   uint32_t waiting, int round)
{
	struct job job = {.round = round, .hook = lead_and_stop};
	pid_t pid;

	shared_clear();
	stop_at = at;
	wanted = waiting;
	leads = 0;
	pid = child_start(f);
	if (pid) {
		leading_await();
		return pid;
	}
	shared->go = 1;
	job_commit(own, &job, 1, 0);
	_exit(0);
}

static void stop_await(pid_t pid)
{
	int status;

	waitpid(pid, &status, WUNTRACED);
	if (!WIFSTOPPED(status))
		bail_out("the leader ended instead of stopping");
}

static void what_was_not_begun_in_time_never_happens(struct fixture *f)
{
	struct job job = {.round = 30};
	pid_t pid = stopper_start(f, "settled", 0, 30);

	stop_await(pid);
	job_commit(f->store, &job, 0, 50);
	is_int(shared->reports[0].err, COP_BUSY,
	       "while the writer lock's holder is stopped: %s",
	       shared->reports[0].words);
	job.kind = LARGE;
	job_commit(f->store, &job, 0, 50);
	is_int(shared->reports[0].err, COP_BUSY, "a large one likewise: %s",
	       shared->reports[0].words);
	kill(pid, SIGCONT);
	is_int(child_wait(pid), 0, "the holder goes on");
	must(cop_poke(f->store), "poke");
	ok(!version_of(f, "r30-0"), "and nothing happens later");
	is_int(waiting_now(f->store), 0, "nothing waits");
	job.kind = PUT;
	job_commit(f->store, &job, 0, 0);
	is_int(shared->reports[0].err, 0, "it may be tried again");
}

static int outcome_of(struct fixture *f, const struct cop_ticket *ticket,
		      struct cop_result *result)
{
	int32_t happened = -1;
	cop_err err = cop_outcome(f->store, ticket, &happened, result);

	return err ? err : happened;
}

/* The leader stops at a point with the request taken; `end` is sent then. */
static void unknown_then(struct fixture *f, const char *at, int end, int round,
			 int happens)
{
	struct job job = {.round = round};
	struct cop_result result = {.size = sizeof result};
	struct cop_ticket ticket;
	pid_t pid = stopper_start(f, at, 1, round);
	char key[32];

	job_commit(f->store, &job, 0, 200);
	ticket = shared->reports[0].ticket;
	is_int(shared->reports[0].err, COP_UNKNOWN,
	       "the leader is stopped at %s with the request taken", at);
	is_int(outcome_of(f, &ticket, &result), COP_UNKNOWN,
	       "nobody knows yet: %s", cop_last_error());
	kill(pid, end);
	if (end == SIGKILL)
		kill(pid, SIGCONT);
	child_wait(pid);
	is_int(outcome_of(f, &ticket, &result), happens, "%s: it %s",
	       end == SIGKILL ? "killed" : "it goes on",
	       happens ? "happened" : "did not happen");
	key_of(key, &job, 0);
	is_u64(version_of(f, key), happens ? result.commit : 0, "that is so");
	ok(!happens || result.entities_put == 1, "and the result is known");
	job.round += 50; /* the box that rested is used again */
	job_commit(f->store, &job, 0, 0);
	is_int(shared->reports[0].err, 0, "the next commit is as any");
}

static void what_was_begun_is_known_in_the_end(struct fixture *f)
{
	unknown_then(f, "commit-before", SIGCONT, 31, 1);
	unknown_then(f, "commit-before", SIGKILL, 32, 0);
	unknown_then(f, "commit-after", SIGCONT, 33, 1);
	unknown_then(f, "commit-after", SIGKILL, 34, 1);
	is_u64(findings_of(f->store), 0, "the store is whole");
}

static void results_are_remembered(struct fixture *f)
{
	struct cop_ticket tickets[RESULTS + 1];
	struct cop_result result = {.size = sizeof result};
	struct cop_ticket other;
	int32_t happened;
	uint32_t box;
	int bad = 0;

	must(mailbox_take(&f->store->mailboxes, &box), "take");
	for (int i = 0; i <= RESULTS; i++) {
		struct letter letter = letter_post_in(f, box, "again");

		memset(&tickets[i], 0, sizeof tickets[i]);
		memcpy(tickets[i].office, f->store->mailboxes.office->uuid, 16);
		tickets[i].mailbox = box;
		tickets[i].number = letter.number;
		must(cop_poke(f->store), "poke");
		bad += !letter_done(f, &letter);
	}
	mailbox_give(&f->store->mailboxes, box);
	is_int(bad, 0, "%d writes through one mailbox", RESULTS + 1);
	for (int i = 0; i <= RESULTS; i++)
		bad += outcome_of(f, &tickets[i], &result) != 1;
	is_int(bad, 0, "all of them are known");
	is_u64(result.commit, version_of(f, "again"), "with their commit");
	other = tickets[1];
	other.number += 1000;
	is_int(outcome_of(f, &other, NULL), 0, "what never was did not happen");
	other = tickets[1];
	other.office[3] ^= 1;
	is_int(outcome_of(f, &other, NULL), 0,
	       "nor what was posted in other shared memory");
	other = tickets[RESULTS];
	other.after = result.commit;
	is_int(outcome_of(f, &other, NULL), 0,
	       "it is looked for where it can be");
	other.mailbox = MAILBOX_COUNT;
	is_int(outcome_of(f, &other, NULL), COP_INVALID,
	       "a ticket out of range is refused");
	is_int(cop_outcome(f->store, NULL, &happened, NULL), COP_INVALID,
	       "so is none");
}

/* ---- poke, lazy --------------------------------------------------------- */

static void poking_mends_what_a_killed_writer_left(struct fixture *f)
{
	const struct segment_header *header = f->store->index->segment.header;
	struct letter letter;
	pid_t pid;

	shared_clear();
	wanted = 0;
	last_words = "all-prepared";
	pid = leader_start(f, 40, 0);
	is_int(child_wait(pid), 128 + SIGKILL, "a writer dies half way");
	ok(atomic_load(&header->intent.attempt) != 0,
	   "what it began lies about");
	letter = letter_post(f, "poked");
	must(cop_poke(f->store), "poke");
	is_u64(atomic_load(&header->intent.attempt), 0, "poked, it is mended");
	ok(letter_done(f, &letter) && version_of(f, "poked"),
	   "and who waited is served");
	mailbox_give(&f->store->mailboxes, letter.box);
	ok(!version_of(f, "r40-0"), "what was not committed is not there");
	must(writer_lock(f->store, LOCK_FOREVER), "lock");
	is_int(cop_poke(f->store), 0, "while another commits it does nothing");
	writer_unlock(f->store);
}

static void die_afterwards(const char *name)
{
	if (!strcmp(name, "group-unlocked"))
		kill(getpid(), SIGKILL);
}

static void a_lazy_commit_survives_deaths(struct fixture *f)
{
	struct job job = {
	    .round = 41, .durability = COP_LAZY, .hook = die_afterwards};
	cop_read *read = read_of(f);
	struct cop_entity entity;

	shared_clear();
	shared->go = 1;
	is_int(child_wait(poster_start(f, &job, 0)), 128 + SIGKILL,
	       "a process commits lazily and dies");
	must(cop_read_refresh(read), "refresh");
	must(cop_get(read, "r41-0", 5, &entity), "get");
	ok(entity.id, "others see it at once");
	cop_read_end(read);
	fixture_close(f);
	must(cop_detach(f->path), "detach");
	fixture_open(f);
	ok(version_of(f, "r41-0"), "and after everybody is gone");
	is_u64(findings_of(f->store), 0, "the store is whole");
}

int main(void)
{
	struct fixture f;

	test_begin(240);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	store_make(&f);
	threads_and_processes_share_a_commit(&f);
	a_refused_request_harms_no_other(&f);
	a_large_write_takes_the_waiting_along(&f);
	more_than_a_group_holds_wait_their_turn(&f);
	no_request_waits_for_more_than_two_groups(&f);
	a_leaders_death_loses_and_doubles_nothing(&f);
	poison_kills_its_leader_once_and_its_poster(&f);
	a_posters_death_harms_nobody(&f);
	what_was_not_begun_in_time_never_happens(&f);
	what_was_begun_is_known_in_the_end(&f);
	results_are_remembered(&f);
	poking_mends_what_a_killed_writer_left(&f);
	a_lazy_commit_survives_deaths(&f);
	fixture_release(&f);
	what_does_not_fit_fails_alone();
	a_dead_reader_leaves_no_data_file_full();
	return done_testing();
}
