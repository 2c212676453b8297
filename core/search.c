/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact search: the k nearest of all rows that the snapshot sees.
 *
 * idea
 *	Three steps, each on fewer rows.  A kernel scans the 8-bit codes of a
 *	chunk and leaves out what a proven bound places beyond the worst hit so
 *	far.  What survives is ranked by its full row, read in place under the
 *	row's sequence lock.  With `exact`, a row whose bound still allows it
 *	is ranked by the float32 in LMDB instead.  The caller's array of hits
 *	is the heap, so nothing is allocated.
 *
 *	The filters are tested on what survived the scan: the type is in the
 *	row, a tag is tested on a signature there and, only for a row that
 *	would enter the heap, in LMDB, which knows it exactly.
 *
 * order
 *	Hits are ordered by distance, then by id; a chunk's limit is the worst
 *	hit's distance, and the kernels keep what is equal to it.
 *
 * progress
 *	No allocation, no system call.  A row that is being written is, by the
 *	rule of limbo.h, visible to no open snapshot: after a few tries it is
 *	passed over.
 */
#include "store.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { CHUNK_ROWS = 1024, ROW_TRIES = 8, GROUP = 8 };

struct search {
	cop_read *read;
	const struct cop_search *wanted;
	const struct kernel *kernel;
	uint32_t type;
	uint32_t tag;
	uint64_t signature;
	double relative; /* how far a full row may be from its vector */
};

/* One query's part. */
struct ranking {
	const struct search *search;
	struct query_code query;
	const float *vector;
	uint64_t exclude;
	struct cop_hit *hits;
	uint32_t count;
	double limit; /* nothing beyond it can become a hit */
};

/* ---- the heap: worst hit first ------------------------------------------ */

static int hit_worse(const struct cop_hit *a, const struct cop_hit *b)
{
	return a->distance > b->distance ||
	       (a->distance == b->distance && a->id > b->id);
}

static void heap_down(struct cop_hit *hits, uint32_t count, uint32_t at)
{
	struct cop_hit hit = hits[at];
	uint32_t child;

	while ((child = at * 2 + 1) < count) {
		if (child + 1 < count &&
		    hit_worse(&hits[child + 1], &hits[child]))
			child++;
		if (!hit_worse(&hits[child], &hit))
			break;
		hits[at] = hits[child];
		at = child;
	}
	hits[at] = hit;
}

static void heap_up(struct cop_hit *hits, uint32_t at)
{
	struct cop_hit hit = hits[at];

	while (at && hit_worse(&hit, &hits[(at - 1) / 2])) {
		hits[at] = hits[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	hits[at] = hit;
}

static void heap_sort(struct cop_hit *hits, uint32_t count)
{
	while (count > 1) {
		struct cop_hit worst = hits[0];

		hits[0] = hits[--count];
		heap_down(hits, count, 0);
		hits[count] = worst;
	}
}

static double limit_of(const struct ranking *ranking)
{
	const struct cop_search *wanted = ranking->search->wanted;
	double limit = wanted->has_threshold ? wanted->threshold : INFINITY;

	if (ranking->count == wanted->k && ranking->hits[0].distance < limit)
		limit = ranking->hits[0].distance;
	return limit;
}

/* Whether a hit at this place in the order would be kept. */
static int ranking_takes(const struct ranking *ranking, double distance,
			 uint64_t id)
{
	struct cop_hit hit = {id, distance};

	if (!(distance <= ranking->limit))
		return 0;
	return ranking->count < ranking->search->wanted->k ||
	       hit_worse(&ranking->hits[0], &hit);
}

static void ranking_add(struct ranking *ranking, double distance, uint64_t id)
{
	struct cop_hit hit = {id, distance};

	if (ranking->count < ranking->search->wanted->k) {
		ranking->hits[ranking->count] = hit;
		heap_up(ranking->hits, ranking->count++);
	} else {
		ranking->hits[0] = hit;
		heap_down(ranking->hits, ranking->count, 0);
	}
	ranking->limit = limit_of(ranking);
}

/* ---- one row ------------------------------------------------------------ */

struct candidate {
	struct bank_seen seen;
	struct row_code code;
	double distance; /* by the full row */
};

/* Reads a row whole; 0 if it is not one that the snapshot sees. */
static int row_read(const struct ranking *ranking, uint32_t row,
		    const struct bank_line *line, struct candidate *out)
{
	const struct search *search = ranking->search;
	const struct segment *segment = read_segment(search->read);
	uint64_t snapshot = search->read->state.commit;
	const void *full = bank_row_at(segment, row);

	for (int i = 0; full && i < ROW_TRIES; i++) {
		uint64_t seq = bank_seq(line);

		if (seq & 1)
			continue;
		out->seen = bank_peek(line);
		if (out->seen.born > snapshot || snapshot >= out->seen.died)
			return 0; /* what a torn row says cannot matter: a
				     visible one is never written */
		out->code.norm = out->seen.norm;
		out->code.error = out->seen.error;
		out->distance =
		    segment->bank.rows
			? search->kernel->row32(&ranking->query, full)
			: search->kernel->row16(&ranking->query, full,
						out->seen.row_scale);
		if (bank_unchanged(line, seq))
			return 1;
	}
	return 0;
}

static int row_filtered(const struct ranking *ranking,
			const struct bank_seen *seen)
{
	const struct search *search = ranking->search;

	return seen->entity == ranking->exclude ||
	       (search->type && seen->type != search->type) ||
	       (seen->signature & search->signature) != search->signature;
}

/* Asks LMDB whether the entity has the tag. */
static cop_err tag_test(const struct search *search, uint64_t id, int *has)
{
	struct disk_member_key key = format_member_key(search->tag, id);
	struct bytes value;
	int code;

	*has = 1;
	if (!search->tag)
		return 0;
	code = env_get(search->read->env, search->read->txn, DB_MEMBERS,
		       bytes_of(&key, sizeof key), &value);
	*has = !code;
	return code && code != ENV_ABSENT
		   ? error_system(code, "cannot read a tag")
		   : 0;
}

/* Replaces the candidate's distance by the one of the vector in LMDB. */
static cop_err exact_rank(const struct ranking *ranking,
			  struct candidate *candidate, int *keep)
{
	const struct search *search = ranking->search;
	const struct disk_store *config = &search->read->store->config;
	const float *vector;
	double low;
	double high;
	cop_err err;

	query_range(&ranking->query, &candidate->code, search->relative,
		    candidate->distance, &low, &high);
	*keep = 0;
	if (low > ranking->limit)
		return 0;
	err = cop_vector(search->read, candidate->seen.entity, &vector);
	if (err || !vector)
		return err;
	candidate->distance = search->kernel->exact(
	    config->metric, ranking->vector, vector, config->dim);
	*keep = 1;
	return 0;
}

static cop_err row_rank(struct ranking *ranking, uint32_t row,
			const struct bank_line *line)
{
	struct candidate candidate;
	uint64_t id;
	int keep = 1;
	cop_err err = 0;

	if (!row_read(ranking, row, line, &candidate) ||
	    row_filtered(ranking, &candidate.seen))
		return 0;
	if (ranking->search->wanted->exact)
		err = exact_rank(ranking, &candidate, &keep);
	id = candidate.seen.entity;
	if (err || !keep || !ranking_takes(ranking, candidate.distance, id))
		return err;
	err = tag_test(ranking->search, id, &keep);
	if (!err && keep)
		ranking_add(ranking, candidate.distance, id);
	return err;
}

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

		err = row_rank(ranking, first + survivors[i], line);
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

static void ranking_init(struct ranking *ranking, const struct search *search,
			 const float *vector, uint64_t exclude,
			 struct cop_hit *hits)
{
	const struct disk_store *config = &search->read->store->config;

	ranking->search = search;
	ranking->vector = vector;
	ranking->exclude = exclude;
	ranking->hits = hits;
	ranking->count = 0;
	ranking->limit = limit_of(ranking);
	query_encode(config->metric, vector, config->dim, &ranking->query);
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
	err = rows_rank(&ranking, 1);
	if (err)
		return err;
	heap_sort(hits, ranking.count);
	*count = ranking.count;
	return 0;
}

/* ---- many --------------------------------------------------------------- */

struct search_many {
	const struct search *search;
	const float *vectors;
	size_t count;
	uint32_t threads;
	struct cop_hit *hits;
	uint32_t *counts;
};

static cop_err group_run(const struct search_many *many,
			 struct ranking *rankings, size_t first, uint32_t count)
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
	if (!err)
		err = rows_rank(rankings, count);
	for (uint32_t i = 0; i < count && !err; i++) {
		heap_sort(rankings[i].hits, rankings[i].count);
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
	cop_err err = 0;

	if (!rankings)
		return error_system(ENOMEM,
				    "no memory for a batch of searches");
	while (at < to && !err) {
		uint32_t count = to - at < GROUP ? (uint32_t)(to - at) : GROUP;

		err = group_run(many, rankings, at, count);
		at += count;
	}
	free(rankings);
	return err;
}

cop_err cop_search_many(cop_read *read, const struct cop_search *wanted,
			const float *vectors, size_t count, uint32_t threads,
			struct cop_hit *hits, uint32_t *counts)
{
	struct search search;
	struct search_many many = {
	    &search, vectors, count, threads_for(threads, count), hits, counts};
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
	code = env_read_warm(read->env, read->txn);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	return threads_run(many.threads, many_part, &many);
}
