/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore: a store from a backup.
 *
 * idea
 *	The library makes it beside its place and renames it; see cop_restore().
 *	With --check all of it is checked as by `coppice check` afterwards, and
 *	its shared memory is there.
 */
#include "backup.h"
#include "place.h"
#include "stop.h"
#include "verbs.h"

#include <stdio.h>
#include <unistd.h>

enum { RESTORE_CHECK = ARG_OWN, RESTORE_MODE, RESTORE_GROUP, RESTORE_SHM };

static const struct arg_row restore_rows[] = {
    {RESTORE_CHECK, "check", NULL, "check all of the store afterwards"},
    {RESTORE_MODE, "mode", "OCTAL",
     "permissions of its files (default: as they were)"},
    {RESTORE_GROUP, "group", "NAME|GID", "their group (default: yours)"},
    {RESTORE_SHM, "shm-dir", "DIR",
     "tmpfs folder for shared memory (default: as it was)"},
    ARG_JSON_ROW,
    ARG_END,
};

static int restore_option(struct cli *cli, int id,
			  struct cop_restore_options *options, int *json)
{
	switch (id) {
	case RESTORE_MODE: return init_mode(cli, &options->mode);
	case RESTORE_GROUP: return init_group(cli, &options->group);
	case RESTORE_SHM: options->shm_dir = cli->value; break;
	case ARG_JSON: *json = 1; break;
	default: break;
	}
	return 0;
}

static int restore_make(struct cli *cli,
			const struct cop_restore_options *options,
			struct backup_run *run, struct cop_backup_info *info)
{
	const char *name = cli->operands[0];
	cop_err err;
	int code, fd;

	code = backup_input(cli, name, &fd);
	if (code)
		return code;
	stop_arm();
	err = cop_restore(fd, cli->path, options, info);
	backup_progress_end(run);
	if (fd > STDERR_FILENO)
		close(fd);
	return err ? backup_fault(cli, name, err) : 0;
}

static int restore_run(struct cli *cli)
{
	struct cop_backup_info info = {.size = sizeof info};
	struct backup_run run = {.cli = cli};
	struct cop_restore_options options = {
	    .size = sizeof options, .progress = backup_progress, .user = &run};
	int json = 0;
	int code, id;

	while ((id = args_next(cli)) > 0)
		if (restore_option(cli, id, &options, &json))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (place_check(cli->path, &cli->fault))
		return cli->fault.code;
	code = restore_make(cli, &options, &run, &info);
	if (!code && options.shm_dir && !cli->quiet)
		place_shm_tell(options.shm_dir);
	if (!code && args_given(cli, RESTORE_CHECK))
		code = backup_check(cli, cli->path);
	if (!code && json)
		backup_json(&info, cli->operands[0]);
	else if (!code && !cli->quiet)
		backup_print(stdout, &info);
	return code;
}

const struct verb verb_restore = {
    .name = "restore",
    .store = VERB_STORE_LAST,
    .operands = "FILE|-",
    .summary = "make a store from a backup",
    .rows = restore_rows,
    .operand_min = 1,
    .operand_max = 1,
    .notes = "STORE must not exist, or be an empty folder. Until it is "
	     "complete it is\nSTORE.restoring.\n",
    .run = restore_run,
};
