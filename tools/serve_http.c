/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_http: HTTP by libmicrohttpd.
 *
 * idea
 *	Requests only ask: GET and HEAD, no body.  A page of some other site
 *	that a person has open must not read the store through their browser:
 *	the Host header has to be a name that is ours (else a foreign name may
 *	be made to lead here), no other origin is allowed in, and what we send
 *	runs nothing but what came from here.  A whole address in the request's
 *	line, as for a proxy, is taken if its host is ours, too.
 *
 * threads
 *	A pool of THREADS, each with its own poll loop and its share of the
 *	connections.  A request is answered within one call, so its cop_read
 *	begins and ends in one thread, and a slow client holds a buffer, never a
 *	read.  A slow answer (a search by words) keeps the others of its thread
 *	waiting, not those of the other ones, and at most LONG threads have one:
 *	a new connection is taken by one that has not.  More are refused.
 *
 * limits
 *	MEMORY_BYTES for a request's line and headers, IDLE_S of silence; over
 *	them the library refuses.  serve_clients.c has those of connections and
 *	of slowness; no thread has as many as it may, so that each listens.
 *	So it is of some hundred parameters, whose list the library keeps there,
 *	too, but without an answer.
 *	A first line without a space is no request: the library closes the
 *	connection, and has shut it for writing before it tells us, so that
 *	there is no answer.
 */
#include "serve.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	THREADS = 16,
	LONG = 12, /* answers that may take long, at once */
	MEMORY_BYTES = 16384,
	IDLE_S = 15,
	HOST_BYTES = 255
};

#define SCHEME "http://"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

static const char *const headers[][2] = {
    {"Content-Security-Policy", policy},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

/* What is asked of the store. */
static const struct route {
	const char *path;
	reply_fn *reply;
	int is_long; /* it may be */
} routes[] = {
    {"/metrics", reply_metrics, 0}, {"/stats", reply_stats, 0},
    {"/health", reply_health, 0},   {"/ready", reply_ready, 0},
    {"/search", reply_search, 1},   {"/entity", reply_entity, 0},
    {"/graph", reply_graph, 1},
};

/* ---- sending ------------------------------------------------------------ */

static enum MHD_Result response_send(struct MHD_Connection *asked,
				     unsigned status, const char *type,
				     struct MHD_Response *response)
{
	enum MHD_Result sent;

	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					"GET, HEAD");
	sent = MHD_queue_response(asked, status, response);
	MHD_destroy_response(response);
	return sent;
}

static enum MHD_Result reply_send(struct MHD_Connection *asked,
				  struct reply *reply)
{
	const char *type = reply->type ? reply->type : "application/json";

	if (!reply->text && reply->body)
		reply->text = json_dumps(reply->body, JSON_COMPACT);
	json_decref(reply->body);
	if (!reply->text)
		return MHD_NO; /* no memory: the connection is closed */
	if (!reply->text_size)
		reply->text_size = strlen(reply->text);
	return response_send(
	    asked, reply->status ? reply->status : MHD_HTTP_OK, type,
	    MHD_create_response_from_buffer(reply->text_size, reply->text,
					    MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result page_send(struct MHD_Connection *asked,
				 const struct page *page)
{
	union {
		const void *is;
		void *wanted; /* it is not written to */
	} data = {.is = page->begin};

	return response_send(asked, MHD_HTTP_OK, page->type,
			     MHD_create_response_from_buffer(
				 (size_t)(page->end - page->begin), data.wanted,
				 MHD_RESPMEM_PERSISTENT));
}

/* ---- what is refused ---------------------------------------------------- */

/* Whether `host`, with or without a port, is `name`. */
static int host_is(const char *host, const char *name)
{
	size_t size = strlen(name);

	return !strncasecmp(host, name, size) &&
	       (!host[size] ||
		(host[size] == ':' && strspn(host + size + 1, "0123456789") ==
					  strlen(host + size + 1)));
}

static int host_is_ours(const struct serve *serve, const char *host)
{
	if (serve->is_local)
		return 1;
	for (size_t i = 0; i < serve->host_count; i++)
		if (host_is(host, serve->hosts[i]))
			return 1;
	return 0;
}

static const char *header_of(struct MHD_Connection *asked, const char *name)
{
	return MHD_lookup_connection_value(asked, MHD_HEADER_KIND, name);
}

static int has_body(struct MHD_Connection *asked)
{
	const char *size = header_of(asked, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (size && strcmp(size, "0")) ||
	       header_of(asked, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* What a request says of the host that it is for. */
struct asked_host {
	const char *header; /* the first one */
	int count;	    /* of headers */
	char address[HOST_BYTES + 1];
	int has_address; /* the request's line has it, too */
};

static enum MHD_Result host_take(void *user, enum MHD_ValueKind kind,
				 const char *name, const char *value)
{
	struct asked_host *host = user;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_HOST))
		return MHD_YES;
	if (!host->count++)
		host->header = value ? value : "";
	return MHD_YES;
}

/* Where the path begins in what the request's line has. */
static const char *path_of(const char *line)
{
	size_t scheme = strlen(SCHEME);

	if (strncasecmp(line, SCHEME, scheme))
		return line;
	line += scheme;
	line += strcspn(line, "/");
	return *line ? line : "/";
}

static struct asked_host host_of(struct MHD_Connection *asked, const char *line)
{
	struct asked_host host = {.count = 0};
	const char *name = line + strlen(SCHEME);

	MHD_get_connection_values(asked, MHD_HEADER_KIND, host_take, &host);
	host.has_address = path_of(line) != line;
	if (host.has_address) /* one that is too long is nobody's, cut */
		snprintf(host.address, sizeof host.address, "%.*s",
			 (int)strcspn(name, "/"), name);
	return host;
}

static void refuse(const struct serve *serve, struct MHD_Connection *asked,
		   const char *line, const char *method, struct reply *reply)
{
	struct asked_host host = host_of(asked, line);
	const char *foreign = NULL;

	if (host.has_address && !host_is_ours(serve, host.address))
		foreign = host.address;
	else if (host.header && !host_is_ours(serve, host.header))
		foreign = host.header;
	else if (!host.header && !host.has_address && !serve->is_local)
		foreign = "";
	if (host.count > 1)
		reply_fail(reply, MHD_HTTP_BAD_REQUEST,
			   "a request is for one host: it has %d Host headers",
			   host.count);
	else if (foreign)
		reply_fail(reply, MHD_HTTP_FORBIDDEN,
			   "'%.*s' is no name of this server's; allow it with "
			   "--host",
			   HOST_BYTES, foreign);
	else if (strcmp(method, MHD_HTTP_METHOD_GET) &&
		 strcmp(method, MHD_HTTP_METHOD_HEAD))
		reply_fail(reply, MHD_HTTP_METHOD_NOT_ALLOWED,
			   "only GET and HEAD: nothing is changed from here");
	else if (has_body(asked))
		reply_fail(reply, MHD_HTTP_BAD_REQUEST,
			   "a request has no body here");
}

/* ---- answering ---------------------------------------------------------- */

static unsigned status_of(cop_err err)
{
	switch (err) {
	case COP_INVALID:
	case COP_BAD_KEY:
	case COP_BAD_TEXT:
	case COP_TOO_LARGE:
	case COP_BAD_VECTOR: return MHD_HTTP_BAD_REQUEST;
	default: return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
}

static void route_run(struct serve *serve, const struct route *route,
		      struct MHD_Connection *asked, struct reply *reply)
{
	char words[SERVE_WORDS];
	cop_read *read;
	cop_err err = serve_read_begin(serve, &read, words);

	if (!err) {
		err = route->reply(serve, read, asked, reply);
		if (err)
			snprintf(words, sizeof words, "%s",
				 *cop_last_error() ? cop_last_error()
						   : cop_strerror(err));
		serve_read_end(serve, read);
	}
	if (!err)
		return;
	reply_fail(reply, status_of(err), "%s", words);
	if (route->reply == reply_health) {
		json_decref(reply->body);
		reply_unhealthy(reply, words);
	}
}

/* The same, if not as many as may be are long at the moment. */
static void route_try(struct serve *serve, const struct route *route,
		      struct MHD_Connection *asked, struct reply *reply)
{
	/* relaxed: a count, nothing is handed over */
	int others = route->is_long
			 ? atomic_fetch_add_explicit(&serve->long_count, 1,
						     memory_order_relaxed)
			 : 0;

	if (others < LONG)
		route_run(serve, route, asked, reply);
	else
		reply_fail(reply, MHD_HTTP_SERVICE_UNAVAILABLE,
			   "%d searches are under way already; try again",
			   LONG);
	if (route->is_long)
		atomic_fetch_sub_explicit(&serve->long_count, 1,
					  memory_order_relaxed);
}

static enum MHD_Result
path_answer(struct serve *serve, struct MHD_Connection *asked, const char *path)
{
	const struct page *page = page_find(path);
	struct reply reply = {.status = 0};

	if (page)
		return page_send(asked, page);
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (strcmp(routes[i].path, path))
			continue;
		route_try(serve, &routes[i], asked, &reply);
		return reply_send(asked, &reply);
	}
	reply_fail(&reply, MHD_HTTP_NOT_FOUND, "there is nothing here");
	return reply_send(asked, &reply);
}

/* NULL: there were too many for this one to be known. */
static struct client *client_of(struct MHD_Connection *asked)
{
	return MHD_get_connection_info(asked,
				       MHD_CONNECTION_INFO_SOCKET_CONTEXT)
	    ->socket_context;
}

static enum MHD_Result answer(struct serve *serve, struct MHD_Connection *asked,
			      const char *path)
{
	struct client *client = client_of(asked);
	enum MHD_Result sent;

	if (client)
		clients_answer_begin(&serve->clients, client);
	sent = path_answer(serve, asked, path);
	if (client)
		clients_answer_end(&serve->clients, client);
	return sent;
}

/* Called once with the headers, and once when the request is complete. */
static enum MHD_Result request_take(void *user, struct MHD_Connection *asked,
				    const char *path, const char *method,
				    const char *version, const char *data,
				    size_t *data_size, void **state)
{
	static int seen;
	struct reply reply = {.status = 0};

	(void)version;
	(void)data;
	if (*state) {
		*data_size = 0;
		return answer(user, asked, path_of(path));
	}
	*state = &seen;
	refuse(user, asked, path, method, &reply);
	return reply.status ? reply_send(asked, &reply) : MHD_YES;
}

static void connection_note(void *user, struct MHD_Connection *connection,
			    void **client,
			    enum MHD_ConnectionNotificationCode what)
{
	struct serve *serve = user;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*client)
			clients_leave(&serve->clients, *client);
		return;
	}
	*client =
	    clients_enter(&serve->clients,
			  MHD_get_connection_info(
			      connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			      ->connect_fd,
			  MHD_get_connection_info(
			      connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
			      ->client_addr);
}

static_assert(CLIENTS_MOST / THREADS > CLIENTS_ROOM, "each thread listens");

struct MHD_Daemon *http_start(struct serve *serve, int fd)
{
	/* a thread that is full hears of the end through its own channel */
	return MHD_start_daemon(
	    MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL,
	    request_take, serve, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
	    MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MOST,
	    MHD_OPTION_NOTIFY_CONNECTION, connection_note, serve,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

void http_stop(struct MHD_Daemon *daemon)
{
	MHD_stop_daemon(daemon);
}
