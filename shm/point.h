/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points: named places in the protocols at which a test may kill the process.
 *
 * A point costs a load and a branch that is never taken; only code that takes
 * locks or commits has them, never a search or a walk.
 */
#ifndef SHM_POINT_H
#define SHM_POINT_H

#include <stddef.h>

/* NULL, or what a test has set. */
extern void (*point_hook)(const char *name);

static inline void point(const char *name)
{
	if (__builtin_expect(point_hook != NULL, 0))
		point_hook(name);
}

#endif
