/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Laying out rows as a tree, and what is free again.
 *
 * idea
 *	From the top: the widest dimension of the rows' box is halved at the
 *	row in the middle, which is found by partitions around one of three
 *	rows drawn at random (Hoare, "Algorithm 65: FIND", 1961); equal ones
 *	are spread over both sides.  A half waits on a stack while the other
 *	is laid out, so the stack is as deep as the tree.
 */
#include "kdtree.h"
#include "point.h"
#include "segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is free ------------------------------------------------------- */

static uint32_t leaf_take(const struct kd_ground *ground, struct kd_pool *pool)
{
	const struct kd_leaf *leaf = kd_leaf_at(ground, pool->free);
	uint32_t number = pool->free;

	if (leaf && pool->free_count) {
		pool->free = leaf->parent;
		pool->free_count--;
		return number;
	}
	return pool->used < ground->count ? ++pool->used : 0;
}

static uint32_t node_take(const struct kd_ground *ground, struct kd_pool *pool)
{
	const struct kd_node *node = kd_node_at(ground, pool->free);
	uint32_t number = pool->free;

	if (node && pool->free_count) {
		pool->free = node->parent;
		pool->free_count--;
		return number;
	}
	return pool->used < ground->count ? ++pool->used : 0;
}

static void free_put(struct kd_pool *pool, uint32_t *next, uint32_t number)
{
	*next = pool->free;
	pool->free = number;
	pool->free_count++;
}

void kd_free(struct segment *segment, kd_ref ref)
{
	struct kdtree *tree = &segment->header->kdtree;
	struct kd_ground ground;
	kd_ref stack[KD_DEPTH_MAX + 2];
	uint32_t depth = 0;
	uint64_t steps;

	kd_ground_init(&ground, segment);
	steps = ground.count * UINT64_C(2);
	stack[depth++] = ref;
	while (depth && steps--) {
		kd_ref at = stack[--depth];
		struct kd_leaf *leaf = kd_leaf_at(&ground, at >> 1);
		struct kd_node *node = kd_node_at(&ground, at >> 1);

		if (!node || depth + 2 > KD_DEPTH_MAX + 2)
			return;
		if (at & 1) {
			free_put(&tree->leaves, &leaf->parent, at >> 1);
			continue;
		}
		for (uint32_t side = 0; side < 2; side++)
			stack[depth++] = atomic_load_explicit(
			    &node->child[side], memory_order_relaxed);
		free_put(&tree->nodes, &node->parent, at >> 1);
	}
}

/* ---- gathering ---------------------------------------------------------- */

static uint32_t leaf_gather(const struct kd_ground *ground,
			    const struct kd_leaf *leaf, struct kd_item *items,
			    uint32_t room)
{
	uint32_t count =
	    atomic_load_explicit(&leaf->count, memory_order_relaxed);

	if (count > KD_LEAF_ROWS || count > room)
		return UINT32_MAX;
	for (uint32_t i = 0; i < count; i++) {
		items[i] =
		    (struct kd_item){.row = atomic_load_explicit(
					 &leaf->rows[i], memory_order_relaxed)};
		for (uint32_t d = 0; d < ground->dim; d++)
			items[i].x[d] = leaf->coordinates[d * KD_LEAF_ROWS + i];
	}
	return count;
}

uint32_t kd_gather(const struct kd_ground *ground, kd_ref ref,
		   struct kd_item *items, uint32_t room)
{
	kd_ref stack[KD_DEPTH_MAX + 2];
	uint64_t steps = ground->count * UINT64_C(2);
	uint32_t depth = 0;
	uint32_t count = 0;

	stack[depth++] = ref;
	while (depth) {
		kd_ref at = stack[--depth];
		const struct kd_leaf *leaf = kd_leaf_at(ground, at >> 1);
		const struct kd_node *node = kd_node_at(ground, at >> 1);
		uint32_t more = 0;

		if (!node || !steps-- || depth + 2 > KD_DEPTH_MAX + 2)
			return UINT32_MAX;
		if (at & 1)
			more = leaf_gather(ground, leaf, items + count,
					   room - count);
		for (uint32_t side = 0; side < 2 && !(at & 1); side++)
			stack[depth++] = atomic_load_explicit(
			    &node->child[side], memory_order_relaxed);
		if (more == UINT32_MAX)
			return more;
		count += more;
	}
	return count;
}

/* ---- halving ------------------------------------------------------------ */

static uint32_t draw_below(uint64_t *state, uint32_t end)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(((z >> 32) * end) >> 32);
}

static float middle_of(float a, float b, float c)
{
	float low = a < b ? a : b;
	float high = a < b ? b : a;

	return c < low ? low : c > high ? high : c;
}

/* Has no item before `middle` greater than any from it on. */
static void items_halve(struct kd_item *items, uint32_t count, uint32_t middle,
			uint32_t dim)
{
	uint64_t state = count;
	int64_t low = 0;
	int64_t high = (int64_t)count - 1;

	while (low < high) {
		uint32_t size = (uint32_t)(high - low + 1);
		float pivot =
		    middle_of(items[low + draw_below(&state, size)].x[dim],
			      items[low + draw_below(&state, size)].x[dim],
			      items[low + draw_below(&state, size)].x[dim]);
		int64_t i = low;
		int64_t j = high;

		while (i <= j) {
			struct kd_item kept;

			while (items[i].x[dim] < pivot)
				i++;
			while (items[j].x[dim] > pivot)
				j--;
			if (i > j)
				break;
			kept = items[i];
			items[i++] = items[j];
			items[j--] = kept;
		}
		if (middle <= j)
			high = j;
		else if (middle >= i)
			low = i;
		else
			return;
	}
}

static uint32_t widest_of(const float *box, uint32_t width, uint32_t dim)
{
	uint32_t widest = 0;

	for (uint32_t d = 1; d < dim; d++)
		if (box[width + d] - box[d] > box[width + widest] - box[widest])
			widest = d;
	return widest;
}

/* ---- laying out --------------------------------------------------------- */

struct lay {
	struct segment *segment;
	struct kdtree *tree;
	struct kd_ground ground;
	uint32_t fresh;
	uint32_t fresh_leaf;
};

/* Rows of which a child is to be made. */
struct half {
	struct kd_item *items;
	uint32_t count;
	uint32_t parent;
	uint32_t side;
};

static void place_set(struct lay *lay, uint32_t row, uint32_t leaf)
{
	_Atomic uint32_t *place = kd_place(lay->segment, row);

	if (row == lay->fresh)
		lay->fresh_leaf = leaf;
	else if (place)
		atomic_store_explicit(place, leaf, memory_order_relaxed);
}

static kd_ref leaf_lay(struct lay *lay, const struct half *half)
{
	uint32_t number = leaf_take(&lay->ground, &lay->tree->leaves);
	struct kd_leaf *leaf = kd_leaf_at(&lay->ground, number);

	if (!leaf)
		return 0;
	leaf->parent = half->parent;
	for (uint32_t i = 0; i < half->count; i++) {
		const struct kd_item *item = &half->items[i];

		atomic_store_explicit(&leaf->rows[i], item->row,
				      memory_order_relaxed);
		for (uint32_t d = 0; d < lay->ground.dim; d++)
			kd_float_set(&leaf->coordinates[d * KD_LEAF_ROWS + i],
				     item->x[d]);
		place_set(lay, item->row, number);
	}
	atomic_store_explicit(&leaf->count, half->count, memory_order_relaxed);
	return number << 1 | 1;
}

static kd_ref node_lay(struct lay *lay, const struct half *half,
		       const float *box, struct half halves[2])
{
	uint32_t number = node_take(&lay->ground, &lay->tree->nodes);
	struct kd_node *node = kd_node_at(&lay->ground, number);
	uint32_t middle = half->count / 2;

	if (!node)
		return 0;
	node->parent = half->parent;
	node->rows = half->count;
	node->dim = widest_of(box, lay->ground.width, lay->ground.dim);
	items_halve(half->items, half->count, middle, node->dim);
	node->split = half->items[middle].x[node->dim];
	halves[0] = (struct half){half->items, middle, number, 0};
	halves[1] = (struct half){half->items + middle, half->count - middle,
				  number, 1};
	return number << 1;
}

/* Where the child belongs; the first one is nobody's yet. */
static void child_set(struct lay *lay, const struct half *half, kd_ref ref,
		      const float *box)
{
	struct kd_node *parent = kd_node_at(&lay->ground, half->parent);
	uint32_t width = lay->ground.width;

	if (!parent)
		return;
	atomic_store_explicit(&parent->child[half->side], ref,
			      memory_order_relaxed);
	for (uint32_t i = 0; i < 2 * width; i++)
		kd_float_set(kd_box(&lay->ground, parent, half->side) + i,
			     box[i]);
}

kd_ref kd_lay(struct segment *segment, struct kd_item *items, uint32_t count,
	      float box[2 * KD_DIM_MAX], uint32_t fresh, uint32_t *fresh_leaf)
{
	struct lay lay = {.segment = segment,
			  .tree = &segment->header->kdtree,
			  .fresh = fresh};
	struct half stack[KD_DEPTH_MAX + 2]; /* 32 halvings make one of 2^32 */
	uint32_t depth = 0;
	kd_ref top = 0;

	kd_ground_init(&lay.ground, segment);
	stack[depth++] = (struct half){.items = items, .count = count};
	while (depth) {
		struct half half = stack[--depth];
		float own[2 * KD_DIM_MAX] = {0};
		kd_ref ref;

		kd_box_empty(own, lay.ground.width);
		for (uint32_t i = 0; i < half.count; i++)
			kd_box_add(own, lay.ground.width, half.items[i].x);
		if (half.count <= KD_LEAF_ROWS) {
			ref = leaf_lay(&lay, &half);
		} else {
			ref = node_lay(&lay, &half, own, stack + depth);
			depth += 2;
		}
		if (!ref)
			return 0;
		child_set(&lay, &half, ref, own);
		if (!top) {
			top = ref;
			memcpy(box, own, sizeof own);
		}
	}
	*fresh_leaf = lay.fresh_leaf;
	return top;
}

/* ---- all of it ---------------------------------------------------------- */

/* From here on there is no tree. */
static void tree_drop(struct segment *segment)
{
	struct kdtree *tree = &segment->header->kdtree;

	kd_change_begin(tree);
	atomic_store_explicit(&tree->is_there, 0, memory_order_relaxed);
	atomic_store_explicit(&tree->root, 0, memory_order_relaxed);
	kd_change_end(tree);
	point("kd-dropped");
	tree->leaves = (struct kd_pool){0};
	tree->nodes = (struct kd_pool){0};
	tree->rows = 0;
}

/* Says of every row that it is in no leaf; returns how many are to be. */
static uint32_t places_clear(const struct segment *segment, uint32_t more)
{
	uint32_t limit = hnsw_limit(segment);
	uint32_t count = 0;

	for (uint32_t row = 1; row < limit; row++) {
		_Atomic uint32_t *place = kd_place(segment, row);

		if (place)
			atomic_store_explicit(place, 0, memory_order_relaxed);
		count += row == more || hnsw_is_linked(segment, row);
	}
	return count;
}

static uint32_t linked_gather(const struct segment *segment,
			      struct kd_item *items, uint32_t room,
			      uint32_t more)
{
	uint32_t limit = hnsw_limit(segment);
	uint32_t count = 0;

	for (uint32_t row = 1; row < limit && count < room; row++)
		count += (row == more || hnsw_is_linked(segment, row)) &&
			 kd_item_get(segment, row, &items[count]);
	return count;
}

static void tree_publish(struct segment *segment, kd_ref root, uint32_t rows)
{
	struct kdtree *tree = &segment->header->kdtree;

	point("kd-laid");
	kd_change_begin(tree);
	tree->rows = rows;
	atomic_store_explicit(&tree->root, root, memory_order_relaxed);
	atomic_store_explicit(&tree->is_there, 1, memory_order_relaxed);
	kd_change_end(tree);
	point("kd-published");
}

static int tree_make(struct segment *segment, uint32_t count, uint32_t more)
{
	struct kd_item *items;
	float box[2 * KD_DIM_MAX];
	uint32_t none;
	kd_ref root = 0;

	items = count ? malloc(count * sizeof *items) : NULL;
	if (count && !items)
		return ENOMEM;
	if (count)
		count = linked_gather(segment, items, count, more);
	if (count)
		root = kd_lay(segment, items, count, box, 0, &none);
	free(items);
	if (count && !root)
		return ENOSPC;
	tree_publish(segment, root, count);
	return 0;
}

int kd_build_with(struct segment *segment, uint32_t more)
{
	struct kdtree *tree = &segment->header->kdtree;
	uint32_t limit = hnsw_limit(segment);
	uint32_t count;
	int err;

	if (!kd_applies(segment))
		return 0;
	kd_doing_begin(tree);
	point("kd-build");
	tree_drop(segment);
	err = segment_grow(segment, REGION_LEAVES, limit * UINT64_C(4));
	count = places_clear(segment, more);
	if (!err)
		err = kd_room(segment, kd_leaves_of(count));
	if (!err)
		err = tree_make(segment, count, more);
	kd_doing_end(tree);
	return err;
}

int kd_build(struct segment *segment)
{
	return kd_build_with(segment, 0);
}

void kd_mend(struct segment *segment)
{
	if (kd_applies(segment) && !kd_is_there(segment))
		(void)kd_build(segment);
}

int kd_derive(struct segment *segment)
{
	int err = kd_reserve(segment, bank_count(segment) - 1);

	if (!err)
		(void)kd_build(segment); /* or later, by kd_mend */
	return err;
}
