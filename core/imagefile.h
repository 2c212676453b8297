/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that an image is kept in: gen-000001/image-COMMIT.
 *
 * layout
 *	0		struct image_header
 *	...		chunks, in the order they were packed; where a chunk
 *			was packed again the first version stays, unused
 *	table_at	struct image_entry x chunk_count, in the plan's order
 *	...		u64 xxh3 over the header and the table: the last bytes
 *
 *	A chunk whose `stored` is its size in the segment is kept as it is,
 *	one that is smaller is an lz4 block.  The file is a cache and belongs
 *	to one layout of the segment: a library with another does not look
 *	into it and builds from LMDB.
 *
 * crash
 *	A file gets its name when it is complete and on disk.  Whatever ends
 *	in .new is a leftover, removed by the next who writes an image.
 *
 * All functions return 0 or an errno; EBADMSG is a file that is not whole.
 */
#ifndef CORE_IMAGEFILE_H
#define CORE_IMAGEFILE_H

#include "format.h"
#include "image.h"

#include <sys/types.h>

enum { IMAGEFILE_FORMAT = 4, IMAGEFILE_NAME_BYTES = 40 };

#define IMAGEFILE_MAGIC UINT64_C(0x4547414d49504f43) /* "COPIMAGE" */

struct image_header {
	uint64_t magic;
	uint32_t format;
	uint32_t layout; /* of the segment, with signature */
	uint32_t signature;
	uint32_t region_count;
	uint32_t chunk_bytes;
	uint32_t dim;
	int32_t metric;
	int32_t rows;
	int32_t codes;
	uint32_t reserved;
	unsigned char uuid[FORMAT_UUID_BYTES]; /* the store's */
	uint64_t reserve; /* of the segment it was taken of */
	uint64_t base_commit;
	uint64_t committed; /* the commit it is of */
	uint64_t chain;	    /* LMDB's chain hash there */
	uint64_t next_entity;
	uint64_t next_name;
	uint64_t chunk_count;
	uint64_t table_at;
	uint64_t used[24]; /* bytes of each region */
};

static_assert(sizeof(struct image_header) == 320, "an image's header");
static_assert(REGION_COUNT <= 24, "room for a region in image_header");

struct image_entry {
	uint64_t offset; /* in the file */
	uint64_t hash;	 /* of the bytes unpacked */
	uint32_t stored; /* bytes in the file */
	uint32_t bytes;	 /* unpacked */
};

static_assert(sizeof(struct image_entry) == 24, "an entry of the table");

struct imagefile {
	int folder;
	int fd;
	struct image_header header;
	struct image_plan plan;
	struct image_entry *table;
	_Atomic uint64_t end; /* bytes written or claimed */
};

void imagefile_name(char *name, uint64_t commit);

/*
 * Commits of the images in a folder, newest first.
 * most		how many at most, the newest
 */
uint32_t imagefile_list(int folder, uint64_t *commits, uint32_t most);

/*
 * Removes all images but those of two commits, and what a dead writer left; 0
 * or an errno.
 */
int imagefile_keep(int folder, uint64_t newest, uint64_t older);

/* The file's size, 0 if it is not there. */
uint64_t imagefile_bytes(int folder, uint64_t commit);

/* Opens an image and checks header, table and their hash. */
int imagefile_open(struct imagefile *file, int folder, uint64_t commit);

/* Reads a chunk to `at`, of its plan's size; any thread.  room: image_room().
 */
int imagefile_read(const struct imagefile *file, uint64_t chunk, void *at,
		   void *room);

/* Begins a new file, with the mode and the owner of `like`. */
int imagefile_create(struct imagefile *file, int folder, mode_t mode, int like);

/* Gives the file a table for a plan; entries of the plan before are kept. */
int imagefile_plan(struct imagefile *file, const struct image_plan *plan);

/* Writes a chunk and enters it in the table; any thread. */
int imagefile_write(struct imagefile *file, uint64_t chunk, const void *data,
		    uint32_t stored, uint64_t hash);

/* Writes table, hash and header, has them on disk and names the file. */
int imagefile_seal(struct imagefile *file);

/* Closes it; a new one without a name is removed. */
void imagefile_close(struct imagefile *file);

#endif
