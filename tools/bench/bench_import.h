/* SPDX-License-Identifier: Apache-2.0 */
/* The command as a child process: what it takes.  See bench_import.c. */
#ifndef BENCH_IMPORT_H
#define BENCH_IMPORT_H

#include "bench_run.h"

struct importer {
	char command[4096]; /* the coppice binary */
	char store[4096];
};

struct outcome {
	double seconds;
	double cpu_seconds;
	double resident_mb;
	double private_mb;
	double allocated_mb;
};

/* COPPICE, or coppice in the folder above this program's. */
void bench_import_find(struct importer *importer);

/* Runs the command; ends the benchmark if it fails. */
struct outcome bench_import_run(const struct importer *importer,
				char *const arguments[]);

void bench_import_add(struct bench *bench, const char *subject, double records,
		      const struct outcome *outcome);

#endif
