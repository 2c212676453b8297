/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz: what the targets of the fuzzer share.
 *
 * idea
 *	A target gives bytes to one reader of bytes.  Whatever they are, they
 *	are read or refused: no wild read, no leak, no call that does not come
 *	back; the sanitizers are the judges.  README.md says how they are run.
 *
 *	The first bytes of an input are choices (input_byte()), the rest is what
 *	is read.  Of what is large or sealed, an input is changes to a sound
 *	original (input_patch()), and the target makes the seals fit again.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "tests/fixture.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	const uint8_t *data;
	size_t size;
};

/* The next byte; 0 at the end. */
static inline unsigned input_byte(struct input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

/* So many bytes as a number, the low one first. */
static inline uint64_t input_number(struct input *input, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t)input_byte(input) << (8 * i);
	return number;
}

/*
 * Changes bytes at places: where, how many, and those bytes, time and again.
 */
static inline void input_patch(struct input *input, unsigned char *to,
			       size_t room)
{
	while (input->size > 3) {
		size_t at = input_number(input, 3) % room;
		size_t count = input_byte(input) % 16 + 1;

		for (size_t i = 0; i < count && input->size; i++)
			to[(at + i) % room] = (unsigned char)input_byte(input);
	}
}

/* ---- a store ------------------------------------------------------------ */

/*
 * Where all files are: the folder that who runs the target removes, or one
 * that goes when it ends.
 */
static struct fixture fuzz_fixture;

static inline void fuzz_end(void)
{
	cop_close(fuzz_fixture.store);
	nftw(fuzz_fixture.folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fuzz_folder(void)
{
	const char *folder = getenv("COPPICE_FUZZ_FOLDER");

	setenv("COPPICE_RESERVE", "64M", 0);
	setenv("COPPICE_MAP_SIZE", "64M", 0);
	snprintf(fuzz_fixture.folder, sizeof fuzz_fixture.folder,
		 "%s/coppice-fuzz-XXXXXX", folder ? folder : "/tmp");
	if (!mkdtemp(fuzz_fixture.folder))
		bail_out("mkdtemp: %s", strerror(errno));
	snprintf(fuzz_fixture.path, sizeof fuzz_fixture.path, "%s/store",
		 fuzz_fixture.folder);
	atexit(fuzz_end);
}

/* A new store, whose segment is in the folder, too. */
static inline void fuzz_store(uint32_t dim)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = dim,
				      .metric = COP_L2,
				      .expected_entities = 1000,
				      .shm_dir = fuzz_fixture.folder};

	must(cop_create(fuzz_fixture.path, &options), "create");
	fixture_open(&fuzz_fixture);
}

/* Another in its place: it must not grow with every input. */
static inline void fuzz_store_again(uint32_t dim)
{
	fixture_close(&fuzz_fixture);
	must(cop_detach(fuzz_fixture.path), "detach");
	nftw(fuzz_fixture.path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	fuzz_store(dim);
}

/* A file of the folder with these bytes in it; its path. */
static inline const char *fuzz_file(const char *name, const void *data,
				    size_t size)
{
	static char path[2][160];
	static int turn;
	char *to = path[turn ^= 1];
	int fd;

	snprintf(to, sizeof path[0], "%s/%s", fuzz_fixture.folder, name);
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		bail_out("write %s: %s", to, strerror(errno));
	close(fd);
	return to;
}

#endif
