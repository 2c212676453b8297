/* SPDX-License-Identifier: Apache-2.0 */
/* Applying operations on edges: apply_edge.c one, apply_edges.c many. */
#ifndef CORE_APPLY_EDGE_H
#define CORE_APPLY_EDGE_H

#include "apply.h"

enum {
	EDGE_RUN_LEAST = 16, /* so many are put together */
	EDGE_RUN_MOST = 262144
};

/* Deletes all edges of an entity that are in one of the two indexes. */
cop_err apply_edges_wipe(struct apply *apply, enum env_db db, uint64_t id);

cop_err apply_edge_op(struct apply *apply, const struct op *op);
cop_err apply_unlink_op(struct apply *apply, const struct op *op);

/*
 * Applies so many operations that put edges, which come one after the other,
 * as if it were in their order.
 * first	index of the first one in apply's request
 * at		where that is; moved behind the last one
 * Returns	as apply_run, with result.failed set where it is one's fault
 */
cop_err apply_edge_run(struct apply *apply, uint32_t first, uint32_t count,
		       size_t *at);

/*
 * Finds the ends of an edge; what is not 0 was found before.  Those that are
 * not there are put, if that is wished.
 * *source, *target	0, of one of them: the edge is skipped
 */
cop_err apply_edge_ends(struct apply *apply, const struct op *op,
			uint64_t *source, uint64_t *target);

/* What an operation puts between two entities. */
struct edge_change apply_edge_of(const struct apply *apply, const struct op *op,
				 uint64_t source, uint64_t target);
struct bytes apply_edge_record(const struct op *op);

/*
 * The two parts of apply_edge_put: the edge, with what comes of it, and then
 * its entry in the index of the other direction.
 */
cop_err apply_edge_out(struct apply *apply, const struct edge_change *edge,
		       struct bytes record, const uint32_t *numbers);
cop_err apply_edge_in(struct apply *apply, const struct edge_change *edge,
		      const struct disk_edge *record);

#endif
