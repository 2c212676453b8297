/* SPDX-License-Identifier: Apache-2.0 */
/* Putting back what was deleted, out of history. */
#ifndef CORE_UNDELETE_H
#define CORE_UNDELETE_H

#include "apply.h"

/* Applies an OP_UNDELETE; see cop_undelete. */
cop_err undelete_run(struct apply *apply, const struct op *op);

#endif
