/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"
#include "lock.h"
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(SLOT_NAME_BYTES % 8 == 0, "a name is whole words");

uint64_t slots_bytes(void)
{
	uint64_t bytes = SLOTS_OFFSET +
			 (uint64_t)SLOT_COUNT * sizeof(struct slot) +
			 JOURNAL_COUNT * sizeof(struct journal);

	/* what follows is mapped by itself */
	return (bytes + SLOTS_OFFSET - 1) / SLOTS_OFFSET * SLOTS_OFFSET;
}

static int slots_map(struct slots *slots, int fd)
{
	void *at = mapping_apart(fd, 0, slots_bytes());

	if (!at)
		return errno;
	memset(slots->taken, 0, sizeof slots->taken);
	slots->control = at;
	slots->table =
	    (struct slot *)(void *)((unsigned char *)at + SLOTS_OFFSET);
	slots->journals = (struct journal *)(void *)(slots->table + SLOT_COUNT);
	slots->fd = fd;
	slots_name(slots, NULL);
	return pthread_mutex_init(&slots->mutex, NULL);
}

/* The program's name, as it stands now: servers change it in a child. */
static void program_name(char *name)
{
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? 0 : read(fd, name, SLOT_NAME_BYTES - 1);

	if (fd >= 0)
		close(fd);
	if (bytes <= 0) {
		snprintf(name, SLOT_NAME_BYTES, "%s",
			 program_invocation_short_name);
		return;
	}
	name[bytes] = 0;
	name[strcspn(name, "\n")] = 0;
}

void slots_name(struct slots *slots, const char *name)
{
	struct stat st;

	memset(slots->name, 0, sizeof slots->name);
	if (name)
		strncpy(slots->name, name, SLOT_NAME_BYTES - 1);
	else
		program_name(slots->name);
	slots->pid = (uint32_t)getpid();
	slots->pid_namespace =
	    stat("/proc/self/ns/pid", &st) ? 0 : (uint64_t)st.st_ino;
}

void slot_name_store(_Atomic uint64_t *words, const char *name)
{
	uint64_t from[SLOT_NAME_BYTES / 8];

	memcpy(from, name, sizeof from);
	for (size_t i = 0; i < SLOT_NAME_BYTES / 8; i++)
		atomic_store_explicit(&words[i], from[i], memory_order_relaxed);
}

void slot_name_load(const _Atomic uint64_t *words, char *name)
{
	uint64_t to[SLOT_NAME_BYTES / 8];

	for (size_t i = 0; i < SLOT_NAME_BYTES / 8; i++)
		to[i] = atomic_load_explicit(&words[i], memory_order_relaxed);
	memcpy(name, to, sizeof to);
	name[SLOT_NAME_BYTES - 1] = 0;
}

/* relaxed: all of it is for people. */
static void slot_sign(const struct slots *slots, struct slot *slot,
		      enum slot_role role)
{
	slot_name_store(slot->name, slots->name);
	atomic_store_explicit(&slot->pid_namespace, slots->pid_namespace,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->tid, (uint32_t)gettid(),
			      memory_order_relaxed);
	atomic_store_explicit(&slot->role, role, memory_order_relaxed);
	atomic_store_explicit(&slot->pid, (uint32_t)getpid(),
			      memory_order_relaxed);
}

void slots_writer_enter(struct slots *slots)
{
	struct slot *writer = &slots->control->writer;
	struct timespec now;

	slot_sign(slots, writer, SLOT_WRITE);
	/* relaxed: a figure; W is held */
	atomic_fetch_add_explicit(&writer->count, 1, memory_order_relaxed);
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store_explicit(&slots->control->writer_since_ns,
			      (uint64_t)now.tv_sec * 1000000000 +
				  (uint64_t)now.tv_nsec,
			      memory_order_relaxed);
}

uint64_t slots_writer_count(const struct slots *slots)
{
	return atomic_load_explicit(&slots->control->writer.count,
				    memory_order_relaxed);
}

void slots_writer_leave(struct slots *slots)
{
	atomic_store_explicit(&slots->control->writer_since_ns, 0,
			      memory_order_relaxed);
	atomic_store_explicit(&slots->control->writer.pid, 0,
			      memory_order_relaxed);
}

int slots_create(struct slots *slots, int fd, const unsigned char *uuid)
{
	int err = mapping_allocate(fd, 0, slots_bytes());

	if (!err)
		err = slots_map(slots, fd);
	if (err)
		return err;
	memcpy(slots->control->uuid, uuid, CONTROL_UUID_BYTES);
	slots->control->slot_count = SLOT_COUNT;
	slots->control->layout = CONTROL_LAYOUT;
	slots->control->slow_ns = CONTROL_SLOW_NS;
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
	slots->fd = -1;
	pthread_mutex_destroy(&slots->mutex);
	slots->control = NULL;
}

/* The number of slots to look at, range-checked: any process may store it. */
uint32_t slots_limit(const struct slots *slots)
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
		slot_sign(slots, &slots->table[i], SLOT_READ);
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
	uint32_t index;

	return slot_oldest_of(slots, newest, &index);
}

uint64_t slot_oldest_of(struct slots *slots, uint64_t newest, uint32_t *index)
{
	uint64_t oldest = newest;
	uint32_t limit;

	*index = SLOT_NONE;
	atomic_thread_fence(memory_order_seq_cst); /* S1: pairs slot_enter */
	limit = slots_limit(slots);
	for (uint32_t i = 0; i < limit; i++) {
		/* S2: acquires the end of the reader's loads */
		uint64_t word = atomic_load_explicit(&slots->table[i].snapshot,
						     memory_order_acquire);

		if (!word || word - 1 >= oldest || slot_reap(slots, i))
			continue;
		oldest = word - 1;
		*index = i;
	}
	return oldest;
}

static int is_held(struct slots *slots, uint32_t index)
{
	int held;

	pthread_mutex_lock(&slots->mutex);
	held = taken_here(slots, index) ||
	       lock_is_held(slots->fd, SLOT_LOCK + index);
	pthread_mutex_unlock(&slots->mutex);
	return held;
}

/* Whether the read that was open in a slot is over. */
static int slot_is_past(struct slots *slots, uint32_t index, uint64_t count)
{
	const struct slot *slot = &slots->table[index];

	/* S2: acquires the end of the reader's loads */
	return !atomic_load_explicit(&slot->snapshot, memory_order_acquire) ||
	       atomic_load_explicit(&slot->count, memory_order_acquire) !=
		   count ||
	       !is_held(slots, index);
}

int slots_pass(struct slots *slots, uint32_t timeout_ms)
{
	const struct timespec pause = {0, 1000000};
	uint32_t limit;

	atomic_thread_fence(memory_order_seq_cst); /* S3: pairs slot_enter */
	limit = slots_limit(slots);
	for (uint32_t i = 0; i < limit; i++) {
		uint64_t count = atomic_load_explicit(&slots->table[i].count,
						      memory_order_relaxed);

		while (!slot_is_past(slots, i, count)) {
			if (!timeout_ms--)
				return ETIMEDOUT;
			nanosleep(&pause, NULL);
		}
	}
	return 0;
}

void slot_look(const struct slots *slots, uint32_t index,
	       struct slot_owner *out)
{
	const struct slot *slot =
	    index == SLOT_NONE ? &slots->control->writer : &slots->table[index];

	/* relaxed: figures, which may be of two owners at worst */
	*out = (struct slot_owner){
	    .snapshot =
		atomic_load_explicit(&slot->snapshot, memory_order_relaxed),
	    .count = atomic_load_explicit(&slot->count, memory_order_relaxed),
	    .pid = atomic_load_explicit(&slot->pid, memory_order_relaxed),
	    .tid = atomic_load_explicit(&slot->tid, memory_order_relaxed),
	    .role = atomic_load_explicit(&slot->role, memory_order_relaxed),
	    .pid_namespace = atomic_load_explicit(&slot->pid_namespace,
						  memory_order_relaxed)};
	for (int i = 0; i < SLOT_TALLY_COUNT; i++)
		out->tally[i] =
		    atomic_load_explicit(&slot->tally[i], memory_order_relaxed);
	slot_name_load(slot->name, out->name);
}

void slot_peek(struct slots *slots, uint32_t index, struct slot_owner *out)
{
	slot_look(slots, index, out);
	out->is_held = index != SLOT_NONE && is_held(slots, index);
}

uint32_t slot_used(struct slots *slots)
{
	uint32_t limit = slots_limit(slots);
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
