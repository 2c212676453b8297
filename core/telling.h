/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the caller of an open how far it is, ten times a second at most. */
#ifndef CORE_TELLING_H
#define CORE_TELLING_H

#include "coppice.h"

struct telling {
	const struct cop_open_options *options; /* NULL: nobody asks */
	uint64_t told_ns;
};

/*
 * what		is being done; `stopped`: what was, in "stopped while ..."
 * Returns	COP_STOPPED if the caller says so.
 */
cop_err telling_tell(struct telling *telling, const char *what, uint64_t done,
		     uint64_t total, const char *stopped);

#endif
