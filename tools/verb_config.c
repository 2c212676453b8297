/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the parameters that live in the store, printed and set.
 *
 * idea
 *	One table has their names, kinds, defaults and meanings: the listing,
 *	the help and the setting go by it.  History is changed by a commit,
 *	while the store is in use; what its shared memory is built by, while
 *	nobody is attached; the rest is fixed.  One call changes parameters of
 *	one kind, so that it is done or not done.
 *
 * layout of the text
 *	dim             128          fixed     numbers in a vector
 */
#include "instant.h"
#include "out.h"
#include "place.h"
#include "verbs.h"
#include "words.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum config_change { CHANGE_FIXED, CHANGE_DETACHED, CHANGE_LIVE };

enum config_kind {
	KIND_U32,
	KIND_U64,
	KIND_WORD,    /* i32: first and an index into the words */
	KIND_OCTAL,   /* u32 */
	KIND_REAL,    /* double */
	KIND_SIZE,    /* u64, with suffixes */
	KIND_SECONDS, /* u32 of milliseconds */
	KIND_RECORD,  /* u32: 0 is 512, UINT32_MAX none */
	KIND_TEXT,    /* const char * */
	KIND_HISTORY  /* history and history_ms */
};

struct config_row {
	const char *name;
	int kind;
	int change;
	size_t offset; /* in cop_options */
	const char *const *words;
	int32_t first; /* number of the first word */
	const char *otherwise;
	const char *meaning;
};

static const char *const metric_words[] = {"cosine", "l2", "ip", NULL};
static const char *const rows_words[] = {"f16", "f32", NULL};
static const char *const codes_words[] = {"auto", "u8", "f16", "bf16",
					  "f32",  "b1", NULL};
static const char *const signs_words[] = {"no", "yes", NULL};

#define AT(member) offsetof(struct cop_options, member)

static const struct config_row config_table[] = {
    {"dim", KIND_U32, CHANGE_FIXED, AT(dim), NULL, 0, "0",
     "numbers in a vector"},
    {"metric", KIND_WORD, CHANGE_FIXED, AT(metric), metric_words, COP_COSINE,
     "cosine", "what distance is"},
    {"mode", KIND_OCTAL, CHANGE_FIXED, AT(mode), NULL, 0, "0600",
     "permissions of its files"},
    {"codes", KIND_WORD, CHANGE_DETACHED, AT(codes), codes_words,
     COP_CODES_AUTO, "auto", "what searches read first of a vector"},
    {"codes-dim", KIND_U32, CHANGE_DETACHED, AT(codes_dim), NULL, 0, "0",
     "so many numbers of it are coded, 0: all"},
    {"rows", KIND_WORD, CHANGE_DETACHED, AT(rows), rows_words, COP_ROWS_F16,
     "f16", "what ranks hits"},
    {"signs", KIND_WORD, CHANGE_DETACHED, AT(signs), signs_words, 0, "no",
     "signs are kept, for other strategies"},
    {"record-bytes", KIND_RECORD, CHANGE_DETACHED, AT(record_bytes), NULL, 0,
     "512", "records up to that size are in shared memory"},
    {"expect", KIND_U64, CHANGE_DETACHED, AT(expected_entities), NULL, 0,
     "100000", "entities expected: sizes the bloom filters"},
    {"bloom-rate", KIND_REAL, CHANGE_DETACHED, AT(bloom_rate), NULL, 0, "0.01",
     "false positives wanted of them"},
    {"cache", KIND_SIZE, CHANGE_DETACHED, AT(cache_bytes), NULL, 0, "0",
     "bytes for results of searches"},
    {"cache-ttl", KIND_SECONDS, CHANGE_DETACHED, AT(cache_ttl_ms), NULL, 0, "0",
     "seconds that a result is kept, 0: until a commit"},
    {"cache-idle", KIND_SECONDS, CHANGE_DETACHED, AT(cache_idle_ms), NULL, 0,
     "0", "seconds since it was last asked for, 0: any"},
    {"shm-dir", KIND_TEXT, CHANGE_DETACHED, AT(shm_dir), NULL, 0, "/dev/shm",
     "folder of its shared memory, on a tmpfs"},
    {"history", KIND_HISTORY, CHANGE_LIVE, AT(history), NULL, 0, "30d",
     "how long what is replaced is kept: 7d, all, none"},
    {"history-count", KIND_U64, CHANGE_LIVE, AT(history_count), NULL, 0, "0",
     "versions of one thing that are kept, 0: any"},
};

enum { CONFIG_COUNT = sizeof config_table / sizeof *config_table };

static const struct arg_row config_rows[] = {ARG_JSON_ROW, ARG_END};

static const char *change_word(const struct config_row *row)
{
	switch (row->change) {
	case CHANGE_LIVE: return "live";
	case CHANGE_DETACHED: return "detached";
	default: return "fixed";
	}
}

/* ---- values as text ----------------------------------------------------- */

enum { VALUE_ROOM = 272 };

static void value_text(const struct config_row *row,
		       const struct cop_options *options, char *out)
{
	const char *at = (const char *)options + row->offset;
	uint32_t narrow;
	uint64_t wide = 0;
	double real = 0;
	const char *text = NULL;

	memcpy(&narrow, at, sizeof narrow);
	switch (row->kind) {
	case KIND_WORD: text = row->words[(int32_t)narrow - row->first]; break;
	case KIND_TEXT: memcpy(&text, at, sizeof text); break;
	case KIND_HISTORY:
		retain_span(options->history, options->history_ms, out);
		return;
	case KIND_OCTAL: snprintf(out, VALUE_ROOM, "%04o", narrow); return;
	case KIND_SECONDS:
		snprintf(out, VALUE_ROOM, "%g", (double)narrow / 1000);
		return;
	case KIND_REAL:
		memcpy(&real, at, sizeof real);
		snprintf(out, VALUE_ROOM, "%g", real);
		return;
	case KIND_RECORD:
		wide = narrow == UINT32_MAX ? 0 : narrow ? narrow : 512;
		break;
	case KIND_U32: wide = narrow; break;
	default: memcpy(&wide, at, sizeof wide); break;
	}
	if (text)
		snprintf(out, VALUE_ROOM, "%s", text);
	else
		snprintf(out, VALUE_ROOM, "%" PRIu64, wide);
}

static int value_is_number(const struct config_row *row)
{
	return row->kind != KIND_WORD && row->kind != KIND_TEXT &&
	       row->kind != KIND_HISTORY && row->kind != KIND_OCTAL;
}

static void row_print(const struct config_row *row,
		      const struct cop_options *options, int json)
{
	char value[VALUE_ROOM];

	value_text(row, options, value);
	if (!json) {
		printf("%-14s %-12s %-9s %s\n", row->name, value,
		       change_word(row), row->meaning);
		return;
	}
	printf("{\"name\":\"%s\",\"value\":", row->name);
	if (value_is_number(row))
		fputs(value, stdout);
	else
		out_string(value, strlen(value));
	printf(",\"default\":\"%s\",\"change\":\"%s\",\"meaning\":\"%s\"}\n",
	       row->otherwise, change_word(row), row->meaning);
}

static void config_help(FILE *to)
{
	fputs("\nparameters, their defaults, and when they can be changed:\n",
	      to);
	for (size_t i = 0; i < CONFIG_COUNT; i++)
		fprintf(to, "  %-15s%-10s%-10s%s\n", config_table[i].name,
			config_table[i].otherwise,
			change_word(&config_table[i]), config_table[i].meaning);
}

/* ---- names and values that are given ------------------------------------ */

static const struct config_row *row_find(struct cli *cli, const char *word)
{
	const struct config_row *nearest = NULL;
	size_t best = 4;
	char name[64];

	snprintf(name, sizeof name, "%.*s",
		 (int)(strcspn(word, "=") < sizeof name - 1 ? strcspn(word, "=")
							    : sizeof name - 1),
		 word);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		size_t distance = words_distance(name, config_table[i].name);

		if (!distance)
			return &config_table[i];
		if (distance < best) {
			best = distance;
			nearest = &config_table[i];
		}
	}
	if (nearest)
		args_fault(cli, "there is no parameter '%s'. Did you mean: %s",
			   name, nearest->name);
	else
		args_fault(cli, "there is no parameter '%s'", name);
	return NULL;
}

static int value_refused(struct cli *cli, const struct config_row *row,
			 const char *text)
{
	char list[128] = "";
	size_t size = 0;

	for (int i = 0; row->words && row->words[i]; i++)
		size +=
		    (size_t)snprintf(list + size, sizeof list - size, "%s%s",
				     i ? ", " : ", one of ", row->words[i]);
	return args_fault(cli, "'%s' is no value of %s (%s%s)", text, row->name,
			  row->meaning, list);
}

static int word_index(const char *const *words, const char *text)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	return -1;
}

static int history_take(const char *text, struct cop_options *options)
{
	static const char *const words[] = {"age", "all", "none", NULL};
	int64_t ms = 0;
	int word = word_index(words, text);

	if (word < COP_HISTORY_ALL && (instant_span(text, &ms) || !ms))
		return -1;
	options->history = word < COP_HISTORY_ALL ? COP_HISTORY_AGE : word;
	options->history_ms = (uint64_t)ms;
	return 0;
}

/* Sets the parameter; -1 if the text is no value of its kind. */
static int value_take(const struct config_row *row, const char *text,
		      struct cop_options *options)
{
	char *at = (char *)options + row->offset;
	double real = 0;
	uint64_t wide = 0;
	uint32_t narrow;
	int bad = 0;

	switch (row->kind) {
	case KIND_TEXT: memcpy(at, &text, sizeof text); return 0;
	case KIND_HISTORY: return history_take(text, options);
	case KIND_WORD:
		bad = word_index(row->words, text);
		narrow = (uint32_t)(bad + row->first);
		bad = bad < 0;
		break;
	case KIND_REAL:
		if (words_double(text, &real) || real <= 0 || real >= 1)
			return -1;
		memcpy(at, &real, sizeof real);
		return 0;
	case KIND_SECONDS:
		bad = words_double(text, &real) || real < 0 || real > 4e6;
		narrow = bad ? 0 : (uint32_t)(real * 1000);
		break;
	case KIND_SIZE:
	case KIND_U64:
		if (words_size(text, &wide))
			return -1;
		memcpy(at, &wide, sizeof wide);
		return 0;
	default:
		bad =
		    words_u64(text, row->kind == KIND_OCTAL ? 8 : 10, &wide) ||
		    wide >= UINT32_MAX;
		narrow = (uint32_t)wide;
		if (row->kind == KIND_RECORD && !wide)
			narrow = UINT32_MAX;
		break;
	}
	if (bad)
		return -1;
	memcpy(at, &narrow, sizeof narrow);
	return 0;
}

/* ---- the verb ----------------------------------------------------------- */

/* Whether one of the first operands sets the parameter. */
static int is_given(const struct cli *cli, const struct config_row *row,
		    int count)
{
	size_t size = strlen(row->name);

	for (int i = 0; i < count; i++)
		if (!strncmp(cli->operands[i], row->name, size) &&
		    cli->operands[i][size] == '=')
			return 1;
	return 0;
}

/* Takes all assignments; *change is the kind of them, -1 if there are none. */
static int config_take(struct cli *cli, struct cop_options *options,
		       int *change)
{
	*change = -1;
	for (int i = 0; i < cli->operand_count; i++) {
		const struct config_row *row = row_find(cli, cli->operands[i]);
		const char *value = strchr(cli->operands[i], '=');

		if (!row)
			return cli->fault.code;
		if (!value)
			continue;
		if (is_given(cli, row, i))
			return args_fault(cli, "%s is given twice", row->name);
		if (row->change == CHANGE_FIXED)
			return args_fault(cli,
					  "%s is fixed when a store is made; "
					  "make another with `coppice init`",
					  row->name);
		if (*change >= 0 && *change != row->change)
			return args_fault(cli,
					  "history is changed by a commit, the "
					  "others while nobody is attached: do "
					  "one after the other");
		if (value_take(row, value + 1, options))
			return value_refused(cli, row, value + 1);
		*change = row->change;
	}
	return 0;
}

static void config_print(const struct cli *cli,
			 const struct cop_options *options, int json)
{
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		int wanted = !cli->operand_count;

		for (int j = 0; j < cli->operand_count; j++)
			wanted |=
			    !strcmp(cli->operands[j], config_table[i].name);
		if (wanted)
			row_print(&config_table[i], options, json);
	}
}

static int config_retain(struct cli *cli, const struct cop_options *options)
{
	struct cop_retention retention = {
	    .size = sizeof retention,
	    .history = options->history,
	    .history_ms = options->history_ms,
	    .history_count = options->history_count,
	};
	int code = cli_open_write(cli);
	cop_err err;

	if (code)
		return code;
	err = cop_retain(cli->write, &retention);
	if (!err)
		err = cop_commit(cli->write, NULL);
	return err ? cli_cop(cli, err) : 0;
}

static int config_run(struct cli *cli)
{
	struct cop_description now = {.size = sizeof now};
	int json = 0, change, code, id;
	cop_err err;

	while ((id = args_next(cli)) > 0)
		json = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	err = cop_describe(cli->path, &now);
	if (err)
		return cli_cop(cli, err);
	now.options.shm_dir = now.shm_dir;
	code = config_take(cli, &now.options, &change);
	if (code)
		return code;
	if (change == CHANGE_LIVE)
		code = config_retain(cli, &now.options);
	else if (change == CHANGE_DETACHED) {
		err = cop_configure(cli->path, &now.options);
		code = err ? cli_cop(cli, err) : 0;
		if (!code && !cli->quiet)
			place_shm_tell(now.options.shm_dir);
	}
	if (!code)
		config_print(cli, &now.options, json);
	return code;
}

const struct verb verb_config = {
    .name = "config",
    .operands = "[NAME[=VALUE]...]",
    .summary = "print or set the parameters of the store",
    .rows = config_rows,
    .operand_max = -1,
    .notes = "fixed: since it was made. detached: while no process is "
	     "attached; its shared\nmemory and the images of that are removed, "
	     "and the next open builds it. live: at\nany time, by a commit.\n",
    .table = config_help,
    .run = config_run,
};
