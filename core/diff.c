/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two moments.
 *
 * idea
 *	Whatever differs was touched by a commit between the two, and these
 *	list whom they touched.  Each of them is read as of both moments and
 *	compared: its record, its vector, and its outgoing edges, of which both
 *	lists are in the order of their keys.  What was changed and changed
 *	back is no difference.
 *
 * cost
 *	A look at every outgoing edge of whoever was touched.
 */
#include "oplog.h"
#include "past.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct diff {
	cop_read *read;
	struct past before;
	struct past after;
	cop_difference_visit *visit;
	void *user;
};

static cop_err cannot_read(const struct diff *diff, int code)
{
	return error_system(code, "%s: cannot read", diff->read->store->path);
}

/* Whether two records say the same, whichever commits wrote them. */
static cop_err records_same(int32_t what, struct bytes a, struct bytes b,
			    int *same)
{
	cop_err err;

	if (what != COP_ENTITY) {
		*same = a.size == b.size && a.size >= sizeof(uint64_t) &&
			!memcmp((const char *)a.data + sizeof(uint64_t),
				(const char *)b.data + sizeof(uint64_t),
				a.size - sizeof(uint64_t));
		return 0;
	}
	err = codec_entity_check(a);
	if (!err)
		err = codec_entity_check(b);
	if (err)
		return err;
	*same = codec_entity_same(a, b);
	return *same < 0 ? error_system(ENOMEM, "no memory for a comparison")
			 : 0;
}

/* One thing, as it was and as it is; data NULL: it was, or is, not. */
static cop_err records_tell(const struct diff *diff,
			    struct cop_difference *difference,
			    struct bytes before, struct bytes after)
{
	int same = !before.data && !after.data;
	cop_err err = 0;

	if (before.data && after.data)
		err = records_same(difference->what, before, after, &same);
	if (err || same)
		return err;
	difference->how = !before.data	? COP_ADDED
			  : !after.data ? COP_REMOVED
					: COP_CHANGED;
	error_clear();
	return error_answer(diff->visit(diff->user, diff->read, difference));
}

static cop_err record_compare(const struct diff *diff, enum env_db db,
			      int32_t what, uint64_t id)
{
	struct cop_difference difference = {.what = what, .id = id};
	struct bytes key = bytes_of(&id, sizeof id);
	struct bytes before;
	struct bytes after;
	int code = past_get(&diff->before, db, key, &before);

	if (!code)
		code = past_get(&diff->after, db, key, &after);
	return code ? cannot_read(diff, code)
		    : records_tell(diff, &difference, before, after);
}

/* ---- edges -------------------------------------------------------------- */

/* One of the two lists, at an entry; key.data NULL: at its end. */
struct side {
	struct past_range range;
	struct bytes key;
	struct bytes value;
};

static int side_next(struct side *side)
{
	int code = past_next(&side->range, &side->key, &side->value);

	if (code == ENV_ABSENT)
		side->key = bytes_of(NULL, 0);
	else if (!code && side->key.size != sizeof(struct disk_edge_key))
		code = EBADMSG;
	return code == ENV_ABSENT ? 0 : code;
}

static int side_open(struct side *side, const struct past *past, uint64_t id)
{
	struct disk_edge_key first = format_edge_first(id);
	int code =
	    past_open(&side->range, past, DB_EDGES,
		      bytes_of(&first, sizeof first), sizeof first.source);

	if (code)
		return code;
	code = side_next(side);
	if (code)
		past_close(&side->range);
	return code;
}

static int sides_order(const struct side *a, const struct side *b)
{
	if (!a->key.data || !b->key.data)
		return a->key.data ? -1 : 1;
	return memcmp(a->key.data, b->key.data, sizeof(struct disk_edge_key));
}

static cop_err edge_tell(const struct diff *diff, struct bytes key,
			 struct bytes before, struct bytes after)
{
	struct disk_edge_key parts;
	struct cop_difference difference = {.what = COP_EDGE};

	memcpy(&parts, key.data, sizeof parts);
	difference.id = be64toh(parts.source);
	difference.relation = be32toh(parts.relation);
	difference.target = format_join(parts.target);
	difference.discriminator = be32toh(parts.discriminator);
	return records_tell(diff, &difference, before, after);
}

static cop_err sides_merge(const struct diff *diff, struct side *before,
			   struct side *after)
{
	const struct bytes none = bytes_of(NULL, 0);
	cop_err err = 0;
	int code = 0;

	while (!err && !code && (before->key.data || after->key.data)) {
		int order = sides_order(before, after);

		err = edge_tell(diff, order <= 0 ? before->key : after->key,
				order <= 0 ? before->value : none,
				order >= 0 ? after->value : none);
		if (order <= 0)
			code = side_next(before);
		if (order >= 0 && !code)
			code = side_next(after);
	}
	return code ? cannot_read(diff, code) : err;
}

static cop_err edges_compare(const struct diff *diff, uint64_t id)
{
	struct side before;
	struct side after;
	cop_err err;
	int code = side_open(&before, &diff->before, id);

	if (code)
		return cannot_read(diff, code);
	code = side_open(&after, &diff->after, id);
	err =
	    code ? cannot_read(diff, code) : sides_merge(diff, &before, &after);
	if (!code)
		past_close(&after.range);
	past_close(&before.range);
	return err;
}

/* ---- all ---------------------------------------------------------------- */

static cop_err id_compare(const struct diff *diff, uint64_t id)
{
	cop_err err = record_compare(diff, DB_ENTITIES, COP_ENTITY, id);

	if (!err)
		err = record_compare(diff, DB_VECTORS, COP_VECTOR, id);
	return err ? err : edges_compare(diff, id);
}

static cop_err touched_compare(const struct diff *diff, uint64_t *bits,
			       uint64_t end)
{
	cop_err err = 0;
	int code = oplog_touched(diff->before.env, diff->before.txn,
				 diff->before.moment + 1, diff->after.moment,
				 bits, end);

	if (code)
		return cannot_read(diff, code);
	for (uint64_t id = 1; !err && id < end; id++)
		if (bits[id / 64] >> (id % 64) & 1)
			err = id_compare(diff, id);
	return err;
}

/* Those of one commit, which lists them in order. */
static cop_err commit_compare(const struct diff *diff, uint64_t commit)
{
	struct oplog_record record;
	cop_err err = 0;
	int code =
	    oplog_get(diff->before.env, diff->before.txn, commit, &record);

	if (code)
		return cannot_read(diff, code);
	for (uint64_t i = 0; !err && i < record.head.touched; i++) {
		uint32_t id;

		memcpy(&id, record.ids + i * sizeof id, sizeof id);
		err = id_compare(diff, id);
	}
	return err;
}

static cop_err several_compare(const struct diff *diff)
{
	uint64_t end = diff->read->state.next_entity;
	uint64_t *bits = calloc(end / 64 + 1, sizeof *bits);
	cop_err err;

	if (!bits)
		return error_system(ENOMEM, "no memory for a comparison");
	err = touched_compare(diff, bits, end);
	free(bits);
	return err;
}

cop_err cop_diff(cop_read *read, uint64_t from, uint64_t to,
		 cop_difference_visit *visit, void *user)
{
	struct diff diff = {.read = read, .visit = visit, .user = user};
	cop_err err = read_check(read);

	if (!err && from > to)
		err = error_set(COP_INVALID,
				"from commit %" PRIu64 " to %" PRIu64
				"; give the earlier one first",
				from, to);
	if (!err)
		err = moment_check(read, from);
	if (!err)
		err = moment_check(read, to);
	if (!err && from < read->state.whole)
		err = error_set(COP_TOO_OLD,
				"%s: of some entities history is kept from "
				"commit %" PRIu64 " on only",
				read->store->path, read->state.whole);
	if (err)
		return err;
	diff.before = past_of(read);
	diff.after = diff.before;
	diff.before.moment = from;
	diff.after.moment = to;
	return to - from == 1 ? commit_compare(&diff, to)
			      : several_compare(&diff);
}
