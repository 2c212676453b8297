/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WordNet's data files, parsed.
 *
 * idea
 *	Each of the four files is read whole.  Words and glosses stay where
 *	they are in it, ended with a NUL in place of the blank that follows;
 *	the tables point into the text.  A pointer names its target by part of
 *	speech and byte offset, so targets are resolved by binary search once
 *	all files are read.
 *
 * source
 *	wndb(5) and wninput(5) of WordNet 3.0, Princeton University.  A line:
 *
 *	02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 023 @ ...
 *	|        |  |  | |                                       |   |
 *	offset   |  |  words, hexadecimal, each with a sense id   |   |
 *	         |  part of speech ('s': a satellite adjective)   |   |
 *	         lexicographer file                                |   |
 *	        pointers, each: symbol offset pos source-and-target ---+
 *	        then frames (verbs only), '|' and the gloss to the line's end
 *
 *	A pointer may join two words of the synsets ("cello" to "cellist")
 *	rather than the synsets: here it is a relation between the synsets, and
 *	several of the same kind between the same two are one.
 *
 * limits
 *	A file is input: a line that does not parse, or a pointer to nowhere,
 *	is an error that names file and line.
 */
#include "wordnet.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const file_names[] = {"noun", "verb", "adj", "adv"};
static const char *const type_names[] = {"noun", "verb", "adjective", "adverb"};
static const char pos_letters[] = "nvar";

static const struct relation {
	const char *symbol;
	const char *name;
} relations[] = {
    {"@", "hypernym"},
    {"~", "hyponym"},
    {"@i", "instance_hypernym"},
    {"~i", "instance_hyponym"},
    {"#m", "member_holonym"},
    {"#s", "substance_holonym"},
    {"#p", "part_holonym"},
    {"%m", "member_meronym"},
    {"%s", "substance_meronym"},
    {"%p", "part_meronym"},
    {"!", "antonym"},
    {"=", "attribute"},
    {"+", "derivationally_related"},
    {";c", "domain_topic"},
    {"-c", "member_of_topic"},
    {";r", "domain_region"},
    {"-r", "member_of_region"},
    {";u", "domain_usage"},
    {"-u", "member_of_usage"},
    {"*", "entailment"},
    {">", "cause"},
    {"^", "also_see"},
    {"$", "verb_group"},
    {"&", "similar_to"},
    {"<", "participle_of"},
    {"\\", "pertainym"}, /* of an adverb: the adjective it is made from */
};

enum { RELATION_COUNT = sizeof relations / sizeof relations[0] };

static const char *const lexfiles[] = {
    "adj.all",		"adj.pert",	      "adv.all",
    "noun.Tops",	"noun.act",	      "noun.animal",
    "noun.artifact",	"noun.attribute",     "noun.body",
    "noun.cognition",	"noun.communication", "noun.event",
    "noun.feeling",	"noun.food",	      "noun.group",
    "noun.location",	"noun.motive",	      "noun.object",
    "noun.person",	"noun.phenomenon",    "noun.plant",
    "noun.possession",	"noun.process",	      "noun.quantity",
    "noun.relation",	"noun.shape",	      "noun.state",
    "noun.substance",	"noun.time",	      "verb.body",
    "verb.change",	"verb.cognition",     "verb.communication",
    "verb.competition", "verb.consumption",   "verb.contact",
    "verb.creation",	"verb.emotion",	      "verb.motion",
    "verb.perception",	"verb.possession",    "verb.social",
    "verb.stative",	"verb.weather",	      "adj.ppl",
};

enum { LEXFILE_COUNT = sizeof lexfiles / sizeof lexfiles[0] };

/* A line being read. */
struct cursor {
	struct wordnet *wordnet;
	char *at;
	uint32_t pos;
	uint32_t line;
};

const char *wordnet_relation(uint32_t relation)
{
	return relation < RELATION_COUNT ? relations[relation].name : "";
}

const char *wordnet_lexfile(uint32_t lexfile)
{
	return lexfile < LEXFILE_COUNT ? lexfiles[lexfile] : "";
}

const char *wordnet_type(uint32_t pos)
{
	return pos < WORDNET_POS_COUNT ? type_names[pos] : "";
}

__attribute__((format(printf, 2, 3))) static int fail(struct wordnet *wordnet,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(wordnet->error, sizeof wordnet->error, format, args);
	va_end(args);
	return -1;
}

static int fail_line(const struct cursor *cursor, const char *what)
{
	return fail(cursor->wordnet, "data.%s, line %u: %s",
		    file_names[cursor->pos], cursor->line, what);
}

/* Makes room for one more item; tables double from 4,096. */
static int table_reserve(void **table, uint32_t count, size_t item_bytes)
{
	size_t room = count < 4096 ? 4096 : (size_t)count * 2;
	void *grown;

	if (count != 0 && (count < 4096 || (count & (count - 1)) != 0))
		return 0;
	grown = realloc(*table, room * item_bytes);
	if (grown == NULL)
		return -1;
	*table = grown;
	return 0;
}

/* The next word up to a blank, ended with a NUL, or NULL. */
static char *cursor_field(struct cursor *cursor)
{
	char *start = cursor->at;
	char *end = start + strcspn(start, " \n");

	if (end == start || *end != ' ')
		return NULL;
	*end = '\0';
	cursor->at = end + 1;
	return start;
}

static int cursor_number(struct cursor *cursor, int base, uint32_t *out)
{
	char *field = cursor_field(cursor);
	char *end;
	unsigned long number;

	if (field == NULL)
		return -1;
	number = strtoul(field, &end, base);
	if (*end != '\0' || number > UINT32_MAX)
		return -1;
	*out = (uint32_t)number;
	return 0;
}

/* Part of speech of a letter; satellites are adjectives. */
static uint32_t pos_of(char letter)
{
	const char *at = strchr(pos_letters, letter == 's' ? 'a' : letter);

	return at == NULL || letter == '\0' ? WORDNET_POS_COUNT
					    : (uint32_t)(at - pos_letters);
}

static uint32_t relation_of(const char *symbol)
{
	uint32_t relation;

	for (relation = 0; relation < RELATION_COUNT; relation++)
		if (strcmp(relations[relation].symbol, symbol) == 0)
			break;
	return relation;
}

static int read_words(struct cursor *cursor, struct wordnet_synset *synset)
{
	struct wordnet *wordnet = cursor->wordnet;
	uint32_t index;

	synset->first_word = wordnet->word_count;
	if (cursor_number(cursor, 16, &synset->word_count) != 0 ||
	    synset->word_count == 0)
		return fail_line(cursor, "no words");
	for (index = 0; index < synset->word_count; index++) {
		char *word = cursor_field(cursor);

		if (word == NULL || cursor_field(cursor) == NULL)
			return fail_line(cursor, "a word is missing");
		/* "galore(ip)": where an adjective may stand */
		word[strcspn(word, "(")] = '\0';
		if (table_reserve((void **)&wordnet->words, wordnet->word_count,
				  sizeof(char *)) != 0)
			return fail_line(cursor, "out of memory");
		wordnet->words[wordnet->word_count++] = word;
	}
	return 0;
}

/*
 * A pointer as read holds its target as offset * 4 + part of speech, which
 * fits: no file is over a gigabyte.
 */
static int read_pointers(struct cursor *cursor, struct wordnet_synset *synset)
{
	struct wordnet *wordnet = cursor->wordnet;
	uint32_t index;

	synset->first_pointer = wordnet->pointer_count;
	if (cursor_number(cursor, 10, &synset->pointer_count) != 0)
		return fail_line(cursor, "no count of pointers");
	for (index = 0; index < synset->pointer_count; index++) {
		const char *symbol = cursor_field(cursor);
		const char *pos;
		struct wordnet_pointer pointer;

		if (symbol == NULL ||
		    cursor_number(cursor, 10, &pointer.target) != 0 ||
		    (pos = cursor_field(cursor)) == NULL ||
		    cursor_field(cursor) == NULL)
			return fail_line(cursor, "a pointer is missing");
		pointer.relation = relation_of(symbol);
		if (pointer.relation == RELATION_COUNT ||
		    pos_of(*pos) == WORDNET_POS_COUNT ||
		    pointer.target > UINT32_MAX / 4)
			return fail_line(cursor, "an unknown pointer");
		pointer.target = pointer.target * 4 + pos_of(*pos);
		if (table_reserve((void **)&wordnet->pointers,
				  wordnet->pointer_count, sizeof pointer) != 0)
			return fail_line(cursor, "out of memory");
		wordnet->pointers[wordnet->pointer_count++] = pointer;
	}
	return 0;
}

static int read_synset(struct cursor *cursor)
{
	struct wordnet *wordnet = cursor->wordnet;
	struct wordnet_synset synset = {.pos = (uint8_t)cursor->pos};
	uint32_t lexfile;
	const char *letter;
	char *gloss;

	if (cursor_number(cursor, 10, &synset.offset) != 0 ||
	    cursor_number(cursor, 10, &lexfile) != 0 ||
	    lexfile >= LEXFILE_COUNT ||
	    (letter = cursor_field(cursor)) == NULL ||
	    pos_of(*letter) != cursor->pos)
		return fail_line(cursor, "not a synset");
	synset.lexfile = (uint8_t)lexfile;
	if (read_words(cursor, &synset) != 0 ||
	    read_pointers(cursor, &synset) != 0)
		return -1;
	gloss = strstr(cursor->at, "| ");
	if (gloss == NULL)
		return fail_line(cursor, "no gloss");
	synset.gloss = gloss + 2;
	synset.gloss_size = (uint32_t)strlen(synset.gloss);
	while (synset.gloss_size > 0 &&
	       synset.gloss[synset.gloss_size - 1] == ' ')
		synset.gloss_size--;
	if (table_reserve((void **)&wordnet->synsets, wordnet->synset_count,
			  sizeof synset) != 0)
		return fail_line(cursor, "out of memory");
	wordnet->synsets[wordnet->synset_count++] = synset;
	return 0;
}

static int read_text(struct wordnet *wordnet, const char *folder, uint32_t pos)
{
	char path[4096];
	FILE *file;
	long size = 0;
	int error = -1;

	snprintf(path, sizeof path, "%s/data.%s", folder, file_names[pos]);
	file = fopen(path, "rb");
	if (file == NULL)
		return fail(wordnet,
			    "%s: %s (Debian's package wordnet-base "
			    "has it)",
			    path, strerror(errno));
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
	    fseek(file, 0, SEEK_SET) == 0)
		wordnet->text[pos] = malloc((size_t)size + 1);
	if (wordnet->text[pos] != NULL &&
	    fread(wordnet->text[pos], 1, (size_t)size, file) == (size_t)size) {
		wordnet->text[pos][size] = '\0';
		error = 0;
	}
	fclose(file);
	return error == 0 ? 0 : fail(wordnet, "%s: cannot read it", path);
}

static int read_file(struct wordnet *wordnet, const char *folder, uint32_t pos)
{
	struct cursor cursor = {.wordnet = wordnet, .pos = pos};
	char *line;
	char *next;

	if (read_text(wordnet, folder, pos) != 0)
		return -1;
	wordnet->pos_first[pos] = wordnet->synset_count;
	for (line = wordnet->text[pos]; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next == '\n')
			*next++ = '\0';
		cursor.line++;
		cursor.at = line;
		/* The licence on top is set off by two blanks. */
		if (line[0] != ' ' && read_synset(&cursor) != 0)
			return -1;
	}
	wordnet->pos_first[pos + 1] = wordnet->synset_count;
	return 0;
}

static uint32_t synset_at(const struct wordnet *wordnet, uint32_t pos,
			  uint32_t offset)
{
	uint32_t low = wordnet->pos_first[pos];
	uint32_t end = wordnet->pos_first[pos + 1];
	uint32_t high = end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (wordnet->synsets[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && wordnet->synsets[low].offset == offset
		   ? low
		   : WORDNET_NONE;
}

/* Turns targets into indexes and drops what is there twice. */
static int resolve(struct wordnet *wordnet, struct wordnet_synset *synset)
{
	struct wordnet_pointer *own = wordnet->pointers + synset->first_pointer;
	uint32_t kept = 0;
	uint32_t index;
	uint32_t before;

	for (index = 0; index < synset->pointer_count; index++) {
		uint32_t packed = own[index].target;
		uint32_t target = synset_at(wordnet, packed % 4, packed / 4);

		if (target == WORDNET_NONE)
			return fail(wordnet,
				    "data.%s, %08u: a pointer to %08u,"
				    " which is not there",
				    file_names[synset->pos], synset->offset,
				    packed / 4);
		for (before = 0; before < kept; before++)
			if (own[before].target == target &&
			    own[before].relation == own[index].relation)
				break;
		if (before == kept)
			own[kept++] = (struct wordnet_pointer){
			    target, own[index].relation};
	}
	synset->pointer_count = kept;
	return 0;
}

int wordnet_load(struct wordnet *out, const char *folder)
{
	uint32_t pos;
	uint32_t synset;

	memset(out, 0, sizeof *out);
	for (pos = 0; pos < WORDNET_POS_COUNT; pos++)
		if (read_file(out, folder, pos) != 0)
			return -1;
	out->pointer_count = 0;
	for (synset = 0; synset < out->synset_count; synset++) {
		if (resolve(out, &out->synsets[synset]) != 0)
			return -1;
		out->pointer_count += out->synsets[synset].pointer_count;
	}
	return 0;
}

void wordnet_release(struct wordnet *wordnet)
{
	uint32_t pos;

	for (pos = 0; pos < WORDNET_POS_COUNT; pos++)
		free(wordnet->text[pos]);
	free(wordnet->synsets);
	free(wordnet->words);
	free(wordnet->pointers);
	memset(wordnet, 0, sizeof *wordnet);
}

size_t wordnet_key(const struct wordnet *wordnet, uint32_t synset,
		   char out[WORDNET_KEY_BYTES])
{
	const struct wordnet_synset *of = &wordnet->synsets[synset];
	int size = snprintf(out, WORDNET_KEY_BYTES, "%.200s.%c.%08u",
			    wordnet->words[of->first_word],
			    pos_letters[of->pos], of->offset);

	return (size_t)size;
}

uint32_t wordnet_find(const struct wordnet *wordnet, const char *word,
		      const char *lexfile)
{
	uint32_t synset;
	uint32_t index;

	for (synset = 0; synset < wordnet->synset_count; synset++) {
		const struct wordnet_synset *at = &wordnet->synsets[synset];

		if (strcmp(lexfiles[at->lexfile], lexfile) != 0)
			continue;
		for (index = 0; index < at->word_count; index++)
			if (strcmp(wordnet->words[at->first_word + index],
				   word) == 0)
				return synset;
	}
	return WORDNET_NONE;
}

uint32_t wordnet_hypernym(const struct wordnet *wordnet, uint32_t synset)
{
	const struct wordnet_synset *of = &wordnet->synsets[synset];
	uint32_t index;

	for (index = 0; index < of->pointer_count; index++) {
		const struct wordnet_pointer *pointer =
		    &wordnet->pointers[of->first_pointer + index];

		/* "@" or "@i": a thing's kind */
		if (relations[pointer->relation].symbol[0] == '@')
			return pointer->target;
	}
	return WORDNET_NONE;
}
