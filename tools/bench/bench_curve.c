/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Curves, as SVG: recall against throughput, and figures against size.
 *
 * idea
 *	A panel a case or a figure, two beside one another; in it a line a
 *	system, a dot a width or a size.  Recall runs over log (1 - recall),
 *	since the step from 0.99 to 0.999 costs as much as that from 0.9 to
 *	0.99, and a recall of 1 lies on the right border; all else over its
 *	logarithm.
 */
#include "bench_curve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PANEL_WIDTH = 440,
	PANEL_HEIGHT = 330,
	LEFT = 64, /* of a panel's border to its axes */
	RIGHT = 20,
	TOP = 40,
	BOTTOM = 44,
	HEAD = 60,
	POINTS_MAX = 64,
	PANELS_MAX = 16,
	SYSTEMS_MAX = 4
};

static const double recall_least = 0.5;
static const double recall_most = 0.9999;
static const double recall_ticks[] = {0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999};
static const char *const colours[SYSTEMS_MAX] = {"#2f6f4f", "#c9793a",
						 "#4a6fa5", "#9a5b8f"};

struct curve {
	const char *system;
	size_t count;
	double x[POINTS_MAX];
	double y[POINTS_MAX];
};

struct panel {
	const char *subject;
	const char *unit;	/* of y */
	const char *along;	/* what x is */
	int is_recall;		/* x */
	double x_least, x_most; /* if not, whole powers of ten, as y's */
	double least, most;
	int x, y; /* of its upper left corner */
	size_t count;
	struct curve curve[SYSTEMS_MAX];
};

static struct curve *curve_of(struct panel *panel, const char *system)
{
	size_t index;

	for (index = 0; index < panel->count; index++)
		if (strcmp(panel->curve[index].system, system) == 0)
			return &panel->curve[index];
	if (panel->count == SYSTEMS_MAX)
		return NULL;
	panel->curve[panel->count].system = system;
	return &panel->curve[panel->count++];
}

static void panel_add(struct panel *panel, const char *system, double x,
		      double y)
{
	struct curve *curve = y > 0 ? curve_of(panel, system) : NULL;

	if (curve == NULL || curve->count == POINTS_MAX)
		return;
	curve->x[curve->count] = x;
	curve->y[curve->count++] = y;
	panel->least = fmin(panel->least, y);
	panel->most = fmax(panel->most, y);
	panel->x_least = fmin(panel->x_least, x);
	panel->x_most = fmax(panel->x_most, x);
}

static void widen(double *least, double *most)
{
	*least = pow(10, floor(log10(*least)));
	*most = pow(10, ceil(log10(*most) - 1e-9));
	if (*most <= *least)
		*most = *least * 10;
}

/* Of the way from `from` to `to`, all of them logarithms. */
static double share_of(double at, double from, double to)
{
	return (at - from) / (to - from);
}

static double x_of(const struct panel *panel, double x)
{
	double share;

	if (panel->is_recall)
		share =
		    share_of(log(1 - fmin(fmax(x, recall_least), recall_most)),
			     log(1 - recall_least), log(1 - recall_most));
	else
		share =
		    share_of(log(x), log(panel->x_least), log(panel->x_most));
	return panel->x + LEFT + share * (PANEL_WIDTH - LEFT - RIGHT);
}

static double y_of(const struct panel *panel, double y)
{
	double share = share_of(log(y), log(panel->least), log(panel->most));

	return panel->y + PANEL_HEIGHT - BOTTOM -
	       share * (PANEL_HEIGHT - TOP - BOTTOM);
}

static void write_line(FILE *file, double x1, double y1, double x2, double y2)
{
	fprintf(file,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
		"stroke=\"#ddd\"/>\n",
		x1, y1, x2, y2);
}

static void write_x_tick(FILE *file, const struct panel *panel, double at)
{
	double low = y_of(panel, panel->least);
	double x = x_of(panel, at);
	char number[32];

	if (panel->is_recall)
		snprintf(number, sizeof number, "%g", at);
	else
		bench_number(at, number);
	write_line(file, x, low, x, y_of(panel, panel->most));
	fprintf(file,
		"<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" "
		"text-anchor=\"middle\">%s</text>\n",
		x, low + 16, number);
}

static void write_y_tick(FILE *file, const struct panel *panel, double at)
{
	double left = panel->x + LEFT;
	double y = y_of(panel, at);
	char number[32];

	write_line(file, left, y, panel->x + PANEL_WIDTH - RIGHT, y);
	fprintf(file,
		"<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" "
		"text-anchor=\"end\">%s</text>\n",
		left - 6, y + 4, bench_number(at, number));
}

static void write_axes(FILE *file, const struct panel *panel)
{
	static const int steps[] = {1, 2, 5};
	double decade;
	size_t index;

	if (panel->is_recall)
		for (index = 0;
		     index < sizeof recall_ticks / sizeof recall_ticks[0];
		     index++)
			write_x_tick(file, panel, recall_ticks[index]);
	else
		for (decade = panel->x_least; decade <= panel->x_most * 1.001;
		     decade *= 10)
			write_x_tick(file, panel, decade);
	for (decade = panel->least; decade <= panel->most * 1.001; decade *= 10)
		for (index = 0; index < 3; index++)
			if (decade * steps[index] <= panel->most * 1.001)
				write_y_tick(file, panel,
					     decade * steps[index]);
	fprintf(file,
		"<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" "
		"text-anchor=\"middle\">%s</text>\n",
		panel->x + (LEFT + PANEL_WIDTH - RIGHT) / 2.0,
		y_of(panel, panel->least) + 33, panel->along);
	fprintf(file,
		"<text x=\"%d\" y=\"%d\"><tspan font-weight=\"bold\">%s"
		"</tspan>, %s</text>\n",
		panel->x + 16, panel->y + 24, panel->subject, panel->unit);
}

static void write_curve(FILE *file, const struct panel *panel, size_t index)
{
	const struct curve *curve = &panel->curve[index];
	size_t point;

	fprintf(file,
		"<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" "
		"points=\"",
		colours[index]);
	for (point = 0; point < curve->count; point++)
		fprintf(file, "%.1f,%.1f ", x_of(panel, curve->x[point]),
			y_of(panel, curve->y[point]));
	fputs("\"/>\n", file);
	for (point = 0; point < curve->count; point++)
		fprintf(file,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" "
			"fill=\"%s\"/>\n",
			x_of(panel, curve->x[point]),
			y_of(panel, curve->y[point]), colours[index]);
	fprintf(file, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n",
		panel->x + LEFT + 12,
		panel->y + PANEL_HEIGHT - BOTTOM - 12 - 18 * (int)index,
		colours[index], curve->system);
}

/* ---- files -------------------------------------------------------------- */

static void write_panels(FILE *file, struct panel *panels, size_t count)
{
	size_t index;
	size_t curve;

	for (index = 0; index < count; index++) {
		struct panel *panel = &panels[index];

		panel->x = (int)(index % 2) * PANEL_WIDTH;
		panel->y = HEAD + (int)(index / 2) * PANEL_HEIGHT;
		widen(&panel->least, &panel->most);
		widen(&panel->x_least, &panel->x_most);
		write_axes(file, panel);
		for (curve = 0; curve < panel->count; curve++)
			write_curve(file, panel, curve);
	}
}

static int write_file(const struct bench *bench, const char *suffix,
		      struct panel *panels, size_t count)
{
	int width = (count > 1 ? 2 : 1) * PANEL_WIDTH;
	int height = HEAD + (int)((count + 1) / 2) * PANEL_HEIGHT;
	char path[4096];
	FILE *file;

	if (count == 0)
		return 0;
	snprintf(path, sizeof path, "%s/%s-%s.svg", bench->out, bench->name,
		 suffix);
	file = fopen(path, "w");
	if (file == NULL)
		return -1;
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\" "
		"font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfdfb\"/>\n"
		"<text x=\"16\" y=\"36\" font-size=\"18\" "
		"font-weight=\"bold\">coppice %s: %s</text>\n",
		width, height, width, height, cop_version(), bench->name);
	write_panels(file, panels, count);
	fputs("</svg>\n", file);
	return fclose(file) == 0 ? 0 : -1;
}

static struct panel *panel_begin(struct panel *panels, size_t index,
				 const char *subject)
{
	memset(&panels[index], 0, sizeof panels[index]);
	panels[index].subject = subject;
	panels[index].least = INFINITY;
	panels[index].x_least = INFINITY;
	return &panels[index];
}

/* The panel of a case, which is made if there is none; NULL: no more room. */
static struct panel *panel_of(struct panel *panels, size_t *count,
			      const char *subject)
{
	struct panel *panel;
	size_t index;

	for (index = 0; index < *count; index++)
		if (strcmp(panels[index].subject, subject) == 0)
			return &panels[index];
	if (*count == PANELS_MAX)
		return NULL;
	panel = panel_begin(panels, (*count)++, subject);
	panel->unit = "searches a second";
	panel->along = "recall of 10";
	panel->is_recall = 1;
	return panel;
}

int bench_curve_write(const struct bench *bench)
{
	static struct panel panels[PANELS_MAX];
	size_t count = 0;
	size_t index;

	/* a recall's row is followed by that of its rate */
	for (index = 0; index + 1 < bench->row_count; index++) {
		const struct bench_row *row = &bench->row[index];
		struct panel *panel;

		if (strncmp(row->metric, "recall_ef_", 10) != 0 ||
		    strncmp(row[1].metric, "qps_ef_", 7) != 0 ||
		    row[1].value <= 0)
			continue;
		panel = panel_of(panels, &count, row->subject);
		if (panel != NULL)
			panel_add(panel, row->system, row->value, row[1].value);
	}
	return write_file(bench, "curves", panels, count);
}

int bench_curve_grow(const struct bench *bench, const char *const *metrics)
{
	static struct panel panels[PANELS_MAX];
	size_t count = 0;
	size_t index;

	for (; *metrics != NULL && count < PANELS_MAX; metrics++) {
		struct panel *panel = panel_begin(panels, count, *metrics);

		panel->along = "vectors";
		for (index = 0; index < bench->row_count; index++) {
			const struct bench_row *row = &bench->row[index];
			const char *size = strrchr(row->subject, '_');

			if (strcmp(row->metric, *metrics) != 0 || size == NULL)
				continue;
			panel->unit = row->unit;
			panel_add(panel, row->system, strtod(size + 1, NULL),
				  row->value);
		}
		count += panel->count != 0;
	}
	return write_file(bench, "growth", panels, count);
}
