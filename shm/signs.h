/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs: 256 bits for each linked row, found near by Hamming distance.
 *
 * idea
 *	A bit says on which side of a random hyperplane a vector lies, so the
 *	share of bits in which two vectors differ grows with the angle between
 *	them.  A scan over the bits reads 32 bytes a row, and what differs
 *	least from the query is then weighed by its codes: without a graph, or
 *	as where a walk through the graph sets out from.
 *
 *	The directions are coordinates of the vector after a random rotation,
 *	made of sign changes and Hadamard transforms: n log n steps instead of
 *	256 n.  Vectors seldom lie around the origin, so each hyperplane goes
 *	through the mean of a sample.
 *
 * source
 *	Charikar, "Similarity estimation techniques from rounding algorithms"
 *	(STOC 2002); the rotation: Ailon and Chazelle, "The fast
 *	Johnson-Lindenstrauss transform" (2009).
 *
 * layout	REGION_SIGNS
 *	0	struct signs_head
 *	1088	row i at i * 32
 *
 * ordering
 *	Bits are relaxed words, a hint: whoever takes a row for an answer reads
 *	it under its own lock.  A row is signed before it is linked and leaves
 *	the tail (G1 in hnsw.h), so a search that has looked through the tail
 *	misses none.
 *	SI1	thresholds and the bits of all linked rows, then `sampled`
 *		(release); a search acquires it.
 *
 * crash
 *	While thresholds are learned `sampled` is 0; they are learned again.
 *
 * limits
 *	Only in stores that ask for it, from SIGNS_DIM dimensions and
 *	SIGNS_SAMPLE linked rows on.
 */
#ifndef SHM_SIGNS_H
#define SHM_SIGNS_H

#include "hnsw.h"

enum {
	SIGNS_BITS = 256,
	SIGNS_WORDS = SIGNS_BITS / 64,
	SIGNS_DIM = 16,
	SIGNS_SAMPLE = 1024
};

/* In the segment. */
struct signs_head {
	_Atomic uint64_t sampled; /* rows the thresholds are from, 0: none */
	uint64_t reserved[7];
	_Atomic float thresholds[SIGNS_BITS];
};

static_assert(sizeof(struct signs_head) == 1088, "head of the signs");

/* Whether the store keeps signs. */
int signs_kept(const struct segment *segment);

/* Whether rows can be found by them by now. */
int signs_ready(const struct segment *segment);

/*
 * Like hnsw_walk, but the pool is what has the least Hamming distance: as many
 * as `ef`, of those that pass.
 * on	not 0: a quarter of them and the graph's entry are where a walk sets
 *	out from
 */
void signs_walk(const struct segment *segment, struct hnsw_search *search,
		int on);

/* ---- the rest is for who holds the writer lock -------------------------- */

/* Makes room for a row's.  0, ENOSPC or an errno. */
int signs_reserve(struct segment *segment, uint32_t row);

/* Bytes in use. */
uint64_t signs_bytes(const struct segment *segment);

/*
 * Learns the thresholds, if there are rows enough by now and it was not done
 * before, and signs all linked rows.
 */
void signs_learn(struct segment *segment);

/* Signs a row that is to be linked. */
void signs_put(const struct segment *segment, uint32_t row);

#endif
