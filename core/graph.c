/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"

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

cop_err graph_is_there(cop_read *read, uint64_t id, int *there)
{
	struct head *head = graph_head(read, id);
	struct head_state state;
	struct bytes record;
	cop_err err;

	*there = 0;
	if (!head)
		return 0;
	if (head_read(head, read->state.commit, &state)) {
		*there = state.alive != 0;
		return 0;
	}
	err = read_entity_record(read, id, &record);
	*there = !err && record.data;
	return err;
}

static size_t neighbors_list(const cop_read *read, uint64_t id,
			     const struct graph_way *way, int32_t direction,
			     struct cop_neighbor *out, size_t capacity)
{
	const struct head *head = graph_head(read, id);
	const struct edge_name *entry;
	struct edge_cursor cursor;
	size_t count = 0;

	if (!head || !(way->direction & direction))
		return 0;
	graph_edges(read, head, direction, &cursor);
	while ((entry = edge_cursor_next(&cursor))) {
		if (way->relation && entry->relation != way->relation)
			continue;
		if (count < capacity)
			out[count] = (struct cop_neighbor){
			    entry->peer, entry->relation, direction};
		count++;
	}
	return count;
}

cop_err cop_neighbors(cop_read *read, uint64_t id, const char *relation,
		      int32_t direction, struct cop_neighbor *neighbors,
		      size_t capacity, size_t *count)
{
	struct graph_way way;
	size_t out;
	cop_err err = read_check(read);

	if (!err)
		err = graph_way_make(read, relation, direction, &way);
	if (err)
		return err;
	out = neighbors_list(read, id, &way, COP_OUT, neighbors, capacity);
	if (capacity > out) {
		neighbors += out;
		capacity -= out;
	} else {
		capacity = 0;
	}
	*count =
	    out + neighbors_list(read, id, &way, COP_IN, neighbors, capacity);
	return 0;
}
