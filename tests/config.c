/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store described and configured without attaching it.
 *
 * idea
 *	Claims about one process first; then children open, search, commit and
 *	close in a loop, while their parent changes what the segment is built
 *	by whenever it finds nobody attached.  Each child that was about to
 *	attach just then must have the new parameters, and none an error.
 */
#include "fixture.h"
#include "point.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { DIM = 16, KEYS = 50, CHILDREN = 4, OPENS = 40, CHANGES = 30 };

static _Atomic uint32_t *running;

static void vector_of(float *vector, uint64_t i)
{
	for (uint64_t d = 0; d < DIM; d++)
		vector[d] = (float)((i * 31 + d * 17) % 101) - 50.5f;
}

static void store_fill(struct fixture *f)
{
	cop_write *write = write_of(f);
	float vector[DIM];
	char key[16];

	for (uint64_t i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key-%u", (unsigned)i);
		vector_of(vector, i);
		put_simple(write, key, "type", vector, DIM);
	}
	commit_of(write);
}

static struct cop_description describe(const struct fixture *f)
{
	struct cop_description out = {.size = sizeof out};

	must(cop_describe(f->path, &out), "describe");
	return out;
}

static void a_description_is_what_the_store_was_made_with(void)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .codes = COP_CODES_B1,
				      .rows = COP_ROWS_F32,
				      .record_bytes = 100,
				      .cache_bytes = 1 << 20,
				      .history = COP_HISTORY_ALL};
	struct cop_description now;
	struct fixture f;

	fixture_folder(&f);
	must(cop_create(f.path, &options), "create");
	now = describe(&f);
	ok(now.options.dim == DIM && now.options.metric == COP_L2 &&
	       now.options.codes == COP_CODES_B1 &&
	       now.options.rows == COP_ROWS_F32 &&
	       now.options.record_bytes == 100 &&
	       now.options.cache_bytes == 1 << 20 &&
	       now.options.history == COP_HISTORY_ALL,
	   "a description has the options of the store");
	is_int(now.presence, COP_PRESENCE_NONE, "it has no shared memory yet");
	ok(!strcmp(now.shm_dir, "/dev/shm") && access(now.segment, F_OK) != 0,
	   "nor is any made by describing it");
	is_int(cop_open_attached(f.path, NULL, &f.store), COP_DETACHED,
	       "it cannot be opened where nobody has attached it");
	ok(access(now.segment, F_OK) != 0, "and that makes nothing");
	fixture_open(&f);
	is_int(cop_had(f.store, NULL), COP_HAD_BUILT, "an open builds it");
	is_int(cop_describe(f.path, &now), COP_BUSY,
	       "who has it open need not describe it");
	fixture_close(&f);
	is_int(describe(&f).presence, COP_PRESENCE_LEFT, "it stays");
	must(cop_open_attached(f.path, NULL, &f.store), "open attached");
	is_int(cop_had(f.store, NULL), COP_HAD_FOUND, "and is found");
	fixture_release(&f);
}

static void what_is_fixed_is_refused(void)
{
	struct cop_options wanted;
	struct fixture f;

	fixture_init(&f, DIM, COP_COSINE);
	fixture_close(&f);
	wanted = describe(&f).options;
	wanted.dim = DIM + 1;
	is_int(cop_configure(f.path, &wanted), COP_INVALID, "the dimension");
	wanted = describe(&f).options;
	wanted.metric = COP_L2;
	is_int(cop_configure(f.path, &wanted), COP_INVALID, "the metric");
	wanted = describe(&f).options;
	wanted.history = COP_HISTORY_NONE;
	wanted.history_ms = 0;
	is_int(cop_configure(f.path, &wanted), COP_INVALID,
	       "the history, which a commit changes");
	wanted = describe(&f).options;
	wanted.record_bytes = 1 << 20;
	is_int(cop_configure(f.path, &wanted), COP_INVALID,
	       "what is out of its range");
	wanted = describe(&f).options;
	is_int(cop_configure(f.path, &wanted), 0, "no change is none");
	is_int(describe(&f).presence, COP_PRESENCE_LEFT,
	       "and leaves shared memory");
	wanted.record_bytes = UINT32_MAX;
	is_int(cop_configure(f.path, &wanted), 0, "a change");
	is_int(describe(&f).presence, COP_PRESENCE_NONE, "removes it");
	fixture_open(&f);
	fixture_release(&f);
}

static const struct fixture *replaced;

/* Another process puts another data file in place. */
static void replace_meanwhile(const char *name)
{
	cop_store *store;
	pid_t pid;

	if (strcmp(name, "configure-made") != 0)
		return;
	point_hook = NULL;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(60);
		must(cop_open(replaced->path, NULL, &store), "open");
		must(cop_compact(store, NULL, NULL), "compact");
		cop_close(store);
		_exit(0);
	}
	is_int(child_wait(pid), 0, "the data file is replaced meanwhile");
}

static void a_change_is_of_the_data_file_that_is_there(void)
{
	struct cop_options wanted;
	struct fixture f;

	fixture_init(&f, DIM, COP_COSINE);
	fixture_close(&f);
	wanted = describe(&f).options;
	wanted.record_bytes = 200;
	replaced = &f;
	point_hook = replace_meanwhile;
	is_int(cop_configure(f.path, &wanted), 0, "a store is configured");
	point_hook = NULL;
	is_int(describe(&f).options.record_bytes, 200,
	       "and is what it was told to be");
	fixture_open(&f);
	fixture_release(&f);
}

static void an_image_that_stays_is_told(void)
{
	struct cop_options wanted;
	struct fixture f;
	char image[4200];

	fixture_init(&f, DIM, COP_COSINE);
	fixture_close(&f);
	wanted = describe(&f).options;
	wanted.record_bytes = 200;
	snprintf(image, sizeof image, "%s/gen-000001/image-7", f.path);
	if (mkdir(image, 0700))
		bail_out("%s: %s", image, strerror(errno));
	ok(cop_configure(f.path, &wanted) != 0,
	   "where an image cannot be removed nothing is changed");
	ok(strstr(cop_last_error(), "cannot remove its images") != NULL,
	   "which is told: %s", cop_last_error());
	ok(describe(&f).options.record_bytes != 200, "and not half of it");
	rmdir(image);
	fixture_open(&f);
	fixture_release(&f);
}

/* ---- beside others ------------------------------------------------------ */

static void child_run(const struct fixture *f, uint64_t number)
{
	struct cop_search search = {.size = sizeof search, .k = 1};
	struct cop_hit hit;
	uint32_t count;
	float vector[DIM];

	search.vector = vector;
	for (uint64_t i = 0; i < OPENS; i++) {
		struct fixture mine = *f;
		cop_write *write;
		cop_read *read;
		char key[32];

		fixture_open(&mine);
		write = write_of(&mine);
		vector_of(vector, i % KEYS);
		snprintf(key, sizeof key, "child-%u-%u", (unsigned)number,
			 (unsigned)i);
		put_simple(write, key, "child", vector, DIM);
		commit_of(write);
		read = read_of(&mine);
		must(cop_search(read, &search, &hit, &count), "search");
		if (count != 1 || !lookup(read, key))
			_exit(1);
		cop_read_end(read);
		fixture_close(&mine);
		usleep(2000);
	}
	atomic_fetch_sub(running, 1);
	_exit(0);
}

static void parameters_change_between_attaches(void)
{
	struct cop_options wanted;
	struct fixture f;
	pid_t children[CHILDREN];
	int changed = 0;
	int refused = 0;
	int wrong = 0;

	fixture_init(&f, DIM, COP_COSINE);
	store_fill(&f);
	fixture_close(&f);
	fflush(stdout);
	*running = CHILDREN;
	for (uint64_t i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (!children[i])
			child_run(&f, i);
	}
	wanted = describe(&f).options;
	while (*running && changed < CHANGES) {
		cop_err err;

		wanted.codes =
		    wanted.codes == COP_CODES_U8 ? COP_CODES_F32 : COP_CODES_U8;
		wanted.record_bytes =
		    wanted.codes == COP_CODES_U8 ? UINT32_MAX : 256;
		err = cop_configure(f.path, &wanted);
		changed += !err;
		refused += err == COP_BUSY;
		wrong += err && err != COP_BUSY;
	}
	for (uint64_t i = 0; i < CHILDREN; i++)
		wrong += child_wait(children[i]) != 0;
	is_int(wrong, 0,
	       "processes that attach beside %d changes, %d more refused, have "
	       "no error",
	       changed, refused);
	must(cop_configure(f.path, &wanted), "configure");
	fixture_open(&f);
	is_int((int64_t)findings_of(f.store), 0, "nothing is found");
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	is_int((int64_t)findings_of(f.store), 0, "nor when it is built anew");
	fixture_release(&f);
}

int main(void)
{
	test_begin(TEST_ASAN ? 600 : 200);
	running = mmap(NULL, sizeof *running, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (running == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	a_description_is_what_the_store_was_made_with();
	what_is_fixed_is_refused();
	a_change_is_of_the_data_file_that_is_there();
	an_image_that_stays_is_told();
	parameters_change_between_attaches();
	return done_testing();
}
