/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compact: the data file and the shared memory anew, while they are in use.
 *
 * idea
 *	What may be freed is asked for first where that is wanted: --dry-run
 *	prints it, --auto goes on if a threshold says so, and exits 0 either
 *	way, for a timer.
 *
 * layout of the text
 *	disk    41.2 MiB, 12.1 MiB now
 *	shared  88.0 MiB, 60.3 MiB now
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "verbs.h"
#include "words.h"

enum {
	COMPACT_KEEP = ARG_OWN,
	COMPACT_DRY,
	COMPACT_AUTO,
	COMPACT_DISK,
	COMPACT_SHARED,
	COMPACT_LAYERS,
	COMPACT_VERSIONS,
	COMPACT_LEAST
};

static const struct arg_row compact_rows[] = {
    {COMPACT_KEEP, "keep-history", "TIME",
     "this once no more than so long, as 30d; none, or all"},
    {COMPACT_DRY, "dry-run", NULL, "say what would be freed, change nothing"},
    {COMPACT_AUTO, "auto", NULL, "only if one of these is reached:"},
    {COMPACT_DISK, "disk-share", "PERCENT",
     "of the data file free or history to go (default 30)"},
    {COMPACT_SHARED, "shared-share", "PERCENT",
     "of the shared memory dead or free (default 30)"},
    {COMPACT_LAYERS, "bloom-layers", "N", "layers of filters (default 4)"},
    {COMPACT_VERSIONS, "versions", "N",
     "versions that are to go (default 1000000)"},
    {COMPACT_LEAST, "least", "SIZE",
     "and at least so much in all, as 64M (default 16M)"},
    ARG_JSON_ROW,
    ARG_END,
};

struct compacting {
	struct cli *cli;
	struct cop_compact_options options;
	struct cop_slack slack;
	uint64_t disk_percent;
	uint64_t shared_percent;
	uint64_t layers;
	uint64_t versions;
	uint64_t least;
	char why[160]; /* of --auto: what was reached, or that nothing was */
	int json;
	int dry;
	int is_auto;
	int is_due;
};

/* ---- what may be freed -------------------------------------------------- */

static uint64_t disk_slack(const struct cop_slack *slack)
{
	uint64_t bytes = slack->free_bytes + slack->history_bytes;

	return bytes < slack->disk_bytes ? bytes : slack->disk_bytes;
}

static uint64_t shared_slack(const struct cop_slack *slack)
{
	uint64_t bytes =
	    slack->row_bytes + slack->edge_bytes + slack->bloom_bytes;

	return bytes < slack->shared_bytes ? bytes : slack->shared_bytes;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? (double)part * 100 / (double)whole : 0;
}

__attribute__((format(printf, 3, 4))) static void
judge(struct compacting *compacting, int is_due, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(compacting->why, sizeof compacting->why, format, args);
	va_end(args);
	compacting->is_due = is_due;
}

/* Whether a threshold is reached, and which. */
static void slack_judge(struct compacting *compacting)
{
	const struct cop_slack *slack = &compacting->slack;
	double disk = percent(disk_slack(slack), slack->disk_bytes);
	double shared = percent(shared_slack(slack), slack->shared_bytes);
	uint64_t all = disk_slack(slack) + shared_slack(slack);
	char size[32];

	if (all < compacting->least)
		judge(compacting, 0, "only %s would be freed",
		      words_bytes(size, all));
	else if (disk >= (double)compacting->disk_percent)
		judge(compacting, 1, "%.0f %% of the data file may go", disk);
	else if (shared >= (double)compacting->shared_percent)
		judge(compacting, 1, "%.0f %% of the shared memory may go",
		      shared);
	else if (slack->bloom_layers >= compacting->layers)
		judge(compacting, 1, "the filter of keys has %u layers",
		      slack->bloom_layers);
	else if (slack->history_versions >= compacting->versions)
		judge(compacting, 1, "%" PRIu64 " versions are to go",
		      slack->history_versions);
	else
		judge(compacting, 0,
		      "only %.0f %% of the data file and %.0f %% of the "
		      "shared memory would be freed",
		      disk, shared);
}

static void slack_json(const struct compacting *compacting)
{
	const struct cop_slack *slack = &compacting->slack;

	printf("\"free_pages\":%" PRIu64 ",\"history\":%" PRIu64
	       ",\"versions\":%" PRIu64 ",\"rows\":%" PRIu64
	       ",\"edges\":%" PRIu64 ",\"blooms\":%" PRIu64
	       ",\"bloom_layers\":%u,\"bloom_rate\":%.3g",
	       slack->free_bytes, slack->history_bytes, slack->history_versions,
	       slack->row_bytes, slack->edge_bytes, slack->bloom_bytes,
	       slack->bloom_layers, slack->bloom_rate);
}

static void slack_text(const struct cop_slack *slack)
{
	char a[32], b[32], c[32], d[32];

	printf("disk    %s: %s of free pages, %s of history, %" PRIu64
	       " versions\n",
	       words_bytes(a, slack->disk_bytes),
	       words_bytes(b, slack->free_bytes),
	       words_bytes(c, slack->history_bytes), slack->history_versions);
	printf("shared  %s: %s of dead rows, %s of free adjacency, ",
	       words_bytes(a, slack->shared_bytes),
	       words_bytes(b, slack->row_bytes),
	       words_bytes(c, slack->edge_bytes));
	printf("%s of filters, %u layers\n", words_bytes(d, slack->bloom_bytes),
	       slack->bloom_layers);
}

/* Of a dry run, or where --auto found nothing to do. */
static void slack_print(const struct compacting *compacting)
{
	const struct cop_slack *slack = &compacting->slack;

	if (!compacting->json) {
		if (compacting->cli->quiet)
			return;
		slack_text(slack);
		if (*compacting->why)
			printf("%s: %s\n",
			       compacting->is_due ? "it is time to compact"
						  : "not compacted",
			       compacting->why);
		return;
	}
	printf("{\"schema\":\"coppice.compact/1\",\"compacted\":false");
	if (*compacting->why)
		printf(",\"due\":%s,\"why\":\"%s\"",
		       compacting->is_due ? "true" : "false", compacting->why);
	printf(",\"bytes_before\":%" PRIu64 ",\"bytes_after\":%" PRIu64
	       ",\"shared_before\":%" PRIu64 ",\"shared_after\":%" PRIu64 ",",
	       slack->disk_bytes, slack->disk_bytes - disk_slack(slack),
	       slack->shared_bytes, slack->shared_bytes - shared_slack(slack));
	slack_json(compacting);
	puts("}");
}

/* ---- what was freed ----------------------------------------------------- */

static void result_json(const struct compacting *compacting,
			const struct cop_compact_result *result)
{
	printf("{\"schema\":\"coppice.compact/1\",\"compacted\":true");
	if (*compacting->why)
		printf(",\"why\":\"%s\"", compacting->why);
	printf(",\"generation\":%" PRIu64 ",\"bytes_before\":%" PRIu64
	       ",\"bytes_after\":%" PRIu64 ",\"shared_before\":%" PRIu64
	       ",\"shared_after\":%" PRIu64 ",\"renewed\":%s",
	       result->generation, result->bytes_before, result->bytes_after,
	       result->shared_before, result->shared_after,
	       result->renewed ? "true" : "false");
	printf(",\"versions\":%" PRIu64 ",\"names\":%" PRIu64
	       ",\"pause_ns\":%" PRIu64 ",\"pause_longest_ns\":%" PRIu64 "}\n",
	       result->versions_dropped, result->names_dropped,
	       result->pause_ns, result->pause_longest_ns);
}

static void result_text(const struct compacting *compacting,
			const struct cop_compact_result *result)
{
	char before[32], after[32];

	if (*compacting->why)
		printf("compacted: %s\n", compacting->why);
	printf("disk    %s, %s now\n",
	       words_bytes(before, result->bytes_before),
	       words_bytes(after, result->bytes_after));
	printf("shared  %s, %s now%s\n",
	       words_bytes(before, result->shared_before),
	       words_bytes(after, result->shared_after),
	       result->renewed ? "" : ": as it was, for want of room or time");
	printf("gone    %" PRIu64 " versions, %" PRIu64 " names\n",
	       result->versions_dropped, result->names_dropped);
	printf("commits waited %.1f ms, at most %.1f at once\n",
	       (double)result->pause_ns / 1e6,
	       (double)result->pause_longest_ns / 1e6);
}

static int compact(const struct compacting *compacting)
{
	struct cop_compact_result result = {.size = sizeof result};
	struct cli *cli = compacting->cli;
	cop_err err =
	    cop_compact_with(cli->store, &compacting->options, &result);

	if (err)
		return cli_cop(cli, err);
	if (compacting->json)
		result_json(compacting, &result);
	else if (!cli->quiet)
		result_text(compacting, &result);
	return 0;
}

/* ---- options ------------------------------------------------------------ */

static int size_option(struct cli *cli, uint64_t *out)
{
	return words_size(cli->value, out)
		   ? args_fault(cli,
				"--least takes a size such as 64M, not '%s'",
				cli->value)
		   : 0;
}

static int option(struct compacting *compacting, int id)
{
	struct cli *cli = compacting->cli;

	switch (id) {
	case COMPACT_KEEP:
		return retain_history(cli, &compacting->options.history,
				      &compacting->options.history_ms);
	case COMPACT_DRY: compacting->dry = 1; return 0;
	case COMPACT_AUTO: compacting->is_auto = 1; return 0;
	case COMPACT_DISK:
		return args_u64(cli, 0, 100, &compacting->disk_percent);
	case COMPACT_SHARED:
		return args_u64(cli, 0, 100, &compacting->shared_percent);
	case COMPACT_LAYERS:
		return args_u64(cli, 1, UINT32_MAX, &compacting->layers);
	case COMPACT_VERSIONS:
		return args_u64(cli, 1, UINT64_MAX, &compacting->versions);
	case COMPACT_LEAST: return size_option(cli, &compacting->least);
	default: compacting->json = 1; return 0;
	}
}

/* Thresholds are --auto's; both at once says what --auto would do. */
static int options_check(struct cli *cli)
{
	for (int id = COMPACT_DISK; id <= COMPACT_LEAST; id++)
		if (args_needs(cli, id, COMPACT_AUTO))
			return cli->fault.code;
	return 0;
}

static int compact_run(struct cli *cli)
{
	struct compacting compacting = {
	    .cli = cli,
	    .options = {.size = sizeof compacting.options,
			.history = COP_HISTORY_ALL},
	    .slack = {.size = sizeof compacting.slack},
	    .disk_percent = 30,
	    .shared_percent = 30,
	    .layers = 4,
	    .versions = 1000000,
	    .least = 16 << 20};
	int code;
	int id;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		if (option(&compacting, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli) || options_check(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	if (!compacting.dry && !compacting.is_auto)
		return compact(&compacting);
	err = cop_compact_look(cli->store, &compacting.options,
			       &compacting.slack);
	if (err)
		return cli_cop(cli, err);
	if (compacting.is_auto)
		slack_judge(&compacting);
	if (compacting.is_due && !compacting.dry)
		return compact(&compacting);
	slack_print(&compacting);
	return 0;
}

const struct verb verb_compact = {
    .name = "compact",
    .operands = "",
    .summary = "build data file and shared memory anew while they are in use",
    .rows = compact_rows,
    .run = compact_run,
};
