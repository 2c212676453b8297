/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: what the store is like when nobody is at work.
 *
 * idea
 *	A process of its own opens the store after a round, looks, commits
 *	something so that whatever was under way is settled, and looks at
 *	everything: no more and no fewer entities, edges and vectors than the
 *	oracle says, nothing found by cop_check, no slot of the dead, nothing
 *	in limbo, every row of the bank in use.  Then the registers' history
 *	is judged.
 */
#ifndef TORTURE_VERIFY_H
#define TORTURE_VERIFY_H

#include <stdint.h>

enum verify_end {
	VERIFY_KEEP,
	VERIFY_DETACH, /* removes the segment, looks once more */
	VERIFY_LEAVE,  /* removes it: the next round's processes build it */
	VERIFY_ENDS
};

/* Makes the store, and fills it. */
void verify_create(void);

/*
 * Verifies; ends the process if anything is wrong.
 */
void verify_store(enum verify_end end, uint64_t seed);

/* Removes the segment; nothing of it may be left. */
void verify_detached(void);

#endif
