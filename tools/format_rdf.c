/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rdf: triples of N-Triples, N-Quads, Turtle and TriG, read by serd
 * (triples.c makes entities and edges of them).
 *
 * what becomes of
 *	IRI		the key of an entity
 *	blank node	likewise, "_:FILE#LABEL" with the file's name without
 *			its folders, so that those of two files stay apart
 *	rdf:type	the first type of a subject is its type, the further
 *			ones are tags
 *	predicate	the IRI is the relation of an edge, and the name of a
 *			property; with --local-names (and so are types) what is
 *			behind its last # or /
 *	literal		a property.  XSD's whole numbers, double, float, decimal
 *			and boolean are such values, if they fit; all others are
 *			texts, and their datatypes are left out.  One with a
 *			language is a property with @LANGUAGE behind its name
 *	graph		left out
 *
 * idea
 *	N-Triples and N-Quads are given to serd a line at a time, so that a bad
 *	line is a bad record and the next one is read.  Of Turtle and TriG serd
 *	reads a byte at a time, for then the line is known; a mistake in them
 *	ends the file.  What serd only warns of is a mistake, too.
 *
 * limits
 *	serd goes down into brackets by calling itself, and keeps a statement in
 *	memory: brackets nest RDF_NESTING deep, a statement of Turtle and a line
 *	of N-Triples have 64 MiB.  The prefixes of a file are kept, and serd
 *	looks through all of them for each name: RDF_PREFIXES.
 */
#include "triples.h"
#include "words.h"

#include <errno.h>
#include <serd/serd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RDF_NESTING = 256, RDF_BYTES = 67108864, RDF_PREFIXES = 4096 };

/* Where a byte of Turtle stands. */
enum rdf_state { IN_PLAIN, IN_IRI, IN_COMMENT, IN_STRING, IN_LONG };

struct rdf {
	struct import *import;
	struct triples triples;
	struct place place;
	SerdReader *reader;
	SerdEnv *env;
	int code;	     /* why it was stopped */
	int prefixes;	     /* declared, at most */
	int has_triple;	     /* serd has told one */
	int is_wrong;	     /* or a mistake */
	char mistake[300];   /* the first one */
	const char *file;    /* for blank nodes */
	struct scratch text; /* of one statement */
	/* of Turtle */
	enum rdf_state state;
	int is_escaped;
	char quote;
	int quotes; /* of this kind, one after another */
	int depth;
	size_t bytes; /* since the last statement */
	/* of N-Triples */
	char *line;
	size_t room;
};

static struct fault *fault_of(struct rdf *rdf)
{
	return &rdf->import->cli->fault;
}

/* ---- texts -------------------------------------------------------------- */

/* Two texts, one behind the other. */
static int join(struct rdf *rdf, const void *a, size_t a_size, const void *b,
		size_t b_size, struct triples_text *out)
{
	char *text = scratch_take(&rdf->text, a_size + b_size + 1, 1);

	if (!text)
		return fault_set(fault_of(rdf), EXIT_NO_SPACE, "out of memory");
	memcpy(text, a, a_size);
	memcpy(text + a_size, b, b_size);
	text[a_size + b_size] = '\0';
	out->data = text;
	out->size = a_size + b_size;
	return 0;
}

/* What a relative IRI is against the base of the file. */
static int resolve(struct rdf *rdf, const SerdNode *node,
		   struct triples_text *out)
{
	SerdNode full = serd_env_expand_node(rdf->env, node);
	int code;

	if (!full.buf)
		return fault_set(fault_of(rdf), EXIT_BAD_INPUT,
				 "the IRI <%.200s> makes no sense",
				 (const char *)node->buf);
	code = join(rdf, full.buf, full.n_bytes, "", 0, out);
	serd_node_free(&full);
	return code;
}

/* The full text of an IRI or a blank node. */
static int name_of(struct rdf *rdf, const SerdNode *node,
		   struct triples_text *out)
{
	SerdChunk prefix, rest;
	char blank[300];

	if (node->type == SERD_BLANK) {
		snprintf(blank, sizeof blank, "_:%s%s", rdf->file,
			 *rdf->file ? "#" : "");
		return join(rdf, blank, strlen(blank), node->buf, node->n_bytes,
			    out);
	}
	if (node->type == SERD_CURIE) {
		if (serd_env_expand(rdf->env, node, &prefix, &rest))
			return fault_set(
			    fault_of(rdf), EXIT_BAD_INPUT,
			    "nothing declares the prefix of %.200s",
			    (const char *)node->buf);
		return join(rdf, prefix.buf, prefix.len, rest.buf, rest.len,
			    out);
	}
	if (!serd_uri_string_has_scheme(node->buf))
		return resolve(rdf, node, out);
	out->data = (const char *)node->buf;
	out->size = node->n_bytes;
	return 0;
}

/* The name of a relation, a property or a type. */
static struct triples_text short_of(const struct rdf *rdf,
				    struct triples_text iri)
{
	size_t at = iri.size;

	if (!rdf->import->local_names)
		return iri;
	while (at && iri.data[at - 1] != '#' && iri.data[at - 1] != '/')
		at--;
	if (at == iri.size)
		return iri;
	return (struct triples_text){iri.data + at, iri.size - at};
}

/* ---- literals ----------------------------------------------------------- */

static int is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(word, *words))
			return 1;
	return 0;
}

/* The value of a literal whose datatype, NULL: none, is in full. */
static void value_of(const SerdNode *literal, const char *datatype,
		     struct cop_value *out)
{
	static const char xsd[] = "http://www.w3.org/2001/XMLSchema#";
	static const char *const wholes[] = {"integer",
					     "int",
					     "long",
					     "short",
					     "byte",
					     "nonNegativeInteger",
					     "positiveInteger",
					     "negativeInteger",
					     "nonPositiveInteger",
					     "unsignedLong",
					     "unsignedInt",
					     "unsignedShort",
					     "unsignedByte",
					     NULL};
	static const char *const reals[] = {"double", "float", "decimal", NULL};
	const char *text = (const char *)literal->buf;
	char *end = NULL;

	memset(out, 0, sizeof *out);
	out->kind = COP_STRING;
	out->data = text;
	out->count = (uint32_t)literal->n_bytes;
	if (!datatype || strncmp(datatype, xsd, sizeof xsd - 1) != 0 || !*text)
		return;
	datatype += sizeof xsd - 1;
	if (is_one_of(datatype, wholes)) {
		errno = 0;
		out->integer = strtoll(text, &end, 10);
		if (!errno && !*end)
			out->kind = COP_INT;
	} else if (is_one_of(datatype, reals)) {
		if (!words_double(text, &out->real))
			out->kind = COP_FLOAT;
	} else if (!strcmp(datatype, "boolean")) {
		out->integer = !strcmp(text, "true") || !strcmp(text, "1");
		if (out->integer || !strcmp(text, "false") ||
		    !strcmp(text, "0"))
			out->kind = COP_BOOL;
	}
	if (out->kind != COP_STRING) {
		out->data = NULL;
		out->count = 0;
	}
}

static int put_literal(struct rdf *rdf, struct triples_text subject,
		       struct triples_text predicate, const SerdNode *literal,
		       const SerdNode *datatype, const SerdNode *language)
{
	struct triples_text name = short_of(rdf, predicate), type = {0};
	struct cop_value value;

	if (language && language->buf &&
	    (join(rdf, name.data, name.size, "@", 1, &name) ||
	     join(rdf, name.data, name.size, language->buf, language->n_bytes,
		  &name)))
		return fault_of(rdf)->code;
	if (datatype && datatype->buf && name_of(rdf, datatype, &type))
		return fault_of(rdf)->code;
	value_of(literal, type.data, &value);
	return triples_property(&rdf->triples, &rdf->place, subject, name,
				&value);
}

/* ---- triples ------------------------------------------------------------ */

static int key_check(struct rdf *rdf, struct triples_text key)
{
	if (key.size && key.size <= COP_KEY_BYTES)
		return 0;
	return fault_set(fault_of(rdf), EXIT_BAD_INPUT,
			 "the IRI <%.80s...> has %zu bytes, a key has 1 to %d",
			 key.data, key.size, COP_KEY_BYTES);
}

/* A triple is left out, or ends the import. */
static SerdStatus bad(struct rdf *rdf)
{
	if (fault_of(rdf)->code == EXIT_BAD_INPUT)
		rdf->code = import_bad(rdf->import, &rdf->place);
	else
		rdf->code = fault_of(rdf)->code;
	return rdf->code ? SERD_ERR_UNKNOWN : SERD_SUCCESS;
}

static SerdStatus on_triple(void *user, SerdStatementFlags flags,
			    const SerdNode *graph, const SerdNode *subject,
			    const SerdNode *predicate, const SerdNode *object,
			    const SerdNode *datatype, const SerdNode *language)
{
	static const char type_iri[] =
	    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
	struct triples_text s, p, o;
	struct rdf *rdf = user;
	int code;

	(void)flags;
	(void)graph;
	if (rdf->code)
		return SERD_ERR_UNKNOWN;
	rdf->has_triple = 1;
	if (resume_is_passing(rdf->import)) {
		rdf->code = import_step(rdf->import);
		return rdf->code ? SERD_ERR_UNKNOWN : SERD_SUCCESS;
	}
	scratch_reset(&rdf->text);
	if (name_of(rdf, subject, &s) || key_check(rdf, s) ||
	    name_of(rdf, predicate, &p))
		return bad(rdf);
	if (object->type == SERD_LITERAL) {
		code = put_literal(rdf, s, p, object, datatype, language);
	} else if (name_of(rdf, object, &o) || key_check(rdf, o)) {
		return bad(rdf);
	} else if (p.size == sizeof type_iri - 1 &&
		   !memcmp(p.data, type_iri, p.size)) {
		code = triples_type(&rdf->triples, &rdf->place, s,
				    short_of(rdf, o));
	} else {
		code = triples_edge(&rdf->triples, &rdf->place, s,
				    short_of(rdf, p), o);
	}
	rdf->code = code;
	return code ? SERD_ERR_UNKNOWN : SERD_SUCCESS;
}

static SerdStatus on_known(void *user, const SerdNode *name,
			   const SerdNode *uri)
{
	struct rdf *rdf = user;

	(void)name;
	(void)uri;
	rdf->prefixes++;
	return SERD_SUCCESS;
}

static SerdStatus on_prefix(void *user, const SerdNode *name,
			    const SerdNode *uri)
{
	struct rdf *rdf = user;

	serd_env_set_prefix(rdf->env, name, uri);
	if (++rdf->prefixes <= RDF_PREFIXES)
		return SERD_SUCCESS;
	rdf->prefixes = 0; /* some may have been declared again */
	serd_env_foreach(rdf->env, on_known, rdf);
	if (rdf->prefixes <= RDF_PREFIXES)
		return SERD_SUCCESS;
	rdf->code =
	    fault_set(fault_of(rdf), EXIT_BAD_INPUT,
		      "%s:%llu: more than %d prefixes", rdf->place.file,
		      (unsigned long long)rdf->place.number, RDF_PREFIXES);
	return SERD_ERR_UNKNOWN;
}

static SerdStatus on_base(void *user, const SerdNode *uri)
{
	return serd_env_set_base_uri(((struct rdf *)user)->env, uri);
}

/* serd's formats cannot be checked here. */
static int (*const print)(char *out, size_t room, const char *format,
			  va_list list) = vsnprintf;

static SerdStatus on_mistake(void *user, const SerdError *error)
{
	struct rdf *rdf = user;
	char text[200];

	if (rdf->is_wrong)
		return SERD_SUCCESS;
	rdf->is_wrong = 1;
	print(text, sizeof text, error->fmt, *error->args);
	text[strcspn(text, "\n")] = '\0';
	if (strstr(text, "\xff")) /* what is no byte, printed as one */
		snprintf(text, sizeof text, "it breaks off");
	snprintf(rdf->mistake, sizeof rdf->mistake, "column %u: %s", error->col,
		 text);
	return SERD_SUCCESS;
}

/* ---- N-Triples ---------------------------------------------------------- */

/* A copy of a line that ends in NUL, as serd wants it. */
static int line_copy(struct rdf *rdf, const char *line, size_t size)
{
	const char *nul = memchr(line, '\0', size);
	size_t valid = words_utf8(line, size);

	if (nul)
		return fault_set(fault_of(rdf), EXIT_BAD_INPUT,
				 "byte %zu is NUL", (size_t)(nul - line) + 1);
	if (valid < size)
		return fault_set(fault_of(rdf), EXIT_BAD_INPUT,
				 "byte %zu (0x%02x) is not UTF-8", valid + 1,
				 (unsigned char)line[valid]);
	if (size + 2 > rdf->room) {
		char *copy = realloc(rdf->line, size * 2 + 256);

		if (!copy)
			return fault_set(fault_of(rdf), EXIT_NO_SPACE,
					 "out of memory");
		rdf->line = copy;
		rdf->room = size * 2 + 256;
	}
	memcpy(rdf->line, line, size);
	memcpy(rdf->line + size, "\n", 2);
	return 0;
}

static int line_read(struct rdf *rdf, const char *line, size_t size)
{
	SerdStatus status;

	rdf->import->text = line;
	rdf->import->text_size = size;
	if (line_copy(rdf, line, size)) {
		bad(rdf);
		return rdf->code;
	}
	rdf->is_wrong = rdf->has_triple = 0;
	status =
	    serd_reader_read_string(rdf->reader, (const uint8_t *)rdf->line);
	if (rdf->code || (!rdf->is_wrong && !status && rdf->has_triple))
		return rdf->code;
	fault_set(fault_of(rdf), EXIT_BAD_INPUT, "no valid triple: %s",
		  rdf->is_wrong	     ? rdf->mistake
		  : !rdf->has_triple ? "it begins with neither < nor _:"
				     : "something follows after its end");
	bad(rdf);
	return rdf->code;
}

static int lines_read(struct rdf *rdf)
{
	const char *line;
	size_t size;

	for (;;) {
		if (reader_line(&rdf->import->reader, &line, &size,
				fault_of(rdf)))
			return fault_of(rdf)->code;
		if (!line)
			return 0;
		rdf->place.number = rdf->import->reader.line;
		while (size && (*line == ' ' || *line == '\t'))
			line++, size--;
		if (!record_is_empty(line, size) && *line != '#' &&
		    line_read(rdf, line, size))
			return rdf->code;
	}
}

/* ---- Turtle ------------------------------------------------------------- */

/* A byte within a string: whether it ends it. */
static void string_step(struct rdf *rdf, char c)
{
	int wanted = rdf->state == IN_LONG ? 3 : 1;

	rdf->quotes = c == rdf->quote ? rdf->quotes + 1 : 0;
	if (rdf->quotes == wanted || (c == '\n' && rdf->state == IN_STRING)) {
		rdf->state = IN_PLAIN;
		rdf->quotes = wanted == 1 && c == rdf->quote ? 2 : 0;
	}
}

/* A byte outside of IRIs, strings and comments. */
static void plain_step(struct rdf *rdf, char c)
{
	/* A quote right behind "" makes it the beginning of a long string. */
	if (rdf->quotes == 2 && c == rdf->quote) {
		rdf->state = IN_LONG;
		rdf->quotes = 0;
		return;
	}
	rdf->quotes = 0;
	switch (c) {
	case '<': rdf->state = IN_IRI; break;
	case '#': rdf->state = IN_COMMENT; break;
	case '"':
	case '\'':
		rdf->state = IN_STRING;
		rdf->quote = c;
		break;
	case '[':
	case '(':
	case '{': rdf->depth++; break;
	case ']':
	case ')':
	case '}': rdf->depth -= rdf->depth > 0; break;
	default: break;
	}
}

/* Follows brackets as they come, and lines. */
static void rdf_step(struct rdf *rdf, char c)
{
	rdf->place.number += c == '\n';
	if (rdf->is_escaped) {
		rdf->is_escaped = 0;
		rdf->quotes = 0;
		return;
	}
	if (c == '\\' && rdf->state != IN_COMMENT) {
		rdf->is_escaped = 1;
		return;
	}
	switch (rdf->state) {
	case IN_PLAIN: plain_step(rdf, c); break;
	case IN_IRI:
		if (c == '>' || c == '\n' || c == ' ')
			rdf->state = IN_PLAIN;
		break;
	case IN_COMMENT:
		if (c == '\n')
			rdf->state = IN_PLAIN;
		break;
	default: string_step(rdf, c); break;
	}
}

/* serd's source, of one byte at a time. */
static size_t on_read(void *out, size_t size, size_t count, void *user)
{
	struct rdf *rdf = user;
	struct reader *reader = &rdf->import->reader;
	const unsigned char *data;
	char c;

	(void)size;
	(void)count;
	if (rdf->code)
		return 0;
	if (!reader_peek(reader, &data)) {
		rdf->code = reader_need(reader, 1, fault_of(rdf));
		if (rdf->code || !reader_peek(reader, &data))
			return 0;
	}
	c = (char)*data;
	reader_take(reader, 1);
	rdf_step(rdf, c);
	if (c && rdf->depth <= RDF_NESTING && ++rdf->bytes <= RDF_BYTES) {
		memcpy(out, &c, 1);
		return 1;
	}
	rdf->code = fault_set(
	    fault_of(rdf), EXIT_BAD_INPUT, "%s:%llu: %s", rdf->place.file,
	    (unsigned long long)rdf->place.number,
	    !c			       ? "there is a NUL"
	    : rdf->depth > RDF_NESTING ? "brackets nest more than 256 deep"
				       : "a statement is longer than 64 MiB");
	return 0;
}

static int on_read_error(void *user)
{
	return ((struct rdf *)user)->code != 0;
}

static int turtle_read(struct rdf *rdf)
{
	SerdStatus status;

	rdf->place.number = 1;
	status = serd_reader_start_source_stream(
	    rdf->reader, on_read, on_read_error, rdf,
	    (const uint8_t *)rdf->place.file, 1);
	while (!status && !rdf->is_wrong && !rdf->code) {
		rdf->bytes = 0;
		status = serd_reader_read_chunk(rdf->reader);
	}
	serd_reader_end_stream(rdf->reader);
	if (rdf->code || (!rdf->is_wrong && status <= SERD_FAILURE))
		return rdf->code;
	return fault_set(
	    fault_of(rdf), EXIT_BAD_INPUT, "%s:%llu: no valid RDF: %s",
	    rdf->place.file, (unsigned long long)rdf->place.number,
	    rdf->is_wrong ? rdf->mistake : (const char *)serd_strerror(status));
}

/* ---- the file ----------------------------------------------------------- */

static int rdf_begin(struct rdf *rdf, int format)
{
	static const SerdSyntax syntaxes[] = {[FORMAT_NTRIPLES] = SERD_NQUADS,
					      [FORMAT_NQUADS] = SERD_NQUADS,
					      [FORMAT_TURTLE] = SERD_TURTLE,
					      [FORMAT_TRIG] = SERD_TRIG};
	const char *name = rdf->import->reader.name;
	const char *slash = strrchr(name, '/');

	rdf->place.file = name;
	rdf->file = !strcmp(name, "standard input") ? ""
		    : slash			    ? slash + 1
						    : name;
	rdf->env = serd_env_new(NULL);
	rdf->reader = serd_reader_new(syntaxes[format], rdf, NULL, on_base,
				      on_prefix, on_triple, NULL);
	if (!rdf->env || !rdf->reader)
		return fault_set(fault_of(rdf), EXIT_NO_SPACE, "out of memory");
	serd_reader_set_strict(rdf->reader, 1);
	serd_reader_set_error_sink(rdf->reader, on_mistake, rdf);
	rdf->triples.import = rdf->import;
	return triples_begin(&rdf->triples);
}

int rdf_import(struct import *import, int format)
{
	struct rdf rdf = {.import = import};
	int32_t dangling = import->dangling;
	int code = rdf_begin(&rdf, format);

	import->dangling = COP_DANGLING_STUB;
	if (!code && (format == FORMAT_NTRIPLES || format == FORMAT_NQUADS))
		code = lines_read(&rdf);
	else if (!code)
		code = reader_skip_mark(&import->reader, &import->cli->fault)
			   ? import->cli->fault.code
			   : turtle_read(&rdf);
	if (!code)
		code = triples_end(&rdf.triples);
	import->dangling = dangling;
	triples_release(&rdf.triples);
	scratch_release(&rdf.text);
	serd_reader_free(rdf.reader);
	serd_env_free(rdf.env);
	free(rdf.line);
	return code;
}
