/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content: what was streamed in comes out again, of any size and from any
 * offset, as of every commit, and is stored once however often one entity had
 * it.  What is under way is seen by nobody, goes with the process that was
 * sending it, and lives through a compaction; what no record names does not.
 */
#include "content.h"
#include "env.h"
#include "fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return test_random(state) % limit;
}

/* A sanitizer holds back what was freed. */
#define SPARE (TEST_ASAN ? 2 : 0.5)

enum { PIECE = 100000, COMMON = 3 * CHUNK_BYTES + 5, FLOOD = 48 << 20 };

/* The byte of a content at an offset; odd seeds compress. */
static unsigned char byte_at(uint64_t seed, uint64_t at)
{
	uint64_t word = (seed % 2 ? at / 4096 : at) + seed * 7919;

	word *= UINT64_C(0x9e3779b97f4a7c15);
	word = (word ^ word >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (unsigned char)(word >> 56);
}

static void bytes_make(uint64_t seed, uint64_t at, unsigned char *out,
		       size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = byte_at(seed, at + i);
}

static cop_upload *upload_of(struct fixture *f)
{
	cop_upload *upload = NULL;

	must(cop_upload_begin(f->store, &upload), "upload");
	return upload;
}

/* Adds bytes from..to of a content, in pieces of many sizes. */
static void add(cop_upload *upload, uint64_t seed, uint64_t from, uint64_t to)
{
	static unsigned char piece[PIECE];
	uint64_t random = seed + 1;

	while (from < to) {
		size_t size = random_below(&random, 8)
				  ? PIECE
				  : (size_t)random_below(&random, PIECE) + 1;

		if (size > to - from)
			size = to - from;
		bytes_make(seed, from, piece, size);
		must(cop_upload_add(upload, piece, size), "add");
		from += size;
	}
}

static void give(cop_write *write, const char *key, cop_upload *upload)
{
	must(cop_put_content(write, key, strlen(key), upload), "give");
}

/* Streams a content in, and gives it to an entity. */
static uint64_t stream(struct fixture *f, const char *key, uint64_t seed,
		       uint64_t size)
{
	cop_upload *upload = upload_of(f);
	cop_write *write = write_of(f);

	add(upload, seed, 0, size);
	give(write, key, upload);
	cop_upload_end(upload);
	return commit_of(write);
}

static struct cop_entity entity_of(cop_read *read, const char *key)
{
	struct cop_entity entity;

	must(cop_get(read, key, strlen(key), &entity), "get");
	return entity;
}

/* Whether a part of a content is what it should be. */
static int part_is(cop_read *read, const struct cop_entity *entity,
		   uint64_t seed, uint64_t offset, size_t size)
{
	static unsigned char got[PIECE];
	static unsigned char want[PIECE];
	size_t count = 0;
	size_t most = offset < entity->content_size
			  ? (size_t)(entity->content_size - offset)
			  : 0;

	must(cop_content_read(read, entity, offset, got, size, &count), "part");
	bytes_make(seed, offset, want, count);
	return count == (size < most ? size : most) &&
	       !memcmp(got, want, count);
}

/* Whether an entity's content is this one, from any offset. */
static int content_is(cop_read *read, const char *key, uint64_t seed,
		      uint64_t size)
{
	struct cop_entity entity = entity_of(read, key);
	uint64_t random = seed + size;
	int same = entity.id && entity.content_size == size;

	for (uint64_t at = 0; same && at < size; at += PIECE)
		same = part_is(read, &entity, seed, at, PIECE);
	for (int i = 0; same && i < 20; i++)
		same = part_is(read, &entity, seed,
			       random_below(&random, size + 10),
			       (size_t)random_below(&random, PIECE));
	return same;
}

static void content_ok(struct fixture *f, const char *key, uint64_t seed,
		       uint64_t size, const char *claim)
{
	cop_read *read = read_of(f);

	ok(content_is(read, key, seed, size), "%s", claim);
	cop_read_end(read);
}

/* Chunks and heads in the data file. */
static uint64_t chunks(struct fixture *f)
{
	cop_read *read = read_of(f);
	uint64_t count = 0;

	if (env_count(read->env, read->txn, DB_CONTENT, &count))
		bail_out("the chunks cannot be counted");
	cop_read_end(read);
	return count;
}

static void whole(struct fixture *f, const char *claim)
{
	is_u64(findings_of(f->store), 0, "%s", claim);
}

/* ---- in and out --------------------------------------------------------- */

static void any_size_goes_in_and_out(struct fixture *f)
{
	static const uint64_t sizes[] = {0,
					 1,
					 CONTENT_INLINE,
					 CONTENT_INLINE + 1,
					 CHUNK_BYTES - 1,
					 CHUNK_BYTES,
					 CHUNK_BYTES + 1,
					 COMMON,
					 5 << 20};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (uint64_t seed = 2; seed < 4; seed++) {
			char key[32];
			cop_read *read;

			snprintf(key, sizeof key, "%zu-%d", i, (int)seed);
			stream(f, key, seed, sizes[i]);
			read = read_of(f);
			ok(content_is(read, key, seed, sizes[i]),
			   "%llu bytes, %s", (unsigned long long)sizes[i],
			   seed % 2 ? "that compress" : "that do not");
			cop_read_end(read);
		}
	whole(f, "the store is whole");
}

static void one_piece_has_a_limit(struct fixture *f)
{
	cop_read *read;
	struct cop_entity entity;
	const void *data = NULL;
	size_t size = 0;
	unsigned char last = 0;

	stream(f, "small", 4, COMMON);
	stream(f, "large", 5, COP_CONTENT_BYTES + 1);
	read = read_of(f);
	entity = entity_of(read, "small");
	must(cop_entity_content(read, &entity, &data, &size), "whole");
	ok(size == COMMON && ((const unsigned char *)data)[size - 1] ==
				 byte_at(4, COMMON - 1),
	   "what was streamed in comes in one piece, too");
	entity = entity_of(read, "large");
	is_int(cop_entity_content(read, &entity, &data, &size), COP_TOO_LARGE,
	       "over 16 MiB it does not");
	must(
	    cop_content_read(read, &entity, COP_CONTENT_BYTES, &last, 1, &size),
	    "last byte");
	ok(size == 1 && last == byte_at(5, COP_CONTENT_BYTES), "but in parts");
	must(cop_content_read(read, &entity, UINT64_MAX, &last, 1, &size),
	     "past the end");
	is_u64(size, 0, "past its end there is nothing, and no error");
	cop_read_end(read);
}

static uint64_t private_bytes(void)
{
	char line[256];
	unsigned long long kib = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib * 1024;
}

static void memory_stays_what_it_is(struct fixture *f)
{
	uint64_t before = private_bytes();
	uint64_t after;
	cop_upload *upload = upload_of(f);
	cop_write *write = write_of(f);

	add(upload, 6, 0, FLOOD);
	is_u64(cop_upload_size(upload), FLOOD, "so much was added");
	give(write, "flood", upload);
	cop_upload_end(upload);
	commit_of(write);
	content_ok(f, "flood", 6, FLOOD, "48 MiB come out as they went in");
	after = private_bytes();
	ok((double)after < (double)before + FLOOD * SPARE,
	   "and memory did not grow with them");
	diag("%llu bytes more than before",
	     (unsigned long long)(after > before ? after - before : 0));
}

/* ---- history ------------------------------------------------------------ */

static void one_content_is_stored_once(struct fixture *f)
{
	uint64_t first = stream(f, "paper", 8, COMMON);
	uint64_t had = chunks(f);
	uint64_t second;
	cop_read *read;

	stream(f, "paper", 8, COMMON);
	is_u64(chunks(f), had, "the same content again takes no room");
	second = stream(f, "paper", 9, COMMON);
	is_u64(chunks(f), had + 5, "another does");
	stream(f, "paper", 8, COMMON);
	is_u64(chunks(f), had + 5, "and going back to the first one does not");
	read = read_of(f);
	must(cop_read_as_of(read, second), "as of");
	ok(content_is(read, "paper", 9, COMMON), "as of then it is the other");
	must(cop_read_as_of(read, first), "as of");
	ok(content_is(read, "paper", 8, COMMON), "as of the first, the first");
	cop_read_end(read);
	whole(f, "the store is whole");
}

static void one_may_have_it_already(struct fixture *f)
{
	cop_upload *upload = upload_of(f);
	cop_write *write = write_of(f);

	add(upload, 8, 0, COMMON);
	give(write, "paper", upload);
	give(write, "copy", upload);
	cop_upload_end(upload);
	commit_of(write);
	content_ok(f, "paper", 8, COMMON, "who had it has it");
	content_ok(f, "copy", 8, COMMON, "and so has another, by one write");
	whole(f, "the store is whole");
}

static void put_named(cop_write *write, const char *key, const char *type,
		      int32_t change)
{
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = type,
			      .type_size = strlen(type),
			      .content_change = change};

	must(cop_put(write, &put), "put");
}

static void a_put_keeps_or_replaces(struct fixture *f)
{
	cop_write *write = write_of(f);
	cop_read *read;
	struct cop_put both = {.size = sizeof both,
			       .key = "page",
			       .key_size = 4,
			       .content = "x",
			       .content_size = 1,
			       .content_change = COP_CONTENT_KEEP};

	put_named(write, "page", "draft", COP_CONTENT_KEEP);
	commit_of(write);
	stream(f, "page", 10, COMMON);
	read = read_of(f);
	ok(entity_of(read, "page").type != 0, "content leaves the type alone");
	cop_read_end(read);
	write = write_of(f);
	put_named(write, "page", "final", COP_CONTENT_KEEP);
	is_int(cop_put(write, &both), COP_INVALID,
	       "content, and keeping what there is, is a contradiction");
	must(cop_tag(write, "page", 4, "seen", 4), "tag");
	commit_of(write);
	content_ok(f, "page", 10, COMMON, "a put that keeps it keeps it");
	write = write_of(f);
	both.content = NULL;
	both.content_size = COMMON + 1;
	must(cop_put(write, &both), "put");
	is_int(cop_commit(write, NULL), COP_DANGLING,
	       "one that expects another size is refused");
	cop_abort(write);
	write = write_of(f);
	put_named(write, "page", "final", COP_CONTENT_REPLACE);
	commit_of(write);
	content_ok(f, "page", 10, 0, "one that does not, does not");
	write = write_of(f);
	must(cop_delete(write, "page", 4), "delete");
	commit_of(write);
	write = write_of(f);
	must(cop_undelete(write, "page", 4, 0), "undelete");
	commit_of(write);
	content_ok(f, "page", 10, 0, "undeleted it has what it had");
	whole(f, "the store is whole");
}

/* ---- compaction --------------------------------------------------------- */

static void compact(struct fixture *f)
{
	must(cop_compact(f->store, NULL, NULL), "compact");
}

static void what_is_named_is_kept(struct fixture *f)
{
	uint64_t had;
	cop_upload *upload = upload_of(f);
	cop_write *write;

	stream(f, "kept", 12, COMMON);
	add(upload, 14, 0, 20 * CHUNK_BYTES);
	had = chunks(f);
	compact(f);
	is_u64(chunks(f), had, "a compaction keeps what is under way");
	add(upload, 14, 20 * CHUNK_BYTES, 40 * CHUNK_BYTES);
	compact(f);
	content_ok(f, "kept", 12, COMMON, "and what entities have");
	write = write_of(f);
	give(write, "late", upload);
	give(write, "later", upload);
	commit_of(write);
	is_int(cop_upload_add(upload, "x", 1), COP_INVALID,
	       "what was given takes no more");
	cop_upload_end(upload);
	compact(f);
	content_ok(f, "late", 14, 40 * CHUNK_BYTES,
		   "what was sent before and after two of them is whole");
	content_ok(f, "later", 14, 40 * CHUNK_BYTES, "for a second one, too");
	whole(f, "the store is whole");
}

static void drop(struct fixture *f, const char *key)
{
	cop_write *write = write_of(f);

	must(cop_delete(write, key, strlen(key)), "delete");
	commit_of(write);
}

static void keep_history(struct fixture *f, int32_t history, uint64_t ms)
{
	struct cop_retention rule = {
	    .size = sizeof rule, .history = history, .history_ms = ms};
	cop_write *write = write_of(f);

	must(cop_retain(write, &rule), "retain");
	commit_of(write);
}

static void what_is_not_goes(struct fixture *f)
{
	cop_upload *upload;
	cop_write *write;
	uint64_t had;

	keep_history(f, COP_HISTORY_NONE, 0);
	had = chunks(f);
	stream(f, "brief", 16, COMMON);
	is_u64(chunks(f), had + 5, "four chunks and a head came");
	stream(f, "brief", 18, COMMON);
	is_u64(chunks(f), had + 5,
	       "without history the next ones replace them");
	write = write_of(f);
	put_named(write, "brief", "paper", COP_CONTENT_KEEP);
	commit_of(write);
	content_ok(f, "brief", 18, COMMON, "what is kept stays");
	drop(f, "brief");
	is_u64(chunks(f), had, "and go with the entity");
	upload = upload_of(f);
	add(upload, 20, 0, COMMON);
	write = write_of(f);
	give(write, "one", upload);
	give(write, "two", upload);
	cop_upload_end(upload);
	commit_of(write);
	drop(f, "one");
	content_ok(f, "two", 20, COMMON, "what two were given stays for one");
	drop(f, "two");
	compact(f);
	is_u64(chunks(f), had, "and goes with a compaction");
	whole(f, "the store is whole");
}

static uint64_t newest(struct fixture *f)
{
	cop_read *read = read_of(f);
	uint64_t commit = cop_read_commit(read);

	cop_read_end(read);
	return commit;
}

static void what_is_too_old_goes(struct fixture *f)
{
	struct timespec pause = {0, 30 * 1000000};
	uint64_t had = chunks(f);
	uint64_t commit;

	keep_history(f, COP_HISTORY_ALL, 0);
	stream(f, "aging", 22, COMMON);
	stream(f, "aging", 24, COMMON);
	stream(f, "aging", 22, COMMON);
	is_u64(chunks(f), had + 10, "history has what was replaced");
	keep_history(f, COP_HISTORY_AGE, 20);
	nanosleep(&pause, NULL);
	must(cop_maintain(f->store, NULL, NULL), "maintain");
	is_u64(chunks(f), had + 5, "until it is too old");
	content_ok(f, "aging", 22, COMMON, "what is there again stays");
	nanosleep(&pause, NULL); /* all before the newest commit is old then */
	drop(f, "aging");
	nanosleep(&pause, NULL);
	must(cop_maintain(f->store, NULL, NULL), "maintain");
	is_u64(chunks(f), had, "and goes when that is, too");
	commit = newest(f);
	nanosleep(&pause, NULL);
	must(cop_maintain(f->store, NULL, NULL), "maintain");
	is_u64(newest(f), commit, "when nothing is to go nothing is committed");
	keep_history(f, COP_HISTORY_ALL, 0);
	whole(f, "the store is whole");
}

static void what_was_given_up_goes(struct fixture *f)
{
	uint64_t had = chunks(f);
	cop_upload *upload = upload_of(f);

	add(upload, 26, 0, 40 * CHUNK_BYTES);
	ok(chunks(f) > had, "chunks have come");
	cop_upload_end(upload);
	is_u64(chunks(f), had, "and go when the upload ends without an entity");
}

/* Writes over the heads of all contents that are under way. */
static void grow_old(struct fixture *f)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	env_txn *txn;
	int code;

	must(writer_lock(f->store, 5000), "lock");
	if (env_write_begin(f->store->env, 0, &txn) ||
	    env_cursor_open(f->store->env, txn, DB_CONTENT, &cursor))
		bail_out("no transaction");
	while (!(code = env_cursor_move(cursor, ENV_NEXT, &key, &value))) {
		struct disk_content_head head;
		struct disk_content_key parts;

		memcpy(&parts, key.data, sizeof parts);
		if (parts.number)
			continue;
		memcpy(&head, value.data, sizeof head);
		if (!head.added_ns)
			continue;
		head.added_ns -= CONTENT_IDLE_NS + 1;
		if (env_put(f->store->env, txn, DB_CONTENT, key,
			    bytes_of(&head, sizeof head)))
			bail_out("no put");
	}
	env_cursor_close(cursor);
	if (env_write_commit(txn))
		bail_out("no commit");
	writer_unlock(f->store);
}

static void what_nobody_was_given_goes(struct fixture *f)
{
	cop_upload *started = upload_of(f);
	cop_upload *upload = upload_of(f);
	uint64_t had = chunks(f);
	cop_write *write = write_of(f);

	add(started, 18, 0, 20 * CHUNK_BYTES);
	add(upload, 20, 0, COMMON);
	give(write, "nobody", upload);
	ok(chunks(f) > had + 5, "chunks have come");
	grow_old(f);
	compact(f);
	is_u64(chunks(f), had, "after a day they go with a compaction");
	is_int(cop_commit(write, NULL), COP_INVALID,
	       "and cannot be given any more");
	is_int(cop_put_content(write, "nobody", 6, started), COP_INVALID,
	       "nor be added to");
	is_int(cop_upload_add(started, "x", 1), COP_INVALID,
	       "which it then says each time");
	cop_abort(write);
	cop_upload_end(started);
	cop_upload_end(upload);
	whole(f, "the store is whole");
}

/* ---- deaths and damage -------------------------------------------------- */

static void a_sender_may_be_killed(struct fixture *f)
{
	uint64_t seed = test_seed();

	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (uint64_t n = 0;; n++)
				stream(f, "torn", 20 + n % 2, 6 << 20);
		}
		usleep((useconds_t)random_below(&seed, 60000) + 2000);
		kill(pid, SIGKILL);
		child_wait(pid);
	}
	stream(f, "torn", 22, COMMON);
	content_ok(f, "torn", 22, COMMON, "after eight deaths content goes in");
	whole(f, "and the store is whole");
}

/* Turns a bit of every copy of a content's piece in the data file. */
static int spoil(struct fixture *f, uint64_t seed, uint64_t offset)
{
	enum { MARK = 64 };
	unsigned char mark[MARK];
	unsigned char *map;
	struct stat st;
	char path[160];
	int turned = 0;
	int fd;

	bytes_make(seed, offset, mark, MARK);
	snprintf(path, sizeof path, "%s/gen-%06u/data.mdb", f->path,
		 (unsigned)f->store->generation->number);
	fd = open(path, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		bail_out("%s: %s", path, strerror(errno));
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	if (map == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	for (off_t at = 0; at + MARK <= st.st_size; at++)
		if (map[at] == mark[0] && !memcmp(map + at, mark, MARK)) {
			map[at] ^= 1;
			turned++;
		}
	munmap(map, (size_t)st.st_size);
	close(fd);
	return turned;
}

static void damage_is_seen(struct fixture *f)
{
	static unsigned char room[PIECE];
	cop_read *read;
	struct cop_entity entity;
	size_t got = 0;

	stream(f, "spoilt", 24, COMMON);
	ok(spoil(f, 24, CHUNK_BYTES + 1000), "a bit turns");
	read = read_of(f);
	entity = entity_of(read, "spoilt");
	ok(part_is(read, &entity, 24, 0, PIECE), "a chunk that is sound reads");
	is_int(cop_content_read(read, &entity, CHUNK_BYTES, room, 10, &got),
	       COP_CORRUPT, "one of which a bit has turned does not");
	cop_read_end(read);
	ok(findings_of(f->store) > 0, "and the check finds it");
}

int main(void)
{
	struct fixture f;

	test_begin(240);
	plan_none();
	fixture_init(&f, 0, COP_L2);
	any_size_goes_in_and_out(&f);
	one_piece_has_a_limit(&f);
	memory_stays_what_it_is(&f);
	one_content_is_stored_once(&f);
	one_may_have_it_already(&f);
	a_put_keeps_or_replaces(&f);
	what_is_named_is_kept(&f);
	what_is_not_goes(&f);
	what_is_too_old_goes(&f);
	what_was_given_up_goes(&f);
	what_nobody_was_given_goes(&f);
	a_sender_may_be_killed(&f);
	damage_is_seen(&f);
	fixture_release(&f);
	return done_testing();
}
