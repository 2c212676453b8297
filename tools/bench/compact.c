/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction: what it costs those who read and write meanwhile.
 *
 * idea
 *	A million entities with vectors, an eighth of them replaced since.  Four
 *	processes commit small writes and four search, each noting how long its
 *	longest call took, first for a while alone, then beside cop_compact:
 *	the difference is what the compaction is felt by, and pause_ns what it
 *	says itself.  A second compaction, with nobody else, says how much of
 *	the data file is for what was committed during the first.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_random.h"
#include "bench_run.h"
#include "bench_store.h"

enum { DIM = 128, WRITERS = 4, READERS = 4, K = 10, ALONE_SECONDS = 10 };

/* One process's; the parent sets `longest` back between the two phases. */
struct worker {
	_Atomic uint64_t calls;
	_Atomic uint64_t longest_ns;
};

struct world {
	const char *path;
	float *vectors;
	uint32_t count;
	struct worker *workers; /* writers first; shared */
};

static void call_note(struct worker *worker, uint64_t start_ns)
{
	uint64_t passed_ns = bench_now_ns() - start_ns;

	atomic_fetch_add_explicit(&worker->calls, 1, memory_order_relaxed);
	if (passed_ns >
	    atomic_load_explicit(&worker->longest_ns, memory_order_relaxed))
		atomic_store_explicit(&worker->longest_ns, passed_ns,
				      memory_order_relaxed);
}

/* Replaces an entity with another one's vector. */
static void entity_renew(const struct world *world, cop_write *write,
			 struct bench_random *random)
{
	char key[BENCH_KEY_BYTES];
	uint64_t from = bench_random_below(random, world->count);
	uint32_t at = (uint32_t)bench_random_below(random, world->count);
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)bench_key(at, key),
			      .vector = world->vectors + from * DIM,
			      .dim = DIM};

	bench_check("cop_put", cop_put(write, &put));
}

static void write_on(const struct world *world, int index)
{
	struct bench_random random = {(uint64_t)index + 100};
	cop_store *store;
	cop_write *write;

	bench_check("cop_open", cop_open(world->path, NULL, &store));
	bench_check("cop_write_begin", cop_write_begin(store, &write));
	for (;;) {
		uint64_t start_ns;

		entity_renew(world, write, &random);
		start_ns = bench_now_ns();
		bench_check("cop_commit", cop_commit(write, NULL));
		call_note(&world->workers[index], start_ns);
	}
}

static void search_on(const struct world *world, int index)
{
	struct bench_random random = {(uint64_t)index + 200};
	struct cop_search search = {.size = sizeof search, .k = K};
	struct cop_hit hits[K];
	cop_store *store;

	bench_check("cop_open", cop_open(world->path, NULL, &store));
	for (;;) {
		uint64_t start_ns = bench_now_ns();
		uint32_t count = 0;
		cop_read *read;

		search.vector = world->vectors +
				bench_random_below(&random, world->count) * DIM;
		bench_check("cop_read_begin", cop_read_begin(store, &read));
		bench_check("cop_search",
			    cop_search(read, &search, hits, &count));
		cop_read_end(read);
		call_note(&world->workers[index], start_ns);
	}
}

static int worker_start(const struct world *world, int index)
{
	int pid = bench_fork();

	if (!pid) {
		if (index < WRITERS)
			write_on(world, index);
		search_on(world, index);
	}
	return pid;
}

/* What all have done since they were last asked. */
static void workers_tell(struct bench *bench, const struct world *world,
			 const char *when, double seconds)
{
	static const char *const who[] = {"commits", "searches"};

	for (int kind = 0; kind < 2; kind++) {
		int from = kind ? WRITERS : 0;
		int to = kind ? WRITERS + READERS : WRITERS;
		uint64_t longest_ns = 0;
		uint64_t calls = 0;
		char text[BENCH_TEXT_BYTES];

		for (int i = from; i < to; i++) {
			struct worker *worker = &world->workers[i];
			uint64_t ns = atomic_exchange(&worker->longest_ns, 0);

			calls += atomic_exchange(&worker->calls, 0);
			longest_ns = ns > longest_ns ? ns : longest_ns;
		}
		snprintf(text, sizeof text, "%s, longest", who[kind]);
		bench_add(bench, when, text, "time", (double)longest_ns / 1e6,
			  "ms");
		bench_add(bench, when, who[kind], "a second",
			  (double)calls / seconds, "");
	}
}

static void compact(struct bench *bench, const struct world *world,
		    cop_store *store)
{
	struct cop_compact_result result = {.size = sizeof result};
	uint64_t start_ns = bench_now_ns();
	double seconds;

	bench_check("cop_compact", cop_compact(store, NULL, &result));
	seconds = bench_seconds_since(start_ns);
	workers_tell(bench, world, "beside a compaction", seconds);
	bench_add(bench, "compaction", "it", "time", seconds, "s");
	bench_add(bench, "compaction", "writers' pause, in all", "time",
		  (double)result.pause_ns / 1e6, "ms");
	bench_add(bench, "compaction", "writers' pause, longest", "time",
		  (double)result.pause_longest_ns / 1e6, "ms");
	bench_add(bench, "compaction", "segment renewed", "",
		  (double)result.renewed, "");
	bench_add(bench, "compaction", "data file", "before",
		  (double)result.bytes_before / 1e6, "MB");
	bench_add(bench, "compaction", "data file", "after",
		  (double)result.bytes_after / 1e6, "MB");
}

/* How much of the data file there is for what was committed meanwhile. */
static void compact_again(struct bench *bench, cop_store *store)
{
	struct cop_compact_result result = {.size = sizeof result};
	struct cop_slack slack = {.size = sizeof slack};

	bench_check("cop_compact_look", cop_compact_look(store, NULL, &slack));
	bench_check("cop_compact", cop_compact(store, NULL, &result));
	bench_add(bench, "compaction", "data file", "free pages in it",
		  (double)slack.free_bytes / 1e6, "MB");
	bench_add(bench, "compaction", "data file", "once more, at rest",
		  (double)result.bytes_after / 1e6, "MB");
}

static cop_store *store_make(const struct bench *bench, struct world *world,
			     char *path, size_t room)
{
	struct bench_filling filling = {.entities = world->count,
					.vectors = world->vectors};
	struct cop_maintain_options options = {.size = sizeof options,
					       .threads = 2};
	struct bench_random random = {3};
	cop_store *store;
	cop_write *write;

	bench_path(bench, "store", path, room);
	world->path = path;
	store = bench_store_create(path, DIM, COP_L2, world->count);
	bench_store_fill(store, &filling);
	bench_check("cop_write_begin", cop_write_begin(store, &write));
	for (uint32_t i = 0; i < world->count / 8; i++) {
		entity_renew(world, write, &random);
		if (i % 1000 == 999)
			bench_check("cop_commit", cop_commit(write, NULL));
	}
	bench_check("cop_commit", cop_commit(write, NULL));
	cop_abort(write);
	bench_check("cop_maintain", cop_maintain(store, &options, NULL));
	return store;
}

static void run(struct bench *bench)
{
	const char *count = getenv("BENCH_ENTITIES");
	struct world world = {.count = bench->quick ? 20000 : 1000000};
	int pids[WRITERS + READERS];
	char path[4096];
	cop_store *store;

	if (count != NULL)
		world.count = (uint32_t)atoi(count);
	world.vectors = bench_random_mixture(1, world.count, DIM, 1000);
	world.workers = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world.workers == MAP_FAILED)
		bench_fail("no memory");
	store = store_make(bench, &world, path, sizeof path);
	for (int i = 0; i < WRITERS + READERS; i++)
		pids[i] = worker_start(&world, i);
	sleep(1);
	workers_tell(bench, &world, "warming up", 1);
	sleep(ALONE_SECONDS);
	workers_tell(bench, &world, "alone", ALONE_SECONDS);
	compact(bench, &world, store);
	for (int i = 0; i < WRITERS + READERS; i++) {
		kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	compact_again(bench, store);
	cop_close(store);
	munmap(world.workers, 4096);
	free(world.vectors);
}

int main(int argument_count, char **arguments)
{
	return bench_main("compact", argument_count, arguments, run);
}
