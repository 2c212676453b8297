/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a table of entities or edges; columns.c. */
#ifndef TOOLS_COLUMNS_H
#define TOOLS_COLUMNS_H

#include "cell.h"
#include "csv.h"

/* What the cells of a column are; each but the first two is there once. */
enum column_role {
	ROLE_PROPERTY,
	ROLE_IGNORED,
	ROLE_KEY,
	ROLE_TYPE,
	ROLE_LABELS, /* the first one is the type, the others are tags */
	ROLE_TAGS,
	ROLE_CONTENT,
	ROLE_VECTOR,
	ROLE_SOURCE,
	ROLE_RELATION,
	ROLE_TARGET,
	ROLE_VALID_FROM,
	ROLE_VALID_TO,
	ROLE_DISCRIMINATOR,
	ROLE_COUNT
};

struct column {
	char *title; /* as the header has it */
	char *name;  /* of the property; NULL: its cells are none */
	size_t name_size;
	char *space; /* of the ids, NULL: none */
	size_t space_size;
	int role; /* enum column_role */
	struct cell_type type;
	int is_typed;	  /* by the header */
	const char *odd;  /* what stands where a type would, but is none */
	const char *near; /* the type that it was meant to be, NULL: none */
	int is_odd_list;  /* [] is behind it */
};

struct columns {
	struct column *items;
	size_t count;
	int is_edges;
	int is_gremlin;	       /* the names begin with ~ */
	int is_neo4j;	       /* it has :ID and the like */
	size_t at[ROLE_COUNT]; /* which column has the role; SIZE_MAX: none */
};

/*
 * The columns as the first record names them.  has_relation: edges need no
 * column for theirs.  Returns 0 or an exit status; to be released either way.
 */
int columns_read(struct columns *columns, struct csv *csv, int has_relation,
		 struct fault *fault);

/*
 * Those of a file without names: 2 are source and target, 3 source, relation
 * and target.
 */
int columns_guess(struct columns *columns, const struct csv *csv,
		  int has_relation, struct fault *fault);

void columns_release(struct columns *columns);

#endif
