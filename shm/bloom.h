/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bloom: "certainly not there" in one cache line, in shared memory.
 *
 * idea
 *	A blocked Bloom filter: a key's hash chooses one line of 64 bytes and
 *	all of the key's bits lie in it, so a test misses the cache once.  A
 *	filter that is outgrown gets another layer; a test asks all layers, an
 *	add goes to the newest.  Bits are only ever set: no answer "not there"
 *	is wrong, at any time, whatever writers do meanwhile.
 *
 * source
 *	Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom
 *	Filters (WEA 2007; JEA 14, 2009), section 3.  The usual formula is
 *	too good for blocks: lines are loaded unevenly, a line's load is
 *	Poisson with mean keys / lines, and full lines err more than empty
 *	ones save.  bloom_rate_expected() sums the rate over that distribution
 *	and bloom_lines_for() inverts it, so the rate asked for is the one
 *	that is had.  At 1 % that takes 9.9 bits a key, not 9.6; at 0.1 %
 *	15.5, not 14.4.
 *
 * layout
 *	struct bloom lies in the segment; the lines of a layer lie anywhere in
 *	a region given to each call as (base, region_bytes), at a multiple of
 *	64 from base.  In a hash the upper 32 bits choose the line, a remix of
 *	all gives nine bits a probe.
 *
 * ordering
 *	B1	layer_count: a release store after the layer's words are
 *		written; the acquire load in test and add pairs with it.
 *	Bits and counts are relaxed: fetch_or loses no bit, and a key is
 *	promised to be found only by whoever the caller has told of it.  The
 *	caller publishes after bloom_add() with a release of its own (the
 *	commit); a reader that sees the commit sees the bits.
 *
 * progress
 *	Wait-free.  Any number of threads and processes may add and test at
 *	once.  Layers are added under the writer lock.
 *
 * crash
 *	A kill inside bloom_add() leaves some bits of a key that nobody was
 *	told of: harmless.  One inside bloom_layer_add() leaves words of a
 *	layer that is not counted: overwritten by the next.
 *
 * limits
 *	16 layers, 2^32 - 1 lines a layer, 16 bits a key.  Words of the
 *	segment are checked against region_bytes before any use: a layer that
 *	does not fit answers "maybe" to every test, and is never written to.
 */
#ifndef SHM_BLOOM_H
#define SHM_BLOOM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BLOOM_LAYERS = 16,
	BLOOM_LINE_BYTES = 64,
	BLOOM_LINE_BITS = 512,
	BLOOM_PROBES_MAX = 16
};

/*
 * In the segment.  All but `added` is fixed once the layer is counted; the
 * words are atomic so that each is read once, then checked.
 */
struct bloom_layer {
	_Atomic uint64_t offset; /* of the first line, from base, in bytes */
	_Atomic uint64_t line_count;
	_Atomic uint64_t capacity; /* keys it was sized for */
	_Atomic uint64_t added;	   /* keys whose bits were set here */
	_Atomic uint32_t probes;   /* bits a key */
	uint32_t reserved;
};

/* In the segment. */
struct bloom {
	/* fixed after init */
	double rate; /* false positives wanted */
	/* written under the writer lock, read by any process */
	_Atomic uint32_t layer_count;
	uint32_t reserved;
	struct bloom_layer layers[BLOOM_LAYERS];
};

_Static_assert(sizeof(struct bloom_layer) == 40, "layout of a layer");
_Static_assert(sizeof(struct bloom) == 16 + 16 * 40, "layout of a filter");

enum bloom_answer {
	BLOOM_ADDED = 0,   /* was not there; its bits are set now */
	BLOOM_PRESENT = 1, /* was there already, or may have been */
	BLOOM_CORRUPT = -1 /* the newest layer makes no sense, or there is
			      none: nothing was set */
};

/*
 * Lines for `expected` keys at a false positive rate, at least 1.
 * rate		between 1e-8 and 0.5; clamped.
 */
uint64_t bloom_lines_for(uint64_t expected, double rate);

/* Bits a key that err least with so many lines and keys. */
uint32_t bloom_probes(uint64_t line_count, uint64_t key_count);

/* False positives to expect, 0 to 1, the lines' uneven load counted in. */
double bloom_rate_expected(uint64_t line_count, uint64_t key_count,
			   uint32_t probes);

/*
 * The rate to size layer `index` for, so that all layers together stay below
 * `rate`: a test that asks many layers errs by their sum.  Layer 0 gets three
 * quarters of it, the next an eighth, then always half of the one before.
 */
double bloom_layer_rate(double rate, uint32_t index);

/* An empty filter without layers: it answers "not there" to everything. */
void bloom_init(struct bloom *bloom, double rate);

/*
 * Adds a layer; every add goes to it from now on.  The writer lock is held.
 * offset	of line_count * 64 bytes, all zero, from base; multiple of 64.
 * Returns	0, or -1 when all layers are taken or an argument is out of
 *		range.
 */
int bloom_layer_add(struct bloom *bloom, uint64_t offset, uint64_t line_count,
		    uint64_t capacity);

/* Whether the newest layer holds what it was sized for, or there is none. */
int bloom_full(const struct bloom *bloom);

/* Layers in use, at most BLOOM_LAYERS. */
uint32_t bloom_layer_count(const struct bloom *bloom);

/* Keys added, all layers. */
uint64_t bloom_added(const struct bloom *bloom);

/* Lines of all layers. */
uint64_t bloom_lines(const struct bloom *bloom);

/* False positives to expect now, all layers. */
double bloom_rate_now(const struct bloom *bloom);

/*
 * Adds a key by its well mixed 64-bit hash.  Returns enum bloom_answer.
 */
int bloom_add(struct bloom *bloom, void *base, uint64_t region_bytes,
	      uint64_t hash);

/* 0: certainly never added.  1: maybe.  Memory may be read-only. */
int bloom_test(const struct bloom *bloom, const void *base,
	       uint64_t region_bytes, uint64_t hash);

#endif
