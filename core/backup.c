/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a backup while the store is in use, and looking one through.
 *
 * idea
 *	One LMDB snapshot of the open environment is read from the first key to
 *	the last and written as it comes (backupfile.h): the store as of one
 *	commit, with all of its history.  The segment and its images are caches
 *	and stay out.  No lock is held but LMDB's, shared, on the snapshot, so
 *	readers and writers go on, and a compaction, too: the snapshot keeps the
 *	generation that it began in.
 *
 * what it costs a busy store
 *	Pages that commits replace meanwhile are not used again before the
 *	backup ends, so the data file grows by what is rewritten in that time:
 *	some 20 pages a small commit; and a data file that a compaction replaces
 *	stays on the disk as long.  A backup has no slot, so nothing of the
 *	segment waits for it.
 *	A processor is busy for a second for each 500 MB of data, and the disk
 *	with writing them; a file goes there as it comes, not at the end.
 *	Whoever takes the bytes says how long it lasts; a pipe may stand still
 *	for ever.  So the backup looks, once a second, what it holds back, and
 *	where that would make a read stall writers (stall.c) it gives way
 *	itself: COP_STALLED is the backup's error, never a commit's.
 *
 * crash
 *	Nothing of the store's is changed.  LMDB's reader table has an entry of
 *	the dead, which goes as any other reader's.
 */
#include "backupfile.h"
#include "clock.h"
#include "generation.h"
#include "pages.h"
#include "marks.h"

/* A look takes at most so small a share of the time. */
enum { LOOK_SHARE = 20 };

#define LOOK_NS UINT64_C(1000000000)

struct taking {
	cop_store *store;
	struct generation *generation; /* held */
	env_txn *txn;
	const struct cop_backup_options *options;
	struct backup_header header;
	struct backup_out out;
	uint64_t chunks;  /* when progress was told last */
	uint64_t entries; /* written */
	uint64_t look_ns; /* when to look next what is held back */
	int is_blind;	  /* the list that says so is damaged */
};

static cop_err options_check(const struct cop_backup_options *options,
			     const struct cop_backup_info *info)
{
	if (options && options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	if (info && info->size != sizeof *info)
		return error_set(COP_INVALID, "what is told of a backup is of "
					      "another size; set .size to its "
					      "sizeof");
	return 0;
}

static cop_err progress_tell(const struct cop_backup_options *options,
			     const char *what, uint64_t done, uint64_t total)
{
	if (!options || !options->progress)
		return 0;
	error_clear();
	return error_answer(
	    options->progress(options->user, what, done, total));
}

/* ---- taking one --------------------------------------------------------- */

static cop_err unread(const struct taking *taking, int code)
{
	return error_system(code, "cannot read %s", taking->store->path);
}

/* Gives way where it holds back too much. */
static cop_err held_look(struct taking *taking)
{
	uint64_t before = clock_ns(CLOCK_MONOTONIC);
	uint64_t took;
	cop_err err;

	if (before < taking->look_ns || taking->is_blind)
		return 0;
	err = stall_snapshot_check(taking->store, &taking->generation->env,
				   taking->txn);
	took = clock_ns(CLOCK_MONOTONIC) - before;
	taking->look_ns = before + LOOK_NS + took * LOOK_SHARE;
	return err;
}

static cop_err taking_tell(void *user)
{
	struct taking *taking = user;
	cop_err err = held_look(taking);

	return err ? err
		   : progress_tell(taking->options, "writing", taking->entries,
				   taking->header.entries);
}

static cop_err entry_write(struct taking *taking, enum env_db db,
			   struct bytes key, struct bytes value)
{
	cop_err err = backup_out_entry(&taking->out, db, key, value);

	taking->entries++;
	if (err || taking->chunks == taking->out.totals.chunks)
		return err;
	taking->chunks = taking->out.totals.chunks;
	return taking_tell(taking);
}

static cop_err database_write(struct taking *taking, enum env_db db)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code =
	    env_cursor_open(&taking->generation->env, taking->txn, db, &cursor);

	if (code)
		return unread(taking, code);
	code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	while (!code && !err) {
		err = entry_write(taking, db, key, value);
		if (!err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code != ENV_ABSENT ? unread(taking, code) : err;
}

static int meta_get(const struct taking *taking, struct bytes key,
		    struct bytes *value)
{
	return env_get(&taking->generation->env, taking->txn, DB_META, key,
		       value);
}

static cop_err meta_entry_write(struct taking *taking, struct bytes key,
				int may_lack)
{
	struct bytes value;
	int code = meta_get(taking, key, &value);

	if (code == ENV_ABSENT && may_lack)
		return 0;
	return code ? unread(taking, code)
		    : entry_write(taking, DB_META, key, value);
}

/* Of the main database: the marks, if there are any, and the retention. */
static cop_err meta_write(struct taking *taking)
{
	cop_err err = meta_entry_write(taking, marks_key(), 1);

	return err ? err
		   : meta_entry_write(taking, bytes_of("retention", 9), 0);
}

/*
 * The snapshot, its pages looked through.  The list of free pages is no part of
 * a backup, so one with a damaged list is the way to a store without.
 */
static cop_err snapshot_begin(struct taking *taking)
{
	struct env *env = &taking->generation->env;
	int code = env_read_begin(env, &taking->txn);
	cop_err err;

	if (code)
		return unread(taking, code);
	err = pages_check(env, taking->txn, PAGES_FREE, NULL);
	taking->is_blind = err == COP_CORRUPT;
	return err && !taking->is_blind
		   ? err
		   : pages_check(env, taking->txn, PAGES_TREES, NULL);
}

/* What there is to say of it. */
static cop_err taking_begin(struct taking *taking)
{
	struct backup_header *header = &taking->header;
	struct env *env = &taking->generation->env;
	struct bytes marks;
	uint64_t count;
	int code = 0;
	cop_err err = snapshot_begin(taking);

	if (!err)
		err = read_state(env, taking->txn, &header->state);
	if (err)
		return err;
	header->entries = 1; /* the retention */
	header->entries += !meta_get(taking, marks_key(), &marks);
	for (int db = DB_META + 1; !code && db < DB_COUNT; db++) {
		code = env_count(env, taking->txn, (enum env_db)db, &count);
		header->entries += count;
	}
	if (code)
		return unread(taking, code);
	header->store = taking->store->config;
	header->page_bytes = env->page_bytes;
	header->taken_ns = clock_ns(CLOCK_REALTIME);
	taking->look_ns = clock_ns(CLOCK_MONOTONIC) + LOOK_NS;
	return backup_out_begin(&taking->out, header);
}

static cop_err taking_run(struct taking *taking)
{
	cop_err err = taking_begin(taking);

	if (!err)
		err = meta_write(taking);
	for (int db = DB_META + 1; !err && db < DB_COUNT; db++)
		err = database_write(taking, (enum env_db)db);
	if (!err) /* at least once */
		err = taking_tell(taking);
	return err ? err : backup_out_end(&taking->out);
}

cop_err cop_backup(cop_store *store, int32_t fd,
		   const struct cop_backup_options *options,
		   struct cop_backup_info *info)
{
	struct taking taking = {.store = store, .options = options};
	struct limit limit;
	cop_err err = store_use(store);

	if (!err)
		err = options_check(options, info);
	if (!err) /* what has been committed is in it */
		err = generation_refresh(store);
	if (err)
		return err;
	taking.generation = generation_hold(store);
	taking.out = (struct backup_out){.fd = fd,
					 .is_plain = options && options->plain,
					 .wait = taking_tell,
					 .user = &taking};
	limit_enter(&limit);
	err = taking_run(&taking);
	limit_leave(&limit);
	if (!err && info)
		*info = backup_info(&taking.header, &taking.out.totals,
				    taking.out.offset);
	backup_out_release(&taking.out);
	if (taking.txn)
		env_read_abort(taking.txn);
	generation_drop(store, taking.generation);
	return err;
}

/* ---- looking one through ------------------------------------------------ */

struct looking {
	struct backup_in in;
	const struct cop_backup_options *options;
	uint64_t entries;
};

static cop_err looking_tell(void *user)
{
	const struct looking *looking = user;

	return progress_tell(looking->options, "reading", looking->entries,
			     looking->in.header.entries);
}

static cop_err all_read(struct looking *looking)
{
	struct backup_in *in = &looking->in;
	uint64_t chunks = 0;
	cop_err err = backup_in_begin(in);

	while (!err && !in->is_ended) {
		err = backup_in_entry(in);
		looking->entries++;
		if (err || chunks == in->totals.chunks)
			continue;
		chunks = in->totals.chunks;
		err = looking_tell(looking);
	}
	return err;
}

cop_err cop_backup_verify(int32_t fd, const struct cop_backup_options *options,
			  struct cop_backup_info *info)
{
	struct looking looking = {.in = {.fd = fd, .wait = looking_tell},
				  .options = options};
	cop_err err;

	error_clear();
	err = options_check(options, info);
	if (err)
		return err;
	looking.in.user = &looking;
	err = all_read(&looking);
	if (!err && info)
		*info = backup_info(&looking.in.header, &looking.in.totals,
				    looking.in.offset);
	backup_in_release(&looking.in);
	return err;
}
