/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of generated entities and edges.  See bench_store.c.
 */
#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "bench_graph.h"
#include "coppice.h"

enum { BENCH_KEY_BYTES = 16, BENCH_BATCH = 20000 };

/* What bench_store_fill() puts. */
struct bench_filling {
	uint32_t entities;
	uint32_t content_bytes;		 /* text of that size, 0: none */
	const float *vectors;		 /* entities x dim, NULL: none */
	const char *type;		 /* NULL: none */
	const struct bench_graph *graph; /* edges "link", NULL: none */
};

/* "e000000012": the key of entity 12.  Returns its size. */
size_t bench_key(uint32_t entity, char out[BENCH_KEY_BYTES]);

/* Creates a store and opens it. */
cop_store *bench_store_create(const char *path, uint32_t dim, int32_t metric,
			      uint32_t expected_entities);

/* Puts everything, BENCH_BATCH operations a commit. */
void bench_store_fill(cop_store *store, const struct bench_filling *filling);

/* Ids of entities 0 to count - 1; the caller frees them. */
uint64_t *bench_store_ids(cop_read *read, uint32_t count);

#endif
