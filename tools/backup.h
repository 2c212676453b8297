/* SPDX-License-Identifier: Apache-2.0 */
/* What backup, verify and restore have in common; backup.c. */
#ifndef TOOLS_BACKUP_H
#define TOOLS_BACKUP_H

#include "args.h"

/* How far it is: on a terminal, and whether a signal asks it to end. */
struct backup_run {
	struct cli *cli;
	int is_drawn;
};

/* For the library's progress, with a struct backup_run; wiped by the other. */
int32_t backup_progress(void *user, const char *what, uint64_t done,
			uint64_t total);
void backup_progress_end(struct backup_run *run);

/* Opens a backup to read, "-" is standard input; 0 or an exit status. */
int backup_input(struct cli *cli, const char *name, int *fd);

/*
 * Sets the fault from the library's error about a backup by that name; returns
 * the exit status.
 */
int backup_fault(struct cli *cli, const char *name, cop_err error);

/* Prints what a backup is, for people and as JSON. */
void backup_print(FILE *to, const struct cop_backup_info *info);
void backup_json(const struct cop_backup_info *info, const char *name);

/*
 * Opens a store, checks all of it and closes it: prints each finding, and says
 * how many; they are damage.  0 or an exit status.
 */
int backup_check(struct cli *cli, const char *path);

#endif
