/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "point.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define CACHE_MAGIC UINT64_C(0x4548434143504f43) /* "COPCACHE" */
#define SETS_AT                                                                \
	(sizeof(struct cache) + CACHE_SEATS * sizeof(struct cache_counts))

/* A word: its sequence from SEQ_BITS on. */
enum { CLAIMED = 1, STRIKE = 2, STRIKE_MASK = 254, SEQ_BITS = 8 };

static_assert(CACHE_STRIKES * STRIKE <= STRIKE_MASK, "strikes have seven bits");

/* Words of an entry. */
enum {
	AT_SUM = 0,
	AT_KEY = 1,
	AT_COMMIT = 3,
	AT_STORED = 4,
	AT_COUNT = 5, /* and flags << 32 */
};

static_assert(sizeof(struct cache_entry) == 1088, "entry is 17 lines");

/* relaxed, all three: E1 and E2 order what they must */
static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void count_one(_Atomic uint64_t *figure)
{
	atomic_fetch_add_explicit(figure, 1, memory_order_relaxed);
}

/* ---- all ---------------------------------------------------------------- */

uint64_t cache_bytes(uint64_t size)
{
	uint64_t sets =
	    size > SETS_AT ? (size - SETS_AT) / sizeof(struct cache_set) : 0;

	if (!sets)
		sets = 1;
	if (sets > UINT32_MAX)
		sets = UINT32_MAX;
	return SETS_AT + sets * sizeof(struct cache_set);
}

void cache_init(void *memory, uint64_t bytes)
{
	struct cache *cache = memory;

	cache->layout = CACHE_LAYOUT;
	cache->set_count =
	    (uint32_t)((bytes - SETS_AT) / sizeof(struct cache_set));
	cache->magic = CACHE_MAGIC;
}

int cache_view_init(struct cache_view *view, void *memory, uint64_t bytes)
{
	unsigned char *at = memory;
	struct cache cache;

	*view = (struct cache_view){0};
	if (bytes < SETS_AT)
		return EBADMSG;
	memcpy(&cache, at, sizeof cache); /* once: it may change */
	if (cache.magic != CACHE_MAGIC || cache.layout != CACHE_LAYOUT ||
	    cache.set_count > (bytes - SETS_AT) / sizeof(struct cache_set))
		return EBADMSG;
	view->counts =
	    (struct cache_counts *)(void *)(at + sizeof(struct cache));
	view->sets = (struct cache_set *)(void *)(at + SETS_AT);
	view->set_count = cache.set_count;
	return 0;
}

static struct cache_set *set_of(const struct cache_view *view,
				const struct cache_ask *ask)
{
	return &view->sets[(ask->key[1] >> 32) * view->set_count >> 32];
}

static struct cache_counts *counts_of(const struct cache_view *view,
				      const struct cache_ask *ask)
{
	return &view->counts[ask->seat % CACHE_SEATS];
}

/* Over the words of an entry after its checksum; never that of an empty one. */
static uint64_t checksum(const uint64_t *words, uint32_t count)
{
	size_t size = CACHE_HEAD_WORDS - AT_KEY + count * CACHE_HIT_WORDS;
	uint64_t sum = XXH3_64bits(words + AT_KEY, size * sizeof *words);

	return sum ? sum : 1;
}

/* A moment that is not yet is one of another clock. */
static int is_over(uint64_t now, uint64_t then, uint64_t limit)
{
	if (!limit)
		return 0;
	return then > now ? then - now > CACHE_SKEW_NS : now - then >= limit;
}

/* ---- finding ------------------------------------------------------------ */

/*
 * Copies a way's entry, if it is the answer and whole.
 * Returns	1; 0 if it is none.
 */
static int entry_read(const struct cache_set *set, uint32_t way,
		      const struct cache_ask *ask, uint64_t words[CACHE_WORDS])
{
	const struct cache_entry *entry = &set->entry[way];
	/* E2: acquires the entry */
	uint64_t word =
	    atomic_load_explicit(&set->word[way], memory_order_acquire);
	uint32_t count;

	if (!word || word & CLAIMED)
		return 0;
	for (uint32_t i = 0; i < CACHE_HEAD_WORDS; i++)
		words[i] = load(&entry->words[i]);
	count = (uint32_t)words[AT_COUNT];
	if (words[AT_KEY] != ask->key[0] || words[AT_KEY + 1] != ask->key[1] ||
	    words[AT_COMMIT] != ask->commit || count > CACHE_HITS)
		return 0;
	for (uint32_t i = 0; i < count * CACHE_HIT_WORDS; i++)
		words[CACHE_HEAD_WORDS + i] =
		    load(&entry->words[CACHE_HEAD_WORDS + i]);
	atomic_thread_fence(memory_order_acquire); /* E1: pairs entry_write */
	return load(&set->word[way]) == word &&
	       words[AT_SUM] == checksum(words, count);
}

/* Says that it was found, in lines that rarely change. */
static void way_use(struct cache_set *set, uint32_t way,
		    const struct cache_ask *ask)
{
	uint32_t bit = 1u << way;
	uint64_t used = load(&set->used[way]);

	/* relaxed: only which entry goes next hangs on it */
	if (!(atomic_load_explicit(&set->recent, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(&set->recent, bit,
					 memory_order_relaxed);
	if (ask->idle_ns &&
	    (ask->now_ns < used || ask->now_ns - used > ask->idle_ns / 16))
		store(&set->used[way], ask->now_ns);
}

static int way_find(struct cache_set *set, uint32_t way,
		    const struct cache_ask *ask, uint64_t words[CACHE_WORDS])
{
	if (load(&set->tag[way]) != ask->key[0] ||
	    !entry_read(set, way, ask, words) ||
	    is_over(ask->now_ns, words[AT_STORED], ask->live_ns) ||
	    is_over(ask->now_ns, load(&set->used[way]), ask->idle_ns))
		return 0;
	way_use(set, way, ask);
	return 1;
}

int cache_find(const struct cache_view *view, const struct cache_ask *ask,
	       struct cache_hit *hits, uint32_t room, uint32_t *count)
{
	uint64_t words[CACHE_WORDS];
	struct cache_set *set;

	*count = 0;
	if (!view->set_count)
		return 0;
	set = set_of(view, ask);
	for (uint32_t way = 0; way < CACHE_WAYS; way++) {
		uint32_t found;

		if (!way_find(set, way, ask, words))
			continue;
		found = (uint32_t)words[AT_COUNT];
		if (found > room)
			break;
		if (found)
			memcpy(hits, words + CACHE_HEAD_WORDS,
			       found * sizeof *hits);
		*count = found;
		count_one(&counts_of(view, ask)->hits);
		return 1;
	}
	count_one(&counts_of(view, ask)->misses);
	return 0;
}

/* ---- storing ------------------------------------------------------------ */

/* Of what use an entry is, the least first. */
enum use { USE_NONE, USE_STALE, USE_LIVE, USE_CLAIMED };

/* A store came by a claimed entry; 1 if its claim may be taken now. */
static int claim_strike(struct cache_set *set, uint32_t way, uint64_t *word)
{
	if ((*word & STRIKE_MASK) >= (CACHE_STRIKES - 1) * STRIKE)
		return 1;
	/* relaxed: a count; if the word changed, its owner is alive */
	(void)atomic_compare_exchange_strong_explicit(
	    &set->word[way], word, *word + STRIKE, memory_order_relaxed,
	    memory_order_relaxed);
	return 0;
}

/* What is loaded here may be of two entries: it only guides the choice. */
static enum use way_use_of(struct cache_set *set, uint32_t way,
			   const struct cache_ask *ask, uint64_t *word)
{
	const _Atomic uint64_t *words = set->entry[way].words;

	*word = load(&set->word[way]);
	if (*word & CLAIMED)
		return claim_strike(set, way, word) ? USE_NONE : USE_CLAIMED;
	if (!*word || !load(&words[AT_SUM]) ||
	    (load(&words[AT_KEY]) == ask->key[0] &&
	     load(&words[AT_KEY + 1]) == ask->key[1]))
		return USE_NONE;
	if (load(&words[AT_COMMIT]) != ask->commit ||
	    is_over(ask->now_ns, load(&words[AT_STORED]), ask->live_ns) ||
	    is_over(ask->now_ns, load(&set->used[way]), ask->idle_ns))
		return USE_STALE;
	return USE_LIVE;
}

/* The clock: the first way from its hand on that was not found lately. */
static uint32_t clock_turn(struct cache_set *set, const enum use *uses)
{
	/* relaxed: stores that turn it together may choose the same */
	uint32_t recent =
	    atomic_load_explicit(&set->recent, memory_order_relaxed);
	uint32_t hand = atomic_load_explicit(&set->hand, memory_order_relaxed);
	uint32_t way = CACHE_WAYS;

	for (uint32_t i = 0; i < 2 * CACHE_WAYS; i++) {
		uint32_t next = (hand + i) % CACHE_WAYS;
		uint32_t bit = 1u << next;

		if (uses[next] == USE_LIVE && !(recent & bit)) {
			way = next;
			break;
		}
		recent &= ~bit;
	}
	atomic_store_explicit(&set->recent, recent, memory_order_relaxed);
	return way;
}

/*
 * Chooses an entry to store into.
 * word		what its word was
 * Returns	its way, CACHE_WAYS if all are claimed
 */
static uint32_t way_choose(struct cache_set *set, const struct cache_ask *ask,
			   enum use *use, uint64_t *word)
{
	enum use uses[CACHE_WAYS];
	uint64_t words[CACHE_WAYS];
	uint32_t way = 0;

	/* all of them: each claimed one gets its strike.  The tag says which
	   is the same query's, to be replaced whatever else is empty. */
	for (uint32_t i = 0; i < CACHE_WAYS; i++) {
		uses[i] = way_use_of(set, i, ask, &words[i]);
		if (uses[i] < uses[way] ||
		    (uses[i] == USE_NONE && load(&set->tag[i]) == ask->key[0]))
			way = i;
	}
	*use = uses[way];
	if (*use == USE_LIVE)
		way = clock_turn(set, uses);
	if (*use == USE_CLAIMED)
		way = CACHE_WAYS;
	if (way < CACHE_WAYS)
		*word = words[way];
	return way;
}

/* The word under which a free entry is claimed, or a claim is taken over. */
static uint64_t word_claimed(uint64_t word)
{
	uint64_t sequence = (word >> SEQ_BITS) + (word & CLAIMED);

	return sequence << SEQ_BITS | CLAIMED;
}

static void entry_write(struct cache_entry *entry, const struct cache_ask *ask,
			const struct cache_hit *hits, uint32_t count,
			uint32_t flags)
{
	uint64_t words[CACHE_WORDS] = {0};

	words[AT_KEY] = ask->key[0];
	words[AT_KEY + 1] = ask->key[1];
	words[AT_COMMIT] = ask->commit;
	words[AT_STORED] = ask->now_ns;
	words[AT_COUNT] = (uint64_t)flags << 32 | count;
	if (count)
		memcpy(words + CACHE_HEAD_WORDS, hits, count * sizeof *hits);
	words[AT_SUM] = checksum(words, count);
	atomic_thread_fence(memory_order_release); /* E1: the claim first */
	for (uint32_t i = 0; i < CACHE_HEAD_WORDS + count * CACHE_HIT_WORDS;
	     i++) {
		store(&entry->words[i], words[i]);
		if (i == AT_COUNT)
			point("cache-writing");
	}
}

/* 1 if the claim was its owner's to the end. */
static int claim_publish(struct cache_set *set, uint32_t way, uint64_t claimed)
{
	uint64_t word = load(&set->word[way]);

	/* bounded: it changes by a strike, or is another's */
	while (word >> SEQ_BITS == claimed >> SEQ_BITS && word & CLAIMED) {
		uint64_t next = ((claimed >> SEQ_BITS) + 1) << SEQ_BITS;

		/* E2: publishes the entry */
		if (atomic_compare_exchange_strong_explicit(
			&set->word[way], &word, next, memory_order_release,
			memory_order_relaxed))
			return 1;
	}
	return 0;
}

int cache_store(const struct cache_view *view, const struct cache_ask *ask,
		const struct cache_hit *hits, uint32_t count, uint32_t flags)
{
	struct cache_counts *counts;
	struct cache_set *set;
	enum use use;
	uint64_t claimed;
	uint64_t word;
	uint32_t way;

	if (!view->set_count || count > CACHE_HITS)
		return 0;
	set = set_of(view, ask);
	counts = counts_of(view, ask);
	way = way_choose(set, ask, &use, &word);
	if (way == CACHE_WAYS)
		return 0;
	claimed = word_claimed(word);
	/* acquire: what the one before stored is before what follows */
	if (!atomic_compare_exchange_strong_explicit(
		&set->word[way], &word, claimed, memory_order_acquire,
		memory_order_relaxed))
		return 0;
	point("cache-claimed");
	store(&set->tag[way], ask->key[0]);
	store(&set->used[way], ask->now_ns);
	entry_write(&set->entry[way], ask, hits, count, flags);
	/* relaxed: the clock's */
	atomic_fetch_and_explicit(&set->recent, ~(1u << way),
				  memory_order_relaxed);
	atomic_store_explicit(&set->hand, (way + 1) % CACHE_WAYS,
			      memory_order_relaxed);
	point("cache-written");
	if (!claim_publish(set, way, claimed))
		return 0;
	count_one(&counts->stores);
	if (use == USE_LIVE)
		count_one(&counts->evictions);
	if (flags & CACHE_WARM)
		count_one(&counts->precomputed);
	return 1;
}

/* ---- all entries -------------------------------------------------------- */

void cache_clear(const struct cache_view *view)
{
	for (uint32_t i = 0; i < view->set_count; i++)
		for (uint32_t way = 0; way < CACHE_WAYS; way++)
			store(&view->sets[i].entry[way].words[AT_SUM], 0);
}

static void entry_count(const struct cache_set *set, uint32_t way,
			struct cache_figures *out)
{
	const _Atomic uint64_t *words = set->entry[way].words;
	uint64_t word = load(&set->word[way]);
	uint32_t count = (uint32_t)load(&words[AT_COUNT]);

	if (!word || word & CLAIMED || !load(&words[AT_SUM]) ||
	    count > CACHE_HITS)
		return;
	out->entries++;
	out->entry_bytes +=
	    (CACHE_HEAD_WORDS + (uint64_t)count * CACHE_HIT_WORDS) * 8;
}

void cache_figures(const struct cache_view *view, struct cache_figures *out)
{
	*out = (struct cache_figures){0};
	if (!view->set_count)
		return;
	out->bytes =
	    SETS_AT + (uint64_t)view->set_count * sizeof(struct cache_set);
	for (uint32_t i = 0; i < CACHE_SEATS; i++) {
		const struct cache_counts *counts = &view->counts[i];

		out->hits += load(&counts->hits);
		out->misses += load(&counts->misses);
		out->stores += load(&counts->stores);
		out->evictions += load(&counts->evictions);
		out->precomputed += load(&counts->precomputed);
	}
	for (uint32_t i = 0; i < view->set_count; i++)
		for (uint32_t way = 0; way < CACHE_WAYS; way++)
			entry_count(&view->sets[i], way, out);
}
