/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup: the store in one file, as of one commit, while it is in use.
 *
 * idea
 *	The file gets its name when it is complete and on disk; until then it is
 *	FILE.partial.  On standard output the end of the backup says that it is
 *	complete, and `coppice verify` and `coppice restore` look for that.
 */
#include "backup.h"
#include "stop.h"
#include "target.h"
#include "verbs.h"

#include <string.h>

enum { BACKUP_FORCE = ARG_OWN, BACKUP_PLAIN };

static const struct arg_row backup_rows[] = {
    {BACKUP_FORCE, "force", NULL, "replace FILE if it is a backup"},
    {BACKUP_PLAIN, "plain", NULL, "do not compress"},
    ARG_JSON_ROW,
    ARG_END,
};

static const struct target_kind backup_kind = {"a backup", "COPBCKUP", 0600};

static int backup_write(struct cli *cli, struct target *target,
			struct cop_backup_info *info)
{
	struct backup_run run = {.cli = cli};
	struct cop_backup_options options = {.size = sizeof options,
					     .plain =
						 args_given(cli, BACKUP_PLAIN),
					     .progress = backup_progress,
					     .user = &run};
	cop_err err;

	stop_arm();
	err = cop_backup(cli->store, target->fd, &options, info);
	backup_progress_end(&run);
	return err ? backup_fault(cli, target->name, err)
		   : target_keep(target, &cli->fault);
}

static int backup_run(struct cli *cli)
{
	struct cop_backup_info info = {.size = sizeof info};
	struct target target;
	int is_output, code, id;
	int json = 0;

	while ((id = args_next(cli)) > 0)
		json |= id == ARG_JSON;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	is_output = !strcmp(cli->operands[0], "-");
	if (json && is_output)
		return args_fault(cli, "--json prints on standard output, "
				       "where the backup goes");
	code = cli_open(cli);
	if (!code)
		code = target_open(&target, cli->operands[0], &backup_kind,
				   args_given(cli, BACKUP_FORCE), &cli->fault);
	if (code)
		return code;
	code = backup_write(cli, &target, &info);
	target_close(&target);
	if (!code && json)
		backup_json(&info, cli->operands[0]);
	else if (!code && !cli->quiet)
		backup_print(is_output ? stderr : stdout, &info);
	return code;
}

const struct verb verb_backup = {
    .name = "backup",
    .operands = "FILE|-",
    .summary = "write the store, as of now and with its history, to a file",
    .rows = backup_rows,
    .operand_min = 1,
    .operand_max = 1,
    .notes = "The store may be in use. `coppice verify` checks the file, "
	     "`coppice restore` makes\na store of it.\n",
    .run = backup_run,
};
