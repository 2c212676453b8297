/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking: every record against every index that mentions it, both ways.
 *
 * idea
 *	With W held nothing changes, so LMDB and the segment must agree to the
 *	last row.  Two passes over LMDB compare its databases with each other;
 *	a third goes through the ids and asks of each what the segment says.
 *	A finding is told and counted, and the check goes on.
 */
#include "build.h"
#include "checkpoint.h"
#include "content.h"
#include "timed.h"
#include "history.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct check {
	cop_store *store;
	const struct segment *segment;
	env_txn *txn;
	struct disk_state state;
	void (*found)(void *user, const char *text);
	void *user;
	uint64_t findings;
	uint64_t members; /* that the records ask for */
	uint64_t *used;	  /* by a name's number: how often the records do */
	uint64_t keys;
	uint64_t ended;	       /* versions that the index by death lists */
	uint64_t chain_commit; /* of the operation record seen last */
	uint64_t chain;
	uint64_t records;	       /* that heads name in the segment */
	struct disk_content_key chunk; /* seen last, and the head before it */
	struct disk_content_head content;
	uint64_t content_size; /* of the chunks seen since */
	int has_content;       /* one was seen */
	int failed;	       /* what kept an edge list from being looked at */
};

__attribute__((format(printf, 2, 3))) static void
finding(struct check *check, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	check->findings++;
	if (check->found)
		check->found(check->user, text);
}

static int there(const struct check *check, enum env_db db, const void *key,
		 size_t size, struct bytes *value)
{
	return !env_get(check->store->env, check->txn, db, bytes_of(key, size),
			value);
}

typedef void entry_check(struct check *check, struct bytes key,
			 struct bytes value);

static cop_err database_check(struct check *check, enum env_db db,
			      entry_check *each)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return error_system(err, "cannot check");
	while (!(err = env_cursor_move(cursor, ENV_NEXT, &key, &value)))
		each(check, key, value);
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : error_system(err, "cannot check");
}

static uint64_t number_of(struct bytes bytes)
{
	uint64_t number = 0;

	if (bytes.size >= sizeof number)
		memcpy(&number, bytes.data, sizeof number);
	return number;
}

/* ---- content ------------------------------------------------------------ */

/* A content of which all chunks were seen. */
static void content_end(struct check *check)
{
	if (be32toh(check->chunk.number) != check->content.chunks ||
	    check->content_size != check->content.size)
		finding(check,
			"a content of %u chunks, %llu bytes, has %u and %llu",
			check->content.chunks,
			(unsigned long long)check->content.size,
			be32toh(check->chunk.number),
			(unsigned long long)check->content_size);
}

static void content_begin(struct check *check,
			  const struct disk_content_key *key,
			  struct bytes value)
{
	content_end(check);
	check->content = (struct disk_content_head){0};
	check->content_size = 0;
	check->has_content = 1;
	check->chunk = *key;
	if (key->number || value.size != sizeof check->content)
		finding(check, "a content has no head");
	else
		memcpy(&check->content, value.data, sizeof check->content);
}

static void chunk_check(struct check *check, struct bytes key,
			struct bytes value)
{
	struct disk_content_key parts;
	struct disk_chunk chunk;

	if (key.size != sizeof parts) {
		finding(check, "a content's key has %zu bytes", key.size);
		return;
	}
	memcpy(&parts, key.data, sizeof parts);
	if (!check->has_content ||
	    memcmp(parts.id, check->chunk.id, sizeof parts.id) != 0) {
		content_begin(check, &parts, value);
		return;
	}
	if (be32toh(parts.number) != be32toh(check->chunk.number) + 1 ||
	    !content_chunk_is_sound(value)) {
		finding(check, "chunk %u of a content is missing or damaged",
			be32toh(check->chunk.number) + 1);
	} else {
		memcpy(&chunk, value.data, sizeof chunk);
		check->content_size += chunk.size;
	}
	check->chunk = parts;
}

/* What a record names must be there, whole. */
static void content_wanted(struct check *check, struct bytes record)
{
	struct disk_content_head head = {0};
	struct disk_content content;
	struct disk_content_key key;
	struct bytes value;

	if (!content_named(record, &content))
		return;
	key = content_key(&content, 0);
	if (there(check, DB_CONTENT, &key, sizeof key, &value) &&
	    value.size == sizeof head)
		memcpy(&head, value.data, sizeof head);
	if (!head.chunks || head.chunks != content.chunks ||
	    head.size != content.size || head.added_ns)
		finding(check, "a record's content of %llu bytes is not there",
			(unsigned long long)content.size);
}

static cop_err contents_check(struct check *check)
{
	cop_err err = database_check(check, DB_CONTENT, chunk_check);

	if (!err)
		content_end(check);
	return err;
}

/* ---- LMDB against itself ------------------------------------------------ */

static void key_check(struct check *check, struct bytes key, struct bytes value)
{
	uint64_t id = number_of(value);

	check->keys++;
	if (!id || id >= check->state.next_entity)
		finding(check, "key '%.*s' has the id %llu, never given",
			(int)key.size, (const char *)key.data,
			(unsigned long long)id);
}

static void name_count(struct check *check, uint32_t name)
{
	if (name < check->state.next_name)
		check->used[name]++;
}

static void member_wanted(struct check *check, uint32_t name, uint64_t id)
{
	struct disk_member_key key = format_member_key(name, id);
	struct bytes value;

	check->members++;
	name_count(check, name);
	if (!there(check, DB_MEMBERS, &key, sizeof key, &value))
		finding(check, "entity %llu is not in the list of name %u",
			(unsigned long long)id, name);
}

/* A tag that is there at several times is listed once. */
static int tag_was_before(const struct disk_entity *head, uint32_t index)
{
	const uint32_t *tags = codec_tags(head);

	for (uint32_t i = 0; head->flags & ENTITY_TAGS_TIMED && i < index; i++)
		if (tags[i] == tags[index])
			return 1;
	return 0;
}

static void entity_check(struct check *check, struct bytes key,
			 struct bytes value)
{
	const struct disk_entity *head = value.data;
	uint64_t id = number_of(key);
	struct bytes other;

	if (codec_entity_check(value)) {
		finding(check, "entity %llu: %s", (unsigned long long)id,
			cop_last_error());
		return;
	}
	if (!there(check, DB_KEYS, head->key, head->key_size, &other) ||
	    number_of(other) != id)
		finding(check, "entity %llu: its key gives another id",
			(unsigned long long)id);
	if (head->version > check->state.commit)
		finding(check, "entity %llu is of a commit to come",
			(unsigned long long)id);
	if (head->type)
		member_wanted(check, head->type, id);
	for (uint32_t i = 0; i < head->tag_count; i++)
		if (!tag_was_before(head, i))
			member_wanted(check, codec_tags(head)[i], id);
	content_wanted(check, value);
	if (timed_is(head) && !timed_is_sound(value))
		finding(check,
			"entity %llu has a time that ends before it "
			"begins",
			(unsigned long long)id);
}

static void vector_check(struct check *check, struct bytes key,
			 struct bytes value)
{
	size_t floats = check->store->config.dim * sizeof(float);
	uint64_t id = number_of(key);
	struct bytes other;

	if (value.size < DISK_VECTOR_HEADER + floats)
		finding(check, "the vector of entity %llu has %zu bytes",
			(unsigned long long)id, value.size);
	if (!there(check, DB_ENTITIES, &id, sizeof id, &other))
		finding(check, "a vector belongs to entity %llu, not there",
			(unsigned long long)id);
}

/* Whether the index of incoming edges has an edge's version and validity. */
static int edge_in_agrees(struct bytes value, const struct disk_edge *edge)
{
	const struct disk_validity *valid = codec_edge_validity(edge);
	const struct disk_edge_in *in = value.data;

	return number_of(value) == edge->version &&
	       value.size == (valid ? sizeof *in : sizeof in->version) &&
	       (!valid || !memcmp(&in->valid, valid, sizeof *valid));
}

/* An edge's key in one index must stand in the other, and both ends exist. */
static void edge_check(struct check *check, struct bytes key,
		       struct bytes value, enum env_db other)
{
	struct disk_edge_key parts;
	struct disk_edge_key back;
	uint64_t from;
	uint64_t to;
	struct bytes found;

	if (key.size != sizeof parts) {
		finding(check, "an edge's key has %zu bytes", key.size);
		return;
	}
	memcpy(&parts, key.data, sizeof parts);
	if (other == DB_EDGES_IN)
		name_count(check, be32toh(parts.relation));
	from = be64toh(parts.source);
	to = format_join(parts.target);
	back = format_edge_turn(&parts);
	if (!there(check, other, &back, sizeof back, &found))
		finding(check, "edge %llu to %llu stands in one index only",
			(unsigned long long)from, (unsigned long long)to);
	if (!there(check, DB_ENTITIES, &from, sizeof from, &found))
		finding(check, "an edge hangs on entity %llu, not there",
			(unsigned long long)from);
	if (other == DB_EDGES &&
	    there(check, other, &back, sizeof back, &found) &&
	    !codec_edge_check(found) && !edge_in_agrees(value, found.data))
		finding(check, "edge %llu to %llu is another one from there",
			(unsigned long long)to, (unsigned long long)from);
	if (other == DB_EDGES_IN && codec_edge_check(value))
		finding(check, "edge %llu to %llu: %s",
			(unsigned long long)from, (unsigned long long)to,
			cop_last_error());
}

static void edge_out_check(struct check *check, struct bytes key,
			   struct bytes value)
{
	edge_check(check, key, value, DB_EDGES_IN);
}

static void edge_in_check(struct check *check, struct bytes key,
			  struct bytes value)
{
	edge_check(check, key, value, DB_EDGES);
}

static void name_check(struct check *check, struct bytes key,
		       struct bytes value)
{
	uint64_t number = number_of(key);
	struct bytes other;
	uint64_t count = 0;

	if (value.size > DISK_NAME_TEXT)
		memcpy(&count, (const char *)value.data + DISK_NAME_COUNT,
		       sizeof count);
	if (number < check->state.next_name && count != check->used[number])
		finding(check,
			"name %llu is said to be used %llu times, not %llu",
			(unsigned long long)number, (unsigned long long)count,
			(unsigned long long)check->used[number]);
	if (value.size <= DISK_NAME_TEXT ||
	    !there(check, DB_SYMBOLS,
		   (const char *)value.data + DISK_NAME_SYMBOL,
		   value.size - DISK_NAME_SYMBOL, &other) ||
	    number_of(other) != number)
		finding(check, "name %llu has another number the other way",
			(unsigned long long)number);
}

static void count_check(struct check *check, enum env_db db, uint64_t want,
			const char *what)
{
	uint64_t count = 0;

	if (env_count(check->store->env, check->txn, db, &count) ||
	    count != want)
		finding(check, "there are %llu %s where %llu are expected",
			(unsigned long long)count, what,
			(unsigned long long)want);
}

/* Each record follows from the one before; the first one may be any. */
static void op_check(struct check *check, struct bytes key, struct bytes value)
{
	uint64_t commit = number_of(key);
	struct disk_op op;

	if (value.size < sizeof op) {
		finding(check, "the operation record of commit %llu is cut off",
			(unsigned long long)commit);
		return;
	}
	memcpy(&op, value.data, sizeof op);
	if (check->chain_commit &&
	    (commit != check->chain_commit + 1 ||
	     op.chain !=
		 apply_chain(check->chain, commit, op.time_ns, op.hash)))
		finding(check, "the chain of commits is broken at %llu",
			(unsigned long long)commit);
	check->chain_commit = commit;
	check->chain = op.chain;
}

static cop_err chain_check(struct check *check)
{
	cop_err err = database_check(check, DB_OPS, op_check);

	if (!err &&
	    (check->chain_commit != check->state.commit ||
	     (check->state.commit && check->chain != check->state.chain)))
		finding(check,
			"the newest commit, %llu, has no operation "
			"record, or another one's",
			(unsigned long long)check->state.commit);
	return err;
}

/* ---- history against what is -------------------------------------------- */

/* What a version was written as. */
static int version_is_sound(const struct check *check, enum env_db db,
			    struct bytes record)
{
	switch (db) {
	case DB_ENTITY_VERSIONS: return !codec_entity_check(record);
	case DB_EDGE_VERSIONS: return !codec_edge_check(record);
	case DB_VECTOR_VERSIONS:
		return codec_vector(record, check->store->config.dim) != NULL;
	case DB_EDGE_IN_VERSIONS:
		return record.size == sizeof(uint64_t) ||
		       record.size == sizeof(struct disk_edge_in);
	default: return record.size == sizeof(uint64_t);
	}
}

/* The living database that versions are of. */
static enum env_db living_of(enum env_db versions)
{
	switch (versions) {
	case DB_ENTITY_VERSIONS: return DB_ENTITIES;
	case DB_VECTOR_VERSIONS: return DB_VECTORS;
	case DB_EDGE_VERSIONS: return DB_EDGES;
	case DB_EDGE_IN_VERSIONS: return DB_EDGES_IN;
	default: return DB_MEMBERS;
	}
}

/* The version of what the key has now, UINT64_MAX if nothing. */
static uint64_t living_version(const struct check *check, enum env_db db,
			       struct bytes version_key)
{
	size_t size = version_key.size - sizeof(uint64_t);
	struct bytes value;
	uint64_t id;

	if (db == DB_ENTITIES || db == DB_VECTORS) {
		memcpy(&id, version_key.data, sizeof id);
		id = be64toh(id);
		return there(check, db, &id, sizeof id, &value)
			   ? number_of(value)
			   : UINT64_MAX;
	}
	return there(check, db, version_key.data, size, &value)
		   ? number_of(value)
		   : UINT64_MAX;
}

static int same_key(struct bytes a, struct bytes b)
{
	return a.size == b.size &&
	       !memcmp(a.data, b.data, a.size - sizeof(uint64_t));
}

/*
 * One version: within one key they come newest first, and one ends before the
 * next begins.  `began`: when that next one did, of the same key.
 */
static void version_check(struct check *check, enum env_db db, struct bytes key,
			  struct bytes value, uint64_t began)
{
	uint64_t born = version_key_born(key);
	uint64_t died = number_of(value);
	struct bytes record =
	    bytes_of((const char *)value.data + DISK_VERSION_HEADER,
		     value.size - DISK_VERSION_HEADER);

	if (!version_is_sound(check, db, record) || number_of(record) != born)
		finding(check, "a version of commit %llu is damaged",
			(unsigned long long)born);
	else if (db == DB_ENTITY_VERSIONS)
		content_wanted(check, record);
	if (born >= died || died > check->state.commit || died > began)
		finding(check,
			"a version of commit %llu ended at %llu, and the next "
			"began at %llu",
			(unsigned long long)born, (unsigned long long)died,
			(unsigned long long)began);
}

static cop_err versions_check(struct check *check, enum env_db db, size_t size)
{
	struct bytes key = bytes_of("", 0);
	struct bytes before = key;
	struct bytes value;
	env_cursor *cursor;
	uint64_t began = 0;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return error_system(err, "cannot check");
	while (!(err = env_cursor_move(cursor, ENV_NEXT, &key, &value))) {
		if (key.size != size || value.size <= DISK_VERSION_HEADER) {
			finding(check, "a version's key has %zu bytes",
				key.size);
			continue;
		}
		if (!before.size || !same_key(before, key))
			began = living_version(check, living_of(db), key);
		version_check(check, db, key, value, began);
		began = version_key_born(key);
		before = key;
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : error_system(err, "cannot check");
}

static uint64_t entries(const struct check *check, enum env_db db)
{
	uint64_t count = 0;

	(void)env_count(check->store->env, check->txn, db, &count);
	return count;
}

/* Whether there is a version of that key that ended at that commit. */
static int version_ended(const struct check *check, enum env_db db,
			 const struct version_key *key, uint64_t died)
{
	struct bytes value;

	return there(check, db, key->bytes, key->size, &value) &&
	       number_of(value) == died;
}

static void death_check(struct check *check, struct bytes key,
			struct bytes value)
{
	uint64_t died = death_commit(key);
	struct death death;
	size_t at = 0;
	int code;

	while (!(code = death_next(value, &at, &death))) {
		check->ended++;
		if (!version_ended(check, death.db, &death.version, died))
			finding(check,
				"the index of what ended at %llu lists "
				"what did not",
				(unsigned long long)died);
		if (death.has_in &&
		    !version_ended(check, DB_EDGE_IN_VERSIONS, &death.in, died))
			finding(check,
				"an edge that ended at %llu did so in one "
				"index only",
				(unsigned long long)died);
	}
	if (code != ENV_ABSENT)
		finding(check, "the index of what ended at %llu is damaged",
			(unsigned long long)died);
}

static cop_err history_check(struct check *check)
{
	static const struct {
		enum env_db db;
		size_t size;
	} kinds[] = {
	    {DB_ENTITY_VERSIONS, 16},
	    {DB_VECTOR_VERSIONS, 16},
	    {DB_EDGE_VERSIONS, DISK_VERSION_KEY},
	    {DB_EDGE_IN_VERSIONS, DISK_VERSION_KEY},
	    {DB_MEMBER_VERSIONS, sizeof(struct disk_member_key) + 8},
	};
	uint64_t ended = 0;
	cop_err err = 0;

	for (size_t i = 0; !err && i < sizeof kinds / sizeof *kinds; i++) {
		err = versions_check(check, kinds[i].db, kinds[i].size);
		if (kinds[i].db != DB_EDGE_IN_VERSIONS)
			ended += entries(check, kinds[i].db);
	}
	if (!err)
		err = database_check(check, DB_DEATHS, death_check);
	if (err)
		return err;
	if (check->ended != ended)
		finding(check, "%llu versions have ended, and %llu are listed",
			(unsigned long long)ended,
			(unsigned long long)check->ended);
	count_check(check, DB_EDGE_IN_VERSIONS,
		    entries(check, DB_EDGE_VERSIONS),
		    "incoming edges that ended");
	return 0;
}

static cop_err truth_check(struct check *check)
{
	cop_err err = database_check(check, DB_KEYS, key_check);

	if (!err)
		err = database_check(check, DB_ENTITIES, entity_check);
	if (!err)
		err = database_check(check, DB_VECTORS, vector_check);
	if (!err)
		err = database_check(check, DB_EDGES, edge_out_check);
	if (!err)
		err = database_check(check, DB_EDGES_IN, edge_in_check);
	if (!err)
		err = database_check(check, DB_NAMES, name_check);
	if (!err)
		err = contents_check(check);
	if (err)
		return err;
	count_check(check, DB_ENTITIES, check->state.entities, "entities");
	count_check(check, DB_EDGES, check->state.edges, "edges");
	count_check(check, DB_EDGES_IN, check->state.edges, "incoming edges");
	count_check(check, DB_VECTORS, check->state.vectors, "vectors");
	count_check(check, DB_MEMBERS, check->members, "members of lists");
	count_check(check, DB_NAMES, check->state.next_name - 1, "names");
	count_check(check, DB_SYMBOLS, check->state.next_name - 1, "symbols");
	err = history_check(check);
	return err ? err : chain_check(check);
}

/* ---- the segment against LMDB ------------------------------------------- */

static struct head *head_of(const struct check *check, uint64_t id)
{
	return head_at(check->segment->header,
		       segment_region(check->segment, REGION_HEADS), id);
}

static void key_in_segment(struct check *check, uint64_t id,
			   const struct disk_entity *record)
{
	const struct segment *segment = check->segment;
	uint64_t hash = build_key_hash(record->key, record->key_size);

	if (!filter_test(segment, &segment->header->key_bloom, hash))
		finding(check, "the bloom filter denies the key of entity %llu",
			(unsigned long long)id);
	if (idmap_find(segment, hash, record->key, record->key_size) != id)
		finding(check, "the id map does not find entity %llu",
			(unsigned long long)id);
}

/* Compares a row with what it would be, made anew. */
static int row_differs(const struct check *check, uint32_t row,
		       const float *vector)
{
	const struct bank_shape *shape = &check->segment->bank;
	struct bank_line *line = bank_line_at(check->segment, row);
	const void *full = bank_row_at(check->segment, row);
	_Alignas(64) unsigned char codes[CODE_DIM_MAX * 4];
	_Alignas(64) unsigned char again[CODE_DIM_MAX * 4];
	_Alignas(64) unsigned char halves[CODE_DIM_MAX];
	const void *nibbles = bank_nibbles_at(check->segment, row);
	struct row_code code;

	if (!line || !full || (shape->nibble_bytes && !nibbles))
		return 1;
	bank_encode(shape, vector, &code, codes, again);
	if (nibbles) {
		code_nibbles(&code, codes, shape->coded, halves);
		if (memcmp(halves, nibbles, shape->nibble_bytes) != 0)
			return 1;
	}
	return memcmp(&code, &line->code, sizeof code) != 0 ||
	       memcmp(codes, line->codes, shape->line_bytes - sizeof *line) !=
		   0 ||
	       memcmp(again, full, shape->row_bytes) != 0;
}

static void row_in_segment(struct check *check, uint64_t id, uint32_t row,
			   const struct disk_entity *record)
{
	const float *vector;
	struct bytes value;
	struct bank_line *line;
	struct bank_seen seen;
	int has = there(check, DB_VECTORS, &id, sizeof id, &value);

	if (has != (row != 0))
		finding(check, "entity %llu has %s vector, and row %u",
			(unsigned long long)id, has ? "a" : "no", row);
	if (!has || !row)
		return;
	line = bank_line_at(check->segment, row);
	if (!line) {
		finding(check, "entity %llu has the row %u, out of range",
			(unsigned long long)id, row);
		return;
	}
	seen = bank_peek(line);
	if (bank_seq(line) & 1 || seen.entity != id ||
	    seen.type != record->type || seen.died != COMMIT_NEVER ||
	    seen.born > check->state.commit ||
	    seen.signature !=
		codec_signature(codec_tags(record), record->tag_count))
		finding(check, "row %u does not describe entity %llu", row,
			(unsigned long long)id);
	vector = codec_vector(value, check->store->config.dim);
	if (!vector || row_differs(check, row, vector))
		finding(check, "row %u is not the vector of entity %llu", row,
			(unsigned long long)id);
}

/* A small record has a copy in the segment, and that is what LMDB has. */
static void record_in_segment(struct check *check, uint64_t id, uint32_t unit,
			      struct bytes record)
{
	const struct segment *segment = check->segment;
	uint32_t size = 0;
	const void *copy;

	if ((record.size <= build_record_limit(check->store)) != (unit != 0))
		finding(check, "entity %llu has %zu bytes, and record %u",
			(unsigned long long)id, record.size, unit);
	if (!unit)
		return;
	check->records++;
	copy = record_peek(segment->header,
			   segment_region(segment, REGION_RECORDS), unit,
			   (uint32_t)id, &size);
	if (!copy || size != record.size || memcmp(copy, record.data, size))
		finding(check, "record %u is not that of entity %llu", unit,
			(unsigned long long)id);
}

static int pairs_from_list(const struct check *check,
			   const _Atomic uint32_t *first, struct buffer *pairs)
{
	const struct segment *segment = check->segment;
	struct edge_cursor cursor;
	struct edge_name entry;
	int err = 0;

	edge_cursor_init(
	    &cursor, segment->header, segment_region(segment, REGION_EDGES),
	    first,
	    (uint32_t)(check->state.commit - segment->header->base_commit));
	while (!err && edge_cursor_next(&cursor, &entry)) {
		struct edge_name pair = {entry.peer, entry.relation};

		err = buffer_put(pairs, &pair, sizeof pair);
	}
	return err;
}

static int pairs_from_index(const struct check *check, enum env_db db,
			    uint64_t id, struct buffer *pairs)
{
	struct disk_edge_key first = format_edge_first(id);
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return err;
	err = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!err && key.size == sizeof first &&
	       !memcmp(key.data, &first, 8)) {
		struct disk_edge_key parts;
		struct edge_name pair;

		memcpy(&parts, key.data, sizeof parts);
		pair.peer = (uint32_t)format_join(parts.target);
		pair.relation = be32toh(parts.relation);
		err = buffer_put(pairs, &pair, sizeof pair);
		if (!err)
			err = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : err;
}

static void pairs_sort(struct buffer *pairs)
{
	if (pairs->size)
		qsort(pairs->data, pairs->size / sizeof(struct edge_name),
		      sizeof(struct edge_name), edge_name_compare);
}

static void list_in_segment(struct check *check, uint64_t id, enum env_db db,
			    const struct edge_list *list)
{
	struct buffer mine = {0};
	struct buffer truth = {0};
	int err = pairs_from_list(check, list->first, &mine);

	if (!err)
		err = pairs_from_index(check, db, id, &truth);
	if (err)
		check->failed = err;
	pairs_sort(&mine);
	pairs_sort(&truth);
	if (!err &&
	    (mine.size != truth.size ||
	     (mine.size && memcmp(mine.data, truth.data, mine.size) != 0) ||
	     *list->live != mine.size / sizeof(struct edge_name)))
		finding(check,
			"entity %llu has %zu %s edges in the segment, "
			"counted as %u, and %zu in the data file",
			(unsigned long long)id,
			mine.size / sizeof(struct edge_name),
			db == DB_EDGES ? "outgoing" : "incoming", *list->live,
			truth.size / sizeof(struct edge_name));
	for (size_t at = 0; db == DB_EDGES && at < truth.size;
	     at += sizeof(struct edge_name)) {
		struct edge_name pair;

		memcpy(&pair, truth.data + at, sizeof pair);
		if (!filter_test(check->segment,
				 &check->segment->header->edge_bloom,
				 build_edge_hash(id, pair.relation, pair.peer)))
			finding(check,
				"the bloom filter denies an edge of "
				"entity %llu",
				(unsigned long long)id);
	}
	buffer_release(&mine);
	buffer_release(&truth);
}

static void id_in_segment(struct check *check, uint64_t id)
{
	struct head *head = head_of(check, id);
	struct head_state state;
	struct bytes value;
	struct edge_list out;
	struct edge_list in;
	int alive = there(check, DB_ENTITIES, &id, sizeof id, &value);
	const struct disk_entity *record = value.data;

	if (alive && codec_entity_check(value))
		return;
	if (!head) {
		finding(check, "entity %llu has no head",
			(unsigned long long)id);
		return;
	}
	if (!head_read(head, check->state.commit, &state)) {
		finding(check, "the head of entity %llu is pending",
			(unsigned long long)id);
		return;
	}
	if (state.alive != (uint32_t)alive ||
	    state.type != (alive ? record->type : 0))
		finding(check, "the head of entity %llu says alive %u, type %u",
			(unsigned long long)id, state.alive, state.type);
	if (alive) {
		key_in_segment(check, id, record);
		row_in_segment(check, id, state.row, record);
		record_in_segment(check, id, state.record, value);
	} else if (state.record) {
		finding(check, "entity %llu is gone, its record %u is not",
			(unsigned long long)id, state.record);
	}
	out = edges_of(check->segment, head, 1);
	in = edges_of(check->segment, head, 0);
	list_in_segment(check, id, DB_EDGES, &out);
	list_in_segment(check, id, DB_EDGES_IN, &in);
}

/* Rows that are neither in the graph nor wait for it are never found. */
static void rows_left_out(struct check *check)
{
	const struct segment *segment = check->segment;
	uint32_t count = bank_count(segment);
	uint32_t waiting = hnsw_tail_count(segment);
	uint64_t *seen = calloc(count / 64 + 1, sizeof *seen);
	uint64_t left_out = 0;

	for (uint32_t i = 0; seen && i < waiting; i++) {
		uint32_t row = hnsw_tail_at(segment, i);

		if (row < count)
			seen[row / 64] |= UINT64_C(1) << (row & 63);
	}
	for (uint32_t row = 1; seen && row < count; row++) {
		uint64_t born = COMMIT_NEVER;
		uint64_t died;

		left_out += bank_life(segment, row, &born, &died) &&
			    born != COMMIT_NEVER &&
			    !hnsw_is_linked(segment, row) &&
			    !(seen[row / 64] >> (row & 63) & 1);
	}
	free(seen);
	if (left_out)
		finding(check,
			"%llu rows are not in the vector graph, nor do they "
			"wait to be",
			(unsigned long long)left_out);
}

static void tree_in_segment(struct check *check)
{
	struct kd_figures figures;

	if (kd_validate(check->segment, &figures) == EBADMSG)
		finding(check,
			"the tree of the vectors has %llu rows of %llu, or "
			"boxes that do not hold them",
			(unsigned long long)figures.rows,
			(unsigned long long)hnsw_linked(check->segment));
}

static void graph_in_segment(struct check *check)
{
	struct hnsw_figures figures;

	rows_left_out(check);
	if (hnsw_validate(check->segment, &figures) == EBADMSG)
		finding(check,
			"the vector graph has %llu nodes of %llu, %llu links "
			"that lead nowhere and %llu that lead one way, or "
			"its entry is not one of the tallest",
			(unsigned long long)figures.linked,
			(unsigned long long)hnsw_linked(check->segment),
			(unsigned long long)figures.broken,
			(unsigned long long)figures.one_way);
}

static void rows_in_segment(struct check *check)
{
	uint32_t count = bank_count(check->segment);
	uint64_t alive = 0;
	uint64_t free_rows = 0;

	for (uint32_t row = 1; row < count; row++) {
		uint64_t born;
		uint64_t died;

		if (!bank_life(check->segment, row, &born, &died))
			continue;
		free_rows += born == COMMIT_NEVER;
		alive += born != COMMIT_NEVER && died == COMMIT_NEVER;
	}
	if (alive != check->state.vectors)
		finding(check, "the bank has %llu living rows for %llu vectors",
			(unsigned long long)alive,
			(unsigned long long)check->state.vectors);
	if (free_rows != bank_free_length(check->segment))
		finding(check, "the bank's free list has %llu rows of %llu",
			(unsigned long long)bank_free_length(check->segment),
			(unsigned long long)free_rows);
	graph_in_segment(check);
	tree_in_segment(check);
	if (idmap_validate(check->segment))
		finding(check, "the id map names entities that have no head");
}

/*
 * Every block is an entity's, free, or in limbo.  That none is two entities'
 * follows from its naming one.
 */
static void records_in_segment(struct check *check)
{
	struct segment *segment = &check->store->writable;
	uint64_t waiting = limbo_count_kind(segment, LIMBO_RECORD);
	uint64_t listed = record_free_length(segment);
	struct record_seen seen;
	uint64_t next = 1;
	uint64_t used = 0;
	uint64_t unused = 0;
	int more;

	while ((more = record_next(segment, &next, &seen)) > 0) {
		used += seen.entity != 0;
		unused += seen.entity == 0;
	}
	if (more)
		finding(check, "there is no record at unit %llu",
			(unsigned long long)next);
	if (used != check->records + waiting)
		finding(check,
			"%llu records are in use, %llu of them by entities "
			"and %llu waiting for readers",
			(unsigned long long)used,
			(unsigned long long)check->records,
			(unsigned long long)waiting);
	if (unused != listed)
		finding(check, "the free lists have %llu records of %llu",
			(unsigned long long)listed, (unsigned long long)unused);
}

static cop_err check_locked(struct check *check)
{
	cop_store *store = check->store;
	cop_err err = writer_settle(store, NULL);
	uint64_t before;
	int code;

	if (err)
		return err;
	check->segment = &store->writable;
	code = env_read_begin(store->env, &check->txn);
	if (code)
		return error_system(code, "%s: cannot read", store->path);
	err = read_state(store->env, check->txn, &check->state);
	if (!err) {
		check->used =
		    calloc(check->state.next_name, sizeof *check->used);
		if (!check->used)
			err = error_system(ENOMEM, "no memory to check");
	}
	if (!err)
		err = truth_check(check);
	free(check->used);
	before = check->findings;
	for (uint64_t id = 1; !err && id < check->state.next_entity; id++) {
		id_in_segment(check, id);
		if (check->failed)
			err = error_system(check->failed, "%s: cannot check",
					   store->path);
	}
	if (!err)
		rows_in_segment(check);
	if (!err)
		records_in_segment(check);
	/* an image may have the damage, too */
	if (check->findings > before)
		checkpoint_forget(store);
	env_read_abort(check->txn);
	return err;
}

cop_err cop_check(cop_store *store, void (*found)(void *user, const char *text),
		  void *user, uint64_t *findings)
{
	struct check check = {.store = store, .found = found, .user = user};
	cop_err err = store_use(store);

	if (!err)
		err = writer_lock(store, store->timeout_ms);
	if (err)
		return err;
	err = check_locked(&check);
	writer_unlock(store);
	if (!err)
		*findings = check.findings;
	return err;
}
