/* SPDX-License-Identifier: Apache-2.0 */
/* The vector that a search asks for, from a file; search_vector.c. */
#ifndef TOOLS_SEARCH_VECTOR_H
#define TOOLS_SEARCH_VECTOR_H

#include "fault.h"

/*
 * Reads one vector of `dim` numbers from a file ("-": standard input): a JSON
 * list, numbers between white space or commas, or .npy or .fvecs of one row.
 * vector	room for dim floats
 * Returns	0 or an exit status.
 */
int search_vector_read(const char *path, uint32_t dim, float *vector,
		       struct fault *fault);

#endif
