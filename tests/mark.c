/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mark changes with the commit that it is in, or not at all; whatever makes
 * another store of this one, or mends it, keeps it.
 *
 * idea
 *	A process that dies at any moment has put as many entities as its mark
 *	says, for each commit puts one and sets the mark to how many there are.
 */
#include "fixture.h"
#include "point.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { WRITERS = 4, ROUNDS = 60 / TEST_SLOW, DEATHS = 12 / TEST_SLOW };

static struct fixture f;

/* ---- short forms -------------------------------------------------------- */

static void mark(cop_write *write, const char *name, const char *value)
{
	must(cop_mark(write, name, strlen(name), value,
		      value ? strlen(value) : 0),
	     "mark");
}

/* Sets one mark by a commit of its own; its number. */
static uint64_t mark_commit(const char *name, const char *value)
{
	cop_write *write = write_of(&f);

	mark(write, name, value);
	return commit_of(write);
}

/* "" if there is none. */
static const char *mark_in(cop_store *store, const char *name)
{
	static char text[COP_MARK_BYTES + 1];
	struct cop_mark got = {.size = sizeof got};
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	must(cop_read_mark(read, name, strlen(name), &got), "read mark");
	memcpy(text, got.commit ? got.value : "", got.value_size);
	text[got.value_size] = 0;
	cop_read_end(read);
	return text;
}

struct listing {
	uint64_t count;
	uint64_t bytes;
	char last[COP_NAME_BYTES + 1];
	int is_sorted;
};

static int32_t mark_list(void *user, cop_read *read, const struct cop_mark *got)
{
	struct listing *listing = user;
	char name[COP_NAME_BYTES + 1] = "";

	(void)read;
	memcpy(name, got->name, got->name_size);
	listing->is_sorted &= strcmp(listing->last, name) < 0;
	strcpy(listing->last, name);
	listing->bytes += got->value_size;
	listing->count++;
	return 0;
}

static struct listing marks_in(cop_store *store)
{
	struct listing listing = {.is_sorted = 1};
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	must(cop_marks(read, mark_list, &listing), "marks");
	cop_read_end(read);
	return listing;
}

/* ---- one store ---------------------------------------------------------- */

static void a_mark_comes_with_its_commit(void)
{
	struct cop_mark got = {.size = sizeof got};
	cop_read *before = read_of(&f);
	cop_write *write = write_of(&f);
	uint64_t commit;

	mark(write, "feed", "17");
	put_simple(write, "alice", NULL, NULL, 0);
	is_str(mark_in(f.store, "feed"), "", "not before it");
	commit = commit_of(write);
	is_str(mark_in(f.store, "feed"), "17", "and with it");
	must(cop_read_mark(before, "feed", 4, &got), "read");
	is_u64(got.commit, 0, "a read from before has none");
	must(cop_read_refresh(before), "refresh");
	must(cop_read_mark(before, "feed", 4, &got), "read");
	is_u64(got.commit, commit, "refreshed it has, and whose it is");
	cop_read_end(before);
}

static void a_commit_that_fails_marks_nothing(void)
{
	cop_write *write = write_of(&f);

	mark(write, "feed", "18");
	cop_abort(write);
	is_str(mark_in(f.store, "feed"), "17", "none of an aborted write");
	write = write_of(&f);
	mark(write, "feed", "18");
	mark(write, "other", "1");
	must(link_simple(write, "alice", "knows", "nobody"), "link");
	is_int(cop_commit(write, NULL), COP_DANGLING, "the commit fails");
	is_str(mark_in(f.store, "feed"), "17", "and sets no mark");
	is_u64(marks_in(f.store).count, 1, "nor adds one");
	cop_abort(write);
}

static void a_mark_alone_is_a_commit(void)
{
	struct cop_commit_info info = {.size = sizeof info};
	uint64_t first = mark_commit("feed", "19");
	uint64_t again = mark_commit("feed", "19");
	cop_read *read = read_of(&f);

	is_u64(again, first, "but not one that is so already");
	must(cop_commit_info(read, first, &info), "info");
	is_u64(info.touched, 0, "and touches no entity");
	cop_read_end(read);
	is_u64(mark_commit("none", NULL), first, "removing none is no commit");
	is_u64(mark_commit("feed", ""), first + 1, "an empty mark is one");
	is_u64(marks_in(f.store).count, 1, "which is there");
	is_u64(mark_commit("feed", NULL), first + 2,
	       "removing one is a commit");
	is_u64(marks_in(f.store).count, 0, "and it is gone");
}

static void what_is_no_mark_is_refused(void)
{
	static char long_text[COP_MARK_BYTES + 1];
	cop_write *write = write_of(&f);

	memset(long_text, 'x', sizeof long_text);
	is_int(cop_mark(write, "", 0, "a", 1), COP_BAD_TEXT, "without a name");
	is_int(cop_mark(write, "\xff", 1, "a", 1), COP_BAD_TEXT, "no UTF-8");
	is_int(cop_mark(write, long_text, COP_NAME_BYTES + 1, "a", 1),
	       COP_TOO_LARGE, "a name too long");
	is_int(cop_mark(write, "a", 1, long_text, sizeof long_text),
	       COP_TOO_LARGE, "a value too long");
	is_u64(cop_write_count(write), 0, "and the write has nothing of them");
	cop_abort(write);
}

/* As many as there may be, as large as they may be. */
static void a_store_has_room_for_so_many(void)
{
	cop_write *write = write_of(&f);
	char name[COP_NAME_BYTES + 1];
	char value[COP_MARK_BYTES];
	struct listing listing;

	memset(value, 'v', sizeof value);
	for (int i = COP_MARK_COUNT; i--;) {
		sprintf(name, "%0*d", COP_NAME_BYTES, i);
		must(cop_mark(write, name, COP_NAME_BYTES, value, sizeof value),
		     "mark");
	}
	commit_of(write);
	listing = marks_in(f.store);
	ok(listing.count == COP_MARK_COUNT && listing.is_sorted &&
	       listing.bytes == COP_MARK_COUNT * COP_MARK_BYTES,
	   "%d of %d bytes, by name", COP_MARK_COUNT, COP_MARK_BYTES);
	write = write_of(&f);
	mark(write, "one more", "1");
	is_int(cop_commit(write, NULL), COP_TOO_LARGE, "no more");
	cop_abort(write);
	is_u64(findings_of(f.store), 0, "a check finds nothing");
}

/* ---- copies ------------------------------------------------------------- */

static void a_compaction_keeps_marks(void)
{
	must(cop_compact(f.store, NULL, NULL), "compact");
	is_u64(marks_in(f.store).bytes, COP_MARK_COUNT * COP_MARK_BYTES,
	       "all of them");
	is_u64(findings_of(f.store), 0, "a check finds nothing");
}

/* Removes all that a copy has already, which is then brought up to date. */
static void remove_soon(const char *point)
{
	char name[COP_NAME_BYTES + 1];
	cop_write *write;

	if (strcmp(point, "switch-copied") != 0)
		return;
	point_hook = NULL;
	write = write_of(&f);
	for (int i = 0; i < COP_MARK_COUNT; i++) {
		sprintf(name, "%0*d", COP_NAME_BYTES, i);
		mark(write, name, NULL);
	}
	mark(write, "feed", "20");
	commit_of(write);
}

static void a_copy_follows_what_is_marked_meanwhile(void)
{
	point_hook = remove_soon;
	must(cop_compact(f.store, NULL, NULL), "compact");
	ok(!point_hook, "changed while the copy was made");
	is_u64(marks_in(f.store).count, 1, "what was removed is gone");
	is_str(mark_in(f.store, "feed"), "20", "what was set is there");
	mark_commit("feed", NULL);
	must(cop_compact(f.store, NULL, NULL), "compact");
	is_u64(marks_in(f.store).count, 0, "a copy of none has none");
}

static void a_backup_has_the_marks(void)
{
	int fd = memfd_create("backup", MFD_CLOEXEC);
	char path[128];
	cop_store *store;

	mark_commit("feed", "20");
	mark_commit("mirror", "three");
	must(cop_backup(f.store, fd, NULL, NULL), "backup");
	lseek(fd, 0, SEEK_SET);
	must(cop_backup_verify(fd, NULL, NULL), "verify");
	lseek(fd, 0, SEEK_SET);
	snprintf(path, sizeof path, "%s/restored", f.folder);
	must(cop_restore(fd, path, NULL, NULL), "restore");
	close(fd);
	must(cop_open(path, NULL, &store), "open");
	is_u64(marks_in(store).count, 2, "both are in what is restored");
	is_str(mark_in(store, "mirror"), "three", "as they were");
	is_u64(findings_of(store), 0, "a check finds nothing");
	cop_close(store);
	must(cop_detach(path), "detach");
}

/* ---- damage ------------------------------------------------------------- */

static unsigned char *data_map(size_t *bytes)
{
	char path[160];
	void *map;
	struct stat st;
	int fd;

	for (int i = 9; i; i--) {
		snprintf(path, sizeof path, "%s/gen-%06d/data.mdb", f.path, i);
		if (!access(path, R_OK))
			break;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		bail_out("%s: %s", path, strerror(errno));
	*bytes = (size_t)st.st_size;
	map = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	return map;
}

/* Changes a byte of every copy of a text, stale ones too. */
static void text_damage(const char *text, int with)
{
	size_t bytes;
	size_t size = strlen(text);
	unsigned char *map = data_map(&bytes);
	unsigned char *at = map;

	while ((at = memmem(at, (size_t)(map + bytes - at), text, size))) {
		at[1] ^= (unsigned char)with;
		at[3] ^= (unsigned char)(with & (with - 1));
		at += size;
	}
	munmap(map, bytes);
}

/* Turns a bit over in the flags of the main tree's root page. */
static void root_damage(void)
{
	enum { PAGE = 4096, ROOT_AT = 128, TXN_AT = 144, FLAGS_AT = 10 };
	uint64_t txn[2];
	uint64_t root[2];
	size_t bytes;
	unsigned char *map = data_map(&bytes);

	for (int i = 0; i < 2; i++) {
		memcpy(&txn[i], map + i * PAGE + TXN_AT, sizeof *txn);
		memcpy(&root[i], map + i * PAGE + ROOT_AT, sizeof *root);
	}
	map[root[txn[1] > txn[0]] * PAGE + FLAGS_AT] ^= 4;
	munmap(map, bytes);
}

static struct cop_check_result repaired(uint32_t repair)
{
	struct cop_check_options options = {.size = sizeof options,
					    .repair = repair};
	struct cop_check_result result = {.size = sizeof result};

	must(cop_check_with(f.store, &options, &result), "check");
	return result;
}

static void a_bit_of_a_mark_is_put_back(void)
{
	struct cop_mark got = {.size = sizeof got};
	cop_read *read;

	mark_commit("feed", "a needle in the hay");
	text_damage("a needle in the hay", 1);
	read = read_of(&f);
	is_int(cop_read_mark(read, "feed", 4, &got), COP_CORRUPT,
	       "a damaged mark is not read");
	cop_read_end(read);
	is_u64(repaired(0).left, 1, "a check finds it");
	is_u64(repaired(1).mended, 1, "and mends it");
	is_str(mark_in(f.store, "feed"), "a needle in the hay", "as it was");
}

static void marks_that_are_lost_can_be_removed(void)
{
	text_damage("a needle in the hay", 6);
	is_u64(repaired(1).left, 1, "two bits are not mended");
	is_u64(repaired(2).left, 0, "but removed if asked");
	is_u64(marks_in(f.store).count, 0, "with all marks");
	is_u64(findings_of(f.store), 0, "and the rest is whole");
	mark_commit("feed", "21");
	is_str(mark_in(f.store, "feed"), "21", "a mark can be set again");
}

static void a_salvage_keeps_marks(void)
{
	struct cop_check_options options = {.size = sizeof options,
					    .repair = 1};
	struct cop_check_result result = {.size = sizeof result};

	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	root_damage();
	must(cop_check_file(f.path, &options, &result), "check the file");
	ok(result.mended && !result.left, "a damaged page is mended");
	fixture_open(&f);
	is_str(mark_in(f.store, "feed"), "21", "the mark is there");
	is_u64(findings_of(f.store), 0, "a check finds nothing");
}

/* ---- many processes ----------------------------------------------------- */

static cop_err step_commit(const char *who, int step)
{
	cop_write *write = write_of(&f);
	char key[32];
	char value[16];
	cop_err err;

	snprintf(key, sizeof key, "%s-%d", who, step);
	snprintf(value, sizeof value, "%d", step);
	put_simple(write, key, who, NULL, 0);
	mark(write, who, value);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static void many_writers_mark_in_one_commit(void)
{
	pid_t pids[WRITERS];
	int wrong = 0;

	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			char who[16];
			int failed = 0;

			snprintf(who, sizeof who, "writer-%d", i);
			for (int step = 1; step <= ROUNDS; step++)
				failed |= step_commit(who, step) != 0;
			_exit(failed);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = 0;

		waitpid(pids[i], &status, 0);
		wrong += status != 0;
	}
	is_int(wrong, 0, "%d processes commit %d times", WRITERS, ROUNDS);
	for (int i = 0; i < WRITERS; i++) {
		char who[16];

		snprintf(who, sizeof who, "writer-%d", i);
		wrong += atoi(mark_in(f.store, who)) != ROUNDS;
	}
	is_int(wrong, 0, "each one's mark is its last");
	is_u64(findings_of(f.store), 0, "a check finds nothing");
}

static void a_death_leaves_both_or_none(uint64_t *seed)
{
	uint64_t before = stats_of(f.store).entities;
	int apart = 0;
	int last = 0;

	for (int i = 0; i < DEATHS; i++) {
		struct timespec pause = {0, 0};
		int status;
		pid_t pid = fork();

		if (!pid)
			for (int step = last + 1;; step++)
				if (step_commit("mortal", step))
					_exit(1);
		pause.tv_nsec = 1000000 + (long)test_below(seed, 60000000);
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		apart += !WIFSIGNALED(status);
		last = atoi(mark_in(f.store, "mortal"));
		apart += stats_of(f.store).entities - before != (uint64_t)last;
	}
	is_int(apart, 0, "%d deaths, and %d entities and the mark agree",
	       DEATHS, last);
	is_u64(findings_of(f.store), 0, "a check finds nothing");
}

int main(void)
{
	uint64_t seed = test_seed();

	test_begin(120);
	plan_none();
	fixture_init(&f, 0, 0);
	a_mark_comes_with_its_commit();
	a_commit_that_fails_marks_nothing();
	a_mark_alone_is_a_commit();
	what_is_no_mark_is_refused();
	a_store_has_room_for_so_many();
	a_compaction_keeps_marks();
	a_copy_follows_what_is_marked_meanwhile();
	a_backup_has_the_marks();
	a_bit_of_a_mark_is_put_back();
	marks_that_are_lost_can_be_removed();
	a_salvage_keeps_marks();
	many_writers_mark_in_one_commit();
	a_death_leaves_both_or_none(&seed);
	fixture_release(&f);
	return done_testing();
}
