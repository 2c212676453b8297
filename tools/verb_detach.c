/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detach: removes the store's shared memory.
 *
 * idea
 *	The next process that opens the store builds it anew from what is on
 *	disk; nothing durable changes.  While a process is attached the status
 *	is 5.
 */
#include "verbs.h"

static const struct arg_row detach_rows[] = {ARG_END};

static int detach_run(struct cli *cli)
{
	cop_err err;

	if (args_next(cli) < 0 || args_end(cli))
		return cli->fault.code;
	err = cop_detach(cli->path);
	return err ? cli_cop(cli, err) : 0;
}

const struct verb verb_detach = {
    .name = "detach",
    .operands = "",
    .summary = "remove the store's shared memory (nothing durable)",
    .rows = detach_rows,
    .run = detach_run,
};
