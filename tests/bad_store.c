/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a store, its folder, its memory or its processes is an
 * error with words, or does no harm; never a crash, a hang or a loss.
 *
 * idea
 *	Whatever may crash runs in a child with an alarm, so that its death is
 *	seen.  A child ends with one of enum end: it worked, or it was refused
 *	in words; anything else is a crash.  Damaged stores are copies of one
 *	that is whole.  Damaged memory is written by this process while a
 *	child searches, walks and gets in a loop; put back as it was, the
 *	child's answers must be right again.
 */
#include "fixture.h"
#include "env.h"
#include "format.h"
#include "segment.h"
#include "slot.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/vfs.h>

enum { DIM = 8, KEYS = 40, NOBODY = 65534 };

enum end {
	END_WORKED = 0,
	END_REFUSED = 10,
	END_NO_WORDS,
	END_WRONG,
	END_SKIP
};

static struct {
	_Atomic uint32_t ready;	  /* children that wait */
	_Atomic uint32_t go;	  /* what they wait for */
	_Atomic uint32_t stop;	  /* tells a reader to come to its end */
	_Atomic uint64_t rounds;  /* of a reader */
	_Atomic uint64_t refused; /* rounds that met an error */
	int32_t err;		  /* what a child was refused with */
	char stage[16];		  /* what use_fully is about */
	int32_t told;		  /* what a full disk gave */
	_Atomic uint32_t built;	  /* calls of progress */
} * shared;

/* ---- a store and its use ------------------------------------------------ */

static void key_of(char *key, uint64_t i)
{
	snprintf(key, 16, "key-%u", (unsigned)i);
}

static void vector_of(float *vector, uint64_t i, uint64_t step)
{
	for (uint64_t d = 0; d < DIM; d++)
		vector[d] = (float)((i * 31 + d * 17 + step * 7) % 23) - 11.5f;
}

static void step_fill(cop_write *write, uint64_t step)
{
	char key[16];
	char other[16];
	float vector[DIM];

	for (uint64_t i = 0; i < KEYS; i++) {
		key_of(key, i);
		vector_of(vector, i, step);
		put_simple(write, key, i % 2 ? "odd" : "even", vector, DIM);
	}
	for (uint64_t i = 0; i < KEYS; i++) {
		key_of(key, i);
		key_of(other, (i + 1) % KEYS);
		must(link_simple(write, key, "next", other), "link");
		key_of(other, i / 2);
		must(link_simple(write, key, "half", other), "link");
		must(link_simple(write, "key-0", "hub", key), "link");
	}
}

static cop_err step_run(cop_store *store, uint64_t step)
{
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (err)
		return err;
	step_fill(write, step);
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static int32_t edge_add(void *user, cop_read *read, const struct cop_edge *edge)
{
	(void)read;
	*(uint64_t *)user += edge->target * 3 + edge->source;
	return 0;
}

static int32_t entity_add(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	(void)thread;
	(void)read;
	*(uint64_t *)user += entity->id;
	return 0;
}

/* Every kind of question, answers added up in *sum; the first error. */
static cop_err ask_all(cop_read *read, uint64_t *sum)
{
	struct cop_search search = {.size = sizeof search, .k = 10};
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 4, .direction = COP_BOTH};
	struct cop_step steps[KEYS];
	struct cop_hit hits[10];
	struct cop_entity entity;
	struct cop_edge edge;
	float query[DIM];
	uint32_t count;
	size_t n;
	cop_err err = 0;

	vector_of(query, 5, 100);
	search.vector = query;
	*sum = 0;
	for (int i = 0; i < 4 && !err; i++) {
		search.exact = i & 1;
		search.type = i & 2 ? "odd" : NULL;
		err = cop_search(read, &search, hits, &count);
		for (uint32_t j = 0; j < count && !err; j++)
			*sum = *sum * 31 + hits[j].id;
	}
	for (uint64_t i = 0; i < KEYS && !err; i++) {
		const float *vector;
		const void *key_back;
		size_t size;
		uint64_t id = 0;
		char key[16];

		key_of(key, i);
		err = cop_lookup(read, key, strlen(key), &id);
		if (!err)
			err = cop_get(read, key, strlen(key), &entity);
		if (!err)
			err = cop_key(read, i + 1, &key_back, &size);
		if (!err)
			err = cop_vector(read, i + 1, &vector);
		if (!err)
			err =
			    cop_get_edge(read, i + 1, "next", 4, i + 2, &edge);
		if (!err && i % 8 == 0)
			err = cop_edges(read, i + 1, COP_BOTH, edge_add, sum);
		walk.start = i + 1;
		walk.relation = i % 2 ? "next" : NULL;
		if (!err)
			err = cop_walk(read, &walk, steps, KEYS, &n, NULL);
		if (err == COP_NO_NAME) { /* an empty store */
			err = 0;
			n = 0;
		}
		if (!err)
			*sum = *sum * 31 + id + entity.id + size + n +
			       edge.version * 5;
	}
	return err ? err : cop_scan(read, NULL, NULL, 1, entity_add, sum);
}

static char words[128]; /* of ask_store's error, which cop_read_end ends */

static cop_err ask_store(cop_store *store, uint64_t *sum)
{
	cop_read *read;
	cop_err err = cop_read_begin(store, &read);

	snprintf(words, sizeof words, "%s", err ? cop_last_error() : "");
	if (err)
		return err;
	err = ask_all(read, sum);
	if (err)
		snprintf(words, sizeof words, "%s", cop_last_error());
	cop_read_end(read);
	return err;
}

static uint64_t sum_of(cop_store *store)
{
	uint64_t sum;

	must(ask_store(store, &sum), "ask");
	return sum;
}

static void store_make(struct fixture *f)
{
	fixture_init(f, DIM, COP_L2);
	must(step_run(f->store, 1), "step");
	must(step_run(f->store, 2), "step");
}

static void segment_folder(cop_store *store, char *folder)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	strcpy(folder, stats.segment);
}

/* ---- children ----------------------------------------------------------- */

static enum end refused_with(cop_err err)
{
	shared->err = err;
	return *words || *cop_last_error() ? END_REFUSED : END_NO_WORDS;
}

typedef enum end child_body(const struct fixture *f, void *user);

static pid_t child_start(child_body *body, const struct fixture *f, void *user)
{
	pid_t pid;

	fflush(stdout);
	shared->err = 0;
	pid = fork();
	if (pid)
		return pid;
	alarm(TEST_ASAN ? 60 : 20);
	_exit((int)body(f, user));
}

static int child_run(child_body *body, const struct fixture *f, void *user)
{
	return child_wait(child_start(body, f, user));
}

static int ended_well(int status)
{
	return status == END_WORKED || status == END_REFUSED;
}

/* Opens the store, asks it everything, commits, checks it, detaches it. */
static enum end use_fully(const struct fixture *f, void *user)
{
	uint64_t findings;
	uint64_t sum;
	cop_store *store;
	enum end end;
	cop_err err;

	(void)user;
	strcpy(shared->stage, "opening");
	err = cop_open(f->path, NULL, &store);
	if (err)
		return refused_with(err);
	strcpy(shared->stage, "asking");
	err = ask_store(store, &sum);
	strcpy(shared->stage, "committing");
	if (!err)
		err = step_run(store, 3);
	strcpy(shared->stage, "checking");
	if (!err)
		err = cop_check(store, NULL, NULL, &findings);
	strcpy(shared->stage, "closing");
	end = err ? refused_with(err) : END_WORKED;
	cop_close(store);
	err = cop_detach(f->path);
	if (err && err != COP_BUSY && end == END_WORKED)
		return END_WRONG;
	return end;
}

/* ---- copies of a store -------------------------------------------------- */

static void file_copy(const char *from, const char *to)
{
	char block[65536];
	int in = open(from, O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ssize_t bytes;

	if (in < 0 || out < 0)
		bail_out("copy %s to %s: %s", from, to, strerror(errno));
	while ((bytes = read(in, block, sizeof block)) > 0)
		if (write(out, block, (size_t)bytes) != bytes)
			bail_out("copy %s: %s", to, strerror(errno));
	close(in);
	close(out);
}

static const char *const store_files[] = {
    "lock", "CURRENT", "gen-000001/data.mdb", "gen-000001/lock.mdb"};

static void store_copy(const char *from, const char *to)
{
	char a[256];
	char b[256];

	snprintf(b, sizeof b, "%s/gen-000001", to);
	if (mkdir(to, 0700) || mkdir(b, 0700))
		bail_out("mkdir %s: %s", to, strerror(errno));
	for (size_t i = 0; i < 4; i++) {
		snprintf(a, sizeof a, "%s/%s", from, store_files[i]);
		snprintf(b, sizeof b, "%s/%s", to, store_files[i]);
		file_copy(a, b);
	}
}

static struct fixture whole;  /* closed and detached; what copies are of */
static char whole_memory[64]; /* where it and its copies have their segments */

static void whole_make(void)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .shm_dir = whole_memory};

	strcpy(whole_memory, "/dev/shm/coppice-test-XXXXXX");
	if (!mkdtemp(whole_memory))
		bail_out("mkdtemp: %s", strerror(errno));
	fixture_folder(&whole);
	must(cop_create(whole.path, &options), "create");
	fixture_open(&whole);
	must(step_run(whole.store, 1), "step");
	must(step_run(whole.store, 2), "step");
	fixture_close(&whole);
	must(cop_detach(whole.path), "detach");
}

/* Without a call into the library, which a damaged copy may not survive. */
static void copy_release(struct fixture *f)
{
	nftw(f->folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static void whole_release(void)
{
	copy_release(&whole);
	nftw(whole_memory, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static void copy_make(struct fixture *f)
{
	fixture_folder(f);
	store_copy(whole.path, f->path);
}

static void file_path(const struct fixture *f, const char *name, char *path)
{
	snprintf(path, 256, "%s/%s", f->path, name);
}

static void file_write(const struct fixture *f, const char *name,
		       const void *data, size_t size)
{
	char path[256];
	int fd;

	file_path(f, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		bail_out("write %s: %s", path, strerror(errno));
	close(fd);
}

static void file_remove(const struct fixture *f, const char *name)
{
	char path[256];

	file_path(f, name, path);
	if (remove(path))
		bail_out("remove %s: %s", path, strerror(errno));
}

static uint64_t file_size(const struct fixture *f, const char *name)
{
	struct stat st;
	char path[256];

	file_path(f, name, path);
	if (stat(path, &st))
		bail_out("stat %s: %s", path, strerror(errno));
	return (uint64_t)st.st_size;
}

static void file_cut(const struct fixture *f, const char *name, uint64_t size)
{
	char path[256];

	file_path(f, name, path);
	if (truncate(path, (off_t)size))
		bail_out("truncate %s: %s", path, strerror(errno));
}

static void file_patch(const struct fixture *f, const char *name, uint64_t at,
		       const void *data, size_t size)
{
	char path[256];
	int fd;

	file_path(f, name, path);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, data, size, (off_t)at) != (ssize_t)size)
		bail_out("patch %s: %s", path, strerror(errno));
	close(fd);
}

/* Claims what an open of the copy ends with, and removes the copy. */
static void copy_refused(struct fixture *f, cop_err want, const char *what)
{
	int status = child_run(use_fully, f, NULL);

	ok(status == END_REFUSED && shared->err == want, "%s: %s", what,
	   cop_strerror(want));
	if (status != END_REFUSED || shared->err != want)
		diag("ended with %d, error %d", status, shared->err);
	copy_release(f);
}

static void copy_works(struct fixture *f, const char *what)
{
	int status = child_run(use_fully, f, NULL);

	ok(status == END_WORKED, "%s", what);
	if (status)
		diag("ended with %d, error %d", status, shared->err);
	copy_release(f);
}

/* ---- files -------------------------------------------------------------- */

static void what_is_no_store_is_named_so(void)
{
	struct fixture f;

	fixture_folder(&f);
	copy_refused(&f, COP_NOT_A_STORE, "a path where nothing is");
	fixture_folder(&f);
	mkdir(f.path, 0700);
	copy_refused(&f, COP_NOT_A_STORE, "an empty folder");
	fixture_folder(&f);
	if (close(open(f.path, O_CREAT | O_WRONLY, 0600)))
		bail_out("cannot make %s", f.path);
	copy_refused(&f, COP_NOT_A_STORE, "a file");
	fixture_folder(&f);
	strcat(f.path, "/below/nothing");
	copy_refused(&f, COP_NOT_A_STORE, "a path below nothing");
	copy_make(&f);
	file_remove(&f, "lock");
	copy_refused(&f, COP_NOT_A_STORE, "a store without its lock");
	copy_make(&f);
	file_remove(&f, "lock");
	mkdir(strcat(f.path, "/lock"), 0700);
	*strrchr(f.path, '/') = 0;
	{
		int status = child_run(use_fully, &f, NULL);

		ok(status == END_REFUSED, "a store whose lock is a folder");
	}
	copy_release(&f);
}

static void current_is_read_with_care(void)
{
	static const struct {
		const char *text;
		cop_err want;
		const char *what;
	} cases[] = {
	    {"", COP_CORRUPT, "an empty CURRENT"},
	    {"\n\n\n", COP_CORRUPT, "a CURRENT of blank lines"},
	    {"coppice", COP_CORRUPT, "a CURRENT cut off"},
	    {"coppice 4\n", COP_CORRUPT, "a CURRENT without folder"},
	    {"coppice x\ngen-000001\n", COP_CORRUPT,
	     "a CURRENT without number"},
	    {"walnut 1\ngen-000001\n", COP_CORRUPT, "another program's"},
	    {"coppice 3\ngen-000001\n", COP_VERSION, "an older CURRENT"},
	    {"coppice 5\ngen-000001\n", COP_VERSION, "a newer CURRENT"},
	    {"coppice 4000000000\ngen-000001\n", COP_VERSION,
	     "a far newer CURRENT"},
	    {"coppice 4\n../../../../etc\n", COP_CORRUPT,
	     "a CURRENT that leads elsewhere"},
	    {"coppice 4\ngen-000000\n", COP_CORRUPT,
	     "a CURRENT of generation 0"},
	    {"coppice 4\ngen--00001\n", COP_CORRUPT,
	     "a CURRENT of a generation below"},
	    {"coppice 4\ngen-999999\n", COP_CORRUPT,
	     "a CURRENT of a generation that is not there"},
	};
	struct fixture f;
	char long_text[4096];
	uint64_t state = 11;

	copy_make(&f);
	file_remove(&f, "CURRENT");
	copy_refused(&f, COP_NOT_A_STORE, "no CURRENT");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		copy_make(&f);
		file_write(&f, "CURRENT", cases[i].text, strlen(cases[i].text));
		copy_refused(&f, cases[i].want, cases[i].what);
	}
	for (size_t i = 0; i < sizeof long_text; i++)
		long_text[i] = (char)test_random(&state);
	copy_make(&f);
	file_write(&f, "CURRENT", long_text, sizeof long_text);
	copy_refused(&f, COP_CORRUPT, "a CURRENT of random bytes");
	memset(long_text, 'a', sizeof long_text);
	memcpy(long_text, "coppice 4\n", 10);
	copy_make(&f);
	file_write(&f, "CURRENT", long_text, sizeof long_text);
	{
		int status = child_run(use_fully, &f, NULL);

		ok(status == END_REFUSED, "a CURRENT with a name of 4 KiB");
	}
	copy_release(&f);
	copy_make(&f);
	file_remove(&f, "CURRENT");
	mkdir(strcat(f.path, "/CURRENT"), 0700);
	*strrchr(f.path, '/') = 0;
	{
		int status = child_run(use_fully, &f, NULL);

		ok(status == END_REFUSED, "a CURRENT that is a folder");
	}
	copy_release(&f);
}

static void lock_files_may_hold_anything(void)
{
	struct fixture f;
	char garbage[8192];
	uint64_t state = 5;

	for (size_t i = 0; i < sizeof garbage; i++)
		garbage[i] = (char)test_random(&state);
	copy_make(&f);
	file_write(&f, "lock", garbage, sizeof garbage);
	copy_works(&f, "garbage in lock does no harm");
	copy_make(&f);
	file_write(&f, "gen-000001/lock.mdb", garbage, sizeof garbage);
	copy_works(&f, "nor in lock.mdb, which nobody holds");
	copy_make(&f);
	file_write(&f, "gen-000001/lock.mdb", "", 0);
	copy_works(&f, "an empty lock.mdb does no harm");
	copy_make(&f);
	file_remove(&f, "gen-000001/lock.mdb");
	copy_works(&f, "nor does a missing one");
}

static void data_that_is_missing_is_an_error(void)
{
	struct fixture f;

	copy_make(&f);
	file_remove(&f, "gen-000001/data.mdb");
	copy_refused(&f, COP_CORRUPT, "no data.mdb");
	copy_make(&f);
	file_write(&f, "gen-000001/data.mdb", "", 0);
	copy_refused(&f, COP_CORRUPT, "an empty data.mdb");
	copy_make(&f);
	file_remove(&f, "gen-000001/data.mdb");
	file_remove(&f, "gen-000001/lock.mdb");
	file_remove(&f, "gen-000001");
	copy_refused(&f, COP_CORRUPT, "no generation at all");
}

/* Stores a word in the description, wherever data.mdb has it. */
static void description_patch(const struct fixture *f, size_t offset,
			      uint32_t word)
{
	const uint64_t magic = FORMAT_MAGIC;
	uint64_t size = file_size(f, "gen-000001/data.mdb");
	unsigned char *bytes;
	int found = 0;
	char path[256];
	int fd;

	file_path(f, "gen-000001/data.mdb", path);
	fd = open(path, O_RDWR);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		bail_out("mmap %s: %s", path, strerror(errno));
	for (uint64_t at = 0; at + sizeof(struct disk_store) < size; at++) {
		if (memcmp(bytes + at, &magic, 8) != 0)
			continue;
		memcpy(bytes + at + offset, &word, sizeof word);
		env_filled(DB_META, bytes_of("store", 5), bytes + at,
			   sizeof(struct disk_store));
		found++;
	}
	munmap(bytes, size);
	if (!found)
		bail_out("no description in %s", path);
}

static void a_description_is_read_with_care(void)
{
	static const struct {
		size_t at;
		uint32_t word;
		cop_err want;
		const char *what;
	} cases[] = {
	    {offsetof(struct disk_store, format), FORMAT_VERSION + 1,
	     COP_VERSION, "a newer format in the description"},
	    {offsetof(struct disk_store, magic), 7, COP_CORRUPT,
	     "a description that is none"},
	    {offsetof(struct disk_store, dim), 5000, COP_CORRUPT,
	     "a dimension of 5000"},
	    {offsetof(struct disk_store, metric), 9, COP_CORRUPT, "metric 9"},
	    {offsetof(struct disk_store, rows), 9, COP_CORRUPT, "rows 9"},
	    {offsetof(struct disk_store, codes), 9, COP_CORRUPT, "codes 9"},
	};
	struct fixture f;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		copy_make(&f);
		description_patch(&f, cases[i].at, cases[i].word);
		copy_refused(&f, cases[i].want, cases[i].what);
	}
}

enum damage { DAMAGE_CUT, DAMAGE_ZERO, DAMAGE_ONES, DAMAGE_RANDOM, DAMAGES };

static const char *const damage_words[DAMAGES] = {
    "cut off", "with a page of zeros", "with a page of ones",
    "with random bytes in a page"};

static void data_damage(const struct fixture *f, enum damage damage,
			uint64_t at, uint64_t *state)
{
	unsigned char page[4096];

	switch (damage) {
	case DAMAGE_CUT: file_cut(f, "gen-000001/data.mdb", at); return;
	case DAMAGE_ZERO: memset(page, 0, sizeof page); break;
	case DAMAGE_ONES: memset(page, 0xff, sizeof page); break;
	default:
		for (size_t i = 0; i < sizeof page; i++)
			page[i] = (unsigned char)test_random(state);
	}
	file_patch(f, "gen-000001/data.mdb", at, page, sizeof page);
}

static void damaged_data_never_crashes(enum damage damage, uint64_t *state)
{
	uint64_t size = file_size(&whole, "gen-000001/data.mdb");
	uint64_t step = TEST_ASAN && size > 16 * 4096 ? 3 * 4096 : 4096;
	int worked = 0;
	int refused = 0;
	int crashed = 0;

	for (uint64_t at = 0; at < size; at += step) {
		uint64_t odd = damage == DAMAGE_CUT && at % 8192 ? 100 : 0;
		struct fixture f;
		int status;

		copy_make(&f);
		data_damage(&f, damage, at + odd, state);
		status = child_run(use_fully, &f, NULL);
		worked += status == END_WORKED;
		refused += status == END_REFUSED;
		if (!ended_well(status) && ++crashed < 10)
			diag("byte %" PRIu64 " of %" PRIu64
			     ": ended with %d, error %d, while %s",
			     at + odd, size, status, shared->err,
			     shared->stage);
		copy_release(&f);
	}
	is_int(crashed, 0,
	       "data.mdb %s is an error %d times, works %d times, and never "
	       "crashes",
	       damage_words[damage], refused, worked);
}

/* ---- permissions -------------------------------------------------------- */

static enum end use_as_nobody(const struct fixture *f, void *user)
{
	if (setegid(NOBODY) || seteuid(NOBODY))
		return END_SKIP;
	return use_fully(f, user);
}

static enum end commit_as_nobody(const struct fixture *f, void *user)
{
	uint64_t step = *(uint64_t *)user;
	cop_store *store;
	uint64_t sum;
	cop_err err;

	if (setegid(NOBODY) || seteuid(NOBODY))
		return END_SKIP;
	err = cop_open(f->path, NULL, &store);
	if (!err)
		err = ask_store(store, &sum);
	if (!err)
		err = step_run(store, step);
	if (!err)
		cop_close(store);
	return err ? refused_with(err) : END_WORKED;
}

static void mode_make(struct fixture *f, uint32_t mode, uint32_t group)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .mode = mode,
				      .group = group};

	fixture_folder(f);
	chmod(f->folder, 0755);
	must(cop_create(f->path, &options), "create");
	fixture_open(f);
	must(step_run(f->store, 1), "step");
}

static void permissions_are_asked_for_in_words(void)
{
	struct fixture f;
	uint64_t step = 2;
	int status;

	if (geteuid()) {
		skip("only root can become another user");
		return;
	}
	mode_make(&f, 0600, 0);
	status = child_run(use_as_nobody, &f, NULL);
	ok(status == END_REFUSED && shared->err == COP_DENIED,
	   "a stranger is denied a store of mode 0600");
	fixture_release(&f);
	mode_make(&f, 0644, 0);
	status = child_run(use_as_nobody, &f, NULL);
	ok(status == END_REFUSED && shared->err == COP_DENIED,
	   "and one of mode 0644, whose lock must be written");
	fixture_release(&f);
	mode_make(&f, 0666, 0);
	status = child_run(commit_as_nobody, &f, &step);
	ok(status == END_WORKED, "a store of mode 0666 serves a stranger");
	if (status)
		diag("ended with %d, error %d", status, shared->err);
	is_u64(findings_of(f.store), 0, "who commits to it");
	fixture_release(&f);
	mode_make(&f, 0660, NOBODY + 1);
	status = child_run(commit_as_nobody, &f, &step);
	ok(status == END_WORKED, "one of mode 0660 serves its group");
	if (status)
		diag("ended with %d, error %d", status, shared->err);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	step = 3;
	status = child_run(commit_as_nobody, &f, &step);
	ok(status == END_WORKED, "who may make its segment");
	if (status)
		diag("ended with %d, error %d", status, shared->err);
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "which its owner can use");
	fixture_release(&f);
}

/* In memory by somebody who is neither its owner nor of its group. */
static void a_strangers_segment_is_used_or_denied(void)
{
	struct fixture f;
	uint64_t step = 2;
	char folder[256];
	cop_err err;

	if (geteuid()) {
		skip("only root can become another user");
		return;
	}
	mode_make(&f, 0666, 0);
	segment_folder(f.store, folder);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	is_int(child_run(commit_as_nobody, &f, &step), END_WORKED,
	       "a stranger makes the segment of a store of mode 0666");
	err = cop_open(f.path, NULL, &f.store);
	ok(!err || (err == COP_DENIED && strstr(cop_last_error(), folder)),
	   "its owner can use it, or is told what to remove: %s",
	   cop_last_error());
	if (err)
		nftw(folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	fixture_release(&f);
}

static enum end use_read_only(const struct fixture *f, void *user)
{
	(void)user;
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(f->path, f->path, NULL, MS_BIND, NULL) ||
	    mount(NULL, f->path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return END_SKIP;
	return use_fully(f, user);
}

static void a_read_only_folder_is_told(void)
{
	struct fixture f;
	int status;

	copy_make(&f);
	status = child_run(use_read_only, &f, NULL);
	if (status == END_SKIP)
		skip("this process may not mount");
	else
		ok(status == END_REFUSED && (shared->err == COP_READ_ONLY ||
					     shared->err == COP_DENIED),
		   "a store on a read-only file system is refused in words");
	copy_release(&f);
	if (geteuid()) {
		skip("only root can become another user");
		return;
	}
	copy_make(&f);
	chmod(f.folder, 0755);
	chmod(f.path, 0555);
	for (size_t i = 0; i < 4; i++) {
		char path[256];

		file_path(&f, store_files[i], path);
		chmod(path, 0444);
	}
	status = child_run(use_as_nobody, &f, NULL);
	ok(status == END_REFUSED &&
	       (shared->err == COP_READ_ONLY || shared->err == COP_DENIED),
	   "a store whose files may only be read is refused in words");
	copy_release(&f);
}

/* ---- no room ------------------------------------------------------------ */

static int tmpfs_mount(const char *path, const char *size)
{
	char options[64];

	snprintf(options, sizeof options, "size=%s", size);
	mkdir(path, 0755);
	return mount("tmpfs", path, "tmpfs", 0, options);
}

static int tmpfs_resize(const char *path, const char *size)
{
	char options[64];

	snprintf(options, sizeof options, "size=%s", size);
	return mount(NULL, path, NULL, MS_REMOUNT, options);
}

static int mounts_own(void)
{
	return unshare(CLONE_NEWNS) ||
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* In a child's own mount namespace a failed claim is this. */
#define need(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			diag("%s:%d: %s (%d, %s)", __FILE__, __LINE__,         \
			     #condition, shared->err, cop_last_error());       \
			return END_WRONG;                                      \
		}                                                              \
	} while (0)

/* Entities with a key, a vector and an edge each, `count` from `from` on. */
static cop_err many_put(cop_store *store, uint64_t from, uint64_t count,
			uint32_t dim, size_t content)
{
	char *data = calloc(1, content + 1);
	float vector[256];
	uint64_t state = from;
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	for (size_t i = 0; i < content; i++)
		data[i] = (char)test_random(&state);
	for (uint64_t i = from; !err && i < from + count; i++) {
		char key[32];
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .vector = dim ? vector : NULL,
				      .dim = dim,
				      .content = data,
				      .content_size = content};

		for (uint32_t d = 0; d < dim; d++)
			vector[d] = (float)(i + d);
		put.key_size =
		    (uint32_t)snprintf(key, sizeof key, "many-%u", (unsigned)i);
		err = cop_put(write, &put);
		if (!err && i > from)
			err = link_simple(write, key, "to", key);
	}
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	free(data);
	return err;
}

/* 1 if exactly the entities below `count` are there. */
static int many_are_there(cop_store *store, uint64_t count, uint32_t dim)
{
	struct cop_stats stats = {.size = sizeof stats};
	struct cop_search search = {.size = sizeof search, .k = 1};
	float query[256] = {0};
	struct cop_hit hit = {0};
	uint32_t hits = 0;
	cop_read *read;
	int right = 1;

	if (cop_read_begin(store, &read))
		return 0;
	right &= !cop_stat(read, &stats) && stats.entities == count;
	for (uint64_t i = 0; i < count + 3; i++) {
		char key[32];
		uint64_t id = 9;
		int size = snprintf(key, sizeof key, "many-%u", (unsigned)i);

		right &= !cop_lookup(read, key, (size_t)size, &id) &&
			 (i < count ? id == i + 1 : !id);
	}
	for (uint32_t d = 0; d < dim; d++)
		query[d] = (float)(count / 2 + d);
	search.vector = query;
	if (dim && count)
		right &= !cop_search(read, &search, &hit, &hits) && hits == 1 &&
			 hit.id == count / 2 + 1;
	cop_read_end(read);
	return right;
}

/* Commits until there is no room; returns how many entities there are. */
static uint64_t fill_up(cop_store *store, uint64_t from, uint64_t batch,
			uint32_t dim, size_t content)
{
	uint64_t at = from;

	while (!(shared->err = many_put(store, at, batch, dim, content)))
		at += batch;
	return at;
}

static enum end full_segment(const struct fixture *f, void *user)
{
	enum { WIDE = 256, BATCH = 100 };
	struct cop_options options = {.size = sizeof options,
				      .dim = WIDE,
				      .metric = COP_L2,
				      .shm_dir = user};
	cop_read *old;
	cop_store *store;
	uint64_t count;
	uint64_t findings = 9;
	cop_err err;

	if (mounts_own() || tmpfs_mount(user, "2m"))
		return END_SKIP;
	need(!cop_create(f->path, &options));
	err = shared->err = cop_open(f->path, NULL, &store);
	need(err == COP_NO_SPACE && *cop_last_error());
	need(!tmpfs_resize(user, "8m"));
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(!many_put(store, 0, BATCH, WIDE, 10));
	need(!cop_read_begin(store, &old));
	/* one far too large leaves room for the small that come after it */
	need(many_put(store, BATCH, 200 * BATCH, WIDE, 10) == COP_NO_SPACE);
	need(!(shared->err = many_put(store, BATCH, BATCH, WIDE, 10)));
	count = fill_up(store, 2 * BATCH, BATCH, WIDE, 10);
	need(shared->err == COP_NO_SPACE && strstr(cop_last_error(), "tmpfs"));
	need(many_are_there(store, count, WIDE)); /* nothing half done */
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	for (int i = 0; i < 5; i++)
		need(many_put(store, count, BATCH, WIDE, 10) == COP_NO_SPACE);
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	need(many_are_there(store, count, WIDE));
	need(cop_read_commit(old) == 1);
	cop_read_end(old);
	need(!tmpfs_resize(user, "64m"));
	need(!(shared->err = many_put(store, count, BATCH, WIDE, 10)));
	need(many_are_there(store, count + BATCH, WIDE));
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	cop_close(store);
	/* no room to build it from LMDB, then room */
	need(!cop_detach(f->path));
	need(!tmpfs_resize(user, "4m"));
	need((shared->err = cop_open(f->path, NULL, &store)) == COP_NO_SPACE);
	need(!tmpfs_resize(user, "64m"));
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(many_are_there(store, count + BATCH, WIDE));
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	cop_close(store);
	need(!cop_detach(f->path));
	return END_WORKED;
}

/* Two processes: one fills the tmpfs, the other reads all the while. */
static enum end read_until_stop(const struct fixture *f, void *user)
{
	cop_store *store;
	uint64_t sum;

	(void)user;
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(!(shared->err = ask_store(store, &sum)));
	shared->ready++;
	while (!shared->stop) {
		need(!(shared->err = ask_store(store, &sum)));
		shared->rounds++;
	}
	cop_close(store);
	return END_WORKED;
}

static enum end full_while_read(const struct fixture *f, void *user)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .shm_dir = user};
	cop_store *store;
	uint64_t count = 0;
	uint64_t rounds;
	pid_t reader;

	if (mounts_own() || tmpfs_mount(user, "5m"))
		return END_SKIP;
	need(!cop_create(f->path, &options));
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	shared->ready = 0;
	shared->stop = 0;
	reader = child_start(read_until_stop, f, NULL);
	while (!shared->ready && !waitpid(reader, NULL, WNOHANG))
		sched_yield();
	need(shared->ready);
	for (uint64_t batch = 2000; batch; batch /= 3)
		count = fill_up(store, count, batch, DIM, 0);
	need(shared->err == COP_NO_SPACE);
	rounds = shared->rounds;
	for (int i = 0; shared->rounds < rounds + 20 && i < 10000; i++)
		usleep(1000);
	shared->stop = 1;
	need(child_wait(reader) == END_WORKED);
	need(shared->rounds >= rounds + 20);
	need(many_are_there(store, count, DIM));
	cop_close(store);
	need(!cop_detach(f->path));
	return END_WORKED;
}

static enum end full_disk(const struct fixture *f, void *user)
{
	enum { BATCH = 20, CONTENT = 3000 };
	struct cop_options options = {
	    .size = sizeof options, .dim = DIM, .metric = COP_L2};
	char path[128];
	cop_store *store;
	uint64_t count;
	uint64_t findings = 9;
	cop_write *write;

	snprintf(path, sizeof path, "%s/store", (const char *)user);
	(void)f;
	if (mounts_own() || tmpfs_mount(user, "4m"))
		return END_SKIP;
	need(!cop_create(path, &options));
	need(!(shared->err = cop_open(path, NULL, &store)));
	count = fill_up(store, 0, BATCH, DIM, CONTENT);
	need(*cop_last_error());
	shared->told = shared->err;
	need(count > BATCH && many_are_there(store, count, DIM));
	for (int i = 0; i < 5; i++) {
		shared->err = many_put(store, count, BATCH, DIM, CONTENT);
		need(shared->err);
	}
	need(many_are_there(store, count, DIM));
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	need(!tmpfs_resize(user, "16m"));
	need(!(shared->err = many_put(store, count, BATCH, DIM, CONTENT)));
	count += BATCH;
	need(many_are_there(store, count, DIM));
	count = fill_up(store, count, BATCH, DIM, CONTENT);
	cop_close(store);
	/* a full disk may still be read, in another process, too */
	need(!(shared->err = cop_open(path, NULL, &store)));
	need(many_are_there(store, count, DIM));
	need(!tmpfs_resize(user, "17m"));
	need(!cop_write_begin(store, &write));
	need(!cop_delete(write, "many-1", 6));
	need(!(shared->err = cop_commit(write, NULL)));
	cop_abort(write);
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	cop_close(store);
	need(!cop_detach(path));
	return END_WORKED;
}

static enum end full_disk_create(const struct fixture *f, void *user)
{
	char path[128];

	snprintf(path, sizeof path, "%s/store", (const char *)user);
	(void)f;
	if (mounts_own() || tmpfs_mount(user, "12k"))
		return END_SKIP;
	need((shared->err = cop_create(path, NULL)) == COP_NO_SPACE);
	need(access(path, F_OK) && errno == ENOENT);
	return END_WORKED;
}

static void no_room(child_body *body, const char *what)
{
	struct fixture f;
	char place[96];
	int status;

	fixture_folder(&f);
	snprintf(place, sizeof place, "%s/place", f.folder);
	status = child_run(body, &f, place);
	if (status == END_SKIP)
		skip("%s: this process may not mount", what);
	else
		is_int(status, END_WORKED, "%s", what);
	fixture_release(&f);
}

static enum end map_too_small(const struct fixture *f, void *user)
{
	enum { BATCH = 200, CONTENT = 30000 };
	cop_store *store;
	uint64_t count;
	uint64_t findings = 9;

	(void)user;
	setenv("COPPICE_MAP_SIZE", "64M", 1);
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	count = fill_up(store, 0, BATCH, DIM, CONTENT);
	need(shared->err == COP_NO_SPACE &&
	     strstr(cop_last_error(), "COPPICE_MAP_SIZE"));
	need(count && many_are_there(store, count, DIM));
	need(many_put(store, count, BATCH, DIM, CONTENT) == COP_NO_SPACE);
	need(!cop_check(store, finding_tell, NULL, &findings) && !findings);
	cop_close(store);
	setenv("COPPICE_MAP_SIZE", "1G", 1);
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(!(shared->err = many_put(store, count, BATCH, DIM, CONTENT)));
	need(many_are_there(store, count + BATCH, DIM));
	cop_close(store);
	return END_WORKED;
}

static enum end map_grow(const struct fixture *f, void *user)
{
	cop_store *store;

	(void)user;
	setenv("COPPICE_MAP_SIZE", "1G", 1);
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	for (uint64_t i = 0; i < 12; i++)
		need(
		    !(shared->err = many_put(store, i * 200, 200, DIM, 30000)));
	cop_close(store);
	return END_WORKED;
}

static enum end map_outgrown(const struct fixture *f, void *user)
{
	cop_store *store;
	uint64_t sum;

	(void)user;
	setenv("COPPICE_MAP_SIZE", "64M", 1);
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(!(shared->err = ask_store(store, &sum)));
	need(child_run(map_grow, f, NULL) == END_WORKED);
	shared->err = ask_store(store, &sum);
	if (shared->err) {
		need(*words);
		need(shared->err == COP_NO_SPACE || shared->err == -30785);
	}
	cop_close(store);
	/* whatever that gave, a new open has a map that is large enough */
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(!(shared->err = ask_store(store, &sum)));
	cop_close(store);
	return END_WORKED;
}

static void a_map_too_small_is_told(void)
{
	struct fixture f;

	fixture_init(&f, DIM, COP_L2);
	fixture_close(&f);
	is_int(child_run(map_too_small, &f, NULL), END_WORKED,
	       "a map of 64 MiB is full in words, and goes on with a larger "
	       "one");
	fixture_release(&f);
	fixture_init(&f, DIM, COP_L2);
	fixture_close(&f);
	is_int(child_run(map_outgrown, &f, NULL), END_WORKED,
	       "a process whose map another one outgrew is told, or goes on");
	fixture_release(&f);
}

/* ---- many at once ------------------------------------------------------- */

static int32_t count_progress(void *user, const char *what, uint64_t done,
			      uint64_t total)
{
	(void)user;
	(void)what;
	(void)done;
	(void)total;
	shared->built++;
	return 0;
}

static enum end open_at_once(const struct fixture *f, void *user)
{
	struct cop_open_options options = {.size = sizeof options,
					   .progress = count_progress};
	uint64_t want = *(uint64_t *)user;
	cop_store *store;
	uint64_t sum;

	shared->ready++;
	while (!shared->go)
		sched_yield();
	need(!(shared->err = cop_open(f->path, &options, &store)));
	need(!(shared->err = ask_store(store, &sum)));
	need(sum == want);
	cop_close(store);
	return END_WORKED;
}

/* The number of the one index file in a folder, 0 if there are more. */
static uint64_t index_named(const char *folder)
{
	DIR *entries = opendir(folder);
	struct dirent *entry;
	uint64_t number = 0;
	int files = 0;

	while (entries && (entry = readdir(entries))) {
		if (strncmp(entry->d_name, "index-", 6) != 0)
			continue;
		files++;
		number = strtoull(entry->d_name + 6, NULL, 10);
	}
	if (entries)
		closedir(entries);
	return files == 1 ? number : 0;
}

static void twenty_open_at_once(struct fixture *f, uint64_t want,
				uint64_t number, const char *what)
{
	enum { COUNT = 20 };
	pid_t pids[COUNT];
	char folder[256];
	int worked = 0;

	shared->ready = 0;
	shared->go = 0;
	for (int i = 0; i < COUNT; i++)
		pids[i] = child_start(open_at_once, f, &want);
	while (shared->ready < COUNT)
		sched_yield();
	shared->go = 1;
	for (int i = 0; i < COUNT; i++)
		worked += child_wait(pids[i]) == END_WORKED;
	is_int(worked, COUNT, "twenty processes open %s at once", what);
	fixture_open(f);
	segment_folder(f->store, folder);
	is_u64(index_named(folder), number, "its segment was built once");
	fixture_close(f);
}

static void who_comes_first_builds_once(void)
{
	struct fixture f;
	char path[300];
	uint64_t empty;
	uint64_t full;

	fixture_init(&f, DIM, COP_L2);
	empty = sum_of(f.store);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	twenty_open_at_once(&f, empty, 1, "a fresh store");
	fixture_open(&f);
	must(step_run(f.store, 1), "step");
	full = sum_of(f.store);
	segment_folder(f.store, path);
	fixture_close(&f);
	twenty_open_at_once(&f, full, 1, "an attached store");
	must(cop_detach(f.path), "detach");
	ok(access(path, F_OK), "a detached store has no folder in memory");
	twenty_open_at_once(&f, full, 1, "a detached store");
	strcat(path, "/index-1");
	if (unlink(path))
		bail_out("unlink %s: %s", path, strerror(errno));
	twenty_open_at_once(&f, full, 2, "a store whose index is gone");
	*strrchr(path, '/') = 0;
	strcat(path, "/control");
	if (unlink(path))
		bail_out("unlink %s: %s", path, strerror(errno));
	twenty_open_at_once(&f, full, 1, "a store whose control is gone");
	fixture_release(&f);
}

/* Only the index, of one who reads: who opens the store makes another. */
static void an_index_that_was_removed_is_told(void)
{
	struct fixture f;
	char path[128];
	pid_t pid;

	store_make(&f);
	fixture_close(&f);
	fixture_open(&f); /* and has not written */
	segment_folder(f.store, path);
	strcat(path, "/index-1");
	if (unlink(path))
		bail_out("unlink %s: %s", path, strerror(errno));
	is_int(step_run(f.store, 2), COP_FOREIGN,
	       "a writer whose index was removed is told");
	ok(strstr(cop_last_error(), "were removed while in use") != NULL,
	   "in the words that there are for it: %s", cop_last_error());
	ok(sum_of(f.store) != 0, "a reader goes on");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		cop_store *store;

		alarm(60);
		must(cop_open(f.path, NULL, &store), "open");
		_exit(step_run(store, 2) != 0);
	}
	is_int(child_wait(pid), 0, "who opens it makes another, and writes");
	is_int(step_run(f.store, 3), 0, "and that is followed");
	is_u64(findings_of(f.store), 0, "nothing is found");
	fixture_release(&f);
}

/* ---- segments' files ---------------------------------------------------- */

static void *file_map(const char *folder, const char *name, size_t *size)
{
	char path[300];
	struct stat st;
	void *at;
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		bail_out("open %s: %s", path, strerror(errno));
	*size = (size_t)st.st_size;
	at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		bail_out("mmap %s: %s", path, strerror(errno));
	return at;
}

/* Closed segments whose files hold anything are made anew. */
static void damaged_segments_are_built_anew(uint64_t *state)
{
	static const char *const names[] = {"control", "index-1"};
	struct fixture f;
	char folder[256];
	int wrong = 0;

	store_make(&f);
	segment_folder(f.store, folder);
	fixture_close(&f);
	for (int i = 0; i < 16; i++) {
		const char *name = names[i & 1];
		unsigned char *bytes;
		size_t size;
		char path[300];
		int status;

		must(cop_detach(f.path), "detach");
		fixture_open(&f);
		fixture_close(&f);
		snprintf(path, sizeof path, "%s/%s", folder, name);
		bytes = file_map(folder, name, &size);
		if (i / 2 == 0)
			(void)!truncate(path, 0);
		else if (i / 2 == 1)
			(void)!truncate(path, 100);
		else if (i / 2 == 2)
			(void)!truncate(path, 5000);
		else if (i / 2 == 3)
			memset(bytes, 0, 4096);
		else
			for (int j = 0; j < 512; j++)
				bytes[test_below(state, 512)] =
				    (unsigned char)test_random(state);
		munmap(bytes, size);
		status = child_run(use_fully, &f, NULL);
		if (status != END_WORKED) {
			wrong++;
			diag("damage %d to %s: ended with %d, error %d", i,
			     name, status, shared->err);
			continue;
		}
		fixture_open(&f);
		if (findings_of(f.store)) {
			wrong++;
			diag("damage %d to %s: not whole", i, name);
		}
		fixture_close(&f);
	}
	is_int(wrong, 0,
	       "segments that nobody has open and that are cut off, "
	       "zeroed or scribbled on are built anew");
	fixture_release(&f);
}

/* ---- scribbling --------------------------------------------------------- */

/* Asks on and on; an error is an answer. */
static enum end ask_until_stop(const struct fixture *f, void *user)
{
	cop_store *store;
	cop_read *kept = NULL;

	(void)user;
	alarm(TEST_ASAN ? 200 : 100);
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(!(shared->err = cop_read_begin(store, &kept)));
	shared->ready++;
	while (!shared->stop) {
		uint64_t sum;
		cop_err err = ask_store(store, &sum);

		if (err && !*words)
			return END_NO_WORDS;
		shared->refused += err != 0;
		if (!err) /* one that began long ago, too */
			err = ask_all(kept, &sum);
		if (!shared->go)
			(void)!cop_read_refresh(kept);
		shared->rounds++;
	}
	cop_read_end(kept);
	cop_close(store);
	return END_WORKED;
}

struct vandal {
	struct fixture f;
	char folder[256];
	pid_t reader;
	int reader_is_alive;
	struct control *control;
	size_t control_bytes;
	unsigned char *control_saved;
	struct segment_header *header;
	unsigned char *index;
	size_t index_bytes; /* of the file */
	struct {
		uint64_t offset;
		uint64_t bytes;
		unsigned char *saved;
	} regions[REGION_COUNT];
	unsigned char header_saved[sizeof(struct segment_header)];
	uint64_t state;
	uint64_t want;
};

static void *saved_of(const void *data, size_t bytes)
{
	void *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		bail_out("no memory");
	return memcpy(copy, data, bytes);
}

static void vandal_init(struct vandal *v, uint64_t seed)
{
	char name[32];
	char before[64];

	const char *reserve = getenv("COPPICE_RESERVE");

	v->state = seed;
	snprintf(before, sizeof before, "%s", reserve ? reserve : "");
	setenv("COPPICE_RESERVE", "256M", 1);
	store_make(&v->f);
	setenv("COPPICE_RESERVE", before, 1); /* empty is the default */
	for (uint64_t i = 3; i < 12; i++)
		must(step_run(v->f.store, i), "step");
	v->want = sum_of(v->f.store);
	segment_folder(v->f.store, v->folder);
	v->control = file_map(v->folder, "control", &v->control_bytes);
	v->control_saved = saved_of(v->control, v->control_bytes);
	snprintf(name, sizeof name, "index-%u", (unsigned)v->control->index);
	v->index = file_map(v->folder, name, &v->index_bytes);
	v->header = (struct segment_header *)(void *)v->index;
	memcpy(v->header_saved, v->header, sizeof v->header_saved);
	for (int i = 0; i < REGION_COUNT; i++) {
		const struct region *region = &v->header->regions[i];

		v->regions[i].offset = region->offset;
		v->regions[i].bytes = region->published;
		v->regions[i].saved =
		    saved_of(v->index + region->offset, region->published);
	}
	v->reader_is_alive = 0;
}

static void vandal_restore(struct vandal *v)
{
	for (int i = 0; i < REGION_COUNT; i++)
		memcpy(v->index + v->regions[i].offset, v->regions[i].saved,
		       v->regions[i].bytes);
	memcpy(v->header, v->header_saved, sizeof v->header_saved);
	v->control->index = ((struct control *)(void *)v->control_saved)->index;
	v->control->slot_limit = SLOT_COUNT;
}

static void vandal_release(struct vandal *v)
{
	for (int i = 0; i < REGION_COUNT; i++)
		free(v->regions[i].saved);
	free(v->control_saved);
	munmap(v->control, v->control_bytes);
	munmap(v->index, v->index_bytes);
	fixture_release(&v->f);
}

static void reader_start(struct vandal *v)
{
	shared->ready = 0;
	shared->stop = 0;
	shared->go = 1;
	v->reader = child_start(ask_until_stop, &v->f, NULL);
	v->reader_is_alive = 1;
	while (!shared->ready) {
		int status;

		if (waitpid(v->reader, &status, WNOHANG) == v->reader)
			bail_out("the reader did not come up");
		sched_yield();
	}
}

/* 0 if the reader goes on; it is given all the time it needs, but one. */
static int reader_goes_on(struct vandal *v, uint64_t rounds, int *status)
{
	uint64_t until = shared->rounds + rounds;
	pid_t pid;

	for (int waited = 0; shared->rounds < until; waited++) {
		pid = waitpid(v->reader, status, WNOHANG);
		if (pid == v->reader) {
			v->reader_is_alive = 0;
			return -1;
		}
		if (waited > (TEST_ASAN ? 60000 : 15000)) {
			kill(v->reader, SIGKILL);
			*status = -1;
			(void)child_wait(v->reader);
			v->reader_is_alive = 0;
			return -1;
		}
		usleep(1000);
	}
	return 0;
}

typedef void scribble(struct vandal *v);

static void word_store(void *at, uint64_t word)
{
	__atomic_store_n((uint64_t *)at, word, __ATOMIC_RELAXED);
}

/* A word that may be anything: tiny, huge, near a power of two, or random. */
static uint64_t word_any(struct vandal *v)
{
	uint64_t word = test_random(&v->state);

	switch (test_below(&v->state, 8)) {
	case 0: return 0;
	case 1: return UINT64_MAX;
	case 2: return word % 256;
	case 3: return word % 1000000;
	case 4: return (UINT64_C(1) << word % 64) - (word >> 63);
	case 5: return word >> 32;
	case 6: return word % 64 << 32 | (word >> 32) % 64;
	default: return word;
	}
}

static void words_scribble(struct vandal *v, void *at, uint64_t bytes,
			   uint64_t count)
{
	for (uint64_t i = 0; i < count && bytes >= 8; i++)
		word_store((unsigned char *)at +
			       test_below(&v->state, bytes / 8) * 8,
			   word_any(v));
}

static void region_scribble(struct vandal *v, enum region_id id, uint64_t count)
{
	words_scribble(v, v->index + v->regions[id].offset,
		       v->regions[id].bytes, count);
}

static void scribble_index_number(struct vandal *v)
{
	v->control->index = word_any(v);
}

static void scribble_slots(struct vandal *v)
{
	words_scribble(v, (unsigned char *)v->control + SLOTS_OFFSET,
		       64 * sizeof(struct slot), 20);
	v->control->slot_limit = (uint32_t)word_any(v);
}

/* Out of range, or below what is there. */
static void scribble_published(struct vandal *v)
{
	enum region_id id = (enum region_id)test_below(&v->state, REGION_COUNT);
	const struct region *region = &v->header->regions[id];
	uint64_t word = word_any(v);

	if (word > v->regions[id].bytes && word <= region->reserved)
		word %= v->regions[id].bytes + 1;
	word_store(&v->header->regions[id].published, word);
}

static void scribble_published_all(struct vandal *v)
{
	enum region_id id = (enum region_id)test_below(&v->state, REGION_COUNT);

	word_store(&v->header->regions[id].published,
		   v->header->regions[id].reserved);
	v->header->bank.row_count = UINT32_MAX;
}

static void scribble_table(struct vandal *v)
{
	uint64_t word = word_any(v);

	if (word & 1) /* one that fits, elsewhere and of another size */
		word = (word >> 20) % 64 << 8 | (word >> 8) % 16;
	word_store(&v->header->idmap.table, word);
}

static void scribble_idmap(struct vandal *v)
{
	region_scribble(v, REGION_IDMAP, 50);
}

static void scribble_heads(struct vandal *v)
{
	words_scribble(v, v->index + v->regions[REGION_HEADS].offset,
		       (KEYS + 1) * sizeof(struct head), 30);
	words_scribble(v, v->index + v->regions[REGION_LISTS].offset,
		       (KEYS + 1) * sizeof(struct head_lists), 5);
	region_scribble(v, REGION_TEXT, 5);
}

static void scribble_rows(struct vandal *v)
{
	region_scribble(v, REGION_CODES, 200);
	region_scribble(v, REGION_ROWS, 100);
	v->header->bank.row_count = (uint32_t)word_any(v);
}

static void scribble_edges(struct vandal *v)
{
	region_scribble(v, REGION_EDGES, 300);
}

/* Block headers alone: next, count and class, and back at once. */
static void scribble_blocks(struct vandal *v)
{
	uint64_t units = v->regions[REGION_EDGES].bytes / EDGE_UNIT;

	for (int i = 0; i < 2000; i++) {
		uint64_t at = test_below(&v->state, units) * EDGE_UNIT;
		unsigned char *now =
		    v->index + v->regions[REGION_EDGES].offset + at;
		uint64_t saved[2];

		memcpy(saved, v->regions[REGION_EDGES].saved + at, 16);
		word_store(now, saved[0] | UINT64_C(0xffffffff) << 32);
		for (int j = 0; j < 50; j++) {
			word_store(now + 8, 0x1f);
			word_store(now + 8, saved[1]);
		}
		word_store(now, saved[0]);
	}
}

/* Peers alone, to a number that no map of ids has, and back at once. */
static void scribble_peers(struct vandal *v)
{
	uint64_t units = v->regions[REGION_EDGES].bytes / EDGE_UNIT;

	for (int i = 0; i < 2000; i++) {
		uint64_t at = test_below(&v->state, units) * EDGE_UNIT + 16;
		unsigned char *now =
		    v->index + v->regions[REGION_EDGES].offset + at;
		uint64_t saved;

		memcpy(&saved, v->regions[REGION_EDGES].saved + at, 8);
		for (int j = 0; j < 50; j++) {
			word_store(now, saved | 0xfffffff0);
			word_store(now, saved);
		}
	}
}

static void scribble_blooms(struct vandal *v)
{
	words_scribble(v, &v->header->key_bloom,
		       sizeof v->header->key_bloom * 2, 10);
	region_scribble(v, REGION_BLOOM, 10);
}

static void scribble_commits(struct vandal *v)
{
	v->header->prepared = word_any(v);
	v->header->committed = word_any(v);
	v->header->chain = word_any(v);
	words_scribble(v, &v->header->intent, sizeof v->header->intent, 1);
	words_scribble(v, &v->header->limbo, sizeof v->header->limbo, 1);
}

/* All of the header that is not fixed after create. */
static void scribble_changing(struct vandal *v)
{
	unsigned char *from = (unsigned char *)&v->header->ready;

	words_scribble(
	    v, from, sizeof *v->header - offsetof(struct segment_header, ready),
	    20);
}

/* What is fixed after create and was checked when it was attached. */
static void scribble_fixed(struct vandal *v)
{
	words_scribble(v, v->header, offsetof(struct segment_header, ready), 5);
}

static void scribbles_are_survived(struct vandal *v, scribble *how,
				   const char *what)
{
	uint64_t refused;
	uint64_t rounds;
	int status = 0;
	int alive = 0;

	if (!v->reader_is_alive)
		reader_start(v);
	refused = shared->refused;
	rounds = shared->rounds;
	for (int i = 0; i < (TEST_ASAN ? 15 : 60) && !alive; i++) {
		how(v);
		alive =
		    reader_goes_on(v, 1 + test_below(&v->state, 2), &status);
		if (i % 3 == 2)
			vandal_restore(v);
	}
	vandal_restore(v);
	shared->go = 0; /* lets the kept read begin again */
	if (!alive)
		alive = reader_goes_on(v, 3, &status);
	shared->go = 1;
	ok(!alive,
	   "%s scribbled on: searches, walks and gets go on (%" PRIu64
	   " of %" PRIu64 " rounds were refused)",
	   what, shared->refused - refused, shared->rounds - rounds);
	if (alive && status == -1)
		diag("the reader hung");
	else if (alive && WIFSIGNALED(status))
		diag("the reader died of signal %d", WTERMSIG(status));
	else if (alive)
		diag("the reader ended with %d", WEXITSTATUS(status));
	ok(sum_of(v->f.store) == v->want, "and put back all is as before");
}

static void scribbles(uint64_t seed)
{
	static const struct {
		scribble *how;
		const char *what;
	} kinds[] = {
	    {scribble_index_number, "control's index number"},
	    {scribble_slots, "slots"},
	    {scribble_published, "published sizes out of range"},
	    {scribble_table, "the id map's table word"},
	    {scribble_idmap, "the id map's entries"},
	    {scribble_heads, "heads and keys"},
	    {scribble_rows, "rows and their number"},
	    {scribble_edges, "edge blocks"},
	    {scribble_blocks, "edge blocks' headers"},
	    {scribble_peers, "edges' peers"},
	    {scribble_blooms, "bloom filters"},
	    {scribble_commits, "commit numbers"},
	    {scribble_changing, "the header's changing words"},
	    {scribble_published_all, "published sizes of all there may be"},
	    {scribble_fixed, "the header's fixed words"},
	};
	struct vandal v;

	vandal_init(&v, seed);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		scribbles_are_survived(&v, kinds[i].how, kinds[i].what);
	shared->stop = 1;
	if (v.reader_is_alive)
		is_int(child_wait(v.reader), END_WORKED,
		       "the reader comes to its end");
	memset((unsigned char *)v.control + SLOTS_OFFSET, 0,
	       v.control_bytes - SLOTS_OFFSET);
	fixture_close(&v.f);
	must(cop_detach(v.f.path), "detach");
	fixture_open(&v.f);
	is_u64(sum_of(v.f.store), v.want, "nothing durable was touched");
	is_u64(findings_of(v.f.store), 0, "the check finds nothing");
	vandal_release(&v);
}

/* ---- copies, moves ------------------------------------------------------ */

static void a_copy_has_a_segment_of_its_own(void)
{
	struct fixture f;
	struct fixture copy;
	char folder[256];
	char folder_of_copy[256];
	uint64_t want;

	store_make(&f);
	want = sum_of(f.store);
	copy = f;
	snprintf(copy.path, sizeof copy.path, "%s/copy", f.folder);
	copy.store = NULL;
	store_copy(f.path, copy.path);
	fixture_open(&copy);
	ok(copy.store != f.store, "a copy is another store");
	segment_folder(f.store, folder);
	segment_folder(copy.store, folder_of_copy);
	ok(strcmp(folder, folder_of_copy) != 0, "with a segment of its own");
	ok(sum_of(copy.store) == want, "and the same in it");
	must(step_run(copy.store, 9), "step");
	ok(sum_of(f.store) == want, "a commit to it is not seen in the first");
	must(step_run(f.store, 5), "step");
	is_u64(findings_of(f.store), 0, "the first is whole");
	is_u64(findings_of(copy.store), 0, "so is the copy");
	fixture_close(&copy);
	must(cop_detach(copy.path), "detach");
	fixture_release(&f);
}

/* Rows of them lead walks, and are nobody else's to compare with. */
static void nibbles_that_are_not_the_codes_are_found(void)
{
	struct segment_header *header;
	struct control *control;
	struct fixture f;
	float vector[NIBBLE_DIM] = {0};
	unsigned char *at;
	char folder[256];
	char name[32];
	size_t control_bytes;
	size_t bytes;
	cop_write *write;

	fixture_init(&f, NIBBLE_DIM, COP_L2);
	write = write_of(&f);
	for (int i = 0; i < 20; i++) {
		vector[i] = (float)i;
		snprintf(name, sizeof name, "%d", i);
		put_simple(write, name, NULL, vector, NIBBLE_DIM);
	}
	commit_of(write);
	is_u64(findings_of(f.store), 0, "a store with nibbles is whole");
	segment_folder(f.store, folder);
	control = file_map(folder, "control", &control_bytes);
	snprintf(name, sizeof name, "index-%u", (unsigned)control->index);
	header = file_map(folder, name, &bytes);
	at = (unsigned char *)header + header->regions[REGION_NIBBLES].offset +
	     3 * code_nibble_bytes(NIBBLE_DIM) + 1;
	*at ^= 1;
	is_u64(findings_of(f.store), 1, "one that is another is found");
	*at ^= 1;
	is_u64(findings_of(f.store), 0, "and no more when it is as it was");
	munmap(header, bytes);
	munmap(control, control_bytes);
	fixture_release(&f);
}

static void a_store_may_be_moved_while_open(void)
{
	struct fixture f;
	char moved[96];
	cop_store *store;
	uint64_t want;

	store_make(&f);
	snprintf(moved, sizeof moved, "%s/moved", f.folder);
	if (rename(f.path, moved))
		bail_out("rename: %s", strerror(errno));
	want = sum_of(f.store);
	ok(want, "a store that was moved is read");
	must(step_run(f.store, 3), "step");
	must(step_run(f.store, 2), "step");
	ok(sum_of(f.store) != 0, "and written");
	ok(cop_open(f.path, NULL, &store) == COP_NOT_A_STORE,
	   "its old path is no store");
	must(cop_open(moved, NULL, &store), "open");
	ok(store == f.store, "its new path gives the same handle");
	cop_close(store);
	strcpy(f.path, moved);
	is_int(child_run(use_fully, &f, NULL), END_WORKED,
	       "another process opens it there");
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static enum end replace_and_open(const struct fixture *f, void *user)
{
	char aside[128];

	(void)user;
	snprintf(aside, sizeof aside, "%s/aside", f->folder);
	need(!rename(f->path, aside));
	store_copy(whole.path, f->path);
	return use_fully(f, user);
}

static void a_store_may_be_replaced_while_open(void)
{
	struct fixture f;
	uint64_t want;

	store_make(&f);
	must(step_run(f.store, 8), "step");
	want = sum_of(f.store);
	is_int(child_run(replace_and_open, &f, NULL), END_WORKED,
	       "another store in a store's place is opened");
	ok(sum_of(f.store) == want, "whoever had the first one keeps it");
	snprintf(f.path, sizeof f.path, "%s/aside", f.folder);
	fixture_release(&f);
}

/* ---- fork --------------------------------------------------------------- */

static enum end all_is_forked(const struct fixture *f, void *user)
{
	cop_read *inherited = ((void **)user)[0];
	cop_write *write = ((void **)user)[1];
	struct cop_put put = {.size = sizeof put, .key = "x", .key_size = 1};
	struct cop_search search = {.size = sizeof search, .k = 1};
	struct cop_walk walk = {.size = sizeof walk, .start = 1};
	struct cop_stats stats = {.size = sizeof stats};
	struct cop_entity entity;
	struct cop_edge edge;
	struct cop_step step;
	struct cop_hit hit;
	float query[DIM] = {1};
	const void *key;
	const float *vector;
	const char *text;
	uint64_t number = 9;
	uint32_t count;
	size_t size;

	search.vector = query;
	need(cop_read_refresh(inherited) == COP_FORKED);
	need(cop_lookup(inherited, "k", 1, &number) == COP_FORKED);
	need(cop_get(inherited, "k", 1, &entity) == COP_FORKED);
	need(cop_get_id(inherited, 1, &entity) == COP_FORKED);
	need(cop_key(inherited, 1, &key, &size) == COP_FORKED);
	need(cop_name(inherited, 1, &text, &size) == COP_FORKED);
	need(cop_vector(inherited, 1, &vector) == COP_FORKED);
	need(cop_get_edge(inherited, 1, "r", 1, 1, &edge) == COP_FORKED);
	need(cop_edges(inherited, 1, COP_OUT, edge_add, &number) == COP_FORKED);
	need(cop_scan(inherited, NULL, NULL, 1, entity_add, &number) ==
	     COP_FORKED);
	need(cop_search(inherited, &search, &hit, &count) == COP_FORKED);
	need(cop_search_many(inherited, &search, query, 1, 1, &hit, &count) ==
	     COP_FORKED);
	need(cop_walk(inherited, &walk, &step, 1, &size, NULL) == COP_FORKED);
	need(cop_stat(inherited, &stats) == COP_FORKED);
	need(cop_put(write, &put) == COP_FORKED);
	need(cop_put_many(write, &put, 1, 1) == COP_FORKED);
	need(cop_delete(write, "x", 1) == COP_FORKED);
	need(cop_commit(write, NULL) == COP_FORKED);
	need(number == 9);
	need(strstr(cop_last_error(), "fork"));
	cop_abort(write);
	cop_read_end(inherited);
	cop_close(f->store);
	return END_WORKED;
}

static enum end close_inherited(const struct fixture *f, void *user)
{
	(void)user;
	cop_close(f->store);
	return END_WORKED;
}

static enum end open_then_close_inherited(const struct fixture *f, void *user)
{
	cop_store *store;
	uint64_t sum;
	uint64_t step = 0;

	if (user)
		cop_close(f->store);
	need(!(shared->err = cop_open(f->path, NULL, &store)));
	need(store == f->store || user);
	if (!user)
		cop_close(f->store);
	need(!(shared->err = ask_store(store, &sum)));
	for (step = 20; step < 24; step++)
		need(!(shared->err = step_run(store, step)));
	need(!findings_of(store));
	cop_close(store);
	return END_WORKED;
}

/* Closes the inherited handle when told, opens nothing. */
static enum end close_when_told(const struct fixture *f, void *user)
{
	(void)user;
	shared->ready = 1;
	while (!shared->go)
		sched_yield();
	cop_close(f->store);
	return END_WORKED;
}

static void a_childs_close_takes_nothing_from_its_parent(void)
{
	struct fixture f;
	cop_read *read;
	uint64_t want;
	uint64_t sum = 0;
	pid_t pid;
	cop_err err;

	store_make(&f);
	cop_read_end(read_of(&f)); /* a read in the pool */
	shared->ready = 0;
	shared->go = 0;
	pid = child_start(close_when_told, &f, NULL);
	while (!shared->ready)
		sched_yield();
	read = read_of(&f); /* the same again */
	must(ask_all(read, &want), "ask");
	shared->go = 1;
	is_int(child_wait(pid), END_WORKED, "a child closes what it inherited");
	for (uint64_t i = 30; i < 60; i++)
		must(step_run(f.store, i), "step");
	err = ask_all(read, &sum);
	ok(!err && sum == want, "a read of the parent's keeps its snapshot");
	if (err)
		diag("%d: %s", err, cop_last_error());
	cop_read_end(read);
	err = cop_read_begin(f.store, &read);
	ok(!err, "the parent begins another read");
	if (err)
		diag("%d: %s", err, cop_last_error());
	else
		cop_read_end(read);
	is_u64(findings_of(f.store), 0, "the check finds nothing");
	fixture_release(&f);
}

static void a_child_is_told_and_can_open_its_own(void)
{
	struct fixture f;
	void *inherited[2];
	cop_read *read;
	uint64_t want;
	uint64_t sum = 0;
	int status;
	cop_err err;

	store_make(&f);
	cop_read_end(read_of(&f));
	inherited[0] = read_of(&f);
	inherited[1] = write_of(&f);
	read = read_of(&f);
	must(ask_all(read, &want), "ask");
	put_simple(inherited[1], "of the parent", NULL, NULL, 0);
	is_int(child_run(all_is_forked, &f, inherited), END_WORKED,
	       "every call on an inherited read or write is COP_FORKED, but "
	       "ending it");
	is_int(child_run(open_then_close_inherited, &f, NULL), END_WORKED,
	       "a child opens what it inherited, which is one more handle");
	is_int(child_run(open_then_close_inherited, &f, &f), END_WORKED,
	       "or closes first and then opens");
	is_int(child_run(close_inherited, &f, NULL), END_WORKED,
	       "or closes alone");
	is_u64(commit_of(inherited[1]), 11, "the parent's write is its own");
	err = ask_all(read, &sum);
	ok(!err && sum == want, "the parent's read keeps its snapshot");
	cop_read_end(inherited[0]);
	cop_read_end(read);
	for (int i = 0; i < 3; i++) {
		err = ask_store(f.store, &sum);
		ok(!err, "the parent reads on");
		if (err)
			diag("%d: %s", err, cop_last_error());
	}
	must(step_run(f.store, 7), "step");
	is_u64(findings_of(f.store), 0, "and writes, and all is whole");
	status = child_run(use_fully, &f, NULL);
	is_int(status, END_WORKED, "a process of its own sees it so");
	fixture_release(&f);
}

/* ---- all ---------------------------------------------------------------- */

int main(void)
{
	uint64_t seed;

	test_begin(600);
	seed = test_seed();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	whole_make();
	what_is_no_store_is_named_so();
	current_is_read_with_care();
	lock_files_may_hold_anything();
	data_that_is_missing_is_an_error();
	a_description_is_read_with_care();
	permissions_are_asked_for_in_words();
	a_strangers_segment_is_used_or_denied();
	a_read_only_folder_is_told();
	no_room(full_segment, "a full tmpfs is told and loses nothing");
	no_room(full_while_read, "reads go on while a tmpfs fills up");
	shared->told = COP_NO_SPACE;
	no_room(full_disk, "a full disk is told and loses nothing");
	ok(shared->told == COP_NO_SPACE,
	   "a commit that the disk has no room for is COP_NO_SPACE: %s",
	   cop_strerror(shared->told));
	no_room(full_disk_create, "no store is made where there is no room");
	a_map_too_small_is_told();
	who_comes_first_builds_once();
	an_index_that_was_removed_is_told();
	damaged_segments_are_built_anew(&seed);
	a_copy_has_a_segment_of_its_own();
	nibbles_that_are_not_the_codes_are_found();
	a_store_may_be_moved_while_open();
	a_store_may_be_replaced_while_open();
	a_childs_close_takes_nothing_from_its_parent();
	a_child_is_told_and_can_open_its_own();
	scribbles(seed);
	for (int i = 0; i < DAMAGES; i++)
		damaged_data_never_crashes((enum damage)i, &seed);
	whole_release();
	return done_testing();
}
