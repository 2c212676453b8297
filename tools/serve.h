/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `coppice serve` share; serve_*.c. */
#ifndef TOOLS_SERVE_H
#define TOOLS_SERVE_H

#include "metrics.h"

#include <pthread.h>
#include <sys/stat.h>

struct MHD_Connection;
struct MHD_Daemon;
struct sockaddr;

enum {
	SERVE_HOSTS = 16,
	SERVE_WORDS = 512,
	CLIENTS_ROOM = 192,  /* connections; one more, and another goes */
	CLIENTS_SHARE = 64,  /* of one address */
	CLIENTS_MOST = 4096, /* with those that are going */
};

/* A connection. */
struct client {
	int fd;
	int is_there;
	int is_answered; /* now: it waits for us, not we for it */
	int is_dropped;
	uint64_t host;	   /* 0: not known */
	uint64_t since_ns; /* we have waited for it */
};

struct clients {
	pthread_mutex_t mutex;
	uint64_t patience_ns; /* for a request, or an answer's reading */
	struct client list[CLIENTS_MOST];
};

struct serve {
	const char *path;		/* of the store */
	const char *label;		/* in what Prometheus reads, or NULL */
	const char *hosts[SERVE_HOSTS]; /* names by which it may be asked */
	size_t host_count;
	int is_local; /* a unix socket: no browser gets there by a name */
	struct clients clients;
	/* the handle is replaced by the first thread, locked for writing */
	pthread_rwlock_t lock;
	cop_store *store;	 /* NULL: it could not be opened again */
	char words[SERVE_WORDS]; /* why it could not */
	struct stat folder;	 /* as it was opened; the first thread's */
	_Atomic int has_failed;	 /* 1: a read could not be begun */
	_Atomic int long_count;	 /* requests that may take long, under way */
	int64_t age_ms; /* the writer lock may be had, without a word */
};

/* An answer that is being made. */
struct reply {
	unsigned status; /* of HTTP, 0: not known yet */
	json_t *body;	 /* or */
	char *text;	 /* of malloc, and */
	size_t text_size;
	const char *type; /* what it is */
};

/* ---- the store, kept open; serve_store.c -------------------------------- */

/* Takes over an open store.  Returns 0 or an errno. */
int serve_init(struct serve *serve, cop_store *store, const char *path);
void serve_release(struct serve *serve);

/*
 * Begins a read; serve_read_end() ends it and lets the handle go.  On error
 * nothing is held, and `words`, of SERVE_WORDS bytes, says why.
 */
cop_err serve_read_begin(struct serve *serve, cop_read **out, char *words);
void serve_read_end(struct serve *serve, cop_read *read);

/* Opens the store again if it has to be; by the first thread, each second. */
void serve_watch(struct serve *serve);

/* ---- answers; what begins with a read is given one ---------------------- */

typedef cop_err reply_fn(struct serve *serve, cop_read *read,
			 struct MHD_Connection *asked, struct reply *reply);

reply_fn reply_metrics, reply_stats; /* serve_stats.c */
reply_fn reply_ready, reply_health;  /* serve_health.c */
reply_fn reply_search;		     /* serve_search.c */
reply_fn reply_entity, reply_graph;  /* serve_graph.c */

/* What /health says when no read can be begun. */
void reply_unhealthy(struct reply *reply, const char *words);

/* An answer that says what is wrong; drops what there was. */
__attribute__((format(printf, 3, 4))) void
reply_fail(struct reply *reply, unsigned status, const char *format, ...);

/* ---- what was asked; serve_query.c -------------------------------------- */

/*
 * A parameter's value, NULL: it is not there.  With a NUL in it the answer is
 * a refusal, and it counts as not there.
 */
const char *query_text(struct MHD_Connection *asked, const char *name,
		       struct reply *reply);

/* A whole number within min and max; refused, -1. */
int query_number(struct MHD_Connection *asked, const char *name, uint32_t min,
		 uint32_t max, uint32_t *out, struct reply *reply);

/* The entity of parameter `name`; id 0 if the answer is a refusal. */
cop_err query_entity(cop_read *read, struct MHD_Connection *asked,
		     const char *name, uint64_t *id, struct reply *reply);

/* {"key", "type", "label"} of an id; *out is to be released. */
cop_err entity_brief(cop_read *read, uint64_t id, json_t **out);

/* ---- who is connected; serve_clients.c ---------------------------------- */

void clients_init(struct clients *clients, uint64_t patience_ns);
void clients_release(struct clients *clients);

/*
 * One more is connected; another may be dropped for it.  NULL: it cannot be
 * kept in mind, and will not be dropped.
 * address	may be NULL
 */
struct client *clients_enter(struct clients *clients, int fd,
			     const struct sockaddr *address);
void clients_leave(struct clients *clients, struct client *client);

/* What it asked for is being worked out; it was. */
void clients_answer_begin(struct clients *clients, struct client *client);
void clients_answer_end(struct clients *clients, struct client *client);

/* Drops those that are too slow; called once a second. */
void clients_watch(struct clients *clients);

/* ---- HTTP; serve_http.c ------------------------------------------------- */

/* Answers on a socket that listens, until stopped; NULL: errno says why. */
struct MHD_Daemon *http_start(struct serve *serve, int fd);
void http_stop(struct MHD_Daemon *daemon);

/* ---- the page; serve_page.c --------------------------------------------- */

struct page {
	const char *path;
	const char *type;
	const char *begin;
	const char *end;
};

/* NULL if there is none there. */
const struct page *page_find(const char *path);

#endif
