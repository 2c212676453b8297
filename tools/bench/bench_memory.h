/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdint.h>

/*
 * Memory that a process has allocated, files and segments not counted:
 * Anonymous of /proc/PID/smaps_rollup; 0 if that cannot be read.
 */
uint64_t bench_anonymous_bytes(int pid);

/*
 * Memory of a process that no other one shares: Private_Clean and
 * Private_Dirty of /proc/PID/smaps_rollup; 0 if that cannot be read.
 */
uint64_t bench_private_bytes(int pid);

#endif
