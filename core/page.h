/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB's pages, as pages.h describes them.
 */
#ifndef CORE_PAGE_H
#define CORE_PAGE_H

#include "env.h"
#include "pages.h"

#include <assert.h>
#include <string.h>

#define META_MAGIC UINT32_C(0xBEEFC0DE)
#define NO_PAGE	   UINT64_MAX /* what an empty tree has as its root */

enum {
	META_VERSION = 1,
	META_PAGES = 2,
	PAGE_LEAST = 512,
	PAGE_MOST = 32768,
	NODE_HEADER = 8,
	NUMBER_BYTES = 8,
	DEPTH_MOST = 32,
	TREE_ID_KEYS = 8 /* a tree's flag */
};

enum page_flag { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_RUN = 4, PAGE_META = 8 };

enum node_flag { NODE_RUN = 1, NODE_TREE = 2 };

struct page_header {
	uint64_t number;
	uint16_t unused;
	uint16_t flags;
	uint16_t lower;
	uint16_t upper;
};

struct tree {
	uint32_t page_bytes;
	uint16_t flags;
	uint16_t depth;
	uint64_t branches;
	uint64_t leaves;
	uint64_t run_pages;
	uint64_t entries;
	uint64_t root;
};

struct meta {
	struct page_header header;
	uint32_t magic;
	uint32_t version;
	uint64_t address;
	uint64_t map_bytes;
	struct tree list;
	struct tree main;
	uint64_t last;
	uint64_t txn_id;
};

struct node {
	uint16_t low;
	uint16_t high;
	uint16_t flags;
	uint16_t key_bytes;
};

static_assert(sizeof(struct page_header) == PAGES_HEADER, "LMDB's");
static_assert(sizeof(struct tree) == 48, "LMDB's");
static_assert(sizeof(struct meta) == 152, "LMDB's");
static_assert(sizeof(struct node) == NODE_HEADER, "LMDB's");

enum { PAGE_FAULT_BYTES = 64 };

static inline uint16_t number16(const unsigned char *at)
{
	uint16_t number;

	memcpy(&number, at, sizeof number);
	return number;
}

static inline uint64_t number64(const unsigned char *at)
{
	uint64_t number;

	memcpy(&number, at, sizeof number);
	return number;
}

static inline int page_bytes_fit(uint32_t bytes)
{
	return bytes >= PAGE_LEAST && bytes <= PAGE_MOST &&
	       !(bytes & (bytes - 1));
}

static inline int meta_is_sound(const struct meta *meta, uint64_t number)
{
	return meta->header.number == number &&
	       meta->header.flags == PAGE_META && meta->magic == META_MAGIC &&
	       meta->version == META_VERSION &&
	       page_bytes_fit(meta->list.page_bytes);
}

static inline const unsigned char *node_at(const unsigned char *page,
					   uint32_t index)
{
	return page + number16(page + PAGES_HEADER + 2 * (size_t)index);
}

static inline struct node node_of(const unsigned char *at)
{
	struct node node;

	memcpy(&node, at, sizeof node);
	return node;
}

static inline struct bytes node_key(const unsigned char *at)
{
	return bytes_of(at + NODE_HEADER, node_of(at).key_bytes);
}

static inline uint64_t node_value_bytes(const struct node *node)
{
	return node->low | (uint64_t)node->high << 16;
}

static inline uint64_t node_child(const unsigned char *at)
{
	struct node node = node_of(at);

	return node_value_bytes(&node) | (uint64_t)node.flags << 32;
}

static inline uint64_t node_bytes(const struct node *node, int is_leaf)
{
	uint64_t bytes = (uint64_t)NODE_HEADER + node->key_bytes;

	if (is_leaf)
		bytes += node->flags & NODE_RUN ? NUMBER_BYTES
						: node_value_bytes(node);
	return (bytes + 1) & ~UINT64_C(1);
}

/*
 * How many nodes are at their places in a branch or a leaf, with no gap.
 * sizes	room for page_bytes / 2: bytes of the node that begins there
 * fault	what is wrong, PAGE_FAULT_BYTES; NULL: nobody asks
 * Returns	-1 if something is
 */
int page_nodes(const unsigned char *page, uint32_t page_bytes, int is_leaf,
	       uint16_t *sizes, char *fault);

/*
 * Marks the pages of a snapshot's list of free pages, and those that it lists.
 * map		of a file of so many whole pages
 * marked	a bit a page, up to the snapshot's last, zeroed
 * Returns	0 or ENOMEM; *is_sound: whether the list is, to the last page
 */
int pages_free_mark(const unsigned char *map, uint64_t map_pages,
		    const struct meta *meta, unsigned char *marked,
		    int *is_sound);

#endif
