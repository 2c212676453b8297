/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t slots_bytes(void)
{
	return SLOTS_OFFSET + (uint64_t)SLOT_COUNT * sizeof(struct slot);
}

/*
 * Maps the file through a description of its own: a mapping that a forked
 * child inherits holds its description open, and the locks must not be on
 * that.  Without /proc the child keeps them until it ends or unmaps.
 */
static void *map_apart(int fd)
{
	char path[32];
	void *at;
	int apart;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	apart = open(path, O_RDWR | O_CLOEXEC);
	at = mmap(NULL, slots_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
		  apart < 0 ? fd : apart, 0);
	if (apart >= 0) {
		int err = errno;

		close(apart);
		errno = err;
	}
	return at;
}

static int slots_map(struct slots *slots, int fd)
{
	void *at = map_apart(fd);

	if (at == MAP_FAILED)
		return errno;
	(void)madvise(at, slots_bytes(), MADV_DONTDUMP);
	memset(slots->taken, 0, sizeof slots->taken);
	slots->control = at;
	slots->table =
	    (struct slot *)(void *)((unsigned char *)at + SLOTS_OFFSET);
	slots->fd = fd;
	return pthread_mutex_init(&slots->mutex, NULL);
}

int slots_create(struct slots *slots, int fd, const unsigned char *uuid)
{
	int err = posix_fallocate(fd, 0, (off_t)slots_bytes());

	if (!err)
		err = slots_map(slots, fd);
	if (err)
		return err;
	memcpy(slots->control->uuid, uuid, CONTROL_UUID_BYTES);
	slots->control->slot_count = SLOT_COUNT;
	slots->control->layout = CONTROL_LAYOUT;
	slots->control->magic = CONTROL_MAGIC;
	return 0;
}

int slots_attach(struct slots *slots, int fd)
{
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return errno;
	if (st.st_size < (off_t)slots_bytes())
		return EBADMSG;
	err = slots_map(slots, fd);
	if (err)
		return err;
	if (slots->control->magic != CONTROL_MAGIC)
		err = EBADMSG;
	else if (slots->control->layout != CONTROL_LAYOUT ||
		 slots->control->slot_count != SLOT_COUNT)
		err = EPROTO;
	if (!err)
		return 0;
	slots->fd = -1; /* the caller's still */
	slots_detach(slots);
	return err;
}

void slots_detach(struct slots *slots)
{
	if (!slots->control)
		return;
	munmap(slots->control, slots_bytes());
	if (slots->fd >= 0)
		close(slots->fd);
	pthread_mutex_destroy(&slots->mutex);
	slots->control = NULL;
}

/* The number of slots to look at, range-checked: any process may store it. */
static uint32_t slot_limit(const struct slots *slots)
{
	uint32_t limit = atomic_load_explicit(&slots->control->slot_limit,
					      memory_order_acquire);

	return limit <= SLOT_COUNT ? limit : SLOT_COUNT;
}

static void limit_raise(struct slots *slots, uint32_t to)
{
	_Atomic uint32_t *word = &slots->control->slot_limit;
	uint32_t limit = atomic_load_explicit(word, memory_order_relaxed);

	while (limit < to && !atomic_compare_exchange_weak_explicit(
				 word, &limit, to, memory_order_seq_cst,
				 memory_order_relaxed))
		;
}

static int taken_here(const struct slots *slots, uint32_t index)
{
	return slots->taken[index / 64] >> (index % 64) & 1;
}

int slot_take(struct slots *slots, uint32_t *index)
{
	int err = ENFILE;

	pthread_mutex_lock(&slots->mutex);
	for (uint32_t i = 0; i < SLOT_COUNT && err == ENFILE; i++) {
		if (taken_here(slots, i))
			continue;
		err = lock_take(slots->fd, SLOT_LOCK + i, LOCK_EXCLUSIVE, 0);
		if (err == EAGAIN) {
			err = ENFILE;
			continue;
		}
		if (err)
			break;
		slots->taken[i / 64] |= UINT64_C(1) << (i % 64);
		slot_leave(slots, i); /* a dead owner's number */
		atomic_store_explicit(&slots->table[i].pid, (uint32_t)getpid(),
				      memory_order_relaxed);
		limit_raise(slots, i + 1);
		*index = i;
	}
	pthread_mutex_unlock(&slots->mutex);
	return err;
}

void slot_give(struct slots *slots, uint32_t index)
{
	slot_leave(slots, index);
	atomic_store_explicit(&slots->table[index].pid, 0,
			      memory_order_relaxed);
	pthread_mutex_lock(&slots->mutex);
	lock_release(slots->fd, SLOT_LOCK + index);
	slots->taken[index / 64] &= ~(UINT64_C(1) << (index % 64));
	pthread_mutex_unlock(&slots->mutex);
}

/* Clears the slot if its byte is free, that is if its owner is dead. */
static int slot_reap(struct slots *slots, uint32_t index)
{
	int dead;

	pthread_mutex_lock(&slots->mutex);
	dead = !taken_here(slots, index) &&
	       !lock_take(slots->fd, SLOT_LOCK + index, LOCK_EXCLUSIVE, 0);
	if (dead) {
		slot_leave(slots, index);
		lock_release(slots->fd, SLOT_LOCK + index);
	}
	pthread_mutex_unlock(&slots->mutex);
	return dead;
}

uint64_t slot_oldest(struct slots *slots, uint64_t newest)
{
	uint64_t oldest = newest;
	uint32_t limit;

	atomic_thread_fence(memory_order_seq_cst); /* S1: pairs slot_enter */
	limit = slot_limit(slots);
	for (uint32_t i = 0; i < limit; i++) {
		/* S2: acquires the end of the reader's loads */
		uint64_t word = atomic_load_explicit(&slots->table[i].snapshot,
						     memory_order_acquire);

		if (!word || word - 1 >= oldest || slot_reap(slots, i))
			continue;
		oldest = word - 1;
	}
	return oldest;
}

uint32_t slot_used(struct slots *slots)
{
	uint32_t limit = slot_limit(slots);
	uint32_t used = 0;

	pthread_mutex_lock(&slots->mutex);
	for (uint32_t i = 0; i < limit; i++)
		used += atomic_load_explicit(&slots->table[i].snapshot,
					     memory_order_relaxed) &&
			(taken_here(slots, i) ||
			 lock_is_held(slots->fd, SLOT_LOCK + i));
	pthread_mutex_unlock(&slots->mutex);
	return used;
}
