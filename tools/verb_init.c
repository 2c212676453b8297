/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init: makes a new store.
 *
 * idea
 *	The options are those of cop_create().  A store without --dim has no
 *	vectors, and can get none later.
 */
#include "place.h"
#include "words.h"
#include "verbs.h"

#include <grp.h>
#include <string.h>

enum {
	INIT_DIM = ARG_OWN,
	INIT_METRIC,
	INIT_ROWS,
	INIT_SIGNS,
	INIT_CODES_DIM,
	INIT_CODES,
	INIT_MODE,
	INIT_GROUP,
	INIT_SHM,
	INIT_EXPECT,
	INIT_BLOOM,
	INIT_RECORD,
	INIT_CACHE,
	INIT_TTL,
	INIT_IDLE,
	INIT_HISTORY,
	INIT_COUNT
};

static const struct arg_row init_rows[] = {
    {INIT_DIM, "dim", "N", "numbers in a vector, 2 to 4096 (default: none)"},
    {INIT_METRIC, "metric", "cosine|l2|ip",
     "what distance means (default: cosine); l2 is squared"},
    {INIT_CODES, "codes", "auto|u8|f16|bf16|f32|b1",
     "what searches read first (default: auto)"},
    {INIT_CODES_DIM, "codes-dim", "N",
     "code the first N numbers alone (default: all)"},
    {INIT_ROWS, "rows", "f16|f32", "what ranks hits (default: f16)"},
    {INIT_SIGNS, "signs", NULL, "keep signs of vectors, for other strategies"},
    {INIT_MODE, "mode", "OCTAL", "permissions of its files (default: 0600)"},
    {INIT_GROUP, "group", "NAME|GID", "their group (default: yours)"},
    {INIT_SHM, "shm-dir", "DIR",
     "tmpfs folder for shared memory (default: /dev/shm)"},
    {INIT_EXPECT, "expect", "N", "entities expected (default: 100000)"},
    {INIT_BLOOM, "bloom-rate", "P", "false positives wanted (default: 0.01)"},
    {INIT_RECORD, "record-bytes", "N",
     "keep records up to that size in shared memory (default: 512)"},
    {INIT_CACHE, "cache", "SIZE",
     "keep results of searches in so much shared memory, as 64M (default: 0)"},
    {INIT_TTL, "cache-ttl", "SECONDS",
     "for so long at most (default: until the next commit)"},
    {INIT_IDLE, "cache-idle", "SECONDS",
     "and for so long since last asked for (default: no limit)"},
    {INIT_HISTORY, "history", "TIME|none|all",
     "keep what is replaced so long, as 7d (default: 30d)"},
    {INIT_COUNT, "history-count", "N",
     "and at most so many versions of one thing (default: any)"},
    ARG_END,
};

int init_group(struct cli *cli, uint32_t *out)
{
	const struct group *group;
	uint64_t number;

	if (!words_u64(cli->value, 10, &number)) {
		if (number >= UINT32_MAX)
			return args_fault(cli,
					  "--group: no group has the "
					  "number %s",
					  cli->value);
		*out = (uint32_t)number + 1;
		return 0;
	}
	group = getgrnam(cli->value);
	if (!group)
		return args_fault(cli, "--group: there is no group '%s'",
				  cli->value);
	*out = (uint32_t)group->gr_gid + 1;
	return 0;
}

int init_mode(struct cli *cli, uint32_t *out)
{
	uint64_t mode;

	if (words_u64(cli->value, 8, &mode) || mode == 0 || mode > 0777 ||
	    (mode & 0600) != 0600)
		return args_fault(cli,
				  "--mode takes octal permissions that let "
				  "the owner read and write, such as 0660, not "
				  "'%s'",
				  cli->value);
	*out = (uint32_t)mode;
	return 0;
}

static int init_cache(struct cli *cli, struct cop_options *options)
{
	uint64_t size;

	if (words_size(cli->value, &size) ||
	    (size && (size < COP_CACHE_MIN || size > COP_CACHE_MAX)))
		return args_fault(cli,
				  "--cache takes 64K to 1T, or 0 for none, not "
				  "'%s'",
				  cli->value);
	options->cache_bytes = size;
	return 0;
}

static int init_seconds(struct cli *cli, uint32_t *ms)
{
	double seconds;

	if (args_double(cli, &seconds))
		return cli->fault.code;
	if (seconds != 0 && !(seconds >= 0.001 && seconds <= 4e6))
		return args_fault(cli,
				  "--%s takes 0.001 to 4000000 seconds, or 0 "
				  "for no limit, not '%s'",
				  cli->id == INIT_TTL ? "cache-ttl"
						      : "cache-idle",
				  cli->value);
	*ms = (uint32_t)(seconds * 1000);
	return 0;
}

static int init_option(struct cli *cli, struct cop_options *options, int id)
{
	static const char *const metrics[] = {"cosine", "l2", "ip", NULL};
	static const char *const rows[] = {"f16", "f32", NULL};
	static const char *const codes[] = {"auto", "u8", "f16", "bf16",
					    "f32",  "b1", NULL};
	uint64_t number;

	switch (id) {
	case INIT_DIM:
		if (!args_u64(cli, 0, COP_DIM_MAX, &number))
			options->dim = (uint32_t)number;
		break;
	case INIT_METRIC:
		options->metric = args_word(cli, metrics) + COP_COSINE;
		break;
	case INIT_ROWS: options->rows = args_word(cli, rows); break;
	case INIT_CODES_DIM:
		if (!args_u64(cli, 0, COP_DIM_MAX, &number))
			options->codes_dim = (uint32_t)number;
		break;
	case INIT_SIGNS: options->signs = 1; break;
	case INIT_CODES: options->codes = args_word(cli, codes); break;
	case INIT_MODE: return init_mode(cli, &options->mode);
	case INIT_GROUP: return init_group(cli, &options->group);
	case INIT_SHM: options->shm_dir = cli->value; break;
	case INIT_EXPECT:
		return args_u64(cli, 1, UINT64_C(1) << 40,
				&options->expected_entities);
	case INIT_RECORD:
		if (!args_u64(cli, 0, COP_RECORD_BYTES, &number))
			options->record_bytes =
			    number ? (uint32_t)number : UINT32_MAX;
		break;
	case INIT_CACHE: return init_cache(cli, options);
	case INIT_TTL: return init_seconds(cli, &options->cache_ttl_ms);
	case INIT_IDLE: return init_seconds(cli, &options->cache_idle_ms);
	case INIT_HISTORY:
		return retain_history(cli, &options->history,
				      &options->history_ms);
	case INIT_COUNT:
		return args_u64(cli, 0, UINT64_MAX, &options->history_count);
	default:
		if (args_double(cli, &options->bloom_rate))
			break;
		if (options->bloom_rate <= 0 || options->bloom_rate >= 1)
			args_fault(cli, "--bloom-rate lies between 0 and 1");
		break;
	}
	return cli->fault.code;
}

static int init_run(struct cli *cli)
{
	static const int alone[][2] = {
	    {INIT_METRIC, INIT_DIM},	{INIT_CODES, INIT_DIM},
	    {INIT_CODES_DIM, INIT_DIM}, {INIT_ROWS, INIT_DIM},
	    {INIT_SIGNS, INIT_DIM},	{INIT_TTL, INIT_CACHE},
	    {INIT_IDLE, INIT_CACHE}};
	struct cop_options options;
	cop_err err;
	int id;

	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	while ((id = args_next(cli)) > 0)
		if (init_option(cli, &options, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (options.dim && options.dim < COP_DIM_MIN)
		return args_fault(cli,
				  "--dim takes %d to %d, or 0 for a store "
				  "without vectors",
				  COP_DIM_MIN, COP_DIM_MAX);
	for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
		if (args_needs(cli, alone[i][0], alone[i][1]))
			return cli->fault.code;
	if (place_check(cli->path, &cli->fault))
		return cli->fault.code;
	err = cop_create(cli->path, &options);
	if (err)
		return cli_cop(cli, err);
	if (options.shm_dir && !cli->quiet)
		place_shm_tell(options.shm_dir);
	return 0;
}

const struct verb verb_init = {
    .name = "init",
    .operands = "",
    .summary = "make a new store in a folder",
    .rows = init_rows,
    .run = init_run,
};
