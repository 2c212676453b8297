/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts WordNet into a store: an entity a synset, an edge a relation.
 *
 * layout
 *	key		dog.n.02084071
 *	type		noun, verb, adjective or adverb
 *	tags		the lexicographer file, noun.animal
 *	properties	name: "dog"; words: ["dog", "domestic dog", ...]
 *	content		the gloss
 *	vector		of the words (twice), the gloss, the hypernym's words
 *			and, faintly, its gloss; see textvec.c
 *	edges		hypernym, part_meronym, antonym ...
 *
 *	Entities first, all of them, so that no edge dangles; BATCH operations
 *	a commit.
 */
#include "import.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board.h"
#include "signals.h"

enum { BATCH = 20000, WORDS_MAX = 64, PARTS_MAX = 2 * 8 + 2, WORD_PARTS = 8 };

/* A write being filled, and how far the whole is. */
struct batch {
	cop_store *store;
	cop_write *write;
	const char *what;
	uint64_t done;
	uint64_t total;
	uint64_t start_ns;
};

static double seconds_since(uint64_t start_ns)
{
	return (double)(board_clock_ns() - start_ns) / 1e9;
}

static void batch_show(const struct batch *batch)
{
	double rate = (double)batch->done / seconds_since(batch->start_ns);
	int last = batch->done == batch->total;

	if (!isatty(STDERR_FILENO) && !last)
		return;
	fprintf(stderr, "%s  %-9s %7llu of %llu  %9.0f a second%s",
		isatty(STDERR_FILENO) ? "\r" : "", batch->what,
		(unsigned long long)batch->done,
		(unsigned long long)batch->total, rate, last ? "\n" : "");
}

static int batch_commit(struct batch *batch)
{
	cop_err error = cop_commit(batch->write, NULL);

	if (error != 0)
		return complain_cop("cop_commit", error);
	batch_show(batch);
	return signals_caught() ? complain("interrupted") : 0;
}

static int batch_count(struct batch *batch)
{
	batch->done++;
	return cop_write_count(batch->write) < BATCH ? 0 : batch_commit(batch);
}

static struct cop_value string_value(const char *text, size_t size)
{
	return (struct cop_value){
	    .kind = COP_STRING, .count = (uint32_t)size, .data = text};
}

/* The words of a synset with blanks for '_', into a buffer of the caller. */
static uint32_t word_values(const struct wordnet *wordnet,
			    const struct wordnet_synset *synset, char *buffer,
			    size_t room, struct cop_value *values)
{
	uint32_t count = 0;
	uint32_t index;

	for (index = 0; index < synset->word_count && count < WORDS_MAX;
	     index++) {
		const char *word = wordnet->words[synset->first_word + index];
		size_t size = strlen(word);
		size_t at;

		if (size > room)
			break;
		for (at = 0; at < size; at++)
			buffer[at] = word[at] == '_' ? ' ' : word[at];
		values[count++] = string_value(buffer, size);
		buffer += size;
		room -= size;
	}
	return count;
}

/* The parts of a synset's document. */
static size_t parts_of(const struct wordnet *wordnet, uint32_t synset,
		       struct textvec_part parts[PARTS_MAX])
{
	uint32_t about[2] = {synset, wordnet_hypernym(wordnet, synset)};
	static const float word_weight[2] = {2.0F, 1.0F};
	static const float gloss_weight[2] = {1.0F, 0.3F};
	size_t count = 0;
	uint32_t which;
	uint32_t index;

	for (which = 0; which < 2 && about[which] != WORDNET_NONE; which++) {
		const struct wordnet_synset *of =
		    &wordnet->synsets[about[which]];

		for (index = 0; index < of->word_count && index < WORD_PARTS;
		     index++) {
			const char *word =
			    wordnet->words[of->first_word + index];

			parts[count++] = (struct textvec_part){
			    word, strlen(word), word_weight[which]};
		}
		parts[count++] = (struct textvec_part){
		    of->gloss, of->gloss_size, gloss_weight[which]};
	}
	return count;
}

void import_learn(const struct wordnet *wordnet, struct textvec *textvec)
{
	struct textvec_part parts[PARTS_MAX];
	uint32_t synset;

	for (synset = 0; synset < wordnet->synset_count; synset++)
		textvec_learn(textvec, parts, parts_of(wordnet, synset, parts));
}

static cop_err put_synset(cop_write *write, const struct wordnet *wordnet,
			  const struct textvec *textvec, uint32_t synset)
{
	const struct wordnet_synset *of = &wordnet->synsets[synset];
	struct textvec_part parts[PARTS_MAX];
	struct cop_value words[WORDS_MAX];
	struct cop_property properties[2] = {{.name = "name", .name_size = 4},
					     {.name = "words", .name_size = 5}};
	char key[WORDNET_KEY_BYTES];
	char buffer[4096];
	float vector[TEXTVEC_DIM];
	const char *tag = wordnet_lexfile(of->lexfile);
	struct cop_put put = {.size = sizeof put};
	uint32_t word_count =
	    word_values(wordnet, of, buffer, sizeof buffer, words);

	(void)textvec_embed(textvec, parts, parts_of(wordnet, synset, parts),
			    vector);
	properties[0].value = words[0];
	properties[1].value = (struct cop_value){
	    .kind = COP_LIST, .count = word_count, .data = words};
	put.key = key;
	put.key_size = (uint32_t)wordnet_key(wordnet, synset, key);
	put.type = wordnet_type(of->pos);
	put.type_size = strlen(put.type);
	put.properties = properties;
	put.property_count = 2;
	put.tags = &tag;
	put.tag_count = 1;
	put.content = of->gloss;
	put.content_size = of->gloss_size;
	put.vector = vector;
	put.dim = TEXTVEC_DIM;
	return cop_put(write, &put);
}

static int put_entities(struct batch *batch, const struct wordnet *wordnet,
			const struct textvec *textvec)
{
	uint32_t synset;

	for (synset = 0; synset < wordnet->synset_count; synset++) {
		cop_err error =
		    put_synset(batch->write, wordnet, textvec, synset);

		if (error != 0)
			return complain_cop("cop_put", error);
		if (batch_count(batch) != 0)
			return -1;
	}
	return batch_commit(batch);
}

static int put_relations(struct batch *batch, const struct wordnet *wordnet,
			 uint32_t synset)
{
	const struct wordnet_synset *of = &wordnet->synsets[synset];
	char source[WORDNET_KEY_BYTES];
	char target[WORDNET_KEY_BYTES];
	struct cop_put_edge edge = {.size = sizeof edge};
	uint32_t index;

	edge.source = source;
	edge.source_size = wordnet_key(wordnet, synset, source);
	edge.target = target;
	for (index = 0; index < of->pointer_count; index++) {
		const struct wordnet_pointer *pointer =
		    &wordnet->pointers[of->first_pointer + index];
		cop_err error;

		edge.target_size =
		    wordnet_key(wordnet, pointer->target, target);
		edge.relation = wordnet_relation(pointer->relation);
		edge.relation_size = strlen(edge.relation);
		error = cop_put_edge(batch->write, &edge);
		if (error != 0)
			return complain_cop("cop_put_edge", error);
		if (batch_count(batch) != 0)
			return -1;
	}
	return 0;
}

static int put_edges(struct batch *batch, const struct wordnet *wordnet)
{
	uint32_t synset;

	for (synset = 0; synset < wordnet->synset_count; synset++)
		if (put_relations(batch, wordnet, synset) != 0)
			return -1;
	return batch_commit(batch);
}

int import_run(cop_store *store, const struct wordnet *wordnet,
	       const struct textvec *textvec, struct import_figures *figures)
{
	struct batch batch = {.store = store,
			      .what = "entities",
			      .total = wordnet->synset_count,
			      .start_ns = board_clock_ns()};
	cop_err error = cop_write_begin(store, &batch.write);
	int status = -1;

	if (error != 0)
		return complain_cop("cop_write_begin", error);
	if (put_entities(&batch, wordnet, textvec) != 0)
		goto out;
	figures->entities = batch.done;
	figures->entity_seconds = seconds_since(batch.start_ns);
	batch.what = "relations";
	batch.total = wordnet->pointer_count;
	batch.done = 0;
	batch.start_ns = board_clock_ns();
	if (put_edges(&batch, wordnet) != 0)
		goto out;
	figures->edges = batch.done;
	figures->edge_seconds = seconds_since(batch.start_ns);
	status = 0;
out:
	cop_abort(batch.write);
	return status;
}
