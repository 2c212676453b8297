/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of retention: the store's, and those of types that have their own.
 */
#ifndef CORE_RULES_H
#define CORE_RULES_H

#include "coppice.h"
#include "env.h"
#include "format.h"

struct retain_rules {
	struct disk_retention *list; /* the store's first, then by type */
	uint32_t count;
};

/* A rule from what a caller asks for, without its type; COP_INVALID. */
cop_err rules_of(const struct cop_retention *wanted,
		 struct disk_retention *out);

/* What a caller sees of a rule, without its type. */
struct cop_retention rules_view(const struct disk_retention *rule);

/* As of a transaction.  Released with rules_release, also after an error. */
cop_err rules_read(const struct env *env, env_txn *txn,
		   struct retain_rules *out);

/* Adds a rule, or replaces that of its type.  0 or ENOMEM. */
int rules_set(struct retain_rules *rules, const struct disk_retention *rule);

/* Stores them; 0 or LMDB's code. */
int rules_put(const struct env *env, env_txn *txn,
	      const struct retain_rules *rules);

/* That of a type, or the store's. */
const struct disk_retention *rules_for(const struct retain_rules *rules,
				       uint32_t type);

/* The longest age of all, 0: for ever. */
uint64_t rules_age(const struct retain_rules *rules);

/* None keeps more than this one. */
void rules_narrow(struct retain_rules *rules,
		  const struct disk_retention *most);

void rules_release(struct retain_rules *rules);

#endif
