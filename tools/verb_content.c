/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content put, content get: content of any size, in and out as bytes.
 *
 * idea
 *	It streams through a buffer, so that memory does not grow with it.  What
 *	is put is seen when all of it is there, by one commit whose number is
 *	printed; a death before leaves the entity as it was.
 */
#include "out.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTENT_OFFSET = ARG_OWN, CONTENT_BYTES };
enum { CONTENT_PIECE = 1 << 20 };

static const struct arg_row put_rows[] = {ARG_END};

static const struct arg_row get_rows[] = {
    {CONTENT_OFFSET, "offset", "N", "from this byte on"},
    {CONTENT_BYTES, "bytes", "N", "at most so many"},
    ARG_AS_OF_ROW,
    ARG_END,
};

static int no_memory(struct cli *cli)
{
	return fault_set(&cli->fault, EXIT_INTERNAL, "no memory");
}

/* ---- put ---------------------------------------------------------------- */

static int file_add(struct cli *cli, cop_upload *upload, const char *name,
		    int fd)
{
	char *piece = malloc(CONTENT_PIECE);
	int code = piece ? 0 : no_memory(cli);
	ssize_t got = 1;

	while (!code && got) {
		cop_err err;

		got = read(fd, piece, CONTENT_PIECE);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			code = fault_set(&cli->fault, EXIT_BAD_INPUT, "%s: %s",
					 name, strerror(errno));
			break;
		}
		err = cop_upload_add(upload, piece, (size_t)got);
		if (err)
			code = cli_cop(cli, err);
	}
	free(piece);
	return code;
}

static int file_put(struct cli *cli, cop_upload *upload)
{
	const char *name = cli->operand_count > 1 ? cli->operands[1] : "-";
	int is_input = !strcmp(name, "-");
	int fd = is_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	int code;

	if (fd < 0)
		return fault_set(&cli->fault, EXIT_BAD_INPUT, "%s: %s", name,
				 strerror(errno));
	code = file_add(cli, upload, is_input ? "standard input" : name, fd);
	if (!is_input)
		close(fd);
	return code;
}

static int content_give(struct cli *cli, cop_upload *upload)
{
	struct cop_result result = {.size = sizeof result};
	const char *key = cli->operands[0];
	cop_err err = cop_put_content(cli->write, key, strlen(key), upload);

	if (!err)
		err = cop_commit(cli->write, &result);
	if (err)
		return cli_cop(cli, err);
	printf("%" PRIu64 "\n", result.commit);
	return 0;
}

static int content_put_run(struct cli *cli)
{
	cop_upload *upload = NULL;
	cop_err err;
	int code;

	if (args_next(cli) < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_write(cli);
	if (code)
		return code;
	err = cop_upload_begin(cli->store, &upload);
	if (err)
		return cli_cop(cli, err);
	code = file_put(cli, upload);
	if (!code)
		code = content_give(cli, upload);
	cop_upload_end(upload);
	return code;
}

/* ---- get ---------------------------------------------------------------- */

static int content_write(struct cli *cli, const struct cop_entity *entity,
			 uint64_t offset, uint64_t bytes)
{
	char *piece = malloc(CONTENT_PIECE);
	size_t got = 1;
	cop_err err = 0;

	if (!piece)
		return no_memory(cli);
	while (!err && bytes && got && !out_failed()) {
		size_t want =
		    bytes < CONTENT_PIECE ? (size_t)bytes : CONTENT_PIECE;

		err = cop_content_read(cli->read, entity, offset, piece, want,
				       &got);
		fwrite(piece, 1, err ? 0 : got, stdout);
		offset += got;
		bytes -= got;
	}
	free(piece);
	return err ? cli_cop(cli, err) : 0;
}

static int content_get_run(struct cli *cli)
{
	uint64_t offset = 0;
	uint64_t bytes = UINT64_MAX;
	struct cop_entity entity;
	uint64_t entity_id = 0;
	cop_err err;
	int code;
	int id;

	while ((id = args_next(cli)) > 0) {
		code = args_u64(cli, 0, UINT64_MAX,
				id == CONTENT_OFFSET ? &offset : &bytes);
		if (code)
			return code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (!code)
		code = cli_entity(cli, cli->operands[0], &entity_id);
	if (code)
		return code;
	err = cop_get_id(cli->read, entity_id, &entity);
	if (err)
		return cli_cop(cli, err);
	if (!entity.content_size)
		return fault_set(&cli->fault, EXIT_NO_RESULT,
				 "'%s' has no content", cli->operands[0]);
	if (offset >= entity.content_size)
		return fault_set(&cli->fault, EXIT_NO_RESULT,
				 "the content of '%s' has %" PRIu64
				 " bytes, none from "
				 "byte %" PRIu64 " on",
				 cli->operands[0], entity.content_size, offset);
	return content_write(cli, &entity, offset, bytes);
}

const struct verb verb_content_put = {
    .name = "content put",
    .operands = "KEY [FILE]",
    .summary = "make a file's bytes an entity's content",
    .rows = put_rows,
    .operand_min = 1,
    .operand_max = 2,
    .notes = "Reads standard input without FILE. The entity is put if it is "
	     "not there; its\nother fields stay.\n",
    .run = content_put_run,
};

const struct verb verb_content_get = {
    .name = "content get",
    .operands = "KEY",
    .summary = "write an entity's content to standard output",
    .rows = get_rows,
    .operand_min = 1,
    .operand_max = 1,
    .run = content_get_run,
};
