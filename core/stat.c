/* SPDX-License-Identifier: Apache-2.0 */
/* The store's figures: counts from LMDB's state, sizes from the files. */
#include "checkpoint.h"
#include "results.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_DEPTH = 2 };

/* Bytes allocated by the files in a folder, and in folders in it. */
static uint64_t folder_bytes(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	uint64_t bytes = 0;
	struct dirent *entry;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(folder))) {
		struct stat st;

		if (!strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, "..") ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		bytes += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode) && depth > 1)
			bytes += folder_bytes(fd, entry->d_name, depth - 1);
	}
	closedir(folder);
	return bytes;
}

static void segment_stat(const cop_read *read, struct cop_stats *out)
{
	const struct segment *segment = read_segment(read);
	const struct segment_header *header = segment->header;

	out->index_bytes = segment_bytes(segment);
	out->bank_bytes = region_bytes(segment_region(segment, REGION_CODES)) +
			  region_bytes(segment_region(segment, REGION_ROWS)) +
			  region_bytes(segment_region(segment, REGION_NIBBLES));
	out->row_bytes = segment->bank.line_bytes + segment->bank.row_bytes +
			 segment->bank.nibble_bytes;
	out->edge_bytes = region_bytes(segment_region(segment, REGION_EDGES));
	out->bank_rows = bank_count(segment) - 1 -
			 atomic_load_explicit(&header->bank.free_count,
					      memory_order_relaxed);
	out->record_bytes =
	    region_bytes(segment_region(segment, REGION_RECORDS));
	out->records =
	    atomic_load_explicit(&header->records.used, memory_order_relaxed);
	out->limbo = limbo_count(segment);
	out->unlinked = hnsw_tail_count(segment);
	out->signs = (uint32_t)signs_kept(segment);
	out->nibbles = (uint32_t)hnsw_by_nibbles(segment);
	out->bloom_layers = bloom_layer_count(&header->key_bloom);
	out->bloom_rate = bloom_rate_now(&header->key_bloom);
}

static void image_stat(cop_store *store, struct cop_stats *out)
{
	int folder = checkpoint_folder(store);

	if (folder < 0)
		return;
	if (imagefile_list(folder, &out->image_commit, 1))
		out->image_bytes = imagefile_bytes(folder, out->image_commit);
	close(folder);
}

cop_err cop_stat(cop_read *read, struct cop_stats *out)
{
	cop_store *store = read->store;
	const struct disk_state *state = &read->state;
	struct cop_commit_info info = {.size = sizeof info};
	struct cop_stats stats;
	cop_err err = read_check(read);

	if (!err && read_is_past(read))
		err = cop_commit_info(read, read->moment, &info);
	else
		info =
		    (struct cop_commit_info){.commit = state->commit,
					     .time_ns = (int64_t)state->time_ns,
					     .entities = state->entities,
					     .edges = state->edges,
					     .vectors = state->vectors};
	if (err)
		return err;
	if (!out || out->size != sizeof *out)
		return error_set(COP_INVALID, "the figures are of another "
					      "size; set .size to their "
					      "sizeof");
	stats = (struct cop_stats){
	    .size = sizeof stats,
	    .dim = store->config.dim,
	    .metric = store->config.metric,
	    .rows = store->config.rows,
	    .codes = store->config.codes + COP_CODES_U8,
	    .codes_dim =
		store->config.coded ? store->config.coded : store->config.dim,
	    .commits = info.commit,
	    .commit_time_ns = (uint64_t)info.time_ns,
	    .entities = info.entities,
	    .edges = info.edges,
	    .vectors = info.vectors,
	    .oldest = state->oldest,
	    .name_hits = state->name_hits,
	    .name_misses = state->name_misses,
	    .disk_bytes = folder_bytes(store->folder_fd, ".", FOLDER_DEPTH),
	    .shared_bytes = folder_bytes(store->shm_fd, ".", 1)};
	if (env_count(read->env, read->txn, DB_NAMES, &stats.names))
		return error_set(COP_CORRUPT,
				 "%s: the dictionary is damaged; "
				 "restore a backup",
				 store->path);
	segment_stat(read, &stats);
	image_stat(store, &stats);
	results_stat(store, &stats);
	err = stall_stat(read, &stats);
	if (err)
		return err;
	err = env_pages(read->env, read->txn, &stats.data_bytes,
			&stats.free_bytes);
	if (err)
		return error_system(err, "%s: cannot read", store->path);
	snprintf(stats.segment, sizeof stats.segment, "%s", store->shm_path);
	*out = stats;
	return 0;
}
