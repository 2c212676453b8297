#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Processes that are killed, stopped and forked at random lose nothing and see
# nothing that is not so: tests/torture/.  For longer: make soak SECONDS=...
. "$(dirname "$0")/tap.sh"

build=${COPPICE_BUILD:-build/release}
seconds=10
case $build in
*asan* | *tsan* | *ubsan*) seconds=4 ;;
esac
"$build/torture" --seconds "$seconds"
ok $? "$seconds seconds of kills, and all is there and as it was"
# where nothing waits for a disk, more happens
if [ -w /dev/shm ]; then
	"$build/torture" --seconds "$seconds" --folder /dev/shm
	ok $? "the same with the store on a tmpfs"
else
	skip "no /dev/shm" "the same with the store on a tmpfs"
fi
done_testing
