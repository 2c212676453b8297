/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match: entities by the words in them.
 *
 * idea
 *	All that are selected are gone through, once: key, type, tags, texts
 *	among the properties, and content are cut into words, without regard to
 *	case.  A word of the query is met by one that begins with it; the same
 *	one counts twice.  An entity's score is the sum over the query's words
 *	of
 *		idf * hits / (hits + 1),	idf = ln(1 + all / with it)
 *	so a rare word counts for more than a frequent one, and the tenth time
 *	for less than the first.
 *
 * source
 *	The shape of Okapi BM25 (Robertson and Walker, 1994), without lengths.
 *
 * limits
 *	A microsecond or so an entity: right for what assistants remember, not
 *	for a corpus.  Content counts up to 64 KiB, lists of texts one deep.
 */
#include "match.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BYTES = 64, CONTENT_BYTES = 65536, HITS_MAX = 255 };

struct word {
	char text[WORD_BYTES];
	size_t size;
	uint64_t entities; /* that have it */
};

/* An entity that has one word at least. */
struct found {
	uint64_t id;
	unsigned char hits[MATCH_WORDS];
};

struct finding {
	struct word words[MATCH_WORDS];
	size_t word_count;
	uint64_t all;
	struct found *found;
	size_t count;
	size_t room;
	struct found *here; /* the entity that is looked at */
	cop_err err;
};

/* Letters and digits, and all that is not ASCII. */
static int is_letter(unsigned char byte)
{
	return isalnum(byte) || byte >= 0x80;
}

typedef void word_fn(void *user, const char *word, size_t size);

/* Each word of a text, in lower case, cut to WORD_BYTES. */
static void words_each(const char *text, size_t size, word_fn *call, void *user)
{
	char word[WORD_BYTES];
	size_t length = 0;

	for (size_t i = 0; i <= size; i++) {
		unsigned char byte = i < size ? (unsigned char)text[i] : ' ';

		if (is_letter(byte)) {
			if (length < WORD_BYTES)
				word[length++] = (char)tolower(byte);
			continue;
		}
		if (length)
			call(user, word, length);
		length = 0;
	}
}

static void word_wanted(void *user, const char *text, size_t size)
{
	struct finding *finding = user;
	struct word *word = &finding->words[finding->word_count];

	for (size_t i = 0; i < finding->word_count; i++)
		if (finding->words[i].size == size &&
		    !memcmp(finding->words[i].text, text, size))
			return;
	if (finding->word_count == MATCH_WORDS)
		return;
	memcpy(word->text, text, size);
	word->size = size;
	finding->word_count++;
}

static void word_met(void *user, const char *text, size_t size)
{
	struct finding *finding = user;

	for (size_t i = 0; i < finding->word_count; i++) {
		const struct word *word = &finding->words[i];
		unsigned char *hits = &finding->here->hits[i];

		if (size < word->size || memcmp(word->text, text, word->size))
			continue;
		*hits = *hits + 2 > HITS_MAX
			    ? HITS_MAX
			    : (unsigned char)(*hits + 1 + (size == word->size));
	}
}

static void name_look(struct finding *finding, cop_read *read, uint32_t name)
{
	const char *text = NULL;
	size_t size = 0;

	if (name && !cop_name(read, name, &text, &size) && text)
		words_each(text, size, word_met, finding);
}

static void value_look(struct finding *finding, const struct cop_value *value)
{
	struct cop_value item;

	if (value->kind == COP_STRING)
		words_each(value->data, value->count, word_met, finding);
	for (uint32_t i = 0; value->kind == COP_LIST && i < value->count; i++)
		if (!cop_value_item(value, i, NULL, NULL, &item) &&
		    item.kind == COP_STRING)
			words_each(item.data, item.count, word_met, finding);
}

static void entity_look(struct finding *finding, cop_read *read,
			const struct cop_entity *entity)
{
	const void *content = NULL;
	const char *text = NULL;
	struct cop_value value;
	size_t size = 0;

	words_each(entity->key, entity->key_size, word_met, finding);
	name_look(finding, read, entity->type);
	for (uint32_t i = 0; i < entity->tag_count; i++)
		if (!cop_entity_tag(read, entity, i, &text, &size))
			words_each(text, size, word_met, finding);
	for (uint32_t i = 0; i < entity->property_count; i++)
		if (!cop_entity_property_at(read, entity, i, &text, &size,
					    &value))
			value_look(finding, &value);
	if (entity->content_size && entity->content_size <= CONTENT_BYTES &&
	    !cop_entity_content(read, entity, &content, &size) && content)
		words_each(content, size, word_met, finding);
}

static int32_t found_take(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	struct finding *finding = user;
	int has_any = 0;

	(void)thread;
	finding->all++;
	if (finding->count == finding->room) {
		size_t room = finding->room ? 2 * finding->room : 256;
		struct found *more =
		    realloc(finding->found, room * sizeof *more);

		if (!more) {
			finding->err = ENOMEM;
			return 1;
		}
		finding->found = more;
		finding->room = room;
	}
	finding->here = &finding->found[finding->count];
	memset(finding->here, 0, sizeof *finding->here);
	finding->here->id = entity->id;
	entity_look(finding, read, entity);
	for (size_t i = 0; i < finding->word_count; i++) {
		finding->words[i].entities += finding->here->hits[i] > 0;
		has_any |= finding->here->hits[i] > 0;
	}
	finding->count += (size_t)has_any;
	return 0;
}

static double score_of(const struct finding *finding, const struct found *found)
{
	double score = 0;

	for (size_t i = 0; i < finding->word_count; i++) {
		double hits = found->hits[i];
		double with = (double)finding->words[i].entities;

		if (hits > 0)
			score += log(1 + (double)finding->all / with) * hits /
				 (hits + 1);
	}
	return score;
}

/* Best first; of equal ones the older. */
static int is_better(const struct match *a, const struct match *b)
{
	return a->score > b->score || (a->score == b->score && a->id < b->id);
}

static void match_insert(struct match *matches, size_t room, size_t *count,
			 struct match match)
{
	size_t at = *count;

	if (at == room && !is_better(&match, &matches[room - 1]))
		return;
	if (at == room)
		at--;
	else
		++*count;
	for (; at && is_better(&match, &matches[at - 1]); at--)
		matches[at] = matches[at - 1];
	matches[at] = match;
}

cop_err match_find(cop_read *read, const char *text, size_t size,
		   const struct cop_select *select, struct match *matches,
		   size_t room, size_t *count)
{
	struct finding finding = {0};
	cop_err err = 0;

	*count = 0;
	words_each(text, size, word_wanted, &finding);
	if (finding.word_count && room)
		err = cop_select(read, select, found_take, &finding);
	if (finding.err)
		err = finding.err;
	for (size_t i = 0; i < finding.count && !err; i++)
		match_insert(
		    matches, room, count,
		    (struct match){finding.found[i].id,
				   score_of(&finding, &finding.found[i])});
	free(finding.found);
	return err;
}
