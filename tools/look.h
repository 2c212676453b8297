/* SPDX-License-Identifier: Apache-2.0 */
/* What processes do with a store, from two looks at it; look.c. */
#ifndef TOOLS_LOOK_H
#define TOOLS_LOOK_H

#include "args.h"

enum { LOOK_NAME_BYTES = 32 };

struct look_process {
	struct cop_process is; /* its name and figures are those below */
	char name[LOOK_NAME_BYTES];
	struct cop_figures figures;
	double private_bytes; /* NaN: not to be known */
};

struct look {
	uint64_t ns; /* when it was, by the monotonic clock */
	struct cop_stats stats;
	struct cop_figures figures;
	uint32_t open;		  /* reads, this process's not counted */
	struct cop_reader oldest; /* of them; pid 0: there are none */
	char oldest_name[LOOK_NAME_BYTES];
	struct look_process *processes; /* but this one */
	size_t count;
	size_t room;
	size_t next; /* whose memory is to be read first, the next time */
};

/* The option's value as seconds between two looks; 0 or an exit status. */
int look_interval(struct cli *cli, double *seconds);

/* Waits for so long. */
void look_sleep(double seconds);

/* The figures of all; 0 or an exit status. */
int look_figures(struct cli *cli, struct cop_figures *out);

/*
 * Looks at everything; both begun as zeros; 0 or an exit status.
 * before	the look before
 */
int look_take(struct cli *cli, struct look *look, const struct look *before);
void look_release(struct look *look);

/*
 * The same process in an earlier look, or NULL, from *at on, which begins at
 * 0: looks list processes by their places.
 */
const struct look_process *look_before(const struct look *before,
				       const struct cop_process *is,
				       size_t *at);

/* Makes figures those of the time since an earlier look. */
void look_since(struct cop_figures *now, const struct cop_figures *before);

/* A quantile of a histogram, NaN if it is of nothing. */
double look_quantile(const struct cop_histogram *histogram, double share);

/* What a part is of the whole, NaN if that is nothing. */
double look_share(uint64_t part, uint64_t whole);

#endif
