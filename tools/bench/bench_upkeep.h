/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_UPKEEP_H
#define BENCH_UPKEEP_H

#include "bench_ann.h"

/* What a vector costs that comes or goes; changes the store. */
void ann_upkeep(struct ann *ann);

#endif
