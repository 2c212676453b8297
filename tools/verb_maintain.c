/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maintain: does at once what commits leave for later.
 */
#include <inttypes.h>
#include <stdio.h>

#include "verbs.h"

enum { MAINTAIN_THREADS = ARG_OWN, MAINTAIN_BUDGET };

static const struct arg_row maintain_rows[] = {
    {MAINTAIN_THREADS, "threads", "N", "threads that link vectors (default 1)"},
    {MAINTAIN_BUDGET, "budget", "MS", "stop after about this long"},
    ARG_JSON_ROW,
    ARG_END,
};

static void maintain_print(const struct cop_maintain_result *result, int json)
{
	if (json)
		printf("{\"schema\":\"coppice.maintain/1\",\"linked\":%" PRIu64
		       ",\"reclaimed\":%" PRIu64 ",\"mended\":%" PRIu64
		       ",\"audited\":%s,\"unlinked\":%" PRIu64
		       ",\"waiting\":%" PRIu64 "}\n",
		       result->linked, result->reclaimed, result->mended,
		       result->audited ? "true" : "false", result->unlinked,
		       result->waiting);
	else
		printf("%" PRIu64 " vectors linked, %" PRIu64
		       " linked again, %" PRIu64 " things freed; %" PRIu64
		       " vectors and %" PRIu64 " dead things wait%s\n",
		       result->linked, result->mended, result->reclaimed,
		       result->unlinked, result->waiting,
		       result->audited ? ""
				       : "; the budget was too short to look "
					 "at all of the graph");
}

static int maintain_run(struct cli *cli)
{
	struct cop_maintain_options options = {.size = sizeof options};
	struct cop_maintain_result result = {.size = sizeof result};
	uint64_t number = 0;
	int json = 0, code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0) {
		if (id == ARG_JSON)
			json = 1;
		else if (id == MAINTAIN_THREADS &&
			 !args_u64(cli, 1, COP_THREAD_MAX, &number))
			options.threads = (uint32_t)number;
		else if (id == MAINTAIN_BUDGET &&
			 !args_u64(cli, 1, UINT32_MAX, &number))
			options.budget_ms = (uint32_t)number;
		if (cli->fault.code)
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	err = cop_maintain(cli->store, &options, &result);
	if (err)
		return cli_cop(cli, err);
	maintain_print(&result, json);
	return 0;
}

const struct verb verb_maintain = {
    .name = "maintain",
    .operands = "",
    .summary = "link vectors that wait, free what is dead, mend the graph",
    .rows = maintain_rows,
    .run = maintain_run,
};
