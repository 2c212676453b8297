/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SHARE_H
#define BENCH_SHARE_H

#include "bench_ann.h"

/*
 * Two processes against one, a reader beside a writer, and what one more
 * process holds alone.  After ann_sweep; adds vectors to the store.
 */
void ann_share(struct ann *ann);

#endif
