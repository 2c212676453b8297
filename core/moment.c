/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moments: reading as of an earlier commit, and when commits were.
 *
 * idea
 *	A read keeps its snapshot of LMDB, which holds all of history, and
 *	takes another moment to read as of: nothing is opened, nothing is
 *	built.  Commits carry wall-clock times that never go back, so a time
 *	names one by bisection.
 */
#include "oplog.h"
#include "past.h"
#include "rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static cop_err cannot_read(const cop_read *read, int code)
{
	return error_system(code, "%s: cannot read", read->store->path);
}

cop_err moment_check(const cop_read *read, uint64_t commit)
{
	if (commit > read->state.commit)
		return error_set(COP_INVALID,
				 "commit %" PRIu64 " is to come; the newest is "
				 "%" PRIu64,
				 commit, read->state.commit);
	if (commit < read->state.oldest)
		return error_set(COP_TOO_OLD,
				 "%s: history is kept from commit %" PRIu64
				 " on, and %" PRIu64 " was asked for",
				 read->store->path, read->state.oldest, commit);
	return 0;
}

cop_err cop_read_as_of(cop_read *read, uint64_t commit)
{
	cop_err err = read_check_idle(read);

	if (!err)
		err = moment_check(read, commit);
	if (!err)
		read->moment = commit;
	return err;
}

/* ---- commits ------------------------------------------------------------ */

/* Of a commit that is kept, or of the empty store. */
static cop_err info_get(const cop_read *read, uint64_t commit,
			struct cop_commit_info *out)
{
	struct oplog_record op = {0};
	int code;

	op.head.time_ns = read->store->config.created_ns;
	code = commit ? oplog_get(read->env, read->txn, commit, &op) : 0;
	if (code == ENV_ABSENT)
		return error_set(COP_TOO_OLD,
				 "%s: the record of commit %" PRIu64
				 " is not kept any more",
				 read->store->path, commit);
	if (code)
		return cannot_read(read, code);
	*out = (struct cop_commit_info){.size = sizeof *out,
					.commit = commit,
					.time_ns = (int64_t)op.head.time_ns,
					.entities = op.head.entities,
					.edges = op.head.edges,
					.vectors = op.head.vectors,
					.touched = op.head.touched};
	return 0;
}

cop_err cop_commit_info(cop_read *read, uint64_t commit,
			struct cop_commit_info *out)
{
	cop_err err = read_check(read);

	if (!err && (!out || out->size != sizeof *out))
		err = error_set(COP_INVALID,
				"the commit's figures are of another size; set "
				".size to its sizeof");
	if (!err)
		err = moment_check(read, commit);
	return err ? err : info_get(read, commit, out);
}

cop_err cop_touched(cop_read *read, uint64_t commit,
		    struct cop_commit_info *info,
		    int32_t (*visit)(void *user, cop_read *read, uint64_t id),
		    void *user)
{
	struct cop_commit_info figures;
	struct oplog_record op;
	cop_err err = read_check(read);

	if (!err && (!commit || commit > read->state.commit ||
		     (info && info->size != sizeof *info)))
		err = error_set(COP_INVALID,
				"commit %" PRIu64
				" is not there, or its figures are of another "
				"size; the newest is %" PRIu64,
				commit, read->state.commit);
	if (!err)
		err = info_get(read, commit, &figures);
	if (err)
		return err;
	if (oplog_get(read->env, read->txn, commit, &op))
		return cannot_read(read, EBADMSG);
	if (info)
		*info = figures;
	for (uint64_t i = 0; i < op.head.touched && !err; i++) {
		uint32_t id;

		memcpy(&id, op.ids + i * sizeof id, sizeof id);
		error_clear();
		err = error_answer(visit(user, read, id));
	}
	return err;
}

cop_err cop_commit_at(cop_read *read, int64_t time_ns, uint64_t *commit)
{
	uint64_t low = read->state.oldest;
	uint64_t high = read->state.commit;
	struct cop_commit_info info;
	cop_err err = read_check(read);

	if (!err)
		err = info_get(read, low, &info);
	if (err)
		return err;
	if (info.time_ns > time_ns && !low)
		return error_set(COP_TOO_OLD,
				 "%s: the store was made later than that",
				 read->store->path);
	if (info.time_ns > time_ns)
		return error_set(COP_TOO_OLD,
				 "%s: history is kept from commit %" PRIu64
				 " on, which is later than that time",
				 read->store->path, low);
	while (low < high) { /* low is at that time or before */
		uint64_t middle = low + (high - low + 1) / 2;

		err = info_get(read, middle, &info);
		if (err)
			return err;
		if (info.time_ns <= time_ns)
			low = middle;
		else
			high = middle - 1;
	}
	*commit = low;
	return 0;
}

/* ---- since then --------------------------------------------------------- */

cop_err moment_touched(cop_read *read)
{
	struct touched *touched = &read->touched;
	uint64_t end = read->state.next_entity;
	int code;

	if (touched->bits && touched->after == read->moment &&
	    touched->to == read->state.commit)
		return 0;
	free(touched->bits);
	*touched = (struct touched){
	    .end = end, .after = read->moment, .to = read->state.commit};
	touched->bits = calloc(end / 64 + 1, sizeof *touched->bits);
	if (!touched->bits)
		return error_system(ENOMEM, "no memory to read the past");
	code = oplog_touched(read->env, read->txn, touched->after + 1,
			     touched->to, touched->bits, end);
	if (!code)
		return 0;
	free(touched->bits);
	touched->bits = NULL;
	return cannot_read(read, code);
}

/* ---- retention ---------------------------------------------------------- */

static cop_err
rule_tell(cop_read *read, const struct disk_retention *rule,
	  int32_t (*visit)(void *user, cop_read *read,
			   const struct cop_retention *retention),
	  void *user)
{
	struct cop_retention view = rules_view(rule);
	char type[COP_NAME_BYTES + 1] = "";
	struct bytes text = bytes_of(NULL, 0);
	cop_err err =
	    rule->type ? dict_text(read->env, read->txn, rule->type, &text) : 0;

	if (err)
		return err;
	if (text.data && text.size < sizeof type)
		memcpy(type, text.data, text.size);
	view.type = rule->type ? type : NULL;
	error_clear();
	return error_answer(visit(user, read, &view));
}

cop_err cop_retentions(cop_read *read,
		       int32_t (*visit)(void *user, cop_read *read,
					const struct cop_retention *retention),
		       void *user)
{
	struct retain_rules rules = {0};
	cop_err err = read_check(read);

	if (!err)
		err = rules_read(read->env, read->txn, &rules);
	for (uint32_t i = 0; !err && i < rules.count; i++)
		err = rule_tell(read, &rules.list[i], visit, user);
	rules_release(&rules);
	return err;
}
