/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports of large files by the command: wall time and memory, a format each.
 *
 * idea
 *	The files are made from a seed (bench_files.c): a million entities and
 *	five million edges as CSV and as GraphML, and a gigabyte of NDJSON; a
 *	tenth of it with --quick.  Each format goes into a store of its own.
 *	    import_files --write csv-nodes|csv-edges|graphml|ndjson >FILE
 *	writes one of the files, whole, and measures nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_files.h"
#include "bench_import.h"

enum { NODES = 1000000, EDGES = 5000000, NDJSON_BYTES = 1000000000 };

struct file {
	const char *kind;
	const char *name;
};

static const struct file files[] = {
    {"csv-nodes", "nodes.csv"},
    {"csv-edges", "edges.csv"},
    {"graphml", "graph.graphml"},
    {"ndjson", "entities.ndjson"},
};

enum { FILE_COUNT = sizeof files / sizeof *files };

/* Returns how many records were written, a part of the whole. */
static uint64_t write_kind(size_t kind, FILE *to, uint64_t part)
{
	switch (kind) {
	case 0: bench_files_csv_nodes(to, NODES / part); return NODES / part;
	case 1:
		bench_files_csv_edges(to, NODES / part, EDGES / part);
		return EDGES / part;
	case 2:
		bench_files_graphml(to, NODES / part, EDGES / part);
		return (NODES + EDGES) / part;
	default: return bench_files_ndjson(to, NDJSON_BYTES / part);
	}
}

/* What an import of this command's reads is in its help. */
static int knows(const struct importer *importer, const char *word)
{
	char line[4200];
	FILE *help;
	int is_found = 0;

	snprintf(line, sizeof line, "'%s' help import", importer->command);
	help = popen(line, "r");
	if (!help) {
		bench_fail("the help of import cannot be had");
		return 0;
	}
	while (fgets(line, sizeof line, help))
		is_found |= strstr(line, word) != NULL;
	if (pclose(help))
		bench_fail("the help of import cannot be had");
	return is_found;
}

static void import_kind(struct bench *bench, const struct importer *importer,
			size_t kind)
{
	char path[4200], subject[BENCH_TEXT_BYTES];
	char store[4096];
	char *arguments[] = {"coppice", "import", "--quiet", store, path, NULL};
	struct outcome outcome;
	uint64_t count;
	FILE *to;

	snprintf(path, sizeof path, "%s/%s", bench->folder, files[kind].name);
	snprintf(store, sizeof store, "%s", importer->store);
	to = fopen(path, "w");
	if (!to)
		bench_fail("%s cannot be made", path);
	count = write_kind(kind, to, bench->quick ? 10 : 1);
	snprintf(subject, sizeof subject, "%s: %" PRIu64 " records, %.0f MB",
		 files[kind].kind, count, (double)ftello(to) / 1e6);
	if (fclose(to))
		bench_fail("%s cannot be written", path);
	outcome = bench_import_run(importer, arguments);
	bench_import_add(bench, subject, (double)count, &outcome);
	unlink(path);
}

static void run(struct bench *bench)
{
	static struct importer importer;
	char name[16];
	char *init[] = {"coppice", "init", importer.store, "--dim", "2", NULL};

	bench_import_find(&importer);
	for (size_t kind = 0; kind < FILE_COUNT; kind++) {
		if (!strcmp(files[kind].kind, "graphml") &&
		    !knows(&importer, "graphml")) {
			bench_note("graphml: this command does not read it");
			continue;
		}
		snprintf(name, sizeof name, "store%zu", kind);
		/* the edges go where their entities are */
		if (kind != 1) {
			bench_path(bench, name, importer.store,
				   sizeof importer.store);
			(void)bench_import_run(&importer, init);
		}
		import_kind(bench, &importer, kind);
	}
}

int main(int argument_count, char **arguments)
{
	if (argument_count != 3 || strcmp(arguments[1], "--write") != 0)
		return bench_main("import_files", argument_count, arguments,
				  run);
	for (size_t kind = 0; kind < FILE_COUNT; kind++)
		if (!strcmp(arguments[2], files[kind].kind)) {
			(void)write_kind(kind, stdout, 1);
			return fclose(stdout) != 0;
		}
	fputs("--write csv-nodes|csv-edges|graphml|ndjson\n", stderr);
	return 2;
}
