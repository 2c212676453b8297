/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vector for a text, without a model.
 *
 * idea
 *	1. Terms: runs of letters and digits, in lower case, a plural's ending
 *	   taken off.
 *	2. Weights: (1 + ln tf) * ln(N / df), so "the" counts for nothing and
 *	   "violoncello" for much.  tf is the sum of the weights of the parts
 *	   that the term stands in; df comes from a first pass over all
 *	   documents, in a table of hashed counters.
 *	3. Projection: a term's hash gives it 128 signs; the document's vector
 *	   is the sum of its terms' signs times their weights, scaled to unit
 *	   length.  Two documents' cosine is then that of their weighted terms,
 *	   to about 1 / sqrt(128).
 *
 *	The same text gives the same vector on every machine.
 *
 * source
 *	TF-IDF: Sparck Jones, 1972.  Signed random projections: Achlioptas,
 *	Database-friendly random projections, 2003.  Plurals: the S-stemmer of
 *	Harman, How effective is suffixing, 1991.
 *
 * limits
 *	256 different terms a document; further ones are left out.  It knows
 *	words, not meanings: a real deployment puts a model's vectors.
 */
#include "textvec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TERM_BYTES = 64, TERMS_MAX = 256 };

struct term {
	uint64_t hash;
	float weight;
};

struct terms {
	size_t count;
	struct term term[TERMS_MAX];
};

/* The finalizer of splitmix64: every bit of the answer depends on all. */
static uint64_t mix(uint64_t word)
{
	word += 0x9e3779b97f4a7c15U;
	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9U;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebU;
	return word ^ (word >> 31);
}

static uint32_t bucket_of(uint64_t hash)
{
	return (uint32_t)(hash % TEXTVEC_BUCKETS);
}

/* A letter or digit in lower case, 0 for all else. */
static char fold(char byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return (char)(byte - 'A' + 'a');
	if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9'))
		return byte;
	return 0;
}

/* ponies -> pony, horses -> horse, dogs -> dog; glass and bus stay. */
static size_t stem(char *word, size_t size)
{
	if (size < 4 || word[size - 1] != 's')
		return size;
	if (memcmp(word + size - 3, "ies", 3) == 0 && size > 4) {
		word[size - 3] = 'y';
		return size - 2;
	}
	if (word[size - 2] == 's' || word[size - 2] == 'u')
		return size;
	return size - 1;
}

static void terms_add(struct terms *terms, const char *word, size_t size,
		      float weight)
{
	uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a */
	size_t index;

	for (index = 0; index < size; index++)
		hash = (hash ^ (unsigned char)word[index]) * 0x100000001b3U;
	hash = mix(hash);
	for (index = 0; index < terms->count; index++) {
		if (terms->term[index].hash == hash) {
			terms->term[index].weight += weight;
			return;
		}
	}
	if (terms->count < TERMS_MAX)
		terms->term[terms->count++] = (struct term){hash, weight};
}

static void terms_of(struct terms *terms, const struct textvec_part *parts,
		     size_t part_count)
{
	char word[TERM_BYTES];
	size_t part;

	terms->count = 0;
	for (part = 0; part < part_count; part++) {
		const char *text = parts[part].text;
		size_t end = parts[part].size;
		size_t at = 0;

		while (at < end) {
			size_t size = 0;
			char byte;

			while (at < end && (byte = fold(text[at])) != 0) {
				if (size < TERM_BYTES)
					word[size++] = byte;
				at++;
			}
			if (size == 0)
				at++;
			else
				terms_add(terms, word, stem(word, size),
					  parts[part].weight);
		}
	}
}

/* Adds weight times the 128 signs of a hash. */
static void project(uint64_t hash, float weight, float out[TEXTVEC_DIM])
{
	uint32_t word;
	uint32_t bit;

	for (word = 0; word < TEXTVEC_DIM / 64; word++) {
		uint64_t signs = mix(hash + word);

		for (bit = 0; bit < 64; bit++)
			out[word * 64 + bit] +=
			    (signs >> bit & 1) != 0 ? weight : -weight;
	}
}

/* Returns the length it had. */
static float normalize(float vector[TEXTVEC_DIM])
{
	float sum = 0;
	float length;
	uint32_t index;

	for (index = 0; index < TEXTVEC_DIM; index++)
		sum += vector[index] * vector[index];
	length = sqrtf(sum);
	if (length > 1e-6F)
		for (index = 0; index < TEXTVEC_DIM; index++)
			vector[index] /= length;
	return length;
}

int textvec_init(struct textvec *textvec)
{
	textvec->documents = 0;
	textvec->frequency = calloc(TEXTVEC_BUCKETS, sizeof(uint32_t));
	return textvec->frequency == NULL ? -1 : 0;
}

void textvec_release(struct textvec *textvec)
{
	free(textvec->frequency);
	textvec->frequency = NULL;
}

void textvec_learn(struct textvec *textvec, const struct textvec_part *parts,
		   size_t part_count)
{
	struct terms terms;
	size_t index;

	terms_of(&terms, parts, part_count);
	for (index = 0; index < terms.count; index++)
		textvec->frequency[bucket_of(terms.term[index].hash)]++;
	textvec->documents++;
}

size_t textvec_embed(const struct textvec *textvec,
		     const struct textvec_part *parts, size_t part_count,
		     float out[TEXTVEC_DIM])
{
	struct terms terms;
	size_t index;

	memset(out, 0, TEXTVEC_DIM * sizeof *out);
	terms_of(&terms, parts, part_count);
	for (index = 0; index < terms.count; index++) {
		const struct term *term = &terms.term[index];
		uint32_t seen = textvec->frequency[bucket_of(term->hash)];
		float rarity =
		    logf((float)(textvec->documents + 1) / (float)(seen + 1));
		float often =
		    term->weight > 1 ? 1 + logf(term->weight) : term->weight;

		project(term->hash, often * rarity, out);
	}
	if (normalize(out) <= 1e-6F) {
		memset(out, 0, TEXTVEC_DIM * sizeof *out);
		out[0] = 1;
	}
	return terms.count;
}

void textvec_random(uint64_t seed, float out[TEXTVEC_DIM])
{
	uint32_t index;

	for (index = 0; index < TEXTVEC_DIM; index++) {
		uint64_t bits = mix(mix(seed) + index);

		/* -1 to 1 in steps of 2^-23 */
		out[index] = (float)(bits >> 40) / 8388608.0F - 1.0F;
	}
	(void)normalize(out);
}
