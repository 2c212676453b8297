/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graphml: nodes and edges with typed keys, as Gephi, NetworkX and yEd read it.
 *
 * layout
 *	A node's id is its key.  `labels` is ":TYPE:TAG..", an edge's `label`,
 *	data and attribute, its relation, as Neo4j's tools have it.  Labels that
 *	would be read as others, for there is no type or one has a colon, are an
 *	array in JSON.  Properties are keys of their own names, lists and maps
 *	as JSON.  Content is `content`.
 *
 * limits
 *	Vectors are left out, and so are, counted, validities and
 *	characters that XML cannot have; entities that have one in their key are
 *	left out themselves, with their edges.  Lists and maps come back as
 *	texts.
 */
#include "export.h"
#include "graphml.h"
#include "out.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct exporter *current;
static struct {
	int is_array;  /* in JSON */
	int is_needed; /* of those who have none, too */
} labels;

/* The bytes of a character; *fits: XML can have it. */
static size_t xml_char(const unsigned char *text, size_t size, int *fits)
{
	size_t bytes = words_utf8_char(text, size);

	*fits = bytes && (*text >= ' ' || strchr("\t\n\r", *text)) && *text &&
		(bytes != 3 || (memcmp(text, "\xef\xbf\xbe", 3) != 0 &&
				memcmp(text, "\xef\xbf\xbf", 3) != 0));
	return bytes ? bytes : 1;
}

/* A key cannot be changed: it would be another one. */
static int key_fits(const void *key, size_t size)
{
	const unsigned char *text = key;
	int fits = 1;

	for (size_t i = 0; i < size && fits;)
		i += xml_char(text + i, size - i, &fits);
	return fits;
}

static void xml(const void *data, size_t size)
{
	const unsigned char *text = data;
	size_t bytes;
	int fits;

	for (size_t i = 0; i < size; i += bytes) {
		bytes = xml_char(text + i, size - i, &fits);
		if (!fits) {
			current->left_out++;
			fputs("\xef\xbf\xbd", stdout);
			continue;
		}
		switch (text[i]) {
		case '&': fputs("&amp;", stdout); break;
		case '<': fputs("&lt;", stdout); break;
		case '>': fputs("&gt;", stdout); break;
		case '"': fputs("&quot;", stdout); break;
		case '\n':
		case '\r':
		case '\t': printf("&#%u;", (unsigned)text[i]); break;
		default: fwrite(text + i, 1, bytes, stdout);
		}
	}
}

static const char *type_word(const struct export_field *field)
{
	switch (export_kind_of(field->kinds)) {
	case COP_BOOL: return "boolean";
	case COP_INT: return "long";
	case COP_FLOAT: return "double";
	default: return "string";
	}
}

static void keys_write(const struct exporter *run)
{
	for (size_t i = 0; i < run->fields.count; i++) {
		const struct export_field *field = &run->fields.fields[i];

		printf("  <key id=\"p%zu\" for=\"%s\" attr.name=\"", i,
		       field->of_edges ? "edge" : "node");
		xml(field->name, field->size);
		printf("\" attr.type=\"%s\"/>\n", type_word(field));
	}
}

static cop_err property_write(struct exporter *run, const char *name,
			      size_t size, const struct cop_value *value)
{
	const struct export_field *field =
	    export_field_find(&run->fields, name, size, run->of_edges);
	cop_err err = 0;

	if (!field || value->kind == COP_NULL)
		return 0;
	printf("      <data key=\"p%zu\">",
	       (size_t)(field - run->fields.fields));
	err = export_plain(value, xml);
	fputs("</data>\n", stdout);
	return err;
}

static cop_err label_judge(struct exporter *run, const char *text, size_t size,
			   int is_type)
{
	(void)run;
	labels.is_array |= memchr(text, ':', size) || (is_type && !size);
	return 0;
}

static cop_err label_write(struct exporter *run, const char *text, size_t size,
			   int is_type)
{
	struct cop_value value = {
	    .kind = COP_STRING, .data = text, .count = (uint32_t)size};

	(void)run;
	if (!labels.is_array) {
		putchar(':');
		xml(text, size);
		return 0;
	}
	putchar(is_type ? '[' : ',');
	return export_json(&value, xml);
}

static cop_err labels_write(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	uint64_t left_out = run->left_out;
	cop_err err;

	if (!entity->type && !entity->tag_count && !labels.is_needed)
		return 0;
	labels.is_array = 0;
	err = export_labels(run, read, entity, label_judge);
	run->left_out = left_out; /* what is counted once more now */
	fputs("      <data key=\"labels\">", stdout);
	if (!err)
		err = export_labels(run, read, entity, label_write);
	fputs(labels.is_array ? "]</data>\n" : "</data>\n", stdout);
	return err;
}

/* Whether some property would tell the type of who has no labels. */
static int has_type_field(const struct export_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++)
		if (!fields->fields[i].of_edges &&
		    graphml_tells_type(fields->fields[i].name))
			return 1;
	return 0;
}

static cop_err content_write(struct exporter *run, cop_read *read,
			     const struct cop_entity *entity)
{
	const void *data;
	size_t size;
	cop_err err = out_content(read, entity, &data, &size);

	if (err || !data || !size) {
		run->left_out += !err && size;
		return err;
	}
	fputs("      <data key=\"content\">", stdout);
	xml(data, size);
	fputs("</data>\n", stdout);
	return 0;
}

static cop_err entity_write(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	cop_err err;

	run->entities++;
	run->of_edges = 0;
	fputs("    <node id=\"", stdout);
	xml(entity->key, entity->key_size);
	fputs("\">\n", stdout);
	err = labels_write(run, read, entity);
	if (!err)
		err =
		    export_entity_properties(run, read, entity, property_write);
	if (!err)
		err = content_write(run, read, entity);
	fputs("    </node>\n", stdout);
	return err;
}

static cop_err end_write(cop_read *read, const char *name, uint64_t id)
{
	cop_err err;

	printf(" %s=\"", name);
	err = export_key(read, id, xml);
	putchar('"');
	return err;
}

static cop_err edge_write(struct exporter *run, cop_read *read,
			  const struct cop_edge *edge)
{
	cop_err err;

	run->edges++;
	run->of_edges = 1;
	fputs("    <edge", stdout);
	err = end_write(read, "source", edge->source);
	if (!err)
		err = end_write(read, "target", edge->target);
	fputs(" label=\"", stdout);
	if (!err)
		err = export_name(read, edge->relation, xml);
	fputs("\">\n      <data key=\"label\">", stdout);
	if (!err)
		err = export_name(read, edge->relation, xml);
	fputs("</data>\n", stdout);
	if (!err && edge->discriminator)
		printf("      <data key=\"discriminator\">%" PRIu32 "</data>\n",
		       edge->discriminator);
	if (!err)
		err = export_edge_properties(run, read, edge, property_write);
	fputs("    </edge>\n", stdout);
	return err;
}

int export_graphml(struct exporter *run)
{
	static const char *const of_entity[] = {"content", "labels", NULL};
	static const char *const of_edge[] = {"label", "discriminator", NULL};
	int code;

	current = run;
	run->taken[0] = of_entity;
	run->taken[1] = of_edge;
	run->key_fits = key_fits;
	code = export_survey(run);
	labels.is_needed = has_type_field(&run->fields);
	if (!code)
		code = export_begin(run, "");
	if (code)
		return code;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	      "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
	      "  <key id=\"labels\" for=\"node\" attr.name=\"labels\" "
	      "attr.type=\"string\"/>\n"
	      "  <key id=\"content\" for=\"node\" attr.name=\"content\" "
	      "attr.type=\"string\"/>\n"
	      "  <key id=\"label\" for=\"edge\" attr.name=\"label\" "
	      "attr.type=\"string\"/>\n"
	      "  <key id=\"discriminator\" for=\"edge\" "
	      "attr.name=\"discriminator\" attr.type=\"long\"/>\n",
	      stdout);
	keys_write(run);
	fputs("  <graph id=\"G\" edgedefault=\"directed\">\n", stdout);
	code = export_entities(run, entity_write);
	if (!code)
		code = export_edges(run, edge_write);
	fputs("  </graph>\n</graphml>\n", stdout);
	return export_end(run, code);
}
