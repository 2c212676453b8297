/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adjacency: each entity's edges, outgoing and incoming, in shared memory.
 *
 * idea
 *	A list is a chain of blocks, newest first; its first block is named by
 *	a word of the entity's (REGION_LISTS, see head.h).  Entries are appended
 *	at the end of the newest block, so adding to a hub costs the same as to
 *	anyone; a block twice as long follows a full one, or one for all that
 *	come at once.  A list of up to 63 is copied to one block when it is
 *	full, so that a reader waits for memory twice: for the word, and for
 *	the block.  An entry carries the commits at which it was born and died,
 *	so every snapshot sees its own list and a deletion is a mark in place.
 *	A list with more dead than living entries is copied to fresh blocks and
 *	its word swung.
 *
 * layout
 *	REGION_EDGES in units of 64 bytes; block classes 0 to 4 are 1, 2, 4,
 *	8, 16 units: a header of 16 bytes and 3, 7, 15, 31, 63 entries.
 *	unit 0 is none.
 *
 *	 0      4       8      12     16
 *	 next   count   class  -      { peer, relation, born, died } ...
 *
 *	born and died are stamps: a commit number less the one that the
 *	segment was built at.  0 was there when it was built.
 *
 * ordering
 *	A1	an entry is written, then counted (release); readers acquire
 *		the count.
 *	A2	a block is filled, then named by the word (release); readers
 *		acquire that.
 *	Born and died need no order of their own: a stamp that matters to a
 *	snapshot was stored before the LMDB commit that the snapshot saw.
 *
 * progress
 *	A cursor: wait-free, bounded by the region's size even on rubbish.
 *
 * crash
 *	edges_undo takes back one attempt's stamps in one list, and the blocks
 *	it added.  Blocks taken and not linked leak until the segment is built
 *	again.
 *
 * limits
 *	2^32 - 2 commits from one build of the segment to the next.
 */
#ifndef SHM_ADJACENCY_H
#define SHM_ADJACENCY_H

#include "region.h"

struct segment;

enum {
	EDGE_UNIT = 64,
	EDGE_CLASSES = 5,
};

#define STAMP_NEVER UINT32_MAX

/* An edge as its list knows it. */
struct edge_name {
	uint32_t peer;
	uint32_t relation;
};

struct edge_entry {
	uint32_t peer;
	uint32_t relation;
	_Atomic uint32_t born;
	_Atomic uint32_t died;
};

struct edge_block {
	_Atomic uint32_t next;
	_Atomic uint32_t count;
	uint32_t class_index;
	uint32_t reserved;
	struct edge_entry entries[];
};

static_assert(sizeof(struct edge_block) == 16, "block header is 16 bytes");
static_assert(sizeof(struct edge_entry) == 16, "edge entry is 16 bytes");

struct adjacency {
	uint64_t unit_count;		   /* writer's: units in use, from 1 */
	uint32_t free_units[EDGE_CLASSES]; /* writer's: heads of free lists */
	uint32_t reserved;
	_Atomic uint64_t free_bytes;
};

/* The two lists of a head, as the writer works on them. */
struct edge_list {
	_Atomic uint32_t *first;
	uint32_t *live;
	uint32_t *dead;
	uint32_t *kept; /* dead entries when it was last compacted */
};

static inline uint32_t edge_capacity(uint32_t class_index)
{
	return (UINT32_C(4) << class_index) - 1;
}

/*
 * The block at a unit of a region of `bytes` bytes; NULL if not all in it.
 * capacity	of entries that are in the region
 */
static inline struct edge_block *edge_block_in(const unsigned char *edges,
					       uint64_t bytes, uint32_t unit,
					       uint32_t *capacity)
{
	uint64_t at = (uint64_t)unit * EDGE_UNIT;
	struct edge_block *block;
	uint32_t class_index;

	if (!unit || at + EDGE_UNIT > bytes)
		return NULL;
	block = (struct edge_block *)(void *)(uintptr_t)(edges + at);
	/* once: in a damaged segment it may be another one the next time */
	class_index = *(const volatile uint32_t *)&block->class_index;
	if (class_index >= EDGE_CLASSES ||
	    at + ((uint64_t)EDGE_UNIT << class_index) > bytes)
		return NULL;
	*capacity = edge_capacity(class_index);
	return block;
}

static inline struct edge_block *
edge_block_at(const void *map, const struct region_view *edges, uint32_t unit)
{
	uint32_t capacity;

	return edge_block_in((const unsigned char *)map + edges->offset,
			     region_bytes(edges), unit, &capacity);
}

/* Walks the entries of one list that a snapshot sees. */
struct edge_cursor {
	const unsigned char *edges;
	uint64_t bytes; /* of them, when the cursor was made */
	const struct edge_block *block;
	uint64_t budget; /* blocks that may still follow */
	uint32_t stamp;
	uint32_t index;
	uint32_t count;
};

static inline void edge_cursor_enter(struct edge_cursor *cursor, uint32_t unit)
{
	uint32_t capacity = 0;

	cursor->block =
	    cursor->budget--
		? edge_block_in(cursor->edges, cursor->bytes, unit, &capacity)
		: NULL;
	cursor->index = 0;
	cursor->count = 0;
	if (!cursor->block)
		return;
	/* A1: acquires the entries counted */
	cursor->count =
	    atomic_load_explicit(&cursor->block->count, memory_order_acquire);
	if (cursor->count > capacity)
		cursor->count = capacity;
}

/* first: the list's word; stamp: the snapshot's. */
static inline void edge_cursor_init(struct edge_cursor *cursor, const void *map,
				    const struct region_view *edges,
				    const _Atomic uint32_t *first,
				    uint32_t stamp)
{
	/* A2: acquires the blocks behind it, and so their region */
	uint32_t unit = atomic_load_explicit(first, memory_order_acquire);

	cursor->edges = (const unsigned char *)map + edges->offset;
	cursor->bytes = region_bytes(edges);
	cursor->stamp = stamp;
	cursor->budget = cursor->bytes / EDGE_UNIT;
	edge_cursor_enter(cursor, unit);
}

/*
 * The next entry that is visible, as a copy: in a damaged segment it may change
 * under a reader.  0 at the end.
 */
static inline int edge_cursor_next(struct edge_cursor *cursor,
				   struct edge_name *out)
{
	while (cursor->block) {
		while (cursor->index < cursor->count) {
			const struct edge_entry *entry =
			    &cursor->block->entries[cursor->index++];
			/* relaxed: see ordering */
			uint32_t born = atomic_load_explicit(
			    &entry->born, memory_order_relaxed);
			uint32_t died = atomic_load_explicit(
			    &entry->died, memory_order_relaxed);

			if (born > cursor->stamp || cursor->stamp >= died)
				continue;
			out->peer = *(const volatile uint32_t *)&entry->peer;
			out->relation =
			    *(const volatile uint32_t *)&entry->relation;
			return 1;
		}
		edge_cursor_enter(cursor,
				  atomic_load_explicit(&cursor->block->next,
						       memory_order_acquire));
	}
	return 0;
}

/* The rest is for who holds the writer lock. */

struct head;

/* One of the two lists of a head. */
struct edge_list edges_of(const struct segment *segment, struct head *head,
			  int outgoing);

/*
 * Adds entries, in one block where they fit.
 * Returns	0, or ENOSPC and the like; some may be there then.
 */
int edges_append_many(struct segment *segment, const struct edge_list *list,
		      const struct edge_name *names, uint32_t count,
		      uint32_t stamp);
int edges_append(struct segment *segment, const struct edge_list *list,
		 uint32_t peer, uint32_t relation, uint32_t stamp);

/*
 * Whether a short list has filled its newest block: compacted, it has all in
 * one block, and room for as many again.
 */
int edges_are_scattered(const struct segment *segment,
			const struct edge_list *list);

/*
 * Fills an empty list, born at 0, in blocks that fit.
 * peers, relations	count of each
 */
int edges_fill(struct segment *segment, const struct edge_list *list,
	       const uint32_t *peers, const uint32_t *relations,
	       uint32_t count);

/* Marks the living entry dead; 0 if there was none. */
int edges_kill(struct segment *segment, const struct edge_list *list,
	       uint32_t peer, uint32_t relation, uint32_t stamp);

/* Orders names by peer, then relation; for qsort. */
int edge_name_compare(const void *a, const void *b);

/* How many living entries of one name are to die: they are alike. */
struct edge_kill {
	struct edge_name name;
	uint32_t count;
};

/*
 * Marks living entries dead, in one pass over the list; returns how many there
 * were.
 * kills	`count` different names, sorted; what is left of their counts
 *		was not there
 */
uint32_t edges_kill_many(struct segment *segment, const struct edge_list *list,
			 struct edge_kill *kills, uint32_t count,
			 uint32_t stamp);

/* Marks every living entry dead. */
void edges_kill_all(struct segment *segment, const struct edge_list *list,
		    uint32_t stamp);

/*
 * Takes back what the attempt with this stamp did to the list.  Blocks of
 * which nothing is left go to limbo, as far as there is room.
 */
void edges_undo(struct segment *segment, const struct edge_list *list,
		uint32_t stamp);

/*
 * Copies a list that is mostly dead to fresh blocks without the entries that
 * no read from `oldest` on can see; the old ones go to limbo, out of reach
 * from `commit` on, for which there must be room (edges_blocks of them).
 */
int edges_compact(struct segment *segment, const struct edge_list *list,
		  uint32_t oldest, uint64_t commit);

/* Empties a list that no read can see: its blocks are free at once. */
void edges_clear(struct segment *segment, const struct edge_list *list);

/* Blocks in a list. */
uint32_t edges_blocks(const struct segment *segment,
		      const struct edge_list *list);

/*
 * Whether a list is worth compacting: since the last time, as many entries
 * have died as there are others, so that copying costs each entry a share.
 */
static inline int edges_mostly_dead(const struct edge_list *list)
{
	return *list->dead > *list->kept + 16 &&
	       *list->dead - *list->kept > *list->live + *list->kept;
}

/* Puts a block that left limbo on its free list. */
void edges_free(struct segment *segment, uint32_t unit);

#endif
