/* SPDX-License-Identifier: Apache-2.0 */
/* Text that fits a window, or lines of plain text; frame.c. */
#ifndef TOOLS_FRAME_H
#define TOOLS_FRAME_H

#include <stdio.h>

enum frame_style {
	FRAME_PLAIN,
	FRAME_BOLD,
	FRAME_DIM,
	FRAME_WARN,
	FRAME_BAR,	/* a heading */
	FRAME_BAR_BOLD, /* what is marked in it */
	FRAME_STYLES
};

struct frame {
	FILE *to;
	int rows; /* there are; 0: lines of plain text, without an end */
	int columns;
	int is_styled;
	int row; /* where the next character goes */
	int column;
};

/* Begins at the upper left corner. */
void frame_begin(struct frame *frame);

/*
 * As printf, at most 511 bytes.  What does not fit into the line is cut, a
 * character is never; what is no text is shown as '?'.
 */
__attribute__((format(printf, 3, 4))) void frame_print(struct frame *frame,
						       enum frame_style style,
						       const char *format, ...);

/* Columns that a text takes. */
int frame_width(const char *text);

/* Spaces up to a column. */
void frame_fill(struct frame *frame, enum frame_style style, int column);

void frame_line(struct frame *frame); /* goes to the next one */
void frame_end(struct frame *frame);  /* nothing is below */

/* Lines that are left. */
int frame_left(const struct frame *frame);

#endif
