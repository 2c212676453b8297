/* SPDX-License-Identifier: Apache-2.0 */
#include "past.h"

#include <errno.h>

/* What a version was, if the read's moment saw it. */
static int version_is_seen(const struct past *past, struct bytes value)
{
	/* it begins with the commit that ended it */
	return value.size > DISK_VERSION_HEADER &&
	       history_version(value) > past->moment;
}

static struct bytes version_record(struct bytes value)
{
	return bytes_of((const char *)value.data + DISK_VERSION_HEADER,
			value.size - DISK_VERSION_HEADER);
}

/* Whether a version's key is that of `key`. */
static int version_is_of(struct bytes version, const struct version_key *key)
{
	return version.size == key->size &&
	       !memcmp(version.data, key->bytes, key->size - sizeof(uint64_t));
}

/* ---- what retention has let go of --------------------------------------- */

/*
 * COP_TOO_OLD if something of an entity or of a name's list may be missing that
 * the moment saw.
 */
static int floor_check(const struct past *past, enum disk_floor kind,
		       uint64_t number)
{
	struct disk_floor_key key = {.kind = htobe32(kind)};
	struct bytes value;
	int code;

	if (past->moment >= past->whole)
		return 0;
	format_split(key.number, number);
	code = env_get(past->env, past->txn, DB_FLOORS,
		       bytes_of(&key, sizeof key), &value);
	if (code)
		return code == ENV_ABSENT ? 0 : code;
	return history_version(value) > past->moment ? COP_TOO_OLD : 0;
}

/* The same for what a key, or the beginning of keys, belongs to. */
static int key_floor_check(const struct past *past, enum env_db db,
			   struct bytes key)
{
	uint64_t wide = 0;
	uint32_t narrow = 0;

	if (past->moment >= past->whole)
		return 0;
	if (db == DB_MEMBERS) {
		memcpy(&narrow, key.data, sizeof narrow);
		return floor_check(past, FLOOR_NAME, be32toh(narrow));
	}
	memcpy(&wide, key.data, sizeof wide);
	return floor_check(
	    past, FLOOR_ENTITY,
	    db == DB_ENTITIES || db == DB_VECTORS ? wide : be64toh(wide));
}

static int version_get(const struct past *past, enum env_db db,
		       struct bytes key, struct bytes *value)
{
	struct version_key first;
	struct bytes found;
	env_cursor *cursor;
	int code =
	    env_cursor_open(past->env, past->txn, history_of(db), &cursor);

	if (code)
		return code;
	version_key_make(&first, db, key, past->moment);
	found = bytes_of(first.bytes, first.size);
	code = env_cursor_move(cursor, ENV_SEEK, &found, value);
	if (!code && version_is_of(found, &first) &&
	    version_is_seen(past, *value))
		*value = version_record(*value);
	else
		*value = bytes_of(NULL, 0);
	env_cursor_close(cursor);
	if (code && code != ENV_ABSENT)
		return code;
	return value->data ? 0 : key_floor_check(past, db, key);
}

int past_get(const struct past *past, enum env_db db, struct bytes key,
	     struct bytes *value)
{
	int code = env_get(past->env, past->txn, db, key, value);

	if (!code &&
	    (!past_is(past) || history_version(*value) <= past->moment))
		return 0;
	if (code && code != ENV_ABSENT)
		return code;
	if (past_is(past))
		return version_get(past, db, key, value);
	*value = bytes_of(NULL, 0);
	return 0;
}

static cop_err cannot_read(int code)
{
	return error_system(code, "cannot read history");
}

static cop_err
versions_visit(const struct past *past, enum env_db db, struct bytes key,
	       cop_err (*each)(void *user, uint64_t born, uint64_t died,
			       struct bytes record),
	       void *user)
{
	struct version_key first;
	struct bytes found;
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code =
	    env_cursor_open(past->env, past->txn, history_of(db), &cursor);

	if (code)
		return cannot_read(code);
	version_key_make(&first, db, key, past->moment);
	found = bytes_of(first.bytes, first.size);
	code = env_cursor_move(cursor, ENV_SEEK, &found, &value);
	while (!code && !err && version_is_of(found, &first) &&
	       value.size > DISK_VERSION_HEADER) {
		uint64_t died = history_version(value);

		err =
		    each(user, version_key_born(found),
			 died > past->moment ? 0 : died, version_record(value));
		if (!err)
			code =
			    env_cursor_move(cursor, ENV_NEXT, &found, &value);
	}
	env_cursor_close(cursor);
	return !err && code && code != ENV_ABSENT ? cannot_read(code) : err;
}

cop_err past_history(const struct past *past, enum env_db db, struct bytes key,
		     cop_err (*each)(void *user, uint64_t born, uint64_t died,
				     struct bytes record),
		     void *user)
{
	struct bytes record;
	cop_err err = 0;
	int code = env_get(past->env, past->txn, db, key, &record);

	if (code && code != ENV_ABSENT)
		return cannot_read(code);
	if (!code && history_version(record) <= past->moment)
		err = each(user, history_version(record), 0, record);
	return err ? err : versions_visit(past, db, key, each, user);
}

/* ---- ranges ------------------------------------------------------------- */

static int is_by_id(enum env_db db)
{
	return db == DB_ENTITIES || db == DB_VECTORS;
}

static void run_end(struct past_run *run)
{
	if (run->cursor)
		env_cursor_close(run->cursor);
	run->cursor = NULL;
}

/* Whether a living entry's key begins as the range's do. */
static int now_is_in(const struct past_range *range)
{
	const struct past_run *run = &range->now;

	return run->key.size >= range->prefix_size &&
	       !memcmp(run->key.data, range->prefix, range->prefix_size);
}

/* On to a living entry that the moment saw. */
static int now_move(struct past_range *range, enum env_move move)
{
	struct past_run *run = &range->now;
	int code = env_cursor_move(run->cursor, move, &run->key, &run->value);

	while (!code && now_is_in(range) &&
	       history_version(run->value) > range->past.moment)
		code = env_cursor_move(run->cursor, ENV_NEXT, &run->key,
				       &run->value);
	if (code || !now_is_in(range))
		run_end(run);
	return code == ENV_ABSENT ? 0 : code;
}

/* Ids are in the machine's order where they live, big endian in versions. */
static int then_is_in(const struct past_range *range)
{
	const struct past_run *run = &range->then;
	uint64_t id;

	if (run->key.size <= sizeof id)
		return 0;
	if (!range->prefix_size || !is_by_id(range->db))
		return !memcmp(run->key.data, range->prefix,
			       range->prefix_size);
	memcpy(&id, run->key.data, sizeof id);
	id = be64toh(id);
	return !memcmp(&id, range->prefix, sizeof id);
}

/* On to a version that the moment saw: at most one of each key. */
static int then_move(struct past_range *range, enum env_move move)
{
	struct past_run *run = &range->then;
	int code = env_cursor_move(run->cursor, move, &run->key, &run->value);

	while (!code && then_is_in(range) &&
	       (version_key_born(run->key) > range->past.moment ||
		!version_is_seen(&range->past, run->value)))
		code = env_cursor_move(run->cursor, ENV_NEXT, &run->key,
				       &run->value);
	if (code || !then_is_in(range))
		run_end(run);
	return code == ENV_ABSENT ? 0 : code;
}

static int now_open(struct past_range *range, struct bytes from)
{
	int code = env_cursor_open(range->past.env, range->past.txn, range->db,
				   &range->now.cursor);

	range->now.key = from;
	return code ? code : now_move(range, ENV_SEEK);
}

static int then_open(struct past_range *range, struct bytes from)
{
	struct version_key first;
	int code = env_cursor_open(range->past.env, range->past.txn,
				   history_of(range->db), &range->then.cursor);

	version_key_make(&first, range->db, from, UINT64_MAX);
	range->then.key = bytes_of(first.bytes, first.size);
	return code ? code : then_move(range, ENV_SEEK);
}

int past_open(struct past_range *range, const struct past *past, enum env_db db,
	      struct bytes from, size_t prefix_size)
{
	int code;

	*range = (struct past_range){
	    .past = *past, .db = db, .prefix_size = prefix_size};
	memcpy(range->prefix, from.data, prefix_size);
	if (prefix_size)
		code = key_floor_check(past, db, from);
	else
		code = past->moment < past->whole ? COP_TOO_OLD : 0;
	if (code)
		return code;
	code = now_open(range, from);
	if (!code && past_is(past))
		code = then_open(range, from);
	if (code)
		past_close(range);
	return code;
}

/* Whether the living entry comes first; both are there. */
static int now_is_first(const struct past_range *range)
{
	const struct past_run *now = &range->now;
	const struct past_run *then = &range->then;
	size_t size = then->key.size - sizeof(uint64_t);
	uint64_t a;
	uint64_t b;

	if (!is_by_id(range->db))
		return memcmp(now->key.data, then->key.data,
			      size < now->key.size ? size : now->key.size) < 0;
	memcpy(&a, now->key.data, sizeof a);
	memcpy(&b, then->key.data, sizeof b);
	return a < be64toh(b);
}

static struct bytes then_key(struct past_range *range)
{
	struct bytes key = range->then.key;

	key.size -= sizeof(uint64_t);
	if (!is_by_id(range->db))
		return key;
	memcpy(&range->id, key.data, sizeof range->id);
	range->id = be64toh(range->id);
	return bytes_of(&range->id, sizeof range->id);
}

int past_next(struct past_range *range, struct bytes *key, struct bytes *value)
{
	struct past_run *now = &range->now;
	struct past_run *then = &range->then;

	if (!now->cursor && !then->cursor)
		return ENV_ABSENT;
	if (now->cursor && (!then->cursor || now_is_first(range))) {
		*key = now->key;
		*value = now->value;
		return now_move(range, ENV_NEXT);
	}
	*key = then_key(range);
	*value = version_record(then->value);
	return then_move(range, ENV_NEXT);
}

void past_close(struct past_range *range)
{
	run_end(&range->now);
	run_end(&range->then);
}
