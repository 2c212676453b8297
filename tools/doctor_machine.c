/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor: the machine, with or without a store.
 *
 * source
 *	LMDB's list of changes, branch 0.9: from 0.9.26 to 0.9.31 the last
 *	process to close a data file destroys the locks that one which opens it
 *	at that moment needs (ITS#10095).  1.0 has another format.
 */
#include "doctor.h"
#include "words.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB		 (UINT64_C(1) << 20)
#define DOCKER_SHM_BYTES (64 * MIB)
#define RESERVE_BYTES	 (UINT64_C(256) << 30) /* of segment and LMDB, each */
#define MAP_COUNT_LEAST	 UINT64_C(1024)

enum { TMPFS_TYPE = 0x01021994 };

/* ---- versions ----------------------------------------------------------- */

/* Whether the kernel is at least that; `release` is its version as text. */
static int kernel_is(const struct doctor *doctor, unsigned major,
		     unsigned minor, char *release, size_t room)
{
	unsigned has_major = 0;
	unsigned has_minor = 0;

	if (doctor_file(doctor, "/proc/sys/kernel/osrelease", release, room) <=
	    0)
		return 1;
	release[strcspn(release, "\n")] = 0;
	sscanf(release, "%u.%u", &has_major, &has_minor);
	return has_major > major || (has_major == major && has_minor >= minor);
}

static void check_kernel(struct doctor *doctor)
{
	char release[96] = "?";

	if (!kernel_is(doctor, 4, 14, release, sizeof release))
		doctor_tell(doctor, DOCTOR_WARN,
			    "the kernel is %s\nprocesses tell forked children "
			    "apart by MADV_WIPEONFORK, of 4.14\nrun a newer "
			    "kernel",
			    release);
	else
		doctor_tell(doctor, DOCTOR_OK, "kernel %s", release);
}

static void check_lmdb(struct doctor *doctor)
{
	char text[32];
	int major = 0;
	int minor = 0;
	int patch = 0;

	/* a test's, below its root */
	if (!*doctor->root ||
	    doctor_file(doctor, "/lmdb", text, sizeof text) <= 0)
		snprintf(text, sizeof text, "%s", cop_lmdb_version());
	text[strcspn(text, "\n")] = 0;
	sscanf(text, "%d.%d.%d", &major, &minor, &patch);
	if (major)
		doctor_tell(doctor, DOCTOR_BAD,
			    "LMDB is %s\nits file format is not that of 0.9, "
			    "which stores have\nlink with 0.9.24 or one from "
			    "0.9.32 on",
			    text);
	else if (minor == 9 && patch >= 26 && patch <= 31)
		doctor_tell(doctor, DOCTOR_WARN,
			    "LMDB is %s\nfrom 0.9.26 to 0.9.31 the last "
			    "process to close a store may break it for one "
			    "that opens it at that moment (ITS#10095)\nuse "
			    "0.9.24, or one from 0.9.32 on",
			    text);
	else
		doctor_tell(doctor, DOCTOR_OK, "LMDB %s", text);
}

static void check_cpu(struct doctor *doctor)
{
	const char *name = cop_cpu();

	if (!strcmp(name, "scalar"))
		doctor_tell(doctor, DOCTOR_NOTE,
			    "the kernels are plain C\nsearches are several "
			    "times as slow as with AVX2 or NEON\nunset "
			    "COPPICE_CPU, or have the virtual machine pass the "
			    "processor's instructions on");
	else
		doctor_tell(doctor, DOCTOR_OK, "kernels %s", name);
}

/* ---- shared memory ------------------------------------------------------ */

static void shm_type(struct doctor *doctor)
{
	struct statfs fs;

	if (statfs(doctor->shm_dir, &fs))
		doctor_tell(doctor, DOCTOR_BAD,
			    "%s: %s\nshared memory is made there\nmount a "
			    "tmpfs there, or choose another folder with "
			    "`coppice config STORE shm-dir=DIR`",
			    doctor->shm_dir, strerror(errno));
	else if (fs.f_type != TMPFS_TYPE)
		doctor_tell(doctor, DOCTOR_WARN,
			    "%s is not on a tmpfs\nshared memory is written "
			    "to a disk over and over\nmount a tmpfs there, or "
			    "choose a folder on one",
			    doctor->shm_dir);
	else
		doctor_tell(doctor, DOCTOR_OK, "%s is on a tmpfs",
			    doctor->shm_dir);
}

static void shm_room(struct doctor *doctor)
{
	char size_text[32];
	char free_text[32];
	char need_text[32];
	struct statvfs fs;
	uint64_t size;
	uint64_t free;
	uint64_t need = doctor->need_bytes;

	if (statvfs(doctor->shm_dir, &fs))
		return;
	size = (uint64_t)fs.f_blocks * fs.f_frsize;
	free = (uint64_t)fs.f_bavail * fs.f_frsize;
	words_bytes(size_text, size);
	words_bytes(free_text, free);
	words_bytes(need_text, need);
	if (size == DOCKER_SHM_BYTES)
		doctor_tell(doctor, DOCTOR_WARN,
			    "%s is %s, as Docker makes it\na store of some ten "
			    "thousand vectors fills it\nrun the container with "
			    "--shm-size, or mount a tmpfs and use --shm-dir",
			    doctor->shm_dir, size_text);
	else if (size && need > size)
		doctor_tell(doctor, DOCTOR_BAD,
			    "%s is %s\nthis store may need %s there\nmake it "
			    "larger: mount -o remount,size=...",
			    doctor->shm_dir, size_text, need_text);
	else if (size && need > free)
		doctor_tell(
		    doctor, DOCTOR_WARN,
		    "%s has %s free\n%s %s: %s\nfree some, or make it "
		    "larger: mount -o remount,size=...",
		    doctor->shm_dir, free_text,
		    doctor->segment_bytes
			? "`compact` and `rebuild` need the room of two "
			  "segments, and one has"
			: "this store may need",
		    need_text,
		    doctor->segment_bytes ? "the old one serves on"
					  : "attaching it would fail");
	else
		doctor_tell(doctor, DOCTOR_OK, "%s has %s free of %s",
			    doctor->shm_dir, free_text, size_text);
}

static void check_shm(struct doctor *doctor)
{
	shm_type(doctor);
	shm_room(doctor);
}

static void check_huge(struct doctor *doctor)
{
	char text[96];
	char release[96];
	int collapses = kernel_is(doctor, 6, 1, release, sizeof release);

	if (doctor_file(doctor,
			"/sys/kernel/mm/transparent_hugepage/shmem_enabled",
			text, sizeof text) <= 0)
		return;
	/* from 6.1 on a process asks for them whatever is set, but for deny */
	if (strstr(text, "[deny]") || (strstr(text, "[never]") && !collapses))
		doctor_tell(
		    doctor, DOCTOR_NOTE,
		    "shared memory has no huge pages\nsearches of large "
		    "stores miss the TLB more often\nif that is worth "
		    "it: echo advise > "
		    "/sys/kernel/mm/transparent_hugepage/"
		    "shmem_enabled");
	else
		doctor_tell(doctor, DOCTOR_OK,
			    "huge pages for shared memory: %.*s",
			    (int)strcspn(text, "\n"), text);
}

/* ---- limits ------------------------------------------------------------- */

static void limit_address(struct doctor *doctor)
{
	struct rlimit limit;
	char text[32];

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur > 2 * RESERVE_BYTES)
		return;
	doctor_tell(doctor, DOCTOR_WARN,
		    "the address space is limited to %s\na segment and LMDB's "
		    "map reserve 256 GiB each, and less where that is refused: "
		    "a store grows until it is full\nraise it (ulimit -v "
		    "unlimited), or set COPPICE_RESERVE and COPPICE_MAP_SIZE",
		    words_bytes(text, limit.rlim_cur));
}

static void check_limits(struct doctor *doctor)
{
	uint32_t before = doctor->counts[DOCTOR_WARN];
	struct rlimit limit;
	char text[32];

	limit_address(doctor);
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY)
		doctor_tell(doctor, DOCTOR_WARN,
			    "files may have %s at most\ncommits and segments "
			    "that would be larger fail\nulimit -f unlimited",
			    words_bytes(text, limit.rlim_cur));
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 64)
		doctor_tell(doctor, DOCTOR_WARN,
			    "a process may have %llu files open\na store takes "
			    "some ten, and the program its own\nulimit -n 1024",
			    (unsigned long long)limit.rlim_cur);
	if (doctor->counts[DOCTOR_WARN] == before)
		doctor_tell(doctor, DOCTOR_OK, "no limit is in the way");
}

static void check_vm(struct doctor *doctor)
{
	uint64_t maps = doctor_number(doctor, "/proc/sys/vm/max_map_count",
				      MAP_COUNT_LEAST);

	if (doctor_number(doctor, "/proc/sys/vm/overcommit_memory", 0) == 2)
		doctor_tell(doctor, DOCTOR_WARN,
			    "vm.overcommit_memory is 2\nreservations of "
			    "address space may be counted as memory, and "
			    "refused\nset COPPICE_RESERVE and COPPICE_MAP_SIZE "
			    "to what the store may grow to, or sysctl "
			    "vm.overcommit_memory=0");
	else
		doctor_tell(doctor, DOCTOR_OK, "memory may be overcommitted");
	if (maps < MAP_COUNT_LEAST)
		doctor_tell(doctor, DOCTOR_WARN,
			    "vm.max_map_count is %" PRIu64
			    "\na process maps some twenty pieces of a store, "
			    "and one for each thread\nsysctl "
			    "vm.max_map_count=65530",
			    maps);
}

static uint64_t meminfo(const struct doctor *doctor, const char *name)
{
	char text[8192];
	const char *line;
	uint64_t kib = 0;

	if (doctor_file(doctor, "/proc/meminfo", text, sizeof text) <= 0)
		return 0;
	line = strstr(text, name);
	if (line)
		sscanf(line + strlen(name), " %" SCNu64, &kib);
	return kib * 1024;
}

static void check_memory(struct doctor *doctor)
{
	uint64_t available = meminfo(doctor, "MemAvailable:");
	uint64_t swap = meminfo(doctor, "SwapTotal:");
	char have[32];
	char need[32];

	words_bytes(have, available);
	words_bytes(need, doctor->need_bytes);
	if (available && !doctor->segment_bytes &&
	    doctor->need_bytes > available)
		doctor_tell(doctor, DOCTOR_WARN,
			    "%s of memory are available\nthe segment of this "
			    "store may need %s\nend what takes it, or use a "
			    "larger machine",
			    have, need);
	else
		doctor_tell(doctor, DOCTOR_OK, "%s of memory are available",
			    have);
	if (swap)
		doctor_tell(
		    doctor, DOCTOR_NOTE,
		    "there is swap\nshared memory that was not used for "
		    "a while may be there, and a search waits for the "
		    "disk\nswapoff -a, or a low vm.swappiness");
}

/* ---- the container ------------------------------------------------------ */

/* The limit of a group or of one above it, of version 2 or 1 of cgroups. */
static uint64_t cgroup_limit(const struct doctor *doctor)
{
	uint64_t least = UINT64_MAX;
	char text[4096];
	char path[4200];
	char group[2048] = "/";
	char *line;

	if (doctor_file(doctor, "/proc/self/cgroup", text, sizeof text) <= 0)
		return least;
	line = strstr(text, "0::");
	if (line)
		snprintf(group, sizeof group, "%.*s",
			 (int)strcspn(line + 3, "\n"), line + 3);
	for (char *end = group + strlen(group);; end = strrchr(group, '/')) {
		uint64_t limit;

		if (end)
			*end = 0;
		snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max",
			 group);
		limit = doctor_number(doctor, path, UINT64_MAX);
		if (limit < least)
			least = limit;
		if (!*group || !end)
			break;
	}
	if (least == UINT64_MAX)
		least = doctor_number(
		    doctor, "/sys/fs/cgroup/memory/memory.limit_in_bytes",
		    UINT64_MAX);
	return least;
}

static void check_cgroup(struct doctor *doctor)
{
	uint64_t limit = cgroup_limit(doctor);
	char have[32];
	char need[32];

	if (limit >= UINT64_MAX / 4) {
		doctor_tell(doctor, DOCTOR_OK,
			    "no control group limits the memory");
		return;
	}
	words_bytes(have, limit);
	words_bytes(need, doctor->need_bytes);
	if (limit < doctor->need_bytes + doctor->need_bytes / 2)
		doctor_tell(doctor, DOCTOR_WARN,
			    "the control group's memory is limited to %s\n"
			    "shared memory is counted in it for who touches it "
			    "first, %s of it: the kernel ends processes at the "
			    "limit\nraise memory.max (docker run --memory, "
			    "resources.limits.memory)",
			    have, need);
	else
		doctor_tell(doctor, DOCTOR_OK,
			    "the control group's memory is limited to %s",
			    have);
}

/* ---- futex -------------------------------------------------------------- */

static long futex(_Atomic uint32_t *word, int op, uint32_t value,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

/* A child waits for a word that this process changes. */
static void check_futex(struct doctor *doctor)
{
	const struct timespec timeout = {2, 0};
	_Atomic uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 1;
	pid_t pid;

	if (word == MAP_FAILED)
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		while (!atomic_load(word))
			if (futex(word, FUTEX_WAIT, 0, &timeout) &&
			    errno != EAGAIN && errno != EINTR)
				_exit(1);
		_exit(0);
	}
	atomic_store(word, 1);
	futex(word, FUTEX_WAKE, INT32_MAX, NULL);
	if (pid > 0)
		waitpid(pid, &status, 0);
	munmap((void *)(uintptr_t)word, 4096);
	if (status)
		doctor_tell(doctor, DOCTOR_BAD,
			    "a futex of two processes does not work\nwho waits "
			    "for a commit of another process is not woken\n"
			    "use another kernel or sandbox");
	else
		doctor_tell(doctor, DOCTOR_OK, "processes wake each other");
}

const struct doctor_check doctor_machine[] = {
    {"kernel", check_kernel, NEEDS_NOTHING},
    {"lmdb", check_lmdb, NEEDS_NOTHING},
    {"cpu", check_cpu, NEEDS_NOTHING},
    {"shm", check_shm, NEEDS_NOTHING},
    {"hugepages", check_huge, NEEDS_NOTHING},
    {"limits", check_limits, NEEDS_NOTHING},
    {"vm", check_vm, NEEDS_NOTHING},
    {"memory", check_memory, NEEDS_NOTHING},
    {"cgroup", check_cgroup, NEEDS_NOTHING},
    {"futex", check_futex, NEEDS_NOTHING},
    {NULL, NULL, NEEDS_NOTHING},
};
