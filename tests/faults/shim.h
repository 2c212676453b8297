/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim: what a test and the preloaded library that stands between a process
 * and the system have in common.
 *
 * idea
 *	The test program starts itself again with LD_PRELOAD set to shim.so,
 *	and looks its three functions up by name.  The shim does nothing
 *	until a process gives it a page to work by, which the test shares
 *	with the children it forks: a child takes the page, the test reads
 *	what happened.
 *	Calls count that name, or have open, a file below one of the roots.
 *	Calls of libc's own and of LMDB's come by here, too: both bind their
 *	symbols when the program starts, and the shim comes first.
 *
 * modes
 *	inject	the at-th call of the kinds wanted fails, or all from it on
 *	record	what would change a disk is appended to a log
 */
#ifndef FAULTS_SHIM_H
#define FAULTS_SHIM_H

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum shim_kind {
	SHIM_WRITE,    /* pwrite, pwritev, write, writev */
	SHIM_SYNC,     /* fsync, fdatasync, msync */
	SHIM_TRUNCATE, /* ftruncate */
	SHIM_ALLOCATE, /* posix_fallocate, fallocate */
	SHIM_MAP,      /* mmap of a file */
	SHIM_OPEN,     /* open, openat of what is there */
	SHIM_CREATE,   /* the same with O_CREAT */
	SHIM_RENAME,
	SHIM_UNLINK, /* unlinkat, unlink, rmdir */
	SHIM_MKDIR,
	SHIM_LOCK,   /* fcntl: taking, not releasing */
	SHIM_OWN,    /* fchmod, fchown and their kin */
	SHIM_READ,   /* read, pread */
	SHIM_MEMORY, /* malloc and kin, and mmap of no file */
	SHIM_KIND_COUNT
};

enum shim_how {
	SHIM_FAIL,  /* nothing is done */
	SHIM_SHORT, /* a write, a read: the first half is done */
	SHIM_LATE   /* all is done, and then it is said to have failed */
};

enum shim_mode { SHIM_OFF, SHIM_INJECT, SHIM_RECORD };

enum { SHIM_ROOTS = 2, SHIM_ROOT_BYTES = 64 };

struct shim {
	_Atomic uint32_t mode;
	char roots[SHIM_ROOTS][SHIM_ROOT_BYTES]; /* "": none */
	/* inject */
	uint32_t kinds; /* a bit a kind */
	uint32_t how;
	int32_t error;
	uint32_t sticky; /* 1: every call from the at-th on */
	uint64_t at;	 /* from 1 */
	_Atomic uint64_t calls;
	_Atomic uint64_t hits;
	_Atomic uint64_t seen[SHIM_KIND_COUNT]; /* wanted or not */
	char first[200]; /* the first call that was hit: name and file */
	/* record */
	uint64_t log_room;
	_Atomic uint64_t log_bytes;
	_Atomic uint32_t log_full;
	/* the log follows */
};

enum shim_op {
	OP_WRITE,    /* offset, data */
	OP_TRUNCATE, /* offset: the new size */
	OP_SYNC,     /* of a file */
	OP_CREATE,   /* path, file */
	OP_MKDIR,    /* path, file */
	OP_RENAME,   /* path: from NUL to */
	OP_UNLINK,   /* path */
	OP_NOTE	     /* number: what the test itself says */
};

/* One entry of the log; its data follow, padded to 8. */
struct shim_entry {
	uint32_t op;
	uint32_t is_synchronous; /* a write by a descriptor with O_DSYNC */
	uint64_t file;		 /* inode */
	uint64_t offset;	 /* or the note's number */
	uint64_t size;		 /* of the data */
};

static inline void *shim_log(struct shim *shim)
{
	return shim + 1;
}

/* Exported by shim.so. */
typedef void shim_use_function(struct shim *shim);
typedef void shim_note_function(uint64_t number);

/* Starts the program again with the shim, unless it has it. */
static inline shim_use_function *shim_preload(char **argv)
{
	char path[PATH_MAX];
	char exe[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", exe, sizeof exe - 1);
	void *use = dlsym(RTLD_DEFAULT, "shim_use");
	shim_use_function *function;

	memcpy(&function, &use, sizeof use);
	if (use || size < 0 || getenv("COPPICE_SHIM_TRIED"))
		return function;
	exe[size] = 0;
	snprintf(path, sizeof path, "%.4000s/faults/shim.so", dirname(exe));
	setenv("LD_PRELOAD", path, 1);
	setenv("COPPICE_SHIM_TRIED", "1", 1);
	execv("/proc/self/exe", argv);
	return NULL;
}

static inline shim_note_function *shim_note_find(void)
{
	void *note = dlsym(RTLD_DEFAULT, "shim_note");
	shim_note_function *function;

	memcpy(&function, &note, sizeof note);
	return function;
}

#endif
