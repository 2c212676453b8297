#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Processes that are killed, stopped and forked at random lose nothing and see
# nothing that is not so: tests/torture/.  For longer: make soak SECONDS=...
. "$(dirname "$0")/tap.sh"

build=${COPPICE_BUILD:-build/release}
seconds=20
case $build in
*asan* | *tsan* | *ubsan*) seconds=8 ;;
esac
"$build/torture" --seconds "$seconds"
ok $? "$seconds seconds of kills, and all is there and as it was"
done_testing
