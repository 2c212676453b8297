/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: what went wrong, in words, and the exit status that says so.
 *
 * idea
 *	A function that can fail returns an exit status, 0 if all is well, and
 *	writes a line into the caller's struct fault.  Who knows more (the file,
 *	the line) puts it in front.  Only main() prints, so the message appears
 *	once, and an import that skips bad lines may count it instead.
 *
 * limits
 *	A line is cut at 2 KiB.  Input is quoted in it: control characters, and
 *	bytes that are no UTF-8, are printed as '?', for the line may reach a
 *	terminal.
 */
#include "fault.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* LMDB's codes that have a status of their own; its header is not ours. */
enum lmdb_code {
	LMDB_PAGE_NOT_FOUND = -30797,
	LMDB_CORRUPTED = -30796,
	LMDB_PANIC = -30795,
	LMDB_VERSION = -30794,
	LMDB_INVALID = -30793,
	LMDB_MAP_FULL = -30792,
	LMDB_READERS_FULL = -30790
};

static const struct {
	cop_err error;
	int code;
} fault_codes[] = {
    {COP_INVALID, EXIT_USAGE},
    {COP_BAD_KEY, EXIT_BAD_INPUT},
    {COP_BAD_VECTOR, EXIT_BAD_INPUT},
    {COP_BAD_TEXT, EXIT_BAD_INPUT},
    {COP_TOO_LARGE, EXIT_BAD_INPUT},
    {COP_DANGLING, EXIT_BAD_INPUT},
    {COP_NO_NAME, EXIT_USAGE},
    {COP_NOT_A_STORE, EXIT_NOT_FOUND},
    {COP_VERSION, EXIT_VERSION},
    {COP_CORRUPT, EXIT_CORRUPT},
    {COP_NO_SPACE, EXIT_NO_SPACE},
    {COP_BUSY, EXIT_BUSY},
    {COP_STALLED, EXIT_BUSY},
    {COP_CONFLICT, EXIT_NO_RESULT},
    {COP_DETACHED, EXIT_NO_RESULT},
    {COP_UNKNOWN, EXIT_BUSY},
    {COP_FOREIGN, EXIT_BUSY},
    {COP_MOVED, EXIT_BUSY},
    {COP_DENIED, EXIT_DENIED},
    {COP_READ_ONLY, EXIT_DENIED},
    {COP_TOO_OLD, EXIT_USAGE},
    {COP_EXISTS, EXIT_USAGE},
    {ENOENT, EXIT_NOT_FOUND},
    {ENOTDIR, EXIT_NOT_FOUND},
    {EACCES, EXIT_DENIED},
    {EPERM, EXIT_DENIED},
    {EROFS, EXIT_DENIED},
    {ENOSPC, EXIT_NO_SPACE},
    {EDQUOT, EXIT_NO_SPACE},
    {ENOMEM, EXIT_NO_SPACE},
    {EFBIG, EXIT_NO_SPACE},
    {EIO, EXIT_CORRUPT},
    {EBUSY, EXIT_BUSY},
    {EAGAIN, EXIT_BUSY},
    {ETIMEDOUT, EXIT_BUSY},
    {EEXIST, EXIT_USAGE},
    {ENAMETOOLONG, EXIT_USAGE},
    {EISDIR, EXIT_USAGE},
    {ELOOP, EXIT_USAGE},
    {EBADF, EXIT_USAGE}, /* standard input, closed */
    {EPIPE, EXIT_NO_RESULT},
    {LMDB_PAGE_NOT_FOUND, EXIT_CORRUPT},
    {LMDB_CORRUPTED, EXIT_CORRUPT},
    {LMDB_PANIC, EXIT_CORRUPT},
    {LMDB_VERSION, EXIT_VERSION},
    {LMDB_INVALID, EXIT_CORRUPT},
    {LMDB_MAP_FULL, EXIT_NO_SPACE},
    {LMDB_READERS_FULL, EXIT_BUSY},
};

int fault_code(cop_err error)
{
	for (size_t i = 0; i < sizeof fault_codes / sizeof fault_codes[0]; i++)
		if (fault_codes[i].error == error)
			return fault_codes[i].code;
	return error ? EXIT_INTERNAL : EXIT_FINE;
}

int fault_set(struct fault *fault, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->text, sizeof fault->text, format, args);
	va_end(args);
	fault->code = code;
	fault->error = 0;
	return code;
}

int fault_cop(struct fault *fault, cop_err error)
{
	const char *text = cop_last_error();

	if (!*text)
		text = cop_strerror(error);
	fault_set(fault, fault_code(error), "%s", text);
	fault->error = error;
	return fault->code;
}

int fault_input(struct fault *fault, cop_err error)
{
	fault_cop(fault, error);
	if (error == COP_INVALID)
		fault->code = EXIT_BAD_INPUT;
	return fault->code;
}

int fault_errno(struct fault *fault, const char *what, int number)
{
	return fault_set(fault, fault_code(number), "%s: %s", what,
			 cop_strerror(number));
}

int fault_prefix(struct fault *fault, const char *format, ...)
{
	char text[sizeof fault->text];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= sizeof text)
		return fault->code;
	snprintf(text + size, sizeof text - (size_t)size, "%s", fault->text);
	memcpy(fault->text, text, sizeof text);
	return fault->code;
}

void fault_clear(struct fault *fault)
{
	fault->code = fault->error = 0;
	fault->text[0] = '\0';
}

/* Makes text of it that a terminal can take; returns its size, not above n. */
static size_t line_clean(char *line, size_t n)
{
	const unsigned char *p = (const unsigned char *)line;
	size_t size = 0;

	for (size_t at = 0; at < n;) {
		size_t step = words_utf8_char(p + at, n - at);
		int is_plain = step && p[at] >= 0x20 && p[at] != 0x7f &&
			       (p[at] != 0xc2 || p[at + 1] >= 0xa0);

		step += !step;
		if (is_plain)
			memmove(line + size, line + at, step);
		else
			line[size] = '?';
		size += is_plain ? step : 1;
		at += step;
	}
	return size;
}

static void fault_line(const char *text)
{
	char line[2048 + 16];
	size_t n = (size_t)snprintf(line, sizeof line, "coppice: %s", text);

	if (n >= sizeof line - 1)
		n = sizeof line - 2;
	n = line_clean(line, n);
	line[n] = '\n';
	fwrite(line, 1, n + 1, stderr);
}

void fault_tell(int32_t level, const char *text)
{
	/* as systemd's journal takes them: warning, notice, debug */
	static const char *const signs[] = {"", "<4>", "<5>", "<7>"};

	if (getenv("JOURNAL_STREAM") && level >= COP_LOG_WARN &&
	    level <= COP_LOG_DETAIL)
		fputs(signs[level], stderr);
	fault_line(text);
}

void fault_print(const struct fault *fault)
{
	if (fault->text[0])
		fault_line(fault->text);
}

void fault_note(const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fault_line(text);
}
