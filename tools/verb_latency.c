/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency: how long searches, walks and commits take, of all processes.
 *
 * idea
 *	The library's histograms, in a table: since the shared memory was made,
 *	or of a span of time between two looks.  Numbers are known to an eighth;
 *	`most` is where the last bucket that has something ends.
 *	JSON is one object a look with "schema":"coppice.latency/1"; members
 *	are added, never renamed.
 */
#include "look.h"
#include "metrics.h"
#include "out.h"
#include "steady.h"
#include "verbs.h"
#include "words.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
	LATENCY_INTERVAL = ARG_OWN,
	LATENCY_COUNT,
	LATENCY_HISTOGRAM,
	BARS = 40,
	BAR_COLUMNS = 48,
	OCTAVE = 8 /* buckets from a number to its double */
};

static const struct arg_row latency_rows[] = {
    {LATENCY_INTERVAL, "interval", "SECONDS",
     "of so long from now on (default: since ever)"},
    {LATENCY_COUNT, "count", "N", "so many intervals (default 1)"},
    {LATENCY_HISTOGRAM, "histogram", "WHICH",
     "draw one: search, walk, commit, wait, hold, sync, group"},
    ARG_JSON_ROW,
    ARG_END,
};

/* Where all are counted, timed or not; 0: nowhere. */
static const size_t latency_counters[COP_TIMINGS] = {
    [COP_TIMING_SEARCH] = offsetof(struct cop_figures, searches),
    [COP_TIMING_WALK] = offsetof(struct cop_figures, walks),
};

static const struct {
	const char *name;
	const char *json;
	double share;
} quantile_table[] = {{"p50", "p50", 0.5},
		      {"p95", "p95", 0.95},
		      {"p99", "p99", 0.99},
		      {"p99.9", "p999", 0.999}};

enum { QUANTILES = sizeof quantile_table / sizeof quantile_table[0] };

struct latency {
	double interval; /* seconds, 0: since ever */
	uint64_t count;
	int histogram; /* enum cop_timing, -1: none */
	int json;
	double seconds; /* that the figures are of, NaN: not known */
	struct cop_figures figures;
};

static uint64_t latency_count(const struct latency *latency, int which)
{
	uint64_t count = latency->figures.timings[which].count;

	if (latency_counters[which])
		memcpy(&count,
		       (const char *)&latency->figures +
			   latency_counters[which],
		       sizeof count);
	return count;
}

/* A number that is in a bucket, told by where it ends: sizes are whole. */
static double latency_within(int which, double end)
{
	return which == COP_TIMING_GROUP ? ceil(end) - 1 : end;
}

static double latency_quantile(const struct latency *latency, int which,
			       double share)
{
	return latency_within(
	    which, look_quantile(&latency->figures.timings[which], share));
}

static double latency_mean(const struct cop_histogram *histogram)
{
	return look_share(histogram->sum, histogram->count);
}

static double latency_most(const struct latency *latency, int which)
{
	const struct cop_histogram *timing = &latency->figures.timings[which];

	for (uint32_t i = COP_BUCKETS; i--;)
		if (timing->buckets[i])
			return latency_within(which,
					      (double)cop_bucket_least(i + 1));
	return NAN;
}

/* ---- text --------------------------------------------------------------- */

static void number_text(int which, double number)
{
	char text[32];

	if (which != COP_TIMING_GROUP)
		words_span(text, number);
	else if (number >= 1 && number == floor(number))
		words_count(text, (uint64_t)number);
	else
		words_rate(text, number);
	printf("%10s", text);
}

static void row_text(const struct latency *latency, int which)
{
	const struct cop_histogram *timing = &latency->figures.timings[which];
	uint64_t count = latency_count(latency, which);
	char text[32];

	printf("%-7s%14s", metrics_timing((uint32_t)which),
	       words_count(text, count));
	if (!isnan(latency->seconds))
		printf("%8s",
		       words_rate(text, (double)count / latency->seconds));
	number_text(which, latency_mean(timing));
	for (size_t i = 0; i < QUANTILES; i++)
		number_text(which, latency_quantile(latency, which,
						    quantile_table[i].share));
	number_text(which, latency_most(latency, which));
	putchar('\n');
}

static void latency_text(const struct latency *latency)
{
	printf("%-7s%14s", "", "count");
	if (!isnan(latency->seconds))
		printf("%8s", "/s");
	printf("%10s", "mean");
	for (size_t i = 0; i < QUANTILES; i++)
		printf("%10s", quantile_table[i].name);
	printf("%10s\n", "most");
	for (int i = 0; i < COP_TIMINGS; i++)
		row_text(latency, i);
}

static uint64_t buckets_sum(const struct cop_histogram *timing, uint32_t first,
			    uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t i = first; i < first + count && i < COP_BUCKETS; i++)
		sum += timing->buckets[i];
	return sum;
}

/* The first bucket with something and the one after the last; 0, 0: none. */
static void buckets_range(const struct cop_histogram *timing, uint32_t *first,
			  uint32_t *end)
{
	*first = *end = 0;
	for (uint32_t i = 0; i < COP_BUCKETS; i++) {
		if (!timing->buckets[i])
			continue;
		if (!*end)
			*first = i;
		*end = i + 1;
	}
}

static void bar_text(int which, uint32_t bucket, uint64_t count, uint64_t most)
{
	int columns =
	    (int)ceil((double)count / (double)most * (double)BAR_COLUMNS);
	char text[32];

	number_text(which, (double)cop_bucket_least(bucket));
	printf("%14s%s", words_count(text, count), count ? "  " : "");
	while (columns-- > 0)
		putchar('#');
	putchar('\n');
}

/*
 * A bar for each bucket, or for each two, four or eight, which is a factor of
 * two in time, so that there are few.
 */
static void histogram_text(const struct latency *latency)
{
	int which = latency->histogram;
	const struct cop_histogram *timing = &latency->figures.timings[which];
	uint32_t first, end, step = 1;
	uint64_t most = 1;

	buckets_range(timing, &first, &end);
	while (step < OCTAVE && (end - first) / step > BARS)
		step *= 2;
	first -= first % step;
	for (uint32_t i = first; i < end; i += step)
		if (buckets_sum(timing, i, step) > most)
			most = buckets_sum(timing, i, step);
	printf("\n%s\n", metrics_timing((uint32_t)which));
	for (uint32_t i = first; i < end; i += step)
		bar_text(which, i, buckets_sum(timing, i, step), most);
	if (!end)
		puts("nothing yet");
}

/* ---- JSON --------------------------------------------------------------- */

static void row_json(const struct latency *latency, int which)
{
	const struct cop_histogram *timing = &latency->figures.timings[which];
	const char *unit = which == COP_TIMING_GROUP ? "" : "_ns";
	uint64_t count = latency_count(latency, which);

	printf(",\"%s\":{\"count\":%" PRIu64 ",\"timed\":%" PRIu64
	       ",\"per_s\":",
	       metrics_timing((uint32_t)which), count, timing->count);
	out_double((double)count / latency->seconds);
	printf(",\"mean%s\":", unit);
	out_double(latency_mean(timing));
	for (size_t i = 0; i < QUANTILES; i++) {
		printf(",\"%s%s\":", quantile_table[i].json, unit);
		out_double(
		    latency_quantile(latency, which, quantile_table[i].share));
	}
	printf(",\"most%s\":", unit);
	out_double(latency_most(latency, which));
	if (which == latency->histogram) {
		const char *comma = "";

		printf(",\"buckets\":[");
		for (uint32_t i = 0; i < COP_BUCKETS; i++) {
			if (!timing->buckets[i])
				continue;
			printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", comma,
			       cop_bucket_least(i), cop_bucket_least(i + 1),
			       timing->buckets[i]);
			comma = ",";
		}
		putchar(']');
	}
	putchar('}');
}

static void latency_json(const struct latency *latency, const char *path)
{
	printf("{\"schema\":\"coppice.latency/1\",\"store\":");
	out_string(path, strlen(path));
	printf(",\"seconds\":");
	out_double(latency->seconds);
	for (int i = 0; i < COP_TIMINGS; i++)
		row_json(latency, i);
	puts("}");
}

/* ---- the verb ----------------------------------------------------------- */

static void latency_print(const struct latency *latency, const char *path)
{
	if (latency->json) {
		latency_json(latency, path);
	} else {
		latency_text(latency);
		if (latency->histogram >= 0)
			histogram_text(latency);
	}
	fflush(stdout);
}

static int latency_intervals(struct cli *cli, struct latency *latency)
{
	struct cop_figures before, now;
	uint64_t from = steady_ns(), to;
	int code = look_figures(cli, &before);

	for (uint64_t i = 0; i < latency->count && !code && !out_failed();
	     i++) {
		look_sleep(latency->interval);
		to = steady_ns();
		code = look_figures(cli, &now);
		if (code)
			break;
		latency->figures = now;
		look_since(&latency->figures, &before);
		latency->seconds = (double)(to - from) / 1e9;
		if (i && !latency->json)
			putchar('\n');
		latency_print(latency, cli->path);
		before = now;
		from = to;
	}
	return code;
}

static int latency_option(struct cli *cli, struct latency *latency, int id)
{
	static const char *words[COP_TIMINGS + 1];

	switch (id) {
	case ARG_JSON: latency->json = 1; return 0;
	case LATENCY_COUNT: return args_u64(cli, 1, 1000000, &latency->count);
	case LATENCY_INTERVAL: return look_interval(cli, &latency->interval);
	default: break;
	}
	for (uint32_t i = 0; i < COP_TIMINGS; i++)
		words[i] = metrics_timing(i);
	latency->histogram = args_word(cli, words);
	return cli->fault.code;
}

static int latency_run(struct cli *cli)
{
	struct latency latency = {.count = 1, .histogram = -1, .seconds = NAN};
	int code, id;

	while ((id = args_next(cli)) > 0)
		if (latency_option(cli, &latency, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli) ||
	    args_needs(cli, LATENCY_COUNT, LATENCY_INTERVAL))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	if (latency.interval > 0)
		return latency_intervals(cli, &latency);
	code = look_figures(cli, &latency.figures);
	if (!code)
		latency_print(&latency, cli->path);
	return code;
}

const struct verb verb_latency = {
    .name = "latency",
    .operands = "",
    .summary = "tell how long searches, walks and commits take",
    .rows = latency_rows,
    .notes =
	"Of all processes, since the store's shared memory was made. `commit` "
	"is as who\nasked for it waited, `wait` for the writer lock, `hold` "
	"how long that was held,\n`sync` what the disk took of it, `group` "
	"how many writes a commit made together.\nOf walks, one in sixteen is "
	"timed. Numbers are known to an eighth; none is\nabove `most`.\n",
    .run = latency_run,
};
