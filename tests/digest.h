/* SPDX-License-Identifier: Apache-2.0 */
/* What a store holds, as a number: records, vectors and edges of all. */
#ifndef TESTS_DIGEST_H
#define TESTS_DIGEST_H

#include "fixture.h"

#include <xxhash.h>

struct digest {
	uint64_t sum;
	size_t vector_bytes;
};

static inline int32_t digest_edge(void *user, cop_read *read,
				  const struct cop_edge *edge)
{
	struct digest *digest = user;

	(void)read;
	digest->sum += XXH3_64bits_withSeed(
	    edge->record, edge->record_size,
	    edge->source * 31 + edge->target * 7 + edge->relation);
	return 0;
}

static inline int32_t digest_entity(void *user, cop_read *read,
				    const struct cop_entity *entity)
{
	struct digest *digest = user;
	const float *vector;

	digest->sum += XXH3_64bits_withSeed(entity->record, entity->record_size,
					    entity->id);
	must(cop_vector(read, entity->id, &vector), "vector");
	if (vector)
		digest->sum += XXH3_64bits_withSeed(
		    vector, digest->vector_bytes, entity->id);
	must(cop_edges(read, entity->id, COP_BOTH, digest_edge, digest),
	     "edges");
	return 0;
}

static inline uint64_t digest_all(cop_read *read, uint32_t dim)
{
	struct digest digest = {.vector_bytes = dim * sizeof(float)};

	must(cop_keys(read, NULL, 0, digest_entity, &digest), "keys");
	return digest.sum;
}

#endif
