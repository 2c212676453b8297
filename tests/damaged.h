/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small store, `whole`, whose data file is to be damaged in copies of it, and
 * where in that file lies what LMDB trusts.
 */
#ifndef TESTS_DAMAGED_H
#define TESTS_DAMAGED_H

#include "digest.h"

#include <fcntl.h>

enum {
	DIM = 4,
	KEYS = 400,
	STEPS = 4,
	PAGE = 4096,
	META = 152,
	HEADER = 16,
	TREE = 48
};

#define GENERATION "gen-000002" /* compacted: few pages are stale */

static struct fixture whole;
static struct fixture copy;
static char memory[64];	       /* where the copies have their segments */
static uint64_t oracle;	       /* of all of it */
static uint64_t oracle_before; /* before its newest commit */
static uint64_t oracle_then;   /* and as of an earlier commit */
static unsigned char *bytes;
static size_t size;
static off_t *spots;
static size_t spot_count;

/* ---- a store ------------------------------------------------------------ */

static inline void entity_put(cop_write *write, uint64_t i, uint64_t step,
			      uint64_t *state)
{
	static unsigned char content[3 * PAGE];
	const float vector[DIM] = {(float)i, (float)step, 1, 2};
	const char *tag = i % 3 ? "odd" : "third";
	char key[32];
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .type = "type",
			      .type_size = 4,
			      .tags = &tag,
			      .tag_count = 1,
			      .vector = vector,
			      .dim = DIM};

	put.key_size =
	    (uint32_t)snprintf(key, sizeof key, "key-%u", (unsigned)i);
	if (i % 40 == 0) { /* a value on pages of its own */
		for (size_t b = 0; b < sizeof content; b++)
			content[b] = (unsigned char)test_random(state);
		put.content = content;
		put.content_size = sizeof content;
	}
	must(cop_put(write, &put), "put");
}

static inline void step_commit(uint64_t step, uint64_t *state)
{
	cop_write *write = write_of(&whole);
	char a[32];
	char b[32];

	for (uint64_t i = step; i < KEYS; i += step)
		entity_put(write, i, step, state);
	for (uint64_t i = step; i + 1 < KEYS; i += step) {
		snprintf(a, sizeof a, "key-%u", (unsigned)i);
		snprintf(b, sizeof b, "key-%u", (unsigned)(i + step) % KEYS);
		if (i + step < KEYS)
			must(link_simple(write, a, "next", b), "link");
	}
	commit_of(write);
}

static inline uint64_t digest_of(cop_store *store)
{
	uint64_t sum;
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	sum = digest_all(read, DIM);
	cop_read_end(read);
	return sum;
}

static inline uint64_t digest_then(cop_store *store)
{
	uint64_t sum;
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	must(cop_read_as_of(read, STEPS / 2), "as of an earlier commit");
	sum = digest_all(read, DIM);
	cop_read_end(read);
	return sum;
}

static inline void file_path(const struct fixture *f, const char *name,
			     char *path)
{
	snprintf(path, 256, "%s/%s", f->path, name);
}

static inline void data_read(void)
{
	char path[256];
	struct stat st;
	int fd;

	file_path(&whole, GENERATION "/data.mdb", path);
	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		bail_out("%s: %s", path, strerror(errno));
	size = (size_t)st.st_size;
	bytes = malloc(size);
	if (!bytes || pread(fd, bytes, size, 0) != (ssize_t)size)
		bail_out("read %s: %s", path, strerror(errno));
	close(fd);
}

static inline void whole_make(uint64_t *state)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .shm_dir = memory};

	strcpy(memory, "/dev/shm/coppice-test-XXXXXX");
	if (!mkdtemp(memory))
		bail_out("mkdtemp: %s", strerror(errno));
	fixture_make(&whole, &options);
	for (uint64_t step = 1; step <= STEPS; step++)
		step_commit(step, state);
	must(cop_compact(whole.store, NULL, NULL), "compact");
	oracle_before = digest_of(whole.store);
	step_commit(KEYS / 2, state); /* frees some pages */
	oracle = digest_of(whole.store);
	oracle_then = digest_then(whole.store);
	fixture_close(&whole);
	must(cop_detach(whole.path), "detach");
	data_read();
}

static inline void file_copy(const char *name)
{
	char buffer[256];
	char path[256];
	ssize_t got;
	int from;
	int to;

	file_path(&whole, name, path);
	from = open(path, O_RDONLY);
	file_path(&copy, name, path);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while ((got = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, (size_t)got) != got)
			bail_out("write %s: %s", path, strerror(errno));
	close(from);
	close(to);
}

/* Without images: what is in memory is to be built. */
static inline void copy_make(void)
{
	char path[256];
	int fd;

	fixture_folder(&copy);
	file_path(&copy, GENERATION, path);
	if (mkdir(copy.path, 0700) || mkdir(path, 0700))
		bail_out("mkdir %s: %s", path, strerror(errno));
	file_copy("lock");
	file_copy("CURRENT");
	file_path(&copy, GENERATION "/data.mdb", path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		bail_out("write %s: %s", path, strerror(errno));
	close(fd);
}

/* Bytes in place of some of the copy's data file. */
static inline void copy_patch(off_t at, const void *patch, size_t count)
{
	char path[256];
	int fd;

	file_path(&copy, GENERATION "/data.mdb", path);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, patch, count, at) != (ssize_t)count)
		bail_out("write %s: %s", path, strerror(errno));
	close(fd);
}

static inline int memory_release(const char *path, const struct stat *st,
				 int type, struct FTW *ftw)
{
	return ftw->level ? fixture_unlink(path, st, type, ftw) : 0;
}

/* Without the library, which a damaged one is not to be told to survive. */
static inline void copy_release(void)
{
	nftw(copy.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	nftw(memory, memory_release, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- what LMDB trusts --------------------------------------------------- */

static inline unsigned number_at(size_t at)
{
	return bytes[at] | (unsigned)bytes[at + 1] << 8;
}

static inline void spots_add(size_t at, size_t count)
{
	for (size_t i = at; i < at + count && i < size; i++)
		spots[spot_count++] = (off_t)i;
}

static inline void node_add(size_t at, int is_leaf)
{
	unsigned flags = number_at(at + 4);
	size_t value = at + 8 + number_at(at + 6);

	spots_add(at, 8);
	if (is_leaf && flags & 1)
		spots_add(value, 8);
	if (is_leaf && flags & 2)
		spots_add(value, TREE);
}

static inline void page_add(size_t page)
{
	unsigned flags = number_at(page + 10);
	unsigned lower = number_at(page + 12);
	uint64_t number;

	memcpy(&number, bytes + page, sizeof number);
	if (number != page / PAGE || (flags != 1 && flags != 2 && flags != 4))
		return; /* within a value that has pages of its own */
	spots_add(page, 8);
	spots_add(page + 10, HEADER - 10);
	if (flags == 4)
		return;
	spots_add(page + HEADER, lower - HEADER);
	for (size_t at = HEADER; at < lower; at += 2)
		node_add(page + number_at(page + at), flags & 2);
}

static inline void spots_find(void)
{
	spots = malloc(size * 2 * sizeof *spots);
	if (!spots)
		bail_out("no memory");
	spots_add(0, META);
	spots_add(PAGE, META);
	for (size_t page = 2 * PAGE; page < size; page += PAGE)
		page_add(page);
}

static inline void whole_release(void)
{
	free(spots);
	free(bytes);
	nftw(whole.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	nftw(memory, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
