/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of an open store, as the files of core/ share them.
 *
 * A store is opened once in a process, whatever the number of handles.
 * Its mutexes, and in which order they are taken:
 *	opening, registry (process.c) -> write_mutex -> W -> commit_mutex ->
 *	moving_mutex -> mutex
 *	write_mutex	excludes this process's threads where W excludes
 *			processes
 *	commit_mutex	held while W is; a fork takes it
 *	moving_mutex	one thread moves to the next generation
 *	mutex		the pool of reads, the current index and generation
 *
 * In a forked child a store is inherited until its first use there:
 * store_use() closes what is the parent's and attaches anew.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include "buffer.h"
#include "cache.h"
#include "codec.h"
#include "coppice.h"
#include "dict.h"
#include "env.h"
#include "error.h"
#include "figures.h"
#include "format.h"
#include "kernel.h"
#include "limit.h"
#include "mailbox.h"
#include "process.h"
#include "room.h"
#include "segment.h"
#include "slot.h"
#include "text.h"

#include <pthread.h>
#include <sys/types.h>

/* One generation's data file, open; by the store and by reads. */
struct generation {
	struct env env;
	uint64_t number; /* of its folder */
	uint32_t references;
};

/* A mapping of one index segment, shared by the reads that use it. */
struct index {
	struct segment segment; /* read-only */
	uint64_t number;	/* of its file */
	uint32_t references;
};

/* What was last found of the data file that a read holds back; stall.c. */
struct stall {
	uint64_t oldest; /* the read's snapshot */
	uint64_t newest; /* commit at which it was looked at */
	uint64_t held;	 /* bytes */
};

/* The cache of results in the control file; results.c. */
struct results {
	struct cache_view view;
	void *memory; /* NULL: there is none */
	uint64_t bytes;
};

struct cop_store {
	struct cop_store *next; /* in the registry */
	uint32_t references;
	dev_t device; /* of the lock file, with inode: the store's identity */
	ino_t inode;
	char *path;
	_Atomic uint64_t process; /* stamp of the process that is attached */
	uint32_t timeout_ms;
	int folder_fd;
	int lock_fd;
	int shm_fd;   /* folder of the segments */
	int image_fd; /* holds IMAGE while an image is taken, else -1 */
	mode_t mode;
	gid_t group;
	int must_exist;		    /* a segment is not to be made */
	int32_t had;		    /* enum cop_had: the last segment made */
	uint64_t had_ns;	    /* it took */
	char name[SLOT_NAME_BYTES]; /* of the process in its slots, or "" */
	void (*log)(void *user, int32_t level, const char *text); /* log.h */
	void *log_user;
	int32_t log_level;
	char shm_path[256];
	struct disk_store config;
	struct generation *generation; /* the current one */
	struct env *env;	       /* its; for who has W */
	struct slots slots;
	struct mailboxes mailboxes; /* in the slots' file */
	struct results results;	    /* in the slots' file, too */
	struct figures figures;	    /* what this process has done */
	const struct kernel *kernel;

	pthread_mutex_t moving_mutex; /* over opening a generation */
	_Atomic uint32_t compacting;  /* 1: a thread has GENERATION */
	pthread_mutex_t mutex;
	struct index *index; /* the current one */
	struct cop_read *pool;
	uint32_t pool_count;

	pthread_mutex_t write_mutex;
	pthread_mutex_t commit_mutex; /* recursive */
	struct limit limit;	      /* of the thread that has W */
	struct segment writable;      /* mapped by the first write */
	uint64_t writable_number;
	struct room room; /* the writer's; link.c */
	struct dict dict; /* names known to be committed */
	struct stall stall;
};

/* Whom the commits after one and up to another touched. */
struct touched {
	uint64_t *bits; /* one an id; NULL: not worked out */
	uint64_t end;	/* ids below it have one */
	uint64_t after;
	uint64_t to;
};

/* Matches of a filter that are ranked one by one, not walked to. */
enum { SIFT_LIST = 2048 };

/* The chunk of content that a read decoded last; stream.c. */
struct content_window {
	struct disk_content_key key;
	uint32_t size;
	unsigned char *bytes; /* CHUNK_BYTES, NULL: nothing yet */
};

struct cop_read {
	struct cop_read *next; /* in the pool */
	cop_store *store;
	uint64_t process; /* stamp of the process that began it */
	struct index *index;
	struct generation *generation;
	struct env *env; /* its */
	env_txn *txn;
	uint32_t slot;
	uint32_t stamp;	 /* state.commit, less the segment's base */
	uint64_t moment; /* as of which it reads: state.commit, or before */
	int is_timed;	 /* it sees what is valid at this point in time alone */
	struct cop_instant valid_at;
	struct disk_state state;
	struct arena arena;
	struct content_window window;
	struct buffer past_edges; /* a list as of the moment; graph.c */
	struct touched touched;	  /* since the moment; moment.c */
	uint64_t *visited;	  /* a bit an id, all zero between walks */
	uint64_t visited_bytes;
	struct room room; /* for searches */
	uint32_t testing; /* a caller's own test is being asked */
	uint32_t walks;	  /* made with it */
	uint64_t tally[SLOT_TALLY_COUNT]; /* what it was not told */
	uint32_t listed[SIFT_LIST]; /* what a filter lets through; sift.c */
};

/* ---- store.c ------------------------------------------------------------ */

/*
 * Called first by whatever takes a store: in a forked child attaches it, if
 * that was not done yet.  No system call otherwise.
 */
static inline cop_err store_use(cop_store *store);
cop_err store_attach_again(cop_store *store);

/* Whether no process but a parent of this one's has attached it. */
int store_is_inherited(const cop_store *store);

/*
 * Runs `work` on a store whose data file is open, and which is not attached.
 * Returns	what `work` does; COP_BUSY if this process has it open, or LMDB
 *		could not be opened in ten seconds; COP_NOT_A_STORE and so on
 */
typedef cop_err store_work(cop_store *store, void *user);
cop_err store_aside(const char *path, store_work *work, void *user);

/* The same of one whose data file is left to `work` to open. */
cop_err store_aside_closed(const char *path, store_work *work, void *user);
cop_err store_data_open(cop_store *store);
void store_data_close(cop_store *store);

/* The parameters, as the data file has them. */
cop_err store_config_read(cop_store *store);

/* Makes them anew: in a new store, or in a child, where nobody has them. */
void store_mutexes_init(cop_store *store);

/*
 * COP_BAD_VECTOR for what is not finite, or has no direction where one is
 * needed.
 * what, advice	of the error: "query", and what to do
 */
cop_err store_vector_check(const cop_store *store, const float *vector,
			   const char *what, const char *advice);

/* COP_FORKED for what was begun before a fork; clears the error's words. */
static inline cop_err read_check(const cop_read *read);
cop_err read_is_inherited(const cop_read *read);

/*
 * The same for what needs the read's own memory or moves it: COP_INVALID if a
 * search or a walk under way is asking a test of the caller's.
 */
static inline cop_err read_check_idle(const cop_read *read);
cop_err read_is_testing(void);

/* Counts something that was read; the slot is told of several at a time. */
static inline void read_tally(cop_read *read, enum slot_tally tally,
			      uint64_t times);
void read_tell(cop_read *read);

enum { TALLY_UNTOLD = 64 };

static inline void read_tally(cop_read *read, enum slot_tally tally,
			      uint64_t times)
{
	read->tally[tally] += times;
	if (__builtin_expect(read->tally[tally] >= TALLY_UNTOLD, 0))
		read_tell(read);
}

static inline cop_err store_use(cop_store *store)
{
	error_clear();
	/* acquire: all that the thread which attached it has stored */
	if (__builtin_expect(process_is(atomic_load_explicit(
				 &store->process, memory_order_acquire)),
			     1))
		return 0;
	return store_attach_again(store);
}

static inline cop_err read_check(const cop_read *read)
{
	error_clear();
	return __builtin_expect(process_is(read->process), 1)
		   ? 0
		   : read_is_inherited(read);
}

static inline cop_err read_check_idle(const cop_read *read)
{
	cop_err err = read_check(read);

	return err || !read->testing ? err : read_is_testing();
}

/* ---- attach.c ----------------------------------------------------------- */

/*
 * Finds or builds the store's segments and maps them; once, at open.
 */
cop_err attach_open(cop_store *store, const struct cop_open_options *options);
void attach_close(cop_store *store);

/*
 * Nobody is attached, nor can be from here on until the store is closed; else
 * COP_BUSY.
 */
cop_err attach_exclude(cop_store *store);

/* That, and removes the segments' files. */
cop_err attach_remove(cop_store *store);

/* Where the segments are, or would be: store->shm_path. */
void attach_name(cop_store *store);

/* COP_FOREIGN if the segments' files were removed under us (RemoveIPC). */
cop_err attach_check(const cop_store *store);

/* Makes the newest index the store's current one. */
cop_err attach_refresh(cop_store *store);

/* A segment's file, to be written; -1: it is not there. */
int attach_index_file(const cop_store *store, uint64_t number);

struct index *index_hold(cop_store *store);
void index_drop(cop_store *store, struct index *index);

/* Maps the current index for writing; W held. */
cop_err attach_writable(cop_store *store);

/*
 * Makes a new index segment, from an image or from LMDB, and makes it current;
 * W held.
 * options	for progress, may be NULL
 */
cop_err attach_rebuild(cop_store *store,
		       const struct cop_open_options *options);

/*
 * A new, empty index segment that nobody sees, in a file of its own; and the
 * same, complete, as everybody's, W held.  Dropped in either case when it is
 * no longer mapped.
 */
cop_err attach_next_make(cop_store *store, struct segment *segment);
cop_err attach_next_install(cop_store *store);
void attach_next_drop(cop_store *store, const struct segment *segment);

/* Of a dead process: whether there is such a file, and without it. */
int attach_next_there(const cop_store *store);
void attach_next_remove(const cop_store *store);

/* ---- recover.c ---------------------------------------------------------- */

/*
 * Makes the segment agree with LMDB after a death, or after an attempt that
 * failed; W held, no write transaction open.
 */
cop_err recover_run(cop_store *store, const struct disk_state *state);

/* ---- write lock, commit.c ----------------------------------------------- */

cop_err writer_lock(cop_store *store, uint32_t timeout_ms);

/* 1 if W could be had at once; -1 if it never can: writer_lock says why. */
int writer_try(cop_store *store);
void writer_unlock(cop_store *store);

/* Who has W, in words, as far as can be known. */
void writer_name(cop_store *store, char *name, size_t room);

/*
 * Brings the segment to where LMDB is, whatever happened before: recovers,
 * or builds anew.  W held.
 */
cop_err writer_settle(cop_store *store, const struct cop_open_options *options);

/* ---- stream.c ----------------------------------------------------------- */

void content_window_release(struct content_window *window);

/* ---- read.c ------------------------------------------------------------- */

cop_err read_state(const struct env *env, env_txn *txn,
		   struct disk_state *state);

static inline const struct segment *read_segment(const cop_read *read)
{
	return &read->index->segment;
}

/* Whether it reads as of an earlier commit than its snapshot's. */
static inline int read_is_past(const cop_read *read)
{
	return read->moment != read->state.commit;
}

/* A name's number as of the read, 0 if there is none. */
cop_err read_symbol(cop_read *read, enum name_space space, const char *text,
		    size_t size, uint32_t *number);

/*
 * The record of an id in the snapshot, with what is valid at the read's point
 * in time; record->data NULL if none.
 */
cop_err read_entity_record(cop_read *read, uint64_t id, struct bytes *record);

/*
 * COP_CORRUPT: LMDB has nothing of what shared memory says an entity has.  A
 * page of it may be damaged so that what lies below is not found.
 */
cop_err read_lost(const cop_read *read, uint64_t id, const char *what);

/* Makes a record, checked, what is valid at the read's point in time. */
cop_err read_entity_narrow(cop_read *read, struct bytes *record);

/* Whether an entity that is listed as having a tag has it at that point. */
cop_err read_timed_has(cop_read *read, uint64_t id, uint32_t tag, int *has);

/* Checks an edge's record, and fills in its view but for ends and relation. */
cop_err read_edge_view(struct bytes record, struct cop_edge *edge);

/* Fills in the view of a record. */
cop_err read_entity_view(uint64_t id, struct bytes record,
			 struct cop_entity *out);

/*
 * Copies of a read for threads of one call, sharing its snapshot.  Each has
 * memory of its own for what it decompresses.
 */
void read_copy(const cop_read *read, cop_read *copy);
void read_copy_end(cop_read *copy);

/*
 * Gives a read its bit for every id that the segment may ever hold; their
 * pages are untouched until used.  0 or an errno.
 */
int read_rooms_map(cop_read *read);

/*
 * Releases a read that is in the pool no more; of an inherited one only what
 * is this process's: its slot and its LMDB transaction are the parent's.
 */
void read_destroy(cop_read *read);

/* Releases the reads in the pool. */
void read_pool_clear(cop_store *store);

/* ---- stall.c ------------------------------------------------------------ */

/*
 * COP_STALLED if a read holds back too much for another commit; W held,
 * `newest` the last one.
 */
cop_err stall_check(cop_store *store, uint64_t newest);

/* The same of a snapshot that has no slot, for its owner to give way. */
cop_err stall_snapshot_check(const cop_store *store, struct env *env,
			     env_txn *snapshot);

/* Fills in what the figures say of readers. */
cop_err stall_stat(const cop_read *read, struct cop_stats *out);

/* "NAME (pid N)", for people; what the name has of control bytes is lost. */
void stall_words(const struct slots *slots, struct slot_owner *owner,
		 char *words, size_t size);

/* ---- moment.c ----------------------------------------------------------- */

/* COP_TOO_OLD or COP_INVALID for a commit that cannot be read as of. */
cop_err moment_check(const cop_read *read, uint64_t commit);

/* Works out whom commits have touched since the read's moment: read->touched.
 */
cop_err moment_touched(cop_read *read);

/* ---- threads.c ---------------------------------------------------------- */

/*
 * Runs `work` for thread numbers 0 to count - 1, the last of them on the
 * calling thread; joins all; the first error wins.
 */
typedef cop_err thread_work(void *user, uint32_t thread);
cop_err threads_run(uint32_t count, thread_work *work, void *user);

/* 1 to COP_THREAD_MAX, no more than there are items. */
uint32_t threads_for(uint32_t wanted, uint64_t items);

#endif
