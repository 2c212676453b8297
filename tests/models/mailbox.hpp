/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mailbox: post, collect, answer, withdraw (M1, M2).
 *
 * models	ipc/mailbox.c: mailbox_post, mailbox_withdraw, mailbox_phase,
 *		mailbox_read, mailbox_collect, mailbox_answer
 * claims	A leader executes the request that it took, whole; its poster
 *		reads the answer to it, whole; what was withdrawn is not
 *		executed.
 * size		a poster of two requests, each of which may be withdrawn; a
 *		leader that looks twice
 */
#include "model.hpp"

namespace mailbox
{

enum {
	NO_M1_POST = 1,
	NO_M1_COLLECT,
	NO_M1_TAKE,
	NO_M1_WITHDRAW,
	NO_M2_ANSWER,
	NO_M2_PHASE,
	NO_M2_CLEAR,
	NO_M1_FENCES,
};

static const char *const box_list[] = {
    "a request is executed whole, its answer read whole",
    "mailbox_post stores the word relaxed",
    "mailbox_collect loads the word relaxed",
    "mailbox_collect compares the phase alone",
    "mailbox_withdraw does not compare",
    "mailbox_answer stores the word relaxed",
    "mailbox_phase loads relaxed",
    "spare: mailbox_clear stores relaxed",
    "spare: no fences in mailbox_post, mailbox_collect",
    nullptr,
};

enum phase { EMPTY, POSTED, TAKEN, DONE };

struct box : rl::test_suite<box, 2> {
	rl::atomic<uint64_t> word; /* number << 3 | phase */
	rl::atomic<uint64_t> body; /* its words tear as body and hash do */
	rl::atomic<uint64_t> hash;
	rl::var<uint64_t> answer;
	uint64_t executed; /* bits: numbers */
	uint64_t withdrawn;

	void before()
	{
		word($).store(0, relaxed);
		body($).store(0, relaxed);
		hash($).store(0, relaxed);
		answer($) = 0;
		executed = 0;
		withdrawn = 0;
	}

	void after()
	{
		RL_ASSERT(!(executed & withdrawn));
	}

	void mailbox_post(uint64_t number)
	{
		fence(NO_M1_FENCES, release);
		body($).store(number, relaxed);
		hash($).store(number, relaxed);
		/* M1: publishes the request */
		word($).store(number << 3 | POSTED, order(NO_M1_POST, release));
	}

	int mailbox_withdraw(uint64_t number)
	{
		uint64_t posted = number << 3 | POSTED;

		if (mutant == NO_M1_WITHDRAW) {
			word($).store(number << 3 | EMPTY, release);
			return 1;
		}
		return word($).compare_exchange_strong(
		    posted, number << 3 | EMPTY, acq_rel, relaxed);
	}

	/* One look, then time is up; 0: the mailbox is left to the leader. */
	int poster(uint64_t number)
	{
		mailbox_post(number);
		if (word($).load(relaxed) == (number << 3 | POSTED) &&
		    mailbox_withdraw(number)) {
			withdrawn |= UINT64_C(1) << number;
			return 1;
		}
		/* M2: acquires the answer */
		if (word($).load(order(NO_M2_PHASE, acquire)) !=
		    (number << 3 | DONE))
			return 0;
		RL_ASSERT(answer($) == number);
		word($).store(number << 3 | EMPTY, order(NO_M2_CLEAR, release));
		return 1;
	}

	int mailbox_take(uint64_t seen)
	{
		uint64_t taken = (seen & ~UINT64_C(7)) | TAKEN;

		if (mutant == NO_M1_TAKE) {
			uint64_t now = word($).load(relaxed);

			if ((now & 7) != POSTED)
				return 0;
			seen = now;
		}
		return word($).compare_exchange_strong(seen, taken, acq_rel,
						       relaxed);
	}

	void leader()
	{
		/* M1: acquires the request */
		uint64_t seen = word($).load(order(NO_M1_COLLECT, acquire));
		uint64_t is_hash = hash($).load(relaxed);
		uint64_t copy;
		uint64_t number = seen >> 3;

		if ((seen & 7) != POSTED)
			return;
		copy = body($).load(relaxed);
		fence(NO_M1_FENCES, acquire);
		if (!mailbox_take(seen))
			return;
		RL_ASSERT(copy == number && is_hash == number);
		executed |= UINT64_C(1) << number;
		answer($) = number;
		seen = number << 3 | TAKEN;
		/* M2: publishes the answer */
		word($).compare_exchange_strong(seen, number << 3 | DONE,
						order(NO_M2_ANSWER, acq_rel),
						relaxed);
	}

	void thread(unsigned index)
	{
		if (index) {
			leader();
			leader();
		} else if (poster(1)) {
			poster(2);
		}
	}
};

} // namespace mailbox
