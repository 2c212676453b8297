/* SPDX-License-Identifier: Apache-2.0 */
#include "kdtree.h"
#include "segment.h"

#include <float.h>
#include <string.h>

enum { LINE = 64 };

int kd_applies(const struct segment *segment)
{
	const struct bank_shape *bank = &segment->bank;

	return bank->dim >= KD_DIM_MIN && bank->dim <= KD_DIM_MAX &&
	       (bank->metric == METRIC_L2 || bank->metric == METRIC_COSINE);
}

int kd_is_there(const struct segment *segment)
{
	/* relaxed: a hint; the writer's own word otherwise */
	return kd_applies(segment) &&
	       atomic_load_explicit(&segment->header->kdtree.is_there,
				    memory_order_relaxed);
}

static size_t lines(size_t bytes)
{
	return (bytes + LINE - 1) & ~(size_t)(LINE - 1);
}

static void shape_init(struct kd_ground *ground, const struct segment *segment)
{
	uint32_t dim = segment->bank.dim;
	size_t leaf =
	    sizeof(struct kd_leaf) + sizeof(float) * KD_LEAF_ROWS * dim;

	ground->segment = segment;
	ground->dim = dim;
	ground->width = dim <= 2 ? 2 : dim <= 4 ? 4 : 8;
	ground->leaf_bytes = lines(leaf);
	ground->cell_bytes =
	    ground->leaf_bytes +
	    lines(sizeof(struct kd_node) + 4 * sizeof(float) * ground->width);
}

void kd_ground_init(struct kd_ground *ground, const struct segment *segment)
{
	const struct region_view *region = segment_region(segment, REGION_TREE);

	shape_init(ground, segment);
	ground->count = (uint32_t)(region_bytes(region) / ground->cell_bytes);
	ground->cells = region_at(segment->header, region, 0,
				  ground->count * ground->cell_bytes);
	if (!ground->cells)
		ground->count = 0;
}

_Atomic uint32_t *kd_place(const struct segment *segment, uint32_t row)
{
	return region_at(segment->header,
			 segment_region(segment, REGION_LEAVES),
			 row * UINT64_C(4), 4);
}

int kd_has(const struct segment *segment, uint32_t row)
{
	const _Atomic uint32_t *place =
	    kd_is_there(segment) ? kd_place(segment, row) : NULL;

	/* relaxed: the writer's, or under T1 */
	return place && atomic_load_explicit(place, memory_order_relaxed);
}

/*
 * Finite, and no farther from any query than what the kernels read: a half of
 * the largest floats may stand for more than there are, and what is no number
 * is near to nothing.
 */
static float coordinate(float value)
{
	if (value != value)
		return 0;
	if (value > FLT_MAX)
		return FLT_MAX;
	return value < -FLT_MAX ? -FLT_MAX : value;
}

int kd_item_get(const struct segment *segment, uint32_t row,
		struct kd_item *item)
{
	*item = (struct kd_item){.row = row};
	if (!row || !bank_floats(segment, row, item->x))
		return 0;
	for (uint32_t d = 0; d < segment->bank.dim; d++)
		item->x[d] = coordinate(item->x[d]);
	return 1;
}

uint32_t kd_rows_of(const struct kd_ground *ground, kd_ref ref)
{
	const struct kd_leaf *leaf;
	const struct kd_node *node;

	if (ref & 1) {
		leaf = kd_leaf_at(ground, ref >> 1);
		return leaf ? atomic_load_explicit(&leaf->count,
						   memory_order_relaxed)
			    : 0;
	}
	node = kd_node_at(ground, ref >> 1);
	return node ? node->rows : 0;
}

/* ---- changes ------------------------------------------------------------ */

void kd_doing_begin(struct kdtree *tree)
{
	/* before anything is changed: for who comes after a death */
	atomic_store_explicit(&tree->doing, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

void kd_doing_end(struct kdtree *tree)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&tree->doing, 0, memory_order_release);
}

void kd_change_begin(struct kdtree *tree)
{
	uint64_t seq = atomic_load_explicit(&tree->seq, memory_order_relaxed);

	atomic_store_explicit(&tree->seq, seq | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* T1 */
}

void kd_change_end(struct kdtree *tree)
{
	uint64_t seq = atomic_load_explicit(&tree->seq, memory_order_relaxed);

	/* T1: publishes the change */
	atomic_store_explicit(&tree->seq, (seq | 1) + 1, memory_order_release);
}

/* ---- room --------------------------------------------------------------- */

static int cells_grow(struct segment *segment, uint64_t cells)
{
	struct kd_ground shape;

	shape_init(&shape, segment);
	return segment_grow(segment, REGION_TREE, cells * shape.cell_bytes);
}

static uint64_t pool_most(const struct kd_pool *pool, uint32_t count)
{
	uint32_t fresh =
	    count > pool->free_count ? count - pool->free_count : 0;

	return (uint64_t)pool->used + fresh;
}

int kd_room(struct segment *segment, uint32_t leaves)
{
	const struct kdtree *tree = &segment->header->kdtree;
	uint64_t most = pool_most(&tree->leaves, leaves);
	uint64_t nodes = pool_most(&tree->nodes, leaves);

	return cells_grow(segment, nodes > most ? nodes : most);
}

int kd_reserve(struct segment *segment, uint32_t row)
{
	int err = 0;

	if (!kd_applies(segment))
		return 0;
	err = segment_grow(segment, REGION_LEAVES, (row + UINT64_C(1)) * 4);
	return err ? err : cells_grow(segment, kd_leaves_of(row) + UINT64_C(1));
}

void kd_init(struct segment *segment)
{
	/* relaxed: nobody else has the segment */
	atomic_store_explicit(&segment->header->kdtree.is_there,
			      (uint32_t)kd_applies(segment),
			      memory_order_relaxed);
}
