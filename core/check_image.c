/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images on disk: whether each could be loaded.
 *
 * idea
 *	One whose header, table or chunks have not their hashes, or that is of
 *	another history, is never loaded: it only takes up room, and an attach
 *	that counts on it builds the segment instead.
 */
#include "check.h"
#include "checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { IMAGES = 8 };

/* 0, EBADMSG for what is damaged, ESTALE for what is of another history. */
static int chunks_read(const struct imagefile *file)
{
	void *room = malloc(image_room());
	void *chunk = malloc(IMAGE_CHUNK_BYTES);
	int err = room && chunk ? 0 : ENOMEM;

	for (uint64_t i = 0; !err && i < file->header.chunk_count; i++)
		err = imagefile_read(file, i, chunk, room);
	free(chunk);
	free(room);
	return err;
}

static int image_look(const struct check *check, int folder, uint64_t commit,
		      int chunks)
{
	struct imagefile file;
	int err = imagefile_open(&file, folder, commit);

	if (err)
		return err;
	if (!checkpoint_fits(check->store, check->txn, &file.header))
		err = ESTALE;
	else if (chunks)
		err = chunks_read(&file);
	imagefile_close(&file);
	return err;
}

/* Calls `each` for every image that is of no use. */
static void images_each(struct check *check, int chunks,
			void (*each)(struct check *check, int folder,
				     uint64_t commit, int err))
{
	int folder = checkpoint_folder(check->store);
	uint64_t commits[IMAGES];
	uint32_t count =
	    folder < 0 ? 0 : imagefile_list(folder, commits, IMAGES);

	for (uint32_t i = 0; i < count; i++) {
		int err = image_look(check, folder, commits[i], chunks);

		if (err && err != ENOMEM && err != ENOENT)
			each(check, folder, commits[i], err);
	}
	if (folder >= 0)
		close(folder);
}

static void image_tell(struct check *check, int folder, uint64_t commit,
		       int err)
{
	(void)folder;
	check_finding(check, "the image of commit %llu is %s",
		      (unsigned long long)commit,
		      err == ESTALE ? "of another history" : "damaged");
}

void check_images(struct check *check, int chunks)
{
	check->place = COP_PLACE_IMAGE;
	images_each(check, chunks, image_tell);
}

static void image_remove(struct check *check, int folder, uint64_t commit,
			 int err)
{
	char name[IMAGEFILE_NAME_BYTES];

	(void)err;
	imagefile_name(name, commit);
	if (!unlinkat(folder, name, 0))
		check->findings--;
}

uint64_t check_images_mend(struct check *check)
{
	uint64_t before = check->findings;

	images_each(check, 1, image_remove);
	return before - check->findings;
}
