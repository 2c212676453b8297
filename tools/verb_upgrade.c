/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade: brings a store of an older format to the one written today.
 *
 * idea
 *	It says what format the store is of.  A newer one is refused (8).
 */
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>

static const struct arg_row upgrade_rows[] = {ARG_END};

static int upgrade_run(struct cli *cli)
{
	uint32_t from;
	uint32_t to;
	cop_err err;

	if (args_next(cli) < 0 || args_end(cli))
		return cli->fault.code;
	err = cop_upgrade(cli->path, &from, &to);
	if (err)
		return cli_cop(cli, err);
	if (cli->quiet)
		return 0;
	if (from == to)
		printf("format %" PRIu32
		       ", the newest that this coppice writes: nothing to do\n",
		       to);
	else
		printf("format %" PRIu32 " became %" PRIu32 "\n", from, to);
	return 0;
}

const struct verb verb_upgrade = {
    .name = "upgrade",
    .operands = "",
    .summary = "bring a store of an older format to this one",
    .rows = upgrade_rows,
    .run = upgrade_run,
};
