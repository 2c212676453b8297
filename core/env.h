/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment: the store's LMDB.  env.c has what is of all of it, and
 * env_entry.c its entries; no other file includes lmdb.h.
 *
 * idea
 *	The main database and seventeen named ones, no MDB_DUPSORT, no writable
 *	map.  Commits are durable when they return.  A commit of ours is a
 *	commit of LMDB's, so a transaction's id less a base found at open is
 *	our commit number; the number is also stored in every commit and
 *	compared, since LMDB warns that a suspended reader may see a stale
 *	page.
 *
 * entries
 *	LMDB checks nothing that it reads.  So behind each value lie 8 bytes
 *	that only env_entry.c knows: XXH3 of the value, and of its key with the
 *	database's number, one XORed with the other; an entry in the wrong place
 *	is found, too.  They are looked at whenever an entry is read, and
 *	nothing of it is used before.  What is read to be written elsewhere, as
 *	history or into another generation, is thus never made to look sound.
 *
 * rules
 *	LMDB's own mutexes may not be waited for: its writer mutex is taken
 *	only with W held, its reader mutex (open, a first begin, the check of
 *	dead readers) only with R held.  One environment a process and
 *	store: the registry in store.c sees to it.
 *	A read transaction is begun once and then reset and renewed, which
 *	makes no system call.  It may be read by several threads at once after
 *	env_read_warm(): gets on a read-only transaction store nothing in it
 *	once its databases' roots are fetched.
 */
#ifndef CORE_ENV_H
#define CORE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

typedef struct MDB_txn env_txn;
typedef struct MDB_cursor env_cursor;

enum env_db {
	DB_META = 0,	 /* text -> see format.h */
	DB_KEYS = 1,	 /* key -> id */
	DB_ENTITIES = 2, /* id -> entity record */
	DB_VECTORS = 3,	 /* id -> vector record */
	DB_EDGES = 4,	 /* source, relation, target -> edge record */
	DB_EDGES_IN = 5, /* target, relation, source -> version */
	DB_MEMBERS = 6,	 /* type or tag, id -> version */
	DB_NAMES = 7,	 /* name's number -> space, text */
	DB_SYMBOLS = 8,	 /* space, text -> name's number */
	DB_OPS = 9,	 /* commit number -> operation record */
	/* what ended: the key it had and when it was born -> when it ended,
	   and what it was */
	DB_ENTITY_VERSIONS = 10,
	DB_VECTOR_VERSIONS = 11,
	DB_EDGE_VERSIONS = 12,
	DB_EDGE_IN_VERSIONS = 13,
	DB_MEMBER_VERSIONS = 14,
	DB_DEATHS = 15,	 /* when they ended, a part -> keys of versions */
	DB_FLOORS = 16,	 /* whose history lacks something -> up to when */
	DB_CONTENT = 17, /* a large content, a number -> a chunk of it */
	DB_COUNT = 18
};

enum {
	ENV_ABSENT = -30798,  /* LMDB's MDB_NOTFOUND */
	ENV_DAMAGED = -30600, /* not LMDB's: an entry's checksum is not its */
	ENV_PANIC = -30795    /* MDB_PANIC: a commit's last page could not be
				 written, and all else is refused until the
				 environment is opened again */
};

enum env_how {
	ENV_CREATE = 1, /* makes the databases */
	/* nobody cut it off: its length is not looked at, for which W may be
	   taken, and given back though a thread of this process has it */
	ENV_WHOLE = 2
};

enum { ENV_KEY_BYTES = 511 }; /* of a key, by LMDB's build */

struct bytes {
	const void *data;
	size_t size;
};

struct env {
	struct MDB_env *handle;
	unsigned dbs[DB_COUNT];
	uint64_t base; /* LMDB's transaction id less our commit number */
	uint64_t map_bytes;
	uintptr_t map_at;    /* where LMDB has it, 0: not known */
	uint32_t page_bytes; /* of the data file */
	int lock_fd;	     /* for R */
	uint32_t timeout_ms; /* to wait for R */
	uint32_t begun;	     /* write transactions */
	int cleared;	     /* dead readers, at the last look for them */
	int is_sound;	     /* the list of free pages was looked through */
};

/*
 * Opens the data file in a folder.
 * path		the folder
 * lock_fd	of the store's lock file
 * timeout_ms	to wait for R, now and later: else EAGAIN
 * mode		permissions of new files
 * how		of enum env_how
 * Returns	0, an errno or LMDB's code.
 */
int env_open(struct env *env, const char *path, int lock_fd,
	     uint32_t timeout_ms, uint32_t mode, int how);
void env_close(struct env *env);

/* LMDB's descriptor of the data file, -1 if there is none. */
int env_data_fd(const struct env *env);

/* "0.9.24": LMDB's, as it is linked. */
const char *env_version(void);

int env_is_error(int error);
const char *env_strerror(int error);
int env_public_error(int error);

/* Read transactions. */
int env_read_begin(struct env *env, env_txn **out); /* takes R */
void env_read_reset(env_txn *txn);
int env_read_renew(env_txn *txn);
int env_read_newest(env_txn *txn); /* the same of one that is in use */
void env_read_abort(env_txn *txn);
uint64_t env_txn_id(env_txn *txn);
/* Fetches the roots of all databases, so that threads may share the txn. */
int env_read_warm(struct env *env, env_txn *txn);

/* Bytes that the data file may still grow by in LMDB's map. */
uint64_t env_map_room(const struct env *env);

/*
 * Bytes of the data file's pages as of now, and of those of them that the
 * read's snapshot does not use; from LMDB's counts, no page is looked at.
 */
int env_pages(const struct env *env, env_txn *txn, uint64_t *bytes,
	      uint64_t *free_bytes);

/*
 * Bytes of the pages that are listed as free as of the read, and are not to be
 * used as long as LMDB's oldest reader in this data file lasts.
 */
int env_held(struct env *env, env_txn *txn, uint64_t *bytes);

/* The same of those that a reader with that transaction's number may hold. */
int env_held_since(const struct env *env, env_txn *txn, uint64_t id,
		   uint64_t *bytes);

/*
 * Write transactions: W must be held.  One in 64 looks for dead readers first,
 * whose snapshots hold pages back: that is a system call for each process that
 * is attached.
 * The first one looks the list of free pages through: COP_CORRUPT.
 * lazy		LMDB's last page reaches the disk with the next commit's
 */
int env_write_begin(struct env *env, int lazy, env_txn **out);
int env_write_commit(env_txn *txn);

/*
 * After a writer's death: a commit of its may be on disk, and LMDB not say so
 * to readers before somebody else begins to write.  Looks for dead readers,
 * too.  W must be held.
 */
int env_write_repair(struct env *env);

/* What was committed is on disk when this returns. */
int env_sync(struct env *env);
void env_write_abort(env_txn *txn);

/*
 * The value of a key.
 * Returns	0, ENV_ABSENT, ENV_DAMAGED or LMDB's code.
 * Lifetime	until the transaction ends, or writes.
 */
int env_get(const struct env *env, env_txn *txn, enum env_db db,
	    struct bytes key, struct bytes *value);

/* Stores a value, replacing. */
int env_put(const struct env *env, env_txn *txn, enum env_db db,
	    struct bytes key, struct bytes value);

/*
 * As env_put; a key past all others fills its page to the end instead of
 * leaving half of it empty, so what is added in order takes half the room.
 */
int env_append(const struct env *env, env_txn *txn, enum env_db db,
	       struct bytes key, struct bytes value);

/*
 * The same of a value that the caller fills in: before anything else is put
 * he calls env_filled, which adds the checksum.
 * room		`size` bytes
 */
int env_put_room(const struct env *env, env_txn *txn, enum env_db db,
		 struct bytes key, size_t size, void **room);
int env_append_room(const struct env *env, env_txn *txn, enum env_db db,
		    struct bytes key, size_t size, void **room);
void env_filled(enum env_db db, struct bytes key, void *room, size_t size);

/* The checksum that an entry should have, and the one that it was read with. */
uint64_t env_sum(enum env_db db, struct bytes key, struct bytes value);
uint64_t env_sum_stored(struct bytes value);

/*
 * Whether a damaged value in pages of its own, of an entry that was read, is
 * right with a bit of its size put back: *value is then that.
 */
int env_size_flip(const struct env *env, enum env_db db, struct bytes key,
		  struct bytes *value);

/* 0, or ENV_ABSENT if there was nothing. */
int env_delete(const struct env *env, env_txn *txn, enum env_db db,
	       struct bytes key);

enum env_move { ENV_SEEK = 1, ENV_NEXT = 2 };

int env_cursor_open(const struct env *env, env_txn *txn, enum env_db db,
		    env_cursor **out);
void env_cursor_close(env_cursor *cursor);
/* Of a read that was renewed; it is to seek before it moves on. */
int env_cursor_renew(env_txn *txn, env_cursor *cursor);
/*
 * ENV_SEEK: to the first key at or after *key.
 * Returns	0, ENV_ABSENT, a code; ENV_DAMAGED with key and value, which are
 *		not to be trusted but may be read, and the cursor may go on.
 */
int env_cursor_move(env_cursor *cursor, enum env_move move, struct bytes *key,
		    struct bytes *value);

/* A database's name, as LMDB has it. */
const char *env_db_name(enum env_db db);

/* The database of that name, or DB_COUNT. */
int env_db_named(struct bytes name);

/* Whether its keys are numbers, u64 as the machine has them. */
int env_key_is_id(enum env_db db);

/* Whether a database may have a key of so many bytes. */
int env_key_fits(enum env_db db, size_t bytes);

/* Below, at or above 0, as the database sorts two keys that it may have. */
int env_key_compare(enum env_db db, struct bytes a, struct bytes b);

/* Entries in a database, by LMDB's own count. */
int env_count(const struct env *env, env_txn *txn, enum env_db db,
	      uint64_t *count);

static inline struct bytes bytes_of(const void *data, size_t size)
{
	return (struct bytes){data, size};
}

#endif
