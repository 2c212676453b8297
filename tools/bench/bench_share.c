/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches of several processes at once.
 *
 * idea
 *	Each process is a child that opens the store itself, makes a few
 *	searches so that its pages are there, and waits for a word; each is
 *	bound to a processor of its own.  All at the first width of the sweep
 *	that has a recall of 0.99.
 *	two processes	the sum of both rates against the rate of one.
 *			hnswlib's index is the parent's, shared by fork.
 *	beside a writer	a reader, whose read is brought to the newest commit
 *			before each search, alone and then beside a process
 *			that commits 1,000 vectors a second, ten a commit,
 *			each commit on disk when it returns.  The longest
 *			search is that of all rounds, its refresh included.
 *	a further process	bench_witness.c
 */
#include "bench_share.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_store.h"
#include "bench_witness.h"

enum {
	PROCESSES = 2,
	ROUNDS = 3,
	BATCH = 10, /* vectors a commit */
	COMMITS_A_SECOND = 100
};

/* What children tell; shared with them. */
struct told {
	double rate[PROCESSES];
	double longest_ms;
	double writer_cpu; /* share of a processor */
	double writer_rate;
	_Atomic int ready;   /* children that await the word */
	_Atomic int is_over; /* the writer stops */
};

/* Closed by the parent: go. */
struct word {
	int end[2];
};

static struct told *told_create(void)
{
	struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (told == MAP_FAILED)
		bench_fail("no memory");
	return told;
}

static void word_init(struct word *word)
{
	if (pipe(word->end) != 0)
		bench_fail("no pipe");
}

/* Once `count` children wait for it. */
static void word_give(struct word *word, struct told *told, int count)
{
	while (atomic_load(&told->ready) < count) {
		if (waitpid(-1, NULL, WNOHANG) > 0)
			bench_fail("a process has ended");
		usleep(1000);
	}
	close(word->end[0]);
	close(word->end[1]);
}

static void word_await(struct word *word, struct told *told)
{
	char byte;

	atomic_fetch_add(&told->ready, 1);
	close(word->end[1]);
	if (read(word->end[0], &byte, 1) != 0)
		bench_fail("the word is wrong");
}

/* In a child: a handle and a read of its own. */
static void open_again(struct ann *ann, enum ann_system system, int processor)
{
	ann_pin(processor);
	if (system != ANN_COPPICE)
		return;
	bench_check("cop_open", cop_open(ann->path, NULL, &ann->store));
	ann_look(ann);
}

/* ---- two processes ------------------------------------------------------ */

static double together(struct ann *ann, enum ann_system system, int count,
		       double seconds)
{
	uint32_t ef = ann->ef_good[system];
	struct told *told = told_create();
	struct word word;
	int pid[PROCESSES];
	double sum = 0;
	int index;

	word_init(&word);
	for (index = 0; index < count; index++) {
		pid[index] = bench_fork();
		if (pid[index] != 0)
			continue;
		open_again(ann, system, index);
		(void)ann_rate(ann, system, ef, 0, 0.05);
		word_await(&word, told);
		told->rate[index] =
		    ann_rate(ann, system, ef, (size_t)index * 5003, seconds);
		_exit(0);
	}
	word_give(&word, told, count);
	for (index = 0; index < count; index++) {
		bench_await(pid[index], "a searching process");
		sum += told->rate[index];
	}
	munmap(told, sizeof *told);
	return sum;
}

static void measure_pair(struct ann *ann, enum ann_system system)
{
	static struct bench_series one;
	static struct bench_series two;
	static struct bench_series ratio;
	double seconds = ann->bench->quick ? 0.1 : 0.5;
	int round;

	one.count = two.count = ratio.count = 0;
	for (round = 0; round < (ann->bench->quick ? 1 : ROUNDS); round++) {
		double alone = together(ann, system, 1, seconds);
		double both = together(ann, system, PROCESSES, seconds);

		bench_series_add(&one, alone);
		bench_series_add(&two, both);
		bench_series_add(&ratio, both / alone);
	}
	ann_add(ann, system, "qps_one_process", bench_series_median(&one),
		"1/s");
	ann_add(ann, system, "qps_two_processes", bench_series_median(&two),
		"1/s");
	ann_add(ann, system, "two_processes_to_one",
		bench_series_median(&ratio), "x");
}

/* ---- beside a writer ---------------------------------------------------- */

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void sleep_until(uint64_t until_ns)
{
	struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
				 .tv_nsec = (long)(until_ns % 1000000000)};

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void commit_batch(const struct ann *ann, cop_write *write,
			 const float *vectors, uint32_t first_key)
{
	struct cop_put put = {.size = sizeof put,
			      .dim = (uint32_t)ann->rows.columns};
	char key[BENCH_KEY_BYTES];
	uint32_t index;

	put.key = key;
	for (index = 0; index < BATCH; index++) {
		put.key_size = (uint32_t)bench_key(first_key + index, key);
		put.vector = vectors + (size_t)index * ann->rows.columns;
		bench_check("cop_put", cop_put(write, &put));
	}
	bench_check("cop_commit", cop_commit(write, NULL));
}

/* In a child, until it is over; room is for `commits` of them. */
static void writer_run(struct ann *ann, struct told *told, struct word *word,
		       uint32_t commits)
{
	size_t dim = ann->rows.columns;
	float *vectors =
	    bench_alloc((size_t)commits * BATCH * dim * sizeof(float));
	cop_write *write = NULL;
	uint64_t start_ns;
	double cpu;
	double seconds;
	uint32_t done;

	open_again(ann, ANN_COPPICE, 1);
	ann_look_away(ann);
	bench_check("cop_write_begin", cop_write_begin(ann->store, &write));
	for (done = 0; done < commits * BATCH; done++)
		ann_near(ann, (ann->next_key + done * 7919U) % ann->rows.rows,
			 ann->next_key + done, vectors + done * dim);
	word_await(word, told);
	cpu = cpu_seconds();
	start_ns = bench_now_ns();
	for (done = 0; done < commits && !atomic_load(&told->is_over); done++) {
		sleep_until(start_ns +
			    done * UINT64_C(1000000000) / COMMITS_A_SECOND);
		commit_batch(ann, write, vectors + (size_t)done * BATCH * dim,
			     ann->next_key + done * BATCH);
	}
	seconds = bench_seconds_since(start_ns);
	told->writer_cpu = (cpu_seconds() - cpu) / seconds;
	told->writer_rate = done * BATCH / seconds;
	_exit(0);
}

static void reader_run(struct ann *ann, struct told *told, struct word *word,
		       double seconds)
{
	uint32_t ef = ann->ef_good[ANN_COPPICE];
	uint32_t rows[ANN_K];
	uint64_t start_ns;
	uint64_t longest_ns = 0;
	uint64_t last_ns;
	size_t count = 0;

	open_again(ann, ANN_COPPICE, 0);
	(void)ann_rate(ann, ANN_COPPICE, ef, 0, 0.05);
	word_await(word, told);
	start_ns = last_ns = bench_now_ns();
	while (bench_seconds_since(start_ns) < seconds) {
		uint64_t now_ns;

		bench_check("cop_read_refresh", cop_read_refresh(ann->read));
		(void)ann_ask(ann, ANN_COPPICE, ef, count++ % ann->queries.rows,
			      rows);
		now_ns = bench_now_ns();
		if (now_ns - last_ns > longest_ns)
			longest_ns = now_ns - last_ns;
		last_ns = now_ns;
	}
	told->rate[0] = (double)count / bench_seconds_since(start_ns);
	told->longest_ms = (double)longest_ns / 1e6;
	_exit(0);
}

static struct told beside(struct ann *ann, int with_writer, double seconds)
{
	struct told *told = told_create();
	struct told copy;
	struct word word;
	uint32_t commits = (uint32_t)(seconds * COMMITS_A_SECOND) + 20;
	int reader;
	int writer = 0;

	word_init(&word);
	reader = bench_fork();
	if (reader == 0)
		reader_run(ann, told, &word, seconds);
	if (with_writer) {
		writer = bench_fork();
		if (writer == 0)
			writer_run(ann, told, &word, commits);
		ann->next_key += commits * BATCH;
	}
	word_give(&word, told, 1 + with_writer);
	bench_await(reader, "a reader");
	atomic_store(&told->is_over, 1);
	if (with_writer)
		bench_await(writer, "a writer");
	memcpy(&copy, told, sizeof copy);
	munmap(told, sizeof *told);
	return copy;
}

static void measure_beside(struct ann *ann)
{
	static struct bench_series series[2]; /* without, with */
	static struct bench_series ratio;
	static struct bench_series cpu;
	static struct bench_series rate;
	double longest_ms[2] = {0};
	double seconds = ann->bench->quick ? 0.3 : 2;
	int round;

	series[0].count = series[1].count = 0;
	ratio.count = cpu.count = rate.count = 0;
	for (round = 0; round < (ann->bench->quick ? 1 : ROUNDS); round++) {
		struct told told[2];
		int with;

		for (with = 0; with < 2; with++) {
			told[with] = beside(ann, with, seconds);
			bench_series_add(&series[with], told[with].rate[0]);
			if (told[with].longest_ms > longest_ms[with])
				longest_ms[with] = told[with].longest_ms;
		}
		bench_series_add(&ratio, told[1].rate[0] / told[0].rate[0]);
		bench_series_add(&cpu, told[1].writer_cpu);
		bench_series_add(&rate, told[1].writer_rate);
	}
	ann_add(ann, ANN_COPPICE, "reader_alone",
		bench_series_median(&series[0]), "1/s");
	ann_add(ann, ANN_COPPICE, "reader_beside_writer",
		bench_series_median(&series[1]), "1/s");
	ann_add(ann, ANN_COPPICE, "reader_ratio_beside_writer",
		bench_series_median(&ratio), "x");
	ann_add(ann, ANN_COPPICE, "longest_search_alone", longest_ms[0], "ms");
	ann_add(ann, ANN_COPPICE, "longest_search_beside_writer", longest_ms[1],
		"ms");
	ann_add(ann, ANN_COPPICE, "writer_cpu", 100 * bench_series_median(&cpu),
		"%");
	ann_add(ann, ANN_COPPICE, "writer_vectors_a_second",
		bench_series_median(&rate), "1/s");
}

/* ---- all ----------------------------------------------------------------- */

void ann_share(struct ann *ann)
{
	int system;

	witness_measure(ann); /* while this process still reads */
	ann_look_away(ann);
	for (system = 0; system < ANN_SYSTEMS; system++)
		if (ann_has(ann, (enum ann_system)system))
			measure_pair(ann, (enum ann_system)system);
	measure_beside(ann);
	ann_look(ann);
}
