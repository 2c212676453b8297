/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"
#include "lock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define TRACE_ALL                                                              \
	(COP_TRACE_COMMIT | COP_TRACE_LOCK | COP_TRACE_SEARCH |                \
	 COP_TRACE_WALK | COP_TRACE_LINK | COP_TRACE_RECOVER)

/* ---- telling ------------------------------------------------------------ */

static int is_slow(const cop_store *store, uint64_t took_ns)
{
	/* relaxed: a wish */
	uint64_t slow_ns = atomic_load_explicit(&store->slots.control->slow_ns,
						memory_order_relaxed);

	return slow_ns && took_ns >= slow_ns;
}

int trace_due(const cop_store *store, enum cop_subject subject,
	      uint64_t begin_ns, uint64_t *took_ns)
{
	if (!begin_ns)
		return 0;
	*took_ns = clock_ns(CLOCK_MONOTONIC) - begin_ns;
	return trace_is_on(store, subject) || is_slow(store, *took_ns);
}

void trace_tell(cop_store *store, enum cop_subject subject, uint64_t took_ns,
		const char *format, ...)
{
	struct journal *journals = store->slots.journals;
	struct journal_record record = {.time_ns = clock_ns(CLOCK_REALTIME),
					.took_ns = took_ns,
					.pid = store->slots.pid,
					.subject = subject};
	va_list arguments;

	memcpy(record.name, store->slots.name, sizeof record.name);
	va_start(arguments, format);
	vsnprintf(record.text, sizeof record.text, format, arguments);
	va_end(arguments);
	if (trace_is_on(store, subject))
		journal_write(&journals[COP_JOURNAL_TRACE], &record);
	if (is_slow(store, took_ns))
		journal_write(&journals[COP_JOURNAL_SLOW], &record);
}

/* ---- wishes ------------------------------------------------------------- */

cop_err cop_trace_set(cop_store *store, uint32_t subjects)
{
	cop_err err = store_use(store);

	if (!err && subjects & ~(uint32_t)TRACE_ALL)
		err = error_set(COP_INVALID,
				"subjects are bits of enum cop_subject");
	if (!err)
		atomic_store_explicit(&store->slots.control->trace, subjects,
				      memory_order_relaxed);
	return err;
}

cop_err cop_trace(cop_store *store, uint32_t *subjects)
{
	cop_err err = store_use(store);

	if (!err)
		*subjects = (uint32_t)atomic_load_explicit(
		    &store->slots.control->trace, memory_order_relaxed);
	return err;
}

cop_err cop_slow_set(cop_store *store, uint64_t threshold_ns)
{
	cop_err err = store_use(store);

	if (!err)
		atomic_store_explicit(&store->slots.control->slow_ns,
				      threshold_ns, memory_order_relaxed);
	return err;
}

cop_err cop_slow(cop_store *store, uint64_t *threshold_ns)
{
	cop_err err = store_use(store);

	if (!err)
		*threshold_ns = atomic_load_explicit(
		    &store->slots.control->slow_ns, memory_order_relaxed);
	return err;
}

/* ---- what was told ------------------------------------------------------ */

/* Shows what there is from *next on; a non-zero visit ends it. */
static cop_err events_show(const struct journal *journal, uint64_t *next,
			   int32_t (*visit)(void *user,
					    const struct cop_event *event),
			   void *user)
{
	uint64_t last = journal_last(journal);
	cop_err err = 0;

	if (*next > last + 1 || !*next)
		*next = 1;
	if (last - *next + 1 > JOURNAL_RECORDS && last >= *next)
		*next = last - JOURNAL_RECORDS + 1;
	while (*next <= last && !err) {
		struct journal_record record;
		struct cop_event event;

		if (!journal_read(journal, (*next)++, &record))
			continue;
		event = (struct cop_event){.size = sizeof event,
					   .subject = (int32_t)record.subject,
					   .number = record.number,
					   .time_ns = (int64_t)record.time_ns,
					   .took_ns = record.took_ns,
					   .pid = record.pid,
					   .name = record.name,
					   .text = record.text};
		error_clear();
		err = error_answer(visit(user, &event));
	}
	return err;
}

cop_err cop_events(cop_store *store, int32_t which, uint32_t timeout_ms,
		   uint64_t *next,
		   int32_t (*visit)(void *user, const struct cop_event *event),
		   void *user)
{
	cop_err err = store_use(store);
	struct journal *journal;
	uint32_t calls;

	if (!err && (which < COP_JOURNAL_TRACE || which > COP_JOURNAL_SLOW ||
		     !next || !visit))
		err = error_set(COP_INVALID, "no such journal, or no visit");
	if (err)
		return err;
	journal = &store->slots.journals[which];
	calls = timeout_ms ? bell_listen(&journal->bell) : 0;
	if (timeout_ms && journal_last(journal) + 1 == (*next ? *next : 1) &&
	    bell_wait(&journal->bell, calls, timeout_ms * UINT64_C(1000000)) ==
		EINTR)
		return error_system(EINTR, "a signal came while waiting");
	return events_show(journal, next, visit, user);
}

/* ---- the writer lock ---------------------------------------------------- */

static void holder_look(cop_store *store, struct cop_lock *lock)
{
	uint64_t since_ns = slots_writer_since(&store->slots);
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct slot_owner owner;

	slot_peek(&store->slots, SLOT_NONE, &owner);
	lock->times = owner.count;
	lock->is_held = owner.pid && (owner.pid == store->slots.pid ||
				      lock_is_held(store->lock_fd, LOCK_W));
	if (!lock->is_held)
		return;
	lock->pid = owner.pid;
	lock->is_foreign = owner.pid_namespace != store->slots.pid_namespace;
	lock->held_ns = now_ns > since_ns ? now_ns - since_ns : 0;
	memcpy(lock->name, owner.name, sizeof lock->name);
}

/* Who waits in place `index`: first all mailboxes, then all processes; 0. */
static uint32_t waiting_pid(cop_store *store, uint32_t index)
{
	uint32_t boxes = mailbox_limit(&store->mailboxes);

	return index < boxes ? mailbox_waiting(&store->mailboxes, index)
			     : figures_waiting(&store->figures, index - boxes);
}

cop_err cop_lock_look(cop_store *store, struct cop_lock *out,
		      int32_t (*waiting)(void *user, uint32_t pid), void *user)
{
	struct cop_lock lock = {.size = sizeof lock};
	cop_err err = store_use(store);
	uint32_t places;

	if (!err && (!out || out->size != sizeof *out))
		err = error_set(COP_INVALID, "the lock's figures are of "
					     "another size");
	if (err)
		return err;
	holder_look(store, &lock);
	places =
	    mailbox_limit(&store->mailboxes) + figures_limit(&store->figures);
	for (uint32_t i = 0; i < places && !err; i++) {
		uint32_t pid = waiting_pid(store, i);

		if (!pid)
			continue;
		lock.waiting++;
		error_clear();
		if (waiting)
			err = error_answer(waiting(user, pid));
	}
	if (!err)
		*out = lock;
	return err;
}
