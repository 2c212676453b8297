/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup: what the verbs backup, verify and restore have in common.
 *
 * idea
 *	The library's errors do not know the name of a file, so it is put in
 *	front here.  SIGINT, SIGTERM and SIGHUP end the library's call at the
 *	next chunk, so that nothing half done is left; a second one kills.
 */
#include "backup.h"
#include "instant.h"
#include "out.h"
#include "stop.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t backup_progress(void *user, const char *what, uint64_t done,
			uint64_t total)
{
	struct backup_run *run = user;
	struct cli *cli = run->cli;
	double part = total ? 100.0 * (double)done / (double)total : 0;

	cli->stop_signal = stop_signal();
	if (!cli->quiet && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K%s %.0f %%", what, part);
		run->is_drawn = 1;
	}
	return cli->stop_signal;
}

void backup_progress_end(struct backup_run *run)
{
	if (run->is_drawn)
		fputs("\r\033[K", stderr);
	run->is_drawn = 0;
}

int backup_input(struct cli *cli, const char *name, int *fd)
{
	struct stat st;

	*fd =
	    strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (*fd < 0)
		return fault_errno(&cli->fault, name, errno);
	if (fstat(*fd, &st) || !S_ISDIR(st.st_mode))
		return 0;
	if (*fd > STDERR_FILENO)
		close(*fd);
	return fault_set(&cli->fault, EXIT_USAGE,
			 "%s is a folder; a backup is a file, made with "
			 "`coppice backup`",
			 strcmp(name, "-") ? name : "standard input");
}

int backup_fault(struct cli *cli, const char *name, cop_err error)
{
	cli_cop(cli, error);
	if (error == EPIPE)
		fault_set(&cli->fault, EXIT_NO_RESULT,
			  "whoever reads the backup has stopped; what was "
			  "written is not complete");
	return strcmp(name, "-") ? fault_prefix(&cli->fault, "%s: ", name)
				 : cli->fault.code;
}

void backup_print(FILE *to, const struct cop_backup_info *info)
{
	char text[INSTANT_ROOM];
	const struct {
		const char *label;
		uint64_t count;
	} counts[] = {{"entities", info->entities},
		      {"edges", info->edges},
		      {"vectors", info->vectors},
		      {"records", info->entries}};

	fprintf(to, "%-22s%s, format %" PRIu32 "\n", "store", info->uuid,
		info->format);
	fprintf(to, "%-22s%s, by coppice %s\n", "taken",
		instant_text_ns(text, (int64_t)info->taken_ns), info->coppice);
	fprintf(to, "%-22s%" PRIu64 ", %s\n", "commit", info->commit,
		instant_text_ns(text, (int64_t)info->commit_time_ns));
	fprintf(to, "%-22s%" PRIu64 "\n", "history from commit", info->oldest);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		fprintf(to, "%-22s%s\n", counts[i].label,
			words_count(text, counts[i].count));
	fprintf(to, "%-22s%s\n", "bytes", words_bytes(text, info->bytes));
	fprintf(to, "%-22s%s\n", "  not compressed",
		words_bytes(text, info->data_bytes));
	fprintf(to, "%-22s%" PRIu32 ", %s, coded in %s\n", "dimension",
		info->dim, out_metric(info->metric), out_codes(info->codes));
}

void backup_json(const struct cop_backup_info *info, const char *name)
{
	printf("{\"schema\":\"coppice.backup/1\",\"file\":");
	out_string(name, strlen(name));
	printf(",\"store\":\"%s\",\"format\":%" PRIu32 ",\"coppice\":\"%s\""
	       ",\"taken_ns\":%" PRIu64 ",\"commit\":%" PRIu64
	       ",\"commit_time_ns\":%" PRIu64 ",\"oldest\":%" PRIu64
	       ",\"entities\":%" PRIu64 ",\"edges\":%" PRIu64
	       ",\"vectors\":%" PRIu64 ",\"records\":%" PRIu64
	       ",\"bytes\":%" PRIu64 ",\"data_bytes\":%" PRIu64
	       ",\"dim\":%" PRIu32 ",\"metric\":\"%s\",\"codes\":\"%s\"}\n",
	       info->uuid, info->format, info->coppice, info->taken_ns,
	       info->commit, info->commit_time_ns, info->oldest, info->entities,
	       info->edges, info->vectors, info->entries, info->bytes,
	       info->data_bytes, info->dim, out_metric(info->metric),
	       out_codes(info->codes));
}

static void finding_print(void *user, const char *text)
{
	(void)user;
	puts(text);
}

int backup_check(struct cli *cli, const char *path)
{
	uint64_t findings = 0;
	cop_err err;
	int code;

	cli->path = path;
	code = cli_open(cli);
	if (code)
		return code;
	err = cop_check(cli->store, finding_print, NULL, &findings);
	cli_close(cli);
	if (err)
		return cli_cop(cli, err);
	return findings ? fault_set(&cli->fault, EXIT_CORRUPT,
				    "the restored store has %" PRIu64
				    " findings: the one that was backed up had "
				    "them, too; use an older backup",
				    findings)
			: 0;
}
