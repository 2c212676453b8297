/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SVG_H
#define BENCH_SVG_H

#include "bench_run.h"

/*
 * Writes OUT/NAME.svg: a panel of bars for each metric, grouped by case.
 * Returns 0, or -1 and errno.
 */
int bench_svg_write(const struct bench *bench);

#endif
