/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: a data file whose pages are damaged: opened and read as it is, then
 * repaired, with what is lost removed, and opened again.
 *
 * An input: what of that to do, where the file is cut off, and changes to a
 * sound one.
 */
#include "tests/fuzz/whole.h"

enum { REPAIR = 1, CUT = 2, PATH_ROOM = 192 };

/* The store's files: what is in them when nothing is damaged. */
static struct {
	const char *name;
	unsigned char *bytes;
	size_t size;
} files[] = {{"store/lock", NULL, 0},
	     {"store/CURRENT", NULL, 0},
	     {"store/gen-000002/data.mdb", NULL, 0}};

enum { FILE_COUNT = sizeof files / sizeof *files, DATA = FILE_COUNT - 1 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	whole_make();
	must(cop_compact(fuzz_fixture.store, NULL, NULL), "compact");
	whole_fill(); /* frees some pages */
	fixture_close(&fuzz_fixture);
	must(cop_detach(fuzz_fixture.path), "detach");
	for (int i = 0; i < FILE_COUNT; i++) {
		char path[PATH_ROOM];

		snprintf(path, sizeof path, "%s/%s", fuzz_fixture.folder,
			 files[i].name);
		files[i].bytes = whole_file(path, &files[i].size);
	}
	return 0;
}

/* The store anew: a repair may have given it another generation. */
static void store_write(const unsigned char *data, size_t size)
{
	char path[PATH_ROOM];

	nftw(fuzz_fixture.path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
	snprintf(path, sizeof path, "%s/gen-000002", fuzz_fixture.path);
	if (mkdir(fuzz_fixture.path, 0700) || mkdir(path, 0700))
		bail_out("mkdir %s: %s", path, strerror(errno));
	for (int i = 0; i < DATA; i++)
		(void)fuzz_file(files[i].name, files[i].bytes, files[i].size);
	(void)fuzz_file(files[DATA].name, data, size);
}

static void repair(void)
{
	struct cop_check_options options = {.size = sizeof options,
					    .repair = 2};
	struct cop_check_result result = {.size = sizeof result};

	if (!cop_check_file(fuzz_fixture.path, &options, &result))
		whole_open(fuzz_fixture.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned choice = input_byte(&input);
	size_t whole = files[DATA].size;
	size_t bytes = whole;
	unsigned char *copy = malloc(whole);

	if (!copy)
		bail_out("no memory");
	memcpy(copy, files[DATA].bytes, whole);
	if (choice & CUT)
		bytes = input_number(&input, 3) % whole;
	input_patch(&input, copy, whole);
	store_write(copy, bytes);
	free(copy);
	if (choice & REPAIR)
		repair();
	else
		whole_open(fuzz_fixture.path);
	(void)!cop_detach(fuzz_fixture.path);
	return 0;
}
