/* SPDX-License-Identifier: Apache-2.0 */
/* What assistants do with a store: JSON in, JSON out; memory.c. */
#ifndef TOOLS_MEMORY_H
#define TOOLS_MEMORY_H

#include "fault.h"
#include "record.h"

#include <jansson.h>

struct memory {
	cop_store *store;
	uint32_t dim;
	struct record record;
	struct fault fault;
};

/*
 * One operation: its arguments, an object, and its result, to be released.
 * Returns	0, or an exit status with memory->fault set: nothing was done.
 */
typedef int memory_fn(struct memory *memory, const json_t *arguments,
		      json_t **result);

memory_fn memory_search;
memory_fn memory_recall;
memory_fn memory_neighbors;
memory_fn memory_remember;
memory_fn memory_relate;
memory_fn memory_forget;

void memory_release(struct memory *memory);

#endif
