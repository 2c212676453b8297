/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded generators.
 *
 * source
 *	splitmix64: Steele, Lea and Flood, Fast splittable pseudorandom number
 *	generators, 2014.  Normal deviates: the sum of twelve uniform ones, less
 *	six; its tails end at 6 deviations, which no case here looks at, and it
 *	needs no logarithm.
 */
#include "bench_random.h"

#include <stdlib.h>

#include "bench_run.h"

uint64_t bench_random_next(struct bench_random *random)
{
	uint64_t word = random->state += 0x9e3779b97f4a7c15U;

	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9U;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebU;
	return word ^ (word >> 31);
}

uint64_t bench_random_below(struct bench_random *random, uint64_t limit)
{
	return bench_random_next(random) % limit;
}

double bench_random_unit(struct bench_random *random)
{
	return (double)(bench_random_next(random) >> 11) / 9007199254740992.0;
}

float bench_random_normal(struct bench_random *random)
{
	uint32_t sum = 0;
	uint32_t word;

	for (word = 0; word < 4; word++) {
		uint64_t bits = bench_random_next(random);

		sum += (uint32_t)(bits & 0xfffff) +
		       (uint32_t)(bits >> 20 & 0xfffff) +
		       (uint32_t)(bits >> 40 & 0xfffff);
	}
	return (float)sum / 1048576.0F - 6.0F;
}

float *bench_random_mixture(uint64_t seed, size_t rows, size_t dim,
			    size_t clusters)
{
	struct bench_random random = {seed};
	float *centres = bench_alloc(clusters * dim * sizeof(float));
	float *out = bench_alloc(rows * dim * sizeof(float));
	size_t row;
	size_t index;

	for (index = 0; index < clusters * dim; index++)
		centres[index] = bench_random_normal(&random);
	for (row = 0; row < rows; row++) {
		const float *centre =
		    centres + bench_random_below(&random, clusters) * dim;

		for (index = 0; index < dim; index++)
			out[row * dim + index] =
			    centre[index] + 0.5F * bench_random_normal(&random);
	}
	free(centres);
	return out;
}
