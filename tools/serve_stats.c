/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_stats: /metrics and /stats.
 *
 * idea
 *	/stats is what the page draws: all figures, quantiles since ever, and
 *	buckets with something in them, from two of which, a second apart, the
 *	quantiles of that second follow.  Members are added, never renamed.
 *
 * layout
 *	{"schema", "store", "now_ns", "commit", "figures": {name: number},
 *	 "timings": {name: {"count", "sum_ns", "p50", "p95", "p99",
 *			    "buckets": [[least, count]...]}},
 *	 "memory": [{"region", "bytes"}], "processes": [..], "readers": [..]}
 */
#include "json.h"
#include "serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <time.h>

cop_err reply_metrics(struct serve *serve, cop_read *read,
		      struct MHD_Connection *asked, struct reply *reply)
{
	struct metrics metrics;
	FILE *to;
	cop_err err = metrics_take(serve->store, read, serve->path, &metrics);

	(void)asked;
	if (err)
		return err;
	to = open_memstream(&reply->text, &reply->text_size);
	if (!to)
		return ENOMEM;
	metrics_print(to, &metrics, serve->label);
	if (fclose(to))
		return ENOMEM;
	reply->type = "text/plain; version=0.0.4; charset=utf-8";
	return 0;
}

/* ---- histograms --------------------------------------------------------- */

static json_t *buckets_json(const struct cop_histogram *histogram)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < COP_BUCKETS; i++)
		if (histogram->buckets[i])
			json_array_append_new(
			    list,
			    json_pack("[II]", (json_int_t)cop_bucket_least(i),
				      (json_int_t)histogram->buckets[i]));
	return list;
}

static json_t *timing_json(const struct cop_histogram *histogram)
{
	return json_pack(
	    "{sI sI sf sf sf so}", "count", (json_int_t)histogram->count, "sum",
	    (json_int_t)histogram->sum, "p50", cop_quantile(histogram, 0.5),
	    "p95", cop_quantile(histogram, 0.95), "p99",
	    cop_quantile(histogram, 0.99), "buckets", buckets_json(histogram));
}

static json_t *timings_json(const struct cop_figures *figures)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < COP_TIMINGS; i++)
		json_object_set_new(object, metrics_timing(i),
				    timing_json(&figures->timings[i]));
	return object;
}

/* ---- memory ------------------------------------------------------------- */

static cop_err region_add(json_t *list, const char *name, uint64_t bytes)
{
	return json_array_append_new(list,
				     json_pack("{ss sI}", "region", name,
					       "bytes", (json_int_t)bytes))
		   ? ENOMEM
		   : 0;
}

static uint64_t without(uint64_t whole, uint64_t part)
{
	return whole > part ? whole - part : 0;
}

static cop_err memory_json(const struct cop_stats *stats, json_t **out)
{
	uint64_t named =
	    stats->bank_bytes + stats->edge_bytes + stats->record_bytes;
	json_t *list = json_array();
	cop_err err = region_add(list, "vectors", stats->bank_bytes);

	if (!err)
		err = region_add(list, "edges", stats->edge_bytes);
	if (!err)
		err = region_add(list, "records", stats->record_bytes);
	if (!err)
		err = region_add(list, "graph, keys and filters",
				 without(stats->index_bytes, named));
	if (!err)
		err = region_add(list, "cache of results", stats->cache_bytes);
	if (!err)
		err = region_add(
		    list, "coordination and figures",
		    without(stats->shared_bytes,
			    stats->index_bytes + stats->cache_bytes));
	*out = list;
	return err;
}

/* ---- who is there ------------------------------------------------------- */

struct listing {
	json_t *list;
	int failed;
};

static int32_t listing_add(struct listing *listing, json_t *item)
{
	listing->failed = json_array_append_new(listing->list, item);
	return listing->failed;
}

static int32_t process_add(void *user, const struct cop_process *one)
{
	const struct cop_figures *figures = one->figures;

	return listing_add(
	    user,
	    json_pack("{sI sI sb so sI sI sI sI sI sI so so}", "pid",
		      (json_int_t)one->pid, "place", (json_int_t)one->place,
		      "foreign", (int)one->is_foreign, "name",
		      json_text(one->name, strlen(one->name)), "since_ns",
		      (json_int_t)one->since_ns, "open", (json_int_t)one->open,
		      "oldest", (json_int_t)one->oldest, "searches",
		      (json_int_t)figures->searches, "writes",
		      (json_int_t)figures->writes, "reads",
		      (json_int_t)figures->reads, "search",
		      timing_json(&figures->timings[COP_TIMING_SEARCH]),
		      "commit",
		      timing_json(&figures->timings[COP_TIMING_COMMIT])));
}

static int32_t reader_add(void *user, const struct cop_reader *reader)
{
	static const char *const states[] = {"idle", "open", "stalled", "dead"};
	static const char *const roles[] = {"unknown", "read", "scan", "write"};

	if (reader->state == COP_READER_IDLE)
		return 0;
	return listing_add(
	    user,
	    json_pack("{ss ss so sI sI sb sI sI sf sI}", "state",
		      states[reader->state & 3], "role",
		      roles[reader->role & 3], "name",
		      json_text(reader->name, strlen(reader->name)), "pid",
		      (json_int_t)reader->pid, "tid", (json_int_t)reader->tid,
		      "foreign", (int)reader->is_foreign, "commit",
		      (json_int_t)reader->commit, "behind",
		      (json_int_t)reader->behind, "age_s",
		      (double)reader->age_ns / 1e9, "reads",
		      (json_int_t)reader->reads));
}

static cop_err people_json(struct serve *serve, json_t *body)
{
	struct listing processes = {.list = json_array()};
	struct listing readers = {.list = json_array()};
	cop_err err = json_member(body, "processes", processes.list);

	if (!err)
		err = json_member(body, "readers", readers.list);
	if (!err)
		err = cop_processes(serve->store, process_add, &processes);
	if (!err)
		err = cop_readers(serve->store, reader_add, &readers);
	return processes.failed || readers.failed ? ENOMEM : err;
}

static json_int_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (json_int_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

cop_err reply_stats(struct serve *serve, cop_read *read,
		    struct MHD_Connection *asked, struct reply *reply)
{
	struct metrics metrics;
	json_t *memory = NULL;
	cop_err err = metrics_take(serve->store, read, serve->path, &metrics);

	(void)asked;
	if (!err)
		err = memory_json(&metrics.stats, &memory);
	if (err)
		return err;
	reply->body = json_pack(
	    "{ss so sI sI sI so so so}", "schema", "coppice.serve/1", "store",
	    json_text(serve->path, strlen(serve->path)), "now_ns", now_ns(),
	    "commit", (json_int_t)cop_read_commit(read), "dim",
	    (json_int_t)metrics.stats.dim, "figures", metrics_json(&metrics),
	    "timings", timings_json(&metrics.figures), "memory", memory);
	return reply->body ? people_json(serve, reply->body) : ENOMEM;
}
