/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: a store's figures for Prometheus, and for JSON.
 *
 * idea
 *	One table says of each figure what it is called, what it means and how
 *	it grows; both forms are made from it.  Totals are of all processes,
 *	dead ones too, since they are counted in shared memory: one scrape of
 *	any one process tells all, and no counter goes back when a worker ends.
 *
 *	No label grows with the data: there is none for a pid, a key or a type.
 *
 * histograms
 *	304 buckets are told as two dozen, whose bounds are powers of two and so
 *	bounds of ours: counts are exact.  A bound belongs to the bucket above
 *	it here and to the one below there, which is a nanosecond's difference;
 *	sizes are whole, so the bound that is told is one less.
 *
 * source
 *	Prometheus, "Exposition formats" (text 0.0.4) and "Metric and label
 *	naming".
 */
#include "metrics.h"
#include "out.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/statvfs.h>

enum unit { UNIT_ONE, UNIT_NS, UNIT_NARROW }; /* narrow: of 32 bits */

struct metric {
	const char *member; /* in JSON */
	const char *name;   /* after coppice_; a counter's ends in _total */
	const char *help;
	size_t offset;
	int unit;
};

#define STAT(member, name, help, unit)                                         \
	{                                                                      \
#member, name, help, offsetof(struct metrics, stats.member),   \
		    unit                                                       \
	}
#define FIGURE(member, name, help)                                             \
	{                                                                      \
#member, name, help, offsetof(struct metrics, figures.member), \
		    UNIT_ONE                                                   \
	}
#define PLACE(member, name, help)                                              \
	{                                                                      \
#member, name, help, offsetof(struct metrics, member),         \
		    UNIT_ONE                                                   \
	}

static const struct metric table[] = {
    STAT(entities, "entities", "Entities there are.", UNIT_ONE),
    STAT(edges, "edges", "Edges there are.", UNIT_ONE),
    STAT(vectors, "vectors", "Vectors there are.", UNIT_ONE),
    STAT(names, "names", "Types, relations, tags and properties named.",
	 UNIT_ONE),
    STAT(commits, "commits_total", "Commits since the store was made.",
	 UNIT_ONE),
    STAT(commit_time_ns, "last_commit_timestamp_seconds",
	 "When the newest commit was.", UNIT_NS),
    STAT(name_hits, "name_hits_total", "Names asked for that were known.",
	 UNIT_ONE),
    STAT(name_misses, "name_misses_total", "Names that were added.", UNIT_ONE),
    STAT(disk_bytes, "disk_bytes", "Allocated by the store's folder.",
	 UNIT_ONE),
    STAT(shared_bytes, "shared_bytes", "Shared memory allocated.", UNIT_ONE),
    STAT(index_bytes, "index_bytes", "Shared memory of the index.", UNIT_ONE),
    STAT(bank_bytes, "bank_bytes", "Shared memory of vectors.", UNIT_ONE),
    STAT(row_bytes, "row_bytes", "Shared memory of one vector.", UNIT_ONE),
    STAT(edge_bytes, "edge_bytes", "Shared memory of edges.", UNIT_ONE),
    STAT(record_bytes, "record_bytes", "Shared memory of records.", UNIT_ONE),
    STAT(records, "records", "Records in shared memory.", UNIT_ONE),
    STAT(bank_rows, "bank_rows", "Rows of vectors in use.", UNIT_ONE),
    STAT(unlinked, "unlinked_vectors",
	 "Vectors that wait to be linked into the graph.", UNIT_ONE),
    STAT(limbo, "limbo_blocks", "Dead rows and blocks that wait for readers.",
	 UNIT_ONE),
    STAT(held_bytes, "held_bytes", "Shared memory that waits for readers.",
	 UNIT_ONE),
    STAT(readers, "readers", "Open reads of all processes.", UNIT_NARROW),
    STAT(stalled, "stalled_readers",
	 "Open reads that have been behind for long.", UNIT_NARROW),
    STAT(oldest_snapshot, "oldest_snapshot_commit",
	 "Commit of the oldest read that is open.", UNIT_ONE),
    STAT(bloom_layers, "bloom_layers", "Layers of the filter of keys.",
	 UNIT_NARROW),
    STAT(image_commit, "image_commit",
	 "Commit that the newest image is of, 0: there is none.", UNIT_ONE),
    STAT(image_bytes, "image_bytes", "Size of the newest image.", UNIT_ONE),
    STAT(cache_bytes, "cache_bytes", "Size of the cache of results.", UNIT_ONE),
    STAT(cache_entries, "cache_entries", "Results in the cache.", UNIT_ONE),
    STAT(cache_hits, "cache_hits_total", "Searches answered from the cache.",
	 UNIT_ONE),
    STAT(cache_misses, "cache_misses_total",
	 "Searches that the cache could not answer.", UNIT_ONE),
    STAT(cache_stores, "cache_stores_total", "Results put into the cache.",
	 UNIT_ONE),
    STAT(cache_precomputed, "cache_precomputed_total",
	 "Results put into the cache before anybody asked.", UNIT_ONE),
    {"processes", "processes", "Processes attached.",
     offsetof(struct metrics, figures.processes), UNIT_NARROW},
    FIGURE(uncounted, "uncounted_processes_total",
	   "Processes that found no room for their figures."),
    FIGURE(writes, "writes_total", "Writes acknowledged."),
    FIGURE(conflicts, "conflicts_total",
	   "Writes refused for what they had read."),
    FIGURE(refused, "refused_writes_total",
	   "Writes refused for another reason."),
    FIGURE(retries, "retries_total", "Transactions begun again."),
    FIGURE(write_bytes, "write_bytes_total", "Bytes of writes acknowledged."),
    FIGURE(entities_put, "entities_put_total", "Entities put."),
    FIGURE(entities_deleted, "entities_deleted_total", "Entities deleted."),
    FIGURE(edges_put, "edges_put_total", "Edges put."),
    FIGURE(edges_deleted, "edges_deleted_total", "Edges deleted."),
    FIGURE(searches, "searches_total", "Searches."),
    FIGURE(linked, "linked_vectors_total", "Vectors linked into the graph."),
    FIGURE(recovered, "recovered_attempts_total",
	   "Attempts of dead writers that were settled."),
    FIGURE(locks, "lock_acquisitions_total",
	   "Times the writer lock was taken."),
    FIGURE(reads, "reads_total", "Snapshots taken."),
    FIGURE(shared, "shared_lookups_total", "Records read in shared memory."),
    FIGURE(copied, "disk_lookups_total", "Records read from LMDB."),
    FIGURE(denied, "bloom_denials_total",
	   "Keys and edges that a bloom filter denied."),
    FIGURE(doubtful, "bloom_false_positives_total",
	   "Keys and edges not there that a bloom filter let through."),
    FIGURE(lists, "neighbor_lists_total", "Lists of neighbours read."),
    FIGURE(walks, "walks_total", "Walks and paths."),
    FIGURE(inflated, "inflated_bytes_total", "Bytes decompressed."),
    PLACE(shm_bytes, "shm_size_bytes", "Size of the segment's file system."),
    PLACE(shm_free, "shm_free_bytes", "Free there."),
    PLACE(folder_bytes, "folder_size_bytes",
	  "Size of the file system of the store's folder."),
    PLACE(folder_free, "folder_free_bytes", "Free there."),
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

/* By enum cop_timing; bounds are powers of two, from one to the other. */
static const struct {
	const char *member;
	const char *name;
	const char *help;
	uint32_t least;
	uint32_t most;
	int is_span;
} timings[COP_TIMINGS] = {
    {"search", "search_duration_seconds", "Searches.", 12, 34, 1},
    {"walk", "walk_duration_seconds", "Walks and paths, one in sixteen.", 10,
     32, 1},
    {"commit", "commit_duration_seconds", "Commits, as their askers waited.",
     14, 35, 1},
    {"wait", "lock_wait_seconds", "Waits for the writer lock.", 10, 35, 1},
    {"hold", "lock_hold_seconds", "Holds of the writer lock.", 12, 35, 1},
    {"sync", "sync_duration_seconds", "LMDB's commits: mostly the disk.", 14,
     35, 1},
    {"group", "commit_group_writes", "Writes that one commit took together.", 1,
     10, 0},
};

/* ---- taking ------------------------------------------------------------- */

static void place_take(const char *path, uint64_t *bytes, uint64_t *left)
{
	struct statvfs place;

	if (statvfs(path, &place))
		return;
	*bytes = (uint64_t)place.f_blocks * place.f_frsize;
	*left = (uint64_t)place.f_bavail * place.f_frsize;
}

cop_err metrics_take(cop_store *store, cop_read *read, const char *path,
		     struct metrics *out)
{
	cop_err err;

	memset(out, 0, sizeof *out);
	out->stats.size = sizeof out->stats;
	out->figures.size = sizeof out->figures;
	err = cop_stat(read, &out->stats);
	if (!err)
		err = cop_figures(store, &out->figures);
	if (err)
		return err;
	place_take(out->stats.segment, &out->shm_bytes, &out->shm_free);
	place_take(path, &out->folder_bytes, &out->folder_free);
	return 0;
}

static uint64_t figure_of(const struct metrics *metrics,
			  const struct metric *row)
{
	const char *at = (const char *)metrics + row->offset;
	uint32_t narrow;
	uint64_t wide;

	if (row->unit == UNIT_NARROW) {
		memcpy(&narrow, at, sizeof narrow);
		return narrow;
	}
	memcpy(&wide, at, sizeof wide);
	return wide;
}

/* ---- for Prometheus ----------------------------------------------------- */

struct sheet {
	FILE *to;
	const char *label; /* of the store, or NULL */
};

/* What a label's value is written as; control characters do not belong. */
static void value_print(FILE *to, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", to);
		else if (*value == '"' || *value == '\\')
			fprintf(to, "\\%c", *value);
		else
			putc(*value, to);
	}
}

static void head_print(const struct sheet *sheet, const char *name,
		       const char *help, const char *type)
{
	fprintf(sheet->to, "# HELP coppice_%s %s\n# TYPE coppice_%s %s\n", name,
		help, name, type);
}

/* coppice_NAME{store="..",MORE}, to be followed by the value. */
static void sample_print(const struct sheet *sheet, const char *name,
			 const char *more)
{
	fprintf(sheet->to, "coppice_%s", name);
	if (sheet->label || *more)
		putc('{', sheet->to);
	if (sheet->label) {
		fputs("store=\"", sheet->to);
		value_print(sheet->to, sheet->label);
		fputs(*more ? "\"," : "\"", sheet->to);
	}
	fputs(more, sheet->to);
	fputs(sheet->label || *more ? "} " : " ", sheet->to);
}

static void row_print(const struct sheet *sheet, const struct metrics *metrics,
		      const struct metric *row)
{
	uint64_t figure = figure_of(metrics, row);
	size_t size = strlen(row->name);
	int grows = size > 6 && !strcmp(row->name + size - 6, "_total");

	head_print(sheet, row->name, row->help, grows ? "counter" : "gauge");
	sample_print(sheet, row->name, "");
	if (row->unit == UNIT_NS)
		fprintf(sheet->to, "%.9f\n", (double)figure / 1e9);
	else
		fprintf(sheet->to, "%" PRIu64 "\n", figure);
}

static void buckets_print(const struct sheet *sheet, uint32_t timing,
			  const struct cop_histogram *histogram)
{
	uint64_t below = 0;
	uint32_t bucket = 0;
	char name[64], more[48];

	snprintf(name, sizeof name, "%s_bucket", timings[timing].name);
	for (uint32_t i = timings[timing].least; i <= timings[timing].most;
	     i++) {
		uint64_t bound = UINT64_C(1) << i;

		while (bucket < COP_BUCKETS && cop_bucket_least(bucket) < bound)
			below += histogram->buckets[bucket++];
		if (timings[timing].is_span)
			snprintf(more, sizeof more, "le=\"%.12g\"",
				 (double)bound / 1e9);
		else
			snprintf(more, sizeof more, "le=\"%" PRIu64 "\"",
				 bound - 1);
		sample_print(sheet, name, more);
		fprintf(sheet->to, "%" PRIu64 "\n", below);
	}
	while (bucket < COP_BUCKETS)
		below += histogram->buckets[bucket++];
	sample_print(sheet, name, "le=\"+Inf\"");
	fprintf(sheet->to, "%" PRIu64 "\n", below);
	snprintf(name, sizeof name, "%s_count", timings[timing].name);
	sample_print(sheet, name, "");
	fprintf(sheet->to, "%" PRIu64 "\n", below);
}

static void histogram_print(const struct sheet *sheet, uint32_t timing,
			    const struct cop_histogram *histogram)
{
	char name[64];

	head_print(sheet, timings[timing].name, timings[timing].help,
		   "histogram");
	buckets_print(sheet, timing, histogram);
	snprintf(name, sizeof name, "%s_sum", timings[timing].name);
	sample_print(sheet, name, "");
	if (timings[timing].is_span)
		fprintf(sheet->to, "%.9f\n", (double)histogram->sum / 1e9);
	else
		fprintf(sheet->to, "%" PRIu64 "\n", histogram->sum);
}

static void info_print(const struct sheet *sheet, const struct metrics *metrics)
{
	char more[128];

	head_print(sheet, "build_info", "The version that tells this.",
		   "gauge");
	snprintf(more, sizeof more, "version=\"%s\",cpu=\"%s\"", cop_version(),
		 cop_cpu());
	sample_print(sheet, "build_info", more);
	fputs("1\n", sheet->to);
	head_print(sheet, "store_info", "What was chosen for the store.",
		   "gauge");
	snprintf(more, sizeof more, "dim=\"%" PRIu32 "\",metric=\"%s\"",
		 metrics->stats.dim, out_metric(metrics->stats.metric));
	sample_print(sheet, "store_info", more);
	fputs("1\n", sheet->to);
	head_print(sheet, "bloom_false_positive_ratio",
		   "Expected now, of the filter of keys.", "gauge");
	sample_print(sheet, "bloom_false_positive_ratio", "");
	fprintf(sheet->to, "%.9g\n", metrics->stats.bloom_rate);
}

void metrics_print(FILE *to, const struct metrics *metrics, const char *label)
{
	struct sheet sheet = {.to = to, .label = label};

	info_print(&sheet, metrics);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		row_print(&sheet, metrics, &table[i]);
	for (uint32_t i = 0; i < COP_TIMINGS; i++)
		histogram_print(&sheet, i, &metrics->figures.timings[i]);
}

/* ---- for JSON ----------------------------------------------------------- */

json_t *metrics_json(const struct metrics *metrics)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < TABLE_COUNT; i++) {
		uint64_t figure = figure_of(metrics, &table[i]);

		if (!json_object_set_new(object, table[i].member,
					 json_integer((json_int_t)figure)))
			continue;
		json_decref(object);
		object = NULL;
	}
	return object;
}

const char *metrics_timing(uint32_t timing)
{
	return timing < COP_TIMINGS ? timings[timing].member : "unknown";
}
