/* SPDX-License-Identifier: Apache-2.0 */
/* A socket to listen on, and word to the service manager; listen.c. */
#ifndef TOOLS_LISTEN_H
#define TOOLS_LISTEN_H

#include "fault.h"

enum { LISTEN_ROOM = 128 };

struct listen_at {
	int fd;
	int is_public;		/* reached from other machines */
	char name[LISTEN_ROOM]; /* the address as it stands in a URL */
	char url[LISTEN_ROOM];
};

/* ADDRESS:PORT, an IPv6 address in brackets; port 0: a free one. */
int listen_tcp(struct listen_at *at, const char *word, struct fault *fault);

/*
 * A unix socket.  One that a dead process left is replaced, one that answers
 * is not.
 */
int listen_unix(struct listen_at *at, const char *path, struct fault *fault);

/* Tells systemd, if it asked to be told: "READY=1", "STOPPING=1". */
void listen_notify(const char *state);

#endif
