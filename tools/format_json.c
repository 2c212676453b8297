/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: records within documents.
 *
 * layout
 *	A file is a list of records, each as in a line of NDJSON (record.c), or
 *	objects one after another, usually one.  An object is
 *	  - one whose members are such lists:
 *	      {"nodes": [..], "edges": [..]}
 *	    under the names of document_lists; what is in another member is
 *	    not taken.  Qdrant's "result" may hold such an object, or a list;
 *	    Pinecone's "vectors" may be an object of records;
 *	  - or a record, so NDJSON is read here, too, but in format_ndjson.c a
 *	    broken line does not harm the next one.
 *
 * idea
 *	Only the way to the lists is walked here.  Each of their elements is
 *	found by its brackets (json_scan.c) and its bytes are read as a line of
 *	NDJSON would be, so memory is one element, however long the list.
 *
 * limits
 *	An element, and what is not taken, has READER_LINE_BYTES at most.
 *	Whether an object is a record or has lists is told by its first
 *	DOCUMENT_PEEK_BYTES.
 */
#include "format.h"
#include "import.h"
#include "json_scan.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum { DOCUMENT_PEEK_BYTES = 65536 };

static const char *const document_lists[] = {
    "nodes", "entities",      "points",	   "vectors", "matches",
    "edges", "relationships", "relations", "links",   NULL};

struct document {
	struct import *import;
	struct reader *reader;
	struct fault *fault;
	uint64_t line;	/* where the reader is, from 1 */
	uint64_t bytes; /* taken so far */
	char list[24];	/* the name of the list, for messages */
	uint64_t index; /* of its next element */
	int is_in_list;
};

static int document_is_list(const struct json_members *member)
{
	for (size_t i = 0; document_lists[i]; i++)
		if (json_members_is(member, document_lists[i]))
			return 1;
	return 0;
}

static int document_is_point(const char *list)
{
	return !strcmp(list, "vectors") || !strcmp(list, "matches");
}

int document_has_lists(const char *data, size_t size)
{
	struct json_members member;

	json_members_begin(&member, data, size);
	while (json_members_next(&member)) {
		const char *inner = member.value + 1;
		char open = *member.value;

		if (json_members_is(&member, "key") ||
		    json_members_is(&member, "id") ||
		    json_members_is(&member, "source"))
			return 0;
		inner += json_scan_space(inner, (size_t)(member.end - inner));
		if ((document_is_list(&member) ||
		     json_members_is(&member, "result")) &&
		    ((open == '[' && inner < member.end &&
		      (*inner == '{' || *inner == ']')) ||
		     (open == '{' && (json_members_is(&member, "result") ||
				      json_members_is(&member, "vectors")))))
			return 1;
	}
	return 0;
}

/* ---- what comes next ---------------------------------------------------- */

static void document_take(struct document *document, const char *data,
			  size_t size)
{
	const char *end = data + size;

	while ((data = memchr(data, '\n', (size_t)(end - data)))) {
		document->line++;
		data++;
	}
	document->bytes += size;
	reader_take(document->reader, size);
}

/* The next byte after white space, in *out; -1 at the end. */
static int document_next(struct document *document, int *out)
{
	const unsigned char *data;
	size_t have, space;

	do {
		if (reader_need(document->reader, 1, document->fault))
			return document->fault->code;
		have = reader_peek(document->reader, &data);
		space = json_scan_space((const char *)data, have);
		document_take(document, (const char *)data, space);
	} while (space && space == have);
	*out = have ? data[space] : -1;
	return 0;
}

static int document_mistake(struct document *document, const char *expected)
{
	const unsigned char *data;
	size_t have = reader_peek(document->reader, &data);

	if (!have)
		return fault_set(document->fault, EXIT_BAD_INPUT,
				 "%s:%" PRIu64 ": the JSON breaks off at byte "
				 "%" PRIu64 ", %s is expected",
				 document->reader->name, document->line,
				 document->bytes + 1, expected);
	return fault_set(document->fault, EXIT_BAD_INPUT,
			 "%s:%" PRIu64 ": no valid JSON at byte %" PRIu64
			 ": %s is expected, not '%c'",
			 document->reader->name, document->line,
			 document->bytes + 1, expected, *data);
}

/* Takes the byte that document_next() found. */
static void document_pass(struct document *document)
{
	const unsigned char *data;

	reader_peek(document->reader, &data);
	document_take(document, (const char *)data, 1);
}

/* The value that comes next, whole; it is not taken yet. */
static int document_value(struct document *document, const char **out,
			  size_t *size)
{
	struct json_scan scan = {0};
	const unsigned char *data;
	size_t have, seen = 0;

	for (;;) {
		have = reader_peek(document->reader, &data);
		seen += json_scan_value(&scan, (const char *)data + seen,
					have - seen);
		if (scan.is_done)
			break;
		if (scan.depth > JSON_SCAN_DEPTH)
			return fault_set(document->fault, EXIT_BAD_INPUT,
					 "%s:%" PRIu64 ": byte %" PRIu64
					 ": lists and maps nest more than %d "
					 "deep",
					 document->reader->name, document->line,
					 document->bytes + seen + 1,
					 JSON_SCAN_DEPTH);
		if (seen > READER_LINE_BYTES)
			return fault_set(document->fault, EXIT_BAD_INPUT,
					 "%s:%" PRIu64
					 ": the value that begins at byte "
					 "%" PRIu64 " is longer than 128 MiB",
					 document->reader->name, document->line,
					 document->bytes + 1);
		if (reader_need(document->reader, have + 1, document->fault))
			return document->fault->code;
		if (reader_peek(document->reader, &data) == have)
			break; /* the parser says what is missing */
	}
	*out = (const char *)data;
	*size = seen;
	return 0;
}

/* ---- elements ----------------------------------------------------------- */

/* Takes the record that comes next. */
static int document_element(struct document *document)
{
	struct import *import = document->import;
	struct place place = {.file = document->reader->name,
			      .number = document->line};
	const char *data;
	size_t size;
	int code;

	if (document_value(document, &data, &size))
		return document->fault->code;
	if (part_is(data, size)) {
		code = import_part(import, data, size);
		document_take(document, data, size);
		document->index++;
		return code;
	}
	if (resume_is_passing(import)) {
		document_take(document, data, size);
		document->index++;
		return import_step(import);
	}
	import->text = data;
	import->text_size = size;
	import->record.is_point = document_is_point(document->list);
	import->list = document->is_in_list ? document->list : NULL;
	import->index = document->index++;
	code = import_record(import, &place, data, size);
	import->list = NULL;
	document_take(document, data, size);
	return code;
}

/* Passes a separator, or the bracket at the end, which sets *is_end. */
static int document_separator(struct document *document, char close,
			      int *is_end)
{
	int next;

	if (document_next(document, &next))
		return document->fault->code;
	if (next != ',' && next != close)
		return document_mistake(
		    document, close == ']' ? "a comma or ]" : "a comma or }");
	*is_end = next == close;
	document_pass(document);
	return 0;
}

/* Passes an opening bracket and, if nothing is in it, the closing one. */
static int document_open(struct document *document, char close, int *is_end)
{
	int next;

	document_pass(document);
	if (document_next(document, &next))
		return document->fault->code;
	*is_end = next == close;
	if (*is_end)
		document_pass(document);
	return 0;
}

static int document_list(struct document *document)
{
	int is_end = 0, code;
	int next;

	document->index = 0;
	document->is_in_list = 1;
	code = document_open(document, ']', &is_end);
	while (!code && !is_end) {
		code = document_next(document, &next);
		if (!code && (next == ',' || next == ']' || next < 0))
			code = document_mistake(document, "a value");
		if (!code)
			code = document_element(document);
		if (!code)
			code = document_separator(document, ']', &is_end);
	}
	return code;
}

/* ---- objects ------------------------------------------------------------ */

/* A member's name, and the colon. */
static int document_name(struct document *document, char *out, size_t room)
{
	const char *data;
	size_t size;
	int next;

	if (document_next(document, &next))
		return document->fault->code;
	if (next != '"')
		return document_mistake(document, "a name in quotes");
	if (document_value(document, &data, &size))
		return document->fault->code;
	snprintf(out, room, "%.*s",
		 size < 2	   ? 0
		 : size - 2 < room ? (int)size - 2
				   : (int)room - 1,
		 data + 1);
	document_take(document, data, size);
	if (document_next(document, &next))
		return document->fault->code;
	if (next != ':')
		return document_mistake(document, "a colon");
	document_pass(document);
	return document_next(document, &next);
}

/* A value that is not taken is JSON at least. */
static int document_skip(struct document *document, const char *name)
{
	json_error_t error;
	const char *data;
	json_t *json;
	size_t size;

	if (document_value(document, &data, &size))
		return document->fault->code;
	json = json_loadb(data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!json)
		return fault_set(document->fault, EXIT_BAD_INPUT,
				 "%s:%" PRIu64 ": \"%s\": no valid JSON: %s",
				 document->reader->name, document->line, name,
				 error.text);
	if (json_array_size(json) + json_object_size(json) > 0 &&
	    !document->import->cli->quiet)
		fault_note("warning: %s:%" PRIu64
			   ": \"%s\" holds no records, it was left out",
			   document->reader->name, document->line, name);
	json_decref(json);
	document_take(document, data, size);
	return 0;
}

/* An object of records, whose names repeat what is in them. */
static int document_map(struct document *document)
{
	int is_end = 0, code;
	char name[24];

	document->index = 0;
	document->is_in_list = 1;
	code = document_open(document, '}', &is_end);
	while (!code && !is_end) {
		code = document_name(document, name, sizeof name);
		if (!code)
			code = document_element(document);
		if (!code)
			code = document_separator(document, '}', &is_end);
	}
	return code;
}

/* A member that is a list of records, or is left out. */
static int document_member(struct document *document, const char *name)
{
	const unsigned char *data;
	struct json_members member = {.name = name, .name_size = strlen(name)};
	int is_result = !strcmp(name, "result");
	char open;

	if (!reader_peek(document->reader, &data))
		return document_mistake(document, "a value");
	open = (char)*data;
	snprintf(document->list, sizeof document->list, "%s", name);
	if (open == '[' && (is_result || document_is_list(&member)))
		return document_list(document);
	if (open == '{' && !strcmp(name, "vectors"))
		return document_map(document);
	return document_skip(document, name);
}

static int document_object(struct document *document)
{
	char name[2][24];
	int is_end[2] = {0}, depth = 0, next, code;

	code = document_open(document, '}', &is_end[0]);
	while (!code && !(depth == 0 && is_end[0])) {
		if (is_end[depth]) {
			depth--;
			code =
			    document_separator(document, '}', &is_end[depth]);
			continue;
		}
		code = document_name(document, name[depth], sizeof *name);
		if (!code)
			code = document_next(document, &next);
		if (!code && depth == 0 && next == '{' &&
		    !strcmp(name[0], "result")) {
			depth = 1;
			code = document_open(document, '}', &is_end[1]);
			continue;
		}
		if (!code)
			code = document_member(document, name[depth]);
		if (!code)
			code =
			    document_separator(document, '}', &is_end[depth]);
	}
	return code;
}

/* Nothing may follow after a list. */
static int document_end(struct document *document)
{
	int next;

	if (document_next(document, &next))
		return document->fault->code;
	return next < 0 ? 0 : document_mistake(document, "the end");
}

/* One document; `open` is its first byte. */
static int document_root(struct document *document, int open)
{
	const unsigned char *data;
	size_t size;

	document->list[0] = '\0';
	document->is_in_list = 0;
	if (open == '[')
		return document_list(document);
	if (open != '{')
		return document_mistake(document, "[ or {");
	if (reader_need(document->reader, DOCUMENT_PEEK_BYTES, document->fault))
		return document->fault->code;
	size = reader_peek(document->reader, &data);
	if (document_has_lists((const char *)data, size))
		return document_object(document);
	return document_element(document);
}

int document_import(struct import *import)
{
	struct document document = {.import = import,
				    .reader = &import->reader,
				    .fault = &import->cli->fault,
				    .line = 1};
	int next, code = reader_skip_mark(document.reader, document.fault);

	while (!code) {
		code = document_next(&document, &next);
		if (code || next < 0)
			break;
		code = document_root(&document, next);
		if (!code && next == '[')
			code = document_end(&document);
	}
	import->record.is_point = 0;
	return code;
}
