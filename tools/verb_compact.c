/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compact: the data file anew, without its free pages, while it is in use.
 */
#include <inttypes.h>
#include <stdio.h>

#include "verbs.h"

static const struct arg_row compact_rows[] = {ARG_JSON_ROW, ARG_END};

static int compact_run(struct cli *cli)
{
	struct cop_compact_result result = {.size = sizeof result};
	int json = 0;
	int id;
	int code;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		json |= id == ARG_JSON;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	err = cop_compact(cli->store, NULL, &result);
	if (err)
		return cli_cop(cli, err);
	if (json)
		printf("{\"generation\":%" PRIu64 ",\"bytes_before\":%" PRIu64
		       ",\"bytes_after\":%" PRIu64 ",\"pause_ns\":%" PRIu64
		       "}\n",
		       result.generation, result.bytes_before,
		       result.bytes_after, result.pause_ns);
	else if (!cli->quiet)
		printf("%" PRIu64 " bytes became %" PRIu64
		       "; commits waited %.1f ms\n",
		       result.bytes_before, result.bytes_after,
		       (double)result.pause_ns / 1e6);
	return 0;
}

const struct verb verb_compact = {
    .name = "compact",
    .operands = "",
    .summary = "build the data file anew while it is in use",
    .rows = compact_rows,
    .run = compact_run,
};
