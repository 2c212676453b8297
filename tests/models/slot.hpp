/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot: enter, leave, oldest (S1, S2), pass (S3).
 *
 * models	ipc/slot.h: slot_enter, slot_leave; ipc/slot.c: slot_oldest;
 *		core/read.c: snapshot_try; the end of core/commit.c's
 *		commit_locked
 * claims	What a commit took out of reach is not written over while a
 *		reader that may reach it reads it.
 * size		one commit; a reader that reads twice, by leaving and entering
 *		or by entering again (cop_read_refresh)
 */
#include "model.hpp"

namespace slot
{

enum {
	NO_S1_ENTER = 1,
	NO_S1_OLDEST,
	NO_S2_LEAVE,
	NO_S2_ENTER,
	NO_S2_OLDEST,
	ENTER_LATE,
};

static const char *const leave_list[] = {
    "what may be read is not used again",
    "slot_enter: no fence",
    "slot_oldest: no fence",
    "slot_leave stores relaxed",
    "spare: slot_enter stores relaxed, after slot_leave",
    "slot_oldest loads relaxed",
    "the slot is stored after LMDB was asked",
    nullptr,
};

static const char *const refresh_list[] = {
    "the same, if a read is refreshed without leaving",
    "slot_enter: no fence",
    "slot_oldest: no fence",
    "slot_leave stores relaxed",
    "slot_enter stores relaxed",
    "slot_oldest loads relaxed",
    "the slot is stored after LMDB was asked",
    nullptr,
};

template <bool refreshes> struct reader : rl::test_suite<reader<refreshes>, 2> {
	rl::atomic<uint64_t> word;	/* the slot's snapshot + 1 */
	rl::atomic<uint64_t> lmdb;	/* newest commit */
	rl::atomic<uint64_t> committed; /* the segment's */
	rl::var<uint32_t> row;		/* of snapshot 0 */

	void before()
	{
		word($).store(0, relaxed);
		lmdb($).store(0, relaxed);
		committed($).store(0, relaxed);
		row($) = 1;
	}

	void slot_enter(uint64_t snapshot)
	{
		/* S2: the loads of the snapshot before are before this */
		word($).store(snapshot + 1, order(NO_S2_ENTER, release));
		fence(NO_S1_ENTER, seq_cst); /* S1 */
	}

	void read()
	{
		uint64_t snapshot;

		if (mutant == ENTER_LATE) {
			snapshot = lmdb($).load(acquire);
			slot_enter(snapshot);
		} else {
			slot_enter(committed($).load(acquire));
			snapshot = lmdb($).load(acquire);
		}
		if (!snapshot)
			RL_ASSERT(row($) == 1);
	}

	void slot_leave()
	{
		word($).store(0, order(NO_S2_LEAVE, release)); /* S2 */
	}

	uint64_t slot_oldest(uint64_t newest)
	{
		uint64_t seen;

		fence(NO_S1_OLDEST, seq_cst);			   /* S1 */
		seen = word($).load(order(NO_S2_OLDEST, acquire)); /* S2 */
		return seen && seen - 1 < newest ? seen - 1 : newest;
	}

	void thread(unsigned index)
	{
		if (!index) {
			lmdb($).store(1, release);
			committed($).store(1, release);
			if (slot_oldest(1) == 1)
				row($) = 2; /* used again */
		} else {
			read();
			if (!refreshes)
				slot_leave();
			read();
			slot_leave();
		}
	}
};

/*
 * A segment that is replaced, and emptied once slots have passed (S3): two
 * reads of one slot.
 * models	core/relic.c; ipc/slot.c: slots_pass, slot_is_past;
 *		core/read.c: snapshot_try, read_outdated
 */
enum {
	NO_S3_ENTER = 1,
	NO_S3_PASS,
	NO_S3_LEAVE,
	NO_S3_COUNT,
	NO_S3_IS_PAST,
	NO_S3_LOOK,
};

static const char *const relic_list[] = {
    "nobody reads of a segment that was emptied",
    "slot_enter: no fence",
    "slots_pass: no fence",
    "slot_leave stores relaxed",
    "slot_enter counts relaxed",
    "slot_is_past loads relaxed",
    "the number is looked at before the slot is entered, and not after",
    nullptr,
};

struct relic : rl::test_suite<relic, 2> {
	rl::atomic<uint64_t> word;   /* the slot's snapshot + 1 */
	rl::atomic<uint64_t> count;  /* of the slot */
	rl::atomic<uint64_t> number; /* of the segment in use */
	rl::var<uint32_t> memory;    /* of segment 1 */

	void before()
	{
		word($).store(0, relaxed);
		count($).store(0, relaxed);
		number($).store(1, relaxed);
		memory($) = 1;
	}

	void read()
	{
		uint64_t early = number($).load(acquire);

		count($).store(count($).load(relaxed) + 1,
			       order(NO_S3_COUNT, release));
		word($).store(1, relaxed);
		fence(NO_S3_ENTER, seq_cst);
		if ((mutant == NO_S3_LOOK ? early
					  : number($).load(acquire)) == 1)
			RL_ASSERT(memory($) == 1);
		word($).store(0, order(NO_S3_LEAVE, release));
	}

	/* what cannot be waited for is not emptied */
	void replace()
	{
		uint64_t seen;

		number($).store(2, release);
		fence(NO_S3_PASS, seq_cst);
		seen = count($).load(relaxed);
		if (!word($).load(order(NO_S3_IS_PAST, acquire)) ||
		    count($).load(order(NO_S3_IS_PAST, acquire)) != seen)
			memory($) = 0;
	}

	void thread(unsigned index)
	{
		if (!index) {
			replace();
		} else {
			read();
			read();
		}
	}
};

} // namespace slot
