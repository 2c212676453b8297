/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head: mark, finish and read (H1, H2).
 *
 * models	shm/head.h: head_mark, head_finish, head_read; the order of
 *		core/prepare.c, which marks, and core/commit.c, where LMDB's
 *		commit is between; core/read.c: snapshot_try (C1)
 * claims	A state that head_read lets out is LMDB's at the reader's
 *		snapshot, whole.
 * size		two commits, one reader at each snapshot that it may have
 */
#include "model.hpp"

namespace head
{

enum {
	NO_H1_MARK_FENCE = 1,
	NO_H1_READ_FENCE,
	NO_H1_RECHECK,
	NO_H1_MARK,
	NO_H2_FINISH,
	NO_H2_READ,
};

static const char *const state_list[] = {
    "what is let out of a head is LMDB's at the snapshot",
    "head_mark: no release fence",
    "head_read: no acquire fence",
    "head_read does not look again",
    "head_mark is left out",
    "head_finish stores changed relaxed",
    "head_read loads changed relaxed",
    nullptr,
};

struct state : rl::test_suite<state, 2> {
	rl::atomic<uint64_t> changed;
	rl::atomic<uint32_t> type;
	rl::atomic<uint32_t> row;
	rl::atomic<uint64_t> lmdb; /* newest commit */

	void before()
	{
		changed($).store(0, relaxed);
		type($).store(0, relaxed);
		row($).store(0, relaxed);
		lmdb($).store(0, relaxed);
	}

	void commit(uint32_t commit)
	{
		/* head_mark */
		if (mutant != NO_H1_MARK)
			changed($).store(commit << 1 | 1, relaxed);
		fence(NO_H1_MARK_FENCE, release); /* H1 */
		lmdb($).store(commit, release);	  /* C1 */
		/* head_finish */
		type($).store(commit, relaxed);
		row($).store(commit, relaxed);
		/* H2: publishes the fields */
		changed($).store(commit << 1, order(NO_H2_FINISH, release));
	}

	void read()
	{
		uint64_t snapshot = lmdb($).load(relaxed);
		uint64_t seen;
		uint32_t is_type;
		uint32_t is_row;

		rl::atomic_thread_fence(acquire, $);		    /* C1 */
		seen = changed($).load(order(NO_H2_READ, acquire)); /* H2 */
		if (seen & 1 || seen >> 1 > snapshot)
			return; /* LMDB is asked */
		is_type = type($).load(relaxed);
		is_row = row($).load(relaxed);
		fence(NO_H1_READ_FENCE, acquire); /* H1 */
		if (mutant != NO_H1_RECHECK && changed($).load(relaxed) != seen)
			return;
		RL_ASSERT(is_type == snapshot && is_row == snapshot);
	}

	void thread(unsigned index)
	{
		if (index) {
			read();
		} else {
			commit(1);
			commit(2);
		}
	}
};

enum {
	NO_C1_COMMIT = 1,
	NO_C1_READ,
};

static const char *const stamp_list[] = {
    "who sees the commit sees what was prepared for it",
    "LMDB's commit does not order what was prepared",
    "snapshot_try: no acquire fence after the renewal",
    nullptr,
};

struct stamp : rl::test_suite<stamp, 2> {
	rl::atomic<uint64_t> died;
	rl::atomic<uint64_t> prepared;
	rl::atomic<uint64_t> lmdb;

	void before()
	{
		died($).store(UINT64_MAX, relaxed);
		prepared($).store(0, relaxed);
		lmdb($).store(0, relaxed);
	}

	void thread(unsigned index)
	{
		if (!index) {
			died($).store(1, relaxed);
			prepared($).store(1, release);
			/* C1: LMDB syncs, then tells readers */
			lmdb($).store(1, order(NO_C1_COMMIT, release));
		} else if (lmdb($).load(relaxed)) {
			fence(NO_C1_READ, acquire); /* C1 */
			RL_ASSERT(died($).load(relaxed) == 1);
			RL_ASSERT(prepared($).load(acquire) == 1);
		}
	}
};

} // namespace head
