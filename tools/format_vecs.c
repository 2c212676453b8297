/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vecs: vectors as TEXMEX and as big-ann-benchmarks distribute them.
 *
 * layout of .fvecs (float32), .bvecs (uint8) and .ivecs (int32)
 *	+----------+----------------------+----------+------
 *	| dim, u32 | dim numbers          | dim, u32 | ...
 *	+----------+----------------------+----------+------
 *	Every row has the same dim.  There is no header, so the number of rows
 *	is known only at the end.
 *
 * layout of .fbin (float32), .u8bin (uint8), .i8bin (int8) and .ibin (int32)
 *	+------------+----------+--------------------------
 *	| count, u32 | dim, u32 | count rows of dim numbers
 *	+------------+----------+--------------------------
 *	All little endian.
 */
#include "rows.h"

#include <string.h>

/* The number that the file begins with at `at`; none in an empty file. */
static int vecs_number(struct rows *rows, size_t at, uint32_t *out,
		       struct fault *fault)
{
	const unsigned char *data;
	size_t have;

	if (reader_need(rows->reader, at + sizeof *out, fault))
		return fault->code;
	have = reader_peek(rows->reader, &data);
	if (have < at + sizeof *out)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: too short for vectors, it has %zu bytes",
				 rows->reader->name, have);
	memcpy(out, data + at, sizeof *out);
	return 0;
}

static int vecs_is_empty(struct rows *rows, struct fault *fault)
{
	const unsigned char *data;

	return !reader_need(rows->reader, 1, fault) &&
	       reader_peek(rows->reader, &data) == 0;
}

int vecs_begin(struct rows *rows, struct fault *fault)
{
	rows->has_prefix = 1;
	if (vecs_is_empty(rows, fault) || fault->code)
		return fault->code;
	if (vecs_number(rows, 0, &rows->dim, fault))
		return fault->code;
	if (rows->dim == 0)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: row 0 says that it has 0 numbers; is "
				 "this .fvecs, .bvecs or .ivecs?",
				 rows->reader->name);
	return 0;
}

int bin_begin(struct rows *rows, struct fault *fault)
{
	uint32_t count = 0;

	if (vecs_number(rows, 0, &count, fault) ||
	    vecs_number(rows, 4, &rows->dim, fault))
		return fault->code;
	if (rows->dim == 0)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: its header says that rows have 0 "
				 "numbers; is this .fbin, .u8bin or .i8bin?",
				 rows->reader->name);
	rows->count = count;
	reader_take(rows->reader, 8);
	return 0;
}
