/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renewing the index segment while it is in use.
 *
 * idea
 *	The next segment is built from LMDB in a file of its own, without W;
 *	what is committed meanwhile is brought over as to an image (forward.c),
 *	the last of it with W held.  Then it gets its name and its number, and
 *	readers go over as after a rebuild.  What fragments, dead rows and
 *	outgrown filters cost is gone, and a reservation that was made larger
 *	is used.
 *
 * snapshots
 *	As long as a snapshot is held LMDB does not use again what commits
 *	replace: ten pages of each, some gigabytes until a million vectors are
 *	linked.  So none is held for long.  Building begins with commit B,
 *	renews its snapshot every 1,024 entries, and what it has read is of B
 *	or later; each round of bringing over begins with a commit N, renews
 *	its snapshot for each entity, and what it has read is of N or later.
 *	Whatever is later was touched since N, and so is the next round's.  In
 *	the last round, W held, nothing is later.  Nobody looks meanwhile.
 *
 * crash
 *	Before it has its name: a file `next` that nobody looks at; the next
 *	renewal makes it anew, detaching removes it.
 */
#include "renew.h"
#include "clock.h"
#include "build.h"
#include "checkpoint.h"
#include "generation.h"
#include "link.h"
#include "pages.h"
#include "point.h"
#include "relic.h"
#include "slack.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>

struct renewal {
	cop_store *store;
	struct generation *generation;
	env_txn *txn;
	struct segment segment;
	struct disk_state state; /* that the new segment has */
};

static cop_err state_renew(struct renewal *renewal, struct disk_state *state)
{
	int code = env_read_newest(renewal->txn);

	if (code)
		return error_system(code, "%s: cannot read",
				    renewal->store->path);
	return read_state(&renewal->generation->env, renewal->txn, state);
}

static cop_err build(struct renewal *renewal,
		     const struct cop_open_options *options)
{
	cop_err err;
	int code = env_read_begin(&renewal->generation->env, &renewal->txn);

	if (code)
		return error_system(code, "%s: cannot read",
				    renewal->store->path);
	err = pages_check(&renewal->generation->env, renewal->txn, PAGES_TREES,
			  NULL);
	if (!err)
		err = read_state(&renewal->generation->env, renewal->txn,
				 &renewal->state);
	return err ? err
		   : build_run(renewal->store, renewal->txn, &renewal->state,
			       &renewal->segment, BUILD_LIVE, options);
}

/* Brings the new segment to what LMDB shows now, `commits` further. */
static cop_err forward(struct renewal *renewal, uint64_t *commits)
{
	struct segment_header *header = renewal->segment.header;
	struct image_header from = {.committed = renewal->state.commit,
				    .next_entity = renewal->state.next_entity};
	struct disk_state now;
	struct forward forward = {.store = renewal->store,
				  .txn = renewal->txn,
				  .state = &now,
				  .segment = &renewal->segment,
				  .header = &from,
				  .when = BUILD_LIVE};
	cop_err err = state_renew(renewal, &now);
	int code;

	*commits = err ? 0 : now.commit - renewal->state.commit;
	if (!*commits)
		return err;
	code = forward_collect(&forward);
	if (code == ENOMEM)
		err = error_system(ENOMEM, "no memory to renew the segment");
	else if (code)
		err = error_set(COP_BUSY,
				"%s: it changes faster than its segment is "
				"renewed; try again when there is less to "
				"commit",
				renewal->store->path);
	if (!err)
		err = forward_run(&forward);
	forward_release(&forward);
	if (err)
		return err;
	renewal->state = now;
	/* relaxed: nobody else has it before it is named */
	atomic_store_explicit(&header->prepared, now.commit,
			      memory_order_relaxed);
	atomic_store_explicit(&header->chain, now.chain, memory_order_relaxed);
	atomic_store_explicit(&header->committed, now.commit,
			      memory_order_relaxed);
	return 0;
}

/* Images on disk are as good for the new segment as for the old. */
static void images_keep(const cop_store *store, struct segment *segment)
{
	const struct image_words *old = &store->writable.header->images;
	struct image_words *words = &segment->header->images;

	atomic_store_explicit(
	    &words->newest,
	    atomic_load_explicit(&old->newest, memory_order_relaxed),
	    memory_order_relaxed);
	atomic_store_explicit(
	    &words->older,
	    atomic_load_explicit(&old->older, memory_order_relaxed),
	    memory_order_relaxed);
	atomic_store_explicit(
	    &words->touched,
	    atomic_load_explicit(&old->touched, memory_order_relaxed),
	    memory_order_relaxed);
}

static cop_err install_locked(struct renewal *renewal)
{
	cop_store *store = renewal->store;
	uint64_t commits;
	cop_err err = writer_settle(store, NULL);

	if (!err && store->generation != renewal->generation)
		err = error_set(COP_BUSY,
				"%s: another process replaced the data file "
				"meanwhile",
				store->path);
	if (!err)
		err = forward(renewal, &commits);
	if (err)
		return err;
	images_keep(store, &renewal->segment);
	return attach_next_install(store);
}

static cop_err renewal_run(struct renewal *renewal,
			   const struct cop_open_options *options,
			   uint64_t *pause_ns)
{
	cop_store *store = renewal->store;
	uint64_t commits = UINT64_MAX;
	uint64_t started_ns;
	cop_err err = build(renewal, options);

	point("renew-built");
	for (int i = 0;
	     i < CATCH_UP_ROUNDS && commits > CATCH_UP_COMMITS && !err; i++)
		err = forward(renewal, &commits);
	/* what waits now would be linked with W held */
	if (!err && hnsw_tail_count(&renewal->segment))
		err = link_all(&renewal->segment, 1);
	point("renew-forward");
	if (!err)
		err = writer_lock(store, store->timeout_ms);
	if (err)
		return err;
	started_ns = clock_ns(CLOCK_MONOTONIC);
	err = install_locked(renewal);
	*pause_ns += clock_ns(CLOCK_MONOTONIC) - started_ns;
	writer_unlock(store);
	return err;
}

/*
 * Commits want shared memory meanwhile, and must not be refused for this: it
 * is not begun where it would take the last eighth of what is free.
 */
static cop_err room_check(cop_store *store)
{
	struct cop_slack slack = {.size = sizeof slack};
	struct statvfs fs;
	uint64_t need, room;
	cop_read *read;

	/* where nothing can be read nothing is known */
	if (fstatvfs(store->shm_fd, &fs) || cop_read_begin(store, &read))
		return 0;
	slack_of_segment(read, &slack);
	cop_read_end(read);
	need = slack.shared_bytes - slack.row_bytes - slack.edge_bytes -
	       slack.bloom_bytes;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (need <= room - room / 8)
		return 0;
	return error_set(COP_NO_SPACE,
			 "another index segment takes about %" PRIu64 " KiB "
			 "and %s has %" PRIu64 " free; the one in use stays: "
			 "enlarge its tmpfs (in a container --shm-size)",
			 need / 1024, store->shm_path, room / 1024);
}

cop_err renew_run(cop_store *store, const struct cop_open_options *options,
		  uint64_t *pause_ns)
{
	struct renewal renewal = {.store = store};
	struct relic relic;
	cop_err err = room_check(store);

	if (!err)
		err = attach_next_make(store, &renewal.segment);
	if (err)
		return err;
	relic = relic_of(store);
	renewal.generation = generation_hold(store);
	err = renewal_run(&renewal, options, pause_ns);
	if (renewal.txn)
		env_read_abort(renewal.txn);
	generation_drop(store, renewal.generation);
	segment_detach(&renewal.segment);
	attach_next_drop(store, &renewal.segment);
	if (!err)
		relic_empty(store, &relic);
	relic_release(&relic);
	return err;
}

/* ---- rebuilding --------------------------------------------------------- */

/* The same while commits wait; images may have the damage, too. */
static cop_err rebuild_locked(cop_store *store,
			      const struct cop_open_options *options,
			      struct cop_rebuild_result *out)
{
	uint64_t started_ns;
	cop_err err = writer_lock(store, store->timeout_ms);

	if (err)
		return err;
	started_ns = clock_ns(CLOCK_MONOTONIC);
	err = generation_settle(store);
	if (!err)
		err = checkpoint_remove(store);
	if (!err)
		err = attach_rebuild(store, options);
	if (!err)
		err = attach_writable(store);
	out->pause_ns += clock_ns(CLOCK_MONOTONIC) - started_ns;
	writer_unlock(store);
	return err;
}

static cop_err images_remove(cop_store *store)
{
	cop_err err = writer_lock(store, store->timeout_ms);

	if (err)
		return err;
	err = writer_settle(store, NULL);
	if (!err) {
		err = checkpoint_forget(store);
		checkpoint_allow(store);
	}
	writer_unlock(store);
	return err;
}

static cop_err rebuild_run(cop_store *store,
			   const struct cop_open_options *options,
			   int32_t images, struct cop_rebuild_result *out)
{
	cop_err err = generation_begin(store);

	if (!err) {
		err = renew_run(store, options, &out->pause_ns);
		out->beside = !err;
		generation_end(store);
	} else if (err != COP_CORRUPT) {
		return err;
	}
	if (err == COP_BUSY || err == COP_CORRUPT)
		err = rebuild_locked(store, options, out);
	return !err && images ? images_remove(store) : err;
}

cop_err cop_rebuild(cop_store *store, const struct cop_open_options *options,
		    int32_t images, struct cop_rebuild_result *result)
{
	struct cop_rebuild_result out = {.size = sizeof out};
	uint64_t started_ns = clock_ns(CLOCK_MONOTONIC);
	struct limit limit;
	cop_err err = store_use(store);

	if (err)
		return err;
	if (result && result->size != sizeof *result)
		return error_set(COP_INVALID, "the result is of another size; "
					      "set .size to its sizeof");
	limit_enter(&limit);
	err = rebuild_run(store, options, images, &out);
	limit_leave(&limit);
	out.ns = clock_ns(CLOCK_MONOTONIC) - started_ns;
	if (!err && result)
		*result = out;
	return err;
}
