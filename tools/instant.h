/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time, as people write them; instant.c. */
#ifndef TOOLS_INSTANT_H
#define TOOLS_INSTANT_H

#include <stdint.h>

enum { INSTANT_ROOM = 48 };

/*
 * Nanoseconds since 1970 from YYYY-MM-DD[Thh:mm[:ss[.fraction]]][Z|+hh:mm] (a
 * blank does for the T; UTC if no zone is given), or from N[smhd], so long
 * before now.  0, or -1 for what is neither.
 */
int instant_parse(const char *text, int64_t *ns);

/* Milliseconds from N[smhd], up to 10^9 of them; 0, or -1. */
int instant_span(const char *text, int64_t *ms);

/* YYYY-MM-DDThh:mm:ss.mmmZ into INSTANT_ROOM bytes; returns `out`. */
char *instant_text(char *out, int64_t ns);

#endif
