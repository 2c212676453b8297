/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors in a file, one row after another, as float32; rows.c. */
#ifndef TOOLS_ROWS_H
#define TOOLS_ROWS_H

#include "reader.h"

enum row_kind { ROW_F32 = 1, ROW_F16, ROW_F64, ROW_U8, ROW_I8 };

struct rows {
	struct reader *reader;
	int kind;	/* enum row_kind */
	int has_prefix; /* .fvecs: the dimension stands before each row */
	uint32_t dim;	/* numbers in a row */
	uint64_t count; /* rows in the file, UINT64_MAX: it does not say */
	uint64_t index; /* of the next row */
	float *row;
};

/*
 * Begins to read rows of the file's format (enum format: npy or fvecs), each
 * of `dim` numbers (0: as many as the file says).  Returns 0 or an exit
 * status.
 */
int rows_open(struct rows *rows, struct reader *reader, int format,
	      uint32_t dim, struct fault *fault);

/*
 * The next row, rows->dim numbers; *row is NULL after the last.
 * Lifetime: until the next call.
 */
int rows_next(struct rows *rows, const float **row, struct fault *fault);

void rows_close(struct rows *rows);

/* The formats: each reads its header and sets kind, dim and count. */
int npy_begin(struct rows *rows, struct fault *fault);
int fvecs_begin(struct rows *rows, struct fault *fault);

#endif
