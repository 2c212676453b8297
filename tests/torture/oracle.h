/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle: what the store must say, in memory that outlives every process.
 *
 * idea
 *	One mapping is shared by all processes of the storm and no store.  A
 *	writer says in it what it is about to do before the call, and that it
 *	was done after; so whoever is killed leaves either an acknowledged
 *	stamp or one that may or may not have come to be.
 *
 *	group.acked <= stamp of the store <= group.pending, always
 *
 *	and the two are equal between calls.  They differ by at most 1.
 *	Registers have no expectation but a log: who called what, when it
 *	returned.  linear.h judges it after each round.
 *
 * crash
 *	Every word is stored before or after what it speaks of, never needs a
 *	second one, and is read by those who come later.  A log entry counts
 *	from the store of its state on.
 */
#ifndef TORTURE_ORACLE_H
#define TORTURE_ORACLE_H

#include "model.h"

#include <stdatomic.h>
#include <stdint.h>

enum count {
	COUNT_ROUNDS,
	COUNT_STARTS,
	COUNT_KILLS,
	COUNT_KILL_ALLS,
	COUNT_POINT_KILLS,
	COUNT_STOPS,
	COUNT_FORKS,
	COUNT_EXECS,
	COUNT_NAMESPACES,
	COUNT_COMMITS,
	COUNT_BUSY,
	COUNT_CONFLICTS,
	COUNT_UNKNOWN,
	COUNT_OUTCOMES,
	COUNT_SWAPS,
	COUNT_TRANSFERS,
	COUNT_LOST,
	COUNT_LOST_DONE,
	COUNT_READS,
	COUNT_PAST,
	COUNT_RECOVERIES,
	COUNT_BUILDS,
	COUNT_COMPACTIONS,
	COUNT_IMAGES,
	COUNT_DETACHES,
	COUNT_JUDGED,
	COUNT_TIRED,
	COUNT_MAX
};

enum {
	LOG_MAX = 1 << 17,
	PROCESS_MAX = 64,
	FAILURE_BYTES = 2048,
	FAILED_WRITING = 1,
	FAILED_WRITTEN = 2
};

enum log_state { LOG_NONE = 0, LOG_CALLED, LOG_RETURNED, LOG_NOT_DONE };

struct log_entry {
	uint64_t called;
	uint64_t returned;
	uint64_t value;
	uint64_t expected;
	uint32_t kind; /* enum linear_kind */
	uint32_t index;
	uint32_t process;
	_Atomic uint32_t state; /* enum log_state */
};

struct group {
	_Alignas(64) _Atomic uint64_t acked;
	_Atomic uint64_t pending;
	_Atomic uint64_t seen; /* the newest that any read has seen */
};

struct oracle {
	/* fixed before the first process */
	uint64_t seed;
	char path[256];	      /* the store */
	char slots_path[256]; /* a file; who locks byte i is writer i */
	int fd;		      /* of this mapping, for those who exec */
	/* of the round; changed while no process runs */
	int32_t process_group;
	uint64_t register_initial[REGISTERS];
	/* atomic, any process */
	_Atomic uint32_t stop;
	_Atomic uint32_t failed;
	char failure[FAILURE_BYTES];
	_Atomic uint64_t started;
	_Atomic uint64_t namespaces; /* tried: each has pids of its own */
	_Atomic uint64_t committed;  /* newest commit whose call returned */
	_Atomic uint64_t seen;	     /* newest commit that a read has seen */
	_Atomic uint64_t value;	     /* newest given to a register */
	struct group groups[GROUPS];
	_Atomic int32_t processes[PROCESS_MAX]; /* pids as /proc has them */
	_Atomic uint64_t counts[COUNT_MAX];
	_Atomic uint64_t log_count;
	struct log_entry log[LOG_MAX];
};

extern struct oracle *oracle;

/* Makes the mapping, or maps that of a descriptor; ends the process or works.
 */
void oracle_create(uint64_t seed, const char *folder);
void oracle_attach(int fd);

/* The first failure of all is kept; ends the process. */
__attribute__((format(printf, 1, 2), noreturn)) void
oracle_fail(const char *format, ...);
int oracle_has_failed(void);

static inline void oracle_count(enum count what)
{
	atomic_fetch_add_explicit(&oracle->counts[what], 1,
				  memory_order_relaxed);
}

static inline uint64_t oracle_counted(enum count what)
{
	return atomic_load_explicit(&oracle->counts[what],
				    memory_order_relaxed);
}

static inline int oracle_stops(void)
{
	return atomic_load_explicit(&oracle->stop, memory_order_relaxed) ||
	       oracle_has_failed();
}

/* Raises a word to at least `to`. */
void oracle_raise(_Atomic uint64_t *word, uint64_t to);

/* Puts this process on the list from which victims are drawn. */
void oracle_enlist(void);
uint32_t oracle_population(void);

uint64_t oracle_now(void); /* CLOCK_MONOTONIC, ns */

/*
 * An operation on a register is called; NULL if the log is full.
 * expected	of a LINEAR_CAS, else 0
 */
struct log_entry *log_call(uint32_t kind, uint32_t index, uint64_t expected,
			   uint64_t value);
void log_return(struct log_entry *entry, enum log_state state);

/* A read that saw `value`. */
void log_read(uint64_t called, uint32_t index, uint64_t value);

/* Judges the log by register and forgets it; no process runs. */
void log_judge(void);

#endif
