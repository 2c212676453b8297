/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the whole tree.
 *
 * idea
 *	From the root with a stack: each child knows its parent, a node's count
 *	is what is below it, no node is uneven, a child's boxes lie in its own,
 *	coordinates are the bank's, and each linked row is where its word says.
 *	What is in the tree or free is all that was ever taken.
 */
#include "kdtree.h"
#include "segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct look {
	const struct segment *segment;
	struct kd_ground ground;
	struct kd_figures *figures;
	uint64_t *seen; /* a bit a row */
	uint32_t limit;
	uint64_t wrong;
};

/* A child to be looked at: what its parent says of it. */
struct ward {
	kd_ref ref;
	uint32_t parent;
	uint32_t depth;
	const float *box; /* NULL: the root has none */
};

static int box_holds(const struct look *look, const float *box, const float *x)
{
	for (uint32_t d = 0; box && d < look->ground.dim; d++)
		if (x[d] < box[d] || x[d] > box[look->ground.width + d])
			return 0;
	return 1;
}

static void row_look(struct look *look, const struct kd_item *item,
		     uint32_t leaf, const float *box)
{
	const _Atomic uint32_t *place = kd_place(look->segment, item->row);
	uint64_t bit = UINT64_C(1) << (item->row & 63);
	struct kd_item own;

	if (!item->row || item->row >= look->limit || !place) {
		look->wrong++;
		return;
	}
	look->wrong += (look->seen[item->row / 64] & bit) != 0;
	look->seen[item->row / 64] |= bit;
	look->wrong +=
	    !hnsw_is_linked(look->segment, item->row) ||
	    atomic_load_explicit(place, memory_order_relaxed) != leaf ||
	    !kd_item_get(look->segment, item->row, &own) ||
	    memcmp(own.x, item->x, sizeof own.x) != 0 ||
	    !box_holds(look, box, item->x);
}

static void leaf_look(struct look *look, const struct ward *ward)
{
	const struct kd_leaf *leaf = kd_leaf_at(&look->ground, ward->ref >> 1);
	struct kd_item items[KD_LEAF_ROWS];
	uint32_t count =
	    kd_gather(&look->ground, ward->ref, items, KD_LEAF_ROWS);

	look->figures->leaves++;
	if (!count || count > KD_LEAF_ROWS || leaf->parent != ward->parent) {
		look->wrong++;
		return;
	}
	look->figures->rows += count;
	for (uint32_t i = 0; i < count; i++)
		row_look(look, &items[i], ward->ref >> 1, ward->box);
}

static void node_look(struct look *look, const struct ward *ward,
		      struct ward wards[2])
{
	uint32_t number = ward->ref >> 1;
	struct kd_node *node = kd_node_at(&look->ground, number);
	uint32_t rows[2];

	look->figures->nodes++;
	for (uint32_t side = 0; side < 2; side++) {
		kd_ref ref = atomic_load_explicit(&node->child[side],
						  memory_order_relaxed);
		const float *box = kd_box(&look->ground, node, side);

		wards[side] = (struct ward){ref, number, ward->depth + 1, box};
		rows[side] = kd_rows_of(&look->ground, ref);
		look->wrong +=
		    !box_holds(look, ward->box, box) ||
		    !box_holds(look, ward->box, box + look->ground.width);
	}
	look->wrong += node->parent != ward->parent ||
		       node->rows != (uint64_t)rows[0] + rows[1] ||
		       kd_is_uneven(rows[0], rows[1]);
}

static void tree_look(struct look *look, kd_ref root)
{
	struct ward stack[KD_DEPTH_MAX + 2];
	uint64_t steps = look->ground.count * UINT64_C(2);
	uint32_t depth = 0;

	if (root)
		stack[depth++] = (struct ward){.ref = root};
	while (depth) {
		struct ward ward = stack[--depth];

		if (ward.depth > look->figures->depth)
			look->figures->depth = ward.depth;
		if (!kd_node_at(&look->ground, ward.ref >> 1) || !steps-- ||
		    depth + 2 > KD_DEPTH_MAX + 2) {
			look->wrong++;
			return;
		}
		if (ward.ref & 1) {
			leaf_look(look, &ward);
			continue;
		}
		node_look(look, &ward, stack + depth);
		depth += 2;
	}
}

/* All that is linked, nothing is lost, and nothing is under way. */
static int sums_hold(const struct look *look)
{
	const struct kdtree *tree = &look->segment->header->kdtree;
	const struct kd_figures *figures = look->figures;

	return figures->rows == tree->rows &&
	       figures->rows == hnsw_linked(look->segment) &&
	       figures->leaves + tree->leaves.free_count == tree->leaves.used &&
	       figures->nodes + tree->nodes.free_count == tree->nodes.used &&
	       !(atomic_load_explicit(&tree->seq, memory_order_relaxed) & 1) &&
	       !atomic_load_explicit(&tree->doing, memory_order_relaxed);
}

int kd_validate(const struct segment *segment, struct kd_figures *out)
{
	struct look look = {
	    .segment = segment, .figures = out, .limit = hnsw_limit(segment)};

	*out = (struct kd_figures){.is_there = kd_is_there(segment)};
	if (!out->is_there)
		return 0;
	kd_ground_init(&look.ground, segment);
	look.seen = calloc(look.limit / 64 + 1, sizeof *look.seen);
	if (!look.seen)
		return ENOMEM;
	tree_look(&look, atomic_load_explicit(&segment->header->kdtree.root,
					      memory_order_relaxed));
	free(look.seen);
	return look.wrong || !sums_hold(&look) ? EBADMSG : 0;
}
