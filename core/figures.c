/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of all processes, or of each, as the public header has them.
 *
 * What processes have done is in their blocks (figures.h), what they have
 * read in their slots (slot.h); the two are put together here.  A read's slot
 * is a process's if it is signed as the process's block is.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)COP_BUCKETS == HISTOGRAM_BUCKETS &&
		  (int)COP_TIMINGS == TIMING_COUNT &&
		  (int)COP_TIMING_GROUP == TIMING_GROUP,
	      "timings are as they are counted");

uint64_t cop_bucket_least(uint32_t bucket)
{
	return bucket < HISTOGRAM_BUCKETS ? histogram_least(bucket)
					  : UINT64_C(1) << HISTOGRAM_BITS;
}

double cop_quantile(const struct cop_histogram *histogram, double share)
{
	double wanted = share * (double)histogram->count;
	double seen = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		double here = (double)histogram->buckets[i];
		double least = (double)cop_bucket_least(i);
		double most = (double)cop_bucket_least(i + 1);

		seen += here;
		if (here > 0 && seen >= wanted) /* as if spread evenly */
			return least +
			       (most - least) *
				   (here - seen + (wanted > 0 ? wanted : 0)) /
				   here;
	}
	return 0;
}

/* ---- sums --------------------------------------------------------------- */

static void tally_add(const struct slot_owner *owner, struct cop_figures *out)
{
	out->reads += owner->count;
	out->shared += owner->tally[TALLY_SHARED];
	out->copied += owner->tally[TALLY_COPIED];
	out->denied += owner->tally[TALLY_DENIED];
	out->doubtful += owner->tally[TALLY_FALSE];
	out->lists += owner->tally[TALLY_LISTS];
	out->walks += owner->tally[TALLY_WALKS];
	out->inflated += owner->tally[TALLY_INFLATED];
}

static void sum_tell(const struct figures_sum *sum, struct cop_figures *out)
{
	out->writes = sum->counts[FIGURE_WRITES];
	out->conflicts = sum->counts[FIGURE_CONFLICTS];
	out->refused = sum->counts[FIGURE_REFUSED];
	out->retries = sum->counts[FIGURE_RETRIES];
	out->write_bytes = sum->counts[FIGURE_WRITE_BYTES];
	out->entities_put = sum->counts[FIGURE_ENTITIES_PUT];
	out->entities_deleted = sum->counts[FIGURE_ENTITIES_DELETED];
	out->edges_put = sum->counts[FIGURE_EDGES_PUT];
	out->edges_deleted = sum->counts[FIGURE_EDGES_DELETED];
	out->searches = sum->counts[FIGURE_SEARCHES];
	out->linked = sum->counts[FIGURE_LINKED];
	out->recovered = sum->counts[FIGURE_RECOVERED];
	for (int i = 0; i < TIMING_COUNT; i++) {
		struct cop_histogram *timing = &out->timings[i];

		timing->count = 0;
		timing->sum = sum->timings[i].sum;
		memcpy(timing->buckets, sum->timings[i].buckets,
		       sizeof timing->buckets);
		for (int j = 0; j < HISTOGRAM_BUCKETS; j++)
			timing->count += timing->buckets[j];
	}
}

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for figures");
}

cop_err cop_figures(cop_store *store, struct cop_figures *out)
{
	cop_err err = store_use(store);
	struct figures_sum *sum;
	uint32_t limit;

	if (!err && (!out || out->size != sizeof *out))
		err = error_set(COP_INVALID, "the figures are of another size; "
					     "set .size to their sizeof");
	if (err)
		return err;
	sum = calloc(1, sizeof *sum);
	if (!sum)
		return no_memory();
	*out = (struct cop_figures){.size = sizeof *out};
	limit = figures_limit(&store->figures);
	for (uint32_t i = 0; i < limit; i++) {
		struct figures_owner owner;

		figures_add(&store->figures, i, sum);
		figures_peek(&store->figures, i, &owner);
		out->processes += owner.is_held;
	}
	sum_tell(sum, out);
	free(sum);
	out->uncounted = figures_uncounted(&store->figures);
	limit = slots_limit(&store->slots);
	for (uint32_t i = 0; i < limit; i++) {
		struct slot_owner owner;

		slot_look(&store->slots, i, &owner);
		tally_add(&owner, out);
	}
	out->locks = slots_writer_count(&store->slots);
	return 0;
}

/* ---- one by one --------------------------------------------------------- */

static int same_process(const struct figures_owner *owner,
			const struct slot_owner *slot)
{
	return slot->is_held && slot->pid == owner->pid &&
	       slot->pid_namespace == owner->pid_namespace;
}

/* Of a slot: sums of different ones differ. */
static uint64_t place_mark(uint32_t slot)
{
	uint64_t mark = (slot + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	return (mark ^ mark >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

struct processes {
	struct figures_sum sum;
	struct cop_figures figures;
	uint32_t count;
	struct slot_owner reads[]; /* all slots, asked for once */
};

/* NULL: no memory. */
static struct processes *processes_look(cop_store *store)
{
	uint32_t count = slots_limit(&store->slots);
	struct processes *room =
	    malloc(sizeof *room + count * sizeof *room->reads);

	if (!room)
		return NULL;
	room->count = count;
	for (uint32_t i = 0; i < count; i++)
		slot_peek(&store->slots, i, &room->reads[i]);
	return room;
}

/* What its reads tell. */
static void reads_tell(struct processes *room,
		       const struct figures_owner *owner,
		       struct cop_process *process)
{
	for (uint32_t i = 0; i < room->count; i++) {
		const struct slot_owner *slot = &room->reads[i];

		if (!same_process(owner, slot))
			continue;
		tally_add(slot, &room->figures);
		process->read_places += place_mark(i);
		if (!slot->snapshot)
			continue;
		if (!process->open || slot->snapshot - 1 < process->oldest)
			process->oldest = slot->snapshot - 1;
		process->open++;
	}
}

static cop_err
process_tell(cop_store *store, struct processes *room, uint32_t place,
	     int32_t (*visit)(void *user, const struct cop_process *one),
	     void *user)
{
	struct figures_owner owner;
	struct cop_process process;

	figures_peek(&store->figures, place, &owner);
	if (!owner.is_held || !owner.pid)
		return 0;
	process = (struct cop_process){.pid = owner.pid,
				       .place = place,
				       .is_foreign = owner.pid_namespace !=
						     store->slots.pid_namespace,
				       .pid_namespace = owner.pid_namespace,
				       .since_ns = owner.since_ns,
				       .name = owner.name,
				       .figures = &room->figures};
	room->sum = (struct figures_sum){.counts = {0}};
	room->figures =
	    (struct cop_figures){.size = sizeof room->figures, .processes = 1};
	figures_add(&store->figures, place, &room->sum);
	sum_tell(&room->sum, &room->figures);
	reads_tell(room, &owner, &process);
	error_clear();
	return error_answer(visit(user, &process));
}

cop_err cop_processes(cop_store *store,
		      int32_t (*visit)(void *user,
				       const struct cop_process *one),
		      void *user)
{
	cop_err err = store_use(store);
	struct processes *room;
	uint32_t limit;

	if (err)
		return err;
	room = processes_look(store);
	if (!room)
		return no_memory();
	limit = figures_limit(&store->figures);
	for (uint32_t i = 0; i < limit && !err; i++)
		err = process_tell(store, room, i, visit, user);
	free(room);
	return err;
}
