/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of its own that opens the store, searches, and tells what it
 * holds alone.
 *
 * idea
 *	A forked child will not do: its allocator hands out what its parent
 *	freed, every page of which is copied when it is written to, and that
 *	says nothing of the store.  So this program is executed again, with the
 *	queries in a file; what is private is looked at when those are loaded,
 *	and again after the searches.  The parent has made the same ones, so
 *	what pages of the store they need are its, too.
 *
 * layout
 *	PROGRAM --witness STORE QUERIES DIM EF		prints the bytes
 */
#include "bench_witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_memory.h"

enum { SEARCHES = 500 };

static void search_all(cop_read *read, const float *queries, size_t dim,
		       uint32_t ef)
{
	struct cop_hit hits[ANN_K];
	uint32_t count;
	size_t query;

	for (query = 0; query < SEARCHES; query++) {
		struct cop_search search = {.size = sizeof search,
					    .k = ANN_K,
					    .strategy = COP_HNSW,
					    .ef = ef};

		search.vector = queries + query * dim;
		bench_check("cop_search",
			    cop_search(read, &search, hits, &count));
	}
}

static void witness_run(char **arguments)
{
	size_t dim = strtoul(arguments[4], NULL, 10);
	float *queries = bench_alloc(SEARCHES * dim * sizeof *queries);
	FILE *file = fopen(arguments[3], "rb");
	cop_store *store = NULL;
	cop_read *read = NULL;
	uint64_t before;
	uint64_t after;
	size_t there = 0;

	if (file != NULL) {
		there = fread(queries, sizeof *queries, SEARCHES * dim, file);
		fclose(file);
	}
	if (there != SEARCHES * dim)
		bench_fail("%s cannot be read", arguments[3]);
	before = bench_private_bytes(getpid());
	bench_check("cop_open", cop_open(arguments[2], NULL, &store));
	bench_check("cop_read_begin", cop_read_begin(store, &read));
	search_all(read, queries, dim,
		   (uint32_t)strtoul(arguments[5], NULL, 10));
	after = bench_private_bytes(getpid());
	printf("%" PRIu64 "\n", after > before ? after - before : 0);
	cop_read_end(read);
	cop_close(store);
	free(queries);
}

void witness_main(int argument_count, char **arguments)
{
	if (argument_count != 6 || strcmp(arguments[1], "--witness") != 0)
		return;
	witness_run(arguments);
	exit(0);
}

static void write_queries(const struct ann *ann, const char *path)
{
	size_t dim = ann->queries.columns;
	FILE *file = fopen(path, "wb");
	size_t query;

	for (query = 0; file != NULL && query < SEARCHES; query++)
		if (fwrite(ann->queries.data + query % ann->queries.rows * dim,
			   sizeof(float), dim, file) != dim)
			break;
	if (file == NULL || fclose(file) != 0 || query < SEARCHES)
		bench_fail("%s cannot be written", path);
}

void witness_measure(const struct ann *ann)
{
	uint32_t ef = ann->ef_good[ANN_COPPICE];
	char self[4096];
	char path[4096];
	char command[4 * 4096];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
	uint64_t bytes;
	uint32_t rows[ANN_K];
	size_t query;
	FILE *told;

	if (size <= 0)
		bench_fail("/proc/self/exe cannot be read");
	self[size] = '\0';
	for (query = 0; query < SEARCHES; query++)
		(void)ann_ask(ann, ANN_COPPICE, ef, query % ann->queries.rows,
			      rows);
	bench_path(ann->bench, "queries", path, sizeof path);
	write_queries(ann, path);
	snprintf(command, sizeof command, "'%s' --witness '%s' '%s' %zu %u",
		 self, ann->path, path, ann->queries.columns, ef);
	told = popen(command, "r");
	if (told == NULL || fscanf(told, "%" SCNu64, &bytes) != 1 ||
	    pclose(told) != 0)
		bench_fail("a further process has failed");
	ann_add(ann, ANN_COPPICE, "private_bytes_a_process", (double)bytes,
		"bytes");
}
