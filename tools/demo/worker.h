/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The demonstration's other processes.  See worker.c and writer.c.
 */
#ifndef DEMO_WORKER_H
#define DEMO_WORKER_H

#include <stdint.h>

#include "board.h"

enum { NEWS_GRACE_MS = 5000, NEWS_LEAD_MS = 500 };

/* The main functions of a worker and of the writer: exit statuses. */
int worker_main(struct board *board, uint32_t index, const char *path);
int writer_main(struct board *board, const char *path);

#endif
