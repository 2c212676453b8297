/* SPDX-License-Identifier: Apache-2.0 */
#include "cull.h"
#include "clock.h"
#include "oplog.h"

#include <errno.h>
#include <stdlib.h>

static cop_err cannot_read(int code)
{
	return error_system(code, "cannot read history");
}

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory to leave out history");
}

/* ---- rules -------------------------------------------------------------- */

/* The newest commit that was `age` ago or longer; 0: none. */
static cop_err horizon_find(const struct cull *cull,
			    const struct disk_state *state, uint64_t age,
			    uint64_t *out)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	uint64_t low = state->oldest;
	uint64_t high = state->commit;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;
		struct oplog_record op;
		int code = oplog_get(cull->env, cull->txn, middle, &op);

		if (code)
			return cannot_read(code);
		if (now > op.head.time_ns && now - op.head.time_ns > age)
			low = middle;
		else
			high = middle - 1;
	}
	*out = low;
	return 0;
}

static cop_err horizons_find(struct cull *cull, const struct disk_state *state)
{
	uint32_t count = cull->rules.count;
	cop_err err = 0;

	cull->horizons = calloc(count, sizeof *cull->horizons);
	if (!cull->horizons)
		return no_memory();
	for (uint32_t i = 0; i < count && !err; i++) {
		const struct disk_retention *rule = &cull->rules.list[i];

		if (rule->flags & RETENTION_OFF)
			cull->horizons[i] = state->commit;
		else if (rule->age_ns)
			err = horizon_find(cull, state, rule->age_ns,
					   &cull->horizons[i]);
		cull->is_needed |=
		    cull->horizons[i] > state->oldest || rule->count != 0;
	}
	return err;
}

cop_err cull_begin(struct cull *cull, const struct env *env, env_txn *txn,
		   const struct disk_retention *keep, struct disk_state *state)
{
	cop_err err;

	*cull = (struct cull){.env = env, .txn = txn};
	err = rules_read(env, txn, &cull->rules);
	if (!err && keep)
		rules_narrow(&cull->rules, keep);
	if (!err && keep && keep->flags & RETENTION_OFF) {
		state->oldest = state->commit;
		state->whole = state->commit;
	} else if (!err && rules_age(&cull->rules)) {
		err = horizon_find(cull, state, rules_age(&cull->rules),
				   &state->oldest);
	}
	return err ? err : horizons_find(cull, state);
}

/* ---- whose -------------------------------------------------------------- */

/* The type that an entity has, or had when it was deleted; 0: none known. */
static cop_err type_of(const struct cull *cull, uint64_t id, uint32_t *type)
{
	struct version_key first;
	struct bytes key;
	struct bytes value;
	env_cursor *cursor;
	int code = env_get(cull->env, cull->txn, DB_ENTITIES,
			   bytes_of(&id, sizeof id), &value);

	*type = 0;
	if (!code && value.size >= sizeof(struct disk_entity)) {
		*type = ((const struct disk_entity *)value.data)->type;
		return 0;
	}
	if (code != ENV_ABSENT)
		return cannot_read(code ? code : EBADMSG);
	code =
	    env_cursor_open(cull->env, cull->txn, DB_ENTITY_VERSIONS, &cursor);
	if (code)
		return cannot_read(code);
	version_key_make(&first, DB_ENTITIES, bytes_of(&id, sizeof id),
			 UINT64_MAX);
	key = version_bytes(&first);
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	if (!code && key.size == first.size &&
	    !memcmp(key.data, first.bytes, sizeof id) &&
	    value.size >= DISK_VERSION_HEADER + sizeof(struct disk_entity))
		*type = ((const struct disk_entity
			      *)(const void *)((const char *)value.data +
					       DISK_VERSION_HEADER))
			    ->type;
	env_cursor_close(cursor);
	return code && code != ENV_ABSENT ? cannot_read(code) : 0;
}

/* The id whose type's rule holds: an edge's is its source. */
static uint64_t owner_of(enum env_db db, struct bytes key)
{
	struct disk_member_key member;
	struct disk_edge_key edge;
	uint64_t id;

	if (db == DB_MEMBER_VERSIONS) {
		memcpy(&member, key.data, sizeof member);
		return format_join(member.id);
	}
	if (db == DB_EDGE_IN_VERSIONS) {
		memcpy(&edge, key.data, sizeof edge);
		return format_join(edge.target);
	}
	memcpy(&id, key.data, sizeof id);
	return be64toh(id);
}

/* ---- what is left out --------------------------------------------------- */

static cop_err floor_note(struct cull *cull, enum disk_floor kind,
			  uint64_t number, uint64_t died)
{
	struct cull_floor floor = {.key = {.kind = htobe32(kind)},
				   .commit = died};

	format_split(floor.key.number, number);
	return buffer_put(&cull->floors, &floor, sizeof floor) ? no_memory()
							       : 0;
}

static cop_err left_out(struct cull *cull, enum env_db db, struct bytes key,
			uint64_t died)
{
	struct disk_member_key member;
	uint64_t first;
	cop_err err = floor_note(cull, FLOOR_ENTITY, owner_of(db, key), died);

	if (!err && db == DB_MEMBER_VERSIONS) {
		memcpy(&member, key.data, sizeof member);
		err = floor_note(cull, FLOOR_NAME, be32toh(member.name), died);
	}
	if (!err && db == DB_EDGE_IN_VERSIONS) {
		memcpy(&first, key.data, sizeof first);
		err = floor_note(cull, FLOOR_ENTITY, be64toh(first), died);
	}
	return err;
}

/* Counts the versions of one key. */
static void key_count(struct cull *cull, enum env_db db, struct bytes key)
{
	size_t size = key.size - sizeof(uint64_t);

	if (db != cull->db || key.size != cull->key.size ||
	    memcmp(key.data, cull->key.bytes, size) != 0)
		cull->count = 0;
	cull->db = db;
	cull->key.size = key.size;
	memcpy(cull->key.bytes, key.data, key.size);
	cull->count++;
}

cop_err cull_version(struct cull *cull, enum env_db db, struct bytes key,
		     struct bytes value, int *kept)
{
	const struct disk_retention *rule;
	uint64_t died = history_version(value);
	uint32_t type;
	cop_err err;

	*kept = 1;
	if (!cull->is_needed || db < DB_ENTITY_VERSIONS ||
	    db > DB_MEMBER_VERSIONS || key.size > DISK_VERSION_KEY ||
	    key.size <= sizeof(uint64_t))
		return 0;
	key_count(cull, db, key);
	err = type_of(cull, owner_of(db, key), &type);
	if (err)
		return err;
	rule = rules_for(&cull->rules, type);
	*kept = died > cull->horizons[rule - cull->rules.list] &&
		(!rule->count || cull->count <= rule->count);
	return *kept ? 0 : left_out(cull, db, key, died);
}

/* ---- floors ------------------------------------------------------------- */

static int floor_compare(const void *a, const void *b)
{
	const struct cull_floor *x = a;
	const struct cull_floor *y = b;
	int order = memcmp(&x->key, &y->key, sizeof x->key);

	/* the highest of one key first */
	return order		       ? order
	       : x->commit > y->commit ? -1
				       : x->commit < y->commit;
}

void cull_floors(struct cull *cull)
{
	struct cull_floor *floors = (void *)cull->floors.data;
	size_t count = cull->floors.size / sizeof *floors;
	size_t kept = 0;

	if (!count)
		return;
	qsort(floors, count, sizeof *floors, floor_compare);
	for (size_t i = 0; i < count; i++)
		if (!kept || memcmp(&floors[kept - 1].key, &floors[i].key,
				    sizeof floors->key) != 0)
			floors[kept++] = floors[i];
	cull->floors.size = kept * sizeof *floors;
}

void cull_release(struct cull *cull)
{
	rules_release(&cull->rules);
	free(cull->horizons);
	buffer_release(&cull->floors);
}
