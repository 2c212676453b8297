/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace, slow: what processes tell of their operations.
 *
 * idea
 *	Both set a wish in the store's shared memory that every process obeys
 *	at once, and print a journal there: of what is traced, and of what took
 *	long.  JSON is one object a line; members are added, never renamed.
 */
#include "instant.h"
#include "out.h"
#include "stop.h"
#include "verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { TRACE_FOLLOW = ARG_OWN, SLOW_THRESHOLD };
enum { FOLLOW_MS = 1000 };

static const char *const subjects[] = {"commit", "lock", "search",
				       "walk",	 "link", "recover"};

enum { SUBJECT_COUNT = sizeof subjects / sizeof subjects[0] };

static const struct arg_row trace_rows[] = {
    {TRACE_FOLLOW, "follow", NULL, "print events, and those to come"},
    ARG_JSON_ROW,
    ARG_END,
};

static const struct arg_row slow_rows[] = {
    {TRACE_FOLLOW, "follow", NULL, "go on with those to come"},
    {SLOW_THRESHOLD, "threshold", "MS",
     "from now on those of so many milliseconds; 0: none"},
    ARG_JSON_ROW,
    ARG_END,
};

struct trace {
	struct cli *cli;
	int json;
	uint64_t count;
};

static const char *subject_name(int32_t subject)
{
	for (int i = 0; i < SUBJECT_COUNT; i++)
		if (subject == 1 << i)
			return subjects[i];
	return "other";
}

static int32_t event_print(void *user, const struct cop_event *event)
{
	struct trace *trace = user;
	char time[INSTANT_ROOM];

	instant_text_ns(time, event->time_ns);
	trace->count++;
	if (trace->json) {
		printf("{\"number\":%" PRIu64 ",\"time\":\"%s\",\"subject\":"
		       "\"%s\",\"took_ns\":%" PRIu64 ",\"pid\":%" PRIu32
		       ",\"name\":",
		       event->number, time, subject_name(event->subject),
		       event->took_ns, event->pid);
		out_string(event->name, strlen(event->name));
		fputs(",\"text\":", stdout);
		out_string(event->text, strlen(event->text));
		fputs("}\n", stdout);
	} else {
		printf("%s %-7s %10.3f ms  ", time,
		       subject_name(event->subject),
		       (double)event->took_ns / 1e6);
		out_plain(event->name, strlen(event->name));
		printf(" (%" PRIu32 ")  ", event->pid);
		out_plain(event->text, strlen(event->text));
		putchar('\n');
	}
	return out_failed() || stop_signal();
}

/* Prints a journal; with --follow until a signal or a closed pipe. */
static int events_print(struct trace *trace, int32_t which)
{
	struct cli *cli = trace->cli;
	int follow = args_given(cli, TRACE_FOLLOW);
	uint64_t next = 0;

	if (follow)
		stop_arm();
	do {
		cop_err err = cop_events(cli->store, which,
					 follow && next ? FOLLOW_MS : 0, &next,
					 event_print, trace);

		if (err && err != COP_STOPPED && err != EINTR)
			return cli_cop(cli, err);
		fflush(stdout);
	} while (follow && !stop_signal() && !out_failed() && !out_closed());
	return follow || trace->count ? 0 : EXIT_NO_RESULT;
}

/* "commit,search", "all" or "off". */
static int subjects_parse(struct cli *cli, char *words, uint32_t *mask)
{
	char *rest = words;
	char *word;

	*mask = 0;
	if (!strcmp(words, "off"))
		return 0;
	while ((word = strsep(&rest, ","))) {
		uint32_t found = 0;

		for (int i = 0; i < SUBJECT_COUNT; i++)
			if (!strcmp(word, subjects[i]) || !strcmp(word, "all"))
				found |= UINT32_C(1) << i;
		if (!found)
			return args_fault(
			    cli,
			    "there is no subject '%s'; there are commit, lock, "
			    "search, walk, link, recover, all, and off",
			    word);
		*mask |= found;
	}
	return 0;
}

/* commit,search or off; as JSON {"schema":..., "subjects":[...]} */
static int subjects_print(struct cli *cli, int json)
{
	uint32_t mask;
	cop_err err = cop_trace(cli->store, &mask);
	const char *quote = json ? "\"" : "";
	const char *comma = "";

	if (err)
		return cli_cop(cli, err);
	if (json)
		fputs("{\"schema\":\"coppice.trace/1\",\"subjects\":[", stdout);
	for (int i = 0; i < SUBJECT_COUNT; i++)
		if (mask >> i & 1) {
			printf("%s%s%s%s", comma, quote, subjects[i], quote);
			comma = ",";
		}
	if (json)
		puts("]}");
	else
		puts(mask ? "" : "off");
	return 0;
}

static int trace_run(struct cli *cli)
{
	struct trace trace = {.cli = cli};
	uint32_t mask = 0;
	cop_err err = 0;
	int code, id;

	while ((id = args_next(cli)) > 0)
		trace.json |= id == ARG_JSON;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (cli->operand_count && subjects_parse(cli, cli->operands[0], &mask))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	if (cli->operand_count)
		err = cop_trace_set(cli->store, mask);
	if (err)
		return cli_cop(cli, err);
	if (args_given(cli, TRACE_FOLLOW))
		return events_print(&trace, COP_JOURNAL_TRACE);
	return cli->operand_count && !trace.json
		   ? 0
		   : subjects_print(cli, trace.json);
}

static int slow_run(struct cli *cli)
{
	struct trace trace = {.cli = cli};
	uint64_t threshold_ms = 0;
	cop_err err;
	int code, id;

	while ((id = args_next(cli)) > 0) {
		trace.json |= id == ARG_JSON;
		if (id == SLOW_THRESHOLD &&
		    args_u64(cli, 0, UINT32_MAX, &threshold_ms))
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code || !args_given(cli, SLOW_THRESHOLD))
		return code ? code : events_print(&trace, COP_JOURNAL_SLOW);
	err = cop_slow_set(cli->store, threshold_ms * 1000000);
	if (err)
		return cli_cop(cli, err);
	return args_given(cli, TRACE_FOLLOW)
		   ? events_print(&trace, COP_JOURNAL_SLOW)
		   : 0;
}

const struct verb verb_trace = {
    .name = "trace",
    .operands = "[SUBJECT,...|all|off]",
    .summary = "have all processes tell what they do, and print it",
    .rows = trace_rows,
    .operand_max = 1,
    .notes = "Subjects are commit, lock, search, walk, link and recover.\n"
	     "Without one it prints which are traced, with --json in any "
	     "case.\n",
    .run = trace_run,
};

const struct verb verb_slow = {
    .name = "slow",
    .operands = "",
    .summary = "print operations that took long, and how they went",
    .rows = slow_rows,
    .run = slow_run,
};
