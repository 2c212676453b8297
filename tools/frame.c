/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: text that fits a window, or lines of plain text.
 *
 * idea
 *	A frame is drawn over the one before: each line is placed and what is
 *	left of it erased, so that nothing flickers and nothing scrolls.  What
 *	is too long is cut by the columns that characters take, as the C library
 *	knows them in the user's locale; where that is not UTF-8, whatever is
 *	not ASCII is a '?'.
 *	A line that fills its row is not erased after: there the cursor still
 *	stands on the last character.
 */
#include "frame.h"
#include "words.h"

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

static const char *const styles[FRAME_STYLES] = {
    "", "\033[1m", "\033[2m", "\033[33m", "\033[7m", "\033[1;7m"};

/* The user's characters, while one is measured. */
static int user_width(wchar_t c)
{
	static locale_t user;
	static int is_utf8 = -1;
	locale_t before;
	int width;

	if (is_utf8 < 0) {
		user = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
		is_utf8 =
		    user && !strcmp(nl_langinfo_l(CODESET, user), "UTF-8");
	}
	if (!is_utf8)
		return -1;
	before = uselocale(user);
	width = wcwidth(c);
	uselocale(before);
	return width;
}

/*
 * The bytes of the first character, and its columns, negative if it cannot be
 * shown.
 */
static size_t character(const char *text, size_t size, int *width)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t length = words_utf8_char(text, size);
	unsigned long c = p[0];

	*width = -1;
	if (length <= 1) {
		if (length && c >= 0x20 && c < 0x7f)
			*width = 1;
		return 1;
	}
	c &= 0x7fu >> length;
	for (size_t i = 1; i < length; i++)
		c = c << 6 | (p[i] & 0x3f);
	*width = user_width((wchar_t)c);
	return length;
}

int frame_width(const char *text)
{
	size_t size = strlen(text);
	int columns = 0;

	while (size) {
		int width;
		size_t length = character(text, size, &width);

		columns += width < 0 ? 1 : width;
		text += length;
		size -= length;
	}
	return columns;
}

static void text_put(struct frame *frame, const char *text, size_t size)
{
	while (size) {
		int width;
		size_t length = character(text, size, &width);
		int columns = width < 0 ? 1 : width;

		if (columns > frame->columns - frame->column)
			return;
		if (width < 0)
			putc('?', frame->to);
		else
			fwrite(text, 1, length, frame->to);
		frame->column += columns;
		text += length;
		size -= length;
	}
}

static void style_begin(const struct frame *frame, enum frame_style style)
{
	if (frame->is_styled)
		fputs(styles[style], frame->to);
}

static void style_end(const struct frame *frame, enum frame_style style)
{
	if (frame->is_styled && style != FRAME_PLAIN)
		fputs("\033[0m", frame->to);
}

void frame_begin(struct frame *frame)
{
	frame->row = 0;
	frame->column = 0;
	if (frame->rows)
		fputs("\033[H", frame->to);
}

int frame_left(const struct frame *frame)
{
	return frame->rows ? frame->rows - frame->row : INT_MAX;
}

void frame_print(struct frame *frame, enum frame_style style,
		 const char *format, ...)
{
	char text[512];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (size <= 0 || frame_left(frame) <= 0)
		return;
	style_begin(frame, style);
	text_put(frame, text, strlen(text));
	style_end(frame, style);
}

void frame_fill(struct frame *frame, enum frame_style style, int column)
{
	if (frame_left(frame) <= 0)
		return;
	style_begin(frame, style);
	while (frame->column < column && frame->column < frame->columns) {
		putc(' ', frame->to);
		frame->column++;
	}
	style_end(frame, style);
}

void frame_line(struct frame *frame)
{
	if (frame_left(frame) <= 0)
		return;
	if (!frame->rows)
		putc('\n', frame->to);
	else if (frame->column < frame->columns)
		fputs("\033[K", frame->to);
	frame->column = 0;
	if (++frame->row < frame->rows)
		fprintf(frame->to, "\033[%d;1H", frame->row + 1);
}

void frame_end(struct frame *frame)
{
	if (frame->rows && frame_left(frame) > 0)
		fputs("\033[J", frame->to);
}
