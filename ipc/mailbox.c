/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox.h"
#include "limit.h"
#include "lock.h"
#include "mapping.h"
#include "point.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define TABLE_AT  UINT64_C(4096)
#define BODIES_AT (UINT64_C(1) << 20)
#define ALL_BYTES (BODIES_AT + (uint64_t)MAILBOX_COUNT * MAILBOX_BYTES)

static_assert(TABLE_AT + MAILBOX_COUNT * sizeof(struct mailbox) <= BODIES_AT,
	      "the table ends before the bodies");
static_assert(sizeof(struct post_office) <= TABLE_AT, "office before table");

enum { PHASE_BITS = 3, PHASE_MASK = 7 };

/* ---- all ---------------------------------------------------------------- */

uint64_t mailboxes_bytes(void)
{
	return ALL_BYTES;
}

int mailboxes_create(int fd, uint64_t at)
{
	unsigned char uuid[MAILBOX_UUID_BYTES];
	int err = mapping_allocate(fd, at, BODIES_AT);

	if (err)
		return err;
	if (ftruncate(fd, (off_t)(at + ALL_BYTES)) ||
	    getrandom(uuid, sizeof uuid, 0) < 0 ||
	    pwrite(fd, uuid, sizeof uuid, (off_t)at) < 0)
		return errno;
	return 0;
}

int mailboxes_attach(struct mailboxes *mailboxes, int fd, uint64_t at)
{
	struct stat st;
	unsigned char *map;

	if (fstat(fd, &st))
		return errno;
	if ((uint64_t)st.st_size < at + ALL_BYTES)
		return EBADMSG;
	map = mapping_apart(fd, at, ALL_BYTES);
	if (!map)
		return errno;
	mailboxes->office = (struct post_office *)(void *)map;
	mailboxes->boxes = (struct mailbox *)(void *)(map + TABLE_AT);
	mailboxes->bodies = (_Atomic uint64_t *)(void *)(map + BODIES_AT);
	mailboxes->at = at;
	mailboxes_disown(mailboxes, fd);
	return 0;
}

void mailboxes_detach(struct mailboxes *mailboxes)
{
	if (mailboxes->office)
		munmap(mailboxes->office, ALL_BYTES);
	mailboxes->office = NULL;
}

void mailboxes_disown(struct mailboxes *mailboxes, int fd)
{
	mailboxes->fd = fd;
	for (int i = 0; i < MAILBOX_COUNT / 64; i++) {
		/* relaxed: nobody else uses them yet */
		atomic_store_explicit(&mailboxes->owned[i], 0,
				      memory_order_relaxed);
		atomic_store_explicit(&mailboxes->busy[i], 0,
				      memory_order_relaxed);
	}
}

static uint64_t bit_of(uint32_t box)
{
	return UINT64_C(1) << (box % 64);
}

static _Atomic uint64_t *word_of(const struct mailboxes *mailboxes,
				 uint32_t box)
{
	return &mailboxes->boxes[box].word;
}

static uint64_t word_made(uint64_t number, enum mailbox_phase phase)
{
	return number << PHASE_BITS | (uint64_t)phase;
}

/* ---- sleeping ----------------------------------------------------------- */

static void box_call(const struct mailboxes *mailboxes, uint32_t box)
{
	_Atomic uint32_t *calls = &mailboxes->boxes[box].calls;

	/* M3: what was done before the call is seen by who is called */
	atomic_fetch_add_explicit(calls, 1, memory_order_release);
	(void)syscall(SYS_futex, calls, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint32_t mailbox_calls(const struct mailboxes *mailboxes, uint32_t box)
{
	/* M3: whatever was done before it is seen */
	return atomic_load_explicit(&mailboxes->boxes[box].calls,
				    memory_order_acquire);
}

void mailbox_wait(struct mailboxes *mailboxes, uint32_t box, uint32_t calls,
		  uint64_t timeout_ns)
{
	struct timespec timeout = {(time_t)(timeout_ns / 1000000000),
				   (long)(timeout_ns % 1000000000)};

	(void)syscall(SYS_futex, &mailboxes->boxes[box].calls, FUTEX_WAIT,
		      calls, &timeout, NULL, 0);
}

/* ---- posters ------------------------------------------------------------ */

static void limit_raise(struct mailboxes *mailboxes, uint32_t to)
{
	_Atomic uint32_t *word = &mailboxes->office->limit;
	uint32_t limit = atomic_load_explicit(word, memory_order_relaxed);

	while (limit < to && !atomic_compare_exchange_weak_explicit(
				 word, &limit, to, memory_order_release,
				 memory_order_relaxed))
		;
}

static uint64_t body_at(const struct mailboxes *mailboxes, uint32_t box)
{
	return mailboxes->at + BODIES_AT + (uint64_t)box * MAILBOX_BYTES;
}

/* Makes it this process's, with its request's room allocated. */
static int box_own(struct mailboxes *mailboxes, uint32_t box)
{
	struct limit limit;
	int err =
	    lock_take(mailboxes->fd, MAILBOX_LOCK + box, LOCK_EXCLUSIVE, 0);

	if (!err) {
		limit_enter(&limit);
		err = mapping_allocate(mailboxes->fd, body_at(mailboxes, box),
				       MAILBOX_BYTES);
		limit_leave(&limit);
		if (err)
			lock_release(mailboxes->fd, MAILBOX_LOCK + box);
	}
	if (err)
		return err;
	atomic_fetch_or_explicit(&mailboxes->owned[box / 64], bit_of(box),
				 memory_order_release);
	atomic_store_explicit(&mailboxes->boxes[box].pid, (uint32_t)getpid(),
			      memory_order_relaxed);
	limit_raise(mailboxes, box + 1);
	return 0;
}

/* 1 if it is empty, or could be made so: nobody waits for its answer. */
static int box_empty(struct mailboxes *mailboxes, uint32_t box)
{
	_Atomic uint64_t *word = word_of(mailboxes, box);
	uint64_t seen = atomic_load_explicit(word, memory_order_acquire);

	switch (seen & PHASE_MASK) {
	case MAILBOX_EMPTY: return 1;
	case MAILBOX_TAKEN: return 0;
	default:
		return atomic_compare_exchange_strong_explicit(
		    word, &seen, seen & ~(uint64_t)PHASE_MASK,
		    memory_order_acq_rel, memory_order_relaxed);
	}
}

/* For the calling thread, if it is empty; EAGAIN if it cannot be had. */
static int box_try(struct mailboxes *mailboxes, uint32_t box, int owned)
{
	_Atomic uint64_t *busy = &mailboxes->busy[box / 64];
	int err = 0;

	/* acquire and release: threads of this process hand it on */
	if (atomic_fetch_or_explicit(busy, bit_of(box), memory_order_acq_rel) &
	    bit_of(box))
		return EAGAIN;
	if (!owned)
		err = box_own(mailboxes, box);
	if (!err && !box_empty(mailboxes, box))
		err = EAGAIN;
	if (err)
		atomic_fetch_and_explicit(busy, ~bit_of(box),
					  memory_order_acq_rel);
	return err;
}

/* One of those that this process owns already, or not. */
static int box_find(struct mailboxes *mailboxes, int owned, uint32_t *box)
{
	for (uint32_t i = 0; i < MAILBOX_COUNT; i++) {
		/* a bit is set by who has it in `busy`, and never cleared */
		uint64_t mine = atomic_load_explicit(&mailboxes->owned[i / 64],
						     memory_order_acquire) &
				bit_of(i);
		int err;

		if ((mine != 0) != owned)
			continue;
		err = box_try(mailboxes, i, owned);
		if (!err)
			*box = i;
		if (err != EAGAIN)
			return err;
	}
	return ENFILE;
}

int mailbox_take(struct mailboxes *mailboxes, uint32_t *box)
{
	int err = box_find(mailboxes, 1, box);

	return err == ENFILE ? box_find(mailboxes, 0, box) : err;
}

void mailbox_give(struct mailboxes *mailboxes, uint32_t box)
{
	atomic_fetch_and_explicit(&mailboxes->busy[box / 64], ~bit_of(box),
				  memory_order_acq_rel);
}

/*
 * Requests are copied word by word: a leader may be copying one out that was
 * withdrawn, while the next is copied in.  It sees that afterwards.
 */
static _Atomic uint64_t *body_of(const struct mailboxes *mailboxes,
				 uint32_t box)
{
	return mailboxes->bodies + (size_t)box * (MAILBOX_BYTES / 8);
}

static void copy_in(_Atomic uint64_t *to, const unsigned char *from,
		    uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes / 8; i++) {
		uint64_t word;

		memcpy(&word, from + (size_t)i * 8, 8);
		/* relaxed: published by M1 */
		atomic_store_explicit(&to[i], word, memory_order_relaxed);
	}
}

static void copy_out(unsigned char *to, const _Atomic uint64_t *from,
		     uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes / 8; i++) {
		/* relaxed: acquired by M1 */
		uint64_t word =
		    atomic_load_explicit(&from[i], memory_order_relaxed);

		memcpy(to + (size_t)i * 8, &word, 8);
	}
}

uint64_t mailbox_post(struct mailboxes *mailboxes, uint32_t box,
		      const void *request, uint32_t bytes)
{
	struct mailbox *to = &mailboxes->boxes[box];
	uint64_t number =
	    (atomic_load_explicit(&to->word, memory_order_relaxed) >>
	     PHASE_BITS) +
	    1;

	atomic_thread_fence(memory_order_release); /* M1: a withdrawal first */
	copy_in(body_of(mailboxes, box), request, bytes);
	/* relaxed: M1 publishes both */
	atomic_store_explicit(&to->bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&to->hash, XXH3_64bits(request, bytes),
			      memory_order_relaxed);
	point("post-before");
	/* M1: publishes the request */
	atomic_store_explicit(&to->word, word_made(number, MAILBOX_POSTED),
			      memory_order_release);
	point("posted");
	return number;
}

enum mailbox_phase mailbox_phase(const struct mailboxes *mailboxes,
				 uint32_t box, uint64_t number)
{
	/* M2: acquires the answer */
	uint64_t word =
	    atomic_load_explicit(word_of(mailboxes, box), memory_order_acquire);

	if (word >> PHASE_BITS != number)
		return MAILBOX_EMPTY;
	return (enum mailbox_phase)(word & PHASE_MASK);
}

int mailbox_withdraw(struct mailboxes *mailboxes, uint32_t box, uint64_t number)
{
	uint64_t posted = word_made(number, MAILBOX_POSTED);

	return atomic_compare_exchange_strong_explicit(
	    word_of(mailboxes, box), &posted, word_made(number, MAILBOX_EMPTY),
	    memory_order_acq_rel, memory_order_relaxed);
}

void mailbox_read(struct mailboxes *mailboxes, uint32_t box, void *answer)
{
	memcpy(answer, mailboxes->boxes[box].answer, MAILBOX_ANSWER_BYTES);
	mailbox_clear(mailboxes, box);
}

void mailbox_clear(struct mailboxes *mailboxes, uint32_t box)
{
	_Atomic uint64_t *word = word_of(mailboxes, box);

	atomic_store_explicit(word,
			      atomic_load_explicit(word, memory_order_relaxed) &
				  ~(uint64_t)PHASE_MASK,
			      memory_order_release);
}

/* ---- the leader --------------------------------------------------------- */

uint32_t mailbox_limit(const struct mailboxes *mailboxes)
{
	uint32_t limit = atomic_load_explicit(&mailboxes->office->limit,
					      memory_order_acquire);

	return limit <= MAILBOX_COUNT ? limit : MAILBOX_COUNT;
}

uint32_t mailbox_start(const struct mailboxes *mailboxes)
{
	return atomic_load_explicit(&mailboxes->office->start,
				    memory_order_relaxed);
}

void mailbox_start_next(struct mailboxes *mailboxes, uint32_t box)
{
	/* relaxed: any value will do */
	atomic_store_explicit(&mailboxes->office->start, box,
			      memory_order_relaxed);
}

uint64_t mailbox_look(const struct mailboxes *mailboxes, uint32_t box,
		      enum mailbox_phase phase)
{
	uint64_t word =
	    atomic_load_explicit(word_of(mailboxes, box), memory_order_acquire);

	return (word & PHASE_MASK) == (uint64_t)phase ? word >> PHASE_BITS : 0;
}

int mailbox_any(const struct mailboxes *mailboxes, enum mailbox_phase phase)
{
	uint32_t limit = mailbox_limit(mailboxes);

	for (uint32_t i = 0; i < limit; i++)
		if (mailbox_look(mailboxes, i, phase))
			return 1;
	return 0;
}

uint32_t mailbox_collect(struct mailboxes *mailboxes, uint32_t box, void *room,
			 uint64_t *number)
{
	struct mailbox *from = &mailboxes->boxes[box];
	/* M1: acquires the request */
	uint64_t word = atomic_load_explicit(&from->word, memory_order_acquire);
	uint64_t hash = atomic_load_explicit(&from->hash, memory_order_relaxed);
	uint32_t bytes =
	    atomic_load_explicit(&from->bytes, memory_order_relaxed);

	*number = 0;
	if ((word & PHASE_MASK) != MAILBOX_POSTED)
		return 0;
	if (bytes > MAILBOX_BYTES || bytes % 8)
		bytes = 0;
	copy_out(room, body_of(mailboxes, box), bytes);
	atomic_thread_fence(memory_order_acquire); /* M1: loads before this */
	point("collecting");
	/* M1: the request was not withdrawn while it was copied */
	if (!atomic_compare_exchange_strong_explicit(
		&from->word, &word,
		word_made(word >> PHASE_BITS, MAILBOX_TAKEN),
		memory_order_acq_rel, memory_order_relaxed))
		return 0;
	*number = word >> PHASE_BITS;
	point("taken");
	return XXH3_64bits(room, bytes) == hash ? bytes : 0;
}

void mailbox_answer(struct mailboxes *mailboxes, uint32_t box, uint64_t number,
		    enum mailbox_phase phase, const void *answer)
{
	uint64_t taken = word_made(number, MAILBOX_TAKEN);

	if (answer)
		memcpy(mailboxes->boxes[box].answer, answer,
		       MAILBOX_ANSWER_BYTES);
	point("answering");
	/* M2: publishes the answer; any other word is somebody's rubbish */
	if (atomic_compare_exchange_strong_explicit(
		word_of(mailboxes, box), &taken, word_made(number, phase),
		memory_order_acq_rel, memory_order_relaxed))
		box_call(mailboxes, box);
	point("answered");
}

/* Figures for people, changed by who has the writer lock: relaxed. */
static void add(_Atomic uint64_t *word, uint64_t more)
{
	atomic_store_explicit(
	    word, atomic_load_explicit(word, memory_order_relaxed) + more,
	    memory_order_relaxed);
}

void mailbox_count_orphan(struct mailboxes *mailboxes)
{
	add(&mailboxes->office->orphans, 1);
}

void mailbox_count(struct mailboxes *mailboxes, uint64_t requests)
{
	struct post_office *office = mailboxes->office;

	add(&office->groups, 1);
	add(&office->requests, requests);
	if (requests >
	    atomic_load_explicit(&office->largest, memory_order_relaxed))
		atomic_store_explicit(&office->largest, requests,
				      memory_order_relaxed);
}

void mailbox_wake_heir(struct mailboxes *mailboxes)
{
	uint32_t limit = mailbox_limit(mailboxes);
	uint32_t start = mailbox_start(mailboxes);

	for (uint32_t i = 0; i < limit; i++) {
		uint32_t box = (start + i) % limit;

		if (mailbox_look(mailboxes, box, MAILBOX_POSTED)) {
			box_call(mailboxes, box);
			return;
		}
	}
}

uint32_t mailbox_waiting(const struct mailboxes *mailboxes, uint32_t box)
{
	/* relaxed, the pid too: for people */
	uint64_t mine = atomic_load_explicit(&mailboxes->owned[box / 64],
					     memory_order_relaxed);

	if (!mailbox_look(mailboxes, box, MAILBOX_POSTED) ||
	    (!(mine & bit_of(box)) &&
	     !lock_is_held(mailboxes->fd, MAILBOX_LOCK + box)))
		return 0;
	return atomic_load_explicit(&mailboxes->boxes[box].pid,
				    memory_order_relaxed);
}
