/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimistic transactions: what was read is so at the commit, or nothing is
 * written.
 *
 * idea
 *	A transaction holds the number of a commit, S, and a write; no lock, no
 *	snapshot, no slot.  Each of its reads looks at the newest commit and
 *	makes sure that what it returns has not changed since S: then it is as
 *	of S, too, and everything a transaction reads is of one moment.  What
 *	has changed is COP_CONFLICT at once.  What was read is noted in the
 *	write as an expectation; whoever commits it looks again (validate.c),
 *	under the writer lock, before the first put.
 *
 * source
 *	Kung and Robinson 1981, backward validation, with the versions that
 *	records have anyway in place of read sets to be intersected.
 *
 * how a change since S shows
 *	something is there	its version is over S
 *	nothing is there	the head of its id changed after S
 *	edges, members, keys	see validate.h
 *	An attempt that is not in LMDB shows, too, until it is there or is
 *	taken back.  If its writer is dead that is left to the next commit; so
 *	who met a conflict and finds that nobody has committed since mends the
 *	segment himself, or would meet it for ever.
 *
 * limits
 *	Serializable means over what was read through the transaction.
 *	Searches and walks are not: they are done with a cop_read.
 */
#include "build.h"
#include "write.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { TRIES_DEFAULT = 100, PAUSE_NS = 100000, PAUSE_DOUBLINGS = 12 };

struct cop_txn {
	cop_store *store;
	uint64_t commit; /* S */
	cop_write *write;
	struct arena arena;	/* copies of what was read */
	struct hashmap noted;	/* expectations by hash */
	struct buffer noted_at; /* u64, where in the write's operations */
};

/* ---- begin and end ------------------------------------------------------ */

cop_err cop_txn_begin(cop_store *store, cop_txn **out)
{
	cop_txn *txn = calloc(1, sizeof *txn);
	cop_read *read;
	cop_err err = cop_read_begin(store, &read);

	if (!err) {
		if (txn)
			txn->commit = cop_read_commit(read);
		cop_read_end(read);
	}
	if (!err && !txn)
		err = error_system(ENOMEM, "no memory for a transaction");
	if (!err)
		err = cop_write_begin(store, &txn->write);
	if (err) {
		free(txn);
		return err;
	}
	txn->store = store;
	*out = txn;
	return 0;
}

void cop_txn_end(cop_txn *txn)
{
	if (!txn)
		return;
	cop_abort(txn->write);
	arena_release(&txn->arena);
	hashmap_release(&txn->noted);
	buffer_release(&txn->noted_at);
	free(txn);
}

uint64_t cop_txn_commit_read(const cop_txn *txn)
{
	return txn->commit;
}

cop_write *cop_txn_write(cop_txn *txn)
{
	return txn->write;
}

static cop_err changed(const char *what, const void *name, size_t size)
{
	return error_set(
	    COP_CONFLICT,
	    "%s '%.*s' changed after the transaction began: another commit "
	    "came between; begin it again",
	    what, (int)(size < 120 ? size : 120), (const char *)name);
}

/* ---- noting what was read ----------------------------------------------- */

struct expectation {
	enum expect_kind kind;
	uint64_t version;
	struct bytes key;
	struct bytes target;
	struct bytes name;
	uint32_t discriminator;
};

static cop_err expect_put(cop_write *write, const struct expectation *expect)
{
	struct op op = {.kind = OP_EXPECT,
			.option = (uint16_t)expect->kind,
			.key_size = (uint32_t)expect->key.size,
			.target_size = (uint32_t)expect->target.size,
			.record_bytes = (uint32_t)expect->name.size,
			.discriminator = expect->discriminator};
	struct buffer *ops = &write->ops;
	size_t at = ops->size;
	struct op *head;

	if (write->count == UINT32_MAX - 1 || buffer_put(ops, &op, sizeof op) ||
	    buffer_put(ops, &expect->version, sizeof expect->version) ||
	    buffer_put(ops, expect->key.data, expect->key.size) ||
	    buffer_put(ops, expect->target.data, expect->target.size) ||
	    buffer_put(ops, expect->name.data, expect->name.size) ||
	    buffer_align(ops, 8)) {
		ops->size = at;
		return error_system(ENOMEM, "no memory for the write");
	}
	head = (struct op *)(void *)(ops->data + at);
	head->bytes = (uint32_t)(ops->size - at);
	write->count++;
	return 0;
}

/* Notes an expectation, once however often it is read. */
static cop_err note(cop_txn *txn, const struct expectation *expect)
{
	struct buffer *ops = &txn->write->ops;
	size_t at = ops->size;
	cop_err err = expect_put(txn->write, expect);
	struct hashmap_cursor cursor;
	uint64_t here = at;
	uint32_t index;
	size_t bytes;

	if (err)
		return err;
	bytes = ops->size - at;
	cursor = (struct hashmap_cursor){
	    .hash = build_key_hash(ops->data + at, bytes)};
	while (hashmap_next(&txn->noted, &cursor, &index)) {
		const unsigned char *known =
		    ops->data + ((uint64_t *)(void *)txn->noted_at.data)[index];

		if (memcmp(known, ops->data + at, bytes) != 0)
			continue;
		ops->size = at;
		txn->write->count--;
		return 0;
	}
	index = (uint32_t)(txn->noted_at.size / sizeof here);
	if (buffer_put(&txn->noted_at, &here, sizeof here) ||
	    hashmap_put(&txn->noted, cursor.hash, index))
		return error_system(ENOMEM, "no memory for a transaction");
	return 0;
}

static cop_err entity_note(cop_txn *txn, enum expect_kind kind, const void *key,
			   size_t key_size, uint64_t version)
{
	struct expectation expect = {
	    .kind = kind, .version = version, .key = bytes_of(key, key_size)};

	return note(txn, &expect);
}

static cop_err relation_check(const char *relation, size_t size)
{
	if (relation && size && size <= COP_NAME_BYTES)
		return 0;
	return error_set(COP_INVALID,
			 "a relation has %zu bytes; it may have 1 to %d", size,
			 COP_NAME_BYTES);
}

cop_err cop_expect(cop_write *write, const void *key, size_t key_size,
		   uint64_t version)
{
	struct expectation expect = {.kind = EXPECT_ENTITY,
				     .version = version,
				     .key = bytes_of(key, key_size)};
	cop_err err = write_check(write);

	if (!err)
		err = write_key_check(key, key_size);
	return err ? err : expect_put(write, &expect);
}

cop_err cop_expect_edge(cop_write *write, const struct cop_put_edge *edge,
			uint64_t version)
{
	struct expectation expect = {
	    .kind = EXPECT_EDGE,
	    .version = version,
	    .key = bytes_of(edge->source, edge->source_size),
	    .target = bytes_of(edge->target, edge->target_size),
	    .name = bytes_of(edge->relation, edge->relation_size),
	    .discriminator = edge->discriminator};
	cop_err err = write_check(write);

	if (!err)
		err = write_key_check(edge->source, edge->source_size);
	if (!err)
		err = write_key_check(edge->target, edge->target_size);
	if (!err)
		err = relation_check(edge->relation, edge->relation_size);
	return err ? err : expect_put(write, &expect);
}

/* ---- changes since S ---------------------------------------------------- */

/* The head of a key's id, NULL if it was never given one. */
static struct head *head_of(const cop_read *read, const void *key, size_t size)
{
	const struct segment *segment = read_segment(read);

	return head_at(
	    segment->header, segment_region(segment, REGION_HEADS),
	    idmap_find(segment, build_key_hash(key, size), key, size));
}

/* What is absent was so at S, too. */
static int was_absent(const cop_txn *txn, const cop_read *read, const void *key,
		      size_t size)
{
	const struct head *head = head_of(read, key, size);

	if (!head)
		return 1;
	return atomic_load_explicit(&head->changed, memory_order_acquire) >>
		   1 <= txn->commit &&
	       read_segment(read)->header->base_commit <= txn->commit;
}

static int edges_same(const cop_txn *txn, const cop_read *read, const void *key,
		      size_t size)
{
	const struct head *head = head_of(read, key, size);

	return !head ||
	       head_relisted(head, read_segment(read)->header->base_commit) <=
		   txn->commit;
}

/* ---- entities ----------------------------------------------------------- */

static const void *copied(cop_txn *txn, const void *data, size_t size)
{
	void *copy = arena_take(&txn->arena, size);

	return copy ? memcpy(copy, data, size) : NULL;
}

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for what a transaction read");
}

static cop_err entity_read(cop_txn *txn, cop_read *read, const void *key,
			   size_t key_size, struct cop_entity *out)
{
	struct cop_entity entity;
	struct bytes copy;
	cop_err err = cop_get(read, key, key_size, &entity);

	if (!err && (entity.id ? entity.version > txn->commit
			       : !was_absent(txn, read, key, key_size)))
		err = changed("the entity", key, key_size);
	if (!err)
		err = entity_note(txn, EXPECT_ENTITY, key, key_size,
				  entity.version);
	if (err || !entity.id) {
		if (!err)
			*out = entity;
		return err;
	}
	copy = bytes_of(copied(txn, entity.record, entity.record_size),
			entity.record_size);
	return copy.data ? read_entity_view(entity.id, copy, out) : no_memory();
}

cop_err cop_txn_get(cop_txn *txn, const void *key, size_t key_size,
		    struct cop_entity *out)
{
	cop_read *read;
	cop_err err = cop_read_begin(txn->store, &read);

	if (err)
		return err;
	err = entity_read(txn, read, key, key_size, out);
	cop_read_end(read);
	return err;
}

cop_err cop_txn_property(cop_txn *txn, const struct cop_entity *entity,
			 const char *name, size_t name_size, int *found,
			 struct cop_value *out)
{
	cop_read *read;
	struct arena own;
	cop_err err = cop_read_begin(txn->store, &read);

	if (err)
		return err;
	own = read->arena; /* what is decompressed lives with the transaction */
	read->arena = txn->arena;
	err = cop_entity_property(read, entity, name, name_size, found, out);
	txn->arena = read->arena;
	read->arena = own;
	cop_read_end(read);
	return err;
}

static cop_err vector_read(cop_txn *txn, cop_read *read, const void *key,
			   size_t key_size, const float **vector)
{
	size_t bytes = txn->store->config.dim * sizeof(float);
	const float *floats = NULL;
	uint64_t version = 0;
	uint64_t id;
	cop_err err = cop_lookup(read, key, key_size, &id);

	if (!err && id)
		err = cop_vector(read, id, &floats);
	if (!err && floats)
		memcpy(&version, (const char *)floats - DISK_VECTOR_HEADER,
		       sizeof version);
	if (!err && (floats ? version > txn->commit
			    : !was_absent(txn, read, key, key_size)))
		err = changed("the vector of", key, key_size);
	if (!err)
		err = entity_note(txn, EXPECT_VECTOR, key, key_size, version);
	if (!err && floats) {
		floats = copied(txn, floats, bytes);
		err = floats ? 0 : no_memory();
	}
	if (!err)
		*vector = floats;
	return err;
}

cop_err cop_txn_vector(cop_txn *txn, const void *key, size_t key_size,
		       const float **vector)
{
	cop_read *read;
	cop_err err = cop_read_begin(txn->store, &read);

	if (err)
		return err;
	err = vector_read(txn, read, key, key_size, vector);
	cop_read_end(read);
	return err;
}

/* ---- edges -------------------------------------------------------------- */

static cop_err edge_read(cop_txn *txn, cop_read *read,
			 const struct expectation *ends, struct cop_edge *out)
{
	struct expectation expect = *ends;
	struct cop_edge edge = {0};
	uint64_t source;
	uint64_t target = 0;
	cop_err err = cop_lookup(read, ends->key.data, ends->key.size, &source);

	if (!err)
		err = cop_lookup(read, ends->target.data, ends->target.size,
				 &target);
	if (!err && source && target)
		err = cop_get_edge(read, source, ends->name.data,
				   ends->name.size, target, &edge);
	if (!err && (edge.version ? edge.version > txn->commit
				  : !edges_same(txn, read, ends->key.data,
						ends->key.size)))
		err = changed("an edge of", ends->key.data, ends->key.size);
	expect.version = edge.version;
	if (!err)
		err = note(txn, &expect);
	if (!err && edge.version) {
		edge.record = copied(txn, edge.record, edge.record_size);
		err = edge.record ? 0 : no_memory();
	}
	if (!err)
		*out = edge;
	return err;
}

cop_err cop_txn_edge(cop_txn *txn, const void *source, size_t source_size,
		     const char *relation, size_t relation_size,
		     const void *target, size_t target_size,
		     struct cop_edge *out)
{
	struct expectation ends = {.kind = EXPECT_EDGE,
				   .key = bytes_of(source, source_size),
				   .target = bytes_of(target, target_size),
				   .name = bytes_of(relation, relation_size)};
	cop_read *read;
	cop_err err = relation_check(relation, relation_size);

	if (!err)
		err = cop_read_begin(txn->store, &read);
	if (err)
		return err;
	err = edge_read(txn, read, &ends, out);
	cop_read_end(read);
	return err;
}

cop_err cop_txn_edges(cop_txn *txn, const void *key, size_t key_size,
		      int32_t direction,
		      int32_t (*visit)(void *user, cop_read *read,
				       const struct cop_edge *edge),
		      void *user)
{
	cop_read *read;
	uint64_t id;
	cop_err err = cop_read_begin(txn->store, &read);

	if (err)
		return err;
	err = cop_lookup(read, key, key_size, &id);
	if (!err && !edges_same(txn, read, key, key_size))
		err = changed("the edges of", key, key_size);
	if (!err)
		err =
		    entity_note(txn, EXPECT_EDGES, key, key_size, txn->commit);
	if (!err)
		err = cop_edges(read, id, direction, visit, user);
	cop_read_end(read);
	return err;
}

/* ---- many entities ------------------------------------------------------ */

struct many {
	cop_txn *txn;
	int32_t (*visit)(void *user, cop_read *read,
			 const struct cop_entity *entity);
	void *user;
	cop_err err; /* what ended it, if not the visitor */
};

/* An entity of a scan was read, too. */
static int32_t many_visit(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	struct many *many = user;

	(void)thread;
	many->err = entity->version > many->txn->commit
			? changed("the entity", entity->key, entity->key_size)
			: entity_note(many->txn, EXPECT_ENTITY, entity->key,
				      entity->key_size, entity->version);
	return many->err || many->visit(many->user, read, entity);
}

/* The scan's error, unless many_visit had one of its own. */
static cop_err many_error(const struct many *many, cop_err err)
{
	if (many->err == COP_CONFLICT)
		return error_set(COP_CONFLICT,
				 "an entity of a list changed after the "
				 "transaction began: another commit came "
				 "between; begin it again");
	return many->err ? no_memory() : err;
}

static cop_err members_note(cop_txn *txn, cop_read *read, const char *name,
			    enum expect_kind kind)
{
	enum name_space space = kind == EXPECT_TAG ? NAME_TAG : NAME_TYPE;
	/* one that is not there may have been, before a compaction */
	struct name_use use = {.changed = read->state.names_dropped};
	uint32_t number;
	cop_err err;

	if (!name)
		return 0;
	if (!*name || strlen(name) > COP_NAME_BYTES)
		return error_set(COP_INVALID,
				 "a type's or tag's name has "
				 "%zu bytes",
				 strlen(name));
	err = read_symbol(read, space, name, strlen(name), &number);
	if (!err && number)
		err = dict_use(read->env, read->txn, number, &use);
	if (!err && use.changed > txn->commit)
		err = changed("the list of", name, strlen(name));
	return err ? err
		   : entity_note(txn, kind, name, strlen(name), txn->commit);
}

cop_err cop_txn_scan(cop_txn *txn, const char *type, const char *tag,
		     int32_t (*visit)(void *user, cop_read *read,
				      const struct cop_entity *entity),
		     void *user)
{
	struct many many = {.txn = txn, .visit = visit, .user = user};
	cop_read *read;
	cop_err err;

	if (!type && !tag)
		return error_set(COP_INVALID,
				 "a scan in a transaction needs a type or a "
				 "tag; cop_txn_keys reads all keys");
	err = cop_read_begin(txn->store, &read);
	if (err)
		return err;
	err = members_note(txn, read, type, EXPECT_TYPE);
	if (!err)
		err = members_note(txn, read, tag, EXPECT_TAG);
	if (!err)
		err = many_error(
		    &many, cop_scan(read, type, tag, 1, many_visit, &many));
	cop_read_end(read);
	return err;
}

static int32_t keys_visit(void *user, cop_read *read,
			  const struct cop_entity *entity)
{
	return many_visit(user, 0, read, entity);
}

cop_err cop_txn_keys(cop_txn *txn, const void *prefix, size_t prefix_size,
		     int32_t (*visit)(void *user, cop_read *read,
				      const struct cop_entity *entity),
		     void *user)
{
	struct many many = {.txn = txn, .visit = visit, .user = user};
	cop_read *read;
	cop_err err = cop_read_begin(txn->store, &read);

	if (err)
		return err;
	if (read->state.keys_changed > txn->commit)
		err = changed("the keys that begin with", prefix, prefix_size);
	if (!err && prefix_size > COP_KEY_BYTES)
		err = error_set(COP_BAD_KEY, "a prefix of %zu bytes",
				prefix_size);
	if (!err)
		err = entity_note(txn, EXPECT_KEYS, prefix, prefix_size,
				  txn->commit);
	if (!err)
		err = many_error(&many, cop_keys(read, prefix, prefix_size,
						 keys_visit, &many));
	cop_read_end(read);
	return err;
}

/* ---- commit ------------------------------------------------------------- */

cop_err cop_txn_commit(cop_txn *txn, const struct cop_commit_options *options,
		       struct cop_result *result)
{
	cop_err err = cop_commit_with(txn->write, options, result);

	if (!err) { /* the write is empty, and its expectations gone */
		hashmap_clear(&txn->noted);
		txn->noted_at.size = 0;
	}
	return err;
}

/*
 * Longer each time, and another length in every process.  The longest is over
 * what a hundred writers of one entity take to commit once each, so that
 * every one of them gets its turn.
 */
static void pause_before(uint32_t attempt, const void *salt)
{
	uint32_t doublings =
	    attempt < PAUSE_DOUBLINGS ? attempt : PAUSE_DOUBLINGS;
	struct timespec pause = {0};
	uint64_t seed[3] = {attempt, (uint64_t)(uintptr_t)salt, 0};

	clock_gettime(CLOCK_MONOTONIC, &pause);
	seed[2] = (uint64_t)pause.tv_nsec;
	pause.tv_sec = 0;
	pause.tv_nsec = (long)(build_key_hash(seed, sizeof seed) %
			       ((uint64_t)PAUSE_NS << doublings));
	nanosleep(&pause, NULL);
}

cop_err cop_txn_run(cop_store *store, int32_t (*work)(void *user, cop_txn *txn),
		    void *user, uint32_t tries,
		    const struct cop_commit_options *options,
		    struct cop_result *result)
{
	cop_err err = COP_CONFLICT;
	uint64_t before = 0;

	if (!tries)
		tries = TRIES_DEFAULT;
	for (uint32_t i = 0; err == COP_CONFLICT && i < tries; i++) {
		cop_txn *txn;

		if (i) {
			pause_before(i, &txn);
			figures_count(&store->figures, FIGURE_RETRIES, 1);
		}
		err = cop_txn_begin(store, &txn);
		if (err)
			break;
		if (i && txn->commit == before)
			err = cop_poke(store);
		before = txn->commit;
		if (!err)
			err = work(user, txn);
		if (!err)
			err = cop_txn_commit(txn, options, result);
		cop_txn_end(txn);
	}
	return err;
}
