/* SPDX-License-Identifier: Apache-2.0 */
#include "imagefile.h"
#include "limit.h"
#include "point.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char fresh_name[] = "image.new";

void imagefile_name(char *name, uint64_t commit)
{
	snprintf(name, IMAGEFILE_NAME_BYTES, "image-%" PRIu64, commit);
}

/* ---- the folder --------------------------------------------------------- */

static DIR *folder_open(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *out = fd < 0 ? NULL : fdopendir(fd);

	if (!out && fd >= 0)
		close(fd);
	return out;
}

/* The commit of a name, UINT64_MAX if it is no image's. */
static uint64_t commit_of(const char *name)
{
	char again[IMAGEFILE_NAME_BYTES];
	uint64_t commit;

	if (sscanf(name, "image-%" SCNu64, &commit) != 1)
		return UINT64_MAX;
	imagefile_name(again, commit);
	return strcmp(name, again) ? UINT64_MAX : commit;
}

uint32_t imagefile_list(int folder, uint64_t *commits, uint32_t most)
{
	DIR *entries = folder_open(folder);
	struct dirent *entry;
	uint32_t count = 0;

	while (entries && (entry = readdir(entries))) {
		uint64_t commit = commit_of(entry->d_name);
		uint32_t at = count;

		if (commit == UINT64_MAX)
			continue;
		while (at && commits[at - 1] < commit) {
			if (at < most)
				commits[at] = commits[at - 1];
			at--;
		}
		if (at < most)
			commits[at] = commit;
		count += count < most;
	}
	if (entries)
		closedir(entries);
	return count;
}

int imagefile_keep(int folder, uint64_t newest, uint64_t older)
{
	DIR *entries = folder_open(folder);
	struct dirent *entry;
	int err = entries ? 0 : errno;

	while (entries && (entry = readdir(entries))) {
		uint64_t commit = commit_of(entry->d_name);

		if (strcmp(entry->d_name, fresh_name) != 0 &&
		    (commit == UINT64_MAX || commit == newest ||
		     commit == older))
			continue;
		if (unlinkat(folder, entry->d_name, 0) && errno != ENOENT)
			err = errno;
		point("image-removed");
	}
	if (entries)
		closedir(entries);
	return err;
}

uint64_t imagefile_bytes(int folder, uint64_t commit)
{
	char name[IMAGEFILE_NAME_BYTES];
	struct stat st;

	imagefile_name(name, commit);
	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW)
		   ? 0
		   : (uint64_t)st.st_size;
}

/* ---- bytes -------------------------------------------------------------- */

static int read_whole(int fd, void *to, size_t bytes, uint64_t offset)
{
	unsigned char *at = to;

	while (bytes) {
		ssize_t got = pread(fd, at, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno : EBADMSG;
		at += got;
		bytes -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

static int write_rest(int fd, const unsigned char *at, size_t bytes,
		      uint64_t offset)
{
	while (bytes) {
		ssize_t put = pwrite(fd, at, bytes, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put ? errno : ENOSPC;
		at += put;
		bytes -= (size_t)put;
		offset += (uint64_t)put;
	}
	return 0;
}

static int write_whole(int fd, const void *from, size_t bytes, uint64_t offset)
{
	struct limit limit;
	int err;

	limit_enter(&limit);
	err = write_rest(fd, from, bytes, offset);
	limit_leave(&limit);
	return err;
}

static uint64_t table_bytes(const struct imagefile *file)
{
	return file->header.chunk_count * sizeof(struct image_entry);
}

static uint64_t seal_of(const struct imagefile *file)
{
	uint64_t parts[2] = {XXH3_64bits(&file->header, sizeof file->header),
			     XXH3_64bits(file->table, table_bytes(file))};

	return XXH3_64bits(parts, sizeof parts);
}

/* ---- reading ------------------------------------------------------------ */

static int header_sane(struct imagefile *file, uint64_t file_bytes)
{
	const struct image_header *header = &file->header;

	if (header->magic != IMAGEFILE_MAGIC ||
	    header->format != IMAGEFILE_FORMAT ||
	    header->layout != SEGMENT_LAYOUT ||
	    header->signature != segment_signature() ||
	    header->region_count != REGION_COUNT ||
	    header->chunk_bytes != IMAGE_CHUNK_BYTES)
		return EPROTO;
	memcpy(file->plan.used, header->used, sizeof file->plan.used);
	if (image_plan_make(&file->plan) ||
	    header->chunk_count != image_chunk_count(&file->plan) ||
	    header->table_at > file_bytes ||
	    header->chunk_count >
		(file_bytes - header->table_at) / sizeof(struct image_entry) ||
	    header->table_at + table_bytes(file) + 8 != file_bytes)
		return EBADMSG;
	return 0;
}

static int table_sane(const struct imagefile *file)
{
	for (uint64_t i = 0; i < file->header.chunk_count; i++) {
		const struct image_entry *entry = &file->table[i];

		if (entry->bytes != image_chunk_bytes(&file->plan, i) ||
		    entry->stored > entry->bytes ||
		    entry->offset > file->header.table_at ||
		    entry->stored > file->header.table_at - entry->offset)
			return EBADMSG;
	}
	return 0;
}

static int contents_open(struct imagefile *file)
{
	struct stat st;
	uint64_t seal;
	int err;

	if (fstat(file->fd, &st))
		return errno;
	if (!S_ISREG(st.st_mode))
		return EBADMSG;
	err = read_whole(file->fd, &file->header, sizeof file->header, 0);
	if (!err)
		err = header_sane(file, (uint64_t)st.st_size);
	if (err)
		return err;
	file->table = malloc(table_bytes(file));
	if (!file->table)
		return ENOMEM;
	err = read_whole(file->fd, file->table, table_bytes(file),
			 file->header.table_at);
	if (!err)
		err = read_whole(file->fd, &seal, sizeof seal,
				 file->header.table_at + table_bytes(file));
	if (!err && seal != seal_of(file))
		err = EBADMSG;
	return err ? err : table_sane(file);
}

int imagefile_open(struct imagefile *file, int folder, uint64_t commit)
{
	char name[IMAGEFILE_NAME_BYTES];
	int err;

	*file = (struct imagefile){.folder = -1};
	imagefile_name(name, commit);
	file->fd = openat(folder, name,
			  O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return errno;
	err = contents_open(file);
	if (!err && file->header.committed != commit)
		err = EBADMSG;
	if (err)
		imagefile_close(file);
	return err;
}

int imagefile_read(const struct imagefile *file, uint64_t chunk, void *at,
		   void *room)
{
	const struct image_entry *entry = &file->table[chunk];
	void *to = entry->stored == entry->bytes ? at : room;
	int err = read_whole(file->fd, to, entry->stored, entry->offset);

	return err ? err
		   : image_unpack(to, entry->stored, at, entry->bytes,
				  entry->hash);
}

/* ---- writing ------------------------------------------------------------ */

int imagefile_create(struct imagefile *file, int folder, mode_t mode, int like)
{
	struct stat st;
	int err = 0;

	*file = (struct imagefile){.folder = folder};
	unlinkat(folder, fresh_name, 0);
	file->fd =
	    openat(folder, fresh_name,
		   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd < 0) {
		err = errno;
		file->folder = -1;
		return err;
	}
	atomic_init(&file->end, sizeof file->header);
	if (fchmod(file->fd, mode) || fstat(like, &st) ||
	    (fchown(file->fd, geteuid() ? (uid_t)-1 : st.st_uid, st.st_gid) &&
	     errno != EPERM))
		err = errno;
	point("image-begun");
	if (err)
		imagefile_close(file);
	return err;
}

int imagefile_plan(struct imagefile *file, const struct image_plan *plan)
{
	uint64_t count = image_chunk_count(plan);
	struct image_entry *table = calloc(count, sizeof *table);
	const struct image_plan *old = &file->plan;

	if (!table)
		return ENOMEM;
	if (file->table) {
		uint64_t from = 0;
		uint64_t to = 0;

		/* the header's chunk, then each region's, as many as fit */
		for (int i = -1; i < REGION_COUNT; i++) {
			uint64_t had =
			    i < 0 ? 1 : old->first[i + 1] - old->first[i];
			uint64_t has =
			    i < 0 ? 1 : plan->first[i + 1] - plan->first[i];

			memcpy(&table[to], &file->table[from],
			       (had < has ? had : has) * sizeof *table);
			from += had;
			to += has;
		}
	}
	free(file->table);
	file->table = table;
	file->plan = *plan;
	return 0;
}

int imagefile_write(struct imagefile *file, uint64_t chunk, const void *data,
		    uint32_t stored, uint64_t hash)
{
	/* relaxed: a place of one's own is all that is claimed */
	uint64_t offset =
	    atomic_fetch_add_explicit(&file->end, stored, memory_order_relaxed);

	file->table[chunk] = (struct image_entry){
	    .offset = offset,
	    .hash = hash,
	    .stored = stored,
	    .bytes = image_chunk_bytes(&file->plan, chunk)};
	return write_whole(file->fd, data, stored, offset);
}

int imagefile_seal(struct imagefile *file)
{
	struct image_header *header = &file->header;
	char name[IMAGEFILE_NAME_BYTES];
	uint64_t seal;
	int err;

	header->magic = IMAGEFILE_MAGIC;
	header->format = IMAGEFILE_FORMAT;
	header->layout = SEGMENT_LAYOUT;
	header->signature = segment_signature();
	header->region_count = REGION_COUNT;
	header->chunk_bytes = IMAGE_CHUNK_BYTES;
	header->chunk_count = image_chunk_count(&file->plan);
	header->table_at =
	    atomic_load_explicit(&file->end, memory_order_relaxed);
	memcpy(header->used, file->plan.used, sizeof file->plan.used);
	seal = seal_of(file);
	err = write_whole(file->fd, file->table, table_bytes(file),
			  header->table_at);
	if (!err)
		err = write_whole(file->fd, &seal, sizeof seal,
				  header->table_at + table_bytes(file));
	if (!err)
		err = write_whole(file->fd, header, sizeof *header, 0);
	point("image-table");
	if (!err && fsync(file->fd))
		err = errno;
	point("image-synced");
	imagefile_name(name, header->committed);
	if (!err && renameat(file->folder, fresh_name, file->folder, name))
		err = errno;
	point("image-named");
	if (err)
		return err;
	atomic_fetch_add_explicit(&file->end, table_bytes(file) + 8,
				  memory_order_relaxed);
	err = fsync(file->folder) ? errno : 0;
	file->folder = -1;
	point("image-kept");
	return err;
}

void imagefile_close(struct imagefile *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->folder >= 0)
		unlinkat(file->folder, fresh_name, 0);
	free(file->table);
	file->table = NULL;
	file->folder = -1;
	file->fd = -1;
}
