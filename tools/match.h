/* SPDX-License-Identifier: Apache-2.0 */
/* Entities by the words in them; match.c. */
#ifndef TOOLS_MATCH_H
#define TOOLS_MATCH_H

#include "coppice.h"

enum { MATCH_WORDS = 16 };

struct match {
	uint64_t id;
	double score; /* the larger, the better */
};

/*
 * The best `room` entities, best first, for up to MATCH_WORDS words of a text.
 * select	who may be one of them
 * Returns	the library's error, or ENOMEM.
 */
cop_err match_find(cop_read *read, const char *text, size_t size,
		   const struct cop_select *select, struct match *matches,
		   size_t room, size_t *count);

#endif
