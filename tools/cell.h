/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of a table as values of a type; cell.c. */
#ifndef TOOLS_CELL_H
#define TOOLS_CELL_H

#include "scratch.h"
#include "fault.h"

struct cell_type {
	int32_t kind; /* COP_STRING, COP_INT, COP_FLOAT or COP_BOOL */
	int is_list;
};

/* How the members of a list stand in a cell. */
struct cell_list {
	int delimiter;
	int is_escaped; /* a backslash may stand before a delimiter in them */
};

/* The kind that a word names, such as `long`; 0 if it is none. */
int32_t cell_kind(const char *word, size_t size);

/*
 * The type that a word, which names none, was meant to be, by its letters;
 * NULL: it may be anything.
 */
const char *cell_near(const char *word, size_t size);

/* The words that cell_kind() knows, for messages. */
extern const char cell_kinds[];

/*
 * The cell, which is not empty, as a value; 0 or an exit status, with the
 * fault saying what it is not.  Lifetime: that of the text and the scratch.
 */
int cell_value(const struct cell_type *type, const struct cell_list *list,
	       const char *text, size_t size, struct scratch *scratch,
	       struct cop_value *out, struct fault *fault);

/*
 * The numbers of a cell, between the delimiter, commas or blanks, in brackets
 * or not.
 */
int cell_vector(const struct cell_list *list, const char *text, size_t size,
		struct scratch *scratch, const float **vector, uint32_t *dim,
		struct fault *fault);

/*
 * The next member of a list from *at on, as it stands: 0 if there is none.
 * *at is 0 at first.
 */
int cell_member(const struct cell_list *list, const char *text, size_t size,
		size_t *at, const char **member, size_t *member_size);

#endif
