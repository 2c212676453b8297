#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz: what the fuzzer's targets begin with, and what once found a bug, is read
# or refused.  tests/fuzz/README.md tells more.
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null || skip_all 'no python3 here'
build=${COPPICE_BUILD:-build/release}
COPPICE_FUZZ_FOLDER=$work
export COPPICE_FUZZ_FOLDER
python3 tests/fuzz/seeds.py "$work/seeds"
ok $? 'the inputs are made'
for source in tests/fuzz/*.c; do
	target=$(basename "$source" .c)
	[ "$target" != replay ] || continue
	"$build/fuzz/$target" "$work/seeds/$target" >"$work/out" 2>&1
	ok $? "$target: $(tail -n 1 "$work/out")" || tail -n 40 "$work/out"
done
done_testing
