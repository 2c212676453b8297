/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"
#include "format.h"
#include "pages.h"

#include <lmdb.h>
#include <string.h>
#include <xxhash.h>

enum {
	FIRST_NAMED = 1, /* LMDB's number of the main tree, DB_META */
	SIZE_BITS = 32	 /* of a value, in its node */
};

static MDB_val val_of(struct bytes bytes)
{
	return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data};
}

/* What stands for a value that cannot be read, with its checksum. */
static const unsigned char nothing[FORMAT_SUM_BYTES];

/* ---- checksums ---------------------------------------------------------- */

static uint64_t entry_sum(unsigned db, const MDB_val *key, const void *value,
			  size_t size)
{
	return XXH3_64bits(value, size) ^
	       XXH3_64bits_withSeed(key->mv_data, key->mv_size, db);
}

uint64_t env_sum(enum env_db db, struct bytes key, struct bytes value)
{
	MDB_val k = val_of(key);

	return entry_sum(db, &k, value.data, value.size);
}

uint64_t env_sum_stored(struct bytes value)
{
	uint64_t sum;

	memcpy(&sum, (const char *)value.data + value.size, sizeof sum);
	return sum;
}

/*
 * Whether a value ends where its page does at the latest: a size that is not
 * what it was leads beyond.  Pages that were changed in this transaction lie
 * elsewhere, and were sound when they came there.
 */
static int value_is_within(const struct env *env, const MDB_val *value)
{
	uintptr_t at = (uintptr_t)value->mv_data - env->map_at;
	size_t offset = at & (env->page_bytes - 1);
	uint64_t room = env->page_bytes - offset;

	if (!env->map_at || at >= env->map_bytes)
		return 1;
	if (offset == PAGES_HEADER)
		room = pages_run_room(value->mv_data, env->page_bytes);
	return value->mv_size <= room && room <= env->map_bytes - at;
}

int env_size_flip(const struct env *env, enum env_db db, struct bytes key,
		  struct bytes *value)
{
	uintptr_t at = (uintptr_t)value->data - env->map_at;
	uint64_t size = value->size + FORMAT_SUM_BYTES;

	if (!env->map_at || at >= env->map_bytes ||
	    (at & (env->page_bytes - 1)) != PAGES_HEADER)
		return 0;
	for (int bit = 0; bit < SIZE_BITS; bit++) {
		MDB_val other =
		    val_of(bytes_of(value->data, size ^ UINT64_C(1) << bit));
		struct bytes to;

		if (other.mv_size < FORMAT_SUM_BYTES ||
		    !value_is_within(env, &other))
			continue;
		to = bytes_of(value->data, other.mv_size - FORMAT_SUM_BYTES);
		if (env_sum(db, key, to) != env_sum_stored(to))
			continue;
		*value = to;
		return 1;
	}
	return 0;
}

/* The value without its checksum; if that is not right, what there is. */
static int entry_open(const struct env *env, unsigned db, const MDB_val *key,
		      const MDB_val *entry, struct bytes *value)
{
	*value = bytes_of(nothing, 0);
	if (key->mv_size > ENV_KEY_BYTES || entry->mv_size < FORMAT_SUM_BYTES ||
	    !value_is_within(env, entry))
		return ENV_DAMAGED;
	*value = bytes_of(entry->mv_data, entry->mv_size - FORMAT_SUM_BYTES);
	return env_sum_stored(*value) ==
		       entry_sum(db, key, value->data, value->size)
		   ? 0
		   : ENV_DAMAGED;
}

/* ---- single entries ----------------------------------------------------- */

int env_get(const struct env *env, env_txn *txn, enum env_db db,
	    struct bytes key, struct bytes *value)
{
	MDB_val k = val_of(key);
	MDB_val v;
	int err = mdb_get(txn, env->dbs[db], &k, &v);

	return err ? err : entry_open(env, db, &k, &v, value);
}

static int put_room(const struct env *env, env_txn *txn, enum env_db db,
		    struct bytes key, size_t size, void **room, unsigned flags)
{
	MDB_val k = val_of(key);
	MDB_val v = {size + FORMAT_SUM_BYTES, NULL};
	int err = mdb_put(txn, env->dbs[db], &k, &v, MDB_RESERVE | flags);

	if (!err)
		*room = v.mv_data;
	return err;
}

int env_put_room(const struct env *env, env_txn *txn, enum env_db db,
		 struct bytes key, size_t size, void **room)
{
	return put_room(env, txn, db, key, size, room, 0);
}

int env_append_room(const struct env *env, env_txn *txn, enum env_db db,
		    struct bytes key, size_t size, void **room)
{
	int err = put_room(env, txn, db, key, size, room, MDB_APPEND);

	return err == MDB_KEYEXIST ? put_room(env, txn, db, key, size, room, 0)
				   : err;
}

void env_filled(enum env_db db, struct bytes key, void *room, size_t size)
{
	uint64_t sum = env_sum(db, key, bytes_of(room, size));

	memcpy((char *)room + size, &sum, sizeof sum);
}

static void value_fill(enum env_db db, struct bytes key, void *room,
		       struct bytes value)
{
	if (value.size)
		memcpy(room, value.data, value.size);
	env_filled(db, key, room, value.size);
}

int env_put(const struct env *env, env_txn *txn, enum env_db db,
	    struct bytes key, struct bytes value)
{
	void *room;
	int err = env_put_room(env, txn, db, key, value.size, &room);

	if (!err)
		value_fill(db, key, room, value);
	return err;
}

int env_append(const struct env *env, env_txn *txn, enum env_db db,
	       struct bytes key, struct bytes value)
{
	void *room;
	int err = env_append_room(env, txn, db, key, value.size, &room);

	if (!err)
		value_fill(db, key, room, value);
	return err;
}

int env_delete(const struct env *env, env_txn *txn, enum env_db db,
	       struct bytes key)
{
	MDB_val k = val_of(key);

	return mdb_del(txn, env->dbs[db], &k, NULL);
}

/* ---- one after the other ------------------------------------------------ */

int env_cursor_open(const struct env *env, env_txn *txn, enum env_db db,
		    env_cursor **out)
{
	return mdb_cursor_open(txn, env->dbs[db], out);
}

void env_cursor_close(env_cursor *cursor)
{
	mdb_cursor_close(cursor);
}

int env_cursor_renew(env_txn *txn, env_cursor *cursor)
{
	return mdb_cursor_renew(txn, cursor);
}

int env_cursor_move(env_cursor *cursor, enum env_move move, struct bytes *key,
		    struct bytes *value)
{
	static const MDB_cursor_op ops[] = {
	    [ENV_SEEK] = MDB_SET_RANGE,
	    [ENV_NEXT] = MDB_NEXT,
	};
	const struct env *env =
	    mdb_env_get_userctx(mdb_txn_env(mdb_cursor_txn(cursor)));
	MDB_val k = val_of(*key);
	MDB_val v;
	int err = mdb_cursor_get(cursor, &k, &v, ops[move]);

	if (err)
		return err;
	*key = bytes_of(k.mv_data, k.mv_size);
	return entry_open(env, mdb_cursor_dbi(cursor) - FIRST_NAMED, &k, &v,
			  value);
}

int env_count(const struct env *env, env_txn *txn, enum env_db db,
	      uint64_t *count)
{
	MDB_stat stat;
	int err = mdb_stat(txn, env->dbs[db], &stat);

	if (!err)
		*count = stat.ms_entries;
	return err;
}
