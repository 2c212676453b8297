/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching the tree.
 *
 * bound
 *	Whatever is computed here is a lower bound of a squared distance, or
 *	one itself, in float: differences, squares and sums of up to 8 err by
 *	less than 2^-20 of the value, the kernels by 2^-16.  The limit is
 *	widened by 2^-14, and by 2^-118 for what underflows, so that no row
 *	whose distance a kernel computes as within the limit is left out.  A
 *	limit beyond 2^127 is none: below it, what overflows is beyond it.
 *
 *	Coordinates are read as the kernels read rows, torn or not: what is
 *	made of them is thrown away if the tree has changed.
 */
#include "kdtree.h"
#include "kernel.h"
#include "segment.h"

#include <math.h>

struct probe {
	struct kd_ground ground;
	const struct kdtree *tree;
	float query[KD_DIM_MAX];
	double limit; /* the caller's */
	float within; /* the same, squared and wide enough */
	int32_t metric;
	kd_visit *visit;
	void *user;
};

static void limit_set(struct probe *probe, double limit)
{
	double square = probe->metric == METRIC_COSINE ? 2 * limit : limit;

	probe->limit = limit;
	if (!(square < 0x1p127))
		probe->within = INFINITY;
	else if (square < 0)
		probe->within = 0x1p-118f;
	else
		probe->within = (float)(square * (1 + 0x1p-14) + 0x1p-118);
}

/* Not that of garbage alone: what is no number is within. */
static int is_beyond(const struct probe *probe, float distance)
{
	return distance > probe->within;
}

static int row_visit(struct probe *probe, uint32_t row)
{
	double limit = probe->limit;
	int stop = probe->visit(probe->user, row, &limit);

	if (limit < probe->limit)
		limit_set(probe, limit);
	return stop;
}

/* ---- leaves ------------------------------------------------------------- */

KERNEL_TORN static void leaf_weigh(const struct kd_leaf *leaf,
				   const float *query, uint32_t dim,
				   float *restrict distances)
{
	float sums[KD_LEAF_ROWS] = {0};

	for (uint32_t d = 0; d < dim; d++) {
		const float *x = leaf->coordinates + (size_t)d * KD_LEAF_ROWS;
		float q = query[d];

		for (uint32_t i = 0; i < KD_LEAF_ROWS; i++)
			sums[i] += (x[i] - q) * (x[i] - q);
	}
	for (uint32_t i = 0; i < KD_LEAF_ROWS; i++)
		distances[i] = sums[i];
}

PREFETCHES row_ahead(const struct segment *segment, uint32_t row)
{
	const void *line = bank_line_at(segment, row);
	const void *full = bank_row_at(segment, row);

	if (line && full) {
		__builtin_prefetch(line);
		__builtin_prefetch(full);
	}
}

/* Visits what is within the limit; returns whether the visitor stopped. */
static int leaf_visit(struct probe *probe, const struct kd_leaf *leaf)
{
	const struct segment *segment = probe->ground.segment;
	float distances[KD_LEAF_ROWS];
	uint32_t near[KD_LEAF_ROWS];
	uint32_t rows[KD_LEAF_ROWS];
	uint32_t found = 0;
	uint32_t count =
	    atomic_load_explicit(&leaf->count, memory_order_relaxed);

	if (count > KD_LEAF_ROWS)
		return 0;
	leaf_weigh(leaf, probe->query, probe->ground.dim, distances);
	for (uint32_t i = 0; i < count; i++) {
		near[found] = i;
		found += !is_beyond(probe, distances[i]);
	}
	for (uint32_t i = 0; i < found; i++) {
		rows[i] = atomic_load_explicit(&leaf->rows[near[i]],
					       memory_order_relaxed);
		row_ahead(segment, rows[i]);
	}
	for (uint32_t i = 0; i < found; i++)
		if (!is_beyond(probe, distances[near[i]]) &&
		    row_visit(probe, rows[i]))
			return 1;
	return 0;
}

/* ---- nodes -------------------------------------------------------------- */

KERNEL_TORN static inline __attribute__((always_inline)) float
box_distance(const float *box, const float *query, uint32_t width)
{
	float sum = 0;

	for (uint32_t d = 0; d < width; d++) {
		float below = box[d] - query[d];
		float above = query[d] - box[width + d];
		float gap = below > above ? below : above;

		gap = gap > 0 ? gap : 0;
		sum += gap * gap;
	}
	return sum;
}

KERNEL_TORN static void node_weigh(const struct kd_node *node,
				   const float *query, uint32_t width,
				   float distances[2])
{
	const float *box = node->boxes;

	if (width == 2) {
		distances[0] = box_distance(box, query, 2);
		distances[1] = box_distance(box + 4, query, 2);
	} else if (width == 4) {
		distances[0] = box_distance(box, query, 4);
		distances[1] = box_distance(box + 8, query, 4);
	} else {
		distances[0] = box_distance(box, query, 8);
		distances[1] = box_distance(box + 16, query, 8);
	}
}

/* A child that waits. */
struct later {
	kd_ref ref;
	float distance;
};

struct stack {
	struct later later[KD_DEPTH_MAX];
	uint32_t depth;
	uint64_t steps; /* that are left */
};

PREFETCHES child_ahead(const struct probe *probe, kd_ref ref)
{
	const struct kd_node *node = kd_node_at(&probe->ground, ref >> 1);

	if (node)
		__builtin_prefetch(
		    ref & 1 ? (const void *)kd_leaf_at(&probe->ground, ref >> 1)
			    : (const void *)node);
}

/*
 * Goes down to a leaf, by the nearer child each time; the other one waits if
 * it is not beyond the limit.  0: there is none that is within; *ref is a leaf
 * otherwise.
 */
static enum kd_outcome descend(const struct probe *probe, struct stack *stack,
			       kd_ref *ref)
{
	while (*ref && !(*ref & 1)) {
		const struct kd_node *node =
		    kd_node_at(&probe->ground, *ref >> 1);
		kd_ref child[2];
		float distances[2];
		uint32_t near;

		if (!node || !stack->steps--)
			return KD_CHANGED;
		for (uint32_t side = 0; side < 2; side++) {
			child[side] = atomic_load_explicit(
			    &node->child[side], memory_order_relaxed);
			child_ahead(probe, child[side]);
		}
		node_weigh(node, probe->query, probe->ground.width, distances);
		near = distances[1] < distances[0];
		if (!is_beyond(probe, distances[!near])) {
			if (stack->depth == KD_DEPTH_MAX)
				return KD_CHANGED;
			stack->later[stack->depth++] =
			    (struct later){child[!near], distances[!near]};
		}
		*ref = is_beyond(probe, distances[near]) ? 0 : child[near];
	}
	return KD_DONE;
}

static enum kd_outcome tree_visit(struct probe *probe)
{
	struct stack stack = {.depth = 0,
			      .steps = probe->ground.count * UINT64_C(2)};
	kd_ref ref =
	    atomic_load_explicit(&probe->tree->root, memory_order_relaxed);

	for (;;) {
		enum kd_outcome outcome = descend(probe, &stack, &ref);
		const struct kd_leaf *leaf =
		    kd_leaf_at(&probe->ground, ref >> 1);

		if (outcome)
			return outcome;
		if (ref && (!leaf || !stack.steps--))
			return KD_CHANGED;
		if (ref && leaf_visit(probe, leaf))
			return KD_STOPPED;
		do {
			if (!stack.depth)
				return KD_DONE;
			stack.depth--;
		} while (is_beyond(probe, stack.later[stack.depth].distance));
		ref = stack.later[stack.depth].ref;
	}
}

/* ---- what waits --------------------------------------------------------- */

static enum kd_outcome tail_visit(struct probe *probe)
{
	const struct segment *segment = probe->ground.segment;
	uint32_t count = hnsw_tail_count(segment);
	uint32_t limit = hnsw_limit(segment);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = hnsw_tail_at(segment, i);

		if (!row) /* past the region: the count is garbage */
			break;
		if (row < limit && !kd_has(segment, row) &&
		    row_visit(probe, row))
			return KD_STOPPED;
	}
	return KD_DONE;
}

enum kd_outcome kd_search(const struct segment *segment,
			  const struct query_code *query, double limit,
			  kd_visit *visit, void *user)
{
	struct probe probe = {.tree = &segment->header->kdtree,
			      .metric = segment->bank.metric,
			      .visit = visit,
			      .user = user};
	enum kd_outcome outcome;
	uint64_t seq;

	if (!kd_applies(segment))
		return KD_ABSENT;
	/* T1: acquires the tree; before the tail's count, see the essay */
	seq = atomic_load_explicit(&probe.tree->seq, memory_order_acquire);
	if (seq & 1)
		return KD_CHANGED;
	if (!kd_is_there(segment))
		return KD_ABSENT;
	kd_ground_init(&probe.ground, segment);
	for (uint32_t d = 0; d < segment->bank.dim; d++)
		probe.query[d] = query->vector[d];
	limit_set(&probe, limit);
	outcome = tail_visit(&probe);
	if (!outcome)
		outcome = tree_visit(&probe);
	if (outcome == KD_STOPPED)
		return outcome;
	atomic_thread_fence(memory_order_acquire); /* T1 */
	return atomic_load_explicit(&probe.tree->seq, memory_order_relaxed) ==
		       seq
		   ? outcome
		   : KD_CHANGED;
}
