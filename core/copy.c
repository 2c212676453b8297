/* SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"
#include "buffer.h"
#include "clock.h"
#include "content.h"
#include "error.h"
#include "cull.h"
#include "retain.h"
#include "marks.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Bytes put before they are committed, and so are on disk: commits elsewhere
 * that make a file longer wait that long.
 */
#define BATCH_BYTES (UINT64_C(4) << 20)

/* What is put out of order makes a page of it, whatever its size. */
enum { PUT_BYTES = 4096 };

struct copying {
	struct copy *copy;
	env_txn *to_txn;
	uint64_t batch_bytes;
	uint64_t done;
	uint64_t total;
	struct disk_state before; /* of the copy */
	struct disk_state now;	  /* of the snapshot */
	int key_scan; /* an id was given and its entity deleted since */
	struct cull cull;
	struct buffer part;  /* of the index by death, as it is copied */
	struct buffer named; /* struct disk_content, of records copied */
	int is_wanted;	     /* the content whose chunks are being copied */
};

static cop_err damaged(const char *what)
{
	return error_set(COP_CORRUPT,
			 "%s is damaged in the data file; `coppice check` says "
			 "which, restore a backup",
			 what);
}

static cop_err failed(int code)
{
	return code == EBADMSG
		   ? damaged("a record")
		   : error_system(code, "cannot copy the data file");
}

static struct bytes state_key(void)
{
	return bytes_of("state", 5);
}

static cop_err state_get(struct env *env, env_txn *txn,
			 struct disk_state *state)
{
	struct bytes value;
	int code = env_get(env, txn, DB_META, state_key(), &value);

	if (code)
		return failed(code);
	if (value.size != sizeof *state)
		return damaged("the store's state");
	memcpy(state, value.data, sizeof *state);
	return 0;
}

static int to_put(struct copying *copying, enum env_db db, struct bytes key,
		  struct bytes value)
{
	int code = used_note(&copying->copy->used, db, key, value);

	copying->batch_bytes += PUT_BYTES;
	return code ? code
		    : env_put(copying->copy->to, copying->to_txn, db, key,
			      value);
}

static int to_delete(struct copying *copying, enum env_db db, struct bytes key)
{
	int code = env_delete(copying->copy->to, copying->to_txn, db, key);

	return code == ENV_ABSENT ? 0 : code;
}

static int from_get(const struct copying *copying, enum env_db db,
		    struct bytes key, struct bytes *value)
{
	return env_get(copying->copy->from, copying->copy->from_txn, db, key,
		       value);
}

/* Commits what was put, if that is a batch. */
static cop_err batch_step(struct copying *copying)
{
	struct copy *copy = copying->copy;
	int code;

	if (copying->batch_bytes < BATCH_BYTES)
		return 0;
	copying->batch_bytes = 0;
	code = env_write_commit(copying->to_txn);
	copying->to_txn = NULL;
	if (!code)
		code = env_write_begin(copy->to, 1, &copying->to_txn);
	if (code)
		return failed(code);
	if (!copying->total || !copy->progress)
		return 0;
	error_clear();
	return error_answer(
	    copy->progress(copy->user, copying->done, copying->total));
}

/* ---- content ------------------------------------------------------------ */

/* Notes the content that a record names. */
static cop_err content_note(struct copying *copying, struct bytes record)
{
	struct disk_content content;

	if (codec_entity_fault(record) || !content_named(record, &content))
		return 0;
	return buffer_put(&copying->named, &content, sizeof content)
		   ? failed(ENOMEM)
		   : 0;
}

/* The same of an entry of a database of records. */
static cop_err entry_note(struct copying *copying, enum env_db db,
			  struct bytes value)
{
	if (db == DB_ENTITIES)
		return content_note(copying, value);
	if (db != DB_ENTITY_VERSIONS || value.size <= DISK_VERSION_HEADER)
		return 0;
	return content_note(
	    copying, bytes_of((const char *)value.data + DISK_VERSION_HEADER,
			      value.size - DISK_VERSION_HEADER));
}

static int content_compare(const void *a, const void *b)
{
	return memcmp(a, b, FORMAT_UUID_BYTES);
}

/* Whether a record names it; `named` is in order. */
static int content_is_named(const struct copying *copying,
			    const struct disk_content_key *key)
{
	size_t count = copying->named.size / sizeof(struct disk_content);

	return count &&
	       bsearch(key->id, copying->named.data, count,
		       sizeof(struct disk_content), content_compare) != NULL;
}

/* Whether it came lately, and an entity may be given it yet. */
static int content_is_fresh(struct bytes value)
{
	struct disk_content_head head;
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (value.size != sizeof head)
		return 0;
	memcpy(&head, value.data, sizeof head);
	return head.added_ns &&
	       (now < head.added_ns || now - head.added_ns < CONTENT_IDLE_NS);
}

static int chunk_put(struct copying *copying, struct bytes key,
		     struct bytes value)
{
	struct disk_content_key parts;
	struct bytes old;
	int code =
	    env_get(copying->copy->to, copying->to_txn, DB_CONTENT, key, &old);

	memcpy(&parts, key.data, sizeof parts);
	if (!code && parts.number) /* a chunk stays as it is, a head does not */
		return 0;
	if (code && code != ENV_ABSENT)
		return code;
	return parts.number && !content_chunk_is_sound(value)
		   ? EBADMSG
		   : to_put(copying, DB_CONTENT, key, value);
}

/* What of a content there is, and the copy lacks. */
static int content_put(struct copying *copying, const void *id)
{
	struct copy *copy = copying->copy;
	struct disk_content_key first = {.number = 0};
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	int code =
	    env_cursor_open(copy->from, copy->from_txn, DB_CONTENT, &cursor);

	if (code)
		return code;
	memcpy(first.id, id, sizeof first.id);
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && key.size == sizeof first &&
	       !content_compare(key.data, id)) {
		code = chunk_put(copying, key, value);
		if (!code)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return code == ENV_ABSENT ? 0 : code;
}

/* Goes through the heads, one for each content. */
static int contents_visit(struct copying *copying,
			  int (*each)(struct copying *copying,
				      const struct disk_content_key *key,
				      struct bytes head))
{
	struct copy *copy = copying->copy;
	struct disk_content_key next = {.number = 0};
	struct bytes key = bytes_of(&next, sizeof next);
	struct bytes value;
	env_cursor *cursor;
	int code =
	    env_cursor_open(copy->from, copy->from_txn, DB_CONTENT, &cursor);

	if (code)
		return code;
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && key.size == sizeof next) {
		memcpy(&next, key.data, sizeof next);
		code = each(copying, &next, value);
		next.number = UINT32_MAX; /* past the last of its chunks */
		key = bytes_of(&next, sizeof next);
		if (!code)
			code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	}
	env_cursor_close(cursor);
	return code == ENV_ABSENT ? 0 : code;
}

static int fresh_put(struct copying *copying,
		     const struct disk_content_key *key, struct bytes head)
{
	return content_is_fresh(head) ? content_put(copying, key->id) : 0;
}

/* What records name that were copied, and what may still be given to some. */
static cop_err contents_forward(struct copying *copying)
{
	const struct disk_content *named = (const void *)copying->named.data;
	int code = contents_visit(copying, fresh_put);

	for (size_t i = 0; !code && i < copying->named.size / sizeof *named;
	     i++)
		code = content_put(copying, named[i].id);
	return code ? failed(code) : 0;
}

/* ---- all ---------------------------------------------------------------- */

/* Whether it is history that no reading asks about any more. */
static int is_over(const struct copying *copying, enum env_db db,
		   struct bytes key, struct bytes value)
{
	uint64_t died;

	if (db < DB_ENTITY_VERSIONS || db == DB_CONTENT ||
	    key.size < sizeof died)
		return 0;
	died = history_version(value);
	if (db == DB_DEATHS)
		died = death_commit(key);
	return died <= copying->now.oldest;
}

/* What a part of the index by death lists and was copied. */
static cop_err part_copied(struct copying *copying, struct bytes *value)
{
	struct death death;
	struct bytes found;
	size_t at = 0;
	size_t from = 0;
	int code;

	copying->part.size = 0;
	while (!(code = death_next(*value, &at, &death))) {
		const char *entry = (const char *)value->data + from;

		if (!env_get(copying->copy->to, copying->to_txn, death.db,
			     version_bytes(&death.version), &found) &&
		    buffer_put(&copying->part, entry, at - from))
			return failed(ENOMEM);
		from = at;
	}
	*value = bytes_of(copying->part.data, copying->part.size);
	return code == ENV_ABSENT ? 0 : damaged("the index by death");
}

/* Whether a chunk, or a head, which comes before its chunks, is. */
static int chunk_is_wanted(struct copying *copying, struct bytes key,
			   struct bytes value)
{
	struct disk_content_key parts;

	if (key.size != sizeof parts)
		return 0;
	memcpy(&parts, key.data, sizeof parts);
	if (!parts.number)
		copying->is_wanted = content_is_fresh(value) ||
				     content_is_named(copying, &parts);
	return copying->is_wanted;
}

/* Whose content it is, as its head says; 0: not known. */
static uint64_t chunk_owner(const struct copying *copying, struct bytes key)
{
	struct disk_content_head head = {0};
	struct disk_content_key parts;
	struct bytes value;

	memcpy(&parts, key.data, sizeof parts);
	parts.number = 0;
	if (!from_get(copying, DB_CONTENT, bytes_of(&parts, sizeof parts),
		      &value) &&
	    value.size == sizeof head)
		memcpy(&head, value.data, sizeof head);
	return head.owner;
}

/* A chunk that is wanted is copied whole or not at all. */
static cop_err chunk_check(const struct copying *copying, struct bytes key,
			   struct bytes value)
{
	struct disk_content_key parts;

	memcpy(&parts, key.data, sizeof parts);
	if (!parts.number || content_chunk_is_sound(value))
		return 0;
	return error_set(COP_CORRUPT,
			 "chunk %u of the content of entity %llu is damaged in "
			 "the data file; put that content again, or restore a "
			 "backup",
			 be32toh(parts.number),
			 (unsigned long long)chunk_owner(copying, key));
}

/* Whether an entry is to be copied; *value may be less of it. */
static cop_err entry_wanted(struct copying *copying, enum env_db db,
			    struct bytes key, struct bytes *value, int *wanted)
{
	cop_err err = 0;

	if (db == DB_CONTENT) {
		*wanted = chunk_is_wanted(copying, key, *value);
		return *wanted ? chunk_check(copying, key, *value) : 0;
	}
	/* the databases themselves are entries of the main one */
	*wanted = db != DB_META && !is_over(copying, db, key, *value);
	if (db == DB_NAMES || db == DB_SYMBOLS)
		*wanted = used_names(&copying->copy->used, db, key, *value);
	if (!*wanted || db < DB_ENTITY_VERSIONS)
		return 0;
	if (db != DB_DEATHS)
		return cull_version(&copying->cull, db, key, *value, wanted);
	if (copying->cull.is_needed)
		err = part_copied(copying, value);
	*wanted = value->size != 0;
	return err;
}

/* Counts what is left out. */
static void entry_dropped(struct copying *copying, enum env_db db)
{
	if (db >= DB_ENTITY_VERSIONS && db <= DB_MEMBER_VERSIONS &&
	    db != DB_EDGE_IN_VERSIONS)
		copying->copy->versions_dropped++;
	if (db == DB_NAMES)
		copying->copy->names_dropped++;
}

static cop_err entry_copy(struct copying *copying, enum env_db db,
			  struct bytes key, struct bytes value)
{
	int wanted;
	int code;
	cop_err err = entry_wanted(copying, db, key, &value, &wanted);

	if (err || !wanted) {
		entry_dropped(copying, db);
		return err;
	}
	code = used_note(&copying->copy->used, db, key, value);
	if (code)
		return failed(code);
	err = entry_note(copying, db, value);
	if (err)
		return err;
	code = env_append(copying->copy->to, copying->to_txn, db, key, value);
	if (code)
		return failed(code);
	copying->done++;
	copying->batch_bytes += key.size + value.size;
	return batch_step(copying);
}

static cop_err database_copy(struct copying *copying, enum env_db db)
{
	struct copy *copy = copying->copy;
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(copy->from, copy->from_txn, db, &cursor);

	if (code)
		return failed(code);
	code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	while (!code && !err) {
		err = entry_copy(copying, db, key, value);
		if (!err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code != ENV_ABSENT ? failed(code) : err;
}

static int meta_copy_one(struct copying *copying, struct bytes key)
{
	struct bytes value;
	int code = from_get(copying, DB_META, key, &value);

	return code ? code : to_put(copying, DB_META, key, value);
}

/* Where a copy is brought up to date there may be none any more. */
static int marks_copy(struct copying *copying)
{
	int code = to_delete(copying, DB_META, marks_key());

	if (!code)
		code = meta_copy_one(copying, marks_key());
	return code == ENV_ABSENT ? 0 : code;
}

static cop_err meta_copy(struct copying *copying)
{
	int code = meta_copy_one(copying, bytes_of("store", 5));

	if (!code)
		code = meta_copy_one(copying, bytes_of("retention", 9));
	if (!code)
		code = marks_copy(copying);
	if (!code)
		code = to_put(copying, DB_META, state_key(),
			      bytes_of(&copying->now, sizeof copying->now));
	return code ? failed(code) : 0;
}

static cop_err copying_end(struct copying *copying, cop_err err)
{
	int code;

	if (!copying->to_txn)
		return err;
	if (err) {
		env_write_abort(copying->to_txn);
		return err;
	}
	code = env_write_commit(copying->to_txn);
	return code ? failed(code) : 0;
}

/* Whose history lacks something, and the newest commit up to which. */
static cop_err floors_put(struct copying *copying)
{
	const struct cull_floor *floors;
	size_t count;

	cull_floors(&copying->cull);
	floors = (const void *)copying->cull.floors.data;
	count = copying->cull.floors.size / sizeof *floors;
	for (size_t i = 0; i < count; i++) {
		struct bytes key =
		    bytes_of(&floors[i].key, sizeof floors[i].key);
		struct bytes old;
		int code = env_get(copying->copy->to, copying->to_txn,
				   DB_FLOORS, key, &old);

		if (!code && history_version(old) >= floors[i].commit)
			continue;
		if (code && code != ENV_ABSENT)
			return failed(code);
		code = to_put(
		    copying, DB_FLOORS, key,
		    bytes_of(&floors[i].commit, sizeof floors[i].commit));
		if (code)
			return failed(code);
		if (floors[i].commit > copying->now.whole)
			copying->now.whole = floors[i].commit;
	}
	return 0;
}

/* After everything that may have a name in it. */
static cop_err dictionary_copy(struct copying *copying)
{
	struct bytes rules;
	int code = from_get(copying, DB_META, bytes_of("retention", 9), &rules);
	cop_err err;

	if (!code)
		code = used_rules(&copying->copy->used, rules);
	if (code)
		return failed(code);
	err = database_copy(copying, DB_NAMES);
	if (!err)
		err = database_copy(copying, DB_SYMBOLS);
	if (!err && copying->copy->names_dropped)
		copying->now.names_dropped = copying->now.commit;
	return err;
}

cop_err copy_all(struct copy *copy)
{
	struct copying copying = {.copy = copy};
	cop_err err = state_get(copy->from, copy->from_txn, &copying.now);
	uint64_t count;
	int code = 0;

	if (err)
		return err;
	for (int db = DB_META + 1; !code && db < DB_COUNT; db++) {
		code = env_count(copy->from, copy->from_txn, (enum env_db)db,
				 &count);
		copying.total += count;
	}
	if (!code)
		code = env_write_begin(copy->to, 1, &copying.to_txn);
	if (code)
		return failed(code);
	err = cull_begin(&copying.cull, copy->from, copy->from_txn, copy->keep,
			 &copying.now);
	for (int db = DB_META + 1; !err && db < DB_CONTENT; db++)
		if (db != DB_NAMES && db != DB_SYMBOLS)
			err = database_copy(&copying, (enum env_db)db);
	if (!err)
		err = dictionary_copy(&copying);
	if (copying.named.size)
		qsort(copying.named.data,
		      copying.named.size / sizeof(struct disk_content),
		      sizeof(struct disk_content), content_compare);
	if (!err)
		err = database_copy(&copying, DB_CONTENT);
	if (!err)
		err = floors_put(&copying);
	if (!err)
		err = meta_copy(&copying);
	err = copying_end(&copying, err);
	cull_release(&copying.cull);
	buffer_release(&copying.part);
	buffer_release(&copying.named);
	return err;
}

/* ---- what was touched --------------------------------------------------- */

static int id_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* One commit's record comes over, and the ids in it are added. */
static cop_err op_forward(struct copying *copying, uint64_t commit,
			  struct buffer *ids)
{
	struct bytes key = bytes_of(&commit, sizeof commit);
	struct disk_op op;
	struct bytes value;
	int code = from_get(copying, DB_OPS, key, &value);

	if (code == ENV_ABSENT)
		return error_set(COP_TOO_OLD,
				 "the operation record of commit %llu is not "
				 "kept any more; start again",
				 (unsigned long long)commit);
	if (code)
		return failed(code);
	if (value.size < sizeof op)
		return damaged("an operation record");
	memcpy(&op, value.data, sizeof op);
	if (op.touched > (value.size - sizeof op) / sizeof(uint32_t))
		return damaged("an operation record");
	if (buffer_put(ids, (const char *)value.data + sizeof op,
		       op.touched * sizeof(uint32_t)))
		return failed(ENOMEM);
	code = to_put(copying, DB_OPS, key, value);
	return code ? failed(code) : 0;
}

static void ids_unique(struct buffer *ids)
{
	uint32_t *list = (uint32_t *)(void *)ids->data;
	size_t count = ids->size / sizeof *list;
	size_t kept = 0;

	if (!count)
		return;
	qsort(list, count, sizeof *list, id_compare);
	for (size_t i = 0; i < count; i++)
		if (!kept || list[kept - 1] != list[i])
			list[kept++] = list[i];
	ids->size = kept * sizeof *list;
}

/* ---- an entity that was touched ----------------------------------------- */

/* What members lists an entity is in, by its record. */
static cop_err members_forward(struct copying *copying, uint64_t id,
			       struct bytes record, int add)
{
	const struct disk_entity *head = record.data;
	cop_err err = codec_entity_check(record);
	int code = 0;

	for (uint32_t i = head->type ? 0 : 1;
	     !err && !code && i <= head->tag_count; i++) {
		struct disk_member_key member = format_member_key(
		    i ? codec_tags(head)[i - 1] : head->type, id);
		struct bytes key = bytes_of(&member, sizeof member);
		struct bytes value;

		if (!add) {
			code = to_delete(copying, DB_MEMBERS, key);
			continue;
		}
		code = from_get(copying, DB_MEMBERS, key, &value);
		if (!code)
			code = to_put(copying, DB_MEMBERS, key, value);
	}
	return code ? failed(code) : err;
}

static cop_err record_forward(struct copying *copying, enum env_db db,
			      uint64_t id)
{
	struct bytes key = bytes_of(&id, sizeof id);
	struct bytes value;
	int code = from_get(copying, db, key, &value);

	if (code == ENV_ABSENT)
		code = to_delete(copying, db, key);
	else if (!code)
		code = to_put(copying, db, key, value);
	return code ? failed(code) : 0;
}

static cop_err entity_forward(struct copying *copying, uint64_t id)
{
	struct copy *copy = copying->copy;
	struct bytes key = bytes_of(&id, sizeof id);
	const struct disk_entity *head;
	struct bytes record;
	cop_err err = 0;
	int code =
	    env_get(copy->to, copying->to_txn, DB_ENTITIES, key, &record);

	if (!code) {
		/* a private copy: LMDB moves it at the next put */
		struct buffer old = {0};

		code = buffer_put(&old, record.data, record.size);
		if (!code)
			err = members_forward(copying, id,
					      bytes_of(old.data, old.size), 0);
		buffer_release(&old);
	} else if (code == ENV_ABSENT) {
		code = 0;
	}
	if (code || err)
		return code ? failed(code) : err;
	code = from_get(copying, DB_ENTITIES, key, &record);
	if (code && code != ENV_ABSENT)
		return failed(code);
	if (code)
		copying->key_scan |= id >= copying->before.next_entity;
	if (!code) {
		err = members_forward(copying, id, record, 1);
		if (!err)
			err = content_note(copying, record);
		head = record.data;
		if (!err)
			code = to_put(copying, DB_KEYS,
				      bytes_of(head->key, head->key_size), key);
		if (code)
			return failed(code);
	}
	if (!err)
		err = record_forward(copying, DB_ENTITIES, id);
	return err ? err : record_forward(copying, DB_VECTORS, id);
}

/* ---- its edges ---------------------------------------------------------- */

static cop_err range_collect(struct env *env, env_txn *txn, enum env_db db,
			     uint64_t id, struct buffer *keys)
{
	struct disk_edge_key first = format_edge_first(id);
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	int code = env_cursor_open(env, txn, db, &cursor);

	if (code)
		return failed(code);
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && key.size == sizeof first &&
	       !memcmp(key.data, &first, 8)) {
		code = buffer_put(keys, key.data, key.size);
		if (!code)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return code && code != ENV_ABSENT ? failed(code) : 0;
}

static cop_err edges_forward(struct copying *copying, enum env_db db,
			     uint64_t id)
{
	struct copy *copy = copying->copy;
	struct buffer old = {0};
	struct buffer now = {0};
	size_t step = sizeof(struct disk_edge_key);
	cop_err err = range_collect(copy->to, copying->to_txn, db, id, &old);
	struct bytes value;
	int code = 0;

	if (!err)
		err = range_collect(copy->from, copy->from_txn, db, id, &now);
	for (size_t at = 0; !err && !code && at < old.size; at += step)
		code = to_delete(copying, db, bytes_of(old.data + at, step));
	for (size_t at = 0; !err && !code && at < now.size; at += step) {
		struct bytes key = bytes_of(now.data + at, step);

		code = from_get(copying, db, key, &value);
		if (!code)
			code = to_put(copying, db, key, value);
	}
	buffer_release(&old);
	buffer_release(&now);
	return code ? failed(code) : err;
}

/* ---- what hangs on no entity -------------------------------------------- */

/* Keys of ids given since; of entities deleted again no record says it. */
static cop_err keys_forward(struct copying *copying)
{
	struct copy *copy = copying->copy;
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	uint64_t id = 0;
	int code;

	if (!copying->key_scan)
		return 0;
	code = env_cursor_open(copy->from, copy->from_txn, DB_KEYS, &cursor);
	if (code)
		return failed(code);
	code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	while (!code) {
		if (value.size == sizeof id)
			memcpy(&id, value.data, sizeof id);
		if (id >= copying->before.next_entity)
			code = to_put(copying, DB_KEYS, key, value);
		if (!code)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return code != ENV_ABSENT ? failed(code) : 0;
}

/* Of few entries, all of which may have changed, those of names in use. */
static cop_err names_forward(struct copying *copying, enum env_db db)
{
	struct copy *copy = copying->copy;
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	struct bytes old;
	env_cursor *cursor;
	int code = env_cursor_open(copy->from, copy->from_txn, db, &cursor);

	if (code)
		return failed(code);
	code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	while (!code) {
		if (used_names(&copy->used, db, key, value) &&
		    (env_get(copy->to, copying->to_txn, db, key, &old) ||
		     old.size != value.size ||
		     memcmp(old.data, value.data, old.size) != 0))
			code = to_put(copying, db, key, value);
		if (!code)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return code != ENV_ABSENT ? failed(code) : 0;
}

/* ---- history ------------------------------------------------------------ */

static int version_forward(struct copying *copying, enum env_db db,
			   const struct version_key *key)
{
	struct bytes value;
	int code = from_get(copying, db, version_bytes(key), &value);

	if (!code && entry_note(copying, db, value))
		code = ENOMEM;
	return code ? code : to_put(copying, db, version_bytes(key), value);
}

/* The versions that a part of the index by death lists. */
static int part_forward(struct copying *copying, struct bytes part)
{
	struct death death;
	size_t at = 0;
	int code;

	while (!(code = death_next(part, &at, &death))) {
		code = version_forward(copying, death.db, &death.version);
		if (!code && death.has_in)
			code = version_forward(copying, DB_EDGE_IN_VERSIONS,
					       &death.in);
		if (code)
			return code;
	}
	return code == ENV_ABSENT ? 0 : code;
}

/* What has ended since, and the index of it. */
static cop_err deaths_forward(struct copying *copying)
{
	struct copy *copy = copying->copy;
	struct disk_death_key first = {.part = 0};
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code =
	    env_cursor_open(copy->from, copy->from_txn, DB_DEATHS, &cursor);

	if (code)
		return failed(code);
	format_split(first.died, copying->before.commit + 1);
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && !err) {
		code = part_forward(copying, value);
		if (!code)
			code = to_put(copying, DB_DEATHS, key, value);
		if (!code)
			err = batch_step(copying);
		if (!code && !err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code != ENV_ABSENT ? failed(code) : err;
}

static cop_err history_forward(struct copying *copying)
{
	cop_err err = deaths_forward(copying);
	int code = err ? 0
		       : retain_drop(copying->copy->to, copying->to_txn,
				     copying->now.oldest, UINT64_MAX, NULL);

	return code ? failed(code) : err;
}

/* ---- forward ------------------------------------------------------------ */

static cop_err touched_forward(struct copying *copying)
{
	struct buffer ids = {0};
	cop_err err = 0;

	for (uint64_t commit = copying->before.commit + 1;
	     !err && commit <= copying->now.commit; commit++)
		err = op_forward(copying, commit, &ids);
	if (!err)
		ids_unique(&ids);
	for (size_t i = 0; !err && i < ids.size / sizeof(uint32_t); i++) {
		uint64_t id = ((const uint32_t *)(void *)ids.data)[i];

		err = entity_forward(copying, id);
		if (!err)
			err = edges_forward(copying, DB_EDGES, id);
		if (!err)
			err = edges_forward(copying, DB_EDGES_IN, id);
		if (!err)
			err = batch_step(copying);
	}
	buffer_release(&ids);
	return err;
}

/* After everything that may have a name in it. */
static cop_err dictionary_forward(struct copying *copying)
{
	struct bytes rules;
	cop_err err;
	int code = from_get(copying, DB_META, bytes_of("retention", 9), &rules);

	if (!code)
		code = used_rules(&copying->copy->used, rules);
	if (code)
		return failed(code);
	err = names_forward(copying, DB_NAMES);
	return err ? err : names_forward(copying, DB_SYMBOLS);
}

cop_err copy_forward(struct copy *copy)
{
	struct copying copying = {.copy = copy};
	cop_err err = state_get(copy->from, copy->from_txn, &copying.now);
	int code;

	if (err)
		return err;
	code = env_write_begin(copy->to, 1, &copying.to_txn);
	if (code)
		return failed(code);
	err = state_get(copy->to, copying.to_txn, &copying.before);
	if (!err && copying.before.whole > copying.now.whole)
		copying.now.whole = copying.before.whole;
	if (!err && copying.before.oldest > copying.now.oldest)
		copying.now.oldest = copying.before.oldest;
	if (!err && copy->names_dropped)
		copying.now.names_dropped = copying.now.commit;
	copy->commits = err ? 0 : copying.now.commit - copying.before.commit;
	if (!err && !copy->commits) {
		env_write_abort(copying.to_txn);
		return 0;
	}
	if (!err)
		err = touched_forward(&copying);
	if (!err)
		err = keys_forward(&copying);
	if (!err)
		err = history_forward(&copying);
	if (!err)
		err = dictionary_forward(&copying);
	if (!err)
		err = contents_forward(&copying);
	if (!err)
		err = meta_copy(&copying);
	buffer_release(&copying.named);
	return copying_end(&copying, err);
}

void copy_release(struct copy *copy)
{
	used_release(&copy->used);
}
