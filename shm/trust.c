/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include <errno.h>
#include <stdlib.h>

enum { KEY_MOST = 480, ENTRIES_A_BUCKET = 8 };

static _Atomic uint64_t *bits_make(uint64_t count)
{
	return calloc(count / 64 + 1, sizeof(uint64_t));
}

/* Relaxed, here and below: threads meet when they are joined. */
static int bit_set(_Atomic uint64_t *bits, uint64_t index)
{
	uint64_t bit = UINT64_C(1) << (index & 63);

	return !(atomic_fetch_or_explicit(&bits[index / 64], bit,
					  memory_order_relaxed) &
		 bit);
}

static int bit_get(const _Atomic uint64_t *bits, uint64_t index)
{
	return (int)(atomic_load_explicit(&bits[index / 64],
					  memory_order_relaxed) >>
			 (index & 63) &
		     1);
}

static uint64_t unit_count(const struct trust *trust)
{
	return trust->segment->header->adjacency.unit_count;
}

int trust_init(struct trust *trust)
{
	trust->units = bits_make(unit_count(trust));
	trust->rows = bits_make(bank_count(trust->segment));
	atomic_init(&trust->entries, 0);
	atomic_init(&trust->records, 0);
	return trust->units && trust->rows ? 0 : ENOMEM;
}

void trust_release(struct trust *trust)
{
	free((void *)trust->units);
	free((void *)trust->rows);
	trust->units = NULL;
	trust->rows = NULL;
}

/* ---- the id map --------------------------------------------------------- */

static int idmap_part(struct trust *trust, uint32_t part, uint32_t parts)
{
	const struct segment *segment = trust->segment;
	uint64_t table = atomic_load_explicit(&segment->header->idmap.table,
					      memory_order_relaxed);
	uint64_t heads = atomic_load_explicit(&segment->header->heads.count,
					      memory_order_relaxed);
	uint64_t words = (UINT64_C(1) << (table & 0x1f)) * ENTRIES_A_BUCKET;
	uint64_t from = words / parts * part;
	uint64_t to = part + 1 < parts ? words / parts * (part + 1) : words;
	uint64_t count = 0;
	const _Atomic uint64_t *entries;

	if (!table)
		return trust->next_entity > 1 ? EBADMSG : 0;
	entries =
	    region_at(segment->header, segment_region(segment, REGION_IDMAP),
		      (table >> 8) * 64, words * sizeof *entries);
	if (!entries)
		return EBADMSG;
	for (uint64_t i = from; i < to; i++) {
		uint64_t entry =
		    atomic_load_explicit(&entries[i], memory_order_relaxed);
		uint32_t id = (uint32_t)entry;

		if (!entry)
			continue;
		if (!id || id >= heads)
			return EBADMSG;
		count++;
	}
	atomic_fetch_add_explicit(&trust->entries, count, memory_order_relaxed);
	return 0;
}

/* ---- lists -------------------------------------------------------------- */

struct tally {
	uint64_t live;
	uint64_t dead;
};

static int entry_check(const struct trust *trust,
		       const struct edge_entry *entry, struct tally *tally)
{
	uint32_t now =
	    (uint32_t)(trust->commit - trust->segment->header->base_commit);
	uint32_t born =
	    atomic_load_explicit(&entry->born, memory_order_relaxed);
	uint32_t died =
	    atomic_load_explicit(&entry->died, memory_order_relaxed);

	if ((born != STAMP_NEVER && born > now) ||
	    (died != STAMP_NEVER && died > now))
		return EBADMSG;
	if (born == STAMP_NEVER || died != STAMP_NEVER) {
		tally->dead++;
		return 0;
	}
	tally->live++;
	return !entry->peer || entry->peer >= trust->next_entity ||
		       !entry->relation || entry->relation >= trust->next_name
		   ? EBADMSG
		   : 0;
}

/* One bit a unit, so that a unit in two blocks, or a ring, is seen. */
static int block_claim(struct trust *trust, const struct edge_block *block,
		       uint32_t unit)
{
	uint64_t units = UINT64_C(1) << block->class_index;

	for (uint64_t i = 0; i < units; i++)
		if (!bit_set(trust->units, unit + i))
			return EBADMSG;
	return 0;
}

static int list_check(struct trust *trust, const struct edge_list *list)
{
	const struct segment *segment = trust->segment;
	const unsigned char *edges =
	    (const unsigned char *)segment->header +
	    segment_region(segment, REGION_EDGES)->offset;
	uint32_t unit = atomic_load_explicit(list->first, memory_order_relaxed);
	struct tally tally = {0, 0};

	while (unit) {
		uint32_t capacity;
		const struct edge_block *block = edge_block_in(
		    edges, unit_count(trust) * EDGE_UNIT, unit, &capacity);
		uint32_t count;

		if (!block || block_claim(trust, block, unit))
			return EBADMSG;
		count =
		    atomic_load_explicit(&block->count, memory_order_relaxed);
		if (count > capacity)
			return EBADMSG;
		for (uint32_t i = 0; i < count; i++)
			if (entry_check(trust, &block->entries[i], &tally))
				return EBADMSG;
		unit = atomic_load_explicit(&block->next, memory_order_relaxed);
	}
	if (tally.live != *list->live || tally.dead > UINT32_MAX)
		return EBADMSG;
	*list->dead = (uint32_t)tally.dead;
	if (*list->kept > *list->dead)
		*list->kept = *list->dead;
	return 0;
}

/* ---- heads -------------------------------------------------------------- */

static int key_check(const struct trust *trust, const struct head *head,
		     uint64_t id)
{
	uint64_t key = atomic_load_explicit(&head->key, memory_order_relaxed);
	uint64_t size = key & 0xffff;
	uint64_t end = trust->segment->header->heads.text_bytes;

	if (id >= trust->next_entity)
		return key ? EBADMSG : 0;
	return !size || size > KEY_MOST || key >> 16 > end ||
		       size > end - (key >> 16)
		   ? EBADMSG
		   : 0;
}

static int row_check(struct trust *trust, uint64_t id,
		     const struct head_state *state)
{
	const struct segment *segment = trust->segment;
	const struct bank_line *line;
	struct bank_seen seen;

	if (!state->row)
		return 0;
	if (!state->alive || state->row >= bank_count(segment))
		return EBADMSG;
	line = bank_line_at(segment, state->row);
	if (!line || !bank_row_at(segment, state->row))
		return EBADMSG;
	seen = bank_peek(line);
	if (bank_seq(line) & 1 || seen.entity != id ||
	    seen.type != state->type || seen.died != COMMIT_NEVER ||
	    seen.born > trust->commit)
		return EBADMSG;
	return bit_set(trust->rows, state->row) ? 0 : EBADMSG;
}

/* That it begins where a block does is seen when all of them are counted. */
static int record_check(struct trust *trust, uint64_t id,
			const struct head_state *state)
{
	const struct segment *segment = trust->segment;
	uint32_t size = 0;

	if (!state->record)
		return 0;
	if (!state->alive ||
	    !record_peek(segment->header,
			 segment_region(segment, REGION_RECORDS), state->record,
			 (uint32_t)id, &size) ||
	    !size)
		return EBADMSG;
	atomic_fetch_add_explicit(&trust->records, 1, memory_order_relaxed);
	return 0;
}

/* An attempt that was taken back may have left a stamp to come. */
static void relisted_clamp(const struct trust *trust, struct head *head)
{
	uint64_t base = trust->segment->header->base_commit;

	if (head_relisted(head, base) > trust->commit)
		head_relist(head, (uint32_t)(trust->commit - base));
}

static int head_check(struct trust *trust, struct head *head, uint64_t id)
{
	struct head_state state = head_peek_locked(head);
	uint64_t changed =
	    atomic_load_explicit(&head->changed, memory_order_relaxed);
	struct edge_list out = edges_of(trust->segment, head, 1);
	struct edge_list in = edges_of(trust->segment, head, 0);

	if (changed & 1 || changed >> 1 > trust->commit || state.alive > 1 ||
	    state.type >= trust->next_name ||
	    (id >= trust->next_entity && state.alive))
		return EBADMSG;
	if (key_check(trust, head, id) || row_check(trust, id, &state) ||
	    record_check(trust, id, &state))
		return EBADMSG;
	relisted_clamp(trust, head);
	return list_check(trust, &out) || list_check(trust, &in) ? EBADMSG : 0;
}

static int heads_part(struct trust *trust, uint32_t part, uint32_t parts)
{
	struct segment *segment = trust->segment;
	uint64_t count = atomic_load_explicit(&segment->header->heads.count,
					      memory_order_relaxed);
	const struct region_view *lists = segment_region(segment, REGION_LISTS);
	uint64_t from = count / parts * part;
	uint64_t to = part + 1 < parts ? count / parts * (part + 1) : count;

	if (count < trust->next_entity && trust->next_entity > 1)
		return EBADMSG;
	for (uint64_t id = from ? from : 1; id < to; id++) {
		struct head *head = head_at(
		    segment->header, segment_region(segment, REGION_HEADS), id);

		if (!head || !head_lists_at(segment->header, lists, id) ||
		    head_check(trust, head, id))
			return EBADMSG;
	}
	return 0;
}

int trust_part(struct trust *trust, uint32_t part, uint32_t parts)
{
	int err = idmap_part(trust, part, parts);

	return err ? err : heads_part(trust, part, parts);
}

/* ---- what is free ------------------------------------------------------- */

static void rows_free(struct trust *trust)
{
	struct segment *segment = trust->segment;
	uint32_t count = bank_count(segment);

	for (uint32_t row = count - 1; row; row--)
		if (!bit_get(trust->rows, row))
			hnsw_drop(segment, row);
}

/* The class of a block that is to be free: its own, if that makes sense. */
static uint32_t class_in(const struct edge_block *block, uint64_t units)
{
	uint32_t class_index = block->class_index;

	if (class_index >= EDGE_CLASSES)
		class_index = EDGE_CLASSES - 1;
	while (UINT64_C(1) << class_index > units)
		class_index--;
	return class_index;
}

/* Blocks lie one behind the other, so a run of free units is whole blocks. */
static void units_free(struct trust *trust, uint64_t from, uint64_t to)
{
	struct segment *segment = trust->segment;
	const struct region_view *edges = segment_region(segment, REGION_EDGES);

	while (from < to) {
		struct edge_block *block =
		    region_at(segment->header, edges, from * EDGE_UNIT,
			      (to - from) * EDGE_UNIT);

		if (!block)
			return;
		block->class_index = class_in(block, to - from);
		edges_free(segment, (uint32_t)from);
		from += UINT64_C(1) << block->class_index;
	}
}

static void blocks_free(struct trust *trust)
{
	uint64_t count = unit_count(trust);
	uint64_t from = 1;

	for (uint64_t unit = 1; unit <= count; unit++) {
		if (unit < count && !bit_get(trust->units, unit))
			continue;
		units_free(trust, from, unit);
		from = unit + 1;
	}
}

/* What no head names is free at once, as nobody reads yet. */
static int records_free(struct trust *trust)
{
	struct segment *segment = trust->segment;
	int err = records_collect(segment, trust->commit);

	if (err)
		return err == EINVAL ? EBADMSG : err;
	limbo_drain(segment, trust->commit, limbo_count(segment));
	return atomic_load_explicit(&segment->header->records.used,
				    memory_order_relaxed) ==
		       atomic_load_explicit(&trust->records,
					    memory_order_relaxed)
		   ? 0
		   : EBADMSG;
}

int trust_finish(struct trust *trust)
{
	struct idmap *idmap = &trust->segment->header->idmap;
	uint64_t table =
	    atomic_load_explicit(&idmap->table, memory_order_relaxed);
	uint64_t words = UINT64_C(8) << (table & 0x1f);
	int err;

	idmap->count =
	    atomic_load_explicit(&trust->entries, memory_order_relaxed);
	if (table && idmap->count > words / 4 * 3)
		return EBADMSG;
	rows_free(trust);
	blocks_free(trust);
	err = hnsw_derive(trust->segment);
	return err ? err : records_free(trust);
}
