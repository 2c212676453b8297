/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readers: who has a read open, the oldest first.
 *
 * idea
 *	What cop_readers() visits, sorted by what is to be looked at: whoever
 *	has the writer lock, then by how old the snapshot is.  JSON is one
 *	object a line; members are added, never renamed.
 */
#include "out.h"
#include "words.h"
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READERS_ALL = ARG_OWN, NAME_ROOM = 32 };

static const struct arg_row readers_rows[] = {
    {READERS_ALL, "all", NULL, "the idle ones, too"}, ARG_JSON_ROW, ARG_END};

struct row {
	struct cop_reader reader;
	char name[NAME_ROOM];
};

struct list {
	struct row *rows;
	size_t count;
	size_t room;
	int all;
	int failed;
};

static int32_t list_add(void *user, const struct cop_reader *reader)
{
	struct list *list = user;
	struct row *rows = list->rows;

	if (reader->state == COP_READER_IDLE && !list->all)
		return 0;
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 64;
		rows = realloc(rows, list->room * sizeof *rows);
		if (!rows) {
			list->failed = 1;
			return 1;
		}
		list->rows = rows;
	}
	rows += list->count++;
	rows->reader = *reader;
	snprintf(rows->name, sizeof rows->name, "%s", reader->name);
	return 0;
}

static int row_compare(const void *a, const void *b)
{
	const struct cop_reader *x = &((const struct row *)a)->reader;
	const struct cop_reader *y = &((const struct row *)b)->reader;
	int x_writes = x->role == COP_ROLE_WRITE;
	int y_writes = y->role == COP_ROLE_WRITE;

	if (x_writes != y_writes)
		return y_writes - x_writes;
	if (!x->state != !y->state)
		return !x->state - !y->state;
	if (x->behind != y->behind)
		return x->behind < y->behind ? 1 : -1;
	return x->pid != y->pid ? (x->pid < y->pid ? -1 : 1) : 0;
}

static const char *state_word(const struct cop_reader *reader)
{
	switch (reader->state) {
	case COP_READER_IDLE: return "idle";
	case COP_READER_OPEN: return "open";
	case COP_READER_STALLED: return "stalled";
	default: return "dead";
	}
}

static const char *role_word(const struct cop_reader *reader)
{
	switch (reader->role) {
	case COP_ROLE_READ: return "read";
	case COP_ROLE_SCAN: return "scan";
	case COP_ROLE_WRITE: return "write";
	default: return "unknown";
	}
}

static void row_json(const struct row *row)
{
	const struct cop_reader *reader = &row->reader;

	printf("{\"state\":\"%s\",\"role\":\"%s\",\"name\":",
	       state_word(reader), role_word(reader));
	out_string(row->name, strlen(row->name));
	printf(",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32
	       ",\"pid_namespace\":%" PRIu64 ",\"foreign\":%s"
	       ",\"commit\":%" PRIu64 ",\"behind\":%" PRIu64 ",\"age_s\":",
	       reader->pid, reader->tid, reader->pid_namespace,
	       reader->is_foreign ? "true" : "false", reader->commit,
	       reader->behind);
	out_double((double)reader->age_ns / 1e9);
	printf(",\"reads\":%" PRIu64 "}\n", reader->reads);
}

static void row_text(const struct row *row)
{
	const struct cop_reader *reader = &row->reader;
	char count[32];

	printf("%-8s%-6s%9" PRIu32 "%c%9" PRIu32 "%12s%10.1f%14" PRIu64 "  ",
	       state_word(reader), role_word(reader), reader->pid,
	       reader->is_foreign ? '*' : ' ', reader->tid,
	       words_count(count, reader->behind), (double)reader->age_ns / 1e9,
	       reader->reads);
	out_plain(row->name, strlen(row->name));
	putchar('\n');
}

static void list_print(const struct list *list, int json)
{
	int foreign = 0;

	if (!json)
		printf("%-8s%-6s%9s %9s%12s%10s%14s  %s\n", "state", "role",
		       "pid", "thread", "behind", "age s", "reads", "name");
	for (size_t i = 0; i < list->count && !out_failed(); i++) {
		foreign |= list->rows[i].reader.is_foreign;
		if (json)
			row_json(&list->rows[i]);
		else
			row_text(&list->rows[i]);
	}
	if (!json && foreign)
		puts("* as it is in its own PID namespace");
}

static int readers_run(struct cli *cli)
{
	struct list list;
	int json = 0, code, id;
	cop_err err;

	memset(&list, 0, sizeof list);
	while ((id = args_next(cli)) > 0)
		*(id == READERS_ALL ? &list.all : &json) = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	err = cop_readers(cli->store, list_add, &list);
	if (list.failed)
		code = fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	else if (err)
		code = cli_cop(cli, err);
	if (!code && list.count)
		qsort(list.rows, list.count, sizeof *list.rows, row_compare);
	if (!code && (json || list.count))
		list_print(&list, json);
	free(list.rows);
	return code || list.count ? code : EXIT_NO_RESULT;
}

const struct verb verb_readers = {
    .name = "readers",
    .operands = "",
    .summary = "list who has a read open, the oldest first",
    .rows = readers_rows,
    .notes = "A read holds back what has died since its commit. `stalled`: "
	     "its commit has\nnot been the newest for a minute. `dead`: its "
	     "process is gone, and the next\ncommit clears it. The status is "
	     "1 if there is none.\n",
    .run = readers_run,
};
