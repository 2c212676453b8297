/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: how a file's format is told.
 *
 * idea
 *	The content is asked first, for names lie and pipes have none; the name
 *	settles what the content leaves open.  In this order:
 *	  - "\x93NUMPY" is npy;
 *	  - a little-endian number from 2 to COP_DIM_MAX, so with two zero bytes
 *	    that no text has, is fvecs;
 *	  - '{' after white space and a byte order mark is NDJSON;
 *	  - XML with <graphml in it is GraphML;
 *	  - names in .nt, .nq, .ttl and .trig are RDF's; without such a name
 *	    what begins with a prefix is Turtle, and with an IRI in full or
 *	    a blank node N-Triples;
 *	  - a name in .csv or .tsv, or a first line with "source" and "target"
 *	    in it, is CSV; names in .ndjson, .jsonl, .fvecs, .graphml as they
 *	    say;
 *	  - an empty file is NDJSON without a line.
 */
#include "format.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT_PEEK_BYTES = 4096 };

const char *const format_names[] = {"ndjson", "csv", "npy", "fvecs", "graphml",
				    "nt",     "nq",  "ttl", "trig",  NULL};

static int format_is_fvecs(const unsigned char *data, size_t size)
{
	uint32_t dim;

	if (size < 8)
		return 0;
	memcpy(&dim, data, sizeof dim);
	return dim >= COP_DIM_MIN && dim <= COP_DIM_MAX;
}

static enum format format_by_name(const char *name)
{
	static const struct {
		const char *tail;
		enum format format;
	} tails[] = {
	    {".csv", FORMAT_CSV},	  {".tsv", FORMAT_CSV},
	    {".ndjson", FORMAT_NDJSON},	  {".jsonl", FORMAT_NDJSON},
	    {".npy", FORMAT_NPY},	  {".fvecs", FORMAT_FVECS},
	    {".graphml", FORMAT_GRAPHML}, {".nt", FORMAT_NTRIPLES},
	    {".nq", FORMAT_NQUADS},	  {".ttl", FORMAT_TURTLE},
	    {".trig", FORMAT_TRIG},
	};
	char packed[16];

	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		snprintf(packed, sizeof packed, "%s.gz", tails[i].tail);
		if (words_ends(name, tails[i].tail) || words_ends(name, packed))
			return tails[i].format;
	}
	return FORMAT_UNKNOWN;
}

/* "@prefix", "PREFIX", "@base", "BASE": how Turtle begins. */
static int format_is_turtle(const unsigned char *data, size_t size)
{
	static const char *const begins[] = {"@prefix ", "PREFIX ", "prefix ",
					     "@base ",	 "BASE ",   "base "};

	for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
		if (size >= strlen(begins[i]) &&
		    !memcmp(data, begins[i], strlen(begins[i])))
			return 1;
	return 0;
}

/* XML whose first element is, as far as is seen, that of GraphML. */
static int format_is_graphml(const unsigned char *data, size_t size)
{
	static const char *const begins[] = {"<?xml", "<!--", "<graphml"};

	for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
		if (size >= strlen(begins[i]) &&
		    !memcmp(data, begins[i], strlen(begins[i])))
			return memmem(data, size, "<graphml", 8) != NULL;
	return 0;
}

static int format_has_columns(const unsigned char *data, size_t size)
{
	const unsigned char *end = memchr(data, '\n', size);

	if (end)
		size = (size_t)(end - data);
	return memmem(data, size, "source", 6) &&
	       memmem(data, size, "target", 6);
}

int format_find(struct reader *reader, enum format *out, struct fault *fault)
{
	const unsigned char *data;
	size_t size, seen, at = 0;

	if (reader_need(reader, 8, fault))
		return fault->code;
	size = seen = reader_peek(reader, &data);
	if (size > FORMAT_PEEK_BYTES)
		size = FORMAT_PEEK_BYTES;
	if (size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3))
		at = 3;
	while (at < size && isspace(data[at]))
		at++;
	*out = format_by_name(reader->name);
	if (size >= 6 && !memcmp(data, "\x93NUMPY", 6))
		*out = FORMAT_NPY;
	else if (format_is_fvecs(data, size))
		*out = FORMAT_FVECS;
	else if (at < size && data[at] == '{')
		*out = FORMAT_NDJSON;
	else if (format_is_graphml(data + at, seen - at))
		*out = FORMAT_GRAPHML;
	else if (*out == FORMAT_UNKNOWN &&
		 format_is_turtle(data + at, size - at))
		*out = FORMAT_TURTLE;
	else if (*out == FORMAT_UNKNOWN && size - at > 8 &&
		 (!memcmp(data + at, "<http", 5) ||
		  !memcmp(data + at, "<urn:", 5) ||
		  !memcmp(data + at, "_:", 2)))
		*out = FORMAT_NTRIPLES;
	else if (*out == FORMAT_UNKNOWN && format_has_columns(data, size))
		*out = FORMAT_CSV;
	else if (*out == FORMAT_UNKNOWN && at == size)
		*out = FORMAT_NDJSON;
	if (*out != FORMAT_UNKNOWN)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: its format is not known by its content or name. "
			 "Try: --format, see `coppice help import`",
			 reader->name);
}
