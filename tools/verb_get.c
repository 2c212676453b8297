/* SPDX-License-Identifier: Apache-2.0 */
/*
 * get: entities by key.
 *
 * idea
 *	For a person by default, a block of lines an entity; with --json the
 *	lines that import reads.  A key that is not there is said on stderr and
 *	makes the exit status 1; the others are printed all the same.
 */
#include "out.h"
#include "verbs.h"

#include <string.h>

enum { GET_VECTOR = ARG_OWN, GET_EDGES, GET_VERSION };

static const struct arg_row get_rows[] = {
    {GET_VECTOR, "vector", NULL, "with the vector"},
    {GET_EDGES, "edges", NULL, "with the edges, out and in"},
    {GET_VERSION, "versions", NULL, "with the commit that wrote it"},
    ARG_AS_OF_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct get {
	struct cli *cli;
	int parts; /* enum out_parts */
	int json;
};

static void get_field(const char *name, size_t size)
{
	int room = size < 12 ? 12 - (int)size : 0;

	fputs("  ", stdout);
	out_plain(name, size);
	printf("%*s", room + 1, "");
}

static cop_err get_properties(cop_read *read, const struct cop_entity *entity)
{
	for (uint32_t i = 0; i < entity->property_count; i++) {
		struct cop_value value;
		const char *name;
		size_t size;
		cop_err err;

		err = cop_entity_property_at(read, entity, i, &name, &size,
					     &value);
		if (err)
			return err;
		get_field(name, size);
		if (value.kind == COP_STRING)
			out_plain(value.data, value.count);
		else
			err = out_value(&value);
		if (err)
			return err;
		putchar('\n');
	}
	return 0;
}

static cop_err get_tags(cop_read *read, const struct cop_entity *entity)
{
	if (!entity->tag_count)
		return 0;
	get_field("tags", 4);
	for (uint32_t i = 0; i < entity->tag_count; i++) {
		const char *tag;
		size_t size;
		cop_err err = cop_entity_tag(read, entity, i, &tag, &size);

		if (err)
			return err;
		fputs(i ? ", " : "", stdout);
		out_plain(tag, size);
	}
	putchar('\n');
	return 0;
}

static cop_err get_content(cop_read *read, const struct cop_entity *entity)
{
	const void *data;
	size_t size;
	cop_err err = cop_entity_content(read, entity, &data, &size);

	if (err || !size)
		return err;
	get_field("content", 7);
	out_plain(data, size);
	putchar('\n');
	return 0;
}

static cop_err get_vector(struct cli *cli, const struct cop_entity *entity)
{
	const float *vector;
	cop_err err = cop_vector(cli->read, entity->id, &vector);

	if (err || !vector)
		return err;
	get_field("vector", 6);
	out_vector(vector, cop_dim(cli->store));
	putchar('\n');
	return 0;
}

static int32_t get_edge_out(void *user, cop_read *read,
			    const struct cop_edge *edge)
{
	cop_err *err = user;

	fputs("  -> ", stdout);
	*err = out_name_text(read, edge->relation);
	putchar(' ');
	if (!*err)
		*err = out_key_text(read, edge->target);
	if (!*err)
		*err = out_label_text(read, edge->target);
	putchar('\n');
	return *err != 0 || out_failed();
}

static int32_t get_edge_in(void *user, cop_read *read,
			   const struct cop_edge *edge)
{
	cop_err *err = user;

	fputs("  <- ", stdout);
	*err = out_name_text(read, edge->relation);
	putchar(' ');
	if (!*err)
		*err = out_key_text(read, edge->source);
	if (!*err)
		*err = out_label_text(read, edge->source);
	putchar('\n');
	return *err != 0 || out_failed();
}

static int32_t get_edge_json(void *user, cop_read *read,
			     const struct cop_edge *edge)
{
	cop_err *err = user;

	*err = out_edge(read, edge);
	return *err != 0 || out_failed();
}

static cop_err get_edges(const struct get *get, uint64_t id)
{
	cop_read *read = get->cli->read;
	cop_err inner = 0, err;

	err = cop_edges(read, id, COP_OUT,
			get->json ? get_edge_json : get_edge_out, &inner);
	if (!err)
		err =
		    cop_edges(read, id, COP_IN,
			      get->json ? get_edge_json : get_edge_in, &inner);
	return err == COP_STOPPED ? inner : err;
}

static cop_err get_text(const struct get *get, const struct cop_entity *entity)
{
	cop_read *read = get->cli->read;
	cop_err err = 0;

	out_plain(entity->key, entity->key_size);
	putchar('\n');
	if (entity->type) {
		get_field("type", 4);
		err = out_name_text(read, entity->type);
		putchar('\n');
	}
	if (!err)
		err = get_tags(read, entity);
	if (!err)
		err = get_properties(read, entity);
	if (!err)
		err = get_content(read, entity);
	if (!err && get->parts & OUT_VECTOR)
		err = get_vector(get->cli, entity);
	if (!err && get->parts & OUT_VERSION) {
		get_field("version", 7);
		printf("%llu\n", (unsigned long long)entity->version);
	}
	return err;
}

/* Returns an exit status; 1 if the key is not there. */
static int get_one(const struct get *get, const char *key)
{
	struct cli *cli = get->cli;
	struct cop_entity entity;
	cop_err err;

	err = cop_get(cli->read, key, strlen(key), &entity);
	if (err)
		return cli_cop(cli, err);
	if (!entity.id) {
		if (!cli->quiet)
			fault_note("there is no entity '%s'", key);
		return EXIT_NO_RESULT;
	}
	if (get->json)
		err = out_entity(cli->store, cli->read, &entity, get->parts);
	else
		err = get_text(get, &entity);
	if (!err && get->parts & OUT_EDGES)
		err = get_edges(get, entity.id);
	return err ? cli_cop(cli, err) : 0;
}

static int get_run(struct cli *cli)
{
	struct get get = {.cli = cli};
	int code, result = 0, id;

	while ((id = args_next(cli)) > 0) {
		switch (id) {
		case ARG_JSON: get.json = 1; break;
		case GET_VECTOR: get.parts |= OUT_VECTOR; break;
		case GET_EDGES: get.parts |= OUT_EDGES; break;
		default: get.parts |= OUT_VERSION;
		}
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	for (int i = 0; !code && i < cli->operand_count; i++) {
		if (out_failed())
			break;
		code = get_one(&get, cli->operands[i]);
		if (code == EXIT_NO_RESULT) {
			result = code;
			code = 0;
		}
	}
	return code ? code : result;
}

const struct verb verb_get = {
    .name = "get",
    .operands = "KEY...",
    .summary = "print entities by key",
    .rows = get_rows,
    .operand_min = 1,
    .operand_max = -1,
    .run = get_run,
};
