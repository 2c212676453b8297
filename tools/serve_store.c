/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_store: the store that is served, kept open.
 *
 * idea
 *	Each answer begins a read and ends it, in one thread: nothing is held
 *	back between two of them.  Where a read cannot be begun, or another
 *	folder is in the store's place, the handle is closed and the store
 *	opened anew, at most every REOPEN_NS; until that succeeds the answers
 *	say why.
 *
 * progress
 *	A read holds the lock for reading; who opens anew waits for these.
 */
#include "serve.h"
#include "steady.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REOPEN_NS UINT64_C(2000000000)

enum { WAIT_MS = 2000 };

int serve_init(struct serve *serve, cop_store *store, const char *path)
{
	int number = pthread_rwlock_init(&serve->lock, NULL);

	if (number)
		return number;
	number = pthread_mutex_init(&serve->watch_lock, NULL);
	if (number) {
		pthread_rwlock_destroy(&serve->lock);
		return number;
	}
	serve->store = store;
	serve->path = path;
	serve->opened_ns = steady_ns();
	return stat(path, &serve->folder) ? errno : 0;
}

void serve_release(struct serve *serve)
{
	cop_close(serve->store);
	serve->store = NULL;
	pthread_mutex_destroy(&serve->watch_lock);
	pthread_rwlock_destroy(&serve->lock);
}

static void words_take(char *words, cop_err err)
{
	const char *said = cop_last_error();

	snprintf(words, SERVE_WORDS, "%s", *said ? said : cop_strerror(err));
}

static void reopen(struct serve *serve)
{
	struct cop_open_options options = {.size = sizeof options,
					   .timeout_ms = WAIT_MS,
					   .name = "coppice serve"};
	cop_err err;

	pthread_rwlock_wrlock(&serve->lock);
	if (steady_ns() - serve->opened_ns >= REOPEN_NS) {
		cop_close(serve->store);
		serve->store = NULL;
		err = cop_open(serve->path, &options, &serve->store);
		if (err)
			words_take(serve->words, err);
		else if (stat(serve->path, &serve->folder))
			serve->folder = (struct stat){.st_ino = 0};
		serve->opened_ns = steady_ns();
	}
	pthread_rwlock_unlock(&serve->lock);
}

/* Holds the lock if it returns 0. */
static cop_err read_try(struct serve *serve, cop_read **out, char *words)
{
	cop_err err;

	pthread_rwlock_rdlock(&serve->lock);
	if (serve->store) {
		err = cop_read_begin(serve->store, out);
		if (!err)
			return 0;
		words_take(words, err);
	} else {
		err = COP_NOT_A_STORE;
		memcpy(words, serve->words, SERVE_WORDS);
	}
	pthread_rwlock_unlock(&serve->lock);
	return err;
}

/* Whether another folder is where the store was. */
static int is_replaced(struct serve *serve)
{
	struct stat now;
	int is;

	pthread_rwlock_rdlock(&serve->lock);
	is = serve->store && !stat(serve->path, &now) &&
	     (now.st_ino != serve->folder.st_ino ||
	      now.st_dev != serve->folder.st_dev);
	pthread_rwlock_unlock(&serve->lock);
	return is;
}

cop_err serve_read_begin(struct serve *serve, cop_read **out, char *words)
{
	cop_err err;

	if (is_replaced(serve))
		reopen(serve);
	err = read_try(serve, out, words);
	if (!err || err == COP_BUSY || err == ENOMEM)
		return err;
	reopen(serve);
	return read_try(serve, out, words);
}

void serve_read_end(struct serve *serve, cop_read *read)
{
	cop_read_end(read);
	pthread_rwlock_unlock(&serve->lock);
}

/* ---- who writes --------------------------------------------------------- */

void serve_watch(struct serve *serve)
{
	struct holder seen = {.pid = 0};
	cop_err err = 0;

	pthread_rwlock_rdlock(&serve->lock);
	if (serve->store)
		err = holder_look(serve->store, &seen);
	pthread_rwlock_unlock(&serve->lock);
	if (err)
		return;
	pthread_mutex_lock(&serve->watch_lock);
	if (!holder_is_same(&seen, &serve->writer))
		serve->writer_since_ns = steady_ns();
	serve->writer = seen;
	pthread_mutex_unlock(&serve->watch_lock);
}
