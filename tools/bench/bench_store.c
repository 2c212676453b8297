/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of generated entities and edges: keys are numbers, contents are
 * repeated text that depends on the number.
 */
#include "bench_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_run.h"

size_t bench_key(uint32_t entity, char out[BENCH_KEY_BYTES])
{
	uint32_t digit;

	out[0] = 'e';
	for (digit = 9; digit > 0; digit--) {
		out[digit] = (char)('0' + entity % 10);
		entity /= 10;
	}
	out[10] = '\0';
	return 10;
}

cop_store *bench_store_create(const char *path, uint32_t dim, int32_t metric,
			      uint32_t expected_entities)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = dim,
				      .metric = metric,
				      .expected_entities = expected_entities};
	const char *codes = getenv("BENCH_CODES");
	const char *signs = getenv("BENCH_SIGNS");
	const char *history = getenv("BENCH_HISTORY");
	cop_store *store = NULL;

	if (codes != NULL)
		options.codes = atoi(codes);
	options.signs = signs && *signs == '1';
	if (history != NULL && strcmp(history, "none") == 0)
		options.history = COP_HISTORY_NONE;
	if (history != NULL && strcmp(history, "all") == 0)
		options.history = COP_HISTORY_ALL;
	bench_check("cop_create", cop_create(path, &options));
	bench_check("cop_open", cop_open(path, NULL, &store));
	return store;
}

static void commit_full(cop_write *write, size_t limit)
{
	if (cop_write_count(write) >= limit)
		bench_check("cop_commit", cop_commit(write, NULL));
}

static void put_entity(cop_write *write, uint32_t dim,
		       const struct bench_filling *filling, uint32_t entity,
		       char *content)
{
	char key[BENCH_KEY_BYTES];
	struct cop_put put = {.size = sizeof put};

	put.key = key;
	put.key_size = (uint32_t)bench_key(entity, key);
	if (filling->type != NULL) {
		put.type = filling->type;
		put.type_size = strlen(filling->type);
	}
	if (filling->content_bytes >= sizeof key) {
		memcpy(content, key, put.key_size);
		put.content = content;
		put.content_size = filling->content_bytes;
	}
	if (filling->vectors != NULL) {
		put.vector = filling->vectors + (size_t)entity * dim;
		put.dim = dim;
	}
	bench_check("cop_put", cop_put(write, &put));
}

static void put_edges(cop_write *write, const struct bench_graph *graph,
		      uint32_t node)
{
	char source[BENCH_KEY_BYTES];
	char target[BENCH_KEY_BYTES];
	struct cop_put_edge put = {.size = sizeof put};
	uint32_t edge;

	put.source = source;
	put.source_size = bench_key(node, source);
	put.target = target;
	put.relation = "link";
	put.relation_size = 4;
	for (edge = graph->start[node]; edge < graph->start[node + 1]; edge++) {
		put.target_size = bench_key(graph->target[edge], target);
		bench_check("cop_put_edge", cop_put_edge(write, &put));
		commit_full(write, BENCH_BATCH);
	}
}

void bench_store_fill(cop_store *store, const struct bench_filling *filling)
{
	cop_write *write = NULL;
	char *content = bench_alloc(filling->content_bytes + 1);
	uint32_t entity;

	memset(content, 'x', filling->content_bytes);
	bench_check("cop_write_begin", cop_write_begin(store, &write));
	for (entity = 0; entity < filling->entities; entity++) {
		put_entity(write, cop_dim(store), filling, entity, content);
		commit_full(write, BENCH_BATCH);
	}
	commit_full(write, 1);
	if (filling->graph != NULL)
		for (entity = 0; entity < filling->graph->node_count; entity++)
			put_edges(write, filling->graph, entity);
	commit_full(write, 1);
	cop_abort(write);
	free(content);
}

uint64_t *bench_store_ids(cop_read *read, uint32_t count)
{
	uint64_t *ids = bench_alloc(count * sizeof *ids);
	char key[BENCH_KEY_BYTES];
	uint32_t index;

	for (index = 0; index < count; index++) {
		size_t size = bench_key(index, key);

		bench_check("cop_lookup",
			    cop_lookup(read, key, size, &ids[index]));
		if (ids[index] == 0)
			bench_fail("%s was put, but is not there", key);
	}
	return ids;
}
