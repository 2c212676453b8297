/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records kept in shared memory, as a user of the store meets them: which are
 * kept, that they are what was put, at every snapshot, and that a store has no
 * room for them is told and harms nothing.
 */
#include "fixture.h"

enum { DIM = 4, LARGE = 900, NONE = -1, RANDOM_KEYS = 30 };

static void open_with(struct fixture *f, uint32_t record_bytes)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .record_bytes = record_bytes};

	fixture_folder(f);
	must(cop_create(f->path, &options), "create");
	fixture_open(f);
}

/* Content that does not compress, a function of a number. */
static void content_of(unsigned char *content, size_t size, uint64_t number)
{
	uint64_t state = number;

	for (size_t i = 0; i < size; i++)
		content[i] = (unsigned char)test_random(&state);
}

static void put_sized(cop_write *write, const char *key, size_t size,
		      uint64_t number)
{
	unsigned char content[COP_RECORD_BYTES];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .content = content,
			      .content_size = size};

	content_of(content, size, number);
	must(cop_put(write, &put), "put");
}

static void commit_sized(struct fixture *f, const char *key, size_t size,
			 uint64_t number)
{
	cop_write *write = write_of(f);

	put_sized(write, key, size, number);
	(void)commit_of(write);
}

/* 1 if an entity is not there with that content; size NONE: not there. */
static int differs(cop_read *read, const struct cop_entity *entity, int size,
		   uint64_t number)
{
	unsigned char want[COP_RECORD_BYTES];
	const void *content = NULL;
	size_t bytes = 0;

	if (size == NONE || !entity->id)
		return (size == NONE) != !entity->id;
	content_of(want, (size_t)size, number);
	must(cop_entity_content(read, entity, &content, &bytes), "content");
	return bytes != (size_t)size || (size && memcmp(content, want, bytes));
}

static struct cop_entity get(cop_read *read, const char *key)
{
	struct cop_entity entity;

	must(cop_get(read, key, strlen(key), &entity), "get");
	return entity;
}

static uint64_t kept(struct fixture *f)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read = read_of(f);

	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	return stats.records;
}

/* ---- which are kept ----------------------------------------------------- */

static void what_is_kept(uint32_t record_bytes, uint64_t want, const char *name)
{
	static const size_t sizes[] = {0, 10, 100, 400, 800, 2000, 3900};
	struct fixture f;
	cop_read *read;
	int wrong = 0;

	open_with(&f, record_bytes);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char key[16];

		snprintf(key, sizeof key, "key-%zu", i);
		commit_sized(&f, key, sizes[i], i);
	}
	is_u64(kept(&f), want, "%s: %" PRIu64 " of 7 are kept", name, want);
	for (int round = 0; round < 2; round++) {
		read = read_of(&f);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			struct cop_entity entity;
			char key[16];

			snprintf(key, sizeof key, "key-%zu", i);
			entity = get(read, key);
			wrong += differs(read, &entity, (int)sizes[i], i);
		}
		cop_read_end(read);
		wrong += findings_of(f.store) != 0;
		fixture_close(&f);
		must(cop_detach(f.path), "detach");
		fixture_open(&f);
		wrong += kept(&f) != want;
	}
	is_int(wrong, 0, "%s: all are read, and so when built anew", name);
	fixture_release(&f);
}

static void an_option_out_of_range_is_refused(void)
{
	struct cop_options options = {.size = sizeof options,
				      .record_bytes = COP_RECORD_BYTES + 1};
	struct fixture f;

	fixture_folder(&f);
	is_int(cop_create(f.path, &options), COP_INVALID,
	       "records of over %d bytes cannot be kept", COP_RECORD_BYTES);
	fixture_release(&f);
}

/* ---- snapshots ---------------------------------------------------------- */

static void what_is_borrowed_stays_until_the_read_ends(void)
{
	struct fixture f;
	struct cop_entity old;
	struct cop_entity now;
	cop_read *read;
	int wrong = 0;

	open_with(&f, 0);
	commit_sized(&f, "a", 100, 1);
	commit_sized(&f, "b", 100, 1);
	read = read_of(&f);
	old = get(read, "a");
	for (uint64_t i = 2; i < 200; i++) {
		commit_sized(&f, "a", 100, i);
		commit_sized(&f, "b", 100, i);
		wrong += differs(read, &old, 100, 1);
	}
	now = get(read, "a");
	wrong += differs(read, &now, 100, 1);
	ok(!wrong && now.version == old.version,
	   "through 198 changes a record borrowed is as it was, and so is one "
	   "asked for again");
	ok(kept(&f) > 300, "the copies in between wait");
	must(cop_read_refresh(read), "refresh");
	now = get(read, "a");
	ok(!differs(read, &now, 100, 199), "refreshed, it sees the newest");
	cop_read_end(read);
	commit_sized(&f, "a", 100, 1);
	ok(kept(&f) <= 3, "and their room is used again");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static void records_follow_what_becomes_of_their_entities(uint64_t seed)
{
	struct fixture f;
	int size[RANDOM_KEYS];
	uint64_t number[RANDOM_KEYS] = {0};
	int wrong = 0;

	open_with(&f, 0);
	for (int i = 0; i < RANDOM_KEYS; i++)
		size[i] = NONE;
	for (uint64_t commit = 1; commit <= 400; commit++) {
		cop_write *write = write_of(&f);
		cop_read *read;

		for (uint64_t n = 1 + test_below(&seed, 4); n; n--) {
			int i = (int)test_below(&seed, RANDOM_KEYS);
			float vector[DIM] = {1, (float)commit, 2, 3};
			char key[16];

			snprintf(key, sizeof key, "key-%d", i);
			switch (size[i] == NONE ? 9 : test_below(&seed, 10)) {
			case 0:
				must(cop_delete(write, key, strlen(key)),
				     "delete");
				size[i] = NONE;
				break;
			case 1:
			case 2: /* its record stays as it is */
				must(cop_put_vector(write, key, strlen(key),
						    vector, DIM),
				     "vector");
				break;
			default:
				size[i] = (int)test_below(&seed, LARGE);
				number[i] = commit;
				put_sized(write, key, (size_t)size[i], commit);
				break;
			}
		}
		(void)commit_of(write);
		read = read_of(&f);
		for (int i = 0; i < RANDOM_KEYS; i++) {
			struct cop_entity entity;
			char key[16];

			snprintf(key, sizeof key, "key-%d", i);
			entity = get(read, key);
			wrong += differs(read, &entity, size[i], number[i]);
		}
		cop_read_end(read);
		if (commit % 40 == 0)
			wrong += findings_of(f.store) != 0;
	}
	is_int(wrong, 0,
	       "small, large, gone and put again: every read is right, and "
	       "the check finds nothing");
	fixture_release(&f);
}

static void many_are_read_as_one_by_one(void)
{
	enum { MANY = 100 };
	struct fixture f;
	struct cop_entity many[MANY];
	const void *keys[MANY];
	size_t sizes[MANY];
	char texts[MANY][16];
	cop_write *write;
	cop_read *read;
	int wrong = 0;

	open_with(&f, 0);
	write = write_of(&f);
	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof texts[i], "key-%d", i);
		keys[i] = texts[i];
		sizes[i] = strlen(texts[i]);
		if (i % 7)
			put_sized(write, texts[i], (size_t)i * 8, (uint64_t)i);
	}
	(void)commit_of(write);
	read = read_of(&f);
	for (uint32_t count = 0; count <= MANY; count += 5) {
		must(
		    cop_get_many(read, keys, sizes, count, 1 + count % 3, many),
		    "get_many");
		for (uint32_t i = 0; i < count; i++)
			wrong += differs(read, &many[i],
					 i % 7 ? (int)i * 8 : NONE, i);
	}
	is_int(wrong, 0, "any number of keys, there or not, in any threads");
	sizes[50] = 0;
	is_int(cop_get_many(read, keys, sizes, MANY, 1, many), COP_BAD_KEY,
	       "a bad key among them is told");
	cop_read_end(read);
	fixture_release(&f);
}

static void an_image_has_the_copies(void)
{
	struct cop_stats stats = {.size = sizeof stats};
	struct fixture f;
	struct cop_entity a;
	struct cop_entity b;
	struct cop_entity c;
	cop_write *write;
	cop_read *read;

	open_with(&f, 0);
	commit_sized(&f, "a", 100, 1);
	commit_sized(&f, "b", 200, 2);
	commit_sized(&f, "c", 300, 3);
	commit_sized(&f, "a", 50, 4);
	must(cop_checkpoint(f.store, NULL), "checkpoint");
	commit_sized(&f, "b", 30, 5);
	write = write_of(&f);
	must(cop_delete(write, "c", 1), "delete");
	put_sized(write, "d", 10, 6);
	(void)commit_of(write);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	a = get(read, "a");
	b = get(read, "b");
	c = get(read, "c");
	ok(stats.image_commit && stats.records == 3 &&
	       !differs(read, &a, 50, 4) && !differs(read, &b, 30, 5) &&
	       !differs(read, &c, NONE, 0),
	   "an image has the copies, and what changed since is copied anew");
	cop_read_end(read);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- without room ------------------------------------------------------- */

enum { A_COMMIT = 500, COMMITS_MOST = 60 };

static cop_err commit_many(struct fixture *f, int from)
{
	cop_write *write = write_of(f);
	cop_err err;

	for (int i = from; i < from + A_COMMIT; i++) {
		char key[16];

		snprintf(key, sizeof key, "key-%d", i);
		put_sized(write, key, 3900, (uint64_t)i);
	}
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static void without_room_a_commit_fails_and_harms_nothing(void)
{
	struct fixture f;
	struct cop_entity entity;
	cop_write *write;
	cop_read *read;
	cop_err err = 0;
	int full = 0;
	int wrong = 0;

	setenv("COPPICE_RESERVE", "256M", 1); /* for good: the last test */
	open_with(&f, COP_RECORD_BYTES);
	for (int i = 0; i < COMMITS_MOST && !err; i++) {
		err = commit_many(&f, full);
		full += err ? 0 : A_COMMIT;
	}
	is_int(err, COP_NO_SPACE, "after %d records there is no room", full);
	is_u64(kept(&f), (uint64_t)full, "those of the failed commit are gone");
	read = read_of(&f);
	for (int i = 0; i < full; i += 97) {
		char key[16];

		snprintf(key, sizeof key, "key-%d", i);
		entity = get(read, key);
		wrong += differs(read, &entity, 3900, (uint64_t)i);
	}
	cop_read_end(read);
	is_int(wrong, 0, "the others are there");
	write = write_of(&f);
	for (int i = 0; i < A_COMMIT; i++) {
		char key[16];

		snprintf(key, sizeof key, "key-%d", i);
		must(cop_delete(write, key, strlen(key)), "delete");
	}
	(void)commit_of(write);
	is_int(commit_many(&f, full), 0, "what deletions free is room");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(120);
	seed = test_seed();
	what_is_kept(0, 4, "512 bytes, the default");
	what_is_kept(UINT32_MAX, 0, "none");
	what_is_kept(64, 2, "64 bytes");
	what_is_kept(COP_RECORD_BYTES, 7, "4,096 bytes");
	an_option_out_of_range_is_refused();
	what_is_borrowed_stays_until_the_read_ends();
	records_follow_what_becomes_of_their_entities(seed);
	many_are_read_as_one_by_one();
	an_image_has_the_copies();
	without_room_a_commit_fails_and_harms_nothing();
	return done_testing();
}
