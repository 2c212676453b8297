/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has the writer lock and who waits for it, as cop_lock_look(), `coppice
 * locks` and /health of `coppice serve` tell of it; and what else /health
 * says of a store that is behind with its work.
 *
 * Holders are children that stop, or stay, at a point of their commit.
 */
#include "fixture.h"
#include "point.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	DIM = 16,
	LARGE = 3, /* writers whose requests fit in no mailbox */
	SMALL = 2,
	WRITERS = LARGE + SMALL,
	LARGE_BYTES = 40000,
	UNLINKED = 100001, /* as from how many on /health tells of them */
	IMAGELESS = 10001
};

static struct {
	_Atomic int holds;
	_Atomic int stop;
} * shared;

/* ---- children ----------------------------------------------------------- */

static void stop_there(const char *name)
{
	if (strcmp(name, "commit-before"))
		return;
	shared->holds = 1;
	raise(SIGSTOP);
}

static void stay_there(const char *name)
{
	if (strcmp(name, "commit-before"))
		return;
	shared->holds = 1;
	while (!shared->stop)
		usleep(1000);
}

static void die_there(const char *name)
{
	if (!strcmp(name, "commit-finished"))
		_exit(0);
}

/* Commits one entity, with so many bytes of content. */
static void entity_put(const char *path, const char *key, uint64_t bytes)
{
	static unsigned char content[LARGE_BYTES];
	struct fixture mine;
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .content = bytes ? content : NULL,
			      .content_size = bytes};
	cop_write *write;

	for (uint64_t i = 0; i < bytes; i++) /* not to be compressed */
		content[i] = (unsigned char)(i * i * 2654435761u >> 13);
	snprintf(mine.path, sizeof mine.path, "%s", path);
	fixture_open(&mine);
	write = write_of(&mine);
	must(cop_put(write, &put), "put");
	commit_of(write);
}

static pid_t child_start(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid)
		alarm(120);
	return pid;
}

static pid_t writer_start(const struct fixture *f, uint64_t bytes)
{
	char key[24];
	pid_t pid = child_start();

	if (pid)
		return pid;
	snprintf(key, sizeof key, "writer-%d", (int)getpid());
	entity_put(f->path, key, bytes);
	_exit(0);
}

/* Has the writer lock when this returns. */
static pid_t holder_start(const struct fixture *f,
			  void (*hook)(const char *name))
{
	pid_t pid;

	shared->holds = 0;
	shared->stop = 0;
	pid = child_start();
	if (!pid) {
		point_hook = hook;
		entity_put(f->path, "holder", 0);
		_exit(0);
	}
	while (!shared->holds)
		usleep(1000);
	return pid;
}

/* ---- the command -------------------------------------------------------- */

static const char *command(void)
{
	const char *named = getenv("COPPICE");

	return named ? named : "build/release/coppice";
}

static void locks_said(const struct fixture *f, const char *options, char *said,
		       size_t room)
{
	char line[512];
	FILE *pipe;

	snprintf(line, sizeof line, "%s locks %s %s", command(), f->path,
		 options);
	fflush(stdout);
	pipe = popen(line, "r");
	if (!pipe)
		bail_out("popen: %s", strerror(errno));
	said[fread(said, 1, room - 1, pipe)] = 0;
	is_int(pclose(pipe), 0, "coppice locks %s", options);
}

static struct sockaddr_un socket_of(const struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket",
		 f->folder);
	return address;
}

static int serve_connect(const struct fixture *f)
{
	struct sockaddr_un address = socket_of(f);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const void *)&address, sizeof address)) {
		close(fd);
		return -1;
	}
	return fd;
}

static pid_t serve_start(const struct fixture *f, const char *age)
{
	struct sockaddr_un address = socket_of(f);
	pid_t pid = child_start();
	int fd;

	if (!pid) {
		execl(command(), "coppice", "serve", f->path, "--quiet",
		      "--unix", address.sun_path, "--max-age", age,
		      (char *)NULL);
		_exit(127);
	}
	while ((fd = serve_connect(f)) < 0)
		usleep(10000);
	close(fd);
	return pid;
}

static void serve_end(pid_t pid)
{
	kill(pid, SIGTERM);
	is_int(child_wait(pid), 0, "the server ends");
}

/* The status of /health, and what it says. */
static int health_of(const struct fixture *f, char *said, size_t room)
{
	static const char asked[] = "GET /health HTTP/1.1\r\nHost: any\r\n"
				    "Connection: close\r\n\r\n";
	int fd = serve_connect(f);
	size_t size = 0;
	ssize_t got;

	if (fd < 0 || write(fd, asked, sizeof asked - 1) < 0)
		bail_out("the server: %s", strerror(errno));
	while ((got = read(fd, said + size, room - 1 - size)) > 0)
		size += (size_t)got;
	close(fd);
	said[size] = 0;
	return size > 12 ? atoi(said + 9) : 0;
}

static void health_is(const struct fixture *f, int status, const char *words,
		      const char *claim)
{
	char said[4096];
	int got = health_of(f, said, sizeof said);

	if (!ok(got == status && strstr(said, words), "%s", claim))
		diag("%s", said);
}

/* Comes to say the words. */
static void health_awaits(const struct fixture *f, int status,
			  const char *words, const char *claim)
{
	char said[4096];

	while (health_of(f, said, sizeof said) != status ||
	       !strstr(said, words))
		usleep(50000);
	ok(1, "%s", claim);
}

/* ---- who waits ---------------------------------------------------------- */

struct waiters {
	pid_t pids[WRITERS];
	uint32_t count; /* of those that were seen */
	uint32_t others;
};

static int32_t waiter_note(void *user, uint32_t pid)
{
	struct waiters *waiters = user;

	for (int i = 0; i < WRITERS; i++)
		if (waiters->pids[i] == (pid_t)pid) {
			waiters->count++;
			return 0;
		}
	waiters->others++;
	return 0;
}

static struct cop_lock lock_look(cop_store *store, struct waiters *waiters)
{
	struct cop_lock lock = {.size = sizeof lock};

	waiters->count = 0;
	waiters->others = 0;
	must(cop_lock_look(store, &lock, waiter_note, waiters), "look");
	return lock;
}

static void waiters_await(cop_store *store, struct waiters *waiters,
			  uint32_t count)
{
	do
		usleep(1000);
	while (lock_look(store, waiters).waiting != count);
}

static int names_all(const char *said, const struct waiters *waiters)
{
	char pid[16];
	int all = 1;

	for (int i = 0; i < WRITERS; i++) {
		snprintf(pid, sizeof pid, " %d", (int)waiters->pids[i]);
		all &= strstr(said, pid) != NULL;
	}
	return all;
}

static void locks_tell_all(struct fixture *f, const struct waiters *waiters,
			   pid_t holder)
{
	char said[2048];
	char words[64];

	locks_said(f, "", said, sizeof said);
	ok(names_all(said, waiters), "it names all who wait");
	snprintf(words, sizeof words, "(kill -CONT %d)", (int)holder);
	ok(strstr(said, "it is stopped") && strstr(said, words),
	   "says that the holder is stopped, and what to do");
	locks_said(f, "--json", said, sizeof said);
	ok(strstr(said, "\"stopped\":true") != NULL, "as JSON, too");
}

static void all_go_on(struct fixture *f, struct waiters *waiters, pid_t holder)
{
	char said[2048];
	int bad = 0;

	kill(holder, SIGCONT);
	bad += child_wait(holder);
	for (int i = 1; i < WRITERS - 1; i++)
		bad += child_wait(waiters->pids[i]);
	is_int(bad, 0, "continued, it commits, and so do all");
	is_int(lock_look(f->store, waiters).waiting, 0, "nobody waits");
	locks_said(f, "--json", said, sizeof said);
	ok(strstr(said, "\"waiting\":[],\"held\":false") &&
	       strstr(said, "\"stopped\":false"),
	   "and nobody has the lock");
}

static void a_stopped_holder_and_who_waits_are_told(void)
{
	struct waiters waiters = {.count = 0};
	struct cop_lock lock;
	struct fixture f;
	pid_t holder, server;

	fixture_init(&f, DIM, COP_COSINE);
	fixture_close(&f);
	server = serve_start(&f, "60s");
	holder = holder_start(&f, stop_there);
	for (int i = 0; i < WRITERS; i++)
		waiters.pids[i] = writer_start(&f, i < LARGE ? LARGE_BYTES : 0);
	fixture_open(&f);
	waiters_await(f.store, &waiters, WRITERS);
	lock = lock_look(f.store, &waiters);
	ok(lock.is_held && lock.pid == (uint32_t)holder && !lock.is_foreign,
	   "the holder is known");
	ok(waiters.count == WRITERS && !waiters.others,
	   "%d that wait for the lock itself, and %d that posted, are told",
	   LARGE, SMALL);
	locks_tell_all(&f, &waiters, holder);
	health_is(&f, 200, "\"degraded\"", "the store is degraded at once");
	health_is(&f, 200, "is stopped", "because the holder is stopped");
	health_is(&f, 200, "5 wait", "which five wait for");
	for (int i = 0; i < WRITERS; i += WRITERS - 1) { /* one of each kind */
		kill(waiters.pids[i], SIGKILL);
		(void)child_wait(waiters.pids[i]);
	}
	waiters_await(f.store, &waiters, WRITERS - 2);
	ok(1, "those that are killed wait no more");
	health_awaits(&f, 503, "\"unhealthy\"", "later it is unhealthy");
	all_go_on(&f, &waiters, holder);
	health_is(&f, 200, "\"healthy\"", "and the store is healthy");
	serve_end(server);
	fixture_release(&f);
}

static void a_lock_that_is_held_long_is_told(void)
{
	struct fixture f;
	pid_t holder, server;
	char words[64];

	fixture_init(&f, DIM, COP_COSINE);
	fixture_close(&f);
	server = serve_start(&f, "0.1s");
	holder = holder_start(&f, stay_there);
	snprintf(words, sizeof words, "process %d ", (int)holder);
	health_awaits(
	    &f, 200, "has had the writer lock",
	    "a holder that is at work for longer than it may is told");
	health_is(&f, 200, words, "by its pid");
	health_is(&f, 200, "\"degraded\"", "which is degraded");
	shared->stop = 1;
	is_int(child_wait(holder), 0, "it ends");
	health_is(&f, 200, "\"healthy\"", "and the store is healthy");
	serve_end(server);
	fixture_release(&f);
}

/* ---- what is behind ----------------------------------------------------- */

static void vectors_put(struct fixture *f, uint32_t count)
{
	cop_write *write = write_of(f);

	for (uint32_t i = 0; i < count; i++) {
		float vector[DIM] = {1};
		char key[24];

		for (uint32_t d = 1; d < DIM; d++)
			vector[d] = (float)(i >> d & 1);
		snprintf(key, sizeof key, "v%u", i);
		put_simple(write, key, NULL, vector, DIM);
	}
	commit_of(write);
}

/* Their maker dies after the commit, before they are linked. */
static void vectors_that_wait_are_told(void)
{
	struct fixture f;
	pid_t pid, server;

	fixture_init(&f, DIM, COP_COSINE);
	fixture_close(&f);
	pid = child_start();
	if (!pid) {
		fixture_open(&f);
		point_hook = die_there;
		vectors_put(&f, UNLINKED);
		_exit(1);
	}
	is_int(child_wait(pid), 0, "a hundred thousand vectors are committed");
	server = serve_start(&f, "60s");
	health_is(&f, 200, "vectors wait to be linked",
		  "that they wait to be linked is told");
	health_is(&f, 200, "coppice maintain", "and what links them");
	health_is(&f, 200, "\"degraded\"", "which is degraded");
	serve_end(server);
	fixture_release(&f);
}

static void a_missing_image_is_told(void)
{
	struct fixture f;
	pid_t server;

	fixture_init(&f, DIM, COP_COSINE);
	vectors_put(&f, IMAGELESS);
	fixture_close(&f);
	server = serve_start(&f, "60s");
	health_is(&f, 200, "coppice checkpoint",
		  "that there is no image is told, and what makes one");
	fixture_open(&f);
	must(cop_checkpoint(f.store, NULL), "checkpoint");
	health_is(&f, 200, "\"healthy\"", "with one the store is healthy");
	serve_end(server);
	fixture_release(&f);
}

int main(void)
{
	test_begin(TEST_SLOW * 120);
	setenv("COPPICE_CHECKPOINT", "0", 1);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	a_stopped_holder_and_who_waits_are_told();
	a_lock_that_is_held_long_is_told();
	vectors_that_wait_are_told();
	a_missing_image_is_told();
	return done_testing();
}
