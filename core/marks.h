/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: small values of the application's, each under a name, that change
 * with the commit that they are in.
 *
 * idea
 *	Where a program that feeds the store, or follows it, has come to must
 *	change together with what it did, or a death in between has it do
 *	something twice or not at all.  So a mark is an operation of a write.
 *
 * layout
 *	One entry of the main database has all of them, by name: there are few,
 *	and so every copy of the store has them that has its rules of
 *	retention.  See struct disk_mark.
 *
 * limits
 *	No history is kept of them: a read sees them as of its snapshot, also
 *	one as of the past.  A commit that changes one writes all.
 */
#ifndef CORE_MARKS_H
#define CORE_MARKS_H

#include "apply.h"

/* The entry's key in DB_META. */
static inline struct bytes marks_key(void)
{
	return bytes_of("marks", 5);
}

/* Whether an entry's value is a list of marks. */
int marks_are_sound(struct bytes list);

/* Applies an OP_MARK; see cop_mark. */
cop_err marks_apply(struct apply *apply, const struct op *op);

#endif
