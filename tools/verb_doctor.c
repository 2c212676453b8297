/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: the machine, and the store's place in it.
 *
 * idea
 *	Each check of two tables (doctor.h) is run; findings are printed as
 *	they come, a line each.  A store that cannot be described, or none at
 *	all, leaves the checks of the machine; that it may not be opened is a
 *	finding.  Nothing is built or changed.
 *
 * layout of the text
 *	warn   shm        what; why; what to do
 */
#include "doctor.h"
#include "out.h"
#include "verbs.h"
#include "words.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOCTOR_ALL = ARG_OWN, DOCTOR_SHM };

static const struct arg_row doctor_rows[] = {
    {DOCTOR_ALL, "all", NULL, "say what is well, too"},
    {DOCTOR_SHM, "shm-dir", "DIR",
     "look at this folder for shared memory (default: the store's)"},
    {ARG_TIMEOUT, "timeout", "SECONDS",
     "wait so long for an answer (default: 5)"},
    ARG_JSON_ROW,
    ARG_END,
};

static const char *const severity_words[] = {"ok", "note", "warn", "bad"};

/* ---- what checks use ---------------------------------------------------- */

static void finding_json(const struct doctor *doctor, enum severity severity,
			 char *const *parts)
{
	static const char *const names[] = {"what", "why", "do"};

	printf("{\"severity\":\"%s\",\"check\":\"%s\"",
	       severity_words[severity], doctor->check);
	for (size_t i = 0; i < 3; i++) {
		printf(",\"%s\":", names[i]);
		if (parts[i])
			out_string(parts[i], strlen(parts[i]));
		else
			fputs("null", stdout);
	}
	puts("}");
}

static void finding_text(const struct doctor *doctor, enum severity severity,
			 char *const *parts)
{
	printf("%-5s %-11s", severity_words[severity], doctor->check);
	for (size_t i = 0; i < 3 && parts[i]; i++) {
		if (i)
			fputs("; ", stdout);
		out_plain(parts[i], strlen(parts[i]));
	}
	putchar('\n');
}

void doctor_tell(struct doctor *doctor, enum severity severity,
		 const char *format, ...)
{
	char text[4096];
	char *parts[3] = {text, NULL, NULL};
	va_list args;

	doctor->counts[severity]++;
	if (severity == DOCTOR_OK && !doctor->all)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (size_t i = 1; i < 3 && parts[i - 1]; i++) {
		parts[i] = strchr(parts[i - 1], '\n');
		if (parts[i])
			*parts[i]++ = 0;
	}
	(doctor->json ? finding_json : finding_text)(doctor, severity, parts);
}

long doctor_file(const struct doctor *doctor, const char *path, char *text,
		 size_t room)
{
	char full[PATH_MAX];
	ssize_t size;
	int fd;

	if ((size_t)snprintf(full, sizeof full, "%s%s", doctor->root, path) >=
	    sizeof full)
		return -1;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size = read(fd, text, room - 1);
	close(fd);
	text[size > 0 ? size : 0] = 0;
	return (long)size;
}

uint64_t doctor_number(const struct doctor *doctor, const char *path,
		       uint64_t otherwise)
{
	char text[64];
	char *end;
	unsigned long long number;

	if (doctor_file(doctor, path, text, sizeof text) <= 0)
		return otherwise;
	number = strtoull(text, &end, 10);
	return end == text ? otherwise : number;
}

/* ---- the store ---------------------------------------------------------- */

/* Bytes that the files of a folder take up. */
static uint64_t folder_bytes(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	struct stat st;
	uint64_t bytes = 0;

	while (folder && (entry = readdir(folder)))
		if (!fstatat(dirfd(folder), entry->d_name, &st,
			     AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_blocks * 512;
	if (folder)
		closedir(folder);
	return bytes;
}

/* Fills in what is to be known of the store; 0 or an exit status. */
static int doctor_describe(struct doctor *doctor, const char *shm_dir)
{
	struct cli *cli = doctor->cli;
	cop_err err = 0;

	doctor->check = "store";
	doctor->store.size = sizeof doctor->store;
	if (cli->path)
		err = cop_describe(cli->path, &doctor->store);
	if (err == COP_READ_ONLY || err == COP_DENIED)
		doctor_tell(doctor, DOCTOR_BAD, "%s cannot be opened\n%s",
			    cli->path, cop_last_error());
	else if (err)
		cli_cop(cli, err);
	if (err || !cli->path)
		memset(&doctor->store, 0, sizeof doctor->store);
	if (!shm_dir)
		shm_dir =
		    doctor->store.size ? doctor->store.shm_dir : "/dev/shm";
	snprintf(doctor->shm_dir, sizeof doctor->shm_dir, "%s", shm_dir);
	if (doctor->store.size)
		doctor->segment_bytes = folder_bytes(doctor->store.segment);
	/* what is in shared memory is on disk, too, and takes as much there */
	doctor->need_bytes = doctor->segment_bytes ? doctor->segment_bytes
						   : doctor->store.data_bytes;
	return cli->fault.code;
}

static void doctor_checks(struct doctor *doctor,
			  const struct doctor_check *checks)
{
	int known = doctor->store.size	? NEEDS_STORE
		    : doctor->cli->path ? NEEDS_PATH
					: NEEDS_NOTHING;

	for (; checks->name; checks++) {
		if (checks->needs > known)
			continue;
		doctor->check = checks->name;
		checks->run(doctor);
	}
}

static int doctor_run(struct cli *cli)
{
	struct doctor doctor = {.cli = cli};
	const char *shm_dir = NULL;
	const char *root = getenv("COPPICE_DOCTOR_ROOT");
	int code, id;

	doctor.root = root ? root : "";
	while ((id = args_next(cli)) > 0) {
		doctor.json |= id == ARG_JSON;
		doctor.all |= id == DOCTOR_ALL;
		if (id == DOCTOR_SHM)
			shm_dir = cli->value;
	}
	if (id < 0 || args_end_bare(cli))
		return cli->fault.code;
	code = doctor_describe(&doctor, shm_dir);
	doctor_checks(&doctor, doctor_machine);
	doctor_checks(&doctor, doctor_place);
	if (code)
		return code;
	if (!doctor.json && !cli->quiet && !doctor.counts[DOCTOR_WARN] &&
	    !doctor.counts[DOCTOR_BAD])
		printf("%" PRIu32 " checks are well\n",
		       doctor.counts[DOCTOR_OK]);
	return doctor.counts[DOCTOR_WARN] || doctor.counts[DOCTOR_BAD]
		   ? EXIT_NO_RESULT
		   : EXIT_FINE;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "look at the machine, and at the store's place in it",
    .rows = doctor_rows,
    .notes =
	"STORE may be left out: the machine alone is looked at. A line a "
	"finding: what, why,\nwhat to do. The status is 1 if there are any "
	"of `warn` or `bad`. Nothing is built\nor changed.\n",
    .run = doctor_run,
};
