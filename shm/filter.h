/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment's two bloom filters, and room for their layers.
 *
 * A full layer is followed by one twice as large, in REGION_BLOOM; a layer's
 * lines are zeroed before bloom.h counts it, so a death in between leaves
 * only room that is used again.
 */
#ifndef SHM_FILTER_H
#define SHM_FILTER_H

#include "bloom.h"

#include <stdint.h>

struct segment;

/*
 * Gives a filter its first layer.
 * expected	keys
 * rate		false positives wanted
 * Returns	0, ENOSPC or an errno.
 */
int filter_init(struct segment *segment, struct bloom *bloom, uint64_t expected,
		double rate);

/* Lines of the first layer of such a filter. */
uint64_t filter_lines(uint64_t expected, double rate);

/* Adds a key's hash, with a new layer if the newest is full; W held. */
int filter_add(struct segment *segment, struct bloom *bloom, uint64_t hash);

/* 0: certainly never added.  No system call; wait-free. */
int filter_test(const struct segment *segment, const struct bloom *bloom,
		uint64_t hash);

#endif
