/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefork STORE PORT WORKERS: opens a store, forks workers, and each of them
 * searches the one shared copy.  An example to start from.
 *
 * idea
 *	The master opens the store and a socket on 127.0.0.1, forks, and
 *	replaces each worker that dies, of whatever.  A worker takes one
 *	connection at a time and answers line by line:
 *		like KEY [K]	the K (10) nearest: a line "KEY DISTANCE" each
 *		get KEY		its content
 *		put KEY TEXT	an entity with TEXT as its content
 *	An answer ends with a line "ok PID" or "error WHAT".
 *
 * fork
 *	A child attaches by itself at its first call.  What must not cross a
 *	fork is a read or a write under way.
 */
#include <arpa/inet.h>
#include <coppice.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { K = 10, K_MAX = 1000, LINE_BYTES = 8192 };

/* Returns what went wrong, or NULL; so do those below. */
static const char *like(cop_read *read, const char *key, long k, FILE *out)
{
	static struct cop_hit hits[K_MAX];
	struct cop_search search = {.size = sizeof search, .k = (uint32_t)k};
	uint32_t count = 0;
	cop_err err = cop_lookup(read, key, strlen(key), &search.exclude);

	if (k < 1 || k > K_MAX)
		return "K is a number from 1 to 1000";
	if (!err && search.exclude)
		err = cop_vector(read, search.exclude, &search.vector);
	if (!err && !search.vector)
		return "there is no such entity, or it has no vector";
	if (!err)
		err = cop_search(read, &search, hits, &count);
	for (uint32_t i = 0; !err && i < count; i++) {
		const void *near = NULL;
		size_t size = 0;

		err = cop_key(read, hits[i].id, &near, &size);
		if (!err)
			fprintf(out, "%.*s %g\n", (int)size, (const char *)near,
				hits[i].distance);
	}
	return err ? cop_last_error() : NULL;
}

static const char *get(cop_read *read, const char *key, FILE *out)
{
	struct cop_entity entity;
	const void *content = NULL;
	size_t size = 0;
	cop_err err = cop_get(read, key, strlen(key), &entity);

	if (!err && !entity.id)
		return "there is no such entity";
	if (!err)
		err = cop_entity_content(read, &entity, &content, &size);
	if (err)
		return cop_last_error();
	if (size)
		fprintf(out, "%.*s\n", (int)size, (const char *)content);
	return NULL;
}

static const char *put(cop_store *store, const char *key, const char *text)
{
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .content = text,
			      .content_size = strlen(text)};
	cop_write *write = NULL;
	const char *problem = NULL;

	if (cop_write_begin(store, &write) || cop_put(write, &put) ||
	    cop_commit(write, NULL))
		problem = cop_last_error();
	cop_abort(write); /* frees it; what was committed stays */
	return problem;
}

static void answer(cop_store *store, char *line, FILE *out)
{
	const char *verb = strsep(&line, " ");
	const char *key = line ? strsep(&line, " ") : "";
	const char *problem = "like KEY [K], get KEY or put KEY TEXT";
	cop_read *read = NULL;

	/* no system call once the worker is warm */
	if (cop_read_begin(store, &read))
		problem = cop_last_error();
	else if (!strcmp(verb, "like"))
		problem = like(read, key, line ? atol(line) : K, out);
	else if (!strcmp(verb, "get"))
		problem = get(read, key, out);
	else if (!strcmp(verb, "put"))
		problem = put(store, key, line ? line : "");
	if (problem)
		fprintf(out, "error %s\n", problem);
	else
		fprintf(out, "ok %d\n", (int)getpid());
	cop_read_end(read);
}

static void work(cop_store *store, int listener)
{
	static char line[LINE_BYTES];

	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* none without a master */
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		FILE *in = fdopen(fd, "r");
		FILE *out = fdopen(dup(fd), "w");

		while (in && out && fgets(line, sizeof line, in)) {
			line[strcspn(line, "\r\n")] = '\0';
			answer(store, line, out);
			fflush(out);
		}
		if (out)
			fclose(out);
		if (in)
			fclose(in);
	}
}

static void stop(int number)
{
	_exit(number == SIGTERM ? 0 : 1);
}

int main(int count, char **arguments)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int workers = count == 4 ? atoi(arguments[3]) : 0;
	cop_store *store;

	if (workers < 1)
		return fputs("usage: prefork STORE PORT WORKERS\n", stderr), 2;
	if (cop_open(arguments[1], NULL, &store))
		return fprintf(stderr, "prefork: %s\n", cop_last_error()), 1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(arguments[2]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(listener, (void *)&address, sizeof address) ||
	    listen(listener, 128))
		return perror("prefork"), 1;
	signal(SIGTERM, stop);
	for (;; workers = 1) {
		while (workers-- > 0)
			if (!fork())
				work(store, listener);
		wait(NULL);
	}
}
