/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CURVE_H
#define BENCH_CURVE_H

#include "bench_run.h"

/*
 * Writes OUT/NAME-curves.svg: rate against recall, a panel a case, from the
 * rows "recall_ef_N" and "qps_ef_N".
 * Returns 0, or -1 and errno.
 */
int bench_curve_write(const struct bench *bench);

/*
 * Writes OUT/NAME-growth.svg: a panel for each of the metrics, which end in
 * NULL, against the size at the end of the case's name, "mixture_10000".
 * Returns as above.
 */
int bench_curve_grow(const struct bench *bench, const char *const *metrics);

#endif
