/* SPDX-License-Identifier: Apache-2.0 */
/* log: the commits that can be read as of, newest first, and when they were. */
#include "instant.h"
#include "out.h"
#include "verbs.h"

#include <inttypes.h>

enum { LOG_LIMIT = ARG_OWN, LOG_ALL };
enum { LOG_MOST = 100 };

static const struct arg_row log_rows[] = {
    {LOG_LIMIT, "limit", "N", "at most so many commits (default: 100)"},
    {LOG_ALL, "all", NULL, "those, too, that touched nothing"},
    ARG_AS_OF_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

static void log_one(const struct cop_commit_info *info, int json)
{
	char text[INSTANT_ROOM];

	instant_text_ns(text, info->time_ns);
	if (json)
		printf("{\"commit\":%" PRIu64
		       ",\"time\":\"%s\",\"time_ns\":%" PRId64
		       ",\"touched\":%" PRIu64 ",\"entities\":%" PRIu64
		       ",\"edges\":%" PRIu64 ",\"vectors\":%" PRIu64 "}\n",
		       info->commit, text, info->time_ns, info->touched,
		       info->entities, info->edges, info->vectors);
	else
		printf("%-8" PRIu64 " %s  %" PRIu64 " touched, %" PRIu64
		       " entities, %" PRIu64 " edges, %" PRIu64 " vectors\n",
		       info->commit, text, info->touched, info->entities,
		       info->edges, info->vectors);
}

static int log_run(struct cli *cli)
{
	uint64_t limit = LOG_MOST;
	uint64_t commit;
	int json = 0;
	int code;
	int id;

	while ((id = args_next(cli)) > 0) {
		if (id == ARG_JSON)
			json = 1;
		else if (id == LOG_LIMIT &&
			 args_u64(cli, 1, UINT64_MAX, &limit))
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (code)
		return code;
	for (commit = cop_read_commit(cli->read);
	     commit && limit && !out_failed(); commit--) {
		struct cop_commit_info info = {.size = sizeof info};
		cop_err err = cop_commit_info(cli->read, commit, &info);

		if (err == COP_TOO_OLD)
			break;
		if (err)
			return cli_cop(cli, err);
		if (!info.touched && !args_given(cli, LOG_ALL))
			continue;
		log_one(&info, json);
		limit--;
	}
	if (commit && !limit && !args_given(cli, LOG_LIMIT) && !cli->quiet)
		fault_note("cut off after %d (--limit)", LOG_MOST);
	return 0;
}

const struct verb verb_log = {
    .name = "log",
    .operands = "",
    .summary = "print the commits that can be read as of",
    .rows = log_rows,
    .run = log_run,
};
