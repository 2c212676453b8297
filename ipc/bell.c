/* SPDX-License-Identifier: Apache-2.0 */
#include "bell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint32_t bell_listen(struct bell *bell)
{
	/* F2: before the flag */
	uint32_t calls =
	    atomic_load_explicit(&bell->calls, memory_order_acquire);

	atomic_store_explicit(&bell->waiting, 1, memory_order_release); /* F2 */
	atomic_thread_fence(memory_order_seq_cst); /* F1: pairs bell_ring */
	return calls;
}

int bell_wait(struct bell *bell, uint32_t calls, uint64_t timeout_ns)
{
	struct timespec timeout = {(time_t)(timeout_ns / 1000000000),
				   (long)(timeout_ns % 1000000000)};
	long failed = syscall(SYS_futex, &bell->calls, FUTEX_WAIT, calls,
			      &timeout, NULL, 0);

	return failed && errno != EAGAIN ? errno : 0;
}

void bell_call(struct bell *bell)
{
	/* F2: who announced himself had the count before */
	if (!atomic_exchange_explicit(&bell->waiting, 0, memory_order_acq_rel))
		return;
	atomic_fetch_add_explicit(&bell->calls, 1, memory_order_release);
	(void)syscall(SYS_futex, &bell->calls, FUTEX_WAKE, INT_MAX, NULL, NULL,
		      0);
}
