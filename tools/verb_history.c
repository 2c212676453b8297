/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: the versions of an entity or of an edge, newest first.
 *
 * layout of the text
 *	commit 12, 2026-11-27T10:00:00.000Z, until 15, 2026-11-27T10:02:11.500Z
 *	  type  ...
 */
#include "entity_text.h"
#include "instant.h"
#include "out.h"
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

enum { HISTORY_LIMIT = ARG_OWN, HISTORY_DISCRIMINATOR };

static const struct arg_row history_rows[] = {
    {HISTORY_LIMIT, "limit", "N", "at most so many versions"},
    {HISTORY_DISCRIMINATOR, "discriminator", "N",
     "of the edge with this one (default: 0)"},
    ARG_AS_OF_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct history {
	struct cli *cli;
	uint64_t limit;
	uint64_t discriminator;
	uint64_t count;
	int json;
	cop_err err; /* from inside a visit */
};

/* When a version began and ended; "": not known. */
struct times {
	char born[INSTANT_ROOM];
	char died[INSTANT_ROOM];
};

/* When a commit was; one that is not kept any more is not known. */
static cop_err history_time(cop_read *read, uint64_t commit, char *text)
{
	struct cop_commit_info info = {.size = sizeof info};
	cop_err err =
	    commit ? cop_commit_info(read, commit, &info) : COP_TOO_OLD;

	*text = '\0';
	if (!err)
		(void)instant_text_ns(text, info.time_ns);
	return err == COP_TOO_OLD ? 0 : err;
}

static cop_err history_times(cop_read *read, const struct cop_version *version,
			     struct times *times)
{
	cop_err err = history_time(read, version->born, times->born);

	return err ? err : history_time(read, version->died, times->died);
}

static void history_head_text(const struct cop_version *version,
			      const struct times *times)
{
	printf("commit %" PRIu64, version->born);
	if (*times->born)
		printf(", %s", times->born);
	if (version->died) {
		printf(", until %" PRIu64, version->died);
		if (*times->died)
			printf(", %s", times->died);
	}
	putchar('\n');
}

static void history_head_json(const struct cop_version *version,
			      const struct times *times)
{
	printf("{\"born\":%" PRIu64, version->born);
	if (*times->born)
		printf(",\"born_time\":\"%s\"", times->born);
	fputs(",\"died\":", stdout);
	if (version->died)
		printf("%" PRIu64, version->died);
	else
		fputs("null", stdout);
	if (*times->died)
		printf(",\"died_time\":\"%s\"", times->died);
}

static int32_t history_end(struct history *history)
{
	return history->err != 0 || out_failed() ||
	       ++history->count == history->limit;
}

static int32_t history_entity(void *user, cop_read *read,
			      const struct cop_version *version,
			      const struct cop_entity *entity)
{
	struct history *history = user;
	struct times times;

	history->err = history_times(read, version, &times);
	if (history->err)
		return 1;
	if (history->json) {
		history_head_json(version, &times);
		fputs(",\"entity\":", stdout);
		history->err =
		    out_entity_object(history->cli->store, read, entity, 0);
		fputs("}\n", stdout);
	} else {
		history_head_text(version, &times);
		history->err = entity_text_fields(read, entity);
	}
	return history_end(history);
}

static int32_t history_edge(void *user, cop_read *read,
			    const struct cop_version *version,
			    const struct cop_edge *edge)
{
	struct history *history = user;
	struct times times;

	history->err = history_times(read, version, &times);
	if (history->err)
		return 1;
	if (history->json) {
		history_head_json(version, &times);
		fputs(",\"edge\":", stdout);
		history->err = out_edge_object(read, edge);
		fputs("}\n", stdout);
	} else {
		history_head_text(version, &times);
		history->err = edge_text_fields(read, edge);
	}
	return history_end(history);
}

/* The id that a key was ever given. */
static int history_id(struct cli *cli, const char *key, uint64_t *id)
{
	cop_err err = cop_id(cli->read, key, strlen(key), id);

	if (err)
		return cli_cop(cli, err);
	return *id ? 0
		   : fault_set(&cli->fault, EXIT_NO_RESULT,
			       "there never was an entity '%s'", key);
}

static int history_go(struct history *history)
{
	struct cli *cli = history->cli;
	char **word = cli->operands;
	int is_edge = cli->operand_count == 3;
	uint64_t source;
	uint64_t target = 0;
	cop_err err;
	int code = history_id(cli, word[0], &source);

	if (!code && is_edge)
		code = history_id(cli, word[2], &target);
	if (code)
		return code;
	err = is_edge ? cop_edge_history(cli->read, source, word[1],
					 strlen(word[1]), target,
					 (uint32_t)history->discriminator,
					 history_edge, history)
		      : cop_history(cli->read, source, history_entity, history);
	if (err == COP_STOPPED)
		err = history->err;
	if (err)
		return cli_cop(cli, err);
	if (!history->count && !cli->quiet)
		fault_note("no version of it is kept");
	return history->count ? 0 : EXIT_NO_RESULT;
}

static int history_run(struct cli *cli)
{
	struct history history = {.cli = cli};
	int code;
	int id;

	while ((id = args_next(cli)) > 0) {
		int code_of = 0;

		if (id == ARG_JSON)
			history.json = 1;
		else if (id == HISTORY_LIMIT)
			code_of = args_u64(cli, 1, UINT64_MAX, &history.limit);
		else
			code_of = args_u64(cli, 0, UINT32_MAX,
					   &history.discriminator);
		if (code_of)
			return code_of;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (cli->operand_count == 2)
		return args_fault(cli, "give KEY, or SOURCE RELATION TARGET");
	code = cli_open_read(cli);
	return code ? code : history_go(&history);
}

const struct verb verb_history = {
    .name = "history",
    .operands = "KEY|SOURCE RELATION TARGET",
    .summary = "print the versions of an entity or an edge",
    .rows = history_rows,
    .operand_min = 1,
    .operand_max = 3,
    .run = history_run,
};
