/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store's callback is told: what was built, mended, replaced, refused;
 * and without one, nothing is printed.
 */
#include "fixture.h"
#include "point.h"

#include <fcntl.h>

enum { DIM = 4, LINES = 64, LINE_BYTES = 512 };

static struct {
	char lines[LINES][LINE_BYTES];
	int32_t levels[LINES];
	int count;
} told;

static void listen(void *user, int32_t level, const char *text)
{
	if (user != &told || told.count == LINES)
		bail_out("a callback with another user, or too often");
	told.levels[told.count] = level;
	snprintf(told.lines[told.count++], LINE_BYTES, "%s", text);
}

/* Whether a line of that level has been told since the last call. */
static int was_told(int32_t level, const char *words)
{
	int found = 0;

	for (int i = 0; i < told.count; i++) {
		found |= told.levels[i] == level &&
			 strstr(told.lines[i], words) != NULL;
		diag("%d %s", told.levels[i], told.lines[i]);
	}
	told.count = 0;
	return found;
}

static void open_listening(struct fixture *fixture, int32_t level)
{
	struct cop_open_options options = {.size = sizeof options,
					   .log = listen,
					   .log_user = &told,
					   .log_level = level};

	must(cop_open(fixture->path, &options, &fixture->store), "open");
}

static void put_some(struct fixture *fixture, const char *key)
{
	float vector[DIM] = {1, 2, 3, 4};
	cop_write *write = write_of(fixture);

	put_simple(write, key, "thing", vector, DIM);
	(void)commit_of(write);
}

static void how_memory_was_had_is_told(struct fixture *fixture)
{
	open_listening(fixture, 0);
	ok(was_told(COP_LOG_NOTE, "built from the data file"),
	   "that shared memory was built");
	put_some(fixture, "one");
	must(cop_checkpoint(fixture->store, NULL), "checkpoint");
	fixture_close(fixture);
	must(cop_detach(fixture->path), "detach");
	told.count = 0;
	open_listening(fixture, 0);
	ok(was_told(COP_LOG_NOTE, "loaded from an image"),
	   "that it was loaded from an image");
	fixture_close(fixture);
}

/* The byte in the middle of the one image. */
static void image_spoil(const struct fixture *fixture)
{
	char command[256];

	snprintf(command, sizeof command,
		 "for f in %s/gen-*/image-*; do "
		 "truncate -s -100 \"$f\" || exit 1; done",
		 fixture->path);
	if (system(command))
		bail_out("no image to spoil");
}

static void a_damaged_image_is_told(struct fixture *fixture)
{
	must(cop_detach(fixture->path), "detach");
	image_spoil(fixture);
	told.count = 0;
	open_listening(fixture, COP_LOG_WARN);
	ok(was_told(COP_LOG_WARN, "is of no use"),
	   "that an image is of no use");
	ok(!was_told(COP_LOG_NOTE, ""),
	   "and nothing below the level asked for");
	fixture_close(fixture);
}

static void die_after(const char *name)
{
	if (!strcmp(name, "commit-after"))
		kill(getpid(), SIGKILL);
}

static void a_death_is_told(struct fixture *fixture)
{
	pid_t pid;

	open_listening(fixture, 0);
	told.count = 0;
	pid = fork();
	if (!pid) {
		point_hook = die_after;
		put_some(fixture, "two");
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	put_some(fixture, "three");
	ok(was_told(COP_LOG_NOTE, "was finished"),
	   "that a commit was finished for the dead");
}

static void a_new_generation_is_told(struct fixture *fixture)
{
	told.count = 0;
	must(cop_compact(fixture->store, NULL, NULL), "compact");
	ok(was_told(COP_LOG_NOTE, "generation 2"),
	   "that another generation is used");
	fixture_close(fixture);
}

/* Standard error into a file while a store is opened, built and closed. */
static void without_a_callback_nothing_is_printed(struct fixture *fixture)
{
	char path[128];
	struct stat st;
	int saved, fd;

	must(cop_detach(fixture->path), "detach");
	snprintf(path, sizeof path, "%s/stderr", fixture->folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	saved = dup(STDERR_FILENO);
	if (fd < 0 || saved < 0 || dup2(fd, STDERR_FILENO) < 0)
		bail_out("stderr");
	fixture_open(fixture);
	put_some(fixture, "four");
	fixture_close(fixture);
	dup2(saved, STDERR_FILENO);
	close(saved);
	ok(!fstat(fd, &st) && !st.st_size, "nothing is printed on stderr");
	close(fd);
	is_int(told.count, 0, "and who listened before is told no more");
}

int main(void)
{
	struct fixture fixture;
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .metric = COP_L2};

	test_begin(60 * TEST_SLOW);
	fixture_folder(&fixture);
	must(cop_create(fixture.path, &options), "create");
	how_memory_was_had_is_told(&fixture);
	a_damaged_image_is_told(&fixture);
	a_death_is_told(&fixture);
	a_new_generation_is_told(&fixture);
	without_a_callback_nothing_is_printed(&fixture);
	fixture_release(&fixture);
	return done_testing();
}
