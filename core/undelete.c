/* SPDX-License-Identifier: Apache-2.0 */
#include "undelete.h"
#include "past.h"

#include <errno.h>

/* An entity that is to be put back. */
struct undelete {
	struct apply *apply;
	struct past past; /* as of when it is put back */
	uint64_t id;
	struct buffer edges; /* struct kept_edge, and its record */
};

/* An edge that was; its record follows, a multiple of 8 bytes. */
struct kept_edge {
	struct edge_change edge;
	uint64_t record_bytes;
};

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory to commit; commit in smaller "
				    "parts");
}

static cop_err none_kept(const struct op *op, uint64_t commit)
{
	const char *key = (const char *)op_key(op);

	if (!commit)
		return error_set(COP_DANGLING,
				 "there is no version of '%.*s' to put back",
				 error_shown(op->key_size), key);
	return error_set(COP_DANGLING,
			 "there is no version of '%.*s' as of commit %llu to "
			 "put back; `history` lists those that there are",
			 error_shown(op->key_size), key,
			 (unsigned long long)commit);
}

/* ---- as of when --------------------------------------------------------- */

static cop_err death_note(void *user, uint64_t born, uint64_t died,
			  struct bytes record)
{
	uint64_t *last = user;

	(void)born;
	(void)record;
	*last = died;
	return COP_STOPPED; /* the newest says it */
}

/* The commit before the one that deleted it last; 0: none. */
static cop_err death_find(struct undelete *undelete, uint64_t *before)
{
	uint64_t last = 0;
	cop_err err = past_history(&undelete->past, DB_ENTITIES,
				   bytes_of(&undelete->id, sizeof undelete->id),
				   death_note, &last);

	*before = last ? last - 1 : 0;
	return err == COP_STOPPED ? 0 : err;
}

/* ---- what it was -------------------------------------------------------- */

static cop_err record_restore(struct undelete *undelete, const struct op *op)
{
	struct apply *apply = undelete->apply;
	struct buffer copy = {0};
	struct disk_entity *head;
	struct change *change;
	struct bytes record;
	cop_err err;
	int code =
	    past_get(&undelete->past, DB_ENTITIES,
		     bytes_of(&undelete->id, sizeof undelete->id), &record);

	if (code)
		return apply_failed(apply, code);
	if (!record.data)
		return none_kept(op, undelete->past.moment);
	err = codec_entity_check(record);
	if (!err && buffer_put(&copy, record.data, record.size))
		err = no_memory();
	if (!err)
		err = apply_change_of(apply, undelete->id, &change);
	if (!err) {
		head = (struct disk_entity *)(void *)copy.data;
		head->version = apply->commit;
		err = apply_record(apply, change, head, copy.size);
	}
	buffer_release(&copy);
	return err;
}

static cop_err vector_restore(struct undelete *undelete)
{
	struct apply *apply = undelete->apply;
	struct buffer copy = {0};
	struct change *change;
	struct bytes value;
	const float *vector;
	cop_err err = 0;
	int code =
	    past_get(&undelete->past, DB_VECTORS,
		     bytes_of(&undelete->id, sizeof undelete->id), &value);

	if (code)
		return apply_failed(apply, code);
	if (!value.data)
		return 0;
	vector = codec_vector(value, apply->store->config.dim);
	if (!vector)
		return error_set(COP_CORRUPT,
				 "a vector has %zu bytes; restore "
				 "a backup",
				 value.size);
	if (buffer_put(&copy, vector,
		       apply->store->config.dim * sizeof *vector))
		return no_memory();
	err = apply_vector(apply, undelete->id,
			   (const float *)(const void *)copy.data);
	if (!err)
		err = apply_change_of(apply, undelete->id, &change);
	if (!err) {
		change->vector_action = VECTOR_SET;
		change->vector = NULL; /* it is in LMDB */
	}
	buffer_release(&copy);
	return err;
}

/* ---- its edges ---------------------------------------------------------- */

/* The record of an edge by its key in one of the two indexes. */
static int edge_record(const struct undelete *undelete,
		       const struct edge_change *edge, struct bytes *record)
{
	struct disk_edge_key out = apply_edge_key(edge);

	return past_get(&undelete->past, DB_EDGES, bytes_of(&out, sizeof out),
			record);
}

static int edge_collect(struct undelete *undelete, enum env_db db,
			struct bytes key)
{
	struct kept_edge kept = {0};
	struct disk_edge_key parts;
	struct bytes record;
	int code;

	if (key.size != sizeof parts)
		return EBADMSG;
	memcpy(&parts, key.data, sizeof parts);
	kept.edge.relation = be32toh(parts.relation);
	kept.edge.discriminator = be32toh(parts.discriminator);
	kept.edge.source = be64toh(parts.source);
	kept.edge.target = format_join(parts.target);
	if (db == DB_EDGES_IN) {
		kept.edge.source = kept.edge.target;
		kept.edge.target = be64toh(parts.source);
	}
	if (db == DB_EDGES_IN && kept.edge.source == kept.edge.target)
		return 0; /* a self loop is there already */
	code = edge_record(undelete, &kept.edge, &record);
	if (code)
		return code;
	if (!record.data || codec_edge_check(record))
		return EBADMSG;
	kept.record_bytes = record.size;
	code = buffer_put(&undelete->edges, &kept, sizeof kept);
	if (!code)
		code = buffer_put(&undelete->edges, record.data, record.size);
	return code ? code : buffer_align(&undelete->edges, 8);
}

/* Collected first: a put moves what a cursor looks at. */
static cop_err edges_collect(struct undelete *undelete, enum env_db db)
{
	struct disk_edge_key first = format_edge_first(undelete->id);
	struct past_range range;
	struct bytes key;
	struct bytes value;
	int code =
	    past_open(&range, &undelete->past, db,
		      bytes_of(&first, sizeof first), sizeof first.source);

	if (code)
		return apply_failed(undelete->apply, code);
	while (!(code = past_next(&range, &key, &value))) {
		code = edge_collect(undelete, db, key);
		if (code)
			break;
	}
	past_close(&range);
	return code == ENV_ABSENT ? 0 : apply_failed(undelete->apply, code);
}

static cop_err edge_restore(struct undelete *undelete,
			    const struct kept_edge *kept)
{
	uint64_t peer = kept->edge.source == undelete->id ? kept->edge.target
							  : kept->edge.source;
	struct change *change;
	cop_err err = apply_change_of(undelete->apply, peer, &change);

	if (err || !change->alive)
		return err;
	return apply_edge_put(undelete->apply, &kept->edge,
			      bytes_of(kept + 1, kept->record_bytes), NULL);
}

static cop_err edges_restore(struct undelete *undelete)
{
	cop_err err = edges_collect(undelete, DB_EDGES);
	size_t at = 0;

	if (!err)
		err = edges_collect(undelete, DB_EDGES_IN);
	while (!err && at < undelete->edges.size) {
		const struct kept_edge *kept =
		    (const void *)(undelete->edges.data + at);

		err = edge_restore(undelete, kept);
		at += sizeof *kept + op_pad(kept->record_bytes);
	}
	buffer_release(&undelete->edges);
	return err;
}

/* ---- all ---------------------------------------------------------------- */

/* is_wiped: the entity was deleted in this transaction */
static cop_err moment_choose(struct undelete *undelete, const struct op *op,
			     int is_wiped)
{
	const struct apply *apply = undelete->apply;
	uint64_t commit;
	cop_err err = 0;

	memcpy(&commit, op_body(op), sizeof commit);
	if (!commit && is_wiped)
		return error_set(
		    COP_INVALID,
		    "'%.*s' was deleted by this very commit, and "
		    "what it was then is kept nowhere; undelete it "
		    "with another one",
		    error_shown(op->key_size), (const char *)op_key(op));
	if (!commit)
		err = death_find(undelete, &commit);
	if (err)
		return err;
	if (!undelete->id || !commit || commit >= apply->commit)
		return none_kept(op, commit);
	if (commit < apply->state.oldest)
		return error_set(COP_TOO_OLD,
				 "history is kept from commit %llu on",
				 (unsigned long long)apply->state.oldest);
	undelete->past.moment = commit;
	return 0;
}

cop_err undelete_run(struct apply *apply, const struct op *op)
{
	struct undelete undelete = {.apply = apply,
				    .past = {apply->store->env, apply->txn,
					     apply->commit, apply->commit,
					     apply->state.whole}};
	struct change *change = NULL;
	cop_err err = apply_key(apply, op_key(op), op->key_size, &undelete.id);

	if (!err && undelete.id)
		err = apply_change_of(apply, undelete.id, &change);
	if (err || (change && change->alive))
		return err;
	err = moment_choose(&undelete, op, change && change->wiped);
	if (!err)
		err = record_restore(&undelete, op);
	if (!err)
		err = vector_restore(&undelete);
	if (!err)
		err = edges_restore(&undelete);
	if (!err)
		apply->request->result.entities_put++;
	return err;
}
