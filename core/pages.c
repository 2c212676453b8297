/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"
#include "error.h"
#include "page.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { META_TRIES = 16 };

/* The way down a tree: what is left of a page, and between which keys. */
struct level {
	const unsigned char *page;
	uint64_t number;
	uint32_t next;
	uint32_t count;
	struct bytes low;  /* no data: no bound */
	struct bytes high; /* past all of its keys */
};

struct look {
	struct pages *pages;
	int what;
	struct meta meta; /* the snapshot's */
	const unsigned char *map;
	uint64_t map_pages; /* whole ones in the file */
	uint32_t page_bytes;
	unsigned char *reached;	       /* a bit a page */
	uint16_t sizes[PAGE_MOST / 2]; /* of nodes, by where they begin */
	struct tree named[DB_COUNT];   /* as the main tree has them */
	unsigned char is_there[DB_COUNT];
	/* the tree that is looked at */
	const char *name;
	enum env_db keys; /* whose keys are like its own */
	int is_main;
	int is_list;
	struct tree seen;   /* counted */
	uint64_t *findings; /* of such trees */
	int is_over;	    /* a finding that nobody is told of */
};

/* Counts and tells, of a page or a whole tree (NO_PAGE); always -1. */
__attribute__((format(printf, 3, 4))) static int
finding(struct look *look, uint64_t page, const char *format, ...)
{
	char text[240];
	int size = page == NO_PAGE
		       ? snprintf(text, sizeof text, "%s: ", look->name)
		       : snprintf(text, sizeof text,
				  "page %llu, %s: ", (unsigned long long)page,
				  look->name);
	va_list args;

	++*look->findings;
	va_start(args, format);
	vsnprintf(text + size, sizeof text - (size_t)size, format, args);
	va_end(args);
	if (look->pages->found) {
		look->pages->found(look->pages->user, text);
		return -1;
	}
	look->is_over = 1;
	(void)error_set(COP_CORRUPT,
			"the data file is damaged (%s); `coppice check "
			"--repair` mends what can be, or restore a backup",
			text);
	return -1;
}

/* ---- meta pages --------------------------------------------------------- */

/* A commit's transaction is the one after the other page's; at first both 0. */
static int metas_fit(const struct meta metas[META_PAGES])
{
	uint64_t even = metas[0].txn_id;
	uint64_t odd = metas[1].txn_id;

	return meta_is_sound(&metas[0], 0) && meta_is_sound(&metas[1], 1) &&
	       metas[0].list.page_bytes == metas[1].list.page_bytes &&
	       ((!even && !odd) || (!(even & 1) && odd & 1 &&
				    (even + 1 == odd || odd + 1 == even)));
}

/* Returns 0, an errno, or EBADMSG of a file too short for it. */
static int meta_read(int fd, uint64_t at, struct meta *meta)
{
	size_t have = 0;

	while (have < sizeof *meta) {
		ssize_t got = pread(fd, (char *)meta + have,
				    sizeof *meta - have, (off_t)(at + have));

		if (got <= 0)
			return got ? errno : EBADMSG;
		have += (size_t)got;
	}
	return 0;
}

static int metas_read(int fd, struct meta metas[META_PAGES])
{
	int err = meta_read(fd, 0, &metas[0]);

	if (!err && !page_bytes_fit(metas[0].list.page_bytes))
		err = EBADMSG;
	return err ? err : meta_read(fd, metas[0].list.page_bytes, &metas[1]);
}

static cop_err metas_error(int err)
{
	return err && err != EBADMSG
		   ? error_system(err, "cannot read the data file")
		   : error_set(COP_CORRUPT,
			       "the data file is damaged (its meta pages are "
			       "not of two commits that follow each other, or "
			       "name pages past its end); "
			       "`coppice check --repair` mends what can be, or "
			       "restore a backup");
}

/* A page that the file lacks is listed as free: 8 bytes of the list in it. */
static int last_fits(const struct meta *meta, uint64_t file_bytes)
{
	uint64_t bytes = meta->list.page_bytes;
	uint64_t pages = file_bytes / bytes;

	return pages >= META_PAGES &&
	       meta->last / (bytes / NUMBER_BYTES + 1) < pages;
}

cop_err pages_metas_check(int fd)
{
	struct meta metas[META_PAGES];
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return metas_error(errno);
	if (!st.st_size)
		return 0;
	for (int i = 0; i < META_TRIES; i++) {
		err = metas_read(fd, metas);
		if (!err && fstat(fd, &st)) /* it only grows */
			err = errno;
		if (!err && metas_fit(metas) &&
		    last_fits(&metas[0], (uint64_t)st.st_size) &&
		    last_fits(&metas[1], (uint64_t)st.st_size))
			return 0;
	}
	return metas_error(err);
}

/* The snapshot's meta page, whole; a read that is too old is begun anew. */
static cop_err meta_take(struct look *look, int fd, env_txn *txn)
{
	struct meta before[META_PAGES];
	struct meta after[META_PAGES];
	int err = 0;

	for (int i = 0; i < META_TRIES; i++) {
		uint64_t id = env_txn_id(txn);
		const struct meta *own = &before[id & 1];

		err = metas_read(fd, before);
		if (!err)
			err = metas_read(fd, after);
		if (!err && metas_fit(before) && own->txn_id == id &&
		    !memcmp(own, &after[id & 1], sizeof *own)) {
			look->meta = *own;
			look->page_bytes = own->list.page_bytes;
			return 0;
		}
		if (err && err != EBADMSG)
			break;
		err = env_read_newest(txn);
		if (err)
			return error_system(err, "cannot read the data file");
	}
	return metas_error(err);
}

/* ---- pages -------------------------------------------------------------- */

static const unsigned char *page_at(const struct look *look, uint64_t number)
{
	return look->map + number * look->page_bytes;
}

/* Marks a page; whether it was before. */
static int page_mark(struct look *look, uint64_t number)
{
	unsigned char *byte = &look->reached[number / 8];
	unsigned char bit = (unsigned char)(1 << number % 8);
	int was = *byte & bit;

	*byte |= bit;
	return was;
}

/* Whether so many pages are there, and nothing else has them. */
static int pages_take(struct look *look, uint64_t number, uint64_t count)
{
	if (number < META_PAGES || number > look->meta.last ||
	    count > look->meta.last - number + 1)
		return finding(look, number, "no page of the file's is that");
	if (number >= look->map_pages || count > look->map_pages - number)
		return finding(look, number, "the file ends before it");
	for (uint64_t i = number; i < number + count; i++)
		if (page_mark(look, i))
			return finding(look, i, "it is in two places");
	return 0;
}

/* A page of a kind; NULL after a finding. */
static const unsigned char *page_take(struct look *look, uint64_t number,
				      unsigned flags)
{
	struct page_header header;

	if (pages_take(look, number, 1))
		return NULL;
	memcpy(&header, page_at(look, number), sizeof header);
	if (header.number != number)
		finding(look, number, "its header is that of page %llu",
			(unsigned long long)header.number);
	else if (header.flags != flags)
		finding(look, number, "it has flags %u where %u are expected",
			header.flags, flags);
	else
		return page_at(look, number);
	return NULL;
}

/* ---- nodes -------------------------------------------------------------- */

/* How many nodes are at their places, with no gap; -1 after a finding. */
static int nodes_check(struct look *look, uint64_t number,
		       const unsigned char *page, int is_leaf)
{
	char fault[PAGE_FAULT_BYTES];
	int count =
	    page_nodes(page, look->page_bytes, is_leaf, look->sizes, fault);

	return count < 0 ? finding(look, number, "%s", fault) : count;
}

/* Whether keys ascend, within the bounds that its parent sets. */
static int keys_check(struct look *look, const struct level *level, int is_leaf)
{
	struct bytes before = level->low;
	int least = 0; /* the first may be the bound itself */

	for (uint32_t i = !is_leaf; i < level->count; i++) {
		struct bytes key = node_key(node_at(level->page, i));

		if (!env_key_fits(look->keys, key.size))
			return finding(look, level->number,
				       "key %u has %zu bytes", i, key.size);
		if (before.data &&
		    env_key_compare(look->keys, key, before) < least)
			return finding(look, level->number,
				       "key %u is not in order", i);
		before = key;
		least = 1;
	}
	if (level->high.data && before.data &&
	    env_key_compare(look->keys, before, level->high) >= 0)
		return finding(look, level->number,
			       "its last key belongs on the page after it");
	return 0;
}

/* ---- entries ------------------------------------------------------------ */

/* The value that pages of its own have; NULL after a finding. */
static const unsigned char *run_take(struct look *look, uint64_t number,
				     uint64_t bytes)
{
	const unsigned char *page = page_take(look, number, PAGE_RUN);
	uint64_t room;
	uint64_t count;

	if (!page)
		return NULL;
	room = pages_run_room(page + PAGES_HEADER, look->page_bytes);
	count = (room + PAGES_HEADER) / look->page_bytes;
	if (!room || bytes > room)
		finding(look, number, "%llu pages have no room for its value",
			(unsigned long long)count);
	else if (count == 1 || !pages_take(look, number + 1, count - 1)) {
		look->seen.run_pages += count;
		return page + PAGES_HEADER;
	}
	return NULL;
}

/* What the main tree has of a database. */
static int name_check(struct look *look, uint64_t number, struct bytes key,
		      const unsigned char *value, const struct node *node)
{
	int db = env_db_named(key);

	if ((db < DB_COUNT) != (node->flags == NODE_TREE))
		return look->what & PAGES_NAMED || db < DB_COUNT
			   ? finding(look, number,
				     "a name of no database is one's, or the "
				     "other way round")
			   : 0;
	if (db == DB_COUNT)
		return 0;
	if (node_value_bytes(node) != sizeof look->named[db])
		return finding(look, number, "a tree's description is cut off");
	memcpy(&look->named[db], value, sizeof look->named[db]);
	look->is_there[db] = 1;
	return 0;
}

/* Free pages: in the file, in no tree, listed once. */
static int list_check(struct look *look, uint64_t page, struct bytes key,
		      struct bytes value)
{
	const unsigned char *list = value.data;
	uint64_t id = number64(key.data);
	uint64_t room = value.size / NUMBER_BYTES;
	uint64_t before = look->meta.last + 1;
	uint64_t count;

	if (!id || id > look->meta.txn_id)
		return finding(look, page, "a list of transaction %llu",
			       (unsigned long long)id);
	count = room ? number64(list) : 0;
	if (!room || count > room - 1)
		return finding(look, page,
			       "a list of %llu pages where %llu have room",
			       (unsigned long long)count,
			       (unsigned long long)(room ? room - 1 : 0));
	for (uint64_t i = 1; i <= count; i++) {
		uint64_t number = number64(list + i * NUMBER_BYTES);

		if (number < META_PAGES || number >= before)
			return finding(look, page,
				       "free page %llu is not in order",
				       (unsigned long long)number);
		if (page_mark(look, number))
			return finding(look, page,
				       "free page %llu is in use, or listed "
				       "twice",
				       (unsigned long long)number);
		before = number;
		look->pages->missing_free += number >= look->map_pages;
	}
	return 0;
}

static int entry_check(struct look *look, uint64_t number,
		       const unsigned char *at)
{
	struct node node = node_of(at);
	struct bytes key = node_key(at);
	const unsigned char *value = at + NODE_HEADER + key.size;
	uint64_t bytes = node_value_bytes(&node);

	if (node.flags & ~(look->is_main ? NODE_RUN | NODE_TREE : NODE_RUN) ||
	    node.flags == (NODE_RUN | NODE_TREE))
		return finding(look, number, "a node has flags %u", node.flags);
	if (node.flags & NODE_RUN)
		value = run_take(look, number64(value), bytes);
	if (!value)
		return -1;
	if (look->is_main)
		return name_check(look, number, key, value, &node);
	return look->is_list
		   ? list_check(look, number, key, bytes_of(value, bytes))
		   : 0;
}

/* ---- trees -------------------------------------------------------------- */

/* Looks at a page of a tree; *level is then what leads on from it. */
static int level_enter(struct look *look, struct level *level, int is_leaf)
{
	int count;

	level->page =
	    page_take(look, level->number, is_leaf ? PAGE_LEAF : PAGE_BRANCH);
	if (!level->page)
		return -1;
	count = nodes_check(look, level->number, level->page, is_leaf);
	if (count < 0)
		return -1;
	level->next = 0;
	level->count = (uint32_t)count;
	if (!is_leaf && count < 2 && !look->is_list)
		return finding(look, level->number, "a branch of one page");
	if (keys_check(look, level, is_leaf))
		return -1;
	if (!is_leaf) {
		look->seen.branches++;
		return 0;
	}
	look->seen.leaves++;
	look->seen.entries += level->count;
	for (uint32_t i = 0; i < level->count && !look->is_over; i++)
		(void)entry_check(look, level->number, node_at(level->page, i));
	level->count = 0;
	return 0;
}

/* The next page below a branch, between the keys beside it. */
static struct level level_below(struct level *level)
{
	uint32_t i = level->next++;
	struct level below = {.number = node_child(node_at(level->page, i)),
			      .low = level->low,
			      .high = level->high};

	if (i)
		below.low = node_key(node_at(level->page, i));
	if (level->next < level->count)
		below.high = node_key(node_at(level->page, level->next));
	return below;
}

static void tree_walk(struct look *look, const struct tree *tree)
{
	struct level levels[DEPTH_MOST];
	unsigned depth = 1;

	levels[0] = (struct level){.number = tree->root};
	if (level_enter(look, &levels[0], tree->depth == 1))
		return;
	while (depth && !look->is_over) {
		struct level *level = &levels[depth - 1];

		if (level->next == level->count) {
			depth--;
			continue;
		}
		levels[depth] = level_below(level);
		if (!level_enter(look, &levels[depth],
				 depth + 1 == tree->depth))
			depth++;
	}
}

static int counts_fit(const struct tree *tree, const struct tree *seen)
{
	return tree->branches == seen->branches &&
	       tree->leaves == seen->leaves &&
	       tree->run_pages == seen->run_pages &&
	       tree->entries == seen->entries;
}

/* What is said of a tree, before it is looked at. */
static int description_check(struct look *look, const struct tree *tree)
{
	if (tree->flags != (env_key_is_id(look->keys) ? TREE_ID_KEYS : 0))
		return finding(look, NO_PAGE, "its tree has flags %u",
			       tree->flags);
	if (tree->depth > DEPTH_MOST || (tree->root == NO_PAGE) != !tree->depth)
		return finding(look, NO_PAGE, "its tree is %u pages deep",
			       tree->depth);
	if (tree->root != NO_PAGE && tree->root > look->meta.last)
		return finding(look, NO_PAGE, "its root is page %llu",
			       (unsigned long long)tree->root);
	return 0;
}

/* Its own counts are compared only where all of it could be counted. */
static void tree_check(struct look *look, const struct tree *tree)
{
	const uint64_t before = *look->findings;

	look->seen = (struct tree){0};
	if (!description_check(look, tree) && tree->root != NO_PAGE)
		tree_walk(look, tree);
	if (*look->findings == before && !counts_fit(tree, &look->seen))
		finding(look, NO_PAGE,
			"its tree has %llu entries on %llu pages, and says "
			"%llu on %llu",
			(unsigned long long)look->seen.entries,
			(unsigned long long)(look->seen.branches +
					     look->seen.leaves +
					     look->seen.run_pages),
			(unsigned long long)tree->entries,
			(unsigned long long)(tree->branches + tree->leaves +
					     tree->run_pages));
}

static void main_check(struct look *look)
{
	look->name = "main";
	look->keys = DB_META;
	look->is_main = 1;
	tree_check(look, &look->meta.main);
	look->is_main = 0;
}

static void named_check(struct look *look)
{
	for (int db = DB_META + 1; db < DB_COUNT && !look->is_over; db++) {
		const int is_wanted =
		    look->what & (PAGES_NAMED | PAGES_ONE(db));

		look->keys = (enum env_db)db;
		look->name = env_db_name(look->keys);
		if (look->is_there[db] && is_wanted)
			tree_check(look, &look->named[db]);
		else if (look->is_there[db])
			(void)description_check(look, &look->named[db]);
		else if (look->what & ~(PAGES_MAIN | PAGES_FREE))
			finding(look, NO_PAGE, "it is missing");
	}
}

static void list_tree_check(struct look *look)
{
	look->name = "free pages";
	look->keys = DB_OPS; /* numbers, too */
	look->is_list = 1;
	look->findings = &look->pages->in_list;
	tree_check(look, &look->meta.list);
}

static void told(void *user, const char *text)
{
	(void)user;
	(void)text;
}

int pages_free_mark(const unsigned char *map, uint64_t map_pages,
		    const struct meta *meta, unsigned char *marked,
		    int *is_sound)
{
	struct look *look = calloc(1, sizeof *look);
	struct pages pages = {.found = told};

	if (!look)
		return ENOMEM;
	look->pages = &pages;
	look->meta = *meta;
	look->map = map;
	look->map_pages = map_pages;
	look->page_bytes = meta->list.page_bytes;
	look->reached = marked;
	list_tree_check(look);
	*is_sound = !pages.in_list;
	free(look);
	return 0;
}

/* ---- all ---------------------------------------------------------------- */

/* The file, mapped after the snapshot's meta page was read: it only grows. */
static cop_err look_begin(struct look *look, int fd)
{
	const uint64_t bytes = look->page_bytes;
	const uint64_t last = look->meta.last;
	struct stat st;

	if (fstat(fd, &st))
		return error_system(errno, "cannot read the data file");
	look->map_pages = (uint64_t)st.st_size / bytes;
	/* a page that the file lacks is 8 bytes of the list in it */
	if (look->map_pages < META_PAGES ||
	    last / (bytes / NUMBER_BYTES + 1) >= look->map_pages)
		return error_set(COP_CORRUPT,
				 "the data file is damaged (it has %llu pages, "
				 "and its last is said to be %llu); restore a "
				 "backup",
				 (unsigned long long)look->map_pages,
				 (unsigned long long)last);
	look->pages->need = (last + 1) * bytes;
	look->pages->missing =
	    last < look->map_pages ? 0 : last + 1 - look->map_pages;
	look->reached = calloc(last / 8 + 1, 1);
	if (!look->reached)
		return error_system(ENOMEM, "no memory to look at pages");
	look->map =
	    mmap(NULL, look->map_pages * bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (look->map == MAP_FAILED) {
		look->map = NULL;
		return error_system(errno, "cannot map the data file");
	}
	return 0;
}

static void look_end(struct look *look)
{
	if (look->map)
		munmap((void *)(uintptr_t)look->map,
		       look->map_pages * look->page_bytes);
	free(look->reached);
	free(look);
}

cop_err pages_check(const struct env *env, env_txn *txn, int what,
		    struct pages *pages)
{
	struct look *look = calloc(1, sizeof *look);
	struct pages none = {0};
	int fd = env_data_fd(env);
	cop_err err;

	if (!look)
		return error_system(ENOMEM, "no memory to look at pages");
	look->pages = pages ? pages : &none;
	look->what = what;
	look->findings = &look->pages->in_trees;
	err = meta_take(look, fd, txn);
	if (!err)
		err = look_begin(look, fd);
	if (!err && what & PAGES_MAIN)
		main_check(look);
	if (!err && !look->is_over)
		named_check(look);
	if (!err && what & PAGES_FREE && !look->is_over)
		list_tree_check(look);
	if (look->is_over)
		err = COP_CORRUPT;
	look_end(look);
	return err;
}
