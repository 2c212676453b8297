/* SPDX-License-Identifier: Apache-2.0 */
#include "adjacency.h"
#include "point.h"
#include "segment.h"

#include <errno.h>
#include <stdlib.h>

struct edge_list edges_of(const struct segment *segment, struct head *head,
			  int outgoing)
{
	static _Atomic uint32_t nowhere; /* of a segment that is damaged */
	const struct region_view *heads = segment_region(segment, REGION_HEADS);
	const unsigned char *first =
	    (const unsigned char *)segment->header + heads->offset;
	uint64_t id =
	    (uint64_t)((const unsigned char *)head - first) / sizeof *head;
	struct head_lists *lists = head_lists_at(
	    segment->header, segment_region(segment, REGION_LISTS), id);

	if (outgoing)
		return (struct edge_list){lists ? &lists->out : &nowhere,
					  &head->out_live, &head->out_dead,
					  &head->out_kept};
	return (struct edge_list){lists ? &lists->in : &nowhere, &head->in_live,
				  &head->in_dead, &head->in_kept};
}

static struct adjacency *adjacency_of(struct segment *segment)
{
	return &segment->header->adjacency;
}

static struct edge_block *block_at(const struct segment *segment, uint32_t unit)
{
	return edge_block_at(segment->header,
			     segment_region(segment, REGION_EDGES), unit);
}

static uint32_t first_get(const struct edge_list *list)
{
	/* relaxed: only the holder of the writer lock stores it */
	return atomic_load_explicit(list->first, memory_order_relaxed);
}

static void free_bytes_add(struct adjacency *adjacency, int64_t bytes)
{
	atomic_fetch_add_explicit(&adjacency->free_bytes, (uint64_t)bytes,
				  memory_order_relaxed);
}

static int block_fresh(struct segment *segment, uint32_t class_index,
		       uint32_t *unit)
{
	struct adjacency *adjacency = adjacency_of(segment);
	uint64_t units = UINT64_C(1) << class_index;
	uint64_t at = adjacency->unit_count ? adjacency->unit_count : 1;
	struct edge_block *block;
	int err;

	if (at + units > UINT32_MAX)
		return ENOSPC;
	err = segment_grow(segment, REGION_EDGES, (at + units) * EDGE_UNIT);
	if (err)
		return err;
	block =
	    region_at(segment->header, segment_region(segment, REGION_EDGES),
		      at * EDGE_UNIT, units * EDGE_UNIT);
	if (!block)
		return EINVAL;
	block->class_index = class_index;
	adjacency->unit_count = at + units;
	*unit = (uint32_t)at;
	return 0;
}

/* An empty block, from the free list or the end of the region. */
static int block_take(struct segment *segment, uint32_t class_index,
		      uint32_t *unit)
{
	struct adjacency *adjacency = adjacency_of(segment);
	uint32_t head = adjacency->free_units[class_index];
	struct edge_block *block = head ? block_at(segment, head) : NULL;
	int err = 0;

	if (block && block->class_index == class_index) {
		adjacency->free_units[class_index] =
		    atomic_load_explicit(&block->next, memory_order_relaxed);
		free_bytes_add(adjacency, -((int64_t)EDGE_UNIT << class_index));
		*unit = head;
	} else {
		err = block_fresh(segment, class_index, unit);
	}
	if (err)
		return err;
	block = block_at(segment, *unit);
	if (!block)
		return EINVAL;
	atomic_store_explicit(&block->count, 0, memory_order_relaxed);
	return 0;
}

/* Appends to a block with room. */
static void block_add(struct edge_block *block, uint32_t peer,
		      uint32_t relation, uint32_t stamp)
{
	uint32_t count =
	    atomic_load_explicit(&block->count, memory_order_relaxed);
	struct edge_entry *entry = &block->entries[count];

	entry->peer = peer;
	entry->relation = relation;
	atomic_store_explicit(&entry->died, STAMP_NEVER, memory_order_relaxed);
	atomic_store_explicit(&entry->born, stamp, memory_order_relaxed);
	point("edge-written");
	/* A1: publishes the entry */
	atomic_store_explicit(&block->count, count + 1, memory_order_release);
}

static int block_full(const struct edge_block *block)
{
	return atomic_load_explicit(&block->count, memory_order_relaxed) >=
	       edge_capacity(block->class_index);
}

/* The smallest class that holds `count` entries, or the largest. */
static uint32_t class_for(uint32_t count)
{
	uint32_t class_index = 0;

	while (class_index + 1 < EDGE_CLASSES &&
	       edge_capacity(class_index) < count)
		class_index++;
	return class_index;
}

/* Behind a full block one twice as long follows, or one for all to come. */
static uint32_t class_next(const struct edge_block *full, uint32_t coming)
{
	uint32_t class_index = class_for(coming);

	if (full && class_index <= full->class_index)
		class_index = full->class_index + 1;
	return class_index < EDGE_CLASSES ? class_index : EDGE_CLASSES - 1;
}

/* Fills what room a block has; returns how many it took. */
static uint32_t block_add_many(struct edge_block *block,
			       const struct edge_name *names, uint32_t count,
			       uint32_t stamp)
{
	uint32_t done = 0;

	for (; done < count && !block_full(block); done++)
		block_add(block, names[done].peer, names[done].relation, stamp);
	return done;
}

int edges_append_many(struct segment *segment, const struct edge_list *list,
		      const struct edge_name *names, uint32_t count,
		      uint32_t stamp)
{
	uint32_t first = first_get(list);
	struct edge_block *block = first ? block_at(segment, first) : NULL;
	uint32_t done = 0;
	uint32_t unit;
	int err;

	if (first && !block)
		return EINVAL;
	if (block)
		done = block_add_many(block, names, count, stamp);
	*list->live += done;
	while (done < count) {
		uint32_t added;

		err =
		    block_take(segment, class_next(block, count - done), &unit);
		if (err)
			return err;
		block = block_at(segment, unit);
		atomic_store_explicit(&block->next, first,
				      memory_order_relaxed);
		added =
		    block_add_many(block, names + done, count - done, stamp);
		point("block-filled");
		/* A2: publishes the block */
		atomic_store_explicit(list->first, unit, memory_order_release);
		*list->live += added;
		done += added;
		first = unit;
	}
	return 0;
}

int edges_append(struct segment *segment, const struct edge_list *list,
		 uint32_t peer, uint32_t relation, uint32_t stamp)
{
	struct edge_name name = {peer, relation};

	return edges_append_many(segment, list, &name, 1, stamp);
}

int edges_are_scattered(const struct segment *segment,
			const struct edge_list *list)
{
	struct edge_block *block = block_at(segment, first_get(list));

	return block && block_full(block) &&
	       block->class_index + 1 < EDGE_CLASSES &&
	       *list->live + *list->dead < edge_capacity(EDGE_CLASSES - 1);
}

int edges_fill(struct segment *segment, const struct edge_list *list,
	       const uint32_t *peers, const uint32_t *relations, uint32_t count)
{
	uint32_t next = 0;
	uint32_t done = 0;

	while (done < count) {
		uint32_t class_index = class_for(count - done);
		struct edge_block *block;
		uint32_t unit;
		int err = block_take(segment, class_index, &unit);

		if (err)
			return err;
		block = block_at(segment, unit);
		atomic_store_explicit(&block->next, next, memory_order_relaxed);
		for (; done < count && !block_full(block); done++)
			block_add(block, peers[done], relations[done], 0);
		next = unit;
	}
	/* A2: publishes the blocks */
	atomic_store_explicit(list->first, next, memory_order_release);
	*list->live = count;
	*list->dead = 0;
	*list->kept = 0;
	return 0;
}

/* Calls for every entry of a list, visible or not, until it returns 1. */
typedef int entry_visit(void *user, struct edge_entry *entry);

static void list_visit(const struct segment *segment,
		       const struct edge_list *list, entry_visit *visit,
		       void *user)
{
	const struct region_view *edges = segment_region(segment, REGION_EDGES);
	uint64_t budget = region_bytes(edges) / EDGE_UNIT;
	struct edge_block *block = block_at(segment, first_get(list));

	while (block && budget--) {
		uint32_t count =
		    atomic_load_explicit(&block->count, memory_order_relaxed);

		for (uint32_t i = 0;
		     i < count && i < edge_capacity(block->class_index); i++)
			if (visit(user, &block->entries[i]))
				return;
		block = block_at(
		    segment,
		    atomic_load_explicit(&block->next, memory_order_relaxed));
	}
}

int edge_name_compare(const void *a, const void *b)
{
	const struct edge_name *x = a;
	const struct edge_name *y = b;

	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	return x->relation < y->relation ? -1 : x->relation > y->relation;
}

struct kill {
	struct edge_kill *kills;
	uint32_t count;
	uint32_t stamp;
	uint32_t wanted;
	uint32_t done;
};

static int kill_named(void *user, struct edge_entry *entry)
{
	struct kill *kill = user;
	struct edge_name name = {entry->peer, entry->relation};
	struct edge_kill *found;

	if (atomic_load_explicit(&entry->born, memory_order_relaxed) ==
		STAMP_NEVER ||
	    atomic_load_explicit(&entry->died, memory_order_relaxed) !=
		STAMP_NEVER)
		return 0;
	/* a kill begins with its name */
	found = bsearch(&name, kill->kills, kill->count, sizeof *found,
			edge_name_compare);
	if (!found || !found->count)
		return 0;
	atomic_store_explicit(&entry->died, kill->stamp, memory_order_relaxed);
	found->count--;
	return ++kill->done == kill->wanted;
}

uint32_t edges_kill_many(struct segment *segment, const struct edge_list *list,
			 struct edge_kill *kills, uint32_t count,
			 uint32_t stamp)
{
	struct kill kill = {kills, count, stamp, 0, 0};

	for (uint32_t i = 0; i < count; i++)
		kill.wanted += kills[i].count;
	list_visit(segment, list, kill_named, &kill);
	*list->live -= kill.done;
	*list->dead += kill.done;
	return kill.done;
}

int edges_kill(struct segment *segment, const struct edge_list *list,
	       uint32_t peer, uint32_t relation, uint32_t stamp)
{
	struct edge_kill kill = {{peer, relation}, 1};

	return (int)edges_kill_many(segment, list, &kill, 1, stamp);
}

static int kill_any(void *user, struct edge_entry *entry)
{
	const uint32_t *stamp = user;

	if (atomic_load_explicit(&entry->died, memory_order_relaxed) ==
	    STAMP_NEVER)
		atomic_store_explicit(&entry->died, *stamp,
				      memory_order_relaxed);
	return 0;
}

void edges_kill_all(struct segment *segment, const struct edge_list *list,
		    uint32_t stamp)
{
	list_visit(segment, list, kill_any, &stamp);
	*list->dead += *list->live;
	*list->live = 0;
}

struct undo {
	uint32_t stamp;
	uint32_t live;
	uint32_t dead;
};

static int undo_one(void *user, struct edge_entry *entry)
{
	struct undo *undo = user;
	uint32_t born =
	    atomic_load_explicit(&entry->born, memory_order_relaxed);
	uint32_t died =
	    atomic_load_explicit(&entry->died, memory_order_relaxed);

	if (died == undo->stamp) {
		died = STAMP_NEVER;
		atomic_store_explicit(&entry->died, died, memory_order_relaxed);
	}
	if (born == undo->stamp) {
		born = STAMP_NEVER;
		atomic_store_explicit(&entry->born, born, memory_order_relaxed);
	}
	if (born != STAMP_NEVER && died == STAMP_NEVER)
		undo->live++;
	else
		undo->dead++;
	return 0;
}

static int block_is_void(const struct edge_block *block)
{
	uint32_t count =
	    atomic_load_explicit(&block->count, memory_order_relaxed);

	for (uint32_t i = 0; i < count && i < edge_capacity(block->class_index);
	     i++)
		if (atomic_load_explicit(&block->entries[i].born,
					 memory_order_relaxed) != STAMP_NEVER)
			return 0;
	return 1;
}

/*
 * Unlinks the newest blocks of a list while nothing in them was ever born;
 * returns how many entries they had.
 */
static uint32_t voids_unlink(struct segment *segment,
			     const struct edge_list *list, uint64_t commit)
{
	uint32_t unit = first_get(list);
	struct edge_block *block = block_at(segment, unit);
	uint32_t entries = 0;

	while (block && block_is_void(block) && !limbo_reserve(segment, 1)) {
		uint32_t next =
		    atomic_load_explicit(&block->next, memory_order_relaxed);

		entries +=
		    atomic_load_explicit(&block->count, memory_order_relaxed);
		/* A2: what was behind it is published already */
		atomic_store_explicit(list->first, next, memory_order_release);
		limbo_push(segment, commit, LIMBO_BLOCK, unit);
		unit = next;
		block = block_at(segment, unit);
	}
	return entries;
}

void edges_undo(struct segment *segment, const struct edge_list *list,
		uint32_t stamp)
{
	uint64_t commit = segment->header->base_commit + stamp;
	struct undo undo = {stamp, 0, 0};
	uint32_t voids;

	list_visit(segment, list, undo_one, &undo);
	voids = voids_unlink(segment, list, commit);
	*list->live = undo.live;
	*list->dead = undo.dead > voids ? undo.dead - voids : 0;
	if (*list->kept > *list->dead)
		*list->kept = *list->dead;
}

/* Blocks there may be in all: no chain is longer, unless it is a ring. */
static uint64_t blocks_most(const struct segment *segment)
{
	return region_bytes(segment_region(segment, REGION_EDGES)) / EDGE_UNIT;
}

uint32_t edges_blocks(const struct segment *segment,
		      const struct edge_list *list)
{
	struct edge_block *block = block_at(segment, first_get(list));
	uint32_t count = 0;

	while (block && count < blocks_most(segment)) {
		count++;
		block = block_at(
		    segment,
		    atomic_load_explicit(&block->next, memory_order_relaxed));
	}
	return count;
}

struct copy {
	struct segment *segment;
	struct edge_block *block;
	uint32_t unit;
	uint32_t class_index;
	uint32_t oldest;
	uint32_t live;
	uint32_t dead;
	int err;
};

static int copy_one(void *user, struct edge_entry *entry)
{
	struct copy *copy = user;
	uint32_t born =
	    atomic_load_explicit(&entry->born, memory_order_relaxed);
	uint32_t died =
	    atomic_load_explicit(&entry->died, memory_order_relaxed);
	uint32_t before = copy->unit;
	uint32_t at;

	if (born == STAMP_NEVER || died <= copy->oldest)
		return 0;
	if (!copy->block || block_full(copy->block)) {
		copy->err =
		    block_take(copy->segment, copy->class_index, &copy->unit);
		if (copy->err)
			return 1;
		copy->block = block_at(copy->segment, copy->unit);
		atomic_store_explicit(&copy->block->next, before,
				      memory_order_relaxed);
	}
	at = atomic_load_explicit(&copy->block->count, memory_order_relaxed);
	block_add(copy->block, entry->peer, entry->relation, born);
	atomic_store_explicit(&copy->block->entries[at].died, died,
			      memory_order_relaxed);
	if (died == STAMP_NEVER)
		copy->live++;
	else
		copy->dead++;
	return 0;
}

/* Sends a chain of blocks to limbo, or straight back if never linked. */
static void chain_release(struct segment *segment, uint32_t unit,
			  uint64_t commit, int linked)
{
	uint64_t budget = blocks_most(segment);
	struct edge_block *block;

	while (budget-- && (block = block_at(segment, unit))) {
		uint32_t next =
		    atomic_load_explicit(&block->next, memory_order_relaxed);

		if (linked)
			limbo_push(segment, commit, LIMBO_BLOCK, unit);
		else
			edges_free(segment, unit);
		unit = next;
	}
}

void edges_clear(struct segment *segment, const struct edge_list *list)
{
	uint32_t old = first_get(list);

	atomic_store_explicit(list->first, 0, memory_order_relaxed);
	*list->live = 0;
	*list->dead = 0;
	*list->kept = 0;
	chain_release(segment, old, 0, 0);
}

int edges_compact(struct segment *segment, const struct edge_list *list,
		  uint32_t oldest, uint64_t commit)
{
	uint32_t old = first_get(list);
	struct copy copy = {.segment = segment,
			    .class_index = class_for(2 * *list->live),
			    .oldest = oldest};

	list_visit(segment, list, copy_one, &copy);
	if (copy.err) {
		chain_release(segment, copy.unit, commit, 0);
		return copy.err;
	}
	point("list-copied");
	/* A2: publishes the copy */
	atomic_store_explicit(list->first, copy.unit, memory_order_release);
	point("list-swung");
	*list->live = copy.live;
	*list->dead = copy.dead;
	*list->kept = copy.dead;
	chain_release(segment, old, commit, 1);
	return 0;
}

void edges_free(struct segment *segment, uint32_t unit)
{
	struct adjacency *adjacency = adjacency_of(segment);
	struct edge_block *block = block_at(segment, unit);
	uint32_t class_index;

	if (!block)
		return;
	class_index = block->class_index;
	atomic_store_explicit(&block->next, adjacency->free_units[class_index],
			      memory_order_relaxed);
	adjacency->free_units[class_index] = unit;
	free_bytes_add(adjacency, (int64_t)EDGE_UNIT << class_index);
}
