/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parallel: parallel edges of a file, told apart in constant memory.
 *
 * idea
 *	An edge is known by its ends, its relation and a discriminator.  Files
 *	of graphs give no such number, so the first edge of its kind has 0, and
 *	a further one its number in the file.  Whether it is a further one a
 *	Bloom filter says: it may say so wrongly, which gives an edge a number
 *	that it would not need, and never says "first" of a second one, so no
 *	edge is lost.  The same file gives the same numbers, so importing it
 *	again changes nothing.
 *
 * source
 *	Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom
 *	Filters": all bits of an edge are in one cache line.
 *
 * limits
 *	64 MiB, of which only pages that edges fall into are touched.  Of 10
 *	million different edges one in 20,000 is numbered without need, of 100
 *	million one in ten.
 */
#include "parallel.h"
#include "hashes.h"

#include <errno.h>
#include <stdlib.h>

enum { LINE_BITS = 20, LINE_WORDS = 8, EDGE_BITS = 4 };

int parallel_next(struct parallel *parallel, struct cop_put_edge *edge)
{
	uint64_t hash = hashes_edge(edge, edge->relation_size), *line;
	int is_known = 1;

	if (!parallel->words)
		parallel->words = calloc((size_t)LINE_WORDS << LINE_BITS,
					 sizeof *parallel->words);
	if (!parallel->words)
		return ENOMEM;
	parallel->count++;
	line = parallel->words + (hash >> (64 - LINE_BITS)) * LINE_WORDS;
	for (int i = 0; i < EDGE_BITS; i++) {
		uint64_t bit = hash & (LINE_WORDS * 64 - 1);
		uint64_t mask = UINT64_C(1) << (bit & 63);

		hash >>= 9; /* four times, and the line's bits stay apart */
		is_known &= (line[bit / 64] & mask) != 0;
		line[bit / 64] |= mask;
	}
	edge->discriminator = is_known ? parallel->count : 0;
	return 0;
}

void parallel_release(struct parallel *parallel)
{
	free(parallel->words);
	*parallel = (struct parallel){0};
}
