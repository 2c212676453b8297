/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint: writes an image of the shared segment to the store's folder.
 *
 * idea
 *	After a reboot the segment is loaded from it instead of being built
 *	from the data file.  Reads and commits go on meanwhile.
 */
#include "out.h"
#include "verbs.h"
#include "words.h"

#include <inttypes.h>
#include <string.h>

static const struct arg_row checkpoint_rows[] = {ARG_JSON_ROW, ARG_END};

static void checkpoint_json(const struct cop_checkpoint_result *result,
			    const char *path)
{
	printf("{\"schema\":\"coppice.checkpoint/1\",\"store\":");
	out_string(path, strlen(path));
	printf(",\"commit\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"segment_bytes\":%" PRIu64 ",\"chunks\":%" PRIu64
	       ",\"chunks_locked\":%" PRIu64 ",\"locked_ns\":%" PRIu64
	       ",\"ns\":%" PRIu64 "}\n",
	       result->commit, result->bytes, result->segment_bytes,
	       result->chunks, result->chunks_locked, result->locked_ns,
	       result->ns);
}

static void checkpoint_text(const struct cop_checkpoint_result *result)
{
	char file[32];
	char segment[32];

	printf("image of commit %" PRIu64 ": %s for %s in shared memory, "
	       "%.1f ms, %.1f ms of them with the writer lock\n",
	       result->commit, words_bytes(file, result->bytes),
	       words_bytes(segment, result->segment_bytes),
	       (double)result->ns / 1e6, (double)result->locked_ns / 1e6);
}

static int checkpoint_run(struct cli *cli)
{
	struct cop_checkpoint_result result;
	int json = 0, code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		json = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	memset(&result, 0, sizeof result);
	result.size = sizeof result;
	err = cop_checkpoint(cli->store, &result);
	if (err)
		return cli_cop(cli, err);
	if (json)
		checkpoint_json(&result, cli->path);
	else
		checkpoint_text(&result);
	return 0;
}

const struct verb verb_checkpoint = {
    .name = "checkpoint",
    .operands = "",
    .summary = "write an image of the shared memory, for a fast start",
    .rows = checkpoint_rows,
    .run = checkpoint_run,
};
