/* SPDX-License-Identifier: Apache-2.0 */
#include "rank.h"

#include <math.h>

enum { ROW_TRIES = 8, POOL_LEAST = 12 };

/* How much worse than the worst seen a coded distance may yet be. */
static const double POOL_CARE = 1.5;

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

void ranking_sort(struct ranking *ranking)
{
	struct cop_hit *hits = ranking->hits;
	uint32_t count = ranking->count;

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
		out->distance = bank_distance(segment, &ranking->query, full,
					      out->seen.row_scale);
		if (bank_unchanged(line, seq))
			return 1;
	}
	return 0;
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

/* Makes a row a hit, if it is one; *distance by its full row. */
static cop_err row_rank(struct ranking *ranking, uint32_t row,
			const struct bank_line *line, double *distance)
{
	struct candidate candidate;
	uint64_t id;
	int keep = 1;
	cop_err err = 0;

	if (!row_read(ranking, row, line, &candidate) ||
	    candidate.seen.entity == ranking->exclude ||
	    !hnsw_sieve_passes(&ranking->search->sift->sieve, line))
		return 0;
	*distance = candidate.distance;
	if (ranking->search->wanted->exact)
		err = exact_rank(ranking, &candidate, &keep);
	id = candidate.seen.entity;
	if (err || !keep || !ranking_takes(ranking, candidate.distance, id))
		return err;
	err = sift_tags(ranking->search->sift, id, &keep);
	if (!err && keep)
		ranking_add(ranking, candidate.distance, id);
	return err;
}

cop_err ranking_row(struct ranking *ranking, uint32_t row,
		    const struct bank_line *line)
{
	double distance;

	return row_rank(ranking, row, line, &distance);
}

/* ---- the past ----------------------------------------------------------- */

static cop_err past_rank(struct ranking *ranking, uint64_t id)
{
	const struct search *search = ranking->search;
	const struct disk_store *config = &search->read->store->config;
	const float *vector;
	double distance;
	int passes;
	cop_err err = cop_vector(search->read, id, &vector);

	if (err || !vector || id == ranking->exclude)
		return err;
	distance = search->kernel->exact(config->metric, ranking->vector,
					 vector, config->dim);
	if (!ranking_takes(ranking, distance, id))
		return 0;
	err = sift_entity(search->sift, id, &passes);
	if (!err && passes)
		ranking_add(ranking, distance, id);
	return err;
}

cop_err ranking_past(struct ranking *ranking)
{
	const struct touched *touched = &ranking->search->read->touched;
	cop_err err = 0;

	for (uint64_t word = 0; word <= touched->end / 64 && !err; word++)
		for (uint64_t left = touched->bits[word]; left && !err;
		     left &= left - 1)
			err = past_rank(ranking,
					word * 64 +
					    (uint64_t)__builtin_ctzll(left));
	return err;
}

/* ---- the pool of a walk ------------------------------------------------- */

/* Asks for the full rows that are ranked in any case. */
static void pool_ahead(const struct segment *segment,
		       const struct hnsw_room *room)
{
	for (uint32_t i = 0; i < room->pool_count && i < POOL_LEAST; i++) {
		const unsigned char *row =
		    bank_row_at(segment, hnsw_row_of(room->pool[i]));

		for (uint32_t line = 0; row && line < 4; line++)
			__builtin_prefetch(row + line * 64);
	}
}

/*
 * In coded order, until even a row whose code errs half as much again as the
 * worst so far could not become a hit.  Bits err more than that would tell:
 * all of their pool is ranked.
 */
cop_err ranking_pool(struct ranking *ranking, const struct hnsw_room *room)
{
	const struct segment *segment = read_segment(ranking->search->read);
	uint32_t k = ranking->search->wanted->k;
	int is_rough = segment->bank.codes == CODES_B1;
	uint32_t ranked = 0;
	double worst = 0;
	cop_err err = 0;

	pool_ahead(segment, room);
	for (uint32_t i = 0; i < room->pool_count && !err; i++) {
		uint64_t entry = room->pool[i];
		uint32_t row = hnsw_row_of(entry);
		const struct bank_line *line = bank_line_at(segment, row);
		double coded = (double)hnsw_distance_of(entry);
		double distance = coded;

		if (!hnsw_passes(entry) || !line)
			continue;
		if (!is_rough && ranking->count == k && ranked >= POOL_LEAST &&
		    coded - POOL_CARE * worst > ranking->limit)
			break;
		err = row_rank(ranking, row, line, &distance);
		ranked++;
		if (coded - distance > worst)
			worst = coded - distance;
	}
	return err;
}

/* ---- the beginning ------------------------------------------------------ */

void ranking_again(struct ranking *ranking)
{
	ranking->count = 0;
	ranking->limit = limit_of(ranking);
}

void ranking_init(struct ranking *ranking, const struct search *search,
		  const float *vector, uint64_t exclude, struct cop_hit *hits)
{
	const struct disk_store *config = &search->read->store->config;

	ranking->search = search;
	ranking->vector = vector;
	ranking->exclude = exclude;
	ranking->hits = hits;
	ranking_again(ranking);
	query_encode_first(config->codes, config->metric, vector, config->dim,
			   read_segment(search->read)->bank.coded,
			   &ranking->query);
}
