/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images: what a test wants to know of the images of an open store.
 *
 * idea
 *	Under its final name an image is whole, whatever became of the call
 *	that wrote it: every chunk is read and compared with its hash.
 *	An image that the newest attach used is the one that the segment names
 *	as its newest.
 */
#ifndef FAULTS_IMAGES_H
#define FAULTS_IMAGES_H

#include "checkpoint.h"

enum { IMAGES_MOST = 8 };

static inline int image_is_whole(int folder, uint64_t commit)
{
	unsigned char *chunk = malloc(IMAGE_CHUNK_BYTES);
	void *room = malloc(image_room());
	struct imagefile file;
	int err =
	    chunk && room ? imagefile_open(&file, folder, commit) : ENOMEM;

	for (uint64_t i = 0; !err && i < file.header.chunk_count; i++)
		err = imagefile_read(&file, i, chunk, room);
	if (!err)
		imagefile_close(&file);
	free(chunk);
	free(room);
	return !err;
}

/* 1 if all that are there are whole; *newest is the newest's commit, 0: none */
static inline int images_are_whole(cop_store *store, uint64_t *newest)
{
	uint64_t commits[IMAGES_MOST];
	int folder = checkpoint_folder(store);
	uint32_t count =
	    folder < 0 ? 0 : imagefile_list(folder, commits, IMAGES_MOST);
	int whole = folder >= 0;

	for (uint32_t i = 0; i < count; i++)
		whole &= image_is_whole(folder, commits[i]);
	*newest = count ? commits[0] : 0;
	if (folder >= 0)
		close(folder);
	return whole;
}

/* The commit of the image that the segment was loaded from, 0: it was built */
static inline uint64_t image_loaded(const cop_store *store)
{
	return atomic_load(&store->index->segment.header->images.newest);
}

#endif
