/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search: the k nearest of the rows that the snapshot sees.
 *
 * idea
 *	The graph leads to the rows near a query (hnsw.h), whose pool is then
 *	ranked (rank.h).  Or all rows are looked at: a kernel scans the codes
 *	of a chunk and leaves out what a proven bound places beyond the
 *	worst hit so far, and what survives is ranked.  That is exact, and the
 *	better way for few rows, for many hits, and where a walk came back
 *	with fewer than k.  In few dimensions a tree leads to all that is near
 *	(kdtree.h), exactly too; signs (signs.h) are for who asks for them.
 */
#include "rank.h"
#include "results.h"
#include "probe.h"
#include "span.h"
#include "trace.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHUNK_ROWS = 1024,
	GROUP = 8,
	EF_DEFAULT = 128,
	EF_LSH = 1024,	    /* rows picked by their signs */
	TREE_TRIES = 4,	    /* of a search while the tree changes */
	TREE_LEAST = 10000, /* rows that a tree may lead to, then */
	TREE_SHARE = 4,	    /* that part of all, before a scan is better */
	TREE_DIM = 6,	    /* up to which a walk is never faster, */
	TREE_ROWS = 200000, /* nor among so many rows */
	SCAN_ROWS = 500,    /* fewer are always looked at, all of them */
	SCAN_MATCHES = 3000,
	SCAN_SHARE = 5,	   /* more of the matches than that are not walked to */
	PROBE_MATCHES = 8, /* expected among a query's neighbours */
	PROBE_MOST = 256,
	PROBE_CARE = 3,
	WALK_LEAST = 8,	       /* distances for each row of a walk's width */
	PATIENCE_LEAST = 4000, /* distances that a filtered walk computes */
	PATIENCE_SHARE = 8     /* and that part of the rows */
};

/* From this share on a walk goes through what does not pass. */
static const double WALK_SHARE = 0.3;

/* Below this one it does so again, until it runs out of patience. */
static const double ACROSS_SHARE = 0.03;

/* ---- all rows ----------------------------------------------------------- */

static cop_err chunk_rank(struct ranking *ranking, uint32_t first,
			  uint32_t count)
{
	const struct segment *segment = read_segment(ranking->search->read);
	const size_t stride = segment->bank.line_bytes;
	const unsigned char *lines =
	    region_at(segment->header, segment_region(segment, REGION_CODES),
		      first * stride, count * stride);
	const struct sift *sift = ranking->search->sift;
	uint32_t survivors[CHUNK_ROWS];
	size_t left;
	cop_err err = 0;

	if (!lines)
		return 0;
	left = ranking->search->kernel->codes[segment->bank.codes].scan(
	    &ranking->query, lines, stride, count, ranking->limit, survivors);
	for (size_t i = 0; i < left && !err; i++) {
		const void *line = lines + survivors[i] * stride;

		/* full rows cost more than a header that is in the cache */
		if (sift->is_filtered && !hnsw_sieve_passes(&sift->sieve, line))
			continue;
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

static int uses_signs(int32_t strategy)
{
	return strategy == COP_LSH || strategy == COP_HIERARCHICAL;
}

/* How a search is made; the same for all queries of a call. */
struct plan {
	int32_t strategy;
	uint32_t ef;
	enum hnsw_way way;
	uint32_t patience;
	const char *reason;
};

/* ---- through the graph -------------------------------------------------- */

/* What a walk looks for, unless the caller says how wide it is to be. */
static uint32_t ef_for(const struct cop_search *wanted)
{
	uint32_t usual = wanted->strategy == COP_LSH ? EF_LSH : EF_DEFAULT;
	uint64_t ef = wanted->ef ? wanted->ef : usual;

	/* rows that are left out after all */
	if (ef < wanted->k + UINT64_C(1))
		ef = wanted->k + UINT64_C(1);
	return ef < HNSW_EF_MAX ? (uint32_t)ef : HNSW_EF_MAX;
}

/* Of the rows near the query, the share that passes. */
static double share_near(const struct ranking *ranking, struct hnsw_room *room)
{
	const struct sift *sift = ranking->search->sift;
	const struct segment *segment = read_segment(ranking->search->read);
	struct hnsw_sieve alive = {.snapshot = sift->sieve.snapshot};
	double width = PROBE_MATCHES / sift->share;
	struct hnsw_search probe = {.query = &ranking->query,
				    .room = room,
				    .sieve = &alive,
				    .ef = width < PROBE_MOST ? (uint32_t)width
							     : PROBE_MOST};
	uint32_t passing = 0;

	hnsw_walk(segment, &probe);
	for (uint32_t i = 0; i < room->pool_count; i++) {
		const struct bank_line *line =
		    bank_line_at(segment, hnsw_row_of(room->pool[i]));

		passing += line && hnsw_sieve_passes(&sift->sieve, line);
	}
	hnsw_room_clear(room, segment);
	return room->pool_count ? (double)passing / room->pool_count : 0;
}

/*
 * Looks where the query lies.  Where less passes than elsewhere, a walk from
 * match to match would see one side of them only: it goes through all.
 * Returns	0 if that would take more than its patience
 */
static int walk_prepare(const struct ranking *ranking, struct hnsw_room *room,
			struct hnsw_search *walk)
{
	const struct sift *sift = ranking->search->sift;
	double near;

	if (walk->way != HNSW_ACROSS)
		return 1;
	near = share_near(ranking, room);
	if (near > sift->share / PROBE_CARE)
		return 1;
	walk->way = HNSW_THROUGH;
	return walk->ef * (double)WALK_LEAST < near * walk->patience;
}

/* *done is 0 if the walk gave up. */
static cop_err graph_rank(struct ranking *ranking, struct hnsw_room *room,
			  const struct plan *plan, int *done)
{
	const struct search *search = ranking->search;
	const struct segment *segment = read_segment(search->read);
	struct cop_search_report *report = search->wanted->report;
	struct hnsw_search walk = {.query = &ranking->query,
				   .room = room,
				   .sieve = &search->sift->sieve,
				   .ef = plan->ef,
				   .way = plan->way,
				   .patience = plan->patience};
	cop_err err = 0;

	*done = 0;
	if (plan->strategy != COP_LSH && !walk_prepare(ranking, room, &walk))
		return 0;
	if (plan->strategy == COP_HNSW)
		hnsw_walk(segment, &walk);
	else
		signs_walk(segment, &walk, plan->strategy == COP_HIERARCHICAL);
	*done = !walk.gave_up;
	if (*done)
		err = ranking_pool(ranking, room);
	hnsw_room_clear(room, segment);
	if (report) {
		report->ef = walk.ef;
		report->evaluated = walk.evaluated;
		report->expanded = walk.expanded;
	}
	return err;
}

/* ---- through the tree ---------------------------------------------------- */

struct tree_walk {
	struct ranking *ranking;
	struct hnsw_room *room; /* marks what was visited */
	uint64_t left;		/* rows, then it gives up */
	cop_err err;
};

static int tree_row(void *user, uint32_t row, double *limit)
{
	struct tree_walk *walk = user;
	struct ranking *ranking = walk->ranking;
	const struct segment *segment = read_segment(ranking->search->read);
	const struct bank_line *line = bank_line_at(segment, row);

	if (!walk->left)
		return 1;
	walk->left--;
	/* the tail may name a row twice, if it was used again */
	if (line && hnsw_room_first(walk->room, row))
		walk->err = ranking_row(ranking, row, line);
	if (ranking->limit < *limit)
		*limit = ranking->limit;
	return walk->err != 0;
}

/* *done is 0 if the tree changed all the while, or led to too many rows. */
static cop_err tree_rank(struct ranking *ranking, struct hnsw_room *room,
			 int *done)
{
	const struct search *search = ranking->search;
	const struct segment *segment = read_segment(search->read);
	struct cop_search_report *report = search->wanted->report;
	uint64_t most = TREE_LEAST + bank_count(segment) / TREE_SHARE;
	enum kd_outcome outcome = KD_CHANGED;
	struct tree_walk walk = {.ranking = ranking, .room = room};

	for (int i = 0; i < TREE_TRIES && outcome == KD_CHANGED; i++) {
		ranking_again(ranking);
		walk.left = most;
		outcome = kd_search(segment, &ranking->query, ranking->limit,
				    tree_row, &walk);
		hnsw_room_clear(room, segment);
		if (walk.err)
			return walk.err;
	}
	*done = outcome == KD_DONE;
	if (report)
		report->evaluated = (uint32_t)(most - walk.left);
	return 0;
}

/*
 * Whether a tree gives what is asked for.  Its limit is about the rows; an
 * exact search's is about the vectors, so they must be the same.
 */
static int tree_serves(const struct search *search)
{
	const struct segment *segment = read_segment(search->read);

	return kd_is_there(segment) &&
	       (!search->wanted->exact || (segment->bank.full == CODES_F32 &&
					   segment->bank.metric == METRIC_L2));
}

/* Whether it does so faster than a walk. */
static int tree_pays(const struct search *search)
{
	const struct segment *segment = read_segment(search->read);

	return search->wanted->exact || search->wanted->has_threshold ||
	       segment->bank.dim <= TREE_DIM ||
	       bank_count(segment) <= TREE_ROWS;
}

/* ---- few matches -------------------------------------------------------- */

/* *known is 0 if an entity changed since: its row is not found this way. */
static cop_err listed_rank(struct ranking *ranking, int *known)
{
	const struct search *search = ranking->search;
	const struct segment *segment = read_segment(search->read);
	const struct region_view *heads = segment_region(segment, REGION_HEADS);
	cop_err err = 0;

	*known = 1;
	for (uint32_t i = 0; i < search->sift->listed_count && !err; i++) {
		const struct head *head =
		    head_at(segment->header, heads, search->read->listed[i]);
		struct head_state state;
		const struct bank_line *line;

		if (!head ||
		    !head_read(head, search->read->state.commit, &state)) {
			*known = 0;
			return 0;
		}
		line = state.alive && state.row
			   ? bank_line_at(segment, state.row)
			   : NULL;
		if (line)
			err = ranking_row(ranking, state.row, line);
	}
	return err;
}

/* ---- which way ---------------------------------------------------------- */

static void report_begin(const struct search *search, const struct plan *plan)
{
	const struct segment *segment = read_segment(search->read);
	struct cop_search_report *report = search->wanted->report;
	uint32_t size;

	if (!report)
		return;
	size = report->size;
	*report = (struct cop_search_report){
	    .size = size,
	    .strategy = plan->strategy,
	    .rows = bank_count(segment) - UINT64_C(1),
	    .waiting = hnsw_tail_count(segment),
	    .share = search->sift->share,
	    .listed = search->sift->is_listed ? search->sift->listed_count : 0};
	snprintf(report->reason, sizeof report->reason, "%s", plan->reason);
}

static void plan_set(struct plan *plan, int32_t strategy, const char *reason)
{
	plan->strategy = strategy;
	plan->reason = reason;
}

/* How a walk copes with what does not pass. */
static void plan_walk(struct plan *plan, const struct search *search)
{
	const struct sift *sift = search->sift;
	uint64_t rows = bank_count(read_segment(search->read));

	plan->ef = ef_for(search->wanted);
	plan->way = HNSW_THROUGH;
	plan->patience = 0;
	if (!sift->is_filtered)
		return;
	/* where next to nothing passes, its neighbours do not either */
	if (sift->share < WALK_SHARE && sift->share > ACROSS_SHARE)
		plan->way = HNSW_ACROSS;
	/* beyond that a scan is as fast */
	plan->patience = (uint32_t)(PATIENCE_LEAST + rows / PATIENCE_SHARE);
}

/*
 * What a scan and a walk take, in nanoseconds of the machine that they were
 * measured on: a scan reads line by line, a walk row by row, here and there.
 * Of bits a scan leaves out next to nothing: full rows are read, too.  The rest
 * of a walk is its way down, and ranking what it found.
 */
static double scan_ns(const struct segment *segment)
{
	double lines = segment->bank.line_bytes / 64.0;

	if (segment->bank.codes == CODES_B1)
		lines += segment->bank.row_bytes / 64.0;
	return bank_count(segment) * lines * 1.2;
}

/* Ranking a row by its full vector. */
static double row_ns(const struct segment *segment)
{
	return 150 + 10 * (segment->bank.row_bytes / 64.0);
}

/*
 * What a scan ranks: each row that is among the k nearest of those before it,
 * in no order.  It looks at the headers of those that do not pass, too.
 */
static double scan_rank_ns(const struct search *search, double matches)
{
	const struct segment *segment = read_segment(search->read);
	double k = search->wanted->k;
	double rows = k < matches ? k * (1 + log(matches / k)) : matches;

	return rows * (row_ns(segment) + 5 / (search->sift->share + 1e-3));
}

static double walk_ns(const struct plan *plan, const struct search *search)
{
	const struct segment *segment = read_segment(search->read);
	uint32_t bytes = hnsw_by_nibbles(segment) ? segment->bank.nibble_bytes
						  : segment->bank.line_bytes;
	double distance = 16.5 + 1.3 * (bytes / 64.0);
	double share = search->sift->share;
	double rows = (double)hnsw_linked(segment);
	double rest = 4000 + search->wanted->k * row_ns(segment);
	double seen;

	if (plan->way == HNSW_ACROSS) { /* headers of neighbours' neighbours */
		seen = fmin(plan->ef * 144.0, rows);
		return seen * (20 + share * distance) + rest;
	}
	seen = fmin(plan->ef * 12.0 / (share + 1e-3), 0.7 * rows);
	return seen * distance + rest;
}

static void plan_make(struct plan *plan, const struct search *search)
{
	const struct cop_search *wanted = search->wanted;
	const struct sift *sift = search->sift;
	const struct segment *segment = read_segment(search->read);
	double matches = sift->share * (double)hnsw_linked(segment);

	plan_walk(plan, search);
	if (uses_signs(wanted->strategy) && !signs_ready(segment))
		plan_set(plan, COP_SCAN, "too few rows to be told by signs");
	else if (wanted->strategy == COP_KDTREE && !tree_serves(search))
		plan_set(plan, COP_SCAN, "there is no tree that serves");
	else if (wanted->strategy)
		plan_set(plan, wanted->strategy, "asked for");
	else if (sift->is_listed)
		plan_set(plan, COP_SCAN,
			 "few pass the filters: each is ranked");
	else if (tree_serves(search) && tree_pays(search))
		plan_set(plan, COP_KDTREE,
			 "few dimensions: a tree leads to all that is near");
	else if (wanted->exact)
		plan_set(plan, COP_SCAN, "an exact search looks at all rows");
	else if (wanted->has_threshold)
		plan_set(plan, COP_SCAN, "all within a threshold are wanted");
	else if (matches < SCAN_ROWS || wanted->k >= COP_EF_MAX ||
		 scan_ns(segment) + scan_rank_ns(search, matches) <
		     walk_ns(plan, search))
		plan_set(plan, COP_SCAN, "a scan is as fast as a walk");
	else if (sift->is_filtered &&
		 (matches < SCAN_MATCHES || wanted->k > matches / SCAN_SHARE))
		plan_set(plan, COP_SCAN,
			 "too few pass the filters for a walk to meet them");
	else
		plan_set(plan, COP_HNSW,
			 !sift->is_filtered ? "no filter, many rows"
			 : plan->way == HNSW_ACROSS
			     ? "some pass: a walk that looks past the others"
			     : "many pass: a walk through all");
}

/* *done is 0 if there may be nearer hits, or more. */
static cop_err way_take(struct ranking *ranking, struct hnsw_room *room,
			const struct plan *plan, int *done)
{
	const struct search *search = ranking->search;
	cop_err err;

	if (plan->strategy == COP_KDTREE)
		return tree_rank(ranking, room, done);
	if (plan->strategy == COP_SCAN)
		return search->sift->is_listed ? listed_rank(ranking, done) : 0;
	err = graph_rank(ranking, room, plan, done);
	*done = *done && ranking->count == search->wanted->k;
	return err;
}

static void report_fall_back(struct cop_search_report *report)
{
	if (!report || report->strategy == COP_SCAN)
		return;
	snprintf(report->reason, sizeof report->reason,
		 "%s, or led too far: all rows are looked at",
		 report->strategy == COP_KDTREE
		     ? "the tree changed all the while"
		     : "a walk came to too few hits");
	report->strategy = COP_SCAN;
}

/* Squares of such numbers are no floats: a walk's distances are all alike. */
static int is_beyond_walks(const struct ranking *ranking)
{
	const struct search *search = ranking->search;

	return search->wanted->strategy == COP_AUTO &&
	       read_segment(search->read)->bank.metric != METRIC_COSINE &&
	       !ranking->query.is_moderate;
}

/* One query; never fewer hits than there are. */
static cop_err query_run(struct ranking *ranking, struct hnsw_room *room,
			 const struct plan *plan)
{
	struct cop_search_report *report = ranking->search->wanted->report;
	struct plan chosen = *plan;
	int done = 0;
	cop_err err;

	if (plan->strategy == COP_HNSW && is_beyond_walks(ranking))
		plan_set(&chosen, COP_SCAN,
			 "numbers so large, or so small, are scanned");
	plan = &chosen;
	report_begin(ranking->search, plan);
	err = way_take(ranking, room, plan, &done);
	if (!err && !done) {
		report_fall_back(report);
		ranking_again(ranking);
		err = rows_rank(ranking, 1);
	}
	if (!err && read_is_past(ranking->search->read))
		err = ranking_past(ranking);
	if (!err && report)
		report->is_complete =
		    ranking->count < ranking->search->wanted->k;
	return err;
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
	if (wanted->strategy < COP_AUTO || wanted->strategy > COP_KDTREE)
		return error_set(COP_INVALID, "there is no strategy %d",
				 wanted->strategy);
	if (uses_signs(wanted->strategy) && !read->store->config.signs)
		return error_set(COP_INVALID,
				 "%s keeps no signs of its vectors; `init "
				 "--signs` makes a store that does",
				 read->store->path);
	if (wanted->strategy == COP_KDTREE && !kd_applies(read_segment(read)))
		return error_set(COP_INVALID,
				 "%s has no tree: it is for 2 to 8 dimensions "
				 "and distances by cosine or L2; leave the "
				 "strategy to the store",
				 read->store->path);
	if (wanted->ef > COP_EF_MAX)
		return error_set(COP_INVALID, "ef is %u; it may be up to %d",
				 wanted->ef, COP_EF_MAX);
	if (wanted->tag_count > COP_FILTER_TAGS - (wanted->tag != NULL))
		return error_set(COP_TOO_LARGE,
				 "%u tags to search for; at "
				 "most %d may be given",
				 wanted->tag_count, COP_FILTER_TAGS);
	if (wanted->tag_count &&
	    (!wanted->tags ||
	     (wanted->tag && wanted->tag_mode == COP_TAGS_ANY)))
		return error_set(COP_INVALID,
				 "no tags, or one besides those of which any "
				 "is enough");
	if (wanted->report && wanted->report->size != sizeof *wanted->report)
		return error_set(COP_INVALID, "the report is of another size; "
					      "set .size to its sizeof");
	if (wanted->has_threshold && isnan(wanted->threshold))
		return error_set(COP_INVALID, "the threshold is not a number");
	if (!read->store->config.dim)
		return error_set(COP_BAD_VECTOR,
				 "%s was made without vectors; `init --dim` "
				 "makes a store with them",
				 read->store->path);
	return 0;
}

/* *none: nothing can match. */
static cop_err search_init(struct search *search, struct sift *sift,
			   cop_read *read, const struct cop_search *wanted,
			   int *none)
{
	const struct disk_store *config = &read->store->config;

	*search = (struct search){.read = read,
				  .wanted = wanted,
				  .kernel = read->store->kernel,
				  .sift = sift};
	*none = 0;
	search->relative = config->rows ? code_row32_error(config->metric)
					: code_row16_error(config->metric);
	return sift_init(sift, read, wanted, none);
}

static cop_err search_make(struct search *search, struct cop_hit *hits,
			   uint32_t *count)
{
	const struct cop_search *wanted = search->wanted;
	struct ranking ranking;
	struct plan plan;
	cop_err err;

	plan_make(&plan, search);
	ranking_init(&ranking, search, wanted->vector, wanted->exclude, hits);
	err = query_run(&ranking, &search->read->room.hnsw, &plan);
	if (err)
		return err;
	ranking_sort(&ranking);
	*count = ranking.count;
	return 0;
}

/* A search that the cache does not have. */
static cop_err search_one(cop_read *read, const struct cop_search *wanted,
			  struct cop_hit *hits, uint32_t *count)
{
	struct search search;
	struct sift sift = {0};
	int none;
	cop_err err = search_init(&search, &sift, read, wanted, &none);

	if (!err && none)
		*count = 0;
	else if (!err)
		err = search_make(&search, hits, count);
	sift_release(&sift);
	return err;
}

/*
 * Out of the cache or into it.
 * report	filled in if it has to be worked out, unless the caller's is;
 *		may be NULL
 */
static cop_err search_cached(cop_read *read, const struct cop_search *wanted,
			     struct cop_hit *hits, uint32_t *count,
			     uint32_t flags, struct cop_search_report *report)
{
	struct results_ask ask;
	struct cop_search own;
	cop_err err = wanted_check(read, wanted);

	if (!err && !wanted->vector)
		err = error_set(COP_INVALID, "the search has no vector");
	if (!err)
		err = store_vector_check(read->store, wanted->vector, "query",
					 "");
	if (err)
		return err;
	results_ask(read, wanted, wanted->vector, wanted->exclude, &ask);
	if (results_find(read, &ask, hits, count))
		return 0;
	own = *wanted;
	if (!own.report)
		own.report = report;
	err = search_one(read, &own, hits, count);
	if (!err)
		(void)results_put(read, &ask, hits, *count, flags);
	return err;
}

/* With a report, whether the caller wants one or not. */
static cop_err search_traced(cop_read *read, const struct cop_search *wanted,
			     struct cop_hit *hits, uint32_t *count,
			     uint64_t begin_ns)
{
	struct cop_search_report own = {.size = sizeof own,
					.reason = "from the cache"};
	const struct cop_search_report *report =
	    wanted->report ? wanted->report : &own;
	uint64_t took_ns;
	cop_err err = search_cached(read, wanted, hits, count, 0, &own);

	if (err ||
	    !trace_due(read->store, COP_TRACE_SEARCH, begin_ns, &took_ns))
		return err;
	trace_tell(read->store, COP_TRACE_SEARCH, took_ns,
		   "k %u, %u hits, ef %u, %u distances, %llu listed: %s",
		   wanted->k, *count, report->ef, report->evaluated,
		   (unsigned long long)report->listed, report->reason);
	return 0;
}

cop_err cop_search(cop_read *read, const struct cop_search *wanted,
		   struct cop_hit *hits, uint32_t *count)
{
	cop_err err = read_check_idle(read);
	uint64_t begin_ns, since;

	if (err)
		return err;
	begin_ns = trace_begin(read->store, COP_TRACE_SEARCH);
	PROBE1(search__begin, wanted);
	since = begin_ns ? begin_ns : span_begin(read->store);
	err = begin_ns && wanted
		  ? search_traced(read, wanted, hits, count, begin_ns)
		  : search_cached(read, wanted, hits, count, 0, NULL);
	if (err)
		return err;
	PROBE2(search__end, wanted->k, *count);
	figures_count(&read->store->figures, FIGURE_SEARCHES, 1);
	span_end(read->store, TIMING_SEARCH, since, 1);
	return 0;
}

cop_err cop_search_warm(cop_read *read, const struct cop_search *wanted,
			const float *vectors, size_t count)
{
	struct cop_search one;
	struct cop_hit *hits;
	uint32_t found;
	cop_err err = read_check_idle(read);

	if (!err)
		err = wanted_check(read, wanted);
	if (err)
		return err;
	hits = malloc(wanted->k * sizeof *hits);
	if (!hits)
		return error_system(ENOMEM, "no memory for hits");
	one = *wanted;
	for (size_t i = 0; i < count && !err; i++) {
		one.vector = vectors + i * read->store->config.dim;
		err = search_cached(read, &one, hits, &found, CACHE_WARM, NULL);
	}
	free(hits);
	return err;
}

/* ---- many --------------------------------------------------------------- */

struct search_many {
	const struct search *search;
	const float *vectors;
	size_t count;
	uint32_t threads;
	struct plan plan;
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
	int is_group = many->plan.strategy == COP_SCAN &&
		       !search->sift->is_listed && !read_is_past(search->read);
	cop_err err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		const float *vector = many->vectors + (first + i) * dim;

		err = store_vector_check(search->read->store, vector, "query",
					 "");
		if (!err)
			ranking_init(&rankings[i], search, vector, 0,
				     many->hits + (first + i) * k);
	}
	if (!err && is_group)
		err = rows_rank(rankings, count);
	for (uint32_t i = 0; i < count && !err; i++) {
		if (!is_group)
			err = query_run(&rankings[i], room, &many->plan);
		ranking_sort(&rankings[i]);
		many->counts[first + i] = rankings[i].count;
	}
	return err;
}

/* One thread alone has the read's own room. */
static cop_err many_part(void *user, uint32_t thread)
{
	const struct search_many *many = user;
	cop_read *read = many->search->read;
	size_t at = many->count * thread / many->threads;
	size_t to = many->count * (thread + 1) / many->threads;
	struct ranking *rankings = aligned_alloc(64, GROUP * sizeof *rankings);
	struct room own = {0};
	struct room *room = many->threads == 1 ? &read->room : &own;
	cop_err err = 0;

	if (!rankings || (room == &own && room_open(room, read_segment(read))))
		err = error_system(ENOMEM, "no memory for a batch of searches");
	while (at < to && !err) {
		uint32_t count = to - at < GROUP ? (uint32_t)(to - at) : GROUP;

		err = group_run(many, rankings, &room->hnsw, at, count);
		at += count;
	}
	room_close(&own);
	free(rankings);
	return err;
}

cop_err cop_search_many(cop_read *read, const struct cop_search *wanted,
			const float *vectors, size_t count, uint32_t threads,
			struct cop_hit *hits, uint32_t *counts)
{
	struct search search;
	struct search_many many = {
	    .search = &search,
	    .vectors = vectors,
	    .count = count,
	    .threads =
		threads_for(wanted && wanted->accept ? 1 : threads, count),
	    .hits = hits,
	    .counts = counts};
	struct cop_search quiet;
	struct sift sift = {0};
	uint64_t begin_ns, since, took_ns;
	int none;
	int code;
	cop_err err = read_check_idle(read);

	if (!err)
		err = wanted_check(read, wanted);
	if (err)
		return err;
	begin_ns = trace_begin(read->store, COP_TRACE_SEARCH);
	since = begin_ns ? begin_ns : span_begin(read->store);
	quiet = *wanted;
	quiet.report = NULL; /* it is about one query */
	err = search_init(&search, &sift, read, &quiet, &none);
	if (!err && none)
		memset(counts, 0, count * sizeof *counts);
	if (!err && !none && count) {
		plan_make(&many.plan, &search);
		code = env_read_warm(read->env, read->txn);
		err = code ? error_system(code, "%s: cannot read",
					  read->store->path)
			   : threads_run(many.threads, many_part, &many);
	}
	sift_release(&sift);
	if (err)
		return err;
	figures_count(&read->store->figures, FIGURE_SEARCHES, count);
	span_end(read->store, TIMING_SEARCH, since, count);
	if (trace_due(read->store, COP_TRACE_SEARCH, begin_ns, &took_ns))
		trace_tell(read->store, COP_TRACE_SEARCH, took_ns,
			   "%zu searches of k %u, by %u threads", count,
			   wanted->k, many.threads);
	return 0;
}
