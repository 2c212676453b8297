/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graphml: nodes are entities, edges are edges (graphml.c has their values).
 *
 * idea
 *	expat reads the file in pieces and calls a function an element.  A stack
 *	holds what kind each open element is; another one the open records, for
 *	a node may have a graph inside.  A record is put at its end, and before
 *	what stands inside of it: whatever has an edge to it comes later.  If
 *	it has more data after that, it is put once more.
 *
 * what becomes of
 *	node		an entity, whose key is the node's id; several graphs of
 *			a file are one
 *	edge		from source to target.  A store's edges have a
 *			direction; those that have none in the file are put as
 *			they stand, with the property `directed`, false.  `id`,
 *			`sourceport` and `targetport` become properties of that
 *			name, unless there are data of that name
 *	parallel edges	are told apart, see parallel.c
 *	hyperedge	an entity, of the type `hyperedge` unless its data say
 *			another, with an edge `endpoint` to each node, whose
 *			`type` and `port` are properties.  Its key is its id, or
 *			"hyperedge N", counted in the file
 *	nested graph	each of its nodes has an edge `inside` to the node that
 *			has the graph
 *	data		a property.  Of yEd's graphics the first label is taken,
 *			as `label`; `desc` is a property, too
 *	the rest	data of graphs, ports and endpoints, and elements that
 *			GraphML does not have, are left out and counted
 *	An edge may stand before its nodes if --dangling is stub: a node that
 *	comes later takes the place of the stub and keeps the edge.
 *
 * limits
 *	A DOCTYPE is refused, and with it every entity but XML's own five.
 *	Elements nest GRAPHML_DEPTH deep, records GRAPHML_RECORDS.  A tag or a
 *	comment has GRAPHML_TAG_BYTES, all texts of a record 64 MiB.  Memory is
 *	that of the open records, the keys and parallel.c's.  UTF-8, UTF-16,
 *	Latin-1 and ASCII are read.
 */
#include "graphml.h"
#include "parallel.h"
#include "words.h"

#include <errno.h>
#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	GRAPHML_DEPTH = 256,
	GRAPHML_RECORDS = 32,
	GRAPHML_TEXT_BYTES = 67108864,
	GRAPHML_TAG_BYTES = 4194304,
	GRAPHML_PIECE_BYTES = 65536
};

enum graphml_kind {
	KIND_ROOT, /* the document */
	KIND_GRAPHML,
	KIND_KEY,
	KIND_DEFAULT,
	KIND_GRAPH,
	KIND_RECORD,
	KIND_DATA,
	KIND_MARKUP, /* inside of data */
	KIND_LABEL,  /* of yEd, inside of data */
	KIND_SKIP    /* it and all inside are left out */
};

struct graphml {
	struct import *import;
	XML_Parser parser;
	int code; /* why it was stopped */
	unsigned char kinds[GRAPHML_DEPTH + 1];
	unsigned char undirected[GRAPHML_DEPTH + 1]; /* edges of a graph */
	int depth;
	struct graphml_keys keys;
	struct graphml_record records[GRAPHML_RECORDS];
	int record_count;
	struct parallel parallel;
	uint64_t hyperedges;
	uint64_t left_out;
	/* the text that is being read */
	size_t key;	 /* whose value it is */
	int is_kept;	 /* it is for a record or a default */
	int is_markup;	 /* it has elements inside */
	int label_count; /* of these, labels */
	char *text;
	size_t size, room;
	int is_alive; /* expat has called since the last piece */
};

/* ---- faults ------------------------------------------------------------- */

static struct fault *fault_of(struct graphml *graphml)
{
	return &graphml->import->cli->fault;
}

/* Ends the parse; `code` is that of the fault that is set. */
static void stop(struct graphml *graphml, int code)
{
	if (!graphml->code) {
		graphml->code = code;
		XML_StopParser(graphml->parser, XML_FALSE);
	}
}

/* Puts file and line before the fault that is set, and ends the parse. */
static void stop_here(struct graphml *graphml)
{
	struct fault *fault = fault_of(graphml);

	if (!graphml->code)
		fault_prefix(fault, "%s:%llu: ", graphml->import->reader.name,
			     (unsigned long long)XML_GetCurrentLineNumber(
				 graphml->parser));
	stop(graphml, fault->code);
}

__attribute__((format(printf, 2, 3))) static void
refuse(struct graphml *graphml, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	if (graphml->code)
		return;
	fault_set(fault_of(graphml), EXIT_BAD_INPUT, "%s", text);
	stop_here(graphml);
}

/* ---- records ------------------------------------------------------------ */

static struct graphml_record *record_last(struct graphml *graphml)
{
	return graphml->record_count
		   ? &graphml->records[graphml->record_count - 1]
		   : NULL;
}

static const char *attribute(const char **attributes, const char *name)
{
	for (; *attributes; attributes += 2)
		if (!strcmp(attributes[0], name))
			return attributes[1];
	return NULL;
}

static const char *text_of(struct graphml *graphml,
			   struct graphml_record *record, const char *text)
{
	size_t size;
	char *copy;

	if (!text)
		return NULL;
	size = strlen(text);
	record->bytes += size;
	copy = scratch_take(&record->scratch, size + 1, 1);
	if (!copy) {
		fault_set(fault_of(graphml), EXIT_NO_SPACE, "out of memory");
		stop_here(graphml);
		return NULL;
	}
	return memcpy(copy, text, size + 1);
}

/* A value that an attribute tells, not data. */
static void add_soft(struct graphml *graphml, struct graphml_record *record,
		     const char *name, int weight, const char *text)
{
	struct fault *fault = fault_of(graphml);
	const char *type = strcmp(name, "directed") ? NULL : "boolean";
	size_t key;

	if (!text || graphml->code)
		return;
	if (graphml_key_named(&graphml->keys, name, type, record->domain, &key,
			      fault) ||
	    graphml_item_add(&graphml->keys, record, key, text, strlen(text),
			     weight, fault))
		stop_here(graphml);
}

static struct graphml_record *record_begin(struct graphml *graphml, int domain)
{
	struct graphml_record *record;

	if (graphml->record_count == GRAPHML_RECORDS) {
		refuse(graphml, "graphs nest more than %d deep",
		       GRAPHML_RECORDS - 1);
		return NULL;
	}
	record = &graphml->records[graphml->record_count++];
	scratch_reset(&record->scratch);
	record->domain = domain;
	record->place.file = graphml->import->reader.name;
	record->place.number = XML_GetCurrentLineNumber(graphml->parser);
	record->key = record->source = record->target = NULL;
	record->count = record->bytes = 0;
	record->is_put = record->is_changed = record->is_bad = 0;
	record->fault.code = 0;
	return record;
}

/* Reports what is wrong with a record. */
static void record_bad(struct graphml *graphml, struct graphml_record *record)
{
	int code = import_bad(graphml->import, &record->place);

	record->is_bad = 1;
	if (code)
		stop(graphml, code);
}

/* What the record says; 1 if it is bad. */
static int record_content(struct graphml *graphml,
			  struct graphml_record *record,
			  struct graphml_content *content)
{
	struct fault *fault = fault_of(graphml);

	if (record->fault.code)
		*fault = record->fault;
	else
		graphml_content(&graphml->keys, record, content, fault);
	if (fault->code == EXIT_BAD_INPUT)
		record_bad(graphml, record);
	else if (fault->code)
		stop_here(graphml);
	return record->is_bad || graphml->code;
}

static void put_entity(struct graphml *graphml, struct graphml_record *record)
{
	struct import *import = graphml->import;
	struct graphml_content content;
	struct cop_put put = {.size = sizeof put};
	uint64_t bad = import->bad;
	const char *usual =
	    record->domain == GRAPHML_HYPEREDGE ? "hyperedge" : import->type;

	import->is_again = record->is_put;
	record->is_put = 1;
	record->is_changed = 0;
	if (record->is_bad || record_content(graphml, record, &content))
		return;
	put.key = record->key;
	put.key_size = (uint32_t)strlen(record->key);
	put.type = usual;
	put.type_size = usual ? strlen(usual) : 0;
	if (content.name_count && content.name_sizes[0]) {
		put.type = content.names[0];
		put.type_size = content.name_sizes[0];
	}
	if (content.name_count) {
		put.tags = content.names + 1;
		put.tag_sizes = content.name_sizes + 1;
		put.tag_count = content.name_count - 1;
	}
	put.properties = content.properties;
	put.property_count = content.property_count;
	put.content = content.content;
	put.content_size = content.content_size;
	if (import_entity(import, &record->place, &put))
		stop(graphml, fault_of(graphml)->code);
	import->is_again = 0;
	record->is_bad = import->bad != bad;
}

/* Puts an edge that is told apart from those like it, by itself or here. */
static void put_link(struct graphml *graphml, const struct place *place,
		     struct cop_put_edge *edge, int is_told)
{
	if (!is_told && parallel_next(&graphml->parallel, edge)) {
		fault_set(fault_of(graphml), EXIT_NO_SPACE, "out of memory");
		stop_here(graphml);
	} else if (import_edge(graphml->import, place, edge)) {
		stop(graphml, fault_of(graphml)->code);
	}
}

static void put_edge(struct graphml *graphml, struct graphml_record *record)
{
	const char *usual = graphml->import->relation;
	struct cop_put_edge edge = {.size = sizeof edge};
	struct graphml_content content;

	record->is_put = 1;
	if (record->is_bad || record_content(graphml, record, &content))
		return;
	edge.source = record->source;
	edge.source_size = strlen(record->source);
	edge.target = record->target;
	edge.target_size = strlen(record->target);
	edge.relation = content.name_count ? content.names[0]
			: usual		   ? usual
					   : "edge";
	edge.relation_size =
	    content.name_count ? content.name_sizes[0] : strlen(edge.relation);
	edge.properties = content.properties;
	edge.property_count = content.property_count;
	edge.discriminator = content.discriminator;
	put_link(graphml, &record->place, &edge, content.has_discriminator);
}

/* An edge without data from an entity that is put. */
static void put_bare(struct graphml *graphml, struct graphml_record *record,
		     const char *relation, const char *target,
		     struct cop_property *properties, uint32_t property_count)
{
	struct cop_put_edge edge = {.size = sizeof edge};

	if (record->is_bad || graphml->code)
		return;
	edge.source = record->key;
	edge.source_size = strlen(record->key);
	edge.relation = relation;
	edge.relation_size = strlen(relation);
	edge.target = target;
	edge.target_size = strlen(target);
	edge.properties = properties;
	edge.property_count = property_count;
	put_link(graphml, &record->place, &edge, 0);
}

/* The node that the graph of a record stands in, NULL: none. */
static struct graphml_record *record_around(struct graphml *graphml,
					    struct graphml_record *record)
{
	return record > graphml->records && record[-1].domain == GRAPHML_NODE
		   ? record - 1
		   : NULL;
}

/* Puts a record as far as it is known, unless that was done. */
static void record_end(struct graphml *graphml, struct graphml_record *record)
{
	struct graphml_record *around = record_around(graphml, record);
	int is_first = !record->is_put;

	if (graphml->code || (record->is_put && !record->is_changed))
		return;
	if (record->domain == GRAPHML_EDGE) {
		put_edge(graphml, record);
		return;
	}
	put_entity(graphml, record);
	if (record->domain == GRAPHML_NODE && around && is_first &&
	    !around->is_bad)
		put_bare(graphml, record, "inside", around->key, NULL, 0);
}

/* ---- elements that begin ------------------------------------------------ */

static void text_begin(struct graphml *graphml, int is_kept)
{
	graphml->size = 0;
	graphml->is_kept = is_kept;
	graphml->is_markup = 0;
	graphml->label_count = 0;
}

static enum graphml_kind begin_key(struct graphml *graphml,
				   const char **attributes)
{
	struct fault *fault = fault_of(graphml);
	const char *id = attribute(attributes, "id");

	if (!id)
		refuse(graphml, "a <key> has no id");
	else if (graphml_key_add(&graphml->keys, id,
				 attribute(attributes, "attr.name"),
				 attribute(attributes, "for"),
				 attribute(attributes, "attr.type"), fault))
		stop_here(graphml);
	return KIND_KEY;
}

static enum graphml_kind begin_graph(struct graphml *graphml,
				     const char **attributes)
{
	struct graphml_record *record = record_last(graphml);
	const char *usual = attribute(attributes, "edgedefault");

	graphml->undirected[graphml->depth] =
	    usual && !strcmp(usual, "undirected");
	if (record)
		record_end(graphml, record);
	return KIND_GRAPH;
}

static enum graphml_kind begin_entity(struct graphml *graphml,
				      const char **attributes, int domain)
{
	struct graphml_record *record = record_begin(graphml, domain);
	char text[32];

	if (!record)
		return KIND_SKIP;
	graphml->hyperedges += domain == GRAPHML_HYPEREDGE;
	snprintf(text, sizeof text, "hyperedge %llu",
		 (unsigned long long)graphml->hyperedges);
	record->key = text_of(graphml, record, attribute(attributes, "id"));
	if (!record->key && domain == GRAPHML_HYPEREDGE)
		record->key = text_of(graphml, record, text);
	if (!record->key && !graphml->code)
		fault_set(&record->fault, EXIT_BAD_INPUT, "a <node> has no id");
	add_soft(graphml, record, "labels", GRAPHML_LABEL,
		 attribute(attributes, "labels"));
	return KIND_RECORD;
}

static enum graphml_kind begin_edge(struct graphml *graphml,
				    const char **attributes)
{
	struct graphml_record *record = record_begin(graphml, GRAPHML_EDGE);
	const char *directed = attribute(attributes, "directed");
	int is_directed = !graphml->undirected[graphml->depth - 1];

	if (!record)
		return KIND_SKIP;
	if (directed)
		is_directed =
		    !strcmp(directed, "true") || !strcmp(directed, "1");
	record->source =
	    text_of(graphml, record, attribute(attributes, "source"));
	record->target =
	    text_of(graphml, record, attribute(attributes, "target"));
	if (!graphml->code && (!record->source || !record->target))
		fault_set(&record->fault, EXIT_BAD_INPUT, "an <edge> has no %s",
			  record->source ? "target" : "source");
	add_soft(graphml, record, "label", GRAPHML_LABEL,
		 attribute(attributes, "label"));
	add_soft(graphml, record, "id", GRAPHML_SOFT,
		 attribute(attributes, "id"));
	add_soft(graphml, record, "sourceport", GRAPHML_SOFT,
		 attribute(attributes, "sourceport"));
	add_soft(graphml, record, "targetport", GRAPHML_SOFT,
		 attribute(attributes, "targetport"));
	if (!is_directed)
		add_soft(graphml, record, "directed", GRAPHML_SOFT, "false");
	return KIND_RECORD;
}

static enum graphml_kind begin_endpoint(struct graphml *graphml,
					const char **attributes)
{
	static const char *const names[] = {"type", "port", "id"};
	struct graphml_record *record = record_last(graphml);
	const char *node = attribute(attributes, "node");
	struct cop_property properties[3] = {0};
	uint32_t count = 0;

	record_end(graphml, record);
	for (int i = 0; i < 3; i++) {
		const char *text = attribute(attributes, names[i]);

		if (!text)
			continue;
		properties[count].name = names[i];
		properties[count].name_size = strlen(names[i]);
		properties[count].value.kind = COP_STRING;
		properties[count].value.data = text;
		properties[count++].value.count = (uint32_t)strlen(text);
	}
	if (node) {
		put_bare(graphml, record, "endpoint", node, properties, count);
	} else if (!record->is_bad && !graphml->code) {
		fault_set(fault_of(graphml), EXIT_BAD_INPUT,
			  "an <endpoint> has no node");
		record_bad(graphml, record);
	}
	return KIND_GRAPHML; /* data inside of it are left out */
}

/* `name`: the key's id, of a data element or one that stands for it. */
static enum graphml_kind begin_data(struct graphml *graphml, int parent,
				    const char *name)
{
	struct graphml_record *record = record_last(graphml);

	if (parent != KIND_RECORD || !record) {
		graphml->left_out++;
		return KIND_SKIP;
	}
	text_begin(graphml, 1);
	if (!name) {
		if (!record->fault.code)
			fault_set(&record->fault, EXIT_BAD_INPUT,
				  "a <data> has no key");
		return KIND_SKIP;
	}
	if (graphml_key_find(&graphml->keys, name, record->domain,
			     &graphml->key, fault_of(graphml)))
		stop_here(graphml);
	return KIND_DATA;
}

static enum graphml_kind begin_markup(struct graphml *graphml, const char *name)
{
	size_t size = strlen(name);

	graphml->is_markup = 1;
	if (size < 5 || strcmp(name + size - 5, "Label") != 0)
		return KIND_MARKUP;
	if (!graphml->label_count++)
		graphml->size = 0;
	return graphml->label_count == 1 ? KIND_LABEL : KIND_MARKUP;
}

static enum graphml_kind begin_in_graph(struct graphml *graphml,
					const char *name,
					const char **attributes)
{
	if (!strcmp(name, "node"))
		return begin_entity(graphml, attributes, GRAPHML_NODE);
	if (!strcmp(name, "edge"))
		return begin_edge(graphml, attributes);
	if (!strcmp(name, "hyperedge"))
		return begin_entity(graphml, attributes, GRAPHML_HYPEREDGE);
	graphml->left_out += strcmp(name, "desc") != 0;
	return KIND_SKIP;
}

static enum graphml_kind begin_in_record(struct graphml *graphml,
					 const char *name,
					 const char **attributes)
{
	int domain = record_last(graphml)->domain;

	if (!strcmp(name, "desc"))
		return begin_data(graphml, KIND_RECORD, name);
	if (!strcmp(name, "graph"))
		return begin_graph(graphml, attributes);
	if (!strcmp(name, "endpoint") && domain == GRAPHML_HYPEREDGE)
		return begin_endpoint(graphml, attributes);
	graphml->left_out++;
	return KIND_SKIP;
}

static enum graphml_kind begin_element(struct graphml *graphml, int parent,
				       const char *name,
				       const char **attributes)
{
	if (parent == KIND_SKIP)
		return KIND_SKIP;
	if (parent == KIND_DATA || parent == KIND_DEFAULT ||
	    parent == KIND_MARKUP || parent == KIND_LABEL)
		return begin_markup(graphml, name);
	if (!strcmp(name, "data"))
		return begin_data(graphml, parent,
				  attribute(attributes, "key"));
	if (parent == KIND_ROOT) {
		if (strcmp(name, "graphml") != 0)
			refuse(graphml,
			       "the first element is <%.80s>, that of GraphML "
			       "is <graphml>",
			       name);
		return KIND_GRAPHML;
	}
	if (parent == KIND_GRAPH)
		return begin_in_graph(graphml, name, attributes);
	if (parent == KIND_RECORD)
		return begin_in_record(graphml, name, attributes);
	if (parent == KIND_KEY && !strcmp(name, "default")) {
		text_begin(graphml, 1);
		return KIND_DEFAULT;
	}
	if (parent == KIND_GRAPHML && graphml->depth == 2) {
		if (!strcmp(name, "key"))
			return begin_key(graphml, attributes);
		if (!strcmp(name, "graph"))
			return begin_graph(graphml, attributes);
	}
	graphml->left_out += strcmp(name, "desc") != 0;
	return KIND_SKIP;
}

static void XMLCALL on_start(void *user, const char *name,
			     const char **attributes)
{
	struct graphml *graphml = user;
	const char *colon = strrchr(name, ':');
	int parent = graphml->kinds[graphml->depth];
	enum graphml_kind kind;

	graphml->is_alive = 1;
	if (graphml->code)
		return;
	if (graphml->depth == GRAPHML_DEPTH) {
		refuse(graphml, "elements nest more than %d deep",
		       GRAPHML_DEPTH);
		return;
	}
	graphml->depth++;
	kind = begin_element(graphml, parent, colon ? colon + 1 : name,
			     attributes);
	graphml->kinds[graphml->depth] = (unsigned char)kind;
}

/* ---- elements that end -------------------------------------------------- */

/* The text of data: of their label if they have elements. */
static void end_data(struct graphml *graphml)
{
	struct graphml_record *record = record_last(graphml);
	struct fault *fault = fault_of(graphml);

	if (!graphml->is_markup) {
		if (graphml_item_add(&graphml->keys, record, graphml->key,
				     graphml->text ? graphml->text : "",
				     graphml->size, GRAPHML_DATA, fault))
			stop_here(graphml);
	} else if (graphml->label_count && graphml->text) {
		size_t begin = 0, end = graphml->size;

		while (begin < end && strchr(" \t\r\n", graphml->text[begin]))
			begin++;
		while (end > begin && strchr(" \t\r\n", graphml->text[end - 1]))
			end--;
		graphml->text[end] = '\0';
		if (end > begin)
			add_soft(graphml, record, "label", GRAPHML_SOFT,
				 graphml->text + begin);
	} else {
		graphml->left_out++;
	}
}

static void end_default(struct graphml *graphml)
{
	struct graphml_key *key = &graphml->keys.items[graphml->keys.count - 1];

	if (graphml->is_markup)
		return;
	free(key->preset);
	key->preset_size = graphml->size;
	key->preset =
	    strndup(graphml->text ? graphml->text : "", graphml->size);
	if (!key->preset) {
		fault_set(fault_of(graphml), EXIT_NO_SPACE, "out of memory");
		stop_here(graphml);
	}
}

static void XMLCALL on_end(void *user, const char *name)
{
	struct graphml *graphml = user;

	(void)name;
	graphml->is_alive = 1;
	if (graphml->code)
		return;
	switch (graphml->kinds[graphml->depth]) {
	case KIND_DATA: end_data(graphml); break;
	case KIND_DEFAULT: end_default(graphml); break;
	case KIND_RECORD:
		record_end(graphml, record_last(graphml));
		graphml->record_count--;
		break;
	default: break;
	}
	graphml->depth--;
}

/* ---- all else ----------------------------------------------------------- */

/* Room for `size` more bytes of text and a NUL. */
static int text_room(struct graphml *graphml, size_t size)
{
	size_t room = graphml->room ? graphml->room : 4096;
	char *text;

	if (graphml->size + size > GRAPHML_TEXT_BYTES) {
		refuse(graphml, "the text of an element is longer than 64 MiB");
		return 1;
	}
	while (room <= graphml->size + size)
		room *= 2;
	if (room == graphml->room)
		return 0;
	text = realloc(graphml->text, room);
	if (!text) {
		fault_set(fault_of(graphml), EXIT_NO_SPACE, "out of memory");
		stop_here(graphml);
		return 1;
	}
	graphml->text = text;
	graphml->room = room;
	return 0;
}

static void XMLCALL on_text(void *user, const char *text, int size)
{
	struct graphml *graphml = user;
	int kind = graphml->kinds[graphml->depth];

	graphml->is_alive = 1;
	if (graphml->code ||
	    (kind != KIND_LABEL && kind != KIND_DATA && kind != KIND_DEFAULT))
		return;
	if (kind != KIND_LABEL && graphml->is_markup)
		return; /* white space between elements */
	if (text_room(graphml, (size_t)size))
		return;
	memcpy(graphml->text + graphml->size, text, (size_t)size);
	graphml->size += (size_t)size;
}

static void XMLCALL on_other(void *user, const char *text, int size)
{
	(void)text;
	(void)size;
	((struct graphml *)user)->is_alive = 1;
}

static void XMLCALL on_doctype(void *user, const char *name, const char *system,
			       const char *public, int has_more)
{
	struct graphml *graphml = user;

	(void)name;
	(void)system;
	(void)public;
	(void)has_more;
	refuse(graphml, "the file has a DOCTYPE, which is not read: it could "
			"name other files, and texts that grow. Take it out "
			"of the file");
}

/* ---- the file ----------------------------------------------------------- */

static int graphml_error(struct graphml *graphml)
{
	XML_Parser parser = graphml->parser;
	enum XML_Error error = XML_GetErrorCode(parser);

	if (graphml->code)
		return graphml->code;
	return fault_set(
	    fault_of(graphml),
	    error == XML_ERROR_NO_MEMORY ? EXIT_NO_SPACE : EXIT_BAD_INPUT,
	    "%s:%llu: no valid XML at column %llu: %s%s",
	    graphml->import->reader.name,
	    (unsigned long long)XML_GetCurrentLineNumber(parser),
	    (unsigned long long)XML_GetCurrentColumnNumber(parser) + 1,
	    XML_ErrorString(error),
	    error == XML_ERROR_NO_ELEMENTS || error == XML_ERROR_UNCLOSED_TOKEN
		? "; is the file complete?"
		: "");
}

static int graphml_read(struct graphml *graphml)
{
	struct reader *reader = &graphml->import->reader;
	struct fault *fault = fault_of(graphml);
	size_t size, silent = 0;
	const unsigned char *data;

	do {
		if (reader_need(reader, 1, fault))
			return fault->code;
		size = reader_peek(reader, &data);
		if (size > GRAPHML_PIECE_BYTES)
			size = GRAPHML_PIECE_BYTES;
		graphml->is_alive = 0;
		if (XML_Parse(graphml->parser, (const char *)data, (int)size,
			      size == 0) != XML_STATUS_OK)
			return graphml_error(graphml);
		reader_take(reader, size);
		silent = graphml->is_alive ? 0 : silent + size;
		if (silent > GRAPHML_TAG_BYTES) {
			refuse(graphml, "a tag or a comment is longer than "
					"4 MiB");
			return fault->code;
		}
	} while (size);
	return 0;
}

static XML_Parser graphml_parser(struct graphml *graphml)
{
	XML_Parser parser = XML_ParserCreate(NULL);

	if (!parser)
		return NULL;
	XML_SetUserData(parser, graphml);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetStartDoctypeDeclHandler(parser, on_doctype);
	XML_SetDefaultHandler(parser, on_other);
	return parser;
}

static void graphml_release(struct graphml *graphml)
{
	for (int i = 0; i < GRAPHML_RECORDS; i++) {
		scratch_release(&graphml->records[i].scratch);
		free(graphml->records[i].items);
	}
	XML_ParserFree(graphml->parser);
	graphml_keys_release(&graphml->keys);
	parallel_release(&graphml->parallel);
	free(graphml->text);
	free(graphml);
}

int graphml_import(struct import *import)
{
	struct graphml *graphml = calloc(1, sizeof *graphml);
	char text[64];
	int code;

	if (!graphml)
		return fault_errno(&import->cli->fault, import->reader.name,
				   ENOMEM);
	graphml->import = import;
	graphml->keys.type_name = import->type_key;
	graphml->keys.relation_name = import->relation_key;
	graphml->parser = graphml_parser(graphml);
	code = graphml->parser ? graphml_read(graphml)
			       : fault_errno(&import->cli->fault,
					     import->reader.name, ENOMEM);
	if (!code && graphml->left_out && !import->cli->quiet)
		fault_note("%s: left out %s that are no data of a node or an "
			   "edge",
			   import->reader.name,
			   words_things(text, graphml->left_out, "element",
					"elements"));
	graphml_release(graphml);
	return code;
}
