/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of requests that one process executes for another.
 *
 * A commit's operation record ends with the results of such requests, under
 * their names (mailbox.h), so that they are stored by the same transaction.  A
 * result is looked for in the commits that it can be in: newer than the one
 * that was the newest when the request was posted.
 */
#ifndef CORE_RESULT_H
#define CORE_RESULT_H

#include "apply.h"

/* Adds a posted request's result to the commit under way.  0 or ENOMEM. */
int result_note(struct apply *apply, const struct request *request);

/*
 * Fills in request->result, by request->box and ->number.
 * office	the control segment's uuid
 * after	it is in no commit up to this one
 * Returns	0; COP_UNKNOWN if no commit has it, COP_TOO_OLD if an operation
 *		record on the way is not kept any more.
 */
cop_err result_find(const struct env *env, env_txn *txn,
		    const unsigned char *office, uint64_t after,
		    struct request *request);

#endif
