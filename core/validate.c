/* SPDX-License-Identifier: Apache-2.0 */
#include "validate.h"
#include "build.h"

#include <errno.h>

static cop_err cannot_read(const struct apply *apply, int code)
{
	return error_system(code, "%s: cannot read", apply->store->path);
}

/* ---- expectations ------------------------------------------------------- */

/* The three texts of an OP_EXPECT, behind the version. */
struct expected {
	uint64_t version;
	const unsigned char *key;
	const unsigned char *target;
	const unsigned char *name;
	uint32_t key_size;
	uint32_t target_size;
	uint32_t name_size;
	uint32_t discriminator;
};

static struct expected expected_of(const struct op *op)
{
	struct expected expected = {.key = op_body(op) + sizeof(uint64_t),
				    .key_size = op->key_size,
				    .target_size = op->target_size,
				    .name_size = op->record_bytes,
				    .discriminator = op->discriminator};

	memcpy(&expected.version, op_body(op), sizeof expected.version);
	expected.target = expected.key + op->key_size;
	expected.name = expected.target + op->target_size;
	return expected;
}

static cop_err conflict(const char *what, const struct expected *expected)
{
	return error_set(
	    COP_CONFLICT,
	    "%s '%.*s' changed after it was read: another commit came between; "
	    "read again and try again",
	    what, (int)(expected->key_size < 120 ? expected->key_size : 120),
	    (const char *)expected->key);
}

/* The version that a record begins with; 0 if there is none. */
static cop_err version_of(const struct apply *apply, enum env_db db,
			  struct bytes key, uint64_t *version)
{
	struct bytes value;
	int code = env_get(apply->store->env, apply->txn, db, key, &value);

	*version = 0;
	if (code == ENV_ABSENT)
		return 0;
	if (code || value.size < sizeof *version)
		return cannot_read(apply, code ? code : EINVAL);
	memcpy(version, value.data, sizeof *version);
	return 0;
}

static cop_err record_expect(const struct apply *apply, enum env_db db,
			     const struct expected *expected, const char *what)
{
	uint64_t version = 0;
	uint64_t id;
	cop_err err = apply_key(apply, expected->key, expected->key_size, &id);

	if (!err && id)
		err = version_of(apply, db, bytes_of(&id, sizeof id), &version);
	if (err)
		return err;
	if (version == expected->version)
		return 0;
	if (expected->version)
		return conflict(what, expected);
	return error_set(
	    COP_CONFLICT,
	    "%s '%.*s' is there already, and was to be absent; "
	    "read it and try again",
	    what, (int)(expected->key_size < 120 ? expected->key_size : 120),
	    (const char *)expected->key);
}

static cop_err edge_expect(const struct apply *apply,
			   const struct expected *expected)
{
	const struct env *env = apply->store->env;
	struct disk_edge_key key;
	uint64_t version = 0;
	uint64_t source;
	uint64_t target = 0;
	uint32_t relation = 0;
	cop_err err =
	    apply_key(apply, expected->key, expected->key_size, &source);

	if (!err)
		err = apply_key(apply, expected->target, expected->target_size,
				&target);
	if (!err)
		err = dict_find(env, apply->txn, NAME_RELATION,
				(const char *)expected->name,
				expected->name_size, &relation);
	if (!err && source && target && relation) {
		key = format_edge_key(source, relation, target,
				      expected->discriminator);
		err = version_of(apply, DB_EDGES, bytes_of(&key, sizeof key),
				 &version);
	}
	if (err)
		return err;
	return version == expected->version ? 0
					    : conflict("an edge of", expected);
}

static cop_err edges_expect(const struct apply *apply,
			    const struct expected *expected)
{
	const struct segment *segment = &apply->store->writable;
	const struct change *change;
	struct head *head;
	uint64_t id;
	cop_err err = apply_key(apply, expected->key, expected->key_size, &id);

	if (err || !id)
		return err; /* never there: no edges then, none now */
	change = apply_find(apply, id);
	head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	if ((change && change->relisted) ||
	    (head && head_relisted(head, segment->header->base_commit) >
			 expected->version))
		return conflict("the edges of", expected);
	return 0;
}

static cop_err members_expect(const struct apply *apply, enum name_space space,
			      const struct expected *expected)
{
	const struct env *env = apply->store->env;
	struct name_use use;
	uint32_t number;
	cop_err err =
	    dict_find(env, apply->txn, space, (const char *)expected->key,
		      expected->key_size, &number);

	if (err)
		return err;
	/* one that is not there may have been, before a compaction */
	use.changed = apply->state.names_dropped;
	if (number)
		err = dict_use(env, apply->txn, number, &use);
	if (err)
		return err;
	return use.changed > expected->version ||
		       (number && apply_touched(apply, number))
		   ? conflict(space == NAME_TAG ? "the list of the tag"
						: "the list of the type",
			      expected)
		   : 0;
}

static cop_err expect_check(const struct apply *apply, const struct op *op)
{
	struct expected expected = expected_of(op);

	switch (op->option) {
	case EXPECT_ENTITY:
		return record_expect(apply, DB_ENTITIES, &expected,
				     "the entity");
	case EXPECT_VECTOR:
		return record_expect(apply, DB_VECTORS, &expected,
				     "the vector of");
	case EXPECT_EDGE: return edge_expect(apply, &expected);
	case EXPECT_EDGES: return edges_expect(apply, &expected);
	case EXPECT_TYPE: return members_expect(apply, NAME_TYPE, &expected);
	case EXPECT_TAG: return members_expect(apply, NAME_TAG, &expected);
	case EXPECT_KEYS:
		return apply->state.keys_changed > expected.version
			   ? conflict("the keys that begin with", &expected)
			   : 0;
	default:
		return error_set(COP_INVALID, "expectation %u is unknown",
				 op->option);
	}
}

/* ---- what will be there ------------------------------------------------- */

/* Entities that the request itself makes or ends, so far. */
struct overlay {
	struct hashmap map;
	struct buffer keys; /* struct overlay_key */
};

struct overlay_key {
	const unsigned char *key;
	uint32_t key_size;
	uint32_t alive;
};

static struct overlay_key *overlay_find(const struct overlay *overlay,
					const unsigned char *key, uint32_t size)
{
	struct hashmap_cursor cursor = {.hash = build_key_hash(key, size)};
	uint32_t index;

	while (hashmap_next(&overlay->map, &cursor, &index)) {
		struct overlay_key *known =
		    (struct overlay_key *)(void *)overlay->keys.data + index;

		if (known->key_size == size && !memcmp(known->key, key, size))
			return known;
	}
	return NULL;
}

static cop_err overlay_set(struct overlay *overlay, const unsigned char *key,
			   uint32_t size, uint32_t alive)
{
	struct overlay_key *known = overlay_find(overlay, key, size);
	struct overlay_key fresh = {key, size, alive};
	uint32_t index = (uint32_t)(overlay->keys.size / sizeof fresh);

	if (known)
		known->alive = alive;
	else if (buffer_put(&overlay->keys, &fresh, sizeof fresh) ||
		 hashmap_put(&overlay->map, build_key_hash(key, size), index))
		return error_system(ENOMEM, "no memory to commit");
	return 0;
}

/* Whether an entity will be there when the operation's turn comes. */
static cop_err end_check(const struct apply *apply,
			 const struct overlay *overlay,
			 const unsigned char *key, uint32_t size,
			 const char *what)
{
	const struct overlay_key *known = overlay_find(overlay, key, size);
	uint64_t version = 0;
	uint64_t id;
	cop_err err = 0;

	if (!known) {
		err = apply_key(apply, key, size, &id);
		if (!err && id)
			err = version_of(apply, DB_ENTITIES,
					 bytes_of(&id, sizeof id), &version);
	}
	if (err || version || (known && known->alive))
		return err;
	return apply_not_there(key, size, what);
}

static cop_err edge_check(const struct apply *apply, struct overlay *overlay,
			  const struct op *op)
{
	const unsigned char *source = op_body(op);
	const unsigned char *target = source + op->key_size;
	cop_err err = 0;

	if (op->option == COP_DANGLING_STUB) {
		err = overlay_set(overlay, source, op->key_size, 1);
		return err ? err
			   : overlay_set(overlay, target, op->target_size, 1);
	}
	if (op->option == COP_DANGLING_REJECT)
		err = end_check(apply, overlay, source, op->key_size,
				"an edge's end");
	if (!err && op->option == COP_DANGLING_REJECT)
		err = end_check(apply, overlay, target, op->target_size,
				"an edge's end");
	return err;
}

static cop_err there_check(const struct apply *apply, struct overlay *overlay,
			   const struct op *op)
{
	const struct disk_entity *record = (const void *)op_body(op);

	switch (op->kind) {
	case OP_PUT:
		return overlay_set(overlay, record->key, record->key_size, 1);
	case OP_DELETE:
		return overlay_set(overlay, op_key(op), op->key_size, 0);
	case OP_UNDELETE: /* if there was one; else the group finds out */
	case OP_CONTENT:
		return overlay_set(overlay, op_key(op), op->key_size, 1);
	case OP_VECTOR:
	case OP_TAG:
		return end_check(apply, overlay, op_key(op), op->key_size,
				 "the entity");
	case OP_EDGE: return edge_check(apply, overlay, op);
	default: return 0;
	}
}

/* ---- all ---------------------------------------------------------------- */

cop_err validate_run(const struct apply *apply, struct request *request,
		     int dangling)
{
	struct overlay overlay = {0};
	size_t at = 0;
	cop_err err = 0;

	request->result.failed = UINT32_MAX;
	for (uint32_t i = 0; !err && i < request->op_count; i++) {
		const struct op *op = request_op(request, at);

		if (op->kind == OP_EXPECT)
			err = expect_check(apply, op);
		else if (dangling)
			err = there_check(apply, &overlay, op);
		if (err)
			request->result.failed = i;
		at += op->bytes;
	}
	buffer_release(&overlay.keys);
	hashmap_release(&overlay.map);
	return err;
}
