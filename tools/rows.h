/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors in a file, one row after another, as float32; rows.c. */
#ifndef TOOLS_ROWS_H
#define TOOLS_ROWS_H

#include "reader.h"

enum row_kind {
	ROW_F32 = 1,
	ROW_F16,
	ROW_F64,
	ROW_U8,
	ROW_I8,
	ROW_U16,
	ROW_I16,
	ROW_U32,
	ROW_I32,
	ROW_U64,
	ROW_I64
};

/* Rows that begin with their key, a word. */
enum row_words { WORDS_TEXT = 1, WORDS_BINARY };

struct rows {
	struct reader *reader;
	int kind;	/* enum row_kind */
	int is_big;	/* its numbers are big endian */
	int has_prefix; /* .fvecs: the dimension stands before each row */
	int words;	/* enum row_words, 0: rows have no keys */
	uint32_t dim;	/* numbers in a row */
	uint64_t count; /* rows in the file, UINT64_MAX: it does not say */
	uint64_t index; /* of the next row */
	float *row;
	/* of the row read last */
	const char *key; /* its word, in the reader; NULL: it has none */
	size_t key_size;
	uint64_t line; /* where it stands, 0: the file is no text */
	int is_bad;    /* it was refused; the next can be read */
};

/*
 * Begins to read rows of a format that has them (format_has_rows), each of
 * `dim` numbers (0: as many as the file says).  Returns 0 or an exit
 * status.
 */
int rows_open(struct rows *rows, struct reader *reader, int format,
	      uint32_t dim, struct fault *fault);

/*
 * The next row, rows->dim numbers; *row is NULL after the last.
 * After a fault with rows->is_bad set the next row can be read.
 * Lifetime: until the next call.
 */
int rows_next(struct rows *rows, const float **row, struct fault *fault);

void rows_close(struct rows *rows);

/* The formats: each reads its header and sets kind, dim and count. */
int npy_begin(struct rows *rows, struct fault *fault);
int npz_begin(struct rows *rows, struct fault *fault);
int vecs_begin(struct rows *rows, struct fault *fault);
int bin_begin(struct rows *rows, struct fault *fault);
int wordvec_begin(struct rows *rows, int format, uint32_t dim,
		  struct fault *fault);
int wordvec_next(struct rows *rows, const float **row, struct fault *fault);

/* The bytes of word2vec's first line in `text`, 0 if it is none. */
size_t wordvec_header(const char *text, size_t size, uint64_t *count,
		      uint64_t *dim);

/* Whether that line is a word and at least so many numbers. */
int wordvec_is_glove(const char *text, size_t size, size_t field_min);

#endif
