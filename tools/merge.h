/* SPDX-License-Identifier: Apache-2.0 */
/* A record and what is there already, as one; merge.c. */
#ifndef TOOLS_MERGE_H
#define TOOLS_MERGE_H

#include "coppice.h"
#include "scratch.h"

/*
 * What is there of an entity with what a record says on top of it: properties
 * of both, the record's win; tags of both; type, content and vector of the
 * record if it gives them.  has_type: the record's type is its own.
 * Returns 0 or ENOMEM; *out borrows from both and the scratch.
 */
int merge_put(struct scratch *scratch, const struct cop_put *there,
	      const struct cop_put *record, int has_type, struct cop_put *out);

/* The same of an edge: properties of both, when it is valid if given. */
int merge_edge(struct scratch *scratch, const struct cop_put_edge *there,
	       const struct cop_put_edge *record, struct cop_put_edge *out);

#endif
