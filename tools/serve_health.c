/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_health: /health and /ready.
 *
 * idea
 *	Degraded is what a person should look at today and what nobody waits
 *	for; unhealthy is what someone waits for now.  Each reason says what,
 *	and what to do.
 *	A stopped process that has the writer lock is degraded at once, since
 *	a person may be looking into it, and unhealthy after STOPPED_S.
 */
#include "holder.h"
#include "json.h"
#include "serve.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum {
	STOPPED_S = 10, /* a stopped process has the writer lock */
	FREE_PERCENT = 10,
	HELD_PERCENT = 25, /* of the index, waiting for readers */
	UNLINKED = 100000,
	IMAGE_ENTITIES = 10000 /* from which on an image is worth having */
};

struct health {
	json_t *reasons;
	int rank; /* 0 healthy, 1 degraded, 2 unhealthy */
};

__attribute__((format(printf, 3, 4))) static void
reason_add(struct health *health, int rank, const char *format, ...)
{
	char text[SERVE_WORDS];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	json_array_append_new(health->reasons, json_text(text, strlen(text)));
	if (rank > health->rank)
		health->rank = rank;
}

static void place_look(struct health *health, const char *what, uint64_t bytes,
		       uint64_t left)
{
	if (bytes && left < bytes / 100 * FREE_PERCENT)
		reason_add(health, 1,
			   "%s is nearly full: %" PRIu64 " of %" PRIu64
			   " MiB free. Make room there, or commits will fail",
			   what, left >> 20, bytes >> 20);
}

static void backlog_look(struct health *health, const struct cop_stats *stats)
{
	if (stats->stalled)
		reason_add(health, 1,
			   "%" PRIu32 " reads have been behind for long and "
			   "hold memory back. See: coppice readers",
			   stats->stalled);
	if (stats->held_bytes > stats->index_bytes / 100 * HELD_PERCENT)
		reason_add(health, 1,
			   "%" PRIu64 " MiB of shared memory wait for "
			   "readers. See: coppice readers",
			   stats->held_bytes >> 20);
	if (stats->unlinked > UNLINKED)
		reason_add(health, 1,
			   "%" PRIu64 " vectors wait to be linked, and "
			   "searches look at each. Try: coppice maintain",
			   stats->unlinked);
	if (!stats->image_commit && stats->entities > IMAGE_ENTITIES)
		reason_add(health, 1,
			   "there is no image: after a restart the shared "
			   "memory is built anew. Try: coppice checkpoint");
}

static void writer_look(struct serve *serve, struct health *health)
{
	struct cop_lock lock = {.size = sizeof lock};
	uint64_t seconds;

	if (cop_lock_look(serve->store, &lock, NULL, NULL) || !lock.is_held)
		return;
	seconds = lock.held_ns / 1000000000u;
	if (holder_is_stopped(&lock))
		reason_add(health, seconds < STOPPED_S ? 1 : 2,
			   "process %" PRIu32 " (%s) is stopped and has had "
			   "the writer lock for %" PRIu64 " s: nobody can "
			   "commit, and %" PRIu32 " wait. Continue it (kill "
			   "-CONT %" PRIu32 "), or kill it",
			   lock.pid, lock.name, seconds, lock.waiting,
			   lock.pid);
	else if (lock.held_ns / 1000000u >= (uint64_t)serve->age_ms)
		reason_add(health, 1,
			   "process %" PRIu32 " (%s) has had the writer lock "
			   "for %" PRIu64 " s: commits wait, now %" PRIu32
			   ". See: coppice locks",
			   lock.pid, lock.name, seconds, lock.waiting);
}

static void place_check(struct serve *serve, struct health *health)
{
	char path[4096];

	if (cop_attached_check(serve->store))
		reason_add(health, 2, "%s", cop_last_error());
	if ((size_t)snprintf(path, sizeof path, "%s/CURRENT", serve->path) <
		sizeof path &&
	    access(path, F_OK))
		reason_add(health, 2,
			   "%s cannot be looked at (%s): what is served was "
			   "there before",
			   path, strerror(errno));
}

static cop_err health_reply(struct health *health, struct reply *reply)
{
	static const char *const words[] = {"healthy", "degraded", "unhealthy"};

	reply->status =
	    health->rank == 2 ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
	reply->body = json_pack("{ss so}", "status", words[health->rank],
				"reasons", health->reasons);
	return reply->body ? 0 : ENOMEM;
}

cop_err reply_health(struct serve *serve, cop_read *read,
		     struct MHD_Connection *asked, struct reply *reply)
{
	struct health health = {.rank = 0};
	struct metrics metrics;
	cop_err err = metrics_take(serve->store, read, serve->path, &metrics);

	(void)asked;
	if (err)
		return err;
	health.reasons = json_array();
	if (!health.reasons)
		return ENOMEM;
	place_check(serve, &health);
	writer_look(serve, &health);
	place_look(&health, metrics.stats.segment, metrics.shm_bytes,
		   metrics.shm_free);
	place_look(&health, serve->path, metrics.folder_bytes,
		   metrics.folder_free);
	backlog_look(&health, &metrics.stats);
	return health_reply(&health, reply);
}

void reply_unhealthy(struct reply *reply, const char *words)
{
	struct health health = {.reasons = json_array()};

	reason_add(&health, 2, "the store cannot be read: %s", words);
	if (health_reply(&health, reply))
		reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
}

cop_err reply_ready(struct serve *serve, cop_read *read,
		    struct MHD_Connection *asked, struct reply *reply)
{
	cop_err err = cop_attached_check(serve->store);

	(void)asked;
	if (err)
		return err;
	reply->body = json_pack("{sb sI}", "ready", 1, "commit",
				(json_int_t)cop_read_commit(read));
	return reply->body ? 0 : ENOMEM;
}
