/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: compares everything in the store with everything that mentions it.
 *
 * idea
 *	A finding a line on standard output; the status is 1 if there are any.
 *	Commits wait while it runs, reads do not.
 */
#include <inttypes.h>
#include <stdio.h>

#include "verbs.h"

static const struct arg_row check_rows[] = {ARG_END};

static void finding_print(void *user, const char *text)
{
	(void)user;
	puts(text);
}

static int check_run(struct cli *cli)
{
	uint64_t findings = 0;
	cop_err err;
	int code;

	if (args_next(cli) < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	err = cop_check(cli->store, finding_print, NULL, &findings);
	if (err)
		return cli_cop(cli, err);
	if (findings)
		fprintf(stderr,
			"coppice: %s: %" PRIu64 " findings; if they are all of "
			"the segment, run `coppice detach` and it is built "
			"anew, else restore a backup\n",
			cli->path, findings);
	return findings != 0;
}

const struct verb verb_check = {
    .name = "check",
    .operands = "",
    .summary = "compare records, indexes and shared memory with each other",
    .rows = check_rows,
    .run = check_run,
};
