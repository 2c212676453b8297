/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery: one rule for every death.
 *
 * idea
 *	The intent names the commit that was under way and every entity that
 *	it was to touch.  If LMDB has that commit, the segment was prepared
 *	whole, and only the heads may be unfinished: derive them from LMDB.
 *	If LMDB has not, take the attempt's stamps back, in rows and lists,
 *	and derive the heads from LMDB all the same.  What is neither is not
 *	this segment's history: build it anew.
 *	Free lists and limbo are derived, too: rows and records by a scan.
 *	A record's copy is kept if it is what LMDB has, byte for byte.
 *
 * crash
 *	Every step may be done twice; the intent is cleared last.
 */
#include "build.h"
#include "log.h"
#include "point.h"
#include "probe.h"
#include "trace.h"

#include <errno.h>

struct recovery {
	cop_store *store;
	env_txn *txn;
	const struct disk_state *state;
	uint64_t attempt;
	int happened; /* LMDB has the attempt */
};

/* What LMDB says of an entity; *record is not to be looked at if it is not. */
static cop_err truth_of(const struct recovery *recovery, uint64_t id,
			struct head_state *out, struct bytes *record,
			int *has_vector)
{
	const struct env *env = recovery->store->env;
	struct bytes vector;
	cop_err err = 0;
	int code = env_get(env, recovery->txn, DB_ENTITIES,
			   bytes_of(&id, sizeof id), record);

	*out = (struct head_state){0};
	*has_vector = 0;
	if (code == ENV_ABSENT)
		return 0;
	if (!code)
		err = codec_entity_check(*record);
	if (!code && !err) {
		out->alive = 1;
		out->type = ((const struct disk_entity *)record->data)->type;
		code = env_get(env, recovery->txn, DB_VECTORS,
			       bytes_of(&id, sizeof id), &vector);
		*has_vector = !code;
	}
	if (code && code != ENV_ABSENT)
		return error_system(code, "%s: cannot read",
				    recovery->store->path);
	return err;
}

/* Whether a block has that entity's record, as LMDB has it. */
static int record_is(const struct segment *segment, uint32_t unit, uint64_t id,
		     struct bytes record)
{
	uint32_t size;
	const void *copy = record_peek(segment->header,
				       segment_region(segment, REGION_RECORDS),
				       unit, (uint32_t)id, &size);

	return copy && size == record.size && !memcmp(copy, record.data, size);
}

static void attempt_undo(const struct recovery *recovery, struct head *head,
			 const struct intent_entry *entry)
{
	struct segment *segment = &recovery->store->writable;
	uint32_t stamp =
	    (uint32_t)(recovery->attempt - segment->header->base_commit);
	struct edge_list out = edges_of(segment, head, 1);
	struct edge_list in = edges_of(segment, head, 0);
	struct head_state state = head_peek_locked(head);
	uint64_t born;
	uint64_t died;

	edges_undo(segment, &out, stamp);
	edges_undo(segment, &in, stamp);
	/* what it was before is not known, but no later commit than this */
	if (head_relisted(head, segment->header->base_commit) ==
	    recovery->attempt)
		head_relist(head, stamp - 1);
	point("recover-lists");
	if (bank_life(segment, state.row, &born, &died) &&
	    died == recovery->attempt)
		bank_kill(segment, state.row, COMMIT_NEVER);
	if (bank_life(segment, entry->row, &born, &died) &&
	    (born == recovery->attempt || born == COMMIT_NEVER))
		bank_free(segment, entry->row);
	if (entry->record != state.record) /* no reader was ever led there */
		record_free(segment, entry->record);
}

static cop_err entry_recover(const struct recovery *recovery,
			     const struct intent_entry *entry)
{
	struct segment *segment = &recovery->store->writable;
	struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS),
		    entry->entity);
	struct head_state state;
	struct head_state before;
	struct bytes record;
	int has_vector;
	uint64_t changed;
	cop_err err;

	if (!head)
		return 0; /* its key was not entered yet */
	if (!recovery->happened)
		attempt_undo(recovery, head, entry);
	if (entry->entity >= recovery->state->next_entity)
		head_set_key(head, 0, 0); /* the id was not given after all */
	changed = atomic_load_explicit(&head->changed, memory_order_relaxed);
	if (!(changed & 1))
		return 0; /* its lists alone were touched, or it is done */
	err = truth_of(recovery, entry->entity, &state, &record, &has_vector);
	if (err)
		return err;
	point("recover-head");
	before = head_peek_locked(head);
	if (recovery->happened && entry->row)
		before.row = entry->row;
	if (recovery->happened && entry->record)
		before.record = entry->record;
	state.row = has_vector ? before.row : 0;
	if (state.alive &&
	    record_is(segment, before.record, entry->entity, record))
		state.record = before.record;
	head_finish(head, recovery->state->commit, &state);
	return 0;
}

static cop_err entries_recover(const struct recovery *recovery)
{
	struct segment *segment = &recovery->store->writable;
	const struct region_view *region =
	    segment_region(segment, REGION_INTENT);
	uint64_t count = atomic_load_explicit(&segment->header->intent.count,
					      memory_order_acquire);
	cop_err err = 0;

	for (uint64_t i = 0; !err && i < count; i++) {
		struct intent_entry *entry = region_at(
		    segment->header, region, i * sizeof *entry, sizeof *entry);

		if (!entry)
			break;
		err = entry_recover(recovery, entry);
	}
	return err;
}

static cop_err intent_recover(struct recovery *recovery)
{
	struct segment *segment = &recovery->store->writable;
	struct segment_header *header = segment->header;
	const struct disk_state *state = recovery->state;
	cop_err err = entries_recover(recovery);
	int code;

	if (err)
		return err;
	point("recover-entries");
	limbo_clear_rows(segment);
	code = bank_collect(segment, state->commit);
	if (!code)
		code = records_collect(segment, state->commit);
	if (code)
		return build_error(recovery->store, code);
	point("recover-collected");
	atomic_store_explicit(&header->prepared, state->commit,
			      memory_order_release);
	atomic_store_explicit(&header->chain, state->chain,
			      memory_order_release);
	point("recover-chain");
	atomic_store_explicit(&header->committed, state->commit,
			      memory_order_release);
	point("recover-committed");
	atomic_store_explicit(&header->intent.attempt, 0, memory_order_release);
	return 0;
}

cop_err recover_run(cop_store *store, const struct disk_state *state)
{
	struct segment_header *header = store->writable.header;
	struct recovery recovery = {.store = store, .state = state};
	uint64_t committed =
	    atomic_load_explicit(&header->committed, memory_order_relaxed);
	uint64_t begin_ns = trace_begin(store, COP_TRACE_RECOVER);
	uint64_t took_ns;
	cop_err err;
	int code;

	recovery.attempt =
	    atomic_load_explicit(&header->intent.attempt, memory_order_acquire);
	if (!recovery.attempt)
		return 0;
	recovery.happened = recovery.attempt == state->commit;
	if (state->commit + !recovery.happened != recovery.attempt ||
	    (recovery.attempt != committed + 1 &&
	     !(recovery.attempt == committed && recovery.happened)))
		goto rebuild;
	code = env_read_begin(store->env, &recovery.txn);
	if (code)
		return error_system(code, "%s: cannot read", store->path);
	figures_count(&store->figures, FIGURE_RECOVERED, 1);
	err = intent_recover(&recovery);
	env_read_abort(recovery.txn);
	if (!err)
		log_tell(store, COP_LOG_NOTE,
			 "%s: commit %llu, which somebody died of or gave up, "
			 "was %s",
			 store->path, (unsigned long long)recovery.attempt,
			 recovery.happened ? "finished" : "taken back");
	PROBE2(recovered, recovery.attempt, recovery.happened);
	if (trace_due(store, COP_TRACE_RECOVER, begin_ns, &took_ns))
		trace_tell(store, COP_TRACE_RECOVER, took_ns,
			   "commit %llu of a dead or failed writer %s",
			   (unsigned long long)recovery.attempt,
			   recovery.happened ? "finished" : "taken back");
	if (err != COP_CORRUPT)
		return err;
rebuild:
	err = attach_rebuild(store, NULL);
	return err ? err : attach_writable(store);
}
