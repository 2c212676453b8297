/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bloom: the arithmetic of blocked filters, and their bits.
 *
 * rate
 *	A line with j keys of k bits each has a given bit set with probability
 *	f(j) = 1 - (1 - 1/512)^(j k); a key that is not there meets k set bits
 *	with f(j)^k.  Over lines, j is Poisson with mean m = keys / lines:
 *
 *	    rate = sum over j of  m^j e^-m / j!  *  f(j)^k
 *
 *	The terms are summed up while they matter.  The rate rises with m for
 *	every k, so the m for a wanted rate is found by halving an interval.
 *
 * bits
 *	line = upper half of (upper 32 bits of the hash * line_count), which
 *	needs no division.  The probes take nine bits each from a remix of the
 *	whole hash, seven from one word: within a line the hash's upper bits
 *	are nearly the same, its lower 32 are what the remix spreads.
 */
#include "bloom.h"

#include <math.h>

enum { PROBES_A_WORD = 7, PROBE_BITS = 9 };

/* More keys a line than this and nothing is filtered any more. */
static const double LOAD_MAX = 512;

static double power(double x, uint32_t n)
{
	double result = 1;

	for (; n; n >>= 1, x *= x)
		result *= n & 1 ? x : 1;
	return result;
}

/* The rate at a mean load of `mean` keys a line. */
static double rate_at(double mean, uint32_t probes)
{
	double stays = power(1 - 1.0 / BLOOM_LINE_BITS, probes);
	double clear = 1;
	double weight;
	double seen = 0;
	double rate = 0;

	if (!(mean > 0))
		return 0;
	if (mean > LOAD_MAX)
		return 1;
	weight = exp(-mean);
	for (uint32_t j = 0; j < 2048; j++) {
		rate += weight * power(1 - clear, probes);
		seen += weight;
		if ((double)j > mean && 1 - seen < rate * 1e-6)
			break;
		clear *= stays;
		weight *= mean / (j + 1);
	}
	return rate < 1 ? rate : 1;
}

static uint32_t best_probes(double mean, double *rate)
{
	uint32_t best = 1;

	*rate = rate_at(mean, 1);
	for (uint32_t k = 2; k <= BLOOM_PROBES_MAX; k++) {
		double other = rate_at(mean, k);

		if (other < *rate) {
			*rate = other;
			best = k;
		}
	}
	return best;
}

uint64_t bloom_lines_for(uint64_t expected, double rate)
{
	double low = 0.01; /* keys a line: surely good enough */
	double high = LOAD_MAX;
	double lines;

	rate = rate > 1e-8 ? rate : 1e-8;
	rate = rate < 0.5 ? rate : 0.5;
	for (int i = 0; i < 40 && high - low > low * 1e-4; i++) {
		double middle = (low + high) / 2;
		double have;

		best_probes(middle, &have);
		if (have <= rate)
			low = middle;
		else
			high = middle;
	}
	lines = ceil((double)expected / low);
	if (lines < 1)
		return 1;
	return lines < UINT32_MAX ? (uint64_t)lines : UINT32_MAX;
}

uint32_t bloom_probes(uint64_t line_count, uint64_t key_count)
{
	double rate;

	if (!line_count || !key_count)
		return 1;
	return best_probes((double)key_count / (double)line_count, &rate);
}

double bloom_rate_expected(uint64_t line_count, uint64_t key_count,
			   uint32_t probes)
{
	if (!line_count || !probes)
		return 1;
	return rate_at((double)key_count / (double)line_count, probes);
}

double bloom_layer_rate(double rate, uint32_t index)
{
	if (!index)
		return rate * 0.75;
	return rate * 0.25 / (double)((uint64_t)1 << (index & 63));
}

/* A layer's words, read once and found sensible. */
struct layer_view {
	uint64_t offset;
	uint64_t line_count;
	uint32_t probes;
};

/* Relaxed: the words are fixed, and B1 has made them visible. */
static int layer_get(const struct bloom *bloom, uint32_t index,
		     uint64_t region_bytes, struct layer_view *out)
{
	const struct bloom_layer *layer = &bloom->layers[index];

	out->offset =
	    atomic_load_explicit(&layer->offset, memory_order_relaxed);
	out->line_count =
	    atomic_load_explicit(&layer->line_count, memory_order_relaxed);
	out->probes =
	    atomic_load_explicit(&layer->probes, memory_order_relaxed);
	return out->offset % BLOOM_LINE_BYTES == 0 &&
	       out->offset <= region_bytes && out->line_count > 0 &&
	       out->line_count <=
		   (region_bytes - out->offset) / BLOOM_LINE_BYTES &&
	       out->line_count <= UINT32_MAX && out->probes > 0 &&
	       out->probes <= BLOOM_PROBES_MAX;
}

static uint64_t remix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* Offset of a hash's line from base. */
static uint64_t line_offset(const struct layer_view *layer, uint64_t hash)
{
	uint64_t line = (hash >> 32) * layer->line_count >> 32;

	return layer->offset + line * BLOOM_LINE_BYTES;
}

/* The bit that the lowest nine bits of `place` name, lowest of the result. */
static uint64_t bit_get(const _Atomic uint64_t *words, uint64_t place)
{
	/* relaxed: bits are only ever set, see "ordering" */
	return atomic_load_explicit(&words[place >> 6 & 7],
				    memory_order_relaxed) >>
	       (place & 63);
}

/* The bits of up to seven probes from one word, anded. */
static uint64_t bits_get(const _Atomic uint64_t *words, uint64_t x,
			 uint32_t count)
{
	uint64_t all = bit_get(words, x);

	switch (count) {
	default: all &= bit_get(words, x >> 6 * PROBE_BITS); /* fall through */
	case 6: all &= bit_get(words, x >> 5 * PROBE_BITS);  /* fall through */
	case 5: all &= bit_get(words, x >> 4 * PROBE_BITS);  /* fall through */
	case 4: all &= bit_get(words, x >> 3 * PROBE_BITS);  /* fall through */
	case 3: all &= bit_get(words, x >> 2 * PROBE_BITS);  /* fall through */
	case 2: all &= bit_get(words, x >> PROBE_BITS);	     /* fall through */
	case 1: return all;
	}
}

/*
 * 1 if all bits are set.  Seven are looked at before the first is judged:
 * where bits are as good as random a branch on each would be mispredicted.
 */
static int line_test(const _Atomic uint64_t *words, uint64_t hash,
		     uint32_t probes)
{
	uint64_t x = remix(hash);

	while (probes > PROBES_A_WORD) {
		if (!(bits_get(words, x, PROBES_A_WORD) & 1))
			return 0;
		probes -= PROBES_A_WORD;
		x = remix(x);
	}
	return (int)(bits_get(words, x, probes) & 1);
}

/* 1 if a bit was not set before. */
static int line_set(_Atomic uint64_t *words, uint64_t hash, uint32_t probes)
{
	uint64_t pieces = hash;
	int is_new = 0;

	while (probes) {
		uint32_t now = probes < PROBES_A_WORD ? probes : PROBES_A_WORD;

		pieces = remix(pieces);
		probes -= now;
		for (uint64_t rest = pieces; now; now--, rest >>= PROBE_BITS) {
			uint64_t bit = (uint64_t)1 << (rest & 63);

			/* relaxed: whoever must see it is told later */
			is_new |= !(
			    atomic_fetch_or_explicit(&words[rest >> 6 & 7], bit,
						     memory_order_relaxed) &
			    bit);
		}
	}
	return is_new;
}

void bloom_init(struct bloom *bloom, double rate)
{
	bloom->rate = rate;
	bloom->reserved = 0;
	/* relaxed: the filter itself is published by the caller */
	atomic_store_explicit(&bloom->layer_count, 0, memory_order_relaxed);
}

uint32_t bloom_layer_count(const struct bloom *bloom)
{
	/* B1: the words of the layers counted are visible */
	uint32_t count =
	    atomic_load_explicit(&bloom->layer_count, memory_order_acquire);

	return count < BLOOM_LAYERS ? count : BLOOM_LAYERS;
}

int bloom_layer_add(struct bloom *bloom, uint64_t offset, uint64_t line_count,
		    uint64_t capacity)
{
	uint32_t index = bloom_layer_count(bloom);
	struct bloom_layer *layer;

	if (index >= BLOOM_LAYERS || !line_count || line_count > UINT32_MAX ||
	    !capacity || offset % BLOOM_LINE_BYTES)
		return -1;
	layer = &bloom->layers[index];
	/* relaxed: B1 publishes them all */
	atomic_store_explicit(&layer->offset, offset, memory_order_relaxed);
	atomic_store_explicit(&layer->line_count, line_count,
			      memory_order_relaxed);
	atomic_store_explicit(&layer->capacity, capacity, memory_order_relaxed);
	atomic_store_explicit(&layer->added, 0, memory_order_relaxed);
	atomic_store_explicit(&layer->probes,
			      bloom_probes(line_count, capacity),
			      memory_order_relaxed);
	layer->reserved = 0;
	/* B1: publishes the layer's words */
	atomic_store_explicit(&bloom->layer_count, index + 1,
			      memory_order_release);
	return 0;
}

/* Relaxed, here and below: a count is a figure, nothing hangs on it. */
static uint64_t added_get(const struct bloom *bloom, uint32_t index)
{
	return atomic_load_explicit(&bloom->layers[index].added,
				    memory_order_relaxed);
}

int bloom_full(const struct bloom *bloom)
{
	uint32_t count = bloom_layer_count(bloom);

	if (!count)
		return 1;
	return added_get(bloom, count - 1) >=
	       atomic_load_explicit(&bloom->layers[count - 1].capacity,
				    memory_order_relaxed);
}

uint64_t bloom_added(const struct bloom *bloom)
{
	uint32_t count = bloom_layer_count(bloom);
	uint64_t added = 0;

	for (uint32_t i = 0; i < count; i++)
		added += added_get(bloom, i);
	return added;
}

uint64_t bloom_lines(const struct bloom *bloom)
{
	uint32_t count = bloom_layer_count(bloom);
	uint64_t lines = 0;

	for (uint32_t i = 0; i < count; i++)
		lines += atomic_load_explicit(&bloom->layers[i].line_count,
					      memory_order_relaxed);
	return lines;
}

double bloom_rate_now(const struct bloom *bloom)
{
	uint32_t count = bloom_layer_count(bloom);
	double negative = 1;

	for (uint32_t i = 0; i < count; i++) {
		struct layer_view layer;
		double rate = 1;

		if (layer_get(bloom, i, UINT64_MAX, &layer))
			rate = bloom_rate_expected(layer.line_count,
						   added_get(bloom, i),
						   layer.probes);
		negative *= 1 - rate;
	}
	return 1 - negative;
}

int bloom_add(struct bloom *bloom, void *base, uint64_t region_bytes,
	      uint64_t hash)
{
	uint32_t count = bloom_layer_count(bloom);
	struct layer_view layer;
	unsigned char *bytes = base;

	if (!count || !layer_get(bloom, count - 1, region_bytes, &layer))
		return BLOOM_CORRUPT;
	for (uint32_t i = 0; i + 1 < count; i++) {
		struct layer_view older;

		/* one that makes no sense now may be read again later: the
		   key must be in a layer that does */
		if (layer_get(bloom, i, region_bytes, &older) &&
		    line_test((const void *)(bytes + line_offset(&older, hash)),
			      hash, older.probes))
			return BLOOM_PRESENT;
	}
	if (!line_set((void *)(bytes + line_offset(&layer, hash)), hash,
		      layer.probes))
		return BLOOM_PRESENT;
	atomic_fetch_add_explicit(&bloom->layers[count - 1].added, 1,
				  memory_order_relaxed);
	return BLOOM_ADDED;
}

int bloom_test(const struct bloom *bloom, const void *base,
	       uint64_t region_bytes, uint64_t hash)
{
	uint32_t count = bloom_layer_count(bloom);
	const unsigned char *bytes = base;

	for (uint32_t i = 0; i < count; i++) {
		struct layer_view layer;

		if (!layer_get(bloom, i, region_bytes, &layer) ||
		    line_test((const void *)(bytes + line_offset(&layer, hash)),
			      hash, layer.probes))
			return 1;
	}
	return 0;
}
