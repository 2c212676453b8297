/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_draw: the view of `top` in a window of any size, or as plain text.
 *
 * idea
 *	What is known of the store flows in at most half of the rows, the most
 *	important first; then a line for each process.  Columns that do not fit
 *	beside a name are left out by their rank.
 */
#include "top.h"
#include "words.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum { NAME_COLUMNS = 12, GAP = 2, ROOMY_ROWS = 16 };

static const char *value_text(char *out, enum top_kind kind, double value)
{
	if (isnan(value))
		return strcpy(out, "-");
	switch (kind) {
	case TOP_RATE: return words_rate(out, value);
	case TOP_SPAN: return words_span(out, value);
	case TOP_BYTES: return words_bytes(out, (uint64_t)value);
	case TOP_SHARE: snprintf(out, 32, "%.3g %%", 100 * value); return out;
	default: snprintf(out, 32, "%.0f", value); return out;
	}
}

/* ---- the store ---------------------------------------------------------- */

/* Where things flow: how many lines are left for them. */
struct flow {
	struct frame *frame;
	int lines;
	int is_roomy; /* groups begin on lines of their own */
};

static void flow_line(struct flow *flow)
{
	if (flow->lines > 0)
		frame_line(flow->frame);
	flow->lines--;
}

static void flow_put(struct flow *flow, const char *title, const char *value,
		     enum frame_style style)
{
	struct frame *frame = flow->frame;
	int width = frame_width(title) + 1 + frame_width(value);

	if (frame->column && frame->column + GAP + width > frame->columns)
		flow_line(flow);
	if (flow->lines <= 0)
		return;
	if (frame->column)
		frame_fill(frame, FRAME_PLAIN, frame->column + GAP);
	frame_print(frame, FRAME_DIM, "%s ", title);
	frame_print(frame, style, "%s", value);
}

static void oldest_put(struct flow *flow, const struct top_view *view)
{
	char who[64];

	snprintf(who, sizeof who, "%" PRIu32 " %s", view->oldest_pid,
		 view->oldest_name);
	flow_put(flow, view->oldest_is_stalled ? "stalled by" : "by", who,
		 view->oldest_is_stalled ? FRAME_WARN : FRAME_PLAIN);
}

static void totals_draw(struct flow *flow, const struct top_view *view)
{
	char text[64];

	for (int i = 0; i < TOP_TOTALS; i++) {
		const struct top_label *label = &top_labels[i];
		double value = view->totals[i];

		if (i > TOTAL_OPEN && !view->oldest_pid)
			continue;
		if (i && label->group != label[-1].group && flow->is_roomy)
			flow_line(flow);
		value_text(text, label->kind, value);
		if (label->kind == TOP_RATE && !isnan(value))
			strcat(text, "/s");
		flow_put(flow, label->title, text, FRAME_PLAIN);
	}
	if (view->oldest_pid)
		oldest_put(flow, view);
}

static void store_draw(struct frame *frame, const struct top_view *view,
		       const char *path)
{
	struct flow flow = {frame, frame->rows ? frame->rows / 2 : INT_MAX,
			    !frame->rows || frame->rows >= ROOMY_ROWS};
	char text[64], number[32];

	words_things(text, view->count, "process", "processes");
	frame_print(frame, FRAME_BOLD, "coppice  %s  commit %s  %s", text,
		    words_count(number, view->commit), path);
	flow_line(&flow);
	totals_draw(&flow, view);
	if (flow.lines > 0)
		frame_line(frame);
}

/* ---- processes ---------------------------------------------------------- */

/* Columns of this rank and above do not fit beside a name. */
static int rank_limit(const struct frame *frame)
{
	for (int limit = TOP_VALUES + 1; limit > 1; limit--) {
		int columns = NAME_COLUMNS;

		for (int i = 0; i < TOP_VALUES; i++)
			if (top_columns[i].rank < limit)
				columns += top_columns[i].width + 1;
		if (columns <= frame->columns)
			return limit;
	}
	return 1;
}

static void heading_draw(struct frame *frame, const struct top_sort *sort,
			 int limit)
{
	for (int i = 0; i < TOP_VALUES; i++) {
		const struct top_column *column = &top_columns[i];

		if (column->rank >= limit)
			continue;
		frame_print(frame, i == sort->by ? FRAME_BAR_BOLD : FRAME_BAR,
			    "%*s", column->width, column->title);
		frame_print(frame, FRAME_BAR, " ");
	}
	frame_print(frame, sort->by == TOP_NAME ? FRAME_BAR_BOLD : FRAME_BAR,
		    "name");
	if (frame->rows)
		frame_fill(frame, FRAME_BAR, frame->columns);
	frame_line(frame);
}

static void row_draw(struct frame *frame, const struct top_row *row, int limit)
{
	char text[64];

	for (int i = 0; i < TOP_VALUES; i++) {
		const struct top_column *column = &top_columns[i];

		if (column->rank >= limit)
			continue;
		value_text(text, column->kind, row->values[i]);
		if (i == TOP_PID && row->is_foreign)
			strcat(text, "*");
		frame_print(frame, FRAME_PLAIN, "%*s ", column->width, text);
	}
	frame_print(frame, FRAME_PLAIN, "%s", row->name);
	frame_line(frame);
}

void top_draw(struct frame *frame, const struct top_view *view,
	      const char *path, const struct top_sort *sort, size_t first)
{
	int limit = rank_limit(frame);
	size_t room;

	frame_begin(frame);
	store_draw(frame, view, path);
	heading_draw(frame, sort, limit);
	for (; first < view->count && frame_left(frame) > 0; first++) {
		room = (size_t)frame_left(frame);
		if (room == 1 && view->count - first > 1) {
			frame_print(frame, FRAME_DIM, "%zu more: j, k",
				    view->count - first);
			break;
		}
		row_draw(frame, &view->rows[first], limit);
	}
	if (!view->count)
		frame_print(frame, FRAME_DIM, "no other process is attached");
	if (!view->count && !frame->rows)
		frame_line(frame);
	frame_end(frame);
}

/* ---- help --------------------------------------------------------------- */

void top_draw_help(struct frame *frame)
{
	static const char *const lines[] = {
	    "", "-          not known yet, or not at all",
	    "behind     commits since its oldest read",
	    "private    memory that is its own",
	    "*          a pid of another namespace"};
	int half = (TOP_VALUES + 2) / 2;

	frame_begin(frame);
	frame_print(frame, FRAME_BOLD,
		    "q quit  h back  j k scroll  others sort,");
	frame_line(frame);
	frame_print(frame, FRAME_BOLD, "pressed again the other way:");
	frame_line(frame);
	for (int i = 0; i < half; i++) {
		for (int j = i; j <= TOP_VALUES; j += half) {
			if (j == TOP_NAME)
				frame_print(frame, FRAME_PLAIN, "n  name");
			else
				frame_print(frame, FRAME_PLAIN, "%c  %s",
					    top_columns[j].key,
					    top_columns[j].title);
			frame_fill(frame, FRAME_PLAIN, 16);
		}
		frame_line(frame);
	}
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		frame_print(frame, FRAME_PLAIN, "%s", lines[i]);
		frame_line(frame);
	}
	frame_end(frame);
}
