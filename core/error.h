/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a number for programs, a line for people.
 *
 * idea
 *	A function that fails says so once, where it knows most: it returns
 *	error_set(), which keeps a line of what, why and what to do for the
 *	calling thread without allocating, and the number goes up unchanged.
 */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include "coppice.h"

/* Keeps the line and returns `error`. */
cop_err error_set(cop_err error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The number that the public header promises for an errno or a code of
 * LMDB's: a full disk or map is COP_NO_SPACE, and so on.
 */
cop_err error_public(int error);

/*
 * error_set() with error_public() of `error`, its own words appended, and what
 * to do about it.
 */
cop_err error_system(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How much of a key of so many bytes a line shows. */
static inline int error_shown(size_t size)
{
	return size < 200 ? (int)size : 200;
}

/* Puts words before the line. */
void error_prefix(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Forgets the line: at the start of a call that may fail. */
void error_clear(void);

/*
 * What a callback's answer comes to: COP_STOPPED unless it is 0.  A line that
 * a call in it has left stays, for that is why; error_clear() comes before.
 */
cop_err error_answer(int32_t answer);

#endif
