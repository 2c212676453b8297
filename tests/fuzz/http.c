/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: what is sent to `coppice serve`.
 *
 * An input: how, then the bytes of a connection, or of a request's target.
 */
#include "tests/fuzz/whole.h"

#include "tools/listen.h"
#include "tools/serve.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { AS_TARGET = 1, WAIT_US = 100000 };

static struct serve serve = {.is_local = 1};
static struct MHD_Daemon *daemon_of_all;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void served_end(void)
{
	http_stop(daemon_of_all);
	clients_release(&serve.clients);
	serve_release(&serve);
	fuzz_fixture.store = NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct listen_at at = {.fd = -1};
	struct fault fault = {0};

	(void)argc;
	(void)argv;
	whole_make();
	snprintf(address.sun_path, sizeof address.sun_path, "%s/http",
		 fuzz_fixture.folder);
	clients_init(&serve.clients, UINT64_C(60000000000));
	if (serve_init(&serve, fuzz_fixture.store, fuzz_fixture.path) ||
	    listen_unix(&at, address.sun_path, &fault))
		bail_out("cannot listen: %s", fault.text);
	daemon_of_all = http_start(&serve, at.fd);
	if (!daemon_of_all)
		bail_out("cannot serve");
	atexit(served_end);
	return 0;
}

static int send_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

		if (sent <= 0)
			return -1;
		at += sent;
		size -= (size_t)sent;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char begin[] = "GET /";
	static const char end[] = " HTTP/1.0\r\nHost: x\r\n\r\n";
	struct input input = {data, size};
	int is_target = input_byte(&input) & AS_TARGET;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval wait = {.tv_usec = WAIT_US};
	char answer[4096];

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof address))
		bail_out("connect: %s", strerror(errno));
	if ((!is_target || !send_all(fd, begin, sizeof begin - 1)) &&
	    !send_all(fd, input.data, input.size) && is_target)
		(void)send_all(fd, end, sizeof end - 1);
	shutdown(fd, SHUT_WR);
	/* half a request is waited for by the daemon, but not here */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	while (recv(fd, answer, sizeof answer, 0) > 0)
		;
	close(fd);
	return 0;
}
