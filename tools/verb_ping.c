/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ping: whether the store answers and takes commits, for probes.
 *
 * idea
 *	It opens what is there, begins a read and ends it, and looks at who has
 *	the writer lock: the same holder, without a commit, for as long as it
 *	looks is stuck if its process is stopped, or if that was longer than
 *	--max-age.  Nothing is built, mended or written.
 *
 * never hangs
 *	Every wait has the timeout; an alarm ends what has none, such as a
 *	disk that does not answer.
 */
#include "holder.h"
#include "instant.h"
#include "out.h"
#include "steady.h"
#include "verbs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PING_AGE = ARG_OWN,
	PING_TIMEOUT_MS = 5000,
	PING_LOOK_MS = 500, /* at a writer, unless --max-age says longer */
	PING_STEP_MS = 5
};

static const struct arg_row ping_rows[] = {
    {PING_AGE, "max-age", "TIME",
     "a writer may hold the lock so long without a commit, as 30s"},
    {ARG_TIMEOUT, "timeout", "SECONDS",
     "wait so long for an answer (default: 5)"},
    ARG_JSON_ROW,
    ARG_END,
};

struct ping {
	struct cli *cli;
	int64_t age_ms; /* 0: a running writer may take its time */
	uint64_t commit;
	uint64_t open_ns;
	uint64_t read_ns;
};

static void ping_late(int signal_number)
{
	static const char words[] =
	    "coppice: the store does not answer: a disk or a process that it "
	    "waits for is stuck\n";

	(void)signal_number;
	(void)!write(STDERR_FILENO, words, sizeof words - 1);
	_exit(EXIT_BUSY);
}

static int ping_open(struct ping *ping)
{
	struct cli *cli = ping->cli;
	uint64_t begin_ns = steady_ns();
	int code = cli_open_attached(cli);
	cop_err err;

	if (code)
		return code;
	ping->open_ns = steady_ns() - begin_ns;
	begin_ns = steady_ns();
	err = cop_read_begin(cli->store, &cli->read);
	if (err)
		return cli_cop(cli, err);
	ping->commit = cop_read_commit(cli->read);
	ping->read_ns = steady_ns() - begin_ns;
	return 0;
}

/* ---- the writer --------------------------------------------------------- */

static int writer_look(struct ping *ping, struct cop_lock *writer)
{
	cop_err err;

	*writer = (struct cop_lock){.size = sizeof *writer};
	err = cop_lock_look(ping->cli->store, writer, NULL, NULL);

	return err ? cli_cop(ping->cli, err) : 0;
}

static int writer_stuck(struct ping *ping, const struct cop_lock *writer,
			const char *why)
{
	return fault_set(&ping->cli->fault, EXIT_BUSY,
			 "%s: %s (pid %" PRIu32 ") has the writer lock and %s: "
			 "no commit goes on; let it go on, or end it",
			 ping->cli->path, writer->name, writer->pid, why);
}

static int ping_writer(struct ping *ping)
{
	const struct timespec step = {0, PING_STEP_MS * 1000000L};
	int64_t look_ms = ping->age_ms ? ping->age_ms : PING_LOOK_MS;
	uint64_t until_ns = steady_ns() + (uint64_t)look_ms * 1000000u;
	struct cop_lock first;
	struct cop_lock writer;
	int code = writer_look(ping, &first);

	writer = first;
	while (!code && holder_is_same(&writer, &first)) {
		if (steady_ns() > until_ns && holder_is_stopped(&writer))
			return writer_stuck(ping, &writer, "is stopped");
		if (steady_ns() > until_ns)
			return ping->age_ms
				   ? writer_stuck(ping, &writer, "keeps it")
				   : 0;
		nanosleep(&step, NULL);
		code = writer_look(ping, &writer);
	}
	return code;
}

/* ---- the verb ----------------------------------------------------------- */

static void ping_print(const struct ping *ping, int json)
{
	if (!json) {
		printf("commit %" PRIu64 ": opened in %.0f us, read in %.1f "
		       "us\n",
		       ping->commit, (double)ping->open_ns / 1e3,
		       (double)ping->read_ns / 1e3);
		return;
	}
	fputs("{\"schema\":\"coppice.ping/1\",\"store\":", stdout);
	out_string(ping->cli->path, strlen(ping->cli->path));
	printf(",\"commit\":%" PRIu64 ",\"open_ns\":%" PRIu64
	       ",\"read_ns\":%" PRIu64 "}\n",
	       ping->commit, ping->open_ns, ping->read_ns);
}

static int ping_run(struct cli *cli)
{
	struct ping ping = {.cli = cli};
	int json = 0, code, id;

	while ((id = args_next(cli)) > 0) {
		if (id == ARG_JSON)
			json = 1;
		else if (instant_span(cli->value, &ping.age_ms) || !ping.age_ms)
			return args_fault(cli,
					  "--max-age takes a time such as 30s, "
					  "not '%s'",
					  cli->value);
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (!cli->timeout_ms)
		cli->timeout_ms = PING_TIMEOUT_MS;
	signal(SIGALRM, ping_late);
	alarm(cli->timeout_ms / 1000 + 2 +
	      (unsigned)(ping.age_ms / 1000 < 86400 ? ping.age_ms / 1000
						    : 86400));
	setenv("COPPICE_CHECKPOINT", "0", 1); /* no image at the end */
	code = ping_open(&ping);
	if (!code)
		code = ping_writer(&ping);
	if (!code)
		ping_print(&ping, json);
	return code;
}

const struct verb verb_ping = {
    .name = "ping",
    .operands = "",
    .summary = "say whether the store answers, for probes; builds nothing",
    .rows = ping_rows,
    .notes = "Status 0: it does; 1: nobody has attached it yet; 3: no such "
	     "store; 4: damaged;\n5: it does not answer in time (--timeout, 5 "
	     "seconds here), or a stopped process\nhas the writer lock. A "
	     "writer that is at work is well, unless --max-age says\nhow long "
	     "it may be: it is looked at for that long.\n",
    .run = ping_run,
};
