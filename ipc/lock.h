/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File locks between processes, by open file description.
 *
 * idea
 *	Every lock is a byte of a file, held through F_OFD_SETLK.  The kernel
 *	drops it when the last descriptor of the description is closed, that
 *	is after the last thread of a killed process can no longer store
 *	anything, whatever its PID namespace; closing another descriptor of
 *	the file does not drop it, as POSIX record locks would.
 *
 *	The store's lock file carries six bytes:
 *	W	one writer, from LMDB's begin to the end of the commit
 *	R	whoever makes LMDB take its reader mutex (open, first begin)
 *	BUILD	whoever attaches or builds the segment
 *	ATTACH	shared by every process that is attached
 *	GENERATION	whoever builds the next generation
 *	IMAGE	whoever takes an image of the segment
 *	Order: GENERATION, IMAGE, BUILD, W, R.
 *	From LOCK_PIDS on there is a byte for every pid number, held by the
 *	attached process that has it.
 *
 *	Robust mutexes in shared memory are not used at all: across PID
 *	namespaces the kernel mistakes one thread for another.
 *
 * progress
 *	lock_take blocks on another process, at most its timeout.
 *
 * limits
 *	Locks do not exclude threads that share the descriptor; the caller
 *	keeps a mutex of its own on top.
 */
#ifndef IPC_LOCK_H
#define IPC_LOCK_H

#include <stdint.h>

enum lock_byte {
	LOCK_W = 0,
	LOCK_R = 1,
	LOCK_BUILD = 2,
	LOCK_ATTACH = 3,
	LOCK_GENERATION = 4,
	LOCK_IMAGE = 5
};

enum lock_mode { LOCK_SHARED = 1, LOCK_EXCLUSIVE = 2 };

#define LOCK_FOREVER UINT32_MAX
#define LOCK_PIDS    (UINT64_C(1) << 40)

/*
 * Takes a byte; converts it if this descriptor holds it in the other mode.
 * timeout_ms	0: only if it is free now
 * Returns	0, EAGAIN if it was not had in time, or an errno.
 */
int lock_take(int fd, uint64_t byte, enum lock_mode mode, uint32_t timeout_ms);

void lock_release(int fd, uint64_t byte);

/*
 * Whether another description holds the byte; this one's own locks do not
 * show.
 */
int lock_is_held(int fd, uint64_t byte);

/*
 * Whether the path still names the file behind fd: 0, or ESTALE if it was
 * replaced or removed.
 */
int lock_file_check(int fd, int folder_fd, const char *name);

#endif
