/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bell: many processes wait for news, and whoever has some rings.
 *
 * idea
 *	Who has news makes them visible and then rings, which is a fence and a
 *	load as long as nobody waits.  Who waits announces it, looks for news
 *	once more, and only then sleeps on a count of the calls.
 *	The announcement is one flag for all, and taking it back is the
 *	ringer's: he adds to the count after that.  So who announced himself
 *	too late for the look, and too early for the flag to stay, finds the
 *	count changed and does not fall asleep.
 *
 * ordering
 *	F1	bell_listen stores the flag, then fences (seq_cst), before its
 *		caller looks for news; bell_ring fences (seq_cst) after the
 *		news, before it loads the flag.  So either the ringer sees the
 *		flag or who listens sees the news.
 *	F2	bell_listen loads the count (acquire) before it stores the flag
 *		(release); bell_call takes the flag (acquire) before it adds to
 *		the count (release).
 *
 * progress
 *	bell_ring: wait-free, one system call if somebody waits.
 *	bell_wait sleeps, at most as long as it is told.
 *
 * crash
 *	Who is killed waiting leaves the flag: one call that wakes nobody.
 *	Who is killed between his news and the call wakes nobody: whoever
 *	waits looks again by himself from time to time.
 */
#ifndef IPC_BELL_H
#define IPC_BELL_H

#include <stdatomic.h>
#include <stdint.h>

struct bell {
	_Alignas(128) _Atomic uint32_t waiting; /* 1: somebody may sleep */
	_Atomic uint32_t calls;			/* what they sleep on */
};

/* Announces one who waits; to be called before he looks for news. */
uint32_t bell_listen(struct bell *bell);

/*
 * Sleeps until there was a call after bell_listen gave `calls`.
 * Returns	0, EINTR if a signal came, ETIMEDOUT
 */
int bell_wait(struct bell *bell, uint32_t calls, uint64_t timeout_ns);

/* Wakes whoever waits. */
void bell_call(struct bell *bell);

/* After news were made visible. */
static inline void bell_ring(struct bell *bell)
{
	atomic_thread_fence(memory_order_seq_cst); /* F1: pairs bell_listen */
	/* relaxed: the fence is what counts */
	if (__builtin_expect(
		atomic_load_explicit(&bell->waiting, memory_order_relaxed) != 0,
		0))
		bell_call(bell);
}

#endif
