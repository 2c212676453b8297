/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args: a verb's options and operands.
 *
 * idea
 *	Each verb has one table of options; getopt_long's tables and the help
 *	text are made from it, so the two cannot disagree.  A few options are
 *	common to all verbs and handled here.
 *
 * which operand is the store
 *	With --store none is.  Without COPPICE_STORE the first one is.  With
 *	it, the first one is if there are more operands than the verb takes
 *	otherwise; a verb that takes any number of them (import, get, delete)
 *	takes the first one for a store only if it is a folder that exists.
 *	Of restore it is the last one instead; verify has none.
 *
 * limits
 *	48 options a verb.
 */
#include "args.h"
#include "words.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ARGS_MAX = 48 };

/* What every verb takes. */
static const struct arg_row args_common[] = {
    {ARG_STORE, "store", "DIR", "the store, instead of its operand"},
    {ARG_TIMEOUT, "timeout", "SECONDS",
     "wait so long for the writer lock (default: for ever)"},
    {'q', "quiet", NULL, "print no progress, summaries or warnings"},
    {'v', "verbose", NULL, "tell what becomes of the store"},
    {'h', "help", NULL, "print this"},
    ARG_END,
};

int args_fault(struct cli *cli, const char *format, ...)
{
	struct fault *fault = &cli->fault;
	va_list args;
	size_t size;

	va_start(args, format);
	vsnprintf(fault->text, sizeof fault->text, format, args);
	va_end(args);
	size = strlen(fault->text);
	snprintf(fault->text + size, sizeof fault->text - size,
		 ". Try: coppice help %s", cli->verb->name);
	fault->code = EXIT_USAGE;
	return EXIT_USAGE;
}

const struct arg_row *args_row(const struct verb *verb, size_t index)
{
	const struct arg_row *row = verb->rows;

	for (; row->name && index; row++)
		index--;
	if (row->name)
		return row;
	for (row = args_common; row->name; row++) {
		const struct arg_row *own = verb->rows;

		while (own->name && own->id != row->id)
			own++;
		if (!own->name && !index--)
			return row;
	}
	return NULL;
}

static void args_help_rows(const struct verb *verb, FILE *to)
{
	const struct arg_row *row;

	for (size_t i = 0; (row = args_row(verb, i)); i++) {
		char left[192];
		const char *equals = row->value ? "=" : "";
		const char *value = row->value ? row->value : "";

		if (row->id < ARG_LONG && row->name[1])
			snprintf(left, sizeof left, "-%c, --%s%s%s", row->id,
				 row->name, equals, value);
		else if (row->id < ARG_LONG)
			snprintf(left, sizeof left, "-%c %s", row->id, value);
		else
			snprintf(left, sizeof left, "    --%s%s%s", row->name,
				 equals, value);
		if (strlen(left) < 26)
			fprintf(to, "  %-26s%s\n", left, row->help);
		else
			fprintf(to, "  %s\n  %26s%s\n", left, "", row->help);
	}
}

void args_help(const struct verb *verb, FILE *to)
{
	fprintf(to, "usage: coppice %s%s%s%s%s [OPTION...]\n%s.\n\n",
		verb->name, verb->store == VERB_STORE_FIRST ? " STORE" : "",
		*verb->operands ? " " : "", verb->operands,
		verb->store == VERB_STORE_LAST ? " STORE" : "", verb->summary);
	args_help_rows(verb, to);
	if (verb->notes)
		fprintf(to, "\n%s", verb->notes);
	if (verb->table)
		verb->table(to);
}

/* getopt's two tables from ours: the long options and the letters. */
static void args_tables(const struct verb *verb, struct option *options,
			char *letters)
{
	const struct arg_row *row;
	size_t count = 0;

	*letters++ = ':';
	while (count + 1 < ARGS_MAX && (row = args_row(verb, count))) {
		options[count++] = (struct option){
		    row->name, row->value ? required_argument : no_argument,
		    NULL, row->id};
		if (row->id >= ARG_LONG)
			continue;
		*letters++ = (char)row->id;
		if (row->value)
			*letters++ = ':';
	}
	*letters = '\0';
	memset(&options[count], 0, sizeof options[count]);
}

static int args_common_option(struct cli *cli)
{
	double seconds;

	switch (cli->id) {
	case 'h':
		args_help(cli->verb, stdout);
		cli->helped = 1;
		return -1;
	case 'q': cli->quiet = 1; return 0;
	case 'v': cli->log_level = COP_LOG_DETAIL; return 0;
	case ARG_STORE: cli->path = cli->value; return 0;
	case ARG_AS_OF: cli->as_of = cli->value; return 0;
	case ARG_VALID_AT: cli->valid_at = cli->value; return 0;
	default: break;
	}
	if (args_double(cli, &seconds))
		return -1;
	if (seconds < 0.001 || seconds > 4e6) {
		args_fault(cli,
			   "--timeout takes 0.001 to 4000000 seconds, "
			   "not '%s'",
			   cli->value);
		return -1;
	}
	cli->timeout_ms = (uint32_t)(seconds * 1000);
	return 0;
}

static int args_unknown(struct cli *cli, int id)
{
	const char *word = cli->argv[optind - 1];

	if (id == ':')
		args_fault(cli, "option '%s' needs a value", word);
	else if (optopt && optopt < ARG_LONG)
		args_fault(cli, "'%s' has no option '-%c'", cli->verb->name,
			   optopt);
	else if (optopt)
		args_fault(cli, "option '%s' takes no value", word);
	else
		args_fault(cli,
			   "'%s' has no option '%s', or it is short for "
			   "several",
			   cli->verb->name, word);
	return -1;
}

int args_next(struct cli *cli)
{
	struct option options[ARGS_MAX];
	char letters[2 * ARGS_MAX + 2];
	int id;

	args_tables(cli->verb, options, letters);
	opterr = 0;
	for (;;) {
		id = getopt_long(cli->argc, cli->argv, letters, options, NULL);
		if (id == -1)
			return 0;
		if (id == '?' || id == ':')
			return args_unknown(cli, id);
		cli->value = optarg;
		cli->id = id;
		if (id >= ARG_OWN)
			cli->given |= UINT64_C(1) << (id - ARG_OWN);
		if (id != 'h' && id != 'q' && id != 'v' && id != ARG_STORE &&
		    id != ARG_TIMEOUT && id != ARG_AS_OF && id != ARG_VALID_AT)
			return id;
		if (args_common_option(cli))
			return -1;
	}
}

static const char *row_name(const struct verb *verb, int id)
{
	const struct arg_row *row = verb->rows;

	while (row->id && row->id != id)
		row++;
	return row->name;
}

int args_needs(struct cli *cli, int id, int other)
{
	if (cli->helped || !args_given(cli, id) || args_given(cli, other))
		return 0;
	return args_fault(cli, "--%s does nothing without --%s",
			  row_name(cli->verb, id), row_name(cli->verb, other));
}

static int args_is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Whether the first operand is the store; see the top of the file. */
static int args_names_store(const struct cli *cli, const char *environment)
{
	if (!environment || !*environment)
		return 1;
	if (cli->operand_count == 0)
		return 0;
	if (cli->verb->operand_max >= 0)
		return cli->operand_count > cli->verb->operand_max;
	return args_is_folder(cli->operands[0]);
}

int args_end_bare(struct cli *cli)
{
	const char *environment = getenv("COPPICE_STORE");

	if (!cli->path && optind == cli->argc &&
	    (!environment || !*environment))
		return 0;
	return args_end(cli);
}

int args_end(struct cli *cli)
{
	const char *environment = getenv("COPPICE_STORE");
	const struct verb *verb = cli->verb;

	cli->operands = cli->argv + optind;
	cli->operand_count = cli->argc - optind;
	if (verb->store == VERB_STORE_NONE) {
		if (cli->path)
			return args_fault(cli, "'%s' takes no store",
					  verb->name);
	} else if (!cli->path && args_names_store(cli, environment)) {
		if (cli->operand_count == 0)
			return args_fault(
			    cli, "no store: name it, or set COPPICE_STORE");
		cli->operand_count--;
		cli->path = verb->store == VERB_STORE_LAST
				? cli->operands[cli->operand_count]
				: *cli->operands++;
	} else if (!cli->path) {
		cli->path = environment;
	}
	if (cli->operand_count < verb->operand_min)
		return args_fault(
		    cli, "'%s' needs %s%s", verb->name, verb->operands,
		    verb->store == VERB_STORE_FIRST ? " after the store" : "");
	if (verb->operand_max >= 0 && cli->operand_count > verb->operand_max)
		return args_fault(cli,
				  "'%s' does not know what to do with '%s'",
				  verb->name, cli->operands[verb->operand_max]);
	return 0;
}

static const char *args_name(const struct cli *cli)
{
	const struct arg_row *row;

	for (size_t i = 0; (row = args_row(cli->verb, i)); i++)
		if (row->id == cli->id)
			return row->name;
	return "?";
}

int args_u64(struct cli *cli, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value;

	if (words_u64(cli->value, 10, &value) || value < min || value > max)
		return args_fault(cli,
				  "--%s takes a whole number from %llu to "
				  "%llu, not '%s'",
				  args_name(cli), (unsigned long long)min,
				  (unsigned long long)max, cli->value);
	*out = value;
	return 0;
}

int args_double(struct cli *cli, double *out)
{
	if (words_double(cli->value, out))
		return args_fault(cli, "--%s takes a number, not '%s'",
				  args_name(cli), cli->value);
	return 0;
}

int args_word(struct cli *cli, const char *const *words)
{
	char list[256] = "";
	size_t size = 0;

	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], cli->value))
			return i;
		if (size < sizeof list)
			size +=
			    (size_t)snprintf(list + size, sizeof list - size,
					     "%s%s", i ? ", " : "", words[i]);
	}
	args_fault(cli, "--%s takes one of %s, not '%s'", args_name(cli), list,
		   cli->value);
	return -1;
}
