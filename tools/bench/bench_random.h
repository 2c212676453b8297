/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded generators: the same numbers on every machine.
 */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct bench_random {
	uint64_t state;
};

uint64_t bench_random_next(struct bench_random *random);
/* 0 to limit - 1 */
uint64_t bench_random_below(struct bench_random *random, uint64_t limit);
/* 0 to 1, 1 left out */
double bench_random_unit(struct bench_random *random);
/* mean 0, deviation 1 */
float bench_random_normal(struct bench_random *random);

/*
 * rows x dim float32 of a mixture of Gaussians: `clusters` centres of
 * deviation 1, points around them of deviation 0.5.  Rows are padded to
 * nothing; the memory is aligned to 64 bytes and the caller frees it.
 */
float *bench_random_mixture(uint64_t seed, size_t rows, size_t dim,
			    size_t clusters);

/*
 * As real vectors are, of fewer dimensions than they have members: a mixture
 * of Gaussians in `plane` dimensions, points of deviation 1 around centres of
 * deviation 1, put into `dim` by a random linear map that keeps lengths on
 * average, plus noise of deviation 0.1 in each member.
 */
float *bench_random_plane(uint64_t seed, size_t rows, size_t dim, size_t plane,
			  size_t clusters);

#endif
