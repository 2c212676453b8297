/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the whole graph: its invariants, and what the entry leads to.
 */
#include "hnsw.h"
#include "segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MEND_ROUNDS = 8 };

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

/* Marks what is reached from the entry on the lowest level; a bit a row. */
static void reach(const struct look *look, uint64_t *seen, uint32_t *stack)
{
	uint32_t entry = (uint32_t)atomic_load_explicit(
	    &look->segment->header->hnsw.entry, memory_order_acquire);
	uint32_t depth = 0;

	if (entry && entry < look->limit) {
		seen[entry / 64] |= UINT64_C(1) << (entry & 63);
		stack[depth++] = entry;
	}
	while (depth) {
		uint32_t rows[HNSW_LINKS];
		uint32_t max =
		    list_copy(look->segment, stack[--depth], 0, rows);

		for (uint32_t i = 0; i < max; i++) {
			uint32_t to = rows[i];
			uint64_t bit = UINT64_C(1) << (to & 63);

			if (!to || to >= look->limit || seen[to / 64] & bit)
				continue;
			seen[to / 64] |= bit;
			stack[depth++] = to;
		}
	}
}

static int reach_make(const struct look *look, uint64_t **seen)
{
	uint32_t *stack = malloc((look->limit + 1) * sizeof *stack);

	*seen = calloc(look->limit / 64 + 1, sizeof **seen);
	if (stack && *seen)
		reach(look, *seen, stack);
	free(stack);
	return stack && *seen ? 0 : ENOMEM;
}

static int is_seen(const uint64_t *seen, uint32_t row)
{
	return (int)(seen[row / 64] >> (row & 63) & 1);
}

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
	uint64_t *seen = NULL;
	int err;

	memset(out, 0, sizeof *out);
	err = reach_make(&look, &seen);
	for (uint32_t row = 1; !err && row < look.limit; row++) {
		uint32_t level = hnsw_level(row);

		if (!hnsw_is_linked(segment, row))
			continue;
		out->linked++;
		out->upper += level > 0;
		out->unreachable += !is_seen(seen, row);
		for (uint32_t i = 0; i <= level; i++)
			list_look(&look, row, i);
	}
	free(seen);
	if (err)
		return err;
	return out->broken || out->one_way || !entry_holds(&look) ||
		       out->linked != hnsw_linked(segment)
		   ? EBADMSG
		   : 0;
}

/* Once through; what is linked anew may push others out. */
static uint64_t mend_round(struct segment *segment, struct hnsw_room *room)
{
	struct look look = {segment, NULL, hnsw_limit(segment)};
	uint64_t *seen = NULL;
	uint64_t count = 0;

	if (!reach_make(&look, &seen))
		for (uint32_t row = 1; row < look.limit; row++) {
			if (!hnsw_is_linked(segment, row) || is_seen(seen, row))
				continue;
			/* visible all the while: it waits, then it is linked */
			if (hnsw_await(segment, row))
				break;
			hnsw_unlink(segment, row);
			(void)hnsw_link_next(segment, room);
			count++;
		}
	free(seen);
	return count;
}

uint64_t hnsw_mend(struct segment *segment, struct hnsw_room *room)
{
	uint64_t count = 0;
	uint64_t mended = 1;

	for (int i = 0; i < MEND_ROUNDS && mended; i++) {
		mended = mend_round(segment, room);
		count += mended;
	}
	return count;
}
