/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures: a block a process, counted on by the next owner; sums lose nothing.
 *
 * Two descriptions of one file stand for two processes: locks are theirs.
 */
#include "figures.h"
#include "shm_fixture.h"

enum { THREADS = 4, TIMES = 20000, PROCESSES = 8 };

static int file;

static int file_open(void)
{
	return shm_reopen(file, O_RDWR);
}

/* Slots' part of it: a name. */
static const struct slots *slots_of(const char *name)
{
	static struct slots slots;

	memset(slots.name, 0, sizeof slots.name);
	strncpy(slots.name, name, sizeof slots.name - 1);
	slots.pid_namespace = 7;
	return &slots;
}

static void figures_must(struct figures *figures, const char *name)
{
	int err = figures_open(figures, slots_of(name), file_open());

	if (err)
		bail_out("figures_open: %s", strerror(err));
}

static struct figures_sum *sum_of(const struct figures *figures)
{
	struct figures_sum *sum = calloc(1, sizeof *sum);

	if (!sum)
		bail_out("no memory");
	for (uint32_t i = 0; i < figures_limit(figures); i++)
		figures_add(figures, i, sum);
	return sum;
}

static int64_t searches_of(const struct figures *figures)
{
	struct figures_sum *sum = sum_of(figures);
	uint64_t searches = sum->counts[FIGURE_SEARCHES];

	free(sum);
	return (int64_t)searches;
}

static void a_block_outlives_its_owner(void)
{
	struct figures one, two;
	struct figures_owner owner;
	uint32_t place;

	figures_must(&one, "one");
	figures_must(&two, "two");
	ok(one.own && two.own && one.index != two.index,
	   "each process has a block of its own");
	figures_peek(&one, two.index, &owner);
	ok(owner.is_held && !strcmp(owner.name, "two") &&
	       owner.pid == (uint32_t)getpid() && owner.pid_namespace == 7,
	   "it says whose it is");
	figures_count(&one, FIGURE_SEARCHES, 3);
	figures_count(&two, FIGURE_SEARCHES, 4);
	is_int(searches_of(&one), 7, "the total is of both");
	place = two.index;
	figures_close(&two);
	figures_peek(&one, place, &owner);
	ok(!owner.is_held, "nobody has a block that was given back");
	is_int(searches_of(&one), 7, "what was counted in it stays");
	figures_must(&two, "three");
	is_int(two.index, place, "the next process has it");
	figures_count(&two, FIGURE_SEARCHES, 1);
	is_int(searches_of(&one), 8, "and counts on");
	figures_close(&two);
	figures_close(&one);
}

static void who_waits_is_known_while_he_lives(void)
{
	struct figures one, two;
	uint32_t place;

	figures_must(&one, "one");
	figures_must(&two, "two");
	place = two.index;
	is_int(figures_waiting(&one, place), 0, "nobody waits");
	figures_wait_begin(&two);
	figures_wait_begin(&two);
	figures_wait_end(&two);
	is_int(figures_waiting(&one, place), getpid(),
	       "one of two threads waits still, which others see");
	is_int(figures_waiting(&one, one.index), 0, "nobody else does");
	figures_close(&two); /* as by death */
	is_int(figures_waiting(&one, place), 0, "the dead do not wait");
	figures_must(&two, "three");
	is_int(two.index, place, "who has the block next");
	is_int(figures_waiting(&one, place), 0, "does not wait for the dead");
	figures_close(&two);
	figures_close(&one);
}

struct adding {
	struct figures figures;
	_Atomic uint32_t stop;
	_Atomic uint32_t back; /* sums that were less than the one before */
};

static void *add_run(void *user)
{
	struct adding *adding = user;

	for (uint32_t i = 0; i < TIMES; i++) {
		figures_count(&adding->figures, FIGURE_LINKED, 1);
		figures_time(&adding->figures, TIMING_HOLD, i, 1);
	}
	return NULL;
}

static void *watch_run(void *user)
{
	struct adding *adding = user;
	uint64_t before = 0;

	while (!atomic_load(&adding->stop)) {
		struct figures_sum *sum = sum_of(&adding->figures);

		if (sum->counts[FIGURE_LINKED] < before)
			atomic_fetch_add(&adding->back, 1);
		before = sum->counts[FIGURE_LINKED];
		free(sum);
	}
	return NULL;
}

static void threads_lose_nothing(void)
{
	struct adding adding = {.stop = 0};
	pthread_t threads[THREADS], watcher;
	struct figures_sum *sum;
	uint64_t timed = 0;

	figures_must(&adding.figures, "threads");
	if (pthread_create(&watcher, NULL, watch_run, &adding))
		bail_out("pthread_create");
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, add_run, &adding))
			bail_out("pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&adding.stop, 1);
	pthread_join(watcher, NULL);
	sum = sum_of(&adding.figures);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		timed += sum->timings[TIMING_HOLD].buckets[i];
	is_int((int64_t)sum->counts[FIGURE_LINKED], THREADS * TIMES,
	       "threads of a process count in one block and lose nothing");
	is_int((int64_t)timed, THREADS * TIMES, "nor what they time");
	is_int((int64_t)sum->timings[TIMING_HOLD].sum,
	       (int64_t)THREADS * TIMES * (TIMES - 1) / 2,
	       "and the sum is that of all");
	ok(!atomic_load(&adding.back), "a total never goes back meanwhile");
	free(sum);
	figures_close(&adding.figures);
}

/* Half of them are killed. */
static void process_run(int number)
{
	struct figures figures;

	figures_must(&figures, "process");
	for (int i = 0; i < TIMES; i++)
		figures_count(&figures, FIGURE_RETRIES, 1);
	if (number % 2)
		raise(SIGKILL);
	_exit(0);
}

static void the_dead_are_counted(void)
{
	struct figures figures;
	struct figures_sum *sum;

	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < PROCESSES; i++) {
			pid_t pid = fork();

			if (!pid)
				process_run(i);
			if (pid < 0)
				bail_out("fork");
		}
		while (wait(NULL) > 0)
			;
	}
	figures_must(&figures, "reader");
	sum = sum_of(&figures);
	is_int((int64_t)sum->counts[FIGURE_RETRIES], 2 * PROCESSES * TIMES,
	       "what processes did is there after they were killed");
	ok(figures_limit(&figures) <= PROCESSES + 2,
	   "those of the second turn had the blocks of the first");
	free(sum);
	figures_close(&figures);
}

static void another_layout_is_refused(void)
{
	struct figures_head head;
	struct figures figures;
	int fd = file_open();

	if (pread(fd, &head, sizeof head, 0) != sizeof head)
		bail_out("pread");
	head.layout++;
	if (pwrite(fd, &head, sizeof head, 0) != sizeof head)
		bail_out("pwrite");
	is_int(figures_open(&figures, slots_of("other"), fd), EPROTO,
	       "a file of another layout is refused");
	ok(!figures.head && !figures.own, "and nothing is counted");
	figures_count(&figures, FIGURE_SEARCHES, 1);
	is_int(figures_limit(&figures), 0, "what is not there has no blocks");
	figures_close(&figures);
}

int main(void)
{
	test_begin(60 * TEST_SLOW);
	file = shm_file();
	a_block_outlives_its_owner();
	who_waits_is_known_while_he_lives();
	threads_lose_nothing();
	the_dead_are_counted();
	another_layout_is_refused();
	return done_testing();
}
