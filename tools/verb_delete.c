/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete: entities with their edges, or one edge.
 *
 * idea
 *	One commit, whose number is printed.  If nothing of what was named was
 *	there, nothing is printed and the exit status is 1.
 */
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DELETE_EDGE = ARG_OWN, DELETE_DISCRIMINATOR };

static const struct arg_row delete_rows[] = {
    {DELETE_EDGE, "edge", NULL, "operands are SOURCE RELATION TARGET"},
    {DELETE_DISCRIMINATOR, "discriminator", "N",
     "the edge with this one (default: 0)"},
    ARG_END,
};

static cop_err delete_edge(struct cli *cli, uint32_t discriminator)
{
	char **word = cli->operands;
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = word[0],
				    .source_size = strlen(word[0]),
				    .relation = word[1],
				    .relation_size = strlen(word[1]),
				    .target = word[2],
				    .target_size = strlen(word[2]),
				    .discriminator = discriminator};

	return cop_unlink(cli->write, &edge);
}

static cop_err delete_entities(struct cli *cli)
{
	for (int i = 0; i < cli->operand_count; i++) {
		const char *key = cli->operands[i];
		cop_err err = cop_delete(cli->write, key, strlen(key));

		if (err)
			return err;
	}
	return 0;
}

static int delete_commit(struct cli *cli)
{
	struct cop_result result = {.size = sizeof result};
	cop_err err = cop_commit(cli->write, &result);

	if (err)
		return cli_cop(cli, err);
	if (result.entities_deleted == 0 && result.edges_deleted == 0) {
		if (!cli->quiet)
			fault_note("nothing was there to delete");
		return EXIT_NO_RESULT;
	}
	printf("%" PRIu64 "\n", result.commit);
	return 0;
}

static int delete_run(struct cli *cli)
{
	uint64_t discriminator = 0;
	int is_edge = 0, code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0) {
		if (id == DELETE_EDGE)
			is_edge = 1;
		else if (args_u64(cli, 0, UINT32_MAX, &discriminator))
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (is_edge && cli->operand_count != 3)
		return args_fault(cli, "--edge needs SOURCE RELATION TARGET");
	if (args_needs(cli, DELETE_DISCRIMINATOR, DELETE_EDGE))
		return cli->fault.code;
	code = cli_open_write(cli);
	if (code)
		return code;
	err = is_edge ? delete_edge(cli, (uint32_t)discriminator)
		      : delete_entities(cli);
	return err ? cli_cop(cli, err) : delete_commit(cli);
}

const struct verb verb_delete = {
    .name = "delete",
    .operands = "KEY...",
    .summary = "delete entities with their edges, or one edge",
    .rows = delete_rows,
    .operand_min = 1,
    .operand_max = -1,
    .run = delete_run,
};
