/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: runs a target of the fuzzer over inputs that are there, in builds
 * without the fuzzer.
 *
 *	TARGET FILE|FOLDER...
 *
 * Says each file's name before it is read, so that the last one is the one to
 * look at.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>

static unsigned long replayed;

static void file_run(const char *path)
{
	FILE *file = fopen(path, "rb");
	unsigned char *data = NULL;
	struct stat st;

	printf("%s\n", path);
	fflush(stdout);
	if (!file || fstat(fileno(file), &st))
		bail_out("%s: %s", path, strerror(errno));
	/* of exactly its size, so that a read past its end is seen */
	data = malloc((size_t)st.st_size + !st.st_size);
	if (!data ||
	    fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		bail_out("%s: cannot be read", path);
	fclose(file);
	(void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
	replayed++;
}

static void folder_run(const char *path)
{
	struct dirent **list;
	int count = scandir(path, &list, NULL, alphasort);

	if (count < 0)
		file_run(path);
	for (int i = 0; i < count; i++) {
		char name[512];

		snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			file_run(name);
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

int main(int argc, char **argv)
{
	(void)LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		folder_run(argv[i]);
	printf("%lu inputs\n", replayed);
	return !replayed;
}
