/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top: who does what with a store, now.
 *
 * idea
 *	A look at the store every so often; what is shown is what happened
 *	between the last two.  In a terminal until a key or a signal ends it,
 *	else once.  JSON is one object with "schema":"coppice.top/1"; members
 *	are added, never renamed.
 *
 * ends
 *	The terminal is as it was before a fault is printed.  A signal is passed
 *	on to the process once everything is closed.
 */
#include "out.h"
#include "screen.h"
#include "top.h"
#include "verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_INTERVAL = ARG_OWN, TOP_ONCE };

static const struct arg_row top_rows[] = {
    {TOP_INTERVAL, "interval", "SECONDS", "between two looks (default 1)"},
    {TOP_ONCE, "once", NULL, "print what happens in one interval"},
    ARG_JSON_ROW,
    ARG_END,
};

struct top {
	struct look looks[2];
	int which; /* of them is the newest */
	struct top_view view;
	struct top_sort sort;
	size_t first; /* process that is shown */
	int is_help;
	double interval;
};

static int top_look(struct cli *cli, struct top *top)
{
	int next = !top->which;
	const struct look *before = &top->looks[top->which];
	int code = look_take(cli, &top->looks[next], before);

	if (code)
		return code;
	top->which = next;
	if (top_view_make(&top->view, before->ns ? before : NULL,
			  &top->looks[next]))
		return fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	top_view_sort(&top->view, &top->sort);
	return 0;
}

/* ---- once --------------------------------------------------------------- */

static void number_json(const char *name, enum top_kind kind, double value)
{
	printf(",\"%s\":", name);
	if (!isnan(value) && (kind == TOP_COUNT || kind == TOP_BYTES))
		printf("%.0f", value);
	else
		out_double(value);
}

static void view_json(const struct top_view *view, const char *path)
{
	printf("{\"schema\":\"coppice.top/1\",\"store\":");
	out_string(path, strlen(path));
	number_json("seconds", TOP_RATE, view->seconds);
	printf(",\"commit\":%" PRIu64, view->commit);
	for (int i = 0; i < TOP_TOTALS; i++)
		number_json(top_labels[i].json, top_labels[i].kind,
			    view->totals[i]);
	printf(",\"oldest_pid\":%" PRIu32 ",\"oldest_name\":",
	       view->oldest_pid);
	out_string(view->oldest_name, strlen(view->oldest_name));
	printf(",\"oldest_stalled\":%s",
	       view->oldest_pid && view->oldest_is_stalled ? "true" : "false");
	printf(",\"processes\":[");
	for (size_t i = 0; i < view->count; i++) {
		const struct top_row *row = &view->rows[i];

		printf("%s{\"name\":", i ? "," : "");
		out_string(row->name, strlen(row->name));
		printf(",\"foreign\":%s", row->is_foreign ? "true" : "false");
		for (int j = 0; j < TOP_VALUES; j++)
			number_json(top_columns[j].json, top_columns[j].kind,
				    row->values[j]);
		putchar('}');
	}
	puts("]}");
}

static int top_once(struct cli *cli, struct top *top, int json)
{
	struct frame frame = {.to = stdout, .columns = INT_MAX};
	int code = top_look(cli, top);

	if (code)
		return code;
	look_sleep(top->interval);
	code = top_look(cli, top);
	if (code)
		return code;
	if (json)
		view_json(&top->view, cli->path);
	else
		top_draw(&frame, &top->view, cli->path, &top->sort, 0);
	return 0;
}

/* ---- in a terminal ------------------------------------------------------ */

static int top_show(struct cli *cli, const struct top *top)
{
	struct frame frame = {.is_styled = screen_is_styled()};
	char *text = NULL;
	size_t size = 0;
	int err;

	frame.to = open_memstream(&text, &size);
	if (!frame.to)
		return fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	screen_size(&frame.rows, &frame.columns);
	if (top->is_help)
		top_draw_help(&frame);
	else
		top_draw(&frame, &top->view, cli->path, &top->sort, top->first);
	err = fclose(frame.to) ? ENOMEM : screen_write(text, size);
	free(text);
	if (err) /* as of any output that gets lost */
		return fault_set(&cli->fault, EXIT_NO_SPACE, "the terminal: %s",
				 cop_strerror(err));
	return 0;
}

static void top_sort_by(struct top *top, int column)
{
	if (top->sort.by == column)
		top->sort.is_upward = !top->sort.is_upward;
	else /* numbers of things and names go up, amounts go down */
		top->sort.is_upward = column == TOP_PID || column == TOP_NAME;
	top->sort.by = column;
	top->first = 0;
	top_view_sort(&top->view, &top->sort);
}

static void top_key_do(struct top *top, int key)
{
	int column = top_key(key);

	if (key == 'h' || key == '?')
		top->is_help = !top->is_help;
	else if (key == 'j' || key == SCREEN_DOWN)
		top->first += top->first + 1 < top->view.count;
	else if (key == 'k' || key == SCREEN_UP)
		top->first -= top->first > 0;
	else if (column >= 0)
		top_sort_by(top, column);
}

/* Until a key, a signal or a fault ends it. */
static int top_watch(struct cli *cli, struct top *top)
{
	int code = top_look(cli, top);
	int event = SCREEN_TIME;

	while (!code && event != 'q' && event != SCREEN_SIGNAL) {
		const struct look *look = &top->looks[top->which];

		code = top_show(cli, top);
		if (code)
			break;
		event = screen_wait(look->ns + (uint64_t)(top->interval * 1e9));
		if (event == SCREEN_TIME)
			code = top_look(cli, top);
		else
			top_key_do(top, event);
		if (top->first >= top->view.count)
			top->first = top->view.count ? top->view.count - 1 : 0;
	}
	return code;
}

static int top_screen(struct cli *cli, struct top *top)
{
	int code, err;

	if (!screen_is_there())
		return args_fault(cli, "there is no terminal to draw on; "
				       "--once prints");
	err = screen_open();
	if (err)
		return fault_errno(&cli->fault, "the terminal", err);
	code = top_watch(cli, top);
	screen_close();
	cli->stop_signal = screen_signal();
	return code;
}

static int top_run(struct cli *cli)
{
	struct top *top;
	double interval = 1;
	int json = 0, code, id;

	while ((id = args_next(cli)) > 0) {
		json |= id == ARG_JSON;
		if (id == TOP_INTERVAL && look_interval(cli, &interval))
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	top = calloc(1, sizeof *top);
	if (!top)
		return fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	top->interval = interval;
	top->sort.by = TOP_SEARCHES;
	if (json || args_given(cli, TOP_ONCE))
		code = top_once(cli, top, json);
	else
		code = top_screen(cli, top);
	look_release(&top->looks[0]);
	look_release(&top->looks[1]);
	top_view_release(&top->view);
	free(top);
	return code;
}

const struct verb verb_top = {
    .name = "top",
    .operands = "",
    .summary = "watch who does what, in a terminal",
    .rows = top_rows,
    .notes = "Rates and times are of the last interval. `h` lists the keys, "
	     "`q` ends it. Without\na terminal use --once, or --json, which "
	     "is once, too.\n",
    .run = top_run,
};
