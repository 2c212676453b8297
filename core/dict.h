/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dictionary: types, relations, tags and property names as numbers.
 *
 * idea
 *	A name gets a number once and keeps it.  LMDB has both directions; a
 *	process that writes keeps the names it has met in a map of its own,
 *	which is right as long as it holds committed names only: after an
 *	abort it is emptied.  A compaction drops names that no record has, and
 *	their numbers are not used again; in another generation the map is
 *	emptied, too.
 */
#ifndef CORE_DICT_H
#define CORE_DICT_H

#include "buffer.h"
#include "codec.h"
#include "env.h"
#include "format.h"

struct dict {
	struct hashmap map;
	struct buffer entries; /* struct dict_entry */
	struct buffer text;
	uint64_t generation; /* in which its names are known */
};

struct dict_entry {
	uint64_t hash;
	uint32_t text_at;
	uint32_t number;
	uint8_t space;
	uint8_t size;
	uint16_t reserved[3];
};

/* A name's number in the transaction's snapshot, 0 if it has none. */
cop_err dict_find(const struct env *env, env_txn *txn, enum name_space space,
		  const char *text, size_t size, uint32_t *number);

/* The text behind a number; text->data NULL if there is none. */
cop_err dict_text(const struct env *env, env_txn *txn, uint32_t number,
		  struct bytes *text);

/*
 * The dictionary's numbers for all names of a write, adding those that are
 * new in the write transaction; W held.
 * numbers	room for names->count
 * state	next_name, name_hits and name_misses are brought forward
 */
cop_err dict_resolve(struct dict *dict, const struct env *env, env_txn *txn,
		     const struct name_list *names, struct disk_state *state,
		     uint32_t *numbers);

/* Who has a type or a tag, or what edges of a relation there are. */
struct name_use {
	uint64_t changed; /* by this commit last; 0: nobody's number */
	uint64_t count;
};

cop_err dict_use(const struct env *env, env_txn *txn, uint32_t number,
		 struct name_use *use);

/* Says that `commit` changes it, to `more` more of them; W held. */
cop_err dict_touch(const struct env *env, env_txn *txn, uint32_t number,
		   uint64_t commit, int64_t more);

/* Before it is asked about a data file: forgets what it knew of another. */
void dict_follow(struct dict *dict, uint64_t generation);
void dict_clear(struct dict *dict);
void dict_release(struct dict *dict);

#endif
