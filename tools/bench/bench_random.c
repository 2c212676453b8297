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

#include <math.h>
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

static float *normals(struct bench_random *random, size_t count, float scale)
{
	float *out = bench_alloc(count * sizeof *out);
	size_t index;

	for (index = 0; index < count; index++)
		out[index] = scale * bench_random_normal(random);
	return out;
}

float *bench_random_plane(uint64_t seed, size_t rows, size_t dim, size_t plane,
			  size_t clusters)
{
	struct bench_random random = {seed};
	float *centres = normals(&random, clusters * plane, 1);
	float *map = normals(&random, plane * dim, 1 / sqrtf((float)dim));
	float *out = normals(&random, rows * dim, 0.1F);
	size_t row;
	size_t along;
	size_t index;

	for (row = 0; row < rows; row++) {
		const float *centre =
		    centres + bench_random_below(&random, clusters) * plane;
		float *at = out + row * dim;

		for (along = 0; along < plane; along++) {
			float step =
			    centre[along] + bench_random_normal(&random);

			for (index = 0; index < dim; index++)
				at[index] += step * map[along * dim + index];
		}
	}
	free(centres);
	free(map);
	return out;
}
