/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data file with a bit turned over in what LMDB trusts is refused in words,
 * or works as if nothing were; it never ends the process.
 *
 * idea
 *	Of a small store the bytes of the meta pages, of pages' headers, of
 *	where nodes begin and of what is in front of their keys are listed; one
 *	bit of some, chosen evenly, is turned over in a copy.  A child opens it
 *	before that, or after, and checks it, takes a backup, builds the
 *	segment and compacts, all in one process; or has a quick check of it,
 *	and an audit of the graph.  What a check calls whole
 *	must be what it was, and so must what a backup is restored to.
 *
 * limits
 *	FLIPS bits, by COPPICE_TEST_SEED.  What entries say is their checksums'
 *	matter, tested elsewhere.
 */
#include "damaged.h"

#include <sys/mman.h>

enum {
	FLIPS = 500 / TEST_SLOW,
	LOOKS = 30 / TEST_SLOW,
	END_WORKED = 0,
	END_FOUND = 9, /* by the check */
	END_REFUSED = 10,
	END_WRONG = 11
};

enum when { FLIP_CLOSED, FLIP_OPEN, FLIP_ASKED };

struct flip {
	off_t at;
	unsigned bit;
	enum when when;
};

static char *stage; /* what a child is about, shared with it */

/* ---- one flip, in a child ----------------------------------------------- */

static void flip_do(const struct flip *flip)
{
	unsigned char byte = bytes[flip->at] ^ (unsigned char)(1 << flip->bit);

	copy_patch(flip->at, &byte, 1);
}

static int is_good(cop_err err)
{
	return !err || (err == COP_CORRUPT && *cop_last_error());
}

/* How many there are; less than 0, an error. */
static int64_t check_findings(cop_store *store)
{
	struct cop_check_options options = {.size = sizeof options};
	struct cop_check_result result = {.size = sizeof result};
	cop_err err = cop_check_with(store, &options, &result);

	return err ? err : (int64_t)result.left;
}

static int check_end(cop_store *store)
{
	int64_t found;

	strcpy(stage, "check");
	found = check_findings(store);
	if (found)
		return found > 0 || is_good((cop_err)found) ? END_FOUND
							    : END_WRONG;
	strcpy(stage, "what was found whole");
	return digest_of(store) == oracle ? END_WORKED : END_WRONG;
}

/* Whether one that succeeds has everything. */
static int backup_is_good(cop_store *store)
{
	struct cop_restore_options options = {.size = sizeof options,
					      .shm_dir = memory};
	int fd = memfd_create("backup", MFD_CLOEXEC);
	cop_store *restored;
	char path[256];
	cop_err err;
	int same;

	strcpy(stage, "backup");
	err = cop_backup(store, fd, NULL, NULL);
	if (err)
		return is_good(err);
	strcpy(stage, "what was restored");
	snprintf(path, sizeof path, "%s/restored", copy.folder);
	lseek(fd, 0, SEEK_SET);
	must(cop_backup_verify(fd, NULL, NULL), "verify");
	lseek(fd, 0, SEEK_SET);
	must(cop_restore(fd, path, &options, NULL), "restore");
	must(cop_open(path, NULL, &restored), "open");
	same = digest_of(restored) == oracle;
	cop_close(restored);
	close(fd);
	return same;
}

static int write_is_good(cop_store *store)
{
	cop_write *write;
	cop_err err;

	strcpy(stage, "write");
	must(cop_write_begin(store, &write), "write");
	put_simple(write, "another", "type", NULL, 0);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return is_good(err);
}

/* A quick check and an audit of the graph, by a read that was begun before. */
static int ask(cop_store *store, cop_read *read)
{
	struct cop_check_options options = {.size = sizeof options,
					    .depth = COP_CHECK_QUICK};
	struct cop_check_result result = {.size = sizeof result};
	struct cop_recall recall = {.size = sizeof recall};
	int is_found;
	cop_err err;

	strcpy(stage, "quick check");
	err = cop_check_with(store, &options, &result);
	if (!is_good(err))
		return END_WRONG;
	is_found = err || result.left;
	strcpy(stage, "recall");
	err = cop_recall(read, 0, 0, &recall);
	if (!is_good(err))
		return END_WRONG;
	return is_found || err ? END_FOUND : END_WORKED;
}

/* One that is damaged while it is open may end a write, which has begun. */
static int use(cop_store *store, enum when when)
{
	int end = check_end(store);

	if (end == END_WRONG || !backup_is_good(store) ||
	    (when == FLIP_CLOSED && !write_is_good(store)))
		return END_WRONG;
	strcpy(stage, "rebuild");
	if (!is_good(cop_rebuild(store, NULL, 0, NULL)))
		return END_WRONG;
	strcpy(stage, "compact");
	return is_good(cop_compact(store, NULL, NULL)) ? end : END_WRONG;
}

static int flip_use(const struct flip *flip)
{
	cop_read *read = NULL;
	cop_store *store;
	cop_err err;

	if (flip->when == FLIP_CLOSED)
		flip_do(flip);
	strcpy(stage, "open");
	err = cop_open(copy.path, NULL, &store);
	if (err)
		return is_good(err) ? END_REFUSED : END_WRONG;
	if (flip->when == FLIP_ASKED)
		must(cop_read_begin(store, &read), "read");
	if (flip->when != FLIP_CLOSED)
		flip_do(flip);
	return read ? ask(store, read) : use(store, flip->when);
}

static int segment_seen(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	return type == FTW_F && strstr(path + ftw->base, "index") ? 1 : 0;
}

static int segment_is_left(void)
{
	return nftw(memory, segment_seen, 16, FTW_PHYS);
}

/* How a child that does it ends; by a signal, more than 128. */
static int flip_run(const struct flip *flip)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid) {
		alarm(60);
		_exit(flip_use(flip));
	}
	if (waitpid(pid, &status, 0) != pid)
		bail_out("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Returns END_WRONG of one that ends otherwise than the others, with words. */
static int flip_try(const struct flip *flip, int *left)
{
	int end;

	copy_make();
	end = flip_run(flip);
	*left += end == END_REFUSED && segment_is_left();
	copy_release();
	if (end == END_WORKED || end == END_FOUND || end == END_REFUSED)
		return end;
	diag("byte %lld of page %lld, bit %u: %d, at: %s",
	     (long long)(flip->at % PAGE), (long long)(flip->at / PAGE),
	     flip->bit, end, stage);
	return END_WRONG;
}

/* ---- claims ------------------------------------------------------------- */

static void a_bit_that_lmdb_trusts_is_found_or_does_no_harm(enum when when,
							    uint64_t *state)
{
	static const char *const words[] = {
	    "before it is opened", "while it is open", "while it is asked"};
	int found = 0;
	int wrong = 0;
	int left = 0;

	for (size_t i = 0; i < FLIPS; i++) {
		size_t step = spot_count / FLIPS;
		struct flip flip = {
		    .at = spots[i * spot_count / FLIPS +
				test_below(state, step ? step : 1)],
		    .bit = (unsigned)test_below(state, 8),
		    .when = when};
		int end = flip_try(&flip, &left);

		found += end == END_FOUND || end == END_REFUSED;
		wrong += end == END_WRONG;
	}
	is_int(wrong, 0,
	       "a bit of the file's structure turned over %s is found or does "
	       "no harm",
	       words[when]);
	/* who asks of two trees looks at no others */
	ok(found > (when == FLIP_ASKED ? FLIPS / 20 : FLIPS / 2),
	   "%d of %d are found", found, FLIPS);
	is_int(left, 0, "a segment that cannot be built is not left behind");
}

/* One past LMDB's map is what a file that grew looks like. */
static void a_last_page_that_is_damaged_is_no_want_of_room(void)
{
	enum { METAS = 2, LAST_AT = 136, LAST_BYTES = 8 };
	int wrong = 0;
	int left = 0;

	for (off_t i = 0; i < METAS * LAST_BYTES; i++) {
		const struct flip flip = {.at = i / LAST_BYTES * PAGE +
						LAST_AT + i % LAST_BYTES,
					  .bit = (unsigned)i % 8,
					  .when = FLIP_OPEN};

		wrong += flip_try(&flip, &left) == END_WRONG;
	}
	is_int(wrong, 0, "no bit of the last page's number is a map too small");
}

/* Commits as fast as it can, until it is killed. */
static pid_t writer_start(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (pid)
		return pid;
	alarm(300);
	fixture_open(&copy);
	for (uint64_t i = 0;; i++) {
		const float vector[DIM] = {(float)i};
		cop_write *write = write_of(&copy);

		put_simple(write, i % 2 ? "one" : "two", "type", vector, DIM);
		commit_of(write);
	}
}

static void what_a_writer_changes_meanwhile_is_no_damage(void)
{
	struct cop_backup_info info = {.size = sizeof info};
	uint64_t first = 0;
	int failed = 0;
	pid_t writer;

	copy_make();
	writer = writer_start();
	fixture_open(&copy);
	for (int i = 0; i < LOOKS; i++) {
		int fd = memfd_create("backup", MFD_CLOEXEC);

		failed += cop_backup(copy.store, fd, NULL, &info) != 0;
		failed += cop_rebuild(copy.store, NULL, 0, NULL) != 0;
		failed += check_findings(copy.store) != 0;
		first = first ? first : info.commit;
		close(fd);
	}
	failed += cop_compact(copy.store, NULL, NULL) != 0;
	failed += check_findings(copy.store) != 0;
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	fixture_close(&copy);
	is_int(failed, 0,
	       "backups, builds, a compaction and checks find nothing beside a "
	       "writer");
	ok(info.commit > first, "who went on");
	copy_release();
}

int main(void)
{
	uint64_t state = test_seed();

	test_begin(600);
	stage = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stage == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	whole_make(&state);
	spots_find();
	diag("%zu bytes of structure in %zu pages", spot_count, size / PAGE);
	a_bit_that_lmdb_trusts_is_found_or_does_no_harm(FLIP_CLOSED, &state);
	a_bit_that_lmdb_trusts_is_found_or_does_no_harm(FLIP_OPEN, &state);
	a_bit_that_lmdb_trusts_is_found_or_does_no_harm(FLIP_ASKED, &state);
	a_last_page_that_is_damaged_is_no_want_of_room();
	what_a_writer_changes_meanwhile_is_no_damage();
	whole_release();
	return done_testing();
}
