/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the demonstration's processes share beside the store.
 *
 * idea
 *	A memfd, inherited by the programs that the demonstration starts.  They
 *	meet on it twice: all have opened the store before any begins, and all
 *	have measured their memory before any goes.  The writer notes when each
 *	of its commits returned; workers note when they found it.  Nothing of
 *	the store itself goes through here.
 *
 * ordering
 *	R1 -> A1	the fixed words and samples, before `go`
 *	R2 -> A2	a process's figures, before it counts as done
 *	R3 -> A3	the time of a commit
 *
 * progress
 *	Waiting is sleeping a millisecond and looking again.
 */
#include "board.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "textvec.h"

int complain(const char *format, ...)
{
	va_list args;

	fputs("\ncoppice-demo: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

int complain_cop(const char *what, cop_err error)
{
	return complain("%s: %s: %s", what, cop_strerror(error),
			cop_last_error());
}

int board_attach(struct board **out, int fd)
{
	void *at =
	    mmap(NULL, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return complain("cannot map the board: %s", strerror(errno));
	*out = at;
	return 0;
}

int board_create(struct board **out, int *fd)
{
	int made = memfd_create("coppice-demo", 0);

	if (made < 0 || ftruncate(made, (off_t)sizeof **out) != 0 ||
	    board_attach(out, made) != 0) {
		if (made >= 0)
			close(made);
		return complain("cannot make the board: %s", strerror(errno));
	}
	*fd = made;
	return 0;
}

void board_release(struct board *board)
{
	if (board != NULL)
		munmap(board, sizeof *board);
}

uint64_t board_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void board_ready(struct board *board)
{
	/* relaxed: a count, nothing is read on the strength of it */
	atomic_fetch_add_explicit(&board->ready, 1, memory_order_relaxed);
}

uint32_t board_ready_count(struct board *board)
{
	/* relaxed: as board_ready() */
	return atomic_load_explicit(&board->ready, memory_order_relaxed);
}

void board_go(struct board *board)
{
	/* R1: publishes what is fixed to A1 */
	atomic_store_explicit(&board->go, 1, memory_order_release);
}

void board_await_go(struct board *board)
{
	/* A1: sees what was fixed before R1 */
	while (atomic_load_explicit(&board->go, memory_order_acquire) == 0)
		nap();
}

void board_done(struct board *board)
{
	/* R2: publishes this process's figures to A2 */
	atomic_fetch_add_explicit(&board->done, 1, memory_order_release);
}

uint32_t board_done_count(struct board *board)
{
	/* A2: sees the figures of those counted at R2 */
	return atomic_load_explicit(&board->done, memory_order_acquire);
}

void board_dismiss(struct board *board)
{
	/* relaxed: a flag, nothing is read on the strength of it */
	atomic_store_explicit(&board->dismissed, 1, memory_order_relaxed);
}

void board_await_dismissal(struct board *board)
{
	/* relaxed: as board_dismiss() */
	while (atomic_load_explicit(&board->dismissed, memory_order_relaxed) ==
	       0)
		nap();
}

void board_note_commit(struct board *board, uint32_t news, uint64_t ns)
{
	/* R3: publishes that the commit returned to A3 */
	atomic_store_explicit(&board->commit_ns[news], ns,
			      memory_order_release);
}

uint64_t board_commit_ns(struct board *board, uint32_t news)
{
	/* A3: what follows is after the commit returned at R3 */
	return atomic_load_explicit(&board->commit_ns[news],
				    memory_order_acquire);
}

void board_news_key(uint32_t news, char out[32])
{
	snprintf(out, 32, "news.%06u", news + 1);
}

void board_news_vector(uint32_t news, float *out)
{
	textvec_random(0x6e657773 + (uint64_t)news, out);
}
