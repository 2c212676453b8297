/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach: has the store's shared memory in place before its users come.
 *
 * idea
 *	Opening a store makes it, and closing leaves it.  For an init container
 *	or a unit that is started before the workers.
 */
#include "out.h"
#include "verbs.h"
#include "words.h"

#include <inttypes.h>
#include <string.h>

static const struct arg_row attach_rows[] = {ARG_JSON_ROW, ARG_END};

static const char *had_word(int32_t had)
{
	switch (had) {
	case COP_HAD_FOUND: return "found";
	case COP_HAD_LOADED: return "loaded";
	default: return "built";
	}
}

static void attach_text(const struct cop_stats *stats, int32_t had, uint64_t ns)
{
	char bytes[32];

	words_bytes(bytes, stats->shared_bytes);
	printf("%.*s: %s, %s", (int)sizeof stats->segment, stats->segment,
	       bytes, had_word(had));
	if (had != COP_HAD_FOUND)
		printf(" from %s in %.1f ms",
		       had == COP_HAD_LOADED ? "an image" : "the data file",
		       (double)ns / 1e6);
	putchar('\n');
}

static void attach_json(const struct cop_stats *stats, int32_t had, uint64_t ns)
{
	fputs("{\"schema\":\"coppice.attach/1\",\"segment\":", stdout);
	out_string(stats->segment,
		   strnlen(stats->segment, sizeof stats->segment));
	printf(",\"bytes\":%" PRIu64 ",\"commit\":%" PRIu64
	       ",\"had\":\"%s\",\"ns\":%" PRIu64 "}\n",
	       stats->shared_bytes, stats->commits, had_word(had), ns);
}

static int attach_run(struct cli *cli)
{
	struct cop_stats stats = {.size = sizeof stats};
	int json = 0, code, id;
	uint64_t ns = 0;
	int32_t had;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		json = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (code)
		return code;
	err = cop_stat(cli->read, &stats);
	if (err)
		return cli_cop(cli, err);
	had = cop_had(cli->store, &ns);
	(json ? attach_json : attach_text)(&stats, had, ns);
	return 0;
}

const struct verb verb_attach = {
    .name = "attach",
    .operands = "",
    .summary = "have the store's shared memory made, and leave it for others",
    .rows = attach_rows,
    .notes = "Says whether it was found, loaded from an image or built from "
	     "the data file.\nOne that is there, but damaged or another "
	     "history's, is built anew.\n",
    .run = attach_run,
};
