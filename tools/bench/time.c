/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What history costs, and what it takes to ask it; lists by tag.
 *
 * idea
 *	100,000 entities are put, then changed at random ten times over in
 *	commits of 1,000, in a store that keeps history and in one that does
 *	not, by turns.  Gets are of the newest and as of a moment in the middle,
 *	when half of the changes were still to come.  One entity has 1,000
 *	versions.  Searches are of 128 dimensions, with what is around their
 *	hits, and as of before a part of the vectors changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_clock.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum {
	ENTITIES = 100000,
	TURNS = 10,
	BATCH = 1000,
	ROUNDS = 5,
	GETS = 100000,
	VERSIONS = 1000,
	DIM = 128,
	QUERIES = 200,
	K = 10
};

struct world {
	struct bench *bench;
	cop_store *store;
	cop_read *read;
	uint32_t entities;
	uint64_t middle; /* a commit */
};

/* ---- entities that change ----------------------------------------------- */

static void entity_put(cop_write *write, uint32_t entity, int64_t number)
{
	char key[BENCH_KEY_BYTES];
	struct cop_property property = {
	    "number", 6, {.kind = COP_INT, .integer = number}};
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)bench_key(entity, key),
			      .type = "thing",
			      .type_size = 5,
			      .properties = &property,
			      .property_count = 1};

	bench_check("cop_put", cop_put(write, &put));
}

/* Entities put a second. */
static double entities_put(struct world *world, uint32_t count, uint64_t seed)
{
	struct bench_random random = {seed};
	uint64_t start_ns = bench_now_ns();
	cop_write *write;
	uint32_t i;

	bench_check("cop_write_begin", cop_write_begin(world->store, &write));
	for (i = 0; i < count; i++) {
		entity_put(write,
			   seed ? (uint32_t)bench_random_below(&random,
							       world->entities)
				: i,
			   (int64_t)(seed + i));
		if (cop_write_count(write) == BATCH || i + 1 == count)
			bench_check("cop_commit", cop_commit(write, NULL));
	}
	cop_abort(write);
	return count / bench_seconds_since(start_ns);
}

static uint64_t newest(cop_store *store)
{
	uint64_t commit;
	cop_read *read;

	bench_check("cop_read_begin", cop_read_begin(store, &read));
	commit = cop_read_commit(read);
	cop_read_end(read);
	return commit;
}

static struct cop_stats stats_of(cop_store *store)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read;

	bench_check("cop_read_begin", cop_read_begin(store, &read));
	bench_check("cop_stat", cop_stat(read, &stats));
	cop_read_end(read);
	return stats;
}

static void world_make(struct world *world, struct bench *bench,
		       const char *name, uint32_t dim, const char *history)
{
	char path[4096];

	*world =
	    (struct world){.bench = bench,
			   .entities = bench->quick ? ENTITIES / 10 : ENTITIES};
	bench_path(bench, name, path, sizeof path);
	setenv("BENCH_HISTORY", history, 1);
	world->store = bench_store_create(path, dim, COP_L2, world->entities);
}

static void measure_changes(struct world *with, struct world *without)
{
	static struct bench_series series[2];
	struct cop_stats before[2];
	double changes = (double)with->entities * TURNS;
	uint64_t turn;

	bench_add(with->bench, "entities put", "coppice", "a second",
		  entities_put(with, with->entities, 0), "1/s");
	entities_put(without, without->entities, 0);
	before[0] = stats_of(with->store);
	before[1] = stats_of(without->store);
	for (turn = 1; turn <= TURNS; turn++) {
		bench_series_add(&series[0],
				 entities_put(with, with->entities, turn));
		bench_series_add(&series[1],
				 entities_put(without, with->entities, turn));
		if (turn == TURNS / 2)
			with->middle = newest(with->store);
	}
	bench_add(with->bench, "entities changed", "coppice", "a second",
		  bench_series_median(&series[0]), "1/s");
	bench_add(with->bench, "entities changed", "without history",
		  "a second", bench_series_median(&series[1]), "1/s");
	bench_add(
	    with->bench, "entities changed", "coppice", "disk for each version",
	    (double)(stats_of(with->store).disk_bytes - before[0].disk_bytes) /
		changes,
	    "bytes");
	bench_add(with->bench, "entities changed", "without history",
		  "disk for each version",
		  (double)(stats_of(without->store).disk_bytes -
			   before[1].disk_bytes) /
		      changes,
		  "bytes");
}

/* ---- gets --------------------------------------------------------------- */

/* Nanoseconds each; *sum of the numbers that are found. */
static double gets(struct world *world, uint64_t seed, int64_t *sum)
{
	struct bench_random random = {seed};
	uint64_t start_ns = bench_now_ns();
	int i;

	for (i = 0; i < GETS; i++) {
		char key[BENCH_KEY_BYTES];
		size_t size = bench_key(
		    (uint32_t)bench_random_below(&random, world->entities),
		    key);
		struct cop_entity entity;

		bench_check("cop_get",
			    cop_get(world->read, key, size, &entity));
		*sum += (int64_t)entity.version;
	}
	return bench_seconds_since(start_ns) * 1e9 / GETS;
}

static void measure_gets(struct world *world)
{
	static struct bench_series series[2];
	uint64_t commit = newest(world->store);
	int64_t sum = 0;
	uint64_t round;

	bench_check("cop_read_begin",
		    cop_read_begin(world->store, &world->read));
	for (round = 0; round < ROUNDS; round++) {
		bench_check("cop_read_as_of",
			    cop_read_as_of(world->read, commit));
		bench_series_add(&series[0], gets(world, round, &sum));
		bench_check("cop_read_as_of",
			    cop_read_as_of(world->read, world->middle));
		bench_series_add(&series[1], gets(world, round, &sum));
	}
	cop_read_end(world->read);
	bench_add(world->bench, "an entity by key", "coppice", "the newest",
		  bench_series_median(&series[0]), "ns");
	bench_add(world->bench, "an entity by key", "coppice",
		  "as of half of the changes", bench_series_median(&series[1]),
		  "ns");
}

/* ---- versions and differences ------------------------------------------- */

static int32_t version_count(void *user, cop_read *read,
			     const struct cop_version *version,
			     const struct cop_entity *entity)
{
	(void)read;
	(void)version;
	(void)entity;
	++*(int *)user;
	return 0;
}

static int32_t difference_count(void *user, cop_read *read,
				const struct cop_difference *difference)
{
	(void)read;
	(void)difference;
	++*(int *)user;
	return 0;
}

static void measure_history(struct world *world)
{
	cop_write *write;
	uint64_t start_ns;
	uint64_t id;
	char key[BENCH_KEY_BYTES];
	int count = 0;
	int i;

	bench_check("cop_write_begin", cop_write_begin(world->store, &write));
	for (i = 0; i < VERSIONS; i++) {
		struct cop_commit_options lazy = {.size = sizeof lazy,
						  .durability = COP_LAZY};

		entity_put(write, 7, i);
		bench_check("cop_commit", cop_commit_with(write, &lazy, NULL));
	}
	cop_abort(write);
	bench_check("cop_read_begin",
		    cop_read_begin(world->store, &world->read));
	bench_check("cop_id", cop_id(world->read, key, bench_key(7, key), &id));
	start_ns = bench_now_ns();
	bench_check("cop_history",
		    cop_history(world->read, id, version_count, &count));
	bench_add(world->bench, "history of an entity", "coppice", "a version",
		  bench_seconds_since(start_ns) * 1e9 / count, "ns");
	if (count < VERSIONS)
		bench_fail("%d versions of %d", count, VERSIONS);
	count = 0;
	start_ns = bench_now_ns();
	bench_check("cop_diff",
		    cop_diff(world->read, world->middle - 1, world->middle,
			     difference_count, &count));
	bench_add(world->bench, "what a commit of 1,000 changed", "coppice",
		  "a difference", bench_seconds_since(start_ns) * 1e6 / count,
		  "us");
	cop_read_end(world->read);
}

/* ---- tags --------------------------------------------------------------- */

static int32_t member_count(void *user, uint32_t thread, cop_read *read,
			    const struct cop_entity *entity)
{
	(void)thread;
	(void)read;
	(void)entity;
	++*(int *)user;
	return 0;
}

static void measure_tags(struct world *world)
{
	static const struct {
		const char *tag;
		int every;
	} tags[] = {{"rare", 10000}, {"some", 100}, {"many", 2}};
	size_t t;

	for (t = 0; t < sizeof tags / sizeof *tags; t++) {
		cop_write *write;
		uint64_t start_ns;
		uint32_t i;
		char subject[64];
		int count = 0;

		bench_check("cop_write_begin",
			    cop_write_begin(world->store, &write));
		for (i = 0; i < world->entities; i += (uint32_t)tags[t].every) {
			char key[BENCH_KEY_BYTES];

			bench_check("cop_tag",
				    cop_tag(write, key, bench_key(i, key),
					    tags[t].tag, 4));
		}
		bench_check("cop_commit", cop_commit(write, NULL));
		cop_abort(write);
		bench_check("cop_read_begin",
			    cop_read_begin(world->store, &world->read));
		start_ns = bench_now_ns();
		bench_check("cop_scan", cop_scan(world->read, NULL, tags[t].tag,
						 1, member_count, &count));
		snprintf(subject, sizeof subject, "who has a tag: %d", count);
		bench_add(world->bench, subject, "coppice", "all",
			  bench_seconds_since(start_ns) * 1e6, "us");
		bench_add(world->bench, subject, "coppice", "each",
			  bench_seconds_since(start_ns) * 1e9 / count, "ns");
		cop_read_end(world->read);
	}
}

/* ---- searches ----------------------------------------------------------- */

static void vectors_put(struct world *world, uint32_t from, uint32_t to,
			uint64_t seed)
{
	struct bench_random random = {seed};
	cop_write *write;
	float vector[DIM];
	uint32_t i;
	int k;

	bench_check("cop_write_begin", cop_write_begin(world->store, &write));
	for (i = from; i < to; i++) {
		char key[BENCH_KEY_BYTES];
		char other[BENCH_KEY_BYTES];
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .key_size = (uint32_t)bench_key(i, key),
				      .vector = vector,
				      .dim = DIM};
		struct cop_put_edge edge = {.size = sizeof edge,
					    .source = key,
					    .source_size = put.key_size,
					    .relation = "link",
					    .relation_size = 4,
					    .target = other};

		for (k = 0; k < DIM; k++)
			vector[k] = (float)(bench_random_unit(&random) - 0.5);
		bench_check("cop_put", cop_put(write, &put));
		for (k = 0; k < 5 && i; k++) {
			edge.target_size = bench_key(
			    (uint32_t)bench_random_below(&random, i), other);
			bench_check("cop_put_edge", cop_put_edge(write, &edge));
		}
		if (cop_write_count(write) >= 20000 || i + 1 == to)
			bench_check("cop_commit", cop_commit(write, NULL));
	}
	cop_abort(write);
}

/* Microseconds a search, with what is within `hops` of its hits. */
static double searches(struct world *world, uint32_t hops, uint64_t seed)
{
	struct bench_random random = {seed};
	static struct cop_step steps[K * 1000];
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = hops, .direction = COP_BOTH};
	float query[DIM];
	struct cop_search search = {
	    .size = sizeof search, .k = K, .vector = query};
	struct cop_hit hits[K];
	size_t starts[K + 1];
	uint32_t count;
	uint64_t spent_ns = 0;
	int i;
	int k;

	for (i = 0; i < QUERIES; i++) {
		uint64_t start_ns;

		for (k = 0; k < DIM; k++)
			query[k] = (float)(bench_random_unit(&random) - 0.5);
		start_ns = bench_now_ns();
		if (hops)
			bench_check("cop_search_context",
				    cop_search_context(
					world->read, &search, &walk, hits,
					&count, steps, K * 1000, starts, NULL));
		else
			bench_check(
			    "cop_search",
			    cop_search(world->read, &search, hits, &count));
		spent_ns += bench_now_ns() - start_ns;
	}
	return (double)spent_ns / 1e3 / QUERIES;
}

static void measure_searches(struct bench *bench)
{
	static struct bench_series series[4];
	static const char *const whats[] = {
	    "its 10 hits", "with 1 hop around them", "with 2 hops",
	    "as of before a hundredth of the vectors changed"};
	struct world world;
	uint64_t before;
	uint64_t round;
	int i;

	world_make(&world, bench, "vectors", DIM, "all");
	vectors_put(&world, 0, world.entities, 1);
	bench_check("cop_maintain", cop_maintain(world.store, NULL, NULL));
	before = newest(world.store);
	vectors_put(&world, 0, world.entities / 100, 2);
	bench_check("cop_maintain", cop_maintain(world.store, NULL, NULL));
	bench_check("cop_read_begin", cop_read_begin(world.store, &world.read));
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 3; i++)
			bench_series_add(
			    &series[i],
			    searches(&world, (uint32_t)i, 3 + round));
		bench_check("cop_read_as_of",
			    cop_read_as_of(world.read, before));
		bench_series_add(&series[3], searches(&world, 0, 3 + round));
		bench_check("cop_read_refresh", cop_read_refresh(world.read));
	}
	cop_read_end(world.read);
	for (i = 0; i < 4; i++)
		bench_add(bench, "a search", "coppice", whats[i],
			  bench_series_median(&series[i]), "us");
	cop_close(world.store);
}

static void run(struct bench *bench)
{
	struct world with;
	struct world without;

	world_make(&with, bench, "with", 0, "all");
	world_make(&without, bench, "without", 0, "none");
	measure_changes(&with, &without);
	measure_gets(&with);
	measure_history(&with);
	measure_tags(&with);
	cop_close(with.store);
	cop_close(without.store);
	measure_searches(bench);
}

int main(int argument_count, char **arguments)
{
	return bench_main("time", argument_count, arguments, run);
}
