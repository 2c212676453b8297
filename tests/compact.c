/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a compaction takes out of a store, and what it leaves; what is said of
 * that before; what stops it.
 */
#include "fixture.h"
#include "content.h"
#include "generation.h"
#include "lock.h"
#include "point.h"

#include <fcntl.h>

enum { DIM = 16, KEYS = 600 };

static void store_make(struct fixture *f, int32_t history)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .history = history};

	fixture_make(f, &options);
}

static void key_of(char *key, int i)
{
	snprintf(key, 24, "key-%d", i);
}

/* Puts all keys, with a vector of the round, and a tag unless NULL. */
static void round_put(struct fixture *f, int round, const char *tag)
{
	cop_write *write = write_of(f);

	for (int i = 0; i < KEYS; i++) {
		float vector[DIM] = {(float)i, (float)round, 1};
		char key[24];
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .type = "thing",
				      .type_size = 5,
				      .tags = &tag,
				      .tag_count = tag != NULL,
				      .vector = vector,
				      .dim = DIM};

		key_of(key, i);
		put.key_size = (uint32_t)strlen(key);
		must(cop_put(write, &put), "put");
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static struct cop_slack look(struct fixture *f,
			     const struct cop_compact_options *options)
{
	struct cop_slack slack = {.size = sizeof slack};

	must(cop_compact_look(f->store, options, &slack), "look");
	return slack;
}

static struct cop_compact_result
compacted(struct fixture *f, const struct cop_compact_options *options)
{
	struct cop_compact_result result = {.size = sizeof result};

	must(cop_compact_with(f->store, options, &result), "compact");
	return result;
}

/* ---- history ------------------------------------------------------------ */

static cop_err as_of(struct fixture *f, uint64_t commit)
{
	cop_read *read = read_of(f);
	cop_err err = cop_read_as_of(read, commit);

	cop_read_end(read);
	return err;
}

static int32_t rule_note(void *user, cop_read *read,
			 const struct cop_retention *retention)
{
	int32_t *history = user;

	(void)read;
	*history = retention->history;
	return 0;
}

static void history_is_kept_less_long_for_once(void)
{
	struct cop_compact_options options = {.size = sizeof options,
					      .history_ms = 3600000};
	struct cop_compact_result result;
	struct cop_slack slack;
	struct fixture f;
	int32_t history = -1;
	cop_read *read;

	store_make(&f, COP_HISTORY_ALL);
	for (int round = 0; round < 3; round++)
		round_put(&f, round, round ? NULL : "first");
	result = compacted(&f, &options);
	is_u64(result.versions_dropped, 0, "an hour's history is all kept");
	is_int(as_of(&f, 1), 0, "and can be read");
	options.history_ms = 0;
	options.history = COP_HISTORY_NONE;
	slack = look(&f, &options);
	is_int(as_of(&f, 1), 0, "a look at what would go takes nothing");
	result = compacted(&f, &options);
	ok(slack.history_versions >= KEYS * 4 && slack.history_bytes > 0,
	   "of 600 entities with vectors, three times put, versions would go");
	is_u64(result.versions_dropped, slack.history_versions,
	       "as many as it said");
	is_int(as_of(&f, 1), COP_TOO_OLD, "what was before is too old to read");
	is_u64(look(&f, &options).history_versions, 0, "none is left");
	read = read_of(&f);
	must(cop_retentions(read, rule_note, &history), "retentions");
	cop_read_end(read);
	is_int(history, COP_HISTORY_ALL, "the store keeps all, as before");
	round_put(&f, 4, NULL);
	is_int(as_of(&f, 3), 0, "what is replaced from now on is kept");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	options.history = 7;
	is_int(cop_compact_with(f.store, &options, NULL), COP_INVALID,
	       "there is no history of kind 7");
	fixture_release(&f);
}

/* ---- room --------------------------------------------------------------- */

static void room_is_told_and_had(void)
{
	struct cop_compact_result result;
	struct cop_slack before;
	struct cop_slack after;
	struct fixture f;
	cop_write *write;
	uint64_t id;
	cop_read *read;

	store_make(&f, COP_HISTORY_NONE);
	for (int round = 0; round < 12; round++)
		round_put(&f, round, NULL);
	write = write_of(&f);
	for (int i = 10; i < KEYS; i++) {
		char key[24];

		key_of(key, i);
		must(cop_delete(write, key, strlen(key)), "delete");
	}
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	must(cop_maintain(f.store, NULL, NULL), "maintain");
	read = read_of(&f);
	id = lookup(read, "key-7");
	cop_read_end(read);
	before = look(&f, NULL);
	ok(before.free_bytes > 0 && before.row_bytes > 0,
	   "pages are free and rows dead");
	result = compacted(&f, NULL);
	after = look(&f, NULL);
	is_u64(result.bytes_before, before.disk_bytes,
	       "the look and the result speak of the same data file");
	is_u64(result.shared_before, before.shared_bytes,
	       "and of the same shared memory");
	ok(result.bytes_after < result.bytes_before,
	   "the data file is smaller: %llu, it was %llu",
	   (unsigned long long)result.bytes_after,
	   (unsigned long long)result.bytes_before);
	ok(result.shared_after <= result.shared_before,
	   "the shared memory is no larger");
	is_u64(after.row_bytes, 0, "no row is dead");
	is_u64(after.edge_bytes, 0, "no block of adjacency free");
	is_int((int)after.bloom_layers, 1, "the filter has one layer");
	ok(after.free_bytes < before.free_bytes, "and few pages are free");
	is_u64(stats_of(f.store).limbo, 0, "nothing waits for readers");
	read = read_of(&f);
	is_u64(lookup(read, "key-7"), id, "who was kept has the id it had");
	cop_read_end(read);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- names -------------------------------------------------------------- */

static int32_t count_note(void *user, cop_read *read,
			  const struct cop_name_count *name)
{
	uint64_t *count = user;

	(void)read;
	*count += name->count;
	return 0;
}

/* How many entities have a tag. */
static uint64_t tagged(struct fixture *f, const char *tag)
{
	cop_read *read = read_of(f);
	uint64_t count = 0;

	must(cop_names(read, COP_SPACE_TAG, tag, strlen(tag), count_note,
		       &count),
	     "names");
	cop_read_end(read);
	return count;
}

/* Puts an entity with a type, a tag and a property of one name. */
static void name_put(cop_store *store, const char *key, const char *name)
{
	struct cop_property property = {
	    name, strlen(name), {.kind = COP_INT, .integer = 1}};
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = name,
			      .type_size = strlen(name),
			      .tags = &name,
			      .tag_count = 1,
			      .properties = &property,
			      .property_count = 1};
	cop_write *write;

	must(cop_write_begin(store, &write), "write");
	must(cop_put(write, &put), "put");
	must(link_simple(write, key, name, key), "link");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static void key_delete(cop_store *store, const char *key)
{
	cop_write *write;

	must(cop_write_begin(store, &write), "write");
	must(cop_delete(write, key, strlen(key)), "delete");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

/* Another process, which knows the names from before; asked by a pipe. */
static int writer_run(const struct fixture *f, int asked, int answers)
{
	cop_store *store;
	char key[2];

	alarm(60);
	must(cop_open(f->path, NULL, &store), "open");
	while (read(asked, key, sizeof key) == sizeof key) {
		name_put(store, key, "used by another");
		if (write(answers, key, 1) != 1)
			return 1;
	}
	cop_close(store);
	return 0;
}

struct writer {
	int asks;
	int answered;
	pid_t pid;
};

static struct writer writer_start(const struct fixture *f)
{
	struct writer writer;
	int there[2];
	int back[2];

	if (pipe(there) || pipe(back))
		bail_out("no pipe");
	fflush(stdout);
	writer.pid = fork();
	if (!writer.pid) {
		close(there[1]);
		_exit(writer_run(f, there[0], back[1]));
	}
	close(there[0]);
	close(back[1]);
	writer.asks = there[1];
	writer.answered = back[0];
	return writer;
}

static void writer_ask(const struct writer *writer, const char *key)
{
	char byte;

	if (write(writer->asks, key, 2) != 2 ||
	    read(writer->answered, &byte, 1) != 1)
		bail_out("the other process does not answer");
}

static const struct fixture *hooked;

/* A name that the copy has left out comes back before it takes over. */
static void name_again(const char *point)
{
	if (!strcmp(point, "switch-copied"))
		name_put(hooked->store, "c", "comes back");
}

static void names_that_nothing_has_go(void)
{
	struct cop_compact_result result;
	struct fixture f;
	struct writer writer;

	store_make(&f, COP_HISTORY_NONE);
	writer = writer_start(&f);
	writer_ask(&writer, "a");
	name_put(f.store, "b", "used here");
	name_put(f.store, "c", "comes back");
	name_put(f.store, "d", "stays");
	key_delete(f.store, "a");
	key_delete(f.store, "b");
	key_delete(f.store, "c");
	is_u64(stats_of(f.store).names, 16, "sixteen names");
	hooked = &f;
	point_hook = name_again;
	result = compacted(&f, NULL);
	point_hook = NULL;
	is_u64(result.names_dropped, 12, "of which nothing has twelve");
	is_u64(stats_of(f.store).names, 8,
	       "they go, but for those that came back meanwhile");
	is_u64(tagged(&f, "stays") + tagged(&f, "comes back"), 2,
	       "what stays is found by its names");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	name_put(f.store, "b", "used here");
	writer_ask(&writer, "a");
	is_u64(stats_of(f.store).names, 16,
	       "used again, they are there again, here and by a process that "
	       "was attached");
	is_u64(tagged(&f, "used here") + tagged(&f, "used by another"), 2,
	       "and found");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	close(writer.asks);
	is_int(child_wait(writer.pid), 0, "the other process is content");
	close(writer.answered);
	fixture_release(&f);
}

static void names_of_history_stay(void)
{
	struct fixture f;

	store_make(&f, COP_HISTORY_ALL);
	name_put(f.store, "a", "was");
	key_delete(f.store, "a");
	is_u64(compacted(&f, NULL).names_dropped, 0,
	       "a name that only history has stays");
	is_int(as_of(&f, 1), 0, "and can be read as of then");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- a transaction over a compaction ------------------------------------ */

static int32_t entity_pass(void *user, cop_read *read,
			   const struct cop_entity *entity)
{
	(void)read;
	(void)entity;
	++*(int *)user;
	return 0;
}

/* A transaction that has listed who has the tag: so many. */
static cop_txn *txn_listed(struct fixture *f, int want, const char *what)
{
	cop_txn *txn;
	int seen = 0;

	must(cop_txn_begin(f->store, &txn), "transaction");
	must(cop_txn_scan(txn, NULL, "listed", entity_pass, &seen), "scan");
	is_int(seen, want, "a transaction lists who has a tag%s", what);
	return txn;
}

/* Nobody has it any more; what the transaction then says. */
static void name_drop(struct fixture *f, cop_txn *txn, const char *dropped,
		      const char *said)
{
	struct cop_result result = {.size = sizeof result};

	key_delete(f->store, "a");
	is_u64(compacted(f, NULL).names_dropped, 4, "%s", dropped);
	put_simple(cop_txn_write(txn), "b", NULL, NULL, 0);
	is_int(cop_txn_commit(txn, NULL, &result), COP_CONFLICT, "%s", said);
	cop_txn_end(txn);
}

static void a_list_whose_name_went_is_a_conflict(void)
{
	struct fixture f;
	cop_txn *txn;

	store_make(&f, COP_HISTORY_NONE);
	name_put(f.store, "a", "listed");
	txn = txn_listed(&f, 1, "");
	name_drop(&f, txn,
		  "nobody has it any more, and a compaction drops the name",
		  "the transaction sees that what it read is not so");
	fixture_release(&f);
}

static void a_list_that_was_empty_before_and_after_is_one(void)
{
	struct fixture f;
	cop_txn *txn;

	store_make(&f, COP_HISTORY_NONE);
	name_put(f.store, "other", "stays");
	txn = txn_listed(&f, 0, ": nobody");
	name_put(f.store, "a", "listed");
	name_drop(&f, txn, "one came and went, and a compaction drops the name",
		  "the transaction sees that the list has changed");
	fixture_release(&f);
}

static void a_list_read_after_its_name_went_is_one(void)
{
	struct fixture f;
	cop_txn *txn;
	int seen = 0;

	store_make(&f, COP_HISTORY_NONE);
	name_put(f.store, "a", "listed");
	must(cop_txn_begin(f.store, &txn), "transaction");
	key_delete(f.store, "a");
	is_u64(compacted(&f, NULL).names_dropped, 4,
	       "a name goes after a transaction began");
	is_int(cop_txn_scan(txn, NULL, "listed", entity_pass, &seen),
	       COP_CONFLICT, "it is told so when it asks who has the tag");
	is_int(cop_txn_scan(txn, "listed", NULL, entity_pass, &seen),
	       COP_CONFLICT, "or the type");
	is_int(seen, 0, "and is shown nobody");
	cop_txn_end(txn);
	must(cop_txn_begin(f.store, &txn), "transaction");
	is_int(cop_txn_scan(txn, NULL, "listed", entity_pass, &seen), 0,
	       "one that began later sees that nobody has it");
	cop_txn_end(txn);
	fixture_release(&f);
}

static void a_write_from_before_finds_its_names_again(void)
{
	struct fixture f;
	cop_write *write;
	const char *tag = "dropped";
	struct cop_put put = {.size = sizeof put,
			      .key = "late",
			      .key_size = 4,
			      .type = tag,
			      .type_size = strlen(tag),
			      .tags = &tag,
			      .tag_count = 1};

	store_make(&f, COP_HISTORY_NONE);
	name_put(f.store, "a", tag);
	write = write_of(&f);
	must(cop_put(write, &put), "put");
	must(link_simple(write, "late", tag, "late"), "link");
	key_delete(f.store, "a");
	is_u64(compacted(&f, NULL).names_dropped, 4,
	       "the names that a write has in it go before it commits");
	is_int(cop_commit(write, NULL), 0, "it commits");
	cop_abort(write);
	is_u64(tagged(&f, tag), 1, "and is found by them");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- damage ------------------------------------------------------------- */

/* Turns a bit of the first chunk of content. */
static void chunk_spoil(struct fixture *f)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	struct buffer copy = {0};
	struct disk_content_key parts = {.number = 0};
	env_cursor *cursor;
	env_txn *txn;

	must(writer_lock(f->store, 5000), "lock");
	if (env_write_begin(f->store->env, 0, &txn) ||
	    env_cursor_open(f->store->env, txn, DB_CONTENT, &cursor))
		bail_out("no transaction");
	while (!parts.number) {
		if (env_cursor_move(cursor, ENV_NEXT, &key, &value))
			bail_out("no chunk");
		memcpy(&parts, key.data, sizeof parts);
	}
	if (buffer_put(&copy, value.data, value.size))
		bail_out("no memory");
	copy.data[value.size / 2] ^= 1;
	env_cursor_close(cursor);
	if (env_put(f->store->env, txn, DB_CONTENT,
		    bytes_of(&parts, sizeof parts),
		    bytes_of(copy.data, copy.size)) ||
	    env_write_commit(txn))
		bail_out("no commit");
	buffer_release(&copy);
	writer_unlock(f->store);
}

static int generation_there(const struct fixture *f, int number)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof path, "%s/gen-%06d", f->path, number);
	return !stat(path, &st);
}

static void damaged_content_stops_it(void)
{
	static char bytes[3 * CHUNK_BYTES];
	uint64_t state = 1;
	struct fixture f;
	cop_upload *upload;
	cop_write *write;

	store_make(&f, COP_HISTORY_NONE);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)test_random(&state);
	write = write_of(&f);
	must(cop_upload_begin(f.store, &upload), "upload");
	must(cop_upload_add(upload, bytes, sizeof bytes), "add");
	put_simple(write, "spoilt", NULL, NULL, 0);
	must(cop_put_content(write, "spoilt", 6, upload), "content");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	cop_upload_end(upload);
	chunk_spoil(&f);
	is_int(cop_compact(f.store, NULL, NULL), COP_CORRUPT,
	       "a damaged chunk of content stops a compaction");
	ok(strstr(cop_last_error(), "chunk 1 of the content of entity 1") !=
	       NULL,
	   "which says whose: %s", cop_last_error());
	ok(generation_there(&f, 1) && !generation_there(&f, 2),
	   "and changes nothing");
	key_delete(f.store, "spoilt");
	is_int(cop_compact(f.store, NULL, NULL), 0,
	       "without that content it is done");
	fixture_release(&f);
}

/* ---- what a death leaves ------------------------------------------------ */

static const char *die_at;

static void die(const char *point)
{
	if (!strcmp(point, die_at))
		kill(getpid(), SIGKILL);
}

static int next_there(const char *folder)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof path, "%s/next", folder);
	return !stat(path, &st);
}

static void compact_and_die(const struct fixture *f, const char *at)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		cop_store *store;

		alarm(60);
		must(cop_open(f->path, NULL, &store), "open");
		die_at = at;
		point_hook = die;
		must(cop_compact(store, NULL, NULL), "compact");
		_exit(0);
	}
	is_int(child_wait(pid), 128 + SIGKILL, "a compaction is killed, %s",
	       at);
}

/* While one builds, another opens and closes: its work stays. */
static void open_elsewhere(const char *point)
{
	pid_t pid;

	if (strcmp(point, "switch-copied") && strcmp(point, "renew-built"))
		return;
	pid = fork();
	if (!pid) {
		cop_store *store;

		point_hook = NULL;
		if (cop_open(hooked->path, NULL, &store))
			_exit(1);
		cop_close(store);
		_exit(0);
	}
	is_int(child_wait(pid), 0, "another opens the store, %s", point);
}

static void litter_goes_with_the_next_open(void)
{
	char folder[256];
	struct cop_compact_result result;
	struct fixture f;

	store_make(&f, COP_HISTORY_NONE);
	round_put(&f, 0, NULL);
	snprintf(folder, sizeof folder, "%s", stats_of(f.store).segment);
	compact_and_die(&f, "switch-copied");
	ok(generation_there(&f, 2), "half a data file is left");
	fixture_close(&f);
	fixture_open(&f);
	ok(!generation_there(&f, 2) && generation_there(&f, 1),
	   "who opens the store next removes it");
	compact_and_die(&f, "renew-built");
	ok(next_there(folder), "half a segment is left");
	fixture_close(&f);
	fixture_open(&f);
	ok(!next_there(folder), "who opens the store next removes it");
	hooked = &f;
	point_hook = open_elsewhere;
	result = compacted(&f, NULL);
	point_hook = NULL;
	is_u64(result.renewed, 1, "what is being built is no litter");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

/* ---- who tidies up ------------------------------------------------------ */

/* Holds the lock of generations for so long, from when it says so. */
static pid_t holder_start(const struct fixture *f, unsigned ms)
{
	char path[128];
	char word;
	int said[2];
	pid_t pid;

	snprintf(path, sizeof path, "%s/lock", f->path);
	if (pipe(said))
		bail_out("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_RDWR);

		alarm(60);
		if (lock_take(fd, LOCK_GENERATION, LOCK_EXCLUSIVE, 10000) ||
		    write(said[1], "", 1) != 1)
			_exit(1);
		usleep(ms * 1000);
		_exit(0);
	}
	close(said[1]);
	if (pid < 0 || read(said[0], &word, 1) != 1)
		bail_out("nobody holds the lock");
	close(said[0]);
	return pid;
}

/* Once is enough: a machine that is busy may take the holder's time. */
static void who_tidies_up_is_waited_for(void)
{
	cop_err err = COP_BUSY;
	struct fixture f;
	pid_t holder;

	store_make(&f, COP_HISTORY_NONE);
	round_put(&f, 0, NULL);
	for (int i = 0; err == COP_BUSY && i < 10; i++) {
		holder = holder_start(&f, 50);
		err = cop_compact(f.store, NULL, NULL);
		child_wait(holder);
	}
	is_int(err, 0, "a compaction waits a little for who tidies up");
	holder = holder_start(&f, 30000);
	is_int(cop_compact(f.store, NULL, NULL), COP_BUSY,
	       "who goes on is another compaction");
	kill(holder, SIGKILL);
	child_wait(holder);
	is_int(cop_compact(f.store, NULL, NULL), 0, "killed, it is in no way");
	fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	plan_none();
	history_is_kept_less_long_for_once();
	room_is_told_and_had();
	names_that_nothing_has_go();
	names_of_history_stay();
	a_list_whose_name_went_is_a_conflict();
	a_list_that_was_empty_before_and_after_is_one();
	a_list_read_after_its_name_went_is_one();
	a_write_from_before_finds_its_names_again();
	damaged_content_stops_it();
	litter_goes_with_the_next_open();
	who_tidies_up_is_waited_for();
	return done_testing();
}
