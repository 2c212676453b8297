/* SPDX-License-Identifier: Apache-2.0 */
#include "salvage.h"
#include "error.h"
#include "flip.h"
#include "format.h"
#include "page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_BYTES (UINT64_C(64) << 20)

enum {
	PAGE_USUAL = 4096,
	NUMBER_BITS = 64,
	BYTE_BITS = 8,
	CHILDREN_TRIED = 4 /* of a branch */
};

/* Bytes of marks: pages at the file's end may be free and never written. */
#define LISTED	      UINT64_C(2)
#define MARKED(pages) (LISTED * (pages) / BYTE_BITS + 1)

struct run {
	struct salvage *salvage;
	struct env *to;
	env_txn *txn;
	uint64_t batch_bytes;
	const unsigned char *map;
	uint64_t pages; /* whole ones in the file */
	uint32_t page_bytes;
	struct meta meta;
	int has_state;
	uint64_t commit;      /* that it has */
	unsigned char *taken; /* a bit a page: a tree has it */
	unsigned char *free;  /* a bit a page: it is listed as free */
	int list_is_sound;
	int is_looking; /* for the state alone: nothing is put */
	int is_lost;	/* a page or a node, perhaps */
	int forgets;	/* an entry is lost */
	int err;	/* of memory, or of what is put */
	int has_tree[DB_COUNT];
	struct tree trees[DB_COUNT];
	uint16_t sizes[PAGE_MOST / 2];
	unsigned char page[PAGE_MOST]; /* one with a bit turned over */
	struct buffer key;
	struct buffer value;
};

__attribute__((format(printf, 2, 3))) static void lost(struct run *run,
						       const char *format, ...)
{
	char text[200];
	va_list args;

	run->salvage->lost++;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	run->salvage->found(run->salvage->user, text);
}

static const unsigned char *page_at(const struct run *run, uint64_t number)
{
	return run->map + number * run->page_bytes;
}

static int bit_is_set(const unsigned char *bits, uint64_t number)
{
	return bits[number / BYTE_BITS] >> number % BYTE_BITS & 1;
}

static void mark(const struct run *run, unsigned char *bits, uint64_t number,
		 uint64_t count)
{
	for (uint64_t i = number; i < number + count && i < run->pages; i++)
		bits[i / BYTE_BITS] |= (unsigned char)(1 << i % BYTE_BITS);
}

static int page_flags(const unsigned char *page)
{
	struct page_header header;

	memcpy(&header, page, sizeof header);
	return header.flags;
}

/* ---- what is put -------------------------------------------------------- */

static void batch_step(struct run *run, uint64_t bytes)
{
	run->batch_bytes += bytes;
	if (run->err || run->batch_bytes < BATCH_BYTES)
		return;
	run->batch_bytes = 0;
	run->err = env_write_commit(run->txn);
	if (!run->err)
		run->err = env_write_begin(run->to, 0, &run->txn);
	if (run->err)
		run->txn = NULL;
}

static int is_key(struct bytes key, const char *name)
{
	return key.size == strlen(name) && !memcmp(key.data, name, key.size);
}

/* The newest commit, of what a tree says that is being looked at. */
static void state_look(struct run *run, struct bytes key, struct bytes value)
{
	struct disk_state state;

	if (!is_key(key, "state") || value.size != sizeof state)
		return;
	memcpy(&state, value.data, sizeof state);
	run->commit = state.commit;
	run->has_state = 1;
}

/*
 * CURRENT names this file, so nobody has written to a successor that it may
 * name.
 */
static void entry_put(struct run *run, enum env_db db, struct bytes key,
		      struct bytes value)
{
	if (run->is_looking) {
		state_look(run, key, value);
		return;
	}
	if (run->err || (db == DB_META && is_key(key, "successor")))
		return;
	run->err = env_append(run->to, run->txn, db, key, value);
	batch_step(run, key.size + value.size);
}

/* ---- nodes -------------------------------------------------------------- */

struct entry {
	struct bytes key;
	struct bytes value; /* without its checksum */
	uint64_t stored;    /* that */
	uint64_t run;	    /* the first page of its own, 0: none */
	int db;		    /* it is the tree of that one; 0: a value */
};

/* How many nodes a page seems to have. */
static uint32_t nodes_of(const struct run *run, const unsigned char *page)
{
	struct page_header header;
	uint32_t most = (run->page_bytes - PAGES_HEADER) / 2;

	memcpy(&header, page, sizeof header);
	if (header.lower < PAGES_HEADER)
		return 0;
	return (header.lower - (uint32_t)PAGES_HEADER) / 2 < most
		   ? (header.lower - (uint32_t)PAGES_HEADER) / 2
		   : most;
}

/* Where a node is said to begin; NULL if none can be there. */
static const unsigned char *
node_place(const struct run *run, const unsigned char *page, uint32_t index)
{
	uint32_t at = number16(page + PAGES_HEADER + 2 * (size_t)index);

	return at >= PAGES_HEADER && at <= run->page_bytes - NODE_HEADER
		   ? page + at
		   : NULL;
}

/* A value in pages of its own, as long as it is said to be. */
static int run_find(const struct run *run, struct entry *entry, size_t bytes)
{
	uint64_t number = entry->run;

	if (number < META_PAGES || number >= run->pages ||
	    bytes > (run->pages - number) * run->page_bytes - PAGES_HEADER)
		return -1;
	entry->value = bytes_of(page_at(run, number) + PAGES_HEADER, bytes);
	return 0;
}

/* A database's tree, of the main one. */
static int tree_find(struct entry *entry)
{
	entry->db = env_db_named(entry->key);
	return entry->db < DB_COUNT && entry->value.size == sizeof(struct tree)
		   ? 0
		   : -1;
}

/* Where a node's parts are; -1 if it is none. */
static int node_parse(const struct run *run, enum env_db db,
		      const unsigned char *page, uint32_t index,
		      struct entry *entry)
{
	const unsigned char *at = node_place(run, page, index);
	uint64_t bytes;
	struct node node;

	*entry = (struct entry){0};
	if (!at)
		return -1;
	node = node_of(at);
	bytes = node_value_bytes(&node);
	if (node_bytes(&node, 1) > (size_t)(page + run->page_bytes - at))
		return -1;
	entry->key = node_key(at);
	entry->value = bytes_of(at + NODE_HEADER + node.key_bytes, bytes);
	if (node.flags == NODE_TREE && db == DB_META)
		return tree_find(entry);
	if (node.flags & ~NODE_RUN || bytes < FORMAT_SUM_BYTES ||
	    !env_key_fits(db, node.key_bytes))
		return -1;
	if (node.flags == NODE_RUN) {
		entry->run = number64(entry->value.data);
		if (run_find(run, entry, bytes))
			return -1;
	}
	entry->value.size -= FORMAT_SUM_BYTES;
	entry->stored = env_sum_stored(entry->value);
	return 0;
}

static int node_is_sound(const struct run *run, enum env_db db,
			 const unsigned char *page, uint32_t index)
{
	struct entry entry;

	return !node_parse(run, db, page, index, &entry) &&
	       (entry.db ||
		env_sum(db, entry.key, entry.value) == entry.stored);
}

/* ---- leaves ------------------------------------------------------------- */

/* The first node that is not sound, or how many there are. */
static uint32_t first_bad(const struct run *run, enum env_db db,
			  const unsigned char *page, uint32_t count)
{
	uint32_t i = 0;

	while (i < count && node_is_sound(run, db, page, i))
		i++;
	return i;
}

/* A page, a copy of one, of which a bit is turned over. */
struct trial {
	struct run *run;
	enum env_db db;
	unsigned char *page;
	const unsigned char *said; /* it without that */
	uint32_t bad;		   /* the first node that was not sound */
};

/* What is not surely so may have an earlier value of the same entry. */
static int is_in_use(const struct run *run, uint64_t number)
{
	return run->list_is_sound && !bit_is_set(run->free, number);
}

/* Where the node that was not sound has its value now. */
static int value_is_in_use(const struct trial *trial)
{
	struct entry said;
	struct entry entry;

	(void)node_parse(trial->run, trial->db, trial->said, trial->bad, &said);
	return !node_parse(trial->run, trial->db, trial->page, trial->bad,
			   &entry) &&
	       (!entry.run || entry.run == said.run ||
		is_in_use(trial->run, entry.run));
}

/* That node is looked at first, since it stays so with most bits. */
static int leaf_is_sound(void *user)
{
	const struct trial *trial = user;
	struct run *run = trial->run;
	int nodes =
	    page_nodes(trial->page, run->page_bytes, 1, run->sizes, NULL);
	uint32_t count = nodes > 0 ? (uint32_t)nodes : 0;

	return count &&
	       (trial->bad >= count ||
		(node_is_sound(run, trial->db, trial->page, trial->bad) &&
		 value_is_in_use(trial))) &&
	       first_bad(run, trial->db, trial->page, count) == count;
}

/* The page with a bit put back, so that all of it is sound; or NULL. */
static const unsigned char *leaf_flip(struct run *run, enum env_db db,
				      const unsigned char *page, uint32_t bad)
{
	struct trial trial = {
	    .run = run, .db = db, .page = run->page, .said = page, .bad = bad};

	memcpy(run->page, page, run->page_bytes);
	return flip_any(run->page, run->page_bytes, leaf_is_sound, &trial)
		   ? run->page
		   : NULL;
}

/* An entry whose checksum is not right, if that is for one bit. */
static void entry_flip(struct run *run, enum env_db db,
		       const struct entry *entry)
{
	run->key.size = 0;
	run->value.size = 0;
	if (buffer_put(&run->key, entry->key.data, entry->key.size) ||
	    buffer_put(&run->value, entry->value.data, entry->value.size))
		run->err = ENOMEM;
	else if (flip_back(db, &run->key, &run->value, entry->stored))
		entry_put(run, db, bytes_of(run->key.data, run->key.size),
			  bytes_of(run->value.data, run->value.size));
	else
		run->is_lost = 1;
}

static void node_take(struct run *run, enum env_db db,
		      const unsigned char *page, uint32_t index)
{
	struct entry entry;

	if (node_parse(run, db, page, index, &entry)) {
		run->is_lost = 1;
		return;
	}
	if (entry.db) {
		run->has_tree[entry.db] = 1;
		memcpy(&run->trees[entry.db], entry.value.data,
		       sizeof(struct tree));
		return;
	}
	if (env_sum(db, entry.key, entry.value) != entry.stored) {
		entry_flip(run, db, &entry);
		return;
	}
	if (entry.run)
		mark(run, run->taken, entry.run,
		     (entry.value.size + FORMAT_SUM_BYTES + PAGES_HEADER +
		      run->page_bytes - 1) /
			 run->page_bytes);
	entry_put(run, db, entry.key, entry.value);
}

/* Whether a page has any entry of a database. */
static int leaf_is_of(const struct run *run, enum env_db db,
		      const unsigned char *page)
{
	uint32_t count = nodes_of(run, page);

	for (uint32_t i = 0; i < count; i++)
		if (node_is_sound(run, db, page, i))
			return 1;
	return 0;
}

static void leaf_take(struct run *run, enum env_db db, uint64_t number)
{
	const unsigned char *page = page_at(run, number);
	uint32_t count = nodes_of(run, page);
	uint32_t bad = first_bad(run, db, page, count);
	const unsigned char *mended = NULL;

	if (bad < count ||
	    page_nodes(page, run->page_bytes, 1, run->sizes, NULL) < 0) {
		mended = leaf_flip(run, db, page, bad);
		if (!mended && !leaf_is_of(run, db, page)) {
			run->is_lost = 1; /* perhaps another's: not taken */
			return;
		}
	}
	mark(run, run->taken, number, 1);
	page = mended ? mended : page;
	count = nodes_of(run, page);
	for (uint32_t i = 0; i < count && !run->err; i++)
		node_take(run, db, page, i);
}

/* ---- trees -------------------------------------------------------------- */

/* A page that a tree is said to have. */
struct place {
	enum env_db db;
	uint64_t number;
	struct bytes low; /* its keys' bounds; no data: none */
	struct bytes high;
	unsigned levels; /* down to the leaves, as the tree says */
	unsigned depth;	 /* branches above it */
};

/* Whether a page of a tree has that number, by its header. */
static int is_there(const struct run *run, uint64_t number)
{
	struct page_header header;

	if (number < META_PAGES || number >= run->pages ||
	    bit_is_set(run->taken, number))
		return 0;
	memcpy(&header, page_at(run, number), sizeof header);
	return header.number == number &&
	       (header.flags == PAGE_LEAF || header.flags == PAGE_BRANCH);
}

/* A node's key, if one can be there; else no data. */
static struct bytes key_at(const struct run *run, enum env_db db,
			   const unsigned char *page, uint32_t index)
{
	const unsigned char *at = NULL;
	struct bytes none = bytes_of(NULL, 0);
	struct bytes key;

	if (index < nodes_of(run, page))
		at = node_place(run, page, index);
	if (!at)
		return none;
	key = node_key(at);
	return NODE_HEADER + key.size <=
			   (size_t)(page + run->page_bytes - at) &&
		       env_key_fits(db, key.size)
		   ? key
		   : none;
}

/*
 * Whether a page has entries of a database, or one below it: of a branch some
 * are tried, since one may be damaged, but the first node, which has no key.
 */
static int leads_to(const struct run *run, enum env_db db, uint64_t number,
		    unsigned depth)
{
	const unsigned char *page;

	if (!is_there(run, number) || depth == DEPTH_MOST)
		return 0;
	page = page_at(run, number);
	if (page_flags(page) == PAGE_LEAF)
		return leaf_is_of(run, db, page);
	for (uint32_t i = 1; i <= CHILDREN_TRIED; i++)
		if (key_at(run, db, page, i).data &&
		    leads_to(run, db, node_child(node_at(page, i)), depth + 1))
			return 1;
	return 0;
}

/* Whether a page that is there could be at a place. */
static int fits(const struct run *run, const struct place *place,
		uint64_t number)
{
	const unsigned char *page = page_at(run, number);
	/* the first of a branch does not count */
	struct bytes key =
	    key_at(run, place->db, page, page_flags(page) == PAGE_BRANCH);

	if (!key.data ||
	    (place->low.data &&
	     env_key_compare(place->db, key, place->low) < 0) ||
	    (place->high.data &&
	     env_key_compare(place->db, key, place->high) >= 0))
		return 0;
	return leads_to(run, place->db, number, 0);
}

/* The kind of a page of whose header a bit is wrong; 0: more than one is. */
static int kind_near(const struct run *run, const struct place *place)
{
	const int said = place->levels > 1 ? PAGE_BRANCH : PAGE_LEAF;
	struct page_header header;

	if (place->number < META_PAGES || place->number >= run->pages ||
	    bit_is_set(run->taken, place->number))
		return 0;
	memcpy(&header, page_at(run, place->number), sizeof header);
	if ((header.flags == PAGE_LEAF || header.flags == PAGE_BRANCH) &&
	    flip_is_near(header.number, place->number))
		return header.flags;
	return header.number == place->number &&
		       flip_is_near(header.flags, (uint64_t)said)
		   ? said
		   : 0;
}

/*
 * Which page is at a place, 0: none.  Its number may have a wrong bit, and so
 * may the list of free pages, which may have it by mistake.
 */
static uint64_t page_find(const struct run *run, const struct place *place)
{
	const uint64_t said = place->number;
	int is_said = is_there(run, said) && fits(run, place, said);

	if (is_said && !bit_is_set(run->free, said))
		return said;
	for (int bit = 0; bit < NUMBER_BITS; bit++) {
		uint64_t number = said ^ UINT64_C(1) << bit;

		if (is_there(run, number) && is_in_use(run, number) &&
		    fits(run, place, number))
			return number;
	}
	if (is_said || (is_there(run, said) && !bit_is_set(run->free, said)))
		return said;
	return kind_near(run, place) ? said : 0;
}

static int branch_is_sound(void *user)
{
	const struct trial *trial = user;
	struct run *run = trial->run;

	return page_nodes(trial->page, run->page_bytes, 0, run->sizes, NULL) >=
	       0;
}

static void place_take(struct run *run, const struct place *place);

static void child_take(struct run *run, const struct place *above,
		       const unsigned char *page, uint32_t index,
		       uint32_t count)
{
	const unsigned char *at = node_place(run, page, index);
	struct place place = {.db = above->db,
			      .low = above->low,
			      .high = above->high,
			      .levels = above->levels ? above->levels - 1 : 0,
			      .depth = above->depth + 1};

	if (!at) {
		run->is_lost = 1;
		return;
	}
	place.number = node_child(at);
	if (index)
		place.low = key_at(run, place.db, page, index);
	if (index + 1 < count)
		place.high = key_at(run, place.db, page, index + 1);
	place_take(run, &place);
}

static void branch_take(struct run *run, const struct place *place,
			uint64_t number)
{
	unsigned char *page = malloc(run->page_bytes);
	struct trial trial = {.run = run, .db = place->db, .page = page};
	uint32_t count;

	if (!page) {
		run->err = ENOMEM;
		return;
	}
	memcpy(page, page_at(run, number), run->page_bytes);
	mark(run, run->taken, number, 1);
	if (!branch_is_sound(&trial))
		(void)flip_any(page, run->page_bytes, branch_is_sound, &trial);
	count = nodes_of(run, page);
	for (uint32_t i = 0; i < count && !run->err; i++)
		child_take(run, place, page, i, count);
	free(page);
}

static void place_take(struct run *run, const struct place *place)
{
	uint64_t number = page_find(run, place);
	int kind;

	if (!number || place->depth == DEPTH_MOST) {
		run->is_lost = 1;
		return;
	}
	kind = is_there(run, number) ? page_flags(page_at(run, number))
				     : kind_near(run, place);
	if (kind == PAGE_LEAF)
		leaf_take(run, place->db, number);
	else
		branch_take(run, place, number);
}

static void database_take(struct run *run, enum env_db db,
			  const struct tree *tree)
{
	struct place root = {
	    .db = db, .number = tree->root, .levels = tree->depth};

	if (tree->root != NO_PAGE)
		place_take(run, &root);
}

/* ---- leaves without a tree ---------------------------------------------- */

static uint64_t entries_of(const struct run *run, enum env_db db)
{
	uint64_t count = 0;

	(void)env_count(run->to, run->txn, db, &count);
	return count;
}

static int lacks(const struct run *run, enum env_db db)
{
	return !run->has_tree[db] ||
	       entries_of(run, db) != run->trees[db].entries;
}

static void stray_take(struct run *run, uint64_t number)
{
	for (int db = DB_META; db < DB_COUNT && !run->err; db++)
		if (lacks(run, (enum env_db)db) &&
		    leaf_is_of(run, (enum env_db)db, page_at(run, number))) {
			leaf_take(run, (enum env_db)db, number);
			return;
		}
}

/* Pages in use that no tree led to. */
static void strays_take(struct run *run)
{
	uint64_t end =
	    run->meta.last < run->pages ? run->meta.last + 1 : run->pages;

	run->is_lost |= !run->list_is_sound;
	for (uint64_t i = META_PAGES; i < end && !run->err; i++) {
		struct page_header header;

		if (bit_is_set(run->taken, i) || !is_in_use(run, i))
			continue;
		memcpy(&header, page_at(run, i), sizeof header);
		if (flip_is_near(header.number, i) && header.flags == PAGE_LEAF)
			stray_take(run, i);
		run->is_lost |= !bit_is_set(run->taken, i);
	}
}

static void losses_tell(struct run *run)
{
	for (int db = DB_META; db < DB_COUNT && run->is_lost; db++) {
		const char *name = db ? env_db_name((enum env_db)db) : "main";
		uint64_t count = entries_of(run, (enum env_db)db);

		run->forgets |= lacks(run, (enum env_db)db);
		if (!run->has_tree[db])
			lost(run,
			     "%s: %llu entries can be read, of how many "
			     "is not known",
			     name, (unsigned long long)count);
		else if (count < run->trees[db].entries)
			lost(run, "%s: %llu of %llu entries can be read", name,
			     (unsigned long long)count,
			     (unsigned long long)run->trees[db].entries);
	}
}

/* ---- meta pages --------------------------------------------------------- */

/* The list of free pages; what a damaged one says is not believed. */
static int free_mark(struct run *run)
{
	int err = 0;

	run->list_is_sound = 0;
	memset(run->free, 0, MARKED(run->pages));
	if (run->meta.last < LISTED * run->pages)
		err = pages_free_mark(run->map, run->pages, &run->meta,
				      run->free, &run->list_is_sound);
	if (!err && !run->list_is_sound)
		memset(run->free, 0, MARKED(run->pages));
	return err;
}

/* As if nothing of the file had been looked at. */
static void run_reset(struct run *run)
{
	memset(run->taken, 0, MARKED(run->pages));
	memset(run->has_tree, 0, sizeof run->has_tree);
	run->is_lost = 0;
	run->has_state = 0;
}

static int main_look(struct run *run)
{
	int err;

	run_reset(run);
	err = free_mark(run);
	if (err)
		return err;
	run->is_looking = 1;
	database_take(run, DB_META, &run->meta.main);
	run->is_looking = 0;
	return run->err;
}

struct meta_trial {
	const struct run *run;
	const struct meta *meta;
	uint64_t number; /* of the page that it is on */
};

/* LMDB writes a transaction's meta page to the page of its last bit. */
static int meta_is_own(void *user)
{
	const struct meta_trial *trial = user;
	const struct meta *meta = trial->meta;

	return meta_is_sound(meta, trial->number) &&
	       meta->list.page_bytes == trial->run->page_bytes &&
	       (!meta->txn_id || (meta->txn_id & 1) == trial->number);
}

/* A meta page, with a bit put back if one is wrong; 0: more than one is. */
static int meta_take(struct run *run, uint64_t number)
{
	struct meta_trial trial = {run, &run->meta, number};

	memcpy(&run->meta, page_at(run, number), sizeof run->meta);
	return meta_is_own(&trial) ||
	       flip_any(&run->meta, sizeof run->meta, meta_is_own, &trial);
}

/* The size that a meta page has which is where it should be by it. */
static uint32_t page_bytes_find(const struct run *run, uint64_t file_bytes)
{
	for (uint32_t bytes = PAGE_LEAST; bytes <= PAGE_MOST; bytes *= 2)
		for (uint64_t i = 0; i < META_PAGES; i++) {
			struct meta meta;

			if (file_bytes < (i + 1) * bytes)
				continue;
			memcpy(&meta, run->map + i * bytes, sizeof meta);
			if (meta_is_sound(&meta, i) &&
			    meta.list.page_bytes == bytes)
				return bytes;
		}
	return PAGE_USUAL;
}

/* Whether a meta page that leads to no state is older than any that does. */
static int is_of_nothing(const struct meta *meta)
{
	return meta->main.root == NO_PAGE && meta->txn_id < META_PAGES;
}

/* The meta page that leads to the newest state. */
static cop_err meta_choose(struct run *run)
{
	struct meta best = {0};
	uint64_t commit = 0;
	int found = 0;
	int refused = 0;

	for (uint64_t i = 0; i < META_PAGES; i++) {
		run->has_state = 0;
		if (meta_take(run, i)) {
			int err = main_look(run);

			if (err)
				return error_system(err,
						    "no memory to salvage");
		}
		if (!run->has_state) {
			refused += !is_of_nothing(&run->meta);
			continue;
		}
		if (!found || run->commit > commit ||
		    (run->commit == commit && run->meta.txn_id > best.txn_id)) {
			best = run->meta;
			commit = run->commit;
		}
		found = 1;
	}
	if (!found)
		return error_set(COP_CORRUPT,
				 "neither of the data file's meta pages leads "
				 "to a state of the store; restore a backup");
	if (refused)
		lost(run,
		     "one of the meta pages leads nowhere; what is newer "
		     "than commit %llu, if anything was, is lost",
		     (unsigned long long)commit);
	run->meta = best;
	run_reset(run);
	return 0;
}

/* ---- all ---------------------------------------------------------------- */

static cop_err data_is_short(uint64_t bytes)
{
	return error_set(COP_CORRUPT,
			 "the data file has %llu bytes, too few for any; "
			 "restore a backup",
			 (unsigned long long)bytes);
}

static cop_err run_begin(struct run *run, int fd)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st))
		return error_system(errno, "cannot read the data file");
	bytes = (uint64_t)st.st_size;
	if (bytes < META_PAGES * (uint64_t)PAGE_LEAST)
		return data_is_short(bytes);
	run->map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (run->map == MAP_FAILED) {
		run->map = NULL;
		return error_system(errno, "cannot map the data file");
	}
	run->page_bytes = page_bytes_find(run, bytes);
	run->pages = bytes / run->page_bytes;
	if (run->pages < META_PAGES)
		return data_is_short(bytes);
	run->taken = calloc(MARKED(run->pages), 1);
	run->free = calloc(MARKED(run->pages), 1);
	return run->taken && run->free
		   ? 0
		   : error_system(ENOMEM, "no memory to salvage");
}

static void run_end(struct run *run)
{
	if (run->map)
		munmap((void *)(uintptr_t)run->map,
		       run->pages * run->page_bytes);
	buffer_release(&run->key);
	buffer_release(&run->value);
	free(run->taken);
	free(run->free);
	free(run);
}

static int trees_take(struct run *run)
{
	int err = free_mark(run);

	if (err)
		return err;
	run->has_tree[DB_META] = 1;
	run->trees[DB_META] = run->meta.main;
	database_take(run, DB_META, &run->meta.main);
	for (int db = DB_META + 1; db < DB_COUNT && !run->err; db++)
		if (run->has_tree[db])
			database_take(run, (enum env_db)db, &run->trees[db]);
	if (!run->err)
		strays_take(run);
	return run->err;
}

/* From here on history lacks nothing; before, it is not known. */
static int history_end(struct run *run)
{
	const struct bytes key = bytes_of("state", 5);
	struct disk_state state;
	struct bytes value;
	int err = env_get(run->to, run->txn, DB_META, key, &value);

	if (err)
		return err;
	memcpy(&state, value.data, sizeof state);
	state.whole = state.commit;
	return env_put(run->to, run->txn, DB_META, key,
		       bytes_of(&state, sizeof state));
}

static cop_err essentials_check(struct run *run)
{
	struct bytes value;

	if (!env_get(run->to, run->txn, DB_META, bytes_of("store", 5),
		     &value) &&
	    !env_get(run->to, run->txn, DB_META, bytes_of("state", 5), &value))
		return 0;
	return error_set(COP_CORRUPT, "the data file has no description of the "
				      "store any more; restore a backup");
}

static cop_err put_all(struct run *run)
{
	cop_err err;
	int code = env_write_begin(run->to, 0, &run->txn);

	if (!code)
		code = trees_take(run);
	if (code)
		return error_system(code, "cannot write what was salvaged");
	err = essentials_check(run);
	if (err)
		return err;
	losses_tell(run);
	if (run->forgets)
		code = history_end(run);
	if (!code) {
		code = env_write_commit(run->txn);
		run->txn = NULL;
	}
	return code ? error_system(code, "cannot write what was salvaged") : 0;
}

cop_err salvage_run(int fd, struct env *to, struct salvage *salvage)
{
	struct run *run = calloc(1, sizeof *run);
	cop_err err;

	if (!run)
		return error_system(ENOMEM, "no memory to salvage");
	run->salvage = salvage;
	run->to = to;
	err = run_begin(run, fd);
	if (!err)
		err = meta_choose(run);
	if (!err)
		err = put_all(run);
	if (run->txn)
		env_write_abort(run->txn);
	run_end(run);
	return err;
}
