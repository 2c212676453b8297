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

static int image_look(const struct check *check, int folder, uint64_t commit)
{
	struct imagefile file;
	int err = imagefile_open(&file, folder, commit);

	if (err)
		return err;
	if (!checkpoint_fits(check->store, check->txn, &file.header))
		err = ESTALE;
	else if (check->options->depth == COP_CHECK_DEEP)
		err = chunks_read(&file);
	imagefile_close(&file);
	return err;
}

static void image_check(struct check *check, int folder, uint64_t commit,
			uint64_t *mended)
{
	char name[IMAGEFILE_NAME_BYTES];
	int err = image_look(check, folder, commit);

	if (!err || err == ENOMEM || err == ENOENT)
		return;
	check_finding(check, "the image of commit %llu is %s",
		      (unsigned long long)commit,
		      err == ESTALE ? "of another history" : "damaged");
	imagefile_name(name, commit);
	if (!check->options->repair || unlinkat(folder, name, 0))
		return;
	check->findings--;
	++*mended;
}

void check_images(struct check *check, uint64_t *mended)
{
	int folder = checkpoint_folder(check->store);
	uint64_t commits[IMAGES];
	uint32_t count =
	    folder < 0 ? 0 : imagefile_list(folder, commits, IMAGES);

	check->place = COP_PLACE_IMAGE;
	for (uint32_t i = 0; i < count; i++)
		image_check(check, folder, commits[i], mended);
	if (folder >= 0)
		close(folder);
}
