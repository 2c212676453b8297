/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete: what may follow on a command line.
 *
 * idea
 *	`coppice complete WORD...` is what a shell runs when its user presses
 *	the tab key: the words after `coppice` up to there, the last one, which
 *	may be empty, to be completed.  The answers come from the tables of
 *	verbs and options, so every shell knows what this coppice does; their
 *	scripts, tools/completion, hand them on.
 *
 * layout
 *	A line for each whole word that it may become, a tab and what it means;
 *	one that ends in = takes a value.  Or `:files` or `:folders`, for the
 *	shell to find those itself, of --option=VALUE for the value alone.
 */
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

struct complete {
	int argc;
	char **argv;
	const char *word; /* the last one */
};

/* Prints a word if it begins as what is there. */
static void word_offer(const struct complete *complete, const char *word,
		       const char *meaning)
{
	if (!strncmp(word, complete->word, strlen(complete->word)))
		printf("%s\t%s\n", word, meaning);
}

/* ---- verbs -------------------------------------------------------------- */

static int is_first(const char *name, const char *word)
{
	size_t size = strlen(word);

	return !strncmp(name, word, size) && name[size] == ' ';
}

/* The first words of verbs, each once. */
static void verbs_offer(const struct complete *complete)
{
	char last[32] = "";

	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = verbs[i];
		char first[sizeof last];
		int size = (int)strcspn(verb->name, " ");

		snprintf(first, sizeof first, "%.*s", size, verb->name);
		if (strcmp(first, last))
			word_offer(complete, first, verb->summary);
		memcpy(last, first, sizeof last);
	}
}

static void verbs_offer_second(const struct complete *complete,
			       const char *first)
{
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *verb = verbs[i];

		if (is_first(verb->name, first))
			word_offer(complete, strchr(verb->name, ' ') + 1,
				   verb->summary);
	}
}

/* ---- options ------------------------------------------------------------ */

/* The option that a word is, as --name, --name=VALUE or -k; NULL: none. */
static const struct arg_row *row_of(const struct verb *verb, const char *word)
{
	const struct arg_row *row;
	size_t size = strcspn(word, "=");

	for (size_t i = 0; (row = args_row(verb, i)); i++) {
		if (!strncmp(word, "--", 2) && size == strlen(row->name) + 2 &&
		    !strncmp(word + 2, row->name, size - 2))
			return row;
		if (row->id < ARG_LONG && word[0] == '-' &&
		    word[1] == row->id && !word[2])
			return row;
	}
	return NULL;
}

static void options_offer(const struct complete *complete,
			  const struct verb *verb)
{
	const struct arg_row *row;
	char word[64];

	for (size_t i = 0; (row = args_row(verb, i)); i++) {
		if (row->name[1])
			snprintf(word, sizeof word, "--%s%s", row->name,
				 row->value ? "=" : "");
		else
			snprintf(word, sizeof word, "-%c", row->id);
		word_offer(complete, word, row->help);
	}
}

/*
 * The words that may stand where a value or an operand is called `name`, each
 * with the word before = in front of it.
 */
static void value_offer(const struct complete *complete, const char *name,
			const char *meaning)
{
	const char *equals = strchr(complete->word, '=');
	int front = *complete->word == '-' && equals
			? (int)(equals + 1 - complete->word)
			: 0;
	char word[128];

	for (size_t size; *name; name += size + (name[size] == '|')) {
		size = strcspn(name, "|");
		if (*name >= 'a' && *name <= 'z') {
			snprintf(word, sizeof word, "%.*s%.*s", front,
				 complete->word, (int)size, name);
			word_offer(complete, word, meaning);
		} else if (!strncmp(name, "FILE", 4)) {
			puts(":files");
		} else if (!strncmp(name, "DIR", 3)) {
			puts(":folders");
		}
	}
}

/* ---- operands ----------------------------------------------------------- */

/* Operand `index` of those after STORE; the last one may be repeated. */
static void operand_offer(const struct complete *complete,
			  const struct verb *verb, int index)
{
	const char *name = verb->operands;

	while (index-- && name[strcspn(name, " ")])
		name += strcspn(name, " ") + 1;
	value_offer(complete, *name == '[' ? name + 1 : name, verb->summary);
}

/* What stands behind `count` words, if the store is named already or not. */
static void place_offer(const struct complete *complete,
			const struct verb *verb, int count, int named)
{
	int first = verb->store == VERB_STORE_FIRST && !named;

	if ((first && !count) || (verb->store == VERB_STORE_LAST && !named &&
				  count == verb->operand_max))
		puts(":folders");
	else
		operand_offer(complete, verb, count - first);
}

static void verb_offer(const struct complete *complete, const struct verb *verb,
		       int from)
{
	const char *environment = getenv("COPPICE_STORE");
	int named = environment && *environment;
	int operands = 0;
	const struct arg_row *row = NULL; /* that waits for its value */

	for (int i = from; i < complete->argc - 1; i++) {
		const char *word = complete->argv[i];
		int is_value = row != NULL;

		row = is_value ? NULL : row_of(verb, word);
		if (row && row->id == ARG_STORE)
			named = 1;
		if (row && (!row->value || strchr(word, '=')))
			row = NULL;
		if (!is_value && *word != '-')
			operands++;
	}
	if (!row && *complete->word == '-' && strchr(complete->word, '='))
		row = row_of(verb, complete->word);
	if (row && row->value)
		value_offer(complete, row->value, row->help);
	else if (*complete->word == '-')
		options_offer(complete, verb);
	else
		place_offer(complete, verb, operands, named);
}

void complete_print(int argc, char **argv)
{
	struct complete complete = {argc, argv, argc ? argv[argc - 1] : ""};
	const struct verb *verb;
	int words;

	if (argc > 1 && !strcmp(argv[0], "help")) {
		complete.argc--;
		complete.argv++;
	}
	if (complete.argc < 2) {
		verbs_offer(&complete);
		if (argc < 2) {
			word_offer(&complete, "help", "what a verb does");
			word_offer(&complete, "--version", "of this coppice");
		}
		return;
	}
	verb = verb_of(complete.argc - 1, complete.argv, &words);
	if (complete.argc == 2)
		verbs_offer_second(&complete, complete.argv[0]);
	if (verb && complete.argv == argv)
		verb_offer(&complete, verb, words);
}
