/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever has the writer lock; holder.c. */
#ifndef TOOLS_HOLDER_H
#define TOOLS_HOLDER_H

#include "coppice.h"

/* Whether it has had the lock since the look before; 0 if nobody has it. */
int holder_is_same(const struct cop_lock *now, const struct cop_lock *before);

/* Whether its process is stopped, or traced; 0 if that is not to be known. */
int holder_is_stopped(const struct cop_lock *lock);

#endif
