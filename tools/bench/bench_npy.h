/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices of the test data.  See bench_npy.c.
 */
#ifndef BENCH_NPY_H
#define BENCH_NPY_H

#include <stddef.h>

struct bench_matrix {
	float *data; /* rows x columns, aligned to 64 bytes; freed by caller */
	size_t rows;
	size_t columns;
};

/* The path of a file of the test data.  Returns 0, or -1 if it is absent. */
int bench_data_path(const char *file, char *out, size_t room);

/*
 * Reads a file of the test data, NumPy's format, of one or two dimensions of
 * float16, float32, uint8 or int32; through gzip(1) if it ends in .gz.
 * Returns	0, or -1 if it is not there; ends the benchmark if it is there
 *		but cannot be read.
 */
int bench_npy_load(const char *file, struct bench_matrix *out);

#endif
