/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"
#include "valid.h"

#include <errno.h>
#include <string.h>

cop_err graph_way_make(cop_read *read, const char *relation, int32_t direction,
		       struct graph_way *out)
{
	cop_err err;

	*out = (struct graph_way){.direction = direction ? direction : COP_OUT};
	if (out->direction < COP_OUT || out->direction > COP_BOTH)
		return error_set(COP_INVALID,
				 "direction %d; there are out 1, "
				 "in 2, both 3",
				 direction);
	if (!relation)
		return 0;
	err = read_symbol(read, NAME_RELATION, relation, strlen(relation),
			  &out->relation);
	if (!err && !out->relation)
		err = error_set(COP_NO_NAME,
				"no edge ever had the relation '%.80s'; check "
				"its spelling",
				relation);
	return err;
}

struct head *graph_head(const cop_read *read, uint64_t id)
{
	const struct segment *segment = read_segment(read);

	return head_at(segment->header, segment_region(segment, REGION_HEADS),
		       id);
}

uint64_t graph_ids(const cop_read *read)
{
	uint64_t heads =
	    segment_region(read_segment(read), REGION_HEADS)->reserved /
	    sizeof(struct head);

	return (heads + 64) & ~UINT64_C(63);
}

cop_err graph_is_there(cop_read *read, uint64_t id, int *there)
{
	struct head *head = graph_head(read, id);
	struct head_state state;
	struct bytes record;
	cop_err err;

	*there = 0;
	if (!head)
		return 0;
	if (head_read(head, read->moment, &state)) {
		*there = state.alive != 0;
		return 0;
	}
	err = read_entity_record(read, id, &record);
	*there = !err && record.data;
	return err;
}

static cop_err past_entry_put(struct buffer *list, struct bytes key)
{
	struct disk_edge_key parts;
	struct edge_entry *entry;

	if (key.size != sizeof parts)
		return error_set(COP_CORRUPT,
				 "an edge's key has %zu bytes; "
				 "restore a backup",
				 key.size);
	memcpy(&parts, key.data, sizeof parts);
	entry = buffer_add(list, sizeof *entry);
	if (!entry)
		return error_system(ENOMEM, "no memory for edges of the past");
	entry->peer = (uint32_t)format_join(parts.target);
	entry->relation = be32toh(parts.relation);
	/* relaxed: it is this thread's alone */
	atomic_store_explicit(&entry->died, STAMP_NEVER, memory_order_relaxed);
	return 0;
}

cop_err graph_past_edges(cop_read *read, uint64_t id, int32_t direction,
			 struct edge_cursor *cursor)
{
	struct disk_edge_key first = format_edge_first(id);
	struct past past = past_of(read);
	struct buffer *list = &read->past_edges;
	struct past_range range;
	struct bytes key;
	enum env_db db = direction == COP_OUT ? DB_EDGES : DB_EDGES_IN;
	struct bytes value;
	cop_err err = 0;
	int seen;
	int code;

	*cursor = (struct edge_cursor){0};
	list->size = 0;
	if (!buffer_add(list, sizeof(struct edge_block)))
		return error_system(ENOMEM, "no memory for edges of the past");
	code = past_open(&range, &past, db, bytes_of(&first, sizeof first),
			 sizeof first.source);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	while (!err && !(code = past_next(&range, &key, &value))) {
		err = valid_is_seen(read, db, value, &seen);
		if (!err && seen)
			err = past_entry_put(list, key);
	}
	past_close(&range);
	if (!err && code != ENV_ABSENT)
		err = error_system(code, "%s: cannot read", read->store->path);
	*cursor = (struct edge_cursor){
	    .block = (const struct edge_block *)(const void *)list->data,
	    .count = (uint32_t)((list->size - sizeof(struct edge_block)) /
				sizeof(struct edge_entry)),
	    .stamp = read->stamp};
	return err;
}

/* *count grows by what there is; what there is room for goes to `out`. */
static cop_err neighbors_list(cop_read *read, uint64_t id,
			      const struct graph_way *way, int32_t direction,
			      struct cop_neighbor *out, size_t capacity,
			      size_t *count)
{
	struct edge_name entry;
	struct edge_cursor cursor;
	cop_err err;

	if (!(way->direction & direction))
		return 0;
	err = graph_edges(read, id, direction, &cursor);
	if (err)
		return err;
	while (edge_cursor_next(&cursor, &entry)) {
		if (way->relation && entry.relation != way->relation)
			continue;
		if (*count < capacity)
			out[*count] = (struct cop_neighbor){
			    entry.peer, entry.relation, direction};
		++*count;
	}
	return 0;
}

/* Outgoing ones first. */
static cop_err neighbors_both(cop_read *read, uint64_t id,
			      const struct graph_way *way,
			      struct cop_neighbor *out, size_t capacity,
			      size_t *count)
{
	cop_err err =
	    neighbors_list(read, id, way, COP_OUT, out, capacity, count);

	return err ? err
		   : neighbors_list(read, id, way, COP_IN, out, capacity,
				    count);
}

cop_err cop_neighbors(cop_read *read, uint64_t id, const char *relation,
		      int32_t direction, struct cop_neighbor *neighbors,
		      size_t capacity, size_t *count)
{
	struct graph_way way;
	size_t found = 0;
	cop_err err = read_check(read);

	if (!err)
		err = graph_way_make(read, relation, direction, &way);
	if (!err)
		err =
		    neighbors_both(read, id, &way, neighbors, capacity, &found);
	if (err)
		return err;
	read_tally(read, TALLY_LISTS, 1);
	*count = found;
	return 0;
}

cop_err cop_neighbors_many(cop_read *read, const uint64_t *ids, size_t count,
			   const char *relation, int32_t direction,
			   struct cop_neighbor *neighbors, size_t capacity,
			   size_t *starts)
{
	struct graph_way way;
	size_t found = 0;
	cop_err err = read_check(read);

	if (!err && count > SIZE_MAX / sizeof *starts - 2 * GRAPH_AHEAD)
		err =
		    error_set(COP_INVALID,
			      "%zu entities, more than memory can hold", count);
	if (!err)
		err = graph_way_make(read, relation, direction, &way);
	for (size_t i = 0; !err && i < count + 2 * GRAPH_AHEAD; i++) {
		/* beyond all at first: they wrap */
		size_t block = i - GRAPH_AHEAD;
		size_t list = block - GRAPH_AHEAD;

		if (i < count)
			graph_lists_fetch(read, ids[i]);
		if (block < count)
			graph_block_fetch(read, ids[block], way.direction);
		if (list >= count)
			continue;
		starts[list] = found;
		err = neighbors_both(read, ids[list], &way, neighbors, capacity,
				     &found);
	}
	if (err)
		return err;
	read_tally(read, TALLY_LISTS, count);
	starts[count] = found;
	return 0;
}
