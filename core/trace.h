/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling of operations: those that are traced, and those that are slow.
 *
 * idea
 *	The control segment says which subjects are traced and how long is
 *	slow, to all processes at once.  An operation that is neither costs two
 *	loads and, unless slowness is off, the clock twice.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "clock.h"
#include "store.h"

/* Whether a subject is traced; relaxed: a wish, as how long is slow. */
static inline int trace_is_on(const cop_store *store, enum cop_subject subject)
{
	return (atomic_load_explicit(&store->slots.control->trace,
				     memory_order_relaxed) &
		subject) != 0;
}

/* When an operation began; 0: nobody wants to know. */
static inline uint64_t trace_begin(const cop_store *store,
				   enum cop_subject subject)
{
	return trace_is_on(store, subject) ||
		       atomic_load_explicit(&store->slots.control->slow_ns,
					    memory_order_relaxed)
		   ? clock_ns(CLOCK_MONOTONIC)
		   : 0;
}

/* Whether to tell of one that began then; *took_ns: how long it took. */
int trace_due(const cop_store *store, enum cop_subject subject,
	      uint64_t begin_ns, uint64_t *took_ns);

/* Tells of it, wherever that is wanted. */
__attribute__((format(printf, 4, 5))) void trace_tell(cop_store *store,
						      enum cop_subject subject,
						      uint64_t took_ns,
						      const char *format, ...);

#endif
