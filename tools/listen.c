/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen: a socket to listen on, and word to the service manager.
 *
 * source
 *	sd_notify(3) for the protocol of NOTIFY_SOCKET.
 */
#include "listen.h"
#include "place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

/* Cuts "[::1]:80" or "127.0.0.1:80" in two; 0, or -1. */
static int word_cut(const char *word, char *host, size_t room,
		    const char **port)
{
	const char *colon = strrchr(word, ':');
	size_t size = colon ? (size_t)(colon - word) : 0;

	if (size > 2 && word[0] == '[' && word[size - 1] == ']') {
		word++;
		size -= 2;
	} else if (memchr(word, ':', size))
		return -1;
	if (!size || size >= room || !colon[1] ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return -1;
	memcpy(host, word, size);
	host[size] = 0;
	*port = colon + 1;
	return 0;
}

static int is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;

	return address->sa_family == AF_INET
		   ? ntohl(four->sin_addr.s_addr) >> 24 == 127
		   : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static void url_tell(struct listen_at *at)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof address;
	char host[64] = "", port[16] = "";
	int is_six;

	if (getsockname(at->fd, (void *)&address, &size))
		return;
	getnameinfo((void *)&address, size, host, sizeof host, port,
		    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	is_six = address.ss_family == AF_INET6;
	at->is_public = !is_loopback((void *)&address);
	snprintf(at->name, sizeof at->name, is_six ? "[%s]" : "%s", host);
	snprintf(at->url, sizeof at->url, "http://%.90s:%s/", at->name, port);
}

/* 0, or an errno with nothing left open. */
static int socket_listen(struct listen_at *at, const struct addrinfo *to)
{
	int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
	int on = 1, number;

	if (fd < 0)
		return errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
	    !bind(fd, to->ai_addr, to->ai_addrlen) && !listen(fd, BACKLOG)) {
		at->fd = fd;
		return 0;
	}
	number = errno;
	close(fd);
	return number;
}

int listen_tcp(struct listen_at *at, const char *word, struct fault *fault)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	const char *port;
	char host[64];
	int code = 0, number;

	at->fd = -1;
	if (word_cut(word, host, sizeof host, &port) || strlen(port) > 5 ||
	    atoi(port) > 65535 || getaddrinfo(host, port, &hints, &found))
		return fault_set(fault, EXIT_USAGE,
				 "'%s' is not ADDRESS:PORT, such as "
				 "127.0.0.1:9475 or [::1]:9475",
				 word);
	number = socket_listen(at, found);
	if (number) {
		code = number == EADDRINUSE ? EXIT_BUSY : fault_code(number);
		fault_set(fault, code,
			  "cannot listen on %s: %s. Choose another port with "
			  "--listen, or stop who has it",
			  word, strerror(number));
	}
	freeaddrinfo(found);
	if (!code)
		url_tell(at);
	return code;
}

/* Removes a socket that nobody listens on any more. */
static void stale_remove(const struct sockaddr_un *address)
{
	struct stat file;
	int fd;

	if (lstat(address->sun_path, &file) || !S_ISSOCK(file.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const void *)address, sizeof *address) &&
	    errno == ECONNREFUSED)
		unlink(address->sun_path);
	if (fd >= 0)
		close(fd);
}

int listen_unix(struct listen_at *at, const char *path, struct fault *fault)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct addrinfo to = {.ai_family = AF_UNIX,
			      .ai_socktype = SOCK_STREAM,
			      .ai_addr = (void *)&address,
			      .ai_addrlen = sizeof address};
	int number;

	at->fd = -1;
	at->is_public = 0;
	if (strlen(path) >= sizeof address.sun_path)
		return fault_errno(fault, path, ENAMETOOLONG);
	if (place_check(path, fault))
		return fault->code;
	memcpy(address.sun_path, path, strlen(path));
	stale_remove(&address);
	number = socket_listen(at, &to);
	if (number)
		return number == EADDRINUSE
			   ? fault_set(fault, EXIT_BUSY,
				       "%s is there already, and no dead "
				       "process left it",
				       path)
			   : fault_errno(fault, path, number);
	snprintf(at->url, sizeof at->url, "%s", path);
	return 0;
}

void listen_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = path ? strlen(path) : 0;
	socklen_t all;
	int fd;

	if (!size || size >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, size);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = 0; /* in the abstract namespace */
	all = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (void *)&address, all);
	close(fd);
}
