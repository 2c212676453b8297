/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"
#include "clock.h"
#include "commit.h"
#include "point.h"
#include "telling.h"
#include "retain.h"
#include "probe.h"
#include "trace.h"

#include <errno.h>

enum {
	SLICE_NS = 1000000,
	TURN_NS = 20000000, /* that maintenance keeps W for */
	PAUSE_NS = 1000000, /* for who waits to take it */
	BULK_MIN = 2048,    /* rows from which threads are worth it */
	BULK_STEP = 64,	    /* rows between two looks at the clock */
	DRAIN_STEP = 1024,
	LOOK_STEP = 4096 /* rows between two looks at the clock */
};

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory to link vectors");
}

static struct hnsw_room *writer_room(cop_store *store)
{
	if (!store->room.memory && room_open(&store->room, &store->writable))
		return NULL;
	return &store->room.hnsw;
}

void link_release(cop_store *store)
{
	room_close(&store->room);
}

/* ---- everything, by several threads ------------------------------------- */

struct linking {
	struct hnsw_bulk bulk;
	struct telling telling;
	uint32_t threads;
	_Atomic int stop;
};

/* By the calling thread alone. */
static cop_err linking_tell(struct linking *linking)
{
	uint64_t done =
	    atomic_load_explicit(&linking->bulk.next, memory_order_relaxed);

	if (done > linking->bulk.count)
		done = linking->bulk.count;
	return telling_tell(&linking->telling, "linking vectors", done,
			    linking->bulk.count, "vectors were linked");
}

static cop_err linking_work(void *user, uint32_t thread)
{
	struct linking *linking = user;
	struct room room = {0};
	cop_err err = room_open(&room, linking->bulk.segment) ? no_memory() : 0;

	while (!err &&
	       !atomic_load_explicit(&linking->stop, memory_order_relaxed) &&
	       hnsw_link_part(&linking->bulk, &room.hnsw, BULK_STEP))
		if (thread + 1 == linking->threads)
			err = linking_tell(linking);
	if (err)
		atomic_store_explicit(&linking->stop, 1, memory_order_relaxed);
	room_close(&room);
	return err;
}

static cop_err all_link(struct segment *segment, uint32_t threads, int audit,
			const struct cop_open_options *options)
{
	struct linking linking = {.telling = {options, 0}};
	struct room room = {0};
	cop_err err;
	int code;

	if (!hnsw_tail_count(segment))
		return 0;
	code = room_open(&room, segment);
	if (!code)
		code = hnsw_bulk_begin(&linking.bulk, segment, &room.hnsw);
	if (code) {
		room_close(&room);
		return no_memory();
	}
	point("link-bulk-begun");
	linking.threads = threads_for(threads, linking.bulk.count);
	err = threads_run(linking.threads, linking_work, &linking);
	hnsw_bulk_end(&linking.bulk);
	if (!err && audit)
		(void)hnsw_mend(segment, &room.hnsw);
	room_close(&room);
	return err;
}

cop_err link_all(struct segment *segment, uint32_t threads)
{
	return all_link(segment, threads, 0, NULL);
}

cop_err link_build(struct segment *segment, uint32_t threads,
		   const struct cop_open_options *options)
{
	/* threads do not see what others are just linking */
	return all_link(segment, threads, 1, options);
}

/* ---- slices ------------------------------------------------------------- */

/*
 * Frees what is out of reach.  The intent says that limbo may be in disorder:
 * after a death the dead are collected anew.
 */
static uint64_t limbo_step(cop_store *store)
{
	struct segment *segment = &store->writable;
	struct segment_header *header = segment->header;
	uint64_t commit =
	    atomic_load_explicit(&header->committed, memory_order_relaxed);
	uint64_t before = limbo_count(segment);

	if (!before || !commit)
		return 0;
	atomic_store_explicit(&header->intent.count, 0, memory_order_relaxed);
	atomic_store_explicit(&header->intent.attempt, commit,
			      memory_order_release);
	point("link-draining");
	limbo_drain(segment, slot_oldest(&store->slots, commit), DRAIN_STEP);
	atomic_store_explicit(&header->intent.attempt, 0, memory_order_release);
	return before - limbo_count(segment);
}

static int is_past(uint64_t until_ns)
{
	return clock_ns(CLOCK_MONOTONIC) >= until_ns;
}

/* Whether there is time left, and nobody waits for W. */
static int is_spare(const cop_store *store, uint64_t until_ns)
{
	return !is_past(until_ns) &&
	       !mailbox_any(&store->mailboxes, MAILBOX_POSTED);
}

/* How many were linked since there were `before`. */
static uint64_t linked_count(const cop_store *store, uint64_t before)
{
	uint64_t linked = hnsw_linked(&store->writable);

	linked = linked > before ? linked - before : 0;
	figures_count(&store->figures, FIGURE_LINKED, linked);
	return linked;
}

uint32_t link_waiting(const cop_store *store)
{
	return store->writable.header ? hnsw_tail_count(&store->writable) : 0;
}

void link_slice(cop_store *store, uint32_t before, uint32_t threads)
{
	struct segment *segment = &store->writable;
	struct hnsw_room *room;
	uint64_t begin_ns = trace_begin(store, COP_TRACE_LINK);
	uint64_t linked, until_ns, took_ns;
	uint32_t waiting, floor;

	/* not after a commit that is still to be taken back */
	if (!segment->header ||
	    atomic_load_explicit(&segment->header->intent.attempt,
				 memory_order_acquire))
		return;
	room = writer_room(store);
	linked = hnsw_linked(segment);
	until_ns = clock_ns(CLOCK_MONOTONIC) + SLICE_NS;
	floor = before > LINK_BACKLOG + LINK_TAIL ? before - LINK_BACKLOG
						  : LINK_TAIL;
	if (threads > 1 && hnsw_tail_count(segment) >= floor + BULK_MIN)
		(void)link_all(segment, threads);
	while (room && (waiting = hnsw_tail_count(segment)) &&
	       (waiting > floor || is_spare(store, until_ns)))
		(void)hnsw_link_next(segment, room);
	linked_count(store, linked);
	kd_mend(segment);
	while (
	    (limbo_count(segment) > LINK_LIMBO || is_spare(store, until_ns)) &&
	    limbo_step(store))
		;
	PROBE1(linked, hnsw_tail_count(segment));
	if (trace_due(store, COP_TRACE_LINK, begin_ns, &took_ns))
		trace_tell(store, COP_TRACE_LINK, took_ns,
			   "%u vectors wait to be linked",
			   hnsw_tail_count(segment));
}

/* ---- at somebody's wish ------------------------------------------------- */

/* Links and frees until then; returns 0 if nothing is left to do. */
static int maintain_locked(cop_store *store,
			   const struct cop_maintain_options *options,
			   uint64_t until_ns,
			   struct cop_maintain_result *result)
{
	struct segment *segment = &store->writable;
	struct hnsw_room *room = writer_room(store);
	const uint64_t before = hnsw_linked(segment);
	uint64_t freed = 0;

	if (!options->budget_ms && options->threads > 1)
		(void)link_all(segment, options->threads);
	while (room && !is_past(until_ns) && hnsw_link_next(segment, room))
		;
	result->linked += linked_count(store, before);
	kd_mend(segment);
	while (!is_past(until_ns) && (freed = limbo_step(store)))
		result->reclaimed += freed;
	result->unlinked = hnsw_tail_count(segment);
	result->waiting = limbo_count(segment);
	return (room && result->unlinked) || freed;
}

/* In turns, between which others commit. */
static cop_err maintain_turns(cop_store *store,
			      const struct cop_maintain_options *options,
			      uint64_t until_ns,
			      struct cop_maintain_result *result)
{
	const struct timespec pause = {0, PAUSE_NS};
	cop_err err = 0;
	int more = 1;

	while (!err && more) {
		uint64_t turn_ns = clock_ns(CLOCK_MONOTONIC) + TURN_NS;

		err = writer_lock(store, store->timeout_ms);
		if (err)
			return err;
		err = writer_ready(store);
		more = !err &&
		       maintain_locked(store, options,
				       turn_ns < until_ns ? turn_ns : until_ns,
				       result);
		writer_unlock(store);
		mailbox_wake_heir(&store->mailboxes);
		more = more && !is_past(until_ns);
		if (more && mailbox_any(&store->mailboxes, MAILBOX_POSTED))
			nanosleep(&pause, NULL);
	}
	return err;
}

/* Links again the next row of what was not reached; *mended is 0 at the end. */
static cop_err audit_mend(const cop_read *read, struct hnsw_audit *audit,
			  int *mended)
{
	cop_store *store = read->store;
	cop_err err = writer_lock(store, store->timeout_ms);
	struct hnsw_room *room;

	if (err)
		return err;
	err = writer_ready(store);
	room = err ? NULL : writer_room(store);
	/* not if the rows are another segment's by now */
	*mended = room && read->index->number == store->writable_number &&
		  hnsw_audit_mend(audit, &store->writable, room);
	writer_unlock(store);
	mailbox_wake_heir(&store->mailboxes);
	return err;
}

/*
 * Once through the graph: looks at it like any read, so that no commit waits,
 * and takes W for each row that it links again.
 */
static cop_err audit_round(const cop_read *read, uint64_t until_ns,
			   uint64_t *mended, uint32_t *audited)
{
	const struct segment *segment = read_segment(read);
	struct hnsw_audit audit;
	cop_err err = hnsw_audit_begin(&audit, segment) ? no_memory() : 0;
	int more = !err;

	*audited = 0;
	while (more && !is_past(until_ns)) {
		if (hnsw_audit_look(&audit, segment, LOOK_STEP))
			continue;
		err = audit_mend(read, &audit, &more);
		more = more && !err;
		*mended += (uint64_t)more;
		*audited = !err && !more;
	}
	hnsw_audit_end(&audit);
	return err;
}

static cop_err graph_audit(cop_store *store, uint64_t until_ns,
			   struct cop_maintain_result *result)
{
	cop_read *read;
	cop_err err = cop_read_begin(store, &read);
	uint64_t mended = 1;

	if (err)
		return err;
	for (int i = 0; i < HNSW_AUDITS && mended && !err; i++) {
		mended = 0;
		err = audit_round(read, until_ns, &mended, &result->audited);
		result->mended += mended;
	}
	cop_read_end(read);
	return err;
}

cop_err cop_maintain(cop_store *store,
		     const struct cop_maintain_options *options,
		     struct cop_maintain_result *result)
{
	struct cop_maintain_options wanted = {.size = sizeof wanted};
	struct cop_maintain_result done = {.size = sizeof done};
	uint64_t until_ns = UINT64_MAX;
	cop_err err = store_use(store);

	if (err)
		return err;
	if ((options && options->size != sizeof *options) ||
	    (result && result->size != sizeof *result))
		return error_set(COP_INVALID, "options or a result of another "
					      "size; set .size to its sizeof");
	if (options)
		wanted = *options;
	if (wanted.budget_ms)
		until_ns = clock_ns(CLOCK_MONOTONIC) +
			   wanted.budget_ms * UINT64_C(1000000);
	err = maintain_turns(store, &wanted, until_ns, &done);
	if (!err)
		err = graph_audit(store, until_ns, &done);
	if (!err)
		err = retain_now(store);
	if (!err && result)
		*result = done;
	return err;
}
