/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long it takes to open a store.
 *
 * idea
 *	A store of 100,000 entities with vectors of 128 dimensions and 160,000
 *	edges, and one of a million.
 *	build	cop_open when no segment is in memory: it is built from LMDB
 *	image	cop_checkpoint, and again after a commit made meanwhile
 *	load	cop_open when no segment is in memory, but an image is on disk
 *	attach	cop_open in a new program (fork and exec) while another process
 *		has the store open; the target is 5 ms
 *	return	cop_open in a new program when nobody has it open any more
 *	reopen	cop_close and cop_open in the same process
 *	first	the new program's first search of all
 *
 *	Private memory is reported while the other process, which has searched
 *	too, is there: pages that only one process has touched look private.
 */
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_memory.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum { DIM = 128, BUILDS = 3, ATTACHES = 21 };

/* What a new program measures and prints. */
struct attached {
	double open_ms;
	double first_ms;
	double exec_ms; /* from before fork to main, cop_open and a search */
	uint64_t private_bytes;
};

static cop_store *open_store(const char *path, double *milliseconds)
{
	cop_store *store = NULL;
	uint64_t start_ns = bench_now_ns();

	bench_check("cop_open", cop_open(path, NULL, &store));
	*milliseconds = bench_seconds_since(start_ns) * 1e3;
	return store;
}

static double first_search_ms(cop_store *store)
{
	float query[DIM] = {1};
	struct cop_search search = {
	    .size = sizeof search, .k = 10, .vector = query};
	struct cop_hit hits[10];
	uint32_t count = 0;
	cop_read *read = NULL;
	uint64_t start_ns = bench_now_ns();
	double milliseconds;

	bench_check("cop_read_begin", cop_read_begin(store, &read));
	bench_check("cop_search", cop_search(read, &search, hits, &count));
	milliseconds = bench_seconds_since(start_ns) * 1e3;
	if (count != 10)
		bench_fail("a search gave %u hits", count);
	cop_read_end(read);
	return milliseconds;
}

/* The new program: attach measure STORE */
static int measure_main(const char *path)
{
	double open_ms;
	cop_store *store = open_store(path, &open_ms);
	double first_ms = first_search_ms(store);

	printf("%.6f %.6f %llu\n", open_ms, first_ms,
	       (unsigned long long)bench_private_bytes(getpid()));
	cop_close(store);
	return 0;
}

static struct attached attach(const char *path)
{
	struct attached attached;
	unsigned long long private_bytes;
	uint64_t start_ns = bench_now_ns();
	int pipe_fd[2];
	FILE *answer;
	int pid;

	if (pipe(pipe_fd) != 0)
		bench_fail("no pipe");
	pid = bench_fork();
	if (pid == 0) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		execl("/proc/self/exe", "attach", "measure", path,
		      (char *)NULL);
		_exit(127);
	}
	close(pipe_fd[1]);
	answer = fdopen(pipe_fd[0], "r");
	if (answer == NULL || fscanf(answer, "%lf %lf %llu", &attached.open_ms,
				     &attached.first_ms, &private_bytes) != 3)
		bench_fail("the new program did not answer");
	attached.exec_ms = bench_seconds_since(start_ns) * 1e3;
	attached.private_bytes = private_bytes;
	fclose(answer);
	bench_await(pid, "the new program");
	return attached;
}

/* Edges between random entities. */
static void fill(const char *path, uint32_t entities)
{
	struct bench_graph graph;
	struct bench_filling filling = {.entities = entities,
					.content_bytes = 100,
					.type = "thing",
					.graph = &graph};
	float *vectors = bench_random_mixture(1, entities, DIM, 100);
	cop_store *store = bench_store_create(path, DIM, COP_L2, entities);

	bench_graph_init(&graph, 2, entities, entities / 10 * 16);
	filling.vectors = vectors;
	bench_store_fill(store, &filling);
	cop_close(store);
	bench_graph_release(&graph);
	free(vectors);
}

static void measure_builds(struct bench *bench, const char *subject,
			   const char *path)
{
	struct bench_series builds = {0};
	int round;

	for (round = 0; round < BUILDS; round++) {
		double milliseconds;

		bench_check("cop_detach", cop_detach(path));
		cop_close(open_store(path, &milliseconds));
		bench_series_add(&builds, milliseconds);
	}
	bench_add(bench, subject, "build the segment", "cop_open",
		  bench_series_median(&builds), "ms");
}

static double write_something(cop_store *store, const char *key)
{
	struct cop_put put = {.size = sizeof put, .key = key};
	uint64_t start_ns = bench_now_ns();
	cop_write *write = NULL;

	put.key_size = (uint32_t)strlen(key);
	bench_check("cop_write_begin", cop_write_begin(store, &write));
	bench_check("cop_put", cop_put(write, &put));
	bench_check("cop_commit", cop_commit(write, NULL));
	cop_abort(write);
	return bench_seconds_since(start_ns) * 1e3;
}

/* A process that commits until it is killed. */
static int start_writer(const char *path)
{
	int pid = bench_fork();
	unsigned number = 0;

	if (pid == 0) {
		double milliseconds;
		cop_store *store = open_store(path, &milliseconds);

		for (;;) {
			char key[32];

			snprintf(key, sizeof key, "w%u", number++ % 100);
			write_something(store, key);
		}
	}
	usleep(100000);
	return pid;
}

static void add_image(struct bench *bench, const char *subject,
		      const char *system,
		      const struct cop_checkpoint_result *result)
{
	bench_add(bench, subject, system, "cop_checkpoint",
		  (double)result->ns / 1e6, "ms");
	bench_add(bench, subject, system, "writer lock held",
		  (double)result->locked_ns / 1e6, "ms");
	bench_add(bench, subject, system, "chunks packed under it",
		  (double)result->chunks_locked, "");
	bench_add(bench, subject, system, "of the segment",
		  (double)result->segment_bytes / 1e6, "MB");
	bench_add(bench, subject, system, "file", (double)result->bytes / 1e6,
		  "MB");
}

static void measure_images(struct bench *bench, const char *subject,
			   const char *path)
{
	struct cop_checkpoint_result result = {.size = sizeof result};
	struct bench_series loads = {0};
	double milliseconds;
	cop_store *store = open_store(path, &milliseconds);
	int round;
	int pid;

	bench_check("cop_checkpoint", cop_checkpoint(store, &result));
	add_image(bench, subject, "image, nobody writes", &result);
	pid = start_writer(path);
	bench_check("cop_checkpoint", cop_checkpoint(store, &result));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	add_image(bench, subject, "image, another commits", &result);
	cop_close(store);
	for (round = 0; round < BUILDS; round++) {
		bench_check("cop_detach", cop_detach(path));
		cop_close(open_store(path, &milliseconds));
		bench_series_add(&loads, milliseconds);
	}
	bench_add(bench, subject, "load the image", "cop_open",
		  bench_series_median(&loads), "ms");
}

static void measure_attaches(struct bench *bench, const char *subject,
			     const char *path, const char *system, int kept)
{
	static struct bench_series series[4];
	int round;

	memset(series, 0, sizeof series);
	for (round = 0; round < ATTACHES; round++) {
		struct attached attached = attach(path);

		bench_series_add(&series[0], attached.open_ms);
		bench_series_add(&series[1], attached.first_ms);
		bench_series_add(&series[2], attached.exec_ms);
		bench_series_add(&series[3],
				 (double)attached.private_bytes / 1e6);
	}
	bench_add(bench, subject, system, "cop_open",
		  bench_series_median(&series[0]), "ms");
	bench_add(bench, subject, system, "cop_open, slowest",
		  bench_series_quantile(&series[0], 1), "ms");
	bench_add(bench, subject, system, "first search",
		  bench_series_median(&series[1]), "ms");
	bench_add(bench, subject, system, "start to first answer",
		  bench_series_median(&series[2]), "ms");
	if (kept)
		bench_add(bench, subject, system, "private memory",
			  bench_series_median(&series[3]), "MB");
}

static void measure_reopens(struct bench *bench, const char *subject,
			    const char *path)
{
	struct bench_series opens = {0};
	struct bench_series closes = {0};
	int round;

	for (round = 0; round < ATTACHES; round++) {
		double milliseconds;
		cop_store *store = open_store(path, &milliseconds);
		uint64_t start_ns = bench_now_ns();

		cop_close(store);
		bench_series_add(&closes, bench_seconds_since(start_ns) * 1e3);
		bench_series_add(&opens, milliseconds);
	}
	bench_add(bench, subject, "again, same process", "cop_open",
		  bench_series_median(&opens), "ms");
	bench_add(bench, subject, "again, same process", "cop_close",
		  bench_series_median(&closes), "ms");
}

static void run_size(struct bench *bench, uint32_t entities)
{
	char subject[64];
	char name[32];
	char path[4096];
	double milliseconds;
	cop_store *store;

	snprintf(subject, sizeof subject, "%u entities x %d, %u edges",
		 entities, DIM, entities / 10 * 16);
	snprintf(name, sizeof name, "store%u", entities);
	bench_path(bench, name, path, sizeof path);
	fill(path, entities);
	measure_builds(bench, subject, path);
	measure_images(bench, subject, path);
	store = open_store(path, &milliseconds);
	/* A page that one process alone has touched counts as its own. */
	(void)first_search_ms(store);
	measure_attaches(bench, subject, path, "attach, new program", 1);
	cop_close(store);
	measure_attaches(bench, subject, path, "return, new program", 0);
	measure_reopens(bench, subject, path);
	bench_check("cop_detach", cop_detach(path));
}

static void run(struct bench *bench)
{
	/* images are taken where it is said */
	setenv("COPPICE_CHECKPOINT", "0", 1);
	run_size(bench, bench->quick ? 10000 : 100000);
	if (!bench->quick)
		run_size(bench, 1000000);
}

int main(int argument_count, char **arguments)
{
	if (argument_count == 3 && strcmp(arguments[1], "measure") == 0)
		return measure_main(arguments[2]);
	return bench_main("attach", argument_count, arguments, run);
}
