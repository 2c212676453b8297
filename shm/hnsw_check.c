/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the whole graph: its invariants, and what the entry leads to.
 */
#include "hnsw.h"
#include "segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct look {
	const struct segment *segment;
	struct hnsw_figures *figures;
	uint32_t limit;
};

/* Copies a list as it is, with what is wrong in it; zeros if there is none. */
static uint32_t list_copy(const struct segment *segment, uint32_t row,
			  uint32_t level, uint32_t out[HNSW_LINKS])
{
	_Atomic uint32_t *links = hnsw_links(segment, row, level);
	uint32_t max = hnsw_links_max(level);

	for (uint32_t i = 0; i < max; i++)
		out[i] = links ? atomic_load_explicit(&links[i],
						      memory_order_relaxed)
			       : 0;
	return max;
}

static int links_to(const struct segment *segment, uint32_t row, uint32_t level,
		    uint32_t wanted)
{
	uint32_t rows[HNSW_LINKS];
	uint32_t max = list_copy(segment, row, level, rows);
	uint32_t i = 0;

	while (i < max && rows[i] != wanted)
		i++;
	return i < max;
}

static void list_look(const struct look *look, uint32_t row, uint32_t level)
{
	const struct segment *segment = look->segment;
	struct hnsw_figures *figures = look->figures;
	uint32_t rows[HNSW_LINKS];
	uint32_t max = list_copy(segment, row, level, rows);
	uint32_t degree = 0;
	int has_ended = 0;

	for (uint32_t i = 0; i < max; i++) {
		uint32_t to = rows[i];
		int is_broken = to && has_ended;

		has_ended |= !to;
		if (!to)
			continue;
		degree++;
		is_broken |= to == row || to >= look->limit ||
			     !hnsw_is_linked(segment, to) ||
			     hnsw_level(to) < level;
		for (uint32_t j = 0; j < i; j++)
			is_broken |= rows[j] == to;
		figures->broken += (uint64_t)is_broken;
		figures->one_way +=
		    !is_broken && !links_to(segment, to, level, row);
	}
	if (!level) {
		figures->links += degree;
		figures->degrees[degree]++;
	}
}

/* ---- what the entry leads to -------------------------------------------- */

static int is_seen(const struct hnsw_audit *audit, uint32_t row)
{
	return (int)(audit->seen[row / 64] >> (row & 63) & 1);
}

/* Marks a row, whose links are to be followed. */
static void see(struct hnsw_audit *audit, uint32_t row)
{
	if (!row || row >= audit->limit || is_seen(audit, row))
		return;
	audit->seen[row / 64] |= UINT64_C(1) << (row & 63);
	audit->stack[audit->depth++] = row;
}

static uint32_t entry_row(const struct segment *segment)
{
	/* acquire: its links */
	return (uint32_t)atomic_load_explicit(&segment->header->hnsw.entry,
					      memory_order_acquire);
}

int hnsw_audit_begin(struct hnsw_audit *audit, const struct segment *segment)
{
	uint32_t limit = hnsw_limit(segment);

	*audit = (struct hnsw_audit){.limit = limit, .next = 1};
	audit->stack = malloc((limit + 1) * sizeof *audit->stack);
	audit->seen = calloc(limit / 64 + 1, sizeof *audit->seen);
	if (!audit->stack || !audit->seen)
		return ENOMEM;
	see(audit, entry_row(segment));
	return 0;
}

void hnsw_audit_end(struct hnsw_audit *audit)
{
	free(audit->seen);
	free(audit->stack);
}

int hnsw_audit_look(struct hnsw_audit *audit, const struct segment *segment,
		    uint32_t steps)
{
	for (; audit->depth && steps; steps--) {
		uint32_t row = audit->stack[--audit->depth];
		uint32_t rows[HNSW_LINKS];
		uint32_t max = list_copy(segment, row, 0, rows);

		for (uint32_t i = 0; i < max; i++)
			see(audit, rows[i]);
	}
	return audit->depth > 0;
}

/* All that the entry leads to.  0 or ENOMEM; to be ended in any case. */
static int audit_whole(struct hnsw_audit *audit, const struct segment *segment)
{
	int err = hnsw_audit_begin(audit, segment);

	if (!err)
		(void)hnsw_audit_look(audit, segment, UINT32_MAX);
	return err;
}

/* ---- who is like one that is reached ------------------------------------ */

/* Of its code and norm, by which a walk knows it. */
static uint64_t code_hash(const struct segment *segment, uint32_t row)
{
	const struct bank_line *line = bank_line_at(segment, row);
	float norm = bank_peek(line).norm;
	uint64_t seed = 0;

	memcpy(&seed, &norm, sizeof norm);
	return XXH3_64bits_withSeed(
	    line->codes, segment->bank.line_bytes - sizeof *line, seed);
}

static int hash_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Counts those not reached that have a reached one's code.  0 or ENOMEM. */
static int alike_count(const struct hnsw_audit *audit,
		       const struct segment *segment, uint64_t *alike)
{
	uint64_t *reached = malloc((audit->limit + 1) * sizeof *reached);
	size_t count = 0;

	if (!reached)
		return ENOMEM;
	for (uint32_t row = 1; row < audit->limit; row++)
		if (is_seen(audit, row) && hnsw_is_linked(segment, row))
			reached[count++] = code_hash(segment, row);
	qsort(reached, count, sizeof *reached, hash_order);
	for (uint32_t row = 1; row < audit->limit; row++) {
		uint64_t hash;

		if (is_seen(audit, row) || !hnsw_is_linked(segment, row))
			continue;
		hash = code_hash(segment, row);
		*alike += bsearch(&hash, reached, count, sizeof hash,
				  hash_order) != NULL;
	}
	free(reached);
	return 0;
}

/* ---- what holds --------------------------------------------------------- */

/* The entry is a node, and none is taller. */
static int entry_holds(const struct look *look)
{
	uint64_t entry = atomic_load_explicit(
	    &look->segment->header->hnsw.entry, memory_order_acquire);
	uint32_t row = (uint32_t)entry;

	if (!look->figures->linked)
		return !entry;
	if (!hnsw_is_linked(look->segment, row) ||
	    hnsw_level(row) != entry >> 32)
		return 0;
	for (uint32_t other = 1; other < look->limit; other++)
		if (hnsw_is_linked(look->segment, other) &&
		    hnsw_level(other) > entry >> 32)
			return 0;
	return 1;
}

int hnsw_validate(const struct segment *segment, struct hnsw_figures *out)
{
	struct look look = {segment, out, hnsw_limit(segment)};
	struct hnsw_audit audit;
	int err;

	memset(out, 0, sizeof *out);
	err = audit_whole(&audit, segment);
	for (uint32_t row = 1; !err && row < look.limit; row++) {
		uint32_t level = hnsw_level(row);

		if (!hnsw_is_linked(segment, row))
			continue;
		out->linked++;
		out->upper += level > 0;
		out->unreachable += !is_seen(&audit, row);
		for (uint32_t i = 0; i <= level; i++)
			list_look(&look, row, i);
	}
	if (!err && out->unreachable)
		err = alike_count(&audit, segment, &out->alike);
	hnsw_audit_end(&audit);
	if (err)
		return err;
	return out->broken || out->one_way || !entry_holds(&look) ||
		       out->linked != hnsw_linked(segment)
		   ? EBADMSG
		   : 0;
}

/* ---- mending ------------------------------------------------------------ */

/* The nearest of the rows that the entry leads to on the lowest level. */
static uint32_t reached_near(const struct segment *segment,
			     struct hnsw_room *room, uint32_t row)
{
	const struct bank_shape *bank = &segment->bank;
	_Alignas(64) struct query_code query;
	struct hnsw_search search = {
	    .query = &query, .room = room, .ef = HNSW_EF_BUILD};
	uint32_t entry = entry_row(segment);
	uint32_t near;

	query_from_row(bank->codes, bank->metric, bank->coded,
		       (const void *)bank_line_at(segment, row), &query);
	room->pool_count = 0;
	hnsw_weigh(segment, &search, &entry, 1);
	hnsw_walk_level(segment, &search, 0);
	near = room->pool_count ? hnsw_row_of(room->pool[0]) : 0;
	hnsw_room_clear(room, segment);
	return near;
}

/* Linked to a row that was reached, as if it was linked since. */
static int is_within(const struct hnsw_audit *audit,
		     const struct segment *segment, uint32_t row)
{
	uint32_t rows[HNSW_LINKS];
	uint32_t max = list_copy(segment, row, 0, rows);
	uint32_t i = 0;

	while (i < max &&
	       !(rows[i] && rows[i] < audit->limit && is_seen(audit, rows[i]) &&
		 links_to(segment, rows[i], 0, row)))
		i++;
	return i < max;
}

/*
 * A row that nothing leads to is linked anew; its nearest may be as
 * unreachable, all of a cluster, so it is tied to one that is not.  With it the
 * others of the cluster are reached, too.
 */
int hnsw_audit_mend(struct hnsw_audit *audit, struct segment *segment,
		    struct hnsw_room *room)
{
	for (; audit->next < audit->limit; audit->next++) {
		uint32_t row = audit->next;
		uint32_t near;

		if (!hnsw_is_linked(segment, row) || is_seen(audit, row))
			continue;
		if (is_within(audit, segment, row)) {
			see(audit, row);
			continue;
		}
		near = reached_near(segment, room, row);
		/* visible all the while: it waits, then it is linked */
		if (hnsw_await(segment, row))
			return 0;
		hnsw_unlink(segment, row);
		hnsw_link_across(segment, room, near);
		see(audit, row);
		return 1;
	}
	return 0;
}

static uint64_t mend_round(struct segment *segment, struct hnsw_room *room)
{
	struct hnsw_audit audit;
	uint64_t count = 0;

	if (!audit_whole(&audit, segment))
		while (hnsw_audit_mend(&audit, segment, room)) {
			count++;
			(void)hnsw_audit_look(&audit, segment, UINT32_MAX);
		}
	hnsw_audit_end(&audit);
	return count;
}

uint64_t hnsw_mend(struct segment *segment, struct hnsw_room *room)
{
	uint64_t count = 0;
	uint64_t mended = 1;

	for (int i = 0; i < HNSW_AUDITS && mended; i++) {
		mended = mend_round(segment, room);
		count += mended;
	}
	return count;
}
