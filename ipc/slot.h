/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots: how a reader says what it still needs, and how the dead are told
 * from the living.
 *
 * idea
 *	The control segment has an array of slots.  A read takes one, and
 *	while it is open publishes in it the newest commit that it is sure to
 *	see.  A writer frees only what no published snapshot can reach.
 *	A slot is owned by holding an OFD lock on its byte of the control
 *	file, so a dead owner is one whose byte is free: no pid is asked.
 *	The lock is taken after a bit in this process's private map, because
 *	two threads of one descriptor would both be given the byte.
 *	A slot also says who owns it, for people: a stalled one is named.
 *	Whoever holds the writer lock signs one more slot, which has no byte.
 *
 * layout	(control file)
 *	0		struct control
 *	4096 + 128 i	struct slot i, stored by its owner alone
 *	after them	JOURNAL_COUNT journals
 *	byte SLOT_LOCK + i is slot i's lock, far past the end of the file
 *
 * ordering
 *	S1	slot_enter stores the snapshot, then fences (seq_cst), before
 *		the reader asks LMDB for its own; slot_oldest fences (seq_cst)
 *		after the commit, before it loads the slots.  So either the
 *		writer sees the slot or the reader sees the commit.
 *	S2	slot_leave stores 0, and slot_enter a newer snapshot, after
 *		the reader's last load of the one before (release);
 *		slot_oldest acquires either.
 *
 *	S3	slots_pass fences (seq_cst) after what its caller stored, before
 *		it loads the slots.  So either it waits for a slot, or the
 *		reader that has entered it sees that.
 *
 * progress
 *	slot_enter, slot_leave: wait-free.  slot_take: system calls.
 *
 * crash
 *	A killed reader leaves its number in the slot; the next writer that
 *	is held back by it finds the byte free and clears it.
 *
 * limits
 *	SLOT_COUNT reads open at once on one machine.
 */
#ifndef IPC_SLOT_H
#define IPC_SLOT_H

#include "bell.h"
#include "journal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
	SLOT_COUNT = 16384,
	CONTROL_LAYOUT = 6, /* raised by every change of what is mapped, and of
			       what a request may be */
	CONTROL_UUID_BYTES = 16
};

enum { SLOT_NAME_BYTES = 32, JOURNAL_COUNT = 2 };

#define SLOT_NONE UINT32_MAX

/* What is counted of reading; see figures.h. */
enum slot_tally {
	TALLY_SHARED,	/* records read in place, in shared memory */
	TALLY_COPIED,	/* records read from LMDB */
	TALLY_DENIED,	/* keys and edges that a bloom filter denied */
	TALLY_FALSE,	/* that it did not, and that are not there */
	TALLY_LISTS,	/* lists of neighbours */
	TALLY_WALKS,	/* and paths */
	TALLY_INFLATED, /* bytes decompressed */
	SLOT_TALLY_COUNT
};

enum slot_role { SLOT_READ = 1, SLOT_SCAN = 2, SLOT_WRITE = 3 };

#define CONTROL_MAGIC UINT64_C(0x4c544e4345504f43) /* "COPECNTL" */
#define SLOT_LOCK     (UINT64_C(1) << 40)
#define SLOTS_OFFSET  4096

struct slot {
	_Alignas(128) _Atomic uint64_t snapshot; /* commit + 1; 0: idle */
	_Atomic uint64_t count; /* snapshots ever taken in it */
	/* for people only */
	_Atomic uint32_t pid; /* in the owner's namespace; 0: nobody's */
	_Atomic uint32_t tid;
	_Atomic uint32_t role; /* enum slot_role */
	uint32_t reserved;
	_Atomic uint64_t pid_namespace; /* its inode, 0: not known */
	_Atomic uint64_t name[SLOT_NAME_BYTES / 8];
	/* what was read through it, by all owners it ever had */
	_Atomic uint64_t tally[SLOT_TALLY_COUNT];
};

static_assert(sizeof(struct slot) == 128, "slot is two cache lines");

struct control {
	/* fixed after create */
	uint64_t magic;
	uint32_t layout;
	uint32_t slot_count;
	unsigned char uuid[CONTROL_UUID_BYTES];
	/* atomic, any process */
	_Alignas(128) _Atomic uint64_t index; /* number of the index file */
	_Atomic uint64_t generation; /* number of the data file's folder */
	_Atomic uint64_t switching;  /* to the next one; writer lock held */
	_Atomic uint64_t keep;	     /* operation records from this commit on
					are wanted by who holds GENERATION */
	_Alignas(128) _Atomic uint32_t slot_limit; /* slots ever taken */
	struct bell commits;			   /* rung after each commit */
	/* what every process is to tell of itself; atomic, any process */
	_Alignas(128) _Atomic uint64_t trace; /* subjects, a bit each */
	_Atomic uint64_t slow_ns;	  /* operations from it on; 0: none */
	_Atomic uint64_t writer_since_ns; /* CLOCK_MONOTONIC; a figure */
	/* writer lock held to change */
	struct slot writer; /* who holds it; `snapshot` is not used */
};

/* Operations that take so long are told of, unless a store is told else. */
enum { CONTROL_SLOW_NS = 100000000 };

static_assert(sizeof(struct control) <= SLOTS_OFFSET, "control fits");

/* This process's side of a control segment. */
struct slots {
	struct control *control;
	struct slot *table;
	struct journal *journals; /* JOURNAL_COUNT */
	int fd;
	pthread_mutex_t mutex; /* over taken */
	uint64_t taken[SLOT_COUNT / 64];
	char name[SLOT_NAME_BYTES]; /* that slots are signed with */
	uint64_t pid_namespace;
	uint32_t pid; /* of this process, as it attached */
};

/* Who owns a slot, copied out of it. */
struct slot_owner {
	uint64_t snapshot; /* as in the slot */
	uint64_t count;
	uint64_t tally[SLOT_TALLY_COUNT];
	uint32_t pid;
	uint32_t tid;
	uint32_t role;
	uint32_t is_held; /* by a living process; 0: not asked, too */
	uint64_t pid_namespace;
	char name[SLOT_NAME_BYTES]; /* ends in NUL; any bytes else */
};

/* A name in shared memory, which is for people; relaxed. */
void slot_name_store(_Atomic uint64_t *words, const char *name);
void slot_name_load(const _Atomic uint64_t *words, char *name);

/* Bytes of a control file. */
uint64_t slots_bytes(void);

/*
 * Makes a control segment in the empty file fd, which stays the caller's on
 * error.
 */
int slots_create(struct slots *slots, int fd, const unsigned char *uuid);

/*
 * Maps an existing one.
 * Returns	0, EBADMSG if it is none, EPROTO if another layout's, errno.
 */
int slots_attach(struct slots *slots, int fd);

/* Unmaps and closes; whatever slots are still owned go with it. */
void slots_detach(struct slots *slots);

/*
 * The name that slots taken from now on have.
 * name		NULL: the program's
 */
void slots_name(struct slots *slots, const char *name);

/*
 * Takes a slot for this process, and signs it.
 * Returns	0, ENFILE if all are taken, or an errno.
 */
int slot_take(struct slots *slots, uint32_t *index);
void slot_give(struct slots *slots, uint32_t index);

/* The writer lock was had, or is about to be released. */
void slots_writer_enter(struct slots *slots);
void slots_writer_leave(struct slots *slots);

/* Since when it is held, by CLOCK_MONOTONIC; 0: it is not. */
static inline uint64_t slots_writer_since(const struct slots *slots)
{
	return atomic_load_explicit(&slots->control->writer_since_ns,
				    memory_order_relaxed);
}

/* Times the writer lock was had. */
uint64_t slots_writer_count(const struct slots *slots);

/*
 * What a slot says, SLOT_NONE: the writer's; the owner of one that is not held
 * is of the past.
 */
void slot_look(const struct slots *slots, uint32_t index,
	       struct slot_owner *out);

/* The same, and whether it is held.  Makes a system call. */
void slot_peek(struct slots *slots, uint32_t index, struct slot_owner *out);

/* Slots that slot_peek may be asked for are below it. */
uint32_t slots_limit(const struct slots *slots);

/* S1: publishes that commits up to `snapshot` may be all this reader sees. */
static inline void slot_enter(struct slots *slots, uint32_t index,
			      uint64_t snapshot)
{
	struct slot *slot = &slots->table[index];

	/* relaxed: its owner's alone; S3: the read before is over */
	atomic_store_explicit(
	    &slot->count,
	    atomic_load_explicit(&slot->count, memory_order_relaxed) + 1,
	    memory_order_release);
	/* S2: the loads of the snapshot before, too, are before this store */
	atomic_store_explicit(&slot->snapshot, snapshot + 1,
			      memory_order_release);
	atomic_thread_fence(memory_order_seq_cst); /* S1: pairs slot_oldest */
}

/* Adds to what was read; relaxed: figures. */
static inline void slot_tell(struct slots *slots, uint32_t index,
			     enum slot_tally tally, uint64_t times)
{
	atomic_fetch_add_explicit(&slots->table[index].tally[tally], times,
				  memory_order_relaxed);
}

/* What its owner uses the slot for, and which thread of it; wait-free. */
static inline void slot_role_set(struct slots *slots, uint32_t index,
				 enum slot_role role)
{
	/* relaxed: a figure, as the thread */
	atomic_store_explicit(&slots->table[index].role, role,
			      memory_order_relaxed);
}

static inline void slot_use(struct slots *slots, uint32_t index, uint32_t tid,
			    enum slot_role role)
{
	atomic_store_explicit(&slots->table[index].tid, tid,
			      memory_order_relaxed);
	slot_role_set(slots, index, role);
}

/* S2: the reader's last load is before this store. */
static inline void slot_leave(struct slots *slots, uint32_t index)
{
	atomic_store_explicit(&slots->table[index].snapshot, 0,
			      memory_order_release);
}

/*
 * The oldest snapshot any reader may have, `newest` if there is none; with
 * the writer lock held.  Slots whose owner is dead are cleared when they lag.
 */
uint64_t slot_oldest(struct slots *slots, uint64_t newest);

/* The same, and whose it is: SLOT_NONE if nobody's. */
uint64_t slot_oldest_of(struct slots *slots, uint64_t newest, uint32_t *index);

/*
 * S3: waits until every read that is open has ended, or was refreshed.
 * Returns	0, ETIMEDOUT
 */
int slots_pass(struct slots *slots, uint32_t timeout_ms);

/* Whether a read is open in the slot, of the living or the dead. */
static inline int slot_is_open(const struct slots *slots, uint32_t index)
{
	/* relaxed: a figure */
	return atomic_load_explicit(&slots->table[index].snapshot,
				    memory_order_relaxed) != 0;
}

/* Open reads of the living, all processes; makes system calls. */
uint32_t slot_used(struct slots *slots);

#endif
