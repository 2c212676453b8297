/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"
#include "kernel.h"
#include "limit.h"
#include "point.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROW_MIN = 64 << 10, GROW_MAX = 16 << 20, SMALL_PAGE = 4096 };

/* MADV_COLLAPSE, which Debian 12's headers do not have yet. */
enum { ADVICE_COLLAPSE = 25 };

#define REGION_ALIGN (UINT64_C(2) << 20)

/* Of 128 of the reservation; the header's share is before the first. */
static const unsigned region_share[REGION_COUNT] = {
    [REGION_IDMAP] = 6,	   [REGION_TEXT] = 8,	[REGION_HEADS] = 8,
    [REGION_CODES] = 20,   [REGION_ROWS] = 25,	[REGION_EDGES] = 13,
    [REGION_BLOOM] = 2,	   [REGION_INTENT] = 1, [REGION_LIMBO] = 2,
    [REGION_RECORDS] = 11, [REGION_LINKS] = 14, [REGION_UPPER] = 1,
    [REGION_NODES] = 1,	   [REGION_TAIL] = 1,	[REGION_TREE] = 3,
    [REGION_LEAVES] = 1,   [REGION_SIGNS] = 2,	[REGION_NIBBLES] = 8,
    [REGION_LISTS] = 1,
};

uint64_t segment_bytes(const struct segment *segment)
{
	uint64_t bytes = 0;

	for (int i = 0; i < REGION_COUNT; i++)
		bytes +=
		    region_bytes(segment_region(segment, (enum region_id)i));
	return bytes;
}

uint32_t segment_signature(void)
{
	const uint32_t sizes[] = {
	    sizeof(struct segment_header), sizeof(struct idmap),
	    sizeof(struct head),	   sizeof(struct head_lists),
	    sizeof(struct bank),	   sizeof(struct bank_line),
	    sizeof(struct adjacency),	   sizeof(struct edge_block),
	    sizeof(struct bloom),	   sizeof(struct limbo_entry),
	    sizeof(struct region),	   sizeof(struct intent_entry),
	    sizeof(struct record_block),   sizeof(struct hnsw),
	    sizeof(struct kdtree),	   sizeof(struct kd_leaf),
	    sizeof(struct kd_node),	   KD_LEAF_ROWS,
	    UINT32_C(0x01020304),
	};
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < sizeof sizes; i++) /* FNV-1a over the bytes */
		hash = (hash ^ ((const unsigned char *)sizes)[i]) *
		       UINT32_C(16777619);
	return hash;
}

static void plan_regions(struct segment_header *header, uint64_t reserve)
{
	uint64_t at = REGION_ALIGN;

	for (int i = 0; i < REGION_COUNT; i++) {
		uint64_t bytes = reserve / 128 * region_share[i];

		if (i == REGION_CODES)
			bytes -= REGION_ALIGN; /* the header's page */
		bytes &= ~(REGION_ALIGN - 1);
		header->regions[i].offset = at;
		header->regions[i].reserved = bytes;
		atomic_init(&header->regions[i].published, 0);
		at += bytes;
	}
}

/*
 * Takes over where the regions are, if that makes sense: in the reservation,
 * and as far as they are published in the file.
 */
static int regions_view(struct segment *segment, int fd)
{
	struct segment_header *header = segment->header;
	uint64_t end = 0;
	struct stat st;

	for (int i = 0; i < REGION_COUNT; i++) {
		struct region *r = &header->regions[i];
		struct region_view *view = &segment->regions[i];
		uint64_t bytes =
		    atomic_load_explicit(&r->published, memory_order_acquire);

		*view =
		    (struct region_view){r->offset, r->reserved, &r->published};
		if (view->offset < sizeof *header || view->offset % 64 ||
		    view->offset > segment->reserve ||
		    view->reserved > segment->reserve - view->offset ||
		    bytes > view->reserved)
			return EINVAL;
		if (bytes && view->offset + bytes > end)
			end = view->offset + bytes;
	}
	/* after the sizes: a region that grows meanwhile is in the file */
	return fstat(fd, &st) ? errno : (uint64_t)st.st_size < end ? EINVAL : 0;
}

/* tmpfs undoes an interrupted allocation: let no signal in meanwhile. */
static int allocate(int fd, uint64_t offset, uint64_t bytes)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	do
		err = posix_fallocate(fd, (off_t)offset, (off_t)bytes);
	while (err == EINTR);
	if (err == EFBIG)
		limit_take();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* At a multiple of 2 MiB, without which there are no pages of that size. */
static void *map_file(int fd, uint64_t bytes, int protection)
{
	const uint64_t spare = REGION_ALIGN;
	unsigned char *room =
	    mmap(NULL, bytes + spare, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;
	void *at;

	if (room == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)room & (spare - 1);
	at = mmap(room + before, bytes, protection,
		  MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	if (at == MAP_FAILED) {
		int err = errno;

		munmap(room, bytes + spare);
		errno = err;
		return NULL;
	}
	if (before)
		munmap(room, before);
	if (before < spare)
		munmap(room + before + bytes, spare - before);
	(void)madvise(at, bytes, MADV_DONTDUMP);
	return at;
}

static void header_init(struct segment_header *header, uint64_t reserve)
{
	header->magic = SEGMENT_MAGIC;
	header->layout = SEGMENT_LAYOUT;
	header->signature = segment_signature();
	header->reserve = reserve;
	plan_regions(header, reserve);
}

int segment_create(struct segment *segment, int fd, uint64_t reserve)
{
	struct segment_header *header;
	int err;

	reserve &= ~(REGION_ALIGN - 1);
	if (reserve < SEGMENT_RESERVE_MIN)
		return EINVAL;
	err = allocate(fd, 0, sizeof *header);
	if (err)
		return err;
	while (!(header = map_file(fd, reserve, PROT_READ | PROT_WRITE))) {
		if (errno != ENOMEM || reserve / 2 < SEGMENT_RESERVE_MIN)
			return errno;
		reserve = reserve / 2 & ~(REGION_ALIGN - 1);
	}
	header_init(header, reserve);
	*segment = (struct segment){.header = header,
				    .reserve = reserve,
				    .kernel = kernel_choose(NULL),
				    .fd = fd};
	return regions_view(segment, fd);
}

int segment_reset(struct segment *segment)
{
	int err;

	if (ftruncate(segment->fd, 0))
		return errno;
	err = allocate(segment->fd, 0, sizeof *segment->header);
	if (err)
		return err;
	header_init(segment->header, segment->reserve);
	return regions_view(segment, segment->fd);
}

static int header_check(const struct segment_header *header, uint64_t file_size)
{
	if (header->magic != SEGMENT_MAGIC)
		return EBADMSG;
	if (header->layout != SEGMENT_LAYOUT ||
	    header->signature != segment_signature())
		return EPROTO;
	if (header->reserve < SEGMENT_RESERVE_MIN ||
	    header->reserve > UINT64_C(1) << 46 ||
	    header->reserve % REGION_ALIGN || file_size > header->reserve)
		return EINVAL;
	return 0;
}

int segment_attach(struct segment *segment, int fd, int writable)
{
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct segment_header *header;
	struct stat st;
	uint64_t reserve;
	int err;

	if (fstat(fd, &st))
		return errno;
	if (st.st_size < (off_t)sizeof *header)
		return EBADMSG;
	header = mmap(NULL, sizeof *header, PROT_READ, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return errno;
	err = header_check(header, (uint64_t)st.st_size);
	reserve = header->reserve;
	munmap(header, sizeof *header);
	if (err)
		return err;
	header = map_file(fd, reserve, protection);
	if (!header)
		return errno;
	*segment = (struct segment){.header = header,
				    .reserve = reserve,
				    .kernel = kernel_choose(NULL),
				    .fd = writable ? fd : -1};
	err = regions_view(segment, fd);
	if (!err)
		err = bank_shape_init(segment);
	if (err)
		segment_detach(segment);
	return err;
}

void segment_detach(struct segment *segment)
{
	if (segment->header)
		munmap(segment->header, segment->reserve);
	segment->header = NULL;
}

/*
 * Asks for 2 MiB pages.  It is a matter of speed alone: kernels before 6.1
 * refuse, and nothing depends on it.
 */
static void huge_pages(const struct segment *segment, uint64_t from,
		       uint64_t to)
{
	unsigned char *map = (unsigned char *)segment->header;

	if (to > from)
		(void)madvise(map + from, to - from, ADVICE_COLLAPSE);
}

/*
 * Has 2 MiB pages made where there is nothing yet: a hole around one small
 * page is cleared once, not once in small pages and copied then.
 */
static void huge_fill(const struct segment *segment, uint64_t from, uint64_t to)
{
	from = (from + REGION_ALIGN - 1) & ~(REGION_ALIGN - 1);
	to &= ~(REGION_ALIGN - 1);
	for (uint64_t at = from; at < to; at += REGION_ALIGN)
		if (allocate(segment->fd, at, SMALL_PAGE))
			return;
	huge_pages(segment, from, to);
}

static uint64_t growth(uint64_t have, uint64_t want)
{
	uint64_t ahead = have / 8;

	if (ahead < GROW_MIN)
		ahead = GROW_MIN;
	if (ahead > GROW_MAX)
		ahead = GROW_MAX;
	want = want > have + ahead ? want : have + ahead;
	return (want + GROW_MIN - 1) & ~(uint64_t)(GROW_MIN - 1);
}

/* From `have` bytes of a region to `want`, in pages as large as can be. */
static int extend(const struct segment *segment,
		  const struct region_view *region, uint64_t have,
		  uint64_t want)
{
	uint64_t from = region->offset + have;
	uint64_t to = region->offset + want;
	uint64_t first = from & ~(REGION_ALIGN - 1);
	int err;

	huge_fill(segment, from, to);
	err = allocate(segment->fd, from, to - from);
	if (err)
		(void)fallocate(segment->fd,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)from, (off_t)(to - from));
	else if (first < from && first + REGION_ALIGN <= to)
		huge_pages(segment, first, first + REGION_ALIGN);
	return err;
}

static int region_grow(struct segment *segment,
		       const struct region_view *region, uint64_t bytes,
		       uint64_t want)
{
	uint64_t have = region_bytes(region);
	int err;

	if (bytes > region->reserved)
		return ENOSPC;
	if (want > region->reserved)
		want = region->reserved;
	err = extend(segment, region, have, want);
	if (err == ENOSPC && want > bytes) { /* then just what is needed */
		want = bytes;
		err = extend(segment, region, have, want);
	}
	if (err)
		return err;
	point("grow-allocated");
	/* P1: the bytes are there before anyone may count on them */
	atomic_store_explicit(region->published, want, memory_order_release);
	point("grow-published");
	return 0;
}

int segment_grow(struct segment *segment, enum region_id id, uint64_t bytes)
{
	const struct region_view *region = segment_region(segment, id);
	uint64_t have = region_bytes(region);

	return bytes <= have
		   ? 0
		   : region_grow(segment, region, bytes, growth(have, bytes));
}

int segment_grow_to(struct segment *segment, enum region_id id, uint64_t bytes)
{
	const struct region_view *region = segment_region(segment, id);

	return bytes <= region_bytes(region)
		   ? 0
		   : region_grow(segment, region, bytes,
				 (bytes + GROW_MIN - 1) &
				     ~(uint64_t)(GROW_MIN - 1));
}
