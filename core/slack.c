/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slack: what a compaction would free.
 *
 * idea
 *	Asked of a snapshot, beside everything else: LMDB's count of pages;
 *	of history, each version by the same rule as the copy goes by (cull.h),
 *	unless none can be due; of the segment, what its structures count
 *	themselves.
 */
#include "slack.h"
#include "build.h"
#include "cull.h"
#include "filter.h"
#include "generation.h"

struct looking {
	cop_store *store;
	cop_read *read;
	struct cull cull;
	struct disk_state state; /* its `oldest` as a compaction moves it */
	struct cop_slack *out;
};

static cop_err failed(const struct looking *looking, int code)
{
	return error_system(code, "%s: cannot read", looking->store->path);
}

/* ---- history ------------------------------------------------------------ */

static cop_err version_look(struct looking *looking, enum env_db db,
			    struct bytes key, struct bytes value)
{
	int kept = history_version(value) > looking->state.oldest;
	cop_err err =
	    kept ? cull_version(&looking->cull, db, key, value, &kept) : 0;

	if (err || kept)
		return err;
	looking->out->history_bytes += key.size + value.size;
	looking->out->history_versions += db != DB_EDGE_IN_VERSIONS;
	return 0;
}

static cop_err versions_look(struct looking *looking, enum env_db db)
{
	const cop_read *read = looking->read;
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(read->env, read->txn, db, &cursor);

	if (code)
		return failed(looking, code);
	while (!err &&
	       !(code = env_cursor_move(cursor, ENV_NEXT, &key, &value)))
		err = version_look(looking, db, key, value);
	env_cursor_close(cursor);
	return err || code == ENV_ABSENT ? err : failed(looking, code);
}

/* Whether something has ended so long ago that it may go. */
static cop_err history_due(const struct looking *looking, int *due)
{
	const cop_read *read = looking->read;
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	int code = env_cursor_open(read->env, read->txn, DB_DEATHS, &cursor);

	if (code)
		return failed(looking, code);
	code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	*due = looking->cull.is_needed ||
	       (!code && death_commit(key) <= looking->state.oldest);
	env_cursor_close(cursor);
	return code && code != ENV_ABSENT ? failed(looking, code) : 0;
}

static cop_err history_look(struct looking *looking,
			    const struct disk_retention *keep)
{
	const cop_read *read = looking->read;
	int due = 0;
	cop_err err = cull_begin(&looking->cull, read->env, read->txn, keep,
				 &looking->state);

	if (!err)
		err = history_due(looking, &due);
	for (int db = DB_ENTITY_VERSIONS;
	     !err && due && db <= DB_MEMBER_VERSIONS; db++)
		err = versions_look(looking, (enum env_db)db);
	cull_release(&looking->cull);
	return err;
}

/* ---- the segment -------------------------------------------------------- */

/* Bytes of a filter's lines beyond those that it would have, made anew. */
static uint64_t filter_slack(const cop_store *store, const struct bloom *bloom,
			     uint64_t keys)
{
	uint64_t have = bloom_lines(bloom);
	uint64_t want =
	    filter_lines(build_expected(store->config.expected_entities, keys),
			 store->config.bloom_rate);

	return have > want ? (have - want) * BLOOM_LINE_BYTES : 0;
}

void slack_of_segment(const cop_read *read, struct cop_slack *out)
{
	const struct segment *segment = read_segment(read);
	const struct segment_header *header = segment->header;
	const struct disk_state *state = &read->state;
	const cop_store *store = read->store;
	uint64_t rows = bank_count(segment) - 1;

	out->shared_bytes = segment_bytes(segment);
	if (rows > state->vectors)
		out->row_bytes =
		    (rows - state->vectors) *
		    (segment->bank.line_bytes + segment->bank.row_bytes +
		     segment->bank.nibble_bytes);
	out->edge_bytes = atomic_load_explicit(&header->adjacency.free_bytes,
					       memory_order_relaxed);
	out->bloom_bytes =
	    filter_slack(store, &header->key_bloom, state->next_entity) +
	    filter_slack(store, &header->edge_bloom, state->edges);
	out->bloom_layers = bloom_layer_count(&header->key_bloom);
	out->bloom_rate = bloom_rate_now(&header->key_bloom);
	out->bloom_rate_wanted = store->config.bloom_rate;
}

static cop_err look(struct looking *looking, const struct disk_retention *keep)
{
	cop_read *read = looking->read;
	cop_err err = generation_disk(looking->store, read->generation->number,
				      &looking->out->disk_bytes);
	uint64_t pages;
	int code;

	if (err)
		return err;
	code =
	    env_pages(read->env, read->txn, &pages, &looking->out->free_bytes);
	if (code)
		return failed(looking, code);
	looking->state = read->state;
	slack_of_segment(read, looking->out);
	return history_look(looking, keep);
}

cop_err cop_compact_look(cop_store *store,
			 const struct cop_compact_options *options,
			 struct cop_slack *out)
{
	struct cop_slack slack = {.size = sizeof slack};
	struct looking looking = {.store = store, .out = &slack};
	struct disk_retention keep;
	cop_err err = store_use(store);

	if (!err)
		err = generation_keep(options, &keep);
	if (err)
		return err;
	if (!out || out->size != sizeof *out)
		return error_set(COP_INVALID, "the figures are of another "
					      "size; set .size to their "
					      "sizeof");
	err = cop_read_begin(store, &looking.read);
	if (err)
		return err;
	err = look(&looking, &keep);
	cop_read_end(looking.read);
	if (!err)
		*out = slack;
	return err;
}
