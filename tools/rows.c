/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: vectors in a file, one row after another, as float32.
 *
 * idea
 *	The formats differ in how they begin and in the kind of number; the
 *	loop over rows is the same.  A row is converted as it comes, so memory
 *	is one row, whatever the header claims.
 *
 * numbers
 *	float32 as it is; float16 (IEEE 754 binary16) exactly; float64 and whole
 *	numbers rounded to nearest; beyond float32's range they become infinity,
 *	which the store refuses.  Little endian, as the machine, unless is_big.
 *
 * limits
 *	A row has COP_DIM_MAX numbers at most.  What the header promises must
 *	be there, and nothing after it.
 */
#include "rows.h"
#include "format.h"
#include "words.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t rows_bytes[] = {
    [ROW_F32] = 4, [ROW_F16] = 2, [ROW_F64] = 8, [ROW_U8] = 1,
    [ROW_I8] = 1,  [ROW_U16] = 2, [ROW_I16] = 2, [ROW_U32] = 4,
    [ROW_I32] = 4, [ROW_U64] = 8, [ROW_I64] = 8};

static int rows_begin(struct rows *rows, int format, uint32_t dim,
		      struct fault *fault)
{
	static const int kinds[] = {
	    [FORMAT_FVECS] = ROW_F32, [FORMAT_BVECS] = ROW_U8,
	    [FORMAT_IVECS] = ROW_I32, [FORMAT_FBIN] = ROW_F32,
	    [FORMAT_U8BIN] = ROW_U8,  [FORMAT_I8BIN] = ROW_I8,
	    [FORMAT_IBIN] = ROW_I32};

	switch (format) {
	case FORMAT_NPY: return npy_begin(rows, fault);
	case FORMAT_NPZ: return npz_begin(rows, fault);
	case FORMAT_WORD2VEC:
	case FORMAT_GLOVE: return wordvec_begin(rows, format, dim, fault);
	default: break;
	}
	rows->kind = kinds[format];
	return format <= FORMAT_IVECS ? vecs_begin(rows, fault)
				      : bin_begin(rows, fault);
}

int rows_open(struct rows *rows, struct reader *reader, int format,
	      uint32_t dim, struct fault *fault)
{
	char numbers[64];

	memset(rows, 0, sizeof *rows);
	rows->reader = reader;
	rows->count = UINT64_MAX;
	if (rows_begin(rows, format, dim, fault))
		return fault->code;
	if (dim && rows->dim && rows->dim != dim)
		return fault_set(
		    fault, EXIT_BAD_INPUT,
		    "%s: its rows have %s, this store's vectors "
		    "have %u",
		    reader->name,
		    words_things(numbers, rows->dim, "number", "numbers"), dim);
	if (rows->dim > COP_DIM_MAX)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: its rows have %u numbers, a vector has "
				 "%d at most",
				 reader->name, rows->dim, COP_DIM_MAX);
	rows->row = calloc(rows->dim ? rows->dim : 1, sizeof *rows->row);
	if (!rows->row)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	return 0;
}

void rows_close(struct rows *rows)
{
	free(rows->row);
	rows->row = NULL;
}

static float row_from_half(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
	uint32_t exponent = (half >> 10) & 31u;
	uint32_t fraction = half & 1023u;
	uint32_t bits;
	float out;

	if (exponent == 0) {
		/* zero, or a multiple of 2^-24 */
		out = (float)fraction * 0x1p-24f;
		return sign ? -out : out;
	}
	if (exponent == 31)
		bits = sign | 0x7f800000u | fraction << 13;
	else
		bits = sign | (exponent + 112) << 23 | fraction << 13;
	memcpy(&out, &bits, sizeof out);
	return out;
}

static float row_from_double(double value)
{
	if (value > (double)FLT_MAX)
		return INFINITY;
	if (value < -(double)FLT_MAX)
		return -INFINITY;
	return (float)value;
}

/* One number, its bytes in the machine's order. */
static float row_number(int kind, const unsigned char *from)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	double wide;
	float narrow;

	memcpy(&u16, from, sizeof u16);
	memcpy(&u32, from, sizeof u32);
	memcpy(&u64, from, sizeof u64);
	memcpy(&wide, from, sizeof wide);
	switch (kind) {
	case ROW_F16: return row_from_half(u16);
	case ROW_F64: return row_from_double(wide);
	case ROW_U16: return (float)u16;
	case ROW_I16: return (float)(int16_t)u16;
	case ROW_U32: return (float)u32;
	case ROW_I32: return (float)(int32_t)u32;
	case ROW_U64: return (float)u64;
	case ROW_I64: return (float)(int64_t)u64;
	default: memcpy(&narrow, from, sizeof narrow); return narrow;
	}
}

static void rows_convert(const struct rows *rows, const unsigned char *from)
{
	uint32_t bytes = rows_bytes[rows->kind];
	unsigned char number[8] = {0};
	float *to = rows->row;

	if (rows->kind == ROW_F32 && !rows->is_big) {
		memcpy(to, from, rows->dim * sizeof *to);
		return;
	}
	for (uint32_t i = 0; i < rows->dim; i++, from += bytes) {
		if (rows->kind == ROW_U8) {
			to[i] = (float)*from;
			continue;
		}
		if (rows->kind == ROW_I8) {
			to[i] = (float)(signed char)*from;
			continue;
		}
		for (uint32_t j = 0; j < bytes; j++)
			number[j] = from[rows->is_big ? bytes - 1 - j : j];
		to[i] = row_number(rows->kind, number);
	}
}

/* After the last row there must be nothing. */
static int rows_end(const struct rows *rows, size_t have, struct fault *fault)
{
	const char *name = rows->reader->name;

	if (rows->count == UINT64_MAX || rows->index == rows->count) {
		if (have == 0)
			return 0;
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: bytes follow after the last row, %llu",
				 name, (unsigned long long)rows->index);
	}
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: breaks off in row %llu; its header promises %llu "
			 "rows",
			 name, (unsigned long long)rows->index,
			 (unsigned long long)rows->count);
}

static int rows_prefix(const struct rows *rows, const unsigned char *data,
		       struct fault *fault)
{
	char numbers[64];
	uint32_t dim;

	memcpy(&dim, data, sizeof dim);
	if (dim == rows->dim)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: row %llu says that it has %s, those before have "
			 "%u",
			 rows->reader->name, (unsigned long long)rows->index,
			 words_things(numbers, dim, "number", "numbers"),
			 rows->dim);
}

int rows_next(struct rows *rows, const float **row, struct fault *fault)
{
	size_t prefix = rows->has_prefix ? sizeof(uint32_t) : 0;
	size_t size = prefix + (size_t)rows->dim * rows_bytes[rows->kind];
	const unsigned char *data;
	size_t have;

	*row = NULL;
	rows->is_bad = 0;
	if (rows->words)
		return wordvec_next(rows, row, fault);
	if (rows->index == rows->count)
		size = 1;
	if (reader_need(rows->reader, size, fault))
		return fault->code;
	have = reader_peek(rows->reader, &data);
	if (have == 0 || rows->index == rows->count)
		return rows_end(rows, have, fault);
	if (have >= prefix && prefix && rows_prefix(rows, data, fault))
		return fault->code;
	if (have < size)
		return fault_set(
		    fault, EXIT_BAD_INPUT, "%s: breaks off in row %llu",
		    rows->reader->name, (unsigned long long)rows->index);
	rows_convert(rows, data + prefix);
	reader_take(rows->reader, size);
	rows->index++;
	*row = rows->row;
	return 0;
}
