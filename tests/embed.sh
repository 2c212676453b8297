#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What a host may rely on: loading the library does nothing, and using it
# touches nothing that is the host's.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
library=$PWD/$build/libcoppice.so.0

# __cpu_indicator_init is gcc's own; frame_dummy is in every library.
constructors=$(readelf -rW "$library" | awk -v at="$(readelf -SW "$library" |
	sed -n 's/.*\.init_array *INIT_ARRAY *0*\([0-9a-f]*\).*/\1/p')" '
	$1 ~ at "$" || $1 ~ substr(at, 1, length(at) - 1) { print $NF }' |
	while read -r address; do
		nm "$library" | sed -n "s/^0*$address [tT] //p"
	done | grep -v -e '^__cpu_indicator_init$' -e '^frame_dummy$' \
		-e '_aux$')
is "$constructors" '' 'there is no constructor'
used=$(nm -D --undefined-only "$library" | awk '{print $2}' | sed 's/@.*//' |
	grep -xE -e 'signal|sigaction|setlocale|uselocale|std(in|out|err)' \
		-e 'v?f?printf|puts|putchar|fputs|fputc|putc|perror|err|warn' \
		-e 'exit|_exit|abort|atexit|on_exit|raise|kill|alarm' \
		-e 'system|popen|fork|vfork|exec.*|environ|setenv|putenv' \
		-e 'chdir|umask|setuid|setgid|srand|rand|strerror|strtok')
is "$used" '' 'it uses nothing that belongs to the host'
exported=$(nm -D --defined-only "$library" | awk '{print $3}' |
	sed 's/@.*//' | grep -v -e '^cop_' -e '^COPPICE_')
is "$exported" '' 'it exports what begins with cop_'

cat >"$work/embed.c" <<'END'
#include <coppice.h>
#include <dirent.h>
#include <dlfcn.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int entries(const char *path)
{
	DIR *folder = opendir(path);
	int count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void look(struct sigaction *actions, sigset_t *mask)
{
	for (int i = 1; i < 32; i++)
		sigaction(i, NULL, &actions[i]);
	sigprocmask(SIG_BLOCK, NULL, mask);
}

#define CALL(name) __typeof__(name) *p_##name = dlsym(lib, #name)

int main(int count, char **arguments)
{
	struct cop_open_options options = {.size = sizeof options};
	struct sigaction before[32], after[32];
	sigset_t mask_before, mask_after;
	int threads, files, status;
	pid_t pid;

	setlocale(LC_ALL, "C.UTF-8");
	threads = entries("/proc/self/task");
	files = entries("/proc/self/fd");
	look(before, &mask_before);
	for (int round = 0; round < 3; round++) {
		void *lib = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
		CALL(cop_open);
		CALL(cop_close);
		CALL(cop_write_begin);
		CALL(cop_put);
		CALL(cop_commit);
		CALL(cop_abort);
		CALL(cop_read_begin);
		CALL(cop_read_end);
		CALL(cop_search);
		float vector[3] = {1, 2, 3};
		struct cop_put put = {.size = sizeof put, .key = "k",
				      .key_size = 1, .vector = vector,
				      .dim = 3};
		struct cop_search search = {.size = sizeof search, .k = 1,
					    .vector = vector};
		struct cop_hit hit;
		uint32_t hits = 0;
		cop_store *store;
		cop_write *write;
		cop_read *read;

		if (!lib || p_cop_open(arguments[2], &options, &store) ||
		    p_cop_write_begin(store, &write) ||
		    p_cop_put(write, &put) || p_cop_commit(write, NULL) ||
		    p_cop_read_begin(store, &read) ||
		    p_cop_search(read, &search, &hit, &hits) || hits != 1)
			return puts("a call failed"), 1;
		if (entries("/proc/self/task") != threads)
			return puts("a thread was left"), 1;
		p_cop_read_end(read);
		p_cop_abort(write);
		p_cop_close(store);
		dlclose(lib);
		if (dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD))
			return puts("it stays loaded"), 1;
		pid = fork(); /* no handler of what is gone */
		if (!pid)
			_exit(0);
		waitpid(pid, &status, 0);
		if (status)
			return puts("a fork afterwards failed"), 1;
	}
	look(after, &mask_after);
	if (entries("/proc/self/fd") != files)
		return puts("a descriptor was left"), 1;
	for (int i = 1; i < 32; i++)
		if (before[i].sa_handler != after[i].sa_handler ||
		    sigismember(&mask_before, i) != sigismember(&mask_after, i))
			return printf("signal %d was touched\n", i), 1;
	if (strcmp(setlocale(LC_ALL, NULL), "C.UTF-8"))
		return puts("the locale was touched"), 1;
	return count != 3;
}
END
exits 0 'a store is made' init "$store" --dim 3
cc -std=gnu11 -Icore -o "$work/embed" "$work/embed.c" -ldl 2>"$work/err"
ok $? 'a host is compiled' || diag "$(cat "$work/err")"
out=$("$work/embed" "$library" "$store" 2>&1)
is "$? $out" '0 ' 'loaded, used, unloaded three times, it leaves no trace'

cat >"$work/two.py" <<'END'
import ctypes
import sys

first, second = (ctypes.CDLL(name) for name in sys.argv[1:3])
store = ctypes.c_void_p()
first.cop_open.restype = second.cop_open.restype = ctypes.c_int
second.cop_last_error.restype = ctypes.c_char_p
path = sys.argv[3].encode()
assert first.cop_open(path, None, ctypes.byref(store)) == 0
err = second.cop_open(path, None, ctypes.byref(ctypes.c_void_p()))
print(err, second.cop_last_error().decode())
first.cop_close(store)
END
cp "$library" "$work/second.so"
out=$("$python" "$work/two.py" "$library" "$work/second.so" "$store" 2>&1)
like "$out" '-31011 *another copy of this library in this process*' \
	'a second copy in one process is refused, and told why'

# A segment of another layout, as a later version of the library has it: here
# with a process of that version attached, which must not notice.
cat >"$work/layout.py" <<'END'
import ctypes
import mmap
import os
import sys

library, path, segment, offset = sys.argv[1:5]
lib = ctypes.CDLL(library)
lib.cop_last_error.restype = ctypes.c_char_p
store = ctypes.c_void_p()
assert lib.cop_open(path.encode(), None, ctypes.byref(store)) == 0
with open(segment, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 4096)
    at = int(offset)
    memory[at] += 1
    child = os.fork()
    if not child:
        other = ctypes.c_void_p()
        lib.cop_close(store)
        err = lib.cop_open(path.encode(), None, ctypes.byref(other))
        print(err, lib.cop_last_error().decode())
        os._exit(0)
    os.waitpid(child, 0)
    memory[at] -= 1
lib.cop_close(store)
END
cat >"$work/offset.c" <<'END'
#include "segment.h"
#include <stdio.h>

int main(void)
{
	printf("%zu\n", offsetof(struct segment_header, layout));
}
END
cc -std=gnu11 -Ishm -Iipc -Icore -o "$work/offset" "$work/offset.c" &&
	offset=$("$work/offset")
run stat "$store" --json
segment=$(echo "$out" | sed 's/.*"segment":"\([^"]*\)".*/\1/')
out=$("$python" "$work/layout.py" "$library" "$store" \
	"$(ls "$segment"/index-* | tail -1)" "$offset" 2>&1)
diag "$out"
like "$out" '-31008 *' 'another layout of a live segment is refused'
exits 0 'and the store is whole' check "$store"
done_testing
