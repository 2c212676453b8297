/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures: totals of all processes are what they did, also of those that
 * were killed, and never go back.
 *
 * idea
 *	Workers count what they do in memory shared with the test, before and
 *	after each call.  What the store's totals have grown by must lie between
 *	the two; for who ended by himself they are the same.
 */
#include "fixture.h"
#include "histogram.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/vfs.h>

enum {
	DIM = 4,
	WORKERS = 8,
	KILLED = 3,
	ROUNDS = TEST_SANITIZED ? 40 : 200,
	FULL_BYTES = 8 << 20
};

struct work {
	_Atomic uint64_t writes[2]; /* begun, done */
	_Atomic uint64_t searches[2];
	_Atomic uint64_t gets[2];
	_Atomic uint64_t walks[2];
};

static struct {
	_Atomic uint32_t stop;
	struct work work[WORKERS];
} * shared;

static struct cop_figures *figures_of(cop_store *store)
{
	struct cop_figures *figures = calloc(1, sizeof *figures);

	if (!figures)
		bail_out("no memory");
	figures->size = sizeof *figures;
	must(cop_figures(store, figures), "figures");
	return figures;
}

/* ---- histograms --------------------------------------------------------- */

static void every_number_has_its_bucket(void)
{
	uint64_t wrong = 0;
	uint32_t narrow = 1;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t least = cop_bucket_least(i);
		uint64_t after = cop_bucket_least(i + 1);

		wrong += histogram_bucket(least) != i;
		wrong += histogram_bucket(after - 1) != i;
		narrow &= after - least <= (least / 8 ? least / 8 : 1);
	}
	ok(!wrong, "a bucket has its least number and the last before the next "
		   "bucket's");
	ok(narrow, "a bucket is an eighth of its numbers wide at most");
	ok(histogram_bucket(UINT64_MAX) == HISTOGRAM_BUCKETS - 1,
	   "what is beyond all is in the last one");
}

static void a_quantile_is_near(void)
{
	struct cop_histogram *one = calloc(1, sizeof *one);
	double worst = 0;

	if (!one)
		bail_out("no memory");
	ok(cop_quantile(one, 0.5) <= 0, "of nothing there is no quantile");
	for (uint64_t i = 1; i <= 1000; i++) {
		one->buckets[histogram_bucket(i * 1000)]++;
		one->count++;
	}
	for (int percent = 1; percent <= 100; percent++) {
		double seen = cop_quantile(one, percent / 100.0) / 10000;
		double off = fabs(seen / percent - 1);

		if (off > worst)
			worst = off;
	}
	ok(worst <= 0.125, "quantiles are within an eighth (%.3f)", worst);
	free(one);
}

/* ---- workers ------------------------------------------------------------ */

static void begin(_Atomic uint64_t *pair)
{
	atomic_fetch_add(&pair[0], 1);
}

static void end(_Atomic uint64_t *pair)
{
	atomic_fetch_add(&pair[1], 1);
}

static void write_one(struct fixture *fixture, uint32_t number, uint32_t round)
{
	float vector[DIM] = {(float)number, (float)round, 1, 1};
	cop_write *write = write_of(fixture);
	char key[32];

	snprintf(key, sizeof key, "w%u-%u", number, round);
	put_simple(write, key, "thing", vector, DIM);
	begin(shared->work[number].writes);
	(void)commit_of(write);
	end(shared->work[number].writes);
}

static void read_some(struct fixture *fixture, struct work *work)
{
	cop_read *read = read_of(fixture);
	float vector[DIM] = {1, 2, 3, 4};
	struct cop_search near = {
	    .size = sizeof near, .k = 3, .vector = vector};
	struct cop_walk around = {
	    .size = sizeof around, .start = 1, .hops = 1, .direction = COP_OUT};
	struct cop_hit hits[3];
	struct cop_step steps[8];
	struct cop_entity entity;
	uint32_t count;
	size_t found;

	begin(work->searches);
	must(cop_search(read, &near, hits, &count), "search");
	end(work->searches);
	begin(work->walks);
	must(cop_walk(read, &around, steps, 8, &found, NULL), "walk");
	begin(work->gets);
	must(cop_get(read, "first", 5, &entity), "get");
	cop_read_end(read);
	end(work->walks);
	end(work->gets);
}

static void worker(struct fixture *fixture, uint32_t number)
{
	for (uint32_t i = 0; i < ROUNDS || number < KILLED; i++) {
		write_one(fixture, number, i);
		read_some(fixture, &shared->work[number]);
	}
	cop_close(fixture->store);
	_exit(0);
}

static pid_t worker_start(struct fixture *fixture, uint32_t number)
{
	pid_t pid = fork();

	if (!pid)
		worker(fixture, number);
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	return pid;
}

static int went_back(const struct cop_figures *before,
		     const struct cop_figures *after)
{
	return after->writes < before->writes ||
	       after->searches < before->searches ||
	       after->shared < before->shared || after->reads < before->reads ||
	       after->walks < before->walks ||
	       after->entities_put < before->entities_put ||
	       after->timings[COP_TIMING_COMMIT].count <
		   before->timings[COP_TIMING_COMMIT].count ||
	       after->timings[COP_TIMING_HOLD].sum <
		   before->timings[COP_TIMING_HOLD].sum;
}

/* Watches until the others are done; kills some in between. */
static uint32_t watch(struct fixture *fixture, const pid_t *pids)
{
	struct cop_figures *before = figures_of(fixture->store);
	uint32_t back = 0;

	for (uint32_t i = 0; i < WORKERS; i++) {
		struct cop_figures *after;

		while (i < KILLED &&
		       atomic_load(&shared->work[i].writes[1]) < 20)
			usleep(1000);
		if (i < KILLED)
			kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		after = figures_of(fixture->store);
		back += (uint32_t)went_back(before, after);
		free(before);
		before = after;
	}
	free(before);
	return back;
}

static void sums(size_t offset, uint64_t *begun, uint64_t *done)
{
	*begun = *done = 0;
	for (uint32_t i = 0; i < WORKERS; i++) {
		_Atomic uint64_t *pair =
		    (void *)((char *)&shared->work[i] + offset);

		*begun += atomic_load(&pair[0]);
		*done += atomic_load(&pair[1]);
	}
}

static void claim_between(const char *what, uint64_t grown, size_t offset)
{
	uint64_t begun, done;

	sums(offset, &begun, &done);
	ok(grown >= done && grown <= begun,
	   "%s: the total grew by what was done", what);
	diag("%s: %" PRIu64 " begun, %" PRIu64 " done, %" PRIu64 " counted",
	     what, begun, done, grown);
}

static void totals_are_what_was_done(struct fixture *fixture)
{
	struct cop_figures *before = figures_of(fixture->store);
	struct cop_figures *after;
	pid_t pids[WORKERS];

	for (uint32_t i = 0; i < WORKERS; i++)
		pids[i] = worker_start(fixture, i);
	ok(!watch(fixture, pids), "no total goes back when workers are killed");
	after = figures_of(fixture->store);
	claim_between("writes", after->writes - before->writes,
		      offsetof(struct work, writes));
	claim_between("entities", after->entities_put - before->entities_put,
		      offsetof(struct work, writes));
	claim_between("searches", after->searches - before->searches,
		      offsetof(struct work, searches));
	claim_between("walks", after->walks - before->walks,
		      offsetof(struct work, walks));
	ok(after->timings[COP_TIMING_COMMIT].count -
		   before->timings[COP_TIMING_COMMIT].count ==
	       after->writes - before->writes,
	   "every write was timed, if clocks are cheap here");
	ok(after->timings[COP_TIMING_GROUP].sum -
		   before->timings[COP_TIMING_GROUP].sum >=
	       after->writes - before->writes,
	   "groups have all writes in them");
	free(before);
	free(after);
}

/* ---- who is there ------------------------------------------------------- */

struct seen {
	pid_t pid;
	uint32_t count;
	uint32_t found;
	uint64_t searches;
	uint32_t open;
	uint64_t read_places;
};

static int32_t see(void *user, const struct cop_process *one)
{
	struct seen *seen = user;

	seen->count++;
	if (one->pid != (uint32_t)seen->pid)
		return 0;
	seen->found++;
	seen->searches = one->figures->searches;
	seen->open = one->open;
	seen->read_places = one->read_places;
	return 0;
}

static void a_process_is_told_by_its_place(struct fixture *fixture)
{
	struct seen seen = {.pid = getpid()};
	struct seen later = seen;
	struct work aside = {{0}, {0}, {0}, {0}};
	struct cop_figures *all = figures_of(fixture->store);
	cop_read *read, *other;

	must(cop_processes(fixture->store, see, &seen), "processes");
	ok(seen.found == 1 && seen.count == all->processes,
	   "this process is listed, once, among the living");
	free(all);
	read_some(fixture, &aside);
	read = read_of(fixture);
	must(cop_processes(fixture->store, see, &later), "processes");
	ok(later.searches == seen.searches + 1, "its search is told");
	ok(later.open == 1, "so is the read that it has open");
	seen = later;
	must(cop_processes(fixture->store, see, &later), "processes");
	ok(later.read_places == seen.read_places,
	   "its reads are counted where they were");
	other = read_of(fixture);
	must(cop_processes(fixture->store, see, &later), "processes");
	ok(later.read_places != seen.read_places,
	   "and that they no more are is told, once it has another one");
	cop_read_end(other);
	cop_read_end(read);
}

static void look_ups_are_told(struct fixture *fixture)
{
	struct cop_figures *before = figures_of(fixture->store);
	struct cop_figures *after;
	struct cop_entity entity;
	cop_read *read = read_of(fixture);

	for (int i = 0; i < 100; i++)
		must(cop_get(read, "first", 5, &entity), "get");
	for (int i = 0; i < 10; i++)
		must(cop_get(read, "nobody", 6, &entity), "get");
	cop_read_end(read);
	after = figures_of(fixture->store);
	is_int((int64_t)(after->shared + after->copied - before->shared -
			 before->copied),
	       100, "a hundred records were read");
	is_int((int64_t)(after->denied + after->doubtful - before->denied -
			 before->doubtful),
	       10, "ten keys were denied");
	ok(after->reads > before->reads, "the read is counted");
	free(before);
	free(after);
}

/* ---- where there is no room --------------------------------------------- */

static void disk_fill(const char *folder)
{
	static char block[4096];
	char path[160];
	FILE *file;

	snprintf(path, sizeof path, "%s/filler", folder);
	file = fopen(path, "w");
	while (file && fwrite(block, sizeof block, 1, file) == 1)
		;
	if (file)
		fclose(file);
}

static void without_room_nothing_is_counted(void)
{
	struct fixture fixture;
	struct cop_options options = {.size = sizeof options};
	struct cop_figures *before, *after;
	char shm[96];
	int status = 0;
	pid_t pid;

	fixture_folder(&fixture);
	snprintf(shm, sizeof shm, "%s/shm", fixture.folder);
	if (mkdir(shm, 0700) || mount("tmpfs", shm, "tmpfs", 0, "size=24m")) {
		skip("no tmpfs can be mounted here");
		nftw(fixture.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
		return;
	}
	options.shm_dir = shm;
	must(cop_create(fixture.path, &options), "create");
	fixture_open(&fixture);
	before = figures_of(fixture.store);
	disk_fill(shm);
	pid = fork();
	if (!pid) {
		struct cop_entity entity;
		cop_read *read = read_of(&fixture);

		_exit(cop_get(read, "nobody", 6, &entity) != 0);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && !WEXITSTATUS(status),
	   "a process without room for figures works all the same");
	after = figures_of(fixture.store);
	is_int((int64_t)(after->uncounted - before->uncounted), 1,
	       "that it is not counted is told");
	free(before);
	free(after);
	fixture_close(&fixture);
	(void)!cop_detach(fixture.path);
	umount(shm);
	nftw(fixture.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	struct fixture fixture;
	cop_write *write;
	float vector[DIM] = {1, 0, 0, 0};

	test_begin(120 * TEST_SLOW);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail_out("mmap");
	every_number_has_its_bucket();
	a_quantile_is_near();
	fixture_init(&fixture, DIM, COP_L2);
	write = write_of(&fixture);
	put_simple(write, "first", "thing", vector, DIM);
	(void)commit_of(write);
	look_ups_are_told(&fixture);
	a_process_is_told_by_its_place(&fixture);
	totals_are_what_was_done(&fixture);
	fixture_release(&fixture);
	without_room_nothing_is_counted();
	return done_testing();
}
