/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linear: whether a history of one register could have happened one operation
 * after another.
 *
 * idea
 *	Processes read, write and compare-and-set one register; each operation
 *	is logged with the instants of its call and its return.  The history
 *	is linearizable if every operation can be given one instant between
 *	the two, such that the register, operated in the order of these
 *	instants, answers as was logged.
 *
 * source
 *	Wing and Gong, "Testing and verifying concurrent objects" (1993): a
 *	search over the orders, which goes back when an operation's return
 *	is reached before the operation found its place.  Lowe, "Testing for
 *	linearizability" (2017): a pair of (operations placed, value) that was
 *	seen before is not searched again.  The set is kept as a sum of 128
 *	random bits an operation: two sets are taken for one another with a
 *	probability of pairs / 2^128.
 *
 * operations without an answer
 *	Of a caller that was killed, or told that the outcome is not known, it
 *	is open whether and when: `returned` is LINEAR_OPEN.  Such an operation
 *	may be placed anywhere after its call, or never.  If its value is
 *	nobody else's, it is left out when nobody saw the value, and when
 *	somebody did, it was before that one's return; so that a thousand
 *	deaths do not make 2^1000 sets.
 *
 * limits
 *	LINEAR_STEPS operations placed; then the answer is LINEAR_TIRED.
 */
#ifndef TORTURE_LINEAR_H
#define TORTURE_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#define LINEAR_OPEN  UINT64_MAX
#define LINEAR_STEPS UINT64_C(20000000)

enum linear_kind { LINEAR_READ = 1, LINEAR_WRITE = 2, LINEAR_CAS = 3 };

struct linear_op {
	uint64_t called;
	uint64_t returned; /* LINEAR_OPEN: without an answer */
	uint64_t value;	   /* read or written */
	uint64_t expected; /* of a compare-and-set that succeeded */
	uint32_t kind;	   /* enum linear_kind */
	uint32_t process;  /* for people only */
};

enum linear_verdict { LINEAR_YES = 0, LINEAR_NO = 1, LINEAR_TIRED = 2 };

/*
 * Judges a history that begins with the register at `initial`.
 * ops		in any order; `returned` of open ones is changed, see above
 * stuck	set, if the answer is no, to the index of the operation whose
 *		return the longest of all orders did not get past
 * Returns	enum linear_verdict, or -1 if there is no memory.
 */
int linear_check(struct linear_op *ops, size_t count, uint64_t initial,
		 size_t *stuck);

#endif
