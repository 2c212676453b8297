/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache: the hits of searches, for whoever asks the same at the same commit.
 *
 * idea
 *	A table of sets of CACHE_WAYS entries.  The 128-bit hash of a query and
 *	all its parameters names a set, and an entry is that query's answer if
 *	it has the whole hash, the very commit, and a checksum over both and
 *	the hits.  Any process reads and writes, with no lock; whatever is
 *	torn, abandoned or scribbled over has another checksum, and is a miss.
 *	A writer that finds its entry in use does not wait: its result is just
 *	not kept.
 *
 * source
 *	Seqlocks as in H.-J. Boehm, "Can seqlocks get along with programming
 *	language memory models?", MSPC 2012: all data are relaxed atomics.  The
 *	replacement is CLOCK (Corbato 1968) within a set.  Departure: two
 *	writers may be at one entry, since a claim can be taken from one who
 *	sleeps; the checksum, not the sequence, is what makes that harmless.
 *
 * layout
 *	0	   struct cache, fixed after create
 *	128 + 128 i  struct cache_counts i, CACHE_SEATS of them
 *	2176	   sets of 8960 bytes
 *
 *	set	0   tag x 8	low half of the hash: all that a miss looks at
 *		64  word x 8	sequence << 8 | strikes << 1 | claimed
 *		128 hand, recent	the clock's
 *		192 used x 8	ns, when it was last found
 *		256 entry x 8	of 1088 bytes
 *
 *	entry	0         8             24      32         40     44     64
 *		checksum  hash, 2 words commit  stored ns  count  flags  hits
 *
 *	A hit is an id and a distance.  An entry whose checksum is 0 is empty.
 *
 * ordering
 *	E1	cache_store claims the word, then fences (release), before it
 *		stores into the entry; cache_find fences (acquire) after its
 *		loads, before it looks at the word again.
 *	E2	cache_store publishes by the word (release); cache_find
 *		acquires it before it loads the entry.
 *
 * progress
 *	All wait-free.  cache_find: at most CACHE_WAYS copies.
 *
 * crash
 *	A process killed between claim and publication leaves the word claimed.
 *	Every store that meets it in its set adds a strike, and with the last
 *	of CACHE_STRIKES takes the claim, under another sequence; no clock and
 *	no pid is asked.  Was its owner not dead but stopped, its publication
 *	fails, and what it stores into the entry until then makes a checksum
 *	that does not fit, or the owner's own entry, whole: a right answer.
 *
 * limits
 *	CACHE_HITS hits an entry; larger results are not kept.  64-bit
 *	checksums (xxh3): they tell accidents, not attacks.  Whoever may write
 *	to this memory may forge an answer.
 */
#ifndef SHM_CACHE_H
#define SHM_CACHE_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CACHE_LAYOUT = 1,
	CACHE_WAYS = 8,
	CACHE_HITS = 64,
	CACHE_SEATS = 16,
	CACHE_STRIKES = 32,
	CACHE_HEAD_WORDS = 8,
	CACHE_HIT_WORDS = 2,
	CACHE_WORDS = CACHE_HEAD_WORDS + CACHE_HITS * CACHE_HIT_WORDS
};

/* Clocks of two processes may differ by that much. */
#define CACHE_SKEW_NS UINT64_C(1000000000)

enum cache_flag { CACHE_WARM = 1 /* computed before anybody asked */ };

struct cache_hit {
	uint64_t id;
	double distance;
};

static_assert(sizeof(struct cache_hit) == 8 * CACHE_HIT_WORDS, "hit is packed");

/* In shared memory; fixed after create. */
struct cache {
	_Alignas(128) uint64_t magic;
	uint32_t layout;
	uint32_t set_count;
};

static_assert(sizeof(struct cache) == 128, "cache's head is two lines");

/* Atomic, any process: figures.  One of several, so that lines stay apart. */
struct cache_counts {
	_Alignas(128) _Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic uint64_t stores;
	_Atomic uint64_t evictions; /* of what could still have been found */
	_Atomic uint64_t precomputed;
};

static_assert(sizeof(struct cache_counts) == 128, "counts are two lines");

/* Atomic, any process; stored under a claim. */
struct cache_entry {
	_Atomic uint64_t words[CACHE_WORDS];
};

/* Atomic, any process. */
struct cache_set {
	_Alignas(128) _Atomic uint64_t tag[CACHE_WAYS];
	_Atomic uint64_t word[CACHE_WAYS];
	_Atomic uint32_t hand;	 /* way that the clock looks at first */
	_Atomic uint32_t recent; /* a bit a way: found since the hand passed */
	uint64_t reserved[7];
	_Atomic uint64_t used[CACHE_WAYS];
	struct cache_entry entry[CACHE_WAYS];
};

static_assert(sizeof(struct cache_set) == 8960, "set is 8960 bytes");
static_assert(offsetof(struct cache_set, used) == 192, "used after the clock");
static_assert(offsetof(struct cache_set, entry) == 256, "entries after heads");

/* This process's; what it says was checked, and the segment cannot change. */
struct cache_view {
	struct cache_counts *counts;
	struct cache_set *sets;
	uint32_t set_count; /* 0: there is no cache */
};

/* What is asked, or was answered. */
struct cache_ask {
	uint64_t key[2]; /* hash of the query and all its parameters */
	uint64_t commit; /* of the snapshot */
	uint64_t now_ns; /* any clock of this machine; not used without limit */
	uint64_t live_ns; /* time to live since it was stored, 0: no limit */
	uint64_t idle_ns; /* time since it was last found, 0: no limit */
	uint32_t seat;	  /* any number; threads with other ones count apart */
};

/* Copied out; sums of what was there at about the same time. */
struct cache_figures {
	uint64_t bytes;
	uint64_t hits;
	uint64_t misses;
	uint64_t stores;
	uint64_t evictions;
	uint64_t precomputed; /* stored with CACHE_WARM */
	uint64_t entries;     /* in use, stale ones too */
	uint64_t entry_bytes; /* of what they hold */
};

/*
 * The bytes of a cache that takes up no more than `size`, but has one set at
 * least.
 */
uint64_t cache_bytes(uint64_t size);

/*
 * Makes an empty one.
 * memory	zeroed, aligned to 128
 * bytes	as of cache_bytes
 */
void cache_init(void *memory, uint64_t bytes);

/*
 * Checks what is there.
 * Returns	0, EBADMSG if it is no cache of this layout within `bytes`; the
 *		view then is of no cache, in which nothing is found or kept.
 */
int cache_view_init(struct cache_view *view, void *memory, uint64_t bytes);

/*
 * Copies the answer out, if there is one.
 * hits, room	touched only with the answer
 * Returns	1 if it was found, 0 if not: then so is *count.
 */
int cache_find(const struct cache_view *view, const struct cache_ask *ask,
	       struct cache_hit *hits, uint32_t room, uint32_t *count);

/*
 * Keeps an answer, if it is not too large and an entry can be had.
 * flags	enum cache_flag
 * Returns	1 if it was kept.
 */
int cache_store(const struct cache_view *view, const struct cache_ask *ask,
		const struct cache_hit *hits, uint32_t count, uint32_t flags);

/* Empties it but for what is being stored meanwhile; the counts stay. */
void cache_clear(const struct cache_view *view);

/* Looks at every entry. */
void cache_figures(const struct cache_view *view, struct cache_figures *out);

#endif
