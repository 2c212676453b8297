/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coppice: the command.
 *
 * idea
 *	`coppice VERB STORE ...`: a table of verbs, one file each.  Data goes to
 *	stdout, everything else to stderr.  A verb returns an exit status and
 *	leaves words in cli->fault; main() closes the store and prints them.
 *
 * exit status
 *	0 done, 1 no result, 2 usage, 3 no such store, 4 damaged, 5 busy, 6 no
 *	space, 7 bad input, 8 written by another version, 9 no permission, 70 a
 *	fault of coppice's own (fault.h).
 *
 * output that nobody reads
 *	SIGPIPE is ignored.  A closed pipe ends the verb early, quietly and with
 *	its usual status; a full disk behind stdout is an error (6), and so is
 *	stdout that was closed before (2), if there was something to print.
 */
#include "args.h"
#include "out.h"
#include "words.h"
#include "verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

const struct verb *const verbs[] = {
    &verb_init,	       &verb_import,	  &verb_export,	 &verb_put,
    &verb_get,	       &verb_delete,	  &verb_search,	 &verb_walk,
    &verb_path,	       &verb_neighbors,	  &verb_scan,	 &verb_count,
    &verb_content_put, &verb_content_get, &verb_tag,	 &verb_untag,
    &verb_history,     &verb_diff,	  &verb_log,	 &verb_undelete,
    &verb_retain,      &verb_mcp,	  &verb_stat,	 &verb_top,
    &verb_latency,     &verb_readers,	  &verb_locks,	 &verb_slow,
    &verb_trace,       &verb_watch,	  &verb_metrics, &verb_serve,
    &verb_ping,	       &verb_check,	  &verb_doctor,	 &verb_config,
    &verb_maintain,    &verb_compact,	  &verb_rebuild, &verb_checkpoint,
    &verb_attach,      &verb_detach,	  &verb_backup,	 &verb_verify,
    &verb_restore,     &verb_upgrade,
};

enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

const size_t verbs_count = VERB_COUNT;

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

static void verb_list(FILE *to)
{
	fputs("usage: coppice VERB STORE [ARGUMENT...] [OPTION...]\n"
	      "A knowledge graph with vectors that many processes share.\n\n",
	      to);
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(to, "  %-12s%s\n", verbs[i]->name, verbs[i]->summary);
	fputs("\n`coppice help VERB` tells more. STORE may come from the "
	      "environment, as\nCOPPICE_STORE. Exit status: 0 done, 1 no "
	      "result, 2 usage, 3 no such store,\n4 damaged, 5 busy, 6 no "
	      "space, 7 bad input, 8 other version, 9 no permission,\n70 "
	      "internal.\n",
	      to);
}

const struct verb *verb_of(int argc, char **argv, int *count)
{
	const struct verb *verb = argc ? verb_find(argv[0]) : NULL;
	char name[32];

	*count = 1;
	if (verb || argc < 2)
		return verb;
	if ((size_t)snprintf(name, sizeof name, "%s %s", argv[0], argv[1]) <
	    sizeof name)
		verb = verb_find(name);
	*count = 2;
	return verb;
}

static int verb_unknown(const char *name)
{
	const struct verb *nearest = NULL;
	size_t best = strlen(name) > 3 ? 3 : 2;

	for (size_t i = 0; i < VERB_COUNT; i++) {
		size_t distance = words_distance(name, verbs[i]->name);

		if (!strncmp(name, verbs[i]->name, strlen(name)) &&
		    verbs[i]->name[strlen(name)] == ' ')
			distance = 0; /* the first of its words */
		if (distance < best) {
			best = distance;
			nearest = verbs[i];
		}
	}
	if (nearest)
		fault_note("there is no verb '%s'. Did you mean: coppice %s",
			   name, nearest->name);
	else
		fault_note("there is no verb '%s'. Try: coppice help", name);
	return EXIT_USAGE;
}

static int verb_help(int argc, char **argv)
{
	const struct verb *verb;
	int words;

	if (!argc) {
		verb_list(stdout);
		return EXIT_FINE;
	}
	verb = verb_of(argc, argv, &words);
	if (!verb)
		return verb_unknown(argv[0]);
	args_help(verb, stdout);
	return EXIT_FINE;
}

static int verb_run(const struct verb *verb, int argc, char **argv)
{
	struct cli cli;
	int code;

	memset(&cli, 0, sizeof cli);
	cli.verb = verb;
	cli.argc = argc;
	cli.argv = argv;
	code = verb->run(&cli);
	cli_close(&cli);
	if (cli.helped)
		code = EXIT_FINE;
	fault_print(&cli.fault);
	if (!cli.stop_signal)
		return code;
	signal(cli.stop_signal, SIG_DFL);
	raise(cli.stop_signal);
	return code;
}

static int command_run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct verb *verb;
	int words;

	if (!word) {
		verb_list(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		printf("coppice %s\n", cop_version());
		return EXIT_FINE;
	}
	if (!strcmp(word, "help") || !strcmp(word, "--help") ||
	    !strcmp(word, "-h"))
		return verb_help(argc - 2, argv + 2);
	if (!strcmp(word, "complete")) {
		complete_print(argc - 2, argv + 2);
		return EXIT_FINE;
	}
	verb = verb_of(argc - 1, argv + 1, &words);
	if (!verb)
		return verb_unknown(word);
	return verb_run(verb, argc - words, argv + words);
}

/*
 * A file must not be opened under a number that people print to: one that is
 * closed becomes what can be neither read nor written.  By its name, such as
 * /dev/stdout, it can be: then it has nothing, or takes nothing.
 */
static void descriptors_fill(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open(fd == STDIN_FILENO ? "/dev/null" : "/dev/full",
			 O_PATH) < 0)
			return;
}

int main(int argc, char **argv)
{
	int code;

	descriptors_fill();
	signal(SIGPIPE, SIG_IGN);
	code = command_run(argc, argv);
	return out_end(code);
}
