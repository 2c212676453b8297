/* SPDX-License-Identifier: Apache-2.0 */
/* Parallel edges of a file, told apart in constant memory; parallel.c. */
#ifndef TOOLS_PARALLEL_H
#define TOOLS_PARALLEL_H

#include "coppice.h"

struct parallel {
	uint64_t *words; /* NULL: none was seen yet */
	uint32_t count;	 /* edges so far */
};

/*
 * Sets the discriminator of the next edge of a file: 0, or its number in the
 * file if one with the same ends and relation may have been before.  Returns 0
 * or ENOMEM.
 */
int parallel_next(struct parallel *parallel, struct cop_put_edge *edge);

void parallel_release(struct parallel *parallel);

#endif
