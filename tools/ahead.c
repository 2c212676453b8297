/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead: a packed file, read and unpacked by a thread.
 *
 * idea
 *	Unpacking costs as much time as taking apart what it gives, so a thread
 *	does it, AHEAD_BLOCKS blocks ahead at most.  What came with one read()
 *	is handed on at once, a block need not be full: who sends a line packed
 *	may wait for an answer.  Two semaphores count the blocks that are empty
 *	and those that are full; whose turn a block is says which side may
 *	touch it.
 *
 * progress
 *	The caller waits for bytes and looks every AHEAD_WAIT_NS whether a
 *	signal asked it to stop.  The thread takes no signals.  It waits in
 *	poll() for bytes or for `wake`, which ahead_stop() makes readable, so
 *	it ends though a pipe is silent.
 *
 * limits
 *	AHEAD_BLOCKS MiB, and what the unpacker needs: up to 128 MiB for a zstd
 *	window of that size.
 */
#include "ahead.h"
#include "stop.h"
#include "unpack.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	AHEAD_BLOCKS = 3,
	AHEAD_BLOCK_BYTES = 1048576,
	AHEAD_RAW_BYTES = 262144,
	AHEAD_WAIT_NS = 200000000
};

struct ahead_block {
	size_t size;
	uint64_t raw_bytes;
	int is_last;
	unsigned char data[AHEAD_BLOCK_BYTES];
};

struct ahead {
	/* fixed while the thread runs */
	const char *name;
	int fd;
	int wake;
	pthread_t thread;
	int has_thread;
	/* of both */
	atomic_int is_stopping;
	sem_t empty, full;
	struct ahead_block blocks[AHEAD_BLOCKS];
	struct fault fault; /* set before the last block is handed on */
	/* the thread's own */
	struct unpack unpack;
	uint64_t limit; /* bytes that may be read yet */
	int ended;
	uint64_t raw_bytes;
	size_t begin, end;
	unsigned char raw[AHEAD_RAW_BYTES];
	/* the caller's own */
	size_t index;
	int has_block;
};

/* ---- the thread --------------------------------------------------------- */

/* Waits for bytes; -1: it is to stop. */
static int ahead_wait(struct ahead *ahead)
{
	struct pollfd fds[2] = {{.fd = ahead->fd, .events = POLLIN},
				{.fd = ahead->wake, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -1;
	return fds[1].revents ? -1 : 0;
}

static int ahead_read(struct ahead *ahead)
{
	size_t room = AHEAD_RAW_BYTES;
	ssize_t got;

	if (ahead_wait(ahead))
		return -1;
	if (room > ahead->limit)
		room = (size_t)ahead->limit;
	do
		got = read(ahead->fd, ahead->raw, room);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		fault_errno(&ahead->fault, ahead->name, errno);
		ahead->fault.code = EXIT_BAD_INPUT;
		return -1;
	}
	ahead->begin = 0;
	ahead->end = (size_t)got;
	ahead->raw_bytes += (uint64_t)got;
	ahead->limit -= (uint64_t)got;
	ahead->ended = got == 0;
	return 0;
}

static int ahead_damaged(struct ahead *ahead, const char *why)
{
	return fault_set(
	    &ahead->fault, EXIT_BAD_INPUT,
	    "%s: damaged %s data near byte %llu (%s)", ahead->name,
	    unpack_name(ahead->unpack.kind),
	    (unsigned long long)(ahead->raw_bytes - ahead->end + ahead->begin),
	    why);
}

/* At the end of the file. */
static void ahead_end(struct ahead *ahead)
{
	if (!ahead->unpack.is_between)
		fault_set(&ahead->fault, EXIT_BAD_INPUT,
			  "%s: the %s data breaks off; is the file complete?",
			  ahead->name, unpack_name(ahead->unpack.kind));
}

/* Fills a block with what there is; it is the last one after an end. */
static void ahead_fill(struct ahead *ahead, struct ahead_block *block)
{
	block->size = 0;
	block->is_last = 1;
	for (;;) {
		size_t in, out = AHEAD_BLOCK_BYTES - block->size;
		const char *why;

		if (ahead->begin == ahead->end && !ahead->ended) {
			if (block->size)
				break;
			if (ahead_read(ahead))
				return;
		}
		in = ahead->end - ahead->begin;
		why = unpack_step(&ahead->unpack, ahead->raw + ahead->begin,
				  &in, block->data + block->size, &out);
		if (why) {
			ahead_damaged(ahead, why);
			break;
		}
		ahead->begin += in;
		block->size += out;
		if (!in && !out && ahead->ended) {
			ahead_end(ahead);
			break;
		}
		if (block->size == AHEAD_BLOCK_BYTES)
			break;
		if (!in && !out && ahead->begin < ahead->end) {
			ahead_damaged(ahead, "bytes follow after its end");
			break;
		}
	}
	block->raw_bytes = ahead->raw_bytes;
	block->is_last =
	    ahead->fault.code != 0 || (ahead->ended && block->size == 0);
}

static void *ahead_run(void *argument)
{
	struct ahead *ahead = argument;

	for (size_t i = 0;; i++) {
		struct ahead_block *block = &ahead->blocks[i % AHEAD_BLOCKS];
		int is_last;

		while (sem_wait(&ahead->empty))
			;
		if (atomic_load_explicit(&ahead->is_stopping,
					 memory_order_relaxed))
			return NULL;
		ahead_fill(ahead, block);
		is_last = block->is_last;
		sem_post(&ahead->full);
		if (is_last)
			return NULL;
	}
}

/* ---- the caller --------------------------------------------------------- */

static int ahead_begin(struct ahead *ahead)
{
	sigset_t all, old;

	ahead->wake = eventfd(0, EFD_CLOEXEC);
	if (ahead->wake < 0)
		return errno;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	errno = pthread_create(&ahead->thread, NULL, ahead_run, ahead);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	ahead->has_thread = errno == 0;
	return errno;
}

int ahead_start(struct ahead **out, int fd, int kind, uint64_t limit,
		const unsigned char *data, size_t size, const char *name,
		struct fault *fault)
{
	struct ahead *ahead = calloc(1, sizeof *ahead);
	int number;

	if (!ahead)
		return fault_errno(fault, name, ENOMEM);
	ahead->name = name;
	ahead->fd = fd;
	ahead->limit = limit;
	ahead->wake = -1;
	memcpy(ahead->raw, data, size);
	ahead->end = size;
	ahead->raw_bytes = size;
	sem_init(&ahead->empty, 0, AHEAD_BLOCKS);
	sem_init(&ahead->full, 0, 0);
	number =
	    unpack_begin(&ahead->unpack, kind) ? ENOMEM : ahead_begin(ahead);
	if (number) {
		ahead_stop(ahead);
		return fault_errno(fault, name, number);
	}
	*out = ahead;
	return 0;
}

static int ahead_wait_full(struct ahead *ahead, struct fault *fault)
{
	struct timespec until;

	for (;;) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += AHEAD_WAIT_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (!sem_timedwait(&ahead->full, &until))
			return 0;
		if (stop_signal())
			return fault_set(fault, 128 + stop_signal(),
					 "%s: interrupted", ahead->name);
	}
}

int ahead_next(struct ahead *ahead, const unsigned char **data, size_t *size,
	       uint64_t *raw_bytes, struct fault *fault)
{
	struct ahead_block *block = &ahead->blocks[ahead->index % AHEAD_BLOCKS];

	*size = 0;
	if (ahead->has_block && !block->is_last) {
		ahead->has_block = 0;
		ahead->index++;
		sem_post(&ahead->empty);
		block = &ahead->blocks[ahead->index % AHEAD_BLOCKS];
	}
	if (!ahead->has_block) {
		if (ahead_wait_full(ahead, fault))
			return fault->code;
		ahead->has_block = 1;
		*data = block->data;
		*size = block->size;
		*raw_bytes = block->raw_bytes;
		if (block->size)
			return 0;
	}
	if (ahead->fault.code)
		*fault = ahead->fault;
	return ahead->fault.code;
}

void ahead_stop(struct ahead *ahead)
{
	uint64_t one = 1;

	if (!ahead)
		return;
	if (ahead->has_thread) {
		atomic_store_explicit(&ahead->is_stopping, 1,
				      memory_order_relaxed);
		sem_post(&ahead->empty);
		while (write(ahead->wake, &one, sizeof one) < 0 &&
		       errno == EINTR)
			;
		pthread_join(ahead->thread, NULL);
	}
	unpack_end(&ahead->unpack);
	if (ahead->wake >= 0)
		close(ahead->wake);
	sem_destroy(&ahead->empty);
	sem_destroy(&ahead->full);
	free(ahead);
}
