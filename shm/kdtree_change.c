/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that come into the tree and leave it.
 *
 * idea
 *	A row is put into a leaf with room by a few words; all else is done by
 *	laying out the rows below a node anew, of a full leaf as of a node
 *	with too much on one side.  The new ones are made beside the old ones
 *	and one word is changed, so that searches are held up for no longer
 *	than by a row that comes into a leaf.
 *
 *	Where that cannot be had, the tree is built from nothing, for which
 *	kd_reserve has made room.
 */
#include "kdtree.h"
#include "point.h"
#include "segment.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 2 * KD_LEAF_ROWS };

/* From the root to a leaf. */
struct path {
	uint32_t nodes[KD_DEPTH_MAX];
	uint32_t sides[KD_DEPTH_MAX];
	uint32_t depth;
	uint32_t leaf; /* 0: the tree is empty */
};

static kd_ref child_get(const struct kd_node *node, uint32_t side)
{
	return atomic_load_explicit(&node->child[side], memory_order_relaxed);
}

/* The child that the first `depth` nodes of a path lead to. */
static kd_ref ref_at(const struct kd_ground *ground, const struct path *path,
		     uint32_t depth)
{
	const struct kd_node *node;

	if (!depth)
		return atomic_load_explicit(
		    &ground->segment->header->kdtree.root,
		    memory_order_relaxed);
	node = kd_node_at(ground, path->nodes[depth - 1]);
	return node ? child_get(node, path->sides[depth - 1]) : 0;
}

static uint32_t side_for(const struct kd_ground *ground,
			 const struct kd_node *node, const float *x)
{
	uint32_t dim = node->dim < ground->dim ? node->dim : 0;

	if (x[dim] < node->split)
		return 0;
	if (x[dim] > node->split)
		return 1;
	return kd_rows_of(ground, child_get(node, 0)) >
	       kd_rows_of(ground, child_get(node, 1));
}

/* To the leaf where a row belongs; 0 if the tree makes no sense. */
static int path_down(const struct kd_ground *ground, const float *x,
		     struct path *path)
{
	kd_ref ref = ref_at(ground, path, 0);

	path->depth = 0;
	while (ref && !(ref & 1)) {
		struct kd_node *node = kd_node_at(ground, ref >> 1);

		if (!node || path->depth == KD_DEPTH_MAX)
			return 0;
		path->nodes[path->depth] = ref >> 1;
		path->sides[path->depth] = side_for(ground, node, x);
		ref = child_get(node, path->sides[path->depth++]);
	}
	path->leaf = ref >> 1;
	return ref ? kd_leaf_at(ground, path->leaf) != NULL : !path->depth;
}

/* From a leaf to the root; 0 if the tree makes no sense. */
static int path_up(const struct kd_ground *ground, uint32_t leaf,
		   struct path *path)
{
	const struct kd_leaf *at = kd_leaf_at(ground, leaf);
	struct path up = {.leaf = leaf};
	kd_ref ref = leaf << 1 | 1;
	uint32_t parent = at ? at->parent : 0;

	for (; at && parent; up.depth++) {
		const struct kd_node *node = kd_node_at(ground, parent);

		if (!node || up.depth == KD_DEPTH_MAX)
			return 0;
		up.nodes[up.depth] = parent;
		up.sides[up.depth] = child_get(node, 1) == ref;
		if (child_get(node, up.sides[up.depth]) != ref)
			return 0;
		ref = parent << 1;
		parent = node->parent;
	}
	path->depth = up.depth;
	path->leaf = leaf;
	for (uint32_t i = 0; i < up.depth; i++) {
		path->nodes[i] = up.nodes[up.depth - 1 - i];
		path->sides[i] = up.sides[up.depth - 1 - i];
	}
	return at && ref_at(ground, path, 0) == ref;
}

/*
 * How many nodes are above the highest that is to be laid out anew once
 * `more` rows are in its leaf; UINT32_MAX if none is.
 */
static uint32_t uneven_at(const struct kd_ground *ground,
			  const struct path *path, uint32_t more)
{
	for (uint32_t i = 0; i < path->depth; i++) {
		const struct kd_node *node = kd_node_at(ground, path->nodes[i]);
		uint32_t side = path->sides[i];
		uint64_t rows[2];

		if (!node)
			break;
		rows[side] = kd_rows_of(ground, child_get(node, side)) + more;
		rows[!side] = kd_rows_of(ground, child_get(node, !side));
		if (kd_is_uneven(rows[0], rows[1]))
			return i;
	}
	return UINT32_MAX;
}

/* ---- what is above a leaf ------------------------------------------------ */

/* A row more in the first `depth` nodes, with their boxes. */
static void above_add(const struct kd_ground *ground, const struct path *path,
		      uint32_t depth, const float *x)
{
	uint32_t width = ground->width;

	for (uint32_t i = 0; i < depth; i++) {
		struct kd_node *node = kd_node_at(ground, path->nodes[i]);
		float *box = kd_box(ground, node, path->sides[i]);

		node->rows++;
		for (uint32_t d = 0; d < ground->dim; d++) {
			if (x[d] < box[d])
				kd_float_set(&box[d], x[d]);
			if (x[d] > box[width + d])
				kd_float_set(&box[width + d], x[d]);
		}
		point("kd-counted");
	}
}

static void above_take(const struct kd_ground *ground, const struct path *path)
{
	for (uint32_t i = 0; i < path->depth; i++) {
		kd_node_at(ground, path->nodes[i])->rows--;
		point("kd-uncounted");
	}
}

/* ---- laying out anew ---------------------------------------------------- */

/* Sets the child that the first `depth` nodes of a path lead to. */
static void ref_set(const struct kd_ground *ground, const struct path *path,
		    uint32_t depth, kd_ref ref, const float *box)
{
	struct kdtree *tree = &ground->segment->header->kdtree;
	struct kd_node *parent =
	    depth ? kd_node_at(ground, path->nodes[depth - 1]) : NULL;
	uint32_t side = depth ? path->sides[depth - 1] : 0;

	if (ref & 1)
		kd_leaf_at(ground, ref >> 1)->parent =
		    depth ? path->nodes[depth - 1] : 0;
	else
		kd_node_at(ground, ref >> 1)->parent =
		    depth ? path->nodes[depth - 1] : 0;
	if (!parent) {
		atomic_store_explicit(&tree->root, ref, memory_order_relaxed);
		return;
	}
	atomic_store_explicit(&parent->child[side], ref, memory_order_relaxed);
	for (uint32_t i = 0; i < 2 * ground->width; i++)
		kd_float_set(kd_box(ground, parent, side) + i, box[i]);
}

/* Where a row is, for searches too. */
static void place_set(const struct segment *segment, uint32_t row,
		      uint32_t leaf)
{
	_Atomic uint32_t *place = kd_place(segment, row);

	if (place)
		atomic_store_explicit(place, leaf, memory_order_relaxed);
}

/* Changes one word for what was laid out, with a row more if there is one. */
static void swap_in(struct segment *segment, const struct path *path,
		    uint32_t depth, kd_ref ref, const float *box,
		    const struct kd_item *more, uint32_t more_leaf)
{
	struct kdtree *tree = &segment->header->kdtree;
	struct kd_ground ground;

	kd_ground_init(&ground, segment); /* it has grown perhaps */
	point("kd-laid");
	kd_change_begin(tree);
	if (more) {
		above_add(&ground, path, depth, more->x);
		place_set(segment, more->row, more_leaf);
		tree->rows++;
	}
	point("kd-half-swapped");
	ref_set(&ground, path, depth, ref, box);
	kd_change_end(tree);
	point("kd-swapped");
}

/*
 * Lays out anew what the first `depth` nodes lead to, with a row more if
 * there is one; 0 if it cannot be.
 */
static int anew(struct segment *segment, const struct path *path,
		uint32_t depth, const struct kd_item *more)
{
	struct kd_ground ground;
	struct kd_item few[FEW];
	struct kd_item *items = few;
	float box[2 * KD_DIM_MAX];
	uint32_t leaf = 0;
	uint32_t count;
	uint32_t room;
	kd_ref old;
	kd_ref ref = 0;

	kd_ground_init(&ground, segment);
	old = ref_at(&ground, path, depth);
	room = kd_rows_of(&ground, old);
	if (room > bank_count(segment) ||
	    kd_room(segment, kd_leaves_of(room + UINT64_C(1))))
		return 0;
	if (room + 1 > FEW)
		items = malloc((room + UINT64_C(1)) * sizeof *items);
	if (!items)
		return 0;
	count = kd_gather(&ground, old, items, room) == room ? room : 0;
	if (count && more)
		items[count++] = *more;
	if (count)
		ref = kd_lay(segment, items, count, box, more ? more->row : 0,
			     &leaf);
	if (items != few)
		free(items);
	if (!ref || (more && !leaf))
		return 0;
	swap_in(segment, path, depth, ref, box, more, leaf);
	kd_free(segment, old);
	point("kd-freed");
	return 1;
}

/* ---- a row that comes --------------------------------------------------- */

static void leaf_append(const struct kd_ground *ground, const struct path *path,
			const struct kd_item *item)
{
	struct segment *segment = (struct segment *)(uintptr_t)ground->segment;
	struct kdtree *tree = &segment->header->kdtree;
	struct kd_leaf *leaf = kd_leaf_at(ground, path->leaf);
	uint32_t at = atomic_load_explicit(&leaf->count, memory_order_relaxed);

	kd_change_begin(tree);
	for (uint32_t d = 0; d < ground->dim; d++)
		kd_float_set(&leaf->coordinates[d * KD_LEAF_ROWS + at],
			     item->x[d]);
	atomic_store_explicit(&leaf->rows[at], item->row, memory_order_relaxed);
	point("kd-half-appended");
	atomic_store_explicit(&leaf->count, at + 1, memory_order_relaxed);
	place_set(segment, item->row, path->leaf);
	tree->rows++;
	point("kd-appended");
	above_add(ground, path, path->depth, item->x);
	kd_change_end(tree);
}

/* The first row of all. */
static int root_make(struct segment *segment, const struct kd_item *item)
{
	struct kd_item own = *item;
	struct path path = {.depth = 0};
	float box[2 * KD_DIM_MAX];
	uint32_t leaf = 0;
	kd_ref ref = 0;

	if (!kd_room(segment, 1))
		ref = kd_lay(segment, &own, 1, box, item->row, &leaf);
	if (ref)
		swap_in(segment, &path, 0, ref, box, item, leaf);
	return ref != 0;
}

/* 0 if the tree has to be built from nothing. */
static int item_insert(struct segment *segment, const struct kd_item *item)
{
	struct kd_ground ground;
	struct path path = {.depth = 0};
	uint32_t depth;

	kd_ground_init(&ground, segment);
	if (!path_down(&ground, item->x, &path))
		return 0;
	if (!path.leaf)
		return root_make(segment, item);
	depth = uneven_at(&ground, &path, 1);
	if (depth == UINT32_MAX &&
	    kd_rows_of(&ground, path.leaf << 1 | 1) < KD_LEAF_ROWS) {
		leaf_append(&ground, &path, item);
		return 1;
	}
	return anew(segment, &path, depth == UINT32_MAX ? path.depth : depth,
		    item);
}

void kd_insert(struct segment *segment, uint32_t row)
{
	struct kdtree *tree = &segment->header->kdtree;
	struct kd_item item;
	int done;

	if (!kd_is_there(segment) || kd_has(segment, row) ||
	    !kd_item_get(segment, row, &item))
		return;
	kd_doing_begin(tree);
	point("kd-insert");
	done = kd_place(segment, row) && item_insert(segment, &item);
	kd_doing_end(tree);
	if (!done)
		(void)kd_build_with(segment, row);
}

/* ---- a row that goes ---------------------------------------------------- */

/* Its place in a leaf; KD_LEAF_ROWS if it has none. */
static uint32_t leaf_find(const struct kd_leaf *leaf, uint32_t row)
{
	uint32_t count =
	    atomic_load_explicit(&leaf->count, memory_order_relaxed);
	uint32_t i = 0;

	while (i < count && i < KD_LEAF_ROWS &&
	       atomic_load_explicit(&leaf->rows[i], memory_order_relaxed) !=
		   row)
		i++;
	return i < count ? i : KD_LEAF_ROWS;
}

/* Puts the last row of a leaf in the place of one. */
static void leaf_close(const struct kd_ground *ground, struct kd_leaf *leaf,
		       uint32_t at)
{
	uint32_t last =
	    atomic_load_explicit(&leaf->count, memory_order_relaxed) - 1;

	if (last >= KD_LEAF_ROWS)
		last = at;
	for (uint32_t d = 0; d < ground->dim; d++)
		kd_float_set(&leaf->coordinates[d * KD_LEAF_ROWS + at],
			     leaf->coordinates[d * KD_LEAF_ROWS + last]);
	atomic_store_explicit(
	    &leaf->rows[at],
	    atomic_load_explicit(&leaf->rows[last], memory_order_relaxed),
	    memory_order_relaxed);
	point("kd-half-closed");
	atomic_store_explicit(&leaf->count, last, memory_order_relaxed);
}

static void leaf_take_out(struct segment *segment,
			  const struct kd_ground *ground,
			  const struct path *path, uint32_t at)
{
	struct kdtree *tree = &segment->header->kdtree;
	struct kd_leaf *leaf = kd_leaf_at(ground, path->leaf);
	uint32_t row =
	    atomic_load_explicit(&leaf->rows[at], memory_order_relaxed);
	int is_last;

	kd_change_begin(tree);
	leaf_close(ground, leaf, at);
	place_set(segment, row, 0);
	tree->rows--;
	above_take(ground, path);
	is_last = !path->depth &&
		  !atomic_load_explicit(&leaf->count, memory_order_relaxed);
	if (is_last)
		atomic_store_explicit(&tree->root, 0, memory_order_relaxed);
	kd_change_end(tree);
	point("kd-taken-out");
	if (is_last)
		kd_free(segment, path->leaf << 1 | 1);
}

/* 0 if the tree has to be built from nothing. */
static int row_remove(struct segment *segment, uint32_t row)
{
	uint32_t leaf =
	    atomic_load_explicit(kd_place(segment, row), memory_order_relaxed);
	struct kd_ground ground;
	struct path path = {.depth = 0};
	uint32_t depth;
	uint32_t at;

	kd_ground_init(&ground, segment);
	if (!path_up(&ground, leaf, &path))
		return 0;
	at = leaf_find(kd_leaf_at(&ground, leaf), row);
	if (at == KD_LEAF_ROWS)
		return 0;
	leaf_take_out(segment, &ground, &path, at);
	depth = uneven_at(&ground, &path, 0);
	return depth == UINT32_MAX || anew(segment, &path, depth, NULL);
}

void kd_remove(struct segment *segment, uint32_t row)
{
	struct kdtree *tree = &segment->header->kdtree;
	int done;

	if (!kd_has(segment, row))
		return;
	kd_doing_begin(tree);
	point("kd-remove");
	done = row_remove(segment, row);
	kd_doing_end(tree);
	if (!done)
		(void)kd_build(segment);
}

/* ---- after a death ------------------------------------------------------ */

void kd_recover(struct segment *segment, uint32_t row)
{
	const struct kdtree *tree = &segment->header->kdtree;

	if (!kd_applies(segment))
		return;
	if (row == UINT32_MAX ||
	    atomic_load_explicit(&tree->doing, memory_order_acquire) ||
	    atomic_load_explicit(&tree->seq, memory_order_relaxed) & 1) {
		(void)kd_build(segment);
		return;
	}
	if (!row)
		return;
	if (hnsw_is_linked(segment, row))
		kd_insert(segment, row);
	else
		kd_remove(segment, row);
}
