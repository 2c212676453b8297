/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retain: how long history is kept, of the store or of a type.
 *
 * layout of the text
 *	store    30d
 *	log      1d, 5 versions
 */
#include "instant.h"
#include "out.h"
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

/* Some 500 years. */
#define RETAIN_MS_MOST INT64_C(18000000000000)

enum { RETAIN_TYPE = ARG_OWN, RETAIN_HISTORY, RETAIN_COUNT };

static const struct arg_row retain_rows[] = {
    {RETAIN_TYPE, "type", "NAME", "of entities of this type alone"},
    {RETAIN_HISTORY, "history", "TIME|none|all", "so long, as 7d"},
    {RETAIN_COUNT, "count", "N", "at most so many versions of one thing"},
    ARG_JSON_ROW,
    ARG_END,
};

/* ---- printing ----------------------------------------------------------- */

void retain_span(int32_t history, uint64_t ms, char *out)
{
	static const struct {
		uint64_t ms;
		char unit;
	} units[] = {
	    {86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}, {1000, 's'}};
	size_t i = 0;

	if (history != COP_HISTORY_AGE) {
		strcpy(out, history == COP_HISTORY_ALL ? "all" : "none");
		return;
	}
	while (i < 3 && ms % units[i].ms)
		i++;
	snprintf(out, RETAIN_SPAN_ROOM, "%g%c",
		 (double)ms / (double)units[i].ms, units[i].unit);
}

static void span_print(const struct cop_retention *retention)
{
	char text[RETAIN_SPAN_ROOM];

	retain_span(retention->history, retention->history_ms, text);
	fputs(text, stdout);
}

static int32_t retain_text(void *user, cop_read *read,
			   const struct cop_retention *retention)
{
	const char *name = retention->type ? retention->type : "store";

	(void)user;
	(void)read;
	out_plain(name, strlen(name));
	printf("%*s", strlen(name) < 12 ? 12 - (int)strlen(name) : 1, "");
	span_print(retention);
	if (retention->history_count)
		printf(", %" PRIu64 " versions", retention->history_count);
	putchar('\n');
	return out_failed();
}

static int32_t retain_json(void *user, cop_read *read,
			   const struct cop_retention *retention)
{
	(void)user;
	(void)read;
	fputs("{\"type\":", stdout);
	if (retention->type)
		out_string(retention->type, strlen(retention->type));
	else
		fputs("null", stdout);
	fputs(",\"history\":\"", stdout);
	span_print(retention);
	printf("\",\"count\":%" PRIu64 "}\n", retention->history_count);
	return out_failed();
}

static int retain_show(struct cli *cli, int json)
{
	int code = cli_open_read(cli);
	cop_err err;

	if (code)
		return code;
	err = cop_retentions(cli->read, json ? retain_json : retain_text, NULL);
	return err && err != COP_STOPPED ? cli_cop(cli, err) : 0;
}

/* ---- setting ------------------------------------------------------------ */

int retain_history(struct cli *cli, int32_t *history, uint64_t *ms)
{
	int64_t span = 0;

	*ms = 0;
	*history = COP_HISTORY_AGE;
	if (!strcmp(cli->value, "none"))
		*history = COP_HISTORY_NONE;
	else if (!strcmp(cli->value, "all"))
		*history = COP_HISTORY_ALL;
	else if (instant_span(cli->value, &span) || !span ||
		 span > RETAIN_MS_MOST)
		return args_fault(
		    cli,
		    "history is kept for none, all, or a time such as "
		    "12h or 30d, not '%s'",
		    cli->value);
	*ms = (uint64_t)span;
	return 0;
}

/* The rule that holds now, for what is not given. */
struct retain_now {
	const char *type;
	struct cop_retention rule;
};

static int32_t retain_now_visit(void *user, cop_read *read,
				const struct cop_retention *retention)
{
	struct retain_now *now = user;

	(void)read;
	/* the store's comes first, and holds for types without their own */
	if (!retention->type ||
	    (now->type && !strcmp(now->type, retention->type)))
		now->rule = *retention;
	return 0;
}

static int retain_fill(struct cli *cli, struct cop_retention *retention)
{
	struct retain_now now = {.type = retention->type};
	int code = cli_open_read(cli);
	cop_err err;

	if (code)
		return code;
	err = cop_retentions(cli->read, retain_now_visit, &now);
	if (err)
		return cli_cop(cli, err);
	if (!args_given(cli, RETAIN_HISTORY)) {
		retention->history = now.rule.history;
		retention->history_ms = now.rule.history_ms;
	}
	if (!args_given(cli, RETAIN_COUNT))
		retention->history_count = now.rule.history_count;
	return 0;
}

static int retain_set(struct cli *cli, const struct cop_retention *retention)
{
	struct cop_result result = {.size = sizeof result};
	cop_err err = cop_write_begin(cli->store, &cli->write);

	if (!err)
		err = cop_retain(cli->write, retention);
	if (!err)
		err = cop_commit(cli->write, &result);
	if (err)
		return cli_cop(cli, err);
	printf("%" PRIu64 "\n", result.commit);
	return 0;
}

static int retain_run(struct cli *cli)
{
	struct cop_retention retention = {.size = sizeof retention};
	int json = 0;
	int code;
	int id;

	while ((id = args_next(cli)) > 0) {
		code = 0;
		switch (id) {
		case RETAIN_TYPE: retention.type = cli->value; break;
		case RETAIN_HISTORY:
			code = retain_history(cli, &retention.history,
					      &retention.history_ms);
			break;
		case RETAIN_COUNT:
			code = args_u64(cli, 0, UINT64_MAX,
					&retention.history_count);
			break;
		default: json = 1; break;
		}
		if (code)
			return code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (!args_given(cli, RETAIN_HISTORY) && !args_given(cli, RETAIN_COUNT))
		return args_given(cli, RETAIN_TYPE)
			   ? args_fault(cli, "give --history or --count, too")
			   : retain_show(cli, json);
	code = retain_fill(cli, &retention);
	return code ? code : retain_set(cli, &retention);
}

const struct verb verb_retain = {
    .name = "retain",
    .operands = "",
    .summary = "print or set how long history is kept",
    .rows = retain_rows,
    .run = retain_run,
};
