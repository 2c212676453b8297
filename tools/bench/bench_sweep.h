/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SWEEP_H
#define BENCH_SWEEP_H

#include "bench_ann.h"

/*
 * Recall and rate at each width, both systems by turns; reports each point,
 * and the rates at recalls of 0.95, 0.99 and 0.999.
 */
void ann_sweep(struct ann *ann);

#endif
