/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of the demonstration: started, watched, ended.  See crew.c.
 */
#ifndef DEMO_CREW_H
#define DEMO_CREW_H

#include <sys/types.h>

#include "board.h"

struct crew {
	struct board *board;
	int board_fd;
	const char *path;
	pid_t pid[BOARD_WORKERS_MAX + 1]; /* the last is the writer */
	uint32_t count;
};

/*
 * Starts the workers and the writer, lets them run to their end and waits
 * for all of them.  Returns 0, or -1 after saying who failed and how; no
 * process is left either way.
 */
int crew_run(struct crew *crew);

#endif
