/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hnswlib behind C functions.  See bench_hnswlib.cc.
 */
#ifndef BENCH_HNSWLIB_H
#define BENCH_HNSWLIB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_hnswlib; /* an index */

/* All functions end the process if hnswlib throws. */
struct bench_peer_calls {
	/*
	 * room: vectors that it may hold; is_dot: distance 1 - dot, else L2;
	 * links: M; ef: efConstruction.
	 */
	struct bench_hnswlib *(*create)(size_t dim, size_t room, int is_dot,
					size_t links, size_t ef);
	void (*destroy)(struct bench_hnswlib *index);
	/* by any number of threads, once the first one is in */
	void (*add)(struct bench_hnswlib *index, const float *vector,
		    uint32_t label);
	void (*set_ef)(struct bench_hnswlib *index, size_t ef);
	/* Memory that its vectors and links take, spare room left out. */
	size_t (*bytes)(struct bench_hnswlib *index);
	/* Labels of the k nearest, nearest first; how many there are. */
	size_t (*search)(struct bench_hnswlib *index, const float *query,
			 size_t k, uint32_t *labels);
};

/* Weak: its address is NULL in a program without hnswlib. */
extern const struct bench_peer_calls bench_peer __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
