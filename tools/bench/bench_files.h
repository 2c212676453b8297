/* SPDX-License-Identifier: Apache-2.0 */
/* Files to import, made from a seed.  See bench_files.c. */
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

#include <stdint.h>
#include <stdio.h>

/*
 * Each writes `count` entities, or edges between entities 0 to nodes - 1, and
 * returns the number of bytes.
 */
uint64_t bench_files_csv_nodes(FILE *to, uint64_t count);
uint64_t bench_files_csv_edges(FILE *to, uint64_t nodes, uint64_t count);
uint64_t bench_files_graphml(FILE *to, uint64_t nodes, uint64_t edges);

/* The same, until there are `bytes`; returns how many entities there are. */
uint64_t bench_files_ndjson(FILE *to, uint64_t bytes);

#endif
