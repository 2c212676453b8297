/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_STEADY_H
#define TOOLS_STEADY_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of the clock that is never set: for spans, not for dates. */
static inline uint64_t steady_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
