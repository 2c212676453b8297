/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of histories is judged: it refuses what could not have happened
 * one after another, and nothing else.
 */
#include "tap.h"
#include "torture/linear.h"

enum { SMALL = 7, LARGE = 4000 };

#define OPEN LINEAR_OPEN

static int judge(const struct linear_op *ops, size_t count)
{
	struct linear_op copy[LARGE];
	size_t stuck;

	memcpy(copy, ops, count * sizeof *copy);
	return linear_check(copy, count, 0, &stuck);
}

static void takes(const char *claim, const struct linear_op *ops, size_t count)
{
	is_int(judge(ops, count), LINEAR_YES, "%s is taken", claim);
}

static void refuses(const char *claim, const struct linear_op *ops,
		    size_t count)
{
	is_int(judge(ops, count), LINEAR_NO, "%s is refused", claim);
}

#define R(from, to, value)                                                     \
	{                                                                      \
		from, to, value, 0, LINEAR_READ, 0                             \
	}
#define W(from, to, value)                                                     \
	{                                                                      \
		from, to, value, 0, LINEAR_WRITE, 0                            \
	}
#define CAS(from, to, expect, value)                                           \
	{                                                                      \
		from, to, value, expect, LINEAR_CAS, 0                         \
	}
#define TAKES(claim, ...)                                                      \
	do {                                                                   \
		const struct linear_op ops[] = {__VA_ARGS__};                  \
		takes(claim, ops, sizeof ops / sizeof *ops);                   \
	} while (0)
#define REFUSES(claim, ...)                                                    \
	do {                                                                   \
		const struct linear_op ops[] = {__VA_ARGS__};                  \
		refuses(claim, ops, sizeof ops / sizeof *ops);                 \
	} while (0)

static void what_could_have_happened_is_taken(void)
{
	TAKES("no operation at all but a read of the start", R(1, 2, 0));
	TAKES("one after another", W(1, 2, 7), R(3, 4, 7), W(5, 6, 8),
	      R(7, 8, 8));
	TAKES("a read during a write of the value before", W(1, 9, 7),
	      R(2, 3, 0));
	TAKES("a read during a write of the value after", W(1, 9, 7),
	      R(2, 3, 7), R(4, 5, 7));
	TAKES("two writes at once in the other order", W(1, 9, 7), W(2, 8, 8),
	      R(10, 11, 7));
	TAKES("two compare-and-sets in a row", CAS(1, 9, 5, 6), CAS(2, 8, 0, 5),
	      R(10, 11, 6));
	TAKES("a touch of two intervals", W(1, 5, 7), R(5, 6, 0), R(7, 8, 7));
}

static void what_could_not_is_refused(void)
{
	REFUSES("a stale read", W(1, 2, 7), R(3, 4, 0));
	REFUSES("a stale read of a value written over", W(1, 2, 7), W(3, 4, 8),
		R(5, 6, 7));
	REFUSES("a read that goes back", W(1, 9, 7), R(2, 3, 7), R(4, 5, 0));
	REFUSES("a lost update: two sets from one value", CAS(1, 9, 0, 7),
		CAS(2, 8, 0, 8));
	REFUSES("a lost update: a write that nobody saw go", W(1, 2, 7),
		CAS(3, 4, 0, 8), R(5, 6, 8));
	REFUSES("a read from the future", R(1, 2, 7), W(3, 4, 7));
	REFUSES("a read of what nobody wrote", W(1, 2, 7), R(3, 4, 9));
	REFUSES("two readers that disagree on an order", W(1, 9, 7), W(1, 9, 8),
		R(10, 11, 7), R(12, 13, 8), R(14, 15, 7));
}

static void what_was_not_answered_is_open(void)
{
	TAKES("a write cut off, not seen", W(1, OPEN, 7), R(5, 6, 0));
	TAKES("a write cut off, seen late", W(1, OPEN, 7), R(5, 6, 0),
	      R(7, 8, 7));
	TAKES("a read cut off", R(1, OPEN, 9), W(2, 3, 7));
	TAKES("a chain of sets cut off, of which the last is seen",
	      CAS(1, OPEN, 0, 5), CAS(2, OPEN, 5, 6), R(7, 8, 0), R(9, 10, 6));
	REFUSES("a write cut off, seen and then not", W(1, OPEN, 7), R(5, 6, 7),
		R(7, 8, 0));
	REFUSES("a write cut off, seen before its call", R(1, 2, 7),
		W(3, OPEN, 7));
	REFUSES("a set cut off that could not be, and is seen", W(1, 2, 3),
		CAS(3, OPEN, 0, 5), R(7, 8, 5));
	TAKES("two writes cut off of one value, seen twice", W(1, OPEN, 7),
	      W(1, OPEN, 7), R(2, 3, 7), W(4, 5, 8), R(6, 7, 7));
	REFUSES("the same with one of them answered", W(1, 2, 7), R(3, 4, 7),
		W(5, 6, 8), R(7, 8, 7));
}

/* ---- against all orders ------------------------------------------------- */

/* Whether some order of what is left, each before `done`, answers so. */
static int some_order(const struct linear_op *ops, size_t count, uint32_t done,
		      uint64_t value)
{
	uint64_t first_return = LINEAR_OPEN;
	int finished = 1;

	for (size_t i = 0; i < count; i++)
		if (!(done >> i & 1)) {
			finished &= ops[i].returned == LINEAR_OPEN;
			if (ops[i].returned < first_return)
				first_return = ops[i].returned;
		}
	if (finished)
		return 1;
	for (size_t i = 0; i < count; i++) { /* at most SMALL deep */
		const struct linear_op *op = &ops[i];
		uint64_t seen =
		    op->kind == LINEAR_CAS ? op->expected : op->value;

		if (done >> i & 1 || op->called > first_return ||
		    (op->kind != LINEAR_WRITE && seen != value))
			continue;
		if (some_order(ops, count, done | 1u << i, op->value))
			return 1;
	}
	return 0;
}

static void small_fill(struct linear_op *ops, size_t count, uint64_t *seed)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t called = 1 + test_below(seed, 12);

		ops[i] = (struct linear_op){
		    .called = called,
		    .returned = test_below(seed, 5)
				    ? called + test_below(seed, 6)
				    : LINEAR_OPEN,
		    .value = test_below(seed, 4),
		    .expected = test_below(seed, 4),
		    .kind = 1 + (uint32_t)test_below(seed, 3)};
	}
}

static void it_agrees_with_a_trial_of_all_orders(void)
{
	enum { HISTORIES = 30000 };
	uint64_t seed = test_seed();
	uint64_t verdicts[2] = {0, 0};
	uint64_t wrong = 0;

	for (int i = 0; i < HISTORIES; i++) {
		struct linear_op ops[SMALL];
		size_t count = 1 + test_below(&seed, SMALL);
		int want;

		small_fill(ops, count, &seed);
		want = some_order(ops, count, 0, 0) ? LINEAR_YES : LINEAR_NO;
		wrong += judge(ops, count) != want;
		verdicts[want]++;
	}
	is_u64(wrong, 0,
	       "%" PRIu64 " small histories are taken and %" PRIu64
	       " refused, as a trial of all orders says",
	       verdicts[LINEAR_YES], verdicts[LINEAR_NO]);
}

/* ---- long ones ---------------------------------------------------------- */

/* What processes log that operate on a register, each at some instant. */
static void long_fill(struct linear_op *ops, uint64_t *seed)
{
	uint64_t value = 0;

	for (size_t i = 0; i < LARGE; i++) {
		uint64_t at = 1000 + 10 * i;
		struct linear_op op = {.called = at - test_below(seed, 60),
				       .returned = at + test_below(seed, 60),
				       .kind = LINEAR_READ};

		if (test_below(seed, 3) == 0) {
			op.kind =
			    test_below(seed, 2) ? LINEAR_CAS : LINEAR_WRITE;
			op.expected = value;
			value = i + 1;
		}
		op.value = value;
		if (op.kind != LINEAR_READ && test_below(seed, 10) == 0)
			op.returned = LINEAR_OPEN;
		ops[i] = op;
	}
}

static void long_histories_are_judged(void)
{
	enum { HISTORIES = 20 };
	uint64_t seed = test_seed();
	int taken = 0;
	int refused = 0;

	for (int i = 0; i < HISTORIES; i++) {
		struct linear_op ops[LARGE];
		size_t at = LARGE / 2 + test_below(&seed, LARGE / 4);
		uint64_t was;

		long_fill(ops, &seed);
		/* who wrote it has returned, and cannot do so late */
		was = ops[at - 100].value;
		if (was)
			ops[was - 1].returned = 1000 + 10 * was;
		taken += judge(ops, LARGE) == LINEAR_YES;
		/* one read of what was there a hundred operations before */
		ops[at].kind = LINEAR_READ;
		ops[at].returned = 1000 + 10 * at + 1;
		ops[at].value = ops[at - 100].value;
		refused += judge(ops, LARGE) == LINEAR_NO;
	}
	is_int(taken, HISTORIES, "histories of %d operations are taken", LARGE);
	is_int(refused, HISTORIES, "and refused for one stale read in them");
}

int main(void)
{
	test_begin(60);
	what_could_have_happened_is_taken();
	what_could_not_is_refused();
	what_was_not_answered_is_open();
	it_agrees_with_a_trial_of_all_orders();
	long_histories_are_judged();
	return done_testing();
}
