/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dot: a picture of a graph, or of a part of it, for Graphviz: keys, types as
 * classes, relations as labels.  A picture has nothing else, so that nothing
 * counts as left out.
 */
#include "export.h"
#include "out.h"

#include <stdio.h>

static void quoted(const void *data, size_t size)
{
	const char *text = data;

	putchar('"');
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"' || text[i] == '\\')
			putchar('\\');
		putchar(text[i]);
	}
	putchar('"');
}

static cop_err name_write(cop_read *read, const char *what, uint32_t name)
{
	cop_err err;

	printf(" [%s=", what);
	err = export_name(read, name, quoted);
	putchar(']');
	return err;
}

static cop_err entity_write(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	cop_err err = 0;

	run->entities++;
	putchar('\t');
	quoted(entity->key, entity->key_size);
	if (entity->type)
		err = name_write(read, "class", entity->type);
	puts(";");
	return err;
}

static cop_err edge_write(struct exporter *run, cop_read *read,
			  const struct cop_edge *edge)
{
	cop_err err;

	run->edges++;
	putchar('\t');
	err = export_key(read, edge->source, quoted);
	fputs(" -> ", stdout);
	if (!err)
		err = export_key(read, edge->target, quoted);
	if (!err)
		err = name_write(read, "label", edge->relation);
	puts(";");
	return err;
}

int export_dot(struct exporter *run)
{
	int code = export_begin(run, "");

	if (code)
		return code;
	puts("digraph {");
	code = export_entities(run, entity_write);
	if (!code)
		code = export_edges(run, edge_write);
	puts("}");
	return export_end(run, code);
}
