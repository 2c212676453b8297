/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neighbors: the edges of an entity, one a line, and who is at their other end.
 *
 * layout of the text
 *	relation -> KEY <tab> label      an edge that goes out
 *	relation <- KEY <tab> label      one that comes in
 */
#include "out.h"
#include "step.h"
#include "verbs.h"

#include <stdlib.h>

enum {
	NEIGHBORS_RELATION = ARG_OWN,
	NEIGHBORS_DIRECTION,
	NEIGHBORS_LIMIT,
	NEIGHBORS_COUNT
};
enum { NEIGHBORS_MOST = 1000, NEIGHBORS_LIMIT_MAX = 100000000 };

static const struct arg_row neighbors_rows[] = {
    {NEIGHBORS_RELATION, "relation", "NAME", "only edges of this relation"},
    {NEIGHBORS_DIRECTION, "direction", "out|in|both",
     "of edges (default: both)"},
    {NEIGHBORS_LIMIT, "limit", "N", "at most so many (default: 1000)"},
    {NEIGHBORS_COUNT, "count", NULL, "print how many there are, nothing else"},
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct neighbors {
	struct cli *cli;
	const char *relation;
	int32_t direction;
	int json;
	uint64_t id;
	size_t limit;
	size_t count; /* all there are */
	struct cop_neighbor *list;
};

static int neighbors_option(struct neighbors *wanted, int id)
{
	struct cli *cli = wanted->cli;
	uint64_t number;

	switch (id) {
	case NEIGHBORS_RELATION: wanted->relation = cli->value; break;
	case NEIGHBORS_DIRECTION: wanted->direction = step_way(cli); break;
	case NEIGHBORS_LIMIT:
		if (!args_u64(cli, 1, NEIGHBORS_LIMIT_MAX, &number))
			wanted->limit = (size_t)number;
		break;
	case NEIGHBORS_COUNT: wanted->limit = 0; break;
	default: wanted->json = 1; break;
	}
	return cli->fault.code;
}

static cop_err neighbor_json(cop_read *read, const struct cop_neighbor *one)
{
	cop_err err;

	fputs("{\"relation\":", stdout);
	err = out_name_json(read, one->relation);
	printf(",\"direction\":\"%s\",",
	       one->direction == COP_OUT ? "out" : "in");
	if (!err)
		err = out_key_json(read, "key", one->id);
	if (!err)
		err = out_label_json(read, one->id);
	fputs("}\n", stdout);
	return err;
}

static cop_err neighbors_print(const struct neighbors *wanted)
{
	size_t shown =
	    wanted->count < wanted->limit ? wanted->count : wanted->limit;
	cop_read *read = wanted->cli->read;
	cop_err err = 0;

	if (!wanted->limit)
		printf("%zu\n", wanted->count);
	for (size_t i = 0; !err && i < shown && !out_failed(); i++) {
		const struct cop_neighbor *one = &wanted->list[i];
		/* as a walk's step after the first */
		struct cop_step step = {.id = one->id,
					.relation = one->relation,
					.hops = 1,
					.direction = one->direction};

		err = wanted->json ? neighbor_json(read, one)
				   : step_text(read, &step);
	}
	return err;
}

static int neighbors_go(struct neighbors *wanted)
{
	struct cli *cli = wanted->cli;
	cop_err err;

	if (wanted->limit) {
		wanted->list = calloc(wanted->limit, sizeof *wanted->list);
		if (!wanted->list)
			return fault_set(&cli->fault, EXIT_NO_SPACE,
					 "out of memory");
	}
	err = cop_neighbors(cli->read, wanted->id, wanted->relation,
			    wanted->direction, wanted->list, wanted->limit,
			    &wanted->count);
	if (!err)
		err = neighbors_print(wanted);
	if (err)
		return cli_cop(cli, err);
	if (wanted->limit && wanted->count > wanted->limit && !cli->quiet)
		fault_note("there are %zu: cut off after %zu (--limit)",
			   wanted->count, wanted->limit);
	return wanted->count ? 0 : EXIT_NO_RESULT;
}

static int neighbors_run(struct cli *cli)
{
	struct neighbors wanted = {
	    .cli = cli, .direction = COP_BOTH, .limit = NEIGHBORS_MOST};
	int code, id;

	while ((id = args_next(cli)) > 0)
		if (neighbors_option(&wanted, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (args_given(cli, NEIGHBORS_LIMIT) &&
	    args_given(cli, NEIGHBORS_COUNT))
		return args_fault(cli, "--count prints none that --limit could "
				       "cut off");
	code = cli_open_read(cli);
	if (!code)
		code = cli_entity(cli, cli->operands[0], &wanted.id);
	if (!code)
		code = neighbors_go(&wanted);
	free(wanted.list);
	return code;
}

const struct verb verb_neighbors = {
    .name = "neighbors",
    .operands = "KEY",
    .summary = "print an entity's edges",
    .rows = neighbors_rows,
    .operand_min = 1,
    .operand_max = 1,
    .run = neighbors_run,
};
