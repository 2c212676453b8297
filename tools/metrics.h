/* SPDX-License-Identifier: Apache-2.0 */
/* A store's figures for Prometheus, and for JSON: one table; metrics.c. */
#ifndef TOOLS_METRICS_H
#define TOOLS_METRICS_H

#include "coppice.h"

#include <jansson.h>
#include <stdio.h>

/* The figures of a moment; those of both places are of whole file systems. */
struct metrics {
	struct cop_stats stats;
	struct cop_figures figures;
	uint64_t shm_bytes; /* that could be had where the segment is */
	uint64_t shm_free;
	uint64_t folder_bytes; /* and where the store's folder is */
	uint64_t folder_free;
};

/* Takes the figures; `path` is the store's.  Returns the library's error. */
cop_err metrics_take(cop_store *store, cop_read *read, const char *path,
		     struct metrics *out);

/*
 * Prints them as Prometheus reads them (text format 0.0.4).
 * label	what every sample says of its store, UTF-8; NULL: nothing
 */
void metrics_print(FILE *to, const struct metrics *metrics, const char *label);

/* All rows by their names, in their own units; NULL without memory. */
json_t *metrics_json(const struct metrics *metrics);

/* What histogram `timing` (enum cop_timing) is called in JSON. */
const char *metrics_timing(uint32_t timing);

#endif
