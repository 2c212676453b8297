/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tag, untag: give tags to entities, take them away; undelete: put back.
 *
 * idea
 *	One commit, whose number is printed.
 */
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TAG_NAME = ARG_OWN };
enum { UNDELETE_COMMIT = ARG_OWN };
enum { TAGS_MOST = 64 };

static const struct arg_row tag_rows[] = {
    {TAG_NAME, "tag", "NAME", "this tag; may be given several times"},
    ARG_END,
};

static const struct arg_row undelete_rows[] = {
    ARG_AS_OF_ROW,
    ARG_END,
};

typedef cop_err tag_change(cop_write *write, const void *key, size_t key_size,
			   const char *tag, size_t tag_size);

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

static int tags_change(struct cli *cli, tag_change *change,
		       const char *const *tags, size_t count)
{
	for (int i = 0; i < cli->operand_count; i++)
		for (size_t k = 0; k < count; k++) {
			const char *key = cli->operands[i];
			cop_err err = change(cli->write, key, strlen(key),
					     tags[k], strlen(tags[k]));

			if (err)
				return cli_cop(cli, err);
		}
	return commit_print(cli);
}

static int tag_verb(struct cli *cli, tag_change *change)
{
	const char *tags[TAGS_MOST];
	size_t count = 0;
	int code;
	int id;

	while ((id = args_next(cli)) > 0) {
		if (count == TAGS_MOST)
			return args_fault(cli, "more than %d tags at once",
					  TAGS_MOST);
		tags[count++] = cli->value;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (!count)
		return args_fault(cli, "give --tag=NAME");
	code = cli_open_write(cli);
	return code ? code : tags_change(cli, change, tags, count);
}

static int tag_run(struct cli *cli)
{
	return tag_verb(cli, cop_tag);
}

static int untag_run(struct cli *cli)
{
	return tag_verb(cli, cop_untag);
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
    .rows = tag_rows,
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
