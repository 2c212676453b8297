/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adjacency: a list against a model, at every snapshot that may be open.
 */
#include "shm_fixture.h"
#include "point.h"

enum { MODEL_EDGES = 4000, PEERS = 300, RELATIONS = 3 };

/* ---- a list and what it ought to be ------------------------------------- */

struct model_edge {
	uint32_t peer;
	uint32_t relation;
	uint32_t born;
	uint32_t died;
};

struct pair {
	struct shm_fixture *f;
	struct head *head;
	struct edge_list list;
	uint32_t count;
	struct model_edge edges[MODEL_EDGES];
};

static struct head *head_make(struct shm_fixture *f, uint32_t id)
{
	must_be(segment_grow(&f->segment, REGION_LISTS,
			     (id + UINT64_C(1)) * sizeof(struct head_lists)),
		"lists");
	must_be(segment_grow(&f->segment, REGION_HEADS,
			     (id + UINT64_C(1)) * sizeof(struct head)),
		"heads");
	return head_at(f->segment.header,
		       segment_region(&f->segment, REGION_HEADS), id);
}

static struct pair *pair_make(struct shm_fixture *f, uint32_t id)
{
	struct pair *pair = calloc(1, sizeof *pair);

	if (!pair)
		bail_out("no memory");
	pair->f = f;
	pair->head = head_make(f, id);
	pair->list = edges_of(&f->segment, pair->head, 1);
	return pair;
}

static struct model_edge *model_find(struct pair *pair, uint32_t peer,
				     uint32_t relation)
{
	for (uint32_t i = 0; i < pair->count; i++) {
		struct model_edge *edge = &pair->edges[i];

		if (edge->peer == peer && edge->relation == relation &&
		    edge->died == STAMP_NEVER)
			return edge;
	}
	return NULL;
}

static uint32_t model_live(const struct pair *pair)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < pair->count; i++)
		live += pair->edges[i].died == STAMP_NEVER;
	return live;
}

static void pair_append(struct pair *pair, uint32_t peer, uint32_t relation,
			uint32_t stamp)
{
	if (pair->count == MODEL_EDGES)
		bail_out("the model is full");
	must_be(
	    edges_append(&pair->f->segment, &pair->list, peer, relation, stamp),
	    "append");
	pair->edges[pair->count++] =
	    (struct model_edge){peer, relation, stamp, STAMP_NEVER};
}

/* Returns 1 if the list and the model disagree on whether there was one. */
static int pair_kill(struct pair *pair, uint32_t peer, uint32_t relation,
		     uint32_t stamp)
{
	struct model_edge *edge = model_find(pair, peer, relation);
	int killed =
	    edges_kill(&pair->f->segment, &pair->list, peer, relation, stamp);

	if (edge)
		edge->died = stamp;
	return killed != (edge != NULL);
}

static void pair_kill_all(struct pair *pair, uint32_t stamp)
{
	edges_kill_all(&pair->f->segment, &pair->list, stamp);
	for (uint32_t i = 0; i < pair->count; i++)
		if (pair->edges[i].died == STAMP_NEVER)
			pair->edges[i].died = stamp;
}

/* An edge that is there is killed, one that is not is added. */
static int pair_toggle(struct pair *pair, uint64_t *seed, uint32_t stamp)
{
	uint32_t peer = (uint32_t)test_below(seed, PEERS) + 1;
	uint32_t relation = (uint32_t)test_below(seed, RELATIONS) + 1;

	if (model_find(pair, peer, relation))
		return pair_kill(pair, peer, relation, stamp);
	if (test_below(seed, 16) == 0)
		return pair_kill(pair, peer, relation, stamp);
	pair_append(pair, peer, relation, stamp);
	return 0;
}

/* 1 if the list is not, at a snapshot, what the model is. */
static int pair_differs(const struct pair *pair, const struct segment *segment,
			uint32_t stamp)
{
	static signed char seen[PEERS + 1][RELATIONS + 1];
	struct edge_cursor cursor;
	struct edge_name entry;
	int differs = 0;

	memset(seen, 0, sizeof seen);
	for (uint32_t i = 0; i < pair->count; i++) {
		const struct model_edge *edge = &pair->edges[i];

		if (edge->born <= stamp && stamp < edge->died)
			seen[edge->peer][edge->relation]++;
	}
	edge_cursor_init(&cursor, segment->header,
			 segment_region(segment, REGION_EDGES),
			 pair->list.first, stamp);
	while (edge_cursor_next(&cursor, &entry)) {
		if (entry.peer > PEERS || entry.relation > RELATIONS)
			return 1;
		seen[entry.peer][entry.relation]--;
	}
	for (uint32_t i = 0; i < sizeof seen; i++)
		differs |= ((signed char *)seen)[i] != 0;
	return differs;
}

/* At every snapshot of a range, and the counts. */
static int pair_check(const struct pair *pair, const struct segment *segment,
		      uint32_t from, uint32_t to)
{
	int wrong = 0;

	for (uint32_t stamp = from; stamp <= to; stamp++)
		wrong += pair_differs(pair, segment, stamp);
	return wrong + (*pair->list.live != model_live(pair));
}

static void model_forget(struct pair *pair, uint32_t oldest)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < pair->count; i++)
		if (pair->edges[i].died > oldest)
			pair->edges[left++] = pair->edges[i];
	pair->count = left;
}

static void pair_compact(struct pair *pair, uint32_t oldest, uint64_t commit)
{
	struct segment *segment = &pair->f->segment;

	must_be(limbo_reserve(segment, edges_blocks(segment, &pair->list)),
		"reserve");
	must_be(edges_compact(segment, &pair->list, oldest, commit), "compact");
	model_forget(pair, oldest);
}

/* ---- lists -------------------------------------------------------------- */

static void a_list_is_what_it_was_at_every_snapshot(uint64_t seed)
{
	struct shm_fixture f;
	struct segment reader;
	struct pair *pair;
	int wrong = 0;
	uint32_t stamp;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_reader(&f, &reader);
	pair = pair_make(&f, 1);
	is_int(pair_differs(pair, &reader, 7), 0, "a new list is empty");
	for (stamp = 1; stamp <= 600; stamp++) {
		for (uint64_t i = test_below(&seed, 8); i; i--)
			wrong += pair_toggle(pair, &seed, stamp);
		wrong += pair_differs(pair, &reader,
				      (uint32_t)test_below(&seed, stamp + 1));
	}
	is_int(wrong, 0, "appends and deaths are seen when they are made");
	is_int(pair_check(pair, &reader, 0, stamp), 0,
	       "and at all %u snapshots in the end", stamp);
	is_int(pair_differs(pair, &reader, STAMP_NEVER - 1), 0,
	       "and at the last stamp there can be");
	free(pair);
	segment_detach(&reader);
	shm_fixture_release(&f);
}

static void filling_gives_the_same_list_as_appending(void)
{
	uint32_t peers[PEERS];
	uint32_t relations[PEERS];
	struct shm_fixture f;
	struct pair *pair;
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	for (uint32_t i = 0; i < PEERS; i++) {
		peers[i] = i + 1;
		relations[i] = i % RELATIONS + 1;
	}
	for (uint32_t count = 0; count < PEERS; count++) {
		pair = pair_make(&f, count + 1);
		for (uint32_t i = 0; i < count; i++)
			pair->edges[i] = (struct model_edge){
			    peers[i], relations[i], 0, STAMP_NEVER};
		pair->count = count;
		must_be(edges_fill(&f.segment, &pair->list, peers, relations,
				   count),
			"fill");
		wrong += pair_check(pair, &f.segment, 0, 1);
		wrong +=
		    edges_blocks(&f.segment, &pair->list) != (count + 62) / 63;
		pair_append(pair, 1, 1, 2);
		wrong += pair_check(pair, &f.segment, 0, 3);
		free(pair);
	}
	is_int(wrong, 0, "lists of 0 to %d entries are filled, and appended to",
	       PEERS - 1);
	shm_fixture_release(&f);
}

static void killing_all_leaves_an_empty_list_from_then_on(uint64_t seed)
{
	struct shm_fixture f;
	struct pair *pair;
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	pair = pair_make(&f, 1);
	for (uint32_t stamp = 1; stamp <= 60; stamp++) {
		for (int i = 0; i < 20; i++)
			wrong += pair_toggle(pair, &seed, stamp);
		if (stamp % 7 == 0)
			pair_kill_all(pair, stamp);
		if (stamp % 7 == 0)
			wrong += model_live(pair) != 0;
	}
	wrong += pair_check(pair, &f.segment, 0, 61);
	is_int(wrong, 0,
	       "a list that was killed whole is empty from then on, "
	       "until it is appended to");
	free(pair);
	shm_fixture_release(&f);
}

static void compaction_keeps_what_open_snapshots_see(uint64_t seed)
{
	struct shm_fixture f;
	struct segment reader;
	struct pair *pair;
	uint64_t units = 0;
	uint32_t oldest = 0;
	uint32_t compacted = 0;
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	shm_reader(&f, &reader);
	pair = pair_make(&f, 1);
	for (uint32_t stamp = 1; stamp <= 2000 / TEST_SLOW + 400; stamp++) {
		for (uint64_t i = test_below(&seed, 12); i; i--)
			wrong += pair_toggle(pair, &seed, stamp);
		if (test_below(&seed, 100) == 0)
			pair_kill_all(pair, stamp);
		/* from the oldest to the newest that is open in this commit */
		oldest += (uint32_t)test_below(&seed, stamp - oldest);
		if (edges_mostly_dead(&pair->list) ||
		    test_below(&seed, 40) == 0) {
			pair_compact(pair, oldest, stamp);
			compacted++;
		}
		wrong += pair_check(pair, &reader, oldest, stamp);
		limbo_drain(&f.segment, oldest, 1000);
		wrong += pair_check(pair, &reader, oldest, stamp);
		if (stamp == 200)
			units = f.segment.header->adjacency.unit_count;
	}
	ok(compacted > 5 && !wrong,
	   "compacted %u times, a list is the same for every open snapshot",
	   compacted);
	ok(f.segment.header->adjacency.unit_count < units * 2 + 2000,
	   "blocks are used again");
	free(pair);
	segment_detach(&reader);
	shm_fixture_release(&f);
}

/*
 * One old snapshot is open, and every commit adds an edge and kills another:
 * nothing can go, and what is kept is each edge once, 16 bytes.
 */
static void a_list_that_an_old_snapshot_needs_is_not_copied_over_and_over(void)
{
	enum { EDGES = 2000 };
	struct shm_fixture f;
	struct edge_list list;
	uint64_t bytes;

	shm_fixture_init(&f, SHM_RESERVE * 4, 8, METRIC_L2, 0);
	list = edges_of(&f.segment, head_make(&f, 1), 1);
	for (uint32_t stamp = 1; stamp <= EDGES; stamp++) {
		must_be(edges_append(&f.segment, &list, stamp, 1, stamp),
			"append");
		edges_kill(&f.segment, &list, stamp - 1, 1, stamp);
		if (edges_mostly_dead(&list)) { /* as core/prepare.c does */
			must_be(limbo_reserve(&f.segment,
					      edges_blocks(&f.segment, &list)),
				"reserve");
			must_be(edges_compact(&f.segment, &list, 0, stamp),
				"compact");
		}
		limbo_drain(&f.segment, 0, 1000);
	}
	bytes = f.segment.header->adjacency.unit_count * EDGE_UNIT;
	ok(bytes < EDGES * sizeof(struct edge_entry) * 8,
	   "%d edges that an old snapshot keeps take %" PRIu64 " KiB", EDGES,
	   bytes >> 10);
	shm_fixture_release(&f);
}

static void an_empty_list_can_be_compacted(void)
{
	struct shm_fixture f;
	struct pair *pair;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	pair = pair_make(&f, 1);
	pair_compact(pair, 0, 1);
	is_u64(*pair->list.first, 0, "a list that was never begun");
	for (uint32_t i = 1; i <= 100; i++)
		pair_append(pair, i, 1, 1);
	pair_kill_all(pair, 2);
	pair_compact(pair, 2, 3);
	is_u64(*pair->list.first, 0, "and one that is dead have no block then");
	is_u64(*pair->list.live + *pair->list.dead, 0, "and no entries");
	ok(limbo_count(&f.segment) > 0, "its blocks wait");
	limbo_drain(&f.segment, 3, 100);
	ok(f.segment.header->adjacency.free_bytes > 0, "and are free then");
	pair_append(pair, 5, 1, 4);
	is_int(pair_check(pair, &f.segment, 2, 5), 0, "it can begin anew");
	free(pair);
	shm_fixture_release(&f);
}

/* One attempt's work on a list, by chance; nothing of it is in the model. */
static void attempt_make(struct pair *scratch, const struct pair *pair,
			 uint64_t *seed, uint32_t oldest, uint32_t stamp)
{
	*scratch = *pair;
	if (test_below(seed, 10) == 0)
		pair_kill_all(scratch, stamp);
	for (uint64_t i = test_below(seed, 40); i; i--)
		(void)pair_toggle(scratch, seed, stamp);
	if (test_below(seed, 3) == 0 || edges_mostly_dead(&scratch->list))
		pair_compact(scratch, oldest, stamp);
}

static void an_attempt_that_is_taken_back_leaves_no_trace(uint64_t seed)
{
	struct shm_fixture f;
	struct pair *pair;
	struct pair *scratch = malloc(sizeof *scratch);
	uint32_t oldest = 0;
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE * 2, 8, METRIC_L2, 0);
	pair = pair_make(&f, 1);
	if (!scratch)
		bail_out("no memory");
	for (uint32_t stamp = 1; stamp <= 1200 / TEST_SLOW + 100; stamp++) {
		uint32_t attempts = (uint32_t)test_below(&seed, 3);

		oldest += (uint32_t)test_below(&seed, stamp - oldest);
		for (uint32_t i = 0; i < attempts; i++) {
			attempt_make(scratch, pair, &seed, oldest, stamp);
			/* readers at older snapshots, while it is under way */
			wrong += pair_differs(pair, &f.segment, stamp - 1);
			edges_undo(&f.segment, &pair->list, stamp);
			limbo_clear_rows(&f.segment);
			wrong += pair_check(pair, &f.segment, oldest, stamp);
			edges_undo(&f.segment, &pair->list, stamp);
			wrong += pair_check(pair, &f.segment, oldest, stamp);
		}
		for (uint64_t i = test_below(&seed, 6); i; i--)
			wrong += pair_toggle(pair, &seed, stamp);
		if (edges_mostly_dead(&pair->list))
			pair_compact(pair, oldest, stamp);
		wrong += pair_check(pair, &f.segment, oldest, stamp);
	}
	is_int(wrong, 0,
	       "an attempt that is taken back, once or twice, leaves "
	       "the list as it was, and the next may use its stamp");
	free(scratch);
	free(pair);
	shm_fixture_release(&f);
}

/* ---- deaths ------------------------------------------------------------- */

static uint64_t point_left;

static void die_at_point(const char *name)
{
	(void)name;
	if (!point_left--)
		kill(getpid(), SIGKILL);
}

static void a_death_in_an_attempt_can_be_taken_back(uint64_t seed)
{
	struct shm_fixture f;
	struct pair *pair;
	struct pair *scratch = malloc(sizeof *scratch);
	int deaths = 0;
	int wrong = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	pair = pair_make(&f, 1);
	if (!scratch)
		bail_out("no memory");
	for (uint32_t stamp = 1; stamp <= 200 / TEST_SLOW + 20; stamp++) {
		uint32_t oldest = stamp > 5 ? stamp - 5 : 0;
		pid_t pid;

		point_left = test_below(&seed, 60);
		pid = child_fork();
		if (!pid) {
			point_hook = die_at_point;
			attempt_make(scratch, pair, &seed, oldest, stamp);
			_exit(0);
		}
		deaths += child_wait(pid) == 128 + SIGKILL;
		wrong += pair_differs(pair, &f.segment, stamp - 1);
		edges_undo(&f.segment, &pair->list, stamp);
		limbo_clear_rows(&f.segment);
		wrong += pair_check(pair, &f.segment, oldest, stamp);
		for (uint64_t i = test_below(&seed, 20); i; i--)
			wrong += pair_toggle(pair, &seed, stamp);
		if (edges_mostly_dead(&pair->list))
			pair_compact(pair, oldest, stamp);
		wrong += pair_check(pair, &f.segment, oldest, stamp);
	}
	ok(deaths > 5 && !wrong,
	   "after %d deaths in an attempt its stamps are taken back", deaths);
	free(scratch);
	free(pair);
	shm_fixture_release(&f);
}

/* ---- without room ------------------------------------------------------- */

static void without_room_nothing_is_appended(void)
{
	struct shm_fixture f;
	struct pair *pair;
	struct edge_list other;
	uint32_t live;
	uint32_t filled = 0;
	uint64_t free_bytes;
	int err = 0;

	shm_fixture_init(&f, SHM_RESERVE, 8, METRIC_L2, 0);
	pair = pair_make(&f, 1);
	other = edges_of(&f.segment, head_make(&f, 2), 1);
	for (uint32_t i = 1; i <= 200; i++)
		pair_append(pair, i, 1, 1);
	for (uint32_t i = 1; i <= 120; i++)
		pair_kill(pair, i, 1, 2);
	while (!(err = edges_append(&f.segment, &other, filled + 1, 2, 1)))
		filled++;
	is_int(err, ENOSPC, "the region is full after %u edges", filled);
	is_u64(*other.live, filled, "what was not added is not counted");
	is_int(pair_check(pair, &f.segment, 0, 3), 0, "another list is whole");
	live = *pair->list.live;
	free_bytes = f.segment.header->adjacency.free_bytes;
	must_be(limbo_reserve(&f.segment, 100), "reserve");
	err = edges_compact(&f.segment, &pair->list, 2, 3);
	is_int(err, ENOSPC, "there is no room to compact it");
	is_int(pair_check(pair, &f.segment, 0, 3), 0, "it is whole still");
	is_u64(*pair->list.live, live, "and counted so");
	ok(f.segment.header->adjacency.free_bytes >= free_bytes,
	   "the copy's blocks are free again");
	is_u64(limbo_count(&f.segment), 0, "the list's own are not");
	free(pair);
	shm_fixture_release(&f);
}

/* ---- rubbish ------------------------------------------------------------ */

enum { LISTS = 20 };

struct rubbish {
	struct shm_fixture f;
	struct segment reader;
	struct pair *pairs[LISTS];
	uint64_t seed;
};

static uint32_t any_number(uint64_t *seed)
{
	uint32_t word = (uint32_t)test_random(seed);

	return word >> test_below(seed, 32);
}

/* A word of a block: next, count, class, or any. */
static void spoil(struct rubbish *rubbish)
{
	struct segment *segment = &rubbish->f.segment;
	const struct region_view *edges = segment_region(segment, REGION_EDGES);
	uint64_t units = segment->header->adjacency.unit_count;
	uint32_t unit = 1 + (uint32_t)test_below(&rubbish->seed, units - 1);
	struct edge_block *block = region_at(
	    segment->header, edges, (uint64_t)unit * EDGE_UNIT, EDGE_UNIT);
	uint32_t number = any_number(&rubbish->seed);

	switch (test_below(&rubbish->seed, 6)) {
	case 0: block->next = number; break;
	case 1:
		block->next =
		    1 + (uint32_t)test_below(&rubbish->seed, units - 1);
		break;
	case 2: block->count = number; break;
	case 3: block->class_index = number % 8 ? number % 8 : number; break;
	case 4: block->entries[0].born = number; break;
	default: *rubbish->pairs[unit % LISTS]->list.first = number; break;
	}
}

static void look_at_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	uint64_t most =
	    region_bytes(segment_region(&rubbish->reader, REGION_EDGES)) /
	    EDGE_UNIT * 63;
	struct edge_cursor cursor;

	shm_fence(&rubbish->reader);
	for (int i = 0; i < 20000 / TEST_SLOW; i++) {
		struct edge_name entry;
		uint64_t count = 0;
		uint32_t sum = 0;

		spoil(rubbish);
		edge_cursor_init(&cursor, rubbish->reader.header,
				 segment_region(&rubbish->reader, REGION_EDGES),
				 rubbish->pairs[i % LISTS]->list.first,
				 any_number(&rubbish->seed));
		/* a circle is followed to its bound a few times only */
		while (edge_cursor_next(&cursor, &entry) &&
		       (i % 2000 == 0 || count < 10000)) {
			sum += entry.peer + entry.relation;
			count++;
		}
		if (count > most)
			_exit(1);
		rubbish->seed += sum & 1;
	}
}

static void write_in_rubbish(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *segment = &rubbish->f.segment;

	for (int i = 0; i < 3000 / TEST_SLOW; i++) {
		const struct edge_list *list = &rubbish->pairs[i % LISTS]->list;
		uint32_t number = any_number(&rubbish->seed);

		spoil(rubbish);
		switch (i % 6) {
		case 0: (void)edges_append(segment, list, number, 1, 2); break;
		case 1: (void)edges_kill(segment, list, number, 1, 2); break;
		case 2: edges_kill_all(segment, list, 2); break;
		case 3: edges_undo(segment, list, 2); break;
		case 4: edges_free(segment, number); break;
		default:
			segment->header->adjacency.free_units[i / 6 % 5] =
			    number;
			break;
		}
	}
}

/* A list whose last block is followed by its first. */
static void circle_make(struct rubbish *rubbish)
{
	struct segment *segment = &rubbish->f.segment;
	const struct edge_list *list = &rubbish->pairs[0]->list;
	uint32_t unit = *list->first;
	struct edge_block *block;

	while ((block = edge_block_at(segment->header,
				      segment_region(segment, REGION_EDGES),
				      unit)) &&
	       block->next)
		unit = block->next;
	block->next = *list->first;
}

static void walk_a_circle(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *segment = &rubbish->f.segment;
	const struct edge_list *list = &rubbish->pairs[0]->list;
	struct edge_cursor cursor;
	struct edge_name entry;

	circle_make(rubbish);
	edge_cursor_init(&cursor, segment->header,
			 segment_region(segment, REGION_EDGES), list->first, 5);
	while (edge_cursor_next(&cursor, &entry))
		;
	(void)edges_kill(segment, list, 999, 9, 9);
	edges_undo(segment, list, 9);
	edges_kill_all(segment, list, 9);
}

static void compact_a_circle(void *user)
{
	struct rubbish *rubbish = user;
	struct segment *segment = &rubbish->f.segment;
	const struct edge_list *list = &rubbish->pairs[0]->list;

	circle_make(rubbish);
	must_be(limbo_reserve(segment, 100), "reserve");
	(void)edges_compact(segment, list, 3, 4);
}

static void rubbish_run(uint64_t seed, void (*body)(void *user),
			const char *claim)
{
	struct rubbish rubbish = {.seed = seed};

	shm_fixture_init(&rubbish.f, SHM_RESERVE, 8, METRIC_L2, 0);
	(void)head_make(&rubbish.f, LISTS + 1);
	for (uint32_t i = 0; i < LISTS; i++) {
		rubbish.pairs[i] = pair_make(&rubbish.f, i + 1);
		for (uint32_t j = 1; j <= 10 + i * 10; j++)
			pair_append(rubbish.pairs[i], j, 1, 1 + j % 3);
	}
	shm_reader(&rubbish.f, &rubbish.reader);
	is_int(child_survives(10, body, &rubbish), 0, "%s", claim);
	for (uint32_t i = 0; i < LISTS; i++)
		free(rubbish.pairs[i]);
	segment_detach(&rubbish.reader);
	shm_fixture_release(&rubbish.f);
}

static void rubbish_never_leads_astray(uint64_t seed)
{
	rubbish_run(seed, look_at_rubbish,
		    "a cursor among spoiled blocks ends, and reads what is "
		    "published only");
	rubbish_run(seed, write_in_rubbish,
		    "a writer among them comes to an end");
	rubbish_run(seed, walk_a_circle,
		    "so it does in a list that is a circle");
	rubbish_run(seed, compact_a_circle, "and when it compacts one");
}

int main(void)
{
	uint64_t seed;

	test_begin(180);
	seed = test_seed();
	a_list_is_what_it_was_at_every_snapshot(seed);
	filling_gives_the_same_list_as_appending();
	killing_all_leaves_an_empty_list_from_then_on(seed);
	compaction_keeps_what_open_snapshots_see(seed);
	a_list_that_an_old_snapshot_needs_is_not_copied_over_and_over();
	an_empty_list_can_be_compacted();
	an_attempt_that_is_taken_back_leaves_no_trace(seed);
	a_death_in_an_attempt_can_be_taken_back(seed);
	without_room_nothing_is_appended();
	rubbish_never_leads_astray(seed);
	return done_testing();
}
