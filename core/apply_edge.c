/* SPDX-License-Identifier: Apache-2.0 */
/* Applying: edges, one at a time; apply_edges.c has many. */
#include "history.h"
#include "apply_edge.h"

#include <xxhash.h>

/* Both ends' lists of edges are others now. */
static cop_err ends_note(struct apply *apply, uint64_t source, uint64_t target)
{
	struct change *change;
	cop_err err = apply_change_of(apply, source, &change);

	if (!err) {
		change->relisted = 1;
		err = apply_change_of(apply, target, &change);
	}
	if (!err)
		change->relisted = 1;
	apply->edge_count++;
	return err;
}

/* before: whether it was there; now: whether it is. */
static cop_err edge_note(struct apply *apply, const struct edge_change *edge,
			 int before, int now)
{
	/* the discriminator, too: there may be many parallel edges */
	struct disk_edge_key key = apply_edge_key(edge);
	uint64_t hash = XXH3_64bits(&key, sizeof key);
	struct hashmap_cursor cursor = {.hash = hash};
	struct edge_change change = *edge;
	uint32_t index;

	while (hashmap_next(&apply->edge_map, &cursor, &index)) {
		struct edge_change *known = apply_edge(apply, index);

		if (known->source == edge->source &&
		    known->target == edge->target &&
		    known->relation == edge->relation &&
		    known->discriminator == edge->discriminator) {
			known->now = (uint8_t)now;
			return 0;
		}
	}
	change.before = (uint8_t)before;
	change.now = (uint8_t)now;
	index = apply_edge_count(apply);
	if (buffer_put(&apply->edges, &change, sizeof change) ||
	    hashmap_put(&apply->edge_map, hash, index))
		return apply_no_memory();
	return 0;
}

/* ---- edges -------------------------------------------------------------- */

static cop_err edge_remove(struct apply *apply, const struct edge_change *edge)
{
	struct disk_edge_key out = apply_edge_key(edge);
	struct disk_edge_key in = format_edge_turn(&out);
	int was;
	cop_err err =
	    apply_record_end(apply, DB_EDGES, bytes_of(&out, sizeof out), &was);

	if (err || !was)
		return err;
	err = apply_record_end(apply, DB_EDGES_IN, bytes_of(&in, sizeof in),
			       &was);
	if (err)
		return err;
	if (apply_touch(apply, edge->relation, -1))
		return apply_no_memory();
	apply->state.edges--;
	apply->request->result.edges_deleted++;
	err = ends_note(apply, edge->source, edge->target);
	return err ? err : edge_note(apply, edge, 1, 0);
}

/* Collects the keys of an entity's edges in one of the two indexes. */
static cop_err edges_collect(struct apply *apply, enum env_db db, uint64_t id,
			     struct buffer *keys)
{
	struct disk_edge_key first = format_edge_first(id);
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(apply->store->env, apply->txn, db, &cursor);

	if (code)
		return apply_failed(apply, code);
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && !err && key.size == sizeof first &&
	       !memcmp(key.data, &first, 8)) {
		if (buffer_put(keys, key.data, key.size))
			err = apply_no_memory();
		code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code && code != ENV_ABSENT ? apply_failed(apply, code)
						  : err;
}

cop_err apply_edges_wipe(struct apply *apply, enum env_db db, uint64_t id)
{
	struct buffer keys = {0};
	cop_err err = edges_collect(apply, db, id, &keys);

	for (size_t at = 0; !err && at < keys.size;
	     at += sizeof(struct disk_edge_key)) {
		struct disk_edge_key key;
		struct edge_change edge = {0};

		memcpy(&key, keys.data + at, sizeof key);
		if (db == DB_EDGES_IN)
			key = format_edge_turn(&key);
		edge.source = be64toh(key.source);
		edge.target = format_join(key.target);
		edge.relation = be32toh(key.relation);
		edge.discriminator = be32toh(key.discriminator);
		err = edge_remove(apply, &edge);
	}
	buffer_release(&keys);
	return err;
}

/* One end of an edge: *id is 0 if it is not there and may be skipped. */
static cop_err end_find(struct apply *apply, const struct op *op,
			const unsigned char *key, size_t size, uint64_t *id)
{
	struct change *change = NULL;
	cop_err err = apply_key(apply, key, size, id);

	if (!err && *id)
		err = apply_change_of(apply, *id, &change);
	if (err || (*id && change->alive))
		return err;
	if (op->option == COP_DANGLING_STUB)
		return apply_stub(apply, key, size, id);
	if (op->option == COP_DANGLING_REJECT)
		return apply_not_there(key, size, "an edge's end");
	*id = 0;
	return 0;
}

cop_err apply_edge_ends(struct apply *apply, const struct op *op,
			uint64_t *source, uint64_t *target)
{
	const unsigned char *key = op_body(op);
	cop_err err = 0;

	if (!*source)
		err = end_find(apply, op, key, op->key_size, source);
	if (!err && *source && !*target)
		err = end_find(apply, op, key + op->key_size, op->target_size,
			       target);
	if (!err && (!*source || !*target))
		apply->request->result.edges_skipped++;
	return err;
}

/* Keeps what an edge has that is put again; *was: it has something. */
static cop_err edge_replace(struct apply *apply,
			    const struct disk_edge_key *out,
			    const struct disk_edge_key *in, int *was)
{
	struct bytes forth = bytes_of(out, sizeof *out);
	struct bytes back = bytes_of(in, sizeof *in);
	struct bytes record;
	cop_err err = 0;
	int code = apply_get(apply, DB_EDGES, forth, &record);

	*was = !code;
	if (code == ENV_ABSENT)
		return 0;
	if (!code)
		err = history_keep(apply, DB_EDGES, forth, record);
	if (!code && !err)
		code = apply_get(apply, DB_EDGES_IN, back, &record);
	if (!code && !err)
		err = history_keep(apply, DB_EDGES_IN, back, record);
	return code ? apply_failed(apply, code) : err;
}

cop_err apply_edge_out(struct apply *apply, const struct edge_change *edge,
		       struct bytes record, const uint32_t *numbers)
{
	struct disk_edge_key out = apply_edge_key(edge);
	struct disk_edge_key in = format_edge_turn(&out);
	void *room;
	int was;
	int code;
	cop_err err = edge_replace(apply, &out, &in, &was);

	if (err)
		return err;
	code = env_put_room(apply->store->env, apply->txn, DB_EDGES,
			    bytes_of(&out, sizeof out), record.size, &room);
	if (code)
		return apply_failed(apply, code);
	memcpy(room, record.data, record.size);
	codec_edge_patch(room, apply->commit, numbers);
	env_filled(DB_EDGES, bytes_of(&out, sizeof out), room, record.size);
	if (!was && apply_touch(apply, edge->relation, 1))
		return apply_no_memory();
	apply->state.edges += !was;
	apply->request->result.edges_put++;
	err = ends_note(apply, edge->source, edge->target);
	return err ? err : edge_note(apply, edge, was, 1);
}

cop_err apply_edge_in(struct apply *apply, const struct edge_change *edge,
		      const struct disk_edge *record)
{
	const struct disk_validity *valid = codec_edge_validity(record);
	struct disk_edge_in in = {.version = apply->commit};
	struct disk_edge_key out = apply_edge_key(edge);
	struct disk_edge_key key = format_edge_turn(&out);
	int code;

	if (valid)
		in.valid = *valid;
	code = apply_put(apply, DB_EDGES_IN, bytes_of(&key, sizeof key),
			 bytes_of(&in, valid ? sizeof in : sizeof in.version));
	return code ? apply_failed(apply, code) : 0;
}

cop_err apply_edge_put(struct apply *apply, const struct edge_change *edge,
		       struct bytes record, const uint32_t *numbers)
{
	cop_err err = apply_edge_out(apply, edge, record, numbers);

	return err ? err : apply_edge_in(apply, edge, record.data);
}

struct edge_change apply_edge_of(const struct apply *apply, const struct op *op,
				 uint64_t source, uint64_t target)
{
	return (struct edge_change){.source = source,
				    .target = target,
				    .relation =
					apply_numbers(apply)[op->relation - 1],
				    .discriminator = op->discriminator};
}

struct bytes apply_edge_record(const struct op *op)
{
	return bytes_of(op_body(op) +
			    op_pad(op->key_size + (size_t)op->target_size),
			op->record_bytes);
}

cop_err apply_edge_op(struct apply *apply, const struct op *op)
{
	struct edge_change edge;
	uint64_t source = 0;
	uint64_t target = 0;
	cop_err err = apply_edge_ends(apply, op, &source, &target);

	if (err || !source || !target)
		return err;
	edge = apply_edge_of(apply, op, source, target);
	return apply_edge_put(apply, &edge, apply_edge_record(op),
			      apply_numbers(apply));
}

cop_err apply_unlink_op(struct apply *apply, const struct op *op)
{
	struct edge_change edge = {.relation =
				       apply_numbers(apply)[op->relation - 1],
				   .discriminator = op->discriminator};
	cop_err err = apply_key(apply, op_body(op), op->key_size, &edge.source);

	if (!err && edge.source)
		err = apply_key(apply, op_body(op) + op->key_size,
				op->target_size, &edge.target);
	return err || !edge.target ? err : edge_remove(apply, &edge);
}
