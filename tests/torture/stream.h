/* SPDX-License-Identifier: Apache-2.0 */
/* Content as an upload sends and gives it. */
#ifndef TORTURE_STREAM_H
#define TORTURE_STREAM_H

#include "coppice.h"

/*
 * Puts an entity whose content comes as a chunk, all by the one write.
 * seed		of the chunk's random name
 */
void stream_put(cop_write *write, const struct cop_put *put, uint64_t *seed);

#endif
