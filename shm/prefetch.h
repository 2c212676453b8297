/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that do nothing but prefetch.  They are inlined always: gcc sees no
 * effect in them, and would drop calls.
 */
#ifndef SHM_PREFETCH_H
#define SHM_PREFETCH_H

#define PREFETCHES static inline __attribute__((always_inline)) void

#endif
