/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports by the command: wall time and memory.
 *
 * idea
 *	`coppice import` of the Open English WordNet as a child process: nodes
 *	(NDJSON), edges (CSV), vectors (.npy), each as a user would.  Beside the
 *	wall time, three figures of memory:
 *	peak resident	ru_maxrss of wait4(); it counts the pages of the shared
 *			segment and of LMDB's map that the child touched
 *	peak private	Private_* of its smaps_rollup, looked at every 20 ms;
 *			while it is the only process, pages of the segment and
 *			of LMDB that it touched are among them
 *	peak allocated	Anonymous there: what the import itself needs
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_memory.h"
#include "bench_npy.h"
#include "bench_run.h"

enum { SAMPLE_MS = 20, ARGUMENTS_MAX = 8 };

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
static void find_command(struct importer *importer)
{
	const char *given = getenv("COPPICE");
	ssize_t size;
	int level;

	if (given != NULL && *given != '\0') {
		snprintf(importer->command, sizeof importer->command, "%s",
			 given);
		return;
	}
	size = readlink("/proc/self/exe", importer->command,
			sizeof importer->command - 16);
	if (size <= 0)
		bench_fail("/proc/self/exe cannot be read");
	importer->command[size] = '\0';
	for (level = 0; level < 2; level++)
		*strrchr(importer->command, '/') = '\0';
	strcat(importer->command, "/coppice");
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void await(int pid, const char *what, struct outcome *outcome)
{
	struct rusage usage;
	int status;
	uint64_t start_ns = bench_now_ns();
	uint64_t most = 0;
	uint64_t most_own = 0;

	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		uint64_t bytes = bench_private_bytes(pid);
		uint64_t own = bench_anonymous_bytes(pid);

		most = bytes > most ? bytes : most;
		most_own = own > most_own ? own : most_own;
		nanosleep(&(struct timespec){.tv_nsec = SAMPLE_MS * 1000000L},
			  NULL);
	}
	if (status != 0)
		bench_fail("%s failed: status 0x%x", what, (unsigned)status);
	outcome->seconds = bench_seconds_since(start_ns);
	outcome->cpu_seconds =
	    seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
	outcome->resident_mb = (double)usage.ru_maxrss / 1e3;
	outcome->private_mb = (double)most / 1e6;
	outcome->allocated_mb = (double)most_own / 1e6;
}

static struct outcome run_command(const struct importer *importer,
				  char *const arguments[])
{
	struct outcome outcome;
	int pid = bench_fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		execv(importer->command, arguments);
		fprintf(stderr, "%s: %s\n", importer->command, strerror(errno));
		_exit(127);
	}
	await(pid, arguments[1], &outcome);
	return outcome;
}

static void add(struct bench *bench, const char *subject, double records,
		const struct outcome *outcome)
{
	bench_add(bench, subject, "coppice import", "wall time",
		  outcome->seconds, "s");
	bench_add(bench, subject, "coppice import", "processor time",
		  outcome->cpu_seconds, "s");
	bench_add(bench, subject, "coppice import", "records a second",
		  records / outcome->seconds, "1/s");
	bench_add(bench, subject, "coppice import", "peak allocated memory",
		  outcome->allocated_mb, "MB");
	bench_add(bench, subject, "coppice import", "peak private memory",
		  outcome->private_mb, "MB");
	bench_add(bench, subject, "coppice import", "peak resident memory",
		  outcome->resident_mb, "MB");
}

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
	outcome = run_command(importer, arguments);
	add(bench, subject, records, &outcome);
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
	find_command(&importer);
	bench_path(bench, "store", importer.store, sizeof importer.store);
	(void)run_command(&importer, init);
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
