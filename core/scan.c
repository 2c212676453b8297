/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans and selections: all entities, or those with some type and tags, in
 * constant memory.
 *
 * idea
 *	Who has a type or a tag is listed in LMDB, in order of id.  A selection
 *	runs through the shortest list of those that every match is in, or
 *	through the lists of those of which a match is in one, and tests the
 *	rest on each record; without any, a cursor runs over all records.
 *	Threads take equal ranges of ids and share the read's snapshot.
 */
#include "past.h"

#include <stdlib.h>

typedef int32_t scan_visit(void *user, uint32_t thread, cop_read *read,
			   const struct cop_entity *entity);

/* Numbers of names; those that the store has never seen are left out. */
struct name_set {
	uint32_t *names;
	uint32_t count;
	uint32_t missing;
	uint64_t uses; /* of all of them */
};

struct scan {
	cop_read *read;
	uint32_t type; /* 0: any */
	struct name_set all;
	struct name_set any; /* empty: any will do */
	struct name_set none;
	const void *prefix;
	size_t prefix_size;
	uint32_t member; /* whose list is run through, 0: see by_any */
	int by_any;	 /* through the lists of `any`; else all records */
	uint32_t threads;
	scan_visit *visit;
	void *user;
	_Atomic uint64_t records; /* that were run through, of all */
};

/* ---- which -------------------------------------------------------------- */

/* How many of the first `count` names of a set a record has. */
static uint32_t has_of(const struct disk_entity *record,
		       const struct name_set *set, uint32_t count)
{
	uint32_t has = 0;

	for (uint32_t i = 0; i < count; i++)
		has += (uint32_t)codec_has_tag(record, set->names[i]);
	return has;
}

/* at: the list of `any` that it was found in; those before have had it. */
static int passes(const struct scan *scan, const struct disk_entity *record,
		  uint32_t at)
{
	if (scan->type && record->type != scan->type)
		return 0;
	if (scan->prefix_size &&
	    (record->key_size < scan->prefix_size ||
	     memcmp(record->key, scan->prefix, scan->prefix_size) != 0))
		return 0;
	if (has_of(record, &scan->all, scan->all.count) != scan->all.count ||
	    has_of(record, &scan->none, scan->none.count))
		return 0;
	if (scan->by_any) /* a list has those, too, that have it at a time */
		return !has_of(record, &scan->any, at) &&
		       codec_has_tag(record, scan->any.names[at]);
	return !scan->any.count || has_of(record, &scan->any, scan->any.count);
}

static cop_err scan_one(const struct scan *scan, cop_read *copy,
			uint32_t thread, uint64_t id, struct bytes record,
			uint32_t at)
{
	struct cop_entity entity;
	cop_err err = read_entity_view(id, record, &entity);

	if (err || !passes(scan, record.data, at))
		return err;
	error_clear();
	err = error_answer(scan->visit(scan->user, thread, copy, &entity));
	if (copy->arena.blocks)
		arena_release(&copy->arena);
	return err;
}

/* ---- running through ---------------------------------------------------- */

static cop_err scan_entities(struct scan *scan, cop_read *copy, uint32_t thread,
			     uint64_t from, uint64_t to)
{
	struct past past = past_of(copy);
	struct past_range range;
	struct bytes key;
	struct bytes value;
	uint64_t records = 0;
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
		records++;
		err = codec_entity_check(value);
		if (!err)
			err = read_entity_narrow(copy, &value);
		if (!err)
			err = scan_one(scan, copy, thread, id, value, 0);
	}
	past_close(&range);
	/* relaxed: read when all threads are joined */
	atomic_fetch_add_explicit(&scan->records, records,
				  memory_order_relaxed);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot scan")
		   : err;
}

/* A damaged page may lose some without a word. */
static cop_err records_check(const struct scan *scan)
{
	const cop_read *read = scan->read;
	uint64_t found =
	    atomic_load_explicit(&scan->records, memory_order_relaxed);

	if (scan->member || scan->by_any || read_is_past(read) ||
	    found == read->state.entities)
		return 0;
	return error_set(COP_CORRUPT,
			 "%s: the data file has %llu of %llu entities; "
			 "`coppice check` says what else is damaged",
			 read->store->path, (unsigned long long)found,
			 (unsigned long long)read->state.entities);
}

/* at: of `any`, which list it is */
static cop_err scan_members(const struct scan *scan, cop_read *copy,
			    uint32_t thread, uint64_t from, uint64_t to,
			    uint32_t name, uint32_t list)
{
	struct disk_member_key first = format_member_key(name, from);
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
			err = scan_one(scan, copy, thread, id, value, list);
	}
	past_close(&range);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot scan")
		   : err;
}

static cop_err scan_part(void *user, uint32_t thread)
{
	struct scan *scan = user;
	uint64_t ids = scan->read->state.next_entity;
	uint64_t from = ids * thread / scan->threads;
	uint64_t to = ids * (thread + (uint64_t)1) / scan->threads;
	cop_read copy;
	cop_err err = 0;

	read_copy(scan->read, &copy);
	if (scan->member)
		err = scan_members(scan, &copy, thread, from, to, scan->member,
				   0);
	else if (!scan->by_any)
		err = scan_entities(scan, &copy, thread, from, to);
	for (uint32_t i = 0; scan->by_any && i < scan->any.count && !err; i++)
		err = scan_members(scan, &copy, thread, from, to,
				   scan->any.names[i], i);
	read_copy_end(&copy);
	return err;
}

/* ---- names -------------------------------------------------------------- */

static cop_err name_use(cop_read *read, enum name_space space, const char *text,
			uint32_t *number, struct name_use *use)
{
	cop_err err = read_symbol(read, space, text, strlen(text), number);

	*use = (struct name_use){0};
	return err || !*number ? err
			       : dict_use(read->env, read->txn, *number, use);
}

static cop_err set_fill(cop_read *read, const char *const *texts,
			uint32_t count, struct name_set *set)
{
	cop_err err = 0;

	if (!count)
		return 0;
	if (count > COP_FILTER_TAGS || !texts)
		return error_set(COP_TOO_LARGE,
				 "%u tags to select by; at most %d may be "
				 "given",
				 count, COP_FILTER_TAGS);
	for (uint32_t i = 0; i < count && !err; i++) {
		struct name_use use;

		err = name_use(read, NAME_TAG, texts[i],
			       &set->names[set->count], &use);
		set->uses += use.count;
		if (set->names[set->count])
			set->count++;
		else
			set->missing++;
	}
	return err;
}

/* The shortest list that all matches are in, or the lists of `any`. */
static cop_err list_choose(struct scan *scan, uint64_t type_uses)
{
	cop_read *read = scan->read;
	uint64_t least = UINT64_MAX;
	cop_err err = 0;

	if (scan->type) {
		scan->member = scan->type;
		least = type_uses;
	}
	for (uint32_t i = 0; i < scan->all.count && !err; i++) {
		struct name_use use;

		err = dict_use(read->env, read->txn, scan->all.names[i], &use);
		if (use.count < least) {
			least = use.count;
			scan->member = scan->all.names[i];
		}
	}
	if (scan->any.count && scan->any.uses < least) {
		scan->member = 0;
		scan->by_any = 1;
	}
	return err;
}

/* *nobody: a name that the store has never seen rules everybody out. */
static cop_err names_find(struct scan *scan, const struct cop_select *select,
			  int *nobody)
{
	struct name_use use = {0};
	cop_err err = 0;

	if (select->type)
		err = name_use(scan->read, NAME_TYPE, select->type, &scan->type,
			       &use);
	if (!err)
		err = set_fill(scan->read, select->all, select->all_count,
			       &scan->all);
	if (!err)
		err = set_fill(scan->read, select->any, select->any_count,
			       &scan->any);
	if (!err)
		err = set_fill(scan->read, select->none, select->none_count,
			       &scan->none);
	*nobody = (select->type && !scan->type) || scan->all.missing ||
		  (select->any_count && !scan->any.count);
	return err ? err : list_choose(scan, use.count);
}

/* ---- the calls ---------------------------------------------------------- */

static cop_err scan_run(struct scan *scan)
{
	cop_read *read = scan->read;
	cop_err err;
	int code = env_read_warm(read->env, read->txn);

	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	slot_role_set(&read->store->slots, read->slot, SLOT_SCAN);
	err = threads_run(scan->threads, scan_part, scan);
	if (process_is(read->process)) /* no child that visit has forked */
		slot_role_set(&read->store->slots, read->slot, SLOT_READ);
	return err ? err : records_check(scan);
}

/* A selection by keys alone goes through these. */
struct by_key {
	scan_visit *visit;
	void *user;
};

static int32_t key_select(void *user, cop_read *read,
			  const struct cop_entity *entity)
{
	const struct by_key *by_key = user;

	return by_key->visit(by_key->user, 0, read, entity);
}

cop_err cop_select(cop_read *read, const struct cop_select *select,
		   scan_visit *visit, void *user)
{
	uint32_t names[3][COP_FILTER_TAGS + 1] = {{0}};
	struct scan scan = {.read = read, .visit = visit, .user = user};
	struct by_key by_key = {visit, user};
	int nobody = 0;
	cop_err err = read_check(read);

	if (!err && (!select || select->size != sizeof *select))
		err = error_set(COP_INVALID,
				"the selection is of another size; set .size "
				"to its sizeof");
	if (err)
		return err;
	scan.all.names = names[0];
	scan.any.names = names[1];
	scan.none.names = names[2];
	scan.prefix = select->prefix;
	scan.prefix_size = select->prefix ? select->prefix_size : 0;
	scan.threads = threads_for(select->threads, read->state.next_entity);
	err = names_find(&scan, select, &nobody);
	if (err || nobody)
		return err;
	if (scan.prefix_size && !scan.member && !scan.by_any &&
	    !scan.none.count)
		return cop_keys(read, select->prefix, select->prefix_size,
				key_select, &by_key);
	return scan_run(&scan);
}

cop_err cop_scan(cop_read *read, const char *type, const char *tag,
		 uint32_t threads, scan_visit *visit, void *user)
{
	struct cop_select select = {.size = sizeof select,
				    .threads = threads,
				    .type = type,
				    .all = &tag,
				    .all_count = tag != NULL};

	return cop_select(read, &select, visit, user);
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
	if (err || !record.data)
		return err;
	error_clear();
	return error_answer(visit(user, read, &entity));
}

cop_err cop_keys(cop_read *read, const void *prefix, size_t prefix_size,
		 int32_t (*visit)(void *user, cop_read *read,
				  const struct cop_entity *entity),
		 void *user)
{
	struct bytes key = bytes_of(prefix, prefix_size);
	struct bytes value;
	env_cursor *cursor;
	cop_read copy; /* whose memory is given back after each visit */
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
	read_copy(read, &copy);
	code = env_cursor_move(cursor, prefix_size ? ENV_SEEK : ENV_NEXT, &key,
			       &value);
	while (!code && !err && key.size >= prefix_size &&
	       !memcmp(key.data, prefix_size ? prefix : "", prefix_size)) {
		err = key_visit(&copy, value, visit, user);
		arena_release(&copy.arena);
		if (!err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	read_copy_end(&copy);
	env_cursor_close(cursor);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot scan")
		   : err;
}
