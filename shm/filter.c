/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"
#include "point.h"
#include "segment.h"

#include <errno.h>
#include <string.h>

enum { EXPECTED_MIN = 1024 };

/* Where the layers' offsets count from. */
static void *layers_base(const struct segment *segment)
{
	return region_at(segment->header, segment_region(segment, REGION_BLOOM),
			 0, 0);
}

static uint64_t layers_bytes(const struct segment *segment)
{
	return region_bytes(segment_region(segment, REGION_BLOOM));
}

static int layer_make(struct segment *segment, struct bloom *bloom,
		      uint64_t expected)
{
	struct segment_header *header = segment->header;
	double rate = bloom_layer_rate(bloom->rate, bloom_layer_count(bloom));
	uint64_t lines = bloom_lines_for(expected, rate);
	uint64_t bytes = lines * BLOOM_LINE_BYTES;
	int err =
	    segment_grow(segment, REGION_BLOOM, header->bloom_end + bytes);

	if (err)
		return err;
	memset(region_at(header, segment_region(segment, REGION_BLOOM),
			 header->bloom_end, bytes),
	       0, bytes);
	point("layer-zeroed");
	err = bloom_layer_add(bloom, header->bloom_end, lines, expected);
	if (err)
		return ENOSPC;
	header->bloom_end += bytes;
	return 0;
}

static uint64_t expected_least(uint64_t expected)
{
	return expected > EXPECTED_MIN ? expected : EXPECTED_MIN;
}

int filter_init(struct segment *segment, struct bloom *bloom, uint64_t expected,
		double rate)
{
	bloom_init(bloom, rate);
	return layer_make(segment, bloom, expected_least(expected));
}

uint64_t filter_lines(uint64_t expected, double rate)
{
	return bloom_lines_for(expected_least(expected),
			       bloom_layer_rate(rate, 0));
}

int filter_add(struct segment *segment, struct bloom *bloom, uint64_t hash)
{
	uint32_t layers = bloom_layer_count(bloom);
	int err = 0;

	if (filter_test(segment, bloom, hash))
		return 0;
	if (bloom_full(bloom) && layers && layers < BLOOM_LAYERS)
		err = layer_make(segment, bloom,
				 bloom->layers[layers - 1].capacity * 2);
	if (err)
		return err;
	return bloom_add(bloom, layers_base(segment), layers_bytes(segment),
			 hash) == BLOOM_CORRUPT
		   ? EINVAL
		   : 0;
}

int filter_test(const struct segment *segment, const struct bloom *bloom,
		uint64_t hash)
{
	return bloom_test(bloom, layers_base(segment), layers_bytes(segment),
			  hash);
}
