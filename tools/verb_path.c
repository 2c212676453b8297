/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: a shortest or cheapest path from one entity to another, or all short
 * ones.
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

enum {
	PATH_HOPS = ARG_OWN,
	PATH_RELATION,
	PATH_DIRECTION,
	PATH_WEIGHT,
	PATH_ALL,
	PATH_LIMIT
};
enum { PATH_STEPS = 1000, PATH_MOST = 1000 };

static const struct arg_row path_rows[] = {
    {PATH_HOPS, "hops", "N", "at most so many edges (default: any number)"},
    {PATH_RELATION, "relation", "NAME", "only over edges of this relation"},
    {PATH_DIRECTION, "direction", "out|in|both", "of each edge (default: out)"},
    {PATH_WEIGHT, "weight", "NAME",
     "the cheapest path by this property of edges, 1 without it"},
    {PATH_ALL, "all", NULL, "all paths of up to --hops edges"},
    {PATH_LIMIT, "limit", "N", "at most so many of all (default: 1000)"},
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct path {
	struct cli *cli;
	struct cop_path path;
	int json;
	int all;
	uint64_t limit;
	uint64_t found; /* of all */
	double cost;
	struct cop_step *steps;
	size_t count;
	cop_err err; /* from inside a visit */
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
	case PATH_WEIGHT: path->path.weight = cli->value; break;
	case PATH_ALL: path->all = 1; break;
	case PATH_LIMIT: return args_u64(cli, 1, UINT64_MAX, &path->limit);
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

static cop_err path_print(const struct path *path, cop_read *read,
			  const struct cop_step *steps, size_t count)
{
	cop_err err = 0;

	for (size_t i = 0; !err && i < count && !out_failed(); i++)
		err = path->json ? step_json(read, steps, i)
				 : step_text(read, &steps[i]);
	return err;
}

static int path_go(struct path *path)
{
	struct cli *cli = path->cli;
	cop_err err = path_find(path);

	if (!err)
		err = path_print(path, cli->read, path->steps, path->count);
	if (err)
		return cli_cop(cli, err);
	if (path->count && path->path.weight && !cli->quiet)
		fault_note("cost: %.9g", path->cost);
	return path->count ? 0 : EXIT_NO_RESULT;
}

/* One of all: an empty line between two, for a person. */
static int32_t path_one(void *user, cop_read *read,
			const struct cop_step *steps, size_t count)
{
	struct path *path = user;

	if (path->found == path->limit) {
		if (!path->cli->quiet)
			fault_note("there are more: cut off after %llu "
				   "(--limit)",
				   (unsigned long long)path->limit);
		return 1;
	}
	if (path->found++ && !path->json)
		putchar('\n');
	path->err = path_print(path, read, steps, count);
	return path->err != 0 || out_failed();
}

static int path_all(struct path *path)
{
	struct cli *cli = path->cli;
	cop_err err = cop_paths(cli->read, &path->path, path_one, path);

	if (err == COP_STOPPED)
		err = path->err;
	if (err)
		return cli_cop(cli, err);
	return path->found ? 0 : EXIT_NO_RESULT;
}

static int path_options_check(struct cli *cli, const struct path *path)
{
	if (path->path.weight && (path->all || path->path.hops))
		return args_fault(cli, "--weight goes with neither --all nor "
				       "--hops");
	if (path->all && (!path->path.hops || path->path.hops > COP_HOPS_MAX))
		return args_fault(cli, "--all needs --hops=N, 1 to %d",
				  COP_HOPS_MAX);
	return args_needs(cli, PATH_LIMIT, PATH_ALL);
}

static int path_run(struct cli *cli)
{
	struct path path;
	int code, id;

	memset(&path, 0, sizeof path);
	path.cli = cli;
	path.path.size = sizeof path.path;
	path.path.cost = &path.cost;
	path.limit = PATH_MOST;
	while ((id = args_next(cli)) > 0)
		if (path_option(&path, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli) || path_options_check(cli, &path))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (!code)
		code = cli_entity(cli, cli->operands[0], &path.path.source);
	if (!code)
		code = cli_entity(cli, cli->operands[1], &path.path.target);
	if (!code)
		code = path.all ? path_all(&path) : path_go(&path);
	free(path.steps);
	return code;
}

const struct verb verb_path = {
    .name = "path",
    .operands = "KEY KEY",
    .summary = "print a shortest path, the cheapest, or all short ones",
    .rows = path_rows,
    .operand_min = 2,
    .operand_max = 2,
    .run = path_run,
};
