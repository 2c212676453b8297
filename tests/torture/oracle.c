/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"
#include "linear.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { AROUND = 12 };

struct oracle *oracle;

/* ---- the mapping -------------------------------------------------------- */

__attribute__((noreturn)) static void refuse(const char *what)
{
	fprintf(stderr, "torture: %s: %s\n", what, strerror(errno));
	_exit(2);
}

void oracle_attach(int fd)
{
	void *at = mmap(NULL, sizeof *oracle, PROT_READ | PROT_WRITE,
			MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		refuse("mmap");
	oracle = at;
}

void oracle_create(uint64_t seed, const char *folder)
{
	int fd = memfd_create("torture", 0); /* kept over exec */
	int slots;

	if (fd < 0 || ftruncate(fd, sizeof *oracle))
		refuse("memfd_create");
	oracle_attach(fd);
	oracle->fd = fd;
	oracle->seed = seed;
	snprintf(oracle->path, sizeof oracle->path, "%s/store", folder);
	snprintf(oracle->slots_path, sizeof oracle->slots_path, "%s/slots",
		 folder);
	slots = open(oracle->slots_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (slots < 0)
		refuse(oracle->slots_path);
	close(slots);
}

/* ---- failures ----------------------------------------------------------- */

int oracle_has_failed(void)
{
	return atomic_load_explicit(&oracle->failed, memory_order_acquire) != 0;
}

void oracle_fail(const char *format, ...)
{
	uint32_t none = 0;
	va_list arguments;

	if (atomic_compare_exchange_strong(&oracle->failed, &none,
					   FAILED_WRITING)) {
		va_start(arguments, format);
		vsnprintf(oracle->failure, sizeof oracle->failure, format,
			  arguments);
		va_end(arguments);
		atomic_store(&oracle->failed, FAILED_WRITTEN);
	}
	_exit(1);
}

/* ---- processes ---------------------------------------------------------- */

void oracle_raise(_Atomic uint64_t *word, uint64_t to)
{
	uint64_t now = atomic_load(word);

	while (now < to && !atomic_compare_exchange_weak(word, &now, to))
		;
}

/* The pid that the mount of /proc shows: in its namespace, not in ours. */
static int32_t pid_outside(void)
{
	char text[32];
	ssize_t size = readlink("/proc/self", text, sizeof text - 1);

	if (size <= 0)
		return (int32_t)getpid();
	text[size] = 0;
	return (int32_t)strtol(text, NULL, 10);
}

void oracle_enlist(void)
{
	int32_t pid = pid_outside();

	oracle_count(COUNT_STARTS);
	for (uint32_t i = 0; i < PROCESS_MAX; i++) {
		int32_t none = 0;

		if (atomic_compare_exchange_strong(&oracle->processes[i], &none,
						   pid))
			return;
	}
}

uint32_t oracle_population(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PROCESS_MAX; i++)
		count += atomic_load(&oracle->processes[i]) != 0;
	return count;
}

/* ---- the log ------------------------------------------------------------ */

uint64_t oracle_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct log_entry *log_take(void)
{
	uint64_t at;

	if (atomic_load(&oracle->log_count) >= LOG_MAX)
		return NULL;
	at = atomic_fetch_add(&oracle->log_count, 1);
	return at < LOG_MAX ? &oracle->log[at] : NULL;
}

struct log_entry *log_call(uint32_t kind, uint32_t index, uint64_t expected,
			   uint64_t value)
{
	struct log_entry *entry = log_take();

	if (!entry)
		return NULL;
	entry->kind = kind;
	entry->index = index;
	entry->value = value;
	entry->expected = expected;
	entry->process = (uint32_t)getpid();
	entry->returned = LINEAR_OPEN;
	entry->called = oracle_now();
	atomic_store(&entry->state, LOG_CALLED);
	return entry;
}

void log_return(struct log_entry *entry, enum log_state state)
{
	if (!entry)
		return;
	if (state == LOG_RETURNED)
		entry->returned = oracle_now();
	atomic_store(&entry->state, state);
}

void log_read(uint64_t called, uint32_t index, uint64_t value)
{
	struct log_entry *entry = log_take();

	if (!entry)
		return;
	entry->kind = LINEAR_READ;
	entry->index = index;
	entry->value = value;
	entry->process = (uint32_t)getpid();
	entry->called = called;
	entry->returned = oracle_now();
	atomic_store(&entry->state, LOG_RETURNED);
}

static size_t log_of(uint32_t index, struct linear_op *ops, uint64_t count)
{
	size_t n = 0;

	for (uint64_t i = 0; i < count; i++) {
		const struct log_entry *entry = &oracle->log[i];
		uint32_t state = atomic_load(&entry->state);

		if (entry->index != index ||
		    (state != LOG_CALLED && state != LOG_RETURNED))
			continue;
		ops[n++] = (struct linear_op){.called = entry->called,
					      .returned = state == LOG_RETURNED
							      ? entry->returned
							      : LINEAR_OPEN,
					      .value = entry->value,
					      .expected = entry->expected,
					      .kind = entry->kind,
					      .process = entry->process};
	}
	return n;
}

static int op_compare(const void *a, const void *b)
{
	const struct linear_op *x = a;
	const struct linear_op *y = b;

	return x->called < y->called ? -1 : x->called > y->called;
}

/* What happened about the operation that has no place. */
static void history_fail(uint32_t index, const struct linear_op *ops,
			 size_t count, size_t stuck)
{
	static const char *const words[] = {"dropped", "read", "wrote", "set"};
	char text[FAILURE_BYTES - 200];
	size_t from = stuck > AROUND ? stuck - AROUND : 0;
	size_t size = 0;

	for (size_t i = from; i < count && i < stuck + AROUND / 2; i++) {
		const struct linear_op *op = &ops[i];

		if (size < sizeof text)
			size += (size_t)snprintf(
			    text + size, sizeof text - size,
			    "\n  %s %u %s %llu from %.6f to %.6f",
			    i == stuck ? ">" : " ", op->process,
			    words[op->kind], (unsigned long long)op->value,
			    (double)op->called / 1e9,
			    op->returned == LINEAR_OPEN
				? INFINITY
				: (double)op->returned / 1e9);
	}
	oracle_fail("the history of register %u, %zu operations from value "
		    "%llu, is not linearizable; about the one marked:%s",
		    index, count,
		    (unsigned long long)oracle->register_initial[index], text);
}

static void register_judge(uint32_t index, struct linear_op *ops,
			   uint64_t log_count)
{
	size_t count = log_of(index, ops, log_count);
	size_t stuck;
	int verdict;

	qsort(ops, count, sizeof *ops, op_compare);
	verdict =
	    linear_check(ops, count, oracle->register_initial[index], &stuck);
	if (verdict == LINEAR_NO)
		history_fail(index, ops, count, stuck);
	if (verdict != LINEAR_YES)
		oracle_count(COUNT_TIRED);
	atomic_fetch_add(&oracle->counts[COUNT_JUDGED], count);
	/* the round ends with a read that nothing was at work beside */
	for (size_t i = count; i-- > 0;)
		if (ops[i].kind == LINEAR_READ) {
			oracle->register_initial[index] = ops[i].value;
			break;
		}
}

void log_judge(void)
{
	uint64_t count = atomic_load(&oracle->log_count);
	struct linear_op *ops;

	if (count > LOG_MAX)
		count = LOG_MAX;
	ops = malloc((count + 1) * sizeof *ops);
	if (!ops)
		refuse("the history");
	for (uint32_t i = 0; i < REGISTERS; i++)
		register_judge(i, ops, count);
	free(ops);
	for (uint64_t i = 0; i < count; i++)
		atomic_store(&oracle->log[i].state, LOG_NONE);
	atomic_store(&oracle->log_count, 0);
}
