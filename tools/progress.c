/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: a line on stderr that says how far an import is.
 *
 * idea
 *	Share done, records, their rate, the time left, by bytes of the files,
 *	and memory.  On a terminal the line is drawn over itself, ten times a
 *	second; elsewhere (--progress=always) a line is written each second.  By
 *	default there is one only on a terminal.  Edges that have waited are put
 *	after they were read: then it says how many of them are.
 */
#include "progress.h"
#include "steady.h"
#include "words.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

void progress_begin(struct progress *progress, int mode, uint64_t total)
{
	progress->is_terminal = isatty(STDERR_FILENO);
	progress->is_on = mode == PROGRESS_ALWAYS ||
			  (mode == PROGRESS_AUTO && progress->is_terminal);
	progress->is_drawn = 0;
	progress->total = total;
	progress->begin_ns = steady_ns();
	progress->next_ns = progress->begin_ns + 200000000u;
}

double progress_seconds(const struct progress *progress)
{
	return (double)(steady_ns() - progress->begin_ns) / 1e9;
}

uint64_t progress_peak(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage)
		   ? 0
		   : (uint64_t)usage.ru_maxrss * 1024;
}

/* Over the last one on a terminal, elsewhere below it. */
__attribute__((format(printf, 2, 3))) static void
progress_line(struct progress *progress, const char *format, ...)
{
	va_list args;

	if (progress->is_terminal)
		fputs("\r\033[K", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (!progress->is_terminal)
		fputc('\n', stderr);
	progress->is_drawn = progress->is_terminal;
}

static void progress_left(char *out, size_t room, double seconds)
{
	unsigned long left = (unsigned long)(seconds + 0.5);

	if (left >= 3600)
		snprintf(out, room, "  %lu:%02lu:%02lu left", left / 3600,
			 left / 60 % 60, left % 60);
	else
		snprintf(out, room, "  %lu:%02lu left", left / 60, left % 60);
}

static void progress_draw(struct progress *progress, uint64_t bytes,
			  uint64_t records)
{
	double seconds = progress_seconds(progress);
	char count[32], rate[32], size[32], left[40] = "";
	char part[16] = "", peak[32];

	words_count(count, records);
	words_count(rate, (uint64_t)((double)records / seconds));
	words_bytes(size, bytes);
	words_bytes(peak, progress_peak());
	if (progress->total && bytes && bytes <= progress->total) {
		double done = (double)bytes / (double)progress->total;

		snprintf(part, sizeof part, "%3.0f %%  ", done * 100);
		progress_left(left, sizeof left, seconds / done - seconds);
	}
	progress_line(progress, "%s%s records  %s/s  %s%s  %s memory", part,
		      count, rate, size, left, peak);
}

static int is_time(struct progress *progress)
{
	uint64_t now;

	if (!progress->is_on)
		return 0;
	now = steady_ns();
	if (now < progress->next_ns)
		return 0;
	progress->next_ns =
	    now + (progress->is_terminal ? 100000000u : 1000000000u);
	return 1;
}

void progress_step(struct progress *progress, uint64_t bytes, uint64_t records)
{
	if (is_time(progress))
		progress_draw(progress, bytes, records);
}

void progress_put(struct progress *progress, uint64_t done, uint64_t count)
{
	char now[32], all[32], peak[32];

	if (!is_time(progress))
		return;
	words_count(now, done);
	words_count(all, count);
	words_bytes(peak, progress_peak());
	progress_line(progress, "%s of %s edges that waited are put  %s memory",
		      now, all, peak);
}

void progress_end(struct progress *progress)
{
	if (progress->is_drawn)
		fputs("\r\033[K", stderr);
	progress->is_drawn = 0;
}
