/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say which entities: by type, tags and key; select.c. */
#ifndef TOOLS_SELECT_H
#define TOOLS_SELECT_H

#include "args.h"

enum {
	SELECT_TYPE,
	SELECT_TAG,
	SELECT_ANY,
	SELECT_NONE,
	SELECT_PREFIX,
	SELECT_OPTIONS
};

/* Their rows in a verb's table; `base` is the first of its numbers for them. */
#define SELECT_ROWS(base)                                                      \
	{(base) + SELECT_TYPE, "type", "NAME", "only entities of this type"},  \
	    {(base) + SELECT_TAG, "tag", "NAME",                               \
	     "only with this tag; with all, if repeated"},                     \
	    {(base) + SELECT_ANY, "any-tag", "NAME",                           \
	     "only with one of the tags given so"},                            \
	    {(base) + SELECT_NONE, "no-tag", "NAME", "only without this tag"}, \
	{                                                                      \
		(base) + SELECT_PREFIX, "prefix", "TEXT",                      \
		    "only if the key begins with it"                           \
	}

struct select {
	struct cop_select select; /* points into the others */
	const char *all[COP_FILTER_TAGS];
	const char *any[COP_FILTER_TAGS];
	const char *none[COP_FILTER_TAGS];
};

void select_init(struct select *select);

/* Takes the option that args_next() returned, `id` less the base. */
int select_option(struct select *select, struct cli *cli, int id);

/* Whether an entity is as asked for. */
cop_err select_matches(const struct cop_select *wanted, cop_read *read,
		       const struct cop_entity *entity, int *matches);

/* Whether it asks for anything less than all. */
int select_is_given(const struct select *select);

#endif
