/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_store: the store that is served, kept open.
 *
 * idea
 *	Each answer begins a read and ends it, in one thread: nothing is held
 *	back between two of them.  Where a read cannot be begun, another folder
 *	is in the store's place, or the shared memory's files were removed, the
 *	first thread closes the handle and opens the store anew, once a second;
 *	until that succeeds the answers say why.  So this process is never the
 *	one that keeps others from a store that they had to open again.
 *
 * progress
 *	A read holds the lock for reading.  Who opens anew takes it to put the
 *	handle away and to put the new one there; nobody waits for what is
 *	between these.
 */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 2000 };

int serve_init(struct serve *serve, cop_store *store, const char *path)
{
	int number = pthread_rwlock_init(&serve->lock, NULL);

	if (number)
		return number;
	serve->store = store;
	serve->path = path;
	return stat(path, &serve->folder) ? errno : 0;
}

void serve_release(struct serve *serve)
{
	cop_close(serve->store);
	serve->store = NULL;
	pthread_rwlock_destroy(&serve->lock);
}

static void words_take(char *words, cop_err err)
{
	const char *said = cop_last_error();

	snprintf(words, SERVE_WORDS, "%s", *said ? said : cop_strerror(err));
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

cop_err serve_read_begin(struct serve *serve, cop_read **out, char *words)
{
	cop_err err = read_try(serve, out, words);

	if (err && err != COP_BUSY && err != ENOMEM) /* relaxed: a wish */
		atomic_store_explicit(&serve->has_failed, 1,
				      memory_order_relaxed);
	return err;
}

void serve_read_end(struct serve *serve, cop_read *read)
{
	cop_read_end(read);
	pthread_rwlock_unlock(&serve->lock);
}

/* ---- opening anew, by the first thread ---------------------------------- */

/* Whether another folder is where the store was. */
static int is_replaced(const struct serve *serve)
{
	struct stat now;

	return !stat(serve->path, &now) &&
	       (now.st_ino != serve->folder.st_ino ||
		now.st_dev != serve->folder.st_dev);
}

/* Whether what is open is of no use any more, and why. */
static int is_useless(struct serve *serve, char *words)
{
	cop_err err = cop_attached_check(serve->store);

	if (err)
		words_take(words, err);
	else if (is_replaced(serve))
		snprintf(words, SERVE_WORDS, "%s was replaced", serve->path);
	else if (atomic_exchange_explicit(&serve->has_failed, 0,
					  memory_order_relaxed))
		snprintf(words, SERVE_WORDS, "%s cannot be read", serve->path);
	else
		return 0;
	return 1;
}

static void store_put_away(struct serve *serve, const char *words)
{
	cop_store *store;

	pthread_rwlock_wrlock(&serve->lock);
	store = serve->store;
	serve->store = NULL;
	snprintf(serve->words, SERVE_WORDS, "%.*s (it is being opened again)",
		 SERVE_WORDS - 40, words);
	pthread_rwlock_unlock(&serve->lock);
	cop_close(store);
}

/* Building what is to be attached is left for a signal that has come. */
static int32_t is_to_end(void *user, const char *what, uint64_t done,
			 uint64_t total)
{
	sigset_t pending;

	(void)user;
	(void)what;
	(void)done;
	(void)total;
	return !sigpending(&pending) && (sigismember(&pending, SIGTERM) > 0 ||
					 sigismember(&pending, SIGINT) > 0 ||
					 sigismember(&pending, SIGHUP) > 0);
}

static void store_open(struct serve *serve)
{
	struct cop_open_options options = {.size = sizeof options,
					   .timeout_ms = WAIT_MS,
					   .progress = is_to_end,
					   .name = "coppice serve"};
	cop_store *store = NULL;
	cop_err err = cop_open(serve->path, &options, &store);

	pthread_rwlock_wrlock(&serve->lock);
	if (err)
		words_take(serve->words, err);
	else if (stat(serve->path, &serve->folder))
		serve->folder = (struct stat){.st_ino = 0};
	serve->store = store;
	pthread_rwlock_unlock(&serve->lock);
}

void serve_watch(struct serve *serve)
{
	char words[SERVE_WORDS];

	if (serve->store && is_useless(serve, words))
		store_put_away(serve, words);
	if (!serve->store)
		store_open(serve);
}
