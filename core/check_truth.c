/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB against itself: each record against every index that mentions it, both
 * ways; contents against the records that name them; the chain of commits.
 *
 * what is mended
 *	Indexes follow from records: what one has too much goes, what it lacks
 *	is put.  Edges that hang on an entity that is not there go, and so does
 *	its vector.  A record that is damaged is not made up.
 */
#include "apply.h"
#include "check.h"
#include "content.h"
#include "timed.h"

#include <stdio.h>
#include <stdlib.h>

/* Commits that a quick check looks at. */
enum { CHAIN_NEWEST = 1000 };

/* ---- content ------------------------------------------------------------ */

static int removes(const struct check *check)
{
	return check->options->repair == CHECK_REMOVES;
}

/* What is left of a content goes with its head; then no record finds it. */
static void content_drop(struct check *check)
{
	struct disk_content_key head = check->chunk;

	head.number = 0;
	if (removes(check) && check->content.chunks)
		check_mend_delete(check, DB_CONTENT,
				  bytes_of(&head, sizeof head));
}

/* A content of which all chunks were seen. */
static void content_end(struct check *check)
{
	if (be32toh(check->chunk.number) != check->content.chunks ||
	    check->content_size != check->content.size) {
		content_drop(check);
		check_finding(
		    check,
		    "a content of %u chunks, %llu bytes, has %u and %llu",
		    check->content.chunks,
		    (unsigned long long)check->content.size,
		    be32toh(check->chunk.number),
		    (unsigned long long)check->content_size);
	}
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
	check->headless = key->number || value.size != sizeof check->content;
	if (check->headless)
		check_finding(check, "a content has no head");
	else
		memcpy(&check->content, value.data, sizeof check->content);
}

static void chunk_check(struct check *check, struct bytes key,
			struct bytes value)
{
	struct disk_content_key parts;
	struct disk_chunk chunk;

	if (key.size != sizeof parts) {
		check_finding(check, "a content's key has %zu bytes", key.size);
		return;
	}
	memcpy(&parts, key.data, sizeof parts);
	if (!check->has_content ||
	    memcmp(parts.id, check->chunk.id, sizeof parts.id) != 0) {
		content_begin(check, &parts, value);
		if (check->headless && removes(check))
			check_mend_delete(check, DB_CONTENT, key);
		return;
	}
	if (check->headless && removes(check))
		check_mend_delete(check, DB_CONTENT, key);
	if (be32toh(parts.number) != be32toh(check->chunk.number) + 1 ||
	    !content_chunk_is_sound(value)) {
		check_finding(check,
			      "chunk %u of a content is missing or damaged",
			      be32toh(check->chunk.number) + 1);
	} else {
		memcpy(&chunk, value.data, sizeof chunk);
		check->content_size += chunk.size;
	}
	check->chunk = parts;
}

/* What a record names must be there, whole. */
int check_content_wanted(struct check *check, struct bytes record)
{
	const struct disk_entity *entity = record.data;
	struct disk_content_head head = {0};
	struct disk_content content;
	struct disk_content_key key;
	struct bytes value;

	if (!content_named(record, &content))
		return 0;
	key = content_key(&content, 0);
	if (check_there(check, DB_CONTENT, &key, sizeof key, &value) &&
	    value.size == sizeof head)
		memcpy(&head, value.data, sizeof head);
	if (head.chunks && head.chunks == content.chunks &&
	    head.size == content.size && !head.added_ns)
		return 0;
	check_finding(check,
		      "the content of '%.*s', of %llu bytes, is not there",
		      (int)entity->key_size, (const char *)entity->key,
		      (unsigned long long)content.size);
	return 1;
}

/* The same entity, without a content that is lost. */
static void content_mend(struct check *check, struct bytes key,
			 struct bytes record)
{
	const struct content_part none = {0};
	struct buffer out = {0};

	if (codec_recontent(&out, record, &none))
		check->failed = ENOMEM;
	else
		check_mend_put(check, DB_ENTITIES, key,
			       bytes_of(out.data, out.size));
	buffer_release(&out);
}

static cop_err contents_check(struct check *check)
{
	cop_err err;

	check->has_content = 0;
	check->content = (struct disk_content_head){0};
	check->chunk = (struct disk_content_key){0};
	check->content_size = 0;
	err = check_database(check, DB_CONTENT, chunk_check);
	if (!err)
		content_end(check);
	return err;
}

/* ---- LMDB against itself ------------------------------------------------ */

static void key_check(struct check *check, struct bytes key, struct bytes value)
{
	uint64_t id = check_number(value);

	if (!id || id >= check->state.next_entity)
		check_finding(check, "key '%.*s' has the id %llu, never given",
			      (int)key.size, (const char *)key.data,
			      (unsigned long long)id);
}

/* Whether an entity's record, as it is there, has that key. */
static int key_is_of(const struct check *check, const struct disk_entity *head,
		     uint64_t id)
{
	const struct disk_entity *other;
	struct bytes record;

	if (!check_there(check, DB_ENTITIES, &id, sizeof id, &record) ||
	    codec_entity_check(record))
		return 0;
	other = record.data;
	return other->key_size == head->key_size &&
	       !memcmp(other->key, head->key, head->key_size);
}

/* A key is its entity's, unless another one there has the same. */
static void key_mend(struct check *check, const struct disk_entity *head,
		     uint64_t id)
{
	struct bytes value;

	if (check_there(check, DB_KEYS, head->key, head->key_size, &value) &&
	    key_is_of(check, head, check_number(value)))
		return;
	check_mend_derived(check, DB_KEYS, bytes_of(head->key, head->key_size),
			   bytes_of(&id, sizeof id));
}

static void name_count(struct check *check, uint32_t name)
{
	if (name < check->state.next_name)
		check->used[name]++;
}

static void member_wanted(struct check *check, uint32_t name, uint64_t id,
			  uint64_t version)
{
	struct disk_member_key key = format_member_key(name, id);
	struct bytes value;

	check->members++;
	name_count(check, name);
	if (check_there(check, DB_MEMBERS, &key, sizeof key, &value))
		return;
	check_finding(check, "entity %llu is not in the list of name %u",
		      (unsigned long long)id, name);
	check_mend_derived(check, DB_MEMBERS, bytes_of(&key, sizeof key),
			   bytes_of(&version, sizeof version));
}

/* One that no record asks for; looked for if there are too many. */
static void member_check(struct check *check, struct bytes key,
			 struct bytes value)
{
	struct disk_member_key parts;
	const struct disk_entity *head;
	struct bytes record;
	uint64_t id;
	uint32_t name;

	(void)value;
	if (key.size != sizeof parts) {
		check_finding(check, "a member's key has %zu bytes", key.size);
		return;
	}
	memcpy(&parts, key.data, sizeof parts);
	id = format_join(parts.id);
	name = be32toh(parts.name);
	if (check_there(check, DB_ENTITIES, &id, sizeof id, &record)) {
		head = record.data;
		if (codec_entity_check(record) || head->type == name ||
		    codec_has_tag(head, name))
			return;
	}
	check_finding(check,
		      "entity %llu is in the list of name %u, which it "
		      "has not",
		      (unsigned long long)id, name);
	check_mend_delete(check, DB_MEMBERS, key);
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

/* Whether a directory's values can be decoded, members of lists and all. */
static int values_decode(struct bytes record,
			 const struct disk_property *directory, uint32_t count)
{
	struct arena arena = {0};
	struct cop_value value;
	cop_err err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		struct cop_value member;

		err =
		    codec_value(&arena, record, directory[i].value_at, &value);
		for (uint32_t j = 0;
		     !err && j < value.count &&
		     (value.kind == COP_LIST || value.kind == COP_MAP);
		     j++)
			err = cop_value_item(&value, j, NULL, NULL, &member);
	}
	arena_release(&arena);
	return !err;
}

static void entity_decode(struct check *check, uint64_t id, struct bytes record)
{
	const struct disk_entity *head = record.data;
	struct arena arena = {0};
	struct bytes content;

	if (!values_decode(record, codec_directory(head), head->property_count))
		check_finding(check,
			      "a property of entity %llu cannot be decoded",
			      (unsigned long long)id);
	if (!codec_content_part(head).stored.size)
		return;
	if (codec_content(&arena, record, &content))
		check_finding(check,
			      "the content of entity %llu cannot be decoded",
			      (unsigned long long)id);
	arena_release(&arena);
}

static void entity_check(struct check *check, struct bytes key,
			 struct bytes value)
{
	const struct disk_entity *head = value.data;
	uint64_t id = check_number(key);
	struct bytes other;

	if (codec_entity_check(value)) {
		check_finding(check, "entity %llu: %s", (unsigned long long)id,
			      cop_last_error());
		return;
	}
	if (!check_there(check, DB_KEYS, head->key, head->key_size, &other) ||
	    check_number(other) != id) {
		check_finding(check, "entity %llu: its key gives another id",
			      (unsigned long long)id);
		key_mend(check, head, id);
	}
	if (head->version > check->state.commit)
		check_finding(check, "entity %llu is of a commit to come",
			      (unsigned long long)id);
	if (head->type)
		member_wanted(check, head->type, id, head->version);
	for (uint32_t i = 0; i < head->tag_count; i++)
		if (!tag_was_before(head, i))
			member_wanted(check, codec_tags(head)[i], id,
				      head->version);
	if (check_content_wanted(check, value) && removes(check))
		content_mend(check, key, value);
	if (timed_is(head) && !timed_is_sound(value))
		check_finding(check,
			      "entity %llu has a time that ends before it "
			      "begins",
			      (unsigned long long)id);
	if (check->options->depth == COP_CHECK_DEEP)
		entity_decode(check, id, value);
}

static void vector_check(struct check *check, struct bytes key,
			 struct bytes value)
{
	size_t floats = check->store->config.dim * sizeof(float);
	uint64_t id = check_number(key);
	struct bytes other;

	if (value.size < DISK_VECTOR_HEADER + floats)
		check_finding(check, "the vector of entity %llu has %zu bytes",
			      (unsigned long long)id, value.size);
	if (!check_there(check, DB_ENTITIES, &id, sizeof id, &other)) {
		check_finding(check,
			      "a vector belongs to entity %llu, not there",
			      (unsigned long long)id);
		check_mend_delete(check, DB_VECTORS, key);
	}
}

/* Whether the index of incoming edges has an edge's version and validity. */
static int edge_in_agrees(struct bytes value, const struct disk_edge *edge)
{
	const struct disk_validity *valid = codec_edge_validity(edge);
	const struct disk_edge_in *in = value.data;

	return check_number(value) == edge->version &&
	       value.size == (valid ? sizeof *in : sizeof in->version) &&
	       (!valid || !memcmp(&in->valid, valid, sizeof *valid));
}

/* An incoming edge as it follows from an edge's record. */
static void edge_in_mend(struct check *check, const struct disk_edge_key *back,
			 const struct disk_edge *edge)
{
	const struct disk_validity *valid = codec_edge_validity(edge);
	struct disk_edge_in in = {.version = edge->version};

	if (valid)
		in.valid = *valid;
	check_mend_derived(
	    check, DB_EDGES_IN, bytes_of(back, sizeof *back),
	    bytes_of(&in, valid ? sizeof in : sizeof in.version));
}

/* It stands in one index only; the record is the outgoing one's. */
static void edge_alone(struct check *check, enum env_db other, struct bytes key,
		       struct bytes value, const struct disk_edge_key *back)
{
	check_finding(check, "edge %llu to %llu stands in one index only",
		      (unsigned long long)be64toh(back->source),
		      (unsigned long long)format_join(back->target));
	if (other == DB_EDGES)
		check_mend_delete(check, DB_EDGES_IN, key);
	else if (!codec_edge_check(value))
		edge_in_mend(check, back, value.data);
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
		check_finding(check, "an edge's key has %zu bytes", key.size);
		return;
	}
	memcpy(&parts, key.data, sizeof parts);
	if (other == DB_EDGES_IN)
		name_count(check, be32toh(parts.relation));
	from = be64toh(parts.source);
	to = format_join(parts.target);
	back = format_edge_turn(&parts);
	if (other == DB_EDGES_IN && codec_edge_check(value))
		check_finding(check, "edge %llu to %llu: %s",
			      (unsigned long long)from, (unsigned long long)to,
			      cop_last_error());
	if (!check_there(check, DB_ENTITIES, &from, sizeof from, &found)) {
		check_finding(check, "an edge hangs on entity %llu, not there",
			      (unsigned long long)from);
		check_mend_delete(
		    check, other == DB_EDGES ? DB_EDGES_IN : DB_EDGES, key);
		check_mend_delete(check, other, bytes_of(&back, sizeof back));
		return;
	}
	if (!check_there(check, other, &back, sizeof back, &found)) {
		edge_alone(check, other, key, value, &back);
	} else if (other == DB_EDGES && !codec_edge_check(found) &&
		   !edge_in_agrees(value, found.data)) {
		check_finding(check,
			      "edge %llu to %llu is another one from there",
			      (unsigned long long)to, (unsigned long long)from);
		edge_in_mend(check, &parts, found.data);
	}
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

/* The same name, said to be used as often as it is. */
static void name_mend(struct check *check, struct bytes key, struct bytes value,
		      uint64_t used)
{
	char record[DISK_NAME_TEXT + COP_NAME_BYTES];

	if (value.size > sizeof record)
		return;
	memcpy(record, value.data, value.size);
	memcpy(record + DISK_NAME_COUNT, &used, sizeof used);
	check_mend_put(check, DB_NAMES, key, bytes_of(record, value.size));
}

static void symbol_check(struct check *check, uint64_t number,
			 struct bytes symbol)
{
	struct bytes other;

	if (check_there(check, DB_SYMBOLS, symbol.data, symbol.size, &other) &&
	    check_number(other) == number)
		return;
	check_finding(check, "name %llu has another number the other way",
		      (unsigned long long)number);
	check_mend_derived(check, DB_SYMBOLS, symbol,
			   bytes_of(&number, sizeof number));
}

static void name_check(struct check *check, struct bytes key,
		       struct bytes value)
{
	uint64_t number = check_number(key);
	uint64_t count = 0;

	if (value.size <= DISK_NAME_TEXT || number >= check->state.next_name) {
		check_finding(check, "name %llu has %zu bytes, or never was",
			      (unsigned long long)number, value.size);
		return;
	}
	memcpy(&count, (const char *)value.data + DISK_NAME_COUNT,
	       sizeof count);
	if (count != check->used[number]) {
		check_finding(check,
			      "name %llu is said to be used %llu times, not "
			      "%llu",
			      (unsigned long long)number,
			      (unsigned long long)count,
			      (unsigned long long)check->used[number]);
		name_mend(check, key, value, check->used[number]);
	}
	symbol_check(check, number,
		     bytes_of((const char *)value.data + DISK_NAME_SYMBOL,
			      value.size - DISK_NAME_SYMBOL));
}

/* A name that is missing, by what its symbol says. */
static void name_put(struct check *check, uint64_t number, struct bytes symbol)
{
	unsigned char record[DISK_NAME_TEXT + COP_NAME_BYTES];
	size_t bytes = DISK_NAME_SYMBOL + symbol.size;

	check_finding(check, "name %llu is in one direction only",
		      (unsigned long long)number);
	if (bytes <= DISK_NAME_TEXT || bytes > sizeof record)
		return;
	memcpy(record, &check->state.commit, sizeof check->state.commit);
	memcpy(record + DISK_NAME_COUNT, &check->used[number],
	       sizeof *check->used);
	memcpy(record + DISK_NAME_SYMBOL, symbol.data, symbol.size);
	check_mend_put(check, DB_NAMES, bytes_of(&number, sizeof number),
		       bytes_of(record, bytes));
}

/* Whose name has another text, or none that there may be, is superfluous. */
static void symbol_back_check(struct check *check, struct bytes key,
			      struct bytes value)
{
	uint64_t number = check_number(value);
	struct bytes name;

	if (value.size != sizeof number || !number ||
	    number >= check->state.next_name) {
		check_finding(check,
			      "a symbol has number %llu, which never was",
			      (unsigned long long)number);
		check_mend_delete(check, DB_SYMBOLS, key);
	} else if (!check_there(check, DB_NAMES, &number, sizeof number,
				&name)) {
		name_put(check, number, key);
	} else if (name.size != DISK_NAME_SYMBOL + key.size ||
		   memcmp((const char *)name.data + DISK_NAME_SYMBOL, key.data,
			  key.size) != 0) {
		check_finding(check, "name %llu has two symbols",
			      (unsigned long long)number);
		check_mend_delete(check, DB_SYMBOLS, key);
	}
}

/* Each record follows from the one before; the first one may be any. */
static void op_check(struct check *check, struct bytes key, struct bytes value)
{
	uint64_t commit = check_number(key);
	struct disk_op op;

	if (value.size < sizeof op) {
		check_finding(check,
			      "the operation record of commit %llu is cut off",
			      (unsigned long long)commit);
		return;
	}
	memcpy(&op, value.data, sizeof op);
	if (check->chain_commit &&
	    (commit != check->chain_commit + 1 ||
	     op.chain !=
		 apply_chain(check->chain, commit, op.time_ns, op.hash))) {
		check_finding(check, "the chain of commits is broken at %llu",
			      (unsigned long long)commit);
		check->chain_broken = commit;
	}
	check->chain_commit = commit;
	check->chain = op.chain;
}

static void op_drop(struct check *check, struct bytes key, struct bytes value)
{
	(void)value;
	if (check_number(key) < check->chain_broken)
		check_mend_delete(check, DB_OPS, key);
}

/*
 * A chain is from its first record on: what is before a break goes, or all if
 * the newest one is missing; then the repair's own commit begins another.
 */
static cop_err chain_mend(struct check *check)
{
	const uint64_t newest = check->state.commit;

	if (check->chain_commit != newest ||
	    check->chain != check->state.chain) {
		check->chain_broken = newest + 1;
		check->seals = 1;
		check->findings--;
	}
	return check->chain_broken ? check_database(check, DB_OPS, op_drop) : 0;
}

/* From a commit on. */
static cop_err chain_check(struct check *check, uint64_t from)
{
	cop_err err;

	check->chain_commit = 0;
	check->chain_broken = 0;
	err = check_database_from(check, DB_OPS, bytes_of(&from, sizeof from),
				  op_check);
	if (err || !check->state.commit)
		return err;
	if (check->chain_commit != check->state.commit ||
	    check->chain != check->state.chain)
		check_finding(check,
			      "the newest commit, %llu, has no operation "
			      "record, or another one's",
			      (unsigned long long)check->state.commit);
	return check->options->repair == CHECK_REMOVES ? chain_mend(check) : 0;
}

/* The store's counters, and what is in its databases. */
static void counters_check(struct check *check)
{
	uint64_t before = check->findings;

	check_count(check, DB_ENTITIES, check->state.entities, "entities");
	check_count(check, DB_EDGES, check->state.edges, "edges");
	check_count(check, DB_VECTORS, check->state.vectors, "vectors");
	check->recount |= check->findings != before;
	check_count(check, DB_EDGES_IN, check_entries(check, DB_EDGES),
		    "incoming edges");
	check_count(check, DB_SYMBOLS, check_entries(check, DB_NAMES),
		    "symbols");
}

static cop_err members_check(struct check *check)
{
	uint64_t before = check->findings;

	check_count(check, DB_MEMBERS, check->members, "members of lists");
	return check->findings == before
		   ? 0
		   : check_database(check, DB_MEMBERS, member_check);
}

/* One of which no text is left, so that what has it can be read. */
static void name_invent(struct check *check, uint64_t number)
{
	unsigned char record[DISK_NAME_TEXT + 32] = {0};
	int size;

	memcpy(record, &check->state.commit, sizeof check->state.commit);
	memcpy(record + DISK_NAME_COUNT, &check->used[number],
	       sizeof *check->used);
	record[DISK_NAME_SYMBOL] = NAME_TYPE;
	size = snprintf((char *)record + DISK_NAME_TEXT, 32, "lost-name-%llu",
			(unsigned long long)number);
	check_mend_put(check, DB_NAMES, bytes_of(&number, sizeof number),
		       bytes_of(record, DISK_NAME_TEXT + (size_t)size));
}

/* Names that nothing has may be missing: a compaction drops them. */
static void names_check(struct check *check)
{
	uint64_t end = check->names.past;

	if (end > check->state.next_name) {
		check_finding(check, "name %llu is used, and was never given",
			      (unsigned long long)end - 1);
		end = check->state.next_name;
	}
	for (uint64_t number = 1; number < end; number++) {
		struct bytes value;

		if (!used_has(&check->names, number) ||
		    check_there(check, DB_NAMES, &number, sizeof number,
				&value))
			continue;
		check_finding(check,
			      "name %llu is used, and not in the dictionary",
			      (unsigned long long)number);
		if (removes(check) && check->round > ROUND_PATIENT)
			name_invent(check, number);
	}
}

/* Names from 0 again; memory that no name asks for is never touched. */
static cop_err names_begin(struct check *check)
{
	used_release(&check->names);
	free(check->used);
	check->used = calloc(check->state.next_name, sizeof *check->used);
	return check->used ? 0 : error_system(ENOMEM, "no memory to check");
}

cop_err check_truth(struct check *check)
{
	cop_err err = check_sums(check);

	if (err || check->damaged)
		return err;
	check->members = 0;
	err = names_begin(check);
	if (!err)
		err = check_database(check, DB_KEYS, key_check);
	if (!err)
		err = check_database(check, DB_ENTITIES, entity_check);
	if (!err)
		err = check_database(check, DB_VECTORS, vector_check);
	if (!err)
		err = check_database(check, DB_EDGES, edge_out_check);
	if (!err)
		err = check_database(check, DB_EDGES_IN, edge_in_check);
	if (!err)
		err = check_database(check, DB_NAMES, name_check);
	if (!err)
		err = check_database(check, DB_SYMBOLS, symbol_back_check);
	if (!err)
		err = contents_check(check);
	if (err)
		return err;
	counters_check(check);
	err = members_check(check);
	if (!err)
		err = check_history(check);
	check->place = COP_PLACE_DATA;
	if (err)
		return err;
	names_check(check);
	return chain_check(check, 0);
}

cop_err check_counts(struct check *check)
{
	uint64_t commit = check->state.commit;

	check->place = COP_PLACE_DATA;
	counters_check(check);
	return chain_check(check,
			   commit > CHAIN_NEWEST ? commit - CHAIN_NEWEST : 0);
}
