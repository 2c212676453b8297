/* SPDX-License-Identifier: Apache-2.0 */
/* locks: who has the writer lock, for how long, and who waits for it. */
#include "holder.h"
#include "out.h"
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

static const struct arg_row locks_rows[] = {ARG_JSON_ROW, ARG_END};

struct locks {
	int json;
	uint32_t count;
};

static int32_t waiting_print(void *user, uint32_t pid)
{
	struct locks *locks = user;

	if (locks->json)
		printf("%s%" PRIu32, locks->count ? "," : "", pid);
	else
		printf("%s %" PRIu32, locks->count ? "" : "waiting", pid);
	locks->count++;
	return out_failed();
}

static void lock_json(const struct cop_lock *lock)
{
	printf("],\"held\":%s,\"pid\":%" PRIu32 ",\"name\":",
	       lock->is_held ? "true" : "false", lock->pid);
	out_string(lock->name, strlen(lock->name));
	printf(",\"held_ns\":%" PRIu64 ",\"times\":%" PRIu64
	       ",\"stopped\":%s}\n",
	       lock->held_ns, lock->times,
	       holder_is_stopped(lock) ? "true" : "false");
}

static void lock_text(const struct cop_lock *lock, uint32_t waiting)
{
	if (waiting)
		putchar('\n');
	fputs("writer ", stdout);
	if (lock->is_held) {
		out_plain(lock->name, strlen(lock->name));
		printf(" (%" PRIu32 "), for %.3f ms", lock->pid,
		       (double)lock->held_ns / 1e6);
		if (holder_is_stopped(lock))
			printf("; it is stopped, and nobody can commit: "
			       "continue it (kill -CONT %" PRIu32
			       "), or end it",
			       lock->pid);
	} else {
		fputs("nobody", stdout);
	}
	printf("\nhad     %" PRIu64 " times\n"
	       "There is one lock, so there is no deadlock.\n",
	       lock->times);
}

static int locks_run(struct cli *cli)
{
	struct cop_lock lock = {.size = sizeof lock};
	struct locks locks = {0};
	cop_err err;
	int code, id;

	while ((id = args_next(cli)) > 0)
		locks.json = 1;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open(cli);
	if (code)
		return code;
	if (locks.json)
		fputs("{\"schema\":\"coppice.locks/1\",\"waiting\":[", stdout);
	err = cop_lock_look(cli->store, &lock, waiting_print, &locks);
	if (err)
		return out_failed() ? 0 : cli_cop(cli, err);
	if (locks.json)
		lock_json(&lock);
	else
		lock_text(&lock, locks.count);
	return 0;
}

const struct verb verb_locks = {
    .name = "locks",
    .operands = "",
    .summary = "show who has the writer lock and who waits for it",
    .rows = locks_rows,
    .run = locks_run,
};
