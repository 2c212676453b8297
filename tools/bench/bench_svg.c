/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plots of measured rows, as SVG.
 *
 * idea
 *	One panel a metric, in the order in which metrics first appear.  In a
 *	panel the rows are horizontal bars, a heading before the bars of each
 *	case, a colour a system, and the value written after the bar.  Values
 *	more than a factor of 100 apart make the panel's scale logarithmic,
 *	and it says so.
 */
#include "bench_svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	WIDTH = 860,
	BAR_X = 240,
	BAR_ROOM = 460,
	BAR_HEIGHT = 16,
	LINE = 22,
	TITLE = 44
};

static const char *const colours[] = {"#2f6f4f", "#c9793a", "#4a6fa5",
				      "#9a5b8f", "#7d7d3c", "#5f5f5f"};

static int same_metric(const struct bench_row *left,
		       const struct bench_row *right)
{
	return !left->is_point && !right->is_point &&
	       strcmp(left->metric, right->metric) == 0 &&
	       strcmp(left->unit, right->unit) == 0;
}

/* Whether this row is the first one of its metric. */
static int is_leader(const struct bench *bench, size_t index)
{
	size_t before;

	if (bench->row[index].is_point)
		return 0;
	for (before = 0; before < index; before++)
		if (same_metric(&bench->row[before], &bench->row[index]))
			return 0;
	return 1;
}

static const char *colour_of(const struct bench *bench, size_t index)
{
	size_t number = 0;
	size_t at;

	/* the first row of the same system, counted among first rows */
	for (at = 0; at < bench->row_count; at++) {
		size_t before;

		if (strcmp(bench->row[at].system, bench->row[index].system) ==
		    0)
			break;
		for (before = 0; before < at; before++)
			if (strcmp(bench->row[before].system,
				   bench->row[at].system) == 0)
				break;
		number += before == at;
	}
	return colours[number % (sizeof colours / sizeof colours[0])];
}

static void put_text(FILE *file, int x, int y, const char *style,
		     const char *text)
{
	fprintf(file, "<text x=\"%d\" y=\"%d\" %s>", x, y, style);
	for (; *text != '\0'; text++) {
		if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '&')
			fputs("&amp;", file);
		else
			fputc(*text, file);
	}
	fputs("</text>\n", file);
}

/* Rows of a metric, and how many headings they need. */
static int panel_height(const struct bench *bench, size_t leader)
{
	const char *subject = "";
	int height = TITLE;
	size_t index;

	for (index = leader; index < bench->row_count; index++) {
		if (!same_metric(&bench->row[index], &bench->row[leader]))
			continue;
		if (strcmp(subject, bench->row[index].subject) != 0)
			height += LINE;
		subject = bench->row[index].subject;
		height += LINE;
	}
	return height;
}

static void panel_range(const struct bench *bench, size_t leader, double *least,
			double *most)
{
	size_t index;

	*least = INFINITY;
	*most = 0;
	for (index = leader; index < bench->row_count; index++) {
		double value = bench->row[index].value;

		if (!same_metric(&bench->row[index], &bench->row[leader]))
			continue;
		if (value > 0 && value < *least)
			*least = value;
		if (value > *most)
			*most = value;
	}
}

static int bar_length(double value, double least, double most)
{
	double share;

	if (value <= 0 || most <= 0)
		return 1;
	if (most / least > 100)
		share = (log10(value) - log10(least) + 0.3) /
			(log10(most) - log10(least) + 0.3);
	else
		share = value / most;
	return 1 + (int)(share * BAR_ROOM);
}

static int write_bars(FILE *file, const struct bench *bench, size_t leader,
		      int y)
{
	const char *subject = "";
	double least;
	double most;
	size_t index;

	panel_range(bench, leader, &least, &most);
	for (index = leader; index < bench->row_count; index++) {
		const struct bench_row *row = &bench->row[index];
		char number[32];
		int length = bar_length(row->value, least, most);

		if (!same_metric(row, &bench->row[leader]))
			continue;
		if (strcmp(subject, row->subject) != 0) {
			put_text(file, 16, y + 13, "font-weight=\"bold\"",
				 row->subject);
			y += LINE;
		}
		subject = row->subject;
		put_text(file, BAR_X - 8, y + 13, "text-anchor=\"end\"",
			 row->system);
		fprintf(file,
			"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
			"fill=\"%s\"/>\n",
			BAR_X, y, length, BAR_HEIGHT, colour_of(bench, index));
		put_text(file, BAR_X + length + 6, y + 13, "",
			 bench_number(row->value, number));
		y += LINE;
	}
	return y;
}

static int write_panel(FILE *file, const struct bench *bench, size_t leader,
		       int y)
{
	char title[2 * BENCH_TEXT_BYTES + 64];
	double least;
	double most;

	panel_range(bench, leader, &least, &most);
	snprintf(title, sizeof title, "%s, %s%s", bench->row[leader].metric,
		 bench->row[leader].unit,
		 most / least > 100 ? " (logarithmic)" : "");
	fprintf(file,
		"<line x1=\"16\" x2=\"%d\" y1=\"%d\" y2=\"%d\" "
		"stroke=\"#ddd\"/>\n",
		WIDTH - 16, y + 8, y + 8);
	put_text(file, 16, y + 30, "font-size=\"15\" fill=\"#2f6f4f\"", title);
	return write_bars(file, bench, leader, y + TITLE);
}

int bench_svg_write(const struct bench *bench)
{
	char path[4096];
	FILE *file;
	int height = 70;
	int y = 44;
	size_t index;

	for (index = 0; index < bench->row_count; index++)
		if (is_leader(bench, index))
			height += panel_height(bench, index);
	snprintf(path, sizeof path, "%s/%s.svg", bench->out, bench->name);
	file = fopen(path, "w");
	if (file == NULL)
		return -1;
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\" "
		"font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfdfb\"/>\n",
		WIDTH, height, WIDTH, height);
	snprintf(path, sizeof path, "coppice %s: %s", cop_version(),
		 bench->name);
	put_text(file, 16, 30, "font-size=\"18\" font-weight=\"bold\"", path);
	for (index = 0; index < bench->row_count; index++)
		if (is_leader(bench, index))
			y = write_panel(file, bench, index, y);
	fputs("</svg>\n", file);
	return fclose(file) == 0 ? 0 : -1;
}
