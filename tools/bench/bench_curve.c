/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Curves of recall against throughput, as SVG.
 *
 * idea
 *	A panel a case, two beside one another; in it a line a system, a dot a
 *	width.  Recall runs over log (1 - recall), since the step from 0.99 to
 *	0.999 costs as much as that from 0.9 to 0.99; searches a second over
 *	their logarithm.  Up and to the right is better.  A recall of 1 lies on
 *	the right border.
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
	double recall[POINTS_MAX];
	double rate[POINTS_MAX];
};

struct panel {
	const char *subject;
	size_t count;
	struct curve curve[SYSTEMS_MAX];
	double least; /* rates, whole powers of ten */
	double most;
	int x; /* of its upper left corner */
	int y;
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

/* A recall's row is followed by that of its rate. */
static void panel_fill(struct panel *panel, const struct bench *bench)
{
	size_t index;

	panel->least = INFINITY;
	panel->most = 0;
	for (index = 0; index + 1 < bench->row_count; index++) {
		const struct bench_row *row = &bench->row[index];
		double rate = row[1].value;
		struct curve *curve;

		if (strncmp(row->metric, "recall_ef_", 10) != 0 ||
		    strncmp(row[1].metric, "qps_ef_", 7) != 0 ||
		    strcmp(row->subject, panel->subject) != 0 || rate <= 0)
			continue;
		curve = curve_of(panel, row->system);
		if (curve == NULL || curve->count == POINTS_MAX)
			continue;
		curve->recall[curve->count] = row->value;
		curve->rate[curve->count++] = rate;
		panel->least = fmin(panel->least, rate);
		panel->most = fmax(panel->most, rate);
	}
	if (panel->most <= 0)
		return;
	panel->least = pow(10, floor(log10(panel->least)));
	panel->most = pow(10, ceil(log10(panel->most) + 1e-9));
}

static double x_of(const struct panel *panel, double recall)
{
	double from = log(1 - recall_least);
	double to = log(1 - recall_most);
	double at = fmin(fmax(recall, recall_least), recall_most);

	return panel->x + LEFT +
	       (log(1 - at) - from) / (to - from) *
		   (PANEL_WIDTH - LEFT - RIGHT);
}

static double y_of(const struct panel *panel, double rate)
{
	double share = (log(rate) - log(panel->least)) /
		       (log(panel->most) - log(panel->least));

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

static void write_axes(FILE *file, const struct panel *panel)
{
	static const int steps[] = {1, 2, 5};
	double left = panel->x + LEFT;
	double right = panel->x + PANEL_WIDTH - RIGHT;
	double low = y_of(panel, panel->least);
	char number[32];
	double decade;
	size_t index;

	for (index = 0; index < sizeof recall_ticks / sizeof recall_ticks[0];
	     index++) {
		double x = x_of(panel, recall_ticks[index]);

		write_line(file, x, low, x, y_of(panel, panel->most));
		fprintf(file,
			"<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" "
			"text-anchor=\"middle\">%g</text>\n",
			x, low + 16, recall_ticks[index]);
	}
	for (decade = panel->least; decade <= panel->most * 1.001; decade *= 10)
		for (index = 0; index < 3; index++) {
			double rate = decade * steps[index];

			if (rate > panel->most * 1.001)
				break;
			write_line(file, left, y_of(panel, rate), right,
				   y_of(panel, rate));
			fprintf(file,
				"<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" "
				"text-anchor=\"end\">%s</text>\n",
				left - 6, y_of(panel, rate) + 4,
				bench_number(rate, number));
		}
	fprintf(file,
		"<text x=\"%.1f\" y=\"%.1f\" font-size=\"11\" "
		"text-anchor=\"middle\">recall of 10</text>\n",
		(left + right) / 2, low + 33);
	fprintf(file,
		"<text x=\"%d\" y=\"%d\"><tspan font-weight=\"bold\">%s"
		"</tspan>, searches a second</text>\n",
		panel->x + 16, panel->y + 24, panel->subject);
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
		fprintf(file, "%.1f,%.1f ", x_of(panel, curve->recall[point]),
			y_of(panel, curve->rate[point]));
	fputs("\"/>\n", file);
	for (point = 0; point < curve->count; point++)
		fprintf(file,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" "
			"fill=\"%s\"/>\n",
			x_of(panel, curve->recall[point]),
			y_of(panel, curve->rate[point]), colours[index]);
	fprintf(file, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n",
		panel->x + LEFT + 12,
		panel->y + PANEL_HEIGHT - BOTTOM - 12 - 18 * (int)index,
		colours[index], curve->system);
}

/* Row numbers at which a case with curves first appears. */
static size_t find_subjects(const struct bench *bench,
			    size_t first[BENCH_ROWS_MAX])
{
	size_t count = 0;
	size_t index;

	for (index = 0; index < bench->row_count; index++) {
		size_t before;

		if (strncmp(bench->row[index].metric, "recall_ef_", 10) != 0)
			continue;
		for (before = 0; before < count; before++)
			if (strcmp(bench->row[first[before]].subject,
				   bench->row[index].subject) == 0)
				break;
		if (before == count)
			first[count++] = index;
	}
	return count;
}

static void write_panels(FILE *file, const struct bench *bench,
			 const size_t *first, size_t count)
{
	size_t index;

	for (index = 0; index < count; index++) {
		struct panel panel = {
		    .subject = bench->row[first[index]].subject,
		    .x = (int)(index % 2) * PANEL_WIDTH,
		    .y = HEAD + (int)(index / 2) * PANEL_HEIGHT};
		size_t curve;

		panel_fill(&panel, bench);
		if (panel.most <= 0)
			continue;
		write_axes(file, &panel);
		for (curve = 0; curve < panel.count; curve++)
			write_curve(file, &panel, curve);
	}
}

int bench_curve_write(const struct bench *bench)
{
	static size_t first[BENCH_ROWS_MAX];
	size_t count = find_subjects(bench, first);
	int width = (count > 1 ? 2 : 1) * PANEL_WIDTH;
	int height = HEAD + (int)((count + 1) / 2) * PANEL_HEIGHT;
	char path[4096];
	FILE *file;

	if (count == 0)
		return 0;
	snprintf(path, sizeof path, "%s/%s-curves.svg", bench->out,
		 bench->name);
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
	write_panels(file, bench, first, count);
	fputs("</svg>\n", file);
	return fclose(file) == 0 ? 0 : -1;
}
