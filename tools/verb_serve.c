/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve: figures, health and a page about the store, over HTTP.
 *
 * idea
 *	A process like any other that is attached: it only reads, and may be
 *	killed.  The first thread opens the store, listens, waits for a signal
 *	and, once a second, looks who is too slow and whether the store is
 *	there; the others answer (serve_http.c).
 *	Signals are blocked before there is a second thread, so that they come
 *	to the first one.  It never forks.
 *
 *	Without another word it listens on the loopback address alone: there are
 *	no passwords here.
 */
#include "instant.h"
#include "listen.h"
#include "serve.h"
#include "verbs.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SERVE_LISTEN = ARG_OWN,
	SERVE_UNIX,
	SERVE_HOST,
	SERVE_LABEL,
	SERVE_PATIENCE,
	SERVE_AGE,
	PATIENCE_MS = 30000,
	AGE_MS = 60000
};

static const struct arg_row serve_rows[] = {
    {SERVE_LISTEN, "listen", "ADDRESS:PORT",
     "where to listen (default: 127.0.0.1:9475)"},
    {SERVE_UNIX, "unix", "PATH", "listen on a unix socket"},
    {SERVE_HOST, "host", "NAME", "may be asked by this name, too; repeatable"},
    {SERVE_LABEL, "label", "TEXT",
     "say store=\"TEXT\" of all in /metrics, where there are several"},
    {SERVE_PATIENCE, "patience", "TIME",
     "for a request, and for the reading of its answer (default: 30s)"},
    {SERVE_AGE, "max-age", "TIME",
     "a writer may hold the lock so long without a word in /health "
     "(default: 60s)"},
    ARG_END,
};

struct wish {
	const char *tcp;
	const char *local;
	int64_t patience_ms;
	struct serve *serve;
};

static int span_take(struct cli *cli, const char *option, int64_t *ms)
{
	if (!instant_span(cli->value, ms) && *ms)
		return 0;
	return args_fault(cli, "--%s takes a time such as 30s, not '%s'",
			  option, cli->value);
}

static int wish_take(struct cli *cli, int id, struct wish *wish)
{
	struct serve *serve = wish->serve;

	switch (id) {
	case SERVE_LISTEN: wish->tcp = cli->value; break;
	case SERVE_UNIX: wish->local = cli->value; break;
	case SERVE_LABEL: serve->label = cli->value; break;
	case SERVE_PATIENCE:
		return span_take(cli, "patience", &wish->patience_ms);
	case SERVE_AGE: return span_take(cli, "max-age", &serve->age_ms);
	default:
		if (serve->host_count == SERVE_HOSTS - 4)
			return args_fault(cli, "--host may be given %d times",
					  SERVE_HOSTS - 4);
		serve->hosts[serve->host_count++] = cli->value;
	}
	return 0;
}

static int wish_listen(struct cli *cli, const struct wish *wish,
		       struct listen_at *at)
{
	struct serve *serve = wish->serve;
	int code;

	if (wish->local) {
		serve->is_local = 1;
		return listen_unix(at, wish->local, &cli->fault);
	}
	code = listen_tcp(at, wish->tcp ? wish->tcp : "127.0.0.1:9475",
			  &cli->fault);
	serve->hosts[serve->host_count++] = "localhost";
	serve->hosts[serve->host_count++] = "127.0.0.1";
	serve->hosts[serve->host_count++] = "[::1]";
	serve->hosts[serve->host_count++] = at->name;
	return code;
}

static void signals_block(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static void tell(const struct cli *cli, const struct listen_at *at)
{
	if (at->is_public)
		fault_note("warning: other machines can reach %s, and whoever "
			   "does may read the whole store: nobody is asked "
			   "for a password",
			   at->url);
	if (!cli->quiet)
		fault_note("serving %s on %s", cli->path, at->url);
	listen_notify("READY=1");
}

/* Until a signal comes. */
static int serve_wait(struct cli *cli, struct serve *serve, int fd,
		      const struct listen_at *at)
{
	const struct timespec second = {.tv_sec = 1};
	struct MHD_Daemon *daemon;
	sigset_t signals;

	signals_block(&signals);
	daemon = http_start(serve, fd);
	if (!daemon)
		return fault_errno(&cli->fault, "starting to serve",
				   errno ? errno : EAGAIN);
	tell(cli, at);
	do {
		serve_watch(serve);
		clients_watch(&serve->clients);
	} while (sigtimedwait(&signals, NULL, &second) < 0);
	listen_notify("STOPPING=1");
	http_stop(daemon);
	return 0;
}

static int serve_run(struct cli *cli)
{
	struct serve serve = {.age_ms = AGE_MS};
	struct wish wish = {.patience_ms = PATIENCE_MS, .serve = &serve};
	struct listen_at at = {.fd = -1};
	int code = 0, number, id;

	while ((id = args_next(cli)) > 0 && !code)
		code = wish_take(cli, id, &wish);
	if (code || id < 0 || args_end(cli))
		return cli->fault.code;
	if (wish.tcp && wish.local)
		return args_fault(cli, "--listen or --unix, not both");
	code = cli_open(cli);
	if (!code)
		code = wish_listen(cli, &wish, &at);
	if (!code) {
		number = serve_init(&serve, cli->store, cli->path);
		if (number)
			code = fault_errno(&cli->fault, cli->path, number);
	}
	if (!code) {
		cli->store = NULL; /* it is serve's now */
		clients_init(&serve.clients,
			     (uint64_t)wish.patience_ms * 1000000);
		code = serve_wait(cli, &serve, at.fd, &at);
		clients_release(&serve.clients);
		serve_release(&serve);
	}
	if (at.fd >= 0 && wish.local)
		unlink(wish.local);
	return code;
}

const struct verb verb_serve = {
    .name = "serve",
    .operands = "",
    .summary = "figures, health and a page about the store, over HTTP",
    .rows = serve_rows,
    .notes = "/ is the page; /metrics is for Prometheus, /health and /ready "
	     "for whoever watches\nservices; /stats, /search, /entity and "
	     "/graph are JSON. Nothing can be changed.\nEnds at SIGTERM.\n",
    .run = serve_run,
};
