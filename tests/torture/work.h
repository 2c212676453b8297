/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work: what the processes of the storm do until they are killed.
 *
 * roles
 *	writer		owns a slot, and with it groups: changes them one
 *			stamp at a time, and writes registers
 *	reader		looks at one snapshot after another
 *	forker		opens the store, forks children that write and read
 *			with what they inherit, and may end before them
 *	namespace	the first process of a new PID namespace, with
 *			processes of its own
 *	Each lives for a second or so at most, then ends in good order and is
 *	started again.
 *
 * a slot
 *	is a byte of a file, locked while a process writes as that slot; the
 *	kernel gives it back after a death.  Who takes it over first learns
 *	what became of the change that was under way: it commits something
 *	else, so that whatever was under way is settled, and reads.
 */
#ifndef TORTURE_WORK_H
#define TORTURE_WORK_H

#include "coppice.h"

#include <stdint.h>

enum role { ROLE_WRITER, ROLE_READER, ROLE_FORKER, ROLE_NAMESPACE, ROLE_COUNT };

/* Does the role's work in this process, which it ends. */
__attribute__((noreturn)) void work_run(enum role role);

/* Puts everything at stamp 0 into a new store. */
void work_fill(cop_store *store);

/*
 * Learns of every group whether its pending change took place; what was under
 * way when this is called, and whose caller is dead, is not to come later.
 */
void work_settle_all(cop_store *store);

/* Commits something of no meaning until it is committed. */
void work_barrier(cop_store *store);

/* What a child's end says: fails unless it ended well or was killed. */
void work_status(int32_t pid, int status);

#endif
