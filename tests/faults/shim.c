/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The preloaded library of shim.h: libc's calls that reach a disk, a lock or
 * memory, made by system calls of their own, or not at all.
 *
 * limits
 *	Calls that libc makes within itself (opendir, fopen) do not come by.
 *	Which file a descriptor has open is asked of /proc/self/fd.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static struct shim *shim;

#define EXPORT __attribute__((visibility("default")))

EXPORT void shim_use(struct shim *page);
EXPORT void shim_note(uint64_t number);

void shim_use(struct shim *page)
{
	shim = page;
}

static uint32_t mode_now(void)
{
	return shim ? atomic_load(&shim->mode) : SHIM_OFF;
}

/* ---- which file --------------------------------------------------------- */

static int path_counts(const char *path)
{
	for (int i = 0; i < SHIM_ROOTS; i++) {
		size_t size = strlen(shim->roots[i]);

		if (size && !strncmp(path, shim->roots[i], size))
			return 1;
	}
	return 0;
}

static int fd_path(int fd, char *path)
{
	char link[40];
	long size;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	size = syscall(SYS_readlink, link, path, PATH_MAX - 1);
	path[size > 0 ? size : 0] = 0;
	return size > 0;
}

/* The path that a call means, 1 if it is below a root. */
static int path_of(int folder, const char *name, char *path)
{
	size_t used;

	if (!strncmp(name, "/proc/self/fd/", 14)) {
		fd_path(atoi(name + 14), path);
	} else if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
	} else {
		if (folder == AT_FDCWD || !fd_path(folder, path))
			return 0;
		used = strlen(path);
		if (strcmp(name, ".") != 0)
			snprintf(path + used, PATH_MAX - used, "/%s", name);
	}
	return path_counts(path);
}

/* ---- inject ------------------------------------------------------------- */

/* 1 if this call is one to fail. */
static int hit(enum shim_kind kind, const char *call, const char *path)
{
	uint64_t number;

	atomic_fetch_add(&shim->seen[kind], 1);
	if (!(shim->kinds >> kind & 1))
		return 0;
	number = atomic_fetch_add(&shim->calls, 1) + 1;
	if (number != shim->at && !(shim->sticky && number > shim->at))
		return 0;
	if (!atomic_fetch_add(&shim->hits, 1))
		snprintf(shim->first, sizeof shim->first, "%s %.150s", call,
			 path);
	return 1;
}

static int hit_path(enum shim_kind kind, const char *call, int folder,
		    const char *name)
{
	char path[PATH_MAX];
	int saved = errno;
	int yes = mode_now() == SHIM_INJECT && path_of(folder, name, path) &&
		  hit(kind, call, path);

	errno = saved;
	return yes;
}

static int hit_fd(enum shim_kind kind, const char *call, int fd)
{
	char path[PATH_MAX];
	int saved = errno;
	int yes = mode_now() == SHIM_INJECT && fd_path(fd, path) &&
		  path_counts(path) && hit(kind, call, path);

	errno = saved;
	return yes;
}

static int failed(void)
{
	errno = shim->error;
	return -1;
}

/* ---- record ------------------------------------------------------------- */

static void log_add(struct shim_entry entry, const void *data,
		    const struct iovec *parts, int part_count)
{
	uint64_t bytes = sizeof entry + ((entry.size + 7) & ~UINT64_C(7));
	uint64_t at = atomic_fetch_add(&shim->log_bytes, bytes);
	unsigned char *to = (unsigned char *)shim_log(shim) + at;

	if (at + bytes > shim->log_room) {
		atomic_store(&shim->log_full, 1);
		return;
	}
	memcpy(to, &entry, sizeof entry);
	to += sizeof entry;
	if (data)
		memcpy(to, data, entry.size);
	for (int i = 0; i < part_count; i++) {
		memcpy(to, parts[i].iov_base, parts[i].iov_len);
		to += parts[i].iov_len;
	}
}

void shim_note(uint64_t number)
{
	if (mode_now() == SHIM_RECORD)
		log_add((struct shim_entry){.op = OP_NOTE, .offset = number},
			NULL, NULL, 0);
}

/* 1 if a descriptor's file is to be recorded; *file is its inode. */
static int recorded_fd(int fd, uint64_t *file)
{
	char path[PATH_MAX];
	struct stat st;
	int saved = errno;
	int yes = mode_now() == SHIM_RECORD && fd_path(fd, path) &&
		  path_counts(path) && !fstat(fd, &st);

	if (yes)
		*file = st.st_ino;
	errno = saved;
	return yes;
}

static void record_write(int fd, uint64_t offset, const struct iovec *parts,
			 int count)
{
	struct shim_entry entry = {.op = OP_WRITE, .offset = offset};

	if (!recorded_fd(fd, &entry.file))
		return;
	entry.is_synchronous =
	    (syscall(SYS_fcntl, fd, F_GETFL) & (O_DSYNC | O_SYNC)) != 0;
	for (int i = 0; i < count; i++)
		entry.size += parts[i].iov_len;
	log_add(entry, NULL, parts, count);
}

static void record_fd(int fd, enum shim_op op, uint64_t offset)
{
	struct shim_entry entry = {.op = op, .offset = offset};

	if (recorded_fd(fd, &entry.file))
		log_add(entry, NULL, NULL, 0);
}

static void record_path(enum shim_op op, uint64_t file, const char *path,
			const char *second)
{
	char both[2 * PATH_MAX];
	size_t size = strlen(path) + 1;

	memcpy(both, path, size);
	if (second) {
		memcpy(both + size, second, strlen(second) + 1);
		size += strlen(second) + 1;
	}
	log_add((struct shim_entry){.op = op, .file = file, .size = size}, both,
		NULL, 0);
}

/* A name that was made; its inode is looked up. */
static void record_made(enum shim_op op, int folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int saved = errno;

	if (mode_now() == SHIM_RECORD && path_of(folder, name, path) &&
	    !stat(path, &st))
		record_path(op, st.st_ino, path, NULL);
	errno = saved;
}

/* ---- files -------------------------------------------------------------- */

static int open_at(const char *call, int folder, const char *name, int flags,
		   mode_t mode)
{
	int is_new;
	int fd;

	if (hit_path(flags & O_CREAT ? SHIM_CREATE : SHIM_OPEN, call, folder,
		     name))
		return failed();
	is_new = flags & O_CREAT && syscall(SYS_faccessat, folder, name, F_OK);
	fd = (int)syscall(SYS_openat, folder, name, flags, mode);
	if (fd >= 0 && is_new)
		record_made(OP_CREATE, folder, name);
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_at("open", AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_at("openat", folder, path, flags, mode);
}

EXPORT int renameat(int from_folder, const char *from, int to_folder,
		    const char *to)
{
	char old[PATH_MAX];
	char new[PATH_MAX];
	struct stat st;
	int err;

	if (hit_path(SHIM_RENAME, "rename", to_folder, to))
		return failed();
	err = (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
	if (!err && mode_now() == SHIM_RECORD &&
	    path_of(from_folder, from, old) && path_of(to_folder, to, new) &&
	    !stat(new, &st))
		record_path(OP_RENAME, st.st_ino, old, new);
	return err;
}

EXPORT int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int unlinkat(int folder, const char *name, int flags)
{
	char path[PATH_MAX];
	int err;

	if (hit_path(SHIM_UNLINK, "unlink", folder, name))
		return failed();
	err = (int)syscall(SYS_unlinkat, folder, name, flags);
	if (!err && mode_now() == SHIM_RECORD && path_of(folder, name, path))
		record_path(OP_UNLINK, 0, path, NULL);
	return err;
}

EXPORT int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int mkdirat(int folder, const char *name, mode_t mode)
{
	int err;

	if (hit_path(SHIM_MKDIR, "mkdir", folder, name))
		return failed();
	err = (int)syscall(SYS_mkdirat, folder, name, mode);
	if (!err)
		record_made(OP_MKDIR, folder, name);
	return err;
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

EXPORT int fchmod(int fd, mode_t mode)
{
	return hit_fd(SHIM_OWN, "fchmod", fd)
		   ? failed()
		   : (int)syscall(SYS_fchmod, fd, mode);
}

EXPORT int fchmodat(int folder, const char *name, mode_t mode, int flags)
{
	(void)flags;
	return hit_path(SHIM_OWN, "fchmodat", folder, name)
		   ? failed()
		   : (int)syscall(SYS_fchmodat, folder, name, mode);
}

EXPORT int fchown(int fd, uid_t user, gid_t group)
{
	return hit_fd(SHIM_OWN, "fchown", fd)
		   ? failed()
		   : (int)syscall(SYS_fchown, fd, user, group);
}

EXPORT int fchownat(int folder, const char *name, uid_t user, gid_t group,
		    int flags)
{
	return hit_path(SHIM_OWN, "fchownat", folder, name)
		   ? failed()
		   : (int)syscall(SYS_fchownat, folder, name, user, group,
				  flags);
}

/* ---- data --------------------------------------------------------------- */

/* The first half of what is to be written, in one piece. */
static ssize_t write_half(int fd, const struct iovec *parts, int count,
			  off_t offset)
{
	struct iovec part = parts[0];

	if (count == 1)
		part.iov_len /= 2;
	return syscall(SYS_pwritev, fd, &part, 1, offset, 0);
}

/* One for all four; offset -1: at the descriptor's own. */
static ssize_t write_at(const char *call, int fd, const struct iovec *parts,
			int count, off_t offset)
{
	off_t own = offset >= 0 ? offset : syscall(SYS_lseek, fd, 0, SEEK_CUR);
	ssize_t done;

	if (hit_fd(SHIM_WRITE, call, fd)) {
		if (shim->how == SHIM_SHORT)
			return write_half(fd, parts, count, own);
		if (shim->how == SHIM_LATE)
			(void)syscall(SYS_pwritev, fd, parts, count, own, 0);
		return failed();
	}
	done = offset >= 0 ? syscall(SYS_pwritev, fd, parts, count, offset, 0)
			   : syscall(SYS_writev, fd, parts, count);
	if (done > 0 && own >= 0)
		record_write(fd, (uint64_t)own, parts, count);
	return done;
}

static struct iovec part_of(const void *data, size_t size)
{
	return (struct iovec){(void *)(uintptr_t)data, size};
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
	struct iovec part = part_of(data, size);

	return write_at("write", fd, &part, 1, -1);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return write_at("writev", fd, parts, count, -1);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	struct iovec part = part_of(data, size);

	return write_at("pwrite", fd, &part, 1, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count,
		       off_t offset)
{
	return write_at("pwritev", fd, parts, count, offset);
}

EXPORT ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	if (hit_fd(SHIM_READ, "pread", fd)) {
		if (shim->how != SHIM_SHORT)
			return failed();
		size /= 2;
	}
	return syscall(SYS_pread64, fd, data, size, offset);
}

EXPORT ssize_t read(int fd, void *data, size_t size)
{
	if (hit_fd(SHIM_READ, "read", fd)) {
		if (shim->how != SHIM_SHORT)
			return failed();
		size /= 2;
	}
	return syscall(SYS_read, fd, data, size);
}

static int sync_by(const char *call, int fd, long number)
{
	int err;

	if (hit_fd(SHIM_SYNC, call, fd)) {
		if (shim->how == SHIM_LATE)
			(void)syscall(number, fd);
		return failed();
	}
	err = (int)syscall(number, fd);
	if (!err)
		record_fd(fd, OP_SYNC, 0);
	return err;
}

EXPORT int fsync(int fd)
{
	return sync_by("fsync", fd, SYS_fsync);
}

EXPORT int fdatasync(int fd)
{
	return sync_by("fdatasync", fd, SYS_fdatasync);
}

/* Of no known file: of whatever is mapped there. */
EXPORT int msync(void *at, size_t size, int flags)
{
	if (mode_now() == SHIM_INJECT && hit(SHIM_SYNC, "msync", ""))
		return failed();
	return (int)syscall(SYS_msync, at, size, flags);
}

EXPORT int ftruncate(int fd, off_t size)
{
	int err;

	if (hit_fd(SHIM_TRUNCATE, "ftruncate", fd))
		return failed();
	err = (int)syscall(SYS_ftruncate, fd, size);
	if (!err)
		record_fd(fd, OP_TRUNCATE, (uint64_t)size);
	return err;
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
	struct stat st;
	int err;

	if (hit_fd(SHIM_ALLOCATE, "fallocate", fd))
		return failed();
	err = (int)syscall(SYS_fallocate, fd, mode, offset, size);
	if (!err && !fstat(fd, &st)) /* at least that long */
		record_fd(fd, OP_TRUNCATE, (uint64_t)st.st_size);
	return err;
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t size)
{
	int saved = errno;
	int err = 0;

	if (hit_fd(SHIM_ALLOCATE, "posix_fallocate", fd))
		return shim->error;
	if (syscall(SYS_fallocate, fd, 0, offset, size))
		err = errno;
	errno = saved;
	return err;
}

EXPORT int fcntl(int fd, int command, ...)
{
	va_list args;
	void *argument;
	int takes;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	takes = (command == F_SETLK || command == F_SETLKW ||
		 command == F_OFD_SETLK || command == F_OFD_SETLKW) &&
		((struct flock *)argument)->l_type != F_UNLCK;
	if (takes && hit_fd(SHIM_LOCK, "fcntl", fd))
		return failed();
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* ---- memory ------------------------------------------------------------- */

static int hit_memory(const char *call)
{
	return mode_now() == SHIM_INJECT && hit(SHIM_MEMORY, call, "");
}

EXPORT void *mmap(void *at, size_t size, int protection, int flags, int fd,
		  off_t offset)
{
	int is_hit = flags & MAP_ANONYMOUS ? hit_memory("mmap")
					   : hit_fd(SHIM_MAP, "mmap", fd);

	if (is_hit) {
		errno = shim->error;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, size, protection, flags, fd,
			       offset);
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

EXPORT void *malloc(size_t size)
{
	return hit_memory("malloc") ? no_memory() : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return hit_memory("calloc") ? no_memory() : __libc_calloc(count, size);
}

EXPORT void *realloc(void *old, size_t size)
{
	return hit_memory("realloc") ? no_memory() : __libc_realloc(old, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return hit_memory("aligned_alloc") ? no_memory()
					   : __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *at = hit_memory("posix_memalign")
		       ? NULL
		       : __libc_memalign(alignment, size);

	if (!at)
		return ENOMEM;
	*out = at;
	return 0;
}

/* ---- the names for 64-bit offsets, the same calls ----------------------- */

#define SAME(name) __attribute__((alias(#name), visibility("default")))

int open64(const char *path, int flags, ...) SAME(open);
int openat64(int folder, const char *path, int flags, ...) SAME(openat);
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
    SAME(pwrite);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
    SAME(pwritev);
ssize_t pread64(int fd, void *data, size_t size, off64_t offset) SAME(pread);
int ftruncate64(int fd, off64_t size) SAME(ftruncate);
int fallocate64(int fd, int mode, off64_t offset, off64_t size) SAME(fallocate);
int posix_fallocate64(int fd, off64_t offset, off64_t size)
    SAME(posix_fallocate);
int fcntl64(int fd, int command, ...) SAME(fcntl);
void *mmap64(void *at, size_t size, int protection, int flags, int fd,
	     off64_t offset) SAME(mmap);
