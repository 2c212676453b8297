/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit's changes in the index segment: prepare, then finish.
 *
 * idea
 *	Before LMDB commits, everything the commit changes is put into the
 *	segment in a way that no open snapshot sees: bloom bits and keys that
 *	name an entity not there yet, rows and edges born at the new commit,
 *	copies of records that no head names yet, deaths stamped with it, heads
 *	marked as pending.  So whatever LMDB
 *	shows is in the segment already.  Afterwards the heads are finished
 *	and what died goes to limbo; that cannot fail.
 *
 * crash
 *	The intent is set before the first change and lists every entity that
 *	will be touched, with the row and the block taken for it, before it is
 *	touched.
 *	recover.c makes these agree with LMDB.
 */
#ifndef CORE_PREPARE_H
#define CORE_PREPARE_H

#include "apply.h"

/*
 * Puts the changes into the segment, invisibly; W held.
 * oldest	the oldest snapshot in use
 * Returns	COP_NO_SPACE, COP_CORRUPT: then recover_run takes it back.
 */
cop_err prepare_run(struct apply *apply, uint64_t oldest);

/* After LMDB's commit. */
void prepare_finish(struct apply *apply);

/* After the free lists, too, are in order: recovery has nothing to do. */
void prepare_close(struct apply *apply);

#endif
