/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking the vector graph.
 *
 * idea
 *	The pool is one sorted array: what was seen, nearest first, with a bit
 *	for what was followed already.  An entry is one word, the distance in
 *	an order of integers above the row, so that placing it is a comparison
 *	of integers.  It holds the `ef` nearest that pass, and the nearer ones
 *	between them that do not: a walk has to go through those.
 *
 *	A row takes longer to come than to be weighed.  So a walk is always
 *	one node ahead: it asks for the rows that the next one leads to, then
 *	weighs those of the one before, which have come meanwhile.  Now and
 *	then a node is followed that would not have been, which costs less.
 *
 *	Which rows were seen is a bit each.  The bits are taken back one by
 *	one, unless there are so many that clearing all costs less.
 */
#include "hnsw.h"
#include "segment.h"
#include "kernel.h"

#include <float.h>
#include <string.h>

enum {
	TOUCHED_MAX = 1 << 16,
	POOL_MAX = 2 * HNSW_EF_MAX,
	STEPS_MAX = 1 << 16, /* of a descent: rows that change might lead on */
	NEAREST = 24,	     /* entries that are to stay the same */
	BEAM = 4,	     /* rows that a descent leads to */
	AHEAD_LINES = 8,     /* of a row; the processor goes on */
	SIEVE_EARLY = 64,    /* walks, after one that met the dead */
	PAIRS_LEAST = 8,     /* that agree or do not */
	ENTRY_ROW_SHIFT = 2
};

/* Of an entry: its links were followed; the row is no answer. */
#define FOLLOWED  UINT64_C(1)
#define PASSED_BY UINT64_C(2)

/* What a walk works on. */
struct ground {
	const struct segment *segment;
	const unsigned char *lines; /* headers and codes */
	size_t line_bytes;
	const unsigned char *links; /* of the lowest level */
	uint32_t limit;
	/* what distances are computed from: codes, or nibbles */
	kernel_gatherer *gather;
	const unsigned char *rows;
	size_t stride;
};

/* The first of the rows, NULL if not all of them are there. */
static const unsigned char *rows_of(const struct ground *ground,
				    enum region_id id, size_t bytes)
{
	const struct segment *segment = ground->segment;

	return region_at(segment->header, segment_region(segment, id), 0,
			 ground->limit * bytes);
}

static void ground_use_codes(struct ground *ground)
{
	const struct segment *segment = ground->segment;

	ground->gather = segment->kernel->codes[segment->bank.codes].gather;
	ground->rows = ground->lines;
	ground->stride = ground->line_bytes;
}

static void ground_use_nibbles(struct ground *ground)
{
	const struct segment *segment = ground->segment;

	ground->gather = segment->kernel->nibbles;
	ground->stride = segment->bank.nibble_bytes;
	ground->rows = rows_of(ground, REGION_NIBBLES, ground->stride);
	if (!ground->rows)
		ground_use_codes(ground);
}

static void ground_init(struct ground *ground, const struct segment *segment,
			const struct hnsw_search *search)
{
	ground->segment = segment;
	ground->line_bytes = segment->bank.line_bytes;
	ground->limit = hnsw_limit(segment);
	ground->lines = rows_of(ground, REGION_CODES, ground->line_bytes);
	ground->links = (const void *)hnsw_links(segment, 0, 0);
	if (!ground->lines || !ground->links)
		ground->limit = 0;
	if (search->by_nibbles)
		ground_use_nibbles(ground);
	else
		ground_use_codes(ground);
}

/* ---- room --------------------------------------------------------------- */

static uint64_t marks_bytes(const struct segment *segment)
{
	uint64_t rows = segment_region(segment, REGION_CODES)->reserved /
			segment->bank.line_bytes;

	return (rows / 8 + 4096) & ~UINT64_C(4095);
}

uint64_t hnsw_room_bytes(const struct segment *segment)
{
	return marks_bytes(segment) +
	       (2 * POOL_MAX + HNSW_PICK_MAX) * sizeof(uint64_t) +
	       TOUCHED_MAX * sizeof(uint32_t);
}

void hnsw_room_init(struct hnsw_room *room, const struct segment *segment,
		    void *memory)
{
	unsigned char *at = memory;

	room->marks = memory;
	at += marks_bytes(segment);
	room->pool = (uint64_t *)(void *)at;
	at += POOL_MAX * sizeof(uint64_t);
	room->waiting = (uint64_t *)(void *)at;
	at += POOL_MAX * sizeof(uint64_t);
	room->picked = (uint64_t *)(void *)at;
	at += HNSW_PICK_MAX * sizeof(uint64_t);
	room->touched = (uint32_t *)(void *)at;
	room->touched_count = 0;
	room->pool_count = 0;
	room->sieve_early = 0;
}

static void room_note(struct hnsw_room *room, const uint32_t *rows,
		      size_t count)
{
	if (room->touched_count + count <= TOUCHED_MAX)
		memcpy(room->touched + room->touched_count, rows,
		       count * sizeof *rows);
	room->touched_count += (uint32_t)count;
}

int hnsw_room_first(struct hnsw_room *room, uint32_t row)
{
	uint32_t marked = row;
	size_t fresh = kernel_mark(room->marks, &marked, 1);

	room_note(room, &row, fresh);
	return fresh != 0;
}

void hnsw_room_clear(struct hnsw_room *room, const struct segment *segment)
{
	if (room->touched_count > TOUCHED_MAX)
		memset(room->marks, 0,
		       (bank_count(segment) / 64 + 1) * sizeof(uint64_t));
	else
		for (uint32_t i = 0; i < room->touched_count; i++)
			room->marks[room->touched[i] / 64] = 0;
	room->touched_count = 0;
}

/* ---- the pool ----------------------------------------------------------- */

/* Distances in an order of integers; what is none comes last. */
static uint32_t order_of(float distance)
{
	uint32_t bits;

	if (!(distance <= FLT_MAX))
		distance = FLT_MAX;
	memcpy(&bits, &distance, sizeof bits);
	return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

float hnsw_distance_of(uint64_t entry)
{
	uint32_t order = (uint32_t)(entry >> 32);
	uint32_t bits = order & 0x80000000 ? order & 0x7fffffff : ~order;
	float distance;

	memcpy(&distance, &bits, sizeof distance);
	return distance;
}

struct pool {
	uint64_t *entries;
	uint32_t count;
	uint32_t passing; /* of them */
	uint32_t ef;
	uint32_t next;	/* all before it were followed */
	uint32_t quiet; /* nodes followed since the nearest changed */
	uint32_t bound; /* an order from which on nothing is wanted */
};

/* What the room has. */
static struct pool pool_open(const struct hnsw_search *search)
{
	struct pool pool = {.entries = search->room->pool,
			    .count = search->room->pool_count,
			    .ef = search->ef,
			    .bound = UINT32_MAX};

	for (uint32_t i = 0; i < pool.count; i++)
		pool.passing += !(pool.entries[i] & PASSED_BY);
	return pool;
}

/* Drops what is beyond the ef-th that passes. */
static void pool_trim(struct pool *pool)
{
	if (pool->passing > pool->ef) {
		while (pool->entries[--pool->count] & PASSED_BY)
			;
		pool->passing--;
	}
	if (pool->count == POOL_MAX)
		pool->passing -= !(pool->entries[--pool->count] & PASSED_BY);
	if (pool->passing == pool->ef) {
		while (pool->entries[pool->count - 1] & PASSED_BY)
			pool->count--;
		pool->bound = (uint32_t)(pool->entries[pool->count - 1] >> 32);
	}
}

static void pool_put(struct pool *pool, uint64_t entry)
{
	uint64_t *at = pool->entries;
	uint32_t left = pool->count;
	uint32_t place;

	/* without a branch that could be mistaken, and few waits */
	while (left > 3) {
		uint32_t part = left / 4;

		at += part *
		      ((uint32_t)(at[part - 1] < entry) +
		       (at[2 * part - 1] < entry) + (at[3 * part - 1] < entry));
		left -= 3 * part;
	}
	for (place = 0; left-- > 0;)
		place += at[left] < entry;
	at += place;
	place = (uint32_t)(at - pool->entries);
	memmove(at + 1, at, (pool->count - place) * sizeof *at);
	*at = entry;
	pool->count++;
	pool->passing += !(entry & PASSED_BY);
	if (place < pool->next)
		pool->next = place;
	if (place < NEAREST)
		pool->quiet = 0;
	pool_trim(pool);
}

/* ---- one level ---------------------------------------------------------- */

int hnsw_sieve_passes(const struct hnsw_sieve *sieve,
		      const struct bank_line *line)
{
	/* relaxed: who takes the row for an answer asks again */
	uint64_t born = atomic_load_explicit(&line->born, memory_order_relaxed);
	uint64_t died = atomic_load_explicit(&line->died, memory_order_relaxed);
	uint64_t signature =
	    atomic_load_explicit(&line->signature, memory_order_relaxed);
	uint32_t entity =
	    atomic_load_explicit(&line->entity, memory_order_relaxed);

	if (born > sieve->snapshot || sieve->snapshot >= died ||
	    (signature & sieve->all) != sieve->all ||
	    (sieve->any && !(signature & sieve->any)))
		return 0;
	if (sieve->type &&
	    atomic_load_explicit(&line->type, memory_order_relaxed) !=
		sieve->type)
		return 0;
	if (sieve->entities &&
	    (entity >= sieve->entity_end ||
	     !(sieve->entities[entity / 64] >> (entity & 63) & 1)))
		return 0;
	return !sieve->passes || sieve->passes(sieve->user, entity);
}

static int row_passes(const struct ground *ground,
		      const struct hnsw_search *search, uint32_t row)
{
	const void *line = ground->lines + row * ground->line_bytes;

	return !search->sieve || search->sieves_later ||
	       hnsw_sieve_passes(search->sieve, line);
}

static uint64_t entry_make(const struct ground *ground,
			   const struct hnsw_search *search, uint32_t row,
			   uint32_t order)
{
	int passes = row_passes(ground, search, row);

	return (uint64_t)order << 32 | row << ENTRY_ROW_SHIFT |
	       (passes ? 0 : PASSED_BY);
}

/* What gets into the pool is likely to be followed soon. */
PREFETCHES links_ahead(const struct ground *ground, uint32_t row)
{
	const unsigned char *at =
	    ground->links + (size_t)row * HNSW_LINKS * sizeof(uint32_t);

	__builtin_prefetch(at);
	__builtin_prefetch(at + 64);
}

/* Of the rows that the pool may take: nibbles lie elsewhere. */
PREFETCHES headers_ahead(const struct ground *ground, const struct pool *pool,
			 const uint32_t *rows, const float *distances,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (order_of(distances[i]) < pool->bound)
			__builtin_prefetch(ground->lines +
					   rows[i] * ground->line_bytes);
}

static void rows_weigh(const struct ground *ground, struct hnsw_search *search,
		       struct pool *pool, const uint32_t *rows, size_t count)
{
	float distances[HNSW_LINKS];

	search->evaluated += (uint32_t)count;
	ground->gather(search->query, ground->rows, ground->stride, rows, count,
		       distances);
	if (search->by_nibbles && search->sieve && !search->sieves_later)
		headers_ahead(ground, pool, rows, distances, count);
	for (size_t i = 0; i < count; i++) {
		uint32_t order = order_of(distances[i]);

		if (order >= pool->bound)
			continue;
		links_ahead(ground, rows[i]);
		pool_put(pool, entry_make(ground, search, rows[i], order));
	}
}

/* The rows on a list that were not seen yet; they are now. */
static size_t rows_see(const struct ground *ground, struct hnsw_search *search,
		       const _Atomic uint32_t *links, uint32_t max,
		       uint32_t rows[HNSW_LINKS + 16])
{
	size_t count = ground->segment->kernel->unmarked(
	    links, max, ground->limit, search->room->marks, rows);

	room_note(search->room, rows, count);
	return count;
}

/* Those of the rows that pass, to the front; the rest behind them. */
static size_t rows_part(const struct ground *ground,
			const struct hnsw_search *search, uint32_t *rows,
			size_t count)
{
	size_t passing = 0;

	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(ground->lines +
				   rows[i] * ground->line_bytes);
	for (size_t i = 0; i < count; i++) {
		uint32_t row = rows[i];

		if (!row_passes(ground, search, row))
			continue;
		rows[i] = rows[passing];
		rows[passing++] = row;
	}
	return passing;
}

/*
 * Looks past the neighbours that do not pass, to those of theirs that do.
 * While too few were found the others are followed as well: what passes may
 * lie far from the query.
 */
static void rows_across(const struct ground *ground, struct hnsw_search *search,
			struct pool *pool, uint32_t *rows, size_t count)
{
	size_t passing = rows_part(ground, search, rows, count);

	for (size_t i = passing; i < count; i++)
		links_ahead(ground, rows[i]);
	rows_weigh(ground, search, pool, rows,
		   pool->passing < pool->ef ? count : passing);
	for (size_t i = passing; i < count; i++) {
		uint32_t next[HNSW_LINKS + 16];
		size_t found = rows_see(ground, search,
					hnsw_links(ground->segment, rows[i], 0),
					HNSW_LINKS, next);

		rows_weigh(ground, search, pool, next,
			   rows_part(ground, search, next, found));
	}
}

/* Notes what is nearest, if somebody wants to know; else returns 0. */
static int note_make(const struct hnsw_search *search, const struct pool *pool)
{
	struct hnsw_note *note = search->note;

	if (!note)
		return 0;
	if (!note->is_made)
		memcpy(note->entries, pool->entries, sizeof note->entries);
	note->is_made = 1;
	return 1;
}

/* Rows to be weighed, which are on their way. */
struct batch {
	uint32_t rows[HNSW_LINKS + 16];
	size_t count;
};

/* The nearest that was not followed yet, and now is; 0: there is none. */
static uint64_t pool_follow(struct pool *pool)
{
	while (pool->next < pool->count) {
		uint64_t *entry = &pool->entries[pool->next++];

		if (!(*entry & FOLLOWED))
			return *entry |= FOLLOWED;
	}
	return 0;
}

/*
 * Has a row fetched into the second cache: there may be many more under way
 * than the first one can wait for.
 */
PREFETCHES row_ahead(const struct ground *ground, uint32_t row)
{
	const unsigned char *at = ground->rows + row * ground->stride;
	size_t lines = ground->stride / CODE_LINE_BYTES;

	for (size_t i = 0; i < lines && i < AHEAD_LINES; i++)
		__builtin_prefetch(at + i * CODE_LINE_BYTES, 0, 2);
}

/* Finds what a node leads to, and has it fetched. */
static void batch_see(const struct ground *ground, struct hnsw_search *search,
		      uint64_t entry, uint32_t level, struct batch *batch)
{
	const _Atomic uint32_t *links =
	    hnsw_links(ground->segment, hnsw_row_of(entry), level);

	search->expanded++;
	batch->count = links ? rows_see(ground, search, links,
					hnsw_links_max(level), batch->rows)
			     : 0;
	for (size_t i = 0; i < batch->count; i++)
		row_ahead(ground, batch->rows[i]);
}

static void level_walk(const struct ground *ground, struct hnsw_search *search,
		       uint32_t level)
{
	struct pool pool = pool_open(search);
	struct batch batches[2] = {{.count = 0}, {.count = 0}};
	uint32_t turn = 0;

	for (;; turn ^= 1) {
		struct batch *coming = &batches[turn];
		struct batch *batch = &batches[turn ^ 1];
		uint64_t entry = pool_follow(&pool);

		coming->count = 0;
		if (!entry && !batch->count)
			break;
		if (entry && search->quiet && ++pool.quiet > search->quiet &&
		    !note_make(search, &pool))
			break;
		if (entry)
			batch_see(ground, search, entry, level, coming);
		if (search->way == HNSW_ACROSS)
			rows_across(ground, search, &pool, batch->rows,
				    batch->count);
		else
			rows_weigh(ground, search, &pool, batch->rows,
				   batch->count);
		if (search->patience && search->evaluated > search->patience) {
			search->gave_up = 1;
			break;
		}
	}
	search->room->pool_count = pool.count;
}

void hnsw_walk_level(const struct segment *segment, struct hnsw_search *search,
		     uint32_t level)
{
	struct ground ground;

	ground_init(&ground, segment, search);
	level_walk(&ground, search, level);
}

/* Leaves the nearest few in the pool, to set out from on another level. */
static void pool_renew(const struct ground *ground, struct hnsw_search *search)
{
	struct hnsw_room *room = search->room;

	hnsw_room_clear(room, ground->segment);
	if (room->pool_count > BEAM)
		room->pool_count = BEAM;
	for (uint32_t i = 0; i < room->pool_count; i++) {
		uint32_t row = hnsw_row_of(room->pool[i]);

		room->pool[i] = entry_make(ground, search, row,
					   (uint32_t)(room->pool[i] >> 32));
		kernel_mark(room->marks, &row, 1);
		room_note(room, &row, 1);
	}
}

void hnsw_pool_renew(const struct segment *segment, struct hnsw_search *search)
{
	struct ground ground;

	ground_init(&ground, segment, search);
	pool_renew(&ground, search);
}

/* ---- from the top ------------------------------------------------------- */

/* The nearest row on a level that a descent without turning back finds. */
static uint32_t level_descend(const struct ground *ground,
			      struct hnsw_search *search, uint32_t row,
			      uint32_t level)
{
	uint32_t rows[HNSW_M + 16];
	float distances[HNSW_M];
	uint32_t nearest;
	uint32_t steps = 0;
	uint32_t before;

	ground->gather(search->query, ground->rows, ground->stride, &row, 1,
		       distances);
	nearest = order_of(distances[0]);
	do {
		const _Atomic uint32_t *links =
		    hnsw_links(ground->segment, row, level);
		size_t count = 0;

		before = nearest;
		for (uint32_t i = 0; links && i < HNSW_M; i++) {
			/* relaxed: a link is a hint */
			rows[count] = atomic_load_explicit(
			    &links[i], memory_order_relaxed);
			count += rows[count] && rows[count] < ground->limit;
		}
		ground->gather(search->query, ground->rows, ground->stride,
			       rows, count, distances);
		search->evaluated += (uint32_t)count;
		for (size_t i = 0; i < count; i++)
			if (order_of(distances[i]) < nearest) {
				nearest = order_of(distances[i]);
				row = rows[i];
			}
	} while (nearest < before && ++steps < STEPS_MAX);
	return row;
}

/*
 * The last step down sees several rows, not only the nearest one: of clusters
 * that have little to do with one another the right one is among them.
 */
static void beam_descend(const struct ground *ground,
			 struct hnsw_search *search, uint32_t row,
			 uint32_t level)
{
	struct hnsw_search beam = {.query = search->query,
				   .room = search->room,
				   .by_nibbles = search->by_nibbles,
				   .ef = BEAM};
	float distance;

	ground->gather(search->query, ground->rows, ground->stride, &row, 1,
		       &distance);
	search->room->pool[0] =
	    entry_make(ground, &beam, row, order_of(distance));
	search->room->pool_count = 1;
	kernel_mark(search->room->marks, &row, 1);
	room_note(search->room, &row, 1);
	if (level)
		level_walk(ground, &beam, level);
	search->evaluated += beam.evaluated;
	pool_renew(ground, search);
}

static int descend(const struct ground *ground, struct hnsw_search *search,
		   uint32_t level)
{
	/* acquire: the entry's node was linked before */
	uint64_t entry = atomic_load_explicit(
	    &ground->segment->header->hnsw.entry, memory_order_acquire);
	uint32_t row = (uint32_t)entry;
	uint32_t top = (uint32_t)(entry >> 32);

	search->room->pool_count = 0;
	if (!row || row >= ground->limit)
		return 0;
	if (top > HNSW_LEVEL_MAX)
		top = HNSW_LEVEL_MAX;
	for (; top > level + 1; top--)
		row = level_descend(ground, search, row, top);
	beam_descend(ground, search, row, top > level ? top : 0);
	return 1;
}

int hnsw_descend(const struct segment *segment, struct hnsw_search *search,
		 uint32_t level)
{
	struct ground ground;

	ground_init(&ground, segment, search);
	return descend(&ground, search, level);
}

void hnsw_weigh(const struct segment *segment, struct hnsw_search *search,
		const uint32_t *rows, uint32_t count)
{
	struct pool pool = pool_open(search);
	struct ground ground;
	uint32_t fresh[HNSW_LINKS];
	size_t found = 0;

	ground_init(&ground, segment, search);
	for (uint32_t i = 0; i < count; i++) {
		fresh[found] = rows[i];
		found += rows[i] && rows[i] < ground.limit &&
			 kernel_mark(search->room->marks, &fresh[found], 1);
		if (found == HNSW_LINKS || i + 1 == count) {
			room_note(search->room, fresh, found);
			rows_weigh(&ground, search, &pool, fresh, found);
			found = 0;
		}
	}
	search->room->pool_count = pool.count;
}

/* ---- the tail ----------------------------------------------------------- */

static uint32_t tail_weigh(const struct ground *ground,
			   struct hnsw_search *search)
{
	struct pool pool = {.entries = search->room->waiting,
			    .ef = search->ef,
			    .bound = UINT32_MAX};
	uint32_t count = hnsw_tail_count(ground->segment);
	uint32_t rows[HNSW_LINKS];
	size_t found = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = hnsw_tail_at(ground->segment, i);

		if (!row) /* past the region: the count is garbage */
			count = i + 1;
		rows[found] = row;
		found += row && row < ground->limit &&
			 !hnsw_is_linked(ground->segment, row) &&
			 kernel_mark(search->room->marks, &row, 1);
		if (found == HNSW_LINKS || i + 1 == count) {
			room_note(search->room, rows, found);
			rows_weigh(ground, search, &pool, rows, found);
			found = 0;
		}
	}
	return pool.count;
}

uint32_t hnsw_tail_weigh(const struct segment *segment,
			 struct hnsw_search *search)
{
	struct ground ground;

	ground_init(&ground, segment, search);
	return tail_weigh(&ground, search);
}

void hnsw_tail_merge(struct hnsw_search *search, uint32_t count)
{
	const uint64_t *waiting = search->room->waiting;
	struct pool pool = pool_open(search);

	for (uint32_t i = 0; i < count; i++)
		if (waiting[i] >> 32 < pool.bound)
			pool_put(&pool, waiting[i]);
	search->room->pool_count = pool.count;
}

/* ---- by nibbles --------------------------------------------------------- */

/* Shell's way: nearly in order as they are, and no memory is needed. */
static void entries_sort(uint64_t *entries, uint32_t count)
{
	static const uint32_t gaps[] = {46340, 15464, 5152, 1717, 572,
					190,   63,    21,   7,	  1};

	for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
		for (uint32_t gap = gaps[g], i = gap; i < count; i++) {
			uint64_t entry = entries[i];
			uint32_t at = i;

			for (; at >= gap && entries[at - gap] > entry;
			     at -= gap)
				entries[at] = entries[at - gap];
			entries[at] = entry;
		}
}

/* Whether all that it asks is that a row lives. */
static int sieve_is_plain(const struct hnsw_sieve *sieve)
{
	return sieve && !sieve->all && !sieve->any && !sieve->entities &&
	       !sieve->type && !sieve->passes;
}

/* An entry of the pool by its row's codes. */
static uint64_t entry_refine(const struct ground *ground,
			     const struct hnsw_search *search, uint64_t entry,
			     float distance)
{
	uint32_t low = (uint32_t)entry;

	if (!row_passes(ground, search, hnsw_row_of(entry)))
		low |= PASSED_BY;
	return (uint64_t)order_of(distance) << 32 | low;
}

/* Sums of pairs: distances by nibbles and by codes, less the first ones. */
struct pairs {
	double x0, y0;
	double x, y, xx, yy, xy;
	uint32_t count;
};

static void pairs_add(struct pairs *pairs, float nibbles, float codes)
{
	double x;
	double y;

	if (!pairs->count++) {
		pairs->x0 = (double)nibbles;
		pairs->y0 = (double)codes;
	}
	x = (double)nibbles - pairs->x0;
	y = (double)codes - pairs->y0;
	pairs->x += x;
	pairs->y += y;
	pairs->xx += x * x;
	pairs->yy += y * y;
	pairs->xy += x * y;
}

/* Whether the ones tell at least half of how the others differ. */
static int pairs_agree(const struct pairs *pairs)
{
	double n = pairs->count;
	double xx = n * pairs->xx - pairs->x * pairs->x;
	double yy = n * pairs->yy - pairs->y * pairs->y;
	double xy = n * pairs->xy - pairs->x * pairs->y;

	return pairs->count < PAIRS_LEAST || yy <= 0 ||
	       (xy > 0 && xy * xy >= 0.5 * xx * yy);
}

static int pool_refine(const struct ground *ground,
		       const struct hnsw_search *search)
{
	uint64_t *entries = search->room->pool;
	uint32_t count = search->room->pool_count;
	struct pairs pairs = {.count = 0};

	for (uint32_t at = 0; at < count; at += HNSW_LINKS) {
		uint32_t rows[HNSW_LINKS];
		float distances[HNSW_LINKS];
		uint32_t some =
		    count - at < HNSW_LINKS ? count - at : HNSW_LINKS;

		for (uint32_t i = 0; i < some; i++)
			rows[i] = hnsw_row_of(entries[at + i]);
		ground->gather(search->query, ground->rows, ground->stride,
			       rows, some, distances);
		for (uint32_t i = 0; i < some; i++) {
			pairs_add(&pairs, hnsw_distance_of(entries[at + i]),
				  distances[i]);
			entries[at + i] = entry_refine(
			    ground, search, entries[at + i], distances[i]);
		}
	}
	entries_sort(entries, count);
	return pairs_agree(&pairs);
}

int hnsw_refine(const struct segment *segment, struct hnsw_search *search)
{
	struct ground ground;

	if (!search->by_nibbles)
		return 1;
	search->by_nibbles = 0;
	search->sieves_later = 0;
	ground_init(&ground, segment, search);
	return pool_refine(&ground, search);
}

/* From the top, without an end by the codes. */
static void walk_down(const struct segment *segment, struct hnsw_search *search)
{
	struct ground ground;
	uint32_t waiting;

	ground_init(&ground, segment, search);
	(void)descend(&ground, search, 0);
	waiting = tail_weigh(&ground, search); /* G1: before the walk */
	level_walk(&ground, search, 0);
	hnsw_tail_merge(search, waiting);
}

static int pool_has_dead(const struct hnsw_search *search)
{
	const struct hnsw_room *room = search->room;

	for (uint32_t i = 0; i < room->pool_count; i++)
		if (!hnsw_passes(room->pool[i]))
			return 1;
	return 0;
}

/*
 * Where distances are by nibbles a row's header lies elsewhere, and most rows
 * live.  So it is not read before the end; if some were dead then, the walk is
 * made once more, and the next ones ask at once.
 * Returns 0 if nibbles do not tell the rows there apart.
 */
static int nibbles_walk(const struct segment *segment,
			struct hnsw_search *search)
{
	struct hnsw_room *room = search->room;
	int later = sieve_is_plain(search->sieve) && !room->sieve_early;
	int told;

	room->sieve_early -= room->sieve_early != 0;
	search->by_nibbles = 1;
	search->sieves_later = later;
	walk_down(segment, search);
	told = hnsw_refine(segment, search);
	if (!told || !later || !pool_has_dead(search))
		return told;
	room->sieve_early = SIEVE_EARLY;
	hnsw_room_clear(room, segment);
	search->by_nibbles = 1;
	walk_down(segment, search);
	return hnsw_refine(segment, search);
}

void hnsw_walk(const struct segment *segment, struct hnsw_search *search)
{
	if (hnsw_by_nibbles(segment)) {
		if (nibbles_walk(segment, search))
			return;
		hnsw_room_clear(search->room, segment);
	}
	walk_down(segment, search);
}
