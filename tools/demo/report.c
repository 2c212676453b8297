/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what the processes did at once.
 *
 * idea
 *	All figures are of the same seconds.  A delay is from the moment when
 *	cop_commit() returned in the writer to the moment when the worker had
 *	looked, found the entity, found it by its vector and walked its edge;
 *	one found before cop_commit() had returned counts as 0.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "term.h"

struct delays {
	double median_ms;
	double high_ms; /* 99th percentile */
};

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static struct delays delays_of(uint64_t *ns, uint32_t count)
{
	struct delays delays = {0, 0};

	if (count == 0)
		return delays;
	qsort(ns, count, sizeof *ns, compare);
	delays.median_ms = (double)ns[count / 2] / 1e6;
	delays.high_ms = (double)ns[(uint64_t)count * 99 / 100] / 1e6;
	return delays;
}

/* Delays of one worker; -1 if it missed an entity. */
static int worker_delays(struct board *board, uint32_t index, uint64_t *ns)
{
	const struct board_worker *worker = &board->worker[index];
	uint32_t news;

	if (worker->news_found != board->news_count)
		return complain("worker %u found %u of %u new entities",
				index + 1, worker->news_found,
				board->news_count);
	for (news = 0; news < board->news_count; news++) {
		uint64_t found = worker->found_ns[news];
		uint64_t committed = board_commit_ns(board, news);

		if (committed == 0 || found == 0)
			return complain("new entity %u has no time", news + 1);
		ns[news] = found > committed ? found - committed : 0;
	}
	return 0;
}

static void print_row(const char *name, double searches, double search_ms,
		      double walks, const char *found, struct delays delays)
{
	char search_text[TERM_NUMBER_BYTES];
	char walk_text[TERM_NUMBER_BYTES];

	term_print(TERM_PLAIN,
		   "%-11s%10s  %6.2f ms %11s %12s %7.2f ms %7.2f ms\n", name,
		   term_count((uint64_t)searches, search_text), search_ms,
		   term_count((uint64_t)walks, walk_text), found,
		   delays.median_ms, delays.high_ms);
}

static int print_workers(struct board *board)
{
	static uint64_t all[BOARD_WORKERS_MAX * BOARD_NEWS_MAX];
	uint32_t news = board->news_count;
	double sums[4] = {0, 0, 0, 0}; /* searches, walks, s, searches/s */
	double walks = 0;
	char found[32];
	uint32_t index;

	for (index = 0; index < board->worker_count; index++) {
		const struct board_worker *worker = &board->worker[index];
		uint64_t own[BOARD_NEWS_MAX];
		double seconds = (double)worker->run_ns / 1e9;
		char name[32];

		if (worker_delays(board, index, own) != 0)
			return -1;
		memcpy(all + (size_t)index * news, own, news * sizeof *own);
		snprintf(name, sizeof name, "worker %u", index + 1);
		snprintf(found, sizeof found, "%u/%u", worker->news_found,
			 news);
		print_row(name, (double)worker->searches / seconds,
			  (double)worker->search_ns / 1e6 /
			      (double)worker->searches,
			  (double)worker->walks / seconds, found,
			  delays_of(own, news));
		sums[0] += (double)worker->searches;
		sums[2] += (double)worker->search_ns / 1e6;
		sums[3] += (double)worker->searches / seconds;
		walks += (double)worker->walks / seconds;
	}
	snprintf(found, sizeof found, "%u/%u", news * board->worker_count,
		 news * board->worker_count);
	print_row("together", sums[3], sums[2] / sums[0], walks, found,
		  delays_of(all, news * board->worker_count));
	return 0;
}

static void print_memory(struct board *board, const struct cop_stats *stats)
{
	double megabyte = 1e6;
	double shared = (double)stats->shared_bytes / megabyte;
	double least = 1e30;
	double most = 0;
	uint32_t index;

	for (index = 0; index < board->worker_count; index++) {
		double own =
		    (double)board->worker[index].private_bytes / megabyte;

		least = own < least ? own : least;
		most = own > most ? own : most;
	}
	term_heading("Memory", NULL);
	term_print(
	    TERM_PLAIN,
	    "one shared copy             %8.1f MB   %.1f of it vectors\n",
	    shared, (double)stats->bank_bytes / megabyte);
	term_print(TERM_PLAIN,
		   "private to each worker      %8.1f MB   up to %.1f MB\n",
		   least, most);
	term_print(TERM_PLAIN,
		   "all %u workers together      %8.1f MB   instead of %.1f MB "
		   "with a copy each\n",
		   board->worker_count,
		   shared + most * (double)board->worker_count,
		   shared * (double)board->worker_count);
}

int report_crew(struct board *board, const struct cop_stats *stats)
{
	struct delays commits =
	    delays_of(board->writer_commit_ns, board->news_count);
	double open_ms = 0;
	uint32_t index;

	for (index = 0; index < board->worker_count; index++) {
		double own = (double)board->worker[index].open_ns / 1e6;

		open_ms = own > open_ms ? own : open_ms;
	}
	term_print(TERM_BOLD, "%-11s%10s  %9s %11s %12s %10s %10s\n", "",
		   "searches", "one", "walks", "new ones", "delay", "delay");
	term_print(TERM_BOLD, "%-11s%10s  %9s %11s %12s %10s %10s\n", "process",
		   "a second", "search", "a second", "found", "median", "p99");
	if (print_workers(board) != 0)
		return -1;
	term_print(TERM_DIM,
		   "Delay: from the writer's cop_commit() returning to the "
		   "entity found, found by\nits vector and its edge walked; it "
		   "holds the search under way when the commit\ncame, and the "
		   "wait for one of %ld cores.  A commit (on disk) took "
		   "%.2f ms, p99\n%.2f.  Opening the store took at most %.1f "
		   "ms.\n",
		   sysconf(_SC_NPROCESSORS_ONLN), commits.median_ms,
		   commits.high_ms, open_ms);
	print_memory(board, stats);
	return 0;
}
