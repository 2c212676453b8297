/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RENEW_H
#define CORE_RENEW_H

#include "store.h"

/* Rounds without W to bring over what was committed meanwhile, until one
   brings so few commits. */
enum { CATCH_UP_ROUNDS = 16, CATCH_UP_COMMITS = 32 };

/*
 * Builds the index segment anew beside the one in use, and has all processes
 * go over to it; the lock GENERATION held.
 * options	for progress, may be NULL
 * pause_ns	the time that W was held is added
 * Returns	COP_NO_SPACE, COP_BUSY if commits come too fast, COP_STOPPED:
 *		the old one stays.
 */
cop_err renew_run(cop_store *store, const struct cop_open_options *options,
		  uint64_t *pause_ns);

#endif
