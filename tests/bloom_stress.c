/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bloom_stress: many add and test at once, and nothing is lost: threads on one
 * mapping, processes on a shared one, and one process with two mappings of the
 * same memory.  The lines are few, so that words are contended.
 */
#include "bloom.h"
#include "tap.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
	WORKERS = 4,
	KEYS = 150000, /* a worker */
	CAPACITY = WORKERS * KEYS
};

/* As in a segment: the filter, how far each worker is, the lines. */
struct shared {
	struct bloom bloom;
	_Atomic uint32_t done[WORKERS];
	_Atomic uint32_t lost;
	_Alignas(64) unsigned char lines[1 << 20];
};

struct worker {
	struct shared *shared;	   /* where it adds */
	const struct shared *seen; /* where it tests */
	uint64_t seed;
	uint32_t index;
};

static uint64_t key_hash(uint64_t seed, uint32_t worker, uint32_t key)
{
	uint64_t state = seed + ((uint64_t)worker << 32) + key;

	return test_random(&state);
}

static void shared_init(struct shared *shared)
{
	uint64_t lines = bloom_lines_for(CAPACITY, 0.01);

	memset(shared, 0, sizeof(*shared));
	if (lines * BLOOM_LINE_BYTES > sizeof(shared->lines))
		bail_out("the test's region is too small");
	bloom_init(&shared->bloom, 0.01);
	bloom_layer_add(&shared->bloom, 0, lines, CAPACITY);
}

static int seen_has(const struct shared *seen, uint64_t hash)
{
	return bloom_test(&seen->bloom, seen->lines, sizeof(seen->lines), hash);
}

/* Adds its keys, telling after each; looks for what others have told of. */
static void worker_run(const struct worker *w)
{
	uint64_t state = w->seed ^ w->index;
	uint32_t lost = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t other = (uint32_t)test_below(&state, WORKERS);
		uint32_t told;

		bloom_add(&w->shared->bloom, w->shared->lines,
			  sizeof(w->shared->lines),
			  key_hash(w->seed, w->index, i));
		atomic_store_explicit(&w->shared->done[w->index], i + 1,
				      memory_order_release);
		told = atomic_load_explicit(&w->seen->done[other],
					    memory_order_acquire);
		if (told) {
			told = (uint32_t)test_below(&state, told);
			lost +=
			    !seen_has(w->seen, key_hash(w->seed, other, told));
		}
	}
	atomic_fetch_add(&w->shared->lost, lost);
}

static void *worker_thread(void *argument)
{
	worker_run(argument);
	return NULL;
}

static void nothing_was_lost(const struct shared *shared, uint64_t seed)
{
	uint32_t lost = 0;

	for (uint32_t w = 0; w < WORKERS; w++)
		for (uint32_t i = 0; i < KEYS; i++)
			lost += !seen_has(shared, key_hash(seed, w, i));
	is_u64(atomic_load(&shared->lost), 0, "no key told of was missing");
	is_u64(lost, 0, "all keys are there in the end");
	ok(bloom_added(&shared->bloom) <= CAPACITY &&
	       bloom_added(&shared->bloom) >= CAPACITY * 9 / 10,
	   "the count of keys is about right");
}

static void workers_as_threads(struct shared *shared, const struct shared *seen,
			       uint64_t seed)
{
	pthread_t threads[WORKERS];
	struct worker workers[WORKERS];

	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){shared, seen, seed, i};
		if (pthread_create(&threads[i], NULL, worker_thread,
				   &workers[i]))
			bail_out("no thread");
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
}

static void *map(int fd)
{
	int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *at = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
			flags, fd, 0);

	if (at == MAP_FAILED)
		bail_out("no mapping");
	return at;
}

static void threads_on_one_mapping_lose_nothing(uint64_t seed)
{
	struct shared *shared = map(-1);

	shared_init(shared);
	workers_as_threads(shared, shared, seed);
	nothing_was_lost(shared, seed);
	munmap(shared, sizeof(*shared));
}

static void processes_on_one_mapping_lose_nothing(uint64_t seed)
{
	struct shared *shared = map(-1);
	pid_t children[WORKERS];
	int failed = 0;

	shared_init(shared);
	for (uint32_t i = 0; i < WORKERS; i++) {
		children[i] = fork();
		if (children[i] < 0)
			bail_out("no process");
		if (!children[i]) {
			struct worker w = {shared, shared, seed, i};

			worker_run(&w);
			_exit(0);
		}
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		int status;

		failed +=
		    waitpid(children[i], &status, 0) != children[i] || status;
	}
	is_int(failed, 0, "every process ended well");
	nothing_was_lost(shared, seed);
	munmap(shared, sizeof(*shared));
}

static void two_mappings_of_one_memory_agree(uint64_t seed)
{
	int fd = memfd_create("bloom", MFD_CLOEXEC);
	struct shared *writes;
	struct shared *reads;

	if (fd < 0 || ftruncate(fd, sizeof(struct shared)))
		bail_out("no memfd");
	writes = map(fd);
	reads = map(fd);
	shared_init(writes);
	workers_as_threads(writes, reads, seed);
	nothing_was_lost(reads, seed);
	munmap(writes, sizeof(*writes));
	ok(seen_has(reads, key_hash(seed, 0, 0)),
	   "nothing points into the mapping that is gone");
	munmap(reads, sizeof(*reads));
	close(fd);
}

int main(void)
{
	uint64_t state;

	test_begin(300);
	state = test_seed();
	processes_on_one_mapping_lose_nothing(test_random(&state));
	threads_on_one_mapping_lose_nothing(test_random(&state));
	two_mappings_of_one_memory_agree(test_random(&state));
	return done_testing();
}
