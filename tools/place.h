/* SPDX-License-Identifier: Apache-2.0 */
/* Where a path leads, and whether that is in a store; place.c. */
#ifndef TOOLS_PLACE_H
#define TOOLS_PLACE_H

#include "fault.h"

#include <limits.h>

/*
 * The path of what is, or is to be, under a name: absolute, without links.
 * Returns 0 or an exit status: its folder is not there, or it is a link to
 * what is not.
 */
int place_find(const char *name, char path[PATH_MAX], struct fault *fault);

/*
 * Refuses a path of place_find()'s that lies in a store, or in the shared
 * memory of one: what is there is coppice's.  Returns 0 or an exit status.
 */
int place_refuse(const char *name, const char *path, struct fault *fault);

/* The same for a name, of a folder that is to be made. */
int place_check(const char *name, struct fault *fault);

/* Tells on stderr if a folder for shared memory is not in memory. */
void place_shm_tell(const char *path);

#endif
