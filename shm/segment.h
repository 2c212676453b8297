/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index segment: one sparse file, mapped once, grown in place.
 *
 * idea
 *	A process reserves address space for the largest segment there may
 *	ever be, once, and maps the file over all of it, far past its end.
 *	The file is cut into regions at fixed far offsets; a region grows by
 *	having blocks allocated at its end, and is never moved or shrunk.  So
 *	a reader never remaps, and an offset means the same in every process.
 *
 * layout
 *	0		struct segment_header, one page and more
 *	regions[i]	from .offset, .published bytes of .reserved are there
 *
 *	reserve / 128 is the unit of the plan in segment.c; a region's offset
 *	is a multiple of 2 MiB.
 *
 * ordering
 *	P1	segment_grow allocates, then publishes the size (release);
 *		region_bytes reads it (acquire): below it nothing can fault.
 *
 * progress
 *	region_at: wait-free.  segment_grow: system calls, writer lock held.
 *
 * crash
 *	Between allocation and publication: the blocks are allocated again to
 *	no effect by the next growth.  Nothing is lost.
 *
 * limits
 *	Bounds are a region's published size, never the file's: a read-only
 *	map that touches a hole allocates the page, and on a full tmpfs dies.
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include "adjacency.h"
#include "bank.h"
#include "filter.h"
#include "head.h"
#include "hnsw.h"
#include "idmap.h"
#include "kdtree.h"
#include "limbo.h"
#include "record.h"
#include "region.h"
#include "signs.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
	SEGMENT_LAYOUT = 6, /* raised by every change of what is mapped */
	SEGMENT_UUID_BYTES = 16
};

#define SEGMENT_MAGIC UINT64_C(0x58444e4945504f43) /* "COPEINDX" */

/*
 * What the last attempt to commit touched, so that whoever comes after a
 * death can make it agree with LMDB.  Entries are in REGION_INTENT.
 */
struct intent {
	_Atomic uint64_t attempt; /* commit number under way, 0: none */
	_Atomic uint64_t count;
};

struct intent_entry {
	uint32_t entity;
	uint32_t row;	 /* row taken for its new vector, 0: none */
	uint32_t record; /* block with its new record, 0: none */
};

/*
 * What is known of the segment's images on disk; see core/checkpoint.h.
 */
struct image_words {
	_Atomic uint64_t turns;	  /* times somebody took W to write here */
	_Atomic uint64_t newest;  /* commit of the newest image, 0: none */
	_Atomic uint64_t older;	  /* of the one before it, 0: none */
	_Atomic uint64_t touched; /* ids that commits touched since `newest` */
	_Atomic uint64_t barred;  /* 1: damage was found here, take none */
};

struct segment_header {
	/* fixed after create */
	uint64_t magic;
	uint32_t layout;
	uint32_t signature; /* of struct sizes and byte order */
	unsigned char uuid[SEGMENT_UUID_BYTES];
	uint64_t reserve;
	uint64_t base_commit; /* commit it was built at; stamps count from it */
	uint32_t dim;
	int32_t metric;
	int32_t rows;
	int32_t codes;
	uint32_t signs; /* 1: rows are signed, see signs.h */
	uint32_t coded; /* components that are coded, 0: all */
	struct region regions[REGION_COUNT];

	/* writer lock held to change, read by any process */
	_Alignas(128) _Atomic uint64_t ready; /* 1 when built */
	_Atomic uint64_t prepared;  /* newest commit whose changes are here */
	_Atomic uint64_t committed; /* newest commit finished here */
	_Atomic uint64_t chain;	    /* LMDB's chain hash at `committed` */
	struct intent intent;
	struct image_words images;
	struct idmap idmap;
	struct head_table heads;
	struct bank bank;
	struct adjacency adjacency;
	struct limbo limbo;
	struct records records;
	struct hnsw hnsw;
	struct kdtree kdtree;
	struct bloom key_bloom;
	struct bloom edge_bloom;
	uint64_t bloom_end; /* writer's: bytes of REGION_BLOOM in use */
};

/* A process's mapping of a segment. */
struct segment {
	struct segment_header *header; /* the mapping's first byte */
	uint64_t reserve;
	struct region_view regions[REGION_COUNT];
	struct bank_shape bank;
	const struct kernel *kernel; /* the best of this processor's */
	int fd;			     /* -1 where it was mapped read-only */
};

/*
 * The size, in bytes, of the smallest reservation segment_create takes.
 */
#define SEGMENT_RESERVE_MIN (UINT64_C(256) << 20)

/*
 * Lays out a new, empty segment in the file behind fd and maps it writable.
 * fd		a file on a tmpfs, size 0; the segment owns it from now on
 * reserve	bytes of address space, halved while the machine refuses
 * Returns	0, ENOSPC, ENOMEM or another errno (fd is then the caller's).
 */
int segment_create(struct segment *segment, int fd, uint64_t reserve);

/*
 * Makes a segment of segment_create empty again.
 * Returns	0, ENOSPC or another errno; then it must not be touched.
 */
int segment_reset(struct segment *segment);

/*
 * Maps an existing segment, writable or not.
 * Returns	0, EBADMSG if it is none, EPROTO if its layout is another's,
 *		EINVAL if its numbers make no sense, ENOMEM, or an errno.
 */
int segment_attach(struct segment *segment, int fd, int writable);

void segment_detach(struct segment *segment);

/*
 * Makes sure that a region has `bytes` bytes, allocating ahead by an eighth.
 * Returns	0, ENOSPC (tmpfs full, or the region's reservation) or errno.
 */
int segment_grow(struct segment *segment, enum region_id id, uint64_t bytes);

/* The same, without allocating ahead. */
int segment_grow_to(struct segment *segment, enum region_id id, uint64_t bytes);

/* Published by all regions. */
uint64_t segment_bytes(const struct segment *segment);

/* A number that differs where the layout of a segment does. */
uint32_t segment_signature(void);

static inline const struct region_view *
segment_region(const struct segment *segment, enum region_id id)
{
	return &segment->regions[id];
}

#endif
