/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a commit.
 *
 * idea
 *	Who waits announces it at the control segment's bell, looks at what
 *	LMDB shows, and sleeps if that is not news; whoever has committed
 *	rings.  What counts is LMDB alone: no number of a commit is kept beside
 *	it that a death, a new generation or a new segment could leave behind.
 *
 * crash
 *	A commit whose maker was killed before he rang is told by the next
 *	holder of the writer lock, and found without one within SLICE_NS.
 */
#include "clock.h"
#include "store.h"

#include <errno.h>

enum { SLICE_NS = 1000000000 };

static cop_err newest_commit(cop_store *store, uint64_t *newest)
{
	cop_read *read;
	cop_err err = cop_read_begin(store, &read);

	if (err)
		return err;
	*newest = cop_read_commit(read);
	cop_read_end(read);
	return 0;
}

static uint64_t slice_ns(uint64_t until_ns)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (now_ns >= until_ns)
		return 0;
	return until_ns - now_ns < SLICE_NS ? until_ns - now_ns : SLICE_NS;
}

cop_err cop_wait(cop_store *store, uint64_t commit, uint32_t timeout_ms,
		 uint64_t *newest)
{
	uint64_t until_ns = UINT64_MAX;
	cop_err err = store_use(store);
	uint64_t found = 0;

	if (!err && !newest)
		err = error_set(COP_INVALID, "nowhere to put the commit");
	if (!err)
		err = newest_commit(store, &found);
	if (timeout_ms != UINT32_MAX)
		until_ns =
		    clock_ns(CLOCK_MONOTONIC) + timeout_ms * UINT64_C(1000000);
	while (!err && found <= commit && timeout_ms) {
		struct bell *bell = &store->slots.control->commits;
		uint32_t calls = bell_listen(bell);
		uint64_t left_ns;

		err = newest_commit(store, &found);
		left_ns = slice_ns(until_ns);
		if (err || found > commit || !left_ns)
			break;
		if (bell_wait(bell, calls, left_ns) == EINTR)
			err = error_system(EINTR,
					   "%s: a signal came while "
					   "waiting for a commit",
					   store->path);
	}
	if (!err)
		*newest = found;
	return err;
}
