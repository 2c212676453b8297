/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"
#include "checkpoint.h"
#include "link.h"
#include "point.h"
#include "telling.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

enum { RECORD_BYTES_DEFAULT = 512 };

static_assert((int)COP_RECORD_BYTES == (int)RECORD_BYTES_MAX, "one limit");

struct build {
	cop_store *store;
	env_txn *txn;
	const struct disk_state *state;
	struct segment *segment;
	enum build_when when;
	struct telling telling;
	const char *what;
	uint64_t done;
	uint64_t total;
};

uint64_t build_key_hash(const void *key, size_t key_size)
{
	return XXH3_64bits(key, key_size);
}

uint64_t build_edge_hash(uint64_t source, uint32_t relation, uint64_t target)
{
	struct disk_edge_key key = format_edge_key(source, relation, target, 0);

	return XXH3_64bits(&key, sizeof key);
}

uint32_t build_record_limit(const cop_store *store)
{
	uint32_t bytes = store->config.record_bytes;

	if (bytes == UINT32_MAX)
		return 0;
	if (!bytes)
		return RECORD_BYTES_DEFAULT;
	return bytes < RECORD_BYTES_MAX ? bytes : RECORD_BYTES_MAX;
}

int build_record(const cop_store *store, struct segment *segment, uint64_t id,
		 struct bytes record, uint32_t *unit)
{
	*unit = 0;
	if (record.size > build_record_limit(store))
		return 0;
	return record_keep(segment, (uint32_t)id, record.data,
			   (uint32_t)record.size, unit);
}

int build_row(struct segment *segment, uint32_t row,
	      const struct bank_entry *entry, const float *vector)
{
	int err = bank_write(segment, row, entry, vector);

	return err ? err : hnsw_await(segment, row);
}

cop_err build_error(const cop_store *store, int err)
{
	if (err == ENOSPC)
		return error_set(COP_NO_SPACE,
				 "the index segment in %s cannot grow: its "
				 "tmpfs or its reservation is full; enlarge "
				 "the one (in a container --shm-size), or use "
				 "`init --shm-dir`, or set COPPICE_RESERVE "
				 "higher and run `coppice detach`",
				 store->shm_path);
	if (err == EFBIG)
		return error_set(COP_NO_SPACE,
				 "the index segment in %s cannot grow: its "
				 "regions lie far apart in a sparse file, and "
				 "this process may not write past a limit; "
				 "raise it (ulimit -f unlimited)",
				 store->shm_path);
	if (err == ENOMEM)
		return error_system(err, "no memory to write to the index "
					 "segment");
	if (err == EIO || err == EINTR)
		return error_system(err,
				    "cannot enlarge the index segment in "
				    "%s",
				    store->shm_path);
	return error_set(COP_CORRUPT,
			 "the index segment in %s is damaged (%s); run "
			 "`coppice detach` when no process is attached, the "
			 "next one builds it from the data file",
			 store->shm_path, cop_strerror(err));
}

static cop_err damaged(const struct build *build, const char *what)
{
	return error_set(COP_CORRUPT,
			 "%s: %s is damaged in the data file; restore a "
			 "backup",
			 build->store->path, what);
}

static cop_err build_step(struct build *build)
{
	uint64_t total = build->total;

	/* what came since `state` is read over, and no part of it */
	return ++build->done & 0x3ff
		   ? 0
		   : telling_tell(&build->telling, build->what,
				  build->done < total ? build->done : total,
				  total, "the index segment was built");
}

/* Entries read between two looks for a newer snapshot. */
enum { SNAPSHOT_ENTRIES = 1024 };

/* An id given after `state`. */
static int is_later(const struct build *build, uint64_t id)
{
	return build->when == BUILD_LIVE && id >= build->state->next_entity;
}

/* From the newest snapshot, the first entry that is past a key. */
static int entry_newest(const struct build *build, env_cursor *cursor,
			struct bytes *key, struct bytes *value)
{
	char copy[ENV_KEY_BYTES];
	const size_t size = key->size;
	int code;

	memcpy(copy, key->data, size);
	point("build-renewing");
	code = env_read_newest(build->txn);
	if (!code)
		code = env_cursor_renew(build->txn, cursor);
	if (!code)
		code = env_cursor_move(cursor, ENV_SEEK, key, value);
	if (!code && key->size == size && !memcmp(key->data, copy, size))
		code = env_cursor_move(cursor, ENV_NEXT, key, value);
	return code;
}

typedef cop_err entry_work(struct build *build, struct bytes key,
			   struct bytes value, void *user);

/* Runs over a whole database. */
static cop_err database_each(struct build *build, enum env_db db,
			     entry_work *work, void *user)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(build->store->env, build->txn, db, &cursor);

	if (code)
		return error_system(code, "cannot read %s", build->store->path);
	code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	while (!code && !err) {
		err = work(build, key, value, user);
		if (!err)
			err = build_step(build);
		if (err)
			break;
		code = build->when == BUILD_LIVE &&
			       build->done % SNAPSHOT_ENTRIES == 0
			   ? entry_newest(build, cursor, &key, &value)
			   : env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	if (!err && code != ENV_ABSENT)
		err = error_system(code, "cannot read %s", build->store->path);
	return err;
}

/* ---- keys --------------------------------------------------------------- */

static cop_err key_work(struct build *build, struct bytes key,
			struct bytes value, void *user)
{
	struct segment *segment = build->segment;
	uint64_t hash = build_key_hash(key.data, key.size);
	const struct head_state gone = {0};
	struct head *head;
	uint64_t id;
	int err;

	(void)user;
	if (value.size != sizeof id || !key.size || key.size > COP_KEY_BYTES)
		return damaged(build, "a key");
	memcpy(&id, value.data, sizeof id);
	if (is_later(build, id))
		return 0;
	if (!id || id >= build->state->next_entity || id >= UINT32_MAX)
		return damaged(build, "an id");
	err = idmap_insert(segment, hash, key.data, key.size, (uint32_t)id);
	if (!err)
		err = filter_add(segment, &segment->header->key_bloom, hash);
	head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	/* not there: not from this commit on, of earlier ones LMDB knows */
	if (!err && head)
		head_finish(head, build->state->commit, &gone);
	return err ? build_error(build->store, err) : 0;
}

/* ---- entities and vectors ----------------------------------------------- */

static uint64_t id_of(struct bytes key)
{
	uint64_t id = 0;

	if (key.size == sizeof id)
		memcpy(&id, key.data, sizeof id);
	return id;
}

/* *row stays 0 if it has no vector. */
static cop_err row_build(struct build *build, uint64_t id, struct bytes record,
			 uint32_t *row)
{
	const struct disk_entity *head = record.data;
	const float *floats;
	struct bytes vector;
	struct bank_entry entry = {
	    .entity = (uint32_t)id,
	    .type = head->type,
	    .signature = codec_signature(codec_tags(head), head->tag_count)};
	int err = env_get(build->store->env, build->txn, DB_VECTORS,
			  bytes_of(&id, sizeof id), &vector);

	if (err)
		return err == ENV_ABSENT ? 0
					 : error_system(err, "cannot read %s",
							build->store->path);
	floats = codec_vector(vector, build->store->config.dim);
	if (!floats)
		return damaged(build, "a vector");
	memcpy(&entry.born, vector.data, sizeof entry.born);
	err = bank_take(build->segment, row);
	if (!err)
		err = build_row(build->segment, *row, &entry, floats);
	return err ? build_error(build->store, err) : 0;
}

static cop_err entity_work(struct build *build, struct bytes key,
			   struct bytes value, void *user)
{
	struct segment *segment = build->segment;
	struct head_state state = {.alive = 1};
	uint64_t id = id_of(key);
	struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	cop_err err = codec_entity_check(value);
	int code = 0;

	(void)user;
	if (err || is_later(build, id))
		return err;
	if (!head)
		return damaged(build, "an entity without a key");
	state.type = ((const struct disk_entity *)value.data)->type;
	err = row_build(build, id, value, &state.row);
	if (!err)
		code = build_record(build->store, segment, id, value,
				    &state.record);
	if (code)
		err = build_error(build->store, code);
	if (!err)
		head_finish(head, build->state->commit, &state);
	return err;
}

/* ---- edges -------------------------------------------------------------- */

/* One entity's list, until the next entity begins. */
struct run {
	struct buffer peers;
	struct buffer relations;
	uint64_t id;
	int outgoing;
};

static cop_err run_flush(struct build *build, struct run *run)
{
	struct segment *segment = build->segment;
	struct head *head = head_at(
	    segment->header, segment_region(segment, REGION_HEADS), run->id);
	uint32_t count = (uint32_t)(run->peers.size / 4);
	struct edge_list list;
	int err;

	if (!count)
		return 0;
	if (!head)
		return damaged(build, "an edge without its entity");
	list = edges_of(segment, head, run->outgoing);
	err = edges_fill(segment, &list, (uint32_t *)(void *)run->peers.data,
			 (uint32_t *)(void *)run->relations.data, count);
	run->peers.size = 0;
	run->relations.size = 0;
	return err ? build_error(build->store, err) : 0;
}

static cop_err edge_work(struct build *build, struct bytes key,
			 struct bytes value, void *user)
{
	struct run *run = user;
	struct disk_edge_key edge;
	uint64_t from;
	uint32_t peer;
	uint32_t relation;
	cop_err err = 0;
	int code = 0;

	(void)value;
	if (key.size != sizeof edge)
		return damaged(build, "an edge");
	memcpy(&edge, key.data, sizeof edge);
	from = be64toh(edge.source);
	relation = be32toh(edge.relation);
	peer = (uint32_t)format_join(edge.target);
	if (is_later(build, from))
		return 0;
	if (from != run->id)
		err = run_flush(build, run);
	run->id = from;
	if (!err && (buffer_put(&run->peers, &peer, 4) ||
		     buffer_put(&run->relations, &relation, 4)))
		err = build_error(build->store, ENOMEM);
	if (!err && run->outgoing)
		code = filter_add(build->segment,
				  &build->segment->header->edge_bloom,
				  build_edge_hash(from, relation, peer));
	return code ? build_error(build->store, code) : err;
}

static cop_err edges_build(struct build *build, int outgoing)
{
	struct run run = {.outgoing = outgoing};
	cop_err err = database_each(build, outgoing ? DB_EDGES : DB_EDGES_IN,
				    edge_work, &run);

	if (!err)
		err = run_flush(build, &run);
	buffer_release(&run.peers);
	buffer_release(&run.relations);
	return err;
}

/* ---- all ---------------------------------------------------------------- */

uint64_t build_expected(uint64_t configured, uint64_t there)
{
	return configured > there + there / 2 ? configured : there + there / 2;
}

void build_describe(const cop_store *store, struct segment *segment)
{
	struct segment_header *header = segment->header;
	const struct disk_store *config = &store->config;

	header->dim = config->dim;
	header->metric = config->metric;
	header->rows = config->rows;
	header->codes = config->codes;
	header->coded = config->coded;
	header->signs = config->signs;
}

int build_is_described(const cop_store *store, const struct segment *segment)
{
	const struct segment_header *header = segment->header;
	const struct disk_store *config = &store->config;

	return segment->bank.dim == config->dim &&
	       segment->bank.metric == config->metric &&
	       segment->bank.rows == config->rows &&
	       segment->bank.codes == config->codes &&
	       header->coded == config->coded && header->signs == config->signs;
}

static cop_err header_fill(struct build *build)
{
	const struct disk_store *config = &build->store->config;
	const struct disk_state *state = build->state;
	struct segment *segment = build->segment;
	struct segment_header *header = segment->header;
	int err;

	build_describe(build->store, segment);
	header->base_commit = state->commit;
	err = bank_init(segment);
	if (!err)
		err = filter_init(segment, &header->key_bloom,
				  build_expected(config->expected_entities,
						 state->next_entity),
				  config->bloom_rate);
	if (!err)
		err = filter_init(
		    segment, &header->edge_bloom,
		    build_expected(config->expected_entities, state->edges),
		    config->bloom_rate);
	if (!err)
		err = segment_grow(segment, REGION_HEADS,
				   state->next_entity * sizeof(struct head));
	if (!err)
		err = segment_grow(segment, REGION_LISTS,
				   state->next_entity *
				       sizeof(struct head_lists));
	return err ? build_error(build->store, err) : 0;
}

cop_err build_run(cop_store *store, env_txn *txn,
		  const struct disk_state *state, struct segment *segment,
		  enum build_when when, const struct cop_open_options *options)
{
	struct segment_header *header = segment->header;
	struct build build = {.store = store,
			      .txn = txn,
			      .state = state,
			      .segment = segment,
			      .when = when,
			      .telling = {options, 0},
			      .what = "keys"};
	cop_err err;

	build.total =
	    state->next_entity - 1 + state->entities + state->edges * 2;
	err = header_fill(&build);
	if (!err)
		err = database_each(&build, DB_KEYS, key_work, NULL);
	build.what = "entities";
	if (!err)
		err = database_each(&build, DB_ENTITIES, entity_work, NULL);
	build.what = "edges";
	if (!err)
		err = edges_build(&build, 1);
	if (!err)
		err = edges_build(&build, 0);
	if (err)
		return err;
	env_read_reset(txn); /* linking takes longest, and needs it no more */
	err = link_build(segment, checkpoint_threads(UINT64_MAX), options);
	if (err)
		return err;
	atomic_store_explicit(&header->prepared, state->commit,
			      memory_order_relaxed);
	atomic_store_explicit(&header->chain, state->chain,
			      memory_order_relaxed);
	atomic_store_explicit(&header->committed, state->commit,
			      memory_order_relaxed);
	/* the file gets its name only after this */
	atomic_store_explicit(&header->ready, 1, memory_order_release);
	return 0;
}
