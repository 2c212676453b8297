/* SPDX-License-Identifier: Apache-2.0 */
/* A verb, its options and operands, and what it works with; args.c. */
#ifndef TOOLS_ARGS_H
#define TOOLS_ARGS_H

#include "fault.h"

#include <stdio.h>

struct cli;

/*
 * One option: `id` is its letter, or a number from ARG_LONG up if none.  A
 * value is named by what may stand there, with | between: words as they are to
 * be typed, in small letters; FILE; DIR; any other name is for people.
 */
struct arg_row {
	int id;
	const char *name;
	const char *value; /* what its value is called, NULL: it has none */
	const char *help;
};

enum {
	ARG_LONG = 256,
	ARG_JSON,
	ARG_PROGRESS,
	ARG_STORE,
	ARG_TIMEOUT,
	ARG_AS_OF,
	ARG_VALID_AT,
	ARG_OWN /* a verb numbers its own from here */
};

#define ARG_JSON_ROW                                                           \
	{                                                                      \
		ARG_JSON, "json", NULL, "print JSON, one object a line"        \
	}
#define ARG_AS_OF_ROW                                                          \
	{                                                                      \
		ARG_AS_OF, "as-of", "COMMIT|TIME",                             \
		    "as it was then: 42, 2026-11-27T10:00Z, 2h ago: 2h"        \
	}
#define ARG_VALID_AT_ROW                                                       \
	{                                                                      \
		ARG_VALID_AT, "valid-at", "TIME",                              \
		    "only what is valid then: 1815, 2026-11-27"                \
	}
#define ARG_END                                                                \
	{                                                                      \
		0, NULL, NULL, NULL                                            \
	}

/* Which operand is the store. */
enum verb_store { VERB_STORE_FIRST, VERB_STORE_LAST, VERB_STORE_NONE };

struct verb {
	const char *name;
	enum verb_store store;
	const char *operands; /* as the synopsis shows them, without STORE */
	const char *summary;
	const struct arg_row *rows; /* ends in ARG_END */
	int operand_min;	    /* how many there are, STORE not counted */
	int operand_max;	    /* -1: any number */
	const char *notes;	    /* more text for the help, or NULL */
	void (*table)(FILE *to);    /* prints still more, or NULL */
	int (*run)(struct cli *cli);
};

/*
 * Option `index` of a verb: its own, then those that every verb takes, but for
 * those that it has itself.  NULL: there are no more.
 */
const struct arg_row *args_row(const struct verb *verb, size_t index);

/* One run of the command: everything that main() has to release. */
struct cli {
	const struct verb *verb;
	int argc;
	char **argv;
	const char *value; /* of the option that args_next() returned */
	int id;		   /* of that option */
	uint64_t given;	   /* a bit for each of the verb's own, from ARG_OWN */
	int helped;	   /* help was printed: nothing else is to be done */
	int quiet;
	int log_level;	 /* enum cop_log_level, 0: as COPPICE_LOG says */
	int stop_signal; /* set by the import: a signal ended it */
	uint32_t timeout_ms;
	const char *as_of;    /* commit or time to read as of, NULL: newest */
	const char *valid_at; /* time at which edges are valid, NULL: any */
	const char *path;     /* of the store */
	char **operands;
	int operand_count;
	cop_store *store;
	cop_read *read;
	cop_write *write;
	struct fault fault;
};

/*
 * The next option's id with cli->value set; 0 after the last; negative if the
 * verb is to return cli->fault.code at once.
 */
int args_next(struct cli *cli);

/*
 * Called when args_next() has returned 0: finds STORE and the operands.
 * Returns 0 or an exit status.
 */
int args_end(struct cli *cli);

/* The same for a verb that can do without a store: cli->path is NULL then. */
int args_end_bare(struct cli *cli);

/* Whether an option of the verb's own was given. */
static inline int args_given(const struct cli *cli, int id)
{
	return (int)(cli->given >> (id - ARG_OWN) & 1);
}

/*
 * After args_end(): refuses an option that does nothing without another.
 * Returns 0 or an exit status.
 */
int args_needs(struct cli *cli, int id, int other);

/* The option's value as a number within min and max; 0 or an exit status. */
int args_u64(struct cli *cli, uint64_t min, uint64_t max, uint64_t *out);
int args_double(struct cli *cli, double *out);

/*
 * The option's value as one of `words` (ends in NULL): its index, or negative
 * with the fault set.
 */
int args_word(struct cli *cli, const char *const *words);

/* Sets a usage fault with a pointer to the help; returns its exit status. */
__attribute__((format(printf, 2, 3))) int args_fault(struct cli *cli,
						     const char *format, ...);

/* Prints the help of a verb. */
void args_help(const struct verb *verb, FILE *to);

/* --- what verbs do with the store; cli.c --- */

/* Opens the store; 0 or an exit status. */
int cli_open(struct cli *cli);

/* The same, unless nobody has attached it: EXIT_NO_RESULT. */
int cli_open_attached(struct cli *cli);

/* Opens the store and begins a read, as --as-of and --valid-at say; a write. */
int cli_open_read(struct cli *cli);
int cli_open_write(struct cli *cli);

/*
 * The commit that a user's word names, as the read's newest, or as it was at
 * a time.  0 or an exit status.
 */
int cli_commit(struct cli *cli, const char *word, uint64_t *commit);

/* A word as a point in time in the world.  0 or an exit status. */
int cli_instant(struct cli *cli, const char *word, struct cop_instant *out);

/* Ends the read and the write and closes the store. */
void cli_close(struct cli *cli);

/* The id of a key; if there is none, the fault says so. */
int cli_entity(struct cli *cli, const char *key, uint64_t *id);

/* Sets the fault from the library's error; returns its exit status. */
int cli_cop(struct cli *cli, cop_err error);

/* The fault of the signal that asked to end; returns its exit status. */
int cli_stopped(struct cli *cli);

#endif
