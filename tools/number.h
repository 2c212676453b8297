/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in text, as float32; number.c. */
#ifndef TOOLS_NUMBER_H
#define TOOLS_NUMBER_H

#include <stddef.h>

enum number_form {
	NUMBER_JSON = 1, /* as JSON has them */
	NUMBER_FREE	 /* and +1, 007, .5, 5. */
};

/*
 * Reads the number that `text` begins with, rounded to nearest as strtof()
 * does: beyond float32's range it is infinite.  Returns its bytes, 0 if there
 * is none; the caller sees to what follows.
 */
size_t number_float(const char *text, size_t size, enum number_form form,
		    float *out);

#endif
