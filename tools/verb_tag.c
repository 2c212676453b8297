/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tag, untag: give tags to entities, take them away; undelete: put back.
 *
 * idea
 *	One commit, whose number is printed.
 */
#include "instant.h"
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TAG_NAME = ARG_OWN, TAG_FROM, TAG_TO };
enum { UNDELETE_COMMIT = ARG_OWN };
enum { TAGS_MOST = 64 };

static const struct arg_row tag_rows[] = {
    {TAG_NAME, "tag", "NAME", "this tag; may be given several times"},
    ARG_END,
};

static const struct arg_row tag_rows_timed[] = {
    {TAG_NAME, "tag", "NAME", "this tag; may be given several times"},
    {TAG_FROM, "valid-from", "TIME", "from when it is so: 1815, 2026-11-27"},
    {TAG_TO, "valid-to", "TIME", "up to when, not included"},
    ARG_END,
};

static const struct arg_row undelete_rows[] = {
    ARG_AS_OF_ROW,
    ARG_END,
};

struct tagging {
	const char *tags[TAGS_MOST];
	size_t count;
	int removes;
	struct cop_validity valid;
};

/* The write's commit; prints its number. */
static int commit_print(struct cli *cli)
{
	struct cop_result result = {.size = sizeof result};
	cop_err err = cop_commit(cli->write, &result);

	if (err)
		cli_cop(cli, err);
	if (err == COP_DANGLING) /* a key that is not there */
		cli->fault.code = EXIT_NO_RESULT;
	if (err)
		return cli->fault.code;
	printf("%" PRIu64 "\n", result.commit);
	return 0;
}

static cop_err tag_change(struct cli *cli, const struct tagging *tagging,
			  const char *key, const char *tag)
{
	if (tagging->removes)
		return cop_untag(cli->write, key, strlen(key), tag,
				 strlen(tag));
	if (args_given(cli, TAG_FROM) || args_given(cli, TAG_TO))
		return cop_tag_valid(cli->write, key, strlen(key), tag,
				     strlen(tag), &tagging->valid);
	return cop_tag(cli->write, key, strlen(key), tag, strlen(tag));
}

static int tags_change(struct cli *cli, const struct tagging *tagging)
{
	for (int i = 0; i < cli->operand_count; i++)
		for (size_t k = 0; k < tagging->count; k++) {
			cop_err err = tag_change(cli, tagging, cli->operands[i],
						 tagging->tags[k]);

			if (err)
				return cli_cop(cli, err);
		}
	return commit_print(cli);
}

static int tag_option(struct cli *cli, struct tagging *tagging, int id)
{
	if (id != TAG_NAME)
		return cli_instant(cli, cli->value,
				   id == TAG_FROM ? &tagging->valid.from
						  : &tagging->valid.to);
	if (tagging->count == TAGS_MOST)
		return args_fault(cli, "more than %d tags at once", TAGS_MOST);
	tagging->tags[tagging->count++] = cli->value;
	return 0;
}

static int tag_verb(struct cli *cli, int removes)
{
	struct tagging tagging = {
	    .removes = removes,
	    .valid = {{INT64_MIN, 0, 0}, {INT64_MAX, 0, 0}}};
	int code;
	int id;

	while ((id = args_next(cli)) > 0) {
		code = tag_option(cli, &tagging, id);
		if (code)
			return code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (!tagging.count)
		return args_fault(cli, "give --tag=NAME");
	if (instant_order(&tagging.valid, &cli->fault))
		return cli->fault.code = EXIT_USAGE;
	code = cli_open_write(cli);
	return code ? code : tags_change(cli, &tagging);
}

static int tag_run(struct cli *cli)
{
	return tag_verb(cli, 0);
}

static int untag_run(struct cli *cli)
{
	return tag_verb(cli, 1);
}

/* Which commit --as-of means; 0: just before each was deleted. */
static int undelete_when(struct cli *cli, uint64_t *commit)
{
	int code;

	*commit = 0;
	if (!cli->as_of)
		return cli_open(cli);
	code = cli_open_read(cli);
	if (code)
		return code;
	*commit = cop_read_commit(cli->read);
	cop_read_end(cli->read);
	cli->read = NULL;
	return *commit ? 0
		       : fault_set(&cli->fault, EXIT_NO_RESULT,
				   "there was nothing then to put back");
}

static int undelete_run(struct cli *cli)
{
	uint64_t commit;
	cop_err err;
	int code;

	if (args_next(cli) < 0 || args_end(cli))
		return cli->fault.code;
	code = undelete_when(cli, &commit);
	if (code)
		return code;
	err = cop_write_begin(cli->store, &cli->write);
	for (int i = 0; i < cli->operand_count && !err; i++)
		err = cop_undelete(cli->write, cli->operands[i],
				   strlen(cli->operands[i]), commit);
	return err ? cli_cop(cli, err) : commit_print(cli);
}

const struct verb verb_tag = {
    .name = "tag",
    .operands = "KEY...",
    .summary = "give tags to entities",
    .rows = tag_rows_timed,
    .operand_min = 1,
    .operand_max = -1,
    .run = tag_run,
};

const struct verb verb_untag = {
    .name = "untag",
    .operands = "KEY...",
    .summary = "take tags from entities",
    .rows = tag_rows,
    .operand_min = 1,
    .operand_max = -1,
    .run = untag_run,
};

const struct verb verb_undelete = {
    .name = "undelete",
    .operands = "KEY...",
    .summary = "put back deleted entities with their edges",
    .rows = undelete_rows,
    .operand_min = 1,
    .operand_max = -1,
    .run = undelete_run,
};
