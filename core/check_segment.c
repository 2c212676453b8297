/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment against LMDB, to the last row.
 *
 * idea
 *	With W held nothing changes, so the two must agree.  A pass goes
 *	through the ids and asks of each what the segment says; others go
 *	through the segment's own structures.
 */
#include "build.h"
#include "check.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the segment against LMDB ------------------------------------------- */

static struct head *head_of(const struct check *check, uint64_t id)
{
	return head_at(check->segment->header,
		       segment_region(check->segment, REGION_HEADS), id);
}

static void key_in_segment(struct check *check, uint64_t id,
			   const struct disk_entity *record)
{
	const struct segment *segment = check->segment;
	uint64_t hash = build_key_hash(record->key, record->key_size);

	if (!filter_test(segment, &segment->header->key_bloom, hash))
		check_finding(check,
			      "the bloom filter denies the key of entity %llu",
			      (unsigned long long)id);
	if (idmap_find(segment, hash, record->key, record->key_size) != id)
		check_finding(check, "the id map does not find entity %llu",
			      (unsigned long long)id);
}

/* Compares a row with what it would be, made anew. */
static int row_differs(const struct check *check, uint32_t row,
		       const float *vector)
{
	const struct bank_shape *shape = &check->segment->bank;
	struct bank_line *line = bank_line_at(check->segment, row);
	const void *full = bank_row_at(check->segment, row);
	_Alignas(64) unsigned char codes[CODE_DIM_MAX * 4];
	_Alignas(64) unsigned char again[CODE_DIM_MAX * 4];
	_Alignas(64) unsigned char halves[CODE_DIM_MAX];
	const void *nibbles = bank_nibbles_at(check->segment, row);
	struct row_code code;

	if (!line || !full || (shape->nibble_bytes && !nibbles))
		return 1;
	bank_encode(shape, vector, &code, codes, again);
	if (nibbles) {
		code_nibbles(&code, codes, shape->coded, halves);
		if (memcmp(halves, nibbles, shape->nibble_bytes) != 0)
			return 1;
	}
	return memcmp(&code, &line->code, sizeof code) != 0 ||
	       memcmp(codes, line->codes, shape->line_bytes - sizeof *line) !=
		   0 ||
	       memcmp(again, full, shape->row_bytes) != 0;
}

static void row_in_segment(struct check *check, uint64_t id, uint32_t row,
			   const struct disk_entity *record)
{
	const float *vector;
	struct bytes value;
	struct bank_line *line;
	struct bank_seen seen;
	int has = check_there(check, DB_VECTORS, &id, sizeof id, &value);

	if (has != (row != 0))
		check_finding(check, "entity %llu has %s vector, and row %u",
			      (unsigned long long)id, has ? "a" : "no", row);
	if (!has || !row)
		return;
	line = bank_line_at(check->segment, row);
	if (!line) {
		check_finding(check, "entity %llu has the row %u, out of range",
			      (unsigned long long)id, row);
		return;
	}
	seen = bank_peek(line);
	if (bank_seq(line) & 1 || seen.entity != id ||
	    seen.type != record->type || seen.died != COMMIT_NEVER ||
	    seen.born > check->state.commit ||
	    seen.signature !=
		codec_signature(codec_tags(record), record->tag_count))
		check_finding(check, "row %u does not describe entity %llu",
			      row, (unsigned long long)id);
	vector = codec_vector(value, check->store->config.dim);
	if (!vector || row_differs(check, row, vector))
		check_finding(check, "row %u is not the vector of entity %llu",
			      row, (unsigned long long)id);
}

/* A small record has a copy in the segment, and that is what LMDB has. */
static void record_in_segment(struct check *check, uint64_t id, uint32_t unit,
			      struct bytes record)
{
	const struct segment *segment = check->segment;
	uint32_t size = 0;
	const void *copy;

	if ((record.size <= build_record_limit(check->store)) != (unit != 0))
		check_finding(check, "entity %llu has %zu bytes, and record %u",
			      (unsigned long long)id, record.size, unit);
	if (!unit)
		return;
	check->records++;
	copy = record_peek(segment->header,
			   segment_region(segment, REGION_RECORDS), unit,
			   (uint32_t)id, &size);
	if (!copy || size != record.size || memcmp(copy, record.data, size))
		check_finding(check, "record %u is not that of entity %llu",
			      unit, (unsigned long long)id);
}

static int pairs_from_list(const struct check *check,
			   const _Atomic uint32_t *first, struct buffer *pairs)
{
	const struct segment *segment = check->segment;
	struct edge_cursor cursor;
	struct edge_name entry;
	int err = 0;

	edge_cursor_init(
	    &cursor, segment->header, segment_region(segment, REGION_EDGES),
	    first,
	    (uint32_t)(check->state.commit - segment->header->base_commit));
	while (!err && edge_cursor_next(&cursor, &entry)) {
		struct edge_name pair = {entry.peer, entry.relation};

		err = buffer_put(pairs, &pair, sizeof pair);
	}
	return err;
}

static int pairs_from_index(const struct check *check, enum env_db db,
			    uint64_t id, struct buffer *pairs)
{
	struct disk_edge_key first = format_edge_first(id);
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return err;
	err = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!err && key.size == sizeof first &&
	       !memcmp(key.data, &first, 8)) {
		struct disk_edge_key parts;
		struct edge_name pair;

		memcpy(&parts, key.data, sizeof parts);
		pair.peer = (uint32_t)format_join(parts.target);
		pair.relation = be32toh(parts.relation);
		err = buffer_put(pairs, &pair, sizeof pair);
		if (!err)
			err = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : err;
}

static void pairs_sort(struct buffer *pairs)
{
	if (pairs->size)
		qsort(pairs->data, pairs->size / sizeof(struct edge_name),
		      sizeof(struct edge_name), edge_name_compare);
}

static void list_in_segment(struct check *check, uint64_t id, enum env_db db,
			    const struct edge_list *list)
{
	struct buffer mine = {0};
	struct buffer truth = {0};
	int err = pairs_from_list(check, list->first, &mine);

	if (!err)
		err = pairs_from_index(check, db, id, &truth);
	if (err)
		check->failed = err;
	pairs_sort(&mine);
	pairs_sort(&truth);
	if (!err &&
	    (mine.size != truth.size ||
	     (mine.size && memcmp(mine.data, truth.data, mine.size) != 0) ||
	     *list->live != mine.size / sizeof(struct edge_name)))
		check_finding(check,
			      "entity %llu has %zu %s edges in the segment, "
			      "counted as %u, and %zu in the data file",
			      (unsigned long long)id,
			      mine.size / sizeof(struct edge_name),
			      db == DB_EDGES ? "outgoing" : "incoming",
			      *list->live,
			      truth.size / sizeof(struct edge_name));
	for (size_t at = 0; db == DB_EDGES && at < truth.size;
	     at += sizeof(struct edge_name)) {
		struct edge_name pair;

		memcpy(&pair, truth.data + at, sizeof pair);
		if (!filter_test(check->segment,
				 &check->segment->header->edge_bloom,
				 build_edge_hash(id, pair.relation, pair.peer)))
			check_finding(check,
				      "the bloom filter denies an edge of "
				      "entity %llu",
				      (unsigned long long)id);
	}
	buffer_release(&mine);
	buffer_release(&truth);
}

static void id_in_segment(struct check *check, uint64_t id)
{
	struct head *head = head_of(check, id);
	struct head_state state;
	struct bytes value;
	struct edge_list out;
	struct edge_list in;
	int alive = check_there(check, DB_ENTITIES, &id, sizeof id, &value);
	const struct disk_entity *record = value.data;

	if (alive && codec_entity_check(value))
		return;
	if (!head) {
		check_finding(check, "entity %llu has no head",
			      (unsigned long long)id);
		return;
	}
	if (!head_read(head, check->state.commit, &state)) {
		check_finding(check, "the head of entity %llu is pending",
			      (unsigned long long)id);
		return;
	}
	if (state.alive != (uint32_t)alive ||
	    state.type != (alive ? record->type : 0))
		check_finding(check,
			      "the head of entity %llu says alive %u, type %u",
			      (unsigned long long)id, state.alive, state.type);
	if (alive) {
		key_in_segment(check, id, record);
		row_in_segment(check, id, state.row, record);
		record_in_segment(check, id, state.record, value);
	} else if (state.record) {
		check_finding(check,
			      "entity %llu is gone, its record %u is not",
			      (unsigned long long)id, state.record);
	}
	out = edges_of(check->segment, head, 1);
	in = edges_of(check->segment, head, 0);
	list_in_segment(check, id, DB_EDGES, &out);
	list_in_segment(check, id, DB_EDGES_IN, &in);
}

/* Rows that are neither in the graph nor wait for it are never found. */
static void rows_left_out(struct check *check)
{
	const struct segment *segment = check->segment;
	uint32_t count = bank_count(segment);
	uint32_t waiting = hnsw_tail_count(segment);
	uint64_t *seen = calloc(count / 64 + 1, sizeof *seen);
	uint64_t left_out = 0;

	/* more than there are, perhaps: one that came again waits twice */
	for (uint32_t i = 0; seen && i < waiting; i++) {
		uint32_t row = hnsw_tail_at(segment, i);

		if (!row) {
			check_finding(check,
				      "%u rows are said to wait to be linked, "
				      "and %u do",
				      waiting, i);
			break;
		}
		if (row < count)
			seen[row / 64] |= UINT64_C(1) << (row & 63);
	}
	for (uint32_t row = 1; seen && row < count; row++) {
		uint64_t born = COMMIT_NEVER;
		uint64_t died;

		left_out += bank_life(segment, row, &born, &died) &&
			    born != COMMIT_NEVER &&
			    !hnsw_is_linked(segment, row) &&
			    !(seen[row / 64] >> (row & 63) & 1);
	}
	free(seen);
	if (left_out)
		check_finding(
		    check,
		    "%llu rows are not in the vector graph, nor do they "
		    "wait to be",
		    (unsigned long long)left_out);
}

static void tree_in_segment(struct check *check)
{
	struct kd_figures figures;

	if (kd_validate(check->segment, &figures) == EBADMSG)
		check_finding(
		    check,
		    "the tree of the vectors has %llu rows of %llu, or "
		    "boxes that do not hold them",
		    (unsigned long long)figures.rows,
		    (unsigned long long)hnsw_linked(check->segment));
}

static void graph_in_segment(struct check *check)
{
	struct hnsw_figures figures;

	rows_left_out(check);
	if (hnsw_validate(check->segment, &figures) == EBADMSG)
		check_finding(
		    check,
		    "the vector graph has %llu nodes of %llu, %llu links "
		    "that lead nowhere and %llu that lead one way, or "
		    "its entry is not one of the tallest",
		    (unsigned long long)figures.linked,
		    (unsigned long long)hnsw_linked(check->segment),
		    (unsigned long long)figures.broken,
		    (unsigned long long)figures.one_way);
}

static void rows_in_segment(struct check *check)
{
	uint32_t count = bank_count(check->segment);
	uint64_t alive = 0;
	uint64_t free_rows = 0;

	for (uint32_t row = 1; row < count; row++) {
		uint64_t born;
		uint64_t died;

		if (!bank_life(check->segment, row, &born, &died))
			continue;
		free_rows += born == COMMIT_NEVER;
		alive += born != COMMIT_NEVER && died == COMMIT_NEVER;
	}
	if (alive != check->state.vectors)
		check_finding(check,
			      "the bank has %llu living rows for %llu vectors",
			      (unsigned long long)alive,
			      (unsigned long long)check->state.vectors);
	if (free_rows != bank_free_length(check->segment))
		check_finding(
		    check, "the bank's free list has %llu rows of %llu",
		    (unsigned long long)bank_free_length(check->segment),
		    (unsigned long long)free_rows);
	graph_in_segment(check);
	tree_in_segment(check);
	if (idmap_validate(check->segment))
		check_finding(check,
			      "the id map names entities that have no head");
}

/*
 * Every block is an entity's, free, or in limbo.  That none is two entities'
 * follows from its naming one.
 */
static void records_in_segment(struct check *check)
{
	struct segment *segment = &check->store->writable;
	uint64_t waiting = limbo_count_kind(segment, LIMBO_RECORD);
	uint64_t listed = record_free_length(segment);
	struct record_seen seen;
	uint64_t next = 1;
	uint64_t used = 0;
	uint64_t unused = 0;
	int more;

	while ((more = record_next(segment, &next, &seen)) > 0) {
		used += seen.entity != 0;
		unused += seen.entity == 0;
	}
	if (more)
		check_finding(check, "there is no record at unit %llu",
			      (unsigned long long)next);
	if (used != check->records + waiting)
		check_finding(
		    check,
		    "%llu records are in use, %llu of them by entities "
		    "and %llu waiting for readers",
		    (unsigned long long)used,
		    (unsigned long long)check->records,
		    (unsigned long long)waiting);
	if (unused != listed)
		check_finding(check, "the free lists have %llu records of %llu",
			      (unsigned long long)listed,
			      (unsigned long long)unused);
}

cop_err check_segment(struct check *check)
{
	cop_err err = 0;

	check->segment = &check->store->writable;
	check->records = 0;
	for (uint64_t id = 1; !err && id < check->state.next_entity; id++) {
		id_in_segment(check, id);
		if (check->failed)
			err = error_system(check->failed, "%s: cannot check",
					   check->store->path);
	}
	if (err)
		return err;
	rows_in_segment(check);
	records_in_segment(check);
	return 0;
}
