#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_compact_full: compact and rebuild on a tmpfs that has no room for another
# segment, while others read and write.
disk_size=96m
. "$(dirname "$0")/tmpfs.sh"

vectors()
{
	perl -e 'my ($kind, $count) = @ARGV; srand 7; for my $i (1 .. $count) {
		printf "{\"key\":\"%s%d\",\"vector\":[%s]}\n", $kind, $i,
			join ",", map { 1 + int rand 999 } 1 .. 16 }' "$1" "$2"
}

# free_left KIB: so much is free on the tmpfs from here on
free_left()
{
	used=$(df -k --output=used "$disk" | tail -1)
	mount -o "remount,size=$((used + $1))k" "$disk"
}

segments()
{
	find "$disk" -name 'index-*' -o -name next | wc -l
}

generations()
{
	find "$store" -name 'gen-*' | wc -l
}

exits 0 'init' init "$store" --dim 16 --codes u8 --shm-dir "$disk"
vectors k 20000 | "$COPPICE" put "$store" -q >"$work/number"
exits 0 'maintain' maintain "$store"
run search "$store" --like k7 -k 5 --exact
found=$out

# A writer and a reader, until there is a file `stop`; what fails is listed.
: >"$work/failed"
: >"$work/wrote"
(
	while [ ! -e "$work/stop" ]; do
		vectors new 1 | "$COPPICE" put "$store" -q >"$work/number" 2>>"$work/failed" &&
			echo >>"$work/wrote"
	done
) &
writer=$!
(
	while [ ! -e "$work/stop" ]; do
		"$COPPICE" search "$store" --like k7 -k 5 >"$work/read" \
			2>>"$work/failed"
	done
) &
reader=$!

free_left 8000
exits 0 'compact without room for another segment' compact "$store"
like "$out" '*shared *: as it was, for want of room or time*' \
	'says that shared memory is as it was'
exits 0 'compact --json' compact "$store" --json
is "$(field renewed <"$work/out")" false 'says so, too'
is "$(field generation <"$work/out")" 3 'the data file is another one'
exits 6 'rebuild' rebuild "$store"
like "$err" '*another index segment takes about * KiB*enlarge its tmpfs*' \
	'says what it takes, and what to do'
is "$(segments)" 1 'nothing of a segment is left over'
is "$(generations)" 1 'nor of a data file'
wrote=$(wc -l <"$work/wrote")
while [ "$(wc -l <"$work/wrote")" -lt $((wrote + 2)) ] &&
	[ ! -s "$work/failed" ]; do
	sleep 0.05
done
: >"$work/stop"
wait "$writer" "$reader"
is "$(cat "$work/failed")" '' 'others have read and written all the while'
run search "$store" --like k7 -k 5 --exact
is "$out" "$found" 'and find what they found'
exits 0 'check' check "$store"

free_left 0
exits 0 'compact on a tmpfs that is full' compact "$store"
like "$out" '*as it was, for want of room*' 'anew is the data file alone'
exits 0 'get' get "$store" k7
exits 0 'check' check "$store"

free_left 60000
exits 0 'compact with room' compact "$store" --json
is "$(field renewed <"$work/out")" true 'both are another one'
is "$(segments)" 1 'one segment is there'
run search "$store" --like k7 -k 5 --exact
is "$out" "$found" 'in which is found what was found'
exits 0 'check' check "$store"
done_testing
