/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time, as people write them; instant.c. */
#ifndef TOOLS_INSTANT_H
#define TOOLS_INSTANT_H

#include "fault.h"

enum { INSTANT_ROOM = 64 };

/*
 * A point in time from [-]YEAR[-MM[-DD]][Thh:mm[:ss[.fraction]]][Z|+hh:mm]: a
 * blank does for the T, UTC if no zone is given, what is left out is the
 * earliest there is; or from N[smhd], so long before now.  0, or -1 for what is
 * neither.
 */
int instant_parse(const char *text, struct cop_instant *out);

/* The same as nanoseconds since 1970; -1 also for what these do not reach. */
int instant_parse_ns(const char *text, int64_t *ns);

/* Milliseconds from N[smhd], up to 10^9 of them; 0, or -1. */
int instant_span(const char *text, int64_t *ms);

/* Whether it begins before it ends: 0 or an exit status. */
int instant_order(const struct cop_validity *valid, struct fault *fault);

/*
 * YYYY-MM-DDThh:mm:ss[.fraction]Z, as short as it says all, into INSTANT_ROOM
 * bytes; returns `out`.  instant_parse() reads it back.
 */
char *instant_text(char *out, const struct cop_instant *instant);

/* The same of nanoseconds since 1970. */
char *instant_text_ns(char *out, int64_t ns);

#endif
