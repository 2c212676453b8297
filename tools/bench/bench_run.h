/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a benchmark: arguments, a folder that goes away, rows that
 * come out as a table, JSON and a plot.  See bench_run.c.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "coppice.h"

enum { BENCH_ROWS_MAX = 4096, BENCH_TEXT_BYTES = 96 };

struct bench_row {
	char subject[BENCH_TEXT_BYTES]; /* the case */
	char system[BENCH_TEXT_BYTES];
	char metric[BENCH_TEXT_BYTES];
	double value;
	char unit[BENCH_TEXT_BYTES];
	int is_point; /* of a curve: in NAME.json alone */
};

struct bench {
	const char *name;
	const char *out;   /* folder of NAME.json and NAME.svg */
	int quick;	   /* --quick or BENCH_QUICK: a tenth of the size */
	char folder[4000]; /* for stores, removed at the end */
	size_t row_count;
	struct bench_row row[BENCH_ROWS_MAX];
};

/*
 * Runs `run` in a process of its own, then prints and writes its rows; stores
 * under bench->folder and their shared memory are removed however it ends.
 * Returns	the exit status.
 */
int bench_main(const char *name, int argument_count, char **arguments,
	       void (*run)(struct bench *bench));

void bench_add(struct bench *bench, const char *subject, const char *system,
	       const char *metric, double value, const char *unit);

/* The same for a point of a curve, which neither table nor bars show. */
void bench_add_point(struct bench *bench, const char *subject,
		     const char *system, const char *metric, double value,
		     const char *unit);

/* A line of text under the header, for what was left out and why. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the benchmark with a message. */
_Noreturn void bench_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* Ends the benchmark if error is not 0. */
void bench_check(const char *what, cop_err error);

/* 64-byte aligned, the size rounded up; ends the benchmark without memory. */
void *bench_alloc(size_t bytes);

/* The path of a store under bench->folder. */
void bench_path(const struct bench *bench, const char *store, char *out,
		size_t room);

/*
 * A child that dies with its parent; the caller ends the child with _exit.
 * As fork().
 */
int bench_fork(void);
/* Waits for a child; ends the benchmark if its status is not 0. */
void bench_await(int pid, const char *what);

/* "1,234", "12.3", "0.0123" */
const char *bench_number(double value, char out[32]);

#endif
