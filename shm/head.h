/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads: what shared memory knows of each entity, one cache line an id.
 *
 * idea
 *	Ids are dense numbers from 1, given once and never to another key, so
 *	the table is an array.  A key keeps its id when its entity is deleted
 *	and put again: existence is the head's, the key is forever.
 *
 * layout	(64 bytes)
 *	0  changed	commit number << 1 | pending
 *	8  key		offset in REGION_TEXT << 16 | size
 *	16 kind		type << 1 | alive
 *	20 row		newest row of the bank
 *	24 relisted	commit, less the segment's base, that last changed the
 *			lists
 *	28 live and dead entries of both lists, and the dead that the last
 *	   compaction had to keep; the writer's alone
 *	52 record	block of record.h with a copy of its record, 0: none
 *
 *	Aside, in REGION_LISTS, 8 bytes an id: the newest block of its two
 *	adjacency lists.  Who follows edges needs nothing else of an entity, and
 *	eight of them in a cache line are in the caches where heads are not.
 *
 * ordering
 *	H1	head_mark sets pending before kind, row or record are touched
 *		(release fence); head_read re-reads `changed` after them
 *		(acquire fence), so a half-changed head is never taken.
 *	H2	head_finish stores the fields, then `changed` (release);
 *		head_read acquires it.
 *
 * snapshot
 *	A reader at S may use kind, row and record only if the head is not
 *	pending and changed <= S; otherwise it asks LMDB, which knows S.
 *	The lists need no such check: their entries carry born and died.
 *
 * progress
 *	head_read: wait-free.
 *
 * crash
 *	A head left pending sends readers to LMDB until the next writer
 *	derives it again from LMDB.
 *
 * limits
 *	2^32 - 2 entities; 2^31 - 1 types; keys up to 65,535 bytes.
 */
#ifndef SHM_HEAD_H
#define SHM_HEAD_H

#include "region.h"

struct head {
	_Atomic uint64_t changed;
	_Atomic uint64_t key;
	_Atomic uint32_t kind;
	_Atomic uint32_t row;
	_Atomic uint32_t relisted;
	uint32_t out_live;
	uint32_t out_dead;
	uint32_t in_live;
	uint32_t in_dead;
	uint32_t out_kept;
	uint32_t in_kept;
	_Atomic uint32_t record;
	uint32_t reserved[2];
};

static_assert(sizeof(struct head) == 64, "head is a cache line");

struct head_lists {
	_Atomic uint32_t out;
	_Atomic uint32_t in;
};

static_assert(sizeof(struct head_lists) == 8, "lists are a word");

struct head_table {
	_Atomic uint64_t count; /* ids below it have a head; 0 is no id */
	uint64_t text_bytes;	/* writer's: of REGION_TEXT in use */
};

struct head_state {
	uint32_t type;
	uint32_t alive;
	uint32_t row;
	uint32_t record;
};

/* The head of an id, NULL if the id has none. */
static inline struct head *head_at(const void *map,
				   const struct region_view *heads, uint64_t id)
{
	if (!id || id > UINT32_MAX)
		return NULL;
	return region_at(map, heads, id * sizeof(struct head),
			 sizeof(struct head));
}

/* Where the lists of an id begin, NULL if it has none. */
static inline struct head_lists *
head_lists_at(const void *map, const struct region_view *lists, uint64_t id)
{
	if (id > UINT32_MAX)
		return NULL;
	return region_at(map, lists, id * sizeof(struct head_lists),
			 sizeof(struct head_lists));
}

/* Copies the state out; returns 0 if the reader at S has to ask LMDB. */
static inline int head_read(const struct head *head, uint64_t snapshot,
			    struct head_state *out)
{
	/* H2: acquires the fields of the change it names */
	uint64_t seen =
	    atomic_load_explicit(&head->changed, memory_order_acquire);
	uint32_t kind;

	if (seen & 1 || seen >> 1 > snapshot)
		return 0;
	/* relaxed: validated by H1 below */
	kind = atomic_load_explicit(&head->kind, memory_order_relaxed);
	out->type = kind >> 1;
	out->alive = kind & 1;
	out->row = atomic_load_explicit(&head->row, memory_order_relaxed);
	out->record = atomic_load_explicit(&head->record, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire); /* H1: pairs head_mark */
	return atomic_load_explicit(&head->changed, memory_order_relaxed) ==
	       seen;
}

/* The commit that last changed the lists, of all since the base. */
static inline uint64_t head_relisted(const struct head *head, uint64_t base)
{
	return base +
	       atomic_load_explicit(&head->relisted, memory_order_acquire);
}

/* The record that a head names, or did a moment ago: to prefetch, no more. */
static inline uint32_t head_record_hint(const struct head *head)
{
	/* relaxed: nothing hangs on it */
	return atomic_load_explicit(&head->record, memory_order_relaxed);
}

/* The rest is for who holds the writer lock. */

static inline void head_relist(struct head *head, uint32_t stamp)
{
	atomic_store_explicit(&head->relisted, stamp, memory_order_release);
}

static inline struct head_state head_peek_locked(const struct head *head)
{
	/* relaxed: nobody else writes */
	uint32_t kind = atomic_load_explicit(&head->kind, memory_order_relaxed);

	return (struct head_state){
	    kind >> 1, kind & 1,
	    atomic_load_explicit(&head->row, memory_order_relaxed),
	    atomic_load_explicit(&head->record, memory_order_relaxed)};
}

static inline void head_mark(struct head *head, uint64_t commit)
{
	atomic_store_explicit(&head->changed, commit << 1 | 1,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* H1 */
}

static inline void head_finish(struct head *head, uint64_t commit,
			       const struct head_state *state)
{
	atomic_store_explicit(&head->kind,
			      state->type << 1 | (state->alive != 0),
			      memory_order_relaxed);
	atomic_store_explicit(&head->row, state->row, memory_order_relaxed);
	atomic_store_explicit(&head->record, state->record,
			      memory_order_relaxed);
	/* H2: publishes the fields */
	atomic_store_explicit(&head->changed, commit << 1,
			      memory_order_release);
}

/* A key's place in REGION_TEXT, packed; see the layout. */
static inline void head_set_key(struct head *head, uint64_t offset,
				uint32_t size)
{
	atomic_store_explicit(&head->key, offset << 16 | size,
			      memory_order_release);
}

/* The key's bytes; NULL and *size 0 if the id has none. */
static inline const void *head_key(const void *map,
				   const struct region_view *text,
				   const struct head *head, uint32_t *size)
{
	uint64_t key = atomic_load_explicit(&head->key, memory_order_acquire);
	uint32_t bytes = (uint32_t)(key & 0xffff);
	const void *at = bytes ? region_at(map, text, key >> 16, bytes) : NULL;

	*size = at ? bytes : 0;
	return at;
}

#endif
