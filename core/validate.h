/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validating a request before anything of it is put.
 *
 * idea
 *	Requests of several processes share a transaction, and one that is
 *	refused must leave no trace in it.  So what can refuse a request by
 *	right is looked for first: what it expects to find unchanged (an
 *	optimistic transaction's reads, a conditional write), and edges or
 *	vectors whose entity will not be there.
 *
 * what is expected
 *	an entity, its vector, an edge	its version; 0: absence
 *	the edges of an entity		not changed since a commit: the head's
 *	who has a type or a tag		likewise: the dictionary's
 *	which keys there are		likewise: the state's
 *	What an earlier request of the same transaction changed counts.  The
 *	cost follows what is expected, not what there is.
 *
 * limits
 *	The segment knows changes of edges since the commit it was built at;
 *	what was read before that is refused, and read again.
 */
#ifndef CORE_VALIDATE_H
#define CORE_VALIDATE_H

#include "apply.h"

/*
 * dangling	1: edges and vectors, too; 0: the caller can do without, since
 *		it gives the whole transaction up
 * Returns	COP_CONFLICT or COP_DANGLING with request->result.failed set,
 *		or what reading LMDB returned.
 */
cop_err validate_run(const struct apply *apply, struct request *request,
		     int dangling);

#endif
