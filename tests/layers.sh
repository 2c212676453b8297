#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The layers shm <- ipc <- core <- tools: a file includes its own folder and
# those to its left.  Only core/env.c knows LMDB.  Labelled orderings pair.
. "$(dirname "$0")/tap.sh"

# Headers of project folders that files of $1 include, other than $2...
strangers() {
	folder=$1
	shift
	for file in "$folder"/*.[ch]; do
		sed -n 's/^#include "\(.*\)"/\1/p' "$file" |
		while read -r header; do
			for there in "$@"; do
				[ -e "$there/$header" ] && continue 2
				[ "$there/$header" = tools/coppice.h ] &&
					continue 2
			done
			echo "# $file includes $header"
		done
	done
}

claim() { # NAME OUTPUT: holds if there is no output
	[ -z "$2" ] || echo "$2"
	[ -z "$2" ]
	ok $? "$1"
}

claim "shm includes shm" "$(strangers shm shm)"
claim "ipc includes ipc and shm" "$(strangers ipc ipc shm)"
claim "core includes core, ipc and shm" "$(strangers core core ipc shm)"
claim "tools include tools and coppice.h alone" \
	"$(strangers tools tools)"
claim "only the environment includes lmdb.h" \
	"$(grep -l 'include <lmdb.h>' shm/* ipc/* core/* tools/*.[ch] |
		grep -v '^core/env\(_entry\)\?.c$')"
claim "shm and ipc know nothing of LMDB's types" \
	"$(grep -nE 'MDB_|mdb_' shm/*.[ch] ipc/*.[ch])"
claim "no volatile, rand, VLA-prone alloca or bool in the library" \
	"$(grep -nwE 'volatile|rand|alloca|bool' shm/*.c ipc/*.c core/*.c |
		grep -v '/\*.*\*/')"

if [ -d .git ]; then
	claim "the top level holds what it is to hold and no more" \
		"$(git ls-files | cut -d / -f 1 | sort -u | grep -v '^\.' |
			grep -vxE 'CHANGELOG.md|LICENSE|Makefile|README.md|core|ipc|shm|tests|tools')"
fi

# Both ends of an edge carry its number.
for label in A1 A2 B1 B2 H1 H2 K1 K2 M1 M2 M3 P1 S1 S2 C1 E1 E2 F1 F2 G1 T1; do
	count=$(grep -hoE "/\* $label\b|[^A-Za-z0-9]$label[:*. ]" \
		shm/*.[ch] ipc/*.[ch] core/*.[ch] | wc -l)
	[ "$count" -ge 2 ]
	ok $? "ordering $label has both its ends labelled ($count places)"
done
done_testing
