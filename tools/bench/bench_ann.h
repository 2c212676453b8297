/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of vectors in a store and in hnswlib, and the same questions to both.
 * See bench_ann.c.
 */
#ifndef BENCH_ANN_H
#define BENCH_ANN_H

#include "bench_hnswlib.h"
#include "bench_npy.h"
#include "bench_run.h"
#include "bench_truth.h"

enum {
	ANN_K = 10,
	ANN_POINTS = 14, /* of a sweep, at most */
	ANN_ROUNDS = 5,	 /* at most */
	ANN_THREADS = 2, /* that build */
	ANN_SPARE = 4096 /* vectors that hnswlib may be given later */
};

enum ann_system { ANN_COPPICE, ANN_HNSWLIB, ANN_SYSTEMS };

extern const char *const ann_names[ANN_SYSTEMS];

struct ann {
	/* set by the caller, who frees what they point to afterwards */
	struct bench *bench;
	const char *name; /* the case */
	int32_t metric;	  /* COP_COSINE: rows and queries of unit length */
	struct bench_matrix rows;
	struct bench_matrix queries;
	const uint32_t *self; /* see struct bench_truth; NULL: none */
	int32_t is_alone;     /* 1: no hnswlib beside it */
	/* adds to what is put of a row, tags say; NULL: nothing */
	void (*dress)(const struct ann *ann, uint32_t row, struct cop_put *put);

	/* set by ann_open */
	char path[4096];
	int32_t exact; /* BENCH_EXACT: rank by the float32 that was put */
	struct bench_truth truth;
	cop_store *store;
	cop_read *read;
	uint64_t *id_of;  /* a row */
	uint32_t *row_of; /* an id, up to id_most */
	uint64_t id_most;
	struct bench_hnswlib *peer; /* NULL: there is none */
	uint32_t next_key;	    /* that is not in the store yet */
	double build_seconds[ANN_SYSTEMS];
	double commit_seconds;	 /* of them, ours */
	double maintain_seconds; /* and these */

	/* set by ann_sweep */
	size_t point_count;
	size_t round_count;
	double recall[ANN_SYSTEMS][ANN_POINTS];
	double rate[ANN_SYSTEMS][ANN_POINTS][ANN_ROUNDS]; /* queries a second */
	uint32_t ef_good[ANN_SYSTEMS]; /* first with a recall of 0.99 */
};

/* The widths of a sweep, ascending. */
extern const uint32_t ann_efs[ANN_POINTS];

/* Finds the truth, builds both, and reports what that took. */
void ann_open(struct ann *ann);
/* The store alone: no truth, no peer, no report. */
void ann_fill(struct ann *ann);
void ann_close(struct ann *ann);

/* One search; returns how many rows it found. */
size_t ann_ask(const struct ann *ann, enum ann_system system, uint32_t ef,
	       size_t query, uint32_t rows[ANN_K]);

/* Queries a second over a slice of time, beginning with query `first`. */
double ann_rate(const struct ann *ann, enum ann_system system, uint32_t ef,
		size_t first, double seconds);

/* hnswlib, and so a figure beside ours, may be missing. */
int ann_has(const struct ann *ann, enum ann_system system);

/* A row of results of this case. */
void ann_add(const struct ann *ann, enum ann_system system, const char *metric,
	     double value, const char *unit);

/* Ends the read, so that it holds nothing back; ann_look begins it again. */
void ann_look_away(struct ann *ann);
void ann_look(struct ann *ann);

/*
 * A vector like that of row `row`: each member off by a tenth of the row's
 * root mean square, seeded with `seed`.  out: of the set's dimension.
 */
void ann_near(const struct ann *ann, size_t row, uint64_t seed, float *out);

/* Binds the process to a processor, modulo their number; < 0: to none. */
void ann_pin(int processor);

#endif
