/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bell: listen, wait, ring (F1, F2).
 *
 * models	ipc/bell.h: bell_ring; ipc/bell.c: bell_listen, bell_wait,
 *		bell_call; core/wait.c: cop_wait
 * claims	Nobody sleeps for good while there are the news he waits for.
 * size		two commits by one process, since the writer lock keeps them
 *		apart; one who waits for the second, and may be called for the
 *		first
 * sleep	The kernel compares the count and lies down in one step, or does
 *		not lie down; a call wakes all that lie.  So who lies at the
 *		end with the count that there is was not called since.
 */
#include "model.hpp"

namespace bell
{

enum {
	NO_F1_RING = 1,
	NO_F1_LISTEN,
	LISTEN_LATE,
	NO_F2_COUNT,
	NO_F2_CALL,
};

static const char *const sleep_list[] = {
    "nobody sleeps through his news",
    "bell_ring: no fence",
    "bell_listen: no fence",
    "bell_listen loads the count after the flag was stored",
    "spare: bell_listen loads the count relaxed",
    "spare: bell_call adds to it relaxed",
    nullptr,
};

enum { COMMITS = 2 };

struct sleep : rl::test_suite<sleep, 2> {
	rl::atomic<uint64_t> lmdb; /* newest commit */
	rl::atomic<uint32_t> waiting;
	rl::atomic<uint32_t> calls;
	uint32_t slept; /* count it lies down with, plus 1 */
	uint32_t last;	/* the count at the end */

	void before()
	{
		lmdb($).store(0, relaxed);
		waiting($).store(0, relaxed);
		calls($).store(0, relaxed);
		slept = 0;
		last = 0;
	}

	void bell_call()
	{
		if (waiting($).exchange(0, acq_rel)) /* F2 */
			last = 1 + calls($).fetch_add(
				       1, order(NO_F2_CALL, release)); /* F2 */
	}

	void bell_ring()
	{
		fence(NO_F1_RING, seq_cst); /* F1 */
		if (waiting($).load(relaxed))
			bell_call();
	}

	uint32_t bell_listen()
	{
		uint32_t count =
		    calls($).load(order(NO_F2_COUNT, acquire)); /* F2 */

		waiting($).store(1, release); /* F2 */
		fence(NO_F1_LISTEN, seq_cst); /* F1 */
		if (mutant == LISTEN_LATE)
			count = calls($).load(acquire);
		return count;
	}

	/* Whether it lies down, in one step of the kernel's. */
	void bell_wait(uint32_t count)
	{
		uint32_t now = count;

		if (calls($).compare_exchange_strong(now, count, acq_rel,
						     acquire))
			slept = count + 1;
	}

	void thread(unsigned index)
	{
		if (!index) {
			for (uint64_t commit = 1; commit <= COMMITS; commit++) {
				lmdb($).store(commit, release);
				bell_ring();
			}
		} else {
			uint32_t count = bell_listen();

			if (lmdb($).load(acquire) < COMMITS)
				bell_wait(count);
		}
	}

	/* All is committed: who lies uncalled lies for good. */
	void after()
	{
		RL_ASSERT(!slept || slept != last + 1);
	}
};

} // namespace bell
