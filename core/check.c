/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking: every record against every index that mentions it, both ways.
 *
 * idea
 *	With W held nothing changes, so LMDB and the segment must agree to the
 *	last row.  A finding is told and counted, and the check goes on.
 *	pages.c		pages, before anything else is read
 *	check_sums.c	entries against their checksums
 *	check_truth.c	LMDB's databases against each other
 *	check_history.c	versions of what was
 *	check_deaths.c	which of them the index by death lacks
 *	check_segment.c	the segment against LMDB
 *	check_image.c	images on disk
 *	check_repair.c	one commit that mends LMDB
 *	check_file.c	a data file by itself, if pages are damaged
 *	A quick check holds no lock and looks at what is counted or hashed
 *	already, and the pages that this is on; a deep one also decodes every
 *	value and unpacks every image, and asks the vector graph what it finds.
 *
 * repair
 *	LMDB is mended first, since all else follows from it; then the segment
 *	is built anew if it does not agree with that; then images go that are
 *	of no use.  Each is checked again, and what is left is told as such.
 */
#include "check.h"
#include "checkpoint.h"
#include "lock.h"
#include "pages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the vector graph: one node of so many may be unreachable, and a walk of
   the width of a search finds half of what there is, at least. */
enum { UNREACHABLE_SHARE = 1000, GRAPH_LOOKS = 3 };

#define RECALL_LEAST 0.5

void check_finding(struct check *check, const char *format, ...)
{
	char text[320];
	int size = snprintf(text, sizeof text, "%s", check->still);
	va_list args;

	check->findings++;
	if (check->silent || !check->options->found)
		return;
	va_start(args, format);
	vsnprintf(text + size, sizeof text - (size_t)size, format, args);
	va_end(args);
	check->options->found(check->options->user, check->place, text);
}

int check_there(const struct check *check, enum env_db db, const void *key,
		size_t size, struct bytes *value)
{
	int err = env_get(check->store->env, check->txn, db,
			  bytes_of(key, size), value);

	return !err || err == ENV_DAMAGED;
}

cop_err check_database_from(struct check *check, enum env_db db,
			    struct bytes first, entry_check *each)
{
	struct bytes key = first;
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return error_system(err, "cannot check");
	err = env_cursor_move(cursor, first.size ? ENV_SEEK : ENV_NEXT, &key,
			      &value);
	while (!err) {
		/* what makes no sense is told of by `each` */
		if (used_note(&check->names, db, key, value) == ENOMEM) {
			err = ENOMEM;
			break;
		}
		each(check, key, value);
		err = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : error_system(err, "cannot check");
}

cop_err check_database(struct check *check, enum env_db db, entry_check *each)
{
	return check_database_from(check, db, bytes_of("", 0), each);
}

uint64_t check_entries(const struct check *check, enum env_db db)
{
	uint64_t count = 0;

	(void)env_count(check->store->env, check->txn, db, &count);
	return count;
}

void check_count(struct check *check, enum env_db db, uint64_t want,
		 const char *what)
{
	uint64_t count = check_entries(check, db);

	if (count != want)
		check_finding(
		    check, "there are %llu %s where %llu are expected",
		    (unsigned long long)count, what, (unsigned long long)want);
}

/* ---- the parts ---------------------------------------------------------- */

cop_err check_begin(struct check *check)
{
	cop_err err = read_state(check->store->env, check->txn, &check->state);

	if (err)
		return err;
	if (check->state.next_name > UINT32_MAX)
		return error_set(COP_CORRUPT,
				 "%s: its counters are out of range; restore a "
				 "backup",
				 check->store->path);
	return 0;
}

static cop_err read_begin(struct check *check)
{
	cop_store *store = check->store;
	int code = env_read_begin(store->env, &check->txn);
	cop_err err;

	if (code)
		return error_system(code, "%s: cannot read", store->path);
	err = check_begin(check);
	if (err)
		env_read_abort(check->txn);
	return err;
}

static void page_found(void *user, const char *text)
{
	check_finding(user, "%s", text);
}

cop_err check_pages(struct check *check, int what, struct pages *out)
{
	struct pages pages = {.found = page_found, .user = check};
	cop_store *store = check->store;
	env_txn *txn;
	int code = env_read_begin(store->env, &txn);
	cop_err err;

	if (code)
		return error_system(code, "%s: cannot read", store->path);
	check->place = COP_PLACE_DATA;
	err = pages_check(store->env, txn, what, &pages);
	env_read_abort(txn);
	if (out)
		*out = pages;
	return err;
}

/* Before LMDB is asked for what it would fall over. */
static cop_err pages_part(struct check *check, int what)
{
	struct pages pages = {0};
	cop_err err = check_pages(check, what, &pages);

	if (!err &&
	    (pages.in_trees || (pages.in_list && check->options->repair)))
		err = error_set(COP_CORRUPT,
				"%s: pages of the data file are damaged; stop "
				"every process that has it attached, then "
				"`coppice check --repair` mends what can be, "
				"or restore a backup",
				check->store->path);
	return err;
}

/* What is counted or hashed already: no lock is held. */
static cop_err check_quick(struct check *check)
{
	cop_err err = pages_part(check, PAGES_MAIN | PAGES_ONE(DB_OPS));

	if (!err)
		err = read_begin(check);
	if (err)
		return err;
	err = check_counts(check);
	if (!err)
		check_images(check, NULL);
	env_read_abort(check->txn);
	return err;
}

/* Another segment in place of one that LMDB does not agree with. */
static cop_err segment_mend(struct check *check, uint64_t *mended)
{
	uint64_t before = check->findings;
	cop_err err = attach_rebuild(check->store, NULL);

	if (!err)
		err = attach_writable(check->store);
	if (err)
		return err;
	check->findings = 0;
	check->still = "still: ";
	err = check_segment(check);
	*mended += before - check->findings;
	if (check->findings)
		(void)checkpoint_forget(check->store);
	return err;
}

static cop_err segment_part(struct check *check, uint64_t *mended)
{
	uint64_t before = check->findings;
	cop_err err;

	check->findings = 0;
	check->place = COP_PLACE_SEGMENT;
	err = check_segment(check);
	/* an image may have the damage, too */
	if (check->findings)
		(void)checkpoint_forget(check->store);
	if (!err && check->findings && check->options->repair)
		err = segment_mend(check, mended);
	check->still = "";
	check->findings += before;
	return err;
}

/* The segment as of the last commit; one that cannot be is built anew. */
static cop_err settle(struct check *check)
{
	cop_store *store = check->store;
	cop_err err = writer_settle(store, NULL);

	if (err != COP_CORRUPT || !check->options->repair)
		return err;
	check->place = COP_PLACE_SEGMENT;
	check_finding(check, "it cannot be used: %s", cop_last_error());
	check->findings--; /* it is mended */
	(void)checkpoint_remove(store);
	err = attach_rebuild(store, NULL);
	return err ? err : attach_writable(store);
}

/* W held. */
static cop_err check_locked(struct check *check, uint64_t *mended)
{
	cop_err err = pages_part(check, PAGES_ALL);

	if (!err)
		err = settle(check);
	if (!err && check->options->repair)
		err = check_repair(check, mended);
	if (!err)
		err = read_begin(check);
	if (err)
		return err;
	if (!check->options->repair)
		err = check_truth(check);
	if (!err && !check->damaged)
		err = segment_part(check, mended);
	if (!err && check->options->depth == COP_CHECK_DEEP)
		check_images(check, mended);
	env_read_abort(check->txn);
	return err;
}

static cop_err graph_look(struct check *check, struct cop_recall *recall)
{
	cop_read *read;
	cop_err err = cop_read_begin(check->store, &read);

	if (err)
		return err;
	err = cop_recall(read, 0, 0, recall);
	cop_read_end(read);
	return err;
}

static int is_cut_off(const struct cop_recall *recall)
{
	return recall->unreachable > recall->nodes / UNREACHABLE_SHARE;
}

/*
 * What the vector graph finds, and whether every node can be found.  Commits
 * go on: nodes that are being linked meanwhile may look cut off, but not twice.
 */
static cop_err check_graph(struct check *check)
{
	struct cop_recall recall = {.size = sizeof recall};
	cop_err err;

	if (!check->store->config.dim)
		return 0;
	err = graph_look(check, &recall);
	for (int i = 1; !err && is_cut_off(&recall) && i < GRAPH_LOOKS; i++)
		err = graph_look(check, &recall);
	if (err)
		return err;
	check->place = COP_PLACE_GRAPH;
	if (is_cut_off(&recall))
		check_finding(check,
			      "no way leads to %llu of %llu vectors in the "
			      "graph: `coppice maintain` links them again",
			      (unsigned long long)recall.unreachable,
			      (unsigned long long)recall.nodes);
	if (recall.samples && recall.recall_coded < RECALL_LEAST)
		check_finding(check,
			      "walks find %.2f of the nearest that codes can "
			      "tell: `coppice rebuild` makes another graph",
			      recall.recall_coded);
	return 0;
}

static cop_err check_all(struct check *check, uint64_t *mended)
{
	cop_store *store = check->store;
	cop_err err;

	if (check->options->depth == COP_CHECK_QUICK)
		return check_quick(check);
	err = writer_lock(store, store->timeout_ms);
	if (err)
		return err;
	err = check_locked(check, mended);
	writer_unlock(store);
	return err || check->options->depth != COP_CHECK_DEEP
		   ? err
		   : check_graph(check);
}

cop_err check_options(const struct cop_check_options *options,
		      const struct cop_check_result *result)
{
	if (options->size != sizeof *options ||
	    (result && result->size != sizeof *result))
		return error_set(COP_INVALID, "options or result are of "
					      "another size; set .size to "
					      "their sizeof");
	if (options->depth < COP_CHECK_FULL ||
	    options->depth > COP_CHECK_DEEP ||
	    (options->depth == COP_CHECK_QUICK && options->repair))
		return error_set(COP_INVALID,
				 "depth %d; there are full 0, quick 1, deep 2, "
				 "and repair needs a check that is not quick",
				 options->depth);
	return 0;
}

cop_err cop_check_with(cop_store *store,
		       const struct cop_check_options *options,
		       struct cop_check_result *result)
{
	struct check check = {.store = store, .options = options, .still = ""};
	uint64_t mended = 0;
	cop_err err = store_use(store);

	if (!err)
		err = check_options(options, result);
	if (err)
		return err;
	err = check_all(&check, &mended);
	free(check.used);
	used_release(&check.names);
	buffer_release(&check.mends);
	if (!err && result) {
		result->left = check.findings;
		result->mended = mended;
	}
	return err;
}

/* ---- the simple form ---------------------------------------------------- */

struct teller {
	void (*found)(void *user, const char *text);
	void *user;
};

static void tell(void *user, int32_t place, const char *text)
{
	const struct teller *teller = user;

	(void)place;
	if (teller->found)
		teller->found(teller->user, text);
}

cop_err cop_check(cop_store *store, void (*found)(void *user, const char *text),
		  void *user, uint64_t *findings)
{
	struct teller teller = {found, user};
	struct cop_check_options options = {
	    .size = sizeof options, .found = tell, .user = &teller};
	struct cop_check_result result = {.size = sizeof result};
	cop_err err = cop_check_with(store, &options, &result);

	if (!err)
		*findings = result.left;
	return err;
}
