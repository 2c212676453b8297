/* SPDX-License-Identifier: Apache-2.0 */
/*
 * get: entities by key.
 *
 * idea
 *	For a person by default, a block of lines an entity; with --json the
 *	lines that import reads.  A key that is not there is said on stderr and
 *	makes the exit status 1; the others are printed all the same.
 */
#include "entity_text.h"
#include "out.h"
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

enum { GET_VECTOR = ARG_OWN, GET_EDGES, GET_VERSION };

static const struct arg_row get_rows[] = {
    {GET_VECTOR, "vector", NULL, "with the vector"},
    {GET_EDGES, "edges", NULL, "with the edges, out and in"},
    {GET_VERSION, "versions", NULL, "with the commit that wrote it"},
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct get {
	struct cli *cli;
	int parts; /* enum out_parts */
	int json;
};

/* "  -> knows grace", and what tells it apart, if anything does. */
static int32_t get_edge_text(cop_err *err, cop_read *read,
			     const struct cop_edge *edge, const char *arrow,
			     uint64_t other)
{
	fputs(arrow, stdout);
	*err = out_name_text(read, edge->relation);
	putchar(' ');
	if (!*err)
		*err = out_key_text(read, other);
	if (!*err)
		*err = out_label_text(read, other);
	if (edge->discriminator)
		printf(" [%" PRIu32 "]", edge->discriminator);
	entity_text_valid(&edge->valid);
	putchar('\n');
	return *err != 0 || out_failed();
}

static int32_t get_edge_out(void *user, cop_read *read,
			    const struct cop_edge *edge)
{
	return get_edge_text(user, read, edge, "  -> ", edge->target);
}

static int32_t get_edge_in(void *user, cop_read *read,
			   const struct cop_edge *edge)
{
	return get_edge_text(user, read, edge, "  <- ", edge->source);
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
		err = entity_text(cli->store, cli->read, &entity, get->parts);
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
