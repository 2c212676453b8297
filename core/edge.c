/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edges with their records, from LMDB.
 *
 * Walks read the adjacency in the segment; here are the properties.  The
 * bloom filter answers for most edges that are not there.  Where all of an
 * entity's edges are asked for, LMDB has to have as many as the adjacency: a
 * damaged page may lose some without a word.
 */
#include "build.h"
#include "graph.h"
#include "past.h"
#include "valid.h"

#include <errno.h>

/* One by its ends; `discriminator` tells it apart. */
static cop_err edge_get(cop_read *read, uint64_t source, const char *relation,
			size_t relation_size, uint64_t target,
			uint32_t discriminator, struct cop_edge *out)
{
	const struct segment *segment = read_segment(read);
	struct cop_edge edge = {
	    .source = source, .target = target, .discriminator = discriminator};
	struct past past = past_of(read);
	struct disk_edge_key key;
	struct bytes record;
	int seen = 1;
	int code;
	cop_err err = read_check(read);

	if (!err)
		err = read_symbol(read, NAME_RELATION, relation, relation_size,
				  &edge.relation);
	if (err)
		return err;
	/* the filter knows of edges that there are now */
	if (edge.relation && !read_is_past(read) &&
	    !filter_test(segment, &segment->header->edge_bloom,
			 build_edge_hash(source, edge.relation, target))) {
		read_tally(read, TALLY_DENIED, 1);
		edge.relation = 0;
	}
	if (!edge.relation) {
		*out = edge;
		return 0;
	}
	key = format_edge_key(source, edge.relation, target, discriminator);
	code = past_get(&past, DB_EDGES, bytes_of(&key, sizeof key), &record);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	if (!record.data)
		read_tally(read, TALLY_FALSE, !read_is_past(read));
	else
		err = valid_is_seen(read, DB_EDGES, record, &seen);
	if (!err && record.data && seen)
		err = read_edge_view(record, &edge);
	if (!err)
		*out = edge;
	return err;
}

cop_err cop_get_edge(cop_read *read, uint64_t source, const char *relation,
		     size_t relation_size, uint64_t target,
		     struct cop_edge *out)
{
	return edge_get(read, source, relation, relation_size, target, 0, out);
}

cop_err cop_find_edge(cop_read *read, const struct cop_put_edge *edge,
		      struct cop_edge *out)
{
	struct cop_edge none = {.discriminator = edge->discriminator};
	cop_err err =
	    cop_lookup(read, edge->source, edge->source_size, &none.source);

	if (!err)
		err = cop_lookup(read, edge->target, edge->target_size,
				 &none.target);
	if (!err && none.source && none.target)
		return edge_get(read, none.source, edge->relation,
				edge->relation_size, none.target,
				edge->discriminator, out);
	if (!err)
		*out = none;
	return err;
}

typedef int32_t edge_visit(void *user, cop_read *read,
			   const struct cop_edge *edge);

static cop_err visit_one(cop_read *read, enum env_db db, struct bytes key,
			 struct bytes record, edge_visit *visit, void *user)
{
	struct past past = past_of(read);
	struct disk_edge_key parts;
	struct disk_edge_key forth;
	struct cop_edge edge = {0};
	cop_err err;
	int code = 0;
	int seen;

	memcpy(&parts, key.data, sizeof parts);
	edge.source = be64toh(parts.source);
	edge.target = format_join(parts.target);
	edge.relation = be32toh(parts.relation);
	edge.discriminator = be32toh(parts.discriminator);
	if (db == DB_EDGES_IN) {
		uint64_t other = edge.source;

		edge.source = edge.target;
		edge.target = other;
		forth = format_edge_turn(&parts);
		code = past_get(&past, DB_EDGES, bytes_of(&forth, sizeof forth),
				&record);
		if (!code && !record.data)
			code = ENV_ABSENT;
	}
	if (code)
		return error_system(code, "%s: an incoming edge has no record",
				    read->store->path);
	err = valid_is_seen(read, DB_EDGES, record, &seen);
	if (!err && seen)
		err = read_edge_view(record, &edge);
	if (err || !seen)
		return err;
	error_clear();
	return error_answer(visit(user, read, &edge));
}

/* Whether LMDB had as many as shared memory has. */
static cop_err count_check(cop_read *read, enum env_db db, uint64_t id,
			   uint64_t found)
{
	struct edge_cursor cursor;
	struct edge_name entry;
	uint64_t known = 0;
	cop_err err;

	if (read_is_past(read) || read->is_timed)
		return 0;
	err = graph_edges(read, id, db == DB_EDGES ? COP_OUT : COP_IN, &cursor);
	while (!err && edge_cursor_next(&cursor, &entry))
		known++;
	if (err || found >= known)
		return err;
	return read_lost(read, id,
			 db == DB_EDGES ? "an edge" : "an incoming edge");
}

static cop_err visit_all(cop_read *read, enum env_db db, uint64_t id,
			 edge_visit *visit, void *user)
{
	struct disk_edge_key first = format_edge_first(id);
	struct past past = past_of(read);
	struct past_range range;
	struct bytes key;
	struct bytes value;
	uint64_t found = 0;
	cop_err err = 0;
	int code = past_open(&range, &past, db, bytes_of(&first, sizeof first),
			     sizeof first.source);

	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	while (!err && !(code = past_next(&range, &key, &value))) {
		found++;
		err = key.size == sizeof first
			  ? visit_one(read, db, key, value, visit, user)
			  : error_system(EINVAL, "an edge's key is damaged");
	}
	past_close(&range);
	if (!err && code != ENV_ABSENT)
		err = error_system(code, "%s: cannot read", read->store->path);
	return err ? err : count_check(read, db, id, found);
}

cop_err cop_edges(cop_read *read, uint64_t id, int32_t direction,
		  edge_visit *visit, void *user)
{
	cop_err err = read_check(read);

	if (!err && (direction < COP_OUT || direction > COP_BOTH))
		err = error_set(COP_INVALID,
				"direction %d; there are out 1, "
				"in 2, both 3",
				direction);
	if (!err && direction & COP_OUT)
		err = visit_all(read, DB_EDGES, id, visit, user);
	if (!err && direction & COP_IN)
		err = visit_all(read, DB_EDGES_IN, id, visit, user);
	return err;
}
