/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mailboxes: how a writer hands its request to whoever has the writer lock.
 *
 * idea
 *	A writer that cannot have the writer lock puts its request into a
 *	mailbox and sleeps; the holder of the lock takes all requests there
 *	are, commits them together and answers each.  A mailbox is owned by
 *	holding an OFD lock on its byte of the control file, so that a dead
 *	owner is one whose byte is free.
 *	A request has a name that never repeats: the control segment's random
 *	number, the mailbox, and a number that grows with each request.
 *
 * layout	(control file, from mailboxes_at on)
 *	0		struct post_office
 *	4096 + 512 i	struct mailbox i
 *	BODIES + 32 Ki i	its request, allocated when it is first owned
 *	byte MAILBOX_LOCK + i is mailbox i's lock
 *
 *	word		number << 3 | phase
 *
 *	EMPTY -> POSTED		its owner, request complete
 *	POSTED -> EMPTY		its owner (withdrawn), or who owns it next
 *	POSTED -> TAKEN		the leader, by compare and exchange
 *	TAKEN -> DONE, RETRY	the leader; or the next one, for a dead one
 *	DONE, RETRY -> EMPTY	its owner, or who owns it next
 *
 * ordering
 *	M1	mailbox_post writes the request, then the word (release);
 *		mailbox_collect loads the word (acquire), then the request.
 *		A withdrawn request that is overwritten meanwhile shows in its
 *		hash, or in the word that is compared.
 *	M2	mailbox_answer writes the answer, then the word (release);
 *		mailbox_phase acquires it.
 *	M3	who answers, or lets go of the writer lock, adds to `calls`
 *		(release), then wakes; a poster loads `calls` (acquire) before
 *		it looks and tries the lock, and sleeps only if it is the same
 *		still.  So a call between the look and the sleep is not lost.
 *
 * progress
 *	mailbox_wait sleeps on `calls`, at most as long as it is told.
 *
 * crash
 *	A poster's death leaves its word in any phase: whoever owns the mailbox
 *	next empties it, and leaves TAKEN alone until a leader has answered.
 *	A leader's death leaves words TAKEN: a leader answers all it took
 *	before it lets go of the writer lock, so the next one knows those for
 *	orphans.
 *
 * limits
 *	MAILBOX_COUNT writers wait at once; more, and requests larger than
 *	MAILBOX_BYTES, wait for the writer lock itself.
 */
#ifndef IPC_MAILBOX_H
#define IPC_MAILBOX_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAILBOX_COUNT = 1024,
	MAILBOX_BYTES = 32768, /* of a request */
	MAILBOX_ANSWER_BYTES = 352,
	MAILBOX_UUID_BYTES = 16
};

#define MAILBOX_LOCK (UINT64_C(1) << 41)

enum mailbox_phase {
	MAILBOX_EMPTY = 0,
	MAILBOX_POSTED = 1,
	MAILBOX_TAKEN = 2,
	MAILBOX_DONE = 3,
	MAILBOX_RETRY = 4 /* not executed: its owner does it itself */
};

struct mailbox {
	_Alignas(128) _Atomic uint64_t word;
	_Atomic uint64_t hash;	/* of the request */
	_Atomic uint32_t bytes; /* of the request */
	_Atomic uint32_t pid;	/* for people only */
	_Atomic uint32_t calls; /* what its owner sleeps on */
	uint32_t reserved[25];
	_Alignas(128) unsigned char answer[MAILBOX_ANSWER_BYTES];
};

static_assert(sizeof(struct mailbox) == 512, "mailbox is 512 bytes");

struct post_office {
	/* fixed after create */
	unsigned char
	    uuid[MAILBOX_UUID_BYTES]; /* of this control segment, random */
	/* atomic, any process */
	_Alignas(128) _Atomic uint32_t limit; /* mailboxes ever owned */
	/* the leader's, writer lock held; read by any process */
	_Alignas(128) _Atomic uint64_t groups;
	_Atomic uint64_t requests; /* in those groups */
	_Atomic uint64_t largest;  /* requests of one group */
	_Atomic uint64_t orphans;  /* requests left by dead leaders */
	_Atomic uint32_t start;	   /* mailbox that is looked at first */
};

/* This process's side. */
struct mailboxes {
	struct post_office *office;
	struct mailbox *boxes;
	_Atomic uint64_t *bodies;
	uint64_t at; /* of the control file */
	int fd;	     /* of the control file, the slots' */
	/* Owned by this process; and of those, used by a call.  Bits. */
	_Atomic uint64_t owned[MAILBOX_COUNT / 64];
	_Atomic uint64_t busy[MAILBOX_COUNT / 64];
};

/* What they take up of the control file. */
uint64_t mailboxes_bytes(void);

/*
 * Lays the mailboxes out in a new control file, from offset `at` on.
 * Returns	0, ENOSPC or another errno.
 */
int mailboxes_create(int fd, uint64_t at);

/*
 * Maps them; fd stays the caller's and must outlive them.
 * Returns	0, EBADMSG if the file is too short, or an errno.
 */
int mailboxes_attach(struct mailboxes *mailboxes, int fd, uint64_t at);
void mailboxes_detach(struct mailboxes *mailboxes);

/* In a forked child: none is owned here; locks go through another fd. */
void mailboxes_disown(struct mailboxes *mailboxes, int fd);

/* ---- posters ------------------------------------------------------------ */

/*
 * An empty mailbox for the calling thread, until mailbox_give.
 * Returns	0, ENFILE if there is none, ENOSPC, or an errno.
 */
int mailbox_take(struct mailboxes *mailboxes, uint32_t *box);

/*
 * Gives it back; it stays this process's.  If its request was taken and not
 * answered yet, it rests until it is.
 */
void mailbox_give(struct mailboxes *mailboxes, uint32_t box);

/*
 * M1: posts a request of at most MAILBOX_BYTES bytes, a multiple of 8, in an
 * empty mailbox; returns its number.
 */
uint64_t mailbox_post(struct mailboxes *mailboxes, uint32_t box,
		      const void *request, uint32_t bytes);

/* The phase of a request; M2: the answer is there if it is DONE. */
enum mailbox_phase mailbox_phase(const struct mailboxes *mailboxes,
				 uint32_t box, uint64_t number);

/* M3: how often its owner was called; to be asked before it looks. */
uint32_t mailbox_calls(const struct mailboxes *mailboxes, uint32_t box);

/* M3: sleeps until it is called once more, at most timeout_ns. */
void mailbox_wait(struct mailboxes *mailboxes, uint32_t box, uint32_t calls,
		  uint64_t timeout_ns);

/* 1 if the request was still there and is not any more. */
int mailbox_withdraw(struct mailboxes *mailboxes, uint32_t box,
		     uint64_t number);

/* The answer of a request that is DONE, MAILBOX_ANSWER_BYTES; empties. */
void mailbox_read(struct mailboxes *mailboxes, uint32_t box, void *answer);

/* Empties a mailbox that says RETRY. */
void mailbox_clear(struct mailboxes *mailboxes, uint32_t box);

/* ---- the leader, writer lock held --------------------------------------- */

/* Mailboxes to look at, range-checked. */
uint32_t mailbox_limit(const struct mailboxes *mailboxes);

/* Where to begin this time; and the next, so that none is always the last. */
uint32_t mailbox_start(const struct mailboxes *mailboxes);
void mailbox_start_next(struct mailboxes *mailboxes, uint32_t box);

/* The number of a request that is in that phase, 0: none. */
uint64_t mailbox_look(const struct mailboxes *mailboxes, uint32_t box,
		      enum mailbox_phase phase);

/*
 * The pid, in its own PID namespace, of a living process whose request waits
 * to be taken; 0: there is none.  Makes a system call if one seems to.
 */
uint32_t mailbox_waiting(const struct mailboxes *mailboxes, uint32_t box);

/* Whether any mailbox is in that phase. */
int mailbox_any(const struct mailboxes *mailboxes, enum mailbox_phase phase);

/*
 * Copies a posted request out and takes it.
 * room		MAILBOX_BYTES
 * number	set to its number, if it was taken: 0 if not
 * Returns	its size; 0 if it is torn, which is to be answered too.
 */
uint32_t mailbox_collect(struct mailboxes *mailboxes, uint32_t box, void *room,
			 uint64_t *number);

/* M2: answers a request that was taken and wakes its poster. */
void mailbox_answer(struct mailboxes *mailboxes, uint32_t box, uint64_t number,
		    enum mailbox_phase phase, const void *answer);

/* Counts a group of so many requests. */
void mailbox_count(struct mailboxes *mailboxes, uint64_t requests);

/* Counts a request that a dead leader left. */
void mailbox_count_orphan(struct mailboxes *mailboxes);

/* M3: the lock was let go: calls one who waits, to lead next. */
void mailbox_wake_heir(struct mailboxes *mailboxes);

#endif
