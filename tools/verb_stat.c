/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat: the store's figures.
 *
 * idea
 *	One table says what is printed, under which label and which JSON name;
 *	the two forms cannot drift apart.  JSON is one object with
 *	"schema":"coppice.stat/1"; members are added, never renamed.
 *	What is a share of something that has not happened is "-", null in JSON.
 */
#include "look.h"
#include "marks.h"
#include "out.h"
#include "words.h"
#include "verbs.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

static const struct arg_row stat_rows[] = {ARG_AS_OF_ROW, ARG_JSON_ROW,
					   ARG_END};

enum stat_kind { STAT_COUNT, STAT_COUNT32, STAT_BYTES };

#define STAT(member, kind, label)                                              \
	{                                                                      \
#member, label, offsetof(struct cop_stats, member), kind       \
	}

static const struct {
	const char *name;
	const char *label;
	size_t offset;
	int kind;
} stat_table[] = {
    STAT(entities, STAT_COUNT, "entities"),
    STAT(edges, STAT_COUNT, "edges"),
    STAT(vectors, STAT_COUNT, "vectors"),
    STAT(commits, STAT_COUNT, "commits"),
    STAT(names, STAT_COUNT, "names"),
    STAT(name_hits, STAT_COUNT, "names found again"),
    STAT(name_misses, STAT_COUNT, "names added"),
    STAT(disk_bytes, STAT_BYTES, "on disk"),
    STAT(shared_bytes, STAT_BYTES, "in shared memory"),
    STAT(index_bytes, STAT_BYTES, "  index"),
    STAT(bank_bytes, STAT_BYTES, "  vectors"),
    STAT(edge_bytes, STAT_BYTES, "  edges"),
    STAT(record_bytes, STAT_BYTES, "  records"),
    STAT(row_bytes, STAT_BYTES, "one vector"),
    STAT(codes_dim, STAT_COUNT, "numbers coded"),
    STAT(nibbles, STAT_COUNT32, "walks by half codes"),
    STAT(signs, STAT_COUNT32, "signs kept"),
    STAT(bank_rows, STAT_COUNT, "rows in use"),
    STAT(records, STAT_COUNT, "records kept"),
    STAT(limbo, STAT_COUNT, "waiting for readers"),
    STAT(held_bytes, STAT_BYTES, "  held back"),
    STAT(readers, STAT_COUNT32, "readers"),
    STAT(stalled, STAT_COUNT32, "  stalled"),
    STAT(oldest_snapshot, STAT_COUNT, "oldest read's commit"),
    STAT(bloom_layers, STAT_COUNT32, "bloom layers"),
    STAT(cache_bytes, STAT_BYTES, "cache of results"),
    STAT(cache_entries, STAT_COUNT, "  results in it"),
    STAT(cache_hits, STAT_COUNT, "  hits"),
    STAT(cache_misses, STAT_COUNT, "  misses"),
    STAT(cache_stores, STAT_COUNT, "  stores"),
    STAT(cache_precomputed, STAT_COUNT, "    ahead of a search"),
    STAT(image_commit, STAT_COUNT, "image of commit"),
    STAT(image_bytes, STAT_BYTES, "  on disk"),
    STAT(data_bytes, STAT_BYTES, "data file"),
    STAT(free_bytes, STAT_BYTES, "  free in it"),
    STAT(unlinked, STAT_COUNT, "vectors to be linked"),
    STAT(oldest, STAT_COUNT, "history from commit"),
};

enum { STAT_COUNT_OF = sizeof stat_table / sizeof stat_table[0] };

/* What figures say together. */
enum { SHARE_FREE, SHARE_NAMES, SHARE_CACHE, SHARE_ZERO_COPY, SHARE_COUNT };

static const struct {
	const char *name;
	const char *label;
} share_table[SHARE_COUNT] = {
    [SHARE_FREE] = {"free_share", "data file free"},
    [SHARE_NAMES] = {"name_hit_rate", "names that were there"},
    [SHARE_CACHE] = {"cache_hit_rate", "found in the cache"},
    [SHARE_ZERO_COPY] = {"zero_copy_share", "records read in place"},
};

struct stat_shares {
	double shares[SHARE_COUNT];
	double bloom; /* false positives, of keys and edges that are not there
		       */
	double disk_bytes; /* an entity */
	double shared_bytes;
};

static void stat_shares(struct stat_shares *out, const struct cop_stats *stats,
			const struct cop_figures *figures)
{
	*out = (struct stat_shares){
	    .shares = {[SHARE_FREE] =
			   look_share(stats->free_bytes, stats->data_bytes),
		       [SHARE_NAMES] =
			   look_share(stats->name_hits,
				      stats->name_hits + stats->name_misses),
		       [SHARE_CACHE] =
			   look_share(stats->cache_hits,
				      stats->cache_hits + stats->cache_misses),
		       [SHARE_ZERO_COPY] = look_share(
			   figures->shared, figures->shared + figures->copied)},
	    .bloom = look_share(figures->doubtful,
				figures->doubtful + figures->denied),
	    .disk_bytes = look_share(stats->disk_bytes, stats->entities),
	    .shared_bytes = look_share(stats->shared_bytes, stats->entities)};
}

static uint64_t stat_figure(const struct cop_stats *stats, size_t row)
{
	const char *at = (const char *)stats + stat_table[row].offset;
	uint32_t narrow;
	uint64_t wide;

	if (stat_table[row].kind == STAT_COUNT32) {
		memcpy(&narrow, at, sizeof narrow);
		return narrow;
	}
	memcpy(&wide, at, sizeof wide);
	return wide;
}

/* What ranks: codes between bytes and bits are rows themselves. */
static const char *stat_row_kind(const struct cop_stats *stats)
{
	if (stats->codes >= COP_CODES_F16 && stats->codes <= COP_CODES_F32)
		return out_codes(stats->codes);
	return stats->rows == COP_ROWS_F32 ? "f32" : "f16";
}

static void shares_json(const struct stat_shares *shares)
{
	for (size_t i = 0; i < SHARE_COUNT; i++) {
		printf(",\"%s\":", share_table[i].name);
		out_double(shares->shares[i]);
	}
	printf(",\"bloom_measured\":");
	out_double(shares->bloom);
	printf(",\"disk_bytes_per_entity\":");
	out_double(shares->disk_bytes);
	printf(",\"shared_bytes_per_entity\":");
	out_double(shares->shared_bytes);
}

static int32_t past_take(void *user, cop_read *read,
			 const struct cop_retention *retention)
{
	struct cop_retention *past = user;

	(void)read;
	*past = *retention;
	return 1; /* the store's comes first */
}

/* What history the store keeps. */
static int stat_past(struct cli *cli, struct cop_retention *past)
{
	cop_err err = cop_retentions(cli->read, past_take, past);

	return err && err != COP_STOPPED ? cli_cop(cli, err) : 0;
}

static void stat_json(const struct cop_stats *stats,
		      const struct stat_shares *shares,
		      const struct cop_retention *past, const char *path)
{
	char span[RETAIN_SPAN_ROOM];

	printf("{\"schema\":\"coppice.stat/1\",\"store\":");
	out_string(path, strlen(path));
	printf(",\"dim\":%" PRIu32 ",\"metric\":\"%s\",\"codes\":\"%s\""
	       ",\"rows\":\"%s\"",
	       stats->dim, out_metric(stats->metric), out_codes(stats->codes),
	       stat_row_kind(stats));
	for (size_t i = 0; i < STAT_COUNT_OF; i++)
		printf(",\"%s\":%" PRIu64, stat_table[i].name,
		       stat_figure(stats, i));
	retain_span(past->history, past->history_ms, span);
	printf(",\"history\":\"%s\",\"history_count\":%" PRIu64, span,
	       past->history_count);
	printf(",\"commit_time_ns\":%" PRIu64 ",\"bloom_rate\":",
	       stats->commit_time_ns);
	out_double(stats->bloom_rate);
	shares_json(shares);
	printf(",\"segment\":");
	out_string(stats->segment,
		   strnlen(stats->segment, sizeof stats->segment));
	printf(",\"cpu\":\"%s\"", cop_cpu());
}

static void stat_time(const struct cop_stats *stats)
{
	time_t seconds = (time_t)(stats->commit_time_ns / 1000000000u);
	char text[40];
	struct tm parts;

	if (!stats->commit_time_ns || !gmtime_r(&seconds, &parts))
		return;
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	printf("%-22s%s\n", "last commit", text);
}

static void shares_text(const struct stat_shares *shares)
{
	for (size_t i = 0; i < SHARE_COUNT; i++)
		if (isnan(shares->shares[i]))
			printf("%-22s-\n", share_table[i].label);
		else
			printf("%-22s%.1f %%\n", share_table[i].label,
			       100 * shares->shares[i]);
}

static void entity_text(const struct stat_shares *shares)
{
	char disk[32], shared[32];

	if (!isnan(shares->disk_bytes))
		printf("%-22s%s on disk, %s shared\n", "one entity",
		       words_bytes(disk, (uint64_t)shares->disk_bytes),
		       words_bytes(shared, (uint64_t)shares->shared_bytes));
}

static void past_text(const struct cop_retention *past)
{
	char span[RETAIN_SPAN_ROOM];

	retain_span(past->history, past->history_ms, span);
	printf("%-22s%s", "history kept", span);
	if (past->history_count)
		printf(", %" PRIu64 " versions", past->history_count);
	putchar('\n');
}

static void stat_text(const struct cop_stats *stats,
		      const struct stat_shares *shares,
		      const struct cop_retention *past)
{
	char text[32];

	for (size_t i = 0; i < STAT_COUNT_OF; i++) {
		uint64_t figure = stat_figure(stats, i);

		printf("%-22s%s\n", stat_table[i].label,
		       stat_table[i].kind == STAT_BYTES
			   ? words_bytes(text, figure)
			   : words_count(text, figure));
	}
	past_text(past);
	shares_text(shares);
	entity_text(shares);
	printf("%-22s%.3g expected", "bloom rate", stats->bloom_rate);
	if (!isnan(shares->bloom))
		printf(", %.3g measured", shares->bloom);
	putchar('\n');
	printf("%-22s%" PRIu32 ", %s, coded in %s, ranked by %s\n", "dimension",
	       stats->dim, out_metric(stats->metric), out_codes(stats->codes),
	       stat_row_kind(stats));
	stat_time(stats);
	printf("%-22s%.*s\n", "segment", (int)sizeof stats->segment,
	       stats->segment);
	printf("%-22s%s\n", "cpu", cop_cpu());
}

static int stat_run(struct cli *cli)
{
	struct stat_shares shares;
	struct cop_figures figures;
	struct cop_retention past;
	struct cop_stats stats;
	int json = 0, code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		json = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (code)
		return code;
	memset(&stats, 0, sizeof stats);
	stats.size = sizeof stats;
	err = cop_stat(cli->read, &stats);
	if (err)
		return cli_cop(cli, err);
	code = look_figures(cli, &figures);
	if (code)
		return code;
	code = stat_past(cli, &past);
	if (code)
		return code;
	stat_shares(&shares, &stats, &figures);
	if (!json) {
		stat_text(&stats, &shares, &past);
		return marks_text(cli);
	}
	stat_json(&stats, &shares, &past, cli->path);
	code = marks_json(cli);
	puts("}");
	return code;
}

const struct verb verb_stat = {
    .name = "stat",
    .operands = "",
    .summary = "print the store's figures",
    .rows = stat_rows,
    .run = stat_run,
};
