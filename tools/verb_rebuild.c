/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild: another segment from the data file, while the store is in use.
 */
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>

enum { REBUILD_IMAGES = ARG_OWN };

static const struct arg_row rebuild_rows[] = {
    {REBUILD_IMAGES, "images", NULL, "remove the images on disk, too"},
    ARG_JSON_ROW,
    ARG_END,
};

static void rebuild_print(const struct cop_rebuild_result *result, int json)
{
	if (json)
		printf("{\"schema\":\"coppice.rebuild/1\",\"beside\":%s"
		       ",\"pause_ns\":%" PRIu64 ",\"ns\":%" PRIu64 "}\n",
		       result->beside ? "true" : "false", result->pause_ns,
		       result->ns);
	else
		printf("built anew in %.1f ms; commits waited %.1f ms\n",
		       (double)result->ns / 1e6,
		       (double)result->pause_ns / 1e6);
}

static int rebuild_run(struct cli *cli)
{
	struct cop_rebuild_result result = {.size = sizeof result};
	int json = 0, code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		json |= id == ARG_JSON;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	err = cop_rebuild(cli->store, NULL, args_given(cli, REBUILD_IMAGES),
			  &result);
	if (err)
		return cli_cop(cli, err);
	if (json || !cli->quiet)
		rebuild_print(&result, json);
	return 0;
}

const struct verb verb_rebuild = {
    .name = "rebuild",
    .operands = "",
    .summary = "build the shared memory anew while it is in use",
    .rows = rebuild_rows,
    .notes = "For one that may be damaged; nothing durable changes. It takes "
	     "the room of two\nmeanwhile. Processes stay attached, and go over "
	     "with their next reads.\n",
    .run = rebuild_run,
};
