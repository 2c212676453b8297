/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the bank: its seqlock (B1), and the count of rows (B2).
 *
 * models	shm/bank.c: bank_write, bank_peek, take_fresh, bank_count;
 *		shm/bank.h: bank_seq, bank_unchanged
 * claims	What a reader lets out is of one version of the row.  A row
 *		that is counted has been made.
 * size		two versions written, one reader
 */
#include "model.hpp"

namespace bank
{

enum {
	NO_B1_WRITE_FENCE = 1,
	NO_B1_PUBLISH,
	NO_B1_SEQ,
	NO_B1_READ_FENCE,
	NO_B1_RECHECK,
	NO_B1_ODD,
};

static const char *const row_list[] = {
    "what is let out of a row is of one version",
    "bank_write: no release fence after odd",
    "bank_write: even is stored relaxed",
    "bank_seq loads relaxed",
    "bank_unchanged: no acquire fence",
    "bank_unchanged does not look again",
    "bank_write does not make seq odd",
    nullptr,
};

struct row : rl::test_suite<row, 2> {
	rl::atomic<uint64_t> seq;
	rl::atomic<uint64_t> born; /* the header */
	rl::atomic<uint64_t> code; /* what a kernel reads in place */

	void before()
	{
		seq($).store(0, relaxed);
		born($).store(0, relaxed);
		code($).store(0, relaxed);
	}

	void bank_write(uint64_t version)
	{
		uint64_t odd = seq($).load(relaxed) | 1;

		if (mutant != NO_B1_ODD)
			seq($).store(odd, relaxed);
		fence(NO_B1_WRITE_FENCE, release); /* B1 */
		born($).store(version, relaxed);
		code($).store(version, relaxed);
		/* B1: publishes the row */
		seq($).store(odd + 1, order(NO_B1_PUBLISH, release));
	}

	void read()
	{
		uint64_t seen = seq($).load(order(NO_B1_SEQ, acquire)); /* B1 */
		uint64_t is_born;
		uint64_t is_code;

		if (seen & 1)
			return;
		is_born = born($).load(relaxed);
		is_code = code($).load(relaxed);
		fence(NO_B1_READ_FENCE, acquire); /* B1 */
		if (mutant != NO_B1_RECHECK && seq($).load(relaxed) != seen)
			return;
		RL_ASSERT(is_born == is_code && is_born == seen / 2);
	}

	void thread(unsigned index)
	{
		if (index) {
			read();
		} else {
			bank_write(1);
			bank_write(2);
		}
	}
};

enum {
	NO_B2_PUBLISH = 1,
	NO_B2_COUNT,
};

static const char *const count_list[] = {
    "a row that is counted was made",
    "take_fresh: the count is stored relaxed",
    "bank_count loads relaxed",
    nullptr,
};

struct count : rl::test_suite<count, 2> {
	rl::atomic<uint32_t> row_count;
	rl::var<uint64_t> line; /* grown, zeroed, free */

	void before()
	{
		row_count($).store(1, relaxed);
	}

	void thread(unsigned index)
	{
		if (!index) {
			line($) = UINT64_MAX;
			/* B2 */
			row_count($).store(2, order(NO_B2_PUBLISH, release));
		} else if (row_count($).load(order(NO_B2_COUNT, acquire)) > 1) {
			RL_ASSERT(line($) == UINT64_MAX);
		}
	}
};

} // namespace bank
