/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending LMDB by what its records say.
 *
 * idea
 *	The check itself says what would mend a finding, as puts and deletes.
 *	It runs in a write transaction; they are done when it is through, and
 *	it runs again, since one finding may hide another, until there is
 *	nothing left to do.  Then the counters are counted, and all of it is a
 *	commit as any other: with a number, a place in the chain and a record.
 *
 * ordering
 *	Between LMDB's commit and the segment's words for it a reader may come
 *	that has the new snapshot: `prepared` says so before.  It finds the
 *	segment as it was, which the mended indexes were not in agreement with
 *	before, either.  The segment's check comes next.
 *
 * without a segment
 *	A segment cannot be built of entries that are damaged, so those of a
 *	store that nobody has attached are mended before.  What they say is then
 *	what it was, or they are gone; LMDB's commit is none of the store's.
 *
 * crash
 *	before LMDB's commit	nothing happened
 *	after it		the segment lacks that commit, and is built anew
 *				by whoever takes W next
 */
#include "apply.h"
#include "check.h"
#include "checkpoint.h"
#include "dict.h"
#include "point.h"
#include "results.h"

enum { ROUNDS = 8 };

struct mend {
	uint32_t db;
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint32_t is_delete;
};

/* ---- noting ------------------------------------------------------------- */

static void mend_note(struct check *check, const struct mend *mend,
		      const void *key, const void *value)
{
	int err;

	if (!check->options->repair)
		return;
	err = buffer_put(&check->mends, mend, sizeof *mend);
	if (!err)
		err = buffer_put(&check->mends, key, mend->key_bytes);
	if (!err && mend->value_bytes)
		err = buffer_put(&check->mends, value, mend->value_bytes);
	if (err)
		check->failed = err;
}

void check_mend_derived(struct check *check, enum env_db db, struct bytes key,
			struct bytes value)
{
	struct mend mend = {.db = db,
			    .key_bytes = (uint32_t)key.size,
			    .value_bytes = (uint32_t)value.size};

	mend_note(check, &mend, key.data, value.data);
}

void check_mend_unlist(struct check *check, enum env_db db, struct bytes key)
{
	struct mend mend = {
	    .db = db, .key_bytes = (uint32_t)key.size, .is_delete = 1};

	mend_note(check, &mend, key.data, NULL);
}

void check_mend_back(struct check *check, enum env_db db, struct bytes key,
		     struct bytes to_key, struct bytes to)
{
	if (env_key_compare(db, key, to_key))
		check_mend_unlist(check, db, key);
	check_mend_derived(check, db, to_key, to);
}

void check_mend_put(struct check *check, enum env_db db, struct bytes key,
		    struct bytes value)
{
	check->forgets = 1;
	check_mend_derived(check, db, key, value);
}

void check_mend_delete(struct check *check, enum env_db db, struct bytes key)
{
	check->forgets = 1;
	check_mend_unlist(check, db, key);
}

/* ---- doing -------------------------------------------------------------- */

static int mends_do(struct check *check)
{
	const struct env *env = check->store->env;
	const struct buffer *mends = &check->mends;
	size_t at = 0;
	int err = 0;

	while (!err && at < mends->size) {
		struct mend mend;
		struct bytes key;

		memcpy(&mend, mends->data + at, sizeof mend);
		at += sizeof mend;
		key = bytes_of(mends->data + at, mend.key_bytes);
		at += mend.key_bytes;
		err =
		    mend.is_delete
			? env_delete(env, check->txn, (enum env_db)mend.db, key)
			: env_put(env, check->txn, (enum env_db)mend.db, key,
				  bytes_of(mends->data + at, mend.value_bytes));
		if (err == ENV_ABSENT) /* another finding's mend did it */
			err = 0;
		at += mend.value_bytes;
	}
	check->mends.size = 0;
	return err;
}

static void counters_take(struct check *check)
{
	struct disk_state *state = &check->state;

	state->entities = check_entries(check, DB_ENTITIES);
	state->edges = check_entries(check, DB_EDGES);
	state->vectors = check_entries(check, DB_VECTORS);
	check->recount = 0;
}

/* Of so many findings some are left; those that were hidden may be more. */
static void mended_count(const struct check *check, uint64_t found,
			 uint64_t *mended)
{
	if (found > check->findings)
		*mended += found - check->findings;
}

/* What is left after some rounds is removed, if it is to be. */
static int must_go_on(const struct check *check)
{
	return check->options->repair == CHECK_REMOVES && check->findings &&
	       check->round <= ROUND_PATIENT;
}

/* Mends until nothing is noted; *changed if anything was. */
static cop_err rounds_run(struct check *check, int *changed, uint64_t *mended)
{
	cop_err err = check_truth(check);
	uint64_t found = check->findings;
	int code = 0;

	while (check->round < ROUNDS && !err && !check->failed &&
	       (check->mends.size || check->recount || must_go_on(check))) {
		check->round++;
		*changed = 1;
		code = mends_do(check);
		if (code)
			break;
		counters_take(check);
		check->silent = 1;
		check->findings = 0;
		err = check_truth(check);
	}
	check->silent = 0;
	mended_count(check, found, mended);
	*changed |= check->seals;
	if (!err && *changed && check->findings) { /* told as such */
		check->findings = 0;
		check->still = "still: ";
		err = check_truth(check);
		check->still = "";
	}
	if (!err && check->failed)
		code = check->failed;
	return code
		   ? error_system(code, "%s: cannot repair", check->store->path)
		   : err;
}

/* The commit's number, time, chain and record. */
static cop_err commit_seal(struct check *check)
{
	struct apply apply = {.store = check->store,
			      .txn = check->txn,
			      .commit = check->state.commit + 1,
			      .state = check->state};
	cop_err err;

	/* what was so before is not known from here on back */
	if (check->forgets) {
		apply.state.whole = apply.commit;
		check_finding(check,
			      "what was so before commit %llu is not known "
			      "for sure any more, and not read as of then",
			      (unsigned long long)apply.commit);
		check->findings--; /* told, and not to be mended */
	}
	err = apply_seal(&apply, check->store->writable.header->uuid);
	check->state = apply.state;
	apply_release(&apply);
	return err;
}

/* relaxed: W is held; a reader's snapshot orders it (commit.c, C1) */
static cop_err commit_finish(struct check *check)
{
	cop_store *store = check->store;
	struct segment_header *header = store->writable.header;
	const struct disk_state *state = &check->state;
	cop_err err = checkpoint_forget(store); /* images lack it */
	int code;

	if (err) {
		env_write_abort(check->txn);
		return err;
	}
	atomic_store_explicit(&header->prepared, state->commit,
			      memory_order_release);
	point("repair-prepared");
	code = env_write_commit(check->txn);
	point("repair-committed");
	if (code)
		return error_system(code, "%s: cannot commit the repair",
				    store->path);
	atomic_store_explicit(&header->chain, state->chain,
			      memory_order_release);
	atomic_store_explicit(&header->committed, state->commit,
			      memory_order_release);
	checkpoint_allow(store);
	dict_clear(&store->dict);
	results_clear(store);
	return 0;
}

/* With the write transaction that is open; ended in any case. */
static cop_err repair_run(struct check *check, uint64_t *mended)
{
	int changed = 0;
	cop_err err = rounds_run(check, &changed, mended);

	if (!err && changed)
		err = commit_seal(check);
	if (err || !changed) {
		env_write_abort(check->txn);
		return err;
	}
	return commit_finish(check);
}

static cop_err write_begin(struct check *check)
{
	int code = env_write_begin(check->store->env, 0, &check->txn);

	return code ? error_system(code, "%s: cannot write", check->store->path)
		    : 0;
}

static int entries_mend(struct check *check, uint64_t *mended)
{
	uint64_t found = check->findings;
	int code = mends_do(check);

	if (!code)
		code = env_write_commit(check->txn);
	else
		env_write_abort(check->txn);
	if (code)
		return code;
	code = env_read_begin(check->store->env, &check->txn);
	if (code)
		return code;
	check->silent = 1;
	check->findings = 0;
	if (check_sums(check)) /* then all are left, as far as is known */
		check->findings = found;
	check->silent = 0;
	mended_count(check, found, mended);
	env_read_abort(check->txn);
	return 0;
}

cop_err check_entries_alone(struct check *check, uint64_t *mended)
{
	cop_err err = write_begin(check);
	int code = 0;

	if (err)
		return err;
	err = check_sums(check);
	if (err || check->failed || !check->mends.size)
		env_write_abort(check->txn);
	else
		code = entries_mend(check, mended);
	if (!err && (code || check->failed))
		err = error_system(code ? code : check->failed,
				   "%s: cannot repair", check->store->path);
	return err;
}

cop_err check_repair(struct check *check, uint64_t *mended)
{
	cop_err err = write_begin(check);

	if (err)
		return err;
	err = check_begin(check);
	if (err) {
		env_write_abort(check->txn);
		return err;
	}
	return repair_run(check, mended);
}
