#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# probes: the places for bpftrace and perf are in the library.
. "$(dirname "$0")/tap.sh"

echo '#include <sys/sdt.h>' | cc -E -x c - >/dev/null 2>&1 ||
	skip_all 'systemtap-sdt-dev is not installed'
command -v readelf >/dev/null || skip_all 'readelf is not installed'
library=${COPPICE_BUILD:-build/release}/libcoppice.so.0
readelf -n "$library" 2>/dev/null | sed -n 's/^ *Name: //p' | sort -u \
	>"$work/names"
for name in commit__begin commit__end lock__held lock__released \
	search__begin search__end walk linked recovered; do
	grep -qx "$name" "$work/names"
	ok $? "there is a probe $name"
done
sed -n 's/.*:coppice:\([a-z_]*\).*/\1/p' tools/bpf/*.bt | sort -u |
	comm -23 - "$work/names" >"$work/unknown"
is "$(cat "$work/unknown")" '' 'the examples name no other'
done_testing
