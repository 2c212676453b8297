/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: a snapshot, and the entities in it.
 *
 * idea
 *	A read has a slot, an LMDB transaction that is reset and renewed, and
 *	a hold on the index segment.  Its snapshot is the commit that its LMDB
 *	transaction sees; whatever that is, the segment was prepared for it.
 *	A read that ended waits in a pool, so that the next one makes no
 *	system call.  The pool keeps as many as a call may have threads; more
 *	are let go, so that their slots are there for other processes.
 *	An entity by key is three cache misses that depend on each other: the
 *	id map's bucket, the head, the copy of the record (record.h), which has
 *	the key in it and so settles the id map's guess.  LMDB is asked where
 *	the head is of a later commit than the snapshot, or pending, or the
 *	record has no copy.  Of one million keys that takes half of what
 *	mdb_get does.  The bloom filter costs 30 ns of it, of 410, and spares
 *	an absent key, at 30 ns, the bucket's miss; fetching a record's second
 *	line ahead gained nothing.  cop_get_many goes through these steps for
 *	16 keys at a time, so that their misses overlap: 100 ns a key.
 *
 * ordering
 *	S1 (slot.h)	the slot publishes a commit that is certainly not newer
 *			than the snapshot before LMDB is asked for it.
 *	C1 (commit.c)	the fence after renewing: what was prepared before
 *			that commit is seen from here on.
 *
 * trust
 *	The commit number is stored in LMDB, too, and compared with LMDB's own
 *	transaction id: LMDB warns that a reader that was suspended may see a
 *	stale page.
 */
#include "build.h"
#include "content.h"
#include "generation.h"
#include "graph.h"
#include "past.h"
#include "prefetch.h"
#include "timed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	RENEW_TRIES = 16,
	GET_BATCH = 16,
	POOL_MAX = COP_THREAD_MAX, /* reads kept at hand, with their slots */
	SLOT_WAIT_MS = 10000,	   /* for a slot, where the timeout is longer */
	SLOT_PAUSE_MS = 20
};

cop_err read_state(const struct env *env, env_txn *txn,
		   struct disk_state *state)
{
	struct bytes value;
	int err = env_get(env, txn, DB_META, bytes_of("state", 5), &value);

	if (err == ENV_ABSENT)
		return error_set(COP_CORRUPT, "the data file lacks the store's "
					      "state; restore a backup");
	if (err)
		return error_system(err, "cannot read the store's state");
	if (value.size != sizeof *state)
		return error_set(COP_CORRUPT,
				 "the store's state has %zu "
				 "bytes; restore a backup",
				 value.size);
	memcpy(state, value.data, sizeof *state);
	return 0;
}

/* ---- begin and end ------------------------------------------------------ */

int read_rooms_map(cop_read *read)
{
	const struct region_view *heads =
	    segment_region(read_segment(read), REGION_HEADS);
	uint64_t bytes = heads->reserved / sizeof(struct head) / 8 + 8;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return errno;
	read->visited = at;
	read->visited_bytes = bytes;
	return room_open(&read->room, read_segment(read));
}

static void rooms_unmap(cop_read *read)
{
	if (read->visited)
		munmap(read->visited, read->visited_bytes);
	read->visited = NULL;
	room_close(&read->room);
}

void read_destroy(cop_read *read)
{
	cop_store *store = read->store;
	int mine = process_is(read->process);

	if (read->txn && mine)
		env_read_abort(read->txn);
	rooms_unmap(read);
	arena_release(&read->arena);
	buffer_release(&read->past_edges);
	content_window_release(&read->window);
	free(read->touched.bits);
	if (mine)
		slot_give(&store->slots, read->slot);
	if (read->index)
		index_drop(store, read->index);
	if (read->generation)
		generation_drop(store, read->generation);
	free(read);
}

cop_err read_is_inherited(const cop_read *read)
{
	return error_set(COP_FORKED,
			 "%s: the read was begun before a fork and is the "
			 "parent process's; end it here and begin a new read",
			 read->store->path);
}

/* With a slot that was taken, which is given back on error. */
static cop_err read_make(cop_store *store, uint32_t slot, cop_read **out)
{
	cop_read *read = calloc(1, sizeof *read);
	int err;

	if (!read) {
		slot_give(&store->slots, slot);
		return error_system(ENOMEM, "no memory for a read");
	}
	read->store = store;
	read->process = process_stamp();
	read->slot = slot;
	read->index = index_hold(store);
	read->generation = generation_hold(store);
	read->env = &read->generation->env;
	err = read_rooms_map(read);
	if (!err)
		err = env_read_begin(read->env, &read->txn);
	if (err) {
		read_destroy(read);
		return error_system(err, "%s: cannot begin a read",
				    store->path);
	}
	*out = read;
	return 0;
}

static cop_read *pool_pop(cop_store *store)
{
	cop_read *read;

	pthread_mutex_lock(&store->mutex);
	read = store->pool;
	if (read) {
		store->pool = read->next;
		store->pool_count--;
	}
	pthread_mutex_unlock(&store->mutex);
	return read;
}

void read_pool_clear(cop_store *store)
{
	cop_read *read;

	while ((read = pool_pop(store)))
		read_destroy(read);
}

/* A read from the pool, or with a slot of its own when there is one. */
static cop_err read_find(cop_store *store, cop_read **out)
{
	const struct timespec pause = {0, SLOT_PAUSE_MS * 1000000L};
	uint32_t wait =
	    store->timeout_ms < SLOT_WAIT_MS ? store->timeout_ms : SLOT_WAIT_MS;
	uint32_t slot;
	int err;

	for (uint32_t waited = 0;; waited += SLOT_PAUSE_MS) {
		*out = pool_pop(store);
		if (*out)
			return 0;
		err = slot_take(&store->slots, &slot);
		if (!err)
			return read_make(store, slot, out);
		if (err != ENFILE)
			return error_system(
			    err, "%s: cannot take a reader slot", store->path);
		if (waited >= wait)
			return error_set(COP_BUSY,
					 "%s: all %d reader slots were in use "
					 "for %u ms; end reads that are not "
					 "needed (`coppice readers` lists "
					 "them)",
					 store->path, SLOT_COUNT, wait);
		nanosleep(&pause, NULL);
	}
}

/* The data file was replaced: a transaction, reset, of the new one. */
static cop_err generation_follow(cop_read *read)
{
	cop_store *store = read->store;
	cop_err err = generation_refresh(store);
	struct generation *next;
	int code;

	if (err)
		return err;
	next = generation_hold(store);
	if (read->txn && read->generation == next) {
		generation_drop(store, next);
		return 0;
	}
	if (read->txn)
		env_read_abort(read->txn);
	read->txn = NULL;
	generation_drop(store, read->generation);
	read->generation = next;
	read->env = &next->env;
	code = env_read_begin(read->env, &read->txn);
	if (code)
		return error_system(code, "%s: cannot begin a read",
				    store->path);
	env_read_reset(read->txn);
	return 0;
}

/* The index or the data file was replaced: hold the new one. */
static cop_err read_move(cop_read *read)
{
	cop_store *store = read->store;
	cop_err err = generation_follow(read);

	if (!err)
		err = attach_refresh(store);
	if (err)
		return err;
	index_drop(store, read->index);
	read->index = index_hold(store);
	rooms_unmap(read);
	if (read_rooms_map(read))
		return error_system(ENOMEM, "no memory for a read");
	return 0;
}

/* One that could not be moved, for want of memory, has no room. */
static int read_outdated(const cop_read *read)
{
	return !read->txn || !read->room.memory ||
	       read->index->number !=
		   atomic_load_explicit(&read->store->slots.control->index,
					memory_order_acquire) ||
	       generation_outdated(read->store, read->generation);
}

/*
 * LMDB's transaction number fits the commit's.  It is one over while the data
 * file is being replaced: that naming its successor was a commit of LMDB's and
 * none of ours.  Until the new number is said (read_outdated), which is before
 * that is over, nobody commits to the successor: this is the newest still.
 */
static int number_fits(const cop_read *read)
{
	uint64_t over =
	    env_txn_id(read->txn) - read->env->base - read->state.commit;

	return !over ||
	       (over == 1 &&
		atomic_load_explicit(&read->store->slots.control->switching,
				     memory_order_acquire));
}

/* A snapshot, from a transaction that was reset.  COP_MOVED: once more. */
static cop_err snapshot_try(cop_read *read)
{
	cop_store *store = read->store;
	const struct segment_header *header = read_segment(read)->header;
	cop_err err;
	int code;

	slot_enter(&store->slots, read->slot,
		   atomic_load_explicit(&header->committed,
					memory_order_acquire)); /* S1 */
	if (read_outdated(read))				/* S3 */
		return COP_MOVED;
	code = env_read_renew(read->txn);
	if (code)
		return error_system(code, "%s: cannot renew a read",
				    store->path);
	err = read_state(read->env, read->txn, &read->state);
	if (err)
		return err;
	atomic_thread_fence(memory_order_acquire); /* C1 */
	if (!number_fits(read) ||
	    read->state.commit >
		atomic_load_explicit(&header->prepared, memory_order_acquire) ||
	    read->state.commit < header->base_commit || read_outdated(read))
		return COP_MOVED;
	read->stamp = (uint32_t)(read->state.commit - header->base_commit);
	read->moment = read->state.commit;
	read->is_timed = 0;
	return 0;
}

static cop_err snapshot_take(cop_read *read)
{
	cop_err err = COP_MOVED;

	for (int i = 0; i < RENEW_TRIES && err == COP_MOVED; i++) {
		if (i)
			env_read_reset(read->txn);
		err = read_outdated(read) ? read_move(read) : 0;
		if (!err)
			err = snapshot_try(read);
	}
	if (err == COP_MOVED)
		return error_set(
		    COP_FOREIGN,
		    "%s: the data file has commits that this segment was not "
		    "prepared for: another segment serves the store, or its "
		    "file was replaced; close the store in every process and "
		    "open it again",
		    read->store->path);
	return err;
}

static void read_park(cop_read *read)
{
	cop_store *store = read->store;
	int kept;

	slot_leave(&store->slots, read->slot);
	pthread_mutex_lock(&store->mutex);
	kept = store->pool_count < POOL_MAX;
	if (kept) {
		read->next = store->pool;
		store->pool = read;
		store->pool_count++;
	}
	pthread_mutex_unlock(&store->mutex);
	if (!kept)
		read_destroy(read);
}

void read_tell(cop_read *read)
{
	struct slots *slots = &read->store->slots;

	read->tally[TALLY_INFLATED] += read->arena.inflated;
	read->arena.inflated = 0;
	for (int i = 0; i < SLOT_TALLY_COUNT; i++) {
		if (read->tally[i])
			slot_tell(slots, read->slot, (enum slot_tally)i,
				  read->tally[i]);
		read->tally[i] = 0;
	}
}

/* The calling thread's id; a system call at its first read, or in a child. */
static uint32_t thread_id(void)
{
	static _Thread_local uint64_t process;
	static _Thread_local uint32_t id;

	if (!process_is(process)) {
		id = (uint32_t)gettid();
		process = process_stamp();
	}
	return id;
}

cop_err cop_read_begin(cop_store *store, cop_read **out)
{
	cop_read *read;
	cop_err err = store_use(store);

	if (!err)
		err = read_find(store, &read);
	if (err)
		return err;
	slot_use(&store->slots, read->slot, thread_id(), SLOT_READ);
	env_read_reset(read->txn);
	err = snapshot_take(read);
	if (err) {
		env_read_reset(read->txn);
		read_park(read);
		return err;
	}
	*out = read;
	return 0;
}

cop_err read_is_testing(void)
{
	return error_set(COP_INVALID,
			 "a search's or a walk's own test may get entities and "
			 "edges, and no more, with its read; begin another "
			 "read for that");
}

cop_err cop_read_refresh(cop_read *read)
{
	cop_err err = read_check_idle(read);

	if (err)
		return err;
	read_tell(read);
	if (read->arena.blocks)
		arena_release(&read->arena);
	env_read_reset(read->txn);
	return snapshot_take(read);
}

void cop_read_end(cop_read *read)
{
	if (!read)
		return;
	if (!process_is(read->process)) {
		read_destroy(read);
		return;
	}
	read_tell(read);
	arena_release(&read->arena);
	content_window_release(&read->window);
	env_read_reset(read->txn);
	read_park(read);
}

cop_err cop_read_valid_at(cop_read *read, const struct cop_instant *at)
{
	cop_err err = read_check_idle(read);

	if (!err && at && at->nanos >= 1000000000)
		err = error_set(COP_INVALID,
				"%u nanoseconds; they are below 1,000,000,000",
				at->nanos);
	if (err)
		return err;
	read->is_timed = at != NULL;
	if (at)
		read->valid_at = *at;
	return 0;
}

uint64_t cop_read_commit(const cop_read *read)
{
	return read->moment;
}

uint64_t cop_read_oldest(const cop_read *read)
{
	return read->state.oldest;
}

void read_copy(const cop_read *read, cop_read *copy)
{
	*copy = *read;
	copy->arena = (struct arena){0};
	copy->past_edges = (struct buffer){0};
	copy->window = (struct content_window){.bytes = NULL};
	copy->touched = (struct touched){0};
	copy->visited = NULL;
	copy->room = (struct room){0};
	memset(copy->tally, 0, sizeof copy->tally);
}

void read_copy_end(cop_read *copy)
{
	read_tell(copy);
	rooms_unmap(copy);
	arena_release(&copy->arena);
	content_window_release(&copy->window);
	buffer_release(&copy->past_edges);
}

/* ---- names -------------------------------------------------------------- */

cop_err read_symbol(cop_read *read, enum name_space space, const char *text,
		    size_t size, uint32_t *number)
{
	return dict_find(read->env, read->txn, space, text, size, number);
}

cop_err cop_name(cop_read *read, uint32_t name, const char **text, size_t *size)
{
	struct bytes bytes;
	cop_err err = read_check(read);

	if (!err)
		err = dict_text(read->env, read->txn, name, &bytes);
	if (err)
		return err;
	*text = bytes.data;
	*size = bytes.size;
	return 0;
}

/* ---- entities ----------------------------------------------------------- */

static cop_err key_check(const void *key, size_t size)
{
	if (key && size && size <= COP_KEY_BYTES)
		return 0;
	return error_set(COP_BAD_KEY,
			 "a key has %zu bytes; it may have 1 to "
			 "%d",
			 size, COP_KEY_BYTES);
}

cop_err read_lost(const cop_read *read, uint64_t id, const char *what)
{
	const struct segment *segment = read_segment(read);
	const struct head *head = graph_head(read, id);
	uint32_t size = 0;
	const char *key =
	    head ? head_key(segment->header,
			    segment_region(segment, REGION_TEXT), head, &size)
		 : NULL;

	return error_set(COP_CORRUPT,
			 "%s: the data file lacks %s of '%.*s' (%llu), "
			 "which shared memory knows of; `coppice check` says "
			 "more",
			 read->store->path, what, error_shown(size),
			 key ? key : "", (unsigned long long)id);
}

/* The head's state, unless it has changed since the read's moment. */
static int head_state_of(const cop_read *read, uint64_t id,
			 struct head_state *state)
{
	const struct head *head = graph_head(read, id);

	return head && head_read(head, read->moment, state);
}

/*
 * What the segment knows of an entity's record: 0 if LMDB has to be asked.  A
 * copy that makes no sense is passed over, as LMDB has the record, too.
 */
static int record_kept(const cop_read *read, uint64_t id, struct bytes *record)
{
	const struct segment *segment = read_segment(read);
	const void *map = segment->header;
	const struct head *head =
	    head_at(map, segment_region(segment, REGION_HEADS), id);
	struct head_state state;
	uint32_t size = 0;

	if (!head || !head_read(head, read->moment, &state))
		return 0;
	*record = bytes_of(NULL, 0);
	if (!state.alive)
		return 1;
	record->data = record_peek(map, segment_region(segment, REGION_RECORDS),
				   state.record, (uint32_t)id, &size);
	record->size = size;
	return record->data && !codec_entity_fault(*record);
}

/* LMDB has no record. */
static __attribute__((noinline)) cop_err record_absent(const cop_read *read,
						       uint64_t id)
{
	struct head_state state;

	return head_state_of(read, id, &state) && state.alive
		   ? read_lost(read, id, "the record")
		   : 0;
}

/* With all that it ever is. */
static inline cop_err read_entity_raw(cop_read *read, uint64_t id,
				      struct bytes *record)
{
	struct past past = past_of(read);
	int err;

	if (record_kept(read, id, record)) {
		read_tally(read, TALLY_SHARED, 1);
		return 0;
	}
	read_tally(read, TALLY_COPIED, 1);
	err = past_get(&past, DB_ENTITIES, bytes_of(&id, sizeof id), record);
	if (err)
		return error_system(err, "%s: cannot read", read->store->path);
	return record->data ? codec_entity_check(*record)
			    : record_absent(read, id);
}

cop_err read_entity_record(cop_read *read, uint64_t id, struct bytes *record)
{
	cop_err err = read_entity_raw(read, id, record);

	if (__builtin_expect(!read->is_timed, 1) || err || !record->data)
		return err;
	return read_entity_narrow(read, record);
}

cop_err read_timed_has(cop_read *read, uint64_t id, uint32_t tag, int *has)
{
	struct bytes record;
	cop_err err = 0;

	*has = 1;
	if (!read->is_timed)
		return 0;
	err = read_entity_raw(read, id, &record);
	*has = !err && record.data &&
	       timed_has_tag(record.data, tag, &read->valid_at);
	return err;
}

cop_err read_entity_narrow(cop_read *read, struct bytes *record)
{
	return read->is_timed
		   ? timed_view(&read->arena, record, &read->valid_at)
		   : 0;
}

static void validity_set(struct cop_validity *out,
			 const struct disk_validity *valid)
{
	*out = (struct cop_validity){{valid->from, valid->from_nanos, 0},
				     {valid->to, valid->to_nanos, 0}};
}

cop_err read_edge_view(struct bytes record, struct cop_edge *edge)
{
	const struct disk_validity always = timed_always();
	const struct disk_edge *head = record.data;
	const struct disk_validity *valid;
	cop_err err = codec_edge_check(record);

	if (err)
		return err;
	valid = codec_edge_validity(head);
	edge->version = head->version;
	edge->property_count = head->property_count;
	edge->record = record.data;
	edge->record_size = record.size;
	validity_set(&edge->valid, valid ? valid : &always);
	return 0;
}

cop_err read_entity_view(uint64_t id, struct bytes record,
			 struct cop_entity *out)
{
	const struct disk_entity *head = record.data;

	if (!head) {
		*out = (struct cop_entity){0};
		return 0;
	}
	*out = (struct cop_entity){.id = id,
				   .version = head->version,
				   .key = head->key,
				   .key_size = head->key_size,
				   .type = head->type,
				   .tag_count = head->tag_count,
				   .property_count = head->property_count,
				   .content_size = content_size(record),
				   .record = record.data,
				   .record_size = record.size};
	return 0;
}

/* The id that a key was ever given, from the segment alone. */
static uint32_t key_id(cop_read *read, const void *key, size_t size)
{
	const struct segment *segment = read_segment(read);
	uint64_t hash = build_key_hash(key, size);
	uint32_t id;

	idmap_prefetch(segment, hash);
	if (!filter_test(segment, &segment->header->key_bloom, hash)) {
		read_tally(read, TALLY_DENIED, 1);
		return 0;
	}
	id = idmap_find(segment, hash, key, size);
	if (!id)
		read_tally(read, TALLY_FALSE, 1);
	return id;
}

cop_err cop_id(cop_read *read, const void *key, size_t key_size, uint64_t *id)
{
	cop_err err = read_check(read);

	if (!err)
		err = key_check(key, key_size);
	if (!err)
		*id = key_id(read, key, key_size);
	return err;
}

cop_err cop_lookup(cop_read *read, const void *key, size_t key_size,
		   uint64_t *id)
{
	const struct segment *segment = read_segment(read);
	struct head_state state;
	struct bytes record;
	struct head *head;
	uint32_t found;
	cop_err err = read_check(read);

	if (!err)
		err = key_check(key, key_size);
	if (err)
		return err;
	found = key_id(read, key, key_size);
	head = head_at(segment->header, segment_region(segment, REGION_HEADS),
		       found);
	if (!head) {
		*id = 0;
		return 0;
	}
	if (head_read(head, read->moment, &state)) {
		*id = state.alive ? found : 0;
		return 0;
	}
	err = read_entity_record(read, found, &record);
	if (!err)
		*id = record.data ? found : 0;
	return err;
}

cop_err cop_get_id(cop_read *read, uint64_t id, struct cop_entity *out)
{
	struct bytes record;
	cop_err err = read_check(read);

	if (!err)
		err = read_entity_record(read, id, &record);
	return err ? err : read_entity_view(id, record, out);
}

static int key_matches(struct bytes record, const void *key, size_t key_size)
{
	const struct disk_entity *head = record.data;

	return head && head->key_size == key_size &&
	       !memcmp(head->key, key, key_size);
}

/* The id that a key probably has, 0 if certainly none. */
static inline uint32_t key_guess(cop_read *read, uint64_t hash,
				 const struct idmap_place *place)
{
	const struct segment *segment = read_segment(read);
	uint32_t id;

	if (!filter_test(segment, &segment->header->key_bloom, hash)) {
		read_tally(read, TALLY_DENIED, 1);
		return 0;
	}
	id = idmap_guess(place);
	if (!id)
		read_tally(read, TALLY_FALSE, 1);
	return id;
}

/*
 * The record is read anyway and has the key in it, so the id map's guess is
 * settled there, without a look at the segment's copy of the key.
 */
static cop_err get_guessed(cop_read *read, const void *key, size_t key_size,
			   uint64_t hash, uint64_t id, struct cop_entity *out)
{
	struct bytes record = bytes_of(NULL, 0);
	cop_err err = id ? read_entity_record(read, id, &record) : 0;

	if (err)
		return err;
	if (id && !key_matches(record, key, key_size)) {
		id = idmap_find(read_segment(read), hash, key, key_size);
		record = bytes_of(NULL, 0);
		if (id)
			err = read_entity_record(read, id, &record);
		else
			read_tally(read, TALLY_FALSE, 1);
	}
	return err ? err : read_entity_view(id, record, out);
}

cop_err cop_get(cop_read *read, const void *key, size_t key_size,
		struct cop_entity *out)
{
	struct idmap_place place;
	uint64_t hash;
	cop_err err = read_check(read);

	if (!err)
		err = key_check(key, key_size);
	if (err)
		return err;
	hash = build_key_hash(key, key_size);
	place = idmap_prefetch(read_segment(read), hash);
	return get_guessed(read, key, key_size, hash,
			   key_guess(read, hash, &place), out);
}

struct get_many {
	cop_read *read;
	const void *const *keys;
	const size_t *key_sizes;
	size_t count;
	uint32_t threads;
	struct cop_entity *out;
};

/* Keys of one call that are looked for together. */
struct get_batch {
	uint64_t hashes[GET_BATCH];
	struct idmap_place places[GET_BATCH];
	uint32_t ids[GET_BATCH];
};

PREFETCHES head_prefetch(const cop_read *read, uint32_t id)
{
	const struct segment *segment = read_segment(read);
	const void *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);

	if (head)
		__builtin_prefetch(head);
}

/* The block that a head names, or did: nothing but a hint. */
PREFETCHES record_hint(const cop_read *read, uint32_t id)
{
	const struct segment *segment = read_segment(read);
	const struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);

	if (head)
		record_prefetch(segment->header,
				segment_region(segment, REGION_RECORDS),
				head_record_hint(head));
}

/* Step by step for all of them, so that their cache misses overlap. */
static cop_err get_together(struct get_many *many, size_t from, size_t count)
{
	cop_read *read = many->read;
	const void *const *keys = many->keys + from;
	const size_t *sizes = many->key_sizes + from;
	struct get_batch batch;
	cop_err err = 0;

	for (size_t i = 0; i < count; i++) {
		err = key_check(keys[i], sizes[i]);
		if (err)
			return err;
		batch.hashes[i] = build_key_hash(keys[i], sizes[i]);
		batch.places[i] =
		    idmap_prefetch(read_segment(read), batch.hashes[i]);
	}
	for (size_t i = 0; i < count; i++) {
		batch.ids[i] =
		    key_guess(read, batch.hashes[i], &batch.places[i]);
		head_prefetch(read, batch.ids[i]);
	}
	for (size_t i = 0; i < count; i++)
		record_hint(read, batch.ids[i]);
	for (size_t i = 0; i < count && !err; i++)
		err = get_guessed(read, keys[i], sizes[i], batch.hashes[i],
				  batch.ids[i], &many->out[from + i]);
	return err;
}

static cop_err get_part(void *user, uint32_t thread)
{
	struct get_many *many = user;
	size_t from = many->count * thread / many->threads;
	size_t to = many->count * (thread + 1) / many->threads;
	cop_err err = 0;

	for (; from < to && !err; from += GET_BATCH)
		err = get_together(
		    many, from, to - from < GET_BATCH ? to - from : GET_BATCH);
	return err;
}

cop_err cop_get_many(cop_read *read, const void *const *keys,
		     const size_t *key_sizes, size_t count, uint32_t threads,
		     struct cop_entity *out)
{
	struct get_many many = {
	    read, keys, key_sizes, count, threads_for(threads, count), out};
	cop_err err = read_check(read);
	int code = 0;

	if (err || !count)
		return err;
	if (many.threads == 1)
		return get_part(&many, 0);
	code = env_read_warm(read->env, read->txn);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	return threads_run(many.threads, get_part, &many);
}

cop_err cop_key(cop_read *read, uint64_t id, const void **key, size_t *key_size)
{
	const struct segment *segment = read_segment(read);
	struct head *head;
	uint32_t size = 0;
	cop_err err = read_check(read);

	if (err)
		return err;
	head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	*key = head
		   ? head_key(segment->header,
			      segment_region(segment, REGION_TEXT), head, &size)
		   : NULL;
	*key_size = size;
	return 0;
}

cop_err cop_vector(cop_read *read, uint64_t id, const float **vector)
{
	struct past past = past_of(read);
	struct head_state state;
	struct bytes value;
	const float *floats;
	cop_err err = read_check(read);
	int code;

	if (err)
		return err;
	code = past_get(&past, DB_VECTORS, bytes_of(&id, sizeof id), &value);
	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	if (!value.data && head_state_of(read, id, &state) && state.alive &&
	    state.row)
		return read_lost(read, id, "the vector");
	if (!value.data) {
		*vector = NULL;
		return 0;
	}
	floats = codec_vector(value, read->store->config.dim);
	if (!floats)
		return error_set(COP_CORRUPT,
				 "%s: a vector has %zu bytes; "
				 "restore a backup",
				 read->store->path, value.size);
	*vector = floats;
	return 0;
}

/* ---- fields ------------------------------------------------------------- */

cop_err cop_entity_tag(cop_read *read, const struct cop_entity *entity,
		       uint32_t index, const char **tag, size_t *size)
{
	if (index >= entity->tag_count)
		return error_set(COP_INVALID, "tag %u of %u", index,
				 entity->tag_count);
	return cop_name(read, codec_tags(entity->record)[index], tag, size);
}

cop_err cop_entity_tag_valid(cop_read *read, const struct cop_entity *entity,
			     uint32_t index, struct cop_validity *out)
{
	struct timed_tag tag;
	cop_err err = read_check(read);

	if (!err && index >= entity->tag_count)
		err = error_set(COP_INVALID, "tag %u of %u", index,
				entity->tag_count);
	if (err)
		return err;
	tag = timed_tag_at(entity->record, index);
	validity_set(out, &tag.valid);
	return 0;
}

cop_err cop_entity_property_valid(cop_read *read,
				  const struct cop_entity *entity,
				  uint32_t index, struct cop_validity *out)
{
	struct disk_validity valid;
	cop_err err = read_check(read);

	if (!err && index >= entity->property_count)
		err = error_set(COP_INVALID, "property %u of %u", index,
				entity->property_count);
	if (!err)
		err = timed_property(
		    bytes_of(entity->record, entity->record_size),
		    &codec_directory(entity->record)[index], &valid);
	if (!err)
		validity_set(out, &valid);
	return err;
}

cop_err cop_entity_property(cop_read *read, const struct cop_entity *entity,
			    const char *name, size_t name_size, int *found,
			    struct cop_value *out)
{
	const struct disk_property *directory;
	uint32_t number;
	cop_err err = read_check(read);

	if (!err)
		err =
		    read_symbol(read, NAME_PROPERTY, name, name_size, &number);
	if (err)
		return err;
	*found = 0;
	if (!number || !entity->id)
		return 0;
	directory = codec_directory(entity->record);
	for (uint32_t i = 0; i < entity->property_count; i++) {
		if (directory[i].name != number)
			continue;
		*found = 1;
		return codec_value(
		    &read->arena, bytes_of(entity->record, entity->record_size),
		    directory[i].value_at, out);
	}
	return 0;
}

static cop_err property_at(cop_read *read, const struct disk_property *property,
			   struct bytes record, const char **name,
			   size_t *name_size, struct cop_value *out)
{
	cop_err err = cop_name(read, property->name, name, name_size);

	return err ? err
		   : codec_value(&read->arena, record, property->value_at, out);
}

cop_err cop_entity_property_at(cop_read *read, const struct cop_entity *entity,
			       uint32_t index, const char **name,
			       size_t *name_size, struct cop_value *out)
{
	if (index >= entity->property_count)
		return error_set(COP_INVALID, "property %u of %u", index,
				 entity->property_count);
	return property_at(read, &codec_directory(entity->record)[index],
			   bytes_of(entity->record, entity->record_size), name,
			   name_size, out);
}

cop_err cop_edge_property_at(cop_read *read, const struct cop_edge *edge,
			     uint32_t index, const char **name,
			     size_t *name_size, struct cop_value *out)
{
	const struct disk_edge *head = edge->record;

	if (index >= edge->property_count)
		return error_set(COP_INVALID, "property %u of %u", index,
				 edge->property_count);
	return property_at(read, codec_edge_directory(head) + index,
			   bytes_of(edge->record, edge->record_size), name,
			   name_size, out);
}
