/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search: the k nearest of the rows that the snapshot sees.
 *
 * idea
 *	The graph leads to the rows near a query (hnsw.h), whose pool is then
 *	ranked (rank.h).  Or all rows are looked at: a kernel scans the 8-bit
 *	codes of a chunk and leaves out what a proven bound places beyond the
 *	worst hit so far, and what survives is ranked.  That is exact, and the
 *	better way for few rows, for many hits, and where a walk came back
 *	with fewer than k.
 */
#include "rank.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
	CHUNK_ROWS = 1024,
	GROUP = 8,
	EF_DEFAULT = 96,
	SCAN_ROWS = 4000, /* fewer nodes than that are scanned */
	SCAN_SHARE = 50	  /* more than that part of all rows, too */
};

/* ---- all rows ----------------------------------------------------------- */

static cop_err chunk_rank(struct ranking *ranking, uint32_t first,
			  uint32_t count)
{
	const struct segment *segment = read_segment(ranking->search->read);
	const size_t stride = segment->bank.line_bytes;
	const unsigned char *lines =
	    region_at(segment->header, segment_region(segment, REGION_CODES),
		      first * stride, count * stride);
	uint32_t survivors[CHUNK_ROWS];
	size_t left;
	cop_err err = 0;

	if (!lines)
		return 0;
	left = ranking->search->kernel->scan(&ranking->query, lines, stride,
					     count, ranking->limit, survivors);
	for (size_t i = 0; i < left && !err; i++) {
		const void *line = lines + survivors[i] * stride;

		err = ranking_row(ranking, first + survivors[i], line);
	}
	return err;
}

/* Chunk by chunk for all queries of a group, so that codes stay in cache. */
static cop_err rows_rank(struct ranking *rankings, uint32_t count)
{
	uint32_t rows = bank_count(read_segment(rankings->search->read));
	cop_err err = 0;
	uint32_t chunk;

	for (uint32_t first = 1; first < rows && !err; first += chunk) {
		chunk = first == 1 ? CHUNK_ROWS / 8 : CHUNK_ROWS;
		if (chunk > rows - first)
			chunk = rows - first;
		for (uint32_t i = 0; i < count && !err; i++)
			err = chunk_rank(&rankings[i], first, chunk);
	}
	return err;
}

/* ---- through the graph -------------------------------------------------- */

/* What a walk looks for, unless the caller says how wide it is to be. */
static uint32_t ef_for(const struct cop_search *wanted)
{
	uint64_t ef = wanted->ef ? wanted->ef : EF_DEFAULT;

	/* rows that are left out after all */
	if (ef < wanted->k + UINT64_C(1))
		ef = wanted->k + UINT64_C(1);
	return ef < HNSW_EF_MAX ? (uint32_t)ef : HNSW_EF_MAX;
}

static cop_err graph_rank(struct ranking *ranking, struct hnsw_room *room)
{
	const struct search *search = ranking->search;
	const struct segment *segment = read_segment(search->read);
	struct hnsw_search walk = {.query = &ranking->query,
				   .room = room,
				   .ef = ef_for(search->wanted),
				   .type = search->type,
				   .signature = search->signature,
				   .snapshot = search->read->state.commit};
	cop_err err;

	hnsw_walk(segment, &walk);
	err = ranking_pool(ranking, room);
	hnsw_room_clear(room, segment);
	return err;
}

/* ---- which way ---------------------------------------------------------- */

static int32_t strategy_for(const struct search *search)
{
	const struct cop_search *wanted = search->wanted;
	uint64_t linked = hnsw_linked(read_segment(search->read));

	if (wanted->strategy)
		return wanted->strategy;
	if (wanted->exact || wanted->has_threshold || search->type ||
	    search->tag || linked < SCAN_ROWS ||
	    wanted->k > linked / SCAN_SHARE || wanted->k >= HNSW_EF_MAX)
		return COP_SCAN;
	return COP_HNSW;
}

/* One query; never fewer hits than there are. */
static cop_err query_run(struct ranking *ranking, struct hnsw_room *room)
{
	cop_err err = 0;

	if (strategy_for(ranking->search) == COP_HNSW) {
		err = graph_rank(ranking, room);
		if (err || ranking->count == ranking->search->wanted->k)
			return err;
		ranking_init(ranking, ranking->search, ranking->vector,
			     ranking->exclude, ranking->hits);
	}
	return rows_rank(ranking, 1);
}

static cop_err query_check(const cop_store *store, const float *vector)
{
	int zero = 1;

	for (uint32_t i = 0; i < store->config.dim; i++) {
		if (!isfinite(vector[i]))
			return error_set(COP_BAD_VECTOR,
					 "component %u of the query is %f; all "
					 "must be finite",
					 i, (double)vector[i]);
		zero &= vector[i] == 0;
	}
	if (zero && store->config.metric == COP_COSINE)
		return error_set(COP_BAD_VECTOR,
				 "the query is zero, which has no cosine");
	return 0;
}

static cop_err wanted_check(const cop_read *read,
			    const struct cop_search *wanted)
{
	if (!wanted || wanted->size != sizeof *wanted)
		return error_set(COP_INVALID, "the search is of another size; "
					      "set .size to its sizeof");
	if (!wanted->k || wanted->k > COP_K_MAX)
		return error_set(COP_INVALID, "k is %u; it may be 1 to %d",
				 wanted->k, COP_K_MAX);
	if (wanted->has_threshold && isnan(wanted->threshold))
		return error_set(COP_INVALID, "the threshold is not a number");
	if (!read->store->config.dim)
		return error_set(COP_BAD_VECTOR,
				 "%s was made without vectors; `init --dim` "
				 "makes a store with them",
				 read->store->path);
	return 0;
}

/* Numbers of the filters' names; *none if one was never seen. */
static cop_err search_init(struct search *search, cop_read *read,
			   const struct cop_search *wanted, int *none)
{
	const struct disk_store *config = &read->store->config;
	cop_err err = wanted_check(read, wanted);

	*search = (struct search){
	    .read = read, .wanted = wanted, .kernel = read->store->kernel};
	*none = 0;
	if (err)
		return err;
	search->relative = config->rows ? code_row32_error(config->metric)
					: code_row16_error(config->metric);
	if (wanted->type)
		err = read_symbol(read, NAME_TYPE, wanted->type,
				  strlen(wanted->type), &search->type);
	if (!err && wanted->tag)
		err = read_symbol(read, NAME_TAG, wanted->tag,
				  strlen(wanted->tag), &search->tag);
	*none =
	    (wanted->type && !search->type) || (wanted->tag && !search->tag);
	if (search->tag)
		search->signature = codec_signature(&search->tag, 1);
	return err;
}

cop_err cop_search(cop_read *read, const struct cop_search *wanted,
		   struct cop_hit *hits, uint32_t *count)
{
	struct search search;
	struct ranking ranking;
	int none;
	cop_err err = read_check(read);

	if (!err)
		err = search_init(&search, read, wanted, &none);
	if (!err && !wanted->vector)
		err = error_set(COP_INVALID, "the search has no vector");
	if (!err)
		err = query_check(read->store, wanted->vector);
	if (err)
		return err;
	if (none) {
		*count = 0;
		return 0;
	}
	ranking_init(&ranking, &search, wanted->vector, wanted->exclude, hits);
	err = query_run(&ranking, &read->room.hnsw);
	if (err)
		return err;
	ranking_sort(&ranking);
	*count = ranking.count;
	return 0;
}

/* ---- many --------------------------------------------------------------- */

struct search_many {
	const struct search *search;
	const float *vectors;
	size_t count;
	uint32_t threads;
	int32_t strategy;
	struct cop_hit *hits;
	uint32_t *counts;
};

static cop_err group_run(const struct search_many *many,
			 struct ranking *rankings, struct hnsw_room *room,
			 size_t first, uint32_t count)
{
	const struct search *search = many->search;
	size_t dim = search->read->store->config.dim;
	uint32_t k = search->wanted->k;
	cop_err err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		const float *vector = many->vectors + (first + i) * dim;

		err = query_check(search->read->store, vector);
		if (!err)
			ranking_init(&rankings[i], search, vector, 0,
				     many->hits + (first + i) * k);
	}
	if (!err && many->strategy == COP_SCAN)
		err = rows_rank(rankings, count);
	for (uint32_t i = 0; i < count && !err; i++) {
		if (many->strategy != COP_SCAN)
			err = query_run(&rankings[i], room);
		ranking_sort(&rankings[i]);
		many->counts[first + i] = rankings[i].count;
	}
	return err;
}

static cop_err many_part(void *user, uint32_t thread)
{
	const struct search_many *many = user;
	size_t at = many->count * thread / many->threads;
	size_t to = many->count * (thread + 1) / many->threads;
	struct ranking *rankings = aligned_alloc(64, GROUP * sizeof *rankings);
	struct room room = {0};
	cop_err err = 0;

	if (!rankings || room_open(&room, read_segment(many->search->read)))
		err = error_system(ENOMEM, "no memory for a batch of searches");
	while (at < to && !err) {
		uint32_t count = to - at < GROUP ? (uint32_t)(to - at) : GROUP;

		err = group_run(many, rankings, &room.hnsw, at, count);
		at += count;
	}
	room_close(&room);
	free(rankings);
	return err;
}

cop_err cop_search_many(cop_read *read, const struct cop_search *wanted,
			const float *vectors, size_t count, uint32_t threads,
			struct cop_hit *hits, uint32_t *counts)
{
	struct search search;
	struct search_many many = {.search = &search,
				   .vectors = vectors,
				   .count = count,
				   .threads = threads_for(threads, count),
				   .hits = hits,
				   .counts = counts};
	int none;
	int code;
	cop_err err = read_check(read);

	if (!err)
		err = search_init(&search, read, wanted, &none);
	if (err || !count)
		return err;
	if (none) {
		memset(counts, 0, count * sizeof *counts);
		return 0;
	}
	many.strategy = strategy_for(&search);
	code = env_read_warm(read->env, read->txn);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	return threads_run(many.threads, many_part, &many);
}
