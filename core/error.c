/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"
#include "env.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 768 };

static _Thread_local char last_line[LINE_BYTES];
static _Thread_local char name_line[96];

static const struct {
	cop_err error;
	const char *text;
} names[] = {
    {COP_OK, "success"},
    {COP_INVALID, "argument out of range"},
    {COP_BAD_KEY, "bad key"},
    {COP_BAD_VECTOR, "bad vector"},
    {COP_BAD_TEXT, "text is not UTF-8"},
    {COP_TOO_LARGE, "over a limit"},
    {COP_DANGLING, "entity is not there"},
    {COP_NO_NAME, "no such name"},
    {COP_NOT_A_STORE, "not a store"},
    {COP_VERSION, "version does not fit"},
    {COP_CORRUPT, "corrupt"},
    {COP_NO_SPACE, "no space"},
    {COP_BUSY, "busy"},
    {COP_MOVED, "segment was replaced"},
    {COP_STALLED, "an old read holds memory back"},
    {COP_FORKED, "begun by the parent process"},
    {COP_DENIED, "permission denied"},
    {COP_CONFLICT, "another commit came between"},
    {COP_UNKNOWN, "outcome not known"},
    {COP_TOO_OLD, "history is not kept that far back"},
    {COP_FOREIGN, "another segment serves the store"},
    {COP_EXISTS, "exists already"},
    {COP_STOPPED, "stopped by the caller"},
    {COP_READ_ONLY, "read-only"},
    {COP_DETACHED, "no shared memory"},
};

const char *cop_strerror(cop_err error)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].error == error)
			return names[i].text;
	if (error > 0 || env_is_error(error))
		return env_strerror(error);
	snprintf(name_line, sizeof name_line, "unknown error %d", error);
	return name_line;
}

const char *cop_last_error(void)
{
	return last_line;
}

void error_clear(void)
{
	last_line[0] = 0;
}

cop_err error_answer(int32_t answer)
{
	if (!answer)
		return 0;
	return last_line[0] ? COP_STOPPED
			    : error_set(COP_STOPPED, "stopped by the caller");
}

/*
 * Keys and names are shown cut, and may be any bytes: what is no UTF-8 then
 * becomes a question mark.
 */
static void line_clean(void)
{
	size_t size = strlen(last_line);
	size_t at = text_valid_bytes(last_line, size);

	while (at < size) {
		last_line[at++] = '?';
		at += text_valid_bytes(last_line + at, size - at);
	}
}

cop_err error_set(cop_err error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_line, sizeof last_line, format, args);
	va_end(args);
	line_clean();
	return error;
}

void error_prefix(const char *format, ...)
{
	char line[LINE_BYTES];
	size_t used;
	va_list args;

	memcpy(line, last_line, sizeof line);
	va_start(args, format);
	vsnprintf(last_line, sizeof last_line, format, args);
	va_end(args);
	used = strlen(last_line);
	snprintf(last_line + used, sizeof last_line - used, "%s", line);
	line_clean();
}

cop_err error_public(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: return COP_NO_SPACE;
	case EACCES:
	case EPERM: return COP_DENIED;
	case EROFS: return COP_READ_ONLY;
	default: return env_public_error(error);
	}
}

/* What to do about it, where the error alone says so. */
static const char *advice_of(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT: return "; free room and try again";
	case EFBIG: return "; raise the limit of a file's size (ulimit -f)";
	case ENOMEM: return "; free memory, or raise its limit (ulimit -v)";
	case EMFILE: return "; raise the limit of open files (ulimit -n)";
	case ENFILE: return "; raise the system's limit (fs.file-max)";
	case EINTR: return "; a signal came between, try again";
	case EIO: return "; the disk failed, see the kernel's log";
	case ENOLCK: return "; try again, or use a file system with locks";
	case EACCES:
	case EPERM: return "; ask for permission";
	case EROFS: return "; mount it writable";
	case ENV_PANIC:
		return "; close the store in this process and open it again";
	default: break;
	}
	switch (env_public_error(error)) {
	case COP_CORRUPT:
		return "; `coppice check --repair` mends what can be mended, "
		       "or restore a backup";
	case COP_NO_SPACE: return "; set COPPICE_MAP_SIZE higher";
	default: return "";
	}
}

cop_err error_system(int error, const char *format, ...)
{
	cop_err known = error_public(error);
	size_t used;
	va_list args;

	va_start(args, format);
	vsnprintf(last_line, sizeof last_line, format, args);
	va_end(args);
	used = strlen(last_line);
	snprintf(last_line + used, sizeof last_line - used, ": %s%s",
		 cop_strerror(error), advice_of(error));
	line_clean();
	return known;
}

const char *cop_lmdb_version(void)
{
	return env_version();
}

const char *cop_version(void)
{
	return COP_VERSION_TEXT;
}
