/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree over the bank's rows, for vectors of few dimensions.
 *
 * idea
 *	Of places on a map a search should not have to guess.  Where vectors
 *	have 2 to 8 dimensions the linked rows are the leaves of a binary tree,
 *	split at medians of the widest dimension, with the box of the rows
 *	below beside each child's number.  A search goes to the nearer box
 *	first and leaves out what lies beyond the caller's limit, so it is
 *	exact, and of a million rows it reads some hundreds.
 *
 *	Leaves have their rows' coordinates, so only what may be within the
 *	limit is looked at in the bank.
 *
 *	Any change that leaves a node with too large a share of its rows on
 *	one side has the highest such node's rows laid out anew, beside the
 *	old ones; then one word is changed.  So the depth is bounded whatever
 *	the order of insertion.  Halves are made by place, not by value, and
 *	a row that is equal to the split goes to the lighter side: equal
 *	points are nothing special.
 *
 * source
 *	Bentley, "Multidimensional binary search trees used for associative
 *	searching" (1975); Galperin and Rivest, "Scapegoat trees" (1993).  Here
 *	boxes are kept as in an R-tree, and both counts of a node are judged.
 *
 * layout	(numbers from 1 on, w: 2, 4 or 8 floats, for dim of them)
 *	REGION_TREE	cell n at (n - 1) * cell_bytes: a leaf, then a node;
 *			a tree has one leaf more than nodes, so they pair
 *	leaf		struct kd_leaf: 28 rows; then the first coordinate of
 *			all of them, the second one, and so on
 *	node		struct kd_node; then of each side the low corner of
 *			its box and the high one, w floats each
 *	REGION_LEAVES	row i at i * 4: the leaf that it is in, 0: none
 *
 * ordering
 *	T1	A change that searches can meet makes seq odd (release fence),
 *		stores what it has to with relaxed stores, makes it even
 *		(release).  A search loads seq (acquire), reads, fences
 *		(acquire), and if seq is another then, what it came across
 *		may not have been all.
 *	Rows that wait to be linked are in the graph's tail.  A row is in the
 *	tree before it leaves the tail (see G1), and a search loads seq before
 *	the tail's count: where seq has not changed, a row that was not in the
 *	tail is in the tree, and one that is in the tree was passed over in
 *	the tail.
 *	Leaves and nodes that were taken out are written again only after seq
 *	has changed, so who reads them learns it.
 *
 * progress
 *	A search: no lock, no allocation, no system call; bounded by the
 *	cells, whatever they hold.  It may have to be made again.
 *
 * crash
 *	`doing` is set before anything is changed and cleared afterwards.  A
 *	tree that a death left so is built anew from the graph's states; until
 *	then searches are told that it changes.
 *
 * limits
 *	A node of n rows has at most 0.7 n + 4 of them on one side, and one of
 *	14 or less becomes a leaf: the depth is at most
 *	log(2^32 / 1.7) / log(1 / 0.7) < 61.
 *	Laying out n rows anew takes memory of the process, 36 bytes a row,
 *	and of a million 0.4 s, with the writer lock held; a million rows that
 *	come in order take 2.6 us each, and the longest of them 0.1 s.
 *	Where there is none, or none in the segment, there is no tree until
 *	kd_mend has made one.
 */
#ifndef SHM_KDTREE_H
#define SHM_KDTREE_H

#include "code.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct segment;

enum {
	KD_DIM_MIN = 2,
	KD_DIM_MAX = 8,
	KD_LEAF_ROWS = 28,
	KD_LEAF_LEAST = KD_LEAF_ROWS / 2, /* rows that are no node */
	KD_DEPTH_MAX = 64
};

/* Leaves or nodes: which are taken. */
struct kd_pool {
	uint32_t used; /* numbers up to it were taken once */
	uint32_t free; /* first of those that are free again */
	uint32_t free_count;
};

/* In the segment. */
struct kdtree {
	_Atomic uint64_t seq;	   /* odd while searches may go astray */
	_Atomic uint32_t root;	   /* a kd_ref, 0: no rows */
	_Atomic uint32_t is_there; /* 0: to be built */
	/* writer's */
	_Atomic uint64_t doing; /* 1: a change is under way */
	struct kd_pool leaves;
	struct kd_pool nodes;
	uint32_t rows;
	uint32_t reserved;
};

/* ---- searching ---------------------------------------------------------- */

/*
 * Told of a row that may be within the limit; not again unless the tree
 * changes, or the tail names it twice.  It is to read the row under its own
 * lock, see bank.h, ask whether its snapshot sees it, and may lower the limit.
 * Returns	0, or anything else to end the search.
 */
typedef int kd_visit(void *user, uint32_t row, double *limit);

enum kd_outcome {
	KD_DONE = 0,	/* all rows were visited that had to be */
	KD_CHANGED = 1, /* some may have been missed: begin anew */
	KD_ABSENT = 2,	/* there is no tree, now or ever */
	KD_STOPPED = 3	/* by the visitor */
};

/*
 * Visits all rows of the tree, and of those that wait to be linked, whose
 * row16 or row32 distance is computed as <= limit, and others; near boxes
 * first.
 * limit	the largest distance that matters, in the store's metric;
 *		+infinity: any.
 * Progress	see above.
 */
enum kd_outcome kd_search(const struct segment *segment,
			  const struct query_code *query, double limit,
			  kd_visit *visit, void *user);

/* Whether the segment's rows are of a kind that has a tree. */
int kd_applies(const struct segment *segment);

/* Whether there is a tree now: a hint, for plans. */
int kd_is_there(const struct segment *segment);

/* ---- the rest is for who holds the writer lock -------------------------- */

/* After create, when the segment has its shape: a tree of no rows. */
void kd_init(struct segment *segment);

/*
 * Makes room for a tree of all rows up to this one.
 * Returns	0, ENOSPC or another errno of growing the segment.
 */
int kd_reserve(struct segment *segment, uint32_t row);

/* Whether the row is in the tree. */
int kd_has(const struct segment *segment, uint32_t row);

/* Puts a row in or takes it out; nothing where it is so already. */
void kd_insert(struct segment *segment, uint32_t row);
void kd_remove(struct segment *segment, uint32_t row);

/*
 * Builds the tree of all linked rows.  There is none meanwhile, and if it
 * fails.
 * Returns	0, ENOMEM, ENOSPC or another errno.
 */
int kd_build(struct segment *segment);

/* Builds the tree if there is none and one should be. */
void kd_mend(struct segment *segment);

/* For an image, which does not hold the tree.  As kd_reserve. */
int kd_derive(struct segment *segment);

/*
 * After a death.
 * row		may be linked and not in the tree, or the other way around; 0:
 *		none, UINT32_MAX: any
 */
void kd_recover(struct segment *segment, uint32_t row);

struct kd_figures {
	uint64_t rows;
	uint64_t leaves;
	uint64_t nodes;
	uint32_t depth; /* nodes above the lowest leaf */
	int is_there;
};

/*
 * Goes through the whole tree.
 * Returns	0, ENOMEM, or EBADMSG if an invariant does not hold.
 */
int kd_validate(const struct segment *segment, struct kd_figures *out);

/* ---- for the files of the tree ------------------------------------------ */

/* A child: number << 1 | whether it is a leaf; 0 is none. */
typedef uint32_t kd_ref;

struct kd_leaf {
	_Atomic uint32_t count;
	uint32_t parent; /* writer's: a node; of a free leaf, the next one */
	uint32_t reserved[2];
	_Atomic uint32_t rows[KD_LEAF_ROWS];
	float coordinates[];
};

static_assert(sizeof(struct kd_leaf) == 128, "a leaf's head");

struct kd_node {
	_Atomic kd_ref child[2];
	/* writer's */
	uint32_t parent; /* of a free node, the next one */
	uint32_t rows;	 /* below it */
	uint32_t dim;
	float split; /* none on the first side is greater there, and none on
			the second is less */
	uint32_t reserved[2];
	float boxes[];
};

static_assert(sizeof(struct kd_node) == 32, "a node's head");

/* In this process: where things are. */
struct kd_ground {
	const struct segment *segment;
	unsigned char *cells;
	size_t cell_bytes;
	size_t leaf_bytes;
	uint32_t count; /* cells there are */
	uint32_t dim;
	uint32_t width;
};

/* A row with its coordinates; those past dim are zero. */
struct kd_item {
	float x[KD_DIM_MAX];
	uint32_t row;
};

void kd_ground_init(struct kd_ground *ground, const struct segment *segment);

static inline struct kd_leaf *kd_leaf_at(const struct kd_ground *ground,
					 uint32_t number)
{
	return number - 1 < ground->count
		   ? (struct kd_leaf *)(void *)(ground->cells +
						(number - 1) *
						    ground->cell_bytes)
		   : NULL;
}

static inline struct kd_node *kd_node_at(const struct kd_ground *ground,
					 uint32_t number)
{
	return number - 1 < ground->count
		   ? (struct kd_node *)(void *)(ground->cells +
						(number - 1) *
						    ground->cell_bytes +
						ground->leaf_bytes)
		   : NULL;
}

/* The low corner of a side's box; the high one is `width` on. */
static inline float *kd_box(const struct kd_ground *ground,
			    struct kd_node *node, uint32_t side)
{
	return node->boxes + (size_t)side * 2 * ground->width;
}

/* The leaf of a row, NULL if there is no room for one. */
_Atomic uint32_t *kd_place(const struct segment *segment, uint32_t row);

/* Reads a row's coordinates; 0 if there is no such row. */
int kd_item_get(const struct segment *segment, uint32_t row,
		struct kd_item *item);

/* Whether a node of so many rows on its sides is to be laid out anew. */
static inline int kd_is_uneven(uint64_t a, uint64_t b)
{
	uint64_t most = a > b ? a : b;

	return a + b <= KD_LEAF_LEAST || most * 10 > (a + b) * 7 + 40;
}

/* What a box begins with, and how a point is taken into it. */
static inline void kd_box_empty(float *box, uint32_t width)
{
	for (uint32_t d = 0; d < width; d++) {
		box[d] = __FLT_MAX__;
		box[width + d] = -__FLT_MAX__;
	}
}

static inline void kd_box_add(float *box, uint32_t width, const float *x)
{
	for (uint32_t d = 0; d < width; d++) {
		box[d] = x[d] < box[d] ? x[d] : box[d];
		box[width + d] = x[d] > box[width + d] ? x[d] : box[width + d];
	}
}

/* Rows below a child, 0 if it makes no sense. */
uint32_t kd_rows_of(const struct kd_ground *ground, kd_ref ref);

void kd_doing_begin(struct kdtree *tree);
void kd_doing_end(struct kdtree *tree);
void kd_change_begin(struct kdtree *tree);
void kd_change_end(struct kdtree *tree);

/* Relaxed, for what searches read: T1 orders it. */
static inline void kd_float_set(float *at, float value)
{
	__atomic_store(at, &value, __ATOMIC_RELAXED);
}

/* Makes room for so many leaves more, and nodes.  0, ENOSPC or an errno. */
int kd_room(struct segment *segment, uint32_t leaves);

/*
 * Lays out rows in leaves and nodes that nobody sees yet, for which there is
 * room, and says of each row but `fresh` which leaf it is in.
 * box		their box
 * fresh_leaf	which leaf `fresh` is in
 * Returns	0 if the free lists make no sense.
 */
kd_ref kd_lay(struct segment *segment, struct kd_item *items, uint32_t count,
	      float box[2 * KD_DIM_MAX], uint32_t fresh, uint32_t *fresh_leaf);

/* Most leaves that kd_lay makes of so many rows. */
static inline uint32_t kd_leaves_of(uint64_t rows)
{
	return (uint32_t)(rows / KD_LEAF_LEAST) + 1;
}

/*
 * The rows below a child, up to `room` of them.
 * Returns	how many; UINT32_MAX if it makes no sense.
 */
uint32_t kd_gather(const struct kd_ground *ground, kd_ref ref,
		   struct kd_item *items, uint32_t room);

/* As kd_build, with a row that is just being linked; 0: none. */
int kd_build_with(struct segment *segment, uint32_t more);

/* Gives leaves and nodes back. */
void kd_free(struct segment *segment, kd_ref ref);

#endif
