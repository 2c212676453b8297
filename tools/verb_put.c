/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put: entities and edges from standard input.
 *
 * idea
 *	NDJSON as import reads it, committed at once; the commit's number is
 *	printed when it is on disk.  With --each every line is a commit of its
 *	own, and its number is printed and flushed before the next line is
 *	read: a program on the other end of two pipes can wait for it.
 */
#include "batch.h"
#include "out.h"
#include "reader.h"
#include "record.h"
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	PUT_EACH = ARG_OWN,
	PUT_DANGLING,
	PUT_TYPE,
	PUT_IF_ABSENT,
	PUT_IF_VERSION,
	PUT_LAZY
};

static const struct arg_row put_rows[] = {
    {PUT_EACH, "each", NULL, "commit line by line, print each commit"},
    {PUT_DANGLING, "dangling", "reject|stub|skip",
     "edges to entities not there (default: reject)"},
    {PUT_TYPE, "type", "NAME", "type of entities that name none"},
    {PUT_IF_ABSENT, "if-absent", NULL, "only entities that are not there"},
    {PUT_IF_VERSION, "if-version", "N",
     "only entities of that version (`get --versions`)"},
    {PUT_LAZY, "lazy", NULL, "a power cut may take the newest back"},
    ARG_END,
};

static const char put_notes[] =
    "Reads NDJSON from standard input, in the form that `coppice help import` "
    "shows,\nand prints the number of the commit once it is on disk. A bad "
    "line stops it with\nstatus 7: without --each nothing is put then, with "
    "it the lines before are in.\n"
    "Where a condition (--if-absent, --if-version) does not hold, the commit "
    "puts\nnothing and the status is 1.\n";

struct put {
	struct cli *cli;
	int each;
	struct reader reader;
	struct record record;
	struct batch batch;
	uint64_t commit;
};

static int put_commit(struct put *put)
{
	struct fault *fault = &put->cli->fault;

	if (batch_commit(&put->batch, fault))
		return fault->code;
	printf("%" PRIu64 "\n", put->batch.commit);
	fflush(stdout);
	return 0;
}

static int put_line(struct put *put, const char *line, size_t size)
{
	struct fault *fault = &put->cli->fault;
	struct place place = {.file = put->reader.name,
			      .number = put->reader.line};
	char where[64];

	if (part_is(line, size))
		return parts_add(&put->record.parts, line, size, fault);
	if (record_put(&put->record, put->cli->write, line, size, fault)) {
		place_text(&place, where, sizeof where);
		return fault_prefix(fault, "%s: ", where);
	}
	if (put->record.kind && batch_add(&put->batch, &place, fault))
		return fault->code;
	if (put->record.has_parts &&
	    batch_add_content(&put->batch, &place, fault))
		return fault->code;
	/* the condition is an operation, too */
	if (put->record.kind == RECORD_ENTITY && put->record.conditional &&
	    batch_add(&put->batch, &place, fault))
		return fault->code;
	return put->each ? put_commit(put) : 0;
}

static int put_lines(struct put *put)
{
	struct fault *fault = &put->cli->fault;
	const char *line;
	size_t size;

	while (!out_failed()) {
		if (reader_line(&put->reader, &line, &size, fault))
			return fault->code;
		if (!line)
			break;
		if (!record_is_empty(line, size) && put_line(put, line, size))
			return fault->code;
	}
	return put->each ? 0 : put_commit(put);
}

static int put_option(struct put *put, int id)
{
	static const char *const danglings[] = {"reject", "stub", "skip", NULL};
	struct record *record = &put->record;

	switch (id) {
	case PUT_EACH: put->each = 1; break;
	case PUT_TYPE: record->type = put->cli->value; break;
	case PUT_LAZY: put->batch.lazy = 1; break;
	case PUT_IF_ABSENT: record->conditional = 1; break;
	case PUT_IF_VERSION:
		record->conditional = 1;
		args_u64(put->cli, 1, UINT64_MAX, &record->version);
		break;
	default: record->dangling = args_word(put->cli, danglings);
	}
	return put->cli->fault.code;
}

static int put_run(struct cli *cli)
{
	struct put put;
	int code, id;

	memset(&put, 0, sizeof put);
	put.cli = cli;
	while ((id = args_next(cli)) > 0)
		if (put_option(&put, id))
			return cli->fault.code;

	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (args_given(cli, PUT_IF_ABSENT) && args_given(cli, PUT_IF_VERSION))
		return args_fault(cli, "what is absent has no version: give "
				       "--if-absent or --if-version");
	code = cli_open_write(cli);
	if (!code)
		code = reader_open(&put.reader, "-", &cli->fault);
	put.batch.write = cli->write;
	put.record.parts.store = cli->store;
	if (!code)
		code = put_lines(&put);
	if (put.reader.name)
		reader_close(&put.reader);
	record_release(&put.record);
	batch_release(&put.batch);
	return code;
}

const struct verb verb_put = {
    .name = "put",
    .operands = "",
    .summary = "put entities and edges from standard input",
    .rows = put_rows,
    .notes = put_notes,
    .run = put_run,
};
