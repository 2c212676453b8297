/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a backup: written and read from front to back, so a pipe will
 * do for both.
 *
 * layout
 *	struct backup_header	what it is of
 *	chunks			a struct backup_chunk and its bytes each: up to
 *				BACKUP_CHUNK_BYTES of a stream of entries, an
 *				lz4 block if that saves a sixteenth
 *	the last chunk		of kind BACKUP_END: struct backup_totals
 *	Nothing follows.  Numbers are little endian.
 *
 *	The stream is entry after entry, cut where a chunk is full: a struct
 *	backup_entry, the key, the value, as they are in LMDB; databases in the
 *	order of enum env_db, keys ascending in each.  Of the main database
 *	there are the marks and the retention alone: description and state are
 *	in the header, and the rest is not the store's but its data file's.
 *
 * seals
 *	A header's and a chunk's last field is xxh3 over what is in front of it,
 *	seeded with the seal before it; a chunk's has the hash of its bytes in
 *	it.  So a chunk that was changed, left out, put elsewhere or taken from
 *	another backup does not fit, and the last seal is one of everything.
 *	The header's first 24 bytes are the same in all formats and have a seal
 *	of their own: damage is not taken for another version.
 *
 * trust
 *	None.  Every seal is compared before what it covers is looked at, every
 *	length with what it may be, the order of keys, and the totals.  That
 *	finds damage, not malice: what an entry says is judged by those who read
 *	the store.
 */
#ifndef CORE_BACKUPFILE_H
#define CORE_BACKUPFILE_H

#include "env.h"
#include "error.h"
#include "format.h"

enum { BACKUP_FORMAT = 1, BACKUP_CHUNK_BYTES = 1 << 20, BACKUP_DATABASES = 32 };

#define BACKUP_MAGIC UINT64_C(0x50554b4342504f43) /* "COPBCKUP" */

struct backup_header {
	uint64_t magic;
	uint32_t format;
	uint32_t bytes; /* of the header */
	uint64_t first_seal;
	uint64_t taken_ns;    /* since 1970 */
	uint64_t entries;     /* that follow */
	uint32_t page_bytes;  /* of the data file that it was taken of */
	uint32_t chunk_bytes; /* of a chunk, unpacked, at most */
	char coppice[16];     /* version of the library that wrote it */
	struct disk_store store;
	struct disk_state state;
	uint64_t seal;
};

static_assert(sizeof(struct backup_header) == 560, "a backup's header");

enum backup_kind { BACKUP_DATA = 0x41544144, BACKUP_END = 0x4c444e45 };

struct backup_chunk {
	uint32_t kind;
	uint32_t bytes;	 /* unpacked */
	uint32_t stored; /* in the file; as many: as they are */
	uint32_t reserved;
	uint64_t number; /* from 0 */
	uint64_t hash;	 /* of the bytes stored */
	uint64_t seal;
};

static_assert(sizeof(struct backup_chunk) == 40, "a chunk's header");

struct backup_entry {
	uint32_t value_bytes;
	uint16_t key_bytes;
	uint8_t db; /* enum env_db */
	uint8_t reserved;
};

static_assert(sizeof(struct backup_entry) == 8, "an entry's header");

struct backup_totals {
	uint64_t chunks;
	uint64_t bytes; /* of the stream */
	uint64_t entries[BACKUP_DATABASES];
};

static_assert((int)DB_COUNT <= (int)BACKUP_DATABASES,
	      "room for a database's total");

/* ---- writing ------------------------------------------------------------ */

struct backup_out {
	int fd;
	int is_plain; /* nothing is compressed */
	int is_file;
	size_t step; /* bytes in a write */
	/* asked each second while nobody takes the bytes, and after a signal;
	   an error ends it */
	cop_err (*wait)(void *user);
	void *user;
	uint64_t offset; /* bytes written */
	uint64_t seal;
	uint32_t used;
	unsigned char *chunk;
	unsigned char *room;
	struct backup_totals totals;
};

/*
 * Writes the header, of which the caller has filled in taken_ns, entries,
 * page_bytes, store and state.  backup_out_release() follows in any case.
 */
cop_err backup_out_begin(struct backup_out *out, struct backup_header *header);

cop_err backup_out_entry(struct backup_out *out, enum env_db db,
			 struct bytes key, struct bytes value);

/* Writes what is left, and the end. */
cop_err backup_out_end(struct backup_out *out);

void backup_out_release(struct backup_out *out);

/* ---- reading ------------------------------------------------------------ */

struct backup_in {
	int fd;
	int is_ended; /* the last chunk has come, and fits */
	/* asked after a signal; an error ends it */
	cop_err (*wait)(void *user);
	void *user;
	uint64_t offset; /* bytes read */
	uint64_t seal;
	uint32_t at; /* in the chunk */
	uint32_t used;
	unsigned char *chunk;
	unsigned char *room;
	struct backup_header header;
	struct backup_totals totals; /* so far */
	/* the entry that was read last */
	struct backup_entry entry;
	unsigned char key[ENV_KEY_BYTES + 1];
	uint32_t value_left;
};

/* Reads and checks the header.  backup_in_release() follows in any case. */
cop_err backup_in_begin(struct backup_in *in);

/*
 * The next entry: in->entry and in->key; what was not read of the last one's
 * value is skipped.  After the last one in->is_ended is set, and all of the
 * backup has been found sound.
 */
cop_err backup_in_entry(struct backup_in *in);

/* Reads the entry's value: its value_bytes. */
cop_err backup_in_value(struct backup_in *in, void *to);

void backup_in_release(struct backup_in *in);

/* What the header and the totals say, for callers. */
struct cop_backup_info backup_info(const struct backup_header *header,
				   const struct backup_totals *totals,
				   uint64_t bytes);

#endif
