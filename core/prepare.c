/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare.h"
#include "build.h"
#include "point.h"

#include <errno.h>
#include <stdlib.h>

struct prepare {
	struct apply *apply;
	struct segment *segment;
	uint32_t stamp;
	uint32_t oldest;     /* as a stamp */
	uint64_t dying;	     /* rows and records that will go to limbo */
	struct buffer adds;  /* struct entry_change */
	struct buffer kills; /* likewise */
};

static struct head *head_of(const struct segment *segment, uint64_t id)
{
	return head_at(segment->header, segment_region(segment, REGION_HEADS),
		       id);
}

static int has_row(const struct segment *segment, const struct change *change)
{
	struct head *head = head_of(segment, change->id);

	return head && head_peek_locked(head).row;
}

/* Whether a new row is due: a new vector, or an old one's new type or tags. */
static int row_due(const struct segment *segment, const struct change *change)
{
	if (!change->alive || change->vector_action == VECTOR_GONE)
		return 0;
	return change->vector_action == VECTOR_SET ||
	       (change->retyped && has_row(segment, change));
}

/* ---- the intent --------------------------------------------------------- */

static int intent_add(struct segment *segment, uint64_t at,
		      const struct change *change)
{
	struct intent_entry *entry =
	    region_at(segment->header, segment_region(segment, REGION_INTENT),
		      at * sizeof *entry, sizeof *entry);

	if (!entry)
		return EINVAL;
	entry->entity = (uint32_t)change->id;
	entry->row = change->row;
	entry->record = change->record;
	/* recovery reads as many as are counted */
	atomic_store_explicit(&segment->header->intent.count, at + 1,
			      memory_order_release);
	return 0;
}

/* A copy of the new record, in a block that no head names yet. */
static int record_prepare(struct prepare *prepare, struct change *change)
{
	struct apply *apply = prepare->apply;
	uint64_t id = change->id;
	struct bytes record;
	int err = env_get(apply->store->env, apply->txn, DB_ENTITIES,
			  bytes_of(&id, sizeof id), &record);

	return err ? EINVAL
		   : build_record(apply->store, prepare->segment, id, record,
				  &change->record);
}

static int intent_begin(struct prepare *prepare)
{
	struct apply *apply = prepare->apply;
	struct segment *segment = prepare->segment;
	struct intent *intent = &segment->header->intent;
	uint32_t count = apply_change_count(apply);
	int err = segment_grow(segment, REGION_INTENT,
			       count * sizeof(struct intent_entry));

	/* what dies, or what recovery takes back: it must not want for room */
	if (!err)
		err = limbo_reserve(segment, 2 * (uint64_t)count);
	if (err)
		return err;
	atomic_store_explicit(&intent->count, 0, memory_order_relaxed);
	/* from here on, recovery has something to do */
	atomic_store_explicit(&intent->attempt, apply->commit,
			      memory_order_release);
	point("intent-set");
	for (uint32_t i = 0; !err && i < count; i++) {
		struct change *change = apply_change(apply, i);

		prepare->dying += 2 * (uint64_t)change->changed;
		if (row_due(segment, change))
			err = bank_take(segment, &change->row);
		if (!err && change->recorded && change->alive)
			err = record_prepare(prepare, change);
		if (!err)
			err = intent_add(segment, i, change);
	}
	return err;
}

/* ---- entities ----------------------------------------------------------- */

static int key_prepare(struct segment *segment, const struct change *change)
{
	uint64_t hash = build_key_hash(change->key, change->key_size);
	int err = filter_add(segment, &segment->header->key_bloom, hash);

	return err ? err
		   : idmap_insert(segment, hash, change->key, change->key_size,
				  (uint32_t)change->id);
}

/* The vector that a new row is made from. */
static const float *row_source(const struct apply *apply,
			       const struct change *change)
{
	uint64_t id = change->id;
	struct bytes value;

	if (change->vector)
		return change->vector;
	if (env_get(apply->store->env, apply->txn, DB_VECTORS,
		    bytes_of(&id, sizeof id), &value))
		return NULL;
	return codec_vector(value, apply->store->config.dim);
}

static int row_prepare(struct prepare *prepare, const struct change *change)
{
	struct bank_entry entry = {.entity = (uint32_t)change->id,
				   .type = change->type,
				   .signature = change->signature,
				   .born = prepare->apply->commit};
	const float *vector = row_source(prepare->apply, change);

	if (!vector)
		return EINVAL;
	return build_row(prepare->segment, change->row, &entry, vector);
}

static int change_prepare(struct prepare *prepare, const struct change *change)
{
	struct segment *segment = prepare->segment;
	uint64_t commit = prepare->apply->commit;
	struct head *head;
	uint32_t row;
	int err = 0;

	if (change->key)
		err = key_prepare(segment, change);
	head = head_of(segment, change->id);
	if (err || !head)
		return err ? err : EINVAL;
	if (change->relisted)
		head_relist(head, prepare->stamp);
	if (!change->changed)
		return 0;
	row = head_peek_locked(head).row;
	head_mark(head, commit);
	point("head-marked");
	if (change->row)
		err = row_prepare(prepare, change);
	if (!err && row &&
	    (change->row || change->vector_action == VECTOR_GONE))
		bank_kill(segment, row, commit);
	point("entity-prepared");
	return err;
}

/* ---- edges -------------------------------------------------------------- */

/* Whether the list of an entity that is gone for good was killed whole. */
static int is_wiped(const struct change *change)
{
	return change->wiped && !change->alive;
}

/* An entry that comes to one of an entity's lists, or goes from it. */
struct entry_change {
	uint32_t owner;
	uint32_t incoming;
	struct edge_name name;
};

static int entry_note(struct buffer *changes, uint64_t owner, uint32_t incoming,
		      uint64_t peer, uint32_t relation)
{
	struct entry_change change = {
	    (uint32_t)owner, incoming, {(uint32_t)peer, relation}};

	return buffer_put(changes, &change, sizeof change);
}

static int edge_add(struct prepare *prepare, const struct edge_change *edge)
{
	struct segment *segment = prepare->segment;
	int err = filter_add(
	    segment, &segment->header->edge_bloom,
	    build_edge_hash(edge->source, edge->relation, edge->target));

	if (!err)
		err = entry_note(&prepare->adds, edge->source, 0, edge->target,
				 edge->relation);
	return err ? err
		   : entry_note(&prepare->adds, edge->target, 1, edge->source,
				edge->relation);
}

static int edge_prepare(struct prepare *prepare, const struct edge_change *edge)
{
	const struct segment *segment = prepare->segment;
	struct head *source = head_of(segment, edge->source);
	struct head *target = head_of(segment, edge->target);
	const struct change *from = apply_find(prepare->apply, edge->source);
	const struct change *to = apply_find(prepare->apply, edge->target);
	int err = 0;

	if (edge->before == edge->now)
		return 0;
	if (!source || !target || !from || !to)
		return EINVAL;
	if (edge->now)
		return edge_add(prepare, edge);
	if (!is_wiped(from))
		err = entry_note(&prepare->kills, edge->source, 0, edge->target,
				 edge->relation);
	if (!err && !is_wiped(to))
		err = entry_note(&prepare->kills, edge->target, 1, edge->source,
				 edge->relation);
	return err;
}

static int entry_compare(const void *a, const void *b)
{
	const struct entry_change *x = a;
	const struct entry_change *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	if (x->incoming != y->incoming)
		return x->incoming < y->incoming ? -1 : 1;
	return edge_name_compare(&x->name, &y->name);
}

/* Changes of one list, in one run of what was sorted. */
struct entry_run {
	struct edge_list list;
	const struct entry_change *changes;
	size_t count;
};

typedef int run_work(struct prepare *prepare, const struct entry_run *run,
		     void *room);

/* List by list: one pass over each, however many of it change. */
static int runs_prepare(struct prepare *prepare, struct buffer *changes,
			size_t room_each, run_work *work)
{
	struct entry_change *all = (void *)changes->data;
	size_t count = changes->size / sizeof *all;
	void *room = count ? malloc(count * room_each) : NULL;
	int err = count && !room ? ENOMEM : 0;
	size_t at = 0;

	if (count)
		qsort(all, count, sizeof *all, entry_compare);
	while (!err && at < count) {
		struct head *head = head_of(prepare->segment, all[at].owner);
		struct entry_run run = {
		    .list = edges_of(prepare->segment, head, !all[at].incoming),
		    .changes = all + at};

		for (; at < count && all[at].owner == run.changes->owner &&
		       all[at].incoming == run.changes->incoming;
		     at++)
			run.count++;
		err = work(prepare, &run, room);
	}
	free(room);
	return err;
}

static int run_kill(struct prepare *prepare, const struct entry_run *run,
		    void *room)
{
	struct edge_kill *wanted = room;
	uint32_t names = 0;

	for (size_t i = 0; i < run->count; i++) {
		const struct edge_name *name = &run->changes[i].name;

		if (!names || edge_name_compare(&wanted[names - 1].name, name))
			wanted[names++] = (struct edge_kill){*name, 0};
		wanted[names - 1].count++;
	}
	point("edges-dying");
	edges_kill_many(prepare->segment, &run->list, wanted, names,
			prepare->stamp);
	return 0;
}

static int run_add(struct prepare *prepare, const struct entry_run *run,
		   void *room)
{
	struct edge_name *names = room;

	for (size_t i = 0; i < run->count; i++)
		names[i] = run->changes[i].name;
	return edges_append_many(prepare->segment, &run->list, names,
				 (uint32_t)run->count, prepare->stamp);
}

static int list_tidy(struct prepare *prepare, const struct edge_list *list)
{
	struct segment *segment = prepare->segment;
	int err;

	if (!edges_mostly_dead(list) && !edges_are_scattered(segment, list))
		return 0;
	err = limbo_reserve(segment,
			    prepare->dying + edges_blocks(segment, list));
	return err ? err
		   : edges_compact(segment, list, prepare->oldest,
				   prepare->apply->commit);
}

static int lists_tidy(struct prepare *prepare)
{
	struct apply *apply = prepare->apply;
	int err = 0;

	for (uint32_t i = 0; !err && i < apply_change_count(apply); i++) {
		struct head *head =
		    head_of(prepare->segment, apply_change(apply, i)->id);
		struct edge_list out = edges_of(prepare->segment, head, 1);
		struct edge_list in = edges_of(prepare->segment, head, 0);

		err = list_tidy(prepare, &out);
		if (!err)
			err = list_tidy(prepare, &in);
	}
	return err;
}

static void lists_wipe(struct prepare *prepare)
{
	struct apply *apply = prepare->apply;

	for (uint32_t i = 0; i < apply_change_count(apply); i++) {
		const struct change *change = apply_change(apply, i);
		struct head *head = head_of(prepare->segment, change->id);
		struct edge_list out = edges_of(prepare->segment, head, 1);
		struct edge_list in = edges_of(prepare->segment, head, 0);

		if (!is_wiped(change))
			continue;
		edges_kill_all(prepare->segment, &out, prepare->stamp);
		edges_kill_all(prepare->segment, &in, prepare->stamp);
	}
}

/* ---- all ---------------------------------------------------------------- */

static int all_prepare(struct prepare *prepare)
{
	struct apply *apply = prepare->apply;
	int err = intent_begin(prepare);

	for (uint32_t i = 0; !err && i < apply_change_count(apply); i++)
		err = change_prepare(prepare, apply_change(apply, i));
	/* tidy first: what dies now cannot be left out yet */
	if (!err)
		err = lists_tidy(prepare);
	if (!err)
		lists_wipe(prepare);
	for (uint32_t i = 0; !err && i < apply_edge_count(apply); i++)
		err = edge_prepare(prepare, apply_edge(apply, i));
	if (!err)
		err = runs_prepare(prepare, &prepare->adds,
				   sizeof(struct edge_name), run_add);
	if (!err)
		err = runs_prepare(prepare, &prepare->kills,
				   sizeof(struct edge_kill), run_kill);
	buffer_release(&prepare->adds);
	buffer_release(&prepare->kills);
	return err;
}

cop_err prepare_run(struct apply *apply, uint64_t oldest)
{
	struct segment_header *header = apply->store->writable.header;
	uint64_t base = header->base_commit;
	struct prepare prepare = {
	    .apply = apply,
	    .segment = &apply->store->writable,
	    .stamp = (uint32_t)(apply->commit - base),
	    .oldest = oldest > base ? (uint32_t)(oldest - base) : 0};
	int err = all_prepare(&prepare);

	if (err)
		return build_error(apply->store, err);
	point("all-prepared");
	atomic_store_explicit(&header->prepared, apply->commit,
			      memory_order_release);
	return 0;
}

static void change_finish(struct segment *segment, const struct change *change,
			  uint64_t commit)
{
	struct head *head = head_of(segment, change->id);
	struct head_state state;
	struct head_state old;

	if (!head || !change->changed)
		return;
	old = head_peek_locked(head);
	state = old;
	state.alive = change->alive;
	state.type = change->alive ? change->type : 0;
	if (change->row)
		state.row = change->row;
	else if (change->vector_action == VECTOR_GONE)
		state.row = 0;
	if (change->recorded || !change->alive)
		state.record = change->alive ? change->record : 0;
	point("head-unfinished");
	head_finish(head, commit, &state);
	if (old.row && old.row != state.row)
		limbo_push(segment, commit, LIMBO_ROW, old.row);
	if (old.record && old.record != state.record) {
		point("record-replaced");
		limbo_push(segment, commit, LIMBO_RECORD, old.record);
	}
}

void prepare_finish(struct apply *apply)
{
	struct segment *segment = &apply->store->writable;
	struct segment_header *header = segment->header;

	for (uint32_t i = 0; i < apply_change_count(apply); i++)
		change_finish(segment, apply_change(apply, i), apply->commit);
	point("heads-finished");
	atomic_store_explicit(&header->chain, apply->state.chain,
			      memory_order_release);
	point("chain-stored");
	atomic_store_explicit(&header->committed, apply->commit,
			      memory_order_release);
	point("commit-finished");
}

void prepare_close(struct apply *apply)
{
	struct intent *intent = &apply->store->writable.header->intent;

	atomic_store_explicit(&intent->attempt, 0, memory_order_release);
}
