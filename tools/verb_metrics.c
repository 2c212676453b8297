/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: the store's figures as Prometheus reads them.
 *
 * idea
 *	For node_exporter's textfile collector, which needs no port: a timer
 *	runs `coppice metrics STORE -o FILE.prom`.  The file is written beside
 *	itself and renamed, so that nobody reads half of one.
 */
#include "metrics.h"
#include "out.h"
#include "words.h"
#include "verbs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { METRICS_LABEL = ARG_OWN, PATH_ROOM = 4096 };

static const struct arg_row metrics_rows[] = {
    {'o', "output", "FILE", "write this file, at once or not at all"},
    {METRICS_LABEL, "label", "TEXT",
     "say store=\"TEXT\" of all, where there are several"},
    ARG_END,
};

static int file_write(struct cli *cli, const struct metrics *metrics,
		      const char *label, const char *path)
{
	char beside[PATH_ROOM];
	FILE *file;
	int bad, number;

	if ((size_t)snprintf(beside, sizeof beside, "%s.%ld.tmp", path,
			     (long)getpid()) >= sizeof beside)
		return fault_errno(&cli->fault, path, ENAMETOOLONG);
	file = fopen(beside, "wxe");
	if (!file)
		return fault_errno(&cli->fault, beside, errno);
	metrics_print(file, metrics, label);
	bad = ferror(file);
	bad |= fchmod(fileno(file), 0644);
	bad |= fclose(file);
	if (!bad && !rename(beside, path))
		return 0;
	number = errno;
	unlink(beside);
	return fault_errno(&cli->fault, path, number);
}

static int metrics_run(struct cli *cli)
{
	const char *path = NULL, *label = NULL;
	struct metrics metrics;
	int code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		*(id == 'o' ? &path : &label) = cli->value;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (label && words_utf8(label, strlen(label)) != strlen(label))
		return args_fault(cli, "--label takes UTF-8");
	code = cli_open_read(cli);
	if (code)
		return code;
	err = metrics_take(cli->store, cli->read, cli->path, &metrics);
	if (err)
		return cli_cop(cli, err);
	if (path && strcmp(path, "-"))
		return file_write(cli, &metrics, label, path);
	metrics_print(stdout, &metrics, label);
	return 0;
}

const struct verb verb_metrics = {
    .name = "metrics",
    .operands = "",
    .summary = "print the store's figures for Prometheus",
    .rows = metrics_rows,
    .notes = "For node_exporter's textfile collector:\n    coppice metrics "
	     "STORE -o /var/lib/prometheus/node-exporter/coppice.prom\n",
    .run = metrics_run,
};
