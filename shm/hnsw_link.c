/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the vector graph.
 *
 * idea
 *	A new node chooses up to M of the nearest that are not occluded: c is
 *	occluded by a chosen s that is as near to c as the node is.  If they
 *	are fewer, the nearest of the rest fill up.  Each chosen one links
 *	back.  If its list is full it gives up the farthest link that it would
 *	not choose by the same rule, unless that would leave a node with too
 *	few; and that link's other end gives it up, too.
 *
 *	Where that was found to lose nothing (hnsw_judge.c) the search for
 *	neighbours ends when the nearest have not changed for a while, and
 *	chooses among fewer: half of what a new node costs.
 *
 *	When a node goes, each of its neighbours gets at most one link to the
 *	nearest other of them that nothing in its list occludes, and more only
 *	while it has very few.
 *
 *	Clusters far from one another may come apart, since a node's nearest
 *	are all its own.  The audit ties one node of each part to the nearest
 *	that the entry leads to.
 *
 * order
 *	The node's own list is written whole, then each neighbour's; from the
 *	lowest level up, so that whoever descends to a node can go on from it.
 *	A node that goes is taken from the upper levels first, and keeps its
 *	own lists: who stands on it can go on.
 *
 *	With several threads each change of two or three lists is made with
 *	the locks of all of them, in the order of their numbers.
 */
#include "hnsw.h"
#include "segment.h"
#include "kernel.h"
#include "point.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOCK_BITS = 14,
	BULK_SHARE = 8,	 /* of the nodes: for so many the tree is built anew */
	DEGREE_MIN = 8,	 /* of a node that may lose a link, lowest level */
	VICTIM_NEAR = 8, /* rows among which occluders are chosen */
	QUIET = 20,	 /* nodes, and then an early end: see the essay */
	CANDIDATES = 80,
	EF_UPPER = 100, /* these levels but lead to the lowest */
	DOING_LINK = 1,
	DOING_UNLINK = 2,
	DOING_ALL = 3,
	DOING_SHIFT = 2
};

/* Who changes the graph. */
struct pen {
	struct segment *segment;
	struct hnsw_room *room;
	_Atomic unsigned char *locks; /* NULL: nobody else does */
	uint32_t across; /* a node that a new one is tied to, 0: none */
};

typedef _Atomic uint32_t *links_at;

/* ---- lists: relaxed throughout, a link is a hint ------------------------- */

static uint32_t link_get(links_at links, uint32_t i)
{
	return atomic_load_explicit(&links[i], memory_order_relaxed);
}

static void link_set(links_at links, uint32_t i, uint32_t row)
{
	atomic_store_explicit(&links[i], row, memory_order_relaxed);
}

static uint32_t list_count(links_at links, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && link_get(links, count))
		count++;
	return count;
}

/* Where a row is in a list; `count` if it is not. */
static uint32_t list_find(links_at links, uint32_t count, uint32_t row)
{
	uint32_t i = 0;

	while (i < count && link_get(links, i) != row)
		i++;
	return i;
}

static void list_remove(links_at links, uint32_t max, uint32_t row)
{
	uint32_t count = list_count(links, max);
	uint32_t at = list_find(links, count, row);

	if (at == count)
		return;
	link_set(links, at, link_get(links, count - 1));
	link_set(links, count - 1, 0);
}

/* Copies a list out; what cannot be a row is left out. */
static uint32_t list_get(const struct segment *segment, uint32_t row,
			 uint32_t level, uint32_t *out)
{
	links_at links = hnsw_links(segment, row, level);
	uint32_t limit = hnsw_limit(segment);
	uint32_t max = hnsw_links_max(level);
	uint32_t count = 0;

	for (uint32_t i = 0; links && i < max; i++) {
		out[count] = link_get(links, i);
		count += out[count] && out[count] < limit && out[count] != row;
	}
	return count;
}

static uint32_t degree_of(const struct segment *segment, uint32_t row,
			  uint32_t level)
{
	links_at links = hnsw_links(segment, row, level);

	return links ? list_count(links, hnsw_links_max(level)) : 0;
}

/* Takes `row` out of the list of `from`. */
static void cut(const struct segment *segment, uint32_t from, uint32_t row,
		uint32_t level)
{
	links_at links = hnsw_links(segment, from, level);

	if (links)
		list_remove(links, hnsw_links_max(level), row);
}

static uint32_t degree_min(uint32_t level)
{
	return level ? DEGREE_MIN / 2 : DEGREE_MIN;
}

/* ---- distances ---------------------------------------------------------- */

static const unsigned char *line_of(const struct segment *segment, uint32_t row)
{
	return (const void *)bank_line_at(segment, row);
}

/*
 * From a row to others.  They are read at once: a processor that waits for
 * one row asks for the next ones meanwhile.
 */
static void distances_get(const struct segment *segment, uint32_t row,
			  const uint32_t *rows, uint32_t count,
			  float *distances)
{
	const struct bank_shape *bank = &segment->bank;
	_Alignas(64) struct query_code query;

	query_from_row(bank->codes, bank->metric, bank->coded,
		       line_of(segment, row), &query);
	segment->kernel->codes[bank->codes].gather(&query, line_of(segment, 0),
						   bank->line_bytes, rows,
						   count, distances);
}

/* Of two rows; lines: those of all rows. */
static float between(const struct segment *segment, const unsigned char *lines,
		     uint32_t a, uint32_t b)
{
	const struct bank_shape *bank = &segment->bank;
	size_t bytes = bank->line_bytes;

	return segment->kernel->codes[bank->codes].between(
	    bank->metric, bank->coded, lines + a * bytes, lines + b * bytes);
}

/* Whether one of the rows is nearer to `row` than `distance`. */
static int is_occluded(const struct segment *segment, uint32_t row,
		       float distance, const uint32_t *rows, uint32_t count)
{
	const unsigned char *lines = line_of(segment, 0);

	for (uint32_t i = 0; i < count; i++)
		if (rows[i] != row &&
		    between(segment, lines, row, rows[i]) < distance)
			return 1;
	return 0;
}

/* Whether a row has the codes of one of the others. */
static int is_copy(const struct segment *segment, uint32_t row,
		   const uint32_t *rows, uint32_t count)
{
	size_t bytes = segment->bank.line_bytes - ROW_CODES_OFFSET;

	for (uint32_t i = 0; i < count; i++)
		if (!memcmp(line_of(segment, row) + ROW_CODES_OFFSET,
			    line_of(segment, rows[i]) + ROW_CODES_OFFSET,
			    bytes))
			return 1;
	return 0;
}

struct near {
	float distance;
	uint32_t row;
};

static int is_nearer(const struct near *x, const struct near *y)
{
	return x->distance < y->distance ||
	       (x->distance == y->distance && x->row < y->row);
}

/* A list's worth: by insertion. */
static void near_sort(struct near *near, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		struct near one = near[i];
		uint32_t at = i;

		for (; at && is_nearer(&one, &near[at - 1]); at--)
			near[at] = near[at - 1];
		near[at] = one;
	}
}

/* ---- locks -------------------------------------------------------------- */

static uint32_t lock_of(uint32_t row)
{
	return row * UINT32_C(2654435761) >> (32 - LOCK_BITS);
}

static void lock_one(const struct pen *pen, uint32_t lock)
{
	uint32_t spins = 0;

	while (atomic_exchange_explicit(&pen->locks[lock], 1,
					memory_order_acquire))
		if (++spins % 64 == 0)
			sched_yield();
}

/* Takes the locks of three rows, each once; 0 is none. */
static void locks_take(const struct pen *pen, const uint32_t rows[3],
		       uint32_t taken[3])
{
	uint32_t count = 0;

	for (uint32_t i = 0; pen->locks && i < 3; i++) {
		uint32_t lock = lock_of(rows[i]) + 1;
		uint32_t at = count;

		if (!rows[i] || (count && taken[0] == lock) ||
		    (count > 1 && taken[1] == lock))
			continue;
		for (; at && taken[at - 1] > lock; at--)
			taken[at] = taken[at - 1];
		taken[at] = lock;
		count++;
	}
	for (uint32_t i = 0; i < count; i++)
		lock_one(pen, taken[i] - 1);
	for (uint32_t i = count; i < 3; i++)
		taken[i] = 0;
}

static void locks_give(const struct pen *pen, const uint32_t taken[3])
{
	for (uint32_t i = 0; pen->locks && i < 3; i++)
		if (taken[i])
			atomic_store_explicit(&pen->locks[taken[i] - 1], 0,
					      memory_order_release);
}

/* ---- what is under way -------------------------------------------------- */

static void doing_begin(const struct pen *pen, uint32_t row, uint64_t what)
{
	struct hnsw *hnsw = &pen->segment->header->hnsw;

	if (pen->locks)
		return;
	atomic_store_explicit(&hnsw->beside, 0, memory_order_relaxed);
	/* before any list is changed */
	atomic_store_explicit(&hnsw->doing, (uint64_t)row << DOING_SHIFT | what,
			      memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

static void doing_beside(const struct pen *pen, uint32_t row)
{
	if (!pen->locks)
		atomic_store_explicit(&pen->segment->header->hnsw.beside, row,
				      memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

static void doing_end(const struct pen *pen)
{
	if (!pen->locks)
		atomic_store_explicit(&pen->segment->header->hnsw.doing, 0,
				      memory_order_release);
}

/* ---- linking back ------------------------------------------------------- */

/* Whether a row may lose a link; a new one, too, that has asked for many. */
static int may_lose(const struct segment *segment, uint32_t row, uint32_t level)
{
	return degree_of(segment, row, level) > degree_min(level);
}

/*
 * Of rows, nearest first, the farthest that may go and is occluded by one of
 * those the node would choose first; else one that is a copy of these; else
 * the farthest that may go.  So a node amid many that are alike gives one of
 * these up, not its only link out.
 */
static uint32_t victim_choose(const struct segment *segment, uint32_t fresh,
			      uint32_t level, const struct near *near,
			      uint32_t count)
{
	uint32_t chosen[VICTIM_NEAR];
	uint32_t chosen_count = 0;
	uint32_t spare = 0;
	uint32_t copy = 0;

	for (uint32_t i = 0; i < VICTIM_NEAR && i < count; i++)
		if (!is_occluded(segment, near[i].row, near[i].distance, chosen,
				 chosen_count) &&
		    !is_copy(segment, near[i].row, chosen, chosen_count))
			chosen[chosen_count++] = near[i].row;
	for (uint32_t i = count; i-- > 1;) {
		uint32_t row = near[i].row;

		if (!may_lose(segment, row, level))
			continue;
		if (is_occluded(segment, row, near[i].distance, chosen,
				chosen_count))
			return row;
		if (!copy &&
		    near[i].distance <= near[VICTIM_NEAR - 1].distance &&
		    is_copy(segment, row, chosen, chosen_count))
			copy = row;
		if (!spare)
			spare = row;
	}
	if (copy)
		return copy;
	return spare ? spare : fresh;
}

/*
 * Which link a full node gives up for `fresh`: a neighbour, `fresh` itself,
 * or 0 if its list is not full.
 */
static uint32_t victim_of(const struct pen *pen, uint32_t node, uint32_t fresh,
			  uint32_t level)
{
	const struct segment *segment = pen->segment;
	struct near near[HNSW_LINKS + 1];
	uint32_t rows[HNSW_LINKS + 1];
	float distances[HNSW_LINKS + 1];
	uint32_t count = list_get(segment, node, level, rows);

	if (count < hnsw_links_max(level))
		return 0;
	if (node != pen->across) /* which has to give up another one */
		rows[count++] = fresh;
	distances_get(segment, node, rows, count, distances);
	for (uint32_t i = 0; i < count; i++)
		near[i] = (struct near){distances[i], rows[i]};
	near_sort(near, count);
	return victim_choose(segment, fresh, level, near, count);
}

/*
 * Has `node` link back to `fresh`, which lists it; if it will not, takes it
 * out of that list.
 */
static void link_back(const struct pen *pen, uint32_t fresh, uint32_t node,
		      uint32_t level)
{
	const struct segment *segment = pen->segment;
	uint32_t max = hnsw_links_max(level);
	uint32_t victim = victim_of(pen, node, fresh, level);
	uint32_t rows[3] = {fresh, node, victim};
	links_at mine = hnsw_links(segment, fresh, level);
	links_at other = hnsw_links(segment, node, level);
	uint32_t taken[3];
	uint32_t mine_count;
	uint32_t count;

	locks_take(pen, rows, taken);
	count = list_count(other, max);
	mine_count = list_count(mine, max);
	if (list_find(mine, mine_count, node) == mine_count ||
	    list_find(other, count, fresh) < count)
		goto out;
	doing_beside(pen, node);
	if (count < max) {
		link_set(other, count, fresh);
		point("hnsw-linked-back");
	} else if (victim && victim != fresh &&
		   list_find(other, count, victim) < count) {
		cut(segment, victim, node, level);
		point("hnsw-cut");
		link_set(other, list_find(other, count, victim), fresh);
		point("hnsw-replaced");
	} else {
		list_remove(mine, max, node);
	}
out:
	locks_give(pen, taken);
}

/* ---- a new node --------------------------------------------------------- */

/*
 * Fills up with rows that are occluded, nearest first.  Of many that are as
 * near, copies of one vector, each new row takes others, or all would want the
 * same ones.
 */
static uint32_t neighbours_fill(const struct hnsw_room *room,
				const uint32_t *rest, uint32_t rest_count,
				uint32_t row, uint32_t *chosen, uint32_t count)
{
	uint32_t ties = 0;
	uint32_t first;

	while (ties < rest_count &&
	       room->pool[rest[ties]] >> 32 == room->pool[rest[0]] >> 32)
		ties++;
	first = ties > HNSW_M ? row * UINT32_C(2654435761) % ties : 0;
	for (uint32_t i = 0; i < rest_count && count < HNSW_M; i++)
		chosen[count++] = hnsw_row_of(
		    room->pool[rest[i < ties ? (first + i) % ties : i]]);
	return count;
}

/* Chooses from the pool, nearest first. */
static uint32_t neighbours_choose(const struct pen *pen, uint32_t row,
				  uint32_t *chosen)
{
	const struct hnsw_room *room = pen->room;
	uint32_t rest[HNSW_EF_BUILD];
	uint32_t rest_count = 0;
	uint32_t count = 0;

	for (uint32_t i = 0; i < room->pool_count && count < HNSW_M; i++) {
		uint32_t near = hnsw_row_of(room->pool[i]);
		float distance = hnsw_distance_of(room->pool[i]);

		if (near == row)
			continue;
		if (!is_occluded(pen->segment, near, distance, chosen, count) &&
		    !is_copy(pen->segment, near, chosen, count))
			chosen[count++] = near;
		else if (rest_count < HNSW_EF_BUILD)
			rest[rest_count++] = i;
	}
	return neighbours_fill(room, rest, rest_count, row, chosen, count);
}

struct choice {
	uint32_t rows[HNSW_LEVEL_MAX + 1][HNSW_M];
	uint32_t count[HNSW_LEVEL_MAX + 1];
};

/*
 * Finds the neighbours of a row on all its levels.  0 if that was by nibbles
 * and they do not tell what is there apart.
 */
static int choice_try(const struct pen *pen, uint32_t row, uint32_t level,
		      int by_nibbles, struct choice *choice)
{
	struct segment *segment = pen->segment;
	_Alignas(64) struct query_code query;
	int early = hnsw_ends_early(segment);
	int judges = hnsw_judges(row);
	struct hnsw_note note = {.is_made = 0};
	struct hnsw_search search = {
	    .query = &query, .room = pen->room, .by_nibbles = by_nibbles};
	int told = 1;

	memset(choice->count, 0, sizeof choice->count);
	query_from_row(segment->bank.codes, segment->bank.metric,
		       segment->bank.coded, line_of(segment, row), &query);
	if (!hnsw_descend(segment, &search, level))
		return 1;
	for (;; level--) {
		search.by_nibbles = by_nibbles;
		search.ef = level ? EF_UPPER : HNSW_EF_BUILD;
		search.note = judges && !level ? &note : NULL;
		search.quiet = early || search.note ? QUIET : 0;
		hnsw_walk_level(segment, &search, level);
		if (early && !judges && pen->room->pool_count > CANDIDATES)
			pen->room->pool_count = CANDIDATES;
		told = hnsw_refine(segment, &search);
		if (!told)
			break;
		if (search.note)
			hnsw_judge(segment, &search);
		choice->count[level] =
		    neighbours_choose(pen, row, choice->rows[level]);
		if (!level)
			break;
		hnsw_pool_renew(segment, &search);
	}
	hnsw_room_clear(pen->room, segment);
	return told;
}

static void choice_make(const struct pen *pen, uint32_t row, uint32_t level,
			struct choice *choice)
{
	const struct segment *segment = pen->segment;
	uint32_t top =
	    (uint32_t)(atomic_load_explicit(&segment->header->hnsw.entry,
					    memory_order_acquire) >>
		       32);

	if (level > top)
		level = top;
	if (!hnsw_by_nibbles(segment) ||
	    !choice_try(pen, row, level, 1, choice))
		(void)choice_try(pen, row, level, 0, choice);
}

/* Puts a node among those of the lowest level, in the last one's place. */
static void choice_add(struct choice *choice, uint32_t row)
{
	uint32_t count = choice->count[0];

	for (uint32_t i = 0; i < count; i++)
		if (choice->rows[0][i] == row)
			return;
	if (count == HNSW_M)
		count--;
	choice->rows[0][count] = row;
	choice->count[0] = count + 1;
}

/* Writes a row's own list, over what a row before it has left there. */
static void list_write(const struct segment *segment, uint32_t row,
		       uint32_t level, const uint32_t *rows, uint32_t count)
{
	links_at links = hnsw_links(segment, row, level);
	uint32_t max = hnsw_links_max(level);

	for (uint32_t i = 0; i < max; i++)
		link_set(links, i, i < count ? rows[i] : 0);
}

/* The entry is one of the tallest nodes. */
static void entry_raise(const struct segment *segment, uint32_t row,
			uint32_t level)
{
	_Atomic uint64_t *entry = &segment->header->hnsw.entry;
	uint64_t mine = (uint64_t)level << 32 | row;
	uint64_t seen = atomic_load_explicit(entry, memory_order_relaxed);

	while (!seen || seen >> 32 < level)
		if (atomic_compare_exchange_weak_explicit(entry, &seen, mine,
							  memory_order_release,
							  memory_order_relaxed))
			break;
}

static void node_set(const struct segment *segment, uint32_t row,
		     uint32_t state)
{
	/* G3: publishes the row's links */
	atomic_store_explicit(hnsw_node(segment, row), state,
			      memory_order_release);
}

/* Whether there is a row with room for links, and nobody else links it. */
static int row_claim(const struct pen *pen, uint32_t row)
{
	const struct segment *segment = pen->segment;
	_Atomic uint32_t *node = row ? hnsw_node(segment, row) : NULL;
	uint32_t loose = HNSW_LOOSE;

	return node && row < hnsw_limit(segment) &&
	       bank_is_used(segment, row) &&
	       atomic_compare_exchange_strong_explicit(
		   node, &loose, HNSW_LINKING, memory_order_relaxed,
		   memory_order_relaxed);
}

static void row_link(const struct pen *pen, uint32_t row)
{
	struct segment *segment = pen->segment;
	uint32_t level = hnsw_level(row);
	struct choice choice;

	doing_begin(pen, row, DOING_LINK);
	if (!row_claim(pen, row)) {
		doing_end(pen);
		return;
	}
	point("hnsw-claimed");
	signs_put(segment, row);
	choice_make(pen, row, level, &choice);
	if (pen->across && pen->across != row)
		choice_add(&choice, pen->across);
	for (uint32_t i = 0; i <= level; i++) {
		list_write(segment, row, i, choice.rows[i], choice.count[i]);
		point("hnsw-listed");
		for (uint32_t j = 0; j < choice.count[i]; j++)
			link_back(pen, row, choice.rows[i][j], i);
	}
	if (!pen->locks)
		kd_insert(segment, row);
	node_set(segment, row, HNSW_LINKED);
	atomic_fetch_add_explicit(&segment->header->hnsw.linked, 1,
				  memory_order_relaxed);
	entry_raise(segment, row, level);
	point("hnsw-entered");
	doing_end(pen);
}

static int newest_link(const struct pen *pen)
{
	struct segment *segment = pen->segment;
	struct hnsw *hnsw = &segment->header->hnsw;
	uint32_t count =
	    atomic_load_explicit(&hnsw->tail_count, memory_order_relaxed);

	if (!count)
		return 0;
	signs_learn(segment);
	row_link(pen, hnsw_tail_at(segment, count - 1));
	point("hnsw-untailed");
	/* G1: publishes its links */
	atomic_store_explicit(&hnsw->tail_count, count - 1,
			      memory_order_release);
	return 1;
}

int hnsw_link_next(struct segment *segment, struct hnsw_room *room)
{
	return newest_link(&(struct pen){.segment = segment, .room = room});
}

void hnsw_link_across(struct segment *segment, struct hnsw_room *room,
		      uint32_t other)
{
	(void)newest_link(
	    &(struct pen){.segment = segment, .room = room, .across = other});
}

/* ---- a node that goes --------------------------------------------------- */

/* Ties `from` to the others: see the essay. */
static void mend_one(const struct pen *pen, uint32_t from, uint32_t level,
		     struct near *near, uint32_t count)
{
	const struct segment *segment = pen->segment;
	uint32_t max = hnsw_links_max(level);
	links_at links = hnsw_links(segment, from, level);
	uint32_t mine[HNSW_LINKS];
	int is_tied = 0;

	near_sort(near, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t to = near[i].row;
		links_at other = hnsw_links(segment, to, level);
		uint32_t degree = list_get(segment, from, level, mine);
		uint32_t room = other ? list_count(other, max) : max;

		if (degree == max || (is_tied && degree >= degree_min(level)))
			return;
		if (room == max || list_find(links, degree, to) < degree)
			continue;
		if (degree >= degree_min(level) &&
		    is_occluded(segment, to, near[i].distance, mine, degree))
			continue;
		doing_beside(pen, from);
		link_set(links, degree, to);
		point("hnsw-half-mended");
		link_set(other, room, from);
		is_tied = 1;
	}
}

static void level_unlink(const struct pen *pen, uint32_t row, uint32_t level)
{
	const struct segment *segment = pen->segment;
	uint32_t rows[HNSW_LINKS];
	struct near near[HNSW_LINKS];
	float all[HNSW_LINKS][HNSW_LINKS];
	const unsigned char *lines = line_of(segment, 0);
	uint32_t count = list_get(segment, row, level, rows);

	for (uint32_t i = 0; i < count; i++) {
		cut(segment, rows[i], row, level);
		point("hnsw-unlinked");
	}
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < i; j++)
			all[i][j] = all[j][i] =
			    between(segment, lines, rows[i], rows[j]);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t others = 0;

		for (uint32_t j = 0; j < count; j++)
			if (j != i)
				near[others++] =
				    (struct near){all[i][j], rows[j]};
		mend_one(pen, rows[i], level, near, others);
	}
}

/* The tallest node that is left, other than `row`. */
static void entry_find(const struct segment *segment, uint32_t row)
{
	uint32_t limit = hnsw_limit(segment);
	uint64_t entry = 0;

	for (uint32_t level = HNSW_LEVEL_MAX + 1; !entry && level-- > 0;) {
		uint32_t slots = limit >> (4 * level);

		for (uint32_t slot = 0; slot <= slots && !entry; slot++) {
			uint32_t tall = hnsw_row_at(slot, level);

			if (tall && tall != row && tall < limit &&
			    hnsw_is_linked(segment, tall))
				entry = (uint64_t)hnsw_level(tall) << 32 | tall;
		}
	}
	atomic_store_explicit(&segment->header->hnsw.entry, entry,
			      memory_order_release);
}

void hnsw_unlink(struct segment *segment, uint32_t row)
{
	struct hnsw *hnsw = &segment->header->hnsw;
	struct pen pen = {.segment = segment};

	if (!hnsw_is_linked(segment, row))
		return;
	doing_begin(&pen, row, DOING_UNLINK);
	point("hnsw-unlink");
	if ((uint32_t)atomic_load_explicit(&hnsw->entry,
					   memory_order_relaxed) == row)
		entry_find(segment, row);
	for (uint32_t level = hnsw_level(row) + 1; level-- > 0;)
		level_unlink(&pen, row, level);
	node_set(segment, row, HNSW_LOOSE);
	kd_remove(segment, row);
	atomic_fetch_sub_explicit(&hnsw->linked, 1, memory_order_relaxed);
	point("hnsw-loose");
	doing_end(&pen);
}

void hnsw_drop(struct segment *segment, uint32_t row)
{
	hnsw_unlink(segment, row);
	point("hnsw-dropped");
	bank_free(segment, row);
}

/* ---- after a death ------------------------------------------------------ */

/* Drops links that are not answered. */
static void list_verify(const struct segment *segment, uint32_t row,
			uint32_t level)
{
	uint32_t max = hnsw_links_max(level);
	uint32_t rows[HNSW_LINKS];
	uint32_t count;

	if (!row || row >= hnsw_limit(segment) || hnsw_level(row) < level)
		return;
	count = list_get(segment, row, level, rows);
	for (uint32_t i = 0; i < count; i++) {
		links_at back = hnsw_level(rows[i]) < level
				    ? NULL
				    : hnsw_links(segment, rows[i], level);
		uint32_t theirs = back ? list_count(back, max) : 0;

		if (!back || list_find(back, theirs, row) == theirs)
			cut(segment, row, rows[i], level);
	}
}

/* The row, what it is tied to, and what was changed beside it. */
static void around_verify(const struct segment *segment, uint32_t row,
			  uint32_t beside)
{
	uint32_t rows[HNSW_LINKS];

	for (uint32_t level = 0; level <= HNSW_LEVEL_MAX; level++) {
		uint32_t count = 0;

		if (hnsw_level(row) >= level)
			count = list_get(segment, row, level, rows);
		for (uint32_t i = 0; i < count; i++)
			list_verify(segment, rows[i], level);
		list_verify(segment, beside, level);
		list_verify(segment, row, level);
	}
}

/* Frees a half-linked row of all that link back to it. */
static void row_loosen(const struct segment *segment, uint32_t row)
{
	uint32_t rows[HNSW_LINKS];

	for (uint32_t level = hnsw_level(row) + 1; level-- > 0;) {
		uint32_t count = list_get(segment, row, level, rows);

		for (uint32_t i = 0; i < count; i++)
			cut(segment, rows[i], row, level);
	}
	node_set(segment, row, HNSW_LOOSE);
}

/* What is derived: states of nodes under way, their number, the entry. */
static void nodes_recount(struct segment *segment)
{
	struct hnsw *hnsw = &segment->header->hnsw;
	uint32_t limit = hnsw_limit(segment);
	uint64_t linked = 0;

	for (uint32_t row = 1; row < limit; row++) {
		if (atomic_load_explicit(hnsw_node(segment, row),
					 memory_order_relaxed) == HNSW_LINKING)
			row_loosen(segment, row);
		linked += (uint64_t)hnsw_is_linked(segment, row);
	}
	atomic_store_explicit(&hnsw->linked, linked, memory_order_relaxed);
	/* a row that was to go may be linked still, and the tallest */
	entry_find(segment, 0);
}

int hnsw_derive(struct segment *segment)
{
	uint32_t rows = bank_count(segment);
	int err = 0;

	for (uint32_t row = 1; row < rows && !err; row++) {
		_Atomic uint32_t *node = hnsw_node(segment, row);

		if (node && atomic_load_explicit(node, memory_order_relaxed) >
				HNSW_LINKED)
			return EBADMSG;
		if (!hnsw_is_linked(segment, row) && bank_is_used(segment, row))
			err = hnsw_await(segment, row);
	}
	nodes_recount(segment);
	return err ? err : kd_derive(segment);
}

/* Mends the graph; returns the row that the tree may not agree with it on. */
static uint32_t graph_recover(struct segment *segment, uint64_t doing)
{
	struct hnsw *hnsw = &segment->header->hnsw;
	uint32_t limit = hnsw_limit(segment);
	uint32_t row = (uint32_t)(doing >> DOING_SHIFT);

	if ((doing & DOING_ALL) == DOING_ALL) {
		for (row = 1; row < limit; row++)
			for (uint32_t i = 0; i <= hnsw_level(row); i++)
				list_verify(segment, row, i);
	} else if (row && row < limit) {
		around_verify(segment, row,
			      (uint32_t)atomic_load_explicit(
				  &hnsw->beside, memory_order_acquire));
		if ((doing & DOING_ALL) == DOING_LINK)
			row_loosen(segment, row);
	}
	point("hnsw-verified");
	nodes_recount(segment);
	return (doing & DOING_ALL) == DOING_ALL ? UINT32_MAX : row;
}

void hnsw_recover(struct segment *segment)
{
	struct hnsw *hnsw = &segment->header->hnsw;
	uint64_t doing =
	    atomic_load_explicit(&hnsw->doing, memory_order_acquire);

	kd_recover(segment, doing ? graph_recover(segment, doing) : 0);
	if (doing)
		atomic_store_explicit(&hnsw->doing, 0, memory_order_release);
}

/* ---- with several threads ----------------------------------------------- */

int hnsw_bulk_begin(struct hnsw_bulk *bulk, struct segment *segment,
		    struct hnsw_room *room)
{
	struct pen pen = {.segment = segment, .room = room};
	struct hnsw *hnsw = &segment->header->hnsw;

	*bulk = (struct hnsw_bulk){.segment = segment};
	signs_learn(segment);
	bulk->locks = calloc(1 << LOCK_BITS, 1);
	if (!bulk->locks)
		return ENOMEM;
	bulk->count =
	    atomic_load_explicit(&hnsw->tail_count, memory_order_relaxed);
	/* the first node alone: the others find one another through it */
	for (; !hnsw_linked(segment) && bulk->next < bulk->count; bulk->next++)
		row_link(&pen, hnsw_tail_at(segment, bulk->next));
	atomic_store_explicit(&hnsw->doing, DOING_ALL, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}

int hnsw_link_part(struct hnsw_bulk *bulk, struct hnsw_room *room,
		   uint32_t budget)
{
	struct pen pen = {bulk->segment, room, bulk->locks, 0};
	uint32_t next;
	uint32_t end;

	/*
	 * Rows that came together are often alike, and threads do not see what
	 * others are just linking: so one thread has them all.  relaxed: a
	 * number is all that it says.
	 */
	next = atomic_fetch_add_explicit(&bulk->next, budget,
					 memory_order_relaxed);
	if (next >= bulk->count)
		return 0;
	end = budget < bulk->count - next ? next + budget : bulk->count;
	for (; next < end; next++)
		row_link(&pen, hnsw_tail_at(bulk->segment, next));
	return 1;
}

/* What was linked comes into the tree, before it leaves the tail. */
static void bulk_grow_tree(const struct hnsw_bulk *bulk)
{
	if (bulk->count > hnsw_linked(bulk->segment) / BULK_SHARE) {
		(void)kd_build(bulk->segment);
		return;
	}
	for (uint32_t i = 0; i < bulk->count; i++) {
		uint32_t row = hnsw_tail_at(bulk->segment, i);

		if (row && hnsw_is_linked(bulk->segment, row))
			kd_insert(bulk->segment, row);
	}
}

void hnsw_bulk_end(struct hnsw_bulk *bulk)
{
	struct hnsw *hnsw = &bulk->segment->header->hnsw;
	uint32_t kept = 0;

	point("hnsw-bulk-linked");
	bulk_grow_tree(bulk);
	for (uint32_t i = 0; i < bulk->count; i++) {
		uint32_t row = hnsw_tail_at(bulk->segment, i);

		if (row && !hnsw_is_linked(bulk->segment, row))
			hnsw_tail_put(bulk->segment, kept++, row);
	}
	/* G1: publishes their links */
	atomic_store_explicit(&hnsw->tail_count, kept, memory_order_release);
	atomic_store_explicit(&hnsw->doing, 0, memory_order_release);
	free((void *)bulk->locks);
}
