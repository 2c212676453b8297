/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff: what changed from one moment to another.
 *
 * layout of the text
 *	+ KEY                       an entity that came
 *	~ KEY                       one that has another type, tag, ..
 *	- KEY                       one that went
 *	+ KEY vector
 *	+ KEY relation -> KEY       an edge; ~ : with other properties
 */
#include "out.h"
#include "verbs.h"

#include <inttypes.h>

static const struct arg_row diff_rows[] = {
    ARG_JSON_ROW,
    ARG_END,
};

struct diff {
	int json;
	uint64_t count;
	cop_err err; /* from inside a visit */
};

static cop_err diff_text(cop_read *read, const struct cop_difference *d)
{
	cop_err err;

	printf("%c ", "?+~-"[d->how]);
	err = out_key_text(read, d->id);
	if (d->what == COP_VECTOR)
		fputs(" vector", stdout);
	if (d->what == COP_EDGE) {
		putchar(' ');
		if (!err)
			err = out_name_text(read, d->relation);
		fputs(" -> ", stdout);
		if (!err)
			err = out_key_text(read, d->target);
		if (d->discriminator)
			printf(" (%" PRIu32 ")", d->discriminator);
	}
	putchar('\n');
	return err;
}

static cop_err diff_json(cop_read *read, const struct cop_difference *d)
{
	static const char *const hows[] = {"", "added", "changed", "removed"};
	static const char *const whats[] = {"", "entity", "vector", "edge"};
	cop_err err;

	printf("{\"change\":\"%s\",\"what\":\"%s\",", hows[d->how],
	       whats[d->what]);
	err = out_key_json(read, d->what == COP_EDGE ? "source" : "key", d->id);
	if (d->what == COP_EDGE) {
		fputs(",\"relation\":", stdout);
		if (!err)
			err = out_name_json(read, d->relation);
		putchar(',');
		if (!err)
			err = out_key_json(read, "target", d->target);
		if (d->discriminator)
			printf(",\"discriminator\":%" PRIu32, d->discriminator);
	}
	fputs("}\n", stdout);
	return err;
}

static int32_t diff_one(void *user, cop_read *read,
			const struct cop_difference *difference)
{
	struct diff *diff = user;

	diff->err = diff->json ? diff_json(read, difference)
			       : diff_text(read, difference);
	diff->count++;
	return diff->err != 0 || out_failed();
}

static int diff_go(struct cli *cli, struct diff *diff)
{
	uint64_t from;
	uint64_t to = cop_read_commit(cli->read);
	cop_err err;
	int code = cli_commit(cli, cli->operands[0], &from);

	if (!code && cli->operand_count > 1)
		code = cli_commit(cli, cli->operands[1], &to);
	if (code)
		return code;
	err = cop_diff(cli->read, from, to, diff_one, diff);
	if (err == COP_STOPPED)
		err = diff->err;
	if (err)
		return cli_cop(cli, err);
	return diff->count ? 0 : EXIT_NO_RESULT;
}

static int diff_run(struct cli *cli)
{
	struct diff diff = {0};
	int code;
	int id;

	while ((id = args_next(cli)) > 0)
		diff.json = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	return code ? code : diff_go(cli, &diff);
}

const struct verb verb_diff = {
    .name = "diff",
    .operands = "FROM [TO]",
    .summary = "print what changed between two commits or times",
    .rows = diff_rows,
    .operand_min = 1,
    .operand_max = 2,
    .run = diff_run,
};
