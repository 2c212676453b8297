/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small deterministic vector for a text.  See textvec.c.
 */
#ifndef DEMO_TEXTVEC_H
#define DEMO_TEXTVEC_H

#include <stddef.h>
#include <stdint.h>

enum { TEXTVEC_DIM = 128, TEXTVEC_BUCKETS = 1 << 20 };

/* In how many documents a term was seen, by a hash of the term. */
struct textvec {
	uint32_t *frequency; /* TEXTVEC_BUCKETS */
	uint32_t documents;
};

/* A part of a document: its words count `weight` times. */
struct textvec_part {
	const char *text;
	size_t size;
	float weight;
};

/* Returns 0, or -1 without memory. */
int textvec_init(struct textvec *textvec);
void textvec_release(struct textvec *textvec);

/* First pass: the words of one document. */
void textvec_learn(struct textvec *textvec, const struct textvec_part *parts,
		   size_t part_count);

/*
 * Second pass: the vector of one document, of unit length.
 * Returns	how many different terms it has; 0: none, and out is the first
 *		unit vector.
 */
size_t textvec_embed(const struct textvec *textvec,
		     const struct textvec_part *parts, size_t part_count,
		     float out[TEXTVEC_DIM]);

/* A unit vector in a direction of its own, from a number. */
void textvec_random(uint64_t seed, float out[TEXTVEC_DIM]);

#endif
