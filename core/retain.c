/* SPDX-License-Identifier: Apache-2.0 */
#include "retain.h"
#include "clock.h"
#include "content.h"
#include "generation.h"
#include "oplog.h"

#include <errno.h>

enum {
	RETAIN_COMMITS = 32, /* that come of age with one commit */
	RETAIN_VERSIONS = 64 /* let go of, and two for each change */
};

cop_err retain_begin(struct apply *apply)
{
	cop_err err = rules_read(apply->store->env, apply->txn, &apply->rules);

	if (!err)
		apply->keeps = !(apply->rules.list[0].flags & RETENTION_OFF);
	return err;
}

/* ---- what can be read as of --------------------------------------------- */

/* Whether a commit is over for so long that none wants what was before it. */
static cop_err commit_is_old(const struct apply *apply, uint64_t commit,
			     uint64_t now, int *old)
{
	uint64_t age = rules_age(&apply->rules);
	struct oplog_record op;
	int code = oplog_get(apply->store->env, apply->txn, commit, &op);

	*old = code == ENV_ABSENT; /* of a time when none was kept */
	if (code)
		return *old ? 0 : apply_failed(apply, code);
	*old = now > op.head.time_ns && now - op.head.time_ns > age;
	return 0;
}

static cop_err oldest_move(struct apply *apply)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	uint64_t *oldest = &apply->state.oldest;
	cop_err err = 0;
	int old = 1;

	if (!apply->keeps) {
		*oldest = apply->commit;
		apply->state.whole = apply->commit;
		return 0;
	}
	for (int i = 0; rules_age(&apply->rules) && !err && old &&
			(i < RETAIN_COMMITS || apply->ruled) &&
			*oldest + 1 < apply->commit;
	     i++) {
		err = commit_is_old(apply, *oldest + 1, now, &old);
		*oldest += (uint64_t)(!err && old);
	}
	return err;
}

/* ---- what is let go of -------------------------------------------------- */

static int drop(const struct env *env, env_txn *txn, enum env_db db,
		struct bytes key)
{
	int code = env_delete(env, txn, db, key);

	return code == ENV_ABSENT ? 0 : code;
}

/* The first part of the index, if it is of `oldest` or before; a copy. */
static int part_first(const struct env *env, env_txn *txn, uint64_t oldest,
		      struct disk_death_key *key, struct buffer *part)
{
	struct bytes found = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	int code = env_cursor_open(env, txn, DB_DEATHS, &cursor);

	if (code)
		return code;
	code = env_cursor_move(cursor, ENV_NEXT, &found, &value);
	if (!code && !death_commit(found))
		code = EBADMSG;
	if (!code && death_commit(found) > oldest)
		code = ENV_ABSENT;
	part->size = 0;
	if (!code) {
		memcpy(key, found.data, sizeof *key);
		code = buffer_put(part, value.data, value.size);
	}
	env_cursor_close(cursor);
	return code;
}

/* Notes the content that a version names. */
static int content_look(const struct env *env, env_txn *txn,
			const struct version_key *key, struct buffer *ends)
{
	struct bytes value;
	uint64_t id;
	int code =
	    env_get(env, txn, DB_ENTITY_VERSIONS, version_bytes(key), &value);

	if (code || value.size <= DISK_VERSION_HEADER)
		return code == ENV_ABSENT ? 0 : code;
	memcpy(&id, key->bytes, sizeof id);
	return content_end_note(
	    ends, be64toh(id),
	    bytes_of((const char *)value.data + DISK_VERSION_HEADER,
		     value.size - DISK_VERSION_HEADER));
}

/* The versions of a part, and its entry. */
static int part_drop(const struct env *env, env_txn *txn,
		     const struct disk_death_key *key,
		     const struct buffer *part, struct buffer *ends,
		     uint64_t *dropped)
{
	struct bytes entries = bytes_of(part->data, part->size);
	struct death death;
	size_t at = 0;
	int code;

	while (!(code = death_next(entries, &at, &death))) {
		code = ends && death.db == DB_ENTITY_VERSIONS
			   ? content_look(env, txn, &death.version, ends)
			   : 0;
		if (!code)
			code = drop(env, txn, death.db,
				    version_bytes(&death.version));
		if (!code && death.has_in)
			code = drop(env, txn, DB_EDGE_IN_VERSIONS,
				    version_bytes(&death.in));
		if (code)
			return code;
		++*dropped;
	}
	return code == ENV_ABSENT
		   ? drop(env, txn, DB_DEATHS, bytes_of(key, sizeof *key))
		   : code;
}

int retain_drop(const struct env *env, env_txn *txn, uint64_t oldest,
		uint64_t most, struct buffer *ends)
{
	struct disk_death_key key;
	struct buffer part = {0};
	uint64_t dropped = 0;
	int code = 0;

	while (!code && dropped < most) {
		code = part_first(env, txn, oldest, &key, &part);
		if (!code)
			code = part_drop(env, txn, &key, &part, ends, &dropped);
	}
	buffer_release(&part);
	return code == ENV_ABSENT ? 0 : code;
}

cop_err retain_slice(struct apply *apply)
{
	uint64_t most = apply->ruled
			    ? UINT64_MAX
			    : RETAIN_VERSIONS + 2 * apply_change_count(apply);
	cop_err err = oldest_move(apply);
	int code =
	    err ? 0
		: retain_drop(apply->store->env, apply->txn,
			      apply->state.oldest, most, &apply->contents);

	return code ? apply_failed(apply, code) : err;
}

/* ---- without a commit of anybody's -------------------------------------- */

/* Whether something ended with a commit, or before it. */
static int any_ended(const struct env *env, env_txn *txn, uint64_t commit)
{
	struct disk_death_key key;
	struct buffer part = {0};
	int code = part_first(env, txn, commit, &key, &part);

	buffer_release(&part);
	return !code;
}

/*
 * Whether the oldest commit that can be read as of is of age.
 * With the newest commit only what it ended can be let go of.
 */
static cop_err age_look(cop_store *store, int *due)
{
	struct generation *generation = generation_hold(store);
	const struct env *env = &generation->env;
	struct retain_rules rules = {0};
	struct disk_state state = {0};
	struct oplog_record op;
	uint64_t next;
	env_txn *txn;
	cop_err err = 0;
	int code = env_read_begin(&generation->env, &txn);

	*due = 0;
	if (code) {
		generation_drop(store, generation);
		return error_system(code, "%s: cannot read", store->path);
	}
	err = read_state(env, txn, &state);
	if (!err)
		err = rules_read(env, txn, &rules);
	next = state.oldest + 1;
	if (!err && rules_age(&rules) && next <= state.commit &&
	    (next < state.commit || any_ended(env, txn, next)) &&
	    !oplog_get(env, txn, next, &op))
		*due = clock_ns(CLOCK_REALTIME) > op.head.time_ns &&
		       clock_ns(CLOCK_REALTIME) - op.head.time_ns >
			   rules_age(&rules);
	rules_release(&rules);
	env_read_abort(txn);
	generation_drop(store, generation);
	return err;
}

/* The store's own comes first. */
static int32_t rule_first(void *user, cop_read *read,
			  const struct cop_retention *retention)
{
	struct cop_retention *out = user;

	(void)read;
	*out = *retention;
	return 1;
}

/* The store's rule once more: a commit that lets go of all it can. */
cop_err retain_now(cop_store *store)
{
	struct cop_retention rule = {.size = sizeof rule};
	cop_write *write;
	cop_read *read;
	int due;
	cop_err err = age_look(store, &due);

	if (err || !due)
		return err;
	err = cop_read_begin(store, &read);
	if (err)
		return err;
	err = cop_retentions(read, rule_first, &rule);
	cop_read_end(read);
	if (err && err != COP_STOPPED)
		return err;
	err = cop_write_begin(store, &write);
	if (err)
		return err;
	err = cop_retain(write, &rule);
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}
