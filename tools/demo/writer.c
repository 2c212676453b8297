/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: a process of its own that adds entities while others search.
 *
 * idea
 *	Each new entity has a vector in a direction of its own, a tag, a text
 *	and one edge to an entity that was there before, and is a commit of its
 *	own.  When cop_commit() has returned, that is when it is on disk, the
 *	time is noted on the board; the next one follows `gap_ms` later.
 */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "textvec.h"

struct writer {
	struct board *board;
	cop_store *store;
	cop_read *read;
	cop_write *write;
};

static void sleep_until(uint64_t ns)
{
	struct timespec at = {.tv_sec = (time_t)(ns / 1000000000U),
			      .tv_nsec = (long)(ns % 1000000000U)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) ==
	       EINTR)
		;
}

static cop_err put_entity(struct writer *writer, uint32_t news, const char *key)
{
	char text[64];
	const char *tag = "news";
	float vector[TEXTVEC_DIM];
	struct cop_put put = {.size = sizeof put};

	board_news_vector(news, vector);
	snprintf(text, sizeof text, "Added while others search, number %u.",
		 news + 1);
	put.key = key;
	put.key_size = (uint32_t)strlen(key);
	put.type = "news";
	put.type_size = 4;
	put.tags = &tag;
	put.tag_count = 1;
	put.content = text;
	put.content_size = strlen(text);
	put.vector = vector;
	put.dim = TEXTVEC_DIM;
	return cop_put(writer->write, &put);
}

static cop_err put_edge(struct writer *writer, uint32_t news, const char *key)
{
	struct cop_put_edge edge = {.size = sizeof edge};
	const struct board *board = writer->board;
	cop_err error =
	    cop_key(writer->read, board->sample[news % board->sample_count],
		    &edge.target, &edge.target_size);

	if (error != 0)
		return error;
	edge.source = key;
	edge.source_size = strlen(key);
	edge.relation = "about";
	edge.relation_size = 5;
	return cop_put_edge(writer->write, &edge);
}

static int add(struct writer *writer, uint32_t news)
{
	char key[32];
	cop_err error;
	uint64_t start_ns;
	uint64_t end_ns;

	board_news_key(news, key);
	error = put_entity(writer, news, key);
	if (error != 0)
		return complain_cop("cop_put", error);
	error = put_edge(writer, news, key);
	if (error != 0)
		return complain_cop("cop_put_edge", error);
	start_ns = board_clock_ns();
	error = cop_commit(writer->write, NULL);
	end_ns = board_clock_ns();
	if (error != 0)
		return complain_cop("cop_commit", error);
	writer->board->writer_commit_ns[news] = end_ns - start_ns;
	board_note_commit(writer->board, news, end_ns);
	return 0;
}

static int run(struct writer *writer)
{
	uint64_t next_ns = board_clock_ns() + NEWS_LEAD_MS * 1000000ULL;
	uint32_t news;

	for (news = 0; news < writer->board->news_count; news++) {
		sleep_until(next_ns);
		if (add(writer, news) != 0)
			return -1;
		next_ns += writer->board->gap_ms * 1000000ULL;
	}
	return 0;
}

static int work(struct writer *writer, const char *path)
{
	cop_err error = cop_open(path, NULL, &writer->store);

	if (error != 0)
		return complain_cop("cop_open", error);
	error = cop_read_begin(writer->store, &writer->read);
	if (error != 0)
		return complain_cop("cop_read_begin", error);
	error = cop_write_begin(writer->store, &writer->write);
	if (error != 0)
		return complain_cop("cop_write_begin", error);
	board_ready(writer->board);
	board_await_go(writer->board);
	return run(writer);
}

int writer_main(struct board *board, const char *path)
{
	struct writer writer = {.board = board};
	int status = work(&writer, path);

	cop_abort(writer.write);
	cop_read_end(writer.read);
	if (status == 0) {
		board_done(board);
		board_await_dismissal(board);
	}
	cop_close(writer.store);
	return status == 0 ? 0 : 1;
}
