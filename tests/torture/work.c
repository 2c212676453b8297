/* SPDX-License-Identifier: Apache-2.0 */
#include "work.h"
#include "stream.h"
#include "look.h"
#include "linear.h"
#include "oracle.h"
#include "point.h"
#include "../tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

enum {
	HANG_SECONDS = 120,
	NAMESPACE_PIDS = 1000000, /* above those of the machine */
	NAMESPACE_STEP = 20000,
	NAMESPACE_MEMBERS = 3,
	POPULATION_MAX = 24
};

/* What became of a commit. */
enum outcome { DONE, NOT_DONE, EITHER };

/* This process. */
static struct {
	uint64_t seed;
	uint64_t ends;	  /* oracle_now() */
	uint32_t fragile; /* dies at one of so many points, 0: at none */
	uint32_t sleepy;  /* naps at one of so many */
	int slots_fd;
} self;

/* ---- a process ---------------------------------------------------------- */

static void nap(uint64_t microseconds)
{
	struct timespec time = {(time_t)(microseconds / 1000000),
				(long)(microseconds % 1000000) * 1000};

	nanosleep(&time, NULL);
}

/* Deaths and delays inside the protocols, where chance would seldom hit. */
static void at_point(const char *name)
{
	if (!strcmp(name, "recover-entries"))
		oracle_count(COUNT_RECOVERIES);
	if (!strcmp(name, "index-built"))
		oracle_count(COUNT_BUILDS);
	if (self.fragile && !test_below(&self.seed, self.fragile)) {
		oracle_count(COUNT_POINT_KILLS);
		raise(SIGKILL);
	}
	if (self.sleepy && !test_below(&self.seed, self.sleepy))
		nap(test_below(&self.seed, 8) ? test_below(&self.seed, 2000)
					      : test_below(&self.seed, 60000));
}

static void process_begin(void)
{
	static const uint32_t fragile[] = {0, 0, 20000, 2000, 300, 60};
	static const uint32_t sleepy[] = {0, 0, 5000, 1000, 200};

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	alarm(HANG_SECONDS);
	self.seed =
	    model_mix(oracle->seed, atomic_fetch_add(&oracle->started, 1));
	self.ends = oracle_now() + 20000000 * (1 + test_below(&self.seed, 60));
	self.fragile = fragile[test_below(&self.seed, 6)];
	self.sleepy = sleepy[test_below(&self.seed, 5)];
	self.slots_fd = -1;
	point_hook = at_point;
	oracle_enlist();
}

static int is_over(void)
{
	return oracle_stops() || oracle_now() > self.ends;
}

/* The store, opened with or without patience. */
static cop_store *store_open(void)
{
	struct cop_open_options options = {
	    .size = sizeof options,
	    .timeout_ms = test_below(&self.seed, 3)
			      ? 0
			      : 1 + (uint32_t)test_below(&self.seed, 200)};
	cop_store *store = NULL;
	cop_err err;

	do {
		err = cop_open(oracle->path, &options, &store);
		if (err == COP_BUSY)
			oracle_count(COUNT_BUSY);
	} while (err == COP_BUSY && !oracle_stops());
	if (err && err != COP_BUSY)
		look_must(err, "open");
	return store;
}

/* ---- commits ------------------------------------------------------------ */

/* A request that another process had: asks until it is told. */
static enum outcome outcome_of(cop_store *store, struct cop_result *result)
{
	struct cop_ticket ticket = result->ticket;
	int32_t happened = 0;
	cop_err err;

	oracle_count(COUNT_UNKNOWN);
	if (!test_below(&self.seed, 4))
		return EITHER;
	do {
		err = cop_outcome(store, &ticket, &happened, result);
		if (err)
			nap(500);
	} while ((err == COP_UNKNOWN || err == COP_BUSY) && !oracle_stops());
	if (err == COP_UNKNOWN || err == COP_BUSY || err == COP_TOO_OLD)
		return EITHER;
	look_must(err, "ask for an outcome");
	oracle_count(COUNT_OUTCOMES);
	return happened ? DONE : NOT_DONE;
}

static struct cop_commit_options commit_options(void)
{
	struct cop_commit_options options = {.size = sizeof options};

	if (!test_below(&self.seed, 4))
		options.timeout_ms = 1 + (uint32_t)test_below(&self.seed, 20);
	if (!test_below(&self.seed, 4))
		options.durability = COP_LAZY;
	if (!test_below(&self.seed, 16))
		options.gather_us = (uint32_t)test_below(&self.seed, 500);
	return options;
}

/* What a commit's error says, and what is known then. */
static enum outcome commit_end(cop_store *store, cop_err err,
			       struct cop_result *result)
{
	enum outcome outcome = DONE;

	switch (err) {
	case 0: break;
	case COP_BUSY:
	case COP_STALLED: oracle_count(COUNT_BUSY); return NOT_DONE;
	case COP_CONFLICT: oracle_count(COUNT_CONFLICTS); return NOT_DONE;
	case COP_UNKNOWN: outcome = outcome_of(store, result); break;
	default: look_must(err, "commit");
	}
	if (outcome == DONE) {
		oracle_raise(&oracle->committed, result->commit);
		oracle_count(COUNT_COMMITS);
	}
	return outcome;
}

static enum outcome write_commit(cop_store *store, cop_write *write)
{
	struct cop_commit_options options = commit_options();
	struct cop_result result = {.size = sizeof result};
	cop_err err = cop_commit_with(write, &options, &result);

	cop_abort(write);
	return commit_end(store, err, &result);
}

/* A read that is had in the end; the store's patience may be short. */
static cop_read *read_begin(cop_store *store)
{
	cop_read *read = NULL;
	cop_err err;

	do
		err = cop_read_begin(store, &read);
	while (err == COP_BUSY);
	look_must(err, "begin a read");
	return read;
}

static void read_refresh(cop_read *read)
{
	cop_err err;

	do
		err = cop_read_refresh(read);
	while (err == COP_BUSY);
	look_must(err, "refresh");
}

static cop_write *write_begin(cop_store *store)
{
	cop_write *write = NULL;

	look_must(cop_write_begin(store, &write), "begin a write");
	return write;
}

static struct cop_property number(const char *name, uint64_t value)
{
	return (struct cop_property){
	    name, strlen(name), {.kind = COP_INT, .integer = (int64_t)value}};
}

static void simple_put(cop_write *write, const char *key, size_t size,
		       uint64_t value, const float *vector)
{
	struct cop_property n = number("n", value);
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)size,
			      .properties = &n,
			      .property_count = 1,
			      .vector = vector,
			      .dim = vector ? DIM : 0};

	look_must(cop_put(write, &put), "put");
}

static enum outcome barrier_once(cop_store *store)
{
	cop_write *write = write_begin(store);

	simple_put(write, "barrier", 7, atomic_load(&oracle->committed), NULL);
	return write_commit(store, write);
}

void work_barrier(cop_store *store)
{
	while (barrier_once(store) != DONE && !oracle_has_failed())
		;
}

/* ---- changes of a group ------------------------------------------------- */

static void member_put(cop_write *write, uint32_t group, uint32_t member,
		       uint64_t stamp, uint64_t pair)
{
	static _Thread_local char text[2][TEXT_MAX];
	struct model_record record = model_record(group, member, stamp);
	char name[32];
	struct cop_property properties[4] = {
	    number("n", record.stamp),
	    {"text",
	     4,
	     {.kind = COP_STRING,
	      .data = text[0],
	      .count = (uint32_t)model_text(text[0], group, member, stamp, 0)}},
	    number("pair", pair),
	    {name,
	     model_name(name, group, stamp),
	     {.kind = COP_INT, .integer = (int64_t)stamp}}};
	const char *tags[TAGS];
	float vector[DIM];
	char key[32];
	struct cop_put put = {
	    .size = sizeof put,
	    .key = key,
	    .key_size = (uint32_t)model_key(key, group, member, stamp),
	    .type = model_types[record.type],
	    .type_size = strlen(model_types[record.type]),
	    .properties = properties,
	    .property_count = member ? 2 : 4,
	    .tags = tags,
	    .content = text[1],
	    .content_size = model_text(text[1], group, member, stamp, 1)};

	for (uint32_t t = 0; t < TAGS; t++)
		if (record.tags >> t & 1)
			tags[put.tag_count++] = model_tags[t];
	if (stamp % KINDS < 2) { /* else it keeps what it has */
		model_vector(vector, group * MEMBERS + member, stamp);
		put.vector_change = COP_VECTOR_DROP;
		if (model_has_vector(group, member, stamp)) {
			put.vector_change = COP_VECTOR_KEEP;
			put.vector = vector;
			put.dim = DIM;
		}
	}
	if (record.stamp % 3 == 1 && put.content_size)
		stream_put(write, &put, &self.seed);
	else
		look_must(cop_put(write, &put), "put");
}

/* The last member's entity of the era before. */
static void old_delete(cop_write *write, uint32_t group, uint64_t stamp)
{
	char key[32];
	size_t size;

	if (stamp < ERA || stamp % ERA)
		return;
	size = model_key(key, group, MEMBERS - 1, stamp - 1);
	look_must(cop_delete(write, key, size), "delete");
}

static void members_put(cop_write *write, uint32_t group, uint64_t stamp)
{
	old_delete(write, group, stamp);
	for (uint32_t i = 1; i < MEMBERS; i++) {
		int there = model_is_there(group, i, stamp);
		char key[32];
		size_t size = model_key(key, group, i, stamp);

		/* some are deleted and put again in one commit */
		if (stamp % KINDS == 0 && (!there || stamp / KINDS % 5 == i))
			look_must(cop_delete(write, key, size), "delete");
		if (there)
			member_put(write, group, i, stamp, 0);
	}
}

static void vectors_put(cop_write *write, uint32_t group, uint64_t stamp)
{
	for (uint32_t i = 1; i < MEMBERS; i++) {
		float vector[DIM];
		char key[32];
		size_t size = model_key(key, group, i, stamp);

		model_vector(vector, group * MEMBERS + i, stamp);
		if (model_has_vector(group, i, stamp))
			look_must(cop_put_vector(write, key, size, vector, DIM),
				  "put a vector");
	}
}

static void edge_put(cop_write *write, const char *from, const char *relation,
		     const char *to, uint64_t stamp, int is_there)
{
	struct cop_property n = number("n", stamp);
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = from,
				    .source_size = strlen(from),
				    .relation = relation,
				    .relation_size = strlen(relation),
				    .target = to,
				    .target_size = strlen(to),
				    .properties = &n,
				    .property_count = 1};

	if (is_there)
		look_must(cop_put_edge(write, &edge), "put an edge");
	else
		look_must(cop_delete_edge(write, from, strlen(from), relation,
					  strlen(relation), to, strlen(to)),
			  "delete an edge");
}

static void edges_put(cop_write *write, uint32_t group, uint64_t stamp)
{
	uint32_t peer = model_peer(group, stamp);
	uint32_t before = stamp ? model_peer(group, stamp - 1) : group;
	char from[32];
	char to[32];

	for (uint32_t a = 0; a < MEMBERS; a++)
		for (uint32_t b = 0; b < MEMBERS; b++) {
			if (a == b || !model_is_there(group, a, stamp) ||
			    !model_is_there(group, b, stamp))
				continue;
			model_key(from, group, a, stamp);
			model_key(to, group, b, stamp);
			edge_put(write, from, "near", to, stamp,
				 model_edge(group, a, b, stamp));
		}
	model_key(from, group, 0, stamp);
	edge_put(write, from, "at", "hub", stamp, model_at_hub(group, stamp));
	model_key(to, before, 0, stamp);
	if (before != group)
		edge_put(write, from, "far", to, stamp, 0);
	model_key(to, peer, 0, stamp);
	if (peer != group)
		edge_put(write, from, "far", to, stamp, 1);
}

static void change_put(cop_write *write, uint32_t group, uint64_t stamp,
		       uint64_t pair)
{
	member_put(write, group, 0, stamp, pair);
	switch (stamp % KINDS) {
	case 0:
		members_put(write, group, stamp);
		edges_put(write, group, stamp);
		break;
	case 1: vectors_put(write, group, stamp); break;
	case 2: edges_put(write, group, stamp); break;
	case 3: members_put(write, group, stamp); break;
	}
}

void work_fill(cop_store *store)
{
	cop_write *write = write_begin(store);

	simple_put(write, "hub", 3, 0, NULL);
	simple_put(write, "barrier", 7, 0, NULL);
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		char key[32];

		simple_put(write, key, model_account_key(key, i), BALANCE,
			   NULL);
	}
	for (uint32_t g = 0; g < GROUPS; g++)
		member_put(write, g, 0, 0, 0); /* edges need both ends */
	for (uint32_t g = 0; g < GROUPS; g++)
		change_put(write, g, 0, 0);
	if (write_commit(store, write) != DONE)
		oracle_fail("a new store cannot be filled");
}

/* ---- the state of a group, and of the slot ------------------------------ */

/* Reads what a lost change came to. */
static void group_settle(cop_read *read, uint32_t g)
{
	struct group *group = &oracle->groups[g];
	uint64_t acked = atomic_load(&group->acked);
	uint64_t pending = atomic_load(&group->pending);
	uint64_t stamp = look_stamp(read, g);

	if (stamp != acked && stamp != pending)
		oracle_fail("commit %" PRIu64 ": group %u is at stamp %" PRIu64
			    " after a death; %" PRIu64 " was acknowledged, "
			    "%" PRIu64 " under way",
			    cop_read_commit(read), g, stamp, acked, pending);
	if (acked == pending)
		return;
	oracle_count(stamp == acked ? COUNT_LOST : COUNT_LOST_DONE);
	atomic_store(&group->acked, stamp);
	atomic_store(&group->pending, stamp);
}

static void groups_settle(cop_store *store, uint32_t from, uint32_t to)
{
	cop_read *read;
	int is_lost = 0;

	for (uint32_t g = from; g < to; g++)
		is_lost |= atomic_load(&oracle->groups[g].acked) !=
			   atomic_load(&oracle->groups[g].pending);
	if (!is_lost)
		return;
	/*
	 * A dead one's request is executed by whoever leads the next group:
	 * one that looked at that mailbox too early may lead the first.
	 */
	work_barrier(store);
	work_barrier(store);
	read = read_begin(store);
	for (uint32_t g = from; g < to; g++)
		group_settle(read, g);
	cop_read_end(read);
}

void work_settle_all(cop_store *store)
{
	groups_settle(store, 0, GROUPS);
}

static void group_end(uint32_t g, enum outcome outcome)
{
	struct group *group = &oracle->groups[g];

	if (outcome == DONE)
		atomic_store(&group->acked, atomic_load(&group->pending));
	if (outcome == NOT_DONE)
		atomic_store(&group->pending, atomic_load(&group->acked));
}

static uint64_t group_begin(uint32_t g)
{
	struct group *group = &oracle->groups[g];
	uint64_t stamp = atomic_load(&group->acked) + 1;

	atomic_store(&group->pending, stamp);
	return stamp;
}

static void group_write(cop_store *store, uint32_t slot)
{
	uint32_t g =
	    slot * GROUPS_EACH + (uint32_t)test_below(&self.seed, GROUPS_EACH);
	uint32_t partner = model_partner(g);
	cop_write *write = write_begin(store);
	uint64_t stamp = group_begin(g);
	enum outcome outcome;

	if (model_is_joint(g, stamp)) {
		uint64_t pair = group_begin(partner);

		change_put(write, partner, pair, stamp);
		change_put(write, g, stamp, pair);
	} else {
		partner = g;
		change_put(write, g, stamp, 0);
	}
	outcome = write_commit(store, write);
	group_end(g, outcome);
	group_end(partner, outcome);
	if (outcome == EITHER)
		groups_settle(store, slot * GROUPS_EACH,
			      (slot + 1) * GROUPS_EACH);
}

/* ---- registers ---------------------------------------------------------- */

static void register_put(cop_write *write, uint32_t index, uint64_t value)
{
	float vector[DIM];
	char key[32];
	size_t size = model_register_key(key, index);

	model_vector(vector, GROUPS * MEMBERS + index, value);
	if (value)
		simple_put(write, key, size, value, vector);
	else
		look_must(cop_delete(write, key, size), "delete");
}

static uint64_t value_new(void)
{
	return test_below(&self.seed, 12)
		   ? 1 + atomic_fetch_add(&oracle->value, 1)
		   : 0;
}

static void register_end(struct log_entry *entry, enum outcome outcome)
{
	if (outcome != EITHER)
		log_return(entry,
			   outcome == DONE ? LOG_RETURNED : LOG_NOT_DONE);
}

/* Writes one or two of them, a value that nobody has; or deletes it. */
static void register_write(cop_store *store)
{
	struct log_entry *entries[2];
	uint32_t first = (uint32_t)test_below(&self.seed, REGISTERS);
	uint32_t count = 1 + (uint32_t)test_below(&self.seed, 2);
	cop_write *write = write_begin(store);
	enum outcome outcome;
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = (first + i) % REGISTERS;
		uint64_t value = value_new();

		entries[n] = log_call(LINEAR_WRITE, index, 0, value);
		if (entries[n])
			register_put(write, index, value);
		n += entries[n] != NULL;
	}
	outcome = write_commit(store, write);
	for (uint32_t i = 0; i < n; i++)
		register_end(entries[i], outcome);
}

/* Writes one if it is still as a read has seen it. */
static void register_expect(cop_store *store)
{
	uint32_t index = (uint32_t)test_below(&self.seed, REGISTERS);
	uint64_t called = oracle_now();
	uint64_t value = value_new();
	cop_read *read = read_begin(store);
	struct log_entry *entry;
	uint64_t version;
	uint64_t before = look_register(read, index, &version);
	cop_write *write;
	char key[32];

	cop_read_end(read);
	log_read(called, index, before);
	entry = log_call(LINEAR_CAS, index, before, value);
	if (!entry)
		return;
	write = write_begin(store);
	look_must(
	    cop_expect(write, key, model_register_key(key, index), version),
	    "expect");
	register_put(write, index, value);
	register_end(entry, write_commit(store, write));
	oracle_count(COUNT_SWAPS);
}

/* ---- transactions ------------------------------------------------------- */

static cop_txn *txn_begin(cop_store *store)
{
	cop_txn *txn = NULL;
	cop_err err;

	do
		err = cop_txn_begin(store, &txn);
	while (err == COP_BUSY);
	look_must(err, "begin a transaction");
	return txn;
}

/* A number of an entity, 0 if there is none; COP_CONFLICT, or COP_BUSY. */
static cop_err txn_number(cop_txn *txn, const char *key, size_t size,
			  uint64_t *number)
{
	struct cop_entity entity;
	struct cop_value value = {0};
	int found = 0;
	cop_err err = cop_txn_get(txn, key, size, &entity);

	*number = 0;
	if (!err && entity.id)
		err = cop_txn_property(txn, &entity, "n", 1, &found, &value);
	if (err != COP_CONFLICT && err != COP_BUSY)
		look_must(err, "get in a transaction");
	if (err == COP_CONFLICT)
		oracle_count(COUNT_CONFLICTS);
	if (found)
		*number = (uint64_t)value.integer;
	return err;
}

static enum outcome txn_commit(cop_store *store, cop_txn *txn)
{
	struct cop_commit_options options = commit_options();
	struct cop_result result = {.size = sizeof result};
	cop_err err = cop_txn_commit(txn, &options, &result);

	cop_txn_end(txn);
	return commit_end(store, err, &result);
}

static void register_swap(cop_store *store)
{
	uint32_t index = (uint32_t)test_below(&self.seed, REGISTERS);
	uint64_t called = oracle_now();
	uint64_t value = value_new();
	cop_txn *txn = txn_begin(store);
	struct log_entry *entry = NULL;
	uint64_t before;
	char key[32];

	if (!txn_number(txn, key, model_register_key(key, index), &before)) {
		log_read(called, index, before);
		entry = log_call(LINEAR_CAS, index, before, value);
	}
	if (!entry) {
		cop_txn_end(txn);
		return;
	}
	register_put(cop_txn_write(txn), index, value);
	register_end(entry, txn_commit(store, txn));
	oracle_count(COUNT_SWAPS);
}

/* Moves a part of what one account holds to another. */
static void transfer(cop_store *store)
{
	uint32_t from = (uint32_t)test_below(&self.seed, ACCOUNTS);
	uint32_t to =
	    (from + 1 + (uint32_t)test_below(&self.seed, ACCOUNTS - 1)) %
	    ACCOUNTS;
	cop_txn *txn = txn_begin(store);
	uint64_t balances[2];
	uint64_t amount;
	char keys[2][32];
	size_t sizes[2] = {model_account_key(keys[0], from),
			   model_account_key(keys[1], to)};

	if (txn_number(txn, keys[0], sizes[0], &balances[0]) ||
	    txn_number(txn, keys[1], sizes[1], &balances[1])) {
		cop_txn_end(txn);
		return;
	}
	amount = test_below(&self.seed, balances[0] + 1);
	simple_put(cop_txn_write(txn), keys[0], sizes[0], balances[0] - amount,
		   NULL);
	simple_put(cop_txn_write(txn), keys[1], sizes[1], balances[1] + amount,
		   NULL);
	if (txn_commit(store, txn) == DONE)
		oracle_count(COUNT_TRANSFERS);
}

/* The data file is replaced while others work. */
static void compact(cop_store *store)
{
	cop_err err = cop_compact(store, NULL, NULL);

	if (err != COP_BUSY)
		look_must(err, "compact");
	if (!err)
		oracle_count(COUNT_COMPACTIONS);
}

/* From which the next segment is made, if this one is removed. */
static void checkpoint(cop_store *store)
{
	cop_err err = cop_checkpoint(store, NULL);

	if (err != COP_BUSY && err != COP_MOVED)
		look_must(err, "checkpoint");
	if (!err)
		oracle_count(COUNT_IMAGES);
}

/* ---- roles -------------------------------------------------------------- */

/* A POSIX lock: a child does not inherit it, a death gives it back. */
static int slot_lock(uint32_t slot)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = (off_t)slot,
			     .l_len = 1};

	return !fcntl(self.slots_fd, F_SETLK, &lock);
}

static int slot_take(uint32_t *slot)
{
	uint32_t first = (uint32_t)test_below(&self.seed, SLOTS);

	if (self.slots_fd < 0)
		self.slots_fd = open(oracle->slots_path, O_RDWR | O_CLOEXEC);
	for (uint32_t i = 0; i < SLOTS; i++) {
		*slot = (first + i) % SLOTS;
		if (slot_lock(*slot))
			return 1;
	}
	return 0;
}

static void reader_round(cop_store *store, cop_read **read)
{
	struct look_floor floor;
	struct look look;

	look_floor(&floor);
	if (*read)
		read_refresh(*read);
	else
		*read = read_begin(store);
	look_at(&look, *read, &floor, LOOK_SOME, &self.seed);
	if (!test_below(&self.seed, 6)) {
		nap(test_below(&self.seed, 40000));
		look_again(&look, LOOK_SOME, &self.seed);
	}
	if (!test_below(&self.seed, 4))
		look_past(*read, &self.seed);
	if (test_below(&self.seed, 2)) {
		cop_read_end(*read);
		*read = NULL;
	}
}

static void reader_work(cop_store *store)
{
	cop_read *read = NULL;

	while (!is_over())
		reader_round(store, &read);
	cop_read_end(read);
}

static void writer_work(cop_store *store)
{
	cop_read *read = NULL;
	uint32_t slot;

	if (!slot_take(&slot)) {
		reader_work(store);
		return;
	}
	groups_settle(store, slot * GROUPS_EACH, (slot + 1) * GROUPS_EACH);
	while (!is_over()) {
		switch (test_below(&self.seed, 12)) {
		case 0: register_write(store); break;
		case 1: register_expect(store); break;
		case 2: register_swap(store); break;
		case 3: transfer(store); break;
		case 4:
			if (!test_below(&self.seed, 24))
				compact(store);
			break;
		case 5:
			if (!test_below(&self.seed, 24))
				checkpoint(store);
			break;
		default: group_write(store, slot); break;
		}
		if (!test_below(&self.seed, 8))
			reader_round(store, &read);
	}
	cop_read_end(read);
}

static void store_work(enum role role, cop_store *store)
{
	if (role == ROLE_WRITER)
		writer_work(store);
	else
		reader_work(store);
	cop_close(store);
}

static void simple_run(enum role role)
{
	cop_store *store = store_open();

	if (store)
		store_work(role, store);
}

/* ---- forks -------------------------------------------------------------- */

struct inherited {
	cop_store *store;
	cop_read *read;
	cop_write *write;
};

/* The parent's handle, which attaches here when it is first used. */
static cop_store *store_inherited(const struct inherited *inherited)
{
	cop_read *read = NULL;
	cop_err err;

	if (inherited->read && test_below(&self.seed, 2))
		cop_read_end(inherited->read);
	if (inherited->write && test_below(&self.seed, 2))
		cop_abort(inherited->write);
	do
		err = cop_read_begin(inherited->store, &read);
	while (err == COP_BUSY && !oracle_stops());
	if (err != COP_BUSY)
		look_must(err, "read in a child");
	cop_read_end(read);
	return inherited->store;
}

__attribute__((noreturn)) static void
child_run(const struct inherited *inherited)
{
	enum role role = test_below(&self.seed, 2) ? ROLE_WRITER : ROLE_READER;
	cop_store *store;
	char fd[16];
	char name[2] = {(char)('0' + role), 0};

	process_begin();
	if (!test_below(&self.seed, 4)) {
		oracle_count(COUNT_EXECS);
		snprintf(fd, sizeof fd, "%d", oracle->fd);
		execl("/proc/self/exe", "torture", "--join", fd, name,
		      (char *)NULL);
		oracle_fail("exec: %s", strerror(errno));
	}
	store = inherited->store ? store_inherited(inherited) : store_open();
	if (store)
		store_work(role, store);
	_exit(0);
}

void work_status(int32_t pid, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) && !oracle_has_failed())
		oracle_fail("process %d ended with status %d", pid,
			    WEXITSTATUS(status));
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		oracle_fail("process %d was ended by signal %d%s", pid,
			    WTERMSIG(status),
			    WTERMSIG(status) == SIGALRM ? ": it hung" : "");
}

static void children_wait(void)
{
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0 || errno == EINTR)
		if (pid > 0)
			work_status((int32_t)pid, status);
}

static void forker_run(void)
{
	struct inherited inherited = {0};
	uint64_t count = 1 + test_below(&self.seed, 3);

	if (test_below(&self.seed, 5))
		inherited.store = store_open();
	if (inherited.store && test_below(&self.seed, 2))
		inherited.read = read_begin(inherited.store);
	if (inherited.store && test_below(&self.seed, 2)) {
		inherited.write = write_begin(inherited.store);
		simple_put(inherited.write, "never", 5, 1, NULL);
	}
	for (uint64_t i = 0; i < count && !oracle_stops() &&
			     oracle_population() < POPULATION_MAX;
	     i++) {
		pid_t pid = fork();

		if (!pid)
			child_run(&inherited);
		oracle_count(COUNT_FORKS);
	}
	if (!test_below(&self.seed, 3))
		return; /* they outlive it */
	cop_read_end(inherited.read);
	cop_abort(inherited.write);
	if (inherited.store && test_below(&self.seed, 2))
		reader_work(inherited.store);
	cop_close(inherited.store);
	children_wait();
}

/* ---- PID namespaces ----------------------------------------------------- */

/* Pids of this namespace alone: equal ones would be one reader to LMDB. */
static int pids_apart(void)
{
	uint64_t nth = atomic_fetch_add(&oracle->namespaces, 1) % 100;
	char text[32];
	int size = snprintf(
	    text, sizeof text, "%llu",
	    (unsigned long long)(NAMESPACE_PIDS + nth * NAMESPACE_STEP));
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	int is_done = fd >= 0 && write(fd, text, (size_t)size) == size;

	if (fd >= 0)
		close(fd);
	return is_done;
}

static void member_start(void)
{
	pid_t pid = fork();

	if (pid)
		return;
	process_begin();
	if (getpid() < NAMESPACE_PIDS)
		_exit(0); /* pids cannot be told apart here */
	simple_run(test_below(&self.seed, 2) ? ROLE_WRITER : ROLE_READER);
	_exit(0);
}

/* The namespace's process 1: with its end the kernel kills all others. */
__attribute__((noreturn)) static void namespace_first(void)
{
	int status;
	pid_t pid;

	process_begin();
	self.fragile = 0;
	if (!pids_apart())
		_exit(0);
	oracle_count(COUNT_NAMESPACES);
	for (int i = 0; i < NAMESPACE_MEMBERS; i++)
		member_start();
	while ((pid = wait(&status)) > 0 || errno == EINTR) {
		if (pid <= 0)
			continue;
		work_status((int32_t)pid, status);
		if (!is_over())
			member_start();
		else if (!oracle_stops() && test_below(&self.seed, 2))
			break;
	}
	_exit(0);
}

static void namespace_run(void)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID)) {
		simple_run(ROLE_READER); /* not permitted */
		return;
	}
	pid = fork();
	if (!pid)
		namespace_first();
	children_wait();
}

void work_run(enum role role)
{
	process_begin();
	switch (role) {
	case ROLE_FORKER: forker_run(); break;
	case ROLE_NAMESPACE: namespace_run(); break;
	default: simple_run(role); break;
	}
	_exit(0);
}
