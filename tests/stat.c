/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cop_stat says of the data file, of vectors that wait to be linked and
 * of the past, held against what there is.
 */
#include "fixture.h"

enum { DIM = 8, MANY = 400, WRITERS = 2, COMMITS = 30, CONTENT = 3000 };

static void many_put(struct fixture *fixture, const char *prefix)
{
	cop_write *write = write_of(fixture);
	uint64_t seed = 7 + (uint64_t)prefix[0];
	char content[CONTENT];
	char key[32];

	for (uint32_t i = 0; i < MANY; i++) {
		float vector[DIM] = {(float)i, 1, (float)(i % 7)};
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .content = content,
				      .content_size = sizeof content,
				      .vector = vector,
				      .dim = DIM};

		for (size_t j = 0; j < sizeof content; j++) /* incompressible */
			content[j] = (char)test_below(&seed, 256);
		put.key_size = (uint32_t)snprintf(key, sizeof key, "%s%" PRIu32,
						  prefix, i);
		must(cop_put(write, &put), "put");
	}
	(void)commit_of(write);
}

static void many_delete(struct fixture *fixture, const char *prefix)
{
	cop_write *write = write_of(fixture);
	char key[32];

	for (uint32_t i = 0; i < MANY; i++) {
		size_t size =
		    (size_t)snprintf(key, sizeof key, "%s%" PRIu32, prefix, i);

		must(cop_delete(write, key, size), "delete");
	}
	(void)commit_of(write);
}

static uint64_t data_file_bytes(const struct fixture *fixture)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof path, "%s/gen-000001/data.mdb", fixture->path);
	if (stat(path, &st))
		bail_out("%s: %s", path, strerror(errno));
	return (uint64_t)st.st_size;
}

static void what_is_deleted_is_free_and_used_again(struct fixture *fixture)
{
	struct cop_stats full, empty, again;

	many_put(fixture, "a");
	full = stats_of(fixture->store);
	ok(full.data_bytes && full.data_bytes <= data_file_bytes(fixture),
	   "the pages are within the file");
	many_delete(fixture, "a");
	empty = stats_of(fixture->store);
	ok(empty.free_bytes >= full.free_bytes + MANY * CONTENT / 2,
	   "what is deleted, with no history kept, is free");
	ok(empty.free_bytes < empty.data_bytes, "not all of the file is");
	for (int i = 0; i < 2; i++) { /* a meta page may still lead there */
		cop_write *write = write_of(fixture);

		put_simple(write, "one", NULL, NULL, 0);
		(void)commit_of(write);
	}
	many_put(fixture, "b");
	again = stats_of(fixture->store);
	ok(again.free_bytes < empty.free_bytes, "the next ones use it");
	diag("used and free %" PRIu64 " %" PRIu64 ", deleted %" PRIu64
	     " %" PRIu64 ", used again %" PRIu64 " %" PRIu64,
	     full.data_bytes, full.free_bytes, empty.data_bytes,
	     empty.free_bytes, again.data_bytes, again.free_bytes);
}

static void vectors_wait_until_they_are_linked(struct fixture *fixture)
{
	struct cop_maintain_result result = {.size = sizeof result};

	many_put(fixture, "c");
	ok(stats_of(fixture->store).unlinked > 0,
	   "new vectors wait to be linked");
	must(cop_maintain(fixture->store, NULL, &result), "maintain");
	ok(stats_of(fixture->store).unlinked == result.unlinked,
	   "as many as cop_maintain says it has left");
	is_int((int64_t)result.unlinked, 0, "none");
}

static void the_oldest_commit_is_the_first_to_be_read(struct fixture *fixture)
{
	struct cop_stats stats = stats_of(fixture->store);
	cop_read *read = read_of(fixture);

	ok(stats.oldest <= stats.commits, "it is none to come");
	is_int(cop_read_as_of(read, stats.oldest), 0, "it can be read as of");
	if (stats.oldest)
		is_int(cop_read_as_of(read, stats.oldest - 1), COP_TOO_OLD,
		       "the one before cannot");
	cop_read_end(read);
}

/* ---- while others write ------------------------------------------------- */

static void write_many(struct fixture *fixture, uint32_t number)
{
	for (uint32_t i = 0; i < COMMITS; i++) {
		cop_write *write = write_of(fixture);
		float vector[DIM] = {(float)number, (float)i};
		char key[32];

		snprintf(key, sizeof key, "w%" PRIu32 "-%" PRIu32, number,
			 i % 5);
		put_simple(write, key, "thing", vector, DIM);
		(void)commit_of(write);
	}
	cop_close(fixture->store);
	_exit(0);
}

static void figures_hold_while_others_write(struct fixture *fixture)
{
	pid_t pids[WRITERS];
	uint32_t wrong = 0, left = WRITERS, looks = 0;
	uint64_t commits = 0;

	for (uint32_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			write_many(fixture, i);
	}
	while (left) {
		struct cop_stats stats = stats_of(fixture->store);
		int status;

		wrong += stats.free_bytes >= stats.data_bytes ||
			 stats.data_bytes > data_file_bytes(fixture) ||
			 stats.oldest > stats.commits ||
			 stats.commits < commits;
		commits = stats.commits;
		looks++;
		while (left && waitpid(pids[left - 1], &status, WNOHANG) > 0)
			left--;
	}
	ok(!wrong,
	   "free is less than all, which is within the file (%" PRIu32
	   " looks)",
	   looks);
}

int main(void)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .history = COP_HISTORY_NONE};
	struct fixture fixture;

	test_begin(120 * TEST_SLOW);
	fixture_make(&fixture, &options);
	what_is_deleted_is_free_and_used_again(&fixture);
	vectors_wait_until_they_are_linked(&fixture);
	the_oldest_commit_is_the_first_to_be_read(&fixture);
	figures_hold_while_others_write(&fixture);
	fixture_release(&fixture);
	fixture_init(&fixture, DIM, COP_L2);
	many_put(&fixture, "a");
	is_int((int64_t)stats_of(fixture.store).oldest, 0,
	       "with history, all commits can be read");
	the_oldest_commit_is_the_first_to_be_read(&fixture);
	fixture_release(&fixture);
	return done_testing();
}
