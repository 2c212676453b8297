/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_FLIP_H
#define CORE_FLIP_H

#include "buffer.h"
#include "env.h"

/*
 * Puts back the bit that flipped in an entry: its checksum (env.h) tells which
 * one it was.  Each bit is tried, of up to 64 KiB.
 * key, value	are changed
 * stored	the checksum that it was read with
 * Returns	whether there is one
 */
int flip_back(enum env_db db, struct buffer *key, struct buffer *value,
	      uint64_t stored);

#endif
