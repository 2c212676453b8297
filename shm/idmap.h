/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id map: from a key to the id that it has for ever.
 *
 * idea
 *	Open addressing over cache lines: a bucket is eight words, a word is
 *	an entity id and 32 bits of its key's hash.  The bits choose the
 *	bucket, too, so a table grows without looking at a key.  A match is
 *	settled by comparing the key itself, through the entity's head.
 *	Entries are only ever added: what an aborted commit leaves behind
 *	matches no key and says nothing of existence.
 *
 * layout
 *	table word: offset in REGION_IDMAP / 64 << 8 | log2 of the buckets
 *	entry word: hash's low 32 bits << 32 | entity id; 0 is empty
 *
 * ordering
 *	K1	idmap_insert stores the entry (release) after the head's key
 *		is in place; idmap_find acquires the entry.
 *	K2	a larger table is filled, then its word is stored (release);
 *		idmap_find acquires the word.  A reader on the smaller table
 *		misses only keys that no snapshot of its time has.
 *
 * progress
 *	find: wait-free, at most a few lines.  insert: writer lock held.
 *
 * crash
 *	A table half filled was never named; its room is used again.
 *
 * limits
 *	Load 3/4; smaller tables stay where they were (one more copy in all).
 */
#ifndef SHM_IDMAP_H
#define SHM_IDMAP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct segment;

struct idmap {
	_Atomic uint64_t table;
	uint64_t count; /* writer's: entries in it, abandoned ones too */
	uint64_t end;	/* writer's: bytes of REGION_IDMAP in use */
};

/*
 * The id of a key, 0 if it was never given one.
 * hash		xxh3 of the key
 */
uint32_t idmap_find(const struct segment *segment, uint64_t hash,
		    const void *key, size_t key_size);

/* Where a key is looked for; NULL in an empty map. */
struct idmap_place {
	const void *buckets;
	uint64_t mask; /* buckets - 1 */
	uint32_t tag;
};

/* Starts to fetch the line that idmap_guess or idmap_find will read first. */
struct idmap_place idmap_prefetch(const struct segment *segment, uint64_t hash);

/*
 * An id that a key probably has, 0 if certainly none: only the hash was
 * compared, so the caller compares the key itself with what it then reads.
 * If it differs, idmap_find knows.
 */
uint32_t idmap_guess(const struct idmap_place *place);

/*
 * Enters a key and its bytes under an id, unless it is there already.  Another
 * id that an abandoned attempt gave it forgets the key.
 * Returns	0, or ENOSPC and the like, with nothing entered.
 */
int idmap_insert(struct segment *segment, uint64_t hash, const void *key,
		 size_t key_size, uint32_t id);

/*
 * Checks that every entry names a head; returns how many do not.
 */
uint64_t idmap_validate(const struct segment *segment);

#endif
