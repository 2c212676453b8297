/* SPDX-License-Identifier: Apache-2.0 */
/* Real data that tests read: where it is, and arrays of known shape. */
#ifndef TESTS_DATA_H
#define TESTS_DATA_H

#include "fixture.h"

enum { DATA_PATH_BYTES = 512 };

static inline const char *data_folder(void)
{
	const char *folder = getenv("COPPICE_TEST_DATA");

	return folder ? folder : "../shared/data";
}

/*
 * The payload of a .npy file below the folder, whose shape is known; its
 * bytes.  Skips the whole test where it is not there.
 */
static inline void *data_npy(const char *name, size_t *bytes)
{
	char path[DATA_PATH_BYTES];
	unsigned char head[10];
	FILE *file;
	char *data;
	long start;
	long size;

	snprintf(path, sizeof path, "%s/%s", data_folder(), name);
	file = fopen(path, "rb");
	if (!file)
		skip_all("no test data; set COPPICE_TEST_DATA");
	if (fread(head, 1, 10, file) != 10)
		bail_out("%s is cut off", path);
	start = 10 + head[8] + 256L * head[9];
	fseek(file, 0, SEEK_END);
	size = ftell(file) - start;
	fseek(file, start, SEEK_SET);
	data = malloc((size_t)size);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
		bail_out("cannot read %s", path);
	fclose(file);
	*bytes = (size_t)size;
	return data;
}

#endif
