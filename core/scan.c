/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans: all entities, or those of a type or tag, in constant memory.
 *
 * idea
 *	Without a filter a scan runs a cursor over the records; with one, over
 *	the list of that type's or tag's members, which is sorted by id, and
 *	fetches each.  With both, the tag is tested on the record.  Threads
 *	take equal ranges of ids and share the read's snapshot.
 */
#include "past.h"

typedef int32_t scan_visit(void *user, uint32_t thread, cop_read *read,
			   const struct cop_entity *entity);

struct scan {
	cop_read *read;
	uint32_t member; /* whose list is run through, 0: all */
	uint32_t tag;	 /* tested on each, 0: none */
	uint32_t threads;
	scan_visit *visit;
	void *user;
};

static int has_tag(const struct cop_entity *entity, uint32_t tag)
{
	const uint32_t *tags = codec_tags(entity->record);

	for (uint32_t i = 0; i < entity->tag_count; i++)
		if (tags[i] == tag)
			return 1;
	return 0;
}

static cop_err scan_one(const struct scan *scan, cop_read *copy,
			uint32_t thread, uint64_t id, struct bytes record)
{
	struct cop_entity entity;
	cop_err err = codec_entity_check(record);

	if (!err)
		err = read_entity_view(id, record, &entity);
	if (err || (scan->tag && !has_tag(&entity, scan->tag)))
		return err;
	if (scan->visit(scan->user, thread, copy, &entity))
		err = error_set(COP_STOPPED, "stopped by the caller");
	if (copy->arena.blocks)
		arena_release(&copy->arena);
	return err;
}

static cop_err scan_entities(const struct scan *scan, cop_read *copy,
			     uint32_t thread, uint64_t from, uint64_t to)
{
	struct past past = past_of(copy);
	struct past_range range;
	struct bytes key;
	struct bytes value;
	cop_err err = 0;
	int code = past_open(&range, &past, DB_ENTITIES,
			     bytes_of(&from, sizeof from), 0);

	if (code)
		return error_system(code, "cannot scan");
	while (!err && !(code = past_next(&range, &key, &value))) {
		uint64_t id;

		memcpy(&id, key.data, sizeof id);
		if (id >= to)
			break;
		err = scan_one(scan, copy, thread, id, value);
	}
	past_close(&range);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot scan")
		   : err;
}

static cop_err scan_members(const struct scan *scan, cop_read *copy,
			    uint32_t thread, uint64_t from, uint64_t to)
{
	struct disk_member_key first = format_member_key(scan->member, from);
	struct past past = past_of(copy);
	struct past_range range;
	struct disk_member_key at;
	struct bytes key;
	struct bytes value;
	cop_err err = 0;
	int code = past_open(&range, &past, DB_MEMBERS,
			     bytes_of(&first, sizeof first), sizeof first.name);

	if (code)
		return error_system(code, "cannot scan");
	while (!err && !(code = past_next(&range, &key, &value)) &&
	       key.size == sizeof at) {
		uint64_t id;

		memcpy(&at, key.data, sizeof at);
		id = format_join(at.id);
		if (id >= to)
			break;
		err = read_entity_record(copy, id, &value);
		if (!err && value.data)
			err = scan_one(scan, copy, thread, id, value);
	}
	past_close(&range);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot scan")
		   : err;
}

static cop_err scan_part(void *user, uint32_t thread)
{
	const struct scan *scan = user;
	uint64_t ids = scan->read->state.next_entity;
	uint64_t from = ids * thread / scan->threads;
	uint64_t to = ids * (thread + (uint64_t)1) / scan->threads;
	cop_read copy;
	cop_err err;

	read_copy(scan->read, &copy);
	err = scan->member ? scan_members(scan, &copy, thread, from, to)
			   : scan_entities(scan, &copy, thread, from, to);
	read_copy_end(&copy);
	return err;
}

/* *number stays 0 for no name; a name never seen: *none. */
static cop_err name_want(cop_read *read, enum name_space space,
			 const char *name, uint32_t *number, int *none)
{
	cop_err err;

	if (!name)
		return 0;
	err = read_symbol(read, space, name, strlen(name), number);
	if (!err && !*number)
		*none = 1;
	return err;
}

cop_err cop_scan(cop_read *read, const char *type, const char *tag,
		 uint32_t threads, scan_visit *visit, void *user)
{
	struct scan scan = {.read = read,
			    .threads =
				threads_for(threads, read->state.next_entity),
			    .visit = visit,
			    .user = user};
	int none = 0;
	int code;
	cop_err err = read_check(read);

	if (!err)
		err = name_want(read, NAME_TYPE, type, &scan.member, &none);
	if (!err)
		err = name_want(read, NAME_TAG, tag, &scan.tag, &none);
	if (err || none)
		return err;
	if (!scan.member) {
		scan.member = scan.tag;
		scan.tag = 0;
	}
	code = env_read_warm(read->env, read->txn);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	slot_role_set(&read->store->slots, read->slot, SLOT_SCAN);
	err = threads_run(scan.threads, scan_part, &scan);
	if (process_is(read->process)) /* no child that visit has forked */
		slot_role_set(&read->store->slots, read->slot, SLOT_READ);
	return err;
}

/* ---- in order of keys --------------------------------------------------- */

static cop_err key_visit(cop_read *read, struct bytes value,
			 int32_t (*visit)(void *user, cop_read *read,
					  const struct cop_entity *entity),
			 void *user)
{
	struct cop_entity entity;
	struct bytes record;
	uint64_t id = 0;
	cop_err err;

	memcpy(&id, value.data, value.size < 8 ? value.size : 8);
	err = read_entity_record(read, id, &record);
	if (!err && record.data)
		err = read_entity_view(id, record, &entity);
	if (!err && record.data && visit(user, read, &entity))
		err = error_set(COP_STOPPED, "stopped by the caller");
	return err;
}

cop_err cop_keys(cop_read *read, const void *prefix, size_t prefix_size,
		 int32_t (*visit)(void *user, cop_read *read,
				  const struct cop_entity *entity),
		 void *user)
{
	struct bytes key = bytes_of(prefix, prefix_size);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = read_check(read);
	int code;

	if (!err && prefix_size > COP_KEY_BYTES)
		err = error_set(COP_BAD_KEY,
				"a prefix has %zu bytes; it may have %d",
				prefix_size, COP_KEY_BYTES);
	if (err)
		return err;
	code = env_cursor_open(read->env, read->txn, DB_KEYS, &cursor);
	if (code)
		return error_system(code, "cannot scan");
	code = env_cursor_move(cursor, prefix_size ? ENV_SEEK : ENV_NEXT, &key,
			       &value);
	while (!code && !err && key.size >= prefix_size &&
	       !memcmp(key.data, prefix_size ? prefix : "", prefix_size)) {
		err = key_visit(read, value, visit, user);
		if (!err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot scan")
		   : err;
}
