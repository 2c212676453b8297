/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one more process holds alone.  See bench_witness.c.
 */
#ifndef BENCH_WITNESS_H
#define BENCH_WITNESS_H

#include "bench_ann.h"

/* Starts one, and reports it; while the parent reads, and has searched. */
void witness_measure(const struct ann *ann);

/*
 * To be called first in main: in the process started by witness_measure it
 * does its work and ends it.
 */
void witness_main(int argument_count, char **arguments);

#endif
