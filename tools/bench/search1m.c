/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approximate search as a store grows to a million vectors, or ten.
 *
 * idea
 *	Points near a plane of 16 dimensions in 128, drawn around 10,000
 *	centres (bench_random_plane), and 1,000 queries drawn with them that no
 *	store holds; L2.  The first 10,000, 100,000 and 1,000,000 of the same
 *	points, each built and searched: what a vector costs to build
 *	(build_a_vector), the distances that a search computes and its rate at
 *	a recall of 0.95 and 0.99, and what a vector costs that comes or goes
 *	may grow with the logarithm of their number; memory a vector and the
 *	time to attach may not grow.  search1m-growth.svg draws it.  The largest
 *	is also measured with several processes.
 *
 *	attach_hot	cop_open where another process has the store open
 *	attach_warm	the segment is there, but nobody has it open
 *	attach_image	it is not: it is read from its image
 *	Each in a new process.
 *
 * settings
 *	BENCH_ROWS=N	the largest set: a power of ten, from 1,000 on
 *	BENCH_EXACT	see bench_ann.c
 *
 * limits
 *	A million take some 3 GB of memory, and 2 GB of disk; a set for which
 *	there is not enough is left out.  Beyond a million hnswlib is, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bench_ann.h"
#include "bench_clock.h"
#include "bench_curve.h"
#include "bench_random.h"
#include "bench_share.h"
#include "bench_sweep.h"
#include "bench_upkeep.h"
#include "bench_witness.h"

enum {
	DIM = 128,
	PLANE = 16,
	CLUSTERS = 10000,
	PEER_ROWS_MAX = 1000000,
	OPENS = 5,
	/* bytes a vector: here, in shared memory and the peer; and on disk,
	   LMDB and the image */
	MEMORY = 4 * DIM + 1000,
	PEER_MEMORY = 4 * DIM + 300,
	DISK = 2000
};

static const char *const drawn[] = {"build_a_vector",
				    "qps_at_recall_0.95",
				    "qps_at_recall_0.99",
				    "distances_at_recall_0.95",
				    "distances_at_recall_0.99",
				    "memory_a_vector",
				    "attach_hot",
				    "attach_image",
				    "insert_both_a_vector",
				    "delete_both_a_vector",
				    NULL};

static struct ann ann;

/* ---- what fits ---------------------------------------------------------- */

static double memory_free(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kilobytes = 0;
	char line[128];

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "MemAvailable: %llu", &kilobytes) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return (double)kilobytes * 1024;
}

static double disk_free(const char *folder)
{
	struct statvfs status;

	if (statvfs(folder, &status) != 0)
		return 0;
	return (double)status.f_bavail * (double)status.f_frsize;
}

static int has_peer(size_t rows)
{
	return &bench_peer != NULL && rows <= PEER_ROWS_MAX;
}

static int fits(const struct bench *bench, size_t rows)
{
	double memory =
	    (double)rows * (MEMORY + (has_peer(rows) ? PEER_MEMORY : 0));
	double disk = (double)rows * DISK;

	if (memory <= memory_free() && disk <= disk_free(bench->folder))
		return 1;
	bench_note("%zu vectors left out: they take some %.1f GB of memory, "
		   "of which %.1f are free, and %.1f GB of disk, of which "
		   "%.1f are",
		   rows, memory / 1e9, memory_free() / 1e9, disk / 1e9,
		   disk_free(bench->folder) / 1e9);
	return 0;
}

static size_t rows_most(const struct bench *bench)
{
	const char *wanted = getenv("BENCH_ROWS");
	size_t most = bench->quick ? 10000 : 1000000;

	if (wanted != NULL && *wanted != '\0')
		most = strtoul(wanted, NULL, 10);
	if (most < 1000)
		bench_fail("BENCH_ROWS is below 1,000");
	while (most > 1000 && !fits(bench, most))
		most /= 10;
	return most;
}

/* ---- opening ------------------------------------------------------------ */

/* cop_open in a new process. */
static double open_ms(const char *path)
{
	double *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double milliseconds;
	int pid;

	if (told == MAP_FAILED)
		bench_fail("no memory");
	pid = bench_fork();
	if (pid == 0) {
		uint64_t start_ns = bench_now_ns();
		cop_store *store = NULL;

		bench_check("cop_open", cop_open(path, NULL, &store));
		*told = bench_seconds_since(start_ns) * 1e3;
		cop_close(store);
		_exit(0);
	}
	bench_await(pid, "a process that opens the store");
	milliseconds = *told;
	munmap(told, sizeof *told);
	return milliseconds;
}

static void measure_opens(const char *metric, int is_gone)
{
	static struct bench_series series;

	series.count = 0;
	while (series.count < OPENS) {
		if (is_gone)
			bench_check("cop_detach", cop_detach(ann.path));
		bench_series_add(&series, open_ms(ann.path));
	}
	ann_add(&ann, ANN_COPPICE, metric, bench_series_median(&series), "ms");
}

static void measure_attach(void)
{
	struct cop_checkpoint_result result = {.size = sizeof result};

	measure_opens("attach_hot", 0);
	ann_look_away(&ann);
	bench_check("cop_checkpoint", cop_checkpoint(ann.store, &result));
	cop_close(ann.store);
	measure_opens("attach_warm", 0);
	measure_opens("attach_image", 1);
	bench_check("cop_open", cop_open(ann.path, NULL, &ann.store));
	ann_look(&ann);
}

/* ---- searching ---------------------------------------------------------- */

/* Distances a search, at the first width with that recall. */
static void measure_distances(double recall, const char *metric)
{
	struct cop_search_report report = {.size = sizeof report};
	struct cop_search search = {.size = sizeof search,
				    .k = ANN_K,
				    .strategy = COP_HNSW,
				    .report = &report};
	struct cop_hit hits[ANN_K];
	double sum = 0;
	size_t point = 0;
	size_t query;

	while (point + 1 < ann.point_count &&
	       ann.recall[ANN_COPPICE][point] < recall)
		point++;
	search.ef = ann_efs[point];
	for (query = 0; query < ann.queries.rows; query++) {
		uint32_t count = 0;

		search.vector = ann.queries.data + query * DIM;
		bench_check("cop_search",
			    cop_search(ann.read, &search, hits, &count));
		sum += report.evaluated;
	}
	ann_add(&ann, ANN_COPPICE, metric, sum / (double)ann.queries.rows, "");
}

static void measure(struct bench *bench, float *vectors, size_t rows,
		    const struct bench_matrix *queries, int is_largest)
{
	char name[64];

	snprintf(name, sizeof name, "mixture_%zu", rows);
	memset(&ann, 0, sizeof ann);
	ann.bench = bench;
	ann.name = name;
	ann.metric = COP_L2;
	ann.is_alone = !has_peer(rows);
	ann.rows = (struct bench_matrix){vectors, rows, DIM};
	ann.queries = *queries;
	ann_open(&ann);
	ann_sweep(&ann);
	measure_distances(0.95, "distances_at_recall_0.95");
	measure_distances(0.99, "distances_at_recall_0.99");
	measure_attach();
	if (is_largest)
		ann_share(&ann);
	ann_upkeep(&ann);
	ann_close(&ann);
}

static void run(struct bench *bench)
{
	size_t most = rows_most(bench);
	struct bench_matrix queries = {.rows = bench->quick ? 200 : 1000,
				       .columns = DIM};
	size_t rows = bench->quick ? 1000 : 10000;
	float *vectors;

	if (&bench_peer == NULL)
		bench_note("hnswlib left out: not installed");
	vectors =
	    bench_random_plane(5, most + queries.rows, DIM, PLANE, CLUSTERS);
	queries.data = vectors + most * DIM;
	for (; rows < most; rows *= 10)
		measure(bench, vectors, rows, &queries, 0);
	measure(bench, vectors, most, &queries, 1);
	free(vectors);
	if (bench_curve_write(bench) != 0 ||
	    bench_curve_grow(bench, drawn) != 0)
		bench_fail("cannot write the curves");
}

int main(int argument_count, char **arguments)
{
	witness_main(argument_count, arguments);
	return bench_main("search1m", argument_count, arguments, run);
}
