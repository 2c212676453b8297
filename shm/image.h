/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: a segment in pieces that can be kept in a file and put back.
 *
 * idea
 *	What a segment holds are the bytes in use of its regions, which name
 *	their neighbours by numbers and so mean the same anywhere, and the
 *	words of its header that say how far each region is in use.  A plan
 *	cuts both into chunks, in a fixed order: chunk 0 is the header, then
 *	each region's chunks.  The plan follows from the bytes in use alone.
 *	The intent and limbo are left out: an image is of a moment at which no
 *	attempt is under way, and when it is put back nobody reads yet.
 *
 *	A chunk may be packed while writers change it.  What comes out is then
 *	a mixture, but one whose hash is known: who looks again with the
 *	writer lock held sees by the hash whether it has to be packed anew.
 *
 *	Nothing here is trusted when it is put back: image_unpack compares the
 *	hash, image_words_take the header's words with the regions, and
 *	trust.h follows everything that is inside.
 *
 * progress
 *	No system call but what growing the segment takes; no lock.
 */
#ifndef SHM_IMAGE_H
#define SHM_IMAGE_H

#include "segment.h"

enum { IMAGE_CHUNK_BYTES = 1 << 20 };

struct image_plan {
	uint64_t used[REGION_COUNT];	  /* bytes in use */
	uint64_t first[REGION_COUNT + 1]; /* chunk each region begins with; the
					     last: chunks in all */
};

/* The plan of a segment as it is; the writer lock is held. */
void image_plan_of(const struct segment *segment, struct image_plan *plan);

/*
 * Completes a plan of which `used` is known.
 * Returns	0, or EINVAL if the bytes are no segment's.
 */
int image_plan_make(struct image_plan *plan);

static inline uint64_t image_chunk_count(const struct image_plan *plan)
{
	return plan->first[REGION_COUNT];
}

/* Bytes of a chunk. */
uint32_t image_chunk_bytes(const struct image_plan *plan, uint64_t chunk);

/* Where a chunk is in a segment; NULL if that has not published it. */
void *image_chunk_at(const struct segment *segment,
		     const struct image_plan *plan, uint64_t chunk);

/* Room in bytes that packing a chunk may take. */
uint32_t image_room(void);

/*
 * Copies a chunk that others may be writing, then packs the copy.
 * copy		IMAGE_CHUNK_BYTES; NULL: nobody writes, no copy is made
 * room		image_room() bytes
 * data		set to what is to be kept: in room, in copy or at `at`
 * hash		of the bytes packed
 * Returns	how many bytes are to be kept; as many as were given: they are
 *		kept as they are.
 */
uint32_t image_pack(const void *at, uint32_t bytes, void *copy, void *room,
		    const void **data, uint64_t *hash);

/* The hash of bytes that nobody writes. */
uint64_t image_hash(const void *at, uint32_t bytes);

/*
 * Puts a chunk back.
 * data, stored	what was kept; data may be `at` itself if stored is `bytes`
 * Returns	0, or EBADMSG if it is not what was packed.
 */
int image_unpack(const void *data, uint32_t stored, void *at, uint32_t bytes,
		 uint64_t hash);

/* Grows a new segment's regions to hold a plan.  0, ENOSPC or an errno. */
int image_grow(struct segment *segment, const struct image_plan *plan);

/*
 * Takes the words of an image's header over into a new segment that has been
 * grown, as far as they make sense.
 * Returns	0, or EINVAL if they do not.
 */
int image_words_take(struct segment *segment, const struct segment_header *kept,
		     const struct image_plan *plan);

#endif
