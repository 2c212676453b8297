/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimistic transactions: what was read is so at the commit, or nothing is
 * written.
 *
 * The textbook's anomalies are tried one by one, each with the other commit
 * before the read, after it, and in the same group; then many processes move
 * amounts about, and the sum must stay.  What a writer left that died or failed
 * before its commit is no change: who read meets it at most once.
 */
#include "fixture.h"
#include "point.h"

#include <sys/mman.h>

enum { DIM = 4 };

static void account_put(cop_write *write, const char *key, int64_t amount)
{
	struct cop_property property = {
	    "amount", 6, {.kind = COP_INT, .integer = amount}};
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = "account",
			      .type_size = 7,
			      .properties = &property,
			      .property_count = 1};

	must(cop_put(write, &put), "put");
}

static cop_err account_commit(cop_store *store, const char *key, int64_t amount)
{
	cop_write *write;
	cop_err err;

	must(cop_write_begin(store, &write), "write");
	account_put(write, key, amount);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static cop_err amount_read(cop_txn *txn, const char *key, int64_t *amount)
{
	struct cop_entity entity;
	struct cop_value value;
	int found = 0;
	cop_err err = cop_txn_get(txn, key, strlen(key), &entity);

	*amount = 0;
	if (!err && entity.id)
		err =
		    cop_txn_property(txn, &entity, "amount", 6, &found, &value);
	if (!err && found)
		*amount = value.integer;
	return err;
}

static int64_t amount_now(cop_store *store, const char *key)
{
	cop_txn *txn;
	int64_t amount;

	must(cop_txn_begin(store, &txn), "begin");
	must(amount_read(txn, key, &amount), "read");
	cop_txn_end(txn);
	return amount;
}

static cop_txn *begin(const struct fixture *f)
{
	cop_txn *txn = NULL;

	must(cop_txn_begin(f->store, &txn), "begin");
	return txn;
}

static void link_now(struct fixture *f, const char *a, const char *b)
{
	cop_write *write = write_of(f);

	must(link_simple(write, a, "to", b), "link");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

static int32_t edge_ignore(void *user, cop_read *read,
			   const struct cop_edge *edge)
{
	(void)read;
	(void)edge;
	++*(int *)user;
	return 0;
}

static int32_t entity_count(void *user, cop_read *read,
			    const struct cop_entity *entity)
{
	(void)read;
	(void)entity;
	++*(int *)user;
	return 0;
}

/* ---- the anomalies ------------------------------------------------------ */

static void a_lost_update_is_refused(struct fixture *f)
{
	int64_t a;
	int64_t b;
	cop_txn *one = begin(f);
	cop_txn *two = begin(f);

	must(amount_read(one, "lost", &a), "read");
	must(amount_read(two, "lost", &b), "read");
	account_put(cop_txn_write(one), "lost", a + 1);
	account_put(cop_txn_write(two), "lost", b + 1);
	is_int(cop_txn_commit(one, NULL, NULL), 0, "the first update commits");
	is_int(cop_txn_commit(two, NULL, NULL), COP_CONFLICT,
	       "the second, made from the same value, is a conflict");
	ok(strstr(cop_last_error(), "'lost'") != NULL, "that names the entity");
	is_int((int)amount_now(f->store, "lost"), (int)a + 1,
	       "and leaves no trace");
	cop_txn_end(one);
	cop_txn_end(two);
}

static void write_skew_is_refused(struct fixture *f)
{
	int64_t sum;
	int64_t amount;
	cop_txn *one = begin(f);
	cop_txn *two = begin(f);

	must(amount_read(one, "skew-a", &sum), "read");
	must(amount_read(one, "skew-b", &amount), "read");
	must(amount_read(two, "skew-a", &sum), "read");
	must(amount_read(two, "skew-b", &amount), "read");
	account_put(cop_txn_write(one), "skew-a", -1);
	account_put(cop_txn_write(two), "skew-b", -1);
	is_int(cop_txn_commit(one, NULL, NULL), 0,
	       "of two that read both and write one each, one commits");
	is_int(cop_txn_commit(two, NULL, NULL), COP_CONFLICT,
	       "and the other is refused");
	cop_txn_end(one);
	cop_txn_end(two);
}

static void absence_is_read_too(struct fixture *f)
{
	int64_t amount;
	cop_txn *txn = begin(f);

	must(amount_read(txn, "absent", &amount), "read");
	account_put(cop_txn_write(txn), "absent", 1);
	must(account_commit(f->store, "absent", 2), "another puts it");
	is_int(cop_txn_commit(txn, NULL, NULL), COP_CONFLICT,
	       "what was absent and is there now is a conflict");
	cop_txn_end(txn);
	txn = begin(f);
	must(amount_read(txn, "nobody", &amount), "read");
	account_put(cop_txn_write(txn), "somebody", 1);
	is_int(cop_txn_commit(txn, NULL, NULL), 0,
	       "what was absent and still is, is not");
	cop_txn_end(txn);
}

static void reads_are_of_one_moment(struct fixture *f)
{
	int64_t amount;
	cop_txn *txn = begin(f);
	cop_write *write = write_of(f);

	must(amount_read(txn, "moment-a", &amount), "read");
	account_put(write, "moment-a", 7);
	account_put(write, "moment-b", 7);
	must(cop_delete(write, "moment-c", 8), "delete");
	must(cop_commit(write, NULL), "commit");
	is_int(amount_read(txn, "moment-b", &amount), COP_CONFLICT,
	       "what another commit changed cannot be read any more");
	is_int(amount_read(txn, "moment-c", &amount), COP_CONFLICT,
	       "nor what it deleted");
	is_int(amount_read(txn, "skew-a", &amount), 0,
	       "what it did not touch can");
	cop_txn_end(txn);
	cop_abort(write);
}

static void edges_that_come_and_go_are_conflicts(struct fixture *f)
{
	struct cop_edge edge;
	int count = 0;
	cop_txn *reader = begin(f);
	cop_txn *other = begin(f);
	cop_txn *late = begin(f);
	cop_txn *absent = begin(f);

	must(cop_txn_edges(reader, "edge-a", 6, COP_OUT, edge_ignore, &count),
	     "edges");
	must(cop_txn_edges(other, "skew-a", 6, COP_BOTH, edge_ignore, &count),
	     "edges");
	must(cop_txn_edge(absent, "edge-a", 6, "to", 2, "edge-b", 6, &edge),
	     "edge");
	is_u64(edge.version, 0, "an edge that is absent has no version");
	link_now(f, "edge-a", "edge-b");
	account_put(cop_txn_write(reader), "x", 1);
	account_put(cop_txn_write(other), "x", 1);
	account_put(cop_txn_write(absent), "x", 1);
	is_int(cop_txn_commit(reader, NULL, NULL), COP_CONFLICT,
	       "an edge put to a list that was read is a conflict");
	is_int(cop_txn_commit(absent, NULL, NULL), COP_CONFLICT,
	       "an edge that was absent and is there is one");
	is_int(cop_txn_commit(other, NULL, NULL), 0, "another's edges are not");
	is_int(cop_txn_edges(late, "edge-b", 6, COP_IN, edge_ignore, &count),
	       COP_CONFLICT, "read afterwards, from the other end: one");
	cop_txn_end(reader);
	cop_txn_end(other);
	cop_txn_end(late);
	cop_txn_end(absent);
	reader = begin(f);
	must(cop_txn_edge(reader, "edge-a", 6, "to", 2, "edge-b", 6, &edge),
	     "edge");
	ok(edge.version > 0, "an edge is read by its ends' keys");
	account_put(cop_txn_write(reader), "x", 2);
	link_now(f, "edge-a", "edge-b");
	is_int(cop_txn_commit(reader, NULL, NULL), COP_CONFLICT,
	       "an edge put again is a conflict");
	cop_txn_end(reader);
}

static void tagged(struct fixture *f, const char *key, const char *tag)
{
	cop_write *write = write_of(f);
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .tags = &tag,
			      .tag_count = tag ? 1 : 0};

	must(cop_put(write, &put), "put");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
}

/* Reads the tag's list, has `key` tagged or not, and commits. */
static cop_err tag_race(struct fixture *f, const char *read, const char *key,
			const char *tag)
{
	int count = 0;
	cop_txn *txn = begin(f);
	cop_err err;

	must(cop_txn_scan(txn, NULL, read, entity_count, &count), "scan");
	account_put(cop_txn_write(txn), "x", 3);
	tagged(f, key, tag);
	err = cop_txn_commit(txn, NULL, NULL);
	cop_txn_end(txn);
	return err;
}

static void phantoms_are_refused(struct fixture *f)
{
	int count = 0;
	cop_txn *txn;

	tagged(f, "tag-a", "red");
	is_int(tag_race(f, "red", "tag-b", "red"), COP_CONFLICT,
	       "one that joins a tag's list is a conflict");
	is_int(tag_race(f, "red", "tag-b", NULL), COP_CONFLICT,
	       "one that leaves it, too");
	is_int(tag_race(f, "red", "tag-c", "blue"), 0,
	       "one that joins another is not");
	is_int(tag_race(f, "never seen", "tag-d", "never seen"), COP_CONFLICT,
	       "a tag that nobody had, and somebody has, is");
	txn = begin(f);
	must(cop_txn_scan(txn, "account", NULL, entity_count, &count), "scan");
	must(account_commit(f->store, "new account", 1), "put");
	account_put(cop_txn_write(txn), "x", 3);
	is_int(cop_txn_commit(txn, NULL, NULL), COP_CONFLICT,
	       "one more of a type is");
	cop_txn_end(txn);
	txn = begin(f);
	count = 0;
	must(cop_txn_keys(txn, "skew-", 5, entity_count, &count), "keys");
	is_int(count, 2, "a prefix finds its keys");
	must(account_commit(f->store, "skew-c", 1), "put");
	account_put(cop_txn_write(txn), "x", 3);
	is_int(cop_txn_commit(txn, NULL, NULL), COP_CONFLICT,
	       "a key more is a conflict");
	is_int(cop_txn_keys(txn, "skew-", 5, entity_count, &count),
	       COP_CONFLICT, "at the next read, too");
	cop_txn_end(txn);
}

static void an_entity_of_a_list_is_read(struct fixture *f)
{
	int count = 0;
	cop_txn *txn = begin(f);

	must(cop_txn_scan(txn, "account", NULL, entity_count, &count), "scan");
	must(account_commit(f->store, "skew-b", 5), "put");
	account_put(cop_txn_write(txn), "x", 4);
	is_int(cop_txn_commit(txn, NULL, NULL), COP_CONFLICT,
	       "a change of one that a scan showed is a conflict");
	cop_txn_end(txn);
}

static void vectors_are_read(struct fixture *f)
{
	float vector[DIM] = {1, 2, 3, 4};
	const float *seen;
	cop_write *write = write_of(f);
	cop_txn *txn;

	put_simple(write, "with vector", NULL, vector, DIM);
	must(cop_commit(write, NULL), "commit");
	txn = begin(f);
	must(cop_txn_vector(txn, "with vector", 11, &seen), "vector");
	ok(seen && seen[2] == 3.0f, "a vector is read");
	must(cop_txn_vector(txn, "skew-a", 6, &seen), "vector");
	ok(!seen, "or that there is none");
	account_put(cop_txn_write(txn), "x", 5);
	vector[0] = 9;
	must(cop_put_vector(write, "with vector", 11, vector, DIM), "vector");
	must(cop_commit(write, NULL), "commit");
	is_int(cop_txn_commit(txn, NULL, NULL), COP_CONFLICT,
	       "a vector alone that changes is a conflict");
	cop_txn_end(txn);
	cop_abort(write);
}

static void a_write_can_be_conditional(struct fixture *f)
{
	struct cop_entity entity;
	struct cop_result result = {.size = sizeof result};
	cop_write *write = write_of(f);
	cop_read *read;

	must(cop_expect(write, "once", 4, 0), "expect");
	account_put(write, "once", 1);
	is_int(cop_commit(write, NULL), 0, "put if absent puts what is absent");
	must(cop_expect(write, "once", 4, 0), "expect");
	account_put(write, "once", 2);
	is_int(cop_commit(write, &result), COP_CONFLICT,
	       "and not what is there");
	is_u64(result.failed, 0, "the condition is the operation that failed");
	cop_abort(write);
	read = read_of(f);
	must(cop_get(read, "once", 4, &entity), "get");
	write = write_of(f);
	must(cop_expect(write, "once", 4, entity.version), "expect");
	account_put(write, "once", 3);
	is_int(cop_commit(write, NULL), 0, "put if version puts that version");
	must(cop_expect(write, "once", 4, entity.version), "expect");
	account_put(write, "once", 4);
	is_int(cop_commit(write, NULL), COP_CONFLICT, "and no older one");
	is_int((int)amount_now(f->store, "once"), 3, "nothing else was put");
	is_int(cop_expect(write, "", 0, 0), COP_BAD_KEY,
	       "an empty key is an error");
	cop_read_end(read);
	cop_abort(write);
}

static void an_edge_can_be_a_condition(struct fixture *f)
{
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = "skew-a",
				    .source_size = 6,
				    .relation = "held",
				    .relation_size = 4,
				    .target = "skew-b",
				    .target_size = 6,
				    .discriminator = 7};
	struct cop_put_edge other = edge;
	struct cop_edge found;
	cop_write *write = write_of(f);
	cop_read *read = read_of(f);

	must(cop_find_edge(read, &edge, &found), "find");
	is_u64(found.version, 0, "an edge that is absent is found absent");
	must(cop_expect_edge(write, &edge, 0), "expect");
	must(cop_put_edge(write, &edge), "put");
	is_int(cop_commit(write, NULL), 0, "an absent edge is put if absent");
	must(cop_expect_edge(write, &edge, 0), "expect");
	is_int(cop_commit(write, NULL), COP_CONFLICT, "and not if it is there");
	cop_abort(write);
	write = write_of(f);
	other.discriminator = 8;
	must(cop_expect_edge(write, &other, 0), "expect");
	is_int(cop_commit(write, NULL), 0, "another discriminator is another");
	must(cop_read_refresh(read), "refresh");
	must(cop_find_edge(read, &other, &found), "find");
	is_u64(found.version, 0, "which is not found");
	must(cop_find_edge(read, &edge, &found), "find");
	ok(found.version > 0 && found.discriminator == 7,
	   "the one that was put is, by its keys");
	must(cop_expect_edge(write, &edge, found.version), "expect");
	must(cop_put_edge(write, &edge), "put");
	is_int(cop_commit(write, NULL), 0, "a version that is so is put");
	must(cop_expect_edge(write, &edge, found.version), "expect");
	is_int(cop_commit(write, NULL), COP_CONFLICT, "an older one is not");
	other.target = "nobody";
	must(cop_find_edge(read, &other, &found), "find");
	is_u64(found.version, 0, "an edge to nobody is not there");
	other.relation_size = 0;
	is_int(cop_expect_edge(write, &other, 0), COP_INVALID,
	       "one without a relation is an error");
	other.source_size = 0;
	is_int(cop_expect_edge(write, &other, 0), COP_BAD_KEY,
	       "and one without a source");
	cop_read_end(read);
	cop_abort(write);
}

static void many_reads_of_one_thing_are_one_expectation(struct fixture *f)
{
	int64_t amount;
	cop_txn *txn = begin(f);

	for (int i = 0; i < 1000; i++)
		must(amount_read(txn, "skew-a", &amount), "read");
	is_u64(cop_write_count(cop_txn_write(txn)), 1,
	       "a thousand reads of an entity are one thing to check");
	cop_txn_end(txn);
}

static void ten_thousand_may_be_open(struct fixture *f)
{
	enum { OPEN = 10000 };
	cop_txn **txns = calloc(OPEN, sizeof *txns);
	int64_t amount;
	int committed = 0;
	int refused = 0;

	for (int i = 0; i < OPEN; i++) {
		char key[32];

		txns[i] = begin(f);
		snprintf(key, sizeof key, "open-%d", i % 100);
		must(amount_read(txns[i], key, &amount), "read");
		account_put(cop_txn_write(txns[i]), key, i);
	}
	for (int i = 0; i < OPEN; i++) {
		struct cop_commit_options lazy = {.size = sizeof lazy,
						  .durability = COP_LAZY};
		cop_err err = cop_txn_commit(txns[i], &lazy, NULL);

		committed += !err;
		refused += err == COP_CONFLICT;
		cop_txn_end(txns[i]);
	}
	free(txns);
	is_int(committed, 100,
	       "of 10,000 open at once, 100 for each of 100 "
	       "keys, the first of each commits");
	is_int(refused, OPEN - 100, "and all others are refused");
}

/* ---- commits that did not take place ------------------------------------ */

static void kill_before_commit(const char *name)
{
	if (!strcmp(name, "commit-before"))
		kill(getpid(), SIGKILL);
}

/* Edges of an account, and one that never was: all but the commit. */
static void die_before_commit(const struct fixture *f)
{
	pid_t pid = fork();

	if (!pid) {
		struct fixture own = *f;
		cop_write *write;

		fixture_open(&own);
		write = write_of(&own);
		account_put(write, "unborn", 1);
		must(link_simple(write, "edge-b", "to", "unborn"), "link");
		point_hook = kill_before_commit;
		commit_of(write);
		_exit(0);
	}
	is_int(child_wait(pid), 128 + SIGKILL,
	       "a writer is killed just before its commit");
}

static int32_t edges_and_absence(void *user, cop_txn *txn)
{
	int64_t amount;
	int edges = 0;
	cop_err err = amount_read(txn, "unborn", &amount);

	++*(int *)user;
	if (!err)
		err = cop_txn_edges(txn, "edge-b", 6, COP_BOTH, edge_ignore,
				    &edges);
	if (!err)
		account_put(cop_txn_write(txn), "edge-a", 2);
	return err;
}

static void what_a_dead_writer_left_is_no_conflict(struct fixture *f)
{
	int tries = 0;

	die_before_commit(f);
	is_int(cop_txn_run(f->store, edges_and_absence, &tries, 3, NULL, NULL),
	       0, "a transaction that read what it touched is committed");
	diag("%d tries", tries);
	die_before_commit(f);
	tries = 0;
	must(cop_poke(f->store), "poke");
	is_int(cop_txn_run(f->store, edges_and_absence, &tries, 1, NULL, NULL),
	       0, "at once, when somebody has mended it");
}

/* ---- many processes ----------------------------------------------------- */

enum { ACCOUNTS = 8, MOVERS = 4, MOVES = 60, START = 1000 };

struct move {
	uint64_t random;
	uint64_t tries;
};

/* The worked example: an amount goes from one entity to another. */
static int32_t transfer(void *user, cop_txn *txn)
{
	struct move *move = user;
	int64_t from;
	int64_t to;
	char a[16];
	char b[16];
	uint64_t i = move->random % ACCOUNTS;
	uint64_t j = (i + 1 + move->random / 8 % (ACCOUNTS - 1)) % ACCOUNTS;
	cop_err err;

	move->tries++;
	snprintf(a, sizeof a, "bank-%d", (int)i);
	snprintf(b, sizeof b, "bank-%d", (int)j);
	err = amount_read(txn, a, &from);
	if (!err)
		err = amount_read(txn, b, &to);
	if (err || from < 10)
		return err;
	account_put(cop_txn_write(txn), a, from - 10);
	account_put(cop_txn_write(txn), b, to + 10);
	return 0;
}

static int mover(const struct fixture *f, uint64_t seed,
		 _Atomic uint64_t *conflicts)
{
	cop_store *store;

	alarm(100);
	must(cop_open(f->path, NULL, &store), "open");
	for (int i = 0; i < MOVES; i++) {
		struct move move = {.random = test_random(&seed) >> 8};

		must(cop_txn_run(store, transfer, &move, 1000, NULL, NULL),
		     "transfer");
		*conflicts += move.tries - 1;
	}
	cop_close(store);
	return 0;
}

static int64_t bank_sum(cop_store *store)
{
	int64_t sum = 0;
	char key[16];

	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(key, sizeof key, "bank-%d", i);
		sum += amount_now(store, key);
	}
	return sum;
}

static void transfers_of_many_processes_keep_the_sum(struct fixture *f)
{
	_Atomic uint64_t *conflicts = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = test_seed();
	pid_t pids[MOVERS];
	char key[16];
	int right = 0;

	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(key, sizeof key, "bank-%d", i);
		must(account_commit(f->store, key, START), "put");
	}
	fflush(stdout);
	for (int i = 0; i < MOVERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(mover(f, test_random(&seed), conflicts));
	}
	for (int i = 0; i < MOVERS; i++)
		right += child_wait(pids[i]) == 0;
	is_int(right, MOVERS, "processes move amounts between entities");
	is_int((int)bank_sum(f->store), ACCOUNTS * START,
	       "and the sum of all stays what it was");
	diag("%d transfers, %llu conflicts", MOVERS * MOVES,
	     (unsigned long long)*conflicts);
	is_u64(findings_of(f->store), 0, "the check finds nothing");
	munmap((void *)conflicts, 4096);
}

int main(void)
{
	struct fixture f;

	alarm(200);
	fixture_init(&f, DIM, COP_L2);
	must(account_commit(f.store, "lost", 1), "put");
	must(account_commit(f.store, "skew-a", 1), "put");
	must(account_commit(f.store, "skew-b", 1), "put");
	must(account_commit(f.store, "moment-a", 1), "put");
	must(account_commit(f.store, "moment-b", 1), "put");
	must(account_commit(f.store, "moment-c", 1), "put");
	must(account_commit(f.store, "edge-a", 1), "put");
	must(account_commit(f.store, "edge-b", 1), "put");
	a_lost_update_is_refused(&f);
	write_skew_is_refused(&f);
	absence_is_read_too(&f);
	reads_are_of_one_moment(&f);
	edges_that_come_and_go_are_conflicts(&f);
	phantoms_are_refused(&f);
	an_entity_of_a_list_is_read(&f);
	vectors_are_read(&f);
	a_write_can_be_conditional(&f);
	an_edge_can_be_a_condition(&f);
	many_reads_of_one_thing_are_one_expectation(&f);
	ten_thousand_may_be_open(&f);
	what_a_dead_writer_left_is_no_conflict(&f);
	transfers_of_many_processes_keep_the_sum(&f);
	fixture_release(&f);
	return done_testing();
}
