/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: how a file's format is told.
 *
 * idea
 *	The content is asked first, for names lie and pipes have none; the name
 *	settles what the content leaves open.  In this order:
 *	  - "\x93NUMPY" is npy, a zip with .npy in its first name npz;
 *	  - names in .bvecs, .ivecs, .fbin, .u8bin, .i8bin and .ibin as they
 *	    say, for these files begin like others;
 *	  - a little-endian number from 2 to COP_DIM_MAX, so with two zero bytes
 *	    that no text has, is fvecs;
 *	  - '[' after white space and a byte order mark is JSON; so is '{' if
 *	    there are lists of records in it or its first line is not complete;
 *	    else '{' is NDJSON;
 *	  - XML with <graphml in it is GraphML;
 *	  - names in .nt, .nq, .ttl and .trig are RDF's; without such a name
 *	    what begins with a prefix is Turtle, and with an IRI in full or
 *	    a blank node N-Triples;
 *	  - a name in .csv or .tsv, or a first line with the names of columns
 *	    in it, is CSV; names in .ndjson, .jsonl, .fvecs as they say;
 *	  - two whole numbers in the first line, and a word and as many numbers
 *	    as the second of them in the next, is word2vec; a word and eight
 *	    numbers or more is GloVe; with a name in .vec, whatever it is;
 *	  - an empty file is NDJSON without a line.
 */
#include "format.h"
#include "rows.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT_PEEK_BYTES = 4096, FORMAT_GLOVE_MIN = 8 };

const char *const format_names[] = {
    "ndjson", "csv",   "npy",	"fvecs",   "bvecs",    "ivecs",
    "fbin",   "u8bin", "i8bin", "ibin",	   "word2vec", "glove",
    "npz",    "json",  "edges", "triples", "graphml",  "nt",
    "nq",     "ttl",   "trig",	NULL};

int format_has_rows(enum format format)
{
	return format >= FORMAT_NPY && format <= FORMAT_NPZ;
}

static int format_is_fvecs(const unsigned char *data, size_t size)
{
	uint32_t dim;

	if (size < 8)
		return 0;
	memcpy(&dim, data, sizeof dim);
	return dim >= COP_DIM_MIN && dim <= COP_DIM_MAX;
}

/* Whether it begins with numbers that may look like those of .fvecs. */
static int format_is_table(enum format format)
{
	return format >= FORMAT_BVECS && format <= FORMAT_IBIN;
}

static enum format format_by_name(const char *name)
{
	static const struct {
		const char *tail;
		enum format format;
	} tails[] = {{".csv", FORMAT_CSV},	 {".tsv", FORMAT_CSV},
		     {".ndjson", FORMAT_NDJSON}, {".jsonl", FORMAT_NDJSON},
		     {".npy", FORMAT_NPY},	 {".fvecs", FORMAT_FVECS},
		     {".bvecs", FORMAT_BVECS},	 {".ivecs", FORMAT_IVECS},
		     {".fbin", FORMAT_FBIN},	 {".u8bin", FORMAT_U8BIN},
		     {".i8bin", FORMAT_I8BIN},	 {".ibin", FORMAT_IBIN},
		     {".vec", FORMAT_GLOVE},	 {".graphml", FORMAT_GRAPHML},
		     {".nt", FORMAT_NTRIPLES},	 {".nq", FORMAT_NQUADS},
		     {".ttl", FORMAT_TURTLE},	 {".trig", FORMAT_TRIG}};
	static const char *const packed[] = {"", ".gz", ".zst", ".lz4"};
	char tail[16];

	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		for (size_t j = 0; j < sizeof packed / sizeof *packed; j++) {
			snprintf(tail, sizeof tail, "%s%s", tails[i].tail,
				 packed[j]);
			if (words_ends(name, tail))
				return tails[i].format;
		}
	}
	return FORMAT_UNKNOWN;
}

/* A record a line, or a document of many lines or with lists in it. */
static enum format format_of_object(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);

	while (end && end > text && isspace((unsigned char)end[-1]))
		end--;
	if ((end && strchr("{[,:", end[-1])) || document_has_lists(text, size))
		return FORMAT_JSON;
	return FORMAT_NDJSON;
}

/* Words with vectors; `found` is what the name says. */
static enum format format_of_words(const unsigned char *data, size_t size,
				   enum format found)
{
	const char *text = (const char *)data;
	int is_named = found == FORMAT_GLOVE;
	uint64_t count, dim;
	size_t header = wordvec_header(text, size, &count, &dim);

	if (found != FORMAT_UNKNOWN && !is_named)
		return found;
	if (header &&
	    (is_named || memchr(data, '\0', size) ||
	     wordvec_is_glove(text + header, size - header,
			      dim < FORMAT_GLOVE_MIN ? (size_t)dim
						     : FORMAT_GLOVE_MIN)))
		return FORMAT_WORD2VEC;
	if (!header && wordvec_is_glove(text, size, FORMAT_GLOVE_MIN))
		return FORMAT_GLOVE;
	return found;
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
	static const char *const names[][2] = {{"source", "target"},
					       {":START_ID", ":END_ID"},
					       {"~from", "~to"},
					       {":ID", ":ID"},
					       {"~id", "~label"}};
	const unsigned char *end = memchr(data, '\n', size);

	if (end)
		size = (size_t)(end - data);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (memmem(data, size, names[i][0], strlen(names[i][0])) &&
		    memmem(data, size, names[i][1], strlen(names[i][1])))
			return 1;
	return 0;
}

int format_find(struct reader *reader, enum format *out, struct fault *fault)
{
	const unsigned char *data;
	size_t size, seen, at = 0;

	*out = FORMAT_UNKNOWN;
	if (reader_need(reader, 8, fault))
		return fault->code;
	size = seen = reader_peek(reader, &data);
	if (size > FORMAT_PEEK_BYTES)
		size = FORMAT_PEEK_BYTES;
	if (size >= 2 &&
	    (!memcmp(data, "\xff\xfe", 2) || !memcmp(data, "\xfe\xff", 2))) {
		*out = format_by_name(reader->name); /* XML may be UTF-16 */
		return *out == FORMAT_GRAPHML ? 0
					      : reader_skip_mark(reader, fault);
	}
	if (size >= 4 && !memcmp(data, "PK\3\4", 4) &&
	    memmem(data, size < 256 ? size : 256, ".npy", 4))
		*out = FORMAT_NPZ;
	else if (size >= 4 && !memcmp(data, "PK\3\4", 4))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is a zip archive. Try: unzip -p FILE | "
				 "coppice import STORE -",
				 reader->name);
	if (size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3))
		at = 3;
	while (at < size && isspace(data[at]))
		at++;
	if (*out != FORMAT_NPZ)
		*out = format_by_name(reader->name);
	if (size >= 6 && !memcmp(data, "\x93NUMPY", 6))
		*out = FORMAT_NPY;
	else if (!format_is_table(*out) && format_is_fvecs(data, size))
		*out = FORMAT_FVECS;
	else if (at < size && data[at] == '[')
		*out = FORMAT_JSON;
	else if (at < size && data[at] == '{')
		*out = format_of_object((const char *)data + at, size - at);
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
	else
		*out = format_of_words(data, size, *out);
	if (*out != FORMAT_UNKNOWN)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: its format is not known by its content or name. "
			 "Try: --format, see `coppice help import`",
			 reader->name);
}
