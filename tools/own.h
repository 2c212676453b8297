/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of what is to be put, and of what was read, to be put; own.c. */
#ifndef TOOLS_OWN_H
#define TOOLS_OWN_H

#include "coppice.h"
#include "scratch.h"

/*
 * Copies of an entity and of an edge with all that they point to.  Return 0 or
 * ENOMEM.
 */
int own_put(struct scratch *scratch, const struct cop_put *put,
	    struct cop_put *out);
int own_edge(struct scratch *scratch, const struct cop_put_edge *edge,
	     struct cop_put_edge *out);

/* Of a text; NULL: no memory. */
const char *own_text(struct scratch *scratch, const void *text, size_t size);

/*
 * A value that was read as one that can be put: its texts stay where they are.
 * Returns 0, ENOMEM or what reading it did.
 */
cop_err own_value(struct scratch *scratch, const struct cop_value *value,
		  struct cop_value *out);

/*
 * The same of an entity, but its content and its vector, and of an edge's
 * properties and validity.  Lifetime of the texts: as the read says.
 */
cop_err own_entity(struct scratch *scratch, cop_read *read,
		   const struct cop_entity *entity, struct cop_put *out);
cop_err own_edge_read(struct scratch *scratch, cop_read *read,
		      const struct cop_edge *edge, struct cop_put_edge *out);

#endif
