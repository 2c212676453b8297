/* SPDX-License-Identifier: Apache-2.0 */
/* A line on stderr that says how far an import is; progress.c. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdint.h>

enum progress_mode { PROGRESS_AUTO, PROGRESS_NEVER, PROGRESS_ALWAYS };

struct progress {
	int is_on;
	int is_terminal;
	int is_drawn;
	uint64_t total; /* bytes, 0: not known */
	uint64_t begin_ns;
	uint64_t next_ns;
};

void progress_begin(struct progress *progress, int mode, uint64_t total);

/* Draws the line if it is time to. */
void progress_step(struct progress *progress, uint64_t bytes, uint64_t records);

/* The same while edges are put that have waited for it. */
void progress_put(struct progress *progress, uint64_t done, uint64_t count);

/* Wipes the line. */
void progress_end(struct progress *progress);

/* What this process had in memory at most, what it saw of the store's, too. */
uint64_t progress_peak(void);

/* Since progress_begin. */
double progress_seconds(const struct progress *progress);

#endif
