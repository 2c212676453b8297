/* SPDX-License-Identifier: Apache-2.0 */
/* Large content in lines of its own, in front of its record; part.c. */
#ifndef TOOLS_PART_H
#define TOOLS_PART_H

#include "fault.h"

/* What is longer is in parts of so many bytes. */
enum { PART_BYTES = 1048576 };

/* The parts that came for the record that is next. */
struct parts {
	/* chosen by the caller, the rest zero */
	cop_store *store;
	int is_dry; /* nothing is put */
	/* its own */
	cop_upload *upload; /* NULL: none, or it is dry */
	unsigned char key[COP_KEY_BYTES];
	size_t key_size;
	uint64_t size; /* of what came */
	uint64_t lines;
	char reason[200]; /* why it is of no use, "": it is */
	uint64_t astray;  /* lines in front of no record of theirs */
};

/* Writes an entity's content as such lines, if it is that large. */
cop_err part_write(cop_read *read, const struct cop_entity *entity);

/* Whether two contents are the same. */
cop_err part_compare(cop_read *a_read, const struct cop_entity *a,
		     cop_read *b_read, const struct cop_entity *b,
		     int *is_same);

/* Whether a line is such a part, and not a record. */
int part_is(const char *line, size_t size);

/*
 * Takes a part.  One that is bad is told of by the record that it belongs to.
 * Returns 0 or an exit status.
 */
int parts_add(struct parts *parts, const char *line, size_t size,
	      struct fault *fault);

/*
 * For a record whose content has so many bytes: *has says whether there are
 * parts before it, *upload is what they made, NULL if it is dry, and the
 * caller's to end.  Returns 0 or an exit status.
 */
int parts_take(struct parts *parts, const void *key, size_t key_size,
	       uint64_t bytes, int *has, cop_upload **upload,
	       struct fault *fault);

/* Drops what was not taken. */
void parts_drop(struct parts *parts);

#endif
