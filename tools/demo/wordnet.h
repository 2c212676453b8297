/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WordNet's database files in memory: synsets, their words, relations and
 * glosses.  See wordnet.c.
 */
#ifndef DEMO_WORDNET_H
#define DEMO_WORDNET_H

#include <stddef.h>
#include <stdint.h>

#define WORDNET_NONE UINT32_MAX

enum wordnet_pos {
	WORDNET_NOUN = 0,
	WORDNET_VERB = 1,
	WORDNET_ADJECTIVE = 2,
	WORDNET_ADVERB = 3,
	WORDNET_POS_COUNT = 4
};

enum { WORDNET_KEY_BYTES = 256 };

/* A relation to another synset. */
struct wordnet_pointer {
	uint32_t target;   /* index of a synset */
	uint32_t relation; /* for wordnet_relation() */
};

/* A set of words that mean the same. */
struct wordnet_synset {
	uint32_t offset; /* in its file; with pos it names the synset */
	uint32_t first_word;
	uint32_t word_count;
	uint32_t first_pointer;
	uint32_t pointer_count;
	uint32_t gloss_size;
	const char *gloss;
	uint8_t pos;	 /* enum wordnet_pos */
	uint8_t lexfile; /* for wordnet_lexfile() */
};

struct wordnet {
	struct wordnet_synset *synsets; /* by part of speech, then offset */
	uint32_t synset_count;
	uint32_t pos_first[WORDNET_POS_COUNT + 1];
	const char **words; /* spaces as '_', as in the files */
	uint32_t word_count;
	struct wordnet_pointer *pointers; /* distinct within a synset */
	uint32_t pointer_count;
	char *text[WORDNET_POS_COUNT];
	char error[256]; /* what failed, after an error */
};

/*
 * Reads data.noun, data.verb, data.adj and data.adv of a folder.
 * Returns	0, or -1 and a line in out->error.  wordnet_release() either
 *		way.
 */
int wordnet_load(struct wordnet *out, const char *folder);
void wordnet_release(struct wordnet *wordnet);

/* "dog.n.02084071": the first word, part of speech and offset. */
size_t wordnet_key(const struct wordnet *wordnet, uint32_t synset,
		   char out[WORDNET_KEY_BYTES]);

/* The first synset of a lexicographer file with that word, or WORDNET_NONE. */
uint32_t wordnet_find(const struct wordnet *wordnet, const char *word,
		      const char *lexfile);

/* The first direct hypernym of a synset, or WORDNET_NONE. */
uint32_t wordnet_hypernym(const struct wordnet *wordnet, uint32_t synset);

/* "hypernym", "part_meronym"; "noun.animal"; "noun". */
const char *wordnet_relation(uint32_t relation);
const char *wordnet_lexfile(uint32_t lexfile);
const char *wordnet_type(uint32_t pos);

#endif
