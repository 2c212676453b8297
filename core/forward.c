/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a segment forward: what commits have touched since its image.
 *
 * idea
 *	Recovery's rule for many: the operation records name every id that a
 *	commit changed, and the ends of every edge; each is derived from LMDB.
 *	Nobody reads the segment yet, so a list is emptied and filled anew and
 *	a row written over in place; both are as if they had been there when
 *	the segment was built.  An id that was given and whose entity is gone
 *	again has its key only in LMDB's list of keys, which is read through
 *	if there is such an id.  Where commits go on (renew.c) each id has the
 *	newest snapshot there is.
 */
#include "build.h"
#include "checkpoint.h"
#include "link.h"
#include "point.h"

#include <errno.h>
#include <stdlib.h>

/* Up to this many a build is never worth it. */
enum { COLLECT_MIN = 1000 };

/* ---- which ids ---------------------------------------------------------- */

static int id_is(const struct forward *forward, uint64_t id)
{
	return (int)(forward->ids[id / 64] >> (id & 63) & 1);
}

static int record_collect(struct forward *forward, struct bytes value)
{
	struct disk_op op;

	if (value.size < sizeof op)
		return ENOENT;
	memcpy(&op, value.data, sizeof op);
	if (op.touched > (value.size - sizeof op) / 4)
		return ENOENT;
	for (uint64_t i = 0; i < op.touched; i++) {
		uint32_t id;

		memcpy(&id,
		       (const unsigned char *)value.data + sizeof op + i * 4,
		       4);
		if (!id || id >= forward->state->next_entity)
			return ENOENT;
		forward->count += !id_is(forward, id);
		forward->ids[id / 64] |= UINT64_C(1) << (id & 63);
	}
	forward->total += op.touched;
	return forward->count > COLLECT_MIN &&
		       forward->count > forward->state->next_entity / 3
		   ? ERANGE
		   : 0;
}

/* Every id given since the image was touched by who gave it. */
static int given_check(const struct forward *forward)
{
	for (uint64_t id = forward->header->next_entity;
	     id < forward->state->next_entity; id++)
		if (!id_is(forward, id))
			return ENOENT;
	return 0;
}

int forward_collect(struct forward *forward)
{
	uint64_t commit = forward->header->committed;
	int err = 0;

	forward->ids =
	    calloc(forward->state->next_entity / 64 + 1, sizeof(uint64_t));
	if (!forward->ids)
		return ENOMEM;
	while (!err && commit++ < forward->state->commit) {
		struct bytes value;

		err = env_get(forward->store->env, forward->txn, DB_OPS,
			      bytes_of(&commit, sizeof commit), &value);
		err = err ? ENOENT : record_collect(forward, value);
	}
	return err ? err : given_check(forward);
}

void forward_release(struct forward *forward)
{
	free(forward->ids);
	forward->ids = NULL;
}

/* ---- keys --------------------------------------------------------------- */

static cop_err no_read(const struct forward *forward, int code)
{
	return error_system(code, "%s: cannot read", forward->store->path);
}

static cop_err damaged(const struct forward *forward)
{
	return error_set(COP_CORRUPT, "%s: an entity is damaged",
			 forward->store->path);
}

static cop_err key_enter(const struct forward *forward, const void *key,
			 size_t size, uint64_t id)
{
	struct segment *segment = forward->segment;
	uint64_t hash = build_key_hash(key, size);
	int err = filter_add(segment, &segment->header->key_bloom, hash);

	if (!err)
		err = idmap_insert(segment, hash, key, size, (uint32_t)id);
	return err ? build_error(forward->store, err) : 0;
}

/* All ids given since the image, from LMDB's list of keys. */
static cop_err keys_scan(const struct forward *forward)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(forward->store->env, forward->txn, DB_KEYS,
				   &cursor);

	if (code)
		return no_read(forward, code);
	while (!err &&
	       !(code = env_cursor_move(cursor, ENV_NEXT, &key, &value))) {
		uint64_t id;

		if (value.size != sizeof id || !key.size ||
		    key.size > COP_KEY_BYTES) {
			err = damaged(forward);
			continue;
		}
		memcpy(&id, value.data, sizeof id);
		if (id >= forward->state->next_entity)
			err = damaged(forward);
		else if (id >= forward->header->next_entity)
			err = key_enter(forward, key.data, key.size, id);
	}
	env_cursor_close(cursor);
	return !err && code != ENV_ABSENT ? no_read(forward, code) : err;
}

/* *record is empty if there is no such entity. */
static cop_err record_of(const struct forward *forward, uint64_t id,
			 struct bytes *record)
{
	int code = env_get(forward->store->env, forward->txn, DB_ENTITIES,
			   bytes_of(&id, sizeof id), record);

	if (code == ENV_ABSENT) {
		*record = bytes_of(NULL, 0);
		return 0;
	}
	return code ? no_read(forward, code) : codec_entity_check(*record);
}

static cop_err keys_forward(const struct forward *forward)
{
	cop_err err = 0;

	for (uint64_t id = forward->header->next_entity;
	     !err && id < forward->state->next_entity; id++) {
		const struct disk_entity *head;
		struct bytes record;

		err = record_of(forward, id, &record);
		head = record.data;
		if (!err && !head)
			return keys_scan(forward);
		if (!err)
			err = key_enter(forward, head->key, head->key_size, id);
	}
	return err;
}

/* ---- rows --------------------------------------------------------------- */

/* Whether the row from the image still says what LMDB does. */
static int row_holds(const struct forward *forward, uint64_t id, uint32_t row,
		     const struct bank_entry *wanted)
{
	const struct bank_line *line = bank_line_at(forward->segment, row);
	struct bank_seen seen;

	if (!row || !line || wanted->born > forward->header->committed)
		return 0;
	seen = bank_peek(line);
	return seen.entity == id && seen.type == wanted->type &&
	       seen.signature == wanted->signature;
}

static cop_err row_forward(const struct forward *forward, uint64_t id,
			   const struct disk_entity *record, uint32_t *row)
{
	struct segment *segment = forward->segment;
	struct bank_entry entry = {.entity = (uint32_t)id};
	const float *floats = NULL;
	struct bytes value;
	int code = record
		       ? env_get(forward->store->env, forward->txn, DB_VECTORS,
				 bytes_of(&id, sizeof id), &value)
		       : ENV_ABSENT;

	if (code && code != ENV_ABSENT)
		return no_read(forward, code);
	if (code) {
		hnsw_drop(segment, *row);
		*row = 0;
		return 0;
	}
	floats = codec_vector(value, forward->store->config.dim);
	if (!floats)
		return damaged(forward);
	memcpy(&entry.born, value.data, sizeof entry.born);
	entry.type = record->type;
	entry.signature =
	    codec_signature(codec_tags(record), record->tag_count);
	if (row_holds(forward, id, *row, &entry))
		return 0;
	if (*row)
		hnsw_unlink(segment, *row);
	else
		code = bank_take(segment, row);
	if (!code)
		code = build_row(segment, *row, &entry, floats);
	return code ? build_error(forward->store, code) : 0;
}

/* ---- lists -------------------------------------------------------------- */

struct peers {
	struct buffer peers;
	struct buffer relations;
};

static int peer_add(const struct forward *forward, struct peers *peers,
		    struct bytes key, int outgoing)
{
	struct segment *segment = forward->segment;
	struct disk_edge_key edge;
	uint64_t from;
	uint32_t relation;
	uint32_t peer;

	memcpy(&edge, key.data, sizeof edge);
	from = be64toh(edge.source);
	relation = be32toh(edge.relation);
	peer = (uint32_t)format_join(edge.target);
	if (buffer_put(&peers->peers, &peer, 4) ||
	    buffer_put(&peers->relations, &relation, 4))
		return ENOMEM;
	return outgoing ? filter_add(segment, &segment->header->edge_bloom,
				     build_edge_hash(from, relation, peer))
			: 0;
}

static int peers_collect(const struct forward *forward, struct peers *peers,
			 uint64_t id, int outgoing)
{
	struct disk_edge_key first = format_edge_first(id);
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(forward->store->env, forward->txn,
				  outgoing ? DB_EDGES : DB_EDGES_IN, &cursor);

	if (err)
		return err;
	peers->peers.size = 0;
	peers->relations.size = 0;
	err = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!err && key.size == sizeof first &&
	       !memcmp(key.data, &first, 8)) {
		err = peer_add(forward, peers, key, outgoing);
		if (!err)
			err = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : err;
}

static cop_err list_forward(const struct forward *forward, struct peers *peers,
			    uint64_t id, struct head *head, int outgoing)
{
	struct edge_list list = edges_of(forward->segment, head, outgoing);
	int err = peers_collect(forward, peers, id, outgoing);

	if (err)
		return no_read(forward, err);
	edges_clear(forward->segment, &list);
	err = edges_fill(forward->segment, &list,
			 (uint32_t *)(void *)peers->peers.data,
			 (uint32_t *)(void *)peers->relations.data,
			 (uint32_t)(peers->peers.size / 4));
	return err ? build_error(forward->store, err) : 0;
}

/* ---- all ---------------------------------------------------------------- */

static cop_err id_forward(const struct forward *forward, struct peers *peers,
			  uint64_t id)
{
	struct segment *segment = forward->segment;
	struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	const struct disk_entity *entity;
	struct head_state state = {0};
	struct bytes record;
	int code = 0;
	cop_err err;

	if (!head)
		return damaged(forward);
	err = record_of(forward, id, &record);
	if (err)
		return err;
	entity = record.data;
	state.row = head_peek_locked(head).row;
	state.alive = entity != NULL;
	state.type = entity ? entity->type : 0;
	record_free(segment, head_peek_locked(head).record);
	err = row_forward(forward, id, entity, &state.row);
	if (!err && entity)
		code = build_record(forward->store, segment, id, record,
				    &state.record);
	if (code)
		err = build_error(forward->store, code);
	if (!err)
		err = list_forward(forward, peers, id, head, 1);
	if (!err)
		err = list_forward(forward, peers, id, head, 0);
	/* at the latest: who listed its edges before may have to again */
	head_relist(head, (uint32_t)(forward->state->commit -
				     segment->header->base_commit));
	if (!err)
		head_finish(head, forward->state->commit, &state);
	point("forward-entity");
	return err;
}

static cop_err snapshot_next(const struct forward *forward)
{
	int code =
	    forward->when == BUILD_LIVE ? env_read_newest(forward->txn) : 0;

	return code ? no_read(forward, code) : 0;
}

cop_err forward_run(struct forward *forward)
{
	struct peers peers = {{0}, {0}};
	cop_err err = keys_forward(forward);

	point("forward-keys");
	for (uint64_t id = 1; !err && id < forward->state->next_entity; id++) {
		if (!(id & 63) && !forward->ids[id / 64]) {
			id += 63;
			continue;
		}
		if (!id_is(forward, id))
			continue;
		err = snapshot_next(forward);
		if (!err)
			err = id_forward(forward, &peers, id);
	}
	buffer_release(&peers.peers);
	buffer_release(&peers.relations);
	if (forward->when == BUILD_LIVE)
		env_read_reset(forward->txn);
	/* few wait for the next commit's slice */
	if (!err && hnsw_tail_count(forward->segment) > LINK_TAIL)
		err =
		    link_all(forward->segment, checkpoint_threads(UINT64_MAX));
	return err;
}
