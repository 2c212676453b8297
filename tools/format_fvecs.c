/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fvecs: vectors as TEXMEX distributes them (SIFT, GIST).
 *
 * layout
 *	+----------+----------------------+----------+------
 *	| dim, u32 | dim x float32        | dim, u32 | ...
 *	+----------+----------------------+----------+------
 *	All little endian; every row has the same dim.  There is no header, so
 *	the number of rows is known only at the end.
 */
#include "rows.h"

#include <string.h>

int fvecs_begin(struct rows *rows, struct fault *fault)
{
	const unsigned char *data;
	size_t have;

	rows->kind = ROW_F32;
	rows->has_prefix = 1;
	if (reader_need(rows->reader, sizeof rows->dim, fault))
		return fault->code;
	have = reader_peek(rows->reader, &data);
	if (have == 0)
		return 0;
	if (have < sizeof rows->dim)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: too short for .fvecs",
				 rows->reader->name);
	memcpy(&rows->dim, data, sizeof rows->dim);
	if (rows->dim == 0)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: row 0 says that it has 0 numbers; is "
				 "this .fvecs?",
				 rows->reader->name);
	return 0;
}
