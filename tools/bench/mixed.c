/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything at once, as servers do it, and each thing alone beside the floor.
 *
 * idea
 *	A store of 100,000 entities, each with a vector of 128 dimensions, a
 *	tag, three numbers and four edges, and a cache of results.  First one
 *	process does one thing after the other: a durable put, 1,000 of them in
 *	a commit, a search with what is around its hits, a read as of an
 *	earlier commit, a history, the entities of a rare tag.
 *	Then 1, 2, 10 and 100 processes read, with one writer to ten of them,
 *	at least one, each of whom puts something every 20 ms.  A reader draws
 *	what it does: 70 of 100 times it gets an entity, 20 times it lists
 *	neighbours, 5 times it walks two hops, 5 times it searches; every 16
 *	times it renews its snapshot.  One query in two is one of 200 that come
 *	again; an answer is good until the next commit, so once nobody writes.
 *	The floors are figures that systems of this kind publish.
 *
 * limits
 *	Spans are kept in buckets a ninth wide.  Where a reader is put aside
 *	for others, which on two cores they all are, its span has that in it.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_graph.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum {
	ENTITIES = 100000,
	DIM = 128,
	DEGREE = 4,
	RARE = 20,     /* entities with the rare tag */
	VERSIONS = 20, /* of the first entity */
	K = 10,
	HOT = 200, /* queries that come again */
	READERS_MAX = 100,
	WRITERS_MAX = 10,
	ROUND_MS = 3000,
	REPEATS = 200,
	BATCH = 1000,
	FINE = 6, /* buckets to a doubling */
	BUCKETS = 40 * FINE,
	STEPS = 4096
};

enum act { GET, LIST, WALK, SEARCH, PUT, ACTS };

static const char *const act_names[ACTS] = {"get", "neighbours", "walk, 2 hops",
					    "search, k 10", "durable put"};

/* What one process did. */
struct done {
	uint64_t count[ACTS];
	uint64_t spans[ACTS][BUCKETS];
};

struct pen {
	_Atomic uint32_t ready;
	_Atomic uint32_t go;
	_Atomic uint32_t stop;
	struct done done[READERS_MAX + WRITERS_MAX];
};

struct work {
	struct bench *bench;
	const char *path;
	uint32_t entities;
	const float *vectors; /* entities x DIM */
	const float *hot;     /* HOT x DIM */
	cop_store *store;
	cop_read *read;
	struct bench_random random;
	struct cop_step steps[STEPS];
};

/* ---- spans -------------------------------------------------------------- */

static void span_add(struct done *done, enum act act, uint64_t ns)
{
	int bucket = (int)(log2((double)ns + 1) * FINE);

	done->count[act]++;
	done->spans[act][bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static double span_quantile(const struct done *all, enum act act, double share)
{
	uint64_t seen = 0;

	for (int i = 0; i < BUCKETS; i++) {
		seen += all->spans[act][i];
		if (seen && (double)seen >= share * (double)all->count[act])
			return exp2((i + 0.5) / FINE);
	}
	return 0;
}

/* ---- the store ---------------------------------------------------------- */

static void entity_put(const struct work *work, cop_write *write,
		       uint32_t number)
{
	static const char *const rare[] = {"rare", "common"};
	struct cop_property properties[3] = {
	    {"year", 4, {.kind = COP_INT, .integer = 1900 + number % 120}},
	    {"score", 5, {.kind = COP_FLOAT, .real = number / 1000.0}},
	    {"name", 4, {.kind = COP_STRING, .data = "a thing", .count = 7}}};
	char key[BENCH_KEY_BYTES];
	struct cop_put put = {
	    .size = sizeof put,
	    .type = "thing",
	    .type_size = 5,
	    .properties = properties,
	    .property_count = 3,
	    .tags = &rare[number % (work->entities / RARE) != 0],
	    .tag_count = 1,
	    .vector = work->vectors + (size_t)(number % work->entities) * DIM,
	    .dim = DIM};

	put.key_size = (uint32_t)bench_key(number, key);
	put.key = key;
	bench_check("cop_put", cop_put(write, &put));
}

static void edge_put(cop_write *write, uint32_t source, uint32_t target)
{
	char from[BENCH_KEY_BYTES];
	char to[BENCH_KEY_BYTES];
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = from,
				    .source_size = bench_key(source, from),
				    .target = to,
				    .target_size = bench_key(target, to),
				    .relation = "link",
				    .relation_size = 4};

	bench_check("cop_put_edge", cop_put_edge(write, &edge));
}

static void commit(cop_write *write)
{
	struct cop_commit_options options = {.size = sizeof options,
					     .threads = 2};

	bench_check("cop_commit", cop_commit_with(write, &options, NULL));
}

static void fill(struct work *work)
{
	cop_write *write;

	bench_check("cop_write_begin", cop_write_begin(work->store, &write));
	for (uint32_t i = 0; i < work->entities; i++) {
		entity_put(work, write, i);
		if ((i + 1) % BENCH_BATCH == 0)
			commit(write);
	}
	commit(write);
	for (uint32_t i = 0; i < work->entities; i++) {
		for (int j = 0; j < DEGREE; j++)
			edge_put(write, i,
				 (uint32_t)bench_random_below(&work->random,
							      work->entities));
		if ((i + 1) % BENCH_BATCH == 0)
			commit(write);
	}
	commit(write);
	cop_abort(write);
}

static void store_open(struct work *work)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .expected_entities = work->entities,
				      .cache_bytes = 8 << 20,
				      .cache_ttl_ms = 60000};

	bench_check("cop_create", cop_create(work->path, &options));
	bench_check("cop_open", cop_open(work->path, NULL, &work->store));
}

/* ---- acts --------------------------------------------------------------- */

static uint64_t some_id(struct work *work)
{
	return 1 + bench_random_below(&work->random, work->entities);
}

static void act_get(struct work *work)
{
	struct cop_entity entity;
	char key[BENCH_KEY_BYTES];
	size_t size = bench_key(
	    (uint32_t)bench_random_below(&work->random, work->entities), key);

	bench_check("cop_get", cop_get(work->read, key, size, &entity));
	if (!entity.id)
		bench_fail("%s is not there", key);
}

static void act_list(struct work *work)
{
	struct cop_neighbor list[64];
	size_t count;

	bench_check("cop_neighbors",
		    cop_neighbors(work->read, some_id(work), NULL, COP_OUT,
				  list, 64, &count));
}

static void act_walk(struct work *work)
{
	struct cop_walk walk = {.size = sizeof walk,
				.start = some_id(work),
				.direction = COP_OUT,
				.hops = 2};
	size_t count;
	int32_t more;

	bench_check("cop_walk", cop_walk(work->read, &walk, work->steps, STEPS,
					 &count, &more));
}

static const float *some_query(struct work *work)
{
	if (bench_random_below(&work->random, 2))
		return work->hot + bench_random_below(&work->random, HOT) * DIM;
	return work->vectors +
	       bench_random_below(&work->random, work->entities) * DIM;
}

static void act_search(struct work *work)
{
	struct cop_search search = {
	    .size = sizeof search, .k = K, .vector = some_query(work)};
	struct cop_hit hits[K];
	uint32_t count;

	bench_check("cop_search",
		    cop_search(work->read, &search, hits, &count));
}

static void act_put(struct work *work, uint32_t number)
{
	cop_write *write;

	bench_check("cop_write_begin", cop_write_begin(work->store, &write));
	entity_put(work, write, number);
	bench_check("cop_commit", cop_commit(write, NULL));
	cop_abort(write);
}

/* ---- processes ---------------------------------------------------------- */

static enum act act_draw(struct work *work)
{
	uint64_t drawn = bench_random_below(&work->random, 100);

	return drawn < 70   ? GET
	       : drawn < 90 ? LIST
	       : drawn < 95 ? WALK
			    : SEARCH;
}

static void act_do(struct work *work, enum act act)
{
	switch (act) {
	case GET: act_get(work); break;
	case LIST: act_list(work); break;
	case WALK: act_walk(work); break;
	default: act_search(work); break;
	}
}

static void gate(struct pen *pen)
{
	atomic_fetch_add(&pen->ready, 1);
	while (!atomic_load(&pen->go))
		usleep(1000);
}

static void reader_run(struct work *work, struct pen *pen, struct done *done)
{
	bench_check("cop_read_begin", cop_read_begin(work->store, &work->read));
	gate(pen);
	for (uint32_t i = 1; !atomic_load(&pen->stop); i++) {
		enum act act = act_draw(work);
		uint64_t start_ns = bench_now_ns();

		act_do(work, act);
		span_add(done, act, bench_now_ns() - start_ns);
		if (i % 16 == 0)
			bench_check("cop_read_refresh",
				    cop_read_refresh(work->read));
	}
	cop_read_end(work->read);
}

static void writer_run(struct work *work, struct pen *pen, struct done *done,
		       uint32_t index)
{
	uint32_t number = work->entities * (2 + index);

	gate(pen);
	while (!atomic_load(&pen->stop)) {
		uint64_t start_ns = bench_now_ns();

		act_put(work, number++);
		span_add(done, PUT, bench_now_ns() - start_ns);
		usleep(20000);
	}
}

static int process_start(struct work *work, struct pen *pen, uint32_t index,
			 uint32_t readers)
{
	int pid = bench_fork();

	if (pid)
		return pid;
	work->random.state = 77 + index;
	bench_check("cop_open", cop_open(work->path, NULL, &work->store));
	if (index < readers)
		reader_run(work, pen, &pen->done[index]);
	else
		writer_run(work, pen, &pen->done[index], index - readers);
	cop_close(work->store);
	_exit(0);
}

static void done_sum(const struct pen *pen, uint32_t count, struct done *all)
{
	memset(all, 0, sizeof *all);
	for (uint32_t i = 0; i < count; i++)
		for (int act = 0; act < ACTS; act++) {
			all->count[act] += pen->done[i].count[act];
			for (int j = 0; j < BUCKETS; j++)
				all->spans[act][j] +=
				    pen->done[i].spans[act][j];
		}
}

static void round_tell(const struct work *work, const struct done *all,
		       const char *subject, double seconds,
		       const struct cop_stats *before,
		       const struct cop_stats *after)
{
	uint64_t hits = after->cache_hits - before->cache_hits;
	uint64_t misses = after->cache_misses - before->cache_misses;
	uint64_t total = 0;
	char metric[64];

	for (int act = 0; act < ACTS; act++)
		total += all->count[act];
	bench_add(work->bench, subject, "all", "operations a second",
		  (double)total / seconds, "1/s");
	for (int act = 0; act < ACTS; act++) {
		if (!all->count[act])
			continue;
		snprintf(metric, sizeof metric, "%s, median", act_names[act]);
		bench_add(work->bench, subject, "coppice", metric,
			  span_quantile(all, (enum act)act, 0.5) / 1000, "us");
		snprintf(metric, sizeof metric, "%s, p99", act_names[act]);
		bench_add(work->bench, subject, "coppice", metric,
			  span_quantile(all, (enum act)act, 0.99) / 1000, "us");
	}
	if (hits + misses)
		bench_add(work->bench, subject, "coppice", "cache hits",
			  (double)hits / (double)(hits + misses), "share");
}

static void stats_of(struct work *work, struct cop_stats *stats)
{
	cop_read *read;

	*stats = (struct cop_stats){.size = sizeof *stats};
	bench_check("cop_read_begin", cop_read_begin(work->store, &read));
	bench_check("cop_stat", cop_stat(read, stats));
	cop_read_end(read);
}

static void processes_run(struct work *work, uint32_t readers, uint32_t writers)
{
	struct pen *pen = mmap(NULL, sizeof *pen, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct done *all = bench_alloc(sizeof *all);
	struct cop_stats before, after;
	int pids[READERS_MAX + WRITERS_MAX];
	char subject[64];
	uint64_t start_ns;
	double seconds;

	if (pen == MAP_FAILED)
		bench_fail("no memory");
	for (uint32_t i = 0; i < readers + writers; i++)
		pids[i] = process_start(work, pen, i, readers);
	while (atomic_load(&pen->ready) < readers + writers)
		usleep(1000);
	stats_of(work, &before);
	start_ns = bench_now_ns();
	atomic_store(&pen->go, 1);
	usleep(1000 * (work->bench->quick ? ROUND_MS / 10 : ROUND_MS));
	atomic_store(&pen->stop, 1);
	seconds = bench_seconds_since(start_ns);
	for (uint32_t i = 0; i < readers + writers; i++)
		bench_await(pids[i], "a process");
	stats_of(work, &after);
	done_sum(pen, readers + writers, all);
	snprintf(subject, sizeof subject, "%u readers, %u writers", readers,
		 writers);
	round_tell(work, all, subject, seconds, &before, &after);
	munmap(pen, sizeof *pen);
	free(all);
}

/* ---- one thing after the other ------------------------------------------ */

static void alone_tell(struct work *work, const char *what,
		       struct bench_series *series, const char *floor)
{
	bench_add(work->bench, what, floor, "median",
		  bench_series_median(series), "ms");
	series->count = 0;
}

static void puts_measure(struct work *work, struct bench_series *series)
{
	cop_write *write;

	for (uint32_t i = 0; i < REPEATS; i++) {
		uint64_t start_ns = bench_now_ns();

		act_put(work, work->entities + i);
		bench_series_add(series, bench_seconds_since(start_ns) * 1e3);
	}
	alone_tell(work, "one durable put", series, "floor 5 ms");
	bench_check("cop_write_begin", cop_write_begin(work->store, &write));
	for (uint32_t i = 0; i < 10; i++) {
		uint64_t start_ns = bench_now_ns();

		for (uint32_t j = 0; j < BATCH; j++)
			entity_put(work, write,
				   work->entities + REPEATS + i * BATCH + j);
		bench_check("cop_commit", cop_commit(write, NULL));
		bench_series_add(series, bench_seconds_since(start_ns) * 1e3);
	}
	cop_abort(write);
	alone_tell(work, "1,000 in a commit", series, "floor 2,000 ms");
}

static void context_once(struct work *work)
{
	struct cop_search search = {
	    .size = sizeof search, .k = K, .vector = some_query(work)};
	struct cop_walk around = {
	    .size = sizeof around, .direction = COP_OUT, .hops = 1};
	struct cop_hit hits[K];
	size_t starts[K + 1];
	uint32_t count;
	int32_t more;

	bench_check("cop_search_context",
		    cop_search_context(work->read, &search, &around, hits,
				       &count, work->steps, STEPS, starts,
				       &more));
}

static int32_t version_seen(void *user, cop_read *read,
			    const struct cop_version *version,
			    const struct cop_entity *entity)
{
	(void)read;
	(void)version;
	(void)entity;
	++*(uint32_t *)user;
	return 0;
}

static void history_once(struct work *work)
{
	char key[BENCH_KEY_BYTES];
	uint32_t count = 0;
	uint64_t id;

	bench_check("cop_lookup",
		    cop_lookup(work->read, key, bench_key(0, key), &id));
	bench_check("cop_history",
		    cop_history(work->read, id, version_seen, &count));
	if (count < VERSIONS)
		bench_fail("%u versions", count);
}

static int32_t entity_seen(void *user, uint32_t thread, cop_read *read,
			   const struct cop_entity *entity)
{
	(void)thread;
	(void)read;
	(void)entity;
	++*(uint32_t *)user;
	return 0;
}

static void tag_once(struct work *work)
{
	static const char *const tags[] = {"rare"};
	struct cop_select select = {
	    .size = sizeof select, .all = tags, .all_count = 1};
	uint32_t count = 0;

	bench_check("cop_select",
		    cop_select(work->read, &select, entity_seen, &count));
	if (count < RARE)
		bench_fail("%u with the rare tag", count);
}

static void past_once(struct work *work)
{
	bench_check(
	    "cop_read_as_of",
	    cop_read_as_of(work->read, cop_read_commit(work->read) - 5));
	act_get(work);
	bench_check("cop_read_refresh", cop_read_refresh(work->read));
}

static void reads_measure(struct work *work, struct bench_series *series)
{
	static const struct {
		const char *name;
		const char *floor;
		void (*once)(struct work *work);
	} reads[] = {
	    {"search with context", "floor 10 ms", context_once},
	    {"get as of 5 commits ago", "floor 0.3 ms", past_once},
	    {"history of 20 versions", "floor 1.2 ms", history_once},
	    {"the 20 with a rare tag", "floor 0.1 ms", tag_once},
	};

	bench_check("cop_read_begin", cop_read_begin(work->store, &work->read));
	for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
		for (int j = 0; j < REPEATS; j++) {
			uint64_t start_ns = bench_now_ns();

			reads[i].once(work);
			bench_series_add(series,
					 bench_seconds_since(start_ns) * 1e3);
		}
		alone_tell(work, reads[i].name, series, reads[i].floor);
	}
	cop_read_end(work->read);
}

static void memory_tell(struct work *work)
{
	struct cop_stats stats;

	stats_of(work, &stats);
	bench_add(work->bench, "shared memory", "floor 1.2",
		  "vectors over float32",
		  (double)stats.bank_bytes /
		      ((double)stats.vectors * DIM * sizeof(float)),
		  "times");
	bench_add(work->bench, "shared memory", "coppice", "all, an entity",
		  (double)stats.shared_bytes / (double)stats.entities, "bytes");
}

static void run(struct bench *bench)
{
	static const uint32_t processes[][2] = {
	    {1, 1}, {2, 1}, {10, 1}, {10, 0}, {READERS_MAX, WRITERS_MAX}};
	struct bench_series *series = bench_alloc(sizeof *series);
	struct work *work = bench_alloc(sizeof *work);
	char path[4096];

	memset(work, 0, sizeof *work);
	series->count = 0;
	bench_path(bench, "mixed", path, sizeof path);
	work->bench = bench;
	work->path = path;
	work->entities = bench->quick ? ENTITIES / 10 : ENTITIES;
	work->vectors = bench_random_plane(5, work->entities, DIM, 16, 100);
	work->hot = bench_random_plane(6, HOT, DIM, 16, 100);
	store_open(work);
	fill(work);
	for (int i = 0; i < VERSIONS; i++)
		act_put(work, 0);
	puts_measure(work, series);
	reads_measure(work, series);
	memory_tell(work);
	for (size_t i = 0; i < sizeof processes / sizeof processes[0]; i++)
		processes_run(work, processes[i][0], processes[i][1]);
	cop_close(work->store);
	free(series);
	free(work);
}

int main(int argument_count, char **arguments)
{
	return bench_main("mixed", argument_count, arguments, run);
}
