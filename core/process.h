/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This process: the stores that it has open, and whether it is the process
 * that opened them.
 *
 * idea
 *	LMDB must not be opened twice in a process, so handles are kept in a
 *	registry by the identity of the lock file.
 *	A page that the kernel wipes in a child holds a random number, the
 *	process's stamp; what was made before a fork has another.  So a child
 *	is told without a system call.
 *
 * fork
 *	before	the fork handlers take every store's commit mutex, so a child
 *		never inherits half a commit of this process's own, and the
 *		mutexes over pools and slots.  A commit that still waits for
 *		another process is not waited for.
 *	child	closes the descriptors of locks, so that it keeps none of its
 *		parent's: a parent killed later frees them although children
 *		live.  Its stores become inherited ones; store.c attaches one
 *		anew when it is first used.
 *	A child made without handlers (vfork, posix_spawn, clone, _Fork) keeps
 *	the locks until it calls exec, which closes them, or ends.
 *
 * limits
 *	A store that is being opened while another thread forks is lost to
 *	the child, which opens it again; its memory is not freed there.
 */
#ifndef CORE_PROCESS_H
#define CORE_PROCESS_H

#include "coppice.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* Wiped in a child; set before the first store is opened. */
extern _Atomic uint64_t *process_page;

static inline uint64_t process_stamp(void)
{
	/* relaxed: a thread sees its own process's, or none */
	return atomic_load_explicit(process_page, memory_order_relaxed);
}

/* Whether what has this stamp was made in this process. */
static inline int process_is(uint64_t stamp)
{
	return process_stamp() == stamp;
}

/*
 * Stores are opened, attached and closed one at a time.  Fork does not wait
 * for it: the child begins with a new mutex.
 */
void process_begin(void);
void process_end(void);

/* The rest is called between these two. */

/* Makes the page and sets the handlers, once; draws the process's stamp. */
cop_err process_watch(void);

/* The store of that identity, this process's or inherited; NULL if none. */
cop_store *process_find(dev_t device, ino_t inode);

/*
 * Names the store that is being opened, attached or closed, NULL for none: a
 * child closes its descriptors, too.
 */
void process_pass(cop_store *store);

/* The store is open and this process's own. */
void process_enter(cop_store *store);

/* The store is being closed. */
void process_leave(cop_store *store);

/* Closes a store's descriptors, at no time when a fork could copy half. */
void process_drop(cop_store *store);

#endif
