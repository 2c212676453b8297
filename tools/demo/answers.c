/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that a person likes to read: what lies near a word or a phrase,
 * the same among things of one kind only, and a walk up to the most general.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "term.h"

enum { HITS = 3, NAME_COLUMNS = 22, STEPS_MAX = 64, TEXT_BYTES = 128 };

struct teller {
	cop_read *read;
	const struct wordnet *wordnet;
	const struct textvec *textvec;
};

/* What to look for: an entity by word and file, or a phrase. */
struct question {
	const char *word; /* NULL: the phrase */
	const char *lexfile;
	const char *phrase;
	const char *type; /* only of this type */
	const char *tag;  /* only with this tag */
};

static const struct question questions[] = {
    {"lighthouse", "noun.artifact", NULL, NULL, NULL},
    {"espresso", "noun.food", NULL, NULL, NULL},
    {"espresso", "noun.food", NULL, NULL, "noun.artifact"},
    {NULL, NULL, "thoughtful sadness", "noun", NULL},
    {NULL, NULL, "bee honey", NULL, "noun.animal"},
};

/* The id of a word's entity, 0 and a complaint if there is none. */
static uint64_t find(const struct teller *teller, const char *word,
		     const char *lexfile)
{
	uint32_t synset = wordnet_find(teller->wordnet, word, lexfile);
	char key[WORDNET_KEY_BYTES];
	uint64_t id = 0;

	if (synset != WORDNET_NONE) {
		size_t size = wordnet_key(teller->wordnet, synset, key);
		cop_err error = cop_lookup(teller->read, key, size, &id);

		if (error != 0)
			complain_cop("cop_lookup", error);
	}
	if (id == 0)
		complain("there is no entity for \"%s\"", word);
	return id;
}

/* Name and gloss of an entity. */
static int tell_entity(const struct teller *teller, uint64_t id)
{
	struct cop_entity entity;
	struct cop_value name;
	const void *gloss;
	size_t gloss_size;
	int found = 0;
	char name_text[TEXT_BYTES];
	char gloss_text[TEXT_BYTES];
	cop_err error = cop_get_id(teller->read, id, &entity);

	if (error == 0 && entity.id != 0)
		error = cop_entity_property(teller->read, &entity, "name", 4,
					    &found, &name);
	if (error == 0 && found != 0)
		error = cop_entity_content(teller->read, &entity, &gloss,
					   &gloss_size);
	if (error != 0)
		return complain_cop("reading an entity", error);
	if (found == 0 || name.kind != COP_STRING || gloss == NULL)
		return complain("entity %llu has no name or gloss",
				(unsigned long long)id);
	term_cut(name.data, name.count, NAME_COLUMNS, name_text,
		 sizeof name_text);
	term_cut(gloss, gloss_size, TERM_COLUMNS - NAME_COLUMNS - 11,
		 gloss_text, sizeof gloss_text);
	term_print(TERM_HUE, "%-*s  ", NAME_COLUMNS, name_text);
	term_print(TERM_PLAIN, "%s\n", gloss_text);
	return 0;
}

static void tell_question(const struct question *question)
{
	term_print(TERM_PLAIN, "\nNearest to ");
	term_print(TERM_BOLD, "%s", question->word ? question->word : "");
	if (question->word == NULL)
		term_print(TERM_BOLD, "\"%s\"", question->phrase);
	if (question->type != NULL)
		term_print(TERM_PLAIN, ", only of type %s", question->type);
	if (question->tag != NULL)
		term_print(TERM_PLAIN, ", only tagged %s", question->tag);
	term_print(TERM_PLAIN, "\n");
}

static int ask(const struct teller *teller, const struct question *question)
{
	struct cop_search search = {.size = sizeof search,
				    .k = HITS,
				    .type = question->type,
				    .tag = question->tag};
	struct cop_hit hits[HITS];
	float vector[TEXTVEC_DIM];
	uint32_t count = 0;
	uint32_t index;
	cop_err error = 0;

	tell_question(question);
	search.vector = vector;
	if (question->word == NULL) {
		struct textvec_part part = {question->phrase,
					    strlen(question->phrase), 1};

		textvec_embed(teller->textvec, &part, 1, vector);
	} else {
		search.exclude =
		    find(teller, question->word, question->lexfile);
		if (search.exclude == 0)
			return -1;
		error =
		    cop_vector(teller->read, search.exclude, &search.vector);
	}
	if (error == 0)
		error = cop_search(teller->read, &search, hits, &count);
	if (error != 0)
		return complain_cop("cop_search", error);
	if (count != HITS)
		return complain("%u hits instead of %d", count, HITS);
	for (index = 0; index < count; index++) {
		term_print(TERM_DIM, "  %5.3f  ", hits[index].distance);
		if (tell_entity(teller, hits[index].id) != 0)
			return -1;
	}
	return 0;
}

/* Up the hypernyms by the shortest way to what has none. */
static int climb(const struct teller *teller, const char *word)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = 20,
				.relation = "hypernym",
				.start = find(teller, word, "noun.artifact")};
	struct cop_step steps[STEPS_MAX];
	uint32_t chain[STEPS_MAX];
	uint32_t depth = 0;
	size_t count = 0;
	uint32_t at;
	cop_err error;

	if (walk.start == 0)
		return -1;
	error = cop_walk(teller->read, &walk, steps, STEPS_MAX, &count, NULL);
	if (error != 0)
		return complain_cop("cop_walk", error);
	if (count < 2)
		return complain("\"%s\" has no hypernym", word);
	term_print(TERM_PLAIN, "\nFrom ");
	term_print(TERM_BOLD, "%s", word);
	term_print(TERM_PLAIN, " up its hypernyms\n");
	for (at = (uint32_t)count - 1; at != 0; at = steps[at].from)
		chain[depth++] = at;
	chain[depth++] = 0;
	while (depth > 0) {
		at = chain[--depth];
		term_print(TERM_DIM, "  %5u  ", steps[at].hops);
		if (tell_entity(teller, steps[at].id) != 0)
			return -1;
	}
	return 0;
}

int answers_show(cop_store *store, const struct wordnet *wordnet,
		 const struct textvec *textvec)
{
	struct teller teller = {.wordnet = wordnet, .textvec = textvec};
	cop_err error = cop_read_begin(store, &teller.read);
	int status = -1;
	size_t index;

	if (error != 0)
		return complain_cop("cop_read_begin", error);
	term_heading("Answers", NULL);
	for (index = 0; index < sizeof questions / sizeof questions[0]; index++)
		if (ask(&teller, &questions[index]) != 0)
			goto out;
	status = climb(&teller, "cello");
out:
	cop_read_end(teller.read);
	return status;
}
