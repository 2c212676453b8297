/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committing requests, with W held; the ordering is in commit.c.
 */
#ifndef CORE_COMMIT_H
#define CORE_COMMIT_H

#include "request.h"

/*
 * Brings the segment to where LMDB is; what commit_run needs, once for each
 * time W is taken.
 * Returns	COP_FOREIGN if the segment's files were removed, or what
 *		writer_settle returned.
 */
cop_err writer_ready(cop_store *store);

/*
 * Commits requests together, as far as they can be; request->err and
 * ->result say how each went.  On disk when it returns, unless all of them
 * are lazy.
 */
void commit_run(cop_store *store, struct request **requests, uint32_t count);

#endif
