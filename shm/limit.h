/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit: the limit of a file's size (RLIMIT_FSIZE) is an error, not a death.
 *
 * idea
 *	Who writes past it, or makes a file longer than it, gets EFBIG and a
 *	signal that ends the process.  From limit_enter() to limit_leave() the
 *	signal is blocked in the calling thread and in those that it starts,
 *	and one that came is taken away.  May be nested.
 */
#ifndef SHM_LIMIT_H
#define SHM_LIMIT_H

#include <errno.h>
#include <signal.h>
#include <time.h>

struct limit {
	sigset_t before; /* the thread's mask */
};

static inline void limit_signal(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGXFSZ);
}

/* Takes away a signal that is blocked and came. */
static inline void limit_take(void)
{
	const struct timespec no_time = {0, 0};
	int saved = errno;
	sigset_t set;

	limit_signal(&set);
	(void)sigtimedwait(&set, NULL, &no_time);
	errno = saved;
}

static inline void limit_enter(struct limit *limit)
{
	sigset_t set;

	limit_signal(&set);
	pthread_sigmask(SIG_BLOCK, &set, &limit->before);
}

static inline void limit_leave(const struct limit *limit)
{
	limit_take();
	pthread_sigmask(SIG_SETMASK, &limit->before, NULL);
}

#endif
