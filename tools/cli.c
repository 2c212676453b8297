/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: the store as a verb opens it, and how it is left.
 *
 * idea
 *	A verb asks for a read or a write and never releases it: main() calls
 *	cli_close() on every way out, so a read never outlives the verb.
 *
 * progress
 *	The first process to open a store builds its segment; if that takes
 *	long, a line on a terminal says how far it is.
 */
#include "args.h"
#include "instant.h"
#include "stop.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int32_t cli_building(void *user, const char *what, uint64_t done,
			    uint64_t total)
{
	int *shown = user;
	double part = total ? 100.0 * (double)done / (double)total : 0;

	fprintf(stderr, "\r\033[K%s %.0f %%", what, part);
	*shown = 1;
	return 0;
}

int cli_cop(struct cli *cli, cop_err error)
{
	return fault_cop(&cli->fault, error);
}

int cli_stopped(struct cli *cli)
{
	cli->stop_signal = stop_signal();
	return fault_set(&cli->fault, 128 + stop_signal(), "interrupted");
}

int cli_entity(struct cli *cli, const char *key, uint64_t *id)
{
	cop_err err = cop_lookup(cli->read, key, strlen(key), id);

	if (err)
		return cli_cop(cli, err);
	return *id ? 0
		   : fault_set(&cli->fault, EXIT_NO_RESULT,
			       "there is no entity '%s'", key);
}

/* What is told of the store, by --verbose or COPPICE_LOG; 0: nothing. */
static int32_t log_level(const struct cli *cli)
{
	static const char *const words[] = {"none", "warn", "note", "detail"};
	const char *word = getenv("COPPICE_LOG");

	if (cli->log_level || !word)
		return cli->log_level;
	for (int32_t i = 0; i < (int32_t)(sizeof words / sizeof words[0]); i++)
		if (!strcmp(word, words[i]))
			return i;
	return COP_LOG_NOTE;
}

static void log_print(void *user, int32_t level, const char *text)
{
	(void)user;
	fault_tell(level, text);
}

typedef cop_err cli_opener(const char *path,
			   const struct cop_open_options *options,
			   cop_store **out);

static int open_by(struct cli *cli, cli_opener *opener)
{
	struct cop_open_options options;
	char name[32]; /* what `coppice readers` shows of it */
	int shown = 0;
	cop_err err;

	snprintf(name, sizeof name, "coppice %.20s", cli->verb->name);
	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	options.timeout_ms = cli->timeout_ms;
	options.name = name;
	options.log_level = log_level(cli);
	if (options.log_level)
		options.log = log_print;
	if (!cli->quiet && isatty(STDERR_FILENO)) {
		options.progress = cli_building;
		options.user = &shown;
	}
	err = opener(cli->path, &options, &cli->store);
	if (shown)
		fputs("\r\033[K", stderr);
	return err ? cli_cop(cli, err) : 0;
}

int cli_open(struct cli *cli)
{
	return open_by(cli, cop_open);
}

int cli_open_attached(struct cli *cli)
{
	return open_by(cli, cop_open_attached);
}

int cli_commit(struct cli *cli, const char *word, uint64_t *commit)
{
	int64_t ns;
	cop_err err;

	if (!words_u64(word, 10, commit))
		return 0;
	if (instant_parse_ns(word, &ns))
		return args_fault(
		    cli,
		    "'%s' is neither the number of a commit nor a "
		    "time, such as 2026-11-27T10:00Z, or 2h for so long ago",
		    word);
	err = cop_commit_at(cli->read, ns, commit);
	return err ? cli_cop(cli, err) : 0;
}

static int read_as_of(struct cli *cli)
{
	uint64_t commit;
	int code = cli_commit(cli, cli->as_of, &commit);
	cop_err err = code ? 0 : cop_read_as_of(cli->read, commit);

	return err ? cli_cop(cli, err) : code;
}

int cli_instant(struct cli *cli, const char *word, struct cop_instant *out)
{
	return instant_parse(word, out)
		   ? args_fault(cli,
				"'%s' is not a time, such as 1815, "
				"2026-11-27T10:00Z, or 0s for now",
				word)
		   : 0;
}

static int read_valid_at(struct cli *cli)
{
	struct cop_instant instant;
	int code = cli_instant(cli, cli->valid_at, &instant);
	cop_err err = code ? 0 : cop_read_valid_at(cli->read, &instant);

	return err ? cli_cop(cli, err) : code;
}

int cli_open_read(struct cli *cli)
{
	int code = cli_open(cli);
	cop_err err;

	if (code)
		return code;
	err = cop_read_begin(cli->store, &cli->read);
	if (err)
		return cli_cop(cli, err);
	if (cli->as_of)
		code = read_as_of(cli);
	if (!code && cli->valid_at)
		code = read_valid_at(cli);
	return code;
}

int cli_open_write(struct cli *cli)
{
	int code = cli_open(cli);
	cop_err err;

	if (code)
		return code;
	err = cop_write_begin(cli->store, &cli->write);
	return err ? cli_cop(cli, err) : 0;
}

void cli_close(struct cli *cli)
{
	cop_abort(cli->write);
	cop_read_end(cli->read);
	cop_close(cli->store);
	cli->write = NULL;
	cli->read = NULL;
	cli->store = NULL;
}
