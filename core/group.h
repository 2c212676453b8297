/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_GROUP_H
#define CORE_GROUP_H

#include "request.h"

/*
 * Commits a request, together with others', in this process or another.
 * options	all filled in; timeout_ms LOCK_FOREVER: no limit
 * Returns	0: request->err and ->result say how it went.  Else it did not
 *		happen; or, if COP_UNKNOWN, request->box and ->number name it.
 */
cop_err group_commit(cop_store *store, struct request *request,
		     const struct cop_commit_options *options);

#endif
