/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_view: two looks at a store made into rates.
 *
 * idea
 *	Tables say what there is, under which title and which JSON name, for
 *	the window, the plain text and JSON alike.
 *	What cannot be known is NaN: rates of a process that came between the
 *	looks, and what it read if slots were taken or given meanwhile, since a
 *	slot goes on counting where its last owner left off.
 */
#include "top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct top_column top_columns[TOP_VALUES] = {
    [TOP_PID] = {"pid", "pid", TOP_COUNT, 'p', 0, 8},
    [TOP_SEARCHES] = {"search/s", "searches_per_s", TOP_RATE, 's', 0, 8},
    [TOP_P50] = {"p50", "search_p50_ns", TOP_SPAN, '5', 4, 6},
    [TOP_P99] = {"p99", "search_p99_ns", TOP_SPAN, '9', 1, 6},
    [TOP_WRITES] = {"write/s", "writes_per_s", TOP_RATE, 'w', 2, 7},
    [TOP_WALKS] = {"walk/s", "walks_per_s", TOP_RATE, 'a', 5, 6},
    [TOP_GETS] = {"get/s", "gets_per_s", TOP_RATE, 'g', 7, 6},
    [TOP_READS] = {"read/s", "reads_per_s", TOP_RATE, 'r', 8, 6},
    [TOP_BEHIND] = {"behind", "behind", TOP_COUNT, 'b', 6, 6},
    [TOP_OPEN] = {"open", "open_reads", TOP_COUNT, 'o', 9, 4},
    [TOP_MEMORY] = {"private", "private_bytes", TOP_BYTES, 'm', 3, 9},
};

const struct top_label top_labels[TOP_TOTALS] = {
    [TOTAL_SEARCHES] = {"searches", "searches_per_s", TOP_RATE, 0},
    [TOTAL_SEARCH_P50] = {"p50", "search_p50_ns", TOP_SPAN, 0},
    [TOTAL_SEARCH_P99] = {"p99", "search_p99_ns", TOP_SPAN, 0},
    [TOTAL_WALKS] = {"walks", "walks_per_s", TOP_RATE, 0},
    [TOTAL_GETS] = {"gets", "gets_per_s", TOP_RATE, 0},
    [TOTAL_COMMITS] = {"commits", "commits_per_s", TOP_RATE, 1},
    [TOTAL_COMMIT_P50] = {"p50", "commit_p50_ns", TOP_SPAN, 1},
    [TOTAL_COMMIT_P99] = {"p99", "commit_p99_ns", TOP_SPAN, 1},
    [TOTAL_WRITES] = {"writes", "writes_per_s", TOP_RATE, 1},
    [TOTAL_CACHE] = {"cache hits", "cache_hit_rate", TOP_SHARE, 2},
    [TOTAL_BLOOM] = {"bloom false", "bloom_false_rate", TOP_SHARE, 2},
    [TOTAL_UNLINKED] = {"unlinked", "unlinked", TOP_COUNT, 2},
    [TOTAL_SHARED] = {"shared", "shared_bytes", TOP_BYTES, 3},
    [TOTAL_DISK] = {"disk", "disk_bytes", TOP_BYTES, 3},
    [TOTAL_OPEN] = {"open reads", "open_reads", TOP_COUNT, 4},
    [TOTAL_BEHIND] = {"oldest behind", "oldest_behind", TOP_COUNT, 4},
    [TOTAL_AGE] = {"for", "oldest_age_ns", TOP_SPAN, 4},
};

int top_key(int key)
{
	for (int i = 0; i < TOP_VALUES; i++)
		if (top_columns[i].key == key)
			return i;
	return key == 'n' ? TOP_NAME : -1;
}

/* What was before: 0, so that the difference is what is now. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now - (now >= before ? before : 0);
}

/* ---- the store ---------------------------------------------------------- */

static void totals_between(double *totals, const struct look *before,
			   const struct look *now, double seconds)
{
	struct cop_figures figures = now->figures;
	const struct cop_histogram *search =
	    &figures.timings[COP_TIMING_SEARCH];
	const struct cop_histogram *commit =
	    &figures.timings[COP_TIMING_COMMIT];
	uint64_t hits = grown(now->stats.cache_hits, before->stats.cache_hits);
	uint64_t misses =
	    grown(now->stats.cache_misses, before->stats.cache_misses);

	look_since(&figures, &before->figures);
	totals[TOTAL_SEARCHES] = (double)figures.searches / seconds;
	totals[TOTAL_SEARCH_P50] = look_quantile(search, 0.5);
	totals[TOTAL_SEARCH_P99] = look_quantile(search, 0.99);
	totals[TOTAL_WALKS] = (double)figures.walks / seconds;
	totals[TOTAL_GETS] =
	    (double)(figures.shared + figures.copied) / seconds;
	totals[TOTAL_COMMITS] =
	    (double)grown(now->stats.commits, before->stats.commits) / seconds;
	totals[TOTAL_COMMIT_P50] = look_quantile(commit, 0.5);
	totals[TOTAL_COMMIT_P99] = look_quantile(commit, 0.99);
	totals[TOTAL_WRITES] = (double)figures.writes / seconds;
	totals[TOTAL_CACHE] = look_share(hits, hits + misses);
	totals[TOTAL_BLOOM] =
	    look_share(figures.doubtful, figures.doubtful + figures.denied);
}

static void totals_now(double *totals, const struct look *now)
{
	totals[TOTAL_UNLINKED] = (double)now->stats.unlinked;
	totals[TOTAL_SHARED] = (double)now->stats.shared_bytes;
	totals[TOTAL_DISK] = (double)now->stats.disk_bytes;
	totals[TOTAL_OPEN] = now->open;
	if (now->oldest.pid) {
		totals[TOTAL_BEHIND] = (double)now->oldest.behind;
		totals[TOTAL_AGE] = (double)now->oldest.age_ns;
	}
}

/* ---- processes ---------------------------------------------------------- */

static void row_between(struct top_row *row, const struct look_process *before,
			const struct look_process *now, double seconds)
{
	struct cop_figures figures = now->figures;
	const struct cop_histogram *search =
	    &figures.timings[COP_TIMING_SEARCH];

	look_since(&figures, &before->figures);
	row->values[TOP_SEARCHES] = (double)figures.searches / seconds;
	row->values[TOP_P50] = look_quantile(search, 0.5);
	row->values[TOP_P99] = look_quantile(search, 0.99);
	row->values[TOP_WRITES] = (double)figures.writes / seconds;
	if (before->is.read_places != now->is.read_places)
		return;
	row->values[TOP_WALKS] = (double)figures.walks / seconds;
	row->values[TOP_GETS] =
	    (double)(figures.shared + figures.copied) / seconds;
	row->values[TOP_READS] = (double)figures.reads / seconds;
}

static void row_make(struct top_row *row, const struct look_process *one,
		     uint64_t newest)
{

	for (int i = 0; i < TOP_VALUES; i++)
		row->values[i] = NAN;
	row->values[TOP_PID] = one->is.pid;
	row->values[TOP_OPEN] = one->is.open;
	row->values[TOP_MEMORY] = one->private_bytes;
	if (one->is.open)
		row->values[TOP_BEHIND] =
		    newest > one->is.oldest ? (double)(newest - one->is.oldest)
					    : 0;
	row->is_foreign = one->is.is_foreign;
	memcpy(row->name, one->name, sizeof row->name);
}

static void rows_make(struct top_view *view, const struct look *before,
		      const struct look *now)
{
	size_t at = 0;

	view->count = now->count;
	for (size_t i = 0; i < now->count; i++) {
		const struct look_process *one = &now->processes[i];
		const struct look_process *was =
		    before ? look_before(before, &one->is, &at) : NULL;

		row_make(&view->rows[i], one, now->stats.commits);
		if (was)
			row_between(&view->rows[i], was, one, view->seconds);
	}
}

int top_view_make(struct top_view *view, const struct look *before,
		  const struct look *now)
{
	struct top_row *rows = view->rows;

	if (now->count > view->room) {
		rows = realloc(rows, now->count * sizeof *rows);
		if (!rows)
			return -1;
		view->rows = rows;
		view->room = now->count;
	}
	for (int i = 0; i < TOP_TOTALS; i++)
		view->totals[i] = NAN;
	view->seconds = before ? (double)(now->ns - before->ns) / 1e9 : NAN;
	if (before)
		totals_between(view->totals, before, now, view->seconds);
	totals_now(view->totals, now);
	view->commit = now->stats.commits;
	view->oldest_pid = now->oldest.pid;
	view->oldest_is_stalled = now->oldest.state == COP_READER_STALLED;
	memcpy(view->oldest_name, now->oldest_name, sizeof view->oldest_name);
	rows_make(view, before, now);
	return 0;
}

void top_view_release(struct top_view *view)
{
	free(view->rows);
}

/* ---- order -------------------------------------------------------------- */

static int compare_numbers(double a, double b)
{
	if (isnan(a) || isnan(b)) /* what is not known comes last */
		return !isnan(b) - !isnan(a);
	return (a < b) - (a > b);
}

static int row_compare(const void *a, const void *b, void *context)
{
	const struct top_sort *sort = context;
	const struct top_row *x = a, *y = b;
	int order = sort->by == TOP_NAME ? strcmp(y->name, x->name)
					 : compare_numbers(x->values[sort->by],
							   y->values[sort->by]);

	if (order)
		return sort->is_upward ? -order : order;
	return compare_numbers(y->values[TOP_PID], x->values[TOP_PID]);
}

void top_view_sort(struct top_view *view, const struct top_sort *sort)
{
	struct top_sort context = *sort;

	if (view->count)
		qsort_r(view->rows, view->count, sizeof *view->rows,
			row_compare, &context);
}
