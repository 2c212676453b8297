/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_fixture: answers that are a function of their number and commit.
 *
 * idea
 *	Question `number` has a key, and at each commit an answer of 0 to
 *	CACHE_HITS hits.  cache_fixture_ask() says whether what is found is
 *	that answer to the bit.
 */
#ifndef TESTS_CACHE_FIXTURE_H
#define TESTS_CACHE_FIXTURE_H

#include "cache.h"
#include "shm_fixture.h"

enum { ASKED_WRONG = -1, ASKED_MISS = 0, ASKED_HIT = 1 };

static inline struct cache_ask cache_fixture_key(uint64_t number,
						 uint64_t commit)
{
	uint64_t state = number;
	struct cache_ask ask = {.commit = commit};

	ask.key[0] = test_random(&state);
	ask.key[1] = test_random(&state);
	return ask;
}

static inline uint32_t cache_fixture_answer(uint64_t number, uint64_t commit,
					    struct cache_hit *hits)
{
	uint64_t state = number << 32 ^ commit;
	uint32_t count = (uint32_t)test_below(&state, CACHE_HITS + 1);

	for (uint32_t i = 0; i < count; i++)
		hits[i] = (struct cache_hit){test_random(&state),
					     test_uniform(&state)};
	return count;
}

static inline int cache_fixture_store(const struct cache_view *view,
				      uint64_t number, uint64_t commit)
{
	struct cache_ask ask = cache_fixture_key(number, commit);
	struct cache_hit hits[CACHE_HITS];
	uint32_t count = cache_fixture_answer(number, commit, hits);

	return cache_store(view, &ask, hits, count, 0);
}

/* What was asked for, against what was to be answered. */
static inline int cache_fixture_check(int found, const struct cache_hit *hits,
				      uint32_t count, uint64_t number,
				      uint64_t commit)
{
	struct cache_hit want[CACHE_HITS];
	uint32_t wanted = cache_fixture_answer(number, commit, want);

	if (!found)
		return count ? ASKED_WRONG : ASKED_MISS;
	return count == wanted && !memcmp(hits, want, count * sizeof *hits)
		   ? ASKED_HIT
		   : ASKED_WRONG;
}

static inline int cache_fixture_ask(const struct cache_view *view,
				    uint64_t number, uint64_t commit)
{
	struct cache_ask ask = cache_fixture_key(number, commit);
	struct cache_hit hits[CACHE_HITS];
	uint32_t count = 99;
	int found = cache_find(view, &ask, hits, CACHE_HITS, &count);

	return cache_fixture_check(found, hits, count, number, commit);
}

#endif
