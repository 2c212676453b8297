/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: many processes' small writes share one transaction.
 *
 * idea
 *	Who wants to commit tries W.  If it is free, he leads: he takes his
 *	own request and all that wait in mailboxes into one LMDB transaction,
 *	one fsync, and answers them.  If it is not, he puts his request into a
 *	mailbox, tries W once more, and sleeps; either a leader answers, or
 *	he is woken to lead the next group.
 *
 * exactly once
 *	A request that is executed for another is named, and what came of it
 *	is stored in LMDB under that name by the same transaction.  A leader
 *	answers all he took before he lets go of W, so a request found taken
 *	by who has W was a dead leader's: if LMDB has its result it happened,
 *	and once LMDB is synced its poster is told; if not, it did not, and
 *	its poster is told to do it himself, alone, so that a request which
 *	kills whoever executes it kills only its own poster.
 *
 * progress
 *	Whoever leads takes all there are, up to GROUP_MAX, and begins where
 *	the one before had to stop.  So a request that is posted is in the
 *	next group, or with w > GROUP_MAX writers in one of the next
 *	w / GROUP_MAX, rounded up; it waits for the one under way, too.
 *	A sleeper looks again every 2 ms, so that the death of a leader, or
 *	of the one called to be it, costs no more.
 *
 * crash
 *	points	taken, commit-*, answering, answered: see mailbox.h
 */
#include "group.h"
#include "clock.h"
#include "link.h"
#include "commit.h"
#include "generation.h"
#include "lock.h"
#include "log.h"
#include "mailbox.h"
#include "point.h"
#include "result.h"
#include "span.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { GROUP_MAX = 256, WAIT_NS = 2000000 };

/* What a poster is told; the mailbox's answer. */
struct answer {
	int32_t err;
	uint32_t failed;
	uint64_t commit;
	uint64_t entities_put;
	uint64_t entities_deleted;
	uint64_t edges_put;
	uint64_t edges_deleted;
	uint64_t edges_skipped;
	uint64_t stubs_put;
	char words[REQUEST_WORDS];
};

static_assert(sizeof(struct answer) <= MAILBOX_ANSWER_BYTES, "answer fits");

/* ---- leading ------------------------------------------------------------ */

/* One that came in a mailbox, with a copy of its bytes. */
struct posted {
	struct request request;
	_Alignas(8) unsigned char bytes[];
};

struct group {
	cop_store *store;
	struct request *requests[GROUP_MAX];
	struct posted *posted[GROUP_MAX];
	uint32_t count;	       /* of requests */
	uint32_t posted_count; /* of those that came in mailboxes */
	_Alignas(8) unsigned char room[MAILBOX_BYTES]; /* for one of them */
};

static void answer_send(cop_store *store, const struct request *request)
{
	const struct cop_result *result = &request->result;
	unsigned char bytes[MAILBOX_ANSWER_BYTES] = {0};
	struct answer answer = {.err = request->err,
				.failed = result->failed,
				.commit = result->commit,
				.entities_put = result->entities_put,
				.entities_deleted = result->entities_deleted,
				.edges_put = result->edges_put,
				.edges_deleted = result->edges_deleted,
				.edges_skipped = result->edges_skipped,
				.stubs_put = result->stubs_put};

	memcpy(answer.words, request->words, sizeof answer.words);
	memcpy(bytes, &answer, sizeof answer);
	mailbox_answer(&store->mailboxes, request->box, request->number,
		       MAILBOX_DONE, bytes);
}

/* A request that a dead leader took: did it happen? */
static cop_err orphan_answer(cop_store *store, env_txn *txn, uint32_t box,
			     uint64_t number)
{
	struct request request = {.box = box, .number = number};
	uint64_t newest = atomic_load_explicit(
	    &store->writable.header->committed, memory_order_relaxed);
	/* he committed his group, or each of it alone, and nobody since */
	cop_err err =
	    result_find(store->env, txn, store->mailboxes.office->uuid,
			newest > GROUP_MAX ? newest - GROUP_MAX : 0, &request);

	if (!err)
		answer_send(store, &request);
	else if (err == COP_UNKNOWN || err == COP_TOO_OLD)
		mailbox_answer(&store->mailboxes, box, number, MAILBOX_RETRY,
			       NULL);
	else
		return err;
	mailbox_count_orphan(&store->mailboxes);
	log_tell(store, COP_LOG_NOTE,
		 "%s: a write that somebody took and died of %s", store->path,
		 err ? "goes back to who asked for it" : "had taken place");
	return 0;
}

/* What is told to have happened must be on disk, once for all of them. */
static cop_err orphans_read(cop_store *store, env_txn **txn)
{
	int code = env_sync(store->env);

	if (!code)
		code = env_read_begin(store->env, txn);
	return code ? error_system(code, "%s: cannot read", store->path) : 0;
}

static cop_err orphans_answer(cop_store *store)
{
	uint32_t limit = mailbox_limit(&store->mailboxes);
	env_txn *txn = NULL;
	cop_err err = 0;

	for (uint32_t i = 0; i < limit && !err; i++) {
		uint64_t number =
		    mailbox_look(&store->mailboxes, i, MAILBOX_TAKEN);

		if (number && !txn)
			err = orphans_read(store, &txn);
		if (number && !err)
			err = orphan_answer(store, txn, i, number);
	}
	if (txn)
		env_read_abort(txn);
	return err;
}

/* Takes what is in a mailbox; ENOMEM: no more can be taken. */
static int request_collect(struct group *group, uint32_t box)
{
	struct mailboxes *mailboxes = &group->store->mailboxes;
	uint64_t number;
	uint32_t bytes = mailbox_collect(mailboxes, box, group->room, &number);
	struct posted *posted;
	cop_err err;

	if (!number)
		return 0;
	posted = malloc(sizeof *posted + bytes);
	if (!posted) {
		mailbox_answer(mailboxes, box, number, MAILBOX_RETRY, NULL);
		return ENOMEM;
	}
	memcpy(posted->bytes, group->room, bytes);
	posted->request = (struct request){0};
	err = request_unpack(group->store, posted->bytes, bytes,
			     &posted->request);
	posted->request.box = box;
	posted->request.number = number;
	if (err)
		request_fail(&posted->request, err);
	else
		group->requests[group->count++] = &posted->request;
	group->posted[group->posted_count++] = posted;
	return 0;
}

/* All there are; if it gets full, the next one begins where this one ends. */
static void group_collect(struct group *group)
{
	struct mailboxes *mailboxes = &group->store->mailboxes;
	uint32_t limit = mailbox_limit(mailboxes);
	uint32_t start = mailbox_start(mailboxes);
	uint32_t i;

	for (i = 0; i < limit && group->count < GROUP_MAX &&
		    group->posted_count < GROUP_MAX;
	     i++) {
		uint32_t box = (start + i) % limit;

		if (mailbox_look(mailboxes, box, MAILBOX_POSTED) &&
		    request_collect(group, box))
			break;
	}
	if (limit)
		mailbox_start_next(mailboxes,
				   (start + (i < limit ? i : 1)) % limit);
}

/* Gives others a moment to post. */
static void gather(uint32_t gather_us)
{
	struct timespec pause = {gather_us / 1000000,
				 (long)(gather_us % 1000000) * 1000};

	if (gather_us)
		nanosleep(&pause, NULL);
}

/*
 * Tells the poster how it went.  What this process could not do, for want of
 * room or memory or by a limit of its own, the poster tries himself.
 */
static void request_answer(cop_store *store, const struct request *request)
{
	switch (request->err) {
	case 0:
	case COP_CONFLICT:
	case COP_DANGLING:
	case COP_CORRUPT:
	case COP_TOO_LARGE:
	case COP_UNKNOWN: answer_send(store, request); break;
	default:
		mailbox_answer(&store->mailboxes, request->box, request->number,
			       MAILBOX_RETRY, NULL);
	}
}

static cop_err group_run(cop_store *store, struct request *own, int alone)
{
	struct group *group = malloc(sizeof *group);

	if (!group)
		return error_system(ENOMEM, "no memory to commit");
	group->store = store;
	group->count = 0;
	group->posted_count = 0;
	if (own)
		group->requests[group->count++] = own;
	if (!alone)
		group_collect(group);
	if (group->count) {
		commit_run(store, group->requests, group->count);
		mailbox_count(&store->mailboxes, group->count);
	}
	for (uint32_t i = 0; i < group->posted_count; i++) {
		request_answer(store, &group->posted[i]->request);
		free(group->posted[i]);
	}
	bell_ring(&store->slots.control->commits);
	free(group);
	return 0;
}

/*
 * Leads one group, W held, and lets go of W.
 * own		NULL: the others' requests only
 * options	NULL: no time to gather
 * Returns	what keeps the group from being committed at all.
 */
static cop_err group_lead(cop_store *store, struct request *own, int alone,
			  const struct cop_commit_options *options)
{
	cop_err err = writer_ready(store);
	uint32_t waiting = err ? 0 : link_waiting(store);

	if (!err)
		err = orphans_answer(store);
	if (!err && options)
		gather(options->gather_us);
	if (!err)
		err = group_run(store, own, alone);
	if (!err)
		link_slice(store, waiting, options ? options->threads : 0);
	writer_unlock(store);
	point("group-unlocked");
	mailbox_wake_heir(&store->mailboxes);
	return err;
}

/* ---- posting ------------------------------------------------------------ */

struct waiting {
	cop_store *store;
	struct request *request;
	const struct cop_commit_options *options;
	uint64_t until_ns;
	uint64_t since; /* it was asked for */
	uint32_t box;
	uint64_t number;
	uint64_t after; /* newest commit when it was posted */
};

static void answer_take(const struct waiting *waiting)
{
	struct request *request = waiting->request;
	unsigned char bytes[MAILBOX_ANSWER_BYTES];
	struct answer answer;

	mailbox_read(&waiting->store->mailboxes, waiting->box, bytes);
	memcpy(&answer, bytes, sizeof answer);
	answer.words[sizeof answer.words - 1] = 0;
	request->err = answer.err;
	request->result =
	    (struct cop_result){.failed = answer.failed,
				.commit = answer.commit,
				.entities_put = answer.entities_put,
				.entities_deleted = answer.entities_deleted,
				.edges_put = answer.edges_put,
				.edges_deleted = answer.edges_deleted,
				.edges_skipped = answer.edges_skipped,
				.stubs_put = answer.stubs_put};
	memcpy(request->words, answer.words, sizeof request->words);
}

static cop_err not_known(const struct waiting *waiting)
{
	waiting->request->box = waiting->box;
	waiting->request->number = waiting->number;
	waiting->request->after = waiting->after;
	return error_set(COP_UNKNOWN,
			 "%s: another process took this write and has not said "
			 "what came of it; ask cop_outcome",
			 waiting->store->path);
}

/* The request is a dead leader's no more: its poster does it alone. */
static cop_err retry(const struct waiting *waiting, uint64_t now)
{
	cop_store *store = waiting->store;
	uint32_t timeout_ms = LOCK_FOREVER;
	cop_err err;

	mailbox_clear(&store->mailboxes, waiting->box);
	if (waiting->until_ns != UINT64_MAX)
		timeout_ms =
		    now < waiting->until_ns
			? (uint32_t)((waiting->until_ns - now) / 1000000)
			: 0;
	err = writer_lock(store, timeout_ms);
	return err ? err : group_lead(store, waiting->request, 1, NULL);
}

/* Time is up: takes the request back, if nobody has it. */
static cop_err give_up(const struct waiting *waiting)
{
	cop_store *store = waiting->store;
	char name[80];

	if (mailbox_withdraw(&store->mailboxes, waiting->box,
			     waiting->number)) {
		writer_name(store, name, sizeof name);
		return error_set(COP_BUSY,
				 "%s: the commit was not begun in %u ms; %s "
				 "has the writer lock, and commits or is "
				 "stopped; try again",
				 store->path, waiting->options->timeout_ms,
				 name);
	}
	switch (
	    mailbox_phase(&store->mailboxes, waiting->box, waiting->number)) {
	case MAILBOX_DONE: answer_take(waiting); return 0;
	case MAILBOX_RETRY: return retry(waiting, clock_ns(CLOCK_MONOTONIC));
	default: return not_known(waiting);
	}
}

/*
 * W is held by one who posted: leads with his request, or for the others if
 * a dead leader has it.
 * done		set to 1 if the request came to an end
 */
static cop_err post_lead(const struct waiting *waiting, int *done)
{
	cop_store *store = waiting->store;

	span_end(store, TIMING_WAIT, waiting->since, 1);
	*done =
	    mailbox_withdraw(&store->mailboxes, waiting->box, waiting->number);
	if (*done)
		return group_lead(store, waiting->request, 0, waiting->options);
	if (mailbox_phase(&store->mailboxes, waiting->box, waiting->number) ==
	    MAILBOX_TAKEN)
		return group_lead(store, NULL, 0, waiting->options);
	writer_unlock(store); /* answered meanwhile */
	mailbox_wake_heir(&store->mailboxes);
	return 0;
}

/* W cannot be had at all, and whoever has it may not be of this store. */
static cop_err never(const struct waiting *waiting)
{
	cop_store *store = waiting->store;
	cop_err err;

	if (!mailbox_withdraw(&store->mailboxes, waiting->box, waiting->number))
		return not_known(waiting);
	err = writer_lock(store, 0);
	if (!err) /* it can be had again */
		err = group_lead(store, waiting->request, 0, NULL);
	return err;
}

/* Until the request was answered, by whomever. */
static cop_err post_wait(const struct waiting *waiting)
{
	cop_store *store = waiting->store;
	struct mailboxes *mailboxes = &store->mailboxes;

	for (;;) {
		uint32_t calls = mailbox_calls(mailboxes, waiting->box);
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		int tried;

		switch (
		    mailbox_phase(mailboxes, waiting->box, waiting->number)) {
		case MAILBOX_DONE: answer_take(waiting); return 0;
		case MAILBOX_RETRY: return retry(waiting, now);
		case MAILBOX_POSTED:
		case MAILBOX_TAKEN: break;
		default: return not_known(waiting); /* written over */
		}
		tried = writer_try(store);
		if (tried < 0)
			return never(waiting);
		if (tried) {
			int done;
			cop_err err = post_lead(waiting, &done);

			if (done)
				return err;
			if (err)
				return not_known(waiting);
			continue;
		}
		if (now >= waiting->until_ns)
			return give_up(waiting);
		mailbox_wait(mailboxes, waiting->box, calls, WAIT_NS);
	}
}

/* A commit that is there; perhaps not the newest one. */
static uint64_t commit_newest(cop_store *store)
{
	struct index *index = index_hold(store);
	uint64_t commit = atomic_load_explicit(
	    &index->segment.header->committed, memory_order_acquire);

	index_drop(store, index);
	return commit;
}

static cop_err posted_commit(struct waiting *waiting,
			     const struct buffer *packed)
{
	cop_store *store = waiting->store;
	cop_err err;

	waiting->after = commit_newest(store);
	waiting->number = mailbox_post(&store->mailboxes, waiting->box,
				       packed->data, (uint32_t)packed->size);
	err = post_wait(waiting);
	mailbox_give(&store->mailboxes, waiting->box);
	return err;
}

/* Waits for W itself: too large for a mailbox, or there is none. */
static cop_err direct_commit(cop_store *store, struct request *request,
			     const struct cop_commit_options *options)
{
	cop_err err = writer_lock(store, options->timeout_ms);

	return err ? err : group_lead(store, request, 0, options);
}

cop_err group_commit(cop_store *store, struct request *request,
		     const struct cop_commit_options *options)
{
	struct waiting waiting = {.store = store,
				  .request = request,
				  .options = options,
				  .until_ns = UINT64_MAX,
				  .since = span_begin(store)};
	struct buffer packed = {0};
	cop_err err;
	int tried;

	tried = writer_try(store);
	if (tried > 0) {
		span_end(store, TIMING_WAIT, waiting.since, 1);
		return group_lead(store, request, 0, options);
	}
	if (tried < 0 || request_bytes(request) > MAILBOX_BYTES ||
	    request_pack(request, &packed) ||
	    mailbox_take(&store->mailboxes, &waiting.box)) {
		buffer_release(&packed);
		return direct_commit(store, request, options);
	}
	if (options->timeout_ms != LOCK_FOREVER)
		waiting.until_ns = clock_ns(CLOCK_MONOTONIC) +
				   options->timeout_ms * UINT64_C(1000000);
	err = posted_commit(&waiting, &packed);
	buffer_release(&packed);
	return err;
}

/* ---- the dead, and what is not known ------------------------------------ */

cop_err cop_poke(cop_store *store)
{
	cop_err err = store_use(store);

	int tried = err ? 0 : writer_try(store);

	if (tried < 0)
		err = writer_lock(store, 0);
	if (err || !tried)
		return err;
	return group_lead(store, NULL, 0, NULL);
}

static int office_is_current(const cop_store *store,
			     const struct cop_ticket *ticket)
{
	return !memcmp(store->mailboxes.office->uuid, ticket->office,
		       sizeof ticket->office);
}

cop_err cop_outcome(cop_store *store, const struct cop_ticket *ticket,
		    int32_t *happened, struct cop_result *result)
{
	struct request request = {0};
	struct generation *generation;
	env_txn *txn;
	cop_err err = store_use(store);
	int code;

	if (err)
		return err;
	if (!ticket || !happened || !ticket->number ||
	    ticket->mailbox >= MAILBOX_COUNT ||
	    (result && result->size != sizeof *result))
		return error_set(COP_INVALID,
				 "no ticket, or a result of another size");
	request.box = ticket->mailbox;
	request.number = ticket->number;
	err = cop_poke(store); /* its leader may be dead */
	if (err)
		return err;
	if (office_is_current(store, ticket) &&
	    mailbox_phase(&store->mailboxes, request.box, request.number) ==
		MAILBOX_TAKEN)
		return error_set(COP_UNKNOWN,
				 "%s: the write is being committed; ask again",
				 store->path);
	err = generation_refresh(store); /* where it was answered, or later */
	if (err)
		return err;
	generation = generation_hold(store);
	code = env_read_begin(&generation->env, &txn);
	if (!code) {
		err = result_find(&generation->env, txn, ticket->office,
				  ticket->after, &request);
		env_read_abort(txn);
	}
	generation_drop(store, generation);
	if (code)
		return error_system(code, "%s: cannot read", store->path);
	if (err == COP_TOO_OLD)
		return error_set(COP_TOO_OLD,
				 "%s: what came of the write is not kept any "
				 "more; read what it wrote",
				 store->path);
	if (err && err != COP_UNKNOWN)
		return err;
	*happened = !err;
	if (!err && result) {
		*result = request.result;
		result->size = sizeof *result;
	}
	return 0;
}
