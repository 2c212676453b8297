/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for one record, given back at once; scratch.c. */
#ifndef TOOLS_SCRATCH_H
#define TOOLS_SCRATCH_H

#include <stddef.h>

struct scratch_block;

struct scratch {
	struct scratch_block *first;
};

/*
 * Room for `count` items of `item_size` bytes, aligned for anything; NULL if
 * memory is out.  Lifetime: until scratch_reset or scratch_release.
 */
void *scratch_take(struct scratch *scratch, size_t count, size_t item_size);

/* Takes everything back; keeps a block for the next record. */
void scratch_reset(struct scratch *scratch);

void scratch_release(struct scratch *scratch);

#endif
