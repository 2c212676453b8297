/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Point reads against plain LMDB.
 *
 * idea
 *	A plain LMDB database and a store hold the same keys, with values of
 *	100 bytes and entities with contents of 100 bytes.  Random keys are
 *	asked for by turns, in rounds:
 *	mdb_get		of LMDB, in one read transaction
 *	cop_get		the entity
 *	cop_get_many	64 entities a call
 *	cop_lookup	the id of a key; of a key that is absent
 *	and the first two again with the snapshot renewed before each.  Each
 *	answer's first byte is read.  Targets: cop_get faster than mdb_get, an
 *	absent key under 60 ns.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench_clock.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum {
	VALUE_BYTES = 100,
	ROUNDS = 7,
	READS = 200000,
	KEY_SIZE = 10,
	MANY = 64
};

struct reader {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	cop_store *store;
	cop_read *read;
	char (*keys)[BENCH_KEY_BYTES];	 /* READS, present */
	char (*absent)[BENCH_KEY_BYTES]; /* READS */
	uint64_t sum;
};

struct task {
	const char *system;
	const char *metric;
	void (*read_one)(struct reader *reader, uint32_t index);
};

static void check_mdb(const char *what, int error)
{
	if (error != 0)
		bench_fail("%s: %s", what, mdb_strerror(error));
}

static void mdb_one(struct reader *reader, uint32_t index)
{
	MDB_val key = {KEY_SIZE, reader->keys[index]};
	MDB_val value;

	check_mdb("mdb_get", mdb_get(reader->txn, reader->dbi, &key, &value));
	reader->sum += *(const unsigned char *)value.mv_data;
}

static void mdb_renew_one(struct reader *reader, uint32_t index)
{
	mdb_txn_reset(reader->txn);
	check_mdb("mdb_txn_renew", mdb_txn_renew(reader->txn));
	mdb_one(reader, index);
}

static void get_one(struct reader *reader, uint32_t index)
{
	struct cop_entity entity;
	cop_err error =
	    cop_get(reader->read, reader->keys[index], KEY_SIZE, &entity);

	if (error != 0 || entity.id == 0)
		bench_fail("cop_get: %s", cop_strerror(error));
	reader->sum += *(const unsigned char *)entity.record;
}

static void get_renew_one(struct reader *reader, uint32_t index)
{
	bench_check("cop_read_refresh", cop_read_refresh(reader->read));
	get_one(reader, index);
}

static void content_one(struct reader *reader, uint32_t index)
{
	struct cop_entity entity;
	const void *content;
	size_t size;

	bench_check("cop_get", cop_get(reader->read, reader->keys[index],
				       KEY_SIZE, &entity));
	bench_check("cop_entity_content",
		    cop_entity_content(reader->read, &entity, &content, &size));
	if (size != VALUE_BYTES)
		bench_fail("a content of %zu bytes", size);
	reader->sum += *(const unsigned char *)content;
}

/* At every MANYth index, for all of them up to the next. */
static void many_one(struct reader *reader, uint32_t index)
{
	struct cop_entity entities[MANY];
	const void *keys[MANY];
	size_t sizes[MANY];
	uint32_t at;

	if (index % MANY != 0)
		return;
	for (at = 0; at < MANY; at++) {
		keys[at] = reader->keys[index + at];
		sizes[at] = KEY_SIZE;
	}
	bench_check("cop_get_many",
		    cop_get_many(reader->read, keys, sizes, MANY, 1, entities));
	for (at = 0; at < MANY; at++)
		reader->sum += *(const unsigned char *)entities[at].record;
}

static void lookup_one(struct reader *reader, uint32_t index)
{
	uint64_t id = 0;
	cop_err error =
	    cop_lookup(reader->read, reader->keys[index], KEY_SIZE, &id);

	if (error != 0 || id == 0)
		bench_fail("cop_lookup: %s", cop_strerror(error));
	reader->sum += id;
}

static void absent_one(struct reader *reader, uint32_t index)
{
	uint64_t id = 0;
	cop_err error =
	    cop_lookup(reader->read, reader->absent[index], KEY_SIZE, &id);

	if (error != 0 || id != 0)
		bench_fail("cop_lookup of an absent key gave %llu: %s",
			   (unsigned long long)id, cop_strerror(error));
}

static const struct task tasks[] = {
    {"LMDB mdb_get", "random read", mdb_one},
    {"cop_get", "random read", get_one},
    {"cop_get and its content", "random read", content_one},
    {"cop_lookup", "random read", lookup_one},
    {"cop_lookup, absent", "random read", absent_one},
    {"LMDB reset, renew, mdb_get", "renewed before each", mdb_renew_one},
    {"cop_read_refresh, cop_get", "renewed before each", get_renew_one},
    {"cop_get_many, 64 keys", "random read", many_one},
};

enum { TASKS = sizeof tasks / sizeof tasks[0] };

_Static_assert(READS % MANY == 0, "whole calls");

static void fill_lmdb(struct reader *reader, const char *path, uint32_t keys)
{
	char value[VALUE_BYTES];
	char key_text[BENCH_KEY_BYTES];
	uint32_t index;

	memset(value, 'x', sizeof value);
	if (mkdir(path, 0777) != 0)
		bench_fail("cannot make %s", path);
	check_mdb("mdb_env_create", mdb_env_create(&reader->env));
	check_mdb("mdb_env_set_mapsize",
		  mdb_env_set_mapsize(reader->env, (size_t)1 << 30));
	check_mdb("mdb_env_open", mdb_env_open(reader->env, path,
					       MDB_NOSYNC | MDB_NOTLS, 0600));
	check_mdb("mdb_txn_begin",
		  mdb_txn_begin(reader->env, NULL, 0, &reader->txn));
	check_mdb("mdb_dbi_open",
		  mdb_dbi_open(reader->txn, NULL, 0, &reader->dbi));
	for (index = 0; index < keys; index++) {
		MDB_val key = {bench_key(index * 2, key_text), key_text};
		MDB_val data = {sizeof value, value};

		memcpy(value, key_text, key.mv_size);
		check_mdb("mdb_put",
			  mdb_put(reader->txn, reader->dbi, &key, &data, 0));
	}
	check_mdb("mdb_txn_commit", mdb_txn_commit(reader->txn));
	check_mdb("mdb_txn_begin",
		  mdb_txn_begin(reader->env, NULL, MDB_RDONLY, &reader->txn));
}

/* Even numbers are keys, odd ones are not. */
static void fill_store(struct reader *reader, const char *path, uint32_t keys)
{
	char content[VALUE_BYTES];
	char key[BENCH_KEY_BYTES];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .content = content,
			      .content_size = sizeof content};
	cop_write *write = NULL;
	uint32_t index;

	memset(content, 'x', sizeof content);
	reader->store = bench_store_create(path, 0, 0, keys);
	bench_check("cop_write_begin", cop_write_begin(reader->store, &write));
	for (index = 0; index < keys; index++) {
		put.key_size = (uint32_t)bench_key(index * 2, key);
		memcpy(content, key, put.key_size);
		bench_check("cop_put", cop_put(write, &put));
		if (cop_write_count(write) == BENCH_BATCH || index + 1 == keys)
			bench_check("cop_commit", cop_commit(write, NULL));
	}
	cop_abort(write);
	bench_check("cop_read_begin",
		    cop_read_begin(reader->store, &reader->read));
}

static void draw_keys(struct reader *reader, uint32_t keys)
{
	struct bench_random random = {3};
	uint32_t index;

	reader->keys = bench_alloc(READS * sizeof *reader->keys);
	reader->absent = bench_alloc(READS * sizeof *reader->absent);
	for (index = 0; index < READS; index++) {
		uint32_t number =
		    (uint32_t)bench_random_below(&random, keys) * 2;

		bench_key(number, reader->keys[index]);
		bench_key(number + 1, reader->absent[index]);
	}
}

static double nanoseconds_a_read(struct reader *reader, const struct task *task)
{
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	for (index = 0; index < READS; index++)
		task->read_one(reader, index);
	return (double)(bench_now_ns() - start_ns) / READS;
}

static void report(struct bench *bench, const char *subject,
		   struct bench_series *series)
{
	double medians[TASKS];
	size_t task;

	for (task = 0; task < TASKS; task++) {
		medians[task] = bench_series_median(&series[task]);
		bench_add(bench, subject, tasks[task].system,
			  tasks[task].metric, medians[task], "ns");
	}
	bench_add(bench, subject, "cop_get less mdb_get", "difference",
		  medians[1] - medians[0], "ns");
	bench_add(bench, subject, "both renewed", "difference",
		  medians[6] - medians[5], "ns");
}

static void run(struct bench *bench)
{
	static struct bench_series series[TASKS];
	struct reader reader = {0};
	uint32_t keys = bench->quick ? 100000 : 1000000;
	char path[4096];
	char subject[64];
	size_t task;
	int round;

	snprintf(subject, sizeof subject, "%u keys, %d-byte values", keys,
		 VALUE_BYTES);
	bench_path(bench, "lmdb", path, sizeof path);
	fill_lmdb(&reader, path, keys);
	bench_path(bench, "store", path, sizeof path);
	fill_store(&reader, path, keys);
	draw_keys(&reader, keys);
	for (round = 0; round <= ROUNDS; round++) {
		for (task = 0; task < TASKS; task++) {
			double took = nanoseconds_a_read(&reader, &tasks[task]);

			if (round > 0) /* the first one warms up */
				bench_series_add(&series[task], took);
		}
	}
	report(bench, subject, series);
	cop_read_end(reader.read);
	cop_close(reader.store);
	mdb_txn_abort(reader.txn);
	mdb_env_close(reader.env);
}

int main(int argument_count, char **arguments)
{
	return bench_main("read", argument_count, arguments, run);
}
