/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges: a list of edges, two ends a line, as SNAP and others have them.
 *
 * layout
 *	SOURCE TARGET [WEIGHT]
 *	Words between blanks or tabs.  A third one is a number, the property
 *	`weight`.  Lines that begin with # or %, and empty ones, are passed
 *	over.  All edges have the relation that --relation names, or `edge`.
 */
#include "cell.h"
#include "import.h"
#include "words.h"

#include <string.h>

enum { EDGE_WORDS = 3 };

struct edge_words {
	const char *data[EDGE_WORDS];
	size_t sizes[EDGE_WORDS];
	size_t count; /* EDGE_WORDS + 1: there are more */
};

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void edge_split(struct edge_words *words, const char *line, size_t size)
{
	size_t at = 0, from;

	words->count = 0;
	for (;;) {
		while (at < size && is_blank(line[at]))
			at++;
		if (at == size || words->count > EDGE_WORDS)
			return;
		for (from = at; at < size && !is_blank(line[at]);)
			at++;
		if (words->count < EDGE_WORDS) {
			words->data[words->count] = line + from;
			words->sizes[words->count] = at - from;
		}
		words->count++;
	}
}

static int edge_check(const struct edge_words *words, const char *line,
		      size_t size, struct fault *fault)
{
	size_t valid = words_utf8(line, size);

	if (valid < size)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "byte %zu (0x%02x) is not UTF-8", valid + 1,
				 (unsigned char)line[valid]);
	if (memchr(line, '\0', size))
		return fault_set(fault, EXIT_BAD_INPUT, "byte %zu is NUL",
				 strnlen(line, size) + 1);
	if (words->count < 2 || words->count > EDGE_WORDS)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s; a line is SOURCE TARGET or SOURCE TARGET "
				 "WEIGHT (--format triples: SOURCE, RELATION, "
				 "TARGET between tabs)",
				 words->count < 2 ? "one word"
						  : "more than three words");
	return 0;
}

static int edge_line(struct import *import, const struct place *place,
		     const char *line, size_t size)
{
	static const struct cell_type number = {COP_FLOAT, 0};
	struct fault *fault = &import->cli->fault;
	const char *relation = import->relation ? import->relation : "edge";
	struct cop_property weight = {.name = "weight", .name_size = 6};
	struct cop_put_edge edge = {.size = sizeof edge};
	struct edge_words words;

	edge_split(&words, line, size);
	if (!words.count || *words.data[0] == '#' || *words.data[0] == '%')
		return 0;
	if (resume_is_passing(import))
		return import_step(import);
	import->text = line;
	import->text_size = size;
	if (edge_check(&words, line, size, fault))
		return import_bad(import, place);
	if (words.count == EDGE_WORDS) {
		if (cell_value(&number, NULL, words.data[2], words.sizes[2],
			       NULL, &weight.value, fault)) {
			fault_prefix(fault, "the third word: ");
			return import_bad(import, place);
		}
		edge.properties = &weight;
		edge.property_count = 1;
	}
	edge.source = words.data[0];
	edge.source_size = words.sizes[0];
	edge.relation = relation;
	edge.relation_size = strlen(relation);
	edge.target = words.data[1];
	edge.target_size = words.sizes[1];
	return import_edge(import, place, &edge);
}

int edges_import(struct import *import)
{
	struct reader *reader = &import->reader;
	struct place place = {.file = reader->name};
	const char *line;
	size_t size;
	int code;

	for (;;) {
		if (reader_line(reader, &line, &size, &import->cli->fault))
			return import->cli->fault.code;
		if (!line)
			return 0;
		place.number = reader->line;
		code = edge_line(import, &place, line, size);
		if (code)
			return code;
	}
}
