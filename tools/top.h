/* SPDX-License-Identifier: Apache-2.0 */
/* What `top` shows: rates, sorted; top_view.c, and drawn; top_draw.c. */
#ifndef TOOLS_TOP_H
#define TOOLS_TOP_H

#include "frame.h"
#include "look.h"

/* Of a process; TOP_NAME, which is no number, is the last to sort by. */
enum top_value {
	TOP_PID,
	TOP_SEARCHES,
	TOP_P50,
	TOP_P99,
	TOP_WRITES,
	TOP_WALKS,
	TOP_GETS,
	TOP_READS,
	TOP_BEHIND,
	TOP_OPEN,
	TOP_MEMORY,
	TOP_VALUES,
	TOP_NAME = TOP_VALUES
};

/* Of the store. */
enum top_total {
	TOTAL_SEARCHES,
	TOTAL_SEARCH_P50,
	TOTAL_SEARCH_P99,
	TOTAL_WALKS,
	TOTAL_GETS,
	TOTAL_COMMITS,
	TOTAL_COMMIT_P50,
	TOTAL_COMMIT_P99,
	TOTAL_WRITES,
	TOTAL_CACHE,
	TOTAL_BLOOM,
	TOTAL_UNLINKED,
	TOTAL_SHARED,
	TOTAL_DISK,
	TOTAL_OPEN,
	TOTAL_BEHIND,
	TOTAL_AGE,
	TOP_TOTALS
};

enum top_kind { TOP_COUNT, TOP_RATE, TOP_SPAN, TOP_BYTES, TOP_SHARE };

struct top_column {
	const char *title;
	const char *json;
	enum top_kind kind;
	char key;  /* that sorts by it */
	char rank; /* the highest is left out first, 0: never */
	char width;
};

struct top_label {
	const char *title;
	const char *json;
	enum top_kind kind;
	int group;
};

extern const struct top_column top_columns[TOP_VALUES];
extern const struct top_label top_labels[TOP_TOTALS];

struct top_row {
	double values[TOP_VALUES]; /* NaN: not known */
	char name[LOOK_NAME_BYTES];
	int is_foreign;
};

struct top_view {
	double seconds; /* between the looks, NaN: there was one */
	uint64_t commit;
	double totals[TOP_TOTALS];
	uint32_t oldest_pid; /* whose the oldest read is, 0: none is open */
	int oldest_is_stalled;
	char oldest_name[LOOK_NAME_BYTES];
	struct top_row *rows;
	size_t count;
	size_t room;
};

struct top_sort {
	int by;	       /* enum top_value, or TOP_NAME */
	int is_upward; /* the smallest first */
};

/* What happened between two looks; `before` may be NULL.  -1: no memory. */
int top_view_make(struct top_view *view, const struct look *before,
		  const struct look *now);
void top_view_sort(struct top_view *view, const struct top_sort *sort);
void top_view_release(struct top_view *view);

/* The column that a key sorts by, negative: none. */
int top_key(int key);

/* Draws a view from the process `first` on, or what the keys do. */
void top_draw(struct frame *frame, const struct top_view *view,
	      const char *path, const struct top_sort *sort, size_t first);
void top_draw_help(struct frame *frame);

#endif
