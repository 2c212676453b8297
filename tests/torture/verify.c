/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"
#include "look.h"
#include "oracle.h"
#include "../tap.h"
#include "work.h"

#include <errno.h>
#include <sys/stat.h>

enum { DRAINS = 3 };

static char segment_path[256];

void verify_create(void)
{
	/* history is kept, and so briefly that some is let go of, too */
	struct cop_options options = {.size = sizeof options,
				      .dim = DIM,
				      .metric = COP_L2,
				      .history_ms = 20000};
	cop_store *store;

	look_must(cop_create(oracle->path, &options), "create");
	look_must(cop_open(oracle->path, NULL, &store), "open");
	work_fill(store);
	cop_close(store);
}

static cop_store *store_of(void)
{
	cop_store *store = NULL;

	look_must(cop_open(oracle->path, NULL, &store), "open");
	return store;
}

/* ---- figures ------------------------------------------------------------ */

static void is_equal(const char *what, uint64_t found, uint64_t expected)
{
	if (found != expected)
		oracle_fail("after a round %s: %" PRIu64 ", expected %" PRIu64,
			    what, found, expected);
}

static uint64_t edges_expected(const struct look *look, uint32_t g)
{
	uint64_t stamp = look->stamps[g];
	uint64_t count =
	    (uint64_t)model_at_hub(g, stamp) + (model_peer(g, stamp) != g);

	for (uint32_t a = 0; a < MEMBERS; a++)
		for (uint32_t b = 0; b < MEMBERS; b++)
			count += (uint64_t)model_edge(g, a, b, stamp);
	return count;
}

static void stats_check(const struct look *look)
{
	struct cop_stats stats = {.size = sizeof stats};
	uint64_t entities = 2 + ACCOUNTS;
	uint64_t vectors = 0;
	uint64_t edges = 0;

	for (uint32_t g = 0; g < GROUPS; g++) {
		for (uint32_t i = 0; i < MEMBERS; i++) {
			uint64_t stamp = look->stamps[g];

			entities += (uint64_t)model_is_there(g, i, stamp);
			vectors += (uint64_t)model_has_vector(g, i, stamp);
		}
		edges += edges_expected(look, g);
	}
	for (uint32_t i = 0; i < REGISTERS; i++) {
		entities += look->register_ids[i] != 0;
		vectors += look->register_ids[i] != 0;
	}
	look_must(cop_stat(look->read, &stats), "stat");
	is_equal("entities", stats.entities, entities);
	is_equal("edges", stats.edges, edges);
	is_equal("vectors", stats.vectors, vectors);
	is_equal("slots in use", stats.readers, 1);
	is_equal("things in limbo", stats.limbo, 0);
	is_equal("rows of the bank", stats.bank_rows, vectors);
	memcpy(segment_path, stats.segment, sizeof segment_path);
}

static void finding_tell(void *user, const char *text)
{
	(void)user;
	oracle_fail("after a round the check finds: %s", text);
}

/* ---- looks -------------------------------------------------------------- */

static void look_alone(cop_store *store, int settled, uint64_t *seed)
{
	struct look_floor floor;
	struct look look;
	cop_read *read;

	look_floor(&floor);
	look_must(cop_read_begin(store, &read), "begin a read");
	look_at(&look, read, &floor, LOOK_ALL, seed);
	for (uint32_t g = 0; settled && g < GROUPS; g++)
		is_equal("a group's stamp", look.stamps[g],
			 atomic_load(&oracle->groups[g].acked));
	if (settled)
		stats_check(&look);
	cop_read_end(read);
}

static void settled_check(cop_store *store, uint64_t *seed)
{
	uint64_t findings = 0;

	for (int i = 0; i < DRAINS; i++)
		work_barrier(store);
	look_must(cop_maintain(store, NULL, NULL), "maintain");
	look_alone(store, 1, seed);
	look_must(cop_check(store, finding_tell, NULL, &findings), "check");
}

void verify_detached(void)
{
	struct stat st;

	look_must(cop_detach(oracle->path), "detach");
	oracle_count(COUNT_DETACHES);
	if (segment_path[0] && !lstat(segment_path, &st))
		oracle_fail("%s is there after cop_detach", segment_path);
}

void verify_store(enum verify_end end, uint64_t seed)
{
	cop_store *store = store_of();

	look_alone(store, 0, &seed);
	work_settle_all(store);
	settled_check(store, &seed);
	cop_close(store);
	if (end != VERIFY_KEEP)
		verify_detached();
	if (end == VERIFY_DETACH) {
		store = store_of();
		settled_check(store, &seed);
		cop_close(store);
	}
	log_judge();
}
