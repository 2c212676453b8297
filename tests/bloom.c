/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bloom: what a filter promises about answers, rates, layers and bad words.
 */
#include "bloom.h"
#include "tap.h"

#include <sys/mman.h>

struct filter {
	struct bloom bloom;
	unsigned char *base;
	uint64_t bytes;
	uint64_t used;
};

static void filter_init(struct filter *f, double rate, uint64_t bytes)
{
	bloom_init(&f->bloom, rate);
	f->bytes = bytes;
	f->used = 0;
	f->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->base == MAP_FAILED)
		bail_out("no memory for a filter");
}

static void filter_release(struct filter *f)
{
	munmap(f->base, f->bytes);
}

static int filter_grow(struct filter *f, uint64_t keys, double rate)
{
	uint64_t lines = bloom_lines_for(keys, rate);

	if (f->used + lines * BLOOM_LINE_BYTES > f->bytes)
		bail_out("the test's region is too small");
	if (bloom_layer_add(&f->bloom, f->used, lines, keys))
		return -1;
	f->used += lines * BLOOM_LINE_BYTES;
	return 0;
}

static int filter_add(struct filter *f, uint64_t hash)
{
	return bloom_add(&f->bloom, f->base, f->bytes, hash);
}

static int filter_test(const struct filter *f, uint64_t hash)
{
	return bloom_test(&f->bloom, f->base, f->bytes, hash);
}

static void every_key_added_is_found_and_few_others(uint64_t *state,
						    uint64_t keys, double rate)
{
	enum { OTHERS = 1000000 };
	struct filter f;
	uint64_t lines = bloom_lines_for(keys, rate);
	uint32_t probes = bloom_probes(lines, keys);
	double expected = bloom_rate_expected(lines, keys, probes);
	uint64_t start = test_random(state);
	uint64_t walk = start;
	uint64_t lost = 0;
	uint64_t there = 0;
	double had;

	filter_init(&f, rate, (lines + 1) * BLOOM_LINE_BYTES);
	is_int(filter_grow(&f, keys, rate), 0, "a layer for %" PRIu64 " keys",
	       keys);
	for (uint64_t i = 0; i < keys; i++)
		there += filter_add(&f, test_random(&walk)) == BLOOM_PRESENT;
	walk = start;
	for (uint64_t i = 0; i < keys; i++)
		lost += !filter_test(&f, test_random(&walk));
	is_u64(lost, 0, "no key of %" PRIu64 " is lost", keys);
	is_u64(bloom_added(&f.bloom), keys - there,
	       "what was added and what was there already make all keys");
	ok((double)there <= (double)keys * rate * 1.25 + 10,
	   "few keys are taken for ones already there");
	had = 0;
	for (int i = 0; i < OTHERS; i++)
		had += filter_test(&f, test_random(&walk));
	had /= OTHERS;
	diag("%" PRIu64 " keys at %g: %.2f bits a key, %u probes, expected "
	     "%.5f, had %.5f",
	     keys, rate, (double)lines * BLOOM_LINE_BITS / (double)keys, probes,
	     expected, had);
	ok(expected <= rate, "the rate expected is the one asked for or less");
	ok(had <= rate * 1.25, "the rate had is within 1.25 of it");
	ok(had >= rate * 0.5, "no more than twice the memory is spent on it");
	filter_release(&f);
}

static void an_empty_filter_holds_nothing(void)
{
	struct filter f;

	filter_init(&f, 0.01, 4096);
	is_int(filter_test(&f, 42), 0, "no layer: nothing is there");
	is_int(filter_add(&f, 42), BLOOM_CORRUPT, "no layer: nothing is added");
	ok(bloom_full(&f.bloom), "no layer counts as full");
	ok(!(bloom_rate_now(&f.bloom) > 0), "no layer never errs");
	filter_release(&f);
}

static void layers_keep_the_rate_and_lose_nothing(uint64_t *state)
{
	enum { FIRST = 2000, OTHERS = 400000 };
	struct filter f;
	uint64_t start = test_random(state);
	uint64_t walk = start;
	uint64_t keys = 0;
	uint64_t lost = 0;
	uint64_t again = 0;
	double had = 0;

	filter_init(&f, 0.01, 1 << 20);
	for (uint32_t i = 0; i < 6; i++) {
		filter_grow(&f, (uint64_t)FIRST << i,
			    bloom_layer_rate(0.01, i));
		while (!bloom_full(&f.bloom)) {
			filter_add(&f, test_random(&walk));
			keys++;
		}
	}
	is_u64(bloom_layer_count(&f.bloom), 6, "six layers are in use");
	walk = start;
	for (uint64_t i = 0; i < keys; i++) {
		uint64_t hash = test_random(&walk);

		lost += !filter_test(&f, hash);
		again += filter_add(&f, hash) != BLOOM_PRESENT;
	}
	is_u64(lost, 0, "no key of %" PRIu64 " in any layer is lost", keys);
	is_u64(again, 0, "a key in any layer is not added to the newest");
	for (int i = 0; i < OTHERS; i++)
		had += filter_test(&f, test_random(&walk));
	had /= OTHERS;
	diag("six layers at 0.01: expected %.5f, had %.5f",
	     bloom_rate_now(&f.bloom), had);
	ok(had <= 0.0125, "all layers together keep the rate");
	ok(had <= bloom_rate_now(&f.bloom) * 1.25 &&
	       had >= bloom_rate_now(&f.bloom) * 0.75,
	   "the rate expected now is the one had");
	filter_release(&f);
}

static void there_are_no_more_layers_than_sixteen(void)
{
	struct filter f;
	int failed = 0;

	filter_init(&f, 0.01, 1 << 16);
	for (int i = 0; i < BLOOM_LAYERS; i++)
		failed |= filter_grow(&f, 10, 0.01);
	is_int(failed, 0, "sixteen layers are taken");
	is_int(filter_grow(&f, 10, 0.01), -1, "the seventeenth is refused");
	is_int(filter_add(&f, 7), BLOOM_ADDED, "the last one takes keys");
	filter_release(&f);
}

static void arguments_out_of_range_are_refused(void)
{
	struct bloom b;

	bloom_init(&b, 0.01);
	is_int(bloom_layer_add(&b, 0, 0, 1), -1, "no lines");
	is_int(bloom_layer_add(&b, 0, (uint64_t)1 << 32, 1), -1,
	       "too many lines");
	is_int(bloom_layer_add(&b, 8, 1, 1), -1, "not at a line");
	is_int(bloom_layer_add(&b, 0, 1, 0), -1, "room for nothing");
	is_u64(bloom_layer_count(&b), 0, "none of these was added");
}

/* The page after the region cannot be touched. */
static void a_corrupt_word_never_leads_out_of_the_region(uint64_t *state)
{
	const uint64_t bytes = 16384;
	unsigned char *base = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bloom b;
	int wrong = 0;

	if (base == MAP_FAILED || mprotect(base + bytes, 4096, PROT_NONE))
		bail_out("no memory");
	for (int round = 0; round < 20000; round++) {
		uint64_t bad = test_random(state) >> test_below(state, 64);
		struct bloom_layer *layer = &b.layers[test_below(state, 2)];

		bloom_init(&b, 0.01);
		bloom_layer_add(&b, 0, 128, 1000);
		bloom_layer_add(&b, 128 * 64, 128, 1000);
		switch (test_below(state, 4)) {
		case 0: atomic_store(&layer->offset, bad); break;
		case 1: atomic_store(&layer->line_count, bad); break;
		case 2: atomic_store(&layer->probes, (uint32_t)bad); break;
		default: atomic_store(&b.layer_count, (uint32_t)bad); break;
		}
		bloom_test(&b, base, bytes, test_random(state));
		bloom_add(&b, base, bytes, test_random(state));
		bloom_rate_now(&b);
		bloom_full(&b);
		bloom_added(&b);
	}
	ok(1, "20000 corrupt words led nowhere");
	bloom_init(&b, 0.01);
	bloom_layer_add(&b, 0, 128, 1000);
	atomic_store(&b.layers[0].line_count, 257);
	for (int i = 0; i < 1000; i++)
		wrong += !bloom_test(&b, base, bytes, test_random(state));
	is_int(wrong, 0, "a layer that does not fit answers maybe");
	is_int(bloom_add(&b, base, bytes, 1), BLOOM_CORRUPT,
	       "and takes no key");
	munmap(base, bytes + 4096);
}

static void the_expected_rate_is_sane(void)
{
	int is_rising = 1;
	double last = 0;

	for (uint64_t keys = 1; keys < 1000000; keys = keys * 5 / 4 + 1) {
		double now = bloom_rate_expected(1000, keys, 7);

		is_rising &= now >= last && now <= 1;
		last = now;
	}
	ok(is_rising, "more keys in the same lines err more");
	ok(bloom_rate_expected(1000, 512000 / 10, 7) > 0.0082,
	   "ten bits a key err more than the flat formula's 0.0082");
	is_u64(bloom_lines_for(0, 0.01), 1, "a filter for nothing has a line");
	ok(bloom_lines_for(1000, 0.001) > bloom_lines_for(1000, 0.01),
	   "a lower rate takes more lines");
}

int main(void)
{
	uint64_t state;

	test_begin(300);
	state = test_seed();
	the_expected_rate_is_sane();
	an_empty_filter_holds_nothing();
	for (uint64_t keys = 10000; keys <= 1000000; keys *= 10) {
		every_key_added_is_found_and_few_others(&state, keys, 0.01);
		every_key_added_is_found_and_few_others(&state, keys, 0.001);
	}
	layers_keep_the_rate_and_lose_nothing(&state);
	there_are_no_more_layers_than_sixteen();
	arguments_out_of_range_are_refused();
	a_corrupt_word_never_leads_out_of_the_region(&state);
	return done_testing();
}
