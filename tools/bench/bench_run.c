/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a benchmark.
 *
 * idea
 *	The benchmark proper runs in a child.  Its parent holds nothing open
 *	and waits: however the child ends, by a signal too, the parent detaches
 *	every store under the temporary folder and removes the folder.
 *
 * layout
 *	NAME.json	[{"case": "...", "system": "...", "metric": "...",
 *			"value": 1.5, "unit": "..."}, ...]
 *	NAME.svg	see bench_svg.c
 */
#include "bench_run.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_svg.h"

static pid_t child; /* for the handler; set before it is installed */

void bench_note(const char *format, ...)
{
	va_list args;

	fputs("  note: ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fputc('\n', stdout);
	fflush(stdout);
}

void bench_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("benchmark failed: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

void bench_check(const char *what, cop_err error)
{
	if (error != 0)
		bench_fail("%s: %s: %s", what, cop_strerror(error),
			   cop_last_error());
}

void *bench_alloc(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (memory == NULL)
		bench_fail("no memory for %zu bytes", bytes);
	return memory;
}

void bench_path(const struct bench *bench, const char *store, char *out,
		size_t room)
{
	if ((size_t)snprintf(out, room, "%s/%s", bench->folder, store) >= room)
		bench_fail("the folder's name is too long");
}

int bench_fork(void)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

void bench_await(int pid, const char *what)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		bench_fail("%s was killed by signal %d", what,
			   WTERMSIG(status));
	if (status != 0)
		bench_fail("%s ended with status %d", what,
			   WEXITSTATUS(status));
}

void bench_add(struct bench *bench, const char *subject, const char *system,
	       const char *metric, double value, const char *unit)
{
	struct bench_row *row = &bench->row[bench->row_count];

	if (bench->row_count == BENCH_ROWS_MAX)
		bench_fail("more than %d rows", BENCH_ROWS_MAX);
	snprintf(row->subject, sizeof row->subject, "%s", subject);
	snprintf(row->system, sizeof row->system, "%s", system);
	snprintf(row->metric, sizeof row->metric, "%s", metric);
	snprintf(row->unit, sizeof row->unit, "%s", unit);
	row->value = value;
	bench->row_count++;
}

void bench_add_point(struct bench *bench, const char *subject,
		     const char *system, const char *metric, double value,
		     const char *unit)
{
	bench_add(bench, subject, system, metric, value, unit);
	bench->row[bench->row_count - 1].is_point = 1;
}

const char *bench_number(double value, char out[32])
{
	char digits[32];
	int size;
	int at = 0;
	int index;
	double magnitude = value < 0 ? -value : value;

	if (magnitude < 0.001) {
		snprintf(out, 32, value == 0 ? "0" : "%.2e", value);
		return out;
	}
	if (magnitude < 999.5) {
		int decimals = magnitude >= 100	 ? 0
			       : magnitude >= 10 ? 1
			       : magnitude >= 1	 ? 2
						 : 4;

		snprintf(out, 32, "%.*f", decimals, value);
		return out;
	}
	size = snprintf(digits, sizeof digits, "%.0f", value);
	for (index = 0; index < size && at < 30; index++) {
		if (index > 0 && (size - index) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[index];
	}
	out[at] = '\0';
	return out;
}

static void print_machine(const struct bench *bench)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[512];
	char model[256] = "unknown processor";

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "model name : %255[^\n]", model) == 1)
			break;
	if (file != NULL)
		fclose(file);
	printf("== %s: coppice %s, kernels %s; %s, %ld cores, %.0f GB%s\n",
	       bench->name, cop_version(), cop_cpu(), model,
	       sysconf(_SC_NPROCESSORS_ONLN),
	       (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) /
		   1e9,
	       bench->quick ? "; quick" : "");
	fflush(stdout);
}

static void print_table(const struct bench *bench)
{
	const char *subject = "";
	size_t index;

	for (index = 0; index < bench->row_count; index++) {
		const struct bench_row *row = &bench->row[index];
		char number[32];

		if (row->is_point)
			continue;
		if (strcmp(row->subject, subject) != 0)
			printf("  %s\n", row->subject);
		subject = row->subject;
		printf("    %-26s %-28s %12s %s\n", row->system, row->metric,
		       bench_number(row->value, number), row->unit);
	}
}

/* Nothing here has control characters. */
static void write_json_text(FILE *file, const char *name, const char *text)
{
	fprintf(file, "\"%s\": \"", name);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		fputc(*text, file);
	}
	fputs("\", ", file);
}

static int write_json(const struct bench *bench)
{
	char path[4096];
	FILE *file;
	size_t index;

	snprintf(path, sizeof path, "%s/%s.json", bench->out, bench->name);
	file = fopen(path, "w");
	if (file == NULL)
		return -1;
	fputs("[", file);
	for (index = 0; index < bench->row_count; index++) {
		const struct bench_row *row = &bench->row[index];

		fprintf(file, "%s\n{", index == 0 ? "" : ",");
		write_json_text(file, "case", row->subject);
		write_json_text(file, "system", row->system);
		write_json_text(file, "metric", row->metric);
		fprintf(file, "\"value\": %.9g, ", row->value);
		fprintf(file, "\"unit\": \"%s\"}", row->unit);
	}
	fputs("\n]\n", file);
	return fclose(file) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int kind,
			struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

/* A process that was killed may stay attached for a moment. */
static void detach(const char *path)
{
	cop_err error = cop_detach(path);
	int tries;

	for (tries = 0; error == COP_BUSY && tries < 200; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		error = cop_detach(path);
	}
	if (error != 0 && error != COP_NOT_A_STORE)
		fprintf(stderr, "cop_detach %s: %s\n", path,
			cop_strerror(error));
}

static void clean(const struct bench *bench)
{
	DIR *folder = opendir(bench->folder);
	const struct dirent *entry;
	char path[4300];

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		/* A store of ours is a folder whose name starts with "store" */
		if (strncmp(entry->d_name, "store", 5) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", bench->folder,
			 entry->d_name);
		detach(path);
	}
	if (folder != NULL)
		closedir(folder);
	nftw(bench->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void pass_on(int number)
{
	kill(child, number);
}

static int supervise(void)
{
	struct sigaction action = {.sa_handler = pass_on};
	int status = 0;

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "benchmark killed by signal %d\n",
			WTERMSIG(status));
	return WIFSIGNALED(status) ? 1 : WEXITSTATUS(status);
}

static int run_child(struct bench *bench, void (*run)(struct bench *bench))
{
	print_machine(bench);
	run(bench);
	print_table(bench);
	if (bench->row_count != 0 &&
	    (write_json(bench) != 0 || bench_svg_write(bench) != 0))
		bench_fail("cannot write to %s: %s", bench->out,
			   strerror(errno));
	fflush(stdout);
	return 0;
}

int bench_main(const char *name, int argument_count, char **arguments,
	       void (*run)(struct bench *bench))
{
	static struct bench bench;
	const char *temporary = getenv("TMPDIR");
	const char *quick = getenv("BENCH_QUICK");
	int status;
	int index;

	bench.name = name;
	bench.quick = quick != NULL && *quick != '\0' && *quick != '0';
	for (index = 1; index < argument_count; index++) {
		if (strcmp(arguments[index], "--quick") == 0)
			bench.quick = 1;
		else if (arguments[index][0] != '-')
			bench.out = arguments[index];
	}
	if (bench.out == NULL) {
		fprintf(stderr, "usage: %s [--quick] OUTDIR\n", name);
		return 2;
	}
	(void)mkdir(bench.out, 0777); /* it may be there */
	snprintf(bench.folder, sizeof bench.folder, "%s/coppice-bench.XXXXXX",
		 temporary != NULL && *temporary != '\0' ? temporary : "/tmp");
	if (mkdtemp(bench.folder) == NULL) {
		fprintf(stderr, "%s: %s\n", bench.folder, strerror(errno));
		return 1;
	}
	child = bench_fork();
	if (child == 0)
		_exit(run_child(&bench, run));
	status = supervise();
	clean(&bench);
	return status;
}
