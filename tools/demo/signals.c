/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes a signal, so that the demonstration ends in order: its processes
 * stopped, its shared memory removed.  A second signal ends it at once.
 */
#include "signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_int caught;

static void note(int number)
{
	/* relaxed: a flag, nothing is read on the strength of it */
	atomic_store_explicit(&caught, number, memory_order_relaxed);
}

void signals_catch(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note,
				   .sa_flags = (int)SA_RESETHAND};
	size_t index;

	sigemptyset(&action.sa_mask);
	for (index = 0; index < sizeof numbers / sizeof numbers[0]; index++)
		sigaction(numbers[index], &action, NULL);
}

int signals_caught(void)
{
	/* relaxed: as note() */
	return atomic_load_explicit(&caught, memory_order_relaxed);
}
