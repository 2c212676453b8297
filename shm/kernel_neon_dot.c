/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_neon_dot: kernel_neon.c once more, with the dot product instructions
 * of ARMv8.2 (FEAT_DotProd), which the Makefile allows for this file alone.
 */
#define NEON_DOT 1
#include "kernel_neon.c"
