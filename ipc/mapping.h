/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of the control file, apart from its descriptor's locks. */
#ifndef IPC_MAPPING_H
#define IPC_MAPPING_H

#include <stdint.h>

/*
 * Maps a part of a file, for reading and writing, through a description of
 * its own: a mapping that a forked child inherits holds its description open,
 * and the locks must not be on that.  Without /proc the child keeps them until
 * it ends or unmaps.  Core dumps leave it out.
 * Returns	NULL with errno set if it cannot be mapped.
 */
void *mapping_apart(int fd, uint64_t at, uint64_t bytes);

/*
 * Allocates a part of a file in memory, however often a signal interrupts it:
 * tmpfs then undoes what it has done.
 * Returns	0 or an errno.
 */
int mapping_allocate(int fd, uint64_t at, uint64_t bytes);

#endif
