/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: a shortest path from one entity to another.
 *
 * layout of the text
 *	KEY <tab> label
 *	relation -> KEY <tab> label      over an edge that goes out
 *	relation <- KEY <tab> label      over one that comes in
 */
#include "out.h"
#include "step.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_HOPS = ARG_OWN, PATH_RELATION, PATH_DIRECTION };
enum { PATH_STEPS = 1000 };

static const struct arg_row path_rows[] = {
    {PATH_HOPS, "hops", "N", "at most so many edges (default: any number)"},
    {PATH_RELATION, "relation", "NAME", "only over edges of this relation"},
    {PATH_DIRECTION, "direction", "WAY",
     "of each edge: out (default), in, both"},
    ARG_AS_OF_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct path {
	struct cli *cli;
	struct cop_path path;
	int json;
	struct cop_step *steps;
	size_t count;
};

static int path_option(struct path *path, int id)
{
	struct cli *cli = path->cli;
	uint64_t number;

	switch (id) {
	case PATH_HOPS:
		if (!args_u64(cli, 1, UINT32_MAX, &number))
			path->path.hops = (uint32_t)number;
		break;
	case PATH_RELATION: path->path.relation = cli->value; break;
	case PATH_DIRECTION: path->path.direction = step_way(cli); break;
	default: path->json = 1; break;
	}
	return cli->fault.code;
}

/* Once more with room for all, if the first time there was not. */
static cop_err path_find(struct path *path)
{
	size_t room = PATH_STEPS;
	cop_err err;

	do {
		free(path->steps);
		if (path->count > room)
			room = path->count;
		path->steps = calloc(room, sizeof *path->steps);
		if (!path->steps)
			return COP_NO_SPACE;
		err = cop_path(path->cli->read, &path->path, path->steps, room,
			       &path->count);
	} while (!err && path->count > room);
	return err;
}

static int path_go(struct path *path)
{
	struct cli *cli = path->cli;
	cop_err err = path_find(path);

	for (size_t i = 0; !err && i < path->count && !out_failed(); i++)
		err = path->json ? step_json(cli->read, path->steps, i)
				 : step_text(cli->read, &path->steps[i]);
	if (err)
		return cli_cop(cli, err);
	return path->count ? 0 : EXIT_NO_RESULT;
}

static int path_run(struct cli *cli)
{
	struct path path;
	int code, id;

	memset(&path, 0, sizeof path);
	path.cli = cli;
	path.path.size = sizeof path.path;
	while ((id = args_next(cli)) > 0)
		if (path_option(&path, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (!code)
		code = cli_entity(cli, cli->operands[0], &path.path.source);
	if (!code)
		code = cli_entity(cli, cli->operands[1], &path.path.target);
	if (!code)
		code = path_go(&path);
	free(path.steps);
	return code;
}

const struct verb verb_path = {
    .name = "path",
    .operands = "KEY KEY",
    .summary = "print a shortest path from one entity to another",
    .rows = path_rows,
    .operand_min = 2,
    .operand_max = 2,
    .run = path_run,
};
