/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_clients: who is connected, and who has to go for others.
 *
 * idea
 *	A client that asks slowly, reads slowly or says nothing keeps a
 *	connection, and there are so many.  So one more than an address's share
 *	closes the one of that address that has kept us waiting longest, and
 *	one more than CLIENTS_ROOM the one of all: room for the next is left
 *	at any time, and who asks and reads without delay is answered beside
 *	any number of slow ones.  Whoever takes longer than the server's
 *	patience for a request, or for reading its answer, goes in any case,
 *	however often a byte comes.
 *
 * how
 *	A connection is libmicrohttpd's.  Here it is shut down alone, upon
 *	which its thread finds it at its end.  The library tells of its end
 *	before it closes the descriptor, so none is shut down that is another's
 *	by then.  One that is being answered is let be.
 *
 * limits
 *	A unix socket has no addresses: CLIENTS_ROOM is all its clients'.
 */
#include "serve.h"
#include "steady.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

void clients_init(struct clients *clients, uint64_t patience_ns)
{
	*clients = (struct clients){.patience_ns = patience_ns};
	pthread_mutex_init(&clients->mutex, NULL);
}

void clients_release(struct clients *clients)
{
	pthread_mutex_destroy(&clients->mutex);
}

/* What tells hosts apart, of IPv6 a network's 64 bits; 0: nothing does. */
static uint64_t host_of(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;
	uint32_t low = 0;
	uint64_t high;

	if (!address)
		return 0;
	if (address->sa_family == AF_INET)
		return UINT64_C(1) << 32 | four->sin_addr.s_addr;
	if (address->sa_family != AF_INET6)
		return 0;
	memcpy(&high, six->sin6_addr.s6_addr, sizeof high);
	memcpy(&low, six->sin6_addr.s6_addr + 12, sizeof low);
	return high ? high : UINT64_C(1) << 32 | low;
}

static void client_drop(struct client *client)
{
	shutdown(client->fd, SHUT_RDWR);
	client->is_dropped = 1;
}

/* Drops whom we have waited for longest if there are `most`; 0: any host. */
static void room_make(struct clients *clients, uint64_t host, uint32_t most)
{
	struct client *oldest = NULL;
	uint32_t count = 0;

	for (size_t i = 0; i < CLIENTS_MOST; i++) {
		struct client *one = &clients->list[i];

		if (!one->is_there || one->is_dropped ||
		    (host && one->host != host))
			continue;
		count++;
		if (!one->is_answered &&
		    (!oldest || one->since_ns < oldest->since_ns))
			oldest = one;
	}
	if (count >= most && oldest)
		client_drop(oldest);
}

struct client *clients_enter(struct clients *clients, int fd,
			     const struct sockaddr *address)
{
	struct client *found = NULL;
	uint64_t host = host_of(address);

	pthread_mutex_lock(&clients->mutex);
	if (host)
		room_make(clients, host, CLIENTS_SHARE);
	room_make(clients, 0, CLIENTS_ROOM);
	for (size_t i = 0; i < CLIENTS_MOST && !found; i++)
		if (!clients->list[i].is_there)
			found = &clients->list[i];
	if (found)
		*found = (struct client){.fd = fd,
					 .is_there = 1,
					 .host = host,
					 .since_ns = steady_ns()};
	pthread_mutex_unlock(&clients->mutex);
	return found;
}

void clients_leave(struct clients *clients, struct client *client)
{
	pthread_mutex_lock(&clients->mutex);
	client->is_there = 0;
	pthread_mutex_unlock(&clients->mutex);
}

void clients_answer_begin(struct clients *clients, struct client *client)
{
	pthread_mutex_lock(&clients->mutex);
	client->is_answered = 1;
	pthread_mutex_unlock(&clients->mutex);
}

void clients_answer_end(struct clients *clients, struct client *client)
{
	pthread_mutex_lock(&clients->mutex);
	client->is_answered = 0;
	client->since_ns = steady_ns();
	pthread_mutex_unlock(&clients->mutex);
}

void clients_watch(struct clients *clients)
{
	uint64_t now_ns = steady_ns();

	pthread_mutex_lock(&clients->mutex);
	for (size_t i = 0; i < CLIENTS_MOST; i++) {
		struct client *one = &clients->list[i];

		if (one->is_there && !one->is_dropped && !one->is_answered &&
		    now_ns > one->since_ns &&
		    now_ns - one->since_ns > clients->patience_ns)
			client_drop(one);
	}
	pthread_mutex_unlock(&clients->mutex);
}
