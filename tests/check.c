/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a check finds, what it mends, and that nothing falls over meanwhile.
 *
 * idea
 *	The data file of a store that nobody has attached is damaged through
 *	LMDB itself, one index at a time; shared memory and images by flipped
 *	bits.  A child that searches all the while must end as it should, and
 *	a store that was mended must answer as it did before.
 */
#include "fixture.h"
#include "format.h"
#include "point.h"
#include "store.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { DIM = 16, KEYS = 200, FLIPS = 60, ROUNDS = 12 };

static struct {
	_Atomic uint32_t stop;
	_Atomic uint64_t rounds;
	_Atomic uint64_t refused;
} * shared;

/* ---- a store ------------------------------------------------------------ */

static void key_of(char *key, uint64_t i)
{
	snprintf(key, 16, "key-%u", (unsigned)i);
}

static void vector_of(float *vector, uint64_t i)
{
	for (uint64_t d = 0; d < DIM; d++)
		vector[d] = (float)((i * 31 + d * 17) % 101) - 50.5f;
}

static void entity_put(cop_write *write, uint64_t i)
{
	static const char *const tags[] = {"tagged"};
	float vector[DIM];
	char key[16];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .type = i % 2 ? "odd" : "even",
			      .type_size = i % 2 ? 3 : 4,
			      .vector = vector,
			      .dim = DIM,
			      .tags = tags,
			      .tag_count = 1};

	key_of(key, i);
	vector_of(vector, i);
	put.key_size = (uint32_t)strlen(key);
	must(cop_put(write, &put), "put");
}

static void store_fill(struct fixture *f)
{
	cop_write *write = write_of(f);
	char key[16];
	char other[16];

	for (uint64_t i = 0; i < KEYS; i++)
		entity_put(write, i);
	for (uint64_t i = 0; i < KEYS; i++) {
		key_of(key, i);
		key_of(other, (i + 1) % KEYS);
		must(link_simple(write, key, "next", other), "link");
	}
	commit_of(write);
}

static char memory[64]; /* where stores of this test have their segments */

static void store_make(struct fixture *f)
{
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .shm_dir = memory};

	fixture_make(f, &options);
	store_fill(f);
}

/* All keys, vectors, lists, neighbours and a few searches, in one number. */
static cop_err store_ask(cop_store *store, uint64_t *sum)
{
	struct cop_search search = {.size = sizeof search, .k = 10};
	struct cop_hit hits[10];
	float vector[DIM];
	uint32_t count = 0;
	cop_read *read;
	cop_err err = cop_read_begin(store, &read);

	*sum = 0;
	if (err)
		return err;
	search.vector = vector;
	for (uint64_t i = 0; i < KEYS && !err; i++) {
		struct cop_entity entity;
		char key[16];

		key_of(key, i);
		vector_of(vector, i);
		err = cop_get(read, key, strlen(key), &entity);
		if (!err)
			err = cop_search(read, &search, hits, &count);
		*sum = *sum * 31 + entity.id;
		for (uint32_t j = 0; j < count && !err; j++)
			*sum = *sum * 31 + hits[j].id;
	}
	cop_read_end(read);
	return err;
}

/* ---- checks ------------------------------------------------------------- */

static struct cop_check_result check_run(struct fixture *f, int32_t depth,
					 uint32_t repair)
{
	struct cop_check_result result = {.size = sizeof result};
	struct cop_check_options options = {
	    .size = sizeof options, .depth = depth, .repair = repair};

	must(cop_check_with(f->store, &options, &result), "check");
	return result;
}

static void a_sound_store_has_no_findings(void)
{
	struct fixture f;
	cop_err err;

	store_make(&f);
	for (int32_t depth = COP_CHECK_FULL; depth <= COP_CHECK_DEEP; depth++)
		is_int((int64_t)check_run(&f, depth, 0).left, 0,
		       "a sound store has no findings at depth %d", depth);
	is_int((int64_t)check_run(&f, COP_CHECK_DEEP, 1).mended, 0,
	       "and nothing to mend");
	err = cop_check_with(f.store,
			     &(struct cop_check_options){
				 .size = sizeof(struct cop_check_options),
				 .depth = COP_CHECK_QUICK,
				 .repair = 1},
			     NULL);
	is_int(err, COP_INVALID, "a quick check repairs nothing");
	fixture_release(&f);
}

/* ---- the data file ------------------------------------------------------ */

enum damage {
	DAMAGE_DROP,
	DAMAGE_ADD,
	DAMAGE_CHANGE,
	DAMAGE_BIT, /* one, and the checksum stays what it was */
	DAMAGE_BITS /* two */
};

static void entry_damage(struct env *env, env_txn *txn, enum env_db db,
			 enum damage damage)
{
	unsigned char key_copy[512];
	unsigned char copy[4096];
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	size_t at;
	void *room;

	must(env_cursor_open(env, txn, db, &cursor), "cursor");
	must(env_cursor_move(cursor, ENV_NEXT, &key, &value), "first");
	env_cursor_close(cursor);
	if (value.size + FORMAT_SUM_BYTES > sizeof copy)
		bail_out("an entry of %zu bytes", value.size);
	memcpy(key_copy, key.data, key.size);
	memcpy(copy, value.data, value.size + FORMAT_SUM_BYTES);
	key.data = key_copy;
	value.data = copy;
	at = value.size > 8 ? 8 : 0;
	if (damage == DAMAGE_ADD)
		key_copy[key.size - 1] ^= 0x3f;
	if (damage == DAMAGE_CHANGE)
		copy[at] ^= 0x55;
	if (damage == DAMAGE_BIT || damage == DAMAGE_BITS)
		copy[at] ^= damage == DAMAGE_BIT ? 1 : 3;
	if (damage == DAMAGE_DROP) {
		must(env_delete(env, txn, db, key), "delete");
	} else if (damage == DAMAGE_ADD || damage == DAMAGE_CHANGE) {
		must(env_put(env, txn, db, key, value), "put");
	} else {
		must(env_put_room(env, txn, db, key, value.size, &room), "put");
		memcpy(room, copy, value.size + FORMAT_SUM_BYTES);
	}
}

/* The first entry goes, has a twin that is none, or another value. */
static void data_damage(const struct fixture *f, enum env_db db,
			enum damage damage)
{
	cop_store *store;
	env_txn *txn;

	must(cop_open(f->path, NULL, &store), "open");
	must(writer_lock(store, 1000), "lock");
	must(env_write_begin(store->env, 0, &txn), "begin");
	entry_damage(store->env, txn, db, damage);
	must(env_write_commit(txn), "commit");
	writer_unlock(store);
	cop_close(store);
	must(cop_detach(f->path), "detach");
}

/* A store that nobody has attached, with damage in its data file. */
static void damaged_make(struct fixture *f, enum env_db db, enum damage damage)
{
	store_make(f);
	fixture_close(f);
	must(cop_detach(f->path), "detach");
	data_damage(f, db, damage);
}

static void reader_run(const struct fixture *f)
{
	cop_store *store;
	uint64_t sum;

	must(cop_open(f->path, NULL, &store), "open");
	while (!shared->stop) {
		if (store_ask(store, &sum))
			shared->refused++;
		shared->rounds++;
	}
	cop_close(store);
	_exit(0);
}

static pid_t reader_start(const struct fixture *f)
{
	uint64_t until;
	pid_t pid;

	shared->stop = 0;
	until = shared->rounds + 1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(120);
		reader_run(f);
	}
	while (shared->rounds < until && !kill(pid, 0) &&
	       !waitpid(pid, NULL, WNOHANG))
		usleep(1000);
	return pid;
}

static int reader_stop(pid_t pid)
{
	shared->stop = 1;
	return child_wait(pid);
}

static void damage_is_found_and_mended(enum env_db db, enum damage damage,
				       const char *what)
{
	struct cop_check_result result;
	struct fixture f;
	uint64_t findings;
	pid_t reader;

	damaged_make(&f, db, damage);
	reader = reader_start(&f);
	fixture_open(&f);
	findings = check_run(&f, COP_CHECK_FULL, 0).left;
	result = check_run(&f, COP_CHECK_DEEP, 1);
	ok(findings && result.mended && !result.left,
	   "%s is found (%u findings), and mended", what, (unsigned)findings);
	is_int((int64_t)check_run(&f, COP_CHECK_DEEP, 0).left, 0,
	       "nothing is found then");
	store_fill(&f);
	is_int((int64_t)findings_of(f.store), 0, "nor after another commit");
	is_int(reader_stop(reader), 0, "a reader went on meanwhile");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	is_int((int64_t)findings_of(f.store), 0, "nor when it is built anew");
	fixture_release(&f);
}

static void indexes_are_mended_from_records(void)
{
	damage_is_found_and_mended(DB_MEMBERS, DAMAGE_DROP,
				   "an entity that its type's list lacks");
	damage_is_found_and_mended(DB_MEMBERS, DAMAGE_ADD,
				   "a list's entity that is not of it");
	damage_is_found_and_mended(DB_EDGES_IN, DAMAGE_DROP,
				   "an edge that its target does not know");
	damage_is_found_and_mended(DB_EDGES_IN, DAMAGE_ADD,
				   "an incoming edge that is none");
	damage_is_found_and_mended(DB_EDGES, DAMAGE_DROP,
				   "an edge whose record is gone");
	damage_is_found_and_mended(DB_EDGES, DAMAGE_ADD,
				   "an edge that its source alone knows");
	damage_is_found_and_mended(DB_KEYS, DAMAGE_DROP, "a key that is gone");
	damage_is_found_and_mended(DB_KEYS, DAMAGE_CHANGE,
				   "a key of another's id");
	damage_is_found_and_mended(DB_NAMES, DAMAGE_CHANGE,
				   "a name that is counted wrong");
	damage_is_found_and_mended(DB_SYMBOLS, DAMAGE_CHANGE,
				   "a name with another's number");
	damage_is_found_and_mended(DB_ENTITIES, DAMAGE_DROP,
				   "what is left of an entity that is gone");
}

/* In the data file of a store that is attached and has an image. */
static void rot_make(struct fixture *f, enum env_db db, enum damage damage)
{
	struct cop_checkpoint_result image = {.size = sizeof image};

	store_make(f);
	must(cop_checkpoint(f->store, &image), "checkpoint");
	fixture_close(f);
	must(cop_detach(f->path), "detach");
	data_damage(f, db, damage);
	fixture_open(f);
}

static cop_err as_of_first(struct fixture *f)
{
	cop_read *read = read_of(f);
	cop_err err = cop_read_as_of(read, 1);

	cop_read_end(read);
	return err;
}

static void a_flipped_bit_is_put_back(enum env_db db)
{
	struct cop_check_result result;
	struct fixture f;
	uint64_t findings;
	uint64_t before;
	uint64_t after;
	pid_t reader;

	store_make(&f);
	must(store_ask(f.store, &before), "ask");
	fixture_release(&f);
	rot_make(&f, db, DAMAGE_BIT);
	reader = reader_start(&f);
	findings = check_run(&f, COP_CHECK_FULL, 0).left;
	result = check_run(&f, COP_CHECK_FULL, 1);
	ok(findings && result.mended && !result.left,
	   "%s: a bit that flipped is found, and put back", env_db_name(db));
	is_int(reader_stop(reader), 0, "a reader went on meanwhile");
	is_int(as_of_first(&f), 0, "what was is known as before");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	must(store_ask(f.store, &after), "ask");
	ok(after == before && !check_run(&f, COP_CHECK_DEEP, 0).left,
	   "built anew all is as it was");
	fixture_release(&f);
}

/* An entry that a record says again is no loss, whatever became of it. */
static void what_a_record_says_again_is_no_loss(enum env_db db)
{
	struct cop_check_result result;
	struct fixture f;

	rot_make(&f, db, DAMAGE_BITS);
	result = check_run(&f, COP_CHECK_FULL, 1);
	ok(result.mended && !result.left,
	   "%s: an entry that cannot be read is made anew", env_db_name(db));
	is_int(as_of_first(&f), 0, "and what was is known as before");
	fixture_release(&f);
}

/* Puts all edges again, which replaces them. */
static cop_err edges_put_again(struct fixture *f)
{
	cop_write *write = write_of(f);
	char key[16];
	char other[16];
	cop_err err;

	for (uint64_t i = 0; i < KEYS; i++) {
		key_of(key, i);
		key_of(other, (i + 1) % KEYS);
		must(link_simple(write, key, "next", other), "link");
	}
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static void a_commit_that_meets_damage_names_it(void)
{
	struct fixture f;
	pid_t reader;
	cop_err err;

	damaged_make(&f, DB_EDGES_IN, DAMAGE_DROP);
	reader = reader_start(&f);
	fixture_open(&f);
	err = edges_put_again(&f);
	is_int(err, COP_CORRUPT, "a commit that meets damage says so");
	ok(strstr(cop_last_error(), f.path) &&
	       strstr(cop_last_error(), "damaged") &&
	       strstr(cop_last_error(), "coppice check --repair"),
	   "of which store, and what to do: %s", cop_last_error());
	(void)check_run(&f, COP_CHECK_FULL, 1);
	is_int(edges_put_again(&f), 0, "a repair has it go on");
	is_int(reader_stop(reader), 0, "a reader went on meanwhile");
	fixture_release(&f);
}

static void flipped_bits_are_put_back(void)
{
	static const enum env_db dbs[] = {DB_KEYS,  DB_ENTITIES, DB_VECTORS,
					  DB_EDGES, DB_EDGES_IN, DB_MEMBERS,
					  DB_NAMES, DB_SYMBOLS,	 DB_OPS};

	for (size_t i = 0; i < sizeof dbs / sizeof *dbs; i++)
		a_flipped_bit_is_put_back(dbs[i]);
}

static void what_records_say_is_made_anew(void)
{
	static const enum env_db dbs[] = {DB_KEYS, DB_EDGES_IN, DB_MEMBERS,
					  DB_SYMBOLS};

	for (size_t i = 0; i < sizeof dbs / sizeof *dbs; i++)
		what_a_record_says_again_is_no_loss(dbs[i]);
}

/* Everything that would carry damage on refuses to. */
static void damage_is_not_carried_on(enum env_db db)
{
	struct cop_compact_result compact = {.size = sizeof compact};
	struct cop_rebuild_result rebuild = {.size = sizeof rebuild};
	struct cop_check_result result;
	struct fixture f;
	uint64_t findings;
	int fd = open("/dev/null", O_WRONLY);

	rot_make(&f, db, DAMAGE_BITS);
	findings = check_run(&f, COP_CHECK_FULL, 0).left;
	result = check_run(&f, COP_CHECK_FULL, 1);
	ok(findings == 1 && result.left == 1 && !result.mended,
	   "%s: an entry that is damaged past a bit is told, and stays",
	   env_db_name(db));
	is_int(cop_backup(f.store, fd, NULL, NULL), COP_CORRUPT,
	       "a backup with it is none");
	is_int(cop_compact(f.store, NULL, &compact), COP_CORRUPT,
	       "a compaction leaves the old file");
	if (db == DB_ENTITIES || db == DB_VECTORS || db == DB_EDGES)
		is_int(cop_rebuild(f.store, NULL, 0, &rebuild), COP_CORRUPT,
		       "shared memory is not built of it");
	ok(check_run(&f, COP_CHECK_FULL, 0).left == 1, "all else is sound");
	close(fd);
	fixture_release(&f);
}

static void what_hangs_on_it_goes_when_told(enum env_db db)
{
	struct cop_check_options options = {.size = sizeof options};
	struct cop_check_result result = {.size = sizeof result};
	struct fixture f;

	damaged_make(&f, db, DAMAGE_BITS);
	is_int(cop_open(f.path, NULL, &f.store), COP_CORRUPT,
	       "%s: a store is not opened of what is damaged", env_db_name(db));
	must(cop_check_file(f.path, &options, &result), "check the file");
	ok(result.left == 1 && !result.mended, "its file can be checked");
	options.repair = 1;
	must(cop_check_file(f.path, &options, &result), "repair the file");
	ok(result.left == 1 && !result.mended, "a repair leaves it");
	options.repair = 2;
	must(cop_check_file(f.path, &options, &result), "drop");
	ok(!result.left && result.mended == 1, "and removes it when told to");
	fixture_open(&f);
	(void)check_run(&f, COP_CHECK_FULL, 1);
	ok(!check_run(&f, COP_CHECK_DEEP, 0).left,
	   "then it opens, and a repair does the rest");
	store_fill(&f);
	is_int((int64_t)findings_of(f.store), 0, "commits go on");
	fixture_release(&f);
}

static void a_bit_is_put_back_in_a_store_that_cannot_be_opened(void)
{
	struct cop_check_options options = {.size = sizeof options,
					    .repair = 1};
	struct cop_check_result result = {.size = sizeof result};
	struct fixture f;
	uint64_t before;
	uint64_t after;

	store_make(&f);
	must(store_ask(f.store, &before), "ask");
	is_int(cop_check_file(f.path, &options, &result), COP_BUSY,
	       "a file is not mended by itself while it is attached");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	data_damage(&f, DB_VECTORS, DAMAGE_BIT);
	is_int(cop_open(f.path, NULL, &f.store), COP_CORRUPT,
	       "a store is not opened of a vector of which a bit flipped");
	must(cop_check_file(f.path, &options, &result), "repair the file");
	ok(!result.left && result.mended == 1, "its file can be repaired");
	fixture_open(&f);
	must(store_ask(f.store, &after), "ask");
	ok(after == before, "and says what it said");
	fixture_release(&f);
}

/* A version that ended, and all that says so. */
static void a_version_goes_when_told(enum env_db db)
{
	struct cop_check_result result;
	struct fixture f;

	store_make(&f);
	store_fill(&f);
	must(edges_put_again(&f), "put edges again");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	data_damage(&f, db, DAMAGE_BITS);
	fixture_open(&f);
	ok(check_run(&f, COP_CHECK_FULL, 1).left == 1, "%s: damage is told",
	   env_db_name(db));
	result = check_run(&f, COP_CHECK_FULL, 2);
	ok(!result.left && result.mended && result.mended < 100,
	   "and goes when told, with what lists it (%llu mended)",
	   (unsigned long long)result.mended);
	ok(!check_run(&f, COP_CHECK_DEEP, 0).left, "then all is sound");
	fixture_release(&f);
}

static void history_forget(struct fixture *f)
{
	struct cop_retention retention = {.size = sizeof retention,
					  .history = COP_HISTORY_NONE};
	cop_write *write = write_of(f);

	must(cop_retain(write, &retention), "retain");
	commit_of(write);
}

static void what_ended_is_listed_again(enum damage damage)
{
	struct cop_check_result result;
	struct fixture f;
	uint64_t left;

	store_make(&f);
	store_fill(&f);
	must(edges_put_again(&f), "put edges again");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	data_damage(&f, DB_DEATHS, damage);
	fixture_open(&f);
	if (damage != DAMAGE_DROP)
		(void)check_run(&f, COP_CHECK_FULL, 2);
	else
		ok(check_run(&f, COP_CHECK_FULL, 0).left > 0,
		   "versions that the index by death lacks are told");
	result = check_run(&f, COP_CHECK_FULL, 1);
	left = check_run(&f, COP_CHECK_DEEP, 0).left;
	ok(!result.left && !left,
	   "what ended is listed again (%llu mended, %llu and %llu left)",
	   (unsigned long long)result.mended, (unsigned long long)result.left,
	   (unsigned long long)left);
	if (damage == DAMAGE_DROP)
		is_int(as_of_first(&f), 0, "and nothing is forgotten by that");
	history_forget(&f);
	is_int((int64_t)findings_of(f.store), 0,
	       "history can be let go of then");
	fixture_release(&f);
}

static void damage_stays_where_it_is(void)
{
	static const enum env_db dbs[] = {DB_ENTITIES, DB_VECTORS, DB_EDGES,
					  DB_OPS, DB_NAMES};

	for (size_t i = 0; i < sizeof dbs / sizeof *dbs; i++)
		damage_is_not_carried_on(dbs[i]);
	what_hangs_on_it_goes_when_told(DB_ENTITIES);
	what_hangs_on_it_goes_when_told(DB_VECTORS);
	what_hangs_on_it_goes_when_told(DB_EDGES);
	a_version_goes_when_told(DB_ENTITY_VERSIONS);
	a_version_goes_when_told(DB_VECTOR_VERSIONS);
	a_version_goes_when_told(DB_EDGE_VERSIONS);
	a_version_goes_when_told(DB_EDGE_IN_VERSIONS);
	what_ended_is_listed_again(DAMAGE_DROP);
	what_ended_is_listed_again(DAMAGE_BITS);
	a_bit_is_put_back_in_a_store_that_cannot_be_opened();
}

/* ---- what is not found -------------------------------------------------- */

static int32_t edge_count(void *user, cop_read *read,
			  const struct cop_edge *edge)
{
	(void)read;
	(void)edge;
	++*(uint64_t *)user;
	return 0;
}

/*
 * The first entry's id becomes 0, in the file of a store that is in use: what
 * asks for it finds nothing, as it would below a damaged branch.
 */
static void entry_lose(struct fixture *f, enum env_db db)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	cop_read *read = read_of(f);
	env_cursor *cursor;
	char path[128];
	char zeros[8] = {0};
	struct stat st;
	char *map;
	char *at;
	int fd;

	snprintf(path, sizeof path, "%s/gen-000001/data.mdb", f->path);
	fd = open(path, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		bail_out("%s: %s", path, strerror(errno));
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	must(env_cursor_open(read->env, read->txn, db, &cursor), "cursor");
	must(env_cursor_move(cursor, ENV_NEXT, &key, &value), "first");
	at = memmem(map, (size_t)st.st_size, key.data, key.size + value.size);
	for (; at; at = memmem(at + 8, (size_t)(map + st.st_size - at - 8),
			       key.data, key.size + value.size))
		if (pwrite(fd, zeros, sizeof zeros, at - map) != sizeof zeros)
			break;
	env_cursor_close(cursor);
	cop_read_end(read);
	munmap(map, (size_t)st.st_size);
	close(fd);
}

/* The store's first, which has more than shared memory takes. */
static void entity_put_large(struct fixture *f)
{
	static char content[1000];
	cop_write *write = write_of(f);
	struct cop_put put = {.size = sizeof put,
			      .key = "key-0",
			      .key_size = 5,
			      .content = content,
			      .content_size = sizeof content};
	uint64_t random = 1;

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)(test_random(&random) % 90 + 33);
	must(cop_put(write, &put), "put");
	commit_of(write);
}

static void lost_is(cop_err err, const char *what, const char *key)
{
	is_int(err, COP_CORRUPT, "%s that is not found is no absence", what);
	ok(strstr(cop_last_error(), key) &&
	       strstr(cop_last_error(), "coppice check"),
	   "but said, and whose: %s", cop_last_error());
}

static void what_is_not_found_is_no_absence(void)
{
	struct fixture f;
	struct cop_entity entity;
	const float *vector;
	uint64_t edges = 0;
	cop_read *read;

	store_make(&f);
	entity_put_large(&f);
	entry_lose(&f, DB_ENTITIES);
	entry_lose(&f, DB_VECTORS);
	entry_lose(&f, DB_EDGES);
	entry_lose(&f, DB_EDGES_IN);
	read = read_of(&f);
	lost_is(cop_get(read, "key-0", 5, &entity), "a record", "key-0");
	lost_is(cop_vector(read, lookup(read, "key-0"), &vector), "a vector",
		"key-0");
	lost_is(
	    cop_edges(read, lookup(read, "key-0"), COP_OUT, edge_count, &edges),
	    "an edge", "key-0");
	lost_is(
	    cop_edges(read, lookup(read, "key-0"), COP_IN, edge_count, &edges),
	    "an incoming edge", "key-0");
	must(cop_vector(read, lookup(read, "key-1"), &vector), "vector");
	ok(vector != NULL, "another has its own");
	cop_read_end(read);
	fixture_release(&f);
}

static void never_given_note(void *user, int32_t place, const char *text)
{
	(void)place;
	*(int *)user += strstr(text, "never given") != NULL;
}

/* However far past the newest one its number is. */
static void a_name_that_never_was_is_found(uint32_t name)
{
	struct disk_member_key key = format_member_key(name, 1);
	struct cop_check_options options = {.size = sizeof options,
					    .found = never_given_note};
	uint64_t version = 1;
	int found = 0;
	struct fixture f;
	env_txn *txn;

	options.user = &found;
	store_make(&f);
	must(writer_lock(f.store, 1000), "lock");
	must(env_write_begin(f.store->env, 0, &txn), "begin");
	must(env_put(f.store->env, txn, DB_MEMBERS, bytes_of(&key, sizeof key),
		     bytes_of(&version, sizeof version)),
	     "put");
	must(env_write_commit(txn), "commit");
	writer_unlock(f.store);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	must(cop_check_with(f.store, &options, NULL), "check");
	is_int(found, 1, "a list of name %u, which never was, is told", name);
	fixture_release(&f);
}

static int32_t nothing_do(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	(void)user;
	(void)thread;
	(void)read;
	(void)entity;
	return 0;
}

static void a_scan_counts_what_it_finds(void)
{
	struct fixture f;
	cop_read *read;

	store_make(&f);
	read = read_of(&f);
	is_int(cop_scan(read, NULL, NULL, 2, nothing_do, NULL), 0,
	       "a scan finds as many entities as there are");
	read->state.entities++;
	is_int(cop_scan(read, NULL, NULL, 2, nothing_do, NULL), COP_CORRUPT,
	       "one that finds fewer says so");
	ok(strstr(cop_last_error(), "coppice check") != NULL, "and what to do");
	cop_read_end(read);
	fixture_release(&f);
}

/* ---- in a visit --------------------------------------------------------- */

static int32_t vector_ask(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	const float *vector;

	(void)user;
	(void)thread;
	return cop_vector(read, entity->id, &vector) != 0;
}

static int32_t commit_ask(void *user, cop_read *read,
			  const struct cop_version *version,
			  const struct cop_entity *entity)
{
	struct cop_commit_info info = {.size = sizeof info};

	(void)user;
	(void)entity;
	return cop_commit_info(read, version->born, &info) != 0;
}

static int32_t stop_at_once(void *user, uint32_t thread, cop_read *read,
			    const struct cop_entity *entity)
{
	(void)user;
	(void)thread;
	(void)read;
	(void)entity;
	return 1;
}

/* A visit that stops for what a call in it met ends in that call's words. */
static void stopped_is(cop_err err, const char *what)
{
	is_int(err, COP_STOPPED, "%s is stopped", what);
	ok(strstr(cop_last_error(), "restore a backup") != NULL,
	   "in the words of what stopped it: %s", cop_last_error());
}

static void what_stops_a_visit_is_said(void)
{
	struct fixture f;
	cop_read *read;

	rot_make(&f, DB_VECTORS, DAMAGE_BITS);
	read = read_of(&f);
	for (uint32_t threads = 1; threads <= 2; threads++)
		stopped_is(
		    cop_scan(read, NULL, NULL, threads, vector_ask, NULL),
		    "a scan that meets a damaged vector");
	stopped_is(cop_scan(read, "even", NULL, 1, vector_ask, NULL),
		   "one of a type");
	is_int(cop_scan(read, NULL, NULL, 1, stop_at_once, NULL), COP_STOPPED,
	       "one that is stopped for nothing");
	is_str(cop_last_error(), "stopped by the caller", "says just that");
	cop_read_end(read);
	fixture_release(&f);
	rot_make(&f, DB_OPS, DAMAGE_BITS);
	read = read_of(&f);
	stopped_is(cop_history(read, lookup(read, "key-0"), commit_ask, NULL),
		   "history at a damaged commit");
	cop_read_end(read);
	fixture_release(&f);
}

static void a_damaged_record_is_told_and_stays(void)
{
	struct cop_check_result result;
	struct fixture f;
	uint64_t findings;

	damaged_make(&f, DB_OPS, DAMAGE_CHANGE);
	fixture_open(&f);
	findings = check_run(&f, COP_CHECK_FULL, 0).left;
	result = check_run(&f, COP_CHECK_FULL, 1);
	ok(findings && result.left && !result.mended,
	   "a broken chain is told, and cannot be mended");
	ok(check_run(&f, COP_CHECK_QUICK, 0).left > 0,
	   "a quick check finds it, too");
	fixture_release(&f);
}

/* ---- flipped bits ------------------------------------------------------- */

static void bit_flip(const char *path, uint64_t at, unsigned bit)
{
	unsigned char byte;
	int fd = open(path, O_RDWR);

	if (fd < 0 || pread(fd, &byte, 1, (off_t)at) != 1)
		bail_out("flip %s: %s", path, strerror(errno));
	byte ^= (unsigned char)(1u << bit);
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		bail_out("flip %s: %s", path, strerror(errno));
	close(fd);
}

/* What is not found must be nowhere that an attach looks at. */
static int image_is_harmless(struct fixture *f, uint64_t before)
{
	uint64_t after = 0;

	fixture_close(f);
	must(cop_detach(f->path), "detach");
	fixture_open(f);
	must(store_ask(f->store, &after), "ask");
	return after == before && !check_run(f, COP_CHECK_FULL, 0).left;
}

static void flips_in_an_image_are_found(uint64_t *state)
{
	struct fixture f;
	uint64_t before;
	int found = 0;
	int harmless = 0;
	int removed = 0;

	store_make(&f);
	must(store_ask(f.store, &before), "ask");
	for (int i = 0; i < FLIPS; i++) {
		struct cop_checkpoint_result image = {.size = sizeof image};
		char path[160];

		must(cop_checkpoint(f.store, &image), "checkpoint");
		snprintf(path, sizeof path, "%s/gen-000001/image-%llu", f.path,
			 (unsigned long long)image.commit);
		bit_flip(path, test_random(state) % image.bytes,
			 (unsigned)(test_random(state) % 8));
		if (!check_run(&f, COP_CHECK_DEEP, 0).left) {
			harmless += image_is_harmless(&f, before);
			continue;
		}
		found++;
		removed += check_run(&f, COP_CHECK_DEEP, 1).left == 0 &&
			   access(path, F_OK) != 0;
	}
	ok(found > FLIPS / 2 && found + harmless == FLIPS,
	   "of %d bits flipped in images %d are found, %d are of no use", FLIPS,
	   found, harmless);
	is_int(removed, found, "what is found is removed by a repair");
	is_int((int64_t)findings_of(f.store), 0, "nothing else is touched");
	fixture_release(&f);
}

static void index_path(struct fixture *f, char *path, size_t room)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read = read_of(f);
	unsigned number = 1;

	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	do
		snprintf(path, room, "%.200s/index-%u", stats.segment,
			 number++);
	while (access(path, F_OK) && number < 1000);
}

/* A byte of the index that is in use: the file is sparse. */
static uint64_t byte_in_use(const char *path, uint64_t *state)
{
	int fd = open(path, O_RDONLY);
	uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END);
	off_t data = -1;

	while (data < 0) {
		/* structures begin at few places: chosen evenly among holes */
		off_t from = (off_t)(test_random(state) % size);

		data = lseek(fd, test_random(state) % 2 ? from : 0, SEEK_DATA);
	}
	close(fd);
	return (uint64_t)data + test_random(state) % 65536;
}

static void flips_in_live_memory_are_survived(uint64_t *state)
{
	uint64_t before;
	uint64_t after;
	struct fixture f;
	pid_t reader;
	int sound = 0;
	int right = 0;

	store_make(&f);
	must(store_ask(f.store, &before), "ask");
	reader = reader_start(&f);
	for (int i = 0; i < ROUNDS; i++) {
		char path[256];

		index_path(&f, path, sizeof path);
		for (int j = 0; j < FLIPS; j++)
			bit_flip(path, byte_in_use(path, state),
				 (unsigned)(test_random(state) % 8));
		usleep(20000);
		(void)check_run(&f, COP_CHECK_DEEP, 1);
		sound += !check_run(&f, COP_CHECK_DEEP, 0).left;
		must(store_ask(f.store, &after), "ask");
		right += after == before;
	}
	is_int(sound, ROUNDS,
	       "after %d flipped bits a repair leaves no finding", FLIPS);
	is_int(right, ROUNDS, "and answers are what they were");
	is_int(reader_stop(reader), 0,
	       "a process that searched meanwhile was never hurt");
	fixture_release(&f);
}

static void a_count_of_waiting_rows_is_not_believed(void)
{
	struct cop_search search = {.size = sizeof search, .k = 3};
	struct cop_hit hits[3];
	float vector[DIM];
	uint32_t count = 0;
	struct fixture f;
	cop_read *read;

	store_make(&f);
	/* relaxed: nobody else is there */
	atomic_store_explicit(&f.store->writable.header->hnsw.tail_count,
			      UINT32_MAX, memory_order_relaxed);
	vector_of(vector, 7);
	search.vector = vector;
	read = read_of(&f);
	must(cop_search(read, &search, hits, &count), "search");
	cop_read_end(read);
	is_int(count, 3,
	       "4 billion rows that wait to be linked are in no search's way");
	ok(check_run(&f, COP_CHECK_FULL, 0).left,
	   "that there are so many is told");
	is_int((int64_t)check_run(&f, COP_CHECK_FULL, 1).left, 0, "and mended");
	fixture_release(&f);
}

static void a_rebuild_keeps_everybody(void)
{
	struct cop_rebuild_result result = {.size = sizeof result};
	uint64_t before;
	uint64_t after;
	struct fixture f;
	pid_t reader;

	store_make(&f);
	must(store_ask(f.store, &before), "ask");
	shared->refused = 0;
	reader = reader_start(&f);
	for (int i = 0; i < 20; i++) {
		must(cop_rebuild(f.store, NULL, i % 2, &result), "rebuild");
		store_fill(&f);
	}
	must(store_ask(f.store, &after), "ask");
	ok(result.beside, "a segment is rebuilt beside the one in use");
	ok(after == before, "answers stay");
	is_int((int64_t)findings_of(f.store), 0, "nothing is found");
	is_int(reader_stop(reader), 0, "a reader went on all the while");
	is_int((int64_t)shared->refused, 0, "and was never refused");
	fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

static const char *death_at;

static void die_there(const char *name)
{
	if (!strcmp(name, death_at))
		raise(SIGKILL);
}

/* A child that mends the store, or rebuilds its segment, and dies on the way */
static int death_run(const struct fixture *f, const char *name)
{
	struct fixture mine = *f;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(60);
		death_at = name;
		fixture_open(&mine);
		point_hook = die_there;
		if (!strncmp(name, "repair", 6))
			(void)check_run(&mine, COP_CHECK_FULL, 1);
		else
			(void)!cop_rebuild(mine.store, NULL, 1, NULL);
		_exit(0);
	}
	return child_wait(pid);
}

static void a_death_on_the_way_is_no_loss(void)
{
	static const char *const names[] = {"repair-prepared",
					    "repair-committed", "renew-built",
					    "index-named", "index-current"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct fixture f;
		pid_t reader;
		int died;

		store_make(&f);
		fixture_close(&f);
		must(cop_detach(f.path), "detach");
		data_damage(&f, DB_EDGES_IN, DAMAGE_DROP);
		reader = reader_start(&f);
		shared->refused = 0;
		died = death_run(&f, names[i]) == 128 + SIGKILL;
		fixture_open(&f);
		(void)check_run(&f, COP_CHECK_FULL, 1);
		store_fill(&f);
		ok(died && !check_run(&f, COP_CHECK_DEEP, 0).left,
		   "after a death at %s a repair and a commit leave no finding",
		   names[i]);
		ok(!reader_stop(reader) && !shared->refused,
		   "and a reader was never refused");
		fixture_release(&f);
	}
}

/* ---- a probe ------------------------------------------------------------ */

static int ping(const struct fixture *f, const char *options, char *said,
		size_t room)
{
	const char *command = getenv("COPPICE");
	char line[512];
	size_t size;
	FILE *pipe;

	snprintf(line, sizeof line, "%s ping %s %s 2>&1",
		 command ? command : "build/release/coppice", f->path, options);
	fflush(stdout);
	pipe = popen(line, "r");
	if (!pipe)
		bail_out("popen: %s", strerror(errno));
	size = fread(said, 1, room - 1, pipe);
	said[size] = 0;
	return WEXITSTATUS(pclose(pipe));
}

static void stop_here(void *user, const char *text)
{
	(void)text;
	shared->rounds++;
	if (!*(int *)user)
		raise(SIGSTOP);
	while (*(int *)user && !shared->stop)
		usleep(1000);
}

/* A child that has the writer lock, and is stopped, or at work. */
static pid_t writer_start(const struct fixture *f, int works)
{
	uint64_t before = shared->rounds;
	pid_t pid;

	shared->stop = 0;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		uint64_t findings;
		cop_store *store;

		alarm(60);
		must(cop_open(f->path,
			      &(struct cop_open_options){
				  .size = sizeof(struct cop_open_options),
				  .name = "holder"},
			      &store),
		     "open");
		must(cop_check(store, stop_here, &works, &findings), "check");
		_exit(0);
	}
	while (shared->rounds == before)
		usleep(1000);
	return pid;
}

static void ping_names_a_stopped_writer(void)
{
	struct fixture f;
	char said[1024];
	pid_t writer;

	store_make(&f);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	data_damage(&f, DB_NAMES, DAMAGE_CHANGE); /* so that a check tells */
	writer = writer_start(&f, 0);
	is_int(ping(&f, "", said, sizeof said), 5,
	       "a probe sees that the writer is stopped");
	ok(strstr(said, "holder (pid ") && strstr(said, "is stopped"),
	   "and names it");
	kill(writer, SIGKILL);
	(void)child_wait(writer);
	is_int(ping(&f, "", said, sizeof said), 0, "killed, it is in no way");
	writer = writer_start(&f, 1);
	is_int(ping(&f, "", said, sizeof said), 0, "one that works is well");
	is_int(ping(&f, "--max-age 0.2s", said, sizeof said), 5,
	       "but for no longer than it may");
	ok(strstr(said, "holder (pid ") && strstr(said, "keeps it"),
	   "and is named");
	shared->stop = 1;
	is_int(child_wait(writer), 0, "it ends");
	fixture_release(&f);
}

int main(void)
{
	uint64_t seed;

	test_begin(TEST_ASAN ? 900 : 300);
	seed = test_seed();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(memory, "/dev/shm/coppice-test-XXXXXX");
	if (shared == MAP_FAILED || !mkdtemp(memory))
		bail_out("cannot begin: %s", strerror(errno));
	a_sound_store_has_no_findings();
	indexes_are_mended_from_records();
	a_commit_that_meets_damage_names_it();
	flipped_bits_are_put_back();
	what_records_say_is_made_anew();
	damage_stays_where_it_is();
	what_is_not_found_is_no_absence();
	a_scan_counts_what_it_finds();
	a_name_that_never_was_is_found(40);
	a_name_that_never_was_is_found(1000);
	what_stops_a_visit_is_said();
	a_damaged_record_is_told_and_stays();
	flips_in_an_image_are_found(&seed);
	flips_in_live_memory_are_survived(&seed);
	a_count_of_waiting_rows_is_not_believed();
	a_rebuild_keeps_everybody();
	a_death_on_the_way_is_no_loss();
	ping_names_a_stopped_writer();
	rmdir(memory);
	return done_testing();
}
