/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"
#include "apply_edge.h"
#include "content.h"
#include "timed.h"
#include "undelete.h"
#include "marks.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

cop_err apply_no_memory(void)
{
	return error_system(ENOMEM, "no memory to commit; commit in smaller "
				    "parts");
}

cop_err apply_failed(const struct apply *apply, int err)
{
	if (err == ENV_ABSENT)
		return error_set(COP_CORRUPT,
				 "%s: an index lacks what a record names: the "
				 "data file is damaged; `coppice check "
				 "--repair` mends it",
				 apply->store->path);
	return error_system(err, "%s: cannot write", apply->store->path);
}

int apply_get(const struct apply *apply, enum env_db db, struct bytes key,
	      struct bytes *value)
{
	return env_get(apply->store->env, apply->txn, db, key, value);
}

int apply_put(const struct apply *apply, enum env_db db, struct bytes key,
	      struct bytes value)
{
	return env_put(apply->store->env, apply->txn, db, key, value);
}

static int del(const struct apply *apply, enum env_db db, struct bytes key)
{
	int err = env_delete(apply->store->env, apply->txn, db, key);

	return err == ENV_ABSENT ? 0 : err;
}

static struct bytes id_key(const uint64_t *id)
{
	return bytes_of(id, sizeof *id);
}

/* ---- changes ------------------------------------------------------------ */

/* How an entity stands in LMDB, before this write touches it. */
static cop_err change_begin(struct apply *apply, struct change *change)
{
	struct bytes record;
	const struct disk_entity *head;
	cop_err err;
	int code = apply_get(apply, DB_ENTITIES, id_key(&change->id), &record);

	if (code == ENV_ABSENT)
		return 0;
	if (code)
		return apply_failed(apply, code);
	err = codec_entity_check(record);
	if (err)
		return err;
	head = record.data;
	change->alive = 1;
	change->type = head->type;
	change->signature = codec_signature(codec_tags(head), head->tag_count);
	return 0;
}

/* Spreads ids over the map: Fibonacci hashing. */
static uint64_t id_hash(uint64_t id)
{
	return id * UINT64_C(0x9e3779b97f4a7c15);
}

struct change *apply_find(const struct apply *apply, uint64_t id)
{
	struct hashmap_cursor cursor = {.hash = id_hash(id)};
	uint32_t index;

	while (hashmap_next(&apply->change_map, &cursor, &index))
		if (apply_change(apply, index)->id == id)
			return apply_change(apply, index);
	return NULL;
}

cop_err apply_change_of(struct apply *apply, uint64_t id, struct change **out)
{
	struct change change = {.id = id};
	uint32_t index;
	cop_err err;

	*out = apply_find(apply, id);
	if (*out)
		return 0;
	err = change_begin(apply, &change);
	if (err)
		return err;
	index = apply_change_count(apply);
	if (buffer_put(&apply->changes, &change, sizeof change) ||
	    hashmap_put(&apply->change_map, id_hash(id), index))
		return apply_no_memory();
	*out = apply_change(apply, index);
	return 0;
}

/* ---- entities ----------------------------------------------------------- */

/* The id that a key has, 0 if it was never given one. */
cop_err apply_key(const struct apply *apply, const void *key, size_t size,
		  uint64_t *id)
{
	struct bytes value;
	int err = apply_get(apply, DB_KEYS, bytes_of(key, size), &value);

	*id = 0;
	if (err == ENV_ABSENT)
		return 0;
	if (err || value.size != sizeof *id)
		return apply_failed(apply, err ? err : EINVAL);
	memcpy(id, value.data, sizeof *id);
	return 0;
}

static cop_err key_add(struct apply *apply, const void *key, size_t size,
		       struct change **out)
{
	uint64_t id = apply->state.next_entity;
	cop_err err;
	int code;

	if (id >= UINT32_MAX)
		return error_set(COP_TOO_LARGE, "the store has given out all "
						"of its 4,294,967,294 ids");
	code = apply_put(apply, DB_KEYS, bytes_of(key, size), id_key(&id));
	if (code)
		return apply_failed(apply, code);
	err = apply_change_of(apply, id, out);
	if (err)
		return err;
	(*out)->key = key;
	(*out)->key_size = (uint32_t)size;
	apply->state.next_entity++;
	return 0;
}

static struct name_change *name_changed(const struct apply *apply,
					uint32_t name)
{
	struct name_change *names = (void *)apply->touched.data;
	struct hashmap_cursor cursor = {.hash = id_hash(name)};
	uint32_t index;

	while (hashmap_next(&apply->touched_map, &cursor, &index))
		if (names[index].name == name)
			return &names[index];
	return NULL;
}

int apply_touched(const struct apply *apply, uint32_t name)
{
	return name_changed(apply, name) != NULL;
}

int apply_touch(struct apply *apply, uint32_t name, int64_t more)
{
	struct name_change *known = name_changed(apply, name);
	struct name_change change = {.name = name, .more = more};
	uint32_t count = (uint32_t)(apply->touched.size / sizeof change);

	if (known) {
		known->more += more;
		return 0;
	}
	return buffer_put(&apply->touched, &change, sizeof change)
		   ? ENOMEM
		   : hashmap_put(&apply->touched_map, id_hash(name), count);
}

cop_err apply_record_copy(struct apply *apply, uint64_t id, struct bytes *out)
{
	int err = apply_get(apply, DB_ENTITIES, id_key(&id), out);

	if (err == ENV_ABSENT) {
		*out = bytes_of(NULL, 0);
		return 0;
	}
	if (err)
		return apply_failed(apply, err);
	apply->scratch.size = 0;
	if (buffer_put(&apply->scratch, out->data, out->size))
		return apply_no_memory();
	out->data = apply->scratch.data;
	return codec_entity_check(*out);
}

/* ---- members ------------------------------------------------------------ */

cop_err apply_record_end(struct apply *apply, enum env_db db, struct bytes key,
			 int *was)
{
	struct bytes record;
	cop_err err;
	int code = apply_get(apply, db, key, &record);

	*was = !code;
	if (code == ENV_ABSENT)
		return 0;
	if (code)
		return apply_failed(apply, code);
	err = history_keep(apply, db, key, record);
	if (err)
		return err;
	code = del(apply, db, key);
	return code ? apply_failed(apply, code) : 0;
}

/* Adds an entity to the list of a type or a tag, or takes it from it. */
static cop_err member_change(struct apply *apply, uint64_t id, uint32_t name,
			     int add)
{
	struct disk_member_key member = format_member_key(name, id);
	struct bytes key = bytes_of(&member, sizeof member);
	cop_err err = 0;
	int code = 0;
	int was;

	if (add)
		code = apply_put(apply, DB_MEMBERS, key,
				 bytes_of(&apply->commit, 8));
	else
		err = apply_record_end(apply, DB_MEMBERS, key, &was);
	if (!err && !code)
		code = apply_touch(apply, name, add ? 1 : -1);
	return code ? apply_failed(apply, code) : err;
}

static int name_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The numbers of a record's type and tags, ascending, once each. */
static int names_list_of(const struct disk_entity *head, struct buffer *out)
{
	uint32_t *names;
	size_t kept = 0;
	int err = 0;

	if (head && head->type)
		err = buffer_put(out, &head->type, sizeof head->type);
	if (head && head->tag_count && !err)
		err = buffer_put(out, codec_tags(head),
				 head->tag_count * sizeof(uint32_t));
	if (err || !out->size)
		return err;
	names = (uint32_t *)(void *)out->data;
	qsort(names, out->size / sizeof *names, sizeof *names, name_compare);
	for (size_t i = 0; i < out->size / sizeof *names; i++)
		if (!kept || names[kept - 1] != names[i])
			names[kept++] = names[i];
	out->size = kept * sizeof *names;
	return 0;
}

/* Brings the lists from the names that an entity had to those it has. */
static cop_err members_merge(struct apply *apply, struct change *change,
			     const struct buffer *old, const struct buffer *now)
{
	const uint32_t *from = (const uint32_t *)(void *)old->data;
	const uint32_t *to = (const uint32_t *)(void *)now->data;
	size_t from_count = old->size / sizeof *from;
	size_t to_count = now->size / sizeof *to;
	size_t i = 0;
	size_t k = 0;
	cop_err err = 0;

	while (!err && (i < from_count || k < to_count)) {
		int gone = k == to_count || (i < from_count && from[i] < to[k]);
		int same = !gone && i < from_count && from[i] == to[k];

		if (!same) {
			err = member_change(apply, change->id,
					    gone ? from[i] : to[k], !gone);
			change->retyped = 1;
		}
		i += (size_t)(gone || same);
		k += (size_t)!gone;
	}
	return err;
}

/* old, now: an entity's records before and after; NULL: there is none. */
static cop_err members_update(struct apply *apply, struct change *change,
			      const struct disk_entity *old,
			      const struct disk_entity *now)
{
	struct buffer before = {0};
	struct buffer after = {0};
	cop_err err = 0;

	if (names_list_of(old, &before) || names_list_of(now, &after))
		err = apply_no_memory();
	if (!err)
		err = members_merge(apply, change, &before, &after);
	buffer_release(&before);
	buffer_release(&after);
	return err;
}

cop_err apply_vector(struct apply *apply, uint64_t id, const float *vector)
{
	size_t floats = apply->store->config.dim * sizeof(float);
	size_t bytes = op_pad(DISK_VECTOR_HEADER + floats);
	struct bytes old;
	unsigned char *room;
	void *at;
	cop_err kept = 0;
	int err = apply_get(apply, DB_VECTORS, id_key(&id), &old);

	if (err && err != ENV_ABSENT)
		return apply_failed(apply, err);
	apply->state.vectors += err == ENV_ABSENT;
	if (!err)
		kept = history_keep(apply, DB_VECTORS, id_key(&id), old);
	if (kept)
		return kept;
	err = env_append_room(apply->store->env, apply->txn, DB_VECTORS,
			      id_key(&id), bytes, &at);
	if (err)
		return apply_failed(apply, err);
	room = at;
	memset(room + bytes - 8, 0, 8);
	memcpy(room, &apply->commit, 8);
	memcpy(room + DISK_VECTOR_HEADER, vector, floats);
	env_filled(DB_VECTORS, id_key(&id), room, bytes);
	return 0;
}

static cop_err vector_drop(struct apply *apply, uint64_t id, int *dropped)
{
	cop_err err = apply_record_end(apply, DB_VECTORS, id_key(&id), dropped);

	if (!err && *dropped)
		apply->state.vectors--;
	return err;
}

static cop_err vector_apply(struct apply *apply, struct change *change,
			    const struct op *op)
{
	const float *vector = op_vector(op);
	int dropped = 0;
	cop_err err = 0;

	if (vector) {
		err = apply_vector(apply, change->id, vector);
		change->vector_action = VECTOR_SET;
		change->vector = vector;
		change->changed = 1;
	} else if ((op->option & ~PUT_CONTENT_KEEP) == COP_VECTOR_DROP) {
		err = vector_drop(apply, change->id, &dropped);
		change->vector_action = VECTOR_GONE;
		change->vector = NULL;
		change->changed |= (uint8_t)dropped;
	}
	return err;
}

const uint32_t *apply_numbers(const struct apply *apply)
{
	return (const uint32_t *)(void *)apply->numbers.data;
}

cop_err apply_record(struct apply *apply, struct change *change,
		     const struct disk_entity *head, size_t bytes)
{
	struct bytes old = bytes_of(NULL, 0);
	int code;
	cop_err err =
	    change->alive ? apply_record_copy(apply, change->id, &old) : 0;

	if (!err)
		err = members_update(apply, change, old.data, head);
	if (!err && old.data)
		err =
		    history_keep(apply, DB_ENTITIES, id_key(&change->id), old);
	if (err)
		return err;
	code = env_append(apply->store->env, apply->txn, DB_ENTITIES,
			  id_key(&change->id), bytes_of(head, bytes));
	if (code)
		return apply_failed(apply, code);
	if (!change->alive)
		apply->state.keys_changed = apply->commit;
	apply->state.entities += !change->alive;
	change->alive = 1;
	change->changed = 1;
	change->recorded = 1;
	change->type = head->type;
	change->signature = codec_signature(codec_tags(head), head->tag_count);
	return 0;
}

/*
 * A record as it came in a request.
 * op		that keeps the content which the entity has; NULL: none does
 */
static cop_err entity_put(struct apply *apply, struct change *change,
			  const void *record, size_t bytes, const struct op *op)
{
	struct bytes old = bytes_of(NULL, 0);
	struct buffer copy = {0};
	cop_err err = 0;

	if (op && change->alive)
		err = apply_record_copy(apply, change->id, &old);
	if (!err && op && op_kept(op) &&
	    (!old.data || content_size(old) != op_kept(op)))
		err = error_set(
		    COP_DANGLING,
		    "'%.*s' has no content of %llu bytes to be "
		    "kept; put it without, then stream that in",
		    error_shown(op->key_size),
		    (const char *)((const struct disk_entity *)record)->key,
		    (unsigned long long)op_kept(op));
	if (!err && old.data)
		err = content_keep(&copy, bytes_of(record, bytes), old);
	else if (!err && buffer_put(&copy, record, bytes))
		err = apply_no_memory();
	if (!err) {
		codec_entity_patch(copy.data, apply->commit,
				   apply_numbers(apply));
		err = apply_record(
		    apply, change,
		    (const struct disk_entity *)(const void *)copy.data,
		    copy.size);
	}
	buffer_release(&copy);
	return err;
}

static cop_err op_put(struct apply *apply, const struct op *op)
{
	const struct disk_entity *record = (const void *)op_body(op);
	struct change *change;
	uint64_t id;
	cop_err err = apply_key(apply, record->key, record->key_size, &id);

	if (!err)
		err =
		    id ? apply_change_of(apply, id, &change)
		       : key_add(apply, record->key, record->key_size, &change);
	if (!err)
		err = entity_put(apply, change, record, op->record_bytes,
				 op->option & PUT_CONTENT_KEEP ? op : NULL);
	if (!err)
		err = vector_apply(apply, change, op);
	if (!err)
		apply->request->result.entities_put++;
	return err;
}

cop_err apply_not_there(const void *key, size_t size, const char *what)
{
	return error_set(COP_DANGLING,
			 "%s '%.*s' is not there; put that entity first%s",
			 what, error_shown(size), (const char *)key,
			 what[0] == 'a' ? ", or have such edges skipped or "
					  "given a stub"
					: "");
}

/* The change of an entity that must be there. */
static cop_err entity_find(struct apply *apply, const void *key, size_t size,
			   struct change **change)
{
	uint64_t id;
	cop_err err = apply_key(apply, key, size, &id);

	*change = NULL;
	if (!err && id)
		err = apply_change_of(apply, id, change);
	if (err || (*change && (*change)->alive))
		return err;
	return apply_not_there(key, size, "the entity");
}

static cop_err op_vector_put(struct apply *apply, const struct op *op)
{
	struct change *change;
	cop_err err = entity_find(apply, op_body(op), op->key_size, &change);

	if (!err)
		err = vector_apply(apply, change, op);
	if (!err)
		apply->request->result.entities_put++;
	return err;
}

/* ---- tags --------------------------------------------------------------- */

/* change: what is to be done with the tag */
static cop_err record_retag(struct apply *apply, struct change *change,
			    const struct timed_tag *tag, enum tag_change what)
{
	struct buffer record = {0};
	const struct disk_entity *head;
	struct disk_entity *now;
	struct timed_tag *tags;
	struct bytes old;
	uint32_t count = 0;
	int is_other;
	cop_err err = apply_record_copy(apply, change->id, &old);

	if (err || !old.data)
		return err;
	head = old.data;
	tags = malloc((head->tag_count + (size_t)1) * sizeof *tags);
	if (!tags)
		return apply_no_memory();
	while (count < head->tag_count) {
		tags[count] = timed_tag_at(head, count);
		count++;
	}
	is_other = what == TAG_REMOVE
		       ? timed_tags_remove(tags, &count, tag->tag)
		       : timed_tags_add(tags, &count, tag);
	if (is_other && count > COP_TAG_COUNT)
		err = error_set(COP_TOO_LARGE, "%u tags; an entity may have %d",
				count, COP_TAG_COUNT);
	if (is_other && !err)
		err = timed_retag(&record, old, tags, count);
	if (is_other && !err) {
		now = (struct disk_entity *)(void *)record.data;
		now->version = apply->commit;
		err = apply_record(apply, change, now, record.size);
	}
	free(tags);
	buffer_release(&record);
	return err;
}

static cop_err op_tag(struct apply *apply, const struct op *op)
{
	struct timed_tag tag = {.tag = apply_numbers(apply)[op->relation - 1],
				.valid = timed_always()};
	struct change *change;
	cop_err err = entity_find(apply, op_key(op), op->key_size, &change);

	memcpy(&tag.valid, op_body(op), op_key_at(op));
	if (!err)
		err = record_retag(apply, change, &tag,
				   (enum tag_change)op->option);
	if (!err)
		apply->request->result.entities_put++;
	return err;
}

static cop_err op_delete(struct apply *apply, const struct op *op)
{
	struct change *change = NULL;
	struct bytes record;
	uint64_t id;
	int was;
	cop_err err = apply_key(apply, op_body(op), op->key_size, &id);

	if (!err && id)
		err = apply_change_of(apply, id, &change);
	if (err || !id || !change->alive)
		return err;
	err = apply_edges_wipe(apply, DB_EDGES, id);
	if (!err)
		err = apply_edges_wipe(apply, DB_EDGES_IN, id);
	if (!err)
		err = vector_drop(apply, id, &was);
	if (!err)
		err = apply_record_copy(apply, id, &record);
	if (!err) /* edges have moved it */
		err = apply_change_of(apply, id, &change);
	if (!err)
		err = members_update(apply, change, record.data, NULL);
	if (!err)
		err = apply_record_end(apply, DB_ENTITIES, id_key(&id), &was);
	if (err)
		return err;
	change->alive = 0;
	change->changed = 1;
	change->wiped = 1;
	change->vector_action = VECTOR_GONE;
	change->vector = NULL;
	apply->state.entities--;
	apply->state.keys_changed = apply->commit;
	apply->request->result.entities_deleted++;
	return 0;
}

/* An entity with nothing but a key. */
static cop_err bare_put(struct apply *apply, const void *key, size_t size,
			struct change **out)
{
	struct buffer record = {0};
	struct names none = {0};
	struct cop_put bare = {
	    .size = sizeof bare, .key = key, .key_size = (uint32_t)size};
	uint64_t id;
	cop_err err = codec_entity(&record, &none, &bare);

	if (!err)
		err = apply_key(apply, key, size, &id);
	if (!err)
		err = id ? apply_change_of(apply, id, out)
			 : key_add(apply, key, size, out);
	if (!err)
		err = entity_put(apply, *out, record.data, record.size, NULL);
	buffer_release(&record);
	names_release(&none);
	return err;
}

cop_err apply_entity_make(struct apply *apply, const void *key, size_t size,
			  struct change **out)
{
	uint64_t id;
	cop_err err = apply_key(apply, key, size, &id);

	*out = NULL;
	if (!err && id)
		err = apply_change_of(apply, id, out);
	if (err || (*out && (*out)->alive))
		return err;
	return bare_put(apply, key, size, out);
}

cop_err apply_stub(struct apply *apply, const void *key, size_t size,
		   uint64_t *id)
{
	struct change *change;
	cop_err err = bare_put(apply, key, size, &change);

	if (!err) {
		*id = change->id;
		apply->request->result.stubs_put++;
	}
	return err;
}

/* ---- all ---------------------------------------------------------------- */

/* A rule of retention, for the store or for a type. */
static cop_err op_retain(struct apply *apply, const struct op *op)
{
	struct disk_retention rule;
	int code;

	memcpy(&rule, op_body(op), sizeof rule);
	rule.type = op->relation ? apply_numbers(apply)[op->relation - 1] : 0;
	if (rules_set(&apply->rules, &rule))
		return apply_no_memory();
	code = rules_put(apply->store->env, apply->txn, &apply->rules);
	if (code)
		return apply_failed(apply, code);
	apply->ruled = 1;
	apply->keeps = !(apply->rules.list[0].flags & RETENTION_OFF);
	return 0;
}

static cop_err op_run(struct apply *apply, const struct op *op)
{
	switch (op->kind) {
	case OP_PUT: return op_put(apply, op);
	case OP_VECTOR: return op_vector_put(apply, op);
	case OP_DELETE: return op_delete(apply, op);
	case OP_EDGE: return apply_edge_op(apply, op);
	case OP_UNLINK: return apply_unlink_op(apply, op);
	case OP_TAG: return op_tag(apply, op);
	case OP_UNDELETE: return undelete_run(apply, op);
	case OP_RETAIN: return op_retain(apply, op);
	case OP_CHUNK: return content_chunk_apply(apply, op);
	case OP_CONTENT: return content_apply(apply, op);
	case OP_MARK: return marks_apply(apply, op);
	case OP_EXPECT: return 0; /* validate.c has seen to it */
	default:
		return error_set(COP_INVALID, "operation %u is unknown",
				 op->kind);
	}
}

static cop_err names_resolve(struct apply *apply, const struct name_list *names)
{
	cop_store *store = apply->store;

	apply->numbers.size = 0;
	if (names->count &&
	    !buffer_add(&apply->numbers, names->count * sizeof(uint32_t)))
		return apply_no_memory();
	dict_follow(&store->dict, store->generation->number);
	return dict_resolve(&store->dict, store->env, apply->txn, names,
			    &apply->state,
			    (uint32_t *)(void *)apply->numbers.data);
}

/* Folds a request into the hash that the chain gets. */
static void request_hash(struct apply *apply, const struct request *request)
{
	uint64_t parts[3] = {
	    apply->hash, XXH3_64bits(request->ops, request->ops_bytes),
	    XXH3_64bits(request->names.text, request->names.text_bytes)};

	apply->hash = XXH3_64bits(parts, sizeof parts);
}

/* How many operations from one on put edges, and can be put together. */
static uint32_t edge_run_length(const struct request *request, size_t at,
				uint32_t from)
{
	uint32_t count = 0;

	while (from + count < request->op_count && count < EDGE_RUN_MOST) {
		const struct op *op = request_op(request, at);

		if (op->kind != OP_EDGE)
			break;
		at += op->bytes;
		count++;
	}
	return count;
}

cop_err apply_run(struct apply *apply, struct request *request)
{
	size_t at = 0;
	cop_err err;

	apply->request = request;
	request->result = (struct cop_result){.failed = UINT32_MAX};
	err = names_resolve(apply, &request->names);
	for (uint32_t i = 0; !err && i < request->op_count; i++) {
		const struct op *op = request_op(request, at);
		uint32_t edges = edge_run_length(request, at, i);

		if (edges >= EDGE_RUN_LEAST) {
			err = apply_edge_run(apply, i, edges, &at);
			i += edges - 1;
			continue;
		}
		err = op_run(apply, op);
		if (err)
			request->result.failed = i;
		at += op->bytes;
	}
	request_hash(apply, request);
	return err;
}

int apply_is_empty(const struct apply *apply)
{
	for (uint32_t i = 0; i < apply_change_count(apply); i++)
		if (apply_change(apply, i)->changed)
			return 0;
	/* an edge put again has new properties: a commit, too */
	return !apply->edge_count && !apply->ruled && !apply->marked &&
	       !apply->chunks;
}

static int id_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A clock before 1970, or past what nanoseconds reach, does not count. */
static uint64_t time_after(uint64_t before)
{
	const int64_t most = INT64_MAX / 1000000000 - 1;
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec < 0 || now.tv_sec > most)
		return before;
	ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return ns > before ? ns : before;
}

uint64_t apply_chain(uint64_t before, uint64_t commit, uint64_t time_ns,
		     uint64_t hash)
{
	uint64_t parts[4] = {before, commit, time_ns, hash};

	return XXH3_64bits(parts, sizeof parts);
}

static cop_err names_seal(struct apply *apply)
{
	const struct name_change *names = (const void *)apply->touched.data;
	cop_err err = 0;

	for (size_t i = 0; !err && i < apply->touched.size / sizeof *names; i++)
		err = dict_touch(apply->store->env, apply->txn, names[i].name,
				 apply->commit, names[i].more);
	return err;
}

/* The operation record: header, ids, results. */
static int op_put_record(struct apply *apply, const struct disk_op *op)
{
	size_t ids_bytes = op->touched * sizeof(uint32_t);
	size_t results_at = op_pad(sizeof *op + ids_bytes);
	size_t bytes = results_at + apply->results.size;
	uint32_t *ids;
	void *room;
	int err = env_append_room(apply->store->env, apply->txn, DB_OPS,
				  id_key(&apply->commit), bytes, &room);

	if (err)
		return err;
	memset(room, 0, results_at);
	memcpy(room, op, sizeof *op);
	ids = (uint32_t *)(void *)((unsigned char *)room + sizeof *op);
	for (uint32_t i = 0; i < op->touched; i++)
		ids[i] = (uint32_t)apply_change(apply, i)->id;
	qsort(ids, op->touched, sizeof *ids, id_compare);
	if (apply->results.size)
		memcpy((unsigned char *)room + results_at, apply->results.data,
		       apply->results.size);
	env_filled(DB_OPS, id_key(&apply->commit), room, bytes);
	return 0;
}

cop_err apply_seal(struct apply *apply, const unsigned char *segment_uuid)
{
	struct disk_state *state = &apply->state;
	struct disk_op op = {.touched = apply_change_count(apply),
			     .hash = apply->hash,
			     .entities = state->entities,
			     .edges = state->edges,
			     .vectors = state->vectors,
			     .results = apply->results.size /
					sizeof(struct disk_result)};
	int err = names_seal(apply);

	if (!err)
		err = content_seal(apply);
	if (!err)
		err = history_seal(apply);
	if (err)
		return err;
	state->time_ns = time_after(state->time_ns);
	state->chain = apply_chain(state->chain, apply->commit, state->time_ns,
				   apply->hash);
	state->commit = apply->commit;
	memcpy(state->segment, segment_uuid, sizeof state->segment);
	op.time_ns = state->time_ns;
	op.chain = state->chain;
	memcpy(op.segment, segment_uuid, sizeof op.segment);
	memcpy(op.office, apply->store->mailboxes.office->uuid,
	       sizeof op.office);
	err = op_put_record(apply, &op);
	if (!err)
		err = apply_put(apply, DB_META, bytes_of("state", 5),
				bytes_of(state, sizeof *state));
	return err ? apply_failed(apply, err) : 0;
}

void apply_release(struct apply *apply)
{
	buffer_release(&apply->numbers);
	buffer_release(&apply->touched);
	hashmap_release(&apply->touched_map);
	buffer_release(&apply->changes);
	buffer_release(&apply->edges);
	buffer_release(&apply->scratch);
	buffer_release(&apply->results);
	buffer_release(&apply->deaths);
	buffer_release(&apply->contents);
	rules_release(&apply->rules);
	hashmap_release(&apply->change_map);
	hashmap_release(&apply->edge_map);
}
