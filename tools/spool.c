/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool: edges that wait in a file of no name, to be put in another order.
 *
 * idea
 *	Millions of edges are more than an import may hold in memory, so they
 *	are written to a file, one after the other, and of each memory holds 16
 *	bytes: where it comes, and where it is.  Sorted, they are read through
 *	a mapping of the file.
 *
 * thread
 *	A block of some thousand edges is filled while a thread finds out where
 *	each of the one before it comes, and writes that to the file.
 *
 * the file
 *	Has no name, so whatever ends the process, it is gone; edges stand in
 *	it as edgepack.c has them.
 *
 * limits
 *	Room on the disk beside the store, some 100 bytes an edge.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SPOOL_BLOCK = 1048576 };

static int no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

static int failed(const struct spool *spool, struct fault *fault)
{
	char what[PATH_MAX + 64];

	snprintf(what, sizeof what, "%s: the file in which edges wait",
		 spool->folder);
	return fault_errno(fault, what, errno);
}

/* ---- the thread --------------------------------------------------------- */

static int spool_open(struct spool *spool, struct fault *fault)
{
	char path[PATH_MAX];

	spool->fd = open(spool->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool->fd < 0) {
		/* not every file system has files without a name */
		snprintf(path, sizeof path, "%s/.edges-XXXXXX", spool->folder);
		spool->fd = mkostemp(path, O_CLOEXEC);
		if (spool->fd >= 0)
			unlink(path);
	}
	spool->is_open = spool->fd >= 0;
	return spool->is_open ? 0 : failed(spool, fault);
}

static int entry_add(struct spool *spool, struct spool_entry entry)
{
	if (spool->count == spool->room) {
		size_t room = spool->room ? spool->room * 2 : 65536;
		struct spool_entry *entries =
		    realloc(spool->entries, room * sizeof *entries);

		if (!entries)
			return no_memory(&spool->fault);
		spool->entries = entries;
		spool->room = room;
	}
	spool->entries[spool->count++] = entry;
	return 0;
}

/* Where the edges of the block come. */
static int block_order(struct spool *spool)
{
	const struct spool_block *block = &spool->under_way;
	const unsigned char *data = block->edges.data;

	for (size_t at = 0; at < block->edges.used;
	     at += edgepack_bytes(data + at)) {
		struct spool_entry entry = {.at = block->at + at};
		struct cop_put_edge edge;
		struct place place;

		if (edgepack_ends(data + at, &spool->scratch, &place, &edge))
			return no_memory(&spool->fault);
		if (spool->order(spool->user, &edge, &entry.order,
				 &spool->fault) ||
		    entry_add(spool, entry))
			return spool->fault.code;
		scratch_reset(&spool->scratch);
	}
	return 0;
}

static int block_write(struct spool *spool)
{
	const struct edgepack *edges = &spool->under_way.edges;
	size_t done = 0;

	while (done < edges->used) {
		ssize_t got =
		    pwrite(spool->fd, edges->data + done, edges->used - done,
			   (off_t)(spool->under_way.at + done));

		if (got < 0 && errno != EINTR)
			return failed(spool, &spool->fault);
		done += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static void *block_run(void *user)
{
	struct spool *spool = user;
	int code = spool->is_open ? 0 : spool_open(spool, &spool->fault);

	if (!code)
		code = block_order(spool);
	spool->ordered(spool->user);
	if (!code)
		block_write(spool);
	return NULL;
}

static int spool_settle(struct spool *spool, struct fault *fault)
{
	if (spool->is_under_way)
		pthread_join(spool->thread, NULL);
	spool->is_under_way = 0;
	if (spool->fault.code)
		*fault = spool->fault;
	return spool->fault.code;
}

static int spool_pass(struct spool *spool, struct fault *fault)
{
	struct spool_block filled = spool->filling;

	if (spool_settle(spool, fault))
		return fault->code;
	spool->filling = spool->under_way;
	spool->filling.edges.used = 0;
	spool->filling.at = filled.at + filled.edges.used;
	spool->under_way = filled;
	if (pthread_create(&spool->thread, NULL, block_run, spool))
		return fault_set(fault, EXIT_NO_SPACE,
				 "cannot start a thread that sorts edges");
	spool->is_under_way = 1;
	return 0;
}

/* ---- what the caller calls ---------------------------------------------- */

int spool_add(struct spool *spool, const struct place *place,
	      const struct cop_put_edge *edge, struct fault *fault)
{
	if (edgepack_put(&spool->filling.edges, place, edge))
		return no_memory(fault);
	return spool->filling.edges.used >= SPOOL_BLOCK
		   ? spool_pass(spool, fault)
		   : 0;
}

uint64_t spool_bytes(const struct spool *spool)
{
	return spool->filling.at + spool->filling.edges.used;
}

static int by_order(const void *a, const void *b)
{
	const struct spool_entry *x = a;
	const struct spool_entry *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

int spool_sort(struct spool *spool, struct fault *fault)
{
	uint64_t bytes = spool_bytes(spool);
	void *map;

	if (spool->map || !bytes)
		return 0;
	if (spool_pass(spool, fault) || spool_settle(spool, fault))
		return fault->code;
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, spool->fd, 0);
	if (map == MAP_FAILED)
		return failed(spool, fault);
	spool->map = map;
	qsort(spool->entries, spool->count, sizeof *spool->entries, by_order);
	return 0;
}

int spool_read(struct spool *spool, size_t index, struct place *place,
	       struct cop_put_edge *edge, struct fault *fault)
{
	const unsigned char *at = spool->map + spool->entries[index].at;

	scratch_reset(&spool->scratch);
	return edgepack_edge(at, &spool->scratch, place, edge)
		   ? no_memory(fault)
		   : 0;
}

static void unmap(struct spool *spool)
{
	if (spool->map)
		munmap((void *)(uintptr_t)spool->map, spool_bytes(spool));
	spool->map = NULL;
}

int spool_clear(struct spool *spool, struct fault *fault)
{
	unmap(spool);
	spool->count = spool->filling.edges.used = spool->filling.at = 0;
	return spool->is_open && ftruncate(spool->fd, 0) ? failed(spool, fault)
							 : 0;
}

void spool_release(struct spool *spool)
{
	(void)spool_settle(spool, &(struct fault){0});
	unmap(spool);
	if (spool->is_open)
		close(spool->fd);
	edgepack_release(&spool->filling.edges);
	edgepack_release(&spool->under_way.edges);
	free(spool->entries);
	scratch_release(&spool->scratch);
	*spool = (struct spool){0};
}
