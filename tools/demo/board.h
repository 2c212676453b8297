/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blackboard of a demonstration: what its processes tell one another
 * beside the store.  See board.c.
 */
#ifndef DEMO_BOARD_H
#define DEMO_BOARD_H

#include <stdint.h>

#include "coppice.h"

enum {
	BOARD_WORKERS_MAX = 16,
	BOARD_NEWS_MAX = 1000,
	BOARD_SAMPLES = 1024,
	BOARD_WALKS = 20 /* walks after each search */
};

/* What a worker found, written by it alone until it says `done`. */
struct board_worker {
	uint64_t searches;
	uint64_t walks;
	uint64_t steps; /* of all walks */
	uint64_t run_ns;
	uint64_t search_ns; /* inside cop_search, all searches together */
	uint64_t private_bytes;
	uint64_t resident_bytes;
	uint64_t open_ns; /* how long cop_open took */
	uint32_t news_found;
	uint32_t pad;
	uint64_t found_ns[BOARD_NEWS_MAX]; /* CLOCK_MONOTONIC */
};

struct board {
	/* fixed before any process starts */
	uint32_t worker_count;
	uint32_t news_count;
	uint32_t gap_ms; /* between two new entities */
	uint32_t run_ms;
	uint32_t sample_count;
	uint32_t pad;
	uint64_t sample[BOARD_SAMPLES]; /* ids to search and walk from */
	/* atomic, any process; touched by board.c alone */
	_Atomic uint32_t ready;
	_Atomic uint32_t go;
	_Atomic uint32_t done;
	_Atomic uint32_t dismissed;
	_Atomic uint64_t commit_ns[BOARD_NEWS_MAX];
	/* one process each; read when it said `done` */
	struct board_worker worker[BOARD_WORKERS_MAX];
	uint64_t writer_commit_ns[BOARD_NEWS_MAX]; /* time in cop_commit */
};

/* Makes a board; *fd is inherited by programs started from here. */
int board_create(struct board **out, int *fd);
/* Maps the board of a descriptor that was inherited. */
int board_attach(struct board **out, int fd);
void board_release(struct board *board);

uint64_t board_clock_ns(void);

/* A process has opened the store; it then waits for all the others. */
void board_ready(struct board *board);
uint32_t board_ready_count(struct board *board);
void board_go(struct board *board);
void board_await_go(struct board *board);

/* A process has written its figures; it stays attached until dismissed. */
void board_done(struct board *board);
uint32_t board_done_count(struct board *board);
void board_dismiss(struct board *board);
void board_await_dismissal(struct board *board);

/* When the commit of a new entity returned; 0: not yet. */
void board_note_commit(struct board *board, uint32_t news, uint64_t ns);
uint64_t board_commit_ns(struct board *board, uint32_t news);

/* "news.000012", and the vector that nobody else has. */
void board_news_key(uint32_t news, char out[32]);
void board_news_vector(uint32_t news, float *out);

/* Prints "coppice-demo: ..." and returns -1; with the store's own words. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
int complain_cop(const char *what, cop_err error);

#endif
