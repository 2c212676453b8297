/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in use: which numbers of the dictionary the records that are copied
 * have in them, so that a copy's dictionary holds no others.
 *
 * idea
 *	A bit a number, set as entries go by: of types, tags, relations and
 *	properties, of what is and of history, of the rules of retention, and
 *	of lists of which it is known that they lack something.
 */
#ifndef CORE_USED_H
#define CORE_USED_H

#include "env.h"

struct used {
	uint64_t *bits;
	uint64_t end;  /* numbers below it have one */
	uint64_t past; /* the greatest number that is set, and 1 */
};

/*
 * Notes the names that an entry of a database has in it.
 * Returns	0, ENOMEM, EBADMSG for a record that makes no sense.
 */
int used_note(struct used *used, enum env_db db, struct bytes key,
	      struct bytes value);

/* Of the rules of retention: the types that have their own. */
int used_rules(struct used *used, struct bytes value);

int used_has(const struct used *used, uint64_t number);

/* The same of an entry of either database of the dictionary. */
int used_names(const struct used *used, enum env_db db, struct bytes key,
	       struct bytes value);

void used_release(struct used *used);

#endif
