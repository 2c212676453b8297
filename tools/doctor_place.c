/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: where the store is, and who uses it.
 *
 * whose shared memory a folder is
 *	A folder of segments has a link `store`, which names the store's path.
 *	It is left over if there is no store at that path any more, or one
 *	whose segments are elsewhere, and no process has its files mapped.
 *	Those of another container's may look so: a process there is seen only
 *	if /proc shows it.
 */
#include "doctor.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- the file system ---------------------------------------------------- */

static const struct {
	uint32_t type;
	const char *name;
	const char *why;
} doubtful[] = {
    {0x6969, "NFS", "locks and maps of it do not hold between machines"},
    {0xff534d42, "CIFS", "locks and maps of it do not hold between machines"},
    {0xfe534d42, "SMB", "locks and maps of it do not hold between machines"},
    {0x01021997, "9p", "maps of it may not see what others write"},
    {0x65735546, "FUSE", "locks and maps of it are as good as its server"},
    {0x794c7630, "overlayfs",
     "what is written there goes with the container, and a file that an image "
     "brought is copied by the first write"},
    {0x01021994, "a tmpfs", "what is written there goes with the machine"},
};

static void check_filesystem(struct doctor *doctor)
{
	const char *path = doctor->cli->path;
	struct statfs fs;

	if (statfs(path, &fs))
		return;
	for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++)
		if ((uint32_t)fs.f_type == doubtful[i].type) {
			doctor_tell(doctor, DOCTOR_WARN,
				    "%s is on %s\n%s\nkeep the store on a "
				    "local disk: ext4, xfs, a volume of the "
				    "container's",
				    path, doubtful[i].name, doubtful[i].why);
			return;
		}
	doctor_tell(doctor, DOCTOR_OK, "%s is on a local file system", path);
}

static void check_disk(struct doctor *doctor)
{
	struct statvfs fs;
	char have[32];
	char need[32];
	uint64_t free;

	if (statvfs(doctor->cli->path, &fs))
		return;
	free = (uint64_t)fs.f_bavail * fs.f_frsize;
	words_bytes(have, free);
	words_bytes(need, doctor->store.data_bytes);
	if (free < doctor->store.data_bytes)
		doctor_tell(doctor, DOCTOR_WARN,
			    "the disk has %s free\nthe data file has %s, and "
			    "`compact` writes it once more before the old one "
			    "goes\nfree some",
			    have, need);
	else if (fs.f_files && !fs.f_favail)
		doctor_tell(doctor, DOCTOR_WARN,
			    "the disk has no inodes left\nimages and "
			    "generations are new files\nremove files");
	else
		doctor_tell(doctor, DOCTOR_OK, "the disk has %s free", have);
}

/* ---- locks -------------------------------------------------------------- */

static int byte_lock(int fd)
{
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) ? errno : 0;
}

/* Two descriptions of one file: the second must not have the lock. */
static int locks_work(const char *path, int fd)
{
	int other = open(path, O_RDWR | O_CLOEXEC);
	int err = other < 0 ? errno : byte_lock(fd);
	int second = err ? 0 : byte_lock(other);

	if (other >= 0)
		close(other);
	return !err && (second == EAGAIN || second == EACCES);
}

static void check_locks(struct doctor *doctor)
{
	char path[PATH_MAX];
	int works;
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s/.doctor-XXXXXX",
			     doctor->cli->path) >= sizeof path)
		return;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		doctor_tell(doctor, DOCTOR_NOTE,
			    "locks were not tried\n%s cannot be written to: "
			    "%s\nrun doctor as the store's user",
			    doctor->cli->path, strerror(errno));
		return;
	}
	works = locks_work(path, fd);
	close(fd);
	unlink(path);
	if (works)
		doctor_tell(doctor, DOCTOR_OK, "locks of open files work");
	else
		doctor_tell(doctor, DOCTOR_BAD,
			    "locks of open files do not work in %s\ntwo "
			    "processes would write at once\nkeep the store on "
			    "a local disk",
			    doctor->cli->path);
}

/* ---- logind ------------------------------------------------------------- */

/* Takes the last word that a file of settings has on RemoveIPC. */
static void remove_ipc_read(const struct doctor *doctor, const char *path,
			    int *removes)
{
	char text[16384];
	char *rest = text;
	char *line;

	if (doctor_file(doctor, path, text, sizeof text) <= 0)
		return;
	while ((line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (strncmp(line, "RemoveIPC", 9) != 0)
			continue;
		line += 9 + strspn(line + 9, " \t=");
		*removes = !strncmp(line, "yes", 3) ||
			   !strncmp(line, "true", 4) ||
			   !strncmp(line, "on", 2) || *line == '1';
	}
}

static int is_conf(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return size > 5 && !strcmp(entry->d_name + size - 5, ".conf");
}

/* Its default is yes. */
static int remove_ipc(const struct doctor *doctor)
{
	static const char *const folders[] = {"/usr/lib/systemd/logind.conf.d",
					      "/run/systemd/logind.conf.d",
					      "/etc/systemd/logind.conf.d"};
	int removes = 1;

	remove_ipc_read(doctor, "/usr/lib/systemd/logind.conf", &removes);
	remove_ipc_read(doctor, "/etc/systemd/logind.conf", &removes);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		char path[PATH_MAX];
		struct dirent **names;
		int count;

		snprintf(path, sizeof path, "%s%s", doctor->root, folders[i]);
		count = scandir(path, &names, is_conf, alphasort);
		for (int j = 0; j < count; j++) {
			snprintf(path, sizeof path, "%s/%s", folders[i],
				 names[j]->d_name);
			remove_ipc_read(doctor, path, &removes);
			free(names[j]);
		}
		if (count >= 0)
			free(names);
	}
	return removes;
}

/* The largest number of a user of the system's. */
static uint64_t system_user_most(const struct doctor *doctor)
{
	char text[32768];
	const char *line;
	uint64_t most = 999;

	if (doctor_file(doctor, "/etc/login.defs", text, sizeof text) > 0 &&
	    (line = strstr(text, "\nSYS_UID_MAX")))
		sscanf(line + 12, "%" SCNu64, &most);
	return most;
}

static void check_logind(struct doctor *doctor)
{
	char path[PATH_MAX];
	struct stat st;
	uint64_t user;

	snprintf(path, sizeof path, "%s/run/systemd/system", doctor->root);
	if (stat(path, &st) || !remove_ipc(doctor)) {
		doctor_tell(doctor, DOCTOR_OK,
			    "no logind removes shared memory");
		return;
	}
	snprintf(path, sizeof path, "%s/lock", doctor->cli->path);
	user = stat(path, &st) ? 0 : st.st_uid;
	/* a test's, below its root */
	if (*doctor->root)
		user = doctor_number(doctor, "/owner", user);
	if (user > system_user_most(doctor) &&
	    !strncmp(doctor->shm_dir, "/dev/shm", 8))
		doctor_tell(doctor, DOCTOR_WARN,
			    "logind has RemoveIPC=yes, and user %" PRIu64
			    " is none of the system's\nat that user's last "
			    "logout what is in /dev/shm of theirs is removed, "
			    "in use or not\nset RemoveIPC=no in "
			    "/etc/systemd/logind.conf.d, run as a system user, "
			    "or `coppice config STORE shm-dir=DIR`, on another "
			    "tmpfs",
			    user);
	else
		doctor_tell(doctor, DOCTOR_OK,
			    "logind leaves this shared memory alone");
}

/* ---- who is attached ---------------------------------------------------- */

/* A process that can be seen and has mapped a file of the folder; 0: none. */
static long mapped_by(const char *folder)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	char line[PATH_MAX + 128];
	long pid = 0;

	while (processes && !pid && (entry = readdir(processes))) {
		char path[300];
		FILE *maps;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof path, "/proc/%s/maps", entry->d_name);
		maps = fopen(path, "r");
		while (maps && !pid && fgets(line, sizeof line, maps))
			if (strstr(line, folder))
				pid = atol(entry->d_name);
		if (maps)
			fclose(maps);
	}
	if (processes)
		closedir(processes);
	return pid;
}

static void check_attached(struct doctor *doctor)
{
	const char *segment = doctor->store.segment;
	char who[64] = "";
	long pid;

	if (doctor->store.presence != COP_PRESENCE_LOST) {
		doctor_tell(doctor, DOCTOR_OK, "all who are attached share %s",
			    segment);
		return;
	}
	pid = mapped_by(segment);
	if (pid)
		snprintf(who, sizeof who, ", of which one has pid %ld", pid);
	doctor_tell(doctor, DOCTOR_BAD,
		    "processes are attached%s, and their shared memory is not "
		    "in %s\nits files were removed while in use, as logind's "
		    "RemoveIPC=yes does, or those processes are of a container "
		    "with a /dev/shm of its own; commits are refused, and who "
		    "opens the store is, too\nstop those processes, or have "
		    "each close the store, and open it again",
		    who, segment);
}

struct attached {
	uint32_t foreign;
	uint32_t stalled;
	uint32_t pid; /* of a stalled one */
};

static int32_t attached_count(void *user, const struct cop_reader *reader)
{
	struct attached *attached = user;

	attached->foreign += reader->is_foreign != 0;
	if (reader->state == COP_READER_STALLED) {
		attached->stalled++;
		attached->pid = reader->pid;
	}
	return 0;
}

static void attached_tell(struct doctor *doctor,
			  const struct attached *attached)
{
	if (attached->foreign)
		doctor_tell(doctor, DOCTOR_NOTE,
			    "%" PRIu32 " readers are of other PID "
			    "namespaces\nLMDB tells processes apart by their "
			    "pids: one with the number of another's is refused "
			    "when it opens the store\nlet containers share a "
			    "PID namespace (--pid, shareProcessNamespace)",
			    attached->foreign);
	if (attached->stalled)
		doctor_tell(doctor, DOCTOR_WARN,
			    "%" PRIu32 " reads are stalled, one of pid %" PRIu32
			    "\nwhat has died since is held back, until commits "
			    "are refused\nend them; `coppice readers` names "
			    "them",
			    attached->stalled, attached->pid);
	if (!attached->stalled && !attached->foreign)
		doctor_tell(doctor, DOCTOR_OK, "no reader is in the way");
}

static void check_readers(struct doctor *doctor)
{
	struct cli *cli = doctor->cli;
	struct attached attached = {0};

	if (doctor->store.presence != COP_PRESENCE_ATTACHED)
		return;
	if (!cli->timeout_ms)
		cli->timeout_ms = 5000;
	if (cli_open_attached(cli) ||
	    cop_readers(cli->store, attached_count, &attached)) {
		doctor_tell(doctor, DOCTOR_WARN,
			    "readers cannot be listed\n%s\nsee `coppice ping`",
			    cop_last_error());
		fault_clear(&cli->fault);
	} else {
		attached_tell(doctor, &attached);
	}
	cli_close(cli);
}

/* ---- what is left over -------------------------------------------------- */

/* Whether the store at that path has its segments in the folder. */
static int is_of(const char *store, const char *folder)
{
	struct cop_description there = {.size = sizeof there};
	char path[PATH_MAX + 8];
	struct stat st;

	snprintf(path, sizeof path, "%s/lock", store);
	if (stat(path, &st))
		return errno != ENOENT && errno != ENOTDIR;
	if (cop_describe(store, &there))
		return 1; /* nobody can tell */
	return !strcmp(there.segment, folder);
}

static void folder_look(struct doctor *doctor, const char *name)
{
	char folder[PATH_MAX];
	char path[PATH_MAX + 8];
	char store[PATH_MAX];
	ssize_t size;

	snprintf(folder, sizeof folder, "%.255s/%s", doctor->shm_dir, name);
	snprintf(path, sizeof path, "%s/store", folder);
	size = readlink(path, store, sizeof store - 1);
	if (size <= 0)
		return; /* none of ours, or an older version's */
	store[size] = 0;
	if (is_of(store, folder) || mapped_by(folder))
		return;
	doctor_tell(doctor, DOCTOR_WARN,
		    "%s is left over\nit is of %s, where no store has it any "
		    "more, and takes up memory\nrm -r %s, if no container that "
		    "cannot be seen from here has that store",
		    folder, store, folder);
}

static void check_leftovers(struct doctor *doctor)
{
	uint32_t before = doctor->counts[DOCTOR_WARN];
	DIR *folder = opendir(doctor->shm_dir);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (!strncmp(entry->d_name, "coppice-", 8))
			folder_look(doctor, entry->d_name);
	if (folder)
		closedir(folder);
	if (doctor->counts[DOCTOR_WARN] == before)
		doctor_tell(doctor, DOCTOR_OK, "no shared memory is left over");
}

const struct doctor_check doctor_place[] = {
    {"filesystem", check_filesystem, NEEDS_PATH},
    {"disk", check_disk, NEEDS_PATH},
    {"locks", check_locks, NEEDS_STORE},
    {"logind", check_logind, NEEDS_STORE},
    {"attached", check_attached, NEEDS_STORE},
    {"readers", check_readers, NEEDS_STORE},
    {"leftovers", check_leftovers, NEEDS_NOTHING},
    {NULL, NULL, NEEDS_NOTHING},
};
