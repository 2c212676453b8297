/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coppice-demo: WordNet as a graph with vectors, searched and walked by
 * several processes at once while another one adds to it.
 *
 * idea
 *	1. Read WordNet 3.0 and give each of its 117,659 synsets a vector.
 *	2. Import them and their relations through the C API.
 *	3. Start four workers and a writer as programs of their own, for six
 *	   seconds; see worker.c and writer.c.
 *	4. Show what they did, what memory it took, and some answers.
 *
 *	coppice-demo STORE		the demonstration; STORE must not exist
 *	coppice-demo load STORE		WordNet alone, which stays: for servers;
 *					STORE may be an empty one of dimension
 *					128
 *	coppice-demo clean STORE	removes what a killed one left in memory
 *	coppice-demo worker|writer FD INDEX STORE	for its own use
 *
 *	WNSEARCHDIR names WordNet's folder, as for wn(1).
 *
 * limits
 *	The exit status is 0 only if every new entity was found by every worker,
 *	all searches, walks and counts were right and no process died.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "crew.h"
#include "import.h"
#include "report.h"
#include "signals.h"
#include "term.h"
#include "worker.h"

enum { WORKERS = 4, NEWS = 200, GAP_MS = 20, RUN_MS = 6000 };

struct demo {
	const char *path;
	cop_store *store;
	struct wordnet wordnet;
	struct textvec textvec;
	struct board *board;
	int board_fd;
};

static int prepare(struct demo *demo)
{
	const char *folder = getenv("WNSEARCHDIR");
	char text[2][TERM_NUMBER_BYTES];
	uint64_t start_ns = board_clock_ns();

	if (folder == NULL || *folder == '\0')
		folder = "/usr/share/wordnet";
	if (wordnet_load(&demo->wordnet, folder) != 0)
		return complain("%s", demo->wordnet.error);
	if (textvec_init(&demo->textvec) != 0)
		return complain("out of memory");
	import_learn(&demo->wordnet, &demo->textvec);
	term_print(TERM_PLAIN,
		   "WordNet 3.0: %s synsets, %s relations, read in %.1f s\n",
		   term_count(demo->wordnet.synset_count, text[0]),
		   term_count(demo->wordnet.pointer_count, text[1]),
		   (double)(board_clock_ns() - start_ns) / 1e9);
	fflush(stdout);
	return 0;
}

/* A store that is there is taken if it `may_exist`. */
static int create(struct demo *demo, int may_exist)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = TEXTVEC_DIM,
				      .metric = COP_COSINE,
				      .expected_entities =
					  demo->wordnet.synset_count};
	struct import_figures figures = {0};
	cop_err error = cop_create(demo->path, &options);

	if (error != 0 && (error != COP_EXISTS || !may_exist))
		return complain_cop("cop_create", error);
	error = cop_open(demo->path, NULL, &demo->store);
	if (error != 0)
		return complain_cop("cop_open", error);
	if (import_run(demo->store, &demo->wordnet, &demo->textvec, &figures) !=
	    0)
		return -1;
	term_print(
	    TERM_PLAIN,
	    "Imported in %.1f s: %.0f entities and %.0f relations a second\n",
	    figures.entity_seconds + figures.edge_seconds,
	    (double)figures.entities / figures.entity_seconds,
	    (double)figures.edges / figures.edge_seconds);
	return 0;
}

static int expect(const char *what, uint64_t is, uint64_t should_be)
{
	return is == should_be ? 0
			       : complain("the store has %llu %s, not %llu",
					  (unsigned long long)is, what,
					  (unsigned long long)should_be);
}

/* The store's figures, which must be what was put, news included. */
static int check(struct demo *demo, uint32_t news, struct cop_stats *stats)
{
	cop_read *read = NULL;
	cop_err error = cop_read_begin(demo->store, &read);

	stats->size = sizeof *stats;
	if (error == 0)
		error = cop_stat(read, stats);
	cop_read_end(read);
	if (error != 0)
		return complain_cop("cop_stat", error);
	if (expect("entities", stats->entities,
		   demo->wordnet.synset_count + news) != 0 ||
	    expect("vectors", stats->vectors,
		   demo->wordnet.synset_count + news) != 0 ||
	    expect("relations", stats->edges,
		   demo->wordnet.pointer_count + news) != 0)
		return -1;
	return 0;
}

/* Entities evenly spread over WordNet for the workers to ask about. */
static int sample(struct demo *demo)
{
	struct board *board = demo->board;
	cop_read *read = NULL;
	cop_err error = cop_read_begin(demo->store, &read);
	uint32_t index;

	for (index = 0; error == 0 && index < BOARD_SAMPLES; index++) {
		uint32_t synset =
		    (uint32_t)((uint64_t)index * demo->wordnet.synset_count /
			       BOARD_SAMPLES);
		char key[WORDNET_KEY_BYTES];
		size_t size = wordnet_key(&demo->wordnet, synset, key);

		error = cop_lookup(read, key, size, &board->sample[index]);
		if (error == 0 && board->sample[index] == 0) {
			cop_read_end(read);
			return complain("%s was put, but is not there", key);
		}
	}
	cop_read_end(read);
	board->sample_count = BOARD_SAMPLES;
	return error == 0 ? 0 : complain_cop("cop_lookup", error);
}

static int share(struct demo *demo)
{
	struct crew crew = {.path = demo->path};
	struct cop_stats stats;
	char remark[128];

	if (check(demo, 0, &stats) != 0 ||
	    board_create(&demo->board, &demo->board_fd) != 0 ||
	    sample(demo) != 0)
		return -1;
	demo->board->worker_count = WORKERS;
	demo->board->news_count = NEWS;
	demo->board->gap_ms = GAP_MS;
	demo->board->run_ms = RUN_MS;
	snprintf(
	    remark, sizeof remark,
	    "%d seconds on %ld cores; each round: a search of %llu vectors, "
	    "%d walks, a look",
	    RUN_MS / 1000, sysconf(_SC_NPROCESSORS_ONLN),
	    (unsigned long long)stats.vectors, BOARD_WALKS);
	term_heading("Four processes search and walk, a fifth one writes",
		     remark);
	crew.board = demo->board;
	crew.board_fd = demo->board_fd;
	if (crew_run(&crew) != 0 || check(demo, NEWS, &stats) != 0)
		return -1;
	return report_crew(demo->board, &stats);
}

/* A process that was killed may stay attached for a moment. */
static cop_err detach(const char *path)
{
	cop_err error = cop_detach(path);
	int tries;

	for (tries = 0; error == COP_BUSY && tries < 200; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		error = cop_detach(path);
	}
	return error;
}

static int demo_main(const char *path)
{
	struct demo demo = {.path = path, .board_fd = -1};
	int status;
	cop_err error;

	signals_catch();
	term_print(TERM_BOLD, "coppice %s", cop_version());
	term_print(TERM_PLAIN, "  one graph with vectors, many processes\n\n");
	status = prepare(&demo) != 0 || create(&demo, 0) != 0 ||
		 share(&demo) != 0 ||
		 answers_show(demo.store, &demo.wordnet, &demo.textvec) != 0;
	cop_close(demo.store);
	error = detach(path);
	if (error != 0 && status == 0)
		status = complain_cop("cop_detach", error) != 0;
	board_release(demo.board);
	if (demo.board_fd >= 0)
		close(demo.board_fd);
	textvec_release(&demo.textvec);
	wordnet_release(&demo.wordnet);
	if (status == 0)
		term_print(TERM_DIM, "\nStore and shared memory removed.\n");
	return status;
}

static int load_main(const char *path)
{
	struct demo demo = {.path = path, .board_fd = -1};
	int status;

	signals_catch();
	status = prepare(&demo) != 0 || create(&demo, 1) != 0;
	cop_close(demo.store);
	textvec_release(&demo.textvec);
	wordnet_release(&demo.wordnet);
	return status;
}

/* A worker's or the writer's: coppice-demo worker FD INDEX STORE */
static int crew_main(char **arguments)
{
	struct board *board;
	int is_writer = strcmp(arguments[1], "writer") == 0;
	uint32_t index = (uint32_t)strtoul(arguments[3], NULL, 10);
	int status;

	if (board_attach(&board, (int)strtol(arguments[2], NULL, 10)) != 0)
		return 1;
	if (!is_writer && index >= BOARD_WORKERS_MAX)
		return 2;
	status = is_writer ? writer_main(board, arguments[4])
			   : worker_main(board, index, arguments[4]);
	board_release(board);
	return status;
}

int main(int argument_count, char **arguments)
{
	if (argument_count == 5 && (strcmp(arguments[1], "worker") == 0 ||
				    strcmp(arguments[1], "writer") == 0))
		return crew_main(arguments);
	if (argument_count == 3 && strcmp(arguments[1], "clean") == 0)
		return detach(arguments[2]) == 0 ? 0 : 1;
	if (argument_count == 3 && strcmp(arguments[1], "load") == 0)
		return load_main(arguments[2]);
	if (argument_count == 2)
		return demo_main(arguments[1]);
	fprintf(stderr, "usage: coppice-demo STORE\n"
			"       coppice-demo load STORE\n"
			"       coppice-demo clean STORE\n");
	return 2;
}
