/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vector graph: approximate nearest neighbours among the bank's rows.
 *
 * idea
 *	Every live row is a node, tied to rows near it.  A search descends
 *	through thin upper levels to a row near the query, then widens on the
 *	lowest level, always following the nearest row it knows, until the
 *	`ef` nearest it has seen are all followed.  It reads the coded rows
 *	only; the caller ranks what comes back by the full rows.
 *
 *	Links are reciprocal.  So the neighbours of a row are known exactly
 *	when it goes: they are freed of it and tied to one another, and what
 *	is found stays found however long rows come and go.
 *
 *	The level of a node follows from its row's number: of sixteen rows in
 *	turn one, chosen by a hash of the group, is on the first level, of
 *	sixteen such one on the second, and so on.  So links of the upper
 *	levels have a place that is computed, nothing is allocated, and
 *	nothing of a node has to be reclaimed but its row.
 *
 * source
 *	Malkov and Yashunin, "Efficient and robust approximate nearest
 *	neighbor search using Hierarchical Navigable Small World graphs"
 *	(2018), algorithms 1, 2, 4 and 5.  Here links are reciprocal, a full
 *	list gives up one occluded link instead of being chosen anew, and
 *	levels are not drawn.
 *
 * layout	(row i)
 *	REGION_LINKS	i * 128: 32 rows, packed to the front, 0 is none
 *	REGION_UPPER	16 rows for each level above, see upper_unit()
 *	REGION_NODES	i * 4: enum hnsw_state
 *	REGION_TAIL	rows that wait to be linked, a stack
 *
 * ordering
 *	Links are relaxed words, each only a hint: whatever they say, a number
 *	below the limit is a row of the bank, and whoever wants more than a
 *	direction reads that row under its own lock and asks whether its
 *	snapshot sees it.  A row is unlinked when no open snapshot sees it any
 *	more, and a row used again is born after every open snapshot; so a
 *	stale link costs a little recall, never a wrong hit, and nodes need no
 *	grace period of their own.
 *	G1	a row is linked, and in the tree of kdtree.h where there is
 *		one, then leaves the tail: the pop stores the count
 *		(release).  A search acquires the count and looks
 *		through the tail before it walks, so it misses nothing.
 *	G3	or it is said to be linked (release), and a search that acquires
 *		that passes it over in the tail.
 *	G2	a row is written into the tail, then counted (release).
 *
 * progress
 *	A walk: no lock, no allocation, no system call; bounded by the rows.
 *
 * crash
 *	`doing` names the row that is being linked or unlinked, `beside` a
 *	node whose list is changed with it.  Every one-way link that a death
 *	can leave is in one of their lists or in a list of the row's
 *	neighbours: hnsw_recover drops those.  With several threads it is
 *	DOING_ALL, and all lists are gone through.
 *
 * limits
 *	2^30 rows; ef up to HNSW_EF_MAX.
 */
#ifndef SHM_HNSW_H
#define SHM_HNSW_H

#include "code.h"
#include "region.h"

#include <stdatomic.h>
#include <stdint.h>

struct segment;
struct bank_line;

enum {
	HNSW_M = 16,	 /* links of a new node; all, on the upper levels */
	HNSW_LINKS = 32, /* links on the lowest level */
	HNSW_LEVEL_MAX = 6,
	HNSW_EF_MAX = 65536,
	HNSW_PICK_MAX = 4 * HNSW_EF_MAX,
	HNSW_EF_BUILD = 200,
	HNSW_NOTED = 16
};

enum hnsw_state { HNSW_LOOSE = 0, HNSW_LINKED = 1, HNSW_LINKING = 2 };

/* In the segment. */
struct hnsw {
	_Atomic uint64_t entry;	 /* level << 32 | row, 0: no node */
	_Atomic uint64_t linked; /* nodes */
	_Atomic uint64_t doing;	 /* row << 2 | what, 0: nothing */
	_Atomic uint64_t beside;
	_Atomic uint64_t nibbles; /* what they find, see hnsw_judge.c */
	_Atomic uint64_t quiet;	  /* what was found at an early end */
	_Atomic uint32_t tail_count;
};

/* A process's memory for walks, a set for each thread. */
struct hnsw_room {
	uint64_t *marks;   /* a bit a row, all zero between walks */
	uint32_t *touched; /* whose bits are set, as long as they fit */
	uint64_t *pool;	   /* see hnsw_row_of() */
	uint64_t *waiting; /* the same, of the tail */
	uint64_t *picked;  /* see signs.c */
	uint32_t touched_count;
	uint32_t pool_count;
	uint32_t sieve_early; /* so many walks ask at once who lives */
};

/* Bytes that a room takes for any number of rows; untouched until used. */
uint64_t hnsw_room_bytes(const struct segment *segment);

/* Divides up hnsw_room_bytes() zeros, aligned to a page. */
void hnsw_room_init(struct hnsw_room *room, const struct segment *segment,
		    void *memory);

/* ---- searching ---------------------------------------------------------- */

/* Which rows are answers; all others are passed through at most. */
struct hnsw_sieve {
	uint64_t snapshot;
	uint64_t all;		  /* bits of the signature that must be set */
	uint64_t any;		  /* of which one must be, 0: none has to */
	const uint64_t *entities; /* a bit each, NULL: any */
	uint64_t entity_end;	  /* bits there are */
	int (*passes)(void *user, uint32_t entity); /* NULL: all do */
	void *user;
	uint32_t type; /* 0: any */
};

/* Whether a row is an answer, as far as its header says. */
int hnsw_sieve_passes(const struct hnsw_sieve *sieve,
		      const struct bank_line *line);

enum hnsw_way {
	HNSW_THROUGH = 0, /* follows what does not pass as well */
	HNSW_ACROSS = 1	  /* looks past it, to its neighbours that pass */
};

/* What was nearest when a search might have ended. */
struct hnsw_note {
	uint64_t entries[HNSW_NOTED];
	int is_made;
};

struct hnsw_search {
	const struct query_code *query;
	struct hnsw_room *room;
	const struct hnsw_sieve *sieve; /* NULL: all nodes pass */
	uint32_t ef;			/* 1 to HNSW_EF_MAX */
	enum hnsw_way way;
	int by_nibbles;	  /* distances are; see hnsw_refine() */
	int sieves_later; /* when the nearest are known */
	uint32_t quiet;	  /* ends when so many nodes brought nothing nearer,
			     0: never */
	struct hnsw_note *note; /* not NULL: notes that, and goes on */
	uint32_t patience; /* distances after which it gives up, 0: never */
	/* worked out */
	int gave_up;	    /* out of patience */
	uint32_t evaluated; /* distances computed */
	uint32_t expanded;  /* nodes whose links were followed */
};

/*
 * Fills the room's pool with up to `ef` rows that are near the query and
 * pass, nearest first by coded distance, among others that do not.  All of
 * the tail is looked at.
 */
void hnsw_walk(const struct segment *segment, struct hnsw_search *search);

/* Marks a row of the bank; returns 0 if it was marked already. */
int hnsw_room_first(struct hnsw_room *room, uint32_t row);

/* Ends a search: no row is marked. */
void hnsw_room_clear(struct hnsw_room *room, const struct segment *segment);

/* An entry of the pool: which row, whether it passes, its distance. */
static inline uint32_t hnsw_row_of(uint64_t entry)
{
	return (uint32_t)entry >> 2;
}

static inline int hnsw_passes(uint64_t entry)
{
	return !(entry & 2);
}

float hnsw_distance_of(uint64_t entry);

/* Rows in the tail. */
uint32_t hnsw_tail_count(const struct segment *segment);

/* The row at a place below the count, 0 if there is none any more. */
uint32_t hnsw_tail_at(const struct segment *segment, uint32_t index);

/* Nodes in the graph. */
uint64_t hnsw_linked(const struct segment *segment);

int hnsw_is_linked(const struct segment *segment, uint32_t row);

/* ---- the rest is for who holds the writer lock -------------------------- */

/* Makes room for a row's links.  0, ENOSPC or an errno. */
int hnsw_reserve(struct segment *segment, uint32_t row);

/*
 * Puts a row into the tail, with room for its links.
 * Returns	0, ENOSPC or another errno of growing the segment.
 */
int hnsw_await(struct segment *segment, uint32_t row);

/* Links the newest row of the tail and takes it out.  0: there was none. */
int hnsw_link_next(struct segment *segment, struct hnsw_room *room);

/* The same, and ties it to another node, however far that is. */
void hnsw_link_across(struct segment *segment, struct hnsw_room *room,
		      uint32_t other);

/* Takes a row out of the graph, if it is in there. */
void hnsw_unlink(struct segment *segment, uint32_t row);

/* Unlinks a row and frees it. */
void hnsw_drop(struct segment *segment, uint32_t row);

/* Bytes in use of a region of the graph's. */
uint64_t hnsw_region_bytes(const struct segment *segment,
			   enum region_id region);

/*
 * Derives what an image does not hold, or does not vouch for: the number of
 * nodes, the entry and the tail.  Nobody else has the segment.
 * Returns	0, EBADMSG if it makes no sense, ENOSPC or an errno.
 */
int hnsw_derive(struct segment *segment);

/* After a death in any of these. */
void hnsw_recover(struct segment *segment);

/*
 * Linking the whole tail with several threads: begin, then hnsw_link_part in
 * each of them, then end.  Searches go on meanwhile.
 */
struct hnsw_bulk {
	struct segment *segment;
	_Atomic uint32_t next;
	uint32_t count;
	_Atomic unsigned char *locks;
};

/* 0 or ENOMEM. */
int hnsw_bulk_begin(struct hnsw_bulk *bulk, struct segment *segment,
		    struct hnsw_room *room);

/* Up to `budget` rows; returns 0 when no more are left. */
int hnsw_link_part(struct hnsw_bulk *bulk, struct hnsw_room *room,
		   uint32_t budget);
void hnsw_bulk_end(struct hnsw_bulk *bulk);

/* ---- looking at all of it ----------------------------------------------- */

struct hnsw_figures {
	uint64_t linked;
	uint64_t links;	  /* of the lowest level */
	uint64_t upper;	  /* nodes above it */
	uint64_t one_way; /* links without their counterpart */
	uint64_t broken;  /* out of range, to itself, twice, to no node */
	uint64_t unreachable;
	uint64_t alike; /* of those, with the code of one that is reached */
	uint64_t degrees[HNSW_LINKS + 1]; /* nodes by their links */
};

/*
 * Goes through the whole graph; the writer lock is held, or what changes
 * meanwhile may be counted as broken.
 * Returns	0, ENOMEM, or EBADMSG if an invariant does not hold.
 */
int hnsw_validate(const struct segment *segment, struct hnsw_figures *out);

/*
 * What the entry leads to, for mending what it does not: begin, then look until
 * it returns 0, then mend, and both again until mend returns 0; then end.  Only
 * mend needs the writer lock; others may change the graph between the calls,
 * and how recent what was seen is decides only about what is linked again.
 */
struct hnsw_audit {
	uint64_t *seen;	 /* a bit a row */
	uint32_t *stack; /* rows whose links are to be followed */
	uint32_t limit;
	uint32_t depth;
	uint32_t next; /* row to be looked at by mend */
};

/* 0 or ENOMEM; to be ended in any case. */
int hnsw_audit_begin(struct hnsw_audit *audit, const struct segment *segment);

/* Follows the links of up to `steps` rows; returns 0 when no more are left. */
int hnsw_audit_look(struct hnsw_audit *audit, const struct segment *segment,
		    uint32_t steps);

/*
 * Links again the next row that was not reached.
 * Returns	0 if there is none, or no memory.
 */
int hnsw_audit_mend(struct hnsw_audit *audit, struct segment *segment,
		    struct hnsw_room *room);
void hnsw_audit_end(struct hnsw_audit *audit);

enum { HNSW_AUDITS = 8 }; /* rounds: what is linked anew may push others out */

/*
 * Audits until nothing is out of reach, HNSW_AUDITS times at most: links again
 * one row of each part that hangs together.
 * Returns	how many rows that were.
 */
uint64_t hnsw_mend(struct segment *segment, struct hnsw_room *room);

/* ---- for the files of the graph ----------------------------------------- */

/* A level of a row, if it has it. */
uint32_t hnsw_level(uint32_t row);

/* The row on that level among 16^level from slot * 16^level on. */
uint32_t hnsw_row_at(uint32_t slot, uint32_t level);

/* A row's word, enum hnsw_state; NULL if it has no room for one. */
_Atomic uint32_t *hnsw_node(const struct segment *segment, uint32_t row);

/* Links of a row on a level, NULL if it has no room for them there. */
_Atomic uint32_t *hnsw_links(const struct segment *segment, uint32_t row,
			     uint32_t level);

static inline uint32_t hnsw_links_max(uint32_t level)
{
	return level ? HNSW_M : HNSW_LINKS;
}

/* Rows that may be followed: 1 to the limit, less one. */
uint32_t hnsw_limit(const struct segment *segment);

/* Whether walks go by nibbles. */
int hnsw_by_nibbles(const struct segment *segment);

/* Whether a new node's search for neighbours may end early. */
int hnsw_ends_early(const struct segment *segment);

/* Whether a row is one of those that are asked how well both serve. */
int hnsw_judges(uint32_t row);

/* Has it say so: its pool is in order, its note is made if it ever was. */
void hnsw_judge(const struct segment *segment,
		const struct hnsw_search *search);

/*
 * Orders the pool of a search by nibbles by the codes.
 * Returns	0 if nibbles do not tell these rows apart: what was found is
 *		chance, and has to be searched for by codes
 */
int hnsw_refine(const struct segment *segment, struct hnsw_search *search);

/* Walks on one level from the pool's rows; see hnsw_search. */
void hnsw_walk_level(const struct segment *segment, struct hnsw_search *search,
		     uint32_t level);

/*
 * The nearest of the rows that wait to be linked, marked and kept aside until
 * hnsw_tail_merge puts them into the pool.  Returns how many.
 */
uint32_t hnsw_tail_weigh(const struct segment *segment,
			 struct hnsw_search *search);
void hnsw_tail_merge(struct hnsw_search *search, uint32_t count);

/* Puts rows that were not seen yet into the pool, as far as it takes them. */
void hnsw_weigh(const struct segment *segment, struct hnsw_search *search,
		const uint32_t *rows, uint32_t count);

/* Writes an entry of the tail. */
void hnsw_tail_put(const struct segment *segment, uint32_t index, uint32_t row);

/* Makes a pool of the few rows nearest on the levels above `level`. */
int hnsw_descend(const struct segment *segment, struct hnsw_search *search,
		 uint32_t level);

/* Leaves the nearest few in the pool, to set out from on another level. */
void hnsw_pool_renew(const struct segment *segment, struct hnsw_search *search);

#endif
