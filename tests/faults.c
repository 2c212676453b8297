/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever call of the system's fails, and however often, nothing is lost,
 * nothing is half done, and the error says so.
 *
 * idea
 *	A child runs the script (faults/script.h): it makes a store, opens it,
 *	commits, asks, checks, compacts, links, takes images, closes,
 *	detaches, opens again from an image; a transaction meets a rival.  The
 *	shim (faults/shim.h) lets the n-th call of some kinds fail.  n goes up
 *	until no call is left to fail.  The child does what a caller would:
 *	it tries again, with the same handle, then with a new one, and gives
 *	up if that fails, too.  So the commits that are there are always the
 *	first ones of the script, and as many as returned success; one more
 *	only if the error said that this is not known.
 *	Afterwards another child, with no faults, opens what was left, checks
 *	it, and runs the rest.  Or, as its peer, that other child has the
 *	store open all the while, and a read that must not change.
 *	An image that was taken stays, and what has an image's name is whole,
 *	after each call that fails and at the end, when it is loaded.
 *
 * cases
 *	Once: one call fails, and the next try must succeed.
 *	From then on: a disk that stays full or broken; the child may give up.
 *
 * limits
 *	COPPICE_TEST_STRIDE: every so manieth n; 1 is complete (make faults).
 *	Without it every 37th or fewer, others in every run, which takes some
 *	minutes; COPPICE_TEST_SEED repeats one.
 */
#include "faults/script.h"
#include "faults/images.h"
#include "faults/shim.h"

#include <sched.h>
#include <sys/mman.h>

enum { TEXTS = 256, TEXT_BYTES = 400 };

enum end {
	END_DONE = 0,
	END_GAVE_UP = 10, /* errors did not stop */
	END_WRONG_ANSWER, /* asked, something else than the state was told */
	END_WRONG_CLASS,  /* an error that this fault does not explain */
	END_NO_WORDS,
	END_OUTCOME, /* a commit that failed is there */
	END_IMAGE,   /* one is gone, or not whole */
	END_LOST
};

static struct {
	_Atomic uint32_t ready; /* the peer has it open */
	_Atomic uint32_t go;	/* the other has come to its end */
	uint32_t with_peer;
	uint32_t created;
	uint32_t acked;	  /* commits that returned success */
	uint32_t unknown; /* the one after them may be there */
	uint32_t image;	  /* commit of the image that must be there, 0: none */
	uint32_t findings;
	uint32_t loaded; /* 1: at last the segment came from an image */
	int32_t err;
	char stage[16];
	char text[TEXT_BYTES];
	uint32_t text_count; /* all that were told, each once */
	char texts[TEXTS][TEXT_BYTES];
} * shared;

static struct shim *page;
static shim_use_function *shim_use;
static char root[64]; /* holds the two below */
static char store_path[80];
static char shm_path[80];

/* ---- a fault ------------------------------------------------------------ */

#define KIND(kind) (UINT32_C(1) << (kind))

enum {
	WRITES = 1u << SHIM_WRITE | 1u << SHIM_TRUNCATE | 1u << SHIM_ALLOCATE |
		 1u << SHIM_CREATE | 1u << SHIM_MKDIR | 1u << SHIM_RENAME,
	DISK = WRITES | 1u << SHIM_SYNC | 1u << SHIM_READ | 1u << SHIM_OPEN |
	       1u << SHIM_UNLINK | 1u << SHIM_OWN,
};

struct fault {
	const char *name;
	uint32_t kinds;
	uint32_t how;
	int32_t error;
	uint32_t sticky;
};

static const struct fault faults[] = {
    {"a full disk", WRITES, SHIM_FAIL, ENOSPC, 0},
    {"a disk that stays full", WRITES, SHIM_FAIL, ENOSPC, 1},
    {"a write cut short", KIND(SHIM_WRITE), SHIM_SHORT, EIO, 0},
    {"writes cut short from then on", KIND(SHIM_WRITE), SHIM_SHORT, EIO, 1},
    {"a write that fails after it was done", KIND(SHIM_WRITE), SHIM_LATE, EIO,
     0},
    {"a failing disk", DISK, SHIM_FAIL, EIO, 0},
    {"a disk that stays broken", DISK, SHIM_FAIL, EIO, 1},
    {"a sync that fails", KIND(SHIM_SYNC), SHIM_LATE, EIO, 0},
    {"syncs that fail from then on", KIND(SHIM_SYNC), SHIM_LATE, EIO, 1},
    {"no room for a sync", KIND(SHIM_SYNC), SHIM_FAIL, ENOSPC, 0},
    {"a read cut short", KIND(SHIM_READ), SHIM_SHORT, EIO, 0},
    {"an interrupted call",
     KIND(SHIM_WRITE) | KIND(SHIM_SYNC) | KIND(SHIM_TRUNCATE) |
	 KIND(SHIM_ALLOCATE) | KIND(SHIM_OPEN) | KIND(SHIM_CREATE) |
	 KIND(SHIM_LOCK) | KIND(SHIM_READ),
     SHIM_FAIL, EINTR, 0},
    {"no descriptor left", KIND(SHIM_OPEN) | KIND(SHIM_CREATE), SHIM_FAIL,
     EMFILE, 0},
    {"no descriptor left from then on", KIND(SHIM_OPEN) | KIND(SHIM_CREATE),
     SHIM_FAIL, EMFILE, 1},
    {"no room for a mapping", KIND(SHIM_MAP), SHIM_FAIL, ENOMEM, 0},
    {"no room for mappings from then on", KIND(SHIM_MAP), SHIM_FAIL, ENOMEM, 1},
    {"no lock to be had", KIND(SHIM_LOCK), SHIM_FAIL, ENOLCK, 0},
    {"no locks to be had from then on", KIND(SHIM_LOCK), SHIM_FAIL, ENOLCK, 1},
    {"a permission refused",
     KIND(SHIM_OPEN) | KIND(SHIM_CREATE) | KIND(SHIM_OWN) | KIND(SHIM_MKDIR) |
	 KIND(SHIM_RENAME),
     SHIM_FAIL, EACCES, 0},
    {"no memory", KIND(SHIM_MEMORY), SHIM_FAIL, ENOMEM, 0},
    {"no memory from then on", KIND(SHIM_MEMORY), SHIM_FAIL, ENOMEM, 1},
};

enum { FAULTS = sizeof faults / sizeof *faults };

static const struct fault no_fault = {"no fault", 0, 0, 0, 0};

/* 1 if an error is what the fault explains. */
static int class_is_right(const struct fault *fault, cop_err err)
{
	if (err == COP_UNKNOWN)
		return fault->error == EIO || fault->error == ENOSPC;
	if (fault->how == SHIM_SHORT)
		return err == EIO || err == COP_NO_SPACE ||
		       err == COP_CORRUPT || err == COP_NOT_A_STORE;
	switch (fault->error) {
	case ENOSPC: return err == COP_NO_SPACE;
	case EACCES: return err == COP_DENIED;
	default: return err == fault->error;
	}
}

/* ---- the child ---------------------------------------------------------- */

static uint64_t seed;
static const struct fault *fault; /* under way */

static _Noreturn void leave(enum end end)
{
	atomic_store(&page->mode, SHIM_OFF);
	_exit((int)end);
}

/* Keeps the words once, with the paths left out. */
static void text_keep(const char *stage, cop_err err, const char *text)
{
	char line[TEXT_BYTES];
	uint32_t i = 0;

	snprintf(line, sizeof line, "%s: %d: %.350s", stage, err, text);
	while (i < shared->text_count && strcmp(shared->texts[i], line) != 0)
		i++;
	if (i == shared->text_count && i < TEXTS)
		memcpy(shared->texts[shared->text_count++], line, sizeof line);
}

/* An error was returned: is it one that may be, and told in words? */
static void told(const char *stage, cop_err err, const char *text)
{
	snprintf(shared->stage, sizeof shared->stage, "%s", stage);
	snprintf(shared->text, sizeof shared->text, "%s", text);
	shared->err = err;
	text_keep(stage, err, text);
	if (!class_is_right(fault, err))
		leave(END_WRONG_CLASS);
	if (!strchr(text, ';')) /* before it what and why, then what to do */
		leave(END_NO_WORDS);
}

/* Twice is enough: one fault, or one that stays. */
static void give_up(void)
{
	leave(fault->sticky ? END_GAVE_UP : END_LOST);
}

static void create(void)
{
	cop_err err = script_create(store_path, shm_path);

	if (err) {
		told("create", err, cop_last_error());
		err = script_create(store_path, shm_path);
		if (err && !fault->sticky)
			told("create again", err, cop_last_error());
	}
	if (err)
		give_up();
	shared->created = 1;
}

static cop_store *opened(void)
{
	cop_store *store;
	cop_err err = cop_open(store_path, NULL, &store);

	if (err) {
		told("open", err, cop_last_error());
		err = cop_open(store_path, NULL, &store);
		if (err && !fault->sticky)
			told("open again", err, cop_last_error());
	}
	if (err)
		give_up();
	return store;
}

/* The state is what the commits so far made it, or it is not told. */
static void ask(cop_store *store)
{
	uint64_t commit = 0;
	uint64_t sum = 0;
	cop_err err = script_sum(store, &commit, &sum);

	if (err) {
		told("ask", err, script_words);
		err = script_sum(store, &commit, &sum);
		if (err && !fault->sticky)
			told("ask again", err, script_words);
	}
	if (err)
		give_up();
	if (commit == shared->acked + 1u && shared->unknown)
		shared->acked++;
	if (commit != shared->acked)
		leave(END_OUTCOME);
	if (sum != script_sums[commit])
		leave(END_WRONG_ANSWER);
}

/* The same write is committed until it is there. */
static void commit(cop_store **store, cop_write *write, int step)
{
	cop_err err = cop_commit(write, NULL);

	if (err) {
		told("commit", err, cop_last_error());
		shared->unknown = err == COP_UNKNOWN;
	}
	if (shared->unknown) { /* the words say: open it again and look */
		cop_abort(write);
		cop_close(*store);
		*store = opened();
		ask(*store);
		shared->unknown = 0;
		if (shared->acked > (uint32_t)step)
			return;
		err = script_commit(*store, step);
	} else {
		if (err)
			err = cop_commit(write, NULL);
		if (err && !fault->sticky)
			told("commit again", err, cop_last_error());
		shared->unknown = err == COP_UNKNOWN;
		cop_abort(write);
	}
	if (err)
		give_up();
	shared->acked++;
}

static cop_write *filled(cop_store *store, int step)
{
	cop_write *write = NULL;

	for (int i = 0;; i++) {
		cop_err err = cop_write_begin(store, &write);

		if (!err)
			err = script_fill(write, step);
		if (!err)
			return write;
		told("fill", err, cop_last_error());
		cop_abort(write);
		write = NULL;
		if (i)
			give_up();
	}
}

static void check(cop_store *store)
{
	uint64_t findings = 9;
	cop_err err = cop_check(store, NULL, NULL, &findings);

	if (err) {
		told("check", err, cop_last_error());
		err = cop_check(store, NULL, NULL, &findings);
		if (err && !fault->sticky)
			told("check again", err, cop_last_error());
	}
	if (err)
		give_up();
	shared->findings += (uint32_t)findings;
}

/* The data file is built anew; who fails has changed nothing. */
static void compact(cop_store **store)
{
	cop_err err = cop_compact(*store, NULL, NULL);

	if (err) {
		told("compact", err, cop_last_error());
		shared->image = 0;
		cop_close(*store); /* its data file may be unusable */
		*store = opened();
		err = cop_compact(*store, NULL, NULL);
		if (err && !fault->sticky)
			told("compact again", err, cop_last_error());
	}
	if (err)
		give_up();
	if (page->hits) /* one may have stayed behind */
		shared->image = 0;
}

static void maintain(cop_store *store)
{
	cop_err err = cop_maintain(store, NULL, NULL);

	if (err) {
		told("maintain", err, cop_last_error());
		err = cop_maintain(store, NULL, NULL);
		if (err && !fault->sticky)
			told("maintain again", err, cop_last_error());
	}
	if (err)
		give_up();
}

/* Looked at with no fault. */
static void images_look(cop_store *store)
{
	uint32_t mode = atomic_exchange(&page->mode, SHIM_OFF);
	uint64_t newest = 0;

	if (!images_are_whole(store, &newest) || newest < shared->image)
		leave(END_IMAGE);
	atomic_store(&page->mode, mode);
}

static void checkpoint(cop_store *store)
{
	struct cop_checkpoint_result result = {.size = sizeof result};
	cop_err err = cop_checkpoint(store, &result);

	if (err) {
		told("checkpoint", err, cop_last_error());
		images_look(store);
		err = cop_checkpoint(store, &result);
		if (err && !fault->sticky)
			told("checkpoint again", err, cop_last_error());
	}
	if (!err)
		shared->image = (uint32_t)result.commit;
	images_look(store);
	if (err)
		give_up();
	if (result.commit != shared->acked)
		leave(END_IMAGE);
}

/* The transaction's rival. */
static cop_err rival_commit(void *store)
{
	cop_err err = script_commit(store, SCRIPT_RIVAL);

	shared->acked += !err;
	shared->unknown = err == COP_UNKNOWN;
	return err;
}

/* The last two steps, one within the other. */
static void transact(cop_store **store)
{
	for (int i = 0;; i++) {
		struct script_txn script = {*store, rival_commit, *store, 0};
		cop_err err = script_transact(&script);

		if (!err)
			break;
		told(i ? "transact again" : "transact", err, cop_last_error());
		if (i)
			give_up();
		shared->unknown |= err == COP_UNKNOWN;
		if (!shared->unknown)
			continue;
		cop_close(*store);
		*store = opened();
		ask(*store);
		shared->unknown = 0;
		if (shared->acked == SCRIPT_STEPS)
			return;
	}
	shared->acked++;
}

static void detach(void)
{
	cop_err err = cop_detach(store_path);

	if (err) {
		told("detach", err, cop_last_error());
		err = cop_detach(store_path);
		if (err && !fault->sticky)
			told("detach again", err, cop_last_error());
	}
	if (err)
		give_up();
}

/* The segment is loaded or built anew, unless a peer has it. */
static void attach_anew(cop_store **store)
{
	cop_close(*store);
	if (!shared->with_peer)
		detach();
	*store = opened();
	ask(*store);
}

/* What comes after a step. */
static void upkeep(cop_store **store, int step)
{
	switch (step) {
	case 1:
		cop_close(*store);
		*store = opened();
		break;
	case 2: attach_anew(store); break; /* there is no image yet */
	case 3: checkpoint(*store); break;
	case 4:
		check(*store);
		attach_anew(store); /* the image is brought forward */
		break;
	case 5:
		compact(store);
		ask(*store);
		break;
	case 6:
		maintain(*store);
		checkpoint(*store);
		break;
	case 7: checkpoint(*store); break; /* the oldest goes */
	}
}

static _Noreturn void child_script(void)
{
	cop_store *store;

	if (!shared->with_peer)
		create();
	store = opened();
	for (int i = 0; i < SCRIPT_RIVAL; i++) {
		commit(&store, filled(store, i), i);
		ask(store);
		upkeep(&store, i);
	}
	transact(&store);
	ask(store);
	attach_anew(&store);
	cop_close(store);
	leave(END_DONE);
}

static pid_t child_start(void (*body)(void))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	alarm(30);
	body();
	_exit(END_DONE);
}

/* Calls are made in one order if there is one thread. */
static void one_thread(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)sched_getcpu(), &cpus);
	(void)sched_setaffinity(0, sizeof cpus, &cpus);
}

static void child_faulty(void)
{
	one_thread();
	shim_use(page);
	atomic_store(&page->mode, SHIM_INJECT);
	child_script();
}

/* ---- afterwards, with no fault ------------------------------------------ */

static void rest_is_right(cop_store *store)
{
	uint64_t commit = shared->acked;
	uint64_t there = 0;
	uint64_t sum;

	must(script_sum(store, &there, &sum), "ask");
	if (shared->unknown && there == commit + 1)
		commit++;
	if (!script_is_right(store, commit) || !script_goes_on(store, commit))
		_exit(END_WRONG_ANSWER);
}

/* The newest image there is is loaded, and brought to the newest commit. */
static void images_are_right(cop_store **store)
{
	uint64_t newest = 0;

	if (!images_are_whole(*store, &newest) || newest < shared->image)
		_exit(END_IMAGE);
	cop_close(*store);
	must(cop_detach(store_path), "detach");
	must(cop_open(store_path, NULL, store), "open");
	if (image_loaded(*store) != newest ||
	    !script_is_right(*store, SCRIPT_STEPS))
		_exit(END_IMAGE);
	shared->loaded += newest != 0;
}

static void child_peer(void)
{
	uint64_t first = 0;
	uint64_t sum = 1;
	cop_store *store;
	cop_read *old;

	must(cop_open(store_path, NULL, &store), "open");
	must(cop_read_begin(store, &old), "read");
	must(script_ask(old, &first), "ask");
	shared->ready = 1;
	while (!shared->go)
		usleep(100);
	must(script_ask(old, &sum), "ask");
	if (sum != first || sum != script_sums[0])
		_exit(END_WRONG_ANSWER);
	cop_read_end(old);
	rest_is_right(store);
	images_are_right(&store);
	cop_close(store);
	must(cop_detach(store_path), "detach");
}

static void child_aftermath(void)
{
	cop_store *store;
	cop_err err = cop_open(store_path, NULL, &store);

	if (!shared->created && err == COP_NOT_A_STORE) {
		/* what could not be removed either may be left */
		script_clear(store_path);
		must(script_create(store_path, shm_path), "create");
		err = cop_open(store_path, NULL, &store);
	}
	must(err, "open");
	rest_is_right(store);
	images_are_right(&store);
	cop_close(store);
	must(cop_detach(store_path), "detach");
	if (rmdir(shm_path))
		bail_out("detach left something in %s", shm_path);
}

static pid_t peer_start(void)
{
	pid_t pid;

	must(script_create(store_path, shm_path), "create");
	shared->created = 1;
	pid = child_start(child_peer);
	while (!shared->ready && !waitpid(pid, NULL, WNOHANG))
		usleep(100);
	return pid;
}

static void fault_set(const struct fault *which, uint64_t n)
{
	fault = which;
	page->kinds = which->kinds;
	page->how = which->how;
	page->error = which->error;
	page->sticky = which->sticky;
	page->at = n;
	page->calls = 0;
	page->hits = 0;
}

/* 1: right, 0: wrong, -1: no call was left to fail. */
static int one_fault(const struct fault *which, uint64_t n, int peers)
{
	pid_t peer = 0;
	int status;
	int after;
	int right;

	memset(shared, 0, offsetof(__typeof__(*shared), text_count));
	if (mkdir(shm_path, 0700))
		bail_out("mkdir %s: %s", shm_path, strerror(errno));
	shared->with_peer = (uint32_t)peers;
	if (peers)
		peer = peer_start();
	fault_set(which, n);
	status = child_wait(child_start(child_faulty));
	right = status == END_DONE || (which->sticky && status == END_GAVE_UP);
	shared->go = 1;
	after = child_wait(peers ? peer : child_start(child_aftermath));
	if (!right || after || shared->findings)
		diag("%s%s, call %" PRIu64 " (%s): ended %d, then %d; %u "
		     "acked, %u findings; last error at %s: %d, %s",
		     which->name, peers ? ", a peer attached" : "", n,
		     page->first, status, after, shared->acked,
		     shared->findings, shared->stage, shared->err,
		     shared->text);
	script_clear(store_path);
	script_clear(shm_path);
	if (!page->hits)
		return right && !after ? -1 : 0;
	return right && !after && !shared->findings;
}

/* Linked statically or not, the library's calls and LMDB's meet the shim. */
static void every_kind_of_call_comes_by(void)
{
	static const char *const names[SHIM_KIND_COUNT] = {
	    "write", "sync",   "truncate", "allocate", "map",
	    "open",  "create", "rename",   "unlink",   "mkdir",
	    "lock",  "own",    "read",	   "memory"};

	ok(one_fault(&no_fault, 1, 0) < 0 && shared->loaded &&
	       shared->image == SCRIPT_RIVAL,
	   "with no fault the script runs through");
	for (int kind = 0; kind < SHIM_KIND_COUNT; kind++)
		if (kind != SHIM_TRUNCATE && /* by a repair alone */
		    (kind != SHIM_MEMORY || !TEST_ASAN))
			ok(page->seen[kind], "%" PRIu64 " calls to %s",
			   page->seen[kind], names[kind]);
}

/* Every stride-th call; each kind of fault begins with another one. */
static uint64_t first_call(const struct fault *which, uint64_t stride)
{
	return 1 + (seed + (uint64_t)(which - faults)) % stride;
}

static void nothing_is_lost_to(const struct fault *which, uint64_t stride)
{
	uint64_t cases = 0;
	uint64_t wrong = 0;

	for (int peers = 0; peers < 2; peers++) {
		uint64_t n = first_call(which, stride);
		int right = 1;

		while (right >= 0 && wrong < 20) {
			right = one_fault(which, n, peers);
			cases += right >= 0;
			wrong += !right;
			n += stride;
		}
	}
	ok(!wrong, "%s, %" PRIu64 " times: nothing is lost", which->name,
	   cases);
}

/* ---- the last to close a large store ------------------------------------ */

enum { LARGE = CHECKPOINT_IDS + 50, LARGE_PART = LARGE / 9 };

static void large_put(cop_store *store, int count)
{
	cop_write *write;

	must(cop_write_begin(store, &write), "write");
	for (int i = 0; i < count; i++) {
		char key[16];

		script_key(key, i);
		put_simple(write, key, "many", NULL, 0);
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	shared->acked++;
}

static void child_closing(void)
{
	cop_store *store;

	one_thread();
	must(cop_open(store_path, NULL, &store), "open");
	large_put(store, shared->acked ? LARGE_PART : LARGE);
	shim_use(page);
	atomic_store(&page->mode, SHIM_INJECT);
	cop_close(store);
	leave(END_DONE);
}

static void child_closed(void)
{
	cop_store *store;
	uint64_t newest;
	uint64_t findings = 9;

	setenv("COPPICE_CHECKPOINT", "0", 1);
	must(cop_open(store_path, NULL, &store), "open");
	if (!images_are_whole(store, &newest) || newest < shared->image)
		_exit(END_IMAGE);
	shared->image = (uint32_t)newest;
	cop_close(store);
	must(cop_detach(store_path), "detach");
	must(cop_open(store_path, NULL, &store), "open");
	must(cop_check(store, finding_tell, NULL, &findings), "check");
	if (image_loaded(store) != newest || findings ||
	    atomic_load(&store->index->segment.header->committed) !=
		shared->acked)
		_exit(END_WRONG_ANSWER);
	cop_close(store);
}

/* As one_fault(); the store and its images stay for the next one. */
static int one_close(const struct fault *which, uint64_t n)
{
	int status;
	int after;

	fault_set(which, n);
	status = child_wait(child_start(child_closing));
	after = child_wait(child_start(child_closed));
	if (status || after)
		diag("%s at the last close, call %" PRIu64 " (%s): ended %d, "
		     "then %d; %u acked, image %u",
		     which->name, n, page->first, status, after, shared->acked,
		     shared->image);
	if (status || after)
		return 0;
	return page->hits ? 1 : -1;
}

/* Each with an image by itself, before which there is an older one. */
static void older_images_outlive_faults(uint64_t stride, const char *only)
{
	uint64_t cases = 0;
	int right = 1;

	memset(shared, 0, offsetof(__typeof__(*shared), text_count));
	mkdir(shm_path, 0700);
	must(script_create(store_path, shm_path), "create");
	ok(one_close(&no_fault, 1) < 0 && shared->image == 1,
	   "the last to close a large store takes an image");
	for (size_t i = 0; i < FAULTS && right; i++) {
		if (only && !strstr(faults[i].name, only))
			continue;
		for (uint64_t n = first_call(&faults[i], stride);
		     (right = one_close(&faults[i], n)) > 0; n += stride)
			cases++;
	}
	ok(right && shared->image > 1,
	   "%" PRIu64 " faults while it does: the older image stays until the "
	   "new one is whole, and is loaded",
	   cases);
	must(cop_detach(store_path), "detach");
	script_clear(store_path);
	script_clear(shm_path);
}

int main(int argc, char **argv)
{
	const char *text = getenv("COPPICE_TEST_STRIDE");
	const char *only = getenv("COPPICE_TEST_FAULT");
	uint64_t stride = text ? strtoull(text, NULL, 10) : 37 * TEST_SLOW;
	const size_t size = sizeof *page;

	(void)argc;
	shim_use = shim_preload(argv);
	test_begin(3000);
	if (!shim_use)
		skip_all("the shim cannot be preloaded here");
	seed = test_seed() % 1000;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	page = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(root, "/dev/shm/coppice-test-XXXXXX");
	if (!mkdtemp(root))
		bail_out("mkdtemp: %s", strerror(errno));
	snprintf(store_path, sizeof store_path, "%s/store", root);
	snprintf(shm_path, sizeof shm_path, "%s/shm", root);
	strcpy(page->roots[0], root);
	mkdir(shm_path, 0700);
	script_learn(store_path, shm_path);
	script_clear(store_path);
	script_clear(shm_path);
	every_kind_of_call_comes_by();
	for (size_t i = 0; i < FAULTS; i++)
		if (!only || strstr(faults[i].name, only))
			nothing_is_lost_to(&faults[i], stride);
	older_images_outlive_faults(stride, only);
	for (uint32_t i = 0;
	     getenv("COPPICE_TEST_TEXTS") && i < shared->text_count; i++)
		diag("%s", shared->texts[i]);
	script_clear(root);
	return done_testing();
}
