/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports by the command: wall time and memory.
 *
 * idea
 *	`coppice import` of the Open English WordNet as a child process: nodes
 *	(NDJSON), edges (CSV), vectors (.npy), each as a user would.
 */
#include <string.h>

#include "bench_import.h"
#include "bench_npy.h"

enum { ARGUMENTS_MAX = 8 };

static void import_file(struct bench *bench, struct importer *importer,
			const char *subject, const char *file, const char *ids,
			double records)
{
	char path[4096];
	char ids_path[4096];
	char *arguments[ARGUMENTS_MAX] = {"coppice",	   "import", "--quiet",
					  importer->store, path,     NULL};
	struct outcome outcome;

	if (bench_data_path(file, path, sizeof path) != 0)
		bench_fail("the test data has no %s", file);
	if (ids != NULL) {
		if (bench_data_path(ids, ids_path, sizeof ids_path) != 0)
			bench_fail("the test data has no %s", ids);
		arguments[5] = "--ids";
		arguments[6] = ids_path;
	}
	outcome = bench_import_run(importer, arguments);
	bench_import_add(bench, subject, records, &outcome);
}

static void check_figures(const struct importer *importer)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_store *store = NULL;
	cop_read *read = NULL;

	bench_check("cop_open", cop_open(importer->store, NULL, &store));
	bench_check("cop_read_begin", cop_read_begin(store, &read));
	bench_check("cop_stat", cop_stat(read, &stats));
	cop_read_end(read);
	cop_close(store);
	if (stats.entities != 120068 || stats.edges != 160238 ||
	    stats.vectors != 120066)
		bench_fail("%llu entities, %llu edges, %llu vectors",
			   (unsigned long long)stats.entities,
			   (unsigned long long)stats.edges,
			   (unsigned long long)stats.vectors);
	bench_note("the store takes %.1f MB on disk, %.1f MB shared",
		   (double)stats.disk_bytes / 1e6,
		   (double)stats.shared_bytes / 1e6);
}

static void run(struct bench *bench)
{
	static struct importer importer;
	char path[4096];
	char *init[] = {"coppice", "init",     importer.store, "--dim",
			"128",	   "--metric", "cosine",       NULL};

	if (bench_data_path("oewn/oewn2022_nodes.jsonl.gz", path,
			    sizeof path) != 0) {
		bench_note("left out: no test data");
		return;
	}
	bench_import_find(&importer);
	bench_path(bench, "store", importer.store, sizeof importer.store);
	(void)bench_import_run(&importer, init);
	import_file(bench, &importer, "oewn: 120,068 entities, NDJSON",
		    "oewn/oewn2022_nodes.jsonl.gz", NULL, 120068);
	import_file(bench, &importer, "oewn: 160,238 edges, CSV",
		    "oewn/oewn2022_edges.csv.gz", NULL, 160238);
	import_file(bench, &importer, "oewn: 120,066 vectors x 128, npy",
		    "oewn/oewn2022_lsa128_f16.npy",
		    "oewn/oewn2022_lsa128_ids.txt", 120066);
	check_figures(&importer);
}

int main(int argument_count, char **arguments)
{
	return bench_main("import", argument_count, arguments, run);
}
