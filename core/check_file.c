/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store's data file by itself, while nobody has the store attached: one that
 * cannot be opened, or whose pages LMDB cannot be trusted with.
 *
 * idea
 *	Pages that are damaged are not mended where they are: what the file has
 *	is read without LMDB and put into another one (salvage.h), which takes
 *	its place.  If that would lack something, it does so only if what is
 *	damaged is to be removed.
 *	Then each entry is looked at; what hangs on one that is lost is for a
 *	check of the store, which can be opened by then.
 *
 * crash
 *	The old file is there until the new one is whole, and on disk.
 */
#include "check.h"
#include "checkpoint.h"
#include "generation.h"
#include "lock.h"
#include "salvage.h"

struct file_check {
	struct check check;
	struct cop_check_result *result;
	uint64_t mended;
	int is_damaged; /* its pages */
	int is_less;	/* another file would lack something */
};

static int removes(const struct file_check *file)
{
	return file->check.options->repair == CHECK_REMOVES;
}

/* ---- pages -------------------------------------------------------------- */

/* Opens the data file, if LMDB may be trusted with it. */
static cop_err file_open(struct file_check *file)
{
	struct check *check = &file->check;
	uint64_t before = check->findings;
	cop_err err = store_data_open(check->store);

	check->place = COP_PLACE_DATA;
	if (err == COP_CORRUPT) {
		check_finding(check, "%s", cop_last_error());
		err = 0;
	} else if (!err) {
		err = check_pages(check, PAGES_ALL, NULL);
	}
	file->is_damaged = check->findings != before;
	return err;
}

static void lost_tell(void *user, const char *text)
{
	check_finding(user, "%s", text);
}

static cop_err file_fill(void *user, int fd, struct env *to)
{
	struct file_check *file = user;
	struct salvage salvage = {.found = lost_tell, .user = &file->check};
	cop_err err = salvage_run(fd, to, &salvage);

	file->is_less = salvage.lost != 0;
	return !err && file->is_less && !removes(file) ? COP_STOPPED : err;
}

/* Another file in place of one whose pages are damaged; W held. */
static cop_err file_replace(struct file_check *file)
{
	struct check *check = &file->check;
	cop_err err;

	store_data_close(check->store);
	err = generation_replace(check->store, file_fill, file);
	if (err == COP_STOPPED && file->is_less) {
		error_clear();
		return 0;
	}
	if (err)
		return err;
	file->mended += check->findings;
	check->findings = 0;
	file->is_damaged = 0;
	return 0;
}

/* ---- all ---------------------------------------------------------------- */

static cop_err writer_take(const cop_store *store)
{
	int code = lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE,
			     store->timeout_ms);

	return code ? error_system(code, "%s: cannot take the writer lock",
				   store->path)
		    : 0;
}

/* Opening takes W and gives it back, so that is not held meanwhile. */
static cop_err pages_part(struct file_check *file)
{
	cop_store *store = file->check.store;
	cop_err err = file_open(file);

	if (err || !file->is_damaged || !file->check.options->repair)
		return err;
	err = writer_take(store);
	if (err)
		return err;
	err = file_replace(file);
	lock_release(store->lock_fd, LOCK_W);
	return err || file->is_damaged ? err : file_open(file);
}

static cop_err entries_part(struct file_check *file)
{
	cop_store *store = file->check.store;
	cop_err err = attach_remove(store);

	if (!err)
		err = writer_take(store);
	if (err)
		return err;
	/* images have what is removed now */
	if (removes(file))
		err = checkpoint_remove(store);
	if (!err)
		err = check_entries_alone(&file->check, &file->mended);
	lock_release(store->lock_fd, LOCK_W);
	return err;
}

static cop_err file_work(cop_store *store, void *user)
{
	struct file_check *file = user;
	struct check *check = &file->check;
	cop_err err = attach_exclude(store);

	check->store = store;
	if (!err)
		err = pages_part(file);
	if (!err && !file->is_damaged)
		err = entries_part(file);
	buffer_release(&check->mends);
	if (!err && file->result) {
		file->result->left = check->findings;
		file->result->mended = file->mended;
	}
	return err;
}

cop_err cop_check_file(const char *path,
		       const struct cop_check_options *options,
		       struct cop_check_result *result)
{
	struct file_check file = {.check = {.options = options, .still = ""},
				  .result = result};
	cop_err err;

	error_clear();
	err = check_options(options, result);
	return err ? err : store_aside_closed(path, file_work, &file);
}
