/* SPDX-License-Identifier: Apache-2.0 */
/* How import is told to read tables: CSV, lists of edges; format_csv.c. */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "csv.h"

struct table {
	struct csv_dialect dialect;
	int array_delimiter;
	int has_no_header;
	const char *header; /* a file with the names of the columns, or NULL */
};

#endif
