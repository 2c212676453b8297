/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look: what processes do with a store, from two looks at it.
 *
 * idea
 *	The store's figures only ever grow, so what was done between two looks
 *	is their difference, word by word, histograms included.  A figure that
 *	is smaller than before is of new shared memory and began at nothing.
 *	A process's memory is what it has of its own: the pages that are no
 *	file's and no segment's, those shared with its forks divided among them.
 *	The kernel tells that to whoever may trace the process, and goes through
 *	every page for it, 40 ms for each GB that is mapped: a look spends
 *	MEMORY_NS on it, and who is not reached is known from the look before.
 */
#include "look.h"
#include "steady.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	FIGURES_AT = offsetof(struct cop_figures, uncounted),
	FIGURES_WORDS = (sizeof(struct cop_figures) - FIGURES_AT) / 8,
	MEMORY_NS = 20000000
};

/* What look_take's visits add to. */
struct visit {
	struct look *look;
	int failed;
};

void look_sleep(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds};

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

int look_interval(struct cli *cli, double *seconds)
{
	int code = args_double(cli, seconds);

	if (!code && !(*seconds >= 0.05 && *seconds <= 86400))
		code = args_fault(cli,
				  "--interval takes 0.05 to 86400 seconds, "
				  "not '%s'",
				  cli->value);
	return code;
}

/* ---- differences -------------------------------------------------------- */

void look_since(struct cop_figures *now, const struct cop_figures *before)
{
	uint64_t *to = &now->uncounted;
	const uint64_t *from = &before->uncounted;

	for (size_t i = 0; i < FIGURES_WORDS; i++)
		to[i] -= to[i] >= from[i] ? from[i] : 0;
}

double look_quantile(const struct cop_histogram *histogram, double share)
{
	return histogram->count ? cop_quantile(histogram, share) : NAN;
}

double look_share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN;
}

/* ---- a look ------------------------------------------------------------- */

static double private_bytes(const struct cop_process *process)
{
	uint64_t kibibytes;
	double bytes = NAN;
	char line[256];
	FILE *file;

	if (process->is_foreign)
		return NAN;
	snprintf(line, sizeof line, "/proc/%" PRIu32 "/smaps_rollup",
		 process->pid);
	file = fopen(line, "re");
	if (!file)
		return NAN;
	while (isnan(bytes) && fgets(line, sizeof line, file))
		if (sscanf(line, "Pss_Anon: %" SCNu64, &kibibytes) == 1)
			bytes = (double)kibibytes * 1024;
	fclose(file);
	return bytes;
}

const struct look_process *look_before(const struct look *before,
				       const struct cop_process *is, size_t *at)
{
	const struct cop_process *was;

	while (*at < before->count &&
	       before->processes[*at].is.place < is->place)
		++*at;
	if (*at == before->count)
		return NULL;
	was = &before->processes[*at].is;
	return was->place == is->place && was->pid == is->pid &&
		       was->since_ns == is->since_ns
		   ? &before->processes[*at]
		   : NULL;
}

static void memories_look(struct look *look, const struct look *before)
{
	uint64_t until = steady_ns() + MEMORY_NS;
	size_t at = 0;

	for (size_t i = 0; i < look->count; i++) {
		struct look_process *one = &look->processes[i];
		const struct look_process *was =
		    look_before(before, &one->is, &at);

		one->private_bytes = was ? was->private_bytes : NAN;
	}
	look->next = before->next;
	for (size_t i = 0; i < look->count && steady_ns() < until; i++) {
		struct look_process *one =
		    &look->processes[look->next++ % look->count];

		one->private_bytes = private_bytes(&one->is);
	}
}

static struct look_process *process_add(struct look *look)
{
	struct look_process *processes = look->processes;
	size_t room = look->room ? look->room * 2 : 16;

	if (look->count == look->room) {
		processes = realloc(processes, room * sizeof *processes);
		if (!processes)
			return NULL;
		look->processes = processes;
		look->room = room;
	}
	return &look->processes[look->count++];
}

static int32_t process_visit(void *user, const struct cop_process *process)
{
	struct visit *visit = user;
	struct look_process *one;

	if (!process->is_foreign && process->pid == (uint32_t)getpid())
		return 0;
	one = process_add(visit->look);
	if (!one)
		return visit->failed = 1;
	one->is = *process;
	one->figures = *process->figures;
	snprintf(one->name, sizeof one->name, "%s", process->name);
	return 0;
}

static int32_t reader_visit(void *user, const struct cop_reader *reader)
{
	struct look *look = ((struct visit *)user)->look;

	if (reader->role == COP_ROLE_WRITE ||
	    (reader->state != COP_READER_OPEN &&
	     reader->state != COP_READER_STALLED))
		return 0;
	if (look->open++ && reader->commit >= look->oldest.commit)
		return 0;
	look->oldest = *reader;
	snprintf(look->oldest_name, sizeof look->oldest_name, "%s",
		 reader->name);
	return 0;
}

int look_figures(struct cli *cli, struct cop_figures *out)
{
	cop_err err;

	out->size = sizeof *out;
	err = cop_figures(cli->store, out);
	return err ? cli_cop(cli, err) : 0;
}

static int look_stats(struct cli *cli, struct cop_stats *out)
{
	cop_err err = cop_read_begin(cli->store, &cli->read);

	out->size = sizeof *out;
	if (!err)
		err = cop_stat(cli->read, out);
	if (err)
		return cli_cop(cli, err);
	cop_read_end(cli->read);
	cli->read = NULL;
	return 0;
}

int look_take(struct cli *cli, struct look *look, const struct look *before)
{
	struct visit visit = {.look = look};
	int code = look_stats(cli, &look->stats);
	cop_err err;

	look->ns = steady_ns();
	look->count = 0;
	look->open = 0;
	look->oldest.pid = 0;
	if (!code)
		code = look_figures(cli, &look->figures);
	if (code)
		return code;
	err = cop_processes(cli->store, process_visit, &visit);
	if (!err)
		err = cop_readers(cli->store, reader_visit, &visit);
	if (visit.failed)
		return fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	if (err)
		return cli_cop(cli, err);
	memories_look(look, before);
	return 0;
}

void look_release(struct look *look)
{
	free(look->processes);
}
