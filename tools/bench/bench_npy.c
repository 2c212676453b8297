/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy files into float32.
 *
 * source
 *	NEP 1, a simple file format for NumPy arrays: "\x93NUMPY", two bytes of
 *	version, the header's size (two bytes, four from version 2), a Python
 *	dictionary in text, the data.
 */
#include "bench_npy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_run.h"

struct shape {
	char type[8]; /* "<f2" */
	size_t rows;
	size_t columns;
	size_t item_bytes;
};

int bench_data_path(const char *file, char *out, size_t room)
{
	const char *folder = getenv("COPPICE_TEST_DATA");

	if (folder == NULL || *folder == '\0')
		folder = "../shared/data";
	if ((size_t)snprintf(out, room, "%s/%s", folder, file) >= room)
		return -1;
	return access(out, R_OK);
}

static float half_to_float(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t exponent = half >> 10 & 31;
	uint32_t fraction = half & 1023;
	uint32_t bits;
	float value;

	if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
		value = (float)fraction / 16777216.0F;
		return sign != 0 ? -value : value;
	}
	exponent = exponent == 31 ? 255 : exponent + 112;
	bits = sign | exponent << 23 | fraction << 13;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static int has_suffix(const char *text, const char *suffix)
{
	size_t size = strlen(text);
	size_t suffix_size = strlen(suffix);

	return size >= suffix_size &&
	       strcmp(text + size - suffix_size, suffix) == 0;
}

/* The text of the header. */
static void read_header(FILE *stream, const char *path, char *out, size_t room)
{
	unsigned char start[12];
	size_t size;

	if (fread(start, 1, 10, stream) != 10 ||
	    memcmp(start, "\x93NUMPY", 6) != 0)
		bench_fail("%s is not a .npy file", path);
	size = start[8] | (size_t)start[9] << 8;
	if (start[6] > 1) {
		if (fread(start + 10, 1, 2, stream) != 2)
			bench_fail("%s ends early", path);
		size |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
	}
	if (size >= room || fread(out, 1, size, stream) != size)
		bench_fail("%s has a bad header", path);
	out[size] = '\0';
}

static void parse_header(const char *header, const char *path,
			 struct shape *shape)
{
	const char *descr = strstr(header, "'descr':");
	const char *tuple = strstr(header, "'shape':");
	const char *order = strstr(header, "'fortran_order': False");

	shape->columns = 1;
	if (descr == NULL || tuple == NULL || order == NULL ||
	    sscanf(descr, "'descr': '%7[^']'", shape->type) != 1 ||
	    sscanf(tuple, "'shape': (%zu, %zu", &shape->rows, &shape->columns) <
		1)
		bench_fail("%s has a header that is not understood", path);
	if (strcmp(shape->type, "<f2") == 0)
		shape->item_bytes = 2;
	else if (strcmp(shape->type, "|u1") == 0)
		shape->item_bytes = 1;
	else if (strcmp(shape->type, "<f4") == 0 ||
		 strcmp(shape->type, "<i4") == 0)
		shape->item_bytes = 4;
	else
		bench_fail("%s holds %s", path, shape->type);
}

static float item_value(const struct shape *shape, const unsigned char *item)
{
	uint16_t half;
	int32_t integer;
	float real;

	switch (shape->type[1]) {
	case 'u': return (float)*item;
	case 'i': memcpy(&integer, item, 4); return (float)integer;
	default: break;
	}
	if (shape->item_bytes == 4) {
		memcpy(&real, item, 4);
		return real;
	}
	memcpy(&half, item, 2);
	return half_to_float(half);
}

static void read_rows(FILE *stream, const char *path, const struct shape *shape,
		      float *out)
{
	size_t row_bytes = shape->columns * shape->item_bytes;
	unsigned char *line = bench_alloc(row_bytes);
	size_t row;
	size_t column;

	for (row = 0; row < shape->rows; row++) {
		if (fread(line, 1, row_bytes, stream) != row_bytes)
			bench_fail("%s ends early", path);
		for (column = 0; column < shape->columns; column++)
			*out++ = item_value(shape,
					    line + column * shape->item_bytes);
	}
	free(line);
}

static FILE *open_stream(const char *path, int packed)
{
	char command[4200];
	FILE *stream;

	if (strchr(path, '\'') != NULL)
		bench_fail("%s: a quote in its name", path);
	snprintf(command, sizeof command, "gzip -dc '%s'", path);
	stream = packed ? popen(command, "r") : fopen(path, "rb");
	if (stream == NULL)
		bench_fail("cannot read %s", path);
	return stream;
}

int bench_npy_load(const char *file, struct bench_matrix *out)
{
	char path[4096];
	char header[4096];
	struct shape shape;
	int packed = has_suffix(file, ".gz");
	FILE *stream;

	if (bench_data_path(file, path, sizeof path) != 0)
		return -1;
	stream = open_stream(path, packed);
	read_header(stream, path, header, sizeof header);
	parse_header(header, path, &shape);
	out->rows = shape.rows;
	out->columns = shape.columns;
	out->data = bench_alloc(shape.rows * shape.columns * sizeof(float));
	read_rows(stream, path, &shape, out->data);
	if (packed)
		pclose(stream);
	else
		fclose(stream);
	return 0;
}
