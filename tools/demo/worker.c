/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: a process of its own that searches, walks and looks for news.
 *
 * idea
 *	It opens the store as any program would and then goes round and round:
 *	one search (the ten entities nearest to a random one), twenty walks (all
 *	that is within two hops of a random one), one look whether the writer's
 *	next entity is there.  That look is a cop_read_refresh() and a
 *	cop_lookup(); when the entity is there, a search with its vector must
 *	answer with it first, and a walk must cross its edge.
 *
 *	When it is found, the time is noted.  The delay so measured holds the
 *	rest of the round that was under way when the commit returned, and,
 *	with more processes than cores, the wait for a core.
 *
 * limits
 *	News not found within NEWS_GRACE_MS of the end is a failure.
 */
#include "worker.h"

#include <stdio.h>
#include <string.h>

#include "textvec.h"

enum { HITS = 10, STEPS_MAX = 65536 };

struct worker {
	struct board *board;
	struct board_worker *own;
	cop_store *store;
	cop_read *read;
	uint64_t random;
	uint64_t end_ns;
	uint32_t index;
	uint32_t news; /* the next one to be found */
	struct cop_step steps[STEPS_MAX];
};

/* xorshift64*: Marsaglia 2003, Vigna 2016 */
static uint64_t random_id(struct worker *worker)
{
	uint64_t word = worker->random;

	word ^= word >> 12;
	word ^= word << 25;
	word ^= word >> 27;
	worker->random = word;
	word = (word * 0x2545f4914f6cdd1dU) >> 32;
	return worker->board->sample[word % worker->board->sample_count];
}

static int search_near(struct worker *worker, const float *vector,
		       struct cop_hit hits[HITS])
{
	struct cop_search search = {
	    .size = sizeof search, .k = HITS, .vector = vector};
	uint32_t count = 0;
	cop_err error = cop_search(worker->read, &search, hits, &count);

	if (error != 0)
		return complain_cop("cop_search", error);
	if (count != HITS)
		return complain("a search gave %u hits instead of %d", count,
				HITS);
	return 0;
}

static int search_once(struct worker *worker)
{
	struct cop_hit hits[HITS];
	const float *vector = NULL;
	uint64_t start_ns = board_clock_ns();
	cop_err error = cop_vector(worker->read, random_id(worker), &vector);

	if (error != 0)
		return complain_cop("cop_vector", error);
	if (vector == NULL)
		return complain("an entity has lost its vector");
	if (search_near(worker, vector, hits) != 0)
		return -1;
	/* Synsets with the same text have the same vector: not the id. */
	if (hits[0].distance > 0.01)
		return complain("nearest to itself is an entity at %g",
				hits[0].distance);
	worker->own->search_ns += board_clock_ns() - start_ns;
	worker->own->searches++;
	return 0;
}

static int walk_from(struct worker *worker, uint64_t id, uint32_t hops,
		     size_t *count)
{
	struct cop_walk walk = {.size = sizeof walk, .hops = hops, .start = id};
	cop_err error = cop_walk(worker->read, &walk, worker->steps, STEPS_MAX,
				 count, NULL);

	return error == 0 ? 0 : complain_cop("cop_walk", error);
}

static int walk_once(struct worker *worker)
{
	size_t count = 0;

	if (walk_from(worker, random_id(worker), 2, &count) != 0)
		return -1;
	if (count == 0)
		return complain("a walk found not even its start");
	worker->own->steps += count;
	worker->own->walks++;
	return 0;
}

/* Whether the entity that a look found is there in every respect. */
static int news_check(struct worker *worker, uint64_t id)
{
	float vector[TEXTVEC_DIM];
	struct cop_hit hits[HITS];
	size_t count = 0;

	board_news_vector(worker->news, vector);
	if (search_near(worker, vector, hits) != 0)
		return -1;
	if (hits[0].id != id)
		return complain("new entity %u is there, but a search with its "
				"vector gives another (distance %g)",
				worker->news + 1, hits[0].distance);
	if (walk_from(worker, id, 1, &count) != 0)
		return -1;
	if (count != 2)
		return complain("new entity %u is there, but not its edge",
				worker->news + 1);
	return 0;
}

/* Looks for the next new entities; several if they came meanwhile. */
static int news_look(struct worker *worker)
{
	cop_err error = cop_read_refresh(worker->read);

	if (error != 0)
		return complain_cop("cop_read_refresh", error);
	while (worker->news < worker->board->news_count) {
		char key[32];
		uint64_t id = 0;

		board_news_key(worker->news, key);
		error = cop_lookup(worker->read, key, strlen(key), &id);
		if (error != 0)
			return complain_cop("cop_lookup", error);
		if (id == 0)
			break;
		if (news_check(worker, id) != 0)
			return -1;
		worker->own->found_ns[worker->news++] = board_clock_ns();
		worker->own->news_found = worker->news;
	}
	return 0;
}

static int round_once(struct worker *worker)
{
	uint32_t index;

	if (search_once(worker) != 0)
		return -1;
	for (index = 0; index < BOARD_WALKS; index++)
		if (walk_once(worker) != 0)
			return -1;
	return news_look(worker);
}

static int run(struct worker *worker)
{
	uint64_t start_ns = board_clock_ns();
	uint64_t end_ns = start_ns + worker->board->run_ms * 1000000ULL;
	uint64_t late_ns = end_ns + NEWS_GRACE_MS * 1000000ULL;

	while (board_clock_ns() < end_ns)
		if (round_once(worker) != 0)
			return -1;
	worker->own->run_ns = board_clock_ns() - start_ns;
	while (worker->news < worker->board->news_count) {
		if (news_look(worker) != 0)
			return -1;
		if (worker->news < worker->board->news_count &&
		    board_clock_ns() > late_ns)
			return complain("worker %u found %u of %u new entities",
					worker->index + 1, worker->news,
					worker->board->news_count);
	}
	return 0;
}

/* Memory of this process that no other one shares. */
static int measure_memory(struct board_worker *own)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	unsigned long long kilobytes;

	if (file == NULL)
		return complain("/proc/self/smaps_rollup cannot be read");
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "Private_%*[^:]: %llu", &kilobytes) == 1 &&
		    strncmp(line, "Private_Hugetlb", 15) != 0)
			own->private_bytes += kilobytes * 1024;
		else if (sscanf(line, "Rss: %llu", &kilobytes) == 1)
			own->resident_bytes = kilobytes * 1024;
	}
	fclose(file);
	return 0;
}

static int work(struct worker *worker, const char *path)
{
	uint64_t start_ns = board_clock_ns();
	cop_err error = cop_open(path, NULL, &worker->store);

	if (error != 0)
		return complain_cop("cop_open", error);
	worker->own->open_ns = board_clock_ns() - start_ns;
	error = cop_read_begin(worker->store, &worker->read);
	if (error != 0)
		return complain_cop("cop_read_begin", error);
	board_ready(worker->board);
	board_await_go(worker->board);
	if (run(worker) != 0)
		return -1;
	return measure_memory(worker->own);
}

int worker_main(struct board *board, uint32_t index, const char *path)
{
	static struct worker worker; /* its steps are too many for a stack */
	int status;

	worker.board = board;
	worker.own = &board->worker[index];
	worker.index = index;
	worker.random = 0x9e3779b97f4a7c15U * (index + 1);
	status = work(&worker, path);
	if (status == 0) {
		board_done(board);
		board_await_dismissal(board);
	}
	cop_read_end(worker.read);
	cop_close(worker.store);
	return status == 0 ? 0 : 1;
}
