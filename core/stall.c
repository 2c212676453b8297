/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers that stand still: who they are, and when writers stop for them.
 *
 * idea
 *	A read keeps what its snapshot sees.  What has died since waits: rows
 *	and blocks of the segment in limbo, pages of the data file in LMDB's
 *	list of free ones.  A read that never ends would fill both.
 *	soft	A read whose snapshot has not been the newest for a minute
 *		(COPPICE_STALL_SECONDS) is counted by cop_stat and marked by
 *		cop_readers, with its name.
 *	hard	When what waits for the oldest read of a living process is
 *		more than a quarter of the room there would be without it, in
 *		shared memory or for the data file, or more than
 *		COPPICE_STALL_BYTES in either, a commit returns COP_STALLED
 *		before it has done anything, with the name and pid of who is
 *		in the way.  Reads go on; commits do, too, once that read is
 *		ended or refreshed, or its process dies.
 *	A quarter leaves room for what is put meanwhile, and is far from what
 *	a long scan or a backup holds back in passing.
 *
 * cost
 *	Without a read that lags, a look at the slots.  In shared memory the
 *	bytes are counted as they come and go.  Of the data file each commit's
 *	list is looked at, but only when an eighth as many commits have been
 *	made as the read lags: eight lists a commit, however old it is.
 *
 * limits
 *	The growth of the data file by what is put is no reader's fault and is
 *	not counted; nor are dead edges that a list has kept for a read.
 */
#include "lock.h"
#include "log.h"
#include "clock.h"
#include "setting.h"
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Less than this is not worth a look. */
#define STALL_CARE (UINT64_C(4) << 20)

enum {
	STALL_LAG = 8, /* commits, for a look at the data file */
	STALL_DRAIN = 1 << 20,
	STALL_SECONDS = 60
};

/* ---- the limit ---------------------------------------------------------- */

static uint64_t folder_room(int folder_fd)
{
	struct statvfs disk;

	return fstatvfs(folder_fd, &disk)
		   ? UINT64_MAX / 2
		   : (uint64_t)disk.f_bavail * disk.f_frsize;
}

static uint64_t memory_room(const cop_store *store, const struct env *env)
{
	(void)env;
	return folder_room(store->shm_fd);
}

static uint64_t disk_room(const cop_store *store, const struct env *env)
{
	uint64_t map = env_map_room(env);
	uint64_t disk = folder_room(store->folder_fd);

	return map < disk ? map : disk;
}

static int is_over(const cop_store *store, const struct env *env, uint64_t held,
		   uint64_t (*room)(const cop_store *store,
				    const struct env *env))
{
	uint64_t limit = setting_bytes("COPPICE_STALL_BYTES", 0);

	if (limit)
		return held > limit;
	return held >= STALL_CARE && held > (room(store, env) + held) / 4;
}

/* Bytes of limbo that wait for the read at `oldest`. */
static uint64_t memory_held(cop_store *store, uint64_t oldest)
{
	struct segment *segment = &store->writable;

	if (limbo_bytes(segment) >= STALL_CARE ||
	    setting_text("COPPICE_STALL_BYTES"))
		limbo_drain(segment, oldest, STALL_DRAIN);
	return limbo_bytes(segment);
}

/* Bytes of the data file that are free but for the read at `oldest`. */
static int disk_held(cop_store *store, uint64_t oldest, uint64_t newest,
		     uint64_t *held)
{
	struct stall *stall = &store->stall;
	int due = newest - oldest >= STALL_LAG &&
		  newest - stall->newest > (newest - oldest) / 8;
	env_txn *txn;
	int err = 0;

	if (due || (stall->held && stall->oldest != oldest)) {
		stall->held = 0;
		err = env_read_begin(store->env, &txn);
		if (!err) {
			err = env_held(store->env, txn, &stall->held);
			env_read_abort(txn);
		}
		stall->oldest = oldest;
		stall->newest = newest;
	}
	*held = stall->held;
	return err;
}

/* ---- names -------------------------------------------------------------- */

/* A name is bytes of another process's. */
static void name_clean(char *name)
{
	size_t size = strlen(name);
	size_t valid = text_valid_bytes(name, size);

	for (size_t i = 0; i < size; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 127 ||
		    i >= valid)
			name[i] = '?';
}

void stall_words(const struct slots *slots, struct slot_owner *owner,
		 char *words, size_t size)
{
	const char *where = "";

	name_clean(owner->name);
	if (owner->pid_namespace && slots->pid_namespace &&
	    owner->pid_namespace != slots->pid_namespace)
		where = " of another PID namespace";
	snprintf(words, size, "%s (pid %" PRIu32 "%s)", owner->name, owner->pid,
		 where);
}

static cop_err stall_error(cop_store *store, uint32_t slot, uint64_t behind,
			   uint64_t held, const char *of_what)
{
	struct slot_owner owner;
	char who[128];

	slot_peek(&store->slots, slot, &owner);
	stall_words(&store->slots, &owner, who, sizeof who);
	log_tell(store, COP_LOG_WARN,
		 "%s: a commit is refused: %s holds back too much", store->path,
		 who);
	return error_set(COP_STALLED,
			 "%s: a read of %s, thread %" PRIu32 ", %" PRIu64
			 " commits old, holds back %.1f MiB of %s, too much "
			 "for a commit: end or refresh it, or end its process, "
			 "and commit again",
			 store->path, who, owner.tid, behind,
			 (double)held / (1 << 20), of_what);
}

cop_err stall_check(cop_store *store, uint64_t newest)
{
	uint64_t held = 0;
	uint32_t slot;
	uint64_t oldest = slot_oldest_of(&store->slots, newest, &slot);
	int err;

	if (slot == SLOT_NONE)
		return 0;
	held = memory_held(store, oldest);
	if (is_over(store, store->env, held, memory_room))
		return stall_error(store, slot, newest - oldest, held,
				   "shared memory");
	err = disk_held(store, oldest, newest, &held);
	if (err)
		return error_system(err, "%s: cannot read", store->path);
	if (is_over(store, store->env, held, disk_room))
		return stall_error(store, slot, newest - oldest, held,
				   "the data file");
	return 0;
}

cop_err stall_snapshot_check(const cop_store *store, struct env *env,
			     env_txn *snapshot)
{
	uint64_t held = 0;
	env_txn *txn;
	int err = env_read_begin(env, &txn);

	if (!err) {
		err = env_held_since(env, txn, env_txn_id(snapshot), &held);
		env_read_abort(txn);
	}
	if (err)
		return error_system(err, "%s: cannot read", store->path);
	if (!is_over(store, env, held, disk_room))
		return 0;
	return error_set(COP_STALLED,
			 "%s: the backup holds back %.1f MiB of the data file, "
			 "too much, and gives way to commits: have it taken "
			 "faster, into a file, or make room",
			 store->path, (double)held / (1 << 20));
}

/* ---- readers ------------------------------------------------------------ */

/*
 * How long ago the commit after `commit` was made: since then it is old.  If
 * its record is not kept any more, the oldest one that is says the least.
 */
static int age_of(const cop_read *read, uint64_t commit, uint64_t *age_ns)
{
	uint64_t next = commit + 1;
	uint64_t now = clock_ns(CLOCK_REALTIME);
	struct bytes key = bytes_of(&next, sizeof next);
	struct bytes value;
	env_cursor *cursor;
	struct disk_op op;
	int err;

	*age_ns = 0;
	if (commit >= read->state.commit)
		return 0;
	err = env_cursor_open(read->env, read->txn, DB_OPS, &cursor);
	if (err)
		return err;
	err = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	if (!err && value.size >= sizeof op) {
		memcpy(&op, value.data, sizeof op);
		*age_ns = now > op.time_ns ? now - op.time_ns : 0;
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : err;
}

static int32_t state_of(const struct slot_owner *owner, uint64_t age_ns)
{
	uint64_t seconds =
	    setting_bytes("COPPICE_STALL_SECONDS", STALL_SECONDS);

	if (!owner->is_held)
		return COP_READER_DEAD;
	if (!owner->snapshot)
		return COP_READER_IDLE;
	return age_ns / 1000000000 >= seconds && age_ns ? COP_READER_STALLED
							: COP_READER_OPEN;
}

/* 0, or an error; `present` is 0 for a slot that is nobody's. */
static int reader_look(const cop_read *read, uint32_t slot,
		       struct slot_owner *owner, struct cop_reader *out,
		       int *present)
{
	struct slots *slots = &read->store->slots;
	int err = 0;

	*present = 0;
	slot_peek(slots, slot, owner);
	if (!owner->snapshot && !owner->is_held)
		return 0;
	*present = 1;
	name_clean(owner->name);
	*out = (struct cop_reader){.pid = owner->pid,
				   .tid = owner->tid,
				   .role = (int32_t)owner->role,
				   .pid_namespace = owner->pid_namespace,
				   .name = owner->name,
				   .reads = owner->count};
	out->is_foreign = owner->pid_namespace && slots->pid_namespace &&
			  owner->pid_namespace != slots->pid_namespace;
	if (owner->snapshot) {
		out->commit = owner->snapshot - 1;
		if (out->commit < read->state.commit)
			out->behind = read->state.commit - out->commit;
		err = age_of(read, out->commit, &out->age_ns);
	}
	out->state = state_of(owner, out->age_ns);
	return err;
}

/* Whoever has the writer lock; a dead one's signature is of the past. */
static int writer_look(cop_store *store, struct slot_owner *owner,
		       struct cop_reader *out)
{
	slot_peek(&store->slots, SLOT_NONE, owner);
	if (!owner->pid || !lock_is_held(store->lock_fd, LOCK_W))
		return 0;
	name_clean(owner->name);
	*out = (struct cop_reader){
	    .pid = owner->pid,
	    .tid = owner->tid,
	    .role = COP_ROLE_WRITE,
	    .state = COP_READER_OPEN,
	    .pid_namespace = owner->pid_namespace,
	    .is_foreign = owner->pid_namespace && store->slots.pid_namespace &&
			  owner->pid_namespace != store->slots.pid_namespace,
	    .name = owner->name,
	    .reads = owner->count};
	return 1;
}

cop_err cop_readers(cop_store *store,
		    int32_t (*visit)(void *user,
				     const struct cop_reader *reader),
		    void *user)
{
	struct slot_owner owner;
	struct cop_reader reader;
	cop_read *read;
	int present;
	int code = 0;
	cop_err err;

	err = cop_read_begin(store, &read);
	if (err)
		return err;
	error_clear();
	if (writer_look(store, &owner, &reader))
		err = error_answer(visit(user, &reader));
	for (uint32_t i = 0; i < slots_limit(&store->slots) && !code && !err;
	     i++) {
		if (i == read->slot)
			continue;
		code = reader_look(read, i, &owner, &reader, &present);
		error_clear();
		if (!code && present)
			err = error_answer(visit(user, &reader));
	}
	cop_read_end(read);
	return code ? error_system(code, "%s: cannot read", store->path) : err;
}

cop_err stall_stat(const cop_read *read, struct cop_stats *out)
{
	struct slots *slots = &read->store->slots;
	struct slot_owner owner;
	struct cop_reader reader;
	int present;
	int err = 0;

	out->oldest_snapshot = read->state.commit;
	out->held_bytes = limbo_bytes(read_segment(read));
	for (uint32_t i = 0; i < slots_limit(slots) && !err; i++) {
		if (!slot_is_open(slots, i))
			continue;
		err = reader_look(read, i, &owner, &reader, &present);
		if (!present || reader.state == COP_READER_DEAD)
			continue;
		out->readers++;
		out->stalled += reader.state == COP_READER_STALLED;
		if (reader.state != COP_READER_IDLE &&
		    reader.commit < out->oldest_snapshot)
			out->oldest_snapshot = reader.commit;
	}
	return err ? error_system(err, "%s: cannot read", read->store->path)
		   : 0;
}
