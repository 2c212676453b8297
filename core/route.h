/* SPDX-License-Identifier: Apache-2.0 */
/* Cheapest paths, by a property of the edges. */
#ifndef CORE_ROUTE_H
#define CORE_ROUTE_H

#include "graph.h"

/*
 * A cheapest path between two that are there; as cop_path, *count stays 0 if
 * there is none.
 */
cop_err route_find(cop_read *read, const struct graph_way *way,
		   const struct cop_path *path, struct cop_step *steps,
		   size_t capacity, size_t *count);

#endif
