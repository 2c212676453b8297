/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop: whether a signal asks the import to end.
 *
 * idea
 *	An import that is interrupted ends at a commit boundary and says how
 *	far it came.  The handler notes the signal; the import looks after each
 *	record, and a read() that was waiting returns with EINTR.  The handler
 *	is good for one signal: the second one ends the process as usual, which
 *	a store survives.
 *
 * ordering
 *	One relaxed atomic int: nothing else is passed on by it.
 */
#include "stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static atomic_int stop_asked;

static void stop_handle(int number)
{
	atomic_store_explicit(&stop_asked, number, memory_order_relaxed);
}

void stop_arm(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = stop_handle;
	action.sa_flags = (int)SA_RESETHAND;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct sigaction old;

		/* nohup's wish is respected. */
		if (!sigaction(numbers[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

int stop_signal(void)
{
	return atomic_load_explicit(&stop_asked, memory_order_relaxed);
}
