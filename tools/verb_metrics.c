/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: the store's figures as Prometheus reads them.
 *
 * idea
 *	For node_exporter's textfile collector, which needs no port: a timer
 *	runs `coppice metrics STORE -o FILE.prom`.  The file is there whole or
 *	not at all (target.h), so that nobody reads half of one.
 */
#include "metrics.h"
#include "target.h"
#include "words.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { METRICS_LABEL = ARG_OWN };

static const struct arg_row metrics_rows[] = {
    {'o', "output", "FILE", "write this file, at once or not at all"},
    {METRICS_LABEL, "label", "TEXT",
     "say store=\"TEXT\" of all, where there are several"},
    ARG_END,
};

static const struct target_kind metrics_kind = {"metrics of coppice's",
						"# HELP coppice_", 0644};

static int stream_write(const struct target *target,
			const struct metrics *metrics, const char *label,
			struct fault *fault)
{
	int fd = fcntl(target->fd, F_DUPFD_CLOEXEC, 0);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int bad;

	if (!file)
		return target_fault(target, errno, fault);
	metrics_print(file, metrics, label);
	bad = ferror(file);
	bad |= fclose(file);
	return bad ? target_fault(target, errno, fault) : 0;
}

static int file_write(struct cli *cli, const struct metrics *metrics,
		      const char *label, const char *path)
{
	struct target target;
	int code = target_open(&target, path, &metrics_kind, 1, &cli->fault);

	if (code)
		return code;
	code = stream_write(&target, metrics, label, &cli->fault);
	if (!code)
		code = target_keep(&target, &cli->fault);
	target_close(&target);
	return code;
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
