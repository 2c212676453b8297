/* SPDX-License-Identifier: Apache-2.0 */
#include "results.h"
#include "mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

static_assert(sizeof(struct cop_hit) == sizeof(struct cache_hit) &&
		  offsetof(struct cop_hit, id) ==
		      offsetof(struct cache_hit, id) &&
		  offsetof(struct cop_hit, distance) ==
		      offsetof(struct cache_hit, distance),
	      "the cache has hits as they are");

/* ---- the cache ---------------------------------------------------------- */

uint64_t results_bytes(const cop_store *store)
{
	uint64_t bytes = store->config.cache_bytes;

	return bytes ? cache_bytes(bytes) : 0;
}

static uint64_t results_at(void)
{
	return slots_bytes() + mailboxes_bytes();
}

static int results_map(cop_store *store, int fd)
{
	struct results *results = &store->results;

	results->bytes = results_bytes(store);
	results->memory = mapping_apart(fd, results_at(), results->bytes);
	return results->memory ? 0 : errno;
}

int results_create(cop_store *store, int fd)
{
	uint64_t bytes = results_bytes(store);
	int err;

	store->results = (struct results){0};
	if (!bytes)
		return 0;
	err = mapping_allocate(fd, results_at(), bytes);
	if (!err)
		err = results_map(store, fd);
	if (err)
		return err;
	cache_init(store->results.memory, bytes);
	return cache_view_init(&store->results.view, store->results.memory,
			       bytes);
}

int results_attach(cop_store *store, int fd)
{
	uint64_t bytes = results_bytes(store);
	struct stat st;
	int err;

	store->results = (struct results){0};
	if (!bytes)
		return 0;
	if (fstat(fd, &st))
		return errno;
	if ((uint64_t)st.st_size < results_at() + bytes)
		return EBADMSG;
	err = results_map(store, fd);
	if (!err) /* damaged: there is none for this process */
		(void)cache_view_init(&store->results.view,
				      store->results.memory, bytes);
	return err;
}

void results_detach(cop_store *store)
{
	if (store->results.memory)
		munmap(store->results.memory, store->results.bytes);
	store->results = (struct results){0};
}

void results_clear(cop_store *store)
{
	cache_clear(&store->results.view);
}

void results_stat(const cop_store *store, struct cop_stats *out)
{
	struct cache_figures figures;

	cache_figures(&store->results.view, &figures);
	out->cache_bytes = figures.bytes;
	out->cache_hits = figures.hits;
	out->cache_misses = figures.misses;
	out->cache_stores = figures.stores;
	out->cache_precomputed = figures.precomputed;
	out->cache_entries = figures.entries;
}

/* ---- searches ----------------------------------------------------------- */

/* All words, so that there is no padding to be hashed. */
struct results_key {
	uint64_t chain;
	XXH128_hash_t vector;
	XXH128_hash_t type;
	XXH128_hash_t tag;
	uint64_t filters; /* bits: which of them there are */
	uint64_t k;
	uint64_t exclude;
	uint64_t strategy;
	uint64_t ef;
	double threshold;
	char kernel[8];
	XXH128_hash_t prefix;
	uint64_t near;
	uint32_t hops;
	int32_t direction;
};

static_assert(sizeof(struct results_key) == 18 * 8, "no padding");

enum {
	HAS_TYPE = 1,
	HAS_TAG = 2,
	HAS_THRESHOLD = 4,
	IS_EXACT = 8,
	HAS_PREFIX = 16,
	IS_ANY_TAG = 32
};

/* All tags that are asked for, in their order. */
static XXH128_hash_t tags_hash(const struct cop_search *wanted)
{
	XXH128_hash_t hashes[COP_FILTER_TAGS + 1];
	uint32_t count = 0;

	if (wanted->tag)
		hashes[count++] =
		    XXH3_128bits(wanted->tag, strlen(wanted->tag));
	for (uint32_t i = 0; i < wanted->tag_count; i++)
		hashes[count++] =
		    XXH3_128bits(wanted->tags[i], strlen(wanted->tags[i]));
	return XXH3_128bits(hashes, count * sizeof *hashes);
}

/* A new parameter belongs into the key. */
static_assert(sizeof(void *) != 8 || sizeof(struct cop_search) == 136,
	      "what a search is made of");

static void key_make(const cop_read *read, const struct cop_search *wanted,
		     const float *vector, uint64_t exclude, uint64_t out[2])
{
	size_t dim = read->store->config.dim;
	struct results_key key = {
	    .chain = read->state.chain,
	    .vector = XXH3_128bits(vector, dim * sizeof *vector),
	    .k = wanted->k,
	    .exclude = exclude,
	    .strategy = (uint32_t)wanted->strategy,
	    .ef = wanted->ef,
	    .near = wanted->near,
	    .hops = wanted->hops,
	    .direction = wanted->direction};
	XXH128_hash_t hash;

	if (wanted->type) {
		key.filters |= HAS_TYPE;
		key.type = XXH3_128bits(wanted->type, strlen(wanted->type));
	}
	if (wanted->tag || wanted->tag_count) {
		key.filters |= HAS_TAG;
		key.tag = tags_hash(wanted);
		if (wanted->tag_mode == COP_TAGS_ANY)
			key.filters |= IS_ANY_TAG;
	}
	if (wanted->prefix) {
		key.filters |= HAS_PREFIX;
		key.prefix = XXH3_128bits(wanted->prefix, wanted->prefix_size);
	}
	if (wanted->has_threshold) {
		key.filters |= HAS_THRESHOLD;
		key.threshold = wanted->threshold;
	}
	if (wanted->exact)
		key.filters |= IS_EXACT;
	memcpy(key.kernel, read->store->kernel->name,
	       strnlen(read->store->kernel->name, sizeof key.kernel));
	hash = XXH3_128bits(&key, sizeof key);
	out[0] = hash.low64;
	out[1] = hash.high64;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now))
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void results_ask(const cop_read *read, const struct cop_search *wanted,
		 const float *vector, uint64_t exclude, struct results_ask *ask)
{
	const cop_store *store = read->store;
	const struct disk_store *config = &store->config;

	ask->is_wanted = store->results.view.set_count &&
			 wanted->k <= CACHE_HITS && !wanted->accept &&
			 !wanted->report && !read_is_past(read) &&
			 !read->is_timed;
	if (!ask->is_wanted)
		return;
	ask->ask = (struct cache_ask){
	    .commit = read->state.commit,
	    .live_ns = (uint64_t)config->cache_ttl_ms * 1000000,
	    .idle_ns = (uint64_t)config->cache_idle_ms * 1000000,
	    .seat = read->slot};
	if (ask->ask.live_ns || ask->ask.idle_ns)
		ask->ask.now_ns = now_ns();
	key_make(read, wanted, vector, exclude, ask->ask.key);
	ask->k = wanted->k;
}

int results_find(const cop_read *read, const struct results_ask *ask,
		 struct cop_hit *hits, uint32_t *count)
{
	uint32_t found;

	if (!ask->is_wanted ||
	    !cache_find(&read->store->results.view, &ask->ask,
			(struct cache_hit *)(void *)hits, ask->k, &found))
		return 0;
	*count = found;
	return 1;
}

int results_put(const cop_read *read, const struct results_ask *ask,
		const struct cop_hit *hits, uint32_t count, uint32_t flags)
{
	/* relaxed: a guess at what is wanted; the key says what is right */
	if (!ask->is_wanted ||
	    read->state.commit <
		atomic_load_explicit(&read_segment(read)->header->committed,
				     memory_order_relaxed))
		return 0;
	return cache_store(&read->store->results.view, &ask->ask,
			   (const struct cache_hit *)(const void *)hits, count,
			   flags);
}
