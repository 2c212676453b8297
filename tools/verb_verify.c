/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: whether a backup is whole, and what it is.
 *
 * idea
 *	It is read through and every byte checked; damage is status 4.  With
 *	--deep a store is made of it in a folder for temporary files, and all of
 *	that is checked as by `coppice check`.
 *
 * crash
 *	With --deep coppice-verify-XXXXXX in $TMPDIR is left, and its shared
 *	memory in /dev/shm, if `coppice detach` of the store in it was not run.
 */
#include "backup.h"
#include "out.h"
#include "stop.h"
#include "verbs.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VERIFY_DEEP = ARG_OWN };

static const struct arg_row verify_rows[] = {
    {VERIFY_DEEP, "deep", NULL,
     "make a store of it in $TMPDIR and check that, too"},
    ARG_JSON_ROW,
    ARG_END,
};

static int verify_shallow(struct cli *cli, int fd, struct backup_run *run,
			  struct cop_backup_info *info)
{
	struct cop_backup_options options = {
	    .size = sizeof options, .progress = backup_progress, .user = run};
	cop_err err = cop_backup_verify(fd, &options, info);

	backup_progress_end(run);
	return err ? backup_fault(cli, cli->operands[0], err) : 0;
}

static int entry_remove(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Of the store's mode, or its group's, nothing is needed here. */
static int store_check(struct cli *cli, int fd, struct backup_run *run,
		       const char *path, struct cop_backup_info *info)
{
	struct cop_restore_options options = {.size = sizeof options,
					      .mode = 0600,
					      .shm_dir = "/dev/shm",
					      .progress = backup_progress,
					      .user = run};
	cop_err err = cop_restore(fd, path, &options, info);
	int code;

	backup_progress_end(run);
	if (err)
		return backup_fault(cli, cli->operands[0], err);
	code = backup_check(cli, path);
	err = cop_detach(path);
	return code || !err ? code : cli_cop(cli, err);
}

/* A folder that is not there is no store that is not there. */
static int scratch_fault(struct cli *cli, const char *parent, int number)
{
	int code = fault_code(number);

	return fault_set(&cli->fault,
			 code == EXIT_NOT_FOUND ? EXIT_USAGE : code,
			 "no folder can be made in %s, where --deep makes a "
			 "store of the backup: %s; have TMPDIR name another "
			 "folder",
			 parent, cop_strerror(number));
}

static int verify_deep(struct cli *cli, int fd, struct backup_run *run,
		       struct cop_backup_info *info)
{
	const char *parent = getenv("TMPDIR");
	char folder[PATH_MAX];
	char path[PATH_MAX + 8];
	int code;

	if (!parent || !*parent)
		parent = "/tmp";
	if (snprintf(folder, sizeof folder, "%s/coppice-verify-XXXXXX",
		     parent) >= (int)sizeof folder)
		return fault_errno(&cli->fault, "TMPDIR", ENAMETOOLONG);
	if (!mkdtemp(folder))
		return scratch_fault(cli, parent, errno);
	snprintf(path, sizeof path, "%s/store", folder);
	code = store_check(cli, fd, run, path, info);
	nftw(folder, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
	return code;
}

static int verify_run(struct cli *cli)
{
	struct cop_backup_info info = {.size = sizeof info};
	struct backup_run run = {.cli = cli};
	int json = 0;
	int code, fd, id;

	while ((id = args_next(cli)) > 0)
		json |= id == ARG_JSON;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = backup_input(cli, cli->operands[0], &fd);
	if (code)
		return code;
	stop_arm();
	code = args_given(cli, VERIFY_DEEP)
		   ? verify_deep(cli, fd, &run, &info)
		   : verify_shallow(cli, fd, &run, &info);
	if (fd > STDERR_FILENO)
		close(fd);
	if (!code && json)
		backup_json(&info, cli->operands[0]);
	else if (!code && !cli->quiet)
		backup_print(stdout, &info);
	return code;
}

const struct verb verb_verify = {
    .name = "verify",
    .store = VERB_STORE_NONE,
    .operands = "FILE|-",
    .summary = "check a backup, and print what it is",
    .rows = verify_rows,
    .operand_min = 1,
    .operand_max = 1,
    .run = verify_run,
};
