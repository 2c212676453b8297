/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look of the demonstration.  WordNet's text is ASCII, so that columns
 * are bytes.  NO_COLOR is obeyed.
 */
#include "term.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const styles[] = {"", "\033[1m", "\033[2m", "\033[36m"};

static int term_is_rich(void)
{
	const char *term = getenv("TERM");
	const char *plain = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term != NULL &&
	       strcmp(term, "dumb") != 0 && (plain == NULL || *plain == '\0');
}

void term_print(enum term_style style, const char *format, ...)
{
	va_list args;
	int rich = style != TERM_PLAIN && term_is_rich();

	if (rich)
		fputs(styles[style], stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	if (rich)
		fputs("\033[0m", stdout);
}

void term_heading(const char *heading, const char *remark)
{
	size_t used = strlen(heading);

	term_print(TERM_PLAIN, "\n");
	term_print(TERM_BOLD, "%s", heading);
	term_print(TERM_DIM, " ");
	for (used++; used < TERM_COLUMNS; used++)
		term_print(TERM_DIM, "%s", term_is_rich() ? "\u2500" : "-");
	term_print(TERM_PLAIN, "\n");
	if (remark != NULL)
		term_print(TERM_DIM, "%s\n", remark);
	fflush(stdout);
}

const char *term_count(uint64_t number, char out[TERM_NUMBER_BYTES])
{
	char digits[TERM_NUMBER_BYTES];
	int size =
	    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
	int at = 0;
	int index;

	for (index = 0; index < size; index++) {
		if (index > 0 && (size - index) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[index];
	}
	out[at] = '\0';
	return out;
}

const char *term_cut(const char *text, size_t size, size_t width, char *out,
		     size_t room)
{
	size_t end = size;

	if (width > room - 1)
		width = room - 1;
	if (size > width) {
		end = width - 3;
		while (end > width / 2 && text[end] != ' ')
			end--;
	}
	memcpy(out, text, end);
	memcpy(out + end, "...", 4);
	if (size <= width)
		out[end] = '\0';
	return out;
}
